//! `discover`: the names of what a server has, as data a script can loop over.
//!
//! A script never sees the world, so it does not ask. `dollop discover` asks, while the script
//! waits at each question, and writes the answers to a file of the project; from then on they
//! are data like any other.

use std::collections::BTreeMap;
use std::rc::Rc;

use rhai::{
    Array, Dynamic, Engine, EvalAltResult, FuncRegistration, Map, NativeCallContext, Position,
};
use serde::{Deserialize, Serialize};

use super::declare::kind_on;
use super::draft::Draft;
use super::parameters::known_text;
use super::session::Session;
use super::symbol::{Answer, Handle};
use super::{place, profile, so_far};
use crate::address::Address;
use crate::diagnostic::{Code, Diagnostic, Severity, Span};
use crate::expr::{Expr, Reference};
use crate::files::FileError;
use crate::kind::{Kind, short_name};
use crate::path::Path;
use crate::program::{Discovery, Program, Question};
use crate::resource::Naming;
use crate::value::Value;

/// The answers of one environment, by the name of the discovery.
pub type Answers = BTreeMap<String, Discovered>;

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Discovered {
    /// What was asked.
    pub of: String,
    /// The names, in order.
    pub names: Vec<String>,
}

/// Whoever asks the world what a script discovers.
pub trait Discoverer {
    /// The names for a question of a script that has declared this much; with `None` the run
    /// ends there, and the discoverer knows why.
    fn discover(&self, discovery: &Discovery, so_far: Program) -> Option<Vec<String>>;

    /// The names for a question of a profile that is off, which nobody puts.
    fn recorded(&self, discovery: &Discovery) -> Option<Vec<String>>;
}

/// The file of the project with the answers of an environment.
pub fn answers_file(environment: &str) -> String {
    format!("{environment}.discovered.json")
}

/// The answers as they stand in the file.
///
/// # Errors
/// The text is none of ours.
pub fn read_answers(text: &str) -> Result<Answers, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

/// Registers `discover(name, on, kind)` and the form with options.
pub(super) fn register(engine: &mut Engine, session: &Rc<Session>) {
    let comment = "/// The names of what a server has, as `dollop discover` found them.";
    let here = Rc::clone(session);
    FuncRegistration::new("discover")
        .with_params_info(["name: string", "on: resource", "kind: string", "list"])
        .with_comments([comment])
        .register_into_engine(
            engine,
            move |context: NativeCallContext, name: Dynamic, on: Dynamic, kind: Dynamic| {
                discover(&here, &context, &name, &on, &kind, Dynamic::UNIT)
            },
        );
    let here = Rc::clone(session);
    FuncRegistration::new("discover")
        .with_params_info([
            "name: string",
            "on: resource",
            "kind: string",
            "options: map",
            "list",
        ])
        .with_comments([comment])
        .register_into_engine(
            engine,
            move |context: NativeCallContext,
                  name: Dynamic,
                  on: Dynamic,
                  kind: Dynamic,
                  options: Dynamic| {
                discover(&here, &context, &name, &on, &kind, options)
            },
        );
}

