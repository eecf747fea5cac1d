//! `plan`: compare what is declared with what is there, and decide.

mod change;
mod checks;
pub(crate) mod conflicts;
mod connections;
mod contents;
mod covering;
mod decide;
pub(crate) mod desired;
mod diff;
mod dormant;
mod drift;
mod following;
mod lookups;
mod losses;
mod moves;
mod outputs;
mod part;
mod previews;
mod renames;
pub(crate) mod renaming;
mod resources;
mod rotation;
mod seen;
mod steps;
mod succession;
mod switch;
mod undeclared;

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde::{Deserialize, Serialize};

use crate::address::Address;
use crate::ahead::Foreseen;
use crate::diagnostic::{Code, Diagnostic, Findings, Sources, did_you_mean};
use crate::expr::Expr;
use crate::graph::Graph;
use crate::journal::StepId;
use crate::kind::Registry;
use crate::observed::Observed;
use crate::plain_type::PlainType;
use crate::resource::Script;
use crate::store::State;
use crate::survey::findings;
use crate::value::Value;

pub use change::{Action, Change, Difference, Reason, Succession};
pub(crate) use checks::judge;
pub use checks::{CheckPlan, CheckStanding};
pub(crate) use connections::unusable;
pub use contents::{Contents, edited, pin};
pub(crate) use decide::{Decisions, Inputs, Reads, decide, missing, undeclared_ids};
pub(crate) use diff::entries;
pub use drift::{Drift, drift, is_comparable};
pub use lookups::{LookupOutcome, LookupPlan};
pub(crate) use lookups::{MAY_BE_MISSING, nothing_there, probe};
pub use losses::{Loss, consent_hint, weigh};
pub(crate) use losses::{asked, held, refusal};
pub(crate) use moves::{check as check_moves, forget_unmet as forget_unmet_moves, moved};
pub(crate) use outputs::misfit;
pub use part::{LeftOut, Part, Pattern, changed};
pub use previews::preview;
pub use renaming::aside;
pub(crate) use steps::conditional;
pub use switch::{Switching, as_left, switch};

/// The version of the plan's form. A plan of another version is refused.
pub const FORMAT: u32 = 2;

/// Everything an apply will do: complete, serialisable, the same bytes for the same inputs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The version of this form.
    pub format: u32,
    /// The stack's name.
    pub stack: String,
    /// The environment it is for; `default` when none was chosen.
    #[serde(default)]
    pub environment: String,
    /// The serial of the state it was made from; apply refuses another.
    pub serial: u64,
    /// Whether it removes everything.
    pub destroy: bool,
    /// Whether the world was not looked at (`--no-refresh`).
    pub unrefreshed: bool,
    /// SHA-256 of the files the script read, by path.
    pub digests: BTreeMap<String, String>,
    /// SHA-256 of what else of this machine decides what is made, by path.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub contents: BTreeMap<Address, Contents>,
    /// How each connection stands.
    pub connections: Vec<ConnectionPlan>,
    /// What has another name than it is recorded with: runs that were killed gave it that. The
    /// state learns it before anything else is done.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub renamed: BTreeMap<Address, String>,
    /// What is looked up and not managed.
    #[serde(default)]
    pub lookups: Vec<LookupPlan>,
    /// Every resource that does not just stay, in the order of the graph; what goes comes
    /// last, dependents first.
    pub changes: Vec<Change>,
    /// How many resources stay as they are.
    pub kept: usize,
    /// Every profile of the script, and whether it is on.
    #[serde(default)]
    pub profiles: BTreeMap<String, bool>,
    /// What exists, belongs to a profile that is off, and stays.
    #[serde(default)]
    pub dormant: Vec<Address>,
    /// The secrets it was made with that what is declared holds only inside longer texts.
    #[serde(default)]
    pub secrets: Vec<Value>,
    /// Outputs before and after.
    pub outputs: Vec<OutputChange>,
    /// What outputs must be, of those that are known only after the apply.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub output_types: BTreeMap<String, PlainType>,
    /// Conditions that must hold, in the order of the script.
    #[serde(default)]
    pub checks: Vec<CheckPlan>,
    /// What is in the objects that go, by address, where their services told.
    #[serde(default)]
    pub losses: Vec<Loss>,
    /// What the services say about what is made or changed.
    #[serde(default)]
    pub notes: BTreeMap<Address, Vec<String>>,
    /// What is sent, where a service's own lists tell more than the declarations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub scripts: BTreeMap<Address, Script>,
    /// The objects whose content may be lost.
    #[serde(default)]
    pub consents: BTreeSet<Address>,
    /// What it leaves out, when it is for a part of the stack.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_out: Option<LeftOut>,
    /// The work, in an order in which everything comes after what it needs.
    pub steps: Vec<Step>,
    /// Set when it starts or stops what is there and does nothing else; never saved.
    #[serde(skip)]
    pub switch: Option<Switching>,
    /// Warnings for the reader.
    pub warnings: Vec<Diagnostic>,
    /// The scripts that spans point into; not part of a saved plan's identity.
    #[serde(skip)]
    pub sources: Sources,
}

