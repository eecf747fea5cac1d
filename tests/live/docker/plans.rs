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
