//! Policies: <https://www.rabbitmq.com/docs/policies>.

use std::collections::{BTreeMap, BTreeSet};

use dollop_engine::analysis::Lint;
use dollop_engine::error::CallError;
use dollop_engine::resource::{Beside, Preview, Problem, Proposed, Traits};
use dollop_engine::value::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::exchange::Exchange;
use super::instead;
use super::item::{Item, Place, in_vhost};
use super::matching::{self, Candidate, Field};
use super::queue::Queue;
use super::server::Server;
use super::since::By;
use super::vhost::QueueType;
use super::{pattern, policy_rules};

/// Settings for all queues or exchanges whose names match. Unlike the arguments of a queue,
/// they change while it lives.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The vhost.
    #[schemars(extend("x-handle" = "rabbitmq::vhost"))]
    pub(super) vhost: String,
    /// A regular expression for names. Example: `"^orders\\."`.
    pub(super) pattern: String,
    /// What it is for.
    #[serde(default)]
    pub(super) apply_to: ApplyTo,
    /// Of several policies that match, the one with the highest priority counts.
    #[serde(default)]
    pub(super) priority: i64,
    /// The settings, as the server names them. Example: `#{ "message-ttl": 60000 }`.
    pub(super) definition: BTreeMap<String, Json>,
}

/// What a policy is for. The last three need RabbitMQ 3.12.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ApplyTo {
    /// Queues, streams and exchanges.
    #[default]
    All,
    /// Queues and streams.
    Queues,
    /// Exchanges.
    Exchanges,
    /// Classic queues.
    ClassicQueues,
    /// Quorum queues.
    QuorumQueues,
    /// Streams.
    Streams,
}

impl ApplyTo {
    /// The one type of queue it is for, if it is.
    pub(super) fn only(self) -> Option<QueueType> {
        match self {
            Self::ClassicQueues => Some(QueueType::Classic),
            Self::QuorumQueues => Some(QueueType::Quorum),
            Self::Streams => Some(QueueType::Stream),
            Self::All | Self::Queues | Self::Exchanges => None,
        }
    }
}

/// The kind `rabbitmq::policy`.
pub struct Policy;

/// A policy as the server lists it.
#[derive(Deserialize)]
pub struct Row {
    vhost: String,
    name: String,
    #[serde(flatten)]
    settings: Settings,
}

#[derive(Deserialize)]
struct Settings {
    pattern: String,
    /// Not an [`ApplyTo`] yet: one that is unknown must not hide the other policies.
    #[serde(rename = "apply-to")]
    apply_to: Json,
    #[serde(default)]
    priority: i64,
    definition: BTreeMap<String, Json>,
}

impl Item for Policy {
    const KIND: &'static str = "rabbitmq::policy";
    type Spec = Spec;
    type Row = Row;

    fn traits() -> Traits {
        Traits { within: &["vhost"], instead: instead::POLICY, ..Traits::default() }
    }

    fn lint(spec: &Spec) -> Vec<Lint> {
        policy_rules::lint(&spec.definition)
    }

    fn check(spec: &Spec) -> Vec<Problem> {
        let mut problems = check(spec);
        problems.extend(policy_rules::check(spec.apply_to, &spec.definition));
        problems
    }

    const PREVIEWS: bool = true;

    const PREVIEWED_WITH: &'static [&'static str] =
        &[OperatorPolicy::KIND, Queue::KIND, Exchange::KIND];

    /// Which queues and exchanges it is for, and which policy counts where others match too.
    async fn preview(
        server: &Server,
        proposed: &[Proposed<Spec>],
        beside: &Beside,
    ) -> Result<Vec<Preview>, CallError> {
        let field = Field {
            what: "policy",
            proposed: proposed.iter().map(|one| candidate(one, &one.to)).collect(),
            known: known(&Self::rows(server, &[]).await?, proposed, |spec| spec),
            others: others(&OperatorPolicy::rows(server, &[]).await?),
            beside,
        };
        previews(server, field).await
    }

    async fn rows(server: &Server, _: &[Place]) -> Result<Vec<Row>, CallError> {
        server.definitions().await?.rows("policies")
    }

    fn row_place(row: &Row) -> Place {
        in_vhost(&row.vhost, &row.name)
    }

    fn place(name: &str, spec: &Spec) -> Place {
        in_vhost(&spec.vhost, name)
    }

    fn found(_: Option<&Spec>, row: &Row) -> Result<Spec, CallError> {
        found("policy", row)
    }

    fn words(name: &str, spec: &Spec) -> String {
        format!("policy `{name}` in vhost `{}`", spec.vhost)
    }

    fn path<'a>(name: &'a str, spec: &'a Spec) -> Vec<&'a str> {
        vec!["policies", &spec.vhost, name]
    }

    fn body(_: &str, spec: &Spec) -> Json {
        body(spec)
    }
}

