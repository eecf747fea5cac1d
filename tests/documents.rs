//! The documents: every script in them is read, and right. What a reader need not see of one is
//! in a comment before it: `<!-- rhai: let app = pg.role("app"); -->`.

use std::fmt::Write as _;
use std::path::PathBuf;

use dollop_tests::cli::{Project, root};

/// Files that scripts in the documents read.
const FILES: [(&str, &str); 12] = [
    ("lib/database.rhai", "fn make(name) { local::data(name) }"),
    ("app.conf", "server {}"),
    ("conf.d/app.conf", "server {}"),
    ("app/Dockerfile", "FROM scratch"),
    ("schema.sql", "CREATE TABLE users ();"),
    ("migrations/0001_users.sql", "CREATE TABLE users ();"),
    ("ca.pem", ""),
    ("client.pem", ""),
    ("client.key", "x-5-x"),
    ("keys/tls.key", "x-5-x"),
    ("mq.password", "x-5-x"),
    ("pg.password", "x-5-x"),
];

/// Parameters they ask for.
const GIVEN: [&str; 3] = ["env=dev", "password=x-5-x", "db_password=x-5-x"];

/// A part of a document that stands between fences.
struct Fenced {
    /// What it is said to be.
    kind: String,
    /// What a reader does not see, and what is shown.
    hidden: String,
    shown: String,
    line: usize,
}

fn fenced(text: &str) -> Vec<Fenced> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("\n```") {
        let (before, behind) = rest.split_at(at + 1);
        let (kind, inside) = behind[3..].split_once('\n').unwrap();
        let (shown, after) = inside.split_once("\n```").unwrap();
        let comment = before.trim_end().strip_suffix("-->");
        let hidden = comment.and_then(|text| Some(text.rsplit_once("<!-- rhai:")?.1.trim()));
        let line = text[..text.len() - inside.len()].lines().count();
        found.push(Fenced {
            kind: kind.to_owned(),
            hidden: hidden.unwrap_or_default().to_owned(),
            shown: shown.to_owned(),
            line,
        });
        rest = after;
    }
    found
}

fn documents() -> Vec<PathBuf> {
    let folder = std::fs::read_dir(root().join("docs")).unwrap();
    let mut pages: Vec<_> = folder.map(|entry| entry.unwrap().path()).collect();
    pages.retain(|path| path.extension().is_some_and(|ending| ending == "md"));
    pages.push(root().join("README.md"));
    pages.sort();
    pages
}

#[test]
fn every_script_in_the_documents_is_right() {
    let (mut wrong, mut count) = (String::new(), 0);
    for page in documents() {
        let name = page.strip_prefix(root()).unwrap().display().to_string();
        for Fenced { kind, hidden, shown, line } in
            fenced(&std::fs::read_to_string(&page).unwrap())
        {
            if kind != "rhai" {
                // One that is called something else would not be looked at.
                assert!(!shown.contains(");\n") && !shown.ends_with(");"), "{name}:{line}");
                continue;
            }
            count += 1;
            let project = Project::new("page", &format!("{hidden}\n{shown}\n"));
            for (path, text) in FILES {
                project.write(path, text);
            }
            let given = GIVEN.iter().flat_map(|given| ["--param", *given]);
            let checked = project.run(&["check"].into_iter().chain(given).collect::<Vec<_>>());
            if checked.code != Some(0) {
                let _ = writeln!(wrong, "{name}:{line}\n{}", checked.stderr);
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(count > 35, "there are {count} scripts");
}
