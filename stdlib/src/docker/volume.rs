//! Volumes.

use std::collections::{BTreeMap, HashMap};

use bollard::models::{Volume as Listed, VolumeCreateRequest};
use bollard::query_parameters::{
    ListContainersOptionsBuilder, ListVolumesOptions, RemoveVolumeOptions,
};
use dollop_engine::address::Address;
use dollop_engine::analysis::{Claim, Claimed};
use dollop_engine::error::{CallError, Failure};
use dollop_engine::path::Path;
use dollop_engine::resource::{
    Created, Found, Name, Problem, ReadResult, Resource, Traits, Wanted,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::engine::{Engine, status};
use super::labels;
use crate::text::Text;

/// A named place for data that outlives the containers using it.
///
/// Docker cannot change a volume: every change makes a new, empty one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VolumeSpec {
    /// What provides it: `local` or a plugin.
    #[serde(default = "local")]
    #[schemars(extend("x-replace" = true))]
    pub driver: String,
    /// Options of the driver, `#{ type: "nfs", o: "addr=10.0.0.9,rw", device: ":/export" }`.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub options: BTreeMap<String, Text>,
    /// Labels, beside dollop's own marks.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub labels: BTreeMap<String, Text>,
}

fn local() -> String {
    "local".to_owned()
}

/// What the engine reports about a volume.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct VolumeFacts {
    /// Where its data lies on the machine of the engine.
    #[schemars(extend("x-stable" = true))]
    pub mountpoint: String,
}

/// `docker::volume`; the API's `/volumes`. Its id is its name: the engine gives no other.
pub struct Volume;

impl Resource for Volume {
    const KIND: &'static str = "docker::volume";
    type Connection = Engine;
    type Spec = VolumeSpec;
    type Facts = VolumeFacts;

    fn traits() -> Traits {
        Traits { holds_data: true, for_others: true, ..Traits::default() }
    }

    fn default_name(stack: &str, address: &Address) -> String {
        labels::default_name(stack, address)
    }

    fn check(spec: &VolumeSpec) -> Vec<Problem> {
        labels::check(&spec.labels)
    }

    /// Only a volume that merely mounts something from elsewhere (NFS, a folder) leaves its
    /// data where it was.
    fn keeps_data(spec: &VolumeSpec, _: Option<&VolumeSpec>) -> bool {
        let kind = spec.options.get("type").map_or("", |kind| kind.0.as_str());
        spec.driver == "local" && spec.options.contains_key("device") && kind != "tmpfs"
    }

    /// The folder a volume stands for must be there.
    fn claims(_: &Name, spec: &VolumeSpec) -> Vec<Claimed> {
        let option = |name: &str| spec.options.get(name).map_or("", |value| value.0.as_str());
        let binds = spec.driver == "local"
            && option("o").split(',').any(|word| matches!(word, "bind" | "rbind"));
        let device = option("device");
        if !binds || device.is_empty() {
            return Vec::new();
        }
        let at = Path::attribute("options").key("device");
        vec![Claimed::new(at, Claim::NeedsPath(device.to_owned()))]
    }

    async fn read(engine: &Engine, wanted: &[Wanted<VolumeSpec>]) -> Vec<ReadResult<Self>> {
        let listed = engine.docker.list_volumes(None::<ListVolumesOptions>).await;
        let listed = match listed {
            Ok(listed) => listed.volumes.unwrap_or_default(),
            Err(error) => {
                let error = engine.failed("listing volumes", &error);
                return wanted.iter().map(|_| Err(error.clone())).collect();
            }
        };
        let by_name: HashMap<&str, &Listed> =
            listed.iter().map(|volume| (volume.name.as_str(), volume)).collect();
        wanted
            .iter()
            .map(|wanted| {
                let name = wanted.id.as_deref().unwrap_or(&wanted.name.natural);
                Ok(by_name.get(name).map(|volume| observe(volume, wanted)))
            })
            .collect()
    }

