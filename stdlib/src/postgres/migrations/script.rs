//! The statements of an SQL file, told apart by a real tokenizer.

use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer, Whitespace};

/// One statement of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Statement {
    /// Its text, without the `;`.
    pub(super) text: String,
    /// The line it begins in, from 1.
    pub(super) line: u64,
    /// Where it begins, in characters from the start of the file.
    pub(super) offset: usize,
    /// Its words in upper case, those in quotes left out.
    words: Vec<String>,
    /// Whether the file says that its statements stand in no transaction.
    apart: bool,
}

/// What is wrong with a file, and in which line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unreadable {
    pub(super) line: u64,
    pub(super) message: String,
    pub(super) hint: &'static str,
}

/// What a comment begins with that tells dollop something.
const DIRECTIVE: &str = "dollop:";

/// What such a comment can say: that the statements are run one by one, none of them in a
/// transaction.
const APART: &str = "no transaction";

/// The statements of a file in order. A `BEGIN` at the start and a `COMMIT` at the end are
/// left out: the file is one transaction anyway, or says that it is none.
pub(super) fn statements(sql: &str) -> Result<Vec<Statement>, Unreadable> {
    let dialect = PostgreSqlDialect {};
    let tokens =
        Tokenizer::new(&dialect, sql).tokenize_with_location().map_err(|error| Unreadable {
            line: error.location.line,
            message: error.message,
            hint: "check the quotes and comments around there",
        })?;
    let mut found = split(sql, &tokens)?;
    if says_apart(&tokens)? {
        for statement in &mut found {
            statement.apart = true;
        }
    }
    let opens = |s: &Statement| s.starts(&["BEGIN"]) || s.starts(&["START", "TRANSACTION"]);
    let closes = |s: &Statement| s.starts(&["COMMIT"]) || s.starts(&["END"]);
    if found.len() > 1 && found.first().is_some_and(opens) && found.last().is_some_and(closes) {
        found.pop();
        found.remove(0);
    }
    for statement in &found {
        refuse(statement)?;
    }
    Ok(found)
}

/// Whether a comment says that the file is no transaction.
fn says_apart(tokens: &[TokenWithSpan]) -> Result<bool, Unreadable> {
    let mut apart = false;
    for token in tokens {
        let Token::Whitespace(Whitespace::SingleLineComment { comment, .. }) = &token.token
        else {
            continue;
        };
        let Some(said) = comment.trim().strip_prefix(DIRECTIVE) else { continue };
        let said = said.trim().to_lowercase();
        if said != APART {
            return Err(Unreadable {
                line: token.span.start.line,
                message: format!("dollop does not know what `{said}` means"),
                hint: "write `-- dollop: no transaction`, or begin the comment in another way",
            });
        }
        apart = true;
    }
    Ok(apart)
}

/// The statements of a script that a program wrote, whatever they are.
pub(in super::super) fn texts(sql: &str) -> Result<Vec<String>, String> {
    let tokens = Tokenizer::new(&PostgreSqlDialect {}, sql)
        .tokenize_with_location()
        .map_err(|error| format!("line {}: {}", error.location.line, error.message))?;
    let found = split(sql, &tokens);
    let found = found.map_err(|error| format!("line {}: {}", error.line, error.message))?;
    Ok(found.into_iter().map(|statement| statement.text).collect())
}

fn split(sql: &str, tokens: &[TokenWithSpan]) -> Result<Vec<Statement>, Unreadable> {
    let places = Places::new(sql);
    let mut found = Vec::new();
    let mut begin: Option<(Location, usize)> = None;
    let mut words: Vec<String> = Vec::new();
    // Parentheses, and blocks of SQL bodies (`BEGIN ATOMIC ... END`), hold `;` of their own.
    let (mut parentheses, mut blocks) = (0_usize, 0_usize);
    let mut last_word = String::new();
    let mut end = 0;
    for token in tokens {
        let at = places.byte(token.span.start);
        match &token.token {
            Token::Whitespace(
                Whitespace::Space
                | Whitespace::Newline
                | Whitespace::Tab
                | Whitespace::SingleLineComment { .. }
                | Whitespace::MultiLineComment(_),
            )
            | Token::EOF => continue,
            Token::Backslash if begin.is_none() => {
                return Err(Unreadable {
                    line: token.span.start.line,
                    message: "a command of `psql`, which the server does not know".to_owned(),
                    hint: "write SQL only; `\\copy` is `INSERT`, `\\i` is a file of its own",
                });
            }
            Token::SemiColon if parentheses == 0 && blocks == 0 => {
                if let Some((location, start)) = begin.take() {
                    found.push(places.statement(
                        location,
                        start,
                        at,
                        std::mem::take(&mut words),
                    ));
                }
                last_word.clear();
                continue;
            }
            Token::LParen => parentheses += 1,
            Token::RParen => parentheses = parentheses.saturating_sub(1),
            Token::Word(word) if word.quote_style.is_none() => {
                let word = word.value.to_uppercase();
                match word.as_str() {
                    "ATOMIC" if last_word == "BEGIN" => blocks += 1,
                    "CASE" if blocks > 0 => blocks += 1,
                    "END" => blocks = blocks.saturating_sub(1),
                    _ => {}
                }
                words.push(word.clone());
                last_word = word;
            }
            _ => {}
        }
        if begin.is_none() {
            begin = Some((token.span.start, at));
        }
        end = places.byte(token.span.end).max(at);
    }
    if let Some((location, start)) = begin {
        let end = end.max(start);
        found.push(places.statement(location, start, end, words));
    }
    Ok(found)
}

