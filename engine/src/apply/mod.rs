//! `apply`: run the steps of a plan, record each, report.

mod behind;
mod guard;
mod outputs;
mod perform;
mod prepare;
mod renamed;
mod rollback;
mod schedule;
mod succession;
mod switch;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::AtomicU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;

use crate::address::Address;
use crate::diagnostic::{Code, Diagnostic, Severity};
use crate::error::CallError;
use crate::expr::{Expr, Reference};
use crate::journal::StepId;
use crate::observed::Observation;
use crate::path::Path;
use crate::plan::{
    Change, CheckStanding, ConnectionPlan, LookupOutcome, Plan, Step, judge, misfit, missing,
};
use crate::pool::{Pool, Wait};
use crate::redact::{Redactor, Secrets};
use crate::store::{Record, RunEnd, RunInfo, State, Store, StoreError};
use crate::value::Value;

pub(crate) use behind::connection_record;
pub use perform::NOTHING_TO_DO;
pub(crate) use perform::record;
pub use schedule::{Outcome, Schedule};

/// A place in the life of a step, for whoever watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// Before anything is written down.
    BeforeStarted,
    /// The intent is durable; the provider is called next.
    BeforeCall,
    /// The provider answered; nothing is written down yet.
    AfterCall,
    /// The result is durable.
    AfterDone,
}

/// Sees what happens and may ask to stop.
pub trait Watcher: Send + Sync {
    /// A step begins.
    fn started(&self, step: &Step);
    /// A step waits for a server that does not answer yet.
    fn waiting(&self, _step: &Step, _server: &Address, _wait: Wait) {}
    /// A step did what it was for. `note` says what a reader would otherwise not expect.
    fn finished(&self, step: &Step, note: Option<&str>);
    /// A step did not. The error is free of secrets.
    fn failed(&self, step: &Step, error: &CallError);
    /// A step cannot run because of another.
    fn skipped(&self, step: &Step, because: &Address);
    /// A step is at a point of its life.
    fn reached(&self, _point: Point, _step: &Step) {}
    /// Whether no further step shall start.
    fn stopping(&self) -> bool {
        false
    }
}

/// How a plan is applied.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The most steps under way at once; what joins others in one call
    /// ([`Traits::joins`](crate::resource::Traits::joins)) does not count.
    pub parallelism: usize,
    /// How long a server that is starting may take until it answers.
    pub patience: Duration,
    /// Who runs what.
    pub run: RunInfo,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Steps that did what they were for.
    pub done: usize,
    /// Steps that did not, with secrets taken out.
    pub failed: Vec<(Step, CallError)>,
    /// Steps that could not run because another failed, and which.
    pub skipped: Vec<(Step, Address)>,
    /// Steps that were never begun because the run was stopped.
    pub untouched: usize,
    /// Outputs, when the run is complete.
    pub outputs: BTreeMap<String, Value>,
    /// Checks that do not hold once everything is done, with secrets taken out.
    pub checks: Vec<Diagnostic>,
}

impl Report {
    /// Whether every step was done.
    pub fn complete(&self) -> bool {
        self.failed.is_empty() && self.skipped.is_empty() && self.untouched == 0
    }

    /// Whether every check that does not only warn holds.
    pub fn holds(&self) -> bool {
        self.checks.iter().all(|found| found.code.severity() != Severity::Error)
    }
}

