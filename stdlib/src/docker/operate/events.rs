//! What happened to the objects of a stack, as its engine tells.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, SystemTime};

use bollard::models::EventMessage;
use bollard::query_parameters::EventsOptionsBuilder;
use dollop_engine::address::Address;
use dollop_engine::error::CallError;
use dollop_engine::operate::{Object, Occurrence};
use futures::stream::{BoxStream, StreamExt as _};

use super::super::engine::Engine;
use super::super::labels;

/// What is told about an event beside its name, when the engine says it.
const DETAILS: [(&str, &str); 4] = [
    ("exitCode", "exit code "),
    ("signal", "signal "),
    ("oldName", "was "),
    ("container", "container "),
];

/// The events of the stack's objects: by the marks they carry, or by their ids.
pub(super) fn events<'a>(
    engine: &'a Engine,
    objects: &'a [Object],
    since: SystemTime,
    until: Option<SystemTime>,
) -> BoxStream<'a, Result<Occurrence, CallError>> {
    let mut options = EventsOptionsBuilder::new().since(&seconds(since));
    if let Some(until) = until {
        options = options.until(&seconds(until));
    }
    let ids: HashMap<&str, &Address> = objects
        .iter()
        .filter_map(|object| Some((object.id.as_deref()?, &object.name.address)))
        .collect();
    let stack = engine.scope.stack.as_str();
    let told = engine.docker.events(Some(options.build()));
    let told = told.filter_map(move |event| {
        let found = match event {
            Ok(event) => occurrence(event, stack, &ids).map(Ok),
            Err(error) => Some(Err(engine.failed("listening to the engine", &error))),
        };
        futures::future::ready(found)
    });
    told.boxed()
}

fn occurrence(
    event: EventMessage,
    stack: &str,
    ids: &HashMap<&str, &Address>,
) -> Option<Occurrence> {
    let action = event.action?;
    // Health checks and dollop itself run commands and read files all the time.
    if action.starts_with("exec_") || matches!(action.as_str(), "top" | "archive-path") {
        return None;
    }
    let actor = event.actor.unwrap_or_default();
    let attributes: BTreeMap<_, _> = actor.attributes.unwrap_or_default().into_iter().collect();
    let ours = attributes.get(labels::STACK).is_some_and(|name| name == stack);
    let marked = attributes.get(labels::ADDRESS).filter(|_| ours);
    let address = match marked.and_then(|address| address.parse().ok()) {
        Some(address) => address,
        None => (*ids.get(actor.id.as_deref()?)?).clone(),
    };
    let details = DETAILS.iter().filter_map(|(key, words)| {
        let value = attributes.get(*key)?;
        let value = if *key == "container" { value.get(..12).unwrap_or(value) } else { value };
        Some(format!("{words}{value}"))
    });
    let (what, health) = action.split_once(": ").unwrap_or((&action, ""));
    let mut detail: Vec<_> = details.collect();
    if !health.is_empty() {
        detail.insert(0, health.to_owned());
    }
    let nanos = u64::try_from(event.time_nano.unwrap_or(0)).unwrap_or(0);
    Some(Occurrence {
        when: SystemTime::UNIX_EPOCH + Duration::from_nanos(nanos),
        address,
        what: what.replace('_', " "),
        detail: detail.join(", "),
    })
}

/// Seconds since 1970 with nanoseconds, as the engine takes them.
fn seconds(when: SystemTime) -> String {
    let since = when.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    format!("{}.{:09}", since.as_secs(), since.subsec_nanos())
}
