//! Conformance and behaviour of every provider against real services.

mod docker;
mod ephemeral;
mod failures;
mod local;
mod lookups;
mod modules;
mod platforms;
mod postgres;
mod proxy;
mod quickstart;
mod rabbitmq;
mod secrets;
mod templates;
