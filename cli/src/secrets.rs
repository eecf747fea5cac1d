//! Secrets that commands print (`pass show db`) or that are encrypted with age or SOPS.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use age::armor::ArmoredReader;
use dollop_engine::dotenv;
use dollop_engine::files::{FileError, SecretSource};
use serde_json::Value as Json;

use crate::project::lock;
use crate::render::text::clean;
use crate::sops;
use crate::terminal;

/// The environment variable that names the file with the age identity.
pub const IDENTITY: &str = "DOLLOP_AGE_IDENTITY";

/// The longest secret, in bytes.
const LONGEST: usize = 1 << 20;

/// What commands printed, each run once.
#[derive(Debug, Default)]
pub struct Secrets {
    /// Whether commands run at all.
    wanted: AtomicBool,
    printed: Mutex<BTreeMap<Vec<String>, Answer>>,
    /// Files that were decrypted, by path.
    opened: Mutex<BTreeMap<String, Answer>>,
    /// Entries of files of SOPS, by path and name.
    entries: Mutex<BTreeMap<(String, String), Answer>>,
}

/// What came of looking, also when that failed: a script is evaluated more than once, and
/// whoever is asked for a password is not asked again for the same.
type Answer = Result<Arc<str>, FileError>;

/// The answer there is already, or the one that `ask` gives now.
fn once<K: Ord>(
    answers: &Mutex<BTreeMap<K, Answer>>,
    key: K,
    ask: impl FnOnce() -> Answer,
) -> Answer {
    if let Some(answer) = lock(answers).get(&key) {
        return answer.clone();
    }
    let answer = ask();
    lock(answers).insert(key, answer.clone());
    answer
}

impl Secrets {
    /// Says whether commands run from now on.
    pub fn want(&self, wanted: bool) {
        self.wanted.store(wanted, Ordering::Relaxed);
    }

    /// Whether commands run at all.
    pub fn wanted(&self) -> bool {
        self.wanted.load(Ordering::Relaxed)
    }

    /// The text of a file encrypted with age, or one entry of it.
    ///
    /// # Errors
    /// There is no key, or not the right one; there is no such entry.
    pub fn open(
        &self,
        path: &str,
        bytes: &[u8],
        entry: Option<&str>,
    ) -> Result<Arc<str>, FileError> {
        let failed = |cause: String| FileError::Unreadable { path: path.to_owned(), cause };
        let text = once(&self.opened, path.to_owned(), || {
            decrypt(bytes).map(Into::into).map_err(failed)
        })?;
        match entry {
            None => Ok(text),
            Some(entry) => find(path, &text, entry).map(Into::into).map_err(failed),
        }
    }

    /// One entry of a file encrypted with SOPS.
    ///
    /// # Errors
    /// There is no key, or not the right one; there is no such entry.
    pub fn open_sops(
        &self,
        path: &str,
        text: &str,
        entry: &str,
    ) -> Result<Arc<str>, FileError> {
        once(&self.entries, (path.to_owned(), entry.to_owned()), || {
            sops::entry(path, text, entry)
                .map(Into::into)
                .map_err(|cause| FileError::Unreadable { path: path.to_owned(), cause })
        })
    }

    /// Runs a command in a folder, unless it ran before, and returns what it printed. It may
    /// ask the person at the terminal; what it says on stderr is theirs to read.
    ///
    /// # Errors
    /// It cannot be started, fails, or prints no text.
    pub fn run(&self, folder: &Path, words: &[String]) -> Result<Arc<str>, FileError> {
        once(&self.printed, words.to_vec(), || printed(folder, words))
    }
}

/// Runs a command and gives what it prints.
fn printed(folder: &Path, words: &[String]) -> Answer {
    let source = SecretSource::Command(words.to_vec()).to_string();
    let failed = |cause: String| FileError::Unreadable { path: source.clone(), cause };
    let Some((program, arguments)) = words.split_first() else {
        return Err(failed("it is empty".to_owned()));
    };
    terminal::say(&format!("running {} for a secret\n", clean(&source)));
    let output = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::inherit())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(format!("it ended with {}", output.status)));
    }
    if output.stdout.len() > LONGEST {
        return Err(failed(format!("it printed more than {LONGEST} bytes")));
    }
    let text = String::from_utf8(output.stdout)
        .map_err(|_| failed("what it printed is not UTF-8 text".to_owned()))?;
    Ok(text.into())
}

