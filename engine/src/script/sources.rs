//! The text of the scripts, and spans into it.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::sync::Arc;

use rhai::Position;

use super::shift::Shift;
use crate::diagnostic::{Diagnostic, Span};
use crate::path::Path;

/// One script, with what is looked up by position.
#[derive(Debug)]
pub(super) struct Source {
    /// Its path in the project folder.
    pub(super) file: Arc<str>,
    /// Its text.
    pub(super) text: Arc<str>,
    /// Where each line begins.
    starts: Vec<usize>,
    /// What was added to it where, for Rhai to read.
    pub(super) shift: Shift,
    /// Every call, by its position.
    pub(super) calls: HashMap<Position, Rc<Call>>,
    /// Functions it defines: name and number of parameters.
    pub(super) functions: Vec<(String, usize)>,
    /// Its closures, by the name Rhai gives them: how many parameters each has, those for what
    /// it captures included.
    pub(super) closures: HashMap<String, usize>,
    /// Where the bodies of its functions and closures begin that are run statement by
    /// statement, by name.
    pub(super) bodies: HashMap<String, Position>,
    /// How its functions are called, closures left out.
    pub(super) forms: Vec<Form>,
    /// Functions it defines and calls itself, with the place of one such call.
    pub(super) own_calls: BTreeMap<(String, usize), Span>,
    /// Whether it has functions or closures.
    pub(super) has_functions: bool,
    /// Warnings its text alone leads to.
    pub(super) warnings: Vec<Diagnostic>,
}

/// How a function of a script is called.
#[derive(Debug)]
pub(super) struct Form {
    pub(super) name: String,
    /// `name(a, b)`.
    pub(super) words: String,
    /// Whether its own script alone calls it.
    pub(super) is_private: bool,
}

/// One call in the text of a script; every run of it shares this.
#[derive(Debug)]
pub(super) struct Call {
    /// The name called.
    pub(super) span: Span,
    /// Where the arguments and each part of a literal map among them stand.
    pub(super) spans: Arc<BTreeMap<Path, Span>>,
}

impl Call {
    /// Where a part was written, or the nearest thing around it.
    pub(super) fn at(&self, path: &Path) -> Span {
        let mut path = path.clone();
        while !path.0.is_empty() {
            if let Some(span) = self.spans.get(&path) {
                return span.clone();
            }
            path.0.pop();
        }
        self.span.clone()
    }
}

impl Source {
    /// Reads the lines of a script.
    pub(super) fn new(file: Arc<str>, text: Arc<str>) -> Self {
        let mut starts = vec![0];
        starts.extend(text.match_indices('\n').map(|(at, _)| at + 1));
        Self {
            file,
            text,
            starts,
            shift: Shift::default(),
            calls: HashMap::new(),
            functions: Vec::new(),
            closures: HashMap::new(),
            bodies: HashMap::new(),
            forms: Vec::new(),
            own_calls: BTreeMap::new(),
            has_functions: false,
            warnings: Vec::new(),
        }
    }

    /// The line of that number, from 1.
    fn line(&self, number: usize) -> &str {
        let Some(start) = number.checked_sub(1).and_then(|index| self.starts.get(index)) else {
            return "";
        };
        let end = self.starts.get(number).copied().unwrap_or(self.text.len());
        self.text[*start..end].trim_end_matches(['\n', '\r'])
    }

    /// Where in the text a place is.
    pub(super) fn offset(&self, place: Position) -> Option<usize> {
        let (line, column) = (place.line()?, place.position()?);
        let start = self.starts.get(line - 1)?;
        let before = self.line(line).chars().take(column - 1).map(char::len_utf8);
        Some(start + before.sum::<usize>())
    }

    /// The span of the word at a position.
    pub(super) fn span(&self, position: Position) -> Option<Span> {
        let position = self.shift.written(position);
        let line = position.line()?;
        let column = position.position().unwrap_or(1);
        let column = column + lead(self.line(line), column - 1);
        let rest = self.line(line).chars().skip(column - 1);
        Some(Span {
            file: Arc::clone(&self.file),
            line: u32::try_from(line).unwrap_or(u32::MAX),
            column: u32::try_from(column).unwrap_or(u32::MAX),
            length: width(rest),
        })
    }

    /// The span of one character.
    pub(super) fn span_of_character(&self, at: usize) -> Span {
        let line = self.starts.partition_point(|start| *start <= at);
        let start = self.starts.get(line - 1).copied().unwrap_or(0);
        let column = self.text[start..at].chars().count() + 1;
        Span {
            file: Arc::clone(&self.file),
            line: u32::try_from(line).unwrap_or(u32::MAX),
            column: u32::try_from(column).unwrap_or(u32::MAX),
            length: 1,
        }
    }

    /// Whether the name at a position is called: a parenthesis follows.
    pub(super) fn is_called(&self, name: &str, position: Position) -> bool {
        let (Some(line), Some(column)) = (position.line(), position.position()) else {
            return false;
        };
        let after = column - 1 + name.chars().count();
        self.line(line).chars().skip(after).find(|c| !c.is_whitespace()) == Some('(')
    }

    /// The number of the line, not above a position, that names a variable with `let` or
    /// `const`.
    pub(super) fn given_after(&self, name: &str, position: Position) -> Option<usize> {
        let from = position.line()?;
        let is_name = |c: char| c.is_alphanumeric() || c == '_';
        let gives = |line: &str| {
            let words: Vec<&str> =
                line.split(|c: char| !is_name(c)).filter(|word| !word.is_empty()).collect();
            words.windows(2).any(|pair| matches!(pair[0], "let" | "const") && pair[1] == name)
        };
        (from + 1..=self.starts.len()).find(|number| gives(self.line(*number)))
    }

