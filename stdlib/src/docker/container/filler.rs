//! Volumes for the files of a container that nothing can be copied into.
//!
//! The engine makes no such volume by itself. So another container is made from the same
//! image, which never runs: it gets the volumes, with what the image has in these folders, and
//! the files; the real one has its volumes from there, read-only; then the other goes.

use std::path::Path;

use bollard::models::{ContainerCreateBody, HostConfig, ImageInspect, Mount as ApiMount};
use bollard::query_parameters::ContainerArchiveInfoOptionsBuilder;
use dollop_engine::error::CallError;
use dollop_engine::resource::Name;

use super::super::engine::{Engine, status};
use super::super::helper::{self, Helper, Purpose};
use super::inject::{self, Load, Way, below};
use super::mounts::{Mount, MountKind};
use super::spec::ContainerSpec;

/// The permissions of a folder in memory nobody said any of: everybody may write there.
const OPEN: u32 = 0o1777;
/// Those of other folders.
const PLAIN: u32 = 0o755;

/// What must be there for another mount, since nobody can make it later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Point {
    pub(super) path: String,
    pub(super) what: PointKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PointKind {
    /// An empty folder with these permissions.
    Folder(u32),
    /// An empty file.
    File,
}

/// A mount within a folder for files.
struct Within<'a> {
    /// Its path in the folder.
    path: &'a str,
    /// Its permissions, where it is memory.
    mode: u32,
    /// Where it is on the machine, for a bind.
    source: Option<&'a str>,
}

/// Whether a container has volumes from another only because they were filled through it.
pub(super) fn is_filler(from: &str) -> bool {
    from.starts_with(Purpose::Fill.prefix())
}

/// A container through which the volumes of another are made and filled.
pub(super) struct Filler<'a>(Helper<'a>);

impl<'a> Filler<'a> {
    /// Makes the volumes and puts the files into them.
    pub(super) async fn make(
        engine: &'a Engine,
        name: &Name,
        spec: &ContainerSpec,
        image: &ImageInspect,
    ) -> Result<Self, CallError> {
        let doing = format!("creating the volumes for files of container `{}`", name.natural);
        let mounts = spec.volumes.0.iter().filter(|mount| inject::is_for_files(mount));
        let mounts = mounts.map(|mount| mount.requested(None));
        let mounts = mounts.map(|mount| ApiMount { read_only: Some(false), ..mount });
        // What the image wants volumes for, the container gets by itself, and may write to.
        let wanted = image.config.as_ref().and_then(|config| config.volumes.as_ref());
        let own = inject::folders(spec);
        let is_own = |path: &&String| own.contains(&path.trim_end_matches('/'));
        let others = wanted.into_iter().flatten().filter(|path| !is_own(path));
        let others = others.map(|path| (path.clone(), String::new()));
        let body = ContainerCreateBody {
            image: image.id.clone(),
            host_config: Some(HostConfig {
                mounts: Some(mounts.collect()),
                tmpfs: Some(others.collect()),
                ..HostConfig::default()
            }),
            ..ContainerCreateBody::default()
        };
        let (about, platform) =
            ((Purpose::Fill, name.natural.as_str()), spec.platform.as_deref());
        let platform = platform.unwrap_or_default();
        let marks = helper::marks(name);
        let helper = Helper::make(engine, &doing, about, platform, marks, body).await?;
        match fill(engine, name, spec, helper.container()).await {
            Ok(()) => Ok(Self(helper)),
            Err(error) => helper.after(Err(error)).await,
        }
    }

    /// Where another container has these volumes from.
    pub(super) fn source(&self) -> String {
        format!("{}:ro", self.0.container())
    }

    /// Takes it away; its volumes stay when another container was made that has them.
    pub(super) async fn removed(self, handed_on: bool) -> Result<(), CallError> {
        if handed_on { self.0.handed_on().await } else { self.0.after(Ok(())).await }
    }
}

async fn fill(
    engine: &Engine,
    name: &Name,
    spec: &ContainerSpec,
    filler: &str,
) -> Result<(), CallError> {
    let (mut load, mut points) = (Load::new(), Vec::new());
    for (way, files) in inject::ways(spec, spec.files.0.iter()) {
        let Way::Folder(target) = way else { continue };
        let inside = target.trim_start_matches('/');
        load.extend(files.into_iter().map(|(path, file)| (format!("{inside}/{path}"), file)));
        for within in mounts_within(spec, target) {
            let path = format!("{inside}/{}", within.path);
            // What the image has there keeps its owner and permissions.
            if !has(engine, filler, &path).await? {
                points.extend(point(engine, name, target, &within, path)?);
            }
        }
    }
    inject::upload(engine, name, filler, "/", &load, &points).await
}

