//! Errors and warnings as data: what happened, where, why, what to do.

mod code;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use code::{Code, UnknownCode};
use serde::{Deserialize, Serialize};

/// A place in a script.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Span {
    /// The file, relative to the project folder.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// How many characters it covers, at least 1.
    pub length: u32,
}

impl std::fmt::Display for Span {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The command cannot go on.
    Error,
    /// Worth knowing; the command goes on.
    Warning,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    /// Which one it is; tells how bad it is as well.
    pub code: Code,
    /// What happened: lower case, no full stop, user text in backticks.
    pub message: String,
    /// Where.
    pub span: Option<Span>,
    /// Words under the caret; empty for none.
    pub label: String,
    /// Other places that matter, with words.
    pub related: Vec<(Span, String)>,
    /// More context, a paragraph each.
    pub notes: Vec<String>,
    /// What to do about it.
    pub hints: Vec<String>,
    /// The calls that led there, innermost first: function name and where it was called.
    pub trace: Vec<(String, Span)>,
}

impl Diagnostic {
    /// A finding without a place.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            span: None,
            label: String::new(),
            related: Vec::new(),
            notes: Vec::new(),
            hints: Vec::new(),
            trace: Vec::new(),
        }
    }

    /// How bad it is.
    pub fn severity(&self) -> Severity {
        self.code.severity()
    }

    /// Says where.
    pub fn at(mut self, span: impl Into<Option<Span>>) -> Self {
        self.span = span.into();
        self
    }

    /// Says something under the caret.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// Points at another place.
    pub fn related(mut self, span: Span, words: impl Into<String>) -> Self {
        self.related.push((span, words.into()));
        self
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
}

/// The text of every script that was read, by path, so that a span can be shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources(pub BTreeMap<Arc<str>, Arc<str>>);

/// A stage that could not finish: everything it found, and the text to show it in.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// In the order they were found.
    pub diagnostics: Vec<Diagnostic>,
    /// The scripts they point into.
    pub sources: Sources,
}

/// The word of `words` most like `word`, when one is close enough to be a slip of the pen.
/// Otherwise the one it begins with, or that begins with it.
pub fn did_you_mean<'a>(
    word: &str,
    words: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let (mut slip, mut shorter) = (None, None);
    for candidate in words {
        let distance = strsim::damerau_levenshtein(word, candidate);
        let most = 1.max(candidate.chars().count().min(word.chars().count()) / 3);
        if distance <= most && slip.is_none_or(|(least, _)| distance < least) {
            slip = Some((distance, candidate));
        }
        // `environment` for `env`, `net` for `networks`.
        let begins = word.starts_with(candidate) || candidate.starts_with(word);
        let common = candidate.len().min(word.len());
        if begins && common >= 3 && shorter.is_none_or(|(most, _)| common > most) {
            shorter = Some((common, candidate));
        }
    }
    slip.or(shorter).map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::did_you_mean;

    #[test]
    fn suggestions_are_slips_not_other_words() {
        let words = ["attachable", "driver", "internal", "nemesis", "nemsis"];
        assert_eq!(did_you_mean("atachable", words), Some("attachable"));
        assert_eq!(did_you_mean("nemesi", words), Some("nemesis"));
        assert_eq!(did_you_mean("colour", words), None);
        assert_eq!(did_you_mean("intern", words), Some("internal"));
        assert_eq!(did_you_mean("environment", ["command", "env"]), Some("env"));
    }
}
