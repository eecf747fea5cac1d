//! Who was stopped for a copy. It stands in a file before it happens, so that the next run
//! lets them go on when this one dies.

use std::fs;
use std::path::{Path, PathBuf};

use dollop_engine::address::Address;
use dollop_engine::backup::{Quiet, Site, Writer};
use serde::{Deserialize, Serialize};

use crate::error::CommandError;
use crate::saved::write_private;

/// The file's name in the folder of the state.
const FILE: &str = "quiet.json";

#[derive(Serialize, Deserialize)]
struct Stopped {
    connection: Address,
    how: Quiet,
    writers: Vec<Writer>,
}

/// Programs that write nothing for now.
pub struct Hush<'a> {
    site: &'a Site,
    file: PathBuf,
    stopped: Stopped,
}

impl<'a> Hush<'a> {
    /// Makes programs write nothing.
    pub async fn begin(
        folder: &Path,
        site: &'a Site,
        writers: Vec<Writer>,
        how: Quiet,
    ) -> Result<Self, CommandError> {
        let file = folder.join(FILE);
        if let Some(others) = read(&file)? {
            return Err(others.still());
        }
        let stopped = Stopped { connection: site.address.clone(), how, writers };
        let text = serde_json::to_vec(&stopped).unwrap_or_default();
        write_private(&file, &text).map_err(|error| {
            CommandError::failed(format!("cannot write `{}`: {error}", file.display()))
        })?;
        let hush = Self { site, file, stopped };
        let quieted =
            hush.stopped.writers.iter().map(|writer| site.backup().quiet(writer, how));
        for done in futures::future::join_all(quieted).await {
            if let Err(error) = done {
                return hush.end(Err(error.into())).await;
            }
        }
        Ok(hush)
    }

    /// Lets them go on, whatever came of what was done meanwhile.
    pub async fn end<T>(self, done: Result<T, CommandError>) -> Result<T, CommandError> {
        match (done, resume(self.site, &self.stopped, &self.file).await) {
            (Err(error), Err(also)) => {
                Err(also.hints.into_iter().fold(error.note(also.message), CommandError::hint))
            }
            (done, resumed) => resumed.and(done),
        }
    }
}

impl Stopped {
    /// A run that was killed stopped them, and nobody could let them go on since.
    fn still(&self) -> CommandError {
        let names: Vec<&str> = self.writers.iter().map(|one| one.what.as_str()).collect();
        CommandError::failed(format!(
            "a run that was killed stopped {}, and `{}` cannot be reached to start it again",
            names.join(", "),
            self.connection
        ))
        .hint("make it reachable and run this again; nothing else is stopped before")
    }
}

/// What a run had stopped that died.
fn read(file: &Path) -> Result<Option<Stopped>, CommandError> {
    let Ok(text) = fs::read(file) else { return Ok(None) };
    let stopped = serde_json::from_slice(&text).map_err(|error| {
        CommandError::failed(format!("`{}` cannot be read: {error}", file.display()))
            .hint("start what was stopped by hand, then remove the file")
    })?;
    Ok(Some(stopped))
}

/// Lets go on what a run had stopped that died; what it was.
pub async fn recover(folder: &Path, sites: &[Site]) -> Result<Vec<String>, CommandError> {
    let file = folder.join(FILE);
    let Some(stopped) = read(&file)? else { return Ok(Vec::new()) };
    let Some(site) = sites.iter().find(|site| site.address == stopped.connection) else {
        return Ok(Vec::new());
    };
    resume(site, &stopped, &file).await?;
    Ok(stopped.writers.into_iter().map(|writer| writer.what).collect())
}

async fn resume(site: &Site, stopped: &Stopped, file: &Path) -> Result<(), CommandError> {
    let resumed =
        stopped.writers.iter().map(|writer| site.backup().resume(writer, stopped.how));
    let mut failed = None;
    for done in futures::future::join_all(resumed).await {
        if let Err(error) = done {
            failed.get_or_insert(error);
        }
    }
    match failed {
        Some(error) => {
            let error = CommandError::from(error);
            Err(error.hint("it is stopped still: `dollop apply` starts it"))
        }
        None => fs::remove_file(file).map_err(|error| {
            CommandError::failed(format!("cannot remove `{}`: {error}", file.display()))
        }),
    }
}
