//! The declarations as the rules see them: specs as far as they are known, and claims.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::claim::{Call, Claim, Claimed, Lint};
use crate::address::Address;
use crate::expr::{Expr, Reference};
use crate::graph::Graph;
use crate::kind::{Kind, Registry};
use crate::map::Map;
use crate::path::{Path, Segment};
use crate::program::{Declaration, alternatives};
use crate::resource::Name;
use crate::value::Value;

/// A stack, read once for all rules.
pub(super) struct Stack<'a> {
    /// What it was read from.
    pub(super) graph: &'a Graph,
    /// Its resources, in the order of the graph; then those that profiles leave off.
    objects: Vec<Object<'a>>,
    /// What is known of the attributes of everything, by address.
    known: Known<'a>,
    /// The profiles the rules are to take as on, when they are not to look at what is planned.
    supposed: Option<BTreeSet<&'a str>>,
}

/// Attributes as far as they are known, by address.
type Known<'a> = HashMap<&'a Address, Map<Expr>>;

/// A claim with whose it is.
pub(super) type Use<'s, 'a> = (&'s Object<'a>, &'s Claimed);

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
    /// What its kind is asked with.
    called: Name,
    /// Its spec in normal form, with stand-ins for what is not known.
    probe: Option<Value>,
    /// Whether what it holds survives when it is made anew as it is.
    pub(super) keeps_data: bool,
    /// Whether removing it can lose what people stored.
    pub(super) loses: bool,
    /// What it takes and needs.
    pub(super) claims: Vec<Claimed>,
    /// What is odd about it.
    pub(super) lints: Vec<Lint>,
}

impl<'a> Stack<'a> {
    /// Asks every kind about its objects.
    pub(super) fn read(graph: &'a Graph, registry: &'a Registry) -> Self {
        let mut known = Known::new();
        let mut objects = Vec::new();
        let mut locals: BTreeMap<&Address, bool> = BTreeMap::new();
        // What is dormant stands in the order of the script, after what it refers to.
        for declaration in graph.in_order().chain(&graph.program().dormant.declarations) {
            let attributes = Expr::filled(&declaration.attributes, &|_, r| declared(&known, r));
            if let Some(kind) = registry.kind(declaration.address.kind()) {
                let local = declaration.connection.as_ref().is_some_and(|connection| {
                    let told = || is_local(registry, &known, connection);
                    *locals.entry(connection).or_insert_with(told)
                });
                objects.push(object(graph, declaration, kind, &attributes, local));
            }
            known.insert(&declaration.address, attributes);
        }
        Self { graph, objects, known, supposed: None }
    }

