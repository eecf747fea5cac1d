//! The postgres provider against the real thing.

mod byhand;
mod conformance;
pub(crate) mod container;
mod failures;
mod faults;
mod grants;
mod import;
mod keeping;
mod kinds;
mod losses;
mod migrations;
mod newer;
mod objects;
mod parts;
mod path;
mod plans;
mod reach;
mod renames;
mod roles;
mod rotation;
mod tls;
mod world;
