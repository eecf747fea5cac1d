//! Networks, volumes and containers that containers name in text, and that are neither on the
//! engine nor in the stack.

use std::collections::BTreeSet;

use bollard::models::ContainerSummary;
use bollard::query_parameters::{ListNetworksOptions, ListVolumesOptions};
use dollop_engine::diagnostic::Code;
use dollop_engine::resource::{Declared, Planned};

use super::super::engine::Engine;
use super::modes::NetworkMode;
use super::spec::ContainerSpec;
use super::survey::{Found, add};

/// What to do about a network that nobody has.
pub(super) const NETWORK: &str = "declare it as a `docker::network` and pass that, \
                                  `networks: [net]`; one of another stack is made by that one \
                                  first";
/// What to do about a volume that nobody has.
pub(super) const VOLUME: &str =
    "declare it as a `docker::volume` and pass that: `volumes: [`${vol}:/data`]`";

/// Networks to be joined.
pub(super) async fn networks(
    engine: &Engine,
    planned: &[Planned<ContainerSpec>],
    declared: &Declared,
    found: &mut Found,
) {
    let named = |one: &ContainerSpec| one.networks.0.keys().cloned().collect();
    let named = elsewhere(planned, declared, "docker::network", named);
    if named.is_empty() {
        return;
    }
    // Who cannot be asked is told of elsewhere.
    let listed = engine.docker.list_networks(None::<ListNetworksOptions>).await;
    let Ok(listed) = listed else { return };
    let there: BTreeSet<_> = listed.into_iter().filter_map(|network| network.name).collect();
    for (one, name) in named.into_iter().filter(|(_, name)| !there.contains(name)) {
        tell(one, "networks", &format!("network `{name}`"), NETWORK, found);
    }
}

/// Volumes to be mounted.
pub(super) async fn volumes(
    engine: &Engine,
    planned: &[Planned<ContainerSpec>],
    declared: &Declared,
    found: &mut Found,
) {
    let named = |one: &ContainerSpec| one.volumes.named().map(str::to_owned).collect();
    let named = elsewhere(planned, declared, "docker::volume", named);
    if named.is_empty() {
        return;
    }
    let listed = engine.docker.list_volumes(None::<ListVolumesOptions>).await;
    let Ok(listed) = listed else { return };
    let there = listed.volumes.unwrap_or_default().into_iter();
    let there: BTreeSet<_> = there.map(|volume| volume.name).collect();
    for (one, name) in named.into_iter().filter(|(_, name)| !there.contains(name)) {
        tell(one, "volumes", &format!("volume `{name}`"), VOLUME, found);
    }
}

/// Containers whose network is to be shared.
pub(super) fn containers(
    planned: &[Planned<ContainerSpec>],
    declared: &Declared,
    listed: &[ContainerSummary],
    found: &mut Found,
) {
    let named = |one: &ContainerSpec| match &one.network_mode {
        Some(NetworkMode::Container(name)) => vec![name.clone()],
        _ => Vec::new(),
    };
    let is = |one: &ContainerSummary, name: &str| {
        let mut called = one.names.iter().flatten();
        one.id.as_deref().is_some_and(|id| id.starts_with(name))
            || called.any(|other| other.strip_prefix('/') == Some(name))
    };
    for (one, name) in elsewhere(planned, declared, "docker::container", named) {
        if !listed.iter().any(|other| is(other, &name)) {
            let hint = "write the container itself: `network_mode: `container:${other}``";
            tell(one, "network_mode", &format!("container `{name}`"), hint, found);
        }
    }
}

/// What containers that are made name and the stack does not have.
fn elsewhere<'p>(
    planned: &'p [Planned<ContainerSpec>],
    declared: &Declared,
    kind: &str,
    named: impl Fn(&ContainerSpec) -> Vec<String>,
) -> Vec<(&'p Planned<ContainerSpec>, String)> {
    let made = planned.iter().filter(|one| one.made);
    made.flat_map(|one| named(&one.spec).into_iter().map(move |name| (one, name)))
        .filter(|(_, name)| !declared.may_have(kind, name))
        .collect()
}

fn tell(
    one: &Planned<ContainerSpec>,
    attribute: &str,
    what: &str,
    hint: &str,
    found: &mut Found,
) {
    let message = format!("there is no {what}: neither the engine nor this stack has it");
    add(found, &one.name.address, Code::HostLacks, attribute, message, hint.to_owned());
}
