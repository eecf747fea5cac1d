//! How long each stage takes on graphs of 100, 1,000 and 10,000 no-op resources with three
//! references each, and how that compares to `terraform` on the same graph.
//!
//! `make bench`; after that also `target/release/bench [--full]`.
//! `--full` gives terraform the 10,000 as well, which takes it minutes. One part alone:
//! `--stages`; `--platforms`, plans of the five in `scripts/`; `--rival 50` with terraform on 50
//! resources; `--docker`, beside the bare calls to the engine and `docker-compose`;
//! `--postgres`, beside `psql` and Ansible; `--rabbitmq [VHOSTS]`, beside the bare requests and
//! Ansible, on fewer vhosts than ten if need be.

mod docker;
mod rabbitmq;

mod postgres;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dollop_engine::apply::{Settings, Watcher, apply};
use dollop_engine::files::{FileError, Files};
use dollop_engine::graph::{self, Graph};
use dollop_engine::kind::Registry;
use dollop_engine::plan::{Options, Plan, Step};
use dollop_engine::pool::Pool;
use dollop_engine::program::{Profiles, Program};
use dollop_engine::refresh::refreshed_plan;
use dollop_engine::resource::Scope;
use dollop_engine::script::{Request, evaluate};
use dollop_engine::store::{RunInfo, State, Store};
use dollop_state::{Holder, SledStore};

/// As in the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SIZES: [usize; 3] = [100, 1_000, 10_000];
const STAGES: [&str; 6] = ["evaluate", "graph", "plan", "apply", "empty plan", "destroy"];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [word, part, size, folder] = arguments.as_slice()
        && word == "--part"
    {
        measure(part, size.parse().expect("a number"), Path::new(folder));
        return;
    }
    if let [rival_only, size] = arguments.as_slice()
        && rival_only == "--rival"
    {
        rival(&[size.parse().expect("a number")]);
        return;
    }
    if let [broker, rest @ ..] = arguments.as_slice()
        && broker == "--rabbitmq"
    {
        let vhosts = rest.first().map(|vhosts| vhosts.parse().expect("a number"));
        rabbitmq::section(vhosts);
        return;
    }
    let dollop = std::env::current_exe().expect("own path").with_file_name("dollop");
    if let [part] = arguments.as_slice() {
        match part.as_str() {
            "--stages" => return stages(),
            "--platforms" => return platforms(&dollop),
            "--docker" => return docker::section(&dollop),
            "--postgres" => return postgres::section(&dollop),
            _ => {}
        }
    }
    let full = arguments.iter().any(|argument| argument == "--full");
    stages();
    rival(if full { &SIZES } else { &SIZES[..2] });
    if dollop.exists() {
        platforms(&dollop);
        docker::section(&dollop);
        postgres::section(&dollop);
        rabbitmq::section(None);
    }
}

/// How often each size is measured: the middle one counts, as a shared machine has its moods.
const ROUNDS: usize = 5;

/// The sizes in turn, so that a slow minute of the machine slows all of them.
fn stages() {
    let mut rounds: BTreeMap<usize, Vec<Vec<f64>>> = BTreeMap::new();
    for _ in 0..ROUNDS {
        for size in SIZES {
            rounds.entry(size).or_default().push(figures(size));
        }
    }
    let table: BTreeMap<usize, Vec<f64>> =
        rounds.iter().map(|(size, rounds)| (*size, medians(rounds))).collect();
    println!("milliseconds, median of {ROUNDS} processes each; growth is 1,000 → 10,000");
    println!("{:<12} {:>9} {:>9} {:>9} {:>8}", "stage", 100, 1000, 10000, "growth");
    for (index, stage) in STAGES.iter().enumerate() {
        let of = |size: usize| table[&size][index];
        println!(
            "{stage:<12} {:>9.1} {:>9.1} {:>9.1} {:>7.1}×",
            of(100),
            of(1_000),
            of(10_000),
            of(10_000) / of(1_000)
        );
    }
    let memory = |size: usize| table[&size][STAGES.len()];
    println!(
        "{:<12} {:>9.1} {:>9.1} {:>9.1} {:>7.1}×   MiB",
        "peak memory",
        memory(100),
        memory(1_000),
        memory(10_000),
        memory(10_000) / memory(1_000)
    );
}

