//! Files put into a container: configuration, certificates, secrets.
//!
//! They are copied in before it starts, and compared with what is really there whenever the
//! container is read.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::io::Read as _;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bollard::query_parameters::{
    DownloadFromContainerOptionsBuilder, KillContainerOptionsBuilder,
};
use dollop_engine::error::CallError;
use dollop_engine::resource::{Name, Problem};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};
use sha2::{Digest as _, Sha256};
use tar::{Archive, EntryType};

use super::super::engine::{Engine, status};
use super::mounts::tidy_path;
use super::options::Octal;
use super::track::Digests;
use super::units::{signal, written_as_text};

/// How many files are looked at at once in one container.
const AT_ONCE: usize = 4;

/// What a plan shows as the content of a file that a folder has taken the place of.
const A_FOLDER: &str = "(a folder)";

/// Files by their path in the container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct Files(pub BTreeMap<String, Entry>);

/// One file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// The text.
    pub content: Option<String>,
    /// What is no text, in base64.
    pub content_base64: Option<String>,
    /// Its permissions.
    pub mode: Octal,
    /// The number of its owner.
    pub uid: u32,
    /// The number of its group.
    pub gid: u32,
    /// What happens to a running container when the file changes.
    pub on_change: OnChange,
    /// Whether its program was told of what is there now.
    #[serde(skip_serializing_if = "Clone::clone")]
    pub up_to_date: bool,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Long {
    /// The text, `file("app.conf")` or `template("app.conf.j2", #{ .. })`.
    #[serde(default)]
    content: Option<String>,
    /// What is no text, in base64.
    #[serde(default)]
    content_base64: Option<String>,
    /// Its permissions as octal text; `"0644"` when left out.
    #[serde(default = "readable")]
    mode: Octal,
    /// The number of its owner; 0 when left out.
    #[serde(default)]
    uid: u32,
    /// The number of its group; 0 when left out.
    #[serde(default)]
    gid: u32,
    /// What happens to a running container when it changes: `restart`, `signal:HUP` or
    /// `none`.
    #[serde(default)]
    on_change: OnChange,
    /// Whether its program must have been told of what is there now. A plan shows `false`
    /// when an apply put the file in and failed before that.
    #[serde(default = "yes")]
    up_to_date: bool,
}

fn yes() -> bool {
    true
}

fn readable() -> Octal {
    Octal(0o644)
}

/// What happens to a running container when a file in it changes.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum OnChange {
    /// Nothing: the program looks itself, or not at all.
    None,
    /// Its program gets a signal.
    Signal(String),
    /// It is stopped and started.
    #[default]
    Restart,
}

impl FromStr for OnChange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.strip_prefix("signal:")) {
            ("none", _) => Ok(Self::None),
            ("restart", _) => Ok(Self::Restart),
            (_, Some(name)) if !name.is_empty() => Ok(Self::Signal(signal(name))),
            _ => Err(format!("`{text}` is none of `restart`, `signal:HUP` and `none`")),
        }
    }
}

impl fmt::Display for OnChange {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => out.write_str("none"),
            Self::Restart => out.write_str("restart"),
            Self::Signal(name) => write!(out, "signal:{name}"),
        }
    }
}

written_as_text!(OnChange, "string");

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrMap;
        impl<'de> serde::de::Visitor<'de> for TextOrMap {
            type Value = Long;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("the text of the file, or a map with `content`")
            }

            fn visit_str<E>(self, text: &str) -> Result<Long, E> {
                Ok(Long {
                    content: Some(text.to_owned()),
                    content_base64: None,
                    mode: readable(),
                    uid: 0,
                    gid: 0,
                    on_change: OnChange::default(),
                    up_to_date: true,
                })
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<Long, A::Error> {
                Long::deserialize(serde::de::value::MapAccessDeserializer::new(map))
            }
        }
        let Long { content, content_base64, mode, uid, gid, on_change, up_to_date } =
            deserializer.deserialize_any(TextOrMap)?;
        Ok(Self { content, content_base64, mode, uid, gid, on_change, up_to_date })
    }
}

impl JsonSchema for Entry {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Entry".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let long = generator.subschema_for::<Long>();
        json_schema!({ "anyOf": [{ "type": "string" }, long] })
    }
}

impl<'de> Deserialize<'de> for Files {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let files = BTreeMap::<String, Entry>::deserialize(deserializer)?;
        Ok(Self(files.into_iter().map(|(path, file)| (tidy_path(&path), file)).collect()))
    }
}

impl Entry {
    /// Whether a folder was found in its place.
    pub(super) fn is_folder(&self) -> bool {
        self.content.as_deref() == Some(A_FOLDER)
    }

