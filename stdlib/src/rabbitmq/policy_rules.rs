//! Which settings a policy may hold and what they look like
//! (<https://www.rabbitmq.com/docs/parameters#policies>): RabbitMQ refuses others, and
//! takes `"60000"` for no number.

use std::collections::BTreeMap;

use dollop_engine::analysis::Lint;
use dollop_engine::diagnostic::{Code, did_you_mean};
use dollop_engine::path::Path;
use dollop_engine::resource::Problem;
use serde_json::Value as Json;

use super::arguments::Form::{self, Age, Bool, Int, Range, Text, Word};
use super::policy::ApplyTo;
use super::queue_rules::{LARGEST_SEGMENT, plural};
use super::since::{self, By};
pub(super) use super::versions::is_since_4;
use super::versions::{is_from, is_since};
use super::vhost::QueueType;

/// What a setting is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum For {
    Queues,
    Exchanges,
    Both,
}

use For::{Both, Exchanges, Queues};

/// A number from there on.
const fn from(least: i64) -> Form {
    Range(least, i64::MAX)
}

/// Settings with their forms. Plugins may bring more; those are the server's to judge.
const SETTINGS: &[(&str, Form, For)] = &[
    ("alternate-exchange", Text, Exchanges),
    ("consumer-disconnected-timeout", from(0), Queues),
    ("consumer-timeout", from(0), Queues),
    ("dead-letter-exchange", Text, Queues),
    ("dead-letter-routing-key", Text, Queues),
    ("dead-letter-strategy", Word(&["at-most-once", "at-least-once"]), Queues),
    ("delayed-retry-max", from(1), Queues),
    ("delayed-retry-min", from(1), Queues),
    ("delayed-retry-type", Word(&["all", "failed", "returned", "disabled"]), Queues),
    // `-1` is "no limit" where there is one by default.
    ("delivery-limit", from(-1), Queues),
    ("expires", from(1), Queues),
    ("federation-upstream", Text, Both),
    ("federation-upstream-pattern", Text, Both),
    ("federation-upstream-set", Text, Both),
    ("ha-mode", Word(&["all", "exactly", "nodes"]), Queues),
    ("ha-promote-on-failure", Word(&["always", "when-synced"]), Queues),
    ("ha-promote-on-shutdown", Word(&["always", "when-synced"]), Queues),
    ("ha-sync-batch-size", from(1), Queues),
    ("ha-sync-mode", Word(&["automatic", "manual"]), Queues),
    ("initial-cluster-size", from(0), Queues),
    ("max-age", Age, Queues),
    ("max-in-memory-bytes", from(0), Queues),
    ("max-in-memory-length", from(0), Queues),
    ("max-length", from(0), Queues),
    ("max-length-bytes", from(0), Queues),
    ("message-ttl", from(0), Queues),
    ("overflow", Word(&["drop-head", "reject-publish", "reject-publish-dlx"]), Queues),
    (
        "queue-leader-locator",
        Word(&["client-local", "balanced", "random", "least-leaders"]),
        Queues,
    ),
    ("queue-master-locator", Text, Queues),
    ("queue-mode", Word(&["default", "lazy"]), Queues),
    ("queue-version", Range(1, 2), Queues),
    ("stream-filter-size-bytes", Range(16, 255), Queues),
    ("stream-max-segment-size-bytes", Range(0, LARGEST_SEGMENT), Queues),
    ("target-group-size", from(1), Queues),
];

/// What only a queue itself can say: it has attributes of these names, with `_`.
const OF_QUEUES: [&str; 3] =
    ["max-priority", "quorum-initial-group-size", "single-active-consumer"];

/// Ways to name upstreams, of which the server takes one.
const UPSTREAMS: [&str; 3] =
    ["federation-upstream", "federation-upstream-pattern", "federation-upstream-set"];

/// Settings that an operator policy may hold.
const OPERATOR: &[&str] = &[
    "delayed-retry-max",
    "delayed-retry-min",
    "delayed-retry-type",
    "delivery-limit",
    "expires",
    "ha-mode",
    "ha-params",
    "ha-sync-mode",
    "max-in-memory-bytes",
    "max-in-memory-length",
    "max-length",
    "max-length-bytes",
    "message-ttl",
    "overflow",
    "queue-master-locator",
    "queue-version",
    "target-group-size",
];

