//! `postgres::view`: views and materialized views.
//!
//! Catalog: `pg_class`, `pg_get_viewdef`.

mod anew;

use std::collections::BTreeMap;

use dollop_engine::resource::{Problem, Traits, Wanted};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::grant::{self, On};
use super::imported::Around;
use super::object::{self, Object, Observed, Row, Worded, comment_and_owner};
use super::place::in_schema;
use super::server::Server;
use super::version::Since;
use super::{names, sql};
use crate::text::Text;

/// A view. The server keeps its query in words of its own; a change made there by hand is
/// seen, and how the query is laid out in the script makes no difference once it was applied.
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
    /// What it shows: `SELECT ...`. Columns of a plain view can be added at the end; to take
    /// one away or change its type, give the view another name.
    pub query: String,
    /// Whether the rows are stored, as of the last `REFRESH MATERIALIZED VIEW`. Another query
    /// makes it anew, filled, with the owner, privileges, indexes and comments that it had.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub materialized: bool,
    /// What its columns are called, all of them or the first ones; when left out, as the query
    /// calls them, and they are not looked at. They are renamed in place.
    #[serde(default)]
    pub columns: Vec<String>,
    /// Whether a materialized one is filled when it is made. One that is not cannot be read
    /// before `REFRESH MATERIALIZED VIEW`; declared to be filled, it is filled by that.
    #[serde(default = "yes")]
    pub with_data: bool,
    /// The tablespace that the rows of a materialized one are in; when left out, the database's,
    /// and it is not looked at.
    #[serde(default)]
    #[schemars(extend("x-handle" = "postgres::tablespace"))]
    pub tablespace: Option<String>,
    /// Options of a view: `#{ security_invoker: true, security_barrier: true, check_option:
    /// "local" }`; storage parameters of a materialized one.
    #[serde(default)]
    pub parameters: BTreeMap<String, Text>,
    /// The role that owns it; when left out, the user dollop works as owns a new one, and the
    /// owner is not looked at.
    #[serde(default)]
    #[schemars(extend("x-handle" = "postgres::role"))]
    pub owner: Option<String>,
    /// What it is for, kept in the server.
    #[serde(default)]
    pub comment: Option<String>,
}

fn yes() -> bool {
    true
}

/// How many of its columns were named, among the facts.
const NAMED: &str = "columns";

/// The kind.
pub struct View;

impl Object for View {
    const KIND: &'static str = "postgres::view";
    const NEEDS: &'static str = "CREATE on the schema for a new one, its ownership for an \
                                 existing one, and SELECT on what it reads";
    type Spec = Spec;
    type Facts = Worded;

    const IS_RELATION: bool = true;

    in_schema!("view", Traits { holds_data: true, ..Traits::default() });

    fn makes(from: Option<&Spec>, to: &Spec) -> Vec<Vec<String>> {
        grant::made(from.is_none(), &to.database, &to.schema, &[On::Tables])
    }

    // A plain view has no rows of its own.
    fn holds(spec: &Spec) -> bool {
        spec.materialized
    }

    fn normalize(spec: &mut Spec) {
        let query = spec.query.trim().trim_end_matches(';').trim_end();
        spec.query = query.replace("\r\n", "\n");
        sql::none_when_empty(&mut spec.comment);
    }

    fn check(spec: &Spec) -> Vec<Problem> {
        let problem = |attribute: &str, message: String, hint: &str| Problem {
            attribute: attribute.to_owned(),
            message,
            hint: Some(hint.to_owned()),
        };
        let hint = "leave it out, or set `materialized: true`";
        let stored =
            [("with_data", !spec.with_data), ("tablespace", spec.tablespace.is_some())];
        let stored = stored.into_iter().filter(|(_, given)| *given && !spec.materialized);
        let mut problems: Vec<_> = stored
            .map(|(attribute, _)| {
                let message = format!("a view that stores no rows has no `{attribute}`");
                problem(attribute, message, hint)
            })
            .collect();
        for (at, column) in spec.columns.iter().enumerate() {
            // Only what stores rows has columns of the server's own.
            problems.extend(if spec.materialized {
                names::problem_of_column(column)
            } else {
                names::problem(column, "columns")
            });
            if spec.columns[..at].contains(column) {
                let message = format!("there are two columns `{column}`");
                problems.push(problem("columns", message, "give one of them another name"));
            }
        }
        problems
    }

