//! What a plan is about, and which losses are agreed to.

use std::collections::BTreeSet;

use clap::Args;
use dollop_engine::address::Address;
use dollop_engine::graph::Graph;
use dollop_engine::plan::{Part, Pattern};

use crate::args::StackArgs;
use crate::complete;
use crate::error::CommandError;
use crate::session::Session;
use crate::since::changed_since;

/// Which part of a stack is meant.
#[derive(Debug, Default, Args)]
pub struct PartArgs {
    /// Only these resources and what they need; may be repeated.
    ///
    /// An address, a component (`shop/`), a kind, a provider, `profile:NAME`, or a pattern:
    /// `*` stands for any characters but `/`, `**` for any.
    /// Example: `--only shop/ --only docker::network --only profile:tools`
    #[arg(long, value_name = "ADDRESS", add = complete::parts())]
    pub only: Vec<Pattern>,
    /// Not these resources, nor what needs them; may be repeated.
    #[arg(long, value_name = "ADDRESS", add = complete::parts())]
    pub exclude: Vec<Pattern>,
    /// Only what the script declares otherwise than at this revision of Git, and what that
    /// needs.
    ///
    /// What is new, what is gone, and what is told something else. Parameters, secrets and
    /// files outside version control are taken as they are now.
    #[arg(long, value_name = "REVISION")]
    pub changed_since: Option<String>,
}

impl PartArgs {
    /// Whether the whole stack is meant.
    pub fn is_all(&self) -> bool {
        self.only.is_empty() && self.exclude.is_empty() && self.changed_since.is_none()
    }

    /// The part that is meant.
    ///
    /// # Errors
    /// What was declared at the revision cannot be told.
    pub fn part(
        &self,
        session: &Session,
        args: &StackArgs,
        graph: &Graph,
    ) -> Result<Part, CommandError> {
        let since = self.changed_since.as_deref();
        let changed = since.map(|revision| changed_since(session, args, graph, revision));
        Ok(Part {
            only: self.only.clone(),
            exclude: self.exclude.clone(),
            changed: changed.transpose()?,
        })
    }
}

/// What may be lost.
#[derive(Debug, Args)]
pub struct ConsentArgs {
    /// Agree to lose what a resource holds, by its address; may be repeated.
    ///
    /// A volume with files or a queue with messages is deleted or replaced only with this.
    #[arg(long, value_name = "ADDRESS", add = complete::made())]
    pub allow_data_loss: Vec<Address>,
}

impl ConsentArgs {
    /// The addresses, each once.
    pub fn addresses(&self) -> BTreeSet<Address> {
        self.allow_data_loss.iter().cloned().collect()
    }
}
