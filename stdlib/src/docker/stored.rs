//! What is stored in volumes, as far as it must be known before they go.
//!
//! The engine tells how much is in a volume only while it looks into all of them, and newer
//! ones only. So dollop looks itself, through a container that has the volume: a plan through
//! one that is there, a removal through one made for it that never runs.

use std::collections::HashMap;

use bollard::errors::Error;
use bollard::models::{ContainerSummary, MountPoint};
use bollard::query_parameters::DownloadFromContainerOptionsBuilder;
use dollop_engine::error::CallError;
use dollop_engine::resource::{Held, Moment, Wanted};
use futures::{StreamExt as _, stream};
use tar::Archive;

use super::carry;
use super::container::Bytes;
use super::engine::{Engine, status};
use super::helper::{self, Helper, Marks};
use super::volume::{self, VolumeSpec};

/// How much of an archive is looked at: enough to tell whether there is something.
const ENOUGH: usize = 4 << 20;
/// How many volumes are looked into at once.
const AT_ONCE: usize = 4;

/// Where a container has a volume.
struct Place<'a> {
    container: &'a str,
    path: &'a str,
}

/// What volumes hold, by name.
pub(super) async fn in_volumes(
    engine: &Engine,
    wanted: &[Wanted<VolumeSpec>],
    moment: Moment,
) -> Vec<Result<Held, CallError>> {
    let listed = match engine.containers().await {
        Ok(listed) => listed,
        Err(error) => return wanted.iter().map(|_| Err(error.clone())).collect(),
    };
    let mut places = HashMap::new();
    for (container, mount) in mounts(&listed) {
        if let (Some(name), Some(path)) = (&mount.name, &mount.destination) {
            places.insert(name.as_str(), Place { container, path });
        }
    }
    let mut looks = Vec::with_capacity(wanted.len());
    for wanted in wanted {
        let name = wanted.id.as_deref().unwrap_or(&wanted.name.natural);
        let place = places.get(name);
        looks.push(async move {
            let there = match (wanted.spec.elsewhere(), place) {
                (Some(elsewhere), _) => Some(Held::Nothing(elsewhere)),
                (None, Some(place)) => Some(look(engine, place).await?),
                (None, None) => None,
            };
            let there = match there {
                Some(held @ Held::Content(_)) => return Ok(held),
                there => there,
            };
            // A copy of it goes along, and may be all that is whole.
            let aside = carry::set_aside(engine, &wanted.name).await?;
            let aside = aside.then(|| carry::aside(name));
            match (there, moment) {
                (Some(there), _) if aside.is_none() => Ok(there),
                // Looking would mean making a container, and a plan makes nothing.
                (_, Moment::Planning) => Ok(Held::Unknown),
                (there, Moment::Removing) => {
                    let itself = there.is_none().then(|| name.to_owned());
                    let volumes = itself.into_iter().chain(aside);
                    alone(engine, volumes, &helper::marks(&wanted.name)).await
                }
            }
        });
    }
    stream::iter(looks).buffered(AT_ONCE).collect().await
}

/// What lies in those volumes of containers that have no name and go with them.
pub(super) async fn without_a_name(
    engine: &Engine,
    ids: &[&str],
) -> Vec<Result<Held, CallError>> {
    let listed = match engine.containers().await {
        Ok(listed) => listed,
        Err(error) => return ids.iter().map(|_| Err(error.clone())).collect(),
    };
    let mut own: HashMap<&str, Vec<&str>> = HashMap::new();
    for (container, mount) in mounts(&listed) {
        let name = mount.name.as_deref().unwrap_or_default();
        // What it cannot write to holds nothing of it: files that were put there.
        let written = is_anonymous(name) && mount.rw != Some(false);
        if let Some(path) = mount.destination.as_deref().filter(|_| written) {
            own.entry(container).or_default().push(path);
        }
    }
    let mut looks = Vec::with_capacity(ids.len());
    for id in ids {
        let paths = own.get(id).cloned().unwrap_or_default();
        looks.push(async move {
            let mut words = Vec::new();
            for path in paths {
                if let Held::Content(content) =
                    look(engine, &Place { container: id, path }).await?
                {
                    words.push(format!("{content} in its volume `{path}`, which has no name"));
                }
            }
            Ok(if words.is_empty() { Held::Unknown } else { Held::Content(words.join(", ")) })
        });
    }
    stream::iter(looks).buffered(AT_ONCE).collect().await
}