/// What cannot stand in a file.
fn refuse(statement: &Statement) -> Result<(), Unreadable> {
    const CONTROL: [&str; 9] = [
        "BEGIN",
        "START",
        "COMMIT",
        "END",
        "ROLLBACK",
        "ABORT",
        "SAVEPOINT",
        "RELEASE",
        "PREPARE",
    ];
    let refused =
        |message: String, hint| Err(Unreadable { line: statement.line, message, hint });
    let first = statement.words.first().map_or("", String::as_str);
    let prepares = first == "PREPARE" && !statement.starts(&["PREPARE", "TRANSACTION"]);
    if CONTROL.contains(&first) && !prepares {
        return refused(
            format!("`{first}` in the middle of a file"),
            "a file is one transaction: leave it out, or make two files",
        );
    }
    let words = statement.text.to_uppercase();
    if first == "COPY" && words.contains("FROM") && words.contains("STDIN") {
        return refused(
            "`COPY ... FROM STDIN` has no input here".to_owned(),
            "write `INSERT` statements",
        );
    }
    Ok(())
}

impl Statement {
    /// Whether its words begin like this.
    pub(super) fn starts(&self, words: &[&str]) -> bool {
        self.words.len() >= words.len() && self.words.iter().zip(words).all(|(a, b)| a == b)
    }

    /// One of its words.
    pub(super) fn word(&self, at: usize) -> Option<&str> {
        self.words.get(at).map(String::as_str)
    }

    /// Whether one of its words is this.
    pub(super) fn says(&self, word: &str) -> bool {
        self.words.iter().any(|other| other == word)
    }

    /// Whether these words stand in it one after the other.
    pub(super) fn holds(&self, words: &[&str]) -> bool {
        self.words.windows(words.len()).any(|some| some.iter().zip(words).all(|(a, b)| a == b))
    }

    /// Whether those that follow may be run as somebody else.
    pub(super) fn changes_user(&self) -> bool {
        let first = self.starts(&["SET"]) || self.starts(&["RESET"]);
        first && (self.says("ROLE") || self.says("AUTHORIZATION"))
    }

    /// Whether the server refuses it inside a transaction, or the file says so.
    pub(super) fn stands_alone(&self) -> bool {
        let starts = |words: &[&str]| self.starts(words);
        let concurrently = self.says("CONCURRENTLY")
            && (starts(&["CREATE", "INDEX"])
                || starts(&["CREATE", "UNIQUE", "INDEX"])
                || starts(&["DROP", "INDEX"])
                || starts(&["REINDEX"])
                || (starts(&["ALTER", "TABLE"]) && self.says("DETACH")));
        // All of something: one transaction each.
        let whole = ["DATABASE", "SYSTEM", "SCHEMA"];
        let all = starts(&["REINDEX"]) && whole.iter().any(|what| self.says(what));
        // What it has is copied over the network, in sessions of its own.
        let subscribes = starts(&["ALTER", "SUBSCRIPTION"]) && self.says("PUBLICATION");
        let moves = starts(&["ALTER", "DATABASE"]) && self.holds(&["SET", "TABLESPACE"]);
        let first = [
            &["VACUUM"][..],
            &["CREATE", "DATABASE"],
            &["DROP", "DATABASE"],
            &["CREATE", "TABLESPACE"],
            &["DROP", "TABLESPACE"],
            &["CREATE", "SUBSCRIPTION"],
            &["DROP", "SUBSCRIPTION"],
            &["ALTER", "SYSTEM"],
        ];
        self.apart
            || concurrently
            || all
            || subscribes
            || moves
            || first.into_iter().any(starts)
            || self.words == ["CLUSTER"]
    }
}

/// From lines and columns to bytes.
struct Places<'a> {
    sql: &'a str,
    lines: Vec<usize>,
}

impl<'a> Places<'a> {
    fn new(sql: &'a str) -> Self {
        let mut lines = vec![0];
        lines.extend(sql.match_indices('\n').map(|(at, _)| at + 1));
        Self { sql, lines }
    }

