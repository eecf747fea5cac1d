//! Making a container: image, container, networks, start, wait.

use bollard::models::{
    ContainerCreateBody, HostConfig, HostConfigCgroupnsModeEnum, HostConfigLogConfig,
    ImageInspect, NetworkConnectRequest, NetworkingConfig, RestartPolicy,
    RestartPolicyNameEnum,
};
use bollard::query_parameters::{CreateContainerOptionsBuilder, RemoveContainerOptionsBuilder};
use dollop_engine::error::{CallError, Failure};
use dollop_engine::resource::{Created, Name};

use super::super::engine::{Engine, said, status};
use super::super::{helper, labels, pull};
use super::facts::{facts, filled_in};
use super::filler::Filler;
use super::modes::CgroupMode;
use super::networks::{BRIDGE, Endpoint};
use super::read::inspect;
use super::spec::{ContainerFacts, ContainerSpec};
use super::track::{Digests, Track};
use super::units::Restart;
use super::{absent, inject, limits, security, start, supported, wait};

/// Makes the container, starts it and waits for it as asked.
///
/// One that never started is removed again; one that started and then failed stays, so that
/// its owner can look.
pub(crate) async fn create(
    engine: &Engine,
    name: &Name,
    spec: &ContainerSpec,
) -> Result<Created<ContainerFacts>, CallError> {
    let seen = Track::seen(engine, spec).await?;
    let (id, image) = begin(engine, name, spec, name.address.name()).await?;
    if spec.running {
        start::post_start(engine, name, &id, spec).await?;
        wait::until(engine, name, &id, spec).await?;
    }
    made(engine, name, spec, id, (&image, seen)).await
}

/// What it is like once it is made.
pub(super) async fn made(
    engine: &Engine,
    name: &Name,
    spec: &ContainerSpec,
    id: String,
    (image, seen): (&ImageInspect, Digests),
) -> Result<Created<ContainerFacts>, CallError> {
    let Some(container) = inspect(engine, &id).await? else {
        let message = format!("container `{}` is gone right after it was made", name.natural);
        return Err(CallError::refused(message));
    };
    let facts = ContainerFacts {
        tracked: seen,
        told: spec.files.told(),
        defaults: filled_in(spec, &container),
        ..facts(engine, &container, Some(image))
    };
    Ok(Created { facts, id })
}

/// Makes and starts it, and waits for nothing. Others in its networks find it by its name
/// and by `short`.
pub(super) async fn begin(
    engine: &Engine,
    name: &Name,
    spec: &ContainerSpec,
    short: &str,
) -> Result<(String, ImageInspect), CallError> {
    let doing = format!("creating container `{}`", name.natural);
    labels::check_name("container", &name.natural)?;
    supported::all(engine, engine.machine().await?, spec)?;
    let platform = spec.platform.as_deref();
    let image = pull::local_or_pulled(engine, &spec.image, platform).await?;
    let has_check = image.config.as_ref().is_some_and(|config| config.healthcheck.is_some());
    wait::check_possible(name, spec, has_check)?;
    volumes_exist(engine, &doing, spec).await?;
    helper::swept(engine, name).await?;

    let mut body = body(engine, name, spec, short);
    let folders = inject::folders(spec);
    let filler = if folders.is_empty() {
        None
    } else {
        let labels = body.labels.get_or_insert_default();
        labels.insert(inject::FOR_FILES.to_owned(), inject::label(&folders));
        let filler = Box::pin(Filler::make(engine, name, spec, &image)).await?;
        let host = body.host_config.get_or_insert_default();
        host.volumes_from.get_or_insert_default().push(filler.source());
        Some(filler)
    };
    let options = CreateContainerOptionsBuilder::new().name(&name.natural);
    let options = options.platform(platform.unwrap_or_default()).build();
    let created = engine.docker.create_container(Some(options), body).await;
    let done = match filler {
        Some(filler) => filler.removed(created.is_ok()).await,
        None => Ok(()),
    };
    let (id, warnings) = match created {
        Ok(created) => (created.id, created.warnings),
        Err(error) if status(&error) == Some(409) => return Err(exists(engine, name).await),
        Err(error) => return Err(refused(engine, &doing, &said(&error), &error)),
    };
    let started = match done.err().or_else(|| left_out(&doing, &warnings)) {
        None => join_and_start(engine, name, &id, spec, short).await,
        Some(error) => Err(error),
    };
    if let Err(error) = started {
        let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
        return Err(match engine.docker.remove_container(&id, Some(options)).await {
            Ok(()) => error,
            Err(_) => error.note(format!(
                "the container that never started is still there: `docker rm {}`",
                name.natural
            )),
        });
    }
    Ok((id, image))
}

/// Says where to look at one that was made and does not work.
pub(super) fn still_there(mut error: CallError, name: &Name) -> CallError {
    let hint =
        format!("the container is still there to look at: `docker logs {}`", name.natural);
    error.hints.insert(0, hint);
    error
}

