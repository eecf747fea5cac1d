//! What goes wrong outside: the whole text a person reads, and the state as it was.

use std::net::{TcpListener, UdpSocket};
use std::time::{Duration, Instant};

use dollop_tests::cli::{Project, Run};

use super::postgres::container;
use super::quickstart::{Stack, docker};
use super::rabbitmq::broker::Broker;

const KEPT: &str = "local::file(\"kept\", #{ path: \"kept\", content: \"kept\" });\n";

/// A stack that was applied before things go wrong.
fn stack(name: &str) -> Stack {
    let stack = Stack::of(Project::new(name, KEPT), name);
    drop(stack.project.run(&["apply", "--auto-approve"]).expect(0));
    stack
}

fn recorded(project: &Project) -> String {
    let list = project.run(&["state", "list"]).expect(0).stdout;
    format!("{list}{}", project.run(&["show", "--format", "json"]).expect(0).stdout)
}

/// What `apply` says when it fails before it does anything.
fn refused(stack: &Stack, script: &str) -> String {
    let before = recorded(&stack.project);
    stack.project.write("stack.rhai", &format!("{KEPT}{script}"));
    let run = stack.project.run(&["apply", "--auto-approve"]).expect(1);
    assert_eq!(run.stdout, "");
    assert_eq!(recorded(&stack.project), before, "the state is as it was");
    run.stderr
}

/// What `apply` says when a step fails; what was there before is still recorded.
fn failed(stack: &Stack, script: &str) -> String {
    stack.project.write("stack.rhai", &format!("{KEPT}{script}"));
    let run = stack.project.run(&["apply", "--auto-approve"]).expect(1);
    let list = stack.project.run(&["state", "list"]).expect(0).stdout;
    assert!(list.contains("local::file.kept"), "{list}");
    run.stderr
}

fn healed(stack: &Stack, script: &str) -> Run {
    stack.project.write("stack.rhai", &format!("{KEPT}{script}"));
    let run = stack.project.run(&["apply", "--auto-approve"]).expect(0);
    let plan = stack.project.run(&["plan", "--detailed-exitcode"]);
    assert_eq!(plan.code, Some(0), "{}", plan.text());
    run
}

/// Text with a port of this run as `[port]`.
fn with_port(text: &str, port: u16) -> String {
    text.replace(&port.to_string(), "[port]")
}

