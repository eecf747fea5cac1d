//! Cases kept as text beside this file: a script, and what it must lead to.
//!
//! `DOLLOP_BLESS=1 cargo test -p dollop-engine script` writes down what they lead to now.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use super::{Project, run_with, show};
use crate::program::Profiles;

/// Runs every case of a file.
fn check(file: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/script/tests").join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    let mut blessed = String::new();
    let mut wrong = Vec::new();
    for case in text.split("\n=== ").map(|case| case.trim_start_matches("=== ")) {
        let (name, rest) = case.split_once('\n').unwrap();
        let (input, expected) = rest.split_once("\n--- expect\n").unwrap_or((rest, ""));
        let mut parts = format!("--- file main.rhai\n{input}");
        parts.insert(0, '\n');
        let mut files = BTreeMap::new();
        let mut parameters = Vec::new();
        let mut profiles = Profiles::default();
        for part in parts.split("\n--- ").skip(1) {
            let (head, body) = part.split_once('\n').unwrap_or((part, ""));
            match head.split_once(' ').unwrap() {
                ("file", file) => {
                    files.insert(file.to_owned(), format!("{}\n", body.trim_end()));
                }
                ("param", given) => {
                    let (name, value) = given.split_once('=').unwrap();
                    parameters.push((name.to_owned(), value.to_owned()));
                }
                ("profile", name) => {
                    profiles.names.insert(name.to_owned());
                }
                other => panic!("{file}: {name}: {other:?}"),
            }
        }
        let found = show(&run_with(&Project(files), &parameters, &profiles));
        if found.trim_end() != expected.trim_end() {
            wrong.push(format!("--- {name}\nexpected:\n{expected}\nfound:\n{found}"));
        }
        let input = input.trim_end();
        let found = found.trim_end();
        write!(blessed, "=== {name}\n{input}\n--- expect\n{found}\n\n").unwrap();
    }
    if std::env::var_os("DOLLOP_BLESS").is_some() {
        std::fs::write(&path, format!("{}\n", blessed.trim_end())).unwrap();
    } else {
        assert!(wrong.is_empty(), "{file}\n{}", wrong.join("\n"));
    }
}

#[test]
fn declarations() {
    check("declarations.test");
}

#[test]
fn schema() {
    check("schema.test");
}

#[test]
fn symbols() {
    check("symbols.test");
}

#[test]
fn refusals() {
    check("refusals.test");
}

#[test]
fn parameters() {
    check("parameters.test");
}

#[test]
fn profiles() {
    check("profiles.test");
}

#[test]
fn overrides() {
    check("overrides.test");
}

#[test]
fn secrets() {
    check("secrets.test");
}

#[test]
fn imports() {
    check("imports.test");
}

#[test]
fn errors() {
    check("errors.test");
}

#[test]
fn hostile() {
    check("hostile.test");
}

#[test]
fn functions() {
    check("functions.test");
}