/// Runs a plan.
///
/// A failed step skips what needs it; everything else goes on. What was made stays and is
/// recorded.
///
/// # Errors
/// The store could not write: nothing further is started, since nothing could be recorded.
pub async fn apply(
    plan: &Plan,
    state: &State,
    pool: &Pool,
    store: &dyn Store,
    watcher: &dyn Watcher,
    settings: Settings,
) -> Result<Report, StoreError> {
    store.begin(settings.run.clone()).await?;
    let state = &*renamed::settle(plan, state, store, pool.registry()).await?;
    let run = Run::new(plan, state, pool, store, watcher, &settings);
    let joins = |step: &Step| {
        let kind = pool.registry().kind(step.address.kind());
        kind.is_some_and(|kind| kind.traits.joins)
    };
    let mut schedule = Schedule::new(&plan.steps, settings.parallelism, joins);
    let mut report = Report::default();
    let mut done = HashSet::new();
    let mut broken = None;
    let mut running = FuturesUnordered::new();
    loop {
        if watcher.stopping() || broken.is_some() {
            schedule.stop();
        }
        while let Some(id) = schedule.start() {
            let step = &plan.steps[id.index()];
            let run = &run;
            running.push(async move { (step, run.perform(step).await) });
        }
        let Some((step, outcome)) = running.next().await else { break };
        match outcome {
            Ok(()) => {
                report.done += 1;
                done.insert(step.id);
                schedule.finished(step.id, Outcome::Done);
            }
            Err(perform::Stop::Call(error)) => {
                let error = run.clean_error(&error);
                watcher.failed(step, &error);
                for skipped in schedule.finished(step.id, Outcome::Failed) {
                    let skipped = &plan.steps[skipped.index()];
                    watcher.skipped(skipped, &step.address);
                    report.skipped.push((skipped.clone(), step.address.clone()));
                }
                report.failed.push((step.clone(), error));
            }
            Err(perform::Stop::Stays(because)) => {
                let others = schedule.finished(step.id, Outcome::Failed);
                for id in std::iter::once(step.id).chain(others) {
                    let skipped = &plan.steps[id.index()];
                    watcher.skipped(skipped, &because);
                    report.skipped.push((skipped.clone(), because.clone()));
                }
            }
            Err(perform::Stop::Store(error)) => {
                schedule.finished(step.id, Outcome::Failed);
                broken.get_or_insert(error);
            }
        }
    }
    if let Some(error) = broken {
        return Err(error);
    }
    report.untouched = schedule.untouched();
    let complete = report.complete();
    if complete {
        report.outputs = run.outputs();
        report.checks = run.checks();
        report.checks.extend(run.lost_outputs());
        report.checks.extend(report.outputs.iter().filter_map(|(name, value)| {
            misfit(name, plan.output_types.get(name).copied(), value)
        }));
    }
    let outputs =
        if complete { report.outputs.clone() } else { run.outputs_so_far(&done, &report) };
    store.finish(RunEnd { complete, outputs: Some(outputs) }).await?;
    Ok(report)
}

/// What the steps of one run share.
struct Run<'a> {
    plan: &'a Plan,
    state: &'a State,
    pool: &'a Pool,
    store: &'a dyn Store,
    watcher: &'a dyn Watcher,
    settings: &'a Settings,
    changes: HashMap<&'a Address, &'a Change>,
    connections: HashMap<&'a Address, &'a ConnectionPlan>,
    learned: Mutex<Learned>,
    /// Knows what the plan and the state know; made when first needed.
    known_secrets: std::sync::OnceLock<Redactor>,
    guards: guard::Guards,
    /// The number of the next step that no plan has.
    beyond: AtomicU32,
}

/// What is learned while steps finish.
#[derive(Default)]
struct Learned {
    /// The records of what is as it shall be.
    objects: HashMap<Address, Record>,
    /// Arguments of deferred connections.
    connections: HashMap<Address, Value>,
    /// What was found behind deferred connections.
    found: HashMap<Address, Observation>,
    /// Replacements that turned out to be needless.
    needless: HashSet<Address>,
}

impl Learned {
    /// What is known already: what was looked up while planning.
    fn of(plan: &Plan) -> Self {
        let known = plan.lookups.iter().filter_map(|lookup| {
            let (spec, facts) = match &lookup.outcome {
                LookupOutcome::Found { spec, facts } => (spec.clone(), facts.clone()),
                LookupOutcome::Missing => (Value::Null, Value::Null),
                LookupOutcome::Later => return None,
            };
            Some((lookup.address.clone(), behind::looked_up(lookup, spec, facts)))
        });
        Self { objects: known.collect(), ..Self::default() }
    }
}

impl<'a> Run<'a> {
    fn new(
        plan: &'a Plan,
        state: &'a State,
        pool: &'a Pool,
        store: &'a dyn Store,
        watcher: &'a dyn Watcher,
        settings: &'a Settings,
    ) -> Self {
        let changes: HashMap<_, _> =
            plan.changes.iter().map(|change| (&change.address, change)).collect();
        Self {
            plan,
            state,
            pool,
            store,
            watcher,
            settings,
            guards: guard::Guards::of(plan, &changes, pool),
            changes,
            connections: plan
                .connections
                .iter()
                .map(|connection| (&connection.address, connection))
                .collect(),
            learned: Mutex::new(Learned::of(plan)),
            known_secrets: std::sync::OnceLock::new(),
            beyond: AtomicU32::new(u32::try_from(plan.steps.len()).unwrap_or(u32::MAX)),
        }
    }

