//! A container that never runs and has one volume: the way to what is in it.
//!
//! Its image is empty and goes with it. The engine reads and writes the files of a container
//! that does not run as well, so no program is needed for it.

use bollard::models::{ContainerCreateBody, HostConfig, Mount, MountType, MountVolumeOptions};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, CreateImageOptionsBuilder, RemoveContainerOptionsBuilder,
    RemoveImageOptions,
};
use dollop_engine::error::CallError;
use futures::TryStreamExt as _;
use sha2::{Digest as _, Sha256};

use super::engine::{Engine, status};

/// One that is there; [`Helper::removed`] takes it away.
pub(super) struct Helper {
    name: String,
    image: String,
}

impl Helper {
    /// Where it has the volume.
    pub(super) const PATH: &'static str = "/volume";

    /// The one for a volume: its names come from the volume's, so that what a killed run
    /// left can be found.
    fn of(volume: &str) -> Self {
        let digest = hex::encode(Sha256::digest(volume));
        Self {
            name: format!("dollop-helper-{}", &digest[..16]),
            // Podman looks in registries for a name without one, and forgets the tag of what it
            // is sent.
            image: format!("localhost/dollop-helper-{}:latest", &digest[..16]),
        }
    }

    /// Removes the one that a killed run left, which would keep the volume in use.
    pub(super) async fn cleared(engine: &Engine, volume: &str) -> Result<(), CallError> {
        Self::of(volume).removed(engine).await
    }

    /// Makes it.
    pub(super) async fn make(engine: &Engine, volume: &str) -> Result<Self, CallError> {
        let helper = Self::of(volume);
        helper.removed(engine).await?;
        let doing = format!("looking into volume `{volume}`");
        let failed = |error| engine.failed(&doing, &error);
        let (repository, tag) = helper.image.split_once(':').unwrap_or_default();
        let options = CreateImageOptionsBuilder::new().from_src("-").repo(repository).tag(tag);
        let nothing = tar::Builder::new(Vec::new()).into_inner().unwrap_or_default();
        let made = engine.docker.create_image(
            Some(options.build()),
            Some(bollard::body_full(nothing.into())),
            None,
        );
        let _: Vec<_> = made.try_collect().await.map_err(failed)?;
        let mount = Mount {
            typ: Some(MountType::VOLUME),
            source: Some(volume.to_owned()),
            target: Some(Self::PATH.to_owned()),
            volume_options: Some(MountVolumeOptions {
                no_copy: Some(true),
                ..MountVolumeOptions::default()
            }),
            ..Mount::default()
        };
        let body = ContainerCreateBody {
            image: Some(helper.image.clone()),
            // It is never started, but the engine wants to know.
            cmd: Some(vec!["nothing".to_owned()]),
            host_config: Some(HostConfig {
                mounts: Some(vec![mount]),
                network_mode: Some("none".to_owned()),
                ..HostConfig::default()
            }),
            ..ContainerCreateBody::default()
        };
        let options = CreateContainerOptionsBuilder::new().name(&helper.name).build();
        engine.docker.create_container(Some(options), body).await.map_err(failed)?;
        Ok(helper)
    }

    /// The name of the container.
    pub(super) fn container(&self) -> &str {
        &self.name
    }

    /// Takes it away, and its image.
    pub(super) async fn removed(&self, engine: &Engine) -> Result<(), CallError> {
        let options = RemoveContainerOptionsBuilder::new().force(true).build();
        let removed = engine.docker.remove_container(&self.name, Some(options)).await;
        let image =
            engine.docker.remove_image(&self.image, None::<RemoveImageOptions>, None).await;
        for error in [removed.err(), image.err()].into_iter().flatten() {
            if status(&error) != Some(404) {
                return Err(engine.failed(&format!("removing `{}`", self.name), &error));
            }
        }
        Ok(())
    }
}
