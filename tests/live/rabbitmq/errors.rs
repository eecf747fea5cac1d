//! Refusals in words, and what is refused before anything is sent.

use std::time::Duration;

use dollop_engine::error::{CallError, Failure};
use dollop_engine::resource::Created;
use dollop_engine::value::Value;
use serde_json::{Value as Json, json};

use super::bench::{Bench, open};
use super::broker::Broker;

#[tokio::test]
async fn a_wrong_password_is_denied_in_words() {
    let registry = dollop_stdlib::registry();
    let port = Broker::shared().port;
    let at = json!({ "host": "127.0.0.1", "port": port });
    let error = open(&registry, at, "hunter2").await.err().unwrap();
    assert_eq!(error.failure, Failure::Denied);
    assert_eq!(
        error.message,
        format!("http://127.0.0.1:{port} refuses user `guest`: Login failed")
    );
    assert_eq!(error.hints, ["check `user` and `password` of the connection"]);
}

#[tokio::test]
async fn a_user_without_the_tag_is_denied_in_words() {
    let bench = Bench::new().await;
    bench.create("rabbitmq::user", "untagged", json!({ "password": "pw" })).await.unwrap();
    let port = Broker::shared().port;
    let at = json!({ "host": "127.0.0.1", "port": port, "user": "untagged" });
    let error = open(&bench.registry, at, "pw").await.err().unwrap();
    assert_eq!(error.failure, Failure::Denied);
    assert_eq!(
        error.message,
        format!("cannot connect to RabbitMQ on http://127.0.0.1:{port}: Not management user")
    );
    assert_eq!(
        error.hints,
        ["give `untagged` the tag `administrator`, or connect as one who has it"]
    );
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unreachable() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let registry = dollop_stdlib::registry();
    let at = json!({ "host": "127.0.0.1", "port": port });
    let error = open(&registry, at.clone(), "hunter2").await.err().unwrap();
    assert_eq!(error.failure, Failure::Unreachable);
    let start = "cannot connect to RabbitMQ: no answer from http://127.0.0.1:";
    assert!(error.message.starts_with(start), "{}", error.message);
    assert!(error.message.contains("Connection refused"), "{}", error.message);
    assert!(!format!("{error:?}").contains("hunter2"));
    let kind = registry.connection_kind("rabbitmq::server").unwrap();
    let mut spec = at;
    spec["password"] = json!("hunter2");
    let described = kind.dial.describe(&Value::from(spec));
    assert_eq!(described, format!("http://127.0.0.1:{port} as guest"));
}

#[tokio::test]
async fn the_port_for_messages_is_told_from_the_right_one() {
    let registry = dollop_stdlib::registry();
    let at = json!({ "host": "127.0.0.1", "port": Broker::shared().amqp_port });
    let error = open(&registry, at, "guest").await.err().unwrap();
    assert_eq!(error.failure, Failure::Refused, "{error:?}");
    assert!(error.hints[0].contains("15672"), "{error:?}");
}

