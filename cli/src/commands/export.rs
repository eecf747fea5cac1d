//! `dollop export`: everything in a server, in a form of its own.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::Path;

use dollop_engine::address::Address;
use dollop_engine::graph::Graph;
use dollop_engine::import;
use dollop_engine::kind::Registry;
use dollop_state::read_state;

use crate::args::ExportArgs;
use crate::commands::note;
use crate::error::{CommandError, DONE};
use crate::session::{Session, block_on};
use crate::terminal;

/// Asks the server and hands out what it says.
pub fn run(args: &ExportArgs) -> Result<u8, CommandError> {
    let session = Session::new(args.stack.project()?);
    session.project.files.look_up_secrets(true);
    let graph = session.graph(&args.stack)?;
    let server = server(&graph, session.registry(), args)?;
    let snapshot = read_state(&session.state_folder())?;
    snapshot.notes.iter().for_each(|text| note(text));
    let text = block_on(async {
        Ok(import::export(&graph, &snapshot.state, &session.pool, &server).await?)
    })?;
    match &args.out {
        None => terminal::print(&format!("{text}\n"))?,
        Some(file) => {
            write_secret(file, &format!("{text}\n"))?;
            terminal::say(&format!("wrote {}\n", file.display()));
        }
    }
    Ok(DONE)
}

/// The server that is meant.
fn server(
    graph: &Graph,
    registry: &Registry,
    args: &ExportArgs,
) -> Result<Address, CommandError> {
    let form = args.form.as_str();
    let forms: Vec<&str> =
        registry.connections().filter_map(|kind| kind.dial.exports()).collect();
    let kind = registry.connections().find(|kind| kind.dial.exports() == Some(form));
    let Some(kind) = kind else {
        return Err(CommandError::failed(format!("nothing is exported as `{form}`"))
            .hint(format!("there is: {}", forms.join(", "))));
    };
    let servers = graph.in_order().map(|declaration| &declaration.address);
    let servers: Vec<&Address> =
        servers.filter(|address| address.kind() == kind.name).collect();
    let names = || {
        let names: Vec<_> = servers.iter().map(|address| format!("`{address}`")).collect();
        names.join(", ")
    };
    match (&args.server, servers.as_slice()) {
        (Some(wanted), _) if servers.contains(&wanted) => Ok(wanted.clone()),
        (None, [one]) => Ok((*one).clone()),
        (_, []) => Err(CommandError::failed(format!("the stack declares no `{}`", kind.name))
            .hint("declare the server whose content is wanted")),
        (Some(wanted), _) => {
            let message = format!("`{wanted}` is no `{}` of the stack", kind.name);
            Err(CommandError::failed(message).hint(format!("it declares {}", names())))
        }
        (None, _) => {
            let message = format!("the stack declares several: {}", names());
            Err(CommandError::failed(message).hint("name one with `--server ADDRESS`"))
        }
    }
}

/// Writes a new file for nobody else's eyes.
fn write_secret(file: &Path, text: &str) -> Result<(), CommandError> {
    let shown = file.display();
    let failed = |error: std::io::Error| match error.kind() {
        ErrorKind::AlreadyExists => CommandError::failed(format!("`{shown}` is there already")),
        _ => CommandError::failed(format!("cannot write `{shown}`: {error}")),
    };
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut out = options.open(file).map_err(failed)?;
    out.write_all(text.as_bytes()).map_err(failed)
}
