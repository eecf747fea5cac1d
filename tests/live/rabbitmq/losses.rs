//! Messages are not lost by surprise.

use dollop_engine::resource::Held;
use dollop_tests::cli::{Project, Run};
use serde_json::{Value as Json, json};

use super::bench::Bench;
use super::broker::Broker;
use super::disguise::{self, Met};

/// A stack with a connection to the shared broker, and this.
fn stack(name: &str, body: &str) -> Project {
    Project::new(name, &script(body))
}

fn script(body: &str) -> String {
    let port = Broker::shared().port;
    format!(
        "let mq = rabbitmq::server(\"broker\", #{{ host: \"127.0.0.1\", port: {port}, \
         password: \"guest\" }});\n{body}"
    )
}

fn apply(project: &Project, more: &[&str]) -> Run {
    project.run(&[&["apply", "--auto-approve"], more].concat())
}

/// A text without its line breaks.
fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn publish(vhost: &str, queue: &str, count: usize) {
    for _ in 0..count {
        Broker::shared().post(
            &format!("exchanges/{vhost}/amq.default/publish"),
            &json!({
                "properties": { "delivery_mode": 2 }, "routing_key": queue,
                "payload": "x", "payload_encoding": "string",
            }),
        );
    }
}

/// Waits until the statistics, which are seconds late, have seen messages.
fn counted(vhost: &str, queue: &str, count: u64) {
    for _ in 0..200 {
        let seen = Broker::shared().get(&format!("queues/{vhost}/{queue}"));
        if seen["messages"] == json!(count) {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    panic!("the server never counts {count} messages in {queue}");
}

const QUEUE: &str = "mq.vhost(\"VHOST\").queue(\"orders\", #{ DURABLE });";

#[test]
fn a_queue_with_messages_is_replaced_only_with_consent() {
    let queue = |more: &str| QUEUE.replace("VHOST", "consent").replace("DURABLE", more);
    let project = stack("consent", &queue(""));
    let _ = apply(&project, &[]).expect(0);
    publish("consent", "orders", 3);
    counted("consent", "orders", 3);

    project.write("stack.rhai", &script(&queue("max_length: 10")));
    let plan = project.run(&["plan"]).expect(0);
    let address = "rabbitmq::queue.broker/consent/orders";
    let risk = format!("DATA LOSS {address} holds 3 messages and is replaced:");
    assert!(flat(&plan.stdout).contains(&risk), "{}", plan.text());
    let json: Json =
        serde_json::from_str(&project.run(&["plan", "--format", "json"]).stdout).unwrap();
    assert_eq!(
        json["losses"],
        json!([{ "address": address, "content": "3 messages", "empty": false, "allowed": false }])
    );

    let refused = apply(&project, &[]).expect(1);
    let message = format!("error[E0517]: this apply would lose 3 messages in `{address}`");
    assert!(flat(&refused.stderr).contains(&message), "{}", refused.text());
    let hint = format!("--allow-data-loss {address}");
    assert!(flat(&refused.stderr).contains(&hint), "{}", refused.text());
    counted("consent", "orders", 3);

    // A saved plan remembers the consent.
    let _ = project.run(&["plan", "--out", "p", "--allow-data-loss", address]).expect(0);
    let _ = apply(&project, &["--plan", "p"]).expect(0);
    let seen = Broker::shared().get("queues/consent/orders");
    assert_eq!(seen["arguments"]["x-max-length"], 10);
    let _ = project.run(&["destroy", "--auto-approve"]).expect(0);
}

#[test]
fn messages_that_nobody_planned_for_are_kept() {
    for queue_type in ["classic", "quorum"] {
        let vhost = format!("late-{queue_type}");
        let queue = |more: &str| {
            let more = format!("type: \"{queue_type}\", {more}");
            QUEUE.replace("VHOST", &vhost).replace("DURABLE", &more)
        };
        let project = stack("late", &queue(""));
        let _ = apply(&project, &[]).expect(0);
        project.write("stack.rhai", &script(&queue("max_length: 10")));
        let plan = project.run(&["plan", "--out", "p"]).expect(0);
        assert!(!plan.stdout.contains("DATA LOSS"), "it is empty\n{}", plan.text());
        assert!(
            flat(&plan.stdout).contains("holds no messages and is replaced"),
            "{}",
            plan.text()
        );

        // So late that the server has not counted it yet.
        publish(&vhost, "orders", 1);
        let refused = apply(&project, &["--plan", "p"]).expect(1);
        let message = "it holds 1 message, which nobody agreed to lose";
        assert!(flat(&refused.stderr).contains(message), "{}", refused.text());

        // The queue goes on as it was.
        let seen = Broker::shared().get(&format!("queues/{vhost}/orders"));
        assert_eq!(seen["arguments"]["x-max-length"], Json::Null);
        let consent = format!("rabbitmq::vhost.broker/{vhost}");
        let refused = project.run(&["destroy", "--auto-approve"]).expect(1);
        assert!(flat(&refused.stderr).contains("1 message"), "{}", refused.text());
        let destroy = ["destroy", "--auto-approve", "--allow-data-loss", &consent];
        let _ = project.run(&destroy).expect(0);
    }
}

/// A queue that allows no second delivery loses a message by being looked into, so it is not.
#[test]
fn looking_costs_no_message() {
    let vhost = "looked";
    let queue = |more: &str| {
        let more = format!("type: \"quorum\", delivery_limit: 0, {more}");
        QUEUE.replace("VHOST", vhost).replace("DURABLE", &more)
    };
    let project = stack("looked", &queue(""));
    let _ = apply(&project, &[]).expect(0);
    project.write("stack.rhai", &script(&queue("max_length: 10")));
    let _ = project.run(&["plan", "--out", "p"]).expect(0);
    // So late that the server has not counted it yet.
    publish(vhost, "orders", 1);
    let refused = apply(&project, &["--plan", "p"]).expect(1);
    let message = "it holds 1 message, which nobody agreed to lose";
    assert!(flat(&refused.stderr).contains(message), "{}", refused.text());
    let take = json!({ "count": 5, "ackmode": "ack_requeue_false", "encoding": "auto" });
    let taken = Broker::shared().ask(&format!("queues/{vhost}/orders/get"), &take);
    assert_eq!(taken.as_array().map(Vec::len), Some(1), "{taken}");
    assert_eq!(taken[0]["redelivered"], false, "nobody has looked at it");
    let consent = format!("rabbitmq::vhost.broker/{vhost}");
    let destroy = ["destroy", "--auto-approve", "--allow-data-loss", &consent];
    let _ = project.run(&destroy).expect(0);
}

/// What comes in between the look and the removal is not lost where the server can help.
#[tokio::test]
async fn a_queue_that_goes_because_it_is_empty_stays_when_it_is_not() {
    let kind = "rabbitmq::queue";
    let bench = Bench::with_vhost("between").await;
    let spec = json!({ "vhost": "between" });
    bench.create(kind, "q", spec.clone()).await.unwrap();
    let held = bench.held(kind, "q", spec.clone()).await;
    assert_eq!(held, Held::Nothing("no messages".to_owned()));
    publish("between", "q", 1);
    let error = bench.try_delete(kind, "q", "q", spec.clone()).await.unwrap_err();
    assert_eq!(
        error.message,
        "cannot delete queue `q` in vhost `between`: a message came in, which nobody agreed to lose"
    );
    assert!(bench.read(kind, "q", spec.clone()).await.is_some());
    // With consent nobody asks what is in it.
    let other = Bench::new().await;
    other.delete(kind, "q", "q", spec.clone()).await;
    assert!(bench.read(kind, "q", spec).await.is_none());
}

/// Messages wait in a delayed exchange until their time has come.
#[tokio::test]
async fn delayed_messages_are_not_lost_by_surprise() {
    let kind = "rabbitmq::exchange";
    for (said, held) in [
        (json!({ "messages_delayed": 3 }), Held::Content("3 delayed messages".to_owned())),
        (json!({ "messages_delayed": 0 }), Held::Nothing("no delayed messages".to_owned())),
        // As older versions of the plugin.
        (json!({}), Held::Content("an unknown number of delayed messages".to_owned())),
    ] {
        let meet = move |line: &str| match line {
            "GET /api/exchanges/held/x" => Met::Answered(said.clone()),
            _ => Met::Passed,
        };
        let front = disguise::meeting(|_| (), meet).await;
        let bench = Bench::at(front.port).await;
        let kinds = bench.registry.kind(kind).unwrap();
        let direct = bench.spec(kind, json!({ "vhost": "held" }));
        assert!(!kinds.loses(&direct), "it holds nothing, so nobody is asked");
        let delayed = json!({
            "vhost": "held", "type": "x-delayed-message", "delayed_type": "direct",
        });
        assert!(kinds.loses(&bench.spec(kind, delayed.clone())));
        assert_eq!(bench.held(kind, "x", delayed).await, held);
    }
}

/// All bindings come back with the queue or the exchange they belong to.
#[test]
fn bindings_come_back_when_an_end_is_made_anew() {
    let body = |queue: &str, exchange: &str| {
        format!(
            "let v = mq.vhost(\"ends\");\n\
             let x = v.exchange(\"x\", #{{ {exchange} }});\n\
             let y = v.exchange(\"y\");\n\
             let q = v.queue(\"q\", #{{ {queue} }});\n\
             for key in [\"a\", \"b\", \"c\"] {{\n    \
                 v.binding(\"q-\" + key, #{{ source: x, destination: q, routing_key: key }});\n    \
                 v.binding(\"y-\" + key, #{{ source: x, destination: y, \
                 destination_type: \"exchange\", routing_key: key }});\n\
             }}"
        )
    };
    let bindings = || {
        let listed = Broker::shared().get("exchanges/ends/x/bindings/source");
        let mut keys: Vec<_> = listed
            .as_array()
            .unwrap()
            .iter()
            .map(|row| format!("{} {}", row["destination"], row["routing_key"]))
            .collect();
        keys.sort();
        keys
    };
    let project = stack("ends", &body("", ""));
    let _ = apply(&project, &[]).expect(0);
    let all = bindings();
    assert_eq!(all.len(), 6);
    for (queue, exchange) in
        [("max_length: 5", ""), ("max_length: 5", "type: \"topic\""), ("", "")]
    {
        project.write("stack.rhai", &script(&body(queue, exchange)));
        let _ = apply(&project, &[]).expect(0);
        assert_eq!(bindings(), all, "after `{queue}`, `{exchange}`");
        let _ = project.run(&["plan", "--detailed-exitcode"]).expect(0);
    }
    let _ = project.run(&["destroy", "--auto-approve"]).expect(0);
}
