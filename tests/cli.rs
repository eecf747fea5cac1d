//! The real binary, as a person at a terminal and a pipeline see it. No service is needed.

use std::io::Read as _;
use std::net::TcpListener;
use std::process::{Command, Stdio};

use dollop_tests::cli::{Project, binary};
use serde_json::Value as Json;

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
fn a_saved_plan_is_applied_exactly_and_once() {
    let project = hello();
    let plan = ["plan", "--out", "the.plan", "--param", "who=moon"];
    shows!(project.run(&plan).expect(0).stderr, @"saved; apply it with `dollop apply --plan the.plan`");
    let mode = std::fs::metadata(project.folder().join("the.plan")).expect("it is there");
    let mode = std::os::unix::fs::PermissionsExt::mode(&mode.permissions());
    assert_eq!(mode & 0o777, 0o600);
    let shown = project.run(&["show", "--plan", "the.plan"]).expect(0).stdout;
    assert_eq!(shown, project.run(&["plan", "--param", "who=moon"]).expect(0).stdout);

    // Without a terminal it must be approved like any other.
    shows!(project.run(&["apply", "--plan", "the.plan"]).expect(1).stderr, @"
    error: nobody is there to approve this apply
      stdin is not a terminal
      hint: review the plan, then run it again with `--auto-approve`
    ");
    drop(project.run(&["apply", "--plan", "the.plan", "--auto-approve"]).expect(0));
    assert_eq!(project.read("out/greeting.txt"), "Hello, moon!\n");
    let before = project.files();
    let again = project.run(&["apply", "--plan", "the.plan", "--auto-approve"]).expect(1);
    shows!(again.stderr, @"
    error: the plan is stale
      the state has moved on from serial 0 to 1
      hint: plan again, and review it
    ");
    assert_eq!(project.files()["out/greeting.txt"], before["out/greeting.txt"]);
}

#[test]
fn a_saved_destroy_is_a_destroy() {
    let project = hello();
    drop(project.run(&["apply", "--auto-approve"]).expect(0));
    drop(project.run(&["plan", "--destroy", "--out", "end.plan"]).expect(0));
    shows!(
        project.run(&["apply", "--plan", "end.plan", "--auto-approve", "--parallelism", "1"]).text(),
        @r#"
    exit 0
    --- stdout
    Plan to destroy stack `hello`

      -  delete

      - local::file.config
      - local::random.token
      - local::file.greeting

    Outputs
        - greeting  "Hello, world!"
        - token     (sensitive)

    Plan: 0 to create, 0 to update, 0 to replace, 3 to delete; 0 unchanged.
    --- stderr
    deleted local::file.config ([time])
    deleted local::random.token ([time])
    deleted local::file.greeting ([time])
    Destroyed: 3 deleted in [time].
    "#
    );
    assert_eq!(project.run(&["state", "list"]).expect(0).stdout, "");
}

/// A stack that was applied, a plan that would change it, and what must stay as it is.
fn with_plan() -> (Project, String, String) {
    let project = hello();
    drop(project.run(&["apply", "--auto-approve"]).expect(0));
    drop(project.run(&["plan", "--out", "the.plan", "--param", "who=moon"]).expect(0));
    let state = project.run(&["show", "--format", "json"]).expect(0).stdout;
    let plan = project.read("the.plan");
    (project, state, plan)
}

fn refused(project: &Project, state: &str) -> String {
    let run = project.run(&["apply", "--plan", "the.plan", "--auto-approve"]).expect(1);
    assert_eq!(run.stdout, "", "nothing is shown of what cannot be trusted");
    let now = project.run(&["show", "--format", "json"]).expect(0).stdout;
    assert_eq!(now, state, "the state is as it was");
    assert_eq!(project.read("out/greeting.txt"), "Hello, world!\n");
    run.stderr
}

#[test]
fn a_saved_plan_is_refused_when_the_script_changed() {
    let (project, state, _) = with_plan();
    let script = project.read("stack.rhai");
    project.write("stack.rhai", &format!("{script}\n"));
    shows!(refused(&project, &state), @"
    error: the plan is stale
      `stack.rhai` has changed
      hint: plan again, and review it
    ");
    std::fs::remove_file(project.folder().join("stack.rhai")).expect("it goes");
    project.write("other.rhai", "");
    let run = project.run(&["apply", "--plan", "the.plan", "--auto-approve"]);
    assert_eq!(run.code, Some(1), "{}", run.text());
}

#[test]
fn a_saved_plan_is_refused_when_the_state_moved_on() {
    let (project, _, _) = with_plan();
    project.write("extra/stack.rhai", "");
    drop(project.run(&["apply", "--auto-approve", "--param", "who=you"]).expect(0));
    drop(project.run(&["apply", "--auto-approve"]).expect(0));
    let state = project.run(&["show", "--format", "json"]).expect(0).stdout;
    shows!(refused(&project, &state), @"
    error: the plan is stale
      the state has moved on from serial 1 to 3
      hint: plan again, and review it
    ");
}

#[test]
fn a_saved_plan_with_one_byte_altered_is_refused() {
    let (project, state, plan) = with_plan();
    let bytes = plan.as_bytes();
    let step = bytes.len() / 60;
    let mut tried = 0;
    for at in (0..bytes.len()).step_by(step) {
        let mut altered = bytes.to_vec();
        // Digits stay digits and letters letters, so that most of it is still valid JSON.
        altered[at] = match altered[at] {
            b'9' => b'8',
            b'z' => b'y',
            b'f' => b'e',
            b'}' => b')',
            other => other + 1,
        };
        std::fs::write(project.folder().join("the.plan"), &altered).expect("a file");
        let said = refused(&project, &state);
        assert!(said.contains("the.plan"), "byte {at}: {said}");
        tried += 1;
    }
    assert!(tried >= 60, "{tried}");
    let target = plan.find("Hello, moon!").expect("the plan says what it does");
    let mut altered = plan.clone();
    altered.replace_range(target..target + 5, "Jello");
    project.write("the.plan", &altered);
    shows!(refused(&project, &state), @"
    error: `the.plan` was altered after it was made, or belongs to another state
      hint: make the plan again, and review it
    ");

    // Untouched it is as good as before.
    project.write("the.plan", &plan);
    drop(project.run(&["apply", "--plan", "the.plan", "--auto-approve"]).expect(0));
    assert_eq!(project.read("out/greeting.txt"), "Hello, moon!\n");
}

#[test]
fn a_saved_plan_of_another_version_key_or_nature_is_refused() {
    let (project, state, plan) = with_plan();
    project.write("the.plan", &plan.replacen("\"dollop_plan\":2", "\"dollop_plan\":99", 1));
    shows!(refused(&project, &state), @"
    error: `the.plan` was made by another version of dollop
      its format is 99, this dollop knows 2
      hint: make the plan again
    ");
    project.write("the.plan", "hello");
    shows!(refused(&project, &state), @"
    error: `the.plan` is not a saved plan
      hint: make one with `dollop plan --out FILE`
    ");
    let (_other, _, foreign) = with_plan();
    project.write("the.plan", &foreign);
    shows!(refused(&project, &state), @"
    error: `the.plan` was altered after it was made, or belongs to another state
      hint: make the plan again, and review it
    ");
    let run = project.run(&["apply", "--plan", "no.plan", "--auto-approve"]).expect(1);
    shows!(run.stderr, @"error: cannot read `no.plan`: No such file or directory (os error 2)");
}

// ---- Forms --------------------------------------------------------------------------------

const SECRETIVE: &str = r#"
let pw = param("pw", #{ secret: true });
let token = local::random("token", #{ length: 24 });
local::file("conf", #{ path: "conf", content: `pw=${pw} token=${token.result}`, mode: "0600" });
local::data("d", #{ input: #{ url: `pg://u:${urlencode(pw)}@h`, plain: "as it is" } });
output("url", `pg://u:${pw}@h`);
output("plain", "as it is");
"#;

#[test]
fn json_is_json_and_without_secrets() {
    let project = Project::new("forms", SECRETIVE).env("DOLLOP_PARAM_pw", "hunter%22");
    let plan = project.run(&["plan", "--format", "json"]).expect(0);
    assert_eq!(plan.stderr, "");
    let json: Json = serde_json::from_str(&plan.stdout).expect("JSON");
    assert_eq!(json["format_version"], "1.2");
    assert_eq!(json["summary"]["create"], 3);
    assert_eq!(json["has_changes"], true);
    let conf = json["changes"].as_array().expect("changes").iter();
    let conf = conf.clone().find(|change| change["address"] == "local::file.conf");
    assert!(conf.expect("the file").to_string().contains("\"sensitive\":true"));
    drop(project.run(&["apply", "--auto-approve"]).expect(0));
    let token = project.run(&["output", "url", "--raw"]).expect(0).stdout;
    assert_eq!(token, "pg://u:hunter%22@h");
    for arguments in [
        &["show", "--format", "json"][..],
        &["output", "--json"],
        &["state", "show", "local::file.conf", "--json"],
        &["state", "show", "local::data.d", "--json"],
        &["plan", "--format", "json", "--destroy"],
        &["plan", "--format", "json", "--verbose", "--param", "pw=hunter%33"],
        &["plan", "--format", "json", "--no-refresh"],
    ] {
        let run = project.run(arguments).expect(0);
        serde_json::from_str::<Json>(&run.stdout).expect("JSON");
        assert!(!run.text().contains("hunter"), "{arguments:?}: {}", run.text());
    }
    let named = project.run(&["output", "url", "--json"]).expect(0).stdout;
    assert_eq!(named.trim_end(), r#""pg://u:hunter%22@h""#);
    let masked = project.run(&["output", "url"]).expect(0).stdout;
    assert_eq!(masked, "(sensitive)\n");
}

#[test]
fn an_error_is_json_where_the_answer_would_have_been() {
    let project = Project::new("broken", "local::file(\"a\", #{ path: 5 });\n");
    let run = project.run(&["plan", "--format", "json"]).expect(1);
    let json: Json = serde_json::from_str(&run.stdout).expect("JSON");
    shows!(serde_json::to_string_pretty(&json).expect("JSON"), @r#"
    {
      "diagnostics": [
        {
          "code": "E0302",
          "hints": [],
          "label": "",
          "message": "`path` must be a string, not an integer",
          "notes": [],
          "position": {
            "column": 21,
            "file": "stack.rhai",
            "length": 4,
            "line": 1
          },
          "related": [],
          "severity": "error",
          "trace": []
        },
        {
          "code": "E0303",
          "hints": [
            "`content`: The whole text, as it is: nothing is added at the end."
          ],
          "label": "",
          "message": "`local::file` needs `content`",
          "notes": [],
          "position": {
            "column": 8,
            "file": "stack.rhai",
            "length": 4,
            "line": 1
          },
          "related": [],
          "severity": "error",
          "trace": []
        }
      ],
      "format_version": "1.2"
    }
    "#);
    let run = project.run(&["output", "nothing", "--json"]).expect(1);
    let json: Json = serde_json::from_str(&run.stdout).expect("JSON");
    shows!(serde_json::to_string_pretty(&json).expect("JSON"), @r#"
    {
      "diagnostics": [
        {
          "code": "E0802",
          "hints": [
            "outputs appear after the first `dollop apply`"
          ],
          "label": "",
          "message": "there is no output `nothing`",
          "notes": [],
          "position": null,
          "related": [],
          "severity": "error",
          "trace": []
        }
      ],
      "format_version": "1.2"
    }
    "#);
}

#[test]
fn markdown_fits_a_pull_request() {
    let project = Project::new("forms", SECRETIVE).env("DOLLOP_PARAM_pw", "hunter%22");
    shows!(project.run(&["plan", "--format", "markdown"]).expect(0).stdout, @r#"
    <!-- dollop:plan:forms -->
    ### Plan for <code>forms</code>

    **Plan: 3 to create, 0 to update, 0 to replace, 0 to delete; 0 unchanged.**

    #### Changes

    <details>
    <summary><b>create</b> <code>local::random.token</code></summary>

    - declared at <code>stack.rhai:3:20</code>

    ```diff
    + length = 24
    ```

    </details>

    <details>
    <summary><b>create</b> <code>local::file.conf</code></summary>

    - declared at <code>stack.rhai:4:8</code>

    ```diff
    + content = (sensitive)
    + mode = "0600"
    + path = "conf"
    ```

    </details>

    <details>
    <summary><b>create</b> <code>local::data.d</code></summary>

    - declared at <code>stack.rhai:5:8</code>

    ```diff
    + input.plain = "as it is"
    + input.url = (sensitive)
    ```

    </details>

    #### Outputs

    ```diff
    + url = (sensitive)
    + plain = "as it is"
    ```
    "#);
    drop(project.run(&["apply", "--auto-approve"]).expect(0));
    std::fs::remove_file(project.folder().join("conf")).expect("it goes");
    shows!(project.run(&["plan", "--format", "markdown"]).expect(0).stdout, @r#"
    <!-- dollop:plan:forms -->
    ### Plan for <code>forms</code>

    **Plan: 1 to create, 0 to update, 0 to replace, 0 to delete; 2 unchanged.**

    #### Changed outside dollop since the last run

    - <code>local::file.conf</code> is gone

    #### Changes

    <details>
    <summary><b>create</b> <code>local::file.conf</code></summary>

    - was removed outside dollop
    - declared at <code>stack.rhai:4:8</code>

    ```diff
    + content = (sensitive)
    + mode = "0600"
    + path = "conf"
    ```

    </details>
    "#);
    let run = project.run(&["show", "--format", "markdown"]);
    shows!(run.text(), @"
    exit 64
    --- stderr
    error: a state has no Markdown form
      hint: use `--format text` or `--format json`
    ");
}

#[test]
fn check_says_what_is_declared() {
    shows!(hello().run(&["check", "--param", "who=x"]).text(), @"
    exit 0
    --- stderr
    `hello` is fine: 3 resources, 1 connection, 2 outputs
      who from flag `--param`
    ");
    let project = Project::new("warned", "let a = param(\"a\", #{ default: 1 });\n");
    shows!(project.run(&["check", "--param", "b=2"]).text(), @r#"
    exit 0
    --- stderr
    warning[W0101]: unused parameter `b`
      given by flag `--param`, but the script does not ask for it
      hint: did you mean `a`?

    warning[W0111]: nothing reads `a`
     --> stack.rhai:1:5
      |
    1 | let a = param("a", #{ default: 1 });
      |     ^
      |
      = note: so the parameter it holds changes nothing
      = hint: remove it, or call it `_a` when that is meant

    `warned` has 2 warnings: 0 resources, 0 connections, 0 outputs
      a from default
    "#);
}

#[test]
fn graphs_are_drawn() {
    let project = Project::new(
        "drawn",
        "let a = local::random(\"a\");\nlocal::data(\"b\", #{ input: a.result, depends_on: [\"local::data.c\"] });\nlocal::data(\"c\", #{ input: 1 });\n",
    );
    shows!(project.run(&["graph"]).text(), @r#"
    exit 0
    --- stdout
    digraph dollop {
      rankdir = LR
      node [shape = box]
      "local::host.default" [shape = ellipse]
      "local::random.a"
      "local::data.c"
      "local::data.b"
      "local::random.a" -> "local::host.default" [label = "through"]
      "local::data.c" -> "local::host.default" [label = "through"]
      "local::data.b" -> "local::data.c" [label = "depends_on"]
      "local::data.b" -> "local::host.default" [label = "through"]
      "local::data.b" -> "local::random.a" [label = "input"]
    }
    "#);
    shows!(project.run(&["graph", "--format", "mermaid"]).text(), @r#"
    exit 0
    --- stdout
    flowchart LR
      n0(["local::host.default"])
      n1["local::random.a"]
      n2["local::data.c"]
      n3["local::data.b"]
      n1 -->|"through"| n0
      n2 -->|"through"| n0
      n3 -->|"depends_on"| n2
      n3 -->|"through"| n0
      n3 -->|"input"| n1
    "#);
}

#[test]
fn wrong_usage_exits_with_64() {
    let project = hello();
    for arguments in [
        &[][..],
        &["plon"],
        &["plan", "--fromat", "json"],
        &["plan", "--param", "novalue"],
        &["apply", "--parallelism", "0"],
        &["apply", "--plan", "x", "--param", "a=b"],
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
