//! Making a queue anew without losing messages.
//!
//! RabbitMQ can neither change nor rename a queue, so the messages move twice: to a queue of
//! another name, and back once the new one is there. Bindings move first, so that exchanges
//! always have somewhere to route to. Every part can be repeated: a run that was killed is
//! finished by the next one, from what is there.

use std::time::Duration;

use dollop_engine::error::CallError;
use dollop_engine::resource::Migration;
use futures::{StreamExt, stream};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};
use tokio::time::{Instant, sleep};

use super::binding::{self, End};
use super::held::{Row, fresh};
use super::item::{Item, LONGEST};
use super::node::{Plugin, missing_plugin};
use super::policy_rules::is_since_4;
use super::queue::{Queue, QueueType, Spec, look};
use super::server::Server;
use super::shovel::COMPONENT;

/// The plugin that moves messages.
const SHOVEL: &str = "rabbitmq_shovel";
/// How old the server's numbers of messages may be: it counts every five seconds.
const STALE: Duration = Duration::from_secs(6);
/// How often to look how far it is.
const TICK: Duration = Duration::from_millis(500);
/// How long to wait while nothing moves.
const STUCK: Duration = Duration::from_mins(5);
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
    let mut there = look(server, what, name, to).await?;
    if there.as_ref().is_some_and(|there| !same(there, to)) {
        if !can(server).await? {
            return Err(missing_plugin(SHOVEL));
        }
        if look(server, what, &aside, to).await?.is_none() {
            let body = shelf(server, to);
            server.api.put(what, &Queue::path(&aside, to), &body).await?;
        }
        loop {
            rebind(server, &to.vhost, name, &aside).await?;
            empty(server, what, &to.vhost, name, &aside).await?;
            if remove_empty(server, what, &to.vhost, name).await? {
                break;
            }
        }
        there = None;
    }
    if there.is_none() {
        server.api.put(what, &Queue::path(name, to), &Queue::body(name, to)).await?;
    }
    if look(server, what, &aside, to).await?.is_none() {
        return Ok(());
    }
    loop {
        rebind(server, &to.vhost, &aside, name).await?;
        empty(server, what, &to.vhost, &aside, name).await?;
        if remove_empty(server, what, &to.vhost, &aside).await? {
            return Ok(());
        }
    }
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

/// The name of the queue that holds the messages meanwhile. It begins like the queue's own,
/// so that most policies are for both.
fn aside(name: &str) -> String {
    let aside = format!("{name}.dollop-drain");
    if aside.len() <= LONGEST {
        return aside;
    }
    format!("dollop-drain.{}", hex::encode(Sha256::digest(name)))
}

/// The queue that holds the messages meanwhile: one that drops nothing.
fn shelf(server: &Server, to: &Spec) -> Json {
    let mut arguments = json!({ "x-queue-type": to.queue_type });
    if to.queue_type == QueueType::Quorum && is_since_4(&server.version) {
        // Otherwise there is a limit.
        arguments["x-delivery-limit"] = json!(-1);
    }
    if let Some(priorities) = to.max_priority {
        arguments["x-max-priority"] = json!(priorities);
    }
    json!({ "durable": true, "auto_delete": false, "arguments": arguments })
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

/// Moves messages until nothing is left, nothing handed out to consumers either.
async fn empty(
    server: &Server,
    what: &str,
    vhost: &str,
    from: &str,
    to: &str,
) -> Result<(), CallError> {
    loop {
        let shovel = ["parameters", COMPONENT, vhost, from];
        let here = format!("amqp:///{}", utf8_percent_encode(vhost, NON_ALPHANUMERIC));
        let value = json!({
            "src-protocol": "amqp091", "src-uri": here, "src-queue": from,
            "dest-protocol": "amqp091", "dest-uri": here, "dest-queue": to,
            "ack-mode": "on-confirm", "reconnect-delay": 1,
            "src-delete-after": "never",
        });
        server.api.put(what, &shovel, &json!({ "value": value })).await?;
        let settled = settle(server, what, vhost, from).await;
        // It holds no messages by now: none goes back.
        server.api.delete(what, &shovel).await?;
        settled?;
        if fresh(server, vhost, from).await?.is_none_or(|row| row.messages == 0) {
            return Ok(());
        }
    }
}

/// Waits until the server has counted no messages for so long that it is true, those that
/// consumers have not acknowledged included.
async fn settle(server: &Server, what: &str, vhost: &str, name: &str) -> Result<(), CallError> {
    let path = ["queues", vhost, name];
    let mut last = (u64::MAX, Instant::now());
    loop {
        // Waiting and handed out.
        let numbers: Option<Row> = server.api.get_at(what, &path).await?;
        let Some(numbers) = numbers else {
            return Ok(());
        };
        if numbers.messages != last.0 {
            last = (numbers.messages, Instant::now());
        }
        if numbers.messages == 0 && last.1.elapsed() >= STALE {
            return Ok(());
        }
        if last.1.elapsed() > STUCK {
            let many = numbers.messages;
            return Err(CallError::refused(format!(
                "cannot {what}: {many} messages in queue `{name}` do not move"
            ))
            .note("consumers may hold them without acknowledging")
            .hint("stop the consumers and run it again; it goes on from here"));
        }
        sleep(TICK).await;
    }
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
