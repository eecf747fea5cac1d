//! What the tests of the store share.

#![allow(dead_code, unreachable_pub, missing_docs, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::Path;

use dollop_engine::address::Address;
use dollop_engine::journal::{Effect, Event, StepId};
use dollop_engine::store::{Record, RunEnd, RunInfo};
use dollop_engine::value::Value;
use dollop_state::{Holder, SledStore};

pub fn holder() -> Holder {
    Holder {
        who: "ana".to_owned(),
        host: "web1".to_owned(),
        pid: std::process::id(),
        command: "dollop apply".to_owned(),
    }
}

pub fn open(folder: &Path) -> SledStore {
    SledStore::open(folder, &holder()).unwrap()
}

pub fn run(plan: &str) -> RunInfo {
    RunInfo {
        stack: "shop".to_owned(),
        command: "apply".to_owned(),
        plan: plan.to_owned(),
        who: "ana@web1".to_owned(),
        when: "2026-11-21T10:00:00Z".to_owned(),
    }
}

pub fn address(name: &str) -> Address {
    format!("docker::network.{name}").parse().unwrap()
}

pub fn record(name: &str, spec: Value) -> Record {
    Record {
        connection: Some("docker::engine.main".parse().unwrap()),
        id: format!("id-{name}"),
        spec,
        facts: map([("id", Value::string("0123"))]),
        dependencies: vec![address("base")],
        ..Record::of(address(name))
    }
}

pub fn intent(name: &str, spec: Value) -> Record {
    Record { id: String::new(), facts: Value::Null, interrupted: true, ..record(name, spec) }
}

pub fn map<const N: usize>(entries: [(&str, Value); N]) -> Value {
    Value::Map(entries.map(|(key, value)| (key.to_owned(), value)).into())
}

pub fn plain(text: &str) -> Value {
    map([("name", Value::string(text)), ("count", Value::Int(3))])
}

pub fn started(step: u32, name: &str) -> Event {
    let intent = Some(Box::new(intent(name, plain(name))));
    Event::Started { step: StepId(step), address: address(name), intent, deposed: None }
}

pub fn put(step: u32, name: &str, text: &str) -> Event {
    let effect = Effect::Put(Box::new(record(name, plain(text))));
    Event::Done { step: StepId(step), effect }
}

pub fn removed(step: u32, name: &str) -> Event {
    Event::Done { step: StepId(step), effect: Effect::Remove(address(name)) }
}

pub fn failed(step: u32, effect: Effect) -> Event {
    Event::Failed { step: StepId(step), effect, message: "no".to_owned() }
}

pub fn end(outputs: Option<BTreeMap<String, Value>>) -> RunEnd {
    RunEnd { complete: true, outputs }
}

/// Every file below a folder with its bytes.
pub fn files(folder: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            let bytes = std::fs::read(&path).unwrap();
            found.push((path, bytes));
        }
    }
    found
}
