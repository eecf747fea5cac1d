//! Servers that are newer than the one the lab has, as far as their definitions differ.

use serde_json::{Value as Json, json};

use super::bench::Bench;
use super::broker::Broker;
use super::disguise;

/// Servers from 3.11.17 on forget the default type of queues when a change does not say it.
#[tokio::test]
async fn a_vhost_keeps_the_default_queue_type_that_nobody_manages() {
    let front = disguise::start(|_| ()).await;
    let bench = Bench::at(front.port).await;
    let kind = "rabbitmq::vhost";
    let typed = json!({ "default_queue_type": "quorum", "defaultqueuetype": "quorum" });
    Broker::shared().put("vhosts/keeps-type", &typed);
    let spec = |spec: Json| bench.spec(kind, spec);
    let name = bench.name(kind, "keeps-type");
    let calls = &bench.registry.kind(kind).unwrap().calls;
    let update = async |from: Json, to: Json| {
        let before = front.writes().len();
        let (from, to) = (spec(from), spec(to));
        calls.update(&bench.server, &name, "keeps-type", &from, &to).await.unwrap();
        front.writes().split_off(before)
    };
    let limited = json!({ "max_queues": 5 });
    let sent = update(json!({}), limited.clone()).await;
    assert_eq!(sent, ["PUT /api/vhost%2Dlimits/keeps%2Dtype/max%2Dqueues {\"value\":5}"]);
    let mut described = limited.clone();
    described["description"] = json!("words");
    let sent = update(limited, described).await;
    assert_eq!(sent.len(), 1, "{sent:?}");
    let (line, body) = sent[0].split_once(" {").unwrap();
    assert_eq!(line, "PUT /api/vhosts/keeps%2Dtype");
    let body: Json = serde_json::from_str(&format!("{{{body}")).unwrap();
    assert_eq!(body["default_queue_type"], "quorum");
    assert_eq!(body["description"], "words");
}
