//! Making a volume anew without losing what is in it.
//!
//! Docker can neither change nor rename a volume, so its files move twice: to a volume of
//! another name, and back once the new one is there. A copy counts when both archives are the
//! same to the byte, and what was copied goes only then. Every part can be repeated: a run
//! that was killed is finished by the next one, from what is there.
//!
//! Which of the two is whole is not seen by looking at them: a volume may be half deleted, or
//! half filled. So a third one, empty, is there for as long as the copy is what counts.

use std::time::Duration;

use bollard::Docker;
use bollard::errors::Error;
use bollard::models::Volume as Listed;
use bollard::query_parameters::{
    DownloadFromContainerOptionsBuilder, UploadToContainerOptionsBuilder,
};
use bytes::Bytes as Chunk;
use dollop_engine::error::CallError;
use dollop_engine::resource::{Name, Owner};
use futures::{Stream, TryStreamExt as _};
use sha2::{Digest as _, Sha256};

use super::container::Pairs;
use super::engine::{Engine, said};
use super::helper::{self, Helper};
use super::labels;
use super::volume::{self, VolumeSpec};
use crate::text::Text;

/// The longest a copy may take where no `timeouts` say otherwise.
const LONGEST: Duration = Duration::from_hours(24);

/// On a copy that counts only while there is a volume that says so. Those of earlier versions
/// had none.
const VOUCHED: &str = "dollop.vouched";

/// On the volume that vouches for a copy: when the one was made that was copied.
const COPIED: &str = "dollop.copied";

/// The volume that holds the files meanwhile.
pub(super) fn aside(natural: &str) -> String {
    format!("{natural}.dollop-copy")
}

/// The volume that says, by being there, that the one [`aside`] is whole and the other one may
/// not be.
fn voucher(natural: &str) -> String {
    format!("{natural}.dollop-copied")
}

/// Whether there is a volume that holds the files of one that is just being made anew.
pub(super) async fn set_aside(engine: &Engine, name: &Name) -> Result<bool, CallError> {
    Ok(own(engine, name, &aside(&name.natural)).await?.is_some())
}

/// The volume of that name, if it was made for this object.
async fn own(engine: &Engine, name: &Name, volume: &str) -> Result<Option<Listed>, CallError> {
    let found = volume::look(engine, volume).await?;
    Ok(found.filter(|found| labels::owner(&found.labels, name, true) == Owner::Ours))
}

/// Removes the volume of that name, if it was made for this object.
async fn own_removed(engine: &Engine, name: &Name, volume: &str) -> Result<(), CallError> {
    match own(engine, name, volume).await? {
        Some(_) => volume::removed(engine, name, volume).await,
        None => Ok(()),
    }
}

/// Removes the copy. What vouches for it goes first: an engine that dies meanwhile leaves half
/// a copy.
pub(super) async fn dropped(engine: &Engine, name: &Name) -> Result<(), CallError> {
    own_removed(engine, name, &voucher(&name.natural)).await?;
    own_removed(engine, name, &aside(&name.natural)).await
}

/// Whether the copy holds all, whatever is in the volume itself, which is `there` or not and
/// is or is not what it shall be.
async fn counts(
    engine: &Engine,
    name: &Name,
    there: bool,
    done: bool,
) -> Result<bool, CallError> {
    let Some(copy) = own(engine, name, &aside(&name.natural)).await? else {
        return Ok(false);
    };
    let vouched = own(engine, name, &voucher(&name.natural)).await?.is_some();
    let of_earlier_version = !copy.labels.contains_key(VOUCHED);
    Ok(vouched || !there || (of_earlier_version && done))
}

/// Makes a volume as declared out of whatever is there, and keeps its files.
pub(super) async fn over(
    engine: &Engine,
    name: &Name,
    to: &VolumeSpec,
) -> Result<(), CallError> {
    let (natural, aside) = (&name.natural, aside(&name.natural));
    let there = volume::look(engine, natural).await?;
    let done = there.as_ref().is_some_and(|there| to.is_like(there));
    let mut counts = counts(engine, name, there.is_some(), done).await?;
    if there.is_none() && !counts {
        return Err(volume::gone(name));
    }
    if let Some(there) = there.as_ref().filter(|_| counts)
        && was_copied(engine, name, there).await?
        && !same(engine, name, natural, &aside).await?
    {
        return Err(both_count(natural, &aside));
    }
    if !done {
        if there.is_some() {
            Helper::cleared(engine, natural).await?;
            if volume::is_used(engine, natural).await? {
                return Err(volume::in_use(engine, name, natural).await);
            }
            can_be(engine, name, to).await?;
            if !counts {
                copied_aside(engine, name, there.as_ref(), &aside).await?;
                counts = true;
            }
            let removed = volume::removed(engine, name, natural).await;
            removed.map_err(|error| error.note(safe(&aside)))?;
        }
        let made = volume::make(engine, name, natural, to).await;
        made.map_err(|error| error.note(safe(&aside)))?;
    }
    if counts {
        let back = copied(engine, name, &aside, natural).await;
        back.map_err(|error| error.note(safe(&aside)))?;
    }
    dropped(engine, name).await
}

