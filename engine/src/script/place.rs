//! Where a resource lives: its connection, and the resources around it.

use super::check::either;
use super::convert::Trouble;
use super::declare::default_connection;
use super::draft::Draft;
use super::symbol::Handle;
use crate::address::Address;
use crate::diagnostic::Code;
use crate::expr::{Expr, Reference};
use crate::kind::{Kind, Registry, short_name};
use crate::path::Path;
use crate::value::Value;

/// The place of a resource.
#[derive(Clone)]
pub(super) struct Place {
    /// What it is reached through.
    pub(super) connection: Address,
    /// The names before its own in its address.
    pub(super) path: Vec<String>,
}

/// Whether a kind can be declared by calling it on a handle of the kind `on`.
pub(super) fn takes(on: &str, kind: &Kind) -> bool {
    parents(kind).any(|parent| parent == on)
}

/// The kinds of handles a kind can be called on.
pub(super) fn parents(kind: &Kind) -> impl Iterator<Item = &str> {
    let within = kind.traits.within.iter().filter_map(|name| kind.schema.spec.get(*name));
    let inner = within.flat_map(|attribute| attribute.handle.iter().map(String::as_str));
    inner.chain([kind.connection])
}

/// What can be called on a handle of the kind `on`.
pub(super) fn methods<'a>(registry: &'a Registry, on: &str) -> Vec<&'a str> {
    registry.kinds().filter(|kind| takes(on, kind)).map(|kind| short_name(kind.name)).collect()
}

/// Finds the place of a resource and fills in the attributes that say so.
pub(super) fn place(draft: &mut Draft, kind: &Kind, on: Option<&Handle>) -> Place {
    let connection = connection(draft, kind, on);
    if let Some(parent) = on.filter(|handle| !handle.is_connection()) {
        fill(draft, kind, parent);
    }
    let mut path = Vec::new();
    if !is_default(draft.session, &connection) {
        // A server of another component brings its own way along, so that two servers of one
        // name stay apart.
        if *draft.session.components.borrow() != connection.components() {
            path.extend(connection.components().iter().cloned());
        }
        path.push(connection.name().to_owned());
    }
    for name in kind.traits.within {
        path.extend(around(draft, name, &connection));
    }
    Place { connection, path }
}

fn is_default(session: &super::session::Session, connection: &Address) -> bool {
    let kind = session.registry.connection_kind(connection.kind());
    connection.name() == "default" && kind.is_some_and(|kind| kind.implicit)
}

fn connection(draft: &mut Draft, kind: &Kind, on: Option<&Handle>) -> Address {
    if let Some(handle) = on {
        return handle.0.connection.clone().unwrap_or_else(|| handle.0.address.clone());
    }
    let session = draft.session;
    if session.registry.connection_kind(kind.connection).is_some_and(|kind| kind.implicit) {
        return default_connection(draft, kind.connection);
    }
    let short = short_name(kind.name);
    let parents: Vec<_> = parents(kind).collect();
    let message = format!("a `{}` is declared on {}", kind.name, either(&parents));
    let server = kind.connection;
    let hint = format!("call it on one: `let s = {server}(..); s.{short}(..)`");
    draft.trouble(Trouble::new(Code::WrongPlace, Path::default(), message).hint(hint));
    // A stand-in, so that the rest of the script is still read.
    Address::new(Vec::new(), kind.connection, vec!["?".to_owned()])
}

/// Fills in what calling the kind on a parent says.
fn fill(draft: &mut Draft, kind: &Kind, parent: &Handle) {
    let within = kind.traits.within;
    let accepts = |name: &&&str| {
        let attribute = kind.schema.spec.get(**name);
        attribute.is_some_and(|attribute| attribute.handle.iter().any(|k| k == parent.0.kind))
    };
    let Some(name) = within.iter().find(accepts) else { return };
    if draft.is_given(name) {
        let message = format!("`{name}` is set twice");
        let hint = format!("calling it on `{}` sets it already", parent.0.address);
        draft.trouble(
            Trouble::new(Code::WrongPlace, Path::attribute(*name), message).hint(hint),
        );
        return;
    }
    if let Some(reference) = parent.name() {
        draft.attributes.insert((*name).to_owned(), reference);
    }
    // What the parent itself lives in surrounds this one too.
    let session = draft.session;
    let positions = session.positions.borrow();
    let declarations = session.declarations.borrow();
    let above = positions.get(&parent.0.address).and_then(|index| declarations.get(*index));
    let Some(above) = above else { return };
    for name in within {
        let is_free = !draft.attributes.contains_key(*name) && !draft.is_given(name);
        if is_free && let Some(expr) = above.attributes.get(*name) {
            draft.attributes.insert((*name).to_owned(), expr.clone());
        }
    }
}

/// The part of the address an attribute contributes.
fn around(draft: &mut Draft, name: &str, connection: &Address) -> Option<String> {
    match draft.attributes.get(name)? {
        Expr::Value(Value::String(text)) => Some(text.clone()),
        Expr::Reference(reference) if is_name(reference) => {
            let address = reference.address.clone();
            let elsewhere = connection_of(draft, &address).filter(|other| other != connection);
            if let Some(other) = elsewhere {
                let message = format!("`{address}` lives in `{other}`, not in `{connection}`");
                draft.trouble(Trouble::new(Code::WrongPlace, Path::attribute(name), message));
            }
            Some(address.name().to_owned())
        }
        _ => {
            let message = format!("`{name}` must be known text or a resource");
            let trouble = Trouble::new(Code::WrongPlace, Path::attribute(name), message)
                .hint("it is part of the address, which must be known before anything is made");
            draft.trouble(trouble);
            None
        }
    }
}

fn is_name(reference: &Reference) -> bool {
    reference.path.0.len() == 1 && reference.path.first() == Some("name")
}

fn connection_of(draft: &Draft, address: &Address) -> Option<Address> {
    let positions = draft.session.positions.borrow();
    let declarations = draft.session.declarations.borrow();
    declarations.get(*positions.get(address)?)?.connection.clone()
}
