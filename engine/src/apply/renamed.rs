//! What the state says once an object has another name.

use std::borrow::Cow;

use crate::address::Address;
use crate::apply::Run;
use crate::apply::perform::{Made, Stop, record};
use crate::journal::{Effect, Event, StepId};
use crate::kind::{Kind, Registry};
use crate::limit::{self, Call};
use crate::plan::renaming::{Renaming, id_of, records, settled};
use crate::plan::{Action, Change, Operation, Plan, Step, aside};
use crate::store::{Record, State, Store, StoreError};
use crate::value::Value;

/// The number of the step in which the state learns of names; no plan has so many.
const SETTLES: StepId = StepId(u32::MAX);

/// Writes down what names runs that were killed gave to something, for that and for all that
/// is named after it at once.
pub(crate) async fn settle<'a>(
    plan: &Plan,
    state: &'a State,
    store: &dyn Store,
    registry: &Registry,
) -> Result<Cow<'a, State>, StoreError> {
    let settled = settled(state, &plan.renamed, registry);
    let changed = settled.records.values().filter(|record| {
        state.records.get(&record.address).is_none_or(|known| known != *record)
    });
    let effects: Vec<_> = changed.map(|one| Effect::Put(Box::new(one.clone()))).collect();
    if let Some(address) = plan.renamed.keys().next().filter(|_| !effects.is_empty()) {
        let (step, address) = (SETTLES, address.clone());
        store.append(Event::Started { step, address, intent: None, deposed: None }).await?;
        store.append(Event::Done { step, effect: Effect::together(effects) }).await?;
    }
    Ok(settled)
}

impl Run<'_> {
    /// The record of an object that is about to be changed: what it was is what the next plan
    /// compares with, should this not come to an end.
    pub(crate) fn intent(
        &self,
        change: &Change,
        kind: &Kind,
        was: (&str, &Value),
        spec: &Value,
    ) -> Record {
        let (id, from) = (was.0.to_owned(), was.1.clone());
        let mut intent = record(change, id, from, change.facts.clone());
        intent.unfinished = true;
        let renaming = change.connection.as_ref().and_then(|connection| {
            Renaming::between(&change.address, connection, kind, was, spec)
        });
        // It may have got another one in a run before that, and nobody could look since.
        let recorded = self.recorded(&change.address);
        let known = recorded.map(|record| record.renaming).unwrap_or_default();
        intent.renaming.clone_from(&known);
        let name = renaming.map(|renaming| renaming.to);
        intent.renaming.extend(name.filter(|name| !known.contains(name)));
        intent
    }

    /// An object's record as it is by now.
    fn recorded(&self, address: &Address) -> Option<Record> {
        let learned = self.learned().objects.get(address).cloned();
        learned.or_else(|| self.state.records.get(address).cloned())
    }

    /// The id and the spec of an object that is about to be changed: as planned, unless it made
    /// way for another.
    pub(crate) fn as_left(&self, step: &Step, change: &Change) -> (String, Value) {
        let mut steps = self.plan.steps.iter().filter(|one| one.address == step.address);
        let made_way = steps.any(|one| one.operation == Operation::MakeWay);
        match self.recorded(&step.address).filter(|_| made_way) {
            Some(record) => (record.id, record.spec),
            None => (
                change.id.clone().unwrap_or_default(),
                change.before.clone().unwrap_or_default(),
            ),
        }
    }

    /// Gives an object a name that nobody has: another one is about to take its own.
    pub(crate) async fn make_way(&self, step: &Step) -> Result<Option<String>, Stop> {
        let change = self.change(step)?;
        let kind = self.kind(change)?;
        let line = self.line(change).await?;
        let id = change.id.clone().unwrap_or_default();
        let from = change.before.clone().unwrap_or_default();
        let spec = aside(&change.address, &from);
        let name = self.name(change, &spec);
        let intent = self.intent(change, kind, (id.as_str(), &from), &spec);
        let call = async {
            let _permit = line.permits.acquire().await;
            let call = kind.calls.update(&line.connection, &name, &id, &from, &spec);
            let limit = change.lifecycle.timeouts.update;
            let facts = kind.mark_facts(limit::within(limit, Call::Update, call).await?, &spec);
            let effect = self.renamed(change, kind, (id.as_str(), &from), &spec, facts);
            Ok(Made { effect, note: Some(format!("as `{}` for a moment", name.natural)) })
        };
        self.journaled(step, Some(intent), call).await
    }

    /// The record of an object that was changed in place, and with a new name, those of all
    /// that is named after it: never a moment in which one has the old name and one the new.
    pub(crate) fn renamed(
        &self,
        change: &Change,
        kind: &Kind,
        was: (&str, &Value),
        spec: &Value,
        facts: Value,
    ) -> Effect {
        let put = |record: Record| Effect::Put(Box::new(record));
        let renaming = change.connection.as_ref().and_then(|connection| {
            Renaming::between(&change.address, connection, kind, was, spec)
        });
        let Some(renaming) = renaming else {
            return put(record(change, was.0.to_owned(), spec.clone(), facts));
        };
        let id = id_of(kind, &change.address, spec).unwrap_or_else(|| was.0.to_owned());
        let mut effects = vec![put(record(change, id, spec.clone(), facts))];
        let learned = self.learned();
        let known = self.state.records.values().filter(|record| {
            let action = self.changes.get(&record.address).map(|change| change.action);
            // These are removed under the name that they had, before this.
            !matches!(
                action,
                Some(
                    Action::Create
                        | Action::Replace
                        | Action::Delete
                        | Action::Cascade
                        | Action::Forget
                )
            )
        });
        let known = known.map(|record| learned.objects.get(&record.address).unwrap_or(record));
        let followers = records(&renaming, known, self.pool.registry());
        effects.extend(followers.into_iter().map(put));
        Effect::together(effects)
    }
}
