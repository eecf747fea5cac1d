//! What scripts hold instead of values nobody knows yet.

use std::collections::BTreeMap;
use std::rc::Rc;

use rhai::{Dynamic, EvalAltResult, Map, Position, Scope};

use crate::address::Address;
use crate::expr::{Expr, Reference};
use crate::function::holds_secret;
use crate::kind::Registry;
use crate::path::{Path, Segment};
use crate::schema::{Schema, Type};

/// What native functions answer.
pub(super) type Answer<T> = Result<T, Box<EvalAltResult>>;

/// A value that is not known yet, or known and secret.
#[derive(Clone, Debug)]
pub(super) struct Symbol(pub(super) Rc<Expr>);

/// A declared resource or connection.
#[derive(Clone, Debug)]
pub(super) struct Handle(pub(super) Rc<Declared>);

/// What a [`Handle`] points at.
#[derive(Debug)]
pub(super) struct Declared {
    /// Its address.
    pub(super) address: Address,
    /// The connection it is reached through; `None` for a connection.
    pub(super) connection: Option<Address>,
    /// The kind: `postgres::role`.
    pub(super) kind: &'static str,
    /// Whether it has a `name` it can stand for.
    pub(super) natural: bool,
}

/// A finding that stops the script; the number is its place in the ledger.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refusal(pub(super) usize);

impl Symbol {
    /// Wraps an expression.
    pub(super) fn new(expr: Expr) -> Self {
        Self(Rc::new(expr))
    }
}

impl Handle {
    /// The reference it stands for when it is used as a value.
    pub(super) fn name(&self) -> Option<Expr> {
        self.0.natural.then(|| Expr::reference(self.0.address.clone(), Path::attribute("name")))
    }

    /// Whether it is a connection.
    pub(super) fn is_connection(&self) -> bool {
        self.0.connection.is_none()
    }
}

impl Refusal {
    /// Where what went wrong before is the likely reason: unwinds without a word.
    pub(super) const SILENT: Self = Self(usize::MAX);

    /// As an error that unwinds the script.
    pub(super) fn into_error(self) -> Box<EvalAltResult> {
        // Not `ErrorTerminated`: that one loses the calls it passes through. A script may
        // catch this one, to no avail: the finding stays in the ledger.
        EvalAltResult::ErrorRuntime(Dynamic::from(self), Position::NONE).into()
    }
}

/// The variables, or ways into one, that hold connections when a script has ended.
pub(super) fn connections(scope: &Scope) -> BTreeMap<Address, String> {
    let mut found = BTreeMap::new();
    let mut look = |way: String, value: &Dynamic| {
        let handle = value.read_lock::<Handle>().filter(|handle| handle.is_connection());
        if let Some(handle) = handle {
            found.entry(handle.0.address.clone()).or_insert(way);
        }
    };
    for (name, _, value) in scope.iter() {
        look(name.to_owned(), &value);
        // What a module of `std/` returns.
        for (key, inner) in value.read_lock::<Map>().iter().flat_map(|map| map.iter()) {
            look(format!("{name}.{key}"), inner);
        }
    }
    found
}

/// An expression as scripts see it: plain data when it is known and nothing in it is
/// secret, a symbol otherwise.
pub(super) fn to_dynamic(expr: Expr) -> Dynamic {
    match expr {
        Expr::Value(value) if !holds_secret(&value) => value_to_dynamic(value),
        other => Dynamic::from(Symbol::new(other)),
    }
}

fn value_to_dynamic(value: crate::value::Value) -> Dynamic {
    use crate::value::Value;
    match value {
        Value::Null => Dynamic::UNIT,
        Value::Bool(value) => value.into(),
        Value::Int(value) => value.into(),
        Value::Float(value) => value.into(),
        Value::String(text) => text.into(),
        Value::List(items) => {
            Dynamic::from_array(items.into_iter().map(value_to_dynamic).collect())
        }
        Value::Map(entries) => Dynamic::from_map(
            entries
                .into_iter()
                .map(|(key, value)| (key.into(), value_to_dynamic(value)))
                .collect(),
        ),
        Value::Secret(_) | Value::Ephemeral(_) => {
            Dynamic::from(Symbol::new(Expr::Value(value)))
        }
    }
}

/// The type a reference has, as far as the schema tells.
pub(super) fn type_of<'a>(registry: &'a Registry, reference: &Reference) -> Option<&'a Type> {
    let schema = registry.schema(reference.address.kind())?;
    let (first, rest) = reference.path.0.split_first()?;
    let Segment::Key(first) = first else { return None };
    step_all(attribute_type(schema, first)?.0, rest)
}

/// Whether something of this type is secret, and its type.
pub(super) fn attribute_type<'a>(schema: &'a Schema, name: &str) -> Option<(&'a Type, bool)> {
    schema.attribute(name).map(|attribute| (&attribute.ty, attribute.secret))
}

fn step_all<'a>(ty: &'a Type, path: &[Segment]) -> Option<&'a Type> {
    path.iter().try_fold(ty, step)
}

/// The type one step further in; `None` when it is not known or there is no such step.
pub(super) fn step<'a>(ty: &'a Type, segment: &Segment) -> Option<&'a Type> {
    match (ty, segment) {
        (Type::List(item), Segment::Index(_)) | (Type::Map(item), Segment::Key(_)) => {
            Some(item)
        }
        (Type::Object(attributes), Segment::Key(key)) => attributes.get(key).map(|a| &a.ty),
        (Type::Either(forms), _) => forms.iter().find_map(|form| step(form, segment)),
        (Type::Any, _) => Some(ty),
        _ => None,
    }
}
