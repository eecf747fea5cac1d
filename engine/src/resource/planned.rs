//! What [`Resource::survey`] is told of a plan.

use std::collections::{BTreeMap, BTreeSet};

use super::Name;
#[cfg(doc)]
use super::Resource;

/// An object as it shall be, for [`Resource::survey`].
#[derive(Clone, Debug)]
pub struct Planned<Spec> {
    /// What it is called.
    pub name: Name,
    /// As it shall be.
    pub spec: Spec,
    /// The id it has now; `None` when it does not exist.
    pub id: Option<String>,
    /// Whether an object is made for it.
    pub made: bool,
}

/// What else a stack declares, by kind and by what the world calls it, for
/// [`Resource::survey`].
#[derive(Clone, Debug, Default)]
pub struct Declared {
    names: BTreeMap<String, BTreeSet<String>>,
    /// Kinds of which one has a name that is known only later.
    unsure: BTreeSet<String>,
}

impl Declared {
    /// Notes one; without its name, where that is known only later.
    pub(crate) fn add(&mut self, kind: &str, natural: Option<&str>) {
        match natural {
            Some(natural) => {
                self.names.entry(kind.to_owned()).or_default().insert(natural.to_owned());
            }
            None => {
                self.unsure.insert(kind.to_owned());
            }
        }
    }

    /// Whether the stack has, or may have, an object of a kind and name.
    pub fn may_have(&self, kind: &str, natural: &str) -> bool {
        self.unsure.contains(kind)
            || self.names.get(kind).is_some_and(|names| names.contains(natural))
    }
}
