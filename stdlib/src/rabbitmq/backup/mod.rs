//! Saving what a broker defines, and on request the messages that wait in it.

mod messages;
mod topology;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dollop_engine::backup::{
    Backup, Host, Inventory, LeftOut, Part, Program, Rehearsed, Scratch, Sink, Site, Source,
    Wishes,
};
use dollop_engine::error::CallError;
use dollop_engine::resource::Held;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::definitions::whole;
use super::held::{Row, recount, rows};
use super::item::Place;
use super::server::Server;
use crate::text::count;
use topology::Topology;

/// Vhosts, users, queues and the rest.
const DEFINITIONS: &str = "rabbitmq-definitions";
/// What waits in queues.
const MESSAGES: &str = "rabbitmq-messages";
/// The most messages of one queue that are saved, in bytes: the broker hands out all of them at
/// once, as one text in its memory.
const LARGEST: u64 = 256 << 20;
/// The most a file of definitions may take, in bytes.
const LONGEST: u64 = 256 << 20;

/// How often a broker that started a moment ago is asked where its data is, half a second apart.
const ASKED: u32 = 60;

#[derive(Deserialize)]
struct Node {
    #[serde(default)]
    running: bool,
    #[serde(default)]
    db_dir: Option<String>,
}

/// Where the nodes keep their data. They say so some seconds after they begin to answer; a
/// backup that did not wait would save the volume as well, and a restore bring old logins back.
async fn folders(server: &Server) -> Result<Vec<String>, CallError> {
    for _ in 0..ASKED {
        let nodes: Vec<Node> =
            server.api.list("ask for the nodes", "nodes?columns=running,db_dir").await?;
        if nodes.iter().all(|node| !node.running || node.db_dir.is_some()) {
            return Ok(nodes.into_iter().filter_map(|node| node.db_dir).collect());
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    Err(CallError::refused("the broker does not say where its data is")
        .hint("it does some seconds after its start: run it again"))
}

#[async_trait]
impl Backup for Server {
    async fn inventory(&self, site: &Site, wishes: Wishes) -> Result<Inventory, CallError> {
        let mut inventory = Inventory {
            service: format!("RabbitMQ {}", self.version),
            folders: folders(self).await?,
            ..Inventory::default()
        };
        let part = |form: &str, what: String, ending: &str| Part {
            address: site.address.clone(),
            connection: site.address.clone(),
            form: form.to_owned(),
            name: String::new(),
            what,
            ending: ending.to_owned(),
            compressed: false,
        };
        let what = "definitions of the broker".to_owned();
        inventory.parts.push(part(DEFINITIONS, what, "json"));
        let left_out = |what: String, why: &str| LeftOut {
            address: site.address.clone(),
            what,
            why: why.to_owned(),
            missed: true,
        };
        let Queues { mut readable, mut limited, mut locked, mut large, streams } =
            Queues::of(self).await?;
        if wishes.messages {
            recount(self, &mut readable).await?;
            let denied = messages::denied(self, &mut readable).await?;
            if let Some(what) = waiting(&readable, "queue") {
                inventory.parts.push(part(MESSAGES, what, "jsonl"));
            }
            let user = self.user();
            let what = waiting(&denied, "queue");
            let why = format!("user `{user}` may not read from them");
            inventory.left_out.extend(what.map(|what| left_out(what, &why)));
            let what = waiting(&large, "queue");
            let why = format!(
                "a queue with more than {} MiB of messages would fill the broker's memory: \
                 RabbitMQ hands out all of them at once",
                LARGEST >> 20
            );
            inventory.left_out.extend(what.map(|what| left_out(what, &why)));
            // Whether they are empty is not known without a look.
            for (queues, with, why) in [
                (limited, "with a limit on deliveries", "to be read counts as a delivery"),
                (locked, "with a single active consumer", "nobody else may read from them"),
            ] {
                if !queues.is_empty() {
                    let many = u64::try_from(queues.len()).unwrap_or(u64::MAX);
                    let what = format!("{} {with}", count(many, "queue"));
                    inventory.left_out.push(left_out(what, why));
                }
            }
        } else {
            for more in [&mut limited, &mut locked, &mut large] {
                readable.append(more);
            }
            let what = waiting(&readable, "queue");
            inventory
                .left_out
                .extend(what.map(|what| left_out(what, "`--messages` saves them")));
        }
        let why = "streams cannot be read through the management API";
        inventory.left_out.extend(waiting(&streams, "stream").map(|what| left_out(what, why)));
        Ok(inventory)
    }

    async fn save(&self, _: &Site, part: &Part, sink: Sink<'_>) -> Result<Json, CallError> {
        if part.form == MESSAGES {
            return Ok(json!(messages::save(self, sink).await?));
        }
        let definitions = Json::Object(whole(self).await?);
        let text = format!("{definitions:#}\n");
        let written = sink.write_all(text.as_bytes()).await;
        written.map_err(|error| CallError::refused(error.to_string()))?;
        Ok(json!(Topology::of(&definitions)))
    }

    async fn held(&self, _: &Site, part: &Part, saved: &Json) -> Result<Held, CallError> {
        if part.form == MESSAGES {
            return messages::held(self, &messages::Saved::read(saved)?).await;
        }
        Ok(Held::Nothing("what exists stays, users keep their passwords".to_owned()))
    }

    async fn load(
        &self,
        _: &Site,
        part: &Part,
        saved: &Json,
        source: Source<'_>,
    ) -> Result<Vec<String>, CallError> {
        if part.form == MESSAGES {
            return messages::load(self, &messages::Saved::read(saved)?, source).await;
        }
        let mut definitions = read(source).await?;
        let here: Json = self.api.list("read the definitions", "definitions").await?;
        topology::without_known(&mut definitions, &here);
        self.api.post("restore the definitions", &["definitions"], &definitions).await?;
        Ok(Vec::new())
    }

    async fn scratch(&self, site: &Site) -> Result<Box<dyn Scratch>, CallError> {
        Ok(Box::new(Trial(site.twin().await?)))
    }
}

type Rows = BTreeMap<Place, Row>;

/// The queues of a broker, by whether their messages can be read and stay as they are.
struct Queues {
    readable: Rows,
    /// A message that is looked at too often is gone from these.
    limited: Rows,
    /// Nobody may take a message from these but their consumer.
    locked: Rows,
    /// They hold more than the broker can hand out at once.
    large: Rows,
    streams: Rows,
}

impl Queues {
    async fn of(server: &Server) -> Result<Self, CallError> {
        Ok(Self::sorted(rows(server).await?, &server.version))
    }

    fn sorted(mut all: Rows, version: &str) -> Self {
        // They go with somebody's connection.
        all.retain(|_, row| !row.exclusive);
        let (streams, queues): (Rows, Rows) =
            all.into_iter().partition(|(_, row)| row.is_stream());
        let (locked, queues): (Rows, Rows) =
            queues.into_iter().partition(|(_, row)| row.has_only_consumers());
        let (limited, queues): (Rows, Rows) =
            queues.into_iter().partition(|(_, row)| row.limits_deliveries(version));
        let (large, readable) =
            queues.into_iter().partition(|(_, row)| row.message_bytes > LARGEST);
        Self { readable, limited, locked, large, streams }
    }
}

/// `20 messages in 2 queues`, if there are any.
fn waiting(queues: &Rows, kind: &str) -> Option<String> {
    let filled = queues.values().filter(|row| row.messages > 0);
    let many = u64::try_from(filled.clone().count()).unwrap_or(u64::MAX);
    let messages = filled.map(|row| row.messages).sum();
    (many > 0).then(|| format!("{} in {}", count(messages, "message"), count(many, kind)))
}

/// Definitions from a file.
async fn read(source: Source<'_>) -> Result<Json, CallError> {
    let mut text = String::new();
    let read = source.take(LONGEST).read_to_string(&mut text).await;
    read.map_err(|error| CallError::refused(format!("cannot read the definitions: {error}")))?;
    serde_json::from_str(&text).map_err(|error| {
        CallError::refused(format!("the saved definitions are no JSON: {error}"))
    })
}

/// A broker made for a trial.
struct Trial(Arc<dyn Host>);

impl Trial {
    async fn control(
        &self,
        words: &[&str],
        source: Option<Source<'_>>,
        sink: Sink<'_>,
    ) -> Result<(), CallError> {
        let words = std::iter::once("rabbitmqctl").chain(words.iter().copied());
        let program = Program { words: words.map(str::to_owned).collect(), env: Vec::new() };
        let exit = self.0.run(program, source, sink).await?;
        if exit.code == 0 {
            return Ok(());
        }
        let message =
            format!("`rabbitmqctl` in {} ended with code {}", self.0.describe(), exit.code);
        Err(CallError::refused(message).note(exit.errors))
    }
}

#[async_trait]
impl Scratch for Trial {
    async fn rehearse(
        &self,
        part: &Part,
        saved: &Json,
        source: Source<'_>,
    ) -> Result<Rehearsed, CallError> {
        if part.form == MESSAGES {
            let saved = messages::Saved::read(saved)?;
            return messages::rehearse(&saved, source).await;
        }
        let mut definitions = read(source).await?;
        let mut sink = Vec::new();
        self.control(&["-q", "export_definitions", "-"], None, &mut sink).await?;
        topology::without_users(&mut definitions, &json_of(&sink)?);
        let text = definitions.to_string();
        self.control(
            &["import_definitions"],
            Some(&mut text.as_bytes()),
            &mut tokio::io::sink(),
        )
        .await?;
        let mut sink = Vec::new();
        self.control(&["-q", "export_definitions", "-"], None, &mut sink).await?;
        let was: Topology = serde_json::from_value(saved.clone()).map_err(|error| {
            CallError::refused(format!(
                "the manifest does not say what the broker defined: {error}"
            ))
        })?;
        let is = Topology::of(&json_of(&sink)?);
        Ok(Rehearsed { compared: was.words(), differences: was.missing_in(&is) })
    }

    async fn remove(&self) -> Result<(), CallError> {
        self.0.remove().await
    }
}

/// What `rabbitmqctl` prints may begin with a line for people.
fn json_of(printed: &[u8]) -> Result<Json, CallError> {
    let begin = printed.iter().position(|byte| *byte == b'{').unwrap_or(0);
    serde_json::from_slice(&printed[begin..]).map_err(|error| {
        CallError::refused(format!("the exported definitions are no JSON: {error}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queues_are_told_apart_by_who_may_read_them() {
        let row = |name: &str, more: Json| {
            let mut row = json!({ "vhost": "v", "name": name, "messages": 1 });
            row.as_object_mut().unwrap().append(&mut more.as_object().unwrap().clone());
            (("v".to_owned(), name.to_owned()), serde_json::from_value(row).unwrap())
        };
        let limit = json!({ "x-delivery-limit": -1 });
        let single = json!({ "x-single-active-consumer": true });
        let rows = Rows::from([
            row("plain", json!({ "message_bytes": LARGEST })),
            row("limited", json!({ "type": "quorum", "arguments": limit })),
            row("locked", json!({ "type": "quorum", "arguments": single })),
            row("large", json!({ "message_bytes": LARGEST + 1 })),
            row("stream", json!({ "type": "stream", "message_bytes": LARGEST + 1 })),
            row("own", json!({ "exclusive": true })),
        ]);
        let Queues { readable, limited, locked, large, streams } =
            Queues::sorted(rows, "3.13.7");
        let names = [readable, limited, locked, large, streams]
            .map(|rows| rows.into_keys().map(|(_, name)| name).collect::<Vec<_>>().concat());
        assert_eq!(names, ["plain", "limited", "locked", "large", "stream"]);
    }
}
