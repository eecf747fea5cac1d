//! How many messages are in queues that are about to go.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dollop_engine::error::{CallError, Failure};
use dollop_engine::resource::{Held, Moment};
use futures::{StreamExt, TryStreamExt, stream};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::{Value as Json, json};
use tokio::time::{Instant, sleep};

use super::drain;
use super::item::{Place, in_vhost};
use super::policy_rules::is_since_4;
use super::server::Server;
use crate::text::count;

/// How many queues are looked into at once.
const AT_ONCE: usize = 8;
/// How old the numbers may be that the leader of a quorum queue has: it counts every five
/// seconds.
const OLDEST: Duration = Duration::from_secs(6);
/// How old the collected ones may be: that is done every five seconds, after the counting.
const OLDEST_COLLECTED: Duration = Duration::from_secs(11);
/// How often to read the numbers of queues that are not looked into.
const TICK: Duration = Duration::from_secs(1);
/// How many queues are asked for one by one, where all are a list with everybody's.
const FEW: usize = 8;

#[derive(Deserialize)]
pub(super) struct Row {
    vhost: String,
    name: String,
    #[serde(default, rename = "type")]
    queue_type: Option<String>,
    /// Missing until the server has counted for the first time.
    #[serde(default)]
    pub(super) messages: u64,
    /// Without their properties.
    #[serde(default)]
    pub(super) message_bytes: u64,
    #[serde(default)]
    pub(super) consumers: u64,
    /// Whether it lives and dies with a client's connection, and only that may read it.
    #[serde(default)]
    pub(super) exclusive: bool,
    #[serde(default)]
    arguments: Json,
    #[serde(default)]
    effective_policy_definition: Json,
}

impl Row {
    /// `3 messages, 1 consumer`.
    pub(super) fn words(&self) -> String {
        words(self.messages, self.consumers)
    }

    /// The most it keeps by itself or by a policy, in words: `2 by max-length`.
    pub(super) fn limits(&self) -> Vec<String> {
        let limit = |key: &str| {
            let own = self.arguments[format!("x-{key}")].as_u64();
            let policy = self.effective_policy_definition[key].as_u64();
            // The lower one counts.
            let limit = own.into_iter().chain(policy).min()?;
            Some(format!("{limit} by `{key}`"))
        };
        ["max-length", "max-length-bytes"].into_iter().filter_map(limit).collect()
    }

    /// Streams are never empty again by being read, and cannot be looked into.
    pub(super) fn is_stream(&self) -> bool {
        self.queue_type.as_deref() == Some("stream")
    }

    /// Whether nobody can take single messages from it, but its consumers get them.
    pub(super) fn has_only_consumers(&self) -> bool {
        self.queue_type.as_deref() == Some("quorum")
            && self.arguments["x-single-active-consumer"] == true
    }

    /// Classic queues are the only ones that the server removes on the condition that they are
    /// empty: of a quorum queue it refuses that, of a stream it does not care.
    pub(super) fn is_classic(&self) -> bool {
        self.queue_type.as_deref().is_none_or(|word| word == "classic")
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
        // -1 is none; before, it is one that no second delivery keeps to.
        !is_since_4(version) || said.iter().any(|limit| *limit >= 0)
    }

    /// Whether to look into it tells how many messages it has, and costs none. What consumers
    /// have not acknowledged does not show.
    fn shows_all(&self, version: &str) -> bool {
        self.consumers == 0 && !self.has_only_consumers() && !self.limits_deliveries(version)
    }
}

/// `3 messages, 1 consumer`.
fn words(messages: u64, consumers: u64) -> String {
    let messages = match messages {
        0 => "no messages".to_owned(),
        many => count(many, "message"),
    };
    match consumers {
        0 => messages,
        many => format!("{messages}, {}", count(many, "consumer")),
    }
}

