//! sled, as far as it is trusted: atomic batches of small values, and a sync of our own.
//!
//! What its source (0.34.7) says and this file answers to:
//!
//! - `flush` ends in `sync_file_range`, which is not durable: [`Table::commit`] syncs `db`.
//! - A page above 128 KiB goes to a file of its own that is never synced. A leaf holds some
//!   16 entries, so values are cut into pieces of [`PIECE`] bytes and pages stay below.
//! - A `snap.*.generating` left by a kill while opening is taken for a snapshot at the next
//!   open, which then fails (spacejam/sled#1527): [`Table::open`] removes it.
//! - Segments are cleaned by the background flusher only, which is off: the file is replaced
//!   when a store that ran is closed ([`crate::recover::close_and_compact`]).
//! - The file lock outlives a dropped database for a moment: [`Table::open`] tries again.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use dollop_engine::store::StoreError;

use crate::files::{cannot, failure, hinted, sync_folder};

const CACHE: u64 = 16 * 1024 * 1024;
const PIECE: usize = 4 * 1024;
/// Entries in one atomic batch when there is much to write.
pub(crate) const BATCH: usize = 500;
const PATIENCE: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(10);

/// What an entry belongs to; the first byte of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Space {
    /// The head and the outputs.
    Meta = b'm',
    /// Address to record.
    Records = b'r',
    /// Number to event.
    Journal = b'j',
}

/// A name and its value.
pub(crate) type Entry = (Vec<u8>, Vec<u8>);

/// Writes that happen together or not at all.
#[derive(Debug, Default)]
pub(crate) struct Writes {
    batch: sled::Batch,
    /// How many entries, pieces counted.
    pub(crate) len: usize,
    names: BTreeSet<Vec<u8>>,
}

impl Writes {
    /// Whether a name is in it. It must not be put or removed again before the writes are
    /// applied: how many pieces there are to replace is read from the table.
    pub(crate) fn touches(&self, space: Space, name: &[u8]) -> bool {
        self.names.contains(&key(space, name, 0))
    }

    fn touch(&mut self, space: Space, name: &[u8]) {
        let new = self.names.insert(key(space, name, 0));
        assert!(new, "BUG: a name is written twice in one batch");
    }
}

/// The open database.
pub(crate) struct Table {
    db: sled::Db,
    file: File,
    path: PathBuf,
    syncs: Arc<AtomicU64>,
}

/// The store says things that cannot be.
pub(crate) fn damaged(what: &str) -> StoreError {
    hinted(
        format!("the state store is damaged: {what}"),
        "run `dollop state recover`: it rebuilds the store from the newest good revision and \
         keeps the broken one aside",
    )
}

