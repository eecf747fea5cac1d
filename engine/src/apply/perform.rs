//! One step: write the intent down, call the provider, write the result down.

use crate::address::Address;
use crate::apply::{Point, Run};
use crate::error::{CallError, Failure};
use crate::expr::Expr;
use crate::journal::{Effect, Event};
use crate::kind::Kind;
use crate::limit::{self, Call};
use crate::map::Map;
use crate::observed::Observation;
use crate::plan::{Action, Change, Operation, Reason, Step, conditional};
use crate::pool::Line;
use crate::resource::{Name, Owner};
use crate::store::{Record, StoreError};
use crate::value::Value;

/// Why a step did not do what it was for.
pub(crate) enum Stop {
    /// The provider, or what it was to be given.
    Call(Box<CallError>),
    /// The store.
    Store(StoreError),
    /// What it hangs on has to stay, as another step has told.
    Stays(Address),
}

impl From<CallError> for Stop {
    fn from(error: CallError) -> Self {
        Self::Call(Box::new(error))
    }
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// A call that did not do what it was for.
pub(crate) struct Unmade {
    pub(crate) error: CallError,
    /// Whether it is certain that nothing was made.
    pub(crate) nothing: bool,
    /// What the state says from now on, when that is more than the intent or nothing.
    pub(crate) left: Option<Effect>,
}

impl From<CallError> for Unmade {
    fn from(error: CallError) -> Self {
        Self { nothing: error.failure == Failure::Exists, error, left: None }
    }
}

/// The note of a step that found everything as it shall be.
pub const NOTHING_TO_DO: &str = "nothing to do: it is as declared";
/// The note of a replacement that turned out to be needless.
pub(crate) const TURNED_OUT_SAME: &str = "nothing to do: the value turned out the same";

/// What a call did.
pub(crate) struct Made {
    pub(crate) effect: Effect,
    pub(crate) note: Option<String>,
}

impl Run<'_> {
    /// Performs a step from beginning to end.
    pub(crate) async fn perform(&self, step: &Step) -> Result<(), Stop> {
        self.watcher.started(step);
        self.watcher.reached(Point::BeforeStarted, step);
        self.gate(step).await?;
        let note = match step.operation {
            Operation::Read => self.read(step).await?,
            Operation::Connect => self.connect(step).await?,
            Operation::Record => self.record(step).await?,
            Operation::Create => Box::pin(self.create(step)).await?,
            Operation::TakeOver => Box::pin(self.take_over(step)).await?,
            Operation::MakeWay => Box::pin(self.make_way(step)).await?,
            Operation::Update => Box::pin(self.update(step)).await?,
            Operation::Delete => self.delete(step).await?,
            Operation::Verify => Box::pin(self.verify(step)).await?,
        };
        self.watcher.finished(step, note.as_deref());
        Ok(())
    }

    /// Waits until everything it is to come after works, changed by this run or not.
    async fn gate(&self, step: &Step) -> Result<(), CallError> {
        let Some(change) = self.changes.get(&step.address) else { return Ok(()) };
        // What is replaced is not removed either while its successor could not be made.
        let raises = match step.operation {
            Operation::Create | Operation::MakeWay | Operation::Update | Operation::Verify => {
                true
            }
            Operation::Delete => change.action == Action::Replace && !change.creates_first(),
            _ => false,
        };
        if !raises {
            return Ok(());
        }
        self.pause(step, change).await;
        for address in &change.lifecycle.after_healthy {
            if self.pool.registry().connection_kind(address.kind()).is_some() {
                let spec = self.connection_spec(address)?;
                let tell = |wait| self.watcher.waiting(step, address, wait);
                self.pool.works(address, &spec, self.settings.patience, &tell).await?;
                continue;
            }
            let known = self.learned().objects.get(address).cloned();
            let known = known.or_else(|| self.state.records.get(address).cloned());
            let (Some(record), Some(kind)) = (known, self.pool.registry().kind(address.kind()))
            else {
                continue;
            };
            let Some(connection) = &record.connection else { continue };
            let spec = self.connection_spec(connection)?;
            let line = self.pool.line(connection, &spec, self.settings.patience).await?;
            let name = Name {
                stack: self.plan.stack.clone(),
                address: address.clone(),
                natural: record.natural().to_owned(),
            };
            let declared = self.changes.get(address).map(|change| &change.lifecycle.timeouts);
            let limit = declared.unwrap_or(&record.lifecycle.timeouts).ready;
            let ready = kind.calls.ready(&line.connection, &name, &record.id, &record.spec);
            let waited = limit::within(limit, Call::Ready, ready).await;
            waited.map_err(|error| {
                match limit.filter(|_| error.failure == Failure::TimedOut) {
                    Some(limit) => limit::not_ready(address, limit),
                    None => error,
                }
            })?;
        }
        Ok(())
    }

