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
    Created, Found, Held, Migration, Moment, Name, Owner, Problem, ReadResult, Resource,
    Traits, Wanted,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::container::{self, Pairs};
use super::engine::{Engine, status};
use super::helper::Helper;
use super::{carry, instead, labels, stored};
use crate::text::Text;

/// A named place for data that outlives the containers using it.
///
/// Docker cannot change a volume: every change makes a new one, which is empty unless
/// `migrate` says otherwise. One with data in it goes only with consent.
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
    #[serde(default, deserialize_with = "container::labels")]
    #[schemars(extend("x-replace" = true))]
    pub labels: Pairs,
    /// `copy`: when it has to be made anew, what is in it is copied, while the containers
    /// that use it are away. Twice the room is needed meanwhile.
    #[serde(default)]
    pub migrate: Option<Migrate>,
}

/// What becomes of the data when a volume is made anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Migrate {
    /// It is copied.
    Copy,
}

impl VolumeSpec {
    /// One without anything special.
    pub(super) fn plain() -> Self {
        let (options, labels) = (BTreeMap::new(), Pairs::default());
        Self { driver: local(), options, labels, migrate: None }
    }

    /// Whether a volume that is there is what it says.
    pub(super) fn is_like(&self, there: &Listed) -> bool {
        *self == Self { migrate: self.migrate, ..Self::of(there, &self.driver) }
    }

    /// One that is there. A plugin for which no tag was given has the usual one by itself.
    fn of(volume: &Listed, asked: &str) -> Self {
        let options = volume.options.iter();
        let tagged = volume.driver.strip_suffix(":latest") == Some(asked);
        Self {
            driver: if tagged { asked.to_owned() } else { volume.driver.clone() },
            options: options.map(|(key, value)| (key.clone(), Text(value.clone()))).collect(),
            labels: Pairs(labels::unmarked(&volume.labels)),
            migrate: None,
        }
    }

    /// Where its data is when it is not in the volume itself, in words: that stays, or never
    /// was to last.
    pub(super) fn elsewhere(&self) -> Option<String> {
        if self.driver != local() {
            return None;
        }
        let option = |name: &str| self.options.get(name).map_or("", |value| value.0.as_str());
        match (option("type"), option("device")) {
            ("tmpfs", _) => Some("nothing that lasts (it is memory)".to_owned()),
            (_, "") => None,
            (_, device) => Some(format!("nothing itself (`{device}` stays)")),
        }
    }
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
        Traits {
            holds_data: true,
            for_others: true,
            instead: instead::VOLUME,
            ..Traits::default()
        }
    }

    fn default_name(stack: &str, address: &Address) -> String {
        labels::default_name(stack, address)
    }

    fn check_named(natural: &str, _spec: &VolumeSpec) -> Vec<Problem> {
        labels::check_natural("volume", natural).into_iter().collect()
    }

    fn check(spec: &VolumeSpec) -> Vec<Problem> {
        labels::check(&spec.labels.0)
    }

    /// Only a volume that merely mounts something from elsewhere (NFS, a folder) leaves its
    /// data where it was.
    fn keeps_data(spec: &VolumeSpec, _: Option<&VolumeSpec>) -> bool {
        let kind = spec.options.get("type").map_or("", |kind| kind.0.as_str());
        spec.driver == "local" && spec.options.contains_key("device") && kind != "tmpfs"
    }

    async fn held(
        engine: &Engine,
        wanted: &[Wanted<VolumeSpec>],
        moment: Moment,
    ) -> Vec<Result<Held, CallError>> {
        stored::in_volumes(engine, wanted, moment).await
    }

    fn migrates(_from: &VolumeSpec, to: &VolumeSpec) -> Migration {
        match to.migrate {
            Some(Migrate::Copy) => Migration::Offline,
            None => Migration::None,
        }
    }

    fn replace_cautions(from: &VolumeSpec, _to: &VolumeSpec) -> Vec<Problem> {
        if from.elsewhere().is_some() {
            return Vec::new();
        }
        vec![Problem {
            attribute: "migrate".to_owned(),
            message: "the volume made in its place is empty".to_owned(),
            hint: Some("let its files be copied: `migrate: \"copy\"`".to_owned()),
        }]
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
                if let Some(volume) = by_name.get(name) {
                    return Ok(Some(observe(volume, wanted)));
                }
                // Just being made anew when the run was killed: its files are there.
                let aside = by_name.get(carry::aside(name).as_str());
                let aside = aside.filter(|_| wanted.id.is_some());
                let aside = aside.map(|volume| observe(volume, wanted));
                Ok(aside.filter(|found| found.owner == Owner::Ours).map(|found| Found {
                    id: name.to_owned(),
                    natural: name.to_owned(),
                    spec: wanted.spec.clone(),
                    ..found
                }))
            })
            .collect()
    }

    async fn create(
        engine: &Engine,
        name: &Name,
        spec: VolumeSpec,
    ) -> Result<Created<VolumeFacts>, CallError> {
        labels::check_name("volume", &name.natural)?;
        // What an interrupted run has set aside belongs in it.
        if carry::set_aside(engine, name).await? && look(engine, &name.natural).await?.is_none()
        {
            carry::over(engine, name, &spec).await?;
            let facts = facts(engine, name).await?;
            return Ok(Created { id: name.natural.clone(), facts });
        }
        let created = make(engine, name, &name.natural, &spec).await?;
        let facts = VolumeFacts { mountpoint: created.mountpoint };
        Ok(Created { id: created.name, facts })
    }

    async fn update(
        engine: &Engine,
        name: &Name,
        _id: &str,
        _from: VolumeSpec,
        to: VolumeSpec,
    ) -> Result<VolumeFacts, CallError> {
        carry::over(engine, name, &to).await?;
        facts(engine, name).await
    }

    async fn delete(
        engine: &Engine,
        name: &Name,
        id: &str,
        _spec: VolumeSpec,
    ) -> Result<(), CallError> {
        // The copy may be the only whole one: it stays for as long as the volume cannot go.
        removed(engine, name, id).await?;
        carry::dropped(engine, name).await
    }
}

