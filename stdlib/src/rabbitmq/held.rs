//! How many messages are in queues that are about to go.

use std::collections::BTreeMap;

use dollop_engine::error::{CallError, Failure};
use dollop_engine::resource::{Held, Moment};
use futures::{StreamExt, stream};
use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::item::Place;
use super::server::Server;
use crate::text::count;

/// How many queues are looked into at once.
const AT_ONCE: usize = 8;

#[derive(Deserialize)]
struct Row {
    vhost: String,
    name: String,
    #[serde(default, rename = "type")]
    queue_type: Option<String>,
    /// Missing until the server has counted for the first time.
    #[serde(default)]
    messages: u64,
    #[serde(default)]
    consumers: u64,
}

impl Row {
    /// Streams are never empty again by being read, and cannot be looked into.
    fn is_stream(&self) -> bool {
        self.queue_type.as_deref() == Some("stream")
    }
}

/// What queues hold.
pub(super) async fn in_queues(
    server: &Server,
    wanted: &[Place],
    moment: Moment,
) -> Vec<Result<Held, CallError>> {
    let mut rows = match rows(server).await {
        Ok(rows) => rows,
        Err(error) => return wanted.iter().map(|_| Err(error.clone())).collect(),
    };
    rows.retain(|place, _| wanted.contains(place));
    if moment == Moment::Removing
        && let Err(error) = recount(server, &mut rows).await
    {
        return wanted.iter().map(|_| Err(error.clone())).collect();
    }
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
    let mut rows = match rows(server).await {
        Ok(rows) => rows,
        Err(error) => return wanted.iter().map(|_| Err(error.clone())).collect(),
    };
    rows.retain(|(vhost, _), _| wanted.iter().any(|(_, name)| name == vhost));
    if moment == Moment::Removing
        && let Err(error) = recount(server, &mut rows).await
    {
        return wanted.iter().map(|_| Err(error.clone())).collect();
    }
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

/// All queues with their numbers, which are up to five seconds old.
async fn rows(server: &Server) -> Result<BTreeMap<Place, Row>, CallError> {
    let path = "queues?columns=vhost,name,type,messages,consumers";
    let rows: Vec<Row> = server.api.list("count the messages", path).await?;
    Ok(rows.into_iter().map(|row| ((row.vhost.clone(), row.name.clone()), row)).collect())
}

/// Looks into the queues that were empty when the server last counted.
async fn recount(server: &Server, rows: &mut BTreeMap<Place, Row>) -> Result<(), CallError> {
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
