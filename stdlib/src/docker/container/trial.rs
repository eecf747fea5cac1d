//! What stands against a container is found out before the one it replaces goes.

use dollop_engine::error::CallError;
use dollop_engine::resource::Name;

use super::super::engine::Engine;
use super::super::helper::{self, Helper, Purpose};
use super::super::pull;
use super::modes::of_container;
use super::spec::ContainerSpec;
use super::{create, supported, wait};

/// Gets its image, and tries to make it without what another one may still have.
pub(super) async fn prepare(
    engine: &Engine,
    name: &Name,
    spec: &ContainerSpec,
) -> Result<(), CallError> {
    supported::all(engine, engine.machine().await?, spec)?;
    let image = pull::local_or_pulled(engine, &spec.image, spec.platform.as_deref()).await?;
    let has_check = image.config.is_some_and(|config| config.healthcheck.is_some());
    wait::check_possible(name, spec, has_check)?;
    tried(engine, name, spec).await
}

/// Makes one that never runs and removes it: drivers of logs, options of storage and the like
/// are known to the engine alone.
///
/// It has no networks, ports and mounts: those may be taken, or made anew right now.
async fn tried(engine: &Engine, name: &Name, spec: &ContainerSpec) -> Result<(), CallError> {
    let doing = format!("trying container `{}` as declared", name.natural);
    let mut body = create::body(engine, name, spec, name.address.name());
    body.networking_config = None;
    let host = body.host_config.get_or_insert_default();
    (host.mounts, host.binds, host.volumes_from) = (None, None, None);
    host.port_bindings = None;
    for mode in [&mut host.ipc_mode, &mut host.pid_mode] {
        *mode = mode.take().filter(|mode| of_container(mode).is_none());
    }
    let platform = spec.platform.as_deref().unwrap_or_default();
    let (about, marks) = ((Purpose::Try, name.natural.as_str()), helper::marks(name));
    let made = Helper::make(engine, &doing, about, platform, marks, body);
    Box::pin(made).await?.after(Ok(())).await
}
