//! What PostgreSQL answers, in words for the person at the terminal.
//!
//! Source: "Appendix A. PostgreSQL Error Codes" of the PostgreSQL manual.

use std::error::Error as _;
use std::io;

use dollop_engine::error::{CallError, Failure};
use tokio_postgres::error::{DbError, ErrorPosition, SqlState};

use crate::tls;

/// What is being tried, and what to say when it fails.
pub(super) struct Task {
    /// "create role `app`".
    what: String,
    hints: Vec<(SqlState, String)>,
    excerpt: Option<Excerpt>,
}

/// Where in a file of the project the SQL of a message stands.
pub(super) struct Excerpt {
    /// The file.
    pub(super) file: String,
    /// Its text.
    pub(super) text: String,
    /// Where the part that is sent begins, in characters.
    pub(super) from: usize,
    /// How many characters of the message come before it.
    pub(super) before: usize,
}

impl Excerpt {
    /// The line at a place in the message, counted in characters from 1.
    fn line(&self, position: u32) -> Option<String> {
        let at = usize::try_from(position).ok()?.checked_sub(1 + self.before)? + self.from;
        let before: String = self.text.chars().take(at).collect();
        let number = before.matches('\n').count();
        let line = self.text.lines().nth(number)?;
        Some(format!("`{}`, line {}: {}", self.file, number + 1, line.trim()))
    }
}

impl Task {
    /// `what` completes "cannot ...".
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), hints: Vec::new(), excerpt: None }
    }

    /// What the connected user needs.
    pub(super) fn needs(self, right: impl Into<String>) -> Self {
        self.hint(SqlState::INSUFFICIENT_PRIVILEGE, format!("this needs {}", right.into()))
    }

    /// Where the SQL was written.
    pub(super) fn reading(mut self, excerpt: Excerpt) -> Self {
        self.excerpt = Some(excerpt);
        self
    }

    /// Advice for one SQLSTATE.
    pub(super) fn hint(mut self, state: SqlState, hint: impl Into<String>) -> Self {
        self.hints.push((state, hint.into()));
        self
    }
}

/// Why a statement did not succeed.
pub(super) enum Fault {
    /// There is no connection to the database.
    Connect(String, tokio_postgres::Error),
    /// Connecting took longer than `connect_timeout`.
    Timeout(String),
    /// The statement failed.
    Run(tokio_postgres::Error),
    /// The server's answer has another shape than its catalog's documentation.
    Shape(serde_json::Error),
}

impl Fault {
    fn state(&self) -> Option<&SqlState> {
        match self {
            Self::Connect(_, error) | Self::Run(error) => error.code(),
            Self::Timeout(_) | Self::Shape(_) => None,
        }
    }

    /// The database to connect to does not exist.
    pub(super) fn is_missing_database(&self) -> bool {
        matches!(self, Self::Connect(..))
            && self.state() == Some(&SqlState::INVALID_CATALOG_NAME)
    }

    /// Another session was faster and the same statement will succeed, or the server is
    /// just coming up; nothing was done.
    pub(super) fn is_passing(&self) -> bool {
        let Some(state) = self.state() else { return false };
        let message = match self {
            Self::Run(error) => error.as_db_error().map_or("", DbError::message),
            _ => "",
        };
        *state == SqlState::T_R_SERIALIZATION_FAILURE
            || *state == SqlState::T_R_DEADLOCK_DETECTED
            || *state == SqlState::CANNOT_CONNECT_NOW
            // Before anything was sent: a pooler without a server, a fail-over.
            || (matches!(self, Self::Connect(..)) && state.code().starts_with("08"))
            || (*state == SqlState::INTERNAL_ERROR && message.contains("concurrently"))
            || (*state == SqlState::OBJECT_IN_USE && message.starts_with("source database"))
    }

    /// Nobody answers, or nobody who can write: nothing was done.
    pub(super) fn is_unreachable(&self) -> bool {
        let Self::Connect(_, error) = self else { return false };
        match error.as_db_error() {
            Some(error) => failure(error.code()) == Failure::Unreachable,
            None if self.refuses_certificate() => false,
            None => error.is_closed() || io_error(error).is_some() || is_no_leader(error),
        }
    }

    /// The server refuses the certificate it is shown, or misses one.
    pub(super) fn refuses_certificate(&self) -> bool {
        let (Self::Connect(_, error) | Self::Run(error)) = self else { return false };
        tls::error_in(error).is_some_and(tls::refuses_ours)
    }

    /// Another session keeps a lock.
    pub(super) fn is_locked(&self) -> bool {
        self.state() == Some(&SqlState::LOCK_NOT_AVAILABLE)
    }

    /// The server ended the session in the middle of a transaction, and said so.
    pub(super) fn is_cut(&self) -> bool {
        let Self::Run(_) = self else { return false };
        let cut = [SqlState::ADMIN_SHUTDOWN, SqlState::CRASH_SHUTDOWN];
        self.state().is_some_and(|state| cut.contains(state))
    }

