//! Bindings: <https://www.rabbitmq.com/docs/exchanges#bindings>.

use std::collections::BTreeMap;

use dollop_engine::error::CallError;
use dollop_engine::resource::{
    Created, Found, Name, Naming, Owner, Problem, ReadResult, Resource, Traits, Wanted,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::rows::answer;
use super::server::Server;

/// A binding: an exchange hands messages on to a queue or another exchange. The server
/// removes it with either end.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The vhost.
    #[schemars(extend("x-handle" = "rabbitmq::vhost"))]
    vhost: String,
    /// The exchange that messages come from.
    #[schemars(extend("x-replace" = true, "x-handle" = "rabbitmq::exchange"))]
    source: String,
    /// The queue or exchange they go to.
    #[schemars(extend(
        "x-replace" = true,
        "x-handle" = ["rabbitmq::queue", "rabbitmq::exchange"]
    ))]
    destination: String,
    /// What the destination is.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    destination_type: End,
    /// Which messages: a key, or a pattern for a `topic` exchange. Example: `"orders.*"`.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    routing_key: String,
    /// Arguments, which `headers` exchanges compare.
    /// Example: `#{ "x-match": "all", "kind": "invoice" }`.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    arguments: BTreeMap<String, Json>,
}

/// What a binding leads to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// A queue or stream.
    #[default]
    Queue,
    /// An exchange.
    Exchange,
}

/// Nothing more is reported.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Facts {}

/// The kind `rabbitmq::binding`.
pub struct Binding;

#[derive(Deserialize)]
struct Row {
    #[serde(flatten)]
    spec: Columns,
    /// The last part of its address.
    properties_key: String,
}

/// A [`Spec`] among other columns.
#[derive(Deserialize)]
struct Columns {
    vhost: String,
    source: String,
    destination: String,
    destination_type: End,
    routing_key: String,
    arguments: BTreeMap<String, Json>,
}

impl Resource for Binding {
    const KIND: &'static str = "rabbitmq::binding";
    type Connection = Server;
    type Spec = Spec;
    type Facts = Facts;

    fn traits() -> Traits {
        Traits {
            naming: Naming::Label,
            within: &["vhost"],
            identity: &[
                "source",
                "destination",
                "destination_type",
                "routing_key",
                "arguments",
            ],
            ..Traits::default()
        }
    }

    fn check(spec: &Spec) -> Vec<Problem> {
        let mut problems = super::arguments::check_nulls("arguments", &spec.arguments);
        if spec.source.is_empty() {
            problems.push(Problem {
                attribute: "source".to_owned(),
                message: "the default exchange takes no bindings".to_owned(),
                hint: Some(
                    "it routes to every queue by its name already: leave the binding out"
                        .to_owned(),
                ),
            });
        }
        problems
    }

    async fn read(server: &Server, wanted: &[Wanted<Spec>]) -> Vec<ReadResult<Self>> {
        let rows = server.api.list("list the bindings", "bindings").await;
        answer::<Self, _, _>(
            rows,
            |row: &Row| identity(&Spec::from(&row.spec)),
            wanted,
            |wanted| wanted.id.clone().unwrap_or_else(|| identity(&wanted.spec)),
            |wanted, row| Ok(found(wanted, Spec::from(&row.spec))),
        )
    }

    async fn create(
        server: &Server,
        _: &Name,
        spec: Spec,
    ) -> Result<Created<Facts>, CallError> {
        let what = format!("bind {}", ends(&spec));
        let body = json!({ "routing_key": spec.routing_key, "arguments": spec.arguments });
        server.api.post(&what, &path(&spec), &body).await?;
        Ok(Created { id: identity(&spec), facts: Facts {} })
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
        let what = format!("unbind {}", ends(&spec));
        let rows: Vec<Row> = server.api.get_at(&what, &path(&spec)).await?.unwrap_or_default();
        let row = rows.iter().find(|row| identity(&Spec::from(&row.spec)) == id);
        let Some(row) = row else {
            return Ok(());
        };
        // A URL cannot end in `.` or `..`; the server takes `key~`, "without arguments", too.
        let key = match row.properties_key.as_str() {
            dots @ ("." | "..") => format!("{dots}~"),
            key => key.to_owned(),
        };
        let mut path = path(&spec).to_vec();
        path.push(&key);
        server.api.delete(&what, &path).await
    }
}

impl From<&Columns> for Spec {
    fn from(row: &Columns) -> Self {
        Self {
            vhost: row.vhost.clone(),
            source: row.source.clone(),
            destination: row.destination.clone(),
            destination_type: row.destination_type,
            routing_key: row.routing_key.clone(),
            arguments: row.arguments.clone(),
        }
    }
}

/// All that tells one binding from another, as JSON text.
fn identity(spec: &Spec) -> String {
    json!([
        spec.vhost,
        spec.source,
        spec.destination_type,
        spec.destination,
        spec.routing_key,
        spec.arguments
    ])
    .to_string()
}

/// Where the bindings between its two ends are.
fn path(spec: &Spec) -> [&str; 6] {
    let end = match spec.destination_type {
        End::Queue => "q",
        End::Exchange => "e",
    };
    ["bindings", &spec.vhost, "e", &spec.source, end, &spec.destination]
}

/// Both ends in words.
fn ends(spec: &Spec) -> String {
    let end = match spec.destination_type {
        End::Queue => "queue",
        End::Exchange => "exchange",
    };
    format!(
        "exchange `{}` to {end} `{}` in vhost `{}`",
        spec.source, spec.destination, spec.vhost
    )
}

fn found(wanted: &Wanted<Spec>, spec: Spec) -> Found<Spec, Facts> {
    Found {
        id: identity(&spec),
        natural: wanted.name.natural.clone(),
        spec,
        facts: Facts {},
        owner: Owner::Unmarked,
    }
}
