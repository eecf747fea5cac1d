//! What is refused before anything is sent is what the server refuses, and no more; but for
//! what it takes and keeps no promise about.

use serde_json::{Value as Json, json};

use super::bench::Bench;

/// Every rule about types of queues is the server's: what `check` refuses, it refuses.
#[tokio::test]
async fn the_server_has_the_same_rules() {
    let bench = Bench::with_vhost("rules").await;
    let values = json!({
        "dead_letter_exchange": "x", "dead_letter_strategy": "at-most-once", "message_ttl": 1,
        "expires": 60_000, "max_length": 1, "max_length_bytes": 1, "overflow": "drop-head",
        "delivery_limit": 1, "max_priority": 1, "single_active_consumer": true,
        "max_age": "1D", "stream_max_segment_size_bytes": 1_000_000,
        "quorum_initial_group_size": 1, "initial_cluster_size": 1, "queue_mode": "lazy",
        "queue_version": 2, "durable": false, "auto_delete": true,
    });
    let arguments = [
        ("x-max-in-memory-length", json!(1)),
        ("x-max-in-memory-bytes", json!(1)),
        ("x-queue-master-locator", json!("client-local")),
    ];
    let arguments = arguments.map(|(key, value)| (key, "arguments", json!({ key: value })));
    for queue_type in ["classic", "quorum", "stream"] {
        let values = values.as_object().unwrap().iter();
        let values = values.map(|(key, value)| (key.as_str(), key.as_str(), value.clone()));
        for (attribute, key, value) in values.chain(arguments.clone()) {
            let mut spec = json!({ "vhost": "rules", "type": queue_type });
            spec[key] = value;
            let allowed = bench.problems("rabbitmq::queue", spec.clone()).is_empty();
            let name = format!("{queue_type}-{attribute}");
            let created = bench.create("rabbitmq::queue", &name, spec).await;
            assert_eq!(created.is_ok(), allowed, "{name}: {created:?}");
        }
    }
}

/// The same of numbers: the least and the greatest that are allowed are, one less and one more
/// are not.
#[tokio::test]
async fn the_server_has_the_same_bounds() {
    let bench = Bench::with_vhost("bounds").await;
    let ten_years = 315_360_000_000_i64;
    let any = i64::MAX;
    for (queue_type, attribute, least, most) in [
        ("classic", "message_ttl", 0, ten_years),
        ("quorum", "message_ttl", 0, ten_years),
        ("classic", "expires", 1, ten_years),
        ("quorum", "expires", 1, ten_years),
        ("classic", "max_length", 0, any),
        ("quorum", "max_length", 0, any),
        ("classic", "max_length_bytes", 0, any),
        ("stream", "max_length_bytes", 0, any),
        ("classic", "max_priority", 0, 255),
        ("classic", "queue_version", 1, 2),
        ("quorum", "quorum_initial_group_size", 1, any),
        ("stream", "initial_cluster_size", 1, any),
        ("stream", "stream_max_segment_size_bytes", 0, 3_000_000_000),
    ] {
        let values = [least - 1, least, most, most.saturating_add(1)];
        for (value, allowed) in values.into_iter().zip([false, true, true, most == any]) {
            let spec = json!({ "vhost": "bounds", "type": queue_type, attribute: value });
            let problems = bench.problems("rabbitmq::queue", spec.clone());
            let name = format!("{queue_type}-{attribute}-{value}");
            assert_eq!(problems.is_empty(), allowed, "{name}: {problems:?}");
            let created = bench.create("rabbitmq::queue", &name, spec.clone()).await;
            assert_eq!(created.is_ok(), allowed, "{name}: {created:?}");
            if allowed {
                bench.delete("rabbitmq::queue", &name, &name, spec).await;
            }
        }
    }
}

