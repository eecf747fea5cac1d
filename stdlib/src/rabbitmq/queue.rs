//! Queues and streams: <https://www.rabbitmq.com/docs/queues>,
//! <https://www.rabbitmq.com/docs/streams>.

use std::collections::BTreeMap;

use dollop_engine::error::CallError;
use dollop_engine::resource::{
    Created, Found, Name, Owner, Problem, ReadResult, Resource, Traits, Wanted,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::arguments::{check_nulls, lift, lower};
use super::queue_rules::{TYPE, TYPED, check};
use super::rows::{answer, name_of};
use super::server::Server;
pub use super::vhost::QueueType;

/// A queue or a stream. RabbitMQ cannot change one in place: a change makes a new one, and
/// the messages and bindings of the old are gone. What a `rabbitmq::policy` can say (limits,
/// dead letters, time to live) is better said there.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The vhost.
    #[schemars(extend("x-handle" = "rabbitmq::vhost"))]
    pub(super) vhost: String,
    /// How it keeps messages.
    #[serde(default = "classic", rename = "type")]
    #[schemars(extend("x-replace" = true))]
    pub(super) queue_type: QueueType,
    /// Whether it survives a restart of the server; quorum queues and streams must.
    #[serde(default = "yes")]
    #[schemars(extend("x-replace" = true))]
    pub(super) durable: bool,
    /// Whether the server deletes it after its last consumer.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub(super) auto_delete: bool,
    /// Where rejected and expired messages go: an exchange, `""` for the default one.
    #[serde(default)]
    #[schemars(extend("x-replace" = true, "x-handle" = "rabbitmq::exchange"))]
    pub(super) dead_letter_exchange: Option<String>,
    /// The routing key they get there; their own when left out.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub(super) dead_letter_routing_key: Option<String>,
    /// How surely they get there; `"at-least-once"` is for quorum queues.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub(super) dead_letter_strategy: Option<DeadLetterStrategy>,
    /// How long a message lives, in milliseconds.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub(super) message_ttl: Option<i64>,
    /// How long the queue lives unused, in milliseconds.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub(super) expires: Option<i64>,
    /// The most messages it keeps.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub(super) max_length: Option<i64>,
    /// The most bytes it keeps.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub(super) max_length_bytes: Option<i64>,
    /// What happens when it is full.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub(super) overflow: Option<Overflow>,
    /// How often a message is delivered before it is a dead letter; for quorum queues.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub(super) delivery_limit: Option<i64>,
    /// Number of priorities, 1 to 255; few are best. For classic queues.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub(super) max_priority: Option<i64>,
    /// Whether one consumer at a time gets messages, the others wait.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub(super) single_active_consumer: Option<bool>,
    /// How long a stream keeps messages: a number and one of `Y`, `M`, `D`, `h`, `m`, `s`.
    /// Example: `"7D"`.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub(super) max_age: Option<String>,
    /// Size of the files a stream is kept in, in bytes.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub(super) stream_max_segment_size_bytes: Option<i64>,
    /// Number of replicas a quorum queue starts with.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub(super) quorum_initial_group_size: Option<i64>,
    /// Number of replicas a stream starts with.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub(super) initial_cluster_size: Option<i64>,
    /// Which node leads a quorum queue or stream.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub(super) queue_leader_locator: Option<LeaderLocator>,
    /// How a classic queue uses memory: `"lazy"` keeps messages on disk.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub(super) queue_mode: Option<QueueMode>,
    /// How a classic queue is stored: 1 or 2.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub(super) queue_version: Option<i64>,
    /// More arguments, as the server names them. What has an attribute above may stand
    /// here too and means the same.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub(super) arguments: BTreeMap<String, Json>,
}

/// How surely dead letters arrive.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DeadLetterStrategy {
    /// They may be lost.
    AtMostOnce,
    /// They are kept until they arrive.
    AtLeastOnce,
}

/// What a full queue does.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Overflow {
    /// Drops the oldest messages.
    DropHead,
    /// Refuses new ones.
    RejectPublish,
    /// Refuses new ones and makes them dead letters.
    RejectPublishDlx,
}

