//! What is to happen to one resource, and why.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::address::Address;
use crate::diagnostic::Span;
use crate::expr::Expr;
use crate::path::Path;
use crate::program::Lifecycle;
use crate::resource::{OnFailure, Rolling};
use crate::schema::Disruption;
use crate::store::Record;
use crate::value::Value;

/// What is to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It is made.
    Create,
    /// It is changed in place.
    Update,
    /// It is removed and made again.
    Replace,
    /// It is removed.
    Delete,
    /// It exists and is taken into the state; nothing happens in the world.
    Adopt,
    /// It goes along with what it lives in, which is removed or loses its data.
    Cascade,
    /// It is let out of the state; nothing happens in the world.
    Forget,
    /// Its server is away while planning: it is read once the server is back, and made or
    /// corrected if it is not as declared.
    Verify,
    /// Nothing.
    Keep,
}

/// Why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// It is declared and was not there before.
    New,
    /// It was made earlier and is gone from the world.
    Gone,
    /// Attributes differ.
    Changed,
    /// These attributes differ and cannot be changed in place.
    CannotUpdate(Vec<Path>),
    /// A new object is made in its place, and what is stored in the old one moves there.
    Migrates {
        /// The attributes that differ.
        paths: Vec<Path>,
        /// Whether nobody uses it meanwhile: what stands for it is made anew too.
        offline: bool,
    },
    /// An attribute stands for an object that is itself made anew.
    Follows {
        /// The attribute.
        via: Path,
        /// The object.
        address: Address,
    },
    /// Something is made that it is about without naming it.
    Covers {
        /// The first of what is made.
        address: Address,
        /// How many others are.
        others: usize,
    },
    /// The script says that it is made anew when this changes.
    Triggered {
        /// What changes.
        by: Address,
    },
    /// What it lived in loses its data.
    DataLost {
        /// The object that loses it.
        with: Address,
    },
    /// The script does not declare it any more.
    Undeclared,
    /// The profile it belongs to is off.
    ProfileOff(String),
    /// Everything is being destroyed.
    Destroy,
    /// What it lives in is removed, and it goes along.
    GoesWith(Address),
    /// The script says that it stays when it is not managed any more.
    Retained,
    /// Its making was interrupted; what is there is finished.
    Interrupted,
    /// The last apply failed at it; what is there is finished.
    Failed,
    /// It exists and the script asks to take it over, or it is ours and was forgotten.
    Adopted,
    /// It was recorded under this address, which is not declared any more.
    Renamed {
        /// The old address.
        from: Address,
    },
    /// It is declared under this address now.
    RenamedTo(Address),
    /// The script says to let go of it.
    Forgotten,
    /// It was asked for on the command line.
    Requested,
    /// Somebody marked it as broken.
    Tainted,
    /// Its connection cannot be opened before apply.
    Deferred(Address),
    /// Another has taken its place, and only removing it is left.
    Deposed,
}

/// How something new comes to stand where another one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Succession {
    /// An earlier run began it: what is replaced has a record of its own, under its deposed
    /// address. Otherwise it is what this very change replaces.
    pub begun: bool,
    /// The new one is made under the name of a stand-in and takes over in a step of its own.
    pub stand_in: bool,
}

/// One attribute, or part of one, that differs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// Where.
    pub path: Path,
    /// As it is; `None` when it is not there.
    pub before: Option<Value>,
    /// As it shall be; `None` when it goes. Known, or known after apply.
    pub after: Option<Expr>,
    /// Whether it changed outside dollop since the last run.
    pub drift: bool,
    /// Whether it is why the object must be replaced.
    pub replaces: bool,
    /// Where the script sets it.
    pub span: Option<Span>,
}

/// What is to happen to one resource.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Whose.
    pub address: Address,
    /// Through which connection; `None` for a connection itself.
    pub connection: Option<Address>,
    /// What is to happen.
    pub action: Action,
    /// Why, weightiest first.
    pub reasons: Vec<Reason>,
    /// What differs, in the order of the attributes. For a create every attribute that is
    /// set; for a delete every attribute that was.
    pub differences: Vec<Difference>,
    /// How much it disturbs.
    pub disruption: Disruption,
    /// As it is now, secrets marked; `None` when it does not exist.
    pub before: Option<Value>,
    /// As it shall be, in normal form as far as known; `None` when it goes.
    pub after: Option<Expr>,
    /// The id of the object as it is.
    pub id: Option<String>,
    /// What the service reports now.
    pub facts: Value,
    /// What it needs, for the record.
    pub dependencies: Vec<Address>,
    /// How it is treated.
    #[serde(deserialize_with = "Lifecycle::read_shared")]
    pub lifecycle: Arc<Lifecycle>,
    /// Set when it is made before what it replaces is removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub succession: Option<Succession>,
    /// Set when it is one of several that are not all changed at once, or is made again as
    /// it was when its replacement fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rolling: Option<Rolling>,
    /// The call that declares it.
    pub span: Option<Span>,
}

impl Action {
    /// Whether something in the world may change.
    pub fn touches_world(self) -> bool {
        matches!(
            self,
            Self::Create
                | Self::Update
                | Self::Replace
                | Self::Delete
                | Self::Cascade
                | Self::Verify
        )
    }
}

impl Reason {
    /// Why what an earlier run left half-way is finished.
    pub(crate) fn left(record: &Record) -> Self {
        if record.failed { Self::Failed } else { Self::Interrupted }
    }
}

impl Change {
    /// Whether something in the world changed it outside dollop.
    pub fn drifted(&self) -> bool {
        self.reasons.contains(&Reason::Gone) || self.differences.iter().any(|d| d.drift)
    }

    /// Whether it stays and is only stopped, because its profile is off.
    pub fn stops(&self) -> bool {
        self.action == Action::Update
            && self.reasons.iter().any(|reason| matches!(reason, Reason::ProfileOff(_)))
    }

    /// Whether it is about something that is made in the same run.
    pub fn covers_new(&self) -> bool {
        self.reasons.iter().any(|reason| matches!(reason, Reason::Covers { .. }))
    }

    /// Whether it is made again as it was when its replacement fails.
    pub fn rolls_back(&self) -> bool {
        self.rolling.is_some_and(|rolling| rolling.on_failure == OnFailure::Rollback)
    }

    /// Whether a new object is made in its place, and what is stored moves there while
    /// nobody uses it.
    pub fn migrates_offline(&self) -> bool {
        self.reasons
            .iter()
            .any(|reason| matches!(reason, Reason::Migrates { offline: true, .. }))
    }

    /// Whether this change replaces an object and makes its successor first.
    pub fn creates_first(&self) -> bool {
        self.succession.is_some_and(|succession| !succession.begun)
    }

    /// Whether what people stored is lost.
    pub fn loses_data(&self) -> bool {
        self.disruption == Disruption::DataLoss
    }
}
