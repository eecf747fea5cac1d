//! The connection: one Docker engine.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bollard::errors::Error;
use bollard::models::ContainerSummary;
use bollard::query_parameters::ListContainersOptionsBuilder;
use bollard::{API_DEFAULT_VERSION, Docker};
use dollop_engine::address::Address;
use dollop_engine::analysis::Lint;
use dollop_engine::backup::{Backup, Host};
use dollop_engine::error::{CallError, Failure};
use dollop_engine::files::Look;
use dollop_engine::resource::{Concurrency, Connection, Scope};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;

use super::backup::ContainerHost;
use super::container::BRIDGE;
use super::endpoint::{self, Endpoint};
use super::registry::Logins;
use super::trust;
use super::wire::{Wire, WireError};

/// A Docker engine: the local one, another socket, or one reached over TCP or SSH.
///
/// Without a declaration, resources go to the engine `DOCKER_HOST` names, or else to that of
/// the current `docker context`, or else to the local one.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EngineSpec {
    /// Where it listens: a socket path, `unix:///run/docker.sock`, `tcp://10.0.0.5:2376` or
    /// `ssh://me@10.0.0.5`.
    #[serde(default, deserialize_with = "endpoint::host")]
    #[schemars(extend("x-replace" = true))]
    pub host: Option<String>,
    /// A `docker context` that says where it listens, instead of `host`.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub context: Option<String>,
    /// Files for TLS over `tcp://`: `#{ ca: "ca.pem", cert: "cert.pem", key: "key.pem" }`.
    #[serde(default)]
    pub tls: Option<Tls>,
    /// The file with the key for `ssh://`; what `ssh` itself is configured to use when left
    /// out.
    #[serde(default)]
    pub ssh_key: Option<String>,
    /// Logins for registries of images, `#{ "ghcr.io": #{ username: "me", password: token } }`;
    /// for others, what `docker login` left is used.
    #[serde(default)]
    #[schemars(extend("x-secret" = true))]
    pub registries: Logins,
    /// The most seconds one request may take before it counts as unanswered.
    #[serde(default = "default_timeout")]
    pub timeout: u32,
    /// The most changes under way on it at once; those of the whole run have a limit of their
    /// own, `--parallelism`.
    #[serde(default)]
    pub concurrency: Concurrency,
}

/// Files in PEM format; relative paths start in the project folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// Who vouches for the engine.
    pub ca: String,
    /// The certificate to show.
    pub cert: String,
    /// The key of that certificate.
    pub key: String,
}

fn default_timeout() -> u32 {
    120
}

/// Refuses a port in the address of an engine by SSH: bollard hands it to `ssh` as a part of
/// the host's name.
fn portless(host: &str) -> Result<(), CallError> {
    let place = host.trim_start_matches("ssh://");
    let port = place.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok());
    let Some((host, port)) = port else { return Ok(()) };
    Err(CallError::refused(format!("an engine by SSH takes no port: `{place}`")).hint(format!(
        "give `{host}` a name in `~/.ssh/config`, with `Port {port}` there, and use that name"
    )))
}

/// An open Docker engine.
#[derive(Clone)]
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
    /// Logins for registries of images.
    pub(crate) logins: Logins,
    /// The way to it, for requests bollard does not make.
    pub(crate) wire: Wire,
    /// Whether it offers BuildKit.
    pub(crate) buildkit: OnceCell<bool>,
    machine: OnceCell<Machine>,
    /// Whether it has the network of containers that are in no other.
    bridged: OnceCell<bool>,
    /// All containers as last listed.
    listed: Arc<Mutex<Option<Containers>>>,
    /// The digest that names of images have in their registries, as last asked.
    pub(crate) digests: Arc<Mutex<HashMap<String, Option<String>>>>,
}

/// Containers, those that do not run too.
pub(crate) type Containers = Arc<Vec<ContainerSummary>>;

