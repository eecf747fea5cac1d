//! Definitions handed out and taken in.

use dollop_tests::cli::Project;
use serde_json::{Value as Json, json};

use super::broker::Broker;

fn stack(name: &str, broker: &Broker, body: &str) -> Project {
    let script = format!(
        "let mq = rabbitmq::server(\"mq\", #{{ host: \"127.0.0.1\", port: {}, password: \"guest\" }});\n{body}",
        broker.port
    );
    Project::new(name, &script)
}

/// What one broker hands out, another takes in; the plan sees what is missing and what
/// somebody changed.
#[test]
fn definitions_go_from_one_broker_to_another() {
    let broker = Broker::ready("definitions");
    let from = stack(
        "defs-from",
        &broker,
        "let v = mq.vhost(\"defs\", #{ max_queues: 9 });\n\
         let w = mq.user(\"defs-worker\", #{ password: \"pw\", tags: [\"management\", \"monitoring\"] });\n\
         v.permission(w, #{ read: \".*\" });\n\
         let x = v.exchange(\"x\", #{ type: \"topic\" });\n\
         let q = v.queue(\"q\", #{ type: \"quorum\" });\n\
         v.binding(\"b\", #{ source: x, destination: q, routing_key: \"a.*\" });\n\
         v.policy(\"p\", #{ pattern: \"^q\", definition: #{ \"max-length\": 10 } });\n",
    );
    let _ = from.run(&["apply", "--auto-approve"]).expect(0);
    let export = from.run(&["export", "rabbitmq-definitions", "--out", "defs.json"]).expect(0);
    assert!(export.stdout.is_empty(), "{}", export.text());
    let exported: Json = serde_json::from_str(&from.read("defs.json")).unwrap();
    assert_eq!(exported["queues"][0]["name"], "q");
    let twice = from.run(&["export", "rabbitmq-definitions", "--out", "defs.json"]).expect(1);
    assert!(twice.stderr.contains("is there already"), "{}", twice.text());
    let printed = from.run(&["export", "rabbitmq-definitions"]).expect(0);
    let printed: Json = serde_json::from_str(&printed.stdout).unwrap();
    assert_eq!(printed["policies"], exported["policies"]);
    let unknown = from.run(&["export", "csv"]).expect(1);
    assert!(unknown.stderr.contains("there is: rabbitmq-definitions"), "{}", unknown.text());
    let _ = from.run(&["destroy", "--auto-approve"]).expect(0);

    let body = "mq.definitions(\"base\", #{ content: file(\"defs.json\") });\n";
    let to = stack("defs-to", &broker, body);
    to.write("defs.json", &exported.to_string());
    let plan = to.run(&["plan", "--detailed-exitcode"]).expect(2);
    for part in ["makes, or makes so:", "1 of `queues`", "1 of `bindings`", "1 of `users`"] {
        assert!(plan.stdout.contains(part), "{part}\n{}", plan.text());
    }
    let hash =
        exported["users"].as_array().unwrap().iter().find(|user| user["name"] == "defs-worker");
    let hash = hash.unwrap()["password_hash"].as_str().unwrap();
    assert!(!plan.text().contains(hash), "{}", plan.text());
    let _ = to.run(&["apply", "--auto-approve"]).expect(0);
    assert_eq!(broker.get("queues/defs/q")["type"], "quorum");
    assert_eq!(broker.get("vhost-limits/defs")[0]["value"]["max-queues"], 9);
    let _ = to.run(&["plan", "--detailed-exitcode"]).expect(0);
    // Layout is no difference.
    to.write("defs.json", &serde_json::to_string_pretty(&exported).unwrap());
    let _ = to.run(&["plan", "--detailed-exitcode"]).expect(0);

    // Somebody changes and removes.
    broker.put(
        "policies/defs/p",
        &json!({ "pattern": "^q", "definition": { "max-length": 99 } }),
    );
    broker.delete("queues/defs/q");
    let plan = to.run(&["plan", "--detailed-exitcode"]).expect(2);
    assert!(plan.stdout.contains("1 of `policies`"), "{}", plan.text());
    assert!(plan.stdout.contains("1 of `queues`"), "{}", plan.text());
    let _ = to.run(&["apply", "--auto-approve"]).expect(0);
    assert_eq!(broker.get("policies/defs/p")["definition"]["max-length"], 10);
    assert_eq!(broker.get("queues/defs/q")["type"], "quorum");

    // Nobody knows what was there before: it stays.
    let _ = to.run(&["destroy", "--auto-approve"]).expect(0);
    assert_eq!(broker.get("queues/defs/q")["type"], "quorum");

    to.write("defs.json", "[1]");
    let refused = to.run(&["check"]).expect(1);
    assert!(refused.stderr.contains("these are no definitions"), "{}", refused.text());
}

