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

    /// Whether this path is `outer` or leads further into it.
    pub fn is_within(&self, outer: &Self) -> bool {
        self.0.starts_with(&outer.0)
    }

    /// Follows the path into a value; a secret on the way makes the result secret.
    pub fn follow(&self, value: &Value) -> Option<Value> {
        let mut secrecy = value.own_secrecy();
        let mut here = value.reveal();
        for segment in &self.0 {
            let next = match (segment, here) {
                (Segment::Key(key), Value::Map(entries)) => entries.get(key)?,
                (Segment::Index(index), Value::List(items)) => items.get(*index)?,
                _ => return None,
            };
            secrecy = secrecy.max(next.own_secrecy());
            here = next.reveal();
        }
        Some(here.clone().marked(secrecy))
    }
}

/// Text that is not a path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a path into an attribute; one looks like `labels.team` or `ports[0]`")]
pub struct ParsePathError(String);

impl std::str::FromStr for Path {
    type Err = ParsePathError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || ParsePathError(text.to_owned());
        let mut segments = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            if let Some(inner) = rest.strip_prefix('[') {
                // The brackets hold JSON: a number or a quoted key.
                let mut json =
                    serde_json::Deserializer::from_str(inner).into_iter::<serde_json::Value>();
                let segment = match json.next() {
                    Some(Ok(serde_json::Value::String(key))) => Segment::Key(key),
                    Some(Ok(serde_json::Value::Number(number))) => {
                        let index = number.as_u64().and_then(|n| usize::try_from(n).ok());
                        Segment::Index(index.ok_or_else(bad)?)
                    }
                    _ => return Err(bad()),
                };
                segments.push(segment);
                rest = inner[json.byte_offset()..].strip_prefix(']').ok_or_else(bad)?;
                continue;
            }
            if !segments.is_empty() {
                rest = rest.strip_prefix('.').ok_or_else(bad)?;
            }
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            if !is_word(&rest[..end]) {
                return Err(bad());
            }
            segments.push(Segment::Key(rest[..end].to_owned()));
            rest = &rest[end..];
        }
        if matches!(segments.first(), Some(Segment::Key(_))) {
            Ok(Self(segments))
        } else {
            Err(bad())
        }
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

#[cfg(test)]
mod tests {
    use super::Path;

    #[test]
    fn printing_and_parsing_agree() {
        for text in ["env", "env.PGDATA", "ports[0]", "labels[\"a.b\"]", "a[1].b[\"]\"][2]"] {
            assert_eq!(text.parse::<Path>().unwrap().to_string(), text);
        }
        for text in ["", ".", "a.", "[0]", "a[", "a[x]", "a[0", "a b", "a[0]b", "a[-1]"] {
            assert!(text.parse::<Path>().is_err(), "{text}");
        }
    }
}
