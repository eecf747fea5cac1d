//! A connection to a broker, and the calls of every kind by name.

use dollop_engine::error::CallError;
use dollop_engine::kind::{FoundObject, OpenConnection, Registry};
use dollop_engine::resource::{
    Beside, Created, Held, Moment, Name, Problem, Proposed, Scope, Wanted,
};
use dollop_engine::value::Value;
use dollop_tests::conformance::{STACK, Sample, conform_with_drift, name_of};
use serde_json::{Value as Json, json};

use super::broker::Broker;

/// A connection to the shared server, and the calls of every kind by name.
pub(super) struct Bench {
    pub(super) registry: Registry,
    pub(super) server: OpenConnection,
}

impl Bench {
    pub(super) async fn new() -> Self {
        Self::at(Broker::shared().port).await
    }

    pub(super) async fn at(port: u16) -> Self {
        let registry = dollop_stdlib::registry();
        let server =
            open(&registry, json!({ "host": "127.0.0.1", "port": port }), "guest").await;
        let bench = Self { registry, server: server.unwrap() };
        // What it was told about while it connected is of before what a test does next.
        assert!(bench.read("rabbitmq::vhost", "nowhere", json!({})).await.is_none());
        bench
    }

    /// The bench with a vhost of its own.
    pub(super) async fn with_vhost(vhost: &str) -> Self {
        let bench = Self::new().await;
        bench.create("rabbitmq::vhost", vhost, json!({})).await.unwrap();
        bench
    }

    pub(super) fn name(&self, kind: &str, name: &str) -> Name {
        name_of(self.registry.kind(kind).unwrap(), name)
    }

    pub(super) fn spec(&self, kind: &str, spec: Json) -> Value {
        let kind = self.registry.kind(kind).unwrap();
        kind.calls.normalize(&kind.mark_spec(Value::from(spec))).unwrap()
    }

    /// What a script would be told; `name` among the attributes is looked at too.
    pub(super) fn problems(&self, kind: &str, spec: Json) -> Vec<String> {
        let spec = self.spec(kind, spec);
        worded(self.registry.kind(kind).unwrap().calls.check(&spec))
    }

    /// What a plan would say about an object that is to be made: notes, then problems.
    pub(super) async fn preview(&self, kind: &str, name: &str, spec: Json) -> Vec<String> {
        self.preview_beside(kind, name, spec, Vec::new()).await
    }

    /// The same, where the plan makes others too: kind, name and spec of each.
    pub(super) async fn preview_beside(
        &self,
        kind: &str,
        name: &str,
        spec: Json,
        beside: Vec<(&str, &str, Json)>,
    ) -> Vec<String> {
        let proposed = |kind: &str, name: &str, spec: Json| Proposed {
            name: self.name(kind, name),
            id: None,
            from: None,
            to: self.spec(kind, spec),
            anew: false,
        };
        let calls = &self.registry.kind(kind).unwrap().calls;
        let beside = beside.into_iter();
        let beside = beside.map(|(kind, name, spec)| proposed(kind, name, spec)).collect();
        let beside = Beside { proposed: beside, ..Beside::default() };
        let proposed = vec![proposed(kind, name, spec)];
        let preview = calls.preview(&self.server, proposed, beside).await.unwrap().remove(0);
        preview.notes.into_iter().chain(worded(preview.problems)).collect()
    }

    /// What is in an object, asked right before its removal.
    pub(super) async fn held(&self, kind: &str, name: &str, spec: Json) -> Held {
        let wanted = Wanted {
            id: Some(name.to_owned()),
            name: self.name(kind, name),
            spec: self.spec(kind, spec),
            facts: None,
        };
        let calls = &self.registry.kind(kind).unwrap().calls;
        let held = calls.held(&self.server, vec![wanted], Moment::Removing).await;
        held.into_iter().next().unwrap().unwrap()
    }

    pub(super) async fn create(
        &self,
        kind: &str,
        name: &str,
        spec: Json,
    ) -> Result<Created<Value>, CallError> {
        let (name, spec) = (self.name(kind, name), self.spec(kind, spec));
        let calls = &self.registry.kind(kind).unwrap().calls;
        calls.create(&self.server, &name, &spec).await
    }

    pub(super) async fn delete(&self, kind: &str, name: &str, id: &str, spec: Json) {
        self.try_delete(kind, name, id, spec).await.unwrap();
    }

    /// As the first half of a replacement does it.
    pub(super) async fn delete_for_successor(&self, kind: &str, name: &str, spec: Json) {
        self.try_delete_for_successor(kind, name, spec).await.unwrap();
    }

    pub(super) async fn try_delete_for_successor(
        &self,
        kind: &str,
        name: &str,
        spec: Json,
    ) -> Result<(), CallError> {
        let (id, spec) = (name, self.spec(kind, spec));
        let name = self.name(kind, name);
        let calls = &self.registry.kind(kind).unwrap().calls;
        calls.delete_for_successor(&self.server, &name, id, &spec).await
    }

    pub(super) async fn try_delete(
        &self,
        kind: &str,
        name: &str,
        id: &str,
        spec: Json,
    ) -> Result<(), CallError> {
        let (name, spec) = (self.name(kind, name), self.spec(kind, spec));
        let calls = &self.registry.kind(kind).unwrap().calls;
        calls.delete(&self.server, &name, id, &spec).await
    }

    pub(super) async fn read_all(
        &self,
        kind: &str,
        wanted: &[(String, Json)],
    ) -> Vec<Option<FoundObject>> {
        let wanted = wanted.iter().map(|(name, spec)| Wanted {
            id: None,
            name: self.name(kind, name),
            spec: self.spec(kind, spec.clone()),
            facts: None,
        });
        let calls = &self.registry.kind(kind).unwrap().calls;
        let answers = calls.read(&self.server, wanted.collect()).await;
        answers.into_iter().map(Result::unwrap).collect()
    }

    /// Why an object cannot be made there, as reading shows.
    pub(super) async fn refused(&self, kind: &str, name: &str, spec: Json) -> CallError {
        let wanted = Wanted {
            id: None,
            name: self.name(kind, name),
            spec: self.spec(kind, spec),
            facts: None,
        };
        let calls = &self.registry.kind(kind).unwrap().calls;
        calls.read(&self.server, vec![wanted]).await.remove(0).unwrap_err()
    }

    pub(super) async fn read(&self, kind: &str, name: &str, spec: Json) -> Option<FoundObject> {
        self.read_all(kind, &[(name.to_owned(), spec)]).await.remove(0)
    }

    pub(super) async fn conform(
        &self,
        kind: &'static str,
        name: &str,
        base: Json,
        changes: Vec<(&'static str, Json)>,
        fixed: &'static [&'static str],
    ) {
        let sample = Sample { kind, name: name.to_owned(), base, changes, fixed };
        conform_with_drift(
            &self.registry,
            &self.server,
            &sample,
            &["migrate", "password_hash"],
        )
        .await;
    }
}

fn worded(problems: Vec<Problem>) -> Vec<String> {
    problems.into_iter().map(|p| format!("{}: {}", p.attribute, p.message)).collect()
}

pub(super) async fn open(
    registry: &Registry,
    mut spec: Json,
    password: &str,
) -> Result<OpenConnection, CallError> {
    spec["password"] = json!(password);
    let kind = registry.connection_kind("rabbitmq::server").unwrap();
    let spec = kind.dial.normalize(&Value::from(spec)).unwrap();
    let scope = Scope { stack: STACK.to_owned(), folder: std::env::temp_dir() };
    kind.dial.open(&spec, scope).await
}
