//! What is known of a queue right before it goes, and what that costs it.

use dollop_engine::resource::Held;
use futures::StreamExt as _;
use lapin::options::BasicConsumeOptions;
use lapin::types::FieldTable;
use serde_json::{Value as Json, json};

use super::bench::Bench;
use super::broker::{Broker, channel};
use super::counter;

const KIND: &str = "rabbitmq::queue";

fn publish(vhost: &str, queue: &str, count: usize) {
    let body = json!({
        "properties": { "delivery_mode": 2 }, "routing_key": queue, "payload": "x",
        "payload_encoding": "string",
    });
    for _ in 0..count {
        Broker::shared().post(&format!("exchanges/{vhost}/amq.default/publish"), &body);
    }
}

fn take(vhost: &str, queue: &str) -> Json {
    let take = json!({ "count": 5, "ackmode": "ack_requeue_false", "encoding": "auto" });
    Broker::shared().ask(&format!("queues/{vhost}/{queue}/get"), &take)
}

/// A consumer has them and has not said yet that it is done; the numbers are too old to tell.
#[tokio::test(flavor = "multi_thread")]
async fn messages_that_are_handed_out_are_messages() {
    let vhost = "handed-out";
    let bench = Bench::with_vhost(vhost).await;
    for queue_type in ["classic", "quorum"] {
        let spec = json!({ "vhost": vhost, "type": queue_type });
        bench.create(KIND, queue_type, spec.clone()).await.unwrap();
        let channel = channel(Broker::shared(), vhost).await;
        let options = BasicConsumeOptions::default();
        let consumer = channel.basic_consume(
            queue_type.into(),
            "live".into(),
            options,
            FieldTable::default(),
        );
        let mut consumer = consumer.await.unwrap();
        let path = format!("queues/{vhost}/{queue_type}");
        // That somebody consumes is in the numbers, what they got is not.
        while Broker::shared().get(&path)["consumers"] != 1 {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        publish(vhost, queue_type, 3);
        for _ in 0..3 {
            drop(consumer.next().await.unwrap().unwrap());
        }
        let held = bench.held(KIND, queue_type, spec).await;
        assert!(
            matches!(&held, Held::Content(words) if words.starts_with("3 messages")),
            "{queue_type}: {held:?}"
        );
    }
    bench.delete("rabbitmq::vhost", vhost, vhost, json!({})).await;
}

/// A classic queue tells it by itself: nothing is taken out of it.
#[tokio::test]
async fn a_classic_queue_is_not_looked_into() {
    let vhost = "not-looked";
    let bench = Bench::with_vhost(vhost).await;
    let spec = json!({ "vhost": vhost });
    bench.create(KIND, "q", spec.clone()).await.unwrap();
    publish(vhost, "q", 1);
    let held = bench.held(KIND, "q", spec).await;
    assert_eq!(held, Held::Content("1 message".to_owned()));
    let taken = take(vhost, "q");
    assert_eq!(taken.as_array().map(Vec::len), Some(1), "{taken}");
    assert_eq!(taken[0]["redelivered"], false, "nobody has looked at it");
    bench.delete("rabbitmq::vhost", vhost, vhost, json!({})).await;
}

/// Before 4.0 a limit below zero is one that no message keeps to which was handed out once.
#[tokio::test]
async fn a_limit_below_zero_is_no_unlimited_queue() {
    let vhost = "below-zero";
    let bench = Bench::with_vhost(vhost).await;
    let spec = json!({ "vhost": vhost, "type": "quorum", "delivery_limit": -1 });
    assert_eq!(
        bench.preview(KIND, "q", spec.clone()).await,
        ["delivery_limit: RabbitMQ 3.10.8 takes no `delivery_limit` below 0"]
    );
    let arguments = json!({ "x-queue-type": "quorum", "x-delivery-limit": -1 });
    let queue = json!({ "durable": true, "arguments": arguments });
    Broker::shared().put(&format!("queues/{vhost}/q"), &queue);
    publish(vhost, "q", 1);
    let held = bench.held(KIND, "q", spec).await;
    assert_eq!(held, Held::Content("1 message".to_owned()));
    assert_eq!(take(vhost, "q").as_array().map(Vec::len), Some(1));
    bench.delete("rabbitmq::vhost", vhost, vhost, json!({})).await;
}

/// The numbers of one queue are not got from those of all.
#[tokio::test]
async fn a_removal_asks_for_its_own_queue() {
    let vhost = "own-only";
    let bench = Bench::with_vhost(vhost).await;
    let spec = json!({ "vhost": vhost });
    bench.create(KIND, "q", spec.clone()).await.unwrap();
    let counter = counter::start(Broker::shared().port).await;
    let other = Bench::at(counter.port).await;
    let held = other.held(KIND, "q", spec).await;
    assert_eq!(held, Held::Nothing("no messages".to_owned()));
    let sent = counter.sent();
    assert!(sent.contains("GET /api/queues/own%2Donly/q HTTP"), "{sent}");
    assert!(sent.contains("GET /api/queues/own%2Donly?disable_stats=true"), "{sent}");
    assert!(!sent.contains("GET /api/queues?"), "{sent}");
    bench.delete("rabbitmq::vhost", vhost, vhost, json!({})).await;
}
