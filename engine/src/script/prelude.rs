//! Functions every script has: parameters, outputs, and computing with values that are not
//! known yet.

use std::rc::Rc;

use rhai::{Array, Dynamic, Engine, FuncRegistration, Map, NativeCallContext};

use super::convert::Converter;
use super::host::LONGEST_TEXT;
use super::loader;
use super::operators::unknown;
use super::parameters;
use super::session::Session;
use super::symbol::{Answer, Handle, Symbol, to_dynamic};
use super::{access, marks, outputs, secrets};
use crate::diagnostic::{Code, Diagnostic};
use crate::expr::{Expr, Function};
use crate::path::Path;

/// Their names; scripts define no functions under these.
pub(super) const NAMES: [&str; 23] = [
    "base64",
    "check",
    "command",
    "debug",
    "discover",
    "env",
    "file",
    "forget",
    "join",
    "json",
    "known",
    "moved",
    "output",
    "override",
    "param",
    "print",
    "profile",
    "secret",
    "secret_age",
    "secret_command",
    "secret_file",
    "secret_sops",
    "urlencode",
];

/// Registers a function with its documentation.
macro_rules! function {
    ($engine:ident, $session:ident, $name:literal, [$($parameter:literal),+], $doc:literal,
     |$here:ident, $context:ident, $($argument:ident),+| $body:expr) => {{
        let $here = Rc::clone($session);
        FuncRegistration::new($name)
            .with_params_info([$($parameter),+])
            .with_comments([concat!("/// ", $doc)])
            .register_into_engine(
                $engine,
                move |$context: NativeCallContext, $($argument: Dynamic),+| -> Answer<Dynamic> {
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
        "param",
        ["name: string", "value"],
        "The value of a parameter from outside.",
        |here, context, name| parameters::param(&here, &context, &name, Dynamic::UNIT)
    );
    function!(
        engine,
        session,
        "param",
        ["name: string", "options: map", "value"],
        "The value of a parameter; options are `type`, `default`, `choices`, `pattern`, `check`, `message`, `secret`, `ephemeral`, `doc`, `deprecated`.",
        |here, context, name, options| parameters::param(&here, &context, &name, options)
    );
    function!(
        engine,
        session,
        "output",
        ["name: string", "value: any", "()"],
        "Hands out a value under a name.",
        |here, context, name, value| outputs::output(
            &here,
            &context,
            &name,
            value,
            Dynamic::UNIT
        )
    );
    function!(
        engine,
        session,
        "output",
        ["name: string", "value: any", "options: map", "()"],
        "Hands out a value under a name; options are `type`, `secret`, `doc`, `deprecated`.",
        |here, context, name, value, options| outputs::output(
            &here, &context, &name, value, options
        )
    );
    function!(
        engine,
        session,
        "join",
        ["list: list", "between: string", "text"],
        "The items as one text with another between them.",
        |here, context, list, between| join(&here, &context, list, between)
    );
    function!(
        engine,
        session,
        "secret",
        ["value: any", "value"],
        "The value, never shown.",
        |here, context, value| Ok(to_dynamic(expr(&here, &context, value)?.secret()))
    );
    function!(
        engine,
        session,
        "ephemeral",
        ["value: any", "value"],
        "The value, never shown and never kept.",
        |here, context, value| ephemeral(&here, &context, value)
    );
    function!(
        engine,
        session,
        "known",
        ["value: any", "value"],
        "The value, refused when it is not known while the script runs.",
        |here, context, value| known(&here, &context, value)
    );
    function!(
        engine,
        session,
        "file",
        ["path: string", "text"],
        "The text of a file of the project, relative to this script.",
        |here, context, path| file(&here, &context, &path)
    );
    register_places(engine, session);
    register_access(engine, session);
}

/// Which stack, and in which environment.
fn register_places(engine: &mut Engine, session: &Rc<Session>) {
    let here = Rc::clone(session);
    FuncRegistration::new("env")
        .with_params_info(["string"])
        .with_comments(["/// The environment that is chosen; `default` when none is."])
        .register_into_engine(engine, move || here.environment.clone());
    let here = Rc::clone(session);
    FuncRegistration::new("stack")
        .with_params_info(["string"])
        .with_comments(["/// The stack's name, that of the environment included."])
        .register_into_engine(engine, move || here.stack.clone());
}

fn register_access(engine: &mut Engine, session: &Rc<Session>) {
    engine.register_type_with_name::<Handle>("resource");
    engine.register_type_with_name::<Symbol>("reference");
    engine.register_type_with_name::<super::symbol::Refusal>("refusal");
    let here = Rc::clone(session);
    engine.register_indexer_get(
        move |context: NativeCallContext, handle: &mut Handle, name: rhai::ImmutableString| {
            access::attribute(&here, &context, handle, &name)
        },
    );
    let here = Rc::clone(session);
    engine.register_indexer_get(
        move |context: NativeCallContext, symbol: &mut Symbol, key: rhai::ImmutableString| {
            access::key(&here, &context, symbol, &key)
        },
    );
    let here = Rc::clone(session);
    engine.register_indexer_get(
        move |context: NativeCallContext, symbol: &mut Symbol, index: rhai::INT| {
            access::index(&here, &context, symbol, index)
        },
    );
    // Rhai has a property `tag` on every value, which would hide an attribute of that name.
    let here = Rc::clone(session);
    engine.register_get("tag", move |context: NativeCallContext, handle: &mut Handle| {
        access::attribute(&here, &context, handle, "tag")
    });
    let here = Rc::clone(session);
    engine.register_get("tag", move |context: NativeCallContext, symbol: &mut Symbol| {
        access::key(&here, &context, symbol, &"tag".into())
    });
}

/// The expression of an argument.
fn expr(session: &Session, context: &NativeCallContext, value: Dynamic) -> Answer<Expr> {
    let mut converter = Converter::new(session, Path::default());
    let expr = converter.expr(value);
    match converter.troubles.pop() {
        None => Ok(expr),
        Some(trouble) => Err(session.refuse(trouble.finding().at(session.span(context)))),
    }
}

fn join(
    session: &Session,
    context: &NativeCallContext,
    list: Dynamic,
    between: Dynamic,
) -> Answer<Dynamic> {
    if !list.is_array() && !list.is::<Symbol>()
        || !(between.is_string() || between.is::<Symbol>())
    {
        let finding = Diagnostic::new(
            Code::WrongArguments,
            "`join` takes a list and the text between its items",
        )
        .at(session.span(context))
        .hint("write `join(list, \", \")`");
        return Err(session.refuse(finding));
    }
    let count = list.read_lock::<Array>().map_or(1, |list| list.len());
    let length = between.as_immutable_string_ref().map_or(0, |text| text.len());
    if count.saturating_mul(length) > LONGEST_TEXT {
        return Err(super::text::too_long(session, context));
    }
    let arguments = vec![expr(session, context, between)?, expr(session, context, list)?];
    Ok(to_dynamic(Expr::call(Function::Join, arguments)))
}

/// Refuses what is not known, however deep inside.
fn known(session: &Session, context: &NativeCallContext, value: Dynamic) -> Answer<Dynamic> {
    match unknown_inside(&value, 0) {
        None => Ok(value),
        Some(part) => {
            let finding = if part.is_char() {
                Diagnostic::new(Code::NoValue, "a single character is no value")
                    .hint("use `sub_string(text, start, 1)`")
            } else {
                unknown(session, &part, "`known`")
            };
            Err(session.refuse(finding.at(session.span(context))))
        }
    }
}

pub(super) fn unknown_inside(value: &Dynamic, depth: usize) -> Option<Dynamic> {
    if value.is::<Symbol>() || value.is::<Handle>() || value.is_char() || depth > 64 {
        return Some(value.clone());
    }
    if let Ok(text) = value.as_immutable_string_ref() {
        return marks::is_marked(&text).then(|| value.clone());
    }
    if let Some(items) = value.read_lock::<Array>() {
        return items.iter().find_map(|item| unknown_inside(item, depth + 1));
    }
    if let Some(map) = value.read_lock::<Map>() {
        return map.values().find_map(|item| unknown_inside(item, depth + 1));
    }
    None
}

/// Only what comes from outside can be known to no one else.
fn ephemeral(
    session: &Session,
    context: &NativeCallContext,
    value: Dynamic,
) -> Answer<Dynamic> {
    match expr(session, context, value)? {
        Expr::Value(value) => Ok(to_dynamic(Expr::Value(value.ephemeral()))),
        withheld if withheld.is_withheld() && withheld.references().is_empty() => {
            Ok(to_dynamic(withheld))
        }
        _ => {
            let finding = Diagnostic::new(
                Code::NotKnown,
                "what a resource reports is kept in the state, so it cannot be ephemeral",
            )
            .hint("what comes from outside can: a parameter, `secret_file`, `secret_command`");
            Err(session.refuse(finding.at(session.span(context))))
        }
    }
}

fn file(session: &Session, context: &NativeCallContext, path: &Dynamic) -> Answer<Dynamic> {
    let path = secrets::file(session, context, path)?;
    let at = session.call(context).at(&Path::attribute("name"));
    let refuse = |finding: Diagnostic| Err(session.refuse(finding.at(at)));
    let from = context.call_source().unwrap_or_default();
    match session.read(&path) {
        Ok(text) if marks::is_marked(&text) => {
            let message = format!("`{path}` holds Unicode noncharacters U+FDD0 to U+FDEF");
            refuse(Diagnostic::new(Code::FileUnreadable, message))
        }
        Ok(text) => Ok(Dynamic::from(rhai::ImmutableString::from(&*text))),
        Err(error) => refuse(loader::unreadable(&error, from)),
    }
}