/// And of the settings of policies.
#[tokio::test]
async fn the_server_has_the_same_rules_for_policies() {
    let bench = Bench::with_vhost("policy-rules").await;
    let policy = |definition: Json| json!({ "vhost": "policy-rules", "pattern": "^none$", "definition": definition });
    let cases = [
        ("message-ttl", json!(0), true),
        ("message-ttl", json!(-1), false),
        ("expires", json!(1), true),
        ("expires", json!(0), false),
        ("max-length", json!(0), true),
        ("max-length", json!(-5), false),
        ("max-length", json!("5"), false),
        ("max-length-bytes", json!(-1), false),
        ("max-in-memory-length", json!(-1), false),
        ("max-in-memory-bytes", json!(-1), false),
        ("max-age", json!("7D"), true),
        ("max-age", json!("7 days"), false),
        ("max-age", json!("0D"), false),
        ("delivery-limit", json!(0), true),
        ("initial-cluster-size", json!(0), true),
        ("initial-cluster-size", json!(-1), false),
        ("queue-version", json!(2), true),
        ("queue-version", json!(3), false),
        ("queue-leader-locator", json!("least-leaders"), true),
        ("stream-max-segment-size-bytes", json!(3_000_000_000_i64), true),
        ("stream-max-segment-size-bytes", json!(3_000_000_001_i64), false),
        ("overflow", json!("drop-tail"), false),
        ("max-priority", json!(5), false),
        ("single-active-consumer", json!(true), false),
        ("quorum-initial-group-size", json!(3), false),
    ];
    for (key, value, allowed) in cases {
        let spec = policy(json!({ key: value }));
        let problems = bench.problems("rabbitmq::policy", spec.clone());
        assert_eq!(problems.is_empty(), allowed, "{key} {value}: {problems:?}");
        let created = bench.create("rabbitmq::policy", "one", spec).await;
        assert_eq!(created.is_ok(), allowed, "{key} {value}: {created:?}");
    }
    let both = json!({ "federation-upstream": "a", "federation-upstream-set": "b" });
    assert_eq!(
        bench.problems("rabbitmq::policy", policy(both.clone())),
        ["definition: `federation-upstream` and `federation-upstream-set` do not go together"]
    );
    assert!(bench.create("rabbitmq::policy", "one", policy(both)).await.is_err());
    // What a server of this version does not know yet is said by the plan.
    let one_type = json!({
        "vhost": "policy-rules", "pattern": "^none$", "apply_to": "quorum_queues",
        "definition": { "max-length": 5 },
    });
    let preview = bench.preview("rabbitmq::policy", "one", one_type.clone()).await;
    assert_eq!(
        preview.last().unwrap(),
        "apply_to: RabbitMQ 3.10.8 has no policies for one type of queue: they came with 3.12"
    );
    assert!(bench.create("rabbitmq::policy", "one", one_type).await.is_err());
    let negative = policy(json!({ "delivery-limit": -1 }));
    let preview = bench.preview("rabbitmq::policy", "one", negative.clone()).await;
    assert_eq!(
        preview.last().unwrap(),
        "definition: RabbitMQ 3.10.8 takes no `delivery-limit` below 0"
    );
    assert!(bench.create("rabbitmq::policy", "one", negative).await.is_err());
}