/// Makes a copy that counts from now on, in place of one that does not: what that was made
/// from is there.
async fn copied_aside(
    engine: &Engine,
    name: &Name,
    original: Option<&Listed>,
    aside: &str,
) -> Result<(), CallError> {
    dropped(engine, name).await?;
    let label = (VOUCHED.to_owned(), Text("by another volume".to_owned()));
    let plain = VolumeSpec { labels: Pairs([label].into()), ..VolumeSpec::plain() };
    volume::make(engine, name, aside, &plain).await?;
    copied(engine, name, &name.natural, aside).await?;
    let made = original.and_then(|original| original.created_at.clone()).unwrap_or_default();
    let label = (COPIED.to_owned(), Text(made));
    let plain = VolumeSpec { labels: Pairs([label].into()), ..VolumeSpec::plain() };
    volume::make(engine, name, &voucher(&name.natural), &plain).await.map(drop)
}

/// Whether a volume is the very one that was copied, and not one made since.
async fn was_copied(engine: &Engine, name: &Name, there: &Listed) -> Result<bool, CallError> {
    let voucher = own(engine, name, &voucher(&name.natural)).await?;
    let copied = voucher.and_then(|voucher| voucher.labels.get(COPIED).cloned());
    Ok(copied.is_some() && copied == there.created_at)
}

/// The volume that was copied was not removed: it may be half gone, and somebody may have
/// written to it since. Only people know.
fn both_count(natural: &str, aside: &str) -> CallError {
    let message = format!(
        "volume `{natural}` was copied to `{aside}` and is still there, with other files by now"
    );
    let voucher = voucher(natural);
    CallError::refused(message)
        .note("an earlier run ended before it was removed")
        .hint(format!(
            "if it is right as it is, it is copied again: `docker volume rm {voucher}`"
        ))
        .hint(format!("if the copy is right, remove the other: `docker volume rm {natural}`"))
}

/// Whether two volumes hold the same, to the byte.
async fn same(engine: &Engine, name: &Name, one: &str, other: &str) -> Result<bool, CallError> {
    let doing = format!("comparing volume `{one}` with `{other}`");
    let first = Helper::reach(engine, one, helper::marks(name)).await?;
    let same = async {
        let second = Helper::reach(engine, other, helper::marks(name)).await?;
        let digests =
            futures::try_join!(digest(engine, &first, &doing), digest(engine, &second, &doing));
        second.after(digests.map(|(one, other)| one == other)).await
    };
    let same = same.await;
    first.after(same).await
}

fn safe(aside: &str) -> String {
    format!("what was in it is safe in volume `{aside}`; the next apply goes on from there")
}

/// Tries a volume of that kind under another name: one that cannot be mounted must not take
/// the place of one that works.
async fn can_be(engine: &Engine, name: &Name, to: &VolumeSpec) -> Result<(), CallError> {
    let trial = format!("{}.dollop-trial", name.natural);
    own_removed(engine, name, &trial).await?;
    volume::make(engine, name, &trial, to).await?;
    let tried = async {
        let helper = Helper::reach(engine, &trial, helper::marks(name)).await?;
        let nothing = tar::Builder::new(Vec::new()).into_inner().unwrap_or_default();
        let options = UploadToContainerOptionsBuilder::new().path(Helper::PATH).build();
        let body = bollard::body_full(nothing.into());
        let put = engine.docker.upload_to_container(helper.container(), Some(options), body);
        let put = put.await.map_err(|error| {
            let message = format!(
                "volume `{}` cannot be made as declared: {}",
                name.natural,
                said(&error)
            );
            CallError::refused(message)
                .hint("check `driver` and `options`; nothing was changed")
        });
        helper.after(put).await
    };
    let tried = tried.await;
    volume::removed(engine, name, &trial).await?;
    tried
}

/// Copies all files from one volume to another and compares what is there then.
async fn copied(engine: &Engine, name: &Name, from: &str, to: &str) -> Result<(), CallError> {
    let source = Helper::reach(engine, from, helper::marks(name)).await?;
    let copied = async {
        let target = Helper::reach(engine, to, helper::marks(name)).await?;
        let copied = transferred(engine, from, to, &source, &target).await;
        target.after(copied).await
    };
    let copied = copied.await;
    source.after(copied).await
}

async fn transferred(
    engine: &Engine,
    from: &str,
    to: &str,
    source: &Helper<'_>,
    target: &Helper<'_>,
) -> Result<(), CallError> {
    let doing = format!("copying volume `{from}` to `{to}`");
    let docker = engine.patient(LONGEST);
    let files = archive(&docker, source).map_err(std::io::Error::other);
    let options = UploadToContainerOptionsBuilder::new().path("/").build();
    let body = bollard::body_try_stream(files);
    let put = docker.upload_to_container(target.container(), Some(options), body).await;
    put.map_err(|error| engine.failed(&doing, &error))?;
    let (one, other) =
        futures::try_join!(digest(engine, source, &doing), digest(engine, target, &doing))?;
    if one == other {
        return Ok(());
    }
    let message = format!("{doing} failed: the copy differs from what was copied");
    Err(CallError::refused(message)
        .hint("make sure that nothing else writes to it, and apply again"))
}

/// Everything in the volume of a helper.
fn archive(
    docker: &Docker,
    helper: &Helper<'_>,
) -> impl Stream<Item = Result<Chunk, Error>> + Send + use<> {
    let options = DownloadFromContainerOptionsBuilder::new().path(Helper::PATH).build();
    docker.download_from_container(helper.container(), Some(options))
}

async fn digest(
    engine: &Engine,
    helper: &Helper<'_>,
    doing: &str,
) -> Result<String, CallError> {
    let docker = engine.patient(LONGEST);
    let hashed = archive(&docker, helper).try_fold(Sha256::new(), |mut hasher, part| {
        hasher.update(&part);
        futures::future::ok(hasher)
    });
    let hashed = hashed.await.map_err(|error| engine.failed(doing, &error))?;
    Ok(hex::encode(hashed.finalize()))
}
