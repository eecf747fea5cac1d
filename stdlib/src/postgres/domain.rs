//! `postgres::domain`: types with rules of their own.
//!
//! Catalogs: `pg_type`, `pg_constraint`.

use std::collections::BTreeMap;

use dollop_engine::resource::{Traits, Wanted};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::grant::{self, On};
use super::object::{self, Object, Observed, Row, Worded, comment_and_owner};
use super::place::in_schema;
use super::server::Server;
use super::{sql, types};

/// A type that is another one with a default and constraints.
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
    /// The type it is made of: `text`, `numeric(10,2)`.
    #[serde(rename = "type")]
    #[schemars(extend("x-replace" = true))]
    pub ty: String,
    /// The expression for columns that are given no value.
    #[serde(default)]
    pub default: Option<String>,
    /// Whether there must be a value.
    #[serde(default)]
    pub not_null: bool,
    /// What values must be, by name: `#{ positive: "CHECK (VALUE > 0)" }`.
    #[serde(default)]
    pub constraints: BTreeMap<String, String>,
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
pub struct Domain;

impl Object for Domain {
    const KIND: &'static str = "postgres::domain";
    const NEEDS: &'static str =
        "CREATE on the schema for a new one, its ownership for an existing one";
    type Spec = Spec;
    type Facts = Worded;

    in_schema!("domain");

    fn makes(from: Option<&Spec>, to: &Spec) -> Vec<Vec<String>> {
        grant::made(from.is_none(), &to.database, &to.schema, &[On::Types])
    }

    fn normalize(spec: &mut Spec) {
        spec.ty = types::normal(&spec.ty);
        sql::none_when_empty(&mut spec.comment);
    }

    fn types(_: &[String], spec: &Spec) -> Vec<String> {
        vec![spec.ty.clone()]
    }

    fn query(_: &Server) -> String {
        r#"select array[n.nspname, t.typname] "key", format_type(t.typbasetype, t.typtypmod) "type",
            t.typdefault "default", t.typnotnull not_null,
            (select coalesce(json_object_agg(k.conname, pg_get_constraintdef(k.oid)), '{}')
                from pg_constraint k where k.contypid = t.oid and k.contype = 'c') "constraints",
            pg_get_userbyid(t.typowner) "owner", obj_description(t.oid, 'pg_type') "comment"
        from pg_type t join pg_namespace n on n.oid = t.typnamespace
        where t.typtype = 'd' and n.nspname = any($1) and t.typname = any($2)"#
            .to_owned()
    }

    const WORDS: &'static [&'static str] = &["default", "constraints"];

    fn observe(row: Option<&Row>, wanted: &Wanted<Spec>) -> Observed<Self> {
        let Some(row) = row else { return Ok(None) };
        let mut spec = object::overlay::<Self>(row, wanted)?;
        types::keep(&mut spec.ty, &wanted.spec.ty, row.schemas());
        Ok(Some((spec, row.facts(Self::WORDS)?)))
    }

    fn statements(key: &[String], from: Option<&Spec>, to: Option<&Spec>) -> Vec<String> {
        let name = sql::in_schema(&key[0], &key[1]);
        let Some(to) = to else { return vec![format!("DROP DOMAIN {name}")] };
        let on = format!("ALTER DOMAIN {name}");
        let mut all = Vec::new();
        if from.is_none() {
            all.push(format!("CREATE DOMAIN {name} AS {}", to.ty));
        }
        if from.and_then(|from| from.default.as_ref()) != to.default.as_ref() {
            all.push(match &to.default {
                Some(text) => format!("{on} SET DEFAULT {text}"),
                None => format!("{on} DROP DEFAULT"),
            });
        }
        if from.is_some_and(|from| from.not_null) != to.not_null {
            all.push(format!("{on} {} NOT NULL", if to.not_null { "SET" } else { "DROP" }));
        }
        let none = BTreeMap::new();
        let was = from.map_or(&none, |from| &from.constraints);
        let differs = |one: &BTreeMap<String, String>, other: &BTreeMap<String, String>| {
            let differing = one.iter().filter(|(name, text)| other.get(*name) != Some(text));
            differing.map(|(name, text)| (name.clone(), text.clone())).collect::<Vec<_>>()
        };
        for (name, _) in differs(was, &to.constraints) {
            all.push(format!("{on} DROP CONSTRAINT {}", sql::name(&name)));
        }
        for (name, text) in differs(&to.constraints, was) {
            all.push(format!("{on} ADD CONSTRAINT {} {text}", sql::name(&name)));
        }
        let of = |spec: &Spec| (spec.comment.clone(), spec.owner.clone());
        let was = from.map(of).unwrap_or_default();
        all.extend(comment_and_owner(&format!("DOMAIN {name}"), was, of(to)));
        all
    }
}
