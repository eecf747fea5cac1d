//! What is written arrives, and what others change is seen.

use serde_json::{Value as Json, json};

use super::bench::Bench;
use super::broker::Broker;
use super::disguise;

#[tokio::test]
async fn a_default_queue_type_that_the_server_does_not_change_is_an_error() {
    let bench = Bench::new().await;
    let kind = "rabbitmq::vhost";
    let quorum = json!({ "default_queue_type": "quorum" });
    bench.create(kind, "typed", quorum.clone()).await.unwrap();
    assert_eq!(Broker::shared().get("vhosts/typed")["default_queue_type"], "quorum");

    let (from, to) = (quorum, json!({ "default_queue_type": "stream" }));
    let (from, to) = (bench.spec(kind, from), bench.spec(kind, to));
    let calls = &bench.registry.kind(kind).unwrap().calls;
    let name = bench.name(kind, "typed");
    let updated = calls.update(&bench.server, &name, "typed", &from, &to).await;
    assert_eq!(
        updated.unwrap_err().message,
        "cannot change vhost `typed`: RabbitMQ 3.10.8 does not change the default queue type \
         of a vhost that exists"
    );
    assert_eq!(Broker::shared().get("vhosts/typed")["default_queue_type"], "quorum");
}

#[tokio::test]
async fn the_default_vhost_works() {
    let bench = Bench::new().await;
    let spec = json!({ "vhost": "/" });
    bench.create("rabbitmq::queue", "in-default", spec.clone()).await.unwrap();
    let seen = Broker::shared().get("queues/%2F/in-default");
    assert_eq!((&seen["type"], &seen["durable"]), (&json!("classic"), &json!(true)));
    bench.delete("rabbitmq::queue", "in-default", "in-default", spec).await;
    assert_eq!(Broker::shared().get("queues/%2F/in-default")["error"], "Object Not Found");
}

#[tokio::test]
async fn what_is_written_arrives() {
    let broker = Broker::shared();
    let bench = Bench::with_vhost("seen").await;
    let queue = json!({
        "vhost": "seen", "type": "quorum", "message_ttl": 5, "dead_letter_exchange": "",
    });
    bench.create("rabbitmq::queue", "q", queue).await.unwrap();
    assert_eq!(
        broker.get("queues/seen/q")["arguments"],
        json!({ "x-dead-letter-exchange": "", "x-message-ttl": 5, "x-queue-type": "quorum" })
    );
    let exchange = json!({ "vhost": "seen", "type": "topic", "internal": true });
    bench.create("rabbitmq::exchange", "x", exchange).await.unwrap();
    let seen = broker.get("exchanges/seen/x");
    assert_eq!((&seen["type"], &seen["internal"]), (&json!("topic"), &json!(true)));
    let binding = json!({
        "vhost": "seen", "source": "x", "destination": "q", "routing_key": "a.#",
    });
    bench.create("rabbitmq::binding", "link", binding).await.unwrap();
    assert_eq!(broker.get("bindings/seen/e/x/q/q")[0]["routing_key"], "a.#");
}

#[tokio::test]
async fn a_password_is_hashed_here_and_works_there() {
    let broker = Broker::shared();
    let bench = Bench::new().await;
    let spec = json!({ "password": "s3cret – ü", "tags": ["management"] });
    bench.create("rabbitmq::user", "hashed", spec).await.unwrap();
    assert_eq!(broker.get_as("hashed", "s3cret – ü", "whoami")["name"], "hashed");
    assert_eq!(broker.get_as("hashed", "wrong", "whoami")["reason"], "Login failed");
}

#[tokio::test]
async fn a_password_changed_by_hand_is_seen_and_not_shown() {
    let bench = Bench::new().await;
    let spec = json!({ "password": "mine", "tags": ["management"] });
    bench.create("rabbitmq::user", "drifted", spec.clone()).await.unwrap();
    Broker::shared().put("users/drifted", &json!({ "password": "theirs", "tags": "" }));

    let found = bench.read("rabbitmq::user", "drifted", spec.clone()).await.unwrap();
    assert_eq!(found.spec.to_json()["password"], "(another password)");
    assert_eq!(found.spec.to_json()["tags"], json!([]));
    let shown = format!("{:?}", found.spec.marked_like(&bench.spec("rabbitmq::user", spec)));
    assert!(!shown.contains("mine") && !shown.contains("theirs"), "{shown}");
}

