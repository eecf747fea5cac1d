//! The walk: in the order of the graph, what is to happen to each declaration.
//!
//! It is a pure function and runs several times while planning: what it cannot decide
//! because a connection was not opened yet, it names in [`Decisions::reads`]; the caller
//! reads that and walks again.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::address::Address;
use crate::ahead::Foreseen;
use crate::diagnostic::{Code, Diagnostic, did_you_mean};
use crate::expr::{Expr, Reference};
use crate::graph::Graph;
use crate::kind::Registry;
use crate::map::Map;
use crate::observed::Observed;
use crate::path::{Path, Segment};
use crate::plan::change::{Action, Change, Reason};
use crate::plan::conflicts::Territories;
use crate::plan::renaming::{Renaming, renamings};
use crate::plan::succession::made_first;
use crate::plan::{CheckPlan, ConnectionPlan, LookupPlan, Standing, misfit};
use crate::program::Declaration;
use crate::resource::{Name, Wanted};
use crate::schema::Schema;
use crate::store::{Record, State};
use crate::value::Value;

/// What the walk looks at.
#[derive(Clone, Copy)]
pub(crate) struct Inputs<'a> {
    pub(crate) graph: &'a Graph,
    pub(crate) state: &'a State,
    pub(crate) observed: &'a Observed,
    pub(crate) registry: &'a Registry,
    /// Whether the world may be looked at.
    pub(crate) refresh: bool,
    /// Whether everything is to go.
    pub(crate) destroy: bool,
    /// What is to be made anew on request.
    pub(crate) replace: &'a BTreeSet<Address>,
    /// What was read before this walk could ask for it.
    pub(crate) foreseen: &'a Foreseen,
}

/// One connection to open, and what to look for behind it.
#[derive(Debug)]
pub(crate) struct Reads {
    /// Its arguments, known.
    pub(crate) spec: Value,
    /// Whether something in the stack stands behind it, so that it may still be starting.
    pub(crate) managed: bool,
    /// Objects by kind.
    pub(crate) wanted: BTreeMap<String, Vec<Wanted<Value>>>,
    /// Declared objects of which too little is known to look for them.
    pub(crate) unchecked: Vec<Address>,
}

/// What the walk decided.
#[derive(Default)]
pub(crate) struct Decisions {
    /// Declared resources in the order of the graph, then undeclared ones, dependents first.
    pub(crate) changes: Vec<Change>,
    /// Where each is.
    pub(crate) index: HashMap<Address, usize>,
    /// Connections in the order of the graph, then undeclared ones.
    pub(crate) connections: Vec<ConnectionPlan>,
    pub(crate) connection_index: HashMap<Address, usize>,
    /// What stays in the state although its profile is off.
    pub(crate) kept_dormant: Vec<Address>,
    /// What to read before walking again; empty when everything is decided.
    pub(crate) reads: BTreeMap<Address, Reads>,
    /// What it would ask for and was read already: connection and object.
    pub(crate) foreseen: Vec<(Address, Address)>,
    /// Outputs with everything filled in that is known.
    pub(crate) outputs: Vec<(String, Expr)>,
    /// Look-ups in the order of the graph.
    pub(crate) lookups: Vec<LookupPlan>,
    /// How the checks stand.
    pub(crate) checks: Vec<CheckPlan>,
    /// What is wrong.
    pub(crate) diagnostics: Vec<Diagnostic>,
    pub(crate) warnings: Vec<Diagnostic>,
}

/// What later declarations may know of an earlier one.
pub(crate) struct Resolved {
    /// Its spec in normal form.
    pub(crate) spec: Expr,
    /// What may be used of its facts.
    pub(crate) facts: Facts,
    /// Whether this will not change when more is read.
    pub(crate) settled: bool,
    /// Whether there is such an object, when it is looked up.
    pub(crate) presence: Presence,
}

/// Whether something that is looked up is there; what is declared is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    /// It is.
    Here,
    /// Nobody could look yet: what `spec` does not say is known later.
    Later,
    /// It is not, and need not be: every attribute is nothing.
    Absent,
}

