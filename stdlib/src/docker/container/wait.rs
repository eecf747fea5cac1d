//! Waiting until a container is what it should be.

use std::time::Duration;

use bollard::container::LogOutput;
use bollard::models::{
    ContainerInspectResponse, ContainerState, ContainerStateStatusEnum, HealthStatusEnum,
};
use bollard::query_parameters::LogsOptionsBuilder;
use dollop_engine::error::CallError;
use dollop_engine::resource::Name;
use futures::StreamExt as _;
use tokio::time::Instant;

use super::super::engine::Engine;
use super::create::still_there;
use super::pairs::Pairs;
use super::read::inspect;
use super::spec::{ContainerSpec, Wait};
use super::units::Restart;

/// How many lines of log an error shows.
const LOG_LINES: usize = 20;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Refuses what can never come, before anything is made.
pub(super) fn check_possible(
    name: &Name,
    spec: &ContainerSpec,
    image_has_check: bool,
) -> Result<(), CallError> {
    let own = spec.healthcheck.as_ref();
    let has_check = match own {
        Some(own) => !own.disable && (own.test.is_some() || image_has_check),
        None => image_has_check,
    };
    if spec.wait != Wait::Healthy || has_check {
        return Ok(());
    }
    let message = format!(
        "container `{}` can never be healthy: neither it nor image `{}` has a health check",
        name.natural, spec.image
    );
    Err(CallError::refused(message)
        .hint("add one, `healthcheck: #{ test: \"...\" }`, or wait for `started`"))
}

/// Waits as `spec.wait` says, and says where to look when that does not come.
pub(super) async fn until(
    engine: &Engine,
    name: &Name,
    id: &str,
    spec: &ContainerSpec,
) -> Result<(), CallError> {
    reached(engine, name, id, spec).await.map_err(|error| still_there(error, name))
}

/// Waits as `spec.wait` says. The container is left as it is, whatever comes out.
pub(super) async fn reached(
    engine: &Engine,
    name: &Name,
    id: &str,
    spec: &ContainerSpec,
) -> Result<(), CallError> {
    let deadline = Instant::now() + spec.wait_timeout.0;
    let mut pause = FIRST_PAUSE;
    loop {
        let Some(container) = inspect(engine, id).await? else {
            let message =
                format!("container `{}` was removed while waiting for it", name.natural);
            return Err(CallError::refused(message));
        };
        let state = container.state.clone().unwrap_or_default();
        match verdict(spec, &state) {
            Verdict::Reached => return Ok(()),
            Verdict::Failed(why) => {
                return Err(report(engine, name, id, spec, &container, &why).await);
            }
            Verdict::NotYet(what) if Instant::now() >= deadline => {
                let why = format!("{what} after {}", spec.wait_timeout);
                let error = report(engine, name, id, spec, &container, &why).await;
                return Err(
                    error.hint("give it longer with `wait_timeout`, if it only is slow")
                );
            }
            Verdict::NotYet(_) => {}
        }
        let left = deadline.saturating_duration_since(Instant::now());
        tokio::time::sleep(pause.min(left)).await;
        pause = (pause * 3 / 2).min(LONGEST_PAUSE);
    }
}

