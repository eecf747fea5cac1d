//! Replacing a container without a gap: the new one starts beside the old one, takes over
//! its names in their networks, and gets its own name once it has proved itself.

use std::time::Duration;

use bollard::models::{ContainerInspectResponse, ContainerState, HealthStatusEnum};
use bollard::query_parameters::RenameContainerOptionsBuilder;
use dollop_engine::error::CallError;
use dollop_engine::resource::{Created, Name, OnFailure, Owner, Problem, Rolling};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::super::engine::{Engine, status};
use super::super::{labels, lint};
use super::change::{self, rejoin};
use super::create::{self, exists, join};
use super::files::Files;
use super::modes::NetworkMode;
use super::mounts::MountKind;
use super::networks::{Endpoint, is_predefined};
use super::read::{inspect, runs};
use super::spec::{ContainerFacts, ContainerSpec, Wait};
use super::track::Track;
use super::units::Span;
use super::{inject, remove, start, wait};

/// How often the new one is looked at while it is watched.
const LOOK: Duration = Duration::from_millis(250);

/// How it is replaced, in the words of Compose.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct UpdateConfig {
    /// `stop-first`, or `start-first`: the new one starts beside the old one, which goes
    /// when the new one works. The same as `create_before_destroy`.
    pub order: Order,
    /// Of replicas, how many are replaced at once; 0 for all.
    pub parallelism: u32,
    /// How long to pause before the next replicas.
    pub delay: Span,
    /// How long the new one is watched, beside the old one, before that is removed. If it
    /// ends or gets unhealthy in this time, it is removed instead. Longer than clients keep
    /// looked-up names.
    pub monitor: Span,
    /// When a new one does not work: `pause` leaves the other replicas as they are,
    /// `continue` replaces them all the same, `rollback` also makes the old ones again.
    pub failure_action: OnFailure,
}

impl Default for UpdateConfig {
    fn default() -> Self {
        Self {
            order: Order::default(),
            parallelism: 1,
            delay: Span(Duration::ZERO),
            monitor: Span(Duration::from_secs(5)),
            failure_action: OnFailure::default(),
        }
    }
}

impl UpdateConfig {
    /// In the engine's terms.
    pub(super) fn rolling(&self) -> Rolling {
        Rolling {
            parallelism: usize::try_from(self.parallelism).unwrap_or(usize::MAX),
            delay: self.delay.0,
            on_failure: self.failure_action,
        }
    }
}

/// Which of two containers is dealt with first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// The old one is stopped, then the new one started.
    #[default]
    StopFirst,
    /// The new one is started, then the old one stopped.
    StartFirst,
}

/// The name it has beside the one it replaces.
pub(super) fn stand_in(natural: &str) -> String {
    format!("{natural}.new")
}

/// What only one of the two can have.
pub(super) fn check_beside(now: &ContainerSpec, next: &ContainerSpec) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut problem = |attribute: &str, message: String, hint: &str| {
        let (attribute, hint) = (attribute.to_owned(), Some(hint.to_owned()));
        problems.push(Problem { attribute, message, hint });
    };
    if let Some(port) =
        next.ports.0.iter().find(|port| now.ports.0.iter().any(|p| p.collides(port)))
    {
        problem(
            "ports",
            format!("both publish `{port}`, and a host port has one owner"),
            "publish it on a container in front of this one, or let the engine choose: \
             `127.0.0.1::80`",
        );
    }
    for (network, endpoint) in &next.networks.0 {
        let Some(before) = now.networks.0.get(network) else { continue };
        let same_v4 = endpoint.ipv4_address.filter(|ip| before.ipv4_address == Some(*ip));
        let same_v6 = endpoint.ipv6_address.filter(|ip| before.ipv6_address == Some(*ip));
        let address = same_v4.or(same_v6).map(|address| address.to_string());
        let mac =
            endpoint.mac_address.clone().filter(|_| endpoint.mac_address == before.mac_address);
        if let Some(address) = address.or(mac) {
            problem(
                "networks",
                format!("both have the address {address} in network `{network}`"),
                "leave the address out: others find it by its name",
            );
        }
    }
    if next.network_mode == now.network_mode {
        let whose = match &next.network_mode {
            Some(NetworkMode::Host) => Some("the machine's own ports".to_owned()),
            Some(NetworkMode::Container(other)) => {
                Some(format!("the ports of container `{other}`"))
            }
            _ => None,
        };
        if let Some(whose) = whose {
            let hint = "let it join a network instead";
            problem("network_mode", format!("both would listen on {whose}"), hint);
        }
    }
    if let Some(what) = lint::database(&next.image) {
        let shared = next.volumes.0.iter().find(|mount| {
            let lasts = matches!(mount.kind, MountKind::Bind | MountKind::Volume);
            let same = |other: &super::mounts::Mount| {
                other.kind == mount.kind && other.source == mount.source
            };
            lasts
                && !mount.read_only
                && mount.source.is_some()
                && now.volumes.0.iter().any(same)
        });
        if let Some(source) = shared.and_then(|mount| mount.source.as_ref()) {
            problem(
                "volumes",
                format!(
                    "both would write to `{source}`: {what} must be alone with its data, or damages it"
                ),
                "replace it stop-first: leave out `create_before_destroy` and `start-first`",
            );
        }
    }
    problems
}

