//! What keeps a queue from keeping its messages: its own arguments, and the policies that count
//! for it.

use std::collections::BTreeMap;

use dollop_engine::error::CallError;
use dollop_engine::resource::{Beside, Problem};
use serde_json::Value as Json;

use super::item::{Item as _, Place};
use super::matching::{Candidate, counting};
use super::policy;
use super::queue::{Queue, QueueType, Spec};
use super::server::Server;
use super::versions::is_since_4;

/// The numbers that do, as policies name them; the lower one counts.
const LIMITS: [&str; 5] =
    ["max-length", "max-length-bytes", "message-ttl", "expires", DELIVERIES];
const DELIVERIES: &str = "delivery-limit";
/// How often RabbitMQ 4 hands out a message of a quorum queue when nothing says how often.
const DEFAULT_DELIVERIES: i64 = 20;

/// A queue: where it is, and how it is declared.
pub(super) type At<'a> = (&'a Place, &'a Spec);

/// The policies of a server, and its operator policies.
pub(super) struct Policies {
    all: [Vec<Candidate>; 2],
    version: String,
}

impl Policies {
    /// Those there will be.
    pub(super) async fn of(server: &Server, beside: &Beside) -> Result<Self, CallError> {
        let all = policy::all(server, beside).await?;
        Ok(Self { all, version: server.version.clone() })
    }

    /// None at all, on an old server.
    #[cfg(test)]
    pub(super) fn none() -> Self {
        Self { all: [Vec::new(), Vec::new()], version: "3.10.8".to_owned() }
    }

    /// What a queue keeps; of several policies that may count for it, by the strictest.
    pub(super) fn bounds(&self, of: At<'_>) -> Bounds {
        self.merged(of, false)
    }

    /// What a queue keeps, to be compared with another one: of several policies that may count
    /// for it by the loosest, unless the same are there for the other.
    pub(super) fn bounds_beside(&self, of: At<'_>, other: At<'_>) -> Bounds {
        let names = |at: At<'_>| {
            self.counting(at).map(|all| all.iter().map(|one| one.name.as_str()).collect())
        };
        let (ours, others): ([Vec<&str>; 2], [Vec<&str>; 2]) = (names(of), names(other));
        self.merged(of, ours != others)
    }

    /// Why a queue may not hold the messages of another while that is made anew: policies would
    /// let it keep less than both the old one and the new one do.
    pub(super) fn hindrance(
        &self,
        meanwhile: At<'_>,
        old: At<'_>,
        new: At<'_>,
    ) -> Option<Problem> {
        let holds = self.bounds(meanwhile);
        let (old_holds, new_holds) =
            (self.bounds_beside(old, meanwhile), self.bounds_beside(new, meanwhile));
        let least = |key: &str| {
            let both = [&old_holds, &new_holds];
            both.into_iter().filter_map(|bounds| bounds.limit(key)).map(|one| one.limit).min()
        };
        let stricter = LIMITS.into_iter().find_map(|key| {
            let limit = holds.limit(key)?;
            least(key).is_none_or(|least| limit.limit < least).then_some(limit)
        });
        let lengths = ["max-length", "max-length-bytes"];
        let refuses = holds.refuses && !old_holds.refuses && !new_holds.refuses;
        let refusing = lengths.into_iter().filter(|_| refuses).find_map(|key| holds.limit(key));
        let (limit, why) = match (stricter, refusing) {
            (Some(limit), _) => (limit, "messages would be lost"),
            (None, Some(limit)) => (limit, "it refuses what is beyond"),
            (None, None) => return None,
        };
        let (name, words) = (&meanwhile.0.1, &limit.words);
        let message = format!(
            "queue `{name}`, which holds the messages meanwhile, would be under {words}, which \
             `{}` is not: {why}",
            old.0.1
        );
        let hint = format!(
            "let the policy that is for `{}` be for `{name}` too, or take that name out of the \
             other's pattern",
            old.0.1
        );
        Some(Problem::new("migrate", message).hint(hint))
    }

    fn counting(&self, (place, spec): At<'_>) -> [Vec<&Candidate>; 2] {
        self.all.each_ref().map(|all| counting(all, place, spec.queue_type, &self.version))
    }

    fn merged(&self, (place, spec): At<'_>, loosest: bool) -> Bounds {
        let is_quorum = spec.queue_type == QueueType::Quorum;
        let of_4 = is_since_4(&self.version);
        let body = Queue::body(&place.1, spec);
        let own = &body["arguments"];
        let counting = self.counting((place, spec));
        let mut bounds = Bounds::default();
        for key in LIMITS {
            let mut said: Vec<Bound> = Vec::new();
            if let Some(limit) = own[format!("x-{key}")].as_i64() {
                let words = format!("`{}: {limit}`", key.replace('-', "_"));
                said.push(Bound { limit, words });
            }
            for (what, all) in ["policy", "operator policy"].into_iter().zip(&counting) {
                let limits = all.iter().map(|one| {
                    let limit = one.spec.definition.get(key).and_then(Json::as_i64)?;
                    let words = format!("`{key}: {limit}` of {what} `{}`", one.name);
                    Some(Bound { limit, words })
                });
                said.extend(if loosest {
                    // One that does not say it is looser than all that do.
                    let limits: Option<Vec<Bound>> = limits.collect();
                    limits.unwrap_or_default().into_iter().max_by_key(|one| one.limit)
                } else {
                    limits.flatten().min_by_key(|one| one.limit)
                });
            }
            if key == DELIVERIES && of_4 && is_quorum {
                if said.is_empty() {
                    let words = format!("`{key}: {DEFAULT_DELIVERIES}`, which is the default");
                    said.push(Bound { limit: DEFAULT_DELIVERIES, words });
                }
                // Below zero is no limit.
                said.retain(|one| one.limit >= 0);
            }
            let least = said.into_iter().min_by_key(|one| one.limit);
            bounds.limits.extend(least.map(|least| (key, least)));
        }
        let own = own["x-overflow"].as_str();
        let by_policy: Vec<Option<&str>> = counting
            .iter()
            .flatten()
            .map(|one| one.spec.definition.get("overflow").and_then(Json::as_str))
            .collect();
        let refuses = |word: Option<&str>| match word {
            Some("reject-publish") => true,
            // Quorum queues drop the oldest then.
            Some("reject-publish-dlx") => !is_quorum,
            _ => false,
        };
        let is_said = by_policy.iter().any(Option::is_some);
        bounds.refuses = match own {
            // Classic queues ask their own argument first, quorum queues the policy.
            Some(_) if !is_quorum || !is_said => refuses(own),
            _ if loosest => !by_policy.is_empty() && by_policy.into_iter().all(refuses),
            _ => by_policy.into_iter().any(refuses),
        };
        bounds
    }
}

