//! Names written as text where a resource of the stack is meant: nothing waits for it then,
//! and a name of the script is not the real one.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::Report;
use super::claim::{Claim, Claimed, Named};
use super::stack::{Object, Stack};
use crate::address::Address;
use crate::diagnostic::{Code, Diagnostic};
use crate::expr::Expr;
use crate::kind::short_name;
use crate::path::{Path, Segment};
use crate::value::Value;

/// Says so, and returns what was meant.
pub(super) fn check<'a>(stack: &Stack<'a>, report: &mut Report<'a>) -> BTreeSet<&'a Address> {
    let mut places: BTreeMap<&str, Vec<&Object<'a>>> = BTreeMap::new();
    for object in stack.objects() {
        places.entry(object.kind.name).or_default().push(object);
    }
    let mut meant = BTreeSet::new();
    for (object, claimed) in stack.claims() {
        let Some(named) = named(&claimed.claim) else { continue };
        // What a kind does by itself nobody wrote.
        let attribute = claimed.at.first().unwrap_or_default();
        if !object.declaration.attributes.contains_key(attribute) {
            continue;
        }
        let all = places.get(named.kind).map_or(&[][..], Vec::as_slice);
        let is_called = |other: &&&Object<'a>| other.name.as_ref() == Some(&named.name);
        let here = all.iter().filter(|other| other.connection() == object.connection());
        if let Some(other) = here.clone().find(is_called) {
            if !needs(stack, object.address(), other.address()) {
                let message = format!(
                    "`{}` is named by text here, so nothing waits for it",
                    other.address()
                );
                add(stack, report, (object, claimed), other, message);
            }
            continue;
        }
        if let Some(other) = all.iter().find(is_called) {
            if needs(stack, object.address(), other.address()) {
                elsewhere(stack, report, (object, claimed), other);
            }
            continue;
        }
        let Some(other) = here.clone().find(|other| other.address().name() == named.name)
        else {
            continue;
        };
        let noun = short_name(named.kind);
        let message = format!(
            "the {noun} `{}` is another one than `{}`, which is really called `{}`",
            named.name,
            other.address(),
            other.name.as_deref().unwrap_or_default(),
        );
        add(stack, report, (object, claimed), other, message);
        meant.insert(other.address());
    }
    in_place_of_handles(stack, report);
    meant
}

/// The same for attributes that take what is declared: the name of something that is, as text.
fn in_place_of_handles<'a>(stack: &Stack<'a>, report: &mut Report<'a>) {
    let made = || stack.objects().filter(|object| object.declaration.lookup.is_none());
    let mut called: HashMap<(&str, &str), Vec<&Object<'a>>> = HashMap::new();
    for object in made() {
        if let Some(name) = &object.name {
            called.entry((object.kind.name, name)).or_default().push(object);
        }
    }
    for object in made() {
        // Kinds say more of some.
        let told = object.claims.iter().filter(|claimed| named(&claimed.claim).is_some());
        let told: BTreeSet<_> = told.filter_map(|claimed| claimed.at.first()).collect();
        let taking =
            object.kind.schema.spec.iter().filter(|(name, taken)| {
                !taken.handle.is_empty() && !told.contains(name.as_str())
            });
        for (attribute, taken) in taking {
            let Some(given) = object.declaration.attributes.get(attribute) else { continue };
            for (at, text) in texts(Path::attribute(attribute), given) {
                let kinds = taken.handle.iter().filter_map(|kind| called.get(&(&**kind, text)));
                let meant = kinds.flatten().find(|other| is_beside(stack, object, other));
                let Some(other) = meant else { continue };
                if needs(stack, object.address(), other.address()) {
                    continue;
                }
                let (address, kind) = (other.address(), other.kind.name);
                let found = Diagnostic::new(
                    Code::NamedByText,
                    format!("`{address}` is named by text here, so nothing waits for it"),
                )
                .hint(format!("put what `{kind}(\"{}\")` returned there", address.name()))
                .related(other.declaration.span.clone(), "declared here");
                report.add_of(&[other.declaration, object.declaration], &at, found);
            }
        }
    }
}

