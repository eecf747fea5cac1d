//! Likely renames: something is deleted, and something much like it is created.

mod components;

use std::collections::{BTreeMap, BTreeSet};

use crate::address::Address;
use crate::diagnostic::{Code, Diagnostic};
use crate::expr::Expr;
use crate::kind::Registry;
use crate::plan::change::{Action, Change, Reason};
use crate::plan::diff::entries;
use crate::value::Value;

/// Of one kind, no more than so many are compared with each other.
const MOST: usize = 50;
/// The share of attributes that must be the same.
const ALIKE: (usize, usize) = (3, 4);

/// What goes and what comes of one kind behind one connection.
type Candidates<'a> = (Vec<&'a Change>, Vec<&'a Change>);

/// A proposal for every pair that looks like one object under two names.
///
/// Objects that can be told by their id were recognised before; what is left has another real
/// name, so that moving the record alone does not keep the object.
pub(crate) fn likely(changes: &[Change], registry: &Registry) -> Vec<Diagnostic> {
    // Where nothing goes, nothing has another name now.
    if !changes.iter().any(|change| change.reasons.contains(&Reason::Undeclared)) {
        return Vec::new();
    }
    let components = components::renamed(changes);
    let in_one = |change: &Change| components.iter().any(|one| one.covers(&change.address));
    let mut kinds: BTreeMap<(Option<&Address>, &str), Candidates<'_>> = BTreeMap::new();
    for change in changes.iter().filter(|change| !in_one(change)) {
        let group = || (change.connection.as_ref(), change.address.kind());
        match change.action {
            Action::Delete if change.reasons.contains(&Reason::Undeclared) => {
                kinds.entry(group()).or_default().0.push(change);
            }
            Action::Create if change.reasons.contains(&Reason::New) => {
                kinds.entry(group()).or_default().1.push(change);
            }
            _ => {}
        }
    }
    let loses_any =
        |one: &Change| registry.kind(one.address.kind()).is_some_and(|k| loses(one, k));
    let mut found: Vec<_> =
        components.iter().map(|one| one.proposal(changes, &loses_any)).collect();
    for ((_, kind), (gone, new)) in kinds {
        let Some(kind) = registry.kind(kind) else { continue };
        if gone.len() > MOST || new.len() > MOST {
            continue;
        }
        let alike = |gone: &Change, new: &Change| likeness(gone, new, kind).is_some();
        let mut taken = BTreeSet::new();
        for old in &gone {
            let best = new.iter().filter(|new| !taken.contains(&new.address));
            let best = best.filter_map(|new| Some((likeness(old, new, kind)?, *new)));
            let Some((_, next)) = best.max_by_key(|(likeness, _)| *likeness) else { continue };
            // Two that are alike on either side say nothing.
            let ambiguous = gone.iter().filter(|old| alike(old, next)).count() > 1
                || new.iter().filter(|new| alike(old, new)).count() > 1;
            if !ambiguous {
                taken.insert(&next.address);
                found.push(proposal(old, next, kind));
            }
        }
    }
    found
}

/// How many attributes two have in common, when that is most of them. The name does not
/// count, and what neither sets does not either.
fn likeness(gone: &Change, new: &Change, kind: &crate::kind::Kind) -> Option<usize> {
    let before = gone.before.as_ref()?.as_map()?;
    let after = entries(new.after.as_ref()?);
    let (mut same, mut all) = (0, 0);
    for (name, attribute) in &kind.schema.spec {
        let (was, will) = (before.get(name), after.get(name));
        let is_default = |value: &Value| {
            attribute.default.as_ref().is_some_and(|default| default.same(value))
                || *value == Value::Null
        };
        let unset = was.is_none_or(is_default)
            && will.is_none_or(|will| will.known().is_some_and(is_default));
        if name == "name" || kind.traits.identity.contains(&name.as_str()) || unset {
            continue;
        }
        all += 1;
        let will = will.and_then(Expr::known);
        same += usize::from(was.zip(will).is_some_and(|(was, will)| was.same(will)));
    }
    let exact = same == all && (all > 0 || loses(gone, kind));
    (exact || all > 1 && same * ALIKE.1 >= all * ALIKE.0).then_some(same)
}

fn loses(gone: &Change, kind: &crate::kind::Kind) -> bool {
    gone.before.as_ref().is_some_and(|before| kind.loses(before))
}

fn proposal(old: &Change, new: &Change, kind: &crate::kind::Kind) -> Diagnostic {
    let (from, to) = (&old.address, &new.address);
    let lost = if loses(old, kind) { ", and what is stored in it is lost" } else { "" };
    let found = Diagnostic::new(
        Code::LikelyRename,
        format!("`{to}` looks like `{from}` under another name"),
    )
    .at(new.span.clone())
    .note(format!("as planned, one is deleted and the other made anew{lost}"));
    let name = old.before.as_ref().and_then(|spec| spec.get("name")).and_then(Value::as_str);
    let keep = match name {
        Some(_) if kind.traits.renames => " and it is renamed in place".to_owned(),
        Some(name) => format!(" and keep its real name: `name: \"{name}\"`"),
        None => String::new(),
    };
    found.hint(format!("if it is the same, write `moved(\"{from}\", \"{to}\");`{keep}"))
}
