//! Jobs that an earlier run began and did not see the end of: they go on running, and are
//! waited for rather than ended or run a second time beside themselves. What ran in a container
//! of its own tells how it ended; of a command in another one nobody knows whose it was, and it
//! runs again.

use std::time::Duration;

use dollop_engine::error::CallError;
use dollop_engine::resource::{Name, Owner};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::container::{ContainerSpec, Span, inspect};
use super::engine::{Engine, status};
use super::labels;
use crate::text::Text;

/// How often one is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// Marks a container of a job with what it was made from, and what it works on.
pub(super) fn mark(container: &mut ContainerSpec, inputs: &impl Serialize) {
    let digest = digest(container, inputs);
    container.labels.0.insert(labels::JOB.to_owned(), Text(digest));
}

/// A digest of what a container is made from and works on; how long it may take is no part of
/// it.
fn digest(container: &ContainerSpec, inputs: &impl Serialize) -> String {
    let container = ContainerSpec { wait_timeout: Span(Duration::ZERO), ..container.clone() };
    // Specs are data, which can always be written.
    let text = serde_json::to_vec(&(&container, inputs)).unwrap_or_default();
    hex::encode(Sha256::digest(text))
}

/// Waits for the container of an earlier run that was made in the same way, for as long as the
/// job may take, and says whether there was one; one that was made otherwise is refused while
/// it runs. That of a `check` does not stand in the way.
pub(super) async fn container(
    engine: &Engine,
    name: &Name,
    own: &ContainerSpec,
    check: Option<&ContainerSpec>,
    inputs: &impl Serialize,
    longest: Duration,
) -> Result<bool, CallError> {
    let deadline = Instant::now() + longest;
    let mut waited = false;
    loop {
        let found = inspect(engine, &name.natural).await?.unwrap_or_default();
        let runs = found.state.is_some_and(|state| state.running == Some(true));
        let marks = found.config.and_then(|config| config.labels).unwrap_or_default();
        if !runs || labels::owner(&marks, name, false) != Owner::Ours {
            return Ok(waited);
        }
        let made_as = |spec: &ContainerSpec| {
            marks.get(labels::JOB).is_some_and(|of| *of == digest(spec, inputs))
        };
        if check.is_some_and(made_as) {
            return Ok(false);
        }
        if !made_as(own) {
            let message = format!(
                "an earlier run of job `{}` still runs, and was declared otherwise",
                name.natural
            );
            return Err(CallError::refused(message).hint(format!(
                "wait until it has ended, or end it: `docker rm --force {}`; then apply again",
                name.natural
            )));
        }
        if Instant::now() >= deadline {
            let message =
                format!("job `{}`, which an earlier run began, has not ended", name.natural);
            return Err(still_runs(CallError::refused(message), &name.natural));
        }
        waited = true;
        tokio::time::sleep(LOOK).await;
    }
}

/// Says of a job in a container of its own what can be done while it runs.
pub(super) fn still_runs(error: CallError, container: &str) -> CallError {
    error.hint(format!(
        "it still runs, and the next apply waits for it: `docker logs {container}`; \
         `docker rm --force {container}` ends it"
    ))
}

/// Waits until a command that runs in a container does not any more, for as long as the job may
/// take. Whose it was, and on what it worked, nobody knows: it is no run of this job.
pub(super) async fn command(
    engine: &Engine,
    name: &Name,
    within: &str,
    words: &[String],
    longest: Duration,
) -> Result<(), CallError> {
    let ids = inspect(engine, within).await?.and_then(|found| found.exec_ids);
    let deadline = Instant::now() + longest;
    for id in ids.into_iter().flatten() {
        loop {
            let found = match engine.docker.inspect_exec(&id).await {
                Ok(found) => found,
                // The engine forgets what has ended.
                Err(error) if status(&error) == Some(404) => break,
                Err(error) => {
                    let doing = format!("looking at what runs in container `{within}`");
                    return Err(engine.failed(&doing, &error));
                }
            };
            let process = found.process_config.unwrap_or_default();
            let is = process.entrypoint.iter().chain(process.arguments.iter().flatten());
            if !is.eq(words) || found.running != Some(true) {
                break;
            }
            if Instant::now() >= deadline {
                let message = format!(
                    "the command of job `{}` runs in container `{within}` already, and has not \
                     ended",
                    name.natural
                );
                return Err(in_another(CallError::refused(message), within));
            }
            tokio::time::sleep(LOOK).await;
        }
    }
    Ok(())
}

/// Says of a job in a container that is not its own what can be done while it runs.
pub(super) fn in_another(error: CallError, within: &str) -> CallError {
    error.hint(format!(
        "it still runs, and the next apply waits for it: `docker top {within}`; restarting that \
         container ends it"
    ))
}
