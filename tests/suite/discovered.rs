//! What a stack discovers, as `dollop discover` does it.

use std::cell::RefCell;
use std::collections::BTreeMap;

use dollop_engine::diagnostic::Findings;
use dollop_engine::graph;
use dollop_engine::import::{Kept, discover};
use dollop_engine::pool::Pool;
use dollop_engine::program::Discovery;
use dollop_engine::script::{Answers, Request, answers_file, evaluate, read_answers};
use dollop_engine::store::{MemoryStore, Store as _};

use super::run::CaseFiles;

/// The answers as they stand in their file afterwards, and a line for each question that was
/// not put.
pub(super) async fn discovered(
    request: &Request<'_>,
    files: &BTreeMap<String, String>,
    store: &MemoryStore,
    pool: &Pool,
) -> Result<(String, String), Findings> {
    let state = store.state().unwrap();
    let file = answers_file(request.environment);
    let before = files.get(&file).map(|text| read_answers(text).unwrap()).unwrap_or_default();
    let text = |answers: &Answers| serde_json::to_string(answers).unwrap();
    let declared = |answers: &Answers| {
        let mut files = files.clone();
        files.insert(file.clone(), text(answers));
        let files = CaseFiles(&files);
        evaluate(&Request { files: &files, discovering: true, ..*request })
            .and_then(graph::build)
    };
    let said = RefCell::new(String::new());
    let kept = |discovery: &Discovery, kept: Kept| {
        *said.borrow_mut() += &format!("kept {}: {kept:?}\n", discovery.name);
    };
    let found = discover(declared, &before, &state, pool, kept).await?;
    Ok((text(&found.answers), said.into_inner()))
}
