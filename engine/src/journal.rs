//! The intent log of a run: what was about to be done, and what came of it.
//!
//! It exists for recovery, not for debugging. `Started` is durable before a provider is
//! called and `Done` before anything that depends on the step begins.

use serde::{Deserialize, Serialize};

use crate::address::Address;
use crate::store::Record;

/// The number of a step within its plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StepId(pub u32);

/// What a finished step changes in the state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// The record of its address is this now.
    Put(Box<Record>),
    /// Its address has no record any more.
    Remove(Address),
    /// All of these, at once.
    All(Vec<Effect>),
    /// Nothing.
    None,
}

impl Effect {
    /// All of them at once.
    pub fn together(mut effects: Vec<Self>) -> Self {
        match effects.len() {
            0 => Self::None,
            1 => effects.remove(0),
            _ => Self::All(effects),
        }
    }

    /// The effects it is made of, each on one record.
    pub fn parts(self) -> Vec<Self> {
        match self {
            Self::All(effects) => effects.into_iter().flat_map(Self::parts).collect(),
            Self::None => Vec::new(),
            one => vec![one],
        }
    }
}

/// One entry of the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The provider is about to be called.
    Started {
        /// Which step.
        step: StepId,
        /// Whose.
        address: Address,
        /// For a step that makes an object: the record it will have, interrupted and
        /// without id or facts, so that the object can be found again.
        intent: Option<Box<Record>>,
        /// For a step that makes an object while the one it replaces still stands: the
        /// record of that one, under its deposed address.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        deposed: Option<Box<Record>>,
    },
    /// The step did what it was for.
    Done {
        /// Which step.
        step: StepId,
        /// What it changes in the state.
        effect: Effect,
    },
    /// The provider said no. An object may be half made.
    Failed {
        /// Which step.
        step: StepId,
        /// What to keep in the state: the intent, when an object may exist.
        effect: Effect,
        /// The provider's words, without secrets.
        message: String,
    },
}

impl Event {
    /// The step it is about.
    pub fn step(&self) -> StepId {
        match self {
            Self::Started { step, .. }
            | Self::Done { step, .. }
            | Self::Failed { step, .. } => *step,
        }
    }
}

/// Where a step stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// Nothing happened yet.
    Waiting,
    /// The provider was called, or was about to be.
    Running,
    /// It did what it was for.
    Done,
    /// The provider said no.
    Failed,
}

/// An event that cannot follow what the journal says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("journal: step {} cannot go from {from:?} by {event}", step.0)]
pub struct OutOfOrder {
    step: StepId,
    from: Status,
    event: &'static str,
}

impl Status {
    /// The status after an event: the only definition of what may follow what.
    pub fn next(self, event: &Event) -> Result<Self, OutOfOrder> {
        let refuse = |name| Err(OutOfOrder { step: event.step(), from: self, event: name });
        match (self, event) {
            (Self::Waiting, Event::Started { .. }) => Ok(Self::Running),
            (Self::Running, Event::Done { .. }) => Ok(Self::Done),
            (Self::Running, Event::Failed { .. }) => Ok(Self::Failed),
            (_, Event::Started { .. }) => refuse("Started"),
            (_, Event::Done { .. }) => refuse("Done"),
            (_, Event::Failed { .. }) => refuse("Failed"),
        }
    }
}
