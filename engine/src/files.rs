//! The door to project files: the engine opens none itself.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};

/// Why a file of the project cannot be read.
#[derive(Clone, Debug, thiserror::Error)]
pub enum FileError {
    /// There is none.
    #[error("there is no file `{0}`")]
    Missing(String),
    /// The path leaves the project folder, by `..`, an absolute path or a link.
    #[error("`{0}` is outside the project folder")]
    Outside(String),
    /// It is not UTF-8 text.
    #[error("`{0}` is not UTF-8 text")]
    NotText(String),
    /// The system said no.
    #[error("cannot read `{path}`: {cause}")]
    Unreadable {
        /// The file.
        path: String,
        /// The system's words.
        cause: String,
    },
}

/// Looks at a file of this machine, see [`Files::look`].
pub type Look<'a> = &'a dyn Fn(&str) -> Result<Arc<[u8]>, FileError>;

/// Where a secret is kept that a script names and does not hold.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SecretSource {
    /// A file of the project.
    File(String),
    /// What a command prints.
    Command(Vec<String>),
    /// A file of the project encrypted with age: the whole text, or one entry of it.
    Age {
        /// The file.
        path: String,
        /// The keys that lead to the entry, with dots between them.
        entry: Option<String>,
    },
    /// One entry of a file of the project encrypted with SOPS.
    Sops {
        /// The file.
        path: String,
        /// The keys that lead to the entry, with dots between them.
        entry: String,
    },
}

impl std::fmt::Display for SecretSource {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) | Self::Age { path, entry: None } => write!(out, "file `{path}`"),
            Self::Command(words) => {
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                write!(out, "command `{}`", shell_words::join(words))
            }
            Self::Age { path, entry: Some(entry) } | Self::Sops { path, entry } => {
                write!(out, "entry `{entry}` of file `{path}`")
            }
        }
    }
}

/// What the bytes of a file are told by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileDigest {
    /// Their SHA-256.
    pub sha256: [u8; 32],
    /// How many they are: what it took to read them.
    pub length: u64,
}

impl FileDigest {
    /// That of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self { sha256: Sha256::digest(bytes).into(), length: bytes.len() as u64 }
    }
}

/// Reads files of one project folder and nothing outside it.
pub trait Files {
    /// The text of a file. `path` is relative to the project folder, with `/` between its
    /// parts; what leaves the folder is refused.
    fn read(&self, path: &str) -> Result<Arc<str>, FileError>;

    /// The bytes of a file, which need not be text.
    ///
    /// The default is for places that hold text only.
    fn bytes(&self, path: &str) -> Result<Arc<[u8]>, FileError> {
        self.read(path).map(|text| text.as_bytes().into())
    }

    /// The digest of the bytes of a file, which need not be text.
    ///
    /// The default is for places that hold text only.
    fn digest(&self, path: &str) -> Result<FileDigest, FileError> {
        self.read(path).map(|text| FileDigest::of(text.as_bytes()))
    }

    /// A secret, as it is kept; `None` where nobody needs to know it. A script cannot look
    /// into a secret, so that what it declares is the same either way.
    ///
    /// The default is for places without secrets.
    fn secret(&self, source: &SecretSource) -> Result<Option<Arc<str>>, FileError> {
        let cause = "secrets cannot be read here".to_owned();
        Err(FileError::Unreadable { path: source.to_string(), cause })
    }

    /// The files of a folder and of those within, as paths relative to it with `/` between
    /// their parts, in order. What begins with a dot is left out, and links are, so that
    /// what is listed is inside the project folder.
    ///
    /// The default is for places that cannot be listed.
    fn list(&self, folder: &str) -> Result<Vec<String>, FileError> {
        let cause = "its files cannot be listed here".to_owned();
        Err(FileError::Unreadable { path: folder.to_owned(), cause })
    }

    /// The bytes at a path of this machine, absolute or relative to the project folder; for
    /// findings, no part of what a script sees.
    ///
    /// The default is for places that know no others than those of the project.
    fn look(&self, path: &str) -> Result<Arc<[u8]>, FileError> {
        self.bytes(path)
    }

    /// Whether something is at a path of this machine, absolute or relative to the project
    /// folder; for warnings, no part of what a script sees. `None` when nobody can tell,
    /// which is the default.
    fn exists(&self, _path: &str) -> Option<bool> {
        None
    }
}
