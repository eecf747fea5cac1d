//! What can be typed. The doc comments are the help.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand, ValueEnum};
use dollop_engine::address::Address;
use dollop_engine::program::Profiles;

use crate::complete;
use crate::error::{CommandError, DONE, FAILED, USAGE};
use crate::project::{Environment, Project};

mod consent;
mod state;
mod tools;

pub use consent::{ConsentArgs, PartArgs};
pub use state::{StateCommand, StateForgetArgs, StateShowArgs, TaintArgs, UntaintArgs};
pub use tools::{
    CompletionsArgs, Direction, DocArgs, ExplainArgs, GraphArgs, GraphFormat, InitArgs,
    SchemaArgs, Template,
};

/// Infrastructure as code in Rhai for Docker, PostgreSQL and RabbitMQ.
///
/// A stack is a script, or a folder with `stack.rhai`. `dollop plan` shows what would change
/// and why, `dollop apply` does exactly that.
#[derive(Debug, Parser)]
#[command(
    name = "dollop",
    version,
    max_term_width = 100,
    disable_help_subcommand = true,
    after_long_help = "\
Exit codes: 0 done, 1 failed, 2 changes (`plan --detailed-exitcode`), 64 wrong usage.

A code such as the one in `error[E0102]` is explained by `dollop explain E0102`.

Parameters, strongest first: `--param name=value`, `--params FILE` (a later file wins),
the environment variable `DOLLOP_PARAM_name`, `<environment>.params.toml` (or `.json`,
`.env`) and `.env` in the project folder, the default in the script."
)]
pub struct Cli {
    /// Options of every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// When to use colour; `auto` heeds `NO_COLOR` and pipes.
    #[arg(long, value_name = "WHEN", global = true, default_value = "auto")]
    pub color: Color,
    /// Run as if started in this folder.
    #[arg(short = 'C', long, value_name = "FOLDER", global = true)]
    pub chdir: Option<PathBuf>,
}

/// When to use colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// When the stream is a terminal that wants it.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check a stack without looking at the world.
    ///
    /// Finds mistakes in the scripts, resources that get in each other's way and what is most
    /// likely not meant. Example: `dollop check shop --format sarif > shop.sarif`
    Check(CheckArgs),
    /// List the parameters of a stack, their values, and where each came from.
    ///
    /// Secrets are masked. Example: `dollop params shop --explain`
    Params(ParamsArgs),
    /// Look at the environments of a stack.
    #[command(subcommand)]
    Env(EnvCommand),
    /// Show what an apply would change, and why.
    ///
    /// Nothing is written anywhere. Example: `dollop plan shop --out shop.plan`
    Plan(PlanArgs),
    /// Make the world as the stack declares it.
    ///
    /// Shows the plan and asks first. With `--plan FILE` it does what was reviewed, or
    /// refuses if anything moved. Example: `dollop apply shop --param version=1.4`
    Apply(ApplyArgs),
    /// Remove everything the stack made.
    ///
    /// Shows the plan and asks first. Example: `dollop destroy shop`
    Destroy(DestroyArgs),
    /// Show the recorded state, or a saved plan.
    ///
    /// Example: `dollop show --plan shop.plan --format markdown`
    Show(ShowArgs),
    /// Show the outputs of the last apply.
    ///
    /// Secrets are masked, except where one output is named with `--raw` or `--json`.
    /// Example: `dollop output url --raw`
    Output(OutputArgs),
    /// Look into the recorded state.
    #[command(subcommand)]
    State(StateCommand),
    /// Mark resources as broken: the next apply makes them anew.
    ///
    /// Example: `dollop taint docker::container.web`
    Taint(TaintArgs),
    /// Take the mark of `taint` off again.
    ///
    /// Example: `dollop untaint docker::container.web`
    Untaint(UntaintArgs),
    /// Show who needs whom.
    ///
    /// Example: `dollop graph shop | dot -Tsvg > shop.svg`
    Graph(GraphArgs),
    /// Show why a resource is there, and why the plan touches it.
    ///
    /// Example: `dollop why docker::volume.pgdata shop`
    Why(RelationArgs),
    /// Show what would be disturbed if a resource were made anew.
    ///
    /// An estimate from the script. Example: `dollop impact docker::network.backend shop`
    Impact(RelationArgs),
    /// Explain the code of an error or warning; without one, list them.
    ///
    /// Example: `dollop explain E0102`
    Explain(ExplainArgs),
    /// Start a stack from a template.
    ///
    /// Writes `stack.rhai`, a README and a `.gitignore`; never over a file that is there.
    /// Example: `dollop init --template web-postgres shop`
    Init(InitArgs),
    /// Look up kinds, attributes and functions, offline.
    ///
    /// Example: `dollop doc docker.container.healthcheck`
    Doc(DocArgs),
    /// Print what can be declared, for programs; or write definition files, for editors.
    ///
    /// Example: `dollop schema docker.container --json`
    Schema(SchemaArgs),
    /// Show the version and what it understands.
    Version,
    /// Print the script that makes a shell complete commands, addresses and parameters.
    ///
    /// Example, for `~/.bashrc`: `source <(dollop completions bash)`.
    /// Example: `dollop completions fish | source`
    Completions(CompletionsArgs),
}

