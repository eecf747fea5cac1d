//! A topology of 10 vhosts, 20 users, 200 queues, 200 bindings and 50 policies on a real
//! broker, against the bare requests that read and make the same.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use dollop_tests::topology::{self, Line, removal, requests, script, send};
use serde_json::Value as Json;

/// How often each is measured; the fastest counts.
const RUNS: usize = 5;

/// A broker in a container of the lab, removed when the front of it ends.
struct Broker {
    front: std::process::Child,
    name: String,
}

impl Broker {
    fn start() -> Self {
        let name = format!("dollop-bench-rabbitmq-{}", std::process::id());
        let front = Command::new("docker")
            .args(["run", "--rm", "--init", "--name", &name, "--publish", "127.0.0.1::15672"])
            .arg("rabbitmq:3.10-management")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the docker CLI runs");
        Self { front, name }
    }

    /// The port of its management API, once it answers.
    fn port(&self) -> Option<u16> {
        let start = Instant::now();
        while start.elapsed() < Duration::from_mins(2) {
            let output =
                Command::new("docker").args(["port", &self.name, "15672"]).output().ok()?;
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let port =
                text.lines().next().and_then(|line| line.rsplit(':').next()?.parse().ok());
            let ready = Command::new("docker")
                .args(["exec", &self.name, "rabbitmqctl", "--quiet", "await_startup"])
                .output()
                .is_ok_and(|output| output.status.success());
            if let Some(port) = port.filter(|_| ready) {
                return Some(port);
            }
            std::thread::sleep(Duration::from_millis(500));
        }
        None
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        drop(Command::new("docker").args(["rm", "--force", "--volumes", &self.name]).output());
        drop(self.front.wait());
    }
}

/// Starts a broker and measures; `vhosts` are those Ansible is given, all when it is `None`.
pub(crate) fn section(vhosts: Option<u32>) {
    let broker = Broker::start();
    match broker.port() {
        Some(port) => compare(port, &broker.name, vhosts.unwrap_or(topology::ALL)),
        None => println!("\nno broker starts (image rabbitmq:3.10-management): no comparison"),
    }
}

/// Measures against the broker behind a port of its management API, as guest, and against
/// Ansible where there is one. Ansible takes minutes, so it may be given fewer `vhosts`; its
/// time for all of them is then that many times longer.
fn compare(port: u16, container: &str, vhosts: u32) {
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
    rival(port, container, vhosts, first, noop);
}

/// Ansible on the same broker: a first run and a second one that changes nothing.
fn rival(port: u16, container: &str, vhosts: u32, first: Duration, noop: Duration) {
    let ansible = Command::new("ansible-playbook").arg("--version").output();
    if !ansible.is_ok_and(|output| output.status.success()) {
        println!("no `ansible-playbook` on the PATH: no comparison");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    // Its modules for vhosts, users and policies run `rabbitmqctl`, here inside the container.
    for tool in ["rabbitmqctl", "rabbitmq-plugins"] {
        let path = folder.path().join(tool);
        let script = format!("#!/bin/sh\nexec docker exec -i {container} {tool} \"$@\"\n");
        std::fs::write(&path, script).expect("a script");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&path, mode).expect("its mode");
    }
    let on_path = folder.path().display().to_string();
    let playbook = folder.path().join("playbook.yml");
    std::fs::write(&playbook, topology::playbook(port, "ansible", vhosts, &on_path))
        .expect("a playbook");
    for (what, ours) in [("first apply", first), ("no-op plan", noop)] {
        let start = Instant::now();
        let output = Command::new("ansible-playbook")
            .arg(&playbook)
            .env("LC_ALL", "C.UTF-8")
            .env("ANSIBLE_PIPELINING", "1")
            .env("ANSIBLE_LOCALHOST_WARNING", "0")
            .output()
            .expect("Ansible runs");
        let took = (start.elapsed() * topology::ALL / vhosts).as_secs_f64();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{said}");
        println!(
            "{what:<12} Ansible {took:>8.1} s{}: dollop is {:>6.0}× faster",
            if vhosts == topology::ALL {
                String::new()
            } else {
                format!(" (from {vhosts} vhosts)")
            },
            took / ours.as_secs_f64()
        );
    }
}

fn dollop(binary: &Path, folder: &Path, arguments: &[&str]) {
    let output = Command::new(binary).args(arguments).current_dir(folder).output();
    let output = output.expect("`cargo build --release` made the binary");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn milliseconds(took: Duration) -> f64 {
    took.as_secs_f64() * 1000.0
}
