//! Values that are never kept: of one, storage holds a digest, enough to see that it changed.
//!
//! That is a matter of the type, not of care: an [`Ephemeral`] has one way out of the
//! process, its serialised form, and that is the digest.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use serde::{Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use crate::address::Address;
use crate::expr::{Expr, Reference};
use crate::graph::Graph;
use crate::kind::Registry;
use crate::map::Map;
use crate::path::Path;
use crate::plan::desired::desired;
use crate::plan::{CheckPlan, Plan};
use crate::program::Declaration;
use crate::schema::Schema;
use crate::store::State;
use crate::value::Value;

/// The key that carries the digest when a value is serialised for storage.
pub(crate) const EPHEMERAL_KEY: &str = "$ephemeral";

/// A value that is not kept.
#[derive(Clone, PartialEq)]
pub enum Ephemeral {
    /// The value, in this run.
    Known(Box<Value>),
    /// What an earlier run left of it: its digest, in hex.
    Digest(String),
}

impl Ephemeral {
    /// What is stored of it.
    pub fn digest(&self) -> String {
        match self {
            Self::Known(value) => digest(value),
            Self::Digest(digest) => digest.clone(),
        }
    }
}

/// A map with the one key [`EPHEMERAL_KEY`].
impl Serialize for Ephemeral {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map([(EPHEMERAL_KEY, self.digest())])
    }
}

/// The digest of a value, whatever marks it carries.
pub(crate) fn digest(value: &Value) -> String {
    let digest = Sha256::new()
        .chain_update(b"dollop ephemeral v1\0")
        .chain_update(value.to_json().to_string());
    hex::encode(digest.finalize())
}

/// How far a value may travel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Secrecy {
    /// It may be shown.
    #[default]
    Open,
    /// It is never shown, and sealed where it is kept.
    Secret,
    /// It is not kept either.
    Ephemeral,
}

/// The ephemeral values of this run, by digest: they fill in what earlier runs left of them.
#[derive(Default)]
pub struct Recall(HashMap<String, Value>);

impl Recall {
    /// Those a program was given and declares, also in the forms its kinds give them and
    /// together with what the state knows.
    pub fn of(graph: &Graph, registry: &Registry, state: &State) -> Self {
        let mut recall = Self::default();
        graph.program().secrets.iter().for_each(|value| recall.note(value));
        let is_ephemeral = |expr: &Expr| expr.secrecy() == Secrecy::Ephemeral;
        let forgets = |declared: &Declaration| {
            declared.attributes.values().any(is_ephemeral)
                || registry.schema(declared.address.kind()).is_some_and(Schema::forgets)
        };
        if !graph.in_order().any(forgets) {
            return recall;
        }
        let mut known: HashMap<&Address, Map<Expr>> = HashMap::new();
        for declaration in graph.in_order() {
            let lookup = |reference: &Reference| {
                let name = reference.path.first()?;
                if let Some(expr) = known.get(&reference.address).and_then(|all| all.get(name))
                {
                    return expr.follow(&Path(reference.path.0[1..].to_vec()));
                }
                let record = state.records.get(&reference.address)?;
                let found = reference.path.follow(&record.facts);
                found.or_else(|| reference.path.follow(&record.spec)).map(Expr::Value)
            };
            let attributes = declaration.attributes.iter();
            let attributes: Map<Expr> =
                attributes.map(|(name, expr)| (name.clone(), expr.resolve(&lookup))).collect();
            if attributes.values().any(is_ephemeral) || forgets(declaration) {
                for expr in attributes.values() {
                    recall.note_expr(expr);
                }
                let kind = declaration.address.kind();
                let normal = match (registry.kind(kind), registry.connection_kind(kind)) {
                    (Some(kind), _) => {
                        desired(&kind.schema, &attributes, &|spec| kind.calls.normalize(spec))
                    }
                    (_, Some(kind)) => {
                        desired(&kind.schema, &attributes, &|spec| kind.dial.normalize(spec))
                    }
                    _ => continue,
                };
                if let Ok(normal) = normal {
                    recall.note_expr(&normal.spec);
                }
            }
            known.insert(&declaration.address, attributes);
        }
        recall
    }

    /// Those in one value.
    pub fn of_value(value: &Value) -> Self {
        let mut recall = Self::default();
        recall.note(value);
        recall
    }

    fn note(&mut self, value: &Value) {
        match value {
            Value::Ephemeral(Ephemeral::Known(inner)) => {
                self.0.insert(digest(inner), (**inner).clone());
            }
            Value::Secret(inner) => self.note(inner),
            Value::List(items) => items.iter().for_each(|item| self.note(item)),
            Value::Map(entries) => entries.values().for_each(|item| self.note(item)),
            _ => {}
        }
    }

