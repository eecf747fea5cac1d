//! What can be asked of probes beside planning them.

use std::time::Instant;

use async_trait::async_trait;
use dollop_engine::kind::OpenConnection;
use dollop_engine::operate::{Ability, Object, Operations, Probe, Verdict};
use futures::future::join_all;

use super::probe::{Spec, ask, client};

/// The operations of `local::probe`.
pub(super) struct OfProbes;

#[async_trait]
impl Operations for OfProbes {
    fn abilities(&self) -> &'static [Ability] {
        &[Ability::Probe]
    }

    async fn probe(&self, _: &OpenConnection, objects: &[Object]) -> Vec<Vec<Probe>> {
        join_all(objects.iter().map(|object| async move { vec![once(object).await] })).await
    }
}

async fn once(object: &Object) -> Probe {
    let begun = Instant::now();
    let spec: Result<Spec, _> = serde_json::from_value(object.spec.to_json());
    let (what, answer) = match (spec, client()) {
        (Ok(spec), Ok(client)) => (spec.what(), ask(&client, &spec).await),
        (Err(error), _) => ("probe".to_owned(), Err(error.to_string())),
        (_, Err(error)) => ("probe".to_owned(), Err(error.message)),
    };
    let (verdict, detail) = match answer {
        Ok(()) => (Verdict::Good, "answers".to_owned()),
        Err(why) => (Verdict::Bad, why),
    };
    Probe { what, verdict, detail, took: begun.elapsed() }
}
