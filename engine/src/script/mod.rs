//! `evaluate`: one script in, one program out. The only place that knows Rhai.
//!
//! A script runs against a [`session`] which collects what it declares and everything that
//! is wrong with it. What is not known yet is a [`symbol`]; [`marks`] carry it through text,
//! [`convert`] is the only door out, and [`operators`], [`guards`], [`text`] and [`rules`]
//! keep the script from looking into it.

// Rhai hands its errors around in boxes.
#![allow(clippy::unnecessary_box_returns)]
// With and without a suggestion are two arms of equal weight.
#![allow(clippy::single_match_else)]

mod access;
mod budget;
mod called;
mod check;
mod closures;
mod command;
mod component;
mod conditions;
mod convert;
mod declare;
mod definitions;
mod discover;
mod draft;
mod errors;
mod functions;
mod growth;
mod guards;
mod host;
mod keys;
mod lifecycle;
mod loader;
mod lookup;
mod marks;
mod onward;
mod operators;
mod ours;
mod outputs;
mod overrides;
mod parameters;
mod place;
mod plain;
mod prelude;
mod profile;
mod replicas;
mod rules;
mod secrets;
mod session;
mod shift;
mod sources;
mod spans;
mod statements;
mod symbol;
mod syntax;
mod text;
mod unused;
pub mod write;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use budget::Clock;

use crate::address::Address;
use crate::diagnostic::{Code, Diagnostic, Findings, Severity, Sources};
use crate::files::{FileError, Files};
use crate::kind::Registry;
use crate::plan::forget_unmet_moves;
use crate::program::{
    Declaration, Dormant, Given, Lifecycle, Output, Parameter, Profiles, Program, SecretInput,
};
use crate::value::Value;
pub use definitions::definitions;
pub use discover::{Answers, Discovered, Discoverer, answers_file, read_answers};
pub use functions::{Documented, library, reference as functions_reference};
pub use keys::{KEYS, Key};
use loader::NotCompiled;
pub use lookup::takes as lookup_takes;
use session::{Ask, Door, Found, Session};

/// What a script is evaluated with.
pub struct Request<'a> {
    /// The stack's name.
    pub stack: &'a str,
    /// The environment that is chosen; `default` when none is.
    pub environment: &'a str,
    /// The script, relative to the project folder.
    pub entry: &'a str,
    /// The project's files.
    pub files: &'a dyn Files,
    /// What can be declared.
    pub registry: &'a Registry,
    /// Parameters from outside, by name; the caller has applied precedence.
    pub parameters: &'a BTreeMap<String, Given>,
    /// The profiles somebody asks for.
    pub profiles: &'a Profiles,
    /// Whoever asks the world what the script discovers; what is recorded in its file counts
    /// when there is nobody.
    pub discoverer: Option<&'a dyn Discoverer>,
    /// Whoever is told, while the script runs on, of each connection that something lives
    /// behind, once both are declared, and of its spec in normal form: of those that stand on
    /// nothing and of which all is known. What comes later in the script may change them.
    pub told: Option<&'a Told<'a>>,
}

/// What is called with a connection and its spec.
pub type Told<'a> = dyn Fn(Address, Value) + 'a;

/// What a script wants from outside.
pub struct Inputs {
    /// Parameters it asked for, in order; one without a value is not set or does not fit.
    pub parameters: Vec<Parameter>,
    /// Secrets kept elsewhere that it asked for, in order.
    pub secrets: Vec<SecretInput>,
    /// What it declares, in order; what profiles leave off excepted.
    pub addresses: Vec<Address>,
    /// The profiles it has.
    pub profiles: Vec<String>,
    /// The names of the commands it publishes.
    pub commands: Vec<String>,
    /// What it hands out, in order.
    pub outputs: Vec<Output>,
    /// What is wrong beside parameters that are not set. After an error the lists may end
    /// early.
    pub findings: Findings,
}

/// Room for the deepest script the limits allow, and for Rhai's own recursion over nested
/// lists. Only what is used is taken from the system.
const STACK: usize = 512 << 20;

