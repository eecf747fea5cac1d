//! Making a new store: from revisions when the old one is broken, from itself when it has
//! grown out of proportion.
//!
//! What may be damaged is moved aside, never read and never deleted.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dollop_engine::store::{RunInfo, State, StoreError};

use crate::clock;
use crate::files::{Folder, cannot, failure, hinted, rename};
use crate::lock::{Holder, Lock};
use crate::revision::{self, Ending};
use crate::table::Table;
use crate::trail::{self, Trail};
use crate::vault::Vault;
use crate::worker::{Worker, in_store_thread};
use crate::writer::{build, stored};

/// Below this size a store is never rebuilt.
const SMALL: u64 = 4 * 1024 * 1024;
/// How many times what is in it a store's file may be; a fresh one is about twice.
const BLOAT: u64 = 3;

/// What `recover` did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recovered {
    /// The serial of the state now.
    pub serial: u64,
    /// The revision it was made from; `None` when there was none or the store was sound.
    pub revision: Option<u64>,
    /// Where the broken store is kept.
    pub broken: Option<PathBuf>,
    /// Sentences for the user.
    pub notes: Vec<String>,
}

/// Rebuilds a damaged store from the newest revision that is whole, and the trail of the
/// run that was open, and leaves a revision of what it is then. A store that is sound is left
/// alone.
pub fn recover(folder: &Path, holder: &Holder) -> Result<Recovered, StoreError> {
    let folder = Folder::new(folder);
    if !folder.root().exists() {
        return Err(failure(format!("there is no state in `{}`", folder.root().display())));
    }
    let _lock = Lock::exclusive(&folder, holder)?;
    let cause = match Worker::start(&folder).and_then(|worker| worker.state()) {
        Ok(state) => {
            let notes = vec!["the store is sound; nothing was changed".to_owned()];
            return Ok(Recovered { serial: state.serial, notes, ..Recovered::default() });
        }
        Err(error) if is_damage(&error) => error,
        Err(error) => return Err(error),
    };
    let mut vault = Vault::new(&folder)?;
    let mut notes = vec![cause.message];
    let found = revision::newest_good(&folder, &mut notes)?;
    let newest = revision::numbers(&folder)?.last().copied().unwrap_or(0);
    let (from, mut state) = match found {
        Some((header, body)) => {
            (Some(header.serial), revision::to_state(&vault, &header, body, &mut |_| {})?)
        }
        None => (None, State::default()),
    };
    let (begun, unreadable) = trail::replay(&folder, &vault, &mut state)?;
    if from.is_none() && newest > 0 {
        return Err(hinted(
            "no revision is whole, so there is nothing to rebuild the store from",
            format!(
                "put back a copy of `{}`, or move `{}` away to begin anew and adopt what exists",
                folder.revisions().display(),
                folder.root().display()
            ),
        ));
    }
    let from_revision = from.map_or_else(
        || "no revision exists: the state begins empty".to_owned(),
        |serial| format!("the state is that of revision {serial}"),
    );
    notes.push(from_revision);
    let complete = begun <= from.unwrap_or(0);
    if !complete {
        notes.push(format!(
            "steps of run {begun}, which never ended, were taken from its trail"
        ));
    }
    if unreadable > 0 {
        notes.push(format!("{unreadable} lines of the trail could not be read"));
    }
    // Above every serial that a saved plan may name.
    state.serial = newest.max(begun).max(state.serial) + 1;
    let serial = state.serial;

    let fresh = folder.root().join("store.new");
    remove_folder(&fresh)?;
    let (target, files) = (fresh.clone(), folder.clone());
    let content = stored(&mut vault, &state)?;
    let (vault, content) = in_store_thread(move || {
        build(&files, &target, &mut vault, serial, &content)?;
        Ok((vault, content))
    })?;
    // Readers believe the newest revision, so it is there before the store is.
    let run = RunInfo {
        stack: state.stack,
        command: "state recover".to_owned(),
        plan: String::new(),
        who: format!("{}@{}", holder.who, holder.host),
        when: clock::now(),
    };
    revision::publish(&folder, &vault, Ending { serial, run, complete }, &content)?;
    let broken = if folder.store().exists() {
        let aside = free_name(&folder);
        rename(&folder.store(), &aside)?;
        Some(aside)
    } else {
        None
    };
    rename(&fresh, &folder.store())?;
    Trail::open(&folder)?.clear()?;
    Ok(Recovered { serial, revision: from, broken, notes })
}

