//! Which properties go together on a queue. The server's own rules, as RabbitMQ 3.10 and
//! later answer them; said before anything is sent.

use dollop_engine::analysis::Lint;
use dollop_engine::diagnostic::Code;
use dollop_engine::path::Path;
use dollop_engine::resource::Problem;
use serde_json::Value as Json;

use super::arguments::{Form, Typed, check_leftover, is_age};
use super::queue::{DeadLetterStrategy, Overflow, Spec};
use super::vhost::QueueType;
use super::{arguments, since};

/// The argument that carries the type; never among `arguments` in normal form.
pub(super) const TYPE: &str = "x-queue-type";

use Form::{Bool, Int, Text, Word};

/// Arguments that are attributes.
pub(super) const TYPED: &[Typed] = &[
    typed("dead_letter_exchange", "x-dead-letter-exchange", Text),
    typed("dead_letter_routing_key", "x-dead-letter-routing-key", Text),
    typed(
        "dead_letter_strategy",
        "x-dead-letter-strategy",
        Word(&["at-most-once", "at-least-once"]),
    ),
    typed("message_ttl", "x-message-ttl", Int),
    typed("expires", "x-expires", Int),
    typed("max_length", "x-max-length", Int),
    typed("max_length_bytes", "x-max-length-bytes", Int),
    typed(
        "overflow",
        "x-overflow",
        Word(&["drop-head", "reject-publish", "reject-publish-dlx"]),
    ),
    typed("delivery_limit", "x-delivery-limit", Int),
    typed("max_priority", "x-max-priority", Int),
    typed("single_active_consumer", "x-single-active-consumer", Bool),
    typed("max_age", "x-max-age", Text),
    typed("stream_max_segment_size_bytes", "x-stream-max-segment-size-bytes", Int),
    typed("quorum_initial_group_size", "x-quorum-initial-group-size", Int),
    typed("initial_cluster_size", "x-initial-cluster-size", Int),
    typed(
        "queue_leader_locator",
        "x-queue-leader-locator",
        Word(&["client-local", "balanced", "random", "least-leaders", "min-masters"]),
    ),
    typed("queue_mode", "x-queue-mode", Word(&["default", "lazy"])),
    typed("queue_version", "x-queue-version", Int),
];

/// The types of queue an attribute is for; all that are not named here go with any.
const ONLY: &[(&str, &[QueueType])] = &[
    ("dead_letter_exchange", NOT_STREAMS),
    ("dead_letter_routing_key", NOT_STREAMS),
    ("dead_letter_strategy", QUORUM),
    ("message_ttl", NOT_STREAMS),
    ("expires", NOT_STREAMS),
    ("max_length", NOT_STREAMS),
    ("overflow", NOT_STREAMS),
    ("delivery_limit", QUORUM),
    ("max_priority", CLASSIC),
    ("single_active_consumer", NOT_STREAMS),
    ("max_age", STREAM),
    ("stream_max_segment_size_bytes", STREAM),
    ("quorum_initial_group_size", QUORUM),
    ("initial_cluster_size", STREAM),
    ("queue_mode", CLASSIC),
    ("queue_version", CLASSIC),
];

const CLASSIC: &[QueueType] = &[QueueType::Classic];
const QUORUM: &[QueueType] = &[QueueType::Quorum];
const STREAM: &[QueueType] = &[QueueType::Stream];
const NOT_STREAMS: &[QueueType] = &[QueueType::Classic, QueueType::Quorum];

/// The longest time the server takes as an argument, in milliseconds: ten years.
const LONGEST_TIME: i64 = 315_360_000_000;

/// The largest file of a stream that the server takes, in bytes.
pub(super) const LARGEST_SEGMENT: i64 = 3_000_000_000;

/// Least and greatest values of numbers.
const BOUNDS: &[(&str, i64, i64)] = &[
    ("message_ttl", 0, LONGEST_TIME),
    ("expires", 1, LONGEST_TIME),
    ("max_length", 0, i64::MAX),
    ("max_length_bytes", 0, i64::MAX),
    // `-1` is "no limit" where there is one by default.
    ("delivery_limit", -1, i64::MAX),
    ("max_priority", 0, 255),
    ("stream_max_segment_size_bytes", 0, LARGEST_SEGMENT),
    ("quorum_initial_group_size", 1, i64::MAX),
    ("initial_cluster_size", 1, i64::MAX),
    ("queue_version", 1, 2),
];

