//! The connection: one Docker engine.

use std::error::Error as StdError;
use std::path::PathBuf;
use std::time::Duration;

use bollard::errors::Error;
use bollard::{API_DEFAULT_VERSION, Docker};
use dollop_engine::error::{CallError, Failure};
use dollop_engine::resource::{Connection, Scope};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;

const DEFAULT_HOST: &str = "unix:///var/run/docker.sock";

/// A Docker engine: the local one, another socket, or one reached over TCP.
///
/// Without a declaration, resources go to the engine `DOCKER_HOST` names, or else to the
/// local one.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EngineSpec {
    /// Where it listens: a socket path, `unix:///run/docker.sock` or `tcp://10.0.0.5:2375`.
    /// Left out: what `DOCKER_HOST` says, or else `/var/run/docker.sock`.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub host: Option<String>,
    /// The most seconds one request may take before it counts as unanswered.
    #[serde(default = "default_timeout")]
    pub timeout: u32,
}

fn default_timeout() -> u32 {
    120
}

/// An open Docker engine.
pub struct Engine {
    /// The client, at the API version both sides know.
    pub(crate) docker: Docker,
    /// Where the stack runs: relative bind sources start in its folder.
    pub(crate) scope: Scope,
    /// The address in words.
    pub(crate) at: String,
    /// The host that published ports are reached at: the loopback address of this machine,
    /// or the machine of a remote engine.
    pub(crate) reached_at: String,
    machine: OnceCell<Machine>,
}

/// All there is on the engine's machine: limits of this size limit nothing.
#[derive(Clone, Copy)]
pub(crate) struct Machine {
    /// Processors, in billionths.
    pub(crate) nano_cpus: i64,
    /// Bytes.
    pub(crate) memory: i64,
}

impl Connection for Engine {
    const KIND: &'static str = "docker::engine";
    const IMPLICIT: bool = true;
    type Spec = EngineSpec;

    async fn open(spec: EngineSpec, scope: Scope) -> Result<Self, CallError> {
        let host = host(&spec);
        let at = words(&host);
        let timeout = u64::from(spec.timeout.max(1));
        let client = if host.starts_with("unix://") {
            Docker::connect_with_unix(&host, timeout, API_DEFAULT_VERSION)
        } else if host.starts_with("tcp://") || host.starts_with("http://") {
            Docker::connect_with_http(&host, timeout, API_DEFAULT_VERSION)
        } else {
            let message =
                format!("`{host}` is no address of a Docker engine dollop can speak to");
            return Err(CallError::refused(message)
                .hint("use a socket path, `unix:///path` or `tcp://host:port`"));
        };
        let client = match client {
            Ok(client) => client.negotiate_version().await,
            Err(error) => Err(error),
        };
        let docker = client.map_err(|error| no_answer(&at, &host, &error))?;
        let reached_at = host
            .strip_prefix("tcp://")
            .or_else(|| host.strip_prefix("http://"))
            .and_then(|rest| rest.rsplit_once(':').map(|(name, _)| name.to_owned()))
            .filter(|name| name != "localhost")
            .unwrap_or_else(|| "127.0.0.1".to_owned());
        Ok(Self { docker, scope, at, reached_at, machine: OnceCell::new() })
    }

    fn describe(spec: &EngineSpec) -> String {
        words(&host(spec))
    }

    fn is_local(spec: &EngineSpec) -> bool {
        host(spec).starts_with("unix://")
    }
}

impl Engine {
    /// The same client for a request that takes longer than others by its nature.
    pub(crate) fn patient(&self, longer: Duration) -> Docker {
        let timeout = self.docker.timeout() + longer;
        self.docker.clone().with_timeout(timeout)
    }

    /// What the engine's machine has; asked once.
    pub(crate) async fn machine(&self) -> Result<Machine, CallError> {
        let asked = self.machine.get_or_try_init(|| async {
            let info = self.docker.info().await;
            let info = info.map_err(|error| self.failed("asking about the engine", &error))?;
            let nano_cpus = info.ncpu.unwrap_or(0) * 1_000_000_000;
            Ok(Machine { nano_cpus, memory: info.mem_total.unwrap_or(0) })
        });
        asked.await.copied()
    }

    /// A relative path of a script as the engine must be told it.
    pub(crate) fn absolute(&self, path: &str) -> String {
        let path = std::path::Path::new(path);
        if path.is_absolute() {
            return path.to_string_lossy().into_owned();
        }
        let folder = std::path::absolute(&self.scope.folder).unwrap_or_else(|_| PathBuf::new());
        let mut whole = folder;
        for part in path.components() {
            match part {
                std::path::Component::ParentDir => {
                    whole.pop();
                }
                std::path::Component::CurDir => {}
                part => whole.push(part),
            }
        }
        whole.to_string_lossy().into_owned()
    }

