//! What is done with a stack day by day, on real services.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use dollop_tests::cli::{Project, Run};
use serde_json::Value as Json;

use super::quickstart::{Stack, docker};

const SCRIPT: &str = r#"// A shop to operate.
import "std/postgres" as pg;
import "std/redis" as redis;

let net = docker::network("net");
let db = pg::server("db", #{ networks: [net], container: #{ mem_limit: "256m" } });
let app = pg::application(db, "shop");
let cache = redis::server("cache", #{ networks: [net], persistent: false });
let web = docker::container("web", #{
    image: "nginx:1.22",
    ports: ["127.0.0.1::80"],
    networks: [net],
    env: #{ DATABASE_URL: app.url },
    healthcheck: #{ test: "nginx -t", interval: "1s" },
    wait: "healthy",
    after_healthy: [db.container, cache.container],
});
let quiet = docker::container("quiet", #{
    image: "busybox:1.35",
    command: ["sh", "-c", "echo listening; echo oops >&2; exec nc -ll -p 7777 -e cat"],
    networks: [net],
});
profile("debug", || {
    docker::container("probe", #{ image: "busybox:1.35", command: ["sleep", "1d"], networks: [net] });
});
command("reload", #{ container: web, command: ["nginx", "-s", "reload"], doc: "reads its files again" });
command("redis", #{
    container: cache.container,
    command: ["redis-cli", "--no-auth-warning"],
    env: #{ REDISCLI_AUTH: cache.password },
});
output("site", `http://${web.host_ip}:${web.host_ports["80/tcp"]}/`);
"#;

/// What a stack asks itself.
const PROBE: &str = r#"local::probe("front", #{ http: `http://${web.host_ip}:${web.host_ports["80/tcp"]}/` });"#;

fn stack(name: &str) -> Stack {
    Stack::of(Project::new(name, SCRIPT), name)
}

/// What was there before, without a mark of dollop's, or with another's, is no drift once it is
/// adopted.
#[test]
fn what_was_adopted_is_not_gone() {
    let script = "docker::volume(\"data\", #{ name: \"dt-drift-adopted\", adopt: true });\n\
                  docker::network(\"net\", #{ name: \"dt-drift-adopted\", adopt: true });\n";
    let stack = Stack::of(Project::new("dt-drift-adopted", script), "dt-drift-adopted");
    let other = ["--label", "dollop.stack=another", "dt-drift-adopted"];
    docker(&[&["volume", "create"], &other[..]].concat());
    docker(&[&["network", "create"], &other[..]].concat());
    drop(stack.project.run(&["apply", "--auto-approve"]).expect(0));
    drop(stack.project.run(&["drift"]).expect(0));
    docker(&["network", "rm", "dt-drift-adopted"]);
    let gone = stack.project.run(&["drift"]).expect(2).stdout;
    assert!(gone.contains("docker::network.net: gone"), "{gone}");
    assert!(!gone.contains("docker::volume.data"), "{gone}");
}

fn json(run: Run) -> Json {
    serde_json::from_str(&run.expect(0).stdout).expect("JSON")
}

fn named<'a>(list: &'a Json, name: &str) -> &'a Json {
    let all = list.as_array().expect("a list");
    all.iter().find(|one| one["name"] == name).unwrap_or_else(|| panic!("no {name} in {list}"))
}

