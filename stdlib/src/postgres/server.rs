//! `postgres::server`: a PostgreSQL server and the clients dollop holds to it.

mod spec;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use backon::{ExponentialBuilder, Retryable};
use dollop_engine::backup::Backup;
use dollop_engine::error::CallError;
use dollop_engine::resource::{Concurrency, Connection, Instead, Scope};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio_postgres::config::{SslMode as Wanted, TargetSessionAttrs};
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};
use tokio_postgres_rustls::MakeRustlsConnect;

pub use self::spec::{Spec, Target};
use super::asking;
use super::error::{self, Fault, Task};
use super::grant;
use super::imported::Inventory;
use super::instead;
pub(super) use super::lane::Lane;
use super::lane::Slot;
use super::seen::Seen;
use super::tls::{self, Papers, SslMode};

/// The most idle clients kept; each database needs its own.
const CLIENTS: usize = 12;

/// How long a client that answered need not be asked whether it is still there.
const ALIVE: Duration = Duration::from_millis(200);

/// The longest that one of several hosts is waited for, in seconds.
const ONE_OF_MANY: u64 = 5;

/// What to do about a lock that somebody keeps for longer than a statement waits.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Locks {
    WaitAgain,
    GiveUp,
}

/// An open connection to a server.
pub struct Server {
    spec: Spec,
    tls: Option<MakeRustlsConnect>,
    address: String,
    slots: std::sync::Mutex<HashMap<(String, Lane), Arc<Slot>>>,
    /// Two sessions that copy one template or drop databases get in each other's way.
    pub(super) databases: tokio::sync::Mutex<()>,
    /// What users ask is asked one after the other.
    questions: tokio::sync::Mutex<()>,
    /// Whether the stored passwords (`pg_authid`) are readable.
    pub(super) sees_passwords: bool,
    /// Its version as `server_version_num`: 150004 is 15.4.
    pub(super) version: u32,
    statements: AtomicU64,
    /// Where the sessions of each database look for names without a schema.
    schemas: std::sync::Mutex<HashMap<String, Arc<[String]>>>,
    /// Who shall be able to do what, said by many at the same time.
    pub(super) privileges: grant::Wishes,
    /// What it kept in words of its own when a plan looked.
    pub(super) seen: Seen,
    /// Everything there is, once somebody asked for it.
    pub(super) known: tokio::sync::Mutex<Option<Arc<Inventory>>>,
}

#[derive(Deserialize)]
struct Rights {
    sees_passwords: bool,
    version: u32,
}

impl Connection for Server {
    const KIND: &'static str = "postgres::server";
    const INSTEAD: Instead = instead::SERVER;
    type Spec = Spec;

    fn concurrency(spec: &Spec) -> Concurrency {
        spec.concurrency
    }

    async fn open(spec: Spec, _: Scope) -> Result<Self, CallError> {
        let papers = Papers {
            mode: spec.sslmode,
            root: spec.sslrootcert.as_deref(),
            certificate: spec.sslcert.as_deref(),
            key: spec.sslkey.as_deref(),
        };
        let plain = spec.sslmode == SslMode::Disable || spec.host.starts_with('/');
        let mut server = Self {
            tls: if plain { None } else { Some(tls::connector(&papers)?) },
            address: spec::address(&spec),
            privileges: grant::Wishes::new(spec.concurrency),
            spec,
            slots: std::sync::Mutex::default(),
            databases: tokio::sync::Mutex::default(),
            questions: tokio::sync::Mutex::default(),
            sees_passwords: false,
            version: 0,
            statements: AtomicU64::new(0),
            schemas: std::sync::Mutex::default(),
            seen: Seen::default(),
            known: tokio::sync::Mutex::default(),
        };
        let task = Task::new("look at the server");
        let sql = "select has_table_privilege('pg_catalog.pg_authid', 'select') sees_passwords,
            current_setting('server_version_num')::int4 \"version\"";
        let rights: Result<Vec<Rights>, Fault> =
            server.select(&server.spec.database, sql, &[]).await;
        let rights = rights.map_err(|fault| server.explain(fault, &task))?;
        for rights in rights {
            server.sees_passwords = rights.sees_passwords;
            server.version = rights.version;
        }
        Ok(server)
    }

