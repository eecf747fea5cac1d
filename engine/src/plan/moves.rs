//! Records under the addresses a script gives them now.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crate::address::Address;
use crate::diagnostic::{Code, Diagnostic};
use crate::expr::Expr;
use crate::graph::Graph;
use crate::kind::Registry;
use crate::path::Path;
use crate::plan::change::{Action, Change, Reason};
use crate::plan::decide::Decisions;
use crate::program::{Lifecycle, Move, Moved, Program};
use crate::schema::Disruption;
use crate::store::{Record, State};
use crate::value::Value;

/// A state as the script names it, and what was renamed: old address, new address.
pub(crate) struct AsNamed<'a> {
    pub(crate) state: Cow<'a, State>,
    pub(crate) renamed: Vec<(Address, Address)>,
    /// What would get the same new address, by that: all of it keeps its old one.
    clashes: Vec<(Address, Vec<Address>)>,
}

impl<'a> AsNamed<'a> {
    /// Nothing is.
    fn of(state: &'a State) -> Self {
        Self { state: Cow::Borrowed(state), renamed: Vec::new(), clashes: Vec::new() }
    }

    /// One record has one object: of two that become one, the other would be forgotten.
    pub(crate) fn findings(&self, graph: &Graph) -> Vec<Diagnostic> {
        let clash = |(to, from): &(Address, Vec<Address>)| {
            let from: Vec<_> = from.iter().map(|from| format!("`{from}`")).collect();
            let message = format!("{} would all become `{to}`", from.join(", "));
            let found = Diagnostic::new(Code::MoveForm, message)
                .note("they are recorded as objects of their own")
                .hint("move one of them there, and declare the others or leave them out");
            match graph.get(to) {
                Some(declared) => found.at(declared.span.clone()),
                None => found,
            }
        };
        self.clashes.iter().map(clash).collect()
    }
}

/// Applies `moved(from, to)` to what is recorded, and to what lives inside it.
///
/// A record that was moved before, or that is not there, is no news.
pub(crate) fn moved<'a>(graph: &Graph, state: &'a State) -> AsNamed<'a> {
    let moves = &graph.program().moves;
    if moves.is_empty() {
        return AsNamed::of(state);
    }
    let is_declared =
        |address: &Address| graph.get(address).is_some() || graph.dormant(address).is_some();
    let mut names: BTreeMap<Address, Address> = BTreeMap::new();
    for record in state.records.values().filter(|record| !is_declared(&record.address)) {
        let to = last(moves, &record.address);
        if let Some(to) = to.filter(|to| is_declared(to) && !state.records.contains_key(to)) {
            names.insert(record.address.clone(), to);
        }
    }
    // What is in a component moves with it; what lives in one resource is found by its address.
    for one in moves.iter().filter(|one| matches!(one.what, Moved::One { .. })) {
        let Moved::One { from, .. } = &one.what else { continue };
        let (Some(to), Some(record)) = (names.get(from).cloned(), state.records.get(from))
        else {
            continue;
        };
        for inner in state.records.values().filter(|inner| lives_in(inner, record)) {
            if graph.get(&inner.address).is_none() {
                let to = inside(&inner.address, from, &to);
                names.entry(inner.address.clone()).or_insert(to);
            }
        }
    }
    let clashes = take_clashes(&mut names);
    if names.is_empty() {
        return AsNamed { clashes, ..AsNamed::of(state) };
    }
    let mut next = state.clone();
    next.records = state
        .records
        .values()
        .map(|record| renamed(record, &names))
        .map(|record| (record.address.clone(), record))
        .collect();
    AsNamed { state: Cow::Owned(next), renamed: names.into_iter().collect(), clashes }
}

/// Takes out what has its new address in common with others.
fn take_clashes(names: &mut BTreeMap<Address, Address>) -> Vec<(Address, Vec<Address>)> {
    let mut by_new: BTreeMap<Address, Vec<Address>> = BTreeMap::new();
    for (from, to) in &*names {
        by_new.entry(to.clone()).or_default().push(from.clone());
    }
    by_new.retain(|_, from| from.len() > 1);
    names.retain(|_, to| !by_new.contains_key(to));
    by_new.into_iter().collect()
}

/// Where a chain of moves leads, each of them taken once; one resource before its component.
fn last(moves: &[Move], from: &Address) -> Option<Address> {
    let mut left: Vec<&Move> = moves.iter().collect();
    let mut here = from.clone();
    loop {
        let fits = |(index, one): (usize, &&Move)| Some((rank(one), index, one.apply(&here)?));
        let best = left.iter().enumerate().filter_map(fits).max_by_key(|(rank, ..)| *rank);
        let Some((_, index, next)) = best else { break };
        left.remove(index);
        here = next;
    }
    (here != *from).then_some(here)
}

/// Of several moves of an address, the one that says most about it.
fn rank(one: &Move) -> usize {
    match &one.what {
        Moved::One { .. } => usize::MAX,
        Moved::Component { from, .. } => from.len(),
    }
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
            lifecycle: Lifecycle::plain(),
            succession: None,
            rolling: None,
            span: None,
        });
    }
}

