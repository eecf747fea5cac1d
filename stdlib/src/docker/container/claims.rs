//! What a container takes and needs, and what is odd about one, for the analysis.

use dollop_engine::analysis::{Claim, Claimed, Lint, Named};
use dollop_engine::diagnostic::Code;
use dollop_engine::path::Path;
use dollop_engine::resource::{Name, Resource as _};

use super::super::{images, lint, network::Network, volume::Volume};
use super::modes::{Mode, NetworkMode, of_container};
use super::mounts::MountKind;
use super::networks::{BRIDGE, is_predefined};
use super::ports::HostPort;
use super::spec::ContainerSpec;
use super::{Container, calls};

/// Ports, places in networks, mounts.
pub(super) fn claims(name: &Name, spec: &ContainerSpec) -> Vec<Claimed> {
    let mut claims = Vec::new();
    if spec.running {
        ports(spec, &mut claims);
    }
    networks(name, spec, &mut claims);
    shares(spec, &mut claims);
    calls::claims(spec, &mut claims);
    mounts(spec, &mut claims);
    if let Some(features) = images::extensions(&spec.image) {
        let software = "PostgreSQL";
        let claim = Claim::Offers { software, image: spec.image.clone(), features };
        claims.push(Claimed::new(Path::attribute("image"), claim));
    }
    claims
}

fn ports(spec: &ContainerSpec, claims: &mut Vec<Claimed>) {
    // In the network of the machine nothing is published.
    if spec.network_mode.is_some() {
        return;
    }
    for port in &spec.ports.0 {
        if let Some(host) = port.host.filter(|host| HostPort::is_one(*host)) {
            let protocol = port.protocol.word();
            let claim = Claim::HostPort { ip: port.ip, port: host.first, protocol };
            claims.push(Claimed::new(Path::attribute("ports"), claim));
        }
    }
}

fn networks(name: &Name, spec: &ContainerSpec, claims: &mut Vec<Claimed>) {
    let network = |name: &str| Named { kind: Network::KIND, name: name.to_owned() };
    let group = || spec.replica_of.clone();
    let member =
        |network, addresses, names| Claim::Member { network, addresses, names, group: group() };
    let at = Path::attribute("networks");
    for (joined, endpoint) in &spec.networks.0 {
        let mut names = Vec::new();
        if !is_predefined(joined) {
            // What replicas share is theirs together.
            let shared = |alias: &&String| spec.replica_of.as_ref() == Some(*alias);
            names.extend(endpoint.aliases.iter().filter(|alias| !shared(alias)).cloned());
            names.push(name.address.name().to_owned());
            if !names.contains(&name.natural) {
                names.push(name.natural.clone());
            }
            names.sort();
            names.dedup();
        }
        let fixed = [endpoint.ipv4_address, endpoint.ipv6_address].into_iter().flatten();
        let addresses = fixed.map(|address| address.0).collect();
        let claim = member(network(joined), addresses, names);
        claims.push(Claimed::new(at.key(joined), claim));
    }
    if spec.networks.0.is_empty() {
        let joined = match spec.network_mode {
            None | Some(NetworkMode::Bridge) => BRIDGE,
            Some(NetworkMode::Host) => "host",
            Some(NetworkMode::None) => "none",
            // It is where the other container is, which says so itself.
            Some(NetworkMode::Container(_)) => return,
        };
        let claim = member(network(joined), Vec::new(), Vec::new());
        claims.push(Claimed::new(at, claim));
    }
}

/// Other containers whose network, processes, memory or volumes it has.
fn shares(spec: &ContainerSpec, claims: &mut Vec<Claimed>) {
    let network = match &spec.network_mode {
        Some(NetworkMode::Container(name)) => Some(name.as_str()),
        _ => None,
    };
    let (ipc, pid) = (container_of(spec.ipc.as_ref()), container_of(spec.pid.as_ref()));
    let modes = [("network_mode", network), ("ipc", ipc), ("pid", pid)];
    let modes = modes.into_iter().filter_map(|(attribute, name)| Some((attribute, name?)));
    let volumes = spec.volumes_from.iter();
    let volumes = volumes.map(|from| from.split(':').next().unwrap_or_default());
    for (attribute, name) in modes.chain(volumes.map(|name| ("volumes_from", name))) {
        let named = Named { kind: Container::KIND, name: name.to_owned() };
        claims.push(Claimed::new(Path::attribute(attribute), Claim::Shares(named)));
    }
}

fn container_of(mode: Option<&Mode>) -> Option<&str> {
    of_container(&mode?.0)
}

fn mounts(spec: &ContainerSpec, claims: &mut Vec<Claimed>) {
    let exclusive = lint::database(&spec.image);
    for mount in &spec.volumes.0 {
        let Some(source) = &mount.source else { continue };
        let claim = match mount.kind {
            MountKind::Tmpfs | MountKind::Image => continue,
            MountKind::Bind if mount.bind.as_ref().is_some_and(|b| b.create_host_path) => {
                continue;
            }
            MountKind::Bind => Claim::NeedsPath(source.clone()),
            MountKind::Volume => Claim::Mount {
                volume: Named { kind: Volume::KIND, name: source.clone() },
                writable: !mount.read_only,
                exclusive,
            },
        };
        claims.push(Claimed::new(Path::attribute("volumes"), claim));
    }
}

/// A version that floats, a health check that says yes to everything.
pub(super) fn lints(spec: &ContainerSpec) -> Vec<Lint> {
    let mut found: Vec<_> = lint::floating("image", &spec.image).into_iter().collect();
    let test = spec.healthcheck.as_ref().and_then(|health| health.test.as_ref());
    if let Some(test) = test.filter(|test| lint::cannot_fail(&test.0)) {
        found.push(Lint {
            code: Code::HealthAlwaysPasses,
            at: Path::attribute("healthcheck").key("test"),
            message: format!("the health check `{}` cannot fail", test.0[1..].join(" ")),
            hint: "let it end with another code than 0 when the service does not work"
                .to_owned(),
        });
    }
    if let Some(test) = test.filter(|test| lint::passes_when_refused(&test.0)) {
        let needs_password = spec
            .command
            .as_ref()
            .is_some_and(|command| command.0.iter().any(|word| word.contains("requirepass")));
        if needs_password {
            found.push(Lint {
                code: Code::HealthAlwaysPasses,
                at: Path::attribute("healthcheck").key("test"),
                message: format!(
                    "the health check `{}` passes when the server refuses it",
                    test.0[1..].join(" ")
                ),
                hint: "the server asks for a password: give it in REDISCLI_AUTH, and look for \
                       the answer, `redis-cli ping | grep -q PONG`"
                    .to_owned(),
            });
        }
    }
    found.extend(images::unfit(spec));
    found.extend(images::loopback(spec));
    found
}
