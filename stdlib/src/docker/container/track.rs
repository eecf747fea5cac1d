//! What is mounted from the machine and counts by its content: configuration that its
//! program has read and that somebody edits.
//!
//! The engine knows nothing of it, and the container sees every edit at once. So what its
//! program was last told of is kept as a digest among the facts, and compared.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use dollop_engine::error::CallError;
use dollop_engine::resource::{Problem, STATE_FOLDER, Scope, Wanted};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};
use sha2::{Digest as _, Sha256};
use walkdir::WalkDir;

use super::super::content;
use super::super::engine::{Engine, absolute};
use super::files::OnChange;
use super::mounts::{MountKind, Mounts, tidy_path};
use super::spec::ContainerSpec;

/// The most files and folders in one mount: they are read with every plan.
const MOST_ENTRIES: u64 = 10_000;
/// The most bytes in them.
const MOST_BYTES: u64 = 64 << 20;

/// Digests by the path in the container.
pub(super) type Digests = BTreeMap<String, String>;

/// Mounts whose content counts, by their path in the container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct Track(pub BTreeMap<String, Tracked>);

/// One mount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tracked {
    /// What happens to a running container when something in it changes.
    pub on_change: OnChange,
    /// Whether its program was told of what is there now.
    pub up_to_date: bool,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Long {
    /// What happens to a running container when something in it changes: `restart`,
    /// `signal:HUP` or `none`.
    #[serde(default)]
    on_change: OnChange,
    /// Whether its program must have been told of what is there now. A plan shows `false`
    /// when something was edited.
    #[serde(default = "yes")]
    up_to_date: bool,
}

fn yes() -> bool {
    true
}

impl<'de> Deserialize<'de> for Tracked {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrMap;
        impl<'de> serde::de::Visitor<'de> for TextOrMap {
            type Value = Tracked;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("`restart`, a signal or `none`")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Tracked, E> {
                let on_change = text.parse().map_err(E::custom)?;
                Ok(Tracked { on_change, up_to_date: true })
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                map: A,
            ) -> Result<Tracked, A::Error> {
                let map = serde::de::value::MapAccessDeserializer::new(map);
                let Long { on_change, up_to_date } = Long::deserialize(map)?;
                Ok(Tracked { on_change, up_to_date })
            }
        }
        deserializer.deserialize_any(TextOrMap)
    }
}

impl JsonSchema for Tracked {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Tracked".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let long = generator.subschema_for::<Long>();
        json_schema!({ "anyOf": [{ "type": "string" }, long] })
    }
}

impl<'de> Deserialize<'de> for Track {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mounts = BTreeMap::<String, Tracked>::deserialize(deserializer)?;
        Ok(Self(mounts.into_iter().map(|(path, one)| (tidy_path(&path), one)).collect()))
    }
}

impl Track {
    pub(super) fn check(&self, mounts: &Mounts) -> Vec<Problem> {
        let unknown = self.0.keys().filter(|path| source(mounts, path).is_none());
        let problem = |path: &String| Problem {
            attribute: "track".to_owned(),
            message: format!("no path of the machine is mounted at `{path}`"),
            hint: Some("name the target of a bind in `volumes`, `./conf:/etc/app`".to_owned()),
        };
        unknown.map(problem).collect()
    }

    /// How it stands, from the digests of what its program was last told of. Those of an
    /// object that nothing is recorded of begin with what is there now.
    pub(super) async fn observed(
        scope: &Scope,
        wanted: &Wanted<ContainerSpec>,
    ) -> (Self, Digests) {
        let (mut found, mut kept) = (Self::default(), Digests::new());
        let told = wanted.facts.as_ref().map(|facts| &facts["tracked"]);
        for (path, one) in &wanted.spec.track.0 {
            // What cannot be read is no reason to stop a plan that may take it out; telling
            // says what is wrong with it.
            let now = digest(scope, &wanted.spec.volumes, path).await.ok();
            let then = match told {
                Some(told) => told[path].as_str().map(str::to_owned),
                None => now.clone(),
            };
            let up_to_date = one.up_to_date && now.is_some() && then == now;
            found.0.insert(path.clone(), Tracked { up_to_date, ..one.clone() });
            kept.extend(then.map(|then| (path.clone(), then)));
        }
        (found, kept)
    }

    /// What its program is about to be told of.
    pub(super) async fn seen(
        engine: &Engine,
        spec: &ContainerSpec,
    ) -> Result<Digests, CallError> {
        if !spec.track.0.is_empty() && !engine.is_local() {
            let message = format!("`track` cannot look into folders of `{}`", engine.at);
            return Err(CallError::refused(message)
                .hint("leave it out, or put the files in by `files`"));
        }
        let mut seen = Digests::new();
        for path in spec.track.0.keys() {
            seen.insert(path.clone(), digest(&engine.scope, &spec.volumes, path).await?);
        }
        Ok(seen)
    }

    /// The strongest of what the changed ones ask for; what is tracked from now on has not
    /// changed.
    pub(super) fn on_change(&self, from: &Self) -> OnChange {
        let stale = |path: &String| from.0.get(path).is_some_and(|one| !one.up_to_date);
        let changed = self.0.iter().filter(|(path, one)| one.up_to_date && stale(path));
        changed.map(|(_, one)| one.on_change.clone()).max().unwrap_or(OnChange::None)
    }
}

