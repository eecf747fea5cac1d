//! One dollop at a time, and who it is.

use std::fs::{File, TryLockError};
use std::io::{Seek, Write};
use std::time::{Duration, Instant};

use dollop_engine::store::StoreError;
use serde::{Deserialize, Serialize};

use crate::clock;
use crate::files::{Folder, cannot, hinted, private};

/// A reader holds the lock for moments only, so others wait for it.
const PATIENCE_WITH_READERS: Duration = Duration::from_secs(5);
/// The content may be a moment older than the lock, or empty between two readers.
const PATIENCE: Duration = Duration::from_millis(500);
const PAUSE: Duration = Duration::from_millis(10);

/// Who works on a state; others are told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The user.
    pub who: String,
    /// The machine.
    pub host: String,
    /// The process.
    pub pid: u32,
    /// What it runs: `dollop apply`.
    pub command: String,
}

/// What the lock file says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Held {
    #[serde(flatten)]
    pub(crate) holder: Holder,
    pub(crate) since: String,
    /// Whether it only reads, and is gone in a moment.
    reading: bool,
}

/// What became of an attempt to take the lock.
pub(crate) enum Taken {
    /// It is ours until this is dropped.
    Lock(Lock),
    /// Somebody else's; `None` when the file does not say whose.
    Held(Option<Held>),
}

/// The lock, until it is dropped or the process dies.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
}

impl Lock {
    /// For a command that may change state: an error says who holds it.
    pub(crate) fn exclusive(folder: &Folder, holder: &Holder) -> Result<Self, StoreError> {
        match take(folder, holder.clone(), false)? {
            Taken::Lock(lock) => Ok(lock),
            Taken::Held(held) => Err(held_error(held.as_ref())),
        }
    }

    /// For a moment's reading of the store.
    pub(crate) fn reading(folder: &Folder) -> Result<Taken, StoreError> {
        let holder = Holder {
            who: String::new(),
            host: String::new(),
            pid: std::process::id(),
            command: "a reader".to_owned(),
        };
        take(folder, holder, true)
    }
}

/// Empties the file first, so that nobody is told of a holder that has gone.
impl Drop for Lock {
    fn drop(&mut self) {
        let _ = self.file.set_len(0);
        let _ = self.file.unlock();
    }
}

fn take(folder: &Folder, holder: Holder, reading: bool) -> Result<Taken, StoreError> {
    let path = folder.lock();
    let file = private()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(cannot("open", &path))?;
    let start = Instant::now();
    let mut last_reader = start;
    loop {
        match file.try_lock() {
            Ok(()) => break,
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(cannot("lock", &path)(error)),
        }
        let held: Option<Held> =
            std::fs::read(&path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        if held.as_ref().is_some_and(|held| held.reading) {
            last_reader = Instant::now();
        }
        if last_reader.elapsed() >= PATIENCE || start.elapsed() >= PATIENCE_WITH_READERS {
            return Ok(Taken::Held(held.filter(|held| !held.reading)));
        }
        std::thread::sleep(PAUSE);
    }
    let mut lock = Lock { file };
    let held = Held { holder, since: clock::now(), reading };
    let text =
        serde_json::to_vec(&held).map_err(|error| cannot("write", &path)(error.into()))?;
    lock.file
        .set_len(0)
        .and_then(|()| lock.file.rewind())
        .and_then(|()| lock.file.write_all(&text))
        .map_err(cannot("write", &path))?;
    Ok(Taken::Lock(lock))
}

fn held_error(held: Option<&Held>) -> StoreError {
    let Some(Held { holder, since, .. }) = held else {
        return hinted(
            "another dollop is working on this state",
            "wait until it has ended; the lock goes with its process",
        );
    };
    hinted(
        format!(
            "another dollop is working on this state: `{}` by {} on {}, process {}, since {since}",
            holder.command, holder.who, holder.host, holder.pid
        ),
        format!(
            "wait until it has ended, or end process {} on {}; the lock goes with it",
            holder.pid, holder.host
        ),
    )
}
