//! What each call of the store means in the table, the trail and the revisions.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use dollop_engine::journal::{Effect, Event, Status, StepId};
use dollop_engine::store::{Record, RunEnd, RunInfo, State, StoreError};
use dollop_engine::value::Value;
use serde::{Deserialize, Serialize};

use crate::codec::{frame, unframe};
use crate::files::{Folder, failure, hinted};
use crate::revision::{self, Content, Ending, outputs_to_values};
use crate::table::{Space, Table, Writes, damaged};
use crate::trail::{Line, Trail};
use crate::upgrade::Kind;
use crate::vault::Vault;

const HEAD: &[u8] = b"head";
const OUTPUTS: &[u8] = b"outputs";

/// What the store knows of itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Head {
    pub(crate) serial: u64,
    pub(crate) stack: String,
    /// How many records there must be: sled has been seen to lose some.
    pub(crate) records: u64,
    /// The last run that began.
    pub(crate) run: Option<RunInfo>,
    /// The fingerprint of the key that sealed what is here.
    pub(crate) key: Option<String>,
}

/// The store, open.
pub(crate) struct Writer {
    folder: Folder,
    table: Table,
    trail: Trail,
    vault: Vault,
    head: Head,
    next_event: u64,
    /// Appended and not applied yet.
    pending: Writes,
    /// Whether a run was finished since opening.
    finished: bool,
    /// The steps of the run that is open; `None` when none is.
    steps: Option<BTreeMap<StepId, Status>>,
}

impl Writer {
    /// Opens the store, or makes one where there never was one.
    pub(crate) fn open(folder: &Folder, syncs: Arc<AtomicU64>) -> Result<Self, StoreError> {
        crate::recover::finish_compacting(folder)?;
        let revisions = revision::numbers(folder)?;
        let newest = revisions.last().copied().unwrap_or(0);
        if newest > 0 && !folder.store().exists() {
            return Err(damaged("it is missing, though there are revisions"));
        }
        let table = Table::open(&folder.store(), syncs)?;
        let vault = Vault::new(folder)?;
        let head = match table.get(Space::Meta, HEAD)? {
            Some(text) => vault.decode::<Head>(Kind::Head, &text)?,
            None if table.is_empty() && newest == 0 => Head::default(),
            None => return Err(damaged("its head is missing")),
        };
        if head.serial < newest {
            return Err(damaged(&format!(
                "it ends at serial {}, though there is a revision {newest}",
                head.serial
            )));
        }
        vault.expect(head.key.as_deref())?;
        let next_event = match table.last(Space::Journal)? {
            Some(name) => number(&name)? + 1,
            None => 0,
        };
        let trail = Trail::open(folder)?;
        Ok(Self {
            folder: folder.clone(),
            table,
            trail,
            vault,
            head,
            next_event,
            pending: Writes::default(),
            finished: false,
            steps: None,
        })
    }

    /// The state, with the journal taken over.
    pub(crate) fn state(&self) -> Result<State, StoreError> {
        let mut state = State {
            serial: self.head.serial,
            stack: self.head.stack.clone(),
            records: BTreeMap::new(),
            outputs: self.outputs()?,
        };
        for (_, text) in self.table.scan(Space::Records)? {
            let record: Record = self.vault.decode(Kind::Record, &text)?;
            state.records.insert(record.address.clone(), record);
        }
        self.check_count(state.records.len())?;
        state.replay(self.journal()?);
        Ok(state)
    }

    fn outputs(&self) -> Result<BTreeMap<String, Value>, StoreError> {
        Ok(match self.table.get(Space::Meta, OUTPUTS)? {
            Some(text) => outputs_to_values(self.vault.decode(Kind::Outputs, &text)?),
            None => BTreeMap::new(),
        })
    }

    fn journal(&self) -> Result<Vec<Event>, StoreError> {
        let entries = self.table.scan(Space::Journal)?;
        entries.iter().map(|(_, text)| self.vault.decode(Kind::Event, text)).collect()
    }

    fn check_count(&self, found: usize) -> Result<(), StoreError> {
        if self.head.records == found as u64 {
            return Ok(());
        }
        Err(damaged(&format!("it has {found} records of {}", self.head.records)))
    }

    /// Opens a run.
    pub(crate) fn begin(&mut self, run: RunInfo) -> Result<(), StoreError> {
        self.take_over()?;
        self.clear_journal()?;
        self.head.serial += 1;
        self.head.stack.clone_from(&run.stack);
        self.head.run = Some(run.clone());
        // Before sled knows of it, so that readers open sled from here on.
        let line = Line::Begin { serial: self.head.serial, run };
        self.trail.add(&mut self.vault, &[line])?;
        self.trail.sync()?;
        let mut writes = Writes::default();
        self.put_head(&mut writes)?;
        self.table.apply(writes)?;
        self.table.commit()?;
        self.steps = Some(BTreeMap::new());
        Ok(())
    }

