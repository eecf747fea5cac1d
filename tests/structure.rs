//! Parameters, environments and profiles, as a person at a terminal sees them.

use dollop_tests::cli::{Project, root};
use dollop_tests::fences::blocks;
use serde_json::Value as Json;

const SCRIPT: &str = r#"// A stack in parts.
let size = param("size", #{ default: 3, doc: "how many", check: |n| n > 0, message: "at least one" });
let mode = param("mode", #{ choices: ["dev", "live"] });
let pw = param("password", #{ secret: true, pattern: ".{8,}", message: "at least eight characters" });
let a = local::file("a", #{ path: `out/${env()}/a.txt`, content: `${mode} ${size}` });
profile("debug", || {
    local::file("b", #{ path: `out/${env()}/b.txt`, content: a.path });
});
if env() == "prod" { override(a, #{ mode: "0600" }); }
output("stack", stack());
"#;

fn project() -> Project {
    let project = Project::new("shop", SCRIPT);
    project.write(".env", "POSTGRES_PORT=1\npassword=\"${SHOP_PW:-hunter22}\"\nmode=dev\n");
    project.write("prod.params.toml", "mode = \"live\"\nsize = 5\n");
    project
}

#[test]
fn parameters_are_listed_with_where_they_came_from() {
    let project = project().env("DOLLOP_PARAM_size", "4");
    shows!(project.run(&["params"]).text(), @r#"
    exit 0
    --- stdout
    size      int     4            environment variable DOLLOP_PARAM_size
    mode      string  "dev"        file .env
    password  string  (sensitive)  file .env
    "#);
    shows!(project.run(&["params", "--env", "prod", "--explain"]).text(), @r#"
    exit 0
    --- stdout
    size  stack.rhai:2:12
      for         how many
      type        int
      default     3
      value       4
      from        environment variable DOLLOP_PARAM_size
      not from    file prod.params.toml

    mode  stack.rhai:3:12
      type        string
      choices     "dev", "live"
      default     none: it must be set
      value       "live"
      from        file prod.params.toml
      not from    file .env

    password  stack.rhai:4:10
      type        string, secret
      default     none: it must be set
      value       (sensitive)
      from        file .env
    "#);
    let json = project.run(&["params", "--format", "json"]).expect(0).stdout;
    let json: Json = serde_json::from_str(&json).unwrap();
    assert_eq!(json["parameters"][0]["value"], 4);
    assert_eq!(json["parameters"][2]["value"], Json::Null);
    assert_eq!(json["parameters"][2]["set"], true);
}

#[test]
fn a_stack_has_a_page_of_its_own() {
    let script = SCRIPT.replace(
        "output(\"stack\", stack());",
        r#"output("stack", stack(), #{ doc: "what Docker's names begin with" });
output("old", 1, #{ deprecated: "use `stack`" });
param("gone", #{ default: 1, deprecated: true });"#,
    );
    let project = Project::new("shop", &script);
    shows!(project.run(&["doc", "."]).text(), @r#"
    exit 0
    --- stdout
    shop
      A stack in parts.

    Parameters
      size  int; 3 when left out
          how many
      mode  string: "dev", "live"; must be set
      password  string, secret; must be set
      gone  int; 1 when left out
          deprecated

    Outputs
      stack
          what Docker's names begin with
      old
          deprecated
            use `stack`

    Profiles
      debug
    "#);
    let set = ["--param", "mode=dev", "--param", "password=hunter22"];
    drop(project.run(&[&["apply", "--auto-approve"], &set[..]].concat()).expect(0));
    let old = project.run(&["output", "old", "--raw"]).expect(0);
    assert_eq!(
        (&*old.stdout, &*old.stderr),
        ("1", "output `old` is deprecated: use `stack`\n")
    );
    assert_eq!(project.run(&["output", "stack"]).expect(0).stderr, "");
    // A script that is broken does not keep anybody from what was applied.
    project.write("stack.rhai", "let");
    assert_eq!(project.run(&["output", "old", "--raw"]).expect(0).stderr, "");
    let broken = project.run(&["doc", "./stack.rhai"]).expect(1);
    assert!(broken.stderr.contains("error[E0101]"), "{}", broken.text());
}

#[test]
fn what_is_missing_or_wrong_is_listed_and_said_together() {
    let project = Project::new("shop", SCRIPT);
    let listed = project.run(&["params"]).expect(0);
    assert!(listed.stdout.contains("mode      string  not set  required"), "{}", listed.stdout);
    let wrong = ["--param", "size=0", "--param", "mode=x", "--param", "password=hunter2"];
    let wrong = [&["check"], &wrong[..]].concat();
    let said = project.run(&wrong).expect(1).stderr;
    for part in ["at least one", "must be one of `dev`, `live`", "at least eight", "3 errors"] {
        assert!(said.contains(part), "{said}");
    }
    assert!(!said.contains("hunter2"), "{said}");
}

#[test]
fn environments_stand_side_by_side() {
    let project = project();
    let apply = ["apply", "--auto-approve"];
    let first = project.run(&apply).expect(0).stdout;
    assert!(first.starts_with("Plan for stack `shop`\n"), "{first}");
    let prod = project.run(&["apply", "--auto-approve", "--env", "prod"]).expect(0).stdout;
    assert!(prod.starts_with("Plan for stack `shop_prod`, environment `prod`\n"), "{prod}");
    assert_eq!(project.read("out/default/a.txt"), "dev 3");
    assert_eq!(project.read("out/prod/a.txt"), "live 5");
    let chosen = project.run(&["output", "stack", "--raw", "--env", "prod"]).expect(0);
    assert_eq!(chosen.stdout, "shop_prod");
    shows!(project.run(&["env", "list", "--env", "prod"]).text(), @"
    exit 0
    --- stdout
      default  1 resource, state 1
    * prod     1 resource, state 1  prod.params.toml
    ");
    // A plan of one environment is not for another.
    let saved = project.run(&["plan", "--env", "prod", "--destroy", "--out", "x.plan"]);
    let saved = saved.expect(0).stderr;
    assert!(saved.contains("`dollop apply --env prod --plan x.plan`"), "{saved}");
    let refused = project.run(&["apply", "--plan", "x.plan", "--auto-approve"]);
    assert!(
        refused.expect(1).stderr.contains("altered after it was made, or belongs to another")
    );
    drop(project.run(&["destroy", "--auto-approve", "--env", "prod"]).expect(0));
    assert_eq!(project.read("out/default/a.txt"), "dev 3");
    let wrong = project.run(&["plan", "--env", "../up"]).expect(64).stderr;
    assert!(wrong.contains("an environment is named with"), "{wrong}");
}

#[test]
fn the_question_names_the_environment() {
    let project = project();
    let asked = project.run_in_terminal(&["apply", "--env", "prod"], "no").stdout;
    assert!(asked.contains("apply this plan in environment `prod`?"), "{asked}");
}

#[test]
fn a_profile_goes_on_and_off() {
    let project = project();
    drop(project.run(&["apply", "--auto-approve", "--profile", "debug"]).expect(0));
    assert_eq!(project.read("out/default/b.txt"), "out/default/a.txt");
    shows!(project.run(&["plan"]).text(), @r#"
    exit 0
    --- stdout
    Plan for stack `shop`
      profiles off: `debug`

      -  delete

      - local::file.b  profile `debug` is off

    warning[W0111]: nothing reads `pw`
     --> stack.rhai:4:5
      |
    4 | let pw = param("password", #{ secret: true, pattern: ".{8,}", message: "at least eight charac...
      |     ^^
      |
      = note: so the parameter it holds changes nothing
      = hint: remove it, or call it `_pw` when that is meant

    Plan: 0 to create, 0 to update, 0 to replace, 1 to delete; 1 unchanged.
    "#);
    let kept = project.run(&["plan", "--dormant", "keep", "--detailed-exitcode"]).expect(0);
    assert!(kept.stdout.contains("1 object of profiles that are off kept"), "{}", kept.stdout);
    let slip = project.run(&["plan", "--profile", "debg"]).expect(1).stderr;
    assert!(slip.contains("did you mean `debug`?"), "{slip}");
    drop(project.run(&["apply", "--auto-approve"]).expect(0));
    assert!(!project.folder().join("out/default/b.txt").exists());
    let project = project.env("DOLLOP_PROFILES", "*");
    let all = project.run(&["plan"]).expect(0).stdout;
    assert!(all.contains("profiles on: `debug`"), "{all}");
}

#[test]
fn a_plan_points_at_the_layer_that_set_a_value() {
    let project = project();
    let plan = project.run(&["plan", "--env", "prod", "--format", "json"]).expect(0).stdout;
    let plan: Json = serde_json::from_str(&plan).unwrap();
    let differences = plan["changes"][0]["differences"].as_array().unwrap();
    let line = |path: &str| {
        let found = differences.iter().find(|difference| difference["path"] == path);
        found.unwrap()["position"]["line"].clone()
    };
    assert_eq!((line("mode"), line("content")), (9.into(), 5.into()));
}

#[test]
fn the_tour_of_the_modules_is_right() {
    for page in ["README.md", "docs/platforms.md"] {
        let tour = std::fs::read_to_string(root().join(page)).unwrap();
        let mut blocks = blocks(&tour, "rhai");
        blocks.retain(|block| block.contains("import \"std/"));
        assert!(!blocks.is_empty(), "{page}");
        for block in blocks {
            let project = Project::new("tour", &block);
            let checked = project.run(&["check"]).expect(0);
            assert!(checked.stderr.contains("is fine"), "{}", checked.stderr);
            if page == "README.md" {
                let plan = project.run(&["plan", "--no-refresh"]).expect(0).stdout;
                let summary = plan.lines().last().unwrap();
                assert!(tour.contains(summary), "README shows another plan than {summary}");
            }
        }
    }
}

#[test]
fn the_examples_of_the_modules_are_right() {
    let registry = dollop_stdlib::registry();
    for module in dollop_cli::manual::modules(&registry) {
        let script = format!("// {}\n{}\n", module.name, module.example);
        let project = Project::new("example", &script);
        project.write("dashboards/a.json", "{}");
        project.write("dags/a.py", "");
        let engine = project.env("DOCKER_HOST", "unix:///nowhere/docker.sock");
        drop(engine.run(&["check", "--deny-warnings"]).expect(0));
        let plan = engine.run(&["plan", "--no-refresh"]).expect(0).stdout;
        assert!(plan.contains("0 to update, 0 to replace, 0 to delete"), "{plan}");
    }
}

#[test]
fn the_manual_shows_modules() {
    let project = Project::new("manual", "");
    let page = project.run(&["doc", "std/postgres"]).expect(0).stdout;
    for part in ["server(name, given)", "shared_buffers", "image: \"postgres:15\""] {
        assert!(page.contains(part), "{part} in {page}");
    }
    let one = project.run(&["doc", "std/postgres::application"]).expect(0).stdout;
    assert!(
        one.contains("application(at, name, given)") && !one.contains("server(name"),
        "{one}"
    );
    let slip = project.run(&["doc", "std/postgress"]).expect(1).stderr;
    assert!(slip.contains("did you mean `std/postgres`?"), "{slip}");
    let slip = project.run(&["doc", "std/postgres::serverr"]).expect(1).stderr;
    assert!(slip.contains("did you mean `std/postgres::server`?"), "{slip}");
    assert!(project.run(&["doc"]).expect(0).stdout.contains("std/postgres"));
}

#[test]
fn modules_throw_what_cannot_be() {
    for (script, said) in [
        (
            "import \"std/redis\" as redis;\nlet at = redis::server(\"a\");\n\
             redis::databases(at, #{ sessions: 3, jobs: 3 });\n",
            "jobs and sessions both ask for database 3",
        ),
        (
            "import \"std/redis\" as redis;\nlet at = redis::server(\"a\");\n\
             redis::databases(at, #{ jobs: 16 });\n",
            "the server has the databases 0 to 15, not 16",
        ),
        (
            "import \"std/bullmq\" as bullmq;\n\
             bullmq::queues(#{ url: \"redis://a\" }, #{ \"a\": [\"b-c\"], \"a-b\": [\"c\"] });\n",
            "a and a-b both have the queue a-b-c",
        ),
        (
            "import \"std/celery\" as celery;\n\
             celery::beat(\"beat\", #{ image: \"a:1\", broker: \"redis://a\", replicas: 2 });\n",
            "several of it would send every task as often",
        ),
        (
            "import \"std/service\" as service;\nimport \"std/traefik\" as traefik;\n\
             let at = service::run(\"a\", #{ image: \"a:1\", port: 1 });\n\
             traefik::expose_http(at, \"a.example.com\", 1, #{});\n",
            "which proxy?",
        ),
        (
            "import \"std/rabbitmq\" as mq;\n\
             mq::server(\"a\", #{ plugins: [\"rabbitmq_shovel]. %\"] });\n",
            "is no name of a plugin",
        ),
        (
            "import \"std/rabbitmq\" as mq;\nmq::server(\"a\", #{ plugins: [7] });\n",
            "is no name of a plugin",
        ),
    ] {
        let refused = Project::new("shop", script).run(&["check"]).expect(1).stderr;
        assert!(refused.contains(said), "{said} in {refused}");
    }
}

#[test]
fn the_tour_is_right() {
    let tour = std::fs::read_to_string(root().join("docs/language.md")).unwrap();
    // Twenty minutes: that many words leave time to try the first stack.
    let words = tour.split_whitespace().count();
    assert!(words < 3_200, "the tour has {words} words; what is looked up goes elsewhere");
    let scripts = blocks(&tour, "rhai");
    assert!(scripts.len() > 10, "{}", scripts.len());
    // The first stack, as the page tells to run it.
    let project = Project::new("tour", &scripts[0]);
    let mut said = String::new();
    for line in blocks(&tour, "sh")[0].lines() {
        let words: Vec<_> = line.split(' ').skip(1).collect();
        said += &project.run(&words).expect(0).text();
    }
    for part in ["greeted = \"world\"", "1 to update", "\"you\"", "Destroyed: 2 deleted"] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn a_mistake_in_a_module_is_shown_at_its_call() {
    let script = "import \"std/postgres\" as pg;\npg::server(\"main\", #{ imagee: \"x\" });\n";
    let said = Project::new("shop", script).run(&["check"]).expect(1).stderr;
    for part in ["there is no option `imagee`", "--> stack.rhai:2:5", "did you mean `image`?"] {
        assert!(said.contains(part), "{said}");
    }
}

#[test]
fn commands_give_secrets_to_plans_only() {
    let script = r#"// A secret somebody else keeps.
let pw = secret_command(["sh", "-c", "echo ran >> ran.txt; echo s3cret-word"]);
local::file("a", #{ path: "out/a.txt", content: `pw=${pw}` });
local::file("b", #{ path: "out/b.txt", content: secret_file("keys/b") });
output("pw", pw);
"#;
    let project = Project::new("shop", script);
    project.write("keys/b", "an0ther-word\n");
    let mut said = String::new();
    for offline in [&["check"][..], &["graph"], &["params"], &["params", "--format", "json"]] {
        said.push_str(&project.run(offline).expect(0).text());
    }
    assert!(!project.folder().join("ran.txt").exists(), "{said}");
    assert!(said.contains("command sh -c 'echo ran >> ran.txt; echo s3cret-word'"), "{said}");
    assert!(said.contains("file keys/b"), "{said}");
    let planned = project.run(&["plan", "--out", "shop.plan"]).expect(0);
    assert!(planned.stderr.contains("running command `sh -c"), "{}", planned.stderr);
    let applied = project.run(&["apply", "--auto-approve", "--plan", "shop.plan"]).expect(0);
    assert_eq!(project.read("ran.txt"), "ran\n", "once for the plan, never for a saved one");
    assert_eq!(project.read("out/a.txt"), "pw=s3cret-word");
    assert_eq!(project.read("out/b.txt"), "an0ther-word");
    let shown = [planned.stdout, applied.text(), project.read("shop.plan")].concat();
    assert!(!shown.contains("an0ther-word"), "{shown}");
    // The command itself is the script's own text; what it printed is not shown.
    assert!(!shown.contains("pw=s3cret"), "{shown}");
}

#[test]
fn a_command_that_fails_is_named() {
    let script = "let a = secret_command([\"sh\", \"-c\", \"echo hunter2; exit 3\"]);\n\
                  let b = secret_command([\"no-such-program-here\"]);\n";
    let said = Project::new("shop", script).run(&["plan"]).expect(1).stderr;
    for part in
        ["it ended with exit status: 3", "no-such-program-here", "stack.rhai:1:", "2 errors"]
    {
        assert!(said.contains(part), "{said}");
    }
}

#[test]
fn a_file_encrypted_with_age_is_opened_with_the_key() {
    let key = age::x25519::Identity::generate();
    let sealed = "[db]\npassword = \"s3aled-word\"\n";
    let sealed = age::encrypt_and_armor(&key.to_public(), sealed.as_bytes()).unwrap();
    let script = r#"// A secret in the repository.
local::file("a", #{ path: "out/a.txt", content: secret_age("keys/db.toml.age", "db.password") });
"#;
    let project = Project::new("shop", script);
    project.write("keys/db.toml.age", &sealed);
    drop(project.run(&["check"]).expect(0));
    let without = project.run(&["plan"]).expect(1).stderr;
    assert!(without.contains("DOLLOP_AGE_IDENTITY"), "{without}");
    let file = |key: &age::x25519::Identity| {
        use age::secrecy::ExposeSecret as _;
        format!("# a key\n{}\n", key.to_string().expose_secret())
    };
    project.write("other.key", &file(&age::x25519::Identity::generate()));
    project.write("right.key", &file(&key));
    let project = project.env("DOLLOP_AGE_IDENTITY", "other.key");
    let wrong = project.run(&["plan"]).expect(1).stderr;
    assert!(wrong.contains("no key in `other.key` opens it"), "{wrong}");
    let project = project.env("DOLLOP_AGE_IDENTITY", "right.key");
    let applied = project.run(&["apply", "--auto-approve"]).expect(0);
    assert_eq!(project.read("out/a.txt"), "s3aled-word");
    assert!(!applied.text().contains("s3aled"), "{}", applied.text());
}

#[test]
fn the_changelog_counts_the_functions() {
    let changes = std::fs::read_to_string(root().join("CHANGELOG.md")).unwrap();
    let count = dollop_engine::script::library().count();
    let words = format!("A library of {count} documented functions");
    assert!(changes.contains(&words), "CHANGELOG.md: {words}");
}

#[test]
fn files_that_are_no_text_have_digests() {
    let script = "output(\"file\", file_sha256(\"web/logo.png\"));\noutput(\"all\", dir_hash(\"web\"));\n";
    let project = Project::new("shop", script);
    project.write("web/index.html", "hello");
    let logo = project.folder().join("web/logo.png");
    std::fs::write(&logo, [0xff, 0x00, 0xfe]).unwrap();
    let first = project.run(&["plan"]).expect(0).stdout;
    std::fs::write(&logo, [0xff, 0x00, 0xfd]).unwrap();
    let second = project.run(&["plan"]).expect(0).stdout;
    let digests = |plan: &str| -> Vec<String> {
        let words = plan.split(|c: char| !c.is_ascii_hexdigit()).map(str::to_owned);
        words.filter(|word| word.len() == 64).collect()
    };
    let (one, two) = (digests(&first), digests(&second));
    assert!(one.len() == 2 && two.len() == 2, "{first}{second}");
    assert!(one[0] != two[0] && one[1] != two[1], "{one:?} {two:?}");
}
