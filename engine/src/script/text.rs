//! Functions on text. Each refuses text that holds a value not known yet.

use std::rc::Rc;

use rhai::{Dynamic, Engine, INT, ImmutableString, NativeCallContext};

use super::host::{LONGEST_TEXT, MOST_ITEMS};
use super::operators::known_text;
use super::session::Session;
use super::symbol::Answer;
use crate::diagnostic::{Code, Diagnostic};

/// The longest text `pad_left` and `pad_right` make.
const WIDEST: usize = 1 << 20;

/// Registers a function whose arguments are texts only.
macro_rules! texts {
    ($engine:ident, $session:ident, $name:literal, |$($text:ident),+| $result:expr) => {{
        let here = Rc::clone($session);
        $engine.register_fn(
            $name,
            move |context: NativeCallContext, $($text: ImmutableString),+| -> Answer<Dynamic> {
                known_text(&here, &context, &[$(&$text),+])?;
                Ok($result)
            },
        );
    }};
}

/// Registers them all.
pub(super) fn register(engine: &mut Engine, session: &Rc<Session>) {
    texts!(engine, session, "len", |text| count(&text).into());
    texts!(engine, session, "is_empty", |text| text.is_empty().into());
    texts!(engine, session, "contains", |text, part| text.contains(part.as_str()).into());
    texts!(engine, session, "starts_with", |text, part| text.starts_with(part.as_str()).into());
    texts!(engine, session, "ends_with", |text, part| text.ends_with(part.as_str()).into());
    texts!(engine, session, "index_of", |text, part| text
        .find(part.as_str())
        .map_or(-1, |at| count(&text[..at]))
        .into());
    let here = Rc::clone(session);
    engine.register_fn(
        "split",
        move |context: NativeCallContext,
              text: ImmutableString,
              by: ImmutableString|
              -> Answer<Dynamic> {
            known_text(&here, &context, &[&text, &by])?;
            if is_turned(&text, &by) && is_written(&here, &context, &text) {
                let message =
                    "`split` takes the text first, then what stands between its parts";
                let finding = Diagnostic::new(Code::WrongArguments, message);
                let finding = finding.hint(format!("write `split(text, \"{text}\")`"));
                return Err(here.refuse(finding.at(here.span(&context))));
            }
            Ok(split(&text, &by))
        },
    );
    numbers(engine, session);
    cuts(engine, session);
}

fn count(text: &str) -> INT {
    INT::try_from(text.chars().count()).unwrap_or(INT::MAX)
}

/// Whether a text and what it is split by change places, as in `split(",", "a,b")` of other
/// languages.
fn is_turned(text: &str, by: &str) -> bool {
    let is_between = |c: char| !c.is_alphanumeric();
    !text.is_empty()
        && text.len() < by.len()
        && text.chars().all(is_between)
        && by.contains(text)
        && !by.chars().all(is_between)
}

/// Whether a call is `split(TEXT, ..)` with that very text in it: what comes from data may be
/// anything.
fn is_written(session: &Session, context: &NativeCallContext, text: &str) -> bool {
    let file = context.call_source().unwrap_or_default();
    let Some(source) = session.source(file) else { return false };
    let place = source.shift.written(context.call_position());
    let Some((before, call)) = source.offset(place).map(|at| source.text.split_at(at)) else {
        return false;
    };
    let given = call.strip_prefix("split").and_then(|rest| rest.trim_start().strip_prefix('('));
    let is_literal = |given: &str| given.trim_start().starts_with(&format!("\"{text}\""));
    !before.trim_end().ends_with('.') && given.is_some_and(is_literal)
}

fn split(text: &str, by: &str) -> Dynamic {
    let parts: Vec<Dynamic> = if by.is_empty() {
        text.chars()
            .take(MOST_ITEMS + 1)
            .map(|c| Dynamic::from(ImmutableString::from(c.to_string())))
            .collect()
    } else {
        text.split(by).take(MOST_ITEMS + 1).map(Into::into).collect()
    };
    Dynamic::from_array(parts)
}

