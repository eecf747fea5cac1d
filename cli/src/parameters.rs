//! Values from outside for the parameters of a stack.
//!
//! Strongest first:
//!
//! 1. `--param name=value`
//! 2. `--params FILE`, a later one before an earlier one
//! 3. the environment variable `DOLLOP_PARAM_name`
//! 4. `<environment>.params.toml`, `.json` or `.env` in the project folder
//! 5. `.env` in the project folder
//!
//! What none of them gives is left to the default in the script.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use dollop_engine::diagnostic::{Code, Diagnostic, Findings, Sources};
use dollop_engine::dotenv;
use dollop_engine::program::{Given, GivenValue};
use dollop_engine::value::Value;

use crate::error::CommandError;

/// The start of environment variables that set a parameter.
pub const PREFIX: &str = "DOLLOP_PARAM_";

/// Where values may come from.
pub struct Places<'a> {
    /// The project folder.
    pub folder: &'a Path,
    /// The environment that is chosen.
    pub environment: &'a str,
    /// Files named on the command line, later wins.
    pub files: &'a [PathBuf],
    /// Pairs on the command line, later wins.
    pub flags: &'a [(String, String)],
    /// The environment of the process.
    pub variables: BTreeMap<OsString, OsString>,
}

/// Everything given, by the name of the parameter.
///
/// # Errors
/// Every file and variable that cannot be read, with every line of it that is wrong.
pub fn gather(places: &Places<'_>) -> Result<BTreeMap<String, Given>, CommandError> {
    let mut gathered = Gathered::default();
    let mut problems: Vec<Diagnostic> = Vec::new();
    for (name, value) in places.flags.iter().rev() {
        gathered.add(name, GivenValue::Text(value.clone()), "flag `--param`");
    }
    for file in places.files.iter().rev() {
        let source = format!("file `{}`", file.display());
        gathered.all(noted(read(file, &places.variables), &mut problems), &source);
    }
    for (variable, value) in &places.variables {
        let Some(variable) = variable.to_str() else { continue };
        let Some(name) = variable.strip_prefix(PREFIX).filter(|name| !name.is_empty()) else {
            continue;
        };
        let Some(value) = value.to_str() else {
            problems
                .push(wrong(format!("environment variable `{variable}` is not UTF-8 text")));
            continue;
        };
        let source = format!("environment variable `{variable}`");
        gathered.add(name, GivenValue::Text(value.to_owned()), &source);
    }
    match of_environment(places.folder, places.environment) {
        Ok(Some(name)) => {
            let values = read(&places.folder.join(&name), &places.variables);
            gathered.all(noted(values, &mut problems), &format!("file `{name}`"));
        }
        Ok(None) => {}
        Err(error) => problems.push(error.diagnostic()),
    }
    let shared = places.folder.join(".env");
    if shared.is_file() {
        // Compose and others read it too, so it may say more than this script asks for.
        gathered.incidental = true;
        gathered.all(noted(read(&shared, &places.variables), &mut problems), "file `.env`");
    }
    if problems.is_empty() {
        return Ok(gathered.found);
    }
    Err(Findings { diagnostics: problems, sources: Sources::default() }.into())
}

/// What was read, or nothing and what is wrong with it.
fn noted<T: Default>(read: Result<T, Vec<Diagnostic>>, problems: &mut Vec<Diagnostic>) -> T {
    read.unwrap_or_else(|found| {
        problems.extend(found);
        T::default()
    })
}

fn wrong(message: String) -> Diagnostic {
    Diagnostic::new(Code::Command, message)
}

/// The parameter file of an environment, by its name in the project folder.
///
/// # Errors
/// There is more than one.
pub fn of_environment(
    folder: &Path,
    environment: &str,
) -> Result<Option<String>, CommandError> {
    let names = ENDINGS.map(|ending| format!("{environment}.params.{ending}"));
    let mut there = names.into_iter().filter(|name| folder.join(name).is_file());
    let Some(first) = there.next() else { return Ok(None) };
    match there.next() {
        None => Ok(Some(first)),
        Some(second) => Err(CommandError::failed(format!(
            "environment `{environment}` has two parameter files: `{first}` and `{second}`"
        ))
        .hint("keep one of them")),
    }
}

/// Endings of parameter files.
pub const ENDINGS: [&str; 3] = ["toml", "json", "env"];

/// Values by name; the first one counts.
#[derive(Default)]
struct Gathered {
    found: BTreeMap<String, Given>,
    /// Whether what comes now may be meant for others.
    incidental: bool,
}

impl Gathered {
    fn add(&mut self, name: &str, value: GivenValue, source: &str) {
        if let Some(stronger) = self.found.get_mut(name) {
            // Twice in one place is one source.
            if stronger.source != source && stronger.outranked.iter().all(|s| s != source) {
                stronger.outranked.push(source.to_owned());
            }
            return;
        }
        let incidental = self.incidental;
        let given = Given { incidental, ..Given::new(value, source) };
        self.found.insert(name.to_owned(), given);
    }

    fn all(&mut self, values: Vec<(String, GivenValue)>, source: &str) {
        // In a file, too, what is written last counts.
        for (name, value) in values.into_iter().rev() {
            self.add(&name, value, source);
        }
    }
}

