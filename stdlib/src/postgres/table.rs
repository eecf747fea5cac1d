//! `postgres::table`: tables, their columns and constraints.
//!
//! Catalogs: `pg_class`, `pg_attribute`, `pg_constraint`; see "ALTER TABLE" in the PostgreSQL
//! manual.

mod alter;
mod cautions;
mod inherited;
mod parents;

use std::collections::{BTreeMap, BTreeSet};

use dollop_engine::error::CallError;
use dollop_engine::resource::{Migration, Problem, Proposed, Traits, Wanted};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use tokio_postgres::error::SqlState;

use self::alter::{as_planned, change, create, find, kept, key_name_of, lost};
use self::inherited::Inherited;
use super::column::{self, Column};
use super::grant::{self, On};
use super::imported::Around;
use super::object::{self, Object, Observed, Row, comment_and_owner};
use super::place::in_schema;
use super::seen::Words;
use super::server::Server;
use super::version::Since;
use super::words::same as same_words;
use super::{names, sql};
use crate::text::Text;

/// A table: all of its columns and constraints. It is changed in place; what would lose
/// something that is stored in it must be named in the script.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The database it is in.
    #[schemars(extend("x-handle" = "postgres::database"))]
    pub database: String,
    /// The schema it is in.
    #[serde(default = "sql::public")]
    #[schemars(extend("x-handle" = "postgres::schema"))]
    pub schema: String,
    /// Its columns, all of them: `[#{ name: "id", type: "bigint", identity: "always" }, ..]`.
    /// New ones are added at the end, whatever their place in the list.
    #[serde(default)]
    pub columns: Vec<Column>,
    /// Columns that may be dropped with what is in them, when `columns` does not have them any
    /// more.
    #[serde(default)]
    pub drop_columns: BTreeSet<String>,
    /// The columns of the primary key, which is called `<table>_pkey`.
    #[serde(default)]
    pub primary_key: Vec<String>,
    /// The other constraints by their names: `#{ positive: "CHECK (total > 0)", by_user:
    /// "FOREIGN KEY (user_id) REFERENCES users (id)", one_each: "UNIQUE (mail)" }`.
    #[serde(default)]
    pub constraints: BTreeMap<String, String>,
    /// Constraints that are not looked at here: each is a `postgres::constraint`.
    #[serde(default)]
    pub constraints_apart: BTreeSet<String>,
    /// The tables it inherits from, `events` (of the schema `public`) or `app.events`. Their
    /// columns are its own, too, and need not be in `columns`: what is not said of them there is
    /// as the tables have it. A table that is there begins to inherit when it has them already, in
    /// `columns`, and their CHECK constraints; the plan tells what it lacks. It keeps all of it
    /// when it does not inherit any more, and the columns must be in `columns` then.
    #[serde(default)]
    #[schemars(extend("x-handle" = "postgres::table"))]
    pub inherits: BTreeSet<String>,
    /// How it is divided into partitions: `RANGE (created)`.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub partition_by: Option<String>,
    /// The table it is a partition of, `events` (of the schema `public`) or `app.events`; its
    /// columns are that one's. A table that is there becomes a partition, or that of another
    /// one, in place and with its rows; one that leaves for good is made anew without them.
    #[serde(default)]
    #[schemars(extend("x-replace" = true, "x-handle" = "postgres::table"))]
    pub partition_of: Option<String>,
    /// The rows it takes as a partition: `FOR VALUES FROM ('2026-01-01') TO ('2026-02-01')`,
    /// `DEFAULT`.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub bounds: Option<String>,
    /// Whether it is left out of the write-ahead log: faster, and emptied by a crash.
    #[serde(default)]
    pub unlogged: bool,
    /// Whether row-level security applies: then nobody but the owner sees a row that no
    /// `postgres::policy` shows.
    #[serde(default)]
    pub row_security: bool,
    /// Whether it applies to the owner, too.
    #[serde(default)]
    pub force_row_security: bool,
    /// What tells a changed row from others where changes are sent on (`postgres::publication`):
    /// `default` for the primary key, `full` for all columns, `nothing`, or `index i` for a
    /// UNIQUE constraint of the table. When left out, it is not looked at.
    #[serde(default)]
    pub replica_identity: Option<String>,
    /// Storage parameters: `#{ fillfactor: 70 }`.
    #[serde(default)]
    pub parameters: BTreeMap<String, Text>,
    /// What keeps its rows, `heap` or what an extension brought; when left out, the server's
    /// choice, and it is not looked at. Another one writes the whole table anew, and needs
    /// PostgreSQL 15.
    #[serde(default)]
    pub access_method: Option<String>,
    /// The tablespace its files are in; when left out, the database's, and it is not looked at.
    /// Moving it takes as long as copying its files, and an ACCESS EXCLUSIVE lock.
    #[serde(default)]
    #[schemars(extend("x-handle" = "postgres::tablespace"))]
    pub tablespace: Option<String>,
    /// The role that owns it; when left out, the user dollop works as owns a new one, and the
    /// owner is not looked at.
    #[serde(default)]
    #[schemars(extend("x-handle" = "postgres::role"))]
    pub owner: Option<String>,
    /// What it is for, kept in the server.
    #[serde(default)]
    pub comment: Option<String>,
}

