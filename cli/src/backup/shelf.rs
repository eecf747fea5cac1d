//! The folder of backups: making one, finding one, removing old ones.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::args::{PlaceArgs, ShelfArgs};
use crate::backup::manifest::{Entry, MANIFEST, Manifest, SUMS};
use crate::backup::stream;
use crate::error::CommandError;
use crate::saved::write_private;
use crate::session::state_folder;

/// What follows the name of a backup that is being made.
const UNFINISHED: &str = ".unfinished";
/// The newest one.
const LATEST: &str = "latest";

/// A folder of backups.
pub struct Shelf {
    folder: PathBuf,
}

/// A backup that is whole.
pub struct Backup {
    /// Its folder.
    pub folder: PathBuf,
    /// What it says of itself.
    pub manifest: Manifest,
}

impl Backup {
    /// The name of its folder.
    pub fn name(&self) -> String {
        self.folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// The file of a part.
    pub fn path(&self, entry: &Entry) -> PathBuf {
        self.folder.join(&entry.file)
    }

    /// What is wrong with a part's file; nothing when it is as it was written.
    pub fn damage(&self, entry: &Entry) -> Option<String> {
        match stream::sum(&self.path(entry)) {
            Err(error) => Some(format!("cannot be read: {error}")),
            Ok(is) if is.bytes != entry.bytes => {
                Some(format!("has {} bytes, not {}", is.bytes, entry.bytes))
            }
            Ok(is) if is.sha256 != entry.sha256 => Some("has another checksum".to_owned()),
            Ok(_) => None,
        }
    }
}

impl Shelf {
    /// The folder that is meant.
    pub fn of(place: &PlaceArgs, shelf: &ShelfArgs) -> Result<Self, CommandError> {
        let folder = match &shelf.out {
            Some(folder) => folder.clone(),
            None => state_folder(&place.project()?).join("backups"),
        };
        Ok(Self { folder })
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The backups of a stack, newest first, and what cannot be read.
    pub fn list(&self, stack: &str) -> Result<(Vec<Backup>, Vec<CommandError>), CommandError> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok((Vec::new(), Vec::new()));
            }
            Err(error) => return Err(cannot("list", &self.folder, &error)),
        };
        let (mut found, mut broken) = (Vec::new(), Vec::new());
        for entry in entries {
            let folder = entry.map_err(|error| cannot("list", &self.folder, &error))?.path();
            let name = folder.to_string_lossy().into_owned();
            if !folder.join(MANIFEST).is_file() || name.ends_with(UNFINISHED) {
                continue;
            }
            match Manifest::read(&folder) {
                Ok(manifest) if manifest.stack == stack => {
                    found.push(Backup { folder, manifest });
                }
                Ok(_) => {}
                Err(error) => broken.push(error),
            }
        }
        found.sort_by(|one, other| {
            let key = |backup: &Backup| (backup.manifest.begun.clone(), backup.name());
            key(other).cmp(&key(one))
        });
        Ok((found, broken))
    }

    /// A backup by its folder, its name, or as `latest`.
    pub fn find(&self, wanted: &str, stack: &str) -> Result<Backup, CommandError> {
        if wanted == LATEST {
            let (found, _) = self.list(stack)?;
            return found.into_iter().next().ok_or_else(|| {
                let folder = self.folder.display();
                CommandError::failed(format!("there is no backup of `{stack}` in `{folder}`"))
                    .hint("make one: `dollop backup`; or say where they are: `--out FOLDER`")
            });
        }
        let here = PathBuf::from(wanted);
        let folder = if here.is_dir() { here } else { self.folder.join(wanted) };
        let manifest = Manifest::read(&folder)?;
        Ok(Backup { folder, manifest })
    }

    /// A new folder for a backup, not yet under its name. What a run left that died is
    /// removed.
    pub fn begin(&self, stack: &str, begun: &str) -> Result<Unfinished, CommandError> {
        create_private(&self.folder)?;
        let prefix = format!("{stack}-");
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with(&prefix) && name.ends_with(UNFINISHED) {
                fs::remove_dir_all(entry.path())
                    .map_err(|error| cannot("remove", &entry.path(), &error))?;
            }
        }
        let stamp: String = begun.chars().filter(|c| !matches!(c, '-' | ':')).collect();
        let names = (1..).map(|number| match number {
            1 => format!("{stack}-{stamp}"),
            _ => format!("{stack}-{stamp}-{number}"),
        });
        let mut names = names.map(|name| self.folder.join(name));
        let name = names.find(|name| !name.exists()).unwrap_or_default();
        let mut aside = name.clone().into_os_string();
        aside.push(UNFINISHED);
        let aside = PathBuf::from(aside);
        create_private(&aside.join("parts"))?;
        Ok(Unfinished { aside, name, kept: false })
    }

    /// Removes backups that are too many or too old, of the same stack and choice; the
    /// newest stays.
    pub fn prune(
        &self,
        like: &Manifest,
        keep: Option<usize>,
        keep_for: Option<Duration>,
    ) -> Result<Vec<String>, CommandError> {
        if keep.is_none() && keep_for.is_none() {
            return Ok(Vec::new());
        }
        let (found, _) = self.list(&like.stack)?;
        let same = found.into_iter().filter(|backup| backup.manifest.only == like.only);
        let mut removed = Vec::new();
        for (index, backup) in same.enumerate().skip(1) {
            let begun = humantime::parse_rfc3339(&backup.manifest.begun).ok();
            let age = begun.and_then(|begun| SystemTime::now().duration_since(begun).ok());
            let too_many = keep.is_some_and(|keep| index >= keep);
            let too_old = keep_for.zip(age).is_some_and(|(keep_for, age)| age > keep_for);
            if too_many || too_old {
                // Its name goes first, so that nobody finds half of it.
                let mut aside = backup.folder.clone().into_os_string();
                aside.push(UNFINISHED);
                fs::rename(&backup.folder, &aside)
                    .and_then(|()| fs::remove_dir_all(&aside))
                    .map_err(|error| cannot("remove", &backup.folder, &error))?;
                removed.push(backup.name());
            }
        }
        Ok(removed)
    }
}