#[tokio::test]
async fn changing_tags_keeps_the_password() {
    let bench = Bench::new().await;
    let spec = |tags: Json| json!({ "password": "kept", "tags": tags });
    bench.create("rabbitmq::user", "tagged", spec(json!([]))).await.unwrap();
    let from = bench.spec("rabbitmq::user", spec(json!([])));
    let to = bench.spec("rabbitmq::user", spec(json!(["management"])));
    let calls = &bench.registry.kind("rabbitmq::user").unwrap().calls;
    let name = bench.name("rabbitmq::user", "tagged");
    calls.update(&bench.server, &name, "tagged", &from, &to).await.unwrap();
    assert_eq!(Broker::shared().get_as("tagged", "kept", "whoami")["name"], "tagged");
}

#[tokio::test]
async fn what_is_deleted_by_hand_reads_as_gone() {
    let broker = Broker::shared();
    let bench = Bench::with_vhost("by-hand").await;
    let queue = json!({ "vhost": "by-hand" });
    bench.create("rabbitmq::queue", "q", queue.clone()).await.unwrap();
    let exchange = json!({ "vhost": "by-hand" });
    bench.create("rabbitmq::exchange", "x", exchange).await.unwrap();
    let link = json!({ "vhost": "by-hand", "source": "x", "destination": "q" });
    bench.create("rabbitmq::binding", "link", link.clone()).await.unwrap();

    broker.delete("queues/by-hand/q");
    assert!(bench.read("rabbitmq::queue", "q", queue.clone()).await.is_none());
    assert!(bench.read("rabbitmq::binding", "link", link.clone()).await.is_none());

    // With the vhost gone, what was in it is gone too, and deleting it is fine.
    broker.delete("vhosts/by-hand");
    assert!(bench.read("rabbitmq::vhost", "by-hand", json!({})).await.is_none());
    for (kind, spec) in [
        ("rabbitmq::queue", queue.clone()),
        ("rabbitmq::exchange", queue.clone()),
        ("rabbitmq::permission", queue),
        ("rabbitmq::policy", json!({ "vhost": "by-hand", "pattern": "", "definition": {} })),
        ("rabbitmq::binding", link),
    ] {
        assert!(bench.read(kind, "q", spec.clone()).await.is_none(), "{kind}");
        bench.delete(kind, "q", "q", spec).await;
    }
}

/// What no attribute says is a difference, not the end of the plan.
#[tokio::test]
async fn settings_made_by_hand_are_seen() {
    let bench = Bench::with_vhost("settings").await;
    let put = |component: &str, value: Json| {
        let path = format!("parameters/{component}/settings/one");
        Broker::shared().put(&path, &json!({ "value": value }));
    };
    let shovel = json!({
        "vhost": "settings", "src_uri": "amqp://", "src_queue": "a", "dest_uri": "amqp://",
        "dest_queue": "b",
    });
    put(
        "shovel",
        json!({
            "src-uri": ["amqp://"], "src-queue": "a", "dest-uri": "amqp://", "dest-queue": "b",
            "dest-queue-args": { "x-queue-type": "classic" },
            // As servers before 3.7 called them.
            "add-timestamp-header": true, "publish-properties": { "delivery_mode": 2 },
        }),
    );
    let found = bench.read("rabbitmq::shovel", "one", shovel.clone()).await.unwrap();
    let found = found.spec.to_json();
    assert_eq!(found["settings"], json!({ "dest-queue-args": { "x-queue-type": "classic" } }));
    assert_eq!(found["dest_add_timestamp_header"], true);
    assert_eq!(found["dest_publish_properties"], json!({ "delivery_mode": 2 }));
    assert_eq!(
        (&found["src_uri"], &found["src_protocol"]),
        (&json!("amqp://"), &json!("amqp091"))
    );

    let upstream = json!({ "vhost": "settings", "uri": "amqp://other" });
    put("federation-upstream", json!({ "uri": "amqp://other", "ha-policy": "all" }));
    let found = bench.read("rabbitmq::federation_upstream", "one", upstream).await.unwrap();
    assert_eq!(found.spec.to_json()["settings"], json!({ "ha-policy": "all" }));

    let set = json!({ "vhost": "settings", "upstreams": ["one"] });
    put("federation-upstream-set", json!([{ "upstream": "one", "max-hops": 2 }]));
    let kind = "rabbitmq::federation_upstream_set";
    let found = bench.read(kind, "one", set).await.unwrap();
    assert_eq!(found.spec.to_json()["upstreams"], json!(["one (with settings of its own)"]));
    bench.delete("rabbitmq::shovel", "one", "one", shovel).await;
}

