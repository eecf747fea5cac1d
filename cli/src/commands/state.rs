//! `dollop state`: look into the recorded state.

use dollop_engine::journal::{Effect, Event, StepId};
use dollop_engine::store::{RunEnd, Store as _};
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

/// Takes records out of the state, as a run of its own: journaled, with a revision.
fn forget(args: &StateForgetArgs) -> Result<u8, CommandError> {
    let session = Session::new(args.place.project()?);
    let store = SledStore::open(&session.state_folder(), &Session::holder("state forget"))?;
    let state = store.state()?;
    let mut gone = Vec::new();
    for address in &args.addresses {
        if !state.records.contains_key(address) {
            return Err(CommandError::failed(format!("the state has no `{address}`"))
                .hint("`dollop state list` shows what it has"));
        }
        let behind = state.records.values().filter(|r| r.connection.as_ref() == Some(address));
        gone.extend(behind.map(|record| record.address.clone()));
        gone.push(address.clone());
    }
    gone.sort();
    gone.dedup();
    block_on(async {
        store.begin(session.run_info("state forget", "")).await?;
        for (number, address) in gone.iter().enumerate() {
            let step = StepId(u32::try_from(number).unwrap_or(u32::MAX));
            let address = address.clone();
            let started = Event::Started { step, address: address.clone(), intent: None };
            store.append(started).await?;
            store.append(Event::Done { step, effect: Effect::Remove(address) }).await?;
        }
        store.finish(RunEnd { complete: true, outputs: None }).await?;
        Ok(())
    })?;
    for address in &gone {
        terminal::say(&format!("forgot {address}\n"));
    }
    Ok(DONE)
}

fn snapshot(place: &PlaceArgs) -> Result<Snapshot, CommandError> {
    let folder = state_folder(&place.project()?);
    let snapshot = read_state(&folder)?;
    snapshot.notes.iter().for_each(|text| note(text));
    Ok(snapshot)
}
