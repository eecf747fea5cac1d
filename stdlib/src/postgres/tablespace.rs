//! `postgres::tablespace`: places for files.
//!
//! Catalog: `pg_tablespace`.

use std::collections::BTreeMap;

use dollop_engine::resource::{Problem, Traits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_postgres::error::SqlState;

use super::object::{Nothing, Object, comment_and_owner};
use super::server::Server;
use super::{names, sql};
use crate::text::Text;

/// A folder of the server's machine for the files of databases, tables and indexes.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The folder there: empty, and the server's own.
    #[schemars(extend("x-replace" = true))]
    pub location: String,
    /// What reading from it costs: `#{ random_page_cost: 1.1 }`.
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
pub struct Tablespace;

impl Object for Tablespace {
    const KIND: &'static str = "postgres::tablespace";
    const NEEDS: &'static str = "a superuser for a new one, its ownership for an existing one";
    type Spec = Spec;
    type Facts = Nothing;

    fn traits() -> Traits {
        Traits::default()
    }

    fn normalize(spec: &mut Spec) {
        sql::none_when_empty(&mut spec.comment);
    }

    fn check_named(natural: &str, _: &Spec) -> Vec<Problem> {
        names::problem_of_own("tablespace", natural).into_iter().collect()
    }

    fn database(_: &Spec) -> Option<&str> {
        None
    }

    fn key(natural: &str, _: &Spec) -> Vec<String> {
        vec![natural.to_owned()]
    }

    fn describe(key: &[String]) -> String {
        format!("tablespace `{}`", key[0])
    }

    fn hints() -> Vec<(SqlState, &'static str)> {
        vec![
            (
                SqlState::UNDEFINED_FILE,
                "the folder must be there, on the server's machine: mount a volume in its container",
            ),
            (
                SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
                "databases, tables and indexes must move elsewhere first",
            ),
        ]
    }

    fn stands_alone(_: &Spec) -> bool {
        true
    }

    fn query(_: &Server) -> String {
        let parameters = sql::as_map("t.spcoptions");
        format!(
            r#"select array[t.spcname] "key", pg_tablespace_location(t.oid) "location",
            {parameters} "parameters", pg_get_userbyid(t.spcowner) "owner",
            shobj_description(t.oid, 'pg_tablespace') "comment"
        from pg_tablespace t where t.spcname = any($1)"#
        )
    }

    fn statements(key: &[String], from: Option<&Spec>, to: Option<&Spec>) -> Vec<String> {
        let name = sql::name(&key[0]);
        let Some(to) = to else { return vec![format!("DROP TABLESPACE {name}")] };
        let mut all = Vec::new();
        if from.is_none() {
            all.push(format!("CREATE TABLESPACE {name} LOCATION {}", sql::text(&to.location)));
        }
        let none = BTreeMap::new();
        let was = from.map_or(&none, |from| &from.parameters);
        for action in sql::change_parameters(was, &to.parameters) {
            all.push(format!("ALTER TABLESPACE {name} {action}"));
        }
        let of = |spec: &Spec| (spec.comment.clone(), spec.owner.clone());
        let was = from.map(of).unwrap_or_default();
        all.extend(comment_and_owner(&format!("TABLESPACE {name}"), was, of(to)));
        all
    }
}