impl Command {
    /// Whether a program reads the answer, so that an error is JSON too.
    pub fn answers_json(&self) -> bool {
        match self {
            Self::Plan(args) => args.format == Format::Json,
            Self::Params(args) => args.format == ListFormat::Json,
            Self::Apply(args) => args.format == TreeFormat::Json,
            Self::Why(args) | Self::Impact(args) => args.format == TreeFormat::Json,
            Self::Show(args) => args.format == Format::Json,
            Self::Output(args) => args.json,
            Self::State(StateCommand::Show(args)) => args.json,
            Self::Schema(args) => args.json,
            Self::Graph(args) => args.format == GraphFormat::Json,
            _ => false,
        }
    }
}

/// Which stack, with which parameters.
#[derive(Clone, Debug, Default, Args)]
pub struct StackArgs {
    /// A script, or a folder with `stack.rhai` [default: the current folder].
    #[arg(value_name = "STACK", add = complete::stacks())]
    pub stack: Option<PathBuf>,
    /// Set a parameter; may be repeated.
    ///
    /// Example: `--param replicas=3`
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_param, add = complete::parameters())]
    pub param: Vec<(String, String)>,
    /// Read parameters from a `.toml`, `.json` or `.env` file; may be repeated, later wins.
    ///
    /// A `.env` file is read as Docker Compose reads it.
    #[arg(long, value_name = "FILE")]
    pub params: Vec<PathBuf>,
    /// Turn a profile on; may be repeated, `*` is every one.
    ///
    /// What the other profiles made is removed, see `--dormant`.
    #[arg(
        long = "profile",
        value_name = "NAME",
        env = "DOLLOP_PROFILES",
        hide_env_values = true,
        value_delimiter = ',',
        add = complete::profiles()
    )]
    pub profiles: Vec<String>,
    /// What becomes of resources whose profile is off.
    #[arg(
        long,
        value_name = "WHAT",
        default_value = "delete",
        env = "DOLLOP_DORMANT",
        hide_env_values = true
    )]
    pub dormant: DormantArg,
    /// In which environment.
    #[command(flatten)]
    pub environment: EnvironmentArgs,
}

/// What becomes of resources whose profile is off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum DormantArg {
    /// They are deleted; the plan says so.
    #[default]
    Delete,
    /// They stay as they are, in the state.
    Keep,
}

/// Which environment of a stack.
#[derive(Clone, Debug, Default, Args)]
pub struct EnvironmentArgs {
    /// The environment: its own state, parameter file and names [default: default].
    #[arg(long, value_name = "NAME", env = "DOLLOP_ENV", hide_env_values = true, add = complete::environments())]
    pub env: Option<Environment>,
}

impl EnvironmentArgs {
    /// The environment that is meant.
    pub fn environment(&self) -> Environment {
        self.env.clone().unwrap_or_default()
    }
}

impl StackArgs {
    /// The profiles that are meant.
    pub fn profiles(&self) -> Profiles {
        Profiles {
            all: self.profiles.iter().any(|name| name == "*"),
            names: self
                .profiles
                .iter()
                .map(|name| name.trim().to_owned())
                .filter(|name| !name.is_empty() && name != "*")
                .collect(),
            keep_dormant: self.dormant == DormantArg::Keep,
        }
    }

    /// The stack that is meant.
    pub fn project(&self) -> Result<Project, CommandError> {
        Project::find(self.stack.as_deref(), self.environment.environment())
    }
}

impl PlaceArgs {
    /// The stack that is meant.
    pub fn project(&self) -> Result<Project, CommandError> {
        Project::find(self.stack.as_deref(), self.environment.environment())
    }
}

impl ShowArgs {
    /// The stack that is meant.
    pub fn project(&self) -> Result<Project, CommandError> {
        Project::find(self.stack.as_deref(), self.environment.environment())
    }
}

/// Which stack, where nothing is evaluated.
#[derive(Clone, Debug, Default, Args)]
pub struct PlaceArgs {
    /// A script, or a folder with `stack.rhai` [default: the current folder].
    #[arg(long, value_name = "STACK", add = complete::stacks())]
    pub stack: Option<PathBuf>,
    /// In which environment.
    #[command(flatten)]
    pub environment: EnvironmentArgs,
}

/// How a list is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ListFormat {
    /// For a terminal.
    Text,
    /// For programs.
    Json,
}

/// `dollop params`.
#[derive(Debug, Args)]
pub struct ParamsArgs {
    /// Which stack.
    #[command(flatten)]
    pub stack: StackArgs,
    /// Tell what each is for, what it may be, and who else gave a value.
    #[arg(long)]
    pub explain: bool,
    /// How to show them.
    #[arg(long, default_value = "text")]
    pub format: ListFormat,
}