/// The digests of what is tracked, by the paths of the machine.
pub(super) async fn sources(scope: &Scope, spec: &ContainerSpec) -> Result<Digests, CallError> {
    let mut found = Digests::new();
    for path in spec.track.0.keys() {
        let source = source(&spec.volumes, path).unwrap_or_default();
        found.insert(source.to_owned(), digest(scope, &spec.volumes, path).await?);
    }
    Ok(found)
}

/// The path of the machine that is mounted there.
fn source<'a>(mounts: &'a Mounts, target: &str) -> Option<&'a str> {
    let bind =
        |mount: &&super::mounts::Mount| mount.kind == MountKind::Bind && mount.target == target;
    mounts.0.iter().find(bind)?.source.as_deref()
}

async fn digest(scope: &Scope, mounts: &Mounts, target: &str) -> Result<String, CallError> {
    let source = source(mounts, target).unwrap_or_default().to_owned();
    let place = PathBuf::from(absolute(scope, &source));
    let read = tokio::task::spawn_blocking(move || all(&place)).await;
    let read = read.unwrap_or_else(|error| Err(error.to_string()));
    read.map_err(|why| {
        CallError::refused(format!("what `track` names at `{target}` cannot be read: {why}"))
            .hint("check the source in `volumes`, or take it out of `track`")
    })
}

/// A digest of a file, or of a folder with everything in it.
fn all(place: &Path) -> Result<String, String> {
    // The mount leads to what a link leads to.
    let place = content::at(place, std::fs::canonicalize(place)).map_err(|e| e.to_string())?;
    let mut hasher = Sha256::new();
    let (mut entries, mut bytes) = (0, 0);
    let walk = WalkDir::new(&place).sort_by_file_name().into_iter();
    for entry in walk.filter_entry(|entry| entry.file_name() != STATE_FOLDER) {
        let entry = entry.map_err(|error| error.to_string())?;
        entries += 1;
        if entry.file_type().is_file() {
            bytes += entry.metadata().map_err(|error| error.to_string())?.len();
        }
        if entries > MOST_ENTRIES || bytes > MOST_BYTES {
            return Err(format!(
                "`{}` holds more than {MOST_ENTRIES} files or {} MiB",
                place.display(),
                MOST_BYTES >> 20
            ));
        }
        let name = entry.path().strip_prefix(&place).unwrap_or(entry.path());
        content::add(&mut hasher, entry.path(), &name.to_string_lossy())
            .map_err(|error| error.to_string())?;
    }
    Ok(hex::encode(hasher.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{from_value, json, to_value};

    #[test]
    fn text_is_a_map_and_paths_are_tidied() {
        let short: Track = from_value(json!({ "/etc/../conf/": "signal:hup" })).unwrap();
        let long = json!({ "/conf": { "on_change": "signal:SIGHUP", "up_to_date": true } });
        assert_eq!(to_value(&short).unwrap(), long);
        assert_eq!(from_value::<Track>(long).unwrap(), short);
        let error = from_value::<Track>(json!({ "/c": "reload" })).unwrap_err().to_string();
        assert!(error.contains("none of `restart`"), "{error}");
    }

    #[test]
    fn only_mounts_of_the_machine_are_tracked() {
        let mounts: Mounts = from_value(json!(["./conf:/conf", "data:/data"])).unwrap();
        let track: Track =
            from_value(json!({ "/conf": "none", "/data": "none", "/x": "none" })).unwrap();
        let problems: Vec<_> = track.check(&mounts).into_iter().map(|p| p.message).collect();
        assert_eq!(
            problems,
            [
                "no path of the machine is mounted at `/data`",
                "no path of the machine is mounted at `/x`"
            ]
        );
    }

    #[test]
    fn what_changed_decides_what_happens() {
        let track = |fresh: bool| -> Track {
            from_value(json!({
                "/a": { "on_change": "restart" },
                "/b": { "on_change": "signal:HUP", "up_to_date": fresh },
            }))
            .unwrap()
        };
        assert_eq!(track(true).on_change(&track(true)), OnChange::None);
        let told = OnChange::Signal("SIGHUP".into());
        assert_eq!(track(true).on_change(&track(false)), told);
        assert_eq!(track(true).on_change(&Track::default()), OnChange::None);
    }

    #[test]
    fn everything_in_a_folder_counts_and_not_when_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("a/b.conf", "1");
        let first = all(folder.path()).unwrap();
        write("a/b.conf", "1");
        write(".dollop/key", "1");
        assert_eq!(all(folder.path()).unwrap(), first);
        write("a/b.conf", "2");
        assert_ne!(all(folder.path()).unwrap(), first);
        write("a/b.conf", "1");
        write("a/.hidden", "");
        assert_ne!(all(folder.path()).unwrap(), first);
        // One file, also by a link to it.
        let (file, link) = (folder.path().join("a/b.conf"), folder.path().join("link"));
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let one = all(&link).unwrap();
        write("a/b.conf", "3");
        assert_ne!(all(&link).unwrap(), one);
        let big = std::fs::File::create(folder.path().join("big")).unwrap();
        big.set_len(MOST_BYTES + 1).unwrap();
        assert!(all(folder.path()).unwrap_err().contains("more than"));
    }
}
