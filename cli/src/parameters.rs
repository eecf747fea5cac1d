//! Values from outside for the parameters of a stack.
//!
//! Strongest first: `--param`, `--params` files (a later one wins), the environment variable
//! `DOLLOP_PARAM_name`. What none of them gives is left to the default in the script.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use dollop_engine::program::{Given, GivenValue};
use dollop_engine::value::Value;

use crate::error::CommandError;

/// The start of environment variables that set a parameter.
pub const PREFIX: &str = "DOLLOP_PARAM_";

/// Everything given, by the name of the parameter.
pub fn gather(
    files: &[PathBuf],
    flags: &[(String, String)],
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<BTreeMap<String, Given>, CommandError> {
    let mut found = BTreeMap::new();
    for (variable, value) in environment {
        let Some(variable) = variable.to_str() else { continue };
        let Some(name) = variable.strip_prefix(PREFIX).filter(|name| !name.is_empty()) else {
            continue;
        };
        let Some(value) = value.to_str() else {
            let message = format!("environment variable `{variable}` is not UTF-8 text");
            return Err(CommandError::failed(message));
        };
        let source = format!("environment variable `{variable}`");
        let value = GivenValue::Text(value.to_owned());
        found.insert(name.to_owned(), Given { value, source });
    }
    for file in files {
        let source = format!("file `{}`", file.display());
        for (name, value) in read(file)? {
            found.insert(name, Given { value, source: source.clone() });
        }
    }
    for (name, value) in flags {
        let source = "flag `--param`".to_owned();
        let value = GivenValue::Text(value.clone());
        found.insert(name.clone(), Given { value, source });
    }
    Ok(found)
}

fn read(file: &Path) -> Result<Vec<(String, GivenValue)>, CommandError> {
    let shown = file.display();
    let form = form(file).ok_or_else(|| {
        CommandError::failed(format!("the form of `{shown}` is not known"))
            .hint("parameters are read from files that end in `.toml`, `.json` or `.env`")
    })?;
    let text = std::fs::read_to_string(file)
        .map_err(|error| CommandError::failed(format!("cannot read `{shown}`: {error}")))?;
    let wrong = |what: String| CommandError::failed(format!("`{shown}`: {what}"));
    match form {
        Form::Toml => {
            // The parser's own text quotes the line, and the line may hold a secret.
            let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
                let place = error.span().map(|span| line_of(&text, span.start));
                wrong(located(error.message(), place))
            })?;
            Ok(table
                .into_iter()
                .map(|(name, value)| (name, GivenValue::Typed(from_toml(value))))
                .collect())
        }
        Form::Json => {
            let json: serde_json::Value =
                serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
            let serde_json::Value::Object(object) = json else {
                return Err(wrong("it must hold an object, `{\"name\": value}`".to_owned()));
            };
            Ok(object
                .into_iter()
                .map(|(name, value)| (name, GivenValue::Typed(Value::from(value))))
                .collect())
        }
        Form::Env => from_env(&text).map_err(|error| match error {
            EnvError::Dollar { line } => {
                wrong(format!("line {line}: a `$` outside single quotes"))
                    .hint("put the value in single quotes; variables are not filled in")
            }
            EnvError::Line(line) => wrong(format!("line {line} is not `NAME=value`")),
        }),
    }
}

enum Form {
    Toml,
    Json,
    Env,
}

fn form(file: &Path) -> Option<Form> {
    let name = file.file_name()?.to_str()?.to_ascii_lowercase();
    match name.rsplit_once('.') {
        Some((_, "toml")) => Some(Form::Toml),
        Some((_, "json")) => Some(Form::Json),
        Some((_, "env")) => Some(Form::Env),
        _ if name.starts_with(".env.") => Some(Form::Env),
        _ => None,
    }
}

fn located(message: &str, line: Option<usize>) -> String {
    let message = message.trim().replace('\n', ", ");
    match line {
        Some(line) => format!("line {line}: {message}"),
        None => message,
    }
}

fn line_of(text: &str, byte: usize) -> usize {
    text.bytes().take(byte).filter(|byte| *byte == b'\n').count() + 1
}

fn from_toml(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => Value::String(text),
        toml::Value::Integer(number) => Value::Int(number),
        toml::Value::Float(number) => Value::Float(number),
        toml::Value::Boolean(value) => Value::Bool(value),
        toml::Value::Datetime(time) => Value::String(time.to_string()),
        toml::Value::Array(items) => Value::List(items.into_iter().map(from_toml).collect()),
        toml::Value::Table(entries) => Value::Map(
            entries.into_iter().map(|(key, value)| (key, from_toml(value))).collect(),
        ),
    }
}

enum EnvError {
    Dollar { line: usize },
    Line(usize),
}