    fn byte(&self, location: Location) -> usize {
        let line = usize::try_from(location.line).unwrap_or(0).saturating_sub(1);
        let start = self.lines.get(line).copied().unwrap_or(self.sql.len());
        let column = usize::try_from(location.column).unwrap_or(0).saturating_sub(1);
        let rest = &self.sql[start..];
        rest.char_indices().nth(column).map_or(self.sql.len(), |(at, _)| start + at)
    }

    fn statement(
        &self,
        location: Location,
        start: usize,
        end: usize,
        words: Vec<String>,
    ) -> Statement {
        Statement {
            text: self.sql[start..end].trim_end().to_owned(),
            line: location.line,
            offset: self.sql[..start].chars().count(),
            words,
            apart: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(sql: &str) -> Vec<String> {
        statements(sql).unwrap().into_iter().map(|statement| statement.text).collect()
    }

    #[test]
    fn statements_end_at_their_semicolon_only() {
        let sql = "-- a; b\ncreate table t (a text default 'x;y'); /* ; */ select $q$ ; $q$;\n\
                   create function f() returns int begin atomic select case when true then 1 \
                   end; select 2; end;\ncreate rule r as on insert to t do (select 1; select 2);\
                   \nselect \"a;b\" -- end";
        let found = texts(sql);
        assert_eq!(found.len(), 5, "{found:#?}");
        assert_eq!(found[0], "create table t (a text default 'x;y')");
        assert_eq!(found[1], "select $q$ ; $q$");
        assert!(found[2].ends_with("select 2; end"), "{}", found[2]);
        assert!(found[3].ends_with("select 2)"), "{}", found[3]);
        assert_eq!(found[4], "select \"a;b\"");
        assert_eq!(texts(" ; ;; -- nothing\n"), Vec::<String>::new());
    }

    #[test]
    fn places_count_characters() {
        let found = statements("select 'ü';\n  select 2").unwrap();
        assert_eq!((found[0].line, found[0].offset), (1, 0));
        assert_eq!((found[1].line, found[1].offset), (2, 14));
    }

    #[test]
    fn a_transaction_around_all_is_left_out_and_others_are_refused() {
        assert_eq!(texts("begin; select 1; commit;"), ["select 1"]);
        assert_eq!(texts("START TRANSACTION; select 1; end"), ["select 1"]);
        for (sql, line) in [
            ("select 1;\ncommit;\nselect 2", 2),
            ("select 1;\n\\i other.sql", 2),
            ("copy t from stdin;", 1),
            ("select 'open", 1),
        ] {
            assert_eq!(statements(sql).unwrap_err().line, line, "{sql}");
        }
        assert_eq!(texts("prepare p as select 1").len(), 1);
    }

    #[test]
    fn a_file_says_that_it_is_no_transaction() {
        let sql = "-- why\n-- dollop: no transaction\ncall p();\nselect 1";
        assert!(statements(sql).unwrap().iter().all(Statement::stands_alone));
        let said = statements("select 1;\n-- dollop: no transactions\n").unwrap_err();
        assert_eq!((said.line, said.message.contains("no transactions")), (2, true));
        assert!(!statements("-- dollop ran this\nselect 1").unwrap()[0].stands_alone());
    }

    #[test]
    fn who_a_session_works_as_is_known() {
        let changes = |sql: &str| statements(sql).unwrap()[0].changes_user();
        assert!(changes("set role app"));
        assert!(changes("set local session authorization app"));
        assert!(changes("reset role"));
        assert!(!changes("set work_mem = '1MB'"));
        assert!(!changes("alter role app set work_mem = '1MB'"));
    }

    #[test]
    fn what_stands_alone_is_known() {
        let alone = |sql: &str| statements(sql).unwrap()[0].stands_alone();
        assert!(alone("create unique index concurrently i on t (a)"));
        assert!(alone("VACUUM t"));
        assert!(alone("alter system set work_mem = '1MB'"));
        assert!(alone(
            "alter table only my.events detach partition my.events_of_2026 concurrently"
        ));
        assert!(alone("drop index concurrently if exists a, b"));
        assert!(alone("reindex (verbose) schema app"));
        assert!(alone("reindex table concurrently t"));
        assert!(alone("alter subscription s refresh publication"));
        assert!(alone("alter subscription s set publication p"));
        assert!(alone("alter database d set tablespace x"));
        assert!(alone("cluster"));
        assert!(!alone("cluster t"));
        assert!(!alone("alter database d set work_mem = '1MB'"));
        assert!(!alone("alter table t detach partition p"));
        assert!(!alone("alter subscription s disable"));
        assert!(!alone("reindex table t"));
        assert!(!alone("call p()"));
        assert!(!alone("create index i on t (a)"));
        assert!(!alone("refresh materialized view concurrently v"));
        assert!(!alone("select 'vacuum'"));
    }
}