/// What the server takes, and does otherwise without a word to whoever asked.
#[tokio::test]
async fn what_the_server_would_weaken_in_silence_is_refused() {
    let bench = Bench::new().await;
    let queue = |more: Json| {
        let mut spec = json!({ "vhost": "v", "type": "quorum", "dead_letter_exchange": "x" });
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        bench.problems("rabbitmq::queue", spec)
    };
    let no_such = "overflow: quorum queues have no `reject-publish-dlx`: the server would drop \
                   the oldest messages instead";
    assert_eq!(queue(json!({ "overflow": "reject-publish-dlx" })), [no_such]);
    let sure = |overflow: &str| json!({ "dead_letter_strategy": "at-least-once", "overflow": overflow });
    assert_eq!(
        queue(sure("drop-head")),
        [
            "overflow: a queue that drops messages keeps no promise about dead letters: the server \
          would take `at-least-once` for `at-most-once`"
        ]
    );
    assert_eq!(queue(sure("reject-publish")), [""; 0]);
    let policy = |apply_to: &str, definition: Json| {
        let spec = json!({
            "vhost": "v", "pattern": "", "apply_to": apply_to, "definition": definition,
        });
        bench.problems("rabbitmq::policy", spec)
    };
    assert_eq!(
        policy("quorum_queues", json!({ "overflow": "reject-publish-dlx" })),
        ["definition: quorum queues have no `reject-publish-dlx`: the server would drop the \
          oldest messages instead"]
    );
    assert_eq!(
        policy("streams", json!({ "message-ttl": 5, "max-age": "7D" })),
        ["definition: streams have no `message-ttl`: the server would use the policy for none"]
    );
    assert_eq!(
        policy("quorum_queues", json!({ "queue-mode": "lazy" })),
        [
            "definition: quorum queues have no `queue-mode`: the server would use the policy for \
          none"
        ]
    );
    assert_eq!(
        policy(
            "queues",
            json!({ "dead-letter-strategy": "at-least-once", "overflow": "drop-head" })
        ),
        [
            "definition: with `\"overflow\": \"drop-head\"` the server would take `at-least-once` \
          for `at-most-once`, which loses dead letters"
        ]
    );
}

/// A server of this version refuses what came later, and the plan knows.
#[tokio::test]
async fn what_came_later_is_refused_by_the_plan() {
    let bench = Bench::with_vhost("later").await;
    let all = json!({
        "overflow": "drop-head", "queue-version": 2, "ha-mode": "all",
        "queue-master-locator": "min-masters", "max-length": 5, "max-in-memory-length": 5,
    });
    for (key, value) in all.as_object().unwrap() {
        let spec = json!({
            "vhost": "later", "pattern": "^none$", "apply_to": "queues",
            "definition": { key: value },
        });
        for kind in ["rabbitmq::policy", "rabbitmq::operator_policy"] {
            assert_eq!(bench.problems(kind, spec.clone()), [""; 0], "{kind} {key}");
            let said = bench.preview(kind, "one", spec.clone()).await;
            let refused =
                said.iter().any(|line| line.starts_with("definition: RabbitMQ 3.10.8"));
            let created = bench.create(kind, "one", spec.clone()).await;
            assert_eq!(created.is_err(), refused, "{kind} {key}: {said:?} {created:?}");
        }
    }
    let filters = json!({
        "vhost": "later", "pattern": "^none$", "definition": { "stream-filter-size-bytes": 16 },
    });
    let said = bench.preview("rabbitmq::policy", "one", filters.clone()).await;
    assert_eq!(
        said.last().unwrap(),
        "definition: RabbitMQ 3.10.8 has no `stream-filter-size-bytes` in policies: it came with \
         3.13"
    );
    assert!(bench.create("rabbitmq::policy", "one", filters).await.is_err());
    let queue = |more: Json| {
        let mut spec = json!({ "vhost": "later" });
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        spec
    };
    for (spec, refused) in [
        (json!({ "queue_leader_locator": "balanced" }), true),
        (json!({ "type": "quorum", "queue_leader_locator": "min-masters" }), true),
        (json!({ "type": "quorum", "queue_leader_locator": "random" }), false),
        (json!({ "type": "stream", "queue_leader_locator": "least-leaders" }), false),
        (json!({ "queue_version": 1 }), false),
    ] {
        let spec = queue(spec);
        let name = spec.to_string();
        let said = bench.preview("rabbitmq::queue", &name, spec.clone()).await;
        assert_eq!(!said.is_empty(), refused, "{spec}: {said:?}");
        let created = bench.create("rabbitmq::queue", &name, spec).await;
        assert_eq!(created.is_err(), refused, "{name}: {created:?}");
    }
    // It takes what it does not know, and does nothing by it.
    let waits =
        queue(json!({ "type": "quorum", "arguments": { "x-consumer-timeout": 60_000 } }));
    assert_eq!(
        bench.preview("rabbitmq::queue", "waits", waits.clone()).await,
        [
            "RabbitMQ 3.10.8 does not know `x-consumer-timeout` and leaves it alone: it came with \
          3.12"
        ]
    );
    bench.create("rabbitmq::queue", "waits", waits).await.unwrap();
}

