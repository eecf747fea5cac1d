//! Objects that get another name in place, and what is named after them.
//!
//! Where a service knows things by their names, an object's id and the attributes of others
//! have the name in them. When the name changes, nothing happens to these others: the service
//! goes on with them under the new name, and so do the records.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest as _, Sha256};

use crate::address::Address;
use crate::expr::Expr;
use crate::graph::Graph;
use crate::kind::{Kind, Registry};
use crate::map::Map;
use crate::plan::change::{Action, Change};
use crate::resource::Name;
use crate::schema::{Attribute, Type};
use crate::store::{Record, State};
use crate::value::Value;

/// An object that gets another name and stays what it is.
#[derive(Clone, Debug)]
pub(crate) struct Renaming {
    pub(crate) address: Address,
    connection: Address,
    /// What it lives in, by the names that has when this is done.
    places: Vec<(&'static str, String)>,
    from: String,
    pub(crate) to: String,
}

impl Renaming {
    /// From what an object is to what it shall be, when its name is all that its service
    /// knows it by, and differs.
    pub(crate) fn between(
        address: &Address,
        connection: &Address,
        kind: &Kind,
        (id, from): (&str, &Value),
        to: &Value,
    ) -> Option<Self> {
        let name = |spec: &Value| Some(spec.get("name")?.as_str()?.to_owned());
        let (old, new) = (name(from)?, name(to)?);
        let by_name = || id_of(kind, address, from).as_deref() == Some(id);
        if old == new || !kind.traits.renames || !by_name() {
            return None;
        }
        let place = |place: &&'static str| Some((*place, to.get(place)?.as_str()?.to_owned()));
        Some(Self {
            address: address.clone(),
            connection: connection.clone(),
            places: kind.traits.within.iter().filter_map(place).collect(),
            from: old,
            to: new,
        })
    }

    /// Whether something with these entries is where this happens. What it lives in is called
    /// there as it is when this is done.
    fn fits(&self, entries: &Map) -> bool {
        let elsewhere = |(place, name): &(&str, String)| {
            entries.get(*place).and_then(Value::as_str).is_some_and(|other| other != name)
        };
        !self.places.iter().any(elsewhere)
    }

    /// Whether this gives the other's old name to something beside it.
    fn takes_over_from(&self, other: &Self) -> bool {
        self.address != other.address
            && self.address.kind() == other.address.kind()
            && self.connection == other.connection
            && self.places == other.places
            && self.to == other.from
    }
}

/// Of renamings, those that may say something about an object behind a connection.
///
/// What a renaming happens in may itself get another name: that is decided first.
fn fitting<'a>(
    renamings: &'a [Renaming],
    connection: &Address,
    kind: &Kind,
    entries: &Map,
) -> Vec<&'a Renaming> {
    let behind: Vec<&Renaming> =
        renamings.iter().filter(|renaming| renaming.connection == *connection).collect();
    let Some(deepest) = behind.iter().map(|renaming| renaming.places.len()).max() else {
        return Vec::new();
    };
    let mut fitting: Vec<&Renaming> = Vec::new();
    let mut now = entries.clone();
    for depth in 0..=deepest {
        let all = behind.iter().copied();
        fitting = all
            .filter(|renaming| renaming.places.len() <= depth && renaming.fits(&now))
            .collect();
        now = entries_after(&fitting, entries, &kind.schema.spec);
    }
    fitting
}

/// Entries when all of that is done. Each text follows one renaming at most: where one object
/// takes the name that another leaves, who followed the first does not go on to follow that.
fn entries_after(
    renamings: &[&Renaming],
    entries: &Map,
    schema: &BTreeMap<String, Attribute>,
) -> Map {
    let carried = entries.iter().map(|(name, value)| {
        let value = match schema.get(name) {
            Some(attribute) => {
                let means = |renaming: &&&Renaming| {
                    attribute.handle.iter().any(|kind| kind == renaming.address.kind())
                };
                let these: Vec<&Renaming> = renamings.iter().filter(means).copied().collect();
                value_after(renamings, &these, value, &attribute.ty)
            }
            None => value.clone(),
        };
        (name.clone(), value)
    });
    carried.collect()
}

