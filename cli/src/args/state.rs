//! What can be typed about the recorded state.

use clap::{Args, Subcommand};
use dollop_engine::address::Address;

use super::PlaceArgs;
use crate::complete;

/// `dollop state`.
#[derive(Debug, Subcommand)]
pub enum StateCommand {
    /// Every address, one a line.
    ///
    /// Example: `dollop state list`
    List(PlaceArgs),
    /// What is recorded about one address.
    ///
    /// Example: `dollop state show docker::container.web`
    Show(StateShowArgs),
    /// Let go of records, and of everything behind a connection; the world stays as it is.
    ///
    /// For servers that are gone for good. Example: `dollop state forget postgres::server.main`
    Forget(StateForgetArgs),
}

/// `dollop state show`.
#[derive(Debug, Args)]
pub struct StateShowArgs {
    /// The address.
    #[arg(value_name = "ADDRESS", add = complete::addresses())]
    pub address: Address,
    /// Whose state.
    #[command(flatten)]
    pub place: PlaceArgs,
    /// As JSON, secrets masked.
    #[arg(long)]
    pub json: bool,
}

/// `dollop state forget`.
#[derive(Debug, Args)]
pub struct StateForgetArgs {
    /// The addresses.
    #[arg(value_name = "ADDRESS", required = true, add = complete::addresses())]
    pub addresses: Vec<Address>,
    /// Whose state.
    #[command(flatten)]
    pub place: PlaceArgs,
}

/// `dollop taint`.
#[derive(Debug, Args)]
pub struct TaintArgs {
    /// The addresses.
    #[arg(value_name = "ADDRESS", required = true, add = complete::sound())]
    pub addresses: Vec<Address>,
    /// Whose state.
    #[command(flatten)]
    pub place: PlaceArgs,
}

/// `dollop untaint`.
#[derive(Debug, Args)]
pub struct UntaintArgs {
    /// The addresses.
    #[arg(value_name = "ADDRESS", required = true, add = complete::tainted())]
    pub addresses: Vec<Address>,
    /// Whose state.
    #[command(flatten)]
    pub place: PlaceArgs,
}
