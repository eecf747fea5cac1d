//! The rabbitmq provider against the real thing.

#![expect(clippy::unwrap_used, reason = "a test says what it needs by failing")]

mod behaviour;
mod bench;
pub(crate) mod broker;
mod bulk;
mod cluster;
mod conformance;
mod counter;
mod definitions;
mod disguise;
mod drain;
mod errors;
mod health;
mod import;
mod locked;
mod looks;
mod losses;
mod meanwhile;
mod names;
mod newer;
mod orphans;
mod preview;
mod room;
mod rules;
mod tls;
mod unbound;
mod way;
