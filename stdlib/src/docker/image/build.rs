//! Building an image from a folder.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use bollard::errors::Error;
use bollard::query_parameters::{BuildImageOptions, BuildImageOptionsBuilder};
use bytes::Bytes as Chunk;
use dollop_engine::error::CallError;
use dollop_engine::resource::{Problem, Scope};
use dollop_engine::value::NOT_KEPT;
use futures::{StreamExt as _, stream};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::{MapAccessDeserializer, MapDeserializer};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, de};
use sha2::{Digest as _, Sha256};

use super::super::container::{Bytes, Hosts, Pairs};
use super::super::content::ContentError;
use super::super::engine::{Engine, absolute, said, status};
use super::super::registry;
use super::buildkit::{self, Builder, Failure};
use super::context::{self, Context, Dockerfile};
use super::progress::Log;
use super::transfer::Source;

/// The label that says what an image was built from.
pub(super) const MARK: &str = "dollop.build";
/// How many lines of the log an error shows.
pub(super) const LOG_LINES: usize = 25;
/// The most of a secret BuildKit takes.
const LARGEST_SECRET: usize = 500 << 10;
const CHUNK: usize = 64 << 10;

/// How to build an image. What it is built from is compared by content: files that
/// `.dockerignore` names do not count, nor does when a file was written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Build {
    /// The folder, `./app` (from the project folder), or the address of a Git repository; the
    /// project folder itself when left out.
    #[serde(default = "here")]
    pub context: String,
    /// The Dockerfile, a path that starts in the folder; `Dockerfile` when left out. It may be
    /// elsewhere: `../docker/web.Dockerfile`.
    #[serde(default)]
    pub dockerfile: Option<String>,
    /// The text of the Dockerfile itself.
    #[serde(default)]
    pub dockerfile_inline: Option<String>,
    /// Values for its `ARG`s. They stay readable in the image: no place for secrets.
    #[serde(default)]
    pub args: Pairs,
    /// The stage to build; the last one when left out.
    #[serde(default)]
    pub target: Option<String>,
    /// Labels for the image.
    #[serde(default)]
    pub labels: Pairs,
    /// The network its commands are run in: `host`, `none` or one by name.
    #[serde(default)]
    pub network: Option<String>,
    /// Lines for the hosts file while its commands are run.
    #[serde(default)]
    pub extra_hosts: Hosts,
    /// The size of `/dev/shm` while its commands are run.
    #[serde(default)]
    pub shm_size: Option<Bytes>,
    /// Images whose layers may be used again. BuildKit uses those that were built with
    /// `args: #{ BUILDKIT_INLINE_CACHE: "1" }`.
    #[serde(default)]
    pub cache_from: Vec<String>,
    /// Run every command, whatever was built before.
    #[serde(default)]
    pub no_cache: bool,
    /// Ask the registry for newer images to start from.
    #[serde(default)]
    pub pull: bool,
    /// Secrets for `RUN --mount=type=secret,id=ID`, by id: `#{ npm: param("npm_token") }`.
    /// They are in no layer, no label and no state; another value builds it again, without
    /// the layers built before.
    // What is not there must not change the digest of builds that know nothing of it.
    #[serde(default, skip_serializing_if = "is_empty")]
    #[schemars(extend("x-secret" = true, "x-write-only" = true, "x-not-kept" = true))]
    pub secrets: Pairs,
    /// Who builds it: `buildkit` or `classic`. When left out, BuildKit where the engine has it
    /// and the build asks for nothing it cannot do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub builder: Option<Builder>,
}

/// A build as it may be written: all of it, or the folder alone.
pub(super) fn written(generator: &mut SchemaGenerator) -> Schema {
    let long = generator.subschema_for::<Build>();
    json_schema!({ "anyOf": [long, { "type": "string" }, { "type": "null" }] })
}

