//! `postgres::user_mapping`: who one is on a foreign server.
//!
//! Catalog: `pg_user_mappings`.

use std::collections::BTreeMap;

use dollop_engine::resource::{Naming, Traits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::grant::{PUBLIC, normalize_grantee};
use super::instead;
use super::object::{Nothing, Object};
use super::server::Server;
use super::sql;
use crate::text::Text;

/// How a role logs in at a foreign server.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The database the foreign server is seen in.
    #[schemars(extend("x-handle" = "postgres::database"))]
    pub database: String,
    /// The foreign server.
    #[schemars(extend("x-handle" = "postgres::fdw_server"))]
    pub server: String,
    /// The role, or `PUBLIC` for everybody without a mapping of their own.
    #[schemars(extend("x-handle" = "postgres::role", "x-replace" = true))]
    pub role: String,
    /// Who the role is there: `#{ user: "reader", password: pw }`.
    #[serde(default)]
    #[schemars(extend("x-secret" = true))]
    pub options: BTreeMap<String, Text>,
}

/// The kind.
pub struct UserMapping;

impl Object for UserMapping {
    const KIND: &'static str = "postgres::user_mapping";
    const NEEDS: &'static str = "ownership of the foreign server";
    type Spec = Spec;
    type Facts = Nothing;

    fn traits() -> Traits {
        Traits {
            naming: Naming::Label,
            within: &["database", "server"],
            identity: &["role"],
            instead: instead::USER_MAPPING,
            ..Traits::default()
        }
    }

    fn normalize(spec: &mut Spec) {
        normalize_grantee(&mut spec.role);
    }

    fn database(spec: &Spec) -> Option<&str> {
        Some(&spec.database)
    }

    fn key(_: &str, spec: &Spec) -> Vec<String> {
        vec![spec.server.clone(), spec.role.clone()]
    }

    fn describe(key: &[String]) -> String {
        format!("mapping of `{}` at foreign server `{}`", key[1], key[0])
    }

    fn query(_: &Server) -> String {
        let options = sql::as_map("m.umoptions");
        format!(
            r#"select array[m.srvname, case m.umuser when 0 then '{PUBLIC}' else m.usename::text end]
                "key", {options} "options"
            from pg_user_mappings m where m.srvname = any($1)
                and case m.umuser when 0 then '{PUBLIC}' else m.usename::text end = any($2)"#
        )
    }

    const OPTIONAL: &'static [&'static str] = &[];

    fn statements(key: &[String], from: Option<&Spec>, to: Option<&Spec>) -> Vec<String> {
        let role = if key[1] == PUBLIC { PUBLIC.to_owned() } else { sql::name(&key[1]) };
        let on = format!("USER MAPPING FOR {role} SERVER {}", sql::name(&key[0]));
        match (from, to) {
            (_, None) => vec![format!("DROP {on}")],
            (None, Some(to)) => vec![format!("CREATE {on}{}", sql::options(&to.options))],
            (Some(from), Some(to)) => sql::change_options(&from.options, &to.options)
                .map(|options| format!("ALTER {on} {options}"))
                .into_iter()
                .collect(),
        }
    }
}
