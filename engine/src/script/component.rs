//! `component`: resources grouped under a name, which stands before their addresses.

use std::rc::Rc;

use rhai::{
    Dynamic, Engine, EvalAltResult, FnPtr, FuncRegistration, ImmutableString, NativeCallContext,
};

use super::marks;
use super::session::Session;
use super::symbol::Answer;
use crate::diagnostic::{Code, Diagnostic};

/// What the name of a component begins with where functions are named in errors.
pub(super) const MARK: &str = "component ";

/// Registers `component(name, body)`.
pub(super) fn register(engine: &mut Engine, session: &Rc<Session>) {
    let here = Rc::clone(session);
    FuncRegistration::new("component")
        .with_params_info(["name: string", "body: closure", "any"])
        .with_comments([
            "/// Groups what the closure declares under a name that stands before its addresses; \
             returns what the closure returns.",
        ])
        .register_into_engine(
            engine,
            move |context: NativeCallContext, name: ImmutableString, body: FnPtr| {
                component(&here, &context, &name, &body)
            },
        );
}

fn component(
    session: &Rc<Session>,
    context: &NativeCallContext,
    name: &str,
    body: &FnPtr,
) -> Answer<Dynamic> {
    if name.is_empty() || marks::is_marked(name) {
        let message = "the name of a component must be known text, and not empty";
        let finding = Diagnostic::new(Code::NameNotKnown, message).at(session.span(context));
        return Err(session.refuse(finding));
    }
    session.components.borrow_mut().push(name.to_owned());
    let result = body.call_within_context(context, ());
    session.components.borrow_mut().pop();
    // So that the way to an error tells which component it is in.
    result.map_err(|error| {
        if matches!(*error, EvalAltResult::Exit(..)) {
            return error;
        }
        let source = context.call_source().unwrap_or_default().to_owned();
        let name = format!("{MARK}{name}");
        EvalAltResult::ErrorInFunctionCall(name, source, error, context.call_position()).into()
    })
}
