//! A value that lives only in the record.

use dollop_engine::error::CallError;
use dollop_engine::resource::{Created, Name, Naming, ReadResult, Resource, Traits, Wanted};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::host::Host;
use super::recorded::recorded;
use super::token::token;

/// A value kept in the state. It does nothing in the world: others refer to it, or are
/// replaced with it when its `triggers` change.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Any value; comes back as `output`. A change is made in place.
    #[serde(default)]
    input: Json,
    /// Any value. A change makes a new object with a new `id`.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    triggers: Json,
}

/// What is known once it is made.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Facts {
    /// A random identifier in the form of a UUID.
    #[schemars(extend("x-stable" = true))]
    id: String,
    /// The value of `input`.
    output: Json,
}

/// The kind `local::data`.
pub struct Data;

impl Resource for Data {
    const KIND: &'static str = "local::data";
    type Connection = Host;
    type Spec = Spec;
    type Facts = Facts;

    fn traits() -> Traits {
        Traits { naming: Naming::Label, only_recorded: true, ..Traits::default() }
    }

    async fn read(_: &Host, wanted: &[Wanted<Spec>]) -> Vec<ReadResult<Self>> {
        recorded::<Self>(wanted, |facts| &facts.id)
    }

    async fn create(_: &Host, _: &Name, spec: Spec) -> Result<Created<Facts>, CallError> {
        let id = token()?;
        Ok(Created { id: id.clone(), facts: Facts { id, output: spec.input } })
    }

    async fn update(
        _: &Host,
        _: &Name,
        id: &str,
        _: Spec,
        to: Spec,
    ) -> Result<Facts, CallError> {
        Ok(Facts { id: id.to_owned(), output: to.input })
    }

    async fn delete(_: &Host, _: &Name, _: &str, _: Spec) -> Result<(), CallError> {
        Ok(())
    }
}
