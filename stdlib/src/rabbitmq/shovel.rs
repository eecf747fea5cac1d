//! Dynamic shovels: <https://www.rabbitmq.com/docs/shovel-dynamic>.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use dollop_engine::error::CallError;
use dollop_engine::resource::{Beside, Preview, Problem, Proposed};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::arguments::check_nulls;
use super::item::{Item, Place, in_vhost};
use super::parameter::Row;
use super::server::Server;
use super::settings::{self, Addresses, Settings, attributes, from_value, to_value};
use super::versions::is_since;

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
    /// `"amqp://"` is the server itself, `"amqp:///name"` another vhost of it. Of several in a
    /// list one is taken.
    #[schemars(extend("x-secret" = true))]
    src_uri: Addresses,
    /// How that server is spoken to. AMQP 1.0 knows addresses, no queues and exchanges.
    #[serde(default)]
    src_protocol: Protocol,
    /// Where messages come from by AMQP 1.0. Example: `"/queue/orders"`.
    #[serde(default)]
    src_address: Option<String>,
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
    /// Arguments of the shovel as a consumer. Example: `#{ "x-priority": -5 }`.
    #[serde(default)]
    src_consumer_args: Option<BTreeMap<String, Json>>,
    /// How many messages are under way at once.
    #[serde(default)]
    src_prefetch_count: Option<i64>,
    /// When the shovel removes itself: `"never"`, `"queue-length"` once the messages are
    /// moved that were there at its start, or a number of messages.
    #[serde(default)]
    src_delete_after: Option<DeleteAfter>,
    /// The server they go to, or several of which one is taken.
    #[schemars(extend("x-secret" = true))]
    dest_uri: Addresses,
    /// How that server is spoken to.
    #[serde(default)]
    dest_protocol: Protocol,
    /// Where they go by AMQP 1.0.
    #[serde(default)]
    dest_address: Option<String>,
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
    /// Whether a header tells when it was.
    #[serde(default)]
    dest_add_timestamp_header: Option<bool>,
    /// Properties that every message gets by AMQP 0-9-1. Example: `#{ delivery_mode: 2 }`.
    #[serde(default)]
    dest_publish_properties: Option<BTreeMap<String, Json>>,
    /// Properties that every message gets by AMQP 1.0; all are text.
    #[serde(default)]
    dest_properties: Option<BTreeMap<String, Json>>,
    /// When a message counts as moved.
    #[serde(default)]
    ack_mode: Option<AckMode>,
    /// Seconds until it tries again when a server is away.
    #[serde(default)]
    reconnect_delay: Option<i64>,
    /// More settings, as the server names them. Example:
    /// `#{ "src-queue-args": #{ "x-queue-type": "quorum" } }`.
    #[serde(default)]
    settings: Settings,
}

/// A protocol for messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// AMQP 0-9-1.
    #[default]
    Amqp091,
    /// AMQP 1.0.
    Amqp10,
    /// None: the server itself moves messages from one of its queues. Since RabbitMQ 4.2.
    Local,
}

impl Protocol {
    fn words(self) -> &'static str {
        match self {
            Self::Amqp091 => "AMQP 0-9-1",
            Self::Amqp10 => "AMQP 1.0",
            Self::Local => "the protocol `local`",
        }
    }
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

/// Attributes that some of the protocols have, by the side they are of.
const ONLY: &[(&str, &[Protocol])] = &[
    ("src_address", &[Protocol::Amqp10]),
    ("src_queue", QUEUES),
    ("src_exchange", QUEUES),
    ("src_exchange_key", QUEUES),
    ("src_consumer_args", QUEUES),
    ("src_prefetch_count", &[Protocol::Amqp091, Protocol::Amqp10]),
    ("dest_address", &[Protocol::Amqp10]),
    ("dest_queue", QUEUES),
    ("dest_exchange", QUEUES),
    ("dest_exchange_key", QUEUES),
    ("dest_publish_properties", &[Protocol::Amqp091]),
    ("dest_properties", &[Protocol::Amqp10]),
];

/// Those that know queues and exchanges.
const QUEUES: &[Protocol] = &[Protocol::Amqp091, Protocol::Local];

/// The attributes.
static ATTRIBUTES: LazyLock<BTreeSet<String>> = LazyLock::new(attributes::<Spec>);

/// The kind `rabbitmq::shovel`.
pub struct Shovel;

impl Item for Shovel {
    const KIND: &'static str = "rabbitmq::shovel";
    type Spec = Spec;
    type Row = Row;

    fn normalize(spec: &mut Spec) {
        spec.src_uri.normalize();
        spec.dest_uri.normalize();
        for map in [
            &mut spec.src_consumer_args,
            &mut spec.dest_publish_properties,
            &mut spec.dest_properties,
        ] {
            map.take_if(|map| map.is_empty());
        }
    }

    fn check(spec: &Spec) -> Vec<Problem> {
        let mut problems = check_ends(spec);
        problems.extend(spec.src_uri.check("src_uri"));
        problems.extend(spec.dest_uri.check("dest_uri"));
        for (attribute, map) in [
            ("src_consumer_args", &spec.src_consumer_args),
            ("dest_publish_properties", &spec.dest_publish_properties),
            ("dest_properties", &spec.dest_properties),
        ] {
            problems.extend(map.iter().flat_map(|map| check_nulls(attribute, map)));
        }
        problems.extend(settings::check(&spec.settings, &ATTRIBUTES));
        problems
    }

