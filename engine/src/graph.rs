//! Who needs whom, and why.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use petgraph::Direction;
use petgraph::algo::tarjan_scc;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;
use serde::{Deserialize, Serialize};

use crate::address::Address;
use crate::diagnostic::{Code, Diagnostic, Findings, Span, did_you_mean};
use crate::normals::Normals;
use crate::path::Path;
use crate::places::Places;
use crate::plan::check_moves;
use crate::program::{Declaration, Lifecycle, Program, alternatives};
use crate::redact::Secrets;

/// Why one declaration needs another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// An attribute holds a value of it.
    Uses(Path),
    /// It is reached through it.
    Connection,
    /// The script says so.
    DependsOn,
    /// The script says so, and that it must be healthy.
    AfterHealthy,
    /// It is made anew when that changes.
    Triggers,
}

impl std::fmt::Display for Why {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Uses(path) => write!(out, "`{path}` uses it"),
            Self::Connection => out.write_str("it is reached through it"),
            Self::DependsOn => out.write_str("`depends_on` names it"),
            Self::AfterHealthy => out.write_str("`after_healthy` names it"),
            Self::Triggers => out.write_str("`replace_triggered_by` names it"),
        }
    }
}

/// The index of a node is the place of its declaration.
type Edges = DiGraph<(), ()>;

/// A program with its edges and an order in which everything comes after what it needs.
#[derive(Clone, Debug)]
pub struct Graph {
    program: Program,
    /// Who needs whom, by the places of the declarations. Why is asked of a declaration
    /// ([`reasons`]): nearly nobody does, and the paths of all reasons take more room than all
    /// else here.
    edges: Edges,
    places: Places,
    order: Vec<NodeIndex>,
    /// Where each dormant declaration stands among them.
    dormant: BTreeMap<Address, usize>,
}

/// Finds the edges of a program and an order for it.
///
/// # Errors
/// Names that are not declared, and cycles, each as a path with its lines.
pub fn build(program: Program) -> Result<Graph, Findings> {
    let declared = &program.declarations;
    let places = Places::of(declared);
    let is_declared = |address: &Address| places.find(address, declared).is_some();
    // Most need their connection and a few others. Looking at each declaration here has the
    // attributes of thousands on their way into the caches, many at once, before they are gone
    // through one by one.
    let expected = declared.iter().map(|one| 2 + one.attributes.len()).sum();
    let mut graph = DiGraph::with_capacity(declared.len(), expected);
    for _ in declared {
        graph.add_node(());
    }
    let dormant: BTreeMap<Address, usize> = program
        .dormant
        .declarations
        .iter()
        .enumerate()
        .map(|(index, declaration)| (declaration.address.clone(), index))
        .collect();
    let sleeping =
        |address: &Address| Some(&program.dormant.declarations[*dormant.get(address)?]);
    let mut diagnostics = Vec::new();
    for (index, declaration) in declared.iter().enumerate() {
        let from = NodeIndex::new(index);
        let mut whole = true;
        each_needed(declaration, &mut |needed| match places.find(needed, declared) {
            Some(to) => {
                graph.add_edge(from, NodeIndex::new(to), ());
            }
            None => whole = false,
        });
        if whole {
            continue;
        }
        for (needed, why) in reasons(declaration) {
            if is_declared(needed) {
                continue;
            }
            if let Some(asleep) = sleeping(needed) {
                let who = format!("`{}`", declaration.address);
                diagnostics.push(is_off(&who, place(declaration, needed, &why), asleep));
            } else {
                diagnostics.push(undeclared(declaration, needed, &why, declared));
            }
        }
    }
    for declaration in &program.dormant.declarations {
        for (needed, why) in reasons(declaration) {
            let known = is_declared(needed) || dormant.contains_key(needed);
            let implicit = why == Why::Connection && needed.name() == "default";
            if !known && !implicit {
                diagnostics.push(undeclared(declaration, needed, &why, declared));
            }
        }
    }
    for output in &program.outputs {
        let mut seen = std::collections::BTreeSet::new();
        output.value.each_reference(&mut |reference| {
            if seen.insert(&reference.address)
                && let Some(asleep) = sleeping(&reference.address)
            {
                let who = format!("output `{}`", output.name);
                diagnostics.push(is_off(&who, &output.span, asleep));
            }
        });
    }
    diagnostics.extend(check_moves(&program, |address| {
        is_declared(address) || dormant.contains_key(address)
    }));
    if diagnostics.is_empty() {
        match order(&graph) {
            Some(order) => {
                return Ok(Graph { program, edges: graph, places, order, dormant });
            }
            None => diagnostics = cycles(&graph, &program),
        }
    }
    let mut secrets = Secrets::default();
    secrets.add_program(&program);
    let findings = Findings { diagnostics, sources: program.sources };
    Err(secrets.redactor().clean_findings(findings))
}