/// A value when all of that is done; a text in it is the name of one of what is `meant`.
fn value_after(
    renamings: &[&Renaming],
    meant: &[&Renaming],
    value: &Value,
    ty: &Type,
) -> Value {
    match (value, ty) {
        (Value::String(text), _) => match meant.iter().find(|one| *text == one.from) {
            Some(renaming) => Value::string(&renaming.to),
            None => value.clone(),
        },
        (Value::List(items), Type::List(item)) => {
            let carried = items.iter();
            let carried = carried.map(|value| value_after(renamings, meant, value, item));
            Value::List(carried.collect())
        }
        (Value::Map(entries), Type::Object(schema)) => {
            Value::Map(entries_after(renamings, entries, schema))
        }
        (Value::Map(entries), Type::Map(item)) => {
            let carried = entries
                .iter()
                .map(|(key, value)| (key.clone(), value_after(renamings, meant, value, item)));
            Value::Map(carried.collect())
        }
        (value, Type::Either(forms)) => {
            let carried = forms.iter().map(|form| value_after(renamings, meant, value, form));
            carried.into_iter().find(|carried| carried != value).unwrap_or(value.clone())
        }
        (value, _) => value.clone(),
    }
}

/// The objects that a plan for the graph gives other names.
pub(crate) fn renamings(graph: &Graph, state: &State, registry: &Registry) -> Vec<Renaming> {
    let mut found: Vec<Renaming> = Vec::new();
    if state.records.is_empty() {
        return found;
    }
    let renamed = graph.in_order().filter_map(|declaration| {
        let kind = registry.kind(declaration.address.kind())?;
        kind.traits.renames.then_some((declaration, kind))
    });
    // What others live in first, also where they name it by a text and not by a reference.
    let mut renamed: Vec<_> = renamed.collect();
    renamed.sort_by_key(|(_, kind)| kind.traits.within.len());
    for (declaration, kind) in renamed {
        let address = &declaration.address;
        let record = state.records.get(address).filter(|record| !record.interrupted);
        let (Some(connection), Some(record)) = (&declaration.connection, record) else {
            continue;
        };
        let name = declaration.attributes.get("name").and_then(Expr::known);
        let Some(name) = name.and_then(|name| name.reveal().as_str()) else { continue };
        let same = record.spec.get("name").and_then(Value::as_str) == Some(name);
        if same && found.is_empty() {
            continue;
        }
        // What it lives in may have another name by then, too.
        let after = called(&record.spec, name);
        let after = carried(&found, connection, kind, (address, record.id.as_str()), &after)
            .map_or(after, |(_, after)| after);
        let was = (record.id.as_str(), &record.spec);
        found.extend(Renaming::between(address, connection, kind, was, &after));
    }
    found
}

/// The id of an object like this, where its service knows it by its names.
pub(crate) fn id_of(kind: &Kind, address: &Address, spec: &Value) -> Option<String> {
    let natural = spec.get("name").and_then(Value::as_str).unwrap_or_else(|| address.name());
    let name =
        Name { stack: String::new(), address: address.clone(), natural: natural.to_owned() };
    kind.calls.id_of(&name, spec)
}

/// The id and the spec of an object when all of that is done; nothing when it has nothing to
/// do with any of it.
pub(crate) fn carried(
    renamings: &[Renaming],
    connection: &Address,
    kind: &Kind,
    (address, id): (&Address, &str),
    spec: &Value,
) -> Option<(String, Value)> {
    let entries = spec.as_map()?;
    let fitting = fitting(renamings, connection, kind, entries);
    if fitting.is_empty() {
        return None;
    }
    let now = entries_after(&fitting, entries, &kind.schema.spec);
    if now == *entries {
        return None;
    }
    let now = Value::Map(now);
    let by_name = id_of(kind, address, spec).as_deref() == Some(id);
    let id = id_of(kind, address, &now).filter(|_| by_name).unwrap_or_else(|| id.to_owned());
    Some((id, now))
}

