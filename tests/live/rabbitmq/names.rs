//! Names of every kind: slashes, percent signs, Unicode, the longest, and those the API
//! cannot say.

use dollop_tests::cli::Project;
use serde_json::{Value as Json, json};

use super::bench::Bench;
use super::broker::Broker;

/// Names that are hard to get through an address.
fn hard() -> Vec<String> {
    let mut names: Vec<String> = [
        "a/b",
        "100%",
        "%2F",
        "ü – 漢字 🐇",
        "a b",
        "a+b",
        "?q=1&r#x",
        "~",
        "a\\b",
        "\"q\"",
        "'",
    ]
    .map(str::to_owned)
    .to_vec();
    // 255 bytes: in one-byte and in three-byte characters.
    names.push("n".repeat(255));
    names.push("漢".repeat(85));
    names
}

#[tokio::test]
async fn hard_names_work_everywhere() {
    let bench = Bench::new().await;
    for vhost in hard() {
        bench.create("rabbitmq::vhost", &vhost, json!({})).await.unwrap();
        assert!(bench.read("rabbitmq::vhost", &vhost, json!({})).await.is_some(), "{vhost}");
        check(&bench, &vhost, &vhost).await;
        bench.delete("rabbitmq::vhost", &vhost, &vhost, json!({})).await;
        assert!(bench.read("rabbitmq::vhost", &vhost, json!({})).await.is_none(), "{vhost}");
    }
    for name in hard() {
        check(&bench, "/", &name).await;
    }
}

/// Makes, finds and removes one object of each kind under a name.
async fn check(bench: &Bench, vhost: &str, name: &str) {
    let specs: [(&str, Json); 6] = [
        ("rabbitmq::user", json!({ "password": "x" })),
        (
            "rabbitmq::permission",
            json!({ "vhost": vhost, "topics": { name: { "read": "a" } } }),
        ),
        ("rabbitmq::exchange", json!({ "vhost": vhost })),
        ("rabbitmq::queue", json!({ "vhost": vhost })),
        (
            "rabbitmq::binding",
            json!({ "vhost": vhost, "source": name, "destination": name, "routing_key": name }),
        ),
        (
            "rabbitmq::policy",
            json!({ "vhost": vhost, "pattern": "", "definition": { "max-length": 1 } }),
        ),
    ];
    let mut ids = Vec::new();
    for (kind, spec) in &specs {
        let created = bench.create(kind, name, spec.clone()).await;
        ids.push(created.unwrap_or_else(|error| panic!("{kind} {name}: {error:?}")).id);
    }
    for (kind, spec) in &specs {
        let found = bench.read(kind, name, spec.clone()).await;
        assert!(found.is_some(), "{kind} {name}");
    }
    for ((kind, spec), id) in specs.iter().zip(&ids).rev() {
        bench.delete(kind, name, id, spec.clone()).await;
        assert!(bench.read(kind, name, spec.clone()).await.is_none(), "{kind} {name}");
    }
}

/// What the server and its API cannot take is refused by `check`, and what is as long as may be
/// is not.
#[tokio::test]
async fn names_that_cannot_be_said_are_refused() {
    let bench = Bench::new().await;
    let kinds = [
        ("rabbitmq::vhost", json!({})),
        ("rabbitmq::user", json!({ "password": "x" })),
        ("rabbitmq::queue", json!({ "vhost": "/" })),
        ("rabbitmq::exchange", json!({ "vhost": "/" })),
        ("rabbitmq::global_parameter", json!({ "value": 1 })),
    ];
    let (long, short) = ("n".repeat(256), "漢".repeat(85));
    for (kind, spec) in kinds {
        let problems = |name: &str| {
            let mut spec = spec.clone();
            spec["name"] = json!(name);
            bench.problems(kind, spec)
        };
        assert_eq!(problems(""), ["name: the name is empty"], "{kind}");
        for name in [".", ".."] {
            let message = format!("name: the API cannot address the name `{name}`");
            assert_eq!(problems(name), [message], "{kind}");
        }
        let message = "name: the name has 256 bytes, RabbitMQ takes 255 bytes";
        assert_eq!(problems(&long), [message], "{kind}");
        assert_eq!(problems(&short), [""; 0], "{kind}");
        // Who goes past `check` is told as well.
        let error = bench.create(kind, "..", spec.clone()).await.unwrap_err();
        assert!(error.message.contains("cannot address"), "{kind}: {}", error.message);
    }
}

/// Names that the server keeps for itself, by its own answer.
#[tokio::test]
async fn reserved_names_are_refused() {
    let bench = Bench::with_vhost("reserved").await;
    for kind in ["rabbitmq::queue", "rabbitmq::exchange"] {
        for name in ["amq.foo", "amq.", "amq", "amqp.foo"] {
            let spec = json!({ "vhost": "reserved", "name": name });
            let allowed = bench.problems(kind, spec).is_empty();
            let created = bench.create(kind, name, json!({ "vhost": "reserved" })).await;
            assert_eq!(created.is_ok(), allowed, "{kind} {name}: {created:?}");
        }
    }
    // Those that every vhost has may be taken over.
    let spec = json!({ "vhost": "reserved", "type": "topic", "name": "amq.topic" });
    assert_eq!(bench.problems("rabbitmq::exchange", spec), [""; 0]);
}

/// The server's own exchanges can be looked up, the default one too.
#[tokio::test]
async fn the_servers_own_exchanges_are_found() {
    let bench = Bench::new().await;
    for (name, is) in [("amq.topic", "topic"), ("amq.match", "headers"), ("", "direct")] {
        let found = bench.read("rabbitmq::exchange", name, json!({ "vhost": "/" })).await;
        assert_eq!(found.unwrap().spec.to_json()["type"], is, "{name}");
    }
}

/// The server lets nobody remove its own exchanges: one that was taken over is let go of, and
/// one that would have to be made anew is refused by the plan.
#[test]
fn the_servers_own_exchanges_stay() {
    let port = Broker::shared().port;
    let script = |exchange: &str| {
        format!(
            "let mq = rabbitmq::server(\"broker\", #{{ host: \"127.0.0.1\", port: {port}, \
             password: \"guest\" }});\n\
             let v = mq.vhost(\"own\");\n{exchange}\n"
        )
    };
    let taken = "v.exchange(\"amq.topic\", #{ type: \"topic\", adopt: true, MORE });";
    let project = Project::new("own", &script(""));
    let _ = project.run(&["apply", "--auto-approve"]).expect(0);
    project.write("stack.rhai", &script(&taken.replace("MORE", "")));
    let _ = project.run(&["apply", "--auto-approve"]).expect(0);
    let _ = project.run(&["plan", "--detailed-exitcode"]).expect(0);
    project.write("stack.rhai", &script(&taken.replace("MORE", "internal: true")));
    let refused = project.run(&["plan"]).expect(1);
    let words = refused.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("`amq.topic` is the server's own"), "{}", refused.text());
    project.write("stack.rhai", &script(""));
    let _ = project.run(&["apply", "--auto-approve"]).expect(0);
    let _ = project.run(&["plan", "--detailed-exitcode"]).expect(0);
    let there = Broker::shared().get("exchanges/own/amq.topic");
    assert_eq!((&there["type"], &there["internal"]), (&json!("topic"), &json!(false)));
    // Nor is it in the way of what it is in.
    project.write("stack.rhai", &script(&taken.replace("MORE", "")));
    let _ = project.run(&["apply", "--auto-approve"]).expect(0);
    let _ = project.run(&["destroy", "--auto-approve"]).expect(0);
}
