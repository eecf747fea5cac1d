//! What can be said about a stack from its declarations alone: resources that get in each
//! other's way, and what works and most likely is not meant.
//!
//! Nothing here knows a provider. A kind says what its objects take and need ([`Claim`])
//! and what is odd about one of them ([`Lint`]); the rules compare.

mod by_name;
mod calls;
mod claim;
mod dormant;
mod ephemeral;
mod features;
mod mounts;
mod names;
mod networks;
mod ports;
mod relations;
mod secrets;
mod stack;
mod unused;

use std::collections::{BTreeSet, HashMap};

pub use claim::{ANY, Asked, Call, Claim, Claimed, Known, Lint, Named};
pub use relations::{Branch, Impact, Relation, impact, uses};
use stack::Stack;

use crate::address::Address;
use crate::diagnostic::{Code, Diagnostic};
use crate::files::Files;
use crate::graph::Graph;
use crate::kind::Registry;
use crate::path::Path;
use crate::program::Declaration;

/// Everything found, in the order of the script; what a resource allows is left out.
///
/// Errors are what a service would surely refuse. `files` tells whether what a stack binds
/// is there.
pub fn analyse(graph: &Graph, registry: &Registry, files: &dyn Files) -> Vec<Diagnostic> {
    let mut stack = Stack::read(graph, registry);
    let mut report = Report::default();
    ports::check(&stack, &mut report);
    networks::check(&stack, &mut report);
    names::check(&stack, &mut report);
    calls::check(&stack, &mut report);
    mounts::check(&stack, files, &mut report);
    features::check(&stack, &mut report);
    secrets::check(&stack, &mut report);
    ephemeral::check(&stack, registry, &mut report);
    let meant = by_name::check(&stack, &mut report);
    unused::check(&stack, &meant, &mut report);
    for object in stack.objects() {
        for lint in &object.lints {
            let found = Diagnostic::new(lint.code, lint.message.clone());
            report.add(object.declaration, &lint.at, found.hint(lint.hint.clone()));
        }
    }
    for declaration in graph.in_order() {
        let Some(kind) = registry.connection_kind(declaration.address.kind()) else { continue };
        let known = plainly_known(declaration);
        let of_files = kind.dial.lint_files(&known, &|path| files.look(path));
        for lint in kind.dial.lint(&known).into_iter().chain(of_files) {
            let found = Diagnostic::new(lint.code, lint.message).hint(lint.hint);
            report.add(declaration, &lint.at, found);
        }
    }
    dormant::check(&mut stack, &mut report);
    report.unused_allows(graph);
    let mut found = folded(report.found);
    found.sort_by(|a, b| (&a.span, a.code).cmp(&(&b.span, b.code)));
    found
}

/// What is said of several resources of one line, which a loop or function declared, once.
fn folded(all: Vec<Found<'_>>) -> Vec<Diagnostic> {
    let mut folded: Vec<(Diagnostic, Vec<&Address>)> = Vec::new();
    let mut known: HashMap<_, usize> = HashMap::new();
    for Found { diagnostic, of } in all {
        let key = (diagnostic.code, diagnostic.span.clone(), diagnostic.message.clone());
        match known.get(&key) {
            Some(index) if folded[*index].0 == diagnostic => folded[*index].1.extend(of),
            _ => {
                known.insert(key, folded.len());
                folded.push((diagnostic, of.into_iter().collect()));
            }
        }
    }
    let said = folded.into_iter().map(|(diagnostic, of)| match of.as_slice() {
        [_, _, ..] => {
            let names: Vec<String> = of.iter().map(|one| format!("`{one}`")).collect();
            let (shown, rest) = names.split_at(names.len().min(MOST_NAMED));
            let shown = shown.join(", ");
            diagnostic.note(match rest.len() {
                0 => format!("of {shown}"),
                more => format!("of {shown} and {more} more"),
            })
        }
        _ => diagnostic,
    });
    said.collect()
}

/// How many resources are named that have one finding together.
const MOST_NAMED: usize = 3;

/// The attributes that are known and no secrets.
fn plainly_known(declaration: &Declaration) -> serde_json::Value {
    let known = declaration.attributes.iter().filter(|(_, expr)| !expr.is_secret());
    let known = known.filter_map(|(name, expr)| Some((name.clone(), expr.known()?.to_json())));
    serde_json::Value::Object(known.collect())
}

/// A finding, and the declaration it is about.
struct Found<'a> {
    diagnostic: Diagnostic,
    of: Option<&'a Address>,
}

impl From<Diagnostic> for Found<'_> {
    fn from(diagnostic: Diagnostic) -> Self {
        Self { diagnostic, of: None }
    }
}

/// What was found so far.
#[derive(Default)]
struct Report<'a> {
    found: Vec<Found<'a>>,
    /// Which `allow` was needed: by the address's place in the program, and code.
    allowed: BTreeSet<(&'a Address, Code)>,
    /// The profiles the rules take as on, some of which are off.
    supposed: Option<BTreeSet<&'a str>>,
}

impl<'a> Report<'a> {
    /// Adds a finding about a part of a declaration, unless the declaration allows it.
    fn add(&mut self, declaration: &'a Declaration, at: &Path, found: Diagnostic) {
        self.add_of(&[declaration], at, found);
    }

    /// Adds a finding about several declarations, the last of which is shown.
    fn add_of(&mut self, of: &[&'a Declaration], at: &Path, found: Diagnostic) {
        let Some(declaration) = of.last() else { return };
        let Some(found) = dormant::supposed(self.supposed.as_ref(), of, found) else { return };
        if declaration.allow.contains(&found.code) {
            self.allowed.insert((&declaration.address, found.code));
            return;
        }
        let diagnostic = found.at(declaration.span_of(at).clone());
        self.found.push(Found { diagnostic, of: Some(&declaration.address) });
    }

    /// Adds a finding about two declarations, unless one of them allows it.
    fn add_pair(
        &mut self,
        first: (&'a Declaration, &Path),
        second: (&'a Declaration, &Path),
        words: &str,
        found: Diagnostic,
    ) {
        let code = dormant::code(self.supposed.as_ref(), found.code);
        if first.0.allow.contains(&code) {
            self.allowed.insert((&first.0.address, code));
            return;
        }
        let span = first.0.span_of(first.1);
        // One line that ran twice, in a loop or function, is shown once.
        let found = if span == second.0.span_of(second.1) {
            found.note("one line of the script declares both: it runs more than once")
        } else {
            found.related(span.clone(), words)
        };
        self.add_of(&[first.0, second.0], second.1, found);
    }

    fn unused_allows(&mut self, graph: &'a Graph) {
        for declaration in graph.in_order() {
            for code in &declaration.allow {
                // What is only found while planning may occur later.
                if *code == Code::UnusedAllow
                    || code.id().starts_with("W02")
                    || self.allowed.contains(&(&declaration.address, *code))
                {
                    continue;
                }
                let message =
                    format!("`{}` allows {code}, which does not occur", declaration.address);
                let found = Diagnostic::new(Code::UnusedAllow, message)
                    .note(format!("{code} is {}", code.title()))
                    .hint("remove it, so that a new one is seen");
                self.add(declaration, &Path::attribute("allow"), found);
            }
        }
    }
}
