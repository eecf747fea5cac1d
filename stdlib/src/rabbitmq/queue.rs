//! Queues and streams: <https://www.rabbitmq.com/docs/queues>,
//! <https://www.rabbitmq.com/docs/streams>.

use std::collections::BTreeMap;

use dollop_engine::analysis::Lint;
use dollop_engine::error::CallError;
use dollop_engine::resource::{
    Beside, Held, Migration, Moment, Preview, Problem, Proposed, Resource as _, Traits,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::arguments::{check_nulls, is_internal, lift, lower};
use super::binding::{Binding, End};
use super::instead;
use super::item::{Item, Place, RESERVED, Whose, in_vhost};
use super::policy::{OperatorPolicy, Policy};
use super::queue_rules::{TYPE, TYPED, check, lint};
use super::server::Server;
pub use super::vhost::QueueType;
use super::{drain, drained, held, since, transient, unbound};

/// A queue or a stream. RabbitMQ cannot change one in place: a change makes a new one, and
/// the messages of the old are gone, unless `migrate` says otherwise. What a `rabbitmq::policy` can say (limits,
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
    /// What a change does with the messages. Left out, they are lost with the old queue,
    /// which needs consent (`--allow-data-loss`). With `"drain"`, a shovel moves them to a
    /// queue of another name and from there to the new one, with all bindings: what
    /// exchanges route arrives at least once, perhaps in another order. Only what is
    /// published by the queue's own name (through the default exchange) while it is made
    /// anew may go with the old queue, or find none. Needs the plugin `rabbitmq_shovel`; not
    /// for streams.
    #[serde(default)]
    pub(super) migrate: Option<Migrate>,
    /// More arguments, as the server names them. What has an attribute above may stand
    /// here too and means the same.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub(super) arguments: BTreeMap<String, Json>,
}

impl Spec {
    /// A queue of which nothing is said but its type.
    pub(super) fn plain(vhost: &str, queue_type: QueueType) -> Self {
        Self {
            vhost: vhost.to_owned(),
            queue_type,
            durable: true,
            auto_delete: false,
            dead_letter_exchange: None,
            dead_letter_routing_key: None,
            dead_letter_strategy: None,
            message_ttl: None,
            expires: None,
            max_length: None,
            max_length_bytes: None,
            overflow: None,
            delivery_limit: None,
            max_priority: None,
            single_active_consumer: None,
            max_age: None,
            stream_max_segment_size_bytes: None,
            quorum_initial_group_size: None,
            initial_cluster_size: None,
            queue_leader_locator: None,
            queue_mode: None,
            queue_version: None,
            migrate: None,
            arguments: BTreeMap::new(),
        }
    }
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
    /// An older word for `"balanced"`.
    Random,
    /// An older word for `"balanced"`.
    LeastLeaders,
    /// An older word for `"balanced"`, which RabbitMQ takes here since 4.0.
    MinMasters,
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

/// What a change does with the messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Migrate {
    /// They move to the new queue.
    Drain,
}

/// The kind `rabbitmq::queue`.
pub struct Queue;

/// A queue as the server lists it.
#[derive(Deserialize)]
pub struct Row {
    vhost: String,
    name: String,
    /// Missing in definitions of older servers: there an argument says it.
    #[serde(rename = "type")]
    queue_type: Option<String>,
    durable: bool,
    auto_delete: bool,
    arguments: BTreeMap<String, Json>,
}

impl Item for Queue {
    const KIND: &'static str = "rabbitmq::queue";
    type Spec = Spec;
    type Row = Row;

    fn traits() -> Traits {
        Traits {
            within: &["vhost"],
            holds_data: true,
            instead: instead::QUEUE,
            ..Traits::default()
        }
    }

    fn normalize(spec: &mut Spec) {
        if spec.arguments.get(TYPE) == Some(&json!(spec.queue_type)) {
            spec.arguments.remove(TYPE);
        }
        lift(TYPED, spec, |spec| &spec.arguments);
    }

