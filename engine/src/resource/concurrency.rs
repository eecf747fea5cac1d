//! How much a service takes at once.

use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How many calls that change something a service takes at once: one at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Concurrency(NonZeroU32);

impl Concurrency {
    const USUAL: NonZeroU32 = NonZeroU32::MIN.saturating_add(7);

    /// As a number of permits.
    pub fn permits(self) -> usize {
        self.0.get().try_into().unwrap_or(usize::MAX)
    }
}

impl Default for Concurrency {
    fn default() -> Self {
        Self(Self::USUAL)
    }
}