/// Waits until others can rely on it: a job until it has ended well, any other until its
/// health check passes.
pub(super) async fn ready(
    engine: &Engine,
    name: &Name,
    id: &str,
    mut spec: ContainerSpec,
) -> Result<(), CallError> {
    if spec.wait != Wait::Exited {
        let state = inspect(engine, id).await?.and_then(|container| container.state);
        if state.is_some_and(|state| state.health.is_none()) {
            let message =
                format!("container `{}` has no health check to wait for", name.natural);
            let hint = "give it one, `healthcheck: #{ test: \"...\" }`, or use `depends_on`";
            return Err(CallError::refused(message).hint(hint));
        }
        spec.wait = Wait::Healthy;
    }
    until(engine, name, id, &spec).await
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Reached,
    NotYet(&'static str),
    Failed(String),
}

fn verdict(spec: &ContainerSpec, state: &ContainerState) -> Verdict {
    let ended = matches!(
        state.status,
        Some(ContainerStateStatusEnum::EXITED | ContainerStateStatusEnum::DEAD)
    );
    let code = state.exit_code.unwrap_or(0);
    let killed = if state.oom_killed.unwrap_or(false) { " (it ran out of memory)" } else { "" };
    let ended_with = format!("it ended with code {code}{killed}");
    match spec.wait {
        // A program that ends at once with an error and is not restarted did not start.
        Wait::Started if ended && code != 0 && spec.restart == Restart::No => {
            Verdict::Failed(ended_with)
        }
        Wait::Started => Verdict::Reached,
        Wait::Exited if ended && code == 0 => Verdict::Reached,
        Wait::Exited | Wait::Healthy if ended => Verdict::Failed(ended_with),
        Wait::Exited => Verdict::NotYet("it has not ended"),
        Wait::Healthy => match state.health.as_ref().and_then(|health| health.status) {
            Some(HealthStatusEnum::HEALTHY) => Verdict::Reached,
            // The engine goes on checking, so it may still get healthy.
            Some(HealthStatusEnum::UNHEALTHY) => {
                Verdict::NotYet("its health check still fails")
            }
            _ => Verdict::NotYet("it is not healthy"),
        },
    }
}

/// What went wrong with it: its last health check and the end of its log.
pub(super) async fn report(
    engine: &Engine,
    name: &Name,
    id: &str,
    spec: &ContainerSpec,
    container: &ContainerInspectResponse,
    why: &str,
) -> CallError {
    let wanted = match spec.wait {
        Wait::Started => "start",
        Wait::Healthy => "get healthy",
        Wait::Exited => "finish",
    };
    let message = format!("container `{}` did not {wanted}: {why}", name.natural);
    let mut error = CallError::refused(message);
    let checks = container.state.as_ref().and_then(|state| state.health.as_ref()?.log.as_ref());
    if let Some(check) = checks.and_then(|checks| checks.last()) {
        let output = check.output.as_deref().unwrap_or_default().trim();
        let code = check.exit_code.unwrap_or(0);
        let output = if output.is_empty() { "(no output)" } else { output };
        let note = format!("the last health check ended with code {code}:\n{output}");
        error = error.note(without_env(&note, &spec.env));
    }
    let lines = last_lines(engine, id, LOG_LINES).await;
    let note = if lines.is_empty() {
        "it logged nothing".to_owned()
    } else {
        format!("the end of its log:\n{}", lines.join("\n"))
    };
    error.note(without_env(&note, &spec.env))
}

/// The end of what a container logged.
pub(crate) async fn last_lines(engine: &Engine, id: &str, count: usize) -> Vec<String> {
    let options = LogsOptionsBuilder::new().stdout(true).stderr(true);
    let options = options.tail(&count.to_string()).build();
    let mut log = engine.docker.logs(id, Some(options));
    let mut text = String::new();
    while let Some(Ok(output)) = log.next().await {
        let (LogOutput::StdErr { message }
        | LogOutput::StdOut { message }
        | LogOutput::StdIn { message }
        | LogOutput::Console { message }) = output;
        text.push_str(&String::from_utf8_lossy(&message));
    }
    let lines: Vec<_> = text.lines().map(|line| line.trim_end().to_owned()).collect();
    lines[lines.len().saturating_sub(count)..].to_vec()
}

/// Values of environment variables, secrets among them, replaced by their names.
pub(crate) fn without_env(text: &str, env: &Pairs) -> String {
    let mut values: Vec<(&str, &str)> = env
        .0
        .iter()
        .map(|(key, value)| (key.as_str(), value.0.trim()))
        // Short ones, numbers and bools are in every log and keep nothing secret.
        .filter(|(_, value)| value.len() >= 4 && !matches!(*value, "true" | "false"))
        .filter(|(_, value)| value.len() > 5 || value.parse::<f64>().is_err())
        .collect();
    values.sort_by_key(|(_, value)| std::cmp::Reverse(value.len()));
    values
        .iter()
        .fold(text.to_owned(), |text, (key, value)| text.replace(value, &format!("${{{key}}}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn spec(extra: serde_json::Value) -> ContainerSpec {
        let mut json = json!({ "image": "x" });
        json.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn notes_name_variables_instead_of_their_values() {
        let spec =
            spec(json!({ "env": { "PASSWORD": "hunter2", "ROLE": "app_owner", "N": 5432 } }));
        assert_eq!(
            without_env("role \"app_owner\" with hunter2 on 5432", &spec.env),
            "role \"${ROLE}\" with ${PASSWORD} on 5432"
        );
    }

    #[test]
    fn a_start_counts_unless_the_program_failed_at_once() {
        let ended = |code| ContainerState {
            status: Some(ContainerStateStatusEnum::EXITED),
            exit_code: Some(code),
            ..ContainerState::default()
        };
        let started = spec(json!({}));
        assert_eq!(verdict(&started, &ended(0)), Verdict::Reached);
        assert_eq!(
            verdict(&started, &ended(3)),
            Verdict::Failed("it ended with code 3".into())
        );
        let restarted = spec(json!({ "restart": "always" }));
        assert_eq!(verdict(&restarted, &ended(3)), Verdict::Reached);
        let job = spec(json!({ "wait": "exited" }));
        assert_eq!(verdict(&job, &ended(0)), Verdict::Reached);
        assert_eq!(
            verdict(&job, &ContainerState::default()),
            Verdict::NotYet("it has not ended")
        );
    }
}