/// How a replica identity begins that is an index.
const BY_INDEX: &str = "index ";

/// What the server reports.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct Facts {
    /// How many rows it has, as the planner last estimated; -1 when it never did.
    pub rows_estimate: i64,
    /// How many bytes it takes on disk with its indexes.
    pub bytes: i64,
    /// Defaults and constraints in the server's words.
    #[serde(default)]
    pub words: BTreeMap<String, String>,
}

/// What the row says of the primary key.
#[derive(Deserialize)]
struct Key {
    key_name: Option<String>,
    key_columns: Option<Vec<String>>,
}

/// The kind.
pub struct Table;

impl Object for Table {
    const KIND: &'static str = "postgres::table";
    const NEEDS: &'static str = "CREATE on the schema for a new one, its ownership for an \
                                 existing one, and REFERENCES on tables that foreign keys name";
    type Spec = Spec;
    type Facts = Facts;

    const IS_RELATION: bool = true;

    in_schema!("table", Traits { holds_data: true, ..Traits::default() });

    fn makes(from: Option<&Spec>, to: &Spec) -> Vec<Vec<String>> {
        let counted =
            |spec: &Spec| spec.columns.iter().filter(|it| it.identity.is_some()).count();
        let has_new = from.map_or(0, counted) < counted(to);
        let mut made = grant::made(from.is_none(), &to.database, &to.schema, &[On::Tables]);
        made.extend(grant::made(has_new, &to.database, &to.schema, &[On::Sequences]));
        made
    }

    fn normalize(spec: &mut Spec) {
        spec.columns.iter_mut().for_each(Column::normalize);
        sql::none_when_empty(&mut spec.comment);
        spec.partition_of.iter_mut().for_each(sql::without_public);
        let whole = std::mem::take(&mut spec.inherits).into_iter();
        spec.inherits = whole
            .map(|mut table| {
                sql::without_public(&mut table);
                table
            })
            .collect();
        for text in spec.constraints.values_mut() {
            *text = text.trim().to_owned();
        }
        let named = spec.constraints.values().flat_map(|text| key_columns(text));
        let keys: BTreeSet<String> = spec.primary_key.iter().cloned().chain(named).collect();
        for column in &mut spec.columns {
            column.not_null |= keys.contains(&column.name);
        }
    }

