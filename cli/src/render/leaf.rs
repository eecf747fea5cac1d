//! A difference taken apart to the values people can read, with secrets already masked.
//!
//! Terminal, Markdown and JSON all show leaves, so there is one place that decides what may
//! be seen: a leaf never holds a secret.

use std::collections::{BTreeMap, BTreeSet};

use dollop_engine::diagnostic::Span;
use dollop_engine::ephemeral::Secrecy;
use dollop_engine::expr::{Expr, Reference};
use dollop_engine::map::Map;
use dollop_engine::path::Path;
use dollop_engine::plan::{Action, Change, Difference, OutputChange};
use dollop_engine::value::Value;

/// One side of a leaf.
#[derive(Clone, Debug, PartialEq)]
pub enum Side {
    /// There is nothing.
    Absent,
    /// A scalar, a list of scalars, or an empty list or map; never a secret.
    Known(Value),
    /// Known after apply.
    Unknown(Expr),
    /// Something that is never shown.
    Sensitive,
}

/// The smallest part of an attribute that differs.
#[derive(Clone, Debug, PartialEq)]
pub struct Leaf {
    /// Where: an item of a list by its number, in the new list unless it goes.
    pub path: Path,
    /// The same for people: an item that has a name by that.
    pub shown: Path,
    /// As it is.
    pub before: Side,
    /// As it shall be.
    pub after: Side,
    /// Whether it changed outside dollop.
    pub drift: bool,
    /// Whether it is why the object must be replaced.
    pub replaces: bool,
    /// Where the script sets it.
    pub span: Option<Span>,
}

impl Side {
    /// The text, when it is one.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Known(Value::String(text)) => Some(text),
            _ => None,
        }
    }

    /// Whether it is nothing, or an empty text, list or map.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Absent | Self::Known(Value::Null) => true,
            Self::Known(Value::String(text)) => text.is_empty(),
            Self::Known(Value::List(items)) => items.is_empty(),
            Self::Known(Value::Map(entries)) => entries.is_empty(),
            _ => false,
        }
    }

    /// The references it waits for.
    pub fn waits_for(&self) -> Vec<&Reference> {
        match self {
            Self::Unknown(expr) => expr.references().into_iter().collect(),
            _ => Vec::new(),
        }
    }
}

/// The leaves of differences, in their order.
pub fn leaves(differences: &[Difference]) -> Vec<Leaf> {
    let mut found = Vec::with_capacity(differences.len());
    for difference in differences {
        let before = difference.before.clone().map(Expr::Value);
        for (At { path, shown }, before, after) in
            pairs(&difference.path, before.as_ref(), difference.after.as_ref())
        {
            found.push(Leaf {
                path,
                shown,
                before,
                after,
                drift: difference.drift,
                replaces: difference.replaces,
                span: difference.span.clone(),
            });
        }
    }
    found
}

/// Leaves out what says nothing: of something new, empty defaults the script did not set. The
/// key of an entry says something, whatever stands behind it.
pub fn worth_showing(change: &Change, leaves: &mut Vec<Leaf>) {
    let is_entry =
        |leaf: &Leaf| leaf.path.0.len() > 1 && matches!(leaf.after, Side::Known(Value::Map(_)));
    if change.action == Action::Create {
        leaves.retain(|leaf| leaf.span.is_some() || !leaf.after.is_empty() || is_entry(leaf));
    }
}

/// The leaves of the outputs that change, each under the output's name.
pub fn output_leaves(outputs: &[OutputChange]) -> Vec<Leaf> {
    let differences: Vec<_> = outputs
        .iter()
        .filter(|output| output.differs())
        .map(|output| Difference {
            path: Path::attribute(&output.name),
            before: output.before.clone(),
            after: output.after.clone(),
            drift: false,
            replaces: false,
            span: None,
        })
        .collect();
    leaves(&differences)
}

/// The leaves of a value that is only shown, not compared.
pub fn value_leaves(value: &Value) -> Vec<(Path, Side)> {
    let value = Expr::Value(value.clone());
    pairs(&Path::default(), None, Some(&value))
        .into_iter()
        .map(|(at, _, after)| (at.path, after))
        .collect()
}

