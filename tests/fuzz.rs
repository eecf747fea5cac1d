//! Scripts nobody would write, made from those of the tests by splicing, cutting and wrapping:
//! whatever comes, evaluating and planning end without a panic, twice with the same bytes, and
//! no secret is in anything a person or a program reads.
//!
//! The same scripts every time: so many, from a seed that stands here. `DOLLOP_FUZZ_SEED` takes
//! another; `make fuzz` goes on for `DOLLOP_FUZZ_SECONDS` (ten minutes) from the time of day,
//! which is printed.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use dollop_cli::render::{Screen, diagnostic, json, markdown, plan as text, sql};
use dollop_engine::files::{FileError, Files};
use dollop_engine::graph;
use dollop_engine::kind::Registry;
use dollop_engine::observed::Observed;
use dollop_engine::plan::{Options, plan};
use dollop_engine::program::{Given, GivenValue};
use dollop_engine::script::{Request, evaluate, library};
use dollop_engine::store::State;
use dollop_tests::cli::root;
use dollop_tests::fake;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};

/// How many scripts are tried when no time is given.
const SCRIPTS: usize = 2_000;
/// Where they come from.
const SEED: u64 = 7;

/// The value of the parameter `hidden`, which every script may use and none may show.
const SECRET: &str = "s3cr3t-Zq81-w0rd";

/// What a fuzzer should try beside what the tests have.
const NASTY: &[&str] = &[
    "hidden",
    "`${hidden}`",
    "`a${hidden}b`",
    "[hidden]",
    "#{ x: hidden }",
    "output(\"o\", hidden);",
    "print(hidden);",
    "throw hidden;",
    "param(hidden)",
    "fake::net(hidden)",
    "\"\\uFDD0\"",
    "\"\"",
    "9223372036854775807",
    "-1",
    "0.0",
    "()",
    "\"é日本🚀\"",
    "\"a/b::c.d\"",
    "this",
    "||",
    "|x| x",
    "loop { break; }",
    "if true {",
    "}",
    "#{",
    "[",
    "]",
    "(",
    ")",
    "`${",
    "\"",
    "/*",
    "//",
    "..",
    "?.",
];

/// Lines put around others.
const FRAMES: &[(&str, &str)] = &[
    ("for i in 0..3 {", "}"),
    ("component(\"c\", || {", "});"),
    ("if param(\"p\", #{ default: true }) {", "}"),
    ("fn f(x) {", "} f(1);"),
    ("try {", "} catch (e) { print(e); }"),
    ("let v = {", "}; output(\"v\", v);"),
    ("[1, 2].map(|x| {", "});"),
];

#[test]
fn no_script_panics_wavers_or_tells_a_secret() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let time = number("DOLLOP_FUZZ_SECONDS").map(Duration::from_secs);
    let seed = number("DOLLOP_FUZZ_SEED").unwrap_or_else(|| match time {
        Some(_) => SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs(),
        None => SEED,
    });
    println!("DOLLOP_FUZZ_SEED={seed}");
    let corpus = corpus();
    assert!(corpus.len() > 200, "{} scripts to start from", corpus.len());
    let words = words(&corpus);
    let registry = fake::register(dollop_stdlib::registry());
    let mut random = StdRng::seed_from_u64(seed);
    let begin = Instant::now();
    let (mut count, mut planned) = (0_usize, 0);
    while time.map_or(count < SCRIPTS, |time| begin.elapsed() < time) {
        let script = mutant(&mut random, &corpus, &words);
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let first = read(&registry, &script, SECRET);
            assert_eq!(first.0, read(&registry, &script, SECRET).0, "not the same twice");
            // Not the `DEBUG:` of a script.
            for bug in [" BUG:", "\"BUG:", "wait for each other"] {
                assert!(!first.0.contains(bug), "{}", first.0);
            }
            assert!(!first.0.contains(SECRET), "a secret is shown\n{}", first.0);
            first.1
        }));
        let Ok(is_plan) = outcome else {
            panic!("DOLLOP_FUZZ_SEED={seed}, script {count}:\n{script}");
        };
        planned += usize::from(is_plan);
        count += 1;
    }
    println!("{count} scripts, {planned} of them with a plan");
    assert!(planned * 20 > count, "of {count} scripts only {planned} had a plan");
}

/// The scripts of all test cases and examples; those that are slow on purpose excepted.
fn corpus() -> Vec<String> {
    let mut scripts = Vec::new();
    for folder in ["tests/suite", "engine/src/script/tests"] {
        for entry in std::fs::read_dir(root().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let is_case = path.extension() == Some("test".as_ref());
            if is_case && path.file_name() != Some("hostile.test".as_ref()) {
                cases(&path, &mut scripts);
            }
        }
    }
    for entry in std::fs::read_dir(root().join("scripts")).unwrap() {
        scripts
            .push(std::fs::read_to_string(entry.unwrap().path().join("stack.rhai")).unwrap());
    }
    scripts.sort();
    scripts.dedup();
    scripts
}

/// The scripts of a file of cases: what follows a case's name or `--- script`.
fn cases(path: &Path, scripts: &mut Vec<String>) {
    let text = std::fs::read_to_string(path).unwrap();
    let mut script = None;
    for line in text.lines() {
        if line.starts_with("=== ") || line.starts_with("--- ") {
            scripts.extend(script.take().filter(|script: &String| !script.trim().is_empty()));
            if line.starts_with("=== ") || line == "--- script" {
                script = Some(String::new());
            }
        } else if let Some(script) = &mut script {
            script.push_str(line);
            script.push('\n');
        }
    }
    scripts.extend(script);
}

