//! What is about things without naming them, as a grant on all tables of a schema: it comes after
//! those that are made, and is looked at again when some are.

use std::collections::BTreeMap;

use crate::address::Address;
use crate::expr::Expr;
use crate::kind::Registry;
use crate::plan::change::{Action, Change, Reason};
use crate::value::Value;

/// A connection, and a path from the wide to the narrow.
type Place = (Address, Vec<String>);

/// What is made, each with what covers it. What covers something that comes to be is looked at
/// again: it is an update, although nothing of it differs yet.
pub(crate) fn covered(changes: &mut [Change], registry: &Registry) -> Vec<(Address, Address)> {
    let coverers = coverers(changes, registry);
    if coverers.is_empty() {
        return Vec::new();
    }
    let mut pairs = Vec::new();
    let mut news: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (index, change) in changes.iter().enumerate() {
        let Some(connection) = &change.connection else { continue };
        for path in made(change, registry) {
            // Everything within sorts right behind it.
            let from = (connection.clone(), path.clone());
            let within = coverers.range(from..).take_while(|((place, covered), _)| {
                place == connection && covered.starts_with(&path)
            });
            for coverer in within.flat_map(|(_, coverers)| coverers) {
                pairs.push((change.address.clone(), changes[*coverer].address.clone()));
                // Of what is only verified nobody knows whether it is made.
                if change.action != Action::Verify {
                    news.entry(*coverer).or_default().push(index);
                }
            }
        }
    }
    for (coverer, mut made) in news {
        made.dedup();
        let address = changes[made[0]].address.clone();
        let reason = Reason::Covers { address, others: made.len() - 1 };
        let change = &mut changes[coverer];
        match change.action {
            // Taking it over writes its record only.
            Action::Keep | Action::Adopt => change.action = Action::Update,
            Action::Update | Action::Verify => {}
            // It is made when all it covers is there.
            _ => continue,
        }
        change.reasons.push(reason);
    }
    pairs
}

/// What covers something, by where that is.
fn coverers(changes: &[Change], registry: &Registry) -> BTreeMap<Place, Vec<usize>> {
    let mut found: BTreeMap<Place, Vec<usize>> = BTreeMap::new();
    for (index, change) in changes.iter().enumerate() {
        let stays = matches!(
            change.action,
            Action::Create
                | Action::Update
                | Action::Replace
                | Action::Verify
                | Action::Adopt
                | Action::Keep
        );
        let covers = || {
            let kind = registry.kind(change.address.kind())?;
            let path = kind.calls.covers(known(change)?)?;
            Some((change.connection.clone()?, path))
        };
        if let Some(place) = stays.then(covers).flatten() {
            found.entry(place).or_default().push(index);
        }
    }
    found
}

/// Where a change has something made that may be covered.
fn made(change: &Change, registry: &Registry) -> Vec<Vec<String>> {
    let from = match change.action {
        Action::Create | Action::Replace | Action::Verify => None,
        Action::Update => change.before.as_ref(),
        _ => return Vec::new(),
    };
    let kind = registry.kind(change.address.kind());
    kind.zip(known(change)).map_or_else(Vec::new, |(kind, to)| kind.calls.makes(from, to))
}

fn known(change: &Change) -> Option<&Value> {
    change.after.as_ref().and_then(Expr::known)
}
