//! Sending what makes or changes an object.

use dollop_engine::error::CallError;

use super::super::asking;
use super::super::error::Task;
use super::super::server::{Lane, Server};
use super::{At, Object};

/// The statements of an object, after what lets the session find the types in them.
pub(super) fn in_front<O: Object>(
    at: &At,
    spec: &O::Spec,
    statements: Vec<String>,
) -> Vec<String> {
    let find = asking::find_types(&O::types(&at.key, spec)).filter(|_| !statements.is_empty());
    find.into_iter().chain(statements).collect()
}

/// Sends the statements of an object, in one transaction where they can stand in one.
pub(super) async fn send<O: Object>(
    server: &Server,
    at: &At,
    statements: Vec<String>,
    spec: &O::Spec,
    task: &Task,
) -> Result<(), CallError> {
    let database = at.database.as_str();
    if !O::stands_alone(spec) {
        let statements = in_front::<O>(at, spec, statements);
        return server.write(database, Lane::Short, &statements, task).await;
    }
    for (at, statement) in statements.iter().enumerate() {
        let Err(error) = run_alone(server, database, statement, task).await else { continue };
        let Some((mend, outcome)) = O::mend(&statements, at) else { return Err(error) };
        return Err(match run_alone(server, database, mend, task).await {
            Ok(()) => error.note(format!("{outcome} again, as before")),
            Err(other) => error.note(format!(
                "`{mend}` is still to be run before {outcome} again: {}",
                other.message
            )),
        });
    }
    Ok(())
}

async fn run_alone(
    server: &Server,
    database: &str,
    statement: &str,
    task: &Task,
) -> Result<(), CallError> {
    server.write(database, Lane::Long, &[statement.to_owned()], task).await
}
