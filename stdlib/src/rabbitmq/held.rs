//! How many messages are in queues that are about to go.

use std::collections::BTreeMap;

use dollop_engine::error::{CallError, Failure};
use dollop_engine::resource::{Held, Moment};
use futures::{StreamExt, stream};
use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::item::Place;
use super::policy_rules::is_since_4;
use super::server::Server;
use crate::text::count;

/// How many queues are looked into at once.
const AT_ONCE: usize = 8;

#[derive(Deserialize)]
pub(super) struct Row {
    vhost: String,
    name: String,
    #[serde(default, rename = "type")]
    queue_type: Option<String>,
    /// Missing until the server has counted for the first time.
    #[serde(default)]
    pub(super) messages: u64,
    #[serde(default)]
    consumers: u64,
    /// Whether it lives and dies with a client's connection, and only that may read it.
    #[serde(default)]
    pub(super) exclusive: bool,
    #[serde(default)]
    arguments: Json,
    #[serde(default)]
    effective_policy_definition: Json,
}

impl Row {
    /// Streams are never empty again by being read, and cannot be looked into.
    pub(super) fn is_stream(&self) -> bool {
        self.queue_type.as_deref() == Some("stream")
    }

    /// Whether a message is dropped, or goes elsewhere, once it was handed out so many times:
    /// being looked at is one of them.
    pub(super) fn limits_deliveries(&self, version: &str) -> bool {
        if self.queue_type.as_deref() != Some("quorum") {
            return false;
        }
        let said = [
            &self.arguments["x-delivery-limit"],
            &self.effective_policy_definition["delivery-limit"],
        ];
        let said: Vec<_> = said.iter().filter_map(|limit| limit.as_i64()).collect();
        if said.is_empty() {
            return is_since_4(version);
        }
        // -1 is none.
        said.iter().any(|limit| *limit >= 0)
    }
}

/// What queues hold.
pub(super) async fn in_queues(
    server: &Server,
    wanted: &[Place],
    moment: Moment,
) -> Vec<Result<Held, CallError>> {
    let rows = match counted(server, |place| wanted.contains(place), moment).await {
        Ok(rows) => rows,
        Err(error) => return wanted.iter().map(|_| Err(error.clone())).collect(),
    };
    let held = |place: &Place| {
        let Some(row) = rows.get(place) else {
            return Ok(Held::Nothing("no messages".to_owned()));
        };
        let consumers = match row.consumers {
            0 => String::new(),
            many => format!(", {}", count(many, "consumer")),
        };
        Ok(match row.messages {
            0 => Held::Nothing(format!("no messages{consumers}")),
            many => Held::Content(format!("{}{consumers}", count(many, "message"))),
        })
    };
    wanted.iter().map(held).collect()
}

/// What all queues of vhosts hold together.
pub(super) async fn in_vhosts(
    server: &Server,
    wanted: &[Place],
    moment: Moment,
) -> Vec<Result<Held, CallError>> {
    let is_wanted = |(vhost, _): &Place| wanted.iter().any(|(_, name)| name == vhost);
    let rows = match counted(server, is_wanted, moment).await {
        Ok(rows) => rows,
        Err(error) => return wanted.iter().map(|_| Err(error.clone())).collect(),
    };
    let held = |(_, vhost): &Place| {
        let queues = rows.values().filter(|row| row.vhost == *vhost);
        let filled = queues.filter(|row| row.messages > 0);
        let (mut queues, mut messages) = (0, 0);
        for row in filled {
            queues += 1;
            messages += row.messages;
        }
        Ok(match messages {
            0 => Held::Nothing("no messages".to_owned()),
            _ => Held::Content(format!(
                "{} in {}",
                count(messages, "message"),
                count(queues, "queue")
            )),
        })
    };
    wanted.iter().map(held).collect()
}

/// These queues with their numbers, as new as the moment asks for.
async fn counted(
    server: &Server,
    is_wanted: impl Fn(&Place) -> bool,
    moment: Moment,
) -> Result<BTreeMap<Place, Row>, CallError> {
    let mut rows = rows(server).await?;
    rows.retain(|place, _| is_wanted(place));
    if moment == Moment::Removing {
        recount(server, &mut rows).await?;
    }
    Ok(rows)
}

/// All queues with their numbers, which are up to five seconds old.
pub(super) async fn rows(server: &Server) -> Result<BTreeMap<Place, Row>, CallError> {
    let path = "queues?columns=vhost,name,type,messages,consumers,exclusive,\
                arguments,effective_policy_definition";
    let rows: Vec<Row> = server.api.list("count the messages", path).await?;
    Ok(rows.into_iter().map(|row| ((row.vhost.clone(), row.name.clone()), row)).collect())
}

/// Looks into the queues that were empty when the server last counted.
pub(super) async fn recount(
    server: &Server,
    rows: &mut BTreeMap<Place, Row>,
) -> Result<(), CallError> {
    let mut empty: Vec<Place> = Vec::new();
    for (place, row) in rows.iter() {
        if row.messages == 0 && !row.is_stream() {
            empty.push(place.clone());
        }
    }
    let looks = empty.into_iter().map(|(vhost, name)| async move {
        let messages = at_least(server, &vhost, &name).await?;
        Ok(((vhost, name), messages))
    });
    let looks: Vec<Result<(Place, u64), CallError>> =
        stream::iter(looks).buffer_unordered(AT_ONCE).collect().await;
    for look in looks {
        let (place, messages) = match look {
            Ok(look) => look,
            // Who may not look into a queue knows the numbers all the same.
            Err(error) if error.failure == Failure::Denied => continue,
            Err(error) => return Err(error),
        };
        if let Some(row) = rows.get_mut(&place) {
            row.messages = messages;
        }
    }
    Ok(())
}

/// How many messages wait in a queue, exactly: takes one out and puts it back.
pub(super) async fn at_least(
    server: &Server,
    vhost: &str,
    name: &str,
) -> Result<u64, CallError> {
    #[derive(Deserialize)]
    struct Message {
        message_count: u64,
    }
    let what = format!("look into queue `{name}` in vhost `{vhost}`");
    let body: Json = json!({
        "count": 1, "ackmode": "reject_requeue_true", "encoding": "base64", "truncate": 0,
    });
    let path = ["queues", vhost, name, "get"];
    let messages: Vec<Message> = server.api.ask(&what, &path, &body).await?;
    Ok(messages.first().map_or(0, |message| message.message_count + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_limits_deliveries() {
        let limits = |kind: &str, argument: Json, policy: Json, version: &str| {
            let row = json!({
                "vhost": "/", "name": "q", "type": kind, "arguments": argument,
                "effective_policy_definition": policy,
            });
            let row: Row = serde_json::from_value(row).unwrap();
            row.limits_deliveries(version)
        };
        let said = |limit: i64| json!({ "x-delivery-limit": limit });
        assert!(!limits("quorum", json!({}), json!({}), "3.13.7"));
        assert!(limits("quorum", json!({}), json!([]), "4.0.5"));
        assert!(!limits("quorum", said(-1), json!({}), "4.0.5"));
        assert!(limits("quorum", said(3), json!({}), "3.10.8"));
        assert!(limits("quorum", json!({}), json!({ "delivery-limit": 3 }), "3.10.8"));
        assert!(!limits("classic", json!({}), json!({ "delivery-limit": 3 }), "4.0.5"));
    }
}
