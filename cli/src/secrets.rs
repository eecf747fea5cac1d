//! Secrets that commands print: `pass show db`.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use dollop_engine::files::{FileError, SecretSource};

use crate::render::text::clean;
use crate::terminal;

/// The longest secret, in bytes.
const LONGEST: usize = 1 << 20;

/// What commands printed, each run once.
#[derive(Debug, Default)]
pub struct Secrets {
    /// Whether commands run at all.
    pub wanted: Cell<bool>,
    printed: RefCell<BTreeMap<Vec<String>, Arc<str>>>,
}

impl Secrets {
    /// Runs a command in a folder, unless it ran before, and returns what it printed. It may
    /// ask the person at the terminal; what it says on stderr is theirs to read.
    ///
    /// # Errors
    /// It cannot be started, fails, or prints no text.
    pub fn run(&self, folder: &Path, words: &[String]) -> Result<Arc<str>, FileError> {
        if let Some(printed) = self.printed.borrow().get(words) {
            return Ok(Arc::clone(printed));
        }
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
        let text: Arc<str> = text.into();
        self.printed.borrow_mut().insert(words.to_vec(), Arc::clone(&text));
        Ok(text)
    }
}
