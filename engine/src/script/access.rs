//! Reading attributes of resources: `pg.host_ports["5432/tcp"]`.

use rhai::{INT, ImmutableString, NativeCallContext};

use super::convert::list_words;
use super::marks;
use super::place;
use super::session::Session;
use super::symbol::{Answer, Handle, Symbol, attribute_type, step, type_of};
use crate::diagnostic::{Code, Diagnostic, did_you_mean};
use crate::expr::{Expr, Reference};
use crate::path::{Path, Segment};
use crate::schema::Type;
use crate::value::Value;

/// How many attributes a hint names.
const MOST_NAMED: usize = 16;

/// `net.id`.
pub(super) fn attribute(
    session: &Session,
    context: &NativeCallContext,
    handle: &Handle,
    name: &str,
) -> Answer<Symbol> {
    let kind = handle.0.kind;
    let refuse = |finding: Diagnostic| Err(session.refuse(finding.at(session.span(context))));
    let Some(schema) = session.registry.schema(kind) else {
        return refuse(Diagnostic::new(Code::UnknownKind, format!("`{kind}` is no kind")));
    };
    if let Some((_, secret)) = attribute_type(schema, name) {
        let expr = Expr::reference(handle.0.address.clone(), Path::attribute(name));
        return Ok(Symbol::new(if secret { expr.secret() } else { expr }));
    }
    let finding = Diagnostic::new(
        Code::NoSuchValue,
        format!("`{kind}` has no attribute `{}`", session.show(name)),
    );
    let names = || schema.facts.keys().chain(schema.spec.keys()).map(String::as_str);
    if let Some(meant) = did_you_mean(name, names()) {
        return refuse(finding.hint(format!("did you mean `{meant}`?")));
    }
    if place::methods(&session.registry, kind).contains(&name) {
        return refuse(finding.hint(format!("`{name}` is a function: write `.{name}(..)`")));
    }
    let all = names().count();
    let names: Vec<_> = names().take(MOST_NAMED).collect();
    refuse(if names.is_empty() {
        finding
    } else if all > names.len() {
        let (some, page) = (list_words(&names), kind.replace("::", "."));
        let more = all - names.len();
        finding.hint(format!("there are {some} and {more} more: `dollop doc {page}`"))
    } else {
        finding.hint(format!("there are {}", list_words(&names)))
    })
}

/// `symbol.key` or `symbol["key"]`.
pub(super) fn key(
    session: &Session,
    context: &NativeCallContext,
    symbol: &Symbol,
    key: &ImmutableString,
) -> Answer<Symbol> {
    if marks::is_marked(key) {
        let finding = Diagnostic::new(Code::NotKnown, "a key must be known text")
            .at(session.span(context));
        return Err(session.refuse(finding));
    }
    inside(session, context, symbol, Segment::Key(key.to_string()))
}

/// `symbol[0]`.
pub(super) fn index(
    session: &Session,
    context: &NativeCallContext,
    symbol: &Symbol,
    index: INT,
) -> Answer<Symbol> {
    match usize::try_from(index) {
        Ok(index) => inside(session, context, symbol, Segment::Index(index)),
        Err(_) => {
            let finding = Diagnostic::new(
                Code::NotKnown,
                "a list that is not known yet has no known end",
            )
            .hint("count from the beginning: 0, 1, ..");
            Err(session.refuse(finding.at(session.span(context))))
        }
    }
}

fn inside(
    session: &Session,
    context: &NativeCallContext,
    symbol: &Symbol,
    segment: Segment,
) -> Answer<Symbol> {
    let (reference, secret) = match &*symbol.0 {
        Expr::Reference(reference) => (reference, false),
        Expr::Secret(inner) => match &**inner {
            Expr::Reference(reference) => (reference, true),
            _ => return Err(no_parts(session, context, "computed text")),
        },
        Expr::Value(value) => return picked(session, context, value, segment),
        _ => return Err(no_parts(session, context, "computed text")),
    };
    if let Some(ty) = type_of(&session.registry, reference)
        && step(ty, &segment).is_none()
    {
        let finding = missing_step(reference, ty, &segment);
        return Err(session.refuse(finding.at(session.span(context))));
    }
    let mut longer = reference.clone();
    longer.path.0.push(segment);
    let expr = Expr::Reference(longer);
    Ok(Symbol::new(if secret { expr.secret() } else { expr }))
}

/// A part of a secret map or list that is known: as secret as the whole.
fn picked(
    session: &Session,
    context: &NativeCallContext,
    whole: &Value,
    segment: Segment,
) -> Answer<Symbol> {
    let what = match (whole.reveal(), &segment) {
        (Value::Map(_), Segment::Key(key)) => format!("a secret map has no `{key}`"),
        (Value::List(_), Segment::Index(_)) => "a secret list has no such item".to_owned(),
        _ => return Err(no_parts(session, context, "a secret")),
    };
    if let Some(part) = Path(vec![segment]).follow(whole) {
        return Ok(Symbol::new(Expr::Value(part)));
    }
    let finding = Diagnostic::new(Code::NoSuchValue, what).at(session.span(context));
    Err(session.refuse(finding))
}

fn no_parts(
    session: &Session,
    context: &NativeCallContext,
    what: &str,
) -> Box<rhai::EvalAltResult> {
    let finding = Diagnostic::new(Code::NotKnown, format!("{what} has no parts to pick from"));
    session.refuse(finding.at(session.span(context)))
}

fn missing_step(reference: &Reference, ty: &Type, segment: &Segment) -> Diagnostic {
    match (ty, segment) {
        (Type::Object(attributes), Segment::Key(key)) => {
            let finding =
                Diagnostic::new(Code::NoSuchValue, format!("`{reference}` has no `{key}`"));
            match did_you_mean(key, attributes.keys().map(String::as_str)) {
                Some(meant) => finding.hint(format!("did you mean `{meant}`?")),
                None => {
                    let names: Vec<_> = attributes.keys().collect();
                    finding.hint(format!("there are {}", list_words(&names)))
                }
            }
        }
        (Type::List(_), _) => {
            Diagnostic::new(Code::NoSuchValue, format!("`{reference}` is a list"))
                .hint("pick an item by number: `[0]`")
        }
        (Type::Map(_) | Type::Object(_), _) => {
            Diagnostic::new(Code::NoSuchValue, format!("`{reference}` is a map"))
                .hint("pick an entry by key: `[\"..\"]`")
        }
        (ty, _) => Diagnostic::new(
            Code::NoSuchValue,
            format!("`{reference}` is a {ty}: it has no parts"),
        ),
    }
}
