//! What only services can tell about what is planned.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use futures::future::join_all;

use crate::address::Address;
use crate::diagnostic::{Code, Diagnostic, Findings};
use crate::error::CallError;
use crate::expr::Expr;
use crate::plan::losses::wanted;
use crate::plan::{Action, Change, Loss, Plan, Standing};
use crate::pool::Pool;
use crate::resource::{Beside, Name, Preview, Proposed};
use crate::schema::Disruption;
use crate::value::Value;

/// Changes of one kind behind one connection.
type Group<'a> = Vec<(&'a Change, Proposed<Value>)>;

/// Asks the services about what is to be made or changed, and completes the plan with their
/// notes, and with what is lost. What is not known yet, or lives behind a connection that is
/// not open yet, is not asked about.
///
/// # Errors
/// What a service says it would refuse.
pub async fn preview(plan: &mut Plan, pool: &Pool) -> Result<(), Findings> {
    let mut groups: BTreeMap<(&Address, &str), Group<'_>> = BTreeMap::new();
    for change in &plan.changes {
        let kind = pool.registry().kind(change.address.kind());
        if kind.is_some_and(|kind| kind.calls.previews())
            && let Some(connection) = &change.connection
            && let Some(proposed) = proposed(&plan.stack, change)
        {
            let group = groups.entry((connection, change.address.kind())).or_default();
            group.push((change, proposed));
        }
    }
    let connections = &plan.connections;
    let (stack, all) = (&plan.stack, &plan.changes);
    let asked = groups.into_iter().filter_map(|((address, kind), group)| {
        let kind = pool.registry().kind(kind)?;
        let connection = connections.iter().find(|known| &known.address == address)?;
        let spec = connection.spec.known().filter(|_| connection.standing == Standing::Open)?;
        Some(async move {
            let (changes, proposed): (Vec<_>, Vec<_>) = group.into_iter().unzip();
            let others = kind.calls.previewed_with();
            let mut beside = Beside::default();
            let is_near = |one: &&Change| {
                one.connection.as_ref().is_some_and(|through| {
                    through == address || through.kind() != address.kind()
                })
            };
            for change in all.iter().filter(is_near) {
                let is_other = others.contains(&change.address.kind());
                let goes = matches!(change.action, Action::Delete | Action::Cascade);
                if goes && (is_other || change.address.kind() == kind.name) {
                    beside.gone.push(wanted(stack, change));
                } else if is_other {
                    let known = self::proposed(stack, change);
                    beside.more |= known.is_none() && makes(change);
                    beside.proposed.extend(known);
                }
            }
            let answers = match pool.line(address, spec, Duration::ZERO).await {
                Ok(line) => kind.calls.preview(&line.connection, proposed, beside).await,
                Err(error) => Err(error),
            };
            // What could not be asked is found out during apply, and said here.
            let answers = answers.unwrap_or_else(|error| unasked(&error, &changes));
            changes.into_iter().zip(answers)
        })
    });
    let mut diagnostics = Vec::new();
    let (mut notes, mut scripts) = (BTreeMap::new(), BTreeMap::new());
    let mut losses = Vec::new();
    for (change, preview) in join_all(asked).await.into_iter().flatten() {
        for problem in preview.problems {
            let message = format!("`{}`: {}", change.address, problem.message);
            let mut found = Diagnostic::new(Code::Rule, message);
            if let Some(span) = &change.span {
                found = found.at(span.clone());
            }
            found.hints.extend(problem.hint);
            diagnostics.push(found);
        }
        if let Some(content) = preview.loses {
            losses.push(Loss { address: change.address.clone(), content, empty: false });
        }
        if let Some(script) = preview.script {
            scripts.insert(change.address.clone(), script);
        }
        if !preview.notes.is_empty() {
            notes.insert(change.address.clone(), preview.notes);
        }
    }
    for loss in &losses {
        let mut changes = plan.changes.iter_mut();
        if let Some(change) = changes.find(|change| change.address == loss.address) {
            change.disruption = Disruption::DataLoss;
        }
    }
    plan.losses.append(&mut losses);
    plan.losses.sort_by(|one, other| one.address.cmp(&other.address));
    for (address, notes) in notes {
        plan.notes.entry(address).or_default().extend(notes);
    }
    plan.scripts = scripts;
    if diagnostics.is_empty() {
        return Ok(());
    }
    Err(Findings { diagnostics, sources: plan.sources.clone() })
}

/// What there is to know of changes that could not be asked about: said once, with the first.
fn unasked(error: &CallError, changes: &[&Change]) -> Vec<Preview> {
    let others = match changes.len() {
        0 | 1 => String::new(),
        many => format!(" (nor to {} more of its kind)", many - 1),
    };
    let mut note =
        format!("what the service says to it{others} could not be asked: {}", error.message);
    if let Some(hint) = error.hints.first() {
        let _ = write!(note, " ({hint})");
    }
    let mut previews = vec![Preview::default(); changes.len()];
    if let Some(first) = previews.first_mut() {
        first.notes.push(note);
    }
    previews
}

fn makes(change: &Change) -> bool {
    matches!(change.action, Action::Create | Action::Update | Action::Replace)
}

fn proposed(stack: &str, change: &Change) -> Option<Proposed<Value>> {
    let to = change.after.as_ref().and_then(Expr::known).filter(|_| makes(change))?.clone();
    let natural = to.get("name").and_then(Value::as_str);
    let natural = natural.unwrap_or_else(|| change.address.name()).to_owned();
    let name = Name { stack: stack.to_owned(), address: change.address.clone(), natural };
    let anew = change.action == Action::Replace;
    Some(Proposed { name, id: change.id.clone(), from: change.before.clone(), to, anew })
}
