//! Components that have another name: one proposal for all that is in them.

use std::collections::{BTreeMap, BTreeSet};

use crate::address::Address;
use crate::diagnostic::{Code, Diagnostic};
use crate::plan::change::{Action, Change, Reason};

/// The share of what is in both that must be called the same there.
const ALIKE: (usize, usize) = (3, 4);

/// Beyond so many pairs, comparing each with all others is not worth it.
const MOST_PAIRS: usize = 10_000;

/// A component that goes, and one that looks like it.
pub(super) struct Renamed<'a> {
    from: &'a [String],
    to: &'a [String],
    /// How many resources are called the same in both.
    many: usize,
}

/// What something is called inside a component.
type Inner<'a> = (&'a [String], &'a str, &'a [String]);

/// What is in a component, whether all of it goes, or comes, and whether some of that is lost:
/// what was recognised under its other address is not.
struct Content<'a> {
    inside: BTreeSet<Inner<'a>>,
    goes: bool,
    comes: bool,
    loses: bool,
}

/// The outermost components that look renamed, or left: what is in one and goes comes under
/// the same names elsewhere.
pub(super) fn renamed(changes: &[Change]) -> Vec<Renamed<'_>> {
    let mut all: BTreeMap<&[String], Content<'_>> = BTreeMap::new();
    for change in changes {
        let loses = matches!(change.action, Action::Delete | Action::Cascade)
            && change.reasons.contains(&Reason::Undeclared);
        let is_there = |reason: &Reason| matches!(reason, Reason::RenamedTo(_));
        let was_there = |reason: &Reason| matches!(reason, Reason::Renamed { .. });
        let goes = loses || change.reasons.iter().any(is_there);
        let comes = change.action == Action::Create && change.reasons.contains(&Reason::New)
            || change.reasons.iter().any(was_there);
        let address = &change.address;
        for depth in 1..=address.components().len() {
            let (outer, rest) = address.components().split_at(depth);
            let empty =
                Content { inside: BTreeSet::new(), goes: true, comes: true, loses: false };
            let content = all.entry(outer).or_insert(empty);
            content.inside.insert((rest, address.kind(), address.path()));
            content.goes &= goes;
            content.comes &= comes;
            content.loses |= loses;
        }
    }
    let going = all.values().filter(|content| content.goes).count();
    let coming = all.values().filter(|content| content.comes).count();
    if going * coming > MOST_PAIRS {
        return Vec::new();
    }
    let mut found: Vec<Renamed<'_>> = Vec::new();
    // Shorter ones come before what they hold.
    for (from, old) in all.iter().filter(|(_, content)| content.goes && content.loses) {
        if found.iter().any(|outer| from.starts_with(outer.from)) {
            continue;
        }
        let alike = all.iter().filter(|(_, new)| new.comes).filter_map(|(to, new)| {
            let many = old.inside.intersection(&new.inside).count();
            let larger = old.inside.len().max(new.inside.len());
            (many > 0 && many * ALIKE.1 >= larger * ALIKE.0).then_some(Renamed {
                from,
                to,
                many,
            })
        });
        // Two that it looks like say nothing.
        let alike: Vec<_> = alike.collect();
        if alike.len() == 1 {
            found.extend(alike);
        }
    }
    // One that two look like says nothing.
    let twice: Vec<&[String]> = found
        .iter()
        .map(|one| one.to)
        .filter(|to| found.iter().filter(|other| other.to == *to).count() > 1)
        .collect();
    found.retain(|one| !twice.contains(&one.to));
    found
}

impl Renamed<'_> {
    /// Whether the proposal is about this address.
    pub(super) fn covers(&self, address: &Address) -> bool {
        let components = address.components();
        components.starts_with(self.from) || components.starts_with(self.to)
    }

    pub(super) fn proposal(
        &self,
        changes: &[Change],
        loses: &impl Fn(&Change) -> bool,
    ) -> Diagnostic {
        let (from, to) = (self.from.join("/"), self.to.join("/"));
        let gone = |change: &&Change| change.address.components().starts_with(self.from);
        let lost = if changes.iter().filter(gone).any(loses) {
            ", and what is stored in it is lost"
        } else {
            ""
        };
        let first =
            changes.iter().find(|change| change.address.components().starts_with(self.to));
        let span = first.and_then(|change| change.span.clone());
        let what = match self.many {
            1 => "a resource that is called the same in both".to_owned(),
            many => format!("{many} resources that are called the same in both"),
        };
        let goes = |change: &&Change| {
            matches!(change.action, Action::Delete | Action::Cascade)
                && change.reasons.contains(&Reason::Undeclared)
        };
        let all = changes.iter().filter(gone).count();
        let going = changes.iter().filter(gone).filter(goes).count();
        // Some may be recognised under their new address: those only move.
        let planned = match going {
            many if many == all => "one is deleted and the other made anew".to_owned(),
            1 => "one of them is deleted and made anew".to_owned(),
            many => format!("{many} of them are deleted and made anew"),
        };
        Diagnostic::new(
            Code::LikelyRename,
            format!("component `{to}` looks like `{from}` under another name"),
        )
        .at(span)
        .note(format!("it holds {what}; as planned, {planned}{lost}"))
        .hint(format!("if it is the same, write `moved(\"{from}\", \"{to}\");`"))
        .hint("the plan then says which real names to keep with `name:`")
    }
}
