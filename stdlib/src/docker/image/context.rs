//! What an image is built from: the files of a folder, without those `.dockerignore` names.

use std::fs::{self, File};
use std::io;
use std::path::{Component, Path, PathBuf};

use dollop_engine::resource::STATE_FOLDER;
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType, Header};
use walkdir::{DirEntry, WalkDir};

use super::super::content::{self, ContentError, at};

/// Where a Dockerfile that is not in the folder lies in what is sent.
pub(super) const APART: &str = ".dollop.Dockerfile";
const IGNORE_FILE: &str = ".dockerignore";

/// The folder and what of it counts.
pub(super) struct Context {
    folder: PathBuf,
    ignored: Ignored,
    dockerfile: Dockerfile,
}

/// Where the Dockerfile is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Dockerfile {
    /// In the script: its text.
    Inline(String),
    /// In the folder: its name there. It counts whatever is ignored.
    Inside(String),
    /// A file elsewhere, which no folder tells of.
    Outside(PathBuf),
}

impl Dockerfile {
    /// The file of a path that starts in the folder.
    pub(super) fn at(folder: &Path, path: &str) -> Self {
        let whole = plain(&folder.join(path));
        match whole.strip_prefix(plain(folder)) {
            Ok(name) => Self::Inside(name.to_string_lossy().into_owned()),
            Err(_) => Self::Outside(whole),
        }
    }

    /// What the engine is told, and what it is called where it goes apart from the folder.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Inside(name) => name,
            Self::Inline(_) | Self::Outside(_) => APART,
        }
    }

    fn inside(&self) -> Option<&str> {
        match self {
            Self::Inside(name) => Some(name),
            Self::Inline(_) | Self::Outside(_) => None,
        }
    }
}

/// A path without `.` and `..`, by its text alone, as the `docker` command takes it.
pub(super) fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if plain.file_name().is_some() => {
                plain.pop();
            }
            part => plain.push(part),
        }
    }
    plain
}

