//! Stored data that two programs write, and paths of this machine that are not there.

use std::collections::BTreeMap;

use super::Report;
use super::claim::{Claim, Named};
use super::stack::{Stack, Use};
use crate::diagnostic::{Code, Diagnostic};
use crate::files::Files;

pub(super) fn check<'a>(stack: &Stack<'a>, files: &dyn Files, report: &mut Report<'a>) {
    shared(stack, report);
    missing(stack, files, report);
}

fn shared<'a>(stack: &Stack<'a>, report: &mut Report<'a>) {
    let mut taken: BTreeMap<(_, &Named), Use<'_, 'a>> = BTreeMap::new();
    for (object, claimed) in stack.claims() {
        let Claim::Mount { volume, writable: true, exclusive: Some(what) } = &claimed.claim
        else {
            continue;
        };
        let this = (object, claimed);
        let other = *taken.entry((object.connection(), volume)).or_insert(this);
        if std::ptr::eq(other.0, object) {
            continue;
        }
        let message = format!(
            "`{}` and `{}` both write to volume `{}`",
            other.0.address(),
            object.address(),
            volume.name,
        );
        let found = Diagnostic::new(Code::SharedData, message)
            .note(format!("{what} must be alone with its data, or damages it"))
            .hint("give each its own volume, or mount it read-only where it is only read");
        report.add_pair(
            (other.0.declaration, &stack.place(other.0, other.1)),
            (object.declaration, &stack.place(object, claimed)),
            "the other one",
            found,
        );
    }
}

fn missing<'a>(stack: &Stack<'a>, files: &dyn Files, report: &mut Report<'a>) {
    let made: Vec<&str> = stack
        .claims()
        .filter_map(|(_, claimed)| match &claimed.claim {
            Claim::MakesPath(path) => Some(plain(path)),
            _ => None,
        })
        .collect();
    // A file that is made brings its folders along.
    let is_made = |path: &str| {
        made.iter().any(|made| {
            made.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    };
    for (object, claimed) in stack.claims().filter(|(object, _)| object.local) {
        let Claim::NeedsPath(path) = &claimed.claim else { continue };
        if is_made(plain(path)) || files.exists(path) != Some(false) {
            continue;
        }
        let message = format!("`{path}` does not exist on this machine");
        // What is not in the project is nowhere. Another path may be there for a service
        // that sees other files than this process: dollop itself may run in a container.
        let found = if path.starts_with('/') {
            Diagnostic::new(Code::MaybeMissingSource, message)
        } else {
            Diagnostic::new(Code::MissingSource, message)
                .note("relative paths begin at the project folder")
        };
        let hint = "create it, correct the path, or declare it with `local::file`";
        report.add(object.declaration, &stack.place(object, claimed), found.hint(hint));
    }
}

fn plain(path: &str) -> &str {
    path.strip_prefix("./").unwrap_or(path).trim_end_matches('/')
}
