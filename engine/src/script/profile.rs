//! `profile`: resources that are there only when somebody asks for them.
//!
//! What a profile holds is evaluated and checked whether it is on or off, so that it does
//! not rot; what is off is *dormant*: kept apart from what is planned.

use std::collections::BTreeMap;
use std::rc::Rc;

use rhai::{Dynamic, Engine, FnPtr, FuncRegistration, ImmutableString, NativeCallContext};

use super::convert::list_words;
use super::marks;
use super::session::Session;
use super::symbol::Answer;
use crate::diagnostic::{Code, Diagnostic, did_you_mean};

/// Registers `profile(name, body)` and `profile(name)`.
pub(super) fn register(engine: &mut Engine, session: &Rc<Session>) {
    let here = Rc::clone(session);
    FuncRegistration::new("profile")
        .with_params_info(["name: string", "body: closure", "any"])
        .with_comments([
            "/// What the closure declares is there only while the profile is on; returns what \
             the closure returns.",
        ])
        .register_into_engine(
            engine,
            move |context: NativeCallContext, name: ImmutableString, body: FnPtr| {
                is_on(&here, &context, &name)?;
                here.inside.borrow_mut().push(name.to_string());
                let result = body.call_within_context::<Dynamic>(&context, ());
                here.inside.borrow_mut().pop();
                result
            },
        );
    let here = Rc::clone(session);
    FuncRegistration::new("profile")
        .with_params_info(["name: string", "bool"])
        .with_comments(["/// Whether a profile is on."])
        .register_into_engine(
            engine,
            move |context: NativeCallContext, name: ImmutableString| {
                is_on(&here, &context, &name)
            },
        );
}

/// Whether a profile is on; keeps in mind that the script has it.
fn is_on(session: &Session, context: &NativeCallContext, name: &str) -> Answer<bool> {
    let allowed = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    if name.is_empty() || marks::is_marked(name) || !name.chars().all(allowed) {
        let message =
            "the name of a profile must be known text of letters, digits, `-`, `_`, `.`";
        return Err(session
            .refuse(Diagnostic::new(Code::NameNotKnown, message).at(session.span(context))));
    }
    let on = session.chosen.is_on(name);
    session.profiles.borrow_mut().insert(name.to_owned(), on);
    Ok(on)
}

/// The outermost profile around the script's place that is off.
pub(super) fn off(session: &Session) -> Option<String> {
    session.inside.borrow().iter().find(|name| !session.chosen.is_on(name)).cloned()
}

/// Findings for profiles that were asked for and that the script does not have.
pub(super) fn unknown(session: &Session) -> Vec<Diagnostic> {
    let known: BTreeMap<String, bool> = session.profiles.borrow().clone();
    let unknown = session.chosen.names.iter().filter(|name| !known.contains_key(*name));
    unknown
        .map(|name| {
            let finding = Diagnostic::new(
                Code::UnknownProfile,
                format!("the script has no profile `{name}`"),
            );
            let names: Vec<_> = known.keys().map(String::as_str).collect();
            match did_you_mean(name, names.iter().copied()) {
                Some(meant) => finding.hint(format!("did you mean `{meant}`?")),
                None if names.is_empty() => finding.note("it has no profiles at all"),
                None => finding.hint(format!("there are {}", list_words(&names))),
            }
        })
        .collect()
}
