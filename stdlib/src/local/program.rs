//! Programs of this machine, for servers that are in no container of the stack.

use std::process::Stdio;
use std::sync::Arc;

use async_trait::async_trait;
use dollop_engine::backup::{Exit, Host, Program, Sink, Source};
use dollop_engine::error::CallError;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// This machine.
pub(crate) struct Here;

#[async_trait]
impl Host for Here {
    fn describe(&self) -> String {
        "this machine".to_owned()
    }

    async fn run(
        &self,
        program: Program,
        source: Option<Source<'_>>,
        sink: Sink<'_>,
    ) -> Result<Exit, CallError> {
        let Some((called, arguments)) = program.words.split_first() else {
            return Err(CallError::refused("no program to run"));
        };
        let failed = |error: std::io::Error| {
            CallError::refused(format!("running `{called}` on this machine failed: {error}"))
        };
        let child = Command::new(called)
            .args(arguments)
            .envs(program.env)
            .stdin(if source.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn();
        let mut child = match child {
            Ok(child) => child,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Exit { code: 127, errors: format!("{called}: not found") });
            }
            Err(error) => return Err(failed(error)),
        };
        let (stdin, stdout, stderr) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let feed = async {
            if let (Some(mut stdin), Some(source)) = (stdin, source) {
                // A program that ended reads no more; how it ended says why.
                let _ = tokio::io::copy(source, &mut stdin).await;
                let _ = stdin.shutdown().await;
            }
        };
        let drain = async {
            match stdout {
                Some(mut stdout) => tokio::io::copy(&mut stdout, sink).await.map(drop),
                None => Ok(()),
            }
        };
        let complain = async {
            let mut errors = Vec::new();
            if let Some(mut stderr) = stderr {
                let _ = tokio::io::copy(&mut stderr, &mut errors).await;
            }
            errors
        };
        let ((), drained, errors) = futures::join!(feed, drain, complain);
        drained.map_err(|error| CallError::refused(error.to_string()))?;
        let ended = child.wait().await.map_err(failed)?;
        let errors = String::from_utf8_lossy(&errors).trim_end().to_owned();
        Ok(Exit { code: ended.code().map_or(-1, i64::from), errors })
    }

    async fn volumes(&self) -> Result<Vec<(String, String)>, CallError> {
        Ok(Vec::new())
    }

    async fn inner_port(&self, outer: u16) -> Result<u16, CallError> {
        Ok(outer)
    }

    async fn twin(&self) -> Result<Arc<dyn Host>, CallError> {
        Err(CallError::refused("there is only one of this machine"))
    }

    async fn remove(&self) -> Result<(), CallError> {
        Ok(())
    }
}
