//! What happens beside what is previewed.

use super::{Proposed, Wanted};
use crate::value::Value;

/// What else a plan does behind the connection of what is previewed.
#[derive(Debug, Default)]
pub struct Beside {
    /// What is made or changed of other kinds.
    pub proposed: Vec<Proposed<Value>>,
    /// Whether more is made or changed of other kinds, of which not all is known yet.
    pub more: bool,
    /// What goes, of the same kind as well.
    pub gone: Vec<Wanted<Value>>,
}