fn discover(
    session: &Session,
    context: &NativeCallContext,
    name: &Dynamic,
    on: &Dynamic,
    kind: &Dynamic,
    options: Dynamic,
) -> Answer<Dynamic> {
    let span = session.call(context).span.clone();
    let wrong = |message: String| {
        session.refuse(
            Diagnostic::new(Code::DiscoveryForm, message)
                .at(span.clone())
                .hint("write `discover(\"tenants\", server, \"database\")`"),
        )
    };
    let name = known_text(name).filter(|name| !name.is_empty());
    let Some(name) = name else {
        return Err(wrong("the name of a discovery must be known text".to_owned()));
    };
    let on = on.clone().flatten();
    let Some(on) = on.read_lock::<Handle>().map(|handle| handle.clone()) else {
        return Err(wrong(format!(
            "`{name}` is discovered on a server, or on something in it"
        )));
    };
    let Some(short) = known_text(kind) else {
        return Err(wrong("what is discovered is the known name of a kind".to_owned()));
    };
    let default = default(options).map_err(|message| wrong(format!("`{name}`: {message}")))?;
    let kind = kind_on(session, context, &on, &short)?;
    let question = question(session, context, kind, &on)?;
    if let Some(names) = known_by_name(session, &name, &question, &span)? {
        return Ok(names);
    }
    let mut discovery = Discovery { name, question, default, known: None, span };
    let is_off = profile::off(session).is_some();
    discovery.known = if !session.discovering {
        answer(session, &discovery.name, &discovery.question)?
    } else if is_off {
        session.recorded_names(&discovery)
    } else {
        Some(asked(session, &discovery)?)
    };
    let names = list(discovery.names());
    // What a profile that is off wants is not asked for; its answer is still an answer.
    if is_off {
        if discovery.known.is_none() {
            session.guessing.set(true);
        }
        let mut dormant = session.dormant_discoveries.borrow_mut();
        if !dormant.iter().any(|one| one.name == discovery.name) {
            dormant.push(discovery);
        }
        return Ok(names);
    }
    let finding = missing(session, &discovery);
    session.discoveries.borrow_mut().push(discovery);
    match finding {
        // As after a bad parameter: what comes later was made from a stand-in.
        Some(finding) if finding.severity() == Severity::Error => {
            session.note_parameter(finding, false)?;
        }
        Some(finding) => session.note(finding)?,
        None => {}
    }
    Ok(names)
}

/// The names of one that was met before.
fn known_by_name(
    session: &Session,
    name: &str,
    question: &Question,
    span: &Span,
) -> Answer<Option<Dynamic>> {
    let (discoveries, dormant) =
        (session.discoveries.borrow(), session.dormant_discoveries.borrow());
    let mut all = discoveries.iter().chain(dormant.iter());
    if let Some(other) = all.find(|one| one.name == name && one.question != *question) {
        let finding = Diagnostic::new(
            Code::DiscoveryForm,
            format!("`{name}` is discovered twice, and not of the same"),
        )
        .at(span.clone())
        .related(other.span.clone(), "first discovered here")
        .hint("give one of them another name");
        return Err(session.refuse(finding));
    }
    let same = discoveries.iter().find(|known| known.name == name);
    Ok(same.map(|same| list(same.names())))
}

/// The answer of whoever asks the world; the run ends where there is none.
fn asked(session: &Session, discovery: &Discovery) -> Answer<Vec<String>> {
    // What was found wrong by now is all that such a run can tell.
    let names = if session.failed() {
        None
    } else {
        session.discovered_names(discovery, so_far(session))
    };
    names.ok_or_else(|| {
        session.stopped.set(true);
        EvalAltResult::ErrorTerminated(Dynamic::UNIT, Position::NONE).into()
    })
}

/// What is said of one that nobody made.
fn missing(session: &Session, discovery: &Discovery) -> Option<Diagnostic> {
    if discovery.known.is_some() {
        return None;
    }
    let Discovery { name, question, span, .. } = discovery;
    let file = answers_file(&session.environment);
    let answers = session.answers.borrow();
    let other = answers.as_ref().and_then(|answers| answers.get(name));
    let finding = if discovery.default.is_some() {
        Diagnostic::new(
            Code::DefaultStandsIn,
            format!("`{name}` is not discovered yet: its default stands in"),
        )
        .hint("once the server is there, run `dollop discover`, and plan again")
    } else {
        Diagnostic::new(
            Code::NotDiscovered,
            format!("`{name}` is not discovered: `{file}` has no answer to it"),
        )
        .note("a script never looks at the world; what it loops over is asked before it runs")
        .hint(format!("run `dollop discover`, which asks for each {question}"))
        .hint("when this stack makes the server first, give `#{ default: [] }`")
    };
    let finding = match other {
        Some(other) => finding.note(format!("the answer there is to another: {}", other.of)),
        None => finding,
    };
    Some(finding.at(span.clone()))
}

