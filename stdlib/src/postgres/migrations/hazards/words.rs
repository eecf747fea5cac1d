//! What a statement does as far as its first words tell, whether the parser understands the
//! rest of it or not.

use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::tokenizer::{Token, Tokenizer};

use super::super::script::Statement;
use super::Found;

/// Statements that neither lose anything nor keep others waiting, however they go on.
const HARMLESS: [&[&str]; 33] = [
    &["ALTER", "AGGREGATE"],
    &["ALTER", "COLLATION"],
    &["ALTER", "DATABASE"],
    &["ALTER", "DEFAULT", "PRIVILEGES"],
    &["ALTER", "DOMAIN"],
    &["ALTER", "EVENT"],
    &["ALTER", "EXTENSION"],
    &["ALTER", "FOREIGN"],
    &["ALTER", "FUNCTION"],
    &["ALTER", "GROUP"],
    &["ALTER", "INDEX"],
    &["ALTER", "LANGUAGE"],
    &["ALTER", "OPERATOR"],
    &["ALTER", "POLICY"],
    &["ALTER", "PROCEDURE"],
    &["ALTER", "PUBLICATION"],
    &["ALTER", "ROLE"],
    &["ALTER", "ROUTINE"],
    &["ALTER", "SCHEMA"],
    &["ALTER", "SEQUENCE"],
    &["ALTER", "SERVER"],
    &["ALTER", "STATISTICS"],
    &["ALTER", "SUBSCRIPTION"],
    &["ALTER", "TEXT", "SEARCH"],
    &["ALTER", "TYPE"],
    &["ALTER", "USER"],
    &["ALTER", "VIEW"],
    &["ANALYZE"],
    &["COMMENT"],
    &["GRANT"],
    &["REVOKE"],
    &["SECURITY", "LABEL"],
    &["SET"],
];

/// What tables may have columns of, which go with it by `CASCADE`, or be made by.
const WITH_DATA: [&str; 5] = ["ACCESS", "COLLATION", "DOMAIN", "EXTENSION", "TYPE"];

/// What of `CREATE` is about something that others use already.
const NOT_ALL_NEW: [&str; 3] = ["INDEX", "TABLE", "RULE"];

/// Whether a statement that the parser does not understand is one that does nothing to others.
pub(super) fn is_harmless(statement: &Statement) -> bool {
    let new = statement.starts(&["CREATE"])
        && !NOT_ALL_NEW.iter().any(|what| statement.word(1) == Some(what));
    let drops = statement.starts(&["DROP"]) && !statement.says("CASCADE");
    new || drops || HARMLESS.iter().any(|words| statement.starts(words))
}

/// Adds what the words say. Tells whether there is no more to it.
pub(super) fn look(statement: &Statement, found: &mut Found) -> bool {
    let starts = |words: &[&str]| statement.starts(words);
    let named = |after: &[&str]| {
        name_after(&statement.text, after).unwrap_or_else(|| "what it names".to_owned())
    };
    let concurrently = statement.says("CONCURRENTLY");
    if starts(&["VACUUM", "FULL"]) || starts(&["CLUSTER"]) {
        found.add(
            "rewrites tables under an ACCESS EXCLUSIVE lock: nobody reads them meanwhile",
            "run it while nobody uses them",
        );
    } else if starts(&["DROP", "OWNED"]) {
        let owner = named(&["OWNED", "BY"]);
        found.add(
            format!("drops all that {owner} owns in this database, with what is in it"),
            "`REASSIGN OWNED BY` first; what is left after that are privileges",
        );
        found.takes_away();
    } else if starts(&["DROP", "INDEX"]) && concurrently {
        // Nobody waits for it.
    } else if starts(&["DROP"]) && !starts_with_relation(statement) {
        if statement.says("CASCADE") {
            let kind = statement.word(1).unwrap_or_default().to_owned();
            found.cascades(&named(&[&kind]));
            if WITH_DATA.contains(&kind.as_str()) {
                found.takes_away();
            }
        }
        // The parser knows some of these, and what it knows adds nothing.
        return statement.word(1) != Some("DATABASE");
    } else if starts(&["REFRESH"]) {
        if !concurrently {
            let view = named(&["VIEW"]);
            found.add(
                format!("nobody reads {view} until it is filled anew"),
                "give it a unique index, and write `REFRESH MATERIALIZED VIEW CONCURRENTLY`",
            );
        }
    } else if starts(&["REINDEX"]) {
        if !concurrently {
            let kinds = ["TABLE", "INDEX", "SCHEMA", "DATABASE", "SYSTEM"];
            let kind = kinds.into_iter().find(|kind| statement.says(kind)).unwrap_or("TABLE");
            let what = named(&[kind]);
            found.add(
                format!("blocks writes to {what}, and reads that would use an index"),
                "write `REINDEX ... CONCURRENTLY`",
            );
        }
    } else if starts(&["LOCK"]) {
        let after: &[&str] = if starts(&["LOCK", "TABLE"]) { &["TABLE"] } else { &["LOCK"] };
        let table = named(after);
        found.add(
            format!("holds a lock on {table} until the file ends"),
            "keep the file short, and the lock no stronger than needed",
        );
    } else if starts(&["DO"]) || starts(&["CALL"]) {
        found.add(
            "runs a program, and dollop does not look into it",
            "read it yourself; write as plain statements what can be",
        );
    } else {
        return false;
    }
    true
}

/// Whether it drops something that the parser tells the name of.
fn starts_with_relation(statement: &Statement) -> bool {
    ["TABLE", "VIEW", "MATERIALIZED", "INDEX", "SCHEMA", "SEQUENCE", "DATABASE"]
        .iter()
        .any(|kind| statement.word(1) == Some(kind))
}

/// The name that follows certain words, as it is written: `app."T 1"`.
pub(super) fn name_after(text: &str, words: &[&str]) -> Option<String> {
    let tokens = Tokenizer::new(&PostgreSqlDialect {}, text).tokenize().ok()?;
    Some(name_in(&tokens, words)?.0)
}

/// The same among tokens, and the place of the token after it.
pub(super) fn name_in(tokens: &[Token], words: &[&str]) -> Option<(String, usize)> {
    let seen: Vec<(usize, &Token)> = tokens
        .iter()
        .enumerate()
        .filter(|(_, token)| !matches!(token, Token::Whitespace(_)))
        .collect();
    let is = |token: &Token, word: &str| {
        matches!(token, Token::Word(found) if found.quote_style.is_none()
            && found.value.eq_ignore_ascii_case(word))
    };
    let matches = |some: &[(usize, &Token)]| {
        some.iter().zip(words).all(|((_, token), word)| is(token, word))
    };
    let mut at = seen.windows(words.len()).position(matches)? + words.len();
    let between = ["IF", "EXISTS", "ONLY", "CONCURRENTLY"];
    while seen.get(at).is_some_and(|(_, token)| between.iter().any(|word| is(token, word))) {
        at += 1;
    }
    let &(mut last, first) = seen.get(at)?;
    let mut name = first.to_string();
    while let Some((_, Token::Period)) = seen.get(at + 1)
        && let Some((place, part)) = seen.get(at + 2)
    {
        name = format!("{name}.{part}");
        last = *place;
        at += 2;
    }
    Some((name, last + 1))
}
