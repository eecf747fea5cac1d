//! A value as a provider's struct reads it.

use std::fmt::Display;

use serde::Deserializer;
use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{
    DeserializeSeed, Error as _, Expected, MapAccess, SeqAccess, Unexpected, Visitor,
};
use serde::forward_to_deserialize_any;

use crate::ephemeral::Ephemeral;
use crate::kind::SpecError;
use crate::map::Map;
use crate::path::{Path, Segment};
use crate::value::{NOT_KEPT, Value};

/// What does not fit, and where; the way to it from the inside out.
#[derive(Debug)]
pub(super) struct Misfit {
    way: Vec<Segment>,
    message: String,
}

impl Misfit {
    fn inside(mut self, segment: Segment) -> Self {
        self.way.push(segment);
        self
    }
}

impl Display for Misfit {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.message)
    }
}

impl std::error::Error for Misfit {}

impl serde::de::Error for Misfit {
    fn custom<T: Display>(message: T) -> Self {
        Self { way: Vec::new(), message: message.to_string() }
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        match found {
            // The word that scripts and JSON have for it.
            Unexpected::Unit => {
                Self::custom(format_args!("invalid type: null, expected {expected}"))
            }
            found => Self::custom(format_args!("invalid type: {found}, expected {expected}")),
        }
    }
}

impl From<Misfit> for SpecError {
    fn from(misfit: Misfit) -> Self {
        let path = Path(misfit.way.into_iter().rev().collect());
        Self { path, message: in_words(&misfit.message) }
    }
}

/// serde's words with ranges for the names of Rust's integers.
fn in_words(message: &str) -> String {
    let Some((before, expected)) = message.rsplit_once("expected ") else {
        return message.to_owned();
    };
    let range = match expected {
        "u8" => "0 to 255",
        "u16" => "0 to 65535",
        "u32" => "0 to 4294967295",
        "u64" | "usize" => "0 upwards",
        "a nonzero u32" => "1 to 4294967295",
        "i32" => "-2147483648 to 2147483647",
        _ => return message.to_owned(),
    };
    format!("{before}expected a whole number from {range}")
}

