//! Volumes and folders in a container, in Compose's short and long forms.

use std::borrow::Cow;
use std::path::{Component, Path};

use bollard::models::{
    Mount as ApiMount, MountImageOptions, MountTmpfsOptions, MountType, MountVolumeOptions,
};
use dollop_engine::resource::Problem;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::{Deserialize, Deserializer, Serialize, de};

use super::super::engine::Engine;
use super::inject;
use super::options::{
    BindOptions, ImageOptions, Recursive, Selinux, TmpfsOptions, VolumeOptions,
};
use super::pairs::Pairs;
use super::units::Bytes;

/// All mounts, in the order of their targets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Mounts(pub Vec<Mount>);

/// One place of the container's file system that lies elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mount {
    /// What it is.
    #[serde(rename = "type")]
    pub kind: MountKind,
    /// The volume's name or the path on the host; nothing for a volume of its own or a tmpfs.
    pub source: Option<String>,
    /// The path in the container.
    pub target: String,
    /// Whether the container may only read it.
    pub read_only: bool,
    /// What only a bind can be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bind: Option<BindOptions>,
    /// What only a volume can be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume: Option<VolumeOptions>,
    /// What only a tmpfs can be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tmpfs: Option<TmpfsOptions>,
    /// What only an image can be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageOptions>,
}

/// What is mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MountKind {
    /// A file or folder of the host.
    Bind,
    /// A volume.
    Volume,
    /// Memory.
    Tmpfs,
    /// The files of an image. Engines since 28.0.
    Image,
}

/// The long form.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Long {
    /// `bind` (a path of the host), `volume`, `tmpfs` or `image`.
    #[serde(rename = "type")]
    kind: MountKind,
    /// A `docker::volume` or its name, or a path of the host (`./conf` starts in the
    /// project folder), or an image.
    #[serde(default)]
    #[schemars(extend("x-handle" = ["docker::volume", "docker::image"]))]
    source: Option<String>,
    /// The path in the container.
    target: String,
    /// Whether the container may only read it.
    #[serde(default)]
    read_only: bool,
    /// For a bind.
    #[serde(default)]
    bind: Option<BindOptions>,
    /// For a volume.
    #[serde(default)]
    volume: Option<VolumeOptions>,
    /// For a tmpfs.
    #[serde(default)]
    tmpfs: Option<TmpfsOptions>,
    /// For an image.
    #[serde(default)]
    image: Option<ImageOptions>,
}

impl Mounts {
    fn from_mounts(mut mounts: Vec<Mount>) -> Self {
        mounts.sort_by(|a, b| a.target.cmp(&b.target));
        Self(mounts)
    }

    /// What the engine was told, read back, with those for files. `wanted` says how paths were
    /// written.
    pub(super) fn observed(
        engine: &Engine,
        (mounts, binds): (&[ApiMount], &[String]),
        for_files: Vec<Mount>,
        wanted: &Self,
    ) -> Self {
        let long = mounts.iter().filter_map(mount);
        // The old form: dollop's own for what the other cannot say, and that of others.
        let short = binds.iter().filter_map(|bind| short(bind).ok());
        let as_written = |mut mount: Mount| {
            let written = wanted.0.iter().find(|other| {
                other.kind == MountKind::Bind
                    && mount.kind == MountKind::Bind
                    && other.target == mount.target
            });
            if let Some(written) = written {
                if let Some(path) = written.source.as_ref()
                    && mount.source.as_ref() == Some(&engine.absolute(path))
                {
                    mount.source = Some(path.clone());
                }
                // That mattered when it was made, and the engine does not keep it.
                let makes = written.bind.as_ref().is_some_and(|bind| bind.create_host_path);
                let mut bind = mount.bind.take().unwrap_or_default();
                bind.create_host_path = makes;
                mount.bind = bind.normal();
            }
            mount
        };
        Self::from_mounts(long.chain(short).map(as_written).chain(for_files).collect())
    }

    /// What the engine is told: mounts, and binds in the old form.
    ///
    /// A mount is refused where the path of the host is missing, a bind makes an empty
    /// folder there; and only a bind can be labelled for SELinux.
    pub(super) fn requested(&self, engine: &Engine) -> (Vec<ApiMount>, Vec<String>) {
        let (mut mounts, mut binds) = (Vec::new(), Vec::new());
        // Those for files come from elsewhere.
        for mount in self.0.iter().filter(|mount| !inject::is_for_files(mount)) {
            let source = mount.source.as_ref().map(|source| match mount.kind {
                MountKind::Bind => engine.absolute(source),
                _ => source.clone(),
            });
            match mount.bind.as_ref().filter(|bind| bind.needs_old_form()) {
                Some(bind) => {
                    let mode = bind.old_form(mount.read_only);
                    let source = source.unwrap_or_default();
                    binds.push(format!("{source}:{}:{mode}", mount.target));
                }
                None => mounts.push(mount.requested(source)),
            }
        }
        (mounts, binds)
    }

