//! The declarations as the rules see them: specs as far as they are known, and claims.

use std::collections::BTreeMap;

use super::claim::{Claim, Claimed, Lint};
use crate::address::Address;
use crate::expr::{Expr, Reference};
use crate::graph::Graph;
use crate::kind::{Kind, Registry};
use crate::path::{Path, Segment};
use crate::plan::desired::desired;
use crate::program::Declaration;
use crate::resource::Name;
use crate::value::Value;

/// A stack, read once for all rules.
pub(super) struct Stack<'a> {
    /// What it was read from.
    pub(super) graph: &'a Graph,
    /// Its resources, in the order of the graph.
    pub(super) objects: Vec<Object<'a>>,
}

/// One resource.
pub(super) struct Object<'a> {
    /// As declared.
    pub(super) declaration: &'a Declaration,
    /// Its kind.
    pub(super) kind: &'a Kind,
    /// Whether what it is reached through is on this machine.
    pub(super) local: bool,
    /// Its real name, when it has one and it is known.
    pub(super) name: Option<String>,
    /// Whether what it holds survives when it is made anew as it is.
    pub(super) keeps_data: bool,
    /// What it takes and needs.
    pub(super) claims: Vec<Claimed>,
    /// What is odd about it.
    pub(super) lints: Vec<Lint>,
}

impl<'a> Stack<'a> {
    /// Asks every kind about its objects.
    pub(super) fn read(graph: &'a Graph, registry: &'a Registry) -> Self {
        let mut known: BTreeMap<&Address, BTreeMap<String, Expr>> = BTreeMap::new();
        let mut objects = Vec::new();
        for declaration in graph.in_order() {
            let attributes: BTreeMap<String, Expr> = declaration
                .attributes
                .iter()
                .map(|(name, expr)| (name.clone(), expr.resolve(&|r| declared(&known, r))))
                .collect();
            if let Some(kind) = registry.kind(declaration.address.kind()) {
                let local = is_local(registry, &known, declaration.connection.as_ref());
                let stack = &graph.program().stack;
                objects.push(object(declaration, kind, &attributes, stack, local));
            }
            known.insert(&declaration.address, attributes);
        }
        Self { graph, objects }
    }

    /// Every claim with whose it is.
    pub(super) fn claims(&self) -> impl Iterator<Item = (&Object<'a>, &Claimed)> {
        self.objects.iter().flat_map(|object| object.claims.iter().map(move |c| (object, c)))
    }
}

impl<'a> Object<'a> {
    /// What it is reached through.
    pub(super) fn connection(&self) -> Option<&'a Address> {
        self.declaration.connection.as_ref()
    }

    /// Its address in the stack.
    pub(super) fn address(&self) -> &'a Address {
        &self.declaration.address
    }
}

/// The declared value behind a reference, when it was declared and not left to the world.
fn declared(
    known: &BTreeMap<&Address, BTreeMap<String, Expr>>,
    reference: &Reference,
) -> Option<Expr> {
    let mut expr = known.get(&reference.address)?.get(reference.path.first()?)?;
    for (index, segment) in reference.path.0.iter().enumerate().skip(1) {
        expr = match (expr, segment) {
            (Expr::Map(entries), Segment::Key(key)) => entries.get(key)?,
            (Expr::List(items), Segment::Index(at)) => items.get(*at)?,
            (Expr::Value(value), _) => {
                let rest = Path(reference.path.0[index..].to_vec());
                return rest.follow(value).map(Expr::Value);
            }
            _ => return None,
        };
    }
    Some(expr.clone())
}

fn is_local(
    registry: &Registry,
    known: &BTreeMap<&Address, BTreeMap<String, Expr>>,
    connection: Option<&Address>,
) -> bool {
    let Some(address) = connection else { return false };
    let Some(kind) = registry.connection_kind(address.kind()) else { return false };
    let spec = known.get(address).map(|attributes| Expr::map(attributes.clone()));
    spec.as_ref().and_then(Expr::known).is_some_and(|spec| kind.dial.is_local(spec))
}

fn object<'a>(
    declaration: &'a Declaration,
    kind: &'a Kind,
    attributes: &BTreeMap<String, Expr>,
    stack: &str,
    local: bool,
) -> Object<'a> {
    let normal = desired(&kind.schema, attributes, &|spec| kind.calls.normalize(spec)).ok();
    let probe = normal.and_then(|normal| normal.probe);
    let name = attributes.get("name").and_then(Expr::known).and_then(Value::as_str);
    let name = name.filter(|_| kind.schema.spec.contains_key("name")).map(str::to_owned);
    let (mut claims, mut lints, mut keeps_data) = (Vec::new(), Vec::new(), true);
    if let Some(probe) = probe {
        let called = Name {
            stack: stack.to_owned(),
            address: declaration.address.clone(),
            natural: name.clone().unwrap_or_default(),
        };
        keeps_data = kind.calls.keeps_data(&probe, Some(&probe));
        claims = kind.calls.claims(&called, &probe);
        claims.retain(|claimed| !holds_stand_in(&claimed.claim));
        lints = kind.calls.lint(&probe);
        // What is not known yet is neither odd nor in order.
        lints.retain(|lint| {
            let attribute = lint.at.first().and_then(|name| attributes.get(name));
            attribute.is_some_and(|expr| part(expr, &lint.at.0[1..]).known().is_some())
        });
    }
    Object { declaration, kind, local, name, keeps_data, claims, lints }
}

/// The part of an attribute that a path leads to, as far as it can be told apart.
fn part<'e>(expr: &'e Expr, path: &[Segment]) -> &'e Expr {
    match (expr, path) {
        (Expr::Map(entries), [Segment::Key(key), rest @ ..]) => {
            entries.get(key).map_or(expr, |entry| part(entry, rest))
        }
        (Expr::List(items), [Segment::Index(at), rest @ ..]) => {
            items.get(*at).map_or(expr, |item| part(item, rest))
        }
        _ => expr,
    }
}

/// Whether a claim is about a name that is not known yet.
fn holds_stand_in(claim: &Claim) -> bool {
    let marked = |text: &str| text.contains(|c| ('\u{FDD0}'..='\u{FDEF}').contains(&c));
    match claim {
        Claim::HostPort { .. } | Claim::Subnet(_) => false,
        Claim::Offers { image: text, .. } | Claim::Wants { feature: text, .. } => marked(text),
        Claim::Member { network, names, .. } => {
            marked(&network.name) || names.iter().any(|name| marked(name))
        }
        Claim::Mount { volume, .. } => marked(&volume.name),
        Claim::NeedsPath(path) | Claim::MakesPath(path) => marked(path),
    }
}
