//! Virtual hosts: <https://www.rabbitmq.com/docs/vhosts>.

use std::collections::BTreeMap;

use dollop_engine::analysis::Known;
use dollop_engine::error::CallError;
use dollop_engine::resource::{Beside, Held, Moment, Preview, Problem, Proposed, Traits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::api::Api;
use super::item::{Item, Place, Whose, in_vhost};
use super::server::Server;
use super::user::tags;
use super::versions::{is_from, is_since};
use super::{held, limits};

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
    /// RabbitMQ before 3.11.17 sets it only when it makes the vhost.
    #[serde(default)]
    default_queue_type: Option<QueueType>,
    /// Whether messages are copied to the exchange `amq.rabbitmq.trace`.
    #[serde(default)]
    tracing: bool,
    /// The most connections of clients at once. Left out, there is no limit.
    #[serde(default)]
    max_connections: Option<u32>,
    /// The most queues it may hold. Left out, there is no limit.
    #[serde(default)]
    max_queues: Option<u32>,
    /// Whether the server refuses to delete it, whoever asks; so does a plan in which it would
    /// go, with its server as well. It is set back to `false`, and applied, before the vhost can
    /// go. Needs RabbitMQ 4.1.
    #[serde(default)]
    deletion_protection: bool,
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

/// The kind `rabbitmq::vhost`.
pub struct VirtualHost;

/// Where they are listed, without the numbers of their messages.
pub(super) const LIST: &str = "vhosts?disable_stats=true";

/// All of them, asked for once.
pub(super) async fn listed(api: &Api) -> Result<Vec<Row>, CallError> {
    api.get("list the vhosts", LIST).await
}

/// A vhost as the server lists it, with its limits.
#[derive(Deserialize)]
pub struct Row {
    name: String,
    #[serde(default)]
    description: Option<String>,
    /// A list; text with commas, or none, where `rabbitmqctl` made the vhost.
    #[serde(default)]
    tags: Json,
    /// `"undefined"` when there is none.
    #[serde(default)]
    default_queue_type: Option<String>,
    #[serde(default)]
    tracing: bool,
    /// Older servers have none.
    #[serde(default)]
    metadata: Json,
    #[serde(skip)]
    limits: Json,
}

impl Row {
    fn is_protected(&self) -> bool {
        self.metadata["protected_from_deletion"] == true
    }
}

/// The version that changes the default type of the queues of a vhost that exists.
pub(super) const CHANGES_TYPE: (u32, u32, u32) = (3, 11, 17);

/// The default type of queues where there is none.
pub(super) const UNDEFINED: &str = "undefined";

/// The version that can protect vhosts.
const PROTECTS: (u32, u32) = (4, 1);

/// The limits the API knows, by attribute.
const LIMITS: [(&str, &str); 2] =
    [("max_connections", "max-connections"), ("max_queues", "max-queues")];

impl Item for VirtualHost {
    const KIND: &'static str = "rabbitmq::vhost";
    type Spec = Spec;
    type Row = Row;

    const KNOWN: Option<Known> = Some(Known::Place);

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

    const PREVIEWS: bool = true;

    /// Whether the server can protect it, and change the default type of its queues.
    async fn preview(
        server: &Server,
        proposed: &[Proposed<Spec>],
        _: &Beside,
    ) -> Result<Vec<Preview>, CallError> {
        let preview = |one: &Proposed<Spec>| Preview {
            problems: unprotectable(server, &one.to)
                .into_iter()
                .chain(fixed_queue_type(&server.version, one.from.as_ref(), &one.to))
                .collect(),
            ..Preview::default()
        };
        Ok(proposed.iter().map(preview).collect())
    }

    /// The definitions hold the limits; description, tags and tracing are in the list only.
    async fn rows(server: &Server, _: &[Place]) -> Result<Vec<Row>, CallError> {
        let listed = async {
            match server.vhosts.take(&server.api) {
                Some(rows) => Ok(rows),
                None => server.api.list("list the vhosts", LIST).await,
            }
        };
        let (rows, definitions) = futures::join!(listed, server.definitions());
        let limits = definitions?.parameters("vhost-limits")?;
        let mut limits: BTreeMap<String, Json> =
            limits.into_iter().map(|row| (row.vhost, row.value)).collect();
        let mut rows = rows?;
        for row in &mut rows {
            row.limits = limits.remove(&row.name).unwrap_or_default();
        }
        Ok(rows)
    }

    fn row_place(row: &Row) -> Place {
        in_vhost("", &row.name)
    }

    fn place(name: &str, _: &Spec) -> Place {
        in_vhost("", name)
    }

    fn found(wanted: Option<&Spec>, row: &Row) -> Result<Spec, CallError> {
        Ok(found(wanted, row))
    }

    /// The one every server begins with, as long as nobody has set anything in it.
    fn whose(_: &Server, row: &Row) -> Whose {
        let spec = found(None, row);
        let as_made = spec.tags.is_empty()
            && !spec.deletion_protection
            && !spec.tracing
            && limits_of(&spec) == [None; 2]
            && matches!(spec.description.as_str(), "" | "Default virtual host");
        if row.name == "/" && as_made { Whose::BuiltIn } else { Whose::Theirs }
    }

    fn words(name: &str, _: &Spec) -> String {
        format!("vhost `{name}`")
    }

    fn path<'a>(name: &'a str, _: &'a Spec) -> Vec<&'a str> {
        vec!["vhosts", name]
    }

    fn body(_: &str, spec: &Spec) -> Json {
        let mut body = json!({
            "description": spec.description,
            "tags": spec.tags,
            "tracing": spec.tracing,
        });
        if let Some(queue_type) = spec.default_queue_type {
            set_queue_type(&mut body, &json!(queue_type));
        }
        body
    }

    async fn write(
        server: &Server,
        what: &str,
        name: &str,
        from: Option<&Spec>,
        to: &Spec,
    ) -> Result<(), CallError> {
        if let Some(problem) = unprotectable(server, to) {
            let error = CallError::refused(format!("cannot {what}: {}", problem.message));
            return Err(problem.hint.into_iter().fold(error, CallError::hint));
        }
        let body = Self::body(name, to);
        match from {
            None => server.api.put(what, &Self::path(name, to), &body).await?,
            Some(from) if Self::body(name, from) != body => {
                let body = with_queue_type(server, what, name, body).await?;
                server.api.put(what, &Self::path(name, to), &body).await?;
            }
            Some(_) => {}
        }
        let was = from.map(|from| from.deletion_protection);
        let path = protection_path(name);
        match protect(&server.version, was, to.deletion_protection) {
            Some(Protect::Set) => server.api.post(what, &path, &json!({})).await?,
            Some(Protect::Lift) => server.api.delete(what, &path).await?,
            None => {}
        }
        let path = ["vhost-limits", name];
        limits::write(server, what, &path, &LIMITS, from.map(limits_of), limits_of(to)).await?;
        let changed = from.is_some_and(|from| to.default_queue_type != from.default_queue_type);
        if changed && to.default_queue_type.is_some() {
            took_queue_type(server, what, name, to).await?;
        }
        Ok(())
    }

    async fn held(
        server: &Server,
        wanted: &[Place],
        moment: Moment,
    ) -> Vec<Result<Held, CallError>> {
        held::in_vhosts(server, wanted, moment).await
    }

    fn protection(spec: &Spec) -> Option<Problem> {
        spec.deletion_protection.then(|| Problem {
            attribute: "deletion_protection".to_owned(),
            message: "the server refuses to delete it".to_owned(),
            hint: Some(
                "if it is to go: declare it with `deletion_protection: false`, apply that, then \
                 let it go"
                    .to_owned(),
            ),
        })
    }
}

/// <https://www.rabbitmq.com/docs/vhosts#deletion-protection>
fn protection_path(name: &str) -> [&str; 4] {
    ["vhosts", name, "deletion", "protection"]
}

/// What makes the protection of a vhost what it shall be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protect {
    Set,
    Lift,
}

