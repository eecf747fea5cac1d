//! `refresh`: read what is really there, in bulk, through every connection that can be used.
//!
//! Which connections can be used depends on what is behind them, which may itself have to
//! be read first (the container a database runs in). So this goes in waves: the walk of the
//! plan names what it could read next, until it names nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::future::join_all;

use crate::address::Address;
use crate::ahead::Foreseen;
use crate::diagnostic::Findings;
use crate::graph::Graph;
use crate::kind::Registry;
use crate::observed::{Answer, Observation, Observed};
use crate::plan::renaming::{Renaming, carried, settled};
use crate::plan::{
    Decisions, Inputs, Options, Plan, Reads, Standing, decide, moved, plan, plan_from,
};
use crate::pool::{Line, Pool};
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
    look(graph, state, pool, options).await.0
}

/// Reads the world, unless the options say not to, and compares it with what is declared: the
/// same as [`refresh`] and [`plan`](crate::plan::plan()), which share the last walk.
///
/// # Errors
/// Those of a plan.
pub async fn refreshed_plan(
    graph: &Graph,
    state: &State,
    pool: &Pool,
    options: &Options,
) -> Result<Plan, Findings> {
    if options.unrefreshed {
        return plan(graph, state, &Observed::default(), pool.registry(), options);
    }
    let (observed, walked) = look(graph, state, pool, options).await;
    plan_from(graph, state, &observed, pool.registry(), options, walked)
}

/// What is there, and what the last walk decided if nothing was read after it.
async fn look(
    graph: &Graph,
    state: &State,
    pool: &Pool,
    options: &Options,
) -> (Observed, Option<Decisions>) {
    let moved = moved(graph, state);
    let mut observed = Observed::default();
    let surveys = pool.registry().kinds().any(|kind| {
        kind.calls.surveys()
            && graph.in_order().any(|declaration| declaration.address.kind() == kind.name)
    });
    let mut foreseen = foreseen(graph, state, pool).await;
    loop {
        let settled = settled(&moved.state, &observed.renamed, pool.registry());
        let inputs = Inputs {
            graph,
            state: &settled,
            observed: &observed,
            registry: pool.registry(),
            refresh: true,
            destroy: options.destroy,
            replace: &options.replace,
            foreseen: &foreseen,
        };
        let decisions = decide(inputs);
        if decisions.reads.is_empty() {
            let surveyed = survey(pool, inputs, &decisions).await;
            observe(&mut observed, &mut foreseen, &decisions.foreseen);
            observed.surveyed = surveyed;
            return (observed, Some(decisions));
        }
        let reads = decisions.reads;
        // When every connection is known or read now, another walk would find nothing more.
        let last = decisions.connections.iter().all(|connection| {
            let address = &connection.address;
            reads.contains_key(address)
                || observed.connections.contains_key(address)
                || connection.standing == Standing::Open
        });
        let answers = join_all(
            reads.into_iter().map(|(address, reads)| read_behind(pool, inputs, address, reads)),
        )
        .await;
        for answer in answers {
            observed.connections.insert(answer.connection, answer.answer);
            observed.objects.extend(answer.objects);
            observed.renamed.extend(answer.renamed);
        }
        observe(&mut observed, &mut foreseen, &decisions.foreseen);
        if last && !surveys {
            return (observed, None);
        }
    }
}

/// What was read ahead, unless there is another limit now to how long that may take.
async fn foreseen(graph: &Graph, state: &State, pool: &Pool) -> Foreseen {
    let other_limits: BTreeSet<_> = graph
        .in_order()
        .filter(|declared| {
            let limit = declared.lifecycle.timeouts.read;
            let recorded = || state.records.get(&declared.address);
            limit.is_some() && recorded().and_then(|one| one.lifecycle.timeouts.read) != limit
        })
        .filter_map(|declared| declared.connection.as_ref())
        .collect();
    pool.foreseen(|connection| !other_limits.contains(connection)).await
}

/// What was read ahead, and asked for, is read.
fn observe(observed: &mut Observed, foreseen: &mut Foreseen, asked: &[(Address, Address)]) {
    for (connection, address) in asked {
        if let Some(answer) = foreseen.take(connection, address) {
            observed.objects.insert(address.clone(), answer);
            observed.connections.entry(connection.clone()).or_insert(Answer::Open);
        }
    }
}

#[derive(Default)]
struct Read {
    objects: Vec<(Address, Observation)>,
    /// What has another name than it is recorded with.
    renamed: Vec<(Address, String)>,
}

struct Behind {
    connection: Address,
    answer: Answer,
    objects: Vec<(Address, Observation)>,
    renamed: Vec<(Address, String)>,
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
    let mut behind =
        Behind { connection, answer: Answer::Open, objects: Vec::new(), renamed: Vec::new() };
    if reads.wanted.is_empty() {
        return Behind { objects, ..behind };
    }
    let patience = if reads.managed { STARTING } else { Duration::ZERO };
    match pool.line(&behind.connection, &reads.spec, patience).await {
        Ok(line) => {
            let read = read(inputs, &behind.connection, &line, reads.wanted).await;
            objects.extend(read.objects);
            behind.renamed = read.renamed;
        }
        Err(error) => behind.answer = Answer::Failed(error),
    }
    Behind { objects, ..behind }
}

