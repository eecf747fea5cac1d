//! What a script says about the stack beside its resources: conditions that must hold, and
//! what becomes of records under other addresses.

use std::rc::Rc;

use percent_encoding::percent_decode_str;
use rhai::{Dynamic, Engine, FuncRegistration, Map, NativeCallContext};

use super::convert::Converter;
use super::parameters::known_text;
use super::session::Session;
use super::symbol::{Answer, Handle};
use crate::address::Address;
use crate::diagnostic::{Code, Diagnostic};
use crate::expr::{Expr, Function};
use crate::path::Path;
use crate::program::{Check, Move, Moved};
use crate::value::Value;

/// Registers a function with its documentation.
macro_rules! function {
    ($engine:ident, $session:ident, $name:literal, [$($parameter:literal),+], $doc:literal,
     |$here:ident, $context:ident, $($argument:ident),+| $body:expr) => {{
        let $here = Rc::clone($session);
        FuncRegistration::new($name)
            .with_params_info([$($parameter),+, "()"])
            .with_comments([concat!("/// ", $doc)])
            .register_into_engine(
                $engine,
                move |$context: NativeCallContext, $($argument: Dynamic),+| -> Answer<()> {
                    $body
                },
            );
    }};
}

/// Registers them all.
pub(super) fn register(engine: &mut Engine, session: &Rc<Session>) {
    function!(
        engine,
        session,
        "check",
        ["name: string", "condition: bool", "message: string"],
        "Stops the plan, or fails the apply, when a condition does not hold.",
        |here, context, name, condition, message| {
            check(&here, &context, &name, condition, message, Dynamic::UNIT)
        }
    );
    function!(
        engine,
        session,
        "check",
        ["name: string", "condition: bool", "message: string", "options: map"],
        "Says so when a condition does not hold; with `warn: true` it goes on.",
        |here, context, name, condition, message, options| {
            check(&here, &context, &name, condition, message, options)
        }
    );
    function!(
        engine,
        session,
        "moved",
        ["from: string", "to: resource"],
        "What was recorded under an address, or in a component, belongs to another now.",
        |here, context, from, to| moved(&here, &context, &from, &to)
    );
    function!(
        engine,
        session,
        "command",
        ["name: string", "options: map"],
        "Publishes a command, run by `dollop run NAME`; options are `container`, `command`, `doc`, `env`, `user`, `working_dir`.",
        |here, context, name, options| super::command::command(&here, &context, &name, options)
    );
    function!(
        engine,
        session,
        "forget",
        ["address: string"],
        "Lets go of what was recorded under an address; the world stays as it is.",
        |here, context, address| forget(&here, &context, &address)
    );
}

fn check(
    session: &Session,
    context: &NativeCallContext,
    name: &Dynamic,
    condition: Dynamic,
    message: Dynamic,
    options: Dynamic,
) -> Answer<()> {
    let call = session.call(context);
    let Some(name) = known_text(name).filter(|name| !name.is_empty()) else {
        let message = "the name of a check must be known text, and not empty";
        let finding =
            Diagnostic::new(Code::CheckForm, message).at(call.at(&Path::attribute("name")));
        return Err(session.refuse(finding));
    };
    let mut components = session.components.borrow().clone();
    components.push(name);
    let name = components.join("/");
    let mut warn = false;
    for (key, value) in options.flatten().try_cast::<Map>().unwrap_or_default() {
        match value.as_bool() {
            Ok(value) if key == "warn" => warn = value,
            _ => {
                let finding =
                    Diagnostic::new(Code::CheckForm, "the option of a check is `warn`, a bool")
                        .at(call.at(&Path::attribute(key.as_str())));
                session.note(finding)?;
            }
        }
    }
    let other = session.checks.borrow().iter().find(|c| c.name == name).map(|c| c.span.clone());
    if let Some(other) = other {
        let finding =
            Diagnostic::new(Code::CheckForm, format!("check `{name}` is declared twice"))
                .at(call.span.clone())
                .related(other, "first declared here");
        return session.note(finding);
    }
    let mut converter = Converter::new(session, Path::default());
    let (condition, message) = (converter.expr(condition), converter.expr(message));
    let mut findings: Vec<Diagnostic> = Vec::new();
    for trouble in converter.troubles {
        let mut finding =
            Diagnostic::new(Code::CheckForm, format!("check `{name}`: {}", trouble.message));
        finding.hints = trouble.hints;
        findings.push(finding);
    }
    if findings.is_empty() && !may_be_bool(session, &condition) {
        findings.push(
            Diagnostic::new(
                Code::CheckForm,
                format!("the condition of check `{name}` is not true or false"),
            )
            .hint("compare with `eq(a, b)`, `lt(a, b)`, `matches(text, pattern)` and the like"),
        );
    }
    for finding in findings {
        session.note(finding.at(call.span.clone()))?;
    }
    // What a profile that is off wants need not hold.
    if super::profile::off(session).is_some() {
        return Ok(());
    }
    let span = call.span.clone();
    session.checks.borrow_mut().push(Check { name, condition, message, warn, span });
    Ok(())
}

