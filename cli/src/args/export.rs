//! `dollop export`.

use std::path::PathBuf;

use clap::Args;
use dollop_engine::address::Address;

use super::StackArgs;
use crate::complete;

/// `dollop export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// The form: `rabbitmq-definitions`.
    #[arg(value_name = "FORM")]
    pub form: String,
    /// Which stack.
    #[command(flatten)]
    pub stack: StackArgs,
    /// The address of the server, where the stack has several.
    #[arg(long, value_name = "ADDRESS", add = complete::declared())]
    pub server: Option<Address>,
    /// Write it to a new file that only you can read, instead of printing it.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}
