//! Exchanges: <https://www.rabbitmq.com/docs/exchanges>.

use std::collections::BTreeMap;

use dollop_engine::analysis::Lint;
use dollop_engine::diagnostic::did_you_mean;
use dollop_engine::error::CallError;
use dollop_engine::resource::{
    Beside, Held, Moment, Preview, Problem, Proposed, Resource as _, Traits,
};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::arguments::{Form, Typed, check_leftover, check_nulls, is_internal, lift, lower};
use super::binding::{Binding, End};
use super::item::{Item, Place, RESERVED, Whose, in_vhost};
use super::server::Server;
use super::{arguments, instead, unbound};
use crate::text::count;

const TYPED: &[Typed] = &[
    Typed { attribute: "alternate_exchange", key: "alternate-exchange", form: Form::Text },
    Typed { attribute: "delayed_type", key: "x-delayed-type", form: Form::Text },
    Typed { attribute: "hash_header", key: "hash-header", form: Form::Text },
    Typed {
        attribute: "hash_property",
        key: "hash-property",
        form: Form::Word(&["message_id", "correlation_id", "timestamp"]),
    },
];

/// The type of the plugin `rabbitmq_consistent_hash_exchange`.
pub(super) const CONSISTENT_HASH: &str = "x-consistent-hash";
/// The type of the plugin `rabbitmq_delayed_message_exchange`.
const DELAYED: &str = "x-delayed-message";

/// What every vhost begins with, after `amq.`.
const OWN: [&str; 6] = ["direct", "fanout", "headers", "match", "rabbitmq.trace", "topic"];

/// An exchange: takes messages and hands them to what is bound to it. RabbitMQ cannot
/// change one in place: a change makes a new one, and all its bindings again, also those that
/// no script declares.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The vhost.
    #[schemars(extend("x-handle" = "rabbitmq::vhost"))]
    vhost: String,
    /// How it routes: `"direct"`, `"fanout"`, `"topic"`, `"headers"`, or a type that a
    /// plugin of the server adds, such as `"x-consistent-hash"` or `"x-delayed-message"`.
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
    /// For `x-consistent-hash`: the header whose value decides, instead of the routing key.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    hash_header: Option<String>,
    /// For `x-consistent-hash`: the property that decides, instead of the routing key.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    hash_property: Option<HashProperty>,
    /// For `x-delayed-message`: how it routes once the delay is over, such as `"direct"`.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    delayed_type: Option<String>,
    /// More arguments, as the server names them.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    arguments: BTreeMap<String, Json>,
}

/// A property of a message.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HashProperty {
    /// Its id.
    MessageId,
    /// The id of what it answers.
    CorrelationId,
    /// When it was made.
    Timestamp,
}

/// The kind `rabbitmq::exchange`.
pub struct Exchange;

/// An exchange as the server lists it.
#[derive(Deserialize)]
pub struct Row {
    vhost: String,
    name: String,
    #[serde(rename = "type")]
    kind: String,
    durable: bool,
    auto_delete: bool,
    internal: bool,
    arguments: BTreeMap<String, Json>,
}

impl Row {
    /// Its place when a plugin made it for itself.
    pub(super) fn kept(&self) -> Option<(&str, &str)> {
        is_internal(&self.arguments).then_some((self.vhost.as_str(), self.name.as_str()))
    }
}

impl Item for Exchange {
    const KIND: &'static str = "rabbitmq::exchange";
    type Spec = Spec;
    type Row = Row;

    fn traits() -> Traits {
        Traits {
            within: &["vhost"],
            holds_data: true,
            instead: instead::EXCHANGE,
            ..Traits::default()
        }
    }

    /// Others hand on at once what they take.
    fn holds(spec: &Spec) -> bool {
        spec.kind == DELAYED
    }

    fn normalize(spec: &mut Spec) {
        lift(TYPED, spec, |spec| &spec.arguments);
    }

    fn check(spec: &Spec) -> Vec<Problem> {
        let mut problems = check_nulls("arguments", &spec.arguments);
        problems.extend(check_leftover(TYPED, &spec.arguments));
        problems.extend(check_type(spec));
        problems
    }

    fn lint(spec: &Spec) -> Vec<Lint> {
        arguments::lint(&spec.arguments, TYPED.iter().map(|typed| typed.key))
    }

    /// Those that every vhost begins with may be taken over.
    fn is_reserved(name: &str) -> bool {
        name.strip_prefix(RESERVED).is_some_and(|rest| !OWN.contains(&rest))
    }