/// Whether an error says that the store is beyond use.
fn is_damage(error: &StoreError) -> bool {
    error.hints.iter().any(|hint| hint.contains("dollop state recover"))
}

fn free_name(folder: &Folder) -> PathBuf {
    let mut number = 1;
    loop {
        let name = folder.root().join(format!("store.broken-{number}"));
        if !name.exists() {
            return name;
        }
        number += 1;
    }
}

fn remove_folder(path: &Path) -> Result<(), StoreError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(cannot("remove", path)(error))
        }
        _ => Ok(()),
    }
}

fn old_name(folder: &Folder) -> PathBuf {
    folder.root().join("store.old")
}

/// Closes a store, and puts a copy in its place if its file is out of proportion.
pub(crate) fn close_and_compact(folder: &Folder, table: Table) -> Result<(), StoreError> {
    if table.length()? <= SMALL {
        return Ok(());
    }
    let (length, live) = table.sizes()?;
    if length / BLOAT <= live { Ok(()) } else { rebuild(folder, table) }
}

fn rebuild(folder: &Folder, table: Table) -> Result<(), StoreError> {
    let fresh = folder.root().join("store.new");
    remove_folder(&fresh)?;
    let copy = Table::open(&fresh, Arc::default())?;
    table.copy_to(&copy)?;
    drop(copy);
    drop(table);
    rename(&folder.store(), &old_name(folder))?;
    rename(&fresh, &folder.store())?;
    remove_folder(&old_name(folder))
}

/// A kill while compacting may have left no `store`, or an old one beside it.
pub(crate) fn finish_compacting(folder: &Folder) -> Result<(), StoreError> {
    let old = old_name(folder);
    if !old.exists() {
        return Ok(());
    }
    if folder.store().exists() { remove_folder(&old) } else { rename(&old, &folder.store()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{Space, Writes};

    #[test]
    fn compacting_keeps_everything_wherever_it_is_killed() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = Folder::new(temporary.path());
        let table = Table::open(&folder.store(), Arc::default()).unwrap();
        for round in 0..50_u8 {
            let mut writes = Writes::default();
            for slot in 0..200_u32 {
                let value = vec![round; 2000];
                table.put(&mut writes, Space::Records, &slot.to_be_bytes(), &value).unwrap();
            }
            table.apply(writes).unwrap();
        }
        table.commit().unwrap();
        let content = table.scan(Space::Records).unwrap();
        let (before, live) = table.sizes().unwrap();

        rebuild(&folder, table).unwrap();
        let table = Table::open(&folder.store(), Arc::default()).unwrap();
        assert_eq!(table.scan(Space::Records).unwrap(), content);
        let (after, same) = table.sizes().unwrap();
        assert_eq!(live, same);
        assert!(after < before, "{after} < {before}");
        drop(table);

        // Killed between the two renames.
        fs::rename(folder.store(), old_name(&folder)).unwrap();
        finish_compacting(&folder).unwrap();
        // Killed before the old one was removed.
        fs::create_dir(old_name(&folder)).unwrap();
        finish_compacting(&folder).unwrap();
        assert!(!old_name(&folder).exists());
        let table = Table::open(&folder.store(), Arc::default()).unwrap();
        assert_eq!(table.scan(Space::Records).unwrap(), content);
    }
}
