//! What can be asked of a PostgreSQL server beside planning it.

use std::time::Instant;

use async_trait::async_trait;
use dollop_engine::kind::{OpenConnection, opened};
use dollop_engine::operate::{Ability, Client, Object, Operations, Probe, Verdict};
use dollop_engine::value::Value;

use super::error::Task;
use super::server::{Server, Spec};
use super::tls::SslMode;

/// The operations of `postgres::server`.
pub(super) struct OfServers;

#[async_trait]
impl Operations for OfServers {
    fn abilities(&self) -> &'static [Ability] {
        &[Ability::Probe, Ability::Client]
    }

    async fn probe(&self, connection: &OpenConnection, objects: &[Object]) -> Vec<Vec<Probe>> {
        let server: &Server = opened(connection);
        let mut all = Vec::with_capacity(objects.len());
        for _ in objects {
            let begun = Instant::now();
            // A standby answers as well; what recovers from a crash does not.
            let asked = server.holds(server.database(), "select true", &Task::new("ask")).await;
            let (verdict, detail) = match asked {
                Ok(_) => (Verdict::Good, format!("PostgreSQL {}", version(server.version))),
                Err(error) => (Verdict::Bad, error.message),
            };
            all.push(vec![Probe {
                what: "sql".to_owned(),
                verdict,
                detail,
                took: begun.elapsed(),
            }]);
        }
        all
    }

    fn client(&self, spec: &Value, at: Option<(&str, u16)>) -> Option<Client> {
        let spec: Spec = serde_json::from_value(spec.to_json()).ok()?;
        let (host, port) = at.unwrap_or((&spec.host, spec.port));
        let mut env = Vec::new();
        if let Some(password) = &spec.password {
            env.push(("PGPASSWORD".to_owned(), password.clone()));
        }
        // Inside its container the server is spoken to directly.
        if at.is_none()
            && spec.sslmode != SslMode::default()
            && let Ok(serde_json::Value::String(mode)) = serde_json::to_value(spec.sslmode)
        {
            env.push(("PGSSLMODE".to_owned(), mode));
        }
        let arguments = [
            "-h".to_owned(),
            host.to_owned(),
            "-p".to_owned(),
            port.to_string(),
            "-U".to_owned(),
            spec.user.clone(),
        ];
        env.push(("PGDATABASE".to_owned(), spec.database.clone()));
        Some(Client { program: "psql".to_owned(), arguments: arguments.to_vec(), env })
    }
}

/// `15.4` from 150004.
fn version(number: u32) -> String {
    format!("{}.{}", number / 10_000, number % 10_000)
}
