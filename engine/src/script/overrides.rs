//! `override`: another layer sets attributes of what is declared already.
//!
//! The changes are merged into the declaration, and what they say keeps its own place in
//! the text, so that findings and plans point at the layer that set a value.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use rhai::{Dynamic, Engine, FuncRegistration, Map, NativeCallContext};

use super::check::{Checker, unknown_attribute};
use super::convert::{Converter, Trouble};
use super::declare;
use super::draft::Draft;
use super::lifecycle::KEYS;
use super::parameters::known_text;
use super::profile;
use super::session::Session;
use super::symbol::{Answer, Handle, Refusal};
use crate::address::Address;
use crate::diagnostic::{Code, Diagnostic, Span, did_you_mean};
use crate::expr::Expr;
use crate::path::{Path, Segment};
use crate::value::Value;

/// What becomes of a list that is there when another one comes.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Lists {
    Replace,
    Append,
    Unique,
    /// Maps with the same value under this key are merged.
    By(String),
}

/// Registers `override(on, changes)` and `override(on, changes, lists)`.
pub(super) fn register(engine: &mut Engine, session: &Rc<Session>) {
    let comment = "/// Sets attributes of what is declared already, given as a resource or its \
                   address. Maps are merged; `()` takes an attribute away; lists are replaced, \
                   or as the third argument says: `append`, `unique`, `by KEY`.";
    let here = Rc::clone(session);
    FuncRegistration::new("override")
        .with_params_info(["on: resource", "changes: map", "resource"])
        .with_comments([comment])
        .register_into_engine(
            engine,
            move |context: NativeCallContext, on: Dynamic, changes: Map| {
                change(&here, &context, &on, changes, &Dynamic::UNIT)
            },
        );
    let here = Rc::clone(session);
    FuncRegistration::new("override")
        .with_params_info(["on: resource", "changes: map", "lists: string", "resource"])
        .with_comments([comment])
        .register_into_engine(
            engine,
            move |context: NativeCallContext, on: Dynamic, changes: Map, lists: Dynamic| {
                change(&here, &context, &on, changes, &lists)
            },
        );
}

fn change(
    session: &Session,
    context: &NativeCallContext,
    on: &Dynamic,
    changes: Map,
    lists: &Dynamic,
) -> Answer<Dynamic> {
    let call = session.call(context);
    let lists = strategy(session, context, lists)?;
    let address = target(session, &call.at(&Path::attribute("name")), on)?;
    let registry = &session.registry;
    let kind = registry.kind(address.kind());
    let connection = registry.connection_kind(address.kind());
    let (Some(name), Some(schema)) = (
        kind.map(|kind| kind.name).or(connection.map(|kind| kind.name)),
        registry.schema(address.kind()),
    ) else {
        let finding =
            Diagnostic::new(Code::UnknownKind, format!("`{}` is no kind", address.kind()));
        return Err(session.refuse(finding.at(call.span.clone())));
    };
    let index = session.positions.borrow().get(&address).copied().unwrap_or_default();
    let mut draft = Draft::new(session, Rc::clone(&call), name, schema);
    let mut spans;
    {
        let declarations = session.declarations.borrow();
        let Some(declaration) = declarations.get(index) else { return Ok(on.clone()) };
        draft.attributes.clone_from(&declaration.attributes);
        draft.lifecycle.clone_from(&*declaration.lifecycle);
        draft.allow.clone_from(&declaration.allow);
        draft.clear.clone_from(&declaration.clear);
        spans = (*declaration.spans).clone();
    }
    let within = kind.map_or(&[][..], |kind| kind.traits.within);
    for (key, value) in changes {
        let path = Path::attribute(key.as_str());
        if KEYS.contains(&key.as_str()) {
            draft.lifecycle(&key, value, path.clone());
            set_spans(&mut spans, &call.spans, &path, &lists, false);
            continue;
        }
        if within.contains(&key.as_str()) {
            let message = format!("`{key}` is part of the address `{address}`");
            let hint = "declare it elsewhere instead of overriding where it lives";
            draft.trouble(Trouble::new(Code::DeclarationForm, path, message).hint(hint));
            continue;
        }
        let Some(merged) = set(&mut draft, &key, value, &path, &lists) else { continue };
        set_spans(&mut spans, &call.spans, &path, &lists, matches!(merged, Shape::Map));
    }
    if draft.findings.is_empty() && !session.guessing.get() && draft.is_known() {
        if let Some(kind) = kind {
            declare::examine(&mut draft, kind, &address);
        } else if let Some(connection) = connection
            && let Some(value) = draft.known()
            && let Err(error) = connection.dial.normalize(&value)
        {
            declare::misfit(&mut draft, error);
        }
    }
    if profile::off(session).is_none()
        && let Some(declaration) = session.declarations.borrow_mut().get_mut(index)
    {
        declaration.attributes = draft.attributes;
        declaration.lifecycle = draft.lifecycle.shared();
        declaration.allow = draft.allow;
        declaration.clear = draft.clear;
        spans.append(&mut draft.places);
        declaration.spans = Arc::new(spans);
    }
    for finding in draft.findings {
        session.note(finding)?;
    }
    Ok(on.clone())
}

