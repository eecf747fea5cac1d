//! What a policy will be for: the queues and exchanges whose names its pattern matches, which
//! of several policies counts for each, and what operator policies make of it.

use std::cmp::Ordering;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use dollop_engine::error::CallError;
use dollop_engine::resource::{Beside, Preview, Proposed};
use dollop_engine::value::Value;
use serde::Deserialize;
use serde_json::Value as Json;

use super::arguments::Arguments;
use super::exchange::Exchange;
use super::item::{Item as _, Place};
use super::pattern::matcher;
use super::policy::{ApplyTo, Spec};
use super::policy_rules::{merged, unsupported};
use super::queue::Queue;
use super::queue_rules::{TYPE, plural};
use super::server::Server;
use super::vhost::QueueType;

/// How many names a note shows.
const SHOWN: usize = 5;

/// What a policy may be for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sort {
    Exchange,
    /// A queue of a type; `None` for one that dollop does not know.
    Queue(Option<QueueType>),
}

/// A queue or an exchange.
struct Object {
    name: String,
    sort: Sort,
    /// Whether it is only to be made.
    planned: bool,
}

impl Object {
    /// Whether policies for these are for it.
    fn is_of(&self, apply_to: ApplyTo) -> bool {
        match (apply_to, self.sort) {
            (ApplyTo::All, _)
            | (ApplyTo::Exchanges, Sort::Exchange)
            | (ApplyTo::Queues, Sort::Queue(_)) => true,
            (one_type, Sort::Queue(Some(is))) => one_type.only() == Some(is),
            _ => false,
        }
    }

    /// One that the same plan makes, with its vhost.
    fn planned(one: &Proposed<Value>) -> Option<(String, Self)> {
        let text = |key: &str| one.to.get(key).and_then(Value::as_str);
        let vhost = text("vhost")?.to_owned();
        let sort = match one.name.address.kind() {
            kind if kind == Exchange::KIND => Sort::Exchange,
            kind if kind == Queue::KIND => {
                Sort::Queue(QueueType::deserialize(Json::from(text("type")?)).ok())
            }
            _ => return None,
        };
        Some((vhost, Self { name: one.name.natural.clone(), sort, planned: true }))
    }
}

/// One as the definitions list it.
#[derive(Deserialize)]
struct Row {
    vhost: String,
    name: String,
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    arguments: Arguments,
}

impl Row {
    /// Older servers say the type of a queue in an argument only.
    fn queue_type(&self) -> Option<QueueType> {
        let argument = || self.arguments.get(TYPE).and_then(Json::as_str);
        let word = self.kind.as_deref().or_else(argument).unwrap_or("classic");
        QueueType::deserialize(Json::from(word)).ok()
    }
}

/// A policy that is, or is to be.
pub(super) struct Candidate {
    pub(super) name: String,
    pub(super) spec: Spec,
}

/// The policies of a server that meet on its queues: those of one sort, with what is to be of
/// them, and those of the other.
pub(super) struct Field<'a> {
    /// `operator policy` or `policy`: what is proposed.
    pub(super) what: &'static str,
    pub(super) proposed: Vec<Candidate>,
    /// All that exist of the same sort.
    pub(super) known: Vec<Candidate>,
    /// All that exist of the other.
    pub(super) others: Vec<Candidate>,
    /// What else the same plan does.
    pub(super) beside: &'a Beside,
}

/// A candidate with its pattern ready to be asked.
struct Contender<'a> {
    name: &'a str,
    spec: &'a Spec,
    matches: Box<dyn Fn(&str) -> bool + Send + Sync + 'a>,
}

impl<'a> Contender<'a> {
    /// `None` when the pattern cannot be judged here.
    fn new(one: &'a Candidate) -> Option<Self> {
        let matches = Box::new(matcher(&one.spec.pattern)?);
        Some(Self { name: &one.name, spec: &one.spec, matches })
    }

    /// Whether it is for objects of that sort and meets its name.
    fn meets(&self, object: &Object) -> bool {
        object.is_of(self.spec.apply_to) && (self.matches)(&object.name)
    }

    /// The settings that keep the server from using it for an object it meets.
    fn unsupported(&self, object: &Object, version: &str) -> Vec<&'a str> {
        let Sort::Queue(Some(queue_type)) = object.sort else { return Vec::new() };
        let keys = self.spec.definition.keys().map(String::as_str);
        keys.filter(|key| unsupported(queue_type, key, version)).collect()
    }

    /// Whether the server would use it for an object if there was no other.
    fn counts_for(&self, object: &Object, version: &str) -> bool {
        self.meets(object) && self.unsupported(object, version).is_empty()
    }
}

