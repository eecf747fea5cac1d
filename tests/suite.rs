//! Runs `tests/suite/**/*.test`: script, what is done by hand, and what is expected stand
//! together. `DOLLOP_BLESS=1` writes the expectations anew.
//!
//! ```text
//! === a case
//! --- script            what follows is the script from here on
//! --- file PATH         a file of the project
//! --- plan              changes, reasons, differences and steps of a plan
//! --- offline           the same without looking at the world
//! --- made              the state is as if the script had been applied; lines
//!                       `ADDRESS FACT JSON` say what services report
//! --- error             the findings of evaluating, or of planning
//! --- apply             plans, applies; the calls the world saw, and the report
//! --- destroy           the same for a destroy
//! --- world             edits by hand: `remove KIND KEY`, `set KIND KEY ATTRIBUTE JSON`,
//!                       `own KIND KEY STACK`, `add KIND KEY JSON`, `fail CALL`, `heal`,
//!                       `half ADDRESS JSON` (its create makes this and fails), `slow CALL`,
//!                       `sick ADDRESS` (it does not get ready), `impossible ADDRESS` (it
//!                       cannot be made there)
//! --- params            `name=value` lines
//! --- environment       the environment the script is evaluated for
//! --- recorded          addresses found in the state beside what was applied, of kinds
//!                       this dollop need not know
//! --- replace           addresses that plans from here on make anew
//! --- taint             addresses marked as broken in the state
//! --- state             the addresses in the state
//! --- import ADDRESS    the script of what exists there, and what the next plan says of it
//! ```

mod imported;
mod made;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use dollop_engine::address::Address;
use dollop_engine::analysis::analyse;
use dollop_engine::apply::{Settings, Watcher, apply};
use dollop_engine::diagnostic::{Code, Diagnostic, Findings, Severity};
use dollop_engine::error::CallError;
use dollop_engine::files::{FileError, Files, SecretSource};
use dollop_engine::graph::{self, Graph};
use dollop_engine::journal::{Effect, Event, StepId};
use dollop_engine::kind::Registry;
use dollop_engine::observed::Observed;
use dollop_engine::plan::{
    Action, CheckStanding, LookupOutcome, Operation, Options, Plan, Standing, Step, plan,
};
use dollop_engine::pool::Pool;
use dollop_engine::program::{Given, GivenValue, Profiles, Program};
use dollop_engine::refresh::refresh;
use dollop_engine::resource::Scope;
use dollop_engine::script::{Request, evaluate};
use dollop_engine::store::{MemoryStore, Record, RunEnd, RunInfo, Store};
use dollop_engine::value::Value;
use dollop_tests::cli::root;
use dollop_tests::fake::{self, Object, world};

/// How many cases there are at least.
const CASES: usize = 250;

/// Codes no case here can lead to, why, and the test that does.
const ELSEWHERE: [(Code, &str, &str, &str); 12] = [
    (
        Code::StepsWait,
        "would be a bug",
        "tests/fuzz.rs",
        "no_script_panics_wavers_or_tells_a_secret",
    ),
    (
        Code::Internal,
        "would be a bug",
        "tests/fuzz.rs",
        "no_script_panics_wavers_or_tells_a_secret",
    ),
    (Code::Usage, "a command line", "tests/cli.rs", "wrong_usage_exits_with_64"),
    (
        Code::Command,
        "a command",
        "tests/cli.rs",
        "an_error_is_json_where_the_answer_would_have_been",
    ),
    (
        Code::StateStore,
        "a store on disk",
        "tests/cli.rs",
        "a_second_dollop_is_told_who_is_at_work",
    ),
    (
        Code::StateNote,
        "a store on disk",
        "tests/cli.rs",
        "a_second_dollop_is_told_who_is_at_work",
    ),
    (Code::StackRenamed, "a store on disk", "tests/answers.rs", "a_renamed_stack_is_told"),
    (
        Code::DataLoss,
        "a queue with messages",
        "tests/live/rabbitmq/losses.rs",
        "a_queue_with_messages_is_replaced_only_with_consent",
    ),
    (
        Code::HostPortTaken,
        "an engine and its machine",
        "tests/live/docker/replace.rs",
        "a_plan_asks_the_engine_what_stands_against_it",
    ),
    (
        Code::HostLacks,
        "an engine and its machine",
        "tests/live/docker/replace.rs",
        "a_plan_asks_the_engine_what_stands_against_it",
    ),
    (
        Code::HostTooSmall,
        "an engine and its machine",
        "tests/live/docker/replace.rs",
        "a_plan_asks_the_engine_what_stands_against_it",
    ),
    (
        Code::HostMayLack,
        "an engine and its machine",
        "tests/live/docker/replace.rs",
        "a_plan_asks_the_engine_what_stands_against_it",
    ),
];

