//! What can be typed about a stack that runs.

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::{ListFormat, PlaceArgs, StackArgs, parse_param};
use crate::complete;

/// Which resources are meant.
#[derive(Clone, Debug, Default, Args)]
pub struct SelectArgs {
    /// Names, addresses or patterns; everything when left out.
    ///
    /// Examples: `web`, `docker::container.web`, `data/` (a component), `'worker-*'`.
    #[arg(value_name = "WHAT", add = complete::running())]
    pub what: Vec<String>,
    /// Only what belongs to a profile; may be repeated.
    #[arg(long = "profile", value_name = "NAME", value_delimiter = ',', add = complete::profiles())]
    pub profiles: Vec<String>,
    /// Which stack.
    #[command(flatten)]
    pub place: PlaceArgs,
}

/// Which one resource is meant.
#[derive(Clone, Debug, Args)]
pub struct OneArgs {
    /// Its name or address: `web`, `docker::container.web`.
    #[arg(value_name = "WHAT", add = complete::running())]
    pub what: String,
    /// Which stack.
    #[command(flatten)]
    pub place: PlaceArgs,
}

/// What a script that is evaluated is given, where the stack is an option.
#[derive(Clone, Debug, Default, Args)]
pub struct InputArgs {
    /// Set a parameter; may be repeated.
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_param, add = complete::parameters())]
    pub param: Vec<(String, String)>,
    /// Read parameters from a `.toml`, `.json` or `.env` file; may be repeated.
    #[arg(long, value_name = "FILE")]
    pub params: Vec<std::path::PathBuf>,
}

impl InputArgs {
    /// The same as for the commands that plan, with these profiles on.
    pub fn stack(&self, place: &PlaceArgs, profiles: &[String]) -> StackArgs {
        StackArgs {
            stack: place.stack.clone(),
            param: self.param.clone(),
            params: self.params.clone(),
            profiles: profiles.to_vec(),
            environment: place.environment.clone(),
            ..StackArgs::default()
        }
    }
}

/// `dollop status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Of what.
    #[command(flatten)]
    pub select: SelectArgs,
    /// With which parameters the script is compared.
    #[command(flatten)]
    pub inputs: InputArgs,
    /// Do not compare with the script.
    #[arg(long)]
    pub no_plan: bool,
    /// How to show it.
    #[arg(long, default_value = "text")]
    pub format: ListFormat,
}

/// `dollop logs`.
#[derive(Debug, Args)]
pub struct LogsArgs {
    /// Of what.
    #[command(flatten)]
    pub select: SelectArgs,
    /// Wait for more.
    #[arg(short, long)]
    pub follow: bool,
    /// Only so many lines of each from the end.
    #[arg(short = 'n', long, value_name = "LINES")]
    pub tail: Option<u64>,
    /// Nothing older: `10m`, `2h`, or a time as in RFC 3339.
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    pub since: Option<Moment>,
    /// Nothing younger: `10m`, `2h`, or a time as in RFC 3339.
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    pub until: Option<Moment>,
    /// Only lines in which a regular expression is found; `(?i)` in it ignores case.
    #[arg(short, long, value_name = "PATTERN")]
    pub grep: Option<String>,
    /// Show when each line was written.
    #[arg(short, long)]
    pub timestamps: bool,
    /// One JSON object a line.
    #[arg(long, conflicts_with = "timestamps")]
    pub json: bool,
}

/// `dollop exec`.
#[derive(Debug, Args)]
pub struct ExecArgs {
    /// In what.
    #[command(flatten)]
    pub one: OneArgs,
    /// How it runs.
    #[command(flatten)]
    pub how: AttachArgs,
    /// Who runs it.
    #[arg(short, long, value_name = "USER")]
    pub user: Option<String>,
    /// The folder it starts in.
    #[arg(short, long, value_name = "FOLDER")]
    pub workdir: Option<String>,
    /// Set a variable for it; may be repeated.
    #[arg(short = 'e', long = "env-var", value_name = "NAME=VALUE", value_parser = parse_param)]
    pub variables: Vec<(String, String)>,
    /// The command; a shell when left out.
    #[arg(value_name = "COMMAND", trailing_var_arg = true, allow_hyphen_values = true)]
    pub command: Vec<String>,
}

