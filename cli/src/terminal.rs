//! The streams: where text goes, how wide it may be, whether it has colour.

use std::io::{ErrorKind, IsTerminal as _, Write as _};

use anstream::ColorChoice;

use crate::args::Color;
use crate::error::CommandError;

/// As good as no limit: where nobody sits in front of columns, nothing is cut.
pub const UNBOUNDED: usize = 10_000;

/// Sets for the whole process whether there is colour; `auto` heeds `NO_COLOR`,
/// `CLICOLOR_FORCE` and what the stream is.
pub fn set_color(color: Color) {
    match color {
        Color::Auto => ColorChoice::Auto,
        Color::Always => ColorChoice::Always,
        Color::Never => ColorChoice::Never,
    }
    .write_global();
}

/// The columns of stdout.
pub fn stdout_width() -> usize {
    width(std::io::stdout().is_terminal(), terminal_size::terminal_size_of(std::io::stdout()))
}

/// The columns of stderr.
pub fn stderr_width() -> usize {
    width(std::io::stderr().is_terminal(), terminal_size::terminal_size_of(std::io::stderr()))
}

/// `COLUMNS` first, then the terminal, then no limit.
fn width(terminal: bool, size: Option<(terminal_size::Width, terminal_size::Height)>) -> usize {
    let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    match (columns, size) {
        (Some(columns), _) => usize::max(columns, 20),
        (None, Some((width, _))) if width.0 > 0 => usize::from(width.0).max(20),
        _ if terminal => 80,
        _ => UNBOUNDED,
    }
}

/// Writes data to stdout.
///
/// A reader that went away (`dollop plan | head`) is not an error.
pub fn print(text: &str) -> Result<(), CommandError> {
    write(text).map(drop)
}

/// Writes one piece of data that others follow to stdout; `false` when nobody reads any more.
pub fn write(text: &str) -> Result<bool, CommandError> {
    let mut out = anstream::stdout();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(CommandError::failed(format!("cannot write to stdout: {error}"))),
    }
}

/// Writes talk to stderr; when nobody listens there is nobody to tell.
pub fn say(text: &str) {
    let mut out = anstream::stderr();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
