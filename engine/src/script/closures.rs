//! Functions of lists and maps that ask a closure. Rhai's own take whatever a closure gives
//! for false unless it is true, a value that is not known yet as well.

use std::rc::Rc;

use rhai::{Array, Dynamic, Engine, FnPtr, FuncRegistration, Map, NativeCallContext};

use super::errors::type_words;
use super::onward::each;
use super::operators::unknown;
use super::session::Session;
use super::symbol::{Answer, Handle, Symbol};
use crate::diagnostic::{Code, Diagnostic};

/// Registers them all.
pub(super) fn register(engine: &mut Engine, session: &Rc<Session>) {
    lists(engine, session);
    maps(engine, session);
}

/// One closure and who asks it.
struct Asked<'a> {
    session: &'a Session,
    context: &'a NativeCallContext<'a>,
    closure: &'a FnPtr,
    /// How many parameters it has beside what it captures; one when nobody can tell.
    takes: usize,
}

impl<'a> Asked<'a> {
    fn new(
        session: &'a Session,
        context: &'a NativeCallContext<'a>,
        closure: &'a FnPtr,
    ) -> Self {
        let name = closure.fn_name();
        let sources = session.sources.borrow();
        let all = sources.values().find_map(|source| source.closures.get(name).copied());
        let captured = closure.curry().len();
        // Of several of a name the one that takes an item.
        let named = || {
            let all = sources.values().flat_map(|source| &source.functions);
            let counts = all.filter(|(other, _)| other == name).map(|(_, count)| *count);
            counts.min_by_key(|count| count.abs_diff(captured + 1))
        };
        let takes = all.or_else(named).map_or(1, |all| all.saturating_sub(captured));
        Self { session, context, closure, takes }
    }

    /// What it gives for an item; the second value is handed over when it takes one.
    fn call(&self, item: &mut Dynamic, second: impl Into<Dynamic>) -> Answer<Dynamic> {
        match self.takes {
            0 => self.closure.call_raw(self.context, Some(item), Vec::new()),
            1 => self.closure.call_raw(self.context, None, vec![item.clone()]),
            _ => self.closure.call_raw(self.context, None, vec![item.clone(), second.into()]),
        }
    }

    /// The same for an item that it may change, which is `this` whatever it takes beside.
    fn call_on(&self, item: &mut Dynamic, second: impl Into<Dynamic>) -> Answer<Dynamic> {
        if self.takes == 0 || !self.closure.is_anonymous() {
            return self.call(item, second);
        }
        let mut values = vec![item.clone()];
        if self.takes > 1 {
            values.push(second.into());
        }
        self.closure.call_raw(self.context, Some(item), values)
    }

    /// True or false, as it says of an item.
    fn holds(&self, item: &mut Dynamic, second: impl Into<Dynamic>) -> Answer<bool> {
        self.decided(self.call(item, second)?)
    }

    fn decided(&self, answer: Dynamic) -> Answer<bool> {
        if let Ok(answer) = answer.as_bool() {
            return Ok(answer);
        }
        let who = format!("`{}`", self.context.fn_name());
        let finding = if answer.is::<Symbol>() || answer.is::<Handle>() {
            unknown(self.session, &answer, &who)
        } else {
            let found = type_words(self.context.engine().map_type_name(answer.type_name()));
            let message = format!("the closure of {who} must give true or false, not {found}");
            Diagnostic::new(Code::WrongType, message)
        };
        Err(self.session.refuse(finding.at(self.session.span(self.context))))
    }

    /// Refuses a closure that would take the key for the value.
    fn takes_both(&self) -> Answer<()> {
        if self.takes != 1 || !self.closure.is_anonymous() {
            return Ok(());
        }
        let name = self.context.fn_name();
        let message = format!("`{name}` of a map hands its closure a key and a value");
        let finding = Diagnostic::new(Code::WrongArguments, message)
            .hint(format!("write `.{name}(|key, value| ..)`"))
            .hint("for the values alone, write `map.values()` before it");
        Err(self.session.refuse(finding.at(self.session.span(self.context))))
    }

    /// What it gives for an entry.
    fn entry(&self, key: &str, value: &mut Dynamic) -> Answer<Dynamic> {
        let key = Dynamic::from(key.to_owned());
        match self.takes {
            0 => self.closure.call_raw(self.context, Some(value), Vec::new()),
            1 => self.closure.call_raw(self.context, Some(value), vec![key]),
            _ => self.closure.call_raw(self.context, None, vec![key, value.clone()]),
        }
    }
}

/// The place of an item as Rhai has it.
fn place(index: usize) -> rhai::INT {
    rhai::INT::try_from(index).unwrap_or(rhai::INT::MAX)
}

/// Registers a function that changes what it is called on, which no constant allows.
macro_rules! changing {
    ($engine:ident, $name:expr, $function:expr) => {
        FuncRegistration::new($name)
            .with_purity(false)
            .register_into_engine($engine, $function);
    };
}
pub(super) use changing;

