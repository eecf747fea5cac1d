//! `postgres::replication_slot`: what keeps the log until a reader has it.
//!
//! Catalog: `pg_replication_slots`.

use dollop_engine::error::CallError;
use dollop_engine::resource::{Held, Problem, Traits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use tokio_postgres::error::SqlState;

use super::object::{Key, Nothing, Object};
use super::server::Server;
use super::version::Since;
use super::{held, names, sql};

/// A replication slot: logical with a database and a plugin, physical without. The server keeps
/// its log until the slot's reader has it, of a physical slot from the moment it is made on; a
/// slot that nobody reads fills the disk.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The database whose changes a logical slot has.
    #[serde(default)]
    #[schemars(extend("x-handle" = "postgres::database", "x-replace" = true))]
    pub database: Option<String>,
    /// What writes the changes of a logical slot: `pgoutput`, `test_decoding`, `wal2json`.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub plugin: Option<String>,
    /// Whether prepared transactions are sent before they end; needs PostgreSQL 14.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub two_phase: bool,
    /// Whether servers that follow this one keep the slot as well, so that its reader goes on
    /// with one of them after a fail-over; needs PostgreSQL 17. When left out, no, and it is not
    /// looked at: a subscription over there may change it.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub failover: Option<bool>,
}

/// The kind.
pub struct ReplicationSlot;

impl Object for ReplicationSlot {
    const KIND: &'static str = "postgres::replication_slot";
    const NEEDS: &'static str = "the REPLICATION attribute, or a superuser";
    type Spec = Spec;
    type Facts = Nothing;

    fn traits() -> Traits {
        Traits { holds_data: true, ..Traits::default() }
    }

    async fn held(
        server: &Server,
        database: &str,
        keys: &[&Key],
    ) -> Vec<Result<Held, CallError>> {
        held::in_slots(server, database, keys).await
    }

    fn check_named(natural: &str, _: &Spec) -> Vec<Problem> {
        names::problem_of_slot(natural, "name").into_iter().collect()
    }

    fn check(spec: &Spec) -> Vec<Problem> {
        let problem = |attribute: &str, message: &str, hint: &str| Problem {
            attribute: attribute.to_owned(),
            message: message.to_owned(),
            hint: Some(hint.to_owned()),
        };
        let mut problems = Vec::new();
        if spec.plugin.is_some() != spec.database.is_some() {
            let message = "a logical slot needs `database` and `plugin`";
            problems.push(problem("plugin", message, "give both, or none for a physical slot"));
        }
        if spec.two_phase && spec.plugin.is_none() {
            let message = "a physical slot knows nothing of transactions";
            problems.push(problem("two_phase", message, "leave `two_phase` out"));
        }
        if spec.failover == Some(true) && spec.plugin.is_none() {
            let message = "a physical slot is of one server";
            problems.push(problem("failover", message, "leave `failover` out"));
        }
        problems
    }

    fn database(spec: &Spec) -> Option<&str> {
        spec.database.as_deref()
    }

    fn key(natural: &str, _: &Spec) -> Vec<String> {
        vec![natural.to_owned()]
    }

    fn describe(key: &[String]) -> String {
        format!("replication slot `{}`", key[0])
    }

    fn hints() -> Vec<(SqlState, &'static str)> {
        vec![
            (SqlState::OBJECT_IN_USE, "stop what reads from it first"),
            (
                SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
                "a logical slot needs the setting `wal_level = logical`, and a restart after that",
            ),
            (SqlState::CONFIGURATION_LIMIT_EXCEEDED, "raise `max_replication_slots`"),
        ]
    }

    fn since(spec: &Spec) -> Option<Since> {
        if spec.failover == Some(true) {
            return Some((17, "`failover` of a replication slot"));
        }
        spec.two_phase.then_some((14, "`two_phase` of a replication slot"))
    }

    fn stands_alone(_: &Spec) -> bool {
        true
    }

    const RULES: Option<&'static str> = Some("select current_setting('wal_level') wal_level");

    fn impossible(natural: &str, spec: &Spec, rules: &[Json]) -> Option<CallError> {
        let level = rules.first()?["wal_level"].as_str()?;
        (spec.plugin.is_some() && level != "logical").then(|| {
            CallError::impossible(format!(
                "logical slot `{natural}` needs `wal_level = logical`; the server has `{level}`"
            ))
            .about("plugin")
            .hint("start the server with `-c wal_level=logical`")
        })
    }

    fn query(server: &Server) -> String {
        let two_phase = if server.version >= 140_000 { "s.two_phase" } else { "false" };
        let failover = if server.version >= 170_000 { "s.failover" } else { "false" };
        format!(
            r#"select array[s.slot_name] "key", s."database", s."plugin", {two_phase} two_phase,
                {failover} failover
            from pg_replication_slots s where s.slot_name = any($1)"#
        )
    }

    const OPTIONAL: &'static [&'static str] = &["failover"];

    fn statements(key: &[String], from: Option<&Spec>, to: Option<&Spec>) -> Vec<String> {
        let name = sql::text(&key[0]);
        let Some(to) = to else {
            return vec![format!("SELECT pg_catalog.pg_drop_replication_slot({name})")];
        };
        if from.is_some() {
            return Vec::new();
        }
        let two_phase = match (to.two_phase, to.failover == Some(true)) {
            (_, true) => format!(", false, {}, true", to.two_phase),
            (true, false) => ", false, true".to_owned(),
            (false, false) => String::new(),
        };
        vec![match &to.plugin {
            Some(plugin) => format!(
                "SELECT pg_catalog.pg_create_logical_replication_slot({name}, {}{two_phase})",
                sql::text(plugin)
            ),
            // From the first moment on, not from that of the first reader.
            None => {
                format!("SELECT pg_catalog.pg_create_physical_replication_slot({name}, true)")
            }
        }]
    }
}
