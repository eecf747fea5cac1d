//! `dollop check`: evaluate a stack, order it and look for mistakes, offline.

use dollop_engine::graph::Graph;

use crate::args::{CheckArgs, CheckFormat};
use crate::commands::leave;
use crate::error::{CommandError, DONE, FAILED, Kind};
use crate::render::style::{DIM, paint};
use crate::render::text::count;
use crate::render::{diagnostic, json, sarif};
use crate::session::Session;
use crate::terminal;

/// Says what is wrong, or how much is declared.
pub fn run(args: &CheckArgs) -> Result<u8, CommandError> {
    let session = Session::new(args.stack.project()?);
    let loaded = session.graph(&args.stack).and_then(|graph| {
        session.unplannable(&graph)?;
        Ok(graph)
    });
    if args.format == CheckFormat::Text {
        let graph = loaded?;
        report(&session, &graph);
        let code = code(args, &graph);
        leave(graph);
        return Ok(code);
    }
    let (found, code) = match loaded {
        Ok(graph) => (graph.program().warnings.clone(), code(args, &graph)),
        Err(error) => match error.kind {
            Kind::Findings(findings) => (findings.diagnostics, FAILED),
            // Nothing about the scripts: no document about them.
            _ => return Err(error),
        },
    };
    terminal::print(&json::text(&match args.format {
        CheckFormat::Sarif => sarif::log(&found),
        _ => json::diagnostics(&found),
    }))?;
    Ok(code)
}

fn code(args: &CheckArgs, graph: &Graph) -> u8 {
    if args.deny_warnings && !graph.program().warnings.is_empty() { FAILED } else { DONE }
}

fn report(session: &Session, graph: &Graph) {
    let program = graph.program();
    let width = terminal::stderr_width();
    terminal::say(&diagnostic::diagnostics(&program.warnings, &program.sources, width));
    if !program.warnings.is_empty() {
        terminal::say("\n");
    }
    let connections = program.declarations.iter().filter(|d| d.connection.is_none()).count();
    let lookups = program.declarations.iter().filter(|d| d.lookup.is_some()).count();
    let resources = program.declarations.len() - connections - lookups;
    let warnings = match program.warnings.len() {
        0 => "is fine".to_owned(),
        number => format!("has {}", count(number, "warning")),
    };
    let what = format!(
        "`{}` {warnings}: {}, {}, {}{}",
        session.project.stack,
        count(resources, "resource"),
        count(connections, "connection"),
        count(program.outputs.len(), "output"),
        if lookups > 0 { format!(", {}", count(lookups, "look-up")) } else { String::new() },
    );
    terminal::say(&format!("{what}\n"));
    for parameter in &program.parameters {
        let from = &parameter.source;
        let word = if from.starts_with("not set") { "is" } else { "from" };
        let line = format!("  {} {word} {from}", parameter.name);
        terminal::say(&format!("{}\n", paint(DIM, line)));
    }
}
