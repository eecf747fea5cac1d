//! Specs that are the value of a runtime parameter: shovels and upstreams. What the server has
//! and no attribute says is kept apart in `settings`, so that a plan shows it.

use std::collections::{BTreeMap, BTreeSet};

use dollop_engine::error::CallError;
use dollop_engine::resource::Problem;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};

use super::arguments::check_nulls;
use super::parameter::Row;
use super::shovel;

/// Settings as the server names them.
pub(super) type Settings = BTreeMap<String, Json>;

/// The attribute that holds them.
const SETTINGS: &str = "settings";

/// Attributes with addresses. They may hold passwords: they stand nowhere else.
const ADDRESSES: [&str; 3] = ["uri", "src_uri", "dest_uri"];

/// One address of a server, or several of which one is taken.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum Addresses {
    /// The only one.
    One(String),
    /// One of them.
    Several(Vec<String>),
}

impl Addresses {
    fn all(&self) -> &[String] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Several(several) => several,
        }
    }

    /// A list of one is that one.
    pub(super) fn normalize(&mut self) {
        if let [one] = self.all() {
            *self = Self::One(one.clone());
        }
    }

    /// What is wrong with them, as addresses that AMQP clients take.
    pub(super) fn check(&self, attribute: &str) -> Vec<Problem> {
        let problem = |message: &str| {
            Problem::new(attribute, message)
                .hint("write it as `amqp://user:password@host:5672/vhost`")
        };
        let is_good =
            |uri: &&String| ["amqp://", "amqps://"].iter().any(|form| uri.starts_with(form));
        match self.all() {
            [] => vec![problem("there is no address in the list")],
            all if !all.iter().all(|uri| is_good(&uri)) => {
                vec![problem("this is no address of an AMQP server")]
            }
            _ => Vec::new(),
        }
    }
}

/// The attributes of a spec.
pub(super) fn attributes<Spec: JsonSchema>() -> BTreeSet<String> {
    let schema = schemars::schema_for!(Spec);
    let properties = schema.get("properties").and_then(Json::as_object);
    properties.into_iter().flatten().map(|(name, _)| name.clone()).collect()
}

/// What is wrong with settings: some have attributes.
pub(super) fn check(settings: &Settings, known: &BTreeSet<String>) -> Vec<Problem> {
    let mut problems = check_nulls(SETTINGS, settings);
    for (key, value) in settings {
        let attribute = attribute(key);
        // Servers take parts of a second and the like, which no attribute does.
        if known.contains(&attribute) && !value.is_f64() {
            problems.push(
                Problem::new(SETTINGS, format!("`{key}` is an attribute"))
                    .hint(format!("set `{attribute}`")),
            );
        }
    }
    problems
}

/// A spec as the value of a parameter: what is set, with `-` in names, without the vhost.
pub(super) fn to_value<Spec: Serialize>(spec: &Spec) -> Map<String, Json> {
    let Ok(Json::Object(mut entries)) = serde_json::to_value(spec) else {
        return Map::new();
    };
    let settings = entries.remove(SETTINGS);
    entries
        .into_iter()
        .filter(|(name, value)| name != "vhost" && !value.is_null())
        .map(|(name, value)| (name.replace('_', "-"), value))
        .chain(
            settings.and_then(|settings| settings.as_object().cloned()).into_iter().flatten(),
        )
        .collect()
}

/// The attribute for a setting, those included that older servers call otherwise.
fn attribute(key: &str) -> String {
    match key {
        "delete-after" => "src_delete_after".to_owned(),
        "add-forward-headers" | "add-timestamp-header" | "publish-properties" => {
            format!("dest_{}", key.replace('-', "_"))
        }
        key => key.replace('-', "_"),
    }
}

/// The value of a parameter as a spec with these attributes.
///
/// # Errors
/// An address is missing or has a form that dollop does not know. Never shows the value: it
/// may hold passwords.
pub(super) fn from_value<Spec: DeserializeOwned>(
    what: &str,
    row: &Row,
    known: &BTreeSet<String>,
) -> Result<Spec, CallError> {
    let unknown = || {
        let (name, vhost) = (&row.name, &row.vhost);
        CallError::refused(format!(
            "{what} `{name}` in vhost `{vhost}` has an address that dollop does not know"
        ))
    };
    let mut least = Map::new();
    least.insert("vhost".to_owned(), json!(row.vhost));
    let mut spec = least.clone();
    for address in ADDRESSES.into_iter().filter(|address| known.contains(*address)) {
        least.insert(address.to_owned(), json!(""));
    }
    let fits = |attribute: &str, value: &Json| {
        let mut one = least.clone();
        one.insert(attribute.to_owned(), value.clone());
        known.contains(attribute) && serde_json::from_value::<Spec>(Json::Object(one)).is_ok()
    };
    let mut settings = Settings::new();
    for (key, value) in row.value.as_object().into_iter().flatten() {
        let is_older = key == "prefetch-count" && row.component == shovel::COMPONENT;
        let attribute = if is_older { "src_prefetch_count".to_owned() } else { attribute(key) };
        // Nothing said is a list there, as in all of Erlang.
        let empty = json!({});
        let value =
            if *value == json!([]) && fits(&attribute, &empty) { &empty } else { value };
        if fits(&attribute, value) {
            spec.insert(attribute, value.clone());
        } else if ADDRESSES.contains(&attribute.as_str()) {
            return Err(unknown());
        } else {
            settings.insert(key.clone(), value.clone());
        }
    }
    spec.insert(SETTINGS.to_owned(), json!(settings));
    serde_json::from_value(Json::Object(spec)).map_err(|_| unknown())
}