/// What is wrong with the settings of a policy.
pub(super) fn check(apply_to: ApplyTo, definition: &BTreeMap<String, Json>) -> Vec<Problem> {
    let mut problems = forms(definition);
    for (key, _, whom) in SETTINGS.iter().filter(|(key, ..)| definition.contains_key(*key)) {
        let misses = match apply_to {
            ApplyTo::All => false,
            ApplyTo::Exchanges => *whom == Queues,
            _ => *whom == Exchanges,
        };
        if misses {
            let whom = if *whom == Queues { "queues" } else { "exchanges" };
            problems.push(problem(
                format!("`{key}` is for {whom}, the policy is not"),
                "leave it out, or change `apply_to`".to_owned(),
            ));
        }
    }
    if let Some(queue_type) = apply_to.only() {
        let keys = definition.keys().filter(|key| unsupported(queue_type, key, LATEST));
        problems.extend(keys.map(|key| {
            let types = plural(queue_type);
            problem(
                format!("{types} have no `{key}`: the server would use the policy for none"),
                "leave it out, or change `apply_to`".to_owned(),
            )
        }));
    }
    let upstreams: Vec<_> =
        UPSTREAMS.iter().filter(|key| definition.contains_key(**key)).collect();
    if upstreams.len() > 1 {
        problems.push(problem(
            format!("`{}` and `{}` do not go together", upstreams[0], upstreams[1]),
            "keep one of them".to_owned(),
        ));
    }
    problems.extend(broken_promise(apply_to, definition));
    problems
}

/// What the server would take for something weaker.
fn broken_promise(apply_to: ApplyTo, definition: &BTreeMap<String, Json>) -> Option<Problem> {
    let overflow = definition.get("overflow").and_then(Json::as_str)?;
    if apply_to == ApplyTo::QuorumQueues && overflow == "reject-publish-dlx" {
        let message = "quorum queues have no `reject-publish-dlx`: the server would drop the \
                       oldest messages instead";
        let hint = "set `\"overflow\": \"reject-publish\"`";
        return Some(problem(message.to_owned(), hint.to_owned()));
    }
    if is_sure(definition) && overflow != "reject-publish" {
        let message = format!(
            "with `\"overflow\": \"{overflow}\"` the server would take `at-least-once` for \
             `at-most-once`, which loses dead letters"
        );
        let hint =
            "set `\"overflow\": \"reject-publish\"`, or leave `dead-letter-strategy` out";
        return Some(problem(message, hint.to_owned()));
    }
    None
}

/// Whether dead letters shall arrive for sure.
fn is_sure(definition: &BTreeMap<String, Json>) -> bool {
    definition.get("dead-letter-strategy").is_some_and(|word| word == "at-least-once")
}

/// What is wrong with the settings of an operator policy.
pub(super) fn check_operator(definition: &BTreeMap<String, Json>) -> Vec<Problem> {
    let mut problems = forms(definition);
    for key in definition.keys().filter(|key| known(key) && !OPERATOR.contains(&key.as_str())) {
        problems.push(problem(
            format!("`{key}` cannot be set by an operator policy"),
            "set it in a `rabbitmq::policy`".to_owned(),
        ));
    }
    problems
}

/// What works on old servers only, and promises that hang on what is not said.
pub(super) fn lint(definition: &BTreeMap<String, Json>) -> Vec<Lint> {
    let mut lints = Vec::new();
    let mut lint = |code: Code, message: &str, hint: &str| {
        let (message, hint) = (message.to_owned(), hint.to_owned());
        lints.push(Lint { code, at: Path::attribute("definition"), message, hint });
    };
    if definition.contains_key("ha-mode") {
        let hint = "declare the queues with `type: \"quorum\"` instead";
        lint(Code::Mirrored, "mirrored classic queues are gone with RabbitMQ 4.0", hint);
    }
    if is_sure(definition) && !definition.contains_key("overflow") {
        lint(
            Code::FallsBack,
            "unless a queue itself has `overflow`, the server takes `at-least-once` for \
             `at-most-once`, which loses dead letters",
            "set `\"overflow\": \"reject-publish\"` here",
        );
    }
    lints
}