    fn check(spec: &Spec) -> Vec<Problem> {
        let mut problems = check_nulls("arguments", &spec.arguments);
        problems.extend(check(spec));
        problems
    }

    fn is_reserved(name: &str) -> bool {
        name.starts_with(RESERVED)
    }

    fn lint(spec: &Spec) -> Vec<Lint> {
        lint(spec)
    }

    const END: Option<End> = Some(End::Queue);

    const PREVIEWS: bool = true;

    const PREVIEWED_WITH: &'static [&'static str] =
        &[Binding::KIND, Policy::KIND, OperatorPolicy::KIND];

    /// Whether the server takes it, whether the messages can be moved, and what comes back
    /// with it.
    async fn preview(
        server: &Server,
        proposed: &[Proposed<Spec>],
        beside: &Beside,
    ) -> Result<Vec<Preview>, CallError> {
        let fits = |one: &Proposed<Spec>| {
            let (notes, problems) = since::queue(&server.version, &one.to);
            Preview { notes, problems, ..Preview::default() }
        };
        let mut previews: Vec<Preview> = proposed.iter().map(fits).collect();
        if proposed.iter().any(|one| !one.to.durable) {
            let refused = transient::refused(server).await;
            for (preview, one) in previews.iter_mut().zip(proposed) {
                preview.problems.extend(refused.iter().filter(|_| !one.to.durable).cloned());
            }
        }
        drained::preview(server, proposed, beside, &mut previews).await?;
        unbound::preview::<Self>(server, End::Queue, proposed, beside, &mut previews).await?;
        Ok(previews)
    }

    fn migrates(from: &Spec, to: &Spec) -> Migration {
        let streams = [from, to].iter().any(|spec| spec.queue_type == QueueType::Stream);
        if to.migrate == Some(Migrate::Drain) && !streams {
            Migration::Live
        } else {
            Migration::None
        }
    }

    async fn rows(server: &Server, _: &[Place]) -> Result<Vec<Row>, CallError> {
        server.definitions().await?.rows("queues")
    }

    fn row_place(row: &Row) -> Place {
        in_vhost(&row.vhost, &row.name)
    }

    fn place(name: &str, spec: &Spec) -> Place {
        in_vhost(&spec.vhost, name)
    }

    /// Plugins keep some for themselves, and clients let the server name some.
    fn whose(_: &Server, row: &Row) -> Whose {
        let own = Self::is_reserved(&row.name) || is_internal(&row.arguments);
        if own { Whose::Hidden } else { Whose::Theirs }
    }

    fn found(wanted: Option<&Spec>, row: &Row) -> Result<Spec, CallError> {
        found(wanted, row)
    }

    fn words(name: &str, spec: &Spec) -> String {
        format!("queue `{name}` in vhost `{}`", spec.vhost)
    }

    fn path<'a>(name: &'a str, spec: &'a Spec) -> Vec<&'a str> {
        vec!["queues", &spec.vhost, name]
    }

    fn body(_: &str, spec: &Spec) -> Json {
        let mut arguments = lower(TYPED, spec, &spec.arguments);
        arguments.insert(TYPE.to_owned(), json!(spec.queue_type));
        json!({
            "durable": spec.durable,
            "auto_delete": spec.auto_delete,
            "arguments": arguments,
        })
    }

    async fn write(
        server: &Server,
        what: &str,
        name: &str,
        from: Option<&Spec>,
        to: &Spec,
    ) -> Result<(), CallError> {
        if to.migrate == Some(Migrate::Drain) {
            return drain::replace(server, what, name, to).await;
        }
        let left = drain::left(server, &to.vhost, name).is_some();
        // One that a drain which was cut off had removed already is changed as if it was there.
        let is_new = from.is_none() || (left && look(server, what, name, to).await?.is_none());
        if is_new {
            server.api.put(what, &Self::path(name, to), &Self::body(name, to)).await?;
        }
        // Every other attribute makes a new one: there is nothing to finish in place but a
        // drain that was cut off and is not wanted any more.
        if left || from.is_some() {
            drain::finish(server, what, name, to).await?;
        }
        Ok(())
    }

    /// Its messages are there, in another queue.
    fn found_elsewhere(
        rows: &BTreeMap<Place, Row>,
        (vhost, name): &Place,
        spec: &Spec,
    ) -> Option<Spec> {
        rows.get(&in_vhost(vhost, &drain::aside(name)))?;
        let mut found = spec.clone();
        // Never what is declared: it has to be made.
        found.migrate = match spec.migrate {
            Some(Migrate::Drain) => None,
            None => Some(Migrate::Drain),
        };
        Some(found)
    }

    /// With it goes what a drain that was cut off left of it elsewhere.
    async fn remove(
        server: &Server,
        what: &str,
        name: &str,
        spec: &Spec,
    ) -> Result<(), CallError> {
        Self::remove_for_successor(server, what, name, spec).await?;
        match drain::left(server, &spec.vhost, name) {
            Some((vhost, aside)) => remove(server, what, &vhost, &aside).await,
            None => Ok(()),
        }
    }

    /// What was left elsewhere moves to the successor.
    async fn remove_for_successor(
        server: &Server,
        what: &str,
        name: &str,
        spec: &Spec,
    ) -> Result<(), CallError> {
        let left = drain::left(server, &spec.vhost, name);
        if left.is_some() || spec.migrate == Some(Migrate::Drain) {
            drain::stop(server, what, name, spec).await?;
        }
        remove(server, what, &spec.vhost, name).await
    }

    async fn held(
        server: &Server,
        wanted: &[Place],
        moment: Moment,
    ) -> Vec<Result<Held, CallError>> {
        held::in_queues(server, wanted, moment).await
    }
}