    fn describe(spec: &Spec) -> String {
        format!("{} as {}", spec::address(spec), spec.user)
    }

    const SAVES: bool = true;

    fn backup(&self) -> Option<&dyn Backup> {
        Some(self)
    }
}

impl Server {
    /// How many statements were sent since it was opened.
    pub fn statements(&self) -> u64 {
        self.statements.load(Ordering::Relaxed)
    }

    /// The database that is connected to first.
    pub(super) fn database(&self) -> &str {
        &self.spec.database
    }

    /// Host and port as they were given.
    pub(super) fn place(&self) -> (&str, u16) {
        (self.spec.host.split(',').next().unwrap_or_default().trim(), self.spec.port)
    }

    /// The password of the user dollop works as.
    pub(super) fn password(&self) -> Option<&str> {
        self.spec.password.as_deref()
    }

    /// A client that nobody else uses: its session lasts as long as its owner wants.
    pub(super) async fn session(
        &self,
        database: &str,
        lane: Lane,
        task: &Task,
    ) -> Result<Client, CallError> {
        let attempt = || self.connect(database, lane);
        let opened = attempt.retry(self.patiently()).when(|fault: &Fault| self.may_pass(fault));
        opened.await.map_err(|fault| self.explain(fault, task))
    }

    /// Runs statements in a session of one's own, all or none of them. What it knows goes with
    /// it: where it is lost, nobody goes on in another one.
    pub(super) async fn write_in(
        &self,
        session: &Client,
        statements: &[String],
        task: &Task,
    ) -> Result<(), CallError> {
        *self.known.lock().await = None;
        self.statements.fetch_add(1, Ordering::Relaxed);
        let done = session.batch_execute(&statements.join(";\n")).await;
        done.map_err(|error| self.explain(Fault::Run(error), task))
    }

    /// The user dollop works as.
    pub(super) fn user(&self) -> &str {
        &self.spec.user
    }

    /// Where the server is.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Waiting for another session, or for a server that was there: as long as connecting may
    /// take.
    fn patiently(&self) -> ExponentialBuilder {
        ExponentialBuilder::new()
            .with_min_delay(Duration::from_millis(20))
            .with_max_delay(Duration::from_millis(500))
            .without_max_times()
            .with_total_delay(Some(Duration::from_secs(self.spec.connect_timeout.into())))
            .with_jitter()
    }

    /// Whether nothing was done, and the same may succeed in a moment.
    fn may_pass(&self, fault: &Fault) -> bool {
        // A server that was never reached is waited for by whoever knows that it is starting.
        let was_there = self.version > 0;
        fault.is_passing() || (was_there && fault.is_unreachable())
    }

    /// The rows of a query whose parameters are lists of text. Nothing when the database does
    /// not exist: then nothing in it does.
    pub(super) async fn rows<T: DeserializeOwned>(
        &self,
        database: &str,
        sql: &str,
        parameters: &[Vec<String>],
        task: &Task,
    ) -> Result<Vec<T>, CallError> {
        let attempt = || self.select(database, sql, parameters);
        let retry = attempt
            .retry(self.patiently())
            // Reading twice harms nobody: a client that died since its last use is replaced.
            .when(|fault: &Fault| {
                self.may_pass(fault) || (self.version > 0 && fault.is_broken())
            });
        match retry.await {
            Err(fault) if self.is_gone(database, &fault) => Ok(Vec::new()),
            Err(fault) => Err(self.explain(fault, task)),
            Ok(rows) => Ok(rows),
        }
    }

