//! `dollop output`: the outputs of the last apply.

use dollop_state::read_state;

use crate::args::{OutputArgs, PlaceArgs, StackArgs};
use crate::commands::note;
use crate::error::{CommandError, DONE};
use crate::render::output;
use crate::render::text::clean;
use crate::session::{Session, state_folder};
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
    if let Some(name) = &args.name {
        deprecation(&args.place, name);
    }
    Ok(DONE)
}

/// Says that an output should not be read any more. Only the script knows; when it is broken
/// or gone, what was applied is shown all the same.
fn deprecation(place: &PlaceArgs, name: &str) {
    let args = StackArgs {
        stack: place.stack.clone(),
        environment: place.environment.clone(),
        ..StackArgs::default()
    };
    let inputs = args.project().and_then(|project| Session::new(project).inputs(&args));
    let outputs = inputs.map(|inputs| inputs.outputs).unwrap_or_default();
    let found = outputs.into_iter().find(|output| output.name == name);
    if let Some(instead) = found.and_then(|output| output.deprecated) {
        let colon = if instead.is_empty() { "" } else { ": " };
        let text = format!("output `{name}` is deprecated{colon}{instead}");
        terminal::say(&format!("{}\n", clean(&text)));
    }
}
