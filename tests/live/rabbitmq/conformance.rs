//! Every kind and attribute on a real broker.

use serde_json::{Value as Json, json};

use super::bench::Bench;

#[tokio::test]
async fn vhost_conforms() {
    let changes = vec![
        ("description", json!("Orders – ü")),
        ("tags", json!(["b", "a", "b"])),
        ("tracing", json!(true)),
        ("max_connections", json!(0)),
        ("max_connections", json!(7)),
        ("max_queues", json!(100_000)),
    ];
    // 3.10 does not change a default queue type, so it is the same in each run, and protects no
    // vhost from deletion.
    let fixed = &["default_queue_type", "deletion_protection"];
    let bench = Bench::new().await;
    let kind = "rabbitmq::vhost";
    bench.conform(kind, "conf/vhost 1%", json!({}), changes.clone(), fixed).await;
    for queue_type in ["classic", "quorum", "stream"] {
        let base = json!({ "default_queue_type": queue_type });
        bench.conform(kind, "conf/vhost 2%", base, changes.clone(), fixed).await;
    }
}

#[tokio::test]
async fn user_conforms() {
    let changes = vec![
        ("password", json!("other – pässword")),
        ("hashing_algorithm", json!("sha512")),
        ("tags", json!(["monitoring", "administrator"])),
        ("max_connections", json!(3)),
        ("max_channels", json!(0)),
    ];
    let bench = Bench::new().await;
    let base = json!({ "password": "pw" });
    bench.conform("rabbitmq::user", "conf ü/%", base, changes, &["password_hash"]).await;
}

#[tokio::test]
async fn user_without_password_conforms() {
    // `test12`, by the example of the documentation, and by SHA-512 of nothing.
    let hash = "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR";
    let changes = vec![("password_hash", json!(hash)), ("tags", json!(["management"]))];
    let elsewhere = &["password", "hashing_algorithm", "max_connections", "max_channels"];
    let bench = Bench::new().await;
    bench.conform("rabbitmq::user", "certified", json!({}), changes, elsewhere).await;
}

#[tokio::test]
async fn permission_conforms() {
    let bench = Bench::with_vhost("conf/permission").await;
    bench.create("rabbitmq::vhost", "conf/permission2", json!({})).await.unwrap();
    bench.create("rabbitmq::user", "conf-perm", json!({ "password": "x" })).await.unwrap();
    let changes = vec![
        ("configure", json!("^a\\.")),
        ("write", json!(".*")),
        ("read", json!("^(a|b)$")),
        ("topics", json!({ "amq.topic": { "write": "^a\\.", "read": "" }, "other": {} })),
        ("topics", json!({ "amq.topic": { "write": ".*", "read": ".*" } })),
        ("vhost", json!("conf/permission2")),
    ];
    let base = json!({ "vhost": "conf/permission" });
    bench.conform("rabbitmq::permission", "conf-perm", base, changes, &[]).await;
}

/// Arguments of every shape the API takes.
fn odd_arguments() -> Json {
    json!({
        "text": "ü", "int": -3, "big": 12_345_678_901_i64, "float": 1.5, "whole": 2.0,
        "bool": true, "list": [1, "x", { "deep": [false] }], "table": { "a": { "b": 1 } },
    })
}

#[tokio::test]
async fn exchange_conforms() {
    let bench = Bench::with_vhost("conf/exchange").await;
    bench.create("rabbitmq::vhost", "conf/exchange2", json!({})).await.unwrap();
    let changes = vec![
        ("type", json!("topic")),
        ("durable", json!(false)),
        ("auto_delete", json!(true)),
        ("internal", json!(true)),
        ("alternate_exchange", json!("other")),
        ("arguments", odd_arguments()),
        ("arguments", json!({ "alternate-exchange": "other", "x": 1 })),
        ("vhost", json!("conf/exchange2")),
    ];
    let base = json!({ "vhost": "conf/exchange" });
    let elsewhere = &["hash_header", "hash_property", "delayed_type"];
    bench.conform("rabbitmq::exchange", "a/b %ü#*", base, changes, elsewhere).await;
}

