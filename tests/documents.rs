//! The documents: every script in them is read, and right. What a reader need not see of one is
//! in a comment before it: `<!-- rhai: let app = pg.role("app"); -->`.

use std::fmt::Write as _;
use std::path::PathBuf;

use dollop_tests::cli::{Project, root};
use dollop_tests::fences::fences;

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
        for fence in fences(&std::fs::read_to_string(&page).unwrap()) {
            let (shown, line) = (&fence.text, fence.line);
            if fence.kind() != "rhai" {
                // One that is called something else would not be looked at.
                assert!(!shown.contains(");\n"), "{name}:{line}");
                continue;
            }
            count += 1;
            let hidden = fence.comment.as_deref().and_then(|text| text.strip_prefix("rhai:"));
            let script = format!("{}\n{shown}", hidden.unwrap_or_default().trim());
            let project = Project::new("page", &script);
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
