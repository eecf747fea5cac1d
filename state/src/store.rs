//! The engine's `Store`, on sled.

use std::path::Path;

use async_trait::async_trait;
use dollop_engine::journal::Event;
use dollop_engine::store::{RunEnd, RunInfo, State, Store, StoreError};
use tokio::sync::oneshot;

use crate::files::Folder;
use crate::lock::{Holder, Lock};
use crate::worker::{Request, Worker, gone};

/// The state of a stack, held by this process alone until it is dropped.
///
/// Appends from many tasks share a sync: what queues up while one sync runs goes into the
/// next. After a write has failed every further call fails, since nobody knows then what is
/// on disk; opening again finds out.
pub struct SledStore {
    // Dropped in this order: the lock outlives sled.
    worker: Worker,
    _lock: Lock,
}

impl SledStore {
    /// Takes the lock and opens the store, making the folder if there is none.
    pub fn open(folder: &Path, holder: &Holder) -> Result<Self, StoreError> {
        let folder = Folder::new(folder);
        folder.create()?;
        let lock = Lock::exclusive(&folder, holder)?;
        Ok(Self { worker: Worker::start(&folder)?, _lock: lock })
    }

    /// How often the store's file was synced since it was opened; for tests and benchmarks.
    pub fn syncs(&self) -> u64 {
        self.worker.syncs()
    }

    async fn ask(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<(), StoreError>>) -> Request + Send,
    ) -> Result<(), StoreError> {
        let (reply, answer) = oneshot::channel();
        self.worker.ask(request(reply))?;
        answer.await.map_err(|_| gone())?
    }
}

impl std::fmt::Debug for SledStore {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("SledStore")
    }
}

#[async_trait]
impl Store for SledStore {
    fn state(&self) -> Result<State, StoreError> {
        self.worker.state()
    }

    async fn begin(&self, run: RunInfo) -> Result<(), StoreError> {
        self.ask(|reply| Request::Begin(run, reply)).await
    }

    async fn append(&self, event: Event) -> Result<(), StoreError> {
        self.ask(|reply| Request::Append(event, reply)).await
    }

    async fn finish(&self, end: RunEnd) -> Result<(), StoreError> {
        self.ask(|reply| Request::Finish(end, reply)).await
    }
}
