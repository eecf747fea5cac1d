//! `dollop state`: look into the recorded state.

use dollop_state::{Snapshot, read_state};

use crate::args::{PlaceArgs, StateCommand};
use crate::commands::note;
use crate::error::{CommandError, DONE};
use crate::project::Project;
use crate::render::{Screen, json, state};
use crate::session::state_folder;
use crate::terminal;

/// Lists addresses, or shows one record.
pub fn run(command: &StateCommand) -> Result<u8, CommandError> {
    let text = match command {
        StateCommand::List(place) => state::list(&snapshot(place)?.state),
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

fn snapshot(place: &PlaceArgs) -> Result<Snapshot, CommandError> {
    let folder = state_folder(&Project::find(place.stack.as_deref())?);
    let snapshot = read_state(&folder)?;
    snapshot.notes.iter().for_each(|text| note(text));
    Ok(snapshot)
}
