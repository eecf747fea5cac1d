//! The shovels that move the messages of a queue which is made anew: one out of it, to the
//! queue that holds them meanwhile, and one back.

use std::time::Duration;

use dollop_engine::error::CallError;
use dollop_engine::resource::Problem;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::time::{Instant, sleep};

use super::held::Row;
use super::item::LONGEST;
use super::parameter::Row as Parameter;
use super::server::Server;
use super::shovel::COMPONENT;

/// How old the server's numbers of messages may be: it counts every five seconds.
const STALE: Duration = Duration::from_secs(6);
/// How often to look how far it is.
const TICK: Duration = Duration::from_millis(500);
/// How long to wait while nothing moves.
const STUCK: Duration = Duration::from_mins(5);

/// How many messages a shovel holds at once that come from a queue with a limit on deliveries:
/// those it holds when it is interrupted are delivered once more. With so few, ten thousands
/// still move in seconds.
pub(super) const FEW: u64 = 20;

/// Where messages move.
#[derive(Clone, Copy)]
pub(super) enum Way {
    /// To the queue that holds them meanwhile.
    Out,
    /// From there to the new queue.
    Back,
}

/// What moves the messages of one queue.
pub(super) struct Mover<'a> {
    pub(super) server: &'a Server,
    /// Completes "cannot …".
    pub(super) what: &'a str,
    pub(super) vhost: &'a str,
    /// The queue.
    pub(super) name: &'a str,
    /// The one that holds its messages meanwhile.
    pub(super) aside: &'a str,
}

impl Mover<'_> {
    fn ends(&self, way: Way) -> (&str, &str) {
        match way {
            Way::Out => (self.name, self.aside),
            Way::Back => (self.aside, self.name),
        }
    }

    /// The name of a shovel: one that nobody gives to theirs.
    fn shovel(&self, way: Way) -> String {
        let word = match way {
            Way::Out => "out",
            Way::Back => "back",
        };
        let shovel = format!("{}.dollop-drain-{word}", self.name);
        if shovel.len() <= LONGEST {
            return shovel;
        }
        format!("dollop-drain-{word}.{}", hex::encode(Sha256::digest(self.name)))
    }

    /// Whose a shovel is: `Some(true)` when dollop made it to move messages of this queue,
    /// `Some(false)` when somebody else's has a name that such a one would get.
    fn is_ours(&self, shovel: &Parameter) -> Option<bool> {
        let Parameter { vhost, name, value, .. } = shovel;
        if vhost != self.vhost {
            return None;
        }
        let ways = [Way::Out, Way::Back];
        let is_named = ways.iter().any(|way| self.shovel(*way) == *name);
        // So earlier ones were called: like the queue they moved from.
        let was_named = name == self.name || name == self.aside;
        let moves = ways.into_iter().any(|way| {
            let (from, to) = self.ends(way);
            value["src-queue"] == from && value["dest-queue"] == to
        });
        if moves && (is_named || was_named) { Some(true) } else { is_named.then_some(false) }
    }

    /// Why it cannot work, by all shovels there are: somebody else's has a name it needs.
    pub(super) fn hindered(&self, shovels: &[Parameter]) -> Option<Problem> {
        let other = shovels.iter().find(|shovel| self.is_ours(shovel) == Some(false))?;
        let message = format!(
            "shovel `{}` in vhost `{}` is somebody else's, and dollop would move the messages by one \
             of this name",
            other.name, self.vhost
        );
        Some(Problem::new("migrate", message).hint("give that shovel another name"))
    }

    /// Ends the shovels of dollop for this queue that are still at work since a run was
    /// killed: one that moves messages against another would do so for ever and double them.
    /// Gives back all there were.
    pub(super) async fn stop(&self) -> Result<Vec<Parameter>, CallError> {
        let all = ["parameters", COMPONENT, self.vhost];
        let shovels: Option<Vec<Parameter>> = self.server.api.get_at(self.what, &all).await?;
        let shovels = shovels.unwrap_or_default();
        for shovel in shovels.iter().filter(|shovel| self.is_ours(shovel) == Some(true)) {
            let path = ["parameters", COMPONENT, self.vhost, &shovel.name];
            self.server.api.delete(self.what, &path).await?;
        }
        Ok(shovels)
    }

    /// Ends them, and makes sure that its own can be made.
    pub(super) async fn clear(&self) -> Result<(), CallError> {
        match self.hindered(&self.stop().await?) {
            None => Ok(()),
            Some(problem) => {
                let message = format!("cannot {}: {}", self.what, problem.message);
                Err(CallError::refused(message).hint(problem.hint.unwrap_or_default()))
            }
        }
    }

    /// Moves messages until nothing is left as far as the server has counted, nothing handed
    /// out to consumers either.
    pub(super) async fn empty(&self, way: Way) -> Result<(), CallError> {
        let (from, to) = self.ends(way);
        let what = self.what;
        let name = self.shovel(way);
        let shovel = ["parameters", COMPONENT, self.vhost, &name];
        let here = format!("amqp:///{}", utf8_percent_encode(self.vhost, NON_ALPHANUMERIC));
        let mut value = json!({
            "src-protocol": "amqp091", "src-uri": here, "src-queue": from,
            "dest-protocol": "amqp091", "dest-uri": here, "dest-queue": to,
            "ack-mode": "on-confirm", "reconnect-delay": 1,
            "src-delete-after": "never",
        });
        let source: Option<Row> =
            self.server.api.get_at(what, &["queues", self.vhost, from]).await?;
        if source.is_some_and(|source| source.limits_deliveries(&self.server.version)) {
            value["src-prefetch-count"] = json!(FEW);
        }
        self.clear().await?;
        self.server.api.put(what, &shovel, &json!({ "value": value })).await?;
        let settled = self.settle(from, to).await;
        // It holds no messages by now: none goes back.
        self.server.api.delete(what, &shovel).await?;
        settled
    }

    /// Waits until the server has counted no messages for so long that it is true, those that
    /// consumers have not acknowledged included.
    async fn settle(&self, from: &str, to: &str) -> Result<(), CallError> {
        let Self { server, what, vhost, .. } = *self;
        let path = ["queues", vhost, from];
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
                let mut error = CallError::refused(format!(
                    "cannot {what}: {many} messages in queue `{from}` do not move"
                ));
                let there: Option<Row> =
                    server.api.get_at(what, &["queues", vhost, to]).await?;
                let limits = there.map(|there| there.limits()).unwrap_or_default();
                if !limits.is_empty() {
                    error = error.note(format!(
                        "queue `{to}` keeps no more than {}: it may refuse them",
                        limits.join(", ")
                    ));
                }
                return Err(error
                    .note("consumers may hold them without acknowledging")
                    .hint("stop the consumers and run it again; it goes on from here"));
            }
            sleep(TICK).await;
        }
    }
}
