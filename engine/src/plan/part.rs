//! A plan for a part of a stack.
//!
//! The whole is planned, so that nothing is overlooked; then what is left out is taken out of
//! the plan. What is chosen brings along all it needs.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;
use std::str::FromStr;

use regex::Regex;
use serde::{Deserialize, Serialize};

use crate::address::Address;
use crate::diagnostic::{Code, Diagnostic, Findings, did_you_mean};
use crate::expr::{Expr, Reference};
use crate::graph::Graph;
use crate::journal::StepId;
use crate::plan::change::{Action, Change};
use crate::plan::{CheckPlan, Operation, Plan};
use crate::program::{Program, alternatives, unknown_profile};
use crate::store::State;

/// Resources, as people choose them: an address, in which `*` stands for any characters but
/// `/` and `**` for any, a component (`shop/`), a kind, a provider, or `profile:NAME`.
#[derive(Clone, Debug)]
pub struct Pattern {
    text: String,
    chooses: Chooses,
}

#[derive(Clone, Debug)]
enum Chooses {
    Addresses(Regex),
    /// A kind, or all of a provider.
    Kind(String),
    Profile(String),
}

/// What stands before the name of a profile; no kind has such a name.
const PROFILE: &str = "profile:";

impl Pattern {
    /// Whether it chooses a resource of these profiles.
    fn matches(&self, address: &Address, profiles: &[String]) -> bool {
        match &self.chooses {
            Chooses::Addresses(regex) => regex.is_match(&address.to_string()),
            Chooses::Kind(name) => {
                let rest = address.kind().strip_prefix(name.as_str());
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
            }
            Chooses::Profile(name) => {
                profiles.iter().flat_map(|names| alternatives(names)).any(|one| one == name)
            }
        }
    }
}

impl FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("an address, or a pattern such as `docker::*`, is expected".to_owned());
        }
        if let Some(name) = text.strip_prefix(PROFILE) {
            let chooses = Chooses::Profile(name.to_owned());
            return Ok(Self { text: text.to_owned(), chooses });
        }
        // An address has a dot before its name.
        if !text.contains(['.', '*', '/']) {
            let chooses = Chooses::Kind(text.to_owned());
            return Ok(Self { text: text.to_owned(), chooses });
        }
        let all = if text.ends_with('/') { format!("{text}**") } else { text.to_owned() };
        // `**` first: of the two it is the longer.
        let escaped = regex::escape(&all).replace(r"\*\*", ".*").replace(r"\*", "[^/]*");
        let regex = Regex::new(&format!("^{escaped}$")).map_err(|error| error.to_string())?;
        Ok(Self { text: text.to_owned(), chooses: Chooses::Addresses(regex) })
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

/// Which part of a stack is meant; all of it when nothing is said.
#[derive(Clone, Debug, Default)]
pub struct Part {
    /// Only these, with what they need.
    pub only: Vec<Pattern>,
    /// Not these, nor what needs them.
    pub exclude: Vec<Pattern>,
    /// Of these, only what is among them: see [`changed`].
    pub changed: Option<BTreeSet<Address>>,
}

impl Part {
    fn is_all(&self) -> bool {
        self.only.is_empty() && self.exclude.is_empty() && self.changed.is_none()
    }
}

/// What two versions of a stack declare differently: what only one has, and what is told
/// something else.
pub fn changed(before: &Program, now: &Program) -> BTreeSet<Address> {
    let by_address = |program: &'_ Program| -> HashMap<Address, usize> {
        let all = program.declarations.iter().enumerate();
        all.map(|(index, declaration)| (declaration.address.clone(), index)).collect()
    };
    let (old, new) = (by_address(before), by_address(now));
    let same = |address: &Address| {
        let (Some(old), Some(new)) = (old.get(address), new.get(address)) else { return false };
        let (old, new) = (&before.declarations[*old], &now.declarations[*new]);
        old.connection == new.connection
            && old.attributes == new.attributes
            && old.lifecycle == new.lifecycle
            && old.lookup == new.lookup
    };
    old.keys().chain(new.keys()).filter(|address| !same(address)).cloned().collect()
}

/// What a plan for a part leaves out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LeftOut {
    /// What would change as well.
    pub changes: Vec<Address>,
    /// What needs something that changes, and is left as it is.
    pub dependents: Vec<Address>,
}

