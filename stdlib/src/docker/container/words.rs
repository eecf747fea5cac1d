//! Commands: a string split as a shell would, or a list.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::SeqAccessDeserializer;
use serde::{Deserialize, Deserializer, Serialize, de};

use crate::text::Text;

/// A command as a list of words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Words(pub Vec<String>);

/// The command of a health check; a string goes to the shell of the container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Test(pub Vec<String>);

/// One text, or a list of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Several(pub Vec<String>);

impl<'de> Deserialize<'de> for Several {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match deserializer.deserialize_any(StringOrList)? {
            Written::List(items) => Self(items),
            Written::String(text) => Self(vec![text]),
        })
    }
}

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.deserialize_any(StringOrList)? {
            Written::List(words) => Ok(Self(words)),
            Written::String(text) => shell_words::split(&text).map(Self).map_err(|error| {
                // The text itself may hold a secret.
                de::Error::custom(format!("cannot be split into words: {error}"))
            }),
        }
    }
}

impl<'de> Deserialize<'de> for Test {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.deserialize_any(StringOrList)? {
            Written::String(text) => Ok(Self(vec!["CMD-SHELL".to_owned(), text])),
            Written::List(words) => match words.first().map(String::as_str) {
                Some("CMD" | "CMD-SHELL" | "NONE") => Ok(Self(words)),
                _ => Err(de::Error::custom(
                    "the list must start with `CMD` (a program) or `CMD-SHELL` (for the shell)",
                )),
            },
        }
    }
}

macro_rules! string_or_list {
    ($name:ident) => {
        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(generator: &mut SchemaGenerator) -> Schema {
                let item = Text::json_schema(generator);
                json_schema!({
                    "anyOf": [{ "type": "string" }, { "type": "array", "items": item }]
                })
            }
        }
    };
}
string_or_list!(Words);
string_or_list!(Test);
string_or_list!(Several);

enum Written {
    String(String),
    List(Vec<String>),
}

struct StringOrList;

impl<'de> de::Visitor<'de> for StringOrList {
    type Value = Written;

    fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("a string or a list of words")
    }

    fn visit_str<E>(self, text: &str) -> Result<Written, E> {
        Ok(Written::String(text.to_owned()))
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, seq: A) -> Result<Written, A::Error> {
        let words = Vec::<Text>::deserialize(SeqAccessDeserializer::new(seq))?;
        Ok(Written::List(words.into_iter().map(|word| word.0).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{from_value, json};

    #[test]
    fn a_string_is_split_as_a_shell_would() {
        let words: Words = from_value(json!("sh -c 'echo \"a b\"'")).unwrap();
        assert_eq!(words.0, ["sh", "-c", "echo \"a b\""]);
        let words: Words = from_value(json!(["sleep", 600])).unwrap();
        assert_eq!(words.0, ["sleep", "600"]);
        let error = from_value::<Words>(json!("echo 'open secret")).unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
    }

    #[test]
    fn a_health_check_string_goes_to_the_shell() {
        let test: Test = from_value(json!("pg_isready -U app")).unwrap();
        assert_eq!(test.0, ["CMD-SHELL", "pg_isready -U app"]);
        assert!(from_value::<Test>(json!(["pg_isready"])).is_err());
    }
}
