//! Which stack a command is about, and the door to its files.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dollop_engine::files::{FileDigest, FileError, Files, SecretSource};
use sha2::{Digest as _, Sha256};

use crate::error::CommandError;
use crate::secrets::Secrets;

/// The script of a folder.
pub const SCRIPT: &str = "stack.rhai";

/// Which of several copies of a stack is meant: each has a state, parameters and names of
/// its own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Environment(String);

/// The name of the environment that is meant when none is chosen.
const DEFAULT: &str = "default";

impl Environment {
    /// Whether it is the one without a name of its own.
    pub fn is_default(&self) -> bool {
        self.0 == DEFAULT
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.0
    }
}

impl Default for Environment {
    fn default() -> Self {
        Self(DEFAULT.to_owned())
    }
}

impl std::fmt::Display for Environment {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::str::FromStr for Environment {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let starts_well = text.starts_with(|c: char| c.is_ascii_lowercase());
        if starts_well && !text.ends_with('-') && text.len() <= 32 && text.chars().all(allowed)
        {
            Ok(Self(text.to_owned()))
        } else {
            Err("an environment is named with up to 32 lower-case letters, digits and `-`")
        }
    }
}

/// A stack on disk.
#[derive(Debug)]
pub struct Project {
    /// The project folder, absolute and without links.
    pub folder: PathBuf,
    /// The script, relative to the folder.
    pub entry: String,
    /// The script's name: letters, digits and `-`.
    pub name: String,
    /// The environment that is chosen.
    pub environment: Environment,
    /// The stack's name, by which it is told from every other: that of the script and that
    /// of the environment.
    pub stack: String,
    /// The files of the folder.
    pub files: ProjectFiles,
}

impl Project {
    /// The stack at a path: a script, or a folder with `stack.rhai`; the current folder when
    /// none is named.
    pub fn find(stack: Option<&Path>, environment: Environment) -> Result<Self, CommandError> {
        let named = stack.unwrap_or_else(|| Path::new("."));
        let shown = named.display();
        let found = named.canonicalize().map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => {
                CommandError::failed(format!("there is no file or folder `{shown}`"))
            }
            _ => CommandError::failed(format!("cannot open `{shown}`: {error}")),
        })?;
        let (folder, entry) = if found.is_dir() {
            (found, SCRIPT.to_owned())
        } else {
            // The name as typed: a link to a script is a script of that name and folder.
            let name = named.file_name().and_then(|name| name.to_str());
            let name = name.ok_or_else(|| {
                CommandError::failed(format!("the name of `{shown}` is not UTF-8 text"))
            })?;
            let parent = named.parent().filter(|parent| !parent.as_os_str().is_empty());
            let parent = parent.unwrap_or_else(|| Path::new(".")).canonicalize();
            let folder = parent.map_err(|error| {
                CommandError::failed(format!("cannot open the folder of `{shown}`: {error}"))
            })?;
            (folder, name.to_owned())
        };
        if !folder.join(&entry).is_file() {
            return Err(no_script(&folder, &shown.to_string()));
        }
        let name = name(&folder, &entry);
        // No script has a name with `_`, so that no other stack can have this name.
        let stack = if environment.is_default() {
            name.clone()
        } else {
            format!("{name}_{environment}")
        };
        let files = ProjectFiles::new(folder.clone());
        Ok(Self { folder, entry, name, environment, stack, files })
    }
}

fn no_script(folder: &Path, shown: &str) -> CommandError {
    let error = CommandError::failed(format!("there is no `{SCRIPT}` in `{shown}`"));
    let mut scripts: Vec<_> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| Path::new(name).extension().is_some_and(|end| end == "rhai"))
        .collect();
    scripts.sort();
    match scripts.as_slice() {
        [] => error.hint(
            "name a folder with one, or a script: `dollop plan path/to/folder`, `dollop status \
             --stack path/to/folder`",
        ),
        [first, ..] => error.hint(format!("name the script: `dollop plan {shown}/{first}`")),
    }
}

/// The folder's name, or the script's when it is not `stack.rhai`.
fn name(folder: &Path, entry: &str) -> String {
    let raw = if entry == SCRIPT {
        folder.file_name().map(|name| name.to_string_lossy().into_owned())
    } else {
        Path::new(entry).file_stem().map(|name| name.to_string_lossy().into_owned())
    };
    sanitize(&raw.unwrap_or_default())
}

