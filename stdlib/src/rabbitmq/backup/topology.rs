//! What definitions say, to be compared.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use sha2::{Digest as _, Sha256};

/// The sections of a file of definitions, and what tells one row of each from another.
const SECTIONS: [(&str, &[&str]); 11] = [
    ("vhosts", &["name"]),
    ("users", &["name"]),
    ("permissions", &["vhost", "user"]),
    ("topic_permissions", &["vhost", "user", "exchange"]),
    ("parameters", &["vhost", "component", "name"]),
    ("global_parameters", &["name"]),
    ("policies", &["vhost", "name"]),
    ("queues", &["vhost", "name"]),
    ("exchanges", &["vhost", "name"]),
    (
        "bindings",
        &["vhost", "source", "destination", "destination_type", "routing_key", "arguments"],
    ),
    ("operator_policies", &["vhost", "name"]),
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
        for (section, _) in SECTIONS {
            let rows = definitions[section].as_array().into_iter().flatten();
            let rows = rows.filter(|row| section != "global_parameters" || !is_own(row));
            let rows: BTreeSet<String> = rows.map(|row| line(section, row)).collect();
            if !rows.is_empty() {
                all.insert(section.to_owned(), rows);
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

/// Its names and a digest of all it says. How a user logs in is left out: a user that is
/// there keeps its password.
fn line(section: &str, row: &Json) -> String {
    let mut row = row.clone();
    if section == "users"
        && let Some(entries) = row.as_object_mut()
    {
        entries.remove("password_hash");
        entries.remove("hashing_algorithm");
        entries.remove("limits");
    }
    if section == "vhosts"
        && let Some(entries) = row.as_object_mut()
    {
        // What else is said of it differs from one way of asking to another.
        entries.retain(|name, _| name == "name");
    }
    let keys =
        SECTIONS.iter().find(|(name, _)| *name == section).map_or(&[][..], |(_, keys)| keys);
    let names: Vec<_> = keys
        .iter()
        .filter(|key| **key != "arguments")
        .map(|key| row[*key].as_str().unwrap_or_default())
        .collect();
    let digest = hex::encode(Sha256::digest(row.to_string()));
    format!("{} {digest:.16}", names.join(" "))
}

/// Leaves out of definitions what is not to be changed in a broker that has `here`: its own
/// name, and users that exist, whose passwords applications know.
pub(super) fn without_known(definitions: &mut Json, here: &Json) {
    let known: BTreeSet<&str> = here["users"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|user| user["name"].as_str())
        .collect();
    if let Some(users) = definitions["users"].as_array_mut() {
        users.retain(|user| !known.contains(user["name"].as_str().unwrap_or_default()));
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
