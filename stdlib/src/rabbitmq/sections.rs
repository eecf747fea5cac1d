//! The sections of definitions, in the form in which they can be compared: the management API
//! and `rabbitmqctl` do not write the same.

use std::collections::BTreeSet;

use serde_json::{Map, Value as Json, json};

use super::queue_rules::TYPE;
use super::user::tags;
use super::vhost::UNDEFINED;

/// A section of a file of definitions.
pub(super) struct Section {
    /// What it is called.
    pub(super) name: &'static str,
    /// What tells one row from another.
    pub(super) keys: &'static [&'static str],
    /// What else a row says. How a user logs in is left out.
    pub(super) says: &'static [&'static str],
}

/// All of them.
pub(super) const SECTIONS: [Section; 10] = [
    Section {
        name: "vhosts",
        keys: &["name"],
        says: &["description", "tags", "default_queue_type"],
    },
    Section { name: "users", keys: &["name"], says: &["tags"] },
    Section {
        name: "permissions",
        keys: &["vhost", "user"],
        says: &["configure", "write", "read"],
    },
    Section {
        name: "topic_permissions",
        keys: &["vhost", "user", "exchange"],
        says: &["write", "read"],
    },
    Section { name: "parameters", keys: &["vhost", "component", "name"], says: &["value"] },
    Section { name: "global_parameters", keys: &["name"], says: &["value"] },
    Section {
        name: "policies",
        keys: &["vhost", "name"],
        says: &["pattern", "apply-to", "definition", "priority"],
    },
    Section {
        name: "queues",
        keys: &["vhost", "name"],
        says: &["type", "durable", "auto_delete", "arguments"],
    },
    Section {
        name: "exchanges",
        keys: &["vhost", "name"],
        says: &["type", "durable", "auto_delete", "internal", "arguments"],
    },
    Section {
        name: "bindings",
        keys: &["vhost", "source", "destination", "destination_type", "routing_key"],
        says: &["arguments"],
    },
];

impl Section {
    /// The properties that a row says otherwise than the server does.
    pub(super) fn differs(&self, wanted: &Json, is: &Json) -> Vec<&'static str> {
        let (mut wanted, is) = (self.said(wanted), self.said(is));
        if self.name == "queues" && is.get("type").is_none() {
            // What is of no type is a classic queue.
            wanted.retain(|key, value| key != "type" || value != "classic");
        }
        let none = Json::Null;
        let differs = |key: &&&str| {
            wanted.get(**key).is_some_and(|value| value != is.get(**key).unwrap_or(&none))
        };
        self.says.iter().filter(differs).copied().collect()
    }

    /// What a row says, as far as it says anything: what is not so is not always said, and
    /// nothing said is an empty list to Erlang.
    pub(super) fn said(&self, row: &Json) -> Map<String, Json> {
        let mut said: Map<String, Json> = Map::new();
        for key in self.says {
            let value = match (self.name, *key) {
                ("vhosts", "default_queue_type") => {
                    // `"undefined"` where there is none.
                    of_vhost(row, key).filter(|value| **value != UNDEFINED).cloned()
                }
                ("vhosts", "tags") => of_vhost(row, key).map(set),
                ("vhosts", _) => of_vhost(row, key).cloned(),
                ("users", "tags") => row.get(*key).map(set),
                // The API of servers before 3.13 has no type, only the argument, which a
                // classic queue need not have.
                ("queues", "type") => {
                    let told = row.get("type").or(row["arguments"].get(TYPE));
                    told.filter(|told| *told != "classic").cloned()
                }
                ("queues", "arguments") => row.get("arguments").map(|arguments| {
                    let mut arguments = arguments.clone();
                    if let Some(entries) = arguments.as_object_mut() {
                        entries.remove(TYPE);
                    }
                    arguments
                }),
                _ => row.get(*key).cloned(),
            };
            if let Some(value) = value {
                said.insert((*key).to_owned(), plain(&value));
            }
        }
        said
    }
}

/// Newer servers say it of a vhost itself as well; `rabbitmqctl` among its metadata only.
fn of_vhost<'a>(row: &'a Json, key: &str) -> Option<&'a Json> {
    row.get(key).or_else(|| row["metadata"].get(key))
}

/// Tags come as a list or as words with commas, in any order.
fn set(value: &Json) -> Json {
    json!(tags(value).into_iter().collect::<BTreeSet<_>>())
}

/// A value in which all ways to say nothing are one.
pub(super) fn plain(value: &Json) -> Json {
    match value {
        Json::Array(items) if items.is_empty() => Json::Null,
        Json::Object(entries) if entries.is_empty() => Json::Null,
        Json::String(text) if text.is_empty() => Json::Null,
        Json::Bool(false) => Json::Null,
        Json::Array(items) => items.iter().map(plain).collect(),
        Json::Object(entries) => {
            let entries = entries.iter().map(|(key, value)| (key.clone(), plain(value)));
            Json::Object(entries.collect())
        }
        other => other.clone(),
    }
}
