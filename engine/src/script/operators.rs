//! Operators on values that are not known yet: joining text works, looking does not.

use std::rc::Rc;

use rhai::{Dynamic, Engine, ImmutableString, NativeCallContext, Variant};

use super::convert::{Converter, concat};
use super::marks;
use super::session::Session;
use super::symbol::{Answer, Handle, Symbol, to_dynamic, type_of};
use crate::diagnostic::{Code, Diagnostic};
use crate::expr::Expr;
use crate::path::Path;
use crate::schema::Type;

/// The operators that compare.
pub(super) const COMPARISONS: [&str; 6] = ["==", "!=", "<", "<=", ">", ">="];

/// The operators that compute.
const ARITHMETIC: [&str; 5] = ["-", "*", "/", "%", "**"];

/// Registers them all.
pub(super) fn register(engine: &mut Engine, session: &Rc<Session>) {
    for operator in ARITHMETIC {
        refuse_computing::<Symbol>(engine, session, operator);
        refuse_computing::<Handle>(engine, session, operator);
    }
    for operator in COMPARISONS {
        refuse_comparing::<Symbol>(engine, session, operator);
        refuse_comparing::<Handle>(engine, session, operator);
        refuse_comparing::<char>(engine, session, operator);
        compare_text(engine, session, operator);
        if !matches!(operator, "==" | "!=") {
            refuse_ordering(engine, session, operator);
        }
    }
    join_text::<Symbol>(engine, session);
    join_text::<Handle>(engine, session);
    join_text::<ImmutableString>(engine, session);
    join_text::<char>(engine, session);
    let here = Rc::clone(session);
    engine.register_fn(
        "-",
        move |context: NativeCallContext, text: ImmutableString, part: ImmutableString| {
            known_text(&here, &context, &[&text, &part])?;
            Ok::<_, Box<rhai::EvalAltResult>>(text - part)
        },
    );
}

fn refuse_comparing<T: Variant + Clone>(
    engine: &mut Engine,
    session: &Rc<Session>,
    operator: &'static str,
) {
    let here = Rc::clone(session);
    engine.register_fn(
        operator,
        move |context: NativeCallContext, left: T, _: Dynamic| -> Answer<bool> {
            Err(incomparable(&here, &context, operator, &Dynamic::from(left)))
        },
    );
    let here = Rc::clone(session);
    engine.register_fn(
        operator,
        move |context: NativeCallContext, _: Dynamic, right: T| -> Answer<bool> {
            Err(incomparable(&here, &context, operator, &Dynamic::from(right)))
        },
    );
}

fn refuse_computing<T: Variant + Clone>(
    engine: &mut Engine,
    session: &Rc<Session>,
    operator: &'static str,
) {
    fn refuse(
        session: &Session,
        context: &NativeCallContext,
        operator: &str,
        side: Dynamic,
    ) -> Box<rhai::EvalAltResult> {
        let finding = unknown(session, &side, &format!("`{operator}`"));
        let why = "dollop does not compute with values that are not known yet";
        session.refuse(finding.note(why).at(session.span(context)))
    }
    let here = Rc::clone(session);
    engine.register_fn(
        operator,
        move |context: NativeCallContext, left: T, _: Dynamic| -> Answer<Dynamic> {
            Err(refuse(&here, &context, operator, Dynamic::from(left)))
        },
    );
    let here = Rc::clone(session);
    engine.register_fn(
        operator,
        move |context: NativeCallContext, _: Dynamic, right: T| -> Answer<Dynamic> {
            Err(refuse(&here, &context, operator, Dynamic::from(right)))
        },
    );
}

fn incomparable(
    session: &Session,
    context: &NativeCallContext,
    operator: &str,
    side: &Dynamic,
) -> Box<rhai::EvalAltResult> {
    let finding = if side.is_char() {
        Diagnostic::new(
            Code::LeftOut,
            format!("`{operator}` does not compare single characters"),
        )
        .hint("compare texts: `sub_string(text, 0, 1) == \"a\"`")
    } else {
        unknown(session, side, &format!("`{operator}`"))
    };
    session.refuse(finding.at(session.span(context)))
}

