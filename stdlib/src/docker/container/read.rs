//! From what the engine reports to a spec and facts.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bollard::models::{
    ContainerConfig, ContainerInspectResponse, ContainerState, ContainerStateStatusEnum,
    ContainerSummary, HostConfig, HostConfigCgroupnsModeEnum, ImageConfig, ImageInspect,
};
use dollop_engine::error::CallError;
use dollop_engine::resource::{Found, ReadResult, Wanted};
use futures::{StreamExt as _, stream};

use super::super::engine::{Engine, Machine, status};
use super::super::image::{self, Platform};
use super::super::{labels, pull, reference};
use super::Container;
use super::blkio::BlockIo;
use super::devices::{Devices, Gpus};
use super::facts::{Defaults, facts, log_option, noted};
use super::files::Files;
use super::filler::is_filler;
use super::health::{Healthcheck, START_INTERVAL};
use super::hosts::Hosts;
use super::inherit::Inherited;
use super::inject;
use super::limits::Limits;
use super::modes::{CgroupMode, Mode, NetworkMode, UserNamespace, of_container};
use super::mounts::{Mounts, tidy_path};
use super::networks::{Identity, Networks, unplugged};
use super::pairs::Pairs;
use super::ports::{Exposed, Ports};
use super::spec::{ContainerFacts, ContainerSpec, Logging, Wait};
use super::track::Track;
use super::ulimits::Ulimits;
use super::units::{Bytes, Micros, Restart, Span, capability, signal};
use super::words::{Several, Words};
use super::{beyond, security};
use crate::text::Text;

/// How many inspections are under way at once.
const AT_ONCE: usize = 8;
/// The size of `/dev/shm` nobody asked for, on an engine that is told no other.
const DEFAULT_SHM: &str = "67108864";
/// The version of the API since which containers share no memory unless they are told so.
const PRIVATE_IPC: usize = 40;

type Wants = Wanted<ContainerSpec>;

/// What was asked for all containers together.
struct World<'a> {
    engine: &'a Engine,
    machine: &'a Machine,
    /// The name of each container by its id.
    names: HashMap<String, String>,
    /// The id of each image by its name.
    images: HashMap<String, String>,
    /// Whether there is a network for containers that are in no other.
    bridged: bool,
}

/// One list of all containers and one of all images, and an inspection of each wanted
/// container; then one of each image they were made from and of each file put into them.
pub(super) async fn read(engine: &Engine, wanted: &[Wants]) -> Vec<ReadResult<Container>> {
    // Those of a known id need not wait for the list.
    let ids: Vec<Option<String>> = wanted.iter().map(|wanted| wanted.id.clone()).collect();
    let known = ids.into_iter().map(|id| async move { by_id(engine, id.as_deref()).await });
    let known = stream::iter(known).buffered(AT_ONCE).collect::<Vec<_>>();
    let asked = async { futures::try_join!(engine.machine(), image::ids(engine)) };
    let (listed, asked, mut inspected) = futures::join!(engine.containers(), asked, known);
    let (listed, (machine, ids)) = match (listed, asked) {
        (Ok(listed), Ok(asked)) => (listed, asked),
        (Err(error), _) | (_, Err(error)) => {
            return wanted.iter().map(|_| Err(error.clone())).collect();
        }
    };
    let mut names = HashMap::new();
    let mut by_name = BTreeMap::new();
    for ContainerSummary { id, names: all, .. } in listed.iter() {
        let Some(id) = id else { continue };
        let own = all.iter().flatten();
        // A name with a second slash is a link to another container.
        let mut own = own.filter_map(|name| name.strip_prefix('/').map(str::to_owned));
        let name = own.find(|name| !name.contains('/')).unwrap_or_default();
        by_name.insert(name.clone(), id);
        names.insert(id.clone(), name);
    }
    // The others are known by their names alone.
    let others: Vec<(usize, String)> = wanted
        .iter()
        .enumerate()
        .filter(|(_, wanted)| wanted.id.is_none())
        .filter_map(|(index, wanted)| {
            Some((index, (*by_name.get(&wanted.name.natural)?).clone()))
        })
        .collect();
    let inspections = others
        .into_iter()
        .map(|(index, id)| async move { (index, by_id(engine, Some(&id)).await) });
    let late: Vec<_> = stream::iter(inspections).buffer_unordered(AT_ONCE).collect().await;
    for (index, found) in late {
        inspected[index] = found;
    }
    let there = || inspected.iter().flatten().flatten();
    let bridged =
        async { if there().any(seems_unplugged) { engine.bridged().await } else { Ok(true) } };
    let (images, bridged) = futures::join!(images(engine, there()), bridged);
    let bridged = match bridged {
        Ok(bridged) => bridged,
        Err(error) => return wanted.iter().map(|_| Err(error.clone())).collect(),
    };
    // What is in files the engine tells for each of them alone.
    let (mut looks, mut tracked) = (Vec::new(), Vec::new());
    for (wanted, inspected) in wanted.iter().zip(&inspected) {
        let id = match inspected {
            Ok(Some(found)) if !wanted.spec.files.0.is_empty() => found.id.as_deref(),
            _ => None,
        };
        tracked.push(Track::observed(&engine.scope, wanted));
        looks.push(async move {
            match id {
                Some(id) => Files::observed(engine, id, &wanted.spec.files).await,
                None => Ok(Files::default()),
            }
        });
    }
    let files: Vec<_> = stream::iter(looks).buffered(AT_ONCE).collect().await;
    let tracked: Vec<_> = stream::iter(tracked).buffered(AT_ONCE).collect().await;
    let world = World { engine, machine, names, images: ids, bridged };
    wanted
        .iter()
        .zip(inspected.into_iter().zip(files.into_iter().zip(tracked)))
        .map(|(wanted, (inspected, (files, tracked)))| {
            let Some(container) = inspected? else { return Ok(None) };
            let image = match images.get(container.image.as_deref().unwrap_or_default()) {
                Some(Ok(image)) => image.as_ref(),
                Some(Err(error)) => return Err(error.clone()),
                None => None,
            };
            let mut found = found(&world, &container, image, wanted);
            found.spec.files = files?;
            found.facts.told = found.spec.files.compared(wanted.facts.as_ref());
            (found.spec.track, found.facts.tracked) = tracked;
            Ok(Some(found))
        })
        .collect()
}

