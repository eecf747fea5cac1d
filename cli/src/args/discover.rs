//! `dollop discover`.

use clap::Args;

use super::StackArgs;

/// `dollop discover`.
#[derive(Debug, Args)]
pub struct DiscoverArgs {
    /// Which stack.
    #[command(flatten)]
    pub stack: StackArgs,
    /// Write nothing; exit with 2 when an answer is another than the one in the file.
    #[arg(long)]
    pub check: bool,
}
