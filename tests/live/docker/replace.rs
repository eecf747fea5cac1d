//! Replacing containers while others use them.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use dollop_tests::cli::Project;

use super::support::docker;
use crate::crash::POINTS;
use crate::live::quickstart::Stack;

/// A web server that says which version it is, behind a proxy that looks its name up anew.
const BEHIND_A_PROXY: &str = r#"
let net = docker::network("net");
docker::container("app", #{
    image: "busybox:1.35",
    command: ["sh", "-c", "mkdir /www; echo $VERSION > /www/index.html; exec httpd -f -p 80 -h /www"],
    env: #{ VERSION: "{version}" },
    init: true,
    networks: [net],
    healthcheck: #{ test: "wget -q -O /dev/null http://127.0.0.1/", interval: "300ms" },
    wait: "healthy",
    {more}
});
let front = docker::container("front", #{
    image: "nginx:1.22",
    networks: [net],
    ports: ["127.0.0.1::80"],
    stop_signal: "SIGKILL",
    files: #{ "/etc/nginx/conf.d/default.conf": `
        server {
            listen 80;
            resolver 127.0.0.11 valid=1s ipv6=off;
            location / {
                set $app app;
                proxy_connect_timeout 1s;
                proxy_pass http://$app:80;
            }
        }
    ` },
});
output("port", front.host_ports["80/tcp"]);
"#;

fn behind_a_proxy(version: &str, more: &str) -> String {
    BEHIND_A_PROXY.replace("{version}", version).replace("{more}", more)
}

/// One request; the body of a good answer.
fn get(port: u16) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(20))).ok()?;
    stream.write_all(b"GET / HTTP/1.0\r\nHost: app\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    head.starts_with("HTTP/1.1 200").then(|| body.trim().to_owned())
}

/// The proxy listens some time after it was started.
fn answers(port: u16, version: &str) {
    for _ in 0..100 {
        if get(port).as_deref() == Some(version) {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("nothing answers with {version}");
}

/// Clients that ask without pause until they are stopped.
struct Load {
    stop: Arc<AtomicBool>,
    good: Arc<AtomicUsize>,
    bad: Arc<AtomicUsize>,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    fn on(port: u16) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (good, bad) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let clients = (0..2).map(|_| {
            let (stop, good, bad) = (Arc::clone(&stop), Arc::clone(&good), Arc::clone(&bad));
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let counter = if get(port).is_some() { &good } else { &bad };
                    counter.fetch_add(1, Ordering::Relaxed);
                    std::thread::sleep(Duration::from_millis(5));
                }
            })
        });
        let clients = clients.collect();
        Self { stop, good, bad, clients }
    }

    /// How many answers were good and how many were not.
    fn end(self) -> (usize, usize) {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.join().expect("a client ends");
        }
        (self.good.load(Ordering::Relaxed), self.bad.load(Ordering::Relaxed))
    }
}

/// Replaces the app so often under load; good and bad answers.
fn replaced_under_load(name: &str, times: usize, more: &str) -> (usize, usize) {
    let stack = Stack::of(Project::new(name, &behind_a_proxy("0", more)), name);
    stack.apply();
    let port: u16 = stack.output("port").parse().expect("a port");
    answers(port, "0");
    let load = Load::on(port);
    for version in 1..=times {
        let version = version.to_string();
        stack.project.write("stack.rhai", &behind_a_proxy(&version, more));
        stack.apply();
    }
    let counted = load.end();
    assert_eq!(get(port), Some(times.to_string()), "the last version serves");
    stack.expect_no_changes();
    assert_eq!(stack.labelled("container").len(), 2, "nothing is left over");
    counted
}

#[test]
fn a_start_first_replacement_loses_no_request() {
    const START_FIRST: &str = r#"update_config: #{ order: "start-first", monitor: "2s" }"#;
    let (good, bad) = replaced_under_load("dollop-test-start-first", 20, START_FIRST);
    let (stop_good, stop_bad) = replaced_under_load("dollop-test-stop-first", 5, "");
    println!("start-first, 20 replacements: {bad} of {} requests failed", good + bad);
    println!("stop-first, 5 replacements: {stop_bad} of {} failed", stop_good + stop_bad);
    assert_eq!(bad, 0, "of {}", good + bad);
    assert!(good > 1000, "{good}");
}

#[test]
fn a_successor_that_does_not_work_leaves_the_old_one_alone() {
    let name = "dollop-test-no-successor";
    let more = "create_before_destroy: true, wait_timeout: \"3s\"";
    let stack = Stack::of(Project::new(name, &behind_a_proxy("1", more)), name);
    stack.apply();
    let port: u16 = stack.output("port").parse().expect("a port");
    let inspect =
        ["inspect", "--format", "{{.Id}} {{.State.StartedAt}}", &stack.container("app")];
    let before = docker(&inspect);

    let broken = behind_a_proxy("2", more)
        .replace("exec httpd", "echo cannot find the database; sleep 600; exec httpd");
    stack.project.write("stack.rhai", &broken);
    let plan = stack.project.run(&["plan"]).expect(0);
    assert!(plan.stdout.contains("[create before destroy]"), "{}", plan.stdout);
    let run = stack.project.run(&["apply", "--auto-approve"]).expect(1);
    assert!(run.stderr.contains("cannot find the database"), "{}", run.stderr);
    assert!(run.stderr.contains("goes on as it was"), "{}", run.stderr);
    assert_eq!(docker(&inspect), before, "the old one was not touched");
    answers(port, "1");
    assert_eq!(stack.labelled("container").len(), 2, "the new one is gone");

    stack.project.write("stack.rhai", &behind_a_proxy("1", more));
    stack.expect_no_changes();
}

#[test]
fn what_only_one_can_have_is_refused_while_planning() {
    let name = "dollop-test-side-by-side";
    let script = |version: &str, more: &str| {
        format!(
            "let net = docker::network(\"net\", #{{ subnet: \"10.214.9.0/24\" }});
             docker::container(\"app\", #{{ image: \"busybox:1.35\", command: \"sleep 600\",
                 stop_signal: \"SIGKILL\", env: #{{ VERSION: \"{version}\" }},
                 create_before_destroy: true, depends_on: [net], {more} }});"
        )
    };
    for (more, why) in [
        ("ports: [\"127.0.0.1:18477:80\"], networks: [net]", "a host port has one owner"),
        (
            "networks: [#{ network: net, ipv4_address: \"10.214.9.5\" }]",
            "both have the address 10.214.9.5",
        ),
        ("network_mode: \"host\"", "the machine's own ports"),
    ] {
        let stack = Stack::of(Project::new(name, &script("1", more)), name);
        stack.apply();
        stack.project.write("stack.rhai", &script("2", more));
        let run = stack.project.run(&["plan"]).expect(1);
        assert!(run.stderr.contains("E0521"), "{}", run.stderr);
        assert!(run.stderr.contains(why), "{}", run.stderr);
    }
}

/// Three of it, which answer with their version.
fn three(version: &str, command: &str, more: &str) -> String {
    format!(
        r#"let net = docker::network("net");
docker::container("app", #{{
    image: "busybox:1.35",
    command: ["sh", "-c", "mkdir /www; echo {version} > /www/index.html; {command} exec httpd -f -p 80 -h /www"],
    init: true,
    networks: [net],
    healthcheck: #{{ test: "wget -q -O /dev/null http://127.0.0.1/", interval: "300ms" }},
    wait: "healthy",
    wait_timeout: "10s",
    replicas: 3,
    {more}
}});
docker::container("client", #{{ image: "busybox:1.35", command: "sleep 6000", networks: [net],
    stop_signal: "SIGKILL" }});
"#
    )
}

/// What every replica answers, by the name they share.
fn versions(stack: &Stack) -> Vec<String> {
    let ask = "for ip in $(nslookup app 2>/dev/null | awk '/^Address/ && !/:53/ {print $NF}' | sort -u); \
               do wget -q -O - http://$ip/; done";
    let answers = docker(&["exec", &stack.container("client"), "sh", "-c", ask]);
    answers.lines().map(str::to_owned).collect()
}

#[test]
fn replicas_are_replaced_one_after_the_other_and_a_bad_version_stops_at_the_first() {
    for (name, more) in [
        (
            "dollop-test-rolling-start",
            r#"update_config: #{ order: "start-first", monitor: "1s" }"#,
        ),
        ("dollop-test-rolling-back", r#"update_config: #{ failure_action: "rollback" }"#),
    ] {
        let stack = Stack::of(Project::new(name, &three("v1", "", more)), name);
        stack.apply();
        assert_eq!(versions(&stack), ["v1", "v1", "v1"]);
        stack.project.write("stack.rhai", &three("v2", "", more));
        stack.apply();
        assert_eq!(versions(&stack), ["v2", "v2", "v2"]);
        stack.expect_no_changes();

        stack.project.write("stack.rhai", &three("v3", "sleep 600;", more));
        let run = stack.project.run(&["apply", "--auto-approve"]).expect(1);
        assert!(run.stderr.contains("app-1"), "{}", run.stderr);
        assert_eq!(versions(&stack), ["v2", "v2", "v2"], "{}", run.stderr);
        stack.project.write("stack.rhai", &three("v2", "", more));
        stack.expect_no_changes();

        // One less.
        let two = three("v2", "", more).replace("replicas: 3", "replicas: 2");
        stack.project.write("stack.rhai", &two);
        stack.apply();
        assert_eq!(versions(&stack).len(), 2);
    }
}

/// Three replicas; of a version with a gate, only the first to come works.
fn gated(version: &str, gate: &str, more: &str) -> String {
    three(version, gate, more)
        .replace("let net =", "let flags = docker::volume(\"flags\");\nlet net =")
        .replace("    init: true,", "    init: true,\n    volumes: [`${flags}:/flags`],")
}

#[test]
fn a_rollback_takes_the_replicas_changed_before_along() {
    const GATE: &str = "mkdir /flags/VERSION || sleep 600;";
    for (name, more) in [
        (
            "dollop-test-back-start",
            r#"update_config: #{ order: "start-first", monitor: "1s", failure_action: "rollback" }"#,
        ),
        ("dollop-test-back-stop", r#"update_config: #{ failure_action: "rollback" }"#),
    ] {
        let stack = Stack::of(Project::new(name, &gated("v1", "", more)), name);
        stack.apply();
        assert_eq!(versions(&stack), ["v1", "v1", "v1"]);
        stack.project.write("stack.rhai", &gated("v2", &GATE.replace("VERSION", "v2"), more));
        let run = stack.project.run(&["apply", "--auto-approve"]).expect(1);
        assert!(run.stderr.contains("docker::container.app-2"), "{}", run.stderr);
        let said: String = run.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(
            said.contains("`docker::container.app-1` was made again as it was, too"),
            "{}",
            run.stderr
        );
        assert_eq!(versions(&stack), ["v1", "v1", "v1"], "{}", run.stderr);
        stack.project.write("stack.rhai", &gated("v1", "", more));
        stack.expect_no_changes();
        assert_eq!(stack.labelled("container").len(), 4, "nothing is left over");

        // Killed while it goes back, the next run goes on from what is there.
        for point in &POINTS[1..] {
            for operation in ["Delete", "Create"] {
                let version = format!("{point}-{operation}");
                let gate = GATE.replace("VERSION", &version);
                stack.project.write("stack.rhai", &gated("v2", &gate, more));
                // The first one is the plan's.
                let fault = format!("{point}@{operation} docker::container.app-1#2");
                let run = stack.project.run_until(&fault, &["apply", "--auto-approve"]);
                assert_eq!(run.code, None, "{fault} was not reached\n{}", run.text());
                stack.project.write("stack.rhai", &gated("v1", "", more));
                stack.apply();
                assert_eq!(versions(&stack), ["v1", "v1", "v1"], "{fault}");
                stack.expect_no_changes();
                assert_eq!(stack.labelled("container").len(), 4, "{fault}: nothing is left");
            }
        }
    }
}

#[test]
fn hooks_run_after_a_start_and_before_a_stop() {
    let name = "dollop-test-hooks";
    let script = |post: &str, pre: &str| {
        format!(
            r#"let data = docker::volume("data");
docker::container("app", #{{
    image: "busybox:1.35", command: "sleep 600", stop_signal: "SIGKILL",
    volumes: [`${{data}}:/data`],
    env: #{{ SECRET: "hunter2-in-hooks" }},
    post_start: [#{{ command: ["sh", "-c", "{post}"], environment: #{{ WHO: "post" }} }}],
    pre_stop: [#{{ command: ["sh", "-c", "{pre}"], user: "root" }}],
}});
docker::container("reader", #{{ image: "busybox:1.35", command: "sleep 600",
    stop_signal: "SIGKILL", volumes: [`${{data}}:/data`] }});
"#
        )
    };
    let (post, pre) = ("echo $WHO >> /data/log", "echo pre >> /data/log");
    let stack = Stack::of(Project::new(name, &script(post, pre)), name);
    stack.apply();
    let log = || docker(&["exec", &stack.container("reader"), "cat", "/data/log"]);
    assert_eq!(log(), "post");
    // Other hooks are nothing to start it anew for.
    let started = ["inspect", "--format", "{{.State.StartedAt}}", &stack.container("app")];
    let before = docker(&started);
    stack.project.write("stack.rhai", &script("echo again >> /data/log", pre));
    stack.apply();
    assert_eq!(docker(&started), before);
    stack.expect_no_changes();
    // Replacing stops the old one.
    let other = script("echo again >> /data/log", pre)
        .replace("sleep 600\", stop", "sleep 601\", stop");
    stack.project.write("stack.rhai", &other);
    stack.apply();
    assert_eq!(log(), "post\npre\nagain");
    // One that fails says what it printed, without secrets.
    let bad = other.replace("sleep 601", "sleep 602").replace(pre, "echo no $SECRET; exit 7");
    stack.project.write("stack.rhai", &bad);
    stack.apply();
    stack.project.write("stack.rhai", &bad.replace("sleep 602", "sleep 603"));
    let run = stack.project.run(&["apply", "--auto-approve"]).expect(1);
    assert!(run.stderr.contains("ended with code 7"), "{}", run.stderr);
    assert!(run.stderr.contains("no ${SECRET}"), "{}", run.stderr);
    assert!(!run.stderr.contains("hunter2-in-hooks"), "{}", run.stderr);
}

#[test]
fn a_plan_asks_the_engine_what_stands_against_it() {
    let name = "dollop-test-survey";
    let holder = "dollop-test-survey-holder";
    let _removed = super::support::container_removed(holder);
    docker(&[
        "run",
        "--detach",
        "--name",
        holder,
        "--publish",
        "127.0.0.1:18478:80",
        "busybox:1.35",
        "sleep",
        "600",
    ]);
    let inside = "dollop-test-survey-inside";
    let _inside = super::support::container_removed(inside);
    docker(&[
        "run",
        "--detach",
        "--name",
        inside,
        "--network",
        "host",
        "busybox:1.35",
        "httpd",
        "-f",
        "-p",
        "127.0.0.1:18479",
    ]);
    let script = r#"docker::container("web", #{ image: "busybox:1.35",
        ports: ["18478:80", "18479:81"], cpus: 4000, runtime: "nowhere", mem_limit: "900t", gpus: "all",
        platform: "linux/s390x" });
        let net = docker::network("net");
        let vol = docker::volume("vol");
        docker::container("lost", #{ image: "busybox:1.35", networks: [net, "bridge", "no-such"],
        env: #{ LATER: local::random("later").result },
        volumes: [`${vol}:/a`, "no-such-volume:/b"] });
        docker::container("beside", #{ image: "busybox:1.35", network_mode: "container:nobody" });
        docker::container("inside", #{ image: "busybox:1.35",
        network_mode: "container:dollop-test-survey-holder" });"#;
    let stack = Stack::of(Project::new(name, script), name);
    let run = stack.project.run(&["plan"]).expect(1);
    for says in [
        "host port 18478 is taken by container `dollop-test-survey-holder` (not made by dollop)",
        "host port 18479 is taken by container `dollop-test-survey-inside` (not made by dollop), \
         which is in the network of the machine, at 127.0.0.1",
        "it may use 4000 processors, and the machine has",
        "the engine has no runtime `nowhere`",
        "there is no network `no-such`: neither the engine nor this stack has it",
        "there is no volume `no-such-volume`",
        "there is no container `nobody`",
    ] {
        assert!(run.stderr.contains(says), "{says}\n{}", run.stderr);
    }
    assert_eq!(run.stderr.matches("there is no ").count(), 3, "{}", run.stderr);
    let script = r#"docker::container("web", #{ image: "busybox:1.35", mem_limit: "900t",
        gpus: "all", platform: "linux/s390x",
        healthcheck: #{ test: "true", interval: "20s", start_interval: "2s" } });"#;
    stack.project.write("stack.rhai", script);
    let run = stack.project.run(&["plan"]).expect(0);
    for says in [
        "W0211",
        "W0212",
        "W0213",
        "and the machine has",
        "no runtime for graphics",
        "it checks every 20s from the start on, not every 2s at first",
    ] {
        assert!(run.stdout.contains(says), "{says}\n{}", run.stdout);
    }
}

#[test]
fn a_start_first_replacement_killed_anywhere_is_finished_by_the_next_run() {
    let name = "dollop-test-killed-between";
    let script = |version: &str| {
        format!(
            r#"let net = docker::network("net");
docker::container("app", #{{ image: "busybox:1.35", command: "sleep 600", init: true,
    networks: [net], env: #{{ VERSION: "{version}" }},
    update_config: #{{ order: "start-first", monitor: "0s" }} }});"#
        )
    };
    let stack = Stack::of(Project::new(name, &script("0")), name);
    stack.apply();
    let running = || {
        let filter = format!("label=dollop.stack={name}");
        docker(&["ps", "--filter", &filter, "--format", "{{.Names}}"])
    };
    let mut version = 0;
    for operation in ["Create", "TakeOver", "Delete"] {
        for point in POINTS {
            version += 1;
            let now = version.to_string();
            stack.project.write("stack.rhai", &script(&now));
            let fault = format!("{point}@{operation} docker::container.app");
            let run = stack.project.run_until(&fault, &["apply", "--auto-approve"]);
            assert_eq!(run.code, None, "{fault} was not reached\n{}", run.text());
            assert!(!running().is_empty(), "{fault}: one of them serves");
            stack.apply();
            let app = stack.container("app");
            assert_eq!(running(), app, "{fault}: just the new one, under its name");
            let env = docker(&["inspect", "--format", "{{json .Config.Env}}", &app]);
            assert!(env.contains(&format!("VERSION={now}")), "{fault}: {env}");
            assert_eq!(stack.labelled("container").len(), 1, "{fault}: nothing is left over");
            let list = stack.project.run(&["state", "list"]).expect(0).stdout;
            assert!(!list.contains("deposed"), "{fault}: {list}");
            stack.expect_no_changes();
        }
    }
    // Killed with both there, a destroy removes both.
    stack.project.write("stack.rhai", &script("last"));
    let fault = "after_done@Create docker::container.app";
    drop(stack.project.run_until(fault, &["apply", "--auto-approve"]));
    assert_eq!(stack.labelled("container").len(), 2);
    let list = stack.project.run(&["state", "list"]).expect(0).stdout;
    assert!(list.contains("docker::container.app~deposed"), "{list}");
    drop(stack.project.destroy(&[]).expect(0));
    assert_eq!(stack.labelled("container").len(), 0);
}

#[test]
fn a_container_that_the_engine_would_refuse_does_not_cost_the_one_that_works() {
    let name = "dollop-test-refused-first";
    let script = |more: &str| {
        format!(
            r#"docker::container("app", #{{ image: "busybox:1.35", command: "sleep 600",
                stop_signal: "SIGKILL", {more} }});"#
        )
    };
    let stack = Stack::of(Project::new(name, &script("")), name);
    stack.apply();
    let app = stack.container("app");
    let id = || docker(&["inspect", "--format", "{{.Id}} {{.State.Running}}", &app]);
    let before = id();
    for (more, says) in [
        ("logging: #{ driver: \"no-such-driver\" }", "no-such-driver"),
        ("logging: #{ options: #{ \"no-such-option\": \"1\" } }", "no-such-option"),
        ("env: #{ A: \"1\" }, wait: \"healthy\"", "can never be healthy"),
    ] {
        stack.project.write("stack.rhai", &script(more));
        let run = stack.project.run(&["apply", "--auto-approve"]).expect(1);
        assert!(run.stderr.contains(says), "{}", run.stderr);
        assert!(run.stderr.contains("was left as it is"), "{}", run.stderr);
        assert_eq!(id(), before, "{more}");
    }
    stack.project.write("stack.rhai", &script("annotations: #{ \"a.b\": \"1\" }"));
    let run = stack.project.run(&["plan"]).expect(1);
    assert!(run.stderr.contains("`annotations` needs an engine"), "{}", run.stderr);
    stack.project.write("stack.rhai", &script("env: #{ A: \"1\" }"));
    stack.apply();
    assert_ne!(id(), before);
    // Its own: other tests try theirs at the same time.
    let mark = format!("label=dollop.momentary={name}");
    let left = docker(&["ps", "--all", "--quiet", "--filter", &mark]);
    assert_eq!(left, "", "no trial is left");
    drop(stack.project.run(&["destroy", "--auto-approve"]).expect(0));
}
