//! Which parts are meant: by address or by pattern.

use dollop_engine::address::Address;
use globset::{Glob, GlobSet, GlobSetBuilder};

use crate::error::CommandError;

/// A choice of addresses; without patterns it is everything.
pub struct Chosen {
    patterns: Vec<String>,
    set: GlobSet,
}

impl Chosen {
    /// Reads patterns.
    ///
    /// # Errors
    /// One is no pattern.
    pub fn new(patterns: &[String]) -> Result<Self, CommandError> {
        let mut set = GlobSetBuilder::new();
        for pattern in patterns {
            let glob = Glob::new(pattern).map_err(|error| {
                CommandError::usage(format!("`{pattern}` is no pattern: {}", error.kind()))
            })?;
            set.add(glob);
        }
        let set = set.build();
        let set = set.map_err(|error| CommandError::usage(format!("no pattern: {error}")))?;
        Ok(Self { patterns: patterns.to_vec(), set })
    }

    /// Whether an address is meant, or the connection it is behind.
    pub fn has(&self, address: &Address, connection: &Address) -> bool {
        self.patterns.is_empty()
            || self.set.is_match(address.to_string())
            || self.set.is_match(connection.to_string())
    }

    /// Whether everything is.
    pub fn is_all(&self) -> bool {
        self.patterns.is_empty()
    }

    /// As they were typed.
    pub fn patterns(&self) -> &[String] {
        &self.patterns
    }

    /// Refuses patterns that mean none of these.
    pub fn refuse_idle<'a>(
        &self,
        what: &str,
        addresses: impl Iterator<Item = (&'a Address, &'a Address)> + Clone,
    ) -> Result<(), CommandError> {
        for (index, pattern) in self.patterns.iter().enumerate() {
            let met = addresses.clone().any(|(address, connection)| {
                [address, connection]
                    .iter()
                    .any(|address| self.set.matches(address.to_string()).contains(&index))
            });
            if !met {
                let known: std::collections::BTreeSet<String> =
                    addresses.map(|(address, _)| format!("`{address}`")).collect();
                let known: Vec<_> = known.into_iter().collect();
                return Err(CommandError::failed(format!(
                    "{what} has nothing for `{pattern}`"
                ))
                .note(format!("it has {}", known.join(", "))));
            }
        }
        Ok(())
    }
}
