//! Saving volumes and taking them back, through the engine's archive API.
//!
//! [`reach`] is a volume with a container for a moment, through which it is read and written;
//! [`tree`] tells whether two volumes hold the same; [`host`] runs the
//! programs of servers in their containers.

mod host;
mod reach;
mod tree;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use async_trait::async_trait;
use bollard::models::{ContainerSummaryStateEnum, VolumeCreateRequest};
use bollard::query_parameters::{
    ListContainersOptionsBuilder, RemoveVolumeOptions, StopContainerOptions,
};
use dollop_engine::backup::{
    Backup, Inventory, LeftOut, Part, Quiet, Rehearsed, Scratch, Sink, Site, Source, Wishes,
    Writer,
};
use dollop_engine::error::CallError;
use dollop_engine::resource::{Held, Resource as _};
use rand::distr::{Alphanumeric, SampleString as _};
use serde_json::{Value as Json, json};

use super::engine::{Engine, status};
use super::volume::{Volume, VolumeSpec};
use reach::Reach;
use tree::Tree;

pub(super) use host::ContainerHost;

/// A volume as a tar archive.
const FORM: &str = "docker-volume";

#[async_trait]
impl Backup for Engine {
    async fn inventory(&self, site: &Site, _: Wishes) -> Result<Inventory, CallError> {
        let version = self.docker.version().await;
        let version = version.map_err(|error| self.failed("asking for the version", &error))?;
        let mut inventory = Inventory {
            service: format!("Docker {}", version.version.unwrap_or_default()),
            ..Inventory::default()
        };
        for object in &site.objects {
            if object.address.kind() != Volume::KIND {
                continue;
            }
            let name = object.found.id.clone();
            let what = format!("volume `{name}`");
            let spec: Option<VolumeSpec> = without_name(object.found.spec.to_json());
            let why = if let Some(by) = site.covered.get(&name) {
                Some((format!("its data is saved by `{by}`"), false))
            } else if spec.is_some_and(|spec| Volume::keeps_data(&spec, None)) {
                Some(("its data is kept elsewhere".to_owned(), true))
            } else {
                None
            };
            let address = object.address.clone();
            match why {
                Some((why, missed)) => {
                    inventory.left_out.push(LeftOut { address, what, why, missed });
                }
                None => inventory.parts.push(Part {
                    address,
                    connection: site.address.clone(),
                    form: FORM.to_owned(),
                    name,
                    what,
                    ending: "tar".to_owned(),
                    compressed: false,
                }),
            }
        }
        Ok(inventory)
    }

    async fn save(&self, _: &Site, part: &Part, sink: Sink<'_>) -> Result<Json, CallError> {
        let reach = Reach::of(self, &part.name).await?;
        let read = reach.read(sink).await;
        let tree = reach.after(read).await?;
        Ok(json!({ "tree": tree }))
    }

    async fn held(&self, site: &Site, part: &Part, _: &Json) -> Result<Held, CallError> {
        let reach = Reach::of(self, volume_of(site, part)?).await?;
        let files = reach.has_files().await;
        Ok(if reach.after(files).await? {
            Held::Content("files".to_owned())
        } else {
            Held::Nothing("no files".to_owned())
        })
    }

    async fn load(
        &self,
        site: &Site,
        part: &Part,
        _: &Json,
        source: Source<'_>,
    ) -> Result<Vec<String>, CallError> {
        let volume = volume_of(site, part)?;
        let users = users(self, volume).await?;
        if let Some(running) = users.iter().find(|user| user.runs) {
            let message =
                format!("volume `{volume}` is in use: container `{}` runs", running.name);
            return Err(CallError::refused(message).hint("stop it first"));
        }
        let reach = Reach::of(self, volume).await?;
        let written = async {
            if reach.has_files().await? {
                reach.empty(users.iter().map(|user| user.image.as_str())).await?;
            }
            reach.write(source).await
        };
        let written = written.await;
        reach.after(written).await?;
        Ok(Vec::new())
    }

    async fn scratch(&self, _: &Site) -> Result<Box<dyn Scratch>, CallError> {
        Ok(Box::new(ScratchVolumes {
            engine: self.clone(),
            made: tokio::sync::Mutex::default(),
        }))
    }

    async fn sweep(&self) -> Result<(), CallError> {
        reach::sweep(self).await
    }

    async fn writers(&self, site: &Site, parts: &[Part]) -> Result<Vec<Writer>, CallError> {
        let mut found = BTreeMap::new();
        for part in parts {
            for user in users(self, volume_of(site, part)?).await? {
                if user.runs && user.writes {
                    found.insert(user.id, user.name);
                }
            }
        }
        let writers = found.into_iter();
        Ok(writers
            .map(|(id, name)| Writer { id, what: format!("container `{name}`") })
            .collect())
    }

    async fn quiet(&self, writer: &Writer, how: Quiet) -> Result<(), CallError> {
        let Writer { id, what } = writer;
        let (doing, done) = match how {
            Quiet::Pause => ("pausing", self.docker.pause_container(id).await),
            // As long as its own `stop_grace_period` allows.
            Quiet::Stop => {
                ("stopping", self.docker.stop_container(id, None::<StopContainerOptions>).await)
            }
        };
        match done {
            Err(error) if status(&error) != Some(304) => {
                Err(self.failed(&format!("{doing} {what}"), &error))
            }
            _ => Ok(()),
        }
    }

