//! The one thread that touches sled, and what it is asked.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use dollop_engine::journal::Event;
use dollop_engine::store::{RunEnd, RunInfo, State, StoreError};
use tokio::sync::oneshot;

use crate::files::{Folder, failure};
use crate::table::{BATCH, damaged};
use crate::writer::{Refused, Writer, no_run};

/// The name of the thread that touches sled. A panic there is caught and becomes an error,
/// so a panic hook need not print it.
pub const STORE_THREAD: &str = "dollop-store";

/// How long the others of a group are waited for, each after the one before: a fraction of what
/// a sync takes.
const GATHER: Duration = Duration::from_micros(100);

type Reply = oneshot::Sender<Result<(), StoreError>>;

/// Something to do.
pub(crate) enum Request {
    State(SyncSender<Result<State, StoreError>>),
    Begin(RunInfo, Reply),
    Append(Event, Reply),
    Finish(RunEnd, Reply),
}

/// The thread, until it is dropped: that waits for it and closes sled.
pub(crate) struct Worker {
    requests: Option<Sender<Request>>,
    thread: Option<JoinHandle<()>>,
    syncs: Arc<AtomicU64>,
}

impl Worker {
    /// Starts the thread and opens the store there.
    pub(crate) fn start(folder: &Folder) -> Result<Self, StoreError> {
        let (requests, received) = channel();
        let (opened, ready) = sync_channel(1);
        let syncs = Arc::new(AtomicU64::new(0));
        let (folder, counter) = (folder.clone(), syncs.clone());
        let thread = spawn(move || match caught(|| Writer::open(&folder, counter)) {
            Ok(mut writer) => {
                let _ = opened.send(Ok(()));
                if serve(&mut writer, &received) {
                    // The store is whole with or without it, and nobody is left to be told.
                    let _ = caught(|| writer.close());
                }
            }
            Err(error) => {
                let _ = opened.send(Err(error));
            }
        })?;
        let worker = Self { requests: Some(requests), thread: Some(thread), syncs };
        ready.recv().unwrap_or_else(|_| Err(gone()))?;
        Ok(worker)
    }

    /// Asks for something; the answer comes through the request's own channel.
    pub(crate) fn ask(&self, request: Request) -> Result<(), StoreError> {
        self.requests.as_ref().ok_or_else(gone)?.send(request).map_err(|_| gone())
    }

    /// The state, waiting for it.
    pub(crate) fn state(&self) -> Result<State, StoreError> {
        let (reply, answer) = sync_channel(1);
        self.ask(Request::State(reply))?;
        answer.recv().map_err(|_| gone())?
    }

    /// How often the store's file was synced.
    pub(crate) fn syncs(&self) -> u64 {
        self.syncs.load(Ordering::Relaxed)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.requests = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Runs something that uses sled where its panics are caught.
pub(crate) fn in_store_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let thread = spawn(move || caught(work))?;
    thread.join().unwrap_or_else(|_| Err(gone()))
}

fn spawn<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, StoreError> {
    std::thread::Builder::new()
        .name(STORE_THREAD.to_owned())
        .spawn(work)
        .map_err(|error| failure(format!("cannot start the store's thread: {error}")))
}

/// Returns when nobody can ask any more, saying whether all went well.
fn serve(writer: &mut Writer, requests: &Receiver<Request>) -> bool {
    // After a failed write nobody knows what is on disk: the store is not written again.
    let mut failed: Option<StoreError> = None;
    let mut next = None;
    let mut several = false;
    loop {
        let Some(request) = next.take().or_else(|| requests.recv().ok()) else {
            return failed.is_none();
        };
        if let Some(error) = &failed {
            refuse(request, error);
            continue;
        }
        match request {
            Request::State(reply) => {
                let _ = reply.send(caught(|| writer.state()));
            }
            Request::Begin(run, reply) => {
                let done = caught(|| writer.begin(run));
                failed = done.as_ref().err().cloned();
                let _ = reply.send(done);
            }
            Request::Finish(_, reply) if !writer.has_run() => {
                let _ = reply.send(Err(no_run()));
            }
            Request::Finish(end, reply) => {
                let done = caught(|| writer.finish(end));
                failed = done.as_ref().err().cloned();
                let _ = reply.send(done);
            }
            Request::Append(event, reply) => {
                let mut group = vec![(event, reply)];
                // Those who were answered together go on together: the first of them is here a
                // moment before the others.
                let patience = if several { GATHER } else { Duration::ZERO };
                while group.len() < BATCH {
                    match requests.recv_timeout(patience) {
                        Ok(Request::Append(event, reply)) => group.push((event, reply)),
                        Ok(other) => {
                            next = Some(other);
                            break;
                        }
                        Err(_) => break,
                    }
                }
                several = group.len() > 1;
                failed = append_all(writer, group);
            }
        }
    }
}

/// Appends what came together, with one sync for all.
fn append_all(writer: &mut Writer, group: Vec<(Event, Reply)>) -> Option<StoreError> {
    let (events, replies): (Vec<_>, Vec<_>) = group.into_iter().unzip();
    let mut refused: Vec<Option<StoreError>> = Vec::new();
    let done = caught(|| {
        for event in events {
            match writer.append(event) {
                Ok(()) => refused.push(None),
                Err(Refused::Event(error)) => refused.push(Some(error)),
                Err(Refused::Store(error)) => return Err(error),
            }
        }
        writer.commit()
    });
    for (index, reply) in replies.into_iter().enumerate() {
        let answer = match (refused.get_mut(index).and_then(Option::take), &done) {
            (Some(error), _) => Err(error),
            (None, Ok(())) => Ok(()),
            (None, Err(error)) => Err(error.clone()),
        };
        let _ = reply.send(answer);
    }
    done.err()
}

fn refuse(request: Request, error: &StoreError) {
    let error = StoreError {
        message: format!("the state store failed before: {}", error.message),
        hints: error.hints.clone(),
    };
    match request {
        Request::State(reply) => {
            let _ = reply.send(Err(error));
        }
        Request::Begin(_, reply) | Request::Append(_, reply) | Request::Finish(_, reply) => {
            let _ = reply.send(Err(error));
        }
    }
}

fn caught<T>(work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        Err(damaged(&format!("sled broke down: {}", first_line(&*panic))))
    })
}

fn first_line(panic: &(dyn Any + Send)) -> &str {
    let owned = panic.downcast_ref::<String>().map(String::as_str);
    let text = owned.or_else(|| panic.downcast_ref::<&str>().copied());
    text.and_then(|text| text.lines().next()).unwrap_or("no reason given")
}

pub(crate) fn gone() -> StoreError {
    failure("the store's thread has ended")
}
