//! A queue that goes after a drain of it was cut off: its messages are elsewhere.

use std::time::{Duration, Instant};

use dollop_tests::cli::{Project, Run};
use serde_json::{Value as Json, json};

use super::broker::Broker;

fn script(vhost: &str, queue: Option<&str>) -> String {
    let port = Broker::shared().port;
    let queue = queue.map_or_else(String::new, |queue| {
        format!(
            "let q = v.queue(\"work\", #{{ {queue} }});\n\
             v.binding(\"all\", #{{ source: orders, destination: q, routing_key: \"#\" }});\n"
        )
    });
    format!(
        "let mq = rabbitmq::server(\"broker\", #{{ host: \"127.0.0.1\", port: {port}, \
         password: \"guest\" }});\n\
         let v = mq.vhost(\"{vhost}\");\n\
         let orders = v.exchange(\"orders\", #{{ type: \"topic\" }});\n{queue}"
    )
}

fn send(vhost: &str, count: usize) {
    let body = json!({
        "properties": { "delivery_mode": 2 }, "routing_key": "order.new", "payload": "x",
        "payload_encoding": "string",
    });
    for _ in 0..count {
        Broker::shared().post(&format!("exchanges/{vhost}/orders/publish"), &body);
    }
}

fn is_there(vhost: &str, queue: &str) -> bool {
    Broker::shared().get(&format!("queues/{vhost}/{queue}"))["error"] != "Object Not Found"
}

/// Waits until the statistics, which are seconds late, say so.
fn counted(vhost: &str, queue: &str, count: u64) {
    for _ in 0..200 {
        let seen = Broker::shared().get(&format!("queues/{vhost}/{queue}"));
        if seen["messages"] == json!(count) {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("the server never counts {count} messages in {queue}");
}

fn apply(project: &Project, more: &[&str]) -> Run {
    project.run(&[&["apply", "--auto-approve"], more].concat())
}

fn says(text: &str, words: &str, run: &Run) {
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(flat.contains(words), "no `{words}` in\n{}", run.text());
}

fn shovels(vhost: &str) -> Json {
    Broker::shared().get(&format!("parameters/shovel/{vhost}"))
}

/// A queue of which a run was killed (-9) while its five messages moved; they are in the other
/// one.
fn killed(vhost: &str, before: &str) -> Project {
    let project = Project::new("orphan", &script(vhost, Some(before)));
    let _ = apply(&project, &[]).expect(0);
    send(vhost, 5);
    let anew = "migrate: \"drain\", max_length: 50";
    project.write("stack.rhai", &script(vhost, Some(anew)));
    let mut running = project.start(&["apply", "--auto-approve"]);
    let start = Instant::now();
    while shovels(vhost) == json!([]) {
        assert!(start.elapsed() < Duration::from_mins(1), "it never moves");
        std::thread::sleep(Duration::from_millis(50));
    }
    running.child().kill().unwrap();
    let _ = running.end();
    // Its shovel goes on.
    counted(vhost, "work.dollop-drain", 5);
    counted(vhost, "work", 0);
    project
}

/// Also where the record of the run that was killed does not say yet that it drains.
#[test]
fn a_queue_whose_drain_was_killed_goes_with_consent() {
    for (number, before) in ["migrate: \"drain\"", ""].into_iter().enumerate() {
        let vhost = format!("orphan-{number}");
        let project = killed(&vhost, before);
        project.write("stack.rhai", &script(&vhost, None));
        let address = format!("rabbitmq::queue.broker/{vhost}/work");
        let plan = project.run(&["plan"]).expect(0);
        let elsewhere =
            "5 messages, 5 of them in `work.dollop-drain` since a drain was cut off";
        says(&plan.stdout, &format!("DATA LOSS {address} holds {elsewhere}"), &plan);
        let refused = apply(&project, &[]).expect(1);
        says(&refused.stderr, &format!("would lose {elsewhere} in `{address}`"), &refused);
        counted(&vhost, "work.dollop-drain", 5);

        let _ = apply(&project, &["--allow-data-loss", &address]).expect(0);
        // Nothing makes it again.
        std::thread::sleep(Duration::from_secs(3));
        assert!(!is_there(&vhost, "work"), "after `{before}`");
        assert!(!is_there(&vhost, "work.dollop-drain"), "after `{before}`");
        assert_eq!(shovels(&vhost), json!([]));
        let _ = project.run(&["plan", "--detailed-exitcode"]).expect(0);
        let _ = project.destroy(&[]).expect(0);
    }
}

/// Killed after the old one was removed, and the script drains no more.
#[test]
fn a_queue_whose_drain_is_taken_back_gets_its_messages() {
    for (number, before) in ["migrate: \"drain\"", ""].into_iter().enumerate() {
        let vhost = format!("orphan-back-{number}");
        let project = killed(&vhost, before);
        Broker::shared().delete(&format!("parameters/shovel/{vhost}/work.dollop-drain-out"));
        Broker::shared().delete(&format!("queues/{vhost}/work"));
        project.write("stack.rhai", &script(&vhost, Some("")));
        let _ = apply(&project, &[]).expect(0);
        assert!(!is_there(&vhost, "work.dollop-drain"), "after `{before}`");
        counted(&vhost, "work", 5);
        let _ = project.run(&["plan", "--detailed-exitcode"]).expect(0);
        let _ = project.destroy(&[]).expect(0);
    }
}

/// The old one was removed, the new one not made yet.
#[test]
fn a_queue_that_is_there_under_the_other_name_only_is_found() {
    let vhost = "orphan-between";
    let broker = Broker::shared();
    let aside = format!("queues/{vhost}/work.dollop-drain");
    let cut_off = || {
        broker.put(&aside, &json!({ "durable": true, "arguments": {} }));
        let bind = format!("bindings/{vhost}/e/orders/q/work.dollop-drain");
        broker.post(&bind, &json!({ "routing_key": "#" }));
        broker.delete(&format!("queues/{vhost}/work"));
    };
    let project = Project::new("between", &script(vhost, Some("migrate: \"drain\"")));
    let _ = apply(&project, &[]).expect(0);
    cut_off();
    send(vhost, 7);
    // The same script, and one that wants something else.
    for queue in ["migrate: \"drain\"", "migrate: \"drain\", max_length: 50"] {
        project.write("stack.rhai", &script(vhost, Some(queue)));
        let _ = apply(&project, &[]).expect(0);
        assert!(!is_there(vhost, "work.dollop-drain"), "after `{queue}`");
        counted(vhost, "work", 7);
        let _ = project.run(&["plan", "--detailed-exitcode"]).expect(0);
        // The next one begins like this one.
        broker.delete(&format!("queues/{vhost}/work/contents"));
        cut_off();
        send(vhost, 7);
    }

    project.write("stack.rhai", &script(vhost, None));
    counted(vhost, "work.dollop-drain", 7);
    let refused = apply(&project, &[]).expect(1);
    says(&refused.stderr, "7 messages, 7 of them in `work.dollop-drain`", &refused);
    assert!(is_there(vhost, "work.dollop-drain"));
    let address = format!("rabbitmq::queue.broker/{vhost}/work");
    let _ = apply(&project, &["--allow-data-loss", &address]).expect(0);
    assert!(!is_there(vhost, "work.dollop-drain"));
    let _ = project.destroy(&[]).expect(0);
}