/// Makes it under the name of a stand-in, where nobody finds it yet, and waits until it
/// works.
pub(super) async fn create_beside(
    engine: &Engine,
    name: &Name,
    spec: &ContainerSpec,
) -> Result<Created<ContainerFacts>, CallError> {
    leftover_removed(engine, name).await?;
    let seen = Track::seen(engine, spec).await?;
    let mut hidden = spec.clone();
    for endpoint in hidden.networks.0.values_mut() {
        endpoint.aliases.clear();
    }
    let (id, image) = create::begin(engine, name, &hidden, &name.natural).await?;
    if spec.running {
        start::post_start(engine, name, &id, spec).await?;
        wait::reached(engine, name, &id, spec).await?;
        settled(engine, name, &id, spec).await?;
    }
    create::made(engine, name, spec, id, (&image, seen)).await
}

/// What an earlier attempt left is removed; what belongs to others is not.
async fn leftover_removed(engine: &Engine, name: &Name) -> Result<(), CallError> {
    let Some(left) = inspect(engine, &name.natural).await? else { return Ok(()) };
    let labels = left.config.and_then(|config| config.labels).unwrap_or_default();
    if labels::owner(&labels, name, false) != Owner::Ours {
        return Err(exists(engine, name).await);
    }
    remove::at_once(engine, name, &left.id.unwrap_or_default()).await
}

/// One with a health check counts only when that has passed, whatever it waits for else.
async fn settled(
    engine: &Engine,
    name: &Name,
    id: &str,
    spec: &ContainerSpec,
) -> Result<(), CallError> {
    if spec.wait != Wait::Started {
        return Ok(());
    }
    let state = inspect(engine, id).await?.and_then(|container| container.state);
    let checked = state.and_then(|state| state.health?.status).is_some_and(|status| {
        !matches!(status, HealthStatusEnum::NONE | HealthStatusEnum::EMPTY)
    });
    if !checked {
        return Ok(());
    }
    let mut healthy = spec.clone();
    healthy.wait = Wait::Healthy;
    wait::reached(engine, name, id, &healthy).await
}

/// Gives it the names of the one it replaces, watches both for a while, and gives it the
/// name on the engine last: until then the old one is as it was.
pub(super) async fn take_over(
    engine: &Engine,
    name: &Name,
    id: &str,
    (from, to): (&ContainerSpec, &ContainerSpec),
    old: &str,
) -> Result<ContainerFacts, CallError> {
    let Some(container) = inspect(engine, id).await? else {
        let message = format!("what is to replace container `{}` is gone", name.natural);
        return Err(CallError::refused(message).hint("apply again: it will be made anew"));
    };
    let state = container.state.clone().unwrap_or_default();
    if to.running && to.wait != Wait::Exited && !runs(&state) {
        // An interrupted run left it half made.
        inject::put(engine, name, id, to, &Files::default()).await?;
        start::begin(engine, name, id, to).await?;
    }
    find_it(engine, name, id, &container, to).await?;
    if to.running && to.wait != Wait::Exited {
        settled(engine, name, id, to).await?;
        watch(engine, name, id, to).await?;
    }
    swap_names(engine, name, id, old).await?;
    // What changes in place and was declared since.
    let from = ContainerSpec { networks: to.networks.clone(), ..from.clone() };
    change::update(engine, name, id, &from, to).await
}

