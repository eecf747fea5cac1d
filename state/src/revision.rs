//! Revisions: the whole state after a run, in a file that is never changed again.
//!
//! A revision is one zstd stream of three lines of JSON: digests of the other two, the
//! header, the state. `zstdcat 000042.json.zst | jq .` shows it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use dollop_engine::address::Address;
use dollop_engine::store::{Record, RunInfo, State, StoreError};
use dollop_engine::value::Value;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use crate::clock;
use crate::codec::{self, FORMAT};
use crate::files::{Folder, cannot, failure, hinted, rename, sync_folder, write_aside};
use crate::upgrade::Kind;
use crate::vault::{Vault, contains};

/// How many are kept.
const KEPT: usize = 100;
const SUFFIX: &str = ".json.zst";
const LEVEL: i32 = 3;
/// How much smaller packing makes a large state.
const PACKED: usize = 64;
/// The most that is taken of memory before it is needed.
const MOST_AHEAD: usize = 8 << 20;

/// What a revision says of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RevisionHeader {
    /// The format of the file.
    pub format: u32,
    /// The serial of the state in it; the file is named after it.
    pub serial: u64,
    /// The run that made it.
    pub run: RunInfo,
    /// When the run ended, in RFC 3339 UTC.
    pub ended: String,
    /// Whether the run did all it set out to do.
    pub complete: bool,
    /// What differs from the revision before.
    pub changes: Changes,
    /// How many records it has.
    pub records: usize,
    /// The fingerprint of the key that its secrets are sealed with.
    pub key: Option<String>,
}

/// What differs between a revision and the one before, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// Records that are new.
    pub added: Vec<Address>,
    /// Records that are not the same.
    pub changed: Vec<Address>,
    /// Records that are gone.
    pub removed: Vec<Address>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Digests {
    header_sha256: String,
    state_sha256: String,
}

/// The state as it is stored: records by address, secrets sealed, each a text to be read once.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Body {
    stack: String,
    outputs: Box<RawValue>,
    records: BTreeMap<String, Box<RawValue>>,
}

/// The state in today's stored form: what sled has under each name.
#[derive(Debug)]
pub(crate) struct Content {
    pub(crate) stack: String,
    /// JSON text.
    pub(crate) outputs: Vec<u8>,
    /// Address and JSON text.
    pub(crate) records: Vec<(String, Vec<u8>)>,
}

/// How a run ended; the rest of the header follows from the content.
#[derive(Debug)]
pub(crate) struct Ending {
    pub(crate) serial: u64,
    pub(crate) run: RunInfo,
    pub(crate) complete: bool,
}

/// Writes a revision, whole or not at all, and removes what is too old.
pub(crate) fn publish(
    folder: &Folder,
    vault: &Vault,
    ending: Ending,
    content: &Content,
) -> Result<(), StoreError> {
    let before =
        newest_good(folder, &mut Vec::new())?.map(|(_, body)| body).unwrap_or_default();
    let header = RevisionHeader {
        format: FORMAT,
        serial: ending.serial,
        run: ending.run,
        ended: clock::now(),
        complete: ending.complete,
        changes: compare(vault, before, content)?,
        records: content.records.len(),
        key: vault.fingerprint().map(str::to_owned),
    };
    let bug =
        |error: serde_json::Error| failure(format!("BUG: a revision is not JSON: {error}"));
    let head = serde_json::to_vec(&header).map_err(bug)?;
    let body = body_text(content).map_err(bug)?;
    let digests = serde_json::to_vec(&Digests {
        header_sha256: digest(&head),
        state_sha256: digest(&body),
    })
    .map_err(bug)?;
    let text = [digests, head, body].join(&b'\n');
    let path = path_of(folder, header.serial);
    let packed = zstd::encode_all(text.as_slice(), LEVEL).map_err(cannot("compress", &path))?;
    let aside = folder.revisions().join(format!("{:06}.tmp", header.serial));
    write_aside(&aside, &packed)?;
    rename(&aside, &path)?;
    prune(folder)
}

