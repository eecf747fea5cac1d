//! Where inside a value something stands.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::value::Value;

/// One step into a value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Segment {
    /// An entry of a map.
    Key(String),
    /// An item of a list, from 0.
    Index(usize),
}

/// A way into a value: `env.PGDATA`, `ports[0]`, `labels["a.b"]`.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Path(pub Vec<Segment>);

impl Path {
    /// The path of one attribute.
    pub fn attribute(name: impl Into<String>) -> Self {
        Self(vec![Segment::Key(name.into())])
    }

    /// This path, one map entry further.
    pub fn key(&self, key: impl Into<String>) -> Self {
        let mut next = self.clone();
        next.0.push(Segment::Key(key.into()));
        next
    }

    /// This path, one list item further.
    pub fn index(&self, index: usize) -> Self {
        let mut next = self.clone();
        next.0.push(Segment::Index(index));
        next
    }

    /// The attribute the path starts at.
    pub fn first(&self) -> Option<&str> {
        match self.0.first()? {
            Segment::Key(key) => Some(key),
            Segment::Index(_) => None,
        }
    }

    /// Follows the path into a value; a secret on the way makes the result secret.
    pub fn follow(&self, value: &Value) -> Option<Value> {
        let mut secret = value.is_secret();
        let mut here = value.reveal();
        for segment in &self.0 {
            let next = match (segment, here) {
                (Segment::Key(key), Value::Map(entries)) => entries.get(key)?,
                (Segment::Index(index), Value::List(items)) => items.get(*index)?,
                _ => return None,
            };
            secret |= next.is_secret();
            here = next.reveal();
        }
        Some(if secret { here.clone().secret() } else { here.clone() })
    }
}

impl fmt::Display for Path {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Key(key) if is_word(key) => {
                    if position > 0 {
                        out.write_str(".")?;
                    }
                    out.write_str(key)?;
                }
                Segment::Key(key) => {
                    write!(out, "[{}]", serde_json::Value::from(key.as_str()))?;
                }
                Segment::Index(index) => write!(out, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// Whether a key can be written after a dot.
fn is_word(key: &str) -> bool {
    !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}
