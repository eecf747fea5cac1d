//! Making a queue anew with its messages, under a live publisher and a live consumer.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dollop_tests::cli::{Project, Run, Running};
use futures::StreamExt as _;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions,
    ConfirmSelectOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Confirmation};
use serde_json::json;

use super::broker::{self, Broker};

/// How many messages wait when the queue is made anew; `make drain` takes 100,000.
fn waiting() -> u64 {
    let given = std::env::var("DOLLOP_DRAIN_MESSAGES").ok();
    given.map_or(20_000, |text| text.parse().expect("a number of messages"))
}

fn script(vhost: &str, queue: &str) -> String {
    let port = Broker::shared().port;
    format!(
        "let mq = rabbitmq::server(\"broker\", #{{ host: \"127.0.0.1\", port: {port}, \
         password: \"guest\" }});\n\
         let v = mq.vhost(\"{vhost}\");\n\
         let orders = v.exchange(\"orders\", #{{ type: \"topic\" }});\n\
         let q = v.queue(\"work\", #{{ migrate: \"drain\", {queue} }});\n\
         v.binding(\"all\", #{{ source: orders, destination: q, routing_key: \"order.#\" }});\n"
    )
}

async fn channel(vhost: &str) -> Channel {
    broker::channel(Broker::shared(), vhost).await
}

/// Publishes numbers to the exchange; each must be routed and confirmed.
async fn publish(channel: &Channel, numbers: impl Iterator<Item = u64>) {
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let mut pending = Vec::new();
    for number in numbers {
        let properties = BasicProperties::default().with_delivery_mode(2);
        let payload = number.to_string();
        let sent = channel.basic_publish(
            "orders".into(),
            "order.new".into(),
            options,
            payload.as_bytes(),
            properties,
        );
        pending.push(sent.await.unwrap());
        if pending.len() == 500 {
            confirmed(&mut pending).await;
        }
    }
    confirmed(&mut pending).await;
}

async fn confirmed(pending: &mut Vec<lapin::PublisherConfirm>) {
    for sent in pending.drain(..) {
        // `Ack(Some(_))` would be a message that no queue took.
        assert!(matches!(sent.await.unwrap(), Confirmation::Ack(None)), "not routed");
    }
}

