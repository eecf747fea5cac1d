//! Exchanges: <https://www.rabbitmq.com/docs/exchanges>.

use std::collections::BTreeMap;

use dollop_engine::error::CallError;
use dollop_engine::resource::{
    Created, Found, Name, Owner, Problem, ReadResult, Resource, Traits, Wanted,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::arguments::{Form, Typed, check_leftover, check_nulls, lift, lower};
use super::rows::{answer, name_of};
use super::server::Server;

const TYPED: &[Typed] =
    &[Typed { attribute: "alternate_exchange", key: "alternate-exchange", form: Form::Text }];

/// An exchange: takes messages and hands them to what is bound to it. RabbitMQ cannot
/// change one in place; a new one starts without bindings.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The vhost.
    #[schemars(extend("x-handle" = "rabbitmq::vhost"))]
    vhost: String,
    /// How it routes: `"direct"`, `"fanout"`, `"topic"`, `"headers"`, or a type that a
    /// plugin of the server adds.
    #[serde(default = "direct", rename = "type")]
    #[schemars(extend("x-replace" = true))]
    kind: String,
    /// Whether it survives a restart of the server.
    #[serde(default = "yes")]
    #[schemars(extend("x-replace" = true))]
    durable: bool,
    /// Whether the server deletes it after its last binding.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    auto_delete: bool,
    /// Whether clients may not publish to it, only other exchanges.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    internal: bool,
    /// Where messages go that it cannot route.
    #[serde(default)]
    #[schemars(extend("x-replace" = true, "x-handle" = "rabbitmq::exchange"))]
    alternate_exchange: Option<String>,
    /// More arguments, as the server names them.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    arguments: BTreeMap<String, Json>,
}

/// Nothing more is reported.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Facts {}

/// The kind `rabbitmq::exchange`.
pub struct Exchange;

#[derive(Deserialize)]
struct Row {
    vhost: String,
    name: String,
    #[serde(rename = "type")]
    kind: String,
    durable: bool,
    auto_delete: bool,
    internal: bool,
    arguments: BTreeMap<String, Json>,
}

impl Resource for Exchange {
    const KIND: &'static str = "rabbitmq::exchange";
    type Connection = Server;
    type Spec = Spec;
    type Facts = Facts;

    fn traits() -> Traits {
        Traits { within: &["vhost"], ..Traits::default() }
    }

    fn normalize(spec: &mut Spec) {
        lift(TYPED, spec);
    }

    fn check(spec: &Spec) -> Vec<Problem> {
        let mut problems = check_nulls("arguments", &spec.arguments);
        problems.extend(check_leftover(TYPED, &spec.arguments));
        problems
    }

    async fn read(server: &Server, wanted: &[Wanted<Spec>]) -> Vec<ReadResult<Self>> {
        let rows = server.api.list("list the exchanges", "exchanges").await;
        answer::<Self, _, _>(
            rows,
            |row: &Row| (row.vhost.clone(), row.name.clone()),
            wanted,
            |wanted| (wanted.spec.vhost.clone(), name_of(wanted).to_owned()),
            |_, row| Ok(found(row)),
        )
    }

    async fn create(
        server: &Server,
        name: &Name,
        spec: Spec,
    ) -> Result<Created<Facts>, CallError> {
        let what = format!("create exchange `{}` in vhost `{}`", name.natural, spec.vhost);
        let body = json!({
            "type": spec.kind,
            "durable": spec.durable,
            "auto_delete": spec.auto_delete,
            "internal": spec.internal,
            "arguments": lower(TYPED, &spec, &spec.arguments),
        });
        server.api.put(&what, &["exchanges", &spec.vhost, &name.natural], &body).await?;
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
        let what = format!("delete exchange `{id}` in vhost `{}`", spec.vhost);
        server.api.delete(&what, &["exchanges", &spec.vhost, id]).await
    }
}

fn direct() -> String {
    "direct".to_owned()
}

fn yes() -> bool {
    true
}

fn found(row: &Row) -> Found<Spec, Facts> {
    Found {
        id: row.name.clone(),
        natural: row.name.clone(),
        spec: Spec {
            vhost: row.vhost.clone(),
            kind: row.kind.clone(),
            durable: row.durable,
            auto_delete: row.auto_delete,
            internal: row.internal,
            alternate_exchange: None,
            // The engine brings it to normal form.
            arguments: row.arguments.clone(),
        },
        facts: Facts {},
        owner: Owner::Unmarked,
    }
}
