//! `dollop completions`: what a shell needs to complete commands.

use crate::args::CompletionsArgs;
use crate::complete;
use crate::error::{CommandError, DONE};
use crate::terminal;

/// Prints the script that makes a shell ask dollop for completions.
pub fn run(args: &CompletionsArgs) -> Result<u8, CommandError> {
    let script = complete::registration(&args.shell.to_string())
        .map_err(|error| CommandError::usage(error.to_string()))?;
    terminal::print(&script)?;
    Ok(DONE)
}
