//! What the engine must know about a kind, and how several of it are changed.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[cfg(doc)]
use super::{Concurrency, Resource};
use crate::path::{Path, Segment};

/// Whether the world's name for an object is an attribute of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// The first argument in the script names the real object; `name:` overrides it.
    Natural,
    /// The first argument is only a label; other attributes identify the object.
    Label,
}

/// What the engine must know about a kind beside its attributes.
#[expect(clippy::struct_excessive_bools, reason = "each says one thing about a kind")]
#[derive(Clone, Debug)]
pub struct Traits {
    /// Whether the name is the real one.
    pub naming: Naming,
    /// Attributes that name the objects it lives in, outermost first. They are part of the
    /// address, set by calling the kind on a handle of the parent, and imply replacement.
    pub within: &'static [&'static str],
    /// The attributes that tell one real object from another, beside the parents and the name:
    /// for a label all there is, for a natural name what several objects of one name differ in.
    pub identity: &'static [&'static str],
    /// The kind whose objects it is named after: `rabbitmq::user` for the permissions of a
    /// user.
    pub named_after: Option<&'static str>,
    /// Deleting or replacing it loses what people stored in it.
    pub holds_data: bool,
    /// Replacing it may lose what people stored in it, as [`Resource::held`] tells.
    pub may_hold_data: bool,
    /// Attributes that stand for objects which take it along in the service when they go. Where
    /// such an object is all that is made anew, nothing is sent to remove it first: it would be
    /// gone if the removal of the other is refused. Making it is fine when it is there.
    pub goes_with: &'static [&'static str],
    /// It does nothing unless something else uses it.
    pub for_others: bool,
    /// [`Resource::update`] gives it another natural name; without this, another name means
    /// another object. What is named after it (`x-handle`) goes along where the name is also
    /// the id, see [`Resource::id_of`].
    pub renames: bool,
    /// Whether it gets ready some time after it is made, see [`Resource::ready`].
    pub gets_ready: bool,
    /// Whether it exists in the state only (a random password): nobody can look it up.
    pub only_recorded: bool,
    /// It has the attributes `replicas`, how many of it there are, and `replica_of`, the
    /// name all of these share.
    pub replicas: bool,
    /// Calls that come at the same time become one: they wait for each other anyhow, so each of
    /// them counts neither as under way nor against the connection's [`Concurrency`]. The kind
    /// itself makes sure that there are no more joint calls at once than that says.
    pub joins: bool,
    /// Attributes that are something else than by default where one beside them is secret and
    /// they are left out: the one beside, the attribute, and what it is then.
    pub when_secret: &'static [(&'static str, &'static str, &'static str)],
    /// What to write in place of what other tools have.
    pub instead: Instead,
}

/// Names that people bring along from elsewhere and that are no attributes, with what to
/// write instead, or why there is nothing: `("deploy", "..")`; of a part of an attribute
/// `("ports.mode", "..")`, whatever stands between.
#[derive(Clone, Copy, Debug)]
pub struct Instead(pub &'static [(&'static str, &'static str)]);

impl Instead {
    /// What to write instead of something that is no attribute.
    pub fn words(self, path: &Path) -> Option<&'static str> {
        let first = path.first()?;
        let last = path.0.iter().skip(1).rev().find_map(|segment| match segment {
            Segment::Key(key) => Some(key.as_str()),
            Segment::Index(_) => None,
        });
        let is_it = |name: &str| match (name.split_once('.'), last) {
            (None, None) => name == first,
            (Some((outer, inner)), Some(last)) => outer == first && inner == last,
            _ => false,
        };
        self.0.iter().find(|(name, _)| is_it(name)).map(|(_, words)| *words)
    }
}

impl Traits {
    /// What tells one real object from another in its place.
    pub fn telling(&self) -> Vec<&'static str> {
        let name = (self.naming == Naming::Natural).then_some("name");
        name.into_iter().chain(self.identity.iter().copied()).collect()
    }
}

impl Default for Traits {
    fn default() -> Self {
        Self {
            naming: Naming::Natural,
            within: &[],
            identity: &[],
            named_after: None,
            holds_data: false,
            may_hold_data: false,
            goes_with: &[],
            for_others: false,
            renames: false,
            gets_ready: false,
            only_recorded: false,
            replicas: false,
            joins: false,
            when_secret: &[],
            instead: Instead(&[]),
        }
    }
}

/// How replicas of one thing are changed, see [`Traits::replicas`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rolling {
    /// How many at once; 0 for all.
    pub parallelism: usize,
    /// How long to pause before the next ones.
    pub delay: Duration,
    /// What becomes of the change when one does not work.
    pub on_failure: OnFailure,
}

impl Default for Rolling {
    fn default() -> Self {
        Self { parallelism: 1, delay: Duration::ZERO, on_failure: OnFailure::default() }
    }
}

/// What becomes of a change of replicas when one does not work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    /// The others stay as they are.
    #[default]
    Pause,
    /// The others are changed all the same.
    Continue,
    /// It is made again as it was, and so are those that were changed before.
    Rollback,
}