/// Consumes whatever comes until told to stop; a consumer whose queue goes comes back.
async fn consume(
    vhost: String,
    seen: Arc<Mutex<BTreeSet<u64>>>,
    slow: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
) {
    while !stop.load(Ordering::SeqCst) {
        let channel = channel(&vhost).await;
        channel.basic_qos(20, BasicQosOptions::default()).await.unwrap();
        let options = BasicConsumeOptions::default();
        let consumer = channel
            .basic_consume("work".into(), "live".into(), options, FieldTable::default())
            .await;
        let Ok(mut consumer) = consumer else {
            // Between the old queue and the new one.
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        loop {
            let next = tokio::time::timeout(Duration::from_secs(1), consumer.next()).await;
            match next {
                Ok(Some(Ok(delivery))) => {
                    let text = String::from_utf8_lossy(&delivery.data).into_owned();
                    seen.lock().unwrap().insert(text.parse().unwrap());
                    if slow.load(Ordering::SeqCst) {
                        tokio::time::sleep(Duration::from_millis(2)).await;
                    }
                    let _ = delivery.ack(BasicAckOptions::default()).await;
                }
                // Nothing comes, or the queue it subscribed to is gone: subscribe anew.
                Err(_) | Ok(Some(Err(_)) | None) => break,
            }
        }
        let _ = channel.close(200, "subscribing anew".into()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn draining_loses_nothing() {
    let vhost = "drain";
    let project = Project::new("drain", &script(vhost, "type: \"quorum\""));
    let _ = project.run(&["apply", "--auto-approve"]).expect(0);

    let source = channel(vhost).await;
    source.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    let waiting = waiting();
    publish(&source, 0..waiting).await;

    let seen = Arc::new(Mutex::new(BTreeSet::new()));
    let (slow, stop) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(false)));
    let consumer = tokio::spawn(consume(
        vhost.to_owned(),
        Arc::clone(&seen),
        Arc::clone(&slow),
        Arc::clone(&stop),
    ));
    let published = Arc::new(AtomicU64::new(waiting));
    let enough = Arc::new(AtomicBool::new(false));
    let live = {
        let (published, enough) = (Arc::clone(&published), Arc::clone(&enough));
        tokio::spawn(async move {
            while !enough.load(Ordering::SeqCst) {
                let next = published.load(Ordering::SeqCst);
                publish(&source, next..next + 10).await;
                published.store(next + 10, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
    };

    project.write("stack.rhai", &script(vhost, "type: \"quorum\", delivery_limit: 50"));
    let project = tokio::task::spawn_blocking(move || {
        let plan = project.run(&["plan"]).expect(0);
        assert!(!plan.stdout.contains("DATA LOSS"), "{}", plan.text());
        let words = plan.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains("what it holds moves to the new one"), "{}", plan.text());
        // No consent is needed: nothing is lost.
        let _ = project.run(&["apply", "--auto-approve"]).expect(0);
        let _ = project.run(&["plan", "--detailed-exitcode"]).expect(0);
        project
    })
    .await
    .unwrap();
    let new = Broker::shared().get("queues/drain/work");
    assert_eq!(new["arguments"]["x-delivery-limit"], 50);
    let aside = Broker::shared().get("queues/drain/work.dollop-drain");
    assert_eq!(aside["error"], "Object Not Found");
    assert_eq!(Broker::shared().get("parameters/shovel/drain"), json!([]));

    enough.store(true, Ordering::SeqCst);
    live.await.unwrap();
    slow.store(false, Ordering::SeqCst);
    let total = published.load(Ordering::SeqCst);
    let mut last = usize::MAX;
    // As long as something still comes.
    while seen.lock().unwrap().len() as u64 != total {
        let now = seen.lock().unwrap().len();
        let queue = Broker::shared().get("queues/drain/work");
        let (left, held) = (&queue["messages_ready"], &queue["messages_unacknowledged"]);
        assert_ne!(now, last, "{now} of {total} arrived, {left} wait, {held} are handed out");
        last = now;
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
    stop.store(true, Ordering::SeqCst);
    consumer.await.unwrap();
    println!("drained {waiting} waiting and {} live messages: none lost", total - waiting);
    let consent =
        ["destroy", "--auto-approve", "--allow-data-loss", "rabbitmq::vhost.broker/drain"];
    tokio::task::spawn_blocking(move || drop(project.run(&consent).expect(0))).await.unwrap();
}

/// A queue that takes no second delivery is not looked into on the way.
#[test]
fn draining_costs_no_message_where_deliveries_are_limited() {
    let vhost = "drain-limited";
    let limited = "type: \"quorum\", delivery_limit: 0";
    let broker = Broker::shared();
    let project = Project::new("drainlimited", &script(vhost, limited));
    let _ = project.run(&["apply", "--auto-approve"]).expect(0);
    for _ in 0..7 {
        let body = json!({
            "properties": { "delivery_mode": 2 }, "routing_key": "order.new", "payload": "x",
            "payload_encoding": "string",
        });
        broker.post(&format!("exchanges/{vhost}/orders/publish"), &body);
    }
    project.write("stack.rhai", &script(vhost, &format!("{limited}, max_length: 50")));
    let _ = project.run(&["apply", "--auto-approve"]).expect(0);
    let work = format!("queues/{vhost}/work");
    let new = broker.get(&work);
    assert_eq!(new["arguments"]["x-max-length"], 50);
    let take = json!({ "count": 100, "ackmode": "ack_requeue_false", "encoding": "auto" });
    let taken = broker.ask(&format!("{work}/get"), &take);
    assert_eq!(taken.as_array().map(Vec::len), Some(7), "{taken}");
    let consent = format!("rabbitmq::vhost.broker/{vhost}");
    let destroy = ["destroy", "--auto-approve", "--allow-data-loss", &consent];
    let _ = project.run(&destroy).expect(0);
}

/// Whatever a run leaves when it is killed in the middle, the next one finishes.
#[test]
fn a_drain_that_was_interrupted_is_finished() {
    let vhost = "drain-again";
    let broker = Broker::shared();
    let project = Project::new("drainagain", &script(vhost, ""));
    let _ = project.run(&["apply", "--auto-approve"]).expect(0);
    let publish = |count: usize| {
        for _ in 0..count {
            let body = json!({
                "properties": { "delivery_mode": 2 }, "routing_key": "order.new",
                "payload": "x", "payload_encoding": "string",
            });
            broker.post(&format!("exchanges/{vhost}/orders/publish"), &body);
        }
    };
    publish(5);
    // As after a kill between the old queue and the new one: only the other one is left.
    let aside = format!("queues/{vhost}/work.dollop-drain");
    broker.put(&aside, &json!({ "durable": true, "arguments": { "x-queue-type": "classic" } }));
    let bind = format!("bindings/{vhost}/e/orders/q/work.dollop-drain");
    broker.post(&bind, &json!({ "routing_key": "order.#" }));
    broker.delete(&format!("queues/{vhost}/work"));
    publish(7);

    project.write("stack.rhai", &script(vhost, "max_priority: 5"));
    let _ = project.run(&["apply", "--auto-approve"]).expect(0);
    assert_eq!(broker.get(&aside)["error"], "Object Not Found");
    let new = broker.get(&format!("queues/{vhost}/work"));
    assert_eq!(new["arguments"]["x-max-priority"], 5);
    let taken = broker.ask(
        &format!("queues/{vhost}/work/get"),
        &json!({ "count": 100, "ackmode": "ack_requeue_false", "encoding": "auto" }),
    );
    assert_eq!(taken.as_array().unwrap().len(), 7);
    publish(1);
    let consent = format!("rabbitmq::vhost.broker/{vhost}");
    let _ =
        project.run(&["destroy", "--auto-approve", "--allow-data-loss", &consent]).expect(0);
}

/// Publishes to the exchange past the provider.
fn send(vhost: &str, count: usize) {
    for _ in 0..count {
        let body = json!({
            "properties": { "delivery_mode": 2 }, "routing_key": "order.new", "payload": "x",
            "payload_encoding": "string",
        });
        Broker::shared().post(&format!("exchanges/{vhost}/orders/publish"), &body);
    }
}

/// Takes everything out of the queue; how many there were.
fn take(vhost: &str) -> usize {
    let take = json!({ "count": 100, "ackmode": "ack_requeue_false", "encoding": "auto" });
    let taken = Broker::shared().ask(&format!("queues/{vhost}/work/get"), &take);
    taken.as_array().map_or(0, Vec::len)
}

/// Waits for a command, but not for ever.
fn in_time(mut running: Running) -> Run {
    let start = Instant::now();
    while running.child().try_wait().unwrap().is_none() {
        assert!(start.elapsed() < Duration::from_mins(2), "it does not end");
        std::thread::sleep(Duration::from_millis(200));
    }
    running.end()
}

/// Starts an apply and kills it (-9) while a shovel is at work.
fn kill_while_it_moves(project: &Project, vhost: &str) {
    let mut running = project.start(&["apply", "--auto-approve"]);
    let start = Instant::now();
    while Broker::shared().get(&format!("parameters/shovel/{vhost}")) == json!([]) {
        assert!(start.elapsed() < Duration::from_mins(1), "it never moves");
        std::thread::sleep(Duration::from_millis(50));
    }
    running.child().kill().unwrap();
    let _ = running.end();
}

/// Each of the messages that a shovel holds is delivered once more when that is interrupted.
#[test]
fn a_shovel_holds_few_messages_where_deliveries_are_limited() {
    for (queue, few) in [
        ("type: \"quorum\", delivery_limit: 2", json!(20)),
        ("type: \"quorum\"", json!(null)),
        ("type: \"classic\"", json!(null)),
    ] {
        let vhost = "drain-few";
        let project = Project::new("drainfew", &script(vhost, queue));
        let _ = project.run(&["apply", "--auto-approve"]).expect(0);
        send(vhost, 5);
        project.write("stack.rhai", &script(vhost, &format!("{queue}, max_length: 50")));
        let plan = project.run(&["plan"]).expect(0);
        let words = plan.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        let note = "and `delivery_limit: 2` takes away what has too many";
        assert_eq!(words.contains(note), !few.is_null(), "{}", plan.text());
        kill_while_it_moves(&project, vhost);
        let shovels = Broker::shared().get(&format!("parameters/shovel/{vhost}"));
        assert_eq!(shovels[0]["value"]["src-prefetch-count"], few, "`{queue}`");
        let _ = in_time(project.start(&["apply", "--auto-approve"])).expect(0);
        assert_eq!(take(vhost), 5, "`{queue}`");
        let _ = project.destroy(&[]).expect(0);
    }
}

/// The shovel of a run that was killed does not work against that of the next one, whatever
/// the script says by then.
#[test]
fn a_drain_that_was_killed_and_is_taken_back_moves_in_no_circle() {
    // The script as it was before, one that wants something else, and one that drains no more.
    for (number, (queue, limit)) in [
        ("migrate: \"drain\"", json!(null)),
        ("migrate: \"drain\", max_length: 70", json!(70)),
        ("", json!(null)),
    ]
    .into_iter()
    .enumerate()
    {
        let vhost = format!("drain-killed-{number}");
        let body = |queue: &str| script(&vhost, "").replace("migrate: \"drain\", ", queue);
        let project = Project::new("drainkilled", &body("migrate: \"drain\""));
        let _ = project.run(&["apply", "--auto-approve"]).expect(0);
        send(&vhost, 5);
        project.write("stack.rhai", &body("migrate: \"drain\", max_length: 50"));
        kill_while_it_moves(&project, &vhost);

        project.write("stack.rhai", &body(queue));
        let _ = in_time(project.start(&["apply", "--auto-approve"])).expect(0);
        let broker = Broker::shared();
        let shovels = broker.get(&format!("parameters/shovel/{vhost}"));
        assert_eq!(shovels, json!([]), "after `{queue}`");
        let aside = broker.get(&format!("queues/{vhost}/work.dollop-drain"));
        assert_eq!(aside["error"], "Object Not Found", "after `{queue}`");
        let new = broker.get(&format!("queues/{vhost}/work"));
        assert_eq!(new["arguments"]["x-max-length"], limit, "after `{queue}`");
        assert_eq!(take(&vhost), 5, "after `{queue}`");
        let _ = project.run(&["plan", "--detailed-exitcode"]).expect(0);
        let _ = project.destroy(&[]).expect(0);
    }
}

/// What an earlier dollop left at work, whose shovels were called like their queues, ends too.
#[test]
fn a_shovel_of_an_earlier_version_is_ended() {
    let vhost = "drain-earlier";
    let broker = Broker::shared();
    let project = Project::new("drainearlier", &script(vhost, ""));
    let _ = project.run(&["apply", "--auto-approve"]).expect(0);
    let aside = format!("queues/{vhost}/work.dollop-drain");
    broker.put(&aside, &json!({ "durable": true, "arguments": { "x-queue-type": "classic" } }));
    let here = format!("amqp:///{vhost}");
    let value = json!({
        "src-protocol": "amqp091", "src-uri": here, "src-queue": "work.dollop-drain",
        "dest-protocol": "amqp091", "dest-uri": here, "dest-queue": "work",
        "ack-mode": "on-confirm", "reconnect-delay": 1, "src-delete-after": "never",
    });
    let shovel = format!("parameters/shovel/{vhost}/work.dollop-drain");
    broker.put(&shovel, &json!({ "value": value }));
    send(vhost, 5);
    project.write("stack.rhai", &script(vhost, "max_length: 50"));
    let _ = in_time(project.start(&["apply", "--auto-approve"])).expect(0);
    assert_eq!(broker.get(&format!("parameters/shovel/{vhost}")), json!([]));
    assert_eq!(take(vhost), 5);
    let _ = project.destroy(&[]).expect(0);
}

/// A shovel of somebody else is left alone, also one that is called like the queue.
#[test]
fn draining_leaves_the_shovels_of_others_alone() {
    let vhost = "drain-others";
    let broker = Broker::shared();
    let project = Project::new("drainothers", &script(vhost, ""));
    let _ = project.run(&["apply", "--auto-approve"]).expect(0);
    let here = format!("amqp:///{vhost}");
    let value = json!({
        "src-uri": here, "src-queue": "elsewhere", "dest-uri": here, "dest-queue": "work",
    });
    let theirs = |name: &str| format!("parameters/shovel/{vhost}/{name}");
    broker.put(&theirs("work"), &json!({ "value": value }));
    project.write("stack.rhai", &script(vhost, "max_length: 50"));
    let _ = project.run(&["apply", "--auto-approve"]).expect(0);
    assert_eq!(broker.get(&theirs("work"))["value"], value);

    // One that has the name which dollop needs is in the way.
    broker.put(&theirs("work.dollop-drain-out"), &json!({ "value": value }));
    project.write("stack.rhai", &script(vhost, "max_length: 60"));
    let refused = project.run(&["apply", "--auto-approve"]).expect(1);
    let words = refused.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
    let message =
        format!("shovel `work.dollop-drain-out` in vhost `{vhost}` is somebody else's");
    assert!(words.contains(&message), "{}", refused.text());
    assert_eq!(broker.get(&theirs("work.dollop-drain-out"))["value"], value);
    assert_eq!(broker.get(&format!("queues/{vhost}/work"))["arguments"]["x-max-length"], 50);
    for name in ["work", "work.dollop-drain-out"] {
        broker.delete(&theirs(name));
    }
    let _ = project.destroy(&[]).expect(0);
}