/// Debian carries this plugin and not the one for delays.
#[tokio::test]
async fn consistent_hash_exchange_conforms() {
    let bench = Bench::with_vhost("conf/hash").await;
    let changes = vec![
        ("hash_header", json!("customer")),
        ("hash_property", json!("correlation_id")),
        ("arguments", json!({ "hash-header": "customer" })),
    ];
    let elsewhere = &[
        "type",
        "durable",
        "auto_delete",
        "internal",
        "alternate_exchange",
        "vhost",
        "delayed_type",
    ];
    let base = json!({ "vhost": "conf/hash", "type": "x-consistent-hash" });
    bench.conform("rabbitmq::exchange", "hash", base, changes, elsewhere).await;
}

#[tokio::test]
async fn classic_queue_conforms() {
    let bench = Bench::with_vhost("conf/classic").await;
    bench.create("rabbitmq::vhost", "conf/classic2", json!({})).await.unwrap();
    let changes = vec![
        ("type", json!("quorum")),
        ("durable", json!(false)),
        ("auto_delete", json!(true)),
        ("dead_letter_exchange", json!("")),
        ("message_ttl", json!(60_000)),
        ("expires", json!(3_600_000)),
        ("max_length", json!(10)),
        ("max_length_bytes", json!(1_000_000)),
        ("overflow", json!("reject-publish-dlx")),
        ("max_priority", json!(5)),
        ("single_active_consumer", json!(true)),
        ("queue_mode", json!("lazy")),
        ("queue_version", json!(2)),
        ("migrate", json!("drain")),
        ("arguments", odd_arguments()),
        ("arguments", json!({ "x-message-ttl": 1000, "x-queue-type": "classic" })),
        ("vhost", json!("conf/classic2")),
    ];
    let elsewhere = &[
        "dead_letter_routing_key",
        "dead_letter_strategy",
        "delivery_limit",
        "initial_cluster_size",
        "max_age",
        "queue_leader_locator",
        "quorum_initial_group_size",
        "stream_max_segment_size_bytes",
    ];
    let base = json!({ "vhost": "conf/classic" });
    bench.conform("rabbitmq::queue", "a/b %ü#*", base, changes, elsewhere).await;
}

/// What classic queues cannot have, and what they can.
const CLASSIC: &[&str] = &[
    "auto_delete",
    "durable",
    "max_priority",
    "overflow",
    "migrate",
    "queue_mode",
    "queue_version",
    "type",
    "vhost",
];

#[tokio::test]
async fn quorum_queue_conforms() {
    let bench = Bench::with_vhost("conf/quorum").await;
    let changes = vec![
        ("dead_letter_exchange", json!("other")),
        ("dead_letter_routing_key", json!("dead")),
        ("dead_letter_strategy", json!("at-most-once")),
        ("message_ttl", json!(60_000)),
        ("expires", json!(3_600_000)),
        ("max_length", json!(10)),
        ("max_length_bytes", json!(1_000_000)),
        ("overflow", json!("reject-publish")),
        ("delivery_limit", json!(3)),
        ("single_active_consumer", json!(true)),
        ("quorum_initial_group_size", json!(1)),
        ("queue_leader_locator", json!("balanced")),
        ("arguments", json!({ "x-max-in-memory-length": 5 })),
    ];
    let base = json!({
        "vhost": "conf/quorum", "type": "quorum", "dead_letter_exchange": "",
        "overflow": "drop-head",
    });
    let fixed =
        [CLASSIC, &["initial_cluster_size", "max_age", "stream_max_segment_size_bytes"]];
    let fixed = fixed.concat().leak();
    bench.conform("rabbitmq::queue", "replicated", base, changes, fixed).await;
}