#[test]
fn a_wrong_password_for_postgresql() {
    let server = container::shared();
    let script = format!(
        "let db = postgres::server(\"main\", #{{ host: \"127.0.0.1\", port: {}, password: \"hunter2\" }});\n\
         db.role(\"dt_never\");\ndb.database(\"dt_never\");\n",
        server.port
    );
    let said = refused(&stack("dt-fail-pg"), &script);
    shows!(with_port(&said, server.port), @r#"
    error[E0506]: `postgres::server.main` refuses the login
     --> stack.rhai:2:20
      |
    2 | let db = postgres::server("main", #{ host: "127.0.0.1", port: [port], password: "hunter2" });
      |                    ^^^^^^
      |
      = note: tried 127.0.0.1:[port] as postgres
      = note: PostgreSQL at 127.0.0.1:[port] does not accept the password of user `postgres`
      = hint: an existing data folder keeps the password it was first started with: changing `POSTGRES_PASSWORD` does not reach it
      = hint: a server in a container of the official image lets `dollop psql` in without it: `ALTER ROLE "postgres" PASSWORD '..'` there makes the two agree
      = hint: to plan from what dollop remembers, add `--no-refresh`

    warning[W0103]: `password` holds a secret in clear text
    --> stack.rhai:2:70
     = hint: ask for it: `param("name", #{ secret: true })`, or have it made: `local::random("name").result`

    error: 1 error, 1 warning
    "#);
}

#[test]
fn a_wrong_password_for_rabbitmq() {
    let port = Broker::shared().port;
    let script = format!(
        "let mq = rabbitmq::server(\"broker\", #{{ host: \"127.0.0.1\", port: {port}, user: \"guest\", password: \"hunter2\" }});\n\
         mq.vhost(\"dt-never\");\n",
    );
    let said = refused(&stack("dt-fail-mq"), &script);
    shows!(with_port(&said, port), @r#"
    error[E0506]: `rabbitmq::server.broker` refuses the login
     --> stack.rhai:2:20
      |
    2 | let mq = rabbitmq::server("broker", #{ host: "127.0.0.1", port: [port], user: "guest", passwor...
      |                    ^^^^^^
      |
      = note: tried http://127.0.0.1:[port] as guest
      = note: http://127.0.0.1:[port] refuses user `guest`: Login failed
      = hint: check `user` and `password` of the connection
      = hint: to plan from what dollop remembers, add `--no-refresh`

    warning[W0103]: `password` holds a secret in clear text
    --> stack.rhai:2:87
     = hint: ask for it: `param("name", #{ secret: true })`, or have it made: `local::random("name").result`

    error: 1 error, 1 warning
    "#);
}

#[test]
fn a_server_that_is_not_there() {
    // Bound and let go, so that nobody listens.
    let port = {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.local_addr().expect("a port").port()
    };
    let script = format!(
        "let db = postgres::server(\"main\", #{{ host: \"127.0.0.1\", port: {port}, password: \"p\" }});\n\
         db.role(\"dt_never\");\n\
         let mq = rabbitmq::server(\"broker\", #{{ host: \"127.0.0.1\", port: {port}, password: \"p\" }});\n\
         mq.vhost(\"dt-never\");\n",
    );
    let said = refused(&stack("dt-fail-none"), &script);
    shows!(with_port(&said, port), @r#"
    error[E0506]: `postgres::server.main` does not answer
     --> stack.rhai:2:20
      |
    2 | let db = postgres::server("main", #{ host: "127.0.0.1", port: [port], password: "p" });
      |                    ^^^^^^
      |
      = note: tried 127.0.0.1:[port] as postgres
      = note: cannot reach PostgreSQL at 127.0.0.1:[port]: connection refused
      = hint: check that the server runs and that host and port are right
      = hint: to plan from what dollop remembers, add `--no-refresh`

    error[E0506]: `rabbitmq::server.broker` does not answer
     --> stack.rhai:4:20
      |
    4 | let mq = rabbitmq::server("broker", #{ host: "127.0.0.1", port: [port], password: "p" });
      |                    ^^^^^^
      |
      = note: tried http://127.0.0.1:[port] as guest
      = note: cannot connect to RabbitMQ: no answer from http://127.0.0.1:[port]: error sending request: client error (Connect): tcp connect error: Connection refused (os error 111)
      = hint: check that RabbitMQ runs there with its management plugin enabled
      = hint: to plan from what dollop remembers, add `--no-refresh`

    warning[W0103]: `password` holds a secret in clear text
    --> stack.rhai:2:70
     = hint: ask for it: `param("name", #{ secret: true })`, or have it made: `local::random("name").result`

    warning[W0103]: `password` holds a secret in clear text
    --> stack.rhai:4:72
     = hint: ask for it: `param("name", #{ secret: true })`, or have it made: `local::random("name").result`

    error: 2 errors, 2 warnings
    "#);
}

#[test]
fn an_engine_that_is_not_there() {
    let project =
        Project::new("dt-fail-engine", KEPT).env("DOCKER_HOST", "unix:///nonexistent.sock");
    let stack = Stack::of(project, "dt-fail-engine");
    drop(stack.project.run(&["apply", "--auto-approve"]).expect(0));
    shows!(refused(&stack, "docker::network(\"n\");\ndocker::volume(\"v\");\n"), @r#"
    error[E0506]: `docker::engine.default` does not answer
     --> stack.rhai:2:9
      |
    2 | docker::network("n");
      |         ^^^^^^^
      |
      = note: tried /nonexistent.sock
      = note: no Docker engine answers at `/nonexistent.sock`: there is no such socket
      = hint: start Docker there, or say where it listens: `host` of `docker::engine`, or DOCKER_HOST
      = hint: to plan from what dollop remembers, add `--no-refresh`

    warning[W0102]: nothing uses `docker::network.n`
     --> stack.rhai:2:9
      |
    2 | docker::network("n");
      |         ^^^^^^^
      |
      = hint: use it or remove it; when others look for it, say `allow: "W0102"`

    warning[W0102]: nothing uses `docker::volume.v`
     --> stack.rhai:3:9
      |
    3 | docker::volume("v");
      |         ^^^^^^
      |
      = hint: use it or remove it; when others look for it, say `allow: "W0102"`

    error: 1 error, 2 warnings
    "#);
    // What needs no engine is not held up by it.
    drop(stack.project.run(&["check"]).expect(0));
    drop(stack.project.run(&["plan", "--no-refresh"]).expect(0));
}

#[test]
fn a_wrong_extension() {
    let server = container::shared();
    let script = |extension: &str| {
        format!(
            "let db = postgres::server(\"main\", #{{ host: \"127.0.0.1\", port: {}, password: \"{}\" }});\n\
             let shop = db.database(\"dt_extension\");\nshop.extension(\"{extension}\");\n",
            server.port,
            container::PASSWORD,
        )
    };
    let stack = stack("dt-fail-extension");
    let said = failed(&stack, &script("uuid_ossp"));
    shows!(with_port(&said, server.port), @r"
    created postgres::database.main/dt_extension ([time])
    failed postgres::extension.main/dt_extension/uuid_ossp ([time]): the server at 127.0.0.1:[port] has no extension `uuid_ossp`

    error[E0701]: `postgres::extension.main/dt_extension/uuid_ossp` could not be created: the server at 127.0.0.1:[port] has no extension `uuid_ossp`
      hint: did you mean `uuid-ossp`?

    Failed after [time]: 1 done, 1 failed
    ");
    drop(healed(&stack, &script("uuid-ossp")));
    drop(stack.project.destroy(&[]).expect(0));
}

#[test]
fn a_missing_image() {
    let stack = stack("dt-fail-image");
    let container = |image: &str| {
        format!(
            "docker::container(\"c\", #{{ image: \"{image}\", command: \"sleep 600\", stop_signal: \"SIGKILL\" }});\n"
        )
    };
    let registry = std::env::var("DOLLOP_LAB_REGISTRY").unwrap_or("127.0.0.1:5000".to_owned());
    let said = failed(&stack, &container(&format!("{registry}/dt-nothing:1")));
    shows!(said.replace(&registry, "[registry]"), @r"
    failed docker::container.c ([time]): image `[registry]/dt-nothing:1` is not there and cannot be pulled: registry `[registry]` has no `[registry]/dt-nothing` in version `1`

    error[E0701]: `docker::container.c` could not be created: image `[registry]/dt-nothing:1` is not there and cannot be pulled: registry `[registry]` has no `[registry]/dt-nothing` in version `1`
      the engine says: manifest for [registry]/dt-nothing:1 not found: manifest unknown: manifest unknown
      hint: check name and tag

    Failed after [time]: 0 done, 1 failed
    ");
    assert!(stack.labelled("container").is_empty());
    drop(healed(&stack, &container("busybox:1.35")));
}

#[test]
fn a_port_that_is_taken() {
    let stack = stack("dt-fail-port");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("a port").port();
    let script = format!(
        "docker::container(\"c\", #{{ image: \"busybox:1.35\", command: \"sleep 600\", \
         stop_signal: \"SIGKILL\", ports: [\"127.0.0.1:{port}:80\"] }});\n"
    );
    let said = failed(&stack, &script);
    assert!(said.contains("E0611"), "{said}");
    assert!(said.contains(&format!("host port {port} is taken by `")), "{said}");
    assert!(said.contains(&format!("(process {})", std::process::id())), "{said}");
    // Of UDP too, and not at another address of the machine.
    let udp = UdpSocket::bind("127.0.0.2:0").expect("a port");
    let other = udp.local_addr().expect("a port").port();
    let at = |publish: &str| script.replace(&format!("127.0.0.1:{port}:80"), publish);
    let said = failed(&stack, &at(&format!("{other}:80/udp")));
    assert!(said.contains(&format!("host port {other}/udp is taken by `")), "{said}");
    assert!(said.contains("at 127.0.0.2"), "{said}");
    let said = failed(&stack, &at("192.0.2.77:80:80"));
    assert!(said.contains("the machine has no such address"), "{said}");
    for free in [format!("127.0.0.2:{port}:80"), format!("127.0.0.1:{other}:80/udp")] {
        stack.project.write("stack.rhai", &at(&free));
        drop(stack.project.run(&["plan"]).expect(0));
    }
    drop(taken);
    let publish = format!("127.0.0.1:{port}:80");
    let label = "dollop.stack=dt-fail-port-other";
    let other =
        ["run", "-d", "--name", "dt-fail-port-other-c", "--label", label, "-p", &publish];
    let _other = Stack::of(Project::new("dt-fail-port-other", ""), "dt-fail-port-other");
    drop(docker(&[&other[..], &["busybox:1.35", "sleep", "600"]].concat()));
    let said = failed(&stack, &script);
    shows!(with_port(&said, port), @r#"
    error[E0611]: `docker::container.c`: host port [port] is taken by container `dt-fail-port-other-c` (stack `dt-fail-port-other`)
     --> stack.rhai:2:96
      |
    2 | ...and: "sleep 600", stop_signal: "SIGKILL", ports: ["127.0.0.1:[port]:80"] });
      |                                              ^^^^^
      |
      = hint: stop `dt-fail-port-other-c`, or publish another port instead of `127.0.0.1:[port]:80`
    "#);
    drop(docker(&["rm", "-f", "dt-fail-port-other-c"]));
    drop(healed(&stack, &script));
    assert_eq!(stack.labelled("container").len(), 1);
}

#[test]
fn a_container_that_never_gets_healthy() {
    let stack = stack("dt-fail-health");
    let script = |check: &str| {
        format!(
            r#"
let c = docker::container("c", #{{
    image: "busybox:1.35",
    command: ["sh", "-c", "echo starting; sleep 1; echo no such table: users >&2; sleep 600"],
    stop_signal: "SIGKILL",
    healthcheck: #{{ test: "{check}", interval: "200ms", retries: 2 }},
    wait: "healthy", wait_timeout: "8s",
}});
local::data("after", #{{ input: c.id }});
"#
        )
    };
    shows!(failed(&stack, &script("echo checking the tables; exit 3")), @"
    failed docker::container.c ([time]): container `dt-fail-health-c` did not get healthy: its health check still fails after 8s
    skipped local::data.after (needs docker::container.c)

    error[E0701]: `docker::container.c` could not be created: container `dt-fail-health-c` did not get healthy: its health check still fails after 8s
      the last health check ended with code 3:
      checking the tables
      the end of its log:
      starting
      no such table: users
      hint: the container is still there to look at: `docker logs dt-fail-health-c`
      hint: give it longer with `wait_timeout`, if it only is slow

    Failed after [time]: 0 done, 1 failed, 1 not started because of it
    ");
    drop(healed(&stack, &script("true")));
    assert_eq!(stack.labelled("container").len(), 1);
}

#[test]
fn a_container_that_ends_at_once() {
    let stack = stack("dt-fail-ends");
    let script = "docker::container(\"c\", #{ image: \"busybox:1.35\", \
                  command: [\"sh\", \"-c\", \"echo no configuration >&2; exit 7\"], \
                  healthcheck: #{ test: \"true\", interval: \"1s\" }, wait: \"healthy\" });\n";
    shows!(failed(&stack, script), @r"
    failed docker::container.c ([time]): container `dt-fail-ends-c` did not get healthy: it ended with code 7

    error[E0701]: `docker::container.c` could not be created: container `dt-fail-ends-c` did not get healthy: it ended with code 7
      the end of its log:
      no configuration
      hint: the container is still there to look at: `docker logs dt-fail-ends-c`

    Failed after [time]: 0 done, 1 failed
    ");
}

/// One container that takes two seconds to get healthy, and what comes after it.
const SLOW: &str = r#"
let slow = docker::container("slow", #{
    image: "busybox:1.35",
    command: ["sh", "-c", "sleep 2; touch /ready; sleep 600"],
    stop_signal: "SIGKILL",
    healthcheck: #{ test: "test -f /ready", interval: "500ms", retries: 60 },
    wait: "healthy",
});
local::file("after", #{ path: "after", content: slow.id });
"#;

fn begun(stack: &Stack) {
    let begun = Instant::now();
    while stack.labelled("container").is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(30), "the container is not made");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn ctrl_c_lets_running_steps_finish() {
    let stack = Stack::of(Project::new("dt-ctrl-c", SLOW), "dt-ctrl-c");
    let running = stack.project.start(&["apply", "--auto-approve"]);
    begun(&stack);
    running.interrupt();
    let run = running.end();
    assert_eq!(run.code, Some(1), "{}", run.text());
    shows!(run.stderr, @"
    stopping: running steps are finished first; Ctrl-C again aborts
    created docker::container.slow ([time])

    Stopped after [time]: 1 done, 1 not started
    stopped before 1 step; run it again to go on
    ");
    assert!(!stack.project.folder().join("after").exists());
    let id = docker(&["inspect", "-f", "{{.Id}}", "dt-ctrl-c-slow"]);
    let list = stack.project.run(&["state", "list"]).expect(0).stdout;
    assert_eq!(list, "docker::container.slow\ndocker::engine.default\nlocal::host.default\n");
    let run = stack.project.run(&["apply", "--auto-approve"]).expect(0);
    shows!(run.stderr, @"
    created local::file.after ([time])
    Applied: 1 created, 0 updated, 0 deleted in [time].
    ");
    assert_eq!(stack.project.read("after"), id, "the container is the same");
    stack.expect_no_changes();
}

#[test]
fn a_second_ctrl_c_ends_at_once_and_the_next_apply_goes_on() {
    let script = SLOW.replace("sleep 2;", "sleep 4;");
    let stack = Stack::of(Project::new("dt-ctrl-cc", &script), "dt-ctrl-cc");
    let running = stack.project.start(&["apply", "--auto-approve"]);
    begun(&stack);
    running.interrupt();
    std::thread::sleep(Duration::from_millis(300));
    running.interrupt();
    let run = running.end();
    assert_eq!(run.code, Some(130), "{}", run.text());
    shows!(run.stderr, @"
    stopping: running steps are finished first; Ctrl-C again aborts
    aborted; the next run finishes what was begun
    ");
    drop(stack.project.run(&["apply", "--auto-approve"]).expect(0));
    assert_eq!(stack.labelled("container").len(), 1);
    assert_eq!(
        stack.project.read("after"),
        docker(&["inspect", "-f", "{{.Id}}", "dt-ctrl-cc-slow"])
    );
    stack.expect_no_changes();
}
