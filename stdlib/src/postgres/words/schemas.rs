//! The names of schemas that the server says and somebody else leaves out.

use std::collections::BTreeSet;

use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::tokenizer::{Token, Tokenizer, Word};

/// The schema that names need never say.
const PUBLIC: &str = "public";

/// The server's text without the schemas that `ours` leaves out where it names the same: those
/// that a session looks in, and `public`.
pub(super) fn as_said(theirs: &str, ours: &str, schemas: &[String]) -> String {
    let (Some(theirs), Some(ours)) = (tokens(theirs), tokens(ours)) else {
        return theirs.to_owned();
    };
    let said: BTreeSet<String> = ours.windows(3).filter_map(with_schema).collect();
    let left_out = |schema: &str, whole: &str| {
        (schema == PUBLIC || schemas.iter().any(|one| one == schema)) && !said.contains(whole)
    };
    let texts: BTreeSet<&str> = ours.iter().filter_map(quoted).collect();
    let mut text = String::new();
    let mut rest = theirs.as_slice();
    let mut inside = false;
    while let Some(token) = rest.first() {
        if let Some((schema, operator, after)) = operator(rest)
            && left_out(&schema, &format!("{schema}.{operator}"))
        {
            text.push_str(&operator);
            rest = after;
        } else if let (false, [Token::Word(schema), Token::Period, Token::Word(_), ..]) =
            (inside, rest)
            && let Some(whole) = with_schema(rest)
            && left_out(&name(schema), &whole)
        {
            rest = &rest[2..];
        } else if let Some((schema, object)) = registered(rest)
            && left_out(&name_of(schema), "")
            && quoted(token).is_some_and(|whole| !texts.contains(whole))
        {
            text.extend(["'", object, "'"]);
            rest = &rest[1..];
        } else {
            text.push_str(&token.to_string());
            rest = &rest[1..];
        }
        inside = *token == Token::Period;
    }
    text
}

/// The tokens of a text, each as it is written.
fn tokens(text: &str) -> Option<Vec<Token>> {
    Tokenizer::new(&PostgreSqlDialect {}, text).with_unescape(false).tokenize().ok()
}

/// A name as the server knows it.
fn name(word: &Word) -> String {
    match word.quote_style {
        Some(_) => word.value.replace("\"\"", "\""),
        None => word.value.to_lowercase(),
    }
}

/// The same of a name in a text.
fn name_of(text: &str) -> String {
    match text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(inner) => inner.replace("\"\"", "\""),
        None => text.to_lowercase(),
    }
}

/// A name behind that of a schema.
fn with_schema(tokens: &[Token]) -> Option<String> {
    match tokens {
        [Token::Word(schema), Token::Period, Token::Word(object), ..] => {
            Some(format!("{}.{}", name(schema), name(object)))
        }
        [Token::Word(schema), Token::Period, operator, ..] => {
            Some(format!("{}.{operator}", name(schema)))
        }
        _ => None,
    }
}

/// `OPERATOR(public.=)` in front: the schema, the operator and what comes after it.
fn operator(tokens: &[Token]) -> Option<(String, String, &[Token])> {
    let [Token::Word(word), Token::LParen, Token::Word(schema), Token::Period, rest @ ..] =
        tokens
    else {
        return None;
    };
    let end = rest.iter().position(|token| *token == Token::RParen)?;
    let written = rest[..end].iter().map(ToString::to_string).collect();
    word.value
        .eq_ignore_ascii_case("OPERATOR")
        .then(|| (name(schema), written, &rest[end + 1..]))
}

/// What stands between the quotes of a text.
fn quoted(token: &Token) -> Option<&str> {
    match token {
        Token::SingleQuotedString(text) => Some(text),
        _ => None,
    }
}

/// Schema and name of `'public.s'::regclass` in front.
fn registered(tokens: &[Token]) -> Option<(&str, &str)> {
    let [text, Token::DoubleColon, Token::Word(kind), ..] = tokens else { return None };
    let text = quoted(text)?;
    // A quoted name may have a dot in it.
    let end = match text.strip_prefix('"') {
        Some(rest) => rest.find("\".")? + 2,
        None => text.find('.')?,
    };
    let is_name = kind.value.to_lowercase().starts_with("reg");
    is_name.then(|| (&text[..end], &text[end + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(theirs: &str, ours: &str) -> String {
        as_said(theirs, ours, &["app".to_owned(), "My \"App".to_owned()])
    }

    #[test]
    fn schemas_that_are_left_out_are_left_out() {
        for (theirs, ours, expected) in [
            ("f(public.g(a))", "f(g(a))", "f(g(a))"),
            ("f(app.g(a))", "f(g(a))", "f(g(a))"),
            ("other.f(a)", "f(a)", "other.f(a)"),
            ("public.f(app.g(a))", "f(app.g(a))", "f(app.g(a))"),
            ("app.users", "public.users", "users"),
            ("(a OPERATOR(public.=) 'x'::public.citext)", "a = 'x'", "(a = 'x'::citext)"),
            ("nextval('public.s'::regclass)", "nextval('s')", "nextval('s'::regclass)"),
            (
                "nextval('public.s'::regclass)",
                "nextval('public.s')",
                "nextval('public.s'::regclass)",
            ),
            (
                "nextval('\"My \"\"App\".\"S.1\"'::regclass)",
                "nextval('\"S.1\"')",
                "nextval('\"S.1\"'::regclass)",
            ),
            ("a = 'public.s'::text", "a = 's'", "a = 'public.s'::text"),
            ("\"My \"\"App\".f('it''s')", "f('it''s')", "f('it''s')"),
            ("a.public.b", "b", "a.public.b"),
        ] {
            assert_eq!(said(theirs, ours), expected, "{theirs} / {ours}");
        }
    }
}