fn strategy(session: &Session, context: &NativeCallContext, lists: &Dynamic) -> Answer<Lists> {
    if lists.is_unit() {
        return Ok(Lists::Replace);
    }
    let word = known_text(lists).unwrap_or_default();
    Ok(match word.as_str() {
        "replace" => Lists::Replace,
        "append" => Lists::Append,
        "unique" => Lists::Unique,
        other => match other.strip_prefix("by ").map(str::trim).filter(|key| !key.is_empty()) {
            Some(key) => Lists::By(key.to_owned()),
            None => {
                let message = format!("`{other}` does not say what becomes of lists");
                let hint = "write `\"replace\"`, `\"append\"`, `\"unique\"` or `\"by KEY\"`";
                let finding = Diagnostic::new(Code::DeclarationForm, message).hint(hint);
                return Err(session.refuse(finding.at(session.span(context))));
            }
        },
    })
}

/// The address that is meant; it is declared.
fn target(session: &Session, at: &Span, on: &Dynamic) -> Answer<Address> {
    let refuse = |finding: Diagnostic| Err(session.refuse(finding.at(at.clone())));
    let address = if let Some(handle) = on.read_lock::<Handle>() {
        handle.0.address.clone()
    } else {
        let Some(text) = known_text(on) else {
            let message = "what is overridden is a resource, or its address as text";
            return refuse(Diagnostic::new(Code::DeclarationForm, message));
        };
        match text.parse::<Address>() {
            Ok(address) => address,
            Err(error) => {
                return refuse(Diagnostic::new(Code::DeclarationForm, error.to_string()));
            }
        }
    };
    let positions = session.positions.borrow();
    if positions.contains_key(&address) {
        return Ok(address);
    }
    if session.left_out.get() {
        // A statement that was left out may declare it.
        return Err(Refusal::SILENT.into_error());
    }
    let finding = Diagnostic::new(
        Code::NotDeclaredYet,
        format!("`{address}` is not declared before this"),
    );
    let known: Vec<String> = positions.keys().map(ToString::to_string).collect();
    refuse(match did_you_mean(&address.to_string(), known.iter().map(String::as_str)) {
        Some(meant) => finding.hint(format!("did you mean `{meant}`?")),
        None => finding.hint("override it after it is declared"),
    })
}

/// What an attribute has become.
enum Shape {
    Map,
    Other,
}

/// Sets one attribute; `None` when that is not possible.
fn set(
    draft: &mut Draft,
    key: &str,
    value: Dynamic,
    path: &Path,
    lists: &Lists,
) -> Option<Shape> {
    let Some(attribute) = draft.schema.spec.get(key) else {
        let message = format!("`{}` has no attribute `{key}`", draft.kind);
        let names: Vec<String> = KEYS.iter().map(|name| (*name).to_owned()).collect();
        let names = draft.schema.spec.keys().chain(&names);
        draft.trouble(unknown_attribute(
            &draft.session.registry,
            draft.kind,
            Trouble::new(Code::UnknownAttribute, path.clone(), message),
            key,
            names,
        ));
        return None;
    };
    let mut converter = Converter::new(draft.session, path.clone());
    let new = converter.expr(value);
    let (mut troubles, handles) = (converter.troubles, converter.handles);
    if troubles.is_empty() && new == Expr::NULL {
        if attribute.required || key == "name" {
            let message = format!("`{}` needs `{key}`: it cannot be taken away", draft.kind);
            draft.trouble(Trouble::new(Code::MissingAttribute, path.clone(), message));
            return None;
        }
        draft.attributes.remove(key);
        return Some(Shape::Other);
    }
    draft.clear.retain(|(place, _)| !place.is_within(path));
    if attribute.secret
        && let Expr::Value(Value::String(text)) = &new
        && !text.is_empty()
    {
        draft.clear.push((path.clone(), text.clone()));
    }
    let merged = merge(draft.attributes.get(key).cloned(), new, lists);
    if troubles.is_empty() {
        let (registry, kind) = (&draft.session.registry, draft.kind);
        let mut checker = Checker { registry, kind, handles: &handles, troubles };
        checker.attribute(&merged, attribute, path);
        troubles = checker.troubles;
    }
    if !troubles.is_empty() {
        for trouble in troubles {
            draft.trouble(trouble);
        }
        return None;
    }
    let shape = if entries(&merged).is_some() { Shape::Map } else { Shape::Other };
    let merged = if attribute.secret { merged.secret() } else { merged };
    draft.attributes.insert(key.to_owned(), merged);
    Some(shape)
}

