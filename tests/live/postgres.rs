//! The postgres provider against the real thing.

mod conformance;
pub(crate) mod container;
mod failures;
mod faults;
mod grants;
mod kinds;
mod migrations;
mod objects;
mod plans;
mod roles;
mod tls;
mod world;
