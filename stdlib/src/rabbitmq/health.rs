//! Whether a server works: its health checks
//! (<https://www.rabbitmq.com/docs/monitoring#health-checks>).

use std::time::{Duration, Instant};

use dollop_engine::error::CallError;
use dollop_engine::operate::{Probe, Verdict};
use futures::future::join_all;
use serde::Deserialize;

use super::server::Server;

/// What the server checks about itself.
struct Check {
    name: &'static str,
    path: &'static str,
    /// What it means that it passes.
    fine: &'static str,
    /// What it means that it fails.
    fault: &'static str,
    hint: &'static str,
}

const CHECKS: [Check; 3] = [
    Check {
        name: "alarms",
        path: "health/checks/alarms",
        fine: "none",
        fault: "an alarm is in force, so that it takes no messages",
        hint: "free memory or disk space; `rabbitmq-diagnostics alarms` tells which",
    },
    Check {
        name: "vhosts",
        path: "health/checks/virtual-hosts",
        fine: "all run",
        fault: "not every vhost runs",
        hint: "look into its log; `rabbitmqctl restart_vhost` starts one again",
    },
    // Where there is one node only, this passes.
    Check {
        name: "quorum",
        path: "health/checks/node-is-quorum-critical",
        fine: "does not hang on this node",
        fault: "some quorum queues would have no quorum without this node",
        hint: "start the nodes that are down, and wait until their queues have caught up; \
               `rabbitmq-queues grow` adds replicas to queues that have too few",
    },
];

const DEAF: &str = "nothing listens for AMQP clients";

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
    if !server.takes_amqp().await? {
        return Err(
            unwell(server, DEAF).hint("`rabbitmq-diagnostics listeners` tells what does")
        );
    }
    let asked = join_all(CHECKS.iter().map(|check| fault(server, check))).await;
    for (check, found) in CHECKS.iter().zip(asked) {
        if let Some(fault) = found? {
            let error = unwell(server, &fault.means).hint(check.hint);
            return Err(match fault.reason {
                Some(reason) => error.note(reason),
                None => error,
            });
        }
    }
    Ok(())
}

/// The same for people who look.
pub(super) async fn probes(server: &Server) -> Vec<Probe> {
    let (verdict, detail) = match server.takes_amqp().await {
        Ok(true) => (Verdict::Good, format!("RabbitMQ {} listens", server.version)),
        Ok(false) => (Verdict::Bad, DEAF.to_owned()),
        Err(error) => (Verdict::Bad, error.message),
    };
    let took = Duration::ZERO;
    let mut probes = vec![Probe { what: "amqp".to_owned(), verdict, detail, took }];
    let asked = CHECKS.iter().map(|check| async move {
        let begun = Instant::now();
        let (verdict, detail) = match fault(server, check).await {
            Ok(None) => (Verdict::Good, check.fine.to_owned()),
            Ok(Some(fault)) => (Verdict::Bad, fault.means),
            Err(error) => (Verdict::Bad, error.message),
        };
        Probe { what: check.name.to_owned(), verdict, detail, took: begun.elapsed() }
    });
    probes.extend(join_all(asked).await);
    probes
}

/// What keeps a server from taking messages, in words.
pub(super) async fn alarm(server: &Server) -> Result<Option<String>, CallError> {
    let answer: Option<Answer> =
        server.api.checked("look for alarms", "health/checks/alarms").await?;
    Ok(answer.filter(|answer| answer.status != "ok").map(|answer| named(&answer.alarms)))
}

struct Fault {
    means: String,
    reason: Option<String>,
}

/// Why a check does not pass. A server too old for it passes.
async fn fault(server: &Server, check: &Check) -> Result<Option<Fault>, CallError> {
    let answer: Option<Answer> =
        server.api.checked("check whether it works", check.path).await?;
    Ok(answer.filter(|answer| answer.status != "ok").map(|answer| Fault {
        means: if answer.alarms.is_empty() {
            check.fault.to_owned()
        } else {
            named(&answer.alarms)
        },
        reason: answer.reason,
    }))
}

/// ``an alarm for `memory` on `rabbit@a` ``.
fn named(alarms: &[Alarm]) -> String {
    let each = alarms.iter().map(|alarm| format!("`{}` on `{}`", alarm.resource, alarm.node));
    format!(
        "an alarm for {} keeps it from taking messages",
        each.collect::<Vec<_>>().join(", ")
    )
}

fn unwell(server: &Server, means: &str) -> CallError {
    let root = server.api.root();
    CallError::unreachable(format!("{root} answers and does not work: {means}"))
}
