//! Policies: <https://www.rabbitmq.com/docs/policies>.

use std::collections::BTreeMap;

use dollop_engine::error::CallError;
use dollop_engine::resource::{
    Created, Found, Name, Owner, Problem, ReadResult, Resource, Traits, Wanted,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::rows::{answer, name_of};
use super::server::Server;

/// Settings for all queues or exchanges whose names match. Unlike the arguments of a queue,
/// they change while it lives.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The vhost.
    #[schemars(extend("x-handle" = "rabbitmq::vhost"))]
    vhost: String,
    /// A regular expression for names. Example: `"^orders\\."`.
    pattern: String,
    /// What it is for.
    #[serde(default)]
    apply_to: ApplyTo,
    /// Of several policies that match, the one with the highest priority counts.
    #[serde(default)]
    priority: i64,
    /// The settings, as the server names them. Example: `#{ "message-ttl": 60000 }`.
    definition: BTreeMap<String, Json>,
}

/// What a policy is for. The last three need RabbitMQ 3.12.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ApplyTo {
    /// Queues, streams and exchanges.
    #[default]
    All,
    /// Queues and streams.
    Queues,
    /// Exchanges.
    Exchanges,
    /// Classic queues.
    ClassicQueues,
    /// Quorum queues.
    QuorumQueues,
    /// Streams.
    Streams,
}

/// Nothing more is reported.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Facts {}

/// The kind `rabbitmq::policy`.
pub struct Policy;

#[derive(Deserialize)]
struct Row {
    vhost: String,
    name: String,
    pattern: String,
    /// Not an [`ApplyTo`] yet: one that is unknown must not hide the other policies.
    #[serde(rename = "apply-to")]
    apply_to: Json,
    #[serde(default)]
    priority: i64,
    definition: BTreeMap<String, Json>,
}

impl Resource for Policy {
    const KIND: &'static str = "rabbitmq::policy";
    type Connection = Server;
    type Spec = Spec;
    type Facts = Facts;

    fn traits() -> Traits {
        Traits { within: &["vhost"], ..Traits::default() }
    }

    fn check(spec: &Spec) -> Vec<Problem> {
        let mut problems = super::arguments::check_nulls("definition", &spec.definition);
        if spec.definition.is_empty() {
            problems.push(Problem {
                attribute: "definition".to_owned(),
                message: "the policy sets nothing".to_owned(),
                hint: Some("name a setting, such as `\"message-ttl\": 60000`".to_owned()),
            });
        }
        problems
    }

    async fn read(server: &Server, wanted: &[Wanted<Spec>]) -> Vec<ReadResult<Self>> {
        let rows = server.api.list("list the policies", "policies").await;
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
        put(server, "create", &name.natural, &spec).await?;
        Ok(Created { id: name.natural.clone(), facts: Facts {} })
    }

    async fn update(
        server: &Server,
        _: &Name,
        id: &str,
        _: Spec,
        to: Spec,
    ) -> Result<Facts, CallError> {
        put(server, "change", id, &to).await?;
        Ok(Facts {})
    }

    async fn delete(server: &Server, _: &Name, id: &str, spec: Spec) -> Result<(), CallError> {
        let what = format!("delete policy `{id}` in vhost `{}`", spec.vhost);
        server.api.delete(&what, &["policies", &spec.vhost, id]).await
    }
}

fn found(row: &Row) -> Result<Found<Spec, Facts>, CallError> {
    let apply_to = serde_json::from_value(row.apply_to.clone()).map_err(|_| {
        CallError::refused(format!(
            "policy `{}` in vhost `{}` applies to {}, which dollop does not know",
            row.name, row.vhost, row.apply_to
        ))
    })?;
    Ok(Found {
        id: row.name.clone(),
        natural: row.name.clone(),
        spec: Spec {
            vhost: row.vhost.clone(),
            pattern: row.pattern.clone(),
            apply_to,
            priority: row.priority,
            definition: row.definition.clone(),
        },
        facts: Facts {},
        owner: Owner::Unmarked,
    })
}

async fn put(server: &Server, verb: &str, name: &str, spec: &Spec) -> Result<(), CallError> {
    let what = format!("{verb} policy `{name}` in vhost `{}`", spec.vhost);
    let body = json!({
        "pattern": spec.pattern,
        "apply-to": spec.apply_to,
        "priority": spec.priority,
        "definition": spec.definition,
    });
    server.api.put(&what, &["policies", &spec.vhost, name], &body).await
}