/// `NAME=value` lines. A `$` would be taken as a variable of this process and vanish from a
/// password, so it is refused where it is not quoted.
fn from_env(text: &str) -> Result<Vec<(String, GivenValue)>, EnvError> {
    for (index, line) in text.lines().enumerate() {
        let line = line.trim_start();
        let Some((_, value)) = line.split_once('=').filter(|_| !line.starts_with('#')) else {
            continue;
        };
        if has_bare_dollar(value) {
            return Err(EnvError::Dollar { line: index + 1 });
        }
    }
    let mut found = Vec::new();
    for entry in dotenvy::from_read_iter(text.as_bytes()) {
        let (name, value) = entry.map_err(|error| {
            let line = match error {
                dotenvy::Error::LineParse(line, _) => {
                    text.lines().position(|other| other.trim() == line.trim()).unwrap_or(0)
                }
                _ => 0,
            };
            EnvError::Line(line + 1)
        })?;
        found.push((name, GivenValue::Text(value)));
    }
    Ok(found)
}

/// Whether a `$` stands where it would start a variable.
fn has_bare_dollar(value: &str) -> bool {
    let (mut single, mut double) = (false, false);
    let mut before = None;
    let mut characters = value.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' if !single => {
                characters.next();
            }
            '\'' if !double => single = !single,
            '"' if !single => double = !double,
            '#' if !single && !double && before.is_none_or(char::is_whitespace) => {
                return false;
            }
            '$' if !single => return true,
            _ => {}
        }
        before = Some(character);
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(given: &BTreeMap<String, Given>) -> Vec<String> {
        given
            .iter()
            .map(|(name, given)| {
                let value = match &given.value {
                    GivenValue::Text(text) => format!("{text:?}"),
                    GivenValue::Typed(value) => value.to_string(),
                };
                format!("{name}={value} from {}", given.source)
            })
            .collect()
    }

    fn write(folder: &tempfile::TempDir, name: &str, text: &str) -> PathBuf {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    #[test]
    fn flags_beat_files_beat_environment() {
        let folder = tempfile::tempdir().unwrap();
        let first = write(&folder, "a.toml", "a = 1\nb = [true]\nc = 1\nd = 1979-05-27");
        let second = write(&folder, "b.json", r#"{"b": {"x": 1.5}}"#);
        let environment = ["a", "b", "e"]
            .map(|name| (format!("{PREFIX}{name}").into(), OsString::from("environment")));
        let flags = [("c".to_owned(), "flag".to_owned())];
        let given = gather(&[first, second], &flags, environment).unwrap();
        let found: Vec<_> = show(&given)
            .iter()
            .map(|line| line.replace(&format!("{}/", folder.path().display()), ""))
            .collect();
        assert_eq!(
            found,
            [
                "a=1 from file `a.toml`",
                "b={\"x\": 1.5} from file `b.json`",
                "c=\"flag\" from flag `--param`",
                "d=\"1979-05-27\" from file `a.toml`",
                "e=\"environment\" from environment variable `DOLLOP_PARAM_e`",
            ]
        );
    }

    #[test]
    fn env_files_hold_text() {
        let folder = tempfile::tempdir().unwrap();
        let text = "# a comment with $\nexport A=1\nB='p$w' # $\nC=\"x y\"\nD=a\\$b\n";
        let file = write(&folder, ".env", text);
        let given = gather(&[file], &[], []).unwrap();
        let values: Vec<_> = show(&given)
            .into_iter()
            .map(|line| line.split(" from").next().unwrap().to_owned())
            .collect();
        assert_eq!(values, ["A=\"1\"", "B=\"p$w\"", "C=\"x y\"", "D=\"a$b\""]);
    }

    #[test]
    fn broken_files_are_named_and_never_quoted() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text, expected) in [
            ("a.env", "OK=1\nPW=hunter2$x", "line 2: a `$` outside single quotes"),
            ("b.env", "OK=1\nhunter2 hunter2", "line 2 is not `NAME=value`"),
            ("c.json", "[\"hunter2\"]", "it must hold an object"),
            ("d.json", "{\"a\": hunter2}", "line 1 column 7"),
            ("e.toml", "a = 1\npw = hunter2", "line 2: "),
            ("f.yaml", "a: hunter2", "the form of"),
        ] {
            let error = gather(&[write(&folder, name, text)], &[], []).unwrap_err();
            assert!(error.message.contains(expected), "{}", error.message);
            assert!(error.message.contains(name), "{}", error.message);
            assert!(!error.message.contains("hunter2"), "{}", error.message);
        }
        let missing = gather(&[folder.path().join("no.toml")], &[], []).unwrap_err();
        assert!(missing.message.starts_with("cannot read"), "{}", missing.message);
    }
}
