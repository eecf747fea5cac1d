//! The postgres provider against the real thing.

mod conformance;
pub(crate) mod container;
mod faults;
mod grants;
mod objects;
mod roles;
mod world;