fn body_text(content: &Content) -> serde_json::Result<Vec<u8>> {
    let mut text = b"{\"stack\":".to_vec();
    serde_json::to_writer(&mut text, &content.stack)?;
    text.extend_from_slice(b",\"outputs\":");
    text.extend_from_slice(&content.outputs);
    text.extend_from_slice(b",\"records\":{");
    for (index, (address, record)) in content.records.iter().enumerate() {
        if index > 0 {
            text.push(b',');
        }
        serde_json::to_writer(&mut text, address)?;
        text.push(b':');
        text.extend_from_slice(record);
    }
    text.extend_from_slice(b"}}");
    Ok(text)
}

/// Sealing the same secret twice gives two texts, so records that differ only there are
/// opened and compared.
fn compare(vault: &Vault, mut before: Body, after: &Content) -> Result<Changes, StoreError> {
    let parse = |text: &str| {
        text.parse::<Address>().map_err(|error| crate::table::damaged(&error.to_string()))
    };
    let mut changes = Changes::default();
    for (name, new) in &after.records {
        let Some(old) = before.records.remove(name) else {
            changes.added.push(parse(name)?);
            continue;
        };
        let old = old.get().as_bytes();
        if old == new {
            continue;
        }
        let old = vault.decode_json::<Record>(Kind::Record, old).ok();
        if old != Some(vault.decode_json(Kind::Record, new)?) {
            changes.changed.push(parse(name)?);
        }
    }
    for name in before.records.keys() {
        changes.removed.push(parse(name)?);
    }
    Ok(changes)
}

/// The numbers of all revisions, damaged ones too, oldest first.
pub(crate) fn numbers(folder: &Folder) -> Result<Vec<u64>, StoreError> {
    let path = folder.revisions();
    let entries = match fs::read_dir(&path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(cannot("read folder", &path)(error)),
    };
    let mut numbers = Vec::new();
    for entry in entries {
        let entry = entry.map_err(cannot("read folder", &path))?;
        let number = entry.file_name().to_str().and_then(|name| {
            let number: u64 = name.strip_suffix(SUFFIX)?.parse().ok()?;
            (name == format!("{number:06}{SUFFIX}")).then_some(number)
        });
        numbers.extend(number);
    }
    numbers.sort_unstable();
    Ok(numbers)
}

fn path_of(folder: &Folder, serial: u64) -> PathBuf {
    folder.revisions().join(format!("{serial:06}{SUFFIX}"))
}

