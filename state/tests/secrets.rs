//! No secret is in clear in any file, and the wrong key is said so.

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use common::*;
use dollop_engine::journal::{Effect, Event, StepId};
use dollop_engine::store::Store;
use dollop_engine::value::Value;
use dollop_state::{open_latest, read_state, recover};

const SECRET: &str = "correct-horse-battery-staple-0123456789";

fn holds(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// Looks for the secret and its base64 at all three alignments, in every byte of every
/// file, packed ones unpacked too.
fn assert_no_secret(folder: &std::path::Path) {
    let mut needles = vec![SECRET.as_bytes().to_vec()];
    for skip in 0..3 {
        let part = &SECRET.as_bytes()[skip..];
        let whole = &part[..part.len() / 3 * 3];
        needles.push(STANDARD_NO_PAD.encode(whole).into_bytes());
        needles.push(URL_SAFE_NO_PAD.encode(whole).into_bytes());
    }
    let files = files(folder);
    assert!(files.len() > 5, "{}", files.len());
    for (path, bytes) in files {
        let unpacked = match path.extension() {
            Some(extension) if extension == "zst" => zstd::decode_all(&*bytes).unwrap(),
            _ => Vec::new(),
        };
        for needle in &needles {
            assert!(!holds(&bytes, needle), "{}", path.display());
            assert!(!holds(&unpacked, needle), "{} unpacked", path.display());
        }
    }
}

#[tokio::test]
async fn no_file_holds_a_secret_in_clear() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let secret = || Value::string(SECRET).secret();
    let deep = map([
        ("env", map([("PASSWORD", secret()), ("list", Value::List(vec![secret()]))])),
        ("all", map([("inner", Value::string(SECRET))]).secret()),
    ]);
    let store = open(path);
    store.begin(run("p")).await.unwrap();
    for (step, name) in [(0, "a"), (1, "b"), (2, "c")] {
        let intent = Some(Box::new(intent(name, deep.clone())));
        let event = Event::Started {
            step: StepId(step),
            address: address(name),
            intent,
            deposed: None,
        };
        store.append(event).await.unwrap();
    }
    let made = record("a", deep.clone());
    let effect = Effect::Put(Box::new(made.clone()));
    store.append(Event::Done { step: StepId(0), effect: effect.clone() }).await.unwrap();
    store.append(failed(1, Effect::Put(Box::new(record("b", deep.clone()))))).await.unwrap();
    assert_no_secret(path);
    drop(store);
    assert_no_secret(path);
    let store = open(path);
    assert_eq!(store.state().unwrap().records[&address("a")], made);
    store.begin(run("q")).await.unwrap();
    let outputs = BTreeMap::from([("password".to_owned(), secret())]);
    store.finish(end(Some(outputs.clone()))).await.unwrap();
    let state = store.state().unwrap();
    assert_eq!(state.outputs, outputs);
    assert_eq!(state.records[&address("c")].spec, deep);
    drop(store);
    assert_no_secret(path);
    assert_eq!(open_latest(path).unwrap().unwrap().state, state);

    // A rebuilt store holds none either, and no temporary file stays.
    std::fs::write(path.join("store/conf"), b"broken beyond all use").unwrap();
    recover(path, &holder()).unwrap();
    assert_no_secret(path);
    let temporary = |(file, _): &(std::path::PathBuf, _)| {
        file.extension().is_some_and(|extension| extension == "tmp")
    };
    assert!(!files(path).iter().any(temporary));
}

#[tokio::test]
async fn the_wrong_key_or_none_is_refused_before_anything_is_done() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let store = open(path);
    store.begin(run("p")).await.unwrap();
    let outputs = BTreeMap::from([("password".to_owned(), Value::string(SECRET).secret())]);
    store.finish(end(Some(outputs))).await.unwrap();
    let state = store.state().unwrap();
    drop(store);
    let key = std::fs::read(path.join("key")).unwrap();

    std::fs::remove_file(path.join("key")).unwrap();
    let error = dollop_state::SledStore::open(path, &holder()).unwrap_err();
    assert!(error.message.contains("key` is missing"), "{error}");
    assert!(open_latest(path).unwrap_err().message.contains("is missing"));
    assert!(!path.join("key").exists(), "no new key is made over sealed data");

    dollop_state::Keyring::load_or_create(path).unwrap();
    for error in [
        dollop_state::SledStore::open(path, &holder()).unwrap_err(),
        open_latest(path).unwrap_err(),
        read_state(path).unwrap_err(),
        recover(path, &holder()).unwrap_err(),
    ] {
        assert_eq!(error.message, "the key file does not fit this state");
    }
    std::fs::write(path.join("key"), key).unwrap();
    assert_eq!(read_state(path).unwrap().state, state);
}
