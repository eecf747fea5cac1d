//! What is to happen to what dollop remembers and the script does not declare any more.

use std::collections::{BTreeMap, BTreeSet};

use crate::address::Address;
use crate::diagnostic::{Code, Diagnostic, Span};
use crate::error::{CallError, Failure};
use crate::expr::Expr;
use crate::kind::{FoundObject, Kind};
use crate::observed::Observation;
use crate::path::Path;
use crate::plan::Standing;
use crate::plan::change::{Action, Change, Difference, Reason};
use crate::plan::decide::Walk;
use crate::plan::seen::{Question, Seen};
use crate::program::Declaration;
use crate::resource::Owner;
use crate::schema::Disruption;
use crate::store::Record;
use crate::value::Value;

impl Walk<'_> {
    /// Decides on every record without a declaration, what others live in first, and lists
    /// them the other way round: dependents go first.
    pub(crate) fn undeclared(&mut self) {
        let state = self.inputs.state;
        let order = from_the_ground_up(&state.records, |address| {
            self.inputs.graph.get(address).is_none()
        });
        let mut changes = Vec::new();
        for record in order {
            if self.is_kept_dormant(&record.address) {
                self.decisions.kept_dormant.push(record.address.clone());
                if let Some(change) = self.dormant_stop(record) {
                    self.push_change(change.clone());
                    changes.push(change);
                }
                continue;
            }
            if record.connection.is_none() {
                self.undeclared_connection(&record.address);
                continue;
            }
            let Some(kind) = self.inputs.registry.kind(record.address.kind()) else {
                let message = format!(
                    "the state holds `{}`, but this dollop knows no kind `{}`",
                    record.address,
                    record.address.kind()
                );
                self.decisions.diagnostics.push(Diagnostic::new(Code::KindGone, message));
                continue;
            };
            let change = self.undeclared_resource(record, kind);
            // Visible to what lives in it; moved to its place in the list afterwards.
            self.push_change(change.clone());
            changes.push(change);
        }
        let declared = self.decisions.changes.len() - changes.len();
        self.decisions.changes.truncate(declared);
        for change in changes.into_iter().rev() {
            self.push_change(change);
        }
        self.guard_dormant();
    }

    fn undeclared_resource(&mut self, record: &Record, kind: &Kind) -> Change {
        let off = self.inputs.graph.dormant(&record.address);
        let why = match off.and_then(|declaration| declaration.off.clone()) {
            _ if self.inputs.destroy => Reason::Destroy,
            _ if self.succeeded(&record.address) => Reason::Deposed,
            Some(profile) => Reason::ProfileOff(profile),
            None => Reason::Undeclared,
        };
        let mut change = Change {
            address: record.address.clone(),
            connection: record.connection.clone(),
            action: Action::Delete,
            reasons: vec![why],
            differences: Vec::new(),
            disruption: Disruption::None,
            before: Some(record.spec.clone()),
            after: None,
            id: Some(record.id.clone()),
            facts: record.facts.clone(),
            dependencies: record.dependencies.clone(),
            lifecycle: record.lifecycle.clone(),
            succession: None,
            rolling: None,
            span: None,
        };
        if kind.loses(&record.spec) {
            change.disruption = Disruption::DataLoss;
        }
        let forgets = &self.inputs.graph.program().forgets;
        let forgotten = forgets.contains_key(&record.address)
            || record.connection.as_ref().is_some_and(|through| forgets.contains_key(through));
        if forgotten {
            change.action = Action::Forget;
            change.disruption = Disruption::None;
            change.reasons = vec![Reason::Forgotten];
            return change;
        }
        let deposed = record.address.is_deposed();
        if record.lifecycle.prevent_destroy && !record.lifecycle.retain_on_destroy && !deposed {
            let message = format!(
                "`{}` would be deleted, which its `prevent_destroy` forbids",
                record.address
            );
            let hint = "declare it again with `prevent_destroy: false`, apply, then remove it";
            self.decisions
                .diagnostics
                .push(Diagnostic::new(Code::PreventDestroy, message).hint(hint));
        }
        // Another address declares this very object now.
        if let Some(to) = self.taken_over.get(&record.address).cloned() {
            change.action = Action::Forget;
            change.disruption = Disruption::None;
            change.reasons = vec![Reason::RenamedTo(to)];
            return change;
        }
        if record.lifecycle.retain_on_destroy && !deposed {
            change.action = Action::Forget;
            change.disruption = Disruption::None;
            change.reasons.insert(0, Reason::Retained);
            return change;
        }
        if let Some(with) = self.goes_with(record, kind) {
            self.guard_protected(&change, kind, None);
            change.action = Action::Cascade;
            change.reasons.insert(0, Reason::GoesWith(with));
            return change;
        }
        let Some(connection) = &record.connection else { return change };
        self.ensure_connection(connection);
        match self.standing(connection) {
            Some(Standing::Deferred(_)) => {
                change.reasons.push(Reason::Deferred(connection.clone()));
            }
            _ => match self.seen(connection, &record.address, || Question::of(record)) {
                // Its making was interrupted before it existed; somebody else's stands there.
                Seen::This(Observation::Found(found))
                    if record.interrupted && matches!(found.owner, Owner::Other(_)) =>
                {
                    change.action = Action::Forget;
                    change.reasons = vec![Reason::Gone];
                    change.disruption = Disruption::None;
                }
                Seen::This(Observation::Found(found)) => {
                    let spec = kind.mark_spec(found.spec.clone()).marked_like(&record.spec);
                    change.facts = kind.mark_facts(found.facts.clone(), &spec);
                    change.before = Some(spec);
                    change.id = Some(found.id.clone());
                }
                Seen::This(found) if is_gone(found) => {
                    change.action = Action::Forget;
                    change.reasons = vec![Reason::Gone];
                    change.disruption = Disruption::None;
                }
                Seen::This(Observation::Unreadable(error)) => {
                    self.decisions.diagnostics.push(unreadable(&record.address, error));
                }
                Seen::This(Observation::Gone | Observation::Unchecked)
                | Seen::Later
                | Seen::Not => {}
            },
        }
        if change.action == Action::Delete {
            self.guard_protected(&change, kind, None);
            change.differences = all_gone(change.before.as_ref());
        }
        change
    }

    /// Refuses to replace what is protected, and to lose it with something else.
    pub(super) fn guard_declared(
        &mut self,
        declared: &Declaration,
        change: &Change,
        lost: bool,
    ) {
        let kind = self.inputs.registry.kind(change.address.kind());
        if let Some(kind) = kind.filter(|_| lost || change.action == Action::Replace) {
            self.guard_protected(change, kind, Some(declared.span.clone()));
        }
    }

    /// Refuses to remove what is protected.
    fn guard_protected(&mut self, change: &Change, kind: &Kind, at: Option<Span>) {
        let address = &change.address;
        let recorded = || self.inputs.state.records.get(address).map(|record| &record.spec);
        let Some(spec) = change.before.as_ref().or_else(recorded) else { return };
        let Some(problem) = kind.calls.protection(spec).filter(|_| !address.is_deposed())
        else {
            return;
        };
        let message =
            format!("`{address}` would go, which its `{}` forbids", problem.attribute);
        let mut found = Diagnostic::new(Code::PreventDestroy, message).note(problem.message);
        found.hints.extend(problem.hint);
        self.decisions.diagnostics.push(match at {
            Some(span) => found.at(span),
            None => found,
        });
    }

    /// Whether what took its place is declared.
    fn succeeded(&self, address: &Address) -> bool {
        address.successor().is_some_and(|successor| self.inputs.graph.get(&successor).is_some())
    }

    /// The undeclared address under which the same object is recorded.
    pub(crate) fn old_address(
        &self,
        declaration: &Declaration,
        id: Option<&str>,
    ) -> Option<Address> {
        if self.undeclared_ids.is_empty() {
            return None;
        }
        let id = id.filter(|id| !id.is_empty())?;
        let connection = declaration.connection.clone()?;
        let key = (connection, declaration.address.kind().to_owned(), id.to_owned());
        self.undeclared_ids.get(&key).cloned()
    }

    /// What takes it along when it goes: the object it lives in, or the server's container.
    fn goes_with(&self, record: &Record, kind: &Kind) -> Option<Address> {
        let going = |address: &Address| match self.action(address) {
            Some(Action::Delete | Action::Replace | Action::Cascade | Action::Forget) => true,
            Some(Action::Create) => self.inputs.state.records.contains_key(address),
            _ => false,
        };
        for parent in kind.traits.within {
            let kinds = &kind.schema.spec.get(*parent)?.handle;
            let name = record.spec.get(parent).and_then(Value::as_str);
            let owner = record.dependencies.iter().find(|address| {
                kinds.iter().any(|kind| kind == address.kind())
                    && self
                        .inputs
                        .state
                        .records
                        .get(*address)
                        .is_some_and(|owner| Some(owner.natural()) == name)
            });
            let takes_along = |owner: &Address| {
                let record = self.inputs.state.records.get(owner);
                let kind = self.inputs.registry.kind(owner.kind());
                record
                    .zip(kind)
                    .is_none_or(|(record, kind)| kind.calls.takes_along(&record.spec))
            };
            if let Some(owner) = owner
                && going(owner)
                && (takes_along(owner)
                    || !matches!(self.action(owner), Some(Action::Delete | Action::Replace)))
            {
                return Some(owner.clone());
            }
        }
        let connection = record.connection.as_ref()?;
        let below = match self.decisions.connection_index.get(connection) {
            Some(index) => &self.decisions.connections[*index].dependencies,
            None => &self.inputs.state.records.get(connection)?.dependencies,
        };
        self.data_lost(below)
    }

    /// A connection is decided on before what lives behind it, declared or not; an implicit
    /// one may be needed for deletes alone.
    pub(super) fn ensure_connection(&mut self, connection: &Address) {
        if self.decisions.connection_index.contains_key(connection) {
            return;
        }
        self.undeclared_connection(connection);
    }
}