    fn check_update(from: &Spec, to: &Spec) -> Vec<Problem> {
        let given = from.columns.get(to.columns.len()..).unwrap_or_default();
        let problem = |column: &String| Problem {
            attribute: "columns".to_owned(),
            message: format!("column `{column}` keeps the name that it was given"),
            hint: Some(
                "leave it in `columns`, there with the name that the query has".to_owned(),
            ),
        };
        given.first().filter(|_| !to.materialized).map(problem).into_iter().collect()
    }

    fn since(spec: &Spec) -> Option<Since> {
        let invoker = spec.parameters.contains_key("security_invoker");
        invoker.then_some((15, "`security_invoker` of a view"))
    }

    fn query(_: &Server) -> String {
        let parameters = sql::as_map("c.reloptions");
        format!(
            r#"select array[n.nspname, c.relname] "key", c.relkind = 'm' materialized,
            pg_get_viewdef(c.oid) query, {parameters} "parameters",
            array(select a.attname::text from pg_attribute a where a.attrelid = c.oid
                and a.attnum > 0 and not a.attisdropped order by a.attnum) "columns",
            c.relispopulated with_data,
            case c.relkind when 'm' then (select s.spcname from pg_tablespace s
                where s.oid = case c.reltablespace when 0 then (select dattablespace
                    from pg_database where datname = current_database())
                else c.reltablespace end) end tablespace,
            pg_get_userbyid(c.relowner) "owner", obj_description(c.oid, 'pg_class') "comment"
        from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where c.relkind in ('v', 'm') and n.nspname = any($1) and c.relname = any($2)"#
        )
    }

    const WORDS: &'static [&'static str] = &["query"];
    const OPTIONAL: &'static [&'static str] = &["owner", "tablespace"];

    fn goes_without_saying(spec: &mut Spec, _: &Around<'_>) {
        // Its query calls them so.
        spec.columns.clear();
    }

    fn observe(row: Option<&Row>, wanted: &Wanted<Spec>) -> Observed<Self> {
        let Some(row) = row else { return Ok(None) };
        let asked = &wanted.spec;
        let mut spec = object::overlay::<Self>(row, wanted)?;
        // Those that nobody named are as the query has them.
        let named = wanted.facts.as_ref().and_then(|facts| facts["words"][NAMED].as_u64());
        let named = named.and_then(|many| usize::try_from(many).ok()).unwrap_or_default();
        spec.columns.truncate(named.max(asked.columns.len()));
        // Who fills it later only does what it is for.
        spec.with_data &= asked.with_data;
        let mut facts: Worded = row.facts(Self::WORDS)?;
        if !asked.columns.is_empty() {
            facts.words.insert(NAMED.to_owned(), asked.columns.len().into());
        }
        Ok(Some((spec, facts)))
    }

    fn statements(key: &[String], from: Option<&Spec>, to: Option<&Spec>) -> Vec<String> {
        let view = format!("{}.{}", sql::name(&key[0]), sql::name(&key[1]));
        let word = |spec: &Spec| if spec.materialized { "MATERIALIZED VIEW" } else { "VIEW" };
        let Some(to) = to else {
            return from
                .map(|from| format!("DROP {} {view}", word(from)))
                .into_iter()
                .collect();
        };
        let kind = word(to);
        let mut statements = Vec::new();
        let same = from.is_some_and(|from| from.query == to.query);
        let mut lost = from.is_none();
        match from {
            None => statements.push(format!("CREATE {}", definition(kind, &view, to))),
            Some(from) if same => {
                statements.extend(renames(kind, &view, &from.columns, &to.columns));
                let moved =
                    to.tablespace.as_ref().filter(|to| from.tablespace.as_ref() != Some(to));
                let moved = moved.map(|space| format!("SET TABLESPACE {}", sql::name(space)));
                let changes = sql::change_parameters(&from.parameters, &to.parameters);
                statements.extend(
                    changes
                        .into_iter()
                        .chain(moved)
                        .map(|change| format!("ALTER {kind} {view} {change}")),
                );
                if to.with_data && !from.with_data {
                    statements.push(format!("REFRESH {kind} {view}"));
                }
            }
            Some(_) if to.materialized => {
                statements.push(anew::keep(&view));
                statements.push(format!("DROP {kind} {view}"));
                statements.push(format!("CREATE {}", definition(kind, &view, to)));
                statements.push(anew::give_back(&view));
                lost = true;
            }
            Some(from) => {
                // A query of other names for its columns is refused.
                statements.extend(renames(kind, &view, &from.columns, &to.columns));
                statements.push(format!("CREATE OR REPLACE {}", definition(kind, &view, to)));
            }
        }
        let of = |spec: &Spec| (spec.comment.clone(), spec.owner.clone());
        let was = from.filter(|_| !lost).map(of).unwrap_or_default();
        statements.extend(comment_and_owner(&format!("{kind} {view}"), was, of(to)));
        statements
    }
}