    /// The connection broke; whether the statement ran is not known.
    pub(super) fn is_broken(&self) -> bool {
        let Self::Run(error) = self else { return false };
        match error.as_db_error() {
            Some(error) => failure(error.code()) == Failure::Unreachable,
            None => error.is_closed() || io_error(error).is_some(),
        }
    }

    /// The error for a task at an address (`127.0.0.1:5432`) as a user.
    pub(super) fn explain(self, task: &Task, address: &str, user: &str) -> CallError {
        match self {
            Self::Connect(database, error) => connecting(&database, &error, address, user),
            Self::Timeout(database) => CallError::unreachable(format!(
                "PostgreSQL at {address} did not answer in time (database `{database}`)"
            ))
            .hint("check host and port, or raise `connect_timeout`"),
            Self::Run(error) => running(&error, task, address, user),
            Self::Shape(error) => CallError::refused(format!(
                "cannot {} at {address}: an answer of an unknown shape: {error}",
                task.what
            )),
        }
    }
}

fn failure(state: &SqlState) -> Failure {
    const EXISTS: [SqlState; 6] = [
        SqlState::DUPLICATE_OBJECT,
        SqlState::DUPLICATE_TABLE,
        SqlState::DUPLICATE_FUNCTION,
        SqlState::DUPLICATE_DATABASE,
        SqlState::DUPLICATE_SCHEMA,
        // Two sessions made it at the same time.
        SqlState::UNIQUE_VIOLATION,
    ];
    const DENIED: [SqlState; 3] = [
        SqlState::INVALID_PASSWORD,
        SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
        SqlState::INSUFFICIENT_PRIVILEGE,
    ];
    const UNREACHABLE: [SqlState; 4] = [
        SqlState::CANNOT_CONNECT_NOW,
        SqlState::ADMIN_SHUTDOWN,
        SqlState::CRASH_SHUTDOWN,
        SqlState::TOO_MANY_CONNECTIONS,
    ];
    if EXISTS.contains(state) {
        Failure::Exists
    } else if DENIED.contains(state) {
        Failure::Denied
    } else if UNREACHABLE.contains(state) || state.code().starts_with("08") {
        Failure::Unreachable
    } else {
        Failure::Refused
    }
}

/// The TLS handshake failed.
pub(super) fn is_handshake(error: &tokio_postgres::Error) -> bool {
    error.to_string().starts_with("error performing TLS handshake")
}

/// Of all hosts none can be written to.
fn is_no_leader(error: &tokio_postgres::Error) -> bool {
    error.source().is_some_and(|source| source.to_string() == "database does not allow writes")
}

fn io_error(error: &tokio_postgres::Error) -> Option<&io::Error> {
    error.source().and_then(|source| source.downcast_ref())
}

/// The server's message with names as dollop writes them.
fn words(error: &DbError) -> String {
    error.message().replace('"', "`")
}

fn with_detail(mut said: CallError, error: &DbError) -> CallError {
    if let Some(detail) = error.detail() {
        said = said.note(detail);
    }
    said
}

fn connecting(
    database: &str,
    error: &tokio_postgres::Error,
    address: &str,
    user: &str,
) -> CallError {
    if let Some(db) = error.as_db_error() {
        return with_detail(greeted(database, db, address, user), db);
    }
    if is_no_leader(error) {
        return CallError::unreachable(format!("no server at {address} can be written to"))
            .hint("a standby becomes the leader in a fail-over; name all hosts with commas between");
    }
    if let Some(when) = tls::error_in(error).and_then(tls::out_of_time) {
        let message = format!("no TLS with {address}: the server's certificate {when}");
        return CallError::new(Failure::Denied, message).hint(
            "give the server a new one (`ssl_cert_file`), or set the clock of this machine",
        );
    }
    if tls::error_in(error).is_some_and(tls::refuses_ours) {
        let message = format!(
            "PostgreSQL at {address} refuses the certificate in `sslcert`, or misses one"
        );
        return CallError::new(Failure::Denied, message).hint(
            "give `sslcert` and `sslkey` by an authority that the server believes \
             (`ssl_ca_file`), and still valid",
        );
    }
    if is_handshake(error) {
        let cause = error.source().map_or_else(|| error.to_string(), ToString::to_string);
        let said = CallError::new(
            Failure::Denied,
            format!("cannot talk to {address} by TLS as `sslmode` demands: {cause}"),
        );
        return if cause.contains("does not support TLS") {
            said.hint("turn TLS on in the server, or set `sslmode: \"prefer\"`")
        } else if cause.contains("UnknownIssuer") {
            said.hint(
                "give the authority that signed the server's certificate as `sslrootcert`",
            )
        } else if cause.contains("not valid for") {
            said.hint(
                "use the name the certificate is for as `host`, or `sslmode: \"verify-ca\"`",
            )
        } else {
            said.hint("check `sslrootcert`, `sslcert` and `sslkey` of the `postgres::server`")
        };
    }
    if let Some(error) = io_error(error) {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            return CallError::unreachable(format!(
                "{address} closed the connection before saying anything"
            ))
            .hint("the server may be starting; otherwise check that PostgreSQL listens there");
        }
        // Name look-ups have no kind of their own, their text says it all.
        let cause = match error.kind() {
            io::ErrorKind::Other => error.to_string(),
            kind => kind.to_string(),
        };
        return CallError::unreachable(format!(
            "cannot reach PostgreSQL at {address}: {cause}"
        ))
        .hint("check that the server runs and that host and port are right");
    }
    if error.is_closed() {
        return CallError::unreachable(format!("{address} closed the connection"))
            .hint("the server may be starting; otherwise check that PostgreSQL listens there");
    }
    let cause = error.source().map_or_else(|| error.to_string(), ToString::to_string);
    if cause == "password missing" {
        return CallError::new(
            Failure::Denied,
            format!("PostgreSQL at {address} wants a password for user `{user}`"),
        )
        .hint("set `password` on the `postgres::server`");
    }
    if cause.contains("channel binding") {
        let message = format!(
            "PostgreSQL at {address} takes the password of user `{user}` without tying it to the \
             TLS session, which `channel_binding` demands"
        );
        return CallError::new(Failure::Denied, message)
            .hint("it needs TLS (`sslmode: \"require\"`), a rule `scram-sha-256` in `pg_hba.conf` and a SCRAM password")
            .hint("a server behind a proxy that ends TLS cannot do it: `channel_binding: \"prefer\"`");
    }
    CallError::refused(format!("cannot connect to {address} as `{user}`: {cause}"))
}