    /// Whether something in it needs a newer engine: what, and the version of its API.
    pub(super) fn needs(&self) -> Option<(&'static str, usize)> {
        let needs = |mount: &Mount| {
            let subpath = |volume: &VolumeOptions| volume.subpath.is_some();
            let recursive = mount.bind.as_ref().and_then(|bind| bind.recursive);
            match mount.kind {
                _ if matches!(recursive, Some(Recursive::Writable | Recursive::Readonly)) => {
                    Some(("`recursive: \"writable\"` and `\"readonly\"` of a bind", 44))
                }
                MountKind::Image => Some(("a mount of type `image`", 48)),
                _ if mount.volume.as_ref().is_some_and(subpath) => {
                    Some(("`subpath` of a volume", 45))
                }
                _ => None,
            }
        };
        self.0.iter().filter_map(needs).max_by_key(|(_, version)| *version)
    }

    /// The volumes that must exist.
    pub(super) fn named(&self) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .filter(|mount| mount.kind == MountKind::Volume)
            .filter_map(|mount| mount.source.as_deref())
    }

    /// Whether something written to it is still there when the container is gone, and the
    /// next one has it in the same places.
    ///
    /// Which mount holds the data is not known, so every writable one must come along.
    pub(super) fn keep_data(&self, next: Option<&Self>) -> bool {
        let mut keeping = self.0.iter().filter(|mount| {
            let lasts = matches!(mount.kind, MountKind::Bind | MountKind::Volume);
            !mount.read_only && mount.source.is_some() && lasts
        });
        let any = keeping.clone().next().is_some();
        any && next.is_none_or(|next| {
            keeping.all(|mount| {
                next.0.iter().any(|other| {
                    (other.kind, &other.source, &other.target, &other.volume)
                        == (mount.kind, &mount.source, &mount.target, &mount.volume)
                })
            })
        })
    }

    pub(super) fn check(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut problem = |message: String, hint: Option<&str>| {
            problems.push(Problem {
                attribute: "volumes".to_owned(),
                message,
                hint: hint.map(str::to_owned),
            });
        };
        for (index, mount) in self.0.iter().enumerate() {
            if index > 0 && self.0[index - 1].target == mount.target {
                problem(format!("two mounts have the target `{}`", mount.target), None);
            }
            if !mount.target.starts_with('/') {
                let message = format!("target `{}` is no absolute path", mount.target);
                problem(message, Some("it is a path in the container, `/var/lib/data`"));
            }
            match (mount.kind, &mount.source) {
                (MountKind::Bind, None) => {
                    let message = format!("the bind at `{}` has no source", mount.target);
                    problem(message, Some("say which path of the host: `source: \"./conf\"`"));
                }
                (MountKind::Tmpfs, Some(_)) => {
                    let message = format!("the tmpfs at `{}` has a source", mount.target);
                    problem(message, Some("a tmpfs is memory: leave `source` out"));
                }
                (MountKind::Image, None) => {
                    let message = format!("the image at `{}` has no source", mount.target);
                    problem(message, Some("say which image: `source: img`"));
                }
                (MountKind::Volume, Some(source)) if source.contains('/') => {
                    let message = format!("`{source}` is no name of a volume");
                    problem(message, Some("a path of the host is `type: \"bind\"`"));
                }
                _ => {}
            }
            if let Some(bind) = &mount.bind
                && let Some(recursive) = bind.recursive
            {
                if bind.needs_old_form() {
                    let message = format!("the bind at `{}` says too much", mount.target);
                    let hint = "the engine takes `recursive` only without `create_host_path` \
                                and `selinux`";
                    problem(message, Some(hint));
                }
                let locks = matches!(recursive, Recursive::Writable | Recursive::Readonly);
                if locks && !mount.read_only {
                    let message = format!("the bind at `{}` is not read-only", mount.target);
                    problem(message, Some("say `read_only: true`, or leave `recursive` out"));
                }
            }
            if mount.source.is_some()
                && mount.volume.as_ref().is_some_and(|volume| !volume.labels.0.is_empty())
            {
                let message = format!("the volume at `{}` has a name", mount.target);
                problem(message, Some("its labels belong to its own `docker::volume`"));
            }
            let others = [
                ("bind", mount.bind.is_some(), MountKind::Bind),
                ("volume", mount.volume.is_some(), MountKind::Volume),
                ("tmpfs", mount.tmpfs.is_some(), MountKind::Tmpfs),
                ("image", mount.image.is_some(), MountKind::Image),
            ];
            for (options, given, kind) in others {
                if given && kind != mount.kind {
                    let message =
                        format!("the mount at `{}` is none of type `{options}`", mount.target);
                    problem(message, Some("options stand under the name of the type"));
                }
            }
        }
        problems
    }
}

