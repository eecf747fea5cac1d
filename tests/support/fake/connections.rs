//! The world as an engine, and the servers in its units.

use std::sync::{Arc, Mutex};

use dollop_engine::error::{CallError, Failure};
use dollop_engine::resource::{Connection, Scope};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::{World, lock, world};

/// The world itself, always there.
pub(super) struct Engine(Arc<Mutex<World>>);

/// Takes no arguments.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EngineSpec {}

impl Connection for Engine {
    const KIND: &'static str = "fake::engine";
    const IMPLICIT: bool = true;
    type Spec = EngineSpec;

    async fn open(_: EngineSpec, scope: Scope) -> Result<Self, CallError> {
        Ok(Self(world(&scope.stack)))
    }

    fn describe(_: &EngineSpec) -> String {
        "the fake world".to_owned()
    }
}

/// A server inside a unit.
pub(super) struct Server {
    world: Arc<Mutex<World>>,
    place: String,
}

/// How to reach a fake server.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ServerSpec {
    /// The port of its unit.
    #[schemars(extend("x-replace" = true))]
    port: i64,
    /// Always `letmein`.
    #[serde(default)]
    #[schemars(extend("x-secret" = true))]
    password: Option<String>,
}

impl Connection for Server {
    const KIND: &'static str = "fake::server";
    type Spec = ServerSpec;

    async fn open(spec: ServerSpec, scope: Scope) -> Result<Self, CallError> {
        let shared = world(&scope.stack);
        let mut inner = lock(&shared);
        inner.calls.push(format!("connect {}", spec.port));
        let here = inner.objects.iter().find(|((kind, _), object)| {
            kind == "fake::unit"
                && object.spec["running"] == true
                && World::port_of(&object.id) == spec.port
        });
        let Some((_, object)) = here else {
            return Err(CallError::unreachable(format!("port {} is closed", spec.port))
                .hint("start the unit"));
        };
        if spec.password.as_deref().is_some_and(|password| password != "letmein") {
            return Err(
                CallError::new(Failure::Denied, "wrong password").hint("check `password`")
            );
        }
        let store = object.spec["store"].as_str();
        let place = store.map_or(object.id.clone(), str::to_owned);
        drop(inner);
        Ok(Self { world: shared, place })
    }

    fn describe(spec: &ServerSpec) -> String {
        format!("port {}", spec.port)
    }
}

/// What kinds ask of the connection they live behind.
pub(super) trait Inside {
    fn world(&self) -> &Mutex<World>;
    fn key(&self, spec: &Json, natural: &str) -> String;
    fn mark(&self, stack: &str) -> String;
    /// The name of what has this key, when it lives here.
    fn natural(&self, key: &str) -> Option<String>;
}

impl Inside for Engine {
    fn world(&self) -> &Mutex<World> {
        &self.0
    }
    fn key(&self, _: &Json, natural: &str) -> String {
        natural.to_owned()
    }
    fn mark(&self, stack: &str) -> String {
        stack.to_owned()
    }
    fn natural(&self, key: &str) -> Option<String> {
        (!key.contains('/')).then(|| key.to_owned())
    }
}

impl Inside for Server {
    fn world(&self) -> &Mutex<World> {
        &self.world
    }
    fn key(&self, spec: &Json, natural: &str) -> String {
        let base = spec["base"].as_str().map(|base| format!("{base}/")).unwrap_or_default();
        format!("{}/{base}{natural}", self.place)
    }
    fn mark(&self, _: &str) -> String {
        String::new()
    }
    fn natural(&self, key: &str) -> Option<String> {
        let inside = key.strip_prefix(&self.place)?.strip_prefix('/')?;
        inside.rsplit('/').next().map(str::to_owned)
    }
}
