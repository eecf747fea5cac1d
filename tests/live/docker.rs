//! The docker provider against the real thing.

mod behaviour;
mod builds;
mod conformance;
mod contents;
mod engines;
mod errors;
mod lifecycle;
mod many;
mod networks;
mod plans;
mod podman;
mod replace;
mod second;
mod support;
mod volumes;
