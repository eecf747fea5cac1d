//! Reading scripts: the entry, and what it imports, all inside the project folder.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use rhai::{
    AST, Engine, EvalAltResult, GlobalRuntimeState, Module, ModuleResolver, ParseError,
    ParseErrorType, Position, Scope,
};

use super::convert::list_words;
use super::onward;
use super::ours::Reading;
use super::plain;
use super::rules;
use super::session::Session;
use super::sources::Source;
use super::spans;
use super::symbol::{Answer, Refusal};
use super::syntax;
use super::unused;
use crate::diagnostic::{Code, Diagnostic, did_you_mean};
use crate::files::FileError;

/// A module as Rhai shares it.
type SharedModule = rhai::Shared<Module>;

/// Modules that come with dollop are imported under this prefix.
const STANDARD: &str = "std/";

/// After so many variables that nothing gives, a script is not read on.
const MOST_MISSING: usize = 20;

/// The folder they seem to be in: no file of a project has such a path.
pub(super) const STANDARD_FOLDER: &str = "<std>/";

/// Finds what `import` names.
pub(super) struct Loader {
    session: Rc<Session>,
    /// Files being evaluated, outermost first.
    loading: RefCell<Vec<String>>,
    /// Modules that were evaluated; each is evaluated once, however often it is imported.
    done: RefCell<HashMap<String, SharedModule>>,
}

impl Loader {
    /// A loader for a run that begins with `entry`.
    pub(super) fn new(session: Rc<Session>, entry: &str) -> Self {
        Self {
            session,
            loading: RefCell::new(vec![entry.to_owned()]),
            done: RefCell::default(),
        }
    }

    fn load(
        &self,
        engine: &Engine,
        global: Option<&mut GlobalRuntimeState>,
        from: &str,
        path: &str,
        position: Position,
    ) -> Answer<SharedModule> {
        let session = &self.session;
        // The position is that of `import`; the path comes after it.
        let at = session.span_at(from, position);
        let refuse = |finding: Diagnostic| Err(session.refuse(finding.at(at.clone())));
        if super::marks::is_marked(path) {
            return refuse(Diagnostic::new(
                Code::NameNotKnown,
                "the path of an import must be known text",
            ));
        }
        let standard = path.strip_prefix(STANDARD).map(|name| name.trim_end_matches(".rhai"));
        if let Some(name) = standard
            && session.registry.modules().all(|(known, _)| known != name)
        {
            return refuse(no_module(session, name));
        }
        let file = match standard {
            Some(name) => Some(format!("{STANDARD_FOLDER}{name}")),
            None => join(from, path),
        };
        let Some(mut file) = file else { return refuse(outside(path)) };
        let last = file.rsplit('/').next().unwrap_or_default();
        if !last.contains('.') {
            file.push_str(".rhai");
        }
        if let Some(start) = self.loading.borrow().iter().position(|other| *other == file) {
            let mut cycle = self.loading.borrow()[start..].to_vec();
            cycle.push(file);
            let message = format!("scripts import each other: {}", cycle.join(" → "));
            let hint = "move what both need into a third script";
            return refuse(Diagnostic::new(Code::ImportCycle, message).hint(hint));
        }
        if let Some(module) = self.done.borrow().get(&file) {
            return Ok(Rc::clone(module));
        }
        if let Some(global) = &global
            && global.num_modules_loaded >= super::host::MOST_MODULES
        {
            return Err(EvalAltResult::ErrorTooManyModules(position).into());
        }
        let refused = |refusal: Refusal| {
            let inner = refusal.into_error();
            Err(EvalAltResult::ErrorInModule(file.clone(), inner, position).into())
        };
        let compiled = match compile(engine, session, &file) {
            Ok(compiled) => match compiled.broken.first() {
                None => compiled,
                Some(first) => return refused(Refusal(*first)),
            },
            Err(NotCompiled::Unreadable(error)) => return refuse(unreadable(&error, from)),
            Err(NotCompiled::Refused(refusal) | NotCompiled::NoModule(_, refusal)) => {
                return refused(refusal);
            }
        };
        self.loading.borrow_mut().push(file.clone());
        let module = evaluate(engine, session, global, &file, &compiled);
        self.loading.borrow_mut().pop();
        match module {
            Ok(module) => {
                let module: SharedModule = module.into();
                self.done.borrow_mut().insert(file, Rc::clone(&module));
                Ok(module)
            }
            // Limits keep their meaning, and `exit` is no error.
            Err(error) if error.is_system_exception() || is_exit(&error) => Err(error),
            Err(error) => {
                self.session.failed_modules.borrow_mut().insert(file.clone());
                Err(EvalAltResult::ErrorInModule(file, error, position).into())
            }
        }
    }
}