/// What a queue's properties break.
pub(super) fn check(spec: &Spec) -> Vec<Problem> {
    let mut problems = check_leftover(TYPED, &spec.arguments);
    let mut problem = |attribute: &str, message: String, hint: &str| {
        let hint = (!hint.is_empty()).then(|| hint.to_owned());
        problems.push(Problem { attribute: attribute.to_owned(), message, hint });
    };
    if let Some(value) = spec.arguments.get(TYPE) {
        let message =
            format!("`{TYPE}` says {value}, `type` says \"{}\"", word(spec.queue_type));
        problem("arguments", message, "say it with `type` only");
    }
    let kind = plural(spec.queue_type);
    if spec.queue_type != QueueType::Classic {
        if !spec.durable {
            problem("durable", format!("{kind} are always durable"), "leave `durable` out");
        }
        if spec.auto_delete {
            let message = format!("{kind} are never deleted by the server");
            problem("auto_delete", message, "leave `auto_delete` out");
        }
    }
    if spec.migrate.is_some() && spec.queue_type == QueueType::Stream {
        let hint = "leave `migrate` out, and read the stream into the new one";
        problem("migrate", "streams cannot be drained".to_owned(), hint);
    }
    let json = serde_json::to_value(spec).unwrap_or_default();
    let is_set = |attribute: &str| json.get(attribute).is_some_and(|value| !value.is_null());
    let attributes = ONLY.iter().filter(|(attribute, _)| is_set(attribute));
    let attributes = attributes.map(|(attribute, types)| (*attribute, *attribute, *types));
    let arguments = MORE.iter().filter(|(key, _)| spec.arguments.contains_key(*key));
    let arguments = arguments.map(|(key, types)| ("arguments", *key, *types));
    for (at, word, types) in attributes.chain(arguments) {
        if !types.contains(&spec.queue_type) {
            let types: Vec<_> = types.iter().map(|one| plural(*one)).collect();
            let message = format!("`{word}` is for {}, not for {kind}", types.join(" and "));
            problem(at, message, "leave it out, or change `type`");
        }
    }
    for (attribute, least, most) in BOUNDS {
        if let Some(value) = json.get(attribute).and_then(Json::as_i64)
            && !(*least..=*most).contains(&value)
        {
            let message = match *most {
                i64::MAX => format!("{value} is less than {least}"),
                most => format!("{value} is not between {least} and {most}"),
            };
            let is_time = *most == LONGEST_TIME;
            let hint = "this is in milliseconds, and ten years are the most";
            problem(attribute, message, if is_time { hint } else { "" });
        }
    }
    if let Some(age) = &spec.max_age
        && !is_age(age)
    {
        problem("max_age", format!("`{age}` is no age"), "write a number and a unit: `\"7D\"`");
    }
    if spec.dead_letter_routing_key.is_some() && spec.dead_letter_exchange.is_none() {
        problem(
            "dead_letter_routing_key",
            "there is no exchange for dead letters".to_owned(),
            "set `dead_letter_exchange`, to `\"\"` for the default one",
        );
    }
    let replicated = spec.queue_type == QueueType::Quorum;
    if replicated && spec.overflow == Some(Overflow::RejectPublishDlx) {
        problem(
            "overflow",
            "quorum queues have no `reject-publish-dlx`: the server would drop the oldest \
             messages instead"
                .to_owned(),
            "set `overflow: \"reject-publish\"`",
        );
    } else if replicated && is_sure(spec) && spec.overflow == Some(Overflow::DropHead) {
        problem(
            "overflow",
            "a queue that drops messages keeps no promise about dead letters: the server would \
             take `at-least-once` for `at-most-once`"
                .to_owned(),
            "set `overflow: \"reject-publish\"`, or leave `dead_letter_strategy` out",
        );
    }
    problems
}

