//! What dollop remembers between runs, and the door to where it is kept.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::address::Address;
use crate::expr::Expr;
use crate::journal::{Effect, Event, Status, StepId};
use crate::program::Lifecycle;
use crate::value::Value;

/// One object or connection as dollop last knew it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "marks that stand beside each other")]
pub struct Record {
    /// Its name in the stack.
    pub address: Address,
    /// The connection it was made through; `None` for a connection.
    pub connection: Option<Address>,
    /// How the service identifies it; empty for a connection and for an interrupted create.
    pub id: String,
    /// What was last written, in normal form, secrets marked.
    pub spec: Value,
    /// What the service last reported.
    pub facts: Value,
    /// What it needed: deletes go the other way round, and the script may be gone by then.
    pub dependencies: Vec<Address>,
    /// How it is treated; guards even when its script is gone.
    #[serde(deserialize_with = "Lifecycle::read_shared")]
    pub lifecycle: Arc<Lifecycle>,
    /// Whether its making was interrupted: it may or may not exist, and not be whole.
    pub interrupted: bool,
    /// Whether a change of it was interrupted: it exists, and may not be whole.
    #[serde(default, skip_serializing_if = "is_false")]
    pub unfinished: bool,
    /// Whether it was a failure that left it so, and no run that was cut off.
    #[serde(default, skip_serializing_if = "is_false")]
    pub failed: bool,
    /// The names that changes which were interrupted may have given it, where its service
    /// knows it by its name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub renaming: Vec<String>,
    /// Whether a person said that it is broken, so that the next plan makes it anew.
    #[serde(default, skip_serializing_if = "is_false")]
    pub tainted: bool,
    /// Set while somebody has it stopped on purpose, with `dollop stop`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<Stopped>,
    /// For a connection: its arguments as declared, references and all, so that it is still
    /// found after its container was restarted and its script is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arguments: Option<Expr>,
}

impl Record {
    /// One of which nothing but the address is known.
    pub fn of(address: Address) -> Self {
        Self {
            address,
            connection: None,
            id: String::new(),
            spec: Value::Null,
            facts: Value::Null,
            dependencies: Vec::new(),
            lifecycle: Lifecycle::plain(),
            interrupted: false,
            unfinished: false,
            failed: false,
            renaming: Vec::new(),
            tainted: false,
            stopped: None,
            arguments: None,
        }
    }
}

/// Who stopped something on purpose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stopped {
    /// `user@host`.
    pub who: String,
    /// When, in RFC 3339 UTC.
    pub when: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
fn is_false(value: &bool) -> bool {
    !value
}

impl Record {
    /// What the world calls it, where it has such a name.
    pub fn natural(&self) -> &str {
        self.spec.get("name").and_then(Value::as_str).unwrap_or_else(|| self.address.name())
    }
}

/// Everything dollop remembers of a stack.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Grows with every run that may change something. A saved plan names the one it was
    /// made from.
    pub serial: u64,
    /// The stack's name; empty before the first run.
    pub stack: String,
    /// Objects and connections.
    pub records: BTreeMap<Address, Record>,
    /// Outputs of the last run that finished.
    pub outputs: BTreeMap<String, Value>,
}

impl State {
    /// Applies what a step changed.
    pub fn apply(&mut self, effect: Effect) {
        match effect {
            Effect::Put(record) => {
                self.records.insert(record.address.clone(), *record);
            }
            Effect::Remove(address) => {
                self.records.remove(&address);
            }
            Effect::All(effects) => effects.into_iter().for_each(|effect| self.apply(effect)),
            Effect::None => {}
        }
    }

