//! Nothing goes that holds what nobody agreed to lose, nor what hangs on it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use tokio::sync::OnceCell;

use crate::address::Address;
use crate::apply::Run;
use crate::apply::perform::Stop;
use crate::error::CallError;
use crate::journal::StepId;
use crate::kind::Kind;
use crate::plan::{Change, Operation, Plan, Standing, Step, asked, conditional, held, refusal};
use crate::pool::{Line, Pool};
use crate::resource::{Held, Name, Wanted};

/// What is asked before the first step that would remove something of it.
#[derive(Default)]
pub(super) struct Guards {
    /// The objects that the object of a delete hangs on, which go after it.
    above: HashMap<StepId, Vec<Address>>,
    /// Whether they may go; each is asked once.
    answers: BTreeMap<Address, OnceCell<bool>>,
}

impl Guards {
    /// Those of a plan.
    pub(super) fn of(plan: &Plan, changes: &HashMap<&Address, &Change>, pool: &Pool) -> Self {
        let mut guards = Self::default();
        let deletes = |id: &StepId| {
            let step = plan.steps.get(id.index())?;
            let change = changes.get(&step.address).copied()?;
            (step.operation == Operation::Delete).then_some((step, change))
        };
        let is_asked = |change: &Change| {
            let kind = pool.registry().kind(change.address.kind());
            kind.is_some_and(|kind| asked(kind, change))
        };
        for (step, change) in plan.steps.iter().filter_map(|step| deletes(&step.id)) {
            let is_known = change.id.as_ref().is_some_and(|id| !id.is_empty());
            if !is_asked(change)
                || !is_known
                || plan.consents.contains(&change.address)
                || change.creates_first()
                || conditional(change)
            {
                continue;
            }
            let mut below: BTreeMap<StepId, &Change> = BTreeMap::new();
            let mut queue = step.needs.clone();
            while let Some(id) = queue.pop() {
                if let Some((step, change)) = deletes(&id)
                    && below.insert(id, change).is_none()
                {
                    queue.extend(&step.needs);
                }
            }
            // What it holds may be theirs, and gone with them by the time it goes itself: the
            // rows of partitions, the tables of a role.
            if below.values().any(|change| is_asked(change)) {
                continue;
            }
            let open = plan.connections.iter().any(|connection| {
                change.connection.as_ref() == Some(&connection.address)
                    && connection.standing == Standing::Open
            });
            let below = below.into_iter().filter(|(_, other)| {
                // Otherwise nobody may be there yet to ask.
                open || other.connection == change.connection
            });
            let below: BTreeSet<StepId> = below.map(|(id, _)| id).collect();
            if !below.is_empty() {
                guards.answers.insert(change.address.clone(), OnceCell::new());
            }
            for id in below {
                guards.above.entry(id).or_default().push(change.address.clone());
            }
        }
        guards
    }
}

impl Run<'_> {
    /// Refuses to remove what hangs on something that has to stay: half of it would be gone
    /// when that is found out.
    pub(super) async fn guard_above(&self, step: &Step) -> Result<(), Stop> {
        for address in self.guards.above.get(&step.id).into_iter().flatten() {
            let Some(answer) = self.guards.answers.get(address) else { continue };
            let Some(change) = self.changes.get(address).copied() else { continue };
            let mut refused = None;
            let asking = async {
                refused = self.ask(change).await.err();
                refused.is_none()
            };
            let may_go = *answer.get_or_init(|| asking).await;
            if !may_go {
                return Err(match refused {
                    Some(error) => error.into(),
                    None => Stop::Stays(address.clone()),
                });
            }
        }
        Ok(())
    }

    async fn ask(&self, change: &Change) -> Result<(), CallError> {
        let kind = self.kind(change)?;
        let line = self.line(change).await?;
        let _permit = line.permit(kind).await;
        let name = self.name(change, &change.before.clone().unwrap_or_default());
        let id = change.id.clone().unwrap_or_default();
        let asked = self.guard(change, kind, &line, &name, &id).await;
        asked.map_err(|error| CallError {
            message: format!("`{}` stays: {}", change.address, error.message),
            ..error
        })
    }

    /// Refuses to remove what holds something nobody agreed to lose. The plan said what it
    /// held; something may have come since, or nobody could look.
    pub(super) async fn guard(
        &self,
        change: &Change,
        kind: &Kind,
        line: &Line,
        name: &Name,
        id: &str,
    ) -> Result<(), CallError> {
        if !asked(kind, change) || self.plan.consents.contains(&change.address) {
            return Ok(());
        }
        let wanted = Wanted {
            id: Some(id.to_owned()),
            name: name.clone(),
            spec: change.before.clone().unwrap_or_default(),
            facts: Some(change.facts.to_json()),
        };
        match held(kind, &line.connection, wanted).await? {
            Held::Content(content) => Err(refusal(&change.address, &content)),
            Held::Unknown | Held::Nothing(_) => Ok(()),
        }
    }
}
