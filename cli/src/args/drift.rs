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
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = pause, requires = "watch")]
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
    #[arg(long, value_name = "WHEN", default_value = "daily", conflicts_with = "cron", value_parser = calendar)]
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

/// A second at least: each look asks every service.
fn pause(text: &str) -> Result<Duration, String> {
    let time = duration(text)?;
    if time < Duration::from_secs(1) { Err("a second at least".to_owned()) } else { Ok(time) }
}

/// The characters systemd knows in a time; whether it is one, `systemd-analyze calendar` says.
fn calendar(text: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || " *-:/,.~+_".contains(c);
    let says = |c: char| c.is_ascii_alphanumeric() || c == '*';
    if text.chars().all(fits) && text.chars().any(says) {
        Ok(text.trim().to_owned())
    } else {
        Err("systemd takes `daily` or `Mon *-*-* 03:00:00`".to_owned())
    }
}

/// What cron takes instead of five fields.
const CRON_WORDS: [&str; 8] = [
    "@reboot",
    "@yearly",
    "@annually",
    "@monthly",
    "@weekly",
    "@daily",
    "@midnight",
    "@hourly",
];

/// Five fields, or a word such as `@daily`.
fn cron(text: &str) -> Result<String, String> {
    let text = text.trim();
    let fields: Vec<_> = text.split([' ', '\t']).filter(|field| !field.is_empty()).collect();
    let fits = |(place, field): (usize, &&str)| {
        field.chars().all(|c| {
            c.is_ascii_digit() || "*/,-".contains(c) || (place > 2 && c.is_ascii_alphabetic())
        })
    };
    let is_table = fields.len() == 5 && fields.iter().enumerate().all(fits);
    if is_table || CRON_WORDS.contains(&text) {
        Ok(text.to_owned())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_break_a_line_is_no_time() {
        for wrong in ["", " ", "daily\nUser=root", "100%", "a\"b"] {
            assert!(calendar(wrong).is_err(), "{wrong}");
        }
        for right in ["daily", "Mon *-*-* 03:00:00", "*-*~01 12:00 Europe/Berlin"] {
            assert_eq!(calendar(right).as_deref(), Ok(right));
        }
        for wrong in
            ["@foo", "@", "* * * *", "a * * * *", "0 3\n* * *", "0 3 * * * rm", "@daily x"]
        {
            assert!(cron(wrong).is_err(), "{wrong}");
        }
        for right in ["0 3 * * *", "*/5 1-3,7 * JAN mon-fri", "@daily"] {
            assert_eq!(cron(right).as_deref(), Ok(right));
        }
        assert!(pause("100ms").is_err());
        assert_eq!(pause("1s"), Ok(Duration::from_secs(1)));
    }
}
