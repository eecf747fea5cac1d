//! Getting an image from its registry.

use std::sync::PoisonError;

use bollard::errors::Error;
use bollard::models::ImageInspect;
use bollard::query_parameters::{CreateImageOptionsBuilder, PushImageOptionsBuilder};
use dollop_engine::error::{CallError, Failure};
use futures::StreamExt as _;

use super::engine::{Engine, said, status};
use super::image::Platform;
use super::{reference, registry};

/// The image as the engine has it; `None` when it has none of that name.
pub(crate) async fn local(
    engine: &Engine,
    image: &str,
) -> Result<Option<ImageInspect>, CallError> {
    match engine.docker.inspect_image(image).await {
        Ok(found) => Ok(Some(found)),
        Err(error) if status(&error) == Some(404) => Ok(None),
        Err(error) => Err(engine.failed(&format!("looking for image `{image}`"), &error)),
    }
}

/// The image as the engine has it, pulled first when it is not there, or not for that
/// platform.
pub(crate) async fn local_or_pulled(
    engine: &Engine,
    image: &str,
    platform: Option<&str>,
) -> Result<ImageInspect, CallError> {
    let fits =
        |found: &ImageInspect| platform.is_none_or(|platform| Platform::of(found).is(platform));
    if let Some(found) = local(engine, image).await?.filter(fits) {
        return Ok(found);
    }
    let for_platform = platform.map(|platform| format!(" for {platform}")).unwrap_or_default();
    let trouble = format!("is not there{for_platform} and cannot be pulled");
    fetch(engine, image, platform, &trouble).await
}

/// Pulls the image, also when one of that name is there.
pub(crate) async fn pulled(
    engine: &Engine,
    image: &str,
    platform: Option<&str>,
) -> Result<ImageInspect, CallError> {
    fetch(engine, image, platform, "cannot be pulled").await
}

/// `trouble` is what to say when it fails.
async fn fetch(
    engine: &Engine,
    image: &str,
    platform: Option<&str>,
    trouble: &str,
) -> Result<ImageInspect, CallError> {
    if reference::is_id(image) {
        let message = format!("image `{image}` is not there, and no registry knows an id");
        return Err(CallError::refused(message).hint("name a repository and a tag instead"));
    }
    let (repository, tag, digest) = reference::split(image);
    let options = CreateImageOptionsBuilder::new().from_image(repository);
    // Without a tag the engine would pull every one there is.
    let options = options.tag(digest.or(tag).unwrap_or("latest"));
    let options = options.platform(platform.unwrap_or_default()).build();
    let login = registry::credentials(&engine.logins, image).await?;
    let mut progress = engine.docker.create_image(Some(options), None, login);
    while let Some(step) = progress.next().await {
        step.map_err(|error| explain(engine, image, trouble, &error))?;
    }
    let found = local(engine, image).await?;
    found.ok_or_else(|| {
        CallError::refused(format!("image `{image}` is gone right after its pull"))
    })
}

/// The digest the image has in its registry now; nothing where the engine cannot tell.
pub(crate) async fn digest(engine: &Engine, image: &str) -> Result<Option<String>, CallError> {
    let image = &reference::familiar(image);
    if reference::is_id(image) || reference::split(image).2.is_some() {
        return Ok(None);
    }
    let login = registry::credentials(&engine.logins, image).await?;
    let found = engine.docker.inspect_registry_image(image, login).await;
    match found {
        Ok(found) => {
            let digest = found.descriptor.digest;
            let mut known = engine.digests.lock().unwrap_or_else(PoisonError::into_inner);
            known.insert(image.clone(), digest.clone());
            Ok(digest)
        }
        Err(error) => Err(explain(engine, image, "cannot be looked up", &error)),
    }
}

/// The same as it was when it was last asked; asked now if it never was.
pub(crate) async fn known_digest(
    engine: &Engine,
    image: &str,
) -> Result<Option<String>, CallError> {
    let known = {
        let known = engine.digests.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&reference::familiar(image)).cloned()
    };
    match known {
        Some(known) => Ok(known),
        None => digest(engine, image).await,
    }
}

/// Sends the image to its registry.
pub(crate) async fn pushed(engine: &Engine, image: &str) -> Result<(), CallError> {
    let login = registry::credentials(&engine.logins, image).await?;
    let (repository, tag, _) = reference::split(image);
    let options = PushImageOptionsBuilder::new().tag(tag.unwrap_or("latest")).build();
    let mut progress = engine.docker.push_image(repository, Some(options), login);
    while let Some(step) = progress.next().await {
        step.map_err(|error| explain(engine, image, "cannot be pushed", &error))?;
    }
    Ok(())
}

fn explain(engine: &Engine, image: &str, trouble: &str, error: &Error) -> CallError {
    if status(error).is_none() && !matches!(error, Error::DockerStreamError { .. }) {
        return engine.failed(&format!("pulling image `{image}`"), error);
    }
    let registry = reference::registry(image);
    let said = said(error);
    let has = |parts: &[&str]| parts.iter().any(|part| said.contains(part));
    let cannot = |why: String| format!("image `{image}` {trouble}: {why}");
    if has(&["no such host", "connection refused", "dial tcp", "timeout", "network is unreach"])
    {
        let message = cannot(format!("no answer from registry `{registry}`"));
        return CallError::unreachable(message)
            .note(format!("the engine says: {said}"))
            .hint("check the engine's way to the registry, or bring the image another way: `docker load`");
    }
    if has(&["unauthorized", "authentication required", "no basic auth", "denied"]) {
        let message = cannot(format!(
            "registry `{registry}` does not have it or does not show it to everyone"
        ));
        return CallError::new(Failure::Denied, message)
            .note(format!("the engine says: {said}"))
            .hint(format!("check the name; if it is private, log in, `docker login {registry}`, or declare it: `registries` of `docker::engine`"));
    }
    if has(&["not found", "manifest unknown", "name unknown", "does not exist"]) {
        let (repository, tag, digest) = reference::split(image);
        let version = digest.or(tag).unwrap_or("latest");
        let message = cannot(format!(
            "registry `{registry}` has no `{repository}` in version `{version}`"
        ));
        return CallError::refused(message)
            .note(format!("the engine says: {said}"))
            .hint("check name and tag");
    }
    if has(&["invalid reference format"]) {
        let message = format!("`{image}` is not the name of an image");
        return CallError::refused(message)
            .hint("one looks like `postgres:15` or `host:5000/team/app:1`");
    }
    CallError::refused(cannot(said))
}