/// Who is named after whom, as recorded: pairs of what gets another name and what has that in
/// its record.
pub(crate) fn followers(
    renamings: &[Renaming],
    state: &State,
    registry: &Registry,
) -> Vec<(Address, Address)> {
    let mut found = Vec::new();
    if renamings.is_empty() {
        return found;
    }
    for record in state.records.values() {
        let kind = registry.kind(record.address.kind());
        let (Some(kind), Some(connection), Some(entries)) =
            (kind, &record.connection, record.spec.as_map())
        else {
            continue;
        };
        let follows = |renaming: &&Renaming| {
            entries_after(&[*renaming], entries, &kind.schema.spec) != *entries
        };
        let followed = fitting(renamings, connection, kind, entries);
        let followed = followed.into_iter().filter(follows);
        found.extend(
            followed.map(|renaming| (renaming.address.clone(), record.address.clone())),
        );
    }
    found
}

/// Who takes a name that another leaves: pairs of what leaves it and what takes it.
pub(crate) fn takeovers(renamings: &[Renaming]) -> Vec<(Address, Address)> {
    let mut found = Vec::new();
    for taker in renamings {
        let leaves = renamings.iter().filter(|leaver| taker.takes_over_from(leaver));
        found.extend(leaves.map(|leaver| (leaver.address.clone(), taker.address.clone())));
    }
    found
}

/// Where several pass their names round, the one of each round that makes way for the others:
/// each name is left only once it is taken, which no server allows.
pub(crate) fn ways(renamings: &[Renaming], changes: &[Change]) -> BTreeSet<Address> {
    let takeovers = takeovers(renamings);
    if takeovers.is_empty() {
        return BTreeSet::new();
    }
    let updates = changes.iter().filter(|change| change.action == Action::Update);
    let in_place: BTreeSet<&Address> = updates.map(|change| &change.address).collect();
    // Whose name each takes: nobody's, or that of exactly one.
    let from: BTreeMap<&Address, &Address> = takeovers
        .iter()
        .filter(|(leaver, taker)| in_place.contains(leaver) && in_place.contains(taker))
        .map(|(leaver, taker)| (taker, leaver))
        .collect();
    let next = |address: &&Address| from.get(*address).copied();
    let mut seen: BTreeSet<&Address> = BTreeSet::new();
    let mut ways = BTreeSet::new();
    for start in from.keys().copied() {
        let round: Vec<&Address> = std::iter::successors(Some(start), next)
            .skip(1)
            .take(from.len())
            .take_while(|address| *address != start)
            .collect();
        let closes = next(round.last().unwrap_or(&start)) == Some(start);
        if closes && !seen.contains(start) {
            seen.extend(round);
            ways.insert(start.clone());
        }
    }
    ways
}

/// How much of a name is kept beside what says that it is for a moment only.
const KEPT: usize = 40;

/// What makes way for another, as it is called until that has its name.
///
/// The digest keeps apart what makes way in the same plan, or did in one that was killed, and
/// begins with the same letters. All of it fits into the 63 bytes that PostgreSQL has.
pub fn aside(address: &Address, spec: &Value) -> Value {
    let name = spec.get("name").and_then(Value::as_str).unwrap_or_default();
    let kept: String = name
        .chars()
        .scan(0, |bytes, character| {
            *bytes += character.len_utf8();
            (*bytes <= KEPT).then_some(character)
        })
        .collect();
    let digest = hex::encode(Sha256::digest(format!("{address}\n{name}")));
    called(spec, &format!("{kept}.{digest:.8}.dollop-aside"))
}

/// What is to be known of objects that are renamed, by their addresses.
pub(crate) fn notes(
    changes: &[Change],
    followers: &[(Address, Address)],
    renamings: &[Renaming],
    ways: &BTreeSet<Address>,
) -> Vec<(Address, String)> {
    let renamed = |change: &&Change| change.action == Action::Update;
    let kept: BTreeSet<&Address> =
        changes.iter().filter(renamed).map(|change| &change.address).collect();
    let said = renamings.iter().filter(|renaming| kept.contains(&renaming.address));
    let note = |renaming: &Renaming| {
        let many = followers.iter().filter(|(of, _)| *of == renaming.address).count();
        let along = match many {
            0 => String::new(),
            1 => "; 1 resource that is named after it goes along".to_owned(),
            many => format!("; {many} resources that are named after it go along"),
        };
        let way = if ways.contains(&renaming.address) {
            ", over a name of its own until the old one is taken"
        } else {
            ""
        };
        let note = format!("renamed in place{way}, with all that is in it{along}");
        (renaming.address.clone(), note)
    };
    said.map(note).collect()
}

