//! What definitions say, to be compared.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use sha2::{Digest as _, Sha256};

/// A section of a file of definitions.
struct Section {
    name: &'static str,
    /// What tells one row from another.
    keys: &'static [&'static str],
    /// What else a row says, whoever is asked: the management API and `rabbitmqctl` do not
    /// agree on the rest. How a user logs in is left out: one that is there keeps its password.
    says: &'static [&'static str],
}

const SECTIONS: [Section; 10] = [
    Section { name: "vhosts", keys: &["name"], says: &[] },
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
        says: &["durable", "auto_delete", "arguments"],
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

/// What every broker has of its own.
const OWN: [&str; 2] = ["internal_cluster_id", "cluster_name"];

/// The rows of each section, as short digests: they hold no secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Topology(BTreeMap<String, BTreeSet<String>>);

impl Topology {
    pub(super) fn of(definitions: &Json) -> Self {
        let mut all = BTreeMap::new();
        for section in &SECTIONS {
            let rows = definitions[section.name].as_array().into_iter().flatten();
            let rows = rows.filter(|row| section.name != "global_parameters" || !is_own(row));
            let rows: BTreeSet<String> = rows.map(|row| section.line(row)).collect();
            if !rows.is_empty() {
                all.insert(section.name.to_owned(), rows);
            }
        }
        Self(all)
    }

    /// `2 vhosts, 3 users, 12 queues`.
    pub(super) fn words(&self) -> String {
        let parts: Vec<_> = self
            .0
            .iter()
            .map(|(section, rows)| format!("{} {}", rows.len(), section.replace('_', " ")))
            .collect();
        if parts.is_empty() { "nothing".to_owned() } else { parts.join(", ") }
    }

    /// Rows that another one does not have.
    pub(super) fn missing_in(&self, other: &Self) -> Vec<String> {
        let mut missing = Vec::new();
        for (section, rows) in &self.0 {
            let there = other.0.get(section);
            for row in rows {
                if !there.is_some_and(|there| there.contains(row)) {
                    let name = row.rsplit_once(' ').map_or(row.as_str(), |(name, _)| name);
                    missing.push(format!(
                        "{}: {name} is not as it was",
                        section.replace('_', " ")
                    ));
                }
            }
        }
        missing
    }
}

fn is_own(row: &Json) -> bool {
    OWN.iter().any(|own| row["name"] == **own)
}

impl Section {
    /// A row's names, and a digest of what it says.
    fn line(&self, row: &Json) -> String {
        let names: Vec<_> =
            self.keys.iter().map(|key| row[*key].as_str().unwrap_or_default()).collect();
        let mut digest = Sha256::new();
        for name in self.says {
            // Tags come as a list or as words with commas; nothing said is a list to Erlang.
            let said = match &row[*name] {
                Json::Array(items) if items.is_empty() => "{}".to_owned(),
                Json::Array(items) => {
                    let items = items.iter().map(|item| item.as_str().unwrap_or_default());
                    items.collect::<Vec<_>>().join(",")
                }
                // What is not so is not always said.
                Json::Null => "false".to_owned(),
                Json::String(text) if text.is_empty() => "{}".to_owned(),
                Json::String(text) => text.clone(),
                other => other.to_string(),
            };
            digest.update(said.len().to_be_bytes());
            digest.update(said);
        }
        format!("{} {:.16}", names.join(" "), hex::encode(digest.finalize()))
    }
}

/// Leaves out of definitions what is not to be changed in a broker that has `here`: its own
/// name, users that exist, whose passwords applications know, and vhosts that exist, whose
/// descriptions definitions do not hold.
pub(super) fn without_known(definitions: &mut Json, here: &Json) {
    for section in ["users", "vhosts"] {
        let known: BTreeSet<&str> = here[section]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|row| row["name"].as_str())
            .collect();
        if let Some(rows) = definitions[section].as_array_mut() {
            rows.retain(|row| !known.contains(row["name"].as_str().unwrap_or_default()));
        }
    }
    if let Some(parameters) = definitions["global_parameters"].as_array_mut() {
        parameters.retain(|row| !is_own(row));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn definitions() -> Json {
        json!({
            "users": [{ "name": "app", "password_hash": "x", "tags": ["monitoring"] }],
            "queues": [{ "name": "q", "vhost": "/", "durable": true, "arguments": {} }],
            "global_parameters": [{ "name": "internal_cluster_id", "value": "1" }],
        })
    }

    #[test]
    fn passwords_and_the_brokers_own_name_are_no_topology() {
        let one = Topology::of(&definitions());
        let mut other = definitions();
        other["users"][0]["password_hash"] = json!("y");
        other["global_parameters"][0]["value"] = json!("2");
        assert_eq!(one, Topology::of(&other));
        other["queues"][0]["durable"] = json!(false);
        let missing = one.missing_in(&Topology::of(&other));
        assert_eq!(missing, ["queues: / q is not as it was"]);
        assert!(!serde_json::to_string(&one).unwrap().contains('x'));
    }

    #[test]
    fn users_that_exist_keep_their_passwords() {
        let mut saved = definitions();
        without_known(&mut saved, &json!({ "users": [{ "name": "app" }] }));
        assert_eq!(saved["users"], json!([]));
        assert_eq!(saved["global_parameters"], json!([]));
        assert_eq!(saved["queues"].as_array().unwrap().len(), 1);
    }
}
