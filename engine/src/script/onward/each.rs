//! Going on from item to item in functions that hand each item of a list or map to a closure.

use std::collections::{BTreeSet, HashMap};

use rhai::{AST, FnPtr, NativeCallContext, Position};

use super::blocks::{Loop, MOST_TURNS, inner};
use super::{Behind, is_end};
use crate::script::errors;
use crate::script::session::Session;
use crate::script::symbol::Answer;

/// What a closure gives for every item, one after the other. Behind one that fails, a run that
/// looks for more goes on with the next, and fails once there are no more.
pub(in crate::script) fn each<T>(
    session: &Session,
    context: &NativeCallContext,
    closure: &FnPtr,
    turns: impl Iterator<Item = Answer<T>>,
) -> Answer<Vec<T>> {
    if !session.going_on || session.trying.get() > 0 {
        return turns.collect();
    }
    let sources = session.sources.borrow();
    let body =
        sources.values().find_map(|source| source.bodies.get(closure.fn_name()).copied());
    drop(sources);
    let body = body.unwrap_or(Position::NONE);
    session.loops.borrow_mut().push(Loop::over(body));
    let result = to_the_last(session, context, turns);
    session.loops.borrow_mut().pop();
    result
}

fn to_the_last<T>(
    session: &Session,
    context: &NativeCallContext,
    turns: impl Iterator<Item = Answer<T>>,
) -> Answer<Vec<T>> {
    let file = context.call_source().unwrap_or_default();
    let (mut given, mut behind, mut failed) = (Vec::new(), BTreeSet::new(), 0);
    for turn in turns {
        let error = match turn {
            Ok(value) => {
                given.push(value);
                continue;
            }
            Err(error) => error,
        };
        if error.is_pseudo_error() || session.stopped.get() || is_end(session, &error) {
            return Err(error);
        }
        session.left_out.set(true);
        behind.extend(errors::explain(session, context.engine(), &error, file));
        failed += 1;
        if failed >= MOST_TURNS {
            break;
        }
    }
    if failed > 0 { Err(Behind(behind).into_error()) } else { Ok(given) }
}

/// Where the bodies of functions and closures begin that are run statement by statement, by
/// name.
pub(in crate::script) fn bodies(syntax: &AST) -> HashMap<String, Position> {
    let all = syntax.iter_fn_def().filter_map(|function| {
        let body = inner(function.body.start_position())?;
        Some((function.name.to_string(), body))
    });
    all.collect()
}