/// Containers by id with their volumes.
fn mounts(listed: &[ContainerSummary]) -> impl Iterator<Item = (&str, &MountPoint)> {
    listed.iter().flat_map(|container| {
        let id = container.id.as_deref().unwrap_or_default();
        let mounts = container.mounts.iter().flatten();
        mounts
            .filter(|mount| mount.typ.as_deref() == Some("volume"))
            .map(move |mount| (id, mount))
    })
}

/// The engine names what nobody names with 32 random bytes.
fn is_anonymous(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Looks through containers made for it, up to the first volume with something in it.
async fn alone(
    engine: &Engine,
    volumes: impl Iterator<Item = String>,
    marks: &Marks,
) -> Result<Held, CallError> {
    for volume in volumes {
        if volume::look(engine, &volume).await?.is_none() {
            continue;
        }
        let helper = Helper::reach(engine, &volume, marks.clone()).await?;
        let place = Place { container: helper.container(), path: Helper::PATH };
        let held = look(engine, &place).await;
        let held = helper.after(held).await?;
        if matches!(held, Held::Content(_)) {
            return Ok(held);
        }
    }
    Ok(Held::Nothing("no data".to_owned()))
}

async fn look(engine: &Engine, place: &Place<'_>) -> Result<Held, CallError> {
    let options = DownloadFromContainerOptionsBuilder::new().path(place.path).build();
    let archive = engine.docker.download_from_container(place.container, Some(options));
    let mut archive = std::pin::pin!(archive);
    let mut bytes = Vec::new();
    let mut whole = true;
    while let Some(part) = archive.next().await {
        match part {
            Ok(part) => bytes.extend_from_slice(&part),
            // It went while it was looked at; what goes holds nothing.
            Err(error) if status(&error) == Some(404) => break,
            Err(error) => return Err(failed(engine, place, &error)),
        }
        if bytes.len() > ENOUGH {
            whole = false;
            break;
        }
    }
    let (files, size) = count(&bytes);
    Ok(match (files, size) {
        (0, _) | (_, 0) if whole => Held::Nothing("no data".to_owned()),
        _ if whole => Held::Content(format!("{} of data", Bytes(size).rounded())),
        _ => Held::Content(format!("more than {} of data", Bytes(4 << 20).rounded())),
    })
}

fn failed(engine: &Engine, place: &Place<'_>, error: &Error) -> CallError {
    let doing = format!("looking into `{}` of container `{}`", place.path, place.container);
    engine.failed(&doing, error)
}

/// How many files are in the beginning of an archive, and the bytes in them.
fn count(archive: &[u8]) -> (usize, i64) {
    let mut archive = Archive::new(archive);
    let Ok(entries) = archive.entries() else { return (0, 0) };
    let (mut files, mut size) = (0, 0_i64);
    // The last one may be cut off.
    for entry in entries.map_while(Result::ok) {
        if entry.header().entry_type().is_file() {
            files += 1;
            size = size.saturating_add(i64::try_from(entry.size()).unwrap_or(i64::MAX));
        }
    }
    (files, size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_counted_in_the_beginning_of_an_archive() {
        let mut archive = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(5);
        archive.append_data(&mut header.clone(), "volume/a", "hello".as_bytes()).unwrap();
        header.set_size(2048);
        archive.append_data(&mut header, "volume/b", vec![0; 2048].as_slice()).unwrap();
        let archive = archive.into_inner().unwrap();
        assert_eq!(count(&archive), (2, 2053));
        assert_eq!(count(&archive[..1600]), (2, 2053), "the last one is cut off");
        assert_eq!(count(&[]), (0, 0));
    }

    #[test]
    fn names_nobody_chose_are_known() {
        assert!(is_anonymous(&"0123456789abcdef".repeat(4)));
        assert!(!is_anonymous("data"));
    }
}
