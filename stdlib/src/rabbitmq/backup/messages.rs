//! Messages that wait in queues, one a line of JSON, as the management API shows them.

use std::collections::BTreeMap;

use dollop_engine::backup::{Rehearsed, Sink, Source};
use dollop_engine::error::CallError;
use dollop_engine::resource::Held;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

use super::super::held::{at_least, may_not_look, rows};
use super::super::server::Server;
use super::{Queues, Rows};
use crate::text::count;

/// What was saved, by vhost and queue.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Saved {
    /// How many.
    queues: BTreeMap<String, BTreeMap<String, u64>>,
    /// A sum over all of a queue in their order; older backups have none.
    #[serde(default)]
    sums: BTreeMap<String, BTreeMap<String, String>>,
}

/// Sums up the messages of one queue as they stand in the file, and their order.
struct Sum(Sha256);

impl Sum {
    fn new() -> Self {
        Self(Sha256::new())
    }

    /// A line without its end. The text itself is summed up: numbers that are read and written
    /// again may be written otherwise.
    fn add(&mut self, line: &[u8]) {
        self.0.update(line.len().to_be_bytes());
        self.0.update(line);
    }

    fn finish(self) -> String {
        hex::encode(self.0.finalize())
    }
}

/// A message as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    vhost: String,
    queue: String,
    message: Message,
}

#[derive(Serialize, Deserialize)]
struct Message {
    payload: String,
    payload_encoding: String,
    #[serde(default)]
    properties: Json,
}

impl Message {
    /// The server takes a message only from who it says it is from.
    fn lose_sender(&mut self, user: &str) -> bool {
        let Some(properties) = self.properties.as_object_mut() else { return false };
        let others = properties.get("user_id").is_some_and(|sender| sender != user);
        others && properties.remove("user_id").is_some()
    }
}

impl Saved {
    pub(super) fn read(saved: &Json) -> Result<Self, CallError> {
        Self::deserialize(saved).map_err(|error| {
            CallError::refused(format!(
                "the manifest does not say which queues there were: {error}"
            ))
        })
    }

    fn total(&self) -> u64 {
        self.queues.values().flat_map(BTreeMap::values).sum()
    }

    fn words(&self) -> String {
        let queues: usize = self.queues.values().map(BTreeMap::len).sum();
        let queues = u64::try_from(queues).unwrap_or(u64::MAX);
        format!("{} in {}", count(self.total(), "message"), count(queues, "queue"))
    }
}

/// Takes those out of some queues that hold something and may not be read, which only a look
/// tells.
pub(super) async fn denied(server: &Server, readable: &mut Rows) -> Result<Rows, CallError> {
    let mut denied = Rows::new();
    for (place, row) in std::mem::take(readable) {
        let looked = match row.messages {
            0 => Ok(0),
            _ => at_least(server, &place.0, &place.1).await,
        };
        match looked {
            Err(error) if may_not_look(&error) => drop(denied.insert(place, row)),
            looked => {
                looked?;
                readable.insert(place, row);
            }
        }
    }
    Ok(denied)
}

/// Writes what waits in all queues; every message goes back where it was.
pub(super) async fn save(server: &Server, sink: Sink<'_>) -> Result<Saved, CallError> {
    let mut saved = Saved::default();
    for (vhost, name) in Queues::of(server).await?.readable.into_keys() {
        // What the server counted may be old; how many there are is known by looking.
        let many = match at_least(server, &vhost, &name).await {
            // It was said that these are left out.
            Err(error) if may_not_look(&error) => continue,
            looked => looked?,
        };
        if many == 0 {
            continue;
        }
        let what = format!("read queue `{name}` in vhost `{vhost}`");
        let body = json!({
            "count": many, "ackmode": "ack_requeue_true", "encoding": "base64",
        });
        let mut answer =
            server.api.stream(&what, &["queues", &vhost, &name, "get"], &body).await?;
        let mut items = Items::default();
        let (mut written, mut sum) = (0, Sum::new());
        while let Some(piece) = answer.chunk().await? {
            for text in items.feed(&piece) {
                let message: Message = serde_json::from_slice(&text).map_err(|error| {
                    CallError::refused(format!(
                        "cannot {what}: a message has another form: {error}"
                    ))
                })?;
                let kept = Kept { vhost: vhost.clone(), queue: name.clone(), message };
                let mut line = serde_json::to_vec(&kept).unwrap_or_default();
                sum.add(&line);
                line.push(b'\n');
                sink.write_all(&line).await.map_err(|e| CallError::refused(e.to_string()))?;
                written += 1;
            }
        }
        // Somebody may have taken them since it was looked into.
        if written == 0 {
            continue;
        }
        saved.queues.entry(vhost.clone()).or_default().insert(name.clone(), written);
        saved.sums.entry(vhost).or_default().insert(name, sum.finish());
    }
    Ok(saved)
}

