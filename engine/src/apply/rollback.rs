//! Replicas whose change went wrong go back to what they were, those changed before too.

use std::cmp::Reverse;
use std::sync::atomic::Ordering;

use crate::apply::Run;
use crate::apply::perform::{Made, Stop, Unmade, record};
use crate::error::CallError;
use crate::journal::{Effect, StepId};
use crate::kind::Kind;
use crate::limit::{self, Call};
use crate::plan::{Action, Change, Operation, Step};
use crate::pool::Line;
use crate::store::Record;
use crate::value::Value;

impl Run<'_> {
    /// Makes what was removed again as it was, after its replacement failed, and after it the
    /// replicas that this run has replaced already.
    pub(crate) async fn make_again(
        &self,
        change: &Change,
        kind: &Kind,
        line: &Line,
        spec: &Value,
        mut error: CallError,
    ) -> Unmade {
        let before = change.before.clone().unwrap_or_default();
        let name = self.name(change, &before);
        // What was said of the one that failed holds no longer.
        error.hints.clear();
        let address = &change.address;
        // The id is that of the one that was removed.
        let unnamed = Change { id: None, ..change.clone() };
        let again = async {
            if let Some(left) = self.look_again(&unnamed, kind, spec, line).await?
                && !matches!(left.owner, crate::resource::Owner::Other(_))
            {
                kind.calls.delete(&line.connection, &name, &left.id, &left.spec).await?;
            }
            kind.calls.create(&line.connection, &name, &before).await
        };
        match again.await {
            Ok(created) => {
                let facts = kind.mark_facts(created.facts, &before);
                let again = record(change, created.id, before.clone(), facts);
                let error = error
                    .note(format!("`{address}` was made again as it was"))
                    .hint("correct what is declared, then apply again");
                Unmade { left: Some(Effect::Put(Box::new(again))), ..Unmade::from(error) }
            }
            Err(again) => {
                let error = error.note(format!(
                    "`{address}` could not be made again as it was: {}",
                    again.message
                ));
                Unmade::from(error)
            }
        }
    }

    /// Makes the replicas that this run has replaced before one failed again as they were,
    /// the last one first, where the script asks for that. Says what came of it.
    pub(crate) async fn roll_back(&self, change: &Change, mut error: CallError) -> CallError {
        let replica = |change: &Change| change.lifecycle.replica.clone();
        let Some(own) = replica(change).filter(|_| change.rolls_back()) else { return error };
        let mut others: Vec<(u32, &Change)> = Vec::new();
        for other in &self.plan.changes {
            let same = other.action == Action::Replace
                && other.connection == change.connection
                && other.address.kind() == change.address.kind()
                && other.address.components() == change.address.components()
                && other.address != change.address;
            if let Some(replica) = replica(other).filter(|replica| same && replica.of == own.of)
            {
                others.push((replica.number, other));
            }
        }
        others.sort_by_key(|(number, _)| Reverse(*number));
        for (_, other) in others {
            let made = self.learned().objects.get(&other.address).cloned();
            let Some(made) = made.filter(|made| other.id.as_ref() != Some(&made.id)) else {
                continue;
            };
            let address = &other.address;
            error = match self.back(other, &made).await {
                Ok(()) => error.note(format!("`{address}` was made again as it was, too")),
                Err(Stop::Call(why)) => error.note(format!(
                    "`{address}` could not be made again as it was: {}",
                    why.message
                )),
                Err(Stop::Stays(kept)) => error.note(format!(
                    "`{address}` could not be made again as it was: `{kept}` stays"
                )),
                Err(Stop::Store(why)) => error.note(format!(
                    "`{address}` could not be made again as it was: {}",
                    why.message
                )),
            };
        }
        error
    }

    /// Removes what this run has made in the place of an object, and makes that again. The
    /// turn on the connection is that of the step that failed.
    async fn back(&self, change: &Change, made: &Record) -> Result<(), Stop> {
        let kind = self.kind(change)?;
        let line = self.line(change).await?;
        let before = change.before.clone().unwrap_or_default();
        let name = self.name(change, &before);
        let gone = Effect::Remove(change.address.clone());
        let removing = async {
            let call = kind.calls.delete(&line.connection, &name, &made.id, &made.spec);
            limit::within(change.lifecycle.timeouts.delete, Call::Delete, call).await?;
            Ok(Made { effect: gone, note: None })
        };
        let step = self.beyond(change, Operation::Delete);
        self.journaled(&step, None, removing).await?;
        let mut intent = record(change, String::new(), before.clone(), Value::Null);
        intent.interrupted = true;
        let making = async {
            let call = kind.calls.create(&line.connection, &name, &before);
            let limit = change.lifecycle.timeouts.create;
            let created = limit::within(limit, Call::Create, call).await?;
            let facts = kind.mark_facts(created.facts, &before);
            let again = record(change, created.id, before.clone(), facts);
            Ok(Made { effect: Effect::Put(Box::new(again)), note: None })
        };
        let step = self.beyond(change, Operation::Create);
        self.journaled(&step, Some(intent), making).await?;
        Ok(())
    }

    /// A step that no plan has, with a number of its own.
    fn beyond(&self, change: &Change, operation: Operation) -> Step {
        let id = StepId(self.beyond.fetch_add(1, Ordering::Relaxed));
        let (needs, after) = (Vec::new(), Vec::new());
        Step { id, address: change.address.clone(), operation, needs, after }
    }
}
