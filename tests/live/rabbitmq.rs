//! The rabbitmq provider against the real thing.

#![expect(clippy::unwrap_used, reason = "a test says what it needs by failing")]

pub(crate) mod broker;
mod counter;

use std::time::Duration;

use dollop_engine::error::{CallError, Failure};
use dollop_engine::kind::{FoundObject, OpenConnection, Registry};
use dollop_engine::resource::{Created, Name, Scope, Wanted};
use dollop_engine::value::Value;
use dollop_tests::conformance::{STACK, Sample, conform, name_of};
use serde_json::{Value as Json, json};

use broker::Broker;

/// A connection to the shared server, and the calls of every kind by name.
struct Bench {
    registry: Registry,
    server: OpenConnection,
}

impl Bench {
    async fn new() -> Self {
        Self::at(Broker::shared().port).await
    }

    async fn at(port: u16) -> Self {
        let registry = dollop_stdlib::registry();
        let server =
            open(&registry, json!({ "host": "127.0.0.1", "port": port }), "guest").await;
        Self { registry, server: server.unwrap() }
    }

    /// The bench with a vhost of its own.
    async fn with_vhost(vhost: &str) -> Self {
        let bench = Self::new().await;
        bench.create("rabbitmq::vhost", vhost, json!({})).await.unwrap();
        bench
    }

    fn name(&self, kind: &str, name: &str) -> Name {
        name_of(self.registry.kind(kind).unwrap(), name)
    }

    fn spec(&self, kind: &str, spec: Json) -> Value {
        let kind = self.registry.kind(kind).unwrap();
        kind.calls.normalize(&kind.mark_spec(Value::from(spec))).unwrap()
    }

    fn problems(&self, kind: &str, spec: Json) -> Vec<String> {
        let spec = self.spec(kind, spec);
        let problems = self.registry.kind(kind).unwrap().calls.check(&spec);
        problems.into_iter().map(|p| format!("{}: {}", p.attribute, p.message)).collect()
    }

    async fn create(
        &self,
        kind: &str,
        name: &str,
        spec: Json,
    ) -> Result<Created<Value>, CallError> {
        let (name, spec) = (self.name(kind, name), self.spec(kind, spec));
        let calls = &self.registry.kind(kind).unwrap().calls;
        calls.create(&self.server, &name, &spec).await
    }

    async fn delete(&self, kind: &str, name: &str, id: &str, spec: Json) {
        let (name, spec) = (self.name(kind, name), self.spec(kind, spec));
        let calls = &self.registry.kind(kind).unwrap().calls;
        calls.delete(&self.server, &name, id, &spec).await.unwrap();
    }

    async fn read_all(
        &self,
        kind: &str,
        wanted: &[(String, Json)],
    ) -> Vec<Option<FoundObject>> {
        let wanted = wanted.iter().map(|(name, spec)| Wanted {
            id: None,
            name: self.name(kind, name),
            spec: self.spec(kind, spec.clone()),
            facts: None,
        });
        let calls = &self.registry.kind(kind).unwrap().calls;
        let answers = calls.read(&self.server, wanted.collect()).await;
        answers.into_iter().map(Result::unwrap).collect()
    }

    async fn read(&self, kind: &str, name: &str, spec: Json) -> Option<FoundObject> {
        self.read_all(kind, &[(name.to_owned(), spec)]).await.remove(0)
    }

    async fn conform(
        &self,
        kind: &'static str,
        name: &str,
        base: Json,
        changes: Vec<(&'static str, Json)>,
        fixed: &'static [&'static str],
    ) {
        let sample = Sample { kind, name: name.to_owned(), base, changes, fixed };
        conform(&self.registry, &self.server, &sample).await;
    }
}

async fn open(
    registry: &Registry,
    mut spec: Json,
    password: &str,
) -> Result<OpenConnection, CallError> {
    spec["password"] = json!(password);
    let kind = registry.connection_kind("rabbitmq::server").unwrap();
    let spec = kind.dial.normalize(&Value::from(spec)).unwrap();
    let scope = Scope { stack: STACK.to_owned(), folder: std::env::temp_dir() };
    kind.dial.open(&spec, scope).await
}

