//! What an engine tells about a container beside what was set on it.

use bollard::models::{
    ContainerInspectResponse, ContainerStateStatusEnum, HealthStatusEnum, ImageInspect,
};

use super::super::engine::Engine;
use super::super::image;
use super::ports::Ports;
use super::spec::ContainerFacts;
use super::track::Digests;

/// The facts of a container, made from that image where it is still there.
pub(crate) fn facts(
    engine: &Engine,
    container: &ContainerInspectResponse,
    image: Option<&ImageInspect>,
) -> ContainerFacts {
    let networks = container.network_settings.clone().unwrap_or_default();
    let state = container.state.clone().unwrap_or_default();
    let addresses =
        networks.networks.unwrap_or_default().into_iter().filter_map(|(name, end)| {
            let address = end.ip_address.or(end.global_ipv6_address).unwrap_or_default();
            (!address.is_empty()).then_some((name, address))
        });
    let host_ports =
        networks.ports.unwrap_or_default().into_iter().filter_map(|(port, ends)| {
            let host_port = ends?.into_iter().find_map(|end| end.host_port?.parse().ok())?;
            Some((port, host_port))
        });
    let bindings = container.host_config.as_ref().and_then(|host| host.port_bindings.as_ref());
    let published = bindings.map(Ports::observed).unwrap_or_default();
    let host_ip = published.0.first().map(|port| match port.ip {
        Some(ip) if !ip.is_unspecified() => ip.to_string(),
        _ => engine.reached_at.clone(),
    });
    let health = state
        .health
        .and_then(|health| health.status)
        .filter(|status| !matches!(status, HealthStatusEnum::NONE | HealthStatusEnum::EMPTY));
    let ended = matches!(
        state.status,
        Some(ContainerStateStatusEnum::EXITED | ContainerStateStatusEnum::DEAD)
    );
    ContainerFacts {
        id: container.id.clone().unwrap_or_default(),
        image_id: container.image.clone().unwrap_or_default(),
        image_digest: image.and_then(|inspected| {
            let config = container.config.as_ref();
            let written = config.and_then(|config| config.image.as_deref()).unwrap_or_default();
            image::digest(written, inspected.repo_digests.as_deref().unwrap_or(&[]))
        }),
        host_ip,
        host_ports: host_ports.collect(),
        addresses: addresses.collect(),
        state: state.status.map(|status| status.to_string()).unwrap_or_default(),
        health: health.map(|health| health.to_string()),
        exit_code: state.exit_code.filter(|_| ended),
        // Nothing the engine knows.
        tracked: Digests::new(),
    }
}
