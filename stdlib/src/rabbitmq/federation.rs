//! Federation: <https://www.rabbitmq.com/docs/federation-reference>.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use dollop_engine::error::CallError;
use dollop_engine::resource::Problem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::item::{Item, Place, in_vhost};
use super::parameter::Row;
use super::server::Server;
use super::settings::{self, Addresses, Settings, attributes, from_value, to_value};
use super::shovel::AckMode;

/// Another server that exchanges and queues may get messages from; a `rabbitmq::policy` says
/// which (`federation-upstream`). Needs the plugin `rabbitmq_federation`.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpstreamSpec {
    /// The vhost.
    #[schemars(extend("x-handle" = "rabbitmq::vhost"))]
    vhost: String,
    /// Where it is. Example: `"amqp://user:secret@other/vhost"`. Of several in a list one is
    /// taken.
    #[schemars(extend("x-secret" = true))]
    uri: Addresses,
    /// How many messages are under way at once.
    #[serde(default)]
    prefetch_count: Option<i64>,
    /// Seconds until the link tries again when the other server is away.
    #[serde(default)]
    reconnect_delay: Option<i64>,
    /// When a message counts as moved.
    #[serde(default)]
    ack_mode: Option<AckMode>,
    /// Whether the other server's word is taken for who published a message.
    #[serde(default)]
    trust_user_id: Option<bool>,
    /// The exchange over there; the same name as here when left out.
    #[serde(default)]
    exchange: Option<String>,
    /// How many links a message may pass.
    #[serde(default)]
    max_hops: Option<i64>,
    /// How long the queue over there outlives the link, in milliseconds.
    #[serde(default)]
    expires: Option<i64>,
    /// How long messages live in it, in milliseconds.
    #[serde(default)]
    message_ttl: Option<i64>,
    /// The queue over there; the same name as here when left out.
    #[serde(default)]
    queue: Option<String>,
    /// How the link calls itself as a consumer.
    #[serde(default)]
    consumer_tag: Option<String>,
    /// Whether what the link made over there is removed when it is no longer needed.
    #[serde(default)]
    resource_cleanup_mode: Option<Cleanup>,
    /// Whether the link uses channels of its own for each direction, or one.
    #[serde(default)]
    channel_use_mode: Option<ChannelUse>,
    /// Whether bindings are made over there without waiting for an answer.
    #[serde(default)]
    bind_nowait: Option<bool>,
    /// More settings, as the server names them. Example: `#{ "queue-type": "quorum" }` with
    /// RabbitMQ 4, or `#{ "ha-policy": "all" }` before.
    #[serde(default)]
    settings: Settings,
}

/// What becomes of what a link made on the other server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Cleanup {
    /// It is removed with the link.
    Default,
    /// It stays.
    Never,
}

/// How many channels a link uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ChannelUse {
    /// One for each direction.
    Multiple,
    /// One.
    Single,
}

/// The attributes.
static ATTRIBUTES: LazyLock<BTreeSet<String>> = LazyLock::new(attributes::<UpstreamSpec>);

/// The kind `rabbitmq::federation_upstream`.
pub struct Upstream;

/// The name of the component.
pub(super) const UPSTREAM: &str = "federation-upstream";

impl Item for Upstream {
    const KIND: &'static str = "rabbitmq::federation_upstream";
    type Spec = UpstreamSpec;
    type Row = Row;

    fn normalize(spec: &mut UpstreamSpec) {
        spec.uri.normalize();
    }

    fn check(spec: &UpstreamSpec) -> Vec<Problem> {
        let mut problems = spec.uri.check("uri");
        problems.extend(settings::check(&spec.settings, &ATTRIBUTES));
        problems
    }

    async fn rows(server: &Server, _: &[Place]) -> Result<Vec<Row>, CallError> {
        server.definitions().await?.parameters(UPSTREAM)
    }

    fn row_place(row: &Row) -> Place {
        in_vhost(&row.vhost, &row.name)
    }

    fn place(name: &str, spec: &UpstreamSpec) -> Place {
        in_vhost(&spec.vhost, name)
    }

    fn found(_: Option<&UpstreamSpec>, row: &Row) -> Result<UpstreamSpec, CallError> {
        from_value("federation upstream", row, &ATTRIBUTES)
    }

    fn words(name: &str, spec: &UpstreamSpec) -> String {
        format!("federation upstream `{name}` in vhost `{}`", spec.vhost)
    }

    fn path<'a>(name: &'a str, spec: &'a UpstreamSpec) -> Vec<&'a str> {
        vec!["parameters", UPSTREAM, &spec.vhost, name]
    }

    fn body(_: &str, spec: &UpstreamSpec) -> Json {
        json!({ "value": to_value(spec) })
    }
}

/// Several upstreams under one name, for `federation-upstream-set` of a `rabbitmq::policy`.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetSpec {
    /// The vhost.
    #[schemars(extend("x-handle" = "rabbitmq::vhost"))]
    vhost: String,
    /// The upstreams; the order does not matter.
    #[schemars(extend("x-handle" = "rabbitmq::federation_upstream"))]
    upstreams: Vec<String>,
}

/// The kind `rabbitmq::federation_upstream_set`.
pub struct UpstreamSet;

/// The name of the component.
pub(super) const SET: &str = "federation-upstream-set";

impl Item for UpstreamSet {
    const KIND: &'static str = "rabbitmq::federation_upstream_set";
    type Spec = SetSpec;
    type Row = Row;

    fn normalize(spec: &mut SetSpec) {
        spec.upstreams.sort();
        spec.upstreams.dedup();
    }

    async fn rows(server: &Server, _: &[Place]) -> Result<Vec<Row>, CallError> {
        server.definitions().await?.parameters(SET)
    }

    fn row_place(row: &Row) -> Place {
        in_vhost(&row.vhost, &row.name)
    }

    fn place(name: &str, spec: &SetSpec) -> Place {
        in_vhost(&spec.vhost, name)
    }

    /// A member with settings of its own is none that can be declared; beside a declaration it
    /// is a difference.
    fn found(wanted: Option<&SetSpec>, row: &Row) -> Result<SetSpec, CallError> {
        let members = row.value.as_array().into_iter().flatten();
        let upstreams = members.map(|member| {
            let name = member["upstream"].as_str().unwrap_or_default().to_owned();
            if member.as_object().is_some_and(|entries| entries.len() == 1) {
                return Ok(name);
            }
            match wanted {
                Some(_) => Ok(format!("{name} (with settings of its own)")),
                None => Err(CallError::refused(format!(
                    "federation upstream set `{}` in vhost `{}` has a member with settings of \
                     its own, which dollop does not know",
                    row.name, row.vhost
                ))),
            }
        });
        Ok(SetSpec {
            vhost: row.vhost.clone(),
            upstreams: upstreams.collect::<Result<_, _>>()?,
        })
    }

    fn words(name: &str, spec: &SetSpec) -> String {
        format!("federation upstream set `{name}` in vhost `{}`", spec.vhost)
    }

    fn path<'a>(name: &'a str, spec: &'a SetSpec) -> Vec<&'a str> {
        vec!["parameters", SET, &spec.vhost, name]
    }

    fn body(_: &str, spec: &SetSpec) -> Json {
        let members: Vec<_> =
            spec.upstreams.iter().map(|name| json!({ "upstream": name })).collect();
        json!({ "value": members })
    }
}
