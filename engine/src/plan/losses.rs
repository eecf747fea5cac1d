//! What an apply would lose for good: the content of objects that are about to go.
//!
//! The plan itself is a pure function; this asks the services afterwards, and only about
//! objects that go and whose kind can tell what is in them.

use std::collections::{BTreeMap, HashMap};

use futures::future::join_all;
use serde::{Deserialize, Serialize};

use crate::address::Address;
use crate::diagnostic::{Code, Diagnostic, Findings};
use crate::error::CallError;
use crate::kind::Kind;
use crate::plan::{Action, Change, Plan, Standing};
use crate::pool::Pool;
use crate::resource::{Held, Moment, Name, Wanted};
use crate::schema::Disruption;
use crate::value::Value;

/// The content of an object that goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// The object.
    pub address: Address,
    /// What is in it, in words: `1,204 messages, 2 consumers`.
    pub content: String,
    /// Whether nothing of it is worth asking about: it goes without consent.
    pub empty: bool,
}

impl Plan {
    /// What would be lost and nobody has consented to.
    pub fn without_consent(&self) -> impl Iterator<Item = &Loss> {
        self.losses.iter().filter(|loss| !loss.empty && !self.consents.contains(&loss.address))
    }

    /// What is in an object that goes, where its service told.
    pub fn loss(&self, address: &Address) -> Option<&Loss> {
        self.losses.iter().find(|loss| &loss.address == address)
    }
}

/// Asks what is in the objects that go, and completes the plan with it.
///
/// What lives behind a connection that is not open yet is asked about during apply.
///
/// # Errors
/// A service that cannot tell: nobody could consent to a loss of unknown size.
pub async fn weigh(plan: &mut Plan, pool: &Pool) -> Result<(), Findings> {
    let mut groups: BTreeMap<(&Address, &str), Vec<&Change>> = BTreeMap::new();
    for change in &plan.changes {
        let kind = pool.registry().kind(change.address.kind());
        if goes(change)
            && kind.is_some_and(|kind| asked(kind, change))
            && let Some(connection) = &change.connection
        {
            groups.entry((connection, change.address.kind())).or_default().push(change);
        }
    }
    let stack = &plan.stack;
    let connections = &plan.connections;
    let asked = groups.into_iter().filter_map(|((address, kind), changes)| {
        let kind = pool.registry().kind(kind)?;
        let connection = connections.iter().find(|known| &known.address == address)?;
        let spec = connection.spec.known().filter(|_| connection.standing == Standing::Open)?;
        Some(async move {
            let line = pool.line(address, spec, std::time::Duration::ZERO).await;
            let answers = match line {
                Ok(line) => {
                    let wanted = changes.iter().map(|change| wanted(stack, change));
                    kind.calls.held(&line.connection, wanted.collect(), Moment::Planning).await
                }
                Err(error) => changes.iter().map(|_| Err(error.clone())).collect(),
            };
            changes.into_iter().map(|change| change.address.clone()).zip(answers)
        })
    });
    let answers: Vec<_> = join_all(asked).await.into_iter().flatten().collect();
    let mut diagnostics = Vec::new();
    let changes = plan.changes.iter_mut().map(|change| (change.address.clone(), change));
    let mut changes: HashMap<Address, &mut Change> = changes.collect();
    for (address, answer) in answers {
        let (content, empty) = match answer {
            Ok(Held::Unknown) => continue,
            Ok(Held::Nothing(words)) => (words, true),
            Ok(Held::Content(words)) => (words, false),
            Err(error) => {
                let message = format!("cannot tell what would be lost with `{address}`");
                let mut found = Diagnostic::new(Code::Unreadable, message).note(error.message);
                found.hints = error.hints;
                diagnostics.push(found);
                continue;
            }
        };
        if let Some(change) = changes.get_mut(&address) {
            change.disruption = match change.action {
                _ if !empty => Disruption::DataLoss,
                Action::Replace => Disruption::Recreate,
                _ => Disruption::None,
            };
        }
        plan.losses.push(Loss { address, content, empty });
    }
    plan.losses.sort_by(|one, other| one.address.cmp(&other.address));
    if diagnostics.is_empty() {
        return Ok(());
    }
    Err(Findings { diagnostics, sources: plan.sources.clone() })
}

/// The refusal of a loss nobody consented to.
pub(crate) fn refusal(address: &Address, content: &str) -> CallError {
    CallError::refused(format!("it holds {content}, which nobody agreed to lose"))
        .hint(consent_hint([address]))
}

/// How to consent.
pub fn consent_hint<'a>(addresses: impl IntoIterator<Item = &'a Address>) -> String {
    let flags: Vec<_> =
        addresses.into_iter().map(|address| format!("--allow-data-loss {address}")).collect();
    format!("keep it, or agree to the loss with `{}`", flags.join(" "))
}

/// Whether the kind must be asked before this happens.
pub(crate) fn asked(kind: &Kind, change: &Change) -> bool {
    let loses =
        change.before.as_ref().map_or(kind.traits.holds_data, |before| kind.loses(before));
    loses || (kind.traits.may_hold_data && change.action == Action::Replace)
}

fn goes(change: &Change) -> bool {
    matches!(change.action, Action::Delete | Action::Replace) && change.before.is_some()
}

pub(super) fn wanted(stack: &str, change: &Change) -> Wanted<Value> {
    let spec = change.before.clone().unwrap_or_default();
    let natural = spec.get("name").and_then(Value::as_str);
    let natural = natural.unwrap_or_else(|| change.address.name()).to_owned();
    Wanted {
        id: change.id.clone().filter(|id| !id.is_empty()),
        name: Name { stack: stack.to_owned(), address: change.address.clone(), natural },
        spec,
        facts: Some(change.facts.to_json()),
    }
}

/// What is in one object, asked right before it goes.
pub(crate) async fn held(
    kind: &Kind,
    connection: &crate::kind::OpenConnection,
    wanted: Wanted<Value>,
) -> Result<Held, CallError> {
    let mut answers = kind.calls.held(connection, vec![wanted], Moment::Removing).await;
    answers.pop().unwrap_or(Ok(Held::Unknown))
}