/// The finding for something that needs a value now and gets one that comes later.
pub(super) fn unknown(session: &Session, value: &Dynamic, who: &str) -> Diagnostic {
    if let Some(handle) = value.read_lock::<Handle>() {
        let words = format!("{who} cannot look into `{}`", handle.0.address);
        return Diagnostic::new(Code::NotKnown, words)
            .note("a resource stands for its name, which the plan fills in")
            .hint("decide by a parameter: `param(..)`");
    }
    let is_secret = value.read_lock::<Symbol>().is_some_and(|symbol| is_secret_now(&symbol.0));
    if is_secret {
        return Diagnostic::new(
            Code::LooksIntoSecret,
            format!("{who} cannot look into a secret"),
        )
        .note("what a script decides by a secret would give the secret away");
    }
    let shown = match value.read_lock::<Symbol>() {
        Some(symbol) => symbol.0.to_string(),
        None => {
            value.as_immutable_string_ref().map_or_else(|_| String::new(), |t| session.show(&t))
        }
    };
    let finding = Diagnostic::new(
        Code::NotKnown,
        format!("{who} needs a value that is known now, not `{shown}`"),
    )
    .note("attributes of resources are filled in by the plan, after the script has ended")
    .hint(advice(who));
    match later(who) {
        Some(form) => finding.hint(format!(
            "for a `check`, or what `choose` gives, write `{form}`: the plan decides it"
        )),
        None => finding,
    }
}

/// What decides the same once the value is known.
fn later(who: &str) -> Option<&'static str> {
    Some(match who.trim_matches('`') {
        "==" => "eq(a, b)",
        "!=" => "ne(a, b)",
        "<" => "lt(a, b)",
        "<=" => "le(a, b)",
        ">" => "gt(a, b)",
        ">=" => "ge(a, b)",
        "!" => "not(a)",
        "contains" => "holds(value, part)",
        _ => return None,
    })
}

/// Whether a value scripts cannot look into is a secret, looked up or not, rather than not
/// known yet.
fn is_secret_now(expr: &Expr) -> bool {
    expr.known().is_some() || expr.is_withheld()
}

/// What to do instead of looking into a value that is not known yet.
fn advice(who: &str) -> &'static str {
    /// What gives true or false.
    const DECIDING: [&str; 12] = [
        "!",
        "known",
        "contains",
        "starts_with",
        "ends_with",
        "is_empty",
        "filter",
        "some",
        "all",
        "find",
        "retain",
        "drain",
    ];
    let name = who.trim_matches('`');
    if COMPARISONS.contains(&name) || DECIDING.contains(&name) {
        return "decide by a parameter: `param(..)`";
    }
    if ARITHMETIC.contains(&name) {
        return "compute with a parameter: `param(..)`";
    }
    "give it what the script knows: a parameter, or the value the attribute was set to"
}

/// Refuses texts that hold markers.
pub(super) fn known_text(
    session: &Session,
    context: &NativeCallContext,
    texts: &[&ImmutableString],
) -> Answer<()> {
    match texts.iter().find(|text| marks::is_marked(text)) {
        None => Ok(()),
        Some(text) => {
            let value = Dynamic::from((*text).clone());
            let who = format!("`{}`", context.fn_name());
            Err(session.refuse(unknown(session, &value, &who).at(session.span(context))))
        }
    }
}

fn compare_text(engine: &mut Engine, session: &Rc<Session>, operator: &'static str) {
    let here = Rc::clone(session);
    engine.register_fn(
        operator,
        move |context: NativeCallContext,
              left: ImmutableString,
              right: ImmutableString|
              -> Answer<bool> {
            known_text(&here, &context, &[&left, &right])?;
            Ok(match operator {
                "==" => left == right,
                "!=" => left != right,
                "<" => left < right,
                "<=" => left <= right,
                ">" => left > right,
                _ => left >= right,
            })
        },
    );
}

