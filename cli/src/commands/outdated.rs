//! `dollop outdated`: whether tags stand for something newer than what runs, and which tags
//! stand for later versions.

use std::fmt::Write as _;

use dollop_engine::error::CallError;
use dollop_engine::operate::{Ability, Freshness};
use serde_json::{Value as Json, json};

use crate::args::{ListFormat, OutdatedArgs};
use crate::error::{CHANGES, CommandError, DONE};
use crate::live::{Live, Target};
use crate::render::json::{self, FORMAT_VERSION};
use crate::render::table::{Column, Tone, cell, plain, table, text};
use crate::render::text::count;
use crate::session::block_on;
use crate::terminal;

const COLUMNS: [Column; 5] =
    [text("NAME", 0), text("IMAGE", 0), text("TAG", 0), text("LATER", 0), text("NOW", 1)];

/// How much of a digest is shown: enough to tell two apart.
const DIGEST: usize = 19;

/// Asks each registry once for each image.
pub fn run(args: &OutdatedArgs) -> Result<u8, CommandError> {
    let live = Live::open(&args.select.place)?;
    let targets = live.select(&args.select, Ability::Freshness)?;
    let found = block_on(async {
        let asked = live.ask(
            &targets,
            async |operations, connection, objects| {
                operations.freshness(connection, objects).await
            },
            |error| Err(error.clone()),
        );
        Ok(asked.await)
    })?;
    let rows: Vec<_> = targets.iter().zip(found).collect();
    terminal::print(&match args.format {
        ListFormat::Json => json::text(&document(&live, &rows)),
        ListFormat::Text => shown(&live, &rows),
    })?;
    let newer = rows.iter().filter_map(|(_, answer)| answer.as_ref().ok()).any(is_outdated);
    Ok(if newer && args.detailed_exitcode { CHANGES } else { DONE })
}

type Row<'a, 'b> = (&'a Target<'b>, Result<Freshness, CallError>);

/// Whether the tag stands for another image now.
fn moved(fresh: &Freshness) -> bool {
    matches!((&fresh.has, &fresh.offered), (Some(has), Some(offered)) if has != offered)
}

/// Whether there is anything newer.
fn is_outdated(fresh: &Freshness) -> bool {
    moved(fresh) || !fresh.newer.is_empty()
}

fn shown(live: &Live, rows: &[Row<'_, '_>]) -> String {
    let mut whys: Vec<String> = Vec::new();
    let cells = rows.iter().map(|(target, answer)| {
        let name = cell(&target.label, Tone::Name);
        let fresh = match answer {
            Ok(fresh) => fresh,
            Err(error) => {
                whys.push(live.redactor.clean(&error.message));
                return vec![name, plain(""), cell("unknown", Tone::Care)];
            }
        };
        let this = match (&fresh.unknown, &fresh.has) {
            (Some(why), _) => {
                whys.push(live.redactor.clean(why));
                cell("unknown", Tone::Care)
            }
            (None, None) => cell("not from a registry", Tone::Dim),
            (None, Some(_)) if moved(fresh) => cell("moved", Tone::Care),
            (None, Some(_)) => cell("newest", Tone::Good),
        };
        let now = fresh.offered.as_deref().filter(|_| moved(fresh)).unwrap_or_default();
        let now: String = now.chars().take(DIGEST).collect();
        whys.extend(fresh.unlisted.as_ref().map(|why| live.redactor.clean(why)));
        let later = cell(fresh.newer.join(", "), Tone::Care);
        vec![name, plain(&fresh.image), this, later, cell(now, Tone::Dim)]
    });
    let cells: Vec<_> = cells.collect();
    let out = table(&COLUMNS, &cells, terminal::stdout_width());
    whys.sort();
    whys.dedup();
    for why in whys {
        terminal::say(&format!("unknown: {why}\n"));
    }
    let all = rows.iter().filter_map(|(_, answer)| answer.as_ref().ok());
    let (stale, newer) = all.fold((0, 0), |(stale, newer), fresh| {
        (stale + usize::from(moved(fresh)), newer + usize::from(!fresh.newer.is_empty()))
    });
    let mut verdict = String::from("\n");
    if stale > 0 {
        let stale = count(stale, "resource");
        let _ = writeln!(
            verdict,
            "{stale} could be newer; `docker::image` with `pull: \"always\"` follows a moved tag"
        );
    }
    if newer > 0 {
        let newer = count(newer, "resource");
        let _ = writeln!(
            verdict,
            "{newer} could be of a later version: name its tag in the script"
        );
    }
    if stale + newer == 0 {
        verdict.push_str("nothing newer is known\n");
    }
    out + verdict.as_str()
}

fn document(live: &Live, rows: &[Row<'_, '_>]) -> Json {
    let resources = rows.iter().map(|(target, answer)| {
        let fresh = answer.as_ref().ok();
        let unknown = match answer {
            Ok(fresh) => fresh.unknown.as_ref(),
            Err(error) => Some(&error.message),
        };
        json!({
            "address": target.record.address,
            "name": target.label,
            "image": fresh.map(|fresh| &fresh.image),
            "digest": fresh.and_then(|fresh| fresh.has.as_ref()),
            "offered": fresh.and_then(|fresh| fresh.offered.as_ref()),
            "moved": fresh.is_some_and(moved),
            "newer": fresh.map(|fresh| &fresh.newer),
            "unknown": unknown.map(|why| live.redactor.clean(why)),
            "unlisted": fresh.and_then(|fresh| fresh.unlisted.as_ref())
                .map(|why| live.redactor.clean(why)),
        })
    });
    json!({
        "format_version": FORMAT_VERSION,
        "stack": live.session.project.stack,
        "resources": resources.collect::<Vec<_>>(),
    })
}
