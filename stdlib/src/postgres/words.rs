//! Whether what the server says of something is what a script says, where nobody has written
//! down yet how the server says it.
//!
//! The server writes expressions in a way of its own: parentheses around every part, constants
//! with their types, words in capitals. What can be parsed is compared by its structure, so that
//! `a AND (b OR c)` is never taken for `(a AND b) OR c`; the rest to the letter, but for spaces
//! and the case of words. What looks different is shown as a difference.

mod schemas;

use serde_json::Value as Json;
use sqlparser::ast::{
    ArrayElemTypeDef, CastKind, DataType, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArguments, Ident, ObjectName, ObjectNamePart,
};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, Tokenizer};

use super::types;

/// Whether two values of an attribute are the same; texts are SQL.
pub(super) fn same_values(theirs: &Json, ours: &Json, schemas: &[String]) -> bool {
    match (theirs, ours) {
        (Json::String(theirs), Json::String(ours)) => same(theirs, ours, schemas),
        (Json::Array(theirs), Json::Array(ours)) => {
            theirs.len() == ours.len()
                && theirs.iter().zip(ours).all(|(a, b)| same_values(a, b, schemas))
        }
        (Json::Object(theirs), Json::Object(ours)) => {
            let is_same = |(name, a): (&String, &Json)| {
                ours.get(name).is_some_and(|b| same_values(a, b, schemas))
            };
            theirs.len() == ours.len() && theirs.iter().all(is_same)
        }
        _ => theirs == ours,
    }
}

/// Whether the server's text means what the script's does, or what the server once said. It
/// gives every name its schema; `schemas` are those that a session looks in, and that a script
/// may leave out.
pub(super) fn same(theirs: &str, ours: &str, schemas: &[String]) -> bool {
    let (theirs, ours) = (theirs.trim(), ours.trim());
    same_as_it_stands(theirs, ours)
        || same_as_it_stands(&schemas::as_said(theirs, ours, schemas), ours)
}

fn same_as_it_stands(theirs: &str, ours: &str) -> bool {
    if letters(theirs) == letters(ours) {
        return true;
    }
    match (condition(theirs), condition(ours)) {
        (Some(theirs), Some(ours)) => same_expressions(&theirs, &ours),
        _ => false,
    }
}

/// The expression that a text is, or that a `CHECK` in it is.
fn condition(text: &str) -> Option<Expr> {
    let check = text.get(..5).filter(|word| word.eq_ignore_ascii_case("CHECK"));
    let text = if check.is_some() { &text[5..] } else { text };
    let mut parser = Parser::new(&PostgreSqlDialect {}).try_with_sql(text).ok()?;
    let found = parser.parse_expr().ok()?;
    (parser.peek_token().token == Token::EOF).then_some(found)
}

/// The tokens of a text without spaces and comments, words in lower case.
fn letters(text: &str) -> Option<Vec<String>> {
    let tokens = Tokenizer::new(&PostgreSqlDialect {}, text).tokenize().ok()?;
    let seen = tokens.iter().filter(|token| !matches!(token, Token::Whitespace(_)));
    let written = seen.map(|token| match token {
        Token::Word(word) if word.quote_style.is_none() => word.value.to_lowercase(),
        Token::Word(word) => plain(&word.value, true),
        other => other.to_string(),
    });
    Some(written.collect())
}

/// A name as the server knows it, in quotes where these make a difference.
fn plain(name: &str, quoted: bool) -> String {
    let name = if quoted { name.to_owned() } else { name.to_lowercase() };
    let simple = name.chars().all(|c| c == '_' || c.is_ascii_lowercase() || c.is_ascii_digit());
    if simple { name } else { format!("\"{name}\"") }
}

