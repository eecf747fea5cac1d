//! What is made anew, or moves, because something else is.

use crate::address::Address;
use crate::expr::Expr;
use crate::kind::{Kind, Registry};
use crate::path::Path;
use crate::plan::change::{Action, Change, Difference, Reason};
use crate::plan::decide::Walk;
use crate::program::Declaration;
use crate::resource::Migration;
use crate::value::Value;

impl Walk<'_> {
    /// References to objects that are themselves made anew, and whether following them
    /// means a replacement.
    pub(super) fn follows(
        &self,
        declaration: &Declaration,
        kind: &Kind,
    ) -> Vec<(Reason, bool)> {
        let mut found = Vec::new();
        for (name, value) in &declaration.attributes {
            let Some(attribute) = kind.schema.spec.get(name) else { continue };
            if kind.traits.within.contains(&name.as_str()) {
                continue;
            }
            for reference in value.references() {
                let target = &reference.address;
                let identity = reference.path.first() == Some("name");
                let anew = match self.action(target) {
                    // Whether another thing has the name, and what it stands for is kept.
                    _ if attribute.by_name => self.renewed(target),
                    Some(Action::Replace) => true,
                    Some(Action::Create) => self.inputs.state.records.contains_key(target),
                    Some(Action::Update) => {
                        self.change(target).is_some_and(Change::migrates_offline)
                    }
                    _ => false,
                };
                if identity && anew {
                    let via = Path::attribute(name);
                    let reason = Reason::Follows { via, address: target.clone() };
                    found.push((reason, attribute.replace));
                }
            }
        }
        found
    }

    /// Whether what has its name is another thing afterwards, for certain.
    fn renewed(&self, address: &Address) -> bool {
        let Some(change) = self.change(address) else { return false };
        let kind = self.inputs.registry.kind(address.kind());
        let after = change.after.as_ref().and_then(Expr::known);
        change.action == Action::Update
            && kind
                .zip(change.before.as_ref().zip(after))
                .is_some_and(|(kind, (before, after))| kind.calls.renews(before, after))
    }

    /// Whether a path leads to something reported that an update may change: what it will be
    /// is not known while planning.
    fn may_report_anew(&self, address: &Address, path: &Path) -> bool {
        let kind = self.inputs.registry.kind(address.kind());
        let fact = kind.zip(path.first()).and_then(|(kind, name)| kind.schema.facts.get(name));
        fact.is_some_and(|fact| !fact.stable)
    }

    /// What the script says this one is made anew for, when that changes.
    pub(super) fn triggered(&self, declaration: &Declaration) -> Option<Reason> {
        declaration.lifecycle.replace_triggered_by.iter().find_map(|trigger| {
            let change = self.change(&trigger.address)?;
            let touched = match change.action {
                Action::Replace => true,
                Action::Create => self.inputs.state.records.contains_key(&trigger.address),
                Action::Update => {
                    trigger.path.0.is_empty()
                        || change.differences.iter().any(|difference| {
                            difference.path.is_within(&trigger.path)
                                || trigger.path.is_within(&difference.path)
                        })
                        || self.may_report_anew(&trigger.address, &trigger.path)
                }
                _ => false,
            };
            touched.then(|| Reason::Triggered { by: trigger.address.clone() })
        })
    }
}

/// Whether it is made again as it was, and only because what takes it along in its service is
/// made anew.
pub(super) fn goes_along(change: &Change, registry: &Registry) -> bool {
    let Some(kind) = registry.kind(change.address.kind()) else { return false };
    let goes_with = |attribute: &str| kind.traits.goes_with.contains(&attribute);
    let takes_along = |reason: &Reason| match reason {
        Reason::Follows { via, .. } => via.first().is_some_and(goes_with),
        _ => false,
    };
    let after = change.after.as_ref().and_then(Expr::known);
    let same = change.before.as_ref().zip(after).is_some_and(|(is, to)| is.same(to));
    change.action == Action::Replace && same && change.reasons.iter().all(takes_along)
}

/// Whether the provider makes what needs another object by moving what is stored there. What it
/// can make of the same object needs no other one.
pub(super) fn migration(
    kind: &Kind,
    before: &Value,
    after: Option<&Expr>,
    differences: &mut [Difference],
) -> Migration {
    if !differences.iter().any(|difference| difference.replaces) {
        return Migration::None;
    }
    let migration = migrates(kind, before, after);
    if migration != Migration::InPlace {
        return migration;
    }
    for difference in differences {
        difference.replaces = false;
    }
    Migration::None
}

/// Whether the provider can make one out of the other and keep what is stored. What it
/// lives in and its name stay: another place is another object.
fn migrates(kind: &Kind, before: &Value, after: Option<&Expr>) -> Migration {
    let Some(after) = after.and_then(Expr::known) else { return Migration::None };
    let places = kind.traits.within.iter().copied().chain(["name"]);
    let stays = |place: &str| match (before.get(place), after.get(place)) {
        (Some(before), Some(after)) => before.same(after),
        (None, None) => true,
        _ => false,
    };
    if places.into_iter().all(stays) {
        kind.calls.migrates(before, after)
    } else {
        Migration::None
    }
}
