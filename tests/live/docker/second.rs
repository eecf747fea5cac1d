//! A second Docker engine that can be stopped, started and reached over TLS.
//!
//! It lives in network, mount and process namespaces of its own: two engines in one network
//! would take the bridge and the firewall rules away from each other.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use dollop_tests::cli::Run;

/// A running engine; it goes with this value, containers and all.
pub(super) struct SecondEngine {
    folder: tempfile::TempDir,
    configuration: &'static str,
    more: Vec<String>,
    /// `unshare`, whose only child the engine is.
    unshare: Option<Child>,
}

impl SecondEngine {
    /// Starts one with more arguments and an image in it.
    pub(super) fn start(more: &[&str]) -> Self {
        Self::configured("{}", more)
    }

    /// The same with a configuration, in JSON.
    pub(super) fn configured(configuration: &'static str, more: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let more = more.iter().map(ToString::to_string).collect();
        let mut engine = Self { folder, configuration, more, unshare: None };
        engine.go_on();
        let image = engine.folder().join("image.tar");
        let save = ["save", "--output", &image.to_string_lossy(), super::support::BUSYBOX];
        super::support::docker(&save);
        engine.docker(&["load", "--quiet", "--input", &image.to_string_lossy()]);
        engine
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn socket(&self) -> PathBuf {
        self.folder().join("docker.sock")
    }

    /// For `DOCKER_HOST`.
    pub(super) fn host(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// Runs `docker` on it and returns what it prints.
    pub(super) fn docker(&self, arguments: &[&str]) -> String {
        let output = Command::new("docker")
            .args(["--host", &self.host()])
            .args(arguments)
            .output()
            .expect("the docker program");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "docker {arguments:?}: {error}\n{}", self.log());
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    fn log(&self) -> String {
        let log = std::fs::read_to_string(self.folder().join("log")).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// Starts it, again after it was stopped, and waits until it answers.
    pub(super) fn go_on(&mut self) {
        let at = |name: &str| self.folder().join(name).to_string_lossy().into_owned();
        let log = std::fs::File::options().create(true).append(true).open(at("log"));
        let log = log.expect("a log");
        // What a machine keeps in `/run`, and forgets when it is started again. A killed engine
        // leaves it behind: the number of a containerd that another process may have by now,
        // and the folders of containers that were about to start, which then never can.
        let forget = || {
            drop(std::fs::remove_file(at("pid")));
            drop(std::fs::remove_dir_all(at("exec")));
        };
        forget();
        std::fs::write(at("daemon.json"), self.configuration).expect("its configuration");
        let start = || {
            let child = Command::new("unshare")
                .args(["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"])
                .args(["sh", "-c", "ip link set lo up; exec dockerd \"$@\"", "dockerd"])
                .args(["--config-file", &at("daemon.json"), "--data-root", &at("data")])
                .args(["--exec-root", &at("exec"), "--pidfile", &at("pid")])
                .args(["--host", &self.host(), "--storage-driver", "vfs"])
                .args(["--iptables=false", "--ip6tables=false"])
                .args(&self.more)
                .stdin(Stdio::null())
                .stdout(log.try_clone().expect("its log"))
                .stderr(log.try_clone().expect("its log"))
                .spawn();
            child.expect("unshare of util-linux, as root")
        };
        let answers = || {
            let asked =
                Command::new("docker").args(["--host", &self.host(), "version"]).output();
            asked.is_ok_and(|output| output.status.success())
        };
        let begun = Instant::now();
        let mut unshare = start();
        while !answers() {
            assert!(begun.elapsed() < Duration::from_mins(3), "no answer\n{}", self.log());
            // It gives up when its containerd is slow, and an init system starts it again.
            if unshare.try_wait().is_ok_and(|ended| ended.is_some()) {
                forget();
                unshare = start();
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        self.unshare = Some(unshare);
    }

    /// The engine's own process.
    fn pid(&self) -> String {
        let unshare = self.unshare.as_ref().expect("it runs").id();
        let children = format!("/proc/{unshare}/task/{unshare}/children");
        let children = std::fs::read_to_string(children).expect("its children");
        children.split_whitespace().next().expect("the engine").to_owned()
    }

    /// Ends it with a signal; its containers end with it.
    pub(super) fn end(&mut self, signal: &str) {
        let pid = self.pid();
        let sent = Command::new("kill").args(["-s", signal, &pid]).status();
        assert!(sent.expect("kill runs").success());
        let mut unshare = self.unshare.take().expect("it runs");
        drop(unshare.wait());
    }

    /// Runs the binary in its network, where its ports are.
    pub(super) fn inside(&self, folder: &Path, arguments: &[&str]) -> Run {
        let output = Command::new("nsenter")
            .arg(format!("--net=/proc/{}/ns/net", self.pid()))
            .arg(dollop_tests::cli::binary())
            .args(arguments)
            .current_dir(folder)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.folder())
            .env("COLUMNS", "100")
            .output();
        Run::of(&output.expect("nsenter of util-linux, as root"))
    }
}

impl Drop for SecondEngine {
    fn drop(&mut self) {
        // What it left mounted is gone with its namespace. A test that failed may have come
        // here because it did not start: nothing here may fail.
        if let Some(mut unshare) = self.unshare.take() {
            drop(unshare.kill());
            drop(unshare.wait());
        }
    }
}
