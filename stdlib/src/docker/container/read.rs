//! From what the engine reports to a spec and facts.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bollard::models::{
    ContainerConfig, ContainerInspectResponse, ContainerState, ContainerStateStatusEnum,
    ContainerSummary, HealthStatusEnum, HostConfig, ImageConfig, RestartPolicyNameEnum,
};
use bollard::query_parameters::ListContainersOptionsBuilder;
use dollop_engine::error::CallError;
use dollop_engine::resource::{Found, ReadResult, Wanted};
use futures::{StreamExt as _, stream};

use super::super::engine::{Engine, Machine, status};
use super::super::{labels, pull, reference};
use super::Container;
use super::health::Healthcheck;
use super::hosts::Hosts;
use super::inherit::Inherited;
use super::mounts::Mounts;
use super::networks::{Identity, Networks};
use super::ports::Ports;
use super::spec::{ContainerFacts, ContainerSpec, NetworkMode, Wait};
use super::units::{Bytes, Cpus, Restart, Span, capability, signal};
use super::words::Words;
use crate::text::Text;

/// How many inspections are under way at once.
const AT_ONCE: usize = 8;
/// The size of `/dev/shm` nobody asked for.
const DEFAULT_SHM: i64 = 64 << 20;

type Wants = Wanted<ContainerSpec>;

/// One list of all containers, then an inspection of each wanted one and of each image
/// they were made from.
pub(super) async fn read(engine: &Engine, wanted: &[Wants]) -> Vec<ReadResult<Container>> {
    let options = ListContainersOptionsBuilder::new().all(true).build();
    let listed = match engine.docker.list_containers(Some(options)).await {
        Ok(listed) => listed,
        Err(error) => {
            let error = engine.failed("listing containers", &error);
            return wanted.iter().map(|_| Err(error.clone())).collect();
        }
    };
    let mut by_id = BTreeSet::new();
    let mut by_name = BTreeMap::new();
    for ContainerSummary { id, names, .. } in listed {
        let Some(id) = id else { continue };
        let own = names.into_iter().flatten();
        // A name with a second slash is a link to another container.
        let own = own.filter_map(|name| name.strip_prefix('/').map(str::to_owned));
        for name in own.filter(|name| !name.contains('/')) {
            by_name.insert(name, id.clone());
        }
        by_id.insert(id);
    }
    let mut ids = Vec::with_capacity(wanted.len());
    for wanted in wanted {
        ids.push(match &wanted.id {
            Some(id) => by_id.get(id).cloned(),
            None => by_name.get(&wanted.name.natural).cloned(),
        });
    }
    let inspections = ids.into_iter().map(|id| async move {
        match id {
            Some(id) => inspect(engine, &id).await,
            None => Ok(None),
        }
    });
    let inspected: Vec<_> = stream::iter(inspections).buffered(AT_ONCE).collect().await;
    let images = images(engine, inspected.iter().flatten().flatten()).await;
    let machine = match engine.machine().await {
        Ok(machine) => machine,
        Err(error) => return wanted.iter().map(|_| Err(error.clone())).collect(),
    };
    wanted
        .iter()
        .zip(inspected)
        .map(|(wanted, inspected)| {
            let Some(container) = inspected? else { return Ok(None) };
            let image = match images.get(container.image.as_deref().unwrap_or_default()) {
                Some(Ok(image)) => image.as_ref(),
                Some(Err(error)) => return Err(error.clone()),
                None => None,
            };
            Ok(Some(found(engine, &container, image, wanted, machine)))
        })
        .collect()
}

/// The container of that id or name; `None` when there is none.
pub(super) async fn inspect(
    engine: &Engine,
    id: &str,
) -> Result<Option<ContainerInspectResponse>, CallError> {
    match engine.docker.inspect_container(id, None).await {
        Ok(found) => Ok(Some(found)),
        Err(error) if status(&error) == Some(404) => Ok(None),
        Err(error) => Err(engine.failed(&format!("inspecting container `{id}`"), &error)),
    }
}

/// Whether its program runs (a paused one does not).
pub(super) fn runs(state: &ContainerState) -> bool {
    state.running.unwrap_or(false) && !state.paused.unwrap_or(false)
}

/// Whether it ended, or never started, with everything as it should be.
pub(super) fn ended_well(state: &ContainerState) -> bool {
    state.status == Some(ContainerStateStatusEnum::EXITED) && state.exit_code == Some(0)
}

pub(super) fn facts(engine: &Engine, container: &ContainerInspectResponse) -> ContainerFacts {
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
        host_ip,
        host_ports: host_ports.collect(),
        addresses: addresses.collect(),
        state: state.status.map(|status| status.to_string()).unwrap_or_default(),
        health: health.map(|health| health.to_string()),
        exit_code: state.exit_code.filter(|_| ended),
    }
}

