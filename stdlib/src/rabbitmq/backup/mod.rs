//! Saving what a broker defines, and on request the messages that wait in it.

mod messages;
mod topology;

use std::sync::Arc;

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

use super::held::{Row, rows};
use super::server::Server;
use crate::text::count;
use topology::Topology;

/// Vhosts, users, queues and the rest.
const DEFINITIONS: &str = "rabbitmq-definitions";
/// What waits in queues.
const MESSAGES: &str = "rabbitmq-messages";
/// The most a file of definitions may take, in bytes.
const LONGEST: u64 = 256 << 20;

#[derive(Deserialize)]
struct Node {
    #[serde(default)]
    db_dir: Option<String>,
}

#[async_trait]
impl Backup for Server {
    async fn inventory(&self, site: &Site, wishes: Wishes) -> Result<Inventory, CallError> {
        let nodes: Vec<Node> =
            self.api.list("ask for the nodes", "nodes?columns=db_dir").await?;
        let mut inventory = Inventory {
            service: format!("RabbitMQ {}", self.version),
            folders: nodes.into_iter().filter_map(|node| node.db_dir).collect(),
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
        let queues = rows(self).await?.into_values();
        let (streams, queues): (Vec<Row>, Vec<Row>) =
            queues.filter(|row| row.messages > 0).partition(Row::is_stream);
        let words = |rows: &[Row]| {
            let messages = rows.iter().map(|row| row.messages).sum();
            let many = u64::try_from(rows.len()).unwrap_or(u64::MAX);
            format!("{} in {}", count(messages, "message"), count(many, "queue"))
        };
        let left_out = |what: String, why: &str| LeftOut {
            address: site.address.clone(),
            what,
            why: why.to_owned(),
            missed: true,
        };
        if !queues.is_empty() {
            if wishes.messages {
                inventory.parts.push(part(MESSAGES, words(&queues), "jsonl"));
            } else {
                let why = "messages are not saved";
                inventory.left_out.push(left_out(words(&queues), why));
            }
        }
        if !streams.is_empty() {
            let what = words(&streams).replace("queue", "stream");
            let why = "streams cannot be read through the management API";
            inventory.left_out.push(left_out(what, why));
        }
        Ok(inventory)
    }

    async fn save(&self, _: &Site, part: &Part, sink: Sink<'_>) -> Result<Json, CallError> {
        if part.form == MESSAGES {
            return Ok(json!(messages::save(self, sink).await?));
        }
        let definitions: Json = self.api.list("read the definitions", "definitions").await?;
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
        topology::without_known(&mut definitions, &json_of(&sink)?);
        let text = definitions.to_string();
        self.control(
            &["import_definitions"],
            Some(&mut text.as_bytes()),
            &mut tokio::io::sink(),
        )
        .await?;
        let mut sink = Vec::new();
        self.control(&["-q", "export_definitions", "-"], None, &mut sink).await?;
        let was: Topology = serde_json::from_value(saved.clone()).unwrap_or_default();
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
