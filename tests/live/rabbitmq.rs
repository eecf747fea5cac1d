//! The rabbitmq provider against the real thing.

#![expect(clippy::unwrap_used, reason = "a test says what it needs by failing")]

mod behaviour;
mod bench;
pub(crate) mod broker;
mod bulk;
mod conformance;
mod counter;
mod drain;
mod errors;
mod import;
mod losses;
mod names;
