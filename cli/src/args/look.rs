//! What can be typed to look at what is declared and recorded.

use std::path::PathBuf;

use clap::Args;
use dollop_engine::address::Address;

use super::{EnvironmentArgs, Format, PlaceArgs, StackArgs, TreeFormat};
use crate::complete;
use crate::error::CommandError;
use crate::project::Project;

/// `dollop why`, `dollop impact`.
#[derive(Debug, Args)]
pub struct RelationArgs {
    /// The address.
    #[arg(value_name = "ADDRESS", add = complete::declared())]
    pub address: Address,
    /// Which stack.
    #[command(flatten)]
    pub stack: StackArgs,
    /// How to show it.
    #[arg(long, default_value = "text")]
    pub format: TreeFormat,
    /// Do not look at the world: compare with the last known state.
    #[arg(long)]
    pub no_refresh: bool,
}

/// `dollop show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// A script, or a folder with `stack.rhai` [default: the current folder]; or a saved plan.
    #[arg(value_name = "STACK", add = complete::stacks())]
    pub stack: Option<PathBuf>,
    /// In which environment.
    #[command(flatten)]
    pub environment: EnvironmentArgs,
    /// Show a saved plan instead of the state.
    #[arg(long, value_name = "FILE")]
    pub plan: Option<PathBuf>,
    /// How to show it; a state has no Markdown form.
    #[arg(long, default_value = "text")]
    pub format: Format,
    /// Show what is usually folded.
    #[arg(short, long)]
    pub verbose: bool,
}

impl ShowArgs {
    /// The stack that is meant.
    pub fn project(&self) -> Result<Project, CommandError> {
        Project::find(self.stack.as_deref(), self.environment.environment())
    }
}

/// `dollop output`.
#[derive(Debug, Args)]
pub struct OutputArgs {
    /// One output; all when left out.
    #[arg(value_name = "NAME", add = complete::outputs())]
    pub name: Option<String>,
    /// Whose outputs.
    #[command(flatten)]
    pub place: PlaceArgs,
    /// As JSON; a named secret is shown in clear.
    #[arg(long, conflicts_with = "raw")]
    pub json: bool,
    /// As bare text, without quotes or a line break; a secret is shown in clear.
    #[arg(long, requires = "name")]
    pub raw: bool,
}
