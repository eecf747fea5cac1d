//! Whether registries have something newer than what containers were made from.

use std::collections::{BTreeMap, BTreeSet};

use dollop_engine::error::CallError;
use dollop_engine::operate::{Freshness, Object};

use super::super::container::facts;
use super::super::engine::Engine;
use super::super::{pull, reference, tags};
use super::{find, gone, some_at_once};

/// Two questions to a registry for each image, however many containers are made from it.
pub(super) async fn freshness(
    engine: &Engine,
    objects: &[Object],
) -> Vec<Result<Freshness, CallError>> {
    let asked = objects.iter().map(|object| made_from(engine, object)).collect();
    let made = some_at_once(asked).await;
    // What never came from a registry has no digest to compare.
    let pulled = made.iter().flatten().filter(|fresh| fresh.has.is_some());
    let names: BTreeSet<String> = pulled.map(|fresh| fresh.image.clone()).collect();
    let asked = names.into_iter().map(|image| async move {
        let found = futures::join!(pull::digest(engine, &image), tags::newer(engine, &image));
        (image, found)
    });
    let offered: BTreeMap<_, _> = some_at_once(asked.collect()).await.into_iter().collect();
    let answers = made.into_iter().map(|fresh| {
        let mut fresh = fresh?;
        let Some((offered, newer)) = offered.get(&fresh.image) else { return Ok(fresh) };
        match offered {
            Ok(digest) => fresh.offered.clone_from(digest),
            Err(error) => fresh.unknown = Some(error.message.clone()),
        }
        match newer {
            Ok(found) => {
                fresh.newer.clone_from(&found.tags);
                fresh.unlisted.clone_from(&found.cut);
            }
            Err(error) => fresh.unlisted = Some(error.message.clone()),
        }
        Ok(fresh)
    });
    answers.collect()
}

async fn made_from(engine: &Engine, object: &Object) -> Result<Freshness, CallError> {
    let container = find(engine, object).await?.ok_or_else(|| gone(object))?;
    let id = container.image.clone().unwrap_or_default();
    let image = pull::local(engine, &id).await?;
    let digest = facts(engine, &container, image.as_ref()).image_digest;
    let written = container.config.as_ref().and_then(|config| config.image.clone());
    let mut written = written.unwrap_or_default();
    // People know an image that was built by its name.
    let tags = image.as_ref().and_then(|image| image.repo_tags.as_ref());
    if let (true, Some([tag, ..])) = (written.starts_with("sha256:"), tags.map(Vec::as_slice)) {
        written.clone_from(tag);
    }
    Ok(Freshness {
        image: reference::familiar(&written),
        has: digest.and_then(|digest| Some(digest.split_once('@')?.1.to_owned())),
        ..Freshness::default()
    })
}
