//! What the five documents say, row by row: `tests/platforms/NAME.txt`, checked against a plan of
//! the stack that needs no engine. Tables of `docs/platforms.md` are written from here:
//! `DOLLOP_BLESS=1` does it anew.
//!
//! ```text
//! % name=value                planned with this parameter, all profiles on
//! system | ADDRESS, ADDRESS   a row of the platform's table; `*` is anything but a slash
//!   said of it | TEXT & TEXT  lines `ADDRESS PATH = VALUE` of the plan that have these texts;
//!                             after `ADDRESS: `, all such addresses have one
//! @ profile | NAME, NAME      the document's, and the stack's
//! $ need | COMMAND            day by day
//! ~ said | why                what the stack does otherwise
//! ! trap | CODES | CASE       what a plan says of it, and the case of the suite (or the file and
//!                             function) that shows it; `-` and why, where it cannot be seen
//! ```

use std::collections::{BTreeMap, BTreeSet};

use dollop_tests::cli::{Project, root};
use serde_json::Value as Json;

/// The documents, in the order in which they came.
const NAMES: [&str; 5] = ["expert-dollop", "taylordash", "dictamesh", "bi-agent", "hy-home"];

/// A document as its file has it.
pub(crate) struct Document {
    parameters: Vec<String>,
    pub(crate) systems: Vec<System>,
    profiles: Vec<(String, String)>,
    needs: Vec<(String, String)>,
    otherwise: Vec<(String, String)>,
    traps: Vec<(String, String, String)>,
}

/// Something the document names.
pub(crate) struct System {
    pub(crate) title: String,
    pub(crate) addresses: Vec<String>,
    /// What is said of it, and the texts that show it.
    statements: Vec<(String, String)>,
}

impl Document {
    pub(crate) fn read(name: &str) -> Self {
        let file = root().join("tests/platforms").join(format!("{name}.txt"));
        let text = std::fs::read_to_string(file).expect("the rows of the document");
        let mut all = Self {
            parameters: Vec::new(),
            systems: Vec::new(),
            profiles: Vec::new(),
            needs: Vec::new(),
            otherwise: Vec::new(),
            traps: Vec::new(),
        };
        for line in text.lines() {
            if let Some(parameter) = line.strip_prefix("% ") {
                all.parameters.push(parameter.to_owned());
                continue;
            }
            let (said, rest) =
                line.split_once(" | ").unwrap_or_else(|| panic!("{name}: `{line}`"));
            let pair = |begin: &str| {
                said.strip_prefix(begin).map(|said| (said.to_owned(), rest.to_owned()))
            };
            if let Some(statement) = pair("  ") {
                all.systems.last_mut().expect("a system").statements.push(statement);
            } else if let Some(profile) = pair("@ ") {
                all.profiles.push(profile);
            } else if let Some(need) = pair("$ ") {
                all.needs.push(need);
            } else if let Some(otherwise) = pair("~ ") {
                all.otherwise.push(otherwise);
            } else if let Some((trap, found)) = pair("! ") {
                let (codes, case) = found.split_once(" | ").expect("codes | case");
                all.traps.push((trap, codes.to_owned(), case.to_owned()));
            } else {
                all.systems.push(System {
                    title: said.to_owned(),
                    addresses: rest.split(", ").map(str::to_owned).collect(),
                    statements: Vec::new(),
                });
            }
        }
        all
    }
}

/// Whether an address is meant by a pattern, in which `*` is anything but a slash.
pub(crate) fn matches(pattern: &str, address: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == address,
        Some((before, after)) => {
            let Some(rest) = address.strip_prefix(before) else { return false };
            rest.strip_suffix(after).is_some_and(|middle| !middle.contains('/'))
        }
    }
}

/// Compares a section of the page with what it should be, or writes it.
pub(crate) fn tell(section: &str, should: &str) {
    let page = root().join("docs/platforms.md");
    let text = std::fs::read_to_string(&page).expect("the page");
    let begin = format!("<!-- {section} -->\n");
    let (before, rest) = text.split_once(&begin).expect("the section");
    let (there, after) = rest.split_once("<!-- end -->").expect("its end");
    if std::env::var_os("DOLLOP_BLESS").is_some() {
        std::fs::write(&page, format!("{before}{begin}{should}<!-- end -->{after}"))
            .expect("the page is written");
    } else {
        assert_eq!(there, should, "docs/platforms.md, {section}: not what is there");
    }
}

/// The scripts of a stack.
fn scripts(name: &str) -> Vec<String> {
    let folder = std::fs::read_dir(root().join("scripts").join(name)).expect("its folder");
    folder
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension() == Some("rhai".as_ref()))
        .map(|path| std::fs::read_to_string(path).expect("a script"))
        .collect()
}

