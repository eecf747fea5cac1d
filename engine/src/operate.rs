//! What can be asked of what runs, beside planning it: how it is, what it logs, whether it
//! answers. Every kind offers what it can, and nothing here changes the world except
//! [`Operations::exec`], which does what somebody typed.

use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt as _};
use serde_json::Value as Json;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, watch};

use crate::address::Address;
use crate::error::CallError;
use crate::kind::OpenConnection;
use crate::resource::Wanted;
use crate::value::Value;

/// What is asked about: an object as it was recorded, or the record of a connection.
pub type Object = Wanted<Value>;

/// Something a kind can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ability {
    /// See [`Operations::conditions`].
    Condition,
    /// See [`Operations::probe`].
    Probe,
    /// See [`Operations::logs`].
    Logs,
    /// See [`Operations::exec`].
    Exec,
    /// See [`Operations::switched`].
    Switch,
    /// See [`Operations::usage`].
    Usage,
    /// See [`Operations::reach`].
    Reach,
    /// See [`Operations::freshness`].
    Freshness,
    /// See [`Operations::client`].
    Client,
    /// See [`Operations::answer`].
    Answer,
    /// See [`Operations::events`].
    Events,
}

/// Whether something is as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// It works.
    Good,
    /// It is not meant to run now.
    Off,
    /// It may work in a moment.
    Waiting,
    /// It does not.
    Bad,
}

/// How an object is.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// In one word.
    pub verdict: Verdict,
    /// In the service's words, with what a reader must know: `running`, `exited (1)`.
    pub state: String,
    /// What its own health check says; `None` without one.
    pub health: Option<String>,
    /// When it came into this state.
    pub since: Option<SystemTime>,
    /// How often the service restarted it by itself.
    pub restarts: u64,
    /// What it was made from, `postgres:16`.
    pub image: Option<String>,
    /// What pins that, `sha256:…`: in its registry, or else on the engine.
    pub digest: Option<String>,
    /// Where it can be reached from this machine.
    pub endpoints: Vec<Endpoint>,
}

/// A place something can be reached at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// What it leads to, `5432/tcp`.
    pub inner: String,
    /// What is spoken there, `http`, where that is known.
    pub scheme: Option<String>,
}

/// What one question whether something works was answered with.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    /// What was asked: `container`, `tcp 127.0.0.1:6379`, `sql`.
    pub what: String,
    /// Whether it works.
    pub verdict: Verdict,
    /// What came back, in words; may hold secrets until somebody redacts it.
    pub detail: String,
    /// How long the answer took.
    pub took: Duration,
}

/// Which part of a log is wanted.
#[derive(Clone, Debug, Default)]
pub struct LogRequest {
    /// Whether to wait for more when the end is reached.
    pub follow: bool,
    /// Only so many lines from the end of what is there.
    pub tail: Option<u64>,
    /// Nothing older.
    pub since: Option<SystemTime>,
    /// Nothing younger.
    pub until: Option<SystemTime>,
}

/// One of a program's two streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// One line of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// When it was written.
    pub when: SystemTime,
    /// Where to.
    pub stream: Stream,
    /// The line, without its end; may hold secrets until somebody redacts it.
    pub text: String,
}

/// A command to run inside something.
#[derive(Clone, Default)]
pub struct Command {
    /// Program and arguments.
    pub words: Vec<String>,
    /// Variables; values may be secret.
    pub env: Vec<(String, String)>,
    /// Who runs it; the object's own user when left out.
    pub user: Option<String>,
    /// Where; the object's own folder when left out.
    pub folder: Option<String>,
    /// Whether it has a terminal.
    pub terminal: bool,
}

/// Never prints variables: they may be secret.
impl std::fmt::Debug for Command {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Command").field("words", &self.words).finish_non_exhaustive()
    }
}

/// What a command is connected to while it runs.
pub struct Attached {
    /// What is typed; `None` when it reads nothing.
    pub input: Option<mpsc::Receiver<Vec<u8>>>,
    /// Columns and rows of the terminal, whenever they change.
    pub size: watch::Receiver<(u16, u16)>,
    /// Where what it prints goes.
    pub output: mpsc::Sender<(Stream, Vec<u8>)>,
}

/// What an object takes of its machine.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Usage {
    /// Processors in use, `0.25`.
    pub cpus: f64,
    /// The most it may use.
    pub cpus_limit: Option<f64>,
    /// Bytes of memory in use.
    pub memory: u64,
    /// The most it may use.
    pub memory_limit: Option<u64>,
    /// Processes and threads.
    pub processes: u64,
    /// The most there may be.
    pub processes_limit: Option<u64>,
    /// Bytes received and sent over its networks.
    pub network: (u64, u64),
    /// Bytes read from and written to disks.
    pub disk: (u64, u64),
}

