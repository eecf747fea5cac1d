//! What would be in each other's way if a profile were on that is off.
//!
//! Two profiles may well be alternatives, so what belongs to either is not compared. What is
//! looked for is what makes a profile useless: it conflicts with itself, or with what is there
//! whenever it is on.

use std::collections::{BTreeMap, BTreeSet};

use super::stack::{Object, Stack, comes};
use super::{Report, networks, ports};
use crate::diagnostic::{Code, Diagnostic, Severity};
use crate::path::Path;
use crate::program::Declaration;
use crate::resource::Naming;

pub(super) fn check<'a>(stack: &mut Stack<'a>, report: &mut Report<'a>) {
    for on in stack.dormant_sets() {
        report.supposed = Some(on.clone());
        stack.suppose(on);
        ports::check(stack, report);
        networks::check(stack, report);
        same_name(stack, report);
    }
    report.supposed = None;
}

/// One real name for two objects; of what is planned, the plan says so.
fn same_name<'a>(stack: &Stack<'a>, report: &mut Report<'a>) {
    let mut taken: BTreeMap<_, &Object<'a>> = BTreeMap::new();
    for object in stack.objects() {
        let traits = &object.kind.traits;
        let Some(name) = object.name.as_ref().filter(|_| traits.naming == Naming::Natural)
        else {
            continue;
        };
        if !traits.within.is_empty() {
            continue;
        }
        let key = (object.connection(), object.kind.name, name);
        let other = *taken.entry(key).or_insert(object);
        if std::ptr::eq(other, object) {
            continue;
        }
        let what = crate::kind::short_name(object.kind.name);
        let message = format!(
            "`{}` and `{}` are both the {what} `{name}`",
            other.address(),
            object.address()
        );
        let found = Diagnostic::new(Code::SameObject, message)
            .hint("give one of them another `name`, or declare it once");
        let at = Path::attribute("name");
        let (other, this) = ((other.declaration, &at), (object.declaration, &at));
        report.add_pair(other, this, "declared here first", found);
    }
}

/// The code of a finding when profiles are only supposed to be on.
pub(super) fn code(on: Option<&BTreeSet<&str>>, code: Code) -> Code {
    if on.is_some() { Code::ConditionalConflict } else { code }
}

/// A finding as it is shown when profiles are only supposed to be on: `None` when it does not
/// take all of them, for then it is found with fewer.
pub(super) fn supposed(
    on: Option<&BTreeSet<&str>>,
    of: &[&Declaration],
    found: Diagnostic,
) -> Option<Diagnostic> {
    let Some(on) = on else { return Some(found) };
    // With one profile less, one of them is not there.
    let needed = on.iter().all(|name| {
        let mut fewer = on.clone();
        fewer.remove(name);
        of.iter().any(|declared| !comes(declared, &fewer))
    });
    let is_off = of.iter().any(|declared| declared.off.is_some());
    if !is_off || !needed || found.code.severity() != Severity::Error {
        return None;
    }
    let names: Vec<_> = on.iter().map(|name| format!("`{name}`")).collect();
    let (profiles, are) = match names.as_slice() {
        [_] => ("profile", "is"),
        _ => ("profiles", "are"),
    };
    let names = names.join(" and ");
    let message = format!("with {profiles} {names} on, {}", found.message);
    let mut conditional = found.clone();
    conditional.code = Code::ConditionalConflict;
    conditional.message = message;
    Some(conditional.note(format!(
        "nothing happens now, for {profiles} {names} {are} not on; that would be {}",
        found.code
    )))
}
