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
/// Options of programs that are followed by a password.
const OPTIONS: [&str; 5] = ["--password", "--passwd", "--pw", "--requirepass", "--masterauth"];
/// The same, which mean something else elsewhere: the beginning of the program's name, the option.
const OPTIONS_OF: [(&str, &str); 3] =
    [("mosquitto_", "-P"), ("redis-cli", "-a"), ("valkey-cli", "-a")];

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
                    .hint("leave the default out, and give the value in a file that is not kept with the script: `default.params.toml`"),
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

/// What a shell or a template fills in is not the password itself.
fn is_plain(password: &str) -> bool {
    !password.is_empty() && !password.contains(['$', '`', '{', '<', '*'])
}

/// The passwords among the words of a command: `--password HERE`, `mosquitto_sub -P HERE`.
fn spoken<'w>(at: &Path, words: impl Iterator<Item = &'w str>) -> Vec<(Path, String)> {
    let mut found = Vec::new();
    if !matches!(at.0.first(), Some(Segment::Key(name)) if COMMANDS.contains(&name.as_str())) {
        return found;
    }
    let (mut program, mut before) = ("", "");
    for word in words {
        let word = word.trim_matches(['"', '\'', ';']);
        let follows = OPTIONS.contains(&before)
            || OPTIONS_OF
                .iter()
                .any(|(of, option)| program.starts_with(of) && before == *option);
        let password = match word.split_once('=') {
            Some((option, password)) if OPTIONS.contains(&option) => Some(password),
            _ if follows && !word.starts_with('-') => Some(word),
            _ => None,
        };
        if let Some(password) = password.filter(|password| is_plain(password)) {
            found.push((at.clone(), password.to_owned()));
        }
        let called = word.rsplit('/').next().unwrap_or(word);
        if OPTIONS_OF.iter().any(|(of, _)| called.starts_with(of)) {
            program = called;
        }
        before = word;
    }
    found
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
            } else {
                found.extend(passwords(text).map(|one| (at.clone(), one.to_owned())));
                found.extend(spoken(at, text.split_whitespace()));
            }
        }
        Value::List(items) => {
            found.extend(spoken(at, items.iter().filter_map(Value::as_str)));
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

fn is_switch(text: &str) -> bool {
    SWITCHES.contains(&text.to_lowercase().as_str())
}

/// Whether the last key of a path ends in a word for secrets: `POSTGRES_PASSWORD`, not
/// `PASSWORD_FILE` or `compass`.
fn names_secret(at: &Path) -> bool {
    let Some(Segment::Key(key)) = at.0.last() else { return false };
    let key = key.to_lowercase().replace(['-', '.'], "_");
    SECRET_WORDS.iter().any(|word| {
        key.strip_suffix(word).is_some_and(|rest| rest.is_empty() || rest.ends_with('_'))
    })
}
