//! Plans that start or stop what is there, and change nothing else.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::address::Address;
use crate::error::CallError;
use crate::expr::Expr;
use crate::journal::StepId;
use crate::kind::{FoundObject, Kind, Registry};
use crate::map::Map;
use crate::plan::change::{Action, Change, Reason};
use crate::plan::undeclared::from_the_ground_up;
use crate::plan::{ConnectionPlan, Operation, OutputChange, Plan, Standing, Step};
use crate::pool::Pool;
use crate::resource::{Name, Wanted};
use crate::schema::Disruption;
use crate::store::{Record, State, Stopped};
use crate::value::Value;

/// Plans to start records, or to stop them (`stopped` says who does): what others need first
/// when starting, last when stopping. What is so already has no step.
///
/// # Errors
/// Something cannot be read, or is gone.
pub async fn switch(
    state: &State,
    records: &[&Record],
    stopped: Option<Stopped>,
    pool: &Pool,
    stack: &str,
) -> Result<Plan, CallError> {
    let on = stopped.is_none();
    let mut plan = empty(state, stack);
    plan.connections = connections(state, pool);
    let mut changes: HashMap<&Address, Change> = HashMap::new();
    for record in records {
        let Some(sides) = sides(pool, record, on) else { continue };
        let (kind, found) = read(&plan, record, pool).await?;
        let runs = sides.on.same(&as_found(pool, record, &sides, &found));
        let marked = record.stopped.is_some();
        if runs == on && marked != on {
            continue;
        }
        let (from, to) = (
            if runs { &sides.on } else { &sides.off },
            if on { &sides.on } else { &sides.off },
        );
        let change = change(record, kind, found.clone(), from, to);
        changes.insert(&record.address, change);
    }
    let waits: Vec<_> = changes
        .values()
        .map(|change| {
            let mut waits = change.lifecycle.after_healthy.clone();
            waits.retain(|address| on && !is_away(state, &changes, address));
            (change.address.clone(), waits)
        })
        .collect();
    for (address, waits) in waits {
        if let Some(change) = changes.get_mut(&address) {
            Arc::make_mut(&mut change.lifecycle).after_healthy = waits;
        }
    }
    let order = from_the_ground_up(&state.records, |_| true);
    let below = below(&order, &changes);
    let mut chosen: Vec<&Address> = order
        .iter()
        .map(|record| &record.address)
        .filter(|address| changes.contains_key(*address))
        .collect();
    if !on {
        chosen.reverse();
    }
    let number: HashMap<&Address, StepId> = chosen
        .iter()
        .enumerate()
        .map(|(index, address)| (*address, StepId(u32::try_from(index).unwrap_or(u32::MAX))))
        .collect();
    let mut needs: BTreeMap<StepId, BTreeSet<StepId>> = BTreeMap::new();
    for address in &chosen {
        let own = number[address];
        for under in below.get(address).into_iter().flatten() {
            let (first, then) = if on { (number[under], own) } else { (own, number[under]) };
            needs.entry(then).or_default().insert(first);
        }
    }
    plan.steps = chosen
        .iter()
        .map(|address| Step {
            id: number[address],
            address: (*address).clone(),
            operation: Operation::Update,
            needs: needs.remove(&number[address]).unwrap_or_default().into_iter().collect(),
            after: Vec::new(),
        })
        .collect();
    plan.changes = chosen.iter().filter_map(|address| changes.remove(*address)).collect();
    plan.switch = Some(Switching { stopped });
    Ok(plan)
}

/// Whether something is stopped on purpose, or in something that is, and stays so: nobody
/// waits for that.
fn is_away(state: &State, changes: &HashMap<&Address, Change>, address: &Address) -> bool {
    let Some(record) = state.records.get(address) else { return false };
    let stopped = record.stopped.is_some() && !changes.contains_key(address);
    let below = record.connection.is_none();
    stopped || (below && record.dependencies.iter().any(|under| is_away(state, changes, under)))
}

/// What marks a plan that only starts or stops.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Switching {
    /// Who stops and when; `None` when it starts.
    pub stopped: Option<Stopped>,
}

/// A record's spec as dollop left the object: what somebody stopped on purpose is stopped, and
/// that is no drift.
pub fn as_left<'a>(record: &'a Record, registry: &Registry) -> Cow<'a, Value> {
    let stopped = record.stopped.as_ref().and_then(|_| {
        registry.operations(record.address.kind())?.switched(&record.spec, false)
    });
    stopped.map_or(Cow::Borrowed(&record.spec), Cow::Owned)
}

/// A spec with the object running, and the same with it stopped.
struct Sides {
    on: Value,
    off: Value,
}

/// `None` for what cannot be stopped, and for what is declared not to run.
fn sides(pool: &Pool, record: &Record, on: bool) -> Option<Sides> {
    let operations = pool.registry().operations(record.address.kind())?;
    let sides = Sides {
        on: operations.switched(&record.spec, true)?,
        off: operations.switched(&record.spec, false)?,
    };
    let declared_off = !sides.on.same(&record.spec);
    let skipped = record.interrupted || record.address.is_deposed() || (on && declared_off);
    (!skipped).then_some(sides)
}