/// Lower-case letters, digits and single dashes, as every service accepts in names.
fn sanitize(raw: &str) -> String {
    let mut out = String::new();
    for character in raw.chars().flat_map(char::to_lowercase) {
        if character.is_ascii_alphanumeric() {
            out.push(character);
        } else if !out.ends_with('-') && !out.is_empty() {
            out.push('-');
        }
    }
    let out = out.trim_end_matches('-');
    if out.is_empty() { "stack".to_owned() } else { out.to_owned() }
}

/// What is remembered; several threads may look.
pub(crate) fn lock<T>(remembered: &Mutex<T>) -> MutexGuard<'_, T> {
    remembered.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads files of one folder and nothing outside it, each once.
#[derive(Debug)]
pub struct ProjectFiles {
    folder: PathBuf,
    read: Mutex<BTreeMap<String, Arc<str>>>,
    digests: Mutex<BTreeMap<String, FileDigest>>,
    secrets: Secrets,
}

impl ProjectFiles {
    /// The files of a folder, given without links.
    pub fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            read: Mutex::default(),
            digests: Mutex::default(),
            secrets: Secrets::default(),
        }
    }

    /// Whether secrets are looked up from now on; otherwise nobody needs to know them.
    pub fn look_up_secrets(&self, wanted: bool) {
        self.secrets.want(wanted);
    }

    /// Takes a file to be so, whatever is on disk: to see what a script would say.
    pub fn suppose(&self, path: &str, text: &str) {
        lock(&self.read).insert(path.to_owned(), text.into());
    }

    /// The bytes of a file.
    fn bytes_on_disk(&self, path: &str) -> Result<Vec<u8>, FileError> {
        let found = self.file(path)?;
        std::fs::read(&found).map_err(|error| unreadable(path, &error))
    }

    /// The digest of a file, which is never in memory as a whole: it may be large.
    fn digest_on_disk(&self, path: &str) -> Result<FileDigest, FileError> {
        let found = self.file(path)?;
        let mut file = std::fs::File::open(&found).map_err(|error| unreadable(path, &error))?;
        let (mut whole, mut length) = (Sha256::new(), 0);
        let mut buffer = vec![0; 64 << 10];
        loop {
            let read = file.read(&mut buffer).map_err(|error| unreadable(path, &error))?;
            if read == 0 {
                return Ok(FileDigest { sha256: whole.finalize().into(), length });
            }
            whole.update(&buffer[..read]);
            length += read as u64;
        }
    }

    /// Where a file is on disk.
    fn file(&self, path: &str) -> Result<PathBuf, FileError> {
        let found = self.locate(path, &inside(path)?)?;
        // Reading a pipe would wait forever.
        if !found.is_file() {
            return Err(unreadable(path, &"it is not a file"));
        }
        Ok(found)
    }

    /// Where something is on disk, links followed, when that is in the folder.
    fn locate(&self, path: &str, key: &str) -> Result<PathBuf, FileError> {
        use std::io::ErrorKind;
        let found =
            self.folder.join(key).canonicalize().map_err(|error| match error.kind() {
                ErrorKind::NotFound | ErrorKind::NotADirectory => {
                    FileError::Missing(path.to_owned())
                }
                _ => FileError::Unreadable { path: path.to_owned(), cause: error.to_string() },
            })?;
        if found.starts_with(&self.folder) {
            Ok(found)
        } else {
            Err(FileError::Outside(path.to_owned()))
        }
    }
}

fn unreadable(path: &str, cause: &dyn std::fmt::Display) -> FileError {
    FileError::Unreadable { path: path.to_owned(), cause: cause.to_string() }
}

/// A path of the project in its shortest form.
pub fn inside(path: &str) -> Result<String, FileError> {
    let mut parts: Vec<&str> = Vec::new();
    for component in Path::new(path).components() {
        match component {
            Component::Normal(part) => parts.push(part.to_str().unwrap_or_default()),
            Component::CurDir => {}
            _ => return Err(FileError::Outside(path.to_owned())),
        }
    }
    Ok(parts.join("/"))
}

/// The most files a folder is listed with.
const MOST_LISTED: usize = 100_000;

/// Adds the files below a folder; links are not followed.
fn walk(folder: &Path, prefix: &str, found: &mut Vec<String>) -> Result<(), String> {
    for entry in std::fs::read_dir(folder).map_err(|error| error.to_string())? {
        let entry = entry.map_err(|error| error.to_string())?;
        let name = entry.file_name().into_string().map_err(|name| {
            format!("the name of `{}` is not UTF-8 text", name.to_string_lossy())
        })?;
        if name.starts_with('.') {
            continue;
        }
        let ty = entry.file_type().map_err(|error| error.to_string())?;
        let path = format!("{prefix}{name}");
        if ty.is_dir() {
            walk(&entry.path(), &format!("{path}/"), found)?;
        } else if ty.is_file() {
            if found.len() == MOST_LISTED {
                return Err(format!("it has more than {MOST_LISTED} files"));
            }
            found.push(path);
        }
    }
    Ok(())
}

