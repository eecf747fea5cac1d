//! Dynamic shovels: <https://www.rabbitmq.com/docs/shovel-dynamic>.

use dollop_engine::error::CallError;
use dollop_engine::resource::Problem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};

use super::item::{Item, Place, in_vhost};
use super::parameter::Row;
use super::server::Server;

/// The name of the component.
pub(super) const COMPONENT: &str = "shovel";

/// A shovel: takes messages from one place, perhaps on another server, and publishes them in
/// another. Needs the plugin `rabbitmq_shovel`. A change restarts it.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The vhost it runs in.
    #[schemars(extend("x-handle" = "rabbitmq::vhost"))]
    vhost: String,
    /// The server that messages come from. Example: `"amqp://user:secret@other/vhost"`;
    /// `"amqp://"` is the server itself, `"amqp:///name"` another vhost of it.
    #[schemars(extend("x-secret" = true))]
    src_uri: String,
    /// The queue they come from.
    #[serde(default)]
    #[schemars(extend("x-handle" = "rabbitmq::queue"))]
    src_queue: Option<String>,
    /// The exchange they come from, by a queue that the shovel makes.
    #[serde(default)]
    #[schemars(extend("x-handle" = "rabbitmq::exchange"))]
    src_exchange: Option<String>,
    /// The routing key that queue is bound with.
    #[serde(default)]
    src_exchange_key: Option<String>,
    /// How many messages are under way at once.
    #[serde(default)]
    src_prefetch_count: Option<i64>,
    /// When the shovel removes itself: `"never"`, `"queue-length"` once the messages are
    /// moved that were there at its start, or a number of messages.
    #[serde(default)]
    src_delete_after: Option<DeleteAfter>,
    /// The server they go to.
    #[schemars(extend("x-secret" = true))]
    dest_uri: String,
    /// The queue they go to.
    #[serde(default)]
    #[schemars(extend("x-handle" = "rabbitmq::queue"))]
    dest_queue: Option<String>,
    /// The exchange they go to.
    #[serde(default)]
    #[schemars(extend("x-handle" = "rabbitmq::exchange"))]
    dest_exchange: Option<String>,
    /// The routing key they get; their own when left out.
    #[serde(default)]
    dest_exchange_key: Option<String>,
    /// Whether headers tell where a message was shovelled.
    #[serde(default)]
    dest_add_forward_headers: Option<bool>,
    /// When a message counts as moved.
    #[serde(default)]
    ack_mode: Option<AckMode>,
    /// Seconds until it tries again when a server is away.
    #[serde(default)]
    reconnect_delay: Option<i64>,
}

/// When a shovel removes itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum DeleteAfter {
    /// After that many messages.
    Messages(i64),
    /// By a rule.
    Rule(DeleteRule),
}

/// A rule by which a shovel removes itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DeleteRule {
    /// It stays.
    Never,
    /// When the messages are moved that were there at its start.
    QueueLength,
}

/// When a message counts as moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AckMode {
    /// When the destination confirmed it; none is lost.
    OnConfirm,
    /// When it was sent.
    OnPublish,
    /// At once; messages can be lost.
    NoAck,
}

/// The kind `rabbitmq::shovel`.
pub struct Shovel;

impl Item for Shovel {
    const KIND: &'static str = "rabbitmq::shovel";
    type Spec = Spec;
    type Row = Row;