#[tokio::test]
async fn stream_conforms() {
    let bench = Bench::with_vhost("conf/stream").await;
    let changes = vec![
        ("max_length_bytes", json!(20_000_000)),
        ("max_age", json!("7D")),
        ("stream_max_segment_size_bytes", json!(1_000_000)),
        ("initial_cluster_size", json!(1)),
        ("queue_leader_locator", json!("client-local")),
        ("arguments", json!({ "x-max-age": "1h" })),
    ];
    let other = &[
        "dead_letter_exchange",
        "dead_letter_routing_key",
        "dead_letter_strategy",
        "delivery_limit",
        "expires",
        "max_length",
        "message_ttl",
        "quorum_initial_group_size",
        "single_active_consumer",
    ];
    let base = json!({ "vhost": "conf/stream", "type": "stream" });
    let fixed = [CLASSIC, other].concat().leak();
    bench.conform("rabbitmq::queue", "log", base, changes, fixed).await;
}

#[tokio::test]
async fn binding_conforms() {
    let bench = Bench::with_vhost("conf/binding").await;
    bench.create("rabbitmq::vhost", "conf/binding2", json!({})).await.unwrap();
    for vhost in ["conf/binding", "conf/binding2"] {
        for name in ["from/ü", "other"] {
            let spec = json!({ "vhost": vhost, "type": "headers" });
            bench.create("rabbitmq::exchange", name, spec).await.unwrap();
        }
        for name in ["to %", "other"] {
            bench.create("rabbitmq::queue", name, json!({ "vhost": vhost })).await.unwrap();
        }
    }
    let mut changes = vec![
        ("source", json!("other")),
        ("destination", json!("other")),
        ("destination_type", json!("exchange")),
        ("arguments", json!({ "x-match": "all", "kind": "invoice", "n": 1, "b": false })),
        ("vhost", json!("conf/binding2")),
    ];
    for key in ["a", "a.*.#", "a b", "a/b", "ü~%+&?=", "~", ".", "..", "%2F"] {
        changes.push(("routing_key", json!(key)));
    }
    let base = json!({
        "vhost": "conf/binding", "source": "from/ü", "destination": "to %",
    });
    // For the exchange that `destination_type` leads to.
    let spec = json!({ "vhost": "conf/binding" });
    bench.create("rabbitmq::exchange", "to %", spec).await.unwrap();
    bench.conform("rabbitmq::binding", "link", base, changes, &[]).await;
}

#[tokio::test]
async fn policy_conforms() {
    let bench = Bench::with_vhost("conf/policy").await;
    bench.create("rabbitmq::vhost", "conf/policy2", json!({})).await.unwrap();
    let changes = vec![
        ("pattern", json!("^(orders|ü)\\.")),
        ("apply_to", json!("queues")),
        ("priority", json!(7)),
        ("definition", json!({ "max-length": 5, "overflow": "reject-publish" })),
        ("vhost", json!("conf/policy2")),
    ];
    let base = json!({
        "vhost": "conf/policy", "pattern": ".*", "definition": { "max-length": 10 },
    });
    bench.conform("rabbitmq::policy", "p/ü %", base, changes, &[]).await;
}

#[tokio::test]
async fn operator_policy_conforms() {
    let bench = Bench::with_vhost("conf/operator").await;
    bench.create("rabbitmq::vhost", "conf/operator2", json!({})).await.unwrap();
    let changes = vec![
        ("pattern", json!("^(orders|ü)\\.")),
        ("priority", json!(7)),
        ("definition", json!({ "max-length": 5, "message-ttl": 60_000 })),
        ("vhost", json!("conf/operator2")),
    ];
    let base = json!({
        "vhost": "conf/operator", "pattern": ".*", "apply_to": "queues",
        "definition": { "max-length": 10 },
    });
    bench.conform("rabbitmq::operator_policy", "p/ü %", base, changes, &["apply_to"]).await;
}

#[tokio::test]
async fn parameters_conform() {
    let bench = Bench::with_vhost("conf/parameter").await;
    bench.create("rabbitmq::vhost", "conf/parameter2", json!({})).await.unwrap();
    let changes = vec![
        ("value", json!({ "uri": "amqp://user:pass@other" })),
        ("vhost", json!("conf/parameter2")),
    ];
    let base = json!({
        "vhost": "conf/parameter", "component": "federation-upstream",
        "value": { "uri": "amqp://other" },
    });
    bench.conform("rabbitmq::parameter", "p/ü %", base, changes, &["component"]).await;

    let changes = vec![
        ("value", json!("text")),
        ("value", json!([1, true, { "deep": [] }])),
        ("value", json!({})),
    ];
    let base = json!({ "value": 1 });
    bench.conform("rabbitmq::global_parameter", "g/ü %", base, changes, &[]).await;
}

