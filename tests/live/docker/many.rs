//! What a look at very many containers costs.

use std::path::{Path, PathBuf};

use dollop_tests::cli::Project;
use dollop_tests::proxy::Proxy;

use crate::live::quickstart::Stack;

const MANY: usize = 200;

fn socket() -> PathBuf {
    let host = std::env::var("DOCKER_HOST").unwrap_or_default();
    Path::new(host.strip_prefix("unix://").unwrap_or("/var/run/docker.sock")).to_owned()
}

#[test]
fn a_look_at_200_containers_is_one_list_and_an_inspection_each() {
    let name = "dollop-test-many";
    let script = format!(
        "for n in 0..{MANY} {{
            docker::container(`c${{n}}`, #{{ image: \"busybox:1.35\", running: false }});
        }}"
    );
    let folder = tempfile::tempdir().expect("a folder");
    let listen = folder.path().join("docker.sock");
    let proxy = Proxy::unix(&listen, socket());
    let host = format!("unix://{}", listen.display());
    let stack = Stack::of(Project::new(name, &script).env("DOCKER_HOST", &host), name);
    stack.apply();
    drop(proxy.take());
    stack.expect_no_changes();

    let lines: Vec<Vec<String>> = proxy
        .take()
        .iter()
        .map(|sent| {
            let text = String::from_utf8_lossy(sent).into_owned();
            let lines = text.lines().filter_map(|line| line.strip_suffix(" HTTP/1.1"));
            lines.map(str::to_owned).collect()
        })
        .collect();
    let all: Vec<&String> = lines.iter().flatten().collect();
    let lists = all.iter().filter(|line| line.contains("/containers/json")).count();
    let is_inspection =
        |line: &&String| line.contains("/containers/") && !line.contains("/containers/json");
    let mut inspected: Vec<&&String> = all.iter().filter(|line| is_inspection(line)).collect();
    let inspections = inspected.len();
    inspected.sort();
    inspected.dedup();
    let side_by_side =
        lines.iter().filter(|lines| lines.iter().any(|line| is_inspection(&line))).count();
    println!(
        "a plan of {MANY} containers: {lists} list, {inspections} inspections over \
         {side_by_side} connections, {} requests in all",
        all.len()
    );
    assert_eq!(lists, 1, "{all:#?}");
    assert_eq!(inspections, inspected.len(), "one each at most");
    assert!(inspections <= MANY, "{inspections}");
    assert!(side_by_side > 1, "they are under way at once");
    assert!(all.len() < MANY + 10, "nothing else grows: {}", all.len());

    // With something to do, the plan asks for nothing more for those that stay.
    stack.project.write("stack.rhai", &script.replace("0..200", "0..201"));
    drop(stack.project.run(&["plan"]).expect(0));
    let lists: usize =
        proxy.requests().iter().filter(|request| request.contains("/containers/json")).count();
    assert_eq!(lists, 1, "the survey knows them already");
    stack.project.write("stack.rhai", "");
    stack.apply();
}
