//! `dollop discover`: the names of what exists, for a script that loops over them.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use futures::future::LocalBoxFuture;

use super::{look, open, refused};
use crate::address::Address;
use crate::diagnostic::{Code, Diagnostic, Findings};
use crate::graph::{self, Graph};
use crate::plan::Standing;
use crate::pool::{Line, Pool};
use crate::program::{Discovery, Program};
use crate::script::{Answers, Discovered, Discoverer};
use crate::store::State;
use crate::value::Value;

/// What a stack discovers.
#[derive(Debug)]
pub struct Found {
    /// The answers, as they are to be recorded.
    pub answers: Answers,
    /// How many questions there are.
    pub questions: usize,
    /// How many more there are in profiles that are off.
    pub dormant: usize,
}

/// What stands where a question could not be put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// The recorded answer: its profile is off, so nobody asks.
    Dormant,
    /// The recorded answer: its server is yet to be made or changed.
    Answer,
    /// The default, which is not recorded: its server is yet to be made or changed.
    Default,
}

/// A look at the world, and what it finds: the names, or `None` where the server is yet to be
/// made or changed.
pub type Looking<'a> = LocalBoxFuture<'a, Looked>;

/// What [`Looking`] finds.
pub type Looked = Result<Option<Vec<String>>, Findings>;

/// Puts one question after the other while the script runs, since a later one may depend on an
/// earlier answer.
///
/// `declared` runs the script; `before` is what is recorded by now; `wait` looks until there
/// is something to say; `kept` learns what was not asked.
///
/// # Errors
/// The script is wrong, a connection does not answer, or is yet to be made and there are no
/// names that could stand in.
pub fn discover<E: From<Findings>>(
    declared: impl Fn(&dyn Discoverer) -> Result<Graph, E>,
    before: &Answers,
    state: &State,
    pool: &Pool,
    wait: &dyn Fn(Looking<'_>) -> Looked,
    kept: &dyn Fn(&Discovery, Kept),
) -> Result<Found, E> {
    let memory = RefCell::default();
    let inquiry = Inquiry { before, state, pool, wait, kept, memory };
    loop {
        let graph = declared(&inquiry);
        let mut memory = inquiry.memory.borrow_mut();
        // What a profile that is off was told is not what was found out later, and what went
        // wrong may be due to that: once more.
        if std::mem::take(&mut memory.woken) {
            memory.error = None;
            continue;
        }
        if let Some(error) = memory.error.take() {
            return Err(error.into());
        }
        let graph = graph?;
        let program = graph.program();
        let (known, dormant) = (&program.discoveries, &program.dormant.discoveries);
        for one in dormant.iter().filter(|one| memory.asleep.contains(&one.name)) {
            kept(one, Kept::Dormant);
        }
        let names: BTreeSet<&String> =
            known.iter().chain(dormant).map(|discovery| &discovery.name).collect();
        let mut answers = std::mem::take(&mut memory.answers);
        answers.retain(|name, _| names.contains(name));
        return Ok(Found { answers, questions: known.len(), dormant: dormant.len() });
    }
}

/// Answers a script while it runs.
struct Inquiry<'a> {
    before: &'a Answers,
    state: &'a State,
    pool: &'a Pool,
    wait: &'a dyn Fn(Looking<'_>) -> Looked,
    kept: &'a dyn Fn(&Discovery, Kept),
    memory: RefCell<Memory>,
}

/// What is known by now.
#[derive(Default)]
struct Memory {
    /// What the script was told; of what is not there yet its default.
    told: Answers,
    /// What is to be recorded.
    answers: Answers,
    /// What keeps its answer since its profile is off.
    asleep: BTreeSet<String>,
    /// What a later line asked all the same.
    awake: BTreeSet<String>,
    /// Whether that happened in this run.
    woken: bool,
    lines: Lines,
    /// Why a run ended at a question.
    error: Option<Findings>,
}

impl Memory {
    /// Forgets what was found out with the recorded answer to this question: another one may be
    /// what a server stands on.
    fn wake(&mut self, name: &str) {
        self.awake.insert(name.to_owned());
        self.woken = true;
        let Self { told, answers, asleep, awake, lines, .. } = self;
        let stays =
            |other: &String| other != name && (asleep.contains(other) || awake.contains(other));
        told.retain(|other, _| stays(other));
        answers.retain(|other, _| stays(other));
        lines.clear();
    }

    /// What the script was told already.
    fn told(&self, discovery: &Discovery) -> Option<Vec<String>> {
        answer_in(&self.told, discovery).map(|told| told.names.clone())
    }
}

/// The answer to the same question among these.
fn answer_in<'a>(answers: &'a Answers, discovery: &Discovery) -> Option<&'a Discovered> {
    let of = discovery.question.to_string();
    answers.get(&discovery.name).filter(|known| known.of == of)
}

