//! A container as the place where a server is.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bollard::container::LogOutput;
use bollard::exec::{CreateExecOptions, StartExecResults};
use bollard::query_parameters::RemoveContainerOptionsBuilder;
use dollop_engine::address::Address;
use dollop_engine::backup::{Exit, Host, Program, Sink, Source};
use dollop_engine::error::CallError;
use dollop_engine::resource::{Name, Resource as _};
use futures::StreamExt as _;
use rand::distr::{Alphanumeric, SampleString as _};
use serde_json::{Value as Json, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::super::container::{Container, ContainerSpec, create, inspect};
use super::super::engine::{Engine, status};
use super::super::exec::OUTPUT_LINES;
use super::reach::{marks, unwritable};

/// A dump takes as long as it takes.
const ENDLESS: Duration = Duration::from_hours(24);
/// What a program says on stderr is kept up to here.
const ERRORS: usize = 64 * 1024;

/// A container of the stack.
pub(in super::super) struct ContainerHost {
    engine: Arc<Engine>,
    address: Address,
    id: String,
    name: String,
    spec: Json,
}

impl ContainerHost {
    /// The host for an object of the engine, when it is a container.
    pub(in super::super) fn of(
        engine: &Arc<Engine>,
        address: &Address,
        id: &str,
        spec: &Json,
    ) -> Option<Arc<dyn Host>> {
        (address.kind() == Container::KIND).then(|| -> Arc<dyn Host> {
            Arc::new(Self {
                engine: Arc::clone(engine),
                address: address.clone(),
                id: id.to_owned(),
                name: spec["name"].as_str().unwrap_or(id).to_owned(),
                spec: spec.clone(),
            })
        })
    }
}

#[async_trait]
impl Host for ContainerHost {
    fn describe(&self) -> String {
        format!("container `{}`", self.name)
    }

    async fn run(
        &self,
        program: Program,
        source: Option<Source<'_>>,
        sink: Sink<'_>,
    ) -> Result<Exit, CallError> {
        let called = program.words.first().cloned().unwrap_or_default();
        let doing = format!("running `{called}` in {}", self.describe());
        let env = program.env.iter().map(|(name, value)| format!("{name}={value}"));
        let options = CreateExecOptions {
            cmd: Some(program.words),
            env: Some(env.collect()),
            attach_stdin: Some(source.is_some()),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            ..CreateExecOptions::default()
        };
        let docker = self.engine.patient(ENDLESS);
        let failed = |error: &bollard::errors::Error| {
            let failed = self.engine.failed(&doing, error);
            match status(error) {
                Some(409) => failed.hint("it must run: `dollop apply` starts it"),
                _ => failed,
            }
        };
        let exec = docker.create_exec(&self.id, options).await.map_err(|e| failed(&e))?;
        let started = docker.start_exec(&exec.id, None).await.map_err(|e| failed(&e))?;
        let mut errors = Vec::new();
        if let StartExecResults::Attached { mut output, mut input } = started {
            let feed = async {
                if let Some(source) = source {
                    let mut buffer = vec![0; 64 * 1024];
                    loop {
                        let read = source.read(&mut buffer).await.map_err(unwritable)?;
                        // A program that ended reads no more; how it ended says why.
                        if read == 0 || input.write_all(&buffer[..read]).await.is_err() {
                            break;
                        }
                    }
                    let _ = input.flush().await;
                    let _ = input.shutdown().await;
                }
                Ok::<_, CallError>(())
            };
            let drain = async {
                while let Some(piece) = output.next().await {
                    match piece.map_err(|error| failed(&error))? {
                        LogOutput::StdOut { message } | LogOutput::Console { message } => {
                            sink.write_all(&message).await.map_err(unwritable)?;
                        }
                        LogOutput::StdErr { message } if errors.len() < ERRORS => {
                            errors.extend_from_slice(&message);
                        }
                        LogOutput::StdErr { .. } | LogOutput::StdIn { .. } => {}
                    }
                }
                Ok::<_, CallError>(())
            };
            let (written, drained) = futures::join!(feed, drain);
            written?;
            drained?;
        }
        let ended = docker.inspect_exec(&exec.id).await.map_err(|e| failed(&e))?;
        let errors = String::from_utf8_lossy(&errors).into_owned();
        let lines: Vec<_> = errors.lines().map(str::trim_end).collect();
        let errors = lines[lines.len().saturating_sub(OUTPUT_LINES)..].join("\n");
        Ok(Exit { code: ended.exit_code.unwrap_or(-1), errors })
    }

    async fn volumes(&self) -> Result<Vec<(String, String)>, CallError> {
        let found = inspect(&self.engine, &self.id).await?;
        let mounts = found.and_then(|found| found.mounts).unwrap_or_default();
        Ok(mounts
            .into_iter()
            .filter_map(|mount| Some((mount.name?, mount.destination?)))
            .collect())
    }

    async fn inner_port(&self, outer: u16) -> Result<u16, CallError> {
        let found = inspect(&self.engine, &self.id).await?;
        let ports = found.and_then(|found| found.network_settings?.ports).unwrap_or_default();
        let outer_text = outer.to_string();
        let inner = ports.into_iter().find_map(|(inner, bindings)| {
            let bindings = bindings.unwrap_or_default();
            let here = |binding: &bollard::models::PortBinding| {
                binding.host_port.as_deref() == Some(outer_text.as_str())
            };
            bindings.iter().any(here).then(|| inner.split('/').next()?.parse().ok()).flatten()
        });
        // One that is reached in its own network has its own port.
        Ok(inner.unwrap_or(outer))
    }

    async fn twin(&self) -> Result<Arc<dyn Host>, CallError> {
        let mut spec = self.spec.clone();
        if let Json::Object(entries) = &mut spec {
            // Nobody but us is to reach it, and it is to reach nothing.
            for apart in [
                "name",
                "labels",
                "ports",
                "networks",
                "network_mode",
                "mac_address",
                "links",
                "expose",
                "restart",
                "replicas",
                "replica_of",
                "update_config",
                "post_start",
                "pre_stop",
                "container_name",
                "pid",
                "ipc",
                "volumes_from",
            ] {
                entries.remove(apart);
            }
            // The data of the original is the one thing it must never see.
            if let Some(Json::Array(mounts)) = entries.get_mut("volumes") {
                mounts.retain(|mount| mount["read_only"] == json!(true));
            }
            entries.insert("restart".to_owned(), json!("no"));
            entries.insert("labels".to_owned(), json!(marks(&self.engine)));
            entries.retain(|_, value| !value.is_null());
        }
        let made: ContainerSpec = serde_json::from_value(spec.clone()).map_err(|error| {
            CallError::refused(format!("no second {} can be made: {error}", self.describe()))
        })?;
        let ending = Alphanumeric.sample_string(&mut rand::rng(), 8).to_lowercase();
        let natural = format!("{}-verify-{ending}", self.name);
        let name = Name {
            stack: format!("{}~verify", self.engine.scope.stack),
            address: self.address.clone(),
            natural: natural.clone(),
        };
        let twin = |id: String| Self {
            engine: Arc::clone(&self.engine),
            address: self.address.clone(),
            id,
            name: natural.clone(),
            spec,
        };
        match create(&self.engine, &name, &made).await {
            Ok(created) => Ok(Arc::new(twin(created.id))),
            Err(error) => {
                // One that did not get healthy is still there.
                let _ = twin(natural.clone()).remove().await;
                Err(error)
            }
        }
    }

    async fn remove(&self) -> Result<(), CallError> {
        let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
        match self.engine.docker.remove_container(&self.id, Some(options)).await {
            Err(error) if status(&error) != Some(404) => {
                Err(self.engine.failed(&format!("removing {}", self.describe()), &error))
            }
            _ => Ok(()),
        }
    }
}