/// The policies of one sort that count for a queue, or may: of several of the highest priority
/// the server takes one, and some patterns only it can read.
pub(super) fn counting<'a>(
    all: &'a [Candidate],
    (vhost, name): &Place,
    queue_type: QueueType,
    version: &str,
) -> Vec<&'a Candidate> {
    let sort = Sort::Queue(Some(queue_type));
    let object = Object { name: name.clone(), sort, planned: false };
    let near =
        all.iter().filter(|one| one.spec.vhost == *vhost && object.is_of(one.spec.apply_to));
    let judged = near.filter_map(|one| match Contender::new(one) {
        Some(judged) => judged.counts_for(&object, version).then_some((one, true)),
        None => Some((one, false)),
    });
    let judged: Vec<(&Candidate, bool)> = judged.collect();
    let sure = judged.iter().filter(|(_, is_sure)| *is_sure);
    let highest = sure.map(|(one, _)| one.spec.priority).max();
    let counting = judged.into_iter().map(|(one, _)| one);
    counting.filter(|one| highest.is_none_or(|highest| one.spec.priority >= highest)).collect()
}

/// What each of the proposed policies is for, and how it gets on with the others.
pub(super) async fn previews(
    server: &Server,
    field: &Field<'_>,
) -> Result<Vec<Preview>, CallError> {
    let definitions = server.definitions().await?;
    let mut objects: Objects = BTreeMap::new();
    for (section, is_exchange) in [("queues", false), ("exchanges", true)] {
        for row in definitions.rows::<Row>(section)? {
            let sort = if is_exchange { Sort::Exchange } else { Sort::Queue(row.queue_type()) };
            let object = Object { name: row.name, sort, planned: false };
            objects
                .entry(row.vhost)
                .or_default()
                .insert((is_exchange, object.name.clone()), object);
        }
    }
    plan_objects(&mut objects, field.beside);
    let anew: BTreeSet<(&str, &str)> =
        field.proposed.iter().map(|one| (one.spec.vhost.as_str(), one.name.as_str())).collect();
    let unchanged = field
        .known
        .iter()
        .filter(|one| !anew.contains(&(one.spec.vhost.as_str(), one.name.as_str())));
    let objects: BTreeMap<String, Vec<Object>> = objects
        .into_iter()
        .map(|(vhost, objects)| (vhost, objects.into_values().collect()))
        .collect();
    let rivals = by_vhost(unchanged.chain(&field.proposed));
    let others = by_vhost(field.others.iter());
    let preview = |one: &Candidate| {
        let vhost = one.spec.vhost.as_str();
        let view = View {
            what: field.what,
            version: &server.version,
            objects: objects.get(vhost).map_or(&[], Vec::as_slice),
            rivals: rivals.get(vhost).map_or(&[], Vec::as_slice),
            others: others.get(vhost).map_or(&[], Vec::as_slice),
        };
        let notes = match Contender::new(one) {
            Some(one) => view.notes(&one),
            None => vec![
                "only the server can read its pattern: what it matches is not known here"
                    .to_owned(),
            ],
        };
        Preview { notes, ..Preview::default() }
    };
    Ok(field.proposed.iter().map(preview).collect())
}

/// What there is, by vhost, whether it is an exchange, and name.
type Objects = BTreeMap<String, BTreeMap<(bool, String), Object>>;

/// What there will be: what goes, or gets another name, is not there any more.
fn plan_objects(objects: &mut Objects, beside: &Beside) {
    for (kind, vhost, name) in gone(beside) {
        if let Some(known) = objects.get_mut(&vhost)
            && (kind == Queue::KIND || kind == Exchange::KIND)
        {
            known.remove(&(kind == Exchange::KIND, name));
        }
    }
    for (vhost, object) in beside.proposed.iter().filter_map(Object::planned) {
        let place = (object.sort == Sort::Exchange, object.name.clone());
        match objects.entry(vhost).or_default().entry(place) {
            // One that is made anew will be what the plan says.
            Entry::Occupied(mut known) => known.get_mut().sort = object.sort,
            Entry::Vacant(free) => {
                free.insert(object);
            }
        }
    }
}

