//! `dollop import`: what exists behind a connection, as a script and as records.
//!
//! [`survey`] asks what there is, [`write`] puts what no script declares into words, and
//! [`adopt`] is what the state says once a script declares it. Nothing here changes anything.

mod compose;
mod discover;
mod names;
mod statement;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use futures::future::join_all;

use self::compose::{Place, compose};
pub use self::discover::{Found as Discoveries, Kept, Looked, Looking, discover};
use crate::address::Address;
use crate::ahead::Foreseen;
use crate::apply::{connection_record, record};
use crate::diagnostic::{Code, Diagnostic, Findings};
use crate::expr::Expr;
use crate::graph::Graph;
use crate::journal::Effect;
use crate::kind::{FoundObject, Kind, Registry, short_name};
use crate::map::Map;
use crate::observed::{Answer, Observation, Observed};
use crate::plan::conflicts::Territories;
use crate::plan::renaming::settled;
use crate::plan::{
    ConnectionPlan, Decisions, Inputs, Options, Plan, Standing, decide, plan, undeclared_ids,
    unusable,
};
use crate::pool::{Line, Pool};
use crate::program::Declaration;
use crate::refresh::refresh;
use crate::resource::{Need, Territory};
use crate::script::write::Writer;
use crate::store::State;
use crate::value::Value;

/// One object that exists.
#[derive(Clone)]
pub struct Existing {
    /// Its kind.
    pub kind: Kind,
    /// As it is, secrets marked.
    pub found: FoundObject,
    /// The service's own: looked up where something else needs it.
    pub built_in: bool,
    /// What its attributes do not say.
    pub remarks: Vec<String>,
    /// What must be there first, beside what its attributes name.
    pub needs: Vec<Need>,
    /// The same, as far as the stack declares it.
    pub after: BTreeSet<Address>,
}

/// What there is.
pub struct Survey {
    /// The connection it was found through.
    pub connection: ConnectionPlan,
    /// Objects that no script declares, in the order of their kinds.
    pub objects: Vec<Existing>,
    /// What cannot be declared, and why.
    pub left_out: Vec<String>,
}

/// Lists everything behind a connection that the stack does not declare.
///
/// # Errors
/// The connection cannot be used yet, does not answer, or a list cannot be had.
pub async fn survey(
    graph: &Graph,
    state: &State,
    pool: &Pool,
    connection: &Address,
) -> Result<Survey, Findings> {
    let world = look(graph, state, pool).await;
    let through = world.connection(connection)?;
    let line = open(graph, pool, &through).await?;
    let kinds: Vec<&Kind> = pool
        .registry()
        .kinds()
        .filter(|kind| kind.connection == connection.kind() && kind.calls.lists())
        .collect();
    let lists = kinds.iter().map(|kind| kind.calls.list(&line.connection));
    let lists = join_all(lists).await;
    let known = world.declared(connection);
    let territories = world.territories(connection);
    let (mut objects, mut left_out, mut problems) = (Vec::new(), Vec::new(), Vec::new());
    for (kind, list) in kinds.into_iter().zip(lists) {
        let list = match list {
            Ok(list) => list,
            Err(error) => {
                let what = short_name(kind.name);
                let message = format!("cannot list what there is of the kind `{what}`");
                let mut found =
                    Diagnostic::new(Code::Unreadable, message).note(error.message.clone());
                found.hints.extend(error.hints);
                problems.push(found);
                continue;
            }
        };
        left_out.extend(list.left_out);
        for listed in list.objects {
            if known.contains_key(&(kind.name, listed.found.id.as_str())) {
                continue;
            }
            let mut found = listed.found;
            found.spec = kind.mark_spec(found.spec);
            match decided(&territories, connection, kind, &found.spec) {
                Decided::Nothing => {}
                Decided::Part(why) => {
                    left_out.push(why);
                    continue;
                }
                Decided::All => continue,
            }
            found.facts = kind.mark_facts(found.facts, &found.spec);
            let problem = kind.calls.check(&found.spec).into_iter().next();
            if let Some(problem) = problem.filter(|_| !listed.built_in) {
                let what = words(kind, &found.spec);
                left_out.push(format!("{what}: {}", problem.message));
                continue;
            }
            let address = |need: &Need| {
                known.get(&(need.kind.as_str(), need.id.as_str())).copied().cloned()
            };
            let after = listed.needs.iter().filter_map(address).collect();
            let mut needs = listed.needs;
            needs.retain(|need| address(need).is_none());
            objects.push(Existing {
                kind: kind.clone(),
                found,
                built_in: listed.built_in,
                remarks: listed.remarks,
                needs,
                after,
            });
        }
    }
    leave_out(&mut objects, &mut left_out);
    if problems.is_empty() {
        Ok(Survey { connection: through.into_owned(), objects, left_out })
    } else {
        Err(Findings { diagnostics: problems, sources: graph.program().sources.clone() })
    }
}