/// How a connection stands while planning.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConnectionPlan {
    /// Its address.
    pub address: Address,
    /// How to reach it, as far as known; secrets marked.
    pub spec: Expr,
    /// The arguments as declared, references and all, for the record.
    pub arguments: Option<Expr>,
    /// What it needs, for the record.
    pub dependencies: Vec<Address>,
    /// The address in words (`127.0.0.1:5432 as postgres`); empty while unknown.
    pub target: String,
    /// Whether it could be used.
    pub standing: Standing,
    /// Whether a default one nobody declared.
    pub implicit: bool,
    /// Whether the script uses it still; otherwise it leaves the state.
    pub declared: bool,
}

/// Whether a connection could be used while planning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It was opened and what lives behind it was read.
    Open,
    /// Nothing behind it needs looking at.
    Unused,
    /// It can only be opened during apply, because of this.
    Deferred(DeferredBy),
    /// The world was not looked at.
    Unrefreshed,
}

/// Why a connection can only be opened during apply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeferredBy {
    /// Something it needs is made, replaced or restarted first.
    Upstream {
        /// What.
        address: Address,
        /// What happens to it.
        action: Action,
    },
    /// An argument is not known yet.
    Unknown {
        /// The argument.
        attribute: String,
    },
}

/// An output before and after.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OutputChange {
    /// Its name.
    pub name: String,
    /// What it was; `None` when it is new.
    pub before: Option<Value>,
    /// What it will be; `None` when it goes.
    pub after: Option<Expr>,
}

/// What a step does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Looks something up that could not be looked up while planning.
    Read,
    /// Waits for a deferred connection and looks at what lives behind it.
    Connect,
    /// Makes an object.
    Create,
    /// Gives what was made beside its predecessor the place of that.
    TakeOver,
    /// Gives one a name nobody has, so that another can take its own.
    MakeWay,
    /// Changes one in place.
    Update,
    /// Removes one.
    Delete,
    /// Compares one with its declaration; makes or corrects it if needed.
    Verify,
    /// Writes the state only.
    Record,
}

/// One piece of work.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Its number, in the order of [`Plan::steps`].
    pub id: StepId,
    /// Whose.
    pub address: Address,
    /// What it does.
    pub operation: Operation,
    /// The steps that must be done before.
    pub needs: Vec<StepId>,
    /// The steps that must have ended before, in whatever way.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<StepId>,
}

/// How many resources each action touches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Made.
    pub create: usize,
    /// Changed in place.
    pub update: usize,
    /// Removed and made again.
    pub replace: usize,
    /// Removed.
    pub delete: usize,
    /// Removed along with what they live in.
    pub cascade: usize,
    /// Taken into the state.
    pub adopt: usize,
    /// Let out of the state.
    pub forget: usize,
    /// Looked at during apply.
    pub verify: usize,
    /// Staying as they are.
    pub keep: usize,
}

/// How a plan is made.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Plan from the state alone; nothing was read.
    pub unrefreshed: bool,
    /// Remove everything the state remembers; the graph declares nothing.
    pub destroy: bool,
    /// What is to be made anew although nothing demands it.
    pub replace: BTreeSet<Address>,
    /// The objects whose content may be lost.
    pub allow_data_loss: BTreeSet<Address>,
    /// Which part of the stack is meant.
    pub part: Part,
}

/// Compares what is declared with what was observed, and decides.
///
/// # Errors
/// Everything found wrong: connections that do not answer, objects that belong to others,
/// values that do not fit, what `prevent_destroy` forbids.
pub fn plan(
    graph: &Graph,
    state: &State,
    observed: &Observed,
    registry: &Registry,
    options: &Options,
) -> Result<Plan, Findings> {
    plan_from(graph, state, observed, registry, options, None)
}

