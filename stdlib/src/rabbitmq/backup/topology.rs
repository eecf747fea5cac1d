//! What definitions say, to be compared.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use sha2::{Digest as _, Sha256};

use super::super::parameter::INTERNAL;
use super::super::sections::{SECTIONS, Section};

/// What every broker has of its own, beside what begins with `internal`.
const OWN: [&str; 2] = ["cluster_name", "cluster_tags"];

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
            // `rabbitmqctl`, which is asked in a trial, tells nothing of these.
            let rows =
                rows.filter(|row| section.name != "exchanges" || row["internal"] != true);
            let rows: BTreeSet<String> = rows.map(|row| line(section, row)).collect();
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
    let name = row["name"].as_str().unwrap_or_default();
    OWN.contains(&name) || name.starts_with(INTERNAL)
}

/// A row's names, and a digest of what it says.
fn line(section: &Section, row: &Json) -> String {
    let names: Vec<_> =
        section.keys.iter().map(|key| row[*key].as_str().unwrap_or_default()).collect();
    let said = section.said(row);
    let said: Vec<&Json> =
        section.says.iter().map(|key| said.get(*key).unwrap_or(&Json::Null)).collect();
    let digest = Sha256::digest(json!(said).to_string());
    format!("{} {:.16}", names.join(" "), hex::encode(digest))
}

/// Leaves out of definitions what is not to be changed in a broker that has `here`: its own
/// name, users that exist, whose passwords applications know, and vhosts that exist, whose
/// descriptions may be newer.
pub(super) fn without_known(definitions: &mut Json, here: &Json) {
    without(definitions, here, &["users", "vhosts"]);
}

/// The same for a broker that is made for a trial: of what it has of its own, only the users
/// need to stay.
pub(super) fn without_users(definitions: &mut Json, here: &Json) {
    without(definitions, here, &["users"]);
}

fn without(definitions: &mut Json, here: &Json, sections: &[&str]) {
    for section in sections {
        let known: BTreeSet<&str> = here[*section]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|row| row["name"].as_str())
            .collect();
        if let Some(rows) = definitions[*section].as_array_mut() {
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

    /// The API and `rabbitmqctl` say the same of a vhost and of a queue in two ways.
    #[test]
    fn what_a_vhost_is_called_and_makes_is_topology() {
        let vhost =
            |metadata: Json| json!({ "vhosts": [{ "name": "v", "metadata": metadata }] });
        let of = |metadata: Json| Topology::of(&vhost(metadata));
        let whole =
            json!({ "description": "d", "tags": ["b", "a"], "default_queue_type": "quorum" });
        let flat = json!({ "vhosts": [{
            "name": "v", "description": "d", "tags": "a,b", "default_queue_type": "quorum",
        }] });
        assert_eq!(of(whole.clone()), Topology::of(&flat));
        for key in ["description", "tags", "default_queue_type"] {
            let mut other = whole.clone();
            other.as_object_mut().unwrap().remove(key);
            let missing = of(whole.clone()).missing_in(&of(other));
            assert_eq!(missing, ["vhosts: v is not as it was"], "{key}");
        }
        let none = json!({ "description": "", "tags": [], "default_queue_type": "undefined" });
        assert_eq!(of(json!({})), of(none));
        let queue = |row: Json| Topology::of(&json!({ "queues": [row] }));
        let by_tool = json!({ "name": "q", "type": "quorum", "arguments": {} });
        let by_api = json!({ "name": "q", "arguments": { "x-queue-type": "quorum" } });
        assert_eq!(queue(by_tool), queue(by_api));
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
