//! Replacements whose successor is made first, and what an earlier run left of one.

use std::collections::HashSet;

use crate::address::Address;
use crate::diagnostic::{Code, Diagnostic};
use crate::expr::Expr;
use crate::graph::Graph;
use crate::kind::{Kind, short_name};
use crate::path::Path;
use crate::plan::change::{Action, Change, Reason, Succession};
use crate::plan::decide::Walk;
use crate::program::Declaration;
use crate::resource::{Naming, OnFailure, Problem};
use crate::schema::Disruption;
use crate::value::Value;

/// Why the new one cannot stand beside the old one.
enum Obstacle {
    /// There cannot be two of that name.
    Name(String),
    /// Both need what only one can have.
    Problems(Vec<Problem>),
    /// It holds something that is itself removed first.
    Holds(Address),
}

/// What is made first because something that follows it is, beside what asks for it itself:
/// the old one cannot go while what is made for the new one waits for it.
pub(crate) fn made_first(graph: &Graph) -> HashSet<Address> {
    let mut found: HashSet<Address> = HashSet::new();
    let mut queue: Vec<&Declaration> = graph
        .in_order()
        .filter(|declaration| declaration.lifecycle.create_before_destroy)
        .collect();
    while let Some(declaration) = queue.pop() {
        for value in declaration.attributes.values() {
            for reference in value.references() {
                if reference.path.first() == Some("name")
                    && found.insert(reference.address.clone())
                {
                    queue.extend(graph.get(&reference.address));
                }
            }
        }
    }
    found
}

impl Walk<'_> {
    /// Settles whether the new one is made while the old one stands, and refuses what asks
    /// for that and cannot have it.
    pub(crate) fn succession(
        &mut self,
        declaration: &Declaration,
        kind: &Kind,
        mut change: Change,
    ) -> Change {
        if self.waits(&change.address) {
            // It stands there already, and serves until this one has taken over.
            let stand_in = kind.calls.stand_in("").is_some();
            let waits = matches!(
                change.action,
                Action::Create | Action::Replace | Action::Update | Action::Verify
            );
            change.succession = waits.then_some(Succession { begun: true, stand_in });
            return change;
        }
        if change.action != Action::Replace {
            return change;
        }
        let spec = change.after.as_ref().and_then(Expr::known);
        let asks = declaration.lifecycle.create_before_destroy
            || spec.is_some_and(|spec| kind.calls.creates_first(spec));
        if !asks && !self.made_first.contains(&change.address) {
            return change;
        }
        match self.obstacle(kind, &change) {
            Ok(stand_in) => {
                change.succession = Some(Succession { begun: false, stand_in });
                // Nobody has to do without it.
                if change.disruption == Disruption::Recreate {
                    change.disruption = Disruption::None;
                }
            }
            Err(obstacle) if asks => {
                let found = refusal(declaration, &obstacle);
                self.decisions.diagnostics.push(found);
            }
            Err(_) => {}
        }
        change
    }

    /// Whether an earlier run left what it is to take the place of.
    fn waits(&self, address: &Address) -> bool {
        self.any_deposed && self.records.contains_key(&address.deposed())
    }

    /// Says how one of several is changed while others serve.
    pub(crate) fn rolling(kind: &Kind, change: &mut Change) {
        let disturbs = match change.action {
            Action::Replace => true,
            Action::Update => change.disruption >= Disruption::Restart,
            _ => false,
        };
        let Some(spec) = change.after.as_ref().and_then(Expr::known).filter(|_| disturbs)
        else {
            return;
        };
        let rolling = kind.calls.rolling(spec);
        let rolls_back = rolling.on_failure == OnFailure::Rollback;
        change.rolling = (change.lifecycle.replica.is_some() || rolls_back).then_some(rolling);
    }

    /// A spec under the name it gets when it takes over, and whether it still waits for that
    /// under the name of a stand-in.
    pub(crate) fn in_place(&self, change: &Change, kind: &Kind, spec: Value) -> (Value, bool) {
        let waits = self.waits(&change.address);
        let natural =
            change.after.as_ref().and_then(|after| after.follow(&Path::attribute("name")));
        let natural = natural.as_ref().and_then(Expr::known).and_then(Value::as_str);
        let Some(natural) = natural.filter(|_| waits) else { return (spec, false) };
        let temporary = kind.calls.stand_in(natural);
        let stands_in = spec.get("name").and_then(Value::as_str) == temporary.as_deref();
        match spec {
            Value::Map(mut entries) if stands_in && temporary.is_some() => {
                entries.insert("name".to_owned(), Value::string(natural));
                (Value::Map(entries), true)
            }
            spec => (spec, false),
        }
    }

    /// Whether the new one needs a stand-in's name, or what is in the way of it.
    fn obstacle(&self, kind: &Kind, change: &Change) -> Result<bool, Obstacle> {
        let held = change.reasons.iter().find_map(|reason| match reason {
            Reason::Follows { address, .. } => self
                .change(address)
                .filter(|held| held.action == Action::Replace && !held.creates_first()),
            _ => None,
        });
        if let Some(held) = held {
            return Err(Obstacle::Holds(held.address.clone()));
        }
        if kind.calls.stand_in("").is_some() {
            let next = change.after.as_ref().and_then(Expr::known);
            let problems = match (&change.before, next) {
                (Some(now), Some(next)) => kind.calls.check_beside(now, next),
                _ => Vec::new(),
            };
            return if problems.is_empty() {
                Ok(true)
            } else {
                Err(Obstacle::Problems(problems))
            };
        }
        if kind.traits.only_recorded || has_other_name(kind, change) {
            return Ok(false);
        }
        let before = change.before.as_ref();
        let name = before.and_then(|spec| spec.get("name")).and_then(Value::as_str);
        Err(Obstacle::Name(name.unwrap_or_else(|| change.address.name()).to_owned()))
    }
}

/// Whether what tells one object of the kind from another changes, so that both can exist.
fn has_other_name(kind: &Kind, change: &Change) -> bool {
    let own: &[&str] = match kind.traits.naming {
        Naming::Natural => &["name"],
        Naming::Label => kind.traits.identity,
    };
    kind.traits.within.iter().chain(own).any(|attribute| {
        let path = Path::attribute(*attribute);
        change.differences.iter().any(|difference| {
            difference.path.is_within(&path)
                && difference.after.as_ref().is_some_and(|after| after.known().is_some())
        })
    })
}

fn refusal(declaration: &Declaration, obstacle: &Obstacle) -> Diagnostic {
    let address = &declaration.address;
    let what = short_name(address.kind());
    let message = format!("`{address}` cannot be made before the one it replaces is removed");
    let key = Path::attribute("create_before_destroy");
    let found = |at: &Path| {
        Diagnostic::new(Code::NotSideBySide, message.clone())
            .at(declaration.span_of(at).clone())
    };
    match obstacle {
        Obstacle::Name(name) => found(&key)
            .note(format!("names are unique: there cannot be two {what}s named `{name}`"))
            .hint("give the new one another `name`, or leave out `create_before_destroy`"),
        Obstacle::Holds(held) => found(&key)
            .note(format!("it holds `{held}`, which is replaced too and must be removed first"))
            .hint("make the two changes one after the other, or leave out `create_before_destroy` this time"),
        Obstacle::Problems(problems) => {
            let first = problems.first().map_or("", |problem| problem.attribute.as_str());
            let mut found = found(&Path::attribute(first));
            for problem in problems {
                found = found.note(problem.message.clone());
            }
            let hints = problems.iter().filter_map(|problem| problem.hint.clone());
            found.hints.extend(hints);
            found.hints.dedup();
            found
        }
    }
}
