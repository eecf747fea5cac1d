//! Podman behind the Docker API, in namespaces of its own like the second engine.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use dollop_tests::cli::Project;

use super::support::{BUSYBOX, docker};

/// A machine gives no more of them than it has itself, and Podman asks for a million.
const LIMITS: &str =
    "[containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=1024:1024\"]\n";

/// `podman system service`; it goes with this value, containers and all.
struct Podman {
    folder: tempfile::TempDir,
    unshare: Child,
}

impl Podman {
    /// Starts it with an image in it.
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
        std::fs::write(at("containers.conf"), LIMITS).expect("its configuration");
        let log = std::fs::File::create(at("log")).expect("a log");
        let unshare = Command::new("unshare")
            .args(["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"])
            .args(["sh", "-c", "ip link set lo up; exec podman \"$@\"", "podman"])
            .args(["--root", &at("root"), "--runroot", &at("run"), "--tmpdir", &at("tmp")])
            .args(["--network-config-dir", &at("networks"), "--storage-driver", "vfs"])
            .args(["--cgroup-manager", "cgroupfs", "--events-backend", "file"])
            .args(["system", "service", "--time=0", &format!("unix://{}", at("podman.sock"))])
            .env("CONTAINERS_CONF", at("containers.conf"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("its log"))
            .stderr(log)
            .spawn()
            .expect("unshare of util-linux, as root");
        let podman = Self { folder, unshare };
        let begun = Instant::now();
        while podman.ask(&["version"]).is_err() {
            assert!(begun.elapsed() < Duration::from_mins(1), "no answer: {}", podman.log());
            std::thread::sleep(Duration::from_millis(100));
        }
        let image = podman.folder.path().join("image.tar").to_string_lossy().into_owned();
        docker(&["save", "--output", &image, BUSYBOX]);
        podman.docker(&["load", "--quiet", "--input", &image]);
        podman
    }

    /// For `DOCKER_HOST`.
    fn host(&self) -> String {
        format!("unix://{}", self.folder.path().join("podman.sock").display())
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn ask(&self, arguments: &[&str]) -> Result<String, String> {
        let host = self.host();
        let output = Command::new("docker").args(["--host", &host]).args(arguments).output();
        let output = output.expect("the docker program");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if output.status.success() {
            Ok(text(&output.stdout))
        } else {
            Err(text(&output.stderr))
        }
    }

    /// Runs `docker` on it and returns what it prints.
    fn docker(&self, arguments: &[&str]) -> String {
        self.ask(arguments).unwrap_or_else(|error| panic!("{error}: {}", self.log()))
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        drop(self.unshare.kill());
        drop(self.unshare.wait());
    }
}

/// Jobs that end while others are asked for: each is `stopped` for a moment.
const JOBS: &str = r#"
    let kept = docker::volume("kept");
    for n in 0..4 {
        docker::job(`j${n}`, #{ image: "busybox:1.35",
            command: ["sh", "-c", `sleep 0.${n}1; echo ${n} > /kept/${n}`],
            volumes: [#{ type: "volume", source: kept, target: "/kept" }] });
    }
"#;

#[test]
fn jobs_run_on_podman_and_what_they_left_is_not_lost() {
    let podman = Podman::start();
    let project = Project::new("podman", JOBS).env("DOCKER_HOST", &podman.host());
    drop(project.run(&["apply", "--auto-approve"]).expect(0));
    let same = project.run(&["plan", "--detailed-exitcode"]);
    assert_eq!(same.code, Some(0), "{}", same.text());
    assert_eq!(podman.docker(&["ps", "--all", "--quiet"]), "", "jobs leave nothing");

    // No container has the volume, so it is looked into through one made for that.
    project.write("stack.rhai", "");
    let refused = project.run(&["apply", "--auto-approve"]).expect(1).stderr;
    assert!(refused.contains("holds 8 bytes of data, which nobody agreed"), "{refused}");
    assert!(podman.docker(&["volume", "ls"]).contains("podman-kept"));
    let agreed = ["apply", "--auto-approve", "--allow-data-loss", "docker::volume.kept"];
    drop(project.run(&agreed).expect(0));
    assert!(!podman.docker(&["volume", "ls"]).contains("podman-kept"));
    assert!(!podman.docker(&["images"]).contains("dollop-helper"), "nor does the look");
}
