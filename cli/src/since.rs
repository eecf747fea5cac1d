//! A stack as it was at a revision of Git, beside what it is now.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use dollop_engine::address::Address;
use dollop_engine::files::{FileError, Files, SecretSource};
use dollop_engine::graph::Graph;
use dollop_engine::plan::changed;
use dollop_engine::program::Program;

use crate::args::StackArgs;
use crate::error::CommandError;
use crate::project::ProjectFiles;
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
/// not under version control, is taken as it is now; so are secrets.
struct Revision<'a> {
    folder: &'a Path,
    commit: String,
    /// Relative to the folder.
    paths: BTreeSet<String>,
    now: &'a ProjectFiles,
}

impl<'a> Revision<'a> {
    fn find(
        folder: &'a Path,
        revision: &str,
        now: &'a ProjectFiles,
    ) -> Result<Self, CommandError> {
        let failed = |cause: String| {
            let message = format!("there is no revision `{revision}` to compare with");
            CommandError::failed(message).note(cause)
        };
        let wanted = format!("{revision}^{{commit}}");
        let commit = git(folder, &["rev-parse", "--verify", "--end-of-options", &wanted])
            .map_err(failed)?;
        let commit = commit.trim().to_owned();
        let listed = git(folder, &["ls-tree", "-r", "-z", "--name-only", &commit, "--", "."]);
        let paths = listed.map_err(failed)?.split('\0').map(str::to_owned).collect();
        Ok(Self { folder, commit, paths, now })
    }

    fn has(&self, path: &str) -> bool {
        self.paths.contains(path)
    }
}

impl Files for Revision<'_> {
    fn read(&self, path: &str) -> Result<Arc<str>, FileError> {
        if !self.has(path) {
            return self.now.read(path);
        }
        let object = format!("{}:./{path}", self.commit);
        match git(self.folder, &["show", &object]) {
            Ok(text) => Ok(text.into()),
            Err(cause) => Err(FileError::Unreadable { path: path.to_owned(), cause }),
        }
    }

    fn secret(&self, source: &SecretSource) -> Result<Option<Arc<str>>, FileError> {
        self.now.secret(source)
    }

    fn list(&self, folder: &str) -> Result<Vec<String>, FileError> {
        let prefix = match folder.trim_start_matches("./").trim_end_matches('/') {
            "" | "." => String::new(),
            folder => format!("{folder}/"),
        };
        let inside = self.paths.iter().filter_map(|path| path.strip_prefix(&prefix));
        let is_shown = |path: &&str| !path.split('/').any(|part| part.starts_with('.'));
        Ok(inside.filter(is_shown).map(str::to_owned).collect())
    }
}

/// What Git prints, or its words when it fails.
fn git(folder: &Path, arguments: &[&str]) -> Result<String, String> {
    let run = Command::new("git").current_dir(folder).args(arguments).output();
    let output = run.map_err(|error| format!("`git` cannot be run: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
    }
    String::from_utf8(output.stdout).map_err(|_| "it is not UTF-8 text".to_owned())
}