    fn check(spec: &Spec) -> Vec<Problem> {
        let problem = |attribute: &str, message: String, hint: &str| Problem {
            attribute: attribute.to_owned(),
            message,
            hint: Some(hint.to_owned()),
        };
        let mut problems: Vec<_> = spec.columns.iter().filter_map(Column::check).collect();
        let named = spec.constraints.keys();
        problems.extend(named.filter_map(|name| names::problem(name, "constraints")));
        let known = |identity: &str| {
            ["default", "full", "nothing"].contains(&identity) || identity.starts_with(BY_INDEX)
        };
        if let Some(identity) = spec.replica_identity.as_ref().filter(|is| !known(is)) {
            let message = format!("`{identity}` is no replica identity");
            let hint = "`default`, `full`, `nothing` or `index NAME`";
            problems.push(problem("replica_identity", message, hint));
        }
        let mut seen = BTreeSet::new();
        for column in &spec.columns {
            if !seen.insert(column.name.as_str()) {
                let message = format!("there are two columns `{}`", column.name);
                problems.push(problem("columns", message, "give one of them another name"));
            }
            if spec.drop_columns.contains(&column.name) {
                let message =
                    format!("column `{}` is declared, and to be dropped", column.name);
                problems.push(problem(
                    "drop_columns",
                    message,
                    "take it out of one of the lists",
                ));
            }
        }
        let partition = spec.partition_of.is_some();
        if partition != spec.bounds.is_some() {
            let message = "a partition needs `partition_of` and `bounds`".to_owned();
            problems.push(problem("bounds", message, "give both, or none of them"));
        }
        if partition && !(spec.columns.is_empty() && spec.primary_key.is_empty()) {
            let message = "a partition has the columns and the key of its table".to_owned();
            problems.push(problem("columns", message, "leave `columns` and `primary_key` out"));
        }
        if !spec.inherits.is_empty() && (partition || spec.partition_by.is_some()) {
            let message =
                "a table with partitions, or one of them, inherits nothing".to_owned();
            problems.push(problem("inherits", message, "leave `inherits` out"));
        }
        let elsewhere = partition || !spec.inherits.is_empty();
        for column in
            spec.primary_key.iter().filter(|name| !elsewhere && !seen.contains(name.as_str()))
        {
            let message = format!("there is no column `{column}` for the primary key");
            problems.push(problem("primary_key", message, "name columns of this table"));
        }
        problems
    }

    fn check_update(from: &Spec, to: &Spec) -> Vec<Problem> {
        let mut problems = Vec::new();
        for column in lost(from, to).filter(|column| !to.drop_columns.contains(&column.name)) {
            problems.push(Problem {
                attribute: "columns".to_owned(),
                message: format!("column `{}` would be dropped with what is in it", column.name),
                hint: Some(format!(
                    "keep it in `columns`; or say `renamed_from: \"{0}\"` where it lives on, or \
                     `drop_columns: [\"{0}\"]`",
                    column.name
                )),
            });
        }
        problems.extend(kept(from, to).filter_map(|(old, new)| old.refuse(new)));
        problems
    }

    fn migrates(from: &Spec, to: &Spec) -> Migration {
        parents::migrates(from, to)
    }

    async fn refusals(
        server: &Server,
        proposed: &[Proposed<Spec>],
    ) -> Result<Vec<Vec<Problem>>, CallError> {
        parents::refusals(server, proposed).await
    }

    fn cautions(_: &str, from: Option<&Spec>, to: &Spec) -> Vec<Problem> {
        from.map(|from| cautions::of_change(from, to)).unwrap_or_default()
    }

    fn hints() -> Vec<(SqlState, &'static str)> {
        vec![
            (
                SqlState::DEPENDENT_OBJECTS_STILL_EXIST,
                "remove what uses it first; dollop never drops what it was not asked to",
            ),
            (
                SqlState::NOT_NULL_VIOLATION,
                "give the column a `default`, or fill it first and make it `not_null` then",
            ),
            (
                SqlState::DATATYPE_MISMATCH,
                "a table becomes a part of another with all columns of that one, as that one has \
                 them",
            ),
            (
                SqlState::CHECK_VIOLATION,
                "rows that are there break it: mend them, or end a constraint with `NOT VALID`",
            ),
        ]
    }

