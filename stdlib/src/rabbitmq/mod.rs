//! The `rabbitmq` provider: what lives inside a RabbitMQ server, through its management
//! API (<https://www.rabbitmq.com/docs/http-api-reference>).

mod api;
mod arguments;
mod backup;
pub mod binding;
mod bounds;
mod definitions;
mod drain;
mod drained;
pub mod exchange;
pub mod federation;
mod health;
mod held;
pub mod imported;
mod instead;
pub mod item;
mod limits;
mod matching;
mod mover;
pub mod node;
mod operate;
pub mod parameter;
mod pattern;
pub mod permission;
pub mod policy;
mod policy_rules;
pub mod queue;
mod queue_rules;
mod sections;
pub mod server;
mod settings;
pub mod shovel;
mod since;
mod transient;
mod unbound;
pub mod user;
mod versions;
pub mod vhost;

use dollop_engine::kind::Registry;
use dollop_engine::resource::Connection as _;
use item::Kept;

/// Adds the provider to a registry.
pub fn register(registry: Registry) -> Registry {
    registry
        .provider("rabbitmq", "Virtual hosts, users, queues and their routing on RabbitMQ.")
        .connection::<server::Server>()
        .resource::<binding::Binding>()
        .resource::<imported::Imported>()
        .resource::<Kept<exchange::Exchange>>()
        .resource::<Kept<federation::Upstream>>()
        .resource::<Kept<federation::UpstreamSet>>()
        .resource::<Kept<node::ClusterName>>()
        .resource::<Kept<node::FeatureFlag>>()
        .resource::<Kept<node::Plugin>>()
        .resource::<Kept<parameter::GlobalParameter>>()
        .resource::<Kept<parameter::Parameter>>()
        .resource::<Kept<permission::Permission>>()
        .resource::<Kept<policy::OperatorPolicy>>()
        .resource::<Kept<policy::Policy>>()
        .resource::<Kept<queue::Queue>>()
        .resource::<Kept<shovel::Shovel>>()
        .resource::<Kept<user::User>>()
        .resource::<Kept<vhost::VirtualHost>>()
        .operations_of(server::Server::KIND, operate::OfServers)
}