/// Which node leads.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LeaderLocator {
    /// The one that was asked.
    ClientLocal,
    /// One with few leaders.
    Balanced,
}

/// How a classic queue uses memory.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum QueueMode {
    /// Keeps messages in memory where it can.
    Default,
    /// Keeps messages on disk.
    Lazy,
}

/// Nothing more is reported.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Facts {}

/// The kind `rabbitmq::queue`.
pub struct Queue;

#[derive(Deserialize)]
struct Row {
    vhost: String,
    name: String,
    #[serde(rename = "type")]
    queue_type: String,
    durable: bool,
    auto_delete: bool,
    arguments: BTreeMap<String, Json>,
}

impl Resource for Queue {
    const KIND: &'static str = "rabbitmq::queue";
    type Connection = Server;
    type Spec = Spec;
    type Facts = Facts;

    fn traits() -> Traits {
        Traits { within: &["vhost"], holds_data: true, ..Traits::default() }
    }

    fn normalize(spec: &mut Spec) {
        if spec.arguments.get(TYPE) == Some(&json!(spec.queue_type)) {
            spec.arguments.remove(TYPE);
        }
        lift(TYPED, spec);
    }

    fn check(spec: &Spec) -> Vec<Problem> {
        let mut problems = check_nulls("arguments", &spec.arguments);
        problems.extend(check(spec));
        problems
    }

    fn keeps_data(_: &Spec, _: Option<&Spec>) -> bool {
        false
    }

    /// Without statistics, the list comes from the metadata: what was just declared is in
    /// it, and it costs the server little.
    async fn read(server: &Server, wanted: &[Wanted<Spec>]) -> Vec<ReadResult<Self>> {
        let rows = server.api.list("list the queues", "queues?disable_stats=true").await;
        answer::<Self, _, _>(
            rows,
            |row: &Row| (row.vhost.clone(), row.name.clone()),
            wanted,
            |wanted| (wanted.spec.vhost.clone(), name_of(wanted).to_owned()),
            |_, row| found(row),
        )
    }

    async fn create(
        server: &Server,
        name: &Name,
        spec: Spec,
    ) -> Result<Created<Facts>, CallError> {
        let what = format!("create queue `{}` in vhost `{}`", name.natural, spec.vhost);
        let mut arguments = lower(TYPED, &spec, &spec.arguments);
        arguments.insert(TYPE.to_owned(), json!(spec.queue_type));
        let body = json!({
            "durable": spec.durable,
            "auto_delete": spec.auto_delete,
            "arguments": arguments,
        });
        server.api.put(&what, &["queues", &spec.vhost, &name.natural], &body).await?;
        Ok(Created { id: name.natural.clone(), facts: Facts {} })
    }

    async fn update(
        _: &Server,
        _: &Name,
        _: &str,
        _: Spec,
        _: Spec,
    ) -> Result<Facts, CallError> {
        // Every attribute makes a new one, so there is nothing to change or finish in place.
        Ok(Facts {})
    }

    async fn delete(server: &Server, _: &Name, id: &str, spec: Spec) -> Result<(), CallError> {
        let what = format!("delete queue `{id}` in vhost `{}`", spec.vhost);
        server.api.delete(&what, &["queues", &spec.vhost, id]).await
    }
}

fn classic() -> QueueType {
    QueueType::Classic
}

fn yes() -> bool {
    true
}

fn found(row: &Row) -> Result<Found<Spec, Facts>, CallError> {
    // The engine brings it to normal form: arguments become attributes.
    let spec = serde_json::from_value(json!({
        "vhost": row.vhost,
        "type": row.queue_type,
        "durable": row.durable,
        "auto_delete": row.auto_delete,
        "arguments": row.arguments,
    }));
    let spec = spec.map_err(|_| {
        CallError::refused(format!(
            "queue `{}` in vhost `{}` is of type `{}`, which dollop does not know",
            row.name, row.vhost, row.queue_type
        ))
    })?;
    Ok(Found {
        id: row.name.clone(),
        natural: row.name.clone(),
        spec,
        facts: Facts {},
        owner: Owner::Unmarked,
    })
}