    /// Writes the intent down, makes the call, writes the result down.
    ///
    /// `kept` is what the state keeps when the call fails.
    pub(crate) async fn journaled(
        &self,
        step: &Step,
        intent: Option<Record>,
        call: impl Future<Output = Result<Made, Unmade>>,
    ) -> Result<Option<String>, Stop> {
        self.journaled_beside(step, intent, None, call).await
    }

    /// The same for what is made beside something else, which is `deposed` from then on.
    pub(crate) async fn journaled_beside(
        &self,
        step: &Step,
        intent: Option<Record>,
        deposed: Option<Record>,
        call: impl Future<Output = Result<Made, Unmade>>,
    ) -> Result<Option<String>, Stop> {
        let kept: Vec<_> = intent.clone().into_iter().chain(deposed.clone()).collect();
        let event = Event::Started {
            step: step.id,
            address: step.address.clone(),
            intent: intent.map(Box::new),
            deposed: deposed.map(Box::new),
        };
        self.store.append(event).await?;
        self.watcher.reached(Point::BeforeCall, step);
        match call.await {
            Ok(Made { effect, note }) => {
                self.learn(&effect);
                self.watcher.reached(Point::AfterCall, step);
                self.store.append(Event::Done { step: step.id, effect }).await?;
                self.watcher.reached(Point::AfterDone, step);
                Ok(note)
            }
            Err(Unmade { error, nothing, left }) => {
                let failed = |record| Effect::Put(Box::new(Record { failed: true, ..record }));
                let kept = kept.into_iter().map(failed);
                let effect = match left {
                    Some(left) => left,
                    None if nothing => Effect::None,
                    None => Effect::together(kept.collect()),
                };
                let message = self.clean(&error.message);
                self.store.append(Event::Failed { step: step.id, effect, message }).await?;
                Err(error.into())
            }
        }
    }

    /// Keeps in mind what objects are like now.
    fn learn(&self, effect: &Effect) {
        match effect {
            Effect::Put(record) if record.connection.is_some() => {
                self.learned().objects.insert(record.address.clone(), (**record).clone());
            }
            Effect::All(effects) => effects.iter().for_each(|effect| self.learn(effect)),
            _ => {}
        }
    }

    /// Writes the state only.
    async fn record(&self, step: &Step) -> Result<Option<String>, Stop> {
        let effect = match self.changes.get(&step.address) {
            Some(change) if matches!(change.action, Action::Cascade | Action::Forget) => {
                Effect::Remove(step.address.clone())
            }
            Some(change) => {
                let spec = self.spec(change)?;
                let id = change.id.clone().unwrap_or_default();
                Effect::Put(Box::new(record(change, id, spec, change.facts.clone())))
            }
            None => self.connection_effect(&step.address)?,
        };
        self.journaled(step, None, async { Ok(Made { effect, note: None }) }).await
    }

    async fn create(&self, step: &Step) -> Result<Option<String>, Stop> {
        let change = self.change(step)?;
        if change.succession.is_some() {
            return self.create_beside(step, change).await;
        }
        if self.learned().needless.contains(&step.address) {
            let spec = change.before.clone().unwrap_or_default();
            let id = change.id.clone().unwrap_or_default();
            let effect = Effect::Put(Box::new(record(change, id, spec, change.facts.clone())));
            let note = Some(TURNED_OUT_SAME.to_owned());
            return self.journaled(step, None, async { Ok(Made { effect, note }) }).await;
        }
        let found = self.learned().found.get(&step.address).cloned();
        match found {
            // The old one was there when the server came back; it is removed by now.
            _ if change.action == Action::Replace => self.make(step, change).await,
            Some(Observation::Found(_)) => Box::pin(self.verify(step)).await,
            _ => self.make(step, change).await,
        }
    }

