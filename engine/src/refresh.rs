//! `refresh`: read what is really there, in bulk, through every connection that can be used.
//!
//! Which connections can be used depends on what is behind them, which may itself have to
//! be read first (the container a database runs in). So this goes in waves: the walk of the
//! plan names what it could read next, until it names nothing.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use futures::future::join_all;

use crate::address::Address;
use crate::graph::Graph;
use crate::kind::Registry;
use crate::observed::{Answer, Observation, Observed};
use crate::plan::renaming::{Renaming, carried, renamings};
use crate::plan::{Inputs, Options, Reads, decide, moved};
use crate::pool::Pool;
use crate::reading;
use crate::resource::Wanted;
use crate::store::State;
use crate::survey::survey;
use crate::value::Value;

/// How long a plan waits for a service whose container is there but which does not answer
/// yet; it may have been started a moment ago.
const STARTING: Duration = Duration::from_secs(5);

/// Reads every object the stack declares or the state remembers.
///
/// Never writes. What cannot be read is part of the result; the plan reports it.
pub async fn refresh(graph: &Graph, state: &State, pool: &Pool, options: &Options) -> Observed {
    let moved = moved(graph, state);
    let mut observed = Observed::default();
    let surveys = pool.registry().kinds().any(|kind| {
        kind.calls.surveys()
            && graph.in_order().any(|declaration| declaration.address.kind() == kind.name)
    });
    loop {
        let inputs = Inputs {
            graph,
            state: &moved.state,
            observed: &observed,
            registry: pool.registry(),
            refresh: true,
            destroy: options.destroy,
            replace: &options.replace,
        };
        let decisions = decide(inputs);
        if decisions.reads.is_empty() {
            observed.surveyed = survey(pool, inputs, &decisions).await;
            return observed;
        }
        let reads = decisions.reads;
        // When every connection is known or read now, another walk would find nothing more.
        let last = decisions.connections.iter().all(|connection| {
            let address = &connection.address;
            reads.contains_key(address) || observed.connections.contains_key(address)
        });
        let answers = join_all(
            reads.into_iter().map(|(address, reads)| read_behind(pool, inputs, address, reads)),
        )
        .await;
        for answer in answers {
            observed.connections.insert(answer.connection, answer.answer);
            observed.objects.extend(answer.objects);
        }
        if last && !surveys {
            return observed;
        }
    }
}

struct Behind {
    connection: Address,
    answer: Answer,
    objects: Vec<(Address, Observation)>,
}

/// Opens one connection and reads everything behind it, kind by kind, all kinds at once.
async fn read_behind(
    pool: &Pool,
    inputs: Inputs<'_>,
    connection: Address,
    reads: Reads,
) -> Behind {
    let mut objects: Vec<_> =
        reads.unchecked.into_iter().map(|address| (address, Observation::Unchecked)).collect();
    if reads.wanted.is_empty() {
        return Behind { connection, answer: Answer::Open, objects };
    }
    let patience = if reads.managed { STARTING } else { Duration::ZERO };
    let line = match pool.line(&connection, &reads.spec, patience).await {
        Ok(line) => line,
        Err(error) => return Behind { connection, answer: Answer::Failed(error), objects },
    };
    let limit = |address: &Address| {
        let declared = inputs.graph.get(address).map(|declared| &declared.lifecycle);
        let recorded = || inputs.state.records.get(address).map(|record| &record.lifecycle);
        declared.or_else(recorded)?.timeouts.read
    };
    let renamings = renamings(inputs.graph, inputs.state, inputs.registry);
    let asked = if renamings.is_empty() { BTreeMap::new() } else { reads.wanted.clone() };
    let ask = |wanted: BTreeMap<String, Vec<Wanted<Value>>>| {
        let kinds = wanted.into_iter().filter_map(|(kind, wanted)| {
            let kind = pool.registry().kind(&kind)?;
            Some(reading::read(kind, &line, wanted, limit))
        });
        join_all(kinds.collect::<Vec<_>>())
    };
    objects.extend(ask(reads.wanted).await.into_iter().flatten());
    // A run that was killed gave something its new name and did not come to write that down:
    // what is named after it is found under that name only.
    let done = already(&renamings, &objects);
    if !done.is_empty() {
        let gone: HashSet<Address> = objects
            .iter()
            .filter(|(_, found)| matches!(found, Observation::Gone))
            .map(|(address, _)| address.clone())
            .collect();
        let again = under_new_names(asked, &done, &connection, &gone, pool.registry());
        objects.extend(ask(again).await.into_iter().flatten());
    }
    Behind { connection, answer: Answer::Open, objects }
}

/// Those that have their new name.
fn already(renamings: &[Renaming], objects: &[(Address, Observation)]) -> Vec<Renaming> {
    let has = |renaming: &&Renaming| {
        objects.iter().any(|(address, found)| match found {
            Observation::Found(found) if *address == renaming.address => {
                found.spec.get("name").and_then(Value::as_str) == Some(&renaming.to)
            }
            _ => false,
        })
    };
    renamings.iter().filter(has).cloned().collect()
}

/// What is not there, as it is called when it is named after things with new names.
fn under_new_names(
    asked: BTreeMap<String, Vec<Wanted<Value>>>,
    done: &[Renaming],
    connection: &Address,
    gone: &HashSet<Address>,
    registry: &Registry,
) -> BTreeMap<String, Vec<Wanted<Value>>> {
    let again = asked.into_iter().filter_map(|(name, wanted)| {
        let kind = registry.kind(&name)?;
        let carry = |mut wanted: Wanted<Value>| {
            let address = &wanted.name.address;
            let id = wanted.id.as_deref().filter(|_| gone.contains(address))?;
            let (id, spec) = carried(done, connection, kind, (address, id), &wanted.spec)?;
            (wanted.id, wanted.spec) = (Some(id), spec);
            Some(wanted)
        };
        let wanted: Vec<_> = wanted.into_iter().filter_map(carry).collect();
        (!wanted.is_empty()).then_some((name, wanted))
    });
    again.collect()
}
