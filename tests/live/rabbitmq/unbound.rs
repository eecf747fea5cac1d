//! Bindings of what is made anew: those that no script declares come back as well, and none is
//! gone when the removal is refused.

use dollop_tests::cli::Project;
use serde_json::json;

use super::bench::Bench;
use super::broker::Broker;

fn script(vhost: &str, exchange: &str, queue: &str) -> String {
    let port = Broker::shared().port;
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

/// A message that came in since the plan keeps the queue, with all that is bound to it.
#[test]
fn a_refused_removal_leaves_the_bindings() {
    let vhost = "unbound-refused";
    let project = Project::new("refused", &script(vhost, "", ""));
    let _ = project.run(&["apply", "--auto-approve"]).expect(0);
    let all = bindings(vhost);
    project.write("stack.rhai", &script(vhost, "", "max_length: 5"));
    let _ = project.run(&["plan", "--out", "p"]).expect(0);
    Broker::shared().post(
        &format!("exchanges/{vhost}/amq.default/publish"),
        &json!({
            "properties": { "delivery_mode": 2 }, "routing_key": "q", "payload": "x",
            "payload_encoding": "string",
        }),
    );
    let refused = project.run(&["apply", "--auto-approve", "--plan", "p"]).expect(1);
    assert_eq!(bindings(vhost), all);
    let words = refused.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
    let message = format!(
        "`rabbitmq::queue.broker/{vhost}/q` stays: it holds 1 message, which nobody agreed to lose"
    );
    assert!(words.contains(&message), "{}", refused.text());
    assert_eq!(
        Broker::shared().get(&format!("queues/{vhost}/q"))["arguments"]["x-max-length"],
        json!(null)
    );
    let _ = project.destroy(&[]).expect(0);
}
