//! Ephemeral values: told to services, and kept nowhere, not even sealed.

use dollop_tests::cli::Project;

use super::postgres::container;
use super::quickstart::{Stack, docker};
use super::rabbitmq::broker::Broker;

const STACK: &str = r#"
let root = param("root", #{ ephemeral: true });
let pw = param("pw", #{ ephemeral: true });
let db = postgres::server("main", #{ host: "127.0.0.1", port: POSTGRES, password: root });
db.role("dt_ephemeral", #{ password: pw });
let mq = rabbitmq::server("broker", #{ host: "127.0.0.1", port: RABBITMQ, password: "guest", allow: ["W0103", "W0104"] });
mq.user("dt-ephemeral", #{ password: pw });
docker::container("c", #{
    image: "busybox:1.35", command: "sleep 600", stop_signal: "SIGKILL",
    env: #{ PW: pw, URL: `pg://u:${pw}@h` },
    files: #{ "/run/pw": pw },
});
"#;

const FIRST: &str = "f1rst-ephemeral-word";
const SECOND: &str = "sec0nd-ephemeral-word";

/// What is in the state once its seals are opened.
fn remembered(project: &Project) -> String {
    let found = dollop_state::read_state(&project.folder().join(".dollop")).expect("a state");
    let records = found.state.records.values();
    let lines: Vec<_> = records
        .map(|record| format!("{} {}", record.spec.to_json(), record.facts.to_json()))
        .collect();
    lines.join("\n")
}

#[test]
fn what_is_ephemeral_is_told_and_not_kept() {
    let name = "dt-ephemeral";
    let (postgres, rabbitmq) = (container::shared(), Broker::shared());
    let script = STACK
        .replace("POSTGRES", &postgres.port.to_string())
        .replace("RABBITMQ", &rabbitmq.port.to_string());
    let stack = Stack::of(Project::new(name, &script), name);
    let root = format!("root={}", container::PASSWORD);
    let with = |words: &[&str], pw: &str| {
        let pw = format!("pw={pw}");
        let words: Vec<&str> =
            words.iter().copied().chain(["--param", &root, "--param", &pw]).collect();
        stack.project.run(&words)
    };
    let in_container =
        || docker(&["exec", &format!("{name}-c"), "sh", "-c", "echo $URL; cat /run/pw"]);

    drop(with(&["apply", "--auto-approve"], FIRST).expect(0));
    assert_eq!(in_container(), format!("pg://u:{FIRST}@h\n{FIRST}"));
    drop(with(&["plan", "--detailed-exitcode"], FIRST).expect(0));
    let kept = remembered(&stack.project);
    assert!(!kept.contains(FIRST) && !kept.contains(container::PASSWORD), "{kept}");
    assert!(kept.contains("(not kept)"), "{kept}");

    // Another value is a change, of everything that was told.
    let plan = with(&["plan", "--detailed-exitcode", "--out", "the.plan"], SECOND).expect(2);
    for part in ["dt_ephemeral", "dt-ephemeral", "container.c"] {
        assert!(plan.stdout.contains(part), "{part}: {}", plan.stdout);
    }
    // The saved plan does not have it.
    let refused =
        stack.project.run(&["apply", "--plan", "the.plan", "--auto-approve"]).expect(1);
    assert!(refused.stderr.contains("parameter `pw` is not set"), "{}", refused.stderr);
    let refused = with(&["apply", "--plan", "the.plan", "--auto-approve"], FIRST).expect(1);
    assert!(refused.stderr.contains("not the ones given now"), "{}", refused.stderr);
    drop(with(&["apply", "--plan", "the.plan", "--auto-approve"], SECOND).expect(0));
    assert_eq!(in_container(), format!("pg://u:{SECOND}@h\n{SECOND}"));
    drop(with(&["plan", "--detailed-exitcode"], SECOND).expect(0));
    assert!(!remembered(&stack.project).contains(SECOND));

    let refused = stack.project.run(&["destroy", "--auto-approve"]).expect(1);
    assert!(refused.stderr.contains("parameter `root` is not set"), "{}", refused.stderr);
    // A destroy that is reviewed first reaches the servers as well, and keeps nothing either.
    let end = with(&["plan", "--destroy", "--out", "end.plan"], SECOND).expect(0).stdout;
    assert!(end.contains("dt_ephemeral") && end.contains("dt-ephemeral"), "{end}");
    let saved = ["apply", "--plan", "end.plan", "--auto-approve"];
    let refused = stack.project.run(&saved).expect(1);
    assert!(refused.stderr.contains("parameter `root` is not set"), "{}", refused.stderr);
    drop(with(&saved, SECOND).expect(0));
    assert_eq!(stack.project.run(&["state", "list"]).expect(0).stdout, "");
    drop(with(&["apply", "--auto-approve"], SECOND).expect(0));
    drop(with(&["destroy", "--auto-approve"], SECOND).expect(0));
    assert_eq!(stack.project.run(&["state", "list"]).expect(0).stdout, "");
}
