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

/// The attributes whose variables are called by the path of their object alone. No two of these
/// have paths of one length.
const PLAIN: [(&str, &str); 2] =
    [("postgres::role", "password"), ("postgres::subscription", "connection")];

/// `main_app_password` is the attribute `password` of `postgres::role.main/app`. Where another
/// address and attribute could come to the same words, a digest of both is added.
fn variable(name: &Name, path: &str) -> String {
    let address = &name.address;
    let parts: Vec<_> = address.path().iter().map(String::as_str).chain([path]).collect();
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let words: String = parts.join("_").chars().map(plain).collect();
    let is_plain = |part: &str, also: &[char]| {
        part.chars().all(|c| c.is_ascii_alphanumeric() || also.contains(&c))
    };
    // The first parts end at the first `_`s, and `path` begins at the last one.
    let told = match address.path().split_last() {
        Some((last, places)) => {
            places.iter().all(|place| is_plain(place, &[])) && is_plain(last, &['_'])
        }
        None => false,
    };
    if told && address.components().is_empty() && PLAIN.contains(&(address.kind(), path)) {
        return words;
    }
    let digest = Sha256::digest(format!("{address} {path}"));
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
        let [password, option] = &found.variables[..] else { panic!("{:?}", found.variables) };
        assert_eq!(password, "main_app_password");
        assert!(option.starts_with("main_app_options_a_"), "{option}");
        let statement = format!("CREATE X PASSWORD :'{password}' OPTIONS (a :'{option}')");
        assert_eq!(found.statements, [statement]);
        assert_eq!(found.place, "\\connect \"d\"");
    }

    #[test]
    fn no_two_secrets_share_a_variable() {
        let of = |components: &[&str], kind: &str, path: &[&str], attribute: &str| {
            let texts =
                |all: &[&str]| all.iter().map(|&one| one.to_owned()).collect::<Vec<_>>();
            let address = Address::new(texts(components), kind, texts(path));
            let natural = address.name().to_owned();
            variable(&Name { stack: "s".to_owned(), address, natural }, attribute)
        };
        let role = "postgres::role";
        assert_eq!(of(&[], role, &["main", "app_b"], "password"), "main_app_b_password");
        let all = [
            of(&[], role, &["main", "a_b"], "password"),
            of(&[], role, &["main", "a-b"], "password"),
            of(&[], role, &["main", "a b"], "password"),
            of(&[], role, &["main_a", "b"], "password"),
            of(&["x"], role, &["main", "a_b"], "password"),
            of(&["y"], role, &["main", "a_b"], "password"),
            of(&[], role, &["main", "a"], "b_password"),
            of(&[], "postgres::user_mapping", &["main", "a", "b"], "password"),
            of(&[], "postgres::comment", &["main", "a_b"], "password"),
        ];
        let distinct: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len(), "{all:?}");
        assert!(all.iter().all(|name| name.starts_with("main_a_b_password")), "{all:?}");
    }

    #[test]
    fn several_statements_are_one_transaction() {
        let texts = |all: &[&str]| all.iter().map(|&one| one.to_owned()).collect::<Vec<_>>();
        assert_eq!(whole(texts(&["-- a", "b"])), texts(&["-- a", "b"]));
        assert_eq!(whole(texts(&["b", "c"])), texts(&["BEGIN", "b", "c", "COMMIT"]));
    }
}
