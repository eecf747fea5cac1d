//! Resources and connections with their types erased, and the registry of all of them.

use std::any::Any;
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::{Arc, LazyLock};

use async_trait::async_trait;

use crate::address::Address;
use crate::analysis::{Claimed, Lint};
use crate::backup::{Backup, Host};
use crate::error::CallError;
use crate::files::Look;
use crate::operate::Operations;
use crate::path::Path;
use crate::resource::{
    Beside, Concurrency, Connection, Created, Declared, Found, Held, Instead, Migration,
    Moment, Name, Need, Owner, Planned, Preview, Problem, Proposed, Resource, Rolling, Scope,
    Script, Territory, Traits, Wanted,
};
use crate::schema::{Attribute, Schema, SchemaError};
use crate::value::Value;

mod adapter;
mod marks;
mod plain;
mod written;

use adapter::{Adapter, Dialer};
pub(crate) use marks::{mark, mark_expr};

/// An open connection of any kind.
pub type OpenConnection = Arc<dyn Any + Send + Sync>;

/// An open connection as what it is.
///
/// # Panics
/// When it is of another kind.
pub fn opened<C: Connection>(connection: &OpenConnection) -> &C {
    connection
        .downcast_ref()
        .unwrap_or_else(|| panic!("BUG: a connection that is no `{}`", C::KIND))
}

/// A value that does not fit the kind's Rust struct.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecError {
    /// Where in the spec.
    pub path: Path,
    /// What is wrong.
    pub message: String,
}

/// An object as it is, with types erased.
#[derive(Clone, Debug)]
pub struct FoundObject {
    /// How the service identifies it.
    pub id: String,
    /// Its attributes in normal form, `name` included where it is natural.
    pub spec: Value,
    /// What else the service reports.
    pub facts: Value,
    /// Whose it is.
    pub owner: Owner,
}

/// Everything of a kind that exists, with types erased.
#[derive(Clone, Debug, Default)]
pub struct ListedObjects {
    /// The objects.
    pub objects: Vec<ListedObject>,
    /// What cannot be declared, and why.
    pub left_out: Vec<String>,
}

/// One object that exists, with types erased.
#[derive(Clone, Debug)]
pub struct ListedObject {
    /// As it is.
    pub found: FoundObject,
    /// See [`Listed::built_in`](crate::resource::Listed).
    pub built_in: bool,
    /// What its attributes do not say.
    pub remarks: Vec<String>,
    /// What must be there first.
    pub needs: Vec<Need>,
}

/// Who takes whose place.
#[derive(Clone, Copy, Debug)]
pub struct Taking<'a> {
    /// The id of the new one.
    pub id: &'a str,
    /// As it is.
    pub from: &'a Value,
    /// As it shall be, with the name of the old one.
    pub to: &'a Value,
    /// The id of the old one.
    pub old: &'a str,
}