/// Definitions of one vhost, taken into another.
#[test]
fn definitions_of_a_vhost() {
    let broker = Broker::shared();
    let body = "let v = mq.vhost(\"defs-one\");\n\
                mq.definitions(\"one\", #{ vhost: v, content: file(\"defs.json\") });\n";
    let project = stack("defs-vhost", broker, body);
    let defs = json!({ "queues": [{ "name": "q", "durable": true, "auto_delete": false, "arguments": {} }] });
    project.write("defs.json", &defs.to_string());
    let _ = project.run(&["apply", "--auto-approve"]).expect(0);
    assert_eq!(broker.get("queues/defs-one/q")["durable"], true);
    let _ = project.run(&["plan", "--detailed-exitcode"]).expect(0);
    let _ = project.run(&["destroy", "--auto-approve"]).expect(0);
}

/// Files of other makers: what `rabbitmqctl` exports, which says more of queues and vhosts than
/// the API does, and what people write by hand.
#[test]
fn definitions_that_the_api_words_otherwise() {
    let broker = Broker::ready("definitions-worded");
    broker.put("vhosts/worded", &json!({ "description": "Orders – ü", "tags": "b,a" }));
    let queue = json!({ "durable": true, "arguments": { "x-queue-type": "quorum" } });
    broker.put("queues/worded/q", &queue);
    broker.put("queues/worded/plain", &json!({ "durable": true }));
    broker.put("users/worded", &json!({ "password": "pw", "tags": "monitoring,management" }));
    let project = stack(
        "defs-worded",
        &broker,
        "mq.definitions(\"base\", #{ content: file(\"defs.json\") });\n",
    );
    let exported = broker.exported();
    assert_eq!(exported["vhosts"][1]["metadata"]["description"], "Orders – ü", "{exported}");
    project.write("defs.json", &exported.to_string());
    let _ = project.run(&["apply", "--auto-approve"]).expect(0);
    let _ = project.run(&["plan", "--detailed-exitcode"]).expect(0);
    // What a vhost is beside its name counts.
    broker.put("vhosts/worded", &json!({ "description": "other", "tags": "a,b" }));
    let plan = project.run(&["plan", "--detailed-exitcode"]).expect(2);
    assert!(plan.stdout.contains("1 of `vhosts`"), "{}", plan.text());

    let by_hand = json!({
        "users": [{ "name": "by-hand", "password": "s3cret", "tags": "management" }],
        "vhosts": [{ "name": "by-hand" }],
        "queues": [{
            "vhost": "by-hand", "name": "q", "type": "quorum", "durable": true,
            "auto_delete": false, "arguments": {},
        }],
        "exchanges": [{
            "vhost": "by-hand", "name": "x", "type": "topic", "durable": true,
            "auto_delete": false, "internal": false, "arguments": {},
        }],
    });
    project.write("defs.json", &by_hand.to_string());
    let _ = project.run(&["apply", "--auto-approve"]).expect(0);
    assert_eq!(broker.get("queues/by-hand/q")["type"], "quorum");
    let hash = broker.get("users/by-hand")["password_hash"].clone();
    let _ = project.run(&["plan", "--detailed-exitcode"]).expect(0);
    let _ = project.run(&["apply", "--auto-approve"]).expect(0);
    assert_eq!(broker.get("users/by-hand")["password_hash"], hash, "no new salt");
    broker.put("users/by-hand", &json!({ "password": "another", "tags": "management" }));
    let plan = project.run(&["plan", "--detailed-exitcode"]).expect(2);
    assert!(plan.stdout.contains("1 of `users`"), "{}", plan.text());
}

