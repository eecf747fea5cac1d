//! Maps. Entries are handed on unseen, so they may be values that are not known yet; keys
//! are known text.

use std::collections::BTreeMap;

use rhai::{Array, Dynamic, Map};

use super::super::convert::list_words;
use super::super::symbol::Answer;
use super::call::{as_list, as_map};
use super::shapes;
use super::{Entry, Fault, Hand, Run};
use crate::diagnostic::did_you_mean;

/// The functions.
pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        signature: "merge(a: map, b: map) -> map",
        doc: "The entries of both maps; those of the second win. Hands on values that are not known yet.",
        examples: &[("merge(#{ a: 1, b: 1 }, #{ b: 2 })", "#{ a: 1, b: 2 }")],
        run: Run::Items(|_hand, a| {
            let [mut one, two] = maps(a);
            one.extend(two);
            Ok(one.into())
        }),
    },
    Entry {
        signature: "deep_merge(a: map, b: map, lists?: string) -> map",
        doc: "The entries of both maps, maps inside merged likewise; `()` in the second takes an entry of the first away. Lists of the second replace those of the first; with `\"append\"` they follow them, with `\"unique\"` too, but without items that are there already; with `\"by name\"` maps that have the same text under `name` are merged. Hands on values that are not known yet.",
        examples: &[
            (
                "deep_merge(#{ a: #{ b: 1, c: 1 } }, #{ a: #{ b: 2 } })",
                "#{ a: #{ b: 2, c: 1 } }",
            ),
            ("deep_merge(#{ a: #{ b: 1, c: 1 } }, #{ a: #{ b: () } })", "#{ a: #{ c: 1 } }"),
            (r#"deep_merge(#{ l: [1, 2] }, #{ l: [2, 3] }, "append")"#, "#{ l: [1, 2, 2, 3] }"),
            (r#"deep_merge(#{ l: [1, 2] }, #{ l: [2, 3] }, "unique")"#, "#{ l: [1, 2, 3] }"),
            (
                r#"deep_merge(#{ l: [#{ name: "a", x: 1 }] }, #{ l: [#{ name: "a", y: 2 }] }, "by name")"#,
                r#"#{ l: [#{ name: "a", x: 1, y: 2 }] }"#,
            ),
        ],
        run: Run::Items(shapes::deep_merge),
    },
    Entry {
        signature: "options(given: map, defaults: map) -> map",
        doc: "The defaults with what is given over them, for functions that take a map of options; an entry without a default is refused. Hands on values that are not known yet.",
        examples: &[(
            r#"options(#{ size: 5 }, #{ size: 1, color: "red" })"#,
            r#"#{ size: 5, color: "red" }"#,
        )],
        run: Run::Items(options),
    },
    Entry {
        signature: "zipmap(keys: list, values: list) -> map",
        doc: "A map of two lists of equal length. Hands on values that are not known yet.",
        examples: &[(r#"zipmap(["a", "b"], [1, 2])"#, "#{ a: 1, b: 2 }")],
        run: Run::Items(zipmap),
    },
    Entry {
        signature: "entries(map: map) -> list",
        doc: "The entries as a list of maps with `key` and `value`, in the order of keys. Hands on values that are not known yet.",
        examples: &[("entries(#{ a: 1 })", r#"[#{ key: "a", value: 1 }]"#)],
        run: Run::Items(|_hand, a| {
            let [map] = maps(a);
            let entries = map.into_iter().map(|(key, value)| {
                let pair = [
                    ("key".into(), Dynamic::from(key.as_str().to_owned())),
                    ("value".into(), value),
                ];
                Dynamic::from_map(Map::from(pair))
            });
            Ok(Dynamic::from_array(entries.collect()))
        }),
    },
    Entry {
        signature: "from_entries(list: list) -> map",
        doc: "The map of a list of maps with `key` and `value`. Hands on values that are not known yet.",
        examples: &[(r#"from_entries([#{ key: "a", value: 1 }])"#, "#{ a: 1 }")],
        run: Run::Items(from_entries),
    },
    Entry {
        signature: "pick(map: map, keys: list) -> map",
        doc: "The entries with these keys; keys that are not there are left out. Hands on values that are not known yet.",
        examples: &[(r#"pick(#{ a: 1, b: 2 }, ["a", "x"])"#, "#{ a: 1 }")],
        run: Run::Items(|hand, a| select(hand, a, true)),
    },
    Entry {
        signature: "omit(map: map, keys: list) -> map",
        doc: "The entries without these keys. Hands on values that are not known yet.",
        examples: &[(r#"omit(#{ a: 1, b: 2 }, ["a"])"#, "#{ b: 2 }")],
        run: Run::Items(|hand, a| select(hand, a, false)),
    },
    Entry {
        signature: "get_path(map: map, path: string, otherwise?: any) -> any",
        doc: "The entry at a path of keys and places of list items, or what is given otherwise, or nothing. Hands on values that are not known yet.",
        examples: &[
            (r#"get_path(#{ a: #{ b: [1, 2] } }, "a.b.1")"#, "2"),
            (r#"get_path(#{ a: 1 }, "x.y", 7)"#, "7"),
        ],
        run: Run::Items(shapes::get_path),
    },
    Entry {
        signature: "group_by(list: list, by: fn) -> map",
        doc: "The items in lists under the text a closure gives for each. Hands on values that are not known yet.",
        examples: &[(
            r#"group_by([#{ n: 1, kind: "a" }, #{ n: 2, kind: "b" }], |x| x.kind)"#,
            r#"#{ a: [#{ n: 1, kind: "a" }], b: [#{ n: 2, kind: "b" }] }"#,
        )],
        run: Run::Items(group_by),
    },
    Entry {
        signature: "index_by(list: list, by: fn) -> map",
        doc: "The items under the text a closure gives for each; the same text twice is an error. Hands on values that are not known yet.",
        examples: &[(
            r#"index_by([#{ id: "a" }, #{ id: "b" }], |x| x.id)"#,
            r#"#{ a: #{ id: "a" }, b: #{ id: "b" } }"#,
        )],
        run: Run::Items(index_by),
    },
    Entry {
        signature: "invert(map: map) -> map",
        doc: "Keys and values changed over; values must be known texts, each there once.",
        examples: &[(r#"invert(#{ a: "x" })"#, r#"#{ x: "a" }"#)],
        run: Run::Items(invert),
    },
    Entry {
        signature: "transpose(map: map) -> map",
        doc: "A map of lists of texts the other way round.",
        examples: &[(
            r#"transpose(#{ a: ["x", "y"], b: ["x"] })"#,
            r#"#{ x: ["a", "b"], y: ["a"] }"#,
        )],
        run: Run::Items(transpose),
    },
];

/// The first arguments as maps; their kinds were checked.
pub(super) fn maps<const N: usize>(arguments: Vec<Dynamic>) -> [Map; N] {
    let mut arguments = arguments.into_iter();
    std::array::from_fn(|_| as_map(arguments.next().unwrap_or(Dynamic::UNIT)))
}

/// The list at a place; its kind was checked.
fn list(arguments: &[Dynamic], index: usize) -> Array {
    as_list(arguments.get(index).cloned().unwrap_or(Dynamic::UNIT))
}

fn options(hand: &Hand<'_>, arguments: Vec<Dynamic>) -> Answer<Dynamic> {
    let [given, mut defaults] = maps(arguments);
    for (key, value) in given {
        if !defaults.contains_key(&key) {
            let known: Vec<&str> = defaults.keys().map(AsRef::as_ref).collect();
            let fault = Fault::new(format!("there is no option `{key}`"));
            let near = did_you_mean(&key, known.iter().copied());
            return Err(hand.fault(match near {
                Some(near) => fault.hint(format!("did you mean `{near}`?")),
                None => fault.hint(format!("there are {}", list_words(&known))),
            }));
        }
        defaults.insert(key, value);
    }
    Ok(defaults.into())
}

fn zipmap(hand: &Hand<'_>, arguments: Vec<Dynamic>) -> Answer<Dynamic> {
    let (keys, values) = super::lists::pair(arguments);
    if keys.len() != values.len() {
        let message = format!("there are {} keys and {} values", keys.len(), values.len());
        return Err(hand.fault(Fault::new(message)));
    }
    let mut map = Map::new();
    for (key, value) in keys.iter().zip(values) {
        insert(hand, &mut map, hand.text(key, "a key")?, value)?;
    }
    Ok(map.into())
}

/// Adds an entry that must not be there yet.
fn insert(hand: &Hand<'_>, map: &mut Map, key: String, value: Dynamic) -> Answer<()> {
    if map.contains_key(key.as_str()) {
        return Err(hand.fault(Fault::new(format!("the key `{key}` is there twice"))));
    }
    map.insert(key.into(), value);
    Ok(())
}

fn from_entries(hand: &Hand<'_>, arguments: Vec<Dynamic>) -> Answer<Dynamic> {
    let mut map = Map::new();
    for (at, item) in list(&arguments, 0).into_iter().enumerate() {
        let mut entry = item.flatten().try_cast::<Map>().unwrap_or_default();
        let (Some(key), Some(value)) = (entry.remove("key"), entry.remove("value")) else {
            let keys = list_words(&["key", "value"]);
            let message = format!("item {at} is not a map with {keys}");
            return Err(hand.fault(Fault::new(message)));
        };
        insert(hand, &mut map, hand.text(&key, "a key")?, value)?;
    }
    Ok(map.into())
}

fn select(hand: &Hand<'_>, arguments: Vec<Dynamic>, picked: bool) -> Answer<Dynamic> {
    let mut keys = std::collections::BTreeSet::new();
    for key in list(&arguments, 1) {
        keys.insert(hand.text(&key, "a key")?);
    }
    let [mut map] = maps(arguments);
    map.retain(|key, _| keys.contains(key.as_str()) == picked);
    Ok(map.into())
}

fn group_by(hand: &Hand<'_>, arguments: Vec<Dynamic>) -> Answer<Dynamic> {
    let by = arguments.get(1).cloned().unwrap_or(Dynamic::UNIT);
    let mut groups = BTreeMap::<String, Array>::new();
    for item in list(&arguments, 0) {
        let key = hand.text(&hand.ask(&by, item.clone())?, "what the closure gives")?;
        groups.entry(key).or_default().push(item);
    }
    let groups =
        groups.into_iter().map(|(key, items)| (key.into(), Dynamic::from_array(items)));
    Ok(Dynamic::from_map(groups.collect()))
}

fn index_by(hand: &Hand<'_>, arguments: Vec<Dynamic>) -> Answer<Dynamic> {
    let by = arguments.get(1).cloned().unwrap_or(Dynamic::UNIT);
    let mut map = Map::new();
    for item in list(&arguments, 0) {
        let key = hand.text(&hand.ask(&by, item.clone())?, "what the closure gives")?;
        insert(hand, &mut map, key, item)?;
    }
    Ok(map.into())
}

fn invert(hand: &Hand<'_>, arguments: Vec<Dynamic>) -> Answer<Dynamic> {
    let [map] = maps(arguments);
    let mut inverted = Map::new();
    for (key, value) in map {
        let value = hand.text(&value, "a value")?;
        insert(hand, &mut inverted, value, Dynamic::from(key.as_str().to_owned()))?;
    }
    Ok(inverted.into())
}

fn transpose(hand: &Hand<'_>, arguments: Vec<Dynamic>) -> Answer<Dynamic> {
    let [map] = maps(arguments);
    let mut turned = BTreeMap::<String, Array>::new();
    for (key, value) in map {
        let value = value.flatten();
        if !value.is_array() {
            hand.value(&value)?;
            return Err(hand.fault(Fault::new(format!("`{key}` is not a list"))));
        }
        for item in as_list(value) {
            let item = hand.text(&item, "an item")?;
            turned.entry(item).or_default().push(Dynamic::from(key.as_str().to_owned()));
        }
    }
    let turned =
        turned.into_iter().map(|(key, items)| (key.into(), Dynamic::from_array(items)));
    Ok(Dynamic::from_map(turned.collect()))
}
