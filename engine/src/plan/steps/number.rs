//! Numbers for steps: an order in which everything comes after what it needs.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::Draft;
use crate::address::Address;
use crate::journal::StepId;
use crate::plan::Step;

/// Who waits for each step, in one list: a list for each would take a stack of many more time
/// to make than all else here.
struct Waiting {
    /// Where those of each step begin, and after the last where they end.
    begins: Vec<usize>,
    steps: Vec<usize>,
}

impl Waiting {
    /// Turns around what every step waits for, of which `edges` gives all pairs each time.
    fn of<'a, I>(count: usize, edges: impl Fn() -> I) -> Self
    where
        I: Iterator<Item = (usize, &'a usize)>,
    {
        let mut begins = vec![0; count + 1];
        for (_, needed) in edges() {
            begins[needed + 1] += 1;
        }
        for step in 0..count {
            begins[step + 1] += begins[step];
        }
        let mut next = begins.clone();
        let mut steps = vec![0; begins[count]];
        for (step, needed) in edges() {
            steps[next[*needed]] = step;
            next[*needed] += 1;
        }
        Self { begins, steps }
    }

    fn for_step(&self, step: usize) -> &[usize] {
        &self.steps[self.begins[step]..self.begins[step + 1]]
    }
}

impl Draft {
    /// Numbers the steps in an order in which everything comes after what it needs;
    /// otherwise as they were added.
    ///
    /// # Errors
    /// The addresses of steps that wait for each other.
    pub(super) fn number(mut self) -> Result<Vec<Step>, Vec<Address>> {
        let count = self.steps.len();
        for needs in &mut self.needs {
            needs.sort_unstable();
            needs.dedup();
        }
        for after in &mut self.after {
            after.sort_unstable();
            after.dedup();
        }
        let edges = || {
            let pairs = self.needs.iter().zip(&self.after).enumerate();
            pairs.flat_map(|(step, (needs, after))| {
                needs.iter().chain(after).map(move |needed| (step, needed))
            })
        };
        let waiting = Waiting::of(count, edges);
        let both = self.needs.iter().zip(&self.after);
        let mut missing: Vec<usize> =
            both.map(|(needs, after)| needs.len() + after.len()).collect();
        let mut ready: BinaryHeap<Reverse<usize>> =
            (0..count).filter(|step| missing[*step] == 0).map(Reverse).collect();
        let mut order = Vec::with_capacity(count);
        while let Some(Reverse(step)) = ready.pop() {
            order.push(step);
            for dependent in waiting.for_step(step) {
                missing[*dependent] -= 1;
                if missing[*dependent] == 0 {
                    ready.push(Reverse(*dependent));
                }
            }
        }
        if order.len() < count {
            let stuck = (0..count).filter(|step| missing[*step] > 0);
            return Err(stuck.map(|step| self.steps[step].0.clone()).collect());
        }
        let mut number = vec![StepId(0); count];
        for (position, step) in order.iter().enumerate() {
            number[*step] = StepId(u32::try_from(position).unwrap_or(u32::MAX));
        }
        let numbers = |steps: &[usize]| {
            let mut found: Vec<StepId> = steps.iter().map(|needed| number[*needed]).collect();
            found.sort_unstable();
            found
        };
        let numbered = order.iter().map(|step| {
            let (needs, after) = (numbers(&self.needs[*step]), numbers(&self.after[*step]));
            let (address, operation) = self.steps[*step].clone();
            Step { id: number[*step], address, operation, needs, after }
        });
        Ok(numbered.collect())
    }
}