#[test]
fn a_stack_is_looked_at_while_it_runs() {
    let name = "dt-look";
    let stack = Stack::of(Project::new(name, &format!("{SCRIPT}{PROBE}\n")), name);
    let project = &stack.project;
    let nothing = project.run(&["status"]).expect(1);
    assert!(
        nothing.stderr.contains("nothing of stack `dt-look` is applied"),
        "{}",
        nothing.text()
    );
    stack.apply();

    let status = json(project.run(&["status", "--format", "json"]));
    let web = named(&status["resources"], "web");
    assert_eq!((&web["verdict"], &web["health"]), (&"good".into(), &"healthy".into()));
    assert_eq!((&web["plan"], &web["drift"]), (&"keep".into(), &false.into()));
    assert_eq!(web["ports"][0]["inner"], "80/tcp");
    // A narrow terminal keeps what matters.
    let narrow = project.run(&["status", "web", "quiet"]).expect(0).stdout;
    assert!(narrow.starts_with("NAME   STATE"), "{narrow}");
    assert!(narrow.contains("as declared"), "{narrow}");

    // What somebody else changes is drift, and is told while it happens.
    let mut follow =
        project.start(&["events", "quiet", "--json", "--follow", "--since", "10m"]);
    let mut told = follow.prints();
    // The apply's own line comes once it listens.
    told.until("\"run\":\"apply\"");
    drop(docker(&["stop", "-t", "0", &stack.container("quiet")]));
    assert!(told.until("exit code 137").contains("\"die\""));
    follow.interrupt();
    drop(follow.end().expect(0));
    let status = json(project.run(&["status", "quiet", "--format", "json"]));
    let quiet = named(&status["resources"], "quiet");
    assert_eq!((&quiet["verdict"], &quiet["drift"]), (&"bad".into(), &true.into()));
    assert_eq!(quiet["stopped"], Json::Null);
    let sick = project.run(&["health", "quiet"]).expect(1);
    assert!(sick.stdout.contains("exited (137)"), "{}", sick.text());
    drop(project.run(&["start", "quiet"]).expect(0));

    let health = json(project.run(&["health", "--format", "json"]));
    let asked: Vec<_> = health["probes"].as_array().expect("a list").iter().collect();
    let has = |name: &str, what: &str| {
        let of = |probe: &&&Json| {
            probe["name"] == name
                && probe["asked"].as_str().is_some_and(|a| a.starts_with(what))
        };
        let found =
            asked.iter().find(of).unwrap_or_else(|| panic!("no {what} of {name}: {health}"));
        assert_eq!(found["verdict"], "good", "{found}");
    };
    has("web", "container");
    has("web", "tcp 127.0.0.1:");
    has("cache", "tcp 127.0.0.1:");
    has("postgres::server.db", "sql");
    has("front", "http http://127.0.0.1:");

    let logs =
        project.run(&["logs", "quiet", "web", "--grep", "listening|oops"]).expect(0).stdout;
    assert!(logs.contains("quiet | listening\n") && logs.contains("quiet | oops\n"), "{logs}");
    let lines = project.run(&["logs", "quiet", "--json", "--grep", "oops"]).expect(0).stdout;
    let line: Json = serde_json::from_str(lines.lines().next().expect("a line")).expect("JSON");
    assert_eq!((&line["stream"], &line["text"]), (&"stderr".into(), &"oops".into()));
    let none = project.run(&["logs", "quiet", "--since", "2999-01-01T00:00:00Z"]).expect(0);
    assert_eq!(none.stdout, "");

    let urls = json(project.run(&["urls", "--format", "json"]));
    let site = stack.output("site");
    assert_eq!(format!("{}/", named(&urls["urls"], "web")["url"].as_str().unwrap()), site);
    assert!(named(&urls["urls"], "db")["url"].as_str().unwrap().starts_with("postgres://"));
    assert_eq!(named(&urls["urls"], "site")["url"], site.as_str());

    let usage = json(project.run(&["stats", "db", "quiet", "--format", "json"]));
    let db = named(&usage["resources"], "db");
    assert_eq!(db["memory_limit"], 256 << 20);
    assert!(db["memory"].as_u64().is_some_and(|bytes| bytes > 1 << 20), "{db}");
    assert_eq!(named(&usage["resources"], "quiet")["memory_limit"], Json::Null);

    let events = project.run(&["events", "--json", "--since", "10m"]).expect(0).stdout;
    let events: Vec<Json> =
        events.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert!(events.iter().any(|event| event["run"] == "apply" && event["complete"] == true));
    assert!(events.iter().any(|event| event["run"] == "start"));

    let wrong = project.run(&["logs", "wbe"]).expect(1);
    assert!(wrong.stderr.contains("did you mean `web`?"), "{}", wrong.text());
    let unable = project.run(&["logs", "docker::network.net"]).expect(1);
    assert!(unable.stderr.contains("has a log"), "{}", unable.text());
    assert!(
        unable.stderr.contains("these do: `cache`, `db`, `quiet`, `web`"),
        "{}",
        unable.text()
    );
}