impl Discoverer for Inquiry<'_> {
    fn discover(&self, discovery: &Discovery, so_far: Program) -> Option<Vec<String>> {
        let name = &discovery.name;
        let mut memory = self.memory.borrow_mut();
        if memory.asleep.remove(name) {
            memory.wake(name);
        } else if let Some(told) = memory.told(discovery) {
            return Some(told);
        }
        let found = self.found(&mut memory, discovery, so_far);
        found.map_err(|error| memory.error = Some(error)).ok()
    }

    fn recorded(&self, discovery: &Discovery) -> Option<Vec<String>> {
        let mut memory = self.memory.borrow_mut();
        if let Some(told) = memory.told(discovery) {
            return Some(told);
        }
        // Whoever turns the profile on finds the answers that they had.
        let answer = answer_in(self.before, discovery)?;
        memory.asleep.insert(discovery.name.clone());
        memory.told.insert(discovery.name.clone(), answer.clone());
        memory.answers.insert(discovery.name.clone(), answer.clone());
        Some(answer.names.clone())
    }
}

impl Inquiry<'_> {
    /// Asks the world, or says what stands in.
    fn found(
        &self,
        memory: &mut Memory,
        discovery: &Discovery,
        so_far: Program,
    ) -> Result<Vec<String>, Findings> {
        let graph = graph::build(so_far)?;
        let lines = &mut memory.lines;
        let asked = ask(&graph, self.state, self.pool, discovery, lines);
        let asked = (self.wait)(Box::pin(asked))?;
        let name = discovery.name.clone();
        let of = discovery.question.to_string();
        let found = if let Some(names) = asked {
            Discovered { of, names }
        } else if let Some(answer) = answer_in(self.before, discovery) {
            (self.kept)(discovery, Kept::Answer);
            answer.clone()
        } else if let Some(names) = discovery.default.clone() {
            (self.kept)(discovery, Kept::Default);
            memory.told.insert(name, Discovered { of, names: names.clone() });
            return Ok(names);
        } else {
            return Err(not_yet(&graph, discovery));
        };
        memory.told.insert(name.clone(), found.clone());
        memory.answers.insert(name, found.clone());
        Ok(found.names)
    }
}

fn not_yet(graph: &Graph, discovery: &Discovery) -> Findings {
    let Discovery { name, question, .. } = discovery;
    let server = &question.connection;
    let message = format!("`{name}` cannot be discovered yet: `{server}` is not there");
    let found = Diagnostic::new(Code::NotDiscovered, message)
        .at(discovery.span.clone())
        .hint("give it a default, `#{ default: [] }`, apply, and discover then");
    refused(graph, found)
}

/// The connections questions went through so far; `None` for one that is yet to be made or
/// changed. What a connection stands on is declared before it, and so before the first
/// question to it: later lines of the script add nothing to that, so the world is looked at
/// once for each connection and not for each question.
type Lines = BTreeMap<Address, Option<Line>>;

/// The connection of a question.
async fn line<'l>(
    graph: &Graph,
    state: &State,
    pool: &Pool,
    address: &Address,
    lines: &'l mut Lines,
) -> Result<Option<&'l Line>, Findings> {
    if !lines.contains_key(address) {
        let world = look(graph, state, pool).await;
        let index = world.decisions.connection_index.get(address);
        let standing = index.map(|index| &world.decisions.connections[*index].standing);
        let line = if matches!(standing, Some(Standing::Deferred(_))) {
            None
        } else {
            let through = world.connection(address)?;
            Some(open(graph, pool, &through).await?)
        };
        lines.insert(address.clone(), line);
    }
    Ok(lines.get(address).and_then(Option::as_ref))
}

/// The names a discovery asks for, in order; `None` where the server is yet to be made or
/// changed. The service's own objects are left out; the stack's are not.
async fn ask(
    graph: &Graph,
    state: &State,
    pool: &Pool,
    discovery: &Discovery,
    lines: &mut Lines,
) -> Result<Option<Vec<String>>, Findings> {
    let question = &discovery.question;
    let Some(line) = line(graph, state, pool, &question.connection, lines).await? else {
        return Ok(None);
    };
    let Some(kind) = pool.registry().kind(&question.kind) else {
        let message = format!("this dollop knows no kind `{}`", question.kind);
        return Err(refused(graph, Diagnostic::new(Code::KindGone, message)));
    };
    let listed = kind.calls.list(&line.connection).await.map_err(|error| {
        let message = format!("cannot list what there is: {question}");
        let mut found = Diagnostic::new(Code::Unreadable, message)
            .at(discovery.span.clone())
            .note(error.message);
        found.hints.extend(error.hints);
        refused(graph, found)
    })?;
    let is_inside = |spec: &Value| {
        question
            .inside
            .iter()
            .all(|(attribute, name)| spec.get(attribute).and_then(Value::as_str) == Some(name))
    };
    let objects = listed.objects.iter().filter(|listed| !listed.built_in);
    let specs = objects.map(|listed| &listed.found.spec).filter(|spec| is_inside(spec));
    let names = specs.filter_map(|spec| spec.get("name").and_then(Value::as_str));
    let mut names: Vec<String> = names.map(str::to_owned).collect();
    names.sort();
    names.dedup();
    Ok(Some(names))
}
