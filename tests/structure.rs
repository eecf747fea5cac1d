//! Parameters, environments and profiles, as a person at a terminal sees them.

use dollop_tests::cli::{Project, root};
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
    drop(project.run(&["plan", "--env", "prod", "--destroy", "--out", "x.plan"]).expect(0));
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
    shows!(project.run(&["plan"]).text(), @"
    exit 0
    --- stdout
    Plan for stack `shop`
      profiles off: `debug`

      -  delete

      - local::file.b  profile `debug` is off

    Plan: 0 to create, 0 to update, 0 to replace, 1 to delete; 1 unchanged.
    ");
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
    let place = |path: &str| {
        let found = differences.iter().find(|difference| difference["path"] == path);
        found.unwrap()["position"].to_string()
    };
    assert!(place("mode").contains("stack.rhai:9:"), "{}", place("mode"));
    assert!(place("content").contains("stack.rhai:5:"), "{}", place("content"));
}

#[test]
fn the_tour_of_the_modules_is_right() {
    let tour = std::fs::read_to_string(root().join("docs/language.md")).unwrap();
    let blocks =
        tour.split("```rhai\n").skip(1).map(|block| block.split("```").next().unwrap());
    let blocks: Vec<_> = blocks.filter(|block| block.contains("import \"std/")).collect();
    assert!(!blocks.is_empty());
    for block in blocks {
        let checked = Project::new("tour", block).run(&["check"]).expect(0);
        assert!(checked.stderr.contains("is fine"), "{}", checked.stderr);
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