#[tokio::test]
async fn vhost_conforms() {
    let changes = vec![
        ("description", json!("Orders – ü")),
        ("tags", json!(["b", "a", "b"])),
        ("tracing", json!(true)),
    ];
    // 3.10 does not change a default queue type, so it is the same in each run.
    let fixed = &["default_queue_type"];
    let bench = Bench::new().await;
    let kind = "rabbitmq::vhost";
    bench.conform(kind, "conf/vhost 1%", json!({}), changes.clone(), fixed).await;
    for queue_type in ["classic", "quorum", "stream"] {
        let base = json!({ "default_queue_type": queue_type });
        bench.conform(kind, "conf/vhost 2%", base, changes.clone(), fixed).await;
    }
}

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
async fn user_conforms() {
    let changes = vec![
        ("password", json!("other – pässword")),
        ("tags", json!(["monitoring", "administrator"])),
    ];
    let bench = Bench::new().await;
    bench
        .conform("rabbitmq::user", "conf ü/%", json!({ "password": "pw" }), changes, &[])
        .await;
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
    bench.conform("rabbitmq::exchange", "a/b %ü#*", base, changes, &[]).await;
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
            "expires: 0 is less than 1",
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
    for queue_type in ["classic", "quorum", "stream"] {
        for (attribute, value) in values.as_object().unwrap() {
            let mut spec = json!({ "vhost": "rules", "type": queue_type });
            spec[attribute] = value.clone();
            let allowed = bench.problems("rabbitmq::queue", spec.clone()).is_empty();
            let name = format!("{queue_type}-{attribute}");
            let created = bench.create("rabbitmq::queue", &name, spec).await;
            assert_eq!(created.is_ok(), allowed, "{name}: {created:?}");
        }
    }
}

#[tokio::test]
async fn reading_costs_one_request_a_kind_whatever_the_number() {
    let counter = counter::start(Broker::shared().port).await;
    let bench = Bench::at(counter.port).await;
    bench.create("rabbitmq::vhost", "many", json!({})).await.unwrap();
    bench.create("rabbitmq::exchange", "x", json!({ "vhost": "many" })).await.unwrap();
    let mut queues = Vec::new();
    let mut bindings = Vec::new();
    for index in 0..50 {
        let queue = (format!("q{index}"), json!({ "vhost": "many" }));
        bench.create("rabbitmq::queue", &queue.0, queue.1.clone()).await.unwrap();
        let spec = json!({ "vhost": "many", "source": "x", "destination": queue.0 });
        bench.create("rabbitmq::binding", &queue.0, spec.clone()).await.unwrap();
        bindings.push((queue.0.clone(), spec));
        queues.push(queue);
    }
    let before = counter.requests();
    let queues = bench.read_all("rabbitmq::queue", &queues).await;
    let bindings = bench.read_all("rabbitmq::binding", &bindings).await;
    assert_eq!(queues.iter().flatten().count(), 50);
    assert_eq!(bindings.iter().flatten().count(), 50);
    assert_eq!(counter.requests() - before, 2);
}

/// 3.10 answers 500 to some lists of queues while queues are made.
#[tokio::test]
async fn reading_works_while_queues_come_and_go() {
    let bench = Bench::with_vhost("churn").await;
    let churn = async {
        loop {
            for queue_type in ["classic", "quorum", "stream"] {
                let spec = json!({ "vhost": "churn", "type": queue_type });
                bench.create("rabbitmq::queue", queue_type, spec.clone()).await.unwrap();
                bench.delete("rabbitmq::queue", queue_type, queue_type, spec).await;
            }
        }
    };
    let steady = json!({ "vhost": "churn" });
    bench.create("rabbitmq::queue", "steady", steady.clone()).await.unwrap();
    let read = async {
        for _ in 0..300 {
            let found = bench.read("rabbitmq::queue", "steady", steady.clone()).await;
            assert!(found.is_some());
        }
    };
    tokio::select! {
        () = churn => {}
        () = read => {}
    }
}