/// Reads what [`Value::to_json`] would give, without making it: a plan turns each spec into
/// its struct some ten times.
#[derive(Clone, Copy)]
pub(super) enum Plain<'a> {
    /// Any value.
    Value(&'a Value),
    /// A spec as a struct reads it: `name` is left out where the engine keeps it, and so is
    /// what is set to nothing, so that the default applies.
    Spec { value: &'a Value, without_name: bool },
    /// The key of an entry; also one that a struct of its own stands for.
    Key(&'a str),
}

/// What is under the marks.
enum Open<'a> {
    Text(&'a str),
    Value(&'a Value),
}

impl<'de> Plain<'de> {
    /// The value under its marks; a stand-in where it was not kept.
    fn open(self) -> Open<'de> {
        let value = match self {
            Self::Key(key) => return Open::Text(key),
            Self::Value(value) | Self::Spec { value, .. } => value,
        };
        match value {
            Value::String(text) => Open::Text(text),
            Value::Secret(inner) | Value::Ephemeral(Ephemeral::Known(inner)) => {
                Plain::Value(inner).open()
            }
            Value::Ephemeral(Ephemeral::Digest(_)) => Open::Text(NOT_KEPT),
            other => Open::Value(other),
        }
    }

    /// The entries of a map that is read so.
    fn entries(self, map: &'de Map) -> Entries<'de> {
        let spec = match self {
            Self::Spec { without_name, .. } => Some(SpecOf { without_name }),
            Self::Value(_) | Self::Key(_) => None,
        };
        Entries { rest: map.iter(), value: None, spec }
    }
}

impl<'de> Deserializer<'de> for Plain<'de> {
    type Error = Misfit;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        let value = match self.open() {
            Open::Text(text) => return visitor.visit_borrowed_str(text),
            Open::Value(value) => value,
        };
        match value {
            Value::Bool(value) => visitor.visit_bool(*value),
            // As JSON's numbers are read: some structs take only what has no sign.
            Value::Int(value) => match u64::try_from(*value) {
                Ok(value) => visitor.visit_u64(value),
                Err(_) => visitor.visit_i64(*value),
            },
            Value::Float(value) => visitor.visit_f64(*value),
            Value::List(items) => {
                let mut items = Items { items: items.iter(), next: 0 };
                let read = visitor.visit_seq(&mut items)?;
                if items.items.len() > 0 {
                    let length = items.next + items.items.len();
                    return Err(Misfit::invalid_length(length, &"fewer elements in array"));
                }
                Ok(read)
            }
            Value::Map(map) => visitor.visit_map(self.entries(map)),
            Value::Null | Value::String(_) | Value::Secret(_) | Value::Ephemeral(_) => {
                visitor.visit_unit()
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self.open() {
            Open::Value(Value::Null) => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        match self.open() {
            Open::Text(word) => {
                StrDeserializer::new(word).deserialize_enum(name, variants, visitor)
            }
            Open::Value(Value::Map(map)) => {
                if map.len() != 1 {
                    let expected = &"map with a single key";
                    return Err(Misfit::invalid_value(Unexpected::Map, expected));
                }
                MapAccessDeserializer::new(self.entries(map))
                    .deserialize_enum(name, variants, visitor)
            }
            Open::Value(_) => self.deserialize_any(visitor),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

struct Items<'a> {
    items: std::slice::Iter<'a, Value>,
    next: usize,
}

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = Misfit;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Misfit> {
        let Some(item) = self.items.next() else { return Ok(None) };
        let index = self.next;
        self.next += 1;
        let read = seed.deserialize(Plain::Value(item));
        read.map(Some).map_err(|misfit| misfit.inside(Segment::Index(index)))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

type MapIter<'a> = <&'a Map as IntoIterator>::IntoIter;

struct Entries<'a> {
    rest: MapIter<'a>,
    /// The entry whose key was read.
    value: Option<(&'a str, &'a Value)>,
    spec: Option<SpecOf>,
}

/// The entries are those of a whole spec.
#[derive(Clone, Copy)]
struct SpecOf {
    without_name: bool,
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = Misfit;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Misfit> {
        let spec = self.spec;
        let left_out = |key: &str, value: &Value| {
            spec.is_some_and(|spec| {
                matches!(value.reveal(), Value::Null) || (spec.without_name && key == "name")
            })
        };
        let Some((key, value)) = self.rest.find(|(key, value)| !left_out(key, value)) else {
            return Ok(None);
        };
        self.value = Some((key, value));
        let read = seed.deserialize(Plain::Key(key));
        read.map(Some).map_err(|misfit: Misfit| misfit.inside(Segment::Key(key.clone())))
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<T::Value, Misfit> {
        let Some((key, value)) = self.value.take() else {
            return Err(Misfit::custom("BUG: a value is read before its key"));
        };
        let read = seed.deserialize(Plain::Value(value));
        read.map_err(|misfit| misfit.inside(Segment::Key(key.to_owned())))
    }

    fn size_hint(&self) -> Option<usize> {
        self.rest.size_hint().1
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde::de::DeserializeOwned;
    use serde_json::json;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Newtype(u16);

    #[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
    struct Named(String);

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(untagged)]
    enum Form {
        Short(String),
        Long { size: u64 },
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Word {
        One,
        Two(i64),
        Three { deep: Option<bool> },
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(tag = "type", rename_all = "snake_case")]
    enum Tagged {
        Volume { source: String },
    }

    /// Reads a value in both ways, which must agree.
    fn both<T: DeserializeOwned + PartialEq + std::fmt::Debug>(
        json: serde_json::Value,
    ) -> Result<T, String> {
        let value = Value::from(json);
        let direct = T::deserialize(Plain::Value(&value)).map_err(|error| error.to_string());
        let by_json =
            serde_json::from_value(value.to_json()).map_err(|error| error.to_string());
        match (&direct, &by_json) {
            (Err(_), Err(_)) => {}
            _ => assert_eq!(direct, by_json),
        }
        direct
    }

    #[test]
    fn all_forms_are_read_as_from_json() {
        assert_eq!(both(json!(5)), Ok(Newtype(5)));
        assert_eq!(both(json!("5m")), Ok(Form::Short("5m".into())));
        assert_eq!(both(json!({ "size": 5 })), Ok(Form::Long { size: 5 }));
        assert_eq!(both(json!("one")), Ok(Word::One));
        assert_eq!(both(json!({ "two": -2 })), Ok(Word::Two(-2)));
        assert_eq!(both(json!({ "three": {} })), Ok(Word::Three { deep: None }));
        let volume = Tagged::Volume { source: "data".into() };
        assert_eq!(both(json!({ "type": "volume", "source": "data" })), Ok(volume));
        assert_eq!(both(json!([1, null, 1.5])), Ok((1_u8, None::<bool>, 1.5)));
        assert_eq!(both(json!({ "a": [1], "b": {} })), Ok(json!({ "a": [1], "b": {} })));
        assert_eq!(both(json!(3)), Ok(3.0));
        let one = std::collections::BTreeMap::from([(Named("a".into()), Word::One)]);
        assert_eq!(both(json!({ "a": "one" })), Ok(one));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert!(both::<Newtype>(json!(-1)).is_err());
        assert!(both::<Newtype>(json!("1")).is_err());
        assert!(both::<Word>(json!("four")).is_err());
        assert!(both::<Word>(json!(1)).is_err());
        assert!(both::<Word>(json!({ "two": 1, "junk": 2 })).is_err());
        assert!(both::<(u8, u8)>(json!([1, 2, 3])).is_err());
    }

    #[test]
    fn a_misfit_says_where_it_is() {
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        #[expect(dead_code, reason = "only read")]
        struct Outer {
            items: Vec<std::collections::BTreeMap<String, u16>>,
        }
        let misfit = |json: serde_json::Value| {
            let value = Value::from(json);
            let spec = Plain::Spec { value: &value, without_name: true };
            let error = SpecError::from(Outer::deserialize(spec).unwrap_err());
            format!("{}: {}", error.path, error.message)
        };
        let found = misfit(json!({ "name": "n", "items": [{}, { "a": -1 }] }));
        let range = "expected a whole number from 0 to 65535";
        assert_eq!(found, format!("items[1].a: invalid value: integer `-1`, {range}"));
        let found = misfit(json!({ "items": [null] }));
        assert_eq!(found, "items[0]: invalid type: null, expected a map");
        let found = misfit(json!({ "itmes": [] }));
        assert_eq!(found, "itmes: unknown field `itmes`, expected `items`");
        assert_eq!(misfit(json!({ "items": null })), ": missing field `items`");
    }

    #[test]
    fn marks_are_seen_through() {
        let secret = Value::string("pw").ephemeral();
        assert_eq!(String::deserialize(Plain::Value(&secret)).unwrap(), "pw");
        let nothing = Option::<u8>::deserialize(Plain::Value(&Value::Null.secret())).unwrap();
        assert_eq!(nothing, None);
    }
}
