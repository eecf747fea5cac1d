//! Secrets that are kept elsewhere: the script names the place and never sees the value.

use std::rc::Rc;

use rhai::{Array, Dynamic, Engine, FuncRegistration, NativeCallContext};

use super::parameters::{holds_noncharacter, known_text};
use super::session::Session;
use super::symbol::{Answer, Symbol};
use super::{loader, profile};
use crate::diagnostic::{Code, Diagnostic};
use crate::expr::Expr;
use crate::files::SecretSource;
use crate::path::Path;
use crate::program::SecretInput;
use crate::value::Value;

/// Registers `secret_file(path)`, `secret_command(words)`, `secret_age(path, entry)` and
/// `secret_sops(path, entry)`.
pub(super) fn register(engine: &mut Engine, session: &Rc<Session>) {
    let here = Rc::clone(session);
    FuncRegistration::new("secret_file")
        .with_params_info(["path: string", "text"])
        .with_comments([
            "/// The text of a file of the project as a secret, without a line break at its end.",
        ])
        .register_into_engine(engine, move |context: NativeCallContext, path: Dynamic| {
            let source = SecretSource::File(file(&here, &context, &path)?);
            secret(&here, &context, source)
        });
    let here = Rc::clone(session);
    FuncRegistration::new("secret_command")
        .with_params_info(["words: list", "text"])
        .with_comments([
            "/// What a command prints as a secret, without a line break at its end; it runs \
             when a plan is made.",
        ])
        .register_into_engine(engine, move |context: NativeCallContext, words: Dynamic| {
            let source = command(&here, &context, words)?;
            secret(&here, &context, source)
        });
    let comment = "/// The text of a file of the project that is encrypted with age, or one entry \
                   of it, as a secret.";
    let here = Rc::clone(session);
    FuncRegistration::new("secret_age")
        .with_params_info(["path: string", "text"])
        .with_comments([comment])
        .register_into_engine(engine, move |context: NativeCallContext, path: Dynamic| {
            let source = age(&here, &context, &path, None)?;
            secret(&here, &context, source)
        });
    let here = Rc::clone(session);
    FuncRegistration::new("secret_age")
        .with_params_info(["path: string", "entry: string", "text"])
        .with_comments([comment])
        .register_into_engine(
            engine,
            move |context: NativeCallContext, path: Dynamic, entry: Dynamic| {
                let source = age(&here, &context, &path, Some(&entry))?;
                secret(&here, &context, source)
            },
        );
    let here = Rc::clone(session);
    FuncRegistration::new("secret_sops")
        .with_params_info(["path: string", "entry: string", "text"])
        .with_comments([
            "/// One entry of a file of the project that is encrypted with SOPS, as a secret.",
        ])
        .register_into_engine(
            engine,
            move |context: NativeCallContext, path: Dynamic, name: Dynamic| {
                let path = file(&here, &context, &path)?;
                let entry = entry(&here, &context, &name)?;
                secret(&here, &context, SecretSource::Sops { path, entry })
            },
        );
}

/// The path of a file of the project.
pub(super) fn file(
    session: &Session,
    context: &NativeCallContext,
    path: &Dynamic,
) -> Answer<String> {
    let at = session.call(context).at(&Path::attribute("name"));
    let refuse = |finding: Diagnostic| Err(session.refuse(finding.at(at.clone())));
    let Some(path) = known_text(path) else {
        return refuse(Diagnostic::new(
            Code::NameNotKnown,
            "the path of a file must be known text",
        ));
    };
    match loader::join(context.call_source().unwrap_or_default(), &path) {
        Some(path) => Ok(path),
        None => refuse(loader::outside(&path)),
    }
}

fn age(
    session: &Session,
    context: &NativeCallContext,
    path: &Dynamic,
    entry: Option<&Dynamic>,
) -> Answer<SecretSource> {
    let path = file(session, context, path)?;
    let entry = entry.map(|name| self::entry(session, context, name)).transpose()?;
    Ok(SecretSource::Age { path, entry })
}

/// The name of an entry of a file.
fn entry(session: &Session, context: &NativeCallContext, name: &Dynamic) -> Answer<String> {
    known_text(name).filter(|name| !name.is_empty()).ok_or_else(|| {
        let message = "the entry of a file is known text, such as \"db.password\"";
        session.refuse(Diagnostic::new(Code::NameNotKnown, message).at(session.span(context)))
    })
}

fn command(
    session: &Session,
    context: &NativeCallContext,
    words: Dynamic,
) -> Answer<SecretSource> {
    let words = words.flatten().try_cast::<Array>().unwrap_or_default();
    let known: Option<Vec<String>> = words.iter().map(known_text).collect();
    match known {
        Some(words) if words.first().is_some_and(|program| !program.is_empty()) => {
            Ok(SecretSource::Command(words))
        }
        _ => {
            let message = "a command is a list of known texts: the program, then its arguments";
            let finding =
                Diagnostic::new(Code::WrongArguments, message).at(session.span(context));
            let hint = "for what a shell would do: `[\"sh\", \"-c\", \"..\"]`";
            Err(session.refuse(finding.hint(hint)))
        }
    }
}

fn secret(
    session: &Session,
    context: &NativeCallContext,
    source: SecretSource,
) -> Answer<Symbol> {
    let known = session
        .secrets
        .borrow()
        .iter()
        .find(|(input, _)| input.source == source)
        .map(|(_, value)| value.clone());
    let value = match known {
        Some(value) => value,
        None => read(session, context, source)?,
    };
    // Not an empty one: what is decided by it stays open.
    Ok(Symbol::new(value.map_or_else(Expr::withheld, Expr::Value)))
}

fn read(
    session: &Session,
    context: &NativeCallContext,
    source: SecretSource,
) -> Answer<Option<Value>> {
    let call = session.call(context);
    // What a profile that is off wants is not asked for.
    let found = if profile::off(session).is_some() {
        session.guessing.set(true);
        return Ok(None);
    } else {
        session.secret(&source)
    };
    let value = match found {
        Ok(None) => {
            session.guessing.set(true);
            None
        }
        Ok(Some(text)) => {
            let text = text.strip_suffix('\n').unwrap_or(&text);
            let text = text.strip_suffix('\r').unwrap_or(text);
            let value = Value::string(text);
            if holds_noncharacter(&value) {
                let message = format!("{source} holds Unicode noncharacters U+FDD0 to U+FDEF");
                return Err(session.refuse(
                    Diagnostic::new(Code::SecretUnusable, message).at(call.span.clone()),
                ));
            }
            if text.is_empty() {
                let finding = Diagnostic::new(
                    Code::SecretUnusable,
                    format!("the secret of {source} is empty"),
                );
                session.note(finding.at(call.at(&Path::attribute("name"))))?;
            }
            Some(value.secret())
        }
        Err(error) => {
            let finding = Diagnostic::new(Code::SecretUnusable, error.to_string());
            session.note(finding.at(call.at(&Path::attribute("name"))))?;
            None
        }
    };
    let input = SecretInput { source, span: call.span.clone() };
    session.secrets.borrow_mut().push((input, value.clone()));
    Ok(value)
}