/// The calls of a resource, with types erased.
#[async_trait]
pub trait Calls: Send + Sync {
    /// See [`Resource::default_name`].
    fn default_name(&self, stack: &str, address: &Address) -> String;
    /// The spec in normal form, defaults filled in.
    fn normalize(&self, spec: &Value) -> Result<Value, SpecError>;
    /// See [`Resource::check`].
    fn check(&self, spec: &Value) -> Vec<Problem>;
    /// See [`Resource::claims`].
    fn claims(&self, name: &Name, spec: &Value) -> Vec<Claimed>;
    /// See [`Resource::lint`].
    fn lint(&self, spec: &Value) -> Vec<Lint>;
    /// See [`Resource::territory`].
    fn territory(&self, spec: &Value) -> Vec<Territory>;
    /// See [`Resource::covers`]. Nothing when the spec does not fit.
    fn covers(&self, spec: &Value) -> Option<Vec<String>>;
    /// See [`Resource::makes`]. Nothing when a spec does not fit.
    fn makes(&self, from: Option<&Value>, to: &Value) -> Vec<Vec<String>>;
    /// See [`Resource::check_update`].
    fn check_update(&self, from: &Value, to: &Value) -> Vec<Problem>;
    /// See [`Resource::cautions`].
    fn cautions(&self, from: Option<&Value>, to: &Value) -> Vec<Problem>;
    /// See [`Resource::replace_cautions`].
    fn replace_cautions(&self, from: &Value, to: &Value) -> Vec<Problem>;
    /// See [`Resource::replace_refusals`].
    fn replace_refusals(&self, from: &Value, to: &Value) -> Vec<Problem>;
    /// See [`Resource::protection`].
    fn protection(&self, spec: &Value) -> Option<Problem>;
    /// See [`Resource::script`], another name included. Nothing when a spec does not fit.
    fn script(&self, name: &Name, from: Option<&Value>, to: Option<&Value>) -> Option<Script>;
    /// See [`Resource::keeps_data`].
    fn keeps_data(&self, spec: &Value, next: Option<&Value>) -> bool;
    /// See [`Resource::holds`].
    fn holds(&self, spec: &Value) -> bool;
    /// See [`Resource::takes_along`].
    fn takes_along(&self, spec: &Value) -> bool;
    /// See [`Resource::id_of`]. Nothing when the spec does not fit.
    fn id_of(&self, name: &Name, spec: &Value) -> Option<String>;
    /// See [`Resource::stand_in`].
    fn stand_in(&self, natural: &str) -> Option<String>;
    /// See [`Resource::creates_first`].
    fn creates_first(&self, spec: &Value) -> bool;
    /// See [`Resource::rolling`].
    fn rolling(&self, spec: &Value) -> Rolling;
    /// See [`Resource::check_beside`].
    fn check_beside(&self, now: &Value, next: &Value) -> Vec<Problem>;
    /// See [`Resource::read`].
    async fn read(
        &self,
        connection: &OpenConnection,
        wanted: Vec<Wanted<Value>>,
    ) -> Vec<Result<Option<FoundObject>, CallError>>;
    /// Whether [`Resource::list`] knows what exists.
    fn lists(&self) -> bool;
    /// See [`Resource::list`].
    async fn list(&self, connection: &OpenConnection) -> Result<ListedObjects, CallError>;
    /// See [`Resource::held`].
    async fn held(
        &self,
        connection: &OpenConnection,
        wanted: Vec<Wanted<Value>>,
        moment: Moment,
    ) -> Vec<Result<Held, CallError>>;
    /// Whether [`Resource::preview`] says anything.
    fn previews(&self) -> bool;
    /// See [`Resource::PREVIEWED_WITH`].
    fn previewed_with(&self) -> &'static [&'static str];
    /// See [`Resource::preview_with`].
    async fn preview(
        &self,
        connection: &OpenConnection,
        proposed: Vec<Proposed<Value>>,
        beside: Beside,
    ) -> Result<Vec<Preview>, CallError>;
    /// See [`Resource::migrates`].
    fn migrates(&self, from: &Value, to: &Value) -> Migration;
    /// See [`Resource::renews`].
    fn renews(&self, from: &Value, to: &Value) -> bool;
    /// See [`Resource::READS_FILES`].
    fn reads_files(&self) -> bool;
    /// See [`Resource::sources`].
    async fn sources(
        &self,
        scope: &Scope,
        spec: &Value,
    ) -> Result<BTreeMap<String, String>, CallError>;
    /// See [`Resource::SURVEYS`].
    fn surveys(&self) -> bool;
    /// See [`Resource::survey`].
    async fn survey(
        &self,
        connection: &OpenConnection,
        planned: Vec<Planned<Value>>,
        declared: &Declared,
    ) -> Vec<(Address, Lint)>;
    /// See [`Resource::create`].
    async fn create(
        &self,
        connection: &OpenConnection,
        name: &Name,
        spec: &Value,
    ) -> Result<Created<Value>, CallError>;
    /// See [`Resource::prepare`].
    async fn prepare(
        &self,
        connection: &OpenConnection,
        name: &Name,
        spec: &Value,
    ) -> Result<(), CallError>;
    /// See [`Resource::update`].
    async fn update(
        &self,
        connection: &OpenConnection,
        name: &Name,
        id: &str,
        from: &Value,
        to: &Value,
    ) -> Result<Value, CallError>;
    /// See [`Resource::create_beside`].
    async fn create_beside(
        &self,
        connection: &OpenConnection,
        name: &Name,
        spec: &Value,
    ) -> Result<Created<Value>, CallError>;
    /// See [`Resource::take_over`].
    async fn take_over(
        &self,
        connection: &OpenConnection,
        name: &Name,
        taking: Taking<'_>,
    ) -> Result<Value, CallError>;
    /// See [`Resource::delete`].
    async fn delete(
        &self,
        connection: &OpenConnection,
        name: &Name,
        id: &str,
        spec: &Value,
    ) -> Result<(), CallError>;
    /// See [`Resource::delete_for_successor`].
    async fn delete_for_successor(
        &self,
        connection: &OpenConnection,
        name: &Name,
        id: &str,
        spec: &Value,
    ) -> Result<(), CallError>;
    /// See [`Resource::ready`].
    async fn ready(
        &self,
        connection: &OpenConnection,
        name: &Name,
        id: &str,
        spec: &Value,
    ) -> Result<(), CallError>;
}

