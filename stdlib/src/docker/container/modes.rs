//! Whose namespaces a container lives in.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::units::written_as_text;

/// The network namespace: `host`, `none` or `container:NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetworkMode {
    /// The engine's default network, where a container is anyway.
    Bridge,
    /// The network of the machine.
    Host,
    /// No network.
    None,
    /// The network of the container of that name.
    Container(String),
}

/// The IPC or process namespace: `host`, `private`, `container:NAME`...
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mode(pub String);

/// The namespace of the machine instead of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum UserNamespace {
    /// The machine's.
    Host,
}

/// The namespace of control groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CgroupMode {
    /// The machine's.
    Host,
    /// Its own.
    Private,
}

const CONTAINER: &str = "container:";

/// The name in `container:NAME`.
pub(super) fn of_container(mode: &str) -> Option<&str> {
    mode.strip_prefix(CONTAINER).filter(|name| !name.is_empty())
}

fn other(text: &str, what: &str) -> String {
    match text.strip_prefix("service:") {
        Some(name) => format!(
            "`{text}`: there are no services here; name the container: `container:${{{name}}}`"
        ),
        None => format!("`{text}` is none of {what}"),
    }
}

impl FromStr for NetworkMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "host" => Ok(Self::Host),
            "none" => Ok(Self::None),
            "bridge" | "default" => Ok(Self::Bridge),
            _ => of_container(text)
                .map(|name| Self::Container(name.to_owned()))
                .ok_or_else(|| other(text, "`host`, `none` and `container:name`")),
        }
    }
}

impl fmt::Display for NetworkMode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bridge => out.write_str("bridge"),
            Self::Host => out.write_str("host"),
            Self::None => out.write_str("none"),
            Self::Container(name) => write!(out, "{CONTAINER}{name}"),
        }
    }
}

impl FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = matches!(text, "host" | "private" | "shareable" | "none");
        if known || of_container(text).is_some() {
            return Ok(Self(text.to_owned()));
        }
        Err(other(text, "`host`, `private`, `shareable`, `none` and `container:name`"))
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

written_as_text!(NetworkMode, "string");
written_as_text!(Mode, "string");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_name_a_container_and_no_service() {
        assert_eq!("container:db".parse(), Ok(NetworkMode::Container("db".into())));
        let error = "service:db".parse::<NetworkMode>().unwrap_err();
        assert!(error.contains("`container:${db}`"), "{error}");
        assert!("container:".parse::<Mode>().is_err());
        assert_eq!("default".parse(), Ok(NetworkMode::Bridge));
    }
}
