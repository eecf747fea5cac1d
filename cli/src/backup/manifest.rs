//! What a backup says of itself.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Component, Path};

use dollop_engine::address::Address;
use dollop_engine::backup::{LeftOut, Part};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use sha2::{Digest as _, Sha256};

use crate::error::CommandError;

/// The version of the form.
pub const FORMAT: u32 = 1;
/// The manifest's name in the folder of a backup.
pub const MANIFEST: &str = "manifest.json";
/// The checksums, in the form `sha256sum --check` reads.
pub const SUMS: &str = "SHA256SUMS";

/// Everything a backup says of itself. Holds no secrets.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of this form.
    pub dollop_backup: u32,
    /// The version of dollop that made it.
    pub dollop: String,
    /// The stack's name.
    pub stack: String,
    /// The environment.
    pub environment: String,
    /// The serial of the state it was made from.
    pub serial: u64,
    /// Who made it, `user@host`.
    pub who: String,
    /// When it was begun, in RFC 3339 UTC.
    pub begun: String,
    /// When it was done.
    pub ended: String,
    /// What was chosen; empty for everything.
    pub only: Vec<String>,
    /// The age recipients that can read it; empty when everybody can.
    pub encrypted_to: Vec<String>,
    /// The services with their versions.
    pub services: BTreeMap<Address, String>,
    /// Its parts, in the order in which they are taken back.
    pub parts: Vec<Entry>,
    /// What is not in it.
    pub left_out: Vec<LeftOut>,
}

/// A part and its file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Entry {
    /// What it holds.
    #[serde(flatten)]
    pub part: Part,
    /// Its file, from the folder of the backup.
    pub file: String,
    /// The size of the file.
    pub bytes: u64,
    /// The digest of the file, in hex.
    pub sha256: String,
    /// Whether the file is compressed by zstd, beside what the part itself is.
    pub zstd: bool,
    /// What its provider wants to know when it takes it back.
    pub saved: Json,
}

impl Manifest {
    /// The text of the manifest, and that of the checksums.
    pub fn texts(&self) -> (String, String) {
        let json = serde_json::to_value(self).unwrap_or_default();
        let text = format!("{json:#}\n");
        let mut sums = String::new();
        let own = hex::encode(Sha256::digest(text.as_bytes()));
        let _ = writeln!(sums, "{own}  {MANIFEST}");
        for entry in &self.parts {
            let _ = writeln!(sums, "{}  {}", entry.sha256, entry.file);
        }
        (text, sums)
    }

    /// Reads the manifest in a folder, and holds it against its checksum.
    ///
    /// # Errors
    /// There is none, it was altered, or a newer dollop made it.
    pub fn read(folder: &Path) -> Result<Self, CommandError> {
        let path = folder.join(MANIFEST);
        let shown = path.display();
        let read = |path: &Path| {
            std::fs::read_to_string(path).map_err(|error| {
                let message = format!("cannot read `{}`: {error}", path.display());
                CommandError::failed(message).hint("`dollop backup list` shows what there is")
            })
        };
        let text = read(&path)?;
        let sums = read(&folder.join(SUMS))?;
        let own = hex::encode(Sha256::digest(text.as_bytes()));
        let said = sums.lines().find_map(|line| {
            let (sum, name) = line.split_once("  ")?;
            (name == MANIFEST).then_some(sum)
        });
        if said != Some(own.as_str()) {
            return Err(CommandError::failed(format!(
                "`{shown}` is damaged: its checksum is another"
            ))
            .hint("use another backup"));
        }
        let json: Json = serde_json::from_str(&text).map_err(|_| {
            CommandError::failed(format!("`{shown}` is no manifest of a backup"))
        })?;
        match json["dollop_backup"].as_u64() {
            Some(format) if format == u64::from(FORMAT) => {}
            Some(format) => {
                return Err(CommandError::failed(format!(
                    "`{shown}` was made by another version of dollop"
                ))
                .note(format!("its format is {format}, this dollop knows {FORMAT}"))
                .hint("use the dollop that made it, or a newer one"));
            }
            None => {
                return Err(CommandError::failed(format!(
                    "`{shown}` is no manifest of a backup"
                )));
            }
        }
        let manifest: Self = serde_json::from_value(json).map_err(|error| {
            CommandError::failed(format!("`{shown}` cannot be read: {error}"))
        })?;
        let outside = manifest.parts.iter().find(|entry| {
            let mut parts = Path::new(&entry.file).components();
            !parts.all(|part| matches!(part, Component::Normal(_)))
        });
        match outside {
            Some(entry) => Err(CommandError::failed(format!(
                "`{shown}` names a file outside of the backup: `{}`",
                entry.file
            ))),
            None => Ok(manifest),
        }
    }

    /// What tells this backup from every other.
    pub fn digest(&self) -> String {
        hex::encode(Sha256::digest(self.texts().0.as_bytes()))
    }
}
