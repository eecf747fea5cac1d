//! `dollop psql`: speak SQL to a server of the stack.

use std::process::Command as Process;

use dollop_engine::operate::{Ability, Client, Command};

use crate::args::PsqlArgs;
use crate::attach;
use crate::error::{CommandError, FAILED};
use crate::live::Live;
use crate::session::block_on;

/// The program.
const PROGRAM: &str = "psql";
/// The server as its own container sees it.
const HERE: &str = "127.0.0.1";

/// Opens it in the server's container, where the right version is, or else on this machine.
/// The password is in its environment, never among its arguments.
pub fn run(args: &PsqlArgs) -> Result<u8, CommandError> {
    let live = Live::open(&args.place)?;
    let none = CommandError::failed("nothing in this stack speaks SQL")
        .hint("`postgres::server` declares a connection to a server");
    let what = args.what.as_ref();
    let target = live.only(what, &args.place, Ability::Client, ("psql", none))?;
    let under = if args.local { None } else { live.host(target.record)? };
    let under = under.and_then(|(container, port)| Some((container, port?)));
    let at = under.as_ref().map(|(_, port)| (HERE, *port));
    let spec = match &under {
        // Its way from this machine does not matter, and may be closed.
        Some(_) => target.record.spec.clone(),
        None => block_on(async {
            let spec = live.connection(&target.record.address).await;
            spec.map_err(|error| live.explain(&error))
        })?,
    };
    let Some(client) = target.operations.client(&spec, at) else {
        let address = &target.record.address;
        return Err(CommandError::failed(format!("the arguments of `{address}` lead nowhere")));
    };
    let mut words = vec![client.program.clone()];
    words.extend(client.arguments.iter().cloned());
    if let Some(database) = &args.database {
        words.extend(["-d".to_owned(), database.clone()]);
    }
    words.extend(args.arguments.iter().cloned());
    match under {
        Some((container, _)) => {
            let command = Command { words, env: client.env, ..Command::default() };
            attach::run(&live, &container, command, args.how)
        }
        None => here(&client, &words),
    }
}

/// The program of this machine.
fn here(client: &Client, words: &[String]) -> Result<u8, CommandError> {
    let mut process = Process::new(&client.program);
    process.args(words.iter().skip(1)).envs(client.env.iter().map(|(key, value)| (key, value)));
    let ended = process.status().map_err(|error| {
        CommandError::failed(format!("`{PROGRAM}` does not start: {error}"))
            .hint("install the PostgreSQL client, `apt install postgresql-client` say")
    })?;
    Ok(ended.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(FAILED))
}
