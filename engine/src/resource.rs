//! The traits a provider author writes. Nothing in them mentions scripts, plans or state.

mod beside;
mod concurrency;
mod connection;
mod held;
mod listing;
mod planned;
mod script;
mod traits;

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::address::Address;
use crate::analysis::{Claimed, Lint};
use crate::error::CallError;

pub use beside::Beside;
pub use concurrency::Concurrency;
pub use connection::Connection;
pub use held::{Held, Migration, Moment};
pub use listing::{Listed, Listing, Need};
pub use planned::{Declared, Planned};
pub use script::Script;
pub use traits::{Instead, Naming, OnFailure, Rolling, Traits};

/// The folder of a stack's state beside its scripts. It holds the key of what is sealed, so
/// whatever copies the folder around it leaves it out.
pub const STATE_FOLDER: &str = ".dollop";

/// Where a stack runs; given to every connection that is opened.
#[derive(Clone, Debug)]
pub struct Scope {
    /// The stack's name, part of default names and of ownership marks.
    pub stack: String,
    /// The project folder; relative paths start here.
    pub folder: PathBuf,
}

/// What an object is called, here and in the world.
#[derive(Clone, Debug, PartialEq)]
pub struct Name {
    /// The stack it belongs to.
    pub stack: String,
    /// What the script calls it.
    pub address: Address,
    /// What the world calls it: the `name` attribute.
    pub natural: String,
}

/// An object that is looked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted<Spec> {
    /// Its id when it was made; `None` to look for it by its natural name and parents.
    pub id: Option<String>,
    /// What it is called.
    pub name: Name,
    /// What was last written to it, or what is about to be: tells what the service cannot
    /// (a password that only verifies, say) and which parent to look in.
    pub spec: Spec,
    /// The facts recorded when it was last written or read, secrets in clear; `None` when
    /// nothing is recorded. Objects that exist only in the record (a random password) have
    /// no other place to be read from; all others ignore it.
    pub facts: Option<serde_json::Value>,
}

/// Who an object that exists belongs to, as far as its marks tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// This stack and address.
    Ours,
    /// The service keeps no marks.
    Unmarked,
    /// Somebody else, as words of a message: "it belongs to stack `other`".
    Other(String),
}

/// An object as it is.
#[derive(Clone, Debug)]
pub struct Found<Spec, Facts> {
    /// How the service identifies it.
    pub id: String,
    /// What the world calls it now.
    pub natural: String,
    /// Its attributes, in the same normal form as [`Resource::normalize`] gives.
    pub spec: Spec,
    /// What else the service reports.
    pub facts: Facts,
    /// Whose it is.
    pub owner: Owner,
}

/// An object that was made.
#[derive(Clone, Debug)]
pub struct Created<Facts> {
    /// How the service identifies it.
    pub id: String,
    /// What the service reports.
    pub facts: Facts,
}

/// A rule across attributes that a spec breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The attribute at fault.
    pub attribute: String,
    /// What is wrong: lower case, no full stop.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Problem {
    /// One without a hint.
    pub fn new(attribute: impl Into<String>, message: impl Into<String>) -> Self {
        Self { attribute: attribute.into(), message: message.into(), hint: None }
    }

    /// Says what to do about it.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Something a resource alone decides about, beside its own object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Territory {
    /// Where it is, from the wide to the narrow. It holds everything whose path begins so.
    pub path: Vec<String>,
    /// What it is, in words: "the privileges of `app` on table `t`".
    pub what: String,
}

/// An object as it is to be.
#[derive(Clone, Debug)]
pub struct Proposed<Spec> {
    /// What it is called.
    pub name: Name,
    /// How the service identifies it; `None` when it is not there.
    pub id: Option<String>,
    /// As it is now; `None` when it is not there.
    pub from: Option<Spec>,
    /// As it shall be.
    pub to: Spec,
    /// Whether what is there goes and another is made in its place.
    pub anew: bool,
}

/// What a service tells about an object that is to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preview {
    /// What a reader of the plan should know: lower case, no full stop, no secrets.
    pub notes: Vec<String>,
    /// Why it cannot be.
    pub problems: Vec<Problem>,
    /// What is sent, where the service's own lists tell more than [`Resource::script`] knows:
    /// no secrets.
    pub script: Option<Script>,
    /// What people stored that the change takes away, in words that complete "it holds …".
    /// It goes only with consent by the address, as what [`Resource::held`] tells does.
    pub loses: Option<String>,
}

