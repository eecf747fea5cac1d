//! `dollop import`.

use std::path::PathBuf;

use clap::Args;
use dollop_engine::address::Address;

use super::StackArgs;
use crate::complete;

/// `dollop import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// The address of a server or of one resource.
    #[arg(value_name = "ADDRESS", add = complete::declared())]
    pub address: Address,
    /// Which stack.
    #[command(flatten)]
    pub stack: StackArgs,
    /// Write the script to a new file of the project, as a module, instead of printing it.
    #[arg(long, value_name = "FILE.rhai")]
    pub out: Option<PathBuf>,
    /// Add it to the stack's script and take everything into the state, so that the next
    /// plan is empty.
    #[arg(long)]
    pub append: bool,
    /// Write the values of secrets, which the script takes as parameters, to a new `.toml`
    /// or `.json` file that only you can read.
    #[arg(long, value_name = "FILE")]
    pub secrets: Option<PathBuf>,
}