/// Reads either form; what is wrong in the long one is said where it stands.
pub(super) fn short_or_long<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<Build>, D::Error> {
    struct Either;
    impl<'de> Visitor<'de> for Either {
        type Value = Option<Build>;

        fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
            out.write_str("a folder, or a map with `context`")
        }

        fn visit_unit<E>(self) -> Result<Option<Build>, E> {
            Ok(None)
        }

        fn visit_none<E>(self) -> Result<Option<Build>, E> {
            Ok(None)
        }

        fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<Option<Build>, D::Error> {
            from.deserialize_any(self)
        }

        fn visit_str<E: de::Error>(self, context: &str) -> Result<Option<Build>, E> {
            let context = [("context", context)].into_iter();
            Build::deserialize(MapDeserializer::new(context)).map(Some)
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Option<Build>, A::Error> {
            Build::deserialize(MapAccessDeserializer::new(map)).map(Some)
        }
    }
    from.deserialize_any(Either)
}

fn here() -> String {
    ".".to_owned()
}

fn is_empty(pairs: &Pairs) -> bool {
    pairs.0.is_empty()
}

impl Build {
    pub(super) fn normalize(&mut self) {
        if self.context.is_empty() {
            self.context = here();
        }
        if self.dockerfile.as_deref().is_some_and(|path| matches!(path, "" | "Dockerfile")) {
            self.dockerfile = None;
        }
        for image in &mut self.cache_from {
            let named =
                image.strip_prefix("type=registry,").and_then(|o| o.strip_prefix("ref="));
            if let Some(named) = named.filter(|named| !named.contains(',')) {
                *image = named.to_owned();
            }
        }
        self.target = self.target.take().filter(|target| !target.is_empty());
        self.network = self.network.take().filter(|network| !network.is_empty());
    }

    pub(super) fn check(&self) -> Option<Problem> {
        let problem = |message: &str, hint: &str| {
            Some(Problem {
                attribute: "build".to_owned(),
                message: message.to_owned(),
                hint: Some(hint.to_owned()),
            })
        };
        if self.dockerfile.is_some() && self.dockerfile_inline.is_some() {
            return problem(
                "there are two Dockerfiles",
                "leave out `dockerfile` or `dockerfile_inline`",
            );
        }
        if let Some(cache) = self.cache_from.iter().find(|cache| cache.contains('=')) {
            return problem(
                &format!("`{cache}` in `cache_from` is no image"),
                "the engine's builder takes layers from images alone: name one that it or a \
                 registry has",
            );
        }
        if self.dockerfile_inline.is_some() && self.is_remote() {
            return problem(
                "the Dockerfile of a remote context is in the repository",
                "leave out `dockerfile_inline`, or use a folder",
            );
        }
        if !self.secrets.0.is_empty() && self.builder == Some(Builder::Classic) {
            return problem(
                "the classic builder has no secrets",
                "leave out `builder`: BuildKit has them",
            );
        }
        let large = self.secrets.0.iter().find(|(_, secret)| secret.0.len() > LARGEST_SECRET);
        if let Some((id, _)) = large {
            return problem(
                &format!("the secret `{id}` is larger than 500 KiB, the most BuildKit takes"),
                "let the build fetch it, with a secret that lets it",
            );
        }
        None
    }

    /// What must be on this machine to build it: the Dockerfile, or the folder alone.
    pub(super) fn needs(&self) -> Option<String> {
        if self.is_remote() {
            return None;
        }
        if self.dockerfile_inline.is_some() {
            return Some(self.context.clone()).filter(|folder| *folder != here());
        }
        let name = self.dockerfile.as_deref().unwrap_or("Dockerfile");
        let path = context::plain(&Path::new(&self.context).join(name));
        // A relative path keeps the form it has in a script.
        let dot = if path.is_absolute() || path.starts_with("..") { "" } else { "./" };
        Some(format!("{dot}{}", path.display()))
    }

    fn is_remote(&self) -> bool {
        self.context.contains("://") || self.context.starts_with("git@")
    }

    /// Where its Dockerfile is, for a folder on this machine.
    fn dockerfile(&self, folder: &Path) -> Dockerfile {
        match &self.dockerfile_inline {
            Some(text) => Dockerfile::Inline(text.clone()),
            None => Dockerfile::at(folder, self.dockerfile.as_deref().unwrap_or("Dockerfile")),
        }
    }

