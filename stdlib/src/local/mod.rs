//! The `local` provider: files of this machine, and values that live only in the record.

pub mod data;
pub mod file;
pub mod host;
pub mod random;
mod token;

use dollop_engine::kind::Registry;

/// Adds the provider to a registry.
pub fn register(registry: Registry) -> Registry {
    registry
        .provider("local", "Files on this machine, random values and values to compare.")
        .connection::<host::Host>()
        .resource::<data::Data>()
        .resource::<file::File>()
        .resource::<random::Random>()
}
