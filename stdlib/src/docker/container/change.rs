//! What changes in place: name, limits, restart policy, networks, files, and whether it runs.

use std::collections::BTreeMap;
use std::time::Duration;

use bollard::models::{ContainerInspectResponse, NetworkDisconnectRequest};
use bollard::query_parameters::RenameContainerOptionsBuilder;
use dollop_engine::error::CallError;
use dollop_engine::resource::Name;

use super::super::engine::{Engine, status};
use super::super::{helper, labels, pull};
use super::create::{exists, join};
use super::facts::{facts, filled_in};
use super::files::OnChange;
use super::networks::{BRIDGE, Endpoint, NONE};
use super::read::{ended_well, inspect, runs};
use super::spec::{ContainerFacts, ContainerSpec, Wait};
use super::track::Track;
use super::{files, hooks, inject, limits, start, supported, wait};

/// Changes the container from what it is to what it should be.
pub(super) async fn update(
    engine: &Engine,
    name: &Name,
    id: &str,
    from: &ContainerSpec,
    to: &ContainerSpec,
) -> Result<ContainerFacts, CallError> {
    let container = there(engine, name, id).await?;
    supported::in_place(engine, engine.machine().await?, Some(from), to)?;
    helper::swept(engine, name).await?;
    let seen = Track::seen(engine, to).await?;
    rename(engine, name, id, &container).await?;
    let held = container.host_config.clone().unwrap_or_default();
    if let Some(limits) = limits::update(from, to, engine.machine().await?, &held)? {
        let updated = engine.docker.update_container(id, limits).await;
        let doing = format!("changing the limits of container `{}`", name.natural);
        updated.map_err(|error| engine.failed(&doing, &error))?;
    }
    if from.networks != to.networks {
        networks(engine, name, id, &container, from, to).await?;
    }
    inject::take_out(engine, name, id, to, &from.files).await?;
    inject::put(engine, name, id, to, &from.files).await?;
    let state = container.state.clone().unwrap_or_default();
    let done = to.wait == Wait::Exited && ended_well(&state) && from.running == to.running;
    if to.running && !done {
        let stopped = !runs(&state);
        let told = match to.files.on_change(&from.files).max(to.track.on_change(&from.track)) {
            OnChange::None => false,
            // It starts with the new ones anyway.
            _ if stopped => false,
            OnChange::Signal(signal) => {
                files::signalled(engine, name, id, &signal).await?;
                true
            }
            OnChange::Restart => {
                restart(engine, name, id, to).await?;
                true
            }
        };
        if stopped {
            rejoin_lost(engine, name, id, &container, to).await?;
            go_on(engine, name, id, to, state.paused.unwrap_or(false)).await?;
        }
        // With nothing to change, its making was cut short, perhaps while it started.
        if stopped || told || from == to {
            wait::until(engine, name, id, to).await?;
        }
    } else if !to.running && state.running.unwrap_or(false) {
        stop(engine, name, id, to).await?;
    }
    let container = there(engine, name, id).await?;
    let image = match &container.image {
        Some(image) => pull::local(engine, image).await?,
        None => None,
    };
    Ok(ContainerFacts {
        tracked: seen,
        told: to.files.told(),
        defaults: filled_in(to, &container),
        ..facts(engine, &container, image.as_ref())
    })
}

/// Stops it, giving it the time it was promised; fine when it is stopped or gone.
pub(super) async fn stop(
    engine: &Engine,
    name: &Name,
    id: &str,
    spec: &ContainerSpec,
) -> Result<(), CallError> {
    pre_stop(engine, name, id, spec).await?;
    match engine.patient(grace(spec)).stop_container(id, None).await {
        Ok(()) => Ok(()),
        Err(error) if matches!(status(&error), Some(304 | 404)) => Ok(()),
        Err(error) => {
            Err(engine.failed(&format!("stopping container `{}`", name.natural), &error))
        }
    }
}

/// The engine does both: a run that is killed in between would leave it stopped.
async fn restart(
    engine: &Engine,
    name: &Name,
    id: &str,
    spec: &ContainerSpec,
) -> Result<(), CallError> {
    pre_stop(engine, name, id, spec).await?;
    let restarted = engine.patient(grace(spec)).restart_container(id, None).await;
    if let Err(error) = restarted {
        return Err(start::explain(engine, name, spec, &error).await);
    }
    start::post_start(engine, name, id, spec).await
}

/// Runs what is to run before it stops.
async fn pre_stop(
    engine: &Engine,
    name: &Name,
    id: &str,
    spec: &ContainerSpec,
) -> Result<(), CallError> {
    if spec.pre_stop.is_empty()
        || !inspect(engine, id).await?.and_then(|found| found.state).is_some_and(|s| runs(&s))
    {
        return Ok(());
    }
    hooks::run(engine, name, id, ("pre_stop", &spec.pre_stop), &spec.env).await
}

/// How long it may take to stop.
fn grace(spec: &ContainerSpec) -> Duration {
    spec.stop_grace_period.map_or(Duration::from_secs(10), |span| span.0)
}

async fn there(
    engine: &Engine,
    name: &Name,
    id: &str,
) -> Result<ContainerInspectResponse, CallError> {
    inspect(engine, id).await?.ok_or_else(|| {
        let message = format!("container `{}` is gone", name.natural);
        CallError::refused(message).hint("plan again: it will be made anew")
    })
}

