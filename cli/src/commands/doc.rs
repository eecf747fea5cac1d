//! `dollop doc`: the manual, offline.

use std::path::{Path, PathBuf};

use dollop_engine::diagnostic::{Diagnostic, Severity};
use dollop_engine::files::Files as _;

use crate::args::{DocArgs, StackArgs};
use crate::error::{CommandError, DONE};
use crate::manual::{self, STANDARD};
use crate::render::doc;
use crate::render::stack::page;
use crate::session::Session;
use crate::terminal;

/// Shows what a name stands for, or what there is.
pub fn run(args: &DocArgs) -> Result<u8, CommandError> {
    let registry = dollop_stdlib::registry();
    let columns = terminal::stdout_width();
    let text = match &args.name {
        None => doc::index(&registry, columns),
        Some(name) if is_stack(name) => return stack(name, columns),
        Some(name) => {
            let topics = manual::find(&registry, name)?;
            let pages: Vec<_> =
                topics.iter().map(|topic| doc::page(&registry, topic, columns)).collect();
            pages.join("\n")
        }
    };
    terminal::print(&text)?;
    Ok(DONE)
}

/// Whether a name is a place on disk: `.`, `./shop`, `shop.rhai`. Modules begin with `std/`.
fn is_stack(name: &str) -> bool {
    let path = Path::new(name);
    let is_script = path.extension().is_some_and(|extension| extension == "rhai");
    let is_place = name.contains('/') || matches!(name, "." | "..");
    !name.starts_with(STANDARD) && (is_script || is_place)
}

/// What a stack wants and hands out.
fn stack(name: &str, columns: usize) -> Result<u8, CommandError> {
    let args = StackArgs { stack: Some(PathBuf::from(name)), ..StackArgs::default() };
    let session = Session::new(args.project()?);
    let inputs = session.inputs(&args)?;
    let project = &session.project;
    let script = project.files.read(&project.entry).unwrap_or_default();
    terminal::print(&page(&project.name, &script, &inputs, columns))?;
    let is_error = |found: &Diagnostic| found.severity() == Severity::Error;
    if inputs.findings.diagnostics.iter().any(is_error) {
        return Err(inputs.findings.into());
    }
    Ok(DONE)
}
