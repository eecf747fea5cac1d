//! `postgres::constraint`: a constraint apart from its table.
//!
//! Catalog: `pg_constraint`.

use dollop_engine::resource::Traits;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_postgres::error::SqlState;

use super::object::{Object, Worded};
use super::place::on_table;
use super::server::Server;
use super::sql;

/// A constraint of a table that is declared apart from it, such as one of two foreign keys
/// between tables that need each other. The table names it in `constraints_apart`; all other
/// constraints are shorter as `constraints` of the table.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The database it is in.
    #[schemars(extend("x-handle" = "postgres::database"))]
    pub database: String,
    /// The schema its table is in.
    #[serde(default = "sql::public")]
    #[schemars(extend("x-handle" = "postgres::schema"))]
    pub schema: String,
    /// The table it is on.
    #[schemars(extend("x-handle" = "postgres::table"))]
    pub table: String,
    /// What it demands: `FOREIGN KEY (manager_id) REFERENCES staff (id)`. Another one takes its
    /// place in one transaction.
    pub definition: String,
}

/// The kind.
pub struct Constraint;

impl Object for Constraint {
    const KIND: &'static str = "postgres::constraint";
    const NEEDS: &'static str =
        "ownership of the table, and REFERENCES on a table that a foreign key names";
    type Spec = Spec;
    type Facts = Worded;

    on_table!("constraint");

    fn normalize(spec: &mut Spec) {
        spec.definition = spec.definition.trim().to_owned();
    }

    fn hints() -> Vec<(SqlState, &'static str)> {
        vec![(
            SqlState::CHECK_VIOLATION,
            "rows that are there break it: mend them, or end the definition with `NOT VALID`",
        )]
    }

    fn query(_: &Server) -> String {
        r#"select array[n.nspname, c.relname, k.conname] "key",
            pg_get_constraintdef(k.oid) definition
        from pg_constraint k join pg_class c on c.oid = k.conrelid
            join pg_namespace n on n.oid = c.relnamespace
        where n.nspname = any($1) and c.relname = any($2) and k.conname = any($3)"#
            .to_owned()
    }

    const WORDS: &'static [&'static str] = &["definition"];

    fn statements(key: &[String], from: Option<&Spec>, to: Option<&Spec>) -> Vec<String> {
        let on = format!("ALTER TABLE {}", sql::in_schema(&key[0], &key[1]));
        let name = sql::name(&key[2]);
        if let (Some(from), Some(to)) = (from, to)
            && from.definition == to.definition
        {
            return Vec::new();
        }
        let drop = from.map(|_| format!("{on} DROP CONSTRAINT {name}"));
        let add = to.map(|to| format!("{on} ADD CONSTRAINT {name} {}", to.definition));
        drop.into_iter().chain(add).collect()
    }
}