/// What this server does not know, or not any more.
pub(super) fn unfit(
    version: &str,
    by: By,
    apply_to: ApplyTo,
    definition: &BTreeMap<String, Json>,
) -> Vec<Problem> {
    let mut problems = since::settings(version, by, definition);
    if apply_to.only().is_some() && !is_since(version, (3, 12)) {
        problems.push(Problem::new("apply_to", format!(
                "RabbitMQ {version} has no policies for one type of queue: they came with 3.12"
            )).hint("set `apply_to: \"queues\"`, and let `pattern` tell them apart"));
    }
    let negative =
        definition.get("delivery-limit").and_then(Json::as_i64).is_some_and(|n| n < 0);
    if negative && !is_since_4(version) {
        problems.push(problem(
            format!("RabbitMQ {version} takes no `delivery-limit` below 0"),
            "leave it out: before 4.0 there is no limit by default".to_owned(),
        ));
    }
    problems
}

/// Settings that a type of queue does not know. The server uses no policy for a queue that has
/// one of them.
const UNSUPPORTED: &[(&str, &[QueueType])] = &[
    ("dead-letter-exchange", STREAM),
    ("dead-letter-routing-key", STREAM),
    ("dead-letter-strategy", &[QueueType::Classic, QueueType::Stream]),
    ("delivery-limit", &[QueueType::Classic, QueueType::Stream]),
    ("expires", STREAM),
    ("ha-mode", REPLICATED),
    ("ha-params", REPLICATED),
    ("ha-promote-on-failure", REPLICATED),
    ("ha-promote-on-shutdown", REPLICATED),
    ("ha-sync-mode", REPLICATED),
    ("initial-cluster-size", &[QueueType::Classic, QueueType::Quorum]),
    ("max-age", &[QueueType::Classic, QueueType::Quorum]),
    ("max-in-memory-bytes", STREAM),
    ("max-in-memory-length", STREAM),
    ("max-length", STREAM),
    ("message-ttl", STREAM),
    ("overflow", STREAM),
    ("queue-master-locator", REPLICATED),
    ("queue-mode", REPLICATED),
    ("stream-max-segment-size-bytes", &[QueueType::Classic, QueueType::Quorum]),
    ("target-group-size", &[QueueType::Classic, QueueType::Stream]),
];

const STREAM: &[QueueType] = &[QueueType::Stream];
const REPLICATED: &[QueueType] = &[QueueType::Quorum, QueueType::Stream];

/// A version after which types of queues only learnt settings.
const LATEST: &str = "4";

/// Whether a type of queue does not know a setting.
pub(super) fn unsupported(queue_type: QueueType, key: &str, version: &str) -> bool {
    let is_classic = queue_type == QueueType::Classic;
    match key {
        "queue-leader-locator" => return is_classic && !is_since_4(version),
        "max-in-memory-bytes" | "max-in-memory-length" if is_classic => {
            return is_from(version, (3, 12, 7));
        }
        _ => {}
    }
    let known = UNSUPPORTED.iter().find(|(name, _)| *name == key);
    known.is_some_and(|(_, types)| types.contains(&queue_type))
}

/// Which value the server takes where a policy and an operator policy set the same; `None`
/// for settings whose rule dollop does not know.
pub(super) fn merged<'a>(
    key: &str,
    policy: &'a Json,
    operator: &'a Json,
    version: &str,
) -> Option<&'a Json> {
    let number = |value: &Json| value.as_i64();
    let lower = || (number(policy)? <= number(operator)?).then_some(policy).or(Some(operator));
    let higher = || (number(policy)? >= number(operator)?).then_some(policy).or(Some(operator));
    match key {
        "delayed-retry-max"
        | "expires"
        | "max-in-memory-bytes"
        | "max-in-memory-length"
        | "max-length"
        | "max-length-bytes"
        | "message-ttl" => lower(),
        // Below zero is no limit at all.
        "delivery-limit" => {
            let is_unlimited = |value| number(value).is_some_and(|limit| limit < 0);
            let unlimited = is_unlimited(policy) || is_unlimited(operator);
            if unlimited && is_since_4(version) { higher() } else { lower() }
        }
        "delayed-retry-min" | "target-group-size" => higher(),
        "delayed-retry-type" | "ha-sync-mode" | "overflow" | "queue-version" => Some(operator),
        _ => None,
    }
}

