//! Whether a server works: its health checks
//! (<https://www.rabbitmq.com/docs/monitoring#health-checks>).

use dollop_engine::error::CallError;
use futures::future::join_all;
use serde::Deserialize;

use super::server::Server;

/// What the server checks about itself, and what it means when that fails.
const CHECKS: [(&str, &str, &str); 3] = [
    (
        "alarms",
        "an alarm is in force, so that it takes no messages",
        "free memory or disk space; `rabbitmq-diagnostics alarms` tells which",
    ),
    (
        "virtual-hosts",
        "not every vhost runs",
        "look into its log; `rabbitmqctl restart_vhost` starts one again",
    ),
    // Where there is one node only, this passes.
    (
        "node-is-quorum-critical",
        "some quorum queues would have no quorum without this node",
        "start the nodes that are down, and wait until their queues have caught up; \
         `rabbitmq-queues grow` adds replicas to queues that have too few",
    ),
];

/// The answer of a health check; it is the same when it fails, with status 503.
#[derive(Deserialize)]
struct Answer {
    status: String,
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    alarms: Vec<Alarm>,
}

#[derive(Deserialize)]
struct Alarm {
    node: String,
    resource: String,
}

/// Refuses a server that answers and does not work.
pub(super) async fn ready(server: &Server) -> Result<(), CallError> {
    if !server.takes_amqp {
        return Err(unwell(server, "nothing listens for AMQP clients", None)
            .hint("`rabbitmq-diagnostics listeners` tells what does"));
    }
    for answer in join_all(CHECKS.map(|check| passes(server, check))).await {
        answer?;
    }
    Ok(())
}

/// What keeps a server from taking messages, in words.
pub(super) async fn alarm(server: &Server) -> Result<Option<String>, CallError> {
    let answer: Option<Answer> =
        server.api.checked("look for alarms", "health/checks/alarms").await?;
    Ok(answer.filter(|answer| answer.status != "ok").map(|answer| named(&answer.alarms)))
}

async fn passes(
    server: &Server,
    (check, means, hint): (&str, &str, &str),
) -> Result<(), CallError> {
    let path = format!("health/checks/{check}");
    // A server too old for a check passes it.
    let Some(answer): Option<Answer> =
        server.api.checked("check whether it works", &path).await?
    else {
        return Ok(());
    };
    if answer.status == "ok" {
        return Ok(());
    }
    let means = if answer.alarms.is_empty() { means.to_owned() } else { named(&answer.alarms) };
    Err(unwell(server, &means, answer.reason).hint(hint))
}

/// ``an alarm for `memory` on `rabbit@a` ``.
fn named(alarms: &[Alarm]) -> String {
    let each = alarms.iter().map(|alarm| format!("`{}` on `{}`", alarm.resource, alarm.node));
    format!(
        "an alarm for {} keeps it from taking messages",
        each.collect::<Vec<_>>().join(", ")
    )
}

fn unwell(server: &Server, means: &str, reason: Option<String>) -> CallError {
    let error = CallError::unreachable(format!(
        "{} answers and does not work: {means}",
        server.api.root()
    ));
    match reason {
        Some(reason) => error.note(reason),
        None => error,
    }
}
