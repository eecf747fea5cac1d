//! The table in which a database remembers what was run in it.

use std::collections::BTreeMap;

use dollop_engine::error::CallError;
use serde::Deserialize;

use super::super::error::Task;
use super::super::server::{Lane, Server};
use super::super::sql::{self, Place};

/// The table's name.
const TABLE: &str = "dollop_migrations";

/// What makes a session that of the user dollop works as again.
pub(super) const AS_OURSELVES: [&str; 2] = ["RESET SESSION AUTHORIZATION", "RESET ROLE"];

/// What remembers whom a session works as, and what makes it work as them again.
pub(super) const THERE_AND_BACK: [&str; 3] = [
    "SELECT pg_catalog.set_config('dollop.user',
            pg_catalog.current_setting('session_authorization'), false),
        pg_catalog.set_config('dollop.role', pg_catalog.current_setting('role'), false)",
    "SELECT pg_catalog.set_config('session_authorization',
        pg_catalog.current_setting('dollop.user'), false)",
    "SELECT pg_catalog.set_config('role', pg_catalog.current_setting('dollop.role'), false)",
];

/// The table, in a statement.
pub(super) fn table(schema: &str) -> String {
    format!("{}.{}", sql::name(schema), sql::name(TABLE))
}

/// One file, or, with an empty name, the set itself.
#[derive(Clone, Deserialize)]
pub(super) struct Row {
    set: String,
    pub(super) file: String,
    pub(super) sql: String,
    /// How many of its statements are done.
    pub(super) done: usize,
    /// Whether another one had begun that no transaction protects.
    pub(super) begun: bool,
    pub(super) finished: bool,
    /// The set is not declared any more.
    released: bool,
}

/// Everything a table remembers.
pub(super) struct Ledger(Vec<Row>);

/// What it remembers of one set.
pub(super) struct Set<'a>(Vec<&'a Row>);

impl Ledger {
    /// Reads a table; nothing when there is none.
    pub(super) async fn read(
        server: &Server,
        database: &str,
        schema: &str,
    ) -> Result<Self, CallError> {
        #[derive(Deserialize)]
        struct There {
            there: bool,
        }
        let task = Task::new(format!("read the migrations of database `{database}`"));
        let sql = "select to_regclass(name) is not null there from unnest($1) name";
        let found: Vec<There> =
            server.rows(database, sql, &[vec![table(schema)]], &task).await?;
        if !found.iter().any(|found| found.there) {
            return Ok(Self(Vec::new()));
        }
        let sql = format!(
            r#"select "set", file, "sql", done, begun, finished_at is not null finished,
                released_at is not null released from {}"#,
            table(schema)
        );
        Ok(Self(server.rows(database, &sql, &[], &task).await?))
    }

    /// What it remembers of a set that is in use.
    pub(super) fn set(&self, name: &str) -> Option<Set<'_>> {
        let set = self.any_set(name);
        set.0.iter().any(|row| row.file.is_empty() && !row.released).then_some(set)
    }

    /// What it remembers of a set, in use or not.
    pub(super) fn any_set(&self, name: &str) -> Set<'_> {
        Set(self.0.iter().filter(|row| row.set == name).collect())
    }
}

impl Set<'_> {
    /// The files that were run to their end, text by name.
    pub(super) fn files(&self) -> BTreeMap<String, String> {
        let files = self.0.iter().filter(|row| row.finished && !row.file.is_empty());
        files.map(|row| (row.file.clone(), row.sql.clone())).collect()
    }

    /// What is known of a file.
    pub(super) fn row(&self, file: &str) -> Option<&Row> {
        self.0.iter().copied().find(|row| row.file == file)
    }

    /// Every file that is known.
    pub(super) fn rows(&self) -> impl Iterator<Item = &Row> {
        self.0.iter().copied().filter(|row| !row.file.is_empty())
    }
}

/// The statements after which the table exists and knows a set.
pub(super) fn prepare(schema: &str, set: &str) -> Vec<String> {
    let table = table(schema);
    vec![
        format!(
            r#"CREATE TABLE IF NOT EXISTS {table} (
            "set" text NOT NULL, file text NOT NULL, "sql" text NOT NULL,
            done int NOT NULL DEFAULT 0, begun bool NOT NULL DEFAULT false,
            started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            finished_at timestamptz, released_at timestamptz,
            applied_by text NOT NULL DEFAULT current_user, PRIMARY KEY ("set", file))"#
        ),
        format!(
            r#"INSERT INTO {table} ("set", file, "sql", finished_at) VALUES ({}, '', '', now())
            ON CONFLICT ("set", file) DO UPDATE SET released_at = NULL"#,
            sql::text(set)
        ),
    ]
}

/// Enters a file. `finished` says that nothing of it is left to do.
pub(super) fn enter(schema: &str, set: &str, file: &str, text: &str, finished: bool) -> String {
    let (table, set, file, text) =
        (table(schema), sql::text(set), sql::text(file), sql::text(text));
    let finished = if finished { "clock_timestamp()" } else { "NULL" };
    format!(
        r#"INSERT INTO {table} ("set", file, "sql", finished_at)
        VALUES ({set}, {file}, {text}, {finished})"#
    )
}

/// Changes what is known of a file.
pub(super) fn change(schema: &str, set: &str, file: &str, what: &str) -> String {
    format!(
        r#"UPDATE {} SET {what} WHERE "set" = {} AND file = {}"#,
        table(schema),
        sql::text(set),
        sql::text(file)
    )
}

/// Forgets a file.
pub(super) fn forget(schema: &str, set: &str, file: &str) -> String {
    format!(
        r#"DELETE FROM {} WHERE "set" = {} AND file = {}"#,
        table(schema),
        sql::text(set),
        sql::text(file)
    )
}

/// Lets go of a set: what was run in it stays, and stays known.
pub(super) async fn release(
    server: &Server,
    place: &Place,
    schema: &str,
) -> Result<(), CallError> {
    let ledger = Ledger::read(server, &place.database, schema).await?;
    if ledger.set(&place.name).is_none() {
        return Ok(());
    }
    let task = Task::new(format!("let go of the migrations `{}`", place.name));
    let statement = let_go(place, schema);
    server.write(&place.database, Lane::Short, &[statement], &task).await
}

/// The statement that lets go of a set.
pub(super) fn let_go(place: &Place, schema: &str) -> String {
    change(schema, &place.name, "", "released_at = now()")
}