/// What waits now in the queues that were saved.
pub(super) async fn held(server: &Server, saved: &Saved) -> Result<Held, CallError> {
    let mut now = Saved::default();
    let there = rows(server).await?;
    for (vhost, queues) in &saved.queues {
        for name in queues.keys() {
            // The definitions make it.
            let Some(row) = there.get(&(vhost.clone(), name.clone())) else { continue };
            let many = match at_least(server, vhost, name).await {
                Err(error) if may_not_look(&error) => row.messages,
                looked => looked?,
            };
            if many > 0 {
                now.queues.entry(vhost.clone()).or_default().insert(name.clone(), many);
            }
        }
    }
    Ok(if now.total() == 0 {
        Held::Nothing("no messages".to_owned())
    } else {
        Held::Content(now.words())
    })
}

/// What the server says of a message it took.
#[derive(Deserialize, Default)]
struct Published {
    #[serde(default)]
    routed: bool,
}

/// Publishes them again, each straight to its queue, after emptying that.
pub(super) async fn load(
    server: &Server,
    saved: &Saved,
    source: Source<'_>,
) -> Result<Vec<String>, CallError> {
    for (vhost, queues) in &saved.queues {
        for name in queues.keys() {
            let what = format!("empty queue `{name}` in vhost `{vhost}`");
            server.api.delete(&what, &["queues", vhost, name, "contents"]).await?;
        }
    }
    let mut unsigned = 0;
    let mut lines = BufReader::new(source).lines();
    while let Some(line) =
        lines.next_line().await.map_err(|e| CallError::refused(e.to_string()))?
    {
        let Kept { vhost, queue, mut message } = kept(&line)?;
        unsigned += u64::from(message.lose_sender(server.user()));
        let what = format!("publish to queue `{queue}` in vhost `{vhost}`");
        // Nothing said is a list there, as in all of Erlang.
        let properties =
            if message.properties.is_object() { message.properties } else { json!({}) };
        let body = json!({
            "properties": properties,
            "routing_key": queue,
            "payload": message.payload,
            "payload_encoding": message.payload_encoding,
        });
        let path = ["exchanges", &vhost, "amq.default", "publish"];
        let published: Published = server.api.ask(&what, &path, &body).await?;
        if !published.routed {
            return Err(CallError::refused(format!(
                "cannot {what}: the queue did not take it"
            ))
            .hint("restore the definitions first, and run it again"));
        }
    }
    let note = format!("{} lost `user_id`: others had sent them", count(unsigned, "message"));
    Ok((unsigned > 0).then_some(note).into_iter().collect())
}

fn kept(line: &str) -> Result<Kept, CallError> {
    serde_json::from_str(line)
        .map_err(|error| CallError::refused(format!("a saved message cannot be read: {error}")))
}