/// Whether there is something at a path of a container.
async fn has(engine: &Engine, container: &str, path: &str) -> Result<bool, CallError> {
    let options = ContainerArchiveInfoOptionsBuilder::new().path(&format!("/{path}")).build();
    let found = engine.docker.get_container_archive_info(container, Some(options)).await;
    match found {
        Ok(_) => Ok(true),
        Err(error) if status(&error) == Some(404) => Ok(false),
        Err(error) => Err(engine.failed(&format!("looking at `/{path}` of an image"), &error)),
    }
}

/// What to make for a mount; nothing where the engine will refuse it anyway.
fn point(
    engine: &Engine,
    name: &Name,
    folder: &str,
    within: &Within<'_>,
    path: String,
) -> Result<Option<Point>, CallError> {
    let Some(source) = within.source else {
        return Ok(Some(Point { path, what: PointKind::Folder(within.mode) }));
    };
    if !engine.is_local() {
        let message = format!(
            "container `{}` cannot have `{source}` at `/{path}`: it lies in `{folder}`, a folder \
             of its `files`, and whether it is a file or a folder only the machine of the engine \
             knows",
            name.natural
        );
        return Err(CallError::refused(message)
            .hint("mount it elsewhere, or put the files into another folder"));
    }
    let what = match std::fs::metadata(Path::new(&engine.absolute(source))) {
        Ok(meta) if meta.is_dir() => PointKind::Folder(PLAIN),
        Ok(_) => PointKind::File,
        // Then the engine makes a folder or refuses.
        Err(_) => PointKind::Folder(PLAIN),
    };
    Ok(Some(Point { path, what }))
}

/// The other mounts in a folder for files.
fn mounts_within<'a>(spec: &'a ContainerSpec, folder: &str) -> Vec<Within<'a>> {
    let short = spec.tmpfs.0.iter().filter_map(|entry| {
        let (path, options) = entry.split_once(':').unwrap_or((entry, ""));
        let mode = options.split(',').find_map(|option| option.strip_prefix("mode="));
        let mode = mode.and_then(|mode| u32::from_str_radix(mode, 8).ok()).unwrap_or(OPEN);
        Some(Within { path: below(folder, path)?, mode, source: None })
    });
    let long = spec.volumes.0.iter().filter_map(|mount: &Mount| {
        let mode = mount.tmpfs.as_ref().and_then(|tmpfs| tmpfs.mode);
        let mode = match mount.kind {
            MountKind::Tmpfs => mode.map_or(OPEN, |mode| mode.0),
            MountKind::Bind | MountKind::Volume | MountKind::Image => PLAIN,
        };
        let source = mount.source.as_deref().filter(|_| mount.kind == MountKind::Bind);
        Some(Within { path: below(folder, &mount.target)?, mode, source })
    });
    short.chain(long).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{from_value, json};

    #[test]
    fn mounts_in_a_folder_for_files_are_found_with_their_permissions() {
        let mut spec: ContainerSpec = from_value(json!({ "image": "x", "read_only": true,
            "tmpfs": ["/etc/app/a", "/etc/app/b:size=1m,mode=700", "/run"],
            "volumes": ["v:/etc/app/c", "./d:/etc/app/d",
                { "type": "tmpfs", "target": "/etc/app/e", "tmpfs": { "mode": "0750" } },
                { "type": "image", "source": "y", "target": "/etc/app/f" }],
            "files": { "/etc/app/x": "1" } }))
        .unwrap();
        spec.normalize();
        let found = mounts_within(&spec, "/etc/app");
        let found = found.iter().map(|one| (one.path, one.mode, one.source));
        assert_eq!(
            found.collect::<Vec<_>>(),
            [
                ("a", 0o1777, None),
                ("b", 0o700, None),
                ("c", 0o755, None),
                ("d", 0o755, Some("./d")),
                ("e", 0o750, None),
                ("f", 0o755, None),
            ]
        );
    }
}
