//! Asking services what stands against a plan, once it is known.

use std::collections::BTreeMap;

use futures::future::join_all;

use crate::address::Address;
use crate::analysis::Lint;
use crate::diagnostic::{Diagnostic, Severity};
use crate::expr::Expr;
use crate::observed::Answer;
use crate::plan::{Action, Decisions, Inputs, Standing};
use crate::pool::Pool;
use crate::resource::{Name, Planned};
use crate::value::Value;

/// Asks every kind that has something to say, where something of it is to be made: one call
/// for each kind and connection.
pub(crate) async fn survey(
    pool: &Pool,
    inputs: Inputs<'_>,
    decisions: &Decisions,
) -> Vec<(Address, Lint)> {
    let mut groups: BTreeMap<(&Address, &str), Vec<Planned<Value>>> = BTreeMap::new();
    for change in &decisions.changes {
        let Some(connection) = &change.connection else { continue };
        let kind = pool.registry().kind(change.address.kind());
        let asked = kind.is_some_and(|kind| kind.calls.surveys());
        let after = change.after.as_ref().and_then(Expr::known);
        let Some(spec) = after.filter(|_| asked) else { continue };
        let natural = spec.get("name").and_then(Value::as_str);
        let name = Name {
            stack: inputs.graph.program().stack.clone(),
            address: change.address.clone(),
            natural: natural.unwrap_or_else(|| change.address.name()).to_owned(),
        };
        let made = matches!(change.action, Action::Create | Action::Replace);
        let planned = Planned { name, spec: spec.clone(), id: change.id.clone(), made };
        groups.entry((connection, change.address.kind())).or_default().push(planned);
    }
    let asked = groups.into_iter().filter(|(_, planned)| planned.iter().any(|one| one.made));
    let asked = asked.filter_map(|((connection, kind), planned)| {
        let index = decisions.connection_index.get(connection)?;
        let through = &decisions.connections[*index];
        let open = through.standing == Standing::Open || through.standing == Standing::Unused;
        let failed =
            matches!(inputs.observed.connections.get(connection), Some(Answer::Failed(_)));
        let spec = through.spec.known().filter(|_| open && !failed)?;
        let kind = pool.registry().kind(kind)?;
        Some(async move {
            match pool.line(connection, spec, std::time::Duration::ZERO).await {
                Ok(line) => kind.calls.survey(&line.connection, planned).await,
                // That it does not answer is said elsewhere.
                Err(_) => Vec::new(),
            }
        })
    });
    join_all(asked).await.into_iter().flatten().collect()
}

/// What was found, where the script says it; what a resource allows is left out.
pub(crate) fn findings(
    inputs: Inputs<'_>,
    surveyed: &[(Address, Lint)],
) -> (Vec<Diagnostic>, Vec<Diagnostic>) {
    let found = surveyed.iter().filter_map(|(address, lint)| {
        let declaration = inputs.graph.get(address)?;
        if declaration.allow.contains(&lint.code) {
            return None;
        }
        let message = format!("`{address}`: {}", lint.message);
        let span = declaration.span_of(&lint.at).clone();
        Some(Diagnostic::new(lint.code, message).at(span).hint(lint.hint.clone()))
    });
    found.partition(|found| found.severity() == Severity::Error)
}
