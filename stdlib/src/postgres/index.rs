//! `postgres::index`: indexes of tables and materialized views.
//!
//! Catalogs: `pg_index`, `pg_class`; see "CREATE INDEX" in the PostgreSQL manual.

use std::collections::BTreeMap;

use dollop_engine::resource::{Problem, Traits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_postgres::error::SqlState;

use super::object::{Object, Worded};
use super::place::on_table;
use super::server::Server;
use super::sql;
use super::version::Since;
use crate::text::Text;

/// An index. It lives in the schema of its table. Another definition makes it anew.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "an index has that many")]
pub struct Spec {
    /// The database it is in.
    #[schemars(extend("x-handle" = "postgres::database"))]
    pub database: String,
    /// The schema its table is in.
    #[serde(default = "sql::public")]
    #[schemars(extend("x-handle" = "postgres::schema"))]
    pub schema: String,
    /// The table or materialized view it is on.
    #[schemars(extend("x-handle" = ["postgres::table", "postgres::view"]))]
    pub table: String,
    /// What it sorts by: columns and expressions as in SQL, `["user_id", "lower(mail)",
    /// "created DESC"]`.
    #[schemars(extend("x-replace" = true))]
    pub columns: Vec<String>,
    /// Columns it carries along without sorting by them.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub include: Vec<String>,
    /// Whether no two rows may have the same.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub unique: bool,
    /// Whether rows without a value count as rows that have the same; needs `unique` and
    /// PostgreSQL 15.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub nulls_not_distinct: bool,
    /// How it works: `btree`, `gin`, `gist`, `brin`, `hash`, or what an extension brings.
    #[serde(default = "btree")]
    #[schemars(extend("x-replace" = true))]
    pub method: String,
    /// The rows it has, all when left out: `deleted IS NULL`.
    #[serde(default, rename = "where")]
    #[schemars(extend("x-replace" = true))]
    pub predicate: Option<String>,
    /// Whether it is made and dropped while others write to the table. That takes longer, and
    /// what breaks off leaves an index that cannot be used, which the next run makes anew.
    #[serde(default)]
    pub concurrently: bool,
    /// Storage parameters: `#{ fillfactor: 70 }`.
    #[serde(default)]
    pub parameters: BTreeMap<String, Text>,
    /// The tablespace its files are in; when left out, it is not looked at.
    #[serde(default)]
    #[schemars(extend("x-handle" = "postgres::tablespace"))]
    pub tablespace: Option<String>,
    /// Whether it can be used. Only ever `true` in a script: `false` is what a plan shows of
    /// one that was left unfinished.
    #[serde(default = "yes")]
    pub valid: bool,
    /// What it is for, kept in the server.
    #[serde(default)]
    pub comment: Option<String>,
}

fn btree() -> String {
    "btree".to_owned()
}

fn yes() -> bool {
    true
}

/// The kind.
pub struct Index;

impl Object for Index {
    const KIND: &'static str = "postgres::index";
    const NEEDS: &'static str = "ownership of the table";
    type Spec = Spec;
    type Facts = Worded;

    on_table!("index");

    fn normalize(spec: &mut Spec) {
        spec.method = spec.method.trim().to_lowercase();
        sql::none_when_empty(&mut spec.comment);
    }

    fn check(spec: &Spec) -> Vec<Problem> {
        let problem = |attribute: &str, message: &str, hint: &str| Problem {
            attribute: attribute.to_owned(),
            message: message.to_owned(),
            hint: Some(hint.to_owned()),
        };
        let mut problems = Vec::new();
        if spec.columns.is_empty() {
            problems.push(problem("columns", "an index has a column", "name one"));
        }
        if spec.nulls_not_distinct && !spec.unique {
            let message = "only a unique index asks what is the same";
            problems.push(problem("nulls_not_distinct", message, "set `unique: true`"));
        }
        if !spec.valid {
            let message = "an index that cannot be used is nothing to ask for";
            problems.push(problem("valid", message, "leave `valid` out"));
        }
        problems
    }

    fn hints() -> Vec<(SqlState, &'static str)> {
        vec![(SqlState::UNIQUE_VIOLATION, "remove the rows that have the same first")]
    }

    fn since(spec: &Spec) -> Option<Since> {
        let nulls = spec.nulls_not_distinct.then_some((15, "`nulls_not_distinct`"));
        nulls.or_else(|| {
            (spec.method == "gist" && !spec.include.is_empty())
                .then_some((12, "`include` of a GiST index"))
        })
    }

    fn stands_alone(spec: &Spec) -> bool {
        spec.concurrently
    }

    fn query(server: &Server) -> String {
        let nulls = if server.version >= 150_000 { "i.indnullsnotdistinct" } else { "false" };
        let parameters = sql::as_map("c.reloptions");
        format!(
            r#"select array[n.nspname, t.relname, c.relname] "key",
            (select json_agg(pg_get_indexdef(c.oid, k.at::int4, false)
                    || coalesce(' COLLATE ' || (select case when ln.nspname = 'pg_catalog'
                        then quote_ident(l.collname) else format('%I.%I', ln.nspname, l.collname) end
                        from pg_collation l join pg_namespace ln on ln.oid = l.collnamespace
                        where l.oid = k."collation" and l.oid <> a.attcollation), '')
                    || case when o.opcdefault then '' when pg_opclass_is_visible(o.oid)
                        then ' ' || quote_ident(o.opcname) else ' ' || format('%I.%I',
                        (select nspname from pg_namespace where oid = o.opcnamespace), o.opcname) end
                    || case k.option & 3 when 0 then '' when 1 then ' DESC NULLS LAST'
                        when 2 then ' NULLS FIRST' else ' DESC' end order by k.at)
                from unnest(i.indoption::int2[], i.indclass::oid[], i.indcollation::oid[],
                    i.indkey::int2[]) with ordinality k("option", class, "collation", number, at)
                join pg_opclass o on o.oid = k.class
                left join pg_attribute a on a.attrelid = t.oid and a.attnum = k.number
                    and k.number > 0) "columns",
            (select coalesce(json_agg(a.attname order by a.attnum), '[]') from pg_attribute a
                where a.attrelid = c.oid and a.attnum > i.indnkeyatts) "include",
            i.indisunique "unique", {nulls} nulls_not_distinct, m.amname "method",
            pg_get_expr(i.indpred, i.indrelid) "where", i.indisvalid "valid",
            {parameters} "parameters",
            (select s.spcname from pg_tablespace s where s.oid = case c.reltablespace when 0 then
                (select dattablespace from pg_database where datname = current_database())
                else c.reltablespace end) tablespace,
            obj_description(c.oid, 'pg_class') "comment"
        from pg_index i join pg_class c on c.oid = i.indexrelid
            join pg_class t on t.oid = i.indrelid join pg_namespace n on n.oid = t.relnamespace
            join pg_am m on m.oid = c.relam
        where n.nspname = any($1) and t.relname = any($2) and c.relname = any($3)"#
        )
    }

    const OPTIONAL: &'static [&'static str] = &["tablespace"];
    const WORDS: &'static [&'static str] = &["columns", "where"];

    fn statements(key: &[String], from: Option<&Spec>, to: Option<&Spec>) -> Vec<String> {
        let index = sql::in_schema(&key[0], &key[2]);
        let word = |spec: &Spec| if spec.concurrently { "CONCURRENTLY " } else { "" };
        let drop = |spec: &Spec| format!("DROP INDEX {}{index}", word(spec));
        let Some(to) = to else { return from.map(drop).into_iter().collect() };
        let mut all = Vec::new();
        // What was left unfinished is of no use.
        let from = match from {
            Some(from) if !from.valid => {
                all.push(drop(to));
                None
            }
            other => other,
        };
        match from {
            None => all.push(create(&sql::in_schema(&key[0], &key[1]), &key[2], word(to), to)),
            Some(from) => {
                let on = format!("ALTER INDEX {index}");
                let moved = to
                    .tablespace
                    .as_ref()
                    .filter(|space| from.tablespace.as_ref() != Some(space));
                all.extend(
                    moved.map(|space| format!("{on} SET TABLESPACE {}", sql::name(space))),
                );
                let parameters = sql::change_parameters(&from.parameters, &to.parameters);
                all.extend(parameters.into_iter().map(|action| format!("{on} {action}")));
            }
        }
        if from.and_then(|from| from.comment.as_ref()) != to.comment.as_ref() {
            let comment = sql::text_or_null(to.comment.as_deref());
            all.push(format!("COMMENT ON INDEX {index} IS {comment}"));
        }
        all
    }
}

