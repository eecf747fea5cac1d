//! Making a queue anew without losing messages.
//!
//! RabbitMQ can neither change nor rename a queue, so the messages move twice: to a queue of
//! another name, and back once the new one is there. Bindings move first, so that exchanges
//! always have somewhere to route to. Every part can be repeated: a run that was killed is
//! finished by the next one, from what is there.

use std::collections::BTreeSet;

use dollop_engine::error::CallError;
use dollop_engine::resource::{Beside, Migration, Problem};
use futures::{StreamExt, stream};
use serde::Deserialize;
use serde_json::Value as Json;
use sha2::{Digest, Sha256};

use super::binding::{self, End};
use super::bounds::Policies;
use super::definitions::Definitions;
use super::drained::{Content, Fit};
use super::held::{Row, fresh};
use super::item::{Item, LONGEST, Place, in_vhost};
use super::mover::{Mover, Way};
use super::node::{Plugin, missing_plugin};
use super::policy_rules::is_since_4;
use super::queue::{Queue, QueueType, Spec, look};
use super::server::Server;

/// The plugin that moves messages.
const SHOVEL: &str = "rabbitmq_shovel";
/// How many bindings are written at once.
const AT_ONCE: usize = 8;

/// Makes a queue as declared out of whatever is there, and keeps its messages and bindings.
pub(super) async fn replace(
    server: &Server,
    what: &str,
    name: &str,
    to: &Spec,
) -> Result<(), CallError> {
    let aside = aside(name);
    let mover = Mover { server, what, vhost: &to.vhost, name, aside: &aside };
    let mut there = look(server, what, name, to).await?;
    if let Some(from) = there.as_ref().filter(|there| !same(there, to)) {
        if !can(server).await? {
            return Err(missing_plugin(SHOVEL));
        }
        let shelf = shelf(server, to);
        expect_room(server, what, name, (from, &shelf, to)).await?;
        // Before anything is moved: what a killed run left may move it the other way.
        mover.clear().await?;
        if look(server, what, &aside, to).await?.is_none() {
            let body = Queue::body(&aside, &shelf);
            server.api.put(what, &Queue::path(&aside, to), &body).await?;
        }
        loop {
            rebind(server, &to.vhost, name, &aside).await?;
            mover.empty(Way::Out).await?;
            if remove_empty(server, what, &to.vhost, name).await? {
                break;
            }
        }
        there = None;
    }
    if there.is_none() {
        server.api.put(what, &Queue::path(name, to), &Queue::body(name, to)).await?;
    }
    finish(server, what, name, to).await
}

/// Moves back what is still in the other queue, if there is one.
pub(super) async fn finish(
    server: &Server,
    what: &str,
    name: &str,
    to: &Spec,
) -> Result<(), CallError> {
    let aside = aside(name);
    if look(server, what, &aside, to).await?.is_none() {
        return Ok(());
    }
    let mover = Mover { server, what, vhost: &to.vhost, name, aside: &aside };
    mover.clear().await?;
    loop {
        rebind(server, &to.vhost, &aside, name).await?;
        mover.empty(Way::Back).await?;
        if remove_empty(server, what, &to.vhost, &aside).await? {
            return Ok(());
        }
    }
}

/// Refuses what would lose messages or never end, by what is there since the plan: a policy that
/// is for the queue which holds them meanwhile, more of them than the new queue takes.
async fn expect_room(
    server: &Server,
    what: &str,
    name: &str,
    (from, shelf, to): (&Spec, &Spec, &Spec),
) -> Result<(), CallError> {
    let refuse = |problem: Problem| {
        let message = format!("cannot {what}: {}", problem.message);
        Err(CallError::refused(message).hint(problem.hint.unwrap_or_default()))
    };
    let policies = Policies::of(server, &Beside::default()).await?;
    let (place, beside) = (in_vhost(&to.vhost, name), in_vhost(&to.vhost, &aside(name)));
    let hindrance = policies.hindrance((&beside, shelf), (&place, from), (&place, to));
    if let Some(problem) = hindrance {
        return refuse(problem);
    }
    let row: Option<Row> = server.api.get_at(what, &["queues", &to.vhost, name]).await?;
    let Some(Row { messages, message_bytes, .. }) = row else { return Ok(()) };
    let new = policies.bounds((&place, to));
    match (Content { messages, bytes: message_bytes }).fits(None, &new) {
        Fit::Refused(problem) => refuse(problem),
        Fit::Whole | Fit::Loses(_) => Ok(()),
    }
}