fn same_expressions(theirs: &Expr, ours: &Expr) -> bool {
    let all = |theirs: &[Expr], ours: &[Expr]| {
        theirs.len() == ours.len()
            && theirs.iter().zip(ours).all(|(a, b)| same_expressions(a, b))
    };
    if let (Some(theirs), Some(ours)) = (items(theirs), items(ours)) {
        return all(&theirs, &ours);
    }
    match (theirs, ours) {
        (Expr::Nested(theirs), ours) => same_expressions(theirs, ours),
        (theirs, Expr::Nested(ours)) => same_expressions(theirs, ours),
        (Expr::UnaryOp { op: is, expr: a }, Expr::UnaryOp { op: was, expr: b }) => {
            is == was && same_expressions(a, b)
        }
        (
            Expr::BinaryOp { left: a, op: is, right: b },
            Expr::BinaryOp { left: c, op: was, right: d },
        )
        | (
            Expr::AnyOp { left: a, compare_op: is, right: b, .. },
            Expr::AnyOp { left: c, compare_op: was, right: d, .. },
        )
        | (
            Expr::AllOp { left: a, compare_op: is, right: b },
            Expr::AllOp { left: c, compare_op: was, right: d },
        ) => is == was && same_expressions(a, c) && same_expressions(b, d),
        (Expr::IsNull(a), Expr::IsNull(b))
        | (Expr::IsNotNull(a), Expr::IsNotNull(b))
        | (Expr::IsTrue(a), Expr::IsTrue(b))
        | (Expr::IsNotTrue(a), Expr::IsNotTrue(b))
        | (Expr::IsFalse(a), Expr::IsFalse(b))
        | (Expr::IsNotFalse(a), Expr::IsNotFalse(b)) => same_expressions(a, b),
        (Expr::IsDistinctFrom(a, b), Expr::IsDistinctFrom(c, d))
        | (Expr::IsNotDistinctFrom(a, b), Expr::IsNotDistinctFrom(c, d)) => {
            same_expressions(a, c) && same_expressions(b, d)
        }
        (Expr::Array(theirs), Expr::Array(ours)) => all(&theirs.elem, &ours.elem),
        (Expr::Tuple(theirs), Expr::Tuple(ours)) => all(theirs, ours),
        (Expr::Function(theirs), Expr::Function(ours)) => same_calls(theirs, ours),
        (Expr::Identifier(theirs), Expr::Identifier(ours)) => same_names(theirs, ours),
        (Expr::CompoundIdentifier(theirs), Expr::CompoundIdentifier(ours)) => {
            theirs.len() == ours.len() && theirs.iter().zip(ours).all(|(a, b)| same_names(a, b))
        }
        (Expr::Cast { .. }, _) => same_casts(theirs, ours),
        _ => letters(&theirs.to_string()) == letters(&ours.to_string()),
    }
}

/// The items of a list whose type is said of the whole or of each, as servers of different
/// versions do: of `(ARRAY[a, b])::text[]` they are `a::text` and `b::text`.
fn items(expr: &Expr) -> Option<Vec<Expr>> {
    match expr {
        Expr::Nested(inner) => items(inner),
        Expr::Array(array) => Some(array.elem.clone()),
        Expr::Cast {
            kind: kind @ (CastKind::Cast | CastKind::DoubleColon),
            expr,
            data_type: DataType::Array(ArrayElemTypeDef::SquareBracket(of, None)),
            ..
        } => {
            let with_type = |item| Expr::Cast {
                kind: kind.clone(),
                expr: Box::new(item),
                data_type: of.as_ref().clone(),
                format: None,
            };
            Some(items(expr)?.into_iter().map(with_type).collect())
        }
        _ => None,
    }
}

fn same_names(theirs: &Ident, ours: &Ident) -> bool {
    let name = |ident: &Ident| plain(&ident.value, ident.quote_style.is_some());
    name(theirs) == name(ours)
}

/// The server says of every constant what type it has. A type that a script says must be the
/// server's.
fn same_casts(theirs: &Expr, ours: &Expr) -> bool {
    let Some((inner, of)) = cast(theirs) else { return false };
    match cast(ours) {
        Some((written, as_written)) => {
            types::normal(&of.to_string()) == types::normal(&as_written.to_string())
                && same_expressions(inner, written)
        }
        None => is_constant(inner) && same_expressions(inner, ours),
    }
}

fn cast(expr: &Expr) -> Option<(&Expr, &DataType)> {
    match expr {
        Expr::Nested(inner) => cast(inner),
        Expr::Cast {
            kind: CastKind::Cast | CastKind::DoubleColon, expr, data_type, ..
        } => Some((expr, data_type)),
        _ => None,
    }
}

fn is_constant(expr: &Expr) -> bool {
    match expr {
        Expr::Value(_) => true,
        Expr::Nested(inner) | Expr::UnaryOp { expr: inner, .. } => is_constant(inner),
        _ => false,
    }
}

