//! Servers that are newer than the one the lab has, as far as their definitions differ.

use serde_json::{Value as Json, json};

use super::bench::Bench;
use super::broker::Broker;
use super::disguise;

/// From 4.3.3 on the definitions say less of exchanges, and more of bindings.
#[tokio::test]
async fn exchanges_and_bindings_of_a_server_that_leaves_internal_ones_out() {
    let newer = disguise::start(disguise::as_4_3_3).await;
    let bench = Bench::at(newer.port).await;
    let vhost = "newer";
    Broker::shared().put("vhosts/newer", &json!({}));
    bench.create("rabbitmq::queue", "q", json!({ "vhost": vhost })).await.unwrap();
    let specs = [false, true].map(|internal| json!({ "vhost": vhost, "internal": internal }));
    for (name, spec) in ["x", "inside"].into_iter().zip(&specs) {
        bench.create("rabbitmq::exchange", name, spec.clone()).await.unwrap();
        let found = bench.read("rabbitmq::exchange", name, spec.clone()).await.unwrap();
        assert_eq!(found.spec.to_json()["internal"], spec["internal"], "{name}");
    }
    let to_queue = json!({ "vhost": vhost, "source": "x", "destination": "q" });
    let inside = json!({
        "vhost": vhost, "source": "x", "destination": "inside", "destination_type": "exchange",
    });
    for (name, spec) in [("to-queue", to_queue), ("inside", inside)] {
        bench.create("rabbitmq::binding", name, spec).await.unwrap();
    }
    let listed = async |kind: &str| {
        let listed =
            bench.registry.kind(kind).unwrap().calls.list(&bench.server).await.unwrap();
        let listed = listed.objects.into_iter().map(|one| (one.found.id, one.found.spec));
        let mut listed: Vec<(String, Json)> =
            listed.map(|(name, spec)| (name, spec.to_json())).collect();
        listed.retain(|(_, spec)| {
            spec["vhost"] == vhost || spec["destination"] == "somebody's own"
        });
        listed
    };
    let exchanges = listed("rabbitmq::exchange").await;
    let mut names: Vec<_> = exchanges.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["inside", "x"]);
    let bindings = listed("rabbitmq::binding").await;
    let mut ends: Vec<_> = bindings.iter().map(|(_, spec)| &spec["destination"]).collect();
    ends.sort_by_key(ToString::to_string);
    assert_eq!(ends, ["inside", "q"]);
}

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