#[tokio::test]
async fn shovel_conforms() {
    let bench = Bench::with_vhost("conf/shovel").await;
    bench.create("rabbitmq::vhost", "conf/shovel2", json!({})).await.unwrap();
    let changes = vec![
        ("src_uri", json!("amqp://guest:guest@127.0.0.1:5672/conf%2Fshovel")),
        ("src_queue", json!("elsewhere")),
        ("src_uri", json!(["amqp://guest:guest@127.0.0.1:5672/%2F", "amqp://"])),
        ("src_consumer_args", json!({ "x-priority": -5 })),
        ("src_prefetch_count", json!(10)),
        ("src_delete_after", json!("never")),
        ("src_delete_after", json!(1_000_000)),
        ("dest_uri", json!("amqp://guest:guest@127.0.0.1:5672/conf%2Fshovel")),
        ("dest_queue", json!("elsewhere")),
        ("dest_add_forward_headers", json!(true)),
        ("dest_add_timestamp_header", json!(true)),
        ("dest_publish_properties", json!({ "delivery_mode": 2, "type": "order" })),
        ("ack_mode", json!("on-publish")),
        ("reconnect_delay", json!(7)),
        ("settings", json!({ "src-queue-args": { "x-max-length": 5 } })),
        ("vhost", json!("conf/shovel2")),
    ];
    let base = json!({
        "vhost": "conf/shovel", "src_uri": "amqp://", "src_queue": "from",
        "dest_uri": "amqp://",
    });
    let elsewhere = &[
        "src_exchange",
        "src_exchange_key",
        "src_protocol",
        "src_address",
        "dest_exchange",
        "dest_exchange_key",
        "dest_protocol",
        "dest_address",
        "dest_properties",
    ];
    bench.conform("rabbitmq::shovel", "s/ü %", base, changes, elsewhere).await;

    let changes = vec![
        ("src_exchange", json!("amq.fanout")),
        ("src_exchange_key", json!("a.#")),
        ("dest_exchange", json!("amq.fanout")),
        ("dest_exchange_key", json!("moved")),
    ];
    let base = json!({
        "vhost": "conf/shovel", "src_uri": "amqp://", "src_exchange": "amq.topic",
        "dest_uri": "amqp://", "dest_exchange": "amq.topic",
    });
    let elsewhere = [SHOVEL, &["src_protocol", "src_address", "src_consumer_args"]].concat();
    let elsewhere =
        [&elsewhere[..], &["dest_protocol", "dest_address", "dest_properties"]].concat().leak();
    bench.conform("rabbitmq::shovel", "exchanges", base, changes, elsewhere).await;

    // By AMQP 1.0, which each end may speak alone.
    let changes = vec![
        ("src_address", json!("/queue/other")),
        ("dest_address", json!("/exchange/amq.topic/ü")),
        ("dest_properties", json!({ "subject": "moved" })),
        ("settings", json!({ "dest-message-annotations": { "x-by": "dollop" } })),
    ];
    let base = json!({
        "vhost": "conf/shovel", "src_uri": "amqp://guest:guest@127.0.0.1:5672",
        "src_protocol": "amqp10", "src_address": "/queue/from",
        "dest_uri": "amqp://guest:guest@127.0.0.1:5672", "dest_protocol": "amqp10",
        "dest_address": "/queue/to",
    });
    let elsewhere = [SHOVEL, &["src_protocol", "src_exchange", "src_exchange_key"]].concat();
    let elsewhere = [
        &elsewhere[..],
        &["src_consumer_args", "dest_protocol", "dest_exchange", "dest_exchange_key"],
    ];
    bench.conform("rabbitmq::shovel", "newer", base, changes, elsewhere.concat().leak()).await;
}

