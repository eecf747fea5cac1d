//! Containers as Podman reports them: one that has just ended is `stopped` for a tenth of a
//! second, a word that the API does not have, and the whole answer cannot be read.

use std::time::Duration;

use backon::{ConstantBuilder, Retryable};
use bollard::errors::Error;
use bollard::models::{ContainerInspectResponse, ContainerSummary};
use bollard::query_parameters::{InspectContainerOptions, ListContainersOptions};

use super::engine::Engine;

/// How the error of an answer with that state begins.
const STOPPED: &str = "unknown variant `stopped`";
/// How long it may take until a container that has ended is put away.
const PATIENCE: ConstantBuilder =
    ConstantBuilder::new().with_delay(Duration::from_millis(50)).with_max_times(100);

impl Engine {
    /// Containers in short.
    pub(crate) async fn list_containers(
        &self,
        options: Option<ListContainersOptions>,
    ) -> Result<Vec<ContainerSummary>, Error> {
        let list = || self.docker.list_containers(options.clone());
        list.retry(PATIENCE).when(is_momentary).await
    }

    /// One container with all that is known of it.
    pub(crate) async fn inspect_container(
        &self,
        id: &str,
    ) -> Result<ContainerInspectResponse, Error> {
        let inspect = || self.docker.inspect_container(id, None::<InspectContainerOptions>);
        inspect.retry(PATIENCE).when(is_momentary).await
    }
}

fn is_momentary(error: &Error) -> bool {
    matches!(error, Error::JsonDataError { message, .. } if message.starts_with(STOPPED))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stopped_is_asked_again() {
        let answer = |state: &str| {
            let read: Result<ContainerSummary, _> =
                serde_json::from_str(&format!("{{\"State\": \"{state}\"}}"));
            read.map_err(|error| Error::JsonDataError { message: error.to_string(), column: 0 })
        };
        assert!(answer("exited").is_ok());
        assert!(is_momentary(&answer("stopped").unwrap_err()));
        assert!(!is_momentary(&answer("broken").unwrap_err()));
    }
}
