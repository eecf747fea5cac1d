//! What is read before a plan asks for it.
//!
//! A plan knows what to ask a service only after the script has run and a walk over all of it.
//! By far the most of that is what the state remembers, as it remembers it, and that is known
//! at once. So it is asked while the script runs, and where the plan puts the very same question
//! it finds the answer. All else it asks itself, as if nobody had asked before.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use futures::future::join_all;

use crate::address::Address;
use crate::limit::Limit;
use crate::observed::Observation;
use crate::pool::Pool;
use crate::reading;
use crate::resource::{Name, Wanted};
use crate::store::{Record, State};
use crate::value::Value;

/// What a state remembers of one connection.
pub struct Remembered {
    /// Its arguments, in normal form.
    pub spec: Value,
    /// What to ask it for, by kind.
    wanted: BTreeMap<String, Vec<Wanted<Value>>>,
    /// How long reading may take, where that was said.
    limits: HashMap<Address, Limit>,
}

impl Remembered {
    /// All connections of a state. Behind one where a change was cut off nothing is asked for:
    /// what names things have by now is found out in steps.
    pub fn of(state: &State) -> BTreeMap<Address, Self> {
        let connections = state.records.values().filter(|record| record.connection.is_none());
        let mut all: BTreeMap<Address, Self> = connections
            .map(|record| {
                let (spec, wanted) = (record.spec.clone(), BTreeMap::new());
                (record.address.clone(), Self { spec, wanted, limits: HashMap::new() })
            })
            .collect();
        let doubtful = |record: &Record| record.interrupted || record.unfinished;
        let mut left_alone = Vec::new();
        for record in state.records.values() {
            let Some(connection) = &record.connection else { continue };
            let Some(remembered) = all.get_mut(connection) else { continue };
            if doubtful(record) {
                left_alone.push(connection);
                continue;
            }
            let address = &record.address;
            if let Some(limit) = record.lifecycle.timeouts.read {
                remembered.limits.insert(address.clone(), limit);
            }
            let kind = address.kind().to_owned();
            remembered.wanted.entry(kind).or_default().push(Wanted {
                id: Some(record.id.clone()),
                name: Name {
                    stack: state.stack.clone(),
                    address: address.clone(),
                    natural: record.natural().to_owned(),
                },
                spec: record.spec.clone(),
                facts: Some(record.facts.to_json()),
            });
        }
        for connection in left_alone {
            if let Some(remembered) = all.get_mut(connection) {
                remembered.wanted.clear();
            }
        }
        all
    }
}

/// What was asked ahead, and the answers.
#[derive(Default)]
pub(crate) struct Foreseen(BTreeMap<Address, Behind>);

/// The same of one connection.
pub(crate) struct Behind {
    /// The arguments it was opened with.
    spec: Value,
    answers: HashMap<Address, (Wanted<Value>, Observation)>,
}

impl Foreseen {
    /// The answer to a question that was asked ahead in just these words.
    pub(crate) fn answer(
        &self,
        (connection, spec): (&Address, &Value),
        wanted: &Wanted<Value>,
    ) -> Option<&Observation> {
        let behind = self.0.get(connection).filter(|behind| behind.spec == *spec)?;
        let (asked, answer) = behind.answers.get(&wanted.name.address)?;
        (asked == wanted).then_some(answer)
    }

    /// Takes an answer out.
    pub(crate) fn take(
        &mut self,
        connection: &Address,
        address: &Address,
    ) -> Option<Observation> {
        Some(self.0.get_mut(connection)?.answers.remove(address)?.1)
    }
}

impl FromIterator<(Address, Behind)> for Foreseen {
    fn from_iter<All: IntoIterator<Item = (Address, Behind)>>(all: All) -> Self {
        Self(all.into_iter().collect())
    }
}

/// Reads what is remembered behind a connection that is opened ahead.
///
/// What cannot be read is left out: whoever wants it asks, and is told why.
pub(crate) async fn read(
    pool: Arc<Pool>,
    connection: Address,
    remembered: Remembered,
) -> Option<Behind> {
    let Remembered { spec, wanted, limits } = remembered;
    pool.open_as(connection.clone(), spec.clone()).await;
    let line = pool.opened(&connection, &spec).await?;
    let (line, limits) = (&line, &limits);
    let calls = wanted.into_iter().filter_map(|(kind, wanted)| {
        let kind = pool.registry().kind(&kind)?;
        Some(async move {
            let questions = wanted.clone();
            let limit = |address: &Address| limits.get(address).copied();
            let found = reading::read(kind, line, wanted, limit).await;
            let mut found: HashMap<_, _> = found.into_iter().collect();
            let answered = questions.into_iter().filter_map(move |question| {
                let answer = found.remove(&question.name.address)?;
                let is_one = matches!(answer, Observation::Found(_) | Observation::Gone);
                is_one.then(|| (question.name.address.clone(), (question, answer)))
            });
            answered.collect::<Vec<_>>()
        })
    });
    let answers = join_all(calls).await.into_iter().flatten().collect();
    Some(Behind { spec, answers })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn remembered(state: &State) -> (Value, Wanted<Value>) {
        let mut behind = Remembered::of(state).remove(&"test::desk.front".parse().unwrap());
        let behind = behind.as_mut().unwrap();
        let wanted = behind.wanted.remove("test::thing").and_then(|mut all| all.pop());
        (behind.spec.clone(), wanted.unwrap())
    }

    fn state() -> State {
        let connection: Address = "test::desk.front".parse().unwrap();
        let spec = Value::from(json!({ "port": 1 }));
        let desk = Record { spec, ..Record::of(connection.clone()) };
        let thing = Record {
            connection: Some(connection),
            id: "7".to_owned(),
            spec: Value::from(json!({ "name": "a" })),
            ..Record::of("test::thing.a".parse().unwrap())
        };
        let records = [desk, thing].map(|record| (record.address.clone(), record));
        State { stack: "test".to_owned(), records: records.into(), ..State::default() }
    }

    #[test]
    fn only_the_very_same_question_has_its_answer() {
        let connection: Address = "test::desk.front".parse().unwrap();
        let (spec, asked) = remembered(&state());
        let answers = [(asked.name.address.clone(), (asked.clone(), Observation::Gone))];
        let behind = Behind { spec: spec.clone(), answers: answers.into() };
        let foreseen: Foreseen = [(connection.clone(), behind)].into_iter().collect();
        let answer = |spec: &Value, wanted: &Wanted<Value>| {
            foreseen.answer((&connection, spec), wanted).is_some()
        };
        assert!(answer(&spec, &asked));
        assert!(!answer(&Value::from(json!({ "port": 2 })), &asked), "another server");
        let mut renamed = asked.clone();
        renamed.name.natural = "b".to_owned();
        let others = [
            Wanted { id: Some("8".to_owned()), ..asked.clone() },
            Wanted { id: None, ..asked.clone() },
            Wanted { spec: Value::from(json!({ "name": "b" })), ..asked.clone() },
            Wanted { facts: Some(json!({ "at": 1 })), ..asked.clone() },
            renamed,
        ];
        for other in others {
            assert!(!answer(&spec, &other), "{other:?}");
        }
    }

    #[test]
    fn nothing_is_asked_behind_a_connection_where_a_change_was_cut_off() {
        let mut state = state();
        for record in state.records.values_mut() {
            record.unfinished = record.connection.is_some();
        }
        let behind = Remembered::of(&state);
        assert!(behind.values().all(|behind| behind.wanted.is_empty()), "one");
        assert_eq!(behind.len(), 1);
    }
}
