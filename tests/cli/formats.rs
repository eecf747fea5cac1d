//! What is written for programs, pull requests and drawing tools.

use dollop_tests::cli::Project;
use serde_json::Value as Json;

use super::hello;

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
    assert_eq!(json["format_version"], "1.3");
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
      "format_version": "1.3"
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
      "format_version": "1.3"
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
fn check_says_what_a_plan_would_refuse() {
    // What is declared on a handle is known as a whole only while planning.
    let project = Project::new(
        "wrong",
        r#"
let mq = rabbitmq::server("mq", #{ host: "127.0.0.1", user: "u", password: param("pw", #{ secret: true }) });
let v = mq.vhost("shop");
v.queue("s", #{ type: "stream", max_length: 5 });
"#,
    );
    for command in [&["check"][..], &["plan", "--no-refresh"]] {
        let run = project.run(&[command, &["--param", "pw=word"]].concat()).expect(1);
        let refused = "error[E0309]: `rabbitmq::queue.mq/shop/s`: `max_length` is for classic";
        assert!(run.stderr.contains(refused), "{}", run.stderr);
    }
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
fn a_part_of_a_graph_is_drawn() {
    let script = "let a = local::data(\"a\");\nlet b = local::data(\"b\", #{ input: a.id });\n\
                  local::data(\"c\", #{ input: b.id });\nlocal::data(\"d\");\n";
    let project = Project::new("parts", script);
    let nodes = |arguments: &[&str]| -> Vec<String> {
        let all = [&["graph", "--format", "json"], arguments].concat();
        let json: Json = serde_json::from_str(&project.run(&all).expect(0).stdout).unwrap();
        let nodes = json["nodes"].as_array().unwrap().iter();
        let nodes = nodes.map(|node| node["address"].as_str().unwrap().to_owned());
        nodes.filter(|address| !address.contains("host")).collect()
    };
    let (a, b, c, d) = ("local::data.a", "local::data.b", "local::data.c", "local::data.d");
    assert_eq!(nodes(&[]), [a, b, c, d]);
    assert_eq!(nodes(&["--of", b]), [a, b, c]);
    assert_eq!(nodes(&["--of", b, "--direction", "needs"]), [a, b]);
    assert_eq!(nodes(&["--of", b, "--direction", "needed-by"]), [b, c]);
    drop(project.run(&["apply", "--auto-approve", "--only", b]).expect(0));
    assert_eq!(nodes(&["--planned"]), [c, d]);
    let plan = project.run(&["plan", "--exclude", "local::data.[cd]*"]).expect(1).stderr;
    assert!(plan.contains("fits no resource"), "{plan}");
    let plan = project.run(&["plan", "--exclude", c]).expect(0).stdout;
    assert!(plan.contains("it leaves out changes of `local::data.c`"), "{plan}");
    let wrong = project.run(&["graph", "--of", "local::data.x"]).expect(1).stderr;
    assert!(wrong.contains("the stack declares no `local::data.x`"), "{wrong}");
}

#[test]
fn a_plan_for_what_changed_since_a_revision() {
    let before = r#"
        import ".//more" as more;
        let a = local::data("a", #{ input: 1 });
        local::data("texts", #{ input: [file("./conf//a.txt"), folder("./conf/"), files("new")] });
        local::data("gone", #{ input: 1 });
        profile("tools", || local::data("tool", #{ input: 1 }));
        local::data("same", #{ input: a.output });
    "#;
    let project = Project::new("since", before);
    project.write("more.rhai", r#"local::data("more", #{ input: "old" });"#);
    let git = |arguments: &[&str]| {
        let who = ["-c", "user.name=t", "-c", "user.email=t@localhost"];
        let mut command = std::process::Command::new("git");
        let run = command.current_dir(project.folder()).args(who).args(arguments).output();
        let output = run.expect("git runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    project.write("conf/a.txt", "old\n");
    project.write("conf/deep/b.txt", "");
    project.write("new/untracked", "");
    let lonely = project.run(&["plan", "--changed-since", "HEAD"]).expect(1).stderr;
    shows!(lonely.replace(project.folder().to_str().expect("text"), "[folder]"), @r#"
    error: `[folder]` is in no Git repository
      so there is no revision `HEAD` to compare with
      hint: choose a part by address or profile instead: `--only ADDRESS`
    "#);
    git(&["init", "--quiet"]);
    git(&["add", "stack.rhai", "more.rhai", "conf"]);
    git(&["commit", "--quiet", "--message", "before"]);
    let changes = |arguments: &[&str]| -> Vec<String> {
        let all = [&["plan", "--format", "json"], arguments].concat();
        let json: Json = serde_json::from_str(&project.run(&all).expect(0).stdout).unwrap();
        let changes = json["changes"].as_array().unwrap().iter();
        changes.map(|change| change["address"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(changes(&["--changed-since", "HEAD"]), [""; 0]);
    let nothing = project.run(&["plan", "--changed-since", "HEAD"]).expect(0).stdout;
    assert!(nothing.ends_with("No changes. The part that is chosen is empty.\n"), "{nothing}");
    assert_eq!(
        changes(&["--profile", "tools", "--only", "profile:tools"]),
        ["local::data.tool"]
    );
    drop(project.run(&["apply", "--auto-approve"]).expect(0));
    // `same` needs `a`, which is brought along where it is chosen, and says nothing new.
    let now = before.replace("local::data(\"gone\", #{ input: 1 });", "let p = param(\"p\");");
    let now = now.replace("\"same\", #{", "\"new\", #{ input: p }); local::data(\"same\", #{");
    project.write("stack.rhai", &now);
    project.write("more.rhai", r#"local::data("more", #{ input: "new" });"#);
    let since = ["--param", "p=1", "--changed-since", "HEAD"];
    let mut found = changes(&since);
    found.sort();
    assert_eq!(found, ["local::data.gone", "local::data.more", "local::data.new"]);
    project.write("conf/a.txt", "new\n");
    let mut found = changes(&since);
    found.sort();
    let texts = "local::data.texts";
    assert_eq!(found, ["local::data.gone", "local::data.more", "local::data.new", texts]);
    let wrong = ["plan", "--param", "p=1", "--changed-since", "nowhere"];
    let wrong = project.run(&wrong).expect(1).stderr;
    shows!(wrong, @r#"
    error: there is no revision `nowhere` to compare with
      Git says: Needed a single revision
      hint: name a commit, branch or tag that is here; `git fetch` brings those of others
    "#);
    let only = |what: &str| project.run(&["plan", "--param", "p=1", "--only", what]).expect(1);
    shows!(only("profile:tool").text(), @r#"
    exit 1
    --- stderr
    error[E0410]: the script has no profile `tool`
      hint: did you mean `tools`?
    "#);
    shows!(only("profile:tools").text(), @r#"
    exit 1
    --- stderr
    error: `profile:tools` fits no resource
      profile `tools` is off, and nothing of it was made
      hint: turn it on with `--profile tools`
    "#);
    shows!(only("local::data.tool").text(), @r#"
    exit 1
    --- stderr
    error: `local::data.tool` fits no resource
      what it fits belongs to profile `tools`, which is off
      hint: turn it on with `--profile tools`
    "#);
    shows!(only("local::data.samee").text(), @r#"
    exit 1
    --- stderr
    error: `local::data.samee` fits no resource
      hint: did you mean `local::data.same`?
    "#);
}

/// What the attribute is part of is not known as a whole, so it keeps the form it was written in.
#[test]
fn a_secret_beside_what_is_not_known_is_masked() {
    let script = r#"
        let net = docker::network("n");
        docker::image("a", #{ build: #{
            context: ".", shm_size: net.id, secrets: #{ npm: "t0ken-in-clear" },
        } });
    "#;
    let project = Project::new("beside", script);
    project.write("Dockerfile", "FROM scratch");
    let saved = ["plan", "--no-refresh", "--out", "saved.plan"];
    for arguments in [&saved[..], &["plan", "--no-refresh", "--format", "json"]] {
        let said = project.run(arguments).expect(0).text();
        assert!(said.contains("npm"), "{said}");
        assert!(!said.contains("t0ken-in-clear"), "{said}");
    }
    let saved = std::fs::read(project.folder().join("saved.plan")).expect("the plan");
    let saved = String::from_utf8_lossy(&saved);
    assert!(!saved.contains("t0ken-in-clear"), "{saved}");
}