async fn go_on(
    engine: &Engine,
    name: &Name,
    id: &str,
    spec: &ContainerSpec,
    paused: bool,
) -> Result<(), CallError> {
    if !paused {
        return start::begin(engine, name, id, spec).await;
    }
    let resumed = engine.docker.unpause_container(id).await;
    resumed.map_err(|error| {
        engine.failed(&format!("resuming container `{}`", name.natural), &error)
    })
}

/// Gives it the name it should have.
async fn rename(
    engine: &Engine,
    name: &Name,
    id: &str,
    container: &ContainerInspectResponse,
) -> Result<(), CallError> {
    let has = container.name.as_deref().unwrap_or_default().trim_start_matches('/');
    if has == name.natural {
        return Ok(());
    }
    labels::check_name("container", &name.natural)?;
    let options = RenameContainerOptionsBuilder::new().name(&name.natural).build();
    match engine.docker.rename_container(id, options).await {
        Ok(()) => Ok(()),
        Err(error) if status(&error) == Some(409) => Err(exists(engine, name).await),
        Err(error) => {
            let doing = format!("renaming container `{has}` to `{}`", name.natural);
            Err(engine.failed(&doing, &error))
        }
    }
}

/// Leaves and joins networks, going by what the container is really in.
async fn networks(
    engine: &Engine,
    name: &Name,
    id: &str,
    container: &ContainerInspectResponse,
    from: &ContainerSpec,
    to: &ContainerSpec,
) -> Result<(), CallError> {
    let real = container.network_settings.as_ref().and_then(|all| all.networks.as_ref());
    let real: Vec<&String> =
        real.into_iter().flat_map(std::collections::HashMap::keys).collect();
    // Without networks of its own it is in the engine's default one, if that has one.
    let mut default = BTreeMap::new();
    if to.networks.0.is_empty() && engine.bridged().await? {
        default.insert(BRIDGE.to_owned(), Endpoint::default());
    }
    let wanted = if to.networks.0.is_empty() { &default } else { &to.networks.0 };
    let stays = |network: &String, endpoint: &Endpoint| {
        network == BRIDGE || from.networks.0.get(network) == Some(endpoint)
    };
    // Nothing can be joined beside that.
    if real.iter().any(|network| *network == NONE) && !wanted.contains_key(NONE) {
        leave(engine, name, id, NONE).await?;
    }
    let short = name.address.name();
    for (network, endpoint) in wanted.iter().filter(|(network, _)| *network != NONE) {
        if !real.contains(&network) {
            join(engine, name, id, (network, endpoint), short).await?;
        } else if !stays(network, endpoint) {
            let before = from.networks.0.get(network);
            let before = before.map(|before| (before, short));
            rejoin(engine, name, id, network, before, (endpoint, short)).await?;
        }
    }
    // It leaves last, so that it is never without a network.
    for network in real.into_iter().filter(|network| *network != NONE) {
        if !wanted.contains_key(network) {
            leave(engine, name, id, network).await?;
        }
    }
    Ok(())
}

/// Leaves a network and joins it in another way; in the way before, where that fails. The texts
/// are the short names it is found by.
pub(super) async fn rejoin(
    engine: &Engine,
    name: &Name,
    id: &str,
    network: &str,
    before: Option<(&Endpoint, &str)>,
    (endpoint, short): (&Endpoint, &str),
) -> Result<(), CallError> {
    leave(engine, name, id, network).await?;
    let joined = join(engine, name, id, (network, endpoint), short).await;
    let Err(error) = joined else { return Ok(()) };
    let back = match before {
        Some((before, short)) => join(engine, name, id, (network, before), short).await.is_ok(),
        None => false,
    };
    Err(error.note(if back {
        format!("it is in `{network}` as it was before")
    } else {
        format!("it is not in `{network}` any more")
    }))
}

/// Moves a stopped container from networks that are gone to the ones of the same name: it
/// remembers their ids and could not start otherwise.
async fn rejoin_lost(
    engine: &Engine,
    name: &Name,
    id: &str,
    container: &ContainerInspectResponse,
    to: &ContainerSpec,
) -> Result<(), CallError> {
    let joined = container.network_settings.as_ref().and_then(|all| all.networks.as_ref());
    for (network, endpoint) in joined.into_iter().flatten() {
        let Some(known) = endpoint.network_id.as_deref().filter(|id| !id.is_empty()) else {
            continue;
        };
        let there = engine.docker.inspect_network(known, None).await;
        if !there.is_err_and(|error| status(&error) == Some(404)) {
            continue;
        }
        leave(engine, name, id, network).await?;
        if let Some(endpoint) = to.networks.0.get(network) {
            join(engine, name, id, (network, endpoint), name.address.name()).await?;
        }
    }
    Ok(())
}

pub(super) async fn leave(
    engine: &Engine,
    name: &Name,
    id: &str,
    network: &str,
) -> Result<(), CallError> {
    let request = NetworkDisconnectRequest { container: id.to_owned(), force: Some(true) };
    match engine.docker.disconnect_network(network, request).await {
        Ok(()) => Ok(()),
        Err(error) if status(&error) == Some(404) => Ok(()),
        Err(error) => {
            let doing = format!("taking container `{}` out of `{network}`", name.natural);
            Err(engine.failed(&doing, &error))
        }
    }
}