fn digest(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// One revision, checked.
pub(crate) fn read(folder: &Folder, serial: u64) -> Result<(RevisionHeader, Body), StoreError> {
    let path = path_of(folder, serial);
    let packed = fs::read(&path).map_err(cannot("open", &path))?;
    // Room for all of it at once, mostly: records are alike.
    let mut text = Vec::with_capacity(packed.len().saturating_mul(PACKED).min(MOST_AHEAD));
    let unpacked = zstd::Decoder::with_buffer(packed.as_slice())
        .and_then(|mut decoder| decoder.read_to_end(&mut text));
    unpacked.map_err(|_| broken(&path))?;
    let mut lines = text.splitn(3, |byte| *byte == b'\n');
    let header = header_of(&path, serial, lines.next(), lines.next())?;
    let body = lines.next().unwrap_or_default();
    let digests: Digests = first_line(&text, &path)?;
    if digests.state_sha256 != digest(body) {
        return Err(broken(&path));
    }
    let body = if codec::check(header.format)? {
        serde_json::from_slice(body)
    } else {
        let json = serde_json::from_slice(body).map_err(|_| broken(&path))?;
        serde_json::from_value(codec::current(Kind::RevisionBody, header.format, json)?)
    };
    Ok((header, body.map_err(|_| broken(&path))?))
}

/// The header of one revision, without reading its state.
pub(crate) fn read_header(folder: &Folder, serial: u64) -> Result<RevisionHeader, StoreError> {
    let path = path_of(folder, serial);
    let file = File::open(&path).map_err(cannot("open", &path))?;
    let decoder = zstd::Decoder::new(file).map_err(|_| broken(&path))?;
    let mut lines = BufReader::new(decoder).split(b'\n');
    let mut line = || lines.next().transpose().map_err(|_| broken(&path));
    let (digests, header) = (line()?, line()?);
    header_of(&path, serial, digests.as_deref(), header.as_deref())
}

fn header_of(
    path: &Path,
    serial: u64,
    digests: Option<&[u8]>,
    header: Option<&[u8]>,
) -> Result<RevisionHeader, StoreError> {
    let digests: Digests = first_line(digests.unwrap_or_default(), path)?;
    let header = header.unwrap_or_default();
    if digests.header_sha256 != digest(header) {
        return Err(broken(path));
    }
    let json: Json = serde_json::from_slice(header).map_err(|_| broken(path))?;
    let format = json.get("format").and_then(Json::as_u64).and_then(|n| u32::try_from(n).ok());
    let json = codec::current(Kind::RevisionHeader, format.unwrap_or(0), json)?;
    let header: RevisionHeader = serde_json::from_value(json).map_err(|_| broken(path))?;
    if header.serial == serial { Ok(header) } else { Err(broken(path)) }
}

fn first_line<T: serde::de::DeserializeOwned>(
    text: &[u8],
    path: &Path,
) -> Result<T, StoreError> {
    let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    serde_json::from_slice(line).map_err(|_| broken(path))
}

fn broken(path: &Path) -> StoreError {
    hinted(
        format!("the revision `{}` is damaged", path.display()),
        "an older revision is used in its place where there is one",
    )
}

/// Whether an error is about this file's content, so that an older one may do.
fn is_broken(error: &StoreError) -> bool {
    error.message.ends_with("is damaged")
}

/// The newest revision that is whole; each one passed over leaves a note.
pub(crate) fn newest_good(
    folder: &Folder,
    notes: &mut Vec<String>,
) -> Result<Option<(RevisionHeader, Body)>, StoreError> {
    for serial in numbers(folder)?.into_iter().rev() {
        match read(folder, serial) {
            Ok(found) => return Ok(Some(found)),
            Err(error) if is_broken(&error) => notes.push(error.message),
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// The state of a revision, secrets opened.
pub(crate) fn to_state(
    vault: &Vault,
    header: &RevisionHeader,
    body: Body,
    tell: &mut dyn FnMut(&Record),
) -> Result<State, StoreError> {
    vault.expect(header.key.as_deref())?;
    let decode = |json: &RawValue| {
        let record: Record = vault.decode_json(Kind::Record, json.get().as_bytes())?;
        Ok::<_, StoreError>((record.address.clone(), record))
    };
    // Connections first, somebody waits for them. What else may have such a part is one of few.
    let (first, others): (Vec<_>, Vec<_>) =
        body.records.values().partition(|json| contains(json.get().as_bytes(), NO_CONNECTION));
    let mut records = Vec::with_capacity(body.records.len());
    for json in first {
        let (address, record) = decode(json)?;
        if record.connection.is_none() {
            tell(&record);
        }
        records.push((address, record));
    }
    for json in others {
        records.push(decode(json)?);
    }
    // At once: a tree that grows one by one compares each with many others.
    let records = records.into_iter().collect();
    let outputs = vault.decode_json(Kind::Outputs, body.outputs.get().as_bytes())?;
    let outputs = outputs_to_values(outputs);
    Ok(State { serial: header.serial, stack: body.stack, records, outputs })
}

/// How the record of a connection says that it is one.
const NO_CONNECTION: &[u8] = b"\"connection\":null";

/// Outputs are stored as one [`Value::Map`], whose keys cannot pass for a secret.
pub(crate) fn outputs_to_values(outputs: Value) -> BTreeMap<String, Value> {
    match outputs {
        Value::Map(entries) => entries.into_iter().collect(),
        _ => BTreeMap::new(),
    }
}

fn prune(folder: &Folder) -> Result<(), StoreError> {
    let numbers = numbers(folder)?;
    for serial in &numbers[..numbers.len().saturating_sub(KEPT)] {
        let path = path_of(folder, *serial);
        fs::remove_file(&path).map_err(cannot("remove", &path))?;
    }
    sync_folder(&folder.revisions())
}