thread_local! {
    /// The codes the cases have led to.
    static SEEN: RefCell<BTreeSet<Code>> = const { RefCell::new(BTreeSet::new()) };
}

fn seen<'a>(found: impl IntoIterator<Item = &'a Diagnostic>) {
    SEEN.with_borrow_mut(|seen| seen.extend(found.into_iter().map(|found| found.code)));
}

#[test]
fn every_case_says_what_it_should() {
    let mut files = Vec::new();
    find(&root().join("tests/suite"), &mut files);
    files.sort();
    let bless = std::env::var_os("DOLLOP_BLESS").is_some();
    let (mut cases, mut wrong) = (0, Vec::new());
    let mut names = BTreeSet::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let mut blessed = String::new();
        for case in split(&text) {
            cases += 1;
            // Its name is that of its world.
            assert!(names.insert(case.name.clone()), "two cases are called `{}`", case.name);
            let actual = run(&case);
            if actual != case {
                wrong.push(format!(
                    "{}: {}\n{}",
                    file.display(),
                    case.name,
                    diff(&case, &actual)
                ));
            }
            write_case(&mut blessed, &actual);
        }
        if bless && blessed != text {
            std::fs::write(&file, blessed).unwrap();
        }
    }
    let scripts = root().join("engine/src/script/tests");
    let mut others = Vec::new();
    find(&scripts, &mut others);
    let more: usize = others
        .iter()
        .map(|file| std::fs::read_to_string(file).unwrap())
        .map(|text| text.lines().filter(|line| line.starts_with("=== ")).count())
        .sum();
    println!("{cases} cases here, {more} in engine/src/script/tests, {} in all", cases + more);
    // A floor, so that a file that is no longer found does not go unnoticed.
    assert!(cases >= CASES, "{cases} cases, {CASES} are known");
    assert!(bless || wrong.is_empty(), "{} wrong\n\n{}", wrong.len(), wrong.join("\n"));
    every_code_has_a_case();
}

/// A new code needs a case here, or a place in [`ELSEWHERE`] with a test that exists.
fn every_code_has_a_case() {
    let here = SEEN.take();
    let elsewhere: BTreeSet<Code> = ELSEWHERE.iter().map(|(code, ..)| *code).collect();
    let missing: Vec<_> = Code::ALL
        .iter()
        .filter(|code| !here.contains(code) && !elsewhere.contains(code))
        .map(|code| format!("{code}: {}", code.title()))
        .collect();
    assert!(missing.is_empty(), "codes without a case:\n{}", missing.join("\n"));
    for (code, why, file, test) in ELSEWHERE {
        assert!(!here.contains(&code), "{code} has a case here now: it is not only {why}");
        let text = std::fs::read_to_string(root().join(file)).unwrap();
        assert!(text.contains(&format!("fn {test}(")), "{code}: no test `{test}` in {file}");
    }
}

#[derive(Clone, PartialEq)]
struct Case {
    name: String,
    sections: Vec<(String, String)>,
}

fn find(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            find(&path, found);
        } else if path.extension() == Some("test".as_ref()) {
            found.push(path);
        }
    }
}

