//! `.env` files as Docker Compose reads them.
//!
//! No crate in good care follows these rules: quotes, escapes, comments, and `${NAME:-word}`
//! with its relatives, filled in from outside, as from the environment of the process, and
//! then from the lines above. One thing is stricter: a variable that nobody sets is an error instead of nothing.

use std::cell::Cell;
use std::collections::BTreeMap;

/// Bytes that the variables of one text may fill in.
const LARGEST: usize = 16 << 20;
/// Variables inside variables beyond this are a mistake.
const DEEPEST: usize = 32;

/// What variables may be filled in from beside the lines above.
pub struct Outside<'a> {
    /// The value of a variable.
    pub get: &'a dyn Fn(&str) -> Option<String>,
    /// What it is called, `the environment`; empty when there is nothing outside.
    pub name: &'static str,
}

impl Outside<'_> {
    /// There is none.
    pub const NOTHING: Self = Self { get: &|_| None, name: "" };
}

/// What is wrong with a file. Never holds a value: it may be secret.
#[derive(Debug, PartialEq, Eq)]
pub struct Problem {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
    /// What to do about it; may be empty.
    pub hint: String,
}

/// Reads the text of a file.
///
/// # Errors
/// Every line that makes no sense or fills in what nobody sets, in order; at least one.
pub fn parse(text: &str, outside: &Outside<'_>) -> Result<Vec<(String, String)>, Vec<Problem>> {
    let mut reader = Reader {
        rest: text,
        line: 1,
        outside,
        above: BTreeMap::new(),
        left: Cell::new(LARGEST),
    };
    let mut found = Vec::new();
    let mut problems = Vec::new();
    loop {
        match reader.entry() {
            Ok(None) => break,
            Ok(Some((name, value))) => {
                reader.above.insert(name.clone(), value.clone());
                found.push((name, value));
            }
            Err(problem) => {
                problems.push(problem);
                reader.skip_line();
            }
        }
    }
    if problems.is_empty() { Ok(found) } else { Err(problems) }
}

struct Reader<'a> {
    rest: &'a str,
    line: usize,
    outside: &'a Outside<'a>,
    above: BTreeMap<String, String>,
    /// Bytes that may still be made.
    left: Cell<usize>,
}

impl<'a> Reader<'a> {
    fn problem(&self, message: impl Into<String>, hint: &str) -> Problem {
        Problem { line: self.line, message: message.into(), hint: hint.to_owned() }
    }

    /// The next entry; `None` at the end.
    fn entry(&mut self) -> Result<Option<(String, String)>, Problem> {
        loop {
            self.rest = self.rest.trim_start_matches([' ', '\t', '\r', '\u{feff}']);
            match self.rest.chars().next() {
                None => return Ok(None),
                Some('\n') => self.take(1),
                Some('#') => self.skip_line(),
                Some(_) => break,
            }
        }
        if let Some(rest) = self.rest.strip_prefix("export ") {
            self.rest = rest.trim_start_matches([' ', '\t']);
        }
        let length = name_length(self.rest);
        let name = self.rest[..length].to_owned();
        let after = self.rest[length..].trim_start_matches([' ', '\t']);
        if name.is_empty() {
            return Err(self.problem("this is not `NAME=value`", ""));
        }
        match after.chars().next() {
            Some('=' | ':') => {
                self.rest = after[1..].trim_start_matches([' ', '\t']);
                let value = self.value();
                if value.is_err() {
                    // Said once: lines below may fill it in.
                    self.above.insert(name.clone(), String::new());
                }
                Ok(Some((name, value?)))
            }
            // A name alone takes its value from outside.
            None | Some('\n' | '\r') => {
                self.rest = after;
                let Some(value) = self.look_up(&name) else {
                    let message = match self.outside.name {
                        "" => format!("`{name}` has no value"),
                        outside => format!("`{name}` has no value, here or in {outside}"),
                    };
                    return Err(self.problem(message, "write `NAME=value`"));
                };
                Ok(Some((name, value)))
            }
            Some(_) => Err(self.problem("this is not `NAME=value`", "")),
        }
    }

    fn value(&mut self) -> Result<String, Problem> {
        if let Some(quote) = self.rest.chars().next().filter(|c| matches!(c, '\'' | '"')) {
            return self.quoted_value(quote);
        }
        let end = self.rest.find('\n').unwrap_or(self.rest.len());
        let line = &self.rest[..end];
        self.rest = &self.rest[end..];
        let comment = line
            .match_indices('#')
            .find(|(at, _)| line[..*at].ends_with([' ', '\t']) || *at == 0);
        let raw = comment.map_or(line, |(at, _)| &line[..at]).trim();
        self.fill(raw, false, 0)
    }

    fn quoted_value(&mut self, quote: char) -> Result<String, Problem> {
        let raw = self.quoted(quote)?;
        let value =
            if quote == '"' { self.fill(raw, true, 0)? } else { raw.replace("\\'", "'") };
        self.line += raw.matches('\n').count();
        let rest = self.rest.trim_start_matches([' ', '\t', '\r']);
        if !(rest.is_empty() || rest.starts_with('\n') || rest.starts_with('#')) {
            return Err(self.problem("something follows the closing quote", ""));
        }
        self.rest = rest;
        Ok(value)
    }