/// What queues hold, and what is left of them elsewhere since a drain was cut off: it goes with
/// them.
pub(super) async fn in_queues(
    server: &Server,
    wanted: &[Place],
    moment: Moment,
) -> Vec<Result<Held, CallError>> {
    let left = |(vhost, name): &Place| drain::left(server, vhost, name);
    let all: BTreeSet<Place> =
        wanted.iter().flat_map(|place| [Some(place.clone()), left(place)]).flatten().collect();
    let rows = match counted(server, &all, moment).await {
        Ok(rows) => rows,
        Err(error) => return wanted.iter().map(|_| Err(error.clone())).collect(),
    };
    // Nobody agreed to lose what may come from here on.
    let empty = rows
        .iter()
        .filter(|(_, row)| moment == Moment::Removing && row.messages == 0 && row.is_classic());
    server.note_empty(&all, empty.map(|(place, _)| place.clone()));
    let held = |place: &Place| {
        let row = rows.get(place);
        let left = left(place).and_then(|place| rows.get(&place));
        let many = |of: Option<&Row>| of.map_or(0, |row| row.messages);
        let messages = many(row) + many(left);
        let consumers = row.map_or(0, |row| row.consumers);
        Ok(match left.filter(|left| left.messages > 0) {
            _ if messages == 0 => Held::Nothing(words(0, consumers)),
            None => Held::Content(words(messages, consumers)),
            // What consumes there may be the shovel.
            Some(left) => Held::Content(format!(
                "{}, {} of them in `{}` since a drain was cut off",
                words(messages, 0),
                left.messages,
                left.name
            )),
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
    let vhosts: BTreeSet<&str> = wanted.iter().map(|(_, name)| name.as_str()).collect();
    let counted = async {
        let mut rows = rows(server).await?;
        rows.retain(|(vhost, _), _| vhosts.contains(vhost.as_str()));
        as_new(server, rows, moment).await
    };
    let rows = match counted.await {
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
    wanted: &BTreeSet<Place>,
    moment: Moment,
) -> Result<BTreeMap<Place, Row>, CallError> {
    if wanted.len() > FEW {
        return as_new(server, among_all(server, wanted).await?, moment).await;
    }
    let mut asked = Vec::new();
    for (vhost, name) in wanted {
        asked.push(row(server, vhost, name));
    }
    let asked: Result<Vec<Option<Row>>, CallError> =
        stream::iter(asked).buffered(AT_ONCE).try_collect().await;
    let found = match asked {
        Ok(found) => wanted.iter().cloned().zip(found),
        // Who may not use a vhost may see all queues.
        Err(error) if error.failure == Failure::Denied => {
            return as_new(server, among_all(server, wanted).await?, moment).await;
        }
        Err(error) => return Err(error),
    };
    let rows = found.filter_map(|(place, row)| Some((place, row?))).collect();
    as_new(server, rows, moment).await
}

async fn among_all(
    server: &Server,
    wanted: &BTreeSet<Place>,
) -> Result<BTreeMap<Place, Row>, CallError> {
    let mut rows = rows(server).await?;
    rows.retain(|place, _| wanted.contains(place));
    Ok(rows)
}

async fn as_new(
    server: &Server,
    mut rows: BTreeMap<Place, Row>,
    moment: Moment,
) -> Result<BTreeMap<Place, Row>, CallError> {
    // What is a client's alone dies with it, and nobody else may look.
    rows.retain(|_, row| !row.exclusive);
    if moment == Moment::Removing {
        recount(server, &mut rows).await?;
    }
    Ok(rows)
}

/// A queue with its numbers, which are up to five seconds old.
async fn row(server: &Server, vhost: &str, name: &str) -> Result<Option<Row>, CallError> {
    let what = format!("count the messages in queue `{name}` in vhost `{vhost}`");
    server.api.get_at(&what, &["queues", vhost, name]).await
}

/// All queues with their numbers, which are up to five seconds old.
pub(super) async fn rows(server: &Server) -> Result<BTreeMap<Place, Row>, CallError> {
    let path = "queues?columns=vhost,name,type,messages,message_bytes,consumers,\
                exclusive,arguments,effective_policy_definition";
    let rows: Vec<Row> = server.api.list("count the messages", path).await?;
    Ok(rows.into_iter().map(|row| ((row.vhost.clone(), row.name.clone()), row)).collect())
}

/// A queue with the messages in it, as exactly as can be known without costing one; `None`
/// when it is not there.
pub(super) async fn fresh(
    server: &Server,
    vhost: &str,
    name: &str,
) -> Result<Option<Row>, CallError> {
    let row = row(server, vhost, name).await?;
    let place = in_vhost(vhost, name);
    let mut rows: BTreeMap<Place, Row> =
        row.into_iter().map(|row| (place.clone(), row)).collect();
    recount(server, &mut rows).await?;
    Ok(rows.remove(&place))
}

/// Counts again in the queues that were empty when the server last counted. A classic queue
/// tells itself what waits in it and what is handed out. A quorum queue is looked into, or,
/// where that may cost a message or show too little, watched until the server has counted.
pub(super) async fn recount(
    server: &Server,
    rows: &mut BTreeMap<Place, Row>,
) -> Result<(), CallError> {
    let (mut asked, mut watched) = (BTreeSet::new(), BTreeSet::new());
    let mut looks = Vec::new();
    for (place, row) in rows.iter().filter(|(_, row)| row.messages == 0 && !row.is_stream()) {
        let place = place.clone();
        if row.is_classic() {
            asked.insert(place);
        } else if row.shows_all(&server.version) {
            looks.push(async move { (at_least(server, &place.0, &place.1).await, place) });
        } else {
            watched.insert(place);
        }
    }
    let asked_for = asked.iter().map(|(vhost, _)| vhost.as_str()).collect();
    let known =
        if asked.is_empty() { BTreeMap::new() } else { totals(server, asked_for).await? };
    for place in asked {
        match known.get(&place) {
            Some(Some(messages)) => {
                rows.entry(place).and_modify(|row| row.messages = *messages);
            }
            Some(None) => drop(watched.insert(place)),
            // It is gone.
            None => {}
        }
    }
    let looks: Vec<_> = stream::iter(looks).buffer_unordered(AT_ONCE).collect().await;
    for (looked, place) in looks {
        match looked {
            Ok(messages) => {
                rows.entry(place).and_modify(|row| row.messages = messages);
            }
            // Who may not look into a queue knows the numbers all the same.
            Err(error) if may_not_look(&error) => drop(watched.insert(place)),
            Err(error) => return Err(error),
        }
    }
    watch(server, watched, rows).await
}

/// Reads the numbers of queues until something is in them, or they cannot be too old any more
/// to show it.
async fn watch(
    server: &Server,
    mut watched: BTreeSet<Place>,
    known: &mut BTreeMap<Place, Row>,
) -> Result<(), CallError> {
    let start = Instant::now();
    let mut oldest = OLDEST;
    while !watched.is_empty() && start.elapsed() < oldest {
        sleep(TICK).await;
        let vhosts = watched.iter().map(|(vhost, _)| vhost.as_str()).collect();
        let totals = totals(server, vhosts).await?.into_iter();
        let told = totals.filter(|(place, _)| watched.contains(place));
        let told: Option<BTreeMap<Place, u64>> =
            told.map(|(place, messages)| Some((place, messages?))).collect();
        let now = if let Some(now) = told {
            now
        } else {
            oldest = OLDEST_COLLECTED;
            let rows = rows(server).await?.into_iter();
            rows.map(|(place, row)| (place, row.messages)).collect()
        };
        // One that is gone holds nothing.
        watched.retain(|place| now.get(place) == Some(&0));
        for (place, messages) in now.into_iter().filter(|(_, messages)| *messages > 0) {
            known.entry(place).and_modify(|known| known.messages = messages);
        }
    }
    Ok(())
}

/// The messages of the queues of vhosts as those know who keep them, without the way through
/// what is collected: a classic queue itself, of a quorum queue what its leader counted. Some do
/// not tell.
async fn totals(
    server: &Server,
    vhosts: BTreeSet<&str>,
) -> Result<BTreeMap<Place, Option<u64>>, CallError> {
    #[derive(Deserialize)]
    struct Total {
        vhost: String,
        name: String,
        #[serde(default)]
        messages: Option<u64>,
    }
    let what = "count the messages";
    let wanted = "disable_stats=true&enable_queue_totals=true&columns=vhost,name,messages";
    let all = format!("queues?{wanted}");
    let only = vhosts.first().filter(|_| vhosts.len() == 1);
    let only = only.map(|vhost| utf8_percent_encode(vhost, NON_ALPHANUMERIC));
    let path = only.map_or_else(|| all.clone(), |vhost| format!("queues/{vhost}?{wanted}"));
    let totals: Vec<Total> = match server.api.list(what, &path).await {
        // Who may not use a vhost may see all queues.
        Err(error) if error.failure == Failure::Denied && path != all => {
            server.api.list(what, &all).await?
        }
        totals => totals?,
    };
    Ok(totals.into_iter().map(|one| ((one.vhost, one.name), one.messages)).collect())
}

/// Whether somebody may not look into a queue, who may know its numbers all the same.
pub(super) fn may_not_look(error: &CallError) -> bool {
    error.failure == Failure::Denied || is_locked(error)
}

/// Whether a queue is locked to all who want single messages: it is a client's alone, or has
/// one consumer at a time.
pub(super) fn is_locked(error: &CallError) -> bool {
    error.message.contains("RESOURCE_LOCKED")
}

/// How many messages wait in a queue, exactly: takes one out and puts it back, which counts as
/// a delivery.
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
    fn a_queue_tells_what_it_keeps_at_most() {
        let limits = |arguments: Json, policy: Json| {
            let row = json!({
                "vhost": "/", "name": "q", "type": "classic", "arguments": arguments,
                "effective_policy_definition": policy,
            });
            serde_json::from_value::<Row>(row).unwrap().limits()
        };
        assert!(limits(json!({}), json!([])).is_empty());
        let both = limits(json!({ "x-max-length": 5 }), json!({ "max-length": 2 }));
        assert_eq!(both, ["2 by `max-length`"]);
        let bytes = limits(json!({ "x-max-length-bytes": 5 }), json!({}));
        assert_eq!(bytes, ["5 by `max-length-bytes`"]);
    }

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
        // There it is less than any message has.
        assert!(limits("quorum", said(-1), json!({}), "3.13.7"));
        assert!(limits("quorum", said(-1), json!({ "delivery-limit": 3 }), "4.0.5"));
        assert!(limits("quorum", said(3), json!({}), "3.10.8"));
        assert!(limits("quorum", json!({}), json!({ "delivery-limit": 3 }), "3.10.8"));
        assert!(!limits("classic", json!({}), json!({ "delivery-limit": 3 }), "4.0.5"));
    }
}
