//! Values and operators as other languages write them, and what is missing.

use super::habits::{BEFORE_VALUES, Place, Said, said};
use super::tokens::{Sort, open};
use rhai::ParseErrorType as Parse;

impl Place<'_> {
    /// `[x * 2 for x in xs]`, `[for x in xs : x * 2]`
    pub(super) fn comprehension(&self) -> Option<Said> {
        let around = self.bracket(self.here)?;
        let at = (around.0 + 1..self.end_of_line(self.here))
            .find(|at| self.is_word(*at, &["for"]) && self.bracket(*at) == Some(around))?;
        // In braces it is a loop, unless it stands right behind them and where a value should.
        let is_loop = around.1 == "{" && !(at == around.0 + 1 && at == self.here);
        if is_loop || self.is_sign(at.checked_sub(1)?, ";") {
            return None;
        }
        said(
            at,
            "a list or map is not made by `for`",
            "write `list.map(|x| ..)`, with `.filter(|x| ..)` before it; of a map, \
             `map.map(|key, value| ..)`",
        )
    }

    /// `(x) => x + 1`
    pub(super) fn arrow(&self) -> Option<Said> {
        let line = self.first_of_line(self.here)..self.end_of_line(self.here);
        let at = line.clone().find(|at| self.is_sign(*at, "=>"))?;
        let in_switch = open(self.tokens.get(..at)?).iter().any(|(bracket, _)| {
            let first = self.first_of_line(*bracket);
            (first..*bracket).any(|index| self.is_word(index, &["switch"]))
        });
        if in_switch || self.here > at + 1 {
            return None;
        }
        said(
            at,
            "`=>` makes no closure",
            "write `|x| x + 1`, or `|x| { .. }` with several statements",
        )
    }

    /// `let x: int = 5`, `fn f(x: int) -> int {`
    pub(super) fn types(&self) -> Option<Said> {
        let message = "values are not declared with types";
        if self.is_sign(self.here, "->") {
            let ty = self.text(self.here + 1);
            return said(self.here, message, format!("leave `-> {ty}` out"));
        }
        let colon = [self.here, self.here.saturating_sub(1)];
        let at = colon.into_iter().find(|at| self.is_sign(*at, ":"))?;
        let name = at.checked_sub(1)?;
        let is_let = self.is_word(name.checked_sub(1)?, &["let", "const"]);
        let in_function = self.bracket(at).is_some_and(|(bracket, text)| {
            text == "(" && bracket >= 2 && self.is_word(bracket - 2, &["fn"])
        });
        if !is_let && !in_function {
            return None;
        }
        let ty = self.text(at + 1);
        said(at, message, format!("leave `: {ty}` out"))
    }

    /// `f"..."`, `"""`, `<<EOF`, `"a" . "b"`, `"a" "b"`, `$name`
    pub(super) fn text_of_others(&self) -> Option<Said> {
        let lines = "text of several lines stands between backticks";
        let prefixed = [self.here, self.here.saturating_sub(1)].into_iter().find(|at| {
            self.is_word(*at, &["f", "r", "b", "u", "F", "R", "rb", "fr"])
                && self
                    .token(at + 1)
                    .is_some_and(|next| next.sort == Sort::Text && next.is_glued)
        });
        if let Some(at) = prefixed {
            let hint = if self.is_word(at, &["f", "F", "fr"]) {
                "write `` `port ${port}` `` between backticks"
            } else {
                "leave the letter out"
            };
            let word = self.text(at);
            return said(at, format!("text has no `{word}` before it"), hint);
        }
        let near = [self.here.saturating_sub(2), self.here.saturating_sub(1), self.here];
        let heredoc = near.into_iter().find(|at| {
            (self.is_sign(*at, "<<") || self.is_sign(*at, "<<-") || self.is_sign(*at, "<<~"))
                && self.is(at + 1, Sort::Word)
        });
        if let Some(at) = heredoc {
            return said(
                at,
                lines,
                "write them between two backticks, where `${..}` is filled in",
            );
        }
        if self.is_sign(self.here, "$") {
            let (hint, what) = if self.is_sign(self.here + 1, "{") {
                (
                    "outside of it, write the name alone",
                    "`${..}` stands inside of text in backticks",
                )
            } else {
                (
                    "write the name alone; in text, `` `${name}` ``",
                    "names have no `$` before them",
                )
            };
            return said(self.here, what, hint);
        }
        let before = self.before()?;
        if !self.is(self.here, Sort::Text) {
            return None;
        }
        if self.is_sign(before, ".") || self.is(before, Sort::Text) {
            let at = if self.is_sign(before, ".") { before } else { self.here };
            return said(
                at,
                "texts are joined with `+`",
                "write `\"a\" + \"b\"`, or `` `a${b}` ``",
            );
        }
        None
    }

    /// `"""`
    pub(super) fn triple_quotes(&self) -> Option<Said> {
        let first = self.here.saturating_sub(2);
        let at = (first..=self.here).find(|at| {
            matches!(self.text(*at), "\"\"" | "''")
                && self
                    .token(at + 1)
                    .is_some_and(|next| next.sort == Sort::Text && next.is_glued)
        })?;
        said(
            at,
            "text of several lines stands between backticks",
            "write `` ` `` where the three quotes are",
        )
    }

    /// `image: nginx:1.27`
    pub(super) fn text_without_quotes(&self) -> Option<Said> {
        let before = self.before()?;
        let begins = matches!(self.text(before), ":" | "[" | "," | "=" | "(");
        let is_variable = matches!(self.kind, Parse::VariableUndefined(_));
        let is_glued = |at: usize| self.token(at).is_some_and(|token| token.is_glued);
        let joins = matches!(self.text(self.here + 1), ":" | "/")
            && is_glued(self.here + 1)
            && is_glued(self.here + 2)
            && (self.is(self.here + 2, Sort::Word) || self.is(self.here + 2, Sort::Number));
        if !is_variable || !begins || !joins {
            return None;
        }
        let rest = self.tokens.get(self.here + 1..).unwrap_or_default();
        let more = rest.iter().take_while(|token| {
            token.is_glued && !matches!(token.text, "," | "}" | "]" | ")" | ";")
        });
        let text: String = more.map(|token| token.text).collect();
        let name = self.text(self.here);
        said(self.here, "text stands in quotes", format!("write `\"{name}{text}\"`"))
    }

    /// `docker::container("web", image: "nginx")`, `param("x", default=3)`
    pub(super) fn argument_with_a_name(&self) -> Option<Said> {
        let near = [self.here, self.here + 1];
        let at =
            near.into_iter().find(|at| self.is_sign(*at, ":") || self.is_sign(*at, "="))?;
        let name = at.checked_sub(1)?;
        let (around, brace) = self.bracket(at)?;
        let holds_value = || {
            let before = around.checked_sub(1).map_or("", |before| self.text(before));
            matches!(before, "(" | "," | "=" | ":" | "[")
        };
        if brace == "{" && around + 1 == name && holds_value() {
            let key = self.text(name);
            return said(around, "a map begins with `#{`", format!("write `#{{ {key}: .. }}`"));
        }
        let (bracket, _) = self.bracket(at).filter(|(_, text)| *text == "(")?;
        let begins = name
            .checked_sub(1)
            .is_some_and(|before| before == bracket || self.is_sign(before, ","));
        let called = bracket.checked_sub(1).filter(|before| self.is(*before, Sort::Word))?;
        let of_language = ["if", "while", "for", "switch", "in"];
        if !begins || !self.is(name, Sort::Word) || self.is_word(called, &of_language) {
            return None;
        }
        let (key, function) = (self.text(name), self.path(called));
        let hint = if key == "name" {
            format!("the name comes first: `{function}(\"name\", #{{ .. }})`")
        } else {
            format!("options stand in a map: `{function}(.., #{{ {key}: .. }})`")
        };
        said(name, "arguments have no names", hint)
    }

    /// `a ? b : c`, `x++`, `a and b`, `===`
    pub(super) fn operator_of_others(&self) -> Option<Said> {
        let choice = "write `if condition { a } else { b }`";
        let token = self.token(self.here)?;
        // What stands before it was looked at first, for it gives no true or false.
        let compares = match self.text(self.here + 1) {
            _ if !matches!(self.kind, Parse::MismatchedType(..)) => None,
            "===" | "=" => Some("=="),
            "!==" => Some("!="),
            _ => None,
        };
        if let Some(sign) = compares {
            let (at, text) = (self.here + 1, self.text(self.here + 1));
            return said(
                at,
                format!("`{text}` does not compare"),
                format!("write `a {sign} b`"),
            );
        }
        let name = self.before().map_or("x", |before| self.text(before));
        let is_else =
            (self.here..self.end_of_line(self.here)).any(|at| self.is_word(at, &["else"]));
        match token.text {
            "?" => return said(self.here, "`? :` has no meaning here", choice),
            "if" if is_else && self.before().is_some_and(|before| self.ends_value(before)) => {
                return said(self.here, "a value does not stand before its `if`", choice);
            }
            "++" | "--" => {
                let sign = &token.text[..1];
                let hint = format!("write `{name} {sign}= 1`");
                return said(self.here, format!("`{}` has no meaning here", token.text), hint);
            }
            "===" => return said(self.here, "`===` has no meaning here", "write `==`"),
            "!==" => return said(self.here, "`!==` has no meaning here", "write `!=`"),
            "..." => {
                let hint = "write `a + b` for lists, and `merge(a, b)` for maps";
                return said(self.here, "`...` has no meaning here", hint);
            }
            "#" => {
                return said(
                    self.here,
                    "`#` begins no comment",
                    "a comment begins with `//`, a map with `#{`",
                );
            }
            _ => {}
        }
        let near = [self.here, self.here + 1];
        let word = near.into_iter().find(|at| {
            self.is_word(*at, &["and", "or", "not", "is"])
                && !self.is_sign(at + 1, "(")
                && !self.is_sign(at + 1, ":")
        })?;
        let (sign, example) = match self.text(word) {
            "and" => ("&&", "a && b"),
            "or" => ("||", "a || b"),
            "not" => ("!", "!a"),
            _ => ("==", "a == b"),
        };
        let text = self.text(word);
        said(word, format!("`{text}` is written `{sign}`"), format!("write `{example}`"))
    }

    /// Whether a value may end with this token.
    fn ends_value(&self, at: usize) -> bool {
        let Some(token) = self.token(at) else { return false };
        match token.sort {
            Sort::Sign => matches!(token.text, ")" | "]" | "}"),
            _ => !token.is_word(&BEFORE_VALUES),
        }
    }

    /// What is missing is missed where it should have stood, not where its lack is noticed.
    pub(super) fn missing(&self) -> Option<Said> {
        let Some(here) = self.token(self.here) else { return self.open_at_the_end() };
        let closes = matches!(here.text, ")" | "]" | "}");
        let begins = self.before().is_none_or(|at| matches!(self.text(at), ";" | "}" | "{"));
        if closes && begins && self.bracket(self.here).is_none() {
            let message = format!("`{}` closes nothing that is open", here.text);
            let hint = "remove it, or look for the bracket that is missing above";
            return said(self.here, message, hint);
        }
        let before = self.before()?;
        let token = match self.kind {
            Parse::MissingToken(token, _) => token.as_str(),
            Parse::BadInput(_) if closes || matches!(here.text, ";" | ",") => {
                let hint = "write one, or leave out what is before it";
                return said(
                    self.here,
                    format!("a value is missing before `{}`", here.text),
                    hint,
                );
            }
            _ => return self.open_at_the_end(),
        };
        match (token, self.bracket(self.here)) {
            (":", _) if here.is_sign("=") => {
                let key = self.text(before);
                let message = "a key is followed by `:`, not by `=`";
                said(self.here, message, format!("write `{key}: ..`"))
            }
            (";", _) if closes => {
                let message = format!("`{}` closes nothing that is open", here.text);
                let hint = "remove it, or look for the bracket that is missing above";
                said(self.here, message, hint)
            }
            (";", _) => said(before, "`;` is missing behind this", "a statement ends with `;`"),
            ("{", _) => {
                let message = "a block in braces is missing behind this";
                said(before, message, "write `{ .. }`, also around one statement")
            }
            ("," | ")" | "]" | "}", Some((at, bracket))) if closes => {
                let closing = closing(bracket);
                let line = self.token(at).map_or(0, |token| token.line);
                let message = format!("`{closing}` is missing behind this");
                said(before, message, format!("it closes the `{bracket}` of line {line}"))
            }
            ("," | ")" | "]" | "}", Some((_, bracket))) if bracket != "{" => {
                let what = match bracket {
                    "[" => "the items of a list",
                    "#{" => "the entries of a map",
                    _ => "arguments",
                };
                let hint = format!(
                    "{what} have commas between them; an operator may be missing as well"
                );
                said(before, "`,` is missing behind this", hint)
            }
            _ => None,
        }
    }

    /// The bracket that nothing closes.
    pub(super) fn open_at_the_end(&self) -> Option<Said> {
        let is_end =
            matches!(self.kind, Parse::UnexpectedEOF) || self.here >= self.tokens.len();
        let (at, bracket) = open(&self.tokens).last().map(|(at, token)| (*at, token.text))?;
        let closing = closing(bracket);
        if !is_end {
            return None;
        }
        said(
            at,
            format!("this `{bracket}` is not closed"),
            format!("the script ends without its `{closing}`"),
        )
    }
}

/// What closes a bracket.
fn closing(bracket: &str) -> &'static str {
    match bracket {
        "(" => ")",
        "[" => "]",
        _ => "}",
    }
}