#[test]
fn commands_run_inside_with_their_exit_codes() {
    let stack = stack("dt-inside");
    stack.apply();
    let project = &stack.project;
    let run =
        project.run(&["exec", "quiet", "--", "sh", "-c", "echo out; echo err >&2; exit 7"]);
    assert_eq!(
        (run.code, run.stdout.as_str(), run.stderr.as_str()),
        (Some(7), "out\n", "err\n")
    );
    let run = project.run(&[
        "exec",
        "-e",
        "A=b c",
        "-w",
        "/tmp",
        "quiet",
        "sh",
        "-c",
        "echo $A $PWD",
    ]);
    assert_eq!(run.expect(0).stdout, "b c /tmp\n");
    let terminal = project.run_in_terminal(&["exec", "quiet", "tty"], "");
    assert!(terminal.stdout.contains("/dev/pts/"), "{}", terminal.text());
    assert!(project.run(&["exec", "quiet", "tty"]).expect(1).stdout.contains("not a tty"));

    let asked = project.run(&["psql", "-d", "shop", "--", "-Atc", "select current_database()"]);
    assert_eq!(asked.expect(0).stdout, "shop\n");
    let failed = project.run(&["psql", "--", "-Atc", "select nonsense"]).expect(1);
    assert!(failed.stderr.contains("nonsense"), "{}", failed.text());
    // The password is in the environment, not among the arguments.
    let seen = project.run(&["psql", "--", "-Atc", r"\! tr '\0' ' ' < /proc/$PPID/cmdline"]);
    let seen = seen.expect(0).stdout;
    assert!(seen.starts_with("psql -h 127.0.0.1 -p 5432 -U postgres"), "{seen}");

    let listed = project.run(&["run"]).expect(0).stdout;
    assert!(listed.contains("reload") && listed.contains("reads its files again"), "{listed}");
    drop(project.run(&["run", "reload"]).expect(0));
    assert_eq!(project.run(&["run", "redis", "ping"]).expect(0).stdout, "PONG\n");
    let wrong = project.run(&["run", "relaod"]).expect(1);
    assert!(wrong.stderr.contains("did you mean `reload`?"), "{}", wrong.text());

    // An unpublished port.
    let mut forward = project.start(&["forward", "quiet", "0:7777"]);
    let mut said = [0; 128];
    let count =
        forward.child().stdout.as_mut().expect("a pipe").read(&mut said).expect("a line");
    let said = String::from_utf8_lossy(&said[..count]).into_owned();
    let here = said.split(' ').next().expect("an address").to_owned();
    assert!(said.contains("-> quiet port 7777"), "{said}");
    let mut echo = TcpStream::connect(&here).expect("it listens");
    echo.write_all(b"hello\n").expect("it takes bytes");
    let mut back = [0; 6];
    echo.read_exact(&mut back).expect("it answers");
    assert_eq!(&back, b"hello\n");
    forward.interrupt();
    drop(forward.end().expect(0));
    let closed = project.run(&["forward", "quiet", "0:7778"]).expect(1);
    assert!(closed.stderr.contains("nothing listens at port 7778"), "{}", closed.text());

    drop(docker(&["stop", "-t", "0", &stack.container("quiet")]));
    let away = project.run(&["exec", "quiet", "true"]).expect(1);
    assert!(away.stderr.contains("does not run: it is exited"), "{}", away.text());
    assert!(away.stderr.contains("dollop start docker::container.quiet"), "{}", away.text());
}

