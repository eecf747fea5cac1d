//! What can be asked of a RabbitMQ server beside planning it.

use async_trait::async_trait;
use dollop_engine::kind::{OpenConnection, opened};
use dollop_engine::operate::{Ability, Object, Operations, Probe};

use super::health;
use super::server::Server;

/// The operations of `rabbitmq::server`.
pub(super) struct OfServers;

#[async_trait]
impl Operations for OfServers {
    fn abilities(&self) -> &'static [Ability] {
        &[Ability::Probe]
    }

    async fn probe(&self, connection: &OpenConnection, objects: &[Object]) -> Vec<Vec<Probe>> {
        let server: &Server = opened(connection);
        // All of them are this server.
        vec![health::probes(server).await; objects.len()]
    }
}
