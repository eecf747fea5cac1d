//! Parse, run, say what went wrong, exit.

use std::process::ExitCode;

use crate::args::{Cli, Command};
use crate::commands::switch::Switch;
use crate::error::{CommandError, DONE, FAILED, Kind};
use crate::render::json;
use crate::{args, commands, complete, terminal};

/// The whole program: reads the command line, does what it says, returns the exit code.
pub fn main() -> ExitCode {
    match complete::answer() {
        Ok(true) => return ExitCode::from(DONE),
        Ok(false) => {}
        Err(error) => {
            terminal::say(&format!("{error}\n"));
            return ExitCode::from(FAILED);
        }
    }
    let cli = match args::parse(std::env::args_os()) {
        Ok(cli) => cli,
        Err(code) => return ExitCode::from(code),
    };
    terminal::set_color(cli.global.color);
    ExitCode::from(match run(&cli) {
        Ok(code) => code,
        Err(error) => {
            if cli.command.answers_json() && !matches!(error.kind, Kind::Usage | Kind::Reported)
            {
                // A reader that went away is told on stderr like everybody else.
                let _ = terminal::print(&json::text(&error.json()));
            }
            terminal::say(&error.render(terminal::stderr_width()));
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
        Command::Params(args) => commands::params::run(args),
        Command::Env(command) => commands::env::run(command),
        Command::Graph(args) => commands::graph::run(args),
        Command::Why(args) => commands::why::run(args),
        Command::Impact(args) => commands::impact::run(args),
        Command::Explain(args) => commands::explain::run(args),
        Command::Init(args) => commands::init::run(args),
        Command::Doc(args) => commands::doc::run(args),
        Command::Schema(args) => commands::schema::run(args),
        Command::Version => commands::version::run(),
        Command::Completions(args) => commands::completions::run(args),
        Command::Plan(args) => commands::plan::run(args),
        Command::Apply(args) => commands::apply::run(args),
        Command::Export(args) => commands::export::run(args),
        Command::Import(args) => commands::import::run(args),
        Command::Discover(args) => commands::discover::run(args),
        Command::Destroy(args) => commands::destroy::run(args),
        Command::Backup(args) => commands::backup::run(args),
        Command::Restore(args) => commands::restore::run(args),
        Command::Show(args) => commands::show::run(args),
        Command::Output(args) => commands::output::run(args),
        Command::State(command) => commands::state::run(command),
        Command::Taint(args) => commands::state::taint(&args.addresses, &args.place, true),
        Command::Untaint(args) => commands::state::taint(&args.addresses, &args.place, false),
        Command::Status(args) => commands::status::run(args),
        Command::Logs(args) => commands::logs::run(args),
        Command::Exec(args) => commands::exec::run(args),
        Command::Psql(args) => commands::psql::run(args),
        Command::Rabbit(args) => commands::rabbit::run(args),
        Command::Drift(args) => commands::drift::run(args),
        Command::Timer(args) => commands::timer::run(args),
        Command::Health(args) => commands::health::run(args),
        Command::Start(args) => commands::switch::run(args, Switch::Start),
        Command::Stop(args) => commands::switch::run(args, Switch::Stop),
        Command::Restart(args) => commands::switch::run(args, Switch::Restart),
        Command::Run(args) => commands::run::run(args),
        Command::Urls(args) => commands::urls::run(args),
        Command::Forward(args) => commands::forward::run(args),
        Command::Stats(args) => commands::stats::run(args),
        Command::Events(args) => commands::events::run(args),
        Command::Watch(args) => commands::watch::run(args),
        Command::Outdated(args) => commands::outdated::run(args),
    }
}
