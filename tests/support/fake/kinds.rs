//! The kinds: what lives in the world, and what lives in its servers.

use std::collections::BTreeMap;

use dollop_engine::address::Address;
use dollop_engine::error::{CallError, Failure};
use dollop_engine::resource::{
    Created, Found, Listed, Listing, Name, Owner, ReadResult, Resource, Traits, Wanted,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::connections::{Engine, Inside, Server};
use super::{Object, World, answer, lock, needs};

/// What a fake reports.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) struct Facts {
    /// Given at creation.
    #[schemars(extend("x-stable" = true))]
    id: String,
    /// Another one after a restart in the real world.
    port: i64,
    /// Ports by name.
    ports: BTreeMap<String, i64>,
}

fn facts(id: &str) -> Facts {
    let port = World::port_of(id);
    Facts { id: id.to_owned(), port, ports: BTreeMap::from([("main".to_owned(), port)]) }
}

/// A kind whose objects are JSON in the world.
macro_rules! fake_kind {
    ($resource:ident, $spec:ident, $kind:literal, $connection:ty, $traits:expr, $keeps:expr) => {
        impl Resource for $resource {
            const KIND: &'static str = $kind;
            type Connection = $connection;
            type Spec = $spec;
            type Facts = Facts;

            fn traits() -> Traits {
                $traits
            }

            fn default_name(_: &str, address: &Address) -> String {
                let mut parts = address.components().to_vec();
                parts.push(address.name().to_owned());
                parts.join("-")
            }

            fn stand_in(natural: &str) -> Option<String> {
                ($kind == "fake::unit").then(|| format!("{natural}.new"))
            }

            fn keeps_data(spec: &$spec, next: Option<&$spec>) -> bool {
                let keeps: fn(&$spec, Option<&$spec>) -> bool = $keeps;
                keeps(spec, next)
            }

            async fn read(
                connection: &$connection,
                wanted: &[Wanted<$spec>],
            ) -> Vec<ReadResult<Self>> {
                answer(connection.world(), format!("read {}", $kind)).await;
                let mut world = lock(connection.world());
                world.calls.push(format!("read {} {}", wanted.len(), $kind));
                wanted
                    .iter()
                    .map(|wanted| {
                        let key = connection.key(&json!(wanted.spec), &wanted.name.natural);
                        let mut key = ($kind.to_owned(), key);
                        let mut natural = wanted.name.natural.clone();
                        // A unit may go by another name by now.
                        let id = wanted.id.as_ref().filter(|_| $kind == "fake::unit");
                        let mut objects = world.objects.iter();
                        if let Some(id) = id
                            && let Some((known, _)) =
                                objects.find(|(_, object)| object.id == *id)
                        {
                            natural.clone_from(&known.1);
                            key.clone_from(known);
                        }
                        let Some(object) = world.objects.get(&key) else {
                            let address = wanted.name.address.to_string();
                            if world.impossible.contains(&address) {
                                return Err(CallError::impossible("there is no room for it"));
                            }
                            return Ok(None);
                        };
                        if wanted.id.as_ref().is_some_and(|id| id != &object.id) {
                            return Ok(None);
                        }
                        let spec = serde_json::from_value(object.spec.clone())
                            .map_err(|error| CallError::refused(error.to_string()))?;
                        let owner = match object.owner.as_str() {
                            "" => Owner::Unmarked,
                            stack if stack == wanted.name.stack => Owner::Ours,
                            other => Owner::Other(format!("it belongs to stack `{other}`")),
                        };
                        Ok(Some(Found {
                            id: object.id.clone(),
                            natural,
                            spec,
                            facts: facts(&object.id),
                            owner,
                        }))
                    })
                    .collect()
            }

            const LISTS: bool = true;

            /// What is called `own…` the world has by itself; what has an odd form is left out;
            /// a value that says `needs b, c` needs the items of these names.
            async fn list(
                connection: &$connection,
            ) -> Result<Listing<$spec, Facts>, CallError> {
                let world = lock(connection.world());
                let mut listing = Listing::default();
                for ((kind, key), object) in &world.objects {
                    let Some(natural) = connection.natural(key).filter(|_| kind == $kind)
                    else {
                        continue;
                    };
                    match serde_json::from_value(object.spec.clone()) {
                        Ok(spec) => listing.objects.push(Listed {
                            built_in: natural.starts_with("own"),
                            remarks: Vec::new(),
                            needs: needs(&world, object),
                            found: Found {
                                id: object.id.clone(),
                                natural,
                                spec,
                                facts: facts(&object.id),
                                owner: Owner::Unmarked,
                            },
                        }),
                        Err(_) => listing.left_out.push(format!("`{natural}` is odd")),
                    }
                }
                Ok(listing)
            }

            async fn create(
                connection: &$connection,
                name: &Name,
                spec: $spec,
            ) -> Result<Created<Facts>, CallError> {
                let made = (|| {
                    let mut world = lock(connection.world());
                    world.call("create", name)?;
                    let spec = json!(spec);
                    let key = ($kind.to_owned(), connection.key(&spec, &name.natural));
                    if world.objects.contains_key(&key) {
                        let message = format!("`{}` exists already", name.natural);
                        return Err(CallError::new(Failure::Exists, message));
                    }
                    let id = world.fresh();
                    let owner = connection.mark(&name.stack);
                    if let Some(half) = world.half.remove(&name.address.to_string()) {
                        let object = Object { id, spec: half, owner };
                        world.objects.insert(key, object);
                        return Err(CallError::refused("the fake refuses to create"));
                    }
                    world.objects.insert(key, Object { id: id.clone(), spec, owner });
                    Ok(Created { facts: facts(&id), id })
                })();
                answer(connection.world(), format!("create {}", name.address)).await;
                made
            }

            async fn update(
                connection: &$connection,
                name: &Name,
                id: &str,
                _: $spec,
                to: $spec,
            ) -> Result<Facts, CallError> {
                let made = (|| {
                    let mut world = lock(connection.world());
                    world.call("update", name)?;
                    let key = ($kind.to_owned(), connection.key(&json!(to), &name.natural));
                    let Some(object) = world.objects.get_mut(&key) else {
                        return Err(CallError::refused(format!("`{}` is gone", name.natural)));
                    };
                    object.spec = json!(to);
                    Ok(facts(id))
                })();
                answer(connection.world(), format!("update {}", name.address)).await;
                made
            }

            async fn take_over(
                connection: &$connection,
                name: &Name,
                id: &str,
                _: $spec,
                to: $spec,
                old: &str,
            ) -> Result<Facts, CallError> {
                let made = (|| {
                    let mut world = lock(connection.world());
                    world.call("take over", name)?;
                    if world.sick.contains(&name.address.to_string()) {
                        return Err(CallError::refused(format!("`{}` is sick", name.natural)));
                    }
                    let mut free = |id: &str| {
                        let mut objects = world.objects.iter();
                        let found = objects.find(|(_, object)| object.id == id);
                        let key = found.map(|(key, _)| key.clone())?;
                        Some((key.clone(), world.objects.remove(&key)?))
                    };
                    let Some((key, object)) = free(id) else {
                        return Err(CallError::refused(format!("`{}` is gone", name.natural)));
                    };
                    if let Some(((kind, natural), before)) = free(old) {
                        world.objects.insert((kind, format!("{natural}.old")), before);
                    }
                    let object = Object { spec: json!(to), ..object };
                    world.objects.insert((key.0, name.natural.clone()), object);
                    Ok(facts(id))
                })();
                answer(connection.world(), format!("take over {}", name.address)).await;
                made
            }

            async fn delete(
                connection: &$connection,
                name: &Name,
                id: &str,
                spec: $spec,
            ) -> Result<(), CallError> {
                let made = (|| {
                    let mut world = lock(connection.world());
                    world.call("delete", name)?;
                    let key = ($kind.to_owned(), connection.key(&json!(spec), &name.natural));
                    // It may go by another name by now.
                    let mut objects = world.objects.iter();
                    let named =
                        objects.find(|((kind, _), object)| kind == $kind && object.id == id);
                    let key = named.map_or(key, |(key, _)| key.clone());
                    world.objects.remove(&key);
                    // What lived in it dies with it.
                    let inside = format!("{id}/");
                    let stored = format!("{}/", name.natural);
                    let store = $kind == "fake::store";
                    let parts = ($kind == "fake::base").then(|| format!("{}/", key.1));
                    world.objects.retain(|(_, key), _| {
                        let part = parts.as_ref().is_some_and(|parts| key.starts_with(parts));
                        !key.starts_with(&inside)
                            && !(store && key.starts_with(&stored))
                            && !part
                    });
                    Ok(())
                })();
                answer(connection.world(), format!("delete {}", name.address)).await;
                made
            }

            async fn ready(
                connection: &$connection,
                name: &Name,
                id: &str,
                _: $spec,
            ) -> Result<(), CallError> {
                let sick = {
                    let mut world = lock(connection.world());
                    world.calls.push(format!("wait for {} {id}", name.address));
                    world.sick.contains(&name.address.to_string())
                };
                answer(connection.world(), format!("ready {}", name.address)).await;
                if sick {
                    return Err(CallError::refused(format!("`{}` is sick", name.natural)));
                }
                Ok(())
            }
        }
    };
}

