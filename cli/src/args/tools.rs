//! Arguments of the commands beside plan and apply.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use dollop_engine::address::Address;

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
    /// A platform: analytics over PostgreSQL, Redis and MinIO, with traces.
    BiAgent,
    /// A platform: a data mesh on Redpanda, with a catalog in PostgreSQL.
    Dictamesh,
    /// A platform: eleven schemas, DAPR, Django, workers, HELK.
    ExpertDollop,
    /// A platform: a home laboratory in ten domains, behind Traefik and Keycloak.
    HyHome,
    /// A platform: dashboards over an MQTT bus, behind Traefik, with single sign-on.
    Taylordash,
}

/// `dollop doc`.
#[derive(Debug, Args)]
pub struct DocArgs {
    /// `docker.container`, `docker.container.healthcheck`, `cidr_host`, a stack such as
    /// `./shop`; what there is when left out.
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
    /// Only this resource, what it needs and what needs it.
    #[arg(long, value_name = "ADDRESS", add = complete::declared())]
    pub of: Option<Address>,
    /// Of `--of`, which way.
    #[arg(long, default_value = "both", requires = "of")]
    pub direction: Direction,
    /// Only what the plan touches.
    #[arg(long, conflicts_with = "of")]
    pub planned: bool,
    /// With `--planned`, do not look at the world: compare with the last known state.
    #[arg(long, requires = "planned")]
    pub no_refresh: bool,
}

/// Which way to go from a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Direction {
    /// To what it needs.
    Needs,
    /// To what needs it.
    NeededBy,
    /// Both ways.
    Both,
}

/// How a graph is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum GraphFormat {
    /// Graphviz.
    Dot,
    /// Mermaid.
    Mermaid,
    /// For programs, in a versioned form.
    Json,
}

/// `dollop explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The code, as in `error[E0102]`.
    #[arg(value_name = "CODE")]
    pub code: Option<String>,
}
