//! Who one is to a registry of images.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{BufReader, ErrorKind};

use bollard::auth::DockerCredentials;
use docker_credential::{CredentialRetrievalError, DockerCredential};
use dollop_engine::error::CallError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{endpoint, reference};

/// The name Docker's own registry has in the configuration of the `docker` command.
const HUB: &str = "https://index.docker.io/v1/";

/// A name and a password for one registry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// The user.
    pub username: String,
    /// The password or access token.
    pub password: String,
}

/// Logins by registry, `ghcr.io`.
pub(crate) type Logins = BTreeMap<String, Login>;

/// What to show the registry of an image: a declared login, or else what `docker login`
/// left; nothing when there is neither.
pub(crate) async fn credentials(
    logins: &Logins,
    image: &str,
) -> Result<Option<DockerCredentials>, CallError> {
    login(logins, reference::registry(image)).await
}

/// The same for a registry.
pub(crate) async fn login(
    logins: &Logins,
    registry: &str,
) -> Result<Option<DockerCredentials>, CallError> {
    let registry = registry.to_owned();
    if let Some(login) = logins.get(&registry) {
        return Ok(Some(DockerCredentials {
            username: Some(login.username.clone()),
            password: Some(login.password.clone()),
            serveraddress: Some(server(&registry)),
            ..DockerCredentials::default()
        }));
    }
    // It may run a credential helper and wait for it.
    let asked = registry.clone();
    let found = tokio::task::spawn_blocking(move || {
        let Some(folder) = endpoint::folder() else {
            return Err(CredentialRetrievalError::ConfigNotFound);
        };
        let file =
            File::open(folder.join("config.json")).map_err(|error| match error.kind() {
                ErrorKind::NotFound => CredentialRetrievalError::ConfigNotFound,
                _ => CredentialRetrievalError::ConfigReadError,
            })?;
        docker_credential::get_credential_from_reader(BufReader::new(file), &server(&asked))
    });
    let found = found.await.unwrap_or(Err(CredentialRetrievalError::HelperCommunicationError));
    match found {
        Ok(DockerCredential::UsernamePassword(username, password)) => {
            Ok(Some(DockerCredentials {
                username: Some(username),
                password: Some(password),
                serveraddress: Some(server(&registry)),
                ..DockerCredentials::default()
            }))
        }
        Ok(DockerCredential::IdentityToken(token)) => Ok(Some(DockerCredentials {
            identitytoken: Some(token),
            serveraddress: Some(server(&registry)),
            ..DockerCredentials::default()
        })),
        Err(
            CredentialRetrievalError::NoCredentialConfigured
            | CredentialRetrievalError::ConfigNotFound,
        ) => Ok(None),
        // Helpers say so when they have nothing for a registry.
        Err(CredentialRetrievalError::HelperFailure { stdout, stderr, .. })
            if format!("{stdout}{stderr}").contains("credentials not found") =>
        {
            Ok(None)
        }
        Err(error) => {
            let why = match error {
                // What a helper prints may hold a secret.
                CredentialRetrievalError::HelperFailure { helper, .. } => {
                    format!("the credential helper `{helper}` failed")
                }
                other => other.to_string().to_lowercase(),
            };
            let message = format!("the login for registry `{registry}` cannot be read: {why}");
            Err(CallError::refused(message).hint(format!(
                "log in again, `docker login {registry}`, or declare it: `registries` of \
                 `docker::engine`"
            )))
        }
    }
}

/// Those of all declared registries: a build may start from images of several.
pub(crate) fn all(logins: &Logins) -> Option<HashMap<String, DockerCredentials>> {
    let entries = logins.iter().map(|(registry, login)| {
        let credentials = DockerCredentials {
            username: Some(login.username.clone()),
            password: Some(login.password.clone()),
            ..DockerCredentials::default()
        };
        (server(registry), credentials)
    });
    (!logins.is_empty()).then(|| entries.collect())
}

fn server(registry: &str) -> String {
    if registry == "docker.io" { HUB.to_owned() } else { registry.to_owned() }
}
