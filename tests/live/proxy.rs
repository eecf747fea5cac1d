//! What really goes over the wire: a plan only reads, and a lost reply loses nothing.

use std::path::{Path, PathBuf};
use std::process::Command;

use dollop_tests::cli::{Project, root};
use dollop_tests::proxy::Proxy;

use super::quickstart::{Stack, docker};

/// Words that write, wherever they stand in a statement.
const WRITES: [&str; 7] = ["CREATE", "ALTER", "DROP", "GRANT", "REVOKE", "INSERT", "UPDATE"];
/// Words that write at its beginning, and are names elsewhere.
const FIRST: [&str; 5] = ["DELETE", "TRUNCATE", "COMMENT", "COPY", "DO"];

/// What writes among statements.
fn writes(statements: &[String]) -> Vec<&String> {
    let writes = |statement: &&String| {
        let upper = statement.to_uppercase();
        let words: Vec<_> = upper.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
        let first = words.iter().find(|word| !word.is_empty());
        first.is_some_and(|word| FIRST.contains(word))
            || words.iter().any(|word| WRITES.contains(word))
            || upper.contains("DELETE FROM")
    };
    statements.iter().filter(writes).collect()
}

/// What is more than a question among requests.
fn changes(requests: &[String]) -> Vec<&String> {
    let asks = |request: &str| request.starts_with("GET /") || request.starts_with("HEAD /");
    requests.iter().filter(|request| !asks(request)).collect()
}

/// The engine's own socket.
fn socket() -> PathBuf {
    let host = std::env::var("DOCKER_HOST").unwrap_or_default();
    Path::new(host.strip_prefix("unix://").unwrap_or("/var/run/docker.sock")).to_owned()
}

/// The port a container publishes, once it does.
fn published(container: &str, port: &str) -> Option<u16> {
    let output = Command::new("docker").args(["port", container, port]).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().next()?.rsplit(':').next()?.parse().ok()
}

#[test]
fn a_plan_only_reads_and_a_lost_reply_loses_nothing() {
    let name = "dt-proxy";
    let folder = tempfile::tempdir().expect("a folder");
    let listen = folder.path().join("docker.sock");
    let engine = Proxy::unix(&listen, socket());
    let sql = Proxy::tcp(|| published("dt-proxy-postgres", "5432"));
    let api = Proxy::tcp(|| published("dt-proxy-rabbitmq", "15672"));

    // The quickstart, except that its servers are reached through the proxies.
    let script = root().join("scripts/quickstart/stack.rhai");
    let script = std::fs::read_to_string(script).expect("the quickstart");
    let script = script
        .replace(
            "    port: pg.host_ports[\"5432/tcp\"],",
            &format!("    port: {},", sql.port()),
        )
        .replace(
            "    port: mq.host_ports[\"15672/tcp\"],",
            &format!("    port: {},", api.port()),
        );
    assert!(
        script.contains(&sql.port().to_string()) && script.contains(&api.port().to_string())
    );
    let project =
        Project::new(name, &script).env("DOCKER_HOST", &format!("unix://{}", listen.display()));
    let stack = Stack::of(project, name);

    // On an empty machine: questions to the engine, and nothing else is contacted.
    let plan = stack.project.run(&["plan", "--detailed-exitcode"]);
    assert_eq!(plan.code, Some(2), "{}", plan.text());
    let asked = engine.requests();
    assert!(!asked.is_empty());
    assert_eq!(changes(&asked), Vec::<&String>::new());
    assert_eq!(sql.take().len() + api.take().len(), 0, "servers that do not exist yet");

    // Replies are lost after the service has done what it was asked.
    engine.lose_reply_to("/containers/create");
    sql.lose_reply_to("CREATE DATABASE");
    api.lose_reply_to("PUT /api/queues/");
    let mut runs = Vec::new();
    loop {
        let run = stack.project.run(&["apply", "--auto-approve"]);
        let done = run.code == Some(0);
        runs.push(run.text());
        if done {
            break;
        }
        assert!(runs.len() < 5, "{}", runs.join("\n\n"));
    }
    assert_eq!(
        (engine.lost(), sql.lost(), api.lost()),
        (1, 1, 1),
        "all replies were lost\n{}",
        runs.join("\n\n")
    );
    assert!(runs.len() > 1, "a lost reply is told");
    stack.expect_no_changes();
    stack.check_from_outside();
    let all = docker(&["ps", "-aq", "--filter", "name=dt-proxy-"]);
    assert_eq!(all.lines().count(), 2, "no container exists twice");

    // The recorders do see writes.
    assert!(!changes(&engine.requests()).is_empty());
    assert!(!changes(&api.requests()).is_empty());
    assert!(!writes(&sql.statements()).is_empty());

    // With all three services there, and with much to do, a plan still only asks.
    for arguments in [
        &["plan"][..],
        &["plan", "--destroy"],
        &["plan", "--param", "postgres_image=postgres:15-alt"],
        &["plan", "--out", "the.plan"],
    ] {
        drop(stack.project.run(arguments).expect(0));
        let (asked, queried, called) = (engine.requests(), sql.statements(), api.requests());
        assert!(!asked.is_empty(), "{arguments:?}");
        assert_eq!(changes(&asked), Vec::<&String>::new(), "{arguments:?}");
        assert_eq!(changes(&called), Vec::<&String>::new(), "{arguments:?}");
        assert_eq!(writes(&queried), Vec::<&String>::new(), "{arguments:?}");
        if arguments == ["plan"] {
            assert!(!queried.is_empty() && !called.is_empty(), "all three are asked");
        }
    }
    drop(stack.sql("shop", "drop schema billing"));
    drop(stack.project.run(&["plan"]).expect(0));
    assert_eq!(writes(&sql.statements()), Vec::<&String>::new(), "not even to repair");
}