/// The calls of a connection, with types erased.
#[async_trait]
pub trait Dial: Send + Sync {
    /// The spec in normal form, defaults filled in.
    fn normalize(&self, spec: &Value) -> Result<Value, SpecError>;
    /// See [`Connection::describe`].
    fn describe(&self, spec: &Value) -> String;
    /// See [`Connection::is_local`].
    fn is_local(&self, spec: &Value) -> bool;
    /// See [`Connection::lint`].
    fn lint(&self, known: &serde_json::Value) -> Vec<Lint>;
    /// See [`Connection::lint_files`].
    fn lint_files(&self, known: &serde_json::Value, look: Look<'_>) -> Vec<Lint>;
    /// See [`Connection::backup`].
    fn backup<'a>(&self, connection: &'a OpenConnection) -> Option<&'a dyn Backup>;
    /// See [`Connection::host`].
    fn host(
        &self,
        connection: &OpenConnection,
        address: &Address,
        found: &FoundObject,
    ) -> Option<Arc<dyn Host>>;
    /// See [`Connection::open`].
    async fn open(&self, spec: &Value, scope: Scope) -> Result<OpenConnection, CallError>;
    /// See [`Connection::ready`].
    async fn ready(&self, connection: &OpenConnection) -> Result<(), CallError>;
    /// See [`Connection::concurrency`].
    fn concurrency(&self, spec: &Value) -> Concurrency;
    /// See [`Connection::EXPORTS`].
    fn exports(&self) -> Option<&'static str>;
    /// See [`Connection::export`].
    async fn export(&self, connection: &OpenConnection) -> Result<String, CallError>;
}

/// A schema that is worked out when somebody first asks: a stack uses few of all kinds.
pub type LazySchema = Arc<LazyLock<Schema>>;

/// A kind of resource.
#[derive(Clone)]
pub struct Kind {
    /// `docker::network`.
    pub name: &'static str,
    /// The kind of connection it is reached through.
    pub connection: &'static str,
    /// What it accepts and reports; worked out when somebody asks.
    pub schema: LazySchema,
    /// What the engine must know beside the attributes.
    pub traits: Traits,
    /// Its calls.
    pub calls: Arc<dyn Calls>,
}

/// A kind of connection.
#[derive(Clone)]
pub struct ConnectionKind {
    /// `postgres::server`.
    pub name: &'static str,
    /// What it accepts; connections report no facts. Worked out when somebody asks.
    pub schema: LazySchema,
    /// Whether a default one exists without being declared.
    pub implicit: bool,
    /// Whether what people stored behind it can be saved.
    pub saves: bool,
    /// What to write in place of what other tools have.
    pub instead: Instead,
    /// Its calls.
    pub dial: Arc<dyn Dial>,
}

/// The name of a kind without its provider: `network`.
pub fn short_name(kind: &str) -> &str {
    kind.split_once("::").map_or(kind, |(_, short)| short)
}

/// What follows the name of a kind in the name of its look-up.
pub(crate) const LOOKUP: &str = "_lookup";

