//! Servers that can be saved, with what is known of each.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Backup, Host, Present};
use crate::address::Address;
use crate::error::CallError;
use crate::expr::Expr;
use crate::kind::{Dial, FoundObject, OpenConnection};
use crate::observed::Observation;
use crate::pool::Pool;
use crate::store::State;

/// An object of the stack behind a connection, as it is now.
#[derive(Clone, Debug)]
pub struct Object {
    /// Its name in the stack.
    pub address: Address,
    /// What was found.
    pub found: FoundObject,
}

/// A server that can be saved.
pub struct Site {
    /// The connection to it.
    pub address: Address,
    /// The stack's name.
    pub stack: String,
    /// What the stack has behind the connection.
    pub objects: Vec<Object>,
    /// Where it runs; `None` when that is not part of the stack.
    pub host: Option<Arc<dyn Host>>,
    /// Volumes whose content another site saves, by their name in the world.
    pub covered: BTreeMap<String, Address>,
    connection: OpenConnection,
    dial: Arc<dyn Dial>,
}

impl Site {
    /// What it can save.
    pub fn backup(&self) -> &dyn Backup {
        self.dial.backup(&self.connection).unwrap_or_else(|| {
            panic!("BUG: `{}` says that it saves and does not", self.address)
        })
    }

    /// A place like that of the server with nothing in it.
    ///
    /// # Errors
    /// It is not known where the server runs.
    pub async fn twin(&self) -> Result<Arc<dyn Host>, CallError> {
        match &self.host {
            Some(host) => host.twin().await,
            None => Err(CallError::refused(format!(
                "`{}` is not in a container of the stack, so nothing like it can be made for a \
                 trial",
                self.address
            ))),
        }
    }

    /// The object of an address.
    pub fn object(&self, address: &Address) -> Option<&FoundObject> {
        self.objects
            .iter()
            .find(|object| &object.address == address)
            .map(|object| &object.found)
    }
}

/// The servers of a stack that can be saved, in the order of their addresses, and the
/// connections that could not be used.
pub async fn sites(
    state: &State,
    present: &Present,
    pool: &Pool,
) -> (Vec<Site>, Vec<(Address, CallError)>) {
    let mut sites = Vec::new();
    let mut failed = Vec::new();
    for (address, spec) in &present.connections {
        let Some(kind) = pool.registry().connection_kind(address.kind()) else { continue };
        if !kind.saves {
            continue;
        }
        let line = match spec {
            Ok(spec) => pool.line(address, spec, std::time::Duration::ZERO).await,
            Err(error) => Err(error.clone()),
        };
        let line = match line {
            Ok(line) => line,
            Err(error) => {
                failed.push((address.clone(), error));
                continue;
            }
        };
        let behind = state.records.values().filter(|r| r.connection.as_ref() == Some(address));
        let objects =
            behind.filter_map(|record| match present.objects.get(&record.address)? {
                Observation::Found(found) => {
                    Some(Object { address: record.address.clone(), found: found.clone() })
                }
                _ => None,
            });
        sites.push(Site {
            address: address.clone(),
            stack: state.stack.clone(),
            objects: objects.collect(),
            host: host(state, present, pool, address).await,
            covered: BTreeMap::new(),
            connection: line.connection,
            dial: Arc::clone(&kind.dial),
        });
    }
    (sites, failed)
}

/// What a server runs in: the first of what its arguments refer to that programs run in.
async fn host(
    state: &State,
    present: &Present,
    pool: &Pool,
    address: &Address,
) -> Option<Arc<dyn Host>> {
    let mut named = Vec::new();
    let arguments: &Expr = state.records.get(address)?.arguments.as_ref()?;
    arguments.each_reference(&mut |reference| named.push(reference.address.clone()));
    for inside in named {
        let Some(Observation::Found(found)) = present.objects.get(&inside) else { continue };
        let Some(through) = state.records.get(&inside).and_then(|r| r.connection.clone())
        else {
            continue;
        };
        let Some(kind) = pool.registry().connection_kind(through.kind()) else { continue };
        let Some(Ok(spec)) = present.connections.get(&through) else { continue };
        let Ok(line) = pool.line(&through, spec, std::time::Duration::ZERO).await else {
            continue;
        };
        let host = kind.dial.host(&line.connection, &inside, found);
        if host.is_some() {
            return host;
        }
    }
    None
}
