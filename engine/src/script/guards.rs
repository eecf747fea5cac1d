//! What Rhai's own library would do to values that are not known yet, done right or refused.

use std::any::TypeId;
use std::rc::Rc;

use rhai::{
    Array, Dynamic, Engine, EvalAltResult, FuncRegistration, INT, ImmutableString, Map, Module,
    NativeCallContext, Position,
};

use super::closures::changing;
use super::convert::Converter;
use super::marks;
use super::onward::Ended;
use super::operators::{known_text, unknown};
use super::parameters::holds_noncharacter;
use super::session::Session;
use super::symbol::{Answer, Handle, Symbol, to_dynamic};
use crate::diagnostic::{Code, Diagnostic};
use crate::expr::Expr;
use crate::function::holds_secret;
use crate::path::Path;
use crate::value::Value;

/// Registers them all.
pub(super) fn register(engine: &mut Engine, session: &Rc<Session>) {
    to_text(engine, session);
    json(engine, session);
    sorting(engine, session);
    index_of(engine, session);
    keys(engine, session);
    characters(engine, session);
    sleeping(engine, session);
    ending(engine);
}

/// What interpolation and `print` use.
fn to_text(engine: &mut Engine, session: &Rc<Session>) {
    for name in ["to_string", "print"] {
        let here = Rc::clone(session);
        engine.register_fn(name, move |symbol: &mut Symbol| -> String {
            here.mark(Rc::clone(&symbol.0))
        });
        let here = Rc::clone(session);
        engine.register_fn(
            name,
            move |context: NativeCallContext, handle: &mut Handle| -> String {
                if let Some(name) = handle.name() {
                    return here.mark(Rc::new(name));
                }
                // Rhai swallows an error here, so it is written down at once.
                let (message, hint) = super::convert::nameless(&here, handle);
                let finding =
                    Diagnostic::new(Code::NoValue, message).at(here.span(&context)).hint(hint);
                here.record(finding);
                marks::TOLD.to_string()
            },
        );
        engine.register_fn(name, |_: char| -> String { marks::LOST.to_string() });
    }
    for name in ["to_debug", "debug"] {
        let here = Rc::clone(session);
        engine.register_fn(name, move |symbol: &mut Symbol| -> String {
            here.mark_printed(Rc::clone(&symbol.0))
        });
        let here = Rc::clone(session);
        engine.register_fn(name, move |handle: &mut Handle| -> String {
            match handle.name() {
                Some(name) => here.mark_printed(Rc::new(name)),
                None => handle.0.address.to_string(),
            }
        });
        engine.register_fn(name, |_: char| -> String { marks::LOST.to_string() });
    }
}

fn json(engine: &mut Engine, session: &Rc<Session>) {
    let here = Rc::clone(session);
    engine.register_fn(
        "to_json",
        move |context: NativeCallContext, map: Map| -> Answer<String> {
            let mut converter = Converter::new(&here, Path::default());
            let expr = converter.expr(Dynamic::from_map(map));
            match expr.known() {
                Some(value) if converter.troubles.is_empty() && !holds_secret(value) => {
                    Ok(value.to_json().to_string())
                }
                _ => {
                    let message = "`to_json` needs a map that is known now";
                    let finding =
                        Diagnostic::new(Code::NotKnown, message).at(here.span(&context));
                    Err(here.refuse(finding.hint("use `json(value)`: it waits for the values")))
                }
            }
        },
    );
    let here = Rc::clone(session);
    engine.register_fn(
        "parse_json",
        move |context: NativeCallContext, text: ImmutableString| -> Answer<Dynamic> {
            known_text(&here, &context, &[&text])?;
            let refuse = |message: String| {
                Err(here
                    .refuse(Diagnostic::new(Code::WrongType, message).at(here.span(&context))))
            };
            match serde_json::from_str::<serde_json::Value>(&text).map(Value::from) {
                Ok(value) if holds_noncharacter(&value) => {
                    refuse("this JSON holds Unicode noncharacters U+FDD0 to U+FDEF".to_owned())
                }
                Ok(value) => Ok(to_dynamic(Expr::Value(value))),
                Err(error) => refuse(format!("this is not JSON: {error}")),
            }
        },
    );
}

