//! What exists of a kind, for an import.

use super::Found;
#[cfg(doc)]
use super::Resource;

/// Everything of a kind that exists, for [`Resource::list`].
#[derive(Clone, Debug)]
pub struct Listing<Spec, Facts> {
    /// The objects, in any order.
    pub objects: Vec<Listed<Spec, Facts>>,
    /// What cannot be declared, and why: ``shovel `x` speaks AMQP 1.0``.
    pub left_out: Vec<String>,
}

/// One object that exists.
#[derive(Clone, Debug)]
pub struct Listed<Spec, Facts> {
    /// As [`Resource::read`] finds it.
    pub found: Found<Spec, Facts>,
    /// The service's own: not for a stack to declare, but others may refer to it.
    pub built_in: bool,
    /// What its attributes do not say, in words: for a comment beside it.
    pub remarks: Vec<String>,
    /// Other objects behind the connection that must be there first, beside those that its
    /// attributes name: the tables that a query reads.
    pub needs: Vec<Need>,
}

/// An object that another one needs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Need {
    /// Its kind: `postgres::table`. Another word for what has no kind: what needs that cannot
    /// be declared either.
    pub kind: String,
    /// Its id.
    pub id: String,
    /// What it is, in words: "table `orders`".
    pub what: String,
    /// Whether it only comes first where it is there: without it the other one can be declared
    /// as well.
    pub only_first: bool,
}

/// Nothing exists.
impl<Spec, Facts> Default for Listing<Spec, Facts> {
    fn default() -> Self {
        Self { objects: Vec::new(), left_out: Vec::new() }
    }
}