/// How a command is connected.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct AttachArgs {
    /// Without a terminal, also when this is one.
    #[arg(short = 'T', long)]
    pub no_tty: bool,
    /// It reads nothing.
    #[arg(long)]
    pub no_stdin: bool,
}

/// `dollop psql`.
#[derive(Debug, Args)]
pub struct PsqlArgs {
    /// The connection; may be left out when there is one only.
    #[arg(value_name = "CONNECTION", add = complete::running())]
    pub what: Option<String>,
    /// Which stack.
    #[command(flatten)]
    pub place: PlaceArgs,
    /// The database.
    #[arg(short, long, value_name = "NAME")]
    pub database: Option<String>,
    /// Run the `psql` of this machine, also when the server is in a container of the stack.
    #[arg(long)]
    pub local: bool,
    /// How it runs.
    #[command(flatten)]
    pub how: AttachArgs,
    /// Arguments of `psql`, after `--`.
    #[arg(value_name = "ARGUMENT", last = true)]
    pub arguments: Vec<String>,
}

/// `dollop rabbit`.
#[derive(Debug, Args)]
pub struct RabbitArgs {
    /// The connection; may be left out when there is one only.
    #[arg(value_name = "CONNECTION", add = complete::running())]
    pub what: Option<String>,
    /// Which stack.
    #[command(flatten)]
    pub place: PlaceArgs,
    /// Only the queues of one vhost.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["api", "arguments"])]
    pub vhost: Option<String>,
    /// Ask the management API instead: what follows `/api/`, as `overview` or
    /// `queues/%2F/orders`.
    #[arg(long, value_name = "PATH", conflicts_with_all = ["arguments", "format"])]
    pub api: Option<String>,
    /// Which of the server's tools runs.
    #[arg(long, value_name = "TOOL", default_value = "ctl", requires = "arguments")]
    pub tool: RabbitTool,
    /// How the queues are shown.
    #[arg(long, default_value = "text", conflicts_with = "arguments")]
    pub format: ListFormat,
    /// How a tool runs.
    #[command(flatten)]
    pub how: AttachArgs,
    /// Arguments of `rabbitmqctl` (or of another tool), after `--`: it runs in the server's
    /// container.
    #[arg(value_name = "ARGUMENT", last = true)]
    pub arguments: Vec<String>,
}

/// A tool that comes with RabbitMQ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum RabbitTool {
    /// `rabbitmqctl`.
    #[default]
    Ctl,
    /// `rabbitmq-diagnostics`.
    Diagnostics,
    /// `rabbitmq-plugins`.
    Plugins,
    /// `rabbitmq-queues`.
    Queues,
    /// `rabbitmq-streams`.
    Streams,
}

impl RabbitTool {
    /// The program.
    pub fn program(self) -> &'static str {
        match self {
            Self::Ctl => "rabbitmqctl",
            Self::Diagnostics => "rabbitmq-diagnostics",
            Self::Plugins => "rabbitmq-plugins",
            Self::Queues => "rabbitmq-queues",
            Self::Streams => "rabbitmq-streams",
        }
    }
}

/// `dollop health`.
#[derive(Debug, Args)]
pub struct HealthArgs {
    /// Of what.
    #[command(flatten)]
    pub select: SelectArgs,
    /// Ask again until everything works, for so long at most: `2m`.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub wait: Option<Duration>,
    /// How to show it.
    #[arg(long, default_value = "text")]
    pub format: ListFormat,
}

/// `dollop start`, `dollop stop`, `dollop restart`.
#[derive(Debug, Args)]
pub struct SwitchArgs {
    /// What.
    #[command(flatten)]
    pub select: SelectArgs,
    /// The most under way at once.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = super::at_least_one)]
    pub parallelism: usize,
}

