//! Bindings of what is made anew: those that no script declares come back as well, and none is
//! gone when the removal is refused.

use dollop_tests::cli::Project;
use serde_json::{Value as Json, json};

use super::bench::Bench;
use super::broker::Broker;
use super::disguise::{self, Met};

fn script(vhost: &str, exchange: &str, queue: &str) -> String {
    script_at(Broker::shared().port, vhost, exchange, queue)
}

fn script_at(port: u16, vhost: &str, exchange: &str, queue: &str) -> String {
    format!(
        "let mq = rabbitmq::server(\"broker\", #{{ host: \"127.0.0.1\", port: {port}, \
         password: \"guest\" }});\n\
         let v = mq.vhost(\"{vhost}\");\n\
         let x = v.exchange(\"x\", #{{ type: \"headers\", {exchange} }});\n\
         let q = v.queue(\"q\", #{{ {queue} }});\n\
         v.binding(\"declared\", #{{ source: x, destination: q, routing_key: \"declared\" }});\n"
    )
}

/// What is bound in a vhost, without what the server binds itself.
fn bindings(vhost: &str) -> Vec<String> {
    let listed = Broker::shared().get(&format!("bindings/{vhost}"));
    let rows = listed.as_array().unwrap().iter().filter(|row| row["source"] != "");
    let words = rows.map(|row| {
        let (from, to) = (&row["source"], &row["destination"]);
        format!("{from} {to} {} {}", row["routing_key"], row["arguments"])
    });
    let mut found: Vec<_> = words.collect();
    found.sort();
    found
}

/// Bindings by hand: to the queue, and of the exchange from and to another.
fn bind_by_hand(vhost: &str) {
    let broker = Broker::shared();
    broker
        .put(&format!("exchanges/{vhost}/other"), &json!({ "type": "topic", "durable": true }));
    for (path, key) in [("x/q/q", "by.hand"), ("x/e/other", "from"), ("other/e/x", "to.#")] {
        let arguments = json!({ "x-match": "all", "kind": "invoice", "n": 5 });
        broker.post(
            &format!("bindings/{vhost}/e/{path}"),
            &json!({ "routing_key": key, "arguments": arguments }),
        );
    }
}

#[test]
fn bindings_that_nobody_declares_come_back() {
    let vhost = "unbound";
    let project = Project::new("unbound", &script(vhost, "", ""));
    let _ = project.run(&["apply", "--auto-approve"]).expect(0);
    bind_by_hand(vhost);
    let all = bindings(vhost);
    assert_eq!(all.len(), 4);
    // The exchange, the queue, and both at once.
    for (exchange, queue, note) in [
        (
            "alternate_exchange: \"other\"",
            "",
            "3 bindings that this plan does not list are made",
        ),
        (
            "alternate_exchange: \"other\"",
            "max_length: 5",
            "1 binding that this plan does not list is made again with it",
        ),
        ("", "", "3 bindings that this plan does not list are made again with it"),
    ] {
        project.write("stack.rhai", &script(vhost, exchange, queue));
        let plan = project.run(&["plan"]).expect(0);
        let words = plan.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains(note), "{}", plan.text());
        let _ = project.run(&["apply", "--auto-approve"]).expect(0);
        assert_eq!(bindings(vhost), all, "after `{exchange}`, `{queue}`");
        let _ = project.run(&["plan", "--detailed-exitcode"]).expect(0);
    }
    assert_eq!(kept(vhost), 0);
    let _ = project.run(&["destroy", "--auto-approve"]).expect(0);
}

/// How many notes of bindings of a vhost are kept on the server.
fn kept(vhost: &str) -> usize {
    let all = Broker::shared().get("global-parameters");
    let ours = all.as_array().unwrap().iter().filter(|row| {
        let name = row["name"].as_str().unwrap_or_default();
        let value = row["value"].as_str().unwrap_or_default();
        name.starts_with("dollop-bindings.") && value.contains(&format!("\"{vhost}\""))
    });
    ours.count()
}