    /// Whether the first value of a query is true, asked in a transaction that cannot write.
    /// Nothing holds in a database that does not exist.
    pub(super) async fn holds(
        &self,
        database: &str,
        query: &str,
        task: &Task,
    ) -> Result<bool, CallError> {
        // A query that fails leaves its transaction open: one at a time, and a new client
        // after that.
        let _alone = self.questions.lock().await;
        let attempt = || async {
            let client = self.lively(database, Lane::Questions).await?;
            self.statements.fetch_add(1, Ordering::Relaxed);
            let settings = Lane::Questions.settings();
            let sql = format!("begin read only; {settings}{query}\n;rollback");
            client.simple_query(&sql).await.map_err(Fault::Run)
        };
        match attempt.retry(self.patiently()).when(|fault: &Fault| self.may_pass(fault)).await {
            Err(fault) => {
                self.hang_up(database, Lane::Questions);
                if self.is_gone(database, &fault) {
                    return Ok(false);
                }
                Err(self.explain(fault, task))
            }
            Ok(messages) => {
                let first = messages.iter().find_map(|message| match message {
                    SimpleQueryMessage::Row(row) => Some(row),
                    _ => None,
                });
                let value = first.filter(|row| !row.is_empty()).map(|row| row.try_get(0));
                Ok(matches!(value, Some(Ok(Some("t" | "true")))))
            }
        }
    }

    /// Runs statements, all or none of them. Fails when the database does not exist.
    pub(super) async fn write(
        &self,
        database: &str,
        lane: Lane,
        statements: &[String],
        task: &Task,
    ) -> Result<(), CallError> {
        let done = self.try_write(database, lane, statements, None, Locks::WaitAgain).await;
        done.map(drop).map_err(|fault| self.explain(fault, task))
    }

    /// Runs short statements of several tasks, all or none of them. Does not wait again for a
    /// lock that somebody keeps: the others need not wait with whoever wants it.
    pub(super) async fn write_at_once(
        &self,
        database: &str,
        statements: &[String],
        task: &Task,
    ) -> Result<(), CallError> {
        let done = self.try_write(database, Lane::Short, statements, None, Locks::GiveUp).await;
        done.map(drop).map_err(|fault| self.explain(fault, task))
    }

    /// Runs short statements, all or none of them, and in the same message asks what came of
    /// them: `question` gives one row.
    pub(super) async fn write_and_ask<T: DeserializeOwned>(
        &self,
        database: &str,
        statements: &[String],
        question: &str,
        task: &Task,
    ) -> Result<T, CallError> {
        let (lane, question) = (Lane::Short, Some(question));
        let done = self.try_write(database, lane, statements, question, Locks::WaitAgain).await;
        let row = done.and_then(|row| {
            serde_json::from_str(row.as_deref().unwrap_or_default()).map_err(Fault::Shape)
        });
        row.map_err(|fault| self.explain(fault, task))
    }

    /// As [`write`](Self::write), but fine when the database does not exist: what was to be
    /// removed from it is gone.
    pub(super) async fn remove(
        &self,
        database: &str,
        statements: &[String],
        task: &Task,
    ) -> Result<(), CallError> {
        let lane = Lane::Short;
        match self.try_write(database, lane, statements, None, Locks::WaitAgain).await {
            Err(fault) if self.is_gone(database, &fault) => Ok(()),
            other => other.map(drop).map_err(|fault| self.explain(fault, task)),
        }
    }

    /// Lets go of the clients of a database, which cannot be dropped or copied while they are
    /// connected.
    pub(super) fn close(&self, database: &str) {
        let mut slots = lock(&self.slots);
        slots.retain(|(name, _), _| name != database);
    }

    /// Lets go of one client of a database.
    pub(super) fn hang_up(&self, database: &str, lane: Lane) {
        let mut slots = lock(&self.slots);
        slots.remove(&(database.to_owned(), lane));
    }

    /// The database does not exist. Not when it is the one connected to first: what is asked
    /// there is often about the whole server.
    fn is_gone(&self, database: &str, fault: &Fault) -> bool {
        database != self.spec.database && fault.is_missing_database()
    }

