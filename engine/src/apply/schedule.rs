//! Which step is ready, done, failed or skipped. No I/O, no async, no clock.

use std::collections::BTreeSet;

use crate::journal::StepId;
use crate::plan::Step;

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It did what it was for.
    Done,
    /// It did not; what needs it is skipped.
    Failed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Waiting,
    Running,
    Done,
    Failed,
    Skipped,
}

/// Steps that count against one limit.
#[derive(Clone, Debug)]
struct Class {
    ready: BTreeSet<StepId>,
    running: usize,
    most: usize,
}

/// The most steps under way at once that join others, beside those that do not: as many as go
/// into one statement that is not too long.
pub(super) const MOST_JOINED: usize = 100;

/// The steps of one run and where each stands. One owner; every step ends exactly once.
#[derive(Clone, Debug)]
pub struct Schedule {
    place: Vec<Place>,
    missing: Vec<usize>,
    dependents: Vec<Vec<StepId>>,
    /// Those that wait for it, and run whatever becomes of it.
    followers: Vec<Vec<StepId>>,
    /// Which of them join others of their kind in one call.
    joins: Vec<bool>,
    /// Those that do not, and those that do.
    classes: [Class; 2],
    stopped: bool,
}

fn slot(id: StepId) -> usize {
    id.0 as usize
}

impl Schedule {
    /// A schedule in which nothing has started. `steps` stand in the order of their ids; at
    /// most `parallelism` of them are under way at once, one at least, and beside them
    /// [`MOST_JOINED`] that join others (see [`Traits::joins`](crate::resource::Traits::joins)),
    /// unless it is one at a time.
    pub fn new(steps: &[Step], parallelism: usize, joins: impl Fn(&Step) -> bool) -> Self {
        let mut dependents = vec![Vec::new(); steps.len()];
        let mut followers = vec![Vec::new(); steps.len()];
        for step in steps {
            for needed in &step.needs {
                dependents[slot(*needed)].push(step.id);
            }
            for before in &step.after {
                followers[slot(*before)].push(step.id);
            }
        }
        let count = |step: &Step| step.needs.len() + step.after.len();
        let missing: Vec<usize> = steps.iter().map(count).collect();
        let place = vec![Place::Waiting; steps.len()];
        let class = |most: usize| Class { ready: BTreeSet::new(), running: 0, most };
        let classes = [class(parallelism.max(1)), class(MOST_JOINED)];
        // Who wants one at a time gets one at a time.
        let joins = steps.iter().map(|step| parallelism > 1 && joins(step)).collect();
        let mut schedule =
            Self { place, missing, dependents, followers, joins, classes, stopped: false };
        for step in steps.iter().filter(|step| count(step) == 0) {
            schedule.class(step.id).ready.insert(step.id);
        }
        schedule
    }

    fn class(&mut self, id: StepId) -> &mut Class {
        &mut self.classes[usize::from(self.joins[slot(id)])]
    }

    /// The next step that may start, which is running from now on; the lowest number first.
    pub fn start(&mut self) -> Option<StepId> {
        if self.stopped {
            return None;
        }
        let open = self.classes.iter_mut().filter(|class| class.running < class.most);
        let class = open
            .filter(|class| !class.ready.is_empty())
            .min_by_key(|class| class.ready.first().copied())?;
        let id = class.ready.pop_first()?;
        class.running += 1;
        self.place[slot(id)] = Place::Running;
        Some(id)
    }

    /// A running step has ended. Returns what is skipped because of it.
    ///
    /// # Panics
    /// When the step was not running: every step ends once.
    pub fn finished(&mut self, id: StepId, outcome: Outcome) -> Vec<StepId> {
        assert!(
            self.place[slot(id)] == Place::Running,
            "BUG: step {} ended without running",
            id.0
        );
        self.class(id).running -= 1;
        let mut skipped = Vec::new();
        match outcome {
            Outcome::Done => {
                self.place[slot(id)] = Place::Done;
                for dependent in self.dependents[slot(id)].clone() {
                    self.one_less(dependent);
                }
            }
            Outcome::Failed => {
                self.place[slot(id)] = Place::Failed;
                let mut queue = self.dependents[slot(id)].clone();
                while let Some(dependent) = queue.pop() {
                    if self.place[slot(dependent)] == Place::Waiting {
                        self.place[slot(dependent)] = Place::Skipped;
                        skipped.push(dependent);
                        queue.extend(&self.dependents[slot(dependent)]);
                    }
                }
                skipped.sort();
            }
        }
        for ended in std::iter::once(id).chain(skipped.iter().copied()) {
            for follower in self.followers[slot(ended)].clone() {
                self.one_less(follower);
            }
        }
        skipped
    }

    /// A step waits for one thing less.
    fn one_less(&mut self, id: StepId) {
        let missing = &mut self.missing[slot(id)];
        *missing -= 1;
        if *missing == 0 && self.place[slot(id)] == Place::Waiting {
            self.class(id).ready.insert(id);
        }
    }

    /// Lets nothing further start; what runs may finish.
    pub fn stop(&mut self) {
        self.stopped = true;
    }

