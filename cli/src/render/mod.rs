//! All text a person sees: functions from the engine's data to text, nothing printed.
//!
//! Text for a terminal carries styles; the stream it is written to strips them where they
//! do not belong.

pub mod backup;
pub mod diagnostic;
pub mod doc;
pub mod explain;
pub mod graph;
pub mod json;
pub mod leaf;
pub mod markdown;
pub mod output;
pub mod params;
pub mod plan;
pub mod progress;
pub mod reasons;
pub mod reference;
pub mod relations;
pub mod sarif;
pub mod schema;
pub mod sql;
pub mod stack;
pub mod state;
pub mod style;
pub mod table;
pub mod tally;
pub mod text;
pub mod textdiff;
pub mod timer;
pub mod words;

#[cfg(test)]
pub(crate) mod fixture;

/// What a render for a terminal must know about it.
#[derive(Clone, Copy, Debug)]
pub struct Screen {
    /// Columns.
    pub width: usize,
    /// Whether to show what is usually folded.
    pub verbose: bool,
}

impl Screen {
    /// A screen of so many columns that folds what can be folded.
    pub fn wide(width: usize) -> Self {
        Self { width, verbose: false }
    }
}