fn create(table: &str, name: &str, concurrently: &str, to: &Spec) -> String {
    let unique = if to.unique { "UNIQUE " } else { "" };
    let columns: Vec<_> = to.columns.iter().map(|text| column(text)).collect();
    let mut create = format!(
        "CREATE {unique}INDEX {concurrently}{} ON {table} USING {} ({})",
        sql::name(name),
        sql::name(&to.method),
        columns.join(", ")
    );
    if !to.include.is_empty() {
        create.extend([format!(" INCLUDE ({})", sql::names(&to.include))]);
    }
    if to.nulls_not_distinct {
        create.push_str(" NULLS NOT DISTINCT");
    }
    if !to.parameters.is_empty() {
        create.extend([format!(" WITH ({})", sql::parameters(&to.parameters))]);
    }
    create
        .extend(to.tablespace.iter().map(|space| format!(" TABLESPACE {}", sql::name(space))));
    create.extend(to.predicate.iter().map(|text| format!(" WHERE {text}")));
    create
}

/// A column or expression; SQL wants parentheses around all but columns and calls.
fn column(text: &str) -> String {
    let text = text.trim();
    let odd = |c: char| !(c.is_alphanumeric() || "_\"(), .$".contains(c));
    let bare = text.split('(').next().unwrap_or_default();
    if text.starts_with('(') || text.starts_with('"') || !bare.contains(odd) {
        text.to_owned()
    } else {
        format!("({text})")
    }
}
