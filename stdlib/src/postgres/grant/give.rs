//! Privileges brought to what they shall be, for many grants at once.
//!
//! Grants are many and small: most of what one costs is to ask for the privileges before and
//! after. Those that come at the same time are one transaction with one question on either
//! side of it. Where that fails, each is a transaction of its own, and has an error of its own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use dollop_engine::error::{CallError, Failure};
use dollop_engine::resource::Concurrency;
use tokio::sync::Semaphore;

use super::acl::{Owned, Snapshot};
use super::{Spec, task};
use crate::postgres::error::Task;
use crate::postgres::server::{Lane, Server};
use crate::postgres::together::Together;

/// What a role shall be able to do.
#[derive(Clone)]
pub(super) struct Wish {
    spec: Spec,
    /// What becomes of what it owns.
    owned: Owned,
    /// On what it shall not be able to do anything any more, but for what it owns.
    left: Vec<Spec>,
    /// Whether it is only to take away, where all that is spoken of is there still.
    revokes: bool,
}

/// The wishes of each database.
pub(in crate::postgres) struct Wishes {
    shared: Mutex<HashMap<String, Arc<Shared>>>,
    /// How many databases are spoken to at once: what joins counts as one call.
    at_once: Semaphore,
}

/// To grant something twice is the same as once, so whoever grants for others may be stopped.
type Shared = Together<Wish, Vec<Result<(), CallError>>>;

impl Wishes {
    /// As many at once as the connection takes.
    pub(in crate::postgres) fn new(concurrency: Concurrency) -> Self {
        let most = concurrency.permits().min(Semaphore::MAX_PERMITS);
        Self { shared: Mutex::default(), at_once: Semaphore::new(most) }
    }

    /// Grants and revokes in one transaction, perhaps with others, until a role has exactly
    /// these privileges.
    pub(super) async fn fulfil(&self, server: &Server, wish: Wish) -> Result<(), CallError> {
        let database = wish.spec.database.clone();
        let shared = {
            let mut known = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
            known.entry(database.clone()).or_default().clone()
        };
        let all = |wishes: Vec<Wish>| async move {
            // It is never closed.
            let _permit = self.at_once.acquire().await.ok();
            all(server, &database, &wishes).await
        };
        let (done, place) = shared.ask(wish, all).await?;
        done[place].clone()
    }
}

/// What became of each wish.
///
/// # Errors
/// The privileges could not be read, or the server is gone: nobody need ask again.
async fn all(
    server: &Server,
    database: &str,
    wishes: &[Wish],
) -> Result<Vec<Result<(), CallError>>, CallError> {
    // What is revoked on a table is revoked on its columns, too: these come after it.
    let mut order: Vec<usize> = (0..wishes.len()).collect();
    order.sort_by_key(|place| !wishes[*place].spec.columns.is_empty());
    let mut known = None;
    if wishes.len() > 1 {
        let in_order = order.iter().map(|place| &wishes[*place]);
        match together(server, database, wishes, in_order).await {
            Ok(after) => known = Some(after),
            Err(error) if error.failure == Failure::Unreachable => return Err(error),
            // Who cannot have what they want is found out below.
            Err(_) => {}
        }
    }
    let mut outcomes = vec![Ok(()); wishes.len()];
    for place in order {
        let wish = &wishes[place];
        let before = match known.take() {
            Some(known) => known,
            None => snapshot(server, database, wishes).await?,
        };
        outcomes[place] = match wish.statements(server, &before) {
            Ok(statements) if !statements.is_empty() => {
                let done = alone(server, database, wish, (before, statements)).await;
                if let Err(error) = &done
                    && error.failure == Failure::Unreachable
                {
                    return Err(error.clone());
                }
                done
            }
            nothing_to_do => {
                known = Some(before);
                nothing_to_do.map(drop)
            }
        };
    }
    Ok(outcomes)
}

/// All that can be had at once, in one transaction; gives the privileges after it.
async fn together(
    server: &Server,
    database: &str,
    wishes: &[Wish],
    in_order: impl Iterator<Item = &Wish>,
) -> Result<Snapshot, CallError> {
    let before = snapshot(server, database, wishes).await?;
    let statements: Vec<String> =
        in_order.filter_map(|wish| wish.statements(server, &before).ok()).flatten().collect();
    if statements.is_empty() {
        return Ok(before);
    }
    let task = Task::new(format!("grant privileges in database `{database}`"));
    server.write_at_once(database, &statements, &task).await?;
    snapshot(server, database, wishes).await
}

/// How often what comes to be meanwhile is granted as well. What comes later is not covered.
const ROUNDS: usize = 3;

/// One of them, in a transaction of its own.
async fn alone(
    server: &Server,
    database: &str,
    wish: &Wish,
    (mut before, mut statements): (Snapshot, Vec<String>),
) -> Result<(), CallError> {
    if wish.revokes {
        return server.remove(database, &statements, &wish.task()).await;
    }
    for _ in 0..ROUNDS {
        server.write(database, Lane::Short, &statements, &wish.task()).await?;
        // PostgreSQL only warns when a part was not granted, and says nothing when a privilege
        // that somebody else granted stays.
        let after = snapshot(server, database, std::slice::from_ref(wish)).await?;
        statements = wish.left_over(&after);
        if statements.is_empty() {
            return Ok(());
        }
        if !wish.left_over(&after.only_of(&before)).is_empty() {
            return Err(wish.unfulfilled(server, &after).await);
        }
        before = after;
    }
    Ok(())
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

/// Whether dollop works as somebody who may do everything; where that cannot be asked, not.
async fn is_superuser(server: &Server, database: &str) -> bool {
    let question = "select rolsuper superuser from pg_roles where rolname = current_user";
    let task = Task::new("ask who dollop works as");
    let asked: Result<Vec<Role>, CallError> = server.rows(database, question, &[], &task).await;
    asked.is_ok_and(|roles| roles.iter().any(|role| role.superuser))
}

#[derive(serde::Deserialize)]
struct Role {
    superuser: bool,
}

impl Wish {
    /// These privileges and no others, and none on what is `left`.
    pub(super) fn grant(spec: Spec, owned: Owned, left: Vec<Spec>) -> Self {
        Self { spec, owned, left, revokes: false }
    }

    /// None of the privileges; what owners have without anybody saying so an owner has again.
    pub(super) fn revoke(spec: Spec) -> Self {
        let spec = Spec { privileges: Vec::new(), ..spec };
        Self { spec, owned: Owned::Whole, left: Vec::new(), revokes: true }
    }

    fn task(&self) -> Task {
        task(if self.revokes { "revoke" } else { "grant" }, &self.spec)
    }

    /// What makes it true.
    pub(super) fn statements(
        &self,
        server: &Server,
        before: &Snapshot,
    ) -> Result<Vec<String>, CallError> {
        if !self.revokes {
            before.expect_target(server, &self.spec)?;
        }
        Ok(before.statements(&self.spec, self.owned, &self.left))
    }

    /// What is still to be done.
    fn left_over(&self, after: &Snapshot) -> Vec<String> {
        after.statements(&self.spec, self.owned, &self.left)
    }

    /// Why it does not hold although nothing failed.
    async fn unfulfilled(&self, server: &Server, after: &Snapshot) -> CallError {
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
            let hint = if is_superuser(server, database).await {
                "somebody changes them at the same time: apply again"
            } else {
                "work as the owner of the objects, or as a superuser"
            };
            return said.hint(hint);
        }
        let hint = "who granted a privilege takes it back; or take the grant option away from \
                    them, with `CASCADE`";
        foreign.into_iter().fold(said, CallError::note).hint(hint)
    }
}
