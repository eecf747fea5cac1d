//! Data that is fully known.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::ephemeral::{EPHEMERAL_KEY, Ephemeral, Secrecy, digest};
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
    /// A value that is not kept; it stands in a [`Value::Secret`].
    Ephemeral(Ephemeral),
}

/// What a provider sees of a value that was not kept.
pub const NOT_KEPT: &str = "(not kept)";

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

    /// Marks the value as one that is not kept.
    pub fn ephemeral(self) -> Self {
        match self {
            Self::Secret(inner) => inner.ephemeral(),
            Self::Ephemeral(_) => self.secret(),
            Self::Null => Self::Null,
            other => Self::Ephemeral(Ephemeral::Known(Box::new(other))).secret(),
        }
    }

    /// How far it, or a part of it, may travel.
    pub fn secrecy(&self) -> Secrecy {
        match self {
            Self::Ephemeral(_) => Secrecy::Ephemeral,
            Self::Secret(inner) => inner.secrecy().max(Secrecy::Secret),
            Self::List(items) => items.iter().map(Self::secrecy).max().unwrap_or_default(),
            Self::Map(entries) => entries.values().map(Self::secrecy).max().unwrap_or_default(),
            _ => Secrecy::Open,
        }
    }

    /// How far it may travel as a whole.
    pub(crate) fn own_secrecy(&self) -> Secrecy {
        if self.is_secret() { self.secrecy() } else { Secrecy::Open }
    }

    /// The same with that mark.
    pub fn marked(self, secrecy: Secrecy) -> Self {
        match secrecy {
            Secrecy::Open => self,
            Secrecy::Secret => self.secret(),
            Secrecy::Ephemeral => self.ephemeral(),
        }
    }

    /// The value under a secret mark, or the value itself; what is left of an ephemeral
    /// value is nothing to reveal.
    pub fn reveal(&self) -> &Self {
        match self {
            Self::Secret(inner) | Self::Ephemeral(Ephemeral::Known(inner)) => inner.reveal(),
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

    /// The same data without secret marks, as plain JSON for a provider. Where an earlier run
    /// had a value that is not kept stands [`NOT_KEPT`], which no service has.
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
            Self::Secret(inner) | Self::Ephemeral(Ephemeral::Known(inner)) => inner.to_json(),
            Self::Ephemeral(Ephemeral::Digest(_)) => Json::String(NOT_KEPT.to_owned()),
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
            (Self::Ephemeral(a), Self::Ephemeral(b)) => a.digest() == b.digest(),
            (Self::Ephemeral(left), now) | (now, Self::Ephemeral(left)) => {
                left.digest() == digest(now)
            }
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
        // Most specs have no secret at all.
        if marks.secrecy() == Secrecy::Open { self } else { self.marked_by(marks) }
    }

    fn marked_by(self, marks: &Self) -> Self {
        match (self, marks) {
            // An earlier value that was not kept, handed back as it was handed out.
            (value, marks) if value.was_not_kept(marks) => marks.clone(),
            (value, Self::Secret(mark)) => value.marked(mark.secrecy().max(Secrecy::Secret)),
            (Self::List(items), Self::List(like)) => Self::List(marked_items(items, like)),
            (Self::Map(entries), Self::Map(like)) => {
                let gone = like.iter().filter(|(key, _)| !entries.contains_key(*key));
                let moved = gone.map(|(_, mark)| mark.secrecy()).max().unwrap_or_default();
                let marked = entries.into_iter().map(|(key, value)| {
                    let value = match like.get(&key) {
                        Some(mark) => value.marked_by(mark),
                        None => value.marked(moved),
                    };
                    (key, value)
                });
                Self::Map(marked.collect())
            }
            (value, marks) => value.marked(marks.secrecy()),
        }
    }

    /// Whether it stands for that value, which was not kept.
    fn was_not_kept(&self, other: &Self) -> bool {
        let digest = |inner: &Self| matches!(inner, Self::Ephemeral(Ephemeral::Digest(_)));
        self.as_str() == Some(NOT_KEPT) && matches!(other, Self::Secret(inner) if digest(inner))
    }

    /// Calls `visit` with every text that stands under a secret mark.
    pub fn each_secret<'a>(&'a self, visit: &mut impl FnMut(&'a str)) {
        self.each_marked(&mut |text, _| visit(text));
    }

    /// The same, with the mark.
    pub fn each_marked<'a>(&'a self, visit: &mut impl FnMut(&'a str, Secrecy)) {
        fn all<'a>(value: &'a Value, mark: Secrecy, visit: &mut impl FnMut(&'a str, Secrecy)) {
            match value {
                Value::String(text) if mark > Secrecy::Open => visit(text, mark),
                Value::List(items) => items.iter().for_each(|item| all(item, mark, visit)),
                Value::Map(entries) => {
                    entries.values().for_each(|item| all(item, mark, visit));
                }
                Value::Secret(inner) => all(inner, mark.max(Secrecy::Secret), visit),
                Value::Ephemeral(Ephemeral::Known(inner)) => {
                    all(inner, Secrecy::Ephemeral, visit);
                }
                _ => {}
            }
        }
        all(self, Secrecy::Open, visit);
    }

    /// Marks every text that holds one of these secrets: a service may report back what it
    /// was given.
    pub fn hiding(self, secrets: &[(&str, Secrecy)]) -> Self {
        match self {
            Self::String(text) => {
                let held = secrets.iter().filter(|(secret, _)| text.contains(secret));
                let secrecy = held.map(|(_, secrecy)| *secrecy).max().unwrap_or_default();
                Self::String(text).marked(secrecy)
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

    /// The value with a word in place of every secret: `(secret options_password)`, with its
    /// path in it, or `(other secret options_password)` for texts that are not among `same`.
    pub fn masked(&self, same: &[&str]) -> Self {
        self.masked_at("", same, false)
    }

    fn masked_at(&self, path: &str, same: &[&str], secret: bool) -> Self {
        let below = |key: &str| {
            let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
            let key: String = key.chars().map(plain).collect();
            if path.is_empty() { key } else { format!("{path}_{key}") }
        };
        match self {
            Self::Secret(inner) => inner.masked_at(path, same, true),
            Self::List(items) => Self::List(
                items
                    .iter()
                    .enumerate()
                    .map(|(at, item)| item.masked_at(&below(&at.to_string()), same, secret))
                    .collect(),
            ),
            Self::Map(entries) => Self::Map(
                entries
                    .iter()
                    .map(|(key, item)| (key.clone(), item.masked_at(&below(key), same, secret)))
                    .collect(),
            ),
            Self::Ephemeral(_) => Self::String(format!("(secret {path})")),
            Self::Null => Self::Null,
            hidden if secret => match hidden.as_str() {
                Some(text) if !same.contains(&text) => {
                    Self::String(format!("(other secret {path})"))
                }
                _ => Self::String(format!("(secret {path})")),
            },
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
            Self::Secret(_) | Self::Ephemeral(_) => "a secret",
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
            Self::Secret(_) | Self::Ephemeral(_) => out.write_str("(sensitive)"),
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
            Self::Ephemeral(ephemeral) => ephemeral.serialize(serializer),
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
            if key == EPHEMERAL_KEY {
                let digest = value.as_str().unwrap_or_default().to_owned();
                return Ok(Value::Ephemeral(Ephemeral::Digest(digest)));
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

/// So many items that are not where they were are looked for; beyond that all are marked.
const MOST_SOUGHT: usize = 64;

/// The items of a list with the marks of those they are in another: a provider may have sorted
/// them. What is none of them takes the marks of all that are nowhere else.
fn marked_items(items: Vec<Value>, like: &[Value]) -> Vec<Value> {
    let is = |item: &Value, other: &Value| item.same(other) || item.was_not_kept(other);
    let mut taken = vec![false; like.len()];
    let mut places: Vec<Option<usize>> = vec![None; items.len()];
    for (index, (item, other)) in items.iter().zip(like).enumerate() {
        if is(item, other) {
            (taken[index], places[index]) = (true, Some(index));
        }
    }
    let elsewhere = places.iter().filter(|place| place.is_none()).count();
    if elsewhere <= MOST_SOUGHT {
        for (item, place) in items.iter().zip(&mut places).filter(|(_, place)| place.is_none())
        {
            let found = (0..like.len()).find(|index| !taken[*index] && is(item, &like[*index]));
            if let Some(index) = found {
                (taken[index], *place) = (true, Some(index));
            }
        }
    }
    let nowhere: Vec<&Value> =
        like.iter().zip(&taken).filter(|(_, taken)| !**taken).map(|(other, _)| other).collect();
    let most = nowhere.iter().map(|other| other.secrecy()).max().unwrap_or_default();
    let marked = items.into_iter().zip(places).map(|(item, place)| match place {
        Some(index) => item.marked_by(&like[index]),
        None if nowhere.len() > MOST_SOUGHT => item.marked(most),
        None => nowhere.iter().fold(item, |item, other| item.marked_by(other)),
    });
    marked.collect()
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
    fn what_was_not_kept_and_is_handed_back_is_what_it_was() {
        let stored = serde_json::to_string(&Value::string("hunter2").ephemeral()).unwrap();
        let kept: Value = serde_json::from_str(&stored).unwrap();
        let told = Value::from(kept.to_json());
        assert!(told.clone().marked_like(&kept).same(&Value::string("hunter2")));
        // Against a new value it is another one.
        let new = Value::string("other").ephemeral();
        assert!(!told.marked_like(&new).same(&new));
    }

    #[test]
    fn of_an_ephemeral_value_a_digest_is_stored() {
        let value = Value::List(vec![Value::string("hunter2").ephemeral(), Value::Int(1)]);
        let text = serde_json::to_string(&value).unwrap();
        assert!(!text.contains("hunter2"), "{text}");
        let back: Value = serde_json::from_str(&text).unwrap();
        assert!(back.same(&value) && value.same(&back));
        let other = Value::List(vec![Value::string("hunter3").ephemeral(), Value::Int(1)]);
        assert!(!back.same(&other));
        assert_eq!(back.to_json().to_string(), r#"["(not kept)",1]"#);
        let mut filled = back.clone();
        crate::ephemeral::Recall::of_value(&value).fill(&mut filled);
        assert_eq!(filled.to_json().to_string(), r#"["hunter2",1]"#);
        assert_eq!(format!("{value} {back:?}"), "[(sensitive), 1] [(sensitive), 1]");
    }

    #[test]
    fn what_is_made_of_an_ephemeral_value_is_ephemeral() {
        let marks = Value::List(vec![Value::string("pw").ephemeral()]);
        let value = Value::List(vec![Value::string("pw")]).marked_like(&marks);
        assert_eq!(value.secrecy(), Secrecy::Ephemeral);
        assert_eq!(Value::string("x").ephemeral().secret().secrecy(), Secrecy::Ephemeral);
        assert_eq!(Value::string("x").secret().ephemeral().secrecy(), Secrecy::Ephemeral);
    }

    #[test]
    fn a_mark_survives_another_form() {
        let value =
            |text: &str| Value::from(serde_json::from_str::<serde_json::Value>(text).unwrap());
        let list = Value::List(vec![Value::string("A=1"), Value::string("B=pw").secret()]);
        assert!(value(r#"{"A":"1","B":"pw"}"#).marked_like(&list).is_secret());
        let marked = |text: &str| {
            let Value::List(items) = value(text).marked_like(&list) else { panic!("no list") };
            items.iter().map(Value::is_secret).collect::<Vec<_>>()
        };
        assert_eq!(marked(r#"["A=1","B=pw","C"]"#), [false, true, false]);
        assert_eq!(marked(r#"["B=pw","A=1"]"#), [true, false], "in another order");
        assert_eq!(marked(r#"["A=1","B=other"]"#), [false, true], "another secret");
        assert_eq!(marked(r#"["b=pw","a=1"]"#), [true, true], "in another form");
        assert_eq!(marked(r#"["B","A=1","pw"]"#), [true, false, true], "cut in two");
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