fn read(
    file: &Path,
    variables: &BTreeMap<OsString, OsString>,
) -> Result<Vec<(String, GivenValue)>, Vec<Diagnostic>> {
    let shown = file.display();
    let form = form(file).ok_or_else(|| {
        let hint = "parameters are read from files that end in `.toml`, `.json` or `.env`";
        vec![wrong(format!("the form of `{shown}` is not known")).hint(hint)]
    })?;
    let text = std::fs::read_to_string(file)
        .map_err(|error| vec![wrong(format!("cannot read `{shown}`: {error}"))])?;
    let wrong = |what: String| vec![wrong(format!("`{shown}`: {what}"))];
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
        Form::Env => {
            let get = |name: &str| {
                variables.get(std::ffi::OsStr::new(name))?.to_str().map(str::to_owned)
            };
            let located = |problem: dotenv::Problem| {
                let message = format!("`{shown}`: line {}: {}", problem.line, problem.message);
                let found = Diagnostic::new(Code::Command, message);
                if problem.hint.is_empty() { found } else { found.hint(problem.hint) }
            };
            let outside = dotenv::Outside { get: &get, name: "the environment" };
            let values = dotenv::parse(&text, &outside)
                .map_err(|problems| problems.into_iter().map(located).collect::<Vec<_>>())?;
            Ok(values.into_iter().map(|(name, text)| (name, GivenValue::Text(text))).collect())
        }
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
                let others = given.outranked.iter().map(|other| format!(", not {other}"));
                format!("{name}={value} from {}{}", given.source, others.collect::<String>())
            })
            .collect()
    }

    fn write(folder: &tempfile::TempDir, name: &str, text: &str) -> PathBuf {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn places<'a>(
        folder: &'a tempfile::TempDir,
        files: &'a [PathBuf],
        flags: &'a [(String, String)],
        variables: &[(&str, &str)],
    ) -> Places<'a> {
        let variables =
            variables.iter().map(|(name, value)| (name.into(), value.into())).collect();
        Places { folder: folder.path(), environment: "prod", files, flags, variables }
    }

    #[test]
    fn the_strongest_source_wins_and_the_others_are_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let files = [
            write(&folder, "a.toml", "a = 1\nb = [true]\nc = 1\nd = 1979-05-27"),
            write(&folder, "b.json", r#"{"b": {"x": 1.5}}"#),
        ];
        write(&folder, "prod.params.toml", "a = 2\nf = 'prod'\ng = 1.5");
        write(&folder, "dev.params.toml", "a = 3\nh = 'dev'");
        write(&folder, ".env", "f=shared\nOTHER=${e:-x}");
        let flags = [("c".to_owned(), "flag".to_owned())];
        let variables = ["a", "b", "e"].map(|name| format!("{PREFIX}{name}"));
        let variables = variables.each_ref().map(|name| (name.as_str(), "variable"));
        let given = gather(&places(&folder, &files, &flags, &variables)).unwrap();
        let shown: Vec<_> = show(&given)
            .iter()
            .map(|line| line.replace(&format!("{}/", folder.path().display()), ""))
            .collect();
        assert_eq!(
            shown,
            [
                "OTHER=\"x\" from file `.env`",
                "a=1 from file `a.toml`, not environment variable `DOLLOP_PARAM_a`, not file `prod.params.toml`",
                "b={\"x\": 1.5} from file `b.json`, not file `a.toml`, not environment variable `DOLLOP_PARAM_b`",
                "c=\"flag\" from flag `--param`, not file `a.toml`",
                "d=\"1979-05-27\" from file `a.toml`",
                "e=\"variable\" from environment variable `DOLLOP_PARAM_e`",
                "f=\"prod\" from file `prod.params.toml`, not file `.env`",
                "g=1.5 from file `prod.params.toml`",
            ]
        );
        assert!(given["OTHER"].incidental && !given["f"].incidental);
    }

    #[test]
    fn an_environment_has_one_parameter_file() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(of_environment(folder.path(), "prod").unwrap(), None);
        write(&folder, "prod.params.json", "{}");
        let found = of_environment(folder.path(), "prod").unwrap();
        assert_eq!(found.as_deref(), Some("prod.params.json"));
        write(&folder, "prod.params.env", "");
        let error = of_environment(folder.path(), "prod").unwrap_err();
        assert!(error.message.contains("two parameter files"), "{}", error.message);
    }

    #[test]
    fn broken_files_are_named_and_never_quoted() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text, expected) in [
            ("a.env", "OK=1\nPW=hunter2$x", "line 2: variable `x` is not set"),
            ("b.env", "OK=1\nhunter2 hunter2", "line 2: this is not `NAME=value`"),
            ("c.json", "[\"hunter2\"]", "it must hold an object"),
            ("d.json", "{\"a\": hunter2}", "line 1 column 7"),
            ("e.toml", "a = 1\npw = hunter2", "line 2: "),
            ("f.yaml", "a: hunter2", "the form of"),
        ] {
            let files = [write(&folder, name, text)];
            let error = gather(&places(&folder, &files, &[], &[])).unwrap_err();
            assert!(error.message.contains(expected), "{}", error.message);
            assert!(error.message.contains(name), "{}", error.message);
            assert!(!error.message.contains("hunter2"), "{}", error.message);
        }
        let missing = [folder.path().join("no.toml")];
        let missing = gather(&places(&folder, &missing, &[], &[])).unwrap_err();
        assert!(missing.message.starts_with("cannot read"), "{}", missing.message);
    }
}