/// A plan of everything the stack can be. How long one takes is told by `bench --platforms`.
fn planned(name: &str, document: &Document) -> Json {
    let project =
        Project::copy_all(name, name).env("DOCKER_HOST", "unix:///nowhere/docker.sock");
    let mut command = vec!["plan", "--no-refresh", "--profile", "*", "--format", "json"];
    for parameter in &document.parameters {
        command.extend(["--param", parameter]);
    }
    serde_json::from_str(&project.run(&command).expect(0).stdout).expect("JSON")
}

/// The lines `ADDRESS PATH = VALUE` of a plan, by address.
fn lines(plan: &Json) -> BTreeMap<&str, Vec<String>> {
    let mut all: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for change in plan["changes"].as_array().expect("changes") {
        let address = change["address"].as_str().expect("an address");
        let lines = all.entry(address).or_default();
        for difference in change["differences"].as_array().expect("differences") {
            let value = match &difference["after"] {
                _ if difference["sensitive"] == true => "(sensitive)".to_owned(),
                _ if difference["after_unknown"] == true => "(known later)".to_owned(),
                Json::String(text) => text.clone(),
                other => other.to_string(),
            };
            let path = difference["path"].as_str().expect("a path");
            lines.push(format!("{address} {path} = {value}"));
        }
    }
    all
}

/// What does not hold of what a document says.
fn wrong(document: &Document, plan: &Json) -> Vec<String> {
    let there = lines(plan);
    let (mut wrong, mut seen) = (Vec::new(), BTreeSet::<&str>::new());
    for system in &document.systems {
        for pattern in &system.addresses {
            let found: Vec<_> =
                there.keys().copied().filter(|address| matches(pattern, address)).collect();
            if found.is_empty() {
                wrong.push(format!("{}: nothing is `{pattern}`", system.title));
            }
            seen.extend(found);
        }
        for (said, texts) in &system.statements {
            for text in texts.split(" & ") {
                // That of all addresses of a pattern, or of any that the system has.
                let (patterns, text, all) = match text.split_once(": ") {
                    Some((pattern, text)) if pattern.contains("::") => {
                        (vec![pattern], text, true)
                    }
                    _ => (system.addresses.iter().map(String::as_str).collect(), text, false),
                };
                let of: Vec<_> = there
                    .iter()
                    .filter(|(address, _)| patterns.iter().any(|one| matches(one, address)))
                    .map(|(_, lines)| lines.iter().any(|line| line.contains(text)))
                    .collect();
                let holds = of.contains(&true) && !(all && of.contains(&false));
                if !holds {
                    wrong.push(format!("{}, {said}: `{text}` is not there", system.title));
                }
            }
        }
    }
    let containers = there.keys().filter(|address| address.starts_with("docker::container."));
    for address in containers.filter(|address| !seen.contains(**address)) {
        wrong.push(format!("no system has {address}"));
    }
    let on: BTreeSet<_> =
        plan["profiles"].as_object().expect("profiles").keys().map(String::as_str).collect();
    let named: BTreeSet<_> =
        document.profiles.iter().flat_map(|(_, profiles)| profiles.split(", ")).collect();
    if on != named {
        wrong.push(format!("the stack has the profiles {on:?}, the document {named:?}"));
    }
    wrong
}

/// How many lines a value takes where it is written out.
fn written(value: &Json) -> usize {
    match value {
        Json::String(text) => {
            text.lines().filter(|line| !line.trim().is_empty()).count().max(1)
        }
        Json::Array(items) => items.iter().map(written).sum::<usize>().max(1),
        Json::Object(entries) => entries.values().map(written).sum::<usize>().max(1),
        _ => 1,
    }
}

/// A number as people read it: `2,826`.
fn grouped(number: usize) -> String {
    if number < 1000 {
        return number.to_string();
    }
    format!("{},{:03}", number / 1000, number % 1000)
}

#[test]
fn what_the_documents_say_is_planned() {
    let mut table = "| stack | lines of Rhai | written out | statements checked |\n\
                     |---|---|---|---|\n"
        .to_owned();
    for name in NAMES {
        let document = Document::read(name);
        let plan = planned(name, &document);
        let wrong = wrong(&document, &plan);
        assert!(wrong.is_empty(), "{name}:\n{}", wrong.join("\n"));

        let scripts = scripts(name).concat();
        let rhai = scripts.lines().filter(|line| !line.trim().is_empty()).count();
        let changes = plan["changes"].as_array().expect("changes").iter();
        let differences =
            changes.flat_map(|change| change["differences"].as_array().expect("a list"));
        let out = differences.map(|difference| written(&difference["after"])).sum();
        let systems = document.systems.iter();
        let statements = systems.map(|system| {
            1 + system
                .statements
                .iter()
                .map(|(_, texts)| texts.split(" & ").count())
                .sum::<usize>()
        });
        table.push_str(&format!(
            "| {name} | {rhai} | {} | {} |\n",
            grouped(out),
            statements.sum::<usize>()
        ));
    }
    tell("lengths", &table);
}