/// The name of a kind's look-up: `docker::network_lookup`.
pub fn lookup_of(kind: &str) -> String {
    format!("{kind}{LOOKUP}")
}

/// Everything scripts can declare.
#[derive(Clone, Default)]
pub struct Registry {
    kinds: BTreeMap<&'static str, Kind>,
    connections: BTreeMap<&'static str, ConnectionKind>,
    docs: BTreeMap<&'static str, &'static str>,
    modules: BTreeMap<&'static str, &'static str>,
    operations: BTreeMap<&'static str, Arc<dyn Operations>>,
}

impl Registry {
    /// A registry that knows nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Describes a provider, for the reference.
    pub fn provider(mut self, name: &'static str, doc: &'static str) -> Self {
        self.docs.insert(name, doc);
        self
    }

    /// Adds a module written in the language itself, found by `import "std/name"`.
    pub fn module(mut self, name: &'static str, text: &'static str) -> Self {
        self.modules.insert(name, text);
        self
    }

    /// The modules written in the language itself, with their text.
    pub fn modules(&self) -> impl Iterator<Item = (&'static str, &'static str)> + '_ {
        self.modules.iter().map(|(name, text)| (*name, *text))
    }

    /// Adds a kind of connection.
    pub fn connection<C: Connection>(mut self) -> Self {
        let kind = ConnectionKind {
            name: C::KIND,
            schema: Arc::new(LazyLock::new(connection_schema::<C>)),
            implicit: C::IMPLICIT,
            saves: C::SAVES,
            instead: C::INSTEAD,
            dial: Arc::new(Dialer::<C>(PhantomData)),
        };
        self.connections.insert(C::KIND, kind);
        self
    }

    /// Adds a kind of resource.
    pub fn resource<R: Resource>(mut self) -> Self {
        let kind = Kind {
            name: R::KIND,
            connection: R::Connection::KIND,
            schema: Arc::new(LazyLock::new(resource_schema::<R>)),
            traits: R::traits(),
            calls: Arc::new(Adapter::<R>(PhantomData)),
        };
        self.kinds.insert(R::KIND, kind);
        self
    }

    /// Says what a kind of resource or connection can do beside being planned.
    pub fn operations_of(mut self, kind: &'static str, operations: impl Operations) -> Self {
        self.operations.insert(kind, Arc::new(operations));
        self
    }

    /// What a kind can do beside being planned.
    pub fn operations(&self, kind: &str) -> Option<&Arc<dyn Operations>> {
        self.operations.get(kind)
    }

    /// What to write in a resource or connection of that kind in place of what other tools
    /// have.
    pub fn instead(&self, kind: &str) -> Instead {
        let resource = self.kind(kind).map(|kind| kind.traits.instead);
        let connection = || self.connection_kind(kind).map(|kind| kind.instead);
        resource.or_else(connection).unwrap_or(Instead(&[]))
    }

    /// The kind of that name.
    pub fn kind(&self, name: &str) -> Option<&Kind> {
        self.kinds.get(name)
    }

    /// The kind of connection of that name.
    pub fn connection_kind(&self, name: &str) -> Option<&ConnectionKind> {
        self.connections.get(name)
    }

    /// All kinds of resources, by name.
    pub fn kinds(&self) -> impl Iterator<Item = &Kind> {
        self.kinds.values()
    }

    /// All kinds of connections, by name.
    pub fn connections(&self) -> impl Iterator<Item = &ConnectionKind> {
        self.connections.values()
    }

    /// The providers with what they are for.
    pub fn providers(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        self.docs.iter().map(|(name, doc)| (*name, *doc))
    }

    /// The kind that a look-up of that name looks up.
    pub fn looked_up(&self, lookup: &str) -> Option<&Kind> {
        let kind = self.kind(lookup.strip_suffix(LOOKUP)?)?;
        (!kind.traits.only_recorded).then_some(kind)
    }

    /// The schema of a kind of resource or connection, also by the name of its look-up.
    pub fn schema(&self, kind: &str) -> Option<&Schema> {
        self.kind(kind)
            .or_else(|| self.looked_up(kind))
            .map(|kind| &**kind.schema)
            .or_else(|| self.connection_kind(kind).map(|kind| &**kind.schema))
    }
}

