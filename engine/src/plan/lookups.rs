//! What a script looks up and does not manage: read while planning where that is possible,
//! during apply otherwise, never written, never in the state.

use serde::{Deserialize, Serialize};

use crate::address::Address;
use crate::diagnostic::{Code, Diagnostic, Span};
use crate::expr::Expr;
use crate::kind::{FoundObject, Kind, short_name};
use crate::limit::Limit;
use crate::map::Map;
use crate::observed::Observation;
use crate::path::Path;
use crate::plan::Standing;
use crate::plan::change::Action;
use crate::plan::decide::{Facts, Presence, Resolved, Walk};
use crate::plan::desired::dummy;
use crate::plan::seen::{Question, Seen};
use crate::program::{Declaration, Lookup};
use crate::value::Value;

/// A look-up and what came of it while planning.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LookupPlan {
    /// Its address.
    pub address: Address,
    /// Through which connection.
    pub connection: Address,
    /// What says which object is meant, as far as known.
    pub wanted: Expr,
    /// Whether there need be none.
    pub optional: bool,
    /// What it needs.
    pub dependencies: Vec<Address>,
    /// How long reading may take.
    pub limit: Option<Limit>,
    /// The call that declares it.
    pub span: Span,
    /// What came of it.
    pub outcome: LookupOutcome,
}

/// What came of a look-up while planning.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LookupOutcome {
    /// It is there, like this.
    Found {
        /// Its attributes, secrets marked.
        spec: Value,
        /// What the service reports.
        facts: Value,
    },
    /// There is none, and there need be none.
    Missing,
    /// Nobody could look yet; apply does.
    Later,
}

impl Walk<'_> {
    /// Decides on a look-up.
    pub(crate) fn lookup(&mut self, declaration: &Declaration, lookup: Lookup) {
        let address = &declaration.address;
        let attributes = self.resolve(declaration);
        let Some(kind) = self.inputs.registry.looked_up(address.kind()) else {
            let message = format!("`{}` looks up no kind of resource", address.kind());
            self.decisions.diagnostics.push(Diagnostic::new(Code::KindGone, message));
            return;
        };
        let Some(connection) = declaration.connection.clone() else { return };
        let dependencies = self.inputs.graph.dependencies(address);
        let wanted = Expr::map(attributes);
        let observed = self.look(declaration, kind, &connection, &wanted, &dependencies);
        let (resolved, outcome) = match observed {
            Looked::Found(found) => {
                let spec = kind.mark_spec(found.spec);
                let facts = kind.mark_facts(found.facts, &spec);
                let resolved = Resolved {
                    spec: Expr::Value(spec.clone()),
                    facts: Facts::All(facts.clone()),
                    settled: true,
                    presence: Presence::Here,
                };
                (resolved, LookupOutcome::Found { spec, facts })
            }
            Looked::Missing => {
                let (spec, presence) = if lookup.optional {
                    (Expr::NULL, Presence::Absent)
                } else {
                    let message = format!("`{address}`: {}", nothing_there(kind, &wanted));
                    let found = Diagnostic::new(Code::LookupMissing, message)
                        .at(declaration.span.clone())
                        .hint("check the name and the server, or make it")
                        .hint(MAY_BE_MISSING);
                    self.decisions.diagnostics.push(found);
                    // One error is enough: what uses it goes on as if it were there.
                    (wanted.clone(), Presence::Later)
                };
                let resolved = Resolved { spec, facts: Facts::None, settled: true, presence };
                (resolved, LookupOutcome::Missing)
            }
            Looked::Not { settled } => {
                // One that may be missing has not even a name for sure.
                let spec = if lookup.optional {
                    Expr::Value(Value::Map(Map::new()))
                } else {
                    wanted.clone()
                };
                let presence = Presence::Later;
                let resolved = Resolved { spec, facts: Facts::None, settled, presence };
                (resolved, LookupOutcome::Later)
            }
        };
        self.keep(address, resolved);
        self.decisions.lookups.push(LookupPlan {
            address: address.clone(),
            connection,
            wanted,
            optional: lookup.optional,
            dependencies,
            limit: declaration.lifecycle.timeouts.read,
            span: declaration.span.clone(),
            outcome,
        });
    }

    fn look(
        &mut self,
        declaration: &Declaration,
        kind: &Kind,
        connection: &Address,
        wanted: &Expr,
        dependencies: &[Address],
    ) -> Looked {
        let address = &declaration.address;
        let Some(known) = wanted.known() else { return Looked::Not { settled: true } };
        // Something it waits for is still to be made or changed.
        let early = dependencies.iter().any(|needed| {
            matches!(
                self.action(needed),
                Some(Action::Create | Action::Update | Action::Replace | Action::Verify)
            )
        });
        match self.standing(connection) {
            _ if early => return Looked::Not { settled: true },
            Some(Standing::Deferred(_) | Standing::Unrefreshed) => {
                return Looked::Not { settled: true };
            }
            _ => {}
        }
        let spec = match probe(kind, known) {
            Ok(spec) => spec,
            Err(message) => {
                let found =
                    Diagnostic::new(Code::LookupForm, format!("`{address}`: {message}"));
                self.decisions.diagnostics.push(found.at(declaration.span.clone()));
                return Looked::Not { settled: true };
            }
        };
        let question = || Question { spec: Some(spec), ..Question::default() };
        match self.seen(connection, address, question) {
            Seen::Later => Looked::Not { settled: false },
            Seen::This(Observation::Found(found)) => Looked::Found(found.clone()),
            Seen::This(Observation::Gone) => Looked::Missing,
            Seen::This(Observation::Unreadable(error)) => {
                let mut found =
                    Diagnostic::new(Code::Unreadable, format!("cannot read `{address}`"))
                        .at(declaration.span.clone())
                        .note(error.message.clone());
                found.notes.extend(error.notes.iter().cloned());
                found.hints.extend(error.hints.iter().cloned());
                self.decisions.diagnostics.push(found);
                Looked::Not { settled: true }
            }
            Seen::This(Observation::Unchecked) | Seen::Not => Looked::Not { settled: true },
        }
    }
}

enum Looked {
    Found(FoundObject),
    Missing,
    Not { settled: bool },
}

/// A whole spec from what says which object is meant: stand-ins for what a kind requires.
///
/// # Errors
/// It does not fit the kind.
pub(crate) fn probe(kind: &Kind, wanted: &Value) -> Result<Value, String> {
    let mut entries = wanted.as_map().cloned().unwrap_or_default();
    for (name, attribute) in &kind.schema.spec {
        if attribute.required && !entries.contains_key(name) {
            entries.insert(name.clone(), dummy(&attribute.ty));
        }
    }
    kind.calls
        .normalize(&Value::Map(entries))
        .map_err(|error| format!("`{}`: {}", error.path, error.message))
}

/// What to do about a look-up that finds nothing.
pub(crate) const MAY_BE_MISSING: &str =
    "if it may be missing, add `optional: true`: its attributes are `()` then";

/// Says what is not there.
pub(crate) fn nothing_there(kind: &Kind, wanted: &Expr) -> String {
    let what = short_name(kind.name);
    let name = wanted.follow(&Path::attribute("name"));
    match name.as_ref().and_then(Expr::known).and_then(Value::as_str) {
        Some(name) => format!("there is no {what} named `{name}`"),
        None => format!("there is no such {what}: {wanted}"),
    }
}