    /// Adds one event; the caller commits. A refused event changes nothing.
    pub(crate) fn append(&mut self, event: Event) -> Result<(), Refused> {
        let steps = self.steps.as_mut().ok_or_else(|| Refused::Event(no_run()))?;
        let step = event.step();
        let status = steps.get(&step).copied().unwrap_or(Status::Waiting);
        let next =
            status.next(&event).map_err(|error| Refused::Event(failure(error.to_string())))?;
        steps.insert(step, next);
        self.write(event).map_err(Refused::Store)
    }

    fn write(&mut self, event: Event) -> Result<(), StoreError> {
        let line = Line::Event(event);
        self.trail.add(&mut self.vault, std::slice::from_ref(&line))?;
        let Line::Event(mut event) = line else { return Ok(()) };
        // The effect is in the same batch, so the journal need not repeat it.
        let effect = take_effect(&mut event);
        let effects = effect.parts();
        let touched = effects.iter().any(|effect| {
            let name = name_of(effect);
            self.pending.touches(Space::Records, name.as_bytes())
        });
        if touched {
            self.apply_pending()?;
        }
        let mut writes = std::mem::take(&mut self.pending);
        for effect in effects {
            match effect {
                Effect::Put(record) => self.put_record(&mut writes, &record)?,
                Effect::Remove(address) => {
                    let name = address.to_string();
                    if self.table.remove(&mut writes, Space::Records, name.as_bytes())? {
                        self.head.records = self.head.records.saturating_sub(1);
                    }
                }
                Effect::All(_) | Effect::None => {}
            }
        }
        let text = self.vault.encode(&event)?;
        let number = self.next_event.to_be_bytes();
        self.table.put(&mut writes, Space::Journal, &number, &text)?;
        self.next_event += 1;
        self.pending = writes;
        if self.pending.len >= crate::table::BATCH { self.apply_pending() } else { Ok(()) }
    }

    fn apply_pending(&mut self) -> Result<(), StoreError> {
        let mut writes = std::mem::take(&mut self.pending);
        if writes.len == 0 {
            return Ok(());
        }
        self.put_head(&mut writes)?;
        self.table.apply(writes)
    }

    /// Makes what was appended durable.
    pub(crate) fn commit(&mut self) -> Result<(), StoreError> {
        self.apply_pending()?;
        self.table.commit()
    }

    /// Whether a run is open.
    pub(crate) fn has_run(&self) -> bool {
        self.steps.is_some()
    }

    /// Closes the run and publishes its revision.
    pub(crate) fn finish(&mut self, end: RunEnd) -> Result<(), StoreError> {
        let run = self.head.run.clone().ok_or_else(no_run)?;
        self.take_over()?;
        let mut writes = Writes::default();
        if let Some(outputs) = end.outputs {
            let text = self.vault.encode(&Value::Map(outputs.into()))?;
            self.table.put(&mut writes, Space::Meta, OUTPUTS, &text)?;
        }
        self.put_head(&mut writes)?;
        self.table.apply(writes)?;
        self.table.commit()?;
        let content = self.content()?;
        let ending = Ending { serial: self.head.serial, run, complete: end.complete };
        revision::publish(&self.folder, &self.vault, ending, &content)?;
        self.clear_journal()?;
        self.table.commit()?;
        self.trail.clear()?;
        self.steps = None;
        self.finished = true;
        Ok(())
    }

    /// Closes the store. Only a run that ended well is followed by compaction: a reader must
    /// be quick, and what was interrupted or has failed is left as it is.
    pub(crate) fn close(self) -> Result<(), StoreError> {
        if self.finished && self.steps.is_none() {
            crate::recover::close_and_compact(&self.folder, self.table)
        } else {
            Ok(())
        }
    }

    /// Everything in stored form, without opening a secret.
    fn content(&self) -> Result<Content, StoreError> {
        let outputs = match self.table.get(Space::Meta, OUTPUTS)? {
            Some(text) => unframe(Kind::Outputs, &text)?.into_owned(),
            None => b"{}".to_vec(),
        };
        let mut records = Vec::new();
        for (name, text) in self.table.scan(Space::Records)? {
            let name =
                String::from_utf8(name).map_err(|_| damaged("an address is not text"))?;
            records.push((name, unframe(Kind::Record, &text)?.into_owned()));
        }
        self.check_count(records.len())?;
        Ok(Content { stack: self.head.stack.clone(), outputs, records })
    }

