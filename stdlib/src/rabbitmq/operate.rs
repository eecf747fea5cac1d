//! What can be asked of a RabbitMQ server beside planning it.

use std::time::Instant;

use async_trait::async_trait;
use dollop_engine::kind::{OpenConnection, opened};
use dollop_engine::operate::{Ability, Object, Operations, Probe, Verdict};
use futures::future::join_all;
use serde::Deserialize;

use super::server::Server;

/// The health checks of the management API that are asked for, and what each means.
const CHECKS: [(&str, &str); 3] =
    [("amqp", "protocol-listener/amqp"), ("alarms", "alarms"), ("vhosts", "virtual-hosts")];

/// The operations of `rabbitmq::server`.
pub(super) struct OfServers;

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    status: String,
}

#[async_trait]
impl Operations for OfServers {
    fn abilities(&self) -> &'static [Ability] {
        &[Ability::Probe]
    }

    async fn probe(&self, connection: &OpenConnection, objects: &[Object]) -> Vec<Vec<Probe>> {
        let server: &Server = opened(connection);
        let mut all = Vec::with_capacity(objects.len());
        for _ in objects {
            all.push(join_all(CHECKS.map(|check| ask(server, check))).await);
        }
        all
    }
}

/// A check that does not hold answers with status 503, which is an error.
async fn ask(server: &Server, (what, check): (&str, &str)) -> Probe {
    let begun = Instant::now();
    let path = format!("health/checks/{check}");
    let asked = server.api.get::<Answer>("check its health", &path).await;
    let (verdict, detail) = match asked {
        Ok(answer) if answer.status == "ok" => {
            (Verdict::Good, format!("RabbitMQ {}", server.version))
        }
        Ok(answer) => (Verdict::Bad, answer.status),
        Err(error) => (Verdict::Bad, error.message),
    };
    Probe { what: what.to_owned(), verdict, detail, took: begun.elapsed() }
}
