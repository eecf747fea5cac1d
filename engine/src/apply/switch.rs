//! Starting and stopping, without any other change.

use crate::apply::Run;
use crate::apply::perform::{Made, NOTHING_TO_DO, Stop};
use crate::error::CallError;
use crate::expr::Expr;
use crate::journal::Effect;
use crate::limit::{self, Call};
use crate::plan::{Step, Switching};
use crate::store::Record;

impl Run<'_> {
    /// Starts or stops an object. Its record keeps the spec that was declared, and says who
    /// stopped it: that is how a plan tells this from what others did.
    pub(crate) async fn switch(
        &self,
        step: &Step,
        switching: &Switching,
    ) -> Result<Option<String>, Stop> {
        let change = self.change(step)?;
        let kind = self.kind(change)?;
        let gone = || CallError::refused(format!("nothing is recorded of `{}`", step.address));
        let record = self.state.records.get(&step.address).ok_or_else(gone)?;
        let line = self.line(change).await?;
        let from = change.before.clone().unwrap_or_default();
        let to = change.after.as_ref().and_then(Expr::known).cloned().unwrap_or_default();
        let name = self.name(change, &to);
        let id = change.id.clone().unwrap_or_default();
        let intent = Record { unfinished: true, id: id.clone(), ..record.clone() };
        let call = async {
            let _permit = line.permits.acquire().await;
            let same = from.same(&to);
            let facts = if same {
                change.facts.clone()
            } else {
                let call = kind.calls.update(&line.connection, &name, &id, &from, &to);
                let limit = change.lifecycle.timeouts.update;
                kind.mark_facts(limit::within(limit, Call::Update, call).await?, &record.spec)
            };
            let stopped = switching.stopped.clone();
            // What an earlier run left unfinished, this does not finish.
            let record = Record { facts, stopped, id: id.clone(), ..record.clone() };
            let note = same.then(|| NOTHING_TO_DO.to_owned());
            Ok(Made { effect: Effect::Put(Box::new(record)), note })
        };
        self.journaled(step, Some(intent), call).await
    }
}
