//! What the store promises while nothing breaks.

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use common::*;
use dollop_engine::journal::{Effect, StepId};
use dollop_engine::store::{MemoryStore, State, Store};
use dollop_engine::value::Value;
use dollop_state::{Holder, SledStore, history, open_latest, read_revision, read_state};

#[tokio::test]
async fn it_agrees_with_the_store_in_memory_at_every_point_and_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let memory = MemoryStore::default();
    let mut store = open(folder.path());
    let events = [
        started(0, "a"),
        started(1, "b"),
        put(0, "a", "one"),
        started(2, "c"),
        failed(2, Effect::Put(Box::new(intent("c", plain("c"))))),
        removed(1, "a"),
        started(3, "a"),
        started(4, "d"),
        failed(4, Effect::None),
        started(5, "e"),
    ];
    for round in 0..3 {
        memory.begin(run("p")).await.unwrap();
        store.begin(run("p")).await.unwrap();
        for event in &events {
            memory.append(event.clone()).await.unwrap();
            store.append(event.clone()).await.unwrap();
            assert_eq!(store.state().unwrap(), memory.state().unwrap());
        }
        drop(store);
        store = open(folder.path());
        assert_eq!(store.state().unwrap(), memory.state().unwrap());
        if round == 1 {
            // Reopened in the middle: the run must be begun again.
            let error = store.finish(end(None)).await.unwrap_err();
            assert_eq!(error.message, "no run is open in this store");
        }
        memory.begin(run("p")).await.unwrap();
        store.begin(run("p")).await.unwrap();
        assert_eq!(store.state().unwrap(), memory.state().unwrap());
        let outputs = BTreeMap::from([
            ("url".to_owned(), Value::string("http://x")),
            ("$secret".to_owned(), Value::Int(1)),
        ]);
        memory.finish(end(Some(outputs.clone()))).await.unwrap();
        store.finish(end(Some(outputs))).await.unwrap();
        assert_eq!(store.state().unwrap(), memory.state().unwrap());
    }
    let state = store.state().unwrap();
    drop(store);
    assert_eq!(open_latest(folder.path()).unwrap().unwrap().state, state);
    let snapshot = read_state(folder.path()).unwrap();
    assert_eq!((snapshot.state, snapshot.notes), (state, vec![]));
}

#[tokio::test]
async fn an_event_out_of_order_is_refused_and_harms_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let error = store.append(started(0, "a")).await.unwrap_err();
    assert_eq!(error.message, "no run is open in this store");
    store.begin(run("p")).await.unwrap();
    let error = store.append(put(0, "a", "one")).await.unwrap_err();
    assert_eq!(error.message, "journal: step 0 cannot go from Waiting by Done");
    store.append(started(0, "a")).await.unwrap();
    store.append(put(0, "a", "one")).await.unwrap();
    assert!(store.append(put(0, "a", "two")).await.is_err());
    store.finish(end(None)).await.unwrap();
    assert_eq!(store.state().unwrap().records[&address("a")].spec, plain("one"));
}

#[tokio::test]
async fn revisions_say_who_and_what_changed_and_the_oldest_go() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let secret = |text: &str| map([("password", Value::string(text).secret())]);
    for round in 0..103_u32 {
        store.begin(run(&format!("plan{round}"))).await.unwrap();
        let writes = [
            ("kept", secret("same")),
            ("changed", secret(&format!("round {round}"))),
            (if round % 2 == 0 { "even" } else { "odd" }, plain("x")),
        ];
        for (step, (name, spec)) in (0..).zip(writes) {
            store.append(started(step, name)).await.unwrap();
            let effect = Effect::Put(Box::new(record(name, spec)));
            let step = StepId(step);
            store.append(dollop_engine::journal::Event::Done { step, effect }).await.unwrap();
        }
        if round > 0 {
            store.append(started(9, "gone")).await.unwrap();
            let gone = if round % 2 == 0 { "odd" } else { "even" };
            store.append(removed(9, gone)).await.unwrap();
        }
        store.finish(end(None)).await.unwrap();
    }
    let history = history(folder.path()).unwrap();
    assert!(history.notes.is_empty());
    let serials: Vec<_> = history.revisions.iter().map(|revision| revision.serial).collect();
    assert_eq!(serials, (4..=103).collect::<Vec<_>>());
    let (header, state) = read_revision(folder.path(), 103).unwrap();
    assert_eq!(Some(&header), history.revisions.last());
    assert_eq!(header.run, run("plan102"));
    assert!(header.complete && header.ended.ends_with('Z'));
    assert_eq!(header.changes.added, [address("even")]);
    assert_eq!(header.changes.changed, [address("changed")]);
    assert_eq!(header.changes.removed, [address("odd")]);
    assert_eq!((header.records, state.serial), (3, 103));
    assert_eq!(state, store.state().unwrap());
    let names: Vec<_> = files(&folder.path().join("revisions"));
    assert_eq!(names.len(), 100);
}