/// Ends what a killed run left at work, of a queue that is about to go: it would make the queue
/// again, to move messages from it.
pub(super) async fn stop(
    server: &Server,
    what: &str,
    name: &str,
    of: &Spec,
) -> Result<(), CallError> {
    let aside = aside(name);
    Mover { server, what, vhost: &of.vhost, name, aside: &aside }.stop().await.map(drop)
}

/// Whether a change means draining.
pub(super) fn drains(from: &Spec, to: &Spec) -> bool {
    Queue::migrates(from, to) == Migration::Live && !same(from, to)
}

/// Whether the server can move messages.
pub(super) async fn can(server: &Server) -> Result<bool, CallError> {
    let plugins = Plugin::rows(server, &[]).await?;
    Ok(plugins.iter().any(|plugin| plugin == SHOVEL))
}

/// What names of queues that hold messages meanwhile have in them.
const ASIDE: &str = "dollop-drain";

/// The name of the queue that holds the messages meanwhile. It begins like the queue's own,
/// so that most policies are for both.
pub(super) fn aside(name: &str) -> String {
    let aside = format!("{name}.{ASIDE}");
    if aside.len() <= LONGEST {
        return aside;
    }
    format!("{ASIDE}.{}", hex::encode(Sha256::digest(name)))
}

/// The queues that are there since a drain was cut off.
pub(super) fn cut_off(definitions: &Definitions) -> Result<BTreeSet<Place>, CallError> {
    #[derive(Deserialize)]
    struct Row {
        vhost: String,
        name: String,
    }
    let rows: Vec<Row> = definitions.rows("queues")?;
    let rows = rows.into_iter().filter(|row| row.name.contains(ASIDE));
    Ok(rows.map(|row| in_vhost(&row.vhost, &row.name)).collect())
}

/// The place of the queue that holds the messages of one since a drain was cut off.
pub(super) fn left(server: &Server, vhost: &str, name: &str) -> Option<Place> {
    let place = in_vhost(vhost, &aside(name));
    server.was_cut_off(&place).then_some(place)
}

/// The queue that holds the messages meanwhile: one that drops nothing by itself.
pub(super) fn shelf(server: &Server, to: &Spec) -> Spec {
    let is_quorum = to.queue_type == QueueType::Quorum;
    Spec {
        // Otherwise there is a limit.
        delivery_limit: (is_quorum && is_since_4(&server.version)).then_some(-1),
        max_priority: to.max_priority,
        ..Spec::plain(&to.vhost, to.queue_type)
    }
}

/// Whether two queues differ only in what the server does not know.
fn same(one: &Spec, other: &Spec) -> bool {
    let form = |spec: &Spec| {
        let mut form = serde_json::to_value(spec).unwrap_or_default();
        form["migrate"] = Json::Null;
        form
    };
    form(one) == form(other)
}

/// Binds one queue like another, then unbinds that: at no time neither is bound.
async fn rebind(server: &Server, vhost: &str, from: &str, to: &str) -> Result<(), CallError> {
    let what = format!("list the bindings of queue `{from}` in vhost `{vhost}`");
    let path = ["queues", vhost, from, "bindings"];
    let rows: Option<Vec<binding::Row>> = server.api.get_at(&what, &path).await?;
    let bindings: Vec<binding::Spec> = rows
        .unwrap_or_default()
        .into_iter()
        .map(binding::Row::into_spec)
        .filter(|spec| !spec.source.is_empty() && spec.destination_type == End::Queue)
        .collect();
    let there = bindings.clone().into_iter().map(|spec| async move {
        let spec = binding::Spec { destination: to.to_owned(), ..spec };
        binding::bind(server, &spec).await
    });
    all(there).await?;
    let gone = bindings.into_iter().map(|spec| async move {
        let spec = spec;
        binding::unbind(server, &spec).await
    });
    all(gone).await
}

async fn all(
    work: impl Iterator<Item = impl Future<Output = Result<(), CallError>> + Send> + Send,
) -> Result<(), CallError> {
    let done: Vec<_> = stream::iter(work).buffer_unordered(AT_ONCE).collect().await;
    done.into_iter().collect()
}

/// Deletes a queue unless something came in meanwhile; whether it did.
async fn remove_empty(
    server: &Server,
    what: &str,
    vhost: &str,
    name: &str,
) -> Result<bool, CallError> {
    let Some(row) = fresh(server, vhost, name).await? else { return Ok(true) };
    if row.messages > 0 {
        return Ok(false);
    }
    let path = ["queues", vhost, name];
    if row.is_classic() {
        return server.api.delete_if_empty(what, &path).await;
    }
    server.api.delete(what, &path).await?;
    Ok(true)
}
