//! What a provider says when a call does not succeed.

use crate::diagnostic::Code;

/// What kind of failure a call met; decides whether waiting or adopting can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The service answered and refused, or the request made no sense.
    Refused,
    /// Nothing answered, or the service is starting: trying again may help.
    Unreachable,
    /// The service knows us and says no: wrong password, missing right.
    Denied,
    /// Something of that name exists already.
    Exists,
    /// Looking shows that what is declared cannot be made there: an extension the server
    /// does not have, an option of a newer version.
    Impossible,
    /// It took longer than its limit; what came of it is not known.
    TimedOut,
}

impl Failure {
    /// The code of an error of this kind.
    pub fn code(self) -> Code {
        match self {
            Self::Refused | Self::Impossible => Code::CallRefused,
            Self::Unreachable => Code::CallUnreachable,
            Self::Denied => Code::CallDenied,
            Self::Exists => Code::CallExists,
            Self::TimedOut => Code::CallTimedOut,
        }
    }
}

/// A failed call: what happened, in words for the person at the terminal.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct CallError {
    /// What kind of failure.
    pub failure: Failure,
    /// What happened: lower case, no full stop, user text in backticks.
    pub message: String,
    /// More context, each its own paragraph: log lines, health output, the server's detail.
    pub notes: Vec<String>,
    /// What to do about it.
    pub hints: Vec<String>,
    /// The attribute it is about, when it is one.
    pub attribute: Option<&'static str>,
}

impl CallError {
    /// A failure of a kind.
    pub fn new(failure: Failure, message: impl Into<String>) -> Self {
        Self {
            failure,
            message: message.into(),
            notes: Vec::new(),
            hints: Vec::new(),
            attribute: None,
        }
    }

    /// The service answered and refused.
    pub fn refused(message: impl Into<String>) -> Self {
        Self::new(Failure::Refused, message)
    }

    /// Nothing answered, or not yet.
    pub fn unreachable(message: impl Into<String>) -> Self {
        Self::new(Failure::Unreachable, message)
    }

    /// What is declared cannot be made there.
    pub fn impossible(message: impl Into<String>) -> Self {
        Self::new(Failure::Impossible, message)
    }

    /// Says which attribute it is about, so that the script is shown there.
    pub fn about(mut self, attribute: &'static str) -> Self {
        self.attribute = Some(attribute);
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
