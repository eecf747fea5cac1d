//! Numbers for the store: `cargo run --release -p dollop-state --example bench [FOLDER]`.
//!
//! Give a folder on the disk that counts; `/tmp` may be memory.

#![allow(clippy::print_stdout, clippy::cast_precision_loss, clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use dollop_engine::journal::{Effect, Event, StepId};
use dollop_engine::store::{Record, RunEnd, RunInfo, Store};
use dollop_engine::value::Value;
use dollop_state::{Holder, SledStore, read_state};

fn open(folder: &Path) -> Arc<SledStore> {
    let holder = Holder {
        who: "bench".to_owned(),
        host: "here".to_owned(),
        pid: std::process::id(),
        command: "bench".to_owned(),
    };
    Arc::new(SledStore::open(folder, &holder).unwrap())
}

fn run() -> RunInfo {
    let text = String::new;
    RunInfo { stack: "s".to_owned(), command: text(), plan: text(), who: text(), when: text() }
}

/// Ten attributes and three dependencies, as in the floors.
fn record(step: u32) -> Record {
    let spec = (0..10).map(|at| {
        (format!("attribute{at}"), Value::string(format!("value {at} of resource {step}")))
    });
    let name = |step: u32| format!("docker::network.resource{step}").parse().unwrap();
    Record {
        connection: Some("docker::engine.main".parse().unwrap()),
        id: format!("id{step}"),
        spec: Value::Map(spec.collect()),
        dependencies: (1..4).map(|back| name(step.saturating_sub(back))).collect(),
        ..Record::of(name(step))
    }
}

async fn step(store: &SledStore, step: u32) {
    let made = record(step);
    let intent = Some(Box::new(Record { interrupted: true, ..made.clone() }));
    let address = made.address.clone();
    store
        .append(Event::Started { step: StepId(step), address, intent, deposed: None })
        .await
        .unwrap();
    let effect = Effect::Put(Box::new(made));
    store.append(Event::Done { step: StepId(step), effect }).await.unwrap();
}

async fn many(store: &Arc<SledStore>, tasks: u32, each: u32, first: u32) {
    let mut all = tokio::task::JoinSet::new();
    for task in 0..tasks {
        let store = store.clone();
        all.spawn(async move {
            for round in 0..each {
                step(&store, first + task * each + round).await;
            }
        });
    }
    while let Some(done) = all.join_next().await {
        done.unwrap();
    }
}

fn size(folder: &Path) -> u64 {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        bytes += if path.is_dir() { size(&path) } else { path.metadata().unwrap().len() };
    }
    bytes
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let folder = std::env::args().nth(1).unwrap_or_else(|| "target/bench-state".to_owned());
    let folder = Path::new(&folder);
    let _ = std::fs::remove_dir_all(folder);
    let store = open(folder);
    let end = || RunEnd { complete: true, outputs: None };
    let say = |what: &str, start: Instant, per: u32| {
        println!("{what}: {:.3} ms", start.elapsed().as_secs_f64() * 1e3 / f64::from(per));
    };
    for tasks in [1, 10, 100] {
        store.begin(run()).await.unwrap();
        let (start, syncs) = (Instant::now(), store.syncs());
        many(&store, tasks, 1000 / tasks, 0).await;
        say(&format!("{tasks} parallel, one durable append"), start, 2000);
        println!("  syncs for 2000 appends: {}", store.syncs() - syncs);
        store.finish(end()).await.unwrap();
    }
    store.begin(run()).await.unwrap();
    let start = Instant::now();
    many(&store, 10, 1000, 0).await;
    say("10,000 steps, 10 parallel", start, 1);
    let start = Instant::now();
    store.finish(end()).await.unwrap();
    say("finish at 10,000", start, 1);
    println!("store before closing: {:.2} MB", size(&folder.join("store")) as f64 / 1e6);
    let start = Instant::now();
    drop(store);
    say("close, compacting", start, 1);
    for part in ["store", "revisions", "trail.jsonl"] {
        let path = folder.join(part);
        let bytes = if path.is_dir() { size(&path) } else { path.metadata().unwrap().len() };
        println!("{part}: {:.2} MB", bytes as f64 / 1e6);
    }
    let newest = folder.join("revisions/000004.json.zst").metadata().unwrap().len();
    println!("newest revision: {:.2} MB", newest as f64 / 1e6);
    let start = Instant::now();
    let store = open(folder);
    say("open at 10,000", start, 1);
    let start = Instant::now();
    assert_eq!(store.state().unwrap().records.len(), 10_000);
    say("state() at 10,000", start, 1);
    drop(store);
    let start = Instant::now();
    assert_eq!(read_state(folder).unwrap().state.records.len(), 10_000);
    say("read_state at 10,000", start, 1);
    let start = Instant::now();
    assert_eq!(dollop_state::open_latest(folder).unwrap().unwrap().state.records.len(), 10_000);
    say("open_latest at 10,000", start, 1);
    for _ in 0..20 {
        let store = open(folder);
        store.begin(run()).await.unwrap();
        many(&store, 10, 1000, 0).await;
        store.finish(end()).await.unwrap();
    }
    let bytes = size(&folder.join("store"));
    println!("store after 20 more rewrites of all: {:.2} MB", bytes as f64 / 1e6);
    std::fs::remove_dir_all(folder).unwrap();
}