/// Permissions for topics that stand without a permission are not seen, and gone once there is
/// one. While some go, the user keeps what they may do, and nobody may use a key that they may
/// not use in the end; all of it goes so that what a run that is killed leaves is seen.
#[tokio::test]
async fn permissions_for_topics_end_with_those_that_are_declared() {
    let front = disguise::start(|_| ()).await;
    let bench = Bench::at(front.port).await;
    let (vhost, user, kind) = ("topics", "topics-user", "rabbitmq::permission");
    bench.create("rabbitmq::vhost", vhost, json!({})).await.unwrap();
    bench.create("rabbitmq::user", user, json!({ "password": "pw" })).await.unwrap();
    let left = json!({ "exchange": "left", "write": "^a", "read": "^a" });
    Broker::shared().put("topic-permissions/topics/topics-user", &left);
    let spec = |topics: Json| json!({ "vhost": vhost, "read": ".*", "topics": topics });
    let topic = json!({ "write": "^b", "read": "^b" });
    let both = spec(json!({ "one": topic, "two/ü": topic }));
    bench.create(kind, user, both.clone()).await.unwrap();
    let found = bench.read(kind, user, both.clone()).await.unwrap();
    assert_eq!(found.spec.to_json()["topics"], both["topics"]);

    let before = front.writes().len();
    let one = spec(json!({ "one": topic }));
    let (from, to) = (bench.spec(kind, both), bench.spec(kind, one.clone()));
    let calls = &bench.registry.kind(kind).unwrap().calls;
    calls.update(&bench.server, &bench.name(kind, user), user, &from, &to).await.unwrap();
    let found = bench.read(kind, user, one.clone()).await.unwrap();
    assert_eq!(found.spec.to_json()["topics"], one["topics"]);
    let permission = "/api/permissions/topics/topics%2Duser";
    let topics = "/api/topic%2Dpermissions/topics/topics%2Duser";
    let expected = [format!("PUT {permission}"), format!("DELETE {topics}/two%2F%C3%BC")];
    let sent = front.writes().split_off(before);
    assert_eq!(lines(&sent), expected);
    assert!(sent[0].contains("\"read\":\".*\""), "{sent:?}");

    let before = front.writes().len();
    bench.delete(kind, user, user, one.clone()).await;
    let sent = front.writes().split_off(before);
    let expected = [
        format!("PUT {permission}"),
        format!("DELETE {topics}"),
        format!("DELETE {permission}"),
    ];
    assert_eq!(lines(&sent), expected);
    assert!(sent[0].contains("\"read\":\"\""), "{sent:?}");
    // Nor is one made that is gone.
    let before = front.writes().len();
    bench.delete(kind, user, user, one).await;
    let sent = front.writes().split_off(before);
    assert_eq!(lines(&sent), [format!("DELETE {topics}"), format!("DELETE {permission}")]);
}

/// The methods and paths of requests.
fn lines(sent: &[String]) -> Vec<String> {
    let line = |line: &String| line.split(' ').take(2).collect::<Vec<_>>().join(" ");
    sent.iter().map(line).collect()
}