/// How much of what an object does the stack decides about already.
enum Decided {
    Nothing,
    /// A part of it, in words: it cannot be written.
    Part(String),
    /// Everything: it is no object of its own.
    All,
}

fn decided(
    territories: &Territories,
    connection: &Address,
    kind: &Kind,
    spec: &Value,
) -> Decided {
    let all = kind.calls.territory(spec);
    let taken = |one: &Territory| {
        let by = territories.owner(connection, &one.path)?;
        Some(format!("a {}: `{by}` decides about {}", short_name(kind.name), one.what))
    };
    let mut taken: Vec<_> = all.iter().filter_map(taken).collect();
    match taken.len() {
        0 => Decided::Nothing,
        many if many == all.len() => Decided::All,
        _ => Decided::Part(taken.remove(0)),
    }
}

/// Leaves out what needs something that is neither declared nor going to be.
fn leave_out(objects: &mut Vec<Existing>, left_out: &mut Vec<String>) {
    loop {
        let there: HashSet<(String, String)> = objects
            .iter()
            .map(|object| (object.kind.name.to_owned(), object.found.id.clone()))
            .collect();
        let many = objects.len();
        objects.retain(|object| {
            let is_there = |need: &&Need| there.contains(&(need.kind.clone(), need.id.clone()));
            let mut needs = object.needs.iter().filter(|need| !need.only_first);
            let missing = needs.find(|need| !is_there(need));
            if let Some(missing) = missing.filter(|_| !object.built_in) {
                let what = words(&object.kind, &object.found.spec);
                left_out.push(format!("{what}: it needs {}, which is not", missing.what));
                return false;
            }
            true
        });
        if objects.len() == many {
            return;
        }
    }
}

/// Everything behind a connection, in the service's own form ([`Connection::export`]).
///
/// # Errors
/// The connection cannot be used yet or does not answer, or there is no such form.
///
/// [`Connection::export`]: crate::resource::Connection::export
pub async fn export(
    graph: &Graph,
    state: &State,
    pool: &Pool,
    connection: &Address,
) -> Result<String, Findings> {
    let world = look(graph, state, pool).await;
    let through = world.connection(connection)?;
    let line = open(graph, pool, &through).await?;
    let kind = pool.registry().connection_kind(connection.kind());
    let Some(kind) = kind else { return Err(not_yet(graph, connection)) };
    kind.dial
        .export(&line.connection)
        .await
        .map_err(|error| refused(graph, unusable(connection, &through.target, &error, false)))
}

/// Opens a connection; tries once.
async fn open(graph: &Graph, pool: &Pool, through: &ConnectionPlan) -> Result<Line, Findings> {
    let ConnectionPlan { address, target, .. } = through;
    let Some(spec) = through.spec.known() else { return Err(not_yet(graph, address)) };
    let line = pool.line(address, spec, std::time::Duration::ZERO).await;
    line.map_err(|error| refused(graph, unusable(address, target, &error, false)))
}

/// ``queue `orders` ``.
fn words(kind: &Kind, spec: &Value) -> String {
    let what = short_name(kind.name);
    match spec.get("name").and_then(Value::as_str) {
        Some(name) => format!("{what} `{name}`"),
        None => format!("a {what}"),
    }
}

/// A script for what there is.
pub struct Written {
    /// The statements, to be appended to the script or put into a function of a module.
    pub text: String,
    /// What it declares, in order.
    pub addresses: Vec<Address>,
    /// The secret parameters it asks for, with their values.
    pub secrets: BTreeMap<String, Value>,
}

