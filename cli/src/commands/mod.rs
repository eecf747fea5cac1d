//! One command a file.

pub mod apply;
pub mod backup;
pub mod check;
pub mod completions;
mod consent;
pub mod destroy;
pub mod discover;
pub mod doc;
pub mod drift;
pub mod env;
pub mod events;
pub mod exec;
pub mod explain;
pub mod export;
pub mod forward;
pub mod graph;
pub mod health;
pub mod impact;
pub mod import;
pub mod init;
pub mod logs;
pub mod outdated;
pub mod output;
pub mod params;
pub mod plan;
pub mod psql;
pub mod rabbit;
pub mod restore;
pub mod run;
pub mod schema;
pub mod show;
pub mod state;
pub mod stats;
pub mod status;
pub mod switch;
pub mod timer;
pub mod urls;
pub mod version;
pub mod watch;
pub mod why;

use dollop_engine::address::Address;
use dollop_engine::diagnostic::{Code, Diagnostic, Sources, did_you_mean};
use dollop_engine::graph::Graph;
use dollop_engine::kind::Registry;
use dollop_engine::plan::Plan;

use crate::args::{Format, StackArgs};
use crate::error::CommandError;
use crate::render::{Screen, diagnostic, json, markdown, sql};
use crate::session::Session;
use crate::terminal;

/// The stack a command line names, evaluated and ordered, for commands that only show what
/// is declared.
pub fn load(args: &StackArgs) -> Result<(Session, Graph), CommandError> {
    let session = Session::new(args.project()?);
    let graph = session.declared(args)?;
    Ok((session, graph))
}

/// Shows a plan on stdout; its warnings are talk, unless a program reads.
fn show_plan(
    plan: &Plan,
    registry: &Registry,
    format: Format,
    verbose: bool,
) -> Result<(), CommandError> {
    let screen = Screen { width: terminal::stdout_width(), verbose };
    terminal::print(&match format {
        Format::Text => crate::render::plan::plan(plan, &screen),
        Format::Markdown => markdown::plan(plan, &sql::lines(plan, registry)),
        Format::Json => json::text(&json::plan(plan)),
    })
}

/// The error for an address the stack does not declare.
fn undeclared(graph: &Graph, address: &Address) -> CommandError {
    let error = CommandError::failed(format!("the stack declares no `{address}`"));
    let known: Vec<_> = graph.in_order().map(|known| known.address.to_string()).collect();
    match did_you_mean(&address.to_string(), known.iter().map(String::as_str)) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error.hint("`dollop graph` shows what it declares"),
    }
}

/// Leaves what only holds memory to the end of the process, which is near: giving back a
/// plan of thousands piece by piece takes a tenth of the time it took to make it.
pub(crate) fn leave<T>(done: T) {
    std::mem::forget(done);
}

/// Says something a reader should know beside the data.
pub(crate) fn note(text: &str) {
    let found = Diagnostic::new(Code::StateNote, text);
    let width = terminal::stderr_width();
    terminal::say(&diagnostic::diagnostic(&found, &Sources::default(), width));
}