impl Context {
    /// Fails where the folder or the Dockerfile cannot be read.
    pub(super) fn open(folder: PathBuf, dockerfile: Dockerfile) -> Result<Self, ContentError> {
        at(&folder, fs::read_dir(&folder))?;
        let path = match &dockerfile {
            Dockerfile::Inline(_) => None,
            Dockerfile::Inside(name) => Some(folder.join(name)),
            Dockerfile::Outside(path) => Some(path.clone()),
        };
        if let Some(path) = path {
            at(&path, fs::metadata(&path))?;
        }
        let path = folder.join(IGNORE_FILE);
        let patterns = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return at(&path, Err(error)),
        };
        let ignored = at(&path, Ignored::parse(&patterns))?;
        Ok(Self { folder, ignored, dockerfile })
    }

    /// A digest of what counts.
    pub(super) fn digest(&self, mut hasher: Sha256) -> Result<String, ContentError> {
        for entry in self.entries() {
            let (path, name) = entry?;
            content::add(&mut hasher, &path, &name)?;
        }
        if let Dockerfile::Outside(path) = &self.dockerfile {
            hasher.update(at(path, fs::read(path))?);
        }
        Ok(hex::encode(hasher.finalize()))
    }

    /// The text of the Dockerfile.
    pub(super) fn dockerfile(&self) -> Result<Vec<u8>, ContentError> {
        match &self.dockerfile {
            Dockerfile::Inline(text) => Ok(text.clone().into_bytes()),
            Dockerfile::Inside(name) => {
                let path = self.folder.join(name);
                at(&path, fs::read(&path))
            }
            Dockerfile::Outside(path) => at(path, fs::read(path)),
        }
    }

    /// Everything as an archive, rewound, with a Dockerfile that is not in the folder.
    pub(super) fn archive(&self) -> Result<File, ContentError> {
        let folder = self.folder.as_path();
        let mut archive = Builder::new(at(folder, tempfile::tempfile())?);
        archive.follow_symlinks(false);
        for entry in self.entries() {
            let (path, name) = entry?;
            let meta = at(&path, fs::symlink_metadata(&path))?;
            let mut header = Header::new_gnu();
            header.set_metadata(&meta);
            // As the `docker` command does: nobody's number means anything in an image.
            header.set_uid(0);
            header.set_gid(0);
            let kind = meta.file_type();
            let added = if kind.is_symlink() {
                let target = at(&path, fs::read_link(&path))?;
                header.set_entry_type(EntryType::Symlink);
                header.set_size(0);
                archive.append_link(&mut header, &name, target)
            } else if kind.is_file() {
                let file = at(&path, File::open(&path))?;
                archive.append_data(&mut header, &name, file)
            } else if kind.is_dir() {
                header.set_entry_type(EntryType::Directory);
                header.set_size(0);
                archive.append_data(&mut header, &name, io::empty())
            } else {
                // Sockets and devices cannot be part of an image.
                Ok(())
            };
            at(&path, added)?;
        }
        if self.dockerfile.inside().is_none() {
            let text = self.dockerfile()?;
            let mut header = Header::new_gnu();
            header.set_mode(0o644);
            header.set_size(text.len() as u64);
            at(folder, archive.append_data(&mut header, APART, text.as_slice()))?;
        }
        let mut file = at(folder, archive.into_inner())?;
        at(folder, io::Seek::rewind(&mut file))?;
        Ok(file)
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Paths and names of what counts, in one order.
    fn entries(&self) -> impl Iterator<Item = Result<(PathBuf, String), ContentError>> {
        self.walked(|name| self.counts(name))
    }

    /// The same without the Dockerfile and what is left out, where patterns name them.
    pub(super) fn counted(
        &self,
    ) -> impl Iterator<Item = Result<(PathBuf, String), ContentError>> {
        self.walked(|name| !self.ignored.matches(name))
    }

    fn walked(
        &self,
        counts: impl Fn(&str) -> bool,
    ) -> impl Iterator<Item = Result<(PathBuf, String), ContentError>> {
        let walk = WalkDir::new(&self.folder).min_depth(1).sort_by_file_name();
        // A folder that is left out as a whole need not be looked into.
        let walk = walk.into_iter().filter_entry(|entry| {
            entry.depth() == 0 || !entry.file_type().is_dir() || !self.skips(entry)
        });
        walk.filter_map(move |entry| match entry {
            Ok(entry) => {
                let name = self.name(&entry);
                counts(&name).then(|| Ok((entry.into_path(), name)))
            }
            Err(error) => {
                let path = error.path().unwrap_or(&self.folder).to_owned();
                Some(at(&path, Err(error.into())))
            }
        })
    }

    fn name(&self, entry: &DirEntry) -> String {
        let path = entry.path().strip_prefix(&self.folder).unwrap_or(entry.path());
        path.to_string_lossy().into_owned()
    }

    fn skips(&self, folder: &DirEntry) -> bool {
        if folder.file_name() == STATE_FOLDER {
            return true;
        }
        let name = self.name(folder);
        let needed = |file: &str| Path::new(file).starts_with(&name);
        !self.ignored.has_exceptions
            && self.ignored.matches(&name)
            && !self.dockerfile.inside().is_some_and(needed)
    }

    fn counts(&self, name: &str) -> bool {
        name == IGNORE_FILE
            || self.dockerfile.inside() == Some(name)
            || !self.ignored.matches(name)
    }
}

/// The patterns of a `.dockerignore`; the last one that fits decides.
struct Ignored {
    /// Two for each pattern: the path itself and what lies below it.
    set: GlobSet,
    /// For each of them, whether it leaves out or takes in again.
    leaves_out: Vec<bool>,
    has_exceptions: bool,
}