    /// Makes an object that is not there.
    async fn make(&self, step: &Step, change: &Change) -> Result<Option<String>, Stop> {
        let kind = self.kind(change)?;
        let spec = self.spec(change)?;
        let name = self.name(change, &spec);
        let line = self.line(change).await?;
        let mut intent = record(change, String::new(), spec.clone(), Value::Null);
        intent.interrupted = true;
        let call = async {
            let _permit = line.permit(kind).await;
            let created = kind.calls.create(&line.connection, &name, &spec);
            let limit = change.lifecycle.timeouts.create;
            let created = match limit::within(limit, Call::Create, created).await {
                Ok(created) => created,
                // A failed create may have made something, or not. Only what is there is kept
                // in mind; otherwise the next object of that name would be taken for ours.
                Err(error) => {
                    if change.action == Action::Replace && change.rolls_back() {
                        let again = self.make_again(change, kind, &line, &spec, error).await;
                        let error = self.roll_back(change, again.error).await;
                        return Err(Unmade { error, ..again });
                    }
                    let left = self.look_again(change, kind, &spec, &line).await;
                    let nothing = match error.failure {
                        Failure::Exists => true,
                        // The service may still be at it.
                        Failure::TimedOut => false,
                        _ => match left {
                            Ok(left) => left.is_none(),
                            // What the service cannot have is not there.
                            Err(error) => error.failure == Failure::Impossible,
                        },
                    };
                    return Err(Unmade { error, nothing, left: None });
                }
            };
            let facts = kind.mark_facts(created.facts, &spec);
            let effect = Effect::Put(Box::new(record(change, created.id, spec.clone(), facts)));
            Ok(Made { effect, note: None })
        };
        Box::pin(self.journaled(step, Some(intent), call)).await
    }

    async fn update(&self, step: &Step) -> Result<Option<String>, Stop> {
        if let Some(switching) = &self.plan.switch {
            return self.switch(step, switching).await;
        }
        let change = self.change(step)?;
        let kind = self.kind(change)?;
        let spec = self.spec(change)?;
        let line = self.line(change).await?;
        let covers = change.covers_new();
        let follows =
            covers || change.reasons.iter().any(|r| matches!(r, Reason::Follows { .. }));
        let deferred = change.reasons.iter().any(|r| matches!(r, Reason::Deferred(_)));
        let interrupted =
            change.reasons.iter().any(|r| matches!(r, Reason::Interrupted | Reason::Failed));
        let (id, from) = if follows || deferred {
            // What it hangs on was changed by this very run: look again.
            match self.look_again(change, kind, &spec, &line).await? {
                Some(found) => (found.id, found.spec),
                None if deferred || covers => return self.make(step, change).await,
                None => return Err(vanished(&step.address).into()),
            }
        } else {
            self.as_left(step, change)
        };
        self.correct(
            step,
            change,
            kind,
            Correction { id, from, spec, line, finish: interrupted },
        )
        .await
    }

    /// Changes an object in place, unless it is as it shall be.
    async fn correct(
        &self,
        step: &Step,
        change: &Change,
        kind: &Kind,
        correction: Correction,
    ) -> Result<Option<String>, Stop> {
        let Correction { id, from, spec, line, finish } = correction;
        let name = self.name(change, &spec);
        let same = from.same(&spec) && !finish;
        let intent = (!same).then(|| self.intent(change, kind, (id.as_str(), &from), &spec));
        let call = async {
            let _permit = line.permit(kind).await;
            let facts = if same {
                change.facts.clone()
            } else {
                let call = kind.calls.update(&line.connection, &name, &id, &from, &spec);
                let limit = change.lifecycle.timeouts.update;
                kind.mark_facts(limit::within(limit, Call::Update, call).await?, &spec)
            };
            let effect = self.renamed(change, kind, (id.as_str(), &from), &spec, facts);
            let note = if same {
                Some(NOTHING_TO_DO.to_owned())
            } else if step.operation == Operation::Update {
                None
            } else {
                Some(format!("corrected: {}", differing(&from, &spec)))
            };
            Ok(Made { effect, note })
        };
        self.journaled(step, intent, call).await
    }