    fn learned(&self) -> MutexGuard<'_, Learned> {
        self.learned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fills in what steps have learned.
    fn resolve(&self, expr: &Expr) -> Expr {
        expr.resolve(&|reference| self.look_up(reference))
    }

    fn look_up(&self, reference: &Reference) -> Option<Expr> {
        let learned = self.learned();
        let recorded = || self.state.records.get(&reference.address);
        let record = learned.objects.get(&reference.address).or_else(recorded)?;
        // Looked up, and not there.
        if record.spec == Value::Null && record.facts == Value::Null {
            return Some(Expr::NULL);
        }
        let found = reference.path.follow(&record.facts);
        let found = found.or_else(|| reference.path.follow(&record.spec));
        found.map(Expr::Value)
    }

    /// Outputs that will never be known: what they are made of says nothing, or has no such
    /// part.
    fn lost_outputs(&self) -> Vec<Diagnostic> {
        let found = self.plan.outputs.iter().filter_map(|output| {
            let value = self.resolve(output.after.as_ref()?);
            let message = format!("output `{}` could not be made", output.name);
            if let Some(found) = value.undecided() {
                return Some(found.told_by(Diagnostic::new(Code::FunctionFailed, message)));
            }
            // Of what a part of the stack leaves out, the record may be an old one.
            if self.plan.left_out.is_some() {
                return None;
            }
            let reasons = value.references().into_iter().filter_map(|one| self.lacks(one));
            let reasons: Vec<_> = reasons.collect();
            let found = Diagnostic::new(Code::MissingFact, message);
            (!reasons.is_empty()).then(|| {
                reasons.into_iter().fold(found, |mut found, reason| {
                    found.notes.push(reason.message);
                    found.notes.extend(reason.notes);
                    found.hints.extend(reason.hints);
                    found
                })
            })
        });
        found.map(|found| self.cleaned(found)).collect()
    }

    /// What is said of a reference to a part that an object does not have.
    fn lacks(&self, reference: &Reference) -> Option<Diagnostic> {
        let learned = self.learned();
        let recorded = || self.state.records.get(&reference.address);
        let record = learned.objects.get(&reference.address).or_else(recorded)?;
        let attribute = Path::attribute(reference.path.first()?);
        let is_fact = attribute.follow(&record.facts).is_some();
        Some(missing(reference, Some(if is_fact { &record.facts } else { &record.spec })))
    }

    /// What does not hold now that everything is done.
    fn checks(&self) -> Vec<Diagnostic> {
        let checks = self.plan.checks.iter().map(|planned| &planned.check);
        let found = checks.filter_map(|check| match judge(check, &|r| self.look_up(r)) {
            (CheckStanding::Pending, _) => {
                let message = format!("check `{}` could not be decided", check.name);
                let mut found =
                    Diagnostic::new(Code::CheckFails, message).at(check.span.clone());
                let condition = self.resolve(&check.condition);
                for reference in condition.references() {
                    found = found.note(format!("`{reference}` is not known"));
                }
                Some(found)
            }
            (_, found) => found,
        });
        found.map(|found| self.cleaned(found)).collect()
    }

    fn cleaned(&self, mut found: Diagnostic) -> Diagnostic {
        found.message = self.clean(&found.message);
        for note in &mut found.notes {
            *note = self.clean(note);
        }
        found
    }

    /// Takes every secret the run has met so far out of a text.
    fn clean(&self, text: &str) -> String {
        let known = self.known_secrets.get_or_init(|| {
            let mut secrets = Secrets::default();
            secrets.add_plan(self.plan);
            secrets.add_state(self.state);
            secrets.redactor()
        });
        let mut secrets = Secrets::default();
        let learned = self.learned();
        for record in learned.objects.values() {
            secrets.add_value(&record.spec);
            secrets.add_value(&record.facts);
        }
        learned.connections.values().for_each(|spec| secrets.add_value(spec));
        secrets.redactor().clean(&known.clean(text))
    }

    fn clean_error(&self, error: &CallError) -> CallError {
        let clean = |texts: &[String]| texts.iter().map(|text| self.clean(text)).collect();
        CallError {
            failure: error.failure,
            message: self.clean(&error.message),
            notes: clean(&error.notes),
            hints: clean(&error.hints),
            attribute: error.attribute,
        }
    }
}

/// The position of a step in its plan.
impl StepId {
    /// As an index into [`Plan::steps`].
    pub fn index(self) -> usize {
        self.0 as usize
    }
}