/// A limit the machine cannot enforce is discarded with a warning: who asked for it must
/// know.
fn left_out(doing: &str, warnings: &[String]) -> Option<CallError> {
    let discarded = warnings.iter().find(|warning| warning.contains("discarded"))?;
    let message = format!("{doing} failed: the engine would leave out what it cannot do");
    let error = CallError::refused(message).note(format!("the engine says: {discarded}"));
    Some(error.hint("take that attribute out, or use a machine whose kernel can do it"))
}

/// Joins a network as asked, under a short name too.
pub(super) async fn join(
    engine: &Engine,
    name: &Name,
    id: &str,
    (network, endpoint): (&str, &Endpoint),
    short: &str,
) -> Result<(), CallError> {
    let request = NetworkConnectRequest {
        container: id.to_owned(),
        endpoint_config: Some(endpoint.settings(network, short)),
    };
    let joined = engine.docker.connect_network(network, request).await;
    joined.map_err(|error| {
        let doing = format!("joining network `{network}` with container `{}`", name.natural);
        let said = said(&error);
        no_network(&doing, &said)
            .unwrap_or_else(|| address_taken(engine.failed(&doing, &error), &said))
    })
}

pub(super) fn restart_policy(restart: Restart) -> RestartPolicy {
    let (name, times) = match restart {
        Restart::No => (RestartPolicyNameEnum::NO, None),
        Restart::Always => (RestartPolicyNameEnum::ALWAYS, None),
        Restart::UnlessStopped => (RestartPolicyNameEnum::UNLESS_STOPPED, None),
        Restart::OnFailure(times) => {
            (RestartPolicyNameEnum::ON_FAILURE, Some(i64::from(times)))
        }
    };
    RestartPolicy { name: Some(name), maximum_retry_count: times }
}

async fn join_and_start(
    engine: &Engine,
    name: &Name,
    id: &str,
    spec: &ContainerSpec,
    short: &str,
) -> Result<(), CallError> {
    // Engines before API 1.44 take one network when a container is made.
    for (network, endpoint) in spec.networks.0.iter().skip(1) {
        join(engine, name, id, (network, endpoint), short).await?;
    }
    inject::put_first(engine, name, id, spec).await?;
    if spec.running { start::start(engine, name, id, spec).await } else { Ok(()) }
}

/// What the engine is told.
pub(super) fn body(
    engine: &Engine,
    name: &Name,
    spec: &ContainerSpec,
    short: &str,
) -> ContainerCreateBody {
    let (mut exposed, bindings) = spec.ports.bindings();
    exposed.extend(spec.expose.keys());
    let first = spec.networks.0.iter().next();
    let network_mode = match (&spec.network_mode, first) {
        (Some(mode), _) => mode.to_string(),
        (None, Some((network, _))) => network.clone(),
        (None, None) => BRIDGE.to_owned(),
    };
    let endpoints =
        first.map(|(network, endpoint)| (network.clone(), endpoint.settings(network, short)));
    let env = spec.env.0.iter().map(|(key, value)| format!("{key}={value}"));
    let seconds = spec.stop_grace_period.and_then(|span| i64::try_from(span.seconds()).ok());
    ContainerCreateBody {
        hostname: spec.hostname.clone(),
        domainname: spec.domainname.clone(),
        user: spec.user.as_ref().map(|user| user.0.clone()),
        tty: Some(spec.tty),
        open_stdin: Some(spec.stdin_open),
        exposed_ports: Some(exposed),
        env: Some(env.collect()),
        cmd: spec.command.as_ref().map(|words| words.0.clone()),
        entrypoint: spec.entrypoint.as_ref().map(|words| words.0.clone()),
        healthcheck: spec.healthcheck.as_ref().map(super::health::Healthcheck::requested),
        image: Some(spec.image.clone()),
        working_dir: spec.working_dir.clone(),
        labels: Some(labels::marked(name, &spec.labels.0)),
        stop_signal: spec.stop_signal.clone(),
        stop_timeout: seconds,
        host_config: Some(HostConfig {
            network_mode: Some(network_mode),
            port_bindings: Some(bindings),
            ..host_config(engine, spec)
        }),
        networking_config: endpoints
            .map(|endpoint| NetworkingConfig { endpoints_config: Some([endpoint].into()) }),
        ..ContainerCreateBody::default()
    }
}

