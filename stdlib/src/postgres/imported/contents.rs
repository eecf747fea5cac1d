//! What a database has: what each object is called, what it needs, what cannot be declared.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use dollop_engine::error::CallError;
use dollop_engine::resource::Need;
use serde::Deserialize;

use super::super::object::Key;
use super::super::server::Server;
use super::super::signature::BETWEEN;
use super::super::{sql, statement};
use super::ask;
use super::catalog::{self, EDGES};
use super::privileges::{Granted, grants};
use super::statements::{Made, made};

/// The kind of a constraint that is declared apart from its table.
const CONSTRAINT: &str = "constraint";

/// The kind of what runs when others are made.
const EVENT_TRIGGER: &str = "event_trigger";

/// The kind of what one statement makes. Its key begins with the word for what it really is.
const STATEMENT: &str = "sql";

/// One object.
#[derive(Deserialize)]
pub(super) struct Thing {
    /// Where the catalogs have it.
    node: String,
    /// Its kind in short, or another word for what has none.
    kind: String,
    key: Key,
    /// Why it cannot be declared.
    why: Option<String>,
}

/// What a part belongs to.
#[derive(Deserialize)]
struct Part {
    part: String,
    whole: String,
}

#[derive(Deserialize)]
struct Edge {
    part: String,
    needs: String,
    constraint: Option<String>,
}

#[derive(Deserialize)]
struct Comment {
    node: String,
    #[serde(rename = "type")]
    ty: String,
    names: String,
    arguments: String,
}

#[derive(Deserialize)]
struct Said {
    said: String,
}

#[derive(Deserialize)]
struct Place {
    name: String,
}

/// What is in a database, or on a server beside its databases.
#[derive(Default)]
pub(in super::super) struct Contents {
    things: Vec<Thing>,
    /// What each of them needs.
    needs: Vec<BTreeSet<usize>>,
    /// What comes after everything else, and needs none of it.
    last: BTreeSet<usize>,
    by_kind: HashMap<String, BTreeMap<Key, usize>>,
    by_node: HashMap<String, usize>,
    /// What is a part of what, as the catalogs have it.
    parts: HashMap<String, String>,
    /// The names of functions that extensions brought.
    brought: HashSet<String>,
    /// The statements of what no kind is for.
    made: HashMap<Key, Made>,
    /// Constraints that are declared apart from their table, by its schema and name.
    apart: HashMap<Key, BTreeSet<String>>,
    /// Where things are that say nothing else.
    pub(super) tablespace: String,
    /// What roles may do with all of it.
    granted: Vec<Granted>,
    /// What cannot be declared, and why.
    pub(super) left_out: Vec<String>,
}

impl Contents {
    /// Asks for all that is in a database.
    pub(super) async fn read(server: &Server, database: &str) -> Result<Self, CallError> {
        let version = server.version;
        let (losses, parts) = (catalog::losses(version), catalog::parts(version));
        let things = catalog::things(version);
        let mut things: Vec<Thing> = ask(server, database, &things).await?;
        let made = made_by_statements(&mut things, made(server, database).await?);
        let mut contents = Self { made, ..Self::of_things(things) };
        let brought: Vec<Place> = ask(server, database, catalog::BROUGHT).await?;
        contents.brought = brought.into_iter().map(|place| place.name).collect();
        let places: Vec<Place> = ask(server, database, catalog::TABLESPACE).await?;
        contents.tablespace = places.into_iter().map(|place| place.name).collect();
        let parts: Vec<Part> = ask(server, database, &parts).await?;
        let parts: HashMap<String, String> =
            parts.into_iter().map(|Part { part, whole }| (part, whole)).collect();
        contents.connect(&parts, ask(server, database, EDGES).await?);
        contents.come_last(server.user());
        contents.remark(&parts, ask(server, database, catalog::COMMENTS).await?);
        let odd = contents
            .things
            .iter()
            .filter_map(|thing| Some(format!("{}: {}", thing.words(), thing.why.as_deref()?)));
        contents.left_out = odd.collect();
        let losses: Vec<Said> = ask(server, database, &losses).await?;
        contents.left_out.extend(losses.into_iter().map(|loss| loss.said));
        contents.parts = parts;
        let (granted, left_out) = grants(server, database, &contents).await?;
        contents.granted = granted;
        contents.left_out.extend(left_out);
        Ok(contents)
    }

    /// The grants on what is there.
    pub(in super::super) fn granted(&self) -> &[Granted] {
        &self.granted
    }

    /// Things that need nothing of each other.
    pub(super) fn of_things(things: Vec<Thing>) -> Self {
        let mut contents = Self::default();
        for thing in things {
            contents.add(thing);
        }
        contents
    }