    fn note_expr(&mut self, expr: &Expr) {
        match expr {
            Expr::Value(value) => self.note(value),
            Expr::List(items) | Expr::Call(_, items) => {
                for item in items.iter() {
                    self.note_expr(item);
                }
            }
            Expr::Map(entries) => entries.values().for_each(|item| self.note_expr(item)),
            Expr::Secret(inner) => self.note_expr(inner),
            Expr::Reference(_) => {}
        }
    }

    /// Whether a state has servers of which something was not kept.
    pub fn forgets(state: &State) -> bool {
        state.records.values().any(|record| {
            record.connection.is_none()
                && (holds_digest(&record.spec)
                    || record.arguments.as_ref().is_some_and(expr_holds_digest))
        })
    }

    /// Whether there is nothing to fill in with.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Fills in what is known; what is not stays a digest.
    pub fn fill(&self, value: &mut Value) {
        match value {
            Value::Ephemeral(ephemeral) => {
                if let Ephemeral::Digest(digest) = ephemeral
                    && let Some(known) = self.0.get(digest)
                {
                    *ephemeral = Ephemeral::Known(Box::new(known.clone()));
                }
            }
            Value::Secret(inner) => self.fill(inner),
            Value::List(items) => items.iter_mut().for_each(|item| self.fill(item)),
            Value::Map(entries)
                // Maps are shared; only one that changes is copied.
                if entries.values().any(holds_digest) => {
                    for (_, item) in entries {
                        self.fill(item);
                    }
                }
            _ => {}
        }
    }

    /// The same in all that a state remembers.
    pub fn fill_state(&self, state: &mut State) {
        if self.is_empty() {
            return;
        }
        for record in state.records.values_mut() {
            self.fill(&mut record.spec);
            self.fill(&mut record.facts);
            record.arguments.iter_mut().for_each(|arguments| self.fill_expr(arguments));
        }
    }

    /// The same in a plan that was saved. What it was made to replace may stay a digest.
    ///
    /// # Errors
    /// The addresses for which something is still missing that was there when it was made.
    pub fn fill_plan(&self, plan: &mut Plan) -> Result<(), BTreeSet<Address>> {
        let mut missing = BTreeSet::new();
        for connection in &mut plan.connections {
            self.fill_expr(&mut connection.spec);
            connection.arguments.iter_mut().for_each(|arguments| self.fill_expr(arguments));
            if expr_holds_digest(&connection.spec) {
                missing.insert(connection.address.clone());
            }
        }
        for change in &mut plan.changes {
            change.before.iter_mut().for_each(|before| self.fill(before));
            self.fill(&mut change.facts);
            if let Some(after) = &mut change.after {
                self.fill_expr(after);
                if expr_holds_digest(after) {
                    missing.insert(change.address.clone());
                }
            }
            for difference in &mut change.differences {
                difference.before.iter_mut().for_each(|before| self.fill(before));
                difference.after.iter_mut().for_each(|after| self.fill_expr(after));
            }
        }
        for CheckPlan { check, .. } in &mut plan.checks {
            self.fill_expr(&mut check.condition);
            self.fill_expr(&mut check.message);
        }
        plan.secrets.iter_mut().for_each(|secret| self.fill(secret));
        if missing.is_empty() { Ok(()) } else { Err(missing) }
    }

    /// The same inside an expression.
    pub fn fill_expr(&self, expr: &mut Expr) {
        match expr {
            Expr::Value(value) => self.fill(value),
            Expr::List(items) | Expr::Call(_, items) => {
                for item in Arc::make_mut(items) {
                    self.fill_expr(item);
                }
            }
            Expr::Map(entries) => {
                entries.into_iter().for_each(|(_, item)| self.fill_expr(item));
            }
            Expr::Secret(inner) => self.fill_expr(inner),
            Expr::Reference(_) => {}
        }
    }
}

/// What was recorded, filled in with what is told now.
pub(crate) fn told_again(recorded: &Value, told: Option<&Value>) -> Value {
    let mut value = recorded.clone();
    if let Some(told) = told.filter(|_| holds_digest(recorded)) {
        Recall::of_value(told).fill(&mut value);
    }
    value
}

/// Whether only a digest is left of some part of a value.
pub fn holds_digest(value: &Value) -> bool {
    match value {
        Value::Ephemeral(Ephemeral::Digest(_)) => true,
        Value::Secret(inner) => holds_digest(inner),
        Value::List(items) => items.iter().any(holds_digest),
        Value::Map(entries) => entries.values().any(holds_digest),
        _ => false,
    }
}

/// The same for an expression.
pub fn expr_holds_digest(expr: &Expr) -> bool {
    match expr {
        Expr::Value(value) => holds_digest(value),
        Expr::List(items) | Expr::Call(_, items) => items.iter().any(expr_holds_digest),
        Expr::Map(entries) => entries.values().any(expr_holds_digest),
        Expr::Secret(inner) => expr_holds_digest(inner),
        Expr::Reference(_) => false,
    }
}