/// The queue as it is, in normal form; `None` when it is not there.
pub(super) async fn look(
    server: &Server,
    what: &str,
    name: &str,
    wanted: &Spec,
) -> Result<Option<Spec>, CallError> {
    let row: Option<Row> = server.api.get_at(what, &Queue::path(name, wanted)).await?;
    let Some(row) = row else { return Ok(None) };
    let mut spec = found(Some(wanted), &row)?;
    Queue::normalize(&mut spec);
    Ok(Some(spec))
}

/// Removes a queue. One that goes because it is empty goes only while it is, where the server can
/// promise that; with consent it goes as it is.
async fn remove(server: &Server, what: &str, vhost: &str, name: &str) -> Result<(), CallError> {
    let path = ["queues", vhost, name];
    if !server.goes_empty(&in_vhost(vhost, name)) {
        return server.api.delete(what, &path).await;
    }
    if server.api.delete_if_empty(what, &path).await? {
        return Ok(());
    }
    let message = format!("cannot {what}: a message came in, which nobody agreed to lose");
    Err(CallError::refused(message).hint(
        "run it again: the plan then says how many there are, and takes consent by \
         `--allow-data-loss`",
    ))
}

fn classic() -> QueueType {
    QueueType::Classic
}

fn yes() -> bool {
    true
}

fn found(wanted: Option<&Spec>, row: &Row) -> Result<Spec, CallError> {
    let argument = || row.arguments.get(TYPE).and_then(Json::as_str);
    let queue_type = row.queue_type.as_deref().or_else(argument).unwrap_or("classic");
    // The engine brings it to normal form: arguments become attributes.
    let spec = serde_json::from_value(json!({
        "vhost": row.vhost,
        "type": queue_type,
        "durable": row.durable,
        "auto_delete": row.auto_delete,
        // Only dollop knows.
        "migrate": wanted.and_then(|wanted| wanted.migrate),
        "arguments": row.arguments,
    }));
    spec.map_err(|_| {
        CallError::refused(format!(
            "queue `{}` in vhost `{}` is of type `{queue_type}`, which dollop does not know",
            row.name, row.vhost
        ))
    })
}