    /// Whether a position stands behind the first key of what would be a map if it began with
    /// `#{`: in `{ image: "x" }` at the word or at the colon.
    pub(super) fn is_in_bare_map(&self, position: Position) -> bool {
        let Some(at) = self.offset(position) else { return false };
        let (above, below) = self.text.split_at(at);
        let is_name = |c: char| c.is_alphanumeric() || c == '_';
        let word = below.trim_start_matches(is_name);
        let (above, below) = if word.len() < below.len() {
            (above, word)
        } else {
            let key = above.trim_end();
            let inner = match key.strip_suffix('"') {
                Some(text) => text.rsplit_once('"').map_or("", |(rest, _)| rest),
                None => key.trim_end_matches(is_name),
            };
            (inner, below)
        };
        let opened = above.trim_end().strip_suffix('{').map(str::trim_end);
        below.trim_start().starts_with(':')
            && !below.trim_start().starts_with("::")
            && opened.is_some_and(|rest| rest.ends_with(['(', ',', '=', ':', '[']))
    }

    /// Names of what looks like the definition of a function.
    pub(super) fn defines(&self) -> impl Iterator<Item = &str> {
        let is_name = |c: char| c.is_alphanumeric() || c == '_';
        self.text.match_indices("fn ").filter_map(move |(at, _)| {
            if self.text[..at].ends_with(is_name) {
                return None;
            }
            let rest = self.text[at + 3..].trim_start();
            let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
            (end > 0).then_some(&rest[..end])
        })
    }

    /// The name that the statement around a place is to give: `host` for what stands behind
    /// `let host = `.
    pub(super) fn given_by(&self, place: Position) -> Option<&str> {
        let before = &self.text[..self.offset(self.shift.written(place))?];
        let begin = before.rfind([';', '{', '}']).map_or(0, |at| at + 1);
        let (head, _) = before[begin..].split_once('=')?;
        let mut words = head.split_whitespace().rev();
        let name = words.next()?;
        matches!(words.next(), Some("let" | "const")).then_some(name)
    }

    /// Names the script gives: what follows `let`, `const`, `for`, `as`, and parameters.
    pub(super) fn names(&self) -> Vec<&str> {
        let mut names = Vec::new();
        let mut before = "";
        let mut in_parameters = false;
        let mut rest = &*self.text;
        while let Some(start) = rest.find(|c: char| c.is_alphabetic() || c == '_' || c == '|') {
            in_parameters &= !rest[..start].contains([')', '{', ';', '=']);
            rest = &rest[start..];
            if let Some(after) = rest.strip_prefix('|') {
                in_parameters = !in_parameters;
                (before, rest) = ("|", after);
                continue;
            }
            let end =
                rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            let word = &rest[..end];
            if matches!(before, "let" | "const" | "for" | "as") || in_parameters {
                names.push(word);
            }
            in_parameters |= before == "fn";
            (before, rest) = (word, &rest[end..]);
        }
        names
    }
}

/// How many characters stand before the word that is meant: Rhai points at the dot of
/// `x.name`, the bracket of `x[key]`, the brace of `${x}`.
fn lead(line: &str, at: usize) -> usize {
    let before = at.checked_sub(1).and_then(|before| line.chars().nth(before));
    let mut rest = line.chars().skip(at).peekable();
    let is_lead = match rest.next() {
        Some('.') => rest.peek().is_some_and(|c| c.is_alphabetic() || *c == '_'),
        // The bracket of a list literal stands for the list.
        Some('[') => {
            before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | ']' | ')'))
        }
        Some('{') => before == Some('$'),
        _ => false,
    };
    if is_lead { 1 + rest.take_while(|c| c.is_whitespace()).count() } else { 0 }
}

/// How long the word is that begins here: a name with its path, a literal, or one sign.
fn width(mut rest: impl Iterator<Item = char>) -> u32 {
    let Some(first) = rest.next() else { return 1 };
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut length = 1;
    if is_word(first) {
        let mut rest = rest.peekable();
        loop {
            while rest.next_if(|c| is_word(*c)).is_some() {
                length += 1;
            }
            // `docker::network` is one name.
            let mut ahead = 0;
            while rest.next_if(|c| *c == ':').is_some() {
                ahead += 1;
            }
            if ahead != 2 || !rest.peek().is_some_and(|c| is_word(*c)) {
                return length;
            }
            length += 2;
        }
    }
    if matches!(first, '"' | '`') {
        let mut escaped = false;
        for character in rest {
            length += 1;
            if character == first && !escaped {
                return length;
            }
            escaped = character == '\\' && !escaped;
        }
        return length;
    }
    // `==`, `!=`, `..=`, `&&`
    let is_sign = |c: char| "=!<>+-*/%&|.".contains(c);
    let more =
        if is_sign(first) { rest.take_while(|c| is_sign(*c)).take(2).count() } else { 0 };
    1 + u32::try_from(more).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_as_wide_as_it_is_written() {
        let width = |text: &str| width(text.chars());
        assert_eq!(width("docker::network(\"x\")"), 15);
        assert_eq!(width("name: 1"), 4);
        assert_eq!(width("\"a\\\"b\" + c"), 6);
        assert_eq!(width("+ c"), 1);
        assert_eq!(width("== c"), 2);
        assert_eq!(width(""), 1);
    }

    #[test]
    fn names_are_what_the_script_gives() {
        let text = "let a = 1; for i in 0..2 {} fn f(x, y) { x + z } let g = |u, v| u; import \"m\" as m;";
        let source = Source::new("main.rhai".into(), text.into());
        assert_eq!(source.names(), ["a", "i", "x", "y", "g", "u", "v", "m"]);
    }
}