/// A vhost that is made may have been there already, and protected; of that older servers know
/// nothing.
fn protect(version: &str, was: Option<bool>, to: bool) -> Option<Protect> {
    match (was, to) {
        (Some(true), true) => None,
        (_, true) => Some(Protect::Set),
        (Some(true), false) => Some(Protect::Lift),
        (None, false) if is_since(version, PROTECTS) => Some(Protect::Lift),
        _ => None,
    }
}

/// Why a server cannot do what is asked of a vhost.
fn unprotectable(server: &Server, spec: &Spec) -> Option<Problem> {
    let version = &server.version;
    (spec.deletion_protection && !is_since(version, PROTECTS)).then(|| Problem {
        attribute: "deletion_protection".to_owned(),
        message: format!(
            "RabbitMQ {version} cannot protect a vhost from deletion: that came with 4.1"
        ),
        hint: Some("`prevent_destroy: true` keeps dollop from deleting it".to_owned()),
    })
}

/// Why a server cannot change the default type of the queues of a vhost.
fn fixed_queue_type(version: &str, from: Option<&Spec>, to: &Spec) -> Option<Problem> {
    let changes = to.default_queue_type.is_some()
        && from.is_some_and(|from| from.default_queue_type != to.default_queue_type);
    (changes && !is_from(version, CHANGES_TYPE)).then(|| {
        Problem::new(
            "default_queue_type",
            format!(
                "RabbitMQ {version} does not change the default queue type of a vhost that \
                 exists: that came with 3.11.17"
            ),
        )
        .hint("leave it as it is, or delete the vhost with all it holds")
    })
}