    async fn resume(&self, writer: &Writer, how: Quiet) -> Result<(), CallError> {
        let Writer { id, what } = writer;
        let (doing, done) = match how {
            Quiet::Pause => ("letting go on", self.docker.unpause_container(id).await),
            Quiet::Stop => ("starting", self.docker.start_container(id, None).await),
        };
        let Err(error) = done else { return Ok(()) };
        match status(&error) {
            // It runs, or nobody needs it any more.
            Some(304 | 404) => Ok(()),
            // The engine refuses to let go on what is not paused.
            Some(500 | 409) if how == Quiet::Pause => {
                match super::container::inspect(self, id).await?.and_then(|found| found.state) {
                    Some(state) if state.paused == Some(true) => {
                        Err(self.failed(&format!("{doing} {what}"), &error))
                    }
                    _ => Ok(()),
                }
            }
            _ => Err(self.failed(&format!("{doing} {what}"), &error)),
        }
    }
}

/// What the volume of a part is called now: the address may belong to another environment.
fn volume_of<'a>(site: &'a Site, part: &Part) -> Result<&'a str, CallError> {
    match site.object(&part.address) {
        Some(found) => Ok(&found.id),
        None => Err(CallError::refused(format!("the stack has no `{}`", part.address))
            .hint("make it first: `dollop apply`")),
    }
}

fn without_name(mut spec: Json) -> Option<VolumeSpec> {
    spec.as_object_mut()?.remove("name");
    serde_json::from_value(spec).ok()
}

/// A container that has a volume.
struct User {
    id: String,
    name: String,
    image: String,
    runs: bool,
    writes: bool,
}

async fn users(engine: &Engine, volume: &str) -> Result<Vec<User>, CallError> {
    let filters = HashMap::from([("volume", vec![volume])]);
    let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
    let found = engine.list_containers(Some(options)).await;
    let doing = format!("listing who uses volume `{volume}`");
    let found = found.map_err(|error| engine.failed(&doing, &error))?;
    let user = |container: bollard::models::ContainerSummary| {
        let names = container.names.unwrap_or_default();
        let mounts = container.mounts.unwrap_or_default();
        let has = |mount: &&bollard::models::MountPoint| mount.name.as_deref() == Some(volume);
        let ends = [
            ContainerSummaryStateEnum::CREATED,
            ContainerSummaryStateEnum::EXITED,
            ContainerSummaryStateEnum::DEAD,
        ];
        User {
            id: container.id.unwrap_or_default(),
            name: names.first().map_or("", |name| name.trim_start_matches('/')).to_owned(),
            image: container.image_id.unwrap_or_default(),
            runs: container.state.is_some_and(|state| !ends.contains(&state)),
            writes: mounts.iter().find(has).is_some_and(|mount| mount.rw != Some(false)),
        }
    };
    // The filter takes a part of a name for the whole.
    let whole = |container: &bollard::models::ContainerSummary| {
        let mut mounts = container.mounts.iter().flatten();
        mounts.any(|mount| mount.name.as_deref() == Some(volume))
    };
    Ok(found.into_iter().filter(whole).map(user).collect())
}

/// Volumes that exist for a trial only.
struct ScratchVolumes {
    engine: Engine,
    made: tokio::sync::Mutex<BTreeSet<String>>,
}

#[async_trait]
impl Scratch for ScratchVolumes {
    async fn rehearse(
        &self,
        part: &Part,
        saved: &Json,
        source: Source<'_>,
    ) -> Result<Rehearsed, CallError> {
        let engine = &self.engine;
        let ending = Alphanumeric.sample_string(&mut rand::rng(), 8).to_lowercase();
        let name = format!("{}-verify-{ending}", part.name);
        self.made.lock().await.insert(name.clone());
        let request = VolumeCreateRequest {
            name: Some(name.clone()),
            labels: Some(reach::marks(engine)),
            ..VolumeCreateRequest::default()
        };
        let created = engine.docker.create_volume(request).await;
        created.map_err(|error| engine.failed(&format!("creating volume `{name}`"), &error))?;
        let reach = Reach::of(engine, &name).await?;
        let compared = async {
            reach.write(source).await?;
            reach.read(&mut tokio::io::sink()).await
        };
        let compared = compared.await;
        let tree = reach.after(compared).await?;
        let was: Tree = serde_json::from_value(saved["tree"].clone()).unwrap_or_default();
        let mut differences = Vec::new();
        if tree != was {
            let message = format!(
                "it holds {} after it was taken back, and {} were saved",
                tree.words(),
                was.words()
            );
            differences.push(message);
        }
        Ok(Rehearsed { compared: tree.words(), differences })
    }

    async fn remove(&self) -> Result<(), CallError> {
        for name in std::mem::take(&mut *self.made.lock().await) {
            let removed =
                self.engine.docker.remove_volume(&name, None::<RemoveVolumeOptions>).await;
            match removed {
                Err(error) if status(&error) != Some(404) => {
                    let doing = format!("removing volume `{name}`");
                    return Err(self.engine.failed(&doing, &error));
                }
                _ => {}
            }
        }
        Ok(())
    }
}