fn same_calls(theirs: &Function, ours: &Function) -> bool {
    let plain_call = |call: &Function| {
        call.filter.is_none() && call.over.is_none() && call.within_group.is_empty()
    };
    let arguments = |call: &Function| -> Option<Vec<Expr>> {
        match &call.args {
            FunctionArguments::None => Some(Vec::new()),
            FunctionArguments::Subquery(_) => None,
            FunctionArguments::List(list) => {
                if list.duplicate_treatment.is_some() || !list.clauses.is_empty() {
                    return None;
                }
                list.args
                    .iter()
                    .map(|argument| match argument {
                        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
                        _ => None,
                    })
                    .collect()
            }
        }
    };
    if plain_call(theirs)
        && plain_call(ours)
        && let (Some(given), Some(written)) = (arguments(theirs), arguments(ours))
    {
        return same_object_names(&theirs.name, &ours.name)
            && given.len() == written.len()
            && given.iter().zip(&written).all(|(a, b)| same_expressions(a, b));
    }
    letters(&theirs.to_string()) == letters(&ours.to_string())
}

fn same_object_names(theirs: &ObjectName, ours: &ObjectName) -> bool {
    theirs.0.len() == ours.0.len()
        && theirs.0.iter().zip(&ours.0).all(|pair| match pair {
            (ObjectNamePart::Identifier(a), ObjectNamePart::Identifier(b)) => same_names(a, b),
            (a, b) => a == b,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_makes_of_it_is_the_same() {
        for (theirs, ours) in [
            ("(a > 0)", "a>0"),
            ("((a > 0) AND (b OR c))", "a > 0 and (b or c)"),
            ("(((a AND b) AND c) OR d)", "a and b and c or d"),
            ("CHECK ((total > (0)::numeric))", "check (total > 0)"),
            ("CHECK (((state)::text = 'a'::text))", "CHECK (state::text = 'a')"),
            ("(owner = CURRENT_USER)", "owner = current_user"),
            ("(b = lower('X'::text))", "b = LOWER( 'X' )"),
            ("now()", "NOW()"),
            ("'new'::text", "'new'"),
            ("'-1'::integer", "'-1'"),
            ("(\"Größe\" IS NOT NULL)", "\"Größe\" is not null"),
            ("(\"a\" = 1)", "A = 1"),
            ("nextval('s'::regclass)", "nextval('s')"),
            ("FOREIGN KEY (a) REFERENCES users(id)", "foreign key (A) references users (id)"),
            ("RANGE (created)", "range(created)"),
            ("(a = ANY (ARRAY['x'::text, 'y'::text]))", "a = any (array['x', 'y'])"),
            (
                "CHECK (((a)::text = ANY ((ARRAY['x'::character varying])::text[])))",
                "CHECK (((a)::text = ANY (ARRAY[('x'::character varying)::text])))",
            ),
            (
                "CHECK (((a)::text = ANY (ARRAY[('x'::character varying)::text])))",
                "CHECK (((a)::text = ANY ((ARRAY['x'::character varying])::text[])))",
            ),
        ] {
            assert!(same(theirs, ours, &[]), "{theirs} / {ours}");
        }
    }

    #[test]
    fn what_means_something_else_is_not() {
        for (theirs, ours) in [
            ("((a AND b) OR c)", "a and (b or c)"),
            ("((a OR b) AND c)", "a or b and c"),
            ("(NOT (a AND b))", "not a and b"),
            ("((a - b) - c)", "a - (b - c)"),
            ("(a > 1)", "a > 0"),
            ("((a)::text < (b)::text)", "a < b"),
            ("((a)::integer = 1)", "a::bigint = 1"),
            ("'1'::text", "'1'::integer"),
            ("(a = 'X'::text)", "a = 'x'"),
            ("(\"A\" = 1)", "a = 1"),
            ("f(a, b)", "f(b, a)"),
            ("CHECK ((a > 0)) NOT VALID", "CHECK (a > 0)"),
            ("FOREIGN KEY (a) REFERENCES users(id)", "FOREIGN KEY (a) REFERENCES others(id)"),
            ("FOREIGN KEY (a, b) REFERENCES u(c)", "FOREIGN KEY (a) REFERENCES u(b, c)"),
            (" SELECT a FROM t WHERE (a OR b) AND c", "select a from t where a or b and c"),
        ] {
            assert!(!same(theirs, ours, &[]), "{theirs} / {ours}");
        }
    }

    #[test]
    fn lists_are_compared_one_by_one() {
        let list = |texts: &[&str]| serde_json::json!(texts);
        let same = |theirs, ours| same_values(&theirs, &ours, &[]);
        assert!(same(list(&["lower(a)", "b"]), list(&["LOWER(a)", "b"])));
        assert!(!same(list(&["a", "b"]), list(&["a"])));
        assert!(!same(serde_json::json!(null), list(&[])));
        let checks = |text: &str| serde_json::json!({ "c": text });
        assert!(same(checks("CHECK ((VALUE > 0))"), checks("CHECK (VALUE > 0)")));
    }
}