/// What the images say, each asked once; `None` for one that is gone.
async fn images(
    engine: &Engine,
    containers: impl Iterator<Item = &ContainerInspectResponse>,
) -> HashMap<String, Result<Option<ImageConfig>, CallError>> {
    let ids: BTreeSet<String> = containers.filter_map(|one| one.image.clone()).collect();
    let asked = ids.into_iter().map(|id| async move {
        let image = pull::local(engine, &id).await;
        let config = image.map(|image| image.map(|image| image.config.unwrap_or_default()));
        (id, config)
    });
    stream::iter(asked).buffer_unordered(AT_ONCE).collect().await
}

fn found(
    engine: &Engine,
    container: &ContainerInspectResponse,
    image: Option<&ImageConfig>,
    wanted: &Wants,
    machine: Machine,
) -> Found<ContainerSpec, ContainerFacts> {
    let none = HashMap::new();
    let labels = container.config.as_ref().and_then(|config| config.labels.as_ref());
    let natural = container.name.as_deref().unwrap_or_default().trim_start_matches('/');
    Found {
        id: container.id.clone().unwrap_or_default(),
        natural: natural.to_owned(),
        spec: spec(engine, container, image, wanted, machine),
        facts: facts(engine, container),
        owner: labels::owner(labels.unwrap_or(&none), &wanted.name, wanted.id.is_some()),
    }
}

/// What was set on the container, without what its image and the engine add.
fn spec(
    engine: &Engine,
    container: &ContainerInspectResponse,
    image: Option<&ImageConfig>,
    wanted: &Wants,
    machine: Machine,
) -> ContainerSpec {
    let asked = &wanted.spec;
    let config = container.config.clone().unwrap_or_default();
    let host = container.host_config.clone().unwrap_or_default();
    let state = container.state.clone().unwrap_or_default();
    let network_mode = match host.network_mode.as_deref() {
        Some("host") => Some(NetworkMode::Host),
        Some("none") => Some(NetworkMode::None),
        _ => None,
    };
    let runs = match asked.wait {
        Wait::Exited if ended_well(&state) => asked.running,
        _ => runs(&state),
    };
    let inherited = match image {
        Some(image) => Inherited::Says(image),
        None => Inherited::Gone,
    };
    let text = |value: Option<&String>| value.filter(|text| !text.is_empty()).cloned();
    ContainerSpec {
        // The text it was made from; an id when it was made from that.
        image: reference::familiar(config.image.as_deref().unwrap_or_default()),
        command: command(&config, inherited, asked),
        entrypoint: entrypoint(&config, inherited, asked),
        env: env(&config, image, asked),
        ports: host.port_bindings.as_ref().map(Ports::observed).unwrap_or_default(),
        volumes: Mounts::observed(
            engine,
            host.mounts.as_deref().unwrap_or(&[]),
            host.binds.as_deref().unwrap_or(&[]),
            &asked.volumes,
        ),
        networks: match network_mode {
            Some(_) => Networks::default(),
            None => networks(container, wanted),
        },
        network_mode,
        labels: own_labels(&config, image, asked),
        healthcheck: Healthcheck::observed(
            config.healthcheck.as_ref(),
            inherited.map(|image| image.healthcheck.as_ref()),
            asked.healthcheck.as_ref(),
        ),
        restart: restart(&host),
        user: inherited
            .map(|image| text(image.user.as_ref()).map(Text))
            .beyond(text(config.user.as_ref()).map(Text), asked.user.as_ref()),
        working_dir: inherited
            .map(|image| text(image.working_dir.as_ref()))
            .beyond(text(config.working_dir.as_ref()), asked.working_dir.as_ref()),
        hostname: hostname(container, &config, network_mode, asked),
        init: host.init,
        read_only: host.readonly_rootfs.unwrap_or(false),
        stop_signal: stop_signal(&config, inherited, asked),
        stop_grace_period: config
            .stop_timeout
            .and_then(|seconds| u64::try_from(seconds).ok())
            .map(|seconds| Span(std::time::Duration::from_secs(seconds))),
        shm_size: host
            .shm_size
            .filter(|size| *size > 0)
            .filter(|size| *size != DEFAULT_SHM || asked.shm_size.is_some())
            .map(Bytes),
        // All there is: that is how a limit is taken away in place, see `change::limits`.
        mem_limit: host
            .memory
            .filter(|limit| *limit > 0)
            .filter(|limit| asked.mem_limit.is_some() || *limit < machine.memory)
            .map(Bytes),
        cpus: host
            .nano_cpus
            .filter(|limit| *limit > 0)
            .filter(|limit| asked.cpus.is_some() || *limit < machine.nano_cpus)
            .map(Cpus),
        pids_limit: host.pids_limit.filter(|limit| *limit > 0),
        cap_add: host.cap_add.iter().flatten().map(|cap| capability(cap)).collect(),
        cap_drop: host.cap_drop.iter().flatten().map(|cap| capability(cap)).collect(),
        privileged: host.privileged.unwrap_or(false),
        tmpfs: tmpfs(&host),
        extra_hosts: Hosts::observed(host.extra_hosts.as_deref().unwrap_or(&[])),
        running: runs,
        // How long dollop waits is nothing the engine knows.
        wait: asked.wait,
        wait_timeout: asked.wait_timeout,
    }
}