/// What may be used of the facts of a resource.
pub(crate) enum Facts {
    /// All of them: nothing happens to it.
    All(Value),
    /// Those that do not change while the object lives.
    Stable(Value),
    /// None: it is made anew.
    None,
}

impl Facts {
    /// What a change leaves of what an object reports.
    pub(crate) fn usable(change: &Change) -> Self {
        match change.action {
            Action::Keep | Action::Adopt => Self::All(change.facts.clone()),
            Action::Update | Action::Verify => Self::Stable(change.facts.clone()),
            _ => Self::None,
        }
    }
}

pub(crate) struct Walk<'a> {
    pub(crate) inputs: Inputs<'a>,
    /// The records of the state, to be found quickly.
    pub(crate) records: HashMap<&'a Address, &'a Record>,
    pub(crate) decisions: Decisions,
    /// What is known of the declarations walked so far, by their places.
    pub(crate) resolved: Vec<Option<Resolved>>,
    /// Connections that are not open yet and may be once more is read.
    pub(crate) pending: BTreeSet<Address>,
    /// Where each object of a record without a declaration is recorded: connection, kind, id.
    pub(crate) undeclared_ids: HashMap<(Address, String, String), Address>,
    /// Who declares the object of a record without a declaration now, by the record's address.
    pub(crate) taken_over: HashMap<Address, Address>,
    /// Who declares which real object: connection, kind, and the names that identify it.
    pub(crate) claims: HashMap<(Address, &'static str, Vec<String>), Address>,
    /// Who decides about what beside that.
    pub(crate) territories: Territories,
    /// Whether an earlier run left something that has a successor.
    pub(crate) any_deposed: bool,
    /// What gets another name in place.
    pub(crate) renamings: Vec<Renaming>,
    /// What is made before its predecessor is removed because others are.
    pub(crate) made_first: HashSet<Address>,
}

/// Walks once.
pub(crate) fn decide(inputs: Inputs<'_>) -> Decisions {
    // A stack of many is no reason to grow, and copy, what holds them again and again.
    let declared = inputs.graph.in_order().len();
    let most = declared.max(inputs.state.records.len());
    let mut walk = Walk {
        inputs,
        records: inputs.state.records.iter().collect(),
        decisions: Decisions {
            changes: Vec::with_capacity(most),
            index: HashMap::with_capacity(most),
            ..Decisions::default()
        },
        resolved: std::iter::repeat_with(|| None).take(declared).collect(),
        pending: BTreeSet::new(),
        claims: HashMap::with_capacity(declared),
        territories: Territories::default(),
        undeclared_ids: undeclared_ids(inputs),
        taken_over: HashMap::new(),
        any_deposed: inputs.state.records.keys().any(Address::is_deposed),
        renamings: renamings(inputs.graph, inputs.state, inputs.registry),
        made_first: made_first(inputs.graph),
    };
    for declaration in inputs.graph.in_order() {
        if let Some(lookup) = &declaration.lookup {
            walk.lookup(declaration, *lookup);
        } else if declaration.connection.is_some() {
            walk.resource(declaration);
        } else {
            walk.connection(declaration);
        }
    }
    walk.undeclared();
    walk.leave_unasked();
    walk.outputs();
    walk.checks();
    walk.decisions
}

/// Where the objects of records without a declaration are recorded: by connection, kind, id.
pub(crate) fn undeclared_ids(
    inputs: Inputs<'_>,
) -> HashMap<(Address, String, String), Address> {
    if inputs.destroy {
        return HashMap::new();
    }
    let gone =
        inputs.state.records.values().filter(|record| {
            !record.id.is_empty() && inputs.graph.get(&record.address).is_none()
        });
    gone.filter_map(|record| {
        let key =
            (record.connection.clone()?, record.address.kind().to_owned(), record.id.clone());
        Some((key, record.address.clone()))
    })
    .collect()
}