    /// The definitions leave out the server's own exchanges, which can be looked up.
    async fn rows(server: &Server, wanted: &[Place]) -> Result<Vec<Row>, CallError> {
        if wanted.iter().any(|(_, name)| is_own(name)) {
            return list(server).await;
        }
        all(server).await
    }

    const END: Option<End> = Some(End::Exchange);

    const PREVIEWS: bool = true;

    const PREVIEWED_WITH: &'static [&'static str] = &[Binding::KIND];

    /// Whether the server has the type, as plugins bring some, and lets it be made anew; what
    /// comes back with it.
    async fn preview(
        server: &Server,
        proposed: &[Proposed<Spec>],
        beside: &Beside,
    ) -> Result<Vec<Preview>, CallError> {
        let types = server.exchange_types().await?;
        let previews = proposed.iter().map(|one| {
            let mut preview = preview_type(&server.version, &types, &one.to);
            preview.problems.extend(stays(one));
            preview
        });
        let mut previews: Vec<_> = previews.collect();
        unbound::preview::<Self>(server, End::Exchange, proposed, beside, &mut previews)
            .await?;
        Ok(previews)
    }

    fn row_place(row: &Row) -> Place {
        in_vhost(&row.vhost, &row.name)
    }

    fn place(name: &str, spec: &Spec) -> Place {
        in_vhost(&spec.vhost, name)
    }

    /// Federation keeps some for itself.
    fn whose(_: &Server, row: &Row) -> Whose {
        let own = row.kind == "x-federation-upstream" || is_internal(&row.arguments);
        if own { Whose::Hidden } else { Whose::Theirs }
    }

    fn found(_: Option<&Spec>, row: &Row) -> Result<Spec, CallError> {
        Ok(Spec {
            vhost: row.vhost.clone(),
            kind: row.kind.clone(),
            durable: row.durable,
            auto_delete: row.auto_delete,
            internal: row.internal,
            alternate_exchange: None,
            hash_header: None,
            hash_property: None,
            delayed_type: None,
            // The engine brings it to normal form.
            arguments: row.arguments.clone(),
        })
    }

    fn words(name: &str, spec: &Spec) -> String {
        format!("exchange `{name}` in vhost `{}`", spec.vhost)
    }

    fn path<'a>(name: &'a str, spec: &'a Spec) -> Vec<&'a str> {
        vec!["exchanges", &spec.vhost, name]
    }

    fn body(_: &str, spec: &Spec) -> Json {
        json!({
            "type": spec.kind,
            "durable": spec.durable,
            "auto_delete": spec.auto_delete,
            "internal": spec.internal,
            "arguments": lower(TYPED, spec, &spec.arguments),
        })
    }

    /// The server refuses to remove its own, so there is nothing to do for one that is not
    /// managed any more.
    async fn remove(
        server: &Server,
        what: &str,
        name: &str,
        spec: &Spec,
    ) -> Result<(), CallError> {
        if is_own(name) {
            return Ok(());
        }
        server.api.delete(what, &Self::path(name, spec)).await
    }

    /// Messages that wait in it, as the node tells that is asked.
    async fn held(
        server: &Server,
        wanted: &[Place],
        _: Moment,
    ) -> Vec<Result<Held, CallError>> {
        let delayed = wanted.iter().map(|place| delayed(server, place));
        futures::future::join_all(delayed).await
    }
}

/// How many messages wait in a delayed exchange until their time has come.
async fn delayed(server: &Server, (vhost, name): &Place) -> Result<Held, CallError> {
    #[derive(Deserialize)]
    struct Delayed {
        /// Older versions of the plugin do not count.
        messages_delayed: Option<u64>,
    }
    let what = format!("look into exchange `{name}` in vhost `{vhost}`");
    let exchange: Option<Delayed> =
        server.api.get_at(&what, &["exchanges", vhost, name]).await?;
    Ok(match exchange.map(|exchange| exchange.messages_delayed) {
        None | Some(Some(0)) => Held::Nothing("no delayed messages".to_owned()),
        Some(Some(many)) => Held::Content(count(many, "delayed message")),
        Some(None) => Held::Content("an unknown number of delayed messages".to_owned()),
    })
}

