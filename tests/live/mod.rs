//! Conformance and behaviour of every provider against real services.

mod backup;
mod docker;
mod ephemeral;
mod failures;
mod gates;
mod local;
mod lookups;
mod modules;
mod operations;
mod platforms;
mod postgres;
mod proxy;
mod quickstart;
mod rabbitmq;
mod secrets;
mod templates;
