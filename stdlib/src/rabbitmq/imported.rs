//! A file of definitions, imported (<https://www.rabbitmq.com/docs/definitions>).

use std::collections::BTreeMap;

use dollop_engine::error::CallError;
use dollop_engine::resource::{
    Created, Found, Name, Naming, Owner, Preview, Problem, Proposed, ReadResult, Resource,
    Traits, Wanted,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};

use super::item::NoFacts;
use super::server::Server;
use super::user::tags;

/// Definitions as `rabbitmqctl export_definitions` and `dollop export rabbitmq-definitions`
/// write them: everything in them is made, or made so. What they do not name stays as it is,
/// and what was imported stays when they are no longer declared.
/// Example: `mq.definitions("base", #{ content: file("definitions.json") })`.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The JSON text. It may hold passwords and their hashes, so it is never shown.
    #[schemars(extend("x-secret" = true))]
    content: String,
    /// The vhost they are for, when they were exported from one: then nothing in them names
    /// a vhost.
    #[serde(default)]
    #[schemars(extend("x-replace" = true, "x-handle" = "rabbitmq::vhost"))]
    vhost: Option<String>,
}

/// The kind `rabbitmq::definitions`.
pub struct Imported;

/// The sections that are compared, each with what tells its rows apart.
const SECTIONS: [(&str, &[&str]); 10] = [
    ("users", &["name"]),
    ("vhosts", &["name"]),
    ("permissions", &["user", "vhost"]),
    ("topic_permissions", &["user", "vhost", "exchange"]),
    ("parameters", &["vhost", "component", "name"]),
    ("global_parameters", &["name"]),
    ("policies", &["vhost", "name"]),
    ("queues", &["vhost", "name"]),
    ("exchanges", &["vhost", "name"]),
    (
        "bindings",
        &["vhost", "source", "destination", "destination_type", "routing_key", "arguments"],
    ),
];

/// What every server has and names differently.
const OWN_GLOBAL: &str = "internal_cluster_id";

type Sections = BTreeMap<&'static str, BTreeMap<String, Json>>;

/// The rows of a document by section and by what tells them apart.
fn sections(document: &Map<String, Json>, vhost: Option<&str>) -> Sections {
    let mut found = Sections::new();
    for (section, keys) in SECTIONS {
        let rows = document.get(section).and_then(Json::as_array).into_iter().flatten();
        for row in rows {
            let mut row = row.clone();
            if let (Some(vhost), Json::Object(entries)) = (vhost, &mut row)
                && keys.contains(&"vhost")
            {
                entries.insert("vhost".to_owned(), json!(vhost));
            }
            if section == "global_parameters" && row["name"] == OWN_GLOBAL {
                continue;
            }
            let key: Vec<&Json> = keys.iter().map(|key| &row[*key]).collect();
            let key = json!(key).to_string();
            found.entry(section).or_default().insert(key, row);
        }
    }
    found
}

/// Whether a row says nothing that the server does not say.
fn agrees(wanted: &Json, is: &Json) -> bool {
    let (Json::Object(wanted), Json::Object(is)) = (wanted, is) else { return wanted == is };
    wanted.iter().all(|(key, value)| match is.get(key) {
        // Text with commas, or a list of the same.
        Some(now) if key == "tags" => sorted(tags(value)) == sorted(tags(now)),
        Some(now) => value == now,
        None => value.is_null() || *value == json!({}) || *value == json!([]),
    })
}

fn sorted(mut tags: Vec<String>) -> Vec<String> {
    tags.sort();
    tags
}

fn parse(content: &str) -> Result<Map<String, Json>, serde_json::Error> {
    serde_json::from_str(content)
}

/// What of a file is on the server, and how much of each section is not.
struct Compared {
    there: Sections,
    missing: Vec<(&'static str, usize)>,
}

fn compare(spec: &Spec, is: &Sections) -> Result<Compared, CallError> {
    let wanted = parse(&spec.content).map_err(|_| CallError::refused(NO_JSON))?;
    let mut compared = Compared { there: Sections::new(), missing: Vec::new() };
    for (section, rows) in sections(&wanted, spec.vhost.as_deref()) {
        let known = is.get(section);
        let mut lacks = 0;
        for (key, row) in rows {
            if known.and_then(|known| known.get(&key)).is_some_and(|is| agrees(&row, is)) {
                compared.there.entry(section).or_default().insert(key, row);
            } else {
                lacks += 1;
            }
        }
        if lacks > 0 {
            compared.missing.push((section, lacks));
        }
    }
    Ok(compared)
}

/// Everything on the server.
async fn on(server: &Server) -> Result<Sections, CallError> {
    Ok(sections(server.definitions().await?.document(), None))
}

const NO_JSON: &str = "these are no definitions: they are no JSON object";

impl Resource for Imported {
    const KIND: &'static str = "rabbitmq::definitions";
    type Connection = Server;
    type Spec = Spec;
    type Facts = NoFacts;