impl Walk<'_> {
    /// The attributes of a declaration with everything filled in that is known by now.
    pub(crate) fn resolve(&mut self, declaration: &Declaration) -> Map<Expr> {
        let problems = RefCell::new(Vec::new());
        let attributes = Expr::filled(&declaration.attributes, &|name, reference| {
            self.look_up(reference).unwrap_or_else(|problem| {
                let span = declaration.span_of(&Path::attribute(name)).clone();
                problems.borrow_mut().push(problem.at(span));
                None
            })
        });
        for (name, expr) in attributes.iter().filter(|(_, expr)| expr.known().is_none()) {
            let found = expr.undecided();
            let span = || declaration.span_of(&Path::attribute(name)).clone();
            problems.borrow_mut().extend(found.map(|found| found.finding(span())));
        }
        self.decisions.diagnostics.extend(problems.into_inner());
        attributes
    }

    fn outputs(&mut self) {
        let graph = self.inputs.graph;
        for output in &graph.program().outputs {
            let problems = RefCell::new(Vec::new());
            let value = output.value.resolve(&|reference| {
                self.look_up(reference).unwrap_or_else(|problem| {
                    problems.borrow_mut().push(problem.at(output.span.clone()));
                    None
                })
            });
            self.decisions.diagnostics.extend(problems.into_inner());
            let undecided = value.undecided().map(|found| found.finding(output.span.clone()));
            self.decisions.diagnostics.extend(undecided);
            let misfit = value.known().and_then(|known| misfit(&output.name, output.ty, known));
            self.decisions
                .diagnostics
                .extend(misfit.map(|found| found.at(output.span.clone())));
            self.decisions.outputs.push((output.name.clone(), value));
        }
    }

    /// The value of a reference, as far as the walk knows it.
    pub(crate) fn look_up(
        &self,
        reference: &Reference,
    ) -> Result<Option<Expr>, Box<Diagnostic>> {
        let Some(target) = self.resolved(&reference.address) else {
            return Ok(None);
        };
        let Some(attribute) = reference.path.first() else {
            return Ok(None);
        };
        let schema = self.inputs.registry.schema(reference.address.kind());
        let Some(schema) = schema else { return Ok(None) };
        if target.presence == Presence::Absent {
            return Ok(Some(Expr::NULL));
        }
        if schema.spec.contains_key(attribute) {
            return match target.spec.follow(&reference.path) {
                Some(Expr::Reference(same)) if same == *reference => Ok(None),
                Some(value) => Ok(Some(value)),
                None if target.presence == Presence::Later => Ok(None),
                // Which of several values it is comes later.
                None if target.spec.may_hold(&reference.path) => Ok(None),
                None => Err(Box::new(missing(reference, target.spec.known()))),
            };
        }
        let facts = match &target.facts {
            Facts::All(facts) => facts,
            Facts::Stable(facts)
                if schema.facts.get(attribute).is_some_and(|fact| fact.stable) =>
            {
                facts
            }
            _ => return Ok(None),
        };
        match reference.path.follow(facts) {
            Some(value) => Ok(Some(Expr::Value(value))),
            None if !target.settled => Ok(None),
            None => Err(Box::new(missing(reference, Some(facts)))),
        }
    }

    /// What is known of a declaration that was walked already.
    pub(crate) fn resolved(&self, address: &Address) -> Option<&Resolved> {
        self.resolved.get(self.inputs.graph.place(address)?)?.as_ref()
    }

    /// Keeps in mind what is known of a declaration.
    pub(crate) fn keep(&mut self, address: &Address, resolved: Resolved) {
        let place = self.inputs.graph.place(address);
        if let Some(slot) = place.and_then(|place| self.resolved.get_mut(place)) {
            *slot = Some(resolved);
        }
    }

    pub(crate) fn push_change(&mut self, change: Change) {
        let index = self.decisions.changes.len();
        self.decisions.index.insert(change.address.clone(), index);
        self.decisions.changes.push(change);
    }

    pub(crate) fn push_connection(&mut self, connection: ConnectionPlan) {
        let index = self.decisions.connections.len();
        self.decisions.connection_index.insert(connection.address.clone(), index);
        self.decisions.connections.push(connection);
    }

    pub(crate) fn action(&self, address: &Address) -> Option<Action> {
        self.change(address).map(|change| change.action)
    }

    pub(crate) fn change(&self, address: &Address) -> Option<&Change> {
        self.decisions.index.get(address).map(|index| &self.decisions.changes[*index])
    }

    pub(crate) fn standing(&self, connection: &Address) -> Option<&Standing> {
        let index = self.decisions.connection_index.get(connection)?;
        Some(&self.decisions.connections[*index].standing)
    }

    pub(crate) fn name(&self, address: &Address, spec: &Value) -> Name {
        let natural = spec.get("name").and_then(Value::as_str);
        Name {
            stack: self.inputs.graph.program().stack.clone(),
            address: address.clone(),
            natural: natural.unwrap_or_else(|| address.name()).to_owned(),
        }
    }

    /// The first of a server's underpinnings that loses the data when what is decided
    /// happens: the container itself, unless it keeps its data elsewhere and that stays.
    pub(crate) fn data_lost(&self, dependencies: &[Address]) -> Option<Address> {
        for address in dependencies {
            let Some(change) = self.change(address) else { continue };
            // Gone already, and nobody declares it any more: nothing can be reached in it.
            if change.action == Action::Forget && !change.reasons.contains(&Reason::Retained) {
                return Some(address.clone());
            }
            let goes =
                matches!(change.action, Action::Replace | Action::Delete | Action::Cascade)
                    || (change.action == Action::Create
                        && self.inputs.state.records.contains_key(address));
            if !goes {
                continue;
            }
            let Some(kind) = self.inputs.registry.kind(address.kind()) else { continue };
            let recorded = self.inputs.state.records.get(address).map(|record| &record.spec);
            let spec = change.before.as_ref().or(recorded);
            let next = change.after.as_ref().and_then(Expr::known);
            if !spec.is_some_and(|spec| kind.calls.keeps_data(spec, next)) {
                return Some(address.clone());
            }
            let below = self.inputs.state.records.get(address);
            let below = below.map_or(&[][..], |record| &record.dependencies);
            for store in below.iter().chain(&change.dependencies) {
                let holds = self
                    .inputs
                    .registry
                    .kind(store.kind())
                    .is_some_and(|kind| kind.traits.holds_data);
                let lost = self.change(store).is_some_and(|change| {
                    matches!(change.action, Action::Replace | Action::Delete)
                        || (change.action == Action::Create
                            && self.inputs.state.records.contains_key(store))
                });
                if holds && lost {
                    return Some(store.clone());
                }
            }
        }
        None
    }
}

