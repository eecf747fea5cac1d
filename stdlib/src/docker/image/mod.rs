//! Images.

mod build;
mod buildkit;
mod context;
mod moved;
mod progress;
mod session;
mod transfer;

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, SystemTime};

use bollard::models::{ImageInspect, ImageSummary};
use bollard::query_parameters::{
    ListImagesOptions, RemoveImageOptions, TagImageOptionsBuilder,
};
use dollop_engine::analysis::{Claim, Claimed};
use dollop_engine::error::CallError;
use dollop_engine::path::Path;
use dollop_engine::resource::{
    Created, Found, Name, Owner, Preview, Problem, Proposed, ReadResult, Resource, Scope,
    Traits, Wanted,
};
use futures::{StreamExt as _, stream};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::engine::{Engine, status};
use super::{instead, pull, reference};
use build::Build;

/// How many images are looked at at once.
const AT_ONCE: usize = 8;

/// An image the engine has: pulled when it has not, or built from a folder. Its name is the
/// reference: `postgres:15`, `ghcr.io/team/app@sha256:...`.
///
/// One that is there already is used as it is: images belong to nobody. A container that
/// should follow every change of it says `image: img.id`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImageSpec {
    /// When to ask the registry: `missing` (only when the engine has no image of that
    /// name), `always` (with every plan, for tags that move), `daily` or `weekly` (when it was
    /// asked, or the one there was named, longer ago than that) or `never`.
    #[serde(default)]
    pub pull: Pull,
    /// The platform, `linux/arm64`; the engine's own when left out.
    #[serde(default)]
    pub platform: Option<String>,
    /// Build it from a folder instead: `"./app"`, or `#{ context: "./app", target: "web" }`.
    #[serde(default, deserialize_with = "build::short_or_long")]
    #[schemars(schema_with = "build::written")]
    pub build: Option<Build>,
    /// Whether it must be what its folder or, where `pull` asks, its tag stands for now.
    /// A plan shows `false` when files were edited or the tag was moved.
    #[serde(default = "yes")]
    pub up_to_date: bool,
    /// More names for the same image.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Whether its registry must have it: it is pushed after it was built.
    #[serde(default)]
    pub push: bool,
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
    /// With every plan.
    Always,
    /// When it was asked, or the one that is there got its name, more than a day ago.
    Daily,
    /// The same after a week.
    Weekly,
    /// Not at all: it must be there.
    Never,
}

impl Pull {
    /// How long an image is taken as it is; nothing when its registry is never asked again.
    fn holds(self) -> Option<Duration> {
        match self {
            Self::Missing | Self::Never => None,
            Self::Always => Some(Duration::ZERO),
            Self::Daily => Some(Duration::from_hours(24)),
            Self::Weekly => Some(Duration::from_hours(24 * 7)),
        }
    }

    /// Whether it is time to ask about an image that is there; `asked` is when that was done
    /// last.
    async fn is_due(
        self,
        engine: &Engine,
        image: &str,
        asked: Option<&str>,
    ) -> Result<bool, CallError> {
        let Some(holds) = self.holds() else { return Ok(false) };
        let recent = |at: Option<&str>| {
            let at = at.and_then(|text| humantime::parse_rfc3339_weak(text).ok());
            at.and_then(|at| at.elapsed().ok()).is_some_and(|age| age < holds)
        };
        if holds.is_zero() || recent(asked) {
            return Ok(holds.is_zero());
        }
        // The engine notes when an image was tagged, built or imported, never that it was
        // pulled.
        let found = pull::local(engine, image).await?;
        let named = found.and_then(|found| found.metadata?.last_tag_time);
        Ok(!recent(named.as_deref()))
    }

    /// What to remember of having asked just now: nothing where it does not matter.
    fn asked_now(self) -> Option<String> {
        let counts = self.holds().is_some_and(|holds| !holds.is_zero());
        counts.then(|| humantime::format_rfc3339_seconds(SystemTime::now()).to_string())
    }
}

/// What the engine reports about an image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ImageFacts {
    /// The engine's id of it, `sha256:...`; another one when the tag moves.
    pub id: String,
    /// What pins exactly this image in its registry, `postgres@sha256:...`; nothing when
    /// it was built or loaded here.
    pub repo_digest: Option<String>,
    /// When its registry was last asked, for `pull: "daily"` and `"weekly"`.
    #[serde(default)]
    pub asked_at: Option<String>,
}

/// `docker::image`; the API's `/images`. Its id is its reference, which stays when the tag
/// moves to another image.
pub struct Image;

