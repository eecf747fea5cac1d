//! Building an image from a folder.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;

use bollard::errors::Error;
use bollard::query_parameters::{BuildImageOptions, BuildImageOptionsBuilder};
use bytes::Bytes as Chunk;
use dollop_engine::error::CallError;
use dollop_engine::resource::{Problem, Scope};
use futures::{StreamExt as _, stream};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::super::container::{Bytes, Hosts, Pairs};
use super::super::content::ContentError;
use super::super::engine::{Engine, absolute, said, status};
use super::super::registry;
use super::context::{Context, INLINE};

/// The label that says what an image was built from.
pub(super) const MARK: &str = "dollop.build";
/// How many lines of the log an error shows.
const LOG_LINES: usize = 25;
const CHUNK: usize = 64 << 10;

/// How to build an image. What it is built from is compared by content: files that
/// `.dockerignore` names do not count, nor does when a file was written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Build {
    /// The folder, `./app` (from the project folder), or the address of a Git repository.
    pub context: String,
    /// The Dockerfile in the folder; `Dockerfile` when left out.
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
    /// Images whose layers may be used again.
    #[serde(default)]
    pub cache_from: Vec<String>,
    /// Run every command, whatever was built before.
    #[serde(default)]
    pub no_cache: bool,
    /// Ask the registry for newer images to start from.
    #[serde(default)]
    pub pull: bool,
}

impl Build {
    pub(super) fn normalize(&mut self) {
        if self.dockerfile.as_deref().is_some_and(|path| matches!(path, "" | "Dockerfile")) {
            self.dockerfile = None;
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
        if self.dockerfile_inline.is_some() && self.is_remote() {
            return problem(
                "the Dockerfile of a remote context is in the repository",
                "leave out `dockerfile_inline`, or use a folder",
            );
        }
        None
    }

    fn is_remote(&self) -> bool {
        self.context.contains("://") || self.context.starts_with("git@")
    }

    fn open(&self, folder: PathBuf) -> Result<Context, ContentError> {
        let dockerfile = match (&self.dockerfile_inline, &self.dockerfile) {
            (Some(_), _) => None,
            (None, Some(path)) => Some(path.trim_start_matches("./").to_owned()),
            (None, None) => Some("Dockerfile".to_owned()),
        };
        Context::open(folder, dockerfile)
    }

    /// A digest of everything that decides what comes out.
    pub(super) async fn digest(
        &self,
        scope: &Scope,
        platform: Option<&str>,
    ) -> Result<String, CallError> {
        let mut hasher = Sha256::new();
        let settings = serde_json::to_vec(self).unwrap_or_default();
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
        let archive = tokio::task::spawn_blocking(move || {
            build.open(folder)?.archive(build.dockerfile_inline.as_deref())
        });
        self.readable(archive.await)
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

    fn options(&self, image: &str, platform: Option<&str>, digest: &str) -> BuildImageOptions {
        let dockerfile = match &self.dockerfile_inline {
            Some(_) => INLINE,
            None => self.dockerfile.as_deref().unwrap_or("Dockerfile"),
        };
        let mut labels = self.labels.requested().unwrap_or_default();
        labels.insert(MARK.to_owned(), digest.to_owned());
        let mut options = BuildImageOptionsBuilder::new()
            .t(image)
            .dockerfile(dockerfile)
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

    /// Builds it under that name and marks it with the digest.
    pub(super) async fn run(
        &self,
        engine: &Engine,
        image: &str,
        platform: Option<&str>,
        digest: &str,
    ) -> Result<(), CallError> {
        let options = self.options(image, platform, digest);
        let body = if self.is_remote() {
            bollard::body_full(Chunk::new())
        } else {
            let archive = self.archive(engine).await?;
            bollard::body_try_stream(chunks(archive))
        };
        let logins = registry::all(&engine.logins);
        let mut progress = engine.docker.build_image(options, logins, Some(body));
        let mut log = Log::default();
        while let Some(step) = progress.next().await {
            match step {
                Ok(info) => log.add(info.stream.as_deref().unwrap_or_default()),
                Err(error) => return Err(self.explain(engine, image, &error, log)),
            }
        }
        Ok(())
    }

    fn explain(&self, engine: &Engine, image: &str, error: &Error, log: Log) -> CallError {
        let doing = format!("building image `{image}`");
        if status(error).is_none() && !matches!(error, Error::DockerStreamError { .. }) {
            return engine.failed(&doing, error);
        }
        let said = said(error);
        let error =
            CallError::refused(format!("{doing} from `{}` failed: {said}", self.context));
        let error = match log.text() {
            Some(log) => error.note(format!("the end of its log:\n{log}")),
            None => error,
        };
        if said.contains("requires BuildKit") {
            return error.hint(
                "dollop builds without BuildKit so far: leave out `--mount`, or build it \
                 elsewhere and push it to a registry",
            );
        }
        if said.contains("pull access denied") || said.contains("manifest") {
            return error.hint("check the image its Dockerfile starts from (`FROM`)");
        }
        error.hint("fix the Dockerfile or what it copies, and apply again")
    }
}

/// The end of what a build says.
#[derive(Default)]
struct Log {
    lines: VecDeque<String>,
    /// The engine cuts the text anywhere.
    open: String,
}

impl Log {
    fn add(&mut self, text: &str) {
        self.open.push_str(text);
        while let Some(end) = self.open.find('\n') {
            let line: String = self.open.drain(..=end).collect();
            self.push(line);
        }
    }

    fn push(&mut self, line: String) {
        let line = line.trim_end();
        // The engine's own book-keeping says nothing.
        let noise = ["--->", "Removing intermediate container"];
        if line.is_empty() || noise.iter().any(|words| line.trim_start().starts_with(words)) {
            return;
        }
        if self.lines.len() == LOG_LINES {
            self.lines.pop_front();
        }
        self.lines.push_back(line.to_owned());
    }

    fn text(mut self) -> Option<String> {
        let rest = std::mem::take(&mut self.open);
        self.push(rest);
        let lines: Vec<_> = self.lines.into();
        (!lines.is_empty()).then(|| lines.join("\n"))
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
    use super::*;

    #[test]
    fn the_log_keeps_its_end() {
        let mut log = Log::default();
        for n in 0..100 {
            log.add(&format!("line {n}\n\n"));
        }
        log.add("not yet ");
        log.add("ended");
        let text = log.text().unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), LOG_LINES);
        assert_eq!(lines.first(), Some(&"line 76"));
        assert_eq!(lines.last(), Some(&"not yet ended"));
    }
}