/// The engine's machine and what the engine does when nothing is said.
#[derive(Clone)]
pub(crate) struct Machine {
    /// Processors.
    pub(crate) cpus: i64,
    /// Bytes.
    pub(crate) memory: i64,
    /// Whether swap can be limited; where not, the engine leaves such limits out.
    pub(crate) swap_limit: bool,
    /// Whether the engine is a Podman that cannot tell whether swap can be limited: it looks
    /// for that where only the first version of control groups has it.
    pub(crate) is_podman: bool,
    /// Where output goes.
    pub(crate) logging_driver: String,
    /// What runs containers.
    pub(crate) runtime: String,
    /// Everything that could, by name, in order.
    pub(crate) runtimes: Vec<String>,
    /// Its operating system and processor, `linux/x86_64`.
    pub(crate) platform: Option<String>,
    /// What it calls itself.
    pub(crate) name: Option<String>,
    /// The release of its kernel.
    pub(crate) kernel: Option<String>,
}

impl Machine {
    /// All of its processors, in billionths: limits of this size limit nothing.
    pub(crate) fn nano_cpus(&self) -> i64 {
        self.cpus * 1_000_000_000
    }

    /// All of its processors, as a set.
    pub(crate) fn cpuset(&self) -> String {
        if self.cpus > 1 { format!("0-{}", self.cpus - 1) } else { "0".to_owned() }
    }
}

impl Connection for Engine {
    const KIND: &'static str = "docker::engine";
    const IMPLICIT: bool = true;
    type Spec = EngineSpec;

    fn concurrency(spec: &EngineSpec) -> Concurrency {
        spec.concurrency
    }

    async fn open(spec: EngineSpec, scope: Scope) -> Result<Self, CallError> {
        let endpoint = endpoint::of(&spec)?;
        let wire = Wire::new(&endpoint, spec.ssh_key.as_deref(), |path| {
            scope.folder.join(path).to_string_lossy().into_owned()
        });
        let Endpoint { host, tls } = endpoint;
        let at = words(&host);
        let timeout = u64::from(spec.timeout.max(1));
        let version = API_DEFAULT_VERSION;
        let file = |path: &str| {
            let path = scope.folder.join(path);
            path.to_string_lossy().into_owned()
        };
        let client = match (host.split_once("://").map_or("", |(scheme, _)| scheme), &tls) {
            ("unix", _) => Docker::connect_with_unix(&host, timeout, version),
            ("tcp" | "https", Some(tls)) => {
                let [key, cert, ca] = [&tls.key, &tls.cert, &tls.ca].map(|path| file(path));
                readable([&key, &cert, &ca])?;
                trust::usable([&ca, &cert, &key])?;
                let paths = [&key, &cert, &ca].map(std::path::Path::new);
                Docker::connect_with_ssl(&host, paths[0], paths[1], paths[2], timeout, version)
            }
            ("tcp" | "http", _) => Docker::connect_with_http(&host, timeout, version),
            ("ssh", _) => {
                portless(&host)?;
                let key = spec.ssh_key.as_deref().map(file);
                readable(key.as_ref())?;
                Docker::connect_with_ssh(&host, timeout, version, key)
            }
            _ => {
                let message =
                    format!("`{host}` is no address of a Docker engine dollop can speak to");
                return Err(CallError::refused(message).hint(
                    "use a socket path, `unix:///path`, `tcp://host:port` or `ssh://user@host`",
                ));
            }
        };
        let client = match client {
            Ok(client) => client.negotiate_version().await,
            Err(error) => Err(error),
        };
        let cert = tls.as_ref().map(|tls| file(&tls.cert));
        let docker = client.map_err(|error| no_answer(&at, &host, cert.as_deref(), &error))?;
        let reached_at = reached_at(&host);
        let logins = spec.registries;
        Ok(Self {
            docker,
            scope,
            at,
            reached_at,
            logins,
            wire,
            buildkit: OnceCell::new(),
            machine: OnceCell::new(),
            bridged: OnceCell::new(),
            listed: Arc::default(),
            digests: Arc::default(),
        })
    }

    fn lint_files(known: &serde_json::Value, look: Look<'_>) -> Vec<Lint> {
        // They are used over TCP alone; who does not know yet where it listens may need them.
        let host = known.get("host").and_then(serde_json::Value::as_str).unwrap_or_default();
        let other = ["/", "unix://", "ssh://", "http://"];
        if other.iter().any(|scheme| host.starts_with(scheme)) {
            return Vec::new();
        }
        known.get("tls").map_or_else(Vec::new, |tls| trust::lint(tls, look))
    }

