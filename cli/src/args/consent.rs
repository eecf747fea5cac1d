//! What a plan is about, and which losses are agreed to.

use std::collections::BTreeSet;

use clap::Args;
use dollop_engine::address::Address;
use dollop_engine::plan::{Part, Pattern};

use crate::complete;

/// Which part of a stack is meant.
#[derive(Debug, Default, Args)]
pub struct PartArgs {
    /// Only these resources and what they need; may be repeated.
    ///
    /// An address, or a pattern: `*` stands for any characters but `/`, `**` for any.
    /// Example: `--only 'shop/**' --only 'docker::network.*'`
    #[arg(long, value_name = "ADDRESS", add = complete::declared())]
    pub only: Vec<Pattern>,
    /// Not these resources, nor what needs them; may be repeated.
    #[arg(long, value_name = "ADDRESS", add = complete::declared())]
    pub exclude: Vec<Pattern>,
}

impl PartArgs {
    /// The part that is meant.
    pub fn part(&self) -> Part {
        Part { only: self.only.clone(), exclude: self.exclude.clone() }
    }
}

/// What may be lost.
#[derive(Debug, Args)]
pub struct ConsentArgs {
    /// Agree to lose what a resource holds, by its address; may be repeated.
    ///
    /// A queue with messages is deleted or replaced only with this.
    #[arg(long, value_name = "ADDRESS", add = complete::made())]
    pub allow_data_loss: Vec<Address>,
}

impl ConsentArgs {
    /// The addresses, each once.
    pub fn addresses(&self) -> BTreeSet<Address> {
        self.allow_data_loss.iter().cloned().collect()
    }
}
