//! Every format ever written is still read. Format 1 stands in `fixtures/format1`:
//! `entries` is what sled holds (key and value in hex), the rest are files of the folder.
//!
//! Never change a fixture. For a new format add its own, written once by
//! `DOLLOP_WRITE_FIXTURE=1 cargo test -p dollop-state --test format`.

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use common::*;
use dollop_engine::store::{State, Store};
use dollop_engine::value::Value;
use dollop_state::{FORMAT, open_latest, recover};

const FILES: [&str; 3] = ["key", "trail.jsonl", "revisions/000001.json.zst"];

fn fixture(format: u32) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/format{format}"))
}

/// A finished run and an interrupted one, with everything a record can have.
async fn live(path: &Path) -> State {
    let store = open(path);
    let spec = map([
        ("text", Value::string("äöü \"quoted\" \n")),
        ("numbers", Value::List(vec![Value::Int(-7), Value::Float(1.5), Value::Null])),
        ("on", Value::Bool(true)),
        ("$dollar", Value::string("$secret")),
        ("password", Value::string("hunter2").secret()),
    ]);
    store.begin(run("first")).await.unwrap();
    store.append(started(0, "a")).await.unwrap();
    let effect = dollop_engine::journal::Effect::Put(Box::new(record("a", spec)));
    let step = dollop_engine::journal::StepId(0);
    store.append(dollop_engine::journal::Event::Done { step, effect }).await.unwrap();
    let outputs = BTreeMap::from([
        ("url".to_owned(), Value::string("http://x")),
        ("password".to_owned(), Value::string("hunter2").secret()),
    ]);
    store.finish(end(Some(outputs))).await.unwrap();
    store.begin(run("second")).await.unwrap();
    store.append(started(0, "big")).await.unwrap();
    store.append(put(0, "big", &"long ".repeat(2_000))).await.unwrap();
    store.append(started(1, "open")).await.unwrap();
    store.append(started(2, "bad")).await.unwrap();
    store.append(failed(2, dollop_engine::journal::Effect::None)).await.unwrap();
    store.state().unwrap()
}

const DIGITS: [char; 16] =
    ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| DIGITS[usize::from(digit)])
        .collect()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

async fn write_fixture() {
    let folder = tempfile::tempdir().unwrap();
    live(folder.path()).await;
    let target = fixture(FORMAT);
    fs::create_dir_all(target.join("revisions")).unwrap();
    for file in FILES {
        fs::copy(folder.path().join(file), target.join(file)).unwrap();
    }
    let db = sled::open(folder.path().join("store")).unwrap();
    let lines: Vec<_> = db
        .iter()
        .map(|entry| entry.unwrap())
        .map(|(key, value)| format!("{} {}\n", hex(&key), hex(&value)))
        .collect();
    fs::write(target.join("entries"), lines.concat()).unwrap();
}

/// A state folder as that format left it.
fn lay_out(format: u32, path: &Path) {
    fs::create_dir_all(path.join("revisions")).unwrap();
    for file in FILES {
        fs::copy(fixture(format).join(file), path.join(file)).unwrap();
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(path.join("key"), fs::Permissions::from_mode(0o600)).unwrap();
    }
    let db = sled::open(path.join("store")).unwrap();
    for line in fs::read_to_string(fixture(format).join("entries")).unwrap().lines() {
        let (key, value) = line.split_once(' ').unwrap();
        db.insert(unhex(key), unhex(value)).unwrap();
    }
    db.flush().unwrap();
}

#[tokio::test]
async fn every_format_is_read_from_store_revision_and_trail() {
    if std::env::var_os("DOLLOP_WRITE_FIXTURE").is_some() {
        write_fixture().await;
    }
    let now = tempfile::tempdir().unwrap();
    let expected = live(now.path()).await;
    for format in 1..=FORMAT {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        lay_out(format, path);
        let revision = open_latest(path).unwrap().unwrap().state;
        assert_eq!(revision.outputs, expected.outputs);
        assert_eq!(revision.records[&address("a")], expected.records[&address("a")]);
        assert_eq!((revision.serial, revision.records.len()), (1, 1));

        let store = open(path);
        assert_eq!(store.state().unwrap(), expected);
        drop(store);

        fs::remove_dir_all(path.join("store")).unwrap();
        let serial = recover(path, &holder()).unwrap().serial;
        let store = open(path);
        assert_eq!(store.state().unwrap(), State { serial, ..expected.clone() });
        // And it goes on from there.
        store.begin(run("next")).await.unwrap();
        store.finish(end(None)).await.unwrap();
    }
}
