//! The types of parameters and outputs, and reading text as one of them.

use serde::{Deserialize, Serialize};

use crate::diagnostic::did_you_mean;
use crate::schema::Type;
use crate::value::Value;

/// What a parameter's or an output's value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlainType {
    /// Text.
    String,
    /// A whole number.
    Int,
    /// Any number.
    Float,
    /// True or false.
    Bool,
    /// A list.
    List,
    /// A map.
    Map,
}

impl PlainType {
    /// Every type with its name.
    pub const ALL: [(&'static str, Self); 6] = [
        ("string", Self::String),
        ("int", Self::Int),
        ("float", Self::Float),
        ("bool", Self::Bool),
        ("list", Self::List),
        ("map", Self::Map),
    ];

    /// The type of that name.
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(name, _)| *name == word).map(|(_, ty)| *ty)
    }

    /// What to write instead of a word that is no type.
    pub fn instead(word: &str) -> Option<String> {
        if let Some(meant) = Self::meant(word) {
            return Some(format!("write `{meant}`"));
        }
        let slip = did_you_mean(word, Self::ALL.iter().map(|(name, _)| *name))?;
        Some(format!("did you mean `{slip}`?"))
    }

    /// What a type that others call so is called here.
    fn meant(word: &str) -> Option<&'static str> {
        Some(match word {
            "number" => "float` or `int",
            "integer" | "i64" => "int",
            "double" | "decimal" => "float",
            "boolean" => "bool",
            "str" | "text" => "string",
            "array" | "set" | "tuple" => "list",
            "object" | "dict" => "map",
            _ => return None,
        })
    }

    /// Its name in scripts.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, ty)| *ty == self).map_or("", |(name, _)| name)
    }

    /// With its article, for sentences.
    pub fn words(self) -> &'static str {
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
    pub fn of(value: &Value) -> Option<Self> {
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
    pub fn take(self, value: Value) -> Option<Value> {
        match (self, &value) {
            (Self::Float, Value::Int(number)) => Some(Value::Float(*number as f64)),
            _ => (Self::of(&value) == Some(self)).then_some(value),
        }
    }

    /// Whether a value is of this type, or nothing.
    pub fn fits(self, value: &Value) -> bool {
        match value.reveal() {
            Value::Null => true,
            Value::Int(_) if self == Self::Float => true,
            found => Self::of(found) == Some(self),
        }
    }

    /// Whether what has a type of a schema may be of this one.
    pub fn may_be(self, found: &Type) -> bool {
        match found {
            Type::Any => true,
            Type::Either(forms) => forms.iter().any(|form| self.may_be(form)),
            Type::String | Type::Enum(_) => self == Self::String,
            Type::Int | Type::Number => matches!(self, Self::Int | Self::Float),
            Type::Bool => self == Self::Bool,
            Type::List(_) => self == Self::List,
            Type::Map(_) | Type::Object(_) => self == Self::Map,
        }
    }

    /// Something of this type, to go on with when there is no value.
    pub fn placeholder(self) -> Value {
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
    pub fn parse(self, text: &str) -> Result<Value, &'static str> {
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
