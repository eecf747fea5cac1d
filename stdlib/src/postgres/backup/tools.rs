//! The programs that come with PostgreSQL, run where the server is.

use std::sync::Arc;

use dollop_engine::backup::{Host, Program, Sink, Site, Source};
use dollop_engine::error::CallError;

use super::super::server::Server;
use crate::local::program::Here;

/// Programs of one server, and how they reach it.
pub(super) struct Tools {
    host: Arc<dyn Host>,
    reach: Vec<String>,
    password: Option<String>,
}

/// `150004` as `15.4`.
pub(super) fn version(number: u32) -> String {
    format!("{}.{}", number / 10_000, number % 10_000)
}

impl Tools {
    /// Those in the server's container, or else this machine's.
    pub(super) async fn of(server: &Server, site: &Site) -> Result<Self, CallError> {
        let (outer_host, outer_port) = server.place();
        let Some(host) = &site.host else {
            let host: Arc<dyn Host> = Arc::new(Here);
            return Ok(Self::new(server, host, outer_host, outer_port));
        };
        let port = host.inner_port(outer_port).await?;
        Ok(Self::new(server, Arc::clone(host), "127.0.0.1", port))
    }

    /// Those in a container of its own, where the server has its usual port.
    pub(super) fn at(server: &Server, twin: Arc<dyn Host>) -> Self {
        Self::new(server, twin, "127.0.0.1", 5432)
    }

    fn new(server: &Server, host: Arc<dyn Host>, at: &str, port: u16) -> Self {
        let reach = ["-h", at, "-p", &port.to_string(), "-U", server.user(), "-w"];
        Self {
            host,
            reach: reach.iter().map(|&word| word.to_owned()).collect(),
            password: server.password().map(str::to_owned),
        }
    }

    /// Runs a program; `what` completes "cannot …".
    pub(super) async fn run(
        &self,
        what: &str,
        words: &[&str],
        source: Option<Source<'_>>,
        sink: Sink<'_>,
    ) -> Result<(), CallError> {
        let called = words.first().copied().unwrap_or_default();
        let mut all: Vec<String> = vec![called.to_owned()];
        all.extend(self.reach.iter().cloned());
        all.extend(words.iter().skip(1).map(|&word| word.to_owned()));
        let mut env = vec![
            ("PGCONNECT_TIMEOUT".to_owned(), "10".to_owned()),
            ("PGAPPNAME".to_owned(), "dollop".to_owned()),
            ("PGCLIENTENCODING".to_owned(), "UTF8".to_owned()),
            // Messages are looked into.
            ("LC_ALL".to_owned(), "C".to_owned()),
        ];
        if let Some(password) = &self.password {
            env.push(("PGPASSWORD".to_owned(), password.clone()));
        }
        let exit = self.host.run(Program { words: all, env }, source, sink).await?;
        if exit.code == 0 {
            return Ok(());
        }
        let place = self.host.describe();
        let message =
            format!("cannot {what}: `{called}` in {place} ended with code {}", exit.code);
        let error = CallError::refused(message);
        let errors = exit.errors.trim();
        let error = if errors.is_empty() { error } else { error.note(errors.to_owned()) };
        Err(if matches!(exit.code, 126 | 127) {
            error.hint(format!("{place} has no `{called}`: it comes with PostgreSQL's client"))
        } else if errors.contains("server version mismatch") {
            error.hint("install the client of the server's version, or a newer one, here")
        } else if errors.contains("is not available")
            || errors.contains("extension control file")
        {
            error.hint("the server lacks an extension: use the image the backup was made with")
        } else if errors.contains("No space left") {
            error.hint("the server's disk is full")
        } else {
            error
        })
    }

    /// What `psql` prints for statements, one line a row. Statements run one by one, each
    /// in a transaction of its own, until one fails.
    pub(super) async fn ask(&self, database: &str, sql: &str) -> Result<String, CallError> {
        let mut printed = Vec::new();
        let words = [
            "psql",
            "-X",
            "-A",
            "-t",
            "-q",
            "-v",
            "ON_ERROR_STOP=1",
            "-v",
            "VERBOSITY=terse",
            "-d",
            &connect_to(database),
            "-f",
            "-",
        ];
        let sql = format!("set search_path = pg_catalog;\n{sql}");
        let mut source = sql.as_bytes();
        let what = format!("work in database `{database}`");
        self.run(&what, &words, Some(&mut source), &mut printed).await?;
        Ok(String::from_utf8_lossy(&printed).into_owned())
    }

    /// Removes the container of a trial.
    pub(super) async fn remove(&self) -> Result<(), CallError> {
        self.host.remove().await
    }
}

/// The name of a database as an argument: one with `=` in it would be read as a list of
/// settings.
pub(super) fn connect_to(database: &str) -> String {
    let quoted = database.replace('\\', "\\\\").replace('\'', "\\'");
    format!("dbname='{quoted}'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_databases_are_no_settings() {
        assert_eq!(connect_to("a=b c'd"), "dbname='a=b c\\'d'");
    }

    #[test]
    fn versions_read_as_people_write_them() {
        assert_eq!(version(150_004), "15.4");
    }
}