fn split(text: &str) -> Vec<Case> {
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

fn write_case(out: &mut String, case: &Case) {
    if !out.is_empty() {
        out.push('\n');
    }
    writeln!(out, "=== {}", case.name).unwrap();
    for (name, body) in &case.sections {
        write!(out, "--- {name}\n{}", if body == "\n" { "" } else { body }).unwrap();
    }
}

fn diff(expected: &Case, actual: &Case) -> String {
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

/// The files of a case, by path.
struct CaseFiles<'a>(&'a BTreeMap<String, String>);

impl Files for CaseFiles<'_> {
    fn read(&self, path: &str) -> Result<Arc<str>, FileError> {
        let found = self.0.get(path).map(|text| text.as_str().into());
        found.ok_or_else(|| FileError::Missing(path.to_owned()))
    }

    /// Files are there or not; what a command would print nobody needs to know.
    fn secret(&self, source: &SecretSource) -> Result<Option<Arc<str>>, FileError> {
        match source {
            SecretSource::File(path) => self.read(path).map(Some),
            _ => Ok(None),
        }
    }

    fn exists(&self, path: &str) -> Option<bool> {
        Some(self.0.contains_key(path.strip_prefix("./").unwrap_or(path)))
    }

    fn list(&self, folder: &str) -> Result<Vec<String>, FileError> {
        let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        Ok(self
            .0
            .keys()
            .filter_map(|path| path.strip_prefix(&prefix))
            .map(str::to_owned)
            .collect())
    }
}

struct Quiet;

impl Watcher for Quiet {
    fn started(&self, _: &Step) {}
    fn finished(&self, _: &Step, _: Option<&str>) {}
    fn failed(&self, _: &Step, _: &CallError) {}
    fn skipped(&self, _: &Step, _: &Address) {}
}

fn registry() -> Arc<Registry> {
    Arc::new(fake::register(dollop_stdlib::registry()))
}

/// Runs a case and returns it with what really happened in its expectations.
fn run(case: &Case) -> Case {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let stack: String =
        case.name.chars().map(|c| if c.is_alphanumeric() { c } else { '-' }).collect();
    let folder = tempfile::tempdir().unwrap();
    let registry = registry();
    let store = MemoryStore::default();
    let mut files = BTreeMap::new();
    let mut parameters: BTreeMap<String, Given> = BTreeMap::new();
    let mut profiles = Profiles::default();
    let mut replace: BTreeSet<Address> = BTreeSet::new();
    let mut environment = "default".to_owned();
    let mut actual = case.clone();
    for (section, body) in &mut actual.sections {
        let scope = Scope { stack: stack.clone(), folder: folder.path().to_owned() };
        let pool = Pool::new(registry.clone(), scope);
        let request = Request {
            stack: &stack,
            environment: &environment,
            entry: "main.rhai",
            files: &CaseFiles(&files),
            registry: &registry,
            parameters: &parameters,
            profiles: &profiles,
        };
        match section.as_str() {
            // The ones that are on, one a line; `keep dormant` for what they leave.
            "profiles" => {
                profiles = Profiles::default();
                for line in body.lines() {
                    match line {
                        "" => {}
                        "*" => profiles.all = true,
                        "keep dormant" => profiles.keep_dormant = true,
                        name => {
                            profiles.names.insert(name.to_owned());
                        }
                    }
                }
            }
            "script" => {
                files.insert("main.rhai".to_owned(), body.clone());
            }
            "params" => {
                parameters = body
                    .lines()
                    .filter_map(|line| line.split_once('='))
                    .map(|(name, value)| {
                        let value = GivenValue::Text(value.to_owned());
                        (name.to_owned(), Given::new(value, "flag `--param`"))
                    })
                    .collect();
            }
            "environment" => body.trim().clone_into(&mut environment),
            "recorded" => runtime.block_on(recorded(&store, &stack, body)),
            "replace" => replace = body.lines().map(|line| line.parse().unwrap()).collect(),
            "taint" => runtime.block_on(taint(&store, body)),
            "world" => {
                for line in body.lines() {
                    by_hand(&stack, line);
                }
            }
            "state" => {
                let state = store.state().unwrap();
                *body = state.records.keys().fold(String::new(), |mut text, address| {
                    writeln!(text, "{address}").unwrap();
                    text
                });
            }
            "made" => {
                let graph = evaluate(&request).and_then(graph::build);
                let graph = graph
                    .unwrap_or_else(|found| panic!("{}: {}", case.name, show_findings(&found)));
                runtime.block_on(made::made(&graph, &store, &registry, body));
            }
            "error" | "plan" | "offline" => {
                let planned = if section == "offline" {
                    evaluate(&request).and_then(graph::build).and_then(|graph| {
                        let state = store.state().unwrap();
                        plan(&graph, &state, &Observed::default(), &registry, &made::offline())
                    })
                } else {
                    runtime.block_on(planned(&request, &store, &pool, false, &replace))
                };
                *body = match planned {
                    Ok(plan) => show_plan(&plan),
                    Err(findings) => show_findings(&findings),
                };
            }
            "check" => *body = checked(&request),
            "apply" | "destroy" => {
                let destroy = section == "destroy";
                world(&stack).lock().unwrap().calls.clear();
                let planned =
                    runtime.block_on(planned(&request, &store, &pool, destroy, &replace));
                *body = match planned {
                    Err(findings) => show_findings(&findings),
                    Ok(plan) => {
                        let state = store.state().unwrap();
                        world(&stack).lock().unwrap().calls.clear();
                        runtime.block_on(applied(&plan, &state, &pool, &store, &stack))
                    }
                };
            }
            other => match (other.strip_prefix("file "), other.strip_prefix("import ")) {
                (Some(path), _) => {
                    files.insert(path.to_owned(), body.clone());
                }
                (_, Some(address)) => {
                    let address = address.parse().unwrap();
                    let shown = CaseFiles(&files);
                    let text = imported::imported(&request, &shown, &store, &pool, &address);
                    *body =
                        runtime.block_on(text).unwrap_or_else(|found| show_findings(&found));
                }
                _ => panic!("{}: unknown section `{other}`", case.name),
            },
        }
        *body = format!("{}\n", body.trim_end());
    }
    actual
}

