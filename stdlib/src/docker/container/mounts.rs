//! Volumes and folders in a container, in Compose's short and long forms.

use std::borrow::Cow;
use std::path::{Component, Path};

use bollard::models::{Mount as ApiMount, MountType};
use dollop_engine::resource::Problem;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::{Deserialize, Deserializer, Serialize, de};

use super::super::engine::Engine;

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
}

/// The long form.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Long {
    /// `bind` (a path of the host), `volume` or `tmpfs`.
    #[serde(rename = "type")]
    kind: MountKind,
    /// A `docker::volume` or its name, or a path of the host (`./conf` starts in the
    /// project folder).
    #[serde(default)]
    #[schemars(extend("x-handle" = "docker::volume"))]
    source: Option<String>,
    /// The path in the container.
    target: String,
    /// Whether the container may only read it.
    #[serde(default)]
    read_only: bool,
}

impl Mounts {
    fn from_mounts(mut mounts: Vec<Mount>) -> Self {
        mounts.sort_by(|a, b| a.target.cmp(&b.target));
        Self(mounts)
    }

    /// What the engine was told, read back. `wanted` says how paths were written.
    pub(super) fn observed(
        engine: &Engine,
        mounts: &[ApiMount],
        binds: &[String],
        wanted: &Self,
    ) -> Self {
        let long = mounts.iter().filter_map(|mount| {
            let kind = match mount.typ? {
                MountType::BIND => MountKind::Bind,
                MountType::TMPFS => MountKind::Tmpfs,
                _ => MountKind::Volume,
            };
            Some(Mount {
                kind,
                source: mount.source.clone().filter(|source| !source.is_empty()),
                target: mount.target.clone().unwrap_or_default(),
                read_only: mount.read_only.unwrap_or(false),
            })
        });
        // A container dollop did not make may have its mounts in the old form.
        let short = binds.iter().filter_map(|bind| short(bind).ok());
        let as_written = |mut mount: Mount| {
            let written = wanted.0.iter().find(|other| {
                other.kind == MountKind::Bind
                    && mount.kind == MountKind::Bind
                    && other.target == mount.target
            });
            if let Some(path) = written.and_then(|written| written.source.as_ref())
                && mount.source.as_ref() == Some(&engine.absolute(path))
            {
                mount.source = Some(path.clone());
            }
            mount
        };
        Self::from_mounts(long.chain(short).map(as_written).collect())
    }

    /// What the engine is told. The form that refuses a missing path of the host instead of
    /// making an empty folder there.
    pub(super) fn requested(&self, engine: &Engine) -> Vec<ApiMount> {
        let requested = |mount: &Mount| ApiMount {
            typ: Some(match mount.kind {
                MountKind::Bind => MountType::BIND,
                MountKind::Volume => MountType::VOLUME,
                MountKind::Tmpfs => MountType::TMPFS,
            }),
            source: mount.source.as_ref().map(|source| match mount.kind {
                MountKind::Bind => engine.absolute(source),
                _ => source.clone(),
            }),
            target: Some(mount.target.clone()),
            read_only: Some(mount.read_only),
            ..ApiMount::default()
        };
        self.0.iter().map(requested).collect()
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
            !mount.read_only && mount.source.is_some() && mount.kind != MountKind::Tmpfs
        });
        let any = keeping.clone().next().is_some();
        any && next.is_none_or(|next| {
            keeping.all(|mount| {
                next.0.iter().any(|other| {
                    (other.kind, &other.source, &other.target)
                        == (mount.kind, &mount.source, &mount.target)
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
                (MountKind::Volume, Some(source)) if source.contains('/') => {
                    let message = format!("`{source}` is no name of a volume");
                    problem(message, Some("a path of the host is `type: \"bind\"`"));
                }
                _ => {}
            }
        }
        problems
    }
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
    for option in mode.split(',') {
        match option {
            // The last three only tell Docker Desktop how lazily to synchronise.
            "" | "rw" | "cached" | "delegated" | "consistent" => {}
            "ro" => read_only = true,
            other => {
                return Err(format!(
                    "`{text}`: unknown option `{other}`; `ro` and `rw` are known"
                ));
            }
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

fn tidy_path(path: &str) -> String {
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
        let Long { kind, source, target, read_only } = long;
        Ok(tidy(Mount { kind, source, target, read_only }))
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
        assert_eq!(normal(json!(["/anonymous"]))[0]["source"], Value::Null);
        assert_eq!(normal(json!(["../up:/c"]))[0]["source"], "../up");
        assert_eq!(normal(json!([".:/c"]))[0]["source"], ".");
    }

    #[test]
    fn mistakes_are_named() {
        for (text, part) in [
            ("a:/b:rx", "unknown option `rx`"),
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
