//! What runs in a shell when a command has done its work: `--then`.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// A command of a shell; what it prints is talk.
pub struct Hook(Command);

impl Hook {
    /// It ends with us.
    pub fn new(command: &str) -> Self {
        let mut process = Command::new("sh");
        process.args(["-c", command]).stdin(Stdio::null()).stdout(std::io::stderr());
        process.kill_on_drop(true);
        Self(process)
    }

    /// Sets a variable.
    pub fn env(mut self, name: &str, value: &Path) -> Self {
        self.0.env(name, value);
        self
    }

    /// Runs it to its end.
    ///
    /// # Errors
    /// How it ended.
    pub async fn run(mut self) -> Result<(), String> {
        let ended = self.0.status().await.map_err(|error| error.to_string())?;
        if ended.success() { Ok(()) } else { Err(format!("it ended with {ended}")) }
    }

    /// The same, with something to read and so much time.
    ///
    /// # Errors
    /// How it ended, or that it did not.
    pub async fn tell(mut self, text: &str, time: Duration) -> Result<(), String> {
        self.0.stdin(Stdio::piped());
        let told = async {
            let mut child = self.0.spawn().map_err(|error| error.to_string())?;
            if let Some(mut input) = child.stdin.take() {
                // A command that reads nothing has ended before it was given all.
                let _ = input.write_all(text.as_bytes()).await;
            }
            let ended = child.wait().await.map_err(|error| error.to_string())?;
            if ended.success() { Ok(()) } else { Err(format!("it ended with {ended}")) }
        };
        tokio::time::timeout(time, told).await.unwrap_or_else(|_| {
            Err(format!("it takes longer than {}", humantime::format_duration(time)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::runtime;

    fn told(command: &str, text: &str) -> Result<(), String> {
        let time = Duration::from_millis(500);
        runtime().expect("a runtime").block_on(Hook::new(command).tell(text, time))
    }

    #[test]
    fn a_hook_reads_what_it_likes_and_has_its_time() {
        assert_eq!(told("grep -q drift", "drift\n"), Ok(()));
        assert_eq!(told("true", &"x".repeat(1 << 20)), Ok(()));
        assert_eq!(told("exit 3", ""), Err("it ended with exit status: 3".to_owned()));
        let late = Err("it takes longer than 500ms".to_owned());
        assert_eq!(told("sleep 9", ""), late);
        assert_eq!(told("exec sleep 9", &"x".repeat(1 << 20)), late);
    }
}