    fn traits() -> Traits {
        Traits { naming: Naming::Label, ..Traits::default() }
    }

    /// Layout is no difference.
    fn normalize(spec: &mut Spec) {
        if let Ok(document) = parse(&spec.content) {
            spec.content = Json::Object(document).to_string();
        }
    }

    fn check(spec: &Spec) -> Vec<Problem> {
        let problem = |message: &str, hint: &str| Problem::new("content", message).hint(hint);
        match parse(&spec.content) {
            Err(_) => {
                vec![problem(NO_JSON, "give the text of the file: `file(\"defs.json\")`")]
            }
            Ok(document) if SECTIONS.iter().all(|(name, _)| !document.contains_key(*name)) => {
                let hint = "they have sections such as `queues`, `users` and `policies`";
                vec![problem("the definitions define nothing", hint)]
            }
            Ok(_) => Vec::new(),
        }
    }

    const PREVIEWS: bool = true;

    async fn preview(
        server: &Server,
        proposed: &[Proposed<Spec>],
    ) -> Result<Vec<Preview>, CallError> {
        let is = on(server).await?;
        let preview = |one: &Proposed<Spec>| {
            let missing = compare(&one.to, &is)?.missing.into_iter();
            let missing: Vec<_> =
                missing.map(|(section, many)| format!("{many} of `{section}`")).collect();
            let notes = match missing.as_slice() {
                [] => Vec::new(),
                missing => vec![format!("makes, or makes so: {}", missing.join(", "))],
            };
            Ok(Preview { notes, ..Preview::default() })
        };
        proposed.iter().map(preview).collect()
    }

    /// One that was never imported is there when nothing in it is missing.
    async fn read(server: &Server, wanted: &[Wanted<Spec>]) -> Vec<ReadResult<Self>> {
        let is = match on(server).await {
            Ok(is) => is,
            Err(error) => return wanted.iter().map(|_| Err(error.clone())).collect(),
        };
        let look = |wanted: &Wanted<Spec>| {
            let Compared { there, missing } = compare(&wanted.spec, &is)?;
            if missing.is_empty() {
                return Ok(Some(found(wanted, wanted.spec.clone())));
            }
            if wanted.id.is_none() {
                return Ok(None);
            }
            let rows = there
                .into_iter()
                .map(|(section, rows)| (section.to_owned(), rows.into_values().collect()));
            let content = Json::Object(rows.collect()).to_string();
            Ok(Some(found(wanted, Spec { content, vhost: wanted.spec.vhost.clone() })))
        };
        wanted.iter().map(look).collect()
    }

    async fn create(
        server: &Server,
        name: &Name,
        spec: Spec,
    ) -> Result<Created<NoFacts>, CallError> {
        import(server, &spec).await?;
        Ok(Created { id: name.address.name().to_owned(), facts: NoFacts {} })
    }

    async fn update(
        server: &Server,
        _: &Name,
        _: &str,
        _: Spec,
        to: Spec,
    ) -> Result<NoFacts, CallError> {
        import(server, &to).await?;
        Ok(NoFacts {})
    }

    /// Nobody knows any more what was there before.
    async fn delete(_: &Server, _: &Name, _: &str, _: Spec) -> Result<(), CallError> {
        Ok(())
    }
}

fn found(wanted: &Wanted<Spec>, spec: Spec) -> Found<Spec, NoFacts> {
    let name = wanted.name.address.name().to_owned();
    Found { id: name.clone(), natural: name, spec, facts: NoFacts {}, owner: Owner::Ours }
}

async fn import(server: &Server, spec: &Spec) -> Result<(), CallError> {
    let document = parse(&spec.content).map_err(|_| CallError::refused(NO_JSON))?;
    let mut path = vec!["definitions"];
    path.extend(spec.vhost.as_deref());
    server.api.post("import the definitions", &path, &Json::Object(document)).await
}
