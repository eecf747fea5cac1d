//! Resources that do nothing by themselves and that nothing uses.

use std::collections::BTreeSet;

use super::Report;
use super::claim::Claim;
use super::stack::Stack;
use crate::address::Address;
use crate::diagnostic::{Code, Diagnostic};
use crate::path::Path;

/// `meant` are those that something means and does not name.
pub(super) fn check<'a>(
    stack: &Stack<'a>,
    meant: &BTreeSet<&'a Address>,
    report: &mut Report<'a>,
) {
    let mut used = meant.clone();
    for declaration in stack.graph.in_order() {
        used.extend(stack.graph.needs(&declaration.address).map(|needed| &needed.address));
    }
    for output in &stack.graph.program().outputs {
        output.value.each_reference(&mut |reference| {
            used.insert(&reference.address);
        });
    }
    for check in &stack.graph.program().checks {
        for value in [&check.condition, &check.message] {
            value.each_reference(&mut |reference| {
                used.insert(&reference.address);
            });
        }
    }
    // Used by its real name, without a reference.
    let mut named = BTreeSet::new();
    for (object, claimed) in stack.claims() {
        match &claimed.claim {
            Claim::Member { network: other, .. } | Claim::Mount { volume: other, .. } => {
                named.insert((object.connection(), other.kind, other.name.as_str()));
            }
            _ => {}
        }
    }
    for object in stack.objects().filter(|object| object.kind.traits.for_others) {
        let name = object.name.as_deref().unwrap_or_default();
        let is_used = used.contains(object.address())
            || named.contains(&(object.connection(), object.kind.name, name));
        if is_used {
            continue;
        }
        let message = format!("nothing uses `{}`", object.address());
        let found = Diagnostic::new(Code::Unused, message)
            .hint("use it or remove it; when others look for it, say `allow: \"W0102\"`");
        report.add(object.declaration, &Path::default(), found);
    }
}
