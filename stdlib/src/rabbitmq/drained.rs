//! What a plan says of queues whose messages move to a new one.

use dollop_engine::error::CallError;
use dollop_engine::resource::{Beside, Preview, Problem, Proposed};

use super::bounds::{Bounds, Policies};
use super::item::in_vhost;
use super::mover::{FEW, Mover};
use super::queue::Spec;
use super::server::Server;
use super::shovel::COMPONENT;
use super::{drain, health, held};
use crate::text::count;

/// The greatest limit on deliveries that a few interruptions use up.
const LOW: i64 = 3;

/// Adds what there is to say of those that are drained: what they hold, whether it can be
/// moved, and whether the new ones take it.
pub(super) async fn preview(
    server: &Server,
    proposed: &[Proposed<Spec>],
    beside: &Beside,
    previews: &mut [Preview],
) -> Result<(), CallError> {
    let drains = |one: &Proposed<Spec>| {
        one.from.as_ref().is_some_and(|from| drain::drains(from, &one.to))
    };
    let aside = |one: &Proposed<Spec>| {
        let name = one.id.as_deref().unwrap_or(&one.name.natural);
        drain::left(server, &one.to.vhost, name)
    };
    if !proposed.iter().any(|one| drains(one) || aside(one).is_some()) {
        return Ok(());
    }
    let problems = hindrances(server).await?;
    let shovels = server.definitions().await?.parameters(COMPONENT)?;
    let rows = held::rows(server).await?;
    let policies = Policies::of(server, beside).await?;
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
        let place = in_vhost(&one.to.vhost, name);
        let new = (&place, &one.to);
        let from = one.from.as_ref().filter(|_| drains(one));
        if let Some(from) = from {
            let old = (&place, from);
            let meanwhile = in_vhost(&one.to.vhost, &drain::aside(name));
            let shelf = drain::shelf(server, &one.to);
            preview.problems.extend(policies.hindrance((&meanwhile, &shelf), old, new));
            preview.notes.extend(few_deliveries(&policies.bounds(old)));
        }
        let from = from.map(|from| policies.bounds_beside((&place, from), new));
        match held.fits(from.as_ref(), &policies.bounds(new)) {
            Fit::Whole => {}
            Fit::Loses(what) => preview.loses = Some(what),
            Fit::Refused(problem) => preview.problems.push(problem),
        }
    }
    Ok(())
}

/// What a limit on deliveries may cost: the move is one, and each time that it is interrupted one
/// more.
fn few_deliveries(from: &Bounds) -> Option<String> {
    let limit = from.deliveries().filter(|limit| limit.limit <= LOW)?;
    Some(format!(
        "up to {FEW} messages are handed out at once to be moved: each interruption counts as a \
         delivery of these, and {} takes away what has too many",
        limit.words
    ))
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
    /// Whether the limits of a new queue leave it whole. Without `from` it is not known what it
    /// was under before: then times are no new ones.
    pub(super) fn fits(&self, from: Option<&Bounds>, to: &Bounds) -> Fit {
        if self.messages == 0 {
            return Fit::Whole;
        }
        let messages = count(self.messages, "message");
        for (key, has) in [("max-length", self.messages), ("max-length-bytes", self.bytes)] {
            let Some(bound) = to.limit(key) else { continue };
            let limit = u64::try_from(bound.limit).unwrap_or_default();
            if has <= limit {
                continue;
            }
            if to.refuses {
                let message = format!(
                    "the new queue refuses what is beyond {}, the old one holds {has}",
                    bound.words
                );
                let hint = "raise the limit, or let consumers take messages first; as a policy, \
                            a limit may be lower than what the queue holds";
                let attribute = key.replace('-', "_");
                return Fit::Refused(Problem::new(attribute, message).hint(hint));
            }
            let what = match key {
                "max-length" => count(has - limit, "message"),
                _ => "messages".to_owned(),
            };
            return Fit::Loses(format!("{what} beyond {}", bound.words));
        }
        let Some(from) = from else { return Fit::Whole };
        let shorter = |key: &str| {
            let (was, is) = (from.limit(key), to.limit(key)?);
            was.is_none_or(|was| is.limit < was.limit).then_some(&is.words)
        };
        if let Some(words) = shorter("message-ttl") {
            return Fit::Loses(format!("{messages} that expire after {words}"));
        }
        if let Some(words) = shorter("expires") {
            return Fit::Loses(format!("{messages} that go when unused for {words}"));
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
        let (place, policies) = (in_vhost("v", "q"), Policies::none());
        let bounds = |spec: &Spec| policies.bounds((&place, spec));
        let (from, to) = (spec(from), spec(to));
        Content { messages: 4, bytes: 40 }.fits(Some(&bounds(&from)), &bounds(&to))
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
    fn few_deliveries_are_said() {
        let (place, policies) = (in_vhost("v", "q"), Policies::none());
        let note = |limit: i64| {
            let spec = spec(json!({ "type": "quorum", "delivery_limit": limit }));
            few_deliveries(&policies.bounds((&place, &spec)))
        };
        assert!(note(0).unwrap().contains("`delivery_limit: 0` takes away"));
        assert_eq!(note(10), None);
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
