//! The run every kind of resource must pass on a real service.
//!
//! ```text
//! read → nothing; create; read == spec (by id and by name); change each attribute →
//! update or replace as the schema says; read == spec; change back (default restored);
//! change behind dollop's back → read shows it; repair; read == spec;
//! delete; read → nothing; delete again → fine
//! ```
//!
//! A kind adds only sample values. An attribute of the schema without a sample fails; with
//! [`conform_with_parts`] also one within an attribute ([`nested`]).

use std::collections::BTreeSet;

pub mod nested;

use dollop_engine::address::Address;
use dollop_engine::kind::{FoundObject, Kind, OpenConnection, Registry, SpecError};
use dollop_engine::resource::{Created, Name, Owner, Scope, Wanted};
use dollop_engine::value::Value;
use nested::Nested;
use serde_json::Value as Json;

/// The stack conformance objects belong to.
pub const STACK: &str = "conformance";

/// Sample values for one kind.
pub struct Sample {
    /// `docker::network`.
    pub kind: &'static str,
    /// The first argument in a script; the natural name where the kind has one.
    pub name: String,
    /// The attributes every variant starts from: what is required, and the parents.
    pub base: Json,
    /// One or more other values per attribute. Attributes of `base` may be changed too.
    pub changes: Vec<(&'static str, Json)>,
    /// Attributes that are the same in every variant because other objects must exist for
    /// them (parents, say); not counted as covered by a change.
    pub fixed: &'static [&'static str],
}

/// Opens a connection of a kind with a spec.
pub async fn open(registry: &Registry, kind: &str, spec: Json) -> OpenConnection {
    let kind = registry.connection_kind(kind).expect("a registered connection");
    let spec = kind.dial.normalize(&Value::from(spec)).expect("a valid connection spec");
    let folder = std::env::temp_dir();
    let scope = Scope { stack: STACK.to_owned(), folder };
    kind.dial.open(&spec, scope).await.expect("the service answers")
}

/// Runs the whole conformance of a kind and prints the number of attributes covered.
pub async fn conform(registry: &Registry, connection: &OpenConnection, sample: &Sample) {
    run(registry, connection, sample, None, false).await;
}

/// The same, and every attribute that changes in place is changed behind dollop's back too:
/// reading must show that one and no other, and an update from there must repair it.
/// `unseen` are attributes that the service does not keep.
pub async fn conform_with_drift(
    registry: &Registry,
    connection: &OpenConnection,
    sample: &Sample,
    unseen: &[&str],
) {
    run(registry, connection, sample, Some(unseen), false).await;
}

/// The same, and what is nested must have samples as well: each optional part of one is left
/// out of what is asked for, and reading must show that the object has it. `unseen` are parts
/// too (`healthcheck.interval`).
pub async fn conform_with_parts(
    registry: &Registry,
    connection: &OpenConnection,
    sample: &Sample,
    unseen: &[&str],
) {
    run(registry, connection, sample, Some(unseen), true).await;
}

