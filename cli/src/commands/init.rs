//! `dollop init`: a folder with a stack to start from.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use crate::args::{InitArgs, Template};
use crate::error::{CommandError, DONE};
use crate::project::SCRIPT;
use crate::terminal;

impl Template {
    fn script(self) -> &'static str {
        match self {
            Self::Empty => include_str!("../../templates/empty/stack.rhai"),
            Self::Quickstart => include_str!("../../../scripts/quickstart/stack.rhai"),
            Self::WebPostgres => include_str!("../../templates/web-postgres/stack.rhai"),
            Self::RabbitmqWorker => include_str!("../../templates/rabbitmq-worker/stack.rhai"),
        }
    }

    /// What it is: the comment its script starts with.
    fn summary(self) -> &'static str {
        self.script().lines().next().unwrap_or_default().trim_start_matches("// ")
    }
}

/// Writes the files of a template.
pub fn run(args: &InitArgs) -> Result<u8, CommandError> {
    let folder = args.folder.clone().unwrap_or_else(|| PathBuf::from("."));
    let name = name(&folder)?;
    let readme = include_str!("../../templates/README.md")
        .replace("@NAME@", &name)
        .replace("@SUMMARY@", args.template.summary());
    let files = [
        (SCRIPT, args.template.script()),
        (".gitignore", include_str!("../../templates/gitignore")),
        ("README.md", &readme),
    ];
    let shown = folder.display();
    let taken: Vec<_> = files
        .iter()
        .map(|(name, _)| *name)
        .filter(|name| folder.join(name).symlink_metadata().is_ok())
        .collect();
    // A folder under version control often has these two; they are its owner's.
    if taken.contains(&SCRIPT) {
        return Err(CommandError::failed(format!("`{shown}` has a `{SCRIPT}` already"))
            .hint("name another folder: `dollop init FOLDER`"));
    }
    std::fs::create_dir_all(&folder)
        .map_err(|error| CommandError::failed(format!("cannot make `{shown}`: {error}")))?;
    for (file, text) in files {
        if taken.contains(&file) {
            terminal::say(&format!("kept  {file}\n"));
            continue;
        }
        write_new(&folder.join(file), text)?;
        terminal::say(&format!("wrote {file}\n"));
    }
    let place = if args.folder.is_some() { format!(" {shown}") } else { String::new() };
    terminal::say(&format!("next: `dollop plan{place}`\n"));
    Ok(DONE)
}

/// What the folder is called, for the heading of the README.
fn name(folder: &Path) -> Result<String, CommandError> {
    let whole = std::path::absolute(folder).map_err(|error| {
        CommandError::failed(format!("cannot find `{}`: {error}", folder.display()))
    })?;
    Ok(whole.file_name().map_or("stack".into(), |name| name.to_string_lossy().into_owned()))
}

/// Writes a file, never over one that is there.
pub(super) fn write_new(path: &Path, text: &str) -> Result<(), CommandError> {
    let shown = path.display();
    let failed = |error: std::io::Error| match error.kind() {
        ErrorKind::AlreadyExists => CommandError::failed(format!("`{shown}` is there already")),
        _ => CommandError::failed(format!("cannot write `{shown}`: {error}")),
    };
    let mut file =
        OpenOptions::new().write(true).create_new(true).open(path).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)
}
