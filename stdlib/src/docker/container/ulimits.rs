//! Limits of each process.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bollard::models::ResourcesUlimits;
use dollop_engine::resource::Problem;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};

/// Limits by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Ulimits(pub BTreeMap<String, Ulimit>);

/// One limit; -1 is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Ulimit {
    /// What applies.
    pub soft: i64,
    /// What a process may raise it to.
    pub hard: i64,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Both {
    /// What applies.
    soft: i64,
    /// What a process may raise it to.
    hard: i64,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    One(i64),
    Both(Both),
}

impl Ulimits {
    /// Those that were asked for, as they are. An engine tells its own `default-ulimits` among
    /// them, as they stand in its configuration now, and nothing tells the two apart.
    pub(super) fn observed(limits: &[ResourcesUlimits], asked: &Self) -> Self {
        let limits = limits.iter().filter_map(|limit| {
            let name = limit.name.clone().filter(|name| asked.0.contains_key(name))?;
            let ulimit =
                Ulimit { soft: limit.soft.unwrap_or(0), hard: limit.hard.unwrap_or(0) };
            Some((name, ulimit))
        });
        Self(limits.collect())
    }

    pub(super) fn requested(&self) -> Vec<ResourcesUlimits> {
        let limits = self.0.iter().map(|(name, limit)| ResourcesUlimits {
            name: Some(name.clone()),
            soft: Some(limit.soft),
            hard: Some(limit.hard),
        });
        limits.collect()
    }

    pub(super) fn check(&self) -> Option<Problem> {
        let above =
            |limit: &Ulimit| limit.hard != -1 && (limit.soft > limit.hard || limit.soft == -1);
        let (name, limit) = self.0.iter().find(|(_, limit)| above(limit))?;
        Some(Problem {
            attribute: "ulimits".to_owned(),
            message: format!(
                "the soft limit of `{name}`, {}, is above the hard one, {}",
                limit.soft, limit.hard
            ),
            hint: Some("-1 stands for no limit".to_owned()),
        })
    }
}

impl<'de> Deserialize<'de> for Ulimit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = Written::deserialize(deserializer).map_err(|_| {
            serde::de::Error::custom("a limit is a number, or `#{ soft: 1024, hard: 2048 }`")
        })?;
        Ok(match written {
            Written::One(limit) => Self { soft: limit, hard: limit },
            Written::Both(Both { soft, hard }) => Self { soft, hard },
        })
    }
}

impl JsonSchema for Ulimit {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Ulimit".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let both = generator.subschema_for::<Both>();
        json_schema!({ "anyOf": [{ "type": "integer" }, both] })
    }
}