    /// The text between quotes, which may go over several lines.
    fn quoted(&mut self, quote: char) -> Result<&'a str, Problem> {
        let inside = &self.rest[1..];
        let mut escaped = false;
        for (at, character) in inside.char_indices() {
            if character == quote && !escaped {
                self.rest = &inside[at + 1..];
                return Ok(&inside[..at]);
            }
            escaped = character == '\\' && !escaped;
        }
        // All that follows is inside.
        self.rest = "";
        Err(self.problem("a quote is never closed", ""))
    }

    /// Fills in variables, and, between double quotes, escapes.
    fn fill(&self, raw: &str, escapes: bool, depth: usize) -> Result<String, Problem> {
        if depth > DEEPEST {
            return Err(self.problem("variables are nested too deeply", ""));
        }
        let mut out = String::new();
        let mut rest = raw;
        while let Some(at) = rest.find(['$', '\\']) {
            out.push_str(&rest[..at]);
            let after = &rest[at + 1..];
            let next = after.chars().next();
            if rest.as_bytes()[at] == b'\\' {
                let plain = match next {
                    Some('n') if escapes => "\n",
                    Some('r') if escapes => "\r",
                    Some('t') if escapes => "\t",
                    Some('"') if escapes => "\"",
                    Some('\\') if escapes => "\\",
                    Some('$') => "$",
                    _ => {
                        out.push('\\');
                        rest = after;
                        continue;
                    }
                };
                out.push_str(plain);
                rest = &after[1..];
                continue;
            }
            match next {
                Some('$') => {
                    out.push('$');
                    rest = &after[1..];
                }
                Some('{') => {
                    let end = self.closing(after)?;
                    let value = self.braced(&after[1..end], escapes, depth)?;
                    self.charge(value.len())?;
                    out.push_str(&value);
                    rest = &after[end + 1..];
                }
                _ => match variable_length(after) {
                    0 => {
                        out.push('$');
                        rest = after;
                    }
                    length => {
                        let value = self.set(&after[..length])?;
                        self.charge(value.len())?;
                        out.push_str(&value);
                        rest = &after[length..];
                    }
                },
            }
        }
        out.push_str(rest);
        Ok(out)
    }

    /// Counts what variables fill in: each line can double the one above it.
    fn charge(&self, bytes: usize) -> Result<(), Problem> {
        match self.left.get().checked_sub(bytes) {
            Some(left) => {
                self.left.set(left);
                Ok(())
            }
            None => Err(self.problem("variables fill in more than 16 MiB", "")),
        }
    }

    /// Where the brace that opens a text is closed.
    fn closing(&self, text: &str) -> Result<usize, Problem> {
        let mut depth = 0_usize;
        let mut before = '$';
        for (at, character) in text.char_indices() {
            match character {
                '{' if before == '$' => depth += 1,
                '}' => {
                    depth -= 1;
                    if depth == 0 {
                        return Ok(at);
                    }
                }
                _ => {}
            }
            before = character;
        }
        let hint = "a dollar sign of the value itself is written `$$`";
        Err(self.problem("`${` is never closed", hint))
    }

    /// What stands between the braces of `${..}`.
    fn braced(&self, inside: &str, escapes: bool, depth: usize) -> Result<String, Problem> {
        let length = variable_length(inside);
        let (name, rest) = inside.split_at(length);
        if name.is_empty() {
            return Err(self.problem("`${` is not followed by a name", ""));
        }
        if rest.is_empty() {
            return self.set(name);
        }
        let found = self.look_up(name);
        let (found, rest) = match rest.strip_prefix(':') {
            Some(rest) => (found.filter(|value| !value.is_empty()), rest),
            None => (found, rest),
        };
        let Some(sign @ ('-' | '?' | '+')) = rest.chars().next() else {
            let message = format!("`${{{name}` is followed by something unknown");
            let hint = "there are `${NAME}`, `${NAME:-other}`, `${NAME:?message}` and `${NAME:+other}`";
            return Err(self.problem(message, hint));
        };
        let word = &rest[1..];
        match (sign, found) {
            ('-' | '?', Some(value)) => Ok(value),
            ('-', None) | ('+', Some(_)) => self.fill(word, escapes, depth + 1),
            ('?', None) => {
                let message = self.fill(word, escapes, depth + 1)?;
                let message = if message.is_empty() { "it is required" } else { &message };
                let message = format!("variable `{name}`: {message}");
                let hint = match self.outside.name {
                    "" => String::new(),
                    outside => format!("set it in {outside}"),
                };
                Err(self.problem(message, &hint))
            }
            _ => Ok(String::new()),
        }
    }

    fn set(&self, name: &str) -> Result<String, Problem> {
        self.look_up(name).ok_or_else(|| {
            let hint = format!(
                "set it, or give it a default: `${{{name}:-value}}`; a dollar sign of the value \
                 itself is written `$$`"
            );
            self.problem(format!("variable `{name}` is not set"), &hint)
        })
    }

    fn look_up(&self, name: &str) -> Option<String> {
        (self.outside.get)(name).or_else(|| self.above.get(name).cloned())
    }

    fn take(&mut self, bytes: usize) {
        if self.rest.starts_with('\n') {
            self.line += 1;
        }
        self.rest = &self.rest[bytes..];
    }

    fn skip_line(&mut self) {
        let end = self.rest.find('\n').unwrap_or(self.rest.len());
        self.rest = &self.rest[end..];
    }
}

