//! Statements as other languages write them.

use super::habits::{BEFORE_VALUES, Place, Said, said};
use super::tokens::Sort;
use super::words;
use rhai::ParseErrorType as Parse;

impl Place<'_> {
    /// `resource "docker_container" "web" {`
    pub(super) fn block_of_terraform(&self) -> Option<Said> {
        let first = self.begun()?;
        let word = self.token(first).filter(|token| token.sort == Sort::Word)?;
        let named = self.is(first + 1, Sort::Text);
        if !named && !self.is_sign(first + 1, "{") {
            return None;
        }
        let name = self.text(first + if self.is(first + 2, Sort::Text) { 2 } else { 1 });
        let hint = match word.text {
            "resource" | "data" if named => {
                let typed = self.text(first + 1).trim_matches('"');
                let kind = words::kind(self.registry, typed).unwrap_or("provider::kind");
                let lookup = if word.text == "data" { "_lookup" } else { "" };
                format!("write `{kind}{lookup}({name}, #{{ .. }})`")
            }
            "variable" if named => format!("write `let x = param({name}, #{{ default: .. }})`"),
            "output" if named => format!("write `output({name}, value)`"),
            "module" if named => {
                "write `import \"lib/name\" as name;`, and call a function of it".to_owned()
            }
            "provider" if named => "declare the server it speaks to, as in `let db = \
                                    postgres::server(\"main\", #{ .. })`"
                .to_owned(),
            "locals" => "give values names: `let name = value;`".to_owned(),
            "terraform" => {
                "leave it out: the binary holds the providers and keeps the state in \
                            `.dollop`"
                    .to_owned()
            }
            "moved" => "write `moved(\"old address\", \"new address\")`".to_owned(),
            _ => return None,
        };
        said(first, format!("a script has no `{}` blocks", word.text), hint)
    }

    /// `function f(x) {`, `def f(x):`, `lambda x: x`
    pub(super) fn function_of_others(&self) -> Option<Said> {
        const WORDS: [&str; 7] = ["function", "def", "func", "fun", "lambda", "sub", "proc"];
        let first = self.here.saturating_sub(2);
        let at = (first..=self.here).find(|at| self.is_word(*at, &WORDS))?;
        let word = self.text(at);
        let is_closure = word == "function" && self.is_sign(at + 1, "(");
        if word == "lambda" || is_closure {
            return said(
                at,
                format!("a closure is not written with `{word}`"),
                "write `|x| x + 1`, or `|x| { .. }` with several statements",
            );
        }
        if !self.is(at + 1, Sort::Word) {
            return None;
        }
        let name = self.text(at + 1);
        said(at, "a function begins with `fn`", format!("write `fn {name}(a, b) {{ .. }}`"))
    }

    /// `for (let i = 0; i < 3; i++)`, `for x of xs`
    pub(super) fn loop_of_others(&self) -> Option<Said> {
        let first = self.first_of_line(self.here);
        let begin =
            (first..=self.here).rev().find(|at| self.is_word(*at, &["for", "foreach"]))?;
        let line = begin..self.end_of_line(begin);
        if self.is_sign(self.here, ",") && self.here == begin + 2 {
            return said(
                self.here,
                "a loop has one variable",
                "write `for key in map.keys() { .. }`, and `map[key]` for the value; with a \
                 number, `for (item, i) in list { .. }`",
            );
        }
        let of = line.clone().find(|at| self.is_word(*at, &["of"]));
        // Between the parentheses of the loop, not in its body.
        let mut depth = 0_usize;
        let mut head = line.clone().skip(1).take_while(|at| {
            depth += usize::from(self.is_sign(*at, "("));
            depth -= usize::from(depth > 0 && self.is_sign(*at, ")"));
            depth > 0
        });
        let counts = head.any(|at| self.is_sign(at, ";") || self.is_word(at, &["let", "var"]));
        let is_each = self.is_word(begin, &["foreach"]);
        if of.is_none() && !counts && !is_each {
            return None;
        }
        said(
            begin,
            "a loop is not written like this",
            "write `for item in list { .. }`, or `for i in 0..3 { .. }`",
        )
    }

    /// `if x:`, `else:`, `elif x:`
    pub(super) fn block_behind_colon(&self) -> Option<Said> {
        const OTHERWISE: [&str; 3] = ["elif", "elsif", "elseif"];
        let first = self.first_of_line(self.here);
        let near = [self.here.saturating_sub(1), self.here, self.here + 1];
        if let Some(at) = near.into_iter().find(|at| self.is_word(*at, &OTHERWISE)) {
            let word = self.text(at);
            return said(
                at,
                format!("`{word}` is written `else if`"),
                "write `} else if x { .. }`",
            );
        }
        let words =
            ["if", "else", "for", "while", "def", "try", "except", "finally", "with", "class"];
        let last = self.end_of_line(self.here).checked_sub(1)?;
        if self.is_word(first, &words) && self.is_sign(last, ":") && last > first {
            let word = self.text(first);
            return said(
                last,
                "a block stands in braces, not behind `:`",
                format!("write `{word} .. {{ .. }}`"),
            );
        }
        let then = near.into_iter().find(|at| self.is_word(*at, &["then"]))?;
        said(then, "there is no `then`", "write `if x { .. } else { .. }`")
    }

    /// `from x import y`, `require("x")`, `import os`
    pub(super) fn import_of_others(&self) -> Option<Said> {
        let first = self.begun()?;
        let hint = "write `import \"lib/database\" as database;`, with a path relative to this \
                    script";
        let is_from = self.is_word(first, &["from", "include", "source", "using", "require"])
            && (self.is(first + 1, Sort::Word) || self.is(first + 1, Sort::Text));
        let is_use = self.is_word(first, &["use"]) && self.is(first + 1, Sort::Word);
        if is_from || is_use {
            let word = self.text(first);
            return said(first, format!("other scripts are not read with `{word}`"), hint);
        }
        let bare = self.is_word(first, &["import"]) && !self.is(first + 1, Sort::Text);
        if bare && (!self.is(first + 1, Sort::Sign) || self.is_sign(first + 1, "{")) {
            return said(first + 1, "`import` takes the path of a script, a text", hint);
        }
        None
    }

    /// `var x = 5`, `let mut x`, `x := 5`, `let {a, b} = x`, `class X {`
    pub(super) fn name_of_others(&self) -> Option<Said> {
        const TYPES: [&str; 7] =
            ["class", "struct", "enum", "interface", "type", "trait", "impl"];
        const NAMING: [&str; 8] = ["var", "val", "local", "set", "my", "auto", "final", "mut"];
        let first = self.first_of_line(self.here);
        let near = self.here.saturating_sub(2)..=self.here + 1;
        if let Some(at) = near.clone().find(|at| self.is_word(*at, &["mut"]))
            && self.is_word(at.checked_sub(1)?, &["let"])
        {
            return said(at, "every variable can be changed", "leave `mut` out");
        }
        if self.is_word(first, &NAMING)
            && self.is(first + 1, Sort::Word)
            && self.is_sign(first + 2, "=")
        {
            let (word, name) = (self.text(first), self.text(first + 1));
            return said(
                first,
                format!("a value is not named with `{word}`"),
                format!("write `let {name} = ..;`"),
            );
        }
        if let Some(at) = near.clone().find(|at| self.is_sign(*at, ":=")) {
            let name = self.text(at.checked_sub(1)?);
            return said(at, "`:=` has no meaning here", format!("write `let {name} = ..;`"));
        }
        if matches!(self.kind, Parse::VariableExpected)
            && self.is_word(self.before()?, &["let", "const"])
        {
            return said(
                self.here,
                "`let` names one value",
                "write one `let` for each: `let a = pair[0]; let b = map.b;`",
            );
        }
        if self.is_sign(self.here, ",")
            && self.is_word(self.here.checked_sub(2)?, &["let", "const"])
        {
            return said(
                self.here,
                "`let` names one value",
                "write one `let` for each: `let a = pair[0]; let b = pair[1];`",
            );
        }
        let at = near.into_iter().find(|at| self.is_word(*at, &TYPES))?;
        if at != first || !self.is(at + 1, Sort::Word) {
            return None;
        }
        said(
            at,
            "a script defines no types",
            "what belongs together is a map, `#{ .. }`, and a function can return one",
        )
    }

    /// `services:` or `image: nginx` as a statement, `- "80:80"`
    pub(super) fn yaml(&self) -> Option<Said> {
        let first = self.begun()?;
        let is_key = (self.is(first, Sort::Word) || self.is(first, Sort::Text))
            && self.is_sign(first + 1, ":")
            && !self.is_word(first, &["case", "default", "else"]);
        let is_data = |(_, bracket): (usize, &str)| bracket != "{";
        if !is_key || self.bracket(first).is_some_and(is_data) {
            return None;
        }
        Some(Said {
            at: first,
            message: "a script is no YAML".to_owned(),
            hints: vec![
                "write `docker::container(\"web\", #{ image: \"nginx:1.27\" });`".to_owned(),
            ],
        })
    }

    /// `print "x"`, `await f()`, `new X()`, `case 1:`
    pub(super) fn word_of_others(&self) -> Option<Said> {
        let before = self.before();
        let near = before.into_iter().chain([self.here]);
        let waits = near
            .clone()
            .find(|at| self.is_word(*at, &["await", "async"]) && self.is(at + 1, Sort::Word));
        if let Some(at) = waits {
            let word = self.text(at);
            return said(
                at,
                "nothing waits in a script",
                format!(
                    "leave `{word}` out: what needs what is known from what refers to what"
                ),
            );
        }
        if self.is_word(self.here, &["try"]) {
            return said(
                self.here,
                "`try` gives no value",
                "write `map.get(key) ?? other`, or `get_path(map, \"a.b\", other)`",
            );
        }
        let made =
            near.clone().find(|at| self.is_word(*at, &["new"]) && self.is(at + 1, Sort::Word));
        if let Some(at) = made {
            return said(
                at,
                "nothing is made with `new`",
                "call the function: `docker::container(\"web\", #{ .. })`",
            );
        }
        let case = near.clone().find(|at| self.is_word(*at, &["case", "default"]));
        if let Some(at) = case
            && self.bracket(at).is_some_and(|(bracket, _)| {
                (self.first_of_line(bracket)..bracket)
                    .any(|index| self.is_word(index, &["switch", "match"]))
            })
        {
            return said(
                at,
                "the arms of a `switch` have no `case`",
                "write `switch known(x) { 1 => \"one\", _ => \"other\" }`",
            );
        }
        let called = near.into_iter().find(|at| {
            self.is(*at, Sort::Word)
                && !self.is_word(*at, &BEFORE_VALUES)
                && self.is(at + 1, Sort::Text)
                && self.token(*at).map(|token| token.line)
                    == self.token(at + 1).map(|token| token.line)
        })?;
        let mut first = called;
        while first >= 2 && self.is_sign(first - 1, "::") {
            first -= 2;
        }
        let (word, text) = (self.path(called), self.text(called + 1));
        let text = if text.len() > 30 { "\"..\"" } else { text };
        said(
            first,
            format!("`{word}` takes what it is given in parentheses"),
            format!("write `{word}({text})`"),
        )
    }
}
