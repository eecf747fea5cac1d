//! Secrets in clear text, and those everybody knows.

use std::collections::BTreeSet;

use super::Report;
use super::stack::Stack;
use crate::diagnostic::{Code, Diagnostic};
use crate::expr::Expr;
use crate::path::{Path, Segment};
use crate::value::Value;

/// Ends of names under which secrets are kept.
const SECRET_WORDS: [&str; 12] = [
    "password",
    "passwd",
    "passphrase",
    "pass",
    "pwd",
    "secret",
    "token",
    "api_key",
    "apikey",
    "secret_key",
    "private_key",
    "access_key",
];
/// What such a name may hold that is no secret: switches.
const SWITCHES: [&str; 8] = ["true", "false", "yes", "no", "on", "off", "0", "1"];
/// Defaults of services, and the words every list of passwords begins with.
const KNOWN_WORDS: [&str; 22] = [
    "admin",
    "changeme",
    "change_me",
    "changeit",
    "default",
    "example",
    "guest",
    "letmein",
    "minioadmin",
    "mongo",
    "mysql",
    "pass",
    "passwd",
    "password",
    "postgres",
    "rabbitmq",
    "redis",
    "root",
    "secret",
    "test",
    "123456",
    "12345",
];

/// Attributes that hold words of a command.
const COMMANDS: [&str; 4] = ["command", "entrypoint", "healthcheck", "check"];
/// Options that are followed by a password and mean something else elsewhere: the beginning of
/// the program's name, the option.
const OPTIONS_OF: [(&str, &str); 3] =
    [("mosquitto_", "-P"), ("redis-cli", "-a"), ("valkey-cli", "-a")];
/// Options of servers whose names do not end in such a word.
const PASSWORD_OPTIONS: [&str; 3] = ["masterauth", "pw", "requirepass"];
/// Starts of options that have no value, only say how to ask for one, or name a cluster.
const NO_SECRETS: [&str; 9] =
    ["no-", "ask-", "prompt-", "hide-", "show-", "allow-", "disable-", "enable-", "initial-"];
/// Longer texts are no commands.
const LONGEST_COMMAND: usize = 4096;

pub(super) fn check<'a>(stack: &Stack<'a>, report: &mut Report<'a>) {
    if report.supposed.is_none() {
        defaults(stack, report);
    }
    for declaration in stack.graph.in_order() {
        let mut clear: BTreeSet<(Path, String)> = BTreeSet::new();
        for (path, text) in &declaration.clear {
            clear.insert((path.clone(), text.clone()));
        }
        for (name, expr) in &declaration.attributes {
            walk_expr(expr, &Path::attribute(name), &mut clear);
        }
        for (path, text) in clear {
            let found = finding(&format!("`{path}`"), &text).hint(
                "ask for it: `param(\"name\", #{ secret: true })`, or have it made: \
                 `local::random(\"name\").result`",
            );
            report.add(declaration, &path, found);
        }
    }
}

/// The defaults of secret parameters, which stand in the script.
fn defaults<'a>(stack: &Stack<'a>, report: &mut Report<'a>) {
    for parameter in stack.graph.program().parameters.iter().filter(|asked| asked.secret) {
        let default = match &parameter.default {
            Some(Value::Secret(inner)) => inner.as_str(),
            Some(other) => other.as_str(),
            None => None,
        };
        if let Some(text) = default.filter(|text| !text.is_empty()) {
            let what = format!("the default of parameter `{}`", parameter.name);
            report.found.push(
                finding(&what, text)
                    .at(parameter.span.clone())
                    .hint("leave the default out, and give the value in a file that is not kept with the script: `default.params.toml`")
                    .into(),
            );
        }
    }
}

fn finding(what: &str, text: &str) -> Diagnostic {
    if KNOWN_WORDS.contains(&text.to_lowercase().as_str()) {
        let message = format!("{what} is a password everybody knows");
        Diagnostic::new(Code::DefaultCredential, message)
    } else {
        let message = format!("{what} holds a secret in clear text");
        Diagnostic::new(Code::ClearSecret, message)
    }
}

/// The passwords that stand in URLs of a text: `postgres://app:HERE@db/shop`.
fn passwords(text: &str) -> impl Iterator<Item = &str> {
    text.split("://").skip(1).filter_map(|rest| {
        let end = rest.find(|c: char| c.is_whitespace() || "/?#\"'".contains(c));
        let (login, _) = rest[..end.unwrap_or(rest.len())].rsplit_once('@')?;
        let (_, password) = login.split_once(':')?;
        is_plain(password).then_some(password)
    })
}

