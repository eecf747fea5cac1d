//! `dollop stats`: what everything takes of its machine, beside what it may.

use std::fmt::Write as _;

use dollop_engine::error::CallError;
use dollop_engine::operate::{Ability, Usage};
use indicatif::BinaryBytes;
use serde_json::{Value as Json, json};

use crate::args::{ListFormat, StatsArgs};
use crate::error::{CommandError, DONE};
use crate::live::{Live, Target};
use crate::render::json::{self, FORMAT_VERSION};
use crate::render::table::{Cell, Column, Tone, cell, number, plain, table, text};
use crate::session::block_on;
use crate::terminal;

const COLUMNS: [Column; 9] = [
    text("NAME", 0),
    number("CPUS", 0),
    number("OF", 1),
    number("MEMORY", 0),
    number("OF", 1),
    number("USED", 1),
    number("TASKS", 2),
    text("NETWORK IN/OUT", 3),
    text("DISK READ/WRITTEN", 4),
];

/// From here on a limit is near, as a share of it.
const NEAR: f64 = 0.8;
/// From here on it is as good as reached.
const REACHED: f64 = 0.95;

/// Measures, and shows it.
pub fn run(args: &StatsArgs) -> Result<u8, CommandError> {
    let live = Live::open(&args.select.place)?;
    let targets = live.select(&args.select, Ability::Usage)?;
    let found = block_on(async {
        let asked = live.ask(
            &targets,
            async |operations, connection, objects| operations.usage(connection, objects).await,
            |error| Err(error.clone()),
        );
        Ok(asked.await)
    })?;
    let rows: Vec<_> = targets.iter().zip(found).collect();
    terminal::print(&match args.format {
        ListFormat::Json => json::text(&document(&live, &rows)),
        ListFormat::Text => shown(&rows),
    })?;
    match rows.iter().find_map(|(_, answer)| answer.as_ref().err()) {
        Some(error) => Err(live.explain(error)),
        None => Ok(DONE),
    }
}

type Row<'a, 'b> = (&'a Target<'b>, Result<Option<Usage>, CallError>);

fn shown(rows: &[Row<'_, '_>]) -> String {
    let cells: Vec<Vec<Cell>> = rows
        .iter()
        .map(|(target, answer)| {
            let name = cell(&target.label, Tone::Name);
            let Ok(Some(usage)) = answer else {
                let why = if answer.is_ok() { "does not run" } else { "unknown" };
                return vec![name, cell("-", Tone::Dim), Cell::default(), cell(why, Tone::Dim)];
            };
            vec![
                name,
                cell(format!("{:.2}", usage.cpus), tone(share(usage.cpus, usage.cpus_limit))),
                plain(usage.cpus_limit.map(|limit| format!("{limit:.2}")).unwrap_or_default()),
                cell(bytes(usage.memory), tone(memory_share(usage))),
                plain(usage.memory_limit.map(bytes).unwrap_or_default()),
                plain(percent(memory_share(usage))),
                plain(usage.processes.to_string()),
                plain(pair(usage.network)),
                plain(pair(usage.disk)),
            ]
        })
        .collect();
    let mut out = table(&COLUMNS, &cells, terminal::stdout_width());
    let all = rows.iter().filter_map(|(_, answer)| answer.as_ref().ok()?.as_ref());
    let (cpus, memory) =
        all.fold((0.0, 0), |(cpus, memory), usage| (cpus + usage.cpus, memory + usage.memory));
    let _ = writeln!(out, "\nin all {cpus:.2} processors, {} of memory", bytes(memory));
    out
}

fn share(used: f64, limit: Option<f64>) -> Option<f64> {
    limit.filter(|limit| *limit > 0.0).map(|limit| used / limit)
}

#[expect(clippy::cast_precision_loss, reason = "bytes of memory are far below 2^52")]
fn memory_share(usage: &Usage) -> Option<f64> {
    share(usage.memory as f64, usage.memory_limit.map(|limit| limit as f64))
}

fn percent(share: Option<f64>) -> String {
    share.map(|share| format!("{:.0}%", share * 100.0)).unwrap_or_default()
}

fn tone(share: Option<f64>) -> Tone {
    match share {
        Some(share) if share >= REACHED => Tone::Bad,
        Some(share) if share >= NEAR => Tone::Care,
        _ => Tone::Plain,
    }
}

fn bytes(count: u64) -> String {
    BinaryBytes(count).to_string()
}

fn pair((one, other): (u64, u64)) -> String {
    format!("{} / {}", bytes(one), bytes(other))
}

fn document(live: &Live, rows: &[Row<'_, '_>]) -> Json {
    let resources = rows.iter().map(|(target, answer)| {
        let usage = answer.as_ref().ok().and_then(Option::as_ref);
        json!({
            "address": target.record.address,
            "name": target.label,
            "runs": usage.is_some(),
            "cpus": usage.map(|usage| usage.cpus),
            "cpus_limit": usage.and_then(|usage| usage.cpus_limit),
            "memory": usage.map(|usage| usage.memory),
            "memory_limit": usage.and_then(|usage| usage.memory_limit),
            "tasks": usage.map(|usage| usage.processes),
            "tasks_limit": usage.and_then(|usage| usage.processes_limit),
            "network_received": usage.map(|usage| usage.network.0),
            "network_sent": usage.map(|usage| usage.network.1),
            "disk_read": usage.map(|usage| usage.disk.0),
            "disk_written": usage.map(|usage| usage.disk.1),
            "error": answer.as_ref().err().map(|error| live.redactor.clean(&error.message)),
        })
    });
    json!({
        "format_version": FORMAT_VERSION,
        "stack": live.session.project.stack,
        "resources": resources.collect::<Vec<_>>(),
    })
}