    fn add(&mut self, thing: Thing) -> usize {
        let index = self.things.len();
        let kind = self.by_kind.entry(thing.kind.clone()).or_default();
        kind.insert(thing.key.clone(), index);
        self.by_node.insert(thing.node.clone(), index);
        self.things.push(thing);
        self.needs.push(BTreeSet::new());
        index
    }

    /// The keys of what can be declared of a kind.
    pub(in super::super) fn of(&self, kind: &str) -> impl Iterator<Item = &Key> {
        let known = self.by_kind.get(kind).into_iter().flatten();
        known.filter(|(_, index)| self.things[**index].why.is_none()).map(|(key, _)| key)
    }

    /// What an object needs beside what its attributes name.
    pub(in super::super) fn needs(&self, database: &str, kind: &str, key: &Key) -> Vec<Need> {
        let index = self.by_kind.get(kind).and_then(|known| known.get(key));
        let Some(index) = index else { return Vec::new() };
        let needed = &self.needs[*index];
        let is_last = self.last.contains(index);
        let before = if is_last { &self.things[..] } else { &[] };
        let before = before.iter().enumerate().filter(|(other, thing)| {
            let is_new = !needed.contains(other) && !self.needs[*other].contains(index);
            is_new && !self.last.contains(other) && thing.why.is_none()
        });
        let others =
            before.map(|(other, _)| Need { only_first: true, ..self.need(database, other) });
        let granted = if is_last { &self.granted[..] } else { &[] };
        let granted = granted.iter().map(Granted::only_first);
        let needed = needed.iter().map(|other| self.need(database, *other));
        needed.chain(others).chain(granted).collect()
    }

    /// The object of a node, as something that is needed.
    pub(super) fn need_of(&self, database: &str, node: &str) -> Option<Need> {
        let index = self.whole(&self.parts, node)?;
        Some(self.need(database, index))
    }

    fn need(&self, database: &str, index: usize) -> Need {
        let thing = &self.things[index];
        let parts: Vec<&str> =
            std::iter::once(database).chain(thing.key.iter().map(String::as_str)).collect();
        let made = self.made.get(&thing.key).filter(|_| thing.kind == STATEMENT);
        Need {
            kind: format!("postgres::{}", thing.kind),
            id: made
                .map_or_else(|| sql::id(&parts), |made| statement::id(database, &made.unless)),
            what: thing.words(),
            only_first: false,
        }
    }

    /// What one statement makes, by its key.
    pub(in super::super) fn statements(&self) -> impl Iterator<Item = (&Key, &Made)> {
        self.of(STATEMENT).filter_map(|key| Some((key, self.made.get(key)?)))
    }

    /// The constraints of a table that are declared apart from it.
    pub(in super::super) fn apart(&self, key: &[String]) -> BTreeSet<String> {
        self.apart.get(key).cloned().unwrap_or_default()
    }

    /// Whether a text has the name of something as a word, or in quotes where it is none.
    pub(in super::super) fn is_mentioned(&self, text: &str) -> bool {
        let words: HashSet<&str> =
            text.split(|c: char| !(c.is_alphanumeric() || c == '_')).collect();
        let named = |thing: &Thing| {
            let relation =
                ["table", "view", "foreign_table", "enum", "domain", "function", STATEMENT];
            let known = relation.contains(&thing.kind.as_str()) || thing.why.is_some();
            let is_there = |name: &String| {
                let is_word = name.chars().all(|c| c.is_alphanumeric() || c == '_');
                words.contains(name.as_str()) || (!is_word && text.contains(&sql::name(name)))
            };
            known && thing.place().get(1).is_some_and(is_there)
        };
        self.things.iter().any(named) || words.iter().any(|word| self.brought.contains(*word))
    }

    /// The thing that a node is, or is a part of.
    fn whole(&self, parts: &HashMap<String, String>, node: &str) -> Option<usize> {
        let mut node = node;
        // A partition of a partition of an index, an array of a row of a table.
        for _ in 0..16 {
            match (self.by_node.get(node), parts.get(node)) {
                (Some(index), _) => return Some(*index),
                (None, Some(whole)) => node = whole,
                (None, None) => return None,
            }
        }
        None
    }

    /// Notes what needs what. A constraint that would close a circle is declared apart from
    /// its table, and so is one that needs what cannot be declared.
    fn connect(&mut self, parts: &HashMap<String, String>, edges: Vec<Edge>) {
        let mut constraints: BTreeMap<(usize, String), BTreeSet<usize>> = BTreeMap::new();
        for edge in edges {
            let ends = self.whole(parts, &edge.part).zip(self.whole(parts, &edge.needs));
            let Some((from, to)) = ends.filter(|(from, to)| from != to) else { continue };
            match edge.constraint.filter(|_| self.things[from].kind == "table") {
                Some(name) => {
                    constraints.entry((from, name)).or_default().insert(to);
                }
                None => {
                    self.needs[from].insert(to);
                }
            }
        }
        let mut apart = Vec::new();
        for ((from, name), needed) in constraints {
            let impossible = needed.iter().any(|to| self.things[*to].why.is_some());
            if impossible || needed.iter().any(|to| self.reaches(*to, from)) {
                apart.push((from, name, needed));
            } else {
                self.needs[from].extend(needed);
            }
        }
        for (from, name, needed) in apart {
            let table = self.things[from].key.clone();
            self.apart.entry(table.clone()).or_default().insert(name.clone());
            let key = table.into_iter().chain([name]).collect();
            let thing = Thing {
                node: format!("constraint of {}", self.things[from].node),
                kind: CONSTRAINT.to_owned(),
                key,
                why: None,
            };
            let index = self.add(thing);
            self.needs[index] = needed.into_iter().chain([from]).collect();
        }
    }