/// What `--part` measures, each in a process of its own, as people run it.
const PARTS: [&str; 3] = ["apply", "empty plan", "destroy"];

/// One size's figures, stage by stage, and the most memory that any of its processes took.
fn figures(size: usize) -> Vec<f64> {
    let folder = tempfile::tempdir().expect("a folder");
    let mut took = Vec::new();
    let mut memory: f64 = 0.0;
    for part in PARTS {
        let output = Command::new(std::env::current_exe().expect("own path"))
            .args(["--part", part, &size.to_string()])
            .arg(folder.path())
            .output()
            .expect("the benchmark runs itself");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let line = String::from_utf8_lossy(&output.stdout);
        took.extend(line.split_whitespace().map(|word| word.parse::<f64>().expect("a number")));
        memory = memory.max(took.pop().expect("the memory comes last"));
    }
    took.push(memory);
    took
}

/// The middle of each column.
fn medians(rounds: &[Vec<f64>]) -> Vec<f64> {
    (0..=STAGES.len())
        .map(|column| {
            let mut all: Vec<f64> = rounds.iter().map(|round| round[column]).collect();
            all.sort_by(f64::total_cmp);
            all[all.len() / 2]
        })
        .collect()
}

struct NoFiles(String);

impl Files for NoFiles {
    fn read(&self, path: &str) -> Result<Arc<str>, FileError> {
        if path == "stack.rhai" {
            return Ok(self.0.as_str().into());
        }
        Err(FileError::Missing(path.to_owned()))
    }
}

struct Quiet;

impl Watcher for Quiet {
    fn started(&self, _: &Step) {}
    fn finished(&self, _: &Step, _: Option<&str>) {}
    fn failed(&self, step: &Step, error: &dollop_engine::error::CallError) {
        panic!("{}: {error}", step.address);
    }
    fn skipped(&self, _: &Step, _: &dollop_engine::address::Address) {}
}

/// The stack: each resource refers to the three before it.
fn script(size: usize) -> String {
    format!(
        "let all = [];\n\
         for i in 0..{size} {{\n\
         \x20   let needs = [];\n\
         \x20   for back in 1..=3 {{ if i >= back {{ needs.push(all[i - back].id); }} }}\n\
         \x20   all.push(local::data(`n${{i}}`, #{{ input: needs }}));\n\
         }}\n"
    )
}

/// The same stack without a loop.
fn written_out(size: usize) -> String {
    let mut text = String::new();
    for number in 0..size {
        let needs: Vec<String> = (1..=3)
            .filter(|back| number >= *back)
            .map(|back| format!("n{}.id", number - back))
            .collect();
        text.push_str(&format!(
            "let n{number} = local::data(\"n{number}\", #{{ input: [{}] }});\n",
            needs.join(", ")
        ));
    }
    text
}

/// One part of the life of a stack in `folder`: prints what its stages took, in
/// milliseconds, and the peak memory in MiB.
fn measure(part: &str, size: usize, folder: &Path) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let took = runtime.expect("a runtime").block_on(async {
        let registry = Arc::new(dollop_stdlib::registry());
        let scope = Scope { stack: "bench".to_owned(), folder: folder.to_owned() };
        let pool = Pool::new(registry.clone(), scope);
        match part {
            "apply" => first(size, folder, &registry, &pool).await,
            "empty plan" => again(size, folder, &registry, &pool).await,
            _ => destroy(folder, &pool).await,
        }
    });
    let figures: Vec<String> = took
        .iter()
        .map(|took| format!("{:.3}", took.as_secs_f64() * 1000.0))
        .chain([format!("{:.3}", peak_memory())])
        .collect();
    println!("{}", figures.join(" "));
}

