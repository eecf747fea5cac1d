//! `dollop status`: what runs, beside what is declared.

use std::collections::BTreeMap;
use std::time::SystemTime;

use dollop_engine::address::Address;
use dollop_engine::error::CallError;
use dollop_engine::operate::{Ability, Condition, Endpoint, Verdict};
use dollop_engine::plan::{Action, Options, Plan};
use serde_json::{Value as Json, json};

use crate::args::{ListFormat, StatusArgs};
use crate::error::{CommandError, DONE};
use crate::live::{Live, Target, profiles};
use crate::render::json::{self, FORMAT_VERSION};
use crate::render::table::{Cell, Column, Tone, cell, plain, table, text};
use crate::render::text::{age, count};
use crate::session::block_on;
use crate::terminal;

const COLUMNS: [Column; 7] = [
    text("NAME", 0),
    text("STATE", 0),
    text("UP", 2),
    text("PORTS", 3),
    text("PLAN", 1),
    text("IMAGE", 4),
    text("DIGEST", 5),
];

/// How much of a digest is shown: enough to tell two apart.
const DIGEST: usize = 19;

/// Asks how everything is, compares it with the script, shows both.
pub fn run(args: &StatusArgs) -> Result<u8, CommandError> {
    let live = Live::open(&args.select.place)?;
    let targets = live.select(&args.select, Ability::Condition)?;
    block_on(async {
        let asked = live.ask(
            &targets,
            async |operations, connection, objects| {
                operations.conditions(connection, objects).await
            },
            |error| Err(error.clone()),
        );
        let planned = async { if args.no_plan { None } else { compare(&live, args).await } };
        let (conditions, plan) = tokio::join!(asked, planned);
        let rows: Vec<_> = targets.iter().zip(conditions).collect();
        let missing = missing(&live, args, plan.as_ref());
        let text = match args.format {
            ListFormat::Json => json::text(&document(&live, &rows, plan.as_ref(), &missing)),
            ListFormat::Text => shown(&live, &rows, plan.as_ref(), &missing),
        };
        terminal::print(&text)?;
        // What could not be asked at all is no status.
        match rows.iter().find_map(|(_, answer)| answer.as_ref().err()) {
            Some(error) => Err(live.explain(error)),
            None => Ok(DONE),
        }
    })
}

/// What is declared and was never made, where nothing is chosen; what is gone has a record.
fn missing<'p>(live: &Live, args: &StatusArgs, plan: Option<&'p Plan>) -> Vec<&'p Address> {
    if !args.select.what.is_empty() || !args.select.profiles.is_empty() {
        return Vec::new();
    }
    let registry = live.session.registry();
    let has_condition = |address: &Address| {
        let operations = registry.operations(address.kind());
        operations.is_some_and(|able| able.abilities().contains(&Ability::Condition))
    };
    let changes = plan.into_iter().flat_map(|plan| &plan.changes);
    let made = changes.filter(|change| change.action == Action::Create);
    let made = made.map(|change| &change.address);
    made.filter(|it| has_condition(it) && !live.state.records.contains_key(it)).collect()
}

type Row<'a, 'b> = (&'a Target<'b>, Result<Option<Condition>, CallError>);

/// What an apply would change; without it when the script cannot be read or planned now.
async fn compare(live: &Live, args: &StatusArgs) -> Option<Plan> {
    let session = &live.session;
    session.project.files.look_up_secrets(true);
    let on = profiles(&live.state);
    let stack = args.inputs.stack(&args.select.place, &on);
    let planned = match session.declared(&stack) {
        Ok(graph) => session.plan(&graph, &live.state, &Options::default()).await,
        Err(error) => Err(error),
    };
    match planned {
        Ok(plan) => Some(plan),
        Err(error) => {
            let why = live.redactor.clean(&error.message);
            super::note(&format!("not compared with the script: {why}"));
            None
        }
    }
}

