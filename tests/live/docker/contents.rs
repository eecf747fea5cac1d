//! What lies on this machine and no script reads: mounted configuration, build contexts.

use std::time::{Duration, Instant};

use dollop_tests::cli::Project;

use super::support::{BUSYBOX, docker, image_removed, unique};
use crate::live::quickstart::Stack;

/// Reads its configuration when it starts and when it is told to.
const READER: &str = r#"
    docker::container("app", #{ image: "busybox:1.35", stop_signal: "SIGKILL",
        command: ["sh", "-c", `look() { cat /conf/a > /seen; }; trap look HUP; look
            while :; do sleep 0.05; done`],
        volumes: ["./conf:/conf:ro"], track: #{ "/conf": "REACTION" } });
"#;

#[test]
fn mounted_configuration_is_followed_by_its_content() {
    let name = unique("track");
    let script = |reaction: &str| READER.replace("REACTION", reaction);
    let stack = Stack::of(Project::new(&name, &script("restart")), &name);
    let project = &stack.project;
    let container = stack.container("app");
    let inspect = |format: &str| docker(&["inspect", "--format", format, &container]);
    let seen = |text: &str| {
        let begun = Instant::now();
        while docker(&["exec", &container, "sh", "-c", "cat /seen || true"]) != text {
            assert!(begun.elapsed() < Duration::from_secs(30), "it never saw `{text}`");
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    project.write("conf/a", "first words");
    stack.apply();
    stack.expect_no_changes();
    seen("first words");
    let (id, begun) = (inspect("{{.Id}}"), inspect("{{.State.StartedAt}}"));

    // An edit shows, without what was written; undone, it is none.
    project.write("conf/a", "second words");
    let plan = project.run(&["plan"]).expect(0).stdout;
    assert!(plan.contains("up_to_date") && plan.contains("changed outside"), "{plan}");
    assert!(!plan.contains("words"), "{plan}");
    project.write("conf/a", "first words");
    stack.expect_no_changes();
    project.write("conf/a", "second words");

    // A saved plan is for what was there then.
    drop(project.run(&["plan", "--out", "the.plan"]).expect(0));
    project.write("conf/sub/b", "more");
    let refused = project.run(&["apply", "--plan", "the.plan", "--auto-approve"]).expect(1);
    let why = "`./conf`, which `docker::container.app` needs, has changed";
    assert!(refused.stderr.contains(why), "{}", refused.stderr);
    drop(project.run(&["plan", "--out", "the.plan"]).expect(0));
    drop(project.run(&["apply", "--plan", "the.plan", "--auto-approve"]).expect(0));
    seen("second words");
    stack.expect_no_changes();
    let restarted = inspect("{{.State.StartedAt}}");
    assert_ne!(restarted, begun);

    // Another reaction is no reason for one.
    project.write("stack.rhai", &script("signal:HUP"));
    stack.apply();
    stack.expect_no_changes();
    project.write("conf/a", "third words");
    stack.apply();
    seen("third words");
    stack.expect_no_changes();
    project.write("stack.rhai", &script("none"));
    project.write("conf/a", "fourth words");
    stack.apply();
    stack.expect_no_changes();
    assert_eq!(docker(&["exec", &container, "cat", "/seen"]), "third words");
    assert_eq!((inspect("{{.Id}}"), inspect("{{.State.StartedAt}}")), (id, restarted));

    // Without its folder nothing is told, and the error says why.
    std::fs::remove_dir_all(project.folder().join("conf/sub")).expect("it goes");
    let file = std::fs::File::create(project.folder().join("conf/big")).expect("a file");
    file.set_len(65 << 20).expect("room");
    let refused = project.run(&["apply", "--auto-approve"]).expect(1);
    assert!(refused.stderr.contains("holds more than"), "{}", refused.stderr);
}

#[test]
fn a_container_follows_its_rebuilt_image_in_the_same_apply() {
    let name = unique("rebuilt");
    let image = format!("{name}:1");
    let script = format!(
        r#"let app = docker::image("{image}", #{{ build: #{{ context: "./app" }}, keep: false }});
        docker::container("app", #{{ image: app, command: "sleep 600",
            stop_signal: "SIGKILL" }});"#
    );
    let _image = image_removed(&image);
    let stack = Stack::of(Project::new(&name, &script), &name);
    let project = &stack.project;
    let has = || docker(&["exec", &stack.container("app"), "cat", "/v"]);
    project.write("app/Dockerfile", &format!("FROM {BUSYBOX}\nCOPY v /v\n"));
    project.write("app/v", "1");
    stack.apply();
    stack.expect_no_changes();
    assert_eq!(has(), "1");

    project.write("app/v", "2");
    let plan = project.run(&["plan", "--out", "the.plan"]).expect(0).stdout;
    println!("{plan}");
    assert!(plan.contains("1 to update, 1 to replace"), "{plan}");
    project.write("app/v", "3");
    let built = docker(&["image", "inspect", "--format", "{{.Id}}", &image]);
    let refused = project.run(&["apply", "--plan", "the.plan", "--auto-approve"]).expect(1);
    let why = "`./app`, which `docker::image.";
    assert!(refused.stderr.contains(why), "{}", refused.stderr);
    assert_eq!(docker(&["image", "inspect", "--format", "{{.Id}}", &image]), built);

    // Nor is one that somebody looks at while it is edited: what they approve is what they saw.
    let edit = || {
        project.write("app/v", "4");
        "yes".to_owned()
    };
    let refused = project.run_and_answer(&["apply"], "Only `yes` goes on", edit).expect(1);
    assert!(refused.stdout.contains("the plan is stale"), "{}", refused.stdout);
    assert!(refused.stdout.contains(why), "{}", refused.stdout);
    assert_eq!(docker(&["image", "inspect", "--format", "{{.Id}}", &image]), built);
    project.write("app/v", "3");

    let yes = || "yes".to_owned();
    drop(project.run_and_answer(&["apply"], "Only `yes` goes on", yes).expect(0));
    assert_eq!(has(), "3");
    stack.expect_no_changes();
    // What makes no other image makes no other container.
    let id = docker(&["inspect", "--format", "{{.Id}}", &stack.container("app")]);
    project.write("stack.rhai", &script.replace("keep: false", "keep: true"));
    stack.apply();
    stack.expect_no_changes();
    assert_eq!(docker(&["inspect", "--format", "{{.Id}}", &stack.container("app")]), id);
}

#[test]
fn a_job_runs_again_when_its_image_is_built_again() {
    let name = unique("rebuilt-job");
    let image = format!("{name}:1");
    let script = format!(
        r#"let app = docker::image("{image}", #{{ build: #{{ context: "./app" }}, keep: false }});
        docker::job("migrate", #{{ image: app, command: "cat /v" }});"#
    );
    let _image = image_removed(&image);
    let stack = Stack::of(Project::new(&name, &script), &name);
    let project = &stack.project;
    let said = || {
        let state = project.run(&["show", "--format", "json"]).expect(0);
        let state: serde_json::Value = serde_json::from_str(&state.stdout).expect("JSON");
        let records = state["records"].as_array().expect("a list");
        let job = records.iter().find(|record| record["kind"] == "docker::job").expect("a job");
        job["facts"]["output"].clone()
    };
    project.write("app/Dockerfile", &format!("FROM {BUSYBOX}\nCOPY v /v\n"));
    project.write("app/v", "1");
    stack.apply();
    stack.expect_no_changes();
    assert_eq!(said(), "1");

    // In the same apply.
    project.write("app/v", "2");
    let plan = project.run(&["plan"]).expect(0).stdout;
    assert!(plan.contains("2 to update"), "{plan}");
    stack.apply();
    assert_eq!(said(), "2");
    stack.expect_no_changes();

    // By somebody else, under the same name.
    project.write("app/v", "3");
    docker(&[
        "build",
        "--quiet",
        "--tag",
        &image,
        &project.folder().join("app").display().to_string(),
    ]);
    project.write("app/v", "2");
    let plan = project.run(&["plan"]).expect(0).stdout;
    assert!(plan.contains("docker::job.migrate"), "{plan}");
    stack.apply();
    stack.expect_no_changes();

    // What makes no other image runs nothing.
    let before = said();
    project.write("stack.rhai", &script.replace("keep: false", "keep: true"));
    stack.apply();
    stack.expect_no_changes();
    assert_eq!(said(), before);
}

#[test]
fn a_program_is_told_of_a_file_by_the_apply_after_one_that_failed() {
    let name = "dollop-test-untold";
    let script = |content: &str, hook: &str| {
        format!(
            r#"docker::container("app", #{{ image: "busybox:1.35", command: "sleep 600",
                stop_signal: "SIGKILL", files: #{{ "/conf": "{content}" }},
                pre_stop: [#{{ command: "{hook}" }}] }});"#
        )
    };
    let stack = Stack::of(Project::new(name, &script("1", "true")), name);
    stack.apply();
    stack.expect_no_changes();
    let app = stack.container("app");
    let started = || docker(&["inspect", "--format", "{{.State.StartedAt}}", &app]);
    let before = started();
    stack.project.write("stack.rhai", &script("2", "false"));
    let run = stack.project.run(&["apply", "--auto-approve"]).expect(1);
    assert!(run.stderr.contains("pre_stop"), "{}", run.stderr);
    assert_eq!(docker(&["exec", &app, "cat", "/conf"]), "2");
    assert_eq!(started(), before, "it runs with the old one");
    stack.project.write("stack.rhai", &script("2", "true"));
    let plan = stack.project.run(&["plan"]).expect(0);
    assert!(plan.stdout.contains("up_to_date"), "{}", plan.stdout);
    stack.apply();
    assert_ne!(started(), before, "it was restarted");
    stack.expect_no_changes();
    drop(stack.project.run(&["destroy", "--auto-approve"]).expect(0));
}
