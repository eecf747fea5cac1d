//! Lines for the hosts file of a container.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::{Deserialize, Deserializer, Serialize, de};

use super::words::Several;

/// Entries `name:address`, in one order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Hosts(pub Vec<String>);

impl Hosts {
    /// From what the engine reports.
    pub(super) fn observed(entries: &[String]) -> Self {
        Self::from_entries(entries.iter().map(|entry| joined(entry).unwrap_or(entry.clone())))
    }

    fn from_entries(entries: impl Iterator<Item = String>) -> Self {
        let mut entries: Vec<_> = entries.collect();
        entries.sort();
        entries.dedup();
        Self(entries)
    }
}

/// `name:address` from that or `name=address`.
fn joined(entry: &str) -> Option<String> {
    let (name, address) = match (entry.find('='), entry.find(':')) {
        (Some(equals), colon) if colon.is_none_or(|colon| equals < colon) => {
            (&entry[..equals], &entry[equals + 1..])
        }
        (_, Some(colon)) => (&entry[..colon], &entry[colon + 1..]),
        _ => return None,
    };
    let address = address.trim_start_matches('[').trim_end_matches(']');
    (!name.is_empty() && !address.is_empty()).then(|| format!("{name}:{address}"))
}

impl<'de> Deserialize<'de> for Hosts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ListOrMap)
    }
}

struct ListOrMap;

impl<'de> de::Visitor<'de> for ListOrMap {
    type Value = Hosts;

    fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("a list of `name:address` or a map from name to address")
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, seq: A) -> Result<Hosts, A::Error> {
        let entries = Vec::<String>::deserialize(SeqAccessDeserializer::new(seq))?;
        let entries = entries.iter().map(|entry| {
            let bad = || de::Error::custom(format!("`{entry}` is no host: say `name:address`"));
            joined(entry).ok_or_else(bad)
        });
        Ok(Hosts::from_entries(entries.collect::<Result<Vec<_>, _>>()?.into_iter()))
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Hosts, A::Error> {
        let map = BTreeMap::<String, Several>::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Hosts::from_entries(map.iter().flat_map(|(name, addresses)| {
            addresses.0.iter().map(move |address| format!("{name}:{address}"))
        })))
    }
}

impl JsonSchema for Hosts {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Hosts".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let addresses = Several::json_schema(generator);
        json_schema!({
            "anyOf": [
                { "type": "array", "items": { "type": "string" } },
                { "type": "object", "additionalProperties": addresses },
            ]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{from_value, json};

    #[test]
    fn equal_forms_become_one() {
        let list: Hosts =
            from_value(json!(["db=10.0.0.5", "v6:[::1]", "db:10.0.0.5"])).unwrap();
        assert_eq!(list.0, ["db:10.0.0.5", "v6:::1"]);
        let map: Hosts = from_value(json!({ "db": "10.0.0.5", "v6": "::1" })).unwrap();
        assert_eq!(list, map);
        let several: Hosts = from_value(json!({ "db": ["10.0.0.6", "10.0.0.5"] })).unwrap();
        assert_eq!(several.0, ["db:10.0.0.5", "db:10.0.0.6"]);
        assert!(from_value::<Hosts>(json!(["nothing"])).is_err());
    }
}
