//! The pages of `docs/diagnostics`: each example is run, and leads to its code.

use std::collections::BTreeSet;

use dollop_engine::diagnostic::Code;
use dollop_tests::cli::{Project, root};
use dollop_tests::fences::fences;

/// Codes no script alone leads to: services, other versions, commands, mistakes in dollop.
/// Their pages show what it looks like instead.
const WITHOUT_SCRIPT: [Code; 28] = [
    // What exists already, and what an engine and its machine have.
    Code::NotSideBySide,
    Code::HostPortTaken,
    Code::HostLacks,
    Code::HostTooSmall,
    Code::HostMayLack,
    Code::HostTooOld,
    // A flag, and a service that is slow.
    Code::ReplaceUnknown,
    Code::CallTimedOut,
    Code::Unreadable,
    Code::Impossible,
    Code::MissingFact,
    Code::KindGone,
    Code::StepsWait,
    Code::DormantNeeds,
    // A service that holds something.
    Code::DataLoss,
    // Something that was applied before.
    Code::OtherVersion,
    Code::CallRefused,
    Code::CallUnreachable,
    Code::CallDenied,
    Code::CallExists,
    Code::Usage,
    Code::Command,
    Code::StateStore,
    Code::Internal,
    Code::AnotherServer,
    Code::StackRenamed,
    Code::StateNote,
    Code::Hazard,
];

#[test]
fn every_page_has_an_example_that_leads_to_its_code() {
    let mut wrong = String::new();
    let mut seen = BTreeSet::new();
    let mut files: Vec<_> = std::fs::read_dir(root().join("docs/diagnostics"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| !path.ends_with("README.md"))
        .collect();
    files.sort();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        for page in text.split("\n## ").skip(1) {
            let page = page.split("\n# ").next().unwrap();
            let id = page.split(':').next().unwrap();
            let code: Code = id.parse().unwrap();
            seen.insert(code);
            match example(page) {
                None if WITHOUT_SCRIPT.contains(&code) => {}
                None => wrong.push_str(&format!("{id}: no example\n")),
                Some(example) => {
                    let found = example.run();
                    let others: Vec<_> =
                        found.iter().filter(|other| other.as_str() != id).collect();
                    if !found.iter().any(|found| found == id) || !others.is_empty() {
                        wrong.push_str(&format!("{id}: leads to {found:?}\n"));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    let missing: Vec<_> = Code::ALL.iter().filter(|code| !seen.contains(code)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// What a page shows: scripts, the last of which leads to the code, files and parameters.
struct Example {
    scripts: Vec<String>,
    files: Vec<(String, String)>,
    arguments: Vec<String>,
}

fn example(page: &str) -> Option<Example> {
    let mut example = Example { scripts: Vec::new(), files: Vec::new(), arguments: Vec::new() };
    for fence in fences(page) {
        let file = fence.info.split(' ').find_map(|word| word.strip_prefix("file="));
        match (fence.kind(), file) {
            (_, Some(file)) => example.files.push((file.to_owned(), fence.text)),
            ("rhai", None) => example.scripts.push(fence.text),
            ("sh", None) => {
                let words = fence.text.split_whitespace().skip(2);
                example.arguments.extend(words.map(str::to_owned));
            }
            _ => {}
        }
    }
    (!example.scripts.is_empty()).then_some(example)
}

impl Example {
    /// The codes `check` finds or, when it finds nothing, `plan`.
    fn run(&self) -> BTreeSet<String> {
        let (last, before) = self.scripts.split_last().unwrap();
        let project = Project::new("example", last);
        for (path, text) in &self.files {
            project.write(path, text);
        }
        for script in before {
            project.write("stack.rhai", script);
            let _ = project.run(&["apply", "--auto-approve"]).expect(0);
        }
        project.write("stack.rhai", last);
        let arguments: Vec<_> = self.arguments.iter().map(String::as_str).collect();
        let check = project.run(&[&["check", "--format", "json"], &arguments[..]].concat());
        let found = codes(&check.stdout, "diagnostics");
        if !found.is_empty() {
            return found;
        }
        let plan = project.run(&[&["plan", "--format", "json"], &arguments[..]].concat());
        let mut found = codes(&plan.stdout, "diagnostics");
        found.extend(codes(&plan.stdout, "warnings"));
        found
    }
}

fn codes(text: &str, key: &str) -> BTreeSet<String> {
    let json: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
    let found = json[key].as_array().cloned().unwrap_or_default();
    found.iter().filter_map(|found| found["code"].as_str().map(str::to_owned)).collect()
}
