//! What is sent as a script that `psql` understands, for whoever reads it or runs it by hand.

use std::fmt::Write as _;

use dollop_engine::resource::{Name, Script};
use sha2::{Digest as _, Sha256};

use super::sql;

/// Before and after the word of a secret in a statement, as `Value::masked` writes it.
const SECRET: (&str, &str) = ("'(secret ", ")'");

/// The script of an object in a database, or of the whole server. A secret is a variable of
/// `psql`: one that nobody gave is no SQL, so that no word of a mask is ever set.
pub(super) fn script(name: &Name, database: Option<&str>, statements: Vec<String>) -> Script {
    let mut variables = Vec::new();
    let statements = statements
        .into_iter()
        .map(|statement| with_variables(name, &statement, &mut variables))
        .collect();
    let place = database.map_or_else(String::new, leading_to);
    Script { place, statements, variables }
}

/// The line that leads `psql` to a database.
pub(super) fn leading_to(database: &str) -> String {
    format!("\\connect {}", sql::name(database))
}

/// A database that one can be connected to while something becomes of another.
pub(super) fn beside(database: &str) -> &'static str {
    if database == "postgres" { "template1" } else { "postgres" }
}

/// The statements as one transaction.
pub(super) fn whole(statements: Vec<String>) -> Vec<String> {
    let real = statements.iter().filter(|statement| !statement.starts_with("--"));
    if real.count() < 2 {
        return statements;
    }
    let begin = std::iter::once("BEGIN".to_owned());
    begin.chain(statements).chain(["COMMIT".to_owned()]).collect()
}

fn with_variables(name: &Name, statement: &str, variables: &mut Vec<String>) -> String {
    let mut out = String::new();
    let mut rest = statement;
    while let Some((before, after)) = rest.split_once(SECRET.0)
        && let Some((path, after)) = after.split_once(SECRET.1)
    {
        let variable = variable(name, path);
        out.push_str(before);
        let _ = write!(out, ":'{variable}'");
        if !variables.contains(&variable) {
            variables.push(variable);
        }
        rest = after;
    }
    out + rest
}

/// `main_app_password` is the attribute `password` of `postgres::role.main/app`.
fn variable(name: &Name, path: &str) -> String {
    let parts: Vec<_> = name.address.path().iter().map(String::as_str).chain([path]).collect();
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let words: String = parts.join("_").chars().map(plain).collect();
    // `a_b` and `a-b` are two.
    let whole = |part: &String| part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if name.address.path().iter().all(whole) {
        return words;
    }
    let digest = Sha256::digest(name.address.to_string());
    format!("{words}_{}", &hex::encode(digest)[..6])
}

#[cfg(test)]
mod tests {
    use dollop_engine::address::Address;

    use super::*;

    fn named(path: &[&str]) -> Name {
        let path: Vec<String> = path.iter().map(|&part| part.to_owned()).collect();
        let natural = path.last().unwrap().clone();
        let address = Address::new(Vec::new(), "postgres::role", path);
        Name { stack: "s".to_owned(), address, natural }
    }

    #[test]
    fn secrets_are_variables() {
        let statement =
            "CREATE X PASSWORD '(secret password)' OPTIONS (a '(secret options_a)')";
        let found = script(&named(&["main", "app"]), Some("d"), vec![statement.to_owned()]);
        assert_eq!(
            found.statements,
            ["CREATE X PASSWORD :'main_app_password' OPTIONS (a :'main_app_options_a')"]
        );
        assert_eq!(found.variables, ["main_app_password", "main_app_options_a"]);
        let of = |name: &str| variable(&named(&["main", name]), "password");
        assert!(of("a b").starts_with("main_a_b_password_") && of("a b") != of("a_b"));
        assert_eq!(found.place, "\\connect \"d\"");
    }

    #[test]
    fn several_statements_are_one_transaction() {
        let texts = |all: &[&str]| all.iter().map(|&one| one.to_owned()).collect::<Vec<_>>();
        assert_eq!(whole(texts(&["-- a", "b"])), texts(&["-- a", "b"]));
        assert_eq!(whole(texts(&["b", "c"])), texts(&["BEGIN", "b", "c", "COMMIT"]));
    }
}
