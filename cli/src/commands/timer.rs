//! `dollop timer`: what makes a machine run a command of dollop regularly.

use std::ffi::OsStr;
use std::path::PathBuf;

use clap::Parser as _;

use crate::args::{BackupCommand, Cli, Command, InputArgs, StackArgs, TimerArgs};
use crate::error::{CommandError, DONE};
use crate::project::Project;
use crate::render::timer::{self, Timer};
use crate::terminal;

/// What decides which stack is meant, and which part of it: who reads the command later must
/// read it alike.
const SAME: [&str; 3] = ["DOLLOP_ENV", "DOLLOP_PROFILES", "DOLLOP_DORMANT"];

/// Reads the command as it will be read then, and prints what runs it.
pub fn run(args: &TimerArgs) -> Result<u8, CommandError> {
    let words =
        args.command.iter().map(|word| one_line(word)).collect::<Result<Vec<_>, _>>()?;
    let line = std::iter::once("dollop".to_owned()).chain(words.iter().cloned());
    let cli = Cli::try_parse_from(line).map_err(|error| {
        let said = error.to_string();
        let why = said.lines().next().unwrap_or_default().trim_start_matches("error: ");
        CommandError::usage(format!("after `--` stands no command of dollop: {why}"))
            .hint("write it as you would type it: `dollop timer -- backup --keep 7`")
    })?;
    if cli.global.chdir.is_some() {
        return Err(CommandError::usage("the folder is that of `dollop timer` itself")
            .hint("write `dollop -C FOLDER timer -- ..`"));
    }
    let Scheduled { what, project, exits } = scheduled(&cli.command, &words)?;
    let stack = project?.stack;
    let mut env = Vec::new();
    for name in SAME {
        if let Some(value) = std::env::var_os(name).filter(|value| !value.is_empty()) {
            env.push((name, one_line(&value)?));
        }
    }
    let program = place("this program is", std::env::current_exe())?;
    let folder = place("folder this is", std::env::current_dir())?;
    let user = whoami::username()
        .map_err(|error| CommandError::failed(format!("cannot tell who runs this: {error}")))?;
    let about = format!("dollop {what} of the stack {stack}");
    let about: String = about.chars().filter(|c| !c.is_control()).collect();
    let name = args.name.clone().unwrap_or_else(|| unit(&format!("dollop-{what}-{stack}")));
    let timer = Timer {
        name: &name,
        about: &about,
        user: &one_line(OsStr::new(&user))?,
        program: &program,
        words: &words,
        folder: &folder,
        env: &env,
        exits,
    };
    terminal::print(&match &args.cron {
        Some(when) => timer::cron(&timer, when),
        None => timer::systemd(&timer, &args.calendar),
    })?;
    Ok(DONE)
}

/// What is written into a line of a file.
fn one_line(word: &OsStr) -> Result<String, CommandError> {
    let text = word.to_str().filter(|text| !text.chars().any(char::is_control));
    text.map(str::to_owned).ok_or_else(|| {
        let shown = word.to_string_lossy();
        CommandError::usage(format!("`{}` is not one line of UTF-8 text", shown.escape_debug()))
    })
}

fn place(what: &str, found: std::io::Result<PathBuf>) -> Result<String, CommandError> {
    let found = found.map_err(|error| {
        CommandError::failed(format!("cannot tell where or which {what}: {error}"))
    })?;
    one_line(&found.into_os_string())
}

/// As a unit can be called.
fn unit(text: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    let other = |c: char| if fits(c) { c } else { '-' };
    text.chars().map(other).collect()
}

/// A command that can run with nobody in front of it.
struct Scheduled {
    /// What tells it from others of the stack.
    what: String,
    project: Result<Project, CommandError>,
    /// Whether it ends with 2 to say what it found.
    exits: bool,
}

fn scheduled(command: &Command, words: &[String]) -> Result<Scheduled, CommandError> {
    let asks = |what: &str, flag: &str| {
        CommandError::usage(format!("`dollop {what}` asks, and nobody is there to answer"))
            .hint(format!("add `{flag}`"))
    };
    let (what, project) = match command {
        Command::Backup(args) => match &args.command {
            None => ("backup", args.place.project()),
            Some(BackupCommand::Verify(args)) => ("backup verify", args.place.project()),
            Some(BackupCommand::List(_)) => return Err(for_somebody()),
        },
        Command::Drift(args) if args.watch => {
            return Err(CommandError::usage("`drift --watch` never ends")
                .hint("without `--watch` it looks once each time"));
        }
        Command::Drift(args) => {
            let is_typed =
                |word: &String| word == "--webhook" || word.starts_with("--webhook=");
            if words.iter().any(is_typed) {
                return Err(secret("--webhook").hint(
                    "set `DOLLOP_DRIFT_WEBHOOK` in the environment file that the unit names",
                ));
            }
            plain(&args.stack)?;
            ("drift", args.stack.project())
        }
        Command::Run(args) => {
            let Some(name) = &args.name else { return Err(for_somebody()) };
            no_values(&args.inputs)?;
            let what = format!("run {name}");
            return Ok(Scheduled { what, project: args.place.project(), exits: false });
        }
        Command::Health(args) => ("health", args.select.place.project()),
        Command::Outdated(args) => ("outdated", args.select.place.project()),
        Command::Restart(args) => ("restart", args.select.place.project()),
        Command::Start(args) => ("start", args.select.place.project()),
        Command::Stop(args) => ("stop", args.select.place.project()),
        Command::Check(args) => {
            plain(&args.stack)?;
            ("check", args.stack.project())
        }
        Command::Plan(args) => {
            plain(&args.stack)?;
            ("plan", args.stack.project())
        }
        Command::Apply(args) if args.auto_approve => {
            plain(&args.stack)?;
            ("apply", args.stack.project())
        }
        Command::Apply(_) => return Err(asks("apply", "--auto-approve")),
        Command::Restore(args) if args.verify => ("restore", args.place.project()),
        Command::Restore(_) => return Err(asks("restore", "--verify")),
        _ => return Err(for_somebody()),
    };
    let exits = matches!(what, "drift" | "plan" | "outdated");
    Ok(Scheduled { what: what.to_owned(), project, exits })
}

fn for_somebody() -> CommandError {
    CommandError::usage("this command is for somebody in front of it").hint(
        "a timer runs `backup`, `backup verify`, `drift`, `run NAME`, `health`, `outdated`, \
         `start`, `stop`, `restart`, `check`, `plan`, `apply --auto-approve` or \
         `restore --verify`",
    )
}

/// Everybody on the machine may read a unit.
fn secret(flag: &str) -> CommandError {
    CommandError::usage(format!("`{flag}` would stand in a file that everybody may read"))
}

/// # Errors
/// A value that may be secret: what of a stack is secret only its script knows.
fn plain(args: &StackArgs) -> Result<(), CommandError> {
    if args.param.is_empty() { Ok(()) } else { Err(parameter()) }
}

fn no_values(args: &InputArgs) -> Result<(), CommandError> {
    if args.param.is_empty() { Ok(()) } else { Err(parameter()) }
}

fn parameter() -> CommandError {
    secret("--param").hint(
        "name a file with `--params FILE`, or set `DOLLOP_PARAM_name=value` in the environment \
         file that the unit names",
    )
}