/// Evaluate, graph, plan and apply.
async fn first(
    size: usize,
    folder: &Path,
    registry: &Arc<Registry>,
    pool: &Pool,
) -> Vec<Duration> {
    let mut took = Vec::new();
    let program = timed(&mut took, || evaluated(size, registry));
    let stack = timed(&mut took, || graph::build(program).expect("no cycle"));
    let start = Instant::now();
    let plan = planned(&stack, &State::default(), pool, false).await;
    took.push(start.elapsed());
    assert_eq!(plan.summary().create, size);
    let start = Instant::now();
    let store = SledStore::open(&folder.join(".dollop"), &holder()).expect("a store");
    let state = store.state().expect("a state");
    run(&plan, &state, pool, &store).await;
    took.push(start.elapsed());
    took
}

/// The plan of what is there already, from reading script and state to the end.
async fn again(
    size: usize,
    folder: &Path,
    registry: &Arc<Registry>,
    pool: &Pool,
) -> Vec<Duration> {
    let start = Instant::now();
    let read = dollop_state::read_state(&folder.join(".dollop")).expect("a state");
    let stack = graph::build(evaluated(size, registry)).expect("no cycle");
    let empty = planned(&stack, &read.state, pool, false).await;
    let took = start.elapsed();
    assert!(!empty.has_changes(), "the second plan is empty");
    vec![took]
}

/// Planning that everything goes, and doing it.
async fn destroy(folder: &Path, pool: &Pool) -> Vec<Duration> {
    let start = Instant::now();
    let store = SledStore::open(&folder.join(".dollop"), &holder()).expect("a store");
    let state = store.state().expect("a state");
    let nothing = Program { stack: "bench".to_owned(), ..Program::default() };
    let nothing = graph::build(nothing).expect("no cycle");
    let all = planned(&nothing, &state, pool, true).await;
    run(&all, &state, pool, &store).await;
    vec![start.elapsed()]
}

fn evaluated(size: usize, registry: &Registry) -> Program {
    let request = Request {
        stack: "bench",
        environment: "default",
        entry: "stack.rhai",
        files: &NoFiles(script(size)),
        registry,
        parameters: &BTreeMap::new(),
        profiles: &Profiles::default(),
        discoverer: None,
        told: None,
    };
    evaluate(&request).expect("the script is right")
}

fn holder() -> Holder {
    Holder {
        who: "bench".to_owned(),
        host: "here".to_owned(),
        pid: std::process::id(),
        command: "bench".to_owned(),
    }
}

fn timed<T>(took: &mut Vec<Duration>, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    took.push(start.elapsed());
    result
}

async fn planned(graph: &Graph, state: &State, pool: &Pool, destroy: bool) -> Plan {
    let options = Options { destroy, ..Options::default() };
    refreshed_plan(graph, state, pool, &options).await.expect("a plan")
}

async fn run(plan: &Plan, state: &State, pool: &Pool, store: &dyn Store) {
    let settings = Settings {
        parallelism: 10,
        patience: Duration::from_secs(1),
        run: RunInfo {
            stack: "bench".to_owned(),
            command: "apply".to_owned(),
            plan: String::new(),
            who: "bench".to_owned(),
            when: "2026-01-01T00:00:00Z".to_owned(),
        },
    };
    let report = apply(plan, state, pool, store, &Quiet, settings).await.expect("stored");
    assert!(report.complete());
}

/// The most memory this process has held, in MiB.
fn peak_memory() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or_default();
    let kib: f64 = line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).unwrap_or(0.0);
    kib / 1024.0
}

