//! `dollop outdated`: whether tags stand for something newer than what runs.

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

const COLUMNS: [Column; 4] =
    [text("NAME", 0), text("IMAGE", 0), text("TAG", 0), text("NOW", 1)];

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
    let newer = rows.iter().filter_map(|(_, answer)| answer.as_ref().ok()).any(moved);
    Ok(if newer && args.detailed_exitcode { CHANGES } else { DONE })
}

type Row<'a, 'b> = (&'a Target<'b>, Result<Freshness, CallError>);

/// Whether the tag stands for another image now.
fn moved(fresh: &Freshness) -> bool {
    matches!((&fresh.has, &fresh.offered), (Some(has), Some(offered)) if has != offered)
}

fn shown(live: &Live, rows: &[Row<'_, '_>]) -> String {
    let mut whys: Vec<String> = Vec::new();
    let cells = rows.iter().map(|(target, answer)| {
        let name = cell(&target.label, Tone::Name);
        let fresh = match answer {
            Ok(fresh) => fresh,
            Err(error) => {
                whys.push(live.redactor.clean(&error.message));
                return vec![name, plain(""), cell("unknown", Tone::Care), plain("")];
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
        vec![name, plain(&fresh.image), this, cell(now, Tone::Dim)]
    });
    let cells: Vec<_> = cells.collect();
    let out = table(&COLUMNS, &cells, terminal::stdout_width());
    whys.sort();
    whys.dedup();
    for why in whys {
        terminal::say(&format!("unknown: {why}\n"));
    }
    let all = rows.iter().filter_map(|(_, answer)| answer.as_ref().ok());
    let newer = all.filter(|fresh| moved(fresh)).count();
    let verdict = match newer {
        0 => "\nnothing newer is known\n".to_owned(),
        newer => format!(
            "\n{} could be newer; `docker::image` with `pull: \"always\"` follows a moved tag\n",
            count(newer, "resource")
        ),
    };
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
            "unknown": unknown.map(|why| live.redactor.clean(why)),
        })
    });
    json!({
        "format_version": FORMAT_VERSION,
        "stack": live.session.project.stack,
        "resources": resources.collect::<Vec<_>>(),
    })
}
