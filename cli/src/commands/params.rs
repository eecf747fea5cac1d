//! `dollop params`: what a stack wants from outside, and what it gets.

use dollop_engine::diagnostic::Severity;

use crate::args::{ListFormat, ParamsArgs};
use crate::error::{CommandError, DONE};
use crate::render::{diagnostic, json, params};
use crate::session::Session;
use crate::terminal;

/// Lists the parameters, then says what is wrong beside what is not set.
pub fn run(args: &ParamsArgs) -> Result<u8, CommandError> {
    let session = Session::new(args.stack.project()?);
    let inputs = session.inputs(&args.stack)?;
    terminal::print(&match args.format {
        ListFormat::Text if args.explain => params::explained(&inputs),
        ListFormat::Text => params::table(&inputs),
        ListFormat::Json => json::text(&params::json(&inputs)),
    })?;
    if inputs.findings.diagnostics.iter().any(|found| found.severity() == Severity::Error) {
        return Err(inputs.findings.into());
    }
    let findings = &inputs.findings;
    let width = terminal::stderr_width();
    terminal::say(&diagnostic::diagnostics(&findings.diagnostics, &findings.sources, width));
    Ok(DONE)
}
