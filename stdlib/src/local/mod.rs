//! The `local` provider: files of this machine, values that live only in the record, and
//! waiting for what answers from here.

pub mod data;
pub mod file;
pub mod host;
mod operate;
pub mod probe;
pub(crate) mod program;
pub mod random;
mod recorded;
mod token;

use dollop_engine::kind::Registry;
use dollop_engine::resource::Resource as _;

pub(crate) use probe::connect;

/// Adds the provider to a registry.
pub fn register(registry: Registry) -> Registry {
    registry
        .provider("local", "Files on this machine, random values, values to compare, and waiting for what answers.")
        .connection::<host::Host>()
        .resource::<data::Data>()
        .resource::<file::File>()
        .resource::<probe::Probe>()
        .resource::<random::Random>()
        .operations_of(probe::Probe::KIND, operate::OfProbes)
}