impl Files for ProjectFiles {
    fn read(&self, path: &str) -> Result<Arc<str>, FileError> {
        let key = inside(path)?;
        if let Some(text) = lock(&self.read).get(&key) {
            return Ok(Arc::clone(text));
        }
        let bytes = self.bytes_on_disk(&key)?;
        let text = String::from_utf8(bytes).map_err(|_| FileError::NotText(path.to_owned()))?;
        let text: Arc<str> = text.into();
        lock(&self.read).insert(key, Arc::clone(&text));
        Ok(text)
    }

    fn bytes(&self, path: &str) -> Result<Arc<[u8]>, FileError> {
        let key = inside(path)?;
        // What was read counts, not what is on disk by now.
        if let Some(text) = lock(&self.read).get(&key) {
            return Ok(text.as_bytes().into());
        }
        let bytes = self.bytes_on_disk(&key)?;
        lock(&self.digests).insert(key, FileDigest::of(&bytes));
        Ok(bytes.into())
    }

    fn digest(&self, path: &str) -> Result<FileDigest, FileError> {
        let key = inside(path)?;
        // What is supposed to be there counts, not what is on disk.
        if let Some(text) = lock(&self.read).get(&key) {
            return Ok(FileDigest::of(text.as_bytes()));
        }
        if let Some(known) = lock(&self.digests).get(&key) {
            return Ok(*known);
        }
        let digest = self.digest_on_disk(path)?;
        lock(&self.digests).insert(key, digest);
        Ok(digest)
    }

    fn secret(&self, source: &SecretSource) -> Result<Option<Arc<str>>, FileError> {
        match source {
            // That there is such a file is checked either way.
            SecretSource::File(path) => self.read(path).map(Some),
            SecretSource::Command(_) if !self.secrets.wanted() => Ok(None),
            SecretSource::Command(words) => self.secrets.run(&self.folder, words).map(Some),
            SecretSource::Age { path, entry } => {
                let bytes = self.bytes_on_disk(path)?;
                if !self.secrets.wanted() {
                    return Ok(None);
                }
                self.secrets.open(path, &bytes, entry.as_deref()).map(Some)
            }
            SecretSource::Sops { path, entry } => {
                let text = self.read(path)?;
                if !self.secrets.wanted() {
                    return Ok(None);
                }
                self.secrets.open_sops(path, &text, entry).map(Some)
            }
        }
    }

    fn look(&self, path: &str) -> Result<Arc<[u8]>, FileError> {
        match std::fs::read(self.folder.join(path)) {
            Ok(bytes) => Ok(bytes.into()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Err(FileError::Missing(path.to_owned()))
            }
            Err(error) => Err(unreadable(path, &error)),
        }
    }

    fn exists(&self, path: &str) -> Option<bool> {
        match std::fs::symlink_metadata(self.folder.join(path)) {
            Ok(_) => Some(true),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Some(false),
            // In a folder this user may not look into, for example.
            Err(_) => None,
        }
    }