fn command(
    config: &ContainerConfig,
    image: Inherited<&ImageConfig>,
    asked: &ContainerSpec,
) -> Option<Words> {
    let some =
        |words: Option<&Vec<String>>| words.filter(|w| !w.is_empty()).cloned().map(Words);
    image
        .map(|image| some(image.cmd.as_ref()))
        .beyond(some(config.cmd.as_ref()), asked.command.as_ref())
}

fn entrypoint(
    config: &ContainerConfig,
    image: Inherited<&ImageConfig>,
    asked: &ContainerSpec,
) -> Option<Words> {
    // An empty one is something to ask for: it drops the image's.
    let actual = Words(config.entrypoint.clone().unwrap_or_default());
    let image = match image {
        Inherited::Says(image) => {
            Inherited::Says(Words(image.entrypoint.clone().unwrap_or_default()))
        }
        Inherited::Silent => Inherited::Silent,
        Inherited::Gone => Inherited::Gone,
    };
    image.beyond(Some(actual), asked.entrypoint.as_ref())
}

fn env(
    config: &ContainerConfig,
    image: Option<&ImageConfig>,
    asked: &ContainerSpec,
) -> BTreeMap<String, Text> {
    let entries = config.env.iter().flatten();
    entries
        .filter(|entry| {
            let name = entry.split_once('=').map_or(entry.as_str(), |(name, _)| name);
            let from_image = match image {
                Some(image) => image.env.iter().flatten().any(|other| other == *entry),
                None => true,
            };
            asked.env.contains_key(name) || !from_image
        })
        .filter_map(|entry| entry.split_once('='))
        .map(|(name, value)| (name.to_owned(), Text(value.to_owned())))
        .collect()
}

fn own_labels(
    config: &ContainerConfig,
    image: Option<&ImageConfig>,
    asked: &ContainerSpec,
) -> BTreeMap<String, Text> {
    let none = HashMap::new();
    let mut found = labels::unmarked(config.labels.as_ref().unwrap_or(&none));
    found.retain(|key, value| {
        let from_image = match image {
            Some(image) => {
                image.labels.as_ref().and_then(|labels| labels.get(key)) == Some(&value.0)
            }
            None => true,
        };
        asked.labels.contains_key(key) || !from_image
    });
    found
}

fn networks(container: &ContainerInspectResponse, wanted: &Wants) -> Networks {
    let who = Identity {
        id: container.id.as_deref().unwrap_or_default(),
        natural: container.name.as_deref().unwrap_or_default().trim_start_matches('/'),
        short: wanted.name.address.name(),
    };
    let settings = container.network_settings.clone().unwrap_or_default();
    Networks::observed(&settings.networks.unwrap_or_default(), &who, &wanted.spec.networks)
}

fn restart(host: &HostConfig) -> Restart {
    let policy = host.restart_policy.clone().unwrap_or_default();
    match policy.name {
        Some(RestartPolicyNameEnum::ALWAYS) => Restart::Always,
        Some(RestartPolicyNameEnum::UNLESS_STOPPED) => Restart::UnlessStopped,
        Some(RestartPolicyNameEnum::ON_FAILURE) => {
            let times = policy.maximum_retry_count.unwrap_or(0);
            Restart::OnFailure(u32::try_from(times).unwrap_or(0))
        }
        _ => Restart::No,
    }
}

fn hostname(
    container: &ContainerInspectResponse,
    config: &ContainerConfig,
    mode: Option<NetworkMode>,
    asked: &ContainerSpec,
) -> Option<String> {
    // The engine fills in the start of the id, or the machine's name in its network.
    let given = mode == Some(NetworkMode::Host);
    let own = config.hostname.clone().filter(|name| !name.is_empty());
    own.filter(|name| {
        let short_id = container.id.as_deref().and_then(|id| id.get(..12));
        asked.hostname.is_some() || (!given && short_id != Some(name.as_str()))
    })
}

fn stop_signal(
    config: &ContainerConfig,
    image: Inherited<&ImageConfig>,
    asked: &ContainerSpec,
) -> Option<String> {
    let normal =
        |name: Option<&String>| name.map(|name| signal(name)).filter(|n| !n.is_empty());
    let actual = normal(config.stop_signal.as_ref());
    let beyond = image
        .map(|image| normal(image.stop_signal.as_ref()))
        .beyond(actual, asked.stop_signal.as_ref());
    // Some clients write down the engine's default.
    beyond.filter(|name| name != "SIGTERM" || asked.stop_signal.is_some())
}

fn tmpfs(host: &HostConfig) -> Vec<String> {
    let mounts = host.tmpfs.iter().flatten();
    mounts
        .map(
            |(path, options)| {
                if options.is_empty() { path.clone() } else { format!("{path}:{options}") }
            },
        )
        .collect()
}
