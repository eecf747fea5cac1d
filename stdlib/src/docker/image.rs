//! Images.

use std::collections::HashMap;

use bollard::models::{ImageInspect, ImageSummary};
use bollard::query_parameters::{ListImagesOptionsBuilder, RemoveImageOptions};
use dollop_engine::error::CallError;
use dollop_engine::resource::{Created, Found, Name, Owner, ReadResult, Resource, Wanted};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::engine::{Engine, status};
use super::{pull, reference};

/// An image the engine has, pulled when it has not; its name is the reference:
/// `postgres:15`, `ghcr.io/team/app@sha256:...`.
///
/// One that is there already is used as it is: images belong to nobody.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImageSpec {
    /// When to ask the registry: `missing` (only when the engine has no image of that
    /// name), `always` (when it is made, for tags that move) or `never`.
    #[serde(default)]
    pub pull: Pull,
    /// Leave the image on the engine when it is no longer declared. Without it, it is
    /// removed unless a container or another name still uses it.
    #[serde(default = "yes")]
    pub keep: bool,
}

fn yes() -> bool {
    true
}

/// When to ask the registry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Pull {
    /// When the engine has no image of that name.
    #[default]
    Missing,
    /// Each time it is made.
    Always,
    /// Not at all: it must be there.
    Never,
}

/// What the engine reports about an image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ImageFacts {
    /// The engine's id of it, `sha256:...`; another one when the tag moves.
    pub id: String,
    /// What pins exactly this image in its registry, `postgres@sha256:...`; nothing when
    /// it was built or loaded here.
    pub repo_digest: Option<String>,
}

/// `docker::image`; the API's `/images`. Its id is its reference, which stays when the tag
/// moves to another image.
pub struct Image;

impl Resource for Image {
    const KIND: &'static str = "docker::image";
    type Connection = Engine;
    type Spec = ImageSpec;
    type Facts = ImageFacts;

    async fn read(engine: &Engine, wanted: &[Wanted<ImageSpec>]) -> Vec<ReadResult<Self>> {
        let options = ListImagesOptionsBuilder::new().digests(true).build();
        let listed = match engine.docker.list_images(Some(options)).await {
            Ok(listed) => listed,
            Err(error) => {
                let error = engine.failed("listing images", &error);
                return wanted.iter().map(|_| Err(error.clone())).collect();
            }
        };
        let known: HashMap<&str, &ImageSummary> = listed
            .iter()
            .flat_map(|image| {
                let names = image.repo_tags.iter().chain(&image.repo_digests);
                names.map(String::as_str).chain([image.id.as_str()]).map(move |n| (n, image))
            })
            .collect();
        wanted
            .iter()
            .map(|wanted| {
                let image = known.get(listed_as(&wanted.name.natural).as_str());
                Ok(image.map(|image| Found {
                    id: reference::familiar(&wanted.name.natural),
                    natural: wanted.name.natural.clone(),
                    // Neither is the engine's to know.
                    spec: wanted.spec.clone(),
                    facts: facts(&wanted.name.natural, &image.id, &image.repo_digests),
                    owner: Owner::Ours,
                }))
            })
            .collect()
    }

    async fn create(
        engine: &Engine,
        name: &Name,
        spec: ImageSpec,
    ) -> Result<Created<ImageFacts>, CallError> {
        let image = reference::familiar(&name.natural);
        let found = match spec.pull {
            Pull::Missing => pull::local_or_pulled(engine, &image).await?,
            Pull::Always => pull::pulled(engine, &image).await?,
            Pull::Never => pull::local(engine, &image).await?.ok_or_else(|| missing(&image))?,
        };
        Ok(Created { facts: inspected(&image, found), id: image })
    }

    async fn update(
        engine: &Engine,
        name: &Name,
        _id: &str,
        from: ImageSpec,
        to: ImageSpec,
    ) -> Result<ImageFacts, CallError> {
        let image = reference::familiar(&name.natural);
        let found = if to.pull == Pull::Always && from.pull != Pull::Always {
            pull::pulled(engine, &image).await?
        } else {
            pull::local(engine, &image).await?.ok_or_else(|| missing(&image))?
        };
        Ok(inspected(&image, found))
    }

    async fn delete(
        engine: &Engine,
        name: &Name,
        _id: &str,
        spec: ImageSpec,
    ) -> Result<(), CallError> {
        if spec.keep {
            return Ok(());
        }
        let image = reference::familiar(&name.natural);
        let removed =
            engine.docker.remove_image(&image, None::<RemoveImageOptions>, None).await;
        let Err(error) = removed else { return Ok(()) };
        match status(&error) {
            // Gone, or in use by somebody else, who may keep it.
            Some(404 | 409) => Ok(()),
            _ => Err(engine.failed(&format!("removing image `{image}`"), &error)),
        }
    }
}

/// The form a reference has in the engine's list: a digest stands without its tag.
fn listed_as(natural: &str) -> String {
    let image = reference::familiar(natural);
    match reference::split(&image) {
        (repository, Some(_), Some(digest)) => format!("{repository}@{digest}"),
        _ => image,
    }
}

fn inspected(image: &str, found: ImageInspect) -> ImageFacts {
    facts(image, &found.id.unwrap_or_default(), &found.repo_digests.unwrap_or_default())
}

fn facts(image: &str, id: &str, digests: &[String]) -> ImageFacts {
    let image = reference::familiar(image);
    let (repository, _, _) = reference::split(&image);
    let own = digests.iter().find(|digest| reference::split(digest).0 == repository);
    ImageFacts { id: id.to_owned(), repo_digest: own.cloned() }
}

fn missing(image: &str) -> CallError {
    let message = format!("image `{image}` is not there, and `pull` is `never`");
    CallError::refused(message)
        .hint("bring it with `docker load`, or let it be pulled: `pull: \"missing\"`")
}