    fn open(&self, folder: PathBuf) -> Result<Context, ContentError> {
        let dockerfile = self.dockerfile(&folder);
        Context::open(folder, dockerfile)
    }

    /// A digest of everything that decides what comes out.
    pub(super) async fn digest(
        &self,
        scope: &Scope,
        platform: Option<&str>,
    ) -> Result<String, CallError> {
        let mut hasher = Sha256::new();
        // It is written on the image: nobody shall try secrets against it.
        let told = Self { secrets: Pairs::default(), ..self.clone() };
        let settings = serde_json::to_vec(&told).unwrap_or_default();
        hasher.update(settings);
        hasher.update(platform.unwrap_or_default());
        if self.is_remote() {
            return Ok(hex::encode(hasher.finalize()));
        }
        let (build, folder) = (self.clone(), PathBuf::from(absolute(scope, &self.context)));
        let digest =
            tokio::task::spawn_blocking(move || build.open(folder)?.digest(hasher)).await;
        self.readable(digest)
    }

    async fn archive(&self, engine: &Engine) -> Result<File, CallError> {
        let (build, folder) = (self.clone(), PathBuf::from(engine.absolute(&self.context)));
        let archive = tokio::task::spawn_blocking(move || build.open(folder)?.archive()).await;
        self.readable(archive)
    }

    /// What BuildKit asks for; nothing when it gets it elsewhere.
    async fn source(&self, engine: &Engine) -> Result<Option<Source>, CallError> {
        if self.is_remote() {
            return Ok(None);
        }
        let (build, folder) = (self.clone(), PathBuf::from(engine.absolute(&self.context)));
        let source = tokio::task::spawn_blocking(move || {
            let context = build.open(folder)?;
            // It is called in messages what its file is called.
            let path = Path::new(build.dockerfile.as_deref().unwrap_or("Dockerfile"));
            let name = path.file_name().unwrap_or(path.as_os_str());
            let dockerfile = (name.to_string_lossy().into_owned(), context.dockerfile()?);
            Ok(Source { context, dockerfile })
        });
        self.readable(source.await).map(Some)
    }

    fn readable<T>(
        &self,
        read: Result<Result<T, ContentError>, tokio::task::JoinError>,
    ) -> Result<T, CallError> {
        let hint =
            "check `context` and `dockerfile`; relative folders start in the project folder";
        let failed = |why: String| {
            let message = format!("the build context `{}` cannot be read: {why}", self.context);
            CallError::refused(message).hint(hint)
        };
        match read {
            Ok(read) => read.map_err(|error| failed(error.to_string())),
            Err(error) => Err(failed(error.to_string())),
        }
    }

    fn options(
        &self,
        engine: &Engine,
        image: &str,
        platform: Option<&str>,
        digest: &str,
    ) -> BuildImageOptions {
        let folder = engine.absolute(&self.context);
        let dockerfile = if self.is_remote() {
            self.dockerfile.clone().unwrap_or_else(|| "Dockerfile".to_owned())
        } else {
            self.dockerfile(Path::new(&folder)).name().to_owned()
        };
        let mut labels = self.labels.requested().unwrap_or_default();
        labels.insert(MARK.to_owned(), digest.to_owned());
        let mut options = BuildImageOptionsBuilder::new()
            .t(image)
            .dockerfile(&dockerfile)
            .labels(&labels)
            .target(self.target.as_deref().unwrap_or_default())
            .platform(platform.unwrap_or_default())
            .nocache(self.no_cache)
            .rm(true)
            .forcerm(true);
        if let Some(args) = self.args.requested() {
            options = options.buildargs(&args);
        }
        if let Some(network) = &self.network {
            options = options.networkmode(network);
        }
        if !self.extra_hosts.0.is_empty() {
            options = options.extrahosts(&self.extra_hosts.0.join(","));
        }
        if let Some(size) = self.shm_size.and_then(|size| i32::try_from(size.0).ok()) {
            options = options.shmsize(size);
        }
        if !self.cache_from.is_empty() {
            options = options.cachefrom(&self.cache_from);
        }
        if self.pull {
            options = options.pull("true");
        }
        if self.is_remote() {
            options = options.remote(&self.context);
        }
        options.build()
    }

