//! What a stack discovers, as `dollop discover` does it.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use dollop_engine::diagnostic::Findings;
use dollop_engine::graph;
use dollop_engine::import::{Kept, Looking, discover};
use dollop_engine::pool::Pool;
use dollop_engine::program::Discovery;
use dollop_engine::script::{
    Answers, Discoverer, Request, answers_file, evaluate, read_answers,
};
use dollop_engine::store::{MemoryStore, Store as _};
use dollop_tests::fake::world;
use tokio::runtime::Runtime;

use super::run::CaseFiles;

/// The answers as they stand in their file afterwards, and a line for each question that was
/// not put, and where it took more than one run of the script or one look at the world.
pub(super) fn discovered(
    request: &Request<'_>,
    files: &BTreeMap<String, String>,
    store: &MemoryStore,
    pool: &Pool,
    runtime: &Runtime,
) -> Result<(String, String), Findings> {
    let state = store.state().unwrap();
    let file = answers_file(request.environment);
    let before = files.get(&file).map(|text| read_answers(text).unwrap()).unwrap_or_default();
    let text = |answers: &Answers| serde_json::to_string(answers).unwrap();
    let runs = Cell::new(0);
    let declared = |discoverer: &dyn Discoverer| {
        runs.set(runs.get() + 1);
        let files = CaseFiles(files);
        evaluate(&Request { files: &files, discoverer: Some(discoverer), ..*request })
            .and_then(graph::build)
    };
    let said = RefCell::new(String::new());
    let kept = |discovery: &Discovery, kept: Kept| {
        *said.borrow_mut() += &format!("kept {}: {kept:?}\n", discovery.name);
    };
    let wait = |looking: Looking<'_>| runtime.block_on(looking);
    let world = world(request.stack);
    world.lock().unwrap().calls.clear();
    let found = discover(declared, &before, &state, pool, &wait, &kept)?;
    let mut said = said.into_inner();
    let is_look = |call: &&String| call.starts_with("read ") && call.ends_with(" fake::unit");
    let looks = world.lock().unwrap().calls.iter().filter(is_look).count();
    for (many, what) in [(runs.get(), "runs"), (looks, "looks")] {
        if many > 1 {
            said += &format!("{many} {what}\n");
        }
    }
    Ok((text(&found.answers), said))
}
