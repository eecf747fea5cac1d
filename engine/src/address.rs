//! The name of a declaration inside its stack.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Everything outside letters, digits, `_`, `-` and `.` is percent-encoded, so an address
/// never needs quoting in a shell and `/` is free to separate.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'_').remove(b'-').remove(b'.');

/// How an empty name (the default exchange, say) is written; no other name is encoded so.
const EMPTY: &str = "%-";

/// What follows the address of an object whose place another has taken; no name holds `~`.
const DEPOSED: &str = "~deposed";

/// `docker::container.pg`, `postgres::schema.main/catalog/app`,
/// `data/rabbitmq::vhost.broker/%2F`.
///
/// Before the kind stand the components it was declared in; after the dot the names of
/// the objects it lives in (connection first), then its own.
///
/// Cheap to clone, compare and hash: addresses are the keys of everything.
#[derive(Clone)]
pub struct Address {
    /// Of the parts, computed once. It stands here and not with them: a look into a map of
    /// thousands would wait for them to come into the cache only to learn it.
    hash: u64,
    parts: Arc<Parts>,
}

#[derive(PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Parts {
    components: Vec<String>,
    kind: String,
    path: Vec<String>,
    deposed: bool,
}

impl Address {
    /// An address from its parts; `path` holds at least the resource's own name.
    pub fn new(components: Vec<String>, kind: impl Into<String>, path: Vec<String>) -> Self {
        assert!(!path.is_empty(), "BUG: an address without a name");
        Self::of(Parts { components, kind: kind.into(), path, deposed: false })
    }

    fn of(parts: Parts) -> Self {
        let mut hasher = DefaultHasher::new();
        parts.hash(&mut hasher);
        Self { hash: hasher.finish(), parts: Arc::new(parts) }
    }

    /// The address of an object that had this one and has a successor there now, while both
    /// exist: `docker::container.web~deposed`. No script declares one.
    #[must_use]
    pub fn deposed(&self) -> Self {
        let Parts { components, kind, path, .. } = &*self.parts;
        let (components, kind, path) = (components.clone(), kind.clone(), path.clone());
        Self::of(Parts { components, kind, path, deposed: true })
    }

    /// The hash of its parts, as it is kept.
    pub(crate) fn own_hash(&self) -> u64 {
        self.hash
    }

    /// Whether it is the address of a deposed object.
    pub fn is_deposed(&self) -> bool {
        self.parts.deposed
    }

    /// For the address of a deposed object: that of its successor.
    pub fn successor(&self) -> Option<Self> {
        let Parts { components, kind, path, deposed } = &*self.parts;
        deposed.then(|| Self::new(components.clone(), kind.clone(), path.clone()))
    }

    /// The components around it, outermost first.
    pub fn components(&self) -> &[String] {
        &self.parts.components
    }

    /// The kind with its provider: `docker::container`.
    pub fn kind(&self) -> &str {
        &self.parts.kind
    }

    /// The provider: `docker`.
    pub fn provider(&self) -> &str {
        self.parts.kind.split("::").next().unwrap_or(&self.parts.kind)
    }

    /// The parents' names and its own.
    pub fn path(&self) -> &[String] {
        &self.parts.path
    }

    /// Its own name, the last of the path.
    pub fn name(&self) -> &str {
        self.parts.path.last().map_or("", String::as_str)
    }
}

impl PartialEq for Address {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash
            && (Arc::ptr_eq(&self.parts, &other.parts) || self.parts == other.parts)
    }
}

impl Eq for Address {}

impl Ord for Address {
    fn cmp(&self, other: &Self) -> Ordering {
        if Arc::ptr_eq(&self.parts, &other.parts) {
            return Ordering::Equal;
        }
        self.parts.cmp(&other.parts)
    }
}

impl PartialOrd for Address {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Hash for Address {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl fmt::Display for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for component in &self.parts.components {
            write!(out, "{}/", utf8_percent_encode(component, ESCAPED))?;
        }
        write!(out, "{}.", self.parts.kind)?;
        for (index, name) in self.parts.path.iter().enumerate() {
            if index > 0 {
                out.write_str("/")?;
            }
            if name.is_empty() {
                out.write_str(EMPTY)?;
            }
            write!(out, "{}", utf8_percent_encode(name, ESCAPED))?;
        }
        if self.parts.deposed {
            out.write_str(DEPOSED)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

/// Text that is not an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an address; one looks like `docker::container.web`")]
pub struct ParseAddressError(String);

impl FromStr for Address {
    type Err = ParseAddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || ParseAddressError(text.to_owned());
        if let Some(successor) = text.strip_suffix(DEPOSED) {
            return successor.parse::<Self>().map(|address| address.deposed());
        }
        let decode = |part: &str| -> Result<String, ParseAddressError> {
            if part == EMPTY {
                return Ok(String::new());
            }
            percent_decode_str(part).decode_utf8().map(Into::into).map_err(|_| bad())
        };
        let colons = text.find("::").ok_or_else(bad)?;
        let head = text[..colons].rfind('/').map_or(0, |slash| slash + 1);
        let components =
            text[..head].split_terminator('/').map(decode).collect::<Result<_, _>>()?;
        let (kind, path) = text[head..].split_once('.').ok_or_else(bad)?;
        let well_formed = |part: &str| {
            !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        };
        if !kind.split("::").all(well_formed) || path.is_empty() {
            return Err(bad());
        }
        let path = path.split('/').map(decode).collect::<Result<_, _>>()?;
        Ok(Self::new(components, kind, path))
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(AddressVisitor)
    }
}

/// Reads one where its text stands.
struct AddressVisitor;

impl Visitor<'_> for AddressVisitor {
    type Value = Address;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an address")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Address, E> {
        text.parse().map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn printing_and_parsing_agree(
            components in prop::collection::vec(".{1,8}", 0..3),
            path in prop::collection::vec("[^\u{0}]{0,8}", 1..4),
        ) {
            let address = Address::new(components, "postgres::schema", path);
            prop_assert_eq!(address.to_string().parse::<Address>(), Ok(address.clone()));
            let deposed = address.deposed();
            prop_assert_eq!(deposed.to_string().parse::<Address>(), Ok(deposed.clone()));
            prop_assert_eq!(deposed.successor(), Some(address));
        }
    }

    #[test]
    fn text_without_a_kind_is_refused() {
        for text in ["", "web", "docker::container", "docker::container.", "a::.b", "::a.b"] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }
}
