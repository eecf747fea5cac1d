//! This machine.

use std::path::PathBuf;

use dollop_engine::error::CallError;
use dollop_engine::resource::{Connection, Scope};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// This machine, where dollop runs.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {}

/// This machine as a service.
pub struct Host {
    /// Where relative paths start.
    pub(super) folder: PathBuf,
}

impl Connection for Host {
    const KIND: &'static str = "local::host";
    const IMPLICIT: bool = true;
    type Spec = Spec;

    async fn open(_: Spec, scope: Scope) -> Result<Self, CallError> {
        Ok(Self { folder: scope.folder })
    }

    fn describe(_: &Spec) -> String {
        "this machine".to_owned()
    }
}