fn lists(engine: &mut Engine, session: &Rc<Session>) {
    let here = Rc::clone(session);
    changing!(engine, "for_each", move |context: NativeCallContext,
                                        list: &mut Array,
                                        by: FnPtr|
          -> Answer<()> {
        let asked = Asked::new(&here, &context, &by);
        let items = list.iter_mut().enumerate();
        let turns = items.map(|(index, item)| asked.call_on(item, place(index)));
        each(&here, &context, &by, turns).map(drop)
    });
    let here = Rc::clone(session);
    engine.register_fn(
        "map",
        move |context: NativeCallContext, list: &mut Array, by: FnPtr| -> Answer<Array> {
            let asked = Asked::new(&here, &context, &by);
            let items = list.iter_mut().enumerate();
            let turns = items.map(|(index, item)| asked.call(item, place(index)));
            each(&here, &context, &by, turns)
        },
    );
    let here = Rc::clone(session);
    engine.register_fn(
        "filter",
        move |context: NativeCallContext, list: &mut Array, by: FnPtr| -> Answer<Array> {
            let asked = Asked::new(&here, &context, &by);
            let items = list.iter_mut().enumerate();
            let turns = items.map(|(index, item)| {
                Ok(asked.holds(item, place(index))?.then(|| item.clone()))
            });
            Ok(each(&here, &context, &by, turns)?.into_iter().flatten().collect())
        },
    );
    for (name, wanted) in [("some", true), ("all", false)] {
        let here = Rc::clone(session);
        engine.register_fn(
            name,
            move |context: NativeCallContext, list: &mut Array, by: FnPtr| -> Answer<bool> {
                let asked = Asked::new(&here, &context, &by);
                for (index, item) in list.iter_mut().enumerate() {
                    if asked.holds(item, place(index))? == wanted {
                        return Ok(wanted);
                    }
                }
                Ok(!wanted)
            },
        );
    }
    let here = Rc::clone(session);
    engine.register_fn(
        "find",
        move |context: NativeCallContext, list: &mut Array, by: FnPtr| -> Answer<Dynamic> {
            let asked = Asked::new(&here, &context, &by);
            for (index, item) in list.iter_mut().enumerate() {
                if asked.holds(item, place(index))? {
                    return Ok(item.clone());
                }
            }
            Ok(Dynamic::UNIT)
        },
    );
    let here = Rc::clone(session);
    engine.register_fn(
        "index_of",
        move |context: NativeCallContext, list: &mut Array, by: FnPtr| -> Answer<rhai::INT> {
            let asked = Asked::new(&here, &context, &by);
            for (index, item) in list.iter_mut().enumerate() {
                if asked.holds(item, place(index))? {
                    return Ok(place(index));
                }
            }
            Ok(-1)
        },
    );
    // Both give what is taken out.
    for (name, taken) in [("retain", false), ("drain", true)] {
        let here = Rc::clone(session);
        changing!(engine, name, move |context: NativeCallContext,
                                      list: &mut Array,
                                      by: FnPtr|
              -> Answer<Array> {
            let asked = Asked::new(&here, &context, &by);
            let (mut kept, mut gone) = (Array::new(), Array::new());
            for (index, item) in list.iter_mut().enumerate() {
                let goes = asked.holds(item, place(index))? == taken;
                if goes { &mut gone } else { &mut kept }.push(item.clone());
            }
            *list = kept;
            Ok(gone)
        });
    }
}

fn maps(engine: &mut Engine, session: &Rc<Session>) {
    let here = Rc::clone(session);
    engine.register_fn(
        "map",
        move |context: NativeCallContext, map: &mut Map, by: FnPtr| -> Answer<Map> {
            let asked = Asked::new(&here, &context, &by);
            asked.takes_both()?;
            let entries = map.iter_mut();
            let turns = entries.map(|(key, value)| Ok((key.clone(), asked.entry(key, value)?)));
            Ok(each(&here, &context, &by, turns)?.into_iter().collect())
        },
    );
    let here = Rc::clone(session);
    engine.register_fn(
        "filter",
        move |context: NativeCallContext, map: &mut Map, by: FnPtr| -> Answer<Map> {
            let asked = Asked::new(&here, &context, &by);
            asked.takes_both()?;
            let turns = map.iter_mut().map(|(key, value)| {
                let stays = asked.decided(asked.entry(key, value)?)?;
                Ok(stays.then(|| (key.clone(), value.clone())))
            });
            Ok(each(&here, &context, &by, turns)?.into_iter().flatten().collect())
        },
    );
    for (name, taken) in [("retain", false), ("drain", true)] {
        let here = Rc::clone(session);
        changing!(engine, name, move |context: NativeCallContext,
                                      map: &mut Map,
                                      by: FnPtr|
              -> Answer<Map> {
            let asked = Asked::new(&here, &context, &by);
            asked.takes_both()?;
            let (mut kept, mut gone) = (Map::new(), Map::new());
            for (key, value) in map.iter_mut() {
                let goes = asked.decided(asked.entry(key, value)?)? == taken;
                if goes { &mut gone } else { &mut kept }.insert(key.clone(), value.clone());
            }
            *map = kept;
            Ok(gone)
        });
    }
}
