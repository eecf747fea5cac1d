//! One command a file.

pub mod check;
pub mod completions;
pub mod graph;
pub mod version;

use dollop_engine::graph::{self as engine_graph, Graph};
use dollop_engine::script::{self, Request};

use crate::args::StackArgs;
use crate::error::CommandError;
use crate::parameters;
use crate::project::Project;

/// The stack a command line names, evaluated and ordered.
pub fn load(args: &StackArgs) -> Result<(Project, Graph), CommandError> {
    let project = Project::find(args.stack.as_deref())?;
    let given = parameters::gather(&args.params, &args.param, std::env::vars_os())?;
    let registry = dollop_stdlib::registry();
    let program = script::evaluate(&Request {
        stack: &project.stack,
        entry: &project.entry,
        files: &project.files,
        registry: &registry,
        parameters: &given,
    })?;
    let graph = engine_graph::build(program)?;
    Ok((project, graph))
}
