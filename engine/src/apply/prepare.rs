//! What a successor needs is fetched while what it replaces still stands.

use crate::apply::Run;
use crate::error::CallError;
use crate::kind::Kind;
use crate::limit::{self, Call};
use crate::plan::{Action, Change};
use crate::pool::Line;

impl Run<'_> {
    /// Has what the successor of something needs fetched, before that is removed: where it
    /// cannot be had, nothing is lost.
    pub(crate) async fn prepare(
        &self,
        change: &Change,
        kind: &Kind,
        line: &Line,
    ) -> Result<(), CallError> {
        if change.action != Action::Replace || change.creates_first() {
            return Ok(());
        }
        // What this run is still to make, an image that is built, cannot be there yet.
        let by_name = kind.schema.spec.values().filter(|attribute| attribute.by_name);
        let kinds: Vec<&str> =
            by_name.flat_map(|attribute| &attribute.handle).map(String::as_str).collect();
        let waits = change.dependencies.iter().any(|address| {
            let action = self.changes.get(address).map(|change| change.action);
            kinds.contains(&address.kind())
                && action.is_some_and(Action::touches_world)
                && !self.learned().objects.contains_key(address)
        });
        // What is not known yet, or does not fit, is told when the successor is made.
        let Ok(spec) = self.spec(change) else { return Ok(()) };
        if waits {
            return Ok(());
        }
        let name = self.name(change, &spec);
        let call = async {
            let _permit = line.permit(kind).await;
            kind.calls.prepare(&line.connection, &name, &spec).await
        };
        let limit = change.lifecycle.timeouts.create;
        let prepared = limit::within(limit, Call::Create, call).await;
        prepared.map_err(|error| error.note("what is there was left as it is"))
    }
}
