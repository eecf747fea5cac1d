//! The sentences of a plan, as pieces, so that each render can mark names its own way.

use std::collections::{BTreeMap, HashMap};

use dollop_engine::address::Address;
use dollop_engine::plan::{
    Action, Change, CheckStanding, ConnectionPlan, DeferredBy, LookupOutcome, LookupPlan, Loss,
    Operation, Plan, Reason, Standing, Summary,
};
use dollop_engine::schema::Disruption;

use crate::render::reasons::Reasons;
use crate::render::text::count;

/// Part of a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Our words.
    Words(String),
    /// A name from the user: an address, an attribute. Never trusted.
    Name(String),
}

/// A sentence whose names are told apart from its words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sentence(pub Vec<Piece>);

impl Sentence {
    pub(super) fn words(mut self, words: &str) -> Self {
        self.0.push(Piece::Words(words.to_owned()));
        self
    }

    pub(super) fn name(mut self, name: impl std::fmt::Display) -> Self {
        self.0.push(Piece::Name(name.to_string()));
        self
    }

    pub(super) fn then(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// For a terminal: names in backticks, made harmless.
    pub fn plain(&self) -> String {
        let parts = self.0.iter().map(|piece| match piece {
            Piece::Words(words) => words.clone(),
            Piece::Name(name) => format!("`{}`", crate::render::text::clean(name)),
        });
        parts.collect()
    }
}

/// A sentence that begins with our words.
pub(super) fn say(words: &str) -> Sentence {
    Sentence::default().words(words)
}

/// The sign in front of a change; words stand beside it in the legend.
pub fn symbol(action: Action) -> &'static str {
    match action {
        Action::Create => "+",
        Action::Update => "~",
        Action::Replace => "-/+",
        Action::Delete | Action::Cascade => "-",
        Action::Adopt => "=",
        Action::Forget => "/",
        Action::Verify => "?",
        Action::Keep => " ",
    }
}

/// The sign of a change, and what it stands for.
pub fn sign(change: &Change) -> (&'static str, &'static str) {
    if change.creates_first() {
        return ("+/-", "replace: create before destroy");
    }
    (symbol(change.action), meaning(change.action))
}

/// What a sign stands for.
pub fn meaning(action: Action) -> &'static str {
    match action {
        Action::Create => "create",
        Action::Update => "update in place",
        Action::Replace => "replace: delete, then create",
        Action::Delete | Action::Cascade => "delete",
        Action::Adopt => "adopt: take into the state as it is",
        Action::Forget => "forget: leave it, but no longer manage it",
        Action::Verify => "verify during apply, create or correct if needed",
        Action::Keep => "keep",
    }
}

/// The action as one word.
pub fn verb(action: Action) -> &'static str {
    match action {
        Action::Create => "create",
        Action::Update => "update",
        Action::Replace => "replace",
        Action::Delete => "delete",
        Action::Cascade => "cascade",
        Action::Adopt => "adopt",
        Action::Forget => "forget",
        Action::Verify => "verify",
        Action::Keep => "keep",
    }
}

/// What happens to it: ``docker::network.app` is created`.
pub(super) fn passive(action: Action) -> &'static str {
    match action {
        Action::Create => "is created",
        Action::Update => "is updated",
        Action::Replace => "is replaced",
        Action::Delete | Action::Cascade => "is deleted",
        Action::Adopt => "is adopted",
        Action::Forget => "is forgotten",
        Action::Verify => "is verified",
        Action::Keep => "stays",
    }
}

/// What a finished step did.
pub fn done(operation: Operation) -> &'static str {
    match operation {
        Operation::Read => "read",
        Operation::Connect => "connected",
        Operation::Create => "created",
        Operation::MakeWay => "made way",
        Operation::Update => "updated",
        Operation::Delete => "deleted",
        Operation::TakeOver => "switched over",
        Operation::Verify => "verified",
        Operation::Record => "recorded",
    }
}

/// What a running step does.
pub fn doing(operation: Operation) -> &'static str {
    match operation {
        Operation::Read => "reading",
        Operation::Connect => "connecting",
        Operation::Create => "creating",
        Operation::MakeWay => "making way",
        Operation::Update => "updating",
        Operation::Delete => "deleting",
        Operation::TakeOver => "switching over",
        Operation::Verify => "verifying",
        Operation::Record => "recording",
    }
}

