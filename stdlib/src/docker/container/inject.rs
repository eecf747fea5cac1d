//! How files get into a container, and out of it again.
//!
//! The engine copies into a container before it starts, so its image needs no program for
//! it. Where that cannot be, because the file system of the container is read-only or the
//! folder is memory that is empty at each start, the folder gets a small volume without a
//! name, which is read-only to the container and goes with it.
//!
//! What changes later in such a volume is copied through a [`Helper`].

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bollard::models::{ContainerCreateBody, ContainerInspectResponse, HostConfig};
use bollard::query_parameters::UploadToContainerOptionsBuilder;
use dollop_engine::error::CallError;
use dollop_engine::resource::{Name, Problem};
use tar::{Builder, EntryType, Header};

use super::super::engine::{Engine, said};
use super::super::helper::{self, Helper, Purpose};
use super::super::{exec, labels};
use super::files::{Entry, Files};
use super::filler::{Point, PointKind};
use super::mounts::{Mount, MountKind, Mounts};
use super::options::VolumeOptions;
use super::pairs::Pairs;
use super::read::inspect;
use super::spec::ContainerSpec;
use crate::text::Text;

/// The label of a volume that files are put into, for a folder nothing can be copied into;
/// and that of a container that has such volumes, with their folders.
pub(super) const FOR_FILES: &str = labels::FILES;

/// Files to copy, with their paths from where they are copied to.
pub(super) type Load<'a> = BTreeMap<String, &'a Entry>;

/// Where a file is copied to.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Way<'a> {
    /// From the root of the container.
    Root,
    /// A mount of a container that is read-only elsewhere.
    Mount(&'a str),
    /// A folder with a volume for files.
    Folder(&'a str),
}

/// The path below a folder, when it is in it.
pub(super) fn below<'a>(folder: &str, path: &'a str) -> Option<&'a str> {
    path.strip_prefix(folder.trim_end_matches('/'))?.strip_prefix('/')
}

/// Whether a mount is a volume that files are put into.
pub(super) fn is_for_files(mount: &Mount) -> bool {
    let labels = mount.volume.as_ref().map(|volume| &volume.labels.0);
    mount.source.is_none() && labels.is_some_and(|labels| labels.contains_key(FOR_FILES))
}

/// The innermost mount a path is in.
fn around<'a>(mounts: &'a Mounts, path: &str) -> Option<&'a Mount> {
    let around = mounts.0.iter().filter(|mount| below(&mount.target, path).is_some());
    around.max_by_key(|mount| mount.target.len())
}

/// The innermost folder in memory a path is in.
fn memory<'a>(spec: &'a ContainerSpec, path: &str) -> Option<&'a str> {
    let short = spec.tmpfs.0.iter().map(|entry| entry.split(':').next().unwrap_or_default());
    let long = spec.volumes.0.iter().filter(|mount| mount.kind == MountKind::Tmpfs);
    let all = short.chain(long.map(|mount| mount.target.as_str()));
    all.filter(|folder| below(folder, path).is_some()).max_by_key(|folder| folder.len())
}

/// Whether nothing can be copied to a path as it is.
fn is_closed(spec: &ContainerSpec, path: &str) -> bool {
    let mount = around(&spec.volumes, path);
    match (mount, memory(spec, path)) {
        (Some(mount), Some(folder)) => folder.len() >= mount.target.len(),
        (Some(_), None) => false,
        (None, memory) => spec.read_only || memory.is_some(),
    }
}

/// Gives volumes to the folders of files that nothing can be copied into.
pub(super) fn add_folders(spec: &mut ContainerSpec) {
    let closed = spec.files.0.keys().filter(|path| is_closed(spec, path));
    let folders: BTreeSet<String> = closed
        .filter_map(|path| Some(path.rsplit_once('/')?.0.to_owned()))
        // A folder can be one mount only, and the root is none.
        .filter(|folder| !folder.is_empty() && !is_mounted(spec, folder))
        .collect();
    let outermost = |folder: &&String| !folders.iter().any(|o| below(o, folder).is_some());
    let added: Vec<_> = folders.iter().filter(outermost).map(|folder| apart(folder)).collect();
    if !added.is_empty() {
        spec.volumes.0.extend(added);
        spec.volumes.0.sort_by(|a, b| a.target.cmp(&b.target));
    }
}

fn is_mounted(spec: &ContainerSpec, folder: &str) -> bool {
    let short = spec.tmpfs.0.iter().map(|entry| entry.split(':').next().unwrap_or_default());
    let targets = spec.volumes.0.iter().map(|mount| mount.target.as_str());
    short.chain(targets).any(|target| target.trim_end_matches('/') == folder)
}