/// A run that was killed between the removal and the new one leaves them to the next.
#[tokio::test]
async fn bindings_survive_a_run_that_was_killed() {
    let vhost = "unbound-killed";
    let bench = Bench::with_vhost(vhost).await;
    let spec = json!({ "vhost": vhost });
    bench.create("rabbitmq::queue", "q", spec.clone()).await.unwrap();
    let headers = json!({ "vhost": vhost, "type": "headers" });
    bench.create("rabbitmq::exchange", "x", headers.clone()).await.unwrap();
    bind_by_hand(vhost);
    let all = bindings(vhost);
    bench.delete_for_successor("rabbitmq::queue", "q", spec.clone()).await;
    bench.delete_for_successor("rabbitmq::exchange", "x", headers.clone()).await;
    assert_eq!(bindings(vhost), Vec::<String>::new());
    assert_eq!(kept(vhost), 2);
    drop(bench);

    // Another run, which does not know of the first one.
    let next = Bench::new().await;
    next.create("rabbitmq::exchange", "x", headers).await.unwrap();
    next.create("rabbitmq::queue", "q", spec).await.unwrap();
    assert_eq!(bindings(vhost), all);
    assert_eq!(kept(vhost), 0);
    next.delete("rabbitmq::vhost", vhost, vhost, json!({})).await;
}

/// A message to the queue.
fn publish(vhost: &str) {
    Broker::shared().post(
        &format!("exchanges/{vhost}/amq.default/publish"),
        &json!({
            "properties": { "delivery_mode": 2 }, "routing_key": "q", "payload": "x",
            "payload_encoding": "string",
        }),
    );
}

/// Takes the messages out of the queue.
fn purge(vhost: &str) {
    Broker::shared().delete(&format!("queues/{vhost}/q/contents"));
}

/// A message that came in since the plan keeps the queue, with all that is bound to it.
#[test]
fn a_refused_removal_leaves_the_bindings() {
    let vhost = "unbound-refused";
    let project = Project::new("refused", &script(vhost, "", ""));
    let _ = project.run(&["apply", "--auto-approve"]).expect(0);
    let all = bindings(vhost);
    project.write("stack.rhai", &script(vhost, "", "max_length: 5"));
    let _ = project.run(&["plan", "--out", "p"]).expect(0);
    publish(vhost);
    let refused = project.run(&["apply", "--auto-approve", "--plan", "p"]).expect(1);
    assert_eq!(bindings(vhost), all);
    let words = refused.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
    let queue = format!("`rabbitmq::queue.broker/{vhost}/q`");
    let message = "it holds 1 message, which nobody agreed to lose";
    let told = format!("{queue} could not be deleted: {message}");
    assert!(words.contains(&told), "{}", refused.text());
    assert_eq!(
        Broker::shared().get(&format!("queues/{vhost}/q"))["arguments"]["x-max-length"],
        json!(null)
    );
    // A binding that goes before it is asked about too.
    purge(vhost);
    let script = script(vhost, "", "max_length: 5").replace("key: \"declared", "key: \"other");
    project.write("stack.rhai", &script);
    let _ = project.run(&["plan", "--out", "p"]).expect(0);
    publish(vhost);
    let refused = project.run(&["apply", "--auto-approve", "--plan", "p"]).expect(1);
    assert_eq!(bindings(vhost), all);
    let words = refused.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains(&format!("{queue} stays: {message}")), "{}", refused.text());
    purge(vhost);
    let _ = project.run(&["apply", "--auto-approve"]).expect(0);
    assert!(bindings(vhost)[0].contains("other"));
    let _ = project.run(&["plan", "--detailed-exitcode"]).expect(0);
    let _ = project.destroy(&[]).expect(0);
}

/// One that comes in after the last look does so as well: no binding goes before the queue.
#[tokio::test(flavor = "multi_thread")]
async fn a_removal_that_is_refused_late_leaves_the_bindings() {
    let vhost = "unbound-late";
    let front = disguise::meeting(
        |_| (),
        move |line| {
            if line.starts_with("DELETE /api/queues/unbound%2Dlate/q") {
                publish(vhost);
            }
            Met::Passed
        },
    )
    .await;
    let port = front.port;
    tokio::task::spawn_blocking(move || {
        let project = Project::new("late", &script(vhost, "", ""));
        let _ = project.run(&["apply", "--auto-approve"]).expect(0);
        bind_by_hand(vhost);
        let all = bindings(vhost);
        project.write("stack.rhai", &script_at(port, vhost, "", "max_length: 5"));
        let refused = project.run(&["apply", "--auto-approve"]).expect(1);
        assert!(refused.stderr.contains("a message came in"), "{}", refused.text());
        assert_eq!(bindings(vhost), all);
        assert_eq!(kept(vhost), 0);
        project.write("stack.rhai", &script(vhost, "", ""));
        let _ = project.run(&["plan", "--detailed-exitcode"]).expect(0);
        let _ = project.destroy(&[]).expect(0);
    })
    .await
    .unwrap();
    // The declared one too: nothing unbinds it.
    let unbound = |line: &&String| line.starts_with("DELETE /api/bindings");
    assert_eq!(front.writes().iter().filter(unbound).count(), 0);
}

