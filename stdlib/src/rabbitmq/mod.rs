//! The `rabbitmq` provider: what lives inside a RabbitMQ server, through its management
//! API (<https://www.rabbitmq.com/docs/http-api-reference>).

mod api;
mod arguments;
pub mod binding;
pub mod exchange;
pub mod permission;
pub mod policy;
pub mod queue;
mod queue_rules;
mod rows;
pub mod server;
pub mod user;
pub mod vhost;

use dollop_engine::kind::Registry;

/// Adds the provider to a registry.
pub fn register(registry: Registry) -> Registry {
    registry
        .provider("rabbitmq", "Virtual hosts, users, queues and their routing on RabbitMQ.")
        .connection::<server::Server>()
        .resource::<binding::Binding>()
        .resource::<exchange::Exchange>()
        .resource::<permission::Permission>()
        .resource::<policy::Policy>()
        .resource::<queue::Queue>()
        .resource::<user::User>()
        .resource::<vhost::VirtualHost>()
}
