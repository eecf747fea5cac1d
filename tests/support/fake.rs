//! A provider without a service: containers, stores and servers in memory, for tests of the
//! engine. Providers themselves are tested against real services only.
//!
//! A `fake::unit` runs like a container; a `fake::server` answers on its port; what lives in
//! the server is kept in the unit's store, or dies with the unit.

mod connections;
mod kinds;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dollop_engine::error::CallError;
use dollop_engine::kind::Registry;
use dollop_engine::operate::{Ability, Operations};
use dollop_engine::resource::{Name, Need, Resource as _};
use dollop_engine::value::Value;
use serde_json::Value as Json;

use self::connections::{Engine, Server};
use self::kinds::{Base, Item, Net, Store, Unit};

/// One object of the fake world.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// Given at creation, never used twice.
    pub id: String,
    /// Its attributes.
    pub spec: Json,
    /// The stack that made it, when it is marked.
    pub owner: String,
}

/// Everything that exists, for one stack's tests.
#[derive(Default)]
pub struct World {
    /// Objects by kind and key (place and name).
    pub objects: BTreeMap<(String, String), Object>,
    /// Every call that was made, in order: `create fake::net.app`.
    pub calls: Vec<String>,
    /// Calls that fail: `create fake::net.app`.
    pub failing: BTreeSet<String>,
    /// Calls that do what they are for and never answer: `create fake::net.app`.
    pub slow: BTreeSet<String>,
    /// What the place it is declared in cannot have, by address.
    pub impossible: BTreeSet<String>,
    /// Units that do not get ready, by address.
    pub sick: BTreeSet<String>,
    /// Creates that make something with these attributes and then fail.
    pub half: BTreeMap<String, Json>,
    next: u32,
}

static WORLDS: Mutex<BTreeMap<String, Arc<Mutex<World>>>> = Mutex::new(BTreeMap::new());

/// The world of a stack.
pub fn world(stack: &str) -> Arc<Mutex<World>> {
    let mut worlds = WORLDS.lock().unwrap_or_else(PoisonError::into_inner);
    worlds.entry(stack.to_owned()).or_default().clone()
}

/// Never comes back, when the call is a slow one.
async fn answer(world: &Mutex<World>, call: String) {
    let slow = lock(world).slow.contains(&call);
    if slow {
        std::future::pending::<()>().await;
    }
}

fn lock(world: &Mutex<World>) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the value of an item says that it needs.
fn needs(world: &World, object: &Object) -> Vec<Need> {
    let value = object.spec.get("value").and_then(Json::as_str);
    let names = value.and_then(|value| value.strip_prefix("needs ")).into_iter();
    let need = |name: &str| {
        let known =
            world.objects.iter().find(|((_, key), _)| key.ends_with(&format!("/{name}")));
        Need {
            kind: "fake::item".to_owned(),
            id: known.map(|(_, object)| object.id.clone()).unwrap_or_default(),
            what: format!("item `{name}`"),
            only_first: false,
        }
    };
    names.flat_map(|names| names.split(", ")).map(need).collect()
}

impl World {
    fn call(&mut self, what: &str, name: &Name) -> Result<(), CallError> {
        let call = format!("{what} {}", name.address);
        self.calls.push(call.clone());
        if self.failing.contains(&call) {
            return Err(CallError::refused(format!("the fake refuses to {what}")));
        }
        Ok(())
    }

    fn fresh(&mut self) -> String {
        self.next += 1;
        format!("id-{}", self.next)
    }

    fn port_of(id: &str) -> i64 {
        4000 + id.trim_start_matches("id-").parse::<i64>().unwrap_or(0)
    }
}

/// Adds the fakes to a registry.
pub fn register(registry: Registry) -> Registry {
    registry
        .provider("fake", "Objects in memory, for tests.")
        .connection::<Engine>()
        .connection::<Server>()
        .resource::<Net>()
        .resource::<Store>()
        .resource::<Unit>()
        .resource::<Base>()
        .resource::<Item>()
        .operations_of(Unit::KIND, OfUnits)
}

/// A unit can be stopped, as a container can.
struct OfUnits;

impl Operations for OfUnits {
    fn abilities(&self) -> &'static [Ability] {
        &[Ability::Switch]
    }

    fn switched(&self, spec: &Value, on: bool) -> Option<Value> {
        let Value::Map(mut entries) = spec.clone() else { return None };
        entries.insert("running".to_owned(), Value::Bool(on));
        Some(Value::Map(entries))
    }
}