/// Kind, vhost and name of what goes, and of what is called otherwise afterwards.
pub(super) fn gone(beside: &Beside) -> impl Iterator<Item = (&str, String, String)> {
    let goes = beside.gone.iter().filter_map(|one| {
        let vhost = one.spec.get("vhost").and_then(Value::as_str)?.to_owned();
        let name = one.id.clone().unwrap_or_else(|| one.name.natural.clone());
        Some((one.name.address.kind(), vhost, name))
    });
    let renamed = beside.proposed.iter().filter_map(|one| {
        let id = one.id.clone().filter(|id| !id.is_empty() && *id != one.name.natural)?;
        let vhost = one.from.as_ref()?.get("vhost").and_then(Value::as_str)?.to_owned();
        Some((one.name.address.kind(), vhost, id))
    });
    goes.chain(renamed)
}

fn by_vhost<'a>(
    all: impl Iterator<Item = &'a Candidate>,
) -> BTreeMap<&'a str, Vec<Contender<'a>>> {
    let mut found: BTreeMap<&str, Vec<Contender<'_>>> = BTreeMap::new();
    for one in all {
        found.entry(&one.spec.vhost).or_default().extend(Contender::new(one));
    }
    found
}

/// What there is in the vhost of a policy.
struct View<'a> {
    what: &'static str,
    version: &'a str,
    objects: &'a [Object],
    rivals: &'a [Contender<'a>],
    others: &'a [Contender<'a>],
}

impl View<'_> {
    fn notes(&self, one: &Contender<'_>) -> Vec<String> {
        let met: Vec<&Object> =
            self.objects.iter().filter(|object| one.meets(object)).collect();
        if met.is_empty() {
            // In a vhost that is only being made there is nothing to say.
            let planned = self.objects.iter().any(|object| object.planned);
            let note = if planned {
                "matches no queue and no exchange that exists or is to be made"
            } else {
                "matches no queue and no exchange that exists"
            };
            return if self.objects.is_empty() { Vec::new() } else { vec![note.to_owned()] };
        }
        let (hits, missed): (Vec<&Object>, Vec<&Object>) =
            met.into_iter().partition(|object| one.counts_for(object, self.version));
        let mut notes = matched(&hits);
        notes.extend(self.passed_over(one, &missed));
        notes.extend(weakened(one, &hits));
        notes.extend(self.outranked(one, &hits));
        notes.extend(self.combined(one, &hits));
        notes
    }

    /// Queues that the server uses another policy for, or none: their type does not know a
    /// setting.
    fn passed_over(&self, one: &Contender<'_>, missed: &[&Object]) -> Vec<String> {
        let mut by_type: BTreeMap<(&str, Vec<&str>), Vec<&str>> = BTreeMap::new();
        for object in missed {
            let Sort::Queue(Some(queue_type)) = object.sort else { continue };
            let keys = one.unsupported(object, self.version);
            by_type.entry((plural(queue_type), keys)).or_default().push(&object.name);
        }
        let mut notes = Vec::new();
        for ((types, keys), names) in by_type {
            let (keys, names) = (list(&keys), list(&names));
            notes.push(format!("the server leaves out {names}: {types} have no {keys}"));
        }
        notes
    }

    /// Of several of one sort the server takes the one of the highest priority.
    fn outranked(&self, one: &Contender<'_>, hits: &[&Object]) -> Vec<String> {
        let mut notes = Vec::new();
        for rival in self.rivals.iter().filter(|rival| rival.name != one.name) {
            let both: Vec<&str> = hits
                .iter()
                .filter(|object| rival.counts_for(object, self.version))
                .map(|object| object.name.as_str())
                .collect();
            if both.is_empty() {
                continue;
            }
            let (what, name) = (self.what, rival.name);
            let (theirs, ours) = (rival.spec.priority, one.spec.priority);
            let names = list(&both);
            notes.push(match theirs.cmp(&ours) {
                Ordering::Greater => {
                    format!("{what} `{name}` counts instead, by priority {theirs}, for {names}")
                }
                Ordering::Less => {
                    format!("counts instead of {what} `{name}`, by priority {ours}, for {names}")
                }
                Ordering::Equal => format!(
                    "{what} `{name}` has the same priority: RabbitMQ chooses one of both for {names}"
                ),
            });
        }
        notes
    }

    /// A policy and an operator policy both count; where they say the same, the server takes
    /// one of the values.
    fn combined(&self, one: &Contender<'_>, hits: &[&Object]) -> Vec<String> {
        let mut meets: BTreeMap<&str, (&Contender<'_>, Vec<&str>)> = BTreeMap::new();
        for object in hits {
            let is_outranked = self.rivals.iter().any(|rival| {
                rival.spec.priority > one.spec.priority
                    && rival.counts_for(object, self.version)
            });
            let others = self.others.iter();
            let counting = others.filter(|other| other.counts_for(object, self.version));
            let Some(other) = counting.max_by_key(|other| other.spec.priority) else {
                continue;
            };
            if !is_outranked {
                let entry = meets.entry(other.name).or_insert((other, Vec::new()));
                entry.1.push(&object.name);
            }
        }
        let mut notes = Vec::new();
        for (other, names) in meets.into_values() {
            for (key, ours) in &one.spec.definition {
                let theirs = other.spec.definition.get(key).filter(|theirs| *theirs != ours);
                let Some(theirs) = theirs else { continue };
                let operator = self.what != "policy";
                let (policy, limit) = if operator { (theirs, ours) } else { (ours, theirs) };
                let Some(taken) = merged(key, policy, limit, self.version) else { continue };
                let what = if operator { "policy" } else { "operator policy" };
                let (name, names) = (other.name, list(&names));
                notes.push(if taken == ours {
                    format!(
                        "`{key}` is {ours}, not {theirs} as in {what} `{name}`, for {names}"
                    )
                } else {
                    format!("`{key}` stays {taken} by {what} `{name}` for {names}")
                });
            }
        }
        notes
    }
}