    /// Gives the creates that never ended their interrupted records, as `State::replay` does.
    ///
    /// Applied before the journal is cleared, and doing it twice changes nothing: a kill in
    /// between is made good by the next run.
    fn take_over(&mut self) -> Result<(), StoreError> {
        let mut open = State::default();
        open.replay(self.journal()?);
        let mut writes = Writes::default();
        let records = &open.records;
        for record in records.values() {
            let name = record.address.to_string();
            // What was about to be changed, or to take another's place, counts although
            // there is a record.
            let newer = record.unfinished || records.contains_key(&record.address.deposed());
            if newer || self.table.get(Space::Records, name.as_bytes())?.is_none() {
                self.put_record(&mut writes, record)?;
            }
            if writes.len >= crate::table::BATCH {
                self.put_head(&mut writes)?;
                self.table.apply(std::mem::take(&mut writes))?;
            }
        }
        self.put_head(&mut writes)?;
        self.table.apply(writes)
    }

    /// Oldest first, so that what is left after a kill is a journal still.
    fn clear_journal(&mut self) -> Result<(), StoreError> {
        let mut writes = Writes::default();
        for name in self.table.names(Space::Journal)? {
            self.table.remove(&mut writes, Space::Journal, &name)?;
            self.table.apply_if_many(&mut writes)?;
        }
        self.table.apply(writes)?;
        self.next_event = 0;
        Ok(())
    }

    fn put_record(&mut self, writes: &mut Writes, record: &Record) -> Result<(), StoreError> {
        let name = record.address.to_string();
        let text = self.vault.encode(record)?;
        if self.table.put(writes, Space::Records, name.as_bytes(), &text)? {
            self.head.records += 1;
        }
        Ok(())
    }

    fn put_head(&mut self, writes: &mut Writes) -> Result<(), StoreError> {
        self.head.key = self.vault.fingerprint().map(str::to_owned).or(self.head.key.take());
        let text = self.vault.encode(&self.head)?;
        self.table.put(writes, Space::Meta, HEAD, &text)?;
        Ok(())
    }
}

/// A state in stored form; for `recover`.
pub(crate) fn stored(vault: &mut Vault, state: &State) -> Result<Content, StoreError> {
    let outputs = vault.encode_json(&Value::Map(state.outputs.clone().into()))?;
    let mut records = Vec::with_capacity(state.records.len());
    for record in state.records.values() {
        records.push((record.address.to_string(), vault.encode_json(record)?));
    }
    Ok(Content { stack: state.stack.clone(), outputs, records })
}

/// Fills an empty store; for `recover`.
pub(crate) fn build(
    folder: &Folder,
    path: &Path,
    vault: &mut Vault,
    serial: u64,
    content: &Content,
) -> Result<(), StoreError> {
    let table = Table::open(path, Arc::default())?;
    let mut writes = Writes::default();
    for (name, text) in &content.records {
        table.put(&mut writes, Space::Records, name.as_bytes(), &frame(text))?;
        table.apply_if_many(&mut writes)?;
    }
    table.put(&mut writes, Space::Meta, OUTPUTS, &frame(&content.outputs))?;
    let head = Head {
        serial,
        stack: content.stack.clone(),
        records: content.records.len() as u64,
        run: None,
        key: vault.fingerprint().map(str::to_owned),
    };
    table.put(&mut writes, Space::Meta, HEAD, &vault.encode(&head)?)?;
    table.apply(writes)?;
    table.commit()?;
    drop(table);
    File::open(folder.root())
        .and_then(|root| root.sync_all())
        .map_err(crate::files::cannot("sync folder", folder.root()))
}

/// Why an append did not happen.
pub(crate) enum Refused {
    /// The event makes no sense; the store is fine.
    Event(StoreError),
    /// The store could not; it is not to be written again.
    Store(StoreError),
}

/// The record an effect is about.
fn name_of(effect: &Effect) -> String {
    match effect {
        Effect::Put(record) => record.address.to_string(),
        Effect::Remove(address) => address.to_string(),
        Effect::All(_) | Effect::None => String::new(),
    }
}

fn take_effect(event: &mut Event) -> Effect {
    match event {
        Event::Started { .. } => Effect::None,
        Event::Done { effect, .. } | Event::Failed { effect, .. } => {
            std::mem::replace(effect, Effect::None)
        }
    }
}

fn number(name: &[u8]) -> Result<u64, StoreError> {
    let bytes = name.try_into().map_err(|_| damaged("a journal entry has no number"))?;
    Ok(u64::from_be_bytes(bytes))
}

/// A caller's mistake.
pub(crate) fn no_run() -> StoreError {
    hinted("no run is open in this store", "BUG: `begin` comes before `append` and `finish`")
}
