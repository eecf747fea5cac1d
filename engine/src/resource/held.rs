//! What people stored in objects that are about to go or to change.

/// What people stored in an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    /// The kind cannot tell.
    Unknown,
    /// Nothing that would be missed, in words: `no messages, 2 consumers`.
    Nothing(String),
    /// Something, in words that complete "it holds …": `1,204 messages, 2 consumers`.
    Content(String),
}

/// Whether what is stored in an object moves to the one made in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Migration {
    /// It does not: the object is replaced.
    None,
    /// It does, and it stays the same object: this change of these attributes is like any other.
    InPlace,
    /// It does, while others go on using it.
    Live,
    /// It does, while nobody uses it: what stands for it by name is removed before and made
    /// again after.
    Offline,
}

/// When [`Resource::held`](super::Resource::held) is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// While planning: a cheap answer, and nothing is touched.
    Planning,
    /// Right before the removal: what the answer says is not there may be lost.
    Removing,
}