/// Limits that the server's operator sets: they count beside the policy of a queue, and
/// where both limit the same, the lower one wins.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct OperatorSpec(Spec);

/// The kind `rabbitmq::operator_policy`.
pub struct OperatorPolicy;

impl Item for OperatorPolicy {
    const KIND: &'static str = "rabbitmq::operator_policy";
    type Spec = OperatorSpec;
    type Row = Row;

    fn check(OperatorSpec(spec): &OperatorSpec) -> Vec<Problem> {
        let mut problems = check(spec);
        if spec.apply_to == ApplyTo::All || spec.apply_to == ApplyTo::Exchanges {
            problems.push(
                Problem::new("apply_to", "operator policies are for queues")
                    .hint("set `apply_to: \"queues\"`"),
            );
        }
        problems.extend(policy_rules::check_operator(&spec.definition));
        problems
    }

    const PREVIEWS: bool = true;

    const PREVIEWED_WITH: &'static [&'static str] =
        &[Policy::KIND, Queue::KIND, Exchange::KIND];

    /// The same, and what it does to the policies that set the same.
    async fn preview(
        server: &Server,
        proposed: &[Proposed<OperatorSpec>],
        beside: &Beside,
    ) -> Result<Vec<Preview>, CallError> {
        let field = Field {
            what: "operator policy",
            proposed: proposed.iter().map(|one| candidate(one, &one.to.0)).collect(),
            known: known(&Self::rows(server, &[]).await?, proposed, |spec| &spec.0),
            others: others(&Policy::rows(server, &[]).await?),
            beside,
        };
        previews(server, field).await
    }

    async fn rows(server: &Server, _: &[Place]) -> Result<Vec<Row>, CallError> {
        let parameters = server.definitions().await?.parameters("operator_policy")?;
        let row = |parameter: super::parameter::Row| {
            let settings = super::definitions::read("operator policies", &parameter.value)?;
            Ok(Row { vhost: parameter.vhost, name: parameter.name, settings })
        };
        parameters.into_iter().map(row).collect()
    }

    fn row_place(row: &Row) -> Place {
        in_vhost(&row.vhost, &row.name)
    }

    fn place(name: &str, OperatorSpec(spec): &OperatorSpec) -> Place {
        in_vhost(&spec.vhost, name)
    }

    fn found(_: Option<&OperatorSpec>, row: &Row) -> Result<OperatorSpec, CallError> {
        found("operator policy", row).map(OperatorSpec)
    }

    fn words(name: &str, OperatorSpec(spec): &OperatorSpec) -> String {
        format!("operator policy `{name}` in vhost `{}`", spec.vhost)
    }

    fn path<'a>(name: &'a str, OperatorSpec(spec): &'a OperatorSpec) -> Vec<&'a str> {
        vec!["operator-policies", &spec.vhost, name]
    }

    fn body(_: &str, OperatorSpec(spec): &OperatorSpec) -> Json {
        body(spec)
    }
}

/// The policies of a server as they will be, and its operator policies.
pub(super) async fn all(
    server: &Server,
    beside: &Beside,
) -> Result<[Vec<Candidate>; 2], CallError> {
    let (policies, operator) =
        futures::try_join!(Policy::rows(server, &[]), OperatorPolicy::rows(server, &[]))?;
    let gone: BTreeSet<(&str, String, String)> = matching::gone(beside).collect();
    let all = |kind: &str, rows: &[Row]| {
        let stays = others(rows)
            .into_iter()
            .filter(|one| !gone.contains(&(kind, one.spec.vhost.clone(), one.name.clone())));
        let planned = beside.proposed.iter();
        let planned =
            planned.filter(|one| one.name.address.kind() == kind).filter_map(planned_as);
        latest(stays.chain(planned))
    };
    Ok([all(Policy::KIND, &policies), all(OperatorPolicy::KIND, &operator)])
}

