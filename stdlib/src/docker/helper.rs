//! Containers that are there for a moment: the way to what is in volumes.
//!
//! The engine reads and writes the files of a container that does not run as well, so that one
//! with the volume is enough. Its image is empty and goes with it, unless the files of an image
//! or a program of it are wanted.
//!
//! Each has a name that tells what it is for, and marks that tell whose it is. What a killed
//! run left is found by either: by the name when the same is done again, by the marks when
//! something else is done to the same object.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use bollard::models::{
    ContainerCreateBody, ContainerSummary, HostConfig, Mount, MountType, MountVolumeOptions,
};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, CreateImageOptionsBuilder, ListContainersOptionsBuilder,
    RemoveContainerOptionsBuilder, RemoveImageOptions, WaitContainerOptions,
};
use dollop_engine::error::CallError;
use dollop_engine::resource::Name;
use futures::{StreamExt as _, TryStreamExt as _};
use sha2::{Digest as _, Sha256};

use super::engine::{Engine, status};
use super::labels;

/// How images begin that are empty and go with their container. Podman looks in registries for
/// a name without one.
const EMPTY: &str = "localhost/dollop-helper-";

/// The labels of what is there for a moment.
pub(super) type Marks = HashMap<String, String>;

/// What a container is there for; its name begins with it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Purpose {
    /// To reach what is in a volume.
    Reach,
    /// To make volumes and fill them for another container.
    Fill,
    /// To remove files from a volume.
    Remove,
    /// To see whether the engine takes one.
    Try,
}

impl Purpose {
    /// How the names of containers for it begin.
    pub(super) const fn prefix(self) -> &'static str {
        match self {
            Self::Reach => "dollop-helper-",
            Self::Fill => "dollop-files-",
            Self::Remove => "dollop-remove-",
            Self::Try => "dollop-try-",
        }
    }

    fn named(self, about: &str) -> String {
        format!("{}{}", self.prefix(), short(about))
    }
}

/// Names may be long and hold signs that others cannot.
fn short(about: &str) -> String {
    hex::encode(&Sha256::digest(about)[..8])
}

/// The marks of what is there for a moment while something is done to an object.
pub(super) fn marks(name: &Name) -> Marks {
    HashMap::from([
        (labels::MOMENTARY.to_owned(), name.stack.clone()),
        (labels::ADDRESS.to_owned(), name.address.to_string()),
    ])
}

/// Removes what a run left that was killed while it did something to an object.
pub(super) async fn swept(engine: &Engine, name: &Name) -> Result<(), CallError> {
    // On the heap: it is rarely needed, and every call that changes a container waits for it.
    Box::pin(sweep(engine, &marks(name))).await
}

/// Removes every container with these marks, and what only it has.
pub(super) async fn sweep(engine: &Engine, marks: &Marks) -> Result<(), CallError> {
    let marks: Vec<_> = marks.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let filters = HashMap::from([("label", marks)]);
    let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
    let left = engine.list_containers(Some(options)).await;
    let left = left.map_err(|error| engine.failed("listing containers", &error))?;
    if left.is_empty() {
        return Ok(());
    }
    let all = engine.containers().await?;
    for container in left {
        let volumes = if is_alone(&container, &all) { Volumes::Go } else { Volumes::Stay };
        let Some(name) = container.id else { continue };
        let image = container.image.filter(|image| image.starts_with(EMPTY));
        Helper { engine, name, image }.removed(volumes).await?;
    }
    Ok(())
}

/// Whether no other container has a volume of this one.
fn is_alone(container: &ContainerSummary, all: &[ContainerSummary]) -> bool {
    let volumes = |of: &ContainerSummary| -> HashSet<String> {
        of.mounts.iter().flatten().filter_map(|mount| mount.name.clone()).collect()
    };
    let own = volumes(container);
    let mut others = all.iter().filter(|other| other.id != container.id);
    others.all(|other| volumes(other).is_disjoint(&own))
}

/// What becomes of the volumes of a container that have no name. An engine removes them also
/// from under another that got them from it and does not run.
#[derive(Clone, Copy)]
enum Volumes {
    Go,
    Stay,
}

/// A container that is there for a moment; [`Helper::after`] takes it away.
pub(super) struct Helper<'a> {
    engine: &'a Engine,
    name: String,
    /// The image that goes with it.
    image: Option<String>,
}

impl<'a> Helper<'a> {
    /// Where one that reaches a volume has it.
    pub(super) const PATH: &'static str = "/volume";

    fn reaching(engine: &'a Engine, volume: &str) -> Self {
        let image = format!("{EMPTY}{}:latest", short(volume));
        Self { engine, name: Purpose::Reach.named(volume), image: Some(image) }
    }

