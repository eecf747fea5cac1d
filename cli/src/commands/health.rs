//! `dollop health`: whether everything works, asked in every way there is.

use std::time::{Duration, Instant};

use dollop_engine::operate::{Ability, Probe, Verdict};
use serde_json::{Value as Json, json};

use super::status::{tone, verdict};
use crate::args::{HealthArgs, ListFormat};
use crate::error::{CommandError, DONE};
use crate::live::{Live, Target};
use crate::render::json::{self, FORMAT_VERSION};
use crate::render::table::{Column, Tone, cell, number, plain, table, text};
use crate::render::text::{count, took};
use crate::session::block_on;
use crate::terminal;

const COLUMNS: [Column; 5] =
    [text("NAME", 0), text("ASKED", 0), text("WORKS", 0), number("TOOK", 2), text("ANSWER", 0)];

/// How long to wait before asking again.
const PAUSE: Duration = Duration::from_secs(1);

/// Asks, again if so told, and ends with 1 when something does not work.
pub fn run(args: &HealthArgs) -> Result<u8, CommandError> {
    let live = Live::open(&args.select.place)?;
    let targets = live.select(&args.select, Ability::Probe)?;
    let begun = Instant::now();
    let found = block_on(async {
        loop {
            let found = ask(&live, &targets).await;
            let late = args.wait.is_none_or(|wait| begun.elapsed() + PAUSE > wait);
            if late || worst(&found) <= Verdict::Off {
                return Ok(found);
            }
            tokio::time::sleep(PAUSE).await;
        }
    })?;
    let rows: Vec<_> = targets.iter().zip(&found).collect();
    terminal::print(&match args.format {
        ListFormat::Json => json::text(&document(&live, &rows)),
        ListFormat::Text => shown(&live, &rows),
    })?;
    if worst(&found) <= Verdict::Off { Ok(DONE) } else { Err(CommandError::reported()) }
}

async fn ask(live: &Live, targets: &[Target<'_>]) -> Vec<Vec<Probe>> {
    let begun = Instant::now();
    let answers = live.ask(
        targets,
        async |operations, connection, objects| operations.probe(connection, objects).await,
        |error| {
            let detail = error.message.clone();
            let took = begun.elapsed();
            vec![Probe { what: "connection".to_owned(), verdict: Verdict::Bad, detail, took }]
        },
    );
    let mut answers = answers.await;
    for (target, probes) in targets.iter().zip(&mut answers) {
        // What is in something that was stopped on purpose is not meant to answer.
        if live.is_stopped_below(target.record) {
            let bad = probes.iter_mut().filter(|probe| probe.verdict == Verdict::Bad);
            bad.for_each(|probe| probe.verdict = Verdict::Off);
        }
    }
    answers
}

fn worst(found: &[Vec<Probe>]) -> Verdict {
    found.iter().flatten().map(|probe| probe.verdict).max().unwrap_or(Verdict::Good)
}

type Row<'a, 'b> = (&'a Target<'b>, &'a Vec<Probe>);

fn shown(live: &Live, rows: &[Row<'_, '_>]) -> String {
    let mut cells = Vec::new();
    for (target, probes) in rows {
        for (index, probe) in probes.iter().enumerate() {
            let name = if index == 0 { target.label.as_str() } else { "" };
            let works = match probe.verdict {
                Verdict::Good => "yes",
                Verdict::Off => "off",
                Verdict::Waiting => "not yet",
                Verdict::Bad => "no",
            };
            let detail = live.redactor.clean(&probe.detail);
            cells.push(vec![
                cell(name, Tone::Name),
                plain(&probe.what),
                cell(works, tone(probe.verdict)),
                cell(took(probe.took), Tone::Dim),
                plain(detail),
            ]);
        }
    }
    let all: Vec<_> = rows.iter().flat_map(|(_, probes)| probes.iter()).collect();
    let bad = all.iter().filter(|probe| probe.verdict > Verdict::Off).count();
    let off = all.iter().filter(|probe| probe.verdict == Verdict::Off).count();
    let mut summary = match bad {
        0 => format!("{} passed", count(all.len() - off, "probe")),
        bad => format!("{bad} of {} failed", count(all.len(), "probe")),
    };
    if off > 0 {
        summary = format!("{summary}, {off} off on purpose");
    }
    format!("{}\n{summary}\n", table(&COLUMNS, &cells, terminal::stdout_width()))
}

fn document(live: &Live, rows: &[Row<'_, '_>]) -> Json {
    let probes = rows.iter().flat_map(|(target, probes)| {
        probes.iter().map(move |probe| {
            json!({
                "address": target.record.address,
                "name": target.label,
                "asked": probe.what,
                "verdict": verdict(probe.verdict),
                "answer": live.redactor.clean(&probe.detail),
                "milliseconds": u64::try_from(probe.took.as_millis()).unwrap_or(u64::MAX),
            })
        })
    });
    let healthy =
        rows.iter().flat_map(|(_, probes)| probes.iter()).all(|p| p.verdict <= Verdict::Off);
    json!({
        "format_version": FORMAT_VERSION,
        "stack": live.session.project.stack,
        "healthy": healthy,
        "probes": probes.collect::<Vec<_>>(),
    })
}
