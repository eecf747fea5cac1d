//! What is kept of the outputs.

use std::collections::{BTreeMap, HashSet};

use crate::apply::{Report, Run};
use crate::journal::StepId;
use crate::value::Value;

impl Run<'_> {
    /// Outputs as far as they are known now.
    pub(super) fn outputs(&self) -> BTreeMap<String, Value> {
        let resolved = self.plan.outputs.iter().filter_map(|output| {
            let value = self.resolve(output.after.as_ref()?);
            Some((output.name.clone(), value.known()?.clone()))
        });
        resolved.collect()
    }

    /// Outputs after a run that did not do everything. What is known now is told; where what
    /// it comes from was begun and not ended, nobody knows; where that was not even begun, it
    /// is what it was.
    pub(super) fn outputs_so_far(
        &self,
        done: &HashSet<StepId>,
        report: &Report,
    ) -> BTreeMap<String, Value> {
        let failed: HashSet<StepId> = report.failed.iter().map(|(step, _)| step.id).collect();
        let steps = self.plan.steps.iter();
        let open: HashSet<_> =
            steps.clone().filter(|it| !done.contains(&it.id)).map(|it| &it.address).collect();
        let begun: HashSet<_> = steps
            .filter(|it| done.contains(&it.id) || failed.contains(&it.id))
            .map(|it| &it.address)
            .collect();
        let kept = self.plan.outputs.iter().filter_map(|output| {
            let after = output.after.as_ref()?;
            let of = after.references();
            let mut open = of.iter().map(|one| &one.address).filter(|it| open.contains(it));
            let value = match open.next() {
                None => self.resolve(after).known()?.clone(),
                Some(one) if begun.contains(one) || open.any(|one| begun.contains(one)) => {
                    return None;
                }
                Some(_) => output.before.clone()?,
            };
            Some((output.name.clone(), value))
        });
        kept.collect()
    }
}