    fn since(spec: &Spec) -> Option<Since> {
        let computed = spec.columns.iter().any(|column| !column.stored);
        let compressed = spec.columns.iter().any(|column| column.compression.is_some());
        if computed {
            return Some((18, "a computed column that is not stored"));
        }
        if spec.access_method.is_some() && spec.partition_by.is_some() {
            return Some((17, "`access_method` of a table with partitions"));
        }
        compressed.then_some((14, "`compression` of a column"))
    }

    fn since_change(from: Option<&Spec>, to: &Spec) -> Option<Since> {
        let other =
            |from: &Spec| to.access_method.is_some() && from.access_method != to.access_method;
        let moved =
            from.is_some_and(other).then_some((15, "another `access_method` of a table"));
        Self::since(to).into_iter().chain(moved).max_by_key(|(version, _)| *version)
    }

    fn types(_: &[String], spec: &Spec) -> Vec<String> {
        spec.columns.iter().map(|column| column.ty.clone()).collect()
    }

    fn query(_: &Server) -> String {
        let parameters = sql::as_map("c.reloptions");
        let columns = column::QUERY;
        let (table, inherited) = (sql::bare("pn.nspname", "p.relname"), inherited::query());
        format!(
            r#"select array[n.nspname, c.relname] "key", coalesce({columns}, '[]') "columns",
            (select coalesce(json_object_agg(k.conname, pg_get_constraintdef(k.oid)), '{{}}')
                from pg_constraint k where k.conrelid = c.oid and k.conislocal
                    and k.contype in ('c', 'f', 'p', 'u', 'x') and k.conparentid = 0) "constraints",
            (select k.conname from pg_constraint k where k.conrelid = c.oid and k.contype = 'p'
                and k.conparentid = 0) key_name,
            (select json_agg(a.attname order by u.at) from pg_constraint k
                cross join unnest(k.conkey) with ordinality u(number, at)
                join pg_attribute a on a.attrelid = c.oid and a.attnum = u.number
                where k.conrelid = c.oid and k.contype = 'p') key_columns,
            (select coalesce(json_agg({table}), '[]')
                from pg_inherits i join pg_class p on p.oid = i.inhparent
                join pg_namespace pn on pn.oid = p.relnamespace
                where i.inhrelid = c.oid and not c.relispartition) "inherits",
            {inherited} inherited,
            (select m.amname from pg_am m where m.oid = c.relam) access_method,
            pg_get_partkeydef(c.oid) partition_by,
            (select {table} from pg_inherits i join pg_class p on p.oid = i.inhparent
                join pg_namespace pn on pn.oid = p.relnamespace
                where i.inhrelid = c.oid and c.relispartition) partition_of,
            pg_get_expr(c.relpartbound, c.oid) bounds, c.relpersistence = 'u' unlogged,
            c.relrowsecurity row_security, c.relforcerowsecurity force_row_security,
            {parameters} "parameters",
            case c.relreplident when 'f' then 'full' when 'n' then 'nothing' when 'i' then
                coalesce((select '{BY_INDEX}' || x.relname from pg_index i
                    join pg_class x on x.oid = i.indexrelid
                    where i.indrelid = c.oid and i.indisreplident), 'nothing')
                else 'default' end replica_identity,
            (select s.spcname from pg_tablespace s where s.oid = case c.reltablespace when 0 then
                (select dattablespace from pg_database where datname = current_database())
                else c.reltablespace end) tablespace,
            pg_get_userbyid(c.relowner) "owner", obj_description(c.oid, 'pg_class') "comment",
            c.reltuples::int8 rows_estimate, pg_total_relation_size(c.oid) bytes
        from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where c.relkind in ('r', 'p') and n.nspname = any($1) and c.relname = any($2)"#
        )
    }

