//! `dollop explain`: what a code means and what to do.

use dollop_engine::diagnostic::Code;

use crate::args::ExplainArgs;
use crate::error::{CommandError, DONE};
use crate::render::explain;
use crate::terminal;

/// Shows one page, or the list.
pub fn run(args: &ExplainArgs) -> Result<u8, CommandError> {
    let width = terminal::stdout_width();
    terminal::print(&match &args.code {
        None => explain::list(),
        Some(text) => {
            let code = text.parse::<Code>().map_err(|error| {
                let error = CommandError::usage(error.to_string());
                match Code::like(text) {
                    Some(near) => error.hint(format!("did you mean `{near}`?")),
                    None => error.hint("`dollop explain` lists them"),
                }
            })?;
            explain::page(code, width)
        }
    })?;
    Ok(DONE)
}
