//! Rules of the house that no compiler checks.

use std::path::{Path, PathBuf};

use dollop_tests::cli::root;

fn rust_files(folder: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut queue = vec![root().join(folder)];
    while let Some(folder) = queue.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                if path.file_name() != Some("target".as_ref()) {
                    queue.push(path);
                }
            } else if path.extension() == Some("rs".as_ref()) {
                let text = std::fs::read_to_string(&path).unwrap();
                found.push((path.strip_prefix(root()).unwrap().to_owned(), text));
            }
        }
    }
    assert!(!found.is_empty(), "no Rust files in {folder}");
    found.sort();
    found
}

/// Reports every line of a folder's sources that holds one of the words.
fn forbid(folder: &str, except: impl Fn(&Path) -> bool, words: &[&str]) -> Vec<String> {
    let mut bad = Vec::new();
    for (path, text) in rust_files(folder) {
        let is_test = path.components().any(|part| part.as_os_str() == "tests");
        if is_test || except(&path) {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            if let Some(word) = words.iter().find(|word| code.contains(*word)) {
                bad.push(format!("{}:{}: {word}", path.display(), number + 1));
            }
        }
    }
    bad
}

#[test]
fn dependencies_point_one_way() {
    let allowed = [
        ("engine", vec![]),
        ("stdlib", vec!["dollop-engine"]),
        ("state", vec!["dollop-engine"]),
        ("cli", vec!["dollop-engine", "dollop-stdlib", "dollop-state"]),
    ];
    for (folder, allowed) in allowed {
        let manifest = std::fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap();
        let named: Vec<_> = manifest
            .lines()
            .filter_map(|line| line.split('.').next())
            .filter(|name| name.starts_with("dollop-"))
            .filter(|name| !name.contains('='))
            .collect();
        assert_eq!(named, allowed, "{folder}/Cargo.toml");
    }
}

#[test]
fn only_the_cli_prints() {
    let words = ["println!", "eprintln!", "print!(", "eprint!(", "dbg!("];
    for folder in ["engine/src", "stdlib/src", "state/src"] {
        assert_eq!(forbid(folder, |_| false, &words), Vec::<String>::new());
    }
}

#[test]
fn rhai_stays_in_the_script_folder() {
    let inside = |path: &Path| path.starts_with("engine/src/script");
    for folder in ["engine/src", "stdlib/src", "state/src", "cli/src"] {
        assert_eq!(forbid(folder, inside, &["rhai::"]), Vec::<String>::new());
    }
    for folder in ["stdlib", "state", "cli"] {
        let manifest = std::fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap();
        assert!(!manifest.contains("rhai"), "{folder} depends on rhai");
    }
}

#[test]
fn the_engine_does_no_io() {
    let words = ["std::fs", "std::net", "std::process", "std::env", "tokio::fs", "tokio::net"];
    assert_eq!(forbid("engine/src", |_| false, &words), Vec::<String>::new());
}

#[test]
fn no_file_outgrows_a_head() {
    let mut long = Vec::new();
    for folder in ["engine/src", "stdlib/src", "state/src", "cli/src"] {
        for (path, text) in rust_files(folder) {
            let is_test = path.components().any(|part| part.as_os_str() == "tests")
                || path.ends_with("tests.rs");
            let lines = text.lines().count();
            if lines > 600 && !is_test {
                long.push(format!("{} has {lines} lines", path.display()));
            }
        }
    }
    assert_eq!(long, Vec::<String>::new());
}

#[test]
fn every_example_stack_has_a_name_and_a_first_comment() {
    for entry in std::fs::read_dir(root().join("scripts")).unwrap() {
        let stack = entry.unwrap().path().join("stack.rhai");
        let text = std::fs::read_to_string(&stack).unwrap();
        assert!(text.starts_with("// "), "{} says what it is", stack.display());
    }
}