/// The same from a walk over this graph, this state and all that was observed, with these
/// options, where there was one already.
pub(crate) fn plan_from(
    graph: &Graph,
    state: &State,
    observed: &Observed,
    registry: &Registry,
    options: &Options,
    walked: Option<Decisions>,
) -> Result<Plan, Findings> {
    let Options { unrefreshed, destroy, replace, allow_data_loss, part } = options;
    let moved = moved(graph, state);
    let settled = renaming::settled(&moved.state, &observed.renamed, registry);
    let inputs = Inputs {
        graph,
        state: &settled,
        observed,
        registry,
        refresh: !unrefreshed,
        destroy: *destroy,
        replace,
        foreseen: &Foreseen::default(),
    };
    let mut decisions = walked.unwrap_or_else(|| decide(inputs));
    let program = graph.program();
    decisions
        .diagnostics
        .extend(replace.iter().filter_map(|address| not_there(inputs, address)));
    let (refused, doubtful) = findings(inputs, &observed.surveyed);
    decisions.diagnostics.extend(refused);
    decisions.warnings.extend(doubtful);
    decisions.diagnostics.extend(moved.findings(graph));
    moves::announce(&mut decisions, &moved.renamed, state);
    let renamings = renaming::renamings(graph, &settled, registry);
    let ways = renaming::ways(&renamings, &decisions.changes);
    if !decisions.diagnostics.is_empty() {
        return Err(Findings {
            diagnostics: decisions.diagnostics,
            sources: program.sources.clone(),
        });
    }
    let declared = |address: &Address| inputs.graph.get(address).is_some();
    let followers = renaming::followers(&renamings, &settled, registry);
    let takeovers = renaming::takeovers(&renamings);
    let covered = covering::covered(&mut decisions.changes, registry);
    let steps = steps::steps(&steps::Work {
        changes: &decisions.changes,
        connections: &decisions.connections,
        lookups: &decisions.lookups,
        declared: &declared,
        state: inputs.state,
        renamed: &moved.renamed,
        followers: &followers,
        orders: &[&takeovers[..], &rotation::orders(&decisions.changes, registry)].concat(),
        ways: &ways,
        covered: &covered,
        goes_along: &|change| following::goes_along(change, registry),
    })
    .map_err(|stuck| Findings {
        diagnostics: vec![waiting_for_each_other(&stuck)],
        sources: program.sources.clone(),
    })?;
    let output_types = outputs::types(inputs, &decisions);
    let outputs = outputs::changes(inputs, &decisions);
    let kept = decisions.changes.iter().filter(|change| change.action == Action::Keep).count();
    // What stays is carried only where its record must be written anew.
    let recorded: HashSet<&Address> = steps.iter().map(|step| &step.address).collect();
    let mut proposed = renames::likely(&decisions.changes, registry);
    proposed.extend(moves::lost_by_name(&decisions, &moved.renamed, graph, registry));
    let mut changes = decisions.changes;
    changes
        .retain(|change| change.action != Action::Keep || recorded.contains(&change.address));
    let mut notes = stopped_on_purpose(inputs.state, &changes);
    for (address, note) in renaming::notes(&changes, &followers, &renamings, &ways) {
        notes.entry(address).or_default().push(note);
    }
    // As the state calls them, which knows nothing yet of what moved.
    let recorded = |address: &Address| {
        let from = moved.renamed.iter().find(|(_, to)| to == address).map(|(from, _)| from);
        from.unwrap_or(address).clone()
    };
    let given = observed.renamed.iter();
    let renamed = given.map(|(address, name)| (recorded(address), name.clone())).collect();
    let mut warnings = program.warnings.clone();
    warnings.extend(decisions.warnings);
    warnings.extend(proposed);
    let mut plan = Plan {
        format: FORMAT,
        stack: program.stack.clone(),
        environment: program.environment.clone(),
        serial: inputs.state.serial,
        destroy: inputs.destroy,
        unrefreshed: !inputs.refresh,
        digests: program.digests.clone(),
        contents: BTreeMap::new(),
        renamed,
        connections: decisions.connections,
        lookups: decisions.lookups,
        changes,
        kept,
        profiles: program.profiles.clone(),
        dormant: decisions.kept_dormant,
        secrets: program.secrets.clone(),
        outputs,
        output_types,
        checks: decisions.checks,
        losses: Vec::new(),
        notes,
        scripts: BTreeMap::new(),
        consents: allow_data_loss.clone(),
        left_out: None,
        steps,
        switch: None,
        warnings,
        sources: program.sources.clone(),
    };
    plan.narrow(part, graph, &moved.state, &[followers, takeovers].concat())?;
    Ok(plan)
}

