//! Privileges brought to what they shall be, for many grants at once.
//!
//! Grants are many and small: most of what one costs is to ask for the privileges before and
//! after. Those that come at the same time are one transaction with one question on either
//! side of it. Where that fails, each is a transaction of its own, and has an error of its own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use dollop_engine::error::{CallError, Failure};

use super::acl::Snapshot;
use super::{Spec, task};
use crate::postgres::error::Task;
use crate::postgres::server::{Lane, Server};
use crate::postgres::together::Together;

/// What a role shall be able to do.
#[derive(Clone)]
pub(super) struct Wish {
    spec: Spec,
    /// On what it shall not be able to do anything any more.
    left: Vec<Spec>,
    /// Whether it is only to take away, where all that is spoken of is there still.
    revokes: bool,
}

/// The wishes of each database.
#[derive(Default)]
pub(in crate::postgres) struct Wishes(Mutex<HashMap<String, Arc<Shared>>>);

/// To grant something twice is the same as once, so whoever grants for others may be stopped.
type Shared = Together<Wish, Vec<Result<(), CallError>>>;

impl Wishes {
    /// Grants and revokes in one transaction, perhaps with others, until a role has exactly
    /// these privileges.
    pub(super) async fn fulfil(&self, server: &Server, wish: Wish) -> Result<(), CallError> {
        let database = wish.spec.database.clone();
        let shared = {
            let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            known.entry(database.clone()).or_default().clone()
        };
        let all = |wishes: Vec<Wish>| async move { all(server, &database, &wishes).await };
        let (done, place) = shared.ask(wish, all).await?;
        done[place].clone()
    }
}

async fn all(
    server: &Server,
    database: &str,
    wishes: &[Wish],
) -> Result<Vec<Result<(), CallError>>, CallError> {
    let before = snapshot(server, database, wishes).await?;
    let statements: Vec<Result<Vec<String>, CallError>> =
        wishes.iter().map(|wish| wish.statements(server, &before)).collect();
    let together: Vec<String> = statements.iter().flatten().flatten().cloned().collect();
    let task = match wishes {
        [one] => one.task(),
        _ => Task::new(format!("grant privileges in database `{database}`")),
    };
    let written = server.write(database, Lane::Short, &together, &task).await;
    if let (Err(error), [_]) = (&written, wishes) {
        return Ok(vec![Err(error.clone())]);
    }
    // PostgreSQL only warns when a part was not granted, and says nothing when a privilege that
    // somebody else granted stays.
    let after = match written {
        Ok(()) if together.is_empty() => Some(before),
        Ok(()) => Some(snapshot(server, database, wishes).await?),
        Err(_) => None,
    };
    let mut outcomes = Vec::with_capacity(wishes.len());
    for (wish, statements) in wishes.iter().zip(statements) {
        let holds = |after: &Snapshot| {
            wish.revokes || after.statements(&wish.spec, &wish.left).is_empty()
        };
        outcomes.push(match (statements, &after) {
            (Err(error), _) => Err(error),
            (Ok(_), Some(after)) if holds(after) => Ok(()),
            (Ok(_), Some(after)) if wishes.len() == 1 => Err(wish.unfulfilled(server, after)),
            // What one revokes may be in what another has, as with a table and its columns.
            (Ok(_), _) => {
                let alone = Box::pin(all(server, database, std::slice::from_ref(wish))).await;
                alone.and_then(|done| done.into_iter().collect())
            }
        });
    }
    Ok(outcomes)
}

async fn snapshot(
    server: &Server,
    database: &str,
    wishes: &[Wish],
) -> Result<Snapshot, CallError> {
    let specs: Vec<&Spec> =
        wishes.iter().flat_map(|wish| std::iter::once(&wish.spec).chain(&wish.left)).collect();
    Snapshot::take(server, database, &specs).await
}

impl Wish {
    /// These privileges and no others, and none on what is `left`.
    pub(super) fn grant(spec: Spec, left: Vec<Spec>) -> Self {
        Self { spec, left, revokes: false }
    }

    /// None of the privileges.
    pub(super) fn revoke(spec: Spec) -> Self {
        let spec = Spec { privileges: Vec::new(), ..spec };
        Self { spec, left: Vec::new(), revokes: true }
    }

    fn task(&self) -> Task {
        task(if self.revokes { "revoke" } else { "grant" }, &self.spec)
    }

    fn statements(&self, server: &Server, before: &Snapshot) -> Result<Vec<String>, CallError> {
        if !self.revokes {
            before.expect_target(server, &self.spec)?;
        }
        Ok(before.statements(&self.spec, &self.left))
    }

    /// Why it does not hold although nothing failed.
    fn unfulfilled(&self, server: &Server, after: &Snapshot) -> CallError {
        let Spec { role, database, on, .. } = &self.spec;
        let said = CallError::new(
            Failure::Denied,
            format!(
                "`{}` could not set all privileges of `{role}` on {} in database `{database}` \
                 at {}",
                server.user(),
                on.word(),
                server.address()
            ),
        );
        let foreign = after.granted_by_others(&self.spec, &self.left);
        if foreign.is_empty() {
            return said.hint("work as the owner of the objects, or as a superuser");
        }
        let hint = "who granted a privilege takes it back; or take the grant option away from \
                    them, with `CASCADE`";
        foreign.into_iter().fold(said, CallError::note).hint(hint)
    }
}