impl Plan {
    /// Takes out what is not of the part. `named` are pairs of what gets another name and what
    /// needs that to happen, whether or not the graph says so.
    ///
    /// # Errors
    /// A pattern that fits nothing, and what cannot be done without what is left out.
    pub fn narrow(
        &mut self,
        part: &Part,
        graph: &Graph,
        state: &State,
        named: &[(Address, Address)],
    ) -> Result<(), Findings> {
        if part.is_all() {
            return Ok(());
        }
        let needs = self.needs(graph, state, named);
        let fits = |pattern: &Pattern, address: &Address| {
            let lifecycle = match graph.get(address) {
                Some(declared) => Some(&declared.lifecycle),
                None => state.records.get(address).map(|record| &record.lifecycle),
            };
            pattern.matches(address, lifecycle.map_or(&[], |lifecycle| &lifecycle.profiles))
        };
        let mut diagnostics = Vec::new();
        for pattern in part.only.iter().chain(&part.exclude) {
            if !needs.keys().any(|address| fits(pattern, address)) {
                let addresses = needs.keys().map(ToString::to_string);
                diagnostics.push(self.fits_nothing(pattern, graph, addresses));
            }
        }
        let chosen = chosen(part, &needs, &fits);
        diagnostics.extend(self.stuck(&chosen));
        if !diagnostics.is_empty() {
            return Err(Findings { diagnostics, sources: self.sources.clone() });
        }
        let is_change = |action: Action| action != Action::Keep;
        let changing: BTreeSet<&Address> = self
            .changes
            .iter()
            .filter(|change| is_change(change.action) && chosen.contains(&change.address))
            .map(|change| &change.address)
            .collect();
        let dependents = needs.iter().filter(|(address, needed)| {
            !chosen.contains(*address) && needed.iter().any(|needed| changing.contains(needed))
        });
        let out = self
            .changes
            .iter()
            .filter(|change| is_change(change.action) && !chosen.contains(&change.address));
        let changes: Vec<Address> = out.map(|change| change.address.clone()).collect();
        // What was never made is not disturbed.
        let made = |address: &Address| state.records.contains_key(address);
        let dependents = dependents.map(|(address, _)| address);
        let dependents = dependents.filter(|address| made(address)).cloned().collect();
        let gone: HashSet<&Address> = changes.iter().collect();
        let waits = |expr: &Expr| {
            let mut waits = false;
            expr.each_reference(&mut |Reference { address, .. }| {
                waits |= gone.contains(address);
            });
            waits
        };
        let declared: HashMap<_, _> = graph
            .program()
            .outputs
            .iter()
            .map(|output| (&output.name, &output.value))
            .collect();
        self.outputs.retain_mut(|output| {
            if declared.get(&output.name).is_some_and(|value| waits(value)) {
                output.after = output.before.clone().map(Expr::Value);
            }
            output.before.is_some() || output.after.is_some()
        });
        self.checks.retain(|CheckPlan { check, .. }| {
            !waits(&check.condition) && !waits(&check.message)
        });
        self.changes.retain(|change| chosen.contains(&change.address));
        self.losses.retain(|loss| chosen.contains(&loss.address));
        self.notes.retain(|address, _| chosen.contains(address));
        self.keep_steps(&chosen);
        self.left_out = Some(LeftOut { changes, dependents });
        Ok(())
    }

    /// Why a pattern fits none of the addresses, and what to do about it.
    fn fits_nothing(
        &self,
        pattern: &Pattern,
        graph: &Graph,
        addresses: impl Iterator<Item = String>,
    ) -> Diagnostic {
        let found = Diagnostic::new(Code::Usage, format!("`{pattern}` fits no resource"));
        let is_off = |names: &str| {
            !alternatives(names).any(|name| self.profiles.get(name).copied().unwrap_or(false))
        };
        if let Chooses::Profile(name) = &pattern.chooses {
            // A destroy knows what was made, not what the script says.
            return if self.destroy {
                found.note(format!("nothing of profile `{name}` was made"))
            } else if !self.profiles.contains_key(name) {
                unknown_profile(name, &self.profiles)
            } else if is_off(name) {
                found
                    .note(format!("profile `{name}` is off, and nothing of it was made"))
                    .hint(format!("turn it on with `--profile {name}`"))
            } else {
                found.note(format!("profile `{name}` holds no resource"))
            };
        }
        let mut dormant = graph.program().dormant.declarations.iter();
        let dormant = dormant.find(|one| pattern.matches(&one.address, &[]));
        let off = dormant.and_then(|one| one.lifecycle.profiles.iter().find(|one| is_off(one)));
        if let Some(name) = off.and_then(|names| alternatives(names).next()) {
            return found
                .note(format!("what it fits belongs to profile `{name}`, which is off"))
                .hint(format!("turn it on with `--profile {name}`"));
        }
        let addresses: Vec<String> = addresses.collect();
        if let Chooses::Kind(name) = &pattern.chooses {
            let component = format!("{name}/");
            if addresses.iter().any(|address| address.starts_with(&component)) {
                return found.hint(format!("did you mean the component, `{component}`?"));
            }
            let kinds = graph.in_order().map(|declared| declared.address.kind());
            let near = did_you_mean(name, kinds);
            return found.hint(match near {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => "`dollop graph` shows the addresses; the name of a kind alone, as in \
                         `docker::network`, stands for all of it"
                    .to_owned(),
            });
        }
        let near = did_you_mean(&pattern.text, addresses.iter().map(String::as_str));
        match near.filter(|_| !pattern.text.contains('*')) {
            Some(meant) => found.hint(format!("did you mean `{meant}`?")),
            None => {
                found.hint("`dollop graph` shows the addresses; `*` stands for any part of one")
            }
        }
    }