/// How a script is put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form<'a> {
    /// Statements that follow those of the script, on the variable of the connection;
    /// `None` for one that need not be declared, here as below.
    Statements(Option<&'a str>),
    /// A function `declare` of a module, with the connection as parameter of that name.
    Module(Option<&'a str>),
}

/// Writes the script of what a survey found.
pub fn write(graph: &Graph, pool: &Pool, survey: &Survey, form: Form<'_>) -> Written {
    let (Form::Statements(on) | Form::Module(on)) = form;
    let connection = &survey.connection.address;
    let place = Place { registry: pool.registry(), graph, connection, on };
    let composed = compose(&place, &survey.objects);
    let writer = Writer::default();
    let target = &survey.connection.target;
    let mut text = Writer::comment(&format!(
        "What there was on {target}, as `dollop import {connection}` found it."
    ));
    text.push('\n');
    text.push_str(&match form {
        Form::Statements(_) => {
            writer.statements(composed.gathered.as_deref(), &composed.statements)
        }
        Form::Module(parameter) => {
            let parameter = parameter.unwrap_or_default();
            let secrets = composed.gathered.as_deref();
            writer.function(("declare", parameter), secrets, &composed.statements)
        }
    });
    if !survey.left_out.is_empty() {
        text.push('\n');
        text.push_str(&Writer::comment("Not imported:"));
        for left_out in &survey.left_out {
            text.push_str(&Writer::comment(&format!("- {left_out}")));
        }
    }
    let addresses = composed.declared.into_iter().map(|(address, _)| address).collect();
    Written { text, addresses, secrets: composed.secrets }
}

/// Narrows a survey down to one object, by the address it would have.
///
/// # Errors
/// There is no such object; the addresses there are.
pub fn only(
    graph: &Graph,
    pool: &Pool,
    survey: Survey,
    address: &Address,
) -> Result<Survey, Vec<Address>> {
    let connection = &survey.connection.address;
    let place = Place { registry: pool.registry(), graph, connection, on: Some("server") };
    let declared = compose(&place, &survey.objects).declared;
    let Some((_, wanted)) = declared.iter().find(|(known, _)| known == address) else {
        return Err(declared.into_iter().map(|(known, _)| known).collect());
    };
    let wanted = *wanted;
    let objects = survey.objects.into_iter().enumerate();
    let objects = objects.filter(|(index, object)| *index == wanted || object.built_in);
    let objects = objects.map(|(_, object)| object).collect();
    Ok(Survey { objects, left_out: Vec::new(), ..survey })
}

/// The connection an address stands for, or the one that what it names lives behind.
pub fn connection(graph: &Graph, registry: &Registry, address: &Address) -> Option<Address> {
    let known = |kind: &str, name: &str| {
        let mut connections =
            graph.in_order().filter(|declaration| declaration.connection.is_none());
        let found = connections
            .find(|found| found.address.kind() == kind && found.address.name() == name);
        found.map(|found| found.address.clone())
    };
    let implied = |kind: &str| Address::new(Vec::new(), kind, vec![DEFAULT.to_owned()]);
    if let Some(kind) = registry.connection_kind(address.kind()) {
        let default = kind.implicit && *address == implied(kind.name);
        let declared = graph.get(address).is_some();
        return (default || declared).then(|| address.clone());
    }
    let kind = registry.connection_kind(registry.kind(address.kind())?.connection)?;
    let named = known(kind.name, address.path().first()?);
    named.or_else(|| kind.implicit.then(|| implied(kind.name)))
}

/// The name of a connection that need not be declared.
const DEFAULT: &str = "default";

/// What the world looks like, and how the connections stand.
struct World<'a> {
    graph: &'a Graph,
    registry: &'a Registry,
    observed: Observed,
    decisions: Decisions,
    /// Where the objects of records without a declaration are recorded.
    undeclared: HashMap<(Address, String, String), Address>,
}

async fn look<'a>(graph: &'a Graph, state: &State, pool: &'a Pool) -> World<'a> {
    let options = Options::default();
    let observed = refresh(graph, state, pool, &options).await;
    let settled = settled(state, &observed.renamed, pool.registry());
    let inputs = Inputs {
        graph,
        state: &settled,
        observed: &observed,
        registry: pool.registry(),
        refresh: true,
        destroy: false,
        replace: &options.replace,
        foreseen: &Foreseen::default(),
    };
    let decisions = decide(inputs);
    let undeclared = undeclared_ids(inputs);
    World { graph, registry: pool.registry(), observed, decisions, undeclared }
}

