//! Rhai's errors in dollop's words, with a place, the calls that led there, and advice.

use std::collections::BTreeSet;

use rhai::{Engine, EvalAltResult, Position};

use super::convert::list_words;
use super::declare::no_method;
use super::onward::Behind;
use super::session::Session;
use super::sources::Source;
use super::spans::is_closure;
use super::symbol::{Refusal, Symbol};
use super::{called, functions, host, operators, ours, syntax};
use crate::diagnostic::{Code, Diagnostic, Span, did_you_mean};
use crate::kind::{LOOKUP, lookup_of, short_name};

/// Writes an error into the ledger, with the calls it passed through. Gives the places of what
/// it is about there.
pub(super) fn explain(
    session: &Session,
    engine: &Engine,
    error: &EvalAltResult,
    entry: &str,
) -> BTreeSet<usize> {
    let mut file = entry.to_owned();
    let mut trace: Vec<(String, Span)> = Vec::new();
    let mut error = error;
    loop {
        let (name, inner_file, inner, position) = match error {
            EvalAltResult::ErrorInFunctionCall(name, source, inner, position) => {
                let is_closure = is_closure(name);
                let in_component = trace
                    .last()
                    .is_some_and(|(name, _)| name.starts_with(super::component::MARK));
                if is_closure && in_component {
                    // The body of the component that was just named.
                    error = inner;
                    continue;
                }
                let name = if is_closure { "closure" } else { name };
                (name.to_owned(), source.as_str(), inner, *position)
            }
            EvalAltResult::ErrorInModule(module, inner, position) => {
                (format!("import \"{module}\""), module.as_str(), inner, *position)
            }
            _ => break,
        };
        if let Some(span) = session.span_at(&file, position) {
            trace.push((name, span));
        }
        if session.source(inner_file).is_some() {
            inner_file.clone_into(&mut file);
        }
        error = inner;
    }
    trace.reverse();
    let span = session.span_at(&file, error.position());
    // What was found before the statement of the top that runs keeps the calls it has.
    let closed = session.closed.get();
    if let EvalAltResult::ErrorRuntime(value, _) | EvalAltResult::ErrorTerminated(value, _) =
        error
    {
        let mut ledger = session.ledger.borrow_mut();
        if let Some(Behind(indices)) = value.clone().try_cast::<Behind>() {
            for index in indices.iter().filter(|index| **index >= closed) {
                if let Some(finding) = ledger.get_mut(*index) {
                    finding.trace.extend(trace.iter().cloned());
                }
            }
            return indices;
        }
        if let Some(Refusal(index)) = value.clone().try_cast::<Refusal>() {
            let Some(finding) = ledger.get_mut(index) else { return BTreeSet::new() };
            if index >= closed {
                finding.trace = trace;
            }
            if finding.span.is_none() {
                finding.span = span;
            }
            return BTreeSet::from([index]);
        }
    }
    let mut finding = word(session, engine, error, &file);
    if finding.span.is_none() {
        finding.span = span;
    }
    let index = session.record(finding);
    if index >= closed
        && session.enough.get().is_none()
        && let Some(finding) = session.ledger.borrow_mut().get_mut(index)
    {
        finding.trace = trace;
    }
    BTreeSet::from([index])
}

/// What goes wrong inside a module that comes with dollop was caused by who called it: the
/// finding moves there, and the place inside becomes part of the way.
pub(super) fn leave_standard(finding: &mut Diagnostic) {
    let is_inside = |span: &Span| span.file.starts_with(super::loader::STANDARD_FOLDER);
    let Some(inner) = finding.span.clone().filter(is_inside) else { return };
    let Some(outside) = finding.trace.iter().position(|(_, span)| !is_inside(span)) else {
        return;
    };
    let (_, span) = finding.trace.remove(outside);
    finding.related.insert(0, (inner, "found here".to_owned()));
    finding.span = Some(span);
}