    fn check(spec: &Spec) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut problem = |attribute: &str, message: &str, hint: &str| {
            problems.push(Problem {
                attribute: attribute.to_owned(),
                message: message.to_owned(),
                hint: Some(hint.to_owned()),
            });
        };
        match (&spec.src_queue, &spec.src_exchange) {
            (None, None) => {
                problem(
                    "src_queue",
                    "nothing says where messages come from",
                    "set `src_queue`",
                );
            }
            (Some(_), Some(_)) => {
                problem(
                    "src_exchange",
                    "messages come from a queue already",
                    "keep one of them",
                );
            }
            _ => {}
        }
        if spec.dest_queue.is_some() && spec.dest_exchange.is_some() {
            problem("dest_exchange", "messages go to a queue already", "keep one of them");
        }
        if spec.src_exchange_key.is_some() && spec.src_exchange.is_none() {
            problem("src_exchange_key", "there is no `src_exchange`", "set it too");
        }
        for (attribute, uri) in [("src_uri", &spec.src_uri), ("dest_uri", &spec.dest_uri)] {
            problems.extend(check_uri(attribute, uri));
        }
        problems
    }

    async fn rows(server: &Server, _: &[Place]) -> Result<Vec<Row>, CallError> {
        server.definitions().await?.parameters(COMPONENT)
    }

    fn row_place(row: &Row) -> Place {
        in_vhost(&row.vhost, &row.name)
    }

    fn place(name: &str, spec: &Spec) -> Place {
        in_vhost(&spec.vhost, name)
    }

    fn found(_: Option<&Spec>, row: &Row) -> Result<Spec, CallError> {
        from_value("shovel", row)
    }

    fn words(name: &str, spec: &Spec) -> String {
        format!("shovel `{name}` in vhost `{}`", spec.vhost)
    }

    fn path<'a>(name: &'a str, spec: &'a Spec) -> Vec<&'a str> {
        vec!["parameters", COMPONENT, &spec.vhost, name]
    }

    fn body(_: &str, spec: &Spec) -> Json {
        let mut value = to_value(spec);
        value.insert("src-protocol".to_owned(), json!("amqp091"));
        value.insert("dest-protocol".to_owned(), json!("amqp091"));
        json!({ "value": value })
    }
}

/// An address of a server, as AMQP clients take it.
pub(super) fn check_uri(attribute: &str, uri: &str) -> Option<Problem> {
    let good = ["amqp://", "amqps://"].iter().any(|scheme| uri.starts_with(scheme));
    (!good).then(|| Problem {
        attribute: attribute.to_owned(),
        message: "this is no address of an AMQP server".to_owned(),
        hint: Some("write it as `amqp://user:password@host:5672/vhost`".to_owned()),
    })
}

/// A spec as the value of a parameter: what is set, with `-` in names, without the vhost.
pub(super) fn to_value<Spec: Serialize>(spec: &Spec) -> Map<String, Json> {
    let Ok(Json::Object(entries)) = serde_json::to_value(spec) else {
        return Map::new();
    };
    entries
        .into_iter()
        .filter(|(name, value)| name != "vhost" && !value.is_null())
        .map(|(name, value)| (name.replace('_', "-"), value))
        .collect()
}

/// The value of a parameter as a spec; the protocol, and what older servers call
/// otherwise, aside.
///
/// # Errors
/// It says something that the kind has no attribute for. Never shows the value: it may hold
/// passwords.
pub(super) fn from_value<Spec: for<'de> Deserialize<'de>>(
    what: &str,
    row: &Row,
) -> Result<Spec, CallError> {
    let mut spec = Map::new();
    spec.insert("vhost".to_owned(), json!(row.vhost));
    for (name, value) in row.value.as_object().into_iter().flatten() {
        let name = match name.as_str() {
            "src-protocol" | "dest-protocol" => continue,
            "prefetch-count" if row.component == COMPONENT => "src_prefetch_count".to_owned(),
            "delete-after" => "src_delete_after".to_owned(),
            "add-forward-headers" => "dest_add_forward_headers".to_owned(),
            name => name.replace('-', "_"),
        };
        // One address may stand in a list of one.
        let value = match value.as_array().map(Vec::as_slice) {
            Some([one]) if name == "uri" || name.ends_with("_uri") => one.clone(),
            _ => value.clone(),
        };
        spec.insert(name, value);
    }
    serde_json::from_value(Json::Object(spec)).map_err(|error| {
        let error = error.to_string();
        // The part that names fields, not values.
        let why = error.split(", expected").next().unwrap_or_default();
        let why =
            if why.starts_with("unknown field") { why } else { "a value of another form" };
        CallError::refused(format!(
            "{what} `{}` in vhost `{}` has a form that dollop does not know: {why}",
            row.name, row.vhost
        ))
    })
}
