//! Kinds that live only in their records.

use dollop_engine::resource::{Found, Owner, ReadResult, Resource, Wanted};

/// What records say: there is nothing else to ask.
pub(super) fn recorded<R>(
    wanted: &[Wanted<R::Spec>],
    id: fn(&R::Facts) -> &String,
) -> Vec<ReadResult<R>>
where
    R: Resource,
    R::Spec: Clone,
{
    let found = |wanted: &Wanted<R::Spec>| {
        let facts: R::Facts = serde_json::from_value(wanted.facts.clone()?).ok()?;
        Some(Found {
            id: id(&facts).clone(),
            natural: wanted.name.natural.clone(),
            spec: wanted.spec.clone(),
            facts,
            owner: Owner::Ours,
        })
    };
    wanted.iter().map(|wanted| Ok(found(wanted))).collect()
}