    async fn delete(&self, step: &Step) -> Result<Option<String>, Stop> {
        let change = self.change(step)?;
        let kind = self.kind(change)?;
        // What tells may itself still be replaced, after this: then the record of the old one
        // tells nothing.
        let made_first = change.creates_first();
        if made_first && self.learned().needless.contains(&step.address) {
            let made = Made { effect: Effect::None, note: Some(TURNED_OUT_SAME.to_owned()) };
            return self.journaled(step, None, async { Ok(made) }).await;
        }
        let untold = made_first
            || change.dependencies.iter().any(|address| {
                let made = self.changes.get(address).map(|change| change.action);
                matches!(made, Some(Action::Create | Action::Replace))
                    && !self.learned().objects.contains_key(address)
            });
        if change.action == Action::Replace && conditional(change) && !untold {
            let spec = self.resolve(change.after.as_ref().unwrap_or(&Expr::NULL));
            let normal = spec.known().and_then(|spec| kind.calls.normalize(spec).ok());
            let before = change.before.clone().unwrap_or_default();
            if normal.is_some_and(|normal| normal.same(&before)) {
                self.learned().needless.insert(step.address.clone());
                let note = Some(TURNED_OUT_SAME.to_owned());
                let made = Made { effect: Effect::None, note };
                return self.journaled(step, None, async { Ok(made) }).await;
            }
        }
        self.guard_above(step).await?;
        let line = self.line(change).await?;
        self.prepare(change, kind, &line).await?;
        let spec = change.before.clone().unwrap_or_default();
        let name = self.name(change, &spec);
        let gone = if made_first { step.address.deposed() } else { step.address.clone() };
        let call = async {
            let _permit = line.permit(kind).await;
            let mut id = change.id.clone().unwrap_or_default();
            if id.is_empty() {
                // Its making was interrupted and nobody has looked since.
                if let Some(found) = self.look_again(change, kind, &spec, &line).await? {
                    id = found.id;
                } else {
                    let effect = Effect::Remove(gone);
                    return Ok(Made { effect, note: Some("was not there".to_owned()) });
                }
            }
            self.guard(change, kind, &line, &name, &id).await?;
            let renamed = change.differences.iter().any(|one| one.path.first() == Some("name"));
            let succeeded = change.action == Action::Replace && !made_first && !renamed;
            let calls = &kind.calls;
            let call = if succeeded {
                calls.delete_for_successor(&line.connection, &name, &id, &spec)
            } else {
                calls.delete(&line.connection, &name, &id, &spec)
            };
            limit::within(change.lifecycle.timeouts.delete, Call::Delete, call).await?;
            Ok(Made { effect: Effect::Remove(gone), note: None })
        };
        self.journaled(step, None, call).await
    }

    /// Compares an object behind a deferred connection with its declaration.
    async fn verify(&self, step: &Step) -> Result<Option<String>, Stop> {
        let change = self.change(step)?;
        let kind = self.kind(change)?;
        let spec = self.spec(change)?;
        let line = self.line(change).await?;
        let known = self.learned().found.get(&step.address).cloned();
        // What was found is older than what it covers.
        let found = match known.filter(|_| !change.covers_new()) {
            Some(Observation::Found(found)) => Some(found),
            Some(Observation::Unreadable(error)) => return Err(error.into()),
            Some(Observation::Gone) => None,
            Some(Observation::Unchecked) | None => {
                self.look_again(change, kind, &spec, &line).await?
            }
        };
        let Some(found) = found else {
            let note = self.make(step, change).await?;
            return Ok(note.or_else(|| Some("was missing; created".to_owned())));
        };
        let from = kind.mark_spec(found.spec).marked_like(&spec);
        let fixed = kind.schema.spec.iter().find(|(name, attribute)| {
            let differs = match (from.get(name), spec.get(name)) {
                (Some(from), Some(spec)) => !from.same(spec),
                (None, None) => false,
                (Some(one), None) | (None, Some(one)) => *one.reveal() != Value::Null,
            };
            attribute.replace && differs
        });
        if let Some((name, _)) = fixed {
            let message = format!(
                "`{name}` differs from the declaration and cannot be changed \
                                   in place; the plan did not show a replacement"
            );
            let error = CallError::refused(message)
                .hint("plan again: now that the server answers, the plan can show it");
            return Err(error.into());
        }
        let mut change = change.clone();
        change.facts = kind.mark_facts(found.facts, &spec);
        let correction = Correction { id: found.id, from, spec, line, finish: false };
        self.correct(step, &change, kind, correction).await
    }

    /// The change a step belongs to.
    pub(crate) fn change(&self, step: &Step) -> Result<&Change, CallError> {
        self.changes.get(&step.address).copied().ok_or_else(|| {
            CallError::refused(format!("the plan has no change for `{}`", step.address))
        })
    }

    pub(crate) fn kind(&self, change: &Change) -> Result<&Kind, CallError> {
        let name = change.address.kind();
        self.pool
            .registry()
            .kind(name)
            .ok_or_else(|| CallError::refused(format!("this dollop knows no kind `{name}`")))
    }