fn shown(
    live: &Live,
    rows: &[Row<'_, '_>],
    plan: Option<&Plan>,
    missing: &[&Address],
) -> String {
    let pending = plan.map(pending).unwrap_or_default();
    let mut cells: Vec<Vec<Cell>> = rows
        .iter()
        .map(|(target, answer)| {
            let address = &target.record.address;
            let mut row = vec![cell(&target.label, Tone::Name)];
            row.extend(state(target, answer));
            let planned = plan.map(|_| planned(pending.get(address)));
            let condition = answer.as_ref().ok().and_then(Option::as_ref);
            let ports = condition.map(|found| ports(&found.endpoints)).unwrap_or_default();
            let image = condition.and_then(|found| found.image.clone()).unwrap_or_default();
            let digest = condition.and_then(|found| found.digest.clone()).unwrap_or_default();
            row.push(plain(ports));
            row.push(planned.unwrap_or_default());
            row.push(plain(image));
            row.push(cell(digest.chars().take(DIGEST).collect::<String>(), Tone::Dim));
            row
        })
        .collect();
    cells.extend(missing.iter().map(|address| {
        let name = cell(address.to_string(), Tone::Name);
        let (empty, state) = (Cell::default, cell("missing", Tone::Bad));
        let planned = planned(pending.get(*address));
        vec![name, state, empty(), empty(), planned, empty(), empty()]
    }));
    let mut out = table(&COLUMNS, &cells, terminal::stdout_width());
    out.push('\n');
    out.push_str(&summary(live, rows, plan, missing));
    out
}

/// State and time, as two cells.
fn state(target: &Target<'_>, answer: &Result<Option<Condition>, CallError>) -> [Cell; 2] {
    match answer {
        Err(_) => [cell("unknown", Tone::Care), Cell::default()],
        Ok(None) => [cell("gone", Tone::Bad), Cell::default()],
        Ok(Some(found)) => {
            let mut words = match (&target.record.stopped, found.verdict) {
                (Some(stopped), Verdict::Off) => format!("stopped by {}", stopped.who),
                _ => found.state.clone(),
            };
            if let Some(health) = &found.health
                && found.verdict != Verdict::Off
            {
                words = format!("{words}, {health}");
            }
            if found.restarts > 0 {
                words = format!("{words}, {}", count_restarts(found.restarts));
            }
            let since = found.since.map(|since| age(since, SystemTime::now()));
            [cell(words, tone(found.verdict)), plain(since.unwrap_or_default())]
        }
    }
}

fn count_restarts(restarts: u64) -> String {
    count(usize::try_from(restarts).unwrap_or(usize::MAX), "restart")
}

/// The colour of a verdict.
pub(super) fn tone(verdict: Verdict) -> Tone {
    match verdict {
        Verdict::Good => Tone::Good,
        Verdict::Off => Tone::Dim,
        Verdict::Waiting => Tone::Care,
        Verdict::Bad => Tone::Bad,
    }
}

/// `8080→80`; with the address where that is not this machine's own.
fn ports(ends: &[Endpoint]) -> String {
    let words = ends.iter().map(|end| {
        let inner = end.inner.strip_suffix("/tcp").unwrap_or(&end.inner);
        let host =
            if end.host == "127.0.0.1" { String::new() } else { format!("{}:", end.host) };
        format!("{host}{}→{inner}", end.port)
    });
    words.collect::<Vec<_>>().join(" ")
}

/// What an apply would do to each address that does not stay, and whether that is because
/// somebody else changed it.
fn pending(plan: &Plan) -> BTreeMap<&Address, (Action, bool)> {
    let changes = plan.changes.iter().filter(|change| change.action != Action::Keep);
    changes.map(|change| (&change.address, (change.action, change.drifted()))).collect()
}

fn planned(change: Option<&(Action, bool)>) -> Cell {
    match change {
        None => plain("as declared"),
        Some((action, true)) => cell(format!("drift: {}", word(*action)), Tone::Care),
        Some((action, false)) => cell(word(*action), Tone::Care),
    }
}

fn word(action: Action) -> &'static str {
    match action {
        Action::Create => "create",
        Action::Update => "update",
        Action::Replace => "replace",
        Action::Delete | Action::Cascade => "delete",
        Action::Adopt => "adopt",
        Action::Forget => "forget",
        Action::Verify => "verify",
        Action::Keep => "as declared",
    }
}

