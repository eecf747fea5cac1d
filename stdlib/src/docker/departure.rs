//! Removing a network: the stack's own containers leave it first, and are back in it when it
//! stays.
//!
//! The step that moves them to a network made in its place, or removes them, comes later in
//! the same run.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use backon::{ConstantBuilder, Retryable as _};
use bollard::errors::Error;
use bollard::models::{EndpointSettings, NetworkConnectRequest, NetworkDisconnectRequest};
use bollard::query_parameters::ListContainersOptions;
use dollop_engine::error::CallError;
use dollop_engine::resource::Name;

use super::container::inspect;
use super::engine::{Engine, said, status};
use super::labels;

/// How long the engine may go on counting a container that has left.
const LETTING_GO: ConstantBuilder =
    ConstantBuilder::new().with_delay(Duration::from_millis(200)).with_max_times(50);

/// A container that was taken out, and how it was in the network.
struct TakenOut {
    container: String,
    endpoint: EndpointSettings,
}

/// Removes a network; fine when it is gone.
pub(super) async fn remove(engine: &Engine, name: &Name, id: &str) -> Result<(), CallError> {
    let Err(error) = engine.docker.remove_network(id).await else { return Ok(()) };
    if status(&error) == Some(404) {
        return Ok(());
    }
    if !still_counted(&error) {
        let doing = format!("removing network `{}`", name.natural);
        return Err(engine.failed(&doing, &error));
    }
    // Whoever else is in it keeps it, so that nobody needs to leave for it.
    let own = own(engine, name, id).await?;
    let others: Vec<_> = inside(engine, id)
        .await
        .into_iter()
        .filter(|(other, _)| !own.contains(other))
        .collect();
    if !others.is_empty() {
        return Err(in_use(name, others));
    }
    let taken = take_out(engine, id, own).await;
    let Err(error) = removed_in_the_end(engine, name, id).await else { return Ok(()) };
    let mut error = error;
    for TakenOut { container, endpoint } in taken {
        let request = NetworkConnectRequest {
            container: container.clone(),
            endpoint_config: Some(endpoint),
        };
        if let Err(why) = engine.docker.connect_network(id, request).await {
            let short = container.get(..12).unwrap_or(&container);
            error = error.note(format!(
                "container `{short}` was taken out of it and could not join it again: {}",
                said(&why)
            ));
        }
    }
    Err(error)
}

/// Whether the engine will not remove a network for what it counts in it.
fn still_counted(error: &Error) -> bool {
    said(error).contains("active endpoints")
}

/// Removes it once nobody of the stack is in it.
async fn removed_in_the_end(engine: &Engine, name: &Name, id: &str) -> Result<(), CallError> {
    let doing = || format!("removing network `{}`", name.natural);
    match engine.docker.remove_network(id).await {
        Ok(()) => return Ok(()),
        Err(error) if status(&error) == Some(404) => return Ok(()),
        Err(error) if !still_counted(&error) => return Err(engine.failed(&doing(), &error)),
        Err(_) => {}
    }
    let inside = inside(engine, id).await;
    if !inside.is_empty() {
        return Err(in_use(name, inside));
    }
    // An engine under load lets go of what has left only after it said so. It may also have lost
    // count for good (<https://github.com/moby/moby/issues/42119>).
    let remove = || engine.docker.remove_network(id);
    match remove.retry(LETTING_GO).when(still_counted).await {
        Ok(()) => Ok(()),
        Err(error) if status(&error) == Some(404) => Ok(()),
        Err(_) => Err(CallError::refused(format!(
            "network `{}` cannot be removed: the engine counts a container in it that has left",
            name.natural
        ))
        .hint(
            "an engine miscounts when many come and go at once; it counts anew when it is \
             restarted (`systemctl restart docker`): then the same command goes on",
        )),
    }
}

/// The containers that are in a network and run: their names by their ids.
async fn inside(engine: &Engine, id: &str) -> BTreeMap<String, String> {
    let network = engine.docker.inspect_network(id, None).await.ok();
    let inside = network.and_then(|network| network.containers).unwrap_or_default();
    // In an overlay the engine counts what spreads the load; it goes with the last container.
    let inside = inside.into_iter().filter(|(id, _)| !id.starts_with("lb-"));
    inside.filter_map(|(id, endpoint)| Some((id, endpoint.name?))).collect()
}

fn in_use(name: &Name, inside: impl IntoIterator<Item = (String, String)>) -> CallError {
    let mut names: Vec<_> =
        inside.into_iter().map(|(_, container)| format!("`{container}`")).collect();
    names.sort();
    let who = match names.as_slice() {
        [one] => format!("container {one} is still in it"),
        several => format!("containers {} are still in it", several.join(", ")),
    };
    let network = &name.natural;
    CallError::refused(format!("network `{network}` cannot be removed: {who}"))
        .hint(format!("take it out: `docker network disconnect {network} <container>`"))
}

/// The ids of the stack's own containers in a network, those that do not run too.
async fn own(engine: &Engine, name: &Name, id: &str) -> Result<Vec<String>, CallError> {
    let filters = HashMap::from([
        ("network".to_owned(), vec![id.to_owned()]),
        ("label".to_owned(), vec![format!("{}={}", labels::STACK, name.stack)]),
    ]);
    let options =
        ListContainersOptions { all: true, filters: Some(filters), ..Default::default() };
    let own = engine.list_containers(Some(options)).await;
    let own = own.map_err(|error| engine.failed("listing containers", &error))?;
    Ok(own.into_iter().filter_map(|container| container.id).collect())
}

/// Takes containers out of a network.
async fn take_out(engine: &Engine, id: &str, own: Vec<String>) -> Vec<TakenOut> {
    let mut taken = Vec::new();
    for container in own {
        let endpoint = endpoint(engine, &container, id).await.unwrap_or_default();
        let request =
            NetworkDisconnectRequest { container: container.clone(), force: Some(true) };
        if engine.docker.disconnect_network(id, request).await.is_ok() {
            taken.push(TakenOut { container, endpoint });
        }
    }
    taken
}

/// How a container was told to be in a network.
async fn endpoint(engine: &Engine, container: &str, id: &str) -> Option<EndpointSettings> {
    let found = inspect(engine, container).await.ok().flatten()?;
    let joined = found.network_settings?.networks?;
    let there = joined.into_values().find(|one| one.network_id.as_deref() == Some(id))?;
    Some(EndpointSettings {
        aliases: there.aliases,
        ipam_config: there.ipam_config,
        links: there.links,
        driver_opts: there.driver_opts,
        gw_priority: there.gw_priority.filter(|priority| *priority != 0),
        ..EndpointSettings::default()
    })
}