#[tokio::test]
async fn a_server_that_starts_is_unreachable_until_it_answers() {
    let broker = Broker::start("starting");
    let registry = dollop_stdlib::registry();
    let mut waited = 0;
    loop {
        let at = json!({ "host": "127.0.0.1", "port": broker.port });
        match open(&registry, at, "guest").await {
            Ok(_) => break,
            Err(error) => assert_eq!(error.failure, Failure::Unreachable, "{error:?}"),
        }
        waited += 1;
        assert!(waited < 600, "it never answers");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(waited > 0, "it was there at once");
}

#[tokio::test]
async fn another_queue_of_that_name_is_not_overwritten() {
    let bench = Bench::with_vhost("taken").await;
    bench.create("rabbitmq::queue", "q", json!({ "vhost": "taken" })).await.unwrap();
    let other = json!({ "vhost": "taken", "durable": false });
    let error = bench.create("rabbitmq::queue", "q", other).await.unwrap_err();
    assert_eq!(error.failure, Failure::Exists);
    let port = Broker::shared().port;
    assert_eq!(
        error.message,
        format!(
            "cannot create queue `q` in vhost `taken` on http://127.0.0.1:{port}: \
             it exists with other properties"
        )
    );
    assert_eq!(
        error.notes,
        ["inequivalent arg 'durable' for queue 'q' in vhost 'taken': \
          received 'false' but current is 'true'"]
    );
}

#[tokio::test]
async fn refusals_say_why() {
    let bench = Bench::with_vhost("refusals").await;
    let root = format!("http://127.0.0.1:{}", Broker::shared().port);
    let check = |error: Result<Created<Value>, CallError>, failure: Failure, message: &str| {
        let error = error.unwrap_err();
        assert_eq!(error.message, message.replace("ROOT", &root));
        assert_eq!(error.failure, failure, "{error:?}");
    };
    check(
        bench.create("rabbitmq::queue", "q", json!({ "vhost": "nowhere" })).await,
        Failure::Refused,
        "cannot create queue `q` in vhost `nowhere` on ROOT: there is no such vhost",
    );
    check(
        bench.create("rabbitmq::permission", "nobody", json!({ "vhost": "refusals" })).await,
        Failure::Refused,
        "cannot create the permissions of `nobody` in vhost `refusals` on ROOT: \
         there is no such vhost or no such user",
    );
    check(
        bench.create("rabbitmq::exchange", "amq.mine", json!({ "vhost": "refusals" })).await,
        Failure::Denied,
        "cannot create exchange `amq.mine` in vhost `refusals` on ROOT: Access refused.",
    );
    check(
        bench
            .create("rabbitmq::exchange", "x", json!({ "vhost": "refusals", "type": "magic" }))
            .await,
        Failure::Refused,
        "cannot create exchange `x` in vhost `refusals` on ROOT: unknown exchange type 'magic'",
    );
    check(
        bench.create("rabbitmq::queue", "..", json!({ "vhost": "refusals" })).await,
        Failure::Refused,
        "cannot create queue `..` in vhost `refusals`: the API cannot address the name `..`",
    );
    let spec = json!({ "vhost": "refusals", "source": "amq.topic", "destination": "none" });
    check(
        bench.create("rabbitmq::binding", "b", spec).await,
        Failure::Refused,
        "cannot bind exchange `amq.topic` to queue `none` in vhost `refusals` on ROOT: \
         no queue 'none' in vhost 'refusals'",
    );
    let spec =
        json!({ "vhost": "refusals", "pattern": "(", "definition": { "max-length": 1 } });
    check(
        bench.create("rabbitmq::policy", "p", spec).await,
        Failure::Refused,
        "cannot create policy `p` in vhost `refusals` on ROOT: \
         pattern should be regular expression but is invalid: {\"missing )\",1}",
    );
    let spec = json!({ "vhost": "refusals", "read": "(" });
    check(
        bench.create("rabbitmq::permission", "guest", spec).await,
        Failure::Refused,
        "cannot create the permissions of `guest` in vhost `refusals` on ROOT: \
         invalid_regexp ( missing ) 1",
    );
}

#[tokio::test]
async fn rules_are_checked_before_anything_is_sent() {
    let bench = Bench::new().await;
    let queue = |mut spec: Json| {
        spec["vhost"] = json!("v");
        bench.problems("rabbitmq::queue", spec)
    };
    assert_eq!(
        queue(json!({ "type": "quorum", "durable": false, "auto_delete": true })),
        [
            "durable: quorum queues are always durable",
            "auto_delete: quorum queues are never deleted by the server",
        ]
    );
    assert_eq!(
        queue(json!({ "max_age": "7D", "delivery_limit": 3 })),
        [
            "delivery_limit: `delivery_limit` is for quorum queues, not for classic queues",
            "max_age: `max_age` is for streams, not for classic queues",
        ]
    );
    assert_eq!(
        queue(json!({ "type": "stream", "arguments": { "x-message-ttl": 5 } })),
        ["message_ttl: `message_ttl` is for classic queues and quorum queues, not for streams"]
    );
    assert_eq!(
        queue(json!({ "message_ttl": 1, "arguments": { "x-message-ttl": 2 } })),
        ["arguments: `x-message-ttl` says something else than `message_ttl`"]
    );
    assert_eq!(
        queue(json!({ "arguments": { "x-message-ttl": "60000" } })),
        ["arguments: `x-message-ttl` cannot be \"60000\""]
    );
    assert_eq!(
        queue(json!({ "arguments": { "x-queue-type": "quorum" } })),
        ["arguments: `x-queue-type` says \"quorum\", `type` says \"classic\""]
    );
    assert_eq!(
        queue(json!({ "max_priority": 256, "expires": 0, "dead_letter_routing_key": "k" })),
        [
            "expires: 0 is not between 1 and 315360000000",
            "max_priority: 256 is not between 0 and 255",
            "dead_letter_routing_key: there is no exchange for dead letters",
        ]
    );
    assert_eq!(
        queue(json!({ "type": "stream", "max_age": "a week" })),
        ["max_age: `a week` is no age"]
    );
    assert_eq!(
        queue(json!({ "arguments": { "a": { "b": null } } })),
        ["arguments: `a` has no value"]
    );
    assert_eq!(
        bench.problems("rabbitmq::user", json!({ "password": "", "tags": ["a,b"] })),
        [
            "tags: `a,b` is no tag",
            "password: the password is empty: RabbitMQ lets nobody in with it",
        ]
    );
    let binding = json!({ "vhost": "v", "source": "", "destination": "q" });
    assert_eq!(
        bench.problems("rabbitmq::binding", binding),
        ["source: the default exchange takes no bindings"]
    );
}
