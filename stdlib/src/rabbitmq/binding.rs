//! Bindings: <https://www.rabbitmq.com/docs/exchanges#bindings>.

use std::collections::BTreeMap;

use dollop_engine::error::CallError;
use dollop_engine::resource::{
    Created, Found, Listed, Listing, Name, Naming, Owner, Problem, ReadResult, Resource,
    Traits, Wanted,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::item::NoFacts;
use super::server::Server;
use super::{exchange, instead, unbound};

/// A binding: an exchange hands messages on to a queue or another exchange. The server
/// removes it with either end.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The vhost.
    #[schemars(extend("x-handle" = "rabbitmq::vhost"))]
    pub(super) vhost: String,
    /// The exchange that messages come from.
    #[schemars(extend("x-replace" = true, "x-handle" = "rabbitmq::exchange"))]
    pub(super) source: String,
    /// The queue or exchange they go to.
    #[schemars(extend(
        "x-replace" = true,
        "x-handle" = ["rabbitmq::queue", "rabbitmq::exchange"]
    ))]
    pub(super) destination: String,
    /// What the destination is.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub(super) destination_type: End,
    /// Which messages: a key, or a pattern for a `topic` exchange. Example: `"orders.*"`.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub(super) routing_key: String,
    /// Arguments, which `headers` exchanges compare.
    /// Example: `#{ "x-match": "all", "kind": "invoice" }`.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub(super) arguments: BTreeMap<String, Json>,
}

/// What a binding leads to.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// A queue or stream.
    #[default]
    Queue,
    /// An exchange.
    Exchange,
}

/// The argument that says how a `headers` exchange compares.
const MATCH: &str = "x-match";
/// What it may say.
const MATCHES: [&str; 4] = ["all", "any", "all-with-x", "any-with-x"];

/// The kind `rabbitmq::binding`.
pub struct Binding;

/// A binding as the server lists it.
#[derive(Deserialize)]
pub(super) struct Row {
    vhost: String,
    source: String,
    destination: String,
    destination_type: End,
    routing_key: String,
    arguments: BTreeMap<String, Json>,
    /// The last part of its address; not among definitions.
    #[serde(default)]
    properties_key: String,
}

impl Row {
    /// As it would be declared.
    pub(super) fn into_spec(self) -> Spec {
        Spec {
            vhost: self.vhost,
            source: self.source,
            destination: self.destination,
            destination_type: self.destination_type,
            routing_key: self.routing_key,
            arguments: self.arguments,
        }
    }
}