    /// A request that failed, in words: `{doing} failed: {what the engine says}`.
    pub(crate) fn failed(&self, doing: &str, error: &Error) -> CallError {
        match error {
            Error::DockerResponseServerError { status_code, message } => {
                let failure = match status_code {
                    401 => Failure::Denied,
                    _ => Failure::Refused,
                };
                CallError::new(failure, format!("{doing} failed: {}", plain(message)))
            }
            Error::DockerStreamError { error } => {
                CallError::refused(format!("{doing} failed: {}", plain(error)))
            }
            Error::RequestTimeoutError => {
                let seconds = self.docker.timeout().as_secs();
                let message = format!(
                    "{doing} failed: the Docker engine at `{}` did not answer within {seconds} s",
                    self.at
                );
                CallError::unreachable(message)
                    .hint("give it longer: `timeout` of `docker::engine`, in seconds")
            }
            Error::JsonDataError { .. } | Error::JsonSerdeError { .. } => {
                CallError::refused(format!(
                    "{doing} failed: the answer of the Docker engine makes no sense: {error}"
                ))
            }
            other => {
                let message = format!(
                    "{doing} failed: no answer from the Docker engine at `{}`: {}",
                    self.at,
                    cause(other)
                );
                CallError::unreachable(message)
                    .hint("check that it still runs: `docker version`")
            }
        }
    }
}

/// The status the engine answered with.
pub(crate) fn status(error: &Error) -> Option<u16> {
    match error {
        Error::DockerResponseServerError { status_code, .. } => Some(*status_code),
        _ => None,
    }
}

/// What the engine said, without its framing.
pub(crate) fn said(error: &Error) -> String {
    match error {
        Error::DockerResponseServerError { message, .. } => plain(message),
        Error::DockerStreamError { error } => plain(error),
        other => cause(other),
    }
}

/// In the house form: lower case where a sentence starts, no full stop.
fn plain(message: &str) -> String {
    let message = message.trim().trim_end_matches('.');
    let mut letters = message.chars();
    match (letters.next(), letters.clone().next()) {
        (Some(first), Some(second)) if first.is_uppercase() && !second.is_uppercase() => {
            first.to_lowercase().chain(letters).collect()
        }
        _ => message.to_owned(),
    }
}

/// The innermost cause: `connection refused` says more than `client error (Connect)`.
fn cause(error: &Error) -> String {
    let mut deepest: &dyn StdError = error;
    while let Some(next) = deepest.source() {
        deepest = next;
    }
    let text = deepest.to_string();
    plain(text.split(" (os error").next().unwrap_or(&text))
}

fn host(spec: &EngineSpec) -> String {
    let host = spec
        .host
        .clone()
        .or_else(|| std::env::var("DOCKER_HOST").ok().filter(|host| !host.is_empty()))
        .unwrap_or_else(|| DEFAULT_HOST.to_owned());
    if host.starts_with('/') { format!("unix://{host}") } else { host }
}

fn words(host: &str) -> String {
    host.strip_prefix("unix://").unwrap_or(host).to_owned()
}

fn no_answer(at: &str, host: &str, error: &Error) -> CallError {
    let why = match error {
        Error::SocketNotFoundError(_) => "there is no such socket".to_owned(),
        Error::RequestTimeoutError => "it did not answer in time".to_owned(),
        Error::DockerResponseServerError { message, .. } => plain(message),
        other => cause(other),
    };
    let message = format!("no Docker engine answers at `{at}`: {why}");
    if why.contains("ermission denied") {
        return CallError::new(Failure::Denied, message)
            .hint(format!("let this user use `{at}`: add them to its group (often `docker`)"));
    }
    if matches!(error, Error::DockerResponseServerError { .. }) {
        return CallError::refused(message)
            .hint("check that `host` of `docker::engine` is a Docker engine");
    }
    let hint = if host.starts_with("unix://") {
        "start Docker there, or say where it listens: `host` of `docker::engine`, or DOCKER_HOST"
    } else {
        "check address and firewall: `host` of `docker::engine`, or DOCKER_HOST"
    };
    CallError::unreachable(message).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_the_engine_get_the_house_form() {
        assert_eq!(plain("No such container: x."), "no such container: x");
        assert_eq!(plain("OCI runtime create failed"), "OCI runtime create failed");
    }

    #[test]
    fn a_bare_path_is_a_socket() {
        let spec = EngineSpec { host: Some("/run/x.sock".into()), timeout: 1 };
        assert_eq!(host(&spec), "unix:///run/x.sock");
        assert_eq!(Engine::describe(&spec), "/run/x.sock");
    }
}