/// Queues that do something weaker than what is asked for.
fn weakened(one: &Contender<'_>, hits: &[&Object]) -> Option<String> {
    let overflow = one.spec.definition.get("overflow")?;
    let quorum = hits.iter().filter(|hit| hit.sort == Sort::Queue(Some(QueueType::Quorum)));
    let names: Vec<&str> = quorum.map(|hit| hit.name.as_str()).collect();
    (overflow == "reject-publish-dlx" && !names.is_empty()).then(|| {
        let names = list(&names);
        format!(
            "quorum queues have no `reject-publish-dlx` and drop their oldest messages: {names}"
        )
    })
}

/// `matches 2 queues that exist: ..`, and the same of exchanges and of what is to be made.
fn matched(hits: &[&Object]) -> Vec<String> {
    let mut notes = Vec::new();
    for (planned, one, several) in
        [(false, "exists", "exist"), (true, "is to be made", "are to be made")]
    {
        for (are_exchanges, what) in [(false, "queue"), (true, "exchange")] {
            let names: Vec<&str> = hits
                .iter()
                .filter(|object| (object.sort == Sort::Exchange) == are_exchanges)
                .filter(|object| object.planned == planned)
                .map(|object| object.name.as_str())
                .collect();
            let many = names.len();
            if many > 0 {
                let (plural, how) = if many == 1 { ("", one) } else { ("s", several) };
                let names = list(&names);
                notes.push(format!("matches {many} {what}{plural} that {how}: {names}"));
            }
        }
    }
    notes
}

/// `` `a`, `b` and 3 more ``.
fn list(names: &[&str]) -> String {
    let shown: Vec<_> = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
    match names.len() - shown.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use dollop_engine::address::Address;
    use dollop_engine::resource::{Name, Wanted};
    use serde_json::json;

    use super::*;

    fn name(kind: &str, natural: &str) -> Name {
        let address: Address = format!("{kind}.x").parse().unwrap();
        Name { stack: "shop".to_owned(), address, natural: natural.to_owned() }
    }

    fn spec(json: &Json) -> Value {
        Value::from(json.clone())
    }

    #[test]
    fn what_goes_or_gets_another_name_is_not_there_any_more() {
        let queue = |name: &str| Object {
            name: name.to_owned(),
            sort: Sort::Queue(Some(QueueType::Classic)),
            planned: false,
        };
        let mut objects = Objects::new();
        for name in ["stays", "goes", "old"] {
            let known = objects.entry("v".to_owned()).or_default();
            known.insert((false, name.to_owned()), queue(name));
        }
        let beside = Beside {
            proposed: vec![Proposed {
                name: name(Queue::KIND, "new"),
                id: Some("old".to_owned()),
                from: Some(spec(&json!({ "vhost": "v" }))),
                to: spec(&json!({ "vhost": "v", "type": "quorum" })),
                anew: false,
            }],
            more: false,
            gone: vec![Wanted {
                id: Some("goes".to_owned()),
                name: name(Queue::KIND, "goes"),
                spec: spec(&json!({ "vhost": "v" })),
                facts: None,
            }],
        };
        plan_objects(&mut objects, &beside);
        let names: Vec<_> = objects["v"].keys().map(|(_, name)| name.as_str()).collect();
        assert_eq!(names, ["new", "stays"]);
    }
}