impl Resource for Image {
    const KIND: &'static str = "docker::image";
    type Connection = Engine;
    type Spec = ImageSpec;
    type Facts = ImageFacts;

    fn traits() -> Traits {
        Traits { instead: instead::IMAGE, ..Traits::default() }
    }

    fn claims(_: &Name, spec: &ImageSpec) -> Vec<Claimed> {
        let paths = spec.build.iter().filter_map(Build::needs);
        let claims =
            paths.map(|path| Claimed::new(Path::attribute("build"), Claim::NeedsPath(path)));
        claims.collect()
    }

    fn normalize(spec: &mut ImageSpec) {
        spec.platform = spec.platform.take().filter(|platform| !platform.is_empty());
        if let Some(build) = &mut spec.build {
            build.normalize();
        }
        for tag in &mut spec.tags {
            *tag = reference::familiar(tag);
        }
        spec.tags.sort();
        spec.tags.dedup();
    }

    fn check_named(natural: &str, _spec: &ImageSpec) -> Vec<Problem> {
        let wrong = reference::wrong(natural).into_iter();
        wrong
            .map(|message| Problem { attribute: "name".to_owned(), message, hint: None })
            .collect()
    }

    fn check(spec: &ImageSpec) -> Vec<Problem> {
        let pulled = spec.build.is_some() && spec.pull != Pull::Missing;
        let pulled = pulled.then(|| Problem {
            attribute: "pull".to_owned(),
            message: "an image that is built is not pulled".to_owned(),
            hint: Some(
                "leave out `pull` or `build`; the images it starts from are asked for \
                        with `pull` in `build`"
                    .to_owned(),
            ),
        });
        spec.build.as_ref().and_then(Build::check).into_iter().chain(pulled).collect()
    }

    fn renews(from: &ImageSpec, to: &ImageSpec) -> bool {
        let again = to.up_to_date && !from.up_to_date;
        // What it was built from is part of the image.
        let otherwise = to.build.is_some() && from.build != to.build;
        again || otherwise || from.platform != to.platform
    }

    const READS_FILES: bool = true;

    async fn sources(
        scope: &Scope,
        spec: &ImageSpec,
    ) -> Result<BTreeMap<String, String>, CallError> {
        let Some(build) = &spec.build else { return Ok(BTreeMap::new()) };
        let digest = build.digest(scope, spec.platform.as_deref()).await?;
        Ok(BTreeMap::from([(build.context.clone(), digest)]))
    }

    async fn read(engine: &Engine, wanted: &[Wanted<ImageSpec>]) -> Vec<ReadResult<Self>> {
        let listed = match list(engine).await {
            Ok(listed) => listed,
            Err(error) => return wanted.iter().map(|_| Err(error.clone())).collect(),
        };
        let known: HashMap<String, &ImageSummary> = listed
            .iter()
            .flat_map(|image| {
                let names = image.repo_tags.iter().chain(&image.repo_digests);
                let names = names.flat_map(|name| reference::known_as(name));
                names.chain([image.id.clone()]).map(move |name| (name, image))
            })
            .collect();
        let known = &known;
        let mut looks = Vec::with_capacity(wanted.len());
        for wanted in wanted {
            looks.push(async move {
                match known.get(&listed_as(&wanted.name.natural)) {
                    Some(image) => observed(engine, wanted, image).await.map(Some),
                    None => Ok(None),
                }
            });
        }
        stream::iter(looks).buffered(AT_ONCE).collect().await
    }

    const PREVIEWS: bool = true;

    async fn preview(
        engine: &Engine,
        proposed: &[Proposed<ImageSpec>],
    ) -> Result<Vec<Preview>, CallError> {
        moved::preview(engine, proposed).await
    }

    async fn create(
        engine: &Engine,
        name: &Name,
        spec: ImageSpec,
    ) -> Result<Created<ImageFacts>, CallError> {
        let image = reference::familiar(&name.natural);
        let platform = spec.platform.as_deref();
        let mut asked_at = None;
        let found = match (&spec.build, spec.pull) {
            (Some(build), _) => {
                // Whether one that is there saw these secrets, nothing on it tells.
                let others =
                    !build.secrets.0.is_empty() && pull::local(engine, &image).await?.is_some();
                built(engine, &image, build, platform, others).await?
            }
            (None, Pull::Missing) => pull::local_or_pulled(engine, &image, platform).await?,
            (None, pull @ (Pull::Always | Pull::Daily | Pull::Weekly)) => {
                if pull.is_due(engine, &image, None).await? {
                    asked_at = pull.asked_now();
                    pull::pulled(engine, &image, platform).await?
                } else {
                    pull::local_or_pulled(engine, &image, platform).await?
                }
            }
            (None, Pull::Never) => {
                pull::local(engine, &image).await?.ok_or_else(|| missing(&image))?
            }
        };
        let found = handed_on(engine, &image, found, &[], &spec).await?;
        let facts = ImageFacts { asked_at, ..inspected(&image, found) };
        Ok(Created { facts, id: image })
    }

