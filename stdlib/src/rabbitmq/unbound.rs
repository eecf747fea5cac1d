//! Bindings that go with a queue or an exchange which is made anew, and come back with it.
//!
//! The server removes every binding with either of its ends. Those that are declared, the engine
//! makes again; the others (of applications, by hand, of another stack) are noted right before
//! the end goes and made again right after it is back.
//!
//! A run may be killed in between, and then nothing on the server tells of them any more. So the
//! note is kept there, as a global parameter, from before the removal until all of it is bound
//! again: the next run has it among the definitions that its connection is opened with, and
//! makes the bindings when it makes their end. What cannot be helped: when no script declares
//! that end any more by then, the parameter stays, and tells what there was.

use std::collections::{BTreeMap, BTreeSet};

use dollop_engine::error::{CallError, Failure};
use dollop_engine::resource::{Beside, Preview, Proposed, Resource as _};
use dollop_engine::value::Value;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;

use super::binding::{self, Binding, End, Spec};
use super::definitions::Definitions;
use super::held::is_locked;
use super::item::{Item, Place};
use super::server::Server;
use crate::text::count;

/// How the names of the global parameters begin.
pub(super) const PREFIX: &str = "dollop-bindings.";

/// A queue or an exchange: what it is, its vhost, its name.
type At = (End, String, String);

/// What is bound to ends that are being made anew; of some of them nothing.
#[derive(Default)]
pub(super) struct Notes(Mutex<BTreeMap<At, Vec<Spec>>>);

#[derive(Serialize, Deserialize)]
struct Note {
    at: At,
    bindings: Vec<Spec>,
}

impl Notes {
    /// What runs that were killed have left.
    pub(super) fn of(definitions: &Definitions) -> Result<Self, CallError> {
        #[derive(Deserialize)]
        struct Row {
            name: String,
            value: serde_json::Value,
        }
        let rows: Vec<Row> = definitions.rows("global_parameters")?;
        let notes = rows.into_iter().filter(|row| row.name.starts_with(PREFIX));
        let notes = notes.filter_map(|row| {
            let note: Note = serde_json::from_str(row.value.as_str()?).ok()?;
            Some((note.at, note.bindings))
        });
        Ok(Self(Mutex::new(notes.collect())))
    }
}

/// Removes a queue or exchange that is made anew, and notes what was bound to it. Nothing is
/// bound again in between, or what another end has got back would go with this one.
pub(super) async fn make_room(
    server: &Server,
    what: &str,
    end: End,
    place: &Place,
    removal: impl Future<Output = Result<(), CallError>> + Send,
) -> Result<(), CallError> {
    let at = at(end, place);
    let mut notes = server.unbound.0.lock().await;
    let bound = bound(server, what, &at).await?;
    // Of an earlier run that was killed before it removed anything.
    let is_old = notes.get(&at).is_some_and(|bound| !bound.is_empty());
    let is_kept = !bound.is_empty();
    if is_kept {
        keep(server, what, &at, &bound).await?;
    } else if is_old {
        drop_kept(server, what, &at).await?;
    }
    // Also when there is nothing: it will be back, so what hangs on it can wait for it.
    notes.insert(at.clone(), bound);
    let removed = removal.await;
    if removed.as_ref().is_err_and(|error| error.failure == Failure::Refused) {
        // It stays, with all that is bound to it; that it does is what has to be told.
        notes.remove(&at);
        if is_kept {
            drop(drop_kept(server, what, &at).await);
        }
    }
    removed
}

/// Forgets what was bound to something that goes for good.
pub(super) async fn forget(
    server: &Server,
    what: &str,
    end: End,
    place: &Place,
) -> Result<(), CallError> {
    let at = at(end, place);
    match server.unbound.0.lock().await.remove(&at) {
        Some(bound) if !bound.is_empty() => drop_kept(server, what, &at).await,
        _ => Ok(()),
    }
}

/// Forgets one binding that goes for good.
pub(super) async fn forget_one(
    server: &Server,
    what: &str,
    gone: &Spec,
) -> Result<(), CallError> {
    let mut notes = server.unbound.0.lock().await;
    for (at, bound) in notes.iter_mut() {
        let before = bound.len();
        bound.retain(|spec| binding::identity(spec) != binding::identity(gone));
        if bound.len() < before {
            keep(server, what, at, bound).await?;
        }
    }
    Ok(())
}

/// Binds again what was bound to a queue or exchange that is back.
pub(super) async fn restore(
    server: &Server,
    what: &str,
    end: End,
    place: &Place,
) -> Result<(), CallError> {
    let at = at(end, place);
    let mut notes = server.unbound.0.lock().await;
    let Some(bound) = notes.get(&at).cloned() else { return Ok(()) };
    for spec in &bound {
        let Err(error) = binding::bind(server, spec).await else { continue };
        if is_locked(&error) {
            // It leads to what is a client's alone, which only that can bind again.
            continue;
        }
        if !is_missing(&error) {
            return Err(error.note("nothing that is declared, but it was there before").hint(
                format!(
                    "bind it otherwise and remove the global parameter `{}`, which tells what is \
                     still to be bound",
                    parameter(&at)
                ),
            ));
        }
        // The other end is made anew as well, or has gone for good.
        let other = ends(spec).into_iter().find(|other| *other != at);
        if let Some(other) = other
            && let Some(waiting) = notes.get_mut(&other)
        {
            waiting.push(spec.clone());
            keep(server, what, &other, waiting).await?;
        }
    }
    if !bound.is_empty() {
        drop_kept(server, what, &at).await?;
    }
    notes.remove(&at);
    Ok(())
}