/// A backup that is being made; removed when it does not get whole.
pub struct Unfinished {
    aside: PathBuf,
    name: PathBuf,
    kept: bool,
}

impl Unfinished {
    /// Where its parts go.
    pub fn folder(&self) -> &Path {
        &self.aside
    }

    /// Writes the manifest, makes everything durable and gives the folder its name.
    pub fn finish(mut self, manifest: &Manifest) -> Result<PathBuf, CommandError> {
        let (text, sums) = manifest.texts();
        for (name, text) in [(MANIFEST, text), (SUMS, sums)] {
            let path = self.aside.join(name);
            write_private(&path, text.as_bytes())
                .map_err(|error| cannot("write", &path, &error))?;
        }
        let parent = self.name.parent().map(Path::to_owned).unwrap_or_default();
        let synced = sync(&self.aside.join("parts"))
            .and_then(|()| sync(&self.aside))
            .and_then(|()| fs::rename(&self.aside, &self.name))
            .and_then(|()| sync(&parent));
        synced.map_err(|error| cannot("write", &self.name, &error))?;
        self.kept = true;
        Ok(self.name.clone())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.kept {
            // What cannot be removed is removed by the next backup.
            let _ = fs::remove_dir_all(&self.aside);
        }
    }
}

fn cannot(what: &str, path: &Path, error: &io::Error) -> CommandError {
    CommandError::failed(format!("cannot {what} `{}`: {error}", path.display()))
}

fn create_private(folder: &Path) -> Result<(), CommandError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(|error| {
        cannot("create", folder, &error).hint("say where backups are to go: `--out FOLDER`")
    })
}

fn sync(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}
