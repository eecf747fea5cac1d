//! `dollop why`: why a resource is there, and why the plan touches it.

use dollop_engine::analysis::uses;
use dollop_engine::plan::{Action, Change, Options};
use dollop_state::read_state;
use serde_json::{Value as Json, json};

use crate::args::{RelationArgs, TreeFormat};
use crate::commands::{load, note, undeclared};
use crate::error::{CommandError, DONE};
use crate::render::{json as text, relations};
use crate::session::block_on;
use crate::terminal;

/// Shows who needs it, then what the plan does with it and the way to the first cause.
pub fn run(args: &RelationArgs) -> Result<u8, CommandError> {
    let (session, graph) = load(&args.stack)?;
    let snapshot = read_state(&session.state_folder())?;
    snapshot.notes.iter().for_each(|text| note(text));
    let tree = uses(&graph, &args.address);
    if tree.is_none() && !snapshot.state.records.contains_key(&args.address) {
        return Err(undeclared(&graph, &args.address));
    }
    if args.format == TreeFormat::Text {
        terminal::print(&match &tree {
            Some(tree) => relations::tree(tree, None),
            None => format!("{} is not declared any more\n", args.address),
        })?;
    }
    // What the script says is known already when the world cannot be read.
    let options = Options { unrefreshed: args.no_refresh, ..Options::default() };
    let plan = block_on(session.plan(&graph, &snapshot.state, &options))?;
    let change = plan.change(&args.address).filter(|change| change.action != Action::Keep);
    terminal::print(&match args.format {
        TreeFormat::Text => match change {
            Some(change) => format!("\nIn the plan:\n{}", relations::cause(&plan, change)),
            None => "\nThe plan does not touch it.\n".to_owned(),
        },
        TreeFormat::Json => {
            let of_plan = |change: &Change| relations::cause_json(&plan, change);
            text::text(&relations::document(json!({
                "resource": tree.as_ref().map(|tree| relations::tree_json(tree, None)),
                "plan": change.map_or(Json::Null, of_plan),
            })))
        }
    })?;
    Ok(DONE)
}
