//! Deferred connections: waiting until they answer, and looking at what lives behind them
//! before the first write.

use std::collections::BTreeMap;

use crate::address::Address;
use crate::apply::Run;
use crate::apply::perform::{Made, Stop};
use crate::error::{CallError, Failure};
use crate::expr::Expr;
use crate::journal::Effect;
use crate::kind::{FoundObject, Kind};
use crate::limit::{self, Call};
use crate::observed::Observation;
use crate::plan::{
    Action, Change, ConnectionPlan, LookupPlan, MAY_BE_MISSING, Reason, Step, nothing_there,
    probe,
};
use crate::pool::Line;
use crate::reading;
use crate::resource::{Name, Wanted};
use crate::store::Record;
use crate::value::Value;

impl Run<'_> {
    /// Opens a deferred connection and checks every object behind it against the plan.
    pub(crate) async fn connect(&self, step: &Step) -> Result<Option<String>, Stop> {
        let address = &step.address;
        let spec = self.connection_spec(address)?;
        let call = async {
            // Whatever was open before led to something else.
            self.pool.close(address);
            let (patience, tell) =
                (self.settings.patience, |wait| self.watcher.waiting(step, address, wait));
            let line = self.pool.line_telling(address, &spec, patience, &tell).await?;
            self.look_behind(address, &line).await?;
            let effect = self.connection_effect(address)?;
            Ok(Made::new(effect))
        };
        self.journaled(step, None, call).await
    }

    /// Reads everything the plan touches behind a connection: one call per kind.
    async fn look_behind(&self, connection: &Address, line: &Line) -> Result<(), CallError> {
        let mut wanted: BTreeMap<&str, Vec<Wanted<Value>>> = BTreeMap::new();
        let behind = self.changes.values().filter(|change| {
            change.connection.as_ref() == Some(connection)
                && !matches!(change.action, Action::Delete | Action::Cascade | Action::Forget)
        });
        for change in behind.clone() {
            // A spec with unknown parts is looked at when its step comes.
            let Ok(spec) = self.spec(change) else { continue };
            let recorded = change.before.clone();
            wanted.entry(change.address.kind()).or_default().push(Wanted {
                id: change.id.clone().filter(|id| !id.is_empty()),
                facts: recorded.is_some().then(|| change.facts.to_json()),
                name: self.name(change, &spec),
                spec: recorded.unwrap_or(spec),
            });
        }
        let mut found = BTreeMap::new();
        for (kind, wanted) in wanted {
            let Some(kind) = self.pool.registry().kind(kind) else { continue };
            let limit = |address: &Address| {
                self.changes.get(address).and_then(|change| change.lifecycle.timeouts.read)
            };
            found.extend(reading::read(kind, line, wanted, limit).await);
        }
        let taken = behind.filter_map(|change| {
            let Some(Observation::Found(object)) = found.get(&change.address) else {
                return None;
            };
            let new = change.reasons.contains(&Reason::New)
                && !self.state.records.contains_key(&change.address);
            if new && !change.lifecycle.adopt {
                let error = Self::foreign(change, &object.owner)?;
                return Some(format!("`{}`: {}", change.address, error.message));
            }
            None
        });
        let taken: Vec<String> = taken.collect();
        if taken.is_empty() {
            self.learned().found.extend(found);
            return Ok(());
        }
        let mut error =
            CallError::new(Failure::Exists, "some of what is to be created exists already");
        error.notes = taken;
        Err(error.hint(
            "nothing was written; to take objects over as they are, add `adopt: true` to them",
        ))
    }

    /// Reads one object as it is now.
    pub(crate) async fn look_again(
        &self,
        change: &Change,
        kind: &Kind,
        spec: &Value,
        line: &Line,
    ) -> Result<Option<FoundObject>, CallError> {
        let wanted = Wanted {
            id: change.id.clone().filter(|id| !id.is_empty()),
            facts: Some(change.facts.to_json()).filter(|facts| !facts.is_null()),
            name: self.name(change, spec),
            spec: change.before.clone().unwrap_or_else(|| spec.clone()),
        };
        let call = async {
            let mut answers = kind.calls.read(&line.connection, vec![wanted]).await;
            answers.pop().unwrap_or(Ok(None))
        };
        let found = limit::within(change.lifecycle.timeouts.read, Call::Read, call).await?;
        Ok(found.map(|found| FoundObject {
            spec: kind.mark_spec(found.spec).marked_like(spec),
            ..found
        }))
    }

    /// Looks something up that could not be looked up while planning. Nothing is written, so
    /// nothing is journaled.
    pub(crate) async fn read(&self, step: &Step) -> Result<Option<String>, Stop> {
        let address = &step.address;
        let planned = self.plan.lookups.iter().find(|lookup| &lookup.address == address);
        let kind = self.pool.registry().looked_up(address.kind());
        let Some((planned, kind)) = planned.zip(kind) else {
            let message = format!("the plan does not say what `{address}` looks up");
            return Err(CallError::refused(message).into());
        };
        let wanted = self.resolve(&planned.wanted);
        let known = wanted.known().ok_or_else(|| still_unknown(&wanted))?;
        let spec = probe(kind, known).map_err(CallError::refused)?;
        let through = self.connection_spec(&planned.connection)?;
        let line =
            self.pool.line(&planned.connection, &through, self.settings.patience).await?;
        let natural = known.get("name").and_then(Value::as_str);
        let name = Name {
            stack: self.plan.stack.clone(),
            address: address.clone(),
            natural: natural.unwrap_or_else(|| address.name()).to_owned(),
        };
        let object = Wanted { id: None, facts: None, name, spec };
        let mut answers = reading::read(kind, &line, vec![object], |_| planned.limit).await;
        let (spec, facts) = match answers.pop().map(|(_, observation)| observation) {
            Some(Observation::Found(found)) => {
                let spec = kind.mark_spec(found.spec);
                let facts = kind.mark_facts(found.facts, &spec);
                (spec, facts)
            }
            Some(Observation::Unreadable(error)) => return Err(error.into()),
            _ if planned.optional => (Value::Null, Value::Null),
            _ => {
                let error = CallError::refused(nothing_there(kind, &wanted));
                return Err(error.hint(MAY_BE_MISSING).into());
            }
        };
        let record = looked_up(planned, spec, facts);
        self.learned().objects.insert(address.clone(), record);
        Ok(None)
    }

    /// The arguments of a connection, whole.
    pub(crate) fn connection_spec(&self, address: &Address) -> Result<Value, CallError> {
        if let Some(spec) = self.learned().connections.get(address) {
            return Ok(spec.clone());
        }
        let Some(plan) = self.connections.get(address) else {
            return Err(CallError::refused(format!("the plan has no connection `{address}`")));
        };
        let Some(kind) = self.pool.registry().connection_kind(address.kind()) else {
            let message = format!("this dollop knows no connection `{}`", address.kind());
            return Err(CallError::refused(message));
        };
        let resolved = self.resolve(&plan.spec);
        let Some(known) = resolved.known() else {
            return Err(still_unknown(&resolved));
        };
        let normal = kind.dial.normalize(known).map_err(|error| {
            CallError::refused(format!("`{}`: {}", error.path, error.message))
        })?;
        let normal = kind.mark_spec(normal);
        self.learned().connections.insert(address.clone(), normal.clone());
        Ok(normal)
    }

    /// What the state keeps of a connection.
    pub(crate) fn connection_effect(&self, address: &Address) -> Result<Effect, CallError> {
        let declared = self.connections.get(address).filter(|plan| plan.declared);
        let Some(plan) = declared else {
            return Ok(Effect::Remove(address.clone()));
        };
        let spec = self.connection_spec(address)?;
        Ok(Effect::Put(Box::new(connection_record(plan, spec))))
    }
}

/// The record of a connection with these arguments, known.
pub(crate) fn connection_record(plan: &ConnectionPlan, spec: Value) -> Record {
    Record {
        spec,
        dependencies: plan.dependencies.clone(),
        arguments: plan.arguments.clone(),
        ..Record::of(plan.address.clone())
    }
}

/// What is looked up, in the form in which references find it.
pub(crate) fn looked_up(planned: &LookupPlan, spec: Value, facts: Value) -> Record {
    Record {
        connection: Some(planned.connection.clone()),
        spec,
        facts,
        ..Record::of(planned.address.clone())
    }
}

fn still_unknown(value: &Expr) -> CallError {
    if let Some(found) = value.undecided() {
        return found.error(None, None);
    }
    let mut missing = Vec::new();
    value.each_reference(&mut |reference| missing.push(format!("`{reference}`")));
    CallError::refused(format!("still unknown: {}", missing.join(", ")))
}

impl Made {
    /// A call that did what a reader expects.
    pub(crate) fn new(effect: Effect) -> Self {
        Self { effect, note: None }
    }
}
