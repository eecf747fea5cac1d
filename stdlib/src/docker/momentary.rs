//! Answers about containers that are others a moment later. Podman calls one that has just
//! ended `stopped` for a tenth of a second, a word that the API does not have, and the whole
//! answer cannot be read; and it fails when a process ends while it is looked at
//! (`cGroupPath` in its `libpod/container.go` reads `/proc` once the process is gone).

use std::time::Duration;

use backon::{ConstantBuilder, Retryable};
use bollard::errors::Error;
use bollard::models::{ContainerInspectResponse, ContainerSummary};
use bollard::query_parameters::{InspectContainerOptions, ListContainersOptions};

use super::engine::Engine;

/// How the errors of answers with states begin that only Podman has.
const ONLY_PODMAN: [&str; 2] = ["unknown variant `stopped`", "unknown variant `initialized`"];
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
    match error {
        Error::JsonDataError { message, .. } => {
            ONLY_PODMAN.iter().any(|state| message.starts_with(state))
        }
        // A question changes nothing, so it may be asked again.
        Error::DockerResponseServerError { status_code, .. } => *status_code == 500,
        _ => false,
    }
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
        for state in ["stopped", "initialized"] {
            assert!(is_momentary(&answer(state).unwrap_err()));
        }
        assert!(!is_momentary(&answer("broken").unwrap_err()));
    }

    #[test]
    fn a_question_that_failed_is_asked_again_and_a_wrong_one_is_not() {
        let answer = |status_code| Error::DockerResponseServerError {
            status_code,
            message: "read /proc/7/cgroup: no such process".to_owned(),
        };
        assert!(is_momentary(&answer(500)));
        assert!(!is_momentary(&answer(404)));
        assert!(!is_momentary(&answer(400)));
    }
}