/// The folders of a spec that have a volume for files.
pub(super) fn folders(spec: &ContainerSpec) -> Vec<&str> {
    let own = spec.volumes.0.iter().filter(|mount| is_for_files(mount));
    own.map(|mount| mount.target.as_str()).collect()
}

/// The mounts a container got from nowhere but here, as its labels say and as they are.
pub(super) fn observed(container: &ContainerInspectResponse) -> Vec<Mount> {
    let labels = container.config.as_ref().and_then(|config| config.labels.as_ref());
    let told = labels.and_then(|labels| labels.get(FOR_FILES)).map_or("", String::as_str);
    let there = |folder: &&String| {
        let mut mounts = container.mounts.iter().flatten();
        mounts.any(|mount| mount.destination.as_ref() == Some(folder))
    };
    told_folders(told).iter().filter(there).map(|folder| apart(folder)).collect()
}

/// The folders a container got volumes for, as its label says.
pub(super) fn label(folders: &[&str]) -> String {
    serde_json::to_string(folders).unwrap_or_default()
}

fn told_folders(label: &str) -> Vec<String> {
    serde_json::from_str(label).unwrap_or_else(|_| {
        // Earlier versions wrote them with colons between.
        label.split(':').filter(|folder| !folder.is_empty()).map(str::to_owned).collect()
    })
}

fn apart(folder: &str) -> Mount {
    let why = (FOR_FILES.to_owned(), Text("read-only".to_owned()));
    Mount {
        kind: MountKind::Volume,
        source: None,
        target: folder.to_owned(),
        read_only: true,
        bind: None,
        volume: Some(VolumeOptions { labels: Pairs([why].into()), ..VolumeOptions::default() }),
        tmpfs: None,
        image: None,
    }
}

/// Files that cannot be where they are declared, of a spec in normal form.
pub(super) fn check(spec: &ContainerSpec) -> Vec<Problem> {
    let mut problems = Vec::new();
    for path in spec.files.0.keys() {
        let mount = around(&spec.volumes, path);
        let found = match (mount, memory(spec, path)) {
            (Some(mount), _) if is_for_files(mount) => None,
            (_, Some(folder)) if is_closed(spec, path) => Some((
                format!("`{path}` lies in the tmpfs `{folder}`"),
                "that folder is empty whenever the container starts: put the file into a \
                 folder of its own in it",
            )),
            (Some(mount), _) if mount.read_only || mount.kind == MountKind::Image => Some((
                format!("`{path}` cannot be written: `{}` is mounted read-only", mount.target),
                "put it where nothing is mounted, or mount a file of the machine there",
            )),
            (None, _) if spec.read_only => Some((
                format!("`{path}` cannot be written: `read_only` is on"),
                "put it into a folder, which gets a small volume for it",
            )),
            _ => None,
        };
        problems.extend(found.map(|(message, hint)| Problem {
            attribute: "files".to_owned(),
            message,
            hint: Some(hint.to_owned()),
        }));
    }
    problems
}

/// Sorts files by the way they take.
pub(super) fn ways<'a>(
    spec: &'a ContainerSpec,
    files: impl Iterator<Item = (&'a String, &'a Entry)>,
) -> BTreeMap<Way<'a>, Load<'a>> {
    let mut ways: BTreeMap<Way<'_>, Load<'_>> = BTreeMap::new();
    for (path, file) in files {
        let mount = around(&spec.volumes, path);
        let (way, rest) = match mount {
            Some(mount) if is_for_files(mount) => {
                (Way::Folder(&mount.target), below(&mount.target, path))
            }
            // From the root, the engine would say that it is read-only there.
            Some(mount) if spec.read_only => {
                (Way::Mount(&mount.target), below(&mount.target, path))
            }
            _ => (Way::Root, path.strip_prefix('/')),
        };
        ways.entry(way).or_default().insert(rest.unwrap_or(path).to_owned(), file);
    }
    ways
}

/// Copies in all that was not put into volumes before.
pub(super) async fn put_first(
    engine: &Engine,
    name: &Name,
    id: &str,
    spec: &ContainerSpec,
) -> Result<(), CallError> {
    for (way, load) in ways(spec, spec.files.0.iter()) {
        match way {
            Way::Root => upload(engine, name, id, "/", &load, &[]).await?,
            Way::Mount(target) => upload(engine, name, id, target, &load, &[]).await?,
            Way::Folder(_) => {}
        }
    }
    Ok(())
}

