//! Replacements whose successor is made first: it is made beside the old one, takes over,
//! and only then the old one is removed. What fails on the way is taken back.

use std::time::Duration;

use crate::apply::Run;
use crate::apply::perform::{Made, Stop, TURNED_OUT_SAME, Unmade, record};
use crate::error::{CallError, Failure};
use crate::journal::Effect;
use crate::kind::{Kind, Taking};
use crate::limit::{self, Call};
use crate::plan::{Action, Change, Step, conditional};
use crate::pool::Line;
use crate::resource::{Name, Owner};
use crate::store::Record;
use crate::value::Value;

impl Run<'_> {
    /// Makes an object while the one it replaces goes on working.
    pub(crate) async fn create_beside(
        &self,
        step: &Step,
        change: &Change,
    ) -> Result<Option<String>, Stop> {
        let kind = self.kind(change)?;
        let spec = self.spec(change)?;
        if change.creates_first() && conditional(change) {
            let before = change.before.clone().unwrap_or_default();
            if spec.same(&before) {
                return self.leave(step, change).await;
            }
        }
        let name = self.beside(change, kind, &spec);
        let spec = named(spec, &name.natural);
        let line = self.line(change).await?;
        let mut intent = record(change, String::new(), spec.clone(), Value::Null);
        intent.interrupted = true;
        let deposed = change.creates_first().then(|| self.deposed(change));
        let old = deposed.clone();
        let call = async {
            let _permit = line.permits.acquire().await;
            let created = kind.calls.create_beside(&line.connection, &name, &spec);
            let limit = change.lifecycle.timeouts.create;
            let created = match limit::within(limit, Call::Create, created).await {
                Ok(created) => created,
                Err(error) => {
                    return Err(self
                        .take_back(change, kind, &line, (&name, &spec), error)
                        .await);
                }
            };
            let facts = kind.mark_facts(created.facts, &spec);
            let made = record(change, created.id, spec.clone(), facts);
            let effects =
                std::iter::once(made).chain(old).map(|one| Effect::Put(Box::new(one)));
            Ok(Made::new(Effect::together(effects.collect())))
        };
        self.journaled_beside(step, Some(intent), deposed, call).await
    }

    /// Gives what was made beside its predecessor the place of that.
    pub(crate) async fn take_over(&self, step: &Step) -> Result<Option<String>, Stop> {
        let change = self.change(step)?;
        if self.learned().needless.contains(&step.address) {
            return self.leave(step, change).await;
        }
        let kind = self.kind(change)?;
        let spec = self.spec(change)?;
        let line = self.line(change).await?;
        let name = self.name(change, &spec);
        let made = self.learned().objects.get(&step.address).cloned();
        let made = match made.or_else(|| self.state.records.get(&step.address).cloned()) {
            Some(made) if !made.id.is_empty() => made,
            _ => self.half_made(change, kind, &spec, &line).await?,
        };
        let old = self.predecessor(change);
        let mut intent = made.clone();
        intent.unfinished = true;
        intent.interrupted = false;
        let call = async {
            let _permit = line.permits.acquire().await;
            let taking = Taking {
                id: &made.id,
                from: &made.spec,
                to: &spec,
                old: old.as_ref().map_or("", |old| old.id.as_str()),
            };
            let taken = kind.calls.take_over(&line.connection, &name, taking);
            let limit = change.lifecycle.timeouts.update;
            match limit::within(limit, Call::Update, taken).await {
                Ok(facts) => {
                    let facts = kind.mark_facts(facts, &spec);
                    let record = record(change, made.id.clone(), spec.clone(), facts);
                    Ok(Made::new(Effect::Put(Box::new(record))))
                }
                // What it has done by then is not known; the next run looks.
                Err(error) if error.failure == Failure::TimedOut => Err(Unmade::from(error)),
                Err(error) => {
                    let made = (&name, &made);
                    Err(self.return_to(change, kind, &line, made, old.clone(), error).await)
                }
            }
        };
        Box::pin(self.journaled(step, Some(intent), call)).await
    }

    /// Removes what a failed call made, so that the old one is all there is.
    async fn take_back(
        &self,
        change: &Change,
        kind: &Kind,
        line: &Line,
        (name, spec): (&Name, &Value),
        error: CallError,
    ) -> Unmade {
        let unnamed = Change { id: None, ..change.clone() };
        let left = self.look_again(&unnamed, kind, spec, line).await;
        let gone = match left {
            Ok(None) => error.failure != Failure::TimedOut,
            // Somebody else's stands in the way, and stays.
            Ok(Some(found)) if matches!(found.owner, Owner::Other(_)) => true,
            Ok(Some(found)) => {
                let removed = kind.calls.delete(&line.connection, name, &found.id, &found.spec);
                removed.await.is_ok()
            }
            Err(_) => false,
        };
        let error = self.roll_back(change, stays(change, error, gone)).await;
        Unmade { nothing: gone, ..Unmade::from(error) }
    }

    /// The old one has its place again: what should have taken it is removed.
    async fn return_to(
        &self,
        change: &Change,
        kind: &Kind,
        line: &Line,
        (name, made): (&Name, &Record),
        old: Option<Record>,
        error: CallError,
    ) -> Unmade {
        let removed = kind.calls.delete(&line.connection, name, &made.id, &made.spec).await;
        let Some(old) = old.filter(|_| removed.is_ok()) else {
            return Unmade::from(stays(change, error, false));
        };
        let deposed = old.address.clone();
        let address = change.address.clone();
        let effects =
            vec![Effect::Put(Box::new(Record { address, ..old })), Effect::Remove(deposed)];
        let error = self.roll_back(change, stays(change, error, true)).await;
        Unmade { left: Some(Effect::All(effects)), ..Unmade::from(error) }
    }

    /// What an interrupted run made under the name of the stand-in.
    async fn half_made(
        &self,
        change: &Change,
        kind: &Kind,
        spec: &Value,
        line: &Line,
    ) -> Result<Record, CallError> {
        let name = self.beside(change, kind, spec);
        let spec = named(spec.clone(), &name.natural);
        let unnamed = Change { id: None, ..change.clone() };
        let Some(found) = self.look_again(&unnamed, kind, &spec, line).await? else {
            let message = format!("`{}` is gone since the plan was made", change.address);
            return Err(
                CallError::refused(message).hint("plan again; the new plan makes it anew")
            );
        };
        let facts = kind.mark_facts(found.facts, &found.spec);
        Ok(record(change, found.id, found.spec, facts))
    }

    /// Leaves time between one replica and the next.
    pub(crate) async fn pause(&self, step: &Step, change: &Change) {
        let delay = change.rolling.map_or(Duration::ZERO, |rolling| rolling.delay);
        if delay.is_zero() {
            return;
        }
        let replica = |change: &Change| change.lifecycle.replica.clone();
        let Some(own) = replica(change) else { return };
        let waited = step.needs.iter().chain(&step.after).any(|before| {
            let before = self.plan.steps.get(before.index());
            let before = before.and_then(|before| self.changes.get(&before.address));
            let other = before.filter(|other| other.rolling.is_some()).and_then(|o| replica(o));
            other.is_some_and(|other| other.of == own.of && other.number != own.number)
        });
        if waited {
            tokio::time::sleep(delay).await;
        }
    }

    /// The record that what is replaced has from now on.
    fn deposed(&self, change: &Change) -> Record {
        let recorded = self.state.records.get(&change.address).cloned();
        let before = change.before.clone().unwrap_or_default();
        let id = change.id.clone().unwrap_or_default();
        let mut old = recorded
            .unwrap_or_else(|| record(change, id.clone(), before, change.facts.clone()));
        old.address = change.address.deposed();
        old.id = id;
        old.lifecycle = change.lifecycle.clone();
        old
    }

    /// What is replaced, under its deposed address.
    fn predecessor(&self, change: &Change) -> Option<Record> {
        if change.creates_first() {
            return Some(self.deposed(change));
        }
        self.state.records.get(&change.address.deposed()).cloned()
    }

    /// The name it has beside its predecessor.
    fn beside(&self, change: &Change, kind: &Kind, spec: &Value) -> Name {
        let name = self.name(change, spec);
        match kind.calls.stand_in(&name.natural) {
            Some(natural) => Name { natural, ..name },
            None => name,
        }
    }

    /// The value that was to force the replacement is the same after all.
    async fn leave(&self, step: &Step, change: &Change) -> Result<Option<String>, Stop> {
        self.learned().needless.insert(step.address.clone());
        let spec = change.before.clone().unwrap_or_default();
        let id = change.id.clone().unwrap_or_default();
        let effect = Effect::Put(Box::new(record(change, id, spec, change.facts.clone())));
        let note = Some(TURNED_OUT_SAME.to_owned());
        self.journaled(step, None, async { Ok(Made { effect, note }) }).await
    }
}

/// A spec under another natural name.
fn named(spec: Value, natural: &str) -> Value {
    match spec {
        Value::Map(mut entries) if entries.contains_key("name") => {
            entries.insert("name".to_owned(), Value::string(natural));
            Value::Map(entries)
        }
        other => other,
    }
}

/// Says how things stand now.
fn stays(change: &Change, error: CallError, returned: bool) -> CallError {
    let address = &change.address;
    if !returned {
        return error.note(
            "what was made beside it may still be there; the next run looks and goes on",
        );
    }
    match change.action {
        Action::Create => error.note("what was made of it is removed again"),
        _ => error.note(format!(
            "`{address}` goes on as it was: what was to replace it is removed again"
        )),
    }
}