/// What is made anew in spite of its move, only because its real name follows from its
/// address.
pub(crate) fn lost_by_name(
    decisions: &Decisions,
    renamed: &[(Address, Address)],
    graph: &Graph,
    registry: &Registry,
) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for (from, to) in renamed {
        let change = decisions.index.get(to).map(|index| &decisions.changes[*index]);
        let change = change.filter(|change| change.action == Action::Replace);
        let (Some(change), Some(kind)) = (change, registry.kind(to.kind())) else { continue };
        let forcing: Vec<_> = change.differences.iter().filter(|d| d.replaces).collect();
        let [name] = forcing.as_slice() else { continue };
        let stack = &graph.program().stack;
        let is_default = |value: Option<&Value>, address: &Address| {
            let name = value.and_then(Value::as_str);
            name.is_some_and(|name| name == kind.calls.default_name(stack, address))
        };
        let follows = name.path == Path::attribute("name")
            && is_default(name.before.as_ref(), from)
            && is_default(name.after.as_ref().and_then(Expr::known), to);
        if !follows {
            continue;
        }
        let before = kind.calls.default_name(stack, from);
        let message = format!("`{to}` takes over `{from}`, and is made anew all the same");
        let at = graph.get(to).map(|declared| declared.span.clone());
        let found_here = Diagnostic::new(Code::Hazard, message)
            .note("its real name follows from its address, so it has another one now")
            .hint(format!("to keep the object, keep its name: `name: \"{before}\"`"));
        found.push(match at {
            Some(at) => found_here.at(at),
            None => found_here,
        });
    }
    found
}

/// Of a script that was not run to its end, leaves out the moves to what it declares later:
/// that those lead nowhere is no fault of the script.
pub(crate) fn forget_unmet(program: &mut Program) {
    let all = program.declarations.iter().chain(&program.dormant.declarations);
    let known: BTreeSet<Address> = all.map(|declared| declared.address.clone()).collect();
    loop {
        let moves = &program.moves;
        let is_met = |one: &Move| match &one.what {
            Moved::One { from, .. } => last(moves, from).is_some_and(|to| known.contains(&to)),
            Moved::Component { to, .. } => {
                let end = end_of(moves, to);
                known.iter().any(|address| address.components().starts_with(end))
            }
        };
        let met: Vec<Move> = moves.iter().filter(|one| is_met(one)).cloned().collect();
        // Without one of them, others may lead to where nothing is.
        if met.len() == program.moves.len() {
            return;
        }
        program.moves = met;
    }
}

/// What is wrong with the moves and forgets of a program.
pub(crate) fn check(
    program: &Program,
    is_declared: impl Fn(&Address) -> bool,
) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for moving in &program.moves {
        let trouble = match &moving.what {
            Moved::One { from, .. } => {
                let to = last(&program.moves, from).unwrap_or_else(|| from.clone());
                one_is_wrong(from, &to, &is_declared)
            }
            Moved::Component { from, to } if comes_back(&program.moves, from, to) => {
                Some(there_and_back(&from.join("/")))
            }
            Moved::Component { from, to } => {
                component_is_wrong(program, from, end_of(&program.moves, to))
            }
        };
        if let Some((message, hint)) = trouble {
            let span = moving.span.clone();
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

fn one_is_wrong(
    from: &Address,
    to: &Address,
    is_declared: impl Fn(&Address) -> bool,
) -> Option<(String, &'static str)> {
    if from == to {
        return Some(there_and_back(&from.to_string()));
    }
    if is_declared(from) {
        let message = format!("`{from}` is still declared, so it cannot be moved to `{to}`");
        return Some((message, "remove one of the two"));
    }
    let message = format!("`{from}` is moved to `{to}`, which is not declared");
    let hint = "declare it, or use `forget(address)` to let go of the object";
    (!is_declared(to)).then_some((message, hint))
}

/// Where a chain of moved components ends.
fn end_of<'a>(moves: &'a [Move], to: &'a [String]) -> &'a [String] {
    let mut to = to;
    for _ in moves {
        let next = moves.iter().find_map(|next| match &next.what {
            Moved::Component { from, to: end } if from == to => Some(end.as_slice()),
            _ => None,
        });
        match next {
            Some(next) => to = next,
            None => break,
        }
    }
    to
}

/// Whether other moves bring a component back that is moved.
fn comes_back(moves: &[Move], from: &[String], to: &[String]) -> bool {
    let mut here = to;
    for _ in moves {
        if here == from {
            return true;
        }
        let next = moves.iter().find_map(|next| match &next.what {
            Moved::Component { from, to } if from == here => Some(to.as_slice()),
            _ => None,
        });
        let Some(next) = next else { return false };
        here = next;
    }
    here == from
}

fn there_and_back(from: &str) -> (String, &'static str) {
    let message = format!("`{from}` is moved, and moved back to where it was");
    (message, "remove these moves: nothing moves")
}

/// A component that is moved is gone from the script, and there is one it became.
fn component_is_wrong(
    program: &Program,
    from: &[String],
    to: &[String],
) -> Option<(String, &'static str)> {
    let all = program.declarations.iter().chain(&program.dormant.declarations);
    let all = all.filter(|declared| !declared.implicit).map(|declared| &declared.address);
    // From the top of the stack some may go and others stay; and what a component was put
    // into may bear its name.
    let stays = |address: &&Address| {
        address.components().starts_with(from) && !address.components().starts_with(to)
    };
    let left = (!from.is_empty()).then(|| all.clone().find(stays)).flatten();
    if let Some(left) = left.filter(|_| !from.starts_with(to)) {
        let message = format!(
            "component `{}` is moved to `{}`, and `{left}` is still declared in it",
            from.join("/"),
            to.join("/"),
        );
        return Some((message, "remove one of the two"));
    }
    let there = all.clone().any(|address| address.components().starts_with(to));
    let message = format!(
        "component `{}` is moved to `{}`, which declares nothing",
        from.join("/"),
        to.join("/"),
    );
    let hint = "the names are those of `component(name, ..)`, from the outermost in, with `/` \
                between them";
    (!there).then_some((message, hint))
}