    /// The spec as it shall be, whole and in normal form.
    pub(crate) fn spec(&self, change: &Change) -> Result<Value, CallError> {
        let kind = self.kind(change)?;
        let resolved = self.resolve(change.after.as_ref().unwrap_or(&Expr::NULL));
        let Some(known) = resolved.known() else {
            if let Some(error) = undecided(change, &resolved) {
                return Err(error);
            }
            let mut missing = Vec::new();
            resolved.each_reference(&mut |reference| missing.push(format!("`{reference}`")));
            let message = format!("still unknown: {}", missing.join(", "));
            return Err(CallError::refused(message)
                .hint("the object does not report this value; look at it with `dollop show`"));
        };
        let normal = kind.calls.normalize(known).map_err(|error| {
            CallError::refused(format!("`{}`: {}", error.path, error.message))
        })?;
        let normal = kind.mark_spec(normal);
        match kind.calls.check(&normal).into_iter().next() {
            None => Ok(normal),
            Some(problem) => {
                let error = CallError::refused(problem.message);
                Err(match problem.hint {
                    Some(hint) => error.hint(hint),
                    None => error,
                })
            }
        }
    }

    pub(crate) fn name(&self, change: &Change, spec: &Value) -> Name {
        let natural = spec.get("name").and_then(Value::as_str);
        Name {
            stack: self.plan.stack.clone(),
            address: change.address.clone(),
            natural: natural.unwrap_or_else(|| change.address.name()).to_owned(),
        }
    }

    /// The open connection of a change.
    pub(crate) async fn line(&self, change: &Change) -> Result<Line, CallError> {
        let Some(address) = &change.connection else {
            return Err(CallError::refused("a connection is no resource"));
        };
        let spec = self.connection_spec(address)?;
        self.pool.line(address, &spec, self.settings.patience).await
    }

    /// Refuses an object of another owner.
    pub(crate) fn foreign(change: &Change, owner: &Owner) -> Option<CallError> {
        let name = change.address.name();
        let whose = match owner {
            Owner::Ours => return None,
            Owner::Unmarked => String::new(),
            Owner::Other(whose) => format!("; {whose}"),
        };
        let what = crate::kind::short_name(change.address.kind());
        let message = format!("a {what} named `{name}` exists already{whose}");
        let hint = "to take it over as it is and manage it from here on, add `adopt: true`";
        Some(CallError::new(Failure::Exists, message).hint(hint))
    }
}

/// What is needed to change an object in place.
struct Correction {
    id: String,
    from: Value,
    spec: Value,
    line: Line,
    /// Call the provider even when nothing differs: its making was interrupted.
    finish: bool,
}

/// The record of an object that is as it shall be.
pub(crate) fn record(change: &Change, id: String, spec: Value, facts: Value) -> Record {
    Record {
        connection: change.connection.clone(),
        id,
        spec,
        facts,
        dependencies: change.dependencies.clone(),
        lifecycle: change.lifecycle.clone(),
        ..Record::of(change.address.clone())
    }
}

/// The attributes in which two specs differ.
fn differing(from: &Value, to: &Value) -> String {
    let empty = Map::new();
    let (from, to) = (from.as_map().unwrap_or(&empty), to.as_map().unwrap_or(&empty));
    let names = from.keys().chain(to.keys().filter(|name| !from.contains_key(*name)));
    let differ = names.filter(|name| match (from.get(*name), to.get(*name)) {
        (Some(a), Some(b)) => !a.same(b),
        (Some(one), None) | (None, Some(one)) => *one.reveal() != Value::Null,
        (None, None) => false,
    });
    differ.map(String::as_str).collect::<Vec<_>>().join(", ")
}

/// What keeps the spec of a change from ever being known, and where the script says so.
fn undecided(change: &Change, spec: &Expr) -> Option<CallError> {
    let Expr::Map(entries) = spec else { return None };
    let (name, found) =
        entries.iter().find_map(|(name, entry)| Some((name, entry.undecided()?)))?;
    let mut differing = change.differences.iter();
    let differing = differing.find(|one| one.path.first() == Some(name.as_str()));
    let span = differing.and_then(|one| one.span.as_ref()).or(change.span.as_ref());
    Some(found.error(Some(name), span))
}

fn vanished(address: &Address) -> CallError {
    CallError::refused(format!("`{address}` is gone since the plan was made"))
        .hint("plan again; the new plan makes it anew")
}