fn walk_expr(expr: &Expr, at: &Path, found: &mut BTreeSet<(Path, String)>) {
    match expr {
        Expr::Value(value) => walk(value, at, found),
        Expr::Map(entries) => {
            for (key, entry) in entries {
                walk_expr(entry, &at.key(key), found);
            }
        }
        Expr::List(items) => {
            let texts: Vec<_> = items.iter().map(|item| in_clear(item.known()?)).collect();
            options(&texts, at, found);
            for (index, item) in items.iter().enumerate() {
                walk_expr(item, &at.index(index), found);
            }
        }
        // Text with parts that are known later: the others are as written.
        Expr::Call(_, parts) => {
            for part in parts.iter() {
                if let Expr::Value(Value::String(text)) = part {
                    found.extend(passwords(text).map(|one| (at.clone(), one.to_owned())));
                }
            }
        }
        _ => {}
    }
}

fn walk(value: &Value, at: &Path, found: &mut BTreeSet<(Path, String)>) {
    match value {
        Value::String(text) => {
            // Attributes of the kind itself are marked by it.
            let inside = at.0.len() > 1;
            if inside && names_secret(at) && !text.is_empty() && !is_switch(text) {
                found.insert((at.clone(), text.clone()));
            } else if let Some(value) = in_pair(text, at) {
                found.insert((at.clone(), value.to_owned()));
            } else {
                found.extend(passwords(text).map(|one| (at.clone(), one.to_owned())));
                if text.len() <= LONGEST_COMMAND {
                    let words: Vec<_> = text.split_whitespace().map(Some).collect();
                    let mut told = BTreeSet::new();
                    options(&words, at, &mut told);
                    found.extend(told.into_iter().map(|(_, value)| (at.clone(), value)));
                }
            }
        }
        Value::List(items) => {
            let texts: Vec<_> = items.iter().map(in_clear).collect();
            options(&texts, at, found);
            for (index, item) in items.iter().enumerate() {
                walk(item, &at.index(index), found);
            }
        }
        Value::Map(entries) => {
            for (key, entry) in entries {
                walk(entry, &at.key(key), found);
            }
        }
        _ => {}
    }
}

/// Text that nobody marked as a secret.
fn in_clear(value: &Value) -> Option<&str> {
    match value {
        Value::String(text) => Some(text),
        _ => None,
    }
}

/// The secret in an item of a list of pairs: `POSTGRES_PASSWORD=HERE`.
fn in_pair<'t>(text: &'t str, at: &Path) -> Option<&'t str> {
    if !matches!(at.0.last(), Some(Segment::Index(_))) {
        return None;
    }
    let (key, value) = text.split_once('=')?;
    let is_name = !key.is_empty()
        && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
        && !key.starts_with('-');
    (is_name && is_secret_name(key) && is_plain(value)).then_some(value)
}

/// The secrets that options of a command hold: `--requirepass HERE`, `--password=HERE`,
/// `mosquitto_sub -P HERE`.
fn options(words: &[Option<&str>], at: &Path, found: &mut BTreeSet<(Path, String)>) {
    if !matches!(at.0.first(), Some(Segment::Key(name)) if COMMANDS.contains(&name.as_str())) {
        return;
    }
    let mut program = "";
    for (index, word) in words.iter().enumerate() {
        let Some(word) = word.map(|word| word.trim_matches(['"', '\'', ';'])) else { continue };
        let called = word.rsplit('/').next().unwrap_or(word);
        if OPTIONS_OF.iter().any(|(of, _)| called.starts_with(of)) {
            program = called;
        }
        let of_program =
            |(of, option): &(&str, &str)| program.starts_with(of) && word == *option;
        let option = match word.strip_prefix("--") {
            Some(option) => option,
            None if OPTIONS_OF.iter().any(of_program) => "password",
            None => continue,
        };
        let (key, value, place) = match option.split_once('=') {
            Some((key, value)) => (key, Some(value), index),
            None => (option, words.get(index + 1).copied().flatten(), index + 1),
        };
        let Some(value) = value else { continue };
        let asks = NO_SECRETS.iter().any(|start| key.starts_with(start));
        let names = !asks && (is_secret_name(key) || PASSWORD_OPTIONS.contains(&key));
        if names && is_plain(value) && !value.starts_with('-') {
            found.insert((at.index(place), value.trim_matches(['"', '\'']).to_owned()));
        }
    }
}

/// Whether a text is a secret as it stands: nothing that is filled in, and no switch.
fn is_plain(text: &str) -> bool {
    !text.is_empty() && !text.contains(['$', '{', '<', '*']) && !is_switch(text)
}

fn is_switch(text: &str) -> bool {
    SWITCHES.contains(&text.to_lowercase().as_str())
}

/// Whether the last key of a path ends in a word for secrets: `POSTGRES_PASSWORD`, not
/// `PASSWORD_FILE` or `compass`.
fn names_secret(at: &Path) -> bool {
    matches!(at.0.last(), Some(Segment::Key(key)) if is_secret_name(key))
}

fn is_secret_name(key: &str) -> bool {
    let key = key.to_lowercase().replace(['-', '.'], "_");
    SECRET_WORDS.iter().any(|word| {
        key.strip_suffix(word).is_some_and(|rest| rest.is_empty() || rest.ends_with('_'))
    })
}