    async fn update(
        engine: &Engine,
        name: &Name,
        _id: &str,
        from: ImageSpec,
        to: ImageSpec,
    ) -> Result<ImageFacts, CallError> {
        let image = reference::familiar(&name.natural);
        let platform = to.platform.as_deref();
        let renew = to.up_to_date && !from.up_to_date;
        let asks = to.pull.holds().is_some();
        let always = asks && renew || to.pull == Pull::Always && from.pull != Pull::Always;
        let mut asked_at = None;
        let found = match &to.build {
            // One whose folder may differ stays while the build itself is the same.
            Some(build) if to.up_to_date || from.build != to.build => {
                // The digest on the image knows nothing of them.
                let others =
                    from.build.as_ref().is_some_and(|had| had.secrets != build.secrets);
                built(engine, &image, build, platform, others).await?
            }
            None if always || from.platform != to.platform || from.build.is_some() => {
                asked_at = to.pull.asked_now();
                pull::pulled(engine, &image, platform).await?
            }
            _ => pull::local(engine, &image).await?.ok_or_else(|| missing(&image))?,
        };
        let found = handed_on(engine, &image, found, &from.tags, &to).await?;
        Ok(ImageFacts { asked_at, ..inspected(&image, found) })
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
        for name in spec.tags.iter().chain([&image]) {
            untag(engine, name).await?;
        }
        Ok(())
    }
}

/// Takes a name away; the image goes with its last one.
async fn untag(engine: &Engine, name: &str) -> Result<(), CallError> {
    let removed = engine.docker.remove_image(name, None::<RemoveImageOptions>, None).await;
    let Err(error) = removed else { return Ok(()) };
    match status(&error) {
        // Gone, or in use by somebody else, who may keep it.
        Some(404 | 409) => Ok(()),
        _ => Err(engine.failed(&format!("removing image `{name}`"), &error)),
    }
}

/// Builds it, unless the one of that name was built from the same; with `anew` even then, and
/// from nothing.
async fn built(
    engine: &Engine,
    image: &str,
    build: &Build,
    platform: Option<&str>,
    anew: bool,
) -> Result<ImageInspect, CallError> {
    let digest = build.digest(&engine.scope, platform).await?;
    if !anew && let Some(found) = pull::local(engine, image).await? {
        let labels = found.config.as_ref().and_then(|config| config.labels.as_ref());
        if labels.and_then(|labels| labels.get(build::MARK)) == Some(&digest) {
            return Ok(found);
        }
    }
    build.run(engine, image, platform, &digest, anew).await?;
    pull::local(engine, image).await?.ok_or_else(|| {
        CallError::refused(format!("image `{image}` is gone right after it was built"))
    })
}

/// Gives it its other names and pushes it.
async fn handed_on(
    engine: &Engine,
    image: &str,
    found: ImageInspect,
    had: &[String],
    spec: &ImageSpec,
) -> Result<ImageInspect, CallError> {
    for gone in had.iter().filter(|tag| !spec.tags.contains(tag)) {
        untag(engine, gone).await?;
    }
    let id = found.id.clone().unwrap_or_default();
    for tag in &spec.tags {
        let (repository, version, _) = reference::split(tag);
        let options = TagImageOptionsBuilder::new().repo(repository);
        let options = options.tag(version.unwrap_or("latest")).build();
        let tagged = engine.docker.tag_image(&id, Some(options)).await;
        let doing = || format!("giving image `{image}` the name `{tag}`");
        tagged.map_err(|error| engine.failed(&doing(), &error))?;
    }
    if !spec.push {
        return Ok(found);
    }
    for name in spec.tags.iter().map(String::as_str).chain([image]) {
        pull::pushed(engine, name).await?;
    }
    // With a digest now.
    Ok(pull::local(engine, image).await?.unwrap_or(found))
}

