//! What a policy will be for: the queues and exchanges whose names its pattern matches, and
//! which of several policies counts for each.

use std::collections::{BTreeMap, BTreeSet};

use dollop_engine::error::CallError;
use dollop_engine::resource::Preview;
use serde::Deserialize;

use super::pattern::matcher;
use super::policy::{ApplyTo, Spec};
use super::server::Server;

/// How many names a note shows.
const SHOWN: usize = 5;

/// A queue or an exchange.
#[derive(Deserialize)]
struct Object {
    vhost: String,
    name: String,
    #[serde(skip)]
    is_exchange: bool,
}

/// A policy that is, or is to be.
pub(super) struct Candidate {
    pub(super) name: String,
    pub(super) spec: Spec,
}

impl Candidate {
    /// Whether it is for objects of that sort. Which queues are quorum queues is not
    /// looked at: the names say enough here.
    fn is_for(&self, object: &Object) -> bool {
        match self.spec.apply_to {
            ApplyTo::All => true,
            ApplyTo::Exchanges => object.is_exchange,
            _ => !object.is_exchange,
        }
    }
}

/// What each of the proposed policies matches. `known` are all policies of the server.
pub(super) async fn previews(
    server: &Server,
    proposed: Vec<Candidate>,
    known: Vec<Candidate>,
) -> Result<Vec<Preview>, CallError> {
    let definitions = server.definitions().await?;
    let mut objects: BTreeMap<String, Vec<Object>> = BTreeMap::new();
    for (section, is_exchange) in [("queues", false), ("exchanges", true)] {
        for object in definitions.rows::<Object>(section)? {
            let object = Object { is_exchange, ..object };
            objects.entry(object.vhost.clone()).or_default().push(object);
        }
    }
    let anew: BTreeSet<(&str, &str)> =
        proposed.iter().map(|one| (one.spec.vhost.as_str(), one.name.as_str())).collect();
    let mut rivals: BTreeMap<&str, Vec<&Candidate>> = BTreeMap::new();
    let unchanged = known
        .iter()
        .filter(|one| !anew.contains(&(one.spec.vhost.as_str(), one.name.as_str())));
    for one in unchanged.chain(&proposed) {
        rivals.entry(&one.spec.vhost).or_default().push(one);
    }
    let none = Vec::new();
    let preview = |one: &Candidate| {
        let objects = objects.get(&one.spec.vhost).unwrap_or(&none);
        let rivals = rivals.get(one.spec.vhost.as_str()).map_or(&[][..], Vec::as_slice);
        Preview { notes: notes(one, objects, rivals), ..Preview::default() }
    };
    Ok(proposed.iter().map(preview).collect())
}

fn notes(one: &Candidate, objects: &[Object], rivals: &[&Candidate]) -> Vec<String> {
    let Some(matches) = matcher(&one.spec.pattern) else { return Vec::new() };
    let hits: Vec<&Object> =
        objects.iter().filter(|object| one.is_for(object) && matches(&object.name)).collect();
    if hits.is_empty() {
        // In a vhost that is only being made there is nothing to say.
        let empty = objects.is_empty();
        let note = "matches no queue and no exchange that exists".to_owned();
        return if empty { Vec::new() } else { vec![note] };
    }
    let mut notes = Vec::new();
    for (is_exchange, what) in [(false, "queue"), (true, "exchange")] {
        let names: Vec<&str> = hits
            .iter()
            .filter(|object| object.is_exchange == is_exchange)
            .map(|object| object.name.as_str())
            .collect();
        if !names.is_empty() {
            let many = names.len();
            let plural = if many == 1 { "" } else { "s" };
            notes.push(format!(
                "matches {many} {what}{plural} that exist{}: {}",
                if many == 1 { "s" } else { "" },
                list(&names)
            ));
        }
    }
    for rival in rivals.iter().filter(|rival| rival.name != one.name) {
        let Some(rivals) = matcher(&rival.spec.pattern) else { continue };
        let both: Vec<&str> = hits
            .iter()
            .filter(|object| rival.is_for(object) && rivals(&object.name))
            .map(|object| object.name.as_str())
            .collect();
        if both.is_empty() {
            continue;
        }
        let (name, theirs, ours) = (&rival.name, rival.spec.priority, one.spec.priority);
        let names = list(&both);
        notes.push(match theirs.cmp(&ours) {
            std::cmp::Ordering::Greater => {
                format!("policy `{name}` counts instead, by priority {theirs}, for {names}")
            }
            std::cmp::Ordering::Less => {
                format!("counts instead of policy `{name}`, by priority {ours}, for {names}")
            }
            std::cmp::Ordering::Equal => format!(
                "policy `{name}` has the same priority: RabbitMQ chooses one of both for {names}"
            ),
        });
    }
    notes
}

/// `` `a`, `b` and 3 more ``.
fn list(names: &[&str]) -> String {
    let shown: Vec<_> = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
    match names.len() - shown.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
