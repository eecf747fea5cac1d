//! `dollop start`, `stop` and `restart`: in the order of the graph, as runs of their own.
//!
//! What is stopped so is recorded as such: the next plan shows that it is started again and
//! who stopped it, and does not take it for something somebody changed outside dollop.

use std::time::Instant;

use dollop_engine::apply::{Settings, apply};
use dollop_engine::operate::Ability;
use dollop_engine::plan::switch;
use dollop_engine::store::{Record, Stopped, Store as _};
use dollop_state::SledStore;

use super::apply::PATIENCE;
use crate::args::SwitchArgs;
use crate::error::{CommandError, DONE};
use crate::live::Live;
use crate::session::{Session, block_on};
use crate::terminal;
use crate::watch::Watch;

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    /// Start what does not run.
    Start,
    /// Stop what runs.
    Stop,
    /// Both.
    Restart,
}

impl Switch {
    fn command(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
        }
    }
}

/// Stops in the reverse order of dependencies, starts in their order.
pub fn run(args: &SwitchArgs, what: Switch) -> Result<u8, CommandError> {
    let command = what.command();
    let mut live = Live::open(&args.select.place)?;
    // What is meant is told before the lock is asked for.
    live.select(&args.select, Ability::Switch)?;
    let store = SledStore::open(&live.session.state_folder(), &Session::holder(command))?;
    let sides: &[bool] = match what {
        Switch::Start => &[true],
        Switch::Stop => &[false],
        Switch::Restart => &[false, true],
    };
    block_on(async {
        for on in sides {
            // The lock is held now, so this is the newest there is.
            live.state = store.state()?;
            let targets = live.select(&args.select, Ability::Switch)?;
            let records: Vec<&Record> = targets.iter().map(|target| target.record).collect();
            side(&live, &store, command, &records, *on, args.parallelism).await?;
        }
        Ok(DONE)
    })
}

async fn side(
    live: &Live,
    store: &SledStore,
    command: &str,
    records: &[&Record],
    on: bool,
    parallelism: usize,
) -> Result<(), CommandError> {
    let session = &live.session;
    let run = session.run_info(command, "");
    let mark = (!on).then(|| Stopped { who: run.who.clone(), when: run.when.clone() });
    let plan = switch(&live.state, records, mark, &session.pool, &session.project.stack).await;
    let plan = plan.map_err(|error| live.explain(&error))?;
    if plan.steps.is_empty() {
        let how = if on { "runs already" } else { "is stopped already" };
        terminal::say(&format!("nothing to {command}: everything that is meant {how}\n"));
        return Ok(());
    }
    let begun = Instant::now();
    let watch = Watch::new(plan.steps.len());
    let settings = Settings { parallelism, patience: PATIENCE, run };
    let report = apply(&plan, &live.state, &session.pool, store, &watch, settings).await;
    let tally = watch.finish();
    let report = report?;
    terminal::say(&tally.switched(on, begun.elapsed(), terminal::stderr_width()));
    if report.complete() { Ok(()) } else { Err(CommandError::reported()) }
}
