//! What the world looks like, as far as it was read.

use std::collections::{BTreeMap, HashMap};

use crate::address::Address;
use crate::analysis::Lint;
use crate::error::CallError;
use crate::kind::FoundObject;

/// The answer about one object.
#[derive(Clone, Debug)]
pub enum Observation {
    /// It exists.
    Found(FoundObject),
    /// It does not exist.
    Gone,
    /// Too little is known of it to look for it; apply will.
    Unchecked,
    /// It could not be read.
    Unreadable(CallError),
}

/// The answer of one connection.
#[derive(Clone, Debug)]
pub enum Answer {
    /// It was opened and what lives behind it was read.
    Open,
    /// It did not answer, or said no.
    Failed(CallError),
}

/// Everything read so far.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// Objects, by address.
    pub objects: HashMap<Address, Observation>,
    /// Connections, by address.
    pub connections: BTreeMap<Address, Answer>,
    /// What has another name than it is recorded with, which a run that was killed gave it.
    pub renamed: BTreeMap<Address, String>,
    /// What stands against the plan, by the address of what it concerns.
    pub surveyed: Vec<(Address, Lint)>,
}
