//! Tags that stand for another image by now: which one it was, and which one it is.

use dollop_engine::error::CallError;
use dollop_engine::resource::{Preview, Proposed};
use futures::{StreamExt as _, stream};

use super::super::engine::Engine;
use super::super::pull;
use super::{AT_ONCE, ImageSpec, digest};

/// How much of a digest tells one from another, after `sha256:`.
const ENOUGH: usize = 12;

/// Both digests of each tag that was moved.
pub(super) async fn preview(
    engine: &Engine,
    proposed: &[Proposed<ImageSpec>],
) -> Result<Vec<Preview>, CallError> {
    let mut looks = Vec::with_capacity(proposed.len());
    for one in proposed {
        looks.push(look(engine, one));
    }
    Ok(stream::iter(looks).buffered(AT_ONCE).collect().await)
}

async fn look(engine: &Engine, one: &Proposed<ImageSpec>) -> Preview {
    let pulled = one.to.build.is_none() && one.to.pull.holds().is_some();
    let stale = one.from.as_ref().is_some_and(|from| !from.up_to_date);
    if !(pulled && stale) {
        return Preview::default();
    }
    let image = &one.name.natural;
    let both = async {
        futures::try_join!(pull::local(engine, image), pull::known_digest(engine, image))
    };
    let note = match both.await {
        Ok((has, is)) => {
            let has = has.and_then(|has| digest(image, &has.repo_digests.unwrap_or_default()));
            is.map(|is| moved(image, has.as_deref(), &is))
        }
        // That one registry does not answer says nothing of the others.
        Err(error) => Some(error.message),
    };
    Preview { notes: note.into_iter().collect(), ..Preview::default() }
}

fn moved(image: &str, has: Option<&str>, is: &str) -> String {
    let is = short(is);
    match has.and_then(|has| has.rsplit_once('@')) {
        Some((_, has)) => {
            format!("`{image}` was moved in its registry: {} → {is}", short(has))
        }
        None => format!("`{image}` was not pulled from its registry, where it is {is}"),
    }
}

fn short(digest: &str) -> &str {
    let start = digest.find(':').map_or(0, |colon| colon + 1);
    digest.get(..start + ENOUGH).unwrap_or(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_digests_are_named() {
        let digest = |letter: &str| format!("sha256:{}", letter.repeat(64));
        let has = format!("nginx@{}", digest("a"));
        assert_eq!(
            moved("nginx:1", Some(&has), &digest("b")),
            "`nginx:1` was moved in its registry: sha256:aaaaaaaaaaaa → sha256:bbbbbbbbbbbb"
        );
        assert!(moved("nginx:1", None, &digest("b")).contains("was not pulled"));
    }
}
