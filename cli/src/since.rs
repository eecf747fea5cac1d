//! A stack as it was at a revision of Git, beside what it is now.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::Arc;

use dollop_engine::address::Address;
use dollop_engine::files::{FileDigest, FileError, Files, SecretSource};
use dollop_engine::graph::Graph;
use dollop_engine::plan::changed;
use dollop_engine::program::Program;

use crate::args::StackArgs;
use crate::error::CommandError;
use crate::project::{ProjectFiles, inside};
use crate::session::Session;

/// What the stack declares otherwise than at a revision: new, gone, or told something else.
///
/// # Errors
/// There is no such revision, or the stack could not be evaluated then.
pub fn changed_since(
    session: &Session,
    args: &StackArgs,
    graph: &Graph,
    revision: &str,
) -> Result<BTreeSet<Address>, CommandError> {
    let project = &session.project;
    let then = Revision::find(&project.folder, revision, &project.files)?;
    let before = if then.has(&project.entry) {
        session.evaluated(args, &then).map_err(|error| {
            let message = format!("the stack as of `{revision}` cannot be evaluated");
            let advice = "name a revision in which it can: `dollop check` passed then";
            CommandError::failed(message).note(error.message).hint(advice)
        })?
    } else {
        Program::default()
    };
    Ok(changed(&before, graph.program()))
}

/// The files of a project folder in one commit. What it does not have, such as files that are
/// not under version control, is taken as it is now; so are secrets and what a link leads to.
struct Revision<'a> {
    /// The objects of Git that hold the files, by the files' paths relative to the folder.
    files: BTreeMap<String, String>,
    objects: RefCell<Objects>,
    now: &'a ProjectFiles,
}

impl<'a> Revision<'a> {
    fn find(
        folder: &Path,
        revision: &str,
        now: &'a ProjectFiles,
    ) -> Result<Self, CommandError> {
        let commit = commit(folder, revision)?;
        let failed = |cause: String| {
            let message = format!("the files of the revision `{revision}` cannot be read");
            CommandError::failed(message).note(cause)
        };
        let listed = git(folder, &["ls-tree", "-r", "-z", &commit, "--", "."]);
        let files = listed.and_then(said).map_err(failed)?;
        let files = files.split('\0').filter_map(entry).collect();
        let objects = RefCell::new(Objects::open(folder).map_err(failed)?);
        Ok(Self { files, objects, now })
    }

    /// The bytes of a file; `None` when the commit has none of that path.
    fn committed(&self, path: &str) -> Result<Option<Vec<u8>>, FileError> {
        let Some(object) = self.files.get(&inside(path)?) else { return Ok(None) };
        let bytes = self.objects.borrow_mut().read(object);
        bytes.map(Some).map_err(|cause| FileError::Unreadable {
            path: path.to_owned(),
            cause: cause.to_string(),
        })
    }

    fn has(&self, path: &str) -> bool {
        self.files.contains_key(path)
    }
}

/// The full name of a commit.
fn commit(folder: &Path, revision: &str) -> Result<String, CommandError> {
    let failed = |cause: String| {
        let message = format!("nothing can be compared with the revision `{revision}`");
        CommandError::failed(message).note(cause)
    };
    let inside = git(folder, &["rev-parse", "--is-inside-work-tree"]).map_err(failed)?;
    if let Err(cause) = said(inside) {
        return Err(if cause.contains("not a git repository") {
            let message = format!("`{}` is in no Git repository", folder.display());
            CommandError::failed(message)
                .note(format!("so there is no revision `{revision}` to compare with"))
                .hint("choose a part by address or profile instead: `--only ADDRESS`")
        } else {
            failed(cause)
        });
    }
    let wanted = format!("{revision}^{{commit}}");
    let found = git(folder, &["rev-parse", "--verify", "--end-of-options", &wanted]);
    let found = found.map_err(failed)?;
    said(found).map(|commit| commit.trim().to_owned()).map_err(|cause| {
        let message = format!("there is no revision `{revision}` to compare with");
        CommandError::failed(message).note(format!("Git says: {cause}")).hint(
            "name a commit, branch or tag that is here; `git fetch` brings those of others",
        )
    })
}

