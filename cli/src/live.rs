//! A stack as it runs: what was applied, by which connections it is reached, and what its
//! kinds can do with it.
//!
//! Everything here works from what was recorded, so it goes on while an apply holds the lock
//! and when the script is broken.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use dollop_engine::address::Address;
use dollop_engine::error::CallError;
use dollop_engine::expr::Reference;
use dollop_engine::kind::OpenConnection;
use dollop_engine::map::Map;
use dollop_engine::operate::{Ability, Object, Operations};
use dollop_engine::path::{Path, Segment};
use dollop_engine::plan::as_left;
use dollop_engine::pool::Line;
use dollop_engine::redact::{Redactor, Secrets};
use dollop_engine::resource::{Name, Wanted};
use dollop_engine::store::{Record, State};
use dollop_engine::value::Value;
use dollop_state::read_state;
use futures::future::{FutureExt as _, LocalBoxFuture, join_all};

use crate::args::{OneArgs, PlaceArgs, SelectArgs};
use crate::commands::note;
use crate::error::CommandError;
use crate::render::text::clean;
use crate::select::{select, short};
use crate::session::Session;

/// How many are named when nothing fits.
const MOST_NAMED: usize = 8;

/// A stack as it runs.
pub struct Live {
    /// The stack, and the connections opened for it.
    pub session: Session,
    /// What was applied.
    pub state: State,
    /// Knows every secret of it.
    pub redactor: Redactor,
}

/// One resource or connection that is meant, with what its kind can do.
#[derive(Clone)]
pub struct Target<'a> {
    /// As it was recorded.
    pub record: &'a Record,
    /// What its kind can do.
    pub operations: Arc<dyn Operations>,
    /// What it is called in a table and can be typed: the name, or the address where
    /// another has that name.
    pub label: String,
}

impl Live {
    /// Reads what was applied.
    ///
    /// # Errors
    /// Nothing was.
    pub fn open(place: &PlaceArgs) -> Result<Self, CommandError> {
        let session = Session::new(place.project()?);
        let snapshot = read_state(&session.state_folder())?;
        snapshot.notes.iter().for_each(|text| note(text));
        let state = snapshot.state;
        if state.records.is_empty() {
            let stack = clean(&session.project.stack).into_owned();
            return Err(CommandError::failed(format!("nothing of stack `{stack}` is applied"))
                .hint("`dollop apply` makes what it declares"));
        }
        let mut secrets = Secrets::default();
        secrets.add_state(&state);
        Ok(Self { session, state, redactor: secrets.redactor() })
    }

