//! Which servers know a setting of a policy or an argument of a queue, by RabbitMQ's own source
//! (`policy_validator`, `operator_policy_validator` and `capabilities` in `deps/rabbit/src`).

use std::collections::BTreeMap;

use dollop_engine::resource::Problem;
use serde_json::Value as Json;

use super::queue::{LeaderLocator, Spec};
use super::queue_rules::plural;
use super::versions::{Version, is_from, is_since, is_since_4, parse};
use super::vhost::QueueType;

/// Who sets something.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    /// A policy.
    Policy,
    /// An operator policy.
    Operator,
}

/// A setting that not every server takes.
struct Setting {
    key: &'static str,
    by: By,
    /// The first release that has it, of each line that got it.
    since: &'static [Version],
    /// The first that has it no more.
    until: Option<Version>,
}

const fn setting(key: &'static str, by: By, since: &'static [Version]) -> Setting {
    Setting { key, by, since, until: None }
}

/// Of mirrored classic queues.
const fn mirrors(key: &'static str, by: By, since: &'static [Version]) -> Setting {
    Setting { key, by, since, until: Some((4, 0, 0)) }
}

use By::{Operator, Policy};

const SETTINGS: &[Setting] = &[
    setting("consumer-disconnected-timeout", Policy, &[(4, 3, 0)]),
    setting("consumer-timeout", Policy, &[(3, 12, 0)]),
    setting("delayed-retry-max", Policy, &[(4, 3, 1)]),
    setting("delayed-retry-max", Operator, &[(4, 3, 1)]),
    setting("delayed-retry-min", Policy, &[(4, 3, 1)]),
    setting("delayed-retry-min", Operator, &[(4, 3, 1)]),
    setting("delayed-retry-type", Policy, &[(4, 3, 1)]),
    setting("delayed-retry-type", Operator, &[(4, 3, 1)]),
    mirrors("ha-mode", Policy, &[]),
    mirrors("ha-mode", Operator, &[(3, 11, 10)]),
    mirrors("ha-params", Policy, &[]),
    mirrors("ha-params", Operator, &[(3, 11, 10)]),
    mirrors("ha-promote-on-failure", Policy, &[]),
    mirrors("ha-promote-on-shutdown", Policy, &[]),
    mirrors("ha-sync-batch-size", Policy, &[]),
    mirrors("ha-sync-mode", Policy, &[]),
    mirrors("ha-sync-mode", Operator, &[(3, 11, 15)]),
    setting("overflow", Operator, &[(3, 12, 7)]),
    setting("queue-master-locator", Operator, &[(4, 0, 0)]),
    setting("queue-version", Operator, &[(3, 11, 24), (3, 12, 7)]),
    setting("stream-filter-size-bytes", Policy, &[(3, 13, 0)]),
    setting("target-group-size", Policy, &[(3, 13, 0)]),
    setting("target-group-size", Operator, &[(3, 13, 0)]),
];

/// An argument of queues that not every server knows; those that do not leave it alone.
pub(super) struct Argument {
    /// `x-consumer-timeout`.
    pub(super) key: &'static str,
    since: Version,
    /// The types of queue that are refused without knowing it, from which version on.
    only: Option<(QueueType, Version)>,
}

const fn argument(
    key: &'static str,
    since: Version,
    only: Option<(QueueType, Version)>,
) -> Argument {
    Argument { key, since, only }
}

const QUORUM_4_3: Option<(QueueType, Version)> = Some((QueueType::Quorum, (4, 3, 0)));

/// Those that are no attributes.
pub(super) const ARGUMENTS: &[Argument] = &[
    argument("x-consumer-disconnected-timeout", (4, 3, 0), QUORUM_4_3),
    argument("x-consumer-timeout", (3, 12, 0), Some((QueueType::Quorum, (4, 3, 2)))),
    argument("x-delayed-retry-max", (4, 3, 0), QUORUM_4_3),
    argument("x-delayed-retry-min", (4, 3, 0), QUORUM_4_3),
    argument("x-delayed-retry-type", (4, 3, 0), QUORUM_4_3),
    argument("x-quorum-target-group-size", (3, 13, 0), None),
    argument("x-stream-filter-size-bytes", (3, 13, 0), Some((QueueType::Stream, (3, 13, 0)))),
];