/// Rhai's `sort` compares texts without asking.
fn sorting(engine: &mut Engine, session: &Rc<Session>) {
    for (name, descending) in
        [("sort", false), ("sort_desc", true), ("order", false), ("order_desc", true)]
    {
        let here = Rc::clone(session);
        let in_place = name.starts_with("sort");
        FuncRegistration::new(name).with_purity(!in_place).register_into_engine(
            engine,
            move |context: NativeCallContext, list: &mut Array| -> Answer<Dynamic> {
                let mut sorted = list.clone();
                sort(&here, &context, &mut sorted)?;
                if descending {
                    sorted.reverse();
                }
                if in_place {
                    *list = sorted;
                    return Ok(Dynamic::UNIT);
                }
                Ok(Dynamic::from_array(sorted))
            },
        );
    }
}

pub(super) fn sort(
    session: &Session,
    context: &NativeCallContext,
    list: &mut Array,
) -> Answer<()> {
    let looks_in = |item: &&Dynamic| {
        item.is::<Symbol>()
            || item.is::<Handle>()
            || item.as_immutable_string_ref().is_ok_and(|text| marks::is_marked(&text))
    };
    if let Some(item) = list.iter().find(looks_in) {
        let who = format!("`{}`", context.fn_name());
        return Err(session.refuse(unknown(session, item, &who).at(session.span(context))));
    }
    if list.iter().all(Dynamic::is_int) {
        list.sort_by_key(|item| item.as_int().unwrap_or_default());
    } else if list.iter().all(Dynamic::is_string) {
        list.sort_by_cached_key(|item| {
            item.clone().into_immutable_string().unwrap_or_default()
        });
    } else if list.iter().all(|item| item.is_int() || item.is_float()) {
        #[expect(clippy::cast_precision_loss, reason = "sorting mixed numbers")]
        let number = |item: &Dynamic| {
            item.as_float().unwrap_or_else(|_| item.as_int().unwrap_or(0) as f64)
        };
        list.sort_by(|a, b| number(a).total_cmp(&number(b)));
    } else if list.iter().all(Dynamic::is_bool) {
        list.sort_by_key(|item| item.as_bool().unwrap_or_default());
    } else {
        let message = "a list is sorted when its items are all texts, all numbers or all bools";
        let finding = Diagnostic::new(Code::WrongType, message).at(session.span(context));
        return Err(session.refuse(finding.hint("use `list.sort(|a, b| ..)`")));
    }
    Ok(())
}

/// Rhai takes a text given to `index_of` for the name of a function.
fn index_of(engine: &mut Engine, session: &Rc<Session>) {
    let here = Rc::clone(session);
    engine.register_fn(
        "index_of",
        move |context: NativeCallContext,
              list: &mut Array,
              wanted: ImmutableString|
              -> Answer<INT> {
            known_text(&here, &context, &[&wanted])?;
            for (index, item) in list.iter().enumerate() {
                if item.is::<Symbol>() || item.is::<Handle>() {
                    let finding = unknown(&here, item, "`index_of`");
                    return Err(here.refuse(finding.at(here.span(&context))));
                }
                if let Ok(text) = item.as_immutable_string_ref() {
                    known_text(&here, &context, &[&text])?;
                    if *text == wanted {
                        return Ok(INT::try_from(index).unwrap_or(INT::MAX));
                    }
                }
            }
            Ok(-1)
        },
    );
}

/// Keys of maps are known text.
fn keys(engine: &mut Engine, session: &Rc<Session>) {
    let here = Rc::clone(session);
    engine.register_fn(
        "contains",
        move |context: NativeCallContext,
              map: &mut Map,
              key: ImmutableString|
              -> Answer<bool> {
            known_text(&here, &context, &[&key])?;
            Ok(map.contains_key(key.as_str()))
        },
    );
    let here = Rc::clone(session);
    engine.register_fn(
        "get",
        move |context: NativeCallContext,
              map: &mut Map,
              key: ImmutableString|
              -> Answer<Dynamic> {
            known_text(&here, &context, &[&key])?;
            Ok(map.get(key.as_str()).cloned().unwrap_or(Dynamic::UNIT))
        },
    );
    let here = Rc::clone(session);
    changing!(engine, "remove", move |context: NativeCallContext,
                                      map: &mut Map,
                                      key: ImmutableString|
          -> Answer<Dynamic> {
        known_text(&here, &context, &[&key])?;
        Ok(map.remove(key.as_str()).unwrap_or(Dynamic::UNIT))
    });
    let here = Rc::clone(session);
    changing!(engine, "set", move |context: NativeCallContext,
                                   map: &mut Map,
                                   key: ImmutableString,
                                   value: Dynamic|
          -> Answer<()> {
        known_text(&here, &context, &[&key])?;
        map.insert(key.as_str().into(), value);
        Ok(())
    });
}

