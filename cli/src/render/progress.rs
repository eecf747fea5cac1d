//! What is going on during an apply: live lines on a terminal, plain lines elsewhere.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anstream::ColorChoice;
use anstream::adapter::strip_str;
use dollop_engine::address::Address;
use dollop_engine::apply::NOTHING_TO_DO;
use dollop_engine::error::CallError;
use dollop_engine::plan::Operation;
use dollop_engine::pool::Wait;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::render::style::{CARE, DANGER, DIM, GONE, NEW, paint};
use crate::render::tally::Tally;
use crate::render::text::{clean, took as duration};
use crate::render::words;

/// Something that happened to a step.
#[derive(Clone, Debug)]
pub enum Progress {
    /// It began.
    Started {
        /// Whose step.
        address: Address,
        /// What it does.
        operation: Operation,
    },
    /// It did what it was for.
    Finished {
        /// Whose step.
        address: Address,
        /// What it did.
        operation: Operation,
        /// How long it took.
        took: Duration,
        /// A remark: "was as declared already".
        note: Option<String>,
    },
    /// It could not be done.
    Failed {
        /// Whose step.
        address: Address,
        /// What it was to do.
        operation: Operation,
        /// Why not.
        error: CallError,
        /// How long it took.
        took: Duration,
    },
    /// It was never begun, because something it needs failed.
    Skipped {
        /// Whose step.
        address: Address,
        /// What failed.
        because: Address,
    },
    /// It waits for a service to answer.
    Waiting {
        /// Whose step.
        address: Address,
        /// Which service.
        server: Address,
        /// For how long, and for how long at most.
        wait: Wait,
    },
}

/// Shows progress and keeps count. May be shared between tasks.
pub struct Reporter {
    inner: Mutex<Inner>,
}

struct Inner {
    surface: Surface,
    tally: Tally,
}

enum Surface {
    Plain(Box<dyn Write + Send>),
    Live(Box<Live>),
}

/// How many running steps have a line of their own.
const SPINNERS: usize = 8;

struct Live {
    bars: MultiProgress,
    overall: ProgressBar,
    /// Everything under way, with its line where it has one.
    running: BTreeMap<Address, Running>,
    color: bool,
}

struct Running {
    operation: Operation,
    since: Instant,
    bar: Option<ProgressBar>,
}

impl Reporter {
    /// To stderr: live when it is a terminal, plain otherwise.
    pub fn stderr(steps: usize) -> Self {
        let stderr = std::io::stderr();
        if !stderr.is_terminal() || std::env::var_os("TERM").is_some_and(|term| term == "dumb")
        {
            return Self::plain(steps, Box::new(anstream::stderr()));
        }
        let color = anstream::AutoStream::choice(&stderr) != ColorChoice::Never;
        Self::live(steps, ProgressDrawTarget::stderr(), color)
    }

    /// Plain lines.
    pub fn plain(steps: usize, out: Box<dyn Write + Send>) -> Self {
        Self::on(Surface::Plain(out), steps)
    }

    /// Spinners and a bar on a terminal.
    pub fn live(steps: usize, target: ProgressDrawTarget, color: bool) -> Self {
        let bars = MultiProgress::with_draw_target(target);
        let overall = bars.add(ProgressBar::new(steps as u64));
        overall.set_style(style("  {bar:24} {pos}/{len} steps  {elapsed}  {msg}"));
        overall.enable_steady_tick(Duration::from_millis(200));
        let live = Live { bars, overall, running: BTreeMap::new(), color };
        Self::on(Surface::Live(Box::new(live)), steps)
    }

    fn on(surface: Surface, steps: usize) -> Self {
        Self { inner: Mutex::new(Inner { surface, tally: Tally::new(steps) }) }
    }

    /// Shows an event.
    pub fn report(&self, event: Progress) {
        let mut inner = self.lock();
        inner.surface.show(&event);
        inner.tally.count(event);
    }

