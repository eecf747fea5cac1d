//! Queues that may not be looked into: those with a single active consumer, and those that are a
//! client's alone.

use dollop_tests::cli::Project;
use lapin::options::{BasicConsumeOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use serde_json::json;

use super::broker::{Broker, channel};

fn script(broker: &Broker, body: &str) -> String {
    let port = broker.port;
    format!(
        "let mq = rabbitmq::server(\"broker\", #{{ host: \"127.0.0.1\", port: {port}, \
         password: \"guest\" }});\n{body}"
    )
}

const SINGLE: &str = "let v = mq.vhost(\"single\");\n\
                      v.queue(\"one\", #{ type: \"quorum\", single_active_consumer: true });\n\
                      v.queue(\"plain\");\n";

/// It has no messages, and somebody consumes from it.
#[tokio::test(flavor = "multi_thread")]
async fn a_queue_with_one_consumer_at_a_time_goes() {
    let broker = Broker::shared();
    let project = Project::new("single", &script(broker, SINGLE));
    let project = tokio::task::spawn_blocking(move || {
        let _ = project.run(&["apply", "--auto-approve"]).expect(0);
        project
    });
    let project = project.await.unwrap();
    let channel = channel(broker, "single").await;
    let options = BasicConsumeOptions::default();
    let consumer =
        channel.basic_consume("one".into(), "live".into(), options, FieldTable::default());
    let _consumer = consumer.await.unwrap();
    tokio::task::spawn_blocking(move || {
        project.write("stack.rhai", &script(broker, "let v = mq.vhost(\"single\");"));
        let _ = project.run(&["apply", "--auto-approve"]).expect(0);
        assert_eq!(broker.get("queues/single/one")["error"], "Object Not Found");
        let _ = project.run(&["destroy", "--auto-approve"]).expect(0);
    })
    .await
    .unwrap();
}

/// It goes with its client's connection, so nobody is asked about it.
#[tokio::test(flavor = "multi_thread")]
async fn a_vhost_with_a_queue_of_a_client_alone_goes() {
    let broker = Broker::shared();
    let project = Project::new("alone", &script(broker, "mq.vhost(\"alone\");"));
    let project = tokio::task::spawn_blocking(move || {
        let _ = project.run(&["apply", "--auto-approve"]).expect(0);
        project
    });
    let project = project.await.unwrap();
    let channel = channel(broker, "alone").await;
    let options = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
    let queue = channel.queue_declare("answers".into(), options, FieldTable::default());
    let _queue = queue.await.unwrap();
    tokio::task::spawn_blocking(move || {
        let _ = project.run(&["destroy", "--auto-approve"]).expect(0);
        assert_eq!(broker.get("vhosts/alone")["error"], "Object Not Found");
    })
    .await
    .unwrap();
}

/// It is not saved, which the backup says; the others are.
#[tokio::test(flavor = "multi_thread")]
async fn a_backup_leaves_out_what_nobody_may_read() {
    // All vhosts of a broker are saved, those of other tests too.
    let broker: &Broker = Box::leak(Box::new(Broker::ready("locked")));
    broker.put("vhosts/saved", &json!({}));
    broker.put("queues/saved/plain", &json!({ "durable": true }));
    broker.put("vhosts/closed", &json!({}));
    broker.put("queues/closed/plain", &json!({ "durable": true }));
    let channel = channel(broker, "saved").await;
    let single = [("x-queue-type", AMQPValue::LongString("quorum".into()))].into_iter();
    let single = single.chain([("x-single-active-consumer", AMQPValue::Boolean(true))]);
    let mut arguments = FieldTable::default();
    for (key, value) in single {
        arguments.insert(key.into(), value);
    }
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    let declared = channel.queue_declare("one".into(), durable, arguments);
    let _one = declared.await.unwrap();
    for (vhost, queue) in [("saved", "plain"), ("saved", "one"), ("closed", "plain")] {
        broker.post(
            &format!("exchanges/{vhost}/amq.default/publish"),
            &json!({
                "properties": { "delivery_mode": 2 }, "routing_key": queue, "payload": "x",
                "payload_encoding": "string",
            }),
        );
    }
    // Who may see all queues may not read from those of a vhost that is closed to them.
    broker.delete("permissions/closed/guest");
    tokio::task::spawn_blocking(move || {
        let start = std::time::Instant::now();
        while broker.get("queues?columns=vhost,messages")
            != json!([
                { "messages": 1, "vhost": "closed" }, { "messages": 1, "vhost": "saved" },
                { "messages": 1, "vhost": "saved" },
            ])
        {
            let numbers = broker.get("queues?columns=vhost,messages");
            assert!(start.elapsed() < std::time::Duration::from_secs(30), "{numbers}");
            std::thread::sleep(std::time::Duration::from_millis(200));
        }
        let project = Project::new("savedqueues", &script(broker, "mq.vhost(\"other\");"));
        let _ = project.run(&["apply", "--auto-approve"]).expect(0);
        let run = project.run(&["backup", "--messages"]).expect(0);
        let words = run.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
        let left_out = "not saved 1 queue with a single active consumer";
        assert!(words.contains(left_out), "{}", run.text());
        let closed = "not saved 1 message in 1 queue: user `guest` may not read from them";
        assert!(words.contains(closed), "{}", run.text());
        assert!(words.contains("1 message in 1 queue"), "{}", run.text());
    })
    .await
    .unwrap();
    drop(std::process::Command::new("docker").args(["rm", "--force", broker.name()]).output());
}