    pub(super) fn explain(&self, fault: Fault, task: &Task) -> CallError {
        let shown = self.spec.sslcert.as_deref().filter(|_| fault.refuses_certificate());
        let said = fault.explain(task, &self.address, &self.spec.user);
        match shown.and_then(crate::tls::own_out_of_time) {
            Some(when) => said.note(format!("the certificate in `sslcert` {when}")),
            None => said,
        }
    }

    async fn try_write(
        &self,
        database: &str,
        lane: Lane,
        statements: &[String],
        question: Option<&str>,
        locks: Locks,
    ) -> Result<Option<String>, Fault> {
        if statements.is_empty() && question.is_none() {
            return Ok(None);
        }
        *self.known.lock().await = None;
        // Several statements in one message are one transaction ("Multiple Statements in a
        // Simple Query", PostgreSQL manual 55.2.2.1).
        let mut batch = statements.join(";\n");
        if lane.sets_locally() {
            batch = format!("{}{batch}", lane.settings());
        }
        if let Some(question) = question {
            batch = format!("{batch};\n{}", asking::behind(question));
        }
        let attempt = || async {
            let client = self.lively(database, lane).await?;
            self.statements.fetch_add(1, Ordering::Relaxed);
            let row = if question.is_some() {
                let messages = client.simple_query(&batch).await.map_err(Fault::Run)?;
                last_value(&messages)
            } else {
                client.batch_execute(&batch).await.map_err(Fault::Run)?;
                None
            };
            self.answered(database, lane);
            Ok(row)
        };
        let retry = attempt.retry(self.patiently());
        // What users wrote may have done something that no transaction takes back.
        let again = |fault: &Fault| {
            self.may_pass(fault)
                || (lane != Lane::Scripts && fault.is_cut())
                || (lane == Lane::Short && locks == Locks::WaitAgain && fault.is_locked())
        };
        retry.when(again).await
    }

