//! `postgres::publication`: what is sent to subscribers.
//!
//! Catalogs: `pg_publication`, `pg_publication_rel`, `pg_publication_namespace`.

use std::collections::BTreeSet;

use dollop_engine::resource::{Problem, Traits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::instead;
use super::object::{Nothing, Object, comment_and_owner};
use super::server::Server;
use super::sql;
use super::version::Since;

/// The changes of some tables, for subscribers. Everything but `all_tables` changes in place.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The database it is in.
    #[schemars(extend("x-handle" = "postgres::database"))]
    pub database: String,
    /// Whether it has every table there is and will be.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub all_tables: bool,
    /// Its tables: `[#{ table: "orders" }, #{ schema: "app", table: "users", columns: ["id"] }]`.
    #[serde(default)]
    pub tables: Vec<Member>,
    /// Schemas all tables of which it has; needs PostgreSQL 15.
    #[serde(default)]
    #[schemars(extend("x-handle" = "postgres::schema"))]
    pub schemas: BTreeSet<String>,
    /// What is sent: `insert`, `update`, `delete`, `truncate`; all of it when left out.
    #[serde(default = "all_operations")]
    pub operations: BTreeSet<Operation>,
    /// Whether changes of a partition are sent as those of the table it is a partition of;
    /// needs PostgreSQL 13.
    #[serde(default)]
    pub via_root: bool,
    /// The role that owns it; when left out, the user dollop works as owns a new one, and the
    /// owner is not looked at.
    #[serde(default)]
    #[schemars(extend("x-handle" = "postgres::role"))]
    pub owner: Option<String>,
    /// What it is for, kept in the server.
    #[serde(default)]
    pub comment: Option<String>,
}

/// A table of a publication.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// The schema it is in.
    #[serde(default = "sql::public")]
    #[schemars(extend("x-handle" = "postgres::schema"))]
    pub schema: String,
    /// Its name.
    #[schemars(extend("x-handle" = "postgres::table"))]
    pub table: String,
    /// The columns that are sent, all when left out; needs PostgreSQL 15.
    #[serde(default)]
    pub columns: Option<BTreeSet<String>>,
    /// The rows that are sent, all when left out: `(region = 'eu'::text)`, in the server's
    /// words; needs PostgreSQL 15.
    #[serde(default, rename = "where")]
    pub predicate: Option<String>,
}

/// What is sent.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Operation {
    /// New rows.
    Insert,
    /// Changed rows.
    Update,
    /// Removed rows.
    Delete,
    /// Emptied tables.
    Truncate,
}

impl Operation {
    fn sql(self) -> &'static str {
        match self {
            Self::Insert => "insert",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Truncate => "truncate",
        }
    }
}

fn all_operations() -> BTreeSet<Operation> {
    [Operation::Insert, Operation::Update, Operation::Delete, Operation::Truncate].into()
}

/// The kind.
pub struct Publication;

impl Object for Publication {
    const KIND: &'static str = "postgres::publication";
    const NEEDS: &'static str = "CREATE on the database and ownership of the tables; a superuser for all tables or a schema";
    type Spec = Spec;
    type Facts = Nothing;

    fn traits() -> Traits {
        Traits { within: &["database"], instead: instead::PUBLICATION, ..Traits::default() }
    }

    fn normalize(spec: &mut Spec) {
        spec.tables.sort();
        sql::none_when_empty(&mut spec.comment);
    }

    fn check(spec: &Spec) -> Vec<Problem> {
        let problem = |attribute: &str, message: &str, hint: &str| Problem {
            attribute: attribute.to_owned(),
            message: message.to_owned(),
            hint: Some(hint.to_owned()),
        };
        let mut problems = Vec::new();
        if spec.all_tables && !(spec.tables.is_empty() && spec.schemas.is_empty()) {
            let message = "it has all tables already";
            problems.push(problem("all_tables", message, "leave `tables` and `schemas` out"));
        }
        let of = |member: &Member| (member.schema.clone(), member.table.clone());
        if spec.tables.windows(2).any(|pair| of(&pair[0]) == of(&pair[1])) {
            problems.push(problem("tables", "a table is there twice", "name each table once"));
        }
        problems
    }

    fn database(spec: &Spec) -> Option<&str> {
        Some(&spec.database)
    }

    fn key(natural: &str, _: &Spec) -> Vec<String> {
        vec![natural.to_owned()]
    }

    fn describe(key: &[String]) -> String {
        format!("publication `{}`", key[0])
    }

