//! Lists as sets: each item once, in the order of first appearance.

use std::collections::HashSet;

use rhai::{Array, Dynamic};

use super::super::symbol::Answer;
use super::lists::{identity, pair, unique};
use super::{Entry, Hand, Run};

/// The functions.
pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        signature: "set_union(a: list, b: list) -> list",
        doc: "The items of either list.",
        examples: &[("set_union([1, 2], [2, 3])", "[1, 2, 3]")],
        run: Run::Items(|hand, a| {
            let (mut one, two) = pair(a);
            one.extend(two);
            Ok(unique(hand, one)?.into())
        }),
    },
    Entry {
        signature: "set_intersection(a: list, b: list) -> list",
        doc: "The items of both lists.",
        examples: &[("set_intersection([1, 2], [2, 3])", "[2]")],
        run: Run::Items(|hand, a| keep(hand, a, true)),
    },
    Entry {
        signature: "set_difference(a: list, b: list) -> list",
        doc: "The items of the first list that are not in the second.",
        examples: &[("set_difference([1, 2], [2, 3])", "[1]")],
        run: Run::Items(|hand, a| keep(hand, a, false)),
    },
    Entry {
        signature: "set_product(a: list, b: list) -> list",
        doc: "Every pair of an item of the first list and one of the second. Hands on values that are not known yet.",
        examples: &[(r#"set_product(["a", "b"], [1])"#, r#"[["a", 1], ["b", 1]]"#)],
        run: Run::Items(product),
    },
];

fn keep(hand: &Hand<'_>, arguments: Vec<Dynamic>, common: bool) -> Answer<Dynamic> {
    let (one, two) = pair(arguments);
    let mut others = HashSet::new();
    for item in &two {
        others.insert(identity(&hand.value(item)?));
    }
    let mut kept = Array::new();
    for item in unique(hand, one)? {
        if others.contains(&identity(&hand.value(&item)?)) == common {
            kept.push(item);
        }
    }
    Ok(kept.into())
}

fn product(hand: &Hand<'_>, arguments: Vec<Dynamic>) -> Answer<Dynamic> {
    let (one, two) = pair(arguments);
    hand.room(one.len().saturating_mul(two.len()).saturating_mul(3))?;
    let pairs = one
        .iter()
        .flat_map(|a| two.iter().map(move |b| Dynamic::from_array(vec![a.clone(), b.clone()])));
    Ok(Dynamic::from_array(pairs.collect()))
}