/// Compares the file with what was written into it: every line a message, each queue with as
/// many as the broker gave, of the same content and in the same order. They are not published:
/// whether a broker takes them again is not tried.
pub(super) async fn rehearse(
    saved: &Saved,
    source: Source<'_>,
) -> Result<Rehearsed, CallError> {
    let mut found = Saved::default();
    let mut sums: BTreeMap<(String, String), Sum> = BTreeMap::new();
    let mut lines = BufReader::new(source).lines();
    while let Some(line) =
        lines.next_line().await.map_err(|e| CallError::refused(e.to_string()))?
    {
        let Kept { vhost, queue, .. } = kept(&line)?;
        let place = (vhost.clone(), queue.clone());
        sums.entry(place).or_insert_with(Sum::new).add(line.as_bytes());
        *found.queues.entry(vhost).or_default().entry(queue).or_default() += 1;
    }
    let mut differences = Vec::new();
    if found.queues != saved.queues {
        differences.push(format!(
            "the file has {}, and {} were saved",
            found.words(),
            saved.words()
        ));
    }
    for ((vhost, queue), sum) in sums {
        let was = saved.sums.get(&vhost).and_then(|queues| queues.get(&queue));
        if was.is_some_and(|was| *was != sum.finish()) {
            differences
                .push(format!("queue `{queue}` in vhost `{vhost}` is not as it was saved"));
        }
    }
    let summed = if saved.sums.is_empty() { "" } else { ", each queue by its sum" };
    let compared = format!("{} in the file{summed}, not published", saved.words());
    Ok(Rehearsed { compared, differences })
}

/// Takes a JSON list apart while it comes in: a queue may hold more than fits into memory.
#[derive(Default)]
struct Items {
    item: Vec<u8>,
    depth: usize,
    in_text: bool,
    escaped: bool,
}

impl Items {
    /// The objects of the list that are whole with this piece.
    fn feed(&mut self, piece: &[u8]) -> Vec<Vec<u8>> {
        let mut whole = Vec::new();
        for &byte in piece {
            if self.depth > 0 {
                self.item.push(byte);
            }
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.in_text => self.escaped = true,
                b'"' => self.in_text = !self.in_text,
                _ if self.in_text => {}
                b'{' => {
                    if self.depth == 0 {
                        self.item.push(byte);
                    }
                    self.depth += 1;
                }
                b'}' => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 {
                        whole.push(std::mem::take(&mut self.item));
                    }
                }
                _ => {}
            }
        }
        whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_message_that_is_another_is_found() {
        let line = |queue: &str, payload: &str| {
            let kept = json!({
                "vhost": "/", "queue": queue,
                "message": {
                    "payload": payload, "payload_encoding": "base64", "properties": {},
                },
            });
            format!("{kept}\n")
        };
        let sum = |payloads: &[&str]| {
            let mut sum = Sum::new();
            for payload in payloads {
                sum.add(line("q", payload).trim_end().as_bytes());
            }
            sum.finish()
        };
        let saved = json!({
            "queues": { "/": { "q": 2 } }, "sums": { "/": { "q": sum(&["YQ==", "Yg=="]) } },
        });
        let saved = Saved::read(&saved).unwrap();
        let compare = async |text: String| {
            rehearse(&saved, &mut text.as_bytes()).await.unwrap().differences
        };
        let none: Vec<String> = Vec::new();
        assert_eq!(compare([line("q", "YQ=="), line("q", "Yg==")].concat()).await, none);
        let other = ["queue `q` in vhost `/` is not as it was saved"];
        assert_eq!(compare([line("q", "YQ=="), line("q", "Yw==")].concat()).await, other);
        assert_eq!(compare([line("q", "Yg=="), line("q", "YQ==")].concat()).await, other);
        let fewer = compare(line("q", "YQ==")).await;
        assert_eq!(
            fewer[0],
            "the file has 1 message in 1 queue, and 2 messages in 1 queue were saved"
        );
        // Those of an older dollop are counted.
        let old = Saved::read(&json!({ "queues": { "/": { "q": 1 } } })).unwrap();
        let found = rehearse(&old, &mut line("q", "YQ==").as_bytes()).await.unwrap();
        assert_eq!(
            (found.compared.as_str(), found.differences),
            ("1 message in 1 queue in the file, not published", none)
        );
    }

    #[test]
    fn a_list_is_taken_apart_wherever_it_is_cut() {
        let list = r#"[{"a":{"b":"}\"{"},"c":[1]},{"d":"\\"},{}]"#;
        let expected = [r#"{"a":{"b":"}\"{"},"c":[1]}"#, r#"{"d":"\\"}"#, "{}"];
        for size in 1..list.len() {
            let mut items = Items::default();
            let pieces = list.as_bytes().chunks(size);
            let found: Vec<_> = pieces.flat_map(|piece| items.feed(piece)).collect();
            assert_eq!(found, expected.map(|text| text.as_bytes().to_vec()), "{size}");
        }
    }
}