/// Adds to what a plan says of queues or exchanges: which bindings come back with those that
/// are made anew.
pub(super) async fn preview<I: Item>(
    server: &Server,
    end: End,
    proposed: &[Proposed<I::Spec>],
    beside: &Beside,
    previews: &mut [Preview],
) -> Result<(), CallError> {
    if !proposed.iter().any(|one| one.anew) {
        return Ok(());
    }
    let unlisted = Unlisted::of(server, beside).await?;
    for (one, preview) in proposed.iter().zip(previews).filter(|(one, _)| one.anew) {
        let name = one.id.as_deref().unwrap_or(&one.name.natural);
        preview.notes.extend(unlisted.note(end, &I::place(name, &one.to)));
    }
    Ok(())
}

/// How many bindings come back with each queue and exchange beside those that the plan lists.
struct Unlisted(BTreeMap<At, u64>);

impl Unlisted {
    async fn of(server: &Server, beside: &Beside) -> Result<Self, CallError> {
        let proposed = beside.proposed.iter();
        let specs = proposed.flat_map(|one| {
            [Some((&one.name, &one.to)), one.from.as_ref().map(|from| (&one.name, from))]
        });
        let gone = beside.gone.iter().map(|one| Some((&one.name, &one.spec)));
        let listed = specs.chain(gone).flatten();
        let listed = listed.filter(|(name, _)| name.address.kind() == Binding::KIND);
        let listed: BTreeSet<String> = listed.filter_map(|(_, spec)| identity(spec)).collect();
        let mut found = BTreeMap::new();
        for row in server.definitions().await?.rows::<binding::Row>("bindings")? {
            let spec = row.into_spec();
            if !spec.source.is_empty() && !listed.contains(&binding::identity(&spec)) {
                for end in BTreeSet::from(ends(&spec)) {
                    *found.entry(end).or_default() += 1;
                }
            }
        }
        Ok(Self(found))
    }

    /// What there is to say of a queue or an exchange.
    fn note(&self, end: End, place: &Place) -> Option<String> {
        let many = self.0.get(&at(end, place)).copied()?;
        let (what, are) = (count(many, "binding"), if many == 1 { "is" } else { "are" });
        Some(format!("{what} that this plan does not list {are} made again with it"))
    }
}

/// A declared binding as its identity; `None` when something of it is not known.
fn identity(spec: &Value) -> Option<String> {
    let mut spec = spec.to_json();
    spec.as_object_mut()?.remove("name");
    Some(binding::identity(&Spec::deserialize(spec).ok()?))
}

fn at(end: End, (vhost, name): &Place) -> At {
    (end, vhost.clone(), name.clone())
}

/// Both ends of a binding.
fn ends(spec: &Spec) -> [At; 2] {
    let at = |end: End, name: &str| (end, spec.vhost.clone(), name.to_owned());
    [at(End::Exchange, &spec.source), at(spec.destination_type, &spec.destination)]
}

/// What is bound to it, at either side; the default exchange binds every queue by itself.
async fn bound(server: &Server, what: &str, at: &At) -> Result<Vec<Spec>, CallError> {
    let (end, vhost, name) = at;
    let paths: &[&[&str]] = match end {
        End::Queue => &[&["queues", vhost, name, "bindings"]],
        End::Exchange => &[
            &["exchanges", vhost, name, "bindings", "source"],
            &["exchanges", vhost, name, "bindings", "destination"],
        ],
    };
    let mut found = BTreeMap::new();
    for path in paths {
        let rows: Option<Vec<binding::Row>> = server.api.get_at(what, path).await?;
        let specs = rows.unwrap_or_default().into_iter().map(binding::Row::into_spec);
        let specs = specs.filter(|spec| !spec.source.is_empty());
        found.extend(specs.map(|spec| (binding::identity(&spec), spec)));
    }
    Ok(found.into_values().collect())
}

/// The name of the global parameter: what it is for is in its value.
fn parameter(at: &At) -> String {
    format!("{PREFIX}{}", hex::encode(Sha256::digest(json!(at).to_string())))
}

/// Writes a note down, as text: the server would make an empty map another thing.
async fn keep(server: &Server, what: &str, at: &At, bound: &[Spec]) -> Result<(), CallError> {
    let name = parameter(at);
    let note = json!({ "at": at, "bindings": bound }).to_string();
    let body = json!({ "name": name, "value": note });
    server.api.put(what, &["global-parameters", &name], &body).await
}

async fn drop_kept(server: &Server, what: &str, at: &At) -> Result<(), CallError> {
    server.api.delete(what, &["global-parameters", &parameter(at)]).await
}

/// Whether one of the ends is not there; the server says so otherwise when it has gone, or is
/// coming, at that very moment.
fn is_missing(error: &CallError) -> bool {
    let words = ["NOT_FOUND", ": no queue '", ": no exchange '"];
    error.message.ends_with("Not Found") || words.iter().any(|w| error.message.contains(w))
}
