//! `postgres::foreign_table`: tables that are elsewhere.
//!
//! Catalogs: `pg_foreign_table`, `pg_attribute`.

use std::collections::BTreeMap;

use dollop_engine::resource::{Problem, Traits, Wanted};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::grant::{self, On};
use super::object::{self, Nothing, Object, Observed, Row, comment_and_owner};
use super::place::in_schema;
use super::server::Server;
use super::{names, sql, types};
use crate::text::Text;

/// A table of a foreign server. Other columns make it anew, which costs nothing: what is in it
/// is elsewhere.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The database it is seen in.
    #[schemars(extend("x-handle" = "postgres::database"))]
    pub database: String,
    /// The schema it is seen in.
    #[serde(default = "sql::public")]
    #[schemars(extend("x-handle" = "postgres::schema"))]
    pub schema: String,
    /// The foreign server it is on.
    #[schemars(extend("x-handle" = "postgres::fdw_server", "x-replace" = true))]
    pub server: String,
    /// Its columns, all of them.
    #[schemars(extend("x-replace" = true))]
    pub columns: Vec<ForeignColumn>,
    /// Where it is on the server: `#{ schema_name: "app", table_name: "orders" }`.
    #[serde(default)]
    pub options: BTreeMap<String, Text>,
    /// The role that owns it; when left out, the user dollop works as owns a new one, and the
    /// owner is not looked at.
    #[serde(default)]
    #[schemars(extend("x-handle" = "postgres::role"))]
    pub owner: Option<String>,
    /// What it is for, kept in the server.
    #[serde(default)]
    pub comment: Option<String>,
}

/// A column of a foreign table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ForeignColumn {
    /// Its name here.
    pub name: String,
    /// Its type: `bigint`, `numeric(10,2)`.
    #[serde(rename = "type")]
    pub ty: String,
    /// Whether it always has a value.
    #[serde(default)]
    pub not_null: bool,
    /// What the wrapper should know: `#{ column_name: "id" }`.
    #[serde(default)]
    pub options: BTreeMap<String, Text>,
}

/// The kind.
pub struct ForeignTable;

impl Object for ForeignTable {
    const KIND: &'static str = "postgres::foreign_table";
    const NEEDS: &'static str = "CREATE on the schema and USAGE on the foreign server for a new one, its ownership for an \
         existing one";
    type Spec = Spec;
    type Facts = Nothing;

    const IS_RELATION: bool = true;

    in_schema!("foreign table");

    fn makes(from: Option<&Spec>, to: &Spec) -> Vec<Vec<String>> {
        grant::made(from.is_none(), &to.database, &to.schema, &[On::Tables])
    }

    fn normalize(spec: &mut Spec) {
        for column in &mut spec.columns {
            column.ty = types::normal(&column.ty);
        }
        sql::none_when_empty(&mut spec.comment);
    }

    fn check(spec: &Spec) -> Vec<Problem> {
        let problem = |message: String, hint: &str| Problem {
            attribute: "columns".to_owned(),
            message,
            hint: Some(hint.to_owned()),
        };
        let mut problems = Vec::new();
        for (at, column) in spec.columns.iter().enumerate() {
            let ForeignColumn { name, ty, .. } = column;
            problems.extend(names::problem_of_column(name));
            if spec.columns[..at].iter().any(|other| other.name == *name) {
                let message = format!("there are two columns `{name}`");
                problems.push(problem(message, "give one of them another name"));
            }
            if types::is_serial(ty) {
                let message = format!("`{ty}` of column `{name}` is no type");
                let hint = "the other server counts: say `integer` or `bigint`";
                problems.push(problem(message, hint));
            }
        }
        problems
    }

    fn types(_: &[String], spec: &Spec) -> Vec<String> {
        spec.columns.iter().map(|column| column.ty.clone()).collect()
    }

    fn query(_: &Server) -> String {
        let (options, of_column) = (sql::as_map("f.ftoptions"), sql::as_map("a.attfdwoptions"));
        format!(
            r#"select array[n.nspname, c.relname] "key", s.srvname "server",
            (select coalesce(json_agg(json_build_object('name', a.attname,
                    'type', format_type(a.atttypid, a.atttypmod), 'not_null', a.attnotnull,
                    'options', {of_column}) order by a.attnum), '[]')
                from pg_attribute a where a.attrelid = c.oid and a.attnum > 0
                    and not a.attisdropped) "columns",
            {options} "options", pg_get_userbyid(c.relowner) "owner",
            obj_description(c.oid, 'pg_class') "comment"
        from pg_foreign_table f join pg_class c on c.oid = f.ftrelid
            join pg_namespace n on n.oid = c.relnamespace
            join pg_foreign_server s on s.oid = f.ftserver
        where n.nspname = any($1) and c.relname = any($2)"#
        )
    }

    fn observe(row: Option<&Row>, wanted: &Wanted<Spec>) -> Observed<Self> {
        let Some(row) = row else { return Ok(None) };
        let mut spec = object::overlay::<Self>(row, wanted)?;
        for column in &mut spec.columns {
            let asked = wanted.spec.columns.iter().find(|asked| asked.name == column.name);
            if let Some(asked) = asked {
                types::keep(&mut column.ty, &asked.ty, row.schemas());
            }
        }
        Ok(Some((spec, row.facts(Self::WORDS)?)))
    }

    fn statements(key: &[String], from: Option<&Spec>, to: Option<&Spec>) -> Vec<String> {
        let table = sql::in_schema(&key[0], &key[1]);
        let Some(to) = to else { return vec![format!("DROP FOREIGN TABLE {table}")] };
        let mut all = Vec::new();
        match from {
            None => {
                let columns: Vec<_> = to.columns.iter().map(definition).collect();
                all.push(format!(
                    "CREATE FOREIGN TABLE {table} (\n    {}\n) SERVER {}{}",
                    columns.join(",\n    "),
                    sql::name(&to.server),
                    sql::options(&to.options)
                ));
            }
            Some(from) => {
                let options = sql::change_options(&from.options, &to.options);
                all.extend(
                    options.map(|options| format!("ALTER FOREIGN TABLE {table} {options}")),
                );
            }
        }
        let of = |spec: &Spec| (spec.comment.clone(), spec.owner.clone());
        let was = from.map(of).unwrap_or_default();
        all.extend(comment_and_owner(&format!("FOREIGN TABLE {table}"), was, of(to)));
        all
    }
}

fn definition(column: &ForeignColumn) -> String {
    let not_null = if column.not_null { " NOT NULL" } else { "" };
    let options = sql::options(&column.options);
    format!("{} {}{options}{not_null}", sql::name(&column.name), column.ty)
}