    /// What is in it.
    pub(super) fn bytes(&self) -> Vec<u8> {
        match (&self.content, &self.content_base64) {
            (Some(text), _) => text.clone().into_bytes(),
            (None, Some(encoded)) => BASE64.decode(encoded.trim()).unwrap_or_default(),
            (None, None) => Vec::new(),
        }
    }

    /// A digest of all that its program can see of it.
    fn digest(&self) -> String {
        let mut hasher = Sha256::new();
        for number in [self.mode.0, self.uid, self.gid] {
            hasher.update(number.to_be_bytes());
        }
        hasher.update(self.bytes());
        hex::encode(hasher.finalize())
    }
}

impl Files {
    pub(super) fn check(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut problem = |message: String, hint: &str| {
            let (attribute, hint) = ("files".to_owned(), Some(hint.to_owned()));
            problems.push(Problem { attribute, message, hint });
        };
        for (path, file) in &self.0 {
            if !path.starts_with('/') || path == "/" {
                let message = format!("`{path}` is no absolute path of a file");
                problem(message, "it is a path in the container, `/etc/app.conf`");
            }
            match (&file.content, &file.content_base64) {
                (Some(_), Some(_)) | (None, None) => problem(
                    format!("`{path}` needs either `content` or `content_base64`"),
                    "the text of a file of the project: `content: file(\"app.conf\")`",
                ),
                (None, Some(encoded)) if BASE64.decode(encoded.trim()).is_err() => {
                    problem(
                        format!("the `content_base64` of `{path}` is no base64"),
                        "make it with `base64`",
                    );
                }
                _ => {}
            }
        }
        problems
    }

    /// What of it the container has; `asked` says where to look.
    pub(super) async fn observed(
        engine: &Engine,
        id: &str,
        asked: &Self,
    ) -> Result<Self, CallError> {
        let mut looks = Vec::with_capacity(asked.0.len());
        for (path, file) in &asked.0 {
            looks.push(async move {
                let found = look(engine, id, path, file).await?;
                Ok::<_, CallError>(found.map(|found| (path.clone(), found)))
            });
        }
        let found: Vec<_> = stream::iter(looks).buffered(AT_ONCE).try_collect().await?;
        Ok(Self(found.into_iter().flatten().collect()))
    }

    /// Digests of what its program is told of; nothing where there are no files.
    pub(super) fn told(&self) -> Option<Digests> {
        let all = self.0.iter().map(|(path, file)| (path.clone(), file.digest()));
        Some(all.collect()).filter(|told: &Digests| !told.is_empty())
    }

    /// Says which ones its program was not told of, by what it was last told of as the facts
    /// have it, and hands that on. What nothing is known of begins with what is there now.
    pub(super) fn compared(&mut self, facts: Option<&serde_json::Value>) -> Option<Digests> {
        let told = facts.and_then(|facts| Digests::deserialize(&facts["told"]).ok());
        let mut told = told.unwrap_or_default();
        told.retain(|path, _| self.0.contains_key(path));
        for (path, file) in &mut self.0 {
            let now = file.digest();
            file.up_to_date = *told.entry(path.clone()).or_insert_with(|| now.clone()) == now;
        }
        Some(told).filter(|told| !told.is_empty())
    }

    /// The strongest of what the changed files ask for, and those its program was not told of.
    pub(super) fn on_change(&self, from: &Self) -> OnChange {
        let changed = self.0.iter().filter(|(path, file)| {
            let content = |file: &Entry| (file.digest(), file.up_to_date);
            from.0.get(*path).map(content) != Some(content(file))
        });
        let changed = changed.map(|(_, file)| file.on_change.clone());
        let removed = from.0.iter().filter(|(path, _)| !self.0.contains_key(*path));
        let removed = removed.map(|(_, file)| file.on_change.clone());
        changed.chain(removed).max().unwrap_or(OnChange::None)
    }
}

/// Sends a signal to its program.
pub(super) async fn signalled(
    engine: &Engine,
    name: &Name,
    id: &str,
    signal: &str,
) -> Result<(), CallError> {
    let options = KillContainerOptionsBuilder::new().signal(signal).build();
    let sent = engine.docker.kill_container(id, Some(options)).await;
    let doing = format!("sending {signal} to container `{}`", name.natural);
    sent.map_err(|error| engine.failed(&doing, &error))
}

async fn look(
    engine: &Engine,
    id: &str,
    path: &str,
    asked: &Entry,
) -> Result<Option<Entry>, CallError> {
    let options = DownloadFromContainerOptionsBuilder::new().path(path).build();
    let archive = engine.docker.download_from_container(id, Some(options));
    let mut archive = std::pin::pin!(archive);
    let mut bytes = Vec::new();
    let mut kind = None;
    while let Some(part) = archive.next().await {
        match part {
            Ok(part) => bytes.extend_from_slice(&part),
            Err(error) if status(&error) == Some(404) => return Ok(None),
            Err(error) => {
                return Err(engine.failed(&format!("looking at file `{path}`"), &error));
            }
        }
        // A folder would come with all that is in it.
        kind = kind.or_else(|| first_kind(&bytes));
        if kind == Some(EntryType::Directory) {
            return Ok(Some(Entry {
                content: Some(A_FOLDER.to_owned()),
                content_base64: None,
                ..asked.clone()
            }));
        }
    }
    Ok(read(&bytes, asked).unwrap_or(None))
}