impl Ignored {
    fn parse(text: &str) -> io::Result<Self> {
        let mut set = GlobSetBuilder::new();
        let mut leaves_out = Vec::new();
        for line in text.lines() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (pattern, out) = match line.strip_prefix('!') {
                Some(pattern) => (pattern.trim(), false),
                None => (line, true),
            };
            // Every pattern starts at the folder; `/a`, `./a` and `a/` are all `a`.
            let pattern = pattern.trim_start_matches("./").trim_matches('/');
            if pattern.is_empty() || pattern == "." {
                continue;
            }
            for pattern in [pattern.to_owned(), format!("{pattern}/**")] {
                let glob = GlobBuilder::new(&pattern).literal_separator(true).build();
                set.add(glob.map_err(|error| io::Error::other(error.to_string()))?);
                leaves_out.push(out);
            }
        }
        let set = set.build().map_err(|error| io::Error::other(error.to_string()))?;
        let has_exceptions = leaves_out.iter().any(|out| !out);
        Ok(Self { set, leaves_out, has_exceptions })
    }

    fn matches(&self, name: &str) -> bool {
        self.set.matches(name).last().is_some_and(|index| self.leaves_out[*index])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left_out(patterns: &str, names: &[&str]) -> Vec<String> {
        let ignored = Ignored::parse(patterns).unwrap();
        names.iter().filter(|name| ignored.matches(name)).map(ToString::to_string).collect()
    }

    #[test]
    fn patterns_mean_what_docker_says() {
        let names = ["a", "a/b", "x/a", "x/y/a", "README.md", "x/z.md"];
        assert_eq!(left_out("a", &names), ["a", "a/b"]);
        assert_eq!(left_out("/a/\n", &names), ["a", "a/b"]);
        assert_eq!(left_out("**/a", &names), ["a", "a/b", "x/a", "x/y/a"]);
        assert_eq!(left_out("*/a", &names), ["x/a"]);
        assert_eq!(left_out("*.md\n# a comment\n!README.md", &names), Vec::<String>::new());
        assert_eq!(left_out("*\n!x/y", &names), ["a", "a/b", "x/a", "README.md", "x/z.md"]);
    }

    #[test]
    fn only_what_counts_changes_the_digest() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let digest = || {
            let dockerfile = Dockerfile::Inside("Dockerfile".into());
            let context = Context::open(folder.path().to_owned(), dockerfile).unwrap();
            context.digest(Sha256::new()).unwrap()
        };
        write("Dockerfile", "FROM x");
        write(".dockerignore", "*\n!src\n");
        write("src/main", "1");
        write("target/big", "1");
        let first = digest();
        write("target/big", "2");
        assert_eq!(digest(), first);
        // Not even when everything but what is named counts: dollop writes there itself.
        write("src/.dollop/key", "secret");
        assert_eq!(digest(), first);
        write("src/main", "2");
        let second = digest();
        assert_ne!(second, first);
        write("Dockerfile", "FROM y");
        assert_ne!(digest(), second);
        fs::remove_file(folder.path().join("Dockerfile")).unwrap();
        let dockerfile = Dockerfile::Inside("Dockerfile".into());
        assert!(Context::open(folder.path().to_owned(), dockerfile).is_err());
    }

    #[test]
    fn a_dockerfile_elsewhere_counts() {
        let whole = tempfile::tempdir().unwrap();
        let folder = whole.path().join("app");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("main"), "1").unwrap();
        let write = |text: &str| fs::write(whole.path().join("web.Dockerfile"), text).unwrap();
        let open = || {
            let dockerfile = Dockerfile::at(&folder, "../web.Dockerfile");
            Context::open(folder.clone(), dockerfile).unwrap()
        };
        write("FROM x");
        let first = open().digest(Sha256::new()).unwrap();
        write("FROM y");
        assert_ne!(open().digest(Sha256::new()).unwrap(), first);
        let mut archive = tar::Archive::new(open().archive().unwrap());
        let names = archive
            .entries()
            .unwrap()
            .map(|entry| entry.unwrap().path().unwrap().to_string_lossy().into_owned());
        assert_eq!(names.collect::<Vec<_>>(), ["main", APART]);
    }

    #[test]
    fn where_a_dockerfile_is_goes_by_its_path() {
        let inside = |name: &str| Dockerfile::Inside(name.to_owned());
        let at = |path: &str| Dockerfile::at(Path::new("/shop/app"), path);
        assert_eq!(at("./docker/../Dockerfile"), inside("Dockerfile"));
        assert_eq!(at("/shop/app/b/Dockerfile"), inside("b/Dockerfile"));
        assert_eq!(at("../Dockerfile"), Dockerfile::Outside("/shop/Dockerfile".into()));
        assert_eq!(at("/srv/Dockerfile"), Dockerfile::Outside("/srv/Dockerfile".into()));
    }
}