#[test]
fn parallel_appends_share_syncs() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let store = Arc::new(open(folder.path()));
        store.begin(run("p")).await.unwrap();
        let before = store.syncs();
        let tasks: Vec<_> = (0..200)
            .map(|step| {
                let store = store.clone();
                tokio::spawn(async move {
                    let name = format!("n{step}");
                    store.append(started(step, &name)).await.unwrap();
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        let syncs = store.syncs() - before;
        assert!((1..100).contains(&syncs), "{syncs} syncs for 200 appends");
        assert_eq!(store.state().unwrap().records.len(), 200);
        // One at a time, each is synced alone.
        let before = store.syncs();
        for step in 0..10 {
            store.append(put(step, &format!("n{step}"), "x")).await.unwrap();
        }
        assert_eq!(store.syncs() - before, 10);
    });
}

#[tokio::test]
async fn one_group_may_write_and_remove_the_same_record_many_times() {
    let folder = tempfile::tempdir().unwrap();
    let (store, memory) = (Arc::new(open(folder.path())), MemoryStore::default());
    store.begin(run("p")).await.unwrap();
    memory.begin(run("p")).await.unwrap();
    for events in [
        (0..100).map(|step| started(step, &format!("n{}", step % 3))).collect::<Vec<_>>(),
        (0..100)
            .map(|step| match step % 5 {
                0 | 3 => removed(step, &format!("n{}", step % 3)),
                _ => put(step, &format!("n{}", step % 3), &"long ".repeat(step as usize * 50)),
            })
            .collect(),
    ] {
        let mut tasks = tokio::task::JoinSet::new();
        for event in events {
            memory.append(event.clone()).await.unwrap();
            let store = store.clone();
            tasks.spawn(async move { store.append(event).await.unwrap() });
        }
        tasks.join_all().await;
        assert_eq!(store.state().unwrap(), memory.state().unwrap());
    }
    drop(store);
    assert_eq!(open(folder.path()).state().unwrap(), memory.state().unwrap());
}

#[tokio::test]
async fn ten_thousand_records_finish_and_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(open(folder.path()));
    store.begin(run("p")).await.unwrap();
    let mut steps = tokio::task::JoinSet::new();
    for step in 0..10_000 {
        let store = store.clone();
        steps.spawn(async move {
            let name = format!("n{step}");
            store.append(started(step, &name)).await.unwrap();
            store.append(put(step, &name, &name)).await.unwrap();
        });
    }
    while let Some(done) = steps.join_next().await {
        done.unwrap();
    }
    store.finish(end(None)).await.unwrap();
    assert_eq!(store.state().unwrap().records.len(), 10_000);
    let revision = open_latest(folder.path()).unwrap().unwrap();
    assert_eq!(revision.state, store.state().unwrap());
}

#[tokio::test]
async fn a_reader_makes_nothing_and_does_not_disturb_a_writer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(".dollop");
    assert_eq!(read_state(&path).unwrap().state, State::default());
    assert!(open_latest(&path).unwrap().is_none());
    assert!(history(&path).unwrap().revisions.is_empty());
    assert!(!path.exists());

    let store = open(&path);
    let snapshot = read_state(&path).unwrap();
    assert_eq!(snapshot.state, State::default());
    store.begin(run("p")).await.unwrap();
    store.append(started(0, "a")).await.unwrap();
    store.append(put(0, "a", "one")).await.unwrap();
    store.finish(end(None)).await.unwrap();
    let finished = store.state().unwrap();
    store.begin(run("q")).await.unwrap();
    store.append(started(0, "b")).await.unwrap();
    let snapshot = read_state(&path).unwrap();
    assert_eq!(snapshot.state, finished);
    let note = &snapshot.notes[0];
    assert!(note.starts_with("`dollop apply` by ana on web1 is running since 20"), "{note}");
    assert!(note.ends_with("showing the state before it"), "{note}");
    drop(store);

    // Many readers and writers in turn: nobody is told that a reader holds the lock.
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..5 {
                    let serial = read_state(&path).unwrap().state.serial;
                    assert!((1..=2).contains(&serial), "{serial}");
                }
            });
        }
        for _ in 0..5 {
            drop(open(&path));
        }
    });
}

#[cfg(unix)]
#[tokio::test]
async fn the_folder_is_closed_to_others_and_to_git() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/.dollop");
    std::fs::create_dir_all(&path).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let store = open(&path);
    store.begin(run("p")).await.unwrap();
    store.append(started(0, "a")).await.unwrap();
    assert!(!path.join("key").exists(), "no secret, no key");
    let outputs = BTreeMap::from([("pw".to_owned(), Value::string("x").secret())]);
    store.finish(end(Some(outputs))).await.unwrap();
    let mode = |path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(path.clone()), 0o700);
    assert_eq!(mode(path.join("key")), 0o600);
    assert_eq!(mode(path.join("lock")), 0o600);
    assert_eq!(std::fs::read_to_string(path.join(".gitignore")).unwrap(), "*\n");
}

#[test]
fn a_file_in_the_way_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(".dollop");
    std::fs::write(&path, "").unwrap();
    let error = SledStore::open(&path, &holder()).unwrap_err();
    assert!(error.message.contains(&*path.to_string_lossy()), "{error}");
    let _: Holder = holder();
}