/// What somebody stopped on purpose is no drift, and is started again all the same.
fn stopped_on_purpose(state: &State, changes: &[Change]) -> BTreeMap<Address, Vec<String>> {
    let notes = changes.iter().filter_map(|change| {
        let starts = matches!(change.action, Action::Update | Action::Replace);
        let stopped =
            state.records.get(&change.address)?.stopped.as_ref().filter(|_| starts)?;
        let note = format!(
            "stopped on purpose by {} at {}; this starts it again",
            stopped.who, stopped.when
        );
        Some((change.address.clone(), vec![note]))
    });
    notes.collect()
}

/// What is to be made anew must be there and declared.
fn not_there(inputs: Inputs<'_>, address: &Address) -> Option<Diagnostic> {
    let declared = inputs.graph.get(address).is_some_and(|found| found.connection.is_some());
    if declared && inputs.state.records.contains_key(address) {
        return None;
    }
    let message = if declared {
        format!("`{address}` is to be replaced, but was not made yet")
    } else {
        format!("`{address}` is to be replaced, but is no declared resource")
    };
    let found = Diagnostic::new(Code::ReplaceUnknown, message);
    let text = address.to_string();
    let names: Vec<_> = inputs.state.records.keys().map(Address::to_string).collect();
    Some(match did_you_mean(&text, names.iter().map(String::as_str)) {
        Some(meant) if meant != text => found.hint(format!("did you mean `{meant}`?")),
        _ => found.hint("`dollop state list` shows what was made"),
    })
}

/// Should not happen; a message beats a panic.
fn waiting_for_each_other(stuck: &[Address]) -> Diagnostic {
    let mut found =
        Diagnostic::new(Code::StepsWait, "the steps of this plan wait for each other");
    for address in stuck {
        found = found.note(format!("`{address}`"));
    }
    found.hint("this is a bug in dollop; applying the change in two parts avoids it")
}

impl Plan {
    /// A plan in which nothing happens to a stack that has nothing.
    pub fn empty(stack: impl Into<String>) -> Self {
        Self {
            format: FORMAT,
            stack: stack.into(),
            environment: String::new(),
            serial: 0,
            destroy: false,
            unrefreshed: false,
            digests: BTreeMap::new(),
            contents: BTreeMap::new(),
            renamed: BTreeMap::new(),
            connections: Vec::new(),
            lookups: Vec::new(),
            changes: Vec::new(),
            kept: 0,
            profiles: BTreeMap::new(),
            dormant: Vec::new(),
            secrets: Vec::new(),
            outputs: Vec::new(),
            output_types: BTreeMap::new(),
            checks: Vec::new(),
            losses: Vec::new(),
            notes: BTreeMap::new(),
            scripts: BTreeMap::new(),
            consents: BTreeSet::new(),
            left_out: None,
            steps: Vec::new(),
            switch: None,
            warnings: Vec::new(),
            sources: Sources::default(),
        }
    }

    /// The change of an address, when it has one. It looks at all of them: who wants many
    /// makes a map first.
    pub fn change(&self, address: &Address) -> Option<&Change> {
        self.changes.iter().find(|change| &change.address == address)
    }

    /// How many resources each action touches.
    pub fn summary(&self) -> Summary {
        let mut summary = Summary { keep: self.kept, ..Summary::default() };
        for change in &self.changes {
            match change.action {
                Action::Create => summary.create += 1,
                Action::Update => summary.update += 1,
                Action::Replace => summary.replace += 1,
                Action::Delete => summary.delete += 1,
                Action::Cascade => summary.cascade += 1,
                Action::Adopt => summary.adopt += 1,
                Action::Forget => summary.forget += 1,
                Action::Verify => summary.verify += 1,
                // Counted already; it is here because its record is written anew.
                Action::Keep => {}
            }
        }
        summary
    }

    /// Whether an apply would change something a person can see: a resource or an output.
    pub fn has_changes(&self) -> bool {
        let resources = self.changes.iter().any(|change| change.action != Action::Keep);
        resources || self.outputs.iter().any(OutputChange::differs)
    }
}

impl OutputChange {
    /// Whether it changes, or may.
    pub fn differs(&self) -> bool {
        match (&self.before, &self.after) {
            (Some(before), Some(Expr::Value(after))) => !before.same(after),
            (None, None) => false,
            _ => true,
        }
    }
}
