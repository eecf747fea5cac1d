//! The open run once more, in a plain file beside sled.
//!
//! sled holds the journal; should sled be lost, [`recover`](crate::recover()) finds here what
//! was done since the newest revision. It is written before an append returns but not
//! synced: it outlives the process, and most often the machine. Only its first line is: a
//! reader takes an empty trail as the sign that no run has begun since the newest revision.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};

use dollop_engine::journal::Event;
use dollop_engine::store::{RunInfo, State, StoreError};
use serde::{Deserialize, Serialize};

use crate::files::{Folder, cannot, private, read_if_there};
use crate::upgrade::Kind;
use crate::vault::Vault;

/// One line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Line {
    /// A run began.
    Begin {
        /// The serial it made.
        serial: u64,
        /// Who and what.
        run: RunInfo,
    },
    /// Something happened in it, with its effect.
    Event(Event),
}

/// The file, open for more.
#[derive(Debug)]
pub(crate) struct Trail {
    folder: Folder,
    file: File,
}

impl Trail {
    /// Opens it at its end; the rest of a line that a kill cut off is ended.
    pub(crate) fn open(folder: &Folder) -> Result<Self, StoreError> {
        let path = folder.trail();
        let mut file = private()
            .read(true)
            .append(true)
            .create(true)
            .open(&path)
            .map_err(cannot("open", &path))?;
        let length = file.seek(SeekFrom::End(0)).map_err(cannot("read", &path))?;
        if length > 0 {
            file.write_all(b"\n").map_err(cannot("write", &path))?;
        }
        Ok(Self { folder: folder.clone(), file })
    }

    /// Adds lines.
    pub(crate) fn add(&mut self, vault: &mut Vault, lines: &[Line]) -> Result<(), StoreError> {
        let mut text = Vec::new();
        for line in lines {
            text.extend(vault.encode(line)?);
            text.push(b'\n');
        }
        self.file.write_all(&text).map_err(cannot("write", &self.folder.trail()))
    }

    /// Makes what was added durable.
    pub(crate) fn sync(&self) -> Result<(), StoreError> {
        self.file.sync_data().map_err(cannot("sync", &self.folder.trail()))
    }

    /// Forgets everything: a revision has it now.
    pub(crate) fn clear(&mut self) -> Result<(), StoreError> {
        self.file.set_len(0).map_err(cannot("write", &self.folder.trail()))
    }
}

/// Whether there is a trail with nothing in it: no run has begun since the newest revision.
pub(crate) fn is_empty(folder: &Folder) -> bool {
    std::fs::metadata(folder.trail()).is_ok_and(|file| file.len() == 0)
}

/// Applies the runs of the trail that a state does not know yet; returns the highest serial
/// and how many lines could not be read.
pub(crate) fn replay(
    folder: &Folder,
    vault: &Vault,
    state: &mut State,
) -> Result<(u64, usize), StoreError> {
    let text = read_if_there(&folder.trail())?.unwrap_or_default();
    let known = state.serial;
    let (mut serial, mut unreadable) = (0, 0);
    let mut events = Vec::new();
    for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        match vault.decode(Kind::Trail, line) {
            Ok(Line::Begin { serial: begun, run }) => {
                state.replay(events.drain(..));
                serial = begun;
                state.stack = run.stack;
            }
            Ok(Line::Event(event)) if serial > known => events.push(event),
            Ok(Line::Event(_)) => {}
            Err(error) if error.message.contains("damaged") => unreadable += 1,
            Err(error) => return Err(error),
        }
    }
    state.replay(events);
    Ok((serial, unreadable))
}
