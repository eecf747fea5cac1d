//! What can be typed. The doc comments are the help.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand, ValueEnum};
use dollop_engine::address::Address;

use crate::complete;
use crate::error::{DONE, FAILED, USAGE};

mod backup;
mod consent;
mod discover;
mod drift;
mod export;
mod import;
mod look;
mod operate;
mod stack;
mod state;
mod tools;

pub use backup::{
    BackupArgs, BackupCommand, BackupListArgs, BackupVerifyArgs, RestoreArgs, ShelfArgs,
};
pub use consent::{ConsentArgs, PartArgs};
pub use discover::DiscoverArgs;
pub use drift::{DriftArgs, TimerArgs};
pub use export::ExportArgs;
pub use import::ImportArgs;
pub use look::{OutputArgs, RelationArgs, ShowArgs};
pub use operate::{
    AttachArgs, EventsArgs, ExecArgs, ForwardArgs, HealthArgs, InputArgs, LogsArgs, OneArgs,
    OutdatedArgs, Ports, PsqlArgs, RabbitArgs, RabbitTool, RunArgs, SelectArgs, StatsArgs,
    StatusArgs, SwitchArgs, UrlsArgs, WatchArgs,
};
pub use stack::{DormantArg, EnvironmentArgs, PlaceArgs, StackArgs};
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
Exit codes: 0 done, 1 failed, 2 changes (`plan --detailed-exitcode`, `drift`), 64 wrong usage.

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
    /// Take what exists into the stack: into the state what the script declares, as script
    /// what it does not.
    ///
    /// The address is that of a server (`rabbitmq::server.mq`) for everything in it, or of
    /// one resource. Nothing in the world changes.
    /// Example: `dollop import rabbitmq::server.mq --out topology.rhai --append`
    Import(ImportArgs),
    /// Ask servers for the names that the script discovers, and write them beside it.
    ///
    /// A script loops over what stands in `<environment>.discovered.json`, which belongs into
    /// version control; this command asks anew and shows what is different. Nothing else
    /// changes until the next apply. Example: `dollop discover --check`
    Discover(DiscoverArgs),
    /// Write everything in a server to a file, in the server's own form.
    ///
    /// `rabbitmq-definitions` is what `rabbitmqctl import_definitions` and
    /// `rabbitmq::definitions` take. It holds secrets: hashes of passwords, addresses.
    /// Example: `dollop export rabbitmq-definitions shop --out definitions.json`
    Export(ExportArgs),
    /// Remove everything the stack made.
    ///
    /// Shows the plan and asks first. Example: `dollop destroy shop`
    Destroy(DestroyArgs),
    /// Save what people stored in the stack: databases, volumes, definitions.
    ///
    /// A folder with a manifest and checksums; nothing of it is secret to the terminal, the
    /// files themselves are private. Example: `dollop backup --stop --keep 7`
    Backup(BackupArgs),
    /// Take a backup back.
    ///
    /// Shows what would be replaced and asks first; what holds something needs consent by
    /// address. Example: `dollop restore latest --only postgres::database.main/shop`
    Restore(RestoreArgs),
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
    /// Show what runs, and whether it is as declared.
    ///
    /// State, health, time, ports and what an apply would change. Changes nothing and goes on
    /// beside an apply. Example: `dollop status 'web-*'`
    Status(StatusArgs),
    /// Show what everything logs, as one log.
    ///
    /// In the order of time, a colour for each. Example: `dollop logs web worker -f --grep error`
    Logs(LogsArgs),
    /// Run a command in something that runs, or open a shell there.
    ///
    /// With this terminal, or with what is piped in; ends with the command's exit code.
    /// Example: `dollop exec web -- ls /etc/nginx`
    Exec(ExecArgs),
    /// Speak SQL to a server of the stack.
    ///
    /// Opens `psql` in the server's container, or that of this machine; the password is never
    /// among its arguments. Example: `dollop psql -d shop -- -c 'select 1'`
    Psql(PsqlArgs),
    /// Look into a RabbitMQ of the stack: its queues, its tools, its API.
    ///
    /// Without arguments it lists the queues; `rabbitmqctl` runs in the server's container.
    /// Example: `dollop rabbit -- list_connections user state`
    Rabbit(RabbitArgs),
    /// Ask everything whether it works.
    ///
    /// Containers, published ports, pages, SQL and AMQP; exit code 1 when something does not.
    /// Example: `dollop health --wait 2m`
    Health(HealthArgs),
    /// Tell what was changed outside dollop; exit code 2 when something was.
    ///
    /// With `--watch` it goes on looking and tells what comes and goes: here, to a webhook, to a
    /// command. Changes nothing. Example: `dollop drift --watch --every 10m`
    Drift(DriftArgs),
    /// Print units for systemd, or a line for cron, that run a command regularly.
    ///
    /// Example: `dollop timer --calendar daily -- backup --keep 7`
    Timer(TimerArgs),
    /// Start what was stopped, in the order of the graph.
    ///
    /// Example: `dollop start worker`
    Start(SwitchArgs),
    /// Stop what runs, in the reverse order of the graph.
    ///
    /// Recorded as intended: a plan shows who stopped it, and an apply starts it again. What is
    /// to stay stopped is declared so: `running: false`. Example: `dollop stop 'worker-*'`
    Stop(SwitchArgs),
    /// Stop and start again.
    ///
    /// Example: `dollop restart web`
    Restart(SwitchArgs),
    /// Run a command that the stack publishes; without a name, list them.
    ///
    /// `command("topics", #{ container: kafka, command: [..] })` publishes one.
    /// Example: `dollop run kafka-topics --list`
    Run(RunArgs),
    /// Show where everything can be reached from this machine.
    ///
    /// Example: `dollop urls grafana --open`
    Urls(UrlsArgs),
    /// Lead a port of this machine to one that is not published.
    ///
    /// Example: `dollop forward redis 16379:6379`
    Forward(ForwardArgs),
    /// Show what everything takes of its machine, beside what it may.
    ///
    /// Example: `dollop stats --format json`
    Stats(StatsArgs),
    /// Show what happened: to the objects of the stack, and by whose runs.
    ///
    /// Example: `dollop events --since 2h --follow`
    Events(EventsArgs),
    /// Apply what changes in the project folder, while you work on it.
    ///
    /// Images are built again, files put in place, containers replaced: what a plan shows,
    /// without asking; what would lose data is refused. Example: `dollop watch --restart web`
    Watch(WatchArgs),
    /// Show which images have newer ones in their registries.
    ///
    /// Newer under the same tag, or a later version under a tag that is written alike.
    /// Example: `dollop outdated --detailed-exitcode`
    Outdated(OutdatedArgs),
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
    /// Look up kinds, attributes, functions and stacks, offline.
    ///
    /// Of a stack, such as `./shop`, what it wants and what it hands out.
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
            Self::Backup(args) => {
                matches!(&args.command, Some(BackupCommand::List(args)) if args.json)
            }
            Self::Status(args) => args.format == ListFormat::Json,
            Self::Health(args) => args.format == ListFormat::Json,
            Self::Rabbit(args) => args.format == ListFormat::Json || args.api.is_some(),
            Self::Drift(args) => args.format == ListFormat::Json && !args.watch,
            Self::Urls(args) => args.format == ListFormat::Json,
            Self::Stats(args) => args.format == ListFormat::Json,
            Self::Outdated(args) => args.format == ListFormat::Json,
            Self::Logs(args) => args.json,
            Self::Events(args) => args.json,
            Self::Run(args) => args.json,
            _ => false,
        }
    }
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
    #[arg(long, value_name = "FILE", conflicts_with_all = ["no_refresh", "replace", "only", "exclude", "changed_since"])]
    pub plan: Option<PathBuf>,
    /// Do not ask.
    #[arg(long)]
    pub auto_approve: bool,
    /// The most steps under way at once; grants of one database, which join in one
    /// transaction, do not count.
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
    /// The most steps under way at once; grants of one database, which join in one
    /// transaction, do not count.
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
