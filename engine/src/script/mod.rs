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
mod check;
mod component;
mod convert;
mod declare;
mod definitions;
mod draft;
mod errors;
mod functions;
mod guards;
mod host;
mod keys;
mod lifecycle;
mod loader;
mod lookup;
mod marks;
mod operators;
mod parameters;
mod place;
mod prelude;
mod rules;
mod session;
mod sources;
mod spans;
mod statements;
mod symbol;
mod text;
mod unused;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::{Arc, mpsc};

use crate::diagnostic::{Code, Diagnostic, Findings, Severity, Sources};
use crate::files::Files;
use crate::kind::Registry;
use crate::program::{Given, Program};
pub use definitions::definitions;
pub use functions::{Documented, library, reference as functions_reference};
pub use keys::{KEYS, Key};
use loader::NotCompiled;
use session::{Ask, Door, Session};

/// What a script is evaluated with.
pub struct Request<'a> {
    /// The stack's name.
    pub stack: &'a str,
    /// The script, relative to the project folder.
    pub entry: &'a str,
    /// The project's files.
    pub files: &'a dyn Files,
    /// What can be declared.
    pub registry: &'a Registry,
    /// Parameters from outside, by name; the caller has applied precedence.
    pub parameters: &'a BTreeMap<String, Given>,
}

/// Room for the deepest script the limits allow, and for Rhai's own recursion over nested
/// lists. Only what is used is taken from the system.
const STACK: usize = 512 << 20;

/// How many findings a failed run is repeated for, to learn the calls that led to them.
const MOST_TRACED: usize = 4;

/// Runs a script and returns what it declares.
///
/// A pure function of the request: no state, no clock, no environment, no network.
///
/// # Errors
/// Everything found wrong, not only the first.
pub fn evaluate(request: &Request<'_>) -> Result<Program, Findings> {
    let (ask, asked) = mpsc::channel::<Ask>();
    let (answer, answers) = mpsc::channel();
    let job = Job {
        stack: request.stack.to_owned(),
        entry: request.entry.to_owned(),
        registry: request.registry.clone(),
        parameters: request.parameters.clone(),
    };
    // A thread of its own: Rhai's functions live longer than `request`, and the stack must
    // hold the deepest recursion the limits allow, whatever thread the caller is on.
    std::thread::scope(|scope| {
        let worker = std::thread::Builder::new()
            .name("script".to_owned())
            .stack_size(STACK)
            .spawn_scoped(scope, move || job.run(Door { ask, answers }));
        let worker = match worker {
            Ok(worker) => worker,
            Err(error) => return Err(alone(format!("cannot start a thread: {error}"))),
        };
        // Ends when the worker drops its side.
        for question in asked {
            if answer.send(question.answer(request.files)).is_err() {
                break;
            }
        }
        worker.join().unwrap_or_else(|_| Err(alone("BUG: the script host panicked".to_owned())))
    })
}

fn alone(message: String) -> Findings {
    Findings {
        diagnostics: vec![Diagnostic::new(Code::Internal, message)],
        sources: Sources::default(),
    }
}

/// A request that owns what it holds.
struct Job {
    stack: String,
    entry: String,
    registry: Registry,
    parameters: BTreeMap<String, Given>,
}

impl Job {
    fn run(self, door: Door) -> Result<Program, Findings> {
        let door = Rc::new(door);
        let session = self.attempt(&door, None);
        if !session.failed() {
            return Ok(self.program(&session));
        }
        let mut findings = findings(&session);
        // What is noted while the script goes on has no calls above it. Running again up to
        // that finding, which is the same run, tells them.
        let indices: Vec<usize> = (0..session.ledger.borrow().len()).collect();
        let mut left = MOST_TRACED;
        for index in indices {
            let Some(noted) = session.ledger.borrow().get(index).cloned() else { break };
            if left == 0 || !noted.trace.is_empty() || noted.severity() != Severity::Error {
                continue;
            }
            let place = findings.diagnostics.iter().position(|finding| *finding == noted);
            let Some(place) = place.filter(|_| is_inside(&session, &self.entry)) else {
                continue;
            };
            left -= 1;
            let again = self.attempt(&door, Some(index));
            if let Some(traced) = again.ledger.borrow().get(index)
                && traced.message == noted.message
            {
                findings.diagnostics[place].trace.clone_from(&traced.trace);
            }
        }
        Err(findings)
    }

    /// One run of the script.
    fn attempt(&self, door: &Rc<Door>, stop_at: Option<usize>) -> Rc<Session> {
        let session = Rc::new(Session::new(
            self.stack.clone(),
            self.registry.clone(),
            self.parameters.clone(),
            Rc::clone(door),
            stop_at,
        ));
        let engine = host::engine(&session, &self.entry);
        match loader::compile(&engine, &session, &self.entry) {
            Ok(syntax) => {
                if let Err(error) = engine.run_ast(&syntax) {
                    errors::explain(&session, &engine, &error, &self.entry);
                }
            }
            Err(NotCompiled::Unreadable(error)) => {
                session.record(Diagnostic::new(Code::FileUnreadable, error.to_string()));
            }
            Err(NotCompiled::Refused(_)) => {}
        }
        session
    }

    fn program(self, session: &Session) -> Program {
        Program {
            stack: self.stack,
            declarations: session.declarations.take(),
            secrets: parameters::secrets(session),
            parameters: session
                .parameters
                .borrow()
                .iter()
                .map(|a| a.parameter.clone())
                .collect(),
            outputs: session.outputs.take(),
            checks: session.checks.take(),
            moves: session.moves.take(),
            forgets: session.forgets.take(),
            warnings: warnings(session),
            messages: session.messages.take(),
            sources: sources(session),
            digests: session.digests.take(),
        }
    }
}

fn warnings(session: &Session) -> Vec<Diagnostic> {
    let sources = session.sources.borrow();
    let unread = sources.values().flat_map(|source| source.unread.iter().cloned());
    parameters::unused(session).into_iter().chain(unread).collect()
}

/// Whether a script has functions or imports at all: without, no finding has calls above it.
fn is_inside(session: &Session, entry: &str) -> bool {
    let sources = session.sources.borrow();
    sources.len() > 1 || sources.get(entry).is_some_and(|source| source.has_functions)
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
    if sound.is_some() {
        diagnostics.extend(parameters::unused(session));
    }
    Findings { diagnostics, sources: sources(session) }
}