/// After so many modules that there are not, a script is not read on.
const MOST_ABSENT: usize = 20;

/// How many findings a failed run is repeated for, to learn the calls that led to them.
const MOST_TRACED: usize = 4;

/// Runs a script and returns what it declares.
///
/// A pure function of the request: no state, no clock, no environment, no network.
///
/// # Errors
/// Everything found wrong, not only the first.
pub fn evaluate(request: &Request<'_>) -> Result<Program, Findings> {
    on_a_thread(request, Job::run).unwrap_or_else(Err)
}

/// Runs a script to learn what it wants from outside; values may be missing.
///
/// # Errors
/// The script host could not be started.
pub fn inputs(request: &Request<'_>) -> Result<Inputs, Findings> {
    on_a_thread(request, Job::inputs)
}

/// The same as [`evaluate`] for who does other work meanwhile. Questions about files are
/// answered where this runs.
///
/// # Errors
/// Everything found wrong, not only the first.
pub async fn evaluate_beside(request: &Request<'_>) -> Result<Program, Findings> {
    let (ask, mut asked) = tokio::sync::mpsc::unbounded_channel();
    let worker = Worker::start(request, move |question| drop(ask.send(question)), Job::run)?;
    while let Some(question) = asked.recv().await {
        worker.hear(question, request);
    }
    worker.end().unwrap_or_else(Err)
}

fn on_a_thread<T: Send + 'static>(
    request: &Request<'_>,
    work: fn(Job, Door) -> T,
) -> Result<T, Findings> {
    let (ask, asked) = mpsc::channel();
    let worker = Worker::start(request, move |question| drop(ask.send(question)), work)?;
    for question in asked {
        worker.hear(question, request);
    }
    worker.end()
}

/// A thread of its own: Rhai's functions live longer than a request, and the stack must hold
/// the deepest recursion the limits allow, whatever thread the caller is on.
///
/// It asks until it drops its side; and should an answer panic, it ends, since the other goes
/// with this.
struct Worker<T> {
    thread: JoinHandle<T>,
    answer: mpsc::Sender<Result<Found, FileError>>,
}

impl<T: Send + 'static> Worker<T> {
    fn start(
        request: &Request<'_>,
        ask: impl Fn(Ask) + Send + 'static,
        work: fn(Job, Door) -> T,
    ) -> Result<Self, Findings> {
        let (answer, answers) = mpsc::channel();
        let door = Door { ask: Box::new(ask), answers };
        let job = Job {
            stack: request.stack.to_owned(),
            environment: request.environment.to_owned(),
            entry: request.entry.to_owned(),
            registry: request.registry.clone(),
            parameters: request.parameters.clone(),
            profiles: request.profiles.clone(),
            discovering: request.discoverer.is_some(),
            telling: request.told.is_some(),
        };
        let thread = std::thread::Builder::new()
            .name("script".to_owned())
            .stack_size(STACK)
            .spawn(move || work(job, door))
            .map_err(|error| alone(format!("cannot start a thread: {error}")))?;
        Ok(Self { thread, answer })
    }

    fn hear(&self, question: Ask, request: &Request<'_>) {
        if let Some(found) = question.answer(request) {
            // A worker that is gone tells why at its end.
            drop(self.answer.send(found));
        }
    }

    fn end(self) -> Result<T, Findings> {
        let bug = |_| alone("BUG: the script host panicked".to_owned());
        self.thread.join().map_err(bug)
    }
}

fn alone(message: String) -> Findings {
    Findings {
        diagnostics: vec![Diagnostic::new(Code::Internal, message)],
        sources: Sources::default(),
    }
}

/// What a script is run for.
enum Purpose {
    /// To learn what it declares.
    Run,
    /// To learn the calls that lead to the finding at that place of the ledger, of a run that
    /// goes on or not.
    Trace(usize, Option<BTreeSet<String>>),
    /// To find more behind errors, also in imported scripts that failed.
    GoOn(BTreeSet<String>),
}

