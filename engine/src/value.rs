//! Data that is fully known.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::map::Map;

/// A known value: what JSON can say, plus a mark for what must never be shown.
#[derive(Clone, PartialEq, Default)]
pub enum Value {
    /// Nothing; an optional attribute left out.
    #[default]
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number with a fraction.
    Float(f64),
    /// Text.
    String(String),
    /// An ordered list.
    List(Vec<Value>),
    /// Named values.
    Map(Map),
    /// A value that no terminal, log, diff or file may show in clear.
    Secret(Box<Value>),
}

/// The key that carries a secret when a value is serialised for storage.
///
/// The store seals what stands under it; see `dollop-state`.
pub const SECRET_KEY: &str = "$secret";

impl Value {
    /// Text from anything that is a string.
    pub fn string(text: impl Into<String>) -> Self {
        Self::String(text.into())
    }

    /// Marks the value as secret; a secret stays what it is.
    pub fn secret(self) -> Self {
        match self {
            Self::Secret(_) => self,
            other => Self::Secret(Box::new(other)),
        }
    }

    /// The value under a secret mark, or the value itself.
    pub fn reveal(&self) -> &Self {
        match self {
            Self::Secret(inner) => inner.reveal(),
            other => other,
        }
    }

    /// Whether the outermost value carries the secret mark.
    pub fn is_secret(&self) -> bool {
        matches!(self, Self::Secret(_))
    }

    /// The text, when this is one (a secret one included).
    pub fn as_str(&self) -> Option<&str> {
        match self.reveal() {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The entries, when this is a map.
    pub fn as_map(&self) -> Option<&Map> {
        match self.reveal() {
            Self::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// The entry under a key, when this is a map that has it.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.as_map()?.get(key)
    }

    /// The same data without secret marks, as plain JSON for a provider.
    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::Value as Json;
        match self {
            Self::Null => Json::Null,
            Self::Bool(value) => Json::Bool(*value),
            Self::Int(value) => Json::from(*value),
            Self::Float(value) => Json::from(*value),
            Self::String(value) => Json::String(value.clone()),
            Self::List(items) => items.iter().map(Self::to_json).collect(),
            Self::Map(entries) => Json::Object(
                entries.iter().map(|(key, value)| (key.clone(), value.to_json())).collect(),
            ),
            Self::Secret(inner) => inner.to_json(),
        }
    }

    /// Whether two values are the same data, whatever is marked secret.
    pub fn same(&self, other: &Self) -> bool {
        match (self.reveal(), other.reveal()) {
            (Self::List(a), Self::List(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(x, y)| x.same(y))
            }
            (Self::Map(a), Self::Map(b)) => {
                a.len() == b.len()
                    && a.iter().zip(b).all(|((k, x), (l, y))| k == l && x.same(y))
            }
            #[expect(
                clippy::cast_precision_loss,
                clippy::float_cmp,
                reason = "JSON compares numbers so"
            )]
            (Self::Int(a), Self::Float(b)) | (Self::Float(b), Self::Int(a)) => *a as f64 == *b,
            (a, b) => a == b,
        }
    }

    /// Carries the secret marks of `marks` over to this value, path by path.
    ///
    /// What a provider reads back is plain; the declaration knows which part was secret.
    ///
    /// Where a provider brought a value to another form (a list to a map, a key to its normal
    /// one), nobody knows which part is the secret, so all that may be is marked.
    pub fn marked_like(self, marks: &Self) -> Self {
        match (self, marks) {
            (value, Self::Secret(_)) => value.secret(),
            (Self::List(items), Self::List(like)) if items.len() == like.len() => Self::List(
                items
                    .into_iter()
                    .zip(like)
                    .map(|(item, mark)| item.marked_like(mark))
                    .collect(),
            ),
            (Self::Map(entries), Self::Map(like)) => {
                let mut gone = like.iter().filter(|(key, _)| !entries.contains_key(*key));
                let moved = gone.any(|(_, mark)| mark.holds_secret());
                let marked = entries.into_iter().map(|(key, value)| {
                    let value = match like.get(&key) {
                        Some(mark) => value.marked_like(mark),
                        None if moved => value.secret(),
                        None => value,
                    };
                    (key, value)
                });
                Self::Map(marked.collect())
            }
            (value, marks) if marks.holds_secret() => value.secret(),
            (value, _) => value,
        }
    }

    fn holds_secret(&self) -> bool {
        match self {
            Self::Secret(_) => true,
            Self::List(items) => items.iter().any(Self::holds_secret),
            Self::Map(entries) => entries.values().any(Self::holds_secret),
            _ => false,
        }
    }

    /// Calls `visit` with every text that stands under a secret mark.
    pub fn each_secret<'a>(&'a self, visit: &mut impl FnMut(&'a str)) {
        fn all<'a>(value: &'a Value, visit: &mut impl FnMut(&'a str)) {
            match value {
                Value::String(text) => visit(text),
                Value::List(items) => items.iter().for_each(|item| all(item, visit)),
                Value::Map(entries) => entries.values().for_each(|item| all(item, visit)),
                Value::Secret(inner) => all(inner, visit),
                _ => {}
            }
        }
        match self {
            Self::Secret(inner) => all(inner, visit),
            Self::List(items) => items.iter().for_each(|item| item.each_secret(visit)),
            Self::Map(entries) => entries.values().for_each(|item| item.each_secret(visit)),
            _ => {}
        }
    }