/// What a declaration needs; each may come more than once.
fn each_needed<'a>(declaration: &'a Declaration, visit: &mut impl FnMut(&'a Address)) {
    declaration.connection.iter().for_each(&mut *visit);
    for value in declaration.attributes.values() {
        value.each_reference(&mut |reference| visit(&reference.address));
    }
    let Lifecycle { depends_on, after_healthy, replace_triggered_by, .. } =
        &*declaration.lifecycle;
    let triggers = replace_triggered_by.iter().map(|trigger| &trigger.address);
    depends_on.iter().chain(after_healthy).chain(triggers).for_each(visit);
}

/// What a declaration needs, and why, each pair once.
pub fn reasons(declaration: &Declaration) -> Vec<(&Address, Why)> {
    let mut found: Vec<(&Address, Why)> = Vec::new();
    if let Some(connection) = &declaration.connection {
        found.push((connection, Why::Connection));
    }
    let unknown = declaration.attributes.iter().filter(|(_, value)| value.known().is_none());
    for (name, value) in unknown {
        let mut seen = std::collections::BTreeSet::new();
        value.each_reference_at(&Path::attribute(name), &mut |at, reference| {
            if seen.insert(&reference.address) {
                found.push((&reference.address, Why::Uses(at.clone())));
            }
        });
    }
    for address in &declaration.lifecycle.depends_on {
        found.push((address, Why::DependsOn));
    }
    for address in &declaration.lifecycle.after_healthy {
        found.push((address, Why::AfterHealthy));
    }
    for trigger in &declaration.lifecycle.replace_triggered_by {
        found.push((&trigger.address, Why::Triggers));
    }
    found
}

/// Something that is planned needs what is not.
fn is_off(who: &str, at: &Span, asleep: &Declaration) -> Diagnostic {
    let names: Vec<_> = alternatives(asleep.off.as_deref().unwrap_or_default()).collect();
    let profile = names.first().copied().unwrap_or_default();
    let (words, asked) = match names.as_slice() {
        [_] => (format!("profile `{profile}` is"), format!("\"{profile}\"")),
        several => {
            let names = several.join("`, `");
            (format!("profiles `{names}` are"), format!("{several:?}"))
        }
    };
    let message = format!("{who} needs `{}`, whose {words} off", asleep.address);
    Diagnostic::new(Code::ProfileOff, message)
        .at(at.clone())
        .related(asleep.span.clone(), "declared here")
        .hint(format!("turn it on with `--profile {profile}`"))
        .hint(format!("or move what needs it into the profile, or ask `if profile({asked})`"))
}

fn undeclared(
    declaration: &Declaration,
    needed: &Address,
    why: &Why,
    declared: &[Declaration],
) -> Diagnostic {
    let span = place(declaration, needed, why);
    let found = Diagnostic::new(Code::Undeclared, format!("`{needed}` is not declared"))
        .at(span.clone())
        .label(format!("needed by `{}`", declaration.address));
    let needed = needed.to_string();
    let mut known: Vec<_> = declared.iter().map(|one| one.address.to_string()).collect();
    known.sort();
    match did_you_mean(&needed, known.iter().map(String::as_str)) {
        Some(near) => found.hint(format!("did you mean `{near}`?")),
        None => found.hint("declare it, or remove the name here"),
    }
}

/// Kahn's algorithm with a heap: everything after what it needs, and otherwise in the order
/// of the script, so that output is stable. `None` when there is a cycle.
fn order(graph: &Edges) -> Option<Vec<NodeIndex>> {
    let mut missing = vec![0_usize; graph.node_count()];
    for edge in graph.raw_edges() {
        missing[edge.source().index()] += 1;
    }
    let mut ready: BinaryHeap<Reverse<NodeIndex>> =
        graph.node_indices().filter(|node| missing[node.index()] == 0).map(Reverse).collect();
    let mut order = Vec::with_capacity(missing.len());
    while let Some(Reverse(node)) = ready.pop() {
        order.push(node);
        for edge in graph.edges_directed(node, Direction::Incoming) {
            let left = &mut missing[edge.source().index()];
            *left -= 1;
            if *left == 0 {
                ready.push(Reverse(edge.source()));
            }
        }
    }
    (order.len() == missing.len()).then_some(order)
}

