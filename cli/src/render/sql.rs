//! A plan as a script for whoever reviews or runs it by hand: what every step would send, in
//! order, variables in place of secrets.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt::Write as _;

use dollop_engine::address::Address;
use dollop_engine::expr::Expr;
use dollop_engine::kind::Registry;
use dollop_engine::plan::{Change, Operation, Plan, aside};
use dollop_engine::redact::Secrets;
use dollop_engine::resource::{Name, Script};
use dollop_engine::value::Value;
use serde_json::{Value as Json, json};

use crate::render::text::clean;

/// The script. Steps of services without statements are left out.
pub fn script(plan: &Plan, registry: &Registry) -> String {
    let mut out = String::new();
    let (mut connection, mut place) = (None, String::new());
    let (mut variables, mut unknown) = (BTreeSet::new(), BTreeSet::new());
    for step in sent(plan, registry) {
        let Sent { verb, change, script } = step;
        if connection != change.connection {
            let first = connection.is_none();
            connection.clone_from(&change.connection);
            if let Some(connection) = &connection {
                if !first {
                    let _ = writeln!(out, "\n{}", elsewhere(connection));
                }
                let _ = writeln!(out, "-- {connection}");
            }
            place.clear();
        }
        if !script.place.is_empty() && script.place != place {
            let _ = writeln!(out, "{}", script.place);
            place = script.place;
        }
        let _ = writeln!(out, "\n-- {verb} {}", change.address);
        for statement in &script.statements {
            let _ = writeln!(out, "{}", ended(statement));
        }
        variables.extend(script.variables);
        if let Some(after) = &change.after {
            let waits = after.references().into_iter().map(|name| format!("<{name}>"));
            unknown.extend(waits.filter(|name| {
                script.statements.iter().any(|statement| statement.contains(name.as_str()))
            }));
        }
    }
    if out.is_empty() {
        return "-- nothing to send\n".to_owned();
    }
    format!("{}{out}", head(&variables, &unknown))
}

/// The same for programs: what is sent for each change, in order.
pub fn by_change(plan: &Plan, registry: &Registry) -> Json {
    let all = sent(plan, registry).map(|Sent { verb, change, script }| {
        json!({
            "address": change.address,
            "operation": verb.trim_end_matches(':').replace(' ', "_"),
            "place": script.place,
            "statements": script.statements,
            "variables": script.variables,
        })
    });
    all.collect()
}

/// The lines of what is sent for each change, for a plan that people read.
pub type Lines = HashMap<Address, Vec<String>>;

/// What is sent for each change, in order, with the line that leads to where it runs.
pub fn lines(plan: &Plan, registry: &Registry) -> Lines {
    let mut all = Lines::new();
    for Sent { change, script, .. } in sent(plan, registry) {
        let lines = all.entry(change.address.clone()).or_default();
        // A change of several steps leads there once.
        if !script.place.is_empty() && !lines.contains(&script.place) {
            lines.push(script.place);
        }
        for statement in &script.statements {
            lines.extend(ended(statement).lines().map(str::to_owned));
        }
    }
    all
}

