//! Sentences of other languages: what was meant, and how it is written here.
//!
//! Rhai stops at the first token it cannot use, which is seldom the one that is wrong. What
//! stands around it tells the language the author comes from.

use rhai::{LexError, ParseErrorType as Parse, Position};

use super::tokens::{Sort, Token, open, tokens};
use crate::diagnostic::{Code, Diagnostic};
use crate::kind::Registry;
use crate::script::sources::Source;

/// Words of a statement that are followed by a value without parentheses.
pub(super) const BEFORE_VALUES: [&str; 14] = [
    "return", "throw", "in", "let", "const", "import", "export", "as", "else", "if", "while",
    "switch", "until", "private",
];

/// What a sentence should have been.
pub(super) struct Said {
    /// The token that is pointed at.
    pub(super) at: usize,
    pub(super) message: String,
    pub(super) hints: Vec<String>,
}

/// The place of an error among the tokens of a script.
pub(super) struct Place<'s> {
    pub(super) tokens: Vec<Token<'s>>,
    /// The token at the error; behind the last one at the end of the script.
    pub(super) here: usize,
    pub(super) kind: &'s Parse,
    pub(super) registry: &'s Registry,
}

/// The finding for a sentence of another language; behind it, nothing can be read.
pub(super) fn found(
    registry: &Registry,
    source: &Source,
    kind: &Parse,
    at: Position,
) -> Option<Diagnostic> {
    let tokens = tokens(&source.text);
    let here = place_of(&tokens, at)?;
    let place = Place { tokens, here, kind, registry };
    let said = place.said()?;
    let token = place.tokens.get(said.at).or(place.tokens.last())?;
    let clip = |number: usize| u16::try_from(number).unwrap_or(u16::MAX);
    let span = source.span(Position::new(clip(token.line), clip(token.column)));
    let finding = Diagnostic::new(Code::Syntax, said.message).at(span);
    Some(said.hints.into_iter().fold(finding, Diagnostic::hint))
}

/// The token at a place, or the next one.
fn place_of(tokens: &[Token], at: Position) -> Option<usize> {
    let place = (at.line()?, at.position().unwrap_or(1));
    Some(tokens.partition_point(|token| token.end <= place))
}

/// Whether a text follows the token at a place.
pub(super) fn is_before_text(source: &Source, at: Position) -> bool {
    let tokens = tokens(&source.text);
    let next = place_of(&tokens, at).and_then(|here| tokens.get(here + 1));
    next.is_some_and(|next| next.sort == Sort::Text)
}

/// What is to be said of a variable that there is not, by what stands around it.
pub(super) fn advice(source: &Source, name: &str, at: Position) -> Option<String> {
    let tokens = tokens(&source.text);
    let here = place_of(&tokens, at)?;
    let before = here.checked_sub(1).and_then(|before| tokens.get(before));
    let after = tokens.get(here + 1);
    let begins = before.is_none_or(|before| matches!(before.text, ";" | "{" | "}"));
    if begins && after.is_some_and(|after| after.is_sign("=")) {
        return Some(format!("name it first: `let {name} = ..;`"));
    }
    let bracket = open(tokens.get(..here)?).last().map(|(_, bracket)| bracket.text);
    let is_value = before.is_some_and(|before| match bracket {
        Some("#{") => before.is_sign(":"),
        Some("[") => before.is_sign("[") || before.is_sign(","),
        _ => false,
    });
    let ends = after.is_none_or(|after| matches!(after.text, "," | "}" | "]" | ")"));
    (is_value && ends).then(|| format!("text stands in quotes: `\"{name}\"`"))
}

#[expect(clippy::unnecessary_wraps, reason = "what every look at a place ends in")]
pub(super) fn said(
    at: usize,
    message: impl Into<String>,
    hint: impl Into<String>,
) -> Option<Said> {
    Some(Said { at, message: message.into(), hints: vec![hint.into()] })
}

impl<'s> Place<'s> {
    fn said(&self) -> Option<Said> {
        if let Parse::BadInput(LexError::UnterminatedString) = self.kind {
            return self.triple_quotes();
        }
        self.triple_quotes()
            .or_else(|| self.block_of_terraform())
            .or_else(|| self.comprehension())
            .or_else(|| self.function_of_others())
            .or_else(|| self.arrow())
            .or_else(|| self.loop_of_others())
            .or_else(|| self.block_behind_colon())
            .or_else(|| self.import_of_others())
            .or_else(|| self.types())
            .or_else(|| self.name_of_others())
            .or_else(|| self.text_of_others())
            .or_else(|| self.text_without_quotes())
            .or_else(|| self.argument_with_a_name())
            .or_else(|| self.yaml())
            .or_else(|| self.operator_of_others())
            .or_else(|| self.word_of_others())
            .or_else(|| self.missing())
    }

    pub(super) fn token(&self, index: usize) -> Option<&Token<'s>> {
        self.tokens.get(index)
    }

    pub(super) fn is_sign(&self, index: usize, sign: &str) -> bool {
        self.token(index).is_some_and(|token| token.is_sign(sign))
    }

    pub(super) fn is_word(&self, index: usize, words: &[&str]) -> bool {
        self.token(index).is_some_and(|token| token.is_word(words))
    }

    pub(super) fn is(&self, index: usize, sort: Sort) -> bool {
        self.token(index).is_some_and(|token| token.sort == sort)
    }

    pub(super) fn text(&self, index: usize) -> &'s str {
        self.tokens.get(index).map_or("", |token| token.text)
    }

    /// The token before that at the error.
    pub(super) fn before(&self) -> Option<usize> {
        self.here.checked_sub(1)
    }

    /// The first token of the line of a token.
    pub(super) fn first_of_line(&self, index: usize) -> usize {
        let Some(token) = self.token(index).or(self.tokens.last()) else { return 0 };
        self.tokens.partition_point(|other| other.line < token.line)
    }

    /// Behind the last token of the line of a token.
    pub(super) fn end_of_line(&self, index: usize) -> usize {
        let Some(token) = self.token(index).or(self.tokens.last()) else { return 0 };
        self.tokens.partition_point(|other| other.line <= token.line)
    }

    /// A name with what stands before it: `docker::container`.
    pub(super) fn path(&self, at: usize) -> String {
        match at.checked_sub(2).filter(|_| self.is_sign(at - 1, "::")) {
            Some(before) => format!("{}::{}", self.path(before), self.text(at)),
            None => self.text(at).to_owned(),
        }
    }

    /// The innermost bracket that is open at a token.
    pub(super) fn bracket(&self, index: usize) -> Option<(usize, &str)> {
        let before = self.tokens.get(..index)?;
        open(before).last().map(|(at, token)| (*at, token.text))
    }

    /// The statement of the line an error is in, when it begins at the error or just before.
    pub(super) fn begun(&self) -> Option<usize> {
        let first = self.first_of_line(self.here);
        (self.here < first + 4).then_some(first)
    }
}