    async fn select<T: DeserializeOwned>(
        &self,
        database: &str,
        sql: &str,
        parameters: &[Vec<String>],
    ) -> Result<Vec<T>, Fault> {
        let client = self.client(database, Lane::Short).await?;
        let message = asking::message(sql, parameters);
        self.statements.fetch_add(1, Ordering::Relaxed);
        let messages = client.simple_query(&message).await.map_err(Fault::Run)?;
        self.answered(database, Lane::Short);
        let mut rows = messages.iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        });
        let schemas = asking::schemas(rows.next().unwrap_or_default());
        lock(&self.schemas).insert(database.to_owned(), schemas.into());
        rows.map(|row| serde_json::from_str(row).map_err(Fault::Shape)).collect()
    }

    /// Where sessions in a database look for names without a schema, as far as it was asked.
    pub(super) fn schemas(&self, database: &str) -> Arc<[String]> {
        lock(&self.schemas).get(database).cloned().unwrap_or_default()
    }

    /// A client that answered just now: a write must not be lost on one that died idle.
    async fn lively(&self, database: &str, lane: Lane) -> Result<Arc<Client>, Fault> {
        // What the server said on its own, as that it ends the session, is read before: first
        // the runtime looks what came, then whoever waits for it reads.
        for _ in 0..2 {
            tokio::task::yield_now().await;
        }
        let client = self.client(database, lane).await?;
        // What users wrote is not run again when the connection turns out to be cut.
        let answered = *lock(&self.slot(database, lane).answered);
        if lane != Lane::Scripts && answered.is_some_and(|at| at.elapsed() < ALIVE) {
            return Ok(client);
        }
        self.statements.fetch_add(1, Ordering::Relaxed);
        if client.check_connection().await.is_ok() {
            return Ok(client);
        }
        self.forget(database, lane, &client).await;
        self.client(database, lane).await
    }

    async fn forget(&self, database: &str, lane: Lane, dead: &Arc<Client>) {
        let slot = self.slot(database, lane);
        let mut client = slot.client.lock().await;
        if client.as_ref().is_some_and(|current| Arc::ptr_eq(current, dead)) {
            *client = None;
        }
    }

    /// The client of a database, opened when there is none or it is closed.
    async fn client(&self, database: &str, lane: Lane) -> Result<Arc<Client>, Fault> {
        let slot = self.slot(database, lane);
        let mut client = slot.client.lock().await;
        if let Some(open) = client.as_ref().filter(|client| !client.is_closed()) {
            return Ok(open.clone());
        }
        let open = Arc::new(self.connect(database, lane).await?);
        *client = Some(open.clone());
        *lock(&slot.answered) = Some(Instant::now());
        Ok(open)
    }

    fn answered(&self, database: &str, lane: Lane) {
        if let Some(slot) = lock(&self.slots).get(&(database.to_owned(), lane)) {
            *lock(&slot.answered) = Some(Instant::now());
        }
    }

    fn slot(&self, database: &str, lane: Lane) -> Arc<Slot> {
        let mut slots = lock(&self.slots);
        let latest = slots.values().map(|slot| slot.used.load(Ordering::Relaxed)).max();
        let key = (database.to_owned(), lane);
        if !slots.contains_key(&key) && slots.len() >= CLIENTS {
            // Nobody else can take one up while the map is locked.
            let idle = slots.iter().filter(|(_, slot)| slot.is_idle());
            let oldest = idle.min_by_key(|(_, slot)| slot.used.load(Ordering::Relaxed));
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                slots.remove(&oldest);
            }
        }
        let slot = slots.entry(key).or_default().clone();
        slot.used.store(latest.unwrap_or(0) + 1, Ordering::Relaxed);
        slot
    }

    async fn connect(&self, database: &str, lane: Lane) -> Result<Client, Fault> {
        let mut config = Config::new();
        let hosts: Vec<_> = self.spec.host.split(',').map(str::trim).collect();
        for host in &hosts {
            config.host(*host);
        }
        if hosts.len() > 1 {
            // One that swallows everything, as a machine that is gone does, leaves time for the
            // others.
            let each = u64::from(self.spec.connect_timeout) / hosts.len() as u64;
            config.connect_timeout(Duration::from_secs(each.clamp(1, ONE_OF_MANY)));
        }
        config
            .port(self.spec.port)
            .user(&self.spec.user)
            .dbname(database)
            .application_name("dollop")
            .channel_binding(self.spec.channel_binding.wanted())
            .tcp_user_timeout(Duration::from_secs(30));
        if self.spec.target_session_attrs == Target::ReadWrite {
            config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        }
        if let Some(password) = &self.spec.password {
            config.password(password);
        }
        let opening = async {
            let client = self.greet(&mut config).await?;
            if !lane.sets_locally() {
                client.batch_execute(&lane.settings()).await?;
            }
            Ok(client)
        };
        let limit = Duration::from_secs(self.spec.connect_timeout.max(1).into());
        match tokio::time::timeout(limit, opening).await {
            Ok(result) => result.map_err(|error| Fault::Connect(database.to_owned(), error)),
            Err(_) => Err(Fault::Timeout(database.to_owned())),
        }
    }

    /// Connects, by TLS where that is wanted.
    async fn greet(&self, config: &mut Config) -> Result<Client, tokio_postgres::Error> {
        if let Some(tls) = &self.tls {
            let prefers = self.spec.sslmode == SslMode::Prefer;
            config.ssl_mode(if prefers { Wanted::Prefer } else { Wanted::Require });
            match config.connect(tls.clone()).await {
                Ok((client, connection)) => {
                    // Ends when the client is dropped; why it broke is said by the next
                    // statement.
                    tokio::spawn(connection);
                    return Ok(client);
                }
                // A TLS older than what is known here is as good as none.
                Err(error) if prefers && error::is_handshake(&error) => {}
                Err(error) => return Err(error),
            }
        }
        config.ssl_mode(Wanted::Disable);
        let (client, connection) = config.connect(NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }
}

/// The first value of the last row.
fn last_value(messages: &[SimpleQueryMessage]) -> Option<String> {
    messages.iter().rev().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    })
}

fn lock<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
