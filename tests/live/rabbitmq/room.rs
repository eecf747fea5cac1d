//! Queues whose messages move to one that keeps less, and what the plan says of a move.

use dollop_tests::cli::{Project, Run};
use lapin::options::BasicConsumeOptions;
use lapin::types::FieldTable;
use serde_json::json;

use super::broker::{Broker, channel};

fn script(vhost: &str, queue: &str) -> String {
    let port = Broker::shared().port;
    format!(
        "let mq = rabbitmq::server(\"broker\", #{{ host: \"127.0.0.1\", port: {port}, \
         password: \"guest\" }});\n\
         mq.vhost(\"{vhost}\").queue(\"work\", #{{ migrate: \"drain\", {queue} }});\n"
    )
}

/// A queue with that many messages, as the server's own numbers say.
fn filled(vhost: &str, queue: &str, count: u64) -> Project {
    let broker = Broker::shared();
    let project = Project::new("room", &script(vhost, queue));
    let _ = project.run(&["apply", "--auto-approve"]).expect(0);
    for _ in 0..count {
        broker.post(
            &format!("exchanges/{vhost}/amq.default/publish"),
            &json!({
                "properties": { "delivery_mode": 2 }, "routing_key": "work", "payload": "x",
                "payload_encoding": "string",
            }),
        );
    }
    counted(vhost, "messages", count);
    project
}

/// Waits until the statistics, which are seconds late, say so.
fn counted(vhost: &str, what: &str, count: u64) {
    for _ in 0..200 {
        if Broker::shared().get(&format!("queues/{vhost}/work"))[what] == json!(count) {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    panic!("the server never counts {count} {what}");
}

fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn limit(vhost: &str) -> serde_json::Value {
    Broker::shared().get(&format!("queues/{vhost}/work"))["arguments"]["x-max-length"].clone()
}

fn apply(project: &Project, more: &[&str]) -> Run {
    project.run(&[&["apply", "--auto-approve"], more].concat())
}

#[test]
fn a_drain_into_a_shorter_queue_needs_consent() {
    let vhost = "room-short";
    let project = filled(vhost, "", 10);
    project.write("stack.rhai", &script(vhost, "max_length: 3"));
    let address = format!("rabbitmq::queue.broker/{vhost}/work");
    let plan = project.run(&["plan"]).expect(0);
    let risk = format!("DATA LOSS {address} holds 7 messages beyond `max_length: 3`");
    assert!(flat(&plan.stdout).contains(&risk), "{}", plan.text());
    let refused = apply(&project, &[]).expect(1);
    let message =
        format!("this apply would lose 7 messages beyond `max_length: 3` in `{address}`");
    assert!(flat(&refused.stderr).contains(&message), "{}", refused.text());
    assert_eq!(limit(vhost), json!(null));
    counted(vhost, "messages", 10);

    let _ = apply(&project, &["--allow-data-loss", &address]).expect(0);
    assert_eq!(limit(vhost), 3);
    counted(vhost, "messages", 3);
    let _ = project.destroy(&[]).expect(0);
}

#[test]
fn a_drain_into_a_queue_that_refuses_is_refused() {
    let vhost = "room-refuses";
    let project = filled(vhost, "", 4);
    let full = "max_length: 2, overflow: \"reject-publish\"";
    project.write("stack.rhai", &script(vhost, full));
    let refused = project.run(&["plan"]).expect(1);
    let message = "the new queue refuses what is beyond `max_length: 2`, the old one holds 4";
    assert!(flat(&refused.stderr).contains(message), "{}", refused.text());
    assert!(flat(&refused.stderr).contains("raise the limit"), "{}", refused.text());
    assert_eq!(limit(vhost), json!(null));
    // With room for them it goes.
    project.write("stack.rhai", &script(vhost, &full.replace('2', "4")));
    let _ = apply(&project, &[]).expect(0);
    counted(vhost, "messages", 4);
    let _ = project.destroy(&[]).expect(0);
}

/// Messages and consumers, as a plain replacement does.
#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_drains_shows_what_is_in_the_queue() {
    let vhost = "room-shown";
    let project = tokio::task::spawn_blocking(move || filled(vhost, "", 3)).await.unwrap();
    let channel = channel(Broker::shared(), vhost).await;
    // It takes none: they stay with the queue, handed out.
    let options = BasicConsumeOptions::default();
    let consumer =
        channel.basic_consume("work".into(), "live".into(), options, FieldTable::default());
    let _consumer = consumer.await.unwrap();
    tokio::task::spawn_blocking(move || {
        counted(vhost, "consumers", 1);
        project.write("stack.rhai", &script(vhost, "max_length: 50"));
        let plan = project.run(&["plan"]).expect(0);
        let words = flat(&plan.stdout);
        assert!(words.contains("holds 3 messages, 1 consumer"), "{}", plan.text());
        let cancelled = "consumers are cancelled and have to subscribe again";
        assert!(words.contains(cancelled), "{}", plan.text());
        assert!(!words.contains("DATA LOSS"), "{}", plan.text());
        let _ = project.destroy(&[]).expect(0);
    })
    .await
    .unwrap();
}
