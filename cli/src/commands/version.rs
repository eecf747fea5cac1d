//! `dollop version`.

use std::fmt::Write as _;

use crate::error::{CommandError, DONE};
use crate::terminal;

/// Prints the version and what it understands.
pub fn run() -> Result<u8, CommandError> {
    let mut text = format!("dollop {}\n", env!("CARGO_PKG_VERSION"));
    for (name, _) in dollop_stdlib::registry().providers() {
        let _ = writeln!(text, "  provider {name}");
    }
    let _ = writeln!(text, "  plan format {}", dollop_engine::plan::FORMAT);
    terminal::print(&text)?;
    Ok(DONE)
}
