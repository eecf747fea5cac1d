//! Names in networks: one for two objects, and one that is not found from where it is used.

use std::collections::{BTreeMap, BTreeSet};

use super::Report;
use super::claim::{Claim, Named};
use super::stack::{Object, Stack, Use};
use crate::address::Address;
use crate::diagnostic::{Code, Diagnostic};
use crate::path::Path;

pub(super) fn check<'a>(stack: &Stack<'a>, report: &mut Report<'a>) {
    twice(stack, report);
    unreachable(stack, report);
}

fn twice<'a>(stack: &Stack<'a>, report: &mut Report<'a>) {
    let mut taken: BTreeMap<_, Use<'_, 'a>> = BTreeMap::new();
    for (object, claimed) in stack.claims() {
        let Claim::Member { network, names, .. } = &claimed.claim else { continue };
        for name in names {
            let this = (object, claimed);
            let key = (object.connection(), network, name);
            let other = *taken.entry(key).or_insert(this);
            if std::ptr::eq(other.0, object) {
                continue;
            }
            let message = format!(
                "`{}` and `{}` are both found as `{name}` in network `{}`",
                other.0.address(),
                object.address(),
                network.name,
            );
            let found = Diagnostic::new(Code::AliasTwice, message)
                .note("who looks the name up gets one of them by chance")
                .hint("give one of them another alias");
            report.add_pair(
                (other.0.declaration, &stack.place(other.0, other.1)),
                (object.declaration, &stack.place(object, claimed)),
                "the other one",
                found,
            );
        }
    }
}

/// The networks an object is in: those where names are found, and all.
#[derive(Default)]
struct Where<'s> {
    named: BTreeSet<&'s Named>,
    all: BTreeSet<&'s Named>,
}

/// An object that holds the name of another, which it cannot look up.
fn unreachable<'a>(stack: &Stack<'a>, report: &mut Report<'a>) {
    let mut places: BTreeMap<&Address, Where<'_>> = BTreeMap::new();
    for (object, claimed) in stack.claims() {
        if let Claim::Member { network, names, .. } = &claimed.claim {
            let place = places.entry(object.address()).or_default();
            place.all.insert(network);
            if !names.is_empty() {
                place.named.insert(network);
            }
        }
    }
    for object in stack.objects() {
        let Some(from) = places.get(object.address()) else { continue };
        // Whose names it holds, and where first.
        let mut told: BTreeMap<&Address, Path> = BTreeMap::new();
        for (attribute, value) in &object.declaration.attributes {
            value.each_reference_at(&Path::attribute(attribute), &mut |at, reference| {
                if reference.path.first() == Some("name") {
                    told.entry(&reference.address).or_insert_with(|| at.clone());
                }
            });
        }
        for (target, at) in told {
            let Some(to) = places.get(target).filter(|_| target != object.address()) else {
                continue;
            };
            if from.named.intersection(&to.named).next().is_none() {
                report.add(object.declaration, &at, not_found(object, from, target, to));
            }
        }
    }
}

fn not_found(
    object: &Object<'_>,
    from: &Where<'_>,
    target: &Address,
    to: &Where<'_>,
) -> Diagnostic {
    let message =
        format!("`{}` is told the name of `{target}`, which it cannot find", object.address());
    let found = Diagnostic::new(Code::NoSharedNetwork, message);
    let shared = from.all.intersection(&to.all).next();
    let found = match shared {
        Some(network) => {
            found.note(format!("both are in `{}`, where names are not found", network.name))
        }
        None => found.note(format!(
            "they share no network: one is in {}, the other in {}",
            listed(from),
            listed(to)
        )),
    };
    found.hint("put both into one network of the stack")
}

fn listed(place: &Where<'_>) -> String {
    let names: Vec<_> = place.all.iter().map(|network| format!("`{}`", network.name)).collect();
    names.join(", ")
}
