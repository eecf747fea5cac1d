//! `refresh`: read what is really there, in bulk, through every connection that can be used.
//!
//! Which connections can be used depends on what is behind them, which may itself have to
//! be read first (the container a database runs in). So this goes in waves: the walk of the
//! plan names what it could read next, until it names nothing.

use std::time::Duration;

use futures::future::join_all;

use crate::address::Address;
use crate::graph::Graph;
use crate::observed::{Answer, Observation, Observed};
use crate::plan::{Inputs, Reads, decide};
use crate::pool::Pool;
use crate::store::State;

/// How long a plan waits for a service whose container is there but which does not answer
/// yet; it may have been started a moment ago.
const STARTING: Duration = Duration::from_secs(5);

/// Reads every object the stack declares or the state remembers.
///
/// Never writes. What cannot be read is part of the result; the plan reports it.
pub async fn refresh(graph: &Graph, state: &State, pool: &Pool, destroy: bool) -> Observed {
    let mut observed = Observed::default();
    loop {
        let inputs = Inputs {
            graph,
            state,
            observed: &observed,
            registry: pool.registry(),
            refresh: true,
            destroy,
        };
        let decisions = decide(inputs);
        let reads = decisions.reads;
        if reads.is_empty() {
            return observed;
        }
        // When every connection is known or read now, another walk would find nothing more.
        let last = decisions.connections.iter().all(|connection| {
            let address = &connection.address;
            reads.contains_key(address) || observed.connections.contains_key(address)
        });
        let answers = join_all(
            reads.into_iter().map(|(address, reads)| read_behind(pool, address, reads)),
        )
        .await;
        for answer in answers {
            observed.connections.insert(answer.connection, answer.answer);
            observed.objects.extend(answer.objects);
        }
        if last {
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
async fn read_behind(pool: &Pool, connection: Address, reads: Reads) -> Behind {
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
    let kinds = reads.wanted.into_iter().filter_map(|(kind, wanted)| {
        let kind = pool.registry().kind(&kind)?;
        let line = line.clone();
        Some(async move {
            let addresses: Vec<_> =
                wanted.iter().map(|wanted| wanted.name.address.clone()).collect();
            let answers = kind.calls.read(&line.connection, wanted).await;
            addresses.into_iter().zip(answers)
        })
    });
    for (address, answer) in join_all(kinds).await.into_iter().flatten() {
        let observation = match answer {
            Ok(Some(found)) => Observation::Found(found),
            Ok(None) => Observation::Gone,
            Err(error) => Observation::Unreadable(error),
        };
        objects.push((address, observation));
    }
    Behind { connection, answer: Answer::Open, objects }
}