/// What a failed step could not do.
pub fn failed(operation: Operation) -> &'static str {
    match operation {
        Operation::Read => "could not be read",
        Operation::Connect => "could not connect",
        Operation::Create => "could not be created",
        Operation::MakeWay => "could not make way",
        Operation::Update => "could not be updated",
        Operation::Delete => "could not be deleted",
        Operation::TakeOver => "could not be switched over",
        Operation::Verify => "could not be verified",
        Operation::Record => "could not be recorded",
    }
}

/// How much it disturbs, in a word; `None` when nobody notices.
pub fn disturbance(disruption: Disruption) -> Option<&'static str> {
    match disruption {
        Disruption::None => None,
        Disruption::Reconnect => Some("reconnect"),
        Disruption::Restart => Some("restart"),
        Disruption::Recreate => Some("recreate"),
        Disruption::DataLoss => Some("DATA LOSS"),
    }
}

/// The environment of a plan, when one was chosen.
pub fn environment(plan: &Plan) -> Option<&str> {
    Some(plan.environment.as_str()).filter(|name| !matches!(*name, "" | "default"))
}

/// What a plan for a part leaves out.
pub fn left_out(plan: &Plan) -> Vec<Sentence> {
    let Some(left) = &plan.left_out else { return Vec::new() };
    let mut sentences = Vec::new();
    sentences.push(if left.changes.is_empty() {
        say("this plan is for a part of the stack; the rest would stay as it is")
    } else {
        named("this plan is for a part of the stack; it leaves out changes of ", &left.changes)
    });
    if !left.dependents.is_empty() {
        let words = "these need what changes, and are left as they are: ";
        sentences.push(named(words, &left.dependents));
    }
    sentences
}

/// Words, and some addresses.
fn named(words: &str, addresses: &[Address]) -> Sentence {
    const MOST: usize = 5;
    let mut sentence = say(words);
    for (index, address) in addresses.iter().take(MOST).enumerate() {
        sentence = sentence.words(if index == 0 { "" } else { ", " }).name(address);
    }
    match addresses.len().saturating_sub(MOST) {
        0 => sentence,
        more => sentence.words(&format!(" and {more} more")),
    }
}

/// Which profiles are on and off, and what stays of those that are off.
pub fn profiles(plan: &Plan) -> Vec<Sentence> {
    let mut sentences = Vec::new();
    for (is_on, word) in [(true, "on"), (false, "off")] {
        let names = plan.profiles.iter().filter(|(_, on)| **on == is_on).map(|(name, _)| name);
        let mut sentence = say(&format!("profiles {word}: "));
        let before = sentence.0.len();
        for (index, name) in names.enumerate() {
            sentence = sentence.words(if index == 0 { "" } else { ", " }).name(name);
        }
        if sentence.0.len() > before {
            sentences.push(sentence);
        }
    }
    if !plan.dormant.is_empty() {
        let many = count(plan.dormant.len(), "object");
        sentences.push(say(&format!("{many} of profiles that are off kept (`--dormant`)")));
    }
    sentences
}

/// Why a connection is deferred; `None` when it is not.
pub fn deferral(connection: &ConnectionPlan) -> Option<Sentence> {
    let Standing::Deferred(by) = &connection.standing else { return None };
    let sentence = Sentence::default().name(&connection.address).words(" is deferred: ");
    let sentence = match by {
        DeferredBy::Upstream { address, action } => {
            sentence.name(address).words(&format!(" {} first", passive(*action)))
        }
        DeferredBy::Unknown { attribute } => {
            sentence.words("its ").name(attribute).words(" is known only during apply")
        }
    };
    Some(sentence.words("; what lives in it is planned from the declaration"))
}

/// `checks: 3 pass, 1 known after apply`; `None` when there are none.
pub fn checks(plan: &Plan) -> Option<String> {
    let parts = [
        (CheckStanding::Passes, "pass"),
        (CheckStanding::Warns, "warn"),
        (CheckStanding::Fails, "fail"),
        (CheckStanding::Pending, "known after apply"),
    ];
    let parts = parts.map(|(standing, words)| {
        let number = plan.checks.iter().filter(|check| check.standing == standing).count();
        (number > 0).then(|| format!("{number} {words}"))
    });
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| format!("checks: {}", parts.join(", ")))
}

/// What is looked up only during apply; `None` for what was looked up already.
pub fn later(lookup: &LookupPlan) -> Option<Sentence> {
    (lookup.outcome == LookupOutcome::Later).then(|| {
        Sentence::default()
            .name(&lookup.address)
            .words(" is looked up during apply; what is made of it is known then")
    })
}