/// Words, texts, blanks and signs, in order; together they are the script again.
fn tokens(script: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = script;
    while let Some(first) = rest.chars().next() {
        let while_ = |fits: fn(char) -> bool| rest.find(|c| !fits(c)).unwrap_or(rest.len());
        let length = match first {
            '"' => rest[1..].find('"').map_or(rest.len(), |end| end + 2),
            c if c.is_alphanumeric() || c == '_' => while_(|c| c.is_alphanumeric() || c == '_'),
            c if c.is_whitespace() => while_(char::is_whitespace),
            c => c.len_utf8(),
        };
        let (token, after) = rest.split_at(length);
        tokens.push(token);
        rest = after;
    }
    tokens
}

fn words(corpus: &[String]) -> Vec<String> {
    let mut words: Vec<String> = corpus
        .iter()
        .flat_map(|script| tokens(script))
        .filter(|token| !token.trim().is_empty())
        .map(str::to_owned)
        .collect();
    words.sort();
    words.dedup();
    words.extend(library().map(|entry| format!("{}(", entry.name)));
    words.extend(NASTY.iter().map(|word| (*word).to_owned()));
    words
}

/// A script after one to eight changes, one in four with hardly any, so that plans are made.
fn mutant(random: &mut StdRng, corpus: &[String], words: &[String]) -> String {
    let mut script = corpus.choose(random).cloned().unwrap_or_default();
    let changes = if random.random_ratio(1, 4) { 1 } else { random.random_range(1..=8) };
    for _ in 0..changes {
        let other = corpus.choose(random).map_or("", String::as_str);
        let mut lines: Vec<&str> = script.lines().collect();
        let line = random.random_range(0..=lines.len());
        script = match random.random_range(0..8) {
            0 => {
                let borrowed: Vec<_> = other.lines().collect();
                let from = random.random_range(0..=borrowed.len());
                lines.splice(line..line, borrowed[from..].iter().take(3).copied());
                lines.join("\n")
            }
            1 => {
                let (before, after) = FRAMES.choose(random).copied().unwrap_or_default();
                let end = random.random_range(line..=lines.len());
                lines.insert(end, after);
                lines.insert(line, before);
                lines.join("\n")
            }
            2 => {
                let end = random.random_range(line..=lines.len().min(line + 2));
                lines.drain(line..end);
                lines.join("\n")
            }
            3 => format!("{script}\n{other}"),
            kind => {
                let mut tokens = tokens(&script);
                let at = random.random_range(0..=tokens.len());
                let end = random.random_range(at..=tokens.len().min(at + 3));
                let nasty = NASTY.choose(random).copied().unwrap_or_default();
                let word = words.choose(random).map_or(nasty, String::as_str);
                match kind {
                    4 => drop(tokens.splice(at..end, [word])),
                    5 => drop(tokens.splice(at..at, [" ", nasty, " "])),
                    6 => drop(tokens.drain(at..end)),
                    _ => {
                        let again = tokens[at..end].to_vec();
                        tokens.splice(at..at, again);
                    }
                }
                tokens.concat()
            }
        };
        // Doubling lines again and again says nothing new.
        if script.len() > 20_000 {
            break;
        }
    }
    format!("let hidden = param(\"hidden\", #{{ secret: true }});\n{script}")
}

struct OneFile<'a>(&'a str);

impl Files for OneFile<'_> {
    fn read(&self, path: &str) -> Result<Arc<str>, FileError> {
        if path == "main.rhai" {
            return Ok(self.0.into());
        }
        Err(FileError::Missing(path.to_owned()))
    }
}

/// Everything that is shown of a script, in every form, and whether it has a plan. Its
/// parameter `hidden` has that value.
pub(crate) fn read(registry: &Registry, script: &str, secret: &str) -> (String, bool) {
    let hidden = Given::new(GivenValue::Text(secret.to_owned()), "flag `--param`");
    let parameters = BTreeMap::from([("hidden".to_owned(), hidden)]);
    let request = Request {
        stack: "fuzz",
        environment: "default",
        profiles: &dollop_engine::program::Profiles::default(),
        entry: "main.rhai",
        files: &OneFile(script),
        registry,
        parameters: &parameters,
        discoverer: None,
        told: None,
    };
    let options = Options { unrefreshed: true, ..Options::default() };
    let mut printed = Vec::new();
    let made = evaluate(&request).and_then(|program| {
        printed.clone_from(&program.messages);
        let graph = graph::build(program)?;
        plan(&graph, &State::default(), &Observed::default(), registry, &options)
    });
    let shown = match &made {
        Ok(plan) => [
            text::plan(plan, &Screen::wide(80)),
            markdown::plan(plan, &sql::lines(plan, registry)),
            json::text(&json::plan(plan)),
        ]
        .concat(),
        Err(found) => [
            diagnostic::findings(found, 80),
            json::text(&json::diagnostics(&found.diagnostics)),
        ]
        .concat(),
    };
    (format!("{}\n{shown}", printed.join("\n")), made.is_ok())
}
