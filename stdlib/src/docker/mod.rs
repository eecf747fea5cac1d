//! The `docker` provider: what one Docker engine holds.
//!
//! | kind | life |
//! |---|---|
//! | `docker::network` | made and removed; the engine cannot change one |
//! | `docker::volume` | made and removed; holds data |
//! | `docker::image` | pulled or built; kept on removal unless told otherwise |
//! | `docker::job` | a command that runs once; lives in the state |
//! | `docker::container` | name, limits, restart policy, networks and running change in place |
//!
//! Spoken to through the Engine API by bollard, at the version both sides know.
//! Everything made carries the labels of [`labels`], which never show in `labels`.

mod backup;
mod carry;
mod container;
mod content;
mod departure;
mod endpoint;
mod engine;
mod exec;
mod helper;
mod image;
mod images;
mod instead;
mod ipam;
mod job;
mod labels;
mod lint;
mod momentary;
mod network;
mod operate;
mod pull;
mod reference;
mod registry;
mod stored;
mod subnets;
mod tags;
mod trust;
mod unended;
mod versions;
mod volume;
mod wire;

use dollop_engine::kind::Registry;
use dollop_engine::resource::{Connection as _, Resource as _};

pub use container::Container;
pub use engine::Engine;
pub use image::Image;
pub use job::Job;
pub use network::Network;
pub use volume::Volume;

/// Adds the provider to a registry.
pub fn register(registry: Registry) -> Registry {
    registry
        .provider(
            "docker",
            "Containers, networks, volumes and images of a Docker engine. The engine is the \
             one `DOCKER_HOST` or the current docker context names, or the local one, unless a `docker::engine` is declared.",
        )
        .connection::<Engine>()
        .resource::<Network>()
        .resource::<Volume>()
        .resource::<Image>()
        .resource::<Container>()
        .resource::<Job>()
        .operations_of(Engine::KIND, operate::OfEngines)
        .operations_of(Container::KIND, operate::OfContainers)
}
