//! Two processes: one that is killed, one that is kept out.
//!
//! The other process is this test binary itself, told by an environment variable what to do.

#![allow(clippy::unwrap_used)]

mod common;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use common::*;
use dollop_engine::store::Store;
use dollop_state::{SledStore, read_state};

const ROLE: &str = "DOLLOP_STATE_TEST_ROLE";
const FOLDER: &str = "DOLLOP_STATE_TEST_FOLDER";

fn child(role: &str, folder: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["child_process", "--exact", "--nocapture", "--test-threads=1"])
        .env(ROLE, role)
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .stdin(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Not a test: what the other process does. Without the variable it does nothing.
#[test]
fn child_process() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let folder = std::env::var(FOLDER).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let store = Arc::new(open(Path::new(&folder)));
    if role == "hold" {
        say("held");
        std::thread::sleep(Duration::from_mins(1));
        return;
    }
    runtime.block_on(async {
        // Runs of 60 steps on four tasks, over and over, until it is killed.
        loop {
            store.begin(run("p")).await.unwrap();
            let serial = store.state().unwrap().serial;
            let tasks: Vec<_> = (0..4_u32)
                .map(|task| {
                    let store = store.clone();
                    tokio::spawn(async move {
                        for round in 0..15 {
                            let (step, name) = (task * 15 + round, format!("n{task}-{round}"));
                            store.append(started(step, &name)).await.unwrap();
                            say(&format!("started {serial} {name}"));
                            store.append(put(step, &name, &serial.to_string())).await.unwrap();
                            say(&format!("done {serial} {name}"));
                        }
                    })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
            if role == "abort" && serial.is_multiple_of(3) {
                std::process::abort();
            }
            store.finish(end(None)).await.unwrap();
            say(&format!("finished {serial} -"));
        }
    });
}

/// One line, at once, past the test harness's capture.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("say {line}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}

/// What the child said before it was gone.
fn said(child: &mut Child) -> impl Iterator<Item = String> + use<> {
    let out = child.stdout.take().unwrap();
    BufReader::new(out)
        .lines()
        .map_while(Result::ok)
        .filter_map(|line| line.split_once("say ").map(|(_, said)| said.to_owned()))
}

/// Everything acknowledged before the kill must be there after it.
fn check_nothing_lost(folder: &Path, said: impl Iterator<Item = String>) -> usize {
    let read = read_state(folder);
    let store = open(folder);
    let state = store.state().unwrap();
    // Whether it read the revision or the store.
    assert_eq!(read.unwrap().state, state);
    let mut acknowledged = 0;
    for line in said {
        let words: Vec<_> = line.split(' ').collect();
        let [what, serial, name] = words[..] else { panic!("{line}") };
        let serial: u64 = serial.parse().unwrap();
        acknowledged += 1;
        assert!(state.serial >= serial, "{line}: {}", state.serial);
        if what == "finished" {
            assert!(folder.join(format!("revisions/{serial:06}.json.zst")).exists(), "{line}");
            continue;
        }
        let record =
            state.records.get(&address(name)).unwrap_or_else(|| panic!("lost: {line}"));
        if what == "done" {
            let written: u64 =
                record.spec.get("name").and_then(|v| v.as_str()?.parse().ok()).unwrap();
            assert!(written >= serial && !record.interrupted, "{line}: {written}");
        }
    }
    acknowledged
}

#[test]
fn nothing_acknowledged_is_lost_by_kills_at_random_moments() {
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged = 0;
    for round in 0..25_u64 {
        let mut child = child("append", folder.path());
        let mut lines = said(&mut child);
        let first: Vec<_> = lines.by_ref().take(1).collect();
        // Spread over opening, appending and finishing.
        std::thread::sleep(Duration::from_micros(round * round * 397 % 60_000));
        child.kill().unwrap();
        child.wait().unwrap();
        acknowledged += check_nothing_lost(folder.path(), first.into_iter().chain(lines));
    }
    assert!(acknowledged >= 25, "{acknowledged}");
}

#[test]
fn a_kill_while_opening_leaves_a_store_that_opens() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..25_u64 {
        let mut child = child("append", folder.path());
        std::thread::sleep(Duration::from_micros(round * 1_500));
        child.kill().unwrap();
        child.wait().unwrap();
        let lines = said(&mut child);
        check_nothing_lost(folder.path(), lines);
    }
}

#[test]
fn nothing_acknowledged_is_lost_by_an_abort_before_finish() {
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..3 {
        let mut child = child("abort", folder.path());
        let lines: Vec<_> = said(&mut child).collect();
        assert!(!child.wait().unwrap().success());
        assert!(lines.len() >= 120);
        check_nothing_lost(folder.path(), lines.into_iter());
        // The interrupted run counts.
        assert!(read_state(folder.path()).unwrap().state.serial >= 3);
    }
}

#[test]
fn a_second_process_is_told_who_holds_the_lock_until_that_one_dies() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = child("hold", folder.path());
    assert_eq!(said(&mut child).next().unwrap(), "held");
    let error = SledStore::open(folder.path(), &holder()).unwrap_err();
    let expected = format!(
        "another dollop is working on this state: `dollop apply` by ana on web1, process {}, since 20",
        child.id()
    );
    assert!(error.message.starts_with(&expected), "{error}");
    assert!(error.hints[0].contains("the lock goes with it"));
    let note = &read_state(folder.path()).unwrap().notes[0];
    assert!(note.contains("showing the state before it"), "{note}");
    child.kill().unwrap();
    child.wait().unwrap();
    drop(open(folder.path()));
}
