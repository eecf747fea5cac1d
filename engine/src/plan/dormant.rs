//! What is to happen to what a profile made that is off and stays.

use crate::address::Address;
use crate::diagnostic::{Code, Diagnostic};
use crate::expr::Expr;
use crate::observed::Observation;
use crate::path::Path;
use crate::plan::Standing;
use crate::plan::change::{Action, Change, Difference, Reason};
use crate::plan::decide::Walk;
use crate::plan::seen::{Question, Seen};
use crate::plan::undeclared::{is_gone, unreadable};
use crate::program::{Fate, alternatives};
use crate::schema::Disruption;
use crate::store::Record;
use crate::value::Value;

impl Walk<'_> {
    /// Whether it belongs to a profile that is off and stays all the same. So does what it
    /// is reached through.
    pub(super) fn is_kept_dormant(&self, address: &Address) -> bool {
        let graph = self.inputs.graph;
        graph.program().dormant.fate != Fate::Delete
            && !self.inputs.destroy
            && graph.dormant(address).is_some()
    }

    /// Refuses to remove what something dormant that stays still needs.
    pub(super) fn guard_dormant(&mut self) {
        let mut found = Vec::new();
        for kept in &self.decisions.kept_dormant {
            let Some(record) = self.inputs.state.records.get(kept) else { continue };
            for needed in &record.dependencies {
                let goes = matches!(
                    self.action(needed),
                    Some(Action::Delete | Action::Cascade | Action::Forget)
                );
                if goes {
                    let message =
                        format!("`{needed}` would go, but `{kept}`, which stays, needs it");
                    let profile = record.lifecycle.profiles.first().map_or("", String::as_str);
                    let profile = alternatives(profile).collect::<Vec<_>>().join("` or `");
                    found.push(
                        Diagnostic::new(Code::DormantNeeds, message)
                            .note(format!("profile `{profile}` is off and kept"))
                            .hint("let it go too: leave out `--dormant`"),
                    );
                }
            }
        }
        self.decisions.diagnostics.extend(found);
    }

    /// Stops what runs, when that is what somebody wants; nothing else about it is touched.
    pub(super) fn dormant_stop(&mut self, record: &Record) -> Option<Change> {
        let graph = self.inputs.graph;
        if graph.program().dormant.fate != Fate::Stop || record.interrupted {
            return None;
        }
        let profile = graph.dormant(&record.address)?.off.clone()?;
        let registry = self.inputs.registry;
        let operations = registry.operations(record.address.kind())?;
        let off = operations.switched(&record.spec, false)?;
        // `dollop stop` was before us.
        if off.same(&record.spec) || record.stopped.is_some() {
            return None;
        }
        let kind = registry.kind(record.address.kind())?;
        let connection = record.connection.clone()?;
        self.ensure_connection(&connection);
        let mut facts = record.facts.clone();
        let mut id = record.id.clone();
        if let Some(Standing::Deferred(_)) = self.standing(&connection) {
            let message = format!("`{}` is not stopped by this plan", record.address);
            let note = format!(
                "`{connection}`, which it is reached through, can be used only once this is \
                 applied"
            );
            self.decisions.warnings.push(
                Diagnostic::new(Code::Hazard, message)
                    .note(note)
                    .hint("apply this, and then plan again with `--dormant stop`"),
            );
            return None;
        }
        match self.seen(&connection, &record.address, || Question::of(record)) {
            Seen::This(Observation::Found(found)) => {
                let running = operations.switched(&found.spec, true);
                if running.is_none_or(|running| !running.same(&found.spec)) {
                    return None;
                }
                facts = kind.mark_facts(found.facts.clone(), &record.spec);
                id.clone_from(&found.id);
            }
            // Nothing runs that could be stopped; that it is gone is said once it is on.
            Seen::This(found) if is_gone(found) => return None,
            Seen::This(Observation::Unreadable(error)) => {
                let found = unreadable(&record.address, error);
                self.decisions.diagnostics.push(found);
                return None;
            }
            Seen::This(Observation::Gone | Observation::Unchecked)
            | Seen::Later
            | Seen::Not => {}
        }
        Some(Change {
            address: record.address.clone(),
            connection: Some(connection),
            action: Action::Update,
            reasons: vec![Reason::ProfileOff(profile)],
            differences: different(&record.spec, &off),
            disruption: Disruption::Restart,
            before: Some(record.spec.clone()),
            after: Some(Expr::Value(off)),
            id: Some(id),
            facts,
            dependencies: record.dependencies.clone(),
            lifecycle: record.lifecycle.clone(),
            succession: None,
            rolling: None,
            span: None,
        })
    }
}

/// The attributes in which two specs differ.
fn different(from: &Value, to: &Value) -> Vec<Difference> {
    let (Some(from), Some(to)) = (from.as_map(), to.as_map()) else { return Vec::new() };
    let changed = to.iter().filter(|(name, value)| {
        from.get(name.as_str()).is_none_or(|before| !before.same(value))
    });
    changed
        .map(|(name, value)| Difference {
            path: Path::attribute(name),
            before: from.get(name.as_str()).cloned(),
            after: Some(Expr::Value(value.clone())),
            drift: false,
            replaces: false,
            span: None,
        })
        .collect()
}
