//! `profile`: resources that are there only when somebody asks for them.
//!
//! What a profile holds is evaluated and checked whether it is on or off, so that it does
//! not rot; what is off is *dormant*: kept apart from what is planned.

use std::collections::BTreeMap;
use std::rc::Rc;

use rhai::{Array, Dynamic, Engine, FnPtr, FuncRegistration, NativeCallContext};

use super::parameters::known_text;
use super::session::Session;
use super::symbol::Answer;
use crate::diagnostic::{Code, Diagnostic};
use crate::program::{OR, unknown_profile};

/// Registers `profile(name, body)` and `profile(name)`; a list of names means that one is
/// enough.
pub(super) fn register(engine: &mut Engine, session: &Rc<Session>) {
    let here = Rc::clone(session);
    FuncRegistration::new("profile")
        .with_params_info(["name: string | list", "body: closure", "any"])
        .with_comments([
            "/// What the closure declares is there only while the profile is on, or one of \
             several; returns what the closure returns.",
        ])
        .register_into_engine(
            engine,
            move |context: NativeCallContext, name: Dynamic, body: FnPtr| {
                let (names, _) = named(&here, &context, name)?;
                here.inside.borrow_mut().push(names);
                let result = body.call_within_context::<Dynamic>(&context, ());
                here.inside.borrow_mut().pop();
                result
            },
        );
    let here = Rc::clone(session);
    FuncRegistration::new("profile")
        .with_params_info(["name: string | list", "bool"])
        .with_comments(["/// Whether a profile is on, or one of several."])
        .register_into_engine(engine, move |context: NativeCallContext, name: Dynamic| {
            named(&here, &context, name).map(|(_, on)| on)
        });
}

/// The profiles that are named, and whether one is on; keeps in mind that the script has them.
fn named(
    session: &Session,
    context: &NativeCallContext,
    names: Dynamic,
) -> Answer<(String, bool)> {
    let allowed = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    let names = names.flatten();
    let names = if names.is_array() { names.cast::<Array>() } else { vec![names] };
    let names: Option<Vec<String>> = names.iter().map(known_text).collect();
    let fits = |name: &String| !name.is_empty() && name.chars().all(allowed);
    let names = names.filter(|names| !names.is_empty() && names.iter().all(fits));
    let Some(names) = names else {
        let message = "the name of a profile must be known text of letters, digits, `-`, `_`, \
                       `.`, or a list of such names";
        return Err(session
            .refuse(Diagnostic::new(Code::NameNotKnown, message).at(session.span(context))));
    };
    for name in &names {
        let on = session.chosen.is_on(name);
        session.profiles.borrow_mut().insert(name.clone(), on);
    }
    let names = names.join(&OR.to_string());
    let on = session.chosen.is_on(&names);
    Ok((names, on))
}

/// The outermost profile around the script's place that is off.
pub(super) fn off(session: &Session) -> Option<String> {
    session.inside.borrow().iter().find(|name| !session.chosen.is_on(name)).cloned()
}

/// Findings for profiles that were asked for and that the script does not have.
pub(super) fn unknown(session: &Session) -> Vec<Diagnostic> {
    let known: BTreeMap<String, bool> = session.profiles.borrow().clone();
    let unknown = session.chosen.names.iter().filter(|name| !known.contains_key(*name));
    unknown.map(|name| unknown_profile(name, &known)).collect()
}