    /// What is meant and can do something, in the order of its addresses.
    ///
    /// # Errors
    /// A word that means nothing, or nothing that is able.
    pub fn select(
        &self,
        args: &SelectArgs,
        ability: Ability,
    ) -> Result<Vec<Target<'_>>, CommandError> {
        let chosen = select(self.state.records.values(), &args.what, &args.profiles)?;
        let able = self.able(chosen, ability);
        if able.is_empty() {
            return Err(self.none_is_able(&args.what, ability));
        }
        Ok(able)
    }

    /// The one resource that is meant.
    ///
    /// # Errors
    /// None, or several.
    pub fn one(&self, args: &OneArgs, ability: Ability) -> Result<Target<'_>, CommandError> {
        let what = std::slice::from_ref(&args.what);
        let chosen = select(self.state.records.values(), what, &[])?;
        let mut able = self.able(chosen, ability);
        match able.len() {
            0 => Err(self.none_is_able(what, ability)),
            1 => Ok(able.remove(0)),
            _ => Err(several(&args.what, &able)),
        }
    }

    /// The one that is named, or the only one that is able.
    ///
    /// # Errors
    /// None, or several; `none` says so where nothing in the stack is able.
    pub fn only(
        &self,
        what: Option<&String>,
        place: &PlaceArgs,
        ability: Ability,
        (command, none): (&str, CommandError),
    ) -> Result<Target<'_>, CommandError> {
        if let Some(what) = what {
            let one = OneArgs { what: what.clone(), place: place.clone() };
            return self.one(&one, ability);
        }
        let mut all = self.able(self.state.records.values().collect(), ability);
        match all.len() {
            0 => Err(none),
            1 => Ok(all.remove(0)),
            _ => Err(several(command, &all)),
        }
    }

    /// What a connection's server runs in, and its port there: the one thing in which programs
    /// can be run that its port leads to, or its host where the port is a number.
    ///
    /// # Errors
    /// Several, as behind a cluster.
    pub fn host(
        &self,
        connection: &Record,
    ) -> Result<Option<(Target<'_>, Option<u16>)>, CommandError> {
        for name in ["port", "host"] {
            let arguments = connection.arguments.as_ref();
            let argument = arguments.and_then(|all| all.follow(&Path::attribute(name)));
            let Some(argument) = argument else { continue };
            let mut found: BTreeMap<&Address, (Target<'_>, Option<u16>)> = BTreeMap::new();
            for reference in argument.references() {
                let under = self.state.records.get(&reference.address);
                let target = under.and_then(|one| self.able(vec![one], Ability::Exec).pop());
                if let Some(target) = target {
                    let record = target.record;
                    found.insert(&record.address, (target, inner_port(reference)));
                }
            }
            if found.len() > 1 {
                let all: Vec<_> = found.into_values().map(|(target, _)| target).collect();
                let message = format!("`{}` leads to several containers", connection.address);
                return Err(CommandError::failed(message).hint(format!(
                    "run the program in one of them, with `dollop exec NAME -- ..`: {}",
                    list(&all)
                )));
            }
            if let Some((_, only)) = found.pop_first() {
                return Ok(Some(only));
            }
        }
        Ok(None)
    }

    /// Of these, what can do something.
    pub fn able<'a>(&'a self, chosen: Vec<&'a Record>, ability: Ability) -> Vec<Target<'a>> {
        let registry = self.session.registry();
        let able = |record: &Record| {
            let operations = registry.operations(record.address.kind())?;
            operations.abilities().contains(&ability).then(|| Arc::clone(operations))
        };
        // A name is enough where it is the only one among what can do the same.
        let mut named: BTreeMap<String, usize> = BTreeMap::new();
        for record in self.state.records.values().filter(|record| able(record).is_some()) {
            *named.entry(short(record)).or_default() += 1;
        }
        let targets = chosen.into_iter().filter_map(|record| {
            let name = short(record);
            let alone = named.get(&name) == Some(&1);
            let label = if alone { name } else { record.address.to_string() };
            let label = clean(&label).into_owned();
            Some(Target { record, operations: able(record)?, label })
        });
        targets.collect()
    }

    fn none_is_able(&self, what: &[String], ability: Ability) -> CommandError {
        let doing = words(ability);
        let others = self.able(self.state.records.values().collect(), ability);
        let error = match what {
            [] => CommandError::failed(format!("nothing in this stack {doing}")),
            [one] => CommandError::failed(format!("nothing called `{one}` {doing}")),
            many => {
                let names: Vec<_> = many.iter().map(|one| format!("`{one}`")).collect();
                CommandError::failed(format!("none of {} {doing}", names.join(", ")))
            }
        };
        if others.is_empty() {
            error
        } else {
            error.hint(format!("these do: {}", list(&others)))
        }
    }

    /// A record as what its kind is asked about.
    pub fn object(&self, record: &Record) -> Object {
        Wanted {
            id: Some(record.id.clone()),
            name: Name {
                stack: self.session.project.stack.clone(),
                address: record.address.clone(),
                natural: record.natural().to_owned(),
            },
            spec: as_left(record, self.session.registry()).into_owned(),
            facts: Some(record.facts.to_json()),
        }
    }

    /// The open connection that a target is asked through.
    pub async fn line_of(&self, target: &Target<'_>) -> Result<Line, CallError> {
        self.line(through(target.record)).await
    }

    /// An open connection, with its arguments as they are now.
    pub async fn line(&self, address: &Address) -> Result<Line, CallError> {
        let spec = self.connection(address).await?;
        self.session.pool.line(address, &spec, Duration::ZERO).await
    }

    /// Asks about targets, one call for each kind and connection, all at once; the answers
    /// come in their order. `failed` makes an answer where the connection cannot be opened.
    pub async fn ask<T>(
        &self,
        targets: &[Target<'_>],
        ask: impl AsyncFn(&dyn Operations, &OpenConnection, &[Object]) -> Vec<T>,
        failed: impl Fn(&CallError) -> T,
    ) -> Vec<T> {
        let mut groups: BTreeMap<(&Address, &str), Vec<usize>> = BTreeMap::new();
        for (index, target) in targets.iter().enumerate() {
            let key = (through(target.record), target.record.address.kind());
            groups.entry(key).or_default().push(index);
        }
        let (ask, failed) = (&ask, &failed);
        let asked = groups.into_iter().map(|((connection, _), members)| async move {
            let records = members.iter().filter_map(|index| Some(targets.get(*index)?.record));
            let objects: Vec<_> = records.map(|record| self.object(record)).collect();
            let operations = members.first().and_then(|first| targets.get(*first));
            let answers = match (self.line(connection).await, operations) {
                (Ok(line), Some(target)) => {
                    ask(target.operations.as_ref(), &line.connection, &objects).await
                }
                (Err(error), _) => objects.iter().map(|_| failed(&error)).collect(),
                (_, None) => Vec::new(),
            };
            members.into_iter().zip(answers).collect::<Vec<_>>()
        });
        let mut answers: Vec<_> = join_all(asked).await.into_iter().flatten().collect();
        answers.sort_by_key(|(index, _)| *index);
        answers.into_iter().map(|(_, answer)| answer).collect()
    }

    /// The arguments of a connection as they are now: what it refers to is read again, since
    /// a container that was restarted has other ports.
    pub fn connection<'a>(
        &'a self,
        address: &'a Address,
    ) -> LocalBoxFuture<'a, Result<Value, CallError>> {
        async move {
            let Some(kind) = self.session.registry().connection_kind(address.kind()) else {
                let message = format!("this dollop knows no connection `{}`", address.kind());
                return Err(CallError::refused(message));
            };
            let Some(record) = self.state.records.get(address) else {
                let plain = kind.dial.normalize(&Value::Map(Map::new()));
                return plain.map_err(|error| CallError::refused(error.message));
            };
            let Some(arguments) = &record.arguments else { return Ok(record.spec.clone()) };
            let mut now: BTreeMap<&Address, Value> = BTreeMap::new();
            for reference in arguments.references() {
                if !now.contains_key(&reference.address)
                    && let Some(facts) = self.facts(&reference.address).await?
                {
                    now.insert(&reference.address, facts);
                }
            }
            let resolved = arguments.resolve(&|reference| {
                let record = self.state.records.get(&reference.address)?;
                let facts = now.get(&reference.address).unwrap_or(&record.facts);
                let found = reference.path.follow(facts);
                let found = found.or_else(|| reference.path.follow(&record.spec))?;
                Some(dollop_engine::expr::Expr::Value(found))
            });
            let Some(known) = resolved.known() else {
                return Err(self.not_known(address, &resolved.references()));
            };
            let normal = kind.dial.normalize(known).map_err(|error| {
                CallError::refused(format!("`{}`: {}", error.path, error.message))
            })?;
            Ok(kind.mark_spec(normal))
        }
        .boxed_local()
    }

    /// What a resource reports now; `None` for what is not looked at or gone.
    async fn facts(&self, address: &Address) -> Result<Option<Value>, CallError> {
        let Some(record) = self.state.records.get(address) else { return Ok(None) };
        let (Some(connection), Some(kind)) =
            (&record.connection, self.session.registry().kind(address.kind()))
        else {
            return Ok(None);
        };
        let line = self.line(connection).await?;
        let read = kind.calls.read(&line.connection, vec![self.object(record)]).await;
        match read.into_iter().next() {
            Some(Ok(Some(found))) => Ok(Some(kind.mark_facts(found.facts, &record.spec))),
            Some(Err(error)) => Err(error),
            _ => Ok(None),
        }
    }

    fn not_known(&self, address: &Address, missing: &BTreeSet<&Reference>) -> CallError {
        let Some(first) = missing.first() else {
            return CallError::refused(format!("the way to `{address}` is not known"));
        };
        let under = &first.address;
        let stopped = self.state.records.get(under).is_some_and(|r| r.stopped.is_some());
        let how = if stopped { "is stopped on purpose" } else { "does not run" };
        CallError::unreachable(format!("`{under}`, which `{address}` is in, {how}"))
            .hint(format!("`dollop start {under}` starts it"))
    }

    /// Whether a connection is away because somebody stopped what it is in.
    pub fn is_stopped_below(&self, record: &Record) -> bool {
        record.dependencies.iter().any(|address| {
            self.state.records.get(address).is_some_and(|under| under.stopped.is_some())
        })
    }

    /// A failed call as an error of the command, without secrets.
    pub fn explain(&self, error: &CallError) -> CommandError {
        let clean = |texts: &[String]| {
            texts.iter().map(|text| self.redactor.clean(text)).collect::<Vec<_>>()
        };
        CommandError::from(CallError {
            failure: error.failure,
            message: self.redactor.clean(&error.message),
            attribute: error.attribute,
            notes: clean(&error.notes),
            hints: clean(&error.hints),
        })
    }
}