/// A fact that will never be there.
pub(crate) fn missing(reference: &Reference, among: Option<&Value>) -> Diagnostic {
    let message = format!("`{}` has no `{}`", reference.address, reference.path);
    let found = Diagnostic::new(Code::MissingFact, message);
    let Some(among) = among else { return found };
    let Some((last, parent)) = reference.path.0.split_last() else { return found };
    let parent = Path(parent.to_vec());
    let around = parent.follow(among);
    let Some(entries) = around.as_ref().and_then(Value::as_map) else { return found };
    let keys: Vec<&str> = entries.keys().map(String::as_str).collect();
    let near = match last {
        Segment::Key(key) => did_you_mean(key, keys.iter().copied()),
        Segment::Index(_) => None,
    };
    match near {
        Some(near) => found.hint(format!("did you mean `{near}`?")),
        None if keys.is_empty() => found.note(format!("`{parent}` is empty")),
        None => found.note(format!("`{parent}` has: {}", keys.join(", "))),
    }
}

/// The first attribute in a spec that is not known yet.
pub(crate) fn first_unknown(spec: &Expr, schema: &Schema) -> Option<String> {
    let Expr::Map(entries) = spec else { return None };
    entries
        .iter()
        .find(|(name, value)| value.known().is_none() && schema.spec.contains_key(*name))
        .map(|(name, _)| name.clone())
}
