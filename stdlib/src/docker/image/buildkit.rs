//! Building with BuildKit.
//!
//! The same call as for the classic builder, with another version. Beside it a session is
//! open: on it the engine asks for files, secrets and logins. bollard opens one too, but its
//! session knows logins alone, so both requests are made here.

use bollard::query_parameters::{BuildImageOptions, BuilderVersion};
use dollop_engine::error::CallError;
use dollop_engine::redact::{Redactor, Secrets};
use hyper::{Method, Request};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::container::Pairs;
use super::super::engine::{Engine, plain};
use super::super::wire;
use super::build::Build;
use super::progress::Progress;
use super::session::Session;
use super::transfer::Source;

/// The version of the API since which BuildKit is no experiment.
const SINCE: usize = 39;
/// The version of the API since which BuildKit heeds the size of `/dev/shm`.
const SHM_SIZE_SINCE: usize = 42;
/// Where the engine finds the files: it asks for them in the session.
const IN_SESSION: &str = "client-session";

/// Who builds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Builder {
    /// The engine's first one: each step is a container.
    Classic,
    /// The one engines have had beside it since 18.09.
    BuildKit,
}

/// What went wrong, in the engine's words, and where.
pub(super) struct Failure {
    pub(super) said: String,
    /// The step that failed, and the end of what it printed.
    pub(super) step: Option<(String, Option<String>)>,
    /// Whether it was about the image that understands the Dockerfile.
    pub(super) frontend: bool,
}

/// Who builds it on this engine.
pub(super) async fn chosen(engine: &Engine, build: &Build) -> Result<Builder, CallError> {
    let needed_for = match build.builder {
        _ if !build.secrets.0.is_empty() => Some("`secrets`"),
        Some(Builder::BuildKit) => Some("`builder: \"buildkit\"`"),
        _ => None,
    };
    // What BuildKit would refuse or leave out without a word.
    let network = build.network.as_deref();
    let named = network.is_some_and(|it| !matches!(it, "host" | "none" | "default"));
    let cannot = if named {
        Some("a `network` by name")
    } else if build.shm_size.is_some() && !engine.has(SHM_SIZE_SINCE) {
        Some("`shm_size` on an engine this old")
    } else {
        None
    };
    match (needed_for, cannot) {
        (None, None) if build.builder.is_none() && offered(engine).await? => {
            Ok(Builder::BuildKit)
        }
        (None, _) => Ok(Builder::Classic),
        (Some(what), Some(cannot)) => {
            let message = format!("{what} needs BuildKit, which cannot do {cannot}");
            Err(CallError::refused(message).hint("leave one of them out"))
        }
        (Some(_), None) if offered(engine).await? => Ok(Builder::BuildKit),
        (Some(what), None) => {
            let message = format!(
                "{what} needs BuildKit, which the engine at `{}` does not have",
                engine.at
            );
            Err(CallError::refused(message).hint(
                "leave it out, upgrade the engine, or build the image elsewhere and push it to \
                 a registry",
            ))
        }
    }
}

/// Whether the engine offers BuildKit; asked once.
async fn offered(engine: &Engine) -> Result<bool, CallError> {
    let asked = engine.buildkit.get_or_try_init(|| async {
        let doing = "asking the engine for its builder";
        let request = Request::builder().uri(engine.path("/_ping")).body(wire::nothing());
        let request =
            request.map_err(|error| CallError::refused(format!("{doing}: {error}")))?;
        let answer = engine.wire.ask(request, engine.docker.timeout()).await;
        let answer = answer.map_err(|error| engine.unanswered(doing, &error))?;
        Ok::<_, CallError>(offers(|name| answer.header(name), engine.has(SINCE)))
    });
    asked.await.copied()
}

/// What the headers of an engine's answer say of BuildKit; `recent` is whether its API is as
/// new as that.
fn offers<'a>(header: impl Fn(&str) -> Option<&'a str>, recent: bool) -> bool {
    // Podman builds with something else behind the same call.
    if header("libpod-api-version").is_some() {
        return false;
    }
    match header("builder-version") {
        Some(version) => version == "2",
        // Older engines do not tell; those on Windows have none.
        None => recent && header("ostype").is_none_or(|system| system == "linux"),
    }
}