/// A request that owns what it holds.
struct Job {
    stack: String,
    environment: String,
    entry: String,
    registry: Registry,
    parameters: BTreeMap<String, Given>,
    profiles: Profiles,
    discovering: bool,
    telling: bool,
}

impl Job {
    fn run(self, door: Door) -> Result<Program, Findings> {
        let door = Rc::new(door);
        let session = self.attempt(&door, Purpose::Run, Clock::start());
        // A run that was stopped has not met all profiles.
        let stopped = session.stopped.get();
        if !session.failed() && !stopped {
            for finding in profile::unknown(&session) {
                session.record(finding);
            }
        }
        if !session.failed() && !stopped {
            return Ok(self.program(&session));
        }
        let mut findings = findings(&session);
        let again = session.clock.again();
        let further = self.further(&door, &session, again, &mut findings.diagnostics);
        let mut left = (MOST_TRACED, session.clock.again());
        self.trace(&door, &session, &mut left, &mut findings.diagnostics);
        if let Some(second) = further {
            self.trace(&door, &second, &mut left, &mut findings.diagnostics);
        }
        // Text that was meant to be filled in is often what is wrong.
        let sources = session.sources.borrow();
        let warnings = sources.values().flat_map(|source| source.warnings.iter());
        let plain = warnings.filter(|warning| warning.code == Code::PlainText);
        findings.diagnostics.extend(plain.cloned());
        drop(sources);
        findings.diagnostics.iter_mut().for_each(errors::leave_standard);
        in_order(&mut findings.diagnostics, &self.entry);
        Err(findings)
    }

    /// What the script wants from outside, as far as it runs.
    fn inputs(self, door: Door) -> Inputs {
        let session = self.attempt(&Rc::new(door), Purpose::Run, Clock::start());
        let mut findings = findings(&session);
        let ledger = session.ledger.borrow();
        let not_set = session.not_set.borrow();
        // What is missing shows in the list.
        let missing: Vec<_> = not_set.iter().filter_map(|index| ledger.get(*index)).collect();
        findings.diagnostics.retain(|found| !missing.contains(&found));
        if session.sound.get().is_none() && !session.left_out.get() {
            findings.diagnostics.extend(parameters::unused(&session));
        }
        let secrets = session.secrets.borrow();
        let secrets = secrets.iter().map(|(input, _)| input.clone()).collect();
        let addresses = sort_out(session.declarations.take()).0;
        Inputs {
            parameters: parameters::asked(&session),
            secrets,
            addresses: addresses.into_iter().map(|declared| declared.address).collect(),
            profiles: session.profiles.take().into_keys().collect(),
            commands: session.commands.take().into_iter().map(|command| command.name).collect(),
            outputs: session.outputs.take(),
            findings,
        }
    }

    /// What is noted while the script goes on has no calls above it. Running again up to that
    /// finding, which is the same run, tells them.
    fn trace(
        &self,
        door: &Rc<Door>,
        session: &Session,
        (left, clock): &mut (usize, Clock),
        found: &mut [Diagnostic],
    ) {
        let indices = 0..session.ledger.borrow().len();
        for index in indices {
            let Some(noted) = session.ledger.borrow().get(index).cloned() else { break };
            if *left == 0 || !noted.trace.is_empty() || noted.severity() != Severity::Error {
                continue;
            }
            let place = found.iter().position(|finding| *finding == noted);
            let Some(place) = place.filter(|_| is_inside(session, &self.entry)) else {
                continue;
            };
            if clock.is_over() {
                break;
            }
            *left -= 1;
            let going_on = session.going_on.then(|| session.failing.clone());
            let again = self.attempt(door, Purpose::Trace(index, going_on), *clock);
            if let Some(traced) = again.ledger.borrow().get(index)
                && traced.message == noted.message
            {
                found[place].trace.clone_from(&traced.trace);
            }
        }
    }