impl Mount {
    /// What the engine is told, with the source as it knows it.
    pub(super) fn requested(&self, source: Option<String>) -> ApiMount {
        let volume = self.volume.as_ref().map(|volume| MountVolumeOptions {
            no_copy: Some(volume.nocopy),
            subpath: volume.subpath.clone(),
            labels: volume.labels.requested(),
            ..MountVolumeOptions::default()
        });
        let tmpfs = self.tmpfs.as_ref().map(|tmpfs| MountTmpfsOptions {
            size_bytes: tmpfs.size.map(|size| size.0),
            mode: tmpfs.mode.map(|mode| i64::from(mode.0)),
            ..MountTmpfsOptions::default()
        });
        let image = self.image.as_ref().map(|image| image.subpath.clone());
        ApiMount {
            typ: Some(match self.kind {
                MountKind::Bind => MountType::BIND,
                MountKind::Volume => MountType::VOLUME,
                MountKind::Tmpfs => MountType::TMPFS,
                MountKind::Image => MountType::IMAGE,
            }),
            source,
            target: Some(self.target.clone()),
            read_only: Some(self.read_only),
            bind_options: self.bind.as_ref().and_then(BindOptions::requested),
            volume_options: volume,
            tmpfs_options: tmpfs,
            image_options: image.map(|subpath| MountImageOptions { subpath }),
            ..ApiMount::default()
        }
    }
}

/// One mount, read back.
fn mount(api: &ApiMount) -> Option<Mount> {
    let kind = match api.typ? {
        MountType::BIND => MountKind::Bind,
        MountType::TMPFS => MountKind::Tmpfs,
        MountType::IMAGE => MountKind::Image,
        _ => MountKind::Volume,
    };
    let bind = api.bind_options.as_ref().map(BindOptions::observed);
    let volume = api.volume_options.as_ref().map(|volume| VolumeOptions {
        nocopy: volume.no_copy.unwrap_or(false),
        subpath: volume.subpath.clone().filter(|path| !path.is_empty()),
        labels: Pairs::observed(volume.labels.iter().flatten()),
    });
    let tmpfs = api.tmpfs_options.as_ref().map(|tmpfs| TmpfsOptions {
        size: tmpfs.size_bytes.filter(|size| *size > 0).map(Bytes),
        mode: tmpfs.mode.and_then(|mode| u32::try_from(mode).ok()).map(super::options::Octal),
    });
    let image = api.image_options.as_ref().map(|image| ImageOptions {
        subpath: image.subpath.clone().filter(|path| !path.is_empty()),
    });
    Some(Mount {
        kind,
        source: api.source.clone().filter(|source| !source.is_empty()),
        target: api.target.clone().unwrap_or_default(),
        read_only: api.read_only.unwrap_or(false),
        bind: bind.and_then(BindOptions::normal),
        volume: volume.and_then(VolumeOptions::normal),
        tmpfs: tmpfs.and_then(TmpfsOptions::normal),
        image: image.and_then(ImageOptions::normal),
    })
}

/// `name:/path[:ro]`, `/host:/path[:ro]`, `./rel:/path`, `/path`.
fn short(text: &str) -> Result<Mount, String> {
    let forms = "forms are `volume:/path`, `./folder:/path:ro`, `/host/path:/path`";
    let parts: Vec<_> = text.split(':').collect();
    let (source, target, mode) = match parts.as_slice() {
        [target] => (None, *target, ""),
        [source, target] => (Some(*source), *target, ""),
        [source, target, mode] => (Some(*source), *target, *mode),
        _ => return Err(format!("`{text}` is no mount: {forms}")),
    };
    if target.is_empty() || source == Some("") {
        return Err(format!("`{text}` is no mount: {forms}"));
    }
    let mut read_only = false;
    let (mut bind, mut volume) = (BindOptions::default(), VolumeOptions::default());
    for option in mode.split(',') {
        match option {
            // The last three only tell Docker Desktop how lazily to synchronise.
            "" | "rw" | "cached" | "delegated" | "consistent" => {}
            "ro" => read_only = true,
            "z" => bind.selinux = Some(Selinux::Shared),
            "Z" => bind.selinux = Some(Selinux::Private),
            "nocopy" => volume.nocopy = true,
            other => match other.parse() {
                Ok(propagation) => bind.propagation = Some(propagation),
                Err(()) => {
                    return Err(format!(
                        "`{text}`: unknown option `{other}`; `ro`, `rw`, `z`, `Z`, `nocopy` \
                         and the likes of `rslave` are known"
                    ));
                }
            },
        }
    }
    if source.is_some_and(|source| source.starts_with('~')) {
        return Err(format!("`{text}`: `~` means nothing here; write the whole path"));
    }
    let is_path = source.is_some_and(|source| source.starts_with(['.', '/']));
    let kind = if is_path { MountKind::Bind } else { MountKind::Volume };
    Ok(tidy(Mount {
        kind,
        source: source.map(str::to_owned),
        target: target.to_owned(),
        read_only,
        // On a named volume, a label for SELinux says nothing: the engine labels its own.
        bind: bind.normal().filter(|_| is_path),
        volume: volume.normal(),
        tmpfs: None,
        image: None,
    }))
}