/// What a vhost is beside its name, which the API before 3.13 does not hand out.
#[test]
fn an_export_says_what_vhosts_are() {
    let broker = Broker::shared();
    broker.put(
        "vhosts/defs-told",
        &json!({
            "description": "Orders – ü", "tags": "eu,prod", "defaultqueuetype": "quorum",
            "default_queue_type": "quorum",
        }),
    );
    let project = stack("defs-told", broker, "mq.vhost(\"defs-told\");\n");
    let printed = project.run(&["export", "rabbitmq-definitions"]).expect(0);
    let printed: Json = serde_json::from_str(&printed.stdout).unwrap();
    let vhosts = printed["vhosts"].as_array().unwrap().clone();
    let vhost = vhosts.into_iter().find(|row| row["name"] == "defs-told").unwrap();
    // And the server takes it in again.
    broker.delete("vhosts/defs-told");
    broker.post("definitions", &json!({ "vhosts": [vhost] }));
    let made = broker.get("vhosts/defs-told");
    assert_eq!(made["description"], "Orders – ü");
    assert_eq!(made["tags"], json!(["eu", "prod"]));
    assert_eq!(made["default_queue_type"], "quorum");
    broker.delete("vhosts/defs-told");
}

/// What an import leaves as it is, without a word of the server.
#[test]
fn definitions_of_what_exists_otherwise_are_refused() {
    let broker = Broker::shared();
    let vhost = "defs-otherwise";
    broker.put(&format!("vhosts/{vhost}"), &json!({}));
    broker.put(&format!("queues/{vhost}/q"), &json!({ "durable": true }));
    broker.put(&format!("exchanges/{vhost}/x"), &json!({ "type": "topic", "durable": true }));
    let defs = |queue: Json, exchange: &str| {
        json!({
            "vhosts": [{ "name": vhost, "metadata": { "description": "new" } }],
            "queues": [{
                "vhost": vhost, "name": "q", "durable": true, "auto_delete": false,
                "arguments": queue,
            }],
            "exchanges": [{
                "vhost": vhost, "name": "x", "type": exchange, "durable": true,
                "auto_delete": false, "internal": false, "arguments": {},
            }],
        })
    };
    let body = "mq.definitions(\"base\", #{ content: file(\"defs.json\") });\n";
    let project = stack("defs-otherwise", broker, body);
    let mut other = defs(json!({ "x-max-length": 5 }), "direct");
    other["vhosts"][0]["default_queue_type"] = json!("quorum");
    project.write("defs.json", &other.to_string());
    let refused = project.run(&["plan"]).expect(1);
    let words = refused.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
    let message = format!(
        "what exists with other properties stays as it is when definitions are imported: \
         exchange `x` in vhost `{vhost}` (`type`), queue `q` in vhost `{vhost}` (`arguments`), \
         vhost `{vhost}` (`default_queue_type`)"
    );
    assert!(words.contains(&message), "{}", refused.text());
    assert!(words.contains("take it out of the file"), "{}", refused.text());
    // What an import does change is no reason.
    project.write("defs.json", &defs(json!({}), "topic").to_string());
    let _ = project.run(&["apply", "--auto-approve"]).expect(0);
    assert_eq!(broker.get(&format!("vhosts/{vhost}"))["description"], "new");
    let _ = project.run(&["plan", "--detailed-exitcode"]).expect(0);
    broker.delete(&format!("vhosts/{vhost}"));
}
