//! The eyes of the CLI on an apply: progress, Ctrl-C, and faults for the crash tests.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use dollop_engine::address::Address;
use dollop_engine::apply::{Point, Watcher};
use dollop_engine::error::CallError;
use dollop_engine::journal::StepId;
use dollop_engine::plan::{Operation, Step};
use dollop_engine::pool::Wait;

use crate::render::progress::{Progress, Reporter};
use crate::render::tally::Tally;
use crate::terminal;

/// The exit code of a run that was aborted by a second Ctrl-C.
const ABORTED: i32 = 130;

/// How often to tell that a step still waits.
const OFTEN: Duration = Duration::from_secs(5);

/// Watches one run.
pub struct Watch {
    reporter: Reporter,
    begun: Mutex<BTreeMap<StepId, Instant>>,
    /// When to tell next that a step waits, from its start on.
    told: Mutex<BTreeMap<StepId, Duration>>,
    stop: Arc<AtomicBool>,
}

impl Watch {
    /// Watches a run of so many steps; from here on Ctrl-C stops it gently, twice at once.
    pub fn new(steps: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let asked = stop.clone();
        tokio::spawn(async move {
            while tokio::signal::ctrl_c().await.is_ok() {
                if asked.swap(true, Ordering::SeqCst) {
                    terminal::say("aborted; the next run finishes what was begun\n");
                    std::process::exit(ABORTED);
                }
                terminal::say(
                    "stopping: running steps are finished first; Ctrl-C again aborts\n",
                );
            }
        });
        let (begun, told) = (Mutex::default(), Mutex::default());
        Self { reporter: Reporter::stderr(steps), begun, told, stop }
    }

    /// Takes the live lines away and returns the count.
    pub fn finish(self) -> Tally {
        self.reporter.finish()
    }

    fn took(&self, step: &Step) -> Duration {
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        begun.remove(&step.id).map(|begun| begun.elapsed()).unwrap_or_default()
    }
}

/// Writing the state is no news to a person.
fn silent(step: &Step) -> bool {
    step.operation == Operation::Record
}

impl Watcher for Watch {
    fn started(&self, step: &Step) {
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        begun.insert(step.id, Instant::now());
        drop(begun);
        if !silent(step) {
            let (address, operation) = (step.address.clone(), step.operation);
            self.reporter.report(Progress::Started { address, operation });
        }
    }

    /// Once in a while: a server that starts is asked every second.
    fn waiting(&self, step: &Step, server: &Address, wait: Wait) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let next = told.entry(step.id).or_insert(OFTEN);
        if wait.elapsed < *next {
            return;
        }
        *next = wait.elapsed + OFTEN;
        drop(told);
        let (address, server) = (step.address.clone(), server.clone());
        self.reporter.report(Progress::Waiting { address, server, wait });
    }

    fn finished(&self, step: &Step, note: Option<&str>) {
        let (address, operation, took) =
            (step.address.clone(), step.operation, self.took(step));
        if !silent(step) {
            let note = note.map(str::to_owned);
            self.reporter.report(Progress::Finished { address, operation, took, note });
        }
    }

    fn failed(&self, step: &Step, error: &CallError) {
        let (address, operation, took) =
            (step.address.clone(), step.operation, self.took(step));
        let error = error.clone();
        self.reporter.report(Progress::Failed { address, operation, error, took });
    }

    fn skipped(&self, step: &Step, because: &Address) {
        if !silent(step) {
            let (address, because) = (step.address.clone(), because.clone());
            self.reporter.report(Progress::Skipped { address, because });
        }
    }

    #[cfg(feature = "faults")]
    fn reached(&self, point: Point, step: &Step) {
        static MET: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let name = match point {
            Point::BeforeStarted => "before_started",
            Point::BeforeCall => "before_call",
            Point::AfterCall => "after_call",
            Point::AfterDone => "after_done",
        };
        let here = format!("{name}@{}", step.address);
        // An address alone means the first of its steps, `#2` the second time.
        let exact = format!("{name}@{:?} {}", step.operation, step.address);
        let fault = std::env::var("DOLLOP_FAULT").unwrap_or_default();
        let (place, time) = fault.rsplit_once('#').unwrap_or((&fault, "1"));
        let met = place == here || place == exact;
        if met && MET.fetch_add(1, Ordering::SeqCst) + 1 == time.parse().unwrap_or(1_u32) {
            // kill -9: nothing is flushed, nothing is dropped.
            let me = rustix::process::getpid();
            let _ = rustix::process::kill_process(me, rustix::process::Signal::KILL);
        }
    }

    #[cfg(not(feature = "faults"))]
    fn reached(&self, _: Point, _: &Step) {}

    fn stopping(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }
}