/// Something others join.
pub(super) struct Net;

/// What a net takes.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NetSpec {
    /// Cannot be changed.
    #[serde(default = "plain")]
    #[schemars(extend("x-replace" = true))]
    driver: String,
    /// Free text.
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

/// Something that keeps data.
pub(super) struct Store;

/// What a store takes.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct StoreSpec {
    /// Cannot be changed.
    #[serde(default = "plain")]
    #[schemars(extend("x-replace" = true))]
    driver: String,
}

/// Something that runs.
pub(super) struct Unit;

/// What a unit takes.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UnitSpec {
    /// Cannot be changed.
    #[schemars(extend("x-replace" = true))]
    image: String,
    /// Cannot be changed.
    #[serde(default)]
    #[schemars(extend("x-replace" = true, "x-write-only" = true))]
    env: BTreeMap<String, String>,
    /// Live.
    #[serde(default)]
    size: i64,
    /// Live.
    #[serde(default)]
    #[schemars(extend("x-handle" = "fake::net"))]
    net: Option<String>,
    /// Where it keeps data.
    #[serde(default)]
    #[schemars(extend("x-replace" = true, "x-handle" = "fake::store"))]
    store: Option<String>,
    /// Whether it runs.
    #[serde(default = "yes")]
    #[schemars(extend("x-disruption" = "restart"))]
    running: bool,
}

