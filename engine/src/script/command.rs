//! Commands a stack publishes under names of its own: `command("topics", #{ .. })`.

use rhai::{Dynamic, Map, NativeCallContext};

use super::convert::Converter;
use super::parameters::known_text;
use super::session::Session;
use super::symbol::{Answer, Handle};
use crate::diagnostic::{Code, Diagnostic, did_you_mean};
use crate::ephemeral::Secrecy;
use crate::expr::Expr;
use crate::operate::Ability;
use crate::path::Path;
use crate::program::NamedCommand;
use crate::value::Value;

/// What can be said about one.
const OPTIONS: [&str; 6] = ["container", "command", "doc", "env", "user", "working_dir"];

/// Publishes a command.
pub(super) fn command(
    session: &Session,
    context: &NativeCallContext,
    name: &Dynamic,
    options: Dynamic,
) -> Answer<()> {
    let call = session.call(context);
    let wrong = |message: String| Diagnostic::new(Code::CommandForm, message);
    let Some(name) = known_text(name).filter(|name| is_word(name)) else {
        let finding = wrong("the name of a command is known text without spaces".to_owned());
        let finding = finding.at(call.at(&Path::attribute("name")));
        return Err(session.refuse(finding.hint("one looks like `kafka-topics`")));
    };
    let mut components = session.components.borrow().clone();
    components.push(name);
    let name = components.join("/");
    let mut found = NamedCommand::new(name, call.span.clone());
    let mut findings = Vec::new();
    let mut target = None;
    for (key, value) in options.flatten().try_cast::<Map>().unwrap_or_default() {
        let at = Path::attribute(key.as_str());
        let mut finding = |message: String, hint: &str| {
            let finding = wrong(format!("command `{}`: {message}", found.name));
            let finding = finding.at(call.at(&at));
            findings.push(if hint.is_empty() { finding } else { finding.hint(hint) });
        };
        match key.as_str() {
            "container" => match value.read_lock::<Handle>() {
                Some(handle) if can_exec(session, handle.0.kind) => {
                    target = Some(handle.0.address.clone());
                }
                Some(handle) => {
                    finding(format!("a `{}` runs no commands", handle.0.kind), "");
                }
                None => finding(
                    "`container` takes what it runs in".to_owned(),
                    "one looks like `container: web`, where `web` is a `docker::container`",
                ),
            },
            "command" | "env" => {
                let mut converter = Converter::new(session, at.clone());
                let value = converter.expr(value);
                for trouble in converter.troubles {
                    finding(trouble.message, trouble.hints.first().map_or("", String::as_str));
                }
                if key == "env" {
                    match entries(value) {
                        Some(env) => found.env = env,
                        None => finding("`env` takes a map".to_owned(), ""),
                    }
                } else {
                    match words(value) {
                        Ok(words) => found.words = words,
                        Err((message, hint)) => finding(message, hint),
                    }
                }
            }
            "doc" | "user" | "working_dir" => match known_text(&value) {
                Some(text) if key == "doc" => found.doc = text,
                Some(text) if key == "user" => found.user = Some(text),
                Some(text) => found.folder = Some(text),
                None => finding(format!("`{key}` takes known text"), ""),
            },
            other => {
                let near = did_you_mean(other, OPTIONS);
                let hint = near.map(|near| format!("did you mean `{near}`?"));
                finding(format!("there is no option `{other}`"), hint.as_deref().unwrap_or(""));
            }
        }
    }
    if findings.is_empty() && (target.is_none() || found.words.is_empty()) {
        let missing = if target.is_none() { "container" } else { "command" };
        let finding = wrong(format!("command `{}` has no `{missing}`", found.name));
        let hint = "`#{ container: web, command: [\"nginx\", \"-s\", \"reload\"] }`";
        findings.push(finding.at(call.span.clone()).hint(hint));
    }
    let other = session.commands.borrow().iter().find(|c| c.name == found.name).cloned();
    if let Some(other) = other {
        let finding = wrong(format!("command `{}` is published twice", found.name));
        let finding = finding.at(call.span.clone());
        findings.push(finding.related(other.span, "first published here"));
    }
    let is_sound = findings.is_empty();
    for finding in findings {
        session.note(finding)?;
    }
    if let Some(target) = target.filter(|_| is_sound)
        && super::profile::off(session).is_none()
    {
        found.target = Some(target);
        session.commands.borrow_mut().push(found);
    }
    Ok(())
}

fn is_word(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with('-')
        && !name.contains(|c: char| c.is_whitespace() || c.is_control() || c == '/')
}

fn can_exec(session: &Session, kind: &str) -> bool {
    let operations = session.registry.operations(kind);
    operations.is_some_and(|operations| operations.abilities().contains(&Ability::Exec))
}

/// A list as it is; a text split as a shell would.
fn words(value: Expr) -> Result<Vec<Expr>, (String, &'static str)> {
    let words = match value {
        Expr::Value(Value::String(text)) => shell_words::split(&text)
            .map_err(|error| (format!("`command`: {error}"), "write it as a list of words"))?
            .into_iter()
            .map(|word| Expr::Value(Value::string(word)))
            .collect(),
        Expr::Value(Value::List(items)) => items.into_iter().map(Expr::Value).collect(),
        Expr::List(items) => items.to_vec(),
        _ => {
            let message = "`command` takes a list, or text that is known".to_owned();
            return Err((message, "one looks like `[\"psql\", \"-c\", \"select 1\"]`"));
        }
    };
    if words.iter().any(|word| word.secrecy() > Secrecy::Open) {
        let message = "a secret among its words would show in every list of processes";
        return Err((message.to_owned(), "hand it over in `env`"));
    }
    Ok(words)
}

fn entries(value: Expr) -> Option<crate::map::Map<Expr>> {
    match value {
        Expr::Map(entries) => Some(entries),
        Expr::Value(Value::Map(entries)) => {
            let entries = entries.iter();
            Some(
                entries.map(|(key, value)| (key.clone(), Expr::Value(value.clone()))).collect(),
            )
        }
        _ => None,
    }
}