/// `dollop run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The command; without one, they are listed.
    #[arg(value_name = "NAME", add = complete::commands())]
    pub name: Option<String>,
    /// Which stack.
    #[command(flatten)]
    pub place: PlaceArgs,
    /// With which parameters the script is read.
    #[command(flatten)]
    pub inputs: InputArgs,
    /// How it runs.
    #[command(flatten)]
    pub how: AttachArgs,
    /// As JSON, where they are listed.
    #[arg(long, conflicts_with = "name")]
    pub json: bool,
    /// Arguments added to it.
    #[arg(value_name = "ARGUMENT", trailing_var_arg = true, allow_hyphen_values = true)]
    pub arguments: Vec<String>,
}

/// `dollop urls`.
#[derive(Debug, Args)]
pub struct UrlsArgs {
    /// Of what.
    #[command(flatten)]
    pub select: SelectArgs,
    /// Open the first in a browser.
    #[arg(long, conflicts_with = "format")]
    pub open: bool,
    /// How to show them.
    #[arg(long, default_value = "text")]
    pub format: ListFormat,
}

/// `dollop stats`.
#[derive(Debug, Args)]
pub struct StatsArgs {
    /// Of what.
    #[command(flatten)]
    pub select: SelectArgs,
    /// How to show it.
    #[arg(long, default_value = "text")]
    pub format: ListFormat,
}

/// `dollop events`.
#[derive(Debug, Args)]
pub struct EventsArgs {
    /// Of what.
    #[command(flatten)]
    pub select: SelectArgs,
    /// Wait for more.
    #[arg(short, long)]
    pub follow: bool,
    /// Nothing older: `10m`, `2h`, or a time as in RFC 3339.
    #[arg(long, value_name = "WHEN", default_value = "1day", value_parser = moment)]
    pub since: Moment,
    /// One JSON object a line.
    #[arg(long)]
    pub json: bool,
}

/// `dollop outdated`.
#[derive(Debug, Args)]
pub struct OutdatedArgs {
    /// Of what.
    #[command(flatten)]
    pub select: SelectArgs,
    /// Exit with 2 when something is newer.
    #[arg(long)]
    pub detailed_exitcode: bool,
    /// How to show it.
    #[arg(long, default_value = "text")]
    pub format: ListFormat,
}

/// `dollop forward`.
#[derive(Debug, Args)]
pub struct ForwardArgs {
    /// Where to.
    #[command(flatten)]
    pub one: OneArgs,
    /// Its port; with another port of this machine before it: `16379:6379`.
    #[arg(value_name = "PORT", required = true, value_parser = ports)]
    pub ports: Vec<Ports>,
    /// Where this machine listens.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub address: std::net::IpAddr,
}

/// A port of this machine and the one it leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// Here; 0 for any free one.
    pub here: u16,
    /// There.
    pub there: u16,
}

/// A point in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment(pub std::time::SystemTime);

fn moment(text: &str) -> Result<Moment, String> {
    if let Ok(ago) = humantime::parse_duration(text) {
        let then = std::time::SystemTime::now().checked_sub(ago);
        return then.map(Moment).ok_or_else(|| "that is before time began".to_owned());
    }
    humantime::parse_rfc3339_weak(text)
        .map(Moment)
        .map_err(|_| "write how long ago, `10m`, or when, `2026-11-25T12:00:00Z`".to_owned())
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|_| "write it like `30s` or `2m`".to_owned())
}

fn ports(text: &str) -> Result<Ports, String> {
    let number = |text: &str| {
        text.parse::<u16>().map_err(|_| "a port is a number from 1 to 65535".to_owned())
    };
    let found = match text.split_once(':') {
        Some((here, there)) => Ports { here: number(here)?, there: number(there)? },
        None => Ports { here: number(text)?, there: number(text)? },
    };
    if found.there == 0 {
        Err("it leads to a port from 1 to 65535".to_owned())
    } else {
        Ok(found)
    }
}

/// `dollop watch`.
#[derive(Debug, Args)]
pub struct WatchArgs {
    /// Which stack.
    #[command(flatten)]
    pub stack: StackArgs,
    /// Restart these after every change: programs that read their files once; may be repeated.
    #[arg(long, value_name = "WHAT", add = complete::running())]
    pub restart: Vec<String>,
    /// The most steps under way at once; grants of one database, which join in one
    /// transaction, do not count.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = super::at_least_one)]
    pub parallelism: usize,
}