/// One diagnostic per knot, with a whole way round it.
fn cycles(graph: &Edges, program: &Program) -> Vec<Diagnostic> {
    let declaration = |node: NodeIndex| &program.declarations[node.index()];
    let mut found = Vec::new();
    for knot in tarjan_scc(graph) {
        let start = *knot.iter().min().unwrap_or(&knot[0]);
        let itself = graph.find_edge(start, start).is_some();
        if knot.len() == 1 && !itself {
            continue;
        }
        let way = way_round(graph, &knot, start);
        let names: Vec<_> = way
            .iter()
            .chain([&start])
            .map(|node| declaration(*node).address.to_string())
            .collect();
        let needs: Vec<_> = way
            .iter()
            .enumerate()
            .filter_map(|(index, node)| {
                let next = way.get(index + 1).copied().unwrap_or(start);
                let (from, to) = (declaration(*node), declaration(next));
                Some((from, to, firmest(from, to)?))
            })
            .collect();
        found.push(cycle(&names.join(" → "), &needs));
    }
    found
}

/// Of several needs between two declarations, the one that is hardest to give up: the others
/// would leave it standing.
fn firmest(from: &Declaration, to: &Declaration) -> Option<Why> {
    let reasons = reasons(from).into_iter().filter(|(needed, _)| **needed == to.address);
    reasons.map(|(_, why)| why).min_by_key(strength)
}

/// The finding for one way round.
fn cycle(names: &str, needs: &[(&Declaration, &Declaration, Why)]) -> Diagnostic {
    let mut found = Diagnostic::new(Code::Cycle, format!("a cycle: {names}"));
    let cut = needs.iter().enumerate().max_by_key(|(_, (_, _, why))| strength(why));
    let Some((cut, (from, to, why))) = cut else { return found };
    for (index, (from, to, why)) in needs.iter().enumerate() {
        let words = format!("`{}` needs `{}`: {why}", from.address, to.address);
        let span = place(from, &to.address, why).clone();
        found =
            if index == cut { found.at(span).label(words) } else { found.related(span, words) };
    }
    found.hint(match why {
        Why::DependsOn => format!(
            "that is only an order: take `{}` out of the `depends_on` of `{}`",
            to.address, from.address
        ),
        Why::AfterHealthy => format!(
            "that is only an order: take `{}` out of the `after_healthy` of `{}`",
            to.address, from.address
        ),
        Why::Triggers => {
            format!(
                "take `{}` out of the `replace_triggered_by` of `{}`",
                to.address, from.address
            )
        }
        Why::Uses(path) => format!(
            "give `{path}` of `{}` a value that does not come from `{}`",
            from.address, to.address
        ),
        Why::Connection => format!("declare `{}` on another connection", from.address),
    })
}

/// How easily a need is given up: the higher, the easier.
fn strength(why: &Why) -> u8 {
    match why {
        Why::Connection => 0,
        Why::Uses(_) => 1,
        Why::Triggers => 2,
        Why::AfterHealthy => 3,
        Why::DependsOn => 4,
    }
}

/// Where a declaration says that it needs another.
pub fn place<'a>(from: &'a Declaration, needed: &Address, why: &Why) -> &'a Span {
    let key = match why {
        Why::Uses(path) => return from.span_of(path),
        Why::Connection => return &from.span,
        Why::AfterHealthy => "after_healthy",
        Why::Triggers => "replace_triggered_by",
        // Two names of one key.
        Why::DependsOn => {
            let is_here = |key: &str| from.spans.contains_key(&Path::attribute(key));
            let item = Path::attribute("after").key(needed.to_string());
            let is_after = from.spans.contains_key(&item) || !is_here("depends_on");
            if is_after && is_here("after") { "after" } else { "depends_on" }
        }
    };
    from.span_of(&Path::attribute(key).key(needed.to_string()))
}

/// The shortest way from a node back to itself within its knot.
fn way_round(graph: &Edges, knot: &[NodeIndex], start: NodeIndex) -> Vec<NodeIndex> {
    let inside: std::collections::BTreeSet<_> = knot.iter().copied().collect();
    let mut came_from: BTreeMap<NodeIndex, NodeIndex> = BTreeMap::new();
    let mut queue = std::collections::VecDeque::from([start]);
    while let Some(node) = queue.pop_front() {
        let mut next: Vec<_> = graph.neighbors(node).filter(|n| inside.contains(n)).collect();
        next.sort();
        for to in next {
            if to == start {
                let mut way = vec![node];
                let mut here = node;
                while here != start {
                    here = came_from[&here];
                    way.push(here);
                }
                way.reverse();
                return way;
            }
            if let std::collections::btree_map::Entry::Vacant(entry) = came_from.entry(to) {
                entry.insert(node);
                queue.push_back(to);
            }
        }
    }
    vec![start]
}

impl Graph {
    /// The program it was made from.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// Adds warnings to those of the program.
    pub fn warn(&mut self, warnings: impl IntoIterator<Item = Diagnostic>) {
        self.program.warnings.extend(warnings);
    }