/// A vhost with an exchange and a queue, and a binding between them that nobody declares.
async fn bound_by_hand(vhost: &str, exchange: &Json, queue: &Json) -> Bench {
    let bench = Bench::with_vhost(vhost).await;
    bench.create("rabbitmq::exchange", "x", exchange.clone()).await.unwrap();
    bench.create("rabbitmq::queue", "q", queue.clone()).await.unwrap();
    let binding = json!({ "routing_key": "by.hand" });
    Broker::shared().post(&format!("bindings/{vhost}/e/x/q/q"), &binding);
    bench
}

/// Both ends of a binding, removed and made again in any order, by runs that do not know of
/// each other.
#[tokio::test]
async fn a_binding_between_two_that_are_made_anew_survives_a_kill() {
    for number in 0..4 {
        let vhost = format!("unbound-both-{number}");
        let spec = json!({ "vhost": vhost });
        let bench = bound_by_hand(&vhost, &spec, &spec).await;
        let all = bindings(&vhost);
        assert_eq!(all.len(), 1);
        let mut ends = [("rabbitmq::queue", "q"), ("rabbitmq::exchange", "x")];
        if number >= 2 {
            ends.reverse();
        }
        for (kind, name) in ends {
            bench.delete_for_successor(kind, name, spec.clone()).await;
        }
        drop(bench);
        if number % 2 == 1 {
            ends.reverse();
        }
        for (kind, name) in ends {
            // Another run for each.
            Bench::new().await.create(kind, name, spec.clone()).await.unwrap();
        }
        assert_eq!(bindings(&vhost), all, "{number}");
        assert_eq!(kept(&vhost), 0, "{number}");
        Bench::new().await.delete("rabbitmq::vhost", &vhost, &vhost, json!({})).await;
    }
}

/// Something that goes for good takes its bindings out of the notes of others.
#[tokio::test]
async fn a_binding_to_what_goes_for_good_is_forgotten() {
    let vhost = "unbound-for-good";
    let spec = json!({ "vhost": vhost });
    let bench = bound_by_hand(vhost, &spec, &spec).await;
    bench.delete_for_successor("rabbitmq::exchange", "x", spec.clone()).await;
    assert_eq!(kept(vhost), 1);
    bench.delete("rabbitmq::queue", "q", "q", spec.clone()).await;
    assert_eq!(kept(vhost), 0);
    bench.create("rabbitmq::exchange", "x", spec.clone()).await.unwrap();
    assert_eq!((bindings(vhost), kept(vhost)), (Vec::new(), 0));

    // And a binding that goes for good is in none.
    bench.create("rabbitmq::queue", "q", spec.clone()).await.unwrap();
    let binding = json!({ "vhost": vhost, "source": "x", "destination": "q" });
    bench.create("rabbitmq::binding", "b", binding.clone()).await.unwrap();
    bench.delete_for_successor("rabbitmq::queue", "q", spec.clone()).await;
    assert_eq!(kept(vhost), 1);
    bench.delete("rabbitmq::binding", "b", "", binding).await;
    assert_eq!(kept(vhost), 0);
    bench.delete("rabbitmq::vhost", vhost, vhost, json!({})).await;
}

