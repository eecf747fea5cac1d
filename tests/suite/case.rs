//! The form of the cases: read, written, compared.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

#[derive(Clone, PartialEq)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) sections: Vec<(String, String)>,
}

pub(super) fn find(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            find(&path, found);
        } else if path.extension() == Some("test".as_ref()) {
            found.push(path);
        }
    }
}

pub(super) fn split(text: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("=== ") {
            cases.push(Case { name: name.to_owned(), sections: Vec::new() });
        } else if let Some(section) = line.strip_prefix("--- ") {
            let case = cases.last_mut().expect("a case before its sections");
            case.sections.push((section.to_owned(), String::new()));
        } else if let Some((_, body)) = cases.last_mut().and_then(|c| c.sections.last_mut()) {
            body.push_str(line);
            body.push('\n');
        }
    }
    for case in &mut cases {
        for (_, body) in &mut case.sections {
            *body = format!("{}\n", body.trim_end());
        }
    }
    cases
}

pub(super) fn write_case(out: &mut String, case: &Case) {
    if !out.is_empty() {
        out.push('\n');
    }
    writeln!(out, "=== {}", case.name).unwrap();
    for (name, body) in &case.sections {
        write!(out, "--- {name}\n{}", if body == "\n" { "" } else { body }).unwrap();
    }
}

pub(super) fn diff(expected: &Case, actual: &Case) -> String {
    let (mut a, mut b) = (String::new(), String::new());
    write_case(&mut a, expected);
    write_case(&mut b, actual);
    let left: Vec<_> = a.lines().collect();
    let right: Vec<_> = b.lines().collect();
    let mut text = String::new();
    for line in &left {
        if !right.contains(line) {
            writeln!(text, "  - {line}").unwrap();
        }
    }
    for line in &right {
        if !left.contains(line) {
            writeln!(text, "  + {line}").unwrap();
        }
    }
    text
}