impl Resource for Binding {
    const KIND: &'static str = "rabbitmq::binding";
    type Connection = Server;
    type Spec = Spec;
    type Facts = NoFacts;

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
            goes_with: &["source", "destination"],
            instead: instead::BINDING,
            ..Traits::default()
        }
    }

    fn check(spec: &Spec) -> Vec<Problem> {
        let mut problems = super::arguments::check_nulls("arguments", &spec.arguments);
        if spec.source.is_empty() {
            problems.push(
                Problem::new("source", "the default exchange takes no bindings").hint(
                    "it routes to every queue by its name already: leave the binding out",
                ),
            );
        }
        let how = spec.arguments.get(MATCH);
        if let Some(how) = how.filter(|how| !MATCHES.iter().any(|known| *how == known)) {
            problems.push(
                Problem::new("arguments", format!("`{MATCH}` cannot be {how}"))
                    .hint(format!("one of `\"{}\"`", MATCHES.join("\"`, `\""))),
            );
        }
        problems
    }

    async fn read(server: &Server, wanted: &[Wanted<Spec>]) -> Vec<ReadResult<Self>> {
        let rows = server.definitions().await.and_then(|all| all.rows::<Row>("bindings"));
        let rows = match rows {
            Ok(rows) => rows,
            Err(error) => return wanted.iter().map(|_| Err(error.clone())).collect(),
        };
        let rows: BTreeMap<String, Spec> =
            rows.into_iter().map(Row::into_spec).map(|spec| (identity(&spec), spec)).collect();
        let look = |wanted: &Wanted<Spec>| {
            let id = wanted.id.clone().unwrap_or_else(|| identity(&wanted.spec));
            Ok(rows.get(&id).map(|spec| found(wanted.name.natural.clone(), id, spec.clone())))
        };
        wanted.iter().map(look).collect()
    }

    const LISTS: bool = true;

    /// Those of the server's own queues and of federation go with these, and those of exclusive
    /// queues, which newer servers list, with somebody's connection.
    async fn list(server: &Server) -> Result<Listing<Spec, NoFacts>, CallError> {
        let (definitions, exchanges) =
            futures::try_join!(server.definitions(), exchange::all(server))?;
        let queues = definitions.queues()?;
        let mut kept = definitions.internal_queues()?;
        kept.extend(exchanges.iter().filter_map(exchange::Row::kept));
        let rows: Vec<Row> = definitions.rows("bindings")?;
        let specs = rows.into_iter().map(Row::into_spec);
        let specs = specs.filter(|spec| {
            let there = spec.destination_type == End::Exchange
                || queues.contains(&(spec.vhost.as_str(), spec.destination.as_str()));
            there
                && !spec.destination.starts_with("amq.gen")
                && [&spec.source, &spec.destination]
                    .iter()
                    .all(|name| !kept.contains(&(spec.vhost.as_str(), name.as_str())))
        });
        let objects = specs.map(|spec| Listed {
            found: found(String::new(), identity(&spec), spec),
            built_in: false,
            remarks: Vec::new(),
            needs: Vec::new(),
        });
        Ok(Listing { objects: objects.collect(), left_out: Vec::new() })
    }

    async fn create(
        server: &Server,
        _: &Name,
        spec: Spec,
    ) -> Result<Created<NoFacts>, CallError> {
        bind(server, &spec).await?;
        Ok(Created { id: identity(&spec), facts: NoFacts {} })
    }

    async fn update(
        _: &Server,
        _: &Name,
        _: &str,
        _: Spec,
        _: Spec,
    ) -> Result<NoFacts, CallError> {
        // Every attribute makes a new one, so there is nothing to change or finish in place.
        Ok(NoFacts {})
    }

    async fn delete(server: &Server, _: &Name, _: &str, spec: Spec) -> Result<(), CallError> {
        unbind(server, &spec).await?;
        unbound::forget_one(server, &format!("unbind {}", ends(&spec)), &spec).await
    }
}

/// Makes a binding; fine when it is there.
pub(super) async fn bind(server: &Server, spec: &Spec) -> Result<(), CallError> {
    let what = format!("bind {}", ends(spec));
    let body = json!({ "routing_key": spec.routing_key, "arguments": spec.arguments });
    server.api.post(&what, &path(spec), &body).await
}

/// Removes a binding; fine when it is gone.
pub(super) async fn unbind(server: &Server, spec: &Spec) -> Result<(), CallError> {
    let what = format!("unbind {}", ends(spec));
    let rows: Vec<Row> = server.api.get_at(&what, &path(spec)).await?.unwrap_or_default();
    let id = identity(spec);
    let key = |row: Row| {
        let key = row.properties_key.clone();
        (identity(&row.into_spec()) == id).then_some(key)
    };
    let Some(key) = rows.into_iter().find_map(key) else {
        return Ok(());
    };
    // A URL cannot end in `.` or `..`; the server takes `key~`, "without arguments", too.
    let key = match key.as_str() {
        dots @ ("." | "..") => format!("{dots}~"),
        _ => key,
    };
    let mut path = path(spec).to_vec();
    path.push(&key);
    server.api.delete(&what, &path).await
}

/// All that tells one binding from another, as JSON text.
pub(super) fn identity(spec: &Spec) -> String {
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

fn found(natural: String, id: String, spec: Spec) -> Found<Spec, NoFacts> {
    Found { id, natural, spec, facts: NoFacts {}, owner: Owner::Unmarked }
}
