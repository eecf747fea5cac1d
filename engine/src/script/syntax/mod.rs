//! Scripts that cannot be read, in dollop's words.

mod habits;
mod statements;
mod tokens;
mod values;
pub(super) mod words;

use rhai::{LexError, ParseError, ParseErrorType as Parse, Position};

use super::errors::{OVER_A_MAP, lower, no_module, too_large, variable_hint};
use super::host;
use super::session::Session;
use super::sources::Source;
use crate::diagnostic::{Code, Diagnostic};

/// The finding for a script that does not parse, and whether it can be read on, what it names
/// taken for given.
pub(super) fn parse(
    session: &Session,
    source: &Source,
    error: &ParseError,
) -> (Diagnostic, bool) {
    let (kind, at) = (error.err_type(), error.position());
    let is_bare_map = source.is_in_bare_map(at);
    let is_habit = match kind {
        _ if is_bare_map => false,
        // A word that could stand here otherwise.
        Parse::Reserved(word) if word.starts_with(char::is_alphabetic) => {
            habits::is_before_text(source, at)
        }
        Parse::BadInput(LexError::MalformedChar(_))
        | Parse::ModuleUndefined(_)
        | Parse::DuplicatedProperty(_) => false,
        _ => true,
    };
    let habit =
        if is_habit { habits::found(&session.registry, source, kind, at) } else { None };
    if let Some(found) = habit {
        return (found, false);
    }
    let finding = parse_kind(session, source, kind, at);
    let finding = match finding.span {
        Some(_) => finding,
        None => finding.at(source.span(at)),
    };
    (finding, matches!(kind, Parse::VariableUndefined(_)) && !is_bare_map)
}

pub(super) fn parse_kind(
    session: &Session,
    source: &Source,
    kind: &Parse,
    at: Position,
) -> Diagnostic {
    match kind {
        Parse::UnexpectedEOF => Diagnostic::new(Code::Syntax, "the script ends too early")
            .hint("a bracket, brace or quote may not be closed"),
        Parse::BadInput(LexError::UnterminatedString) => {
            Diagnostic::new(Code::Syntax, "this text is not closed")
                .hint("add the closing quote")
        }
        Parse::BadInput(LexError::MalformedChar(text)) => {
            let finding = Diagnostic::new(Code::Syntax, "text is written in double quotes");
            finding.hint(format!("write `\"{text}\"`"))
        }
        Parse::BadInput(LexError::ImproperSymbol(symbol, _)) if symbol == "eval" => {
            Diagnostic::new(Code::LeftOut, "`eval` does not exist here")
                .note("a script is what its text says; it cannot make more of itself")
        }
        Parse::BadInput(LexError::ImproperSymbol(symbol, _)) if symbol == "=" => {
            Diagnostic::new(Code::Syntax, "`=` gives a value, and does not compare")
                .hint("write `==` to compare")
        }
        Parse::BadInput(LexError::ImproperSymbol(symbol, advice)) => {
            let finding =
                Diagnostic::new(Code::Syntax, format!("`{symbol}` has no meaning here"));
            if advice.is_empty() { finding } else { finding.hint(lower(advice)) }
        }
        Parse::BadInput(LexError::UnexpectedInput(text)) => {
            Diagnostic::new(Code::Syntax, format!("`{text}` has no meaning here"))
        }
        Parse::MissingToken(..) | Parse::VariableUndefined(_) if source.is_in_bare_map(at) => {
            Diagnostic::new(Code::Syntax, "a map begins with `#{`")
                .hint("write `#{ key: value }`; `{ .. }` alone is a block of statements")
        }
        Parse::MissingToken(token, purpose) => {
            Diagnostic::new(Code::Syntax, format!("`{token}` is missing {purpose}"))
        }
        Parse::VariableUndefined(name) => {
            let finding = Diagnostic::new(
                Code::UnknownVariable,
                format!("there is no variable `{name}`"),
            );
            if let Some(line) = source.given_after(name, at) {
                return finding.note(format!("it is given further down, in line {line}")).hint(
                    "move that line up; `after` and its like also take an address as text, \
                         which may be declared later",
                );
            }
            let hinted = variable_hint(session, source, finding, name, at);
            match habits::advice(source, name, at) {
                Some(advice) if hinted.hints.is_empty() => hinted.hint(advice),
                _ => hinted,
            }
        }
        Parse::ModuleUndefined(name) => no_module(session, &source.file, name),
        Parse::Reserved(word) => reserved(session, word),
        Parse::DuplicatedProperty(name) => {
            Diagnostic::new(Code::DefinedTwice, format!("`{name}` is set twice"))
        }
        Parse::FnDuplicatedDefinition(name, count) => Diagnostic::new(
            Code::DefinedTwice,
            format!("function `{name}` with {count} parameters is defined twice"),
        ),
        Parse::PropertyExpected => Diagnostic::new(Code::Syntax, "a name is expected here")
            .hint(format!(
                "a word Rhai keeps for itself is quoted: `\"{}\": ..`",
                word_at(source, at)
            )),
        Parse::ExprTooDeep => Diagnostic::new(
            Code::Limit,
            format!(
                "expressions stand inside each other more than {} deep",
                host::DEEPEST_EXPRESSIONS
            ),
        )
        .hint("give the inner parts names with `let`"),
        Parse::LiteralTooLarge(what, _) => too_large(what),
        Parse::TooManyFunctions => Diagnostic::new(Code::Limit, "too many functions"),
        Parse::AssignmentToConstant(name) => Diagnostic::new(
            Code::Constant,
            format!("`{name}` is a constant and keeps its value"),
        ),
        Parse::WrongFnDefinition => {
            Diagnostic::new(Code::Syntax, "a function is defined at the top of a script only")
                .hint("inside another one, use a closure: `let f = |x| ..`")
        }
        Parse::LoopBreak => {
            Diagnostic::new(Code::Syntax, "`break` and `continue` stand inside a loop only")
        }
        Parse::MismatchedType(wanted, found) if is_map_looped_over(wanted, found) => {
            Diagnostic::new(Code::Syntax, "a map cannot be looped over as it is")
                .hint(OVER_A_MAP)
        }
        other => Diagnostic::new(Code::Syntax, lower(&other.to_string())),
    }
}

/// Whether these are Rhai's words for a map written behind the `in` of a loop.
fn is_map_looped_over(wanted: &str, found: &str) -> bool {
    wanted.contains("iterable") && found.contains("map")
}

fn word_at(source: &Source, at: Position) -> String {
    let Some(span) = source.span(at) else { return "name".to_owned() };
    let line =
        source.text.lines().nth((span.line as usize).saturating_sub(1)).unwrap_or_default();
    let skip = (span.column as usize).saturating_sub(1);
    line.chars().skip(skip).take(span.length as usize).collect()
}

fn reserved(session: &Session, word: &str) -> Diagnostic {
    let finding =
        Diagnostic::new(Code::Reserved, format!("`{word}` is a word Rhai keeps for itself"));
    finding.hint(words::variable(&session.registry, word).unwrap_or_else(|| {
        format!("give it another name; as a key of a map, quote it: `\"{word}\"`")
    }))
}