/// Whether a version has what came with these, each of a line of its own.
fn has(version: &str, since: &[Version]) -> bool {
    let Some((major, minor, patch)) = parse(version) else { return true };
    let of_line = since.iter().find(|first| (first.0, first.1) == (major, minor));
    match (of_line, since.last()) {
        (Some(first), _) => patch >= first.2,
        (None, Some(last)) => (major, minor, patch) >= *last,
        (None, None) => true,
    }
}

/// `3.12`, or `3.12.7`.
fn words((major, minor, patch): Version) -> String {
    if patch == 0 { format!("{major}.{minor}") } else { format!("{major}.{minor}.{patch}") }
}

/// What of a definition this server does not take, or not any more.
pub(super) fn settings(
    version: &str,
    by: By,
    definition: &BTreeMap<String, Json>,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut mirrored = false;
    for known in SETTINGS.iter().filter(|known| known.by == by) {
        if !definition.contains_key(known.key) {
            continue;
        }
        if known.until.is_some_and(|until| is_from(version, until)) {
            mirrored = true;
        } else if !has(version, known.since)
            && let Some(first) = known.since.last()
        {
            let policies = if by == Policy { "policies" } else { "operator policies" };
            let message = format!(
                "RabbitMQ {version} has no `{}` in {policies}: it came with {}",
                known.key,
                words(*first)
            );
            problems.push(Problem::new("definition", message).hint("leave it out"));
        }
    }
    if mirrored {
        let message = format!("RabbitMQ {version} has no mirrored classic queues");
        let hint = "leave `ha-mode` and its like out, and declare the queues with \
                    `type: \"quorum\"`";
        problems.push(Problem::new("definition", message).hint(hint));
    }
    problems
}