/// Path and object of a line of `git ls-tree`; `None` for what is no file, such as a link.
fn entry(line: &str) -> Option<(String, String)> {
    let (about, path) = line.split_once('\t')?;
    let mut about = about.split(' ');
    let (mode, object) = (about.next()?, about.nth(1)?);
    mode.starts_with("100").then(|| (path.to_owned(), object.to_owned()))
}

impl Files for Revision<'_> {
    fn read(&self, path: &str) -> Result<Arc<str>, FileError> {
        let Some(bytes) = self.committed(path)? else { return self.now.read(path) };
        let text = String::from_utf8(bytes).map_err(|_| FileError::NotText(path.to_owned()))?;
        Ok(text.into())
    }

    fn bytes(&self, path: &str) -> Result<Arc<[u8]>, FileError> {
        let Some(bytes) = self.committed(path)? else { return Files::bytes(self.now, path) };
        Ok(bytes.into())
    }

    fn digest(&self, path: &str) -> Result<FileDigest, FileError> {
        let Some(bytes) = self.committed(path)? else { return self.now.digest(path) };
        Ok(FileDigest::of(&bytes))
    }

    fn secret(&self, source: &SecretSource) -> Result<Option<Arc<str>>, FileError> {
        self.now.secret(source)
    }

    fn list(&self, folder: &str) -> Result<Vec<String>, FileError> {
        let prefix = match inside(folder)? {
            all if all.is_empty() => all,
            folder => folder + "/",
        };
        let mut files =
            self.files.keys().filter_map(|path| path.strip_prefix(&prefix)).peekable();
        // A folder of which the commit has nothing may be one that Git does not keep.
        if files.peek().is_none() {
            return self.now.list(folder);
        }
        let is_shown = |path: &&str| !path.split('/').any(|part| part.starts_with('.'));
        Ok(files.filter(is_shown).map(str::to_owned).collect())
    }
}

/// A process of Git that hands out objects, each when it is asked for.
struct Objects {
    git: Child,
    answers: BufReader<ChildStdout>,
}

impl Objects {
    fn open(folder: &Path) -> Result<Self, String> {
        let failed = |error| format!("`git` cannot be run: {error}");
        let mut command = Command::new("git");
        command.current_dir(folder).args(["cat-file", "--batch"]).stderr(Stdio::null());
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut git = command.spawn().map_err(failed)?;
        let answers = git.stdout.take().map(BufReader::new);
        let answers = answers.ok_or_else(|| "`git` has no output".to_owned())?;
        Ok(Self { git, answers })
    }

    /// The bytes of an object: `<object> blob <size>`, the bytes, and a line break.
    fn read(&mut self, object: &str) -> std::io::Result<Vec<u8>> {
        let broken = || std::io::Error::other(format!("`git cat-file` has no `{object}`"));
        writeln!(self.git.stdin.as_mut().ok_or_else(broken)?, "{object}")?;
        let mut heading = String::new();
        self.answers.read_line(&mut heading)?;
        let size =
            heading.trim_end().rsplit_once(" blob ").map(|(_, size)| size.parse::<usize>());
        let Some(Ok(size)) = size else { return Err(broken()) };
        let mut bytes = vec![0; size];
        self.answers.read_exact(&mut bytes)?;
        self.answers.read_exact(&mut [0])?;
        Ok(bytes)
    }
}

impl Drop for Objects {
    fn drop(&mut self) {
        // It ends by itself once nobody can ask any more.
        drop(self.git.stdin.take());
        let _ = self.git.wait();
    }
}

/// Runs Git, whose words are the same in every language.
fn git(folder: &Path, arguments: &[&str]) -> Result<Output, String> {
    let mut command = Command::new("git");
    let run = command.current_dir(folder).env("LC_ALL", "C").args(arguments).output();
    run.map_err(|error| format!("`git` cannot be run: {error}"))
}

/// What Git printed, or its complaint.
fn said(output: Output) -> Result<String, String> {
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        return Err(complaint.trim().trim_start_matches("fatal: ").to_owned());
    }
    String::from_utf8(output.stdout).map_err(|_| "it is not UTF-8 text".to_owned())
}