/// Whole processes, in turn, on the same graph.
fn rival(sizes: &[usize]) {
    let terraform = Command::new("terraform").arg("version").output();
    if !terraform.is_ok_and(|output| output.status.success()) {
        println!("\nno `terraform` on the PATH: no comparison");
        return;
    }
    let dollop = std::env::current_exe().expect("own path").with_file_name("dollop");
    if !dollop.exists() {
        println!("\nno release binary beside this one: run `make bench`");
        return;
    }
    println!("\nwhole processes, seconds: dollop / terraform = ratio");
    for size in sizes {
        let ours = tempfile::tempdir().expect("a folder");
        std::fs::write(ours.path().join("stack.rhai"), script(*size)).expect("the script");
        let theirs = tempfile::tempdir().expect("a folder");
        std::fs::write(theirs.path().join("main.tf"), terraform_stack(*size))
            .expect("the stack");
        spent(Command::new("terraform").arg("init").current_dir(theirs.path()));
        let line = |name: &str, own: f64, other: f64| {
            println!("{size:>6} {name:<18} {own:>8.3} / {other:>8.3} = {:.4}", own / other);
        };
        // Reading alone: as a loop, as people write it, and written out, as terraform has it.
        let written = tempfile::tempdir().expect("a folder");
        std::fs::write(written.path().join("stack.rhai"), written_out(*size))
            .expect("the script");
        let check =
            |at: &Path| median(|| spent(Command::new(&dollop).arg("check").current_dir(at)));
        let validate =
            || spent(Command::new("terraform").arg("validate").current_dir(theirs.path()));
        let validate = median(validate);
        line("check", check(ours.path()), validate);
        line("check, written out", check(written.path()), validate);
        let steps: [(&str, &[&str], &[&str]); 4] = [
            ("plan", &["plan"], &["plan"]),
            ("apply", &["apply", "--auto-approve"], &["apply", "-auto-approve"]),
            ("empty plan", &["plan"], &["plan"]),
            ("destroy", &["destroy", "--auto-approve"], &["destroy", "-auto-approve"]),
        ];
        for (name, own, other) in steps {
            let own = spent(Command::new(&dollop).args(own).current_dir(ours.path()));
            let other = spent(Command::new("terraform").args(other).current_dir(theirs.path()));
            line(name, own, other);
        }
    }
}

/// The middle one of five.
fn median(measure: impl Fn() -> f64) -> f64 {
    let mut figures: Vec<f64> = (0..5).map(|_| measure()).collect();
    figures.sort_by(f64::total_cmp);
    figures[2]
}

/// A plan of each platform with all its profiles, without an engine.
fn platforms(dollop: &Path) {
    println!("\nplans of platforms without an engine, whole processes, median seconds");
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts");
    for name in ["taylordash", "expert-dollop", "bi-agent", "dictamesh", "hy-home"] {
        let folder = tempfile::tempdir().expect("a folder");
        spent(Command::new("cp").arg("-r").arg(scripts.join(name)).arg(folder.path()));
        let mut rounds: Vec<_> = (0..ROUNDS)
            .map(|_| {
                let mut plan = Command::new(dollop);
                plan.args(["plan", "--no-refresh", "--profile", "*"]);
                plan.env("DOCKER_HOST", "unix:///nowhere/docker.sock");
                spent(plan.current_dir(folder.path().join(name)))
            })
            .collect();
        rounds.sort_by(f64::total_cmp);
        println!("{name:<16} {:>8.2}", rounds[ROUNDS / 2]);
    }
}

fn spent(command: &mut Command) -> f64 {
    let start = Instant::now();
    let output = command.output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    start.elapsed().as_secs_f64()
}

/// The same graph for terraform, which cannot refer back within one counted resource.
fn terraform_stack(size: usize) -> String {
    let mut text = String::new();
    for number in 0..size {
        let needs: Vec<String> = (1..=3)
            .filter(|back| number >= *back)
            .map(|back| format!("terraform_data.n{}.id", number - back))
            .collect();
        text.push_str(&format!(
            "resource \"terraform_data\" \"n{number}\" {{\n  input = [{}]\n}}\n",
            needs.join(", ")
        ));
    }
    text
}
