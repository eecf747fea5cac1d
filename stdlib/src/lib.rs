//! What a dollop script finds when it starts: the providers and what they can declare.

pub mod docker;
pub mod local;
pub mod postgres;
pub mod rabbitmq;
pub mod text;

use dollop_engine::kind::Registry;

/// Everything scripts can declare.
pub fn registry() -> Registry {
    let registry = Registry::new();
    let registry = local::register(registry);
    let registry = docker::register(registry);
    let registry = postgres::register(registry);
    rabbitmq::register(registry)
}
