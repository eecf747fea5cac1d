//! Saved plans: applied exactly and once, or refused.

use dollop_tests::cli::Project;

use super::hello;

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

    // Its parameters are in it, unless they are ephemeral.
    let again = ["apply", "--plan", "the.plan", "--auto-approve", "--param", "who=sun"];
    let refused = project.run(&again).expect(64).stderr;
    assert!(refused.contains("a saved plan has its parameters already"), "{refused}");
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

/// What is no text is compared by its digest, too: such a plan could never be applied.
#[test]
fn a_saved_plan_of_files_that_are_no_text_is_applied_or_refused() {
    let script = "local::file(\"sum\", #{ path: \"out/sum\", content: file_sha256(\"web/logo.png\") + dir_hash(\"web\") });\n";
    let project = Project::new("shop", script);
    project.write("web/index.html", "hello");
    let logo = project.folder().join("web/logo.png");
    std::fs::write(&logo, [0xff, 0x00, 0xfe]).expect("a file");
    let apply = ["apply", "--plan", "the.plan", "--auto-approve"];
    drop(project.run(&["plan", "--out", "the.plan"]).expect(0));
    drop(project.run(&apply).expect(0));
    let made = project.read("out/sum");
    assert_eq!(made.len(), 128, "{made}");

    std::fs::write(&logo, [0xff, 0x00, 0xfd]).expect("a file");
    drop(project.run(&["plan", "--out", "the.plan"]).expect(0));
    std::fs::write(&logo, [0xff, 0x00, 0xfc]).expect("a file");
    shows!(project.run(&apply).expect(1).stderr, @"
    error: the plan is stale
      `web/logo.png` has changed
      hint: plan again, and review it
    ");
    assert_eq!(project.read("out/sum"), made);
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