    /// Builds it under that name and marks it with the digest. With `anew`, nothing that was
    /// built before is used.
    pub(super) async fn run(
        &self,
        engine: &Engine,
        image: &str,
        platform: Option<&str>,
        digest: &str,
        anew: bool,
    ) -> Result<(), CallError> {
        if let Some((id, _)) = self.secrets.0.iter().find(|(_, secret)| secret.0 == NOT_KEPT) {
            let message = format!(
                "building image `{image}` failed: its secret `{id}` is not kept, and this run \
                 was not given it"
            );
            return Err(CallError::refused(message)
                .hint("take `build` out of `ignore_changes`, and give the value again"));
        }
        let mut options = self.options(engine, image, platform, digest);
        options.nocache |= anew;
        let builder = buildkit::chosen(engine, self).await?;
        let failed = match builder {
            Builder::BuildKit => {
                let doing = format!("building image `{image}`");
                let source = self.source(engine).await?;
                buildkit::run(engine, &doing, options, digest, &self.secrets, source).await?
            }
            Builder::Classic => self.classic(engine, image, options).await?,
        };
        failed.map_err(|failure| self.explain(engine, image, builder, failure))
    }

    /// Builds it with the classic builder.
    async fn classic(
        &self,
        engine: &Engine,
        image: &str,
        options: BuildImageOptions,
    ) -> Result<Result<(), Failure>, CallError> {
        let body = if self.is_remote() {
            bollard::body_full(Chunk::new())
        } else {
            bollard::body_try_stream(chunks(self.archive(engine).await?))
        };
        let logins = registry::all(&engine.logins);
        let mut progress = engine.docker.build_image(options, logins, Some(body));
        let mut log = Log::default();
        while let Some(step) = progress.next().await {
            match step {
                Ok(info) => log.add(info.stream.as_deref().unwrap_or_default()),
                Err(error)
                    if status(&error).is_none()
                        && !matches!(error, Error::DockerStreamError { .. }) =>
                {
                    return Err(engine.failed(&format!("building image `{image}`"), &error));
                }
                Err(error) => {
                    let step = log.text().map(|log| (String::new(), Some(log)));
                    return Ok(Err(Failure { said: said(&error), step, frontend: false }));
                }
            }
        }
        Ok(Ok(()))
    }

    fn explain(
        &self,
        engine: &Engine,
        image: &str,
        builder: Builder,
        failure: Failure,
    ) -> CallError {
        let Failure { said, step, frontend } = failure;
        let from = &self.context;
        let error = CallError::refused(format!(
            "building image `{image}` from `{from}` failed: {said}"
        ));
        let of_base = step.as_ref().is_some_and(|(name, _)| name.contains("load metadata for"))
            || ["pull access denied", "manifest"].iter().any(|part| said.contains(part));
        // Then it is the step's own words that are in `said`.
        let printed = step.as_ref().is_some_and(|(_, log)| log.is_some());
        let error = match step {
            Some((name, Some(log))) if name.is_empty() => {
                error.note(format!("the end of its log:\n{log}"))
            }
            Some((name, Some(log))) => {
                error.note(format!("the end of the log of `{name}`:\n{log}"))
            }
            Some((name, None)) => error.note(format!("the step that failed is `{name}`")),
            None => error,
        };
        let has = |parts: &[&str]| parts.iter().any(|part| said.contains(part));
        let heredoc = || self.text(engine).is_some_and(|text| text.contains("<<"));
        let secret = said.strip_prefix("secret ").and_then(|rest| rest.split_once([':', ' ']));
        let declare;
        let hint = if has(&["requires BuildKit"]) && self.builder == Some(Builder::Classic) {
            "take out `builder: \"classic\"`: BuildKit knows `--mount`"
        } else if has(&["requires BuildKit"]) {
            "only BuildKit knows `--mount`, and it was not to be had here: leave out `--mount`, \
             upgrade the engine, or build it elsewhere and push it to a registry"
        } else if has(&["parse error", "unknown instruction"]) && heredoc() {
            "its builder may be too old for text between `<<EOF` and `EOF`: put the lines in a \
             file and `COPY` it, or join them with `&&`"
        } else if frontend && builder == Builder::BuildKit {
            "its first line, `# syntax=..`, asks for an image that understands the Dockerfile, \
             and that image cannot be had: take the line out to use what the engine has built \
             in, or let the engine reach the registry"
        } else if !printed && has(&["ssh", "SSH"]) && has(&["forward", "agent"]) {
            "dollop hands on no SSH agent: give the key as one of `secrets`, or use HTTPS with \
             a token"
        } else if let Some((id, rest)) = secret
            && rest.contains("not found")
        {
            declare = format!("give it in `build`: `secrets: #{{ \"{id}\": value }}`");
            &declare
        } else if of_base {
            "check the image its Dockerfile starts from (`FROM`)"
        } else {
            "fix the Dockerfile or what it copies, and apply again"
        };
        error.hint(hint)
    }

