//! `dollop impact`: what making a resource anew would disturb.

use dollop_engine::analysis::{impact, uses};
use serde_json::json;

use crate::args::{RelationArgs, TreeFormat};
use crate::commands::{load, undeclared};
use crate::error::{CommandError, DONE};
use crate::render::{json as text, relations};
use crate::terminal;

/// Shows the tree of what depends on it, with what happens to each.
pub fn run(args: &RelationArgs) -> Result<u8, CommandError> {
    let (session, graph) = load(&args.stack)?;
    let tree = uses(&graph, &args.address).ok_or_else(|| undeclared(&graph, &args.address))?;
    let impacts = impact(&graph, session.registry(), &args.address);
    terminal::print(&match args.format {
        TreeFormat::Text => {
            let tree = relations::tree(&tree, Some(&impacts));
            format!("{tree}\n{}", relations::impact_summary(&args.address, &impacts))
        }
        TreeFormat::Json => {
            let tree = relations::tree_json(&tree, Some(&impacts));
            text::text(&relations::document(json!({ "resource": tree })))
        }
    })?;
    Ok(DONE)
}