/// Paths without what does not count: `./conf/` and `conf` are the same.
fn tidy(mut mount: Mount) -> Mount {
    mount.target = tidy_path(&mount.target);
    if mount.kind == MountKind::Bind {
        mount.source = mount.source.map(|source| {
            let path = tidy_path(&source);
            let relative = !path.starts_with('/');
            if relative && path != "." && !path.starts_with("..") {
                format!("./{path}")
            } else {
                path
            }
        });
    }
    mount
}

/// A path without what does not count.
pub(super) fn tidy_path(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for part in Path::new(path).components() {
        match part {
            Component::ParentDir if kept.last().is_some_and(|last| *last != "..") => {
                kept.pop();
            }
            Component::ParentDir => kept.push(".."),
            Component::Normal(part) => kept.push(part.to_str().unwrap_or_default()),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    let joined = kept.join("/");
    match (path.starts_with('/'), joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_owned(),
        (false, false) => joined,
    }
}

impl<'de> Deserialize<'de> for Mounts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::<Mount>::deserialize(deserializer).map(Self::from_mounts)
    }
}

impl<'de> Deserialize<'de> for Mount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ShortOrLong)
    }
}

struct ShortOrLong;

impl<'de> de::Visitor<'de> for ShortOrLong {
    type Value = Mount;

    fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("text like `volume:/path` or a map")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Mount, E> {
        short(text).map_err(E::custom)
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Mount, A::Error> {
        let long = Long::deserialize(MapAccessDeserializer::new(map))?;
        let Long { kind, source, target, read_only, bind, volume, tmpfs, image } = long;
        Ok(tidy(Mount {
            kind,
            source,
            target,
            read_only,
            bind: bind.and_then(BindOptions::normal),
            volume: volume.and_then(VolumeOptions::normal),
            tmpfs: tmpfs.and_then(TmpfsOptions::normal),
            image: image.and_then(ImageOptions::normal),
        }))
    }
}

impl JsonSchema for Mounts {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Mounts".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let long = generator.subschema_for::<Long>();
        json_schema!({
            "type": "array",
            "items": { "anyOf": [{ "type": "string" }, long] }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, from_value, json, to_value};

    fn normal(entries: Value) -> Value {
        to_value(from_value::<Mounts>(entries).unwrap()).unwrap()
    }

    #[test]
    fn short_and_long_forms_become_one() {
        let long =
            json!([{ "type": "volume", "source": "data", "target": "/d", "read_only": true }]);
        assert_eq!(normal(json!(["data:/d/:ro"])), long);
        assert_eq!(normal(long.clone()), long);
        for path in ["./conf", "./conf/", "./x/../conf"] {
            let found = normal(json!([format!("{path}:/c")]));
            assert_eq!(found[0]["source"], "./conf", "{path}");
            assert_eq!(found[0]["type"], "bind");
        }
        let short = normal(json!(["/a:/b:ro,Z,rslave"]));
        let options = json!({ "selinux": "Z", "propagation": "rslave" });
        let long = json!([{ "type": "bind", "source": "/a", "target": "/b", "read_only": true,
            "bind": options }]);
        assert_eq!(short, normal(long));
        assert_eq!(normal(json!(["/anonymous"]))[0]["source"], Value::Null);
        assert_eq!(normal(json!(["../up:/c"]))[0]["source"], "../up");
        assert_eq!(normal(json!([".:/c"]))[0]["source"], ".");
    }

    #[test]
    fn mistakes_are_named() {
        for (text, part) in [
            ("a:/b:rx", "unknown option `rx`"),
            ("~/x:/b", "whole path"),
            ("~/a:/b", "whole path"),
            (":/b", "no mount"),
            ("a:b:c:d", "no mount"),
        ] {
            let error = from_value::<Mounts>(json!([text])).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
        let twice: Mounts = from_value(json!(["a:/x", "b:/x/"])).unwrap();
        assert_eq!(twice.check().len(), 1);
    }
}