/// The container of exactly that id, when there is one.
async fn by_id(
    engine: &Engine,
    id: Option<&str>,
) -> Result<Option<ContainerInspectResponse>, CallError> {
    let Some(id) = id.filter(|id| !id.is_empty()) else { return Ok(None) };
    let found = inspect(engine, id).await?;
    Ok(found.filter(|found| found.id.as_deref() == Some(id)))
}

/// The container of that id or name; `None` when there is none.
pub(crate) async fn inspect(
    engine: &Engine,
    id: &str,
) -> Result<Option<ContainerInspectResponse>, CallError> {
    match engine.inspect_container(id).await {
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

/// What the images say, each asked once; `None` for one that is gone.
async fn images(
    engine: &Engine,
    containers: impl Iterator<Item = &ContainerInspectResponse>,
) -> HashMap<String, Result<Option<ImageInspect>, CallError>> {
    let ids: BTreeSet<String> = containers.filter_map(|one| one.image.clone()).collect();
    let asked = ids.into_iter().map(|id| async move {
        let image = pull::local(engine, &id).await;
        (id, image)
    });
    stream::iter(asked).buffer_unordered(AT_ONCE).collect().await
}

fn found(
    world: &World<'_>,
    container: &ContainerInspectResponse,
    image: Option<&ImageInspect>,
    wanted: &Wants,
) -> Found<ContainerSpec, ContainerFacts> {
    let none = HashMap::new();
    let labels = container.config.as_ref().and_then(|config| config.labels.as_ref());
    let natural = container.name.as_deref().unwrap_or_default().trim_start_matches('/');
    let defaults = noted(wanted.facts.as_ref());
    Found {
        id: container.id.clone().unwrap_or_default(),
        natural: natural.to_owned(),
        spec: spec(world, container, image, wanted),
        facts: ContainerFacts { defaults, ..facts(world.engine, container, image) },
        owner: labels::owner(labels.unwrap_or(&none), &wanted.name, wanted.id.is_some()),
    }
}

/// What was set on the container, without what its image and the engine add.
fn spec(
    world: &World<'_>,
    container: &ContainerInspectResponse,
    image: Option<&ImageInspect>,
    wanted: &Wants,
) -> ContainerSpec {
    let asked = &wanted.spec;
    let defaults = noted(wanted.facts.as_ref());
    // Where nothing is noted at all, the usual one must do.
    let filled_in = |attribute: &str, value: &str, usual: &str| match defaults.get(attribute) {
        Some(noted) => noted == value,
        None => defaults.is_empty() && usual == value,
    };
    let (no_config, no_host) = (ContainerConfig::default(), HostConfig::default());
    let config = container.config.as_ref().unwrap_or(&no_config);
    let host = container.host_config.as_ref().unwrap_or(&no_host);
    let state = container.state.as_ref();
    let limits = Limits { host, asked, machine: world.machine };
    let network_mode = network_mode(world, host);
    let runs = match asked.wait {
        Wait::Exited if state.is_some_and(ended_well) => asked.running,
        _ => state.is_some_and(runs),
    };
    let none = ImageConfig::default();
    let settings = image.map(|image| image.config.as_ref().unwrap_or(&none));
    let inherited = settings.map_or(Inherited::Gone, Inherited::Says);
    let text = |value: Option<&String>| value.filter(|text| !text.is_empty()).cloned();
    // The engine tidies it, and leaves the image's as it is.
    let folder = |value: Option<&String>| text(value).map(|path| tidy_path(&path));
    let list = |value: &Option<Vec<String>>| Several(value.clone().unwrap_or_default());
    let ports = host.port_bindings.as_ref().map(Ports::observed).unwrap_or_default();
    let exposed = settings.and_then(|settings| settings.exposed_ports.as_deref());
    let joined = match network_mode {
        Some(_) => Networks::default(),
        None => networks(world, container, wanted),
    };
    ContainerSpec {
        image: image_name(world, container, config, asked),
        command: command(config, inherited, asked),
        entrypoint: entrypoint(config, inherited, asked),
        env: beyond::env(config, settings, asked),
        expose: Exposed::observed(
            config.exposed_ports.as_deref().unwrap_or(&[]),
            exposed.unwrap_or(&[]),
            &ports,
            &asked.expose,
        ),
        ports,
        volumes: Mounts::observed(
            world.engine,
            (host.mounts.as_deref().unwrap_or(&[]), host.binds.as_deref().unwrap_or(&[])),
            inject::observed(container),
            &asked.volumes,
        ),
        // Looked at apart.
        files: Files::default(),
        track: Track::default(),
        volumes_from: {
            let from = host.volumes_from.iter().flatten();
            from.filter(|from| !is_filler(from)).cloned().collect()
        },
        replicas: None,
        // Under a name it lacks somewhere it is not found.
        replica_of: asked.replica_of.clone().filter(|group| joined.is_found_as(group)),
        networks: joined,
        labels: beyond::labels(config, settings, asked),
        annotations: Pairs::observed(host.annotations.iter().flatten()),
        healthcheck: Healthcheck::observed(
            config.healthcheck.as_ref(),
            inherited.map(|image| image.healthcheck.as_ref()),
            asked.healthcheck.as_ref(),
            wanted.id.is_some() || !world.engine.has(START_INTERVAL),
        ),
        restart: Restart::observed(host),
        user: inherited
            .map(|image| text(image.user.as_ref()).map(Text))
            .beyond(text(config.user.as_ref()).map(Text), asked.user.as_ref()),
        working_dir: inherited
            .map(|image| folder(image.working_dir.as_ref()))
            .beyond(folder(config.working_dir.as_ref()), asked.working_dir.as_ref()),
        hostname: hostname(container, config, host, asked),
        domainname: text(config.domainname.as_ref())
            .filter(|_| asked.domainname.is_some() || !shares_name(host)),
        group_add: host.group_add.iter().flatten().cloned().map(Text).collect(),
        tty: config.tty.unwrap_or(false),
        stdin_open: config.open_stdin.unwrap_or(false),
        platform: asked.platform.as_deref().map(|asked| {
            let real = image.map(Platform::of).filter(|real| !real.is(asked));
            real.map_or(asked.to_owned(), |real| real.to_string())
        }),
        runtime: text(host.runtime.as_ref())
            .filter(|name| asked.runtime.is_some() || *name != world.machine.runtime),
        init: host.init,
        read_only: host.readonly_rootfs.unwrap_or(false),
        stop_signal: stop_signal(config, inherited, asked),
        stop_grace_period: config
            .stop_timeout
            .and_then(|seconds| u64::try_from(seconds).ok())
            .map(|seconds| Span(std::time::Duration::from_secs(seconds))),
        shm_size: host
            .shm_size
            .filter(|size| *size > 0)
            .filter(|size| {
                asked.shm_size.is_some()
                    || !filled_in("shm_size", &size.to_string(), DEFAULT_SHM)
            })
            .map(Bytes),
        mem_limit: limits.mem_limit(),
        mem_reservation: limits.mem_reservation(),
        memswap_limit: limits.memswap_limit(),
        mem_swappiness: host.memory_swappiness.and_then(|percent| u8::try_from(percent).ok()),
        oom_kill_disable: host.oom_kill_disable.unwrap_or(false),
        oom_score_adj: host.oom_score_adj.and_then(|n| i16::try_from(n).ok()).unwrap_or(0),
        cpus: limits.cpus(),
        cpuset: limits.cpuset(),
        cpu_shares: limits.cpu_shares(),
        cpu_period: limits.cpu_period(),
        cpu_quota: limits.cpu_quota(),
        cpu_rt_period: host.cpu_realtime_period.filter(|n| *n > 0).map(Micros),
        cpu_rt_runtime: host.cpu_realtime_runtime.filter(|n| *n > 0).map(Micros),
        pids_limit: limits.pids_limit(),
        blkio_config: BlockIo::observed(host),
        ulimits: Ulimits::observed(host.ulimits.as_deref().unwrap_or(&[]), &asked.ulimits),
        sysctls: Pairs::observed(host.sysctls.iter().flatten()),
        cap_add: host.cap_add.iter().flatten().map(|cap| capability(cap)).collect(),
        cap_drop: host.cap_drop.iter().flatten().map(|cap| capability(cap)).collect(),
        privileged: host.privileged.unwrap_or(false),
        security_opt: security::observed(host, asked),
        devices: Devices::observed(
            host.devices.as_deref().unwrap_or(&[]),
            host.device_requests.as_deref().unwrap_or(&[]),
        ),
        device_cgroup_rules: host.device_cgroup_rules.clone().unwrap_or_default(),
        gpus: Gpus::observed(host.device_requests.as_deref().unwrap_or(&[])),
        ipc: mode(world, host.ipc_mode.as_deref()).filter(|mode| {
            let usual = if world.engine.has(PRIVATE_IPC) { "private" } else { "shareable" };
            asked.ipc.is_some() || !filled_in("ipc", &mode.0, usual)
        }),
        pid: mode(world, host.pid_mode.as_deref()),
        uts: own_namespace(host.uts_mode.as_deref()),
        userns_mode: own_namespace(host.userns_mode.as_deref()),
        cgroup: match host.cgroupns_mode {
            // The usual one depends on the kernel and on how the engine was started.
            Some(mode)
                if asked.cgroup.is_none()
                    && filled_in("cgroup", mode.as_ref(), mode.as_ref()) =>
            {
                None
            }
            Some(HostConfigCgroupnsModeEnum::HOST) => Some(CgroupMode::Host),
            Some(HostConfigCgroupnsModeEnum::PRIVATE) => Some(CgroupMode::Private),
            _ => None,
        },
        cgroup_parent: text(host.cgroup_parent.as_ref()),
        tmpfs: Several(tmpfs(host)),
        storage_opt: Pairs::observed(host.storage_opt.iter().flatten()),
        dns: list(&host.dns),
        dns_opt: list(&host.dns_options),
        dns_search: list(&host.dns_search),
        extra_hosts: Hosts::observed(host.extra_hosts.as_deref().unwrap_or(&[])),
        logging: logging(host, asked.logging.as_ref(), world.machine, &defaults),
        network_mode,
        running: runs,
        // What dollop does is nothing the engine knows.
        post_start: asked.post_start.clone(),
        pre_stop: asked.pre_stop.clone(),
        update_config: asked.update_config.clone(),
        // How long dollop waits is nothing the engine knows.
        wait: asked.wait,
        wait_timeout: asked.wait_timeout,
    }
}

/// The text it was made from. When that names another image by now, the id of the one it
/// was made from: then the plan makes it anew.
fn image_name(
    world: &World<'_>,
    container: &ContainerInspectResponse,
    config: &ContainerConfig,
    asked: &ContainerSpec,
) -> String {
    let known = reference::known_as(config.image.as_deref().unwrap_or_default());
    let asked = known.iter().find(|name| **name == asked.image);
    let written = asked.or(known.first()).cloned().unwrap_or_default();
    let now = world.images.get(&image::listed_as(&written));
    match (&container.image, now) {
        (Some(id), Some(now)) if id != now => id.clone(),
        _ => written,
    }
}

fn network_mode(world: &World<'_>, host: &HostConfig) -> Option<NetworkMode> {
    match host.network_mode.as_deref()? {
        "host" => Some(NetworkMode::Host),
        "none" => Some(NetworkMode::None),
        mode => Some(NetworkMode::Container(container_name(world, of_container(mode)?))),
    }
}

/// The name of a container the engine names by its id.
fn container_name(world: &World<'_>, name: &str) -> String {
    world.names.get(name).cloned().unwrap_or_else(|| name.to_owned())
}

fn mode(world: &World<'_>, mode: Option<&str>) -> Option<Mode> {
    let mode = mode.filter(|mode| !mode.is_empty())?;
    Some(Mode(match of_container(mode) {
        Some(name) => format!("container:{}", container_name(world, name)),
        None => mode.to_owned(),
    }))
}

fn own_namespace(mode: Option<&str>) -> Option<UserNamespace> {
    (mode == Some("host")).then_some(UserNamespace::Host)
}

/// The engine gives a container without any its default driver, and to whatever logs by that
/// driver options of its own; to another driver it adds none but those of its cache
/// (`mergeAndVerifyLogConfig`). Which they were is noted when the container is made.
fn logging(
    host: &HostConfig,
    asked: Option<&Logging>,
    machine: &Machine,
    defaults: &Defaults,
) -> Option<Logging> {
    let log = host.log_config.clone().unwrap_or_default();
    let driver = log.typ.filter(|name| !name.is_empty());
    let driver = driver.unwrap_or_else(|| machine.logging_driver.clone());
    let foreign = driver != machine.logging_driver;
    let own = |key: &str, value: &String| match defaults.get(&log_option(key)) {
        Some(noted) => noted != value,
        None if defaults.is_empty() => foreign && !key.starts_with("cache-"),
        None => true,
    };
    let asks = |key: &String| asked.is_some_and(|asked| asked.options.0.contains_key(key));
    let options = log.config.unwrap_or_default();
    let options = options.iter().filter(|(key, value)| own(key, value) || asks(key));
    let shown = foreign || asked.is_some_and(|asked| asked.driver.is_some());
    let found =
        Logging { driver: Some(driver).filter(|_| shown), options: Pairs::observed(options) };
    (asked.is_some() || found != Logging::default()).then_some(found)
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

/// Whether it is in no network, which is as it should be on an engine without a default one.
fn seems_unplugged(container: &ContainerInspectResponse) -> bool {
    let settings = container.network_settings.as_ref();
    settings.and_then(|settings| settings.networks.as_ref()).is_none_or(unplugged)
}

fn networks(
    world: &World<'_>,
    container: &ContainerInspectResponse,
    wanted: &Wants,
) -> Networks {
    let who = Identity {
        id: container.id.as_deref().unwrap_or_default(),
        natural: container.name.as_deref().unwrap_or_default().trim_start_matches('/'),
        short: wanted.name.address.name(),
    };
    let settings = container.network_settings.clone().unwrap_or_default();
    let joined = settings.networks.unwrap_or_default();
    Networks::observed(&joined, &who, &wanted.spec.networks, world.bridged)
}

/// Whether it goes by the name of the machine or of another container.
fn shares_name(host: &HostConfig) -> bool {
    let network = host.network_mode.as_deref().unwrap_or_default();
    network == "host"
        || of_container(network).is_some()
        || host.uts_mode.as_deref() == Some("host")
}

fn hostname(
    container: &ContainerInspectResponse,
    config: &ContainerConfig,
    host: &HostConfig,
    asked: &ContainerSpec,
) -> Option<String> {
    // The engine fills in the start of the id, or the name it shares.
    let own = config.hostname.clone().filter(|name| !name.is_empty());
    own.filter(|name| {
        let short_id = container.id.as_deref().and_then(|id| id.get(..12));
        asked.hostname.is_some() || (!shares_name(host) && short_id != Some(name.as_str()))
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