    async fn create(
        engine: &Engine,
        name: &Name,
        spec: VolumeSpec,
    ) -> Result<Created<VolumeFacts>, CallError> {
        labels::check_name("volume", &name.natural)?;
        let doing = format!("creating volume `{}`", name.natural);
        // The engine would hand out the volume that is there and call it created.
        match engine.docker.inspect_volume(&name.natural).await {
            Ok(taken) => {
                let whose = labels::whose(&taken.labels);
                let message =
                    format!("a volume named `{}` exists already ({whose})", name.natural);
                return Err(CallError::new(Failure::Exists, message)
                    .hint("give this one another `name`, or take it over with `adopt: true`"));
            }
            Err(error) if status(&error) == Some(404) => {}
            Err(error) => return Err(engine.failed(&doing, &error)),
        }
        let options = spec.options.iter().map(|(key, value)| (key.clone(), value.0.clone()));
        let request = VolumeCreateRequest {
            name: Some(name.natural.clone()),
            driver: Some(spec.driver.clone()),
            driver_opts: Some(options.collect()),
            labels: Some(labels::marked(name, &spec.labels)),
            ..VolumeCreateRequest::default()
        };
        let created = engine.docker.create_volume(request).await;
        let created = created.map_err(|error| {
            let failed = engine.failed(&doing, &error);
            if spec.driver == "local" {
                return failed;
            }
            failed.hint(format!("`{}` must be installed: `docker plugin ls`", spec.driver))
        })?;
        let facts = VolumeFacts { mountpoint: created.mountpoint };
        Ok(Created { id: created.name, facts })
    }

    async fn update(
        engine: &Engine,
        name: &Name,
        id: &str,
        _from: VolumeSpec,
        _to: VolumeSpec,
    ) -> Result<VolumeFacts, CallError> {
        // Every attribute makes a new volume, so there is nothing to change in place.
        let found = engine.docker.inspect_volume(id).await;
        let doing = format!("reading volume `{}`", name.natural);
        let found = found.map_err(|error| engine.failed(&doing, &error))?;
        Ok(VolumeFacts { mountpoint: found.mountpoint })
    }

    async fn delete(
        engine: &Engine,
        name: &Name,
        id: &str,
        _spec: VolumeSpec,
    ) -> Result<(), CallError> {
        let removed = engine.docker.remove_volume(id, None::<RemoveVolumeOptions>).await;
        let Err(error) = removed else { return Ok(()) };
        match status(&error) {
            Some(404) => Ok(()),
            Some(409) => Err(in_use(engine, name, id).await),
            _ => Err(engine.failed(&format!("removing volume `{}`", name.natural), &error)),
        }
    }
}

fn observe(volume: &Listed, wanted: &Wanted<VolumeSpec>) -> Found<VolumeSpec, VolumeFacts> {
    let options = volume.options.iter();
    let spec = VolumeSpec {
        driver: volume.driver.clone(),
        options: options.map(|(key, value)| (key.clone(), Text(value.clone()))).collect(),
        labels: labels::unmarked(&volume.labels),
    };
    Found {
        id: volume.name.clone(),
        natural: volume.name.clone(),
        spec,
        facts: VolumeFacts { mountpoint: volume.mountpoint.clone() },
        owner: labels::owner(&volume.labels, &wanted.name, wanted.id.is_some()),
    }
}

async fn in_use(engine: &Engine, name: &Name, id: &str) -> CallError {
    let filters = HashMap::from([("volume", vec![id])]);
    let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
    let users = engine.docker.list_containers(Some(options)).await.unwrap_or_default();
    let mut names: Vec<_> = users
        .into_iter()
        .filter_map(|container| container.names?.into_iter().next())
        .map(|name| format!("`{}`", name.trim_start_matches('/')))
        .collect();
    names.sort();
    let message = format!(
        "volume `{}` cannot be removed: {} it",
        name.natural,
        match names.as_slice() {
            [] => "a container uses".to_owned(),
            [one] => format!("container {one} uses"),
            several => format!("containers {} use", several.join(", ")),
        }
    );
    CallError::refused(message)
        .hint("remove what uses it first; a stopped container counts too")
}
