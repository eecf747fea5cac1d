//! `dollop doc`: the manual, offline.

use crate::args::DocArgs;
use crate::error::{CommandError, DONE};
use crate::manual;
use crate::render::doc;
use crate::terminal;

/// Shows what a name stands for, or what there is.
pub fn run(args: &DocArgs) -> Result<u8, CommandError> {
    let registry = dollop_stdlib::registry();
    let columns = terminal::stdout_width();
    let text = match &args.name {
        None => doc::index(&registry, columns),
        Some(name) => {
            let topics = manual::find(&registry, name)?;
            let pages: Vec<_> =
                topics.iter().map(|topic| doc::page(&registry, topic, columns)).collect();
            pages.join("\n")
        }
    };
    terminal::print(&text)?;
    Ok(DONE)
}
