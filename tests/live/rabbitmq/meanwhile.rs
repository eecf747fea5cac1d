//! Policies that are for the queue which holds messages while their own is made anew, or for the
//! new one only.

use dollop_tests::cli::{Project, Run};
use serde_json::{Value as Json, json};

use super::broker::Broker;

fn script(vhost: &str, queue: &str) -> String {
    let port = Broker::shared().port;
    format!(
        "let mq = rabbitmq::server(\"broker\", #{{ host: \"127.0.0.1\", port: {port}, \
         password: \"guest\" }});\n\
         mq.vhost(\"{vhost}\").queue(\"work\", #{{ migrate: \"drain\", {queue} }});\n"
    )
}

/// A queue with ten messages, as the server's own numbers say.
fn filled(vhost: &str, queue: &str) -> Project {
    let project = Project::new("meanwhile", &script(vhost, queue));
    let _ = project.run(&["apply", "--auto-approve"]).expect(0);
    let body = json!({
        "properties": { "delivery_mode": 2 }, "routing_key": "work", "payload": "x",
        "payload_encoding": "string",
    });
    for _ in 0..10 {
        Broker::shared().post(&format!("exchanges/{vhost}/amq.default/publish"), &body);
    }
    counted(vhost, 10);
    project
}

fn work(vhost: &str) -> Json {
    Broker::shared().get(&format!("queues/{vhost}/work"))
}

/// Waits until the statistics, which are seconds late, say so.
fn counted(vhost: &str, count: u64) {
    for _ in 0..200 {
        if work(vhost)["messages"] == json!(count) {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    panic!("the server never counts {count} messages");
}

fn policy(vhost: &str, name: &str, pattern: &str, priority: i64, definition: &Json) {
    let policy = json!({
        "pattern": pattern, "apply-to": "queues", "priority": priority,
        "definition": definition,
    });
    Broker::shared().put(&format!("policies/{vhost}/{name}"), &policy);
}

fn refuses(refused: &Run, message: &str) {
    let words = refused.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains(message), "{}", refused.text());
}

#[test]
fn a_policy_for_the_queue_that_holds_them_meanwhile_costs_no_message() {
    let vhost = "meanwhile-policy";
    let project = filled(vhost, "");
    project.write("stack.rhai", &script(vhost, "max_priority: 5"));
    let _ = project.run(&["plan", "--out", "p"]).expect(0);
    policy(vhost, "own", "^work$", 10, &json!({ "max-length": 50_000 }));
    policy(vhost, "all", ".*", 0, &json!({ "max-length": 4 }));

    let message = "queue `work.dollop-drain`, which holds the messages meanwhile, would be under \
                   `max-length: 4` of policy `all`, which `work` is not: messages would be lost";
    refuses(&project.run(&["plan"]).expect(1), message);
    // Nor by a plan of before that policy.
    refuses(&project.run(&["apply", "--auto-approve", "--plan", "p"]).expect(1), message);
    let broker = Broker::shared();
    assert_eq!(work(vhost)["arguments"]["x-max-priority"], Json::Null);
    let aside = broker.get(&format!("queues/{vhost}/work.dollop-drain"));
    assert_eq!(aside["error"], "Object Not Found");
    assert_eq!(broker.get(&format!("parameters/shovel/{vhost}")), json!([]));
    counted(vhost, 10);

    policy(vhost, "own", "^work", 10, &json!({ "max-length": 50_000 }));
    let _ = project.run(&["apply", "--auto-approve"]).expect(0);
    assert_eq!(work(vhost)["arguments"]["x-max-priority"], 5);
    counted(vhost, 10);
    let _ = project.destroy(&[]).expect(0);
}

/// The policy sets what quorum queues do not know, so it is none of theirs.
#[test]
fn a_policy_that_counts_for_the_new_type_only_needs_consent() {
    let vhost = "meanwhile-type";
    let project = filled(vhost, "type: \"quorum\"");
    policy(vhost, "all", ".*", 0, &json!({ "max-length": 4, "queue-mode": "lazy" }));
    project.write("stack.rhai", &script(vhost, "type: \"classic\""));
    let address = format!("rabbitmq::queue.broker/{vhost}/work");
    let refused = project.run(&["apply", "--auto-approve"]).expect(1);
    let message = format!(
        "this apply would lose 6 messages beyond `max-length: 4` of policy `all` in `{address}`"
    );
    refuses(&refused, &message);
    assert_eq!(work(vhost)["type"], "quorum");
    counted(vhost, 10);
    let consent = ["apply", "--auto-approve", "--allow-data-loss", &address];
    let _ = project.run(&consent).expect(0);
    counted(vhost, 4);
    let _ = project.destroy(&[]).expect(0);
}
