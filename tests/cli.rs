//! The real binary, as a person at a terminal and a pipeline see it. No service is needed.

mod determined;
mod formats;
mod moves;
mod saved;

use std::io::Read as _;
use std::net::TcpListener;
use std::process::{Command, Stdio};

use dollop_tests::cli::{Project, binary};

/// What differs from run to run.
pub(crate) const FILTERS: [(&str, &str); 7] = [
    (r"/tmp/\.tmp[A-Za-z0-9]+", "[temp]"),
    (r"\b\d+\.\d+s\b", "[time]"),
    (r"\b[0-9a-f]{64}\b", "[digest]"),
    (r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", "[id]"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\S*Z", "[date]"),
    (r"by \S+ on \S+, process \d+", "by [who] on [host], process [pid]"),
    (r"end process \d+ on \S+;", "end process [pid] on [host];"),
];

fn hello() -> Project {
    Project::copy_of("hello", "hello")
}

#[test]
fn hello_is_planned_applied_shown_and_destroyed() {
    let project = hello();
    shows!(project.run(&["plan"]).text(), @r#"
    exit 0
    --- stdout
    Plan for stack `hello`

      +  create

      + local::random.token  stack.rhai:5:20
          + length  24

      + local::file.greeting  stack.rhai:7:8
          + content  "Hello, world!\n"
          + path     "out/greeting.txt"

      + local::file.config  stack.rhai:13:8
          + content  (sensitive)
          + mode     "0600"
          + path     "out/config.json"

    Outputs
        + greeting  "Hello, world!"
        + token     (sensitive)

    Plan: 3 to create, 0 to update, 0 to replace, 0 to delete; 0 unchanged.
    "#);
    assert_eq!(project.run(&["plan", "--detailed-exitcode"]).code, Some(2));
    shows!(project.run(&["apply", "--auto-approve", "--parallelism", "1"]).text(), @r#"
    exit 0
    --- stdout
    Plan for stack `hello`

      +  create

      + local::random.token  stack.rhai:5:20
          + length  24

      + local::file.greeting  stack.rhai:7:8
          + content  "Hello, world!\n"
          + path     "out/greeting.txt"

      + local::file.config  stack.rhai:13:8
          + content  (sensitive)
          + mode     "0600"
          + path     "out/config.json"

    Outputs
        + greeting  "Hello, world!"
        + token     (sensitive)

    Plan: 3 to create, 0 to update, 0 to replace, 0 to delete; 0 unchanged.
    greeting = "Hello, world!"
    token    = (sensitive)
    --- stderr
    created local::random.token ([time])
    created local::file.greeting ([time])
    created local::file.config ([time])
    Applied: 3 created, 0 updated, 0 deleted in [time].
    "#);
    assert_eq!(project.read("out/greeting.txt"), "Hello, world!\n");
    let again = project.run(&["plan", "--detailed-exitcode"]);
    shows!(again.text(), @"
    exit 0
    --- stdout
    Plan for stack `hello`

    No changes. 3 resources are as declared.
    ");
    shows!(project.run(&["apply"]).text(), @"
    exit 0
    --- stdout
    Plan for stack `hello`

    No changes. 3 resources are as declared.
    ");
    shows!(project.run(&["output"]).text(), @r#"
    exit 0
    --- stdout
    greeting = "Hello, world!"
    token    = (sensitive)
    "#);
    let token = project.run(&["output", "token", "--raw"]).expect(0).stdout;
    assert_eq!(token.len(), 24, "no line break: {token:?}");
    assert!(project.read("out/config.json").contains(&token));
    shows!(project.run(&["state", "list"]).text(), @"
    exit 0
    --- stdout
    local::file.config
    local::file.greeting
    local::host.default
    local::random.token
    ");
    shows!(project.run(&["state", "show", "local::random.token"]).text(), @r#"
    exit 0
    --- stdout
    local::random.token
      id        [id]
      through   local::host.default
      needs     local::host.default
      attributes
        digits         true
        keepers        {}
        length         24
        lower          true
        special        false
        special_chars  "!#$%&*()-_=+[]{}<>:?"
        upper          true
      reported
        id      "[id]"
        result  (sensitive)
    "#);
    shows!(project.run(&["apply", "--auto-approve", "--parallelism", "1", "--param", "who=moon"]).text(), @r#"
    exit 0
    --- stdout
    Plan for stack `hello`

      ~  update in place

      ~ local::file.greeting  stack.rhai:7:8
          ~ content  "Hello, world!\n" → "Hello, moon!\n"  stack.rhai:9:5

      ~ local::file.config  stack.rhai:13:8
          ~ content  (sensitive) → (sensitive)  stack.rhai:15:5

    Outputs
        ~ greeting  "Hello, world!" → "Hello, moon!"

    Plan: 0 to create, 2 to update, 0 to replace, 0 to delete; 1 unchanged.
    greeting = "Hello, moon!"
    token    = (sensitive)
    --- stderr
    updated local::file.greeting ([time])
    updated local::file.config ([time])
    Applied: 0 created, 2 updated, 0 deleted in [time].
    "#);
    shows!(project.run(&["destroy", "--auto-approve", "--parallelism", "1"]).text(), @r#"
    exit 0
    --- stdout
    Plan to destroy stack `hello`

      -  delete

      - local::file.config
      - local::random.token
      - local::file.greeting

    Outputs
        - greeting  "Hello, moon!"
        - token     (sensitive)

    Plan: 0 to create, 0 to update, 0 to replace, 3 to delete; 0 unchanged.
    --- stderr
    deleted local::file.config ([time])
    deleted local::random.token ([time])
    deleted local::file.greeting ([time])
    Destroyed: 3 deleted in [time].
    "#);
    assert_eq!(project.run(&["state", "list"]).expect(0).stdout, "");
    assert!(!project.folder().join("out/greeting.txt").exists());
    shows!(project.run(&["destroy", "--auto-approve"]).text(), @"
    exit 0
    --- stdout
    Plan to destroy stack `hello`

    No changes. There is nothing to destroy.
    ");
}

#[test]
fn a_plan_writes_nothing() {
    let project = hello();
    let before = project.files();
    drop(project.run(&["plan"]).expect(0));
    drop(project.run(&["check"]).expect(0));
    drop(project.run(&["graph"]).expect(0));
    drop(project.run(&["output"]).expect(0));
    drop(project.run(&["state", "list"]).expect(0));
    assert_eq!(project.files(), before, "a plan leaves the folder as it was");
    drop(project.run(&["apply", "--auto-approve"]).expect(0));
    let before = project.files();
    drop(project.run(&["plan", "--param", "who=moon"]).expect(0));
    drop(project.run(&["show"]).expect(0));
    let after = project.files();
    for (name, content) in &after {
        // The lock says who reads while it is read; sled tidies up when it is opened.
        if name != ".dollop/lock" && !name.starts_with(".dollop/store/") {
            assert_eq!(before.get(name), Some(content), "`{name}` was written");
        }
    }
}

// ---- Saved plans --------------------------------------------------------------------------

#[test]
fn wrong_usage_exits_with_64() {
    let project = hello();
    for arguments in [
        &[][..],
        &["plon"],
        &["plan", "--fromat", "json"],
        &["plan", "--param", "novalue"],
        &["apply", "--parallelism", "0"],
        &["apply", "--plan", "x", "--only", "local::data.a"],
        &["state", "show", "nonsense"],
        &["output", "--raw"],
        &["-C", "/nowhere/at/all", "plan"],
        &["show", "--format", "markdown"],
    ] {
        let run = project.run(arguments);
        assert_eq!(run.code, Some(64), "{arguments:?}\n{}", run.text());
        assert!(run.stdout.is_empty() && !run.stderr.is_empty(), "{arguments:?}");
    }
    shows!(project.run(&["plan", "--fromat", "json"]).text(), @"
    exit 64
    --- stderr
    error: unexpected argument '--fromat' found

      tip: a similar argument exists: '--format'

    Usage: dollop plan --format <FORMAT> [STACK]

    For more information, try '--help'.
    ");
    shows!(project.run(&["-C", "/nowhere/at/all", "plan"]).text(), @"
    exit 64
    --- stderr
    error: cannot go to `/nowhere/at/all`: No such file or directory (os error 2)
    ");
}

#[test]
fn a_stack_is_found_from_elsewhere() {
    let project = hello();
    let folder = project.folder();
    let folder = folder.to_str().expect("a path");
    let elsewhere = Project::new("elsewhere", "");
    let expected = project.run(&["plan"]).expect(0).stdout;
    assert_eq!(elsewhere.run(&["plan", folder]).expect(0).stdout, expected);
    assert_eq!(elsewhere.run(&["-C", folder, "plan"]).expect(0).stdout, expected);
    let script = format!("{folder}/stack.rhai");
    assert_eq!(elsewhere.run(&["plan", &script]).expect(0).stdout, expected);
    shows!(elsewhere.run(&["plan", "not/there"]).text(), @"
    exit 1
    --- stderr
    error: there is no file or folder `not/there`
    ");
}

// ---- People -------------------------------------------------------------------------------

#[test]
fn nothing_is_applied_unasked() {
    let project = hello();
    let run = project.run(&["apply"]).expect(1);
    shows!(run.stderr, @"
    error: nobody is there to approve this apply
      stdin is not a terminal
      hint: review the plan, then run it again with `--auto-approve`
    ");
    assert!(!project.folder().join("out").exists());
    for answer in ["no", "y", "YES", ""] {
        let run = project.run_in_terminal(&["apply"], answer);
        assert_eq!(run.code, Some(1), "`{answer}`: {}", run.text());
        assert!(run.stdout.contains("not approved; nothing was changed"), "{}", run.text());
        assert!(!project.folder().join("out").exists());
        assert_eq!(project.run(&["state", "list"]).expect(0).stdout, "");
    }
    let run = project.run_in_terminal(&["apply"], "yes").expect(0);
    assert!(run.stdout.contains("Only `yes` goes on"), "{}", run.text());
    let run = project.run(&["destroy"]).expect(1);
    shows!(run.stderr, @"
    error: nobody is there to approve this destroy
      stdin is not a terminal
      hint: review the plan, then run it again with `--auto-approve`
    ");
    let run = project.run_in_terminal(&["destroy"], "no");
    assert_eq!(run.code, Some(1), "{}", run.text());
    assert_eq!(project.read("out/greeting.txt"), "Hello, world!\n");
    drop(project.run_in_terminal(&["destroy"], "yes").expect(0));
    assert!(!project.folder().join("out/greeting.txt").exists());
}

#[test]
fn colour_is_for_terminals_that_want_it() {
    let project = hello();
    let escape = '\u{1b}';
    assert!(!project.run(&["plan"]).expect(0).stdout.contains(escape), "a pipe");
    let shown = project.run(&["plan", "--color", "always"]).expect(0).stdout;
    assert!(shown.contains(escape), "asked for");
    assert!(project.run_in_terminal(&["plan"], "").expect(0).stdout.contains(escape));
    let never = project.run_in_terminal(&["plan", "--color", "never"], "").expect(0);
    assert!(!never.stdout.contains(escape), "{:?}", never.stdout);
    let project = hello().env("NO_COLOR", "1");
    let plain = project.run_in_terminal(&["plan"], "").expect(0);
    assert!(!plain.stdout.contains(escape), "{:?}", plain.stdout);
    let plain = project.run_in_terminal(&["plan", "broken"], "").expect(1);
    assert!(!plain.stdout.contains(escape), "{:?}", plain.stdout);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let project = hello();
    for arguments in [
        &["plan"][..],
        &["plan", "--format", "json"],
        &["completions", "bash"],
        &["--help"],
        &["apply", "--auto-approve"],
        &["show"],
        &["output"],
        &["destroy", "--auto-approve"],
    ] {
        let mut running = project.start(arguments);
        drop(running.child().stdout.take());
        let run = running.end();
        assert_eq!(run.code, Some(0), "{arguments:?}\n{}", run.text());
        assert!(!run.stderr.contains("panicked"), "{}", run.stderr);
        if arguments[0] == "apply" {
            assert_eq!(project.read("out/greeting.txt"), "Hello, world!\n", "it was done");
        }
    }
    // Nobody listens at all.
    let mut running = project.start(&["apply", "--auto-approve"]);
    drop(running.child().stdout.take());
    drop(running.child().stderr.take());
    assert_eq!(running.end().code, Some(0));
    assert_eq!(project.read("out/greeting.txt"), "Hello, world!\n", "it was done");
    let into_head = format!("{} plan | head -n 1", binary().display());
    let output = Command::new("bash")
        .args(["-c", &format!("set -o pipefail; {into_head}")])
        .current_dir(project.folder())
        .output()
        .expect("bash runs");
    assert!(output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn a_full_disk_behind_stdout_is_told() {
    let project = hello();
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("/dev/full");
    let output = Command::new(binary())
        .arg("plan")
        .current_dir(project.folder())
        .stdout(Stdio::from(full))
        .output()
        .expect("it runs");
    assert_eq!(output.status.code(), Some(1));
    shows!(String::from_utf8_lossy(&output.stderr), @"error: cannot write to stdout: No space left on device (os error 28)");
}

// ---- More than one ------------------------------------------------------------------------

/// A server that takes calls and never says a word, so that an apply waits.
const WAITS: &str = r#"
let port = param("port", #{ type: "int" });
let db = postgres::server("main", #{ host: "127.0.0.1", port: port, user: "u", password: "p" });
db.role("r");
"#;

#[test]
fn a_second_dollop_is_told_who_is_at_work() {
    let deaf = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = deaf.local_addr().expect("a port").port().to_string();
    let project = Project::new("busy", WAITS).env("DOLLOP_PARAM_port", &port);
    let mut first = project.start(&["apply", "--auto-approve"]);
    // It has the lock before it looks at the world.
    let (call, _) = deaf.accept().expect("it calls");
    for arguments in [&["apply", "--auto-approve"][..], &["destroy", "--auto-approve"]] {
        let run = project.run(arguments).expect(1);
        assert!(first.child().try_wait().expect("a child").is_none(), "it does not wait");
        assert!(run.stderr.contains(&format!("process {}", first.id())), "{}", run.stderr);
        insta::allow_duplicates!(shows!(run.text(), @"
        exit 1
        --- stderr
        error: another dollop is working on this state: `dollop apply` by [who] on [host], process [pid], since [date]
          hint: wait until it has ended, or end process [pid] on [host]; the lock goes with it
        "));
    }
    // Looking is allowed meanwhile.
    let looked = project.run(&["state", "list"]).expect(0);
    assert_eq!(looked.stdout, "");
    assert!(looked.stderr.contains("showing the state before it"), "{}", looked.stderr);
    assert_eq!(project.run(&["check"]).expect(0).stdout, "");
    // The lock goes with its process, however that ends.
    drop(first);
    drop(call);
    drop(deaf);
    let run = project.run(&["apply", "--auto-approve"]).expect(1);
    assert!(!run.stderr.contains("another dollop"), "{}", run.stderr);
    let read = project.run(&["destroy", "--auto-approve"]).expect(0);
    assert!(read.stderr.is_empty(), "{}", read.text());
}

#[test]
fn ctrl_c_while_planning_ends_at_once() {
    let deaf = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = deaf.local_addr().expect("a port").port().to_string();
    let project = Project::new("waits", WAITS).env("DOLLOP_PARAM_port", &port);
    let mut running = project.start(&["apply", "--auto-approve"]);
    let (_call, _) = deaf.accept().expect("it calls");
    running.interrupt();
    // Before the call does: an apply that waited for it would say why it has failed.
    let status = running.child().wait().expect("it ends");
    assert!(!status.success());
    let mut said = String::new();
    let mut stderr = running.child().stderr.take().expect("a pipe");
    stderr.read_to_string(&mut said).expect("text");
    assert_eq!(said, "", "{said}");
    assert_eq!(project.run(&["state", "list"]).expect(0).stdout, "");
}
