//! What can be typed about watching for drift, and about running commands by the clock.

use std::ffi::OsString;
use std::time::Duration;

use clap::Args;

use super::operate::duration;
use super::{ListFormat, StackArgs};

/// `dollop drift`.
#[derive(Debug, Args)]
pub struct DriftArgs {
    /// Which stack; without `--profile`, with the profiles that were applied.
    #[command(flatten)]
    pub stack: StackArgs,
    /// Look again and again, and tell when something changes.
    #[arg(short, long)]
    pub watch: bool,
    /// How long to wait between two looks: `30s`, `10m`.
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = duration, requires = "watch")]
    pub every: Duration,
    /// Send what is found to this address, by `POST` as JSON.
    ///
    /// The address may be a secret: give it in the environment.
    #[arg(long, value_name = "URL", env = "DOLLOP_DRIFT_WEBHOOK", hide_env_values = true)]
    pub webhook: Option<String>,
    /// Run this in a shell when something is found; it reads the same JSON.
    ///
    /// Example: `--then 'mail -s drift ops@example.org'`
    #[arg(long, value_name = "COMMAND")]
    pub then: Option<String>,
    /// How to show it; with `--watch`, one JSON object a line.
    #[arg(long, default_value = "text")]
    pub format: ListFormat,
}

/// `dollop timer`.
#[derive(Debug, Args)]
pub struct TimerArgs {
    /// When, as systemd says it: `hourly`, `Mon *-*-* 03:00:00`.
    #[arg(long, value_name = "WHEN", default_value = "daily", conflicts_with = "cron")]
    pub calendar: String,
    /// Print a line for cron instead: `--cron '0 3 * * *'`.
    #[arg(long, value_name = "WHEN", value_parser = cron)]
    pub cron: Option<String>,
    /// What the units are called [default: `dollop-COMMAND-STACK`].
    #[arg(long, value_name = "NAME", value_parser = unit)]
    pub name: Option<String>,
    /// The command and its arguments, after `--`.
    #[arg(value_name = "COMMAND", last = true, required = true)]
    pub command: Vec<OsString>,
}

/// Five fields, or a word such as `@daily`.
fn cron(text: &str) -> Result<String, String> {
    let fields = text.split_whitespace().count();
    let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || " \t*/,-@".contains(c));
    if plain && (fields == 5 || (fields == 1 && text.starts_with('@'))) {
        Ok(text.trim().to_owned())
    } else {
        Err("cron takes five fields, `0 3 * * *`, or a word, `@daily`".to_owned())
    }
}

fn unit(text: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    if !text.is_empty() && text.chars().all(fits) {
        Ok(text.to_owned())
    } else {
        Err("a unit is called by letters, digits, `_`, `-` and `.`".to_owned())
    }
}
