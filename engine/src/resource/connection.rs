//! What a provider connects to.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Concurrency, Instead, Scope};
use crate::address::Address;
use crate::analysis::Lint;
use crate::backup::{Backup, Host};
use crate::error::CallError;
use crate::files::Look;

/// A service that resources live in: a Docker engine, a PostgreSQL server.
pub trait Connection: Sized + Send + Sync + 'static {
    /// The name in scripts: `postgres::server`.
    const KIND: &'static str;
    /// Whether a default one exists without being declared.
    const IMPLICIT: bool = false;
    /// As [`Traits::instead`].
    const INSTEAD: Instead = Instead(&[]);
    /// How to reach it.
    type Spec: Serialize + DeserializeOwned + JsonSchema + Send + Sync;

    /// Connects and makes sure the service answers; tries once.
    ///
    /// The engine tries again while the error is [`Unreachable`](crate::error::Failure) and
    /// the service is known to be starting.
    fn open(
        spec: Self::Spec,
        scope: Scope,
    ) -> impl Future<Output = Result<Self, CallError>> + Send;

    /// The address in words, for messages: `127.0.0.1:5432 as postgres`. No secrets.
    fn describe(spec: &Self::Spec) -> String;

    /// What works and most likely is not meant. `known` are the attributes that are known and
    /// no secrets, as they are written.
    fn lint(_known: &serde_json::Value) -> Vec<Lint> {
        Vec::new()
    }

    /// What is wrong with the files of this machine by which it is reached; `look` reads one,
    /// relative paths from the project folder. `known` is as for [`lint`](Self::lint).
    fn lint_files(_known: &serde_json::Value, _look: Look<'_>) -> Vec<Lint> {
        Vec::new()
    }

    /// The most calls that change something under way at once.
    fn concurrency(_: &Self::Spec) -> Concurrency {
        Concurrency::default()
    }

    /// Whether the service works, not only answers: asked for what names it in
    /// `after_healthy`, again and again while it is [`Unreachable`](crate::error::Failure).
    fn ready(&self) -> impl Future<Output = Result<(), CallError>> + Send {
        async { Ok(()) }
    }

    /// The form in which [`export`](Self::export) hands everything out, by a name for
    /// `dollop export`.
    const EXPORTS: Option<&'static str> = None;

    /// Everything in the service, in a form of its own, secrets included.
    fn export(&self) -> impl Future<Output = Result<String, CallError>> + Send {
        async { Err(CallError::refused("there is nothing to export")) }
    }

    /// Whether what lives in it sees the files of this machine.
    fn is_local(_spec: &Self::Spec) -> bool {
        false
    }

    /// Whether [`backup`](Self::backup) saves anything.
    const SAVES: bool = false;

    /// How what people stored behind it is saved and taken back.
    fn backup(&self) -> Option<&dyn Backup> {
        None
    }

    /// The place where programs of a server run, when an object behind it is one: a
    /// container. `spec` is the object as it is.
    fn host(
        _connection: &Arc<Self>,
        _address: &Address,
        _id: &str,
        _spec: &serde_json::Value,
    ) -> Option<Arc<dyn Host>> {
        None
    }
}
