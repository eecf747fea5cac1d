//! What can be asked of a RabbitMQ server beside planning it.

use async_trait::async_trait;
use dollop_engine::error::{CallError, Failure};
use dollop_engine::kind::{OpenConnection, opened};
use dollop_engine::operate::{Ability, Object, Operations, Probe};
use serde_json::Value as Json;

use super::health;
use super::server::Server;

/// What to do about a path that is none.
const PATHS: &str = "the management API lists its paths at `/api/index.html`; the vhost `/` is \
                     written `%2F` in them";

/// The operations of `rabbitmq::server`.
pub(super) struct OfServers;

#[async_trait]
impl Operations for OfServers {
    fn abilities(&self) -> &'static [Ability] {
        &[Ability::Probe, Ability::Answer]
    }

    async fn probe(&self, connection: &OpenConnection, objects: &[Object]) -> Vec<Vec<Probe>> {
        let server: &Server = opened(connection);
        // All of them are this server.
        vec![health::probes(server).await; objects.len()]
    }

    /// The question is what follows `/api/`: `overview`, `queues/%2F/orders`.
    async fn answer(
        &self,
        connection: &OpenConnection,
        _: &Object,
        question: &str,
    ) -> Result<Json, CallError> {
        let server: &Server = opened(connection);
        let path = question.trim_start_matches('/');
        let path = path.strip_prefix("api/").unwrap_or(path);
        let answer = server.api.list(&format!("ask for `{path}`"), path).await;
        answer.map_err(|error: CallError| match error.failure {
            Failure::Refused => CallError { hints: vec![PATHS.to_owned()], ..error },
            _ => error,
        })
    }
}
