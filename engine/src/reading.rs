//! Reading objects in bulk, each within its own limit.

use std::collections::BTreeMap;

use futures::future::join_all;

use crate::address::Address;
use crate::kind::Kind;
use crate::limit::{Call, Limit, timed_out};
use crate::observed::Observation;
use crate::pool::Line;
use crate::resource::Wanted;
use crate::value::Value;

/// Reads objects of one kind: one call for all that share a limit.
pub(crate) async fn read(
    kind: &Kind,
    line: &Line,
    wanted: Vec<Wanted<Value>>,
    limit: impl Fn(&Address) -> Option<Limit>,
) -> Vec<(Address, Observation)> {
    let mut groups: BTreeMap<Option<Limit>, Vec<Wanted<Value>>> = BTreeMap::new();
    for wanted in wanted {
        groups.entry(limit(&wanted.name.address)).or_default().push(wanted);
    }
    let calls = groups.into_iter().map(|(limit, wanted)| async move {
        let addresses: Vec<Address> =
            wanted.iter().map(|wanted| wanted.name.address.clone()).collect();
        let call = kind.calls.read(&line.connection, wanted);
        let answers = match limit {
            None => call.await,
            Some(limit) => match tokio::time::timeout(limit.duration(), call).await {
                Ok(answers) => answers,
                Err(_) => addresses.iter().map(|_| Err(timed_out(limit, Call::Read))).collect(),
            },
        };
        addresses.into_iter().zip(answers)
    });
    let answers = join_all(calls).await.into_iter().flatten();
    answers
        .map(|(address, answer)| {
            let observation = match answer {
                Ok(Some(found)) => Observation::Found(found),
                Ok(None) => Observation::Gone,
                Err(error) => Observation::Unreadable(error),
            };
            (address, observation)
        })
        .collect()
}
