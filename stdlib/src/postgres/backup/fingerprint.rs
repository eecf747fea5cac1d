//! The rows of a database in a few numbers: how many each table has, and a sum over them
//! that is the same in whatever order they come.

use std::collections::BTreeMap;

use dollop_engine::error::CallError;
use serde::{Deserialize, Serialize};
use tokio_postgres::{Client, SimpleQueryMessage};

use super::super::error::{Fault, Task};
use super::super::server::Server;
use super::tools::Tools;

/// What a database holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Fingerprint {
    /// Tables by their name in SQL.
    tables: BTreeMap<String, Rows>,
    /// Where sequences stand.
    sequences: BTreeMap<String, i64>,
    /// Large objects, where they may be read.
    large_objects: Option<Rows>,
}

/// Rows of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Rows {
    rows: u64,
    sum: String,
}

/// One line of what is asked.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Table { name: String, rows: u64, sum: String },
    Sequence { name: String, last: i64 },
    LargeObjects { rows: u64, sum: String },
}

/// Text of values must not depend on how a session is set up.
const SETTINGS: &str = "set datestyle = 'ISO, YMD'; set intervalstyle = postgres;
    set timezone = 'UTC'; set bytea_output = hex; set extra_float_digits = 1;
    set lc_monetary = 'C'; set search_path = pg_catalog; set quote_all_identifiers = off;";

/// A statement for each table, sequence and kind of large object that asks for its line:
/// what `pg_dump` saves the rows of, so not what belongs to extensions.
const STATEMENTS: &str = "select statement from (
    select 1 step, c.oid, format('select json_build_object(''table'', json_build_object(
        ''name'', %L, ''rows'', count(*),
        ''sum'', coalesce(sum(hashtextextended(t::text collate \"C\", 0)::numeric), 0)::text
        )) from only %I.%I t', format('%I.%I', n.nspname, c.relname), n.nspname, c.relname)
        statement
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind = 'r' and c.relpersistence <> 't' and n.nspname !~ '^pg_'
        and n.nspname <> 'information_schema'
        and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass
            and d.objid = c.oid and d.deptype = 'e')
    union all
    select 2, c.oid, format('select json_build_object(''sequence'', json_build_object(
        ''name'', %L, ''last'', case when is_called then last_value end)) from %I.%I
        where is_called', format('%I.%I', n.nspname, c.relname), n.nspname, c.relname)
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind = 'S' and c.relpersistence <> 't' and n.nspname !~ '^pg_'
        and n.nspname <> 'information_schema'
        and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass
            and d.objid = c.oid and d.deptype = 'e')
    union all
    select 3, 0, 'select json_build_object(''large_objects'', json_build_object(
        ''rows'', count(distinct loid), ''sum'', coalesce(sum(hashtextextended(
            concat_ws('':'', loid, pageno, encode(data, ''hex'')) collate \"C\", 0)::numeric),
        0)::text)) from pg_largeobject'
    where has_table_privilege('pg_catalog.pg_largeobject', 'select')
    ) all_statements order by step, oid";

impl Fingerprint {
    /// In the transaction that a client stands in.
    pub(super) async fn by_client(
        server: &Server,
        client: &Client,
        task: &Task,
    ) -> Result<Self, CallError> {
        let explain = |error| server.explain(Fault::Run(error), task);
        client.batch_execute(SETTINGS).await.map_err(explain)?;
        let mut found = Self::default();
        for statement in texts(client.simple_query(STATEMENTS).await.map_err(explain)?) {
            for line in texts(client.simple_query(&statement).await.map_err(explain)?) {
                found.add(&line)?;
            }
        }
        Ok(found)
    }

    /// By `psql`.
    pub(super) async fn by_program(tools: &Tools, database: &str) -> Result<Self, CallError> {
        let script = format!("{SETTINGS}\n{STATEMENTS}\n\\gexec\n");
        let mut found = Self::default();
        for line in tools.ask(database, &script).await?.lines() {
            found.add(line)?;
        }
        Ok(found)
    }

    fn add(&mut self, line: &str) -> Result<(), CallError> {
        let line = serde_json::from_str(line).map_err(|error| {
            CallError::refused(format!("cannot read how many rows there are: {error}"))
        })?;
        match line {
            Line::Table { name, rows, sum } => {
                self.tables.insert(name, Rows { rows, sum });
            }
            Line::Sequence { name, last } => {
                self.sequences.insert(name, last);
            }
            Line::LargeObjects { rows, sum } => self.large_objects = Some(Rows { rows, sum }),
        }
        Ok(())
    }

    /// `12 tables, 3401 rows`.
    pub(super) fn words(&self) -> String {
        let rows: u64 = self.tables.values().map(|table| table.rows).sum();
        let objects = self.large_objects.as_ref().map_or(0, |objects| objects.rows);
        let objects = match objects {
            0 => String::new(),
            many => format!(", {many} large objects"),
        };
        format!("{} tables with {rows} rows{objects}", self.tables.len())
    }

    /// In what another one is not the same.
    pub(super) fn differences(&self, other: &Self) -> Vec<String> {
        let mut found = Vec::new();
        for (name, was) in &self.tables {
            match other.tables.get(name) {
                None => found.push(format!("table {name} is not there")),
                Some(is) if is.rows != was.rows => {
                    found.push(format!("table {name} has {} rows, not {}", is.rows, was.rows));
                }
                Some(is) if is.sum != was.sum => {
                    found.push(format!("table {name} has other rows"));
                }
                Some(_) => {}
            }
        }
        for (name, was) in &self.sequences {
            // Sequences belong to no snapshot: one may have gone on before it was dumped.
            match other.sequences.get(name) {
                Some(is) if is.abs() >= was.abs() => {}
                Some(is) => found.push(format!("sequence {name} stands at {is}, not at {was}")),
                None => found.push(format!("sequence {name} is not there, or never used")),
            }
        }
        if let (Some(was), Some(is)) = (&self.large_objects, &other.large_objects)
            && was != is
        {
            found.push("the large objects are not the same".to_owned());
        }
        found
    }
}

fn texts(messages: Vec<SimpleQueryMessage>) -> Vec<String> {
    let row = |message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    };
    messages.into_iter().filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_named() {
        let mut one = Fingerprint::default();
        for line in [
            r#"{"table": {"name": "public.a", "rows": 3, "sum": "17"}}"#,
            r#"{"table": {"name": "public.b", "rows": 1, "sum": "5"}}"#,
            r#"{"sequence": {"name": "public.s", "last": 9}}"#,
        ] {
            one.add(line).unwrap();
        }
        assert_eq!(one.differences(&one), Vec::<String>::new());
        let mut other = one.clone();
        other.tables.remove("public.b");
        other.tables.insert("public.a".to_owned(), Rows { rows: 3, sum: "18".to_owned() });
        other.sequences.insert("public.s".to_owned(), 8);
        assert_eq!(
            one.differences(&other),
            [
                "table public.a has other rows",
                "table public.b is not there",
                "sequence public.s stands at 8, not at 9",
            ]
        );
        assert_eq!(one.words(), "2 tables with 4 rows");
    }
}
