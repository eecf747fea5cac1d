//! What plans say, and what applies that fail leave behind, on a real engine.

use std::process::Command;

use dollop_tests::cli::Project;
use serde_json::Value as Json;

use super::support::docker;
use crate::live::quickstart::Stack;

/// Removes containers that are nobody's, also when the test fails.
struct Strangers(&'static [&'static str]);

impl Drop for Strangers {
    fn drop(&mut self) {
        let _ = Command::new("docker").args(["rm", "--force"]).args(self.0).output();
    }
}

fn stack(name: &'static str, script: &str) -> Stack {
    Stack::of(Project::new(name, script), name)
}

fn json(text: &str) -> Json {
    serde_json::from_str(text).expect("JSON")
}

/// What is shown, on one line.
fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn an_image_that_cannot_be_had_leaves_what_runs() {
    let script = |image: &str| {
        format!(r#"docker::container("cache", #{{ image: "{image}", command: "sleep 600" }});"#)
    };
    let stack = stack("dt-no-image", &script("busybox:1.35"));
    stack.apply();
    let runs =
        || docker(&["inspect", "--format", "{{.Id}} {{.State.Running}}", "dt-no-image-cache"]);
    let before = runs();
    stack.project.write("stack.rhai", &script("127.0.0.1:1/nobody/has:99"));
    let refused = stack.project.run(&["apply", "--auto-approve"]).expect(1);
    assert!(refused.stderr.contains("cannot be pulled"), "{}", refused.text());
    assert!(refused.stderr.contains("what is there was left as it is"), "{}", refused.text());
    assert_eq!(runs(), before);
    stack.project.write("stack.rhai", &script("busybox:1.35"));
    stack.expect_no_changes();
}

#[test]
fn another_password_of_a_server_is_warned_of_and_can_be_put_right() {
    let script = |password: &str| {
        format!(
            "import \"std/postgres\" as pg;\n\
             let db = pg::server(\"db\", #{{ password: secret(\"{password}\") }});\n\
             db.server.database(\"shop\");\n"
        )
    };
    let stack = stack("dt-password", &script("first-password"));
    stack.apply();
    stack.project.write("stack.rhai", &script("other-password"));
    let plan = stack.project.run(&["plan"]).expect(0).stdout;
    assert!(plan.contains("W0204"), "{plan}");
    assert!(
        flat(&plan).contains("`POSTGRES_PASSWORD` is read when the data is made"),
        "{plan}"
    );
    let _fails_or_not = stack.project.run(&["apply", "--auto-approve"]);
    let refused = stack.project.run(&["plan"]).expect(1).stderr;
    let said = flat(&refused);
    for words in ["E0506", "lets `dollop psql` in without it", "ALTER ROLE", "--no-refresh"] {
        assert!(said.contains(words), "no `{words}` in\n{refused}");
    }
    let alter = "alter role postgres password 'other-password'";
    drop(stack.project.run(&["psql", "--", "-c", alter]).expect(0));
    drop(stack.project.run(&["apply", "--auto-approve"]).expect(0));
    stack.expect_no_changes();
}

#[test]
fn a_plan_shows_the_networks_that_modules_join() {
    let script = "import \"std/redis\" as redis;\n\
                  let net = docker::network(\"inner\");\n\
                  redis::server(\"cache\", #{ networks: [net] });\n";
    let stack = stack("dt-networks", script);
    let plan = stack.project.run(&["plan"]).expect(0).stdout;
    assert!(plan.contains("networks.dt-networks-inner"), "{plan}");
}

#[test]
fn somebody_elses_container_in_place_of_one_that_is_gone_is_refused_by_the_plan() {
    let script =
        r#"docker::container("web", #{ image: "busybox:1.35", command: "sleep 600" });"#;
    let stack = stack("dt-usurped", script);
    let _removed = Strangers(&["dt-usurped-web"]);
    stack.apply();
    docker(&["rm", "--force", "dt-usurped-web"]);
    docker(&["run", "--detach", "--name", "dt-usurped-web", "busybox:1.35", "sleep", "600"]);
    let refused = stack.project.run(&["plan"]).expect(1).stderr;
    assert!(refused.contains("E0504"), "{refused}");
    let words = "a container named `dt-usurped-web` exists already (not made by dollop)";
    assert!(flat(&refused).contains(words), "{refused}");

    // Of one that is recorded nowhere it is said as well.
    drop(stack.project.run(&["state", "forget", "docker::container.web"]).expect(0));
    let refused = stack.project.run(&["plan"]).expect(1).stderr;
    assert!(refused.contains("note: it was not made by dollop"), "{refused}");
}

#[test]
fn what_failed_is_told_from_what_was_interrupted() {
    let script = r#"docker::container("job", #{ image: "busybox:1.35", wait: "exited",
        command: ["sh", "-c", "exit 2"] });"#;
    let stack = stack("dt-said-failed", script);
    drop(stack.project.run(&["apply", "--auto-approve"]).expect(1));
    let plan = stack.project.run(&["plan"]).expect(0).stdout;
    assert!(flat(&plan).contains("the last apply failed here"), "{plan}");
    assert!(!plan.contains("interrupted"), "{plan}");
}

