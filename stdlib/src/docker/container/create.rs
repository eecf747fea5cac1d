//! Making a container: image, container, networks, start, wait.

use bollard::models::{
    ContainerCreateBody, HostConfig, NetworkConnectRequest, NetworkingConfig, RestartPolicy,
    RestartPolicyNameEnum,
};
use bollard::query_parameters::{CreateContainerOptionsBuilder, RemoveContainerOptionsBuilder};
use dollop_engine::error::{CallError, Failure};
use dollop_engine::resource::{Created, Name};

use super::super::engine::{Engine, said, status};
use super::super::{labels, pull};
use super::networks::{BRIDGE, Endpoint};
use super::read::{facts, inspect};
use super::spec::{ContainerFacts, ContainerSpec, NetworkMode};
use super::units::Restart;
use super::{start, wait};

/// Makes the container, starts it and waits for it as asked.
///
/// One that never started is removed again; one that started and then failed stays, so that
/// its owner can look.
pub(super) async fn create(
    engine: &Engine,
    name: &Name,
    spec: &ContainerSpec,
) -> Result<Created<ContainerFacts>, CallError> {
    let doing = format!("creating container `{}`", name.natural);
    labels::check_name("container", &name.natural)?;
    let image = pull::local_or_pulled(engine, &spec.image).await?;
    let has_check = image.config.and_then(|config| config.healthcheck).is_some();
    wait::check_possible(name, spec, has_check)?;
    networks_exist(engine, &doing, spec).await?;
    volumes_exist(engine, &doing, spec).await?;

    let options = CreateContainerOptionsBuilder::new().name(&name.natural).build();
    let created = engine.docker.create_container(Some(options), body(engine, name, spec)).await;
    let id = match created {
        Ok(created) => created.id,
        Err(error) if status(&error) == Some(409) => return Err(exists(engine, name).await),
        Err(error) => return Err(refused(engine, &doing, &said(&error), &error)),
    };
    if let Err(error) = join_and_start(engine, name, &id, spec).await {
        let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
        return Err(match engine.docker.remove_container(&id, Some(options)).await {
            Ok(()) => error,
            Err(_) => error.note(format!(
                "the container that never started is still there: `docker rm {}`",
                name.natural
            )),
        });
    }
    if spec.running {
        wait::until(engine, name, &id, spec).await?;
    }
    let Some(container) = inspect(engine, &id).await? else {
        let message = format!("container `{}` is gone right after it was made", name.natural);
        return Err(CallError::refused(message));
    };
    Ok(Created { facts: facts(engine, &container), id })
}

/// Joins a network as asked, under the container's short name too.
pub(super) async fn join(
    engine: &Engine,
    name: &Name,
    id: &str,
    network: &str,
    endpoint: &Endpoint,
) -> Result<(), CallError> {
    let request = NetworkConnectRequest {
        container: id.to_owned(),
        endpoint_config: Some(endpoint.settings(network, name.address.name())),
    };
    let joined = engine.docker.connect_network(network, request).await;
    joined.map_err(|error| {
        let doing = format!("joining network `{network}` with container `{}`", name.natural);
        address_taken(engine.failed(&doing, &error), &said(&error))
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
) -> Result<(), CallError> {
    // Engines before API 1.44 take one network when a container is made.
    for (network, endpoint) in spec.networks.0.iter().skip(1) {
        join(engine, name, id, network, endpoint).await?;
    }
    if spec.running { start::start(engine, name, id, spec).await } else { Ok(()) }
}

fn body(engine: &Engine, name: &Name, spec: &ContainerSpec) -> ContainerCreateBody {
    let (exposed, bindings) = spec.ports.bindings();
    let first = spec.networks.0.iter().next();
    let network_mode = match (spec.network_mode, first) {
        (Some(NetworkMode::Host), _) => "host",
        (Some(NetworkMode::None), _) => "none",
        (None, Some((network, _))) => network,
        (None, None) => BRIDGE,
    };
    let endpoints = first.map(|(network, endpoint)| {
        (network.clone(), endpoint.settings(network, name.address.name()))
    });
    let tmpfs = spec.tmpfs.iter().map(|entry| match entry.split_once(':') {
        Some((path, options)) => (path.to_owned(), options.to_owned()),
        None => (entry.clone(), String::new()),
    });
    let env = spec.env.iter().map(|(key, value)| format!("{key}={value}"));
    let seconds = spec.stop_grace_period.and_then(|span| i64::try_from(span.seconds()).ok());
    ContainerCreateBody {
        hostname: spec.hostname.clone(),
        user: spec.user.as_ref().map(|user| user.0.clone()),
        exposed_ports: Some(exposed),
        env: Some(env.collect()),
        cmd: spec.command.as_ref().map(|words| words.0.clone()),
        entrypoint: spec.entrypoint.as_ref().map(|words| words.0.clone()),
        healthcheck: spec.healthcheck.as_ref().map(super::health::Healthcheck::requested),
        image: Some(spec.image.clone()),
        working_dir: spec.working_dir.clone(),
        labels: Some(labels::marked(name, &spec.labels)),
        stop_signal: spec.stop_signal.clone(),
        stop_timeout: seconds,
        host_config: Some(HostConfig {
            network_mode: Some(network_mode.to_owned()),
            port_bindings: Some(bindings),
            restart_policy: Some(restart_policy(spec.restart)),
            mounts: Some(spec.volumes.requested(engine)),
            tmpfs: Some(tmpfs.collect()),
            extra_hosts: Some(spec.extra_hosts.0.clone()),
            cap_add: Some(spec.cap_add.clone()),
            cap_drop: Some(spec.cap_drop.clone()),
            privileged: Some(spec.privileged),
            readonly_rootfs: Some(spec.read_only),
            init: spec.init,
            shm_size: spec.shm_size.map(|size| size.0),
            memory: spec.mem_limit.map(|limit| limit.0),
            nano_cpus: spec.cpus.map(|cpus| cpus.0),
            pids_limit: spec.pids_limit,
            ..HostConfig::default()
        }),
        networking_config: endpoints
            .map(|endpoint| NetworkingConfig { endpoints_config: Some([endpoint].into()) }),
        ..ContainerCreateBody::default()
    }
}

/// The engine would find out only when the container starts.
async fn networks_exist(
    engine: &Engine,
    doing: &str,
    spec: &ContainerSpec,
) -> Result<(), CallError> {
    if spec.networks.0.is_empty() {
        return Ok(());
    }
    let listed = engine.docker.list_networks(None).await;
    let listed = listed.map_err(|error| engine.failed(doing, &error))?;
    let known = |name: &str| listed.iter().any(|network| network.name.as_deref() == Some(name));
    match spec.networks.0.keys().find(|name| !known(name)) {
        None => Ok(()),
        Some(name) => {
            let message = format!("{doing} failed: there is no network `{name}`");
            Err(CallError::refused(message)
                .hint("declare it as a `docker::network` and pass that: `networks: [net]`"))
        }
    }
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
                return Err(CallError::refused(message).hint(
                    "declare it as a `docker::volume` and pass that: `volumes: [`${vol}:/data`]`",
                ));
            }
            Err(error) => return Err(engine.failed(doing, &error)),
        }
    }
    Ok(())
}

async fn exists(engine: &Engine, name: &Name) -> CallError {
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
    address_taken(engine.failed(doing, error), said)
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