    fn describe(spec: &EngineSpec) -> String {
        match endpoint::of(spec) {
            Ok(endpoint) => words(&endpoint.host),
            Err(_) => spec.context.clone().unwrap_or_default(),
        }
    }

    fn is_local(spec: &EngineSpec) -> bool {
        endpoint::of(spec).is_ok_and(|endpoint| endpoint.host.starts_with("unix://"))
    }

    const SAVES: bool = true;

    fn backup(&self) -> Option<&dyn Backup> {
        Some(self)
    }

    fn host(
        engine: &Arc<Self>,
        address: &Address,
        id: &str,
        spec: &serde_json::Value,
    ) -> Option<Arc<dyn Host>> {
        ContainerHost::of(engine, address, id, spec)
    }
}

impl Engine {
    /// The same client for a request that takes longer than others by its nature.
    pub(crate) fn patient(&self, longer: Duration) -> Docker {
        let timeout = self.docker.timeout() + longer;
        self.docker.clone().with_timeout(timeout)
    }

    /// All containers as they are now.
    pub(crate) async fn containers(&self) -> Result<Containers, CallError> {
        let options = ListContainersOptionsBuilder::new().all(true).build();
        let listed = self.list_containers(Some(options)).await;
        let listed = listed.map_err(|error| self.failed("listing containers", &error))?;
        let listed = Arc::new(listed);
        *self.listed.lock().unwrap_or_else(PoisonError::into_inner) = Some(listed.clone());
        Ok(listed)
    }

    /// All containers as they were when they were last listed; listed now if they never were.
    pub(crate) async fn known_containers(&self) -> Result<Containers, CallError> {
        let known = self.listed.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match known {
            Some(known) => Ok(known),
            None => self.containers().await,
        }
    }

    /// Whether its networks are on this machine.
    pub(crate) fn is_local(&self) -> bool {
        self.at.starts_with('/')
    }

    async fn is_podman(&self) -> bool {
        let parts = self.docker.version().await.ok().and_then(|version| version.components);
        parts.into_iter().flatten().any(|part| part.name.starts_with("Podman"))
    }

    /// Whether it is known to be a Podman.
    pub(crate) fn is_known_podman(&self) -> bool {
        self.machine.get().is_some_and(|machine| machine.is_podman)
    }

    /// What the engine's machine has; asked once.
    pub(crate) async fn machine(&self) -> Result<&Machine, CallError> {
        let asked = self.machine.get_or_try_init(|| async {
            let info = self.docker.info().await;
            let info = info.map_err(|error| self.failed("asking about the engine", &error))?;
            let is_podman = info.swap_limit == Some(false) && self.is_podman().await;
            Ok(Machine {
                cpus: info.ncpu.unwrap_or(0),
                memory: info.mem_total.unwrap_or(0),
                swap_limit: is_podman || info.swap_limit.unwrap_or(true),
                is_podman,
                logging_driver: info.logging_driver.unwrap_or_default(),
                runtime: info.default_runtime.unwrap_or_default(),
                runtimes: {
                    let known = info.runtimes.unwrap_or_default().into_keys();
                    let mut known: Vec<_> = known.collect();
                    known.sort();
                    known
                },
                platform: info
                    .os_type
                    .zip(info.architecture)
                    .map(|(system, processor)| format!("{system}/{processor}")),
                name: info.name.filter(|name| !name.is_empty()),
                kernel: info.kernel_version.filter(|release| !release.is_empty()),
            })
        });
        asked.await
    }

    /// Whether it has the network of containers that are in no other (it may be turned off,
    /// `--bridge=none`); asked once.
    pub(crate) async fn bridged(&self) -> Result<bool, CallError> {
        let asked = self.bridged.get_or_try_init(|| async {
            match self.docker.inspect_network(BRIDGE, None).await {
                Ok(_) => Ok(true),
                Err(error) if status(&error) == Some(404) => Ok(false),
                Err(error) => Err(self.failed("looking for the default network", &error)),
            }
        });
        asked.await.copied()
    }

    /// Whether it speaks a version of the API.
    pub(crate) fn has(&self, minor: usize) -> bool {
        let has = self.docker.client_version();
        has.major_version > 1 || has.minor_version >= minor
    }

