//! The docker provider against the real thing.

mod behaviour;
mod conformance;
mod errors;
mod lifecycle;
mod replace;
mod support;