    /// Removes the one that a killed run left, which would keep the volume in use.
    pub(super) async fn cleared(engine: &'a Engine, volume: &str) -> Result<(), CallError> {
        Self::reaching(engine, volume).removed(Volumes::Go).await
    }

    /// Makes one that has a volume and never runs.
    pub(super) async fn reach(
        engine: &'a Engine,
        volume: &str,
        marks: Marks,
    ) -> Result<Self, CallError> {
        let helper = Self::reaching(engine, volume);
        let image = helper.image.clone().unwrap_or_default();
        let doing = format!("looking into volume `{volume}`");
        helper.removed(Volumes::Go).await?;
        let (repository, tag) = image.split_once(':').unwrap_or_default();
        let options = CreateImageOptionsBuilder::new().from_src("-").repo(repository).tag(tag);
        let nothing = tar::Builder::new(Vec::new()).into_inner().unwrap_or_default();
        let made = engine.docker.create_image(
            Some(options.build()),
            Some(bollard::body_full(nothing.into())),
            None,
        );
        let made: Result<Vec<_>, _> = made.try_collect().await;
        made.map_err(|error| engine.failed(&doing, &error))?;
        let body = ContainerCreateBody {
            image: Some(image),
            host_config: Some(HostConfig {
                mounts: Some(vec![mount(volume, Self::PATH)]),
                ..HostConfig::default()
            }),
            ..ContainerCreateBody::default()
        };
        helper.made(&doing, "", marks, body).await
    }

    /// Makes one from an image that is there, in place of any that a killed run left. What it
    /// is `about` tells it from others for the same purpose.
    pub(super) async fn make(
        engine: &'a Engine,
        doing: &str,
        (purpose, about): (Purpose, &str),
        platform: &str,
        marks: Marks,
        body: ContainerCreateBody,
    ) -> Result<Self, CallError> {
        let helper = Self { engine, name: purpose.named(about), image: None };
        helper.removed(Volumes::Go).await?;
        helper.made(doing, platform, marks, body).await
    }

    async fn made(
        self,
        doing: &str,
        platform: &str,
        marks: Marks,
        mut body: ContainerCreateBody,
    ) -> Result<Self, CallError> {
        body.labels = Some(marks);
        // One that is never started needs none, but the engine wants to know.
        body.entrypoint.get_or_insert_with(|| vec!["nothing".to_owned()]);
        body.host_config.get_or_insert_default().network_mode = Some("none".to_owned());
        let options = CreateContainerOptionsBuilder::new().name(&self.name);
        let options = options.platform(platform).build();
        let created = self.engine.docker.create_container(Some(options), body).await;
        let created = created.map_err(|error| self.engine.failed(doing, &error));
        match created {
            Ok(_) => Ok(self),
            Err(error) => self.after(Err(error)).await,
        }
    }

    /// The name of the container.
    pub(super) fn container(&self) -> &str {
        &self.name
    }

    /// Runs its program, and whether that ended well.
    pub(super) async fn runs_well(&self, longer: Duration) -> bool {
        if self.engine.docker.start_container(&self.name, None).await.is_err() {
            return false;
        }
        let docker = self.engine.patient(longer);
        let mut ended =
            std::pin::pin!(docker.wait_container(&self.name, None::<WaitContainerOptions>));
        matches!(ended.next().await, Some(Ok(end)) if end.status_code == 0)
    }

    /// Takes it away after something was done through it. Of two errors, the first is told.
    pub(super) async fn after<T>(self, done: Result<T, CallError>) -> Result<T, CallError> {
        let removed = self.removed(Volumes::Go).await;
        let done = done?;
        removed.map(|()| done)
    }

    /// Takes it away after another container got its volumes.
    pub(super) async fn handed_on(self) -> Result<(), CallError> {
        self.removed(Volumes::Stay).await
    }

    async fn removed(&self, volumes: Volumes) -> Result<(), CallError> {
        let all = matches!(volumes, Volumes::Go);
        let options = RemoveContainerOptionsBuilder::new().force(true).v(all).build();
        let docker = &self.engine.docker;
        let container = docker.remove_container(&self.name, Some(options)).await;
        let image = match &self.image {
            Some(image) => docker.remove_image(image, None::<RemoveImageOptions>, None).await,
            None => Ok(Vec::new()),
        };
        for error in [container.err(), image.err()].into_iter().flatten() {
            if status(&error) != Some(404) {
                return Err(self.engine.failed(&format!("removing `{}`", self.name), &error));
            }
        }
        Ok(())
    }
}

/// A volume at a path, without what an image has there.
pub(super) fn mount(volume: &str, path: &str) -> Mount {
    Mount {
        typ: Some(MountType::VOLUME),
        source: Some(volume.to_owned()),
        target: Some(path.to_owned()),
        volume_options: Some(MountVolumeOptions {
            no_copy: Some(true),
            ..MountVolumeOptions::default()
        }),
        ..Mount::default()
    }
}