    /// The resources that are planned; with profiles supposed to be on, those that are there
    /// whenever they are.
    pub(super) fn objects(&self) -> impl Iterator<Item = &Object<'a>> {
        self.objects.iter().filter(|object| match &self.supposed {
            None => object.declaration.off.is_none(),
            Some(on) => comes(object.declaration, on),
        })
    }

    /// The attributes of a declaration, as far as they are known.
    pub(super) fn attributes(
        &self,
        declaration: &Declaration,
    ) -> impl Iterator<Item = (&str, &Expr)> {
        let known = self.known.get(&declaration.address);
        known.into_iter().flatten().map(|(name, expr)| (name.as_str(), expr))
    }

    /// An expression, filled in with what is declared.
    pub(super) fn resolve(&self, expr: &Expr) -> Expr {
        expr.resolve(&|reference| declared(&self.known, reference))
    }

    /// Every claim with whose it is.
    pub(super) fn claims(&self) -> impl Iterator<Item = Use<'_, 'a>> {
        self.objects().flat_map(|object| object.claims.iter().map(move |c| (object, c)))
    }

    /// Where a claim is made: when its attribute is a list, by which item of it.
    ///
    /// A kind may bring lists to another order and form, so each item is tried alone.
    pub(super) fn place(&self, object: &Object<'a>, claimed: &Claimed) -> Path {
        self.item(object, claimed).unwrap_or_else(|| claimed.at.clone())
    }

    fn item(&self, object: &Object<'a>, claimed: &Claimed) -> Option<Path> {
        let name = claimed.at.first()?;
        let items: Vec<Option<&Value>> = match self.known.get(object.address())?.get(name)? {
            Expr::List(items) => items.iter().map(Expr::known).collect(),
            Expr::Value(Value::List(items)) => items.iter().map(Some).collect(),
            _ => return None,
        };
        let calls = &object.kind.calls;
        let Some(Value::Map(probe)) = &object.probe else { return None };
        let is_it = |item: &Value| {
            let mut alone = probe.clone();
            alone.insert(name.to_owned(), Value::List(vec![item.clone()]));
            let alone = calls.normalize(&Value::Map(alone)).ok()?;
            let claims = calls.claims(&object.called, &alone);
            Some(claims.iter().any(|claim| claim.claim == claimed.claim))
        };
        let index = items.into_iter().position(|item| item.and_then(is_it) == Some(true))?;
        Some(Path::attribute(name).index(index))
    }

    /// The sets of profiles that bring up something that is off.
    pub(super) fn dormant_sets(&self) -> BTreeSet<BTreeSet<&'a str>> {
        let dormant = self.objects.iter().filter(|object| object.declaration.off.is_some());
        dormant.flat_map(|object| sets(object.declaration)).collect()
    }

    /// Lets the rules look at what is there whenever some profiles are on.
    pub(super) fn suppose(&mut self, on: BTreeSet<&'a str>) {
        self.supposed = Some(on);
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

/// Whether a declaration is there when these profiles are on.
pub(super) fn comes(declaration: &Declaration, on: &BTreeSet<&str>) -> bool {
    let mut around = declaration.lifecycle.profiles.iter();
    around.all(|names| alternatives(names).any(|name| on.contains(name)))
}

/// More sets than these are not tried; a script could ask for any number.
const MOST_SETS: usize = 64;

/// The smallest sets of profiles that bring a declaration up.
fn sets(declaration: &Declaration) -> Vec<BTreeSet<&str>> {
    let mut sets = vec![BTreeSet::new()];
    for names in &declaration.lifecycle.profiles {
        let with = |set: &BTreeSet<_>, name| set.iter().copied().chain([name]).collect();
        sets = sets
            .iter()
            .flat_map(|set| alternatives(names).map(move |name| with(set, name)))
            .take(MOST_SETS)
            .collect();
    }
    sets
}

/// The declared value behind a reference, when it was declared and not left to the world.
fn declared(known: &Known<'_>, reference: &Reference) -> Option<Expr> {
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

fn is_local(registry: &Registry, known: &Known<'_>, address: &Address) -> bool {
    let Some(kind) = registry.connection_kind(address.kind()) else { return false };
    let spec = known.get(address).map(|attributes| Expr::map(attributes.clone()));
    spec.as_ref().and_then(Expr::known).is_some_and(|spec| kind.dial.is_local(spec))
}

fn object<'a>(
    graph: &Graph,
    declaration: &'a Declaration,
    kind: &'a Kind,
    attributes: &Map<Expr>,
    local: bool,
) -> Object<'a> {
    let normal = graph.normals().of(&declaration.address, kind, attributes).ok();
    // A plan tells of them; it works them out here, while connections are opened.
    if let Some(normal) = &normal {
        normal.problems(kind);
    }
    let probe = normal.and_then(|normal| normal.desired.probe.clone());
    let name = attributes.get("name").and_then(Expr::known).and_then(Value::as_str);
    let name = name.filter(|_| kind.schema.spec.contains_key("name")).map(str::to_owned);
    let (mut claims, mut lints) = (Vec::new(), Vec::new());
    let (mut keeps_data, mut loses) = (true, kind.traits.holds_data);
    let called = Name {
        stack: graph.program().stack.clone(),
        address: declaration.address.clone(),
        natural: name.clone().unwrap_or_default(),
    };
    if let Some(probe) = &probe {
        keeps_data = kind.calls.keeps_data(probe, Some(probe));
        loses = kind.loses(probe);
        claims = kind.calls.claims(&called, probe);
        claims.retain(|claimed| !holds_stand_in(&claimed.claim));
        // Parts of a secret are not spelt out.
        claims.retain(|claimed| {
            let attribute = claimed.at.first().and_then(|name| attributes.get(name));
            let secret =
                attribute.is_some_and(|expr| part(expr, &claimed.at.0[1..]).is_secret());
            !(secret && matches!(claimed.claim, Claim::Calls(_)))
        });
        lints = kind.calls.lint(probe);
        // What is not known yet is neither odd nor in order.
        lints.retain(|lint| {
            let attribute = lint.at.first().and_then(|name| attributes.get(name));
            attribute.is_some_and(|expr| part(expr, &lint.at.0[1..]).known().is_some())
        });
    }
    Object { declaration, kind, local, name, called, probe, keeps_data, loses, claims, lints }
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
        Claim::Calls(Call { host, login, place, .. }) => {
            marked(host) || login.iter().chain(place).any(|asked| marked(&asked.name))
        }
        Claim::Knows { name, .. } => marked(name),
        Claim::Mount { volume: named, .. } | Claim::Shares(named) => marked(&named.name),
        Claim::NeedsPath(path) | Claim::MakesPath(path) => marked(path),
    }
}
