//! Who needs a resource, and what happens to them when it is made anew.

use std::collections::BTreeMap;

use super::stack::{Object, Stack};
use crate::address::Address;
use crate::diagnostic::Span;
use crate::graph::{Graph, Why, place, reasons};
use crate::kind::Registry;
use crate::program::Declaration;
use crate::schema::Disruption;

/// Why one declaration needs another, and where it says so.
#[derive(Clone, Debug)]
pub struct Relation<'a> {
    /// Why.
    pub why: Why,
    /// Where.
    pub span: &'a Span,
}

/// A declaration and everything that needs it.
#[derive(Clone, Debug)]
pub struct Branch<'a> {
    /// The declaration.
    pub declaration: &'a Declaration,
    /// Why it needs the one above; empty at the root.
    pub relations: Vec<Relation<'a>>,
    /// Why it also needs the root itself, beside living in it.
    pub directly: Vec<Relation<'a>>,
    /// What needs it, in the order of the script.
    pub users: Vec<Branch<'a>>,
}

/// Everything that needs an address, as a tree; `None` when it is not declared.
///
/// What needs several of them stands once, below the one that comes last: the others are
/// most often on the way there. So the tree is as large as the number of its resources.
pub fn uses<'a>(graph: &'a Graph, address: &Address) -> Option<Branch<'a>> {
    let root = graph.get(address)?;
    let mut reached: Vec<(&Declaration, Option<usize>)> = Vec::new();
    let mut places: BTreeMap<&Address, usize> = BTreeMap::new();
    for declaration in graph.in_order() {
        let above = graph
            .needs(&declaration.address)
            .filter_map(|needed| places.get(&needed.address).copied())
            .max();
        if above.is_some() || declaration.address == root.address {
            places.insert(&declaration.address, reached.len());
            reached.push((declaration, above));
        }
    }
    // From the last to the first: all below a branch is there before the branch is made.
    let mut below: Vec<Vec<Branch<'a>>> = reached.iter().map(|_| Vec::new()).collect();
    for (index, (declaration, above)) in reached.iter().enumerate().rev() {
        let mut users = std::mem::take(&mut below[index]);
        users.sort_by(|a, b| a.declaration.span.cmp(&b.declaration.span));
        let Some(above) = *above else {
            let (relations, directly) = (Vec::new(), Vec::new());
            return Some(Branch { declaration, relations, directly, users });
        };
        let over = &reached[above].0.address;
        let relations = between(declaration, over);
        let mut directly = Vec::new();
        if above > 0 {
            directly = between(declaration, &root.address);
            directly.retain(|relation| relation.why != Why::Connection);
        }
        below[above].push(Branch { declaration, relations, directly, users });
    }
    None
}

/// Why a declaration needs another, in the order of the script.
fn between<'a>(from: &'a Declaration, needed: &Address) -> Vec<Relation<'a>> {
    let needs = reasons(from).into_iter().filter(|(other, _)| *other == needed);
    let mut found: Vec<_> = needs
        .map(|(_, why)| {
            let span = place(from, needed, &why);
            Relation { why, span }
        })
        .collect();
    found.sort_by(|a, b| a.span.cmp(b.span));
    found
}

/// What making an object anew does to another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Impact {
    /// Nothing: only an order, or only a name that stays the same.
    None,
    /// It is looked at again, and corrected where it differs.
    Verified,
    /// It is opened again.
    Reopened,
    /// It is changed in place, which disturbs it this much.
    Updated(Disruption),
    /// It is made anew too.
    Replaced,
    /// What it holds is lost.
    Lost,
}

impl Impact {
    /// How much it disturbs who uses the object.
    pub fn disruption(self) -> Disruption {
        match self {
            Self::None | Self::Verified => Disruption::None,
            Self::Reopened => Disruption::Reconnect,
            Self::Updated(disruption) => disruption,
            Self::Replaced => Disruption::Recreate,
            Self::Lost => Disruption::DataLoss,
        }
    }
}

/// What replacing an address does to everything that needs it, by address, and to itself.
///
/// An estimate from the declarations: whether a value really changes is known in a plan.
pub fn impact<'a>(
    graph: &'a Graph,
    registry: &Registry,
    address: &Address,
) -> BTreeMap<&'a Address, Impact> {
    let stack = Stack::read(graph, registry);
    let objects: BTreeMap<&Address, &Object<'_>> =
        stack.objects().map(|object| (object.address(), object)).collect();
    let mut found: BTreeMap<&Address, Impact> = BTreeMap::new();
    // In the order of the graph everything comes after what it needs.
    for declaration in graph.in_order() {
        let is_root = declaration.address == *address;
        let own = if is_root {
            Some(replaced(declaration, &objects))
        } else {
            reasons(declaration)
                .into_iter()
                .filter_map(|(needed, why)| {
                    let above = *found.get(needed)?;
                    Some(reached(registry, declaration, needed, &why, above, &objects))
                })
                .max()
        };
        if let Some(own) = own {
            found.insert(&declaration.address, own);
        }
    }
    found
}

fn reached(
    registry: &Registry,
    declaration: &Declaration,
    needed: &Address,
    why: &Why,
    above: Impact,
    objects: &BTreeMap<&Address, &Object<'_>>,
) -> Impact {
    let anew = matches!(above, Impact::Replaced | Impact::Lost);
    match why {
        Why::Triggers if anew || matches!(above, Impact::Updated(_)) => {
            replaced(declaration, objects)
        }
        // Only an order, or a trigger that is not pulled.
        Why::DependsOn | Why::AfterHealthy | Why::Triggers => Impact::None,
        // What lives in a server goes with it, or is looked at once it is back.
        Why::Connection => match above {
            Impact::Lost => Impact::Lost,
            Impact::None => Impact::None,
            _ => Impact::Verified,
        },
        Why::Uses(_) if !anew => Impact::None,
        Why::Uses(path) => {
            if registry.connection_kind(declaration.address.kind()).is_some() {
                // What lives in a server is as lasting as what the server keeps.
                let keeps = objects.get(needed).is_none_or(|object| object.keeps_data);
                let lost = above == Impact::Lost || !keeps;
                return if lost { Impact::Lost } else { Impact::Reopened };
            }
            let attribute = path
                .first()
                .and_then(|name| registry.schema(declaration.address.kind())?.spec.get(name));
            let Some(attribute) = attribute else { return Impact::None };
            if attribute.by_name && only_names(declaration, path.first(), needed) {
                Impact::None
            } else if attribute.replace {
                // What it stood on and wrote to is gone.
                replaced(declaration, objects).max(above)
            } else {
                Impact::Updated(attribute.disruption)
            }
        }
    }
}

/// Making something anew that people stored data in loses the data.
fn replaced(declaration: &Declaration, objects: &BTreeMap<&Address, &Object<'_>>) -> Impact {
    let loses = objects.get(&declaration.address).is_some_and(|object| object.loses);
    if loses { Impact::Lost } else { Impact::Replaced }
}

/// Whether an attribute holds nothing of an address but its name.
fn only_names(declaration: &Declaration, attribute: Option<&str>, needed: &Address) -> bool {
    let Some(value) = attribute.and_then(|name| declaration.attributes.get(name)) else {
        return false;
    };
    let mut all = true;
    value.each_reference(&mut |reference| {
        if reference.address == *needed {
            all &= reference.path.first() == Some("name");
        }
    });
    all
}
