//! What two declarations cannot both decide, and what cannot become what.

use std::collections::BTreeMap;

use crate::address::Address;
use crate::diagnostic::{Code, Diagnostic};
use crate::expr::Expr;
use crate::kind::Kind;
use crate::path::Path;
use crate::plan::change::{Action, Change};
use crate::plan::decide::Walk;
use crate::program::Declaration;
use crate::resource::Territory;
use crate::value::Value;

/// Who decides about what: connection, and a path from the wide to the narrow.
#[derive(Default)]
pub(crate) struct Territories(BTreeMap<(Address, Vec<String>), Address>);

impl Territories {
    /// Who has a territory, a part of it, or all around it.
    pub(crate) fn owner(&self, connection: &Address, path: &[String]) -> Option<&Address> {
        let key = |path: &[String]| (connection.clone(), path.to_vec());
        let around = (0..=path.len()).find_map(|end| self.0.get(&key(&path[..end])));
        // Everything within sorts right behind it.
        let within = self.0.range(key(path)..).next().and_then(|((place, part), owner)| {
            (place == connection && part.starts_with(path)).then_some(owner)
        });
        around.or(within)
    }

    /// Enters a territory, or says who has it, a part of it, or all around it.
    pub(crate) fn enter(
        &mut self,
        connection: &Address,
        path: &[String],
        owner: &Address,
    ) -> Result<(), Address> {
        match self.owner(connection, path) {
            Some(first) if first != owner => Err(first.clone()),
            _ => {
                self.0.insert((connection.clone(), path.to_vec()), owner.clone());
                Ok(())
            }
        }
    }
}

impl Walk<'_> {
    /// Refuses two declarations that decide about the same thing: each would undo the other.
    pub(crate) fn settle(&mut self, declaration: &Declaration, kind: &Kind, spec: &Value) {
        let Some(connection) = &declaration.connection else { return };
        let address = &declaration.address;
        for Territory { path, what } in kind.calls.territory(spec) {
            let entered = self.territories.enter(connection, &path, address);
            let Err(first) = entered else { continue };
            let message = format!("`{address}` and `{first}` both decide about {what}");
            let mut found =
                Diagnostic::new(Code::SameObject, message).at(declaration.span.clone());
            if let Some(first) = self.inputs.graph.get(&first) {
                found = found.related(first.span.clone(), "declared here first");
            }
            let hint = "each would undo the other: declare it once, in one of them";
            self.decisions.diagnostics.push(found.hint(hint));
            return;
        }
    }

    /// Refuses a replacement that could not use what its predecessor stored; warns of what
    /// the kind knows to be worth a thought.
    pub(crate) fn caution(&mut self, declaration: &Declaration, kind: &Kind, change: &Change) {
        let before = match change.action {
            Action::Create | Action::Replace => None,
            Action::Update | Action::Verify => change.before.as_ref(),
            _ => return,
        };
        let Some(after) = change.after.as_ref().and_then(Expr::known) else { return };
        let mut problems = kind.calls.cautions(before, after);
        if let (Action::Replace, Some(before)) = (&change.action, &change.before) {
            problems.extend(kind.calls.replace_cautions(before, after));
            for problem in kind.calls.replace_refusals(before, after) {
                let span = declaration.span_of(&Path::attribute(&problem.attribute)).clone();
                let message = format!("`{}`: {}", declaration.address, problem.message);
                let mut found = Diagnostic::new(Code::OtherVersion, message).at(span);
                found.hints.extend(problem.hint);
                self.decisions.diagnostics.push(found);
            }
        }
        for problem in problems {
            let span = declaration.span_of(&Path::attribute(&problem.attribute)).clone();
            let message = format!("`{}`: {}", declaration.address, problem.message);
            let mut found = Diagnostic::new(Code::Hazard, message).at(span);
            found.hints.extend(problem.hint);
            self.decisions.warnings.push(found);
        }
    }

    /// Refuses changes in place that the kind knows to be impossible.
    pub(crate) fn refuse_update(
        &mut self,
        declaration: &Declaration,
        kind: &Kind,
        before: &Value,
        after: &Value,
    ) {
        for problem in kind.calls.check_update(before, after) {
            let span = declaration.span_of(&Path::attribute(&problem.attribute)).clone();
            let message = format!("`{}`: {}", declaration.address, problem.message);
            let mut found = Diagnostic::new(Code::Rule, message).at(span);
            found.hints.extend(problem.hint);
            self.decisions.diagnostics.push(found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_territory_is_entered_once() {
        let mut all = Territories::default();
        let server = Address::new(Vec::new(), "postgres::server", vec!["main".to_owned()]);
        let owner =
            |name: &str| Address::new(Vec::new(), "postgres::grant", vec![name.to_owned()]);
        let mut enter = |path: &[&str], name: &str| {
            let path: Vec<_> = path.iter().map(|&part| part.to_owned()).collect();
            all.enter(&server, &path, &owner(name)).err()
        };
        assert_eq!(enter(&["db", "s", "t1"], "a"), None);
        assert_eq!(enter(&["db", "s", "t2"], "b"), None);
        assert_eq!(enter(&["db", "s"], "c"), Some(owner("a")), "a part has an owner");
        assert_eq!(enter(&["db", "s", "t2", "x"], "c"), Some(owner("b")), "all has an owner");
        assert_eq!(enter(&["db", "s", "t2"], "c"), Some(owner("b")));
        assert_eq!(enter(&["db", "s", "t"], "c"), None, "a name is no beginning of another");
        assert_eq!(enter(&["db", "s", "t1"], "a"), None, "one's own is no conflict");
    }
}
