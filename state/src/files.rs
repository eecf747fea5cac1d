//! The folder, and file work whose errors name their file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use dollop_engine::store::StoreError;

/// An error without a hint.
pub(crate) fn failure(message: impl Into<String>) -> StoreError {
    StoreError { message: message.into(), hints: Vec::new() }
}

/// An error that says what to do.
pub(crate) fn hinted(message: impl Into<String>, hint: impl Into<String>) -> StoreError {
    StoreError { message: message.into(), hints: vec![hint.into()] }
}

/// Names the file in an I/O error: `.map_err(cannot("read", &path))`.
pub(crate) fn cannot<'a>(
    what: &'a str,
    path: &'a Path,
) -> impl FnOnce(io::Error) -> StoreError + 'a {
    move |error| failure(format!("cannot {what} `{}`: {error}", path.display()))
}

/// Where everything is.
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    root: PathBuf,
}

impl Folder {
    pub(crate) fn new(root: &Path) -> Self {
        Self { root: root.to_path_buf() }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.root.join("lock")
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.root.join("store")
    }

    pub(crate) fn trail(&self) -> PathBuf {
        self.root.join("trail.jsonl")
    }

    pub(crate) fn revisions(&self) -> PathBuf {
        self.root.join("revisions")
    }

    pub(crate) fn key(&self) -> PathBuf {
        self.root.join("key")
    }

    /// Makes the folder, closed to others, and keeps git out of it.
    pub(crate) fn create(&self) -> Result<(), StoreError> {
        create_private_folder(&self.root)?;
        close_to_others(&self.root)?;
        create_private_folder(&self.revisions())?;
        let ignore = self.root.join(".gitignore");
        if !ignore.exists() {
            fs::write(&ignore, b"*\n").map_err(cannot("write", &ignore))?;
        }
        if let Some(parent) = self.root.parent().filter(|path| !path.as_os_str().is_empty()) {
            sync_folder(parent)?;
        }
        Ok(())
    }
}

fn create_private_folder(path: &Path) -> Result<(), StoreError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(cannot("create", path))
}

/// The folder may have been made by hand, or by a checkout.
#[cfg(unix)]
fn close_to_others(path: &Path) -> Result<(), StoreError> {
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(path).map_err(cannot("read", path))?.permissions().mode();
    let others = mode & 0o077;
    if others == 0 {
        return Ok(());
    }
    fs::set_permissions(path, fs::Permissions::from_mode(0o700))
        .map_err(cannot("close to others", path))
}

#[cfg(not(unix))]
fn close_to_others(_path: &Path) -> Result<(), StoreError> {
    Ok(())
}

/// Opening options for files nobody else may read.
pub(crate) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Writes a file aside and syncs it; the caller gives it its name.
pub(crate) fn write_aside(aside: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let mut file = private()
        .write(true)
        .create(true)
        .truncate(true)
        .open(aside)
        .map_err(cannot("create", aside))?;
    file.write_all(bytes).map_err(cannot("write", aside))?;
    file.sync_all().map_err(cannot("sync", aside))
}

/// Renames and syncs the folder.
pub(crate) fn rename(from: &Path, to: &Path) -> Result<(), StoreError> {
    fs::rename(from, to).map_err(cannot("rename", from))?;
    to.parent().map_or(Ok(()), sync_folder)
}

/// Makes names in a folder durable.
pub(crate) fn sync_folder(path: &Path) -> Result<(), StoreError> {
    if cfg!(unix) {
        File::open(path)
            .and_then(|folder| folder.sync_all())
            .map_err(cannot("sync folder", path))?;
    }
    Ok(())
}

/// A whole file, or `None` when there is none.
pub(crate) fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(cannot("read", path)(error)),
    }
}
