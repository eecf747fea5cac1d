//! Maps in maps: merging them deeply and following paths into them.

use rhai::{Array, Dynamic, Map};

use super::super::symbol::{Answer, Handle, Symbol};
use super::call::{as_list, as_map};
use super::lists::unique;
use super::maps::maps;
use super::{Fault, Hand};

/// Deeper nesting than anything useful.
const DEEPEST: usize = 64;

/// What becomes of two lists.
#[derive(Clone, Copy)]
enum Lists<'a> {
    Replace,
    Append,
    Unique,
    /// Maps with the same text under this key are merged.
    By(&'a str),
}

/// `deep_merge`.
pub(super) fn deep_merge(hand: &Hand<'_>, arguments: Vec<Dynamic>) -> Answer<Dynamic> {
    let word = arguments.get(2).cloned().and_then(|lists| lists.into_immutable_string().ok());
    let lists = match word.as_deref() {
        None => Lists::Replace,
        Some(word) => match word {
            "replace" => Lists::Replace,
            "append" => Lists::Append,
            "unique" => Lists::Unique,
            other => match other.strip_prefix("by ").map(str::trim) {
                Some(key) if !key.is_empty() => Lists::By(key),
                _ => {
                    let hint =
                        "write `\"replace\"`, `\"append\"`, `\"unique\"` or `\"by KEY\"`";
                    let message = format!("`{other}` does not say what becomes of lists");
                    return Err(hand.fault(Fault::new(message).hint(hint)));
                }
            },
        },
    };
    let [one, two] = maps(arguments);
    Ok(merge(hand, one, two, lists, 0)?.into())
}

fn merge(
    hand: &Hand<'_>,
    mut one: Map,
    two: Map,
    lists: Lists<'_>,
    depth: usize,
) -> Answer<Map> {
    if depth > DEEPEST {
        let message = format!("these maps are nested more than {DEEPEST} deep");
        return Err(hand.fault(Fault::new(message)));
    }
    hand.spend(16 * (one.len() + two.len()))?;
    for (key, new) in two {
        let new = new.flatten();
        let merged = match one.remove(&key).map(Dynamic::flatten) {
            // As in an override: nothing takes it away.
            Some(_) if new.is_unit() => continue,
            Some(old) if old.is_map() && new.is_map() => {
                merge(hand, as_map(old), as_map(new), lists, depth + 1)?.into()
            }
            Some(old) if old.is_array() && new.is_array() => {
                combine(hand, as_list(old), as_list(new), lists, depth)?
            }
            // What stands in the way of a map or list may be one: then they would merge.
            Some(old) if hides_shape(&old) && (new.is_map() || joins(&new, lists)) => {
                return Err(hand.unknown(&old));
            }
            Some(old) if hides_shape(&new) && (old.is_map() || joins(&old, lists)) => {
                return Err(hand.unknown(&new));
            }
            Some(_) | None => new,
        };
        one.insert(key, merged);
    }
    Ok(one)
}

fn joins(value: &Dynamic, lists: Lists<'_>) -> bool {
    value.is_array() && !matches!(lists, Lists::Replace)
}

fn hides_shape(value: &Dynamic) -> bool {
    value.is::<Symbol>() && !value.is::<Handle>()
}

fn combine(
    hand: &Hand<'_>,
    mut old: Array,
    new: Array,
    lists: Lists<'_>,
    depth: usize,
) -> Answer<Dynamic> {
    if let Lists::By(key) = lists {
        return by_key(hand, old, new, key, depth);
    }
    if matches!(lists, Lists::Replace) {
        return Ok(new.into());
    }
    old.extend(new);
    hand.room(old.len())?;
    Ok(if matches!(lists, Lists::Unique) { unique(hand, old)? } else { old }.into())
}

/// Items of the second list that have the same text under a key as one of the first are
/// merged into it; the others follow.
fn by_key(
    hand: &Hand<'_>,
    mut old: Array,
    new: Array,
    key: &str,
    depth: usize,
) -> Answer<Dynamic> {
    let name = |item: &Dynamic| match item.read_lock::<Map>().and_then(|m| m.get(key).cloned())
    {
        Some(name) => hand.text(&name, "what items are told apart by").map(Some),
        None => Ok(None),
    };
    let mut places = std::collections::BTreeMap::new();
    for (place, item) in old.iter().enumerate() {
        if let Some(name) = name(item)? {
            places.insert(name, place);
        }
    }
    for item in new {
        match name(&item)?.and_then(|name| places.get(&name).copied()) {
            Some(place) => {
                let one = as_map(std::mem::take(&mut old[place]));
                let two = as_map(item);
                old[place] = merge(hand, one, two, Lists::By(key), depth + 1)?.into();
            }
            None => old.push(item),
        }
    }
    hand.room(old.len())?;
    Ok(old.into())
}

/// `get_path`.
pub(super) fn get_path(hand: &Hand<'_>, arguments: Vec<Dynamic>) -> Answer<Dynamic> {
    let mut arguments = arguments.into_iter();
    let mut found = arguments.next().unwrap_or(Dynamic::UNIT);
    let path = arguments.next().and_then(|path| path.into_immutable_string().ok());
    let otherwise = arguments.next().unwrap_or(Dynamic::UNIT);
    for step in path.unwrap_or_default().split('.') {
        found = found.flatten();
        let next = if let Some(map) = found.read_lock::<Map>() {
            map.get(step).cloned()
        } else if let Some(list) = found.read_lock::<Array>() {
            step.parse::<usize>().ok().and_then(|index| list.get(index).cloned())
        } else if hides_shape(&found) || found.is::<Handle>() {
            return Err(hand.unknown(&found));
        } else {
            None
        };
        match next {
            Some(next) => found = next,
            None => return Ok(otherwise),
        }
    }
    Ok(found)
}
