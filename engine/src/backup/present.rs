//! How what is recorded can be reached now.
//!
//! Needs no script: a container that was restarted has another port, and a connection's
//! record keeps its arguments as declared, so that what is read now fills them in.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use futures::future::join_all;

use crate::address::Address;
use crate::error::CallError;
use crate::expr::{Expr, Reference};
use crate::map::Map;
use crate::observed::Observation;
use crate::pool::Pool;
use crate::reading;
use crate::resource::{Name, Wanted};
use crate::store::{Record, State};
use crate::value::Value;

/// What is recorded, as it is now.
#[derive(Debug, Default)]
pub struct Present {
    /// The arguments of every connection, or why it cannot be used.
    pub connections: BTreeMap<Address, Result<Value, CallError>>,
    /// Every object.
    pub objects: HashMap<Address, Observation>,
}

/// Opens every connection of a state and reads what is behind it. Never writes.
pub async fn present(state: &State, pool: &Pool, patience: Duration) -> Present {
    let mut present = Present::default();
    let mut left: BTreeSet<Address> = state
        .records
        .values()
        .map(|record| record.connection.clone().unwrap_or_else(|| record.address.clone()))
        .collect();
    loop {
        let ready: Vec<(Address, Result<Value, CallError>)> = left
            .iter()
            .filter_map(|address| {
                Some((address.clone(), present.arguments(state, pool, address)?))
            })
            .collect();
        if ready.is_empty() {
            for address in left {
                let error = present.unreachable(state, &address);
                present.connections.insert(address, Err(error));
            }
            return present;
        }
        for (address, _) in &ready {
            left.remove(address);
        }
        let read = ready.into_iter().map(|(address, spec)| async move {
            let spec = match spec {
                Ok(spec) => spec,
                Err(error) => return (address, Err(error), Vec::new()),
            };
            match read_behind(state, pool, &address, &spec, patience).await {
                Ok(objects) => (address, Ok(spec), objects),
                Err(error) => (address, Err(error), Vec::new()),
            }
        });
        for (address, spec, objects) in join_all(read).await {
            present.connections.insert(address, spec);
            present.objects.extend(objects);
        }
    }
}

impl Present {
    /// The arguments of a connection, once everything they refer to was read.
    fn arguments(
        &self,
        state: &State,
        pool: &Pool,
        address: &Address,
    ) -> Option<Result<Value, CallError>> {
        let Some(kind) = pool.registry().connection_kind(address.kind()) else {
            let message = format!("this dollop knows no connection `{}`", address.kind());
            return Some(Err(CallError::refused(message)));
        };
        let record = state.records.get(address);
        let arguments = match record {
            Some(Record { arguments: Some(arguments), .. }) => arguments.clone(),
            Some(record) => Expr::Value(record.spec.clone()),
            // A default one without arguments needs no record.
            None => Expr::Value(Value::Map(Map::new())),
        };
        let resolved = arguments.resolve(&|reference| self.look_up(state, record?, reference));
        let normal = kind.dial.normalize(resolved.known()?);
        let normal = normal.map_err(|error| {
            CallError::refused(format!("`{address}`: `{}`: {}", error.path, error.message))
        });
        Some(normal.map(|spec| kind.mark_spec(spec)))
    }

    fn look_up(
        &self,
        state: &State,
        connection: &Record,
        reference: &Reference,
    ) -> Option<Expr> {
        if !state.records.contains_key(&reference.address) {
            // Looked up and not managed: as it was last.
            let attributes = connection.arguments.as_ref()?;
            let mut found = None;
            if let Expr::Map(entries) = attributes {
                for (name, value) in entries {
                    if matches!(value, Expr::Reference(same) if same == reference) {
                        found = connection.spec.get(name).cloned();
                    }
                }
            }
            return found.map(Expr::Value);
        }
        let Observation::Found(object) = self.objects.get(&reference.address)? else {
            return None;
        };
        let value = reference.path.follow(&object.facts);
        value.or_else(|| reference.path.follow(&object.spec)).map(Expr::Value)
    }

    /// Why a connection cannot be reached: what it needs is not there.
    fn unreachable(&self, state: &State, address: &Address) -> CallError {
        let needed = state.records.get(address).map(|record| &record.dependencies[..]);
        for needed in needed.unwrap_or_default() {
            match self.objects.get(needed) {
                Some(Observation::Gone) => {
                    return CallError::refused(format!(
                        "`{address}` cannot be reached: `{needed}` does not exist"
                    ))
                    .hint("make it first: `dollop apply`");
                }
                Some(Observation::Unreadable(error)) => {
                    let message = format!("`{address}` cannot be reached: {}", error.message);
                    let mut found = CallError::new(error.failure, message);
                    found.hints.clone_from(&error.hints);
                    return found;
                }
                _ => {}
            }
        }
        CallError::refused(format!(
            "`{address}` cannot be reached: what it is reached by is not known"
        ))
        .hint("check that what it runs in is running: `dollop plan`")
    }
}

async fn read_behind(
    state: &State,
    pool: &Pool,
    address: &Address,
    spec: &Value,
    patience: Duration,
) -> Result<Vec<(Address, Observation)>, CallError> {
    let mut wanted: BTreeMap<&str, Vec<Wanted<Value>>> = BTreeMap::new();
    for record in state.records.values() {
        if record.connection.as_ref() == Some(address) {
            wanted.entry(record.address.kind()).or_default().push(Wanted {
                id: Some(record.id.clone()).filter(|id| !id.is_empty()),
                name: Name {
                    stack: state.stack.clone(),
                    address: record.address.clone(),
                    natural: record.natural().to_owned(),
                },
                spec: record.spec.clone(),
                facts: Some(record.facts.to_json()),
            });
        }
    }
    let line = pool.line(address, spec, patience).await?;
    let kinds = wanted.into_iter().filter_map(|(kind, wanted)| {
        let kind = pool.registry().kind(kind)?;
        let limit = |address: &Address| state.records.get(address)?.lifecycle.timeouts.read;
        let line = &line;
        Some(async move {
            let read = reading::read(kind, line, wanted, limit).await;
            let marked = read.into_iter().map(|(address, observation)| {
                let observation = match observation {
                    Observation::Found(mut found) => {
                        if let Some(record) = state.records.get(&address) {
                            found.spec = kind.mark_spec(found.spec).marked_like(&record.spec);
                        }
                        found.facts = kind.mark_facts(found.facts, &found.spec);
                        Observation::Found(found)
                    }
                    other => other,
                };
                (address, observation)
            });
            marked.collect::<Vec<_>>()
        })
    });
    Ok(join_all(kinds).await.into_iter().flatten().collect())
}
