//! `dollop env`: the environments of a stack.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use dollop_state::read_state;

use crate::args::{EnvCommand, PlaceArgs};
use crate::commands::note;
use crate::error::{CommandError, DONE};
use crate::parameters::{ENDINGS, of_environment};
use crate::project::{Environment, Project};
use crate::render::style::{BOLD, DIM, paint};
use crate::render::text::{count, pad, width};
use crate::session::{ENVIRONMENTS, state_folder_of, state_folder_of_default};
use crate::terminal;

/// Lists them; `*` marks the one that is chosen.
pub fn run(command: &EnvCommand) -> Result<u8, CommandError> {
    let EnvCommand::List(place) = command;
    list(place)
}

fn list(place: &PlaceArgs) -> Result<u8, CommandError> {
    let project = place.project()?;
    let mut rows = Vec::new();
    for environment in environments_of(&project)? {
        let state = read_state(&state_folder_of(&project, &environment))?;
        state.notes.iter().for_each(|text| note(text));
        let state = state.state;
        let resources = state.records.values().filter(|r| r.connection.is_some()).count();
        let what = match state.serial {
            0 => "never applied".to_owned(),
            serial => format!("{}, state {serial}", count(resources, "resource")),
        };
        let file = of_environment(&project.folder, environment.name())?.unwrap_or_default();
        rows.push((environment, what, file));
    }
    let names = rows.iter().map(|row| width(row.0.name())).max().unwrap_or(0);
    let whats = rows.iter().map(|row| width(&row.1)).max().unwrap_or(0);
    let mut out = String::new();
    for (environment, what, file) in rows {
        let mark = if environment == project.environment { "*" } else { " " };
        let name = paint(BOLD, pad(environment.name(), names));
        let _ = if file.is_empty() {
            writeln!(out, "{mark} {name}  {what}")
        } else {
            writeln!(out, "{mark} {name}  {}  {}", pad(&what, whats), paint(DIM, file))
        };
    }
    terminal::print(&out)?;
    Ok(DONE)
}

/// Those with a state, those with a parameter file, the default one and the chosen one.
pub fn environments_of(project: &Project) -> Result<BTreeSet<Environment>, CommandError> {
    let mut found = BTreeSet::from([Environment::default(), project.environment.clone()]);
    let mut add = |name: Option<&str>| found.extend(name.and_then(|name| name.parse().ok()));
    for name in names(&state_folder_of_default(project).join(ENVIRONMENTS))? {
        add(Some(&name));
    }
    for name in names(&project.folder)? {
        let stems = ENDINGS.map(|ending| format!(".params.{ending}"));
        add(stems.iter().find_map(|stem| name.strip_suffix(stem.as_str())));
    }
    Ok(found)
}

/// The names in a folder that may not be there.
fn names(folder: &std::path::Path) -> Result<Vec<String>, CommandError> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => {
            let message = format!("cannot list `{}`: {error}", folder.display());
            return Err(CommandError::failed(message));
        }
    };
    Ok(entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect())
}