fn greeted(database: &str, error: &DbError, address: &str, user: &str) -> CallError {
    let state = error.code();
    let said = |message: String| CallError::new(failure(state), message);
    if *state == SqlState::INVALID_PASSWORD {
        return said(format!(
            "PostgreSQL at {address} does not accept the password of user `{user}`"
        ))
        .hint(
            "an existing data folder keeps the password it was first started with: changing \
             `POSTGRES_PASSWORD` does not reach it",
        )
        .hint(format!(
            "a server in a container of the official image lets `dollop psql` in without it: \
             `ALTER ROLE {} PASSWORD '..'` there makes the two agree",
            super::sql::name(user)
        ));
    }
    if *state == SqlState::INVALID_CATALOG_NAME {
        return said(format!("there is no database `{database}` at {address}"))
            .hint("create it first, or check the name given as `database`");
    }
    let words = words(error);
    if *state == SqlState::INVALID_AUTHORIZATION_SPECIFICATION {
        let said = said(format!("PostgreSQL at {address} refuses user `{user}`: {words}"));
        return if words.contains("client certificate") {
            said.hint("give `sslcert` and `sslkey` on the `postgres::server`")
        } else if words.contains("pg_hba") {
            said.hint("allow this client in `pg_hba.conf`; a rule `hostssl` wants `sslmode: \"require\"`")
        } else {
            said.hint("check `user` of the `postgres::server`")
        };
    }
    let said = said(format!(
        "cannot connect to database `{database}` at {address} as `{user}`: {words}"
    ));
    if *state == SqlState::TOO_MANY_CONNECTIONS {
        said.hint("close other clients, or raise `max_connections`")
    } else if *state == SqlState::INSUFFICIENT_PRIVILEGE {
        said.hint(format!("user `{user}` needs CONNECT on database `{database}`"))
    } else if *state == SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE {
        said.hint(format!("set `allow_connections: true` on database `{database}`"))
    } else {
        said
    }
}

fn running(error: &tokio_postgres::Error, task: &Task, address: &str, user: &str) -> CallError {
    let Some(db) = error.as_db_error() else {
        let cause = error.source().map_or_else(|| error.to_string(), ToString::to_string);
        let message = format!("cannot {} at {address}: {cause}", task.what);
        return if error.is_closed() || io_error(error).is_some() {
            CallError::unreachable(message).hint("the server closed the connection; try again")
        } else {
            CallError::refused(message)
        };
    };
    let message = format!("cannot {} at {address} as `{user}`: {}", task.what, words(db));
    let mut said = with_detail(CallError::new(failure(db.code()), message), db);
    if let (Some(excerpt), Some(ErrorPosition::Original(position))) =
        (&task.excerpt, db.position())
        && let Some(line) = excerpt.line(*position)
    {
        said = said.note(line);
    }
    let ours = task.hints.iter().filter(|(state, _)| state == db.code());
    said.hints.extend(ours.map(|(_, hint)| hint.clone()));
    if *db.code() == SqlState::READ_ONLY_SQL_TRANSACTION {
        said = said.hint(
            "this server is a standby: name all hosts and set `target_session_attrs: \"read-write\"`",
        );
    }
    if *db.code() == SqlState::LOCK_NOT_AVAILABLE {
        said =
            said.hint("another session holds a lock; `pg_locks` and `pg_blocking_pids` tell");
    }
    // The server advises things like CASCADE that dollop has no word for.
    if said.hints.is_empty()
        && let Some(hint) = db.hint()
    {
        said = said.hint(hint);
    }
    said
}
