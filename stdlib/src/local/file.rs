//! A text file.

use std::io::{Error, ErrorKind};
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

use dollop_engine::analysis::{Claim, Claimed};
use dollop_engine::error::{CallError, Failure};
use dollop_engine::resource::{
    Created, Found, Name, Naming, Owner, Problem, ReadResult, Resource, Traits, Wanted,
};
use futures::future::join_all;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::fs;
use tokio::io::AsyncWriteExt;

use super::host::Host;
use super::token::token;

/// Files read at once.
const READERS: usize = 16;

/// A text file on this machine. It is replaced as a whole when its content changes: readers
/// see the old text or the new, and nobody but its owner sees it before its mode is set.
/// A container that mounts this one file (not its folder) sees the new text after a restart.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Where it is. A relative path starts at the project folder and stays within it;
    /// folders on the way are made. Example: `"conf/nginx.conf"`.
    #[schemars(extend("x-replace" = true))]
    path: String,
    /// The whole text, as it is: nothing is added at the end.
    content: String,
    /// Permissions as octal text. Example: `"0640"`. When left out, `"0600"` where the content
    /// is secret: programs of other users that are to read it need another one.
    #[serde(default = "mode")]
    mode: String,
}

/// What is known once it is made.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Facts {
    /// The absolute path.
    #[schemars(extend("x-stable" = true))]
    location: String,
    /// SHA-256 of the content, in hexadecimal.
    sha256: String,
    /// Size in bytes.
    size: u64,
}

/// The kind `local::file`.
pub struct File;

impl Resource for File {
    const KIND: &'static str = "local::file";
    type Connection = Host;
    type Spec = Spec;
    type Facts = Facts;

    fn traits() -> Traits {
        Traits {
            naming: Naming::Label,
            identity: &["path"],
            when_secret: &[("content", "mode", "0600")],
            ..Traits::default()
        }
    }

    fn normalize(spec: &mut Spec) {
        spec.path = tidy(&spec.path);
        if let Some(bits) = mode_bits(&spec.mode) {
            spec.mode = format!("{bits:04o}");
        }
    }

    fn check(spec: &Spec) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut problem = |attribute: &str, message: String, hint: &str| {
            let (attribute, hint) = (attribute.to_owned(), Some(hint.to_owned()));
            problems.push(Problem { attribute, message, hint });
        };
        let path = &spec.path;
        if path.is_empty() || path.ends_with('/') || path.contains('\0') {
            let message = format!("`{}` names no file", path.escape_debug());
            problem("path", message, "write a path such as `conf/app.toml`");
        } else if path == ".." || path.starts_with("../") {
            let message = format!("`{path}` leaves the project folder");
            problem("path", message, "keep the file in the project, or write an absolute path");
        }
        if mode_bits(&spec.mode).is_none() {
            let message = format!("`{}` is no file mode", spec.mode);
            problem("mode", message, "write three or four octal digits, such as `\"0644\"`");
        }
        problems
    }

    fn claims(_: &Name, spec: &Spec) -> Vec<Claimed> {
        let claim = Claim::MakesPath(spec.path.clone());
        vec![Claimed::new(dollop_engine::path::Path::attribute("path"), claim)]
    }

    async fn read(host: &Host, wanted: &[Wanted<Spec>]) -> Vec<ReadResult<Self>> {
        let mut answers = Vec::with_capacity(wanted.len());
        for some in wanted.chunks(READERS) {
            answers.extend(join_all(some.iter().map(|wanted| look(host, wanted))).await);
        }
        answers
    }

    async fn create(host: &Host, name: &Name, spec: Spec) -> Result<Created<Facts>, CallError> {
        let location = host.folder.join(&spec.path);
        if fs::symlink_metadata(&location).await.is_ok() {
            let message =
                format!("`{}`: `{}` exists already", name.address, location.display());
            return Err(CallError::new(Failure::Exists, message)
                .hint("adopt the file, or remove it and apply again"));
        }
        write(host, &spec).await?;
        Ok(Created { id: spec.path.clone(), facts: facts(&location, spec.content.as_bytes()) })
    }

    async fn update(
        host: &Host,
        _: &Name,
        _: &str,
        from: Spec,
        to: Spec,
    ) -> Result<Facts, CallError> {
        let location = host.folder.join(&to.path);
        if from.content == to.content {
            let bits = mode_bits(&to.mode).unwrap_or(0o600);
            let mode = std::fs::Permissions::from_mode(bits);
            fs::set_permissions(&location, mode)
                .await
                .map_err(|error| failed("cannot set the mode of", &location, &error))?;
        } else {
            write(host, &to).await?;
        }
        Ok(facts(&location, to.content.as_bytes()))
    }

    async fn delete(host: &Host, _: &Name, id: &str, _: Spec) -> Result<(), CallError> {
        let location = host.folder.join(id);
        match fs::remove_file(&location).await {
            Err(error) if !is_gone(&error) => Err(failed("cannot remove", &location, &error)),
            _ => Ok(()),
        }
    }
}

fn mode() -> String {
    "0644".to_owned()
}

/// The permissions a text stands for: three or four octal digits.
fn mode_bits(mode: &str) -> Option<u32> {
    let digits = mode.strip_prefix("0o").unwrap_or(mode);
    let plain = (3..=4).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    if plain { u32::from_str_radix(digits, 8).ok() } else { None }
}

