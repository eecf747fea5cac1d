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
    modules(rabbitmq::register(registry))
}

/// Adds the modules written in the language itself: `import "std/postgres"`.
fn modules(registry: Registry) -> Registry {
    registry
        .module("postgres", include_str!("../rhai/postgres.rhai"))
        .module("rabbitmq", include_str!("../rhai/rabbitmq.rhai"))
        .module("redis", include_str!("../rhai/redis.rhai"))
}
