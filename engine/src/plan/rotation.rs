//! Passwords that change: first where they are kept, then where others are told them.
//!
//! A role and a container that are given the same secret need not refer to each other, but a
//! container that starts with the new password before the role has it cannot log in.

use std::collections::BTreeSet;

use crate::address::Address;
use crate::expr::{Function, Reference};
use crate::kind::Registry;
use crate::path::Path;
use crate::plan::change::{Action, Change};
use crate::value::Value;

/// Beyond so many, comparing each with all others is not worth it.
const MOST_KEEPERS: usize = 200;
/// Shorter secrets are found in other texts by chance.
const SHORTEST: usize = 6;

/// Something whose kind keeps a secret that it is given anew.
struct Keeper<'a> {
    address: &'a Address,
    references: BTreeSet<Reference>,
    texts: BTreeSet<String>,
}

/// Pairs of which the first had better be changed before the second.
pub(crate) fn orders(changes: &[Change], registry: &Registry) -> Vec<(Address, Address)> {
    let made = |change: &&Change| {
        matches!(
            change.action,
            Action::Create | Action::Update | Action::Replace | Action::Verify
        )
    };
    let keepers: Vec<Keeper<'_>> =
        changes.iter().filter(made).filter_map(|change| keeper(change, registry)).collect();
    if keepers.is_empty() || keepers.len() > MOST_KEEPERS {
        return Vec::new();
    }
    let keeps: BTreeSet<&Address> = keepers.iter().map(|keeper| keeper.address).collect();
    let mut found = Vec::new();
    for change in changes.iter().filter(made) {
        let Some(after) = change.after.as_ref().filter(|_| !keeps.contains(&change.address))
        else {
            continue;
        };
        let references = after.references();
        let mut secrets = Vec::new();
        after.each_secret(&mut |text| secrets.push(text));
        let told = keepers.iter().filter(|keeper| keeper.shares(&references, &secrets));
        found.extend(told.map(|keeper| (keeper.address.clone(), change.address.clone())));
    }
    found
}

/// What its kind keeps as a secret and is given anew.
fn keeper<'a>(change: &'a Change, registry: &Registry) -> Option<Keeper<'a>> {
    let kind = registry.kind(change.address.kind())?;
    let after = change.after.as_ref()?;
    let (mut references, mut texts) = (BTreeSet::new(), BTreeSet::new());
    for (name, _) in kind.schema.spec.iter().filter(|(_, attribute)| attribute.secret) {
        let differs = change.action == Action::Create
            || change.differences.iter().any(|it| it.path.first() == Some(name.as_str()));
        let Some(secret) = after.follow(&Path::attribute(name)).filter(|_| differs) else {
            continue;
        };
        references.extend(secret.references().into_iter().cloned());
        secret.each_secret(&mut |text| {
            if text.len() >= SHORTEST {
                texts.insert(text.to_owned());
                let encoded = Function::UrlEncode.apply(&[Value::string(text)]);
                texts.extend(encoded.as_ref().and_then(Value::as_str).map(str::to_owned));
            }
        });
    }
    let has_any = !references.is_empty() || !texts.is_empty();
    has_any.then_some(Keeper { address: &change.address, references, texts })
}

impl Keeper<'_> {
    /// Whether somebody who is told these is told what it keeps.
    fn shares(&self, references: &BTreeSet<&Reference>, secrets: &[&str]) -> bool {
        references.iter().any(|one| self.references.contains(*one))
            || secrets.iter().any(|text| self.texts.iter().any(|kept| text.contains(kept)))
    }
}
