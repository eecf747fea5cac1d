//! `postgres::fdw_server`: other servers whose tables are seen here.
//!
//! Catalog: `pg_foreign_server`.

use std::collections::BTreeMap;

use dollop_engine::resource::Traits;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_postgres::error::SqlState;

use super::object::{Nothing, Object, comment_and_owner};
use super::server::Server;
use super::sql;
use crate::text::Text;

/// A server that a foreign-data wrapper reaches.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The database it is seen in.
    #[schemars(extend("x-handle" = "postgres::database"))]
    pub database: String,
    /// The wrapper that reaches it, which an extension of its name brings: `postgres_fdw`.
    #[schemars(extend("x-handle" = "postgres::extension", "x-replace" = true))]
    pub wrapper: String,
    /// What sort of server it is, where the wrapper wants to know.
    #[serde(default, rename = "type")]
    #[schemars(extend("x-replace" = true))]
    pub ty: Option<String>,
    /// Its version, where the wrapper wants to know.
    #[serde(default)]
    pub version: Option<String>,
    /// Where it is and how to treat it: `#{ host: "db1", port: 5432, dbname: "shop" }`.
    /// Passwords belong to a `postgres::user_mapping`.
    #[serde(default)]
    pub options: BTreeMap<String, Text>,
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
pub struct FdwServer;

impl Object for FdwServer {
    const KIND: &'static str = "postgres::fdw_server";
    const NEEDS: &'static str =
        "USAGE on the foreign-data wrapper for a new one, its ownership for an existing one";
    type Spec = Spec;
    type Facts = Nothing;

    fn traits() -> Traits {
        Traits { within: &["database"], ..Traits::default() }
    }

    fn normalize(spec: &mut Spec) {
        sql::none_when_empty(&mut spec.comment);
    }

    fn database(spec: &Spec) -> Option<&str> {
        Some(&spec.database)
    }

    fn key(natural: &str, _: &Spec) -> Vec<String> {
        vec![natural.to_owned()]
    }

    fn describe(key: &[String]) -> String {
        format!("foreign server `{}`", key[0])
    }

    fn hints() -> Vec<(SqlState, &'static str)> {
        vec![(
            SqlState::UNDEFINED_OBJECT,
            "a wrapper comes with an extension: declare that, and name its handle as `wrapper`",
        )]
    }

    fn query(_: &Server) -> String {
        let options = sql::as_map("s.srvoptions");
        format!(
            r#"select array[s.srvname] "key", w.fdwname "wrapper", s.srvtype "type",
            s.srvversion "version", {options} "options", pg_get_userbyid(s.srvowner) "owner",
            obj_description(s.oid, 'pg_foreign_server') "comment"
        from pg_foreign_server s join pg_foreign_data_wrapper w on w.oid = s.srvfdw
        where s.srvname = any($1)"#
        )
    }

    fn statements(key: &[String], from: Option<&Spec>, to: Option<&Spec>) -> Vec<String> {
        let name = sql::name(&key[0]);
        let Some(to) = to else { return vec![format!("DROP SERVER {name}")] };
        let mut all = Vec::new();
        match from {
            None => {
                let ty = to.ty.as_ref().map(|text| format!(" TYPE {}", sql::text(text)));
                let version =
                    to.version.as_ref().map(|text| format!(" VERSION {}", sql::text(text)));
                all.push(format!(
                    "CREATE SERVER {name}{}{} FOREIGN DATA WRAPPER {}{}",
                    ty.unwrap_or_default(),
                    version.unwrap_or_default(),
                    sql::name(&to.wrapper),
                    sql::options(&to.options)
                ));
            }
            Some(from) => {
                let on = format!("ALTER SERVER {name}");
                if from.version != to.version {
                    let version = sql::text_or_null(to.version.as_deref());
                    all.push(format!("{on} VERSION {version}"));
                }
                let options = sql::change_options(&from.options, &to.options);
                all.extend(options.map(|options| format!("{on} {options}")));
            }
        }
        let of = |spec: &Spec| (spec.comment.clone(), spec.owner.clone());
        let was = from.map(of).unwrap_or_default();
        all.extend(comment_and_owner(&format!("SERVER {name}"), was, of(to)));
        all
    }
}