    /// Marks every text that holds one of these secrets: a service may report back what it
    /// was given.
    pub fn hiding(self, secrets: &[&str]) -> Self {
        match self {
            Self::String(text) if secrets.iter().any(|secret| text.contains(secret)) => {
                Self::String(text).secret()
            }
            Self::List(items) => {
                Self::List(items.into_iter().map(|item| item.hiding(secrets)).collect())
            }
            Self::Map(entries) => Self::Map(
                entries.into_iter().map(|(key, item)| (key, item.hiding(secrets))).collect(),
            ),
            other => other,
        }
    }

    /// The value with a word in place of every secret: `(secret)`, or `(other secret)` for
    /// texts that are not among `same`.
    pub fn masked(&self, same: &[&str]) -> Self {
        match self {
            Self::Secret(inner) => match inner.as_str() {
                Some(text) if !same.contains(&text) => Self::string("(other secret)"),
                _ => Self::string("(secret)"),
            },
            Self::List(items) => {
                Self::List(items.iter().map(|item| item.masked(same)).collect())
            }
            Self::Map(entries) => Self::Map(
                entries.iter().map(|(key, item)| (key.clone(), item.masked(same))).collect(),
            ),
            other => other.clone(),
        }
    }

    /// What kind of value this is, for messages.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "a bool",
            Self::Int(_) => "an integer",
            Self::Float(_) => "a number",
            Self::String(_) => "a string",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
            Self::Secret(_) => "a secret",
        }
    }
}

impl From<serde_json::Value> for Value {
    fn from(json: serde_json::Value) -> Self {
        use serde_json::Value as Json;
        match json {
            Json::Null => Self::Null,
            Json::Bool(value) => Self::Bool(value),
            Json::Number(number) => match number.as_i64() {
                Some(value) => Self::Int(value),
                None => Self::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            Json::String(text) => Self::String(text),
            Json::Array(items) => Self::List(items.into_iter().map(Self::from).collect()),
            Json::Object(entries) => Self::Map(
                entries.into_iter().map(|(key, value)| (key, Self::from(value))).collect(),
            ),
        }
    }
}

/// Compact JSON with secrets replaced: safe to print anywhere.
impl fmt::Display for Value {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => out.write_str("null"),
            Self::Bool(value) => write!(out, "{value}"),
            Self::Int(value) => write!(out, "{value}"),
            Self::Float(value) => write!(out, "{value}"),
            Self::String(text) => write!(out, "{}", serde_json::Value::from(text.as_str())),
            Self::List(items) => {
                out.write_str("[")?;
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.write_str(", ")?;
                    }
                    write!(out, "{item}")?;
                }
                out.write_str("]")
            }
            Self::Map(entries) => {
                out.write_str("{")?;
                for (index, (key, value)) in entries.iter().enumerate() {
                    if index > 0 {
                        out.write_str(", ")?;
                    }
                    write!(out, "{}: {value}", serde_json::Value::from(key.as_str()))?;
                }
                out.write_str("}")
            }
            Self::Secret(_) => out.write_str("(sensitive)"),
        }
    }
}

/// The same as `Display`, so that a stray `{:?}` cannot print a secret.
impl fmt::Debug for Value {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

/// For storage: a secret is a map with the one key [`SECRET_KEY`]; user keys that begin
/// with `$` get a second one, so the two cannot be confused.
impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Int(value) => serializer.serialize_i64(*value),
            Self::Float(value) => serializer.serialize_f64(*value),
            Self::String(text) => serializer.serialize_str(text),
            Self::List(items) => serializer.collect_seq(items),
            Self::Map(entries) => serializer.collect_map(entries.iter().map(|(key, value)| {
                let key = if key.starts_with('$') { format!("${key}") } else { key.clone() };
                (key, value)
            })),
            Self::Secret(inner) => serializer.collect_map([(SECRET_KEY, &**inner)]),
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> de::Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Int(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        i64::try_from(value).map(Value::Int).map_err(E::custom)
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries = Map::new();
        while let Some((key, value)) = map.next_entry::<String, Value>()? {
            if key == SECRET_KEY {
                return Ok(value.secret());
            }
            let key = match key.strip_prefix("$$") {
                Some(rest) => format!("${rest}"),
                None => key,
            };
            entries.insert(key, value);
        }
        Ok(Value::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn storage_form_round_trips_secrets_and_dollar_keys() {
        let value = Value::Map(Map::from([
            ("$secret".to_owned(), Value::Int(1)),
            ("pw".to_owned(), Value::string("x").secret()),
            ("list".to_owned(), Value::List(vec![Value::Null, Value::Float(1.5)])),
        ]));
        let text = serde_json::to_string(&value).unwrap();
        let back: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(back, value);
    }

    #[test]
    fn a_mark_survives_another_form() {
        let value =
            |text: &str| Value::from(serde_json::from_str::<serde_json::Value>(text).unwrap());
        let list = Value::List(vec![Value::string("A=1"), Value::string("B=pw").secret()]);
        assert!(value(r#"{"A":"1","B":"pw"}"#).marked_like(&list).is_secret());
        assert!(value(r#"["A=1","B=pw","C"]"#).marked_like(&list).is_secret());
        let map = Value::Map(Map::from([
            ("/a//b".to_owned(), Value::string("pw").secret()),
            ("/c".to_owned(), Value::string("1")),
        ]));
        let marked = value(r#"{"/a/b":"pw","/c":"1"}"#).marked_like(&map);
        assert!(marked.get("/a/b").is_some_and(Value::is_secret));
        assert!(!marked.get("/c").is_some_and(Value::is_secret));
    }

    #[test]
    fn printing_never_shows_a_secret() {
        let value = Value::List(vec![Value::string("hunter2").secret()]);
        assert_eq!(format!("{value} {value:?}"), "[(sensitive)] [(sensitive)]");
    }
}