    /// The declarations, each after everything it needs, otherwise as in the script.
    pub fn in_order(&self) -> impl ExactSizeIterator<Item = &Declaration> {
        self.order.iter().map(|node| &self.program.declarations[node.index()])
    }

    /// The declaration of an address.
    pub fn get(&self, address: &Address) -> Option<&Declaration> {
        Some(&self.program.declarations[self.place(address)?])
    }

    /// Where the declaration of an address stands among those of the program.
    pub(crate) fn place(&self, address: &Address) -> Option<usize> {
        self.places.find(address, &self.program.declarations)
    }

    /// The specs of its declarations in normal form.
    pub(crate) fn normals(&self) -> &Normals {
        &self.program.normals
    }

    /// The declaration of an address in a profile that is off.
    pub fn dormant(&self, address: &Address) -> Option<&Declaration> {
        let index = self.dormant.get(address)?;
        self.program.dormant.declarations.get(*index)
    }

    /// What a declaration needs; each may come more than once.
    pub fn needs<'a>(
        &'a self,
        address: &Address,
    ) -> impl Iterator<Item = &'a Declaration> + use<'a> {
        self.beside(address, Direction::Outgoing)
    }

    /// What needs a declaration; each may come more than once.
    pub fn needed_by<'a>(
        &'a self,
        address: &Address,
    ) -> impl Iterator<Item = &'a Declaration> + use<'a> {
        self.beside(address, Direction::Incoming)
    }

    fn beside<'a>(
        &'a self,
        address: &Address,
        direction: Direction,
    ) -> impl Iterator<Item = &'a Declaration> + use<'a> {
        let node = self.place(address).map(NodeIndex::new);
        let beside = node.map(|node| self.edges.neighbors_directed(node, direction));
        beside.into_iter().flatten().map(|node| &self.program.declarations[node.index()])
    }

    /// The addresses a declaration needs, each once, in a stable order.
    pub fn dependencies(&self, address: &Address) -> Vec<Address> {
        let mut found = Vec::new();
        let mut queue: Vec<&Address> = vec![address];
        while let Some(here) = queue.pop() {
            for declaration in self.needs(here) {
                found.push(declaration.address.clone());
                // A look-up is not recorded: what it needs is needed through it.
                if declaration.lookup.is_some() {
                    queue.push(&declaration.address);
                }
            }
        }
        found.sort();
        found.dedup();
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expr::Expr;

    /// A program from `name: needs needs` lines.
    fn program(lines: &[(&str, &[&str])]) -> Program {
        let address = |name: &str| Address::new(vec![], "t::t", vec![name.to_owned()]);
        let declarations = lines.iter().enumerate().map(|(line, (name, needs))| Declaration {
            address: address(name),
            connection: None,
            attributes: needs
                .iter()
                .map(|needed| {
                    let path = Path::attribute("name");
                    ((*needed).to_owned(), Expr::reference(address(needed), path))
                })
                .collect(),
            lifecycle: crate::program::Lifecycle::plain(),
            allow: std::collections::BTreeSet::new(),
            clear: Vec::new(),
            lookup: None,
            implicit: false,
            off: None,
            span: Span {
                file: "main.rhai".into(),
                line: u32::try_from(line).unwrap() + 1,
                column: 1,
                length: 1,
            },
            spans: std::sync::Arc::default(),
        });
        Program { declarations: declarations.collect(), ..Program::default() }
    }

    fn check(lines: &[(&str, &[&str])], expected: &str) {
        let found = match build(program(lines)) {
            Ok(graph) => {
                let names: Vec<_> = graph.in_order().map(|d| d.address.name()).collect();
                names.join(" ")
            }
            Err(findings) => {
                let messages: Vec<_> =
                    findings.diagnostics.iter().map(|d| d.message.as_str()).collect();
                messages.join("\n")
            }
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn order_follows_needs_and_then_the_script() {
        check(&[("c", &[]), ("a", &["b"]), ("b", &[]), ("d", &["c"])], "c b a d");
    }

    #[test]
    fn a_cycle_is_shown_as_a_path() {
        check(
            &[("x", &[]), ("a", &["b"]), ("b", &["c"]), ("c", &["a", "x"])],
            "a cycle: t::t.a → t::t.b → t::t.c → t::t.a",
        );
        check(&[("a", &["a"])], "a cycle: t::t.a → t::t.a");
    }

    #[test]
    fn every_undeclared_name_is_reported() {
        check(
            &[("a", &["q"]), ("b", &["r"])],
            "`t::t.q` is not declared\n`t::t.r` is not declared",
        );
    }
}