/// What the engine calls the host's side of it, without networks and ports.
fn host_config(engine: &Engine, spec: &ContainerSpec) -> HostConfig {
    let (mounts, binds) = spec.volumes.requested(engine);
    let tmpfs = spec.tmpfs.0.iter().map(|entry| match entry.split_once(':') {
        Some((path, options)) => (path.to_owned(), options.to_owned()),
        None => (entry.clone(), String::new()),
    });
    let list = |items: &[String]| (!items.is_empty()).then(|| items.to_vec());
    let logging = spec.logging.as_ref().map(|logging| HostConfigLogConfig {
        typ: logging.driver.clone(),
        config: logging.options.requested(),
    });
    let mut host = HostConfig {
        mounts: Some(mounts),
        binds: Some(binds),
        volumes_from: list(&spec.volumes_from),
        tmpfs: Some(tmpfs.collect()),
        extra_hosts: Some(spec.extra_hosts.0.clone()),
        dns: list(&spec.dns.0),
        dns_options: list(&spec.dns_opt.0),
        dns_search: list(&spec.dns_search.0),
        cap_add: Some(spec.cap_add.clone()),
        cap_drop: Some(spec.cap_drop.clone()),
        privileged: Some(spec.privileged),
        devices: Some(spec.devices.requested()),
        device_cgroup_rules: list(&spec.device_cgroup_rules),
        device_requests: spec.gpus.requested(&spec.devices),
        ipc_mode: spec.ipc.as_ref().map(|mode| mode.0.clone()),
        pid_mode: spec.pid.as_ref().map(|mode| mode.0.clone()),
        uts_mode: spec.uts.map(|_| "host".to_owned()),
        userns_mode: spec.userns_mode.map(|_| "host".to_owned()),
        cgroupns_mode: spec.cgroup.map(|mode| match mode {
            CgroupMode::Host => HostConfigCgroupnsModeEnum::HOST,
            CgroupMode::Private => HostConfigCgroupnsModeEnum::PRIVATE,
        }),
        cgroup_parent: spec.cgroup_parent.clone(),
        group_add: Some(spec.group_add.iter().map(|group| group.0.clone()).collect()),
        readonly_rootfs: Some(spec.read_only),
        init: spec.init,
        runtime: spec.runtime.clone(),
        annotations: spec.annotations.requested(),
        storage_opt: spec.storage_opt.requested(),
        log_config: logging,
        shm_size: spec.shm_size.map(|size| size.0),
        memory_swappiness: spec.mem_swappiness.map(i64::from),
        oom_kill_disable: spec.oom_kill_disable.then_some(true),
        oom_score_adj: Some(spec.oom_score_adj.into()),
        cpu_realtime_period: spec.cpu_rt_period.map(|period| period.0),
        cpu_realtime_runtime: spec.cpu_rt_runtime.map(|runtime| runtime.0),
        ulimits: Some(spec.ulimits.requested()),
        sysctls: spec.sysctls.requested(),
        ..HostConfig::default()
    };
    limits::request(spec, &mut host);
    security::request(spec, &mut host, engine.is_known_podman());
    if let Some(blkio) = &spec.blkio_config {
        blkio.request(&mut host);
    }
    host
}

/// The engine would make a volume that belongs to nobody.
async fn volumes_exist(
    engine: &Engine,
    doing: &str,
    spec: &ContainerSpec,
) -> Result<(), CallError> {
    for volume in spec.volumes.named() {
        match engine.docker.inspect_volume(volume).await {
            Ok(_) => {}
            Err(error) if status(&error) == Some(404) => {
                let message = format!("{doing} failed: there is no volume `{volume}`");
                return Err(CallError::refused(message).hint(absent::VOLUME));
            }
            Err(error) => return Err(engine.failed(doing, &error)),
        }
    }
    Ok(())
}

/// Why a name cannot be had.
pub(super) async fn exists(engine: &Engine, name: &Name) -> CallError {
    let taken = inspect(engine, &name.natural).await.ok().flatten();
    let labels = taken.and_then(|taken| taken.config?.labels).unwrap_or_default();
    let whose = labels::whose(&labels);
    let message = format!("a container named `{}` exists already ({whose})", name.natural);
    CallError::new(Failure::Exists, message)
        .hint("give this one another `name`, or take it over with `adopt: true`")
}

fn refused(
    engine: &Engine,
    doing: &str,
    said: &str,
    error: &bollard::errors::Error,
) -> CallError {
    if let Some((_, path)) = said.split_once("bind source path does not exist: ") {
        let message =
            format!("{doing} failed: there is no `{path}` on the machine of the engine");
        return CallError::refused(message).hint(
            "make the file or folder first; relative sources start in the project folder",
        );
    }
    no_network(doing, said).unwrap_or_else(|| address_taken(engine.failed(doing, error), said))
}

/// A network that is not there: an engine finds out when the container is made, joins it, or
/// starts.
pub(super) fn no_network(doing: &str, said: &str) -> Option<CallError> {
    let (_, behind) = said.split_once("network ")?;
    let (name, _) = behind.split_once(" not found")?;
    let message = format!("{doing} failed: there is no network `{name}`");
    Some(CallError::refused(message).hint(absent::NETWORK))
}

fn address_taken(failed: CallError, said: &str) -> CallError {
    if said.contains("ddress already in use") {
        return failed
            .hint("another container has this `ipv4_address`: `docker network inspect`");
    }
    if said.contains("user configured subnets") {
        return failed.hint("give the network a `subnet` that holds this `ipv4_address`");
    }
    failed
}
