//! Conformance and behaviour of every provider against real services.

mod docker;
mod local;
mod postgres;
mod quickstart;
mod rabbitmq;
