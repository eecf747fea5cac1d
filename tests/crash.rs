//! Kill at each fault point of every step, then recover: nothing twice, nothing lost.

use dollop_tests::cli::{Project, Run};
use serde_json::Value as Json;

/// The points of a step's life at which the faulty binary can be killed.
pub(crate) const POINTS: [&str; 4] =
    ["before_started", "before_call", "after_call", "after_done"];

/// The addresses of the steps a fresh apply takes, in order.
pub(crate) fn addresses(project: &Project, arguments: &[&str]) -> Vec<String> {
    let mut all = vec!["plan", "--format", "json"];
    all.extend_from_slice(arguments);
    let run = project.run(&all).expect(0);
    let plan: Json = serde_json::from_str(&run.stdout).expect("the plan as JSON");
    plan["steps"]
        .as_array()
        .expect("steps")
        .iter()
        .map(|step| step["address"].as_str().expect("an address").to_owned())
        .collect()
}

/// Runs apply until it dies at a point, for every point of every step in turn; each run
/// goes on from where the one before died.
pub(crate) fn die_everywhere(project: &Project, command: &str, steps: &[String]) -> usize {
    let mut deaths = 0;
    for address in steps {
        for point in POINTS {
            let fault = format!("{point}@{address}");
            let run =
                project.run_until(&fault, &[command, "--auto-approve", "--parallelism", "1"]);
            assert_eq!(run.code, None, "{fault} was not reached\n{}", run.text());
            deaths += 1;
        }
    }
    deaths
}

fn done(run: Run) {
    drop(run.expect(0));
}

const LOCAL: &str = r#"
let a = local::random("a", #{ length: 12 });
let b = local::data("b", #{ input: #{ secret: a.result } });
let c = local::file("c", #{ path: "out/c.txt", content: `c of ${b.id}` });
local::file("d", #{ path: "out/d.txt", content: `d of ${c.sha256}` });
output("d", c.sha256);
"#;

#[test]
fn an_apply_that_dies_anywhere_is_finished_by_the_next() {
    let project = Project::new("local", LOCAL);
    let steps = addresses(&project, &[]);
    assert!(steps.len() >= 4, "{steps:?}");
    let deaths = die_everywhere(&project, "apply", &steps);
    assert_eq!(deaths, steps.len() * POINTS.len());

    done(project.run(&["apply", "--auto-approve"]));
    done(project.run(&["plan", "--detailed-exitcode"]));
    assert!(project.read("out/c.txt").starts_with("c of "));
    assert_eq!(project.read("out/d.txt").len(), "d of ".len() + 64);
}

#[test]
fn a_destroy_that_dies_anywhere_is_finished_by_the_next() {
    let project = Project::new("local", LOCAL);
    done(project.run(&["apply", "--auto-approve"]));
    let addresses = ["local::file.d", "local::file.c", "local::data.b", "local::random.a"];
    let steps: Vec<String> = addresses.iter().map(|address| (*address).to_owned()).collect();
    die_everywhere(&project, "destroy", &steps);
    done(project.run(&["destroy", "--auto-approve"]));
    let left = project.run(&["state", "list"]).expect(0);
    assert_eq!(left.stdout, "");
    assert!(!project.folder().join("out/c.txt").exists());
}