/// Single characters cannot tell whether the text they came from was known.
fn characters(engine: &mut Engine, session: &Rc<Session>) {
    fn refuse(session: &Session, context: &NativeCallContext) -> Box<EvalAltResult> {
        let finding =
            Diagnostic::new(Code::LeftOut, "text cannot be taken apart into characters")
                .at(session.span(context))
                .hint("use `split(text, \",\")` or `sub_string(text, start, length)`");
        session.refuse(finding)
    }
    /// Registers refusals for the given argument types.
    macro_rules! refusals {
        ($($name:literal ( $($ty:ty),* );)+) => {$({
            let here = Rc::clone(session);
            engine.register_fn(
                $name,
                refusals!(@closure here, $($ty),*),
            );
        })+};
        (@closure $here:ident, $a:ty) => {
            move |context: NativeCallContext, _: $a| -> Answer<Dynamic> {
                Err(refuse(&$here, &context))
            }
        };
        (@closure $here:ident, $a:ty, $b:ty) => {
            move |context: NativeCallContext, _: $a, _: $b| -> Answer<Dynamic> {
                Err(refuse(&$here, &context))
            }
        };
        (@closure $here:ident, $a:ty, $b:ty, $c:ty) => {
            move |context: NativeCallContext, _: $a, _: $b, _: $c| -> Answer<Dynamic> {
                Err(refuse(&$here, &context))
            }
        };
    }
    refusals! {
        "chars"(ImmutableString);
        "get$chars"(ImmutableString);
        "chars"(ImmutableString, INT);
        "chars"(ImmutableString, std::ops::Range<INT>);
        "chars"(ImmutableString, std::ops::RangeInclusive<INT>);
        "chars"(ImmutableString, INT, INT);
        "to_int"(char);
        "max"(char, char);
        "min"(char, char);
        "+="(ImmutableString, char);
    }
    let mut module = Module::new();
    let here = Rc::clone(session);
    module.set_iter_result(TypeId::of::<ImmutableString>(), move |_| {
        let finding = Diagnostic::new(Code::LeftOut, "a text cannot be looped over")
            .hint("split it first: `for part in text.split(\",\")`");
        // The loop's position is filled in by whoever explains the error.
        Box::new(std::iter::once(Err(here.refuse(finding))))
    });
    engine.register_global_module(module.into());
}

/// Whoever runs the statements must know that the script has ended itself.
fn ending(engine: &mut Engine) {
    // What a script gives at its end nobody asks for.
    fn exit() -> Answer<Dynamic> {
        Err(EvalAltResult::Exit(Dynamic::from(Ended), Position::NONE).into())
    }
    engine.register_fn("exit", exit);
    engine.register_fn("exit", |_: Dynamic| exit());
}

/// Evaluation has no clock.
fn sleeping(engine: &mut Engine, session: &Rc<Session>) {
    fn refuse(session: &Session, context: &NativeCallContext) -> Answer<()> {
        let finding = Diagnostic::new(Code::LeftOut, "a script cannot sleep")
            .at(session.span(context))
            .note("it only declares; waiting belongs to resources, as `wait: \"healthy\"`");
        Err(session.refuse(finding))
    }
    let here = Rc::clone(session);
    engine.register_fn("sleep", move |context: NativeCallContext, _: INT| {
        refuse(&here, &context)
    });
    let here = Rc::clone(session);
    engine.register_fn("sleep", move |context: NativeCallContext, _: f64| {
        refuse(&here, &context)
    });
}