fn explain(error: &sled::Error) -> StoreError {
    use std::io::ErrorKind::{
        PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull,
    };
    match error {
        sled::Error::Io(cause)
            if matches!(
                cause.kind(),
                PermissionDenied | StorageFull | ReadOnlyFilesystem | QuotaExceeded
            ) =>
        {
            failure(format!("cannot use the state store: {cause}"))
        }
        other => damaged(&other.to_string()),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the form `map_err` wants")]
fn wrong(error: sled::Error) -> StoreError {
    explain(&error)
}

impl Table {
    /// Opens the database, or makes an empty one.
    pub(crate) fn open(path: &Path, syncs: Arc<AtomicU64>) -> Result<Self, StoreError> {
        remove_half_snapshots(path)?;
        let start = Instant::now();
        let db = loop {
            let opened = sled::Config::new()
                .path(path)
                .cache_capacity(CACHE)
                .flush_every_ms(None)
                .open();
            match opened {
                Ok(db) => break db,
                Err(error) if is_locked(&error) => {
                    if start.elapsed() >= PATIENCE {
                        return Err(hinted(
                            format!("another process has `{}` open", path.display()),
                            "end it; the state folder is for dollop alone",
                        ));
                    }
                    std::thread::sleep(PAUSE);
                }
                Err(error) => return Err(explain(&error)),
            }
        };
        // sled syncs neither its settings nor the names of its files.
        sync_file(&path.join("conf"))?;
        let data = path.join("db");
        let file = File::options().write(true).open(&data).map_err(cannot("open", &data))?;
        let table = Self { db, file, path: path.to_path_buf(), syncs };
        table.commit()?;
        sync_folder(path)?;
        if let Some(parent) = path.parent() {
            sync_folder(parent)?;
        }
        Ok(table)
    }

    /// The value of a name.
    pub(crate) fn get(&self, space: Space, name: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(first) = self.db.get(key(space, name, 0)).map_err(wrong)? else {
            return Ok(None);
        };
        let pieces = pieces_of(&first)?;
        let mut value = first[2..].to_vec();
        for index in 1..pieces {
            let piece = self.db.get(key(space, name, index)).map_err(wrong)?;
            value.extend_from_slice(&piece.ok_or_else(piece_missing)?);
        }
        Ok(Some(value))
    }

    /// Adds a value to the writes; says whether the name is new.
    pub(crate) fn put(
        &self,
        writes: &mut Writes,
        space: Space,
        name: &[u8],
        value: &[u8],
    ) -> Result<bool, StoreError> {
        let pieces = u16::try_from(value.len().div_ceil(PIECE).max(1)).map_err(|_| {
            failure(format!("a value of {} bytes is too large for the state", value.len()))
        })?;
        let before = self.pieces(space, name)?;
        for index in 0..pieces {
            let start = usize::from(index) * PIECE;
            let piece = &value[start..value.len().min(start + PIECE)];
            let stored = match index {
                0 => [&pieces.to_be_bytes(), piece].concat(),
                _ => piece.to_vec(),
            };
            writes.batch.insert(key(space, name, index), stored);
        }
        for index in pieces..before {
            writes.batch.remove(key(space, name, index));
        }
        writes.len += usize::from(pieces.max(before));
        writes.touch(space, name);
        Ok(before == 0)
    }

    /// Adds a removal to the writes; says whether there was something.
    pub(crate) fn remove(
        &self,
        writes: &mut Writes,
        space: Space,
        name: &[u8],
    ) -> Result<bool, StoreError> {
        let before = self.pieces(space, name)?;
        for index in 0..before {
            writes.batch.remove(key(space, name, index));
        }
        writes.len += usize::from(before);
        writes.touch(space, name);
        Ok(before > 0)
    }

    fn pieces(&self, space: Space, name: &[u8]) -> Result<u16, StoreError> {
        match self.db.get(key(space, name, 0)).map_err(wrong)? {
            Some(first) => pieces_of(&first),
            None => Ok(0),
        }
    }

    /// Every name of a space with its value, in the order of names.
    pub(crate) fn scan(&self, space: Space) -> Result<Vec<Entry>, StoreError> {
        let mut found: Vec<Entry> = Vec::new();
        // Name and number of the pieces still to come.
        let mut expected: Option<(u16, u16)> = None;
        for entry in self.db.scan_prefix([space as u8]) {
            let (key, value) = entry.map_err(wrong)?;
            let (name, index) = split_key(&key).ok_or_else(piece_missing)?;
            if index == 0 {
                if expected.is_some() {
                    return Err(piece_missing());
                }
                let pieces = pieces_of(&value)?;
                found.push((name.to_vec(), value[2..].to_vec()));
                expected = (pieces > 1).then_some((1, pieces));
            } else {
                let fits = expected.filter(|(next, _)| *next == index);
                let last = found.last_mut().filter(|(last, _)| last == name);
                let (Some((next, pieces)), Some((_, whole))) = (fits, last) else {
                    return Err(piece_missing());
                };
                whole.extend_from_slice(&value);
                expected = (next + 1 < pieces).then_some((next + 1, pieces));
            }
        }
        if expected.is_some() { Err(piece_missing()) } else { Ok(found) }
    }

    /// The names of a space, in order.
    pub(crate) fn names(&self, space: Space) -> Result<Vec<Vec<u8>>, StoreError> {
        let mut names = Vec::new();
        for key in self.db.scan_prefix([space as u8]).keys() {
            let key = key.map_err(wrong)?;
            if let Some((name, 0)) = split_key(&key) {
                names.push(name.to_vec());
            }
        }
        Ok(names)
    }

    /// The last name of a space.
    pub(crate) fn last(&self, space: Space) -> Result<Option<Vec<u8>>, StoreError> {
        match self.db.scan_prefix([space as u8]).keys().next_back() {
            Some(key) => Ok(split_key(&key.map_err(wrong)?).map(|(name, _)| name.to_vec())),
            None => Ok(None),
        }
    }

    /// Whether there is nothing at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.db.is_empty()
    }

    /// Does the writes, atomically; not durable before [`Table::commit`].
    pub(crate) fn apply(&self, writes: Writes) -> Result<(), StoreError> {
        self.db.apply_batch(writes.batch).map_err(wrong)
    }

    /// Does the writes once they are many, and starts anew.
    pub(crate) fn apply_if_many(&self, writes: &mut Writes) -> Result<(), StoreError> {
        if writes.len >= BATCH { self.apply(std::mem::take(writes)) } else { Ok(()) }
    }

    /// Makes everything applied so far durable.
    pub(crate) fn commit(&self) -> Result<(), StoreError> {
        self.db.flush().map_err(wrong)?;
        self.file.sync_data().map_err(cannot("sync", &self.path.join("db")))?;
        self.syncs.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Bytes of the file.
    pub(crate) fn length(&self) -> Result<u64, StoreError> {
        Ok(self.file.metadata().map_err(cannot("read", &self.path))?.len())
    }

    /// Bytes of the file, and bytes of what is in it.
    pub(crate) fn sizes(&self) -> Result<(u64, u64), StoreError> {
        let length = self.length()?;
        let mut live = 0;
        for entry in self.db.iter() {
            let (key, value) = entry.map_err(wrong)?;
            live += (key.len() + value.len()) as u64;
        }
        Ok((length, live))
    }

    /// Copies everything into an empty table and makes it durable there.
    pub(crate) fn copy_to(&self, other: &Self) -> Result<(), StoreError> {
        let mut writes = Writes::default();
        for entry in self.db.iter() {
            let (key, value) = entry.map_err(wrong)?;
            writes.batch.insert(key, value);
            writes.len += 1;
            other.apply_if_many(&mut writes)?;
        }
        other.apply(writes)?;
        other.commit()
    }
}

fn key(space: Space, name: &[u8], index: u16) -> Vec<u8> {
    let mut key = Vec::with_capacity(name.len() + 4);
    key.push(space as u8);
    key.extend_from_slice(name);
    key.push(0);
    key.extend_from_slice(&index.to_be_bytes());
    key
}

fn split_key(key: &[u8]) -> Option<(&[u8], u16)> {
    let (name, tail) = key.get(1..)?.split_last_chunk::<3>()?;
    Some((name, u16::from_be_bytes([tail[1], tail[2]])))
}

fn pieces_of(first: &[u8]) -> Result<u16, StoreError> {
    first.first_chunk::<2>().map(|bytes| u16::from_be_bytes(*bytes)).ok_or_else(piece_missing)
}

fn piece_missing() -> StoreError {
    damaged("a piece of an entry is missing")
}

fn is_locked(error: &sled::Error) -> bool {
    matches!(error, sled::Error::Io(cause) if cause.to_string().contains("could not acquire lock"))
}

fn sync_file(path: &Path) -> Result<(), StoreError> {
    File::options()
        .write(true)
        .open(path)
        .and_then(|file| file.sync_all())
        .map_err(cannot("sync", path))
}

fn remove_half_snapshots(path: &Path) -> Result<(), StoreError> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(cannot("read folder", path)(error)),
    };
    for entry in entries {
        let entry = entry.map_err(cannot("read folder", path))?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            fs::remove_file(entry.path()).map_err(cannot("remove", &entry.path()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(path: &Path) -> Table {
        Table::open(path, Arc::default()).unwrap()
    }

    #[test]
    fn large_values_come_back_whole_and_never_as_blobs() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        let table = open(&path);
        let sizes = [0, 1, PIECE - 1, PIECE, PIECE + 1, 40_000, 300_000, 7, 12_000, 0];
        for round in 0..sizes.len() {
            for slot in 0..sizes.len() {
                let size = sizes[(round + slot) % sizes.len()];
                let value: Vec<u8> = (0..=250).cycle().take(size).collect();
                let mut writes = Writes::default();
                let name = format!("n{slot}");
                let new =
                    table.put(&mut writes, Space::Records, name.as_bytes(), &value).unwrap();
                assert_eq!(new, round == 0);
                table.apply(writes).unwrap();
                let got = table.get(Space::Records, name.as_bytes()).unwrap();
                assert_eq!(got.as_deref(), Some(&*value));
            }
            assert_eq!(table.scan(Space::Records).unwrap().len(), sizes.len());
            assert_eq!(table.names(Space::Records).unwrap().len(), sizes.len());
        }
        table.commit().unwrap();
        let before = table.scan(Space::Records).unwrap();
        drop(table);
        let table = open(&path);
        assert_eq!(table.scan(Space::Records).unwrap(), before);
        assert_eq!(fs::read_dir(path.join("blobs")).unwrap().count(), 0);

        let mut writes = Writes::default();
        for (name, _) in &before {
            assert!(table.remove(&mut writes, Space::Records, name).unwrap());
        }
        table.apply(writes).unwrap();
        assert!(table.is_empty());
    }

    #[test]
    fn a_half_written_snapshot_does_not_stop_the_next_open() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        let table = open(&path);
        let mut writes = Writes::default();
        table.put(&mut writes, Space::Meta, b"a", b"1").unwrap();
        table.apply(writes).unwrap();
        table.commit().unwrap();
        drop(table);
        fs::write(path.join("snap.00000000000FFFFF.generating"), b"half").unwrap();
        assert_eq!(open(&path).get(Space::Meta, b"a").unwrap().unwrap(), b"1");
    }
}