/// Whether looking showed that it is not there; what a service cannot have is not.
pub(super) fn is_gone(found: &Observation) -> bool {
    match found {
        Observation::Gone => true,
        Observation::Unreadable(error) => error.failure == Failure::Impossible,
        Observation::Found(_) | Observation::Unchecked => false,
    }
}

fn all_gone(before: Option<&Value>) -> Vec<Difference> {
    let Some(entries) = before.and_then(Value::as_map) else { return Vec::new() };
    entries
        .iter()
        .filter(|(_, value)| **value != Value::Null)
        .map(|(name, value)| Difference {
            path: Path::attribute(name),
            before: Some(value.clone()),
            after: None::<Expr>,
            drift: false,
            replaces: false,
            span: None,
        })
        .collect()
}

/// Records for which `chosen` holds, each after what it needs; the order of addresses
/// decides between equals. A cycle cannot be recorded; should one be, its members come last.
pub(super) fn from_the_ground_up(
    records: &BTreeMap<Address, Record>,
    chosen: impl Fn(&Address) -> bool,
) -> Vec<&Record> {
    let mut missing: BTreeMap<&Address, usize> = BTreeMap::new();
    let mut dependents: BTreeMap<&Address, Vec<&Address>> = BTreeMap::new();
    for record in records.values().filter(|record| chosen(&record.address)) {
        let mut count = 0;
        for needed in &record.dependencies {
            if records.contains_key(needed) && chosen(needed) {
                dependents.entry(needed).or_default().push(&record.address);
                count += 1;
            }
        }
        missing.insert(&record.address, count);
    }
    let mut ready: BTreeSet<&Address> =
        missing.iter().filter(|(_, count)| **count == 0).map(|(address, _)| *address).collect();
    let mut order = Vec::with_capacity(missing.len());
    while let Some(address) = ready.pop_first() {
        missing.remove(address);
        order.push(&records[address]);
        for dependent in dependents.remove(address).unwrap_or_default() {
            if let Some(count) = missing.get_mut(dependent) {
                *count -= 1;
                if *count == 0 {
                    ready.insert(dependent);
                }
            }
        }
    }
    order.extend(missing.keys().map(|address| &records[*address]));
    order
}

/// An object nobody looked at, taken to be as recorded.
pub(super) fn as_recorded(record: &Record) -> FoundObject {
    FoundObject {
        id: record.id.clone(),
        spec: record.spec.clone(),
        facts: record.facts.clone(),
        owner: Owner::Ours,
    }
}

/// What is said of a record whose object is there or not: nobody could look.
pub(super) fn unreadable(address: &Address, error: &CallError) -> Diagnostic {
    let message = format!("cannot read `{address}`");
    let mut found = Diagnostic::new(Code::Unreadable, message).note(error.message.clone());
    found.hints.extend(error.hints.iter().cloned());
    found
}