    /// What everything that is declared or recorded needs.
    fn needs(
        &self,
        graph: &Graph,
        state: &State,
        named: &[(Address, Address)],
    ) -> BTreeMap<Address, BTreeSet<Address>> {
        let mut needs: BTreeMap<Address, BTreeSet<Address>> = BTreeMap::new();
        for declaration in graph.in_order() {
            let needed = graph.needs(&declaration.address);
            let needed = needed.map(|other| other.address.clone());
            needs.entry(declaration.address.clone()).or_default().extend(needed);
        }
        for record in state.records.values() {
            // What is declared counts as it is declared.
            if graph.get(&record.address).is_some() {
                continue;
            }
            let needed = record.dependencies.iter().chain(&record.connection).cloned();
            needs.entry(record.address.clone()).or_default().extend(needed);
        }
        // What has just got another address is recorded under the old one.
        for change in &self.changes {
            needs.entry(change.address.clone()).or_default();
        }
        // What stays would be recorded under a name that nothing has. What goes does so under
        // the old one.
        let goes = |change: &&Change| {
            matches!(change.action, Action::Delete | Action::Cascade | Action::Forget)
        };
        let going: HashSet<&Address> =
            self.changes.iter().filter(goes).map(|change| &change.address).collect();
        for (renamed, other) in named.iter().filter(|(_, other)| !going.contains(other)) {
            needs.entry(other.clone()).or_default().insert(renamed.clone());
        }
        needs
    }

    /// What would have to go or come first, and is left out.
    fn stuck(&self, chosen: &BTreeSet<Address>) -> Vec<Diagnostic> {
        let goes = |change: &&Change| matches!(change.action, Action::Delete | Action::Cascade);
        let mut needed: BTreeMap<&Address, &Address> = BTreeMap::new();
        for change in self.changes.iter().filter(goes) {
            if !chosen.contains(&change.address) {
                needed
                    .extend(change.dependencies.iter().map(|needed| (needed, &change.address)));
            }
        }
        let going = self.changes.iter().filter(goes);
        let going = going.filter(|change| chosen.contains(&change.address));
        going
            .filter_map(|change| {
                let other = needed.get(&change.address)?;
                let message = format!(
                    "`{}` cannot go without `{other}`, which needs it and is left out",
                    change.address
                );
                let found = Diagnostic::new(Code::Usage, message);
                Some(found.hint(format!("add `--only {other}`")))
            })
            .collect()
    }

    /// Leaves only the steps of what is chosen, numbered anew.
    fn keep_steps(&mut self, chosen: &BTreeSet<Address>) {
        let kept = |step: &super::Step| {
            // A record of something that stays is written anew only for what moved.
            chosen.contains(&step.address) || step.operation == Operation::Read
        };
        let mut numbers: BTreeMap<StepId, StepId> = BTreeMap::new();
        for step in self.steps.iter().filter(|step| kept(step)) {
            let number = StepId(u32::try_from(numbers.len()).unwrap_or(u32::MAX));
            numbers.insert(step.id, number);
        }
        self.steps.retain(kept);
        for step in &mut self.steps {
            step.id = numbers[&step.id];
            let renumber = |ids: &mut Vec<StepId>| {
                *ids = ids.iter().filter_map(|id| numbers.get(id).copied()).collect();
            };
            renumber(&mut step.needs);
            renumber(&mut step.after);
        }
    }
}

/// What the patterns choose, with all it needs, without what is excluded and all that needs
/// that.
fn chosen(
    part: &Part,
    needs: &BTreeMap<Address, BTreeSet<Address>>,
    fits: &dyn Fn(&Pattern, &Address) -> bool,
) -> BTreeSet<Address> {
    let fits = |patterns: &[Pattern], address: &Address| {
        patterns.iter().any(|pattern| fits(pattern, address))
    };
    let start = needs.keys().filter(|address| {
        let changed = part.changed.as_ref();
        changed.is_none_or(|changed| changed.contains(address))
            && (part.only.is_empty() || fits(&part.only, address))
    });
    let mut chosen: BTreeSet<Address> = BTreeSet::new();
    let mut queue: Vec<&Address> = start.collect();
    while let Some(address) = queue.pop() {
        if chosen.insert(address.clone()) {
            queue.extend(needs.get(address).into_iter().flatten());
        }
    }
    let mut needed_by: BTreeMap<&Address, Vec<&Address>> = BTreeMap::new();
    for (address, needed) in needs {
        for other in needed {
            needed_by.entry(other).or_default().push(address);
        }
    }
    let mut queue: Vec<&Address> =
        needs.keys().filter(|address| fits(&part.exclude, address)).collect();
    let mut seen: HashSet<&Address> = HashSet::new();
    while let Some(address) = queue.pop() {
        if seen.insert(address) {
            chosen.remove(address);
            queue.extend(needed_by.get(address).into_iter().flatten());
        }
    }
    chosen
}
