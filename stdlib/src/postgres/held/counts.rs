//! How far sequences have counted, and readers of replication slots have come.

use dollop_engine::error::CallError;
use dollop_engine::resource::Held;
use serde::Deserialize;

use super::{Key, Server, Task};

#[derive(Deserialize)]
struct Row {
    key: Key,
    said: Option<String>,
}

/// How far sequences of one database have counted, in the order of their keys.
pub(in super::super) async fn in_sequences(
    server: &Server,
    database: &str,
    keys: &[&Key],
) -> Vec<Result<Held, CallError>> {
    let sql = r#"select array[n.nspname, c.relname]::text[] "key",
            'a count that has come to ' || pg_sequence_last_value(c.oid) said
        from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where c.relkind = 'S' and (n.nspname::text, c.relname::text)
            in (select * from unnest($1::text[], $2::text[]))"#;
    let part = |at: usize| -> Vec<String> { keys.iter().map(|key| key[at].clone()).collect() };
    let task = Task::new(format!("look how far sequences of database `{database}` are"));
    answers(server.rows(database, sql, &[part(0), part(1)], &task).await, keys)
}

/// How far behind the readers of replication slots are, in the order of their keys: what they
/// have not read yet, a slot of the same name that is made later has not.
pub(in super::super) async fn in_slots(
    server: &Server,
    database: &str,
    keys: &[&Key],
) -> Vec<Result<Held, CallError>> {
    let sql = r#"select array[s.slot_name]::text[] "key", case when s.behind > 0 then
            'the place of its reader, which is ' || pg_size_pretty(s.behind) || ' behind' end said
        from (select slot_name, pg_wal_lsn_diff(case when pg_is_in_recovery()
                then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end,
                coalesce(confirmed_flush_lsn, restart_lsn)) behind
            from pg_replication_slots where slot_name = any($1)) s"#;
    let names = keys.iter().map(|key| key[0].clone()).collect();
    let task = Task::new("look how far the readers of replication slots are");
    answers(server.rows(database, sql, &[names], &task).await, keys)
}

fn answers(rows: Result<Vec<Row>, CallError>, keys: &[&Key]) -> Vec<Result<Held, CallError>> {
    let rows = match rows {
        Ok(rows) => rows,
        Err(error) => return keys.iter().map(|_| Err(error.clone())).collect(),
    };
    let held = |key: &&Key| {
        let row = rows.iter().find(|row| row.key == **key);
        match row.and_then(|row| row.said.clone()) {
            Some(said) => Held::Content(said),
            None => Held::Nothing("nothing yet".to_owned()),
        }
    };
    keys.iter().map(|key| Ok(held(key))).collect()
}