/// Copies in what `has` lacks.
pub(super) async fn put(
    engine: &Engine,
    name: &Name,
    id: &str,
    spec: &ContainerSpec,
    has: &Files,
) -> Result<(), CallError> {
    let new = spec.files.0.iter().filter(|(path, file)| has.0.get(*path) != Some(*file));
    for (way, load) in ways(spec, new) {
        match way {
            Way::Root => upload(engine, name, id, "/", &load, &[]).await?,
            Way::Mount(target) => upload(engine, name, id, target, &load, &[]).await?,
            Way::Folder(target) => {
                let volume = volume_at(engine, name, id, target).await?;
                let made = Helper::reach(engine, &volume, helper::marks(name));
                let helper = Box::pin(made).await?;
                let container = helper.container();
                let put = upload(engine, name, container, Helper::PATH, &load, &[]).await;
                helper.after(put).await?;
            }
        }
    }
    Ok(())
}

/// The name the engine gave to a volume that has none.
async fn volume_at(
    engine: &Engine,
    name: &Name,
    id: &str,
    target: &str,
) -> Result<String, CallError> {
    let container = inspect(engine, id).await?.unwrap_or_default();
    let mut mounts = container.mounts.into_iter().flatten();
    let mount = mounts.find(|mount| mount.destination.as_deref() == Some(target));
    mount.and_then(|mount| mount.name).ok_or_else(|| {
        let message =
            format!("container `{}` has no volume for the files in `{target}`", name.natural);
        CallError::refused(message).hint("make it anew: `--replace ADDRESS`")
    })
}

pub(super) async fn upload(
    engine: &Engine,
    name: &Name,
    id: &str,
    to: &str,
    load: &Load<'_>,
    points: &[Point],
) -> Result<(), CallError> {
    let doing = format!("copying files into container `{}`", name.natural);
    let archive = archive(load, points).map_err(|error| {
        CallError::refused(format!("{doing} failed: no archive of them: {error}"))
    })?;
    let options = UploadToContainerOptionsBuilder::new().path(to);
    // Where a folder is, the engine would remove it with all that is in it.
    let options = options.no_overwrite_dir_non_dir("true").build();
    let body = bollard::body_full(archive.into());
    let put = engine.docker.upload_to_container(id, Some(options), body).await;
    put.map_err(|error| {
        let failed = engine.failed(&doing, &error);
        if !said(&error).contains("cannot overwrite directory") {
            return failed;
        }
        failed.hint("a folder is where one of `files` is to be: name the file itself in it")
    })
}

/// An archive of files, and of what other mounts need.
pub(super) fn archive(load: &Load<'_>, points: &[Point]) -> std::io::Result<Vec<u8>> {
    let mut archive = Builder::new(Vec::new());
    for Point { path, what } in points {
        let mut header = Header::new_gnu();
        header.set_size(0);
        let path = match what {
            PointKind::Folder(mode) => {
                header.set_entry_type(EntryType::Directory);
                header.set_mode(*mode);
                format!("{path}/")
            }
            PointKind::File => {
                header.set_mode(0o644);
                path.clone()
            }
        };
        archive.append_data(&mut header, path, std::io::empty())?;
    }
    for (path, file) in load {
        let bytes = file.bytes();
        let mut header = Header::new_gnu();
        header.set_mode(file.mode.0);
        header.set_uid(file.uid.into());
        header.set_gid(file.gid.into());
        header.set_size(bytes.len() as u64);
        archive.append_data(&mut header, path, bytes.as_slice())?;
    }
    archive.into_inner()
}

/// Takes out what is not asked for any more; the engine cannot, so the container must.
pub(super) async fn take_out(
    engine: &Engine,
    name: &Name,
    id: &str,
    spec: &ContainerSpec,
    has: &Files,
) -> Result<(), CallError> {
    let gone = has.0.iter().filter(|(path, file)| {
        // Whatever made a folder of it has use for that.
        !spec.files.0.contains_key(*path) && !file.is_folder()
    });
    for (way, load) in ways(spec, gone) {
        let from = match way {
            Way::Root => "",
            Way::Mount(target) | Way::Folder(target) => target,
        };
        let command = remove(from, &load);
        let removed = if let Way::Folder(target) = way {
            let volume = volume_at(engine, name, id, target).await?;
            Box::pin(run_beside(engine, name, id, (&volume, target), command)).await?
        } else {
            in_container(engine, id, command).await
        };
        if removed {
            continue;
        }
        let names: Vec<_> = load.keys().map(|path| format!("`{from}/{path}`")).collect();
        let message = format!(
            "container `{}` cannot remove {} from itself: it does not run, or has no `rm`",
            name.natural,
            names.join(", ")
        );
        return Err(CallError::refused(message).hint(
            "remove the container and apply again, or keep the file: `content: \"\"` empties it",
        ));
    }
    Ok(())
}

fn remove(from: &str, load: &Load<'_>) -> Vec<String> {
    let command = ["rm", "-f", "--"].map(str::to_owned).into_iter();
    command.chain(load.keys().map(|path| format!("{from}/{path}"))).collect()
}

