//! Why a command did not succeed: what to say and which code to exit with.

use dollop_engine::diagnostic::{Code, Diagnostic, Findings, Sources};
use dollop_engine::error::CallError;
use dollop_engine::store::StoreError;

use crate::render::{diagnostic, json};

/// The exit code of a command that succeeded.
pub const DONE: u8 = 0;
/// The exit code of a command that failed.
pub const FAILED: u8 = 1;
/// The exit code of `plan --detailed-exitcode` when there are changes.
pub const CHANGES: u8 = 2;
/// The exit code of a command line that makes no sense.
pub const USAGE: u8 = 64;

/// What kind of error: decides heading and exit code.
#[derive(Clone, Debug)]
pub enum Kind {
    /// The command could not do its work.
    Failed,
    /// The command line makes no sense.
    Usage,
    /// Scripts, with the places at fault.
    Findings(Box<Findings>),
    /// All was said already; only the exit code is left.
    Reported,
}

/// An error a person sees.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct CommandError {
    /// What kind.
    pub kind: Kind,
    /// Which error, for programs.
    pub code: Code,
    /// What happened: lower case, no full stop, user text in backticks.
    pub message: String,
    /// More context, a paragraph each.
    pub notes: Vec<String>,
    /// What to do about it.
    pub hints: Vec<String>,
}

impl CommandError {
    /// The command could not do its work.
    pub fn failed(message: impl Into<String>) -> Self {
        Self {
            kind: Kind::Failed,
            code: Code::Command,
            message: message.into(),
            notes: Vec::new(),
            hints: Vec::new(),
        }
    }

    /// The command line makes no sense.
    pub fn usage(message: impl Into<String>) -> Self {
        Self { kind: Kind::Usage, code: Code::Usage, ..Self::failed(message) }
    }

    /// All was said already; only the exit code is left.
    pub fn reported() -> Self {
        Self { kind: Kind::Reported, ..Self::failed("") }
    }

    /// Adds context.
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// Adds advice.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// The code to exit with.
    pub fn exit_code(&self) -> u8 {
        match self.kind {
            Kind::Usage => USAGE,
            Kind::Failed | Kind::Findings(_) | Kind::Reported => FAILED,
        }
    }

    /// The text for stderr; empty when all was said.
    pub fn render(&self, width: usize) -> String {
        match &self.kind {
            Kind::Reported => String::new(),
            Kind::Findings(findings) => diagnostic::findings(findings, width),
            Kind::Failed | Kind::Usage => {
                diagnostic::diagnostic(&self.diagnostic(), &Sources::default(), width)
            }
        }
    }

    /// The same for programs.
    pub fn json(&self) -> serde_json::Value {
        match &self.kind {
            Kind::Findings(findings) => json::diagnostics(&findings.diagnostics),
            _ => json::diagnostics(&[self.diagnostic()]),
        }
    }

    /// The same as one of several findings.
    pub fn diagnostic(&self) -> Diagnostic {
        Diagnostic {
            notes: self.notes.clone(),
            hints: self.hints.clone(),
            ..Diagnostic::new(self.code, &self.message)
        }
    }
}

impl From<Findings> for CommandError {
    fn from(findings: Findings) -> Self {
        let message = findings.diagnostics.first().map_or("", |found| &found.message);
        let message = message.to_owned();
        Self { kind: Kind::Findings(Box::new(findings)), ..Self::failed(message) }
    }
}

impl From<StoreError> for CommandError {
    fn from(error: StoreError) -> Self {
        Self { code: Code::StateStore, hints: error.hints, ..Self::failed(error.message) }
    }
}

impl From<CallError> for CommandError {
    fn from(error: CallError) -> Self {
        let code = error.failure.code();
        Self { code, notes: error.notes, hints: error.hints, ..Self::failed(error.message) }
    }
}

#[cfg(test)]
mod tests {
    use anstream::adapter::strip_str;

    use super::*;

    #[test]
    fn an_error_has_context_and_advice() {
        let error = CommandError::failed("another dollop is working on this state")
            .note("`ann@build-3`, pid 4711, `apply`, since 12:03")
            .hint("wait for it, or stop it first");
        assert_eq!(error.exit_code(), FAILED);
        insta::assert_snapshot!(strip_str(&error.render(80)), @r"
        error: another dollop is working on this state
          `ann@build-3`, pid 4711, `apply`, since 12:03
          hint: wait for it, or stop it first
        ");
    }

    #[test]
    fn kinds_choose_the_exit_code() {
        assert_eq!(CommandError::usage("no").exit_code(), USAGE);
        assert_eq!(CommandError::from(Findings::default()).exit_code(), FAILED);
        assert_eq!(CommandError::reported().render(80), "");
    }
}
