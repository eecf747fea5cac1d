//! Connections that are opened, and read, while the script runs on.

use std::collections::BTreeMap;
use std::sync::Arc;

use dollop_engine::address::Address;
use dollop_engine::ahead::Remembered;
use dollop_engine::pool::Pool;
use dollop_engine::store::{Record, State};
use dollop_engine::value::Value;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Opens what is declared and recorded alike, as soon as both are known, and reads what is
/// remembered behind it.
///
/// What the script has declared so far, a later line may change: that alone is no reason to log
/// in somewhere. What is recorded is where the stack's objects are.
pub struct Ahead {
    pool: Arc<Pool>,
    heard: UnboundedReceiver<Heard>,
    declared: BTreeMap<Address, Value>,
    recorded: BTreeMap<Address, Value>,
    remembered: Option<BTreeMap<Address, Remembered>>,
}

/// What an [`Ahead`] is told; it ends when nobody can tell it any more.
enum Heard {
    Declared(Address, Value),
    Recorded(Address, Value),
    Remembered(BTreeMap<Address, Remembered>),
}

/// Tells an [`Ahead`] what the script declares and the state has.
#[derive(Clone)]
pub struct Teller(UnboundedSender<Heard>);

impl Ahead {
    /// One that opens connections of a pool.
    pub fn new(pool: Arc<Pool>) -> (Self, Teller) {
        let (teller, heard) = unbounded_channel();
        let (declared, recorded) = (BTreeMap::new(), BTreeMap::new());
        (Self { pool, heard, declared, recorded, remembered: None }, Teller(teller))
    }

    /// Begins to open, and to read, until everything is told. It needs a runtime around it.
    pub async fn run(mut self) {
        let mut open = Vec::new();
        while let Some(heard) = self.heard.recv().await {
            let told = match heard {
                Heard::Declared(address, spec) => {
                    self.declared.insert(address.clone(), spec);
                    vec![address]
                }
                Heard::Recorded(address, spec) => {
                    self.recorded.insert(address.clone(), spec);
                    vec![address]
                }
                Heard::Remembered(all) => {
                    let specs = all.iter().map(|(address, one)| (address, &one.spec));
                    let new = specs.filter(|(address, _)| !self.recorded.contains_key(address));
                    let new: Vec<_> = new.map(|(a, spec)| (a.clone(), spec.clone())).collect();
                    let told = new.iter().map(|(address, _)| address.clone()).collect();
                    self.recorded.extend(new);
                    self.remembered = Some(all);
                    told
                }
            };
            for address in told {
                if let Some(spec) = self.declared.get(&address)
                    && self.recorded.get(&address) == Some(spec)
                {
                    let (pool, spec) = (self.pool.clone(), spec.clone());
                    let opened = address.clone();
                    drop(tokio::spawn(async move { pool.open_as(opened, spec).await }));
                    open.push(address);
                }
            }
            if let Some(remembered) = &mut self.remembered {
                for address in open.drain(..) {
                    if let Some(behind) = remembered.remove(&address) {
                        self.pool.look_ahead(address, behind);
                    }
                }
            }
        }
    }
}

impl Teller {
    /// A connection is declared.
    pub fn declared(&self, address: Address, spec: Value) {
        self.tell(Heard::Declared(address, spec));
    }

    /// The record of a connection was read.
    pub fn recorded(&self, record: &Record) {
        self.tell(Heard::Recorded(record.address.clone(), record.spec.clone()));
    }

    /// All of the state was read.
    pub fn remembered(&self, state: &State) {
        self.tell(Heard::Remembered(Remembered::of(state)));
    }

    fn tell(&self, heard: Heard) {
        // Nobody hears it where nothing is to be opened.
        drop(self.0.send(heard));
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
        let (ahead, teller) = Ahead::new(pool);
        let runtime = crate::session::runtime().unwrap();
        runtime.block_on(async {
            let ahead = tokio::spawn(ahead.run());
            teller.declared(address, declared);
            teller.remembered(&state);
            drop(teller);
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
