//! How files get into a container, and out of it again.
//!
//! The engine copies into a container before it starts, so its image needs no program for
//! it. Where that cannot be, because the file system of the container is read-only or the
//! folder is memory that is empty at each start, the folder gets a small volume without a
//! name, which is read-only to the container and goes with it.
//!
//! The engine makes no such volume by itself. So another container is made from the same
//! image, which never runs: it gets the volumes, with what the image has in these folders, and
//! the files; the real one has its volumes from there, read-only; then the other goes. What
//! changes later is copied through a [`Helper`].

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bollard::models::{
    ContainerCreateBody, ContainerInspectResponse, HostConfig, ImageInspect, Mount as ApiMount,
    MountType,
};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, RemoveContainerOptionsBuilder,
    UploadToContainerOptionsBuilder,
};
use dollop_engine::error::CallError;
use dollop_engine::resource::{Name, Problem};
use futures::StreamExt as _;
use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType, Header};

use super::super::engine::{Engine, status};
use super::super::helper::Helper;
use super::super::{exec, labels};
use super::files::{Entry, Files};
use super::mounts::{Mount, MountKind, Mounts};
use super::options::VolumeOptions;
use super::pairs::Pairs;
use super::read::inspect;
use super::spec::ContainerSpec;
use crate::text::Text;

/// The label of a volume that files are put into, for a folder nothing can be copied into;
/// and that of a container that has such volumes, with their folders.
pub(super) const FOR_FILES: &str = labels::FILES;
/// How the containers begin that volumes are filled through.
const FILLER: &str = "dollop-files-";

/// Files to copy, with their paths from where they are copied to.
type Load<'a> = BTreeMap<String, &'a Entry>;

/// Where a file is copied to.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Way<'a> {
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
    let folders = labels.and_then(|labels| labels.get(FOR_FILES)).map_or("", String::as_str);
    let folders = folders.split(':').filter(|folder| !folder.is_empty());
    let there = |folder: &&str| {
        let mut mounts = container.mounts.iter().flatten();
        mounts.any(|mount| mount.destination.as_deref() == Some(folder))
    };
    folders.filter(there).map(apart).collect()
}

/// Whether a container has volumes from another only because they were filled through it.
pub(super) fn is_filler(from: &str) -> bool {
    from.starts_with(FILLER)
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
            (Some(mount), _) if mount.read_only => Some((
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
fn ways<'a>(
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

/// A container through which the volumes of another are made and filled.
pub(super) struct Filler {
    name: String,
}

impl Filler {
    /// Makes the volumes and puts the files into them.
    pub(super) async fn make(
        engine: &Engine,
        name: &Name,
        spec: &ContainerSpec,
        image: &ImageInspect,
    ) -> Result<Self, CallError> {
        let doing = format!("creating the volumes for files of container `{}`", name.natural);
        // One that a killed run left is found by its name.
        let digest = hex::encode(Sha256::digest(&name.natural));
        let filler = Self { name: format!("{FILLER}{}", &digest[..16]) };
        filler.removed(engine, true).await?;
        let mounts = spec.volumes.0.iter().filter(|mount| is_for_files(mount));
        let mounts = mounts.map(|mount| mount.requested(None));
        let mounts = mounts.map(|mount| ApiMount { read_only: Some(false), ..mount });
        // What the image wants volumes for, the container gets by itself, and may write to.
        let wanted = image.config.as_ref().and_then(|config| config.volumes.as_ref());
        let own = folders(spec);
        let is_own = |path: &&String| own.contains(&path.trim_end_matches('/'));
        let others = wanted.into_iter().flatten().filter(|path| !is_own(path));
        let others = others.map(|path| (path.clone(), String::new()));
        let body = ContainerCreateBody {
            image: image.id.clone(),
            // It is never started, but the engine wants to know.
            cmd: Some(vec!["nothing".to_owned()]),
            host_config: Some(HostConfig {
                mounts: Some(mounts.collect()),
                tmpfs: Some(others.collect()),
                network_mode: Some("none".to_owned()),
                ..HostConfig::default()
            }),
            ..ContainerCreateBody::default()
        };
        let options = CreateContainerOptionsBuilder::new().name(&filler.name);
        let options = options.platform(spec.platform.as_deref().unwrap_or_default()).build();
        let made = engine.docker.create_container(Some(options), body).await;
        made.map_err(|error| engine.failed(&doing, &error))?;
        if let Err(error) = filler.fill(engine, name, spec).await {
            filler.removed(engine, true).await?;
            return Err(error);
        }
        Ok(filler)
    }

    async fn fill(
        &self,
        engine: &Engine,
        name: &Name,
        spec: &ContainerSpec,
    ) -> Result<(), CallError> {
        let (mut load, mut folders) = (Load::new(), Vec::new());
        for (way, files) in ways(spec, spec.files.0.iter()) {
            let Way::Folder(target) = way else { continue };
            let inside = target.trim_start_matches('/');
            load.extend(
                files.into_iter().map(|(path, file)| (format!("{inside}/{path}"), file)),
            );
            let within = mounts_within(spec, target).into_iter();
            folders.extend(within.map(|folder| format!("{inside}/{folder}")));
        }
        upload(engine, name, &self.name, "/", &load, &folders).await
    }

    /// Where another container has these volumes from.
    pub(super) fn source(&self) -> String {
        format!("{}:ro", self.name)
    }

    /// Takes it away, and its volumes when nobody else has them.
    pub(super) async fn removed(&self, engine: &Engine, all: bool) -> Result<(), CallError> {
        let options = RemoveContainerOptionsBuilder::new().force(true).v(all).build();
        match engine.docker.remove_container(&self.name, Some(options)).await {
            Err(error) if status(&error) != Some(404) => {
                Err(engine.failed(&format!("removing `{}`", self.name), &error))
            }
            _ => Ok(()),
        }
    }
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
                let within = mounts_within(spec, target);
                let helper = Helper::make(engine, &volume).await?;
                let container = helper.container();
                let put = upload(engine, name, container, Helper::PATH, &load, &within).await;
                let removed = helper.removed(engine).await;
                put?;
                removed?;
            }
        }
    }
    Ok(())
}