    /// Steps that neither ran nor were skipped, after a stop.
    pub fn untouched(&self) -> usize {
        self.place.iter().filter(|place| **place == Place::Waiting).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Address;
    use crate::plan::Operation;
    use proptest::prelude::*;

    /// Steps in which each may need any of those before it.
    fn steps(needs: Vec<Vec<prop::sample::Index>>) -> Vec<Step> {
        needs
            .into_iter()
            .enumerate()
            .map(|(number, needs)| {
                let mut needs: Vec<_> = needs
                    .into_iter()
                    .filter(|_| number > 0)
                    .map(|index| StepId(u32::try_from(index.index(number)).unwrap()))
                    .collect();
                needs.sort();
                needs.dedup();
                Step {
                    id: StepId(u32::try_from(number).unwrap()),
                    address: Address::new(vec![], "t::t", vec![number.to_string()]),
                    operation: Operation::Create,
                    needs,
                    after: Vec::new(),
                }
            })
            .collect()
    }

    proptest! {
        #[test]
        fn every_step_ends_once_and_after_what_it_needs(
            needs in prop::collection::vec(
                prop::collection::vec(any::<prop::sample::Index>(), 0..4), 1..40),
            fails in prop::collection::vec(any::<bool>(), 40),
            joins in prop::collection::vec(any::<bool>(), 40),
            limit in 1usize..6,
            picks in prop::collection::vec(any::<prop::sample::Index>(), 80),
        ) {
            let steps = steps(needs);
            let joins = |step: &Step| limit > 1 && joins[slot(step.id)];
            let mut schedule = Schedule::new(&steps, limit, joins);
            let mut running: Vec<StepId> = Vec::new();
            let mut ended = std::collections::BTreeMap::new();
            let mut picks = picks.into_iter().cycle();
            loop {
                while let Some(id) = schedule.start() {
                    for needed in &steps[slot(id)].needs {
                        prop_assert_eq!(ended.get(needed), Some(&"done"));
                    }
                    running.push(id);
                    let counted = running.iter().filter(|id| !joins(&steps[slot(**id)]));
                    prop_assert!(counted.count() <= limit);
                }
                if running.is_empty() {
                    break;
                }
                let pick = picks.next().unwrap().index(running.len());
                let id = running.remove(pick);
                // One in four fails.
                let failed = fails[slot(id) % fails.len()] && slot(id).is_multiple_of(2);
                let outcome = if failed { Outcome::Failed } else { Outcome::Done };
                let how = if failed { "failed" } else { "done" };
                prop_assert!(ended.insert(id, how).is_none());
                for skipped in schedule.finished(id, outcome) {
                    prop_assert!(ended.insert(skipped, "skipped").is_none());
                }
            }
            prop_assert_eq!(ended.len(), steps.len());
            // Exactly the descendants of failures were skipped.
            for step in &steps {
                let below = step.needs.iter().any(|needed| ended[needed] != "done");
                prop_assert_eq!(ended[&step.id] == "skipped", below);
            }
        }
    }

    #[test]
    fn what_only_follows_runs_whatever_became_of_what_was_before() {
        let mut steps = steps(vec![vec![], vec![], vec![]]);
        // The second needs the first; the third follows the second.
        steps[1].needs = vec![StepId(0)];
        steps[2].after = vec![StepId(1)];
        let mut schedule = Schedule::new(&steps, 2, |_| false);
        assert_eq!(schedule.start(), Some(StepId(0)));
        assert_eq!(schedule.start(), None);
        assert_eq!(schedule.finished(StepId(0), Outcome::Failed), [StepId(1)]);
        assert_eq!(schedule.start(), Some(StepId(2)));
        assert!(schedule.finished(StepId(2), Outcome::Done).is_empty());
        assert_eq!(schedule.untouched(), 0);
    }

    #[test]
    fn what_joins_others_waits_for_nobodys_place() {
        let steps = steps(vec![vec![]; MOST_JOINED + 4]);
        let mut schedule = Schedule::new(&steps, 2, |step| step.id > StepId(2));
        let started: Vec<_> = std::iter::from_fn(|| schedule.start()).collect();
        // The third has to wait for one of the first, and the last for any that joins others.
        let last = StepId(u32::try_from(MOST_JOINED + 3).unwrap());
        assert_eq!(started.len(), 2 + MOST_JOINED);
        assert!(!started.contains(&StepId(2)) && !started.contains(&last));
        assert!(schedule.finished(StepId(0), Outcome::Done).is_empty());
        assert_eq!(schedule.start(), Some(StepId(2)));
        assert_eq!(schedule.start(), None);
        assert!(schedule.finished(StepId(3), Outcome::Done).is_empty());
        assert_eq!(schedule.start(), Some(last));
    }

    #[test]
    fn one_at_a_time_is_one_at_a_time() {
        let steps = steps(vec![vec![]; 3]);
        let mut schedule = Schedule::new(&steps, 1, |_| true);
        assert_eq!(schedule.start(), Some(StepId(0)));
        assert_eq!(schedule.start(), None);
    }

    #[test]
    fn after_a_stop_nothing_starts() {
        let mut schedule = Schedule::new(&steps(vec![vec![], vec![]]), 1, |_| false);
        let first = schedule.start().unwrap();
        schedule.stop();
        assert_eq!(schedule.start(), None);
        assert!(schedule.finished(first, Outcome::Done).is_empty());
        assert_eq!(schedule.untouched(), 1);
    }
}
