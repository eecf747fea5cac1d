//! What others changed of a stack: what is there beside what was last written. No script is
//! asked for it, so an edit that is not applied yet neither hides a change nor is one.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use dollop_engine::address::Address;
use dollop_engine::ephemeral::Recall;
use dollop_engine::error::{CallError, Failure};
use dollop_engine::graph;
use dollop_engine::plan::{Drift, drift, is_comparable};
use dollop_engine::redact::Secrets;
use dollop_engine::store::{Record, State};
use dollop_state::read_state;
use futures::future::join_all;
use serde_json::{Value as Json, json};

use crate::args::StackArgs;
use crate::error::CommandError;
use crate::live::{Live, profiles};
use crate::render::json::{self, FORMAT_VERSION};
use crate::render::text::{clean, count};
use crate::session::Session;

/// What one look gave.
pub enum Look {
    /// It was compared with the world.
    Found(Found),
    /// An apply is under way: what it has made is not recorded yet.
    Busy,
}

/// What was found, ready to be told.
#[derive(Clone)]
pub struct Found {
    /// What is told, without what changes from one look to the next.
    pub resources: Vec<Json>,
    /// The same in words, a line each.
    pub lines: Vec<String>,
    /// Why not all could be compared.
    pub error: Option<String>,
    stack: String,
    environment: String,
}

impl Found {
    /// Nothing, of this stack.
    pub fn nothing(stack: &str, environment: &str) -> Self {
        Self {
            resources: Vec::new(),
            lines: Vec::new(),
            error: None,
            stack: stack.to_owned(),
            environment: environment.to_owned(),
        }
    }

    /// The same, with why nothing could be seen.
    pub fn without_sight(self, why: String) -> Self {
        Self { error: Some(why), ..self }
    }

    /// Whether anything was changed.
    pub fn is_drift(&self) -> bool {
        !self.resources.is_empty()
    }

    /// Whether somebody who was told the one need not be told the other.
    pub fn says(&self, other: &Self) -> bool {
        self.resources == other.resources && self.error == other.error
    }

    /// In one sentence.
    pub fn sentence(&self) -> String {
        let stack = &self.stack;
        let changed = || {
            let many = count(self.resources.len(), "resource");
            format!("{many} of stack `{stack}` changed outside dollop")
        };
        match (&self.error, self.is_drift()) {
            (Some(error), false) => format!("stack `{stack}` cannot be compared: {error}"),
            (Some(error), true) => {
                format!("{}, and not all can be compared: {error}", changed())
            }
            (None, true) => changed(),
            (None, false) => format!("stack `{stack}` is as it was made"),
        }
    }

    /// For programs.
    pub fn document(&self) -> Json {
        let text = std::iter::once(self.sentence()).chain(self.lines.iter().cloned());
        json!({
            "format_version": FORMAT_VERSION,
            "stack": self.stack,
            "environment": self.environment,
            "when": humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
            "drift": self.is_drift(),
            "error": self.error,
            "resources": self.resources,
            // What chats show.
            "text": text.collect::<Vec<_>>().join("\n"),
        })
    }
}

/// How often what was compared may be out of date before that is told.
const LOOKS: usize = 3;

/// Compares what was applied with what is there.
///
/// # Errors
/// Nothing can be compared at all.
pub async fn look(args: &StackArgs) -> Result<Look, CommandError> {
    for _ in 0..LOOKS {
        let session = Session::new(args.project()?);
        let folder = session.state_folder();
        let snapshot = read_state(&folder)?;
        if snapshot.changing {
            return Ok(Look::Busy);
        }
        let serial = snapshot.state.serial;
        let found = look_once(args, session, snapshot.state).await?;
        if !found.is_drift() && found.error.is_none() {
            return Ok(Look::Found(found));
        }
        // An apply that began or ran meanwhile changed what this would tell of.
        let now = read_state(&folder)?;
        if now.changing {
            return Ok(Look::Busy);
        }
        if now.state.serial == serial {
            return Ok(Look::Found(found));
        }
    }
    Ok(Look::Busy)
}

async fn look_once(
    args: &StackArgs,
    session: Session,
    mut state: State,
) -> Result<Found, CommandError> {
    if state.records.is_empty() {
        let stack = clean(&session.project.stack).into_owned();
        return Err(CommandError::failed(format!("nothing of stack `{stack}` is applied"))
            .hint("`dollop apply` makes what it declares"));
    }
    remember(&session, args, &mut state)?;
    let mut secrets = Secrets::default();
    secrets.add_state(&state);
    let live = Live { session, state, redactor: secrets.redactor() };
    Ok(compare(&live).await)
}

