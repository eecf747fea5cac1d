//! The actions of an `ALTER TABLE` one by one, where the parser does not understand all of them.

use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, Tokenizer};

use super::super::script::statements;
use super::words::{name_after, name_in};
use super::{Found, Known};

/// Actions that neither lose anything nor read or write all rows, however they go on.
const HARMLESS: [&[&str]; 11] = [
    &["ENABLE"],
    &["DISABLE"],
    &["FORCE"],
    &["NO"],
    &["INHERIT"],
    &["OWNER"],
    &["REPLICA", "IDENTITY"],
    &["RESET"],
    &["CLUSTER", "ON"],
    &["VALIDATE"],
    &["SET", "WITHOUT", "CLUSTER"],
];

/// What an action on a column sets that others need not wait for.
const OF_COLUMNS: [&str; 4] = ["STORAGE", "COMPRESSION", "STATISTICS", "RESET"];

pub(super) fn look(text: &str, new: &Known, found: &mut Found) {
    let tokens = Tokenizer::new(&PostgreSqlDialect {}, text).tokenize().unwrap_or_default();
    let Some((table, end)) = name_in(&tokens, &["TABLE"]) else {
        return found.not_understood("it");
    };
    if new.is_new(&table) {
        return;
    }
    for action in actions(&tokens[end..]) {
        let alone = format!("ALTER TABLE {table} {action}");
        match Parser::parse_sql(&PostgreSqlDialect {}, &alone) {
            Ok(parsed) => parsed.iter().for_each(|ast| found.look(ast, new)),
            Err(_) => by_words(&table, &action, found),
        }
    }
}

/// What an action that the parser does not understand does.
fn by_words(table: &String, action: &str, found: &mut Found) {
    let read = statements(action).unwrap_or_default();
    let Some(read) = read.first() else { return };
    let starts = |words: &[&str]| read.starts(words);
    let of_column = starts(&["ALTER"]) && OF_COLUMNS.iter().any(|what| read.says(what));
    let parameters = starts(&["SET"]) && action[3..].trim_start().starts_with('(');
    if starts(&["SET", "TABLESPACE"]) || starts(&["SET", "ACCESS", "METHOD"]) {
        found.rewrites(table);
    } else if starts(&["ATTACH", "PARTITION"]) {
        let part = name_after(action, &["PARTITION"]).unwrap_or_default();
        found.add(
            format!("reads all of {part} under an ACCESS EXCLUSIVE lock to check its rows"),
            "give it a CHECK that says the same first, as `NOT VALID` and then `VALIDATE`",
        );
        found.about(&part);
    } else if starts(&["DETACH", "PARTITION"]) {
        if !read.says("CONCURRENTLY") {
            found.add(
                format!("nobody reads or writes {table} while it waits for its lock"),
                "write `DETACH PARTITION ... CONCURRENTLY`",
            );
        }
    } else if !of_column && !parameters && !HARMLESS.iter().any(|words| starts(words)) {
        let short: String = action.chars().take(60).collect();
        found.not_understood(&format!("`{short}`"));
    } else {
        return;
    }
    if found.hazards.last().is_some_and(|last| last.table.is_none()) {
        found.about(table);
    }
}

/// The parts between the commas that stand in no parentheses.
fn actions(tokens: &[Token]) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut depth = 0_usize;
    for token in tokens {
        match token {
            Token::LParen | Token::LBracket => depth += 1,
            Token::RParen | Token::RBracket => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 && *token == Token::Comma {
            parts.push(String::new());
            continue;
        }
        if let Some(part) = parts.last_mut() {
            match token {
                Token::Whitespace(_) => part.push(' '),
                other => part.push_str(&other.to_string()),
            }
        }
    }
    let parts = parts.into_iter().map(|part| part.trim().to_owned());
    parts.filter(|part| !part.is_empty()).collect()
}
