//! `evaluate`: one script in, one program out. The only place that knows Rhai.

use std::collections::BTreeMap;

use crate::diagnostic::Findings;
use crate::files::Files;
use crate::kind::Registry;
use crate::program::{Given, Program};

/// What a script is evaluated with.
pub struct Request<'a> {
    /// The stack's name.
    pub stack: &'a str,
    /// The script, relative to the project folder.
    pub entry: &'a str,
    /// The project's files.
    pub files: &'a dyn Files,
    /// What can be declared.
    pub registry: &'a Registry,
    /// Parameters from outside, by name; the caller has applied precedence.
    pub parameters: &'a BTreeMap<String, Given>,
}

/// Runs a script and returns what it declares.
///
/// A pure function of the request: no state, no clock, no environment, no network.
///
/// # Errors
/// Everything found wrong, not only the first.
pub fn evaluate(_request: &Request<'_>) -> Result<Program, Findings> {
    Ok(Program::default())
}