/// Why an exchange of the server's own cannot be made anew.
fn stays(one: &Proposed<Spec>) -> Option<Problem> {
    let name = one.id.as_deref().unwrap_or(&one.name.natural);
    let refused = one.anew && is_own(name);
    refused.then(|| {
        let message = format!(
            "`{name}` is the server's own, which it lets nobody remove: it cannot be made anew"
        );
        Problem::new("name", message).hint("declare it as it is, or another one")
    })
}

/// Whether the server names it.
pub(super) fn is_own(name: &str) -> bool {
    name.is_empty() || name.starts_with(RESERVED)
}

/// All exchanges, the server's own among them.
pub(super) async fn list<T: DeserializeOwned>(server: &Server) -> Result<Vec<T>, CallError> {
    let path = "exchanges?disable_stats=true\
                &columns=vhost,name,type,durable,auto_delete,internal,arguments";
    server.api.list("list the exchanges", path).await
}

/// All exchanges that somebody made.
pub(super) async fn all(server: &Server) -> Result<Vec<Row>, CallError> {
    let definitions = server.definitions().await?;
    if definitions.have_internal_exchanges()? {
        return definitions.rows("exchanges");
    }
    let mut rows: Vec<Row> = list(server).await?;
    rows.retain(|row| !is_own(&row.name));
    Ok(rows)
}

fn direct() -> String {
    "direct".to_owned()
}

fn yes() -> bool {
    true
}

/// What only exchanges of some types have, and must have.
fn check_type(spec: &Spec) -> Vec<Problem> {
    let problem = |attribute: &str, message: &str, hint: &str| {
        Problem::new(attribute, message).hint(hint)
    };
    let mut problems = Vec::new();
    let hashes = [
        ("hash_header", spec.hash_header.is_some()),
        ("hash_property", spec.hash_property.is_some()),
    ];
    for (attribute, _) in hashes.iter().filter(|(_, set)| *set) {
        if spec.kind != CONSISTENT_HASH {
            let message = format!(
                "`{attribute}` is for the type `{CONSISTENT_HASH}`, not `{}`",
                spec.kind
            );
            problems.push(problem(attribute, &message, "leave it out, or change `type`"));
        }
    }
    if hashes.iter().all(|(_, set)| *set) {
        let message = "the header and the property cannot both decide";
        problems.push(problem("hash_property", message, "keep one of them"));
    }
    match &spec.delayed_type {
        None if spec.kind == DELAYED => problems.push(problem(
            "delayed_type",
            "how it routes once the delay is over is missing",
            "set `delayed_type: \"direct\"`, or another type",
        )),
        Some(after) if spec.kind == DELAYED && after == DELAYED => problems.push(problem(
            "delayed_type",
            "a delayed exchange cannot delay again",
            "set `delayed_type: \"direct\"`, or another type",
        )),
        Some(_) if spec.kind != DELAYED => {
            let message =
                format!("`delayed_type` is for the type `{DELAYED}`, not `{}`", spec.kind);
            problems.push(problem("delayed_type", &message, "leave it out, or change `type`"));
        }
        _ => {}
    }
    problems
}

/// The types that plugins bring, as far as they are well known.
const PLUGINS: [(&str, &str); 6] = [
    (CONSISTENT_HASH, "rabbitmq_consistent_hash_exchange"),
    (DELAYED, "rabbitmq_delayed_message_exchange"),
    ("x-random", "rabbitmq_random_exchange"),
    ("x-recent-history", "rabbitmq_recent_history_exchange"),
    ("x-jms-topic", "rabbitmq_jms_topic_exchange"),
    ("x-modulus-hash", "rabbitmq_sharding"),
];

fn preview_type(version: &str, types: &[String], spec: &Spec) -> Preview {
    // An older server may list none.
    if types.is_empty() || types.contains(&spec.kind) {
        return Preview::default();
    }
    let plugin = PLUGINS.iter().find(|(kind, _)| *kind == spec.kind);
    let near = did_you_mean(&spec.kind, types.iter().map(String::as_str));
    let hint = match (plugin, near) {
        (Some((_, plugin)), _) => {
            format!("run `rabbitmq-plugins enable {plugin}` on each node")
        }
        (None, Some(near)) => format!("did you mean `\"{near}\"`?"),
        (None, None) => format!("it has: {}", types.join(", ")),
    };
    let message = format!("RabbitMQ {version} has no exchange type `{}`", spec.kind);
    let problem = Problem::new("type", message).hint(hint);
    Preview { problems: vec![problem], ..Preview::default() }
}
