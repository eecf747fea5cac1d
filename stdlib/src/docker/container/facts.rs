//! What an engine tells about a container beside what was set on it.

use std::collections::BTreeMap;

use bollard::models::{
    ContainerInspectResponse, ContainerStateStatusEnum, HealthStatusEnum, ImageInspect,
};

use serde::Deserialize as _;

use super::super::engine::Engine;
use super::super::image;
use super::ports::Ports;
use super::spec::{ContainerFacts, ContainerSpec};
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
        told: None,
        defaults: Defaults::new(),
    }
}

/// What an engine filled in, by attribute.
pub(super) type Defaults = BTreeMap<String, String>;

/// The same as it was noted among the facts when the container was made.
pub(super) fn noted(facts: Option<&serde_json::Value>) -> Defaults {
    let noted = facts.map(|facts| &facts["defaults"]);
    noted.and_then(|noted| Defaults::deserialize(noted).ok()).unwrap_or_default()
}

/// What the engine filled in on one that was made like this.
pub(super) fn filled_in(
    spec: &ContainerSpec,
    container: &ContainerInspectResponse,
) -> Defaults {
    let Some(host) = &container.host_config else { return Defaults::new() };
    let all = [
        ("shm_size", spec.shm_size.is_none(), host.shm_size.map(|size| size.to_string())),
        ("ipc", spec.ipc.is_none(), host.ipc_mode.clone()),
        ("cgroup", spec.cgroup.is_none(), host.cgroupns_mode.map(|mode| mode.to_string())),
    ];
    let filled = all.into_iter().filter(|(_, open, _)| *open);
    let filled = filled.filter_map(|(name, _, value)| Some((name.to_owned(), value?)));
    let asks = |key: &String| {
        spec.logging.as_ref().is_some_and(|asked| asked.options.0.contains_key(key))
    };
    let options = host.log_config.iter().filter_map(|log| log.config.as_ref()).flatten();
    let options = options.filter(|(key, _)| !asks(key));
    filled.chain(options.map(|(key, value)| (log_option(key), value.clone()))).collect()
}

/// What an option of the log's driver is called among what an engine filled in.
pub(super) fn log_option(key: &str) -> String {
    format!("logging.options.{key}")
}
