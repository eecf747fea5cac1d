//! `dollop state`, `taint` and `untaint`: look into the recorded state, and mend it.

use dollop_engine::address::Address;
use dollop_engine::diagnostic::did_you_mean;
use dollop_engine::journal::{Effect, Event, StepId};
use dollop_engine::store::{Record, RunEnd, State, Store as _};
use dollop_state::{SledStore, Snapshot, read_state};

use crate::args::{PlaceArgs, StateCommand, StateForgetArgs};
use crate::commands::note;
use crate::error::{CommandError, DONE};
use crate::render::{Screen, json, state};
use crate::session::{Session, block_on, state_folder};
use crate::terminal;

/// Lists addresses, or shows one record.
pub fn run(command: &StateCommand) -> Result<u8, CommandError> {
    let text = match command {
        StateCommand::List(place) => state::list(&snapshot(place)?.state),
        StateCommand::Forget(args) => return forget(args),
        StateCommand::Show(args) => {
            let state = snapshot(&args.place)?.state;
            if args.json {
                json::text(&state::one_json(&state, &args.address)?)
            } else {
                state::show_one(&state, &args.address, &Screen::wide(terminal::stdout_width()))?
            }
        }
    };
    terminal::print(&text)?;
    Ok(DONE)
}

/// Takes records out of the state.
fn forget(args: &StateForgetArgs) -> Result<u8, CommandError> {
    let session = Session::new(args.place.project()?);
    let store = SledStore::open(&session.state_folder(), &Session::holder("state forget"))?;
    let state = store.state()?;
    let mut gone = Vec::new();
    for address in &args.addresses {
        if !state.records.contains_key(address) {
            return Err(not_recorded(&state, address));
        }
        let behind = state.records.values().filter(|r| r.connection.as_ref() == Some(address));
        gone.extend(behind.map(|record| record.address.clone()));
        gone.push(address.clone());
    }
    gone.sort();
    gone.dedup();
    let effects = gone.iter().map(|address| Effect::Remove(address.clone())).collect();
    block_on(rewrite(&session, &store, "state forget", effects))?;
    for address in &gone {
        terminal::say(&format!("forgot {address}\n"));
    }
    Ok(DONE)
}

/// Marks records as broken, or takes the mark off.
pub fn taint(
    addresses: &[Address],
    place: &PlaceArgs,
    tainted: bool,
) -> Result<u8, CommandError> {
    let command = if tainted { "taint" } else { "untaint" };
    let session = Session::new(place.project()?);
    let store = SledStore::open(&session.state_folder(), &Session::holder(command))?;
    let state = store.state()?;
    let mut effects = Vec::new();
    let mut lines = Vec::new();
    for address in addresses {
        let Some(record) = state.records.get(address) else {
            return Err(not_recorded(&state, address));
        };
        if record.connection.is_none() {
            let message = format!("`{address}` is a connection: there is nothing to make anew");
            return Err(CommandError::failed(message));
        }
        if record.tainted == tainted {
            let how = if tainted { "is tainted already" } else { "is not tainted" };
            lines.push(format!("{address} {how}\n"));
            continue;
        }
        effects.push(Effect::Put(Box::new(Record { tainted, ..record.clone() })));
        lines.push(if tainted {
            format!("tainted {address}: the next apply makes it anew\n")
        } else {
            format!("untainted {address}\n")
        });
    }
    if !effects.is_empty() {
        block_on(rewrite(&session, &store, command, effects))?;
    }
    for line in &lines {
        terminal::say(line);
    }
    Ok(DONE)
}

/// Changes records as a run of its own: journaled, with a revision.
pub(super) async fn rewrite(
    session: &Session,
    store: &SledStore,
    command: &str,
    effects: Vec<Effect>,
) -> Result<(), CommandError> {
    store.begin(session.run_info(command, "")).await?;
    for (number, effect) in effects.into_iter().enumerate() {
        let step = StepId(u32::try_from(number).unwrap_or(u32::MAX));
        let address = match &effect {
            Effect::Put(record) => record.address.clone(),
            Effect::Remove(address) => address.clone(),
            Effect::All(_) | Effect::None => continue,
        };
        store.append(Event::Started { step, address, intent: None, deposed: None }).await?;
        store.append(Event::Done { step, effect }).await?;
    }
    store.finish(RunEnd { complete: true, outputs: None }).await?;
    Ok(())
}

fn not_recorded(state: &State, address: &Address) -> CommandError {
    let error = CommandError::failed(format!("the state has no `{address}`"));
    let text = address.to_string();
    let known: Vec<_> = state.records.keys().map(Address::to_string).collect();
    match did_you_mean(&text, known.iter().map(String::as_str)) {
        Some(meant) => error.hint(format!("did you mean `{meant}`?")),
        None => error.hint("`dollop state list` shows what it has"),
    }
}

fn snapshot(place: &PlaceArgs) -> Result<Snapshot, CommandError> {
    let folder = state_folder(&place.project()?);
    let snapshot = read_state(&folder)?;
    snapshot.notes.iter().for_each(|text| note(text));
    Ok(snapshot)
}