type Pair = (At, Side, Side);

/// Where something stands, for programs and for people.
#[derive(Clone)]
struct At {
    path: Path,
    shown: Path,
}

impl At {
    fn key(&self, key: &str) -> Self {
        Self { path: self.path.key(key), shown: self.shown.key(key) }
    }

    fn index(&self, index: usize) -> Self {
        Self { path: self.path.index(index), shown: self.shown.index(index) }
    }

    fn named(&self, index: usize, name: &str) -> Self {
        Self { path: self.path.index(index), shown: self.shown.key(name) }
    }
}

fn pairs(path: &Path, before: Option<&Expr>, after: Option<&Expr>) -> Vec<Pair> {
    let mut found = Vec::new();
    let at = At { path: path.clone(), shown: path.clone() };
    walk(&at, before, after, &mut found);
    found
}

fn walk(path: &At, before: Option<&Expr>, after: Option<&Expr>, found: &mut Vec<Pair>) {
    // Nothing and not there are the same to a reader.
    let there = |side: &&Expr| **side != Expr::NULL;
    let (before, after) = (before.filter(there), after.filter(there));
    if before.is_none() && after.is_none() || same(before, after) {
        return;
    }
    let masked = |side: Option<&Expr>| side.map_or(Side::Absent, |_| Side::Sensitive);
    if before.into_iter().chain(after).any(Expr::is_secret) {
        found.push((path.clone(), masked(before), masked(after)));
        return;
    }
    match (shape(before), shape(after)) {
        (Shape::Absent, Shape::Absent) => {}
        (Shape::Map(a), Shape::Map(b)) => each_key(path, a, b, found),
        (Shape::Map(a), Shape::Absent) if !a.is_empty() => {
            each_key(path, a, Map::new(), found);
        }
        (Shape::Absent, Shape::Map(b)) if !b.is_empty() => {
            each_key(path, Map::new(), b, found);
        }
        (Shape::List(a), Shape::List(b)) if !(simple(&a) && simple(&b)) => {
            each_index(path, &a, &b, found);
        }
        (Shape::List(a), Shape::Absent) if !simple(&a) => each_index(path, &a, &[], found),
        (Shape::Absent, Shape::List(b)) if !simple(&b) => each_index(path, &[], &b, found),
        (a, b) if before.is_some() && after.is_some() && a.differs_in_kind(&b) => {
            // A map became a text, say. What was secret in one may stand in clear in the
            // other, so a secret anywhere hides both.
            if [before, after].into_iter().flatten().any(is_hidden) {
                found.push((path.clone(), Side::Sensitive, Side::Sensitive));
            } else {
                walk(path, before, None, found);
                walk(path, None, after, found);
            }
        }
        _ => found.push((path.clone(), side(before), side(after))),
    }
}

enum Shape {
    Absent,
    Map(Map<Expr>),
    List(Vec<Expr>),
    Other,
}

impl Shape {
    fn differs_in_kind(&self, other: &Self) -> bool {
        std::mem::discriminant(self) != std::mem::discriminant(other)
    }
}

fn shape(side: Option<&Expr>) -> Shape {
    match side {
        None => Shape::Absent,
        Some(Expr::Map(entries)) => Shape::Map(entries.clone()),
        Some(Expr::List(items)) => Shape::List(items.to_vec()),
        Some(Expr::Value(Value::Map(entries))) => Shape::Map(
            entries.iter().map(|(key, value)| (key.clone(), value.clone().into())).collect(),
        ),
        Some(Expr::Value(Value::List(items))) => {
            Shape::List(items.iter().cloned().map(Expr::Value).collect())
        }
        Some(_) => Shape::Other,
    }
}

/// Whether every item is a plain scalar, so that the list reads well on one line.
fn simple(items: &[Expr]) -> bool {
    items.iter().all(|item| match item {
        Expr::Value(value) => !matches!(
            value,
            Value::List(_) | Value::Map(_) | Value::Secret(_) | Value::Ephemeral(_)
        ),
        _ => false,
    })
}

