//! Replicas that are changed while others of them serve.

use std::collections::BTreeMap;

use super::Draft;
use crate::plan::change::Change;
use crate::resource::{OnFailure, Rolling};

impl Draft {
    /// Of replicas, only so many are changed at once: each waits for one before it.
    pub(super) fn roll(&mut self, changes: &[Change]) {
        let mut groups: BTreeMap<_, Vec<(u32, &Change, Rolling)>> = BTreeMap::new();
        for change in changes {
            let (Some(replica), Some(rolling)) = (&change.lifecycle.replica, change.rolling)
            else {
                continue;
            };
            let address = &change.address;
            let group = (&change.connection, address.kind(), address.components(), &replica.of);
            groups.entry(group).or_default().push((replica.number, change, rolling));
        }
        for mut group in groups.into_values() {
            group.sort_by_key(|(number, ..)| *number);
            for (index, (_, change, rolling)) in group.iter().enumerate() {
                let Some(before) = index.checked_sub(rolling.parallelism) else { continue };
                let Some((_, before, _)) =
                    group.get(before).filter(|_| rolling.parallelism > 0)
                else {
                    continue;
                };
                let first = if change.creates_first() {
                    None
                } else {
                    self.backward.get(&change.address)
                };
                let first = first
                    .or_else(|| self.begins.get(&change.address))
                    .or_else(|| self.forward.get(&change.address))
                    .copied();
                let (Some(first), Some(before)) =
                    (first, self.forward.get(&before.address).copied())
                else {
                    continue;
                };
                if self.waits_for(before, first) {
                    continue;
                }
                match rolling.on_failure {
                    OnFailure::Continue => self.after[first].push(before),
                    OnFailure::Pause | OnFailure::Rollback => self.needs[first].push(before),
                }
            }
        }
    }
}
