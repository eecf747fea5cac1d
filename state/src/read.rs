//! Looking at state without changing it.

use std::path::Path;

use dollop_engine::store::{Record, State, StoreError};

use crate::files::Folder;
use crate::lock::{Lock, Taken};
use crate::revision::{self, RevisionHeader};
use crate::trail;
use crate::vault::Vault;
use crate::worker::Worker;

/// A state, and what the reader should know about it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// The state.
    pub state: State,
    /// Sentences for the user: that it is not the newest, and why.
    pub notes: Vec<String>,
    /// Whether another dollop is changing it right now.
    pub changing: bool,
}

/// The revisions there are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// Oldest first.
    pub revisions: Vec<RevisionHeader>,
    /// One sentence for each that is damaged.
    pub notes: Vec<String>,
}

/// The newest revision that is whole, without lock and without sled; `None` when there is
/// none.
pub fn open_latest(folder: &Path) -> Result<Option<Snapshot>, StoreError> {
    let folder = Folder::new(folder);
    let mut notes = Vec::new();
    let found = revision::newest_good(&folder, &mut notes)?;
    let Some((header, body)) = found else {
        return Ok((!notes.is_empty()).then(|| Snapshot { notes, ..Snapshot::default() }));
    };
    if !notes.is_empty() {
        notes.push(format!("showing revision {} instead", header.serial));
    }
    let state = revision::to_state(&Vault::new(&folder)?, &header, body, &mut |_| {})?;
    Ok(Some(Snapshot { state, notes, changing: false }))
}

/// The state as it is; while another dollop works on it, as it was before.
///
/// Makes nothing: without a folder the state is empty. After a run that ended, the revision of
/// that run is read and sled is not opened, which costs several times as much.
pub fn read_state(folder: &Path) -> Result<Snapshot, StoreError> {
    read_state_telling(folder, &mut |_| {})
}

/// The same, and tells of connections as soon as they are known, where that is before the rest;
/// the state has these as well.
pub fn read_state_telling(
    folder: &Path,
    tell: &mut dyn FnMut(&Record),
) -> Result<Snapshot, StoreError> {
    let files = Folder::new(folder);
    if !files.store().exists() && revision::numbers(&files)?.is_empty() {
        return Ok(Snapshot::default());
    }
    match Lock::reading(&files)? {
        Taken::Lock(lock) => {
            let state = match settled(&files, tell)? {
                Some(state) => state,
                None => Worker::start(&files)?.state()?,
            };
            drop(lock);
            Ok(Snapshot { state, ..Snapshot::default() })
        }
        Taken::Held(held) => {
            let mut snapshot = open_latest(folder)?.unwrap_or_default();
            snapshot.changing = true;
            let who = held.map_or_else(
                || "another dollop is running".to_owned(),
                |held| {
                    format!(
                        "`{}` by {} on {} is running since {}",
                        held.holder.command, held.holder.who, held.holder.host, held.since
                    )
                },
            );
            snapshot.notes.insert(0, format!("{who}; showing the state before it"));
            Ok(snapshot)
        }
    }
}

/// The newest revision, when it is what the store has: nothing has begun since the run that
/// left it. What is amiss with this is for the store to tell; what is amiss with the store, the
/// next run that opens it tells.
fn settled(files: &Folder, tell: &mut dyn FnMut(&Record)) -> Result<Option<State>, StoreError> {
    if !files.store().exists() || !trail::is_empty(files) {
        return Ok(None);
    }
    let Some(newest) = revision::numbers(files)?.pop() else { return Ok(None) };
    let Ok((header, body)) = revision::read(files, newest) else { return Ok(None) };
    Ok(revision::to_state(&Vault::new(files)?, &header, body, tell).ok())
}

/// All revisions; their states are not read.
pub fn history(folder: &Path) -> Result<History, StoreError> {
    let folder = Folder::new(folder);
    let mut history = History::default();
    for serial in revision::numbers(&folder)? {
        match revision::read_header(&folder, serial) {
            Ok(header) => history.revisions.push(header),
            Err(error) => history.notes.push(error.message),
        }
    }
    Ok(history)
}

/// One revision and the state in it.
pub fn read_revision(
    folder: &Path,
    serial: u64,
) -> Result<(RevisionHeader, State), StoreError> {
    let folder = Folder::new(folder);
    let (header, body) = revision::read(&folder, serial)?;
    let state = revision::to_state(&Vault::new(&folder)?, &header, body, &mut |_| {})?;
    Ok((header, state))
}