/// One error, without its place.
fn word(session: &Session, engine: &Engine, error: &EvalAltResult, file: &str) -> Diagnostic {
    use EvalAltResult as E;
    let limit =
        |what: &str, hint: &str| Diagnostic::new(Code::Limit, what.to_owned()).hint(hint);
    match error {
        E::ErrorParsing(kind, position) => match session.source(file) {
            Some(source) => syntax::parse_kind(session, &source, kind, *position),
            None => Diagnostic::new(Code::Syntax, lower(&kind.to_string())),
        },
        E::ErrorTooManyOperations(_) => limit(
            &format!("the script takes more than {} steps", host::MOST_OPERATIONS),
            "a loop may never end: check its condition",
        ),
        E::ErrorStackOverflow(_) => limit(
            &format!("functions call each other more than {} deep", host::DEEPEST_CALLS),
            "a function may call itself without end; use a loop",
        ),
        E::ErrorTooManyModules(_) => limit(
            &format!("more than {} imports", host::MOST_MODULES),
            "import a script once, at the top, not in a loop or function",
        ),
        E::ErrorTooManyVariables(_) => limit("too many variables", "use a list or a map"),
        E::ErrorDataTooLarge(what, _) => too_large(what),
        E::ErrorVariableNotFound(name, at) => no_variable(session, file, name, *at),
        E::ErrorModuleNotFound(name, _) => no_module(session, file, name),
        E::ErrorFunctionNotFound(signature, _) => no_function(session, engine, signature, file),
        E::ErrorPropertyNotFound(name, _) => {
            let finding =
                Diagnostic::new(Code::NoEntry, format!("this map has no entry `{name}`"));
            finding.hint(match name.as_str() {
                "keys" | "values" | "len" => {
                    format!("a function of the map is called: `map.{name}()`")
                }
                "length" | "size" | "count" => "write `map.len()`".to_owned(),
                _ => format!(
                    "ask first: `if \"{name}\" in map {{ .. }}`, or use \
                     `map.get(\"{name}\") ?? other`"
                ),
            })
        }
        E::ErrorDotExpr(text, _) => dot(text),
        E::ErrorIndexingType(text, _) => indexing(text),
        E::ErrorMismatchDataType(wanted, found, _)
        | E::ErrorMismatchOutputType(wanted, found, _) => mismatch(wanted, found),
        E::ErrorFor(_) => Diagnostic::new(Code::NotKnown, "this cannot be looped over")
            .note("how many items a value has is not known when it is filled in later")
            .hint("loop over a list or a range: `for i in 0..3`")
            .hint(OVER_A_MAP),
        E::ErrorArrayBounds(length, index, _) => Diagnostic::new(
            Code::NoEntry,
            format!("there is no item {index} in a list of {length}"),
        )
        .hint("items are numbered from 0"),
        E::ErrorStringBounds(..) => {
            Diagnostic::new(Code::NoEntry, "this text is shorter than that")
        }
        E::ErrorAssignmentToConstant(name, _) => Diagnostic::new(
            Code::Constant,
            format!("`{name}` is a constant and keeps its value"),
        ),
        E::ErrorNonPureMethodCallOnConstant(name, _) => {
            let name = ours::plain(name);
            Diagnostic::new(
                Code::Constant,
                format!(
                    "`{name}` changes what it is called on, and a constant keeps its value"
                ),
            )
            .hint("name it with `let`")
        }
        E::ErrorArithmetic(text, _) => Diagnostic::new(Code::Runtime, lower(text)),
        E::ErrorUnboundThis(_) => Diagnostic::new(Code::Runtime, "`this` is nothing here")
            .hint("call the function on a value: `value.function()`"),
        E::ErrorRuntime(value, _) => thrown(session, value),
        other => Diagnostic::new(Code::Runtime, lower(first_line(&strip_place(other)))),
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// Rhai's words without the position it appends.
fn strip_place(error: &EvalAltResult) -> String {
    let text = error.to_string();
    match text.rfind(" (line ") {
        Some(at) => text[..at].to_owned(),
        None => text,
    }
}

fn thrown(session: &Session, value: &rhai::Dynamic) -> Diagnostic {
    if let Some(symbol) = value.read_lock::<Symbol>() {
        return Diagnostic::new(Code::Thrown, format!("the script gave up: {}", symbol.0));
    }
    let text = session.show(&value.to_string());
    Diagnostic::new(
        Code::Thrown,
        if text.is_empty() { "the script gave up".to_owned() } else { text },
    )
}

pub(super) fn too_large(what: &str) -> Diagnostic {
    let lower = what.to_lowercase();
    if lower.contains("string") {
        return Diagnostic::new(
            Code::Limit,
            format!("a text is longer than {} MiB", host::LONGEST_TEXT >> 20),
        )
        .hint("keep large data in files that resources read themselves");
    }
    let thing = if lower.contains("map") { "map" } else { "list" };
    Diagnostic::new(
        Code::Limit,
        format!("a {thing} holds more than {} items", host::MOST_ITEMS),
    )
    .hint("a loop may never end: check its condition")
}

fn no_variable(session: &Session, file: &str, name: &str, at: Position) -> Diagnostic {
    let finding =
        Diagnostic::new(Code::UnknownVariable, format!("there is no variable `{name}`"));
    let Some(source) = session.source(file) else { return finding };
    variable_hint(session, &source, finding, name, at)
}

pub(super) fn variable_hint(
    session: &Session,
    source: &Source,
    finding: Diagnostic,
    name: &str,
    at: Position,
) -> Diagnostic {
    let mut names = source.names();
    // What this very statement is to give is not there yet.
    if let Some(given) = source.given_by(at) {
        names.retain(|other| *other != given);
    }
    if names.contains(&name) {
        return finding
            .note("functions do not see the variables around them; closures do")
            .hint(format!("hand `{name}` over as an argument, or name it before this line"));
    }
    let words = syntax::words::variable(&session.registry, name);
    let slip = did_you_mean(name, names.iter().copied());
    if let Some(meant) = slip.filter(|_| words.is_none()) {
        return finding.hint(format!("did you mean `{meant}`?"));
    }
    let is_provider = providers(session).contains(name);
    let finding = match words {
        Some(words) => finding.hint(words),
        None => finding,
    };
    if is_provider {
        return finding.hint(format!("`{name}` is a provider: write `{name}::..`"));
    }
    finding
}

fn providers(session: &Session) -> BTreeSet<&str> {
    let registry = &session.registry;
    let kinds = registry.kinds().map(|kind| kind.name);
    let connections = registry.connections().map(|kind| kind.name);
    kinds.chain(connections).filter_map(|name| name.split("::").next()).collect()
}

pub(super) fn no_module(session: &Session, file: &str, name: &str) -> Diagnostic {
    let finding = Diagnostic::new(
        Code::UnknownModule,
        format!("there is no module or provider `{name}`"),
    );
    let source = session.source(file);
    let names = source.iter().flat_map(|source| source.names()).filter(|other| *other != name);
    let mut words: BTreeSet<&str> = providers(session);
    words.extend(names);
    match did_you_mean(name, words) {
        Some(meant) => finding.hint(format!("did you mean `{meant}`?")),
        None => {
            let providers: Vec<_> = providers(session).into_iter().collect();
            finding.hint(format!("there are {}", list_words(&providers)))
        }
    }
}

fn no_function(session: &Session, engine: &Engine, signature: &str, file: &str) -> Diagnostic {
    if is_closure(signature) {
        let message = "this closure takes another number of values than it is handed";
        return Diagnostic::new(Code::WrongArguments, message)
            .note("a list hands over an item and its number, a map a key and a value, a component or a profile nothing")
            .hint("name as many between the bars: `|item|`, `|key, value|`, `||`");
    }
    let (name, arguments) = match signature.split_once(" (") {
        Some((name, rest)) => (name, rest.trim_end_matches(')')),
        // Rhai uses this error for other things as well.
        None if signature.contains(' ') => {
            return Diagnostic::new(Code::UnknownFunction, signature.to_owned());
        }
        None => {
            return Diagnostic::new(
                Code::UnknownFunction,
                format!("there is no function `{signature}`"),
            );
        }
    };
    let name = ours::plain(name);
    let arguments: Vec<String> =
        arguments.split(", ").filter(|a| !a.is_empty()).map(type_words).collect();
    let unknown = arguments.iter().any(|argument| argument == UNKNOWN);
    if let Some((provider, short)) = name.split_once("::") {
        return no_qualified(session, provider, short, name, &arguments);
    }
    if !name.starts_with(|c: char| c.is_alphabetic() || c == '_') {
        if let Some(found) = looked_into(session, name, unknown) {
            return found;
        }
        let message = format!("`{name}` does not work on {}", arguments.join(" and "));
        let finding = Diagnostic::new(Code::WrongType, message);
        let first = arguments.first().map_or("", String::as_str);
        let hint = match (name, first, arguments.len()) {
            ("*", "a text", _) => "to repeat a text, write `repeat(text, 3)`",
            ("%", "a text", _) => "to fill in a text, write `format(\"%s\", [value])`",
            ("-", "a text", 1) => "a list is written `[\"a\", \"b\"]`",
            ("-" | "/" | "+", _, 2) if arguments.iter().any(|one| one == "a text") => {
                "make a number of the text first: `parse_int(text)`"
            }
            _ => "",
        };
        return match (unknown, hint) {
            (true, _) => finding.note(FILLED_IN),
            (_, "") => finding,
            (_, hint) => finding.hint(hint),
        };
    }
    if let Some((missing, kind)) = session.missing.borrow().as_ref()
        && missing == name
        && arguments.first().is_some_and(|first| first == "a resource")
        && host::taken(name).is_none()
    {
        let takes = super::place::methods(&session.registry, kind).contains(&name);
        if takes {
            return Diagnostic::new(
                Code::DeclarationForm,
                format!("`{name}` takes a name and a map of attributes"),
            )
            .hint(format!("write `.{name}(\"name\", #{{ .. }})`"));
        }
        return no_method(session, kind, name);
    }
    let registry = &session.registry;
    let short = registry.kinds().map(|kind| kind.name).find(|kind| short_name(kind) == name);
    if let Some(kind) = short.or_else(|| syntax::words::kind(registry, name)) {
        return Diagnostic::new(Code::UnknownKind, format!("there is no function `{name}`"))
            .hint(format!("did you mean `{kind}`?"));
    }
    let known = called::functions(session, engine, file);
    if known.contains(name) {
        let forms = called::forms(session, name, file);
        // Another number of arguments is wrong, whatever they will be.
        let many = arguments.len();
        let is_other_number = called::is_never(engine, name, &forms, many);
        if let Some(found) = looked_into(session, name, unknown && !is_other_number) {
            return found;
        }
        let with = match many {
            0 => "nothing".to_owned(),
            1 if unknown && is_other_number => "one value".to_owned(),
            many if unknown && is_other_number => format!("{many} values"),
            _ => arguments.join(", "),
        };
        let finding = Diagnostic::new(
            Code::WrongArguments,
            format!("`{name}` cannot be called with {with}"),
        );
        if unknown && !is_other_number {
            return finding.note(FILLED_IN);
        }
        return match forms.as_slice() {
            [] => finding,
            forms => finding.hint(format!("it is called as {}", list_words(forms))),
        };
    }
    let finding =
        Diagnostic::new(Code::UnknownFunction, format!("there is no function `{name}`"));
    if let Some(instead) = functions::instead(name) {
        return finding.hint(instead);
    }
    // Of one or two letters, everything short is a slip.
    let near = did_you_mean(name, known.iter().map(String::as_str));
    match near.filter(|near| name.len() > 2 && near.len() > 2) {
        Some(meant) => finding.hint(format!("did you mean `{meant}`?")),
        None => finding,
    }
}

/// The finding that names the value, when a function was called with one it cannot look into.
fn looked_into(session: &Session, name: &str, unknown: bool) -> Option<Diagnostic> {
    let last = session.looked_into.borrow();
    let (called, value) = last.as_ref().filter(|_| unknown)?;
    (called == name).then(|| operators::unknown(session, value, &format!("`{name}`")))
}

/// How to loop over a map.
pub(super) const OVER_A_MAP: &str =
    "over a map: `for key in map.keys() { .. }`, with `map[key]` for the value";

const UNKNOWN: &str = "a value that is not known yet, or secret";
const FILLED_IN: &str =
    "attributes of resources are filled in by the plan, after the script has ended";

fn no_qualified(
    session: &Session,
    provider: &str,
    short: &str,
    name: &str,
    arguments: &[String],
) -> Diagnostic {
    let registry = &session.registry;
    if registry.schema(name).is_some() {
        let with =
            if arguments.is_empty() { "nothing".to_owned() } else { arguments.join(", ") };
        return Diagnostic::new(
            Code::DeclarationForm,
            format!("`{name}` cannot be called with {with}"),
        )
        .hint(format!("write `{name}(\"name\", #{{ .. }})`"));
    }
    let shorts = || {
        let kinds = registry.kinds().map(|kind| kind.name);
        let names = kinds.chain(registry.connections().map(|kind| kind.name));
        names.filter(|kind| kind.split("::").next() == Some(provider)).map(short_name)
    };
    if shorts().next().is_none() {
        return not_imported(session, provider, short, name);
    }
    let finding =
        Diagnostic::new(Code::UnknownKind, format!("`{provider}` has no kind `{short}`"));
    let meant = match short.strip_suffix(LOOKUP) {
        Some(short) => did_you_mean(short, shorts()).map(lookup_of),
        None => did_you_mean(short, shorts()).map(str::to_owned),
    };
    match meant {
        Some(meant) => finding.hint(format!("did you mean `{provider}::{meant}`?")),
        None => {
            let names: Vec<_> = shorts().collect();
            finding.hint(format!("there are {}", list_words(&names)))
        }
    }
}

/// The finding for a function that an imported script does not have, or keeps to itself.
fn not_imported(session: &Session, alias: &str, short: &str, name: &str) -> Diagnostic {
    let finding =
        Diagnostic::new(Code::UnknownFunction, format!("there is no function `{name}`"));
    let sources = session.sources.borrow();
    let forms = || sources.values().flat_map(|source| source.forms.iter());
    let of_name: Vec<_> = forms().filter(|form| form.name == short).collect();
    if let Some(form) = of_name.iter().find(|form| form.is_private) {
        return finding
            .note(format!("`{}` is private: only its own script calls it", form.words))
            .hint("leave out the word `private` where it is defined");
    }
    if of_name.is_empty() {
        let others = forms().filter(|form| !form.is_private).map(|form| form.name.as_str());
        let finding = finding
            .note(format!("`{alias}` is an imported script, and has no function `{short}`"));
        return match did_you_mean(short, others) {
            Some(meant) => finding.hint(format!("did you mean `{alias}::{meant}`?")),
            None => finding,
        };
    }
    let words: Vec<_> =
        of_name.iter().map(|form| format!("`{alias}::{}`", form.words)).collect();
    finding
        .note("it is not called with that many arguments")
        .hint(format!("it is called as {}", words.join(" or ")))
}

/// Rhai's name for a type in plain words.
pub(super) fn type_words(name: &str) -> String {
    let name = name.trim_start_matches("&mut ");
    // Some of Rhai's errors name the Rust type.
    match if name.starts_with("dollop") {
        name.rsplit("::").next().unwrap_or(name)
    } else {
        name
    } {
        "&str | ImmutableString | String"
        | "string"
        | "ImmutableString"
        | "&str"
        | "String" => "a text".to_owned(),
        "i64" | "int" | "INT" => "an integer".to_owned(),
        "f64" | "float" | "FLOAT" => "a number".to_owned(),
        "bool" => "a bool".to_owned(),
        "array" | "Array" | "list" => "a list".to_owned(),
        "map" | "Map" => "a map".to_owned(),
        "()" => "nothing".to_owned(),
        "char" => "a single character".to_owned(),
        "Fn" | "FnPtr" => "a function".to_owned(),
        "reference" | "Symbol" => UNKNOWN.to_owned(),
        "resource" | "Handle" => "a resource".to_owned(),
        other if other.contains("Range") || other.contains("range") => "a range".to_owned(),
        other => format!("`{other}`"),
    }
}

fn mismatch(wanted: &str, found: &str) -> Diagnostic {
    let (wanted, found) = (type_words(wanted), type_words(found));
    let finding = Diagnostic::new(
        Code::WrongType,
        match found.as_str() {
            UNKNOWN if wanted == "a bool" => {
                "a value that is not known yet, or secret, cannot decide".to_owned()
            }
            _ => format!("this must be {wanted}, not {found}"),
        },
    );
    if found == UNKNOWN {
        let verb = if wanted == "a bool" { "decide" } else { "pick" };
        return finding.note(FILLED_IN).hint(format!("{verb} by a parameter: `param(..)`"));
    }
    finding
}

/// Setting an attribute, or asking something plain for one.
fn dot(text: &str) -> Diagnostic {
    let quoted: Vec<&str> = text.split('\'').collect();
    let (Some(property), Some(on)) = (quoted.get(1), quoted.get(3)) else {
        return Diagnostic::new(Code::NoEntry, lower(text));
    };
    let on = type_words(on);
    if text.contains("setter") && (on == "a resource" || on == UNKNOWN) {
        return no_setting(property);
    }
    let finding = Diagnostic::new(Code::NoEntry, format!("{on} has no property `{property}`"));
    finding.hint(match functions::instead(property) {
        Some(instead) => instead,
        None => format!("for a function, write `.{property}(..)`"),
    })
}

fn no_setting(name: &str) -> Diagnostic {
    Diagnostic::new(Code::Unsettable, format!("`{name}` cannot be set here"))
        .hint("attributes are set where the resource is declared, in `#{ .. }`")
}

fn indexing(text: &str) -> Diagnostic {
    let Some((on, rest)) = text.split_once(" [") else {
        return Diagnostic::new(Code::NoEntry, lower(text));
    };
    let on = type_words(on);
    if rest.contains('=') && (on == "a resource" || on == UNKNOWN) {
        return no_setting("an attribute");
    }
    let key = type_words(rest.split(']').next().unwrap_or_default());
    Diagnostic::new(Code::NoEntry, format!("{on} has no entries to pick with {key}"))
}

/// Rhai's words as dollop writes them: a small letter first, Rhai's quotes as backticks.
pub(super) fn lower(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(|c| c.to_lowercase().to_string()).unwrap_or_default();
    (first + characters.as_str()).replace('\'', "`")
}