    const OPTIONAL: &'static [&'static str] =
        &["owner", "tablespace", "replica_identity", "access_method"];

    fn goes_without_saying(spec: &mut Spec, around: &Around<'_>) {
        spec.constraints_apart = around.contents.apart(around.key);
        spec.constraints.retain(|name, _| !spec.constraints_apart.contains(name));
        spec.columns.iter_mut().for_each(Column::without_storage);
        spec.access_method = spec.access_method.take().filter(|method| method != "heap");
        if !spec.inherits.is_empty() {
            let row = around.row.map(Row::read::<Inherited>);
            let inherited = row.and_then(Result::ok).unwrap_or_default();
            spec.columns.retain(|column| !inherited.is_plain(column));
        }
        // An index that is declared apart is not there yet when the table is made.
        let by_itself =
            |identity: &String| identity != "default" && !identity.starts_with(BY_INDEX);
        spec.replica_identity = spec.replica_identity.take().filter(by_itself);
        if spec.partition_of.is_some() {
            spec.columns.clear();
            return;
        }
        let key_name = key_name_of(&around.key[1]);
        // What `primary_key` cannot say stays in words: `INCLUDE`, `DEFERRABLE`.
        let is_plain = |text: &String| text.ends_with(')') && !text.contains(" INCLUDE ");
        if spec.constraints.get(&key_name).is_some_and(is_plain) {
            spec.constraints.remove(&key_name);
        }
    }

    fn observe(row: Option<&Row>, wanted: &Wanted<Spec>) -> Observed<Self> {
        let Some(row) = row else { return Ok(None) };
        let asked = &wanted.spec;
        let mut spec = object::overlay::<Self>(row, wanted)?;
        let mut facts: Facts = row.read()?;
        let Key { key_name, key_columns } = row.read()?;
        let mut primary_key = Vec::new();
        if let (Some(name), Some(columns)) = (key_name, key_columns)
            && name == key_name_of(row.name())
            && !asked.constraints.contains_key(&name)
        {
            spec.constraints.remove(&name);
            primary_key = columns;
        }
        spec.primary_key = primary_key;
        spec.constraints.retain(|name, _| !asked.constraints_apart.contains(name));
        // What has left its table by hand has columns of its own.
        let is_partition = asked.partition_of.is_some() && spec.partition_of.is_some();
        if is_partition && asked.columns.is_empty() {
            spec.columns.clear();
            spec.primary_key.clear();
        }
        // Of a table that it leaves, or that nobody asked for, nothing goes without saying.
        if !spec.inherits.is_empty() {
            let inherited: Inherited = row.read()?;
            let named = |name: &str| asked.columns.iter().find(|column| column.name == name);
            spec.columns.retain_mut(|column| {
                let said = named(&column.name);
                !inherited.leave_out(column, said, &asked.inherits)
            });
        }
        facts.words = words(&spec);
        let recorded = wanted.facts.as_ref().map(|facts| &facts["words"]);
        let same = |what: &str, theirs: &str, ours: &str| match recorded.map(|all| &all[what]) {
            Some(Json::String(then)) => {
                then == theirs || same_words(theirs, then, row.schemas())
            }
            _ => same_words(theirs, ours, row.schemas()),
        };
        // Their order is the server's business.
        let place = |name: &str| asked.columns.iter().position(|column| column.name == name);
        spec.columns.sort_by_key(|column| place(&column.name).unwrap_or(usize::MAX));
        for column in &mut spec.columns {
            if let Some(at) = place(&column.name) {
                let what = format!("column {}", column.name);
                let asked = &asked.columns[at];
                column.keep(asked, row.schemas(), |theirs, ours| same(&what, theirs, ours));
            }
        }
        for (name, text) in &mut spec.constraints {
            if let Some(ours) = asked.constraints.get(name)
                && same(&format!("constraint {name}"), text, ours)
            {
                text.clone_from(ours);
            }
        }
        let whole = [
            ("partition_by", &mut spec.partition_by, &asked.partition_by),
            ("bounds", &mut spec.bounds, &asked.bounds),
        ];
        for (what, now, written) in whole {
            object::keep_words(now, written.as_ref(), |theirs, ours| same(what, theirs, ours));
        }
        Ok(Some((spec, facts)))
    }

    const WORDED: bool = true;

    fn words(spec: &Spec) -> Words {
        words(spec).into_iter().map(|(name, text)| (name, Json::from(text))).collect()
    }

    fn as_planned(now: Spec, from: &Spec, to: &Spec) -> Result<Spec, CallError> {
        Ok(as_planned(now, from, to))
    }

    fn statements(key: &[String], from: Option<&Spec>, to: Option<&Spec>) -> Vec<String> {
        let table = sql::in_schema(&key[0], &key[1]);
        let Some(to) = to else {
            let columns = from.into_iter().flat_map(|from| &from.columns);
            let release = columns.filter_map(|column| column.release(&key[0]));
            return release.chain([format!("DROP TABLE {table}")]).collect();
        };
        let key_name = key_name_of(&key[1]);
        let mut all = match from {
            None => create(&table, &key_name, to),
            Some(from) => change(&table, &key_name, from, to),
        };
        let on = format!("ALTER TABLE {table}");
        for (word, was, is) in [
            ("ROW LEVEL SECURITY", from.is_some_and(|from| from.row_security), to.row_security),
            (
                "FORCE ROW LEVEL SECURITY",
                from.is_some_and(|from| from.force_row_security),
                to.force_row_security,
            ),
        ] {
            let verb = match (is, word.starts_with("FORCE")) {
                (true, false) => "ENABLE ",
                (false, false) => "DISABLE ",
                (true, true) => "",
                (false, true) => "NO ",
            };
            all.extend((was != is).then(|| format!("{on} {verb}{word}")));
        }
        let identity = from.and_then(|from| from.replica_identity.as_ref());
        if let Some(new) = to.replica_identity.as_ref().filter(|new| identity != Some(new)) {
            let is = match new.strip_prefix(BY_INDEX) {
                Some(index) => format!("USING INDEX {}", sql::name(index)),
                None => new.to_uppercase(),
            };
            all.push(format!("{on} REPLICA IDENTITY {is}"));
        }
        for column in &to.columns {
            let old = from.and_then(|from| find(from, column));
            let was = old.and_then(|old| old.comment.as_deref());
            all.extend(column.comment_statement(&table, was));
            all.extend(column.storage_statements(&table, old));
        }
        let of = |spec: &Spec| (spec.comment.clone(), spec.owner.clone());
        let was = from.map(of).unwrap_or_default();
        all.extend(comment_and_owner(&format!("TABLE {table}"), was, of(to)));
        // Both must have one owner by then.
        for column in &to.columns {
            let old = from.and_then(|from| find(from, column));
            all.extend(column.sequence_statements(&key[0], &table, old));
        }
        all
    }
}

/// The columns of a constraint that is a primary key.
fn key_columns(text: &str) -> Vec<String> {
    let is_key = text.to_uppercase().starts_with("PRIMARY KEY");
    let inner = text.split_once('(').and_then(|(_, rest)| rest.split_once(')'));
    let Some((inner, _)) = inner.filter(|_| is_key) else { return Vec::new() };
    inner.split(',').map(|column| column.trim().trim_matches('"').to_owned()).collect()
}

fn words(spec: &Spec) -> BTreeMap<String, String> {
    let columns = spec.columns.iter().filter_map(|column| {
        let text = column.default.as_ref().or(column.generated.as_ref())?;
        Some((format!("column {}", column.name), text.clone()))
    });
    let constraints = spec
        .constraints
        .iter()
        .map(|(name, text)| (format!("constraint {name}"), text.clone()));
    let whole = [("partition_by", &spec.partition_by), ("bounds", &spec.bounds)];
    let whole =
        whole.into_iter().filter_map(|(what, text)| Some((what.to_owned(), text.clone()?)));
    columns.chain(constraints).chain(whole).collect()
}
