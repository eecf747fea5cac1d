//! The `rabbitmq` provider.

use dollop_engine::kind::Registry;

/// Adds the provider to a registry.
pub fn register(registry: Registry) -> Registry {
    registry.provider("rabbitmq", "")
}
