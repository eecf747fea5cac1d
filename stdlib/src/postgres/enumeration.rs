//! `postgres::enum`: types that are one of several words.
//!
//! Catalog: `pg_enum`; see "ALTER TYPE" in the PostgreSQL manual.

use dollop_engine::resource::{Problem, Traits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::grant::{self, On};
use super::object::{Nothing, Object, comment_and_owner};
use super::place::in_schema;
use super::server::Server;
use super::sql;

/// A type whose values are words in an order. New words are added in place.
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
    /// Its values in their order.
    pub values: Vec<String>,
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
pub struct Enumeration;

impl Object for Enumeration {
    const KIND: &'static str = "postgres::enum";
    const NEEDS: &'static str =
        "CREATE on the schema for a new one, its ownership for an existing one";
    type Spec = Spec;
    type Facts = Nothing;

    in_schema!("enum");

    fn makes(from: Option<&Spec>, to: &Spec) -> Vec<Vec<String>> {
        grant::made(from.is_none(), &to.database, &to.schema, &[On::Types])
    }

    fn normalize(spec: &mut Spec) {
        sql::none_when_empty(&mut spec.comment);
    }

    fn check(spec: &Spec) -> Vec<Problem> {
        let mut sorted: Vec<_> = spec.values.iter().collect();
        sorted.sort();
        let twice = sorted.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0]);
        let long = spec.values.iter().find(|value| value.len() > 63);
        let problem =
            |message: String| Problem { attribute: "values".to_owned(), message, hint: None };
        twice
            .map(|value| problem(format!("the value `{value}` is there twice")))
            .into_iter()
            .chain(long.map(|value| {
                let bytes = value.len();
                problem(format!("the value `{value}` has {bytes} bytes, PostgreSQL keeps 63"))
            }))
            .collect()
    }

    fn check_update(from: &Spec, to: &Spec) -> Vec<Problem> {
        let gone: Vec<_> =
            from.values.iter().filter(|value| !to.values.contains(value)).collect();
        let kept: Vec<_> =
            to.values.iter().filter(|value| from.values.contains(value)).collect();
        let message = if let Some(value) = gone.first() {
            format!("PostgreSQL cannot take the value `{value}` out of a type")
        } else if !kept.iter().copied().eq(from.values.iter()) {
            "PostgreSQL cannot change the order of a type's values".to_owned()
        } else {
            return Vec::new();
        };
        vec![Problem {
            attribute: "values".to_owned(),
            message,
            hint: Some(
                "make a type of another name and move the columns to it; where nothing uses this \
                 one, `--replace` makes it anew"
                    .to_owned(),
            ),
        }]
    }

    fn stands_alone(_: &Spec) -> bool {
        // A new value cannot be used before the transaction that added it ends, and before
        // PostgreSQL 12 it cannot be added in one at all.
        true
    }

    fn query(_: &Server) -> String {
        r#"select array[n.nspname, t.typname] "key",
            (select coalesce(json_agg(e.enumlabel order by e.enumsortorder), '[]')
                from pg_enum e where e.enumtypid = t.oid) "values",
            pg_get_userbyid(t.typowner) "owner", obj_description(t.oid, 'pg_type') "comment"
        from pg_type t join pg_namespace n on n.oid = t.typnamespace
        where t.typtype = 'e' and n.nspname = any($1) and t.typname = any($2)"#
            .to_owned()
    }

    fn statements(key: &[String], from: Option<&Spec>, to: Option<&Spec>) -> Vec<String> {
        let name = sql::in_schema(&key[0], &key[1]);
        let Some(to) = to else { return vec![format!("DROP TYPE {name}")] };
        let mut all = Vec::new();
        match from {
            None => {
                let values: Vec<_> = to.values.iter().map(|value| sql::text(value)).collect();
                all.push(format!("CREATE TYPE {name} AS ENUM ({})", values.join(", ")));
            }
            Some(from) => {
                let mut before: Option<&String> = None;
                for value in &to.values {
                    if !from.values.contains(value) {
                        let first = from.values.first();
                        let place = match (before, first) {
                            (Some(other), _) => format!(" AFTER {}", sql::text(other)),
                            (None, Some(first)) => format!(" BEFORE {}", sql::text(first)),
                            (None, None) => String::new(),
                        };
                        let value = sql::text(value);
                        all.push(format!(
                            "ALTER TYPE {name} ADD VALUE IF NOT EXISTS {value}{place}"
                        ));
                    }
                    before = Some(value);
                }
            }
        }
        let of = |spec: &Spec| (spec.comment.clone(), spec.owner.clone());
        let was = from.map(of).unwrap_or_default();
        all.extend(comment_and_owner(&format!("TYPE {name}"), was, of(to)));
        all
    }
}
