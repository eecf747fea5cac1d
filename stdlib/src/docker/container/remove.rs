//! Removing a container.

use std::time::Duration;

use backon::{ConstantBuilder, Retryable as _};
use bollard::query_parameters::RemoveContainerOptionsBuilder;
use dollop_engine::error::CallError;
use dollop_engine::resource::Name;

use super::super::engine::{Engine, said, status};
use super::super::helper;
use super::change::stop;
use super::read::inspect;
use super::spec::ContainerSpec;

/// Stops it in its own time and removes it with its anonymous volumes; named ones stay.
pub(super) async fn remove(
    engine: &Engine,
    name: &Name,
    id: &str,
    spec: &ContainerSpec,
) -> Result<(), CallError> {
    stop(engine, name, id, spec).await?;
    at_once(engine, name, id).await
}

/// Removes it whether it runs or not.
pub(super) async fn at_once(engine: &Engine, name: &Name, id: &str) -> Result<(), CallError> {
    // What a killed run left may have its volumes, which would stay.
    helper::swept(engine, name).await?;
    let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
    let Err(error) = engine.docker.remove_container(id, Some(options)).await else {
        return Ok(());
    };
    match status(&error) {
        Some(404) => Ok(()),
        Some(409) if said(&error).contains("already in progress") => {
            gone(engine, name, id).await
        }
        _ => Err(engine.failed(&format!("removing container `{}`", name.natural), &error)),
    }
}

/// Waits for a removal that somebody else began.
async fn gone(engine: &Engine, name: &Name, id: &str) -> Result<(), CallError> {
    let look = || async {
        if inspect(engine, id).await?.is_none() {
            return Ok(());
        }
        let message = format!("container `{}` is still being removed", name.natural);
        Err(CallError::unreachable(message))
    };
    let pauses =
        ConstantBuilder::default().with_delay(Duration::from_millis(200)).with_max_times(50);
    look.retry(pauses).await
}
