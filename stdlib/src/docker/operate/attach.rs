//! Commands in containers with their streams attached, and ways to ports that are not
//! published.

use std::time::Duration;

use bollard::container::LogOutput;
use bollard::exec::{CreateExecOptions, StartExecOptions, StartExecResults};
use bollard::models::ContainerInspectResponse;
use bollard::query_parameters::ResizeExecOptionsBuilder;
use dollop_engine::error::CallError;
use dollop_engine::operate::{Attached, Command, Duplex, Object, Stream};
use futures::StreamExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::super::engine::Engine;

/// How long a network address may take to answer.
const ANSWER: Duration = Duration::from_secs(5);
/// The engine may need a moment to learn that a command has ended.
const MOMENT: Duration = Duration::from_millis(20);

/// Runs a command to its end.
pub(super) async fn exec(
    engine: &Engine,
    object: &Object,
    container: &ContainerInspectResponse,
    command: Command,
    attached: Attached,
) -> Result<i64, CallError> {
    let Attached { input: mut keys, mut size, output: printed } = attached;
    let id = container.id.clone().unwrap_or_default();
    let doing = format!("running `{}` in `{}`", command.words.join(" "), object.name.address);
    let failed = |error: bollard::errors::Error| engine.failed(&doing, &error);
    let env = command.env.iter().map(|(name, value)| format!("{name}={value}"));
    let options = CreateExecOptions {
        cmd: Some(command.words.clone()),
        env: Some(env.collect()),
        user: command.user.clone(),
        working_dir: command.folder.clone(),
        tty: Some(command.terminal),
        attach_stdin: Some(keys.is_some()),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        ..CreateExecOptions::default()
    };
    let exec = engine.docker.create_exec(&id, options).await.map_err(failed)?.id;
    let start = StartExecOptions { tty: command.terminal, ..StartExecOptions::default() };
    let started = engine.docker.start_exec(&exec, Some(start)).await.map_err(failed)?;
    let StartExecResults::Attached { mut output, mut input } = started else {
        return Err(CallError::refused(format!("{doing} failed: it has no streams")));
    };
    let typing = async {
        if let Some(keys) = &mut keys {
            while let Some(bytes) = keys.recv().await {
                let written = input.write_all(&bytes).await;
                if written.is_err() || input.flush().await.is_err() {
                    break;
                }
            }
            // Its end is what many programs wait for.
            let _ = input.shutdown().await;
        }
        std::future::pending::<()>().await;
    };
    let sizing = async {
        if command.terminal {
            loop {
                let (columns, rows) = *size.borrow_and_update();
                let now =
                    ResizeExecOptionsBuilder::new().w(columns.into()).h(rows.into()).build();
                // A program that has just ended has no size.
                let _ = engine.docker.resize_exec(&exec, now).await;
                if size.changed().await.is_err() {
                    break;
                }
            }
        }
        std::future::pending::<()>().await;
    };
    let printing = async {
        while let Some(part) = output.next().await {
            let part = part.map_err(failed)?;
            let stream = if matches!(part, LogOutput::StdErr { .. }) {
                Stream::Err
            } else {
                Stream::Out
            };
            let (LogOutput::StdErr { message }
            | LogOutput::StdOut { message }
            | LogOutput::StdIn { message }
            | LogOutput::Console { message }) = part;
            if printed.send((stream, message.to_vec())).await.is_err() {
                break;
            }
        }
        Ok::<_, CallError>(())
    };
    tokio::select! {
        ended = printing => ended?,
        () = typing => {}
        () = sizing => {}
    }
    loop {
        let now = engine.docker.inspect_exec(&exec).await.map_err(failed)?;
        match now.exit_code {
            Some(code) if !now.running.unwrap_or(false) => return Ok(code),
            _ => tokio::time::sleep(MOMENT).await,
        }
        if printed.is_closed() {
            return Ok(-1);
        }
    }
}

/// A connection to a port of a container, by its address in one of its networks.
pub(super) async fn reach(
    engine: &Engine,
    object: &Object,
    container: &ContainerInspectResponse,
    port: u16,
) -> Result<Box<dyn Duplex>, CallError> {
    let address = &object.name.address;
    if !engine.is_local() {
        let message = format!(
            "the networks of `{address}` are on another machine, that of the Docker engine at \
             `{}`",
            engine.at
        );
        return Err(CallError::refused(message)
            .hint("run this there, or publish the port and let `ssh -L` lead to it"));
    }
    let networks = container.network_settings.clone().unwrap_or_default().networks;
    let addresses: Vec<String> = networks
        .unwrap_or_default()
        .into_values()
        .filter_map(|end| end.ip_address.or(end.global_ipv6_address))
        .filter(|address| !address.is_empty())
        .collect();
    if addresses.is_empty() {
        let message = format!("`{address}` has no address in any network");
        return Err(CallError::refused(message)
            .hint("with `network_mode: \"host\"` its ports are this machine's already"));
    }
    let mut why = String::new();
    for place in &addresses {
        let target = (place.as_str(), port);
        match tokio::time::timeout(ANSWER, TcpStream::connect(target)).await {
            Ok(Ok(stream)) => return Ok(Box::new(stream)),
            Ok(Err(error)) => why = format!("{place}:{port}: {error}").to_lowercase(),
            Err(_) => why = format!("{place}:{port} does not answer"),
        }
    }
    let why = why.split(" (os error").next().unwrap_or_default();
    Err(CallError::unreachable(format!("nothing listens at port {port} of `{address}`: {why}"))
        .hint(format!("`dollop logs {address}` may say why")))
}