    fn since(spec: &Spec) -> Option<Since> {
        let parts = |member: &Member| member.columns.is_some() || member.predicate.is_some();
        if !spec.schemas.is_empty() {
            Some((15, "`schemas` of a publication"))
        } else if spec.tables.iter().any(parts) {
            Some((15, "`columns` or `where` of a published table"))
        } else {
            spec.via_root.then_some((13, "`via_root` of a publication"))
        }
    }

    fn query(server: &Server) -> String {
        let (columns, predicate, schemas) = if server.version >= 150_000 {
            (
                "(select json_agg(a.attname order by a.attname) from unnest(r.prattrs::int2[]) u(number)
                    join pg_attribute a on a.attrelid = c.oid and a.attnum = u.number)",
                "pg_get_expr(r.prqual, r.prrelid)",
                "(select coalesce(json_agg(s.nspname order by s.nspname), '[]')
                    from pg_publication_namespace m join pg_namespace s on s.oid = m.pnnspid
                    where m.pnpubid = p.oid)",
            )
        } else {
            ("null", "null", "'[]'::json")
        };
        let via_root = if server.version >= 130_000 { "p.pubviaroot" } else { "false" };
        format!(
            r#"select array[p.pubname] "key", p.puballtables all_tables, {via_root} via_root,
            (select coalesce(json_agg(json_build_object('schema', n.nspname, 'table', c.relname,
                    'columns', {columns}, 'where', {predicate})), '[]')
                from pg_publication_rel r join pg_class c on c.oid = r.prrelid
                join pg_namespace n on n.oid = c.relnamespace where r.prpubid = p.oid) "tables",
            {schemas} schemas,
            array_remove(array[case when p.pubinsert then 'insert' end,
                case when p.pubupdate then 'update' end, case when p.pubdelete then 'delete' end,
                case when p.pubtruncate then 'truncate' end], null) operations,
            pg_get_userbyid(p.pubowner) "owner", obj_description(p.oid, 'pg_publication') "comment"
        from pg_publication p where p.pubname = any($1)"#
        )
    }

    fn statements(key: &[String], from: Option<&Spec>, to: Option<&Spec>) -> Vec<String> {
        let name = sql::name(&key[0]);
        let Some(to) = to else { return vec![format!("DROP PUBLICATION {name}")] };
        let operations: Vec<_> = to.operations.iter().map(|one| one.sql()).collect();
        let publish = format!("publish = {}", sql::text(&operations.join(", ")));
        let via_root = format!("publish_via_partition_root = {}", to.via_root);
        let mut all = Vec::new();
        let members = members(to);
        match from {
            None => {
                let what = match members.as_str() {
                    _ if to.all_tables => " FOR ALL TABLES".to_owned(),
                    "" => String::new(),
                    members => format!(" FOR {members}"),
                };
                let root = if to.via_root { format!(", {via_root}") } else { String::new() };
                all.push(format!("CREATE PUBLICATION {name}{what} WITH ({publish}{root})"));
            }
            Some(from) => {
                let on = format!("ALTER PUBLICATION {name}");
                if from.tables != to.tables || from.schemas != to.schemas {
                    all.push(if members.is_empty() {
                        // There is no word for setting it to nothing.
                        format!("{on} DROP {}", bare(from))
                    } else {
                        format!("{on} SET {members}")
                    });
                }
                if from.operations != to.operations {
                    all.push(format!("{on} SET ({publish})"));
                }
                if from.via_root != to.via_root {
                    all.push(format!("{on} SET ({via_root})"));
                }
            }
        }
        let of = |spec: &Spec| (spec.comment.clone(), spec.owner.clone());
        let was = from.map(of).unwrap_or_default();
        all.extend(comment_and_owner(&format!("PUBLICATION {name}"), was, of(to)));
        all
    }
}

/// `TABLE "a"."b", TABLES IN SCHEMA "c"`.
fn members(spec: &Spec) -> String {
    let tables = spec.tables.iter().map(|member| {
        let mut text = format!("TABLE {}", sql::in_schema(&member.schema, &member.table));
        text.extend(member.columns.iter().map(|columns| format!(" ({})", sql::names(columns))));
        text.extend(member.predicate.iter().map(|rows| format!(" WHERE ({rows})")));
        text
    });
    let schemas =
        spec.schemas.iter().map(|name| format!("TABLES IN SCHEMA {}", sql::name(name)));
    tables.chain(schemas).collect::<Vec<_>>().join(", ")
}

/// The members without the columns and rows that are sent of them.
fn bare(spec: &Spec) -> String {
    let mut bare = spec.clone();
    for member in &mut bare.tables {
        member.columns = None;
        member.predicate = None;
    }
    members(&bare)
}
