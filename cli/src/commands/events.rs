//! `dollop events`: what happened to a stack, as its services and its own runs tell.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::time::SystemTime;

use dollop_engine::error::CallError;
use dollop_engine::operate::{Ability, Occurrence};
use dollop_state::{RevisionHeader, history};
use futures::stream::{self, BoxStream, StreamExt as _};
use serde_json::json;

use crate::args::EventsArgs;
use crate::commands::note;
use crate::error::{CommandError, DONE};
use crate::live::Live;
use crate::merge::merged;
use crate::render::style::{BOLD, DIM, LOOKED, paint};
use crate::render::text::{clean, count};
use crate::select::select;
use crate::session::block_on;
use crate::terminal;

/// What happened.
enum Happened {
    /// To an object, in the world.
    Object(Occurrence),
    /// A run of dollop ended.
    Run(Box<RevisionHeader>),
}

/// Merges the engine's events of the stack's objects with the stack's revisions.
pub fn run(args: &EventsArgs) -> Result<u8, CommandError> {
    let live = Live::open(&args.select.place)?;
    let chosen = select(live.state.records.values(), &args.select.what, &args.select.profiles)?;
    let everything = args.select.what.is_empty() && args.select.profiles.is_empty();
    let addresses: BTreeSet<_> = chosen.iter().map(|record| &record.address).collect();
    let revisions = revisions(&live, args.since.0)?;
    let now = SystemTime::now();
    block_on(async {
        let connections = live.able(live.state.records.values().collect(), Ability::Events);
        let registry = live.session.registry();
        // The connection nobody declared has no record, and may hold most of what there is.
        let mut told: Vec<_> = connections
            .iter()
            .map(|target| (target.record.address.clone(), target.operations.clone()))
            .collect();
        let implied = chosen.iter().filter_map(|record| record.connection.as_ref());
        for address in implied {
            let operations = registry.operations(address.kind());
            let able = operations.filter(|found| found.abilities().contains(&Ability::Events));
            if let Some(operations) = able
                && told.iter().all(|(known, _)| known != address)
            {
                told.push((address.clone(), operations.clone()));
            }
        }
        let mut ways = Vec::new();
        for (address, operations) in &told {
            let way = live.line(address).await.map_err(|error| live.explain(&error))?;
            let behind =
                chosen.iter().filter(|record| record.connection.as_ref() == Some(address));
            let objects: Vec<_> = behind.map(|record| live.object(record)).collect();
            ways.push((operations, way, objects));
        }
        let mut streams: Vec<BoxStream<'_, Result<Happened, CallError>>> = Vec::new();
        for (operations, way, objects) in &ways {
            let until = (!args.follow).then_some(now);
            let events = operations.events(&way.connection, objects, args.since.0, until);
            streams.push(events.map(|found| found.map(Happened::Object)).boxed());
        }
        let runs = revisions.into_iter().map(|run| Ok(Happened::Run(Box::new(run))));
        streams.push(stream::iter(runs).boxed());
        let meant = |address: &dollop_engine::address::Address| {
            everything || addresses.contains(address)
        };
        let end = merged(streams, args.follow, moment, |_, found| {
            let happened = match found {
                Ok(happened) => happened,
                Err(error) => return ControlFlow::Break(Err(live.explain(&error))),
            };
            let wanted = match &happened {
                Happened::Object(found) => meant(&found.address),
                Happened::Run(run) => {
                    let changes = &run.changes;
                    let all = [&changes.added, &changes.changed, &changes.removed];
                    everything || all.into_iter().flatten().any(meant)
                }
            };
            if !wanted {
                return ControlFlow::Continue(());
            }
            let text = if args.json { as_json(&happened) } else { as_text(&happened) };
            match terminal::write(&(text + "\n")) {
                Ok(true) => ControlFlow::Continue(()),
                Ok(false) => ControlFlow::Break(Ok(())),
                Err(error) => ControlFlow::Break(Err(error)),
            }
        });
        tokio::select! {
            end = end => end.unwrap_or(Ok(())).map(|()| DONE),
            _ = tokio::signal::ctrl_c() => Ok(DONE),
        }
    })
}

/// The runs that ended since then, oldest first.
fn revisions(live: &Live, since: SystemTime) -> Result<Vec<RevisionHeader>, CommandError> {
    let history = history(&live.session.state_folder())?;
    history.notes.iter().for_each(|text| note(text));
    let ended = |run: &RevisionHeader| humantime::parse_rfc3339(&run.ended).ok();
    let runs = history.revisions.into_iter();
    Ok(runs.filter(|run| ended(run).is_some_and(|ended| ended >= since)).collect())
}

fn moment(found: &Result<Happened, CallError>) -> SystemTime {
    match found {
        Ok(Happened::Object(found)) => found.when,
        Ok(Happened::Run(run)) => {
            humantime::parse_rfc3339(&run.ended).unwrap_or(SystemTime::UNIX_EPOCH)
        }
        Err(_) => SystemTime::UNIX_EPOCH,
    }
}

fn as_text(happened: &Happened) -> String {
    match happened {
        Happened::Object(found) => {
            let when = humantime::format_rfc3339_seconds(found.when);
            let address = found.address.to_string();
            let mut shown = format!(
                "{}  {}  {}",
                paint(DIM, when),
                paint(BOLD, clean(&address)),
                clean(&found.what)
            );
            if !found.detail.is_empty() {
                shown = format!("{shown}  {}", paint(DIM, clean(&found.detail)));
            }
            shown
        }
        Happened::Run(run) => {
            let changes = &run.changes;
            let mut parts = Vec::new();
            for (number, word) in [
                (changes.added.len(), "added"),
                (changes.changed.len(), "changed"),
                (changes.removed.len(), "removed"),
            ] {
                if number > 0 {
                    parts.push(format!("{} {word}", count(number, "record")));
                }
            }
            if parts.is_empty() {
                parts.push("nothing changed".to_owned());
            }
            let end = if run.complete { "" } else { ", not complete" };
            format!(
                "{}  {}  by {}  {}",
                paint(DIM, &run.ended),
                paint(LOOKED, format!("dollop {}", clean(&run.run.command))),
                clean(&run.run.who),
                paint(DIM, format!("state {}: {}{end}", run.serial, parts.join(", ")))
            )
        }
    }
}

fn as_json(happened: &Happened) -> String {
    match happened {
        Happened::Object(found) => json!({
            "time": humantime::format_rfc3339_nanos(found.when).to_string(),
            "address": found.address,
            "event": found.what,
            "detail": found.detail,
        }),
        Happened::Run(run) => json!({
            "time": run.ended,
            "run": run.run.command,
            "who": run.run.who,
            "begun": run.run.when,
            "serial": run.serial,
            "plan": run.run.plan,
            "complete": run.complete,
            "added": run.changes.added,
            "changed": run.changes.changed,
            "removed": run.changes.removed,
        }),
    }
    .to_string()
}