/// What it is, after the word that makes it.
fn definition(kind: &str, view: &str, to: &Spec) -> String {
    let mut all = format!("{kind} {view}");
    if !to.columns.is_empty() {
        all.extend([format!(" ({})", sql::names(&to.columns))]);
    }
    if !to.parameters.is_empty() {
        all.extend([format!(" WITH ({})", sql::parameters(&to.parameters))]);
    }
    all.extend(to.tablespace.iter().map(|space| format!(" TABLESPACE {}", sql::name(space))));
    all.extend([format!(" AS\n{}", to.query)]);
    all.extend((!to.with_data).then(|| "\nWITH NO DATA".to_owned()));
    all
}

/// Gives columns other names, by way of names that nobody has where one takes another's.
fn renames(kind: &str, view: &str, from: &[String], to: &[String]) -> Vec<String> {
    let rename = |old: &str, new: &str| {
        format!("ALTER {kind} {view} RENAME COLUMN {} TO {}", sql::name(old), sql::name(new))
    };
    let changed: Vec<_> = from.iter().zip(to).filter(|(old, new)| old != new).collect();
    if !changed.iter().any(|(_, new)| from.contains(new)) {
        return changed.into_iter().map(|(old, new)| rename(old, new)).collect();
    }
    let aside = |at: usize| format!("dollop aside {at}");
    let away = changed.iter().enumerate().map(|(at, (old, _))| rename(old, &aside(at)));
    let back = changed.iter().enumerate().map(|(at, (_, new))| rename(&aside(at), new));
    away.chain(back).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_columns_may_be_called_and_lose() {
        let spec = |materialized: bool, columns: &[&str]| -> Spec {
            let spec = serde_json::json!({
                "database": "d", "query": "SELECT 1", "materialized": materialized,
                "columns": columns,
            });
            serde_json::from_value(spec).unwrap()
        };
        assert_eq!(View::check(&spec(false, &["xmin"])).len(), 0);
        assert_eq!(View::check(&spec(true, &["xmin"])).len(), 1);
        let lost = |materialized| {
            View::check_update(&spec(materialized, &["a", "b"]), &spec(materialized, &["a"]))
        };
        assert_eq!(lost(false)[0].message, "column `b` keeps the name that it was given");
        assert_eq!(lost(true).len(), 0);
    }

    #[test]
    fn columns_that_swap_names_step_aside() {
        let names = |all: &[&str]| all.iter().map(|&one| one.to_owned()).collect::<Vec<_>>();
        let said = |from: &[&str], to: &[&str]| renames("VIEW", "v", &names(from), &names(to));
        assert_eq!(said(&["a", "b"], &["a", "b"]), Vec::<String>::new());
        assert_eq!(said(&["a", "b"], &["c"]), [r#"ALTER VIEW v RENAME COLUMN "a" TO "c""#]);
        assert_eq!(
            said(&["a", "b"], &["b", "a"]),
            [
                r#"ALTER VIEW v RENAME COLUMN "a" TO "dollop aside 0""#,
                r#"ALTER VIEW v RENAME COLUMN "b" TO "dollop aside 1""#,
                r#"ALTER VIEW v RENAME COLUMN "dollop aside 0" TO "b""#,
                r#"ALTER VIEW v RENAME COLUMN "dollop aside 1" TO "a""#,
            ]
        );
    }
}