async fn in_container(engine: &Engine, id: &str, words: Vec<String>) -> bool {
    let user = Some("0".to_owned());
    let command = exec::Command { words, user, ..exec::Command::default() };
    let ended = exec::run(engine, id, command, Duration::ZERO).await;
    ended.is_ok_and(|ended| ended.code == 0)
}

/// Runs a program of the container's image beside it, where its volume can be written.
async fn run_beside(
    engine: &Engine,
    name: &Name,
    id: &str,
    (volume, target): (&str, &str),
    command: Vec<String>,
) -> Result<bool, CallError> {
    let doing = format!("removing files from container `{}`", name.natural);
    let image = inspect(engine, id).await?.and_then(|container| container.image);
    let body = ContainerCreateBody {
        image,
        entrypoint: Some(command),
        user: Some("0".to_owned()),
        host_config: Some(HostConfig {
            mounts: Some(vec![helper::mount(volume, target)]),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    };
    let (about, marks) = ((Purpose::Remove, volume), helper::marks(name));
    let helper = Helper::make(engine, &doing, about, "", marks, body).await?;
    let ran = helper.runs_well(Duration::ZERO).await;
    helper.after(Ok(ran)).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, from_value, json};

    fn spec(attributes: Value) -> ContainerSpec {
        let mut spec: ContainerSpec = from_value(attributes).unwrap();
        spec.normalize();
        spec
    }

    fn folders(attributes: Value) -> Vec<String> {
        let spec = spec(attributes);
        let mut again = spec.clone();
        again.normalize();
        assert_eq!(spec, again, "a normal form is its own normal form");
        assert!(check(&spec).is_empty(), "{:?}", check(&spec));
        let added = spec.volumes.0.iter().filter(|mount| is_for_files(mount));
        added.map(|mount| mount.target.clone()).collect()
    }

    #[test]
    fn folders_nothing_can_be_copied_into_get_a_volume() {
        let files = json!({ "/run/secrets/a": "1", "/run/secrets/sub/b": "2", "/etc/c": "3" });
        let plain = json!({ "image": "x", "files": files });
        assert!(folders(plain).is_empty());
        let closed = json!({ "image": "x", "read_only": true, "files": files });
        assert_eq!(folders(closed), ["/etc", "/run/secrets"]);
        // Memory is empty at each start, but for what is mounted in it.
        let memory = json!({ "image": "x", "tmpfs": "/run:size=1m", "files": files });
        assert_eq!(folders(memory), ["/run/secrets"]);
        let open = json!({ "image": "x", "read_only": true, "volumes": ["v:/run", "w:/etc"],
            "files": files });
        assert!(folders(open).is_empty());
    }

    #[test]
    fn what_cannot_be_is_said() {
        for (attributes, says) in [
            (json!({ "tmpfs": "/run", "files": { "/run/a": "" } }), "lies in the tmpfs `/run`"),
            (json!({ "read_only": true, "files": { "/a": "" } }), "`read_only` is on"),
            (json!({ "volumes": ["v:/v:ro"], "files": { "/v/a": "" } }), "mounted read-only"),
            (
                json!({ "volumes": [{ "type": "image", "source": "y", "target": "/v" }],
                    "files": { "/v/a": "" } }),
                "mounted read-only",
            ),
        ] {
            let mut whole = json!({ "image": "x" });
            whole.as_object_mut().unwrap().extend(attributes.as_object().unwrap().clone());
            let problems = check(&spec(whole));
            assert_eq!(problems.len(), 1, "{problems:?}");
            assert!(problems[0].message.contains(says), "{problems:?}");
        }
    }

    #[test]
    fn folders_come_back_from_their_label() {
        let folders = ["/etc/a:b", "/run/secrets"];
        assert_eq!(told_folders(&label(&folders)), folders);
        assert_eq!(told_folders("/etc/app:/run"), ["/etc/app", "/run"]);
        assert!(told_folders("").is_empty());
    }

    #[test]
    fn each_file_takes_the_way_there_is() {
        let spec = spec(json!({ "image": "x", "read_only": true, "volumes": ["v:/data"],
            "tmpfs": ["/etc/app/cache"],
            "files": { "/data/d/a": "1", "/etc/app/b": "2" } }));
        let ways = ways(&spec, spec.files.0.iter());
        let found: Vec<_> = ways.iter().map(|(way, load)| (way, load.keys().next())).collect();
        let path = |path: &str| path.to_owned();
        assert_eq!(
            found,
            [
                (&Way::Mount("/data"), Some(&path("d/a"))),
                (&Way::Folder("/etc/app"), Some(&path("b")))
            ]
        );
    }
}