/// The identities of the file that [`IDENTITY`] names, and that file.
pub fn identities() -> Result<(Vec<Box<dyn age::Identity>>, String), String> {
    let Some(file) = std::env::var_os(IDENTITY) else {
        return Err(format!("it is encrypted, and `{IDENTITY}` names no file with the key"));
    };
    let shown = Path::new(&file).display().to_string();
    let identities = age::IdentityFile::from_file(shown.clone())
        .map_err(|error| error.to_string())
        .and_then(|file| file.into_identities().map_err(|error| error.to_string()))
        .map_err(|error| format!("the identity file `{shown}`: {error}"))?;
    Ok((
        identities.into_iter().map(|identity| -> Box<dyn age::Identity> { identity }).collect(),
        shown,
    ))
}

/// The text of an age file.
fn decrypt(bytes: &[u8]) -> Result<String, String> {
    let (identities, shown) = identities()?;
    let decryptor = age::Decryptor::new_buffered(ArmoredReader::new(bytes));
    let decryptor = decryptor.map_err(|error| error.to_string())?;
    let identities = identities.iter().map(|identity| &**identity as &dyn age::Identity);
    let reader = decryptor.decrypt(identities).map_err(|error| match error {
        age::DecryptError::NoMatchingKeys => format!("no key in `{shown}` opens it"),
        error => error.to_string(),
    })?;
    let mut bytes = Vec::new();
    let limit = u64::try_from(LONGEST + 1).unwrap_or(u64::MAX);
    reader.take(limit).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() > LONGEST {
        return Err(format!("it holds more than {LONGEST} bytes"));
    }
    String::from_utf8(bytes).map_err(|_| "what it holds is not UTF-8 text".to_owned())
}

/// One entry of a decrypted file; the name of the file says how it is written. Errors quote
/// names, never values.
fn find(path: &str, text: &str, entry: &str) -> Result<String, String> {
    let name = path.strip_suffix(".age").unwrap_or(path);
    let json = match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("json") => serde_json::from_str(text).map_err(|_| "it is no JSON".to_owned())?,
        Some("toml") => {
            let table: toml::Table =
                text.parse().map_err(|_| "it is no TOML inside".to_owned())?;
            serde_json::to_value(table).map_err(|error| error.to_string())?
        }
        Some("env") => {
            let entries =
                dotenv::parse(text, &dotenv::Outside::NOTHING).map_err(|problems| {
                    let line =
                        |it: &dotenv::Problem| format!("line {}: {}", it.line, it.message);
                    problems.iter().map(line).collect::<Vec<_>>().join("; ")
                })?;
            let entries = entries.into_iter().map(|(name, value)| (name, Json::String(value)));
            Json::Object(entries.collect())
        }
        _ => {
            let known = "`.toml.age`, `.json.age` or `.env.age`";
            return Err(format!("entries are read from files that end in {known}"));
        }
    };
    let mut found = &json;
    for key in entry.split('.') {
        found = found.get(key).ok_or_else(|| format!("it has no entry `{entry}`"))?;
    }
    match found {
        Json::String(text) => Ok(text.clone()),
        Json::Number(_) | Json::Bool(_) => Ok(found.to_string()),
        _ => Err(format!("the entry `{entry}` is not a single value")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_runs_once_whatever_comes_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let secrets = Secrets::default();
        for (ends, is_fine) in [("exit 1", false), ("echo hunter2", true)] {
            let script = format!("echo ran >> '{ends}'; {ends}");
            let words = ["sh", "-c", &script].map(str::to_owned);
            for _ in 0..3 {
                assert_eq!(secrets.run(folder.path(), &words).is_ok(), is_fine);
            }
            let ran = std::fs::read_to_string(folder.path().join(ends)).unwrap();
            assert_eq!(ran, "ran\n", "{ends}");
        }
    }

    #[test]
    fn entries_are_found_and_values_never_quoted() {
        let toml = "[db]\npassword = \"hunter2\"\nport = 5432\n";
        assert_eq!(find("a.toml.age", toml, "db.password").unwrap(), "hunter2");
        assert_eq!(find("a.toml.age", toml, "db.port").unwrap(), "5432");
        assert_eq!(find("a.json.age", r#"{"a": {"b": true}}"#, "a.b").unwrap(), "true");
        assert_eq!(find("a.env.age", "PW='hunter2'", "PW").unwrap(), "hunter2");
        for (path, text, entry) in [
            ("a.toml.age", toml, "db.no"),
            ("a.toml.age", toml, "db"),
            ("a.toml.age", "pw = hunter2", "pw"),
            ("a.json.age", "hunter2", "pw"),
            ("a.env.age", "hunter2 hunter2", "pw"),
            ("a.age", toml, "db"),
        ] {
            let error = find(path, text, entry).unwrap_err();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