/// What `check` finds, warnings included.
fn checked(request: &Request<'_>) -> String {
    let graph = match evaluate(request).and_then(graph::build) {
        Ok(graph) => graph,
        Err(findings) => return show_findings(&findings),
    };
    let diagnostics = analyse(&graph, request.registry, request.files);
    if diagnostics.is_empty() {
        return "nothing\n".to_owned();
    }
    let mut text = String::new();
    for found in diagnostics {
        writeln!(text, "{}", found.code).unwrap();
        let sources = graph.program().sources.clone();
        text += &show_findings(&Findings { diagnostics: vec![found], sources });
    }
    text
}

/// Writes records nobody here has made.
async fn recorded(store: &MemoryStore, stack: &str, body: &str) {
    store.begin(run_info(stack)).await.unwrap();
    for (number, line) in body.lines().enumerate() {
        let address: Address = line.parse().unwrap();
        let step = StepId(u32::try_from(number).unwrap());
        let record = Record {
            connection: Some("fake::engine.default".parse().unwrap()),
            ..made::record(&address, Value::Null, &[])
        };
        let effect = Effect::Put(Box::new(record));
        store
            .append(Event::Started { step, address, intent: None, deposed: None })
            .await
            .unwrap();
        store.append(Event::Done { step, effect }).await.unwrap();
    }
    store.finish(RunEnd { complete: true, outputs: None }).await.unwrap();
}

async fn taint(store: &MemoryStore, body: &str) {
    let state = store.state().unwrap();
    for (number, line) in body.lines().enumerate() {
        let address: Address = line.parse().unwrap();
        let record = Record { tainted: true, ..state.records[&address].clone() };
        let step = StepId(u32::try_from(number).unwrap());
        let effect = Effect::Put(Box::new(record));
        store.begin(run_info(&state.stack)).await.unwrap();
        store
            .append(Event::Started { step, address, intent: None, deposed: None })
            .await
            .unwrap();
        store.append(Event::Done { step, effect }).await.unwrap();
        store.finish(RunEnd { complete: true, outputs: None }).await.unwrap();
    }
}

fn run_info(stack: &str) -> RunInfo {
    RunInfo {
        stack: stack.to_owned(),
        command: "apply".to_owned(),
        plan: String::new(),
        who: "suite".to_owned(),
        when: String::new(),
    }
}