#[test]
fn outputs_of_an_apply_that_failed_elsewhere_are_those_of_now() {
    let script = |seconds: u32, fails: &str, more: &str| {
        format!(
            "let web = docker::container(\"web\", #{{ image: \"busybox:1.35\", \
             command: \"sleep {seconds}\" }});\n\
             let other = docker::container(\"other\", #{{ image: \"busybox:1.35\", \
             wait: \"exited\", command: [\"sh\", \"-c\", \"{fails}\"] }});\n\
             output(\"id\", web.id);\noutput(\"other\", other.id);\n{more}"
        )
    };
    let stack = stack("dt-outputs", &script(600, "exit 0", ""));
    stack.apply();
    let outputs = || json(&stack.project.run(&["output", "--json"]).expect(0).stdout);
    let before = outputs();
    let more = "output(\"new\", web.id);\n";
    stack.project.write("stack.rhai", &script(601, "exit 3", more));
    drop(stack.project.run(&["apply", "--auto-approve"]).expect(1));
    let after = outputs();
    let id = docker(&["inspect", "--format", "{{.Id}}", "dt-outputs-web"]);
    let text = after.to_string();
    assert!(text.matches(&id).count() == 2, "{before}\n{after}");
    assert!(after.get("other").is_none() && after["outputs"].get("other").is_none(), "{after}");
}

#[test]
fn what_was_never_made_is_missing_and_a_saved_plan_is_shown() {
    let web = r#"docker::container("web", #{ image: "busybox:1.35", command: "sleep 600" });"#;
    let stack = stack("dt-missing", web);
    let project = &stack.project;
    drop(project.run(&["plan", "--out", "the.plan"]).expect(0));
    let shown = project.run(&["show", "the.plan"]).expect(0).stdout;
    assert!(shown.contains("docker::container.web"), "{shown}");
    stack.apply();
    let two = format!(
        "{web}\ndocker::container(\"two\", #{{ image: \"busybox:1.35\", command: \"sleep 600\" }});"
    );
    project.write("stack.rhai", &two);
    let status = project.run(&["status"]).expect(0).stdout;
    let row = status.lines().find(|line| line.contains("container.two")).expect("a row");
    assert!(row.contains("missing") && row.contains("create"), "{status}");
    assert!(status.contains("1 fine, 1 missing"), "{status}");
    let found = json(&project.run(&["status", "--format", "json"]).expect(0).stdout);
    let verdicts: Vec<_> = found["resources"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|it| &it["verdict"])
        .collect();
    assert_eq!(verdicts, ["good", "missing"]);
}

#[test]
fn a_job_that_failed_at_first_leaves_nothing_behind_a_destroy() {
    let script = |code: u32| {
        format!(
            r#"docker::job("seed", #{{ image: "busybox:1.35", command: ["sh", "-c", "exit {code}"] }});"#
        )
    };
    let stack = stack("dt-failed-job", &script(2));
    drop(stack.project.run(&["apply", "--auto-approve"]).expect(1));
    assert_eq!(stack.labelled("container").len(), 1, "it is there to look at");
    let plan = stack.project.run(&["plan"]).expect(0).stdout;
    assert!(flat(&plan).contains("the last apply failed here"), "{plan}");
    drop(stack.project.destroy(&[]).expect(0));
    assert!(stack.labelled("container").is_empty(), "it is left behind");

    // It is run again by the next apply, and leaves nothing then.
    drop(stack.project.run(&["apply", "--auto-approve"]).expect(1));
    stack.project.write("stack.rhai", &script(0));
    stack.apply();
    assert!(stack.labelled("container").is_empty());
    stack.expect_no_changes();
}
