//! A server, a connection to it, and the calls of the engine in short.

use std::sync::Arc;

use dollop_engine::error::CallError;
use dollop_engine::kind::{FoundObject, Kind, OpenConnection, Registry};
use dollop_engine::resource::{Name, Scope, Wanted};
use dollop_engine::value::Value;
use dollop_stdlib::postgres::server::Server;
use dollop_tests::conformance::{STACK, name_of};
use serde_json::{Value as Json, json};

use super::container::{self, Container, PASSWORD};

pub(crate) struct World {
    pub(crate) registry: Registry,
    pub(crate) connection: OpenConnection,
    pub(crate) container: Arc<Container>,
}

/// An object that a test declared.
#[derive(Clone)]
pub(crate) struct Declared {
    pub(crate) kind: &'static str,
    pub(crate) name: Name,
    pub(crate) spec: Value,
}

impl World {
    pub(crate) async fn open() -> Self {
        let container = container::shared();
        let spec = json!({ "host": "127.0.0.1", "port": container.port, "password": PASSWORD });
        let registry = dollop_stdlib::registry();
        let connection = open(&registry, spec).await.expect("the server answers");
        Self { registry, connection, container }
    }

    /// The same server as another user.
    pub(crate) async fn open_as(&self, user: &str, password: &str) -> Self {
        let registry = dollop_stdlib::registry();
        let spec = json!({
            "host": "127.0.0.1", "port": self.container.port, "user": user, "password": password,
        });
        let connection = open(&registry, spec).await.expect("the server answers");
        Self { registry, connection, container: self.container.clone() }
    }

    pub(crate) fn server(&self) -> &Server {
        self.connection.downcast_ref().unwrap()
    }

    fn kind(&self, kind: &str) -> &Kind {
        self.registry.kind(kind).unwrap()
    }

    /// Declares an object, in normal form.
    pub(crate) fn declare(&self, kind: &'static str, name: &str, spec: Json) -> Declared {
        let known = self.kind(kind);
        let name = name_of(known, name);
        let mut spec = Value::from(spec);
        if known.schema.spec.contains_key("name")
            && let Value::Map(entries) = &mut spec
        {
            entries.insert("name".to_owned(), Value::string(&name.natural));
        }
        let spec = known.calls.normalize(&known.mark_spec(spec)).unwrap();
        let problems = known.calls.check(&spec);
        assert!(problems.is_empty(), "{problems:?}");
        Declared { kind, name, spec }
    }

    pub(crate) async fn try_create(&self, what: &Declared) -> Result<String, CallError> {
        let calls = &self.kind(what.kind).calls;
        calls.create(&self.connection, &what.name, &what.spec).await.map(|created| created.id)
    }

    /// Declares and makes an object.
    pub(crate) async fn make(&self, kind: &'static str, name: &str, spec: Json) -> Declared {
        let what = self.declare(kind, name, spec);
        self.try_create(&what).await.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        what
    }

    pub(crate) async fn try_read(
        &self,
        what: &Declared,
    ) -> Result<Option<FoundObject>, CallError> {
        self.read_all(std::slice::from_ref(what)).await.remove(0)
    }

    pub(crate) async fn read(&self, what: &Declared) -> Option<FoundObject> {
        self.try_read(what).await.unwrap_or_else(|error| panic!("{error:?}"))
    }

    pub(crate) async fn read_all(
        &self,
        what: &[Declared],
    ) -> Vec<Result<Option<FoundObject>, CallError>> {
        let wanted = what
            .iter()
            .map(|what| Wanted {
                id: None,
                name: what.name.clone(),
                facts: None,
                spec: what.spec.clone(),
            })
            .collect();
        self.kind(what[0].kind).calls.read(&self.connection, wanted).await
    }

    /// The object is there, exactly as declared.
    pub(crate) async fn expect_same(&self, what: &Declared) {
        let found = self.read(what).await.expect("it exists");
        let (asked, there) = (what.spec.to_json(), found.spec.to_json());
        assert!(found.spec.same(&what.spec), "asked {asked}, found {there}");
    }

    /// One attribute as it is.
    pub(crate) async fn attribute(&self, what: &Declared, name: &str) -> Json {
        self.read(what).await.expect("it exists").spec.to_json()[name].clone()
    }

    /// Brings what is there to what is declared.
    pub(crate) async fn repair(&self, what: &Declared) {
        let found = self.read(what).await.expect("it exists");
        let calls = &self.kind(what.kind).calls;
        let done = calls
            .update(&self.connection, &what.name, &found.id, &found.spec, &what.spec)
            .await;
        done.unwrap_or_else(|error| panic!("{error:?}"));
        self.expect_same(what).await;
    }

    /// Makes something that leaves nothing to be found: only its id tells.
    pub(crate) async fn repair_from_nothing(&self, what: &Declared) {
        let id = self.try_create(what).await.unwrap_or_else(|error| panic!("{error:?}"));
        let wanted = Wanted {
            id: Some(id),
            name: what.name.clone(),
            facts: None,
            spec: what.spec.clone(),
        };
        let mut found = self.kind(what.kind).calls.read(&self.connection, vec![wanted]).await;
        let found = found.remove(0).unwrap().expect("it exists");
        assert!(found.spec.same(&what.spec), "found {}", found.spec.to_json());
    }

    pub(crate) async fn try_delete(&self, what: &Declared) -> Result<(), CallError> {
        // Natural ids are natural names or made of them, the rest is found.
        let Some(found) = self.try_read(what).await? else { return Ok(()) };
        let calls = &self.kind(what.kind).calls;
        calls.delete(&self.connection, &what.name, &found.id, &what.spec).await
    }

    pub(crate) async fn delete(&self, what: &Declared) {
        self.try_delete(what).await.unwrap_or_else(|error| panic!("{error:?}"));
    }

    pub(crate) fn psql(&self, database: &str, sql: &str) -> String {
        self.container.psql(database, sql)
    }
}

pub(crate) async fn open(registry: &Registry, spec: Json) -> Result<OpenConnection, CallError> {
    let kind = registry.connection_kind("postgres::server").unwrap();
    let spec = kind.dial.normalize(&Value::from(spec)).unwrap();
    let scope = Scope { stack: STACK.to_owned(), folder: std::env::temp_dir() };
    kind.dial.open(&spec, scope).await
}
