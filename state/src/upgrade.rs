//! From older formats to the one of today, one function each.
//!
//! None is needed yet: format 1 is the first. To change the format, raise
//! [`FORMAT`](crate::FORMAT), add a row to [`UPGRADES`] for the format left behind, and keep
//! a fixture of it in `tests/fixtures`; the one of format 1 is read by `tests/format.rs`.

use serde_json::Value as Json;

/// What a stored text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The store's head.
    Head,
    /// All outputs.
    Outputs,
    /// One record.
    Record,
    /// One journal entry.
    Event,
    /// One line of the trail.
    Trail,
    /// The header of a revision.
    RevisionHeader,
    /// The state in a revision.
    RevisionBody,
}

/// Turns what one format wrote into what the next would have written.
type Upgrade = fn(Kind, Json) -> Json;

/// The function at index 0 leads from format 1 to 2, and so on.
const UPGRADES: &[Upgrade] = &[];

const _: () = assert!(
    UPGRADES.len() + 1 == crate::codec::FORMAT as usize,
    "each format but the newest needs an upgrade"
);

/// Leads a text from an older format to today's.
pub(crate) fn upgrade(kind: Kind, from: u32, json: Json) -> Json {
    let first = (from as usize).saturating_sub(1);
    UPGRADES.iter().skip(first).fold(json, |json, step| step(kind, json))
}
