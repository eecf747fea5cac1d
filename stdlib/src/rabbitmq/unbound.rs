//! Bindings that go with a queue or an exchange which is made anew, and come back with it.
//!
//! The server removes every binding with either of its ends, and tells nobody of them any more.
//! So they are noted right before the end goes, those that are declared too, and made again
//! right after it is back.
//!
//! A run may be killed in between. So the note is kept on the server, as a global parameter,
//! from before the removal until all of it is bound again: the next run has it among the
//! definitions that its connection is opened with, and makes the bindings when it makes their
//! end. A note of which everything is bound at that time tells nothing: the removal failed, or
//! all was done. Where the stack has that end, so that nobody else is at it, the note goes with
//! the next write. What cannot be helped: when no script declares that end any more by
//! then, the parameter stays, and tells what there was.
//!
//! An exchange with `auto_delete` goes with the last of its bindings. One that would go so is
//! held meanwhile by a binding to itself, which routes nothing: no message is in an exchange
//! twice.

use std::collections::{BTreeMap, BTreeSet};

use dollop_engine::error::{CallError, Failure};
use dollop_engine::resource::{Beside, Preview, Proposed, Resource as _};
use dollop_engine::value::Value;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};
use tokio::sync::{Mutex, MutexGuard};

use super::binding::{self, Binding, End, Spec};
use super::definitions::Definitions;
use super::exchange::CONSISTENT_HASH;
use super::held::is_locked;
use super::item::{Item, Place};
use super::server::Server;
use crate::text::count;

/// How the names of the global parameters begin.
pub(super) const PREFIX: &str = "dollop-bindings.";

/// The argument by which a binding that holds an exchange is known, and its key.
const HOLD: &str = "dollop-hold";

/// A queue or an exchange: what it is, its vhost, its name.
type At = (End, String, String);

/// The notes of a connection.
#[derive(Default)]
pub(super) struct Notes(Mutex<Noted>);

#[derive(Default)]
struct Noted {
    /// What is bound to ends that are being made anew; of some of them nothing.
    waiting: BTreeMap<At, Unbound>,
    /// Those that were there before and of which everything is bound; whether the stack has the
    /// end.
    settled: BTreeMap<At, bool>,
}

/// What went with one end.
#[derive(Clone, Default)]
struct Unbound {
    bindings: Vec<Spec>,
    /// Bindings that hold exchanges meanwhile.
    holds: Vec<Spec>,
}

/// As it is kept on the server.
#[derive(Serialize, Deserialize)]
struct Note {
    at: At,
    bindings: Vec<Spec>,
    /// Not there in those of earlier versions.
    #[serde(default)]
    holds: Vec<Spec>,
}

impl Unbound {
    fn is_empty(&self) -> bool {
        self.bindings.is_empty() && self.holds.is_empty()
    }

    /// Adds what is not noted yet.
    fn extend(&mut self, more: impl IntoIterator<Item = Spec>) {
        let known: BTreeSet<_> = self.bindings.iter().map(binding::identity).collect();
        let more = more.into_iter();
        self.bindings.extend(more.filter(|spec| !known.contains(&binding::identity(spec))));
    }
}

impl Notes {
    /// What earlier runs have left.
    pub(super) fn of(definitions: &Definitions) -> Result<Self, CallError> {
        #[derive(Deserialize)]
        struct Row {
            name: String,
            value: Json,
        }
        let rows: Vec<Row> = definitions.rows("global_parameters")?;
        let notes = rows.into_iter().filter(|row| row.name.starts_with(PREFIX));
        let notes = notes.filter_map(|row| {
            let Note { at, bindings, holds } =
                serde_json::from_str(row.value.as_str()?).ok()?;
            Some((at, Unbound { bindings, holds }))
        });
        let notes: BTreeMap<At, Unbound> = notes.collect();
        if notes.is_empty() {
            return Ok(Self::default());
        }
        let bound = definitions.rows::<binding::Row>("bindings")?.into_iter();
        let bound: BTreeSet<_> = bound.map(|row| binding::identity(&row.into_spec())).collect();
        let is_bound = |spec: &Spec| bound.contains(&binding::identity(spec));
        let settled = notes.iter().filter(|(_, note)| note.bindings.iter().all(is_bound));
        let settled = settled.map(|(at, _)| (at.clone(), false)).collect();
        Ok(Self(Mutex::new(Noted { waiting: notes, settled })))
    }

