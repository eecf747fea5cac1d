//! `dollop graph`: who needs whom, as a picture.

use std::collections::BTreeSet;

use dollop_engine::address::Address;
use dollop_engine::graph::Graph;
use dollop_engine::plan::{Action, Options};
use dollop_state::read_state;

use crate::args::{Direction, GraphArgs, GraphFormat};
use crate::commands::{load, note, undeclared};
use crate::error::{CommandError, DONE};
use crate::render::{graph, json as text};
use crate::session::{Session, block_on};
use crate::terminal;

/// Prints the graph, or a part of it.
pub fn run(args: &GraphArgs) -> Result<u8, CommandError> {
    let (session, found) = load(&args.stack)?;
    let part = match &args.of {
        Some(address) if found.get(address).is_none() => {
            return Err(undeclared(&found, address));
        }
        Some(address) => Some(around(&found, address, args.direction)),
        None if args.planned => Some(planned(args, &session, &found)?),
        None => None,
    };
    let shown = |address: &Address| part.as_ref().is_none_or(|part| part.contains(address));
    terminal::print(&match args.format {
        GraphFormat::Dot => graph::dot(&found, &shown),
        GraphFormat::Mermaid => graph::mermaid(&found, &shown),
        GraphFormat::Json => text::text(&graph::json(&found, &shown)),
    })?;
    Ok(DONE)
}

/// A resource with all it needs, directly or not, and all that needs it.
fn around(graph: &Graph, start: &Address, direction: Direction) -> BTreeSet<Address> {
    let mut found = BTreeSet::from([start.clone()]);
    if direction != Direction::NeededBy {
        reach(&mut found, start, &|address| {
            graph.needs(address).map(|other| &other.address).collect()
        });
    }
    if direction != Direction::Needs {
        reach(&mut found, start, &|address| {
            graph.needed_by(address).map(|other| &other.address).collect()
        });
    }
    found
}

fn reach<'a>(
    found: &mut BTreeSet<Address>,
    start: &'a Address,
    next: &dyn Fn(&Address) -> Vec<&'a Address>,
) {
    let mut seen = BTreeSet::from([start]);
    let mut queue = vec![start];
    while let Some(here) = queue.pop() {
        for address in next(here) {
            if seen.insert(address) {
                found.insert(address.clone());
                queue.push(address);
            }
        }
    }
}

/// What a plan would not leave as it is.
fn planned(
    args: &GraphArgs,
    session: &Session,
    graph: &Graph,
) -> Result<BTreeSet<Address>, CommandError> {
    session.project.files.look_up_secrets(true);
    let snapshot = read_state(&session.state_folder())?;
    snapshot.notes.iter().for_each(|text| note(text));
    let options = Options { unrefreshed: args.no_refresh, ..Options::default() };
    let plan = block_on(session.plan(graph, &snapshot.state, &options))?;
    let touched = plan.changes.into_iter().filter(|change| change.action != Action::Keep);
    Ok(touched.map(|change| change.address).collect())
}
