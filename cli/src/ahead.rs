//! Connections that are opened while the script runs on.

use std::collections::BTreeMap;
use std::sync::Arc;

use dollop_engine::address::Address;
use dollop_engine::pool::Pool;
use dollop_engine::store::State;
use dollop_engine::value::Value;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

/// The specs of connections.
type Specs = BTreeMap<Address, Value>;

/// Opens what is declared and recorded alike, as soon as both are known.
///
/// What the script has declared so far, a later line may change: that alone is no reason to log
/// in somewhere. What is recorded is where the stack's objects are.
pub struct Ahead {
    pool: Arc<Pool>,
    declared: UnboundedReceiver<(Address, Value)>,
    recorded: oneshot::Receiver<Specs>,
}

/// Where an [`Ahead`] hears what is declared. It ends when this is dropped.
pub type Declared = UnboundedSender<(Address, Value)>;

/// Where it hears what is recorded.
pub struct Recorded(oneshot::Sender<Specs>);

impl Ahead {
    /// One that opens connections of a pool.
    pub fn new(pool: Arc<Pool>) -> (Self, Declared, Recorded) {
        let (declare, declared) = unbounded_channel();
        let (record, recorded) = oneshot::channel();
        (Self { pool, declared, recorded }, declare, Recorded(record))
    }

    /// Opens until everything is declared. It needs a runtime that does other work meanwhile.
    pub async fn run(mut self) {
        let Ok(recorded) = self.recorded.await else { return };
        while let Some((address, spec)) = self.declared.recv().await {
            if recorded.get(&address) == Some(&spec) {
                let pool = self.pool.clone();
                drop(tokio::spawn(async move { pool.open_as(address, spec).await }));
            }
        }
    }
}

impl Recorded {
    /// Tells the connections of a state.
    pub fn tell(self, state: &State) {
        let connections = state.records.values().filter(|record| record.connection.is_none());
        let specs = connections.map(|one| (one.address.clone(), one.spec.clone()));
        // Nobody hears it when everything was declared before.
        drop(self.0.send(specs.collect()));
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use dollop_engine::resource::Scope;
    use dollop_engine::store::Record;
    use serde_json::json;

    use super::*;

    /// Whether somebody comes who is declared with the password `pw` and recorded with this one.
    fn comes(recorded: &str) -> bool {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = server.local_addr().unwrap().port();
        server.set_nonblocking(true).unwrap();
        let registry = Arc::new(dollop_stdlib::registry());
        let spec = |password: &str| {
            let kind = registry.connection_kind("rabbitmq::server").unwrap();
            let spec = json!({ "host": "127.0.0.1", "port": port, "password": password });
            kind.dial.normalize(&Value::from(spec)).unwrap()
        };
        let address: Address = "rabbitmq::server.broker".parse().unwrap();
        let declared = spec("pw");
        let mut state = State::default();
        let record = Record { spec: spec(recorded), ..Record::of(address.clone()) };
        state.records.insert(address.clone(), record);

        let scope = Scope { stack: "test".to_owned(), folder: "/".into() };
        let pool = Arc::new(Pool::new(registry.clone(), scope));
        let (ahead, declare, record) = Ahead::new(pool);
        let runtime = crate::session::runtime().unwrap();
        runtime.block_on(async {
            let ahead = tokio::spawn(ahead.run());
            declare.send((address, declared)).unwrap();
            record.tell(&state);
            drop(declare);
            ahead.await.unwrap();
            for _ in 0..50 {
                if server.accept().is_ok() {
                    return true;
                }
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
            false
        })
    }

    #[test]
    fn only_what_is_declared_as_it_is_recorded_is_opened_before_the_script_ends() {
        assert!(comes("pw"));
        assert!(!comes("old"));
    }
}