async fn run(
    registry: &Registry,
    connection: &OpenConnection,
    sample: &Sample,
    unseen: Option<&[&str]>,
    parts: bool,
) {
    let kind = registry.kind(sample.kind).expect("a registered kind");
    let name = name_of(kind, &sample.name);
    let mut run = Run { kind, connection, name, facts: None };

    let uncovered: Vec<_> = kind
        .schema
        .spec
        .keys()
        .filter(|attribute| *attribute != "name")
        .filter(|attribute| !sample.fixed.contains(&attribute.as_str()))
        .filter(|attribute| !sample.changes.iter().any(|(changed, _)| changed == attribute))
        .collect();
    assert!(uncovered.is_empty(), "`{}`: no sample for {uncovered:?}", sample.kind);

    let base = run.spec(&sample.base);
    assert!(run.read(None, &base).await.is_none(), "{}: exists before it is made", run.at());
    let mut id = run.create(&base).await;

    // A killed run is finished by an update in which nothing differs. What lives in the
    // state alone is never found half made.
    if sample.kind != "local::random" {
        run.update(&id, &base, &base, "nothing").await;
    }

    let mut drifted = BTreeSet::new();
    let mut within = Nested::of(&kind.schema);
    for (attribute, value) in &sample.changes {
        let mut changed = sample.base.clone();
        changed[*attribute] = value.clone();
        let changed = run.spec(&changed);
        assert!(
            !changed.same(&base),
            "{}: the sample for `{attribute}` changes nothing: {value}",
            run.at()
        );
        if kind.schema.spec[*attribute].replace {
            run.delete(&id, &base).await;
            let other = run.create(&changed).await;
            if let Some(unseen) = unseen.filter(|_| parts) {
                run.parts(&other, sample, (attribute, value), unseen, &mut within).await;
            }
            run.delete(&other, &changed).await;
            id = run.create(&base).await;
        } else {
            run.update(&id, &base, &changed, attribute).await;
            if let Some(unseen) = unseen.filter(|_| parts) {
                run.parts(&id, sample, (attribute, value), unseen, &mut within).await;
            }
            run.update(&id, &changed, &base, attribute).await;
            if unseen.is_some_and(|unseen| !unseen.contains(attribute)) {
                run.drift(&id, &base, &changed, attribute).await;
                drifted.insert(*attribute);
            }
        }
    }

    run.delete(&id, &base).await;
    let again = kind.calls.delete(connection, &run.name, &id, &base).await;
    again.unwrap_or_else(|error| panic!("{}: deleting what is gone: {error}", run.at()));
    if let Some(unseen) = unseen.filter(|_| parts) {
        within.assert_complete(sample, unseen);
    }
    let covered: BTreeSet<_> = sample.changes.iter().map(|(attribute, _)| *attribute).collect();
    println!(
        "conformance {}: {} of {} attributes covered by {} values, drift of {} repaired",
        sample.kind,
        covered.len(),
        kind.schema.spec.keys().filter(|attribute| *attribute != "name").count(),
        sample.changes.len(),
        drifted.len(),
    );
    if parts {
        println!("conformance {}: {within}", sample.kind);
    }
}

/// The name a sample's object gets.
pub fn name_of(kind: &Kind, name: &str) -> Name {
    let address = Address::new(Vec::new(), kind.name, vec![name.to_owned()]);
    let natural = kind.calls.default_name(STACK, &address);
    Name { stack: STACK.to_owned(), address, natural }
}

struct Run<'a> {
    kind: &'a Kind,
    connection: &'a OpenConnection,
    name: Name,
    /// What a record would hold of the object's facts; `None` while there is no object.
    facts: Option<Json>,
}

