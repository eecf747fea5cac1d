//! Who needs a resource, what would be disturbed, and why a plan touches it: trees.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;

use dollop_engine::address::Address;
use dollop_engine::analysis::{Branch, Impact, Relation};
use dollop_engine::graph::Why;
use dollop_engine::plan::{Action, Change, ConnectionPlan, DeferredBy, Plan, Reason, Standing};
use dollop_engine::schema::Disruption;
use serde_json::{Value as Json, json};
use termtree::Tree;

use crate::render::json::{FORMAT_VERSION, position};
use crate::render::reasons::Reasons;
use crate::render::style::{BOLD, CARE, DANGER, DIM, paint};
use crate::render::text::{clean, count};
use crate::render::words;

/// Attributes named before the rest is only counted.
const MOST_NAMED: usize = 8;

/// What happens to each address, when that is asked for.
pub type Impacts<'a> = BTreeMap<&'a Address, Impact>;

/// The tree of everything that needs an address.
pub fn tree(branch: &Branch<'_>, impacts: Option<&Impacts<'_>>) -> String {
    node(branch, impacts).to_string()
}

fn node(branch: &Branch<'_>, impacts: Option<&Impacts<'_>>) -> Tree<String> {
    let address = &branch.declaration.address;
    let span = branch.relations.first().map_or(&branch.declaration.span, |first| first.span);
    let mut label = paint(BOLD, clean(&address.to_string()));
    if let Some(impact) = impacts.and_then(|impacts| impacts.get(address)) {
        let _ = write!(label, "  {}", effect(*impact));
    }
    let _ = write!(label, "  {}", paint(DIM, clean(&span.to_string())));
    if !branch.relations.is_empty() {
        let why: Vec<_> = branch.relations.iter().map(because).collect();
        let _ = write!(label, "  {}", why.join("; "));
    }
    if !branch.directly.is_empty() {
        let why: Vec<_> = branch.directly.iter().map(because).collect();
        let _ = write!(label, "; also needs the first: {}", why.join("; "));
    }
    let users =
        branch.users.iter().filter(|user| impacts.is_none_or(|all| disturbed(user, all)));
    Tree::new(label).with_leaves(users.map(|user| node(user, impacts)))
}

/// Whether something happens to a resource or to one of those below it.
fn disturbed(branch: &Branch<'_>, impacts: &Impacts<'_>) -> bool {
    impacts.get(&branch.declaration.address).is_some_and(|impact| *impact != Impact::None)
        || branch.users.iter().any(|user| disturbed(user, impacts))
}

/// Why it needs the one above it.
fn because(relation: &Relation<'_>) -> String {
    match &relation.why {
        Why::Uses(path) => format!("its `{path}` uses it"),
        Why::Connection => "lives in it".to_owned(),
        Why::DependsOn => "its `depends_on` names it".to_owned(),
        Why::AfterHealthy => "its `after_healthy` names it".to_owned(),
        Why::Triggers => "its `replace_triggered_by` names it".to_owned(),
    }
}

fn effect(impact: Impact) -> String {
    match impact {
        Impact::None => paint(DIM, "[not disturbed]"),
        Impact::Verified => paint(DIM, "[checked again]"),
        Impact::Reopened => paint(CARE, "[opened again]"),
        Impact::Updated(Disruption::None) => paint(DIM, "[changed in place]"),
        Impact::Updated(disruption) => {
            let word = words::disturbance(disruption).unwrap_or("changed in place");
            paint(CARE, format!("[changed in place: {word}]"))
        }
        Impact::Replaced => paint(CARE, "[made anew]"),
        Impact::Lost => paint(DANGER, "[data is lost]"),
    }
}

fn effect_word(impact: Impact) -> &'static str {
    match impact {
        Impact::None => "none",
        Impact::Verified => "verified",
        Impact::Reopened => "reopened",
        Impact::Updated(_) => "updated",
        Impact::Replaced => "replaced",
        Impact::Lost => "lost",
    }
}

/// How many are disturbed, and the worst of it.
pub fn impact_summary(address: &Address, impacts: &Impacts<'_>) -> String {
    let others: Vec<_> = impacts
        .iter()
        .filter(|(other, _)| **other != address)
        .map(|(_, impact)| *impact)
        .collect();
    let spared = others.iter().filter(|impact| **impact == Impact::None).count();
    let own = match impacts.get(address) {
        Some(Impact::Lost) => "What it holds is lost",
        _ => "It is made anew",
    };
    let worst = match others.iter().max() {
        None | Some(Impact::None) => return format!("{own}; nothing else is disturbed.\n"),
        Some(Impact::Verified) => "checked again",
        Some(Impact::Reopened) => "opened again",
        Some(Impact::Updated(_)) => "changed in place",
        Some(Impact::Replaced) => "made anew",
        Some(Impact::Lost) => "data is lost",
    };
    let disturbed = count(others.len() - spared, "other");
    let mut out = format!("{own}, which disturbs {disturbed}; the worst: {worst}.\n");
    if spared > 0 {
        let verb =
            if spared == 1 { "depends on it and notices" } else { "depend on it and notice" };
        let _ = writeln!(out, "{spared} more {verb} nothing.");
    }
    out
}