/// A client may make a queue again that a run which was killed has removed: what was bound to
/// it then comes back with the next one all the same.
#[tokio::test]
async fn bindings_of_an_earlier_run_stay_in_mind() {
    let vhost = "unbound-again";
    let spec = json!({ "vhost": vhost });
    let bench = bound_by_hand(vhost, &spec, &spec).await;
    let all = bindings(vhost);
    bench.delete_for_successor("rabbitmq::queue", "q", spec.clone()).await;
    drop(bench);
    Broker::shared().put(&format!("queues/{vhost}/q"), &json!({ "durable": true }));
    let next = Bench::new().await;
    let told = next.preview("rabbitmq::queue", "q", spec.clone()).await;
    let words = "of an earlier run that was cut off, 1 binding come";
    assert!(told.iter().any(|note| note.starts_with(words)), "{told:?}");
    next.delete_for_successor("rabbitmq::queue", "q", spec.clone()).await;
    assert_eq!(kept(vhost), 1);
    next.create("rabbitmq::queue", "q", spec).await.unwrap();
    assert_eq!((bindings(vhost), kept(vhost)), (all, 0));
    next.delete("rabbitmq::vhost", vhost, vhost, json!({})).await;
}

/// A removal that failed leaves no note that binds something years later.
#[tokio::test]
async fn a_note_of_what_was_not_removed_goes() {
    let vhost = "unbound-stays";
    let spec = json!({ "vhost": vhost });
    drop(bound_by_hand(vhost, &spec, &spec).await);
    let all = bindings(vhost);
    // The server says no.
    let permission = format!("permissions/{vhost}/guest");
    let bench = Bench::new().await;
    Broker::shared().delete(&permission);
    assert!(
        bench.try_delete_for_successor("rabbitmq::queue", "q", spec.clone()).await.is_err()
    );
    assert_eq!(kept(vhost), 0);
    Broker::shared()
        .put(&permission, &json!({ "configure": ".*", "write": ".*", "read": ".*" }));
    drop(bench);
    // Nobody knows what it did.
    let lost = |line: &str| {
        if line.starts_with("DELETE /api/queues/") { Met::Lost } else { Met::Passed }
    };
    let front = disguise::meeting(|_| (), lost).await;
    let bench = Bench::at(front.port).await;
    assert!(
        bench.try_delete_for_successor("rabbitmq::queue", "q", spec.clone()).await.is_err()
    );
    assert_eq!((bindings(vhost), kept(vhost)), (all, 1));
    drop(bench);
    // One that has nothing to do with the queue leaves it: this run may be at it still.
    let other = Bench::new().await;
    other.create("rabbitmq::exchange", "y", spec.clone()).await.unwrap();
    assert_eq!(kept(vhost), 1);
    // The next run sees that it did nothing.
    let next = Bench::new().await;
    assert!(next.read("rabbitmq::queue", "q", spec.clone()).await.is_some());
    assert_eq!(next.preview("rabbitmq::queue", "q", spec.clone()).await, [""; 0]);
    next.create("rabbitmq::exchange", "z", spec).await.unwrap();
    assert_eq!(kept(vhost), 0);
    next.delete("rabbitmq::vhost", vhost, vhost, json!({})).await;
}

/// An exchange that the server deletes after its last binding stays while the queue behind that
/// is made anew, and with it what leads there.
#[test]
fn an_exchange_outlives_its_last_queue() {
    for more in ["", "type: \"x-consistent-hash\""] {
        let vhost = "unbound-last";
        let broker = Broker::shared();
        let body = |queue: &str| {
            let port = broker.port;
            format!(
                "let mq = rabbitmq::server(\"broker\", #{{ host: \"127.0.0.1\", port: {port}, \
                 password: \"guest\" }});\n\
                 let v = mq.vhost(\"{vhost}\");\n\
                 let x = v.exchange(\"x\", #{{ auto_delete: true, {more} }});\n\
                 let q = v.queue(\"q\", #{{ {queue} }});\n\
                 v.binding(\"declared\", #{{ source: x, destination: q, routing_key: \"3\" }});\n"
            )
        };
        let project = Project::new("last", &body(""));
        let _ = project.run(&["apply", "--auto-approve"]).expect(0);
        broker.post(
            &format!("bindings/{vhost}/e/amq.topic/e/x"),
            &json!({ "routing_key": "by.hand" }),
        );
        let all = bindings(vhost);
        assert_eq!(all.len(), 2);
        project.write("stack.rhai", &body("max_length: 5"));
        let _ = project.run(&["apply", "--auto-approve"]).expect(0);
        assert_eq!((bindings(vhost), kept(vhost)), (all, 0));
        let _ = project.run(&["plan", "--detailed-exitcode"]).expect(0);
        let _ = project.run(&["destroy", "--auto-approve"]).expect(0);
    }
}
