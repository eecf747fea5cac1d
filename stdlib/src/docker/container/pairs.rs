//! Keys and values: a map, or Compose's list of `key=value`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::{Deserialize, Deserializer, Serialize, de};

use crate::text::Text;

/// Values by key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Pairs(pub BTreeMap<String, Text>);

impl Pairs {
    /// As the engine takes them; nothing when there are none.
    pub(crate) fn requested(&self) -> Option<std::collections::HashMap<String, String>> {
        let pairs = self.0.iter().map(|(key, value)| (key.clone(), value.0.clone()));
        (!self.0.is_empty()).then(|| pairs.collect())
    }

    /// From what the engine reports.
    pub(crate) fn observed<'a>(
        pairs: impl IntoIterator<Item = (&'a String, &'a String)>,
    ) -> Self {
        let pairs = pairs.into_iter().map(|(key, value)| (key.clone(), Text(value.clone())));
        Self(pairs.collect())
    }
}

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MapOrList { bare: false })
    }
}

struct MapOrList {
    /// Whether a key may stand alone.
    bare: bool,
}

impl<'de> de::Visitor<'de> for MapOrList {
    type Value = Pairs;

    fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("a map, or a list of `key=value`")
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Pairs, A::Error> {
        BTreeMap::deserialize(MapAccessDeserializer::new(map)).map(Pairs)
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, seq: A) -> Result<Pairs, A::Error> {
        let entries = Vec::<String>::deserialize(SeqAccessDeserializer::new(seq))?;
        if self.bare {
            let entries = entries.into_iter().map(|entry| match entry.split_once('=') {
                None if !entry.trim().is_empty() => format!("{entry}="),
                _ => entry,
            });
            return pairs(entries.collect());
        }
        pairs(entries)
    }
}

/// Labels: one without a value is an empty one.
pub(crate) fn labels<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Pairs, D::Error> {
    deserializer.deserialize_any(MapOrList { bare: true })
}

fn pairs<E: de::Error>(entries: Vec<String>) -> Result<Pairs, E> {
    let mut pairs = BTreeMap::new();
    // As in a list that was written like a file of variables.
    let says = |entry: &String| !entry.trim().is_empty() && !entry.starts_with('#');
    for entry in entries.into_iter().filter(says) {
        // Compose takes such a value from the environment, which a script does not see.
        // The whole entry is not shown: there may be a secret in a badly written one.
        let Some((key, value)) = entry.split_once('=') else {
            let name: String =
                entry.chars().take_while(char::is_ascii_graphic).take(40).collect();
            return Err(E::custom(format!(
                "`{name}` has no value: write `{name}=value`, or take it from outside with `param`"
            )));
        };
        if pairs.insert(key.to_owned(), Text(value.to_owned())).is_some() {
            return Err(E::custom(format!("`{key}` is there twice")));
        }
    }
    Ok(Pairs(pairs))
}

impl JsonSchema for Pairs {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Pairs".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let value = Text::json_schema(generator);
        json_schema!({
            "anyOf": [
                { "type": "object", "additionalProperties": value },
                { "type": "array", "items": { "type": "string" } },
            ]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{from_value, json};

    #[test]
    fn a_list_is_a_map() {
        let list: Pairs = from_value(json!(["A=1", "B=x=y", "C="])).unwrap();
        let map: Pairs = from_value(json!({ "A": 1, "B": "x=y", "C": "" })).unwrap();
        assert_eq!(list, map);
        let file: Pairs = from_value(json!(["# a comment", "", "A=1"])).unwrap();
        assert_eq!(file, from_value(json!({ "A": 1 })).unwrap());
        let error = from_value::<Pairs>(json!(["A"])).unwrap_err().to_string();
        assert!(error.contains("`A=value`"), "{error}");
        assert!(from_value::<Pairs>(json!(["A=1", "A=2"])).is_err());
        assert_eq!(
            labels(json!(["a", "b=1"])).unwrap(),
            labels(json!({ "a": "", "b": 1 })).unwrap()
        );
    }
}
