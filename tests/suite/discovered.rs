//! What a stack discovers, as `dollop discover` does it.

use std::collections::BTreeMap;

use dollop_engine::diagnostic::Findings;
use dollop_engine::graph;
use dollop_engine::import::discover;
use dollop_engine::pool::Pool;
use dollop_engine::script::{Answers, Discovered, Request, answers_file, evaluate};
use dollop_engine::store::{MemoryStore, Store as _};

use super::run::CaseFiles;

/// Asks one question after the other, and leaves the answers among the files.
pub(super) async fn discovered(
    request: &Request<'_>,
    files: &BTreeMap<String, String>,
    store: &MemoryStore,
    pool: &Pool,
) -> Result<String, Findings> {
    let state = store.state().unwrap();
    let (mut answers, mut supposed) = (Answers::new(), Answers::new());
    loop {
        let mut files = files.clone();
        let text = |answers| serde_json::to_string(answers).unwrap();
        files.insert(answers_file(request.environment), text(&supposed));
        let files = CaseFiles(&files);
        let asking = Request { files: &files, discovering: true, ..*request };
        let graph = evaluate(&asking).and_then(graph::build)?;
        let discoveries = &graph.program().discoveries;
        let Some(open) = discoveries.iter().find(|known| known.known.is_none()) else {
            return Ok(text(&answers));
        };
        let of = open.question.to_string();
        match discover(&graph, &state, pool, open).await? {
            Some(names) => {
                let found = Discovered { of, names };
                answers.insert(open.name.clone(), found.clone());
                supposed.insert(open.name.clone(), found);
            }
            None => {
                let names = open.names().to_vec();
                supposed.insert(open.name.clone(), Discovered { of, names });
            }
        }
    }
}