#[test]
fn what_is_stopped_on_purpose_is_no_drift() {
    let stack = stack("dt-switch");
    stack.apply();
    let project = &stack.project;
    let runs = |name: &str| {
        docker(&["inspect", "-f", "{{.State.Running}}", &stack.container(name)]) == "true"
    };
    let stopped = project.run(&["stop", "db", "web"]).expect(0);
    assert!(!runs("db") && !runs("web") && runs("cache"));
    // The other way round than they depend on each other.
    let place = |name: &str| stopped.stderr.find(&format!("container.{name}")).expect("a line");
    assert!(place("web") < place("db"), "{}", stopped.stderr);

    let status = json(project.run(&["status", "web", "--format", "json"]));
    let web = named(&status["resources"], "web");
    assert_eq!((&web["verdict"], &web["drift"]), (&"off".into(), &false.into()));
    assert_eq!(web["plan"], "update");
    assert!(web["stopped"]["who"].as_str().is_some_and(|who| who.contains('@')), "{web}");
    let plan = project.run(&["plan", "--detailed-exitcode"]).expect(2).stdout;
    assert!(plan.contains("stopped on purpose by"), "{plan}");
    assert!(!plan.contains("outside dollop"), "{plan}");
    // What was stopped so does not make a stack sick.
    let health = project.run(&["health"]).expect(0).stdout;
    assert!(health.contains("off on purpose"), "{health}");
    assert!(health.contains("stopped on purpose"), "{health}");

    let again = project.run(&["stop", "web"]).expect(0);
    assert!(again.stderr.contains("is stopped already"), "{}", again.text());
    assert!(stack.output("site").starts_with("http://"), "outputs stay");
    drop(project.run(&["start", "web"]).expect(0));
    assert!(runs("web") && !runs("db"), "only what was named is started");
    stack.apply();
    assert!(runs("db"), "an apply starts what was stopped");
    stack.expect_no_changes();

    // Its ports may be others now, and everything finds them.
    drop(project.run(&["restart"]).expect(0));
    assert!(runs("db") && runs("web"));
    drop(project.run(&["health"]).expect(0));
    // A run of its own: what was declared is still what is recorded.
    drop(project.run(&["apply", "--auto-approve"]).expect(0));
    stack.expect_no_changes();
    drop(project.destroy(&[]).expect(0));
}

