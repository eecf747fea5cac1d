//! Named values, cheap to copy.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use litemap::LiteMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::value::Value;

/// The entries of a map, in the order of their names.
///
/// A spec goes through every stage and every stage keeps it, so a copy shares the entries
/// until one side changes. They stand side by side in memory: most maps have few of them,
/// and a tree's nodes have room for eleven.
pub struct Map<V = Value>(Arc<LiteMap<String, V>>);

impl<V> Map<V> {
    /// No entries.
    pub fn new() -> Self {
        Self(Arc::new(LiteMap::new_vec()))
    }
}

impl<V> Default for Map<V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<V> Clone for Map<V> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<V: PartialEq> PartialEq for Map<V> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0 == other.0
    }
}

impl<V: fmt::Debug> fmt::Debug for Map<V> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_map().entries(self.iter()).finish()
    }
}

impl<V> Deref for Map<V> {
    type Target = LiteMap<String, V>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

/// Changing a shared map copies it first.
impl<V: Clone> DerefMut for Map<V> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        Arc::make_mut(&mut self.0)
    }
}

impl<V> FromIterator<(String, V)> for Map<V> {
    fn from_iter<I: IntoIterator<Item = (String, V)>>(entries: I) -> Self {
        let mut entries: Vec<(String, V)> = entries.into_iter().collect();
        let in_order = entries.is_sorted_by(|(one, _), (next, _)| one < next);
        if !in_order {
            // Of several of one name the last counts.
            entries.reverse();
            entries.sort_by(|(one, _), (next, _)| one.cmp(next));
            entries.dedup_by(|(next, _), (one, _)| next == one);
        }
        // There are many of them, and they stay.
        entries.shrink_to_fit();
        Self(Arc::new(LiteMap::from_sorted_store_unchecked(entries)))
    }
}

impl<V> From<BTreeMap<String, V>> for Map<V> {
    fn from(entries: BTreeMap<String, V>) -> Self {
        entries.into_iter().collect()
    }
}

impl<V, const N: usize> From<[(String, V); N]> for Map<V> {
    fn from(entries: [(String, V); N]) -> Self {
        entries.into_iter().collect()
    }
}

impl<V: Clone> IntoIterator for Map<V> {
    type Item = (String, V);
    type IntoIter = std::vec::IntoIter<(String, V)>;

    fn into_iter(self) -> Self::IntoIter {
        Arc::unwrap_or_clone(self.0).into_tuple_vec().into_iter()
    }
}

impl<'a, V> IntoIterator for &'a Map<V> {
    type Item = (&'a String, &'a V);
    type IntoIter = <&'a LiteMap<String, V> as IntoIterator>::IntoIter;

    fn into_iter(self) -> Self::IntoIter {
        (&*self.0).into_iter()
    }
}

impl<'a, V: Clone> IntoIterator for &'a mut Map<V> {
    type Item = (&'a String, &'a mut V);
    type IntoIter = <&'a mut LiteMap<String, V> as IntoIterator>::IntoIter;

    fn into_iter(self) -> Self::IntoIter {
        Arc::make_mut(&mut self.0).into_iter()
    }
}

impl<V: Serialize> Serialize for Map<V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Map<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        BTreeMap::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changing_a_copy_leaves_the_first_alone() {
        let first = Map::from([("a".to_owned(), Value::Int(1))]);
        let mut second = first.clone();
        second.insert("b".to_owned(), Value::Int(2));
        assert_eq!((first.len(), second.len()), (1, 2));
    }

    #[test]
    fn of_several_of_one_name_the_last_counts() {
        let entries = ["b", "a", "b", "a", "c"].into_iter().enumerate();
        let map: Map<usize> = entries.map(|(index, name)| (name.to_owned(), index)).collect();
        let found: Vec<_> = map.iter().map(|(name, index)| (name.as_str(), *index)).collect();
        assert_eq!(found, [("a", 3), ("b", 2), ("c", 4)]);
    }

    #[test]
    fn entries_are_in_the_order_of_their_names() {
        let map = Map::from([("b".to_owned(), Value::Null), ("a".to_owned(), Value::Null)]);
        let names: Vec<&String> = map.keys().collect();
        assert_eq!(names, ["a", "b"]);
    }
}
