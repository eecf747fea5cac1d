//! How long a call of a provider may take.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::address::Address;
use crate::error::{CallError, Failure};

/// A span of time, written `5m` or `1m30s`; never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Limit(Duration);

impl Limit {
    /// As a duration.
    pub fn duration(self) -> Duration {
        self.0
    }
}

impl FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match humantime::parse_duration(text.trim()) {
            Ok(duration) if duration.is_zero() => Err("a limit is longer than nothing".into()),
            Ok(duration) => Ok(Self(duration)),
            Err(error) => Err(format!("`{text}` is no duration: {error}")),
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = humantime::format_duration(self.0).to_string();
        out.write_str(&text.replace(' ', ""))
    }
}

impl TryFrom<String> for Limit {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Limit> for String {
    fn from(limit: Limit) -> Self {
        limit.to_string()
    }
}

/// What a provider is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    /// Make an object, and wait until it is up where the kind does.
    Create,
    /// Wait until one works, for what comes after it.
    Ready,
    /// Change one in place, likewise.
    Update,
    /// Remove one.
    Delete,
    /// Look at one.
    Read,
}

impl Call {
    /// All of them, in the order they are named.
    pub const ALL: [Self; 5] =
        [Self::Create, Self::Ready, Self::Update, Self::Delete, Self::Read];

    /// The key in `timeouts`.
    pub fn key(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Ready => "ready",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Read => "read",
        }
    }

    fn doing(self) -> &'static str {
        match self {
            Self::Create => "creating it",
            Self::Ready => "waiting until it works",
            Self::Update => "updating it",
            Self::Delete => "deleting it",
            Self::Read => "reading it",
        }
    }
}

/// The limits of one resource, call by call; what is left out has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Timeouts {
    /// For making it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub create: Option<Limit>,
    /// For waiting until it works, by what comes after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready: Option<Limit>,
    /// For changing it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update: Option<Limit>,
    /// For removing it; kept in the state, so that it holds when the script is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delete: Option<Limit>,
    /// For looking at it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read: Option<Limit>,
}

impl Timeouts {
    /// The limit of a call.
    pub fn of(&self, call: Call) -> Option<Limit> {
        match call {
            Call::Create => self.create,
            Call::Ready => self.ready,
            Call::Update => self.update,
            Call::Delete => self.delete,
            Call::Read => self.read,
        }
    }

    /// Sets the limit of a call.
    pub fn set(&mut self, call: Call, limit: Limit) {
        let place = match call {
            Call::Create => &mut self.create,
            Call::Ready => &mut self.ready,
            Call::Update => &mut self.update,
            Call::Delete => &mut self.delete,
            Call::Read => &mut self.read,
        };
        *place = Some(limit);
    }

    /// Whether none is set.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Waits for a call as long as its limit allows. What the call has done by then is not known.
///
/// # Errors
/// What the call says, or [`Failure::TimedOut`].
pub(crate) async fn within<T>(
    limit: Option<Limit>,
    call: Call,
    work: impl Future<Output = Result<T, CallError>>,
) -> Result<T, CallError> {
    let Some(limit) = limit else { return work.await };
    match tokio::time::timeout(limit.0, work).await {
        Ok(answer) => answer,
        Err(_) => Err(timed_out(limit, call)),
    }
}

/// The error of a call that took too long.
pub(crate) fn timed_out(limit: Limit, call: Call) -> CallError {
    let message = format!("{} took longer than its limit of {limit}", call.doing());
    let error = CallError::new(Failure::TimedOut, message);
    let error = match call {
        Call::Read | Call::Ready => error,
        _ => error.note("the service may have done it all the same; the next run looks, and finishes what is there"),
    };
    error.hint(format!("to give it longer, raise `timeouts: #{{ {}: \"..\" }}`", call.key()))
}

/// The error of a step that waited too long for what it comes after.
pub(crate) fn not_ready(other: &Address, limit: Limit) -> CallError {
    let error = timed_out(limit, Call::Ready);
    let message = format!("`{other}` did not work within its limit of {limit}");
    CallError { message, ..error }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_written_as_they_are_read() {
        for text in ["30s", "1m30s", "250ms", "1h"] {
            assert_eq!(text.parse::<Limit>().unwrap().to_string(), text);
        }
        assert_eq!("90s".parse::<Limit>().unwrap().to_string(), "1m30s");
        for text in ["", "0s", "5", "-1s", "soon", "1 parsec"] {
            assert!(text.parse::<Limit>().is_err(), "{text}");
        }
    }
}
