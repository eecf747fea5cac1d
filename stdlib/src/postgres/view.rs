//! `postgres::view`: views and materialized views.
//!
//! Catalog: `pg_class`, `pg_get_viewdef`.

use std::collections::BTreeMap;

use dollop_engine::resource::Traits;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::object::{Object, Worded, comment_and_owner};
use super::place::in_schema;
use super::server::Server;
use super::sql;
use super::version::Since;
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
    /// makes it anew, filled.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub materialized: bool,
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

/// The kind.
pub struct View;

impl Object for View {
    const KIND: &'static str = "postgres::view";
    const NEEDS: &'static str = "CREATE on the schema for a new one, its ownership for an \
                                 existing one, and SELECT on what it reads";
    type Spec = Spec;
    type Facts = Worded;

    in_schema!("view", Traits { holds_data: true, ..Traits::default() });

    // A plain view has no rows of its own.
    fn holds(spec: &Spec) -> bool {
        spec.materialized
    }

    fn normalize(spec: &mut Spec) {
        let query = spec.query.trim().trim_end_matches(';').trim_end();
        spec.query = query.replace("\r\n", "\n");
        sql::none_when_empty(&mut spec.comment);
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
            pg_get_userbyid(c.relowner) "owner", obj_description(c.oid, 'pg_class') "comment"
        from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where c.relkind in ('v', 'm') and n.nspname = any($1) and c.relname = any($2)"#
        )
    }

    const WORDS: &'static [&'static str] = &["query"];

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
        let with = match sql::parameters(&to.parameters) {
            all if all.is_empty() => String::new(),
            all => format!(" WITH ({all})"),
        };
        match from {
            None => statements.push(format!("CREATE {kind} {view}{with} AS\n{}", to.query)),
            Some(from) if same => {
                let changes = sql::change_parameters(&from.parameters, &to.parameters);
                statements.extend(
                    changes.into_iter().map(|change| format!("ALTER {kind} {view} {change}")),
                );
            }
            Some(_) if to.materialized => {
                statements.push(format!("DROP {kind} {view}"));
                statements.push(format!("CREATE {kind} {view}{with} AS\n{}", to.query));
                lost = true;
            }
            Some(_) => {
                statements
                    .push(format!("CREATE OR REPLACE {kind} {view}{with} AS\n{}", to.query));
            }
        }
        let of = |spec: &Spec| (spec.comment.clone(), spec.owner.clone());
        let was = from.filter(|_| !lost).map(of).unwrap_or_default();
        statements.extend(comment_and_owner(&format!("{kind} {view}"), was, of(to)));
        statements
    }
}
