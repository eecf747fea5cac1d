//! What a plan says about policies, and what the server then does.

use std::time::Duration;

use serde_json::{Value as Json, json};

use super::bench::Bench;
use super::broker::Broker;

/// A queue once the server tells that a policy counts for it, which takes it seconds.
async fn governed(vhost: &str, queue: &str, by: (&str, &str)) -> Json {
    for _ in 0..200 {
        let seen = Broker::shared().get(&format!("queues/{vhost}/{queue}"));
        if seen[by.0] == by.1 {
            return seen;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("`{}` never counts for {queue}", by.1);
}

#[tokio::test]
async fn a_policy_says_what_it_is_for() {
    let vhost = "preview";
    let bench = Bench::with_vhost(vhost).await;
    for (name, queue_type) in [("c", "classic"), ("q", "quorum"), ("s", "stream")] {
        let spec = json!({ "vhost": vhost, "type": queue_type });
        bench.create("rabbitmq::queue", name, spec).await.unwrap();
    }
    bench.create("rabbitmq::exchange", "x", json!({ "vhost": vhost })).await.unwrap();
    let policy = |apply_to: &str, definition: Json| json!({ "vhost": vhost, "pattern": "^[cqsx]$", "apply_to": apply_to, "definition": definition });
    let says = async |apply_to: &str, definition: Json| {
        bench.preview("rabbitmq::policy", "p", policy(apply_to, definition)).await
    };
    assert_eq!(
        says("all", json!({ "max-length-bytes": 5 })).await,
        ["matches 3 queues that exist: `c`, `q`, `s`", "matches 1 exchange that exists: `x`"]
    );
    // The server leaves a queue out whose type does not know a setting, with all of the policy.
    let mixed = json!({ "max-length": 5, "delivery-limit": 3 });
    assert_eq!(
        says("queues", mixed.clone()).await,
        [
            "matches 1 queue that exists: `q`",
            "the server leaves out `c`: classic queues have no `delivery-limit`",
            "the server leaves out `s`: streams have no `delivery-limit`, `max-length`",
        ]
    );
    bench.create("rabbitmq::policy", "p", policy("queues", mixed.clone())).await.unwrap();
    governed(vhost, "q", ("policy", "p")).await;
    // It would have told of the others, too.
    tokio::time::sleep(Duration::from_secs(6)).await;
    for queue in ["c", "s"] {
        let seen = Broker::shared().get(&format!("queues/{vhost}/{queue}"));
        assert_ne!(seen["policy"], "p", "{queue}");
    }
    bench.delete("rabbitmq::policy", "p", "p", policy("queues", mixed)).await;

    // By type: this server refuses such policies, which the plan says too.
    for (apply_to, queue) in [("classic_queues", "c"), ("quorum_queues", "q"), ("streams", "s")]
    {
        let said = says(apply_to, json!({ "max-length-bytes": 5 })).await;
        assert_eq!(said[0], format!("matches 1 queue that exists: `{queue}`"));
        assert!(said[1].starts_with("apply_to: RabbitMQ 3.10.8 has no policies"), "{said:?}");
    }
    let said = says("queues", json!({ "overflow": "reject-publish-dlx" })).await;
    assert!(said.iter().any(|note| note.starts_with("quorum queues have no")), "{said:?}");
}

/// What one plan makes is weighed together, although nothing of it is there yet.
#[tokio::test]
async fn a_policy_knows_what_the_same_plan_makes() {
    let vhost = "together";
    let bench = Bench::with_vhost(vhost).await;
    bench.create("rabbitmq::queue", "old", json!({ "vhost": vhost })).await.unwrap();
    let spec = |definition: Json| {
        json!({
            "vhost": vhost, "pattern": "^(old|new)$", "apply_to": "queues",
            "definition": definition,
        })
    };
    let limits = || spec(json!({ "max-length": 100 }));
    let operator = || spec(json!({ "max-length": 5 }));
    let queue = || json!({ "vhost": vhost, "type": "quorum" });
    let beside = vec![
        ("rabbitmq::operator_policy", "op", operator()),
        ("rabbitmq::queue", "new", queue()),
    ];
    let said = bench.preview_beside("rabbitmq::policy", "limits", limits(), beside).await;
    assert_eq!(
        said,
        [
            "matches 1 queue that exists: `old`",
            "matches 1 queue that is to be made: `new`",
            "`max-length` stays 5 by operator policy `op` for `new`, `old`",
        ]
    );
    let beside =
        vec![("rabbitmq::policy", "limits", limits()), ("rabbitmq::queue", "new", queue())];
    let said =
        bench.preview_beside("rabbitmq::operator_policy", "op", operator(), beside).await;
    assert_eq!(
        said[2..],
        ["`max-length` is 5, not 100 as in policy `limits`, for `new`, `old`"]
    );
    // What exists of a policy that the plan changes does not count any more.
    bench.create("rabbitmq::operator_policy", "op", operator()).await.unwrap();
    let beside = vec![("rabbitmq::operator_policy", "op", spec(json!({ "max-length": 1000 })))];
    let said = bench.preview_beside("rabbitmq::policy", "limits", limits(), beside).await;
    assert_eq!(
        said[1..],
        ["`max-length` is 100, not 1000 as in operator policy `op`, for `old`"]
    );
}

/// Needs a later server; this one says so while planning and when it is told all the same.
#[tokio::test]
async fn a_vhost_is_protected_by_later_servers_only() {
    let bench = Bench::new().await;
    let spec = json!({ "deletion_protection": true });
    let said = bench.preview("rabbitmq::vhost", "kept", spec.clone()).await;
    let why = "RabbitMQ 3.10.8 cannot protect a vhost from deletion: that came with 4.1";
    assert!(said[0].starts_with(&format!("deletion_protection: {why}")), "{said:?}");
    let Err(error) = bench.create("rabbitmq::vhost", "kept", spec).await else {
        panic!("it is made");
    };
    assert!(error.message.ends_with(why), "{}", error.message);
}

#[tokio::test]
async fn policies_and_operator_policies_are_weighed_as_the_server_does() {
    let vhost = "weighed";
    let bench = Bench::with_vhost(vhost).await;
    bench.create("rabbitmq::queue", "q", json!({ "vhost": vhost })).await.unwrap();
    let spec = |priority: i64, definition: Json| {
        json!({
            "vhost": vhost, "pattern": "^q$", "apply_to": "queues", "priority": priority,
            "definition": definition,
        })
    };
    let limits = spec(3, json!({ "max-length": 100, "message-ttl": 10, "expires": 60_000 }));
    bench.create("rabbitmq::policy", "limits", limits.clone()).await.unwrap();

    let operator = spec(0, json!({ "max-length": 5, "message-ttl": 1000, "expires": 60_000 }));
    let said = bench.preview("rabbitmq::operator_policy", "op", operator.clone()).await;
    assert_eq!(
        said,
        [
            "matches 1 queue that exists: `q`",
            "`max-length` is 5, not 100 as in policy `limits`, for `q`",
            "`message-ttl` stays 10 by policy `limits` for `q`",
        ]
    );
    bench.create("rabbitmq::operator_policy", "op", operator).await.unwrap();
    governed(vhost, "q", ("policy", "limits")).await;
    let seen = governed(vhost, "q", ("operator_policy", "op")).await;
    assert_eq!(
        seen["effective_policy_definition"],
        json!({ "max-length": 5, "message-ttl": 10, "expires": 60_000 })
    );

    // The same from the other side, and one that is outranked says nothing of it.
    let said = bench.preview("rabbitmq::policy", "limits", limits).await;
    assert_eq!(
        said[1..],
        [
            "`max-length` stays 5 by operator policy `op` for `q`",
            "`message-ttl` is 10, not 1000 as in operator policy `op`, for `q`",
        ]
    );
    let said =
        bench.preview("rabbitmq::policy", "lower", spec(1, json!({ "max-length": 7 }))).await;
    assert_eq!(said[1..], ["policy `limits` counts instead, by priority 3, for `q`"]);
    let higher = spec(2, json!({ "max-length": 3 }));
    let said = bench.preview("rabbitmq::operator_policy", "higher", higher).await;
    assert_eq!(
        said[1..],
        [
            "counts instead of operator policy `op`, by priority 2, for `q`",
            "`max-length` is 3, not 100 as in policy `limits`, for `q`",
        ]
    );
}