/// A part of a server.
pub(super) struct Base;

/// What a base takes.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BaseSpec {
    /// Live.
    #[serde(default)]
    comment: String,
    /// Cannot be changed.
    #[serde(default = "plain")]
    #[schemars(extend("x-replace" = true))]
    encoding: String,
}

/// A part of a base.
pub(super) struct Item;

/// What an item takes.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ItemSpec {
    /// The base it is in.
    #[schemars(extend("x-handle" = "fake::base"))]
    base: String,
    /// Live.
    #[serde(default)]
    value: String,
    /// Live and secret.
    #[serde(default)]
    #[schemars(extend("x-secret" = true, "x-write-only" = true))]
    token: Option<String>,
}

fn plain() -> String {
    "plain".to_owned()
}

fn yes() -> bool {
    true
}

fn data() -> Traits {
    Traits { holds_data: true, ..Traits::default() }
}

fn runs() -> Traits {
    Traits { gets_ready: true, ..Traits::default() }
}

fn inside() -> Traits {
    Traits { within: &["base"], ..Traits::default() }
}

fake_kind!(Net, NetSpec, "fake::net", Engine, Traits::default(), |_, _| true);
fake_kind!(Store, StoreSpec, "fake::store", Engine, data(), |_, _| true);
fake_kind!(Unit, UnitSpec, "fake::unit", Engine, runs(), |spec, next| {
    spec.store.is_some() && next.is_none_or(|next| next.store == spec.store)
});
fake_kind!(Base, BaseSpec, "fake::base", Server, data(), |_, _| true);
fake_kind!(Item, ItemSpec, "fake::item", Server, inside(), |_, _| true);
