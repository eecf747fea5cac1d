//! What an import writes, and what becomes of it.

use std::fmt::Write as _;

use dollop_engine::address::Address;
use dollop_engine::diagnostic::Findings;
use dollop_engine::graph;
use dollop_engine::import::{Form, adopt, only, survey, write};
use dollop_engine::pool::Pool;
use dollop_engine::program::{Given, GivenValue};
use dollop_engine::script::{Request, evaluate};
use dollop_engine::store::{MemoryStore, Store as _};

use super::run::CaseFiles;

/// Imports what lives behind a connection, or one object of it: the script that is written,
/// and what the next plan says once it stands below the case's own.
pub(super) async fn imported(
    request: &Request<'_>,
    files: &CaseFiles<'_>,
    store: &MemoryStore,
    pool: &Pool,
    address: &Address,
) -> Result<String, Findings> {
    let graph = evaluate(request).and_then(graph::build)?;
    let state = store.state().unwrap();
    let connection = dollop_engine::import::connection(&graph, request.registry, address);
    let connection = connection.expect("a connection");
    let mut found = survey(&graph, &state, pool, &connection).await?;
    if connection != *address {
        found = match only(&graph, pool, found, address) {
            Ok(found) => found,
            Err(known) => return Ok(format!("no such object among {known:?}")),
        };
    }
    let handle = graph.program().handles.get(&connection).map(String::as_str);
    let written = write(&graph, pool, &found, Form::Statements(handle));
    let mut text = written.text.clone();
    // The stack as it will be.
    let mut all = files.0.clone();
    let script = all.get_mut(request.entry).expect("a script");
    script.push_str(&written.text);
    let mut parameters = request.parameters.clone();
    for (name, value) in &written.secrets {
        let given = Given::new(GivenValue::Typed(value.clone()), "flag `--param`");
        parameters.insert(name.clone(), given);
    }
    let extended = Request { files: &CaseFiles(&all), parameters: &parameters, ..*request };
    let graph = evaluate(&extended).and_then(graph::build)?;
    let through = |declared: &dollop_engine::program::Declaration| {
        declared.connection.as_ref() == Some(&connection)
    };
    let adoption = adopt(&graph, &state, pool, through).await?;
    assert!(written.addresses.iter().all(|address| adoption.adopted.contains(address)));
    let changes = adoption.plan?.changes.len();
    writeln!(text, "=> {} taken over, {changes} to change", adoption.adopted.len()).unwrap();
    Ok(text)
}
