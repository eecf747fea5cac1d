//! What the state says once an object has another name.

use crate::apply::Run;
use crate::apply::perform::record;
use crate::journal::Effect;
use crate::kind::Kind;
use crate::plan::renaming::{Renaming, id_of, records};
use crate::plan::{Action, Change};
use crate::store::Record;
use crate::value::Value;

impl Run<'_> {
    /// The record of an object that was changed in place, and with a new name, those of all
    /// that is named after it: never a moment in which one has the old name and one the new.
    pub(crate) fn renamed(
        &self,
        change: &Change,
        kind: &Kind,
        was: (&str, &Value),
        spec: &Value,
        facts: Value,
    ) -> Effect {
        let put = |record: Record| Effect::Put(Box::new(record));
        // A run that was killed may have given it its name: then the state alone knows the old
        // one, and so do the records of what is named after it.
        let recorded = self.state.records.get(&change.address);
        let named = recorded.map_or(was, |record| (record.id.as_str(), &record.spec));
        let renaming = change.connection.as_ref().and_then(|connection| {
            Renaming::between(&change.address, connection, kind, named, spec)
        });
        let Some(renaming) = renaming else {
            return put(record(change, was.0.to_owned(), spec.clone(), facts));
        };
        let id = id_of(kind, &change.address, spec).unwrap_or_else(|| was.0.to_owned());
        let mut effects = vec![put(record(change, id, spec.clone(), facts))];
        let learned = self.learned();
        let known = self.state.records.values().filter(|record| {
            let action = self.changes.get(&record.address).map(|change| change.action);
            // These are removed under the name that they had, before this.
            !matches!(
                action,
                Some(
                    Action::Create
                        | Action::Replace
                        | Action::Delete
                        | Action::Cascade
                        | Action::Forget
                )
            )
        });
        let known = known.map(|record| learned.objects.get(&record.address).unwrap_or(record));
        let followers = records(&renaming, known, self.pool.registry());
        effects.extend(followers.into_iter().map(put));
        Effect::together(effects)
    }
}