    /// Adds what a run finds that goes on inside blocks, behind errors that the first one met.
    fn further(
        &self,
        door: &Rc<Door>,
        first: &Session,
        clock: Clock,
        found: &mut Vec<Diagnostic>,
    ) -> Option<Rc<Session>> {
        let is_done = |finding: &Diagnostic| finding.code == Code::Limit;
        if !first.left_out.get()
            || first.stopped.get()
            || first.ledger.borrow().iter().any(is_done)
            || first.enough.get().is_some()
        {
            return None;
        }
        let failing = first.failed_modules.borrow().clone();
        let second = self.attempt(door, Purpose::GoOn(failing), clock);
        let more = findings(&second).diagnostics.into_iter();
        // What it takes more is not the script's.
        for finding in more.filter(|finding| !is_done(finding)) {
            let same = |known: &&mut Diagnostic| {
                known.span == finding.span && known.message == finding.message
            };
            match found.iter_mut().find(same) {
                Some(known) if known.trace.is_empty() => known.trace = finding.trace,
                Some(_) => {}
                None => found.push(finding),
            }
        }
        Some(second)
    }

    /// One run of the script.
    fn attempt(&self, door: &Rc<Door>, purpose: Purpose, clock: Clock) -> Rc<Session> {
        let telling = self.telling && matches!(purpose, Purpose::Run);
        let (stop_at, going_on) = match purpose {
            Purpose::Run => (None, None),
            Purpose::Trace(index, going_on) => (Some(index), going_on),
            Purpose::GoOn(failing) => (None, Some(failing)),
        };
        let mut session = Session::new(
            self.stack.clone(),
            self.environment.clone(),
            self.registry.clone(),
            self.parameters.clone(),
            self.profiles.clone(),
            Rc::clone(door),
            stop_at,
        );
        session.discovering = self.discovering;
        session.telling = telling;
        session.clock = clock;
        if let Some(failing) = going_on {
            session.going_on = true;
            session.failing = failing;
        }
        let session = Rc::new(session);
        let mut engine = host::engine(&session, &self.entry);
        let mut absent = BTreeSet::new();
        loop {
            match loader::compile(&engine, &session, &self.entry) {
                Ok(compiled) => {
                    let scope = onward::run(&engine, &session, &self.entry, &compiled, &absent);
                    *session.handles.borrow_mut() = symbol::connections(&scope);
                    return session;
                }
                // Once it is there, with nothing in it, the script is read on.
                Err(NotCompiled::NoModule(name, _)) if absent.len() < MOST_ABSENT => {
                    engine.register_static_module(name.as_str(), rhai::Module::new().into());
                    absent.insert(name);
                }
                Err(NotCompiled::Unreadable(error)) => {
                    session.record(Diagnostic::new(Code::FileUnreadable, error.to_string()));
                    break;
                }
                Err(NotCompiled::Refused(_) | NotCompiled::NoModule(..)) => break,
            }
        }
        session.left_out.set(true);
        session
    }

    fn program(self, session: &Session) -> Program {
        let (declarations, dormant) = sort_out(session.declarations.take());
        Program {
            stack: self.stack,
            environment: self.environment,
            declarations,
            dormant: Dormant {
                declarations: dormant,
                discoveries: session.dormant_discoveries.take(),
                fate: self.profiles.dormant,
            },
            profiles: session.profiles.take(),
            secrets: known_secrets(session),
            parameters: parameters::asked(session),
            outputs: session.outputs.take(),
            discoveries: session.discoveries.take(),
            checks: session.checks.take(),
            moves: session.moves.take(),
            forgets: session.forgets.take(),
            handles: session.handles.take(),
            commands: session.commands.take(),
            warnings: warnings(session),
            messages: session.messages.take(),
            sources: sources(session),
            digests: session.digests.take(),
            normals: session.normals.take(),
        }
    }
}