/// `dollop env`.
#[derive(Debug, Subcommand)]
pub enum EnvCommand {
    /// The environments there are: those with a state or a parameter file.
    ///
    /// Example: `dollop env list`
    List(PlaceArgs),
}

/// `dollop check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Which stack.
    #[command(flatten)]
    pub stack: StackArgs,
    /// How to show what was found.
    #[arg(long, default_value = "text")]
    pub format: CheckFormat,
    /// Exit with 1 when there are warnings.
    #[arg(long)]
    pub deny_warnings: bool,
}

/// How findings are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CheckFormat {
    /// For a terminal.
    Text,
    /// For programs.
    Json,
    /// SARIF 2.1.0, for annotations in code review.
    Sarif,
}

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

/// How an answer is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TreeFormat {
    /// For a terminal.
    Text,
    /// For programs.
    Json,
}

/// How a plan is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For a terminal.
    Text,
    /// For a comment on a pull request.
    Markdown,
    /// For programs.
    Json,
}

/// `dollop plan`.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line are bools")]
pub struct PlanArgs {
    /// Which stack.
    #[command(flatten)]
    pub stack: StackArgs,
    /// Save the plan, for `dollop apply --plan FILE`.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Exit with 2 when there are changes.
    #[arg(long)]
    pub detailed_exitcode: bool,
    /// How to show it.
    #[arg(long, default_value = "text")]
    pub format: Format,
    /// Show the SQL that would be sent instead, as a script to review or to run by hand.
    #[arg(long, conflicts_with = "format")]
    pub sql: bool,
    /// Do not look at the world: compare with the last known state.
    #[arg(long)]
    pub no_refresh: bool,
    /// Plan to remove everything.
    #[arg(long)]
    pub destroy: bool,
    /// Make a resource anew although nothing demands it; may be repeated.
    #[arg(long, value_name = "ADDRESS", conflicts_with = "destroy", add = complete::made())]
    pub replace: Vec<Address>,
    /// Which part of the stack.
    #[command(flatten)]
    pub part: PartArgs,
    /// What may be lost.
    #[command(flatten)]
    pub consent: ConsentArgs,
    /// Show what is usually folded.
    #[arg(short, long)]
    pub verbose: bool,
}

/// `dollop apply`.
#[derive(Debug, Args)]
pub struct ApplyArgs {
    /// Which stack.
    #[command(flatten)]
    pub stack: StackArgs,
    /// Apply a saved plan, exactly.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["no_refresh", "replace", "only", "exclude"])]
    pub plan: Option<PathBuf>,
    /// Do not ask.
    #[arg(long)]
    pub auto_approve: bool,
    /// The most steps under way at once.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = at_least_one)]
    pub parallelism: usize,
    /// Do not look at the world: compare with the last known state.
    #[arg(long)]
    pub no_refresh: bool,
    /// How to show what came of it; as JSON the plan is not shown, and nobody is asked.
    #[arg(long, default_value = "text", requires_if("json", "auto_approve"))]
    pub format: TreeFormat,
    /// Make a resource anew although nothing demands it; may be repeated.
    #[arg(long, value_name = "ADDRESS", add = complete::made())]
    pub replace: Vec<Address>,
    /// Which part of the stack.
    #[command(flatten)]
    pub part: PartArgs,
    /// What may be lost.
    #[command(flatten)]
    pub consent: ConsentArgs,
    /// Show what is usually folded.
    #[arg(short, long)]
    pub verbose: bool,
}

/// `dollop destroy`.
#[derive(Debug, Args)]
pub struct DestroyArgs {
    /// Which stack.
    #[command(flatten)]
    pub stack: StackArgs,
    /// Do not ask.
    #[arg(long)]
    pub auto_approve: bool,
    /// The most steps under way at once.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = at_least_one)]
    pub parallelism: usize,
    /// Do not look at the world first.
    #[arg(long)]
    pub no_refresh: bool,
    /// What may be lost.
    #[command(flatten)]
    pub consent: ConsentArgs,
    /// Show what is usually folded.
    #[arg(short, long)]
    pub verbose: bool,
}

/// `dollop show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// A script, or a folder with `stack.rhai` [default: the current folder].
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

/// Reads a command line; prints help and usage errors itself and returns the exit code.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Cli, u8> {
    Cli::try_parse_from(args).map_err(|error| {
        let printed = error.print();
        match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => match printed {
                Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => FAILED,
                _ => DONE,
            },
            _ => USAGE,
        }
    })
}

fn parse_param(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => {
            Ok((name.trim().to_owned(), value.to_owned()))
        }
        _ => Err("write it as `name=value`".to_owned()),
    }
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number @ 1..) => Ok(number),
        _ => Err("a whole number from 1 is needed".to_owned()),
    }
}

#[cfg(test)]
mod tests;
