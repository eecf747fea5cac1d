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

use super::definitions::whole;
use super::item::NoFacts;
use super::parameter::INTERNAL;
use super::queue_rules::TYPE;
use super::sections::{SECTIONS, Section, plain};
use super::server::Server;
use super::user::is_password;
use super::versions::is_from;
use super::vhost::CHANGES_TYPE;

/// Definitions as `rabbitmqctl export_definitions` and `dollop export rabbitmq-definitions`
/// write them: everything in them is made, or made so. Queues and exchanges that exist with
/// other properties cannot be made so, and a plan refuses to import them. What the definitions
/// do not name stays as it is, and what was imported stays when they are no longer declared.
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

type Sections = BTreeMap<&'static str, BTreeMap<String, Json>>;

/// The rows of a document by section and by what tells them apart.
fn sections(document: &Map<String, Json>, vhost: Option<&str>) -> Sections {
    let mut found = Sections::new();
    for Section { name: section, keys, .. } in &SECTIONS {
        let rows = document.get(*section).and_then(Json::as_array).into_iter().flatten();
        for row in rows {
            let mut row = row.clone();
            if let (Some(vhost), Json::Object(entries)) = (vhost, &mut row)
                && keys.contains(&"vhost")
            {
                entries.insert("vhost".to_owned(), json!(vhost));
            }
            if *section == "global_parameters" && is_own_global(&row) {
                continue;
            }
            let mut key: Vec<Json> = keys.iter().map(|key| row[*key].clone()).collect();
            if *section == "bindings" {
                key.push(plain(&row["arguments"]));
            }
            found.entry(section).or_default().insert(json!(key).to_string(), row);
        }
    }
    found
}

fn is_own_global(row: &Json) -> bool {
    row["name"].as_str().is_some_and(|name| name.starts_with(INTERNAL))
}

/// Whether a row says nothing that the server does not say.
fn agrees(section: &str, wanted: &Json, is: &Json) -> bool {
    let section = SECTIONS.iter().find(|known| known.name == section);
    let agrees = section.is_none_or(|section| section.differs(wanted, is).is_empty());
    agrees && (section.is_none_or(|section| section.name != "users") || logs_in(wanted, is))
}

/// Whether a user logs in as wanted, and as often: the server has a hash for a password.
fn logs_in(wanted: &Json, is: &Json) -> bool {
    let same = |key: &str| {
        wanted
            .get(key)
            .is_none_or(|value| plain(value) == plain(is.get(key).unwrap_or(&Json::Null)))
    };
    let by_password = match wanted.get("password").and_then(Json::as_str) {
        Some(password) => is_password(&is["password_hash"], &is["hashing_algorithm"], password),
        None => same("password_hash") && same("hashing_algorithm"),
    };
    by_password && same("limits")
}

fn parse(content: &str) -> Result<Map<String, Json>, serde_json::Error> {
    serde_json::from_str(content)
}

