//! `dollop completions`: what a shell needs to complete commands.

use clap::CommandFactory as _;

use crate::args::{Cli, CompletionsArgs};
use crate::error::{CommandError, DONE};
use crate::terminal;

/// Prints the completion script of a shell.
pub fn run(args: &CompletionsArgs) -> Result<u8, CommandError> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "dollop", &mut text);
    terminal::print(&String::from_utf8_lossy(&text))?;
    Ok(DONE)
}