    /// Takes the live lines away and returns the count.
    pub fn finish(self) -> Tally {
        let inner = self.inner.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Surface::Live(live) = inner.surface {
            live.overall.finish_and_clear();
            let _ = live.bars.clear();
        }
        inner.tally
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Surface {
    fn show(&mut self, event: &Progress) {
        match self {
            // A reader that went away must not stop an apply.
            Self::Plain(out) => {
                if let Some(line) = line(event) {
                    let _ = writeln!(out, "{line}");
                    let _ = out.flush();
                }
            }
            Self::Live(live) => live.show(event),
        }
    }
}

impl Live {
    fn show(&mut self, event: &Progress) {
        match event {
            Progress::Started { address, operation } => {
                let (operation, since) = (*operation, Instant::now());
                let running = Running { operation, since, bar: None };
                self.running.insert(address.clone(), running);
            }
            Progress::Waiting { address, server, wait } => {
                let running = self.running.get(address);
                if let Some(bar) = running.and_then(|running| running.bar.as_ref()) {
                    bar.set_message(waiting(server, wait));
                }
            }
            Progress::Finished { address, .. } | Progress::Failed { address, .. } => {
                let running = self.running.remove(address);
                if let Some(bar) = running.and_then(|running| running.bar) {
                    bar.finish_and_clear();
                    self.bars.remove(&bar);
                }
                self.above(event);
                self.overall.inc(1);
            }
            Progress::Skipped { .. } => {
                self.above(event);
                self.overall.inc(1);
            }
        }
        self.fill();
    }

    /// Prints a line above the moving ones.
    fn above(&self, event: &Progress) {
        if let Some(line) = line(event) {
            let line = if self.color { line } else { strip_str(&line).to_string() };
            let _ = self.bars.println(line);
        }
    }

    /// Gives free lines to steps that have none.
    fn fill(&mut self) {
        let mut shown = self.running.values().filter(|running| running.bar.is_some()).count();
        for (address, running) in &mut self.running {
            if running.bar.is_none() && shown < SPINNERS {
                let spinner = ProgressBar::new_spinner().with_elapsed(running.since.elapsed());
                let line = self.bars.insert_before(&self.overall, spinner);
                line.set_style(style("  {spinner} {elapsed:>3}  {wide_msg}"));
                line.set_message(format!("{} {address}", words::doing(running.operation)));
                line.enable_steady_tick(Duration::from_millis(100));
                running.bar = Some(line);
                shown += 1;
            }
        }
        let hidden = self.running.len() - shown;
        self.overall.set_message(if hidden > 0 {
            format!("{hidden} more running")
        } else {
            String::new()
        });
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|error| panic!("BUG: template `{template}`: {error}"))
        .progress_chars("━╸─")
}

/// `waiting for postgres::server.main (10.0s of 1m 00s, 12 tries)`.
fn waiting(server: &Address, wait: &Wait) -> String {
    let (elapsed, patience) = (duration(wait.elapsed), duration(wait.patience));
    format!("waiting for {server} ({elapsed} of {patience}, {} tries)", wait.tries)
}

/// An event as a line; `None` for what only a live view shows.
pub fn line(event: &Progress) -> Option<String> {
    Some(match event {
        Progress::Started { .. } => return None,
        // What was looked at and is as declared is only counted.
        Progress::Finished { operation: Operation::Verify, note: Some(note), .. }
            if note == NOTHING_TO_DO =>
        {
            return None;
        }
        Progress::Finished { address, operation, took, note } => {
            let color = if *operation == Operation::Delete { GONE } else { NEW };
            let done = paint(color, words::done(*operation));
            let note = match note {
                Some(note) => format!("  {}", paint(DIM, clean(note))),
                None => String::new(),
            };
            format!("{done} {address} {}{note}", paint(DIM, format!("({})", duration(*took))))
        }
        Progress::Failed { address, error, took, .. } => {
            // The whole error stands at the end; here one line is enough.
            let first = error.message.lines().next().unwrap_or_default();
            let failed = paint(DANGER, "failed");
            format!("{failed} {address} ({}): {}", duration(*took), clean(first))
        }
        Progress::Skipped { address, because } => {
            let skipped = paint(CARE, "skipped");
            format!("{skipped} {address} {}", paint(DIM, format!("(needs {because})")))
        }
        Progress::Waiting { server, wait, .. } => paint(DIM, waiting(server, wait)),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::render::fixture::address;

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn events() -> Vec<Progress> {
        let took = Duration::from_millis(120);
        let (net, pg, web) = (
            address("docker::network.app"),
            address("docker::container.pg"),
            "docker::container.web",
        );
        let server = address("postgres::server.main");
        let (elapsed, patience) = (Duration::from_secs(10), Duration::from_mins(1));
        let wait = Wait { tries: 12, elapsed, patience };
        vec![
            Progress::Started { address: net.clone(), operation: Operation::Create },
            Progress::Finished { address: net, operation: Operation::Create, took, note: None },
            Progress::Started { address: server.clone(), operation: Operation::Connect },
            Progress::Waiting { address: server.clone(), server: server.clone(), wait },
            Progress::Finished {
                address: server,
                operation: Operation::Connect,
                took,
                note: Some("after 12 tries".to_owned()),
            },
            Progress::Failed {
                address: pg.clone(),
                operation: Operation::Create,
                error: CallError::refused("port `5432` is taken\u{1b}[2J\nsecond line"),
                took,
            },
            Progress::Skipped { address: address(web), because: pg },
        ]
    }

    #[test]
    fn plain_lines_tell_what_happened() {
        let buffer = Buffer::default();
        let reporter = Reporter::plain(4, Box::new(buffer.clone()));
        for event in events() {
            reporter.report(event);
        }
        reporter.finish();
        let text = String::from_utf8(buffer.0.lock().unwrap().clone()).unwrap();
        insta::assert_snapshot!(strip_str(&text), @r"
        created docker::network.app (0.1s)
        waiting for postgres::server.main (10.0s of 1m 00s, 12 tries)
        connected postgres::server.main (0.1s)  after 12 tries
        failed docker::container.pg (0.1s): port `5432` is taken\u{1b}[2J
        skipped docker::container.web (needs docker::container.pg)
        ");
    }

    #[test]
    fn a_live_view_survives_any_order_of_events() {
        let reporter = Reporter::live(40, ProgressDrawTarget::hidden(), true);
        for number in 0..20 {
            let address = address(&format!("docker::container.c{number}"));
            reporter.report(Progress::Started { address, operation: Operation::Create });
        }
        for event in events().into_iter().rev() {
            reporter.report(event);
        }
        let Surface::Live(live) = &reporter.lock().surface else { panic!() };
        let shown = live.running.values().filter(|running| running.bar.is_some()).count();
        assert_eq!(shown, SPINNERS);
    }
}