/// How many are how, what is not in the table, and what to do about it.
fn summary(
    live: &Live,
    rows: &[Row<'_, '_>],
    plan: Option<&Plan>,
    missing: &[&Address],
) -> String {
    let how = |verdict| {
        let found = rows.iter().filter_map(|(_, answer)| answer.as_ref().ok()?.as_ref());
        found.filter(|condition| condition.verdict == verdict).count()
    };
    let mut parts = Vec::new();
    for (verdict, word) in [
        (Verdict::Good, "fine"),
        (Verdict::Waiting, "starting"),
        (Verdict::Off, "stopped on purpose"),
    ] {
        let number = how(verdict);
        if number > 0 {
            parts.push(format!("{number} {word}"));
        }
    }
    let bad = rows.len() - how(Verdict::Good) - how(Verdict::Waiting) - how(Verdict::Off);
    if bad > 0 {
        parts.push(format!("{bad} not as it should be"));
    }
    if !missing.is_empty() {
        parts.push(format!("{} missing", missing.len()));
    }
    let mut out = format!("{}\n", parts.join(", "));
    if let Some(plan) = plan {
        let pending = pending(plan);
        let shown: std::collections::BTreeSet<_> =
            rows.iter().map(|(target, _)| &target.record.address).collect();
        let shown = |address: &Address| shown.contains(address) || missing.contains(&address);
        let others = pending.keys().filter(|address| !shown(address)).count();
        let drifted = pending.values().filter(|(_, drifted)| *drifted).count();
        let records = live.state.records.len();
        let next = match pending.len() {
            0 => format!("all {} are as declared\n", count(records, "record")),
            all => {
                let elsewhere = match others {
                    0 => String::new(),
                    others => format!(", {others} of them not in this table"),
                };
                let foreign = match drifted {
                    0 => String::new(),
                    drifted => format!("; {drifted} changed outside dollop"),
                };
                let all = count(all, "change");
                format!("{all} to make{elsewhere}{foreign}: `dollop plan` shows them\n")
            }
        };
        out.push_str(&next);
    }
    out
}

fn document(
    live: &Live,
    rows: &[Row<'_, '_>],
    plan: Option<&Plan>,
    missing: &[&Address],
) -> Json {
    let pending = plan.map(pending).unwrap_or_default();
    let resources = rows.iter().map(|(target, answer)| {
        let address = &target.record.address;
        let condition = answer.as_ref().ok().and_then(Option::as_ref);
        json!({
            "address": address,
            "name": target.label,
            "verdict": match answer {
                Err(_) => "unknown",
                Ok(None) => "gone",
                Ok(Some(found)) => verdict(found.verdict),
            },
            "state": condition.map(|found| &found.state),
            "health": condition.and_then(|found| found.health.as_ref()),
            "since": condition.and_then(|found| found.since).map(time),
            "restarts": condition.map(|found| found.restarts),
            "image": condition.and_then(|found| found.image.as_ref()),
            "digest": condition.and_then(|found| found.digest.as_ref()),
            "ports": condition.map(|found| found.endpoints.iter().map(endpoint).collect::<Vec<_>>()),
            "stopped": target.record.stopped.as_ref()
                .map(|stopped| json!({ "who": stopped.who, "when": stopped.when })),
            "plan": plan.map(|_| pending.get(address).map_or("keep", |(action, _)| word(*action))),
            "drift": plan.map(|_| pending.get(address).is_some_and(|(_, drifted)| *drifted)),
            "error": answer.as_ref().err().map(|error| live.redactor.clean(&error.message)),
        })
    });
    let missing = missing.iter().map(|address| {
        let plan = pending.get(*address).map(|(action, _)| word(*action));
        json!({ "address": address, "name": address, "verdict": "missing", "plan": plan })
    });
    json!({
        "format_version": FORMAT_VERSION,
        "stack": live.session.project.stack,
        "resources": resources.chain(missing).collect::<Vec<_>>(),
        "changes": plan.map(|_| pending.len()),
    })
}

/// A verdict as programs read it.
pub(super) fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Good => "good",
        Verdict::Off => "off",
        Verdict::Waiting => "waiting",
        Verdict::Bad => "bad",
    }
}

/// A point in time as programs read it.
pub(super) fn time(when: SystemTime) -> String {
    humantime::format_rfc3339_millis(when).to_string()
}

fn endpoint(end: &Endpoint) -> Json {
    json!({ "host": end.host, "port": end.port, "inner": end.inner, "scheme": end.scheme })
}
