//! Starting a container, and why it cannot.

use std::collections::HashMap;

use bollard::errors::Error;
use dollop_engine::error::CallError;
use dollop_engine::resource::Name;

use super::super::engine::{Engine, said, status};
use super::super::labels;
use super::create::no_network;
use super::hooks;
use super::ports::{Port, Protocol};
use super::spec::ContainerSpec;

/// Starts it; fine when it runs already.
pub(super) async fn start(
    engine: &Engine,
    name: &Name,
    id: &str,
    spec: &ContainerSpec,
) -> Result<(), CallError> {
    let Err(error) = engine.docker.start_container(id, None).await else { return Ok(()) };
    Err(explain(engine, name, spec, &error).await)
}

/// Starts it and runs what is to run then.
pub(super) async fn begin(
    engine: &Engine,
    name: &Name,
    id: &str,
    spec: &ContainerSpec,
) -> Result<(), CallError> {
    start(engine, name, id, spec).await?;
    post_start(engine, name, id, spec).await
}

/// Runs what is to run once it has started.
pub(super) async fn post_start(
    engine: &Engine,
    name: &Name,
    id: &str,
    spec: &ContainerSpec,
) -> Result<(), CallError> {
    hooks::run(engine, name, id, ("post_start", &spec.post_start), &spec.env).await
}

/// Why it could not be started.
pub(super) async fn explain(
    engine: &Engine,
    name: &Name,
    spec: &ContainerSpec,
    error: &Error,
) -> CallError {
    let doing = format!("starting container `{}`", name.natural);
    if status(error).is_none() {
        return engine.failed(&doing, error);
    }
    let said = said(error);
    if let Some(port) = port_taken(spec, &said) {
        return port_error(engine, &doing, port).await;
    }
    let cause = innermost(&said);
    if let Some(program) = missing_program(cause) {
        let message =
            format!("{doing} failed: image `{}` has no program `{program}`", spec.image);
        return CallError::refused(message).hint("check `command` and `entrypoint`");
    }
    if let Some(error) = no_network(&doing, cause) {
        return error;
    }
    let failed = CallError::refused(format!("{doing} failed: {cause}"));
    if cause.contains("could not select device driver") {
        return failed.hint(
            "the engine has no driver for `gpus`: install one (the NVIDIA container toolkit, \
             say) and restart the engine, or leave `gpus` out",
        );
    }
    if cause.contains("ddress already in use") {
        return failed
            .hint("another container has this `ipv4_address`: `docker network inspect`");
    }
    if cause.contains("failed to start shim") && cause.ends_with("file exists") {
        let name = &name.natural;
        return failed.hint(format!(
            "the engine was killed while it started this container, and cannot start it any \
             more: `docker rm {name}`, and apply again"
        ));
    }
    failed
}

/// The published port the engine could not get.
fn port_taken<'a>(spec: &'a ContainerSpec, said: &str) -> Option<&'a Port> {
    let taken = said.contains("port is already allocated")
        || said.contains("address already in use")
        || said.contains("ports are not available");
    if !taken {
        return None;
    }
    // The host's port stands before the container's in every wording.
    let position = |port: &Port| {
        let needle = format!(":{}", port.host.filter(|host| host.is_one())?);
        said.match_indices(&needle).map(|(at, _)| at).find(|at| {
            !said[at + needle.len()..].starts_with(|next: char| next.is_ascii_digit())
        })
    };
    let positions = spec.ports.0.iter().filter_map(|port| Some((position(port)?, port)));
    positions.min_by_key(|(at, _)| *at).map(|(_, port)| port)
}

async fn port_error(engine: &Engine, doing: &str, port: &Port) -> CallError {
    let Some(host) = port.host else {
        return CallError::refused(format!("{doing} failed: no free port for `{port}`"));
    };
    let protocol = match port.protocol {
        Protocol::Tcp => String::new(),
        other => format!("/{other}"),
    };
    let listed = engine.list_containers(None).await;
    let holder = listed.unwrap_or_default().into_iter().find(|container| {
        container.ports.iter().flatten().any(|other| {
            let same = other.typ.is_none_or(|typ| typ.to_string() == port.protocol.to_string());
            same && other.public_port == Some(host.first)
        })
    });
    let holder = holder.map(|container| {
        let name = container.names.into_iter().flatten().next().unwrap_or_default();
        let whose = labels::whose(&container.labels.unwrap_or_else(HashMap::new));
        (name.trim_start_matches('/').to_owned(), whose)
    });
    match holder {
        Some((name, whose)) => CallError::refused(format!(
            "{doing} failed: host port {host}{protocol} is taken by container `{name}` ({whose})"
        ))
        .hint(format!("stop `{name}`, or publish another port instead of `{port}`")),
        None => CallError::refused(format!(
            "{doing} failed: host port {host}{protocol} is taken by a program outside Docker"
        ))
        .hint(format!("stop what listens there, or publish another port instead of `{port}`")),
    }
}

/// The part of a run-time error that says something.
fn innermost(said: &str) -> &str {
    const FRAMES: [&str; 3] = [
        "unable to start container process: ",
        "starting container process caused: ",
        "OCI runtime create failed: ",
    ];
    let inner = FRAMES.iter().find_map(|frame| Some(said.split_once(frame)?.1));
    inner.unwrap_or(said).trim_end_matches(": unknown")
}

fn missing_program(cause: &str) -> Option<&str> {
    let found = cause.contains("executable file not found")
        || (cause.contains("exec: \"") && cause.contains("no such file or directory"));
    let rest = cause.split_once("exec: \"").filter(|_| found)?.1;
    rest.split_once('"').map(|(program, _)| program)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_found_in_what_the_engine_says() {
        let old = "OCI runtime create failed: runc create failed: unable to start container \
                   process: exec: \"nope\": executable file not found in $PATH: unknown";
        assert_eq!(missing_program(innermost(old)), Some("nope"));
        let newer = "failed to create task for container: failed to create shim task: OCI \
                     runtime create failed: runc create failed: unable to start container \
                     process: exec: \"./nope\": stat ./nope: no such file or directory: unknown";
        assert_eq!(missing_program(innermost(newer)), Some("./nope"));
    }

    #[test]
    fn the_port_is_found_in_what_engines_of_all_ages_say() {
        let spec: ContainerSpec = serde_json::from_value(
            serde_json::json!({ "image": "x", "ports": ["80:1", "8080:2"] }),
        )
        .unwrap();
        for said in [
            "Bind for 0.0.0.0:8080 failed: port is already allocated",
            "listen tcp4 0.0.0.0:8080: bind: address already in use",
            "failed to bind host port for 0.0.0.0:8080:172.17.0.2:2/tcp: address already in use",
            "failed to bind host port 0.0.0.0:8080/tcp: address already in use",
        ] {
            let port = port_taken(&spec, said).map(Port::to_string);
            assert_eq!(port.as_deref(), Some("8080:2"), "{said}");
        }
        assert_eq!(port_taken(&spec, "no space left on device"), None);
    }
}