    /// What a role gets on whatever is made later must not be given on what was there before:
    /// dollop's user makes everything, whoever owns it then. And what runs for whatever is made
    /// comes after all of it.
    fn come_last(&mut self, user: &str) {
        let defaults = self.by_kind.get("default_privileges").into_iter().flatten();
        let mut before = Vec::new();
        for (key, index) in defaults.filter(|(key, _)| key[0] == user) {
            let made: &[&str] = match key[2].as_str() {
                "tables" => &["table", "view", "foreign_table"],
                "sequences" => &["sequence"],
                "functions" => &["function", STATEMENT],
                "types" => &["enum", "domain", STATEMENT],
                _ => &["schema"],
            };
            // An extension makes things of every sort.
            let there = |thing: &Thing| {
                let here = key[1].is_empty() || thing.place().first() == Some(&key[1]);
                let made = made.contains(&thing.kind.as_str()) && here;
                thing.why.is_none() && (made || thing.kind == "extension")
            };
            let things = self.things.iter().enumerate().filter(|(_, thing)| there(thing));
            before.push((*index, things.map(|(other, _)| other).collect::<Vec<_>>()));
        }
        // What runs when something is made was not there when all the others were.
        let events = self.by_kind.get(EVENT_TRIGGER).into_iter().flatten();
        self.last = events.map(|(_, index)| *index).collect();
        for (index, needed) in before {
            self.needs[index].extend(needed);
        }
    }

    fn reaches(&self, from: usize, to: usize) -> bool {
        let mut seen = HashSet::from([from]);
        let mut queue = vec![from];
        while let Some(next) = queue.pop() {
            if next == to {
                return true;
            }
            queue.extend(self.needs[next].iter().filter(|other| seen.insert(**other)));
        }
        false
    }

    /// Comments on what has none of its own.
    fn remark(&mut self, parts: &HashMap<String, String>, comments: Vec<Comment>) {
        for Comment { node, ty, names, arguments } in comments {
            let named: Key = names.split(BETWEEN).map(str::to_owned).collect();
            let apart = self.by_kind.get(CONSTRAINT).and_then(|known| known.get(&named));
            let about = apart.copied().or_else(|| self.whole(parts, &node));
            let key = super::super::remark::key_of(&ty, &names, &arguments);
            let what = names.replace(BETWEEN, ".");
            let thing = match key {
                Some(key) => {
                    Thing { node: String::new(), kind: "comment".to_owned(), key, why: None }
                }
                None => Thing {
                    node: String::new(),
                    kind: "comment".to_owned(),
                    key: vec![ty, what],
                    why: Some("comments on such objects have no kind".to_owned()),
                },
            };
            let index = self.add(thing);
            self.needs[index].extend(about);
        }
    }
}

/// Turns what one statement makes into such statements; their keys say which is whose.
fn made_by_statements(
    things: &mut [Thing],
    mut made: HashMap<String, Made>,
) -> HashMap<Key, Made> {
    let mut statements = HashMap::new();
    for thing in things {
        let Some(statement) = made.remove(&thing.node) else { continue };
        let what = std::mem::replace(&mut thing.kind, STATEMENT.to_owned());
        thing.key.insert(0, what);
        thing.why = None;
        statements.insert(thing.key.clone(), statement);
    }
    statements
}

/// What the object behind the key of a statement is, in words.
pub(in super::super) fn words_of(key: &[String]) -> String {
    format!("{} `{}`", key[0], key[1..3.min(key.len())].join("."))
}

impl Thing {
    /// Its key, without what it is called.
    fn place(&self) -> &[String] {
        &self.key[usize::from(self.kind == STATEMENT)..]
    }

    /// What it is: ``table `app.orders` ``.
    fn words(&self) -> String {
        if self.kind == STATEMENT {
            return words_of(&self.key);
        }
        let key = match self.kind.as_str() {
            "comment" => &self.key[..2.min(self.key.len())],
            "function" | "aggregate" => &self.key[..2],
            _ => &self.key,
        };
        format!("{} `{}`", self.kind.replace('_', " "), key.join("."))
    }
}
