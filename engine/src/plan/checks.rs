//! Conditions that must hold, as far as they are known while planning and once more after
//! an apply.

use serde::{Deserialize, Serialize};

use crate::diagnostic::{Code, Diagnostic};
use crate::expr::{Expr, Reference};
use crate::plan::decide::Walk;
use crate::program::Check;
use crate::value::Value;

/// A check and how it stands while planning.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CheckPlan {
    /// What must hold, as declared, references and all.
    pub check: Check,
    /// How it stands.
    pub standing: CheckStanding,
}

/// How a check stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckStanding {
    /// It holds.
    Passes,
    /// It does not, and only warns.
    Warns,
    /// It does not.
    Fails,
    /// Something in it is known only after the apply.
    Pending,
}

/// What a check says about values that are known by now; `None` when it holds or says nothing
/// yet.
pub(crate) fn judge(
    check: &Check,
    lookup: &impl Fn(&Reference) -> Option<Expr>,
) -> (CheckStanding, Option<Diagnostic>) {
    let condition = check.condition.resolve(lookup);
    let undecided = condition.undecided();
    match condition.known() {
        Some(known) if *known.reveal() == Value::Bool(true) => {
            return (CheckStanding::Passes, None);
        }
        None if undecided.is_none() => return (CheckStanding::Pending, None),
        _ => {}
    }
    let (name, message) = (&check.name, check.message.resolve(lookup));
    let message = match message.known() {
        Some(text) if !text.is_secret() => {
            text.as_str().map_or_else(|| text.to_string(), str::to_owned)
        }
        _ => message.to_string(),
    };
    let words = format!("check `{name}` does not hold: {message}");
    let (standing, mut found) = if check.warn {
        (CheckStanding::Warns, Diagnostic::new(Code::CheckWarns, words))
    } else {
        (CheckStanding::Fails, Diagnostic::new(Code::CheckFails, words))
    };
    for reference in check.condition.references() {
        if let Some(value) = lookup(reference) {
            let value = value.resolve(lookup);
            found = found.note(format!("`{reference}` is {value}"));
        }
    }
    if let Some(undecided) = undecided {
        found = undecided.told_by(found);
    } else if condition.known().is_some_and(|known| !matches!(known.reveal(), Value::Bool(_))) {
        found = found.note("its condition is neither true nor false");
    }
    (standing, Some(found.at(check.span.clone())))
}

impl Walk<'_> {
    /// Judges every check.
    pub(crate) fn checks(&mut self) {
        let graph = self.inputs.graph;
        for check in &graph.program().checks {
            let (standing, found) =
                judge(check, &|reference| self.look_up(reference).ok().flatten());
            match standing {
                CheckStanding::Fails => self.decisions.diagnostics.extend(found),
                _ => self.decisions.warnings.extend(found),
            }
            self.decisions.checks.push(CheckPlan { check: check.clone(), standing });
        }
    }
}
