//! A plan of 200 containers that changes nothing, as a whole process, beside the bare API calls
//! and beside `docker-compose` on the same containers.
//!
//! They do not run: neither tool looks longer at one that does, and 200 programs would only
//! be in the way of both.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use bollard::Docker;
use bollard::query_parameters::{
    InspectContainerOptions, ListContainersOptionsBuilder, ListImagesOptions,
};
use futures::{StreamExt as _, TryStreamExt as _, stream};

const MANY: usize = 200;
const ROUNDS: usize = 7;
const PROJECT: &str = "dollopbench";

/// Prints the ratios, with the binary at that path.
pub(super) fn section(dollop: &Path) {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    std::fs::write(folder.join("docker-compose.yml"), compose()).expect("a file");
    let rival = Command::new("docker-compose").arg("version").output();
    let rival = rival.is_ok_and(|output| output.status.success());
    // Containers with its labels are its own to `docker-compose`, too.
    let hashes = if rival { hashes(folder) } else { vec![String::new(); MANY] };
    std::fs::write(folder.join("stack.rhai"), script(&hashes)).expect("a file");
    let run = |arguments: &[&str]| {
        super::spent(Command::new(dollop).args(arguments).current_dir(folder))
    };
    let compose = |arguments: &[&str]| {
        let mut command = Command::new("docker-compose");
        super::spent(command.args(["-p", PROJECT]).args(arguments).current_dir(folder))
    };
    // What a run that was killed left behind.
    let left = ids();
    if !left.is_empty() {
        super::spent(Command::new("docker").args(["rm", "--force"]).args(left));
    }
    run(&["apply", "--auto-approve"]);
    let before = ids();
    let (mut plan, mut bare, mut ps, mut up) = (vec![], vec![], vec![], vec![]);
    for _ in 0..ROUNDS {
        bare.push(asked());
        plan.push(run(&["plan", "--detailed-exitcode"]));
        if rival {
            ps.push(compose(&["ps", "--all"]));
            up.push(compose(&["up", "--no-start"]));
        }
    }
    assert_eq!(before, ids(), "nothing was made anew");
    run(&["destroy", "--auto-approve"]);
    println!(
        "\nDocker, {MANY} containers, nothing to do, whole processes, median milliseconds"
    );
    let plan = median(plan);
    let line = |what: &str, other: Vec<f64>| {
        let other = median(other);
        println!("plan / {what:<32} {plan:>8.1} / {other:>8.1} = {:.3}", plan / other);
    };
    line("the bare API calls", bare);
    if rival {
        line("docker-compose ps --all", ps);
        line("docker-compose up --no-start", up);
    } else {
        println!("no `docker-compose` on the PATH: no comparison");
    }
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2] * 1000.0
}

/// The ids of all containers of the benchmark.
fn ids() -> Vec<String> {
    let filter = format!("label=com.docker.compose.project={PROJECT}");
    let listed = Command::new("docker").args(["ps", "-aq", "--filter", &filter]).output();
    let listed = listed.expect("the docker program");
    let mut ids: Vec<_> =
        String::from_utf8_lossy(&listed.stdout).lines().map(str::to_owned).collect();
    ids.sort();
    ids
}

fn compose() -> String {
    let mut text = "version: \"3\"\nservices:\n".to_owned();
    for n in 0..MANY {
        text.push_str(&format!("  s{n}:\n    image: busybox:1.35\n    network_mode: bridge\n"));
    }
    text
}

fn hashes(folder: &Path) -> Vec<String> {
    let output = Command::new("docker-compose")
        .args(["-p", PROJECT, "config", "--hash", "*"])
        .current_dir(folder)
        .output()
        .expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let hash = |n: usize| {
        let found = text.lines().find_map(|line| line.strip_prefix(&format!("s{n} ")));
        found.expect("a hash for each").trim().to_owned()
    };
    (0..MANY).map(hash).collect()
}

fn script(hashes: &[String]) -> String {
    let mut text = String::new();
    for (n, hash) in hashes.iter().enumerate() {
        text.push_str(&format!(
            "docker::container(\"s{n}\", #{{ name: \"{PROJECT}_s{n}_1\", image: \"busybox:1.35\", \
             running: false, labels: #{{ \"com.docker.compose.project\": \"{PROJECT}\", \
             \"com.docker.compose.service\": \"s{n}\", \
             \"com.docker.compose.container-number\": \"1\", \
             \"com.docker.compose.oneoff\": \"False\", \"com.docker.compose.version\": \"1.29.2\", \
             \"com.docker.compose.config-hash\": \"{hash}\" }} }});\n"
        ));
    }
    text
}

/// The seconds that the calls take which nobody can do without.
fn asked() -> f64 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let begun = Instant::now();
        let docker = Docker::connect_with_defaults().expect("an engine");
        let docker = docker.negotiate_version().await.expect("an answer");
        let options = ListContainersOptionsBuilder::new().all(true).build();
        let listed = docker.list_containers(Some(options)).await.expect("a list");
        drop(docker.list_images(None::<ListImagesOptions>).await.expect("a list"));
        drop(docker.info().await.expect("an answer"));
        let own = listed.into_iter().filter(|one| {
            let labels = one.labels.as_ref();
            labels.is_some_and(|labels| labels.get("dollop.stack").is_some())
        });
        let docker = &docker;
        let inspections = own.filter_map(|one| one.id).map(|id| async move {
            docker.inspect_container(&id, None::<InspectContainerOptions>).await
        });
        let all: Vec<_> = stream::iter(inspections)
            .buffer_unordered(8)
            .try_collect()
            .await
            .expect("inspections");
        assert!(all.len() >= MANY, "{}", all.len());
        let took: Duration = begun.elapsed();
        took.as_secs_f64()
    })
}