fn forms(definition: &BTreeMap<String, Json>) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (key, value) in definition.iter().filter(|(_, value)| !value.is_null()) {
        match SETTINGS.iter().find(|(known, ..)| known == key) {
            Some((_, form, _)) if !form.fits(value) => {
                let hint = match form {
                    Range(least, i64::MAX) => {
                        format!("write a whole number, {least} or more, without quotes")
                    }
                    Range(least, most) => {
                        format!("write a whole number from {least} to {most}, without quotes")
                    }
                    Age => "write a number and a unit: `\"7D\"`".to_owned(),
                    Int => "write a whole number, without quotes".to_owned(),
                    Bool => "write `true` or `false`, without quotes".to_owned(),
                    Text => "write text".to_owned(),
                    Word(words) => format!("one of `\"{}\"`", words.join("\"`, `\"")),
                };
                problems.push(problem(format!("`{key}` cannot be {value}"), hint));
            }
            Some(_) => {}
            None if OF_QUEUES.contains(&key.as_str()) => {
                let attribute = key.replace('-', "_");
                problems.push(problem(
                    format!("`{key}` cannot be set by a policy"),
                    format!("set `{attribute}` of the `rabbitmq::queue`"),
                ));
            }
            None => {
                let names = SETTINGS.iter().map(|(known, ..)| *known);
                // Only a slip of the pen: plugins bring settings of their own.
                if let Some(near) = did_you_mean(key, names) {
                    problems.push(problem(
                        format!("there is no setting `{key}`"),
                        format!("did you mean `{near}`?"),
                    ));
                }
            }
        }
    }
    problems
}

fn known(key: &str) -> bool {
    SETTINGS.iter().any(|(known, ..)| *known == key)
}

fn problem(message: String, hint: String) -> Problem {
    Problem::new("definition", message).hint(hint)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_server_of_each_version_takes_its_own_value() {
        let taken = |key: &str, policy: i64, operator: i64, version: &str| {
            let (policy, operator) = (json!(policy), json!(operator));
            merged(key, &policy, &operator, version).and_then(Json::as_i64)
        };
        assert_eq!(taken("max-length", 5, 7, "3.10.8"), Some(5));
        assert_eq!(taken("max-length", 7, 5, "4.3.5"), Some(5));
        // Since 4.0 a limit below zero is none.
        assert_eq!(taken("delivery-limit", -1, 5, "3.13.7"), Some(-1));
        assert_eq!(taken("delivery-limit", -1, 5, "4.0.1"), Some(5));
        assert_eq!(taken("delivery-limit", 3, 5, "4.0.1"), Some(3));
        assert_eq!(taken("target-group-size", 3, 5, "4.0.1"), Some(5));
        assert_eq!(taken("queue-version", 2, 1, "4.0.1"), Some(1));
        assert_eq!(taken("delayed-retry-min", 3, 5, "4.3.1"), Some(5));
        assert_eq!(taken("delayed-retry-max", 3, 5, "4.3.1"), Some(3));
        assert_eq!(taken("shards-per-node", 2, 1, "4.0.1"), None);
    }

    #[test]
    fn what_a_version_does_not_know_is_said() {
        let many = |version: &str, apply_to: ApplyTo, key: &str, value: i64| {
            let definition = BTreeMap::from([(key.to_owned(), json!(value))]);
            unfit(version, By::Policy, apply_to, &definition).len()
        };
        assert_eq!(many("3.11.9", ApplyTo::Streams, "max-length-bytes", 1), 1);
        assert_eq!(many("3.12.0", ApplyTo::Streams, "max-length-bytes", 1), 0);
        assert_eq!(many("3.13.7", ApplyTo::Queues, "delivery-limit", -1), 1);
        assert_eq!(many("4.0.1", ApplyTo::Queues, "delivery-limit", -1), 0);
        assert_eq!(many("3.11.0", ApplyTo::Queues, "consumer-timeout", 1), 1);
        assert_eq!(many("3.12.14", ApplyTo::Queues, "target-group-size", 1), 1);
        assert_eq!(many("3.13.0", ApplyTo::Queues, "target-group-size", 1), 0);
        assert_eq!(many("4.0.1", ApplyTo::Queues, "ha-params", 1), 1);
    }

    /// Classic queues ignored these before 3.12.7; since then they are left out.
    #[test]
    fn a_policy_for_memory_is_for_quorum_queues() {
        let unknown =
            |version| unsupported(QueueType::Classic, "max-in-memory-length", version);
        assert!(!unknown("3.12.6") && unknown("3.12.7") && unknown(LATEST));
        assert!(!unsupported(QueueType::Quorum, "max-in-memory-length", LATEST));
    }
}