async fn planned(
    request: &Request<'_>,
    store: &MemoryStore,
    pool: &Pool,
    destroy: bool,
    replace: &BTreeSet<Address>,
) -> Result<Plan, Findings> {
    let program = if destroy {
        Program { stack: request.stack.to_owned(), ..Program::default() }
    } else {
        evaluate(request)?
    };
    let graph: Graph = graph::build(program)?;
    let state = store.state().unwrap();
    let options = Options { destroy, replace: replace.clone(), ..Options::default() };
    let observed = refresh(&graph, &state, pool, &options).await;
    plan(&graph, &state, &observed, pool.registry(), &options)
}

async fn applied(
    plan: &Plan,
    state: &dollop_engine::store::State,
    pool: &Pool,
    store: &MemoryStore,
    stack: &str,
) -> String {
    let settings =
        Settings { parallelism: 1, patience: Duration::from_millis(10), run: run_info(stack) };
    let report = apply(plan, state, pool, store, &Quiet, settings).await.unwrap();
    let mut text = String::new();
    for call in &world(stack).lock().unwrap().calls {
        if !call.starts_with("read") {
            writeln!(text, "{call}").unwrap();
        }
    }
    SEEN.with_borrow_mut(|seen| {
        seen.extend(report.failed.iter().map(|(_, e)| e.failure.code()));
    });
    seen(&report.checks);
    for (step, error) in &report.failed {
        writeln!(text, "failed {}: {error}", step.address).unwrap();
        for note in &error.notes {
            writeln!(text, "  note: {note}").unwrap();
        }
        for hint in &error.hints {
            writeln!(text, "  hint: {hint}").unwrap();
        }
    }
    for (step, because) in &report.skipped {
        writeln!(text, "skipped {} because of {because}", step.address).unwrap();
    }
    for found in &report.checks {
        let severity =
            if found.code.severity() == Severity::Error { "error" } else { "warning" };
        writeln!(text, "{severity}: {}", found.message).unwrap();
        for note in &found.notes {
            writeln!(text, "  note: {note}").unwrap();
        }
    }
    for (name, value) in &report.outputs {
        writeln!(text, "output {name} = {value}").unwrap();
    }
    if text.is_empty() {
        text.push_str("nothing\n");
    }
    text
}

/// A plan in a form made for tests: nothing of the presentation.
fn show_plan(plan: &Plan) -> String {
    let mut text = String::new();
    for connection in &plan.connections {
        if let Standing::Deferred(by) = &connection.standing {
            writeln!(text, "deferred {} {by:?}", connection.address).unwrap();
        }
    }
    for lookup in &plan.lookups {
        let outcome = match &lookup.outcome {
            LookupOutcome::Found { .. } => "found",
            LookupOutcome::Missing => "missing",
            LookupOutcome::Later => "later",
        };
        writeln!(text, "{outcome} {}", lookup.address).unwrap();
    }
    for change in &plan.changes {
        if change.action == Action::Keep {
            continue;
        }
        let action = format!("{:?}", change.action).to_lowercase();
        let reasons: Vec<_> = change.reasons.iter().map(|r| format!("{r:?}")).collect();
        write!(text, "{action} {}: {}", change.address, reasons.join(", ")).unwrap();
        if change.disruption != dollop_engine::schema::Disruption::None {
            write!(text, " [{:?}]", change.disruption).unwrap();
        }
        match change.succession {
            Some(succession) if succession.begun => text.push_str(" (begun)"),
            Some(_) => text.push_str(" (first)"),
            None => {}
        }
        text.push('\n');
        if matches!(change.action, Action::Delete | Action::Forget) {
            continue;
        }
        for difference in &change.differences {
            let before = difference
                .before
                .as_ref()
                .map_or("-".to_owned(), std::string::ToString::to_string);
            let after = difference
                .after
                .as_ref()
                .map_or("-".to_owned(), std::string::ToString::to_string);
            write!(text, "  {}: {before} → {after}", difference.path).unwrap();
            text.push_str(if difference.drift { " drift" } else { "" });
            text.push_str(if difference.replaces { " replaces" } else { "" });
            text.push('\n');
        }
    }
    for address in &plan.dormant {
        writeln!(text, "dormant {address}").unwrap();
    }
    for output in plan.outputs.iter().filter(|output| output.differs()) {
        let after =
            output.after.as_ref().map_or("-".to_owned(), std::string::ToString::to_string);
        writeln!(text, "output {} → {after}", output.name).unwrap();
    }
    let shown = plan.steps.iter().filter(|step| {
        plan.change(&step.address).is_none_or(|change| change.action != Action::Keep)
    });
    for step in shown {
        let needs: Vec<_> = step.needs.iter().map(|need| need.0.to_string()).collect();
        let operation = match step.operation {
            Operation::Record => continue,
            other => format!("{other:?}").to_lowercase(),
        };
        write!(text, "{:>3} {operation} {}", step.id.0, step.address).unwrap();
        if !needs.is_empty() {
            write!(text, " after {}", needs.join(" ")).unwrap();
        }
        text.push('\n');
    }
    for check in plan.checks.iter().filter(|check| check.standing != CheckStanding::Passes) {
        let standing = format!("{:?}", check.standing).to_lowercase();
        writeln!(text, "check {}: {standing}", check.check.name).unwrap();
    }
    seen(&plan.warnings);
    for warning in &plan.warnings {
        writeln!(text, "warning: {}", warning.message).unwrap();
        for note in &warning.notes {
            writeln!(text, "  note: {note}").unwrap();
        }
        for hint in &warning.hints {
            writeln!(text, "  hint: {hint}").unwrap();
        }
    }
    if text.is_empty() {
        text.push_str("no changes\n");
    }
    text
}

