//! Declaring a resource or a connection: what the generated functions do.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

use rhai::{Dynamic, NativeCallContext};

use super::check::either;
use super::convert::{Trouble, list_words, nameless};
use super::draft::{Draft, First};
use super::place::{self, Place};
use super::profile;
use super::replicas;
use super::session::{MOST_DECLARED, Session};
use super::symbol::{Answer, Declared, Handle};
use crate::address::Address;
use crate::diagnostic::{Code, Diagnostic, did_you_mean};
use crate::expr::Expr;
use crate::kind::{ConnectionKind, Kind, LOOKUP, SpecError, lookup_of, mark};
use crate::path::Path;
use crate::program::{Declaration, Lifecycle, Lookup};
use crate::resource::Naming;
use crate::value::Value;

/// `postgres::server("main", #{ .. })`.
pub(super) fn connection(
    session: &Session,
    context: &NativeCallContext,
    kind: &ConnectionKind,
    name: &Dynamic,
    attributes: Dynamic,
) -> Answer<Dynamic> {
    let mut draft = Draft::new(session, session.call(context), kind.name, &kind.schema);
    let first = draft.first(name)?;
    draft.read(attributes)?;
    draft.require();
    let components = session.components.borrow().clone();
    let address = Address::new(components, kind.name, vec![first.text]);
    if draft.findings.is_empty()
        && let Some(value) = draft.known()
    {
        match kind.dial.normalize(&value) {
            Err(error) => misfit(&mut draft, error),
            Ok(normal) if session.telling && draft.lifecycle.depends_on.is_empty() => {
                let spec = mark(normal, &kind.schema.spec);
                session.untold.borrow_mut().insert(address.clone(), spec);
            }
            Ok(_) => {}
        }
    }
    let declared = Declared { address, connection: None, kind: kind.name, natural: false };
    finish(draft, declared, None).map(Dynamic::from)
}

/// The kind of that short name, when it can live in what the handle stands for.
pub(super) fn kind_on<'s>(
    session: &'s Session,
    context: &NativeCallContext,
    on: &Handle,
    short: &str,
) -> Answer<&'s Kind> {
    let provider = on.0.address.provider();
    let kind = session.registry.kind(&format!("{provider}::{short}"));
    kind.filter(|kind| place::takes(on.0.kind, kind)).ok_or_else(|| {
        session.refuse(no_method(session, on.0.kind, short).at(session.span(context)))
    })
}

/// The finding for a method a handle does not have.
pub(super) fn no_method(session: &Session, on: &str, method: &str) -> Diagnostic {
    let registry = &session.registry;
    let finding =
        Diagnostic::new(Code::NoSuchCall, format!("a `{on}` has no function `{method}`"));
    let methods = place::methods(registry, on);
    let meant = match method.strip_suffix(LOOKUP) {
        Some(short) => did_you_mean(short, methods.iter().copied()).map(lookup_of),
        None => did_you_mean(method, methods.iter().copied()).map(str::to_owned),
    };
    if let Some(meant) = meant {
        return finding.hint(format!("did you mean `{meant}`?"));
    }
    // The kind exists, only not here.
    let provider = on.split("::").next().unwrap_or_default();
    if let Some(kind) = registry.kind(&format!("{provider}::{method}")) {
        let parents: Vec<_> = place::parents(kind).collect();
        return finding.hint(format!("call it on {}", either(&parents)));
    }
    if registry.schema(on).is_some_and(|schema| schema.attribute(method).is_some()) {
        return finding.hint(format!("`{method}` is an attribute: leave the parentheses out"));
    }
    if methods.is_empty() {
        finding.note(format!("nothing lives inside a `{on}`"))
    } else {
        finding.hint(format!("there are {}", list_words(&methods)))
    }
}

/// `docker::network("app", #{ .. })`, and `db.role("app", #{ .. })` on `db`.
pub(super) fn resource(
    session: &Session,
    context: &NativeCallContext,
    kind: &Kind,
    on: Option<&Handle>,
    name: &Dynamic,
    attributes: Dynamic,
) -> Answer<Dynamic> {
    let mut draft = Draft::new(session, session.call(context), kind.name, &kind.schema);
    let first = draft.first(name)?;
    draft.read(attributes)?;
    let place = place::place(&mut draft, kind, on);
    draft.require();
    if kind.traits.replicas
        && let Some(count) = replicas::count(&mut draft)
    {
        return replicas::declare(draft, kind, &place, &first, count);
    }
    one(draft, kind, place, &first).map(Dynamic::from)
}

