//! `dollop discover`: the names of what exists, for a script that loops over them.

use std::collections::BTreeSet;

use super::{look, open, refused};
use crate::diagnostic::{Code, Diagnostic, Findings};
use crate::graph::Graph;
use crate::plan::Standing;
use crate::pool::Pool;
use crate::program::Discovery;
use crate::script::{Answers, Discovered};
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

/// Puts one question after the other, since a later one may depend on an earlier answer.
///
/// `declared` gives what the script declares with these answers up to its first question
/// without one; `before` is what is recorded by now; `kept` learns what was not asked.
///
/// # Errors
/// The script is wrong, a connection does not answer, or is yet to be made and there are no
/// names that could stand in.
pub async fn discover<E: From<Findings>>(
    declared: impl Fn(&Answers) -> Result<Graph, E>,
    before: &Answers,
    state: &State,
    pool: &Pool,
    kept: impl Fn(&Discovery, Kept),
) -> Result<Found, E> {
    let recorded = |discovery: &Discovery| {
        let of = discovery.question.to_string();
        before.get(&discovery.name).filter(|known| known.of == of).cloned()
    };
    // What is not there yet has its default for now, and no answer to be recorded.
    let (mut answers, mut supposed) = (Answers::new(), Answers::new());
    // What keeps its answer since its profile is off, and what a later line asks all the same.
    let (mut asleep, mut awake) = (BTreeSet::new(), BTreeSet::new());
    loop {
        let graph = declared(&supposed)?;
        let (known, dormant) =
            (&graph.program().discoveries, &graph.program().dormant.discoveries);
        if let Some(asked) = known.iter().find(|one| asleep.contains(&one.name)) {
            asleep.remove(&asked.name);
            answers.remove(&asked.name);
            supposed.remove(&asked.name);
            awake.insert(asked.name.clone());
            continue;
        }
        // Whoever turns the profile on finds the answers that they had. From those, more
        // questions of the profile may follow.
        let is_new = |name: &String| !supposed.contains_key(name) && !awake.contains(name);
        let fresh = dormant.iter().filter(|one| is_new(&one.name));
        let fresh: Vec<_> =
            fresh.filter_map(|one| Some((one.name.clone(), recorded(one)?))).collect();
        if !fresh.is_empty() {
            asleep.extend(fresh.iter().map(|(name, _)| name.clone()));
            answers.extend(fresh.iter().cloned());
            supposed.extend(fresh);
            continue;
        }
        let Some(open) = known.iter().find(|known| known.known.is_none()) else {
            let keep = dormant.iter().filter(|one| asleep.contains(&one.name));
            keep.for_each(|one| kept(one, Kept::Dormant));
            return Ok(Found { answers, questions: known.len(), dormant: dormant.len() });
        };
        let (name, of) = (open.name.clone(), open.question.to_string());
        if let Some(names) = ask(&graph, state, pool, open).await? {
            let answer = Discovered { of, names };
            answers.insert(name.clone(), answer.clone());
            supposed.insert(name, answer);
        } else if let Some(answer) = recorded(open) {
            kept(open, Kept::Answer);
            answers.insert(name.clone(), answer.clone());
            supposed.insert(name, answer);
        } else if let Some(names) = open.default.clone() {
            kept(open, Kept::Default);
            supposed.insert(name, Discovered { of, names });
        } else {
            return Err(not_yet(&graph, open).into());
        }
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

/// The names a discovery asks for, in order; `None` where the server is yet to be made or
/// changed. The service's own objects are left out; the stack's are not.
async fn ask(
    graph: &Graph,
    state: &State,
    pool: &Pool,
    discovery: &Discovery,
) -> Result<Option<Vec<String>>, Findings> {
    let question = &discovery.question;
    let world = look(graph, state, pool).await;
    let index = world.decisions.connection_index.get(&question.connection);
    let standing = index.map(|index| &world.decisions.connections[*index].standing);
    if matches!(standing, Some(Standing::Deferred(_))) {
        return Ok(None);
    }
    let through = world.connection(&question.connection)?;
    let line = open(graph, pool, &through).await?;
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
