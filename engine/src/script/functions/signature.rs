//! How a function is called: read from the one line that documents it.

use super::Entry;
use crate::value::Value;

/// What an argument must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Text.
    String,
    /// Text, or what has an obvious text form: a number or a bool.
    Text,
    /// True or false.
    Bool,
    /// A whole number.
    Int,
    /// Any number.
    Number,
    /// A list.
    List,
    /// A map.
    Map,
    /// A closure.
    Function,
    /// Anything.
    Any,
}

impl Kind {
    fn named(name: &str) -> Self {
        match name {
            "string" => Self::String,
            "text" => Self::Text,
            "bool" => Self::Bool,
            "int" => Self::Int,
            "number" => Self::Number,
            "list" => Self::List,
            "map" => Self::Map,
            "fn" => Self::Function,
            _ => Self::Any,
        }
    }

    /// In words.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::String | Self::Text => "text",
            Self::Bool => "a bool",
            Self::Int => "an integer",
            Self::Number => "a number",
            Self::List => "a list",
            Self::Map => "a map",
            Self::Function => "a closure",
            Self::Any => "a value",
        }
    }

    /// Whether a known value fits.
    pub(super) fn fits(self, value: &Value) -> bool {
        let value = value.reveal();
        match self {
            Self::String => matches!(value, Value::String(_)),
            Self::Text => !matches!(value, Value::List(_) | Value::Map(_) | Value::Null),
            Self::Bool => matches!(value, Value::Bool(_)),
            Self::Int => matches!(value, Value::Int(_)),
            Self::Number => matches!(value, Value::Int(_) | Value::Float(_)),
            Self::List => matches!(value, Value::List(_)),
            Self::Map => matches!(value, Value::Map(_)),
            Self::Function => false,
            Self::Any => true,
        }
    }
}

/// One parameter.
#[derive(Debug)]
pub(super) struct Parameter {
    /// Its name.
    pub(super) name: &'static str,
    /// What the argument must be.
    pub(super) kind: Kind,
    /// As written.
    written: &'static str,
    optional: bool,
}

/// The parameters of a function and what it gives.
#[derive(Debug)]
pub(super) struct Signature {
    /// The parameters in order; optional ones come last.
    pub(super) parameters: Vec<Parameter>,
    /// What it gives.
    result: &'static str,
}

impl Signature {
    /// Reads the line of an entry; a test reads them all.
    pub(super) fn of(entry: &Entry) -> Self {
        let (head, result) =
            entry.signature.split_once(" -> ").unwrap_or((entry.signature, ""));
        let inner = head.split_once('(').map_or("", |(_, rest)| rest.trim_end_matches(')'));
        let parameters = inner.split(", ").filter(|part| !part.is_empty()).map(|part| {
            let (name, written) = part.split_once(": ").unwrap_or((part, "any"));
            Parameter {
                name: name.trim_end_matches('?'),
                kind: Kind::named(written),
                written,
                optional: name.ends_with('?'),
            }
        });
        Self { parameters: parameters.collect(), result }
    }

    /// How many arguments it must have.
    pub(super) fn required(&self) -> usize {
        self.parameters.iter().filter(|parameter| !parameter.optional).count()
    }

    /// As Rhai keeps it, for calls with `count` arguments.
    pub(super) fn metadata(&self, count: usize) -> Vec<String> {
        let parameters = self.parameters.iter().take(count);
        let mut info: Vec<_> = parameters
            .map(|parameter| format!("{}: {}", parameter.name, parameter.written))
            .collect();
        info.push(self.result.to_owned());
        info
    }
}