const WATCHED: &str = r#"// What somebody works on.
let image = docker::image("dt-watch/app:1", #{ build: #{ context: "./app" }, keep: false });
docker::container("app", #{ image: image.id, init: true, command: ["sleep", "1d"] });
docker::container("web", #{
    image: "busybox:1.35", init: true, command: ["sleep", "1d"],
    files: #{ "/page": file("page") },
    volumes: ["./mounted:/mounted:ro"],
});
"#;

#[test]
fn what_changes_is_applied_while_somebody_works() {
    let project = Project::new("dt-watch", WATCHED);
    project.write("app/Dockerfile", "FROM busybox:1.35\nCOPY version /version\n");
    project.write("app/version", "one");
    project.write("page", "first");
    project.write("mounted/file", "read once");
    let stack = Stack::of(project, "dt-watch");
    let project = &stack.project;
    let cat = |name: &str, file: &str| docker(&["exec", &stack.container(name), "cat", file]);
    let mut watch = project.start(&["watch"]);
    let mut said = watch.says();
    said.until("watching");
    assert_eq!((cat("app", "/version"), cat("web", "/page")), ("one".into(), "first".into()));

    project.write("page", "second");
    said.until("Applied: ");
    assert_eq!(cat("web", "/page"), "second");
    project.write("app/version", "two");
    said.until("Applied: ");
    assert_eq!(cat("app", "/version"), "two");
    // A mistake is said, and mended by the next change.
    project.write("stack.rhai", &format!("{WATCHED}let x = ;"));
    said.until("error[E0101]");
    project.write("stack.rhai", WATCHED);
    said.until("nothing to change");
    // What a program writes beside its sources has no effect, and is left alone.
    for time in 0..3 {
        project.write("app.log", &"line\n".repeat(time + 1));
        said.until("nothing to change");
    }
    said.until("app.log changes nothing: left alone");
    watch.interrupt();
    drop(watch.end().expect(0));

    let started =
        || docker(&["inspect", "-f", "{{.State.StartedAt}}", &stack.container("web")]);
    let before = started();
    let mut watch = project.start(&["watch", "--restart", "web"]);
    let mut said = watch.says();
    said.until("watching");
    project.write("mounted/file", "read again");
    said.until("Started 1 resource");
    assert_ne!(started(), before);
    watch.interrupt();
    drop(watch.end().expect(0));
    drop(project.destroy(&[]).expect(0));
}

#[test]
fn a_tag_that_moved_is_outdated() {
    let registry = std::env::var("DOLLOP_LAB_REGISTRY").unwrap_or("127.0.0.1:5000".to_owned());
    // What is pushed stays: a repository of its own for each run.
    let repository = format!("{registry}/dollop-test/outdated-{}", std::process::id());
    let image = format!("{repository}:1");
    let push = |from: &str| {
        drop(docker(&["tag", from, &image]));
        drop(docker(&["push", "--quiet", &image]));
        drop(docker(&["image", "rm", &image]));
    };
    push("busybox:1.35");
    let script = format!(
        "docker::container(\"pulled\", #{{ image: \"{image}\", command: [\"sleep\", \"1d\"] }});\n\
         docker::container(\"made\", #{{ image: \"nginx:1.22\" }});\n"
    );
    let stack = Stack::of(Project::new("dt-outdated", &script), "dt-outdated");
    let project = &stack.project;
    stack.apply();
    let outdated = || {
        let found = project.run(&["outdated", "--format", "json", "--detailed-exitcode"]);
        let document: Json = serde_json::from_str(&found.stdout).expect("JSON");
        (found.code, document["resources"].clone())
    };
    let (code, all) = outdated();
    assert_eq!(code, Some(0), "{all}");
    let fresh = named(&all, "pulled");
    assert_eq!((&fresh["moved"], &fresh["unknown"]), (&false.into(), &Json::Null), "{fresh}");
    assert_eq!(fresh["digest"], fresh["offered"]);
    // Nobody is asked for what was built here.
    let made = named(&all, "made");
    assert_eq!((&made["digest"], &made["unknown"]), (&Json::Null, &Json::Null), "{made}");

    // A later version, under a tag that is written alike, and one that is not.
    for tag in ["2", "2-alpine"] {
        let other = format!("{repository}:{tag}");
        drop(docker(&["tag", "busybox:1.35", &other]));
        drop(docker(&["push", "--quiet", &other]));
        drop(docker(&["image", "rm", &other]));
    }
    let (code, all) = outdated();
    let newer = named(&all, "pulled");
    assert_eq!((code, &newer["newer"]), (Some(2), &serde_json::json!(["2"])), "{newer}");
    assert_eq!(newer["moved"], false);
    let shown = project.run(&["outdated"]).expect(0).stdout;
    assert!(shown.contains("1 resource could be of a later version"), "{shown}");

    push("redis:7");
    let (code, all) = outdated();
    assert_eq!((code, &named(&all, "pulled")["moved"]), (Some(2), &true.into()), "{all}");
    let shown = project.run(&["outdated"]).expect(0).stdout;
    assert!(shown.contains("1 resource could be newer"), "{shown}");
    drop(project.destroy(&[]).expect(0));
}