/// The image as it is.
async fn observed(
    engine: &Engine,
    wanted: &Wanted<ImageSpec>,
    image: &ImageSummary,
) -> Result<Found<ImageSpec, ImageFacts>, CallError> {
    let asked = &wanted.spec;
    let natural = &wanted.name.natural;
    let mut facts = facts(natural, &image.id, &image.repo_digests);
    let recorded = wanted.facts.as_ref().and_then(|facts| facts["asked_at"].as_str());
    facts.asked_at = recorded.map(str::to_owned);
    let platform = match &asked.platform {
        Some(asked) => {
            let real = pull::local(engine, &image.id).await?;
            let real = real.as_ref().map(Platform::of).filter(|real| !real.is(asked));
            Some(real.map_or_else(|| asked.clone(), |real| real.to_string()))
        }
        None => None,
    };
    let due = asked.build.is_none()
        && asked.pull.is_due(engine, &image.id, facts.asked_at.as_deref()).await?;
    let up_to_date = match &asked.build {
        _ if !asked.up_to_date => false,
        // A folder that cannot be read is no reason to stop a plan that may take it out;
        // building says what is wrong with it.
        Some(build) => match build.digest(&engine.scope, asked.platform.as_deref()).await {
            Ok(digest) => image.labels.get(build::MARK) == Some(&digest),
            Err(_) => false,
        },
        None if !due => true,
        None => match &facts.repo_digest {
            Some(has) => {
                let is = pull::digest(engine, natural).await?;
                let same = is.is_none_or(|is| has.ends_with(&is));
                if same {
                    facts.asked_at = asked.pull.asked_now();
                }
                same
            }
            None => false,
        },
    };
    let tags = asked
        .tags
        .iter()
        .filter(|tag| {
            image.repo_tags.iter().any(|name| reference::known_as(name).contains(tag))
        })
        .cloned();
    let spec = ImageSpec {
        platform,
        up_to_date,
        tags: tags.collect(),
        push: asked.push && facts.repo_digest.is_some(),
        ..asked.clone()
    };
    Ok(Found {
        id: reference::familiar(natural),
        natural: natural.clone(),
        spec,
        facts,
        owner: Owner::Ours,
    })
}

/// All images of the engine. Podman answers nothing when asked for digests, and Docker tells
/// them anyway.
async fn list(engine: &Engine) -> Result<Vec<ImageSummary>, CallError> {
    let listed = engine.docker.list_images(None::<ListImagesOptions>).await;
    listed.map_err(|error| engine.failed("listing images", &error))
}

/// The id of each image of the engine by its names; one list call.
pub(crate) async fn ids(engine: &Engine) -> Result<HashMap<String, String>, CallError> {
    let names = list(engine).await?.into_iter().flat_map(|image| {
        let names = image.repo_tags.into_iter().chain(image.repo_digests);
        let names = names.flat_map(|name| reference::known_as(&name));
        names.map(move |name| (name, image.id.clone())).collect::<Vec<_>>()
    });
    Ok(names.collect())
}

/// What pins an image of that name in its registry, from all its digests.
pub(crate) fn digest(image: &str, digests: &[String]) -> Option<String> {
    let image = reference::familiar(image);
    let (repository, _, _) = reference::split(&image);
    // Known by its id alone, it has whatever name it was pulled under.
    let own = digests.iter().find(|digest| reference::split(digest).0 == repository);
    own.or_else(|| digests.first().filter(|_| reference::is_id(&image))).cloned()
}

/// What an image runs on, `linux/arm64/v8`.
pub(crate) struct Platform(Vec<String>);

impl Platform {
    pub(crate) fn of(image: &ImageInspect) -> Self {
        let parts = [&image.os, &image.architecture, &image.variant];
        let parts = parts.into_iter().flatten().filter(|part| !part.is_empty());
        Self(parts.cloned().collect())
    }

    /// Whether it is what was asked for; a variant left out means any.
    pub(crate) fn is(&self, asked: &str) -> bool {
        let asked = asked.split('/').map(|part| match part {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            part => part,
        });
        asked.zip(&self.0).all(|(asked, real)| asked == real)
    }
}

impl std::fmt::Display for Platform {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.0.join("/"))
    }
}

/// The form a reference has in the engine's list: a digest stands without its tag.
pub(crate) fn listed_as(natural: &str) -> String {
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
    // When it was asked is nothing the engine knows.
    ImageFacts { id: id.to_owned(), repo_digest: digest(image, digests), asked_at: None }
}

fn missing(image: &str) -> CallError {
    let message = format!("image `{image}` is not there, and `pull` is `never`");
    CallError::refused(message)
        .hint("bring it with `docker load`, or let it be pulled: `pull: \"missing\"`")
}