/// The volume of that name; `None` when there is none.
pub(super) async fn look(engine: &Engine, volume: &str) -> Result<Option<Listed>, CallError> {
    match engine.docker.inspect_volume(volume).await {
        Ok(found) => Ok(Some(found)),
        Err(error) if status(&error) == Some(404) => Ok(None),
        Err(error) => Err(engine.failed(&format!("looking for volume `{volume}`"), &error)),
    }
}

async fn facts(engine: &Engine, name: &Name) -> Result<VolumeFacts, CallError> {
    let found = look(engine, &name.natural).await?.ok_or_else(|| gone(name))?;
    Ok(VolumeFacts { mountpoint: found.mountpoint })
}

/// There is no such volume any more.
pub(super) fn gone(name: &Name) -> CallError {
    CallError::refused(format!("volume `{}` is gone", name.natural))
        .hint("plan again: it will be made anew")
}

/// Makes a volume called `natural` for an object.
pub(super) async fn make(
    engine: &Engine,
    name: &Name,
    natural: &str,
    spec: &VolumeSpec,
) -> Result<Listed, CallError> {
    // The engine would hand out the volume that is there and call it created.
    if let Some(taken) = look(engine, natural).await? {
        let whose = labels::whose(&taken.labels);
        let message = format!("a volume named `{natural}` exists already ({whose})");
        return Err(CallError::new(Failure::Exists, message)
            .hint("give this one another `name`, or take it over with `adopt: true`"));
    }
    let options = spec.options.iter().map(|(key, value)| (key.clone(), value.0.clone()));
    let request = VolumeCreateRequest {
        name: Some(natural.to_owned()),
        driver: Some(spec.driver.clone()),
        driver_opts: Some(options.collect()),
        labels: Some(labels::marked(name, &spec.labels.0)),
        ..VolumeCreateRequest::default()
    };
    engine.docker.create_volume(request).await.map_err(|error| {
        let failed = engine.failed(&format!("creating volume `{natural}`"), &error);
        if spec.driver == "local" {
            return failed;
        }
        failed.hint(format!("`{}` must be installed: `docker plugin ls`", spec.driver))
    })
}

/// Removes a volume; fine when there is none.
pub(super) async fn removed(
    engine: &Engine,
    name: &Name,
    volume: &str,
) -> Result<(), CallError> {
    let doing = || format!("removing volume `{}`", name.natural);
    for again in [true, false] {
        let removed = engine.docker.remove_volume(volume, None::<RemoveVolumeOptions>).await;
        let Err(error) = removed else { return Ok(()) };
        match status(&error) {
            Some(404) => return Ok(()),
            Some(409) if again => Helper::cleared(engine, volume).await?,
            Some(409) => break,
            _ => return Err(engine.failed(&doing(), &error)),
        }
    }
    Err(in_use(engine, name, volume).await)
}

fn observe(volume: &Listed, wanted: &Wanted<VolumeSpec>) -> Found<VolumeSpec, VolumeFacts> {
    // Nothing the engine knows.
    let spec = VolumeSpec {
        migrate: wanted.spec.migrate,
        ..VolumeSpec::of(volume, &wanted.spec.driver)
    };
    Found {
        id: volume.name.clone(),
        natural: volume.name.clone(),
        spec,
        facts: VolumeFacts { mountpoint: volume.mountpoint.clone() },
        owner: labels::owner(&volume.labels, &wanted.name, wanted.id.is_some()),
    }
}

/// The containers that have a volume, those that do not run too.
async fn users(engine: &Engine, volume: &str) -> Result<Vec<String>, CallError> {
    let filters = HashMap::from([("volume", vec![volume])]);
    let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
    let users = engine.list_containers(Some(options)).await;
    let users = users.map_err(|error| engine.failed("listing containers", &error))?;
    let mut names: Vec<_> = users
        .into_iter()
        .filter_map(|container| container.names?.into_iter().next())
        .map(|name| format!("`{}`", name.trim_start_matches('/')))
        .collect();
    names.sort();
    Ok(names)
}

/// Whether a container has a volume.
pub(super) async fn is_used(engine: &Engine, volume: &str) -> Result<bool, CallError> {
    Ok(!users(engine, volume).await?.is_empty())
}

/// Why a volume cannot go.
pub(super) async fn in_use(engine: &Engine, name: &Name, volume: &str) -> CallError {
    let names = users(engine, volume).await.unwrap_or_default();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_without_a_tag_is_the_one_with_the_usual_tag() {
        let asked = |driver: &str| VolumeSpec { driver: driver.into(), ..VolumeSpec::plain() };
        let there = |driver: &str| Listed { driver: driver.into(), ..Listed::default() };
        for (driver, is) in [
            ("vieux/sshfs:latest", true),
            ("vieux/sshfs", true),
            ("vieux/sshfs:next", false),
            ("local", false),
        ] {
            assert_eq!(asked("vieux/sshfs").is_like(&there(driver)), is, "{driver}");
        }
        assert!(!asked("vieux/sshfs:latest").is_like(&there("vieux/sshfs:next")));
        assert!(asked("vieux/sshfs:latest").is_like(&there("vieux/sshfs:latest")));
    }
}
