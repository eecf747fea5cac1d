//! A topology of 10 vhosts, 20 users, 200 queues, 200 bindings and 50 policies on a real
//! broker, against the bare requests that read and make the same.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use dollop_tests::topology::{Line, removal, requests, script, send};
use serde_json::Value as Json;

/// How often each is measured; the fastest counts.
const RUNS: usize = 5;

/// Measures against the broker behind a port of its management API, as guest.
pub(crate) fn compare(port: u16) {
    let binary = std::env::current_exe().expect("own path").with_file_name("dollop");
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("stack.rhai"), script(port, "bench"))
        .expect("the stack is written");

    let mut floor = Duration::MAX;
    let mut one = Duration::MAX;
    let mut first = Duration::MAX;
    let mut noop = Duration::MAX;
    for _ in 0..RUNS {
        for (connections, best) in [(10, &mut floor), (1, &mut one)] {
            let start = Instant::now();
            for wave in requests("bench") {
                send(port, wave, connections);
            }
            *best = start.elapsed().min(*best);
            send(port, removal("bench"), 10);
        }
        let start = Instant::now();
        dollop(&binary, folder.path(), &["apply", "--auto-approve"]);
        first = start.elapsed().min(first);
        for _ in 0..RUNS {
            let start = Instant::now();
            dollop(&binary, folder.path(), &["plan", "--detailed-exitcode"]);
            noop = start.elapsed().min(noop);
        }
        dollop(&binary, folder.path(), &["destroy", "--auto-approve"]);
    }
    // The floors of reading need the topology.
    for wave in requests("bench") {
        send(port, wave, 10);
    }
    let mut line = Line::open(port);
    let mut definitions = Duration::MAX;
    let mut lists = Duration::MAX;
    for _ in 0..RUNS * 4 {
        let start = Instant::now();
        drop(line.ask("GET", "definitions", &Json::Null));
        definitions = start.elapsed().min(definitions);
        let start = Instant::now();
        for list in ["vhosts", "users", "queues?disable_stats=true", "bindings", "policies"] {
            drop(line.ask("GET", list, &Json::Null));
        }
        lists = start.elapsed().min(lists);
    }
    send(port, removal("bench"), 10);

    println!(
        "RabbitMQ: 10 vhosts, 20 users, 200 queues, 200 bindings, 50 policies; milliseconds"
    );
    let row = |what: &str, took: Duration, floor: Duration, of: &str| {
        println!(
            "{what:<12} {:>9.1}   {:>5.2}× of {of} ({:.1})",
            milliseconds(took),
            took.as_secs_f64() / floor.as_secs_f64(),
            milliseconds(floor)
        );
    };
    row("no-op plan", noop, definitions, "one definitions request");
    row("no-op plan", noop, lists, "five list requests");
    row("first apply", first, floor, "the bare requests over 10 connections");
    row("first apply", first, one, "the bare requests over one connection");
}

fn dollop(binary: &Path, folder: &Path, arguments: &[&str]) {
    let output = Command::new(binary).args(arguments).current_dir(folder).output();
    let output = output.expect("`cargo build --release` made the binary");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn milliseconds(took: Duration) -> f64 {
    took.as_secs_f64() * 1000.0
}