impl World<'_> {
    /// A connection that can be used now.
    fn connection(&self, address: &Address) -> Result<Cow<'_, ConnectionPlan>, Findings> {
        let Some(index) = self.decisions.connection_index.get(address) else {
            if let Some(implied) = self.implied(address) {
                return Ok(Cow::Owned(implied));
            }
            let message = format!("`{address}` is not declared");
            let found = Diagnostic::new(Code::Undeclared, message)
                .hint("declare the server first; what is in it is what gets imported");
            return Err(refused(self.graph, found));
        };
        let through = &self.decisions.connections[*index];
        match (&through.standing, self.observed.connections.get(address)) {
            (_, Some(Answer::Failed(error))) => {
                Err(refused(self.graph, unusable(address, &through.target, error, false)))
            }
            (Standing::Deferred(_), _) => Err(not_yet(self.graph, address)),
            _ => Ok(Cow::Borrowed(through)),
        }
    }

    /// The default connection of a kind that need not be declared, where nothing uses it.
    fn implied(&self, address: &Address) -> Option<ConnectionPlan> {
        let kind =
            self.registry.connection_kind(address.kind()).filter(|kind| kind.implicit)?;
        let spec = kind.dial.normalize(&Value::Map(Map::new())).ok()?;
        Some(ConnectionPlan {
            address: address.clone(),
            target: kind.dial.describe(&spec),
            spec: Expr::Value(spec),
            arguments: None,
            dependencies: Vec::new(),
            standing: Standing::Unused,
            implicit: true,
            declared: true,
        })
    }

    /// What the declarations behind a connection decide about.
    fn territories(&self, connection: &Address) -> Territories {
        let mut territories = Territories::default();
        for change in &self.decisions.changes {
            let declared = self.graph.get(&change.address);
            let behind =
                declared.is_some_and(|one| one.connection.as_ref() == Some(connection));
            let kind = self.registry.kind(change.address.kind()).filter(|_| behind);
            let (Some(kind), Some(after)) = (kind, change.after.as_ref().and_then(Expr::known))
            else {
                continue;
            };
            for territory in kind.calls.territory(after) {
                // A conflict among them is the plan's to tell.
                let _ = territories.enter(connection, &territory.path, &change.address);
            }
        }
        territories
    }

    /// The objects behind a connection that a script declares, by kind and id.
    fn declared(&self, connection: &Address) -> HashMap<(&str, &str), &Address> {
        let behind = self.graph.in_order().filter(|declaration| {
            declaration.lookup.is_none() && declaration.connection.as_ref() == Some(connection)
        });
        behind
            .filter_map(|declaration| {
                match self.observed.objects.get(&declaration.address)? {
                    Observation::Found(found) => {
                        let address = &declaration.address;
                        Some(((address.kind(), found.id.as_str()), address))
                    }
                    _ => None,
                }
            })
            .collect()
    }
}

fn not_yet(graph: &Graph, connection: &Address) -> Findings {
    let message = format!("`{connection}` can be used only once the stack is applied");
    let found = Diagnostic::new(Code::ConnectionUnusable, message)
        .hint("apply first what it stands on");
    refused(graph, found)
}

fn refused(graph: &Graph, found: Diagnostic) -> Findings {
    Findings { diagnostics: vec![found], sources: graph.program().sources.clone() }
}

/// What the state says once it knows what exists and is declared.
pub struct Adoption {
    /// The addresses it knows from then on, in order.
    pub adopted: Vec<Address>,
    /// How the state changes.
    pub effects: Vec<Effect>,
    /// The plan that follows, or why there is none.
    pub plan: Result<Plan, Findings>,
}

/// Finds what is declared, exists and is in no record yet, among the declarations that
/// `wanted` tells.
///
/// # Errors
/// A connection cannot be used yet or does not answer.
pub async fn adopt(
    graph: &Graph,
    state: &State,
    pool: &Pool,
    wanted: impl Fn(&Declaration) -> bool,
) -> Result<Adoption, Findings> {
    let world = look(graph, state, pool).await;
    let mut adopted = Vec::new();
    let mut effects = Vec::new();
    let mut connections = BTreeSet::new();
    for declaration in graph.in_order().filter(|declaration| wanted(declaration)) {
        let address = &declaration.address;
        let Some(connection) = declaration.connection.as_ref() else { continue };
        let known = state.records.get(address).is_some_and(|record| !record.interrupted);
        if known || declaration.lookup.is_some() {
            continue;
        }
        let through = world.connection(connection)?;
        let (Some(Observation::Found(found)), Some(index), Some(kind)) = (
            world.observed.objects.get(address),
            world.decisions.index.get(address),
            pool.registry().kind(address.kind()),
        ) else {
            continue;
        };
        if connections.insert(connection) && !through.implicit {
            let spec = through.spec.known().cloned().unwrap_or_default();
            effects.push(Effect::Put(Box::new(connection_record(&through, spec))));
        }
        let key = (connection.clone(), kind.name.to_owned(), found.id.clone());
        // The same object under an address that no script has any more.
        effects.extend(world.undeclared.get(&key).cloned().map(Effect::Remove));
        let change = &world.decisions.changes[*index];
        let spec = kind.mark_spec(found.spec.clone());
        let spec = match change.after.as_ref().and_then(Expr::known) {
            Some(after) => spec.marked_like(after),
            None => spec,
        };
        let facts = kind.mark_facts(found.facts.clone(), &spec);
        effects.push(Effect::Put(Box::new(record(change, found.id.clone(), spec, facts))));
        adopted.push(address.clone());
    }
    let mut after = state.clone();
    effects.iter().cloned().for_each(|effect| after.apply(effect));
    let plan = plan(graph, &after, &world.observed, pool.registry(), &Options::default());
    Ok(Adoption { adopted, effects, plan })
}
