//! A RabbitMQ server, through its management API.

use std::sync::Arc;

use dollop_engine::backup::Backup;
use dollop_engine::error::CallError;
use dollop_engine::resource::{Connection, Scope};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::api::{Api, root};
use super::definitions::{Definitions, Latest};

/// A RabbitMQ server with the management plugin (the `-management` images have it), 3.10 or
/// later. The user needs the tag `administrator`.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Name or address of the machine. Example: `"127.0.0.1"`.
    #[schemars(extend("x-replace" = true))]
    host: String,
    /// Port of the management API, over plain HTTP; not the one for messages.
    #[serde(default = "port")]
    #[schemars(extend("x-replace" = true))]
    port: u16,
    /// Who to log in as.
    #[serde(default = "user")]
    user: String,
    /// Their password.
    #[schemars(extend("x-secret" = true))]
    password: String,
}

/// An open connection.
pub struct Server {
    pub(super) api: Arc<Api>,
    definitions: Latest,
    /// `3.10.8`.
    pub(super) version: String,
    /// The types of exchanges that it and its plugins have.
    pub(super) exchange_types: Vec<String>,
}

#[derive(Deserialize)]
struct Overview {
    #[serde(default)]
    rabbitmq_version: Option<String>,
    #[serde(default)]
    exchange_types: Vec<ExchangeType>,
}

#[derive(Deserialize)]
struct ExchangeType {
    name: String,
}

impl Server {
    /// Nearly everything there is, in one request for all who ask at the same time.
    pub(super) async fn definitions(&self) -> Result<Arc<Definitions>, CallError> {
        self.definitions.get(&self.api).await
    }
}

impl Connection for Server {
    const KIND: &'static str = "rabbitmq::server";
    type Spec = Spec;

    /// Asks `GET /api/overview`, which needs the plugin, the login and its tag.
    async fn open(spec: Spec, _: Scope) -> Result<Self, CallError> {
        let root = root(&spec.host, spec.port);
        let api = Api::new(root.clone(), spec.user, spec.password)?;
        let overview: Overview = api.get("connect to RabbitMQ", "overview").await?;
        // The listener is up before the broker.
        let starting =
            || CallError::unreachable(format!("RabbitMQ on {root} is still starting"));
        let version = overview.rabbitmq_version.ok_or_else(starting)?;
        let types = overview.exchange_types.into_iter();
        let exchange_types = types.map(|exchange_type| exchange_type.name).collect();
        let definitions = Latest::default();
        Ok(Self { api: Arc::new(api), definitions, version, exchange_types })
    }

    fn describe(spec: &Spec) -> String {
        format!("{} as {}", root(&spec.host, spec.port), spec.user)
    }

    const SAVES: bool = true;

    fn backup(&self) -> Option<&dyn Backup> {
        Some(self)
    }
}

fn port() -> u16 {
    15672
}

fn user() -> String {
    "guest".to_owned()
}
