//! Runs a case: each section does something, and says what came of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use dollop_engine::address::Address;
use dollop_engine::ahead::Remembered;
use dollop_engine::analysis::analyse;
use dollop_engine::apply::{Settings, Watcher, apply};
use dollop_engine::diagnostic::{Findings, Severity};
use dollop_engine::ephemeral::Recall;
use dollop_engine::error::CallError;
use dollop_engine::files::{FileError, Files, SecretSource};
use dollop_engine::graph::{self, Graph};
use dollop_engine::journal::{Effect, Event, StepId};
use dollop_engine::kind::Registry;
use dollop_engine::observed::Observed;
use dollop_engine::plan::{Options, Part, Plan, Step, plan};
use dollop_engine::pool::Pool;
use dollop_engine::program::{Fate, Given, GivenValue, Profiles, Program};
use dollop_engine::refresh::refreshed_plan;
use dollop_engine::resource::Scope;
use dollop_engine::script::{Request, answers_file, evaluate};
use dollop_engine::store::{MemoryStore, Record, RunEnd, RunInfo, State, Store};
use dollop_engine::value::Value;
use dollop_tests::fake::{self, world};

use super::case::Case;
use super::discovered::discovered;
use super::hand::by_hand;
use super::imported::imported;
use super::show::{show_findings, show_plan};
use super::{SEEN, made, seen};

/// The files of a case, by path.
pub(super) struct CaseFiles<'a>(pub(super) &'a BTreeMap<String, String>);

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
pub(super) fn run(case: &Case) -> Case {
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
    let mut part = Part::default();
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
            discoverer: None,
            told: None,
        };
        match section.as_str() {
            // The ones that are on, one a line; `keep dormant` for what they leave.
            "profiles" => {
                profiles = Profiles::default();
                for line in body.lines() {
                    match line {
                        "" => {}
                        "*" => profiles.all = true,
                        "keep dormant" => profiles.dormant = Fate::Keep,
                        "stop dormant" => profiles.dormant = Fate::Stop,
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
            "part" => part = self::part(body),
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
                    runtime.block_on(planned(&request, &store, &pool, false, &replace, &part))
                };
                *body = match planned {
                    Ok(plan) => show_plan(&plan),
                    Err(findings) => show_findings(&findings),
                };
            }
            "check" => *body = checked(&request),
            "discover" => match discovered(&request, &files, &store, &pool, &runtime) {
                Ok((answers, said)) => {
                    *body = format!("{said}{answers}");
                    files.insert(answers_file(&environment), answers);
                }
                Err(findings) => *body = show_findings(&findings),
            },
            "apply" | "destroy" => {
                let destroy = section == "destroy";
                world(&stack).lock().unwrap().calls.clear();
                let planned = runtime
                    .block_on(planned(&request, &store, &pool, destroy, &replace, &part));
                *body = match planned {
                    Err(findings) => show_findings(&findings),
                    Ok(plan) => {
                        let state = remembered(&store);
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
                    let text = imported(&request, &shown, &store, &pool, &address);
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

fn part(body: &str) -> Part {
    let mut part = Part::default();
    for line in body.lines().filter(|line| !line.is_empty()) {
        let (word, pattern) = line.split_once(' ').unwrap();
        let pattern = pattern.parse().unwrap();
        match word {
            "only" => part.only.push(pattern),
            "exclude" => part.exclude.push(pattern),
            _ => panic!("`{word}` is no part"),
        }
    }
    part
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
    part: &Part,
) -> Result<Plan, Findings> {
    let program = if destroy {
        Program { stack: request.stack.to_owned(), ..Program::default() }
    } else {
        evaluate(request)?
    };
    let graph: Graph = graph::build(program)?;
    let mut state = remembered(store);
    let recall = Recall::of(&graph, pool.registry(), &state);
    recall.fill_state(&mut state);
    let options =
        Options { destroy, replace: replace.clone(), part: part.clone(), ..Options::default() };
    let plan = refreshed_plan(&graph, &state, pool, &options).await;
    // The same, when all that is remembered was asked for before.
    let scope = pool.scope().clone();
    let calls = world(request.stack).lock().unwrap().calls.clone();
    let ahead = Arc::new(Pool::new(registry(), scope));
    for (connection, remembered) in Remembered::of(&state) {
        ahead.look_ahead(connection, remembered);
    }
    let foreseen = refreshed_plan(&graph, &state, &ahead, &options).await;
    match (&plan, foreseen) {
        (Ok(plan), Ok(foreseen)) => assert_eq!(*plan, foreseen, "{}", request.stack),
        (Err(found), Err(foreseen)) => {
            assert_eq!(show_findings(found), show_findings(&foreseen), "{}", request.stack);
        }
        (Ok(_), Err(found)) => panic!("{}: {}", request.stack, show_findings(&found)),
        (Err(found), Ok(_)) => panic!("{}: {}", request.stack, show_findings(found)),
    }
    world(request.stack).lock().unwrap().calls = calls;
    plan
}

/// The state as a store on disk gives it back.
fn remembered(store: &MemoryStore) -> State {
    let text = serde_json::to_string(&store.state().unwrap()).unwrap();
    serde_json::from_str(&text).unwrap()
}

async fn applied(
    plan: &Plan,
    state: &State,
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