/// Whether it is, or may turn out to be, true or false.
fn may_be_bool(session: &Session, condition: &Expr) -> bool {
    match condition {
        Expr::Value(value) => matches!(value.reveal(), Value::Bool(_)),
        Expr::Secret(inner) => may_be_bool(session, inner),
        Expr::Call(function, arguments) => match function.alternatives(arguments) {
            Some(among) => among.iter().all(|one| may_be_bool(session, one)),
            None => function.is_condition() || *function == Function::Withheld,
        },
        Expr::List(_) | Expr::Map(_) => false,
        Expr::Reference(reference) => {
            use crate::schema::Type;
            let ty = super::symbol::type_of(&session.registry, reference);
            ty.is_none_or(|ty| matches!(ty, Type::Bool | Type::Any | Type::Either(_)))
        }
    }
}

fn moved(
    session: &Session,
    context: &NativeCallContext,
    from: &Dynamic,
    to: &Dynamic,
) -> Answer<()> {
    let what = match (component(from), component(to)) {
        (Some(from), Some(to)) => Moved::Component { from, to },
        _ => Moved::One {
            from: address(session, context, "moved", from)?,
            to: address(session, context, "moved", to)?,
        },
    };
    let call = session.call(context);
    let refuse = |finding: Diagnostic| session.note(finding.at(call.span.clone()));
    let (from, to) = names(&what);
    if from == to {
        return refuse(Diagnostic::new(Code::MoveForm, format!("`{from}` is moved to itself")));
    }
    if let Moved::One { from, to } = &what
        && from.kind() != to.kind()
    {
        let message = format!("a `{}` cannot become a `{}`", from.kind(), to.kind());
        let hint = "only the address changes; the object stays what it is";
        return refuse(Diagnostic::new(Code::MoveForm, message).hint(hint));
    }
    // Two components may become one; two objects may not.
    let merges = matches!(what, Moved::Component { .. });
    let moves = session.moves.borrow();
    let twice = moves.iter().map(|other| (names(&other.what), other.span.clone()));
    let twice = twice.into_iter().find(|((other_from, other_to), _)| {
        *other_from == from || (*other_to == to && !merges)
    });
    drop(moves);
    if let Some(((other_from, other_to), other)) = twice {
        let message = match (other_from == from, other_to == to) {
            (true, false) => format!("`{from}` is moved to two addresses"),
            (false, true) => format!("two addresses are moved to `{to}`"),
            _ => format!("`{from}` and `{to}` are moved more than once"),
        };
        return refuse(
            Diagnostic::new(Code::MoveForm, message).related(other, "moved here as well"),
        );
    }
    let span = call.span.clone();
    session.moves.borrow_mut().push(Move { what, span });
    Ok(())
}

/// Both sides of a move, as a script writes them.
fn names(what: &Moved) -> (String, String) {
    match what {
        Moved::One { from, to } => (from.to_string(), to.to_string()),
        Moved::Component { from, to } => (from.join("/"), to.join("/")),
    }
}

/// The names of components in `shop/web`; `None` for what is, or may be meant as, an address.
fn component(value: &Dynamic) -> Option<Vec<String>> {
    let text = known_text(value).filter(|text| !text.contains(':'))?;
    let text = text.strip_suffix('/').unwrap_or(&text);
    let mut names = Vec::new();
    for name in text.split('/').filter(|_| !text.is_empty()) {
        let name = percent_decode_str(name).decode_utf8().ok()?;
        if name.is_empty() {
            return None;
        }
        names.push(name.into_owned());
    }
    Some(names)
}

fn forget(session: &Session, context: &NativeCallContext, what: &Dynamic) -> Answer<()> {
    let what = address(session, context, "forget", what)?;
    let span = session.call(context).span.clone();
    if super::profile::off(session).is_none() {
        session.forgets.borrow_mut().insert(what, span);
    }
    Ok(())
}

/// An address as text, or that of a resource.
fn address(
    session: &Session,
    context: &NativeCallContext,
    function: &str,
    value: &Dynamic,
) -> Answer<Address> {
    if let Some(handle) = value.read_lock::<Handle>() {
        return Ok(handle.0.address.clone());
    }
    let finding = match known_text(value).map(|text| text.parse::<Address>()) {
        Some(Ok(address)) if session.registry.schema(address.kind()).is_some() => {
            return Ok(address);
        }
        Some(Ok(address)) => {
            let kind = address.kind().to_owned();
            let finding = Diagnostic::new(Code::MoveForm, format!("`{kind}` is no kind"));
            let kinds = session.registry.kinds().map(|kind| kind.name);
            let kinds = kinds.chain(session.registry.connections().map(|kind| kind.name));
            match crate::diagnostic::did_you_mean(&kind, kinds) {
                Some(meant) => finding.hint(format!("did you mean `{meant}`?")),
                None => finding,
            }
        }
        Some(Err(error)) => Diagnostic::new(Code::MoveForm, error.to_string()),
        None => {
            Diagnostic::new(Code::MoveForm, format!("`{function}` takes an address as text"))
                .hint("an address looks like `docker::volume.data`")
        }
    };
    Err(session.refuse(finding.at(session.span(context))))
}
