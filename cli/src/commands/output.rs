//! `dollop output`: the outputs of the last apply.

use dollop_state::read_state;

use crate::args::OutputArgs;
use crate::commands::note;
use crate::error::{CommandError, DONE};
use crate::render::output;
use crate::session::state_folder;
use crate::terminal;

/// Shows one or all.
pub fn run(args: &OutputArgs) -> Result<u8, CommandError> {
    let folder = state_folder(&args.place.project()?);
    let snapshot = read_state(&folder)?;
    snapshot.notes.iter().for_each(|text| note(text));
    let outputs = &snapshot.state.outputs;
    terminal::print(&match &args.name {
        Some(name) if args.raw => output::one_raw(outputs, name)?,
        Some(name) if args.json => output::one_json(outputs, name)?,
        Some(name) => output::one(outputs, name)?,
        None if args.json => output::all_json(outputs),
        None => output::table(outputs),
    })?;
    Ok(DONE)
}