/// Joins its networks again, now under the names others look for.
///
/// The engine cannot add a name to a container that is in a network.
async fn find_it(
    engine: &Engine,
    name: &Name,
    id: &str,
    container: &ContainerInspectResponse,
    spec: &ContainerSpec,
) -> Result<(), CallError> {
    let joined = container.network_settings.as_ref().and_then(|all| all.networks.as_ref());
    let (short, aside) = (name.address.name(), stand_in(&name.natural));
    for (network, endpoint) in &spec.networks.0 {
        if is_predefined(network) {
            continue;
        }
        let there = joined.and_then(|joined| joined.get(network));
        let known = there.and_then(|there| there.aliases.as_ref());
        if known.is_some_and(|aliases| aliases.iter().any(|alias| alias == short)) {
            continue;
        }
        if there.is_none() {
            join(engine, name, id, (network, endpoint), short).await?;
            continue;
        }
        let hidden = Endpoint { aliases: Vec::new(), ..endpoint.clone() };
        let before = Some((&hidden, aside.as_str()));
        rejoin(engine, name, id, network, before, (endpoint, short)).await?;
    }
    Ok(())
}

/// Fails when it ends, is restarted or gets unhealthy while it is watched.
async fn watch(
    engine: &Engine,
    name: &Name,
    id: &str,
    spec: &ContainerSpec,
) -> Result<(), CallError> {
    let monitor = spec.update_config.clone().unwrap_or_default().monitor;
    let deadline = Instant::now() + monitor.0;
    let mut restarts = None;
    loop {
        let container = inspect(engine, id).await?.unwrap_or_default();
        let state = container.state.clone().unwrap_or_default();
        let before = *restarts.get_or_insert(container.restart_count.unwrap_or(0));
        let again = container.restart_count.unwrap_or(0) > before;
        if let Some(why) = broken(&state, again) {
            let why = format!("{why} within {monitor} after it took over");
            return Err(wait::report(engine, name, id, spec, &container, &why).await);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        tokio::time::sleep(LOOK.min(left)).await;
    }
}

fn broken(state: &ContainerState, restarted: bool) -> Option<String> {
    let health = state.health.as_ref().and_then(|health| health.status);
    if restarted {
        return Some("it was restarted".to_owned());
    }
    if health == Some(HealthStatusEnum::UNHEALTHY) {
        return Some("it got unhealthy".to_owned());
    }
    let ended = !runs(state) && !state.restarting.unwrap_or(false);
    ended.then(|| format!("it ended with code {}", state.exit_code.unwrap_or(0)))
}

/// The old one gives up the name and the new one gets it; the old one has it again when
/// that fails.
async fn swap_names(
    engine: &Engine,
    name: &Name,
    id: &str,
    old: &str,
) -> Result<(), CallError> {
    let holder = inspect(engine, &name.natural).await?;
    let holder = holder.and_then(|holder| holder.id).unwrap_or_default();
    if holder == id {
        return Ok(());
    }
    let moved = !old.is_empty() && holder == old;
    if moved {
        renamed(engine, old, &format!("{}.old", name.natural), name).await?;
    }
    match renamed(engine, id, &name.natural, name).await {
        Ok(()) => Ok(()),
        Err(error) => {
            if moved {
                // The error to show is the first one.
                let _ = renamed(engine, old, &name.natural, name).await;
            }
            Err(error)
        }
    }
}

async fn renamed(engine: &Engine, id: &str, to: &str, name: &Name) -> Result<(), CallError> {
    let options = RenameContainerOptionsBuilder::new().name(to).build();
    match engine.docker.rename_container(id, options).await {
        Ok(()) => Ok(()),
        Err(error) if status(&error) == Some(409) => {
            let taken = Name { natural: to.to_owned(), ..name.clone() };
            Err(exists(engine, &taken).await)
        }
        Err(error) => {
            let doing = format!("giving container `{}` its name", name.natural);
            Err(engine.failed(&doing, &error))
        }
    }
}