/// A limit, and in words where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bound {
    pub(super) limit: i64,
    pub(super) words: String,
}

/// What a queue keeps.
#[derive(Debug, Default)]
pub(super) struct Bounds {
    limits: BTreeMap<&'static str, Bound>,
    /// Whether it refuses what is beyond a length.
    pub(super) refuses: bool,
}

impl Bounds {
    /// What is said by a key of policies.
    pub(super) fn limit(&self, key: &str) -> Option<&Bound> {
        self.limits.get(key)
    }

    /// How often it hands out a message.
    pub(super) fn deliveries(&self) -> Option<&Bound> {
        self.limit(DELIVERIES)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::item::in_vhost;
    use super::*;

    fn spec(mut more: Json) -> Spec {
        more["vhost"] = json!("v");
        serde_json::from_value(more).unwrap()
    }

    /// A policy by its name, pattern, what it is for, priority and settings.
    fn policy(name: &str, pattern: &str, apply_to: &str, rank: i64, sets: &Json) -> Candidate {
        let spec = json!({
            "vhost": "v", "pattern": pattern, "apply_to": apply_to, "priority": rank,
            "definition": sets,
        });
        Candidate { name: name.to_owned(), spec: serde_json::from_value(spec).unwrap() }
    }

    fn of(version: &str, plain: Vec<Candidate>, operator: Vec<Candidate>) -> Policies {
        Policies { all: [plain, operator], version: version.to_owned() }
    }

    /// Why the messages of `work` cannot wait beside it, if they cannot.
    fn hindrance(policies: &Policies, old: Json, new: Json) -> Option<String> {
        let (work, aside) = (in_vhost("v", "work"), in_vhost("v", "work.dollop-drain"));
        let (old, new) = (spec(old), spec(new));
        let mut shelf = json!({ "type": new.queue_type });
        if new.queue_type == QueueType::Quorum && is_since_4(&policies.version) {
            shelf["delivery_limit"] = json!(-1);
        }
        let shelf = spec(shelf);
        let found = policies.hindrance((&aside, &shelf), (&work, &old), (&work, &new));
        found.map(|problem| problem.message)
    }

    #[test]
    fn a_policy_for_the_other_name_alone_stands_in_the_way() {
        let limit = || policy("all", ".*", "all", 0, &json!({ "max-length": 5 }));
        let both = of("3.10.8", vec![limit()], vec![]);
        assert_eq!(hindrance(&both, json!({}), json!({})), None);
        for rank in [10, 0] {
            let own = policy("own", "^work$", "queues", rank, &json!({ "message-ttl": 9 }));
            let policies = of("3.10.8", vec![limit(), own], vec![]);
            let found = hindrance(&policies, json!({}), json!({})).unwrap();
            assert!(
                found.contains("would be under `max-length: 5` of policy `all`"),
                "{found}"
            );
            // What the queue itself keeps no more of is no loss.
            assert_eq!(hindrance(&policies, json!({ "max_length": 5 }), json!({})), None);
            assert_eq!(hindrance(&policies, json!({}), json!({ "max_length": 4 })), None);
        }
        let operator = policy("op", "drain$", "queues", 0, &json!({ "expires": 5 }));
        let policies = of("3.10.8", vec![], vec![operator]);
        let found = hindrance(&policies, json!({}), json!({})).unwrap();
        assert!(found.contains("`expires: 5` of operator policy `op`"), "{found}");
    }

    #[test]
    fn what_only_the_server_can_read_may_be_for_it() {
        let unread = policy("odd", "(?R)?", "queues", 5, &json!({ "max-length": 5 }));
        let own = policy("own", "^work$", "queues", 9, &json!({ "message-ttl": 9 }));
        let policies = of("3.10.8", vec![unread, own], vec![]);
        assert!(hindrance(&policies, json!({}), json!({})).is_some());
    }

    #[test]
    fn a_queue_that_refuses_holds_nothing_meanwhile() {
        let refuses = json!({ "max-length": 5, "overflow": "reject-publish" });
        let policies = |pattern: &str| {
            of("3.10.8", vec![policy("p", pattern, "all", 0, &refuses)], vec![])
        };
        let own = json!({ "max_length": 5 });
        let found = hindrance(&policies("drain$"), own.clone(), json!({})).unwrap();
        assert!(found.ends_with("it refuses what is beyond"), "{found}");
        assert_eq!(hindrance(&policies("^work"), own, json!({})), None);
    }

    #[test]
    fn a_limit_on_deliveries_is_one_for_quorum_queues() {
        let limit = |limit: i64| {
            vec![policy("p", "drain$", "queues", 0, &json!({ "delivery-limit": limit }))]
        };
        let quorum = || json!({ "type": "quorum" });
        assert_eq!(hindrance(&of("3.13.7", limit(5), vec![]), json!({}), json!({})), None);
        assert!(hindrance(&of("3.13.7", limit(5), vec![]), quorum(), quorum()).is_some());
        assert!(hindrance(&of("4.0.1", limit(5), vec![]), quorum(), quorum()).is_some());
        // Where nothing is said, it is 20; what the other one says itself is none.
        assert_eq!(hindrance(&of("4.0.1", limit(20), vec![]), quorum(), quorum()), None);
        assert_eq!(hindrance(&of("4.0.1", limit(-1), vec![]), quorum(), quorum()), None);
        assert_eq!(hindrance(&of("4.0.1", vec![], vec![]), quorum(), quorum()), None);
    }

    #[test]
    fn a_policy_for_another_type_counts_from_then_on() {
        let classic = policy("p", ".*", "classic_queues", 0, &json!({ "max-length": 5 }));
        let policies = of("3.13.7", vec![classic], vec![]);
        let work = in_vhost("v", "work");
        let (old, new) = (spec(json!({ "type": "quorum" })), spec(json!({})));
        assert!(policies.bounds((&work, &old)).limit("max-length").is_none());
        assert_eq!(policies.bounds((&work, &new)).limit("max-length").unwrap().limit, 5);
        // The new queue keeps no more either, which the plan asks consent for.
        assert_eq!(hindrance(&policies, json!({ "type": "quorum" }), json!({})), None);
    }
}
