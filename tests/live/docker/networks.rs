//! Networks that are made anew: nobody leaves one that stays.

use dollop_tests::cli::Project;

use super::support::docker;
use crate::live::quickstart::Stack;

fn script(net: &str) -> String {
    format!(
        r#"let net = docker::network("net", #{{ {net} }});
let app = docker::container("app", #{{ image: "busybox:1.35", command: "sleep 600",
    stop_signal: "SIGKILL", networks: [#{{ network: net, aliases: ["store"] }}] }});
docker::container("other", #{{ image: "busybox:1.35", command: "sleep 600",
    stop_signal: "SIGKILL", networks: [net] }});
"#
    )
}

fn joined(stack: &Stack, container: &str) -> String {
    let format = "{{range $name, $end := .NetworkSettings.Networks}}{{$name}} {{end}}";
    docker(&["inspect", "--format", format, &stack.container(container)])
}

#[test]
fn a_network_that_cannot_go_or_be_made_again_is_left_as_it_is() {
    let name = "dollop-test-network-kept";
    let (net, guest) = (format!("{name}-net"), format!("{name}-guest"));
    let stack = Stack::of(Project::new(name, &script("")), name);
    stack.apply();
    let works = || {
        assert_eq!(joined(&stack, "app"), net);
        let ping = ["ping", "-c1", "-W2", "store"];
        docker(&[&["exec", &stack.container("other")][..], &ping].concat());
    };
    works();
    let id = || docker(&["network", "inspect", "--format", "{{.Id}}", &net]);
    let before = id();
    let fails = |attributes: &str, says: &str| {
        stack.project.write("stack.rhai", &script(attributes));
        let run = stack.project.run(&["apply", "--auto-approve"]).expect(1);
        assert!(run.stderr.contains(says), "{}", run.stderr);
        assert_eq!(id(), before);
        works();
    };
    // What the engine does not know.
    fails("driver: \"bridg\"", "the engine has no driver `bridg`");
    fails("options: #{ \"com.docker.network.driver.mtu\": \"large\" }", "large");
    // Somebody else is in it.
    let run = ["run", "--detach", "--name", &guest, "--network", &net, "busybox:1.35"];
    docker(&[&run[..], &["sleep", "600"]].concat());
    fails("internal: true", &format!("container `{guest}` is still in it"));
    docker(&["rm", "--force", &guest]);
    stack.project.write("stack.rhai", &script("internal: true"));
    stack.apply();
    assert_ne!(id(), before);
    works();
    assert_eq!(stack.labelled("network").len(), 1, "no trial is left");
    stack.expect_no_changes();
    drop(stack.project.run(&["destroy", "--auto-approve"]).expect(0));
}