    /// The Dockerfile, where it is at hand.
    fn text(&self, engine: &Engine) -> Option<String> {
        if self.is_remote() {
            return None;
        }
        let context = self.open(PathBuf::from(engine.absolute(&self.context))).ok()?;
        Some(String::from_utf8_lossy(&context.dockerfile().ok()?).into_owned())
    }
}

/// A file piece by piece. Reading a local file that was just written does not wait long
/// enough to be worth another thread.
fn chunks(file: File) -> impl stream::Stream<Item = Result<Chunk, std::io::Error>> + Send {
    stream::try_unfold(file, |mut file| async move {
        let mut buffer = vec![0; CHUNK];
        let read = file.read(&mut buffer)?;
        buffer.truncate(read);
        Ok((read > 0).then(|| (Chunk::from(buffer), file)))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{from_value, json};

    use super::*;

    /// Images built before there were secrets must not be built again for them.
    #[tokio::test]
    async fn secrets_are_no_part_of_the_digest() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("Dockerfile"), "FROM scratch").unwrap();
        let scope = Scope { stack: String::new(), folder: folder.path().to_owned() };
        let build = |more: serde_json::Value| {
            let mut all = json!({ "context": "." });
            all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            from_value::<Build>(all).unwrap()
        };
        let plain = build(json!({})).digest(&scope, None).await.unwrap();
        let with = build(json!({ "secrets": { "npm": "t0ken" } }));
        assert_eq!(with.digest(&scope, None).await.unwrap(), plain);
        let settings = serde_json::to_string(&build(json!({}))).unwrap();
        assert!(settings.ends_with(r#""no_cache":false,"pull":false}"#), "{settings}");
    }

    #[test]
    fn the_file_it_needs_is_named_as_in_a_script() {
        let needs = |build: serde_json::Value| {
            let mut build: Build = from_value(build).unwrap();
            build.normalize();
            build.needs()
        };
        for (build, file) in [
            (json!({ "context": "./app/" }), "./app/Dockerfile"),
            (json!({ "context": "" }), "./Dockerfile"),
            (
                json!({ "context": "./app", "dockerfile": "../web.Dockerfile" }),
                "./web.Dockerfile",
            ),
            (json!({ "context": "./app", "dockerfile": "/srv/Dockerfile" }), "/srv/Dockerfile"),
            (json!({ "context": "..", "dockerfile": "Dockerfile" }), "../Dockerfile"),
        ] {
            assert_eq!(needs(build).as_deref(), Some(file));
        }
    }

    #[test]
    fn secrets_need_buildkit() {
        let build = |builder: &str| {
            let all = json!({ "context": ".", "secrets": { "a": "b" }, "builder": builder });
            from_value::<Build>(all).unwrap()
        };
        assert!(build("buildkit").check().is_none());
        assert!(build("classic").check().is_some());
    }
}
