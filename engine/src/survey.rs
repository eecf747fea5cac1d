//! Asking services what stands against a plan, once it is known.

use std::collections::BTreeMap;

use futures::future::join_all;

use crate::address::Address;
use crate::analysis::Lint;
use crate::diagnostic::{Diagnostic, Severity};
use crate::observed::Answer;
use crate::path::Path;
use crate::plan::desired::{Desired, desired, is_stand_in};
use crate::plan::{Action, Change, Decisions, Inputs, Standing, entries};
use crate::pool::Pool;
use crate::resource::{Declared, Name, Planned};
use crate::value::Value;

/// Asks every kind that has something to say, where something of it is to be made: one call
/// for each kind and connection.
pub(crate) async fn survey(
    pool: &Pool,
    inputs: Inputs<'_>,
    decisions: &Decisions,
) -> Vec<(Address, Lint)> {
    let surveys = |change: &Change| {
        let kind = || pool.registry().kind(change.address.kind());
        change.connection.is_some()
            && makes(change)
            && kind().is_some_and(|kind| kind.calls.surveys())
    };
    if !decisions.changes.iter().any(surveys) {
        return Vec::new();
    }
    let mut groups: BTreeMap<(&Address, &str), Vec<Planned<Value>>> = BTreeMap::new();
    let mut declared = Declared::default();
    let mut open: BTreeMap<&Address, Desired> = BTreeMap::new();
    for change in &decisions.changes {
        let Some(after) = &change.after else { continue };
        let natural = after.follow(&Path::attribute("name"));
        let natural = match &natural {
            None => Some(change.address.name()),
            Some(name) => name.known().and_then(Value::as_str),
        };
        declared.add(change.address.kind(), natural);
        let Some(connection) = &change.connection else { continue };
        let kind = pool.registry().kind(change.address.kind());
        let Some(kind) = kind.filter(|kind| kind.calls.surveys()) else { continue };
        let spec = if let Some(spec) = after.known() {
            spec.clone()
        } else {
            // What is not known yet says nothing about ports and the like that are.
            let normalize = |spec: &Value| kind.calls.normalize(spec);
            let normal = desired(&kind.schema, &entries(after), &normalize).ok();
            let Some(normal) = normal else { continue };
            let Some(spec) = normal.whole().cloned() else { continue };
            open.insert(&change.address, normal);
            spec
        };
        let name = Name {
            stack: inputs.graph.program().stack.clone(),
            address: change.address.clone(),
            natural: natural.unwrap_or_else(|| change.address.name()).to_owned(),
        };
        let made = makes(change);
        let planned = Planned { name, spec, id: change.id.clone(), made };
        groups.entry((connection, change.address.kind())).or_default().push(planned);
    }
    let asked = groups.into_iter().filter(|(_, planned)| planned.iter().any(|one| one.made));
    let declared = &declared;
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
                Ok(line) => kind.calls.survey(&line.connection, planned, declared).await,
                // That it does not answer is said elsewhere.
                Err(_) => Vec::new(),
            }
        })
    });
    let mut found: Vec<(Address, Lint)> = join_all(asked).await.into_iter().flatten().collect();
    found.retain(|(address, lint)| {
        let open = open.get(address).zip(lint.at.first());
        !open.is_some_and(|(normal, attribute)| normal.is_open(attribute))
            && ![&lint.message, &lint.hint].into_iter().any(|text| is_stand_in(text))
    });
    found
}

/// Whether an object is made.
fn makes(change: &Change) -> bool {
    matches!(change.action, Action::Create | Action::Replace)
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