/// One kind of resource.
///
/// Calls are idempotent where the service allows: deleting what is gone succeeds.
pub trait Resource: Send + Sync + 'static {
    /// The name in scripts: `docker::network`.
    const KIND: &'static str;
    /// What it lives in.
    type Connection: Connection;
    /// What users set. Defaults are constants, so that reading back can be compared.
    type Spec: Serialize + DeserializeOwned + JsonSchema + Send + Sync;
    /// What the world reports; never overlaps with `Spec`.
    type Facts: Serialize + DeserializeOwned + JsonSchema + Send + Sync;

    /// What the engine must know beside the attributes.
    fn traits() -> Traits {
        Traits::default()
    }

    /// The natural name when the script gives none.
    fn default_name(_stack: &str, address: &Address) -> String {
        address.name().to_owned()
    }

    /// Brings equal forms of a spec to one form, so that a difference is a real one.
    fn normalize(_spec: &mut Self::Spec) {}

    /// Rules across attributes, checked without any service.
    fn check(_spec: &Self::Spec) -> Vec<Problem> {
        Vec::new()
    }

    /// Rules about the natural name, of kinds that have one.
    fn check_named(_natural: &str, _spec: &Self::Spec) -> Vec<Problem> {
        Vec::new()
    }

    /// What it takes for itself and whom it needs, for the comparison with others.
    ///
    /// Called with a spec in normal form; what is not known yet is text that no name is.
    fn claims(_name: &Name, _spec: &Self::Spec) -> Vec<Claimed> {
        Vec::new()
    }

    /// What works and most likely is not meant.
    fn lint(_spec: &Self::Spec) -> Vec<Lint> {
        Vec::new()
    }

    /// Whether [`territory`](Self::territory) says anything.
    const TERRITORIAL: bool = false;

    /// What it alone decides about. Two resources behind one connection whose territories
    /// overlap are refused while planning: each would undo the other. `natural` is empty for
    /// kinds that are named by a label.
    fn territory(_natural: &str, _spec: &Self::Spec) -> Vec<Territory> {
        Vec::new()
    }

    /// Where everything is that it is about without naming it, as a grant on all tables of a
    /// schema: a path from the wide to the narrow. It comes after what is made there
    /// ([`makes`](Self::makes)), and is looked at again when something is.
    fn covers(_spec: &Self::Spec) -> Option<Vec<String>> {
        None
    }

    /// Where an object like `to` is something that others may [cover](Self::covers), or has
    /// something made; of an update only what comes to be that was not there in `from`.
    fn makes(_from: Option<&Self::Spec>, _to: &Self::Spec) -> Vec<Vec<String>> {
        Vec::new()
    }

    /// Why an object that is like `from` cannot be made like `to` in place, where that can
    /// be told without the service. Refused while planning.
    fn check_update(_from: &Self::Spec, _to: &Self::Spec) -> Vec<Problem> {
        Vec::new()
    }

    /// What a reader of the plan should know before it is made (`from` is `None`) or changed,
    /// where that can be told without the service. `natural` is empty for kinds that are named
    /// by a label.
    fn cautions(_natural: &str, _from: Option<&Self::Spec>, _to: &Self::Spec) -> Vec<Problem> {
        Vec::new()
    }

    /// What a reader of the plan should know before an object like `from` is made anew like
    /// `to`, and what it holds stays.
    fn replace_cautions(_from: &Self::Spec, _to: &Self::Spec) -> Vec<Problem> {
        Vec::new()
    }

    /// Why an object like `to` could not work with what one like `from` stored, and left
    /// behind: files of another major version. Refused while planning.
    fn replace_refusals(_from: &Self::Spec, _to: &Self::Spec) -> Vec<Problem> {
        Vec::new()
    }

    /// Why an object like this may not be removed or replaced, with its server neither: somebody
    /// protected it. Refused while planning.
    fn protection(_spec: &Self::Spec) -> Option<Problem> {
        None
    }

    /// What is sent to the service to get from one spec to another, as far as it can be told
    /// without the service: for review, never to be run by dollop. Secrets in the specs are
    /// masked. `from` is `None` for a create, `to` for a delete.
    fn script(
        _name: &Name,
        _from: Option<&Self::Spec>,
        _to: Option<&Self::Spec>,
    ) -> Option<Script> {
        None
    }

    /// Whether what lives inside survives when this object is replaced by one like `next`,
    /// or removed when there is none.
    fn keeps_data(_spec: &Self::Spec, _next: Option<&Self::Spec>) -> bool {
        true
    }

    /// Whether removing an object like this can lose what people stored, of kinds with
    /// [`Traits::holds_data`]: a view has rows of its own only when they are kept.
    fn holds(_spec: &Self::Spec) -> bool {
        true
    }

    /// Whether removing an object like this removes what lives in it. What does not go along
    /// is removed first, one by one.
    fn takes_along(_spec: &Self::Spec) -> bool {
        true
    }

    /// Looks for many at once: one list call, never one call per resource where the
    /// service offers better. The answers come in the order of `wanted`.
    fn read(
        connection: &Self::Connection,
        wanted: &[Wanted<Self::Spec>],
    ) -> impl Future<Output = Vec<ReadResult<Self>>> + Send;

    /// Whether [`list`](Self::list) knows what exists.
    const LISTS: bool = false;

    /// Everything of the kind that exists behind the connection, for `dollop import`: what
    /// people made, and of what the service makes by itself at most what others refer to,
    /// marked as built in. One call or two, as in [`read`](Self::read).
    fn list(
        _connection: &Self::Connection,
    ) -> impl Future<Output = Result<Listing<Self::Spec, Self::Facts>, CallError>> + Send {
        async { Ok(Listing::default()) }
    }

    /// What people stored in objects that are about to be removed: asked while planning and
    /// again right before the removal, of kinds with [`Traits::holds_data`], and before a
    /// replacement of those with [`Traits::may_hold_data`]. One call for many; the answers
    /// come in the order of `wanted`. What is gone holds nothing.
    ///
    /// Content is lost only with consent (`--allow-data-loss`).
    fn held(
        _connection: &Self::Connection,
        wanted: &[Wanted<Self::Spec>],
        _moment: Moment,
    ) -> impl Future<Output = Vec<Result<Held, CallError>>> + Send {
        let many = wanted.len();
        async move { vec![Ok(Held::Unknown); many] }
    }

    /// Whether [`update`](Self::update) makes an object like `to` out of one like `from` and
    /// keeps what is stored in it, although attributes differ that have `x-replace`.
    fn migrates(_from: &Self::Spec, _to: &Self::Spec) -> Migration {
        Migration::None
    }

    /// Whether an update from one to the other makes another thing of the same name, for
    /// certain: an image that is built again. What stands for it by name alone (`x-by-name`)
    /// is made anew with it.
    fn renews(_from: &Self::Spec, _to: &Self::Spec) -> bool {
        false
    }

    /// Whether [`sources`](Self::sources) says anything.
    const READS_FILES: bool = false;

    /// A digest of each file and folder of this machine that decides what is made and that no
    /// script has read, by its path as declared. A plan keeps them: one that was saved is not
    /// applied when something was edited since.
    fn sources(
        _scope: &Scope,
        _spec: &Self::Spec,
    ) -> impl Future<Output = Result<BTreeMap<String, String>, CallError>> + Send {
        async { Ok(BTreeMap::new()) }
    }

    /// Whether [`preview`](Self::preview) says anything.
    const PREVIEWS: bool = false;

    /// What only the service can tell about objects that are about to be made or changed,
    /// asked while planning when it can be reached. One call for many; the answers come in
    /// the order of `proposed`.
    fn preview(
        _connection: &Self::Connection,
        proposed: &[Proposed<Self::Spec>],
    ) -> impl Future<Output = Result<Vec<Preview>, CallError>> + Send {
        let many = proposed.len();
        async move { Ok(vec![Preview::default(); many]) }
    }

    /// Kinds whose changes decide about what a preview says, beside its own: behind the same
    /// connection where they are of the same provider.
    const PREVIEWED_WITH: &'static [&'static str] = &[];

    /// [`preview`](Self::preview), told what else happens to objects of its own kind and of those
    /// in [`PREVIEWED_WITH`](Self::PREVIEWED_WITH).
    fn preview_with(
        connection: &Self::Connection,
        proposed: &[Proposed<Self::Spec>],
        _beside: &Beside,
    ) -> impl Future<Output = Result<Vec<Preview>, CallError>> + Send {
        Self::preview(connection, proposed)
    }

    /// Whether [`survey`](Self::survey) says anything.
    const SURVEYS: bool = false;

    /// What stands against the plan on the service itself: a port somebody else has, more
    /// memory than there is. Asked once for all that is declared behind a connection, when
    /// something of it is to be made, with what the stack has besides; the answers are errors
    /// and warnings by their code.
    fn survey(
        _connection: &Self::Connection,
        _planned: &[Planned<Self::Spec>],
        _declared: &Declared,
    ) -> impl Future<Output = Vec<(Address, Lint)>> + Send {
        async { Vec::new() }
    }

    /// Makes it.
    fn create(
        connection: &Self::Connection,
        name: &Name,
        spec: Self::Spec,
    ) -> impl Future<Output = Result<Created<Self::Facts>, CallError>> + Send;

    /// Gets what making it needs and may not be had, as an image: asked before what it replaces
    /// is removed, which stays when this fails.
    fn prepare(
        _connection: &Self::Connection,
        _name: &Name,
        _spec: &Self::Spec,
    ) -> impl Future<Output = Result<(), CallError>> + Send {
        async { Ok(()) }
    }

    /// Changes it in place; only attributes without `x-replace` differ.
    fn update(
        connection: &Self::Connection,
        name: &Name,
        id: &str,
        from: Self::Spec,
        to: Self::Spec,
    ) -> impl Future<Output = Result<Self::Facts, CallError>> + Send;

    /// The id of an object like this, where its service knows it by its names: an object that
    /// gets another name ([`Traits::renames`]) has another id then, and so have those that are
    /// named after it. `None` for what keeps its id for life.
    fn id_of(_name: &Name, _spec: &Self::Spec) -> Option<String> {
        None
    }

    /// The statement with which [`update`](Self::update) gives it another name, for
    /// [`script`](Self::script).
    fn rename_statement(_from: &str, _to: &str) -> Option<String> {
        None
    }

    /// The name it has for the time in which it stands beside the one it replaces and which
    /// holds `natural`. `None` for kinds that cannot have two of one name: they are replaced
    /// before their predecessor is removed only under another name.
    fn stand_in(_natural: &str) -> Option<String> {
        None
    }

    /// Whether the spec itself asks to be made before what it replaces is removed.
    fn creates_first(_spec: &Self::Spec) -> bool {
        false
    }

    /// How replicas like this one are changed, and what happens when a replacement fails.
    fn rolling(_spec: &Self::Spec) -> Rolling {
        Rolling::default()
    }

    /// What keeps one like `next` from standing beside one like `now`, where both need a
    /// thing that only one can have. Asked only of kinds with a [`stand_in`](Self::stand_in).
    fn check_beside(_now: &Self::Spec, _next: &Self::Spec) -> Vec<Problem> {
        Vec::new()
    }

    /// Makes it while the one it replaces goes on working: `name.natural` is the
    /// [`stand_in`](Self::stand_in), and nobody is to find it yet who looks for the other.
    ///
    /// What an earlier attempt left under that name is in the way and removed first.
    fn create_beside(
        connection: &Self::Connection,
        name: &Name,
        spec: Self::Spec,
    ) -> impl Future<Output = Result<Created<Self::Facts>, CallError>> + Send {
        Self::create(connection, name, spec)
    }

    /// Gives what [`create_beside`](Self::create_beside) made the place and the name of the
    /// one it replaces, `old`, which is removed afterwards. An error means that `old` has
    /// its place still, or again.
    fn take_over(
        connection: &Self::Connection,
        name: &Name,
        id: &str,
        from: Self::Spec,
        to: Self::Spec,
        _old: &str,
    ) -> impl Future<Output = Result<Self::Facts, CallError>> + Send {
        Self::update(connection, name, id, from, to)
    }

    /// Removes it; fine when it is gone already.
    fn delete(
        connection: &Self::Connection,
        name: &Name,
        id: &str,
        spec: Self::Spec,
    ) -> impl Future<Output = Result<(), CallError>> + Send;

    /// Removes it for another of the same name that is made in its place right after; what
    /// would go with it and can come back with the other may be kept in mind.
    fn delete_for_successor(
        connection: &Self::Connection,
        name: &Name,
        id: &str,
        spec: Self::Spec,
    ) -> impl Future<Output = Result<(), CallError>> + Send {
        Self::delete(connection, name, id, spec)
    }

    /// Waits until it works: a container until its health check passes. Asked only of kinds
    /// whose [`Traits::gets_ready`] is set.
    fn ready(
        _connection: &Self::Connection,
        _name: &Name,
        _id: &str,
        _spec: Self::Spec,
    ) -> impl Future<Output = Result<(), CallError>> + Send {
        async { Ok(()) }
    }
}

/// The answer about one wanted object: as it is, gone, or unknown because reading failed.
pub type ReadResult<R> =
    Result<Option<Found<<R as Resource>::Spec, <R as Resource>::Facts>>, CallError>;