fn each_key(path: &At, mut before: Map<Expr>, after: Map<Expr>, found: &mut Vec<Pair>) {
    let mut keys: Vec<_> = before.keys().chain(after.keys()).cloned().collect();
    keys.sort();
    keys.dedup();
    for key in keys {
        let gone = before.remove(&key);
        walk(&path.key(&key), gone.as_ref(), after.get(&key), found);
    }
}

fn each_index(path: &At, before: &[Expr], after: &[Expr], found: &mut Vec<Pair>) {
    if each_named(path, before, after, found).is_some() {
        return;
    }
    for index in 0..before.len().max(after.len()) {
        walk(&path.index(index), before.get(index), after.get(index), found);
    }
}

/// Pairs items by their names, where every one has its own. `None` where they have none, or
/// nothing but their order differs.
fn each_named(path: &At, before: &[Expr], after: &[Expr], found: &mut Vec<Pair>) -> Option<()> {
    if before.is_empty() || after.is_empty() {
        return None;
    }
    let (old, new) = (names(before)?, names(after)?);
    let mut gone: BTreeMap<&str, usize> = old.iter().map(String::as_str).zip(0..).collect();
    let mut of = vec![None; after.len()];
    for (index, name) in new.iter().enumerate() {
        of[index] = gone.remove(name.as_str());
    }
    // What has another name now is told so by itself.
    for (was, item) in of.iter_mut().zip(after).filter(|(was, _)| was.is_none()) {
        if let Some(name) = text(item, "renamed_from") {
            *was = gone.remove(name.as_str());
        }
    }
    let mut pairs = Vec::new();
    for (index, item) in after.iter().enumerate() {
        let at = path.named(index, &new[index]);
        walk(&at, of[index].map(|was| &before[was]), Some(item), &mut pairs);
    }
    for (name, index) in gone {
        walk(&path.named(index, name), Some(&before[index]), None, &mut pairs);
    }
    if pairs.is_empty() {
        return None;
    }
    found.extend(pairs);
    Some(())
}

/// The names of all items, where every one has its own.
fn names(items: &[Expr]) -> Option<Vec<String>> {
    let names: Vec<String> =
        items.iter().map(|item| text(item, "name")).collect::<Option<_>>()?;
    let distinct: BTreeSet<&String> = names.iter().collect();
    (distinct.len() == names.len()).then_some(names)
}

/// A text in a map, where it is known and no secret.
fn text(item: &Expr, key: &str) -> Option<String> {
    let value = match item {
        Expr::Value(Value::Map(entries)) => entries.get(key)?,
        Expr::Map(entries) => entries.get(key)?.known()?,
        _ => return None,
    };
    match value {
        Value::String(text) => Some(text.clone()),
        _ => None,
    }
}

/// Whether a secret stands anywhere in it.
fn is_hidden(side: &Expr) -> bool {
    side.secrecy() > Secrecy::Open
}

fn side(side: Option<&Expr>) -> Side {
    match side {
        None => Side::Absent,
        Some(expr) if is_hidden(expr) => Side::Sensitive,
        Some(Expr::Value(value)) => Side::Known(value.clone()),
        Some(expr) => Side::Unknown(expr.clone()),
    }
}

fn same(before: Option<&Expr>, after: Option<&Expr>) -> bool {
    match (before, after) {
        (Some(Expr::Value(before)), Some(Expr::Value(after))) => before.same(after),
        _ => false,
    }
}

/// The value as JSON with `null` in the place of every secret, and whether there was one.
pub fn masked_json(value: &Value) -> (serde_json::Value, bool) {
    use serde_json::Value as Json;
    match value {
        Value::Secret(_) | Value::Ephemeral(_) => (Json::Null, true),
        Value::List(items) => {
            let parts: Vec<_> = items.iter().map(masked_json).collect();
            let secret = parts.iter().any(|(_, secret)| *secret);
            (parts.into_iter().map(|(json, _)| json).collect(), secret)
        }
        Value::Map(entries) => {
            let mut secret = false;
            let mut object = serde_json::Map::new();
            for (key, entry) in entries {
                let (json, inside) = masked_json(entry);
                secret |= inside;
                object.insert(key.clone(), json);
            }
            (Json::Object(object), secret)
        }
        plain => (plain.to_json(), false),
    }
}

