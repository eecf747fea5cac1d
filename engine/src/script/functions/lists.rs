//! Lists. Items are handed on unseen, so they may be values that are not known yet, unless
//! the function compares or counts with them.

use rhai::{Array, Dynamic, INT};

use super::super::guards;
use super::super::symbol::{Answer, Symbol, to_dynamic};
use super::call::as_list;
use super::{Entry, Fault, Hand, Run};
use crate::expr::{Expr, Function};
use crate::value::Value;

/// Lists in lists deeper than this are left as they are.
const DEEPEST: usize = 64;

/// The functions.
pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        signature: "sorted(list: list) -> list",
        doc: "The items in order; all are texts, all numbers or all bools.",
        examples: &[
            (r#"sorted(["b", "a"])"#, r#"["a", "b"]"#),
            ("sorted([10, 9.5])", "[9.5, 10]"),
        ],
        run: Run::Items(|hand, a| {
            let mut items = first(a);
            guards::sort(hand.session, hand.context, &mut items)?;
            Ok(items.into())
        }),
    },
    Entry {
        signature: "reversed(list: list) -> list",
        doc: "The items, last one first. Hands on values that are not known yet.",
        examples: &[("reversed([1, 2, 3])", "[3, 2, 1]")],
        run: Run::Items(|_hand, a| {
            let mut items = first(a);
            items.reverse();
            Ok(items.into())
        }),
    },
    Entry {
        signature: "unique(list: list) -> list",
        doc: "Each item once, in the order of first appearance.",
        examples: &[
            ("unique([2, 1, 2])", "[2, 1]"),
            (r"unique([#{ a: 1 }, #{ a: 1 }])", r"[#{ a: 1 }]"),
        ],
        run: Run::Items(|hand, a| unique(hand, first(a)).map(Into::into)),
    },
    Entry {
        signature: "flatten(list: list) -> list",
        doc: "The items of lists in the list, however deep, as one list. Hands on values that are not known yet.",
        examples: &[("flatten([1, [2, [3]], []])", "[1, 2, 3]")],
        run: Run::Items(flatten),
    },
    Entry {
        signature: "compact(list: list) -> list",
        doc: "The items that are not nothing. Hands on values that are not known yet.",
        examples: &[("compact([1, (), 2])", "[1, 2]")],
        run: Run::Items(|_hand, a| {
            let mut items = first(a);
            items.retain(|item| !item.is_unit());
            Ok(items.into())
        }),
    },
    Entry {
        signature: "coalesce(list: list) -> any",
        doc: "The first item that is not nothing; nothing when there is none. Works on values that are not known yet, such as those of a look-up that is `optional`.",
        examples: &[("coalesce([(), 2, 3])", "2")],
        run: Run::Items(|hand, a| {
            let mut items: Vec<Dynamic> =
                first(a).into_iter().skip_while(Dynamic::is_unit).collect();
            match items.len() {
                0 => Ok(Dynamic::UNIT),
                // What is known, or a resource, is not nothing.
                _ if !items[0].is::<Symbol>() => Ok(items.swap_remove(0)),
                1 => Ok(items.swap_remove(0)),
                _ => {
                    let items = items.into_iter().map(|item| hand.expr(item));
                    let items = items.collect::<Answer<Vec<_>>>()?;
                    Ok(to_dynamic(Expr::call(Function::Coalesce, items)))
                }
            }
        }),
    },
    Entry {
        signature: "one(list: list) -> any",
        doc: "The only item; nothing when there is none, an error when there are several. Hands on values that are not known yet.",
        examples: &[("one([7])", "7"), ("one([])", "()")],
        run: Run::Items(|hand, a| {
            let items = first(a);
            if items.len() > 1 {
                let fault = Fault::new(format!("there are {} items, not one", items.len()));
                return Err(hand.fault(fault));
            }
            Ok(items.into_iter().next().unwrap_or(Dynamic::UNIT))
        }),
    },
    Entry {
        signature: "element(list: list, place: int) -> any",
        doc: "The item at a place, from 0; behind the last one it begins anew, before the first one at the end. Hands on values that are not known yet.",
        examples: &[
            (r#"element(["a", "b"], 3)"#, r#""b""#),
            (r#"element(["a", "b"], -1)"#, r#""b""#),
        ],
        run: Run::Items(|hand, a| {
            let place = int(&a, 1);
            let mut items = first(a);
            let length = INT::try_from(items.len()).unwrap_or(INT::MAX);
            if length == 0 {
                return Err(hand.fault(Fault::new("an empty list has no elements")));
            }
            let place = usize::try_from(place.rem_euclid(length)).unwrap_or_default();
            Ok(items.swap_remove(place))
        }),
    },
    Entry {
        signature: "chunk(list: list, size: int) -> list",
        doc: "The items in lists of that size; the last one may be shorter. Hands on values that are not known yet.",
        examples: &[("chunk([1, 2, 3], 2)", "[[1, 2], [3]]")],
        run: Run::Items(chunk),
    },
    Entry {
        signature: "slice(list: list, from: int, to?: int) -> list",
        doc: "The items from one place up to, and without, another; places below 0 count from the end. Hands on values that are not known yet.",
        examples: &[
            ("slice([1, 2, 3, 4], 1, 3)", "[2, 3]"),
            ("slice([1, 2, 3, 4], -2)", "[3, 4]"),
        ],
        run: Run::Items(|_, a| Ok(slice(a))),
    },
    Entry {
        signature: "sequence(from: int, to: int, step?: int) -> list",
        doc: "Numbers from one up to, and without, another.",
        examples: &[("sequence(0, 3)", "[0, 1, 2]"), ("sequence(10, 0, -5)", "[10, 5]")],
        run: Run::Items(sequence),
    },
    Entry {
        signature: "zip_lists(a: list, b: list) -> list",
        doc: "Pairs of the items at the same place, as far as both lists go. Hands on values that are not known yet.",
        examples: &[(r#"zip_lists(["a", "b"], [1, 2])"#, r#"[["a", 1], ["b", 2]]"#)],
        run: Run::Items(|_hand, a| {
            let (one, two) = pair(a);
            let pairs = one.into_iter().zip(two).map(|(a, b)| Dynamic::from_array(vec![a, b]));
            Ok(Dynamic::from_array(pairs.collect()))
        }),
    },
    Entry {
        signature: "sum(list: list) -> number",
        doc: "All numbers of the list added up.",
        examples: &[("sum([1, 2, 3])", "6"), ("sum([0.5, 1])", "1.5")],
        run: Run::Known(sum),
    },
    Entry {
        signature: "min(list: list) -> number",
        doc: "The smallest number of the list; also of two numbers or two texts, `min(a, b)`.",
        examples: &[("min([3, 1.5, 2])", "1.5")],
        run: Run::Known(|a| extreme(a, |number, best| number < best)),
    },
    Entry {
        signature: "max(list: list) -> number",
        doc: "The largest number of the list; also of two numbers or two texts, `max(a, b)`.",
        examples: &[("max([3, 1.5, 2])", "3")],
        run: Run::Known(|a| extreme(a, |number, best| number > best)),
    },
    Entry {
        signature: "all_true(list: list) -> bool",
        doc: "Whether every item is true.",
        examples: &[("all_true([true, false])", "false"), ("all_true([])", "true")],
        run: Run::Known(|a| bools(a).map(|all| Value::Bool(all.iter().all(|item| *item)))),
    },
    Entry {
        signature: "any_true(list: list) -> bool",
        doc: "Whether some item is true.",
        examples: &[("any_true([true, false])", "true"), ("any_true([])", "false")],
        run: Run::Known(|a| bools(a).map(|all| Value::Bool(all.iter().any(|item| *item)))),
    },
];

/// The items of the first argument.
fn first(arguments: Vec<Dynamic>) -> Array {
    as_list(arguments.into_iter().next().unwrap_or(Dynamic::UNIT))
}

/// The items of the first two arguments.
pub(super) fn pair(arguments: Vec<Dynamic>) -> (Array, Array) {
    let mut arguments = arguments.into_iter();
    let mut next = || as_list(arguments.next().unwrap_or(Dynamic::UNIT));
    (next(), next())
}

/// Something equal for values that are the same data.
pub(super) fn identity(value: &Value) -> String {
    match value {
        #[expect(clippy::cast_possible_truncation, reason = "compared before")]
        #[expect(clippy::cast_precision_loss, clippy::float_cmp, reason = "as JSON compares")]
        Value::Float(number) if (*number as i64) as f64 == *number => {
            Value::Int(*number as i64).to_string()
        }
        Value::List(items) => {
            let items: Vec<_> = items.iter().map(identity).collect();
            format!("[{}]", items.join(","))
        }
        Value::Map(entries) => {
            let entries = entries.iter().map(|(key, entry)| {
                format!("{}:{}", serde_json::Value::from(key.as_str()), identity(entry))
            });
            format!("{{{}}}", entries.collect::<Vec<_>>().join(","))
        }
        other => other.to_string(),
    }
}

/// Each item once. Items are compared, so they must be known.
pub(super) fn unique(hand: &Hand<'_>, items: Array) -> Answer<Array> {
    let mut seen = std::collections::HashSet::new();
    let mut kept = Array::new();
    for item in items {
        let value = hand.value(&item)?;
        let identity = identity(&value);
        hand.spend(identity.len())?;
        if seen.insert(identity) {
            kept.push(item);
        }
    }
    Ok(kept)
}

fn flatten(hand: &Hand<'_>, arguments: Vec<Dynamic>) -> Answer<Dynamic> {
    fn all(list: Array, depth: usize, out: &mut Array) {
        for item in list {
            let item = item.flatten();
            match item.try_cast_result::<Array>() {
                Ok(inner) if depth < DEEPEST => all(inner, depth + 1, out),
                Ok(inner) => out.push(Dynamic::from_array(inner)),
                Err(other) => out.push(other),
            }
        }
    }
    let mut out = Array::new();
    all(first(arguments), 0, &mut out);
    hand.room(out.len())?;
    Ok(out.into())
}

/// The integer at a place; its kind was checked.
pub(super) fn int(arguments: &[Dynamic], index: usize) -> INT {
    arguments.get(index).and_then(|argument| argument.as_int().ok()).unwrap_or_default()
}

fn chunk(hand: &Hand<'_>, arguments: Vec<Dynamic>) -> Answer<Dynamic> {
    let size = int(&arguments, 1);
    let Some(size) = usize::try_from(size).ok().filter(|size| *size > 0) else {
        return Err(hand.fault(Fault::new(format!("`size` is 1 or more, not {size}"))));
    };
    let items = first(arguments);
    hand.room(items.len() + items.len() / size)?;
    let chunks = items.chunks(size).map(|chunk| Dynamic::from_array(chunk.to_vec()));
    Ok(Dynamic::from_array(chunks.collect()))
}

fn slice(arguments: Vec<Dynamic>) -> Dynamic {
    let (from, to) = (int(&arguments, 1), arguments.get(2).and_then(|to| to.as_int().ok()));
    let items = first(arguments);
    let place = |at: INT| {
        let length = INT::try_from(items.len()).unwrap_or(INT::MAX);
        let at = if at < 0 { length.saturating_add(at) } else { at };
        usize::try_from(at.clamp(0, length)).unwrap_or(0)
    };
    let (from, to) = (place(from), to.map_or(items.len(), place));
    Dynamic::from_array(items.get(from..to).unwrap_or_default().to_vec())
}

fn sequence(hand: &Hand<'_>, arguments: Vec<Dynamic>) -> Answer<Dynamic> {
    let (from, to) = (int(&arguments, 0), int(&arguments, 1));
    let step = if arguments.len() > 2 { int(&arguments, 2) } else { 1 };
    if step == 0 {
        return Err(hand.fault(Fault::new("`step` cannot be 0")));
    }
    let (from, to, step) = (i128::from(from), i128::from(to), i128::from(step));
    let distance = if step > 0 { to - from } else { from - to }.max(0);
    let count = distance.div_euclid(step.abs()) + i128::from(distance % step.abs() != 0);
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    hand.room(count)?;
    let numbers = (0..count).map(|index| from + step * index as i128);
    let numbers = numbers.map(|number| INT::try_from(number).unwrap_or_default().into());
    Ok(Dynamic::from_array(numbers.collect()))
}

/// A list's items as numbers.
fn numbers(arguments: &[Value]) -> Result<Vec<(&Value, f64)>, Fault> {
    let items = super::arguments::list(arguments, 0).iter().enumerate();
    let items = items.map(|(at, item)| match item.reveal() {
        #[expect(clippy::cast_precision_loss, reason = "only to compare and add")]
        Value::Int(number) => Ok((item.reveal(), *number as f64)),
        Value::Float(number) => Ok((item.reveal(), *number)),
        other => Err(Fault::new(format!("item {at} is {}, not a number", other.type_name()))),
    });
    items.collect()
}

fn sum(arguments: &[Value]) -> super::Outcome {
    let numbers = numbers(arguments)?;
    let mut whole = Some(0i64);
    for (value, _) in &numbers {
        whole = match (value, whole) {
            (Value::Int(number), Some(sum)) => Some(
                sum.checked_add(*number).ok_or_else(|| Fault::new("the sum is too large"))?,
            ),
            _ => None,
        };
    }
    let sum = match whole {
        Some(sum) => return Ok(Value::Int(sum)),
        None => numbers.iter().map(|(_, number)| number).sum::<f64>(),
    };
    if sum.is_finite() {
        Ok(Value::Float(sum))
    } else {
        Err(Fault::new("the sum is too large"))
    }
}

fn extreme(arguments: &[Value], better: impl Fn(f64, f64) -> bool) -> super::Outcome {
    let numbers = numbers(arguments)?;
    let mut all = numbers.into_iter();
    let Some(mut best) = all.next() else {
        return Err(Fault::new("an empty list has no smallest or largest number"));
    };
    for (value, number) in all {
        let is_better = match (value, best.0) {
            (Value::Int(a), Value::Int(b)) if a != b => better(1.0, 0.0) == (a > b),
            _ => better(number, best.1),
        };
        if is_better {
            best = (value, number);
        }
    }
    Ok(best.0.clone())
}

fn bools(arguments: &[Value]) -> Result<Vec<bool>, Fault> {
    let items = super::arguments::list(arguments, 0).iter().enumerate();
    let items = items.map(|(at, item)| match item.reveal() {
        Value::Bool(value) => Ok(*value),
        other => Err(Fault::new(format!("item {at} is {}, not a bool", other.type_name()))),
    });
    items.collect()
}
