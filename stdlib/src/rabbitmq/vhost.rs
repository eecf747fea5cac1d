//! Virtual hosts: <https://www.rabbitmq.com/docs/vhosts>.

use dollop_engine::error::CallError;
use dollop_engine::resource::{
    Created, Found, Name, Owner, Problem, ReadResult, Resource, Traits, Wanted,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::rows::{answer, name_of};
use super::server::Server;

/// A virtual host: a space of its own for exchanges, queues and permissions. Who makes it
/// (the connection's user) gets every permission in it from the server.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// A line for people.
    #[serde(default)]
    description: String,
    /// Labels for people and tools; the order does not matter.
    #[serde(default)]
    tags: Vec<String>,
    /// Type of the queues that clients declare without one. Left out, it is not managed.
    /// RabbitMQ 3.10 sets it only when it makes the vhost.
    #[serde(default)]
    default_queue_type: Option<QueueType>,
    /// Whether messages are copied to the exchange `amq.rabbitmq.trace`.
    #[serde(default)]
    tracing: bool,
}

/// A type of queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum QueueType {
    /// On one node.
    Classic,
    /// Replicated by Raft.
    Quorum,
    /// A replicated log.
    Stream,
}

/// Nothing more is reported.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Facts {}

/// The kind `rabbitmq::vhost`.
pub struct VirtualHost;

#[derive(Deserialize)]
struct Row {
    name: String,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    tags: Vec<String>,
    /// `"undefined"` when there is none.
    #[serde(default)]
    default_queue_type: Option<String>,
    #[serde(default)]
    tracing: bool,
}

impl Resource for VirtualHost {
    const KIND: &'static str = "rabbitmq::vhost";
    type Connection = Server;
    type Spec = Spec;
    type Facts = Facts;

    fn traits() -> Traits {
        Traits { holds_data: true, ..Traits::default() }
    }

    fn normalize(spec: &mut Spec) {
        spec.tags.sort();
        spec.tags.dedup();
    }

    fn check(spec: &Spec) -> Vec<Problem> {
        super::user::check_tags(&spec.tags)
    }

    fn keeps_data(_: &Spec, _: Option<&Spec>) -> bool {
        false
    }

    async fn read(server: &Server, wanted: &[Wanted<Spec>]) -> Vec<ReadResult<Self>> {
        let rows = server.api.list("list the vhosts", "vhosts").await;
        let row_key = |row: &Row| row.name.clone();
        answer::<Self, _, _>(
            rows,
            row_key,
            wanted,
            |w| name_of(w).to_owned(),
            |wanted, row| Ok(found(&wanted.spec, row)),
        )
    }

    async fn create(
        server: &Server,
        name: &Name,
        spec: Spec,
    ) -> Result<Created<Facts>, CallError> {
        put(server, "create", &name.natural, &spec).await?;
        Ok(Created { id: name.natural.clone(), facts: Facts {} })
    }

    async fn update(
        server: &Server,
        _: &Name,
        id: &str,
        from: Spec,
        to: Spec,
    ) -> Result<Facts, CallError> {
        put(server, "change", id, &to).await?;
        if to.default_queue_type.is_some() && to.default_queue_type != from.default_queue_type {
            took_queue_type(server, id, &to).await?;
        }
        Ok(Facts {})
    }

    async fn delete(server: &Server, _: &Name, id: &str, _: Spec) -> Result<(), CallError> {
        server.api.delete(&format!("delete vhost `{id}`"), &["vhosts", id]).await
    }
}

fn found(wanted: &Spec, row: &Row) -> Found<Spec, Facts> {
    let word = row.default_queue_type.as_deref();
    let managed = wanted.default_queue_type.and(word);
    let default_queue_type = managed.and_then(|word| serde_json::from_value(json!(word)).ok());
    Found {
        id: row.name.clone(),
        natural: row.name.clone(),
        spec: Spec {
            description: row.description.clone().unwrap_or_default(),
            tags: row.tags.clone(),
            default_queue_type,
            tracing: row.tracing,
        },
        facts: Facts {},
        owner: Owner::Unmarked,
    }
}

/// Older servers answer well and change nothing.
async fn took_queue_type(server: &Server, name: &str, to: &Spec) -> Result<(), CallError> {
    let what = format!("change vhost `{name}`");
    let row: Option<Row> = server.api.get_at(&what, &["vhosts", name]).await?;
    let is = row.and_then(|row| found(to, &row).spec.default_queue_type);
    if is == to.default_queue_type {
        return Ok(());
    }
    let message = format!(
        "cannot {what}: RabbitMQ {} does not change the default queue type of a vhost that exists",
        server.version
    );
    Err(CallError::refused(message)
        .hint("leave `default_queue_type` as it is, or delete the vhost with all it holds"))
}

async fn put(server: &Server, verb: &str, name: &str, spec: &Spec) -> Result<(), CallError> {
    let what = format!("{verb} vhost `{name}`");
    let mut body = json!({
        "description": spec.description,
        "tags": spec.tags,
        "tracing": spec.tracing,
    });
    if let Some(queue_type) = spec.default_queue_type {
        body["default_queue_type"] = json!(queue_type);
        // What 3.10 calls it.
        body["defaultqueuetype"] = json!(queue_type);
    }
    server.api.put(&what, &["vhosts", name], &body).await
}
