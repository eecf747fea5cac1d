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
//! --- part              `only PATTERN` and `exclude PATTERN`: plans from here on are for these
//! --- taint             addresses marked as broken in the state
//! --- state             the addresses in the state
//! --- import ADDRESS    the script of what exists there, and what the next plan says of it
//! ```

mod case;
mod discovered;
mod hand;
mod imported;
mod made;
mod run;
mod show;

use std::cell::RefCell;
use std::collections::BTreeSet;

use case::{diff, find, split, write_case};
use dollop_engine::diagnostic::{Code, Diagnostic};
use dollop_tests::cli::root;
use run::run;

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
    (
        Code::Command,
        "a command",
        "tests/cli/formats.rs",
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
    (
        Code::HostTooOld,
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
