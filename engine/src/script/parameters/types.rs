//! The types of parameters, and reading text as one of them.

use crate::value::Value;

/// What a parameter's value is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    String,
    Int,
    Float,
    Bool,
    List,
    Map,
}

/// Every type with its name.
pub(super) const TYPES: [(&str, Type); 6] = [
    ("string", Type::String),
    ("int", Type::Int),
    ("float", Type::Float),
    ("bool", Type::Bool),
    ("list", Type::List),
    ("map", Type::Map),
];

impl Type {
    /// Its name in scripts.
    pub(super) fn name(self) -> &'static str {
        TYPES.iter().find(|(_, ty)| *ty == self).map_or("", |(name, _)| name)
    }

    /// With its article, for sentences.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::String => "a string",
            Self::Int => "an integer",
            Self::Float => "a number",
            Self::Bool => "`true` or `false`",
            Self::List => "a list",
            Self::Map => "a map",
        }
    }

    /// The type of a known value.
    pub(super) fn of(value: &Value) -> Option<Self> {
        match value.reveal() {
            Value::String(_) => Some(Self::String),
            Value::Int(_) => Some(Self::Int),
            Value::Float(_) => Some(Self::Float),
            Value::Bool(_) => Some(Self::Bool),
            Value::List(_) => Some(Self::List),
            Value::Map(_) => Some(Self::Map),
            _ => None,
        }
    }

    /// The value as one of this type; a whole number is a number too.
    #[expect(clippy::cast_precision_loss, reason = "as every language with floats does")]
    pub(super) fn take(self, value: Value) -> Option<Value> {
        match (self, &value) {
            (Self::Float, Value::Int(number)) => Some(Value::Float(*number as f64)),
            _ => (Self::of(&value) == Some(self)).then_some(value),
        }
    }

    /// Something of this type, to go on with when there is no value.
    pub(super) fn placeholder(self) -> Value {
        match self {
            Self::String => Value::string(""),
            Self::Int => Value::Int(0),
            Self::Float => Value::Float(0.0),
            Self::Bool => Value::Bool(false),
            Self::List => Value::List(Vec::new()),
            Self::Map => Value::Map(crate::map::Map::new()),
        }
    }

    /// Reads text from a command line or environment.
    ///
    /// # Errors
    /// What is wanted, in words.
    pub(super) fn parse(self, text: &str) -> Result<Value, &'static str> {
        let word = text.trim();
        match self {
            Self::String => Ok(Value::string(text)),
            Self::Int => word.parse().map(Value::Int).map_err(|_| self.words()),
            Self::Float => match word.parse::<f64>() {
                Ok(number) if number.is_finite() => Ok(Value::Float(number)),
                _ => Err(self.words()),
            },
            Self::Bool => word.parse().map(Value::Bool).map_err(|_| self.words()),
            Self::List | Self::Map => {
                let value =
                    serde_json::from_str::<serde_json::Value>(text).ok().map(Value::from);
                value.filter(|value| Self::of(value) == Some(self)).ok_or(match self {
                    Self::List => "a JSON list",
                    _ => "a JSON map",
                })
            }
        }
    }
}