/// Patterns are read as the server reads them.
#[tokio::test]
async fn the_server_has_the_same_patterns() {
    let bench = Bench::with_vhost("patterns").await;
    for pattern in [
        "[[]x",
        "[^[]x",
        r"[\d-x]",
        r"\V+",
        "[]x]",
        "[^]x]",
        "[[:alpha:]]",
        "a++",
        "(?|a|b)",
        r"\h+",
        "x{,3}",
        "[a&&b]",
        r"\Aa\z",
        r"(?<n>a)\k<n>",
        r"\R",
        "a{2",
        r"\_",
        r"\y",
        "]",
        "}",
        "(?#c)x",
        r"\p{L}",
        "(?i)X",
        "a{1,2}",
        "[a-c-e]",
        r"[\w.-]+",
        r"[\w-.]+",
        "[--/]",
        "[[x",
        "a**",
        "[z-a]",
        r"\",
        "(",
        "*",
        "[a",
        "(?<n",
    ] {
        let spec = json!({
            "vhost": "patterns", "pattern": pattern, "definition": { "max-length": 5 },
        });
        let problems = bench.problems("rabbitmq::policy", spec.clone());
        let created = bench.create("rabbitmq::policy", "p", spec).await;
        assert_eq!(problems.is_empty(), created.is_ok(), "{pattern}: {problems:?} {created:?}");
    }
}

/// What is called nearly like something that the server knows.
#[tokio::test]
async fn misspelt_arguments_are_pointed_out() {
    let bench = Bench::new().await;
    let lints = |kind: &str, arguments: Json| {
        let spec = bench.spec(kind, json!({ "vhost": "v", "arguments": arguments }));
        let lints = bench.registry.kind(kind).unwrap().calls.lint(&spec);
        let lints = lints.into_iter().filter(|lint| lint.code.id() == "W0136");
        lints.map(|lint| lint.hint).collect::<Vec<_>>()
    };
    let queue = |arguments: Json| lints("rabbitmq::queue", arguments);
    assert_eq!(queue(json!({ "x-mesage-ttl": 5 })), ["did you mean `x-message-ttl`?"]);
    assert_eq!(
        queue(json!({ "x-consumer-timeot": 5 })),
        ["did you mean `x-consumer-timeout`?"]
    );
    let known =
        json!({ "x-consumer-timeout": 5, "x-max-in-memory-length": 5, "owner": "shop" });
    assert_eq!(queue(known), [""; 0]);
    let exchange = |arguments: Json| lints("rabbitmq::exchange", arguments);
    assert_eq!(
        exchange(json!({ "alternate-exchang": "x" })),
        ["did you mean `alternate-exchange`?"]
    );
    assert_eq!(exchange(json!({ "owner": "shop" })), [""; 0]);
    // And what has no other way to be seen.
    let binding = |how: &str| {
        let spec = json!({
            "vhost": "v", "source": "x", "destination": "q", "arguments": { "x-match": how },
        });
        bench.problems("rabbitmq::binding", spec)
    };
    assert_eq!(binding("every"), ["arguments: `x-match` cannot be \"every\""]);
    assert_eq!(binding("any-with-x"), [""; 0]);
    let component = json!({ "vhost": "v", "component": "policy", "value": 1 });
    assert_eq!(
        bench.problems("rabbitmq::parameter", component),
        ["component: `policy` is not set through parameters"]
    );
}