/// Fills in what nobody keeps: without it some connections cannot be opened. What the script
/// prints meanwhile is not shown at every look.
fn remember(
    session: &Session,
    args: &StackArgs,
    state: &mut State,
) -> Result<(), CommandError> {
    if !Recall::forgets(state) {
        return Ok(());
    }
    let mut args = args.clone();
    if args.profiles.is_empty() {
        args.profiles = profiles(state);
    }
    session.project.files.look_up_secrets(true);
    let graph = graph::build(session.evaluated(&args, &session.project.files)?)?;
    Recall::of(&graph, session.registry(), state).fill_state(state);
    Ok(())
}

/// An object that was asked about.
type Answer<'a> = (&'a Record, Result<Option<Drift>, CallError>);

async fn compare(live: &Live) -> Found {
    let mut groups: BTreeMap<(&Address, &str), Vec<&Record>> = BTreeMap::new();
    for record in live.state.records.values() {
        let kind = live.session.registry().kind(record.address.kind());
        if let Some(connection) = &record.connection
            && kind.is_some_and(|kind| is_comparable(kind, record))
        {
            let group = groups.entry((connection, record.address.kind())).or_default();
            group.push(record);
        }
    }
    let asked = groups.into_iter().map(|((connection, _), group)| ask(live, connection, group));
    let mut answers: Vec<Answer<'_>> = join_all(asked).await.into_iter().flatten().collect();
    answers.sort_by(|one, other| one.0.address.cmp(&other.0.address));
    let project = &live.session.project;
    let mut found = Found::nothing(&project.stack, project.environment.name());
    for (record, answer) in &answers {
        if let Ok(Some(drift)) = answer {
            let (resource, words) = told(record, drift);
            found.resources.push(resource);
            found.lines.push(words);
        }
    }
    let changed = answers.iter().filter(|(_, answer)| matches!(answer, Ok(Some(_))));
    let changed: BTreeSet<&Address> = changed.map(|(record, _)| &record.address).collect();
    let mut whys = BTreeSet::new();
    for (record, answer) in &answers {
        let Err(error) = answer else { continue };
        let through = record.connection.as_ref();
        let through = through.and_then(|address| live.state.records.get(address));
        // Behind something that is gone or stopped there is nothing to be seen.
        let below_is_told = through.is_some_and(|through| {
            live.is_stopped_below(through)
                || through.dependencies.iter().any(|address| changed.contains(address))
        });
        if !below_is_told {
            let why = live.redactor.clean(&error.message);
            whys.insert(clean(&why).into_owned());
        }
    }
    found.error = (!whys.is_empty()).then(|| whys.into_iter().collect::<Vec<_>>().join("; "));
    found
}

/// All of one kind behind one connection.
async fn ask<'a>(
    live: &'a Live,
    connection: &'a Address,
    group: Vec<&'a Record>,
) -> Vec<Answer<'a>> {
    let Some(kind) =
        group.first().and_then(|record| live.session.registry().kind(record.address.kind()))
    else {
        return Vec::new();
    };
    let through = match live.line(connection).await {
        Ok(through) => through,
        Err(error) => return group.into_iter().map(|one| (one, Err(error.clone()))).collect(),
    };
    let objects: Vec<_> = group.iter().map(|record| live.object(record)).collect();
    let lefts: Vec<_> = objects.iter().map(|object| object.spec.clone()).collect();
    let read = kind.calls.read(&through.connection, objects).await;
    let asked = group.into_iter().zip(lefts);
    let compared = read.into_iter().zip(asked).map(|(read, (record, left))| {
        let became = match read {
            Ok(found) => Ok(drift(kind, record, &left, found)),
            // What a service cannot have is not there.
            Err(error) if error.failure == Failure::Impossible => Ok(Some(Drift::Gone)),
            Err(error) => Err(error),
        };
        (record, became)
    });
    compared.collect()
}

/// For programs, and in a line.
fn told(record: &Record, drift: &Drift) -> (Json, String) {
    let (action, differences, what) = match drift {
        Drift::Gone => ("gone", Vec::new(), "gone".to_owned()),
        Drift::Changed(differences) => {
            let paths: Vec<_> = differences.iter().map(|one| one.path.to_string()).collect();
            ("changed", json::differences(differences), paths.join(", "))
        }
    };
    let resource = json!({
        "address": record.address, "action": action, "differences": differences,
    });
    (resource, clean(&format!("{}: {what}", record.address)).into_owned())
}