/// Whether dead letters shall arrive for sure.
fn is_sure(spec: &Spec) -> bool {
    spec.dead_letter_strategy == Some(DeadLetterStrategy::AtLeastOnce)
}

/// Settings that a policy can say too, and change while the queue lives.
const BY_POLICY: &[&str] = &[
    "message_ttl",
    "expires",
    "max_length",
    "max_length_bytes",
    "overflow",
    "delivery_limit",
    "queue_mode",
    "queue_version",
];

/// Arguments that have no attribute and every server knows, with the types of queue that they
/// are for.
const MORE: &[(&str, &[QueueType])] = &[
    ("x-max-in-memory-bytes", QUORUM),
    ("x-max-in-memory-length", QUORUM),
    ("x-queue-master-locator", CLASSIC),
];

/// What works and is better done otherwise.
pub(super) fn lint(spec: &Spec) -> Vec<Lint> {
    let known = TYPED.iter().map(|typed| typed.key);
    let known = known.chain(since::ARGUMENTS.iter().map(|argument| argument.key));
    let known = known.chain(MORE.iter().map(|(key, _)| *key)).chain([TYPE]);
    let mut lints = arguments::lint(&spec.arguments, known);
    let json = serde_json::to_value(spec).unwrap_or_default();
    let is_set = |attribute: &&&str| json.get(**attribute).is_some_and(|v| !v.is_null());
    let mut fixed: Vec<&str> = BY_POLICY.iter().filter(is_set).copied().collect();
    // A promise and what it hangs on belong together.
    fixed.retain(|attribute| *attribute != "overflow" || !is_sure(spec));
    // Draining makes the change painless too.
    if let Some(first) = fixed.first().filter(|_| spec.migrate.is_none()) {
        let names: Vec<_> = fixed.iter().map(|name| format!("`{name}`")).collect();
        let keys: Vec<_> =
            fixed.iter().map(|name| format!("`\"{}\"`", name.replace('_', "-"))).collect();
        lints.push(Lint {
            code: Code::FixedSetting,
            at: Path::attribute(*first),
            message: format!(
                "{} on the queue itself: a change makes a new queue, without its messages",
                names.join(", ")
            ),
            hint: format!("set {} by a `rabbitmq::policy`", keys.join(", ")),
        });
    }
    if is_sure(spec) && spec.dead_letter_exchange.is_none() {
        lints.push(Lint {
            code: Code::FallsBack,
            at: Path::attribute("dead_letter_strategy"),
            message:
                "the queue has no exchange for dead letters: unless a policy sets one, the \
                      server drops them"
                    .to_owned(),
            hint: "set `dead_letter_exchange` here".to_owned(),
        });
    }
    if is_sure(spec) && spec.overflow.is_none() {
        lints.push(Lint {
            code: Code::FallsBack,
            at: Path::attribute("dead_letter_strategy"),
            message: "unless a policy sets `overflow`, the server takes `at-least-once` for \
                      `at-most-once`, which loses dead letters"
                .to_owned(),
            hint: "set `overflow: \"reject-publish\"` here".to_owned(),
        });
    }
    if !spec.durable {
        lints.push(Lint {
            code: Code::Transient,
            at: Path::attribute("durable"),
            message: "the queue is gone after a restart of the server, with its messages"
                .to_owned(),
            hint:
                "leave `durable` out; from RabbitMQ 4.3 on such a queue is refused by default"
                    .to_owned(),
        });
    }
    lints
}

const fn typed(attribute: &'static str, key: &'static str, form: Form) -> Typed {
    Typed { attribute, key, form }
}

fn word(queue_type: QueueType) -> &'static str {
    match queue_type {
        QueueType::Classic => "classic",
        QueueType::Quorum => "quorum",
        QueueType::Stream => "stream",
    }
}

/// ``classic queues``: all of a type, in words.
pub(super) fn plural(queue_type: QueueType) -> &'static str {
    match queue_type {
        QueueType::Classic => "classic queues",
        QueueType::Quorum => "quorum queues",
        QueueType::Stream => "streams",
    }
}
