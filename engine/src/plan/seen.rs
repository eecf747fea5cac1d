//! What is known of objects behind connections that can be used, and what to ask for.

use crate::address::Address;
use crate::observed::Observation;
use crate::plan::decide::Walk;
use crate::resource::Wanted;
use crate::store::Record;
use crate::value::Value;

/// What is known of an object.
pub(crate) enum Seen<'a> {
    /// This was seen.
    This(&'a Observation),
    /// Its connection is about to be opened: another walk knows.
    Later,
    /// Nobody looked.
    Not,
}

/// What tells a service which object is meant.
#[derive(Default)]
pub(crate) struct Question {
    /// Its id, when it is recorded.
    pub(crate) id: Option<String>,
    /// What is recorded of its facts.
    pub(crate) facts: Option<Value>,
    /// Its spec; without one nobody can look.
    pub(crate) spec: Option<Value>,
}

impl Question {
    /// For what is recorded. Of what was cut off nobody knows whether it got an id.
    pub(crate) fn of(record: &Record) -> Self {
        let whole = (!record.interrupted).then_some(record);
        Self {
            id: whole.map(|record| record.id.clone()),
            facts: whole.map(|record| record.facts.clone()),
            spec: Some(record.spec.clone()),
        }
    }
}

impl<'a> Walk<'a> {
    /// What is known of an object behind a connection that can be used. Where that is only about
    /// to be opened, the object is asked for, unless it was read ahead.
    pub(crate) fn seen(
        &mut self,
        connection: &Address,
        address: &Address,
        question: impl FnOnce() -> Question,
    ) -> Seen<'a> {
        if self.pending.contains(connection) {
            return self.want(connection, address, question()).map_or(Seen::Later, Seen::This);
        }
        self.inputs.observed.objects.get(address).map_or(Seen::Not, Seen::This)
    }

    /// Asks for an object when its connection is about to be opened, and returns the answer
    /// where there is one.
    fn want(
        &mut self,
        connection: &Address,
        address: &Address,
        question: Question,
    ) -> Option<&'a Observation> {
        let through = self.decisions.reads.get(connection)?;
        let Some(spec) = question.spec else {
            self.decisions.reads.get_mut(connection)?.unchecked.push(address.clone());
            return None;
        };
        let mut name = self.name(address, &spec);
        // A run that was killed may have given it that name already.
        if let Some(new) = self.renamings.iter().find(|new| new.address == *address) {
            name.natural.clone_from(&new.to);
        }
        let facts = question.facts.map(|facts| facts.to_json());
        let wanted = Wanted { id: question.id, facts, name, spec };
        if let Some(found) = self.inputs.foreseen.answer((connection, &through.spec), &wanted) {
            self.decisions.foreseen.push((connection.clone(), address.clone()));
            return Some(found);
        }
        // A look-up shares the call with what is managed.
        let kind = self.inputs.registry.looked_up(address.kind());
        let kind = kind.map_or(address.kind(), |kind| kind.name);
        let reads = self.decisions.reads.get_mut(connection)?;
        reads.wanted.entry(kind.to_owned()).or_default().push(wanted);
        None
    }
}