    /// Learns of ends that the stack has: no other run makes them anew at this time.
    pub(super) async fn has(&self, end: End, places: &[Place]) {
        let mut noted = self.0.lock().await;
        for place in places {
            if let Some(has) = noted.settled.get_mut(&at(end, place)) {
                *has = true;
            }
        }
    }

    /// The notes, once those of the stack that tell nothing are gone from the server.
    async fn lock(
        &self,
        server: &Server,
        what: &str,
    ) -> Result<MutexGuard<'_, Noted>, CallError> {
        let mut noted = self.0.lock().await;
        let over = noted.settled.extract_if(.., |_, has| *has);
        for (at, _) in over.collect::<Vec<_>>() {
            if let Some(note) = noted.waiting.remove(&at) {
                finish(server, what, &at, &note).await?;
            }
        }
        Ok(noted)
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
    let mut noted = server.unbound.lock(server, what).await?;
    let bound = bound(server, what, &at).await?;
    let holds = holds(server, what, &at, &bound).await?;
    // An earlier run may have been killed after the removal, and somebody made it again since.
    let before = noted.waiting.get(&at).cloned();
    let mut note = before.clone().unwrap_or_default();
    note.extend(bound);
    note.holds.extend(holds.iter().cloned());
    if !note.is_empty() {
        keep(server, what, &at, &note).await?;
    }
    for hold in &holds {
        binding::bind(server, hold).await?;
    }
    // Also when there is nothing: it will be back, so what hangs on it can wait for it.
    noted.waiting.insert(at.clone(), note.clone());
    noted.settled.remove(&at);
    let removed = removal.await;
    let stays = |error: &CallError| matches!(error.failure, Failure::Refused | Failure::Denied);
    if removed.as_ref().is_err_and(stays) {
        // With all that is bound to it; that it does is what has to be told.
        noted.waiting.remove(&at);
        match before.filter(|before| !before.is_empty()) {
            Some(before) => {
                drop(release(server, &holds).await);
                drop(keep(server, what, &at, &before).await);
                noted.waiting.insert(at, before);
            }
            None => drop(finish(server, what, &at, &note).await),
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
    let mut noted = server.unbound.lock(server, what).await?;
    if let Some(note) = noted.waiting.remove(&at) {
        finish(server, what, &at, &note).await?;
    }
    forget_where(server, what, &mut noted, |spec| ends(spec).contains(&at)).await
}

/// Forgets one binding that goes for good.
pub(super) async fn forget_one(
    server: &Server,
    what: &str,
    gone: &Spec,
) -> Result<(), CallError> {
    let gone = binding::identity(gone);
    let mut noted = server.unbound.lock(server, what).await?;
    forget_where(server, what, &mut noted, |spec| binding::identity(spec) == gone).await
}

/// Forgets bindings, whichever end they wait for.
async fn forget_where(
    server: &Server,
    what: &str,
    noted: &mut Noted,
    gone: impl Fn(&Spec) -> bool + Send,
) -> Result<(), CallError> {
    for (at, note) in &mut noted.waiting {
        let before = note.bindings.len();
        note.bindings.retain(|spec| !gone(spec));
        if note.bindings.len() == before {
            continue;
        }
        if note.is_empty() {
            drop_kept(server, what, at).await?;
        } else {
            keep(server, what, at, note).await?;
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
    let mut noted = server.unbound.lock(server, what).await?;
    let Some(note) = noted.waiting.get(&at).cloned() else { return Ok(()) };
    for spec in &note.bindings {
        let Err(error) = binding::bind(server, spec).await else { continue };
        if is_locked(&error) {
            // It leads to what is a client's alone, which only that can bind again.
            continue;
        }
        if !is_missing(&error) {
            return Err(error.note("it was bound so before").hint(format!(
                "bind it otherwise and remove the global parameter `{}`, which tells what is \
                     still to be bound",
                parameter(&at)
            )));
        }
        // The other end is made anew as well, perhaps by a run that was killed since, or has
        // gone for good.
        if let Some(other) = ends(spec).into_iter().find(|other| *other != at) {
            noted.settled.remove(&other);
            let waiting = noted.waiting.entry(other.clone()).or_default();
            waiting.extend([spec.clone()]);
            keep(server, what, &other, waiting).await?;
        }
    }
    finish(server, what, &at, &note).await?;
    noted.waiting.remove(&at);
    Ok(())
}

/// Adds to what a plan says of queues or exchanges: which bindings come back with those that
/// are made anew, and what an earlier run left.
pub(super) async fn preview<I: Item>(
    server: &Server,
    end: End,
    proposed: &[Proposed<I::Spec>],
    beside: &Beside,
    previews: &mut [Preview],
) -> Result<(), CallError> {
    let anew = proposed.iter().any(|one| one.anew);
    let unlisted = if anew { Some(Unlisted::of(server, beside).await?) } else { None };
    let noted = server.unbound.0.lock().await;
    for (one, preview) in proposed.iter().zip(previews) {
        let name = one.id.as_deref().unwrap_or(&one.name.natural);
        let at = at(end, &I::place(name, &one.to));
        let unlisted = unlisted.as_ref().filter(|_| one.anew);
        preview.notes.extend(unlisted.and_then(|unlisted| unlisted.note(&at)));
        let left = noted.waiting.get(&at).filter(|note| !note.bindings.is_empty());
        let left = left.filter(|_| !noted.settled.contains_key(&at));
        preview.notes.extend(left.map(|note| {
            let many = count(note.bindings.len() as u64, "binding");
            format!(
                "of an earlier run that was cut off, {many} come back with it: the global \
                 parameter `{}` says which",
                parameter(&at)
            )
        }));
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
            if is_made(&spec) && !listed.contains(&binding::identity(&spec)) {
                for end in BTreeSet::from(ends(&spec)) {
                    *found.entry(end).or_default() += 1;
                }
            }
        }
        Ok(Self(found))
    }

    /// What there is to say of a queue or an exchange.
    fn note(&self, at: &At) -> Option<String> {
        let many = self.0.get(at).copied()?;
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

/// Whether somebody made a binding: the default exchange binds every queue by itself.
fn is_made(spec: &Spec) -> bool {
    !spec.source.is_empty() && !spec.arguments.contains_key(HOLD)
}

/// What is bound to it, at either side.
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
        let specs = specs.filter(is_made);
        found.extend(specs.map(|spec| (binding::identity(&spec), spec)));
    }
    Ok(found.into_values().collect())
}

/// The bindings that hold the exchanges which would go with their last one when this end goes.
async fn holds(
    server: &Server,
    what: &str,
    at: &At,
    bound: &[Spec],
) -> Result<Vec<Spec>, CallError> {
    #[derive(Deserialize)]
    struct Source {
        auto_delete: bool,
        #[serde(rename = "type")]
        kind: String,
    }
    let leads_here = |spec: &Spec| ends(spec)[1] == *at;
    let sources = bound.iter().filter(|spec| leads_here(spec) && ends(spec)[0] != *at);
    let sources: BTreeSet<_> = sources.map(|spec| &spec.source).collect();
    let (_, vhost, _) = at;
    let mut holds = Vec::new();
    for name in sources {
        let source: Option<Source> =
            server.api.get_at(what, &["exchanges", vhost, name]).await?;
        let Some(source) = source.filter(|source| source.auto_delete) else { continue };
        let path = ["exchanges", vhost, name, "bindings", "source"];
        let rows: Vec<binding::Row> = server.api.get_at(what, &path).await?.unwrap_or_default();
        if !rows.into_iter().all(|row| leads_here(&row.into_spec())) {
            continue;
        }
        holds.push(Spec {
            vhost: vhost.clone(),
            source: name.clone(),
            destination: name.clone(),
            destination_type: End::Exchange,
            // There it is a number.
            routing_key: if source.kind == CONSISTENT_HASH { "1" } else { HOLD }.to_owned(),
            arguments: BTreeMap::from([(HOLD.to_owned(), json!(true))]),
        });
    }
    Ok(holds)
}

/// Lets go of exchanges that were held.
async fn release(server: &Server, holds: &[Spec]) -> Result<(), CallError> {
    for hold in holds {
        binding::unbind(server, hold).await?;
    }
    Ok(())
}

/// The name of the global parameter: what it is for is in its value.
fn parameter(at: &At) -> String {
    format!("{PREFIX}{}", hex::encode(Sha256::digest(json!(at).to_string())))
}

/// Writes a note down, as text: the server would make an empty map another thing.
async fn keep(server: &Server, what: &str, at: &At, note: &Unbound) -> Result<(), CallError> {
    let name = parameter(at);
    let Unbound { bindings, holds } = note.clone();
    let note = json!(Note { at: at.clone(), bindings, holds }).to_string();
    let body = json!({ "name": name, "value": note });
    server.api.put(what, &["global-parameters", &name], &body).await
}

/// Ends a note that has nothing left to tell; what it does not say is not on the server.
async fn finish(server: &Server, what: &str, at: &At, note: &Unbound) -> Result<(), CallError> {
    release(server, &note.holds).await?;
    if note.is_empty() {
        return Ok(());
    }
    drop_kept(server, what, at).await
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
