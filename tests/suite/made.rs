//! A state as if everything declared had been made: for plans of kinds whose services are not
//! here. What a service would report is made up from the schema, unless the case says it.

use std::collections::BTreeMap;

use dollop_engine::address::Address;
use dollop_engine::graph::Graph;
use dollop_engine::journal::{Effect, Event, StepId};
use dollop_engine::kind::Registry;
use dollop_engine::observed::Observed;
use dollop_engine::plan::{Action, Options, plan};
use dollop_engine::schema::{Attribute, Type};
use dollop_engine::store::{MemoryStore, Record, RunEnd, RunInfo, Store};
use dollop_engine::value::Value;

/// Plans without looking at the world.
pub(crate) fn offline() -> Options {
    Options { unrefreshed: true, ..Options::default() }
}

/// Writes records for all that is declared; `said` has lines `ADDRESS FACT JSON`.
pub(crate) async fn made(graph: &Graph, store: &MemoryStore, registry: &Registry, said: &str) {
    let run = RunInfo {
        stack: graph.program().stack.clone(),
        command: "apply".to_owned(),
        plan: String::new(),
        who: "suite".to_owned(),
        when: String::new(),
    };
    store.begin(run).await.unwrap();
    let mut number = 0;
    // Each round knows what the one before it recorded.
    loop {
        let state = store.state().unwrap();
        let plan = plan(graph, &state, &Observed::default(), registry, &offline()).unwrap();
        let mut records = Vec::new();
        for connection in plan.connections.iter().filter(|found| found.declared) {
            if let (Some(spec), false) =
                (connection.spec.known(), state.records.contains_key(&connection.address))
            {
                records.push(Record {
                    arguments: connection.arguments.clone(),
                    ..record(&connection.address, spec.clone(), &connection.dependencies)
                });
            }
        }
        for change in plan.changes.iter().filter(|change| change.action == Action::Create) {
            let Some(spec) = change.after.as_ref().and_then(|after| after.known()) else {
                continue;
            };
            let kind = registry.kind(change.address.kind()).unwrap();
            let mut facts: BTreeMap<_, _> = kind
                .schema
                .facts
                .iter()
                .map(|(name, fact)| (name.clone(), placeholder(&change.address, name, fact)))
                .collect();
            for line in said.lines() {
                let words: Vec<_> = line.splitn(3, ' ').collect();
                let [address, name, json] = words.as_slice() else { continue };
                if *address == change.address.to_string() {
                    let json: serde_json::Value = serde_json::from_str(json).unwrap();
                    facts.insert((*name).to_owned(), Value::from(json));
                }
            }
            records.push(Record {
                connection: change.connection.clone(),
                id: "made".to_owned(),
                facts: Value::Map(facts.into()),
                lifecycle: change.lifecycle.clone(),
                ..record(&change.address, spec.clone(), &change.dependencies)
            });
        }
        if records.is_empty() {
            break;
        }
        for record in records {
            let (step, address) = (StepId(number), record.address.clone());
            number += 1;
            store
                .append(Event::Started { step, address, intent: None, deposed: None })
                .await
                .unwrap();
            let effect = Effect::Put(Box::new(record));
            store.append(Event::Done { step, effect }).await.unwrap();
        }
    }
    store.finish(RunEnd { complete: true, outputs: None }).await.unwrap();
}

/// A record as a create would leave it.
pub(crate) fn record(address: &Address, spec: Value, dependencies: &[Address]) -> Record {
    Record { spec, dependencies: dependencies.to_vec(), ..Record::of(address.clone()) }
}

/// Something of the right type that says what it stands for.
fn placeholder(address: &Address, name: &str, fact: &Attribute) -> Value {
    fn of(ty: &Type, words: &str) -> Value {
        match ty {
            Type::Bool => Value::Bool(true),
            Type::Int | Type::Number => Value::Int(1),
            Type::Enum(choices) => Value::string(choices[0].clone()),
            Type::List(_) => Value::List(Vec::new()),
            Type::Map(_) | Type::Object(_) => Value::Map(BTreeMap::new().into()),
            Type::Either(forms) => of(&forms[0], words),
            Type::String | Type::Any => Value::string(words),
        }
    }
    let value = of(&fact.ty, &format!("{name} of {address}"));
    if fact.secret { value.secret() } else { value }
}
