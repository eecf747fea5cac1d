//! What a plan says of queues whose messages move to a new one.

use dollop_engine::error::CallError;
use dollop_engine::resource::{Preview, Problem, Proposed};

use super::item::in_vhost;
use super::mover::Mover;
use super::queue::{Overflow, QueueType, Spec};
use super::server::Server;
use super::shovel::COMPONENT;
use super::{drain, health, held};
use crate::text::count;

/// Adds what there is to say of those that are drained: what they hold, whether it can be
/// moved, and whether the new ones take it.
pub(super) async fn preview(
    server: &Server,
    proposed: &[Proposed<Spec>],
    previews: &mut [Preview],
) -> Result<(), CallError> {
    let drains = |one: &Proposed<Spec>| {
        one.from.as_ref().is_some_and(|from| drain::drains(from, &one.to))
    };
    let aside = |one: &Proposed<Spec>| {
        let aside = drain::aside(one.id.as_deref().unwrap_or(&one.name.natural));
        let place = in_vhost(&one.to.vhost, &aside);
        server.was_cut_off(&place).then_some(place)
    };
    if !proposed.iter().any(|one| drains(one) || aside(one).is_some()) {
        return Ok(());
    }
    let problems = hindrances(server).await?;
    let shovels = server.definitions().await?.parameters(COMPONENT)?;
    let rows = held::rows(server).await?;
    for (preview, one) in previews.iter_mut().zip(proposed) {
        let name = one.id.as_deref().unwrap_or(&one.name.natural);
        let row = rows.get(&in_vhost(&one.to.vhost, name));
        let aside = aside(one);
        if !drains(one) && aside.is_none() {
            continue;
        }
        preview.problems.extend(problems.iter().cloned());
        let mover =
            Mover { server, what: "", vhost: &one.to.vhost, name, aside: &drain::aside(name) };
        preview.problems.extend(mover.hindered(&shovels));
        if let Some(row) = row.filter(|_| drains(one)) {
            preview.notes.push(format!("holds {}", row.words()));
            if row.consumers > 0 {
                let note = "consumers are cancelled and have to subscribe again";
                preview.notes.push(note.to_owned());
            }
        }
        let aside = aside.and_then(|place| rows.get(&place).map(|row| (place.1, row)));
        if let Some((aside, row)) = &aside {
            let held = row.words();
            preview.notes.push(format!("`{aside}` holds {held} of a drain that was cut off"));
        }
        let all = || row.into_iter().chain(aside.iter().map(|(_, row)| *row));
        let held = Content {
            messages: all().map(|row| row.messages).sum(),
            bytes: all().map(|row| row.message_bytes).sum(),
        };
        match held.fits(one.from.as_ref().filter(|_| drains(one)), &one.to) {
            Fit::Whole => {}
            Fit::Loses(what) => preview.loses = Some(what),
            Fit::Refused(problem) => preview.problems.push(problem),
        }
    }
    Ok(())
}

/// What keeps the server from moving any messages.
async fn hindrances(server: &Server) -> Result<Vec<Problem>, CallError> {
    let mut problems = Vec::new();
    let mut problem = |message: String, hint: &str| {
        problems.push(Problem::new("migrate", message).hint(hint));
    };
    if !drain::can(server).await? {
        let message = "draining needs the plugin `rabbitmq_shovel`, which is not enabled \
                       on every node";
        problem(message.to_owned(), "run `rabbitmq-plugins enable rabbitmq_shovel`");
    }
    if let Some(alarm) = health::alarm(server).await? {
        problem(
            format!("messages cannot be moved: {alarm}"),
            "free memory or disk space first; `rabbitmq-diagnostics alarms` tells which",
        );
    }
    Ok(problems)
}

/// What is to be moved.
pub(super) struct Content {
    pub(super) messages: u64,
    pub(super) bytes: u64,
}

/// Whether a queue takes it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// All of it.
    Whole,
    /// Some of it is lost, in words that complete "it holds …".
    Loses(String),
    /// It refuses some, which would stay where it is for ever.
    Refused(Problem),
}

