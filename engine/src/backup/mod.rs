//! Backups: what services can hand out of what people stored in them, and take back.
//!
//! The engine moves no bytes itself: a provider writes to a [`Sink`] and reads from a
//! [`Source`] that the caller opened, piece by piece, so that nothing is ever whole in memory.
//!
//! [`present`] finds out how what is recorded can be reached now; [`sites`] makes of that
//! the servers that can be saved, each with the container it runs in.

mod present;
mod site;

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::address::Address;
use crate::error::CallError;
use crate::resource::Held;

pub use present::{Present, present};
pub use site::{Object, Site, sites};

/// Where a part is written to.
pub type Sink<'a> = &'a mut (dyn AsyncWrite + Send + Unpin);

/// Where a part is read from.
pub type Source<'a> = &'a mut (dyn AsyncRead + Send + Unpin);

/// One part of a backup: what one file of it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The resource it is of, or the connection where no resource stands for it.
    pub address: Address,
    /// The connection that saves it and takes it back.
    pub connection: Address,
    /// What its provider calls this kind of content: `postgres-database`.
    pub form: String,
    /// What the service calls it; empty for what belongs to the whole server.
    pub name: String,
    /// What it is, in words: `database `shop``.
    pub what: String,
    /// What a file of this form ends in: `sql`, `dump`, `tar`.
    pub ending: String,
    /// Whether it is compressed as it comes.
    pub compressed: bool,
}

/// Something that is not saved, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// What it belongs to.
    pub address: Address,
    /// What it is, in words.
    pub what: String,
    /// Why: lower case, no full stop.
    pub why: String,
    /// Whether something would be missed: not when another part holds the same.
    pub missed: bool,
}

/// What there is to save behind a connection.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    /// The service and its version, for the record: `PostgreSQL 15.4`.
    pub service: String,
    /// Its parts, in the order in which they have to be taken back.
    pub parts: Vec<Part>,
    /// What is not saved.
    pub left_out: Vec<LeftOut>,
    /// The folders, in the machine or container of the server, whose content the parts hold.
    pub folders: Vec<String>,
}

/// What else a caller asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    /// Messages that wait in queues, too.
    pub messages: bool,
}

/// What becomes of programs while the files they write are copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Quiet {
    /// They are frozen: what they have not written yet is not saved.
    Pause,
    /// They are stopped, and started again: they write what they have first.
    Stop,
}

/// A program that writes files which are saved or taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Writer {
    /// How the service identifies it.
    pub id: String,
    /// What it is, in words: `container `cache``.
    pub what: String,
}

/// What a service can save and take back.
#[async_trait]
pub trait Backup: Send + Sync {
    /// What there is to save.
    async fn inventory(&self, site: &Site, wishes: Wishes) -> Result<Inventory, CallError>;

    /// Writes a part; what comes back is kept beside it, for [`load`](Self::load) and
    /// [`rehearse`](Self::rehearse). It holds no secrets.
    async fn save(&self, site: &Site, part: &Part, sink: Sink<'_>) -> Result<Json, CallError>;

    /// What taking a part back would overwrite.
    async fn held(&self, site: &Site, part: &Part, saved: &Json) -> Result<Held, CallError>;

    /// Takes a part back, in place of what is there. What was begun by a run that died is
    /// done again. The notes are for people.
    async fn load(
        &self,
        site: &Site,
        part: &Part,
        saved: &Json,
        source: Source<'_>,
    ) -> Result<Vec<String>, CallError>;

    /// A place to take parts back for a trial, apart from everything that is in use.
    async fn scratch(&self, site: &Site) -> Result<Box<dyn Scratch>, CallError>;

    /// Removes what a run made for a moment that died.
    async fn sweep(&self) -> Result<(), CallError> {
        Ok(())
    }

    /// The programs that write what the parts hold.
    async fn writers(&self, _: &Site, _: &[Part]) -> Result<Vec<Writer>, CallError> {
        Ok(Vec::new())
    }

    /// Makes a program write no more.
    async fn quiet(&self, _: &Writer, _: Quiet) -> Result<(), CallError> {
        Ok(())
    }

    /// Lets it go on; fine when it does already.
    async fn resume(&self, _: &Writer, _: Quiet) -> Result<(), CallError> {
        Ok(())
    }
}

/// A place where parts are taken back for a trial.
#[async_trait]
pub trait Scratch: Send + Sync {
    /// Takes a part back and compares: in what it differs from what was saved.
    async fn rehearse(
        &self,
        part: &Part,
        saved: &Json,
        source: Source<'_>,
    ) -> Result<Rehearsed, CallError>;

    /// Removes everything that was made for the trial.
    async fn remove(&self) -> Result<(), CallError>;
}

/// How a trial of one part went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rehearsed {
    /// What was compared, in words: `12 tables, 3,401 rows`.
    pub compared: String,
    /// What is not as it was saved.
    pub differences: Vec<String>,
}

/// A program to run where a server is.
#[derive(Clone, Default)]
pub struct Program {
    /// The program and its arguments; no secrets, which others could see.
    pub words: Vec<String>,
    /// Environment variables; may hold secrets.
    pub env: Vec<(String, String)>,
}

/// How a program ended.
#[derive(Clone, Debug)]
pub struct Exit {
    /// 0 when it went well.
    pub code: i64,
    /// The end of what it said on stderr.
    pub errors: String,
}

/// Where the files of a server are: a container, or this machine.
#[async_trait]
pub trait Host: Send + Sync {
    /// In words: `container `shop-postgres``.
    fn describe(&self) -> String;

    /// Runs a program to its end: feeds it `input`, writes what it prints to `output`.
    async fn run(
        &self,
        program: Program,
        input: Option<Source<'_>>,
        output: Sink<'_>,
    ) -> Result<Exit, CallError>;

    /// The volumes it has, and in which folder each is.
    async fn volumes(&self) -> Result<Vec<(String, String)>, CallError>;

    /// The port that programs in it reach by the one that is reached from here.
    async fn inner_port(&self, outer: u16) -> Result<u16, CallError>;

    /// Another one like it with nothing in it, which nobody else reaches.
    async fn twin(&self) -> Result<Arc<dyn Host>, CallError>;

    /// Removes a [`twin`](Self::twin) with all it holds.
    async fn remove(&self) -> Result<(), CallError>;
}