#[derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
struct NoFacts {}

/// The schema of a kind of connection; a test builds every one.
fn connection_schema<C: Connection>() -> Schema {
    schema_or_bug(C::KIND, Schema::of::<C::Spec, NoFacts>())
}

/// The schema of a kind of resource; a test builds every one.
fn resource_schema<R: Resource>() -> Schema {
    let mut schema = schema_or_bug(R::KIND, Schema::of::<R::Spec, R::Facts>());
    let traits = R::traits();
    for name in schema.spec.keys() {
        let both = schema.facts.contains_key(name);
        assert!(!both, "BUG: `{}.{name}` has two authors", R::KIND);
    }
    for parent in traits.within {
        let attribute = schema.spec.get_mut(*parent);
        let Some(attribute) = attribute else {
            panic!("BUG: `{}` has no attribute `{parent}` to live in", R::KIND)
        };
        attribute.replace = true;
    }
    if traits.naming == crate::resource::Naming::Natural {
        let taken = schema.spec.insert("name".to_owned(), name_attribute(traits.renames));
        assert!(taken.is_none(), "BUG: `{}` declares `name` itself", R::KIND);
    }
    schema
}

fn schema_or_bug(kind: &str, schema: Result<Schema, SchemaError>) -> Schema {
    schema.unwrap_or_else(|error| panic!("BUG: the schema of `{kind}`: {error}"))
}

/// The attribute every naturally named kind has.
fn name_attribute(renames: bool) -> Attribute {
    Attribute {
        doc: "The real name; the first argument when left out.".to_owned(),
        ty: crate::schema::Type::String,
        required: false,
        default: None,
        replace: !renames,
        secret: false,
        stable: true,
        disruption: crate::schema::Disruption::None,
        handle: Vec::new(),
        by_name: false,
        write_only: false,
        not_kept: false,
    }
}

impl Kind {
    /// Whether removing an object like this can lose what people stored.
    pub fn loses(&self, spec: &Value) -> bool {
        self.traits.holds_data && self.calls.holds(spec)
    }

    /// Marks the attributes the schema calls secret in a spec.
    pub fn mark_spec(&self, spec: Value) -> Value {
        mark(spec, &self.schema.spec)
    }

    /// Marks the facts the schema calls secret, and those that repeat a secret of the spec.
    pub fn mark_facts(&self, facts: Value, spec: &Value) -> Value {
        let mut secrets = Vec::new();
        spec.each_marked(&mut |text, secrecy| {
            if !text.is_empty() {
                secrets.push((text, secrecy));
            }
        });
        let facts = mark(facts, &self.schema.facts);
        if secrets.is_empty() { facts } else { facts.hiding(&secrets) }
    }
}

impl ConnectionKind {
    /// Marks the attributes the schema calls secret in a spec.
    pub fn mark_spec(&self, spec: Value) -> Value {
        mark(spec, &self.schema.spec)
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};
    use serde_json::json;

    use super::*;

    #[derive(Serialize, Deserialize, schemars::JsonSchema)]
    struct Spec {
        build: Option<Part>,
    }

    #[derive(Serialize, Deserialize, schemars::JsonSchema)]
    struct Part {
        args: BTreeMap<String, String>,
        #[schemars(extend("x-secret" = true, "x-write-only" = true, "x-not-kept" = true))]
        secrets: BTreeMap<String, String>,
    }

    #[test]
    fn what_is_not_kept_is_so_however_deep() {
        let schema = Schema::of::<Spec, Spec>().unwrap();
        assert!(schema.forgets());
        let spec =
            json!({ "build": { "args": { "A": "open" }, "secrets": { "npm": "word" } } });
        let marked = mark(Value::from(spec), &schema.spec);
        let stored = serde_json::to_string(&marked).unwrap();
        assert!(stored.contains("open") && stored.contains("npm"), "{stored}");
        assert!(!stored.contains("word"), "{stored}");
    }
}
