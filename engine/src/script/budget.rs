//! How long a run may take. The limits of Rhai count steps and items, but one step may copy a
//! long list, so a short script could still run for days.

use std::rc::Rc;
use std::time::Duration;

use rhai::{Dynamic, Engine};

use super::session::Session;
use super::symbol::Refusal;
use crate::diagnostic::{Code, Diagnostic};

/// Processor time a script may take; a stack of 10,000 resources takes a tenth of a second.
/// Not time on the wall: a busy machine must not make a script fail.
pub(super) const MOST_TIME: Duration = Duration::from_secs(30);

/// The time is looked at once in so many steps.
const STEPS: u64 = 256;

/// The least time a script that failed is run again for, to find more: it goes on behind its
/// errors, statement by statement, which takes longer than just running it.
const LEAST_AGAIN: Duration = Duration::from_secs(2);

/// The time a run takes. No script can read it.
#[derive(Clone, Copy)]
pub(super) struct Clock {
    begun: Duration,
    most: Duration,
}

impl Clock {
    /// One that starts now, on the thread the script runs on.
    pub(super) fn start() -> Self {
        Self { begun: used(), most: MOST_TIME }
    }

    /// One that starts now, for what is asked of the script again after the run this one is
    /// of: whoever waits for the errors shall not wait many times as long for more of them.
    pub(super) fn again(self) -> Self {
        let begun = used();
        let most = begun.saturating_sub(self.begun).saturating_mul(2);
        Self { begun, most: most.clamp(LEAST_AGAIN, MOST_TIME) }
    }

    /// Whether the run has taken all the time it may.
    pub(super) fn is_over(self) -> bool {
        used().saturating_sub(self.begun) >= self.most
    }
}

/// The finding that ends a run which takes too long.
pub(super) fn too_long() -> Diagnostic {
    let message = format!("the script takes more than {} s", MOST_TIME.as_secs());
    Diagnostic::new(Code::Limit, message).hint("a loop may never end: check its condition")
}

/// Ends runs that take too long or have found enough. Functions of the library look at the
/// clock themselves: a few of their steps may be a long time.
pub(super) fn register(engine: &mut Engine, session: &Rc<Session>) {
    let here = Rc::clone(session);
    engine.on_progress(move |steps| {
        if let Some(last) = here.enough.get() {
            return Some(Dynamic::from(Refusal(last)));
        }
        if steps % STEPS != 0 || !here.clock.is_over() {
            return None;
        }
        Some(Dynamic::from(Refusal(here.record(too_long()))))
    });
}

/// Processor time of this thread.
#[cfg(unix)]
fn used() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// Time since the first call: the nearest there is.
#[cfg(not(unix))]
fn used() -> Duration {
    static BEGIN: std::sync::LazyLock<std::time::Instant> =
        std::sync::LazyLock::new(std::time::Instant::now);
    BEGIN.elapsed()
}