/// All that exist of the same sort, without what is called otherwise afterwards.
fn known<T>(
    rows: &[Row],
    proposed: &[Proposed<T>],
    spec: impl Fn(&T) -> &Spec,
) -> Vec<Candidate> {
    let renamed = proposed.iter().filter_map(|one| {
        let id = one.id.as_deref().filter(|id| *id != one.name.natural)?;
        Some((spec(one.from.as_ref()?).vhost.as_str(), id))
    });
    let renamed: BTreeSet<(&str, &str)> = renamed.collect();
    let mut known = others(rows);
    known.retain(|one| !renamed.contains(&(one.spec.vhost.as_str(), one.name.as_str())));
    known
}

fn candidate<T>(one: &Proposed<T>, spec: &Spec) -> Candidate {
    Candidate { name: one.name.natural.clone(), spec: spec.clone() }
}

/// Those that exist. One that dollop does not know is none of a preview's business.
fn others(rows: &[Row]) -> Vec<Candidate> {
    let candidate = |row: &Row| {
        Some(Candidate { name: row.name.clone(), spec: found("policy", row).ok()? })
    };
    rows.iter().filter_map(candidate).collect()
}

/// What each policy is for, and what this server does not know of it.
async fn previews(server: &Server, mut field: Field<'_>) -> Result<Vec<Preview>, CallError> {
    take_over(&mut field);
    let field = &field;
    let mut previews = matching::previews(server, field).await?;
    let by = if field.what == "policy" { By::Policy } else { By::Operator };
    for (preview, Candidate { spec, .. }) in previews.iter_mut().zip(&field.proposed) {
        let unfit = policy_rules::unfit(&server.version, by, spec.apply_to, &spec.definition);
        preview.problems.extend(unfit);
    }
    Ok(previews)
}

/// Puts what the same plan makes of policies of the other sort in the place of what exists, and
/// leaves out what goes of either.
fn take_over(field: &mut Field<'_>) {
    let kinds = [Policy::KIND, OperatorPolicy::KIND];
    let (own, other) = match field.what {
        "policy" => (Policy::KIND, OperatorPolicy::KIND),
        _ => (OperatorPolicy::KIND, Policy::KIND),
    };
    let beside = field.beside;
    let gone: BTreeSet<(&str, String, String)> = matching::gone(beside).collect();
    let stays = |kind: &'static str| {
        let gone = &gone;
        move |one: &Candidate| !gone.contains(&(kind, one.spec.vhost.clone(), one.name.clone()))
    };
    field.known.retain(stays(own));
    field.others.retain(stays(other));
    let planned = beside.proposed.iter();
    let planned = planned.filter(|one| kinds.contains(&one.name.address.kind()));
    let others = std::mem::take(&mut field.others).into_iter();
    field.others = latest(others.chain(planned.filter_map(planned_as)));
}

/// A policy of either sort as the plan makes it.
fn planned_as(one: &Proposed<Value>) -> Option<Candidate> {
    let mut spec = one.to.to_json();
    // What it is called is no attribute of the kind's own.
    spec.as_object_mut()?.remove("name");
    let spec = serde_json::from_value(spec).ok()?;
    Some(Candidate { name: one.name.natural.clone(), spec })
}

/// Of several in one place, what comes later.
fn latest(all: impl Iterator<Item = Candidate>) -> Vec<Candidate> {
    let all: BTreeMap<(String, String), Candidate> =
        all.map(|one| ((one.spec.vhost.clone(), one.name.clone()), one)).collect();
    all.into_values().collect()
}

fn check(spec: &Spec) -> Vec<Problem> {
    let mut problems = super::arguments::check_nulls("definition", &spec.definition);
    problems.extend(pattern::check("pattern", &spec.pattern));
    if spec.definition.is_empty() {
        problems.push(
            Problem::new("definition", "the policy sets nothing")
                .hint("name a setting, such as `\"message-ttl\": 60000`"),
        );
    }
    problems
}

fn found(what: &str, row: &Row) -> Result<Spec, CallError> {
    let Row { vhost, name, settings } = row;
    let apply_to = ApplyTo::deserialize(&settings.apply_to).map_err(|_| {
        CallError::refused(format!(
            "{what} `{name}` in vhost `{vhost}` applies to {}, which dollop does not know",
            settings.apply_to
        ))
    })?;
    Ok(Spec {
        vhost: vhost.clone(),
        pattern: settings.pattern.clone(),
        apply_to,
        priority: settings.priority,
        definition: settings.definition.clone(),
    })
}

fn body(spec: &Spec) -> Json {
    json!({
        "pattern": spec.pattern,
        "apply-to": spec.apply_to,
        "priority": spec.priority,
        "definition": spec.definition,
    })
}