    const PREVIEWS: bool = true;

    /// Whether the server knows the protocols.
    async fn preview(
        server: &Server,
        proposed: &[Proposed<Spec>],
        _: &Beside,
    ) -> Result<Vec<Preview>, CallError> {
        let preview = |one: &Proposed<Spec>| Preview {
            problems: unknown_protocols(&server.version, &one.to),
            ..Preview::default()
        };
        Ok(proposed.iter().map(preview).collect())
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
        from_value("shovel", row, &ATTRIBUTES)
    }

    fn words(name: &str, spec: &Spec) -> String {
        format!("shovel `{name}` in vhost `{}`", spec.vhost)
    }

    fn path<'a>(name: &'a str, spec: &'a Spec) -> Vec<&'a str> {
        vec!["parameters", COMPONENT, &spec.vhost, name]
    }

    fn body(_: &str, spec: &Spec) -> Json {
        json!({ "value": to_value(spec) })
    }
}

/// What is wrong with where messages come from and go to.
fn check_ends(spec: &Spec) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut problem = |attribute: &str, message: String, hint: &str| {
        let (attribute, hint) = (attribute.to_owned(), Some(hint.to_owned()));
        problems.push(Problem { attribute, message, hint });
    };
    let json = serde_json::to_value(spec).unwrap_or_default();
    let is_set = |attribute: &str| !json[attribute].is_null();
    for (attribute, protocols) in ONLY.iter().filter(|(attribute, _)| is_set(attribute)) {
        let (side, is) = if attribute.starts_with("src") {
            ("src_protocol", spec.src_protocol)
        } else {
            ("dest_protocol", spec.dest_protocol)
        };
        if !protocols.contains(&is) {
            let words: Vec<_> = protocols.iter().map(|protocol| protocol.words()).collect();
            let message = format!("`{attribute}` is for {}", words.join(" and "));
            problem(attribute, message, &format!("leave it out, or change `{side}`"));
        }
    }
    let source = match spec.src_protocol {
        Protocol::Amqp091 | Protocol::Local => ["src_queue", "src_exchange"].as_slice(),
        Protocol::Amqp10 => &["src_address"],
    };
    match source.iter().filter(|attribute| is_set(attribute)).count() {
        0 => {
            let message = "nothing says where messages come from".to_owned();
            problem(source[0], message, &format!("set `{}`", source[0]));
        }
        1 => {}
        _ => {
            let message = "messages come from a queue already".to_owned();
            problem("src_exchange", message, "keep one of them");
        }
    }
    if is_set("dest_queue") && is_set("dest_exchange") {
        problem(
            "dest_exchange",
            "messages go to a queue already".to_owned(),
            "keep one of them",
        );
    }
    if spec.dest_protocol == Protocol::Amqp10 && !is_set("dest_address") {
        let message = "nothing says where messages go to".to_owned();
        problem("dest_address", message, "set `dest_address`");
    }
    if is_set("src_exchange_key") && !is_set("src_exchange") {
        problem("src_exchange_key", "there is no `src_exchange`".to_owned(), "set it too");
    }
    let counts = matches!(spec.src_delete_after, Some(DeleteAfter::Messages(_)));
    if counts && spec.ack_mode == Some(AckMode::NoAck) {
        let message = "a shovel that gets no confirms cannot count messages".to_owned();
        problem("src_delete_after", message, "set another `ack_mode`");
    }
    problems
}

/// Protocols that a server does not know yet.
fn unknown_protocols(version: &str, spec: &Spec) -> Vec<Problem> {
    let sides = [("src_protocol", spec.src_protocol), ("dest_protocol", spec.dest_protocol)];
    let sides = sides.into_iter().filter(|(_, protocol)| *protocol == Protocol::Local);
    let unknown = sides.filter(|_| !is_since(version, (4, 2)));
    let message = format!(
        "RabbitMQ {version} has no shovels of the protocol `local`: they came with 4.2"
    );
    unknown
        .map(|(side, _)| {
            Problem::new(side, message.clone()).hint(format!("leave `{side}` out"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_local_shovel_is_for_servers_that_have_them() {
        let spec = |more: Json| -> Spec {
            let mut spec = json!({
                "vhost": "v", "src_uri": "amqp://", "src_protocol": "local", "dest_uri": "amqp://",
                "dest_protocol": "local",
            });
            spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            serde_json::from_value(spec).unwrap()
        };
        let local = spec(json!({ "src_queue": "a", "dest_queue": "b" }));
        assert!(Shovel::check(&local).is_empty());
        let sides = unknown_protocols("4.1.8", &local);
        let sides: Vec<_> = sides.iter().map(|problem| problem.attribute.as_str()).collect();
        assert_eq!(sides, ["src_protocol", "dest_protocol"]);
        assert!(unknown_protocols("4.2.0", &local).is_empty());
        let address = spec(json!({ "src_address": "/queue/a" }));
        assert_eq!(Shovel::check(&address).len(), 2);
    }
}