async fn read(
    inputs: Inputs<'_>,
    connection: &Address,
    line: &Line,
    wanted: BTreeMap<String, Vec<Wanted<Value>>>,
) -> Read {
    let limit = |address: &Address| {
        let declared = inputs.graph.get(address).map(|declared| &declared.lifecycle);
        let recorded = || inputs.state.records.get(address).map(|record| &record.lifecycle);
        declared.or_else(recorded)?.timeouts.read
    };
    let ask = |wanted: BTreeMap<String, Vec<Wanted<Value>>>| {
        let kinds = wanted.into_iter().filter_map(|(kind, wanted)| {
            let kind = inputs.registry.kind(&kind)?;
            Some(reading::read(kind, line, wanted, limit))
        });
        join_all(kinds.collect::<Vec<_>>())
    };
    // Only a change that was interrupted can have given something a name nobody wrote down.
    let doubtful = inputs
        .state
        .records
        .values()
        .any(|record| record.unfinished && record.connection.as_ref() == Some(connection));
    if !doubtful {
        let objects = ask(wanted).await.into_iter().flatten().collect();
        return Read { objects, ..Read::default() };
    }
    let mut objects: Vec<_> = ask(wanted.clone()).await.into_iter().flatten().collect();
    // Also where something is there under the recorded name: another one may have taken it.
    let given = under_given_names(&wanted, inputs.state);
    let found = ask(given).await.into_iter().flatten();
    objects.extend(found.filter(|(address, found)| is_given(inputs.state, address, found)));
    let done = already(inputs, connection, &objects);
    // What is named after these is found under their new names only.
    let again = under_new_names(&wanted, &done, connection, inputs.registry);
    objects.extend(ask(again).await.into_iter().flatten());
    let renamed = done.into_iter().map(|renaming| (renaming.address, renaming.to)).collect();
    Read { objects, renamed }
}

/// What has a name that a run which was killed may have given it, under that name.
fn under_given_names(
    asked: &BTreeMap<String, Vec<Wanted<Value>>>,
    state: &State,
) -> BTreeMap<String, Vec<Wanted<Value>>> {
    let given = |wanted: &Wanted<Value>| {
        let record = state.records.get(&wanted.name.address);
        let under = |name: &String| {
            let mut wanted = wanted.clone();
            wanted.name.natural.clone_from(name);
            wanted
        };
        record.map_or(&[][..], |record| &record.renaming).iter().map(under).collect::<Vec<_>>()
    };
    let given = asked
        .iter()
        .map(|(kind, wanted)| (kind.clone(), wanted.iter().flat_map(given).collect()));
    given.filter(|(_, wanted): &(String, Vec<_>)| !wanted.is_empty()).collect()
}

/// Whether something was found under one of these names.
fn is_given(state: &State, address: &Address, found: &Observation) -> bool {
    let Observation::Found(found) = found else { return false };
    let Some(name) = found.spec.get("name").and_then(Value::as_str) else { return false };
    let record = state.records.get(address);
    record.is_some_and(|one| one.natural() != name && one.renaming.iter().any(|n| n == name))
}

/// What was found under another name than it is recorded with.
fn already(
    inputs: Inputs<'_>,
    connection: &Address,
    objects: &[(Address, Observation)],
) -> Vec<Renaming> {
    let renamed = |(address, found): &(Address, Observation)| {
        let Observation::Found(found) = found else { return None };
        let record = inputs.state.records.get(address).filter(|one| !one.interrupted)?;
        let kind = inputs.registry.kind(address.kind())?;
        let was = (record.id.as_str(), &record.spec);
        Renaming::between(address, connection, kind, was, &found.spec)
    };
    let renamed = objects.iter().filter_map(renamed);
    // The last answer about one counts.
    let renamed: BTreeMap<Address, Renaming> =
        renamed.map(|renaming| (renaming.address.clone(), renaming)).collect();
    renamed.into_values().collect()
}

/// What is named after things with new names, as it is called by then.
fn under_new_names(
    asked: &BTreeMap<String, Vec<Wanted<Value>>>,
    done: &[Renaming],
    connection: &Address,
    registry: &Registry,
) -> BTreeMap<String, Vec<Wanted<Value>>> {
    let again = asked.iter().filter_map(|(name, wanted)| {
        let kind = registry.kind(name)?;
        let carry = |wanted: &Wanted<Value>| {
            let address = &wanted.name.address;
            let id = wanted.id.as_deref()?;
            let (id, spec) = carried(done, connection, kind, (address, id), &wanted.spec)?;
            Some(Wanted { id: Some(id), spec, ..wanted.clone() })
        };
        let wanted: Vec<_> = wanted.iter().filter_map(carry).collect();
        (!wanted.is_empty()).then(|| (name.clone(), wanted))
    });
    again.collect()
}
