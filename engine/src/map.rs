//! Named values, cheap to copy.

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use litemap::LiteMap;

use crate::value::Value;

/// The entries of a map, in the order of their names.
///
/// A spec goes through every stage and every stage keeps it, so a copy shares the entries
/// until one side changes. They stand side by side in memory: most maps have few of them,
/// and a tree's nodes have room for eleven.
#[derive(Clone, PartialEq, Default)]
pub struct Map(Arc<LiteMap<String, Value>>);

impl Map {
    /// No entries.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Deref for Map {
    type Target = LiteMap<String, Value>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

/// Changing a shared map copies it first.
impl DerefMut for Map {
    fn deref_mut(&mut self) -> &mut Self::Target {
        Arc::make_mut(&mut self.0)
    }
}

impl FromIterator<(String, Value)> for Map {
    fn from_iter<I: IntoIterator<Item = (String, Value)>>(entries: I) -> Self {
        Self(Arc::new(entries.into_iter().collect()))
    }
}

impl From<BTreeMap<String, Value>> for Map {
    fn from(entries: BTreeMap<String, Value>) -> Self {
        entries.into_iter().collect()
    }
}

impl<const N: usize> From<[(String, Value); N]> for Map {
    fn from(entries: [(String, Value); N]) -> Self {
        entries.into_iter().collect()
    }
}

impl IntoIterator for Map {
    type Item = (String, Value);
    type IntoIter = std::vec::IntoIter<(String, Value)>;

    fn into_iter(self) -> Self::IntoIter {
        Arc::unwrap_or_clone(self.0).into_tuple_vec().into_iter()
    }
}

impl<'a> IntoIterator for &'a Map {
    type Item = (&'a String, &'a Value);
    type IntoIter = <&'a LiteMap<String, Value> as IntoIterator>::IntoIter;

    fn into_iter(self) -> Self::IntoIter {
        (&*self.0).into_iter()
    }
}

impl<'a> IntoIterator for &'a mut Map {
    type Item = (&'a String, &'a mut Value);
    type IntoIter = <&'a mut LiteMap<String, Value> as IntoIterator>::IntoIter;

    fn into_iter(self) -> Self::IntoIter {
        Arc::make_mut(&mut self.0).into_iter()
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
    fn entries_are_in_the_order_of_their_names() {
        let map = Map::from([("b".to_owned(), Value::Null), ("a".to_owned(), Value::Null)]);
        let names: Vec<&String> = map.keys().collect();
        assert_eq!(names, ["a", "b"]);
    }
}