impl Content {
    /// Whether the limits of a new queue itself leave it whole. Without `from` it is not known
    /// what it was under before: then times are no new ones.
    pub(super) fn fits(&self, from: Option<&Spec>, to: &Spec) -> Fit {
        if self.messages == 0 {
            return Fit::Whole;
        }
        let messages = count(self.messages, "message");
        let over = [
            ("max_length", to.max_length, self.messages),
            ("max_length_bytes", to.max_length_bytes, self.bytes),
        ];
        for (attribute, limit, has) in over {
            let Some(limit) = limit.and_then(|limit| u64::try_from(limit).ok()) else {
                continue;
            };
            if has <= limit {
                continue;
            }
            let refuses = match to.overflow {
                None | Some(Overflow::DropHead) => false,
                Some(Overflow::RejectPublish) => true,
                // Quorum queues drop the oldest then.
                Some(Overflow::RejectPublishDlx) => to.queue_type == QueueType::Classic,
            };
            if refuses {
                let message = format!(
                    "the new queue refuses what is beyond `{attribute}: {limit}`, the old one \
                     holds {has}"
                );
                let hint = "raise the limit, or let consumers take messages first; as a policy, \
                            a limit may be lower than what the queue holds";
                return Fit::Refused(Problem::new(attribute, message).hint(hint));
            }
            let beyond = format!("beyond `{attribute}: {limit}`");
            return Fit::Loses(match attribute {
                "max_length" => format!("{} {beyond}", count(has - limit, "message")),
                _ => format!("messages {beyond}"),
            });
        }
        let Some(from) = from else { return Fit::Whole };
        let shorter =
            |was: Option<i64>, is: Option<i64>| is.filter(|is| was.is_none_or(|was| *is < was));
        if let Some(time) = shorter(from.message_ttl, to.message_ttl) {
            return Fit::Loses(format!("{messages} that expire after `message_ttl: {time}`"));
        }
        if let Some(time) = shorter(from.expires, to.expires) {
            return Fit::Loses(format!("{messages} that go when unused for `expires: {time}`"));
        }
        Fit::Whole
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;

    fn spec(mut more: Json) -> Spec {
        more["vhost"] = json!("v");
        serde_json::from_value(more).unwrap()
    }

    fn fits(from: Json, to: Json) -> Fit {
        Content { messages: 4, bytes: 40 }.fits(Some(&spec(from)), &spec(to))
    }

    #[test]
    fn what_a_new_queue_takes() {
        let loses = |words: &str| Fit::Loses(words.to_owned());
        assert_eq!(fits(json!({}), json!({ "max_length": 4 })), Fit::Whole);
        let short = fits(json!({}), json!({ "max_length": 3 }));
        assert_eq!(short, loses("1 message beyond `max_length: 3`"));
        let small = fits(json!({}), json!({ "max_length_bytes": 39 }));
        assert_eq!(small, loses("messages beyond `max_length_bytes: 39`"));
        let brief = fits(json!({ "message_ttl": 50 }), json!({ "message_ttl": 40 }));
        assert_eq!(brief, loses("4 messages that expire after `message_ttl: 40`"));
        assert_eq!(
            fits(json!({ "message_ttl": 50 }), json!({ "message_ttl": 60, "max_length": 9 })),
            Fit::Whole
        );
        let unused = fits(json!({}), json!({ "expires": 60 }));
        assert_eq!(unused, loses("4 messages that go when unused for `expires: 60`"));
    }

    #[test]
    fn a_new_queue_that_refuses_is_refused() {
        let refuses = |overflow: &str, queue_type: &str| {
            let to = json!({ "max_length": 2, "overflow": overflow, "type": queue_type });
            matches!(fits(json!({}), to), Fit::Refused(_))
        };
        assert!(refuses("reject-publish", "classic"));
        assert!(refuses("reject-publish", "quorum"));
        assert!(refuses("reject-publish-dlx", "classic"));
        assert!(!refuses("reject-publish-dlx", "quorum"));
        assert!(!refuses("drop-head", "classic"));
    }
}