/// A spec under another name.
pub(crate) fn called(spec: &Value, name: &str) -> Value {
    let mut spec = spec.clone();
    if let Value::Map(entries) = &mut spec {
        entries.insert("name".to_owned(), Value::string(name));
    }
    spec
}

/// A state in which everything has the name that it was `found` under: runs that were killed
/// gave it that and did not come to write it down.
pub(crate) fn settled<'a>(
    state: &'a State,
    found: &BTreeMap<Address, String>,
    registry: &Registry,
) -> Cow<'a, State> {
    if found.is_empty() {
        return Cow::Borrowed(state);
    }
    // What others live in first: they are named after it.
    let mut named: Vec<_> = found
        .iter()
        .filter_map(|(address, name)| {
            let (record, kind) = (state.records.get(address)?, registry.kind(address.kind())?);
            Some((record, kind, record.connection.as_ref()?, name))
        })
        .collect();
    named.sort_by_key(|(_, kind, ..)| kind.traits.within.len());
    let mut done: Vec<Renaming> = Vec::new();
    for (record, kind, connection, name) in named {
        let was = (record.id.as_str(), &record.spec);
        let after = called(&record.spec, name);
        let after = carried(&done, connection, kind, (&record.address, was.0), &after)
            .map_or(after, |(_, after)| after);
        done.extend(Renaming::between(&record.address, connection, kind, was, &after));
    }
    let mut settled = state.clone();
    for record in settled.records.values_mut() {
        let (Some(kind), Some(connection)) =
            (registry.kind(record.address.kind()), &record.connection)
        else {
            continue;
        };
        let by_name = id_of(kind, &record.address, &record.spec).as_deref() == Some(&record.id);
        if let Some(own) = done.iter().find(|one| one.address == record.address) {
            record.spec = called(&record.spec, &own.to);
            record.renaming.clear();
        }
        let at = (&record.address, record.id.as_str());
        if let Some((_, spec)) = carried(&done, connection, kind, at, &record.spec) {
            record.spec = spec;
        }
        if by_name && let Some(id) = id_of(kind, &record.address, &record.spec) {
            record.id = id;
        }
    }
    Cow::Owned(settled)
}

/// The records of a state that are named after an object, as they are once it has its new name.
pub(crate) fn records<'a>(
    renaming: &Renaming,
    known: impl Iterator<Item = &'a Record>,
    registry: &Registry,
) -> Vec<Record> {
    let own = std::slice::from_ref(renaming);
    let carry = |record: &Record| {
        let kind = registry.kind(record.address.kind())?;
        let connection = record.connection.as_ref()?;
        let (id, spec) = carried(
            own,
            connection,
            kind,
            (&record.address, record.id.as_str()),
            &record.spec,
        )?;
        Some(Record { id, spec, ..record.clone() })
    };
    known.filter_map(carry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_way_has_a_name_that_is_short_enough_and_its_own() {
        let named = |address: &str, name: &str| {
            let spec = Value::Map([("name".to_owned(), Value::string(name))].into());
            let aside = aside(&address.parse().unwrap(), &spec);
            aside.get("name").and_then(Value::as_str).unwrap().to_owned()
        };
        let (one, other) = ("postgres::database.main/one", "postgres::database.main/other");
        let short = named(one, "shop");
        assert!(short.starts_with("shop.") && short.ends_with(".dollop-aside"), "{short}");
        // They differ only in what there is no room for.
        let (a, b) = ("x".repeat(62) + "a", "x".repeat(62) + "b");
        assert_ne!(named(one, &a), named(one, &b));
        assert_ne!(named(one, &a), named(other, &a));
        for long in [a, "\u{e9}".repeat(31), "\u{1f600}".repeat(15)] {
            assert!(named(one, &long).len() <= 63, "{long}");
        }
    }
}