/// A text without what SQL changes about a name: quotes, dots and capital letters.
fn squeezed(text: &str) -> String {
    text.chars().filter(|sign| sign.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// The secrets of a change, as [`squeezed`]; what is shorter than a word is in every text.
fn squeezed_secrets(change: &Change) -> Vec<String> {
    let mut found = Vec::new();
    let mut keep = |secret: &str| found.push(squeezed(secret));
    change.before.iter().for_each(|value| value.each_secret(&mut keep));
    change.after.iter().for_each(|value| value.each_secret(&mut keep));
    found.retain(|secret| secret.len() >= 4);
    found
}

/// One line of the steps: what is sent for a change.
struct Sent<'a> {
    verb: &'static str,
    change: &'a Change,
    script: Script,
}

/// What is sent, in order.
fn sent<'a>(plan: &'a Plan, registry: &'a Registry) -> impl Iterator<Item = Sent<'a>> {
    let changes: HashMap<_, _> =
        plan.changes.iter().map(|change| (&change.address, change)).collect();
    let making_way = plan.steps.iter().filter(|step| step.operation == Operation::MakeWay);
    let making_way: HashSet<_> = making_way.map(|step| &step.address).collect();
    // Secrets have variables in their place; names that are secret have not.
    let mut secrets = Secrets::default();
    secrets.add_plan(plan);
    let redactor = secrets.redactor();
    plan.steps.iter().filter_map(move |step| {
        let change = *changes.get(&step.address)?;
        let verb = match step.operation {
            Operation::Create => "create",
            Operation::Update => "update",
            Operation::MakeWay => "make way:",
            Operation::Delete => "delete",
            Operation::Connect
            | Operation::Read
            | Operation::TakeOver
            | Operation::Verify
            | Operation::Record => return None,
        };
        let makes_way = making_way.contains(&step.address);
        let mut script = statements(plan, change, step.operation, makes_way, registry)?;
        script.place = redactor.clean(&script.place);
        let held = squeezed_secrets(change);
        for statement in &mut script.statements {
            let bare = squeezed(statement);
            *statement = if held.iter().any(|secret| bare.contains(secret)) {
                "-- not shown: a secret stands in it where no variable can".to_owned()
            } else {
                redactor.clean(statement)
            };
        }
        (!script.statements.is_empty()).then_some(Sent { verb, change, script })
    })
}

/// What stands above the statements: it stops `psql` where something was not filled in, before
/// anything is done.
fn head(variables: &BTreeSet<String>, unknown: &BTreeSet<String>) -> String {
    let mut out = "-- What `dollop apply` sends for this plan, to be reviewed, or run by \
                   `psql -X -f`.\n\\set ON_ERROR_STOP on\n"
        .to_owned();
    if !variables.is_empty() {
        out.push_str(
            "-- Secrets are not in here. Each is a variable of psql, to be given first:\n\
             -- \\set NAME `cat FILE`, or `psql -v NAME=...`. A password may be its SCRAM verifier.\n",
        );
    }
    for name in variables {
        let _ = writeln!(
            out,
            "\\if :{{?{name}}}\n\\else\nDO $$ BEGIN RAISE EXCEPTION 'set the psql variable \
             {name} first'; END $$;\n\\endif"
        );
    }
    for name in unknown {
        let name = clean(name).replace('\'', "''").replace('%', "%%");
        let _ = writeln!(
            out,
            "-- Known only once what it belongs to is there. Write it in its place, then take \
             this line out:\nDO $dollop$ BEGIN RAISE EXCEPTION 'write in place of {name} what \
             it is'; END $dollop$;"
        );
    }
    out.push('\n');
    out
}

/// Ends `psql` before what is for another server: it would be sent to this one.
fn elsewhere(connection: &Address) -> String {
    format!(
        "\\echo 'What follows is for {connection}: connect there, and run the rest of this script.'\n\\quit"
    )
}

/// A statement as `psql` reads it. What would act on a terminal is shown as an escape, and so
/// cannot be run.
fn ended(statement: &str) -> String {
    let line = |line: &str| line.split('\t').map(clean).collect::<Vec<_>>().join("\t");
    let text = statement.lines().map(line).collect::<Vec<_>>().join("\n");
    if statement.starts_with("--") {
        return text;
    }
    let text = if text == statement.trim_end_matches('\n') {
        text
    } else {
        format!(
            "DO $dollop$ BEGIN RAISE EXCEPTION 'the next statement holds characters that are \
             shown as escapes: write them in their place, then take this line out'; END \
             $dollop$;\n{text}"
        )
    };
    // A comment in its last line would swallow the end.
    let comments = text.lines().last().is_some_and(|last| last.contains("--"));
    if comments { format!("{text}\n;") } else { format!("{text};") }
}

fn statements(
    plan: &Plan,
    change: &Change,
    operation: Operation,
    makes_way: bool,
    registry: &Registry,
) -> Option<Script> {
    // What the service itself told is what is sent.
    let known = plan.scripts.get(&change.address);
    if let Some(known) = known.filter(|_| operation != Operation::Delete) {
        return Some(known.clone());
    }
    let kind = registry.kind(change.address.kind())?;
    let mut before = change.before.clone().filter(|_| operation != Operation::Create);
    let after = change.after.as_ref().filter(|_| operation != Operation::Delete);
    let mut after = after.map(|after| match after {
        Expr::Map(entries) => Value::Map(
            entries.iter().map(|(name, entry)| (name.clone(), by_name(entry))).collect(),
        ),
        other => by_name(other),
    });
    if makes_way {
        let way = before.as_ref().map(|before| aside(&change.address, before));
        match operation {
            Operation::MakeWay => after = way,
            _ => before = way,
        }
    }
    let natural = after.as_ref().or(before.as_ref())?.get("name").and_then(Value::as_str);
    let name = Name {
        stack: plan.stack.clone(),
        natural: natural.unwrap_or_else(|| change.address.name()).to_owned(),
        address: change.address.clone(),
    };
    kind.calls.script(&name, before.as_ref(), after.as_ref())
}

/// A value, with the names of what is not known yet.
fn by_name(expr: &Expr) -> Value {
    match expr {
        Expr::Value(value) => value.clone(),
        Expr::List(items) => Value::List(items.iter().map(by_name).collect()),
        Expr::Map(entries) => {
            let entries = entries.iter().map(|(key, entry)| (key.clone(), by_name(entry)));
            Value::Map(entries.collect())
        }
        Expr::Secret(inner) if matches!(**inner, Expr::List(_) | Expr::Map(_)) => {
            by_name(inner).secret()
        }
        unknown if unknown.is_secret() => Value::string("(secret)").secret(),
        unknown => {
            let names: Vec<_> = unknown
                .references()
                .into_iter()
                .map(|reference| format!("<{reference}>"))
                .collect();
            Value::string(names.join(" "))
        }
    }
}