/// Folders that must be there for other mounts, since nobody can make them later.
fn mounts_within(spec: &ContainerSpec, folder: &str) -> Vec<String> {
    let short = spec.tmpfs.0.iter().map(|entry| entry.split(':').next().unwrap_or_default());
    let long = spec.volumes.0.iter();
    // What is bound from the machine may be a file.
    let long = long.filter(|mount| matches!(mount.kind, MountKind::Volume | MountKind::Tmpfs));
    let all = short.chain(long.map(|mount| mount.target.as_str()));
    all.filter_map(|target| below(folder, target).map(str::to_owned)).collect()
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

async fn upload(
    engine: &Engine,
    name: &Name,
    id: &str,
    to: &str,
    load: &Load<'_>,
    folders: &[String],
) -> Result<(), CallError> {
    let doing = format!("copying files into container `{}`", name.natural);
    let archive = archive(load, folders).map_err(|error| {
        CallError::refused(format!("{doing} failed: no archive of them: {error}"))
    })?;
    let options = UploadToContainerOptionsBuilder::new().path(to).build();
    let body = bollard::body_full(archive.into());
    let put = engine.docker.upload_to_container(id, Some(options), body).await;
    put.map_err(|error| engine.failed(&doing, &error))
}

/// An archive of files, and of empty folders.
pub(super) fn archive(load: &Load<'_>, folders: &[String]) -> std::io::Result<Vec<u8>> {
    let mut archive = Builder::new(Vec::new());
    for folder in folders {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Directory);
        header.set_mode(0o755);
        header.set_size(0);
        archive.append_data(&mut header, format!("{folder}/"), std::io::empty())?;
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
    let gone = has.0.iter().filter(|(path, _)| !spec.files.0.contains_key(*path));
    for (way, load) in ways(spec, gone) {
        let from = match way {
            Way::Root => "",
            Way::Mount(target) | Way::Folder(target) => target,
        };
        let command = remove(from, &load);
        let removed = if let Way::Folder(target) = way {
            let volume = volume_at(engine, name, id, target).await?;
            run_beside(engine, name, id, (&volume, target), command).await?
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
    let failed = |error| engine.failed(&doing, &error);
    let mount = ApiMount {
        typ: Some(MountType::VOLUME),
        source: Some(volume.to_owned()),
        target: Some(target.to_owned()),
        ..ApiMount::default()
    };
    let image = inspect(engine, id).await?.and_then(|container| container.image);
    let body = ContainerCreateBody {
        image,
        entrypoint: Some(command),
        user: Some("0".to_owned()),
        host_config: Some(HostConfig {
            mounts: Some(vec![mount]),
            network_mode: Some("none".to_owned()),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    };
    let beside = engine.docker.create_container(None, body).await.map_err(failed)?.id;
    let ended = async {
        engine.docker.start_container(&beside, None).await?;
        let mut waits = std::pin::pin!(engine.docker.wait_container(&beside, None));
        waits.next().await.transpose()
    };
    let ended = ended.await;
    let options = RemoveContainerOptionsBuilder::new().force(true).build();
    engine.docker.remove_container(&beside, Some(options)).await.map_err(failed)?;
    Ok(ended.is_ok_and(|ended| ended.is_some_and(|ended| ended.status_code == 0)))
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
        ] {
            let mut whole = json!({ "image": "x" });
            whole.as_object_mut().unwrap().extend(attributes.as_object().unwrap().clone());
            let problems = check(&spec(whole));
            assert_eq!(problems.len(), 1, "{problems:?}");
            assert!(problems[0].message.contains(says), "{problems:?}");
        }
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
        assert_eq!(mounts_within(&spec, "/etc/app"), ["cache"]);
    }
}