#[cfg(test)]
mod tests {
    use dollop_engine::address::Address;
    use dollop_engine::expr::Function;
    use dollop_engine::map::Map;

    use super::*;

    fn json(text: &str) -> Value {
        Value::from(serde_json::from_str::<serde_json::Value>(text).unwrap())
    }

    fn check(before: Value, after: impl Into<Expr>, expected: &[&str]) {
        let before = Expr::Value(before);
        let found: Vec<_> = pairs(&Path::attribute("a"), Some(&before), Some(&after.into()))
            .into_iter()
            .map(|(at, before, after)| format!("{}: {before:?} {after:?}", at.shown))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn maps_are_taken_apart_and_what_is_the_same_is_left_out() {
        check(
            json(r#"{"x": 1, "y": {"z": [1]}, "same": 0}"#),
            json(r#"{"y": {"z": [2]}, "n": null, "same": 0}"#),
            &["a.x: Known(1) Absent", "a.y.z: Known([1]) Known([2])"],
        );
    }

    #[test]
    fn items_with_names_are_paired_by_them() {
        let before = r#"[{"name": "id", "type": "int"}, {"name": "note", "type": "text"},
            {"name": "x y", "type": "text"}]"#;
        let after = r#"[{"name": "id", "type": "int"}, {"name": "age", "type": "int"},
            {"name": "memo", "type": "text", "renamed_from": "note"}]"#;
        check(
            json(before),
            json(after),
            &[
                "a.age.name: Absent Known(\"age\")",
                "a.age.type: Absent Known(\"int\")",
                "a.memo.name: Known(\"note\") Known(\"memo\")",
                "a.memo.renamed_from: Absent Known(\"note\")",
                "a[\"x y\"].name: Known(\"x y\") Absent",
                "a[\"x y\"].type: Known(\"text\") Absent",
            ],
        );
        let paths = pairs(
            &Path::attribute("a"),
            Some(&Expr::Value(json(before))),
            Some(&Expr::Value(json(after))),
        );
        let paths: Vec<_> = paths.iter().map(|(at, ..)| at.path.to_string()).collect();
        let places = ["a[1].name", "a[1].type", "a[2].name", "a[2].renamed_from"];
        assert_eq!(paths, [&places[..], &["a[2].name", "a[2].type"]].concat());
        // Where the order alone differs, places tell.
        check(
            json(r#"[{"name": "x"}, {"name": "y"}]"#),
            json(r#"[{"name": "y"}, {"name": "x"}]"#),
            &["a[0].name: Known(\"x\") Known(\"y\")", "a[1].name: Known(\"y\") Known(\"x\")"],
        );
    }

    #[test]
    fn a_secret_on_one_side_hides_both() {
        check(json("\"pw\""), json("\"pw2\"").secret(), &["a: Sensitive Sensitive"]);
        check(
            json(r#"["pw", "b"]"#),
            Value::List(vec![json("\"new\"").secret(), json("\"c\"")]),
            &["a[0]: Sensitive Sensitive", "a[1]: Known(\"b\") Known(\"c\")"],
        );
        check(
            json("\"pw\""),
            Value::Map(Map::from([("k".to_owned(), json("\"pw\"").secret())])),
            &["a: Sensitive Sensitive"],
        );
    }

    #[test]
    fn a_computed_text_with_a_secret_in_it_is_secret() {
        let address: Address = "docker::container.pg".parse().unwrap();
        let reference = Expr::reference(address, Path::attribute("id"));
        let list = Expr::list(vec![reference.clone(), json("\"pw\"").secret().into()]);
        check(
            json("\"x\""),
            Expr::call(Function::Json, vec![list]),
            &["a: Sensitive Sensitive"],
        );
        check(json("1"), reference, &["a: Known(1) Unknown(<docker::container.pg:id>)"]);
    }
}