/// What a shovel has whatever its ends are.
const SHOVEL: &[&str] = &[
    "vhost",
    "src_uri",
    "src_queue",
    "src_prefetch_count",
    "src_delete_after",
    "dest_uri",
    "dest_queue",
    "dest_add_forward_headers",
    "dest_add_timestamp_header",
    "dest_publish_properties",
    "ack_mode",
    "reconnect_delay",
    "settings",
];

#[tokio::test]
async fn federation_conforms() {
    let bench = Bench::with_vhost("conf/federation").await;
    bench.create("rabbitmq::vhost", "conf/federation2", json!({})).await.unwrap();
    let changes = vec![
        ("uri", json!("amqp://user:pass@other/%2F")),
        ("prefetch_count", json!(10)),
        ("reconnect_delay", json!(7)),
        ("ack_mode", json!("no-ack")),
        ("trust_user_id", json!(true)),
        ("exchange", json!("theirs")),
        ("max_hops", json!(2)),
        ("expires", json!(60_000)),
        ("message_ttl", json!(60_000)),
        ("queue", json!("theirs")),
        ("consumer_tag", json!("dollop")),
        ("uri", json!(["amqp://a.invalid", "amqp://user:pass@b.invalid/%2F"])),
        ("resource_cleanup_mode", json!("never")),
        ("channel_use_mode", json!("single")),
        ("bind_nowait", json!(true)),
        ("settings", json!({ "ha-policy": "all" })),
        ("vhost", json!("conf/federation2")),
    ];
    let base = json!({ "vhost": "conf/federation", "uri": "amqp://other" });
    bench.conform("rabbitmq::federation_upstream", "up/ü %", base, changes, &[]).await;

    let upstream = json!({ "vhost": "conf/federation", "uri": "amqp://other" });
    for name in ["a", "b"] {
        let kind = "rabbitmq::federation_upstream";
        bench.create(kind, name, upstream.clone()).await.unwrap();
    }
    let changes = vec![("upstreams", json!(["b", "a"])), ("vhost", json!("conf/federation2"))];
    let base = json!({ "vhost": "conf/federation", "upstreams": ["a"] });
    bench.conform("rabbitmq::federation_upstream_set", "set/ü %", base, changes, &[]).await;
}

/// What is never removed has a run of its own.
#[tokio::test]
async fn what_belongs_to_the_server_stays() {
    let bench = Bench::new().await;
    let flag = "rabbitmq::feature_flag";
    bench.create(flag, "stream_queue", json!({})).await.unwrap();
    assert!(bench.read(flag, "stream_queue", json!({})).await.is_some());
    bench.delete(flag, "stream_queue", "stream_queue", json!({})).await;
    assert!(bench.read(flag, "stream_queue", json!({})).await.is_some());
    let error = bench.refused(flag, "steam_queue", json!({})).await;
    assert_eq!(error.message, "RabbitMQ 3.10.8 has no feature flag `steam_queue`");
    assert_eq!(error.hints, ["did you mean `stream_queue`?"]);

    let plugin = "rabbitmq::plugin";
    let found = bench.read(plugin, "rabbitmq_shovel", json!({})).await;
    assert!(found.is_some());
    let error = bench.refused(plugin, "rabbitmq_mqtt", json!({})).await;
    assert_eq!(error.message, "the plugin `rabbitmq_mqtt` is not enabled on every node");
    // Where a job is to enable it, the plan goes on.
    let by_job = json!({ "enabled_by": "a job" });
    assert!(bench.read(plugin, "rabbitmq_mqtt", by_job.clone()).await.is_none());
    bench.create(plugin, "rabbitmq_shovel", by_job.clone()).await.unwrap();
    let found = bench.read(plugin, "rabbitmq_shovel", by_job).await;
    assert!(found.is_some());

    let cluster = "rabbitmq::cluster_name";
    for name in ["shop@test ü/%", "rabbit@lab"] {
        bench.create(cluster, name, json!({})).await.unwrap();
        assert!(bench.read(cluster, name, json!({})).await.is_some());
        assert!(bench.read(cluster, "another", json!({})).await.is_none());
        bench.delete(cluster, name, name, json!({})).await;
    }
}