/// Why the plan touches an address, down to the first cause.
pub fn cause(plan: &Plan, change: &Change) -> String {
    let why = Causes::of(plan);
    why.node(change, &mut BTreeSet::new()).to_string()
}

/// What a plan knows about why, by address.
struct Causes<'a> {
    why: Reasons<'a>,
    connections: HashMap<&'a Address, &'a ConnectionPlan>,
}

impl<'a> Causes<'a> {
    fn of(plan: &'a Plan) -> Self {
        let connections = plan.connections.iter().map(|found| (&found.address, found));
        Self { why: Reasons::of(plan), connections: connections.collect() }
    }

    fn node(&self, change: &'a Change, seen: &mut BTreeSet<&'a Address>) -> Tree<String> {
        let mut label = format!(
            "{} {}",
            words::verb(change.action),
            paint(BOLD, clean(&change.address.to_string()))
        );
        if let Some(span) = &change.span {
            let _ = write!(label, "  {}", paint(DIM, clean(&span.to_string())));
        }
        let first = seen.insert(&change.address);
        let mut tree = Tree::new(label);
        if !first {
            return tree;
        }
        for reason in &change.reasons {
            if let Some(sentence) = self.why.sentence(reason) {
                tree.push(Tree::new(clean(&sentence.plain()).into_owned()));
            }
        }
        // Those that cannot be changed in place are among the reasons.
        let differs: Vec<_> = change
            .differences
            .iter()
            .filter(|d| !d.replaces)
            .map(|d| format!("`{}`", d.path))
            .collect();
        if matches!(change.action, Action::Update | Action::Replace) && !differs.is_empty() {
            let shown = differs.len().min(MOST_NAMED);
            let more = match differs.len() - shown {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let names = clean(&differs[..shown].join(", ")).into_owned();
            tree.push(Tree::new(format!("what differs: {names}{more}")));
        }
        for address in self.behind(change) {
            if let Some(cause) = self.why.change(address) {
                tree.push(self.node(cause, seen));
            }
        }
        tree
    }

    /// The changes a change comes from.
    fn behind(&self, change: &'a Change) -> BTreeSet<&'a Address> {
        let of = |reason: &'a Reason| match reason {
            Reason::Follows { address, .. }
            | Reason::Covers { address, .. }
            | Reason::GoesWith(address) => Some(address),
            Reason::Triggered { by } => Some(by),
            Reason::DataLost { with } => Some(with),
            Reason::Deferred(connection) => match &self.connections.get(connection)?.standing {
                Standing::Deferred(DeferredBy::Upstream { address, .. }) => Some(address),
                _ => None,
            },
            _ => None,
        };
        change.reasons.iter().filter_map(of).collect()
    }
}

/// The tree for programs.
pub fn tree_json(branch: &Branch<'_>, impacts: Option<&Impacts<'_>>) -> Json {
    let address = &branch.declaration.address;
    let mut json = json!({
        "address": address,
        "position": position(&branch.declaration.span),
        "because": branch.relations.iter().map(|relation| json!({
            "reason": match &relation.why {
                Why::Uses(_) => "uses",
                Why::Connection => "connection",
                Why::DependsOn => "depends_on",
                Why::AfterHealthy => "after_healthy",
                Why::Triggers => "replace_triggered_by",
            },
            "attribute": match &relation.why {
                Why::Uses(path) => Some(path.to_string()),
                _ => None,
            },
            "position": position(relation.span),
        })).collect::<Vec<_>>(),
        "uses_root": !branch.directly.is_empty(),
        "users": branch.users.iter().map(|user| tree_json(user, impacts)).collect::<Vec<_>>(),
    });
    if let Some(impact) = impacts.and_then(|impacts| impacts.get(address)) {
        json["impact"] = json!(effect_word(*impact));
        json["disruption"] = json!(impact.disruption());
    }
    json
}

/// What a plan does with an address and why, for programs.
pub fn cause_json(plan: &Plan, change: &Change) -> Json {
    let causes = Causes::of(plan);
    let reasons = causes.why.sentences(change).into_iter();
    json!({
        "action": words::verb(change.action),
        "reasons": reasons.map(|sentence| sentence.plain()).collect::<Vec<_>>(),
        "differs": change.differences.iter().map(|d| d.path.to_string()).collect::<Vec<_>>(),
        "caused_by": causes.behind(change),
    })
}

/// The form of both commands.
pub fn document(mut body: Json) -> Json {
    body["format_version"] = json!(FORMAT_VERSION);
    body
}
