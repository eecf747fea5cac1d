//! One command a file.

pub mod apply;
pub mod check;
pub mod completions;
pub mod destroy;
pub mod doc;
pub mod graph;
pub mod init;
pub mod output;
pub mod plan;
pub mod schema;
pub mod show;
pub mod state;
pub mod version;

use dollop_engine::diagnostic::{Diagnostic, Sources};
use dollop_engine::graph::Graph;
use dollop_engine::plan::Plan;

use crate::args::{Format, StackArgs};
use crate::error::CommandError;
use crate::project::Project;
use crate::render::{Screen, diagnostic, json, markdown};
use crate::session::Session;
use crate::terminal;

/// The stack a command line names, evaluated and ordered.
pub fn load(args: &StackArgs) -> Result<(Session, Graph), CommandError> {
    let session = Session::new(Project::find(args.stack.as_deref())?);
    let graph = session.graph(args)?;
    Ok((session, graph))
}

/// Shows a plan on stdout; its warnings are talk, unless a program reads.
fn show_plan(plan: &Plan, format: Format, verbose: bool) -> Result<(), CommandError> {
    let screen = Screen { width: terminal::stdout_width(), verbose };
    terminal::print(&match format {
        Format::Text => crate::render::plan::plan(plan, &screen),
        Format::Markdown => markdown::plan(plan),
        Format::Json => json::text(&json::plan(plan)),
    })
}

/// Says something a reader should know beside the data.
fn note(text: &str) {
    let found = Diagnostic::warning(text);
    let width = terminal::stderr_width();
    terminal::say(&diagnostic::diagnostic(&found, &Sources::default(), width));
}
