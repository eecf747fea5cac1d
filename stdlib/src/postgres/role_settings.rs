//! `postgres::role_settings`: settings of a role in one database.
//!
//! Catalog: `pg_db_role_setting`.

use std::collections::BTreeMap;

use dollop_engine::resource::{Naming, Problem, Territory, Traits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::object::{Nothing, Object};
use super::server::Server;
use super::sql;
use crate::text::Text;

/// The settings of a role's sessions in one database, all of them. They win over the `settings`
/// of the role and those of the database.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The database whose sessions have them.
    #[schemars(extend("x-handle" = "postgres::database"))]
    pub database: String,
    /// The role whose sessions have them.
    #[schemars(extend("x-handle" = "postgres::role", "x-replace" = true))]
    pub role: String,
    /// The settings: `#{ search_path: "app, public", work_mem: "64MB" }`.
    pub settings: BTreeMap<String, Text>,
}

/// The kind.
pub struct RoleSettings;

impl Object for RoleSettings {
    const KIND: &'static str = "postgres::role_settings";
    const TERRITORIAL: bool = true;
    const NEEDS: &'static str = "CREATEROLE and the ADMIN OPTION of the role, for settings of \
                                 superusers alone a superuser";
    type Spec = Spec;
    type Facts = Nothing;

    fn traits() -> Traits {
        Traits {
            naming: Naming::Label,
            within: &["database"],
            identity: &["role"],
            ..Traits::default()
        }
    }

    fn territory(_: &str, spec: &Spec) -> Vec<Territory> {
        let Spec { database, role, .. } = spec;
        vec![Territory {
            path: ["role settings", database, role].map(str::to_owned).to_vec(),
            what: format!("the settings of `{role}` in database `{database}`"),
        }]
    }

    fn normalize(spec: &mut Spec) {
        sql::normalize_settings(&mut spec.settings);
    }

    fn check(spec: &Spec) -> Vec<Problem> {
        let none = || Problem {
            attribute: "settings".to_owned(),
            message: "no settings are none to keep".to_owned(),
            hint: Some("name one, or remove the declaration".to_owned()),
        };
        spec.settings.is_empty().then(none).into_iter().collect()
    }

    fn database(spec: &Spec) -> Option<&str> {
        Some(&spec.database)
    }

    fn key(_: &str, spec: &Spec) -> Vec<String> {
        vec![spec.role.clone()]
    }

    fn describe(key: &[String]) -> String {
        format!("settings of role `{}`", key[0])
    }

    fn query(_: &Server) -> String {
        let settings = sql::as_map("s.setconfig");
        format!(
            r#"select array[r.rolname] "key", {settings} settings
            from pg_db_role_setting s join pg_roles r on r.oid = s.setrole
                join pg_database d on d.oid = s.setdatabase
            where d.datname = current_database() and r.rolname = any($1)"#
        )
    }

    fn statements(key: &[String], from: Option<&Spec>, to: Option<&Spec>) -> Vec<String> {
        let Some(Spec { database, .. }) = to.or(from) else { return Vec::new() };
        let on =
            format!("ALTER ROLE {} IN DATABASE {}", sql::name(&key[0]), sql::name(database));
        let settings = |spec: Option<&Spec>| -> BTreeMap<String, Text> {
            spec.map(|spec| spec.settings.clone()).unwrap_or_default()
        };
        sql::change_settings(&on, &settings(from), &settings(to))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn they_are_those_of_one_role_in_one_database() {
        let spec = |settings: serde_json::Value| -> Spec {
            let spec = json!({ "database": "the shop", "role": "App", "settings": settings });
            serde_json::from_value(spec).unwrap()
        };
        let (one, other) = (spec(json!({ "jit": false })), spec(json!({ "work_mem": "8MB" })));
        let said = |from, to| RoleSettings::statements(&["App".to_owned()], from, to);
        let on = r#"ALTER ROLE "App" IN DATABASE "the shop""#;
        let (set, reset) =
            (format!(r#"{on} SET "jit" = 'false'"#), format!(r#"{on} RESET "jit""#));
        assert_eq!(said(None, Some(&one)), [set]);
        assert_eq!(
            said(Some(&one), Some(&other)),
            [reset.clone(), format!(r#"{on} SET "work_mem" = '8MB'"#)]
        );
        assert_eq!(said(Some(&one), None), [reset]);
    }
}
