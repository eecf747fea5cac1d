//! `why`, `impact`, `explain`, and what `check` and `apply` write for programs.

use dollop_tests::cli::Project;

const STACK: &str = r#"
let token = local::random("token", #{ length: 12 });
let page = local::file("page", #{ path: "page.txt", content: token.result });
local::data("seen", #{ input: page.sha256, replace_triggered_by: token });
local::data("after", #{ depends_on: page });
"#;

#[test]
fn why_shows_who_needs_it_and_what_the_plan_does() {
    let project = Project::new("why", STACK);
    shows!(project.run(&["why", "local::random.token"]).text(), @r"
    exit 0
    --- stdout
    local::random.token  stack.rhai:2:20
    └── local::file.page  stack.rhai:3:53  its `content` uses it
        ├── local::data.seen  stack.rhai:4:24  its `input` uses it; also needs the first: its `replace_triggered_by` names it
        └── local::data.after  stack.rhai:5:25  its `depends_on` names it

    In the plan:
    create local::random.token  stack.rhai:2:20
    ");
    let _ = project.run(&["apply", "--auto-approve"]).expect(0);
    shows!(project.run(&["why", "local::data.seen"]).text(), @r"
    exit 0
    --- stdout
    local::data.seen  stack.rhai:4:8

    The plan does not touch it.
    ");
    project.write("stack.rhai", &STACK.replace("length: 12", "length: 13"));
    shows!(project.run(&["why", "local::data.seen"]).text(), @r"
    exit 0
    --- stdout
    local::data.seen  stack.rhai:4:8

    In the plan:
    replace local::data.seen  stack.rhai:4:8
    ├── is made anew because `local::random.token` is replaced
    ├── what differs: `input`
    └── replace local::random.token  stack.rhai:2:20
        └── `length` cannot be changed in place
    ");
    project.write("stack.rhai", &STACK.replace("local::data(\"after\"", "//"));
    shows!(project.run(&["why", "local::data.after"]).text(), @r"
    exit 0
    --- stdout
    local::data.after is not declared any more

    In the plan:
    delete local::data.after
    └── not declared any more
    ");
    shows!(project.run(&["why", "local::data.affter"]).text(), @r"
    exit 1
    --- stderr
    error: the stack declares no `local::data.affter`
      hint: did you mean `local::data.seen`?
    ");
}

#[test]
fn impact_shows_what_is_disturbed() {
    let project = Project::new("impact", STACK);
    shows!(project.run(&["impact", "local::random.token"]).text(), @r"
    exit 0
    --- stdout
    local::random.token  [made anew]  stack.rhai:2:20
    └── local::file.page  [changed in place]  stack.rhai:3:53  its `content` uses it
        └── local::data.seen  [made anew]  stack.rhai:4:24  its `input` uses it; also needs the first: its `replace_triggered_by` names it

    It is made anew, which disturbs 2 others; the worst: made anew.
    1 more depends on it and notices nothing.
    ");
    shows!(project.run(&["impact", "local::data.after"]).text(), @r"
    exit 0
    --- stdout
    local::data.after  [made anew]  stack.rhai:5:8

    It is made anew; nothing else is disturbed.
    ");
    let run = project.run(&["impact", "local::file.page", "--format", "json"]).expect(0);
    shows!(run.stdout, @r#"
    {
      "format_version": "1.3",
      "resource": {
        "address": "local::file.page",
        "because": [],
        "disruption": "recreate",
        "impact": "replaced",
        "position": {
          "column": 19,
          "file": "stack.rhai",
          "length": 4,
          "line": 3
        },
        "users": [
          {
            "address": "local::data.seen",
            "because": [
              {
                "attribute": "input",
                "position": {
                  "column": 24,
                  "file": "stack.rhai",
                  "length": 5,
                  "line": 4
                },
                "reason": "uses"
              }
            ],
            "disruption": "none",
            "impact": "updated",
            "position": {
              "column": 8,
              "file": "stack.rhai",
              "length": 4,
              "line": 4
            },
            "users": [],
            "uses_root": false
          },
          {
            "address": "local::data.after",
            "because": [
              {
                "attribute": null,
                "position": {
                  "column": 25,
                  "file": "stack.rhai",
                  "length": 10,
                  "line": 5
                },
                "reason": "depends_on"
              }
            ],
            "disruption": "none",
            "impact": "none",
            "position": {
              "column": 8,
              "file": "stack.rhai",
              "length": 4,
              "line": 5
            },
            "users": [],
            "uses_root": false
          }
        ],
        "uses_root": false
      }
    }
    "#);
}

#[test]
fn what_is_in_the_way_is_still_shown() {
    let script = r#"for name in ["a", "b"] {
    docker::container(name, #{ image: "nginx:1", ports: ["8080:80"] });
}"#;
    let project = Project::new("clash", script);
    for command in ["check", "plan"] {
        let run = project.run(&[command]).expect(1);
        assert!(run.stderr.starts_with("error[E0601]"), "{}", run.stderr);
    }
    let _ = project.run(&["graph"]).expect(0);
    let _ = project.run(&["impact", "docker::container.a"]).expect(0);
}

#[test]
fn the_order_of_loss_in_the_quickstart() {
    let project = Project::copy_of("quickstart", "lossy");
    let run = project.run(&["impact", "docker::volume.pgdata"]).expect(0);
    assert!(
        run.stdout.contains("postgres::database.main/shop  [data is lost]"),
        "{}",
        run.stdout
    );
    assert!(!run.stdout.contains("rabbitmq"), "{}", run.stdout);
    let run = project.run(&["impact", "docker::network.backend"]).expect(0);
    assert!(run.stdout.contains("[changed in place: reconnect]"), "{}", run.stdout);
    assert!(!run.stdout.contains("data is lost"), "{}", run.stdout);
}

#[test]
fn a_missing_bind_source_is_an_error_unless_it_is_made() {
    let container =
        r#"docker::container("a", #{ image: "nginx:1", volumes: ["./conf/:/etc/app:ro"] });"#;
    let project = Project::new("bound", container);
    shows!(project.run(&["check"]).text(), @r#"
    exit 1
    --- stderr
    error[E0605]: `./conf` does not exist on this machine
     --> stack.rhai:1:55
      |
    1 | docker::container("a", #{ image: "nginx:1", volumes: ["./conf/:/etc/app:ro"] });
      |                                                       ^^^^^^^^^^^^^^^^^^^^^
      |
      = note: relative paths begin at the project folder
      = hint: create it, correct the path, or declare it with `local::file`
    "#);
    project.write("conf/app.conf", "");
    let _ = project.run(&["check"]).expect(0);
    let made = format!(
        "local::file(\"c\", #{{ path: \"new/app.conf\", content: \"\" }});\n{}",
        container.replace("conf", "new")
    );
    project.write("stack.rhai", &made);
    let _ = project.run(&["check"]).expect(0);
    let remote = format!(
        "let e = docker::engine(\"far\", #{{ host: \"tcp://10.0.0.1:2375\" }});\n{}",
        container.replace("docker::container", "e.container").replace("conf", "gone")
    );
    project.write("stack.rhai", &remote);
    let _ = project.run(&["check"]).expect(0);
}

#[test]
fn warnings_can_be_denied() {
    let project = Project::new("denied", r#"docker::volume("data");"#);
    let _ = project.run(&["check"]).expect(0);
    let _ = project.run(&["check", "--deny-warnings"]).expect(1);
    project.write("stack.rhai", r#"docker::volume("data", #{ allow: "W0102" });"#);
    let _ = project.run(&["check", "--deny-warnings"]).expect(0);
}

#[test]
fn sarif_has_the_shape_code_hosts_read() {
    let script =
        "fn web() {\n    docker::container(\"a\", #{ imag: 1, prts: [] });\n}\nweb();\n";
    let project = Project::new("sarif", script);
    let run = project.run(&["check", "--format", "sarif"]).expect(1);
    let log: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(log["version"], "2.1.0");
    let run = &log["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    let results = run["results"].as_array().unwrap();
    assert_eq!(results.len(), 2, "{results:?}");
    for result in results {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(rules[index]["id"], result["ruleId"]);
        assert!(["error", "warning"].contains(&result["level"].as_str().unwrap()));
        assert!(!result["message"]["text"].as_str().unwrap().is_empty());
        let place = &result["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "stack.rhai");
        let region = &place["region"];
        assert!(region["endColumn"].as_u64() > region["startColumn"].as_u64(), "{region}");
        assert_eq!(region["startLine"], 2);
        assert_eq!(result["relatedLocations"][0]["physicalLocation"]["region"]["startLine"], 4);
    }
    project.write("stack.rhai", "");
    let run = project.run(&["check", "--format", "sarif"]).expect(0);
    let log: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(log["runs"][0]["results"], serde_json::json!([]));
}

#[test]
fn codes_are_explained() {
    let project = Project::new("explained", "");
    let all = project.run(&["explain"]).expect(0).stdout;
    assert!(
        all.lines().count() == dollop_engine::diagnostic::Code::ALL.len()
            && all.contains("E0102"),
        "{all}"
    );
    shows!(project.run(&["explain", "e0117"]).text(), @r#"
    exit 0
    --- stdout
    E0117: an attribute set after the resource was declared

    A resource is declared in one call, so that its attributes stand in one place.

        let net = docker::network("app");
        net.driver = "macvlan";

    Set it where the resource is declared: `docker::network("app", #{ driver: "macvlan" })`.
    "#);
    shows!(project.run(&["explain", "E0177"]).text(), @r"
    exit 64
    --- stderr
    error: there is no code `E0177`
      hint: did you mean `E0107`?
    ");
}

#[test]
fn an_apply_answers_programs_too() {
    let script = r#"
let pw = local::random("pw");
let a = local::file("a", #{ path: "a.txt", content: "1" });
local::file("b", #{ path: "a.txt/b.txt", content: pw.result, after: a });
output("pw", pw.result);
"#;
    let project = Project::new("answers", script);
    let apply = ["apply", "--auto-approve", "--format", "json"];
    let run = project.run(&apply).expect(1);
    let answer: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(answer["complete"], false);
    let code = answer["diagnostics"][0]["code"].as_str().unwrap();
    assert!(code.starts_with("E07"), "{answer}");
    project.write("stack.rhai", &script.replace("a.txt/b.txt", "b.txt"));
    let run = project.run(&apply).expect(0);
    let answer: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(answer["complete"], true);
    assert_eq!(answer["diagnostics"], serde_json::json!([]));
    assert_eq!(answer["outputs"]["pw"]["sensitive"], true);
    assert!(!run.stdout.contains(&project.read("b.txt")), "{}", run.stdout);
    // Nothing left to do is an answer as well.
    let run = project.run(&apply).expect(0);
    let answer: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(answer["complete"], true);
    // Nobody could be asked.
    let _ = project.run(&["apply", "--format", "json"]).expect(64);
    // What is wrong before anything is done has the same form.
    project.write("stack.rhai", "let x = ;");
    let run = project.run(&apply).expect(1);
    let answer: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(answer["diagnostics"][0]["code"], "E0101");
}

#[test]
fn a_secret_in_the_script_is_not_shown_by_its_warning() {
    let script =
        r#"docker::container("a", #{ image: "nginx:1", env: #{ DB_PASSWORD: "hunter2" } });"#;
    let project = Project::new("clear", script);
    let run = project.run(&["check"]).expect(0);
    shows!(run.text(), @r#"
    exit 0
    --- stderr
    warning[W0103]: `env.DB_PASSWORD` holds a secret in clear text
    --> stack.rhai:1:53
     = hint: ask for it: `param("name", #{ secret: true })`, or have it made: `local::random("name").result`

    `clear` has 1 warning: 1 resource, 1 connection, 0 outputs
    "#);
    for format in ["json", "sarif"] {
        let run = project.run(&["check", "--format", format]).expect(0);
        assert!(!run.stdout.contains("hunter2"), "{}", run.stdout);
    }
}

#[test]
fn a_renamed_stack_is_told() {
    let script = r#"local::data("a", #{ input: 1 });"#;
    let before = Project::new("before", script);
    let _ = before.run(&["apply", "--auto-approve"]).expect(0);
    let after = Project::new("after", script);
    std::fs::rename(before.folder().join(".dollop"), after.folder().join(".dollop")).unwrap();
    let run = after.run(&["plan"]).expect(0);
    let said = format!("{}{}", run.stdout, run.stderr);
    for part in
        ["W0202", "made by stack `before`", "called `after` now", "rename the folder back"]
    {
        assert!(said.contains(part), "{part}: {said}");
    }
}
