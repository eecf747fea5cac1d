//! `postgres::foreign_schema`: the tables of another server's schema, all at once.
//!
//! Catalog: `pg_foreign_table`.

use std::collections::BTreeMap;

use dollop_engine::resource::{Naming, Problem, Traits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::grant::{self, On};
use super::object::Object;
use super::server::Server;
use super::sql;
use crate::text::Text;

/// The tables of a schema on another PostgreSQL server, as foreign tables with the columns that
/// they have there (`IMPORT FOREIGN SCHEMA`). What changes there afterwards is not seen: `tables`
/// says which ones there should be, not what is in them.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The database they are seen in.
    #[schemars(extend("x-handle" = "postgres::database"))]
    pub database: String,
    /// The schema they are seen in.
    #[serde(default = "sql::public")]
    #[schemars(extend("x-handle" = "postgres::schema", "x-replace" = true))]
    pub schema: String,
    /// The foreign server they are on.
    #[schemars(extend("x-handle" = "postgres::fdw_server", "x-replace" = true))]
    pub server: String,
    /// The schema they are in there.
    #[schemars(extend("x-replace" = true))]
    pub remote_schema: String,
    /// The tables, by the names that they have there; all when left out, and then it is not
    /// looked at which ones there are.
    #[serde(default)]
    pub tables: Option<Vec<String>>,
    /// What the wrapper should know while it reads the tables, and forgets:
    /// `#{ import_default: true }`.
    #[serde(default)]
    pub options: BTreeMap<String, Text>,
}

/// What the server reports.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct Facts {
    /// The tables that are there.
    pub imported: Vec<String>,
}

/// The kind.
pub struct ForeignSchema;

impl Object for ForeignSchema {
    const KIND: &'static str = "postgres::foreign_schema";
    const NEEDS: &'static str = "CREATE on the schema, USAGE on the foreign server, and a user mapping that is let in there";
    const OPTIONAL: &'static [&'static str] = &["tables"];
    // Each of them is a `postgres::foreign_table` for who takes a server over.
    const LISTS: bool = false;
    type Spec = Spec;
    type Facts = Facts;

    fn traits() -> Traits {
        Traits {
            naming: Naming::Label,
            within: &["database"],
            identity: &["schema", "server", "remote_schema"],
            ..Traits::default()
        }
    }

    fn makes(from: Option<&Spec>, to: &Spec) -> Vec<Vec<String>> {
        grant::made(from.is_none(), &to.database, &to.schema, &[On::Tables])
    }

    fn normalize(spec: &mut Spec) {
        if let Some(tables) = &mut spec.tables {
            tables.sort();
            tables.dedup();
        }
    }

    fn check(spec: &Spec) -> Vec<Problem> {
        let none = spec.tables.as_ref().is_some_and(Vec::is_empty);
        let problem = || Problem {
            attribute: "tables".to_owned(),
            message: "there is no table to import".to_owned(),
            hint: Some("name some, or leave `tables` out for all of them".to_owned()),
        };
        none.then(problem).into_iter().collect()
    }

    fn database(spec: &Spec) -> Option<&str> {
        Some(&spec.database)
    }

    fn key(_: &str, spec: &Spec) -> Vec<String> {
        vec![spec.schema.clone(), spec.server.clone(), spec.remote_schema.clone()]
    }

    fn describe(key: &[String]) -> String {
        format!("tables of schema `{}` on foreign server `{}`", key[2], key[1])
    }

    fn query(_: &Server) -> String {
        r#"select array[n.nspname::text, s.srvname::text, o.option_value] "key",
            array_agg(c.relname::text order by c.relname::text collate "C") "tables",
            array_agg(c.relname::text order by c.relname::text collate "C") imported
        from pg_foreign_table f join pg_class c on c.oid = f.ftrelid
            join pg_namespace n on n.oid = c.relnamespace
            join pg_foreign_server s on s.oid = f.ftserver
            cross join lateral pg_options_to_table(f.ftoptions) o
        where o.option_name = 'schema_name' and n.nspname = any($1) and s.srvname = any($2)
            and o.option_value = any($3) group by n.nspname, s.srvname, o.option_value"#
            .to_owned()
    }

    fn statements(key: &[String], from: Option<&Spec>, to: Option<&Spec>) -> Vec<String> {
        let [schema, server, remote] = [&key[0], &key[1], &key[2]];
        let import = |to: &Spec, tables: Option<&[String]>| {
            let only = tables.map_or_else(String::new, |tables| {
                format!(" LIMIT TO ({})", sql::names(tables))
            });
            format!(
                "IMPORT FOREIGN SCHEMA {}{only} FROM SERVER {} INTO {}{}",
                sql::name(remote),
                sql::name(server),
                sql::name(schema),
                sql::options(&to.options)
            )
        };
        let (from, to) = match (from, to) {
            (_, None) => return vec![drop_all(key)],
            (None, Some(to)) => return vec![import(to, to.tables.as_deref())],
            (Some(from), Some(to)) => (from, to),
        };
        let (Some(there), Some(wanted)) = (&from.tables, &to.tables) else { return Vec::new() };
        let gone = there.iter().filter(|table| !wanted.contains(table));
        let mut all: Vec<String> = gone
            .map(|table| format!("DROP FOREIGN TABLE {}", sql::in_schema(schema, table)))
            .collect();
        let new: Vec<String> =
            wanted.iter().filter(|table| !there.contains(table)).cloned().collect();
        all.extend((!new.is_empty()).then(|| import(to, Some(&new))));
        all
    }
}

/// Drops whatever was imported, tables that nobody named among them.
fn drop_all(key: &[String]) -> String {
    let drop = format!(
        "
DECLARE
    one pg_catalog.regclass;
BEGIN
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog', true);
    FOR one IN SELECT f.ftrelid FROM pg_foreign_table f JOIN pg_class c ON c.oid = f.ftrelid
        JOIN pg_foreign_server s ON s.oid = f.ftserver
        CROSS JOIN LATERAL pg_options_to_table(f.ftoptions) o
        WHERE o.option_name = 'schema_name' AND c.relnamespace = to_regnamespace({schema})
            AND s.srvname = {server} AND o.option_value = {remote}
    LOOP
        EXECUTE format('DROP FOREIGN TABLE %s', one);
    END LOOP;
END ",
        schema = sql::text(&sql::name(&key[0])),
        server = sql::text(&key[1]),
        remote = sql::text(&key[2]),
    );
    format!("DO {0}{drop}{0}", sql::tag(&drop))
}
