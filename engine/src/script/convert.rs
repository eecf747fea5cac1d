//! From Rhai's values to expressions: the only door.

use rhai::{Array, Dynamic, ImmutableString, Map};

use super::marks::{self, Broken, Piece};
use super::session::Session;
use super::symbol::{Handle, Symbol, type_of};
use crate::diagnostic::{Code, Diagnostic};
use crate::ephemeral::Ephemeral;
use crate::expr::{Expr, Function};
use crate::path::{Path, Segment};
use crate::schema::Type;
use crate::value::Value;

/// Deeper nesting than anything useful; what comes after the door walks values recursively.
const DEEPEST: usize = 64;

/// Bytes one value may take, entries counted at [`NODE`] each. A reference can be joined to
/// itself again and again without Rhai seeing it grow.
const LARGEST: usize = super::host::LONGEST_TEXT;
/// What an entry counts beside its text.
const NODE: usize = 64;

/// How advice begins that lists every name there is.
pub(super) const EVERY_NAME: &str = "there are ";

/// Something that cannot be a value, and where.
#[derive(Debug)]
pub(super) struct Trouble {
    /// Which finding it becomes.
    pub(super) code: Code,
    /// Where inside the value.
    pub(super) path: Path,
    /// What is wrong.
    pub(super) message: String,
    /// What to do about it.
    pub(super) hints: Vec<String>,
}

impl Trouble {
    /// Trouble without advice.
    pub(super) fn new(code: Code, path: Path, message: impl Into<String>) -> Self {
        Self { code, path, message: message.into(), hints: Vec::new() }
    }

    /// The finding, still without a place.
    pub(super) fn finding(self) -> Diagnostic {
        let mut finding = Diagnostic::new(self.code, self.message);
        finding.hints = self.hints;
        finding
    }

    /// Whether its advice is to write another name, which then need not be missed as well.
    pub(super) fn means(&self, name: &str) -> bool {
        let (alone, as_key) = (format!("`{name}`"), format!("`{name}: "));
        let names = |hint: &String| {
            !hint.starts_with(EVERY_NAME) && (hint.contains(&alone) || hint.contains(&as_key))
        };
        self.code == Code::UnknownAttribute && self.hints.iter().any(names)
    }

    /// Adds advice.
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}

/// Turns values into expressions and keeps what went wrong.
pub(super) struct Converter<'a> {
    session: &'a Session,
    path: Vec<Segment>,
    /// Bytes this value may still take.
    left: usize,
    /// What cannot be a value.
    pub(super) troubles: Vec<Trouble>,
    /// Handles that stand for their name, and where.
    pub(super) handles: Vec<(Path, &'static str)>,
}

impl<'a> Converter<'a> {
    /// A converter; paths begin with `at`.
    pub(super) fn new(session: &'a Session, at: Path) -> Self {
        Self { session, path: at.0, left: LARGEST, troubles: Vec::new(), handles: Vec::new() }
    }

    fn here(&self) -> Path {
        Path(self.path.clone())
    }

    fn trouble(&mut self, message: impl Into<String>, hint: &str) -> Expr {
        let trouble = Trouble::new(Code::NoValue, self.here(), message);
        self.troubles.push(if hint.is_empty() { trouble } else { trouble.hint(hint) });
        Expr::NULL
    }

    /// The expression of a value. Takes it: maps are moved, not copied.
    pub(super) fn expr(&mut self, value: Dynamic) -> Expr {
        let value = value.flatten();
        if value.is_string() {
            return match value.into_immutable_string() {
                Ok(text) => self.text(&text),
                Err(_) => Expr::NULL,
            };
        }
        if let Ok(value) = value.as_int() {
            return Expr::Value(Value::Int(value));
        }
        if let Ok(value) = value.as_bool() {
            return Expr::Value(Value::Bool(value));
        }
        if let Ok(value) = value.as_float() {
            if value.is_finite() {
                return Expr::Value(Value::Float(value));
            }
            return self.trouble(format!("{value} is not a number that can be written"), "");
        }
        if value.is_unit() {
            return Expr::NULL;
        }
        if self.path.len() > DEEPEST {
            self.troubles.push(Trouble::new(
                Code::Limit,
                Path(self.path[..1].to_vec()),
                "this is nested too deeply",
            ));
            return Expr::NULL;
        }
        if value.is_map() {
            return self.map(value.cast::<Map>());
        }
        if value.is_array() {
            return self.list(value.cast::<Array>());
        }
        match value.try_cast_result::<Symbol>() {
            Ok(symbol) => self.copy(&symbol.0),
            Err(other) => match other.try_cast_result::<Handle>() {
                Ok(handle) => self.handle(&handle),
                Err(other) => self.foreign(&other),
            },
        }
    }

    fn map(&mut self, map: Map) -> Expr {
        let mut entries = crate::map::Map::new();
        for (key, value) in map {
            if marks::is_marked(&key) {
                let shown = self.session.show(&key);
                let message = format!("the key `{shown}` is not known yet");
                self.trouble(message, "keys of a map are known text");
                continue;
            }
            self.path.push(Segment::Key(key.to_string()));
            let entry = self.expr(value);
            self.path.pop();
            entries.insert(key.into(), entry);
        }
        Expr::map(entries)
    }

    fn list(&mut self, items: Array) -> Expr {
        let mut list = Vec::with_capacity(items.len());
        for (index, item) in items.into_iter().enumerate() {
            self.path.push(Segment::Index(index));
            list.push(self.expr(item));
            self.path.pop();
        }
        Expr::list(list)
    }