/// The same path without `.`, `//` and the `..` that can be taken away.
fn tidy(path: &str) -> String {
    if path.ends_with('/') || path.ends_with("/.") || path.ends_with("/..") {
        // No file; `check` says so.
        return path.to_owned();
    }
    let mut tidy = PathBuf::new();
    for component in Path::new(path).components() {
        match (component, tidy.components().next_back()) {
            (Component::CurDir, _) | (Component::ParentDir, Some(Component::RootDir)) => {}
            (Component::ParentDir, Some(Component::Normal(_))) => {
                tidy.pop();
            }
            (component, _) => tidy.push(component),
        }
    }
    tidy.to_string_lossy().into_owned()
}

/// Reads one file.
async fn look(host: &Host, wanted: &Wanted<Spec>) -> ReadResult<File> {
    let path = wanted.id.as_deref().unwrap_or(&wanted.spec.path);
    let location = host.folder.join(path);
    let cannot = |error: Error| failed("cannot read", &location, &error);
    let metadata = match fs::metadata(&location).await {
        Err(error) if is_gone(&error) => return Ok(None),
        metadata => metadata.map_err(cannot)?,
    };
    if !metadata.is_file() {
        return Err(CallError::refused(format!("`{}` is no file", location.display()))
            .hint("write another `path`, or move what is there out of the way"));
    }
    let bytes = match fs::read(&location).await {
        Err(error) if is_gone(&error) => return Ok(None),
        bytes => bytes.map_err(cannot)?,
    };
    let facts = facts(&location, &bytes);
    let content = String::from_utf8(bytes).unwrap_or_else(|_| {
        format!("({} bytes that are not UTF-8, SHA-256 {})", facts.size, facts.sha256)
    });
    let mode = format!("{:04o}", metadata.permissions().mode() & 0o7777);
    Ok(Some(Found {
        id: path.to_owned(),
        natural: wanted.name.natural.clone(),
        spec: Spec { path: path.to_owned(), content, mode },
        facts,
        owner: Owner::Unmarked,
    }))
}

/// Puts the file in place as a whole, with its mode: first beside it under another name,
/// readable by its owner only, then renamed.
async fn write(host: &Host, spec: &Spec) -> Result<(), CallError> {
    let location = host.folder.join(&spec.path);
    let folder = location.parent().unwrap_or(&host.folder);
    fs::create_dir_all(folder)
        .await
        .map_err(|error| failed("cannot make the folder", folder, &error))?;
    if !Path::new(&spec.path).is_absolute() {
        stays_within(&host.folder, folder, &spec.path).await?;
    }
    let draft = folder.join(format!(".dollop-{}", token()?));
    let written = match fill(&draft, spec).await {
        Ok(()) => fs::rename(&draft, &location).await,
        Err(error) => Err(error),
    };
    if let Err(error) = written {
        // The reason counts, not whether the draft is left.
        let _ = fs::remove_file(&draft).await;
        return Err(failed("cannot write", &location, &error));
    }
    Ok(())
}

async fn fill(draft: &Path, spec: &Spec) -> Result<(), Error> {
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(draft).await?;
    file.write_all(spec.content.as_bytes()).await?;
    let bits = mode_bits(&spec.mode).unwrap_or(0o600);
    file.set_permissions(std::fs::Permissions::from_mode(bits)).await?;
    file.sync_all().await
}

/// Refuses a relative path that a symbolic link leads out of the project.
async fn stays_within(project: &Path, folder: &Path, path: &str) -> Result<(), CallError> {
    let real = |path: PathBuf| async move {
        fs::canonicalize(&path).await.map_err(|error| failed("cannot find", &path, &error))
    };
    let real_project = real(project.to_owned()).await?;
    let real_folder = real(folder.to_owned()).await?;
    if real_folder.starts_with(&real_project) {
        return Ok(());
    }
    let message = format!(
        "`{path}` leaves the project folder: a symbolic link leads to `{}`",
        real_folder.display()
    );
    Err(CallError::refused(message).hint("write an absolute path to mean a file elsewhere"))
}

fn facts(location: &Path, content: &[u8]) -> Facts {
    let sha256 = hex::encode(Sha256::digest(content));
    let location = location.to_string_lossy().into_owned();
    Facts { location, sha256, size: content.len() as u64 }
}

/// Whether nothing is there: also when something on the way is no folder.
fn is_gone(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

fn failed(what: &str, path: &Path, error: &Error) -> CallError {
    let message = format!("{what} `{}`: {error}", path.display());
    match error.kind() {
        ErrorKind::PermissionDenied => CallError::new(Failure::Denied, message)
            .hint("run as a user who may write there, or change the folder's owner"),
        _ => CallError::refused(message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_tidied_without_leaving_what_they_name() {
        let same = |path: &str, tidied: &str| assert_eq!(tidy(path), tidied, "{path}");
        same("a.txt", "a.txt");
        same("./conf//./a.txt", "conf/a.txt");
        same("conf/../a.txt", "a.txt");
        same("conf/../../a.txt", "../a.txt");
        same("../../a.txt", "../../a.txt");
        same("/etc/../../x", "/x");
        same("conf/", "conf/");
        same("", "");
    }

    #[test]
    fn modes_are_octal_text() {
        assert_eq!(mode_bits("644"), Some(0o644));
        assert_eq!(mode_bits("0600"), Some(0o600));
        assert_eq!(mode_bits("0o755"), Some(0o755));
        for wrong in ["", "8", "0888", "rw", "-644", "+644", "00644"] {
            assert_eq!(mode_bits(wrong), None, "{wrong}");
        }
    }
}
