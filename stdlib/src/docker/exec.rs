//! Commands run in containers that run already.

use std::time::Duration;

use bollard::container::LogOutput;
use bollard::errors::Error;
use bollard::exec::{CreateExecOptions, StartExecResults};
use dollop_engine::error::CallError;
use futures::StreamExt as _;

use super::engine::Engine;

/// How many lines of output are kept.
pub(crate) const OUTPUT_LINES: usize = 20;

/// A command to run; its options as the engine takes them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Command {
    /// Program and arguments.
    pub(crate) words: Vec<String>,
    /// `NAME=value`.
    pub(crate) env: Vec<String>,
    /// The user; the container's when left out.
    pub(crate) user: Option<String>,
    /// The folder; the container's when left out.
    pub(crate) working_dir: Option<String>,
    /// All rights on the machine.
    pub(crate) privileged: bool,
}

/// How a command ended, and the end of what it printed.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    /// 0 when it went well.
    pub(crate) code: i64,
    /// Both streams, in the order in which they came.
    pub(crate) output: String,
}

/// Runs a command to its end; it may take `longest` beside what requests take anyway.
pub(crate) async fn run(
    engine: &Engine,
    container: &str,
    command: Command,
    longest: Duration,
) -> Result<Ended, Error> {
    let options = CreateExecOptions {
        cmd: Some(command.words),
        env: Some(command.env),
        user: command.user,
        working_dir: command.working_dir,
        privileged: Some(command.privileged),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        ..CreateExecOptions::default()
    };
    let docker = engine.patient(longest);
    let exec = docker.create_exec(container, options).await?;
    let mut text = String::new();
    if let StartExecResults::Attached { mut output, .. } =
        docker.start_exec(&exec.id, None).await?
    {
        while let Some(part) = output.next().await {
            let (LogOutput::StdErr { message }
            | LogOutput::StdOut { message }
            | LogOutput::StdIn { message }
            | LogOutput::Console { message }) = part?;
            text.push_str(&String::from_utf8_lossy(&message));
        }
    }
    let ended = docker.inspect_exec(&exec.id).await?;
    let lines: Vec<_> = text.lines().map(str::trim_end).collect();
    let output = lines[lines.len().saturating_sub(OUTPUT_LINES)..].join("\n");
    Ok(Ended { code: ended.exit_code.unwrap_or(-1), output })
}

/// What a command printed, as a note of an error.
pub(crate) fn printed(output: &str) -> String {
    if output.is_empty() {
        "it printed nothing".to_owned()
    } else {
        format!("the end of its output:\n{output}")
    }
}

/// The error of a command that ended badly: `{what} ended with code 3`.
pub(crate) fn ended_badly(what: &str, ended: &Ended) -> CallError {
    CallError::refused(format!("{what} ended with code {}", ended.code))
        .note(printed(&ended.output))
}