/// Rhai says of a text and something else that neither is more: silently, and never meant.
fn refuse_ordering(engine: &mut Engine, session: &Rc<Session>, operator: &'static str) {
    fn refuse(
        session: &Session,
        context: &NativeCallContext,
        operator: &str,
        other: &Dynamic,
    ) -> Answer<bool> {
        if other.is::<Symbol>() || other.is::<Handle>() || other.is_char() {
            return Err(incomparable(session, context, operator, other));
        }
        let what = words_for(context, other);
        let message = format!("`{operator}` does not compare a text with {what}");
        let finding = Diagnostic::new(Code::WrongType, message).at(session.span(context));
        Err(session.refuse(if other.is_int() || other.is_float() {
            finding.hint("make a number of the text first: `parse_int(text)`")
        } else {
            finding
        }))
    }
    let here = Rc::clone(session);
    engine.register_fn(
        operator,
        move |context: NativeCallContext, _: ImmutableString, right: Dynamic| {
            refuse(&here, &context, operator, &right)
        },
    );
    let here = Rc::clone(session);
    engine.register_fn(
        operator,
        move |context: NativeCallContext, left: Dynamic, _: ImmutableString| {
            refuse(&here, &context, operator, &left)
        },
    );
}

fn join_text<T: Variant + Clone>(engine: &mut Engine, session: &Rc<Session>) {
    let here = Rc::clone(session);
    engine.register_fn(
        "+",
        move |context: NativeCallContext, left: T, right: Dynamic| -> Answer<Dynamic> {
            plus(&here, &context, Dynamic::from(left), right)
        },
    );
    let here = Rc::clone(session);
    engine.register_fn(
        "+",
        move |context: NativeCallContext, left: Dynamic, right: T| -> Answer<Dynamic> {
            plus(&here, &context, left, Dynamic::from(right))
        },
    );
}

/// `+` where at least one side is text or a value that is not known yet.
fn plus(
    session: &Session,
    context: &NativeCallContext,
    left: Dynamic,
    right: Dynamic,
) -> Answer<Dynamic> {
    if left.is_string() && right.is_string() {
        // Markers travel along inside.
        let (left, right) = (left.into_immutable_string(), right.into_immutable_string());
        return Ok((left.unwrap_or_default() + right.unwrap_or_default()).into());
    }
    let has_text = left.is_string() || right.is_string();
    let other = [&left, &right].into_iter().find_map(|side| {
        let symbol = side.read_lock::<Symbol>()?;
        Some(if is_secret_now(&symbol.0) {
            "a secret".to_owned()
        } else {
            format!("`{}`, which is not known yet", symbol.0)
        })
    });
    let mut parts = Vec::with_capacity(2);
    for side in [left, right] {
        let fits = side.is_string()
            || side.is::<Handle>()
            || side.read_lock::<Symbol>().is_some_and(|symbol| is_scalar(session, &symbol))
            || has_text && (side.is_int() || side.is_float() || side.is_bool());
        if !fits {
            let what = words_for(context, &side);
            let message = format!("`+` joins text here, and {what} is no text");
            let finding = Diagnostic::new(Code::WrongType, message).at(session.span(context));
            return Err(session.refuse(if side.is_array() || side.is_map() {
                finding.hint("use `join(list, \", \")` or `json(value)`")
            } else {
                finding
                    .note(format!(
                        "dollop does not compute with {}",
                        other.unwrap_or_else(|| "values that are not known yet".to_owned())
                    ))
                    .hint("compute with a parameter, or join text: `${..}` between backticks")
            }));
        }
        let mut converter = Converter::new(session, Path::default());
        parts.push(converter.expr(side));
        if let Some(trouble) = converter.troubles.pop() {
            return Err(session.refuse(trouble.finding().at(session.span(context))));
        }
    }
    Ok(to_dynamic(concat(session, parts)))
}

fn is_scalar(session: &Session, symbol: &Symbol) -> bool {
    let expr = match &*symbol.0 {
        Expr::Secret(inner) => inner,
        other => other,
    };
    match expr {
        Expr::Reference(reference) => !matches!(
            type_of(&session.registry, reference),
            Some(Type::List(_) | Type::Map(_) | Type::Object(_))
        ),
        Expr::List(_) | Expr::Map(_) => false,
        _ => true,
    }
}

/// A value's type in words.
fn words_for(context: &NativeCallContext, value: &Dynamic) -> String {
    super::errors::type_words(context.engine().map_type_name(value.type_name()))
}
