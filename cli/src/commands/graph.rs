//! `dollop graph`: who needs whom, as a picture.

use crate::args::{GraphArgs, GraphFormat};
use crate::commands::load;
use crate::error::{CommandError, DONE};
use crate::render::graph;
use crate::terminal;

/// Prints the graph.
pub fn run(args: &GraphArgs) -> Result<u8, CommandError> {
    let (_, found) = load(&args.stack)?;
    terminal::print(&match args.format {
        GraphFormat::Dot => graph::dot(&found),
        GraphFormat::Mermaid => graph::mermaid(&found),
    })?;
    Ok(DONE)
}
