//! The words and signs of a script that Rhai could not read, to see what was meant.

/// One word, text, number or sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token<'s> {
    pub(super) sort: Sort,
    /// As written; texts with their quotes.
    pub(super) text: &'s str,
    /// Counted from 1.
    pub(super) line: usize,
    /// In characters, from 1.
    pub(super) column: usize,
    /// The place behind it.
    pub(super) end: (usize, usize),
    /// Whether something other than a blank stands right before it.
    pub(super) is_glued: bool,
}

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    Word,
    Text,
    Number,
    Sign,
}

impl Token<'_> {
    pub(super) fn is_word(&self, words: &[&str]) -> bool {
        self.sort == Sort::Word && words.contains(&self.text)
    }

    pub(super) fn is_sign(&self, sign: &str) -> bool {
        self.sort == Sort::Sign && self.text == sign
    }
}

/// Signs of more than one character, the longest first.
const SIGNS: [&str; 27] = [
    "===", "!==", "...", "<<-", "<<~", "..=", "=>", "->", "::", ":=", "++", "--", "==", "!=",
    "<=", ">=", "&&", "||", "??", "?.", "<<", "+=", "-=", "*=", "/=", "..", "#{",
];

/// The tokens of a script, comments left out.
pub(super) fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut found = Vec::new();
    let (mut at, mut line, mut column) = (0, 1, 1);
    let mut is_glued = false;
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        let (length, sort) = read(rest, first);
        let piece = &rest[..length];
        let start = (line, column);
        for character in piece.chars() {
            column += 1;
            if character == '\n' {
                (line, column) = (line + 1, 1);
            }
        }
        if let Some(sort) = sort {
            let end = (line, column);
            let (line, column) = start;
            found.push(Token { sort, text: piece, line, column, end, is_glued });
        }
        is_glued = sort.is_some();
        at += length;
    }
    found
}

/// How many bytes come next, and what they are; nothing for blanks and comments.
fn read(rest: &str, first: char) -> (usize, Option<Sort>) {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let until = |end: &str, from: usize| {
        rest[from..].find(end).map_or(rest.len(), |at| from + at + end.len())
    };
    if first.is_whitespace() {
        return (first.len_utf8(), None);
    }
    if rest.starts_with("//") {
        return (rest.find('\n').unwrap_or(rest.len()), None);
    }
    if rest.starts_with("/*") {
        return (until("*/", 2), None);
    }
    if is_name(first) {
        let length = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
        let sort = if first.is_ascii_digit() { Sort::Number } else { Sort::Word };
        return (length, Some(sort));
    }
    if matches!(first, '"' | '\'' | '`') {
        return (text_length(rest, first), Some(Sort::Text));
    }
    let sign = SIGNS.iter().find(|sign| rest.starts_with(**sign));
    (sign.map_or(first.len_utf8(), |sign| sign.len()), Some(Sort::Sign))
}

/// How long the text is that begins here. One in quotes ends with its line at the latest.
fn text_length(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    let mut depth = 0usize;
    let mut before = quote;
    for (at, character) in rest.char_indices().skip(1) {
        match character {
            '\n' if quote != '`' => return at,
            _ if escaped => escaped = false,
            '\\' if quote != '`' => escaped = true,
            '{' if quote == '`' && (before == '$' || depth > 0) => depth += 1,
            '}' if quote == '`' => depth = depth.saturating_sub(1),
            _ if character == quote && depth == 0 => return at + quote.len_utf8(),
            _ => {}
        }
        before = character;
    }
    rest.len()
}

/// The brackets that are open before a token, the innermost last.
pub(super) fn open<'t, 's>(tokens: &'t [Token<'s>]) -> Vec<(usize, &'t Token<'s>)> {
    let mut open = Vec::new();
    for (index, token) in
        tokens.iter().enumerate().filter(|(_, token)| token.sort == Sort::Sign)
    {
        match token.text {
            "(" | "[" | "{" | "#{" => open.push((index, token)),
            ")" | "]" | "}" => {
                open.pop();
            }
            _ => {}
        }
    }
    open
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_signs_are_whole() {
        let text = "let a = `x ${m[\"k\"]} }`; // no\nf\"b\\\"c\" => 'd' /* e */ 1.5";
        let found: Vec<&str> = tokens(text).iter().map(|token| token.text).collect();
        let parts = [
            "let",
            "a",
            "=",
            "`x ${m[\"k\"]} }`",
            ";",
            "f",
            "\"b\\\"c\"",
            "=>",
            "'d'",
            "1",
            ".",
            "5",
        ];
        assert_eq!(found, parts);
        let last = *tokens(text).last().unwrap();
        assert_eq!((last.line, last.is_glued), (2, true));
    }

    #[test]
    fn a_text_that_is_not_closed_ends_somewhere() {
        for text in ["\"a\nb", "`a\nb", "'", "/* a", "`${"] {
            assert!(!tokens(text).is_empty() || text.starts_with("/*"));
        }
    }

    #[test]
    fn brackets_that_are_open() {
        let all = tokens("f(#{ a: [1, 2], b: { ");
        let open: Vec<&str> = open(&all).iter().map(|(_, token)| token.text).collect();
        assert_eq!(open, ["(", "#{", "{"]);
    }
}
