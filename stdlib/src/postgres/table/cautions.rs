//! What a reader of a plan should know of a change of a table.

use dollop_engine::resource::Problem;

use super::alter::{added, changed, kept, lost};
use super::{Spec, parents};

/// What the change does to others and to what is stored.
pub(super) fn of_change(from: &Spec, to: &Spec) -> Vec<Problem> {
    let caution = |attribute: &str, message: String, hint: Option<&str>| Problem {
        attribute: attribute.to_owned(),
        message,
        hint: hint.map(str::to_owned),
    };
    let mut all: Vec<_> = kept(from, to)
        .flat_map(|(old, new)| [old.caution(new), old.counting_caution(new)])
        .flatten()
        .collect();
    all.extend(parents::cautions(from, to));
    for column in lost(from, to) {
        let message = format!("column `{}` is dropped with what is in it", column.name);
        all.push(caution("columns", message, None));
    }
    for column in added(from, to).filter(|column| column.not_null) {
        if column.default.is_none() && column.identity.is_none() && column.generated.is_none() {
            let message = format!(
                "`{}` is NOT NULL without a default, which a table with rows refuses",
                column.name
            );
            all.push(caution("columns", message, Some("give it a `default`")));
        }
    }
    for (name, text) in changed(&from.constraints, &to.constraints) {
        let upper = text.to_uppercase();
        let what = if upper.starts_with("FOREIGN KEY") {
            "reads every row, and keeps writers away from both tables meanwhile"
        } else if upper.starts_with("CHECK") {
            "reads every row under an ACCESS EXCLUSIVE lock"
        } else {
            "builds an index under an ACCESS EXCLUSIVE lock"
        };
        if !upper.contains("NOT VALID") {
            all.push(caution("constraints", format!("adding `{name}` {what}"), None));
        }
    }
    let guarded = match (from.row_security, to.row_security) {
        (false, true) => Some((
            "nobody but the owner sees a row until it has policies, which come after it",
            "add the policies first, apply, then turn it on",
        )),
        (true, false) => Some((
            "policies that go as well go before it: nobody but the owner sees a row meanwhile",
            "turn it off first, apply, then remove the policies",
        )),
        _ => None,
    };
    all.extend(
        guarded.map(|(message, hint)| caution("row_security", message.to_owned(), Some(hint))),
    );
    let other = |of: fn(&Spec) -> Option<&String>| of(to).is_some() && of(from) != of(to);
    for (attribute, rewrites) in [
        ("unlogged", from.unlogged != to.unlogged),
        ("access_method", other(|spec| spec.access_method.as_ref())),
        ("tablespace", other(|spec| spec.tablespace.as_ref())),
    ] {
        if rewrites {
            let message =
                "writes the whole table anew under an ACCESS EXCLUSIVE lock".to_owned();
            all.push(caution(attribute, message, None));
        }
    }
    all
}
