//! Commands run in a container when it has started and before it is stopped.

use std::time::Duration;

use dollop_engine::error::CallError;
use dollop_engine::resource::{Name, Problem};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::engine::{Engine, status};
use super::super::exec::{self, Command};
use super::pairs::Pairs;
use super::wait::without_env;
use super::words::Words;
use crate::text::Text;

/// The longest time a hook may take, where nothing else limits it.
const LONGEST: Duration = Duration::from_mins(5);

/// A command run in the container; it must end with code 0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hook {
    /// The command: a list, or a string split as a shell would.
    pub command: Words,
    /// The user it runs as; the container's when left out.
    #[serde(default)]
    pub user: Option<Text>,
    /// All rights on the machine.
    #[serde(default)]
    pub privileged: bool,
    /// The folder it starts in.
    #[serde(default)]
    pub working_dir: Option<String>,
    /// Environment variables beside the container's.
    #[serde(default)]
    pub environment: Pairs,
}

impl Hook {
    fn command(&self) -> Command {
        let env = self.environment.0.iter().map(|(key, value)| format!("{key}={value}"));
        Command {
            words: self.command.0.clone(),
            env: env.collect(),
            user: self.user.as_ref().map(|user| user.0.clone()),
            working_dir: self.working_dir.clone(),
            privileged: self.privileged,
        }
    }
}

/// Refuses hooks without a command.
pub(super) fn check(attribute: &str, hooks: &[Hook]) -> Vec<Problem> {
    let empty = hooks.iter().filter(|hook| hook.command.0.is_empty());
    empty
        .map(|_| Problem {
            attribute: attribute.to_owned(),
            message: "a hook has a command".to_owned(),
            hint: Some("one looks like `#{ command: \"./warm-up.sh\" }`".to_owned()),
        })
        .collect()
}

/// Runs hooks one after the other, up to the first that ends badly.
///
/// `when` is the attribute they stand in, for messages.
pub(super) async fn run(
    engine: &Engine,
    name: &Name,
    id: &str,
    (when, hooks): (&str, &[Hook]),
    env: &Pairs,
) -> Result<(), CallError> {
    for hook in hooks {
        let what = format!(
            "`{when}` of container `{}`: `{}`",
            name.natural,
            without_env(&hook.command.0.join(" "), env)
        );
        let ended = match exec::run(engine, id, hook.command(), LONGEST).await {
            Ok(ended) => ended,
            // It stopped by itself in the meantime, or is gone.
            Err(error) if matches!(status(&error), Some(404 | 409)) => return Ok(()),
            Err(error) => return Err(engine.failed(&what, &error)),
        };
        if ended.code != 0 {
            let output = without_env(&ended.output, env);
            let output = without_env(&output, &hook.environment);
            let error = exec::ended_badly(&what, &exec::Ended { output, ..ended });
            return Err(error.hint(match when {
                "pre_stop" => {
                    "the container still runs; correct the hook, or take it out and \
                               apply that first"
                }
                _ => "correct the hook and apply again",
            }));
        }
    }
    Ok(())
}
