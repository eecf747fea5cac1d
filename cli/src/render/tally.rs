//! How an apply ended, in numbers, with the errors that stopped it.

use std::collections::BTreeSet;
use std::time::Duration;

use dollop_engine::address::Address;
use dollop_engine::diagnostic::{Diagnostic, Sources};
use dollop_engine::error::CallError;
use dollop_engine::plan::Operation;

use crate::render::progress::Progress;
use crate::render::style::{BOLD, DANGER, paint};
use crate::render::text::{count, took as duration};
use crate::render::{diagnostic, words};

/// What came of the steps of a run.
#[derive(Debug, Default)]
pub struct Tally {
    steps: usize,
    done: usize,
    created: BTreeSet<Address>,
    deleted: BTreeSet<Address>,
    updated: usize,
    verified: usize,
    skipped: usize,
    failed: Vec<(Address, Operation, CallError)>,
}

impl Tally {
    /// Nothing happened yet, of so many steps.
    pub fn new(steps: usize) -> Self {
        Self { steps, ..Self::default() }
    }

    /// Counts an event.
    pub fn count(&mut self, event: Progress) {
        match event {
            Progress::Finished { address, operation, .. } => {
                self.done += 1;
                match operation {
                    Operation::Create => {
                        self.created.insert(address);
                    }
                    Operation::Delete => {
                        self.deleted.insert(address);
                    }
                    Operation::Update => self.updated += 1,
                    Operation::Verify => self.verified += 1,
                    Operation::Read
                    | Operation::Connect
                    | Operation::Record
                    | Operation::MakeWay
                    | Operation::TakeOver => {}
                }
            }
            Progress::Failed { address, operation, error, .. } => {
                self.failed.push((address, operation, error));
            }
            Progress::Skipped { .. } => self.skipped += 1,
            Progress::Started { .. } | Progress::Waiting { .. } => {}
        }
    }

    /// Whether every step was done.
    pub fn complete(&self) -> bool {
        self.done >= self.steps && self.failed.is_empty()
    }

    /// The errors, for `--format json` and the like.
    pub fn errors(&self) -> Vec<Diagnostic> {
        self.failed
            .iter()
            .map(|(address, operation, error)| {
                let what = words::failed(*operation);
                let message = format!("`{address}` {what}: {}", error.message);
                Diagnostic {
                    notes: error.notes.clone(),
                    hints: error.hints.clone(),
                    ..Diagnostic::new(error.failure.code(), message)
                }
            })
            .collect()
    }

    /// The closing text: errors when there are any, then one line with the numbers.
    pub fn summary(&self, destroy: bool, took: Duration, width: usize) -> String {
        if self.complete() {
            let heading = if destroy { "Destroyed" } else { "Applied" };
            let took = duration(took);
            let line = format!("{heading}: {} in {took}.", self.numbers(destroy));
            return paint(BOLD, line) + "\n";
        }
        self.unfinished(took, width)
    }

    /// The same for a run that only starts or stops.
    pub fn switched(&self, on: bool, took: Duration, width: usize) -> String {
        if self.complete() {
            let what = count(self.updated, "resource");
            let heading = if on { "Started" } else { "Stopped" };
            return paint(BOLD, format!("{heading} {what} in {}.", duration(took))) + "\n";
        }
        self.unfinished(took, width)
    }

    fn unfinished(&self, took: Duration, width: usize) -> String {
        let took = duration(took);
        let mut out = String::from("\n");
        out.push_str(&diagnostic::diagnostics(&self.errors(), &Sources::default(), width));
        let failed = self.failed.len();
        let mut parts = vec![format!("{} done", self.done)];
        if failed > 0 {
            parts.push(format!("{failed} failed"));
            out.push('\n');
        }
        if self.skipped > 0 {
            let them = if failed == 1 { "it" } else { "them" };
            parts.push(format!("{} not started because of {them}", self.skipped));
        }
        let left = self.steps.saturating_sub(self.done + failed + self.skipped);
        if left > 0 {
            parts.push(format!("{left} not started"));
        }
        let heading = if failed > 0 { "Failed" } else { "Stopped" };
        out + paint(DANGER, format!("{heading} after {took}: {}", parts.join(", "))).as_str()
            + "\n"
    }

    fn numbers(&self, destroy: bool) -> String {
        let replaced = self.created.intersection(&self.deleted).count();
        let (created, deleted) = (self.created.len() - replaced, self.deleted.len() - replaced);
        if destroy {
            return format!("{deleted} deleted");
        }
        let mut parts = vec![format!("{created} created"), format!("{} updated", self.updated)];
        if replaced > 0 {
            parts.push(format!("{replaced} replaced"));
        }
        parts.push(format!("{deleted} deleted"));
        if self.verified > 0 {
            parts.push(format!("{} verified", self.verified));
        }
        parts.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use anstream::adapter::strip_str;

    use super::*;
    use crate::render::fixture::address;

    fn done(of: &str, operation: Operation) -> Progress {
        let took = Duration::from_secs(1);
        Progress::Finished { address: address(of), operation, took, note: None }
    }

    fn show(tally: &Tally, destroy: bool) -> String {
        strip_str(&tally.summary(destroy, Duration::from_millis(4200), 80)).to_string()
    }

    #[test]
    fn a_run_that_went_well_is_one_line() {
        let mut tally = Tally::new(5);
        tally.count(done("docker::network.a", Operation::Create));
        tally.count(done("docker::container.b", Operation::Delete));
        tally.count(done("docker::container.b", Operation::Create));
        tally.count(done("docker::container.c", Operation::Update));
        tally.count(done("postgres::role.main/d", Operation::Verify));
        insta::assert_snapshot!(show(&tally, false), @"Applied: 1 created, 1 updated, 1 replaced, 0 deleted, 1 verified in 4.2s.");
        insta::assert_snapshot!(show(&Tally::new(0), true), @"Destroyed: 0 deleted in 4.2s.");
    }

    #[test]
    fn a_failure_comes_with_its_notes_and_what_it_held_up() {
        let mut tally = Tally::new(6);
        tally.count(done("docker::network.a", Operation::Create));
        tally.count(done("docker::volume.b", Operation::Create));
        let error = CallError::unreachable("it stopped with exit code 1")
            .note("last lines of its log:\n  FATAL: no password\n  exiting")
            .hint("set `POSTGRES_PASSWORD`");
        tally.count(Progress::Failed {
            address: address("docker::container.pg"),
            operation: Operation::Create,
            error,
            took: Duration::from_secs(3),
        });
        for name in ["postgres::role.main/a", "postgres::role.main/b", "postgres::role.main/c"]
        {
            let because = address("docker::container.pg");
            tally.count(Progress::Skipped { address: address(name), because });
        }
        insta::assert_snapshot!(show(&tally, false), @r"

        error[E0702]: `docker::container.pg` could not be created: it stopped with exit code 1
          last lines of its log:
            FATAL: no password
            exiting
          hint: set `POSTGRES_PASSWORD`

        Failed after 4.2s: 2 done, 1 failed, 3 not started because of it
        ");
    }

    #[test]
    fn an_interrupted_run_says_what_is_left() {
        let mut tally = Tally::new(3);
        tally.count(done("docker::network.a", Operation::Create));
        insta::assert_snapshot!(show(&tally, false), @r"

        Stopped after 4.2s: 1 done, 2 not started
        ");
    }
}
