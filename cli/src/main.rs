//! Parse, run, say what went wrong, exit.

use std::process::ExitCode;

use dollop_cli::args::{Cli, Command};
use dollop_cli::error::{CommandError, Kind};
use dollop_cli::render::json;
use dollop_cli::{args, commands, terminal};

fn main() -> ExitCode {
    let cli = match args::parse(std::env::args_os()) {
        Ok(cli) => cli,
        Err(code) => return ExitCode::from(code),
    };
    terminal::set_color(cli.global.color);
    ExitCode::from(match run(&cli) {
        Ok(code) => code,
        Err(error) => {
            terminal::say(&error.render(terminal::stderr_width()));
            if cli.command.answers_json() && !matches!(error.kind, Kind::Reported) {
                // A reader that is gone changes nothing about the exit code.
                let _ = terminal::print(&json::text(&error.json()));
            }
            error.exit_code()
        }
    })
}

fn run(cli: &Cli) -> Result<u8, CommandError> {
    if let Some(folder) = &cli.global.chdir {
        std::env::set_current_dir(folder).map_err(|error| {
            CommandError::usage(format!("cannot go to `{}`: {error}", folder.display()))
        })?;
    }
    match &cli.command {
        Command::Check(args) => commands::check::run(args),
        Command::Graph(args) => commands::graph::run(args),
        Command::Version => commands::version::run(),
        Command::Completions(args) => commands::completions::run(args),
        Command::Plan(_)
        | Command::Apply(_)
        | Command::Destroy(_)
        | Command::Show(_)
        | Command::Output(_)
        | Command::State(_) => Err(CommandError::failed("this command is not built yet")),
    }
}
