//! A digest of files and folders of this machine: names, kinds, permissions and contents.
//! Times and owners do not count, and of a link only where it leads.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

/// What stands in the way of reading a folder.
#[derive(Debug, thiserror::Error)]
#[error("`{}`: {source}", path.display())]
pub(super) struct ContentError {
    path: PathBuf,
    source: io::Error,
}

/// Says at which path something failed.
pub(super) fn at<T>(path: &Path, result: io::Result<T>) -> Result<T, ContentError> {
    result.map_err(|source| ContentError { path: path.to_owned(), source })
}

/// Adds what is at a path, under a name, and nothing of what is in a folder.
pub(super) fn add(hasher: &mut Sha256, path: &Path, name: &str) -> Result<(), ContentError> {
    let meta = at(path, fs::symlink_metadata(path))?;
    let kind = meta.file_type();
    hasher.update(name.as_bytes());
    hasher.update([0]);
    if kind.is_symlink() {
        let target = at(path, fs::read_link(path))?;
        hasher.update(b"l");
        hasher.update(target.to_string_lossy().as_bytes());
        hasher.update([0]);
    } else if kind.is_file() {
        let mode = meta.permissions().mode() & 0o7777;
        hasher.update(format!("f{mode:o} {}", meta.len()).as_bytes());
        hasher.update([0]);
        let mut file = at(path, File::open(path))?;
        at(path, io::copy(&mut file, &mut Writer(hasher)))?;
    } else {
        hasher.update(b"d\0");
    }
    Ok(())
}

/// Feeds what is copied to a digest.
struct Writer<'a>(&'a mut Sha256);

impl io::Write for Writer<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
