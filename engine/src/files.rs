//! The door to project files: the engine opens none itself.

use std::sync::Arc;

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

/// Reads files of one project folder and nothing outside it.
pub trait Files {
    /// The text of a file. `path` is relative to the project folder, with `/` between its
    /// parts; what leaves the folder is refused.
    fn read(&self, path: &str) -> Result<Arc<str>, FileError>;

    /// The files of a folder and of those within, as paths relative to it with `/` between
    /// their parts, in order. What begins with a dot is left out, and links are, so that
    /// what is listed is inside the project folder.
    ///
    /// The default is for places that cannot be listed.
    fn list(&self, folder: &str) -> Result<Vec<String>, FileError> {
        let cause = "its files cannot be listed here".to_owned();
        Err(FileError::Unreadable { path: folder.to_owned(), cause })
    }

    /// Whether something is at a path of this machine, absolute or relative to the project
    /// folder; for warnings, no part of what a script sees. `None` when nobody can tell,
    /// which is the default.
    fn exists(&self, _path: &str) -> Option<bool> {
        None
    }
}
