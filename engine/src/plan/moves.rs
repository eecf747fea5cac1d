//! Records under the addresses a script gives them now.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::address::Address;
use crate::diagnostic::{Code, Diagnostic};
use crate::expr::Expr;
use crate::graph::Graph;
use crate::plan::change::{Action, Change, Reason};
use crate::plan::decide::Decisions;
use crate::program::{Lifecycle, Move, Program};
use crate::schema::Disruption;
use crate::store::{Record, State};
use crate::value::Value;

/// A state as the script names it, and what was renamed: old address, new address.
pub(crate) struct Moved<'a> {
    pub(crate) state: Cow<'a, State>,
    pub(crate) renamed: Vec<(Address, Address)>,
}

/// Applies `moved(from, to)` to what is recorded, and to what lives inside it.
///
/// A record that was moved before, or that is not there, is no news.
pub(crate) fn moved<'a>(graph: &Graph, state: &'a State) -> Moved<'a> {
    let moves = &graph.program().moves;
    let mut names: BTreeMap<Address, Address> = BTreeMap::new();
    for moving in moves {
        let to = last(moves, &moving.to);
        let taken = state.records.contains_key(to) || graph.get(&moving.from).is_some();
        let Some(record) = state.records.get(&moving.from).filter(|_| !taken) else { continue };
        names.insert(moving.from.clone(), to.clone());
        for inner in state.records.values().filter(|inner| lives_in(inner, record)) {
            if graph.get(&inner.address).is_none() {
                let to = inside(&inner.address, &moving.from, to);
                names.entry(inner.address.clone()).or_insert(to);
            }
        }
    }
    if names.is_empty() {
        return Moved { state: Cow::Borrowed(state), renamed: Vec::new() };
    }
    let mut next = state.clone();
    next.records = state
        .records
        .values()
        .map(|record| renamed(record, &names))
        .map(|record| (record.address.clone(), record))
        .collect();
    Moved { state: Cow::Owned(next), renamed: names.into_iter().collect() }
}

/// Where a chain of moves ends.
fn last<'a>(moves: &'a [Move], to: &'a Address) -> &'a Address {
    let mut to = to;
    for _ in moves {
        match moves.iter().find(|next| &next.from == to) {
            Some(next) => to = &next.to,
            None => break,
        }
    }
    to
}

/// Whether the address of one begins with the way to the other.
fn lives_in(inner: &Record, outer: &Record) -> bool {
    let through = match &outer.connection {
        None => inner.connection.as_ref() == Some(&outer.address),
        same => &inner.connection == same,
    };
    let (path, prefix) = (inner.address.path(), outer.address.path());
    through
        && inner.address.provider() == outer.address.provider()
        && inner.address.components() == outer.address.components()
        && path.len() > prefix.len()
        && path.starts_with(prefix)
}

fn inside(inner: &Address, from: &Address, to: &Address) -> Address {
    let mut path = to.path().to_vec();
    path.extend_from_slice(&inner.path()[from.path().len()..]);
    Address::new(to.components().to_vec(), inner.kind(), path)
}

/// A record with every address in it renamed.
fn renamed(record: &Record, names: &BTreeMap<Address, Address>) -> Record {
    let name = |address: &Address| names.get(address).unwrap_or(address).clone();
    let mut record = record.clone();
    record.address = name(&record.address);
    record.connection = record.connection.as_ref().map(name);
    record.dependencies = record.dependencies.iter().map(name).collect();
    record.arguments = record.arguments.map(|arguments| {
        arguments.resolve(&|reference| {
            let to = names.get(&reference.address)?;
            Some(Expr::reference(to.clone(), reference.path.clone()))
        })
    });
    record
}

/// Says in the changes what was renamed: the new address takes over, the old one is let go.
pub(crate) fn announce(decisions: &mut Decisions, renamed: &[(Address, Address)], old: &State) {
    for (from, to) in renamed {
        let Some(index) = decisions.index.get(to) else { continue };
        let change = &mut decisions.changes[*index];
        if change.action == Action::Keep {
            change.action = Action::Adopt;
        }
        change.reasons.insert(0, Reason::Renamed { from: from.clone() });
        let record = old.records.get(from);
        decisions.changes.push(Change {
            address: from.clone(),
            connection: record.and_then(|record| record.connection.clone()),
            action: Action::Forget,
            reasons: vec![Reason::RenamedTo(to.clone())],
            differences: Vec::new(),
            disruption: Disruption::None,
            before: record.map(|record| record.spec.clone()),
            after: None,
            id: record.map(|record| record.id.clone()),
            facts: Value::Null,
            dependencies: Vec::new(),
            lifecycle: Lifecycle::default(),
            succession: None,
            rolling: None,
            span: None,
        });
    }
}

/// What is wrong with the moves and forgets of a program.
pub(crate) fn check(
    program: &Program,
    is_declared: impl Fn(&Address) -> bool,
) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for moving in &program.moves {
        let to = last(&program.moves, &moving.to);
        let (from, span) = (&moving.from, moving.span.clone());
        if is_declared(from) {
            let message =
                format!("`{from}` is still declared, so it cannot be moved to `{to}`");
            found.push(
                Diagnostic::new(Code::MoveForm, message).at(span).hint("remove one of the two"),
            );
        } else if !is_declared(to) {
            let message = format!("`{from}` is moved to `{to}`, which is not declared");
            let hint = "declare it, or use `forget(address)` to let go of the object";
            found.push(Diagnostic::new(Code::MoveForm, message).at(span).hint(hint));
        }
    }
    for (address, span) in &program.forgets {
        if is_declared(address) {
            let message = format!("`{address}` is declared and forgotten");
            let hint = "remove its declaration, or remove `forget`";
            found.push(Diagnostic::new(Code::MoveForm, message).at(span.clone()).hint(hint));
        }
    }
    found
}
