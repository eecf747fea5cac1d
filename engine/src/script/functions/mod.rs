//! The function library: one table, from which the functions are registered, their
//! reference is written and their examples are run as tests.
//!
//! An [`Entry`] says how a function is called, what it does and how it is run. What a
//! function may look at depends on [`Run`]; `call` refuses the rest before it runs.

mod arguments;
mod bounds;
mod builtin;
mod call;
mod ciphers;
mod conditions;
mod encode;
mod files;
mod guesses;
mod instead;
mod jinja;
mod lists;
mod maps;
mod native;
mod network;
mod patterns;
mod reference;
mod services;
mod sets;
mod shapes;
mod signature;
mod taint;
mod template;
mod times;
mod units;
mod words;

use std::rc::Rc;

use rhai::{Dynamic, Engine, FuncRegistration, NativeCallContext};

use super::session::Session;
use super::symbol::Answer;
use crate::expr::Function;
use crate::value::Value;
pub(super) use call::{Hand, Meter};
pub(super) use instead::instead;
pub(super) use reference::definitions;
pub use reference::{Documented, library, reference};
use signature::Signature;

/// What went wrong in a function, in words for the script's author.
#[derive(Debug)]
pub(super) struct Fault {
    /// What is wrong.
    pub(super) message: String,
    /// What to do about it.
    pub(super) hint: Option<String>,
}

impl Fault {
    /// A fault without advice.
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }

    /// Adds advice.
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// What a function makes of known values.
pub(super) type Outcome = Result<Value, Fault>;

/// How a function is run.
#[derive(Clone, Copy)]
pub(super) enum Run {
    /// On values that are known; over a secret the result is secret.
    Known(fn(&[Value]) -> Outcome),
    /// Likewise; adds the steps it takes beside reading its arguments.
    Searching(fn(&[Value], &mut Meter) -> Outcome),
    /// On any value: what is not known yet is computed once it is.
    Later(Function),
    /// On lists and maps, whose items it hands on without looking, unless it asks the hand.
    Items(fn(&Hand<'_>, Vec<Dynamic>) -> Answer<Dynamic>),
    /// Registered by another module; the entry documents it.
    Elsewhere,
}

/// One function of the library.
pub(super) struct Entry {
    /// How it is called: `name(text: string, width?: int) -> string`.
    pub(super) signature: &'static str,
    /// What it does, in one sentence or two.
    pub(super) doc: &'static str,
    /// Scripts and what they are equal to.
    pub(super) examples: &'static [(&'static str, &'static str)],
    /// How it is run.
    pub(super) run: Run,
}

impl Entry {
    /// Its name.
    pub(super) fn name(&self) -> &'static str {
        self.signature.split('(').next().unwrap_or_default()
    }

    /// How it is called, what it gives left out.
    pub(super) fn form(&self) -> &'static str {
        self.signature.split(" -> ").next().unwrap_or_default()
    }
}

/// Functions of one subject.
pub(super) struct Group {
    /// The heading.
    pub(super) title: &'static str,
    /// The functions.
    pub(super) entries: &'static [Entry],
}

/// The library.
pub(super) const GROUPS: &[Group] = &[
    Group { title: "The stack", entries: builtin::STACK },
    Group { title: "Conditions", entries: conditions::ENTRIES },
    Group { title: "Text", entries: words::ENTRIES },
    Group { title: "Text, built in", entries: builtin::TEXT },
    Group { title: "Numbers, built in", entries: native::NUMBERS },
    Group { title: "Regular expressions", entries: patterns::ENTRIES },
    Group { title: "Lists", entries: lists::ENTRIES },
    Group { title: "Lists, built in", entries: builtin::LISTS },
    Group { title: "Lists, built in, to be changed", entries: native::LISTS },
    Group { title: "Sets", entries: sets::ENTRIES },
    Group { title: "Maps", entries: maps::ENTRIES },
    Group { title: "Maps, built in", entries: builtin::MAPS },
    Group { title: "Maps, built in, to be changed", entries: native::MAPS },
    Group { title: "Values and functions, built in", entries: native::OTHERS },
    Group { title: "Encoding", entries: encode::ENTRIES },
    Group { title: "Hashes", entries: ciphers::ENTRIES },
    Group { title: "Networks", entries: network::ENTRIES },
    Group { title: "Services", entries: services::ENTRIES },
    Group { title: "Versions, durations and sizes", entries: units::ENTRIES },
    Group { title: "Time", entries: times::ENTRIES },
    Group { title: "Files and paths", entries: files::ENTRIES },
    Group { title: "Templates", entries: template::ENTRIES },
];

/// Every function of the library.
pub(super) fn entries() -> impl Iterator<Item = &'static Entry> {
    GROUPS.iter().flat_map(|group| group.entries)
}

/// Registers them all.
pub(super) fn register(engine: &mut Engine, session: &Rc<Session>) {
    for entry in entries() {
        if matches!(entry.run, Run::Elsewhere) {
            continue;
        }
        let signature = Rc::new(Signature::of(entry));
        for count in signature.required()..=signature.parameters.len() {
            register_form(engine, session, entry, &signature, count);
        }
    }
}

/// Registers a function for one number of arguments.
fn register_form(
    engine: &mut Engine,
    session: &Rc<Session>,
    entry: &'static Entry,
    signature: &Rc<Signature>,
    count: usize,
) {
    /// Registers a closure with that many arguments.
    macro_rules! form {
        ($($argument:ident),+) => {{
            let (here, signature) = (Rc::clone(session), Rc::clone(signature));
            FuncRegistration::new(entry.name())
                .with_params_info(signature.metadata(count))
                .with_comments([comment(entry)])
                .register_into_engine(
                    engine,
                    move |context: NativeCallContext, $($argument: Dynamic),+| {
                        call::run(&here, &context, entry, &signature, vec![$($argument),+])
                    },
                );
        }};
    }
    match count {
        1 => form!(a),
        2 => form!(a, b),
        3 => form!(a, b, c),
        _ => form!(a, b, c, d),
    }
}

/// The documentation as Rhai keeps it, for editors.
fn comment(entry: &Entry) -> String {
    let mut text = format!("/// {}", entry.doc);
    for (script, result) in entry.examples {
        text.push_str("\n///\n/// ```rhai");
        for line in format!("{script} == {result}").lines() {
            text.push_str("\n/// ");
            text.push_str(line);
        }
        text.push_str("\n/// ```");
    }
    text
}
