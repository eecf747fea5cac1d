//! A plan as a script for whoever reviews or runs it by hand: what every step would send, in
//! order, secrets masked.

use std::collections::HashMap;
use std::fmt::Write as _;

use dollop_engine::expr::Expr;
use dollop_engine::kind::Registry;
use dollop_engine::plan::{Change, Operation, Plan, aside};
use dollop_engine::resource::{Name, Script};
use dollop_engine::value::Value;

use crate::render::text::clean;

/// The script. Steps of services without statements are left out.
pub fn script(plan: &Plan, registry: &Registry) -> String {
    let mut out = String::new();
    let (mut connection, mut place) = (None, String::new());
    let changes: HashMap<_, _> =
        plan.changes.iter().map(|change| (&change.address, change)).collect();
    for step in &plan.steps {
        let Some(change) = changes.get(&step.address) else { continue };
        let verb = match step.operation {
            Operation::Create => "create",
            Operation::Update => "update",
            Operation::MakeWay => "make way:",
            Operation::Delete => "delete",
            Operation::Connect
            | Operation::Read
            | Operation::TakeOver
            | Operation::Verify
            | Operation::Record => {
                continue;
            }
        };
        let Some(script) = statements(plan, change, step.operation, registry) else { continue };
        if script.statements.is_empty() {
            continue;
        }
        if connection != change.connection {
            connection.clone_from(&change.connection);
            if let Some(connection) = &connection {
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
            let end = if statement.starts_with("--") { "" } else { ";" };
            let lines: Vec<_> = statement.lines().map(clean).collect();
            let _ = writeln!(out, "{}{end}", lines.join("\n"));
        }
    }
    if out.is_empty() {
        return "-- nothing to send\n".to_owned();
    }
    format!(
        "-- What `dollop apply` sends for this plan, for review. Secrets are masked; what is\n\
         -- known only during apply stands as <its name>.\n\n{out}"
    )
}

fn statements(
    plan: &Plan,
    change: &Change,
    operation: Operation,
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
    let mut steps = plan.steps.iter().filter(|step| step.address == change.address);
    if steps.any(|step| step.operation == Operation::MakeWay) {
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
