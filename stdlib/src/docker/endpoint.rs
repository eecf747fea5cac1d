//! Where an engine listens: as declared, as the environment says, or as the `docker` command
//! was told with `docker context`.

use std::env;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use dollop_engine::error::CallError;
use serde::{Deserialize, Deserializer, de};
use sha2::{Digest as _, Sha256};

use super::container::is_open;
use super::engine::{EngineSpec, Tls};

const SCHEMES: [&str; 5] = ["unix", "tcp", "http", "https", "ssh"];
const DEFAULT_HOST: &str = "unix:///var/run/docker.sock";
/// The name that stands for no context.
const DEFAULT_CONTEXT: &str = "default";

/// An address, and how to prove who one is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// With its scheme: `unix://`, `tcp://` or `ssh://`.
    pub(super) host: String,
    /// Files for TLS.
    pub(super) tls: Option<Tls>,
}

/// The endpoint of an engine. What is declared goes before `DOCKER_HOST`, that before
/// `DOCKER_CONTEXT`, that before the context `docker context use` chose.
pub(super) fn of(spec: &EngineSpec) -> Result<Endpoint, CallError> {
    if let Some(host) = &spec.host {
        return Ok(Endpoint { host: full(host), tls: spec.tls.clone() });
    }
    if let Some(name) = &spec.context {
        return context(name);
    }
    if let Some(host) = set("DOCKER_HOST") {
        let tls = set("DOCKER_TLS_VERIFY").and_then(|_| {
            let folder = set("DOCKER_CERT_PATH").map(PathBuf::from).or_else(folder)?;
            Some(files(&folder))
        });
        return Ok(Endpoint { host: full(&host), tls });
    }
    match set("DOCKER_CONTEXT").or_else(current) {
        Some(name) => context(&name),
        None => Ok(Endpoint { host: DEFAULT_HOST.to_owned(), tls: None }),
    }
}

/// Reads the address of an engine, and says what is wrong with it.
pub(super) fn host<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let host = Option::<String>::deserialize(from)?;
    let Some(text) = host.as_deref().filter(|text| !is_open(text)) else { return Ok(host) };
    let known = match text.split_once("://") {
        Some((scheme, place)) => SCHEMES.contains(&scheme) && !place.is_empty(),
        None => text.starts_with('/'),
    };
    if known {
        return Ok(host);
    }
    Err(de::Error::custom(format!(
        "`{text}` is no address of an engine; one looks like `unix:///run/docker.sock`, \
         `tcp://10.0.0.5:2376` or `ssh://me@10.0.0.5`"
    )))
}

/// The folder of the `docker` command's configuration.
pub(super) fn folder() -> Option<PathBuf> {
    let home = || set("HOME").map(|home| PathBuf::from(home).join(".docker"));
    set("DOCKER_CONFIG").map(PathBuf::from).or_else(home)
}

fn set(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

fn full(host: &str) -> String {
    if host.starts_with('/') { format!("unix://{host}") } else { host.to_owned() }
}

fn files(folder: &Path) -> Tls {
    let file = |name: &str| folder.join(name).to_string_lossy().into_owned();
    Tls { ca: file("ca.pem"), cert: file("cert.pem"), key: file("key.pem") }
}

/// The context in use; nothing when none was chosen.
fn current() -> Option<String> {
    #[derive(Deserialize)]
    struct Config {
        #[serde(rename = "currentContext")]
        current: Option<String>,
    }
    let text = fs::read_to_string(folder()?.join("config.json")).ok()?;
    let config: Config = serde_json::from_str(&text).ok()?;
    config.current.filter(|name| !name.is_empty())
}

fn context(name: &str) -> Result<Endpoint, CallError> {
    if name == DEFAULT_CONTEXT {
        return Ok(Endpoint { host: DEFAULT_HOST.to_owned(), tls: None });
    }
    let folder = folder().unwrap_or_default().join("contexts");
    in_folder(&folder, name)
}

fn in_folder(folder: &Path, name: &str) -> Result<Endpoint, CallError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Meta {
        endpoints: Endpoints,
    }
    #[derive(Deserialize)]
    struct Endpoints {
        docker: Docker,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Docker {
        #[serde(default)]
        host: String,
    }

    // Folders are named after the digest of the name.
    let digest = hex::encode(Sha256::digest(name.as_bytes()));
    let path = folder.join("meta").join(&digest).join("meta.json");
    let hint = "`docker context ls` lists them; name another one, or say `host`";
    let meta = fs::read_to_string(&path).map_err(|error| {
        CallError::refused(match error.kind() {
            ErrorKind::NotFound => format!("there is no docker context `{name}`"),
            _ => format!("docker context `{name}` cannot be read: {error}"),
        })
        .hint(hint)
    })?;
    let meta: Meta = serde_json::from_str(&meta).map_err(|error| {
        CallError::refused(format!("docker context `{name}` makes no sense: {error}"))
            .hint(hint)
    })?;
    let host = match meta.endpoints.docker.host.as_str() {
        "" => DEFAULT_HOST.to_owned(),
        host => full(host),
    };
    let tls = folder.join("tls").join(&digest).join("docker");
    Ok(Endpoint { host, tls: tls.is_dir().then(|| files(&tls)) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_is_found_by_the_digest_of_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let digest = hex::encode(Sha256::digest(b"remote"));
        let meta = folder.path().join("meta").join(&digest);
        fs::create_dir_all(&meta).unwrap();
        let text = r#"{"Name":"remote","Metadata":{},
            "Endpoints":{"docker":{"Host":"tcp://10.0.0.5:2376","SkipTLSVerify":false}}}"#;
        fs::write(meta.join("meta.json"), text).unwrap();
        let found = in_folder(folder.path(), "remote").unwrap();
        assert_eq!(found, Endpoint { host: "tcp://10.0.0.5:2376".into(), tls: None });
        let tls = folder.path().join("tls").join(&digest).join("docker");
        fs::create_dir_all(&tls).unwrap();
        let found = in_folder(folder.path(), "remote").unwrap();
        assert!(found.tls.is_some_and(|tls| tls.ca.ends_with("docker/ca.pem")));
        let error = in_folder(folder.path(), "other").unwrap_err();
        assert!(error.message.contains("no docker context `other`"), "{}", error.message);
    }
}