/// What a script that waits for an answer has declared: all that says where to ask.
fn so_far(session: &Session) -> Program {
    let mut declarations = session.declarations.borrow().clone();
    forget_what_follows(&mut declarations);
    let (declarations, dormant) = sort_out(declarations);
    let mut program = Program {
        stack: session.stack.clone(),
        environment: session.environment.clone(),
        declarations,
        dormant: Dormant {
            declarations: dormant,
            discoveries: Vec::new(),
            fate: session.chosen.dormant,
        },
        profiles: session.profiles.borrow().clone(),
        secrets: known_secrets(session),
        moves: session.moves.borrow().clone(),
        forgets: session.forgets.borrow().clone(),
        sources: sources(session),
        ..Program::default()
    };
    forget_unmet_moves(&mut program);
    program
}

/// Orders findings as the entry is read: by their line in it, or by that of the call that led
/// to them. Those without a place come last.
fn in_order(findings: &mut [Diagnostic], entry: &str) {
    findings.sort_by_key(|finding| {
        let calls = finding.trace.iter().map(|(_, span)| span);
        let places = finding.span.iter().chain(calls);
        let place = places.into_iter().find(|span| &*span.file == entry);
        place.map_or(u32::MAX, |span| span.line)
    });
}

/// Whether a script has functions or imports at all: without, no finding has calls above it.
fn is_inside(session: &Session, entry: &str) -> bool {
    let sources = session.sources.borrow();
    sources.len() > 1 || sources.get(entry).is_some_and(|source| source.has_functions)
}

/// Of a script that has not run to its end, leaves out orders behind what it declares later.
fn forget_what_follows(declarations: &mut [Declaration]) {
    let known: BTreeSet<Address> =
        declarations.iter().map(|declaration| declaration.address.clone()).collect();
    for Declaration { lifecycle, .. } in declarations {
        let mut kept = Lifecycle::clone(lifecycle);
        kept.depends_on.retain(|address| known.contains(address));
        kept.after_healthy.retain(|address| known.contains(address));
        kept.replace_triggered_by.retain(|cause| known.contains(&cause.address));
        *lifecycle = kept.shared();
    }
}

/// The values of secrets that came from outside.
fn known_secrets(session: &Session) -> Vec<Value> {
    let mut values = parameters::secrets(session);
    values.extend(session.secrets.borrow().iter().filter_map(|(_, value)| value.clone()));
    values
}

/// What is planned, and what is dormant.
fn sort_out(declarations: Vec<Declaration>) -> (Vec<Declaration>, Vec<Declaration>) {
    let (dormant, mut active): (Vec<_>, Vec<_>) =
        declarations.into_iter().partition(|declaration| declaration.off.is_some());
    if !dormant.is_empty() {
        // A connection nobody declared is there for those who use it.
        let used: BTreeSet<_> = active.iter().filter_map(|d| d.connection.clone()).collect();
        active
            .retain(|declaration| !declaration.implicit || used.contains(&declaration.address));
    }
    (active, dormant)
}

/// What was found on the way to a program without errors.
fn warnings(session: &Session) -> Vec<Diagnostic> {
    let mut warnings = session.ledger.borrow().clone();
    warnings.extend(parameters::unused(session));
    let sources = session.sources.borrow();
    warnings.extend(sources.values().flat_map(|source| source.warnings.iter().cloned()));
    warnings
}

fn sources(session: &Session) -> Sources {
    let sources = session.sources.borrow();
    Sources(
        sources
            .iter()
            .map(|(file, source)| (Arc::clone(file), Arc::clone(&source.text)))
            .collect(),
    )
}

/// What was found. After a bad parameter the script ran on with a placeholder, so what came
/// later is left out, other parameters excepted.
fn findings(session: &Session) -> Findings {
    let ledger = session.ledger.borrow();
    let about = session.about_parameters.borrow();
    let sound = session.sound.get();
    let kept = ledger.iter().enumerate().filter(|(index, _)| match sound {
        Some(sound) => *index < sound || about.contains(index),
        None => true,
    });
    let mut diagnostics: Vec<_> = kept.map(|(_, finding)| finding.clone()).collect();
    // What was left out may ask for more.
    if sound.is_some() && !session.left_out.get() {
        diagnostics.extend(parameters::unused(session));
    }
    Findings { diagnostics, sources: sources(session) }
}
