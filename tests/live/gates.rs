//! Gates: what names something in `after_healthy` is made once that works, and not before.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dollop_tests::cli::Project;

use super::quickstart::Stack;

/// How long a probe of these tests waits.
const PATIENCE: Duration = Duration::from_secs(6);

/// A port where something works or does not.
struct Service {
    place: String,
    works: Arc<AtomicBool>,
}

impl Service {
    /// Speaks HTTP and AMQP: while it does not work, HTTP with a bad status only.
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let place = listener.local_addr().expect("its address").to_string();
        let works = Arc::new(AtomicBool::new(false));
        let service = Self { place, works: Arc::clone(&works) };
        std::thread::spawn(move || {
            let answer = |mut stream: TcpStream| {
                let mut asked = [0; 512];
                let read = stream.read(&mut asked)?;
                stream.write_all(match works.load(Ordering::Relaxed) {
                    false => b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n",
                    true if asked[..read].starts_with(b"AMQP") => &[1, 0, 0],
                    true => b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
                })
            };
            // Who goes away early is nobody's trouble.
            listener.incoming().flatten().for_each(|stream| drop(answer(stream)));
        });
        service
    }

    fn works(&self, works: bool) {
        self.works.store(works, Ordering::Relaxed);
    }
}

/// The script with a gate, and what comes after it.
fn behind(gate: &str, content: &str) -> String {
    format!(
        "let gate = local::probe(\"gate\", #{{ {gate}, timeout: \"{}s\" }});\n\
         local::file(\"after\", #{{ path: \"after\", content: \"{content}\", \
         after_healthy: gate }});\n",
        PATIENCE.as_secs()
    )
}

/// What it answers to is asked again and again until it works, when it is new and when it is
/// known already.
fn holds_until_it_works(name: &str, gate: &str, service: &Service, why: &str) {
    let project = Project::new(name, &behind(gate, "first"));
    let waiting = project.start(&["apply", "--auto-approve"]);
    std::thread::sleep(Duration::from_secs(1));
    assert!(!project.folder().join("after").exists(), "{gate}: it does not wait");
    service.works(true);
    drop(waiting.end().expect(0));
    assert_eq!(project.read("after"), "first");

    service.works(false);
    project.write("stack.rhai", &behind(gate, "second"));
    let said = project.run(&["apply", "--auto-approve"]).expect(1).stderr;
    assert!(said.contains(why), "{gate}: {said}");
    assert_eq!(project.read("after"), "first");
    let waiting = project.start(&["apply", "--auto-approve"]);
    std::thread::sleep(Duration::from_secs(1));
    service.works(true);
    drop(waiting.end().expect(0));
    assert_eq!(project.read("after"), "second");
}

#[test]
fn a_page_is_waited_for() {
    let service = Service::start();
    let gate = format!("http: \"http://{}/health\"", service.place);
    holds_until_it_works("gate-http", &gate, &service, "answers with status 503, after 6s");
}

#[test]
fn a_broker_is_waited_for() {
    let service = Service::start();
    let gate = format!("amqp: \"{}\"", service.place);
    holds_until_it_works("gate-amqp", &gate, &service, "does not speak AMQP 0-9-1, after 6s");
}

#[test]
fn a_port_is_waited_for() {
    let free = TcpListener::bind("127.0.0.1:0").expect("a port");
    let place = free.local_addr().expect("its address").to_string();
    drop(free);
    let project = Project::new("gate-tcp", &behind(&format!("tcp: \"{place}\""), "first"));
    let waiting = project.start(&["apply", "--auto-approve"]);
    std::thread::sleep(Duration::from_secs(1));
    assert!(!project.folder().join("after").exists(), "it does not wait");
    let open = TcpListener::bind(&place).expect("the same port");
    drop(waiting.end().expect(0));
    assert_eq!(project.read("after"), "first");
    drop(open);
    project.write("stack.rhai", &behind(&format!("tcp: \"{place}\""), "second"));
    let said = project.run(&["apply", "--auto-approve"]).expect(1).stderr;
    assert!(said.contains("connection refused, after 6s"), "{said}");
    assert_eq!(project.read("after"), "first");
}

/// Both fail the first time, and leave behind that they were there.
const ENDS: &str = r#"
    let shared = docker::volume("shared");
    let once = ["sh", "-c", "test -e /shared/$0 || { touch /shared/$0; exit 3; }"];
    let more = #{ image: "busybox:1.35", volumes: [`${shared}:/shared`] };
    let job = docker::job("job", more + #{ command: once + ["job"] });
    let ends = docker::container("ends", more + #{ command: once + ["ends"], wait: "exited" });
    local::file("job", #{ path: "after-job", content: "x", depends_on: job });
    local::file("ends", #{ path: "after-ends", content: "x", after_healthy: ends });
"#;

#[test]
fn what_must_end_well_is_run_again() {
    let stack = Stack::of(Project::new("dt-gate-ends", ENDS), "dt-gate-ends");
    let project = &stack.project;
    let said = project.run(&["apply", "--auto-approve"]).expect(1).stderr;
    for words in ["job `dt-gate-ends-job` ended with code 3", "it ended with code 3"] {
        assert!(said.contains(words), "no `{words}` in\n{said}");
    }
    let made = |name: &str| project.folder().join(name).exists();
    assert!(!made("after-job") && !made("after-ends"), "{said}");
    stack.apply();
    assert!(made("after-job") && made("after-ends"));
    stack.expect_no_changes();
}
