//! `dollop init`: a folder with a stack to start from.

use std::borrow::Cow;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use rust_embed::Embed;

use crate::args::{InitArgs, Template};
use crate::error::{CommandError, DONE};
use crate::project::SCRIPT;
use crate::render::text::count;
use crate::terminal;

/// The small templates, a folder each.
#[derive(Embed)]
#[folder = "$CARGO_MANIFEST_DIR/templates"]
#[include = "*/*"]
struct Small;

/// The stacks of `scripts/`, a folder each. Whoever builds may have applied them: what a run
/// leaves there, keys and parameters among it, stays out of the binary.
#[derive(Embed)]
#[folder = "$CARGO_MANIFEST_DIR/../scripts"]
#[exclude = "*/.*"]
#[exclude = "*.plan"]
#[exclude = "*.params.*"]
struct Stacks;

/// Name and content.
type File = (String, Cow<'static, [u8]>);

impl Template {
    /// Its files, by their names in the folder, in the order of these.
    fn files(self) -> Vec<File> {
        match self {
            Self::Empty => files::<Small>("empty/"),
            Self::Quickstart => files::<Stacks>("quickstart/"),
            Self::WebPostgres => files::<Small>("web-postgres/"),
            Self::RabbitmqWorker => files::<Small>("rabbitmq-worker/"),
            Self::BiAgent => files::<Stacks>("bi-agent/"),
            Self::Dictamesh => files::<Stacks>("dictamesh/"),
            Self::ExpertDollop => files::<Stacks>("expert-dollop/"),
            Self::HyHome => files::<Stacks>("hy-home/"),
            Self::Taylordash => files::<Stacks>("taylordash/"),
        }
    }
}

fn files<From: Embed>(folder: &str) -> Vec<File> {
    let mut found: Vec<File> = From::iter()
        .filter_map(|path| {
            Some((path.strip_prefix(folder)?.to_owned(), From::get(&path)?.data))
        })
        .collect();
    found.sort();
    found
}

/// What a stack is: the comment its script starts with.
fn summary(files: &[File]) -> String {
    let script = files.iter().find(|(name, _)| name == SCRIPT);
    let text = script.map(|(_, content)| String::from_utf8_lossy(content)).unwrap_or_default();
    text.lines().next().unwrap_or_default().trim_start_matches("// ").to_owned()
}

/// Writes the files of a template.
pub fn run(args: &InitArgs) -> Result<u8, CommandError> {
    let folder = args.folder.clone().unwrap_or_else(|| PathBuf::from("."));
    let name = name(&folder)?;
    let mut files = args.template.files();
    let readme = include_str!("../../templates/README.md")
        .replace("@NAME@", &name)
        .replace("@SUMMARY@", &summary(&files));
    let shown = folder.display();
    let is_there = |name: &str| folder.join(name).symlink_metadata().is_ok();
    let there: Vec<_> = files
        .iter()
        .filter(|(name, _)| is_there(name))
        .map(|(name, _)| name.as_str())
        .collect();
    if !there.is_empty() {
        return Err(in_the_way(&shown.to_string(), &there));
    }
    // A folder under version control often has these two; they are its owner's.
    let gitignore = include_bytes!("../../templates/gitignore");
    files.push((".gitignore".to_owned(), Cow::Borrowed(&gitignore[..])));
    files.push(("README.md".to_owned(), Cow::Owned(readme.into_bytes())));
    std::fs::create_dir_all(&folder)
        .map_err(|error| CommandError::failed(format!("cannot make `{shown}`: {error}")))?;
    for (file, content) in files {
        if is_there(&file) {
            terminal::say(&format!("kept  {file}\n"));
            continue;
        }
        let path = folder.join(&file);
        if let Some(around) = path.parent() {
            std::fs::create_dir_all(around).map_err(|error| {
                CommandError::failed(format!("cannot make `{}`: {error}", around.display()))
            })?;
        }
        write_new(&path, &content)?;
        terminal::say(&format!("wrote {file}\n"));
    }
    let place = if args.folder.is_some() { format!(" {shown}") } else { String::new() };
    terminal::say(&format!("next: `dollop plan{place}`\n"));
    Ok(DONE)
}

/// The refusal to write where the folder has files of those names.
fn in_the_way(folder: &str, names: &[&str]) -> CommandError {
    let error = if let [name] = names {
        CommandError::failed(format!("`{folder}` has a `{name}` already"))
    } else {
        let many = count(names.len(), "file");
        let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
        CommandError::failed(format!("`{folder}` has {many} of the template already"))
            .note(names.join(", "))
    };
    error.hint("name another folder: `dollop init FOLDER`")
}

/// What the folder is called, for the heading of the README.
fn name(folder: &Path) -> Result<String, CommandError> {
    let whole = std::path::absolute(folder).map_err(|error| {
        CommandError::failed(format!("cannot find `{}`: {error}", folder.display()))
    })?;
    Ok(whole.file_name().map_or("stack".into(), |name| name.to_string_lossy().into_owned()))
}

/// Writes a file, never over one that is there.
pub(super) fn write_new(path: &Path, content: &[u8]) -> Result<(), CommandError> {
    let shown = path.display();
    let failed = |error: std::io::Error| match error.kind() {
        ErrorKind::AlreadyExists => CommandError::failed(format!("`{shown}` is there already")),
        _ => CommandError::failed(format!("cannot write `{shown}`: {error}")),
    };
    let mut file =
        OpenOptions::new().write(true).create_new(true).open(path).map_err(failed)?;
    file.write_all(content).map_err(failed)
}
