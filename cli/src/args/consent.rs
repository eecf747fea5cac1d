//! Which losses are agreed to.

use std::collections::BTreeSet;

use clap::Args;
use dollop_engine::address::Address;

/// What may be lost.
#[derive(Debug, Args)]
pub struct ConsentArgs {
    /// Agree to lose what a resource holds, by its address; may be repeated.
    ///
    /// A volume with files or a queue with messages is deleted or replaced only with this.
    #[arg(long, value_name = "ADDRESS")]
    pub allow_data_loss: Vec<Address>,
}

impl ConsentArgs {
    /// The addresses, each once.
    pub fn addresses(&self) -> BTreeSet<Address> {
        self.allow_data_loss.iter().cloned().collect()
    }
}