    /// Refuses what the engine would leave out without a word because it is too old.
    pub(crate) fn needs(&self, minor: usize, what: &str) -> Result<(), CallError> {
        if self.has(minor) {
            return Ok(());
        }
        let has = self.docker.client_version();
        let message = format!(
            "{what} needs an engine with API version 1.{minor}; the one at `{}` has {}.{}",
            self.at, has.major_version, has.minor_version
        );
        Err(CallError::refused(message).hint("leave it out, or upgrade the engine"))
    }

    /// A path of its API, at the version both sides know.
    pub(crate) fn path(&self, path: &str) -> String {
        let version = self.docker.client_version();
        format!("/v{}.{}{path}", version.major_version, version.minor_version)
    }

    /// A request on a connection of its own that failed, in words.
    pub(crate) fn unanswered(&self, doing: &str, error: &WireError) -> CallError {
        match error {
            WireError::Refused { status, message } => {
                let failed = Error::DockerResponseServerError {
                    status_code: status.as_u16(),
                    message: message.clone(),
                };
                self.failed(doing, &failed)
            }
            WireError::Late(_) => self.failed(doing, &Error::RequestTimeoutError),
            WireError::Broken(_) => {
                let message = format!(
                    "{doing} failed: no answer from the Docker engine at `{}`: {error}",
                    self.at
                );
                CallError::unreachable(message)
                    .hint("check that it still runs: `docker version`")
            }
        }
    }

    /// A relative path of a script as the engine must be told it.
    pub(crate) fn absolute(&self, path: &str) -> String {
        absolute(&self.scope, path)
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

/// A relative path of a script from the root.
pub(crate) fn absolute(scope: &Scope, path: &str) -> String {
    let path = std::path::Path::new(path);
    if path.is_absolute() {
        return path.to_string_lossy().into_owned();
    }
    let mut whole = std::path::absolute(&scope.folder).unwrap_or_else(|_| PathBuf::new());
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
pub(crate) fn plain(message: &str) -> String {
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

/// The client would only say that there is no such certificate.
fn readable<'a>(paths: impl IntoIterator<Item = &'a String>) -> Result<(), CallError> {
    for path in paths {
        if let Err(error) = std::fs::File::open(path) {
            let why = error.to_string();
            let why = plain(why.split(" (os error").next().unwrap_or(&why));
            let message = format!("`{path}` cannot be read: {why}");
            return Err(CallError::refused(message)
                .hint("check `tls` and `ssh_key` of `docker::engine`, or DOCKER_CERT_PATH"));
        }
    }
    Ok(())
}

/// The machine whose ports are published, as seen from here.
fn reached_at(host: &str) -> String {
    const HERE: &str = "127.0.0.1";
    let Some((scheme, rest)) = host.split_once("://") else { return HERE.to_owned() };
    if scheme == "unix" {
        return HERE.to_owned();
    }
    let rest = rest.split('/').next().unwrap_or_default();
    let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
    let name = match rest.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => rest.split(':').next().unwrap_or_default(),
    };
    if matches!(name, "" | "localhost") { HERE.to_owned() } else { name.to_owned() }
}

fn words(host: &str) -> String {
    host.strip_prefix("unix://").unwrap_or(host).to_owned()
}

fn no_answer(at: &str, host: &str, cert: Option<&str>, error: &Error) -> CallError {
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
    if let Some(found) = trust::explain(at, error, cert) {
        return found;
    }
    if why.contains("HTTP request to an HTTPS server") {
        return CallError::refused(message)
            .hint("it wants TLS: `tls: #{ ca: .., cert: .., key: .. }` of `docker::engine`");
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
        let spec: EngineSpec =
            serde_json::from_value(serde_json::json!({ "host": "/run/x.sock" })).unwrap();
        assert_eq!(endpoint::of(&spec).unwrap().host, "unix:///run/x.sock");
        assert_eq!(Engine::describe(&spec), "/run/x.sock");
    }

    #[test]
    fn published_ports_are_reached_where_the_engine_is() {
        for (host, at) in [
            ("unix:///run/x.sock", "127.0.0.1"),
            ("tcp://localhost:2375", "127.0.0.1"),
            ("tcp://10.0.0.5:2375", "10.0.0.5"),
            ("tcp://[fd00::5]:2375", "fd00::5"),
            ("ssh://me@build.example:22/run/x.sock", "build.example"),
        ] {
            assert_eq!(reached_at(host), at, "{host}");
        }
    }
}