/// The profiles of what was applied: those are on.
pub fn profiles(state: &State) -> Vec<String> {
    let records = state.records.values();
    let all: BTreeSet<_> =
        records.flat_map(|record| record.lifecycle.profiles.iter().cloned()).collect();
    all.into_iter().collect()
}

/// The port inside of what a reference to a published one names: `host_ports["5432/tcp"]`.
fn inner_port(reference: &Reference) -> Option<u16> {
    let Some(Segment::Key(inner)) = reference.path.0.last() else { return None };
    inner.strip_suffix("/tcp")?.parse().ok()
}

/// The connection a record is asked through: for a connection itself.
fn through(record: &Record) -> &Address {
    record.connection.as_ref().unwrap_or(&record.address)
}

/// The error for a name that several share.
fn several(what: &str, able: &[Target<'_>]) -> CommandError {
    CommandError::failed(format!("`{what}` is not one resource, but {}", able.len()))
        .hint(format!("name one: {}", list(able)))
}

/// The labels of some, in words.
pub fn list(targets: &[Target<'_>]) -> String {
    let named = targets.iter().take(MOST_NAMED).map(|target| format!("`{}`", target.label));
    let mut text = named.collect::<Vec<_>>().join(", ");
    if targets.len() > MOST_NAMED {
        text.push_str(", …");
    }
    text
}

/// What an ability is, in words that complete "nothing in this stack …".
fn words(ability: Ability) -> &'static str {
    match ability {
        Ability::Condition => "runs",
        Ability::Probe => "can be asked whether it works",
        Ability::Logs => "has a log",
        Ability::Exec => "runs commands",
        Ability::Switch => "can be started and stopped",
        Ability::Usage => "has measured limits",
        Ability::Reach => "has ports to lead to",
        Ability::Freshness => "is made from an image",
        Ability::Client => "has a program to speak to it",
        Ability::Events => "tells what happens",
        Ability::Answer => "answers questions about its queues",
    }
}
