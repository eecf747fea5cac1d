//! `postgres::setting`: settings of the whole server, written by `ALTER SYSTEM`.
//!
//! Catalogs: `pg_settings`, `pg_file_settings`.

use dollop_engine::error::CallError;
use dollop_engine::resource::{Problem, Traits, Wanted};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::object::{self, Object, Observed, Row};
use super::server::Server;
use super::sql;
use crate::text::Text;

/// Settings that the server reads only when it starts (`postgres --describe-config`).
const AT_START: [&str; 52] = [
    "archive_mode",
    "autovacuum_freeze_max_age",
    "autovacuum_max_workers",
    "autovacuum_multixact_freeze_max_age",
    "bonjour",
    "bonjour_name",
    "cluster_name",
    "data_sync_retry",
    "dynamic_shared_memory_type",
    "event_source",
    "external_pid_file",
    "hba_file",
    "hot_standby",
    "huge_page_size",
    "huge_pages",
    "ident_file",
    "jit_provider",
    "listen_addresses",
    "logging_collector",
    "max_connections",
    "max_files_per_process",
    "max_locks_per_transaction",
    "max_logical_replication_workers",
    "max_pred_locks_per_transaction",
    "max_prepared_transactions",
    "max_replication_slots",
    "max_wal_senders",
    "max_worker_processes",
    "min_dynamic_shared_memory",
    "old_snapshot_threshold",
    "port",
    "recovery_target",
    "recovery_target_action",
    "recovery_target_inclusive",
    "recovery_target_lsn",
    "recovery_target_name",
    "recovery_target_time",
    "recovery_target_timeline",
    "recovery_target_xid",
    "reserved_connections",
    "shared_buffers",
    "shared_memory_type",
    "shared_preload_libraries",
    "superuser_reserved_connections",
    "track_activity_query_size",
    "track_commit_timestamp",
    "unix_socket_directories",
    "unix_socket_group",
    "unix_socket_permissions",
    "wal_buffers",
    "wal_decode_buffer_size",
    "wal_level",
];

/// A setting of the whole server, kept in its data folder. Databases and roles have `settings`
/// of their own, which win over it.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Its value: `"64MB"`, `200`, `true`; of a list all items, `"pg_stat_statements, auto_explain"`.
    pub value: Text,
}

/// What the server reports.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct Facts {
    /// When a change of it takes effect: `postmaster` when the server is started again,
    /// `sighup` at once, `backend` and `superuser-backend` in new sessions, `superuser` and
    /// `user` at once in sessions that have no value of their own.
    #[schemars(extend("x-stable" = true))]
    pub context: Option<String>,
    /// Whether the server has yet to be started again for it.
    pub pending_restart: bool,
}

/// The kind.
pub struct Setting;

impl Object for Setting {
    const KIND: &'static str = "postgres::setting";
    const NEEDS: &'static str = "a superuser, or ALTER SYSTEM on the setting";
    type Spec = Spec;
    type Facts = Facts;

    fn traits() -> Traits {
        Traits::default()
    }

    fn cautions(natural: &str, from: Option<&Spec>, to: &Spec) -> Vec<Problem> {
        let late = AT_START.contains(&natural.to_lowercase().as_str());
        let differs = from.is_none_or(|from| from.value != to.value);
        let caution = Problem {
            attribute: "value".to_owned(),
            message: "the server takes it up when it is started again".to_owned(),
            hint: Some("dollop does not restart it; `pending_restart` tells".to_owned()),
        };
        (late && differs).then_some(caution).into_iter().collect()
    }

    fn database(_: &Spec) -> Option<&str> {
        None
    }

    fn key(natural: &str, _: &Spec) -> Vec<String> {
        vec![natural.to_lowercase()]
    }

    fn describe(key: &[String]) -> String {
        format!("setting `{}`", key[0])
    }

    fn stands_alone(_: &Spec) -> bool {
        true
    }

    const RULES: Option<&'static str> =
        Some("select lower(name) name, context, source from pg_settings");

    fn impossible(natural: &str, _: &Spec, rules: &[Json]) -> Option<CallError> {
        let name = natural.to_lowercase();
        if rules.is_empty() || name.contains('.') {
            return None;
        }
        let named = |rule: &&Json| rule["name"].as_str() == Some(name.as_str());
        let Some(rule) = rules.iter().find(named) else {
            let said = CallError::impossible(format!("the server has no setting `{natural}`"))
                .about("name");
            let all = rules.iter().filter_map(|rule| rule["name"].as_str());
            let parts: Vec<_> = name.split('_').filter(|part| part.len() > 2).collect();
            let like = |other: &&str| {
                parts.iter().filter(|part| other.contains(**part)).count() * 2 > parts.len()
            };
            let near: Vec<_> =
                all.filter(like).take(4).map(|other| format!("`{other}`")).collect();
            return Some(if near.is_empty() {
                said.hint("`pg_settings` lists what there is")
            } else {
                said.hint(format!("did you mean {}?", near.join(", ")))
            });
        };
        if rule["context"] == "internal" {
            return Some(CallError::impossible(format!(
                "`{natural}` tells how the server was built or set up, and cannot be set"
            )));
        }
        (rule["source"] == "command line").then(|| {
            CallError::impossible(format!(
                "`{natural}` is given on the server's command line, which wins"
            ))
            .hint(format!(
                "take `-c {natural}=..` out of the container's command, or set it there"
            ))
        })
    }

    fn query(_: &Server) -> String {
        r#"select array[lower(f.name)] "key", f.setting "value", s.context,
            coalesce(s.pending_restart, false) pending_restart
        from (select distinct on (lower(name)) name, setting from pg_file_settings
                where sourcefile like '%postgresql.auto.conf' and lower(name) = any($1)
                order by lower(name), seqno desc) f
            left join pg_settings s on lower(s.name) = lower(f.name)"#
            .to_owned()
    }

    const OPTIONAL: &'static [&'static str] = &[];

    // A list is the same with spaces between its items and without.
    fn observe(row: Option<&Row>, wanted: &Wanted<Spec>) -> Observed<Self> {
        let Some(row) = row else { return Ok(None) };
        let mut spec = object::overlay::<Self>(row, wanted)?;
        let asked = &wanted.spec.value;
        let normal = |value| sql::normal_value(row.name(), value);
        if normal(&spec.value) == normal(asked) {
            spec.value = asked.clone();
        }
        Ok(Some((spec, row.read()?)))
    }

    fn statements(key: &[String], from: Option<&Spec>, to: Option<&Spec>) -> Vec<String> {
        let on = "ALTER SYSTEM";
        let reload = "SELECT pg_catalog.pg_reload_conf()".to_owned();
        let change = match (from, to) {
            (_, None) => format!("{on} RESET {}", sql::setting(&key[0])),
            // Asked for where a run broke off, perhaps before the server read the file again.
            (Some(from), Some(to)) if from.value == to.value => return vec![reload],
            (_, Some(to)) => format!("{on} {}", sql::set(&key[0], &to.value)),
        };
        vec![change, reload]
    }
}