impl Run<'_> {
    fn at(&self) -> String {
        self.name.address.to_string()
    }

    /// The normal form of a spec, as a plan would have it.
    fn spec(&self, json: &Json) -> Value {
        let normal = self.normal(json).unwrap_or_else(|error| {
            panic!("{}: bad sample at `{}`: {}", self.at(), error.path, error.message)
        });
        let problems = self.kind.calls.check(&normal);
        assert!(problems.is_empty(), "{}: bad sample: {problems:?}", self.at());
        normal
    }

    fn normal(&self, json: &Json) -> Result<Value, SpecError> {
        let mut value = Value::from(json.clone());
        if self.kind.schema.spec.contains_key("name")
            && let Value::Map(entries) = &mut value
        {
            entries
                .entry("name".to_owned())
                .or_insert_with(|| Value::string(&self.name.natural));
        }
        self.kind.calls.normalize(&self.kind.mark_spec(value))
    }

    /// Looks at an object as if a part of what it was made with had not been asked for: that
    /// must show. What the rules or the type do not allow to leave out is passed over.
    async fn parts(
        &self,
        id: &str,
        sample: &Sample,
        (attribute, value): (&str, &Json),
        unseen: &[&str],
        within: &mut Nested,
    ) {
        let with = |value: &Json| {
            let mut spec = sample.base.clone();
            spec[attribute] = value.clone();
            spec
        };
        let whole = self.spec(&with(value));
        let ty = &self.kind.schema.spec[attribute].ty;
        let normal = whole.to_json()[attribute].clone();
        for written in [value, &normal] {
            for part in nested::parts(written, ty, attribute) {
                within.set(&part.name);
                let excused = [attribute, part.name.as_str()];
                if within.is_shown(&part.name) || excused.iter().any(|it| unseen.contains(it)) {
                    continue;
                }
                let Ok(other) = self.normal(&with(&part.without(written))) else { continue };
                if !self.kind.calls.check(&other).is_empty() || other.same(&whole) {
                    continue;
                }
                let found = self.read(Some(id), &other).await.expect("it is there").spec;
                let of = |spec: &Value| spec.get(attribute).cloned();
                let (found, other) = (of(&found), of(&other));
                let same = found.zip(other).is_some_and(|(found, other)| found.same(&other));
                assert!(
                    !same,
                    "{}: `{}` is there and does not show when it is not asked for",
                    self.at(),
                    part.name
                );
                within.show(&part.name);
            }
        }
    }

    async fn read(&self, id: Option<&str>, spec: &Value) -> Option<FoundObject> {
        let wanted = Wanted {
            id: id.map(str::to_owned),
            name: self.name.clone(),
            spec: spec.clone(),
            facts: self.facts.clone(),
        };
        let mut answers = self.kind.calls.read(self.connection, vec![wanted]).await;
        assert_eq!(answers.len(), 1, "{}: one answer per object", self.at());
        answers.remove(0).unwrap_or_else(|error| panic!("{}: reading: {error:?}", self.at()))
    }

    /// Reads it by id and by name and compares with what was asked for.
    async fn expect(&self, id: &str, spec: &Value, after: &str) {
        for by in [Some(id), None] {
            let found = self.read(by, spec).await;
            let Some(found) = found else {
                panic!("{}: not found {after} (by id: {})", self.at(), by.is_some())
            };
            assert_eq!(found.id, id, "{}: another id {after}", self.at());
            assert!(
                found.spec.same(spec),
                "{}: reads back differently {after}\n asked: {}\n found: {}",
                self.at(),
                spec.to_json(),
                found.spec.to_json()
            );
            assert!(
                matches!(found.owner, Owner::Ours | Owner::Unmarked),
                "{}: not ours {after}",
                self.at()
            );
        }
    }

    async fn create(&mut self, spec: &Value) -> String {
        let created = self.kind.calls.create(self.connection, &self.name, spec).await;
        let Created { id, facts } =
            created.unwrap_or_else(|error| panic!("{}: creating: {error:?}", self.at()));
        self.facts = Some(facts.to_json());
        self.expect(&id, spec, "after create").await;
        id
    }

    async fn update(&mut self, id: &str, from: &Value, to: &Value, attribute: &str) {
        let updated = self.kind.calls.update(self.connection, &self.name, id, from, to).await;
        let facts = updated
            .unwrap_or_else(|error| panic!("{}: updating `{attribute}`: {error:?}", self.at()));
        self.facts = Some(facts.to_json());
        self.expect(id, to, &format!("after updating `{attribute}`")).await;
    }

    /// Changes it as somebody else would, looks at it with what was last written in mind,
    /// and brings it back.
    async fn drift(&mut self, id: &str, base: &Value, changed: &Value, attribute: &str) {
        let changing = self.kind.calls.update(self.connection, &self.name, id, base, changed);
        changing
            .await
            .unwrap_or_else(|error| panic!("{}: `{attribute}`: {error:?}", self.at()));
        let found = self.read(Some(id), base).await.expect("it is there").spec;
        let (Some(was), Some(is)) = (base.as_map(), found.as_map()) else {
            panic!("{}: a spec is a map", self.at())
        };
        let differing: Vec<_> = was
            .iter()
            .filter(|(key, value)| !is[*key].same(value))
            .map(|(key, _)| key)
            .collect();
        assert_eq!(
            differing,
            [attribute],
            "{}: what a change behind its back shows",
            self.at()
        );
        self.update(id, &found, base, attribute).await;
    }

    async fn delete(&mut self, id: &str, spec: &Value) {
        let deleted = self.kind.calls.delete(self.connection, &self.name, id, spec).await;
        deleted.unwrap_or_else(|error| panic!("{}: deleting: {error:?}", self.at()));
        self.facts = None;
        let left = self.read(Some(id), spec).await;
        assert!(left.is_none(), "{}: still there after delete", self.at());
    }
}