/// What of a file is on the server, and how much of each section is not.
struct Compared {
    there: Sections,
    missing: Vec<(&'static str, usize)>,
    /// What is there otherwise, and stays so: an import leaves it as it is.
    fixed: Vec<Fixed>,
}

/// What an import does not change.
struct Fixed {
    /// ``queue `q` in vhost `v` ``.
    what: String,
    /// The properties that differ.
    differs: Vec<&'static str>,
}

/// What of a row that is there an import leaves as it is: queues and exchanges as a whole, and
/// before 3.11.17 the default queue type of a vhost.
fn fixed(version: &str, section: &str, wanted: &Json, is: &Json) -> Option<Fixed> {
    let section = SECTIONS.iter().find(|known| known.name == section)?;
    let (vhost, name) = (&wanted["vhost"], &wanted["name"]);
    let (vhost, name) = (vhost.as_str().unwrap_or("/"), name.as_str().unwrap_or_default());
    let what = match section.name {
        "queues" => format!("queue `{name}` in vhost `{vhost}`"),
        "exchanges" => format!("exchange `{name}` in vhost `{vhost}`"),
        "vhosts" if !is_from(version, CHANGES_TYPE) => format!("vhost `{name}`"),
        _ => return None,
    };
    let mut differs = section.differs(wanted, is);
    differs.retain(|property| section.name != "vhosts" || *property == "default_queue_type");
    (!differs.is_empty()).then_some(Fixed { what, differs })
}

fn compare(version: &str, spec: &Spec, is: &Sections) -> Result<Compared, CallError> {
    let wanted = parse(&spec.content).map_err(|_| CallError::refused(NO_JSON))?;
    let mut compared =
        Compared { there: Sections::new(), missing: Vec::new(), fixed: Vec::new() };
    for (section, rows) in sections(&wanted, spec.vhost.as_deref()) {
        let known = is.get(section);
        let mut lacks = 0;
        for (key, row) in rows {
            let is = known.and_then(|known| known.get(&key));
            if is.is_some_and(|is| agrees(section, &row, is)) {
                compared.there.entry(section).or_default().insert(key, row);
                continue;
            }
            lacks += 1;
            compared.fixed.extend(is.and_then(|is| fixed(version, section, &row, is)));
        }
        if lacks > 0 {
            compared.missing.push((section, lacks));
        }
    }
    Ok(compared)
}

/// Everything on the server.
async fn on(server: &Server) -> Result<Sections, CallError> {
    Ok(sections(&whole(server).await?, None))
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
            Ok(document)
                if SECTIONS.iter().all(|section| !document.contains_key(section.name)) =>
            {
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
            let Compared { missing, fixed, .. } = compare(&server.version, &one.to, &is)?;
            let missing = missing.into_iter();
            let missing: Vec<_> =
                missing.map(|(section, many)| format!("{many} of `{section}`")).collect();
            let problems = stays(fixed).into_iter().collect();
            let notes = match missing.as_slice() {
                [] => Vec::new(),
                missing => vec![format!("makes, or makes so: {}", missing.join(", "))],
            };
            Ok(Preview { notes, problems, ..Preview::default() })
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
            let Compared { there, missing, .. } = compare(&server.version, &wanted.spec, &is)?;
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

/// Of how many it is said by name that they stay as they are.
const NAMED: usize = 10;

/// That an import would leave things as they are, again and again.
fn stays(fixed: Vec<Fixed>) -> Option<Problem> {
    let many = fixed.len();
    let named = fixed.into_iter().take(NAMED);
    let named = named.map(|Fixed { what, differs }| {
        let differs: Vec<_> = differs.iter().map(|name| format!("`{name}`")).collect();
        format!("{what} ({})", differs.join(", "))
    });
    let mut named: Vec<_> = named.collect();
    if many > NAMED {
        named.push(format!("{} more", many - NAMED));
    }
    (many > 0).then(|| {
        let message = format!(
            "what exists with other properties stays as it is when definitions are imported: {}",
            named.join(", ")
        );
        Problem::new("content", message).hint(
            "say in the file what is there, take it out of the file, or delete it on the server, \
             where what it holds is lost",
        )
    })
}

async fn import(server: &Server, spec: &Spec) -> Result<(), CallError> {
    let mut document = parse(&spec.content).map_err(|_| CallError::refused(NO_JSON))?;
    let queues = document.get_mut("queues").and_then(Json::as_array_mut);
    queues.into_iter().flatten().for_each(type_as_argument);
    let mut path = vec!["definitions"];
    path.extend(spec.vhost.as_deref());
    server.api.post("import the definitions", &path, &Json::Object(document)).await
}

/// Servers look for the type of a queue among its arguments only.
fn type_as_argument(queue: &mut Json) {
    let Some(queue_type) = queue.get("type").filter(|word| *word != "classic").cloned() else {
        return;
    };
    let Some(entries) = queue.as_object_mut() else { return };
    let arguments = entries.entry("arguments").or_insert_with(|| json!({}));
    if let Some(arguments) = arguments.as_object_mut() {
        arguments.entry(TYPE).or_insert(queue_type);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The API and `rabbitmqctl` do not say the same, and neither does one version as another.
    #[test]
    fn a_row_agrees_with_what_is_said_otherwise() {
        let is =
            json!({ "name": "q", "durable": true, "arguments": { "x-queue-type": "quorum" } });
        let by_tool =
            json!({ "name": "q", "type": "quorum", "durable": true, "auto_delete": false });
        assert!(agrees("queues", &by_tool, &is));
        let plain = json!({ "name": "q", "durable": true, "arguments": {} });
        assert!(!agrees("queues", &by_tool, &plain));
        assert!(agrees("queues", &json!({ "name": "q", "type": "classic" }), &plain));
        // From 4.3.3 on nothing is said of exchanges that are not internal.
        assert!(agrees("exchanges", &json!({ "internal": false }), &json!({})));
        assert!(!agrees("exchanges", &json!({ "internal": true }), &json!({})));
        let vhost = json!({ "name": "v", "limits": [], "metadata": { "description": "d" } });
        assert!(agrees("vhosts", &vhost, &json!({ "description": "d", "tags": ["a"] })));
        assert!(!agrees("vhosts", &vhost, &json!({ "description": "e" })));
    }

    #[test]
    fn a_password_agrees_with_its_hash() {
        // The example of <https://www.rabbitmq.com/docs/passwords#computing-password-hash>.
        let is = json!({
            "password_hash": "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR",
            "hashing_algorithm": "rabbit_password_hashing_sha256", "tags": ["b", "a"],
        });
        let user = |password: &str| json!({ "password": password, "tags": "a,b" });
        assert!(agrees("users", &user("test12"), &is));
        assert!(!agrees("users", &user("test13"), &is));
        assert!(!agrees("users", &json!({ "password_hash": "x" }), &is));
        assert!(!agrees("users", &json!({ "tags": [] }), &is));
    }

    #[test]
    fn the_type_of_a_queue_is_an_argument() {
        let mut queue = json!({ "name": "q", "type": "stream" });
        type_as_argument(&mut queue);
        assert_eq!(queue["arguments"], json!({ "x-queue-type": "stream" }));
        let mut classic = json!({ "name": "q", "type": "classic", "arguments": {} });
        type_as_argument(&mut classic);
        assert_eq!(classic["arguments"], json!({}));
    }
}