/// Whether it runs, as a spec that differs from the recorded one in nothing else.
fn as_found(pool: &Pool, record: &Record, sides: &Sides, found: &FoundObject) -> Value {
    let operations = pool.registry().operations(record.address.kind());
    let on = operations.and_then(|operations| operations.switched(&found.spec, true));
    if on.is_some_and(|on| on.same(&found.spec)) { sides.on.clone() } else { sides.off.clone() }
}

async fn read<'a>(
    plan: &Plan,
    record: &Record,
    pool: &'a Pool,
) -> Result<(&'a Kind, FoundObject), CallError> {
    let address = &record.address;
    let unknown =
        || CallError::refused(format!("this dollop knows no kind `{}`", address.kind()));
    let kind = pool.registry().kind(address.kind()).ok_or_else(unknown)?;
    let connection = record.connection.as_ref();
    let planned =
        connection.and_then(|c| plan.connections.iter().find(|known| known.address == *c));
    let Some(spec) = planned.and_then(|planned| planned.spec.known()) else {
        return Err(CallError::refused(format!("the way to `{address}` is not known")));
    };
    let connection = connection.unwrap_or(address);
    let line = pool.line(connection, spec, std::time::Duration::ZERO).await?;
    let wanted = Wanted {
        id: Some(record.id.clone()),
        name: Name {
            stack: plan.stack.clone(),
            address: address.clone(),
            natural: record.natural().to_owned(),
        },
        spec: record.spec.clone(),
        facts: Some(record.facts.to_json()),
    };
    let read = kind.calls.read(&line.connection, vec![wanted]).await.into_iter().next();
    match read.unwrap_or(Ok(None))? {
        Some(found) => Ok((kind, found)),
        None => Err(CallError::refused(format!("`{address}` is gone"))
            .hint("`dollop apply` makes it anew")),
    }
}

fn change(
    record: &Record,
    kind: &Kind,
    found: FoundObject,
    from: &Value,
    to: &Value,
) -> Change {
    Change {
        address: record.address.clone(),
        connection: record.connection.clone(),
        action: Action::Update,
        reasons: vec![Reason::Requested],
        differences: Vec::new(),
        disruption: Disruption::Restart,
        before: Some(from.clone()),
        after: Some(Expr::Value(to.clone())),
        id: Some(found.id),
        facts: kind.mark_facts(found.facts, &record.spec),
        dependencies: record.dependencies.clone(),
        lifecycle: record.lifecycle.clone(),
        succession: None,
        rolling: None,
        span: None,
    }
}

/// For everything with a change, the others with one that it needs, directly or through what
/// has none.
fn below<'a>(
    order: &[&'a Record],
    changes: &HashMap<&Address, Change>,
) -> HashMap<&'a Address, BTreeSet<&'a Address>> {
    let mut found: HashMap<&Address, BTreeSet<&Address>> = HashMap::new();
    for record in order {
        let mut under = BTreeSet::new();
        for needed in record.dependencies.iter().chain(&record.connection) {
            if changes.contains_key(needed) {
                under.insert(needed);
            } else if let Some(through) = found.get(needed) {
                under.extend(through);
            }
        }
        found.insert(&record.address, under);
    }
    found
}

/// Every recorded connection, and the ones nobody declared.
fn connections(state: &State, pool: &Pool) -> Vec<ConnectionPlan> {
    let used = state.records.values().filter_map(|record| record.connection.as_ref());
    let own = state.records.values().filter(|record| record.connection.is_none());
    let all: BTreeSet<&Address> = used.chain(own.map(|record| &record.address)).collect();
    let plans = all.into_iter().filter_map(|address| {
        let kind = pool.registry().connection_kind(address.kind())?;
        let record = state.records.get(address);
        let spec = match record {
            // References are filled in once what they lead to has started.
            Some(record) => record
                .arguments
                .clone()
                .filter(|arguments| arguments.known().is_none())
                .unwrap_or_else(|| Expr::Value(record.spec.clone())),
            None => Expr::Value(kind.dial.normalize(&Value::Map(Map::new())).ok()?),
        };
        Some(ConnectionPlan {
            address: address.clone(),
            spec,
            arguments: record.and_then(|record| record.arguments.clone()),
            dependencies: record.map(|record| record.dependencies.clone()).unwrap_or_default(),
            target: String::new(),
            standing: Standing::Unused,
            implicit: record.is_none(),
            declared: true,
        })
    });
    plans.collect()
}

fn kept((name, value): (&String, &Value)) -> OutputChange {
    OutputChange {
        name: name.clone(),
        before: Some(value.clone()),
        after: Some(Expr::Value(value.clone())),
    }
}

fn empty(state: &State, stack: &str) -> Plan {
    Plan {
        serial: state.serial,
        // As they are: a run that ends leaves what its plan says.
        outputs: state.outputs.iter().map(kept).collect(),
        ..Plan::empty(stack)
    }
}