fn show_findings(findings: &Findings) -> String {
    seen(&findings.diagnostics);
    let mut text = String::new();
    for found in &findings.diagnostics {
        let place = found.span.as_ref().map_or(String::new(), |span| format!("{span}: "));
        writeln!(text, "{place}{}", found.message).unwrap();
        if let Some(span) = &found.span
            && let Some(source) = findings.sources.0.get(&span.file)
            && let Some(line) = source.lines().nth(span.line as usize - 1)
        {
            let shift = line.len() - line.trim_start().len();
            let column = (span.column as usize - 1).saturating_sub(shift);
            writeln!(text, "  {}", line.trim_start()).unwrap();
            writeln!(text, "  {}{}", " ".repeat(column), "^".repeat(span.length as usize))
                .unwrap();
        }
        for (span, words) in &found.related {
            writeln!(text, "  {span}: {words}").unwrap();
        }
        for (name, span) in &found.trace {
            writeln!(text, "  in {name}: {span}").unwrap();
        }
        for note in &found.notes {
            writeln!(text, "  note: {note}").unwrap();
        }
        for hint in &found.hints {
            writeln!(text, "  hint: {hint}").unwrap();
        }
    }
    text
}

fn by_hand(stack: &str, line: &str) {
    let shared = world(stack);
    let mut world = shared.lock().unwrap();
    let words: Vec<&str> = line.splitn(5, ' ').collect();
    let key = |at: usize| (words[at].to_owned(), words[at + 1].to_owned());
    match words[0] {
        "remove" => {
            assert!(world.objects.remove(&key(1)).is_some(), "{line}: {:?}", world.objects);
        }
        "set" => {
            let known = format!("{:?}", world.objects.keys());
            let object = world.objects.get_mut(&key(1)).unwrap_or_else(|| panic!("{known}"));
            object.spec[words[3]] = serde_json::from_str(words[4]).unwrap();
        }
        "own" => words[3].clone_into(&mut world.objects.get_mut(&key(1)).expect(line).owner),
        "add" => {
            let spec = serde_json::from_str(&words[3..].join(" ")).unwrap();
            let id = format!("by-hand-{}", words[2]);
            let object = Object { id, spec, owner: String::new() };
            world.objects.insert(key(1), object);
        }
        "fail" => {
            world.failing.insert(line["fail ".len()..].to_owned());
        }
        "half" => {
            let spec = serde_json::from_str(&words[2..].join(" ")).unwrap();
            world.half.insert(words[1].to_owned(), spec);
        }
        "slow" => {
            world.slow.insert(line["slow ".len()..].to_owned());
        }
        "impossible" => {
            world.impossible.insert(words[1].to_owned());
        }
        "sick" => {
            world.sick.insert(words[1].to_owned());
        }
        "heal" => {
            world.failing.clear();
            world.slow.clear();
            world.impossible.clear();
            world.sick.clear();
        }
        _ => panic!("unknown edit `{line}`"),
    }
}