/// The finding for a module that does not come with dollop.
fn no_module(session: &Session, name: &str) -> Diagnostic {
    let finding =
        Diagnostic::new(Code::UnknownModule, format!("there is no module `{STANDARD}{name}`"));
    let names: Vec<_> = session.registry.modules().map(|(name, _)| name).collect();
    if let Some(meant) = did_you_mean(name, names.iter().copied()) {
        return finding.hint(format!("did you mean `{STANDARD}{meant}`?"));
    }
    let known: Vec<_> = names.iter().map(|name| format!("{STANDARD}{name}")).collect();
    let finding = if known.is_empty() {
        finding
    } else {
        finding.hint(format!("there are {}", list_words(&known)))
    };
    finding.hint(format!("for a folder of the project called `std`: `./{STANDARD}{name}`"))
}

/// The text of a script: of the project, or of those that come with dollop.
fn text(session: &Session, file: &str) -> Result<Arc<str>, FileError> {
    let Some(name) = file.strip_prefix(STANDARD_FOLDER) else { return session.read(file) };
    let name = name.trim_end_matches(".rhai");
    let found = session.registry.modules().find(|(known, _)| *known == name);
    found.map(|(_, text)| text.into()).ok_or_else(|| FileError::Missing(file.to_owned()))
}

fn is_exit(error: &EvalAltResult) -> bool {
    matches!(error, EvalAltResult::Exit(..))
}

/// Runs a module with the counters of the importing run, so that limits hold for the whole,
/// but without its functions and variables.
fn evaluate(
    engine: &Engine,
    session: &Session,
    global: Option<&mut GlobalRuntimeState>,
    file: &str,
    compiled: &Compiled,
) -> Answer<Module> {
    let mut scope = Scope::new();
    let syntax = &compiled.syntax;
    let Some(global) = global else {
        return Module::eval_ast_as_new(scope, syntax, engine);
    };
    let functions = std::mem::take(&mut global.lib);
    let module = if session.failing.contains(file) && !onward::may_return(syntax) {
        Err(onward::module(engine, session, global, file, compiled))
    } else {
        Module::eval_ast_as_new_raw(engine, &mut scope, global, syntax)
    };
    global.lib = functions;
    module
}

impl ModuleResolver for Loader {
    fn resolve(
        &self,
        engine: &Engine,
        source: Option<&str>,
        path: &str,
        position: Position,
    ) -> Answer<SharedModule> {
        self.load(engine, None, source.unwrap_or_default(), path, position)
    }

    fn resolve_raw(
        &self,
        engine: &Engine,
        global: &mut GlobalRuntimeState,
        _scope: &mut Scope,
        path: &str,
        position: Position,
    ) -> Answer<SharedModule> {
        let from = global.source().unwrap_or_default().to_owned();
        self.load(engine, Some(global), &from, path, position)
    }
}

/// Why a script did not become a syntax tree.
pub(super) enum NotCompiled {
    /// It could not be read.
    Unreadable(FileError),
    /// It was refused; the finding is written down.
    Refused(Refusal),
    /// It names a module that there is not; the finding is written down.
    NoModule(String, Refusal),
}

/// A script that was read.
pub(super) struct Compiled {
    /// Its syntax tree.
    pub(super) syntax: AST,
    /// Variables it names and nothing gives.
    pub(super) missing: Vec<String>,
    /// What its text alone led to: places in the ledger.
    pub(super) broken: Vec<usize>,
}

