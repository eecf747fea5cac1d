//! Permissions: <https://www.rabbitmq.com/docs/access-control#authorisation>.

use std::collections::BTreeMap;

use dollop_engine::error::CallError;
use dollop_engine::resource::{Problem, Traits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::instead;
use super::item::{Item, Place, Whose, in_vhost};
use super::pattern;
use super::server::Server;

/// What a user may do in a vhost. Named after the user. Each attribute is a regular
/// expression for names of queues and exchanges: `".*"` is all, `""` none.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The vhost.
    #[schemars(extend("x-handle" = "rabbitmq::vhost"))]
    vhost: String,
    /// What they may declare, delete and change.
    #[serde(default)]
    configure: String,
    /// What they may publish to.
    #[serde(default)]
    write: String,
    /// What they may consume from.
    #[serde(default)]
    read: String,
    /// By topic exchange, which routing keys they may use there; every key of the exchanges
    /// that are not named. Example: `#{ "amq.topic": #{ write: "^app\\.", read: ".*" } }`.
    #[serde(default)]
    topics: BTreeMap<String, Topic>,
}

/// Which routing keys of a topic exchange may be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Topic {
    /// Those they may publish with, as a regular expression.
    #[serde(default)]
    write: String,
    /// Those they may bind for, as a regular expression.
    #[serde(default)]
    read: String,
}

/// The kind `rabbitmq::permission`.
pub struct Permission;

/// The permissions of a user in a vhost, topics included.
#[derive(Deserialize)]
pub struct Row {
    user: String,
    vhost: String,
    configure: String,
    write: String,
    read: String,
    #[serde(skip)]
    topics: BTreeMap<String, Topic>,
}

#[derive(Deserialize)]
struct TopicRow {
    user: String,
    vhost: String,
    exchange: String,
    write: String,
    read: String,
}

impl Item for Permission {
    const KIND: &'static str = "rabbitmq::permission";
    type Spec = Spec;
    type Row = Row;

    fn traits() -> Traits {
        Traits {
            within: &["vhost"],
            named_after: Some("rabbitmq::user"),
            instead: instead::PERMISSION,
            ..Traits::default()
        }
    }

    fn check(spec: &Spec) -> Vec<Problem> {
        let own =
            [("configure", &spec.configure), ("write", &spec.write), ("read", &spec.read)];
        let own = own.map(|(attribute, text)| (attribute, text));
        let topics = spec
            .topics
            .values()
            .flat_map(|topic| [("topics", &topic.write), ("topics", &topic.read)]);
        own.into_iter()
            .chain(topics)
            .filter_map(|(attribute, text)| pattern::check(attribute, text))
            .collect()
    }

    async fn rows(server: &Server, _: &[Place]) -> Result<Vec<Row>, CallError> {
        let definitions = server.definitions().await?;
        let mut rows: Vec<Row> = definitions.rows("permissions")?;
        let mut topics: BTreeMap<Place, BTreeMap<String, Topic>> = BTreeMap::new();
        for row in definitions.rows::<TopicRow>("topic_permissions")? {
            let topic = Topic { write: row.write, read: row.read };
            topics.entry((row.vhost, row.user)).or_default().insert(row.exchange, topic);
        }
        for row in &mut rows {
            row.topics = topics.remove(&Self::row_place(row)).unwrap_or_default();
        }
        Ok(rows)
    }

    fn row_place(row: &Row) -> Place {
        in_vhost(&row.vhost, &row.user)
    }

    fn place(user: &str, spec: &Spec) -> Place {
        in_vhost(&spec.vhost, user)
    }

    /// Who makes a vhost gets every permission in it.
    fn whose(server: &Server, row: &Row) -> Whose {
        let all = [&row.configure, &row.write, &row.read].into_iter().all(|text| text == ".*");
        let maker = row.user == "guest" || row.user == server.user();
        if maker && all && row.topics.is_empty() { Whose::Hidden } else { Whose::Theirs }
    }

    fn found(_: Option<&Spec>, row: &Row) -> Result<Spec, CallError> {
        Ok(Spec {
            vhost: row.vhost.clone(),
            configure: row.configure.clone(),
            write: row.write.clone(),
            read: row.read.clone(),
            topics: row.topics.clone(),
        })
    }

    fn words(user: &str, spec: &Spec) -> String {
        format!("the permissions of `{user}` in vhost `{}`", spec.vhost)
    }

    fn path<'a>(user: &'a str, spec: &'a Spec) -> Vec<&'a str> {
        vec!["permissions", &spec.vhost, user]
    }

    fn body(_: &str, spec: &Spec) -> Json {
        json!({ "configure": spec.configure, "write": spec.write, "read": spec.read })
    }

    /// Topics that are declared before the permission, the others after it: nobody may use a
    /// key meanwhile that they may not use in the end. Where the user is new to the vhost, some
    /// may stand there without a permission, which is not seen: they go.
    async fn write(
        server: &Server,
        what: &str,
        user: &str,
        from: Option<&Spec>,
        to: &Spec,
    ) -> Result<(), CallError> {
        let topics = ["topic-permissions", &to.vhost, user];
        if from.is_none() {
            server.api.delete(what, &topics).await?;
        }
        for (exchange, topic) in &to.topics {
            if from.and_then(|from| from.topics.get(exchange)) != Some(topic) {
                let body =
                    json!({ "exchange": exchange, "write": topic.write, "read": topic.read });
                server.api.put(what, &topics, &body).await?;
            }
        }
        server.api.put(what, &Self::path(user, to), &Self::body(user, to)).await?;
        let was = from.into_iter().flat_map(|from| from.topics.keys());
        for exchange in was.filter(|exchange| !to.topics.contains_key(*exchange)) {
            server.api.delete(what, &[&topics[..], &[exchange]].concat()).await?;
        }
        Ok(())
    }

    /// The permission last: without it, nobody sees the topics that a run which is killed in
    /// between leaves. It is empty by then: without topics, all keys are free.
    async fn remove(
        server: &Server,
        what: &str,
        user: &str,
        spec: &Spec,
    ) -> Result<(), CallError> {
        let path = Self::path(user, spec);
        if !spec.topics.is_empty() {
            let is: Option<Json> = server.api.get_at(what, &path).await?;
            if is.is_some() {
                let nothing = json!({ "configure": "", "write": "", "read": "" });
                server.api.put(what, &path, &nothing).await?;
            }
        }
        server.api.delete(what, &["topic-permissions", &spec.vhost, user]).await?;
        server.api.delete(what, &path).await
    }
}
