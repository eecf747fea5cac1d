//! Arguments of the commands beside plan and apply.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::StackArgs;
use crate::complete;

/// `dollop init`.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// Where; made when it is not there [default: the current folder].
    #[arg(value_name = "FOLDER", value_hint = clap::ValueHint::DirPath)]
    pub folder: Option<PathBuf>,
    /// What to start from.
    #[arg(long, value_name = "NAME", default_value = "empty")]
    pub template: Template,
}

/// What a stack can start from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Template {
    /// A script with nothing in it but a hint.
    Empty,
    /// PostgreSQL and RabbitMQ in containers, with much of what can live inside them.
    Quickstart,
    /// A web server and the PostgreSQL behind it.
    WebPostgres,
    /// A RabbitMQ with a work queue, and workers that read it.
    RabbitmqWorker,
}

/// `dollop doc`.
#[derive(Debug, Args)]
pub struct DocArgs {
    /// `docker.container`, `docker.container.healthcheck`, `cidr_host`; all when left out.
    #[arg(value_name = "NAME", add = complete::topics())]
    pub name: Option<String>,
}

/// `dollop schema`.
#[derive(Debug, Args)]
pub struct SchemaArgs {
    /// A kind or a provider; everything when left out.
    #[arg(value_name = "KIND", add = complete::kinds(), conflicts_with = "definitions")]
    pub kind: Option<String>,
    /// As JSON, in a versioned form.
    #[arg(long, required_unless_present = "definitions")]
    pub json: bool,
    /// Write a `.d.rhai` file for each provider, for editors that know Rhai.
    #[arg(long, value_name = "FOLDER", conflicts_with = "json", value_hint = clap::ValueHint::DirPath)]
    pub definitions: Option<PathBuf>,
}

/// `dollop completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell.
    #[arg(value_name = "SHELL")]
    pub shell: clap_complete::Shell,
}

/// `dollop graph`.
#[derive(Debug, Args)]
pub struct GraphArgs {
    /// Which stack.
    #[command(flatten)]
    pub stack: StackArgs,
    /// How to show it.
    #[arg(long, default_value = "dot")]
    pub format: GraphFormat,
}

/// How a graph is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum GraphFormat {
    /// Graphviz.
    Dot,
    /// Mermaid.
    Mermaid,
}

/// `dollop explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The code, as in `error[E0102]`.
    #[arg(value_name = "CODE")]
    pub code: Option<String>,
}