/// Reads, parses and checks one script. Variables nothing gives are taken for given once they
/// are written down, so that the others are found as well.
pub(super) fn compile(
    engine: &Engine,
    session: &Session,
    file: &str,
) -> Result<Compiled, NotCompiled> {
    let text = text(session, file).map_err(NotCompiled::Unreadable)?;
    let name: Arc<str> = file.into();
    let mut source = Source::new(Arc::clone(&name), Arc::clone(&text));
    let keep = |source: Source| {
        session.sources.borrow_mut().insert(Arc::clone(&name), Rc::new(source));
    };
    if let Some(finding) = rules::noncharacters(&source) {
        keep(source);
        return Err(NotCompiled::Refused(Refusal(session.record(finding))));
    }
    let mut missing: Vec<String> = Vec::new();
    let mut broken = Vec::new();
    let mut given = Scope::new();
    let mut syntax = loop {
        let seen = Source::new(Arc::clone(&source.file), Arc::clone(&source.text));
        let error = match parse(engine, session, seen, &given) {
            Ok(syntax) => break syntax,
            Err(error) => error,
        };
        let (finding, goes_on) = syntax::parse(session, &source, &error);
        let index = session.record(finding);
        match error.err_type() {
            ParseErrorType::VariableUndefined(variable)
                if goes_on && missing.len() < MOST_MISSING && !missing.contains(variable) =>
            {
                broken.push(index);
                given.push(variable.as_str(), ());
                missing.push(variable.clone());
            }
            other => {
                let module = match other {
                    ParseErrorType::ModuleUndefined(module) => Some(module.clone()),
                    _ => None,
                };
                keep(source);
                return Err(match module {
                    Some(module) => NotCompiled::NoModule(module, Refusal(index)),
                    None => NotCompiled::Refused(Refusal(index)),
                });
            }
        }
    };
    if session.going_on
        && !file.starts_with(STANDARD_FOLDER)
        && let Some((shift, read)) = onward::opened(&syntax, &source)
    {
        let seen = Source::new(Arc::clone(&source.file), read.into());
        // One that cannot be read with its blocks opened is read as it is.
        if let Ok(opened) = parse(engine, session, seen, &given) {
            syntax = opened;
            source.shift = shift;
        }
    }
    syntax.set_source(file);
    source.calls = spans::calls(&syntax, &source);
    source.functions = spans::functions(&syntax);
    source.closures = spans::closures(&syntax);
    if session.going_on {
        source.bodies = onward::bodies(&syntax);
    }
    source.forms = spans::forms(&syntax);
    source.own_calls = spans::own_calls(&syntax, &source);
    source.has_functions = syntax.has_functions();
    source.warnings = unused::asked_for(&syntax, &source);
    source.warnings.extend(plain::not_filled_in(&syntax, &source));
    session.growth.watch(&syntax);
    let mut findings = rules::check(&syntax, &source, &session.registry);
    findings.extend(taken(session, &source));
    keep(source);
    broken.extend(findings.into_iter().map(|finding| session.record(finding)));
    Ok(Compiled { syntax, missing, broken })
}

/// Parses a script in which some variables are taken for given.
fn parse(
    engine: &Engine,
    session: &Session,
    seen: Source,
    given: &Scope,
) -> Result<AST, ParseError> {
    let text = Arc::clone(&seen.text);
    let reading = Reading::new(seen, &mut session.defined.borrow_mut());
    *session.reading.borrow_mut() = Some(reading);
    let parsed = engine.compile_with_scope(given, &*text);
    *session.reading.borrow_mut() = None;
    parsed
}

/// Functions that two scripts both have and call themselves: Rhai (1.27) remembers by name
/// and number of parameters which one was called last, and would take one for the other.
fn taken(session: &Session, source: &Source) -> Vec<Diagnostic> {
    let sources = session.sources.borrow();
    let mut found = Vec::new();
    for ((name, arity), span) in &source.own_calls {
        let key = (name.clone(), *arity);
        let other = sources
            .values()
            .find_map(|other| other.own_calls.get(&key).filter(|_| other.file != source.file));
        if let Some(other) = other {
            let parameters = if *arity == 1 { "parameter" } else { "parameters" };
            let message = format!(
                "two scripts have a function `{name}` with {arity} {parameters} and call it"
            );
            found.push(
                Diagnostic::new(Code::DefinedTwice, message)
                    .at(span.clone())
                    .related(other.clone(), "called here as well")
                    .hint("give one of them another name"),
            );
        }
    }
    found
}

/// A path relative to the folder of the script `from`; `None` when it leaves the project.
pub(super) fn join(from: &str, path: &str) -> Option<String> {
    if path.starts_with('/') || path.contains('\\') || path.contains('\0') {
        return None;
    }
    let folder = from.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// The finding for a path that leaves the project.
pub(super) fn outside(path: &str) -> Diagnostic {
    Diagnostic::new(Code::OutsideProject, format!("`{path}` is outside the project folder")).hint(
        "scripts read files of their own project only, with `/` between the parts of a path",
    )
}

/// The finding for a file that cannot be read.
pub(super) fn unreadable(error: &FileError, from: &str) -> Diagnostic {
    let finding = Diagnostic::new(Code::FileUnreadable, error.to_string());
    match error {
        // A link that leads out.
        FileError::Outside(path) => outside(path),
        FileError::Missing(_) => {
            let folder = from.rsplit_once('/').map_or(".", |(folder, _)| folder);
            finding.hint(format!("paths are relative to the folder of the script: `{folder}`"))
        }
        _ => finding,
    }
}
