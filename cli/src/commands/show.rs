//! `dollop show`: the recorded state, or a saved plan.

use dollop_state::{Keyring, read_state};

use crate::args::{Format, ShowArgs};
use crate::commands::{note, show_plan};
use crate::error::{CommandError, DONE};
use crate::project::Project;
use crate::render::{Screen, json, state};
use crate::saved;
use crate::session::state_folder;
use crate::terminal;

/// Shows it.
pub fn run(args: &ShowArgs) -> Result<u8, CommandError> {
    // A saved plan where a stack may stand: of the stack of this folder.
    let given = args.stack.as_deref().filter(|file| args.plan.is_none() && saved::is_one(file));
    let project = match given {
        Some(_) => Project::find(None, args.environment.environment())?,
        None => args.project()?,
    };
    let folder = state_folder(&project);
    if let Some(file) = args.plan.as_deref().or(given) {
        let plan = saved::read(file, &Keyring::load(&folder)?)?;
        show_plan(&plan, &dollop_stdlib::registry(), args.format, args.verbose)?;
        return Ok(DONE);
    }
    let snapshot = read_state(&folder)?;
    snapshot.notes.iter().for_each(|text| note(text));
    let screen = Screen { width: terminal::stdout_width(), verbose: args.verbose };
    terminal::print(&match args.format {
        Format::Text => state::show(&snapshot.state, &screen),
        Format::Json => json::text(&state::json(&snapshot.state)),
        Format::Markdown => {
            return Err(CommandError::usage("a state has no Markdown form")
                .hint("use `--format text` or `--format json`"));
        }
    })?;
    Ok(DONE)
}