/// The texts in an attribute that is one, or a list of them.
fn texts(at: Path, given: &Expr) -> Vec<(Path, &str)> {
    let items: Vec<_> = match given {
        Expr::Value(Value::List(items)) => items.iter().map(Value::as_str).collect(),
        Expr::List(items) => {
            items.iter().map(|item| item.known().and_then(Value::as_str)).collect()
        }
        other => {
            let text = other.known().and_then(Value::as_str);
            return text.map(|text| (at, text)).into_iter().collect();
        }
    };
    let items = items.into_iter().enumerate();
    items.filter_map(|(index, text)| Some((at.clone().index(index), text?))).collect()
}

/// Whether one resource would find another one under its name: it is on the same server, in
/// the same database, vhost and so on.
fn is_beside(stack: &Stack<'_>, object: &Object<'_>, other: &Object<'_>) -> bool {
    let told = |one: &Object<'_>, parent: &str| {
        let mut told = stack.attributes(one.declaration);
        told.find(|(name, _)| *name == parent).and_then(|(_, expr)| expr.known().cloned())
    };
    object.connection() == other.connection()
        && object.address() != other.address()
        && other
            .kind
            .traits
            .within
            .iter()
            .all(|parent| told(object, parent) == told(other, parent))
}

fn named(claim: &Claim) -> Option<&Named> {
    match claim {
        Claim::Member { network: named, .. }
        | Claim::Mount { volume: named, .. }
        | Claim::Shares(named) => Some(named),
        _ => None,
    }
}

fn add<'a>(
    stack: &Stack<'a>,
    report: &mut Report<'a>,
    (object, claimed): (&Object<'a>, &Claimed),
    other: &Object<'a>,
    message: String,
) {
    let name = other.address().name();
    let call = format!("what `{}(\"{name}\")` returned", other.kind.name);
    let attribute = claimed.at.first().unwrap_or_default();
    let is_key = matches!(claimed.at.0.get(1), Some(Segment::Key(_)))
        && stack.place(object, claimed) == claimed.at;
    let hint = if is_key {
        let noun = short_name(other.kind.name);
        format!(
            "a key of a map is only text: write `{attribute}: [#{{ {noun}: .., .. }}]` with {call}"
        )
    } else {
        format!("put {call} there; inside of text it stands as `${{..}}`, between backticks")
    };
    let found = Diagnostic::new(Code::NamedByText, message)
        .hint(hint)
        .related(other.declaration.span.clone(), "declared here");
    report.add_of(
        &[other.declaration, object.declaration],
        &stack.place(object, claimed),
        found,
    );
}

/// A place that is on another server.
fn elsewhere<'a>(
    stack: &Stack<'a>,
    report: &mut Report<'a>,
    (object, claimed): (&Object<'a>, &Claimed),
    other: &Object<'a>,
) {
    let behind = |object: &Object<'a>| {
        object.connection().map_or_else(String::new, |connection| format!("`{connection}`"))
    };
    let message = format!(
        "`{}` is on {}, and `{}` on {}",
        object.address(),
        behind(object),
        other.address(),
        behind(other),
    );
    let found =
        Diagnostic::new(Code::AnotherConnection, message).hint("declare both on the same one");
    report.add_pair(
        (other.declaration, &Path::default()),
        (object.declaration, &stack.place(object, claimed)),
        "declared here",
        found,
    );
}

/// Whether one resource is made after another, by whatever leads from one to the other.
fn needs(stack: &Stack<'_>, from: &Address, to: &Address) -> bool {
    let mut seen = BTreeSet::new();
    let mut queue = vec![from];
    while let Some(here) = queue.pop() {
        for needed in stack.graph.needs(here) {
            if needed.address == *to {
                return true;
            }
            if seen.insert(&needed.address) {
                queue.push(&needed.address);
            }
        }
    }
    false
}