/// Puts the places of what was overridden over those of the declaration.
fn set_spans(
    spans: &mut BTreeMap<Path, Span>,
    new: &BTreeMap<Path, Span>,
    path: &Path,
    lists: &Lists,
    is_map: bool,
) {
    let below = |other: &Path| other.0.starts_with(&path.0);
    if !is_map && *lists == Lists::Replace {
        spans.retain(|other, _| !below(other));
    }
    let places = new.iter().filter(|(other, _)| below(other));
    // Items that follow others are not where their own list has them.
    let kept = places.filter(|(other, _)| {
        *lists == Lists::Replace || other.0.iter().all(|part| matches!(part, Segment::Key(_)))
    });
    for (other, span) in kept {
        // What stays of a map keeps its place; the map itself is both.
        if is_map && other == path && spans.contains_key(path) {
            continue;
        }
        spans.insert(other.clone(), span.clone());
    }
}

fn merge(old: Option<Expr>, new: Expr, lists: &Lists) -> Expr {
    let Some(old) = old else { return without_nothing(new) };
    let (old, was_secret) = peel(old);
    let (new, is_secret) = peel(new);
    let merged = if let (Some(mut map), Some(changes)) = (entries(&old), entries(&new)) {
        for (key, change) in changes {
            if change == Expr::NULL {
                map.remove(&key);
                continue;
            }
            let merged = merge(map.remove(&key), change, lists);
            map.insert(key, merged);
        }
        Expr::map(map)
    } else if let (Some(had), Some(come)) = (items(&old), items(&new)) {
        Expr::list(combine(had, come, lists))
    } else {
        new
    };
    if was_secret || is_secret { merged.secret() } else { merged }
}

/// A map without the entries that say nothing.
fn without_nothing(expr: Expr) -> Expr {
    match entries(&expr) {
        Some(map) => {
            let kept = map.into_iter().filter(|(_, entry)| *entry != Expr::NULL);
            Expr::map(kept.map(|(key, entry)| (key, without_nothing(entry))).collect())
        }
        None => expr,
    }
}

fn combine(mut had: Vec<Expr>, come: Vec<Expr>, lists: &Lists) -> Vec<Expr> {
    match lists {
        Lists::Replace => return come,
        Lists::Append => had.extend(come),
        Lists::Unique => {
            for item in come {
                if !had.contains(&item) {
                    had.push(item);
                }
            }
        }
        Lists::By(key) => {
            for item in come {
                let name = entries(&item).and_then(|entries| entries.get(key).cloned());
                let same = had.iter().position(|other| {
                    name.is_some()
                        && entries(other).and_then(|entries| entries.get(key).cloned()) == name
                });
                match same {
                    Some(at) => had[at] = merge(Some(had[at].clone()), item, lists),
                    None => had.push(item),
                }
            }
        }
    }
    had
}

/// Without the mark of a secret as a whole.
fn peel(expr: Expr) -> (Expr, bool) {
    match expr {
        Expr::Secret(inner) => (*inner, true),
        Expr::Value(Value::Secret(inner)) => (Expr::Value(*inner), true),
        other => (other, false),
    }
}

fn entries(expr: &Expr) -> Option<crate::map::Map<Expr>> {
    match expr {
        Expr::Map(entries) => Some(entries.clone()),
        Expr::Value(Value::Map(entries)) => Some(
            entries.iter().map(|(key, value)| (key.clone(), value.clone().into())).collect(),
        ),
        _ => None,
    }
}

fn items(expr: &Expr) -> Option<Vec<Expr>> {
    match expr {
        Expr::List(items) => Some(items.to_vec()),
        Expr::Value(Value::List(items)) => {
            Some(items.iter().map(|item| item.clone().into()).collect())
        }
        _ => None,
    }
}