/// The last line: what an apply would do, in numbers.
pub fn summary(plan: &Plan) -> String {
    let summary = plan.summary();
    let touched = plan.changes.iter().any(|change| change.action != Action::Keep);
    if touched {
        let kept = summary.keep;
        return format!("Plan: {}; {kept} unchanged.", numbers(summary));
    }
    let changed = plan.outputs.iter().filter(|output| output.differs()).count();
    let kept = match summary.keep {
        0 if plan.destroy => return "No changes. There is nothing to destroy.".to_owned(),
        0 if plan.left_out.is_some() => "The part that is chosen is empty.".to_owned(),
        0 => "The stack declares no resources.".to_owned(),
        1 => "1 resource is as declared.".to_owned(),
        many => format!("{many} resources are as declared."),
    };
    if changed > 0 {
        return format!("Plan: {} to change. {kept}", count(changed, "output"));
    }
    format!("No changes. {kept}")
}

/// `12 to create, 1 to update, 1 to replace, 0 to delete`; the rarer ones when there are.
pub fn numbers(summary: Summary) -> String {
    let mut parts = vec![
        format!("{} to create", summary.create),
        format!("{} to update", summary.update),
        format!("{} to replace", summary.replace),
        format!("{} to delete", summary.delete),
    ];
    for (number, word) in
        [(summary.adopt, "adopt"), (summary.forget, "forget"), (summary.verify, "verify")]
    {
        if number > 0 {
            parts.push(format!("{number} to {word}"));
        }
    }
    if summary.cascade > 0 {
        parts[3] = format!("{} and {} along with them", parts[3], summary.cascade);
    }
    parts.join(", ")
}

/// What a reader must not miss, worst first.
pub fn risks(plan: &Plan) -> Vec<Risk<'_>> {
    let along = data_going_along(plan);
    let reasons = Reasons::of(plan);
    let losses: HashMap<_, _> = plan.losses.iter().map(|loss| (&loss.address, loss)).collect();
    let mut found: Vec<_> = plan
        .changes
        .iter()
        .filter(|change| change.action != Action::Cascade)
        .filter_map(|change| {
            let along = along.get(&change.address).copied().unwrap_or(0);
            let data_loss = change.loses_data() || along > 0;
            (data_loss || (change.action == Action::Replace && !change.creates_first())).then(
                || Risk {
                    change,
                    data_loss,
                    because: Sentence::default()
                        .words(&content(losses.get(&change.address).copied()))
                        .words(passive(change.action))
                        .words(&match along {
                            0 => String::new(),
                            1 => ", and with it 1 object that holds data".to_owned(),
                            many => format!(", and with it {many} objects that hold data"),
                        })
                        .then(
                            reasons
                                .sentences(change)
                                .into_iter()
                                .next()
                                .map_or_else(Sentence::default, |first| say(": ").then(first)),
                        ),
                },
            )
        })
        .collect();
    found.sort_by_key(|risk| !risk.data_loss);
    found
}

/// `holds 1,204 messages and `, where its service told.
fn content(loss: Option<&Loss>) -> String {
    match loss {
        Some(loss) => format!("holds {} and ", loss.content),
        None => String::new(),
    }
}

/// How many objects with data go along with each that is removed itself.
fn data_going_along(plan: &Plan) -> BTreeMap<Address, usize> {
    let with: BTreeMap<&Address, &Address> = plan
        .changes
        .iter()
        .flat_map(|change| change.reasons.iter().map(move |reason| (change, reason)))
        .filter_map(|(change, reason)| match reason {
            Reason::GoesWith(with) => Some((&change.address, with)),
            _ => None,
        })
        .collect();
    let mut found = BTreeMap::new();
    for change in plan.changes.iter().filter(|c| c.action == Action::Cascade) {
        if !change.loses_data() {
            continue;
        }
        // Nested as deep as a database in a volume; a step at a time is enough.
        let mut root = &change.address;
        while let Some(with) = with.get(root) {
            root = with;
        }
        *found.entry(root.clone()).or_default() += 1;
    }
    found
}

/// One thing a reader must not miss.
pub struct Risk<'a> {
    /// The change it comes from.
    pub change: &'a Change,
    /// Whether what people stored is lost.
    pub data_loss: bool,
    /// What happens, and why.
    pub because: Sentence,
}

/// What changed outside dollop, by change: whether it is gone, or else which attributes.
pub fn drift(plan: &Plan) -> Vec<(&Change, Vec<String>)> {
    plan.changes
        .iter()
        .filter(|change| change.drifted())
        .map(|change| {
            let drifted = change.differences.iter().filter(|difference| difference.drift);
            (change, drifted.map(|difference| difference.path.to_string()).collect())
        })
        .collect()
}
