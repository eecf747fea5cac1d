//! The colours, by meaning. Every render writes them; the stream strips them where they do
//! not belong, so nothing may depend on colour alone.

use anstyle::{AnsiColor, Style};

/// Headings and addresses.
pub const BOLD: Style = Style::new().bold();
/// Positions, folded lines, what can be skipped.
pub const DIM: Style = Style::new().dimmed();
/// What comes.
pub const NEW: Style = AnsiColor::Green.on_default();
/// What goes.
pub const GONE: Style = AnsiColor::Red.on_default();
/// What changes in place.
pub const CHANGED: Style = AnsiColor::Yellow.on_default();
/// What is only looked at or noted.
pub const LOOKED: Style = AnsiColor::Cyan.on_default();
/// Data loss and failures.
pub const DANGER: Style = AnsiColor::Red.on_default().bold();
/// Warnings and disturbances.
pub const CARE: Style = AnsiColor::Yellow.on_default().bold();
/// The word that differs inside text that comes.
pub const NEW_WORD: Style = AnsiColor::Green.on_default().bold().underline();
/// The word that differs inside text that goes.
pub const GONE_WORD: Style = AnsiColor::Red.on_default().bold().underline();

/// Text in a style.
pub fn paint(style: Style, text: impl std::fmt::Display) -> String {
    format!("{style}{text}{style:#}")
}