    /// Takes over the journal of a run that never ended: a create that was started and has
    /// no end leaves an interrupted record, to be looked for in the world.
    pub fn replay(&mut self, events: impl IntoIterator<Item = Event>) {
        let mut open: BTreeMap<StepId, (Record, Option<Box<Record>>)> = BTreeMap::new();
        for event in events {
            match event {
                Event::Started { step, intent, deposed, .. } => {
                    if let Some(intent) = intent {
                        open.insert(step, (*intent, deposed));
                    }
                }
                Event::Done { step, effect } | Event::Failed { step, effect, .. } => {
                    open.remove(&step);
                    self.apply(effect);
                }
            }
        }
        for (record, deposed) in open.into_values() {
            // An update says what it was about to change; a create only what may be there,
            // and what stands beside it if it is.
            let takes_place = deposed.is_some();
            if let Some(deposed) = deposed {
                self.records.insert(deposed.address.clone(), *deposed);
            }
            if record.unfinished || takes_place {
                self.records.insert(record.address.clone(), record);
            } else {
                self.records.entry(record.address.clone()).or_insert(record);
            }
        }
    }
}

/// Who runs what; kept with the journal and the revision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunInfo {
    /// The stack's name.
    pub stack: String,
    /// `apply` or `destroy`.
    pub command: String,
    /// SHA-256 of the plan, in hex.
    pub plan: String,
    /// `user@host`.
    pub who: String,
    /// Start, in RFC 3339 UTC.
    pub when: String,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunEnd {
    /// Whether every step was done.
    pub complete: bool,
    /// Outputs, when they were resolved; `None` keeps the old ones.
    pub outputs: Option<BTreeMap<String, Value>>,
}

/// What the store could not do.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct StoreError {
    /// What happened, in words.
    pub message: String,
    /// What to do about it.
    pub hints: Vec<String>,
}

/// Where state is kept. Exclusive: one process holds it at a time.
#[async_trait]
pub trait Store: Send + Sync {
    /// The state, with the journal of an interrupted run already taken over.
    fn state(&self) -> Result<State, StoreError>;

    /// Opens a run: the serial grows, the journal starts anew. Durable on return.
    async fn begin(&self, run: RunInfo) -> Result<(), StoreError>;

    /// Adds an event and what it changes. **Durable on return**: correctness after a crash
    /// depends on it.
    async fn append(&self, event: Event) -> Result<(), StoreError>;

    /// Closes the run and publishes its revision. Durable on return.
    async fn finish(&self, end: RunEnd) -> Result<(), StoreError>;
}

/// A store in memory, for tests and for plans that keep nothing.
#[derive(Debug, Default)]
pub struct MemoryStore {
    inner: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    state: State,
    journal: Vec<Event>,
    status: BTreeMap<StepId, Status>,
}

impl MemoryStore {
    /// A store that starts with a state.
    pub fn with(state: State) -> Self {
        Self { inner: Mutex::new(Memory { state, ..Memory::default() }) }
    }

    /// Every event of the open run, for tests.
    pub fn journal(&self) -> Vec<Event> {
        self.lock().journal.clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Memory> {
        self.inner.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[async_trait]
impl Store for MemoryStore {
    fn state(&self) -> Result<State, StoreError> {
        let memory = self.lock();
        let mut state = memory.state.clone();
        state.replay(memory.journal.clone());
        Ok(state)
    }

    async fn begin(&self, run: RunInfo) -> Result<(), StoreError> {
        let mut memory = self.lock();
        let journal = std::mem::take(&mut memory.journal);
        memory.state.replay(journal);
        memory.state.serial += 1;
        memory.state.stack = run.stack;
        memory.status.clear();
        Ok(())
    }

    async fn append(&self, event: Event) -> Result<(), StoreError> {
        let mut memory = self.lock();
        let status = memory.status.get(&event.step()).copied().unwrap_or(Status::Waiting);
        let next = status
            .next(&event)
            .map_err(|error| StoreError { message: error.to_string(), hints: Vec::new() })?;
        memory.status.insert(event.step(), next);
        memory.journal.push(event);
        Ok(())
    }

    async fn finish(&self, end: RunEnd) -> Result<(), StoreError> {
        let mut memory = self.lock();
        let journal = std::mem::take(&mut memory.journal);
        memory.state.replay(journal);
        if let Some(outputs) = end.outputs {
            memory.state.outputs = outputs;
        }
        Ok(())
    }
}