/// Builds it. The answer within is what the engine says when the build failed.
pub(super) async fn run(
    engine: &Engine,
    doing: &str,
    mut options: BuildImageOptions,
    digest: &str,
    secrets: &Pairs,
    source: Option<Source>,
) -> Result<Result<(), Failure>, CallError> {
    options.version = BuilderVersion::BuilderBuildKit;
    if let Some(source) = &source {
        options.remote = Some(IN_SESSION.to_owned());
        options.dockerfile.clone_from(&source.dockerfile.0);
    }
    let query = serde_urlencoded::to_string(options);
    let query =
        query.map_err(|error| CallError::refused(format!("{doing} failed: {error}")))?;
    let session = Session::open(engine, secrets, source, digest).await?;
    let request = Request::builder()
        .method(Method::POST)
        .uri(engine.path(&format!("/build?{query}&session={}", session.id)))
        .body(wire::nothing());
    let request =
        request.map_err(|error| CallError::refused(format!("{doing} failed: {error}")))?;
    let answer = engine.wire.ask(request, engine.docker.timeout()).await;
    let mut answer = answer.map_err(|error| engine.unanswered(doing, &error))?;
    let mut progress = Progress::default();
    let mut failure = None;
    while let Some(part) = answer.part().await {
        let part = part.map_err(|error| engine.unanswered(doing, &error))?;
        failure = progress.add(&part).or(failure);
    }
    let Some(said) = progress.end().or(failure) else { return Ok(Ok(())) };
    let redactor = redactor(secrets);
    let clean = |text: String| redactor.clean(&text);
    let frontend = progress.has_step(|name| name.starts_with("resolve image config"));
    let step = progress.failed().map(|(name, log)| (clean(name), log.map(clean)));
    Ok(Err(Failure { said: clean(short(&said)), step, frontend }))
}

/// A step may print a secret it was given.
fn redactor(secrets: &Pairs) -> Redactor {
    let mut known = Secrets::default();
    secrets.0.values().for_each(|secret| known.add(&secret.0));
    known.redactor()
}

/// Without who passed it on to whom.
fn short(said: &str) -> String {
    let passed_on = [
        "failed to solve with frontend dockerfile.v0: ",
        "failed to solve with frontend gateway.v0: ",
        "failed to solve: ",
        "rpc error: code = Unknown desc = ",
        "failed to build LLB: ",
        "failed to create LLB definition: ",
    ];
    let mut said = said.trim();
    while let Some(rest) = passed_on.iter().find_map(|words| said.strip_prefix(words)) {
        said = rest;
    }
    plain(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_tells_whether_it_has_buildkit() {
        let offers = |headers: &[(&str, &'static str)], recent| {
            let header = |name: &str| {
                headers.iter().find(|(key, _)| *key == name).map(|(_, value)| *value)
            };
            offers(header, recent)
        };
        assert!(offers(&[("builder-version", "2")], true));
        assert!(!offers(&[("builder-version", "1")], true));
        assert!(offers(&[("ostype", "linux")], true));
        assert!(!offers(&[("ostype", "linux")], false));
        assert!(!offers(&[("ostype", "windows")], true));
        assert!(!offers(&[("libpod-api-version", "4.3.1"), ("ostype", "linux")], true));
    }

    #[test]
    fn who_passed_an_error_on_is_left_out() {
        let said = "failed to solve with frontend dockerfile.v0: failed to build LLB: executor \
                    failed running [/bin/sh -c false]: exit code: 1";
        assert_eq!(short(said), "executor failed running [/bin/sh -c false]: exit code: 1");
        assert_eq!(short("No such thing."), "no such thing");
    }

    #[test]
    fn a_secret_in_a_log_is_taken_out() {
        let secrets =
            serde_json::from_value(serde_json::json!({ "npm": "t0ken-word" })).unwrap();
        let clean = redactor(&secrets).clean("using t0ken-word and dDBrZW4td29yZA==");
        assert!(!clean.contains("t0ken-word") && !clean.contains("dDBrZW4td29yZA"), "{clean}");
    }
}
