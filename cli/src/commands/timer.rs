//! `dollop timer`: what makes a machine run a command of dollop regularly.

use std::ffi::OsString;

use clap::Parser as _;

use crate::args::{Cli, Command, TimerArgs};
use crate::error::{CommandError, DONE};
use crate::project::Project;
use crate::render::timer::{self, Timer};
use crate::terminal;

/// Reads the command as it will be read then, and prints what runs it.
pub fn run(args: &TimerArgs) -> Result<u8, CommandError> {
    let words = words(&args.command)?;
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
    let (what, project) = scheduled(&cli.command)?;
    let stack = project?.stack;
    let program = std::env::current_exe().map_err(|error| {
        CommandError::failed(format!("cannot tell where this program is: {error}"))
    })?;
    let folder = std::env::current_dir().map_err(|error| {
        CommandError::failed(format!("cannot tell which folder this is: {error}"))
    })?;
    let name = args.name.clone().unwrap_or_else(|| format!("dollop-{what}-{stack}"));
    let about = format!("dollop {what} of the stack {stack}");
    let timer =
        Timer { name: &name, about: &about, program: &program, words: &words, folder: &folder };
    terminal::print(&match &args.cron {
        Some(when) => timer::cron(&timer, when),
        None => timer::systemd(&timer, &args.calendar),
    })?;
    Ok(DONE)
}

fn words(command: &[OsString]) -> Result<Vec<String>, CommandError> {
    let text = |word: &OsString| {
        let text = word.to_str().filter(|text| !text.contains('\n'));
        text.map(str::to_owned).ok_or_else(|| {
            let shown = word.to_string_lossy();
            CommandError::usage(format!("`{shown}` is not one line of UTF-8 text"))
        })
    };
    command.iter().map(text).collect()
}

type Scheduled = (&'static str, Result<Project, CommandError>);

/// What a command that can run with nobody in front of it is called, and its stack.
fn scheduled(command: &Command) -> Result<Scheduled, CommandError> {
    let asks = |what: &str, flag: &str| {
        CommandError::usage(format!("`dollop {what}` asks, and nobody is there to answer"))
            .hint(format!("add `{flag}`"))
    };
    Ok(match command {
        Command::Backup(args) => ("backup", args.place.project()),
        Command::Drift(args) if args.watch => {
            return Err(CommandError::usage("`drift --watch` never ends")
                .hint("without `--watch` it looks once each time"));
        }
        Command::Drift(args) => ("drift", args.stack.project()),
        Command::Run(args) if args.name.is_some() => ("run", args.place.project()),
        Command::Health(args) => ("health", args.select.place.project()),
        Command::Outdated(args) => ("outdated", args.select.place.project()),
        Command::Restart(args) => ("restart", args.select.place.project()),
        Command::Start(args) => ("start", args.select.place.project()),
        Command::Stop(args) => ("stop", args.select.place.project()),
        Command::Check(args) => ("check", args.stack.project()),
        Command::Plan(args) => ("plan", args.stack.project()),
        Command::Apply(args) if args.auto_approve => ("apply", args.stack.project()),
        Command::Apply(_) => return Err(asks("apply", "--auto-approve")),
        Command::Restore(args) if args.verify => ("restore", args.place.project()),
        Command::Restore(_) => return Err(asks("restore", "--verify")),
        _ => {
            return Err(CommandError::usage("this command is for somebody in front of it").hint(
                "a timer runs `backup`, `drift`, `run NAME`, `health`, `outdated`, `start`, \
                 `stop`, `restart`, `check`, `plan`, `apply --auto-approve` or \
                 `restore --verify`",
            ));
        }
    })
}