    fn list(&self, folder: &str) -> Result<Vec<String>, FileError> {
        let place = self.locate(folder, &inside(folder)?)?;
        if !place.is_dir() {
            return Err(unreadable(folder, &"it is not a folder"));
        }
        let mut found = Vec::new();
        walk(&place, "", &mut found).map_err(|cause| unreadable(folder, &cause))?;
        found.sort();
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::Builder::new().prefix("My Shop_").tempdir().unwrap();
        for (path, text) in files {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        folder
    }

    fn find(stack: &Path) -> Result<Project, CommandError> {
        Project::find(Some(stack), Environment::default())
    }

    #[test]
    fn an_environment_sets_a_stack_apart() {
        let place = folder(&[("shop.rhai", "")]);
        let script = place.path().join("shop.rhai");
        let prod = Project::find(Some(&script), "prod".parse().unwrap()).unwrap();
        assert_eq!((prod.name.as_str(), prod.stack.as_str()), ("shop", "shop_prod"));
        assert_eq!(find(&script).unwrap().stack, "shop");
        for bad in ["", "Prod", "a_b", "-a", "a-", "1a", "../x", &"a".repeat(33)] {
            assert!(bad.parse::<Environment>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_stack_is_a_folder_or_a_script() {
        let place = folder(&[("stack.rhai", ""), ("Other One.rhai", "")]);
        let found = find(place.path()).unwrap();
        assert_eq!(found.entry, "stack.rhai");
        assert!(found.stack.starts_with("my-shop-"), "{}", found.stack);
        let found = find(&place.path().join("Other One.rhai")).unwrap();
        assert_eq!(
            (found.entry.as_str(), found.stack.as_str()),
            ("Other One.rhai", "other-one")
        );
    }

    #[test]
    fn what_is_not_there_is_said_with_a_way_on() {
        let place = folder(&[("b.rhai", ""), ("a.rhai", "")]);
        let error = find(place.path()).unwrap_err();
        assert!(error.message.starts_with("there is no `stack.rhai` in"), "{}", error.message);
        assert!(error.hints[0].ends_with("/a.rhai`"), "{:?}", error.hints);
        let error = find(&place.path().join("no")).unwrap_err();
        assert!(error.message.starts_with("there is no file or folder"), "{}", error.message);
    }

    #[test]
    fn names_are_what_services_accept() {
        assert_eq!(sanitize("My Shop!"), "my-shop");
        assert_eq!(sanitize("--ü--"), "stack");
        assert_eq!(sanitize("a__b"), "a-b");
    }

    #[test]
    fn files_are_read_once() {
        let place = folder(&[("lib/a.rhai", "one")]);
        let files = ProjectFiles::new(place.path().canonicalize().unwrap());
        assert_eq!(&*files.read("lib/a.rhai").unwrap(), "one");
        std::fs::write(place.path().join("lib/a.rhai"), "two").unwrap();
        assert_eq!(&*files.read("./lib//a.rhai").unwrap(), "one");
        assert_eq!(files.digest("lib/a.rhai").unwrap(), FileDigest::of(b"one"));
    }

    #[test]
    fn digests_are_taken_once_and_of_any_bytes() {
        let place = folder(&[("logo", "")]);
        let bytes = vec![0xff; 200_000];
        std::fs::write(place.path().join("logo"), &bytes).unwrap();
        let files = ProjectFiles::new(place.path().canonicalize().unwrap());
        assert_eq!(files.digest("logo").unwrap(), FileDigest::of(&bytes));
        std::fs::write(place.path().join("logo"), [0xfe]).unwrap();
        assert_eq!(files.digest("./logo").unwrap(), FileDigest::of(&bytes));
        assert!(matches!(files.digest("none"), Err(FileError::Missing(_))));
        assert!(matches!(files.digest("../logo"), Err(FileError::Outside(_))));
        assert!(matches!(files.digest("."), Err(FileError::Unreadable { .. })));
    }

    #[cfg(unix)]
    #[test]
    fn nothing_outside_the_folder_is_read() {
        use std::os::unix::fs::symlink;
        let outside = folder(&[("secret", "no")]);
        let place = folder(&[("in/a", "yes"), ("bytes", "")]);
        std::fs::write(place.path().join("bytes"), [0xff]).unwrap();
        symlink(outside.path().join("secret"), place.path().join("link")).unwrap();
        symlink(outside.path(), place.path().join("dir")).unwrap();
        symlink(place.path().join("in/a"), place.path().join("inside")).unwrap();
        let files = ProjectFiles::new(place.path().canonicalize().unwrap());
        let absolute = outside.path().join("secret");
        for path in [
            "../x",
            "in/../../x",
            "in/../in/a",
            absolute.to_str().unwrap(),
            "link",
            "dir/secret",
        ] {
            let refused = files.read(path);
            assert!(matches!(refused, Err(FileError::Outside(_))), "{path}: {refused:?}");
        }
        assert_eq!(&*files.read("inside").unwrap(), "yes");
        assert!(matches!(files.read("none"), Err(FileError::Missing(_))));
        assert!(matches!(files.read("in/a/b"), Err(FileError::Missing(_))));
        assert!(matches!(files.read("bytes"), Err(FileError::NotText(_))));
        assert!(matches!(files.read("in"), Err(FileError::Unreadable { .. })));
        // Links are not listed, and not followed out of the folder.
        assert_eq!(files.list("").unwrap(), ["bytes", "in/a"]);
        assert_eq!(files.list("./in").unwrap(), ["a"]);
        assert!(matches!(files.list("dir"), Err(FileError::Outside(_))));
        assert!(matches!(files.list("../"), Err(FileError::Outside(_))));
        assert!(matches!(files.list("none"), Err(FileError::Missing(_))));
        assert!(matches!(files.list("in/a"), Err(FileError::Unreadable { .. })));
    }
}