/// How long the name of an entry is.
fn name_length(text: &str) -> usize {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    if !text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        return 0;
    }
    text.find(|c| !is_name(c)).unwrap_or(text.len())
}

/// How long the name of a variable is.
fn variable_length(text: &str) -> usize {
    if !text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        return 0;
    }
    text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<(String, String)>, Vec<Problem>> {
        let get = |name: &str| match name {
            "OUT" => Some("outside".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        parse(text, &Outside { get: &get, name: "the environment" })
    }

    #[test]
    fn values_are_read_as_compose_reads_them() {
        for (text, expected) in [
            ("A=b", "b"),
            ("A = b ", "b"),
            ("A: b", "b"),
            ("export A=b", "b"),
            ("A=", ""),
            ("\u{feff}# first\n\n  A=b\r\n", "b"),
            ("A=b # comment", "b"),
            ("A=b# none", "b# none"),
            ("A=# all of it", ""),
            ("A='b # c' # d", "b # c"),
            ("A=\"b # c\" # d", "b # c"),
            ("A='$OUT ${NO} \\n'", "$OUT ${NO} \\n"),
            (r"A='let\'s go'", "let's go"),
            (r#"A="{\"x\": 1}""#, r#"{"x": 1}"#),
            (r#"A="a\tb\nc\\d\$e""#, "a\tb\nc\\d$e"),
            (r"A=C:\new\$x", r"C:\new$x"),
            ("A=\"one\ntwo\"", "one\ntwo"),
            ("A=$OUT-${OUT}", "outside-outside"),
            ("A=a$$b$$$$", "a$b$$"),
            ("A=5$ $1", "5$ $1"),
            ("B=x\nA=\"<$B>\"", "<x>"),
            ("OUT=below\nA=$OUT", "outside"),
            ("A=${NO:-x}", "x"),
            ("A=${EMPTY:-x}", "x"),
            ("A=${EMPTY-x}", ""),
            ("A=${NO-}", ""),
            ("A=${OUT:?no}", "outside"),
            ("A=${EMPTY?no}", ""),
            ("A=${OUT:+yes}${NO:+no}${EMPTY+set}", "yesset"),
            ("A=${NO:-${ALSO:-{$OUT}}}", "{outside}"),
            ("A=${NO:-a b}# c", "a b# c"),
        ] {
            let found = read(text).unwrap();
            let value = &found.iter().find(|(name, _)| name == "A").unwrap().1;
            assert_eq!(value, expected, "{text}");
        }
        assert_eq!(read("OUT").unwrap(), [("OUT".to_owned(), "outside".to_owned())]);
    }

    #[test]
    fn what_makes_no_sense_is_placed_and_never_quoted() {
        for (text, line, message) in [
            ("hunter2 hunter2", 1, "this is not `NAME=value`"),
            ("\n\n=hunter2", 3, "this is not `NAME=value`"),
            ("PW", 1, "`PW` has no value, here or in the environment"),
            ("A='x\ny'\nPW=$NO", 3, "variable `NO` is not set"),
            ("PW=hunter2$x", 1, "variable `x` is not set"),
            ("PW=${NO}hunter2", 1, "variable `NO` is not set"),
            ("PW=${NO:?ask Ada}", 1, "variable `NO`: ask Ada"),
            ("PW=${EMPTY:?}", 1, "variable `EMPTY`: it is required"),
            ("PW=${NO", 1, "`${` is never closed"),
            ("PW=${}", 1, "`${` is not followed by a name"),
            ("PW=${A/hunter2/b}", 1, "`${A` is followed by something unknown"),
            ("A=1\nPW='hunter2", 2, "a quote is never closed"),
            ("PW='hunter'2", 1, "something follows the closing quote"),
        ] {
            let problems = read(text).unwrap_err();
            let [problem] = problems.as_slice() else { panic!("{text}: {problems:?}") };
            assert_eq!((problem.line, problem.message.as_str()), (line, message), "{text}");
            assert!(!problem.hint.contains("hunter"), "{text}");
        }
        let deep = format!("A={}x{}", "${N:-".repeat(99), "}".repeat(99));
        assert_eq!(read(&deep).unwrap_err()[0].message, "variables are nested too deeply");
    }

    #[test]
    fn all_problems_of_a_file_are_said_and_none_twice() {
        let text = "A=$NO\nfine=1\nB=$A\nno line\nC='x' y\nD=\"one\ntwo\nthree=3";
        let found: Vec<_> = read(text).unwrap_err().into_iter().map(|it| it.line).collect();
        assert_eq!(found, [1, 4, 5, 6]);
    }
}
