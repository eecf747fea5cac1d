//! The postgres provider against the real thing.

mod conformance;
pub(crate) mod container;
mod faults;
mod grants;
mod migrations;
mod objects;
mod plans;
mod roles;
mod world;
