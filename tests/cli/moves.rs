//! Records that move to other addresses, in the store on disk.

use dollop_tests::cli::Project;

fn script(component: &str, more: &str) -> String {
    format!(
        r#"fn parts() {{
    let token = local::random("token", #{{ length: 12 }});
    local::file("conf", #{{ path: "out/conf", content: `token=${{token.result}}` }});
    component("inner", || local::data("note", #{{ input: token.result }}));
}}
{component}
{more}"#
    )
}

#[test]
fn a_component_moves_with_all_in_it() {
    let project = Project::new("moves", &script("component(\"shop\", || parts());", ""));
    drop(project.run(&["apply", "--auto-approve"]).expect(0));
    let made = project.read("out/conf");

    let steps = [
        ("component(\"store\", || parts());", "moved(\"shop\", \"store\");", "store/"),
        (
            "component(\"sites\", || component(\"store\", || parts()));",
            "moved(\"shop\", \"store\");\nmoved(\"store\", \"sites/store\");",
            "sites/store/",
        ),
        ("parts();", "moved(\"sites/store\", \"\");", ""),
    ];
    for (component, moves, prefix) in steps {
        project.write("stack.rhai", &script(component, moves));
        let plan = project.run(&["plan", "--detailed-exitcode"]).expect(2).stdout;
        assert!(plan.contains("was "), "{plan}");
        let nothing = "0 to create, 0 to update, 0 to replace, 0 to delete";
        assert!(plan.contains(nothing), "{plan}");
        // Killed in the middle, the move is finished by the next apply.
        let fault = format!("after_done@{prefix}local::file.conf");
        let killed =
            project.run_until(&fault, &["apply", "--auto-approve", "--parallelism", "1"]);
        assert_eq!(killed.code, None, "{}", killed.text());
        drop(project.run(&["apply", "--auto-approve"]).expect(0));
        drop(project.run(&["plan", "--detailed-exitcode"]).expect(0));
        let state = project.run(&["state", "list"]).expect(0).stdout;
        for address in ["local::file.conf", "local::random.token", "inner/local::data.note"] {
            let moved = format!("{prefix}{address}");
            assert!(state.lines().any(|line| line == moved), "{moved}: {state}");
        }
        assert_eq!(state.lines().filter(|line| line.contains("local::file")).count(), 1);
        assert_eq!(project.read("out/conf"), made, "the token is the same");
    }
    // What is said for good says nothing once it is done.
    let said = project.run(&["plan"]).expect(0);
    assert!(!said.stderr.contains("warning"), "{}", said.stderr);
    drop(project.run(&["destroy", "--auto-approve"]).expect(0));
}
