//! `dollop check`: evaluate a stack and order it, offline.

use crate::args::StackArgs;
use crate::commands::load;
use crate::error::{CommandError, DONE};
use crate::render::diagnostic;
use crate::render::style::{DIM, paint};
use crate::render::text::count;
use crate::terminal;

/// Says what is wrong, or how much is declared.
pub fn run(args: &StackArgs) -> Result<u8, CommandError> {
    let (session, graph) = load(args)?;
    let program = graph.program();
    let width = terminal::stderr_width();
    terminal::say(&diagnostic::diagnostics(&program.warnings, &program.sources, width));
    let connections = program.declarations.iter().filter(|d| d.connection.is_none()).count();
    let resources = program.declarations.len() - connections;
    let what = format!(
        "`{}` is fine: {}, {}, {}",
        session.project.stack,
        count(resources, "resource"),
        count(connections, "connection"),
        count(program.outputs.len(), "output"),
    );
    terminal::say(&format!("{what}\n"));
    if !program.parameters.is_empty() {
        for parameter in &program.parameters {
            let line = format!("  {} from {}", parameter.name, parameter.source);
            terminal::say(&format!("{}\n", paint(DIM, line)));
        }
    }
    Ok(DONE)
}