/// What an archive begins with, as soon as enough of it is there.
fn first_kind(archive: &[u8]) -> Option<EntryType> {
    let mut archive = Archive::new(archive);
    let first = archive.entries().ok()?.next()?.ok()?;
    Some(first.header().entry_type())
}

/// The first file of an archive; nothing when something else is in its place.
fn read(archive: &[u8], asked: &Entry) -> std::io::Result<Option<Entry>> {
    let mut archive = Archive::new(archive);
    let Some(entry) = archive.entries()?.next() else { return Ok(None) };
    let mut entry = entry?;
    if !entry.header().entry_type().is_file() {
        return Ok(None);
    }
    let header = entry.header();
    let number = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
    let (mode, uid, gid) = (header.mode()?, number(header.uid()?), number(header.gid()?));
    let mut bytes = Vec::new();
    entry.read_to_end(&mut bytes)?;
    let as_text = asked.content.is_some();
    Ok(Some(Entry {
        content: as_text.then(|| String::from_utf8_lossy(&bytes).into_owned()),
        content_base64: (!as_text).then(|| {
            // Equal bytes can be written in several ways.
            let same = asked.bytes() == bytes;
            let written = asked.content_base64.clone().filter(|_| same);
            written.unwrap_or_else(|| BASE64.encode(&bytes))
        }),
        mode: Octal(mode & 0o7777),
        uid,
        gid,
        // Nothing the engine knows.
        on_change: asked.on_change.clone(),
        up_to_date: true,
    }))
}

#[cfg(test)]
mod tests {
    use super::super::inject::archive;
    use super::*;
    use serde_json::{from_value, json};

    #[test]
    fn what_is_sent_reads_back_the_same() {
        let files: Files = from_value(json!({
            "/etc/a.conf": "a = 1\n",
            "/etc/../run/b": { "content_base64": "AP8=", "mode": "600", "uid": 5, "gid": 6 },
        }))
        .unwrap();
        assert_eq!(files.0.keys().collect::<Vec<_>>(), ["/etc/a.conf", "/run/b"]);
        for (path, file) in &files.0 {
            let inside = path.trim_start_matches('/').to_owned();
            let bytes = archive(&[(inside, file)].into(), &[]).unwrap();
            assert_eq!(read(&bytes, file).unwrap().as_ref(), Some(file));
        }
    }

    #[test]
    fn a_folder_is_known_by_the_first_of_its_archive() {
        let mut folder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(EntryType::Directory);
        header.set_size(0);
        folder.append_data(&mut header, "conf/", std::io::empty()).unwrap();
        let bytes = folder.into_inner().unwrap();
        assert_eq!(first_kind(&bytes[..512]), Some(EntryType::Directory));
        assert_eq!(first_kind(&bytes[..300]), None);
        assert_eq!(first_kind(&[]), None);
    }

    #[test]
    fn the_strongest_reaction_wins() {
        let files = |a: &str, b: &str| -> Files {
            from_value(json!({
                "/a": { "content": a, "on_change": "signal:hup" },
                "/b": { "content": b, "on_change": "none" },
            }))
            .unwrap()
        };
        let hup = OnChange::Signal("SIGHUP".into());
        assert_eq!(files("2", "2").on_change(&files("1", "1")), hup);
        assert_eq!(files("1", "2").on_change(&files("1", "1")), OnChange::None);
        let more: Files = from_value(json!({ "/c": "new" })).unwrap();
        assert_eq!(more.on_change(&Files::default()), OnChange::Restart);
    }

    #[test]
    fn what_a_program_was_not_told_of_counts_as_changed() {
        let files = |a: &str| -> Files { from_value(json!({ "/a": a })).unwrap() };
        let told = json!({ "told": files("1").told() });
        let mut there = files("2");
        assert_eq!(there.compared(Some(&told)), files("1").told());
        assert_eq!(files("2").on_change(&there), OnChange::Restart);
        let told = json!({ "told": files("2").told() });
        for facts in [Some(&told), Some(&json!({})), None] {
            assert_eq!(there.compared(facts), files("2").told());
            assert_eq!(files("2").on_change(&there), OnChange::None);
        }
        assert_eq!(there, files("2"));
        assert_eq!(Files::default().told(), None);
    }
}