/// What of a queue this server refuses, and, as notes, what it leaves alone.
pub(super) fn queue(version: &str, spec: &Spec) -> (Vec<String>, Vec<Problem>) {
    let (mut notes, mut problems) = (Vec::new(), Vec::new());
    let mut problem = |attribute: &str, message: String, hint: &str| {
        problems.push(Problem::new(attribute, message).hint(hint));
    };
    let is_classic = spec.queue_type == QueueType::Classic;
    if is_classic && spec.queue_leader_locator.is_some() && !is_since_4(version) {
        problem(
            "queue_leader_locator",
            format!(
                "RabbitMQ {version} has no `queue_leader_locator` for classic queues: it came \
                 with 4.0"
            ),
            "leave it out, or change `type`",
        );
    }
    let is_old = spec.queue_leader_locator == Some(LeaderLocator::MinMasters);
    if is_old && !is_since_4(version) {
        problem(
            "queue_leader_locator",
            format!("RabbitMQ {version} has no `\"min-masters\"`: it came with 4.0"),
            "set `queue_leader_locator: \"balanced\"`",
        );
    }
    if spec.delivery_limit.is_some_and(|limit| limit < 0) && !is_since_4(version) {
        // It takes the number, and every message that is handed back is one too many.
        problem(
            "delivery_limit",
            format!("RabbitMQ {version} takes no `delivery_limit` below 0"),
            "leave it out: before 4.0 there is no limit by default",
        );
    }
    if spec.queue_version == Some(1) && is_since(version, (4, 3)) {
        problem(
            "queue_version",
            format!("RabbitMQ {version} makes no queues of version 1: 4.2 was the last"),
            "leave it out",
        );
    }
    for known in ARGUMENTS.iter().filter(|known| spec.arguments.contains_key(known.key)) {
        let key = known.key;
        if !is_from(version, known.since) {
            notes.push(format!(
                "RabbitMQ {version} does not know `{key}` and leaves it alone: it came with {}",
                words(known.since)
            ));
        }
        let refused = known
            .only
            .filter(|(only, from)| *only != spec.queue_type && is_from(version, *from));
        if let Some((only, _)) = refused {
            let (only, is) = (plural(only), plural(spec.queue_type));
            problem(
                "arguments",
                format!("`{key}` is for {only}, not for {is}"),
                "leave it out, or change `type`",
            );
        }
    }
    (notes, problems)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The releases that do not have a setting, and those that do.
    #[test]
    fn a_setting_is_for_the_releases_that_have_it() {
        let many = |version: &str, by: By, key: &str| {
            settings(version, by, &BTreeMap::from([(key.to_owned(), json!(1))])).len()
        };
        for (by, key, without, with) in [
            (Policy, "consumer-timeout", "3.11.28", "3.12.0"),
            (Policy, "stream-filter-size-bytes", "3.12.14", "3.13.0"),
            (Policy, "delayed-retry-min", "4.3.0", "4.3.1"),
            (Operator, "delayed-retry-min", "4.3.0", "4.3.1"),
            (Policy, "consumer-disconnected-timeout", "4.2.9", "4.3.0"),
            (Operator, "overflow", "3.12.6", "3.12.7"),
            (Operator, "ha-mode", "3.10.8", "3.11.10"),
            (Operator, "ha-mode", "4.0.1", "3.12.0"),
            (Operator, "ha-sync-mode", "3.11.14", "3.13.7"),
            (Policy, "ha-params", "4.0.1", "3.10.8"),
            (Operator, "queue-master-locator", "3.13.7", "4.0.1"),
            (Operator, "queue-version", "3.11.23", "3.11.24"),
            // The line after that one got it later.
            (Operator, "queue-version", "3.12.6", "3.12.7"),
            (Operator, "target-group-size", "3.12.14", "3.13.0"),
        ] {
            assert_eq!(many(without, by, key), 1, "{key} {without}");
            assert_eq!(many(with, by, key), 0, "{key} {with}");
        }
        for key in ["overflow", "queue-version", "queue-master-locator"] {
            assert_eq!(many("3.10.8", Policy, key), 0, "{key}");
        }
    }

    #[test]
    fn a_queue_is_for_the_releases_that_make_it() {
        let told = |version: &str, spec: Json| {
            let mut spec = spec;
            spec["vhost"] = json!("v");
            let spec: Spec = serde_json::from_value(spec).unwrap();
            let (notes, problems) = queue(version, &spec);
            (notes.len(), problems.len())
        };
        let leads = |locator: &str| json!({ "queue_leader_locator": locator });
        assert_eq!(told("3.13.7", leads("balanced")), (0, 1));
        assert_eq!(told("4.0.1", leads("balanced")), (0, 0));
        let oldest = json!({ "type": "quorum", "queue_leader_locator": "min-masters" });
        assert_eq!(told("3.13.7", oldest.clone()), (0, 1));
        assert_eq!(told("4.0.1", oldest), (0, 0));
        let unlimited = json!({ "type": "quorum", "delivery_limit": -1 });
        assert_eq!(told("3.13.7", unlimited.clone()), (0, 1));
        assert_eq!(told("4.0.1", unlimited), (0, 0));
        assert_eq!(told("3.10.8", json!({ "type": "quorum", "delivery_limit": 0 })), (0, 0));
        assert_eq!(told("4.2.9", json!({ "queue_version": 1 })), (0, 0));
        assert_eq!(told("4.3.0", json!({ "queue_version": 1 })), (0, 1));
        assert_eq!(told("4.3.0", json!({ "queue_version": 2 })), (0, 0));
        let filters = |kind: &str| json!({ "type": kind, "arguments": { "x-stream-filter-size-bytes": 16 } });
        assert_eq!(told("3.12.14", filters("stream")), (1, 0));
        assert_eq!(told("3.13.0", filters("stream")), (0, 0));
        assert_eq!(told("3.13.0", filters("quorum")), (0, 1));
        let waits = json!({ "arguments": { "x-consumer-timeout": 1 } });
        assert_eq!(told("3.11.28", waits.clone()), (1, 0));
        assert_eq!(told("3.12.0", waits.clone()), (0, 0));
        assert_eq!(told("4.3.1", waits.clone()), (0, 0));
        assert_eq!(told("4.3.2", waits), (0, 1));
    }
}