/// The recorded answer to a question.
fn answer(session: &Session, name: &str, question: &Question) -> Answer<Option<Vec<String>>> {
    if session.answers.borrow().is_none() {
        *session.answers.borrow_mut() = Some(read(session)?);
    }
    let answers = session.answers.borrow();
    let found = answers.as_ref().and_then(|answers| answers.get(name));
    // One to another question is none.
    Ok(found.filter(|found| found.of == question.to_string()).map(|found| found.names.clone()))
}

fn read(session: &Session) -> Answer<Answers> {
    let file = answers_file(&session.environment);
    let unreadable = |message: String| {
        session.refuse(
            Diagnostic::new(Code::FileUnreadable, message)
                .hint("move it away and run `dollop discover`"),
        )
    };
    match session.read(&file) {
        Ok(text) => read_answers(&text)
            .map_err(|error| unreadable(format!("`{file}` holds no discoveries: {error}"))),
        Err(FileError::Missing(_)) => Ok(Answers::new()),
        Err(error) => Err(unreadable(error.to_string())),
    }
}

/// The names that stand in until there are others.
fn default(options: Dynamic) -> Result<Option<Vec<String>>, String> {
    let options = options.flatten();
    if options.is_unit() {
        return Ok(None);
    }
    let Some(options) = options.try_cast::<Map>() else {
        return Err("options are a map".to_owned());
    };
    if let Some(other) = options.keys().find(|key| *key != "default") {
        return Err(format!("there is no option `{other}`, only `default`"));
    }
    let Some(default) = options.get("default") else { return Ok(None) };
    let items = default.clone().flatten().try_cast::<Array>();
    let names = items.and_then(|items| items.iter().map(known_text).collect());
    names.map(Some).ok_or_else(|| "`default` is a list of known names".to_owned())
}

/// What is asked: of which kind, through what, inside of what.
fn question(
    session: &Session,
    context: &NativeCallContext,
    kind: &Kind,
    on: &Handle,
) -> Answer<Question> {
    let mut draft = Draft::new(session, session.call(context), kind.name, &kind.schema);
    let place = place::place(&mut draft, kind, Some(on));
    if let Some(finding) = std::mem::take(&mut draft.findings).into_iter().next() {
        return Err(session.refuse(finding));
    }
    let refuse = |message: String, hint: Option<String>| {
        let finding = Diagnostic::new(Code::DiscoveryForm, message).at(draft.call.span.clone());
        session.refuse(match hint {
            Some(hint) => finding.hint(hint),
            None => finding,
        })
    };
    if kind.traits.naming != Naming::Natural || !kind.calls.lists() {
        let message = format!("what there is of the kind `{}` cannot be listed", kind.name);
        return Err(refuse(message, None));
    }
    let short = short_name(kind.name);
    let mut inside = Vec::new();
    for attribute in kind.traits.within {
        let Some(expr) = draft.attributes.get(*attribute) else {
            let hint =
                format!("discover those of one: `discover(name, {attribute}, \"{short}\")`");
            let message = format!("a `{}` lives in a {attribute}", kind.name);
            return Err(refuse(message, Some(hint)));
        };
        let Some(name) = known_name(session, expr) else {
            let message = format!("the name of the {attribute} must be known");
            return Err(refuse(message, None));
        };
        inside.push(((*attribute).to_owned(), name));
    }
    Ok(Question { connection: place.connection, kind: kind.name.to_owned(), inside })
}

/// The text of a name, also of that which a resource was declared with.
fn known_name(session: &Session, expr: &Expr) -> Option<String> {
    let known = |expr: &Expr| expr.known().and_then(Value::as_str).map(str::to_owned);
    match expr {
        Expr::Reference(Reference { address, path }) if *path == Path::attribute("name") => {
            known(&declared_name(session, address)?)
        }
        other => known(other),
    }
}

fn declared_name(session: &Session, address: &Address) -> Option<Expr> {
    let positions = session.positions.borrow();
    let declarations = session.declarations.borrow();
    declarations.get(*positions.get(address)?)?.attributes.get("name").cloned()
}

fn list(names: &[String]) -> Dynamic {
    Dynamic::from_array(names.iter().map(|name| Dynamic::from(name.clone())).collect())
}
