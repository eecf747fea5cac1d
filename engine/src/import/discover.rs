//! `dollop discover`: the names of what exists, for a script that loops over them.

use super::{look, open, refused};
use crate::diagnostic::{Code, Diagnostic, Findings};
use crate::graph::Graph;
use crate::plan::Standing;
use crate::pool::Pool;
use crate::program::Discovery;
use crate::store::State;
use crate::value::Value;

/// The names a discovery asks for, in order; `None` where the server is yet to be made or
/// changed. The service's own objects are left out; the stack's are not.
///
/// # Errors
/// The connection does not answer, or the list cannot be had.
pub async fn discover(
    graph: &Graph,
    state: &State,
    pool: &Pool,
    discovery: &Discovery,
) -> Result<Option<Vec<String>>, Findings> {
    let question = &discovery.question;
    let world = look(graph, state, pool).await;
    let index = world.decisions.connection_index.get(&question.connection);
    let standing = index.map(|index| &world.decisions.connections[*index].standing);
    if matches!(standing, Some(Standing::Deferred(_))) {
        return Ok(None);
    }
    let through = world.connection(&question.connection)?;
    let line = open(graph, pool, &through).await?;
    let Some(kind) = pool.registry().kind(&question.kind) else {
        let message = format!("this dollop knows no kind `{}`", question.kind);
        return Err(refused(graph, Diagnostic::new(Code::KindGone, message)));
    };
    let listed = kind.calls.list(&line.connection).await.map_err(|error| {
        let message = format!("cannot list what there is: {question}");
        let mut found = Diagnostic::new(Code::Unreadable, message)
            .at(discovery.span.clone())
            .note(error.message);
        found.hints.extend(error.hints);
        refused(graph, found)
    })?;
    let is_inside = |spec: &Value| {
        question
            .inside
            .iter()
            .all(|(attribute, name)| spec.get(attribute).and_then(Value::as_str) == Some(name))
    };
    let objects = listed.objects.iter().filter(|listed| !listed.built_in);
    let specs = objects.map(|listed| &listed.found.spec).filter(|spec| is_inside(spec));
    let names = specs.filter_map(|spec| spec.get("name").and_then(Value::as_str));
    let mut names: Vec<String> = names.map(str::to_owned).collect();
    names.sort();
    names.dedup();
    Ok(Some(names))
}