/// Whether there is something newer than what an object was made from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Freshness {
    /// What it was made from, as declared: `postgres:16`.
    pub image: String,
    /// Its digest; `None` when it never came from a registry.
    pub has: Option<String>,
    /// The digest that name has in its registry now.
    pub offered: Option<String>,
    /// Tags written like this one that stand for later versions, the nearest first: the latest
    /// of the same major version, then the latest of all.
    pub newer: Vec<String>,
    /// Why `newer` is not known.
    pub unlisted: Option<String>,
    /// What could not be found out, and why.
    pub unknown: Option<String>,
}

/// A program that speaks to a server.
#[derive(Clone)]
pub struct Client {
    /// Its name: `psql`.
    pub program: String,
    /// Arguments that lead to the server; no secrets.
    pub arguments: Vec<String>,
    /// Variables, among them the password.
    pub env: Vec<(String, String)>,
}

/// Something that happened to an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Occurrence {
    /// When.
    pub when: SystemTime,
    /// To what.
    pub address: Address,
    /// What, in the service's words: `die`.
    pub what: String,
    /// More about it: `exit code 137`.
    pub detail: String,
}

/// Bytes in both directions.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// What a kind offers beside being planned. For a kind of connection the only object is its
/// own record.
#[async_trait]
pub trait Operations: Send + Sync + 'static {
    /// What of it works; everything else answers like the defaults below.
    fn abilities(&self) -> &'static [Ability];

    /// How objects are now, one call for many, in their order; `None` for what is gone.
    async fn conditions(
        &self,
        _connection: &OpenConnection,
        objects: &[Object],
    ) -> Vec<Result<Option<Condition>, CallError>> {
        objects.iter().map(|_| Ok(None)).collect()
    }

    /// Whether objects work, asked in every way there is.
    async fn probe(&self, _connection: &OpenConnection, objects: &[Object]) -> Vec<Vec<Probe>> {
        objects.iter().map(|_| Vec::new()).collect()
    }

    /// What an object logged, oldest first.
    fn logs<'a>(
        &'a self,
        _connection: &'a OpenConnection,
        _object: &'a Object,
        _request: &LogRequest,
    ) -> BoxStream<'a, Result<LogLine, CallError>> {
        stream::empty().boxed()
    }

    /// Runs a command inside an object and answers with its exit code.
    async fn exec(
        &self,
        _connection: &OpenConnection,
        object: &Object,
        _command: Command,
        _attached: Attached,
    ) -> Result<i64, CallError> {
        Err(unable(object, "run a command in it"))
    }

    /// A spec that differs in one thing: whether the object is to run. `None` for what cannot
    /// be stopped.
    fn switched(&self, _spec: &Value, _on: bool) -> Option<Value> {
        None
    }

    /// What objects take of their machine, one call for many; `None` for what does not run.
    async fn usage(
        &self,
        _connection: &OpenConnection,
        objects: &[Object],
    ) -> Vec<Result<Option<Usage>, CallError>> {
        objects.iter().map(|_| Ok(None)).collect()
    }

    /// A way to a port that need not be published.
    async fn reach(
        &self,
        _connection: &OpenConnection,
        object: &Object,
        _port: u16,
    ) -> Result<Box<dyn Duplex>, CallError> {
        Err(unable(object, "lead to its ports"))
    }

    /// Whether there is something newer than what objects were made from.
    async fn freshness(
        &self,
        _connection: &OpenConnection,
        objects: &[Object],
    ) -> Vec<Result<Freshness, CallError>> {
        objects.iter().map(|object| Err(unable(object, "tell what is newer"))).collect()
    }

    /// For a kind of connection: the program that speaks to the server; by another way than
    /// its arguments say where `at` names one.
    fn client(&self, _spec: &Value, _at: Option<(&str, u16)>) -> Option<Client> {
        None
    }

    /// For a kind of connection: what the server answers to a question in its own words.
    async fn answer(
        &self,
        _connection: &OpenConnection,
        object: &Object,
        _question: &str,
    ) -> Result<Json, CallError> {
        Err(unable(object, "answer questions"))
    }

    /// For a kind of connection: what happened to objects behind it, oldest first; without
    /// `until` it waits for more.
    fn events<'a>(
        &'a self,
        _connection: &'a OpenConnection,
        _objects: &'a [Object],
        _since: SystemTime,
        _until: Option<SystemTime>,
    ) -> BoxStream<'a, Result<Occurrence, CallError>> {
        stream::empty().boxed()
    }
}

/// The error for what a kind cannot do.
fn unable(object: &Object, what: &str) -> CallError {
    CallError::refused(format!("`{}` cannot {what}", object.name.address))
}
