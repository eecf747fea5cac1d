//! `dollop version`.

use crate::error::{CommandError, DONE};
use crate::terminal;

/// Prints the version and what it understands.
pub fn run() -> Result<u8, CommandError> {
    let mut text = format!("dollop {}\n", env!("CARGO_PKG_VERSION"));
    for (name, _) in dollop_stdlib::registry().providers() {
        text.push_str(&format!("  provider {name}\n"));
    }
    text.push_str(&format!("  plan format {}\n", dollop_engine::plan::FORMAT));
    terminal::print(&text)?;
    Ok(DONE)
}