fn limits_of(spec: &Spec) -> [Option<u32>; 2] {
    [spec.max_connections, spec.max_queues]
}

fn found(wanted: Option<&Spec>, row: &Row) -> Spec {
    let managed = wanted.is_none_or(|wanted| wanted.default_queue_type.is_some());
    let managed = row.default_queue_type.as_deref().filter(|_| managed);
    let default_queue_type = managed.and_then(|word| serde_json::from_value(json!(word)).ok());
    let [max_connections, max_queues] = limits::read(&LIMITS, &row.limits);
    Spec {
        description: row.description.clone().unwrap_or_default(),
        tags: tags(&row.tags),
        default_queue_type,
        tracing: row.tracing,
        max_connections,
        max_queues,
        deletion_protection: row.is_protected(),
    }
}

fn set_queue_type(body: &mut Json, queue_type: &Json) {
    body["default_queue_type"] = queue_type.clone();
    // What 3.10 calls it.
    body["defaultqueuetype"] = queue_type.clone();
}

/// What is sent to a vhost that exists: newer servers forget the type of queues that it has by
/// default when a change does not say it.
async fn with_queue_type(
    server: &Server,
    what: &str,
    name: &str,
    mut body: Json,
) -> Result<Json, CallError> {
    if body.get("default_queue_type").is_none() {
        let row: Option<Row> = server.api.get_at(what, &["vhosts", name]).await?;
        let queue_type = row.and_then(|row| row.default_queue_type);
        if let Some(queue_type) = queue_type.filter(|queue_type| queue_type != UNDEFINED) {
            set_queue_type(&mut body, &json!(queue_type));
        }
    }
    Ok(body)
}

/// Older servers answer well and change nothing.
async fn took_queue_type(
    server: &Server,
    what: &str,
    name: &str,
    to: &Spec,
) -> Result<(), CallError> {
    let row: Option<Row> = server.api.get_at(what, &["vhosts", name]).await?;
    let is = row.and_then(|row| found(Some(to), &row).default_queue_type);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protection_is_asked_for_where_the_server_has_it() {
        assert_eq!(protect("4.1.0", None, true), Some(Protect::Set));
        assert_eq!(protect("4.1.0", Some(false), true), Some(Protect::Set));
        assert_eq!(protect("4.1.0", Some(true), true), None);
        assert_eq!(protect("4.1.0", Some(true), false), Some(Protect::Lift));
        assert_eq!(protect("4.1.0", Some(false), false), None);
        // One that was there already may be protected.
        assert_eq!(protect("4.1.0", None, false), Some(Protect::Lift));
        assert_eq!(protect("3.10.8", None, false), None);
        assert_eq!(protection_path("a/b"), ["vhosts", "a/b", "deletion", "protection"]);
    }

    #[test]
    fn a_default_queue_type_is_changed_where_the_server_can() {
        let spec = |queue_type: Json| -> Spec {
            serde_json::from_value(json!({ "default_queue_type": queue_type })).unwrap()
        };
        let (none, quorum) = (spec(json!(null)), spec(json!("quorum")));
        let fixed = |version: &str, from: Option<&Spec>, to: &Spec| {
            fixed_queue_type(version, from, to).is_some()
        };
        assert!(fixed("3.10.8", Some(&none), &quorum));
        assert!(fixed("3.11.16", Some(&spec(json!("classic"))), &quorum));
        assert!(!fixed("3.11.17", Some(&none), &quorum));
        assert!(!fixed("3.10.8", None, &quorum));
        assert!(!fixed("3.10.8", Some(&quorum), &quorum));
        assert!(!fixed("3.10.8", Some(&quorum), &none));
    }

    #[test]
    fn what_is_protected_may_not_go() {
        let row = |metadata: Json| {
            let row = json!({ "name": "shop", "metadata": metadata });
            found(None, &serde_json::from_value(row).unwrap())
        };
        let free = row(json!({ "protected_from_deletion": false }));
        assert!(VirtualHost::protection(&free).is_none());
        assert!(VirtualHost::protection(&row(json!({}))).is_none());
        let kept = VirtualHost::protection(&row(json!({ "protected_from_deletion": true })));
        assert_eq!(kept.unwrap().attribute, "deletion_protection");
    }
}
