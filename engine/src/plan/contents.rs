//! What was on this machine when a plan was made, beside what the scripts read: folders that
//! images are built from, configuration that containers mount.

use std::collections::BTreeMap;

use futures::future::join_all;

use crate::address::Address;
use crate::expr::Expr;
use crate::plan::{Action, Change, Plan};
use crate::pool::Pool;

/// Digests by the path as declared.
pub type Contents = BTreeMap<String, String>;

/// Completes a plan with the digests of what is to be made or changed. What is not known yet,
/// or cannot be read, has none.
pub async fn pin(plan: &mut Plan, pool: &Pool) {
    let reads = |change: &&Change| {
        let made = matches!(change.action, Action::Create | Action::Update | Action::Replace);
        let kind = pool.registry().kind(change.address.kind());
        made && kind.is_some_and(|kind| kind.calls.reads_files())
    };
    let read = plan.changes.iter().filter(reads).map(|change| contents(change, pool));
    plan.contents = join_all(read).await.into_iter().flatten().collect();
}

/// The paths whose content is another one than when the plan was made, with what needs them.
pub async fn edited(plan: &Plan, pool: &Pool) -> Vec<(Address, String)> {
    let pinned =
        plan.changes.iter().filter(|change| plan.contents.contains_key(&change.address));
    let read = pinned.map(|change| contents(change, pool));
    let now: BTreeMap<_, _> = join_all(read).await.into_iter().flatten().collect();
    let pinned = plan.contents.iter().flat_map(|(address, contents)| {
        contents.iter().map(move |(path, digest)| (address, path, digest))
    });
    let edited = pinned.filter(|(address, path, digest)| {
        now.get(*address).and_then(|contents| contents.get(*path)) != Some(*digest)
    });
    edited.map(|(address, path, _)| (address.clone(), path.clone())).collect()
}

async fn contents(change: &Change, pool: &Pool) -> Option<(Address, Contents)> {
    let kind = pool.registry().kind(change.address.kind())?;
    let spec = change.after.as_ref().and_then(Expr::known)?;
    let found = kind.calls.sources(pool.scope(), spec).await.ok()?;
    (!found.is_empty()).then(|| (change.address.clone(), found))
}
