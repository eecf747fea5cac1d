//! `dollop exec`: a command in something that runs.

use dollop_engine::operate::{Ability, Command};

use crate::args::ExecArgs;
use crate::attach;
use crate::error::CommandError;
use crate::live::Live;

/// The best shell there is.
const SHELL: [&str; 3] =
    ["sh", "-c", "command -v bash >/dev/null 2>&1 && exec bash || exec sh"];

/// Runs it with this terminal, or with what is piped in, and ends with its exit code.
pub fn run(args: &ExecArgs) -> Result<u8, CommandError> {
    let live = Live::open(&args.one.place)?;
    let target = live.one(&args.one, Ability::Exec)?;
    let words = match args.command.as_slice() {
        [] => SHELL.map(str::to_owned).to_vec(),
        words => words.to_vec(),
    };
    let command = Command {
        words,
        env: args.variables.clone(),
        user: args.user.clone(),
        folder: args.workdir.clone(),
        terminal: false,
    };
    attach::run(&live, &target, command, args.how)
}