/// Names one resource and writes its declaration down.
pub(super) fn one(
    mut draft: Draft,
    kind: &Kind,
    place: Place,
    first: &First,
) -> Answer<Handle> {
    let session = draft.session;
    let Place { connection, mut path } = place;
    path.push(first.text.clone());
    let components = session.components.borrow().clone();
    let address = Address::new(components, kind.name, path);
    let natural = kind.traits.naming == Naming::Natural;
    if natural {
        let stack = &session.stack;
        set_name(&mut draft, first, || kind.calls.default_name(stack, &address));
    }
    for (beside, attribute, value) in kind.traits.when_secret {
        let is_secret = draft.attributes.get(*beside).is_some_and(Expr::is_secret);
        if is_secret && !draft.is_given(attribute) {
            draft.attributes.insert((*attribute).to_owned(), Value::string(*value).into());
        }
    }
    if draft.findings.is_empty()
        && !draft.examined
        && !draft.session.guessing.get()
        && draft.is_known()
    {
        examine(&mut draft, kind, &address);
    }
    let declared = Declared { address, connection: Some(connection), kind: kind.name, natural };
    finish(draft, declared, None)
}

/// The real name: what `name:` says, the name of the handle, or `otherwise`.
pub(super) fn set_name(draft: &mut Draft, first: &First, otherwise: impl FnOnce() -> String) {
    if draft.is_given("name") {
        return;
    }
    let name = match &first.handle {
        None => Value::string(otherwise()).into(),
        Some(handle) => match handle.name() {
            Some(name) => name,
            None => {
                let (message, hint) = nameless(draft.session, handle);
                return draft.trouble(
                    Trouble::new(Code::NoValue, Path::attribute("name"), message).hint(hint),
                );
            }
        },
    };
    draft.attributes.insert("name".to_owned(), name);
}

/// The provider's own rules, for a spec that is known as a whole.
pub(super) fn examine(draft: &mut Draft, kind: &Kind, address: &Address) {
    let normal = match draft.session.normals.of(address, kind, &draft.attributes) {
        Err(error) => return misfit(draft, error),
        Ok(normal) => normal,
    };
    for problem in normal.problems(kind) {
        let path = Path::attribute(&problem.attribute);
        let trouble = Trouble::new(Code::Rule, path, problem.message.clone());
        draft.trouble(match &problem.hint {
            Some(hint) => trouble.hint(hint.clone()),
            None => trouble,
        });
    }
}

/// What the kind says against a spec.
pub(super) fn misfit(draft: &mut Draft, error: SpecError) {
    let message = format!("`{}` does not fit: {}", error.path, error.message);
    draft.trouble(Trouble::new(Code::AttributeType, error.path, message));
}

/// Writes the declaration down. What is wrong with it is noted and the script goes on, so
/// that one run finds as much as it can.
pub(super) fn finish(
    mut draft: Draft,
    declared: Declared,
    lookup: Option<Lookup>,
) -> Answer<Handle> {
    let session = draft.session;
    let address = declared.address.clone();
    draft.lifecycle.profiles.clone_from(&session.inside.borrow());
    let index = session.declarations.borrow().len();
    let other = session.positions.borrow().get(&address).copied();
    if let Some(other) = other {
        let span = session.declarations.borrow().get(other).map(|other| other.span.clone());
        if let Some(span) = span {
            draft.twice(&address, span);
        }
    } else {
        session.limit(index, MOST_DECLARED, "resources", &draft.call.span)?;
        let spans = draft.spans();
        let off = profile::off(session);
        if let Some(connection) = &declared.connection
            && off.is_none()
        {
            session.reaches(connection);
        }
        session.positions.borrow_mut().insert(address.clone(), index);
        session.declarations.borrow_mut().push(Declaration {
            address,
            connection: declared.connection.clone(),
            attributes: draft.attributes,
            lifecycle: draft.lifecycle.shared(),
            allow: draft.allow,
            clear: draft.clear,
            lookup,
            implicit: false,
            off,
            span: draft.call.span.clone(),
            spans,
        });
    }
    for finding in draft.findings {
        session.note(finding)?;
    }
    Ok(Handle(Rc::new(declared)))
}

/// The connection of a kind that has one without declaring it; declared when first used.
pub(super) fn default_connection(draft: &Draft, kind: &'static str) -> Address {
    let session = draft.session;
    let address = Address::new(Vec::new(), kind, vec!["default".to_owned()]);
    // Everything behind it holds the same one, which is quick to compare.
    let known =
        session.positions.borrow().get_key_value(&address).map(|(known, _)| known.clone());
    let address = known.unwrap_or(address);
    if !session.positions.borrow().contains_key(&address) {
        let mut declarations = session.declarations.borrow_mut();
        session.positions.borrow_mut().insert(address.clone(), declarations.len());
        declarations.push(Declaration {
            address: address.clone(),
            connection: None,
            attributes: crate::map::Map::new(),
            lifecycle: Lifecycle::plain(),
            allow: BTreeSet::new(),
            clear: Vec::new(),
            lookup: None,
            implicit: true,
            off: None,
            span: draft.call.span.clone(),
            spans: Arc::default(),
        });
    }
    address
}
