//! Which settings a policy may hold and what they look like
//! (<https://www.rabbitmq.com/docs/parameters#policies>): RabbitMQ refuses others, and
//! takes `"60000"` for no number.

use std::collections::BTreeMap;

use dollop_engine::analysis::Lint;
use dollop_engine::diagnostic::{Code, did_you_mean};
use dollop_engine::path::Path;
use dollop_engine::resource::Problem;
use serde_json::Value as Json;

use super::arguments::Form::{self, Bool, Int, Text, Word};
use super::policy::ApplyTo;

/// What a setting is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum For {
    Queues,
    Exchanges,
    Both,
}

use For::{Both, Exchanges, Queues};

/// Settings with their forms. Plugins may bring more; those are the server's to judge.
const SETTINGS: &[(&str, Form, For)] = &[
    ("alternate-exchange", Text, Exchanges),
    ("consumer-timeout", Int, Queues),
    ("dead-letter-exchange", Text, Queues),
    ("dead-letter-routing-key", Text, Queues),
    ("dead-letter-strategy", Word(&["at-most-once", "at-least-once"]), Queues),
    ("delivery-limit", Int, Queues),
    ("expires", Int, Queues),
    ("federation-upstream", Text, Both),
    ("federation-upstream-pattern", Text, Both),
    ("federation-upstream-set", Text, Both),
    ("ha-mode", Word(&["all", "exactly", "nodes"]), Queues),
    ("ha-promote-on-failure", Word(&["always", "when-synced"]), Queues),
    ("ha-promote-on-shutdown", Word(&["always", "when-synced"]), Queues),
    ("ha-sync-batch-size", Int, Queues),
    ("ha-sync-mode", Word(&["automatic", "manual"]), Queues),
    ("initial-cluster-size", Int, Queues),
    ("max-age", Text, Queues),
    ("max-in-memory-bytes", Int, Queues),
    ("max-in-memory-length", Int, Queues),
    ("max-length", Int, Queues),
    ("max-length-bytes", Int, Queues),
    ("max-priority", Int, Queues),
    ("message-ttl", Int, Queues),
    ("overflow", Word(&["drop-head", "reject-publish", "reject-publish-dlx"]), Queues),
    ("queue-leader-locator", Word(&["client-local", "balanced"]), Queues),
    ("queue-master-locator", Text, Queues),
    ("queue-mode", Word(&["default", "lazy"]), Queues),
    ("queue-version", Int, Queues),
    ("stream-max-segment-size-bytes", Int, Queues),
];

/// Settings that an operator policy may hold.
const OPERATOR: &[&str] = &[
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
    problems
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

/// Settings that work on old servers only.
pub(super) fn lint(definition: &BTreeMap<String, Json>) -> Vec<Lint> {
    if !definition.contains_key("ha-mode") {
        return Vec::new();
    }
    vec![Lint {
        code: Code::Mirrored,
        at: Path::attribute("definition"),
        message: "mirrored classic queues are gone with RabbitMQ 4.0".to_owned(),
        hint: "declare the queues with `type: \"quorum\"` instead".to_owned(),
    }]
}

/// Settings that this server does not know any more.
pub(super) fn gone(version: &str, definition: &BTreeMap<String, Json>) -> Vec<Problem> {
    let mirrors = definition.keys().any(|key| key.starts_with("ha-"));
    if !mirrors || !is_since_4(version) {
        return Vec::new();
    }
    let message = format!("RabbitMQ {version} has no mirrored classic queues");
    let hint =
        "leave `ha-mode` and its like out, and declare the queues with `type: \"quorum\"`";
    vec![problem(message, hint.to_owned())]
}

/// RabbitMQ 4.0 was the end of much, and gave quorum queues a limit on deliveries.
pub(super) fn is_since_4(version: &str) -> bool {
    let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
    major.is_some_and(|major| major >= 4)
}

fn forms(definition: &BTreeMap<String, Json>) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (key, value) in definition.iter().filter(|(_, value)| !value.is_null()) {
        match SETTINGS.iter().find(|(known, ..)| known == key) {
            Some((_, form, _)) if !form.fits(value) => {
                let hint = match form {
                    Int => "write a whole number, without quotes".to_owned(),
                    Bool => "write `true` or `false`, without quotes".to_owned(),
                    Text => "write text".to_owned(),
                    Word(words) => format!("one of `\"{}\"`", words.join("\"`, `\"")),
                };
                problems.push(problem(format!("`{key}` cannot be {value}"), hint));
            }
            Some(_) => {}
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
    Problem { attribute: "definition".to_owned(), message, hint: Some(hint) }
}
