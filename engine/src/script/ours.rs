//! Calls that mean a function of dollop, whatever functions scripts define.
//!
//! Rhai looks for a function of the script first, also for `db.table("x")`, and while a
//! module runs it goes on to look among the functions of whoever imported it. So a call that
//! means ours is read under a name that no script can give.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::rc::Rc;

use rhai::{
    Dynamic, Engine, EvalAltResult, EvalContext, FnPtr, Map, NativeCallContext, Position, Token,
};

use super::functions;
use super::host::PLAIN_WORDS;
use super::session::Session;
use super::sources::Source;
use super::symbol::{Answer, Handle, Symbol};
use crate::kind::{lookup_of, short_name};

/// Ends the name of a function under which only ours is found.
const OURS: char = '!';

/// The name under which only ours is found.
pub(super) fn ours(name: &str) -> String {
    format!("{name}{OURS}")
}

/// The name as the script has it.
pub(super) fn plain(name: &str) -> &str {
    let word = name.strip_suffix(OURS);
    // The operator `!` is no word.
    word.filter(|word| word.starts_with(|c: char| c.is_alphabetic() || c == '_'))
        .unwrap_or(name)
}

/// The script that is being read.
pub(super) struct Reading {
    source: Source,
    /// Functions of the scripts read before it, which may import it, but not its own.
    others: BTreeSet<String>,
}

impl Reading {
    /// Begins to read a script; its functions are among `defined` from then on.
    pub(super) fn new(source: Source, defined: &mut BTreeSet<String>) -> Self {
        let own: BTreeSet<String> = source.defines().map(str::to_owned).collect();
        let others = defined.difference(&own).cloned().collect();
        defined.extend(own);
        Self { source, others }
    }
}

/// What stands before a word.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    Dot,
    Colons,
    Fn,
    Other,
}

/// Decides what each word of a script means while Rhai reads it.
pub(super) fn register(engine: &mut Engine, session: &Rc<Session>) {
    let kinds = session.registry.kinds();
    let methods: BTreeSet<String> = kinds
        .flat_map(|kind| {
            let short = short_name(kind.name);
            [short.to_owned(), lookup_of(short)]
        })
        .collect();
    let here = Rc::clone(session);
    let before = Cell::new(Before::Other);
    #[expect(deprecated, reason = "marked volatile, not deprecated; Rhai is pinned exactly")]
    engine.on_parse_token(move |token, position, _| {
        let token = match token {
            Token::Reserved(word) if PLAIN_WORDS.contains(&word.as_str()) => {
                Token::Identifier(word)
            }
            other => other,
        };
        let stands = before.replace(match token {
            Token::Period | Token::Elvis => Before::Dot,
            Token::DoubleColon => Before::Colons,
            Token::Fn => Before::Fn,
            _ => Before::Other,
        });
        match token {
            Token::Identifier(word) if is_ours(&here, &methods, stands, &word, position) => {
                Token::Identifier(Box::new(ours(&word).into()))
            }
            other => other,
        }
    });
    remember_missing(engine, session);
}

fn is_ours(
    session: &Session,
    methods: &BTreeSet<String>,
    before: Before,
    word: &str,
    position: Position,
) -> bool {
    let reading = session.reading.borrow();
    let Some(reading) = reading.as_ref() else { return false };
    let candidate = match before {
        Before::Dot => methods.contains(word),
        Before::Other => {
            reading.others.contains(word)
                && functions::entries().any(|entry| entry.name() == word)
        }
        Before::Colons | Before::Fn => false,
    };
    candidate && reading.source.is_called(word, position)
}

/// What Rhai does not find: ours under its plain name, or what a script has under the name
/// of a kind. Its error tells the types of the arguments only, so on which kind of resource
/// it was called is kept here.
fn remember_missing(engine: &mut Engine, session: &Rc<Session>) {
    let here = Rc::clone(session);
    #[expect(deprecated, reason = "marked volatile, not deprecated; Rhai is pinned exactly")]
    engine.on_missing_function(move |name, arguments, is_method, mut context| {
        let kind =
            arguments.first().and_then(|on| on.read_lock::<Handle>().map(|on| on.0.kind));
        let word = plain(name);
        *here.missing.borrow_mut() = kind.map(|kind| (word.to_owned(), kind));
        let value = arguments.iter().find(|value| value.is::<Symbol>());
        *here.looked_into.borrow_mut() =
            value.map(|value| (word.to_owned(), Dynamic::clone(value)));
        if word == name || kind.is_some() {
            return Ok(None);
        }
        if !is_method {
            return found(context.call_native_fn_raw(word, false, arguments));
        }
        found(of_script(word, arguments, &mut context))
    });
}

/// What was called, unless there is nothing of that name: Rhai's own error tells the place.
fn found(result: Answer<Dynamic>) -> Answer<Option<Dynamic>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) => match *error {
            EvalAltResult::ErrorFunctionNotFound(_, at) if at.is_none() => Ok(None),
            _ => Err(error),
        },
    }
}

/// `value.table("x")` on what is no resource: an entry of a map, or a function of a script.
fn of_script(
    word: &str,
    arguments: &mut [&mut Dynamic],
    context: &mut EvalContext,
) -> Answer<Dynamic> {
    let entry = arguments.first().and_then(|on| on.read_lock::<Map>()?.get(word).cloned());
    let Some(pointer) = entry.and_then(Dynamic::try_cast::<FnPtr>) else {
        return context.call_fn_raw(word, true, true, arguments);
    };
    let Some((on, rest)) = arguments.split_first_mut() else { return Ok(Dynamic::UNIT) };
    let values: Vec<Dynamic> = rest.iter_mut().map(|value| std::mem::take(*value)).collect();
    let global = context.global_runtime_state();
    let call = NativeCallContext::new_with_all_fields(
        context.engine(),
        word,
        None,
        global,
        Position::NONE,
    );
    pointer.call_raw(&call, Some(*on), values)
}