/// A check that finds nothing wrong with anything would be none.
#[test]
fn a_statement_that_does_not_hold_is_found() {
    let mut document = Document::read("bi-agent");
    let plan = planned("bi-agent", &document);
    let first = &mut document.systems[0];
    first.addresses.push("docker::container.nobody".to_owned());
    first.statements = vec![
        ("one".to_owned(), "image = pgvector/pgvector:pg15 & 127.0.0.1:1:1".to_owned()),
        ("all".to_owned(), "docker::container.*: 127.0.0.1:5432:5432".to_owned()),
    ];
    drop(document.systems.pop());
    document.systems.retain(|system| system.title != "Jaeger 1.52");
    document.profiles.push(("x".to_owned(), "y".to_owned()));
    assert_eq!(
        wrong(&document, &plan),
        [
            "PostgreSQL 15 with pgvector: nothing is `docker::container.nobody`",
            "PostgreSQL 15 with pgvector, one: `127.0.0.1:1:1` is not there",
            "PostgreSQL 15 with pgvector, all: `127.0.0.1:5432:5432` is not there",
            "no system has docker::container.jaeger",
            "the stack has the profiles {}, the document {\"y\"}",
        ]
    );
}

#[test]
fn what_is_done_day_by_day_has_a_command() {
    let mut table = "| document | need | `dollop ..` |\n|---|---|---|\n".to_owned();
    for name in NAMES {
        let project = Project::copy_all(name, name);
        let page = project.run(&["doc", "."]).expect(0).stdout;
        let commands = page.split("\nCommands\n").nth(1).unwrap_or_default();
        let published: BTreeSet<_> = commands.split([',', ' ', '\n']).collect();
        // The page leaves out those of profiles that are off.
        let scripts = scripts(name).concat();
        for (need, command) in &Document::read(name).needs {
            let mut words: Vec<_> = command.split(' ').collect();
            if let ["run", verb] = words[..] {
                let is_there = published.contains(verb)
                    || scripts.contains(&format!("command(\"{verb}\", "));
                assert!(is_there, "{name} publishes no `{verb}`");
                words.truncate(1);
            }
            let (flags, words): (Vec<&str>, Vec<&str>) =
                words.into_iter().partition(|word| word.starts_with("--"));
            let help = project.run(&[&words[..], &["--help"]].concat()).expect(0).stdout;
            for flag in flags {
                assert!(help.contains(flag), "{name}, {need}: no {flag} in\n{help}");
            }
            table.push_str(&format!("| {name} | {need} | `{command}` |\n"));
        }
    }
    tell("days", &table);
}

#[test]
fn every_trap_of_the_documents_has_a_test() {
    let folder = root().join("tests/suite");
    let cases: String = std::fs::read_dir(folder)
        .expect("the suite")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension() == Some("test".as_ref()))
        .map(|path| std::fs::read_to_string(path).expect("its cases"))
        .collect();
    let mut table = "| document | trap | found as |\n|---|---|---|\n".to_owned();
    for name in NAMES {
        for (trap, codes, case) in Document::read(name).traps {
            if codes == "-" {
                table.push_str(&format!("| {name} | {trap} | not in a plan: {case} |\n"));
                continue;
            }
            if let Some((file, function)) = case.split_once(".rs ") {
                let text = std::fs::read_to_string(root().join(format!("{file}.rs")));
                let text = text.unwrap_or_else(|_| panic!("{trap}: no {file}.rs"));
                assert!(text.contains(&format!("fn {function}(")), "{trap}: no `{function}`");
            } else {
                let found = cases.split_once(&format!("=== {case}\n"));
                let (_, found) = found.unwrap_or_else(|| panic!("{trap}: no case `{case}`"));
                let found = found.split("\n=== ").next().expect("the case");
                for code in codes.split(", ") {
                    // What a plan refuses is shown without its code.
                    let is_shown = found.contains(code);
                    assert!(
                        is_shown || code.starts_with("E03") || code == "E0514",
                        "{trap}: {code}"
                    );
                }
            }
            table.push_str(&format!("| {name} | {trap} | {codes} |\n"));
        }
    }
    tell("traps", &table);
}

#[test]
fn what_is_otherwise_is_said() {
    let mut table = "| document | says | the stack, and why |\n|---|---|---|\n".to_owned();
    let mut profiles = "| document | profile there | here |\n|---|---|---|\n".to_owned();
    for name in NAMES {
        let document = Document::read(name);
        for (said, why) in document.otherwise {
            table.push_str(&format!("| {name} | {said} | {why} |\n"));
        }
        for (there, here) in document.profiles.iter().filter(|(there, here)| there != here) {
            profiles.push_str(&format!(
                "| {name} | {there} | `{}` |\n",
                here.replace(", ", "`, `")
            ));
        }
    }
    tell("otherwise", &table);
    tell("profiles", &profiles);
}