/// The finding for a text that would grow beyond the limit.
pub(super) fn too_long(
    session: &Session,
    context: &NativeCallContext,
) -> Box<rhai::EvalAltResult> {
    let message = format!("a text is longer than {} MiB", LONGEST_TEXT >> 20);
    session.refuse(Diagnostic::new(Code::Limit, message).at(session.span(context)))
}

fn numbers(engine: &mut Engine, session: &Rc<Session>) {
    let here = Rc::clone(session);
    engine.register_fn(
        "parse_int",
        move |context: NativeCallContext, text: ImmutableString| -> Answer<INT> {
            known_text(&here, &context, &[&text])?;
            text.trim().parse().map_err(|_| no_number(&here, &context, &text, "an integer"))
        },
    );
    let here = Rc::clone(session);
    engine.register_fn(
        "parse_int",
        move |context: NativeCallContext, text: ImmutableString, radix: INT| -> Answer<INT> {
            known_text(&here, &context, &[&text])?;
            let radix = u32::try_from(radix).ok().filter(|radix| (2..=36).contains(radix));
            let number = radix.and_then(|radix| INT::from_str_radix(text.trim(), radix).ok());
            number.ok_or_else(|| no_number(&here, &context, &text, "an integer of that base"))
        },
    );
    let here = Rc::clone(session);
    engine.register_fn(
        "parse_float",
        move |context: NativeCallContext, text: ImmutableString| -> Answer<f64> {
            known_text(&here, &context, &[&text])?;
            let number = text.trim().parse().ok().filter(|number: &f64| number.is_finite());
            number.ok_or_else(|| no_number(&here, &context, &text, "a number"))
        },
    );
}

fn no_number(
    session: &Session,
    context: &NativeCallContext,
    text: &str,
    wanted: &str,
) -> Box<rhai::EvalAltResult> {
    let finding = Diagnostic::new(Code::WrongType, format!("`{text}` is not {wanted}"));
    session.refuse(finding.at(session.span(context)))
}

fn cuts(engine: &mut Engine, session: &Rc<Session>) {
    let here = Rc::clone(session);
    engine.register_fn(
        "sub_string",
        move |context: NativeCallContext,
              text: ImmutableString,
              start: INT|
              -> Answer<Dynamic> {
            known_text(&here, &context, &[&text])?;
            Ok(sub_string(&text, start, INT::MAX))
        },
    );
    let here = Rc::clone(session);
    engine.register_fn(
        "sub_string",
        move |context: NativeCallContext,
              text: ImmutableString,
              start: INT,
              length: INT|
              -> Answer<Dynamic> {
            known_text(&here, &context, &[&text])?;
            Ok(sub_string(&text, start, length))
        },
    );
    for (name, left) in [("pad_left", true), ("pad_right", false)] {
        let here = Rc::clone(session);
        engine.register_fn(
            name,
            move |context: NativeCallContext,
                  text: ImmutableString,
                  length: INT,
                  with: ImmutableString|
                  -> Answer<Dynamic> {
                known_text(&here, &context, &[&text, &with])?;
                let length = usize::try_from(length).unwrap_or(0);
                if length > WIDEST {
                    let message = format!("`{name}` makes texts of up to {WIDEST} characters");
                    let finding = Diagnostic::new(Code::Limit, message).at(here.span(&context));
                    return Err(here.refuse(finding));
                }
                let missing = length.saturating_sub(text.chars().count());
                let padding: String = with.chars().cycle().take(missing).collect();
                Ok(if left { format!("{padding}{text}") } else { format!("{text}{padding}") }
                    .into())
            },
        );
    }
}

/// A part of a text; a start below zero counts from the end.
fn sub_string(text: &str, start: INT, length: INT) -> Dynamic {
    let start = if start < 0 { count(text).saturating_add(start).max(0) } else { start };
    let start = usize::try_from(start).unwrap_or(usize::MAX);
    let length = usize::try_from(length).unwrap_or(0);
    text.chars().skip(start).take(length).collect::<String>().into()
}