    /// A text, taken apart at its markers.
    pub(super) fn text(&mut self, text: &ImmutableString) -> Expr {
        if !marks::is_marked(text) {
            return Expr::Value(Value::String(text.to_string()));
        }
        let pieces = match marks::split(text) {
            Ok(pieces) => pieces,
            Err(Broken::Cut) => {
                let message = "this text was cut inside a value that is not known yet";
                return self.trouble(message, "build the text from whole values");
            }
            Err(Broken::Printed) => {
                let message = "a list or map with values that are not known yet became text";
                return self.trouble(message, "use `join(list, \", \")` or `json(value)`");
            }
            // It is said already; what the text would be is not known.
            Err(Broken::Told) => return Expr::withheld(),
            Err(Broken::Lost) => {
                let message = "something without a text form became text";
                return self.trouble(message, "");
            }
        };
        let mut parts = Vec::with_capacity(pieces.len());
        for piece in pieces {
            match piece {
                Piece::Text(text) => parts.push(Expr::Value(Value::string(text))),
                Piece::Mark(index) => match self.session.marked(index) {
                    Some(expr) => parts.push(self.copy(&expr)),
                    None => {
                        return self
                            .trouble("this text holds a marker dollop did not make", "");
                    }
                },
            }
        }
        concat(self.session, parts)
    }

    /// A copy of an expression made before, as long as it is not too large.
    fn copy(&mut self, expr: &Expr) -> Expr {
        if self.left > 0 && take(expr, &mut self.left) {
            return expr.clone();
        }
        if std::mem::take(&mut self.left) > 0 {
            let message = format!("this value is larger than {} MiB", LARGEST >> 20);
            self.trouble(message, "a loop may join it to itself without end");
        }
        Expr::NULL
    }

    fn handle(&mut self, handle: &Handle) -> Expr {
        let kind = handle.0.kind;
        self.handles.push((self.here(), kind));
        match handle.name() {
            Some(name) => name,
            None => {
                let (message, hint) = nameless(self.session, handle);
                self.trouble(message, &hint)
            }
        }
    }

    fn foreign(&mut self, value: &Dynamic) -> Expr {
        let (message, hint) = match value.type_name() {
            "char" => ("a single character is no value", "use `sub_string(text, start, 1)`"),
            "Fn" => ("a function is no value", "call it"),
            name if name.contains("Range") => ("a range is no value", "use a list"),
            _ => ("this is no value", ""),
        };
        self.trouble(message, hint)
    }
}

/// Takes the size of an expression from `left`; `false` when it is larger.
fn take(expr: &Expr, left: &mut usize) -> bool {
    let mut spend = |bytes: usize| match left.checked_sub(bytes) {
        Some(rest) => {
            *left = rest;
            true
        }
        None => false,
    };
    match expr {
        Expr::Value(value) => take_value(value, left),
        Expr::Reference(_) => spend(4 * NODE),
        Expr::Secret(inner) => take(inner, left),
        Expr::List(items) | Expr::Call(_, items) => {
            spend(NODE) && items.iter().all(|item| take(item, left))
        }
        Expr::Map(entries) => spend(NODE) && entries.values().all(|entry| take(entry, left)),
    }
}

fn take_value(value: &Value, left: &mut usize) -> bool {
    let bytes = match value {
        Value::String(text) => NODE + text.len(),
        _ => NODE,
    };
    let Some(rest) = left.checked_sub(bytes) else { return false };
    *left = rest;
    match value {
        Value::List(items) => items.iter().all(|item| take_value(item, left)),
        Value::Map(entries) => entries.values().all(|entry| take_value(entry, left)),
        Value::Secret(inner) | Value::Ephemeral(Ephemeral::Known(inner)) => {
            take_value(inner, left)
        }
        _ => true,
    }
}

/// Why a handle cannot be used as a value, and what to write instead.
pub(super) fn nameless(session: &Session, handle: &Handle) -> (String, String) {
    let kind = handle.0.kind;
    let message = format!("`{kind}` has no name to stand for");
    let hint = match session.registry.schema(kind) {
        Some(schema) => {
            let names: Vec<_> = schema.facts.keys().chain(schema.spec.keys()).take(8).collect();
            match names.as_slice() {
                [] => String::new(),
                names => format!("use one of its attributes: {}", list_words(names)),
            }
        }
        None => String::new(),
    };
    (message, hint)
}

/// Words in backticks, with commas.
pub(super) fn list_words<S: AsRef<str>>(words: &[S]) -> String {
    let words: Vec<_> = words.iter().map(|word| format!("`{}`", word.as_ref())).collect();
    words.join(", ")
}

/// Parts as one text. A single part that is text already stays what it is, so that the
/// plan shows a reference and not a computation.
pub(super) fn concat(session: &Session, mut parts: Vec<Expr>) -> Expr {
    if parts.len() == 1 && is_text(session, &parts[0]) {
        return parts.remove(0);
    }
    Expr::call(Function::Concat, parts)
}

fn is_text(session: &Session, expr: &Expr) -> bool {
    match expr {
        Expr::Value(value) => value.as_str().is_some(),
        Expr::Secret(inner) => is_text(session, inner),
        Expr::Call(function, arguments) => match function.alternatives(arguments) {
            Some(among) => among.iter().all(|one| is_text(session, one)),
            None if *function == Function::Withheld => arguments.is_empty(),
            None => !function.is_condition(),
        },
        Expr::Reference(reference) => {
            matches!(type_of(&session.registry, reference), Some(Type::String | Type::Enum(_)))
        }
        _ => false,
    }
}
