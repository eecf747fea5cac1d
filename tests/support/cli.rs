//! The real binary in a clean project folder.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{OnceLock, mpsc};
use std::time::Duration;

/// What a run of the binary left.
#[derive(Debug)]
#[must_use = "check the exit code or the output"]
pub struct Run {
    /// The exit code; `None` when it was killed.
    pub code: Option<i32>,
    /// Everything on stdout.
    pub stdout: String,
    /// Everything on stderr.
    pub stderr: String,
}

impl Run {
    /// From what a process left.
    pub fn of(output: &Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Demands an exit code.
    ///
    /// # Panics
    /// When it was another, with everything the run printed.
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(
            self.code,
            Some(code),
            "exit code\n--- stdout\n{}\n--- stderr\n{}",
            self.stdout,
            self.stderr
        );
        self
    }

    /// Exit code, stdout and stderr as one text, for snapshots.
    pub fn text(&self) -> String {
        let code = self.code.map_or("killed".to_owned(), |code| code.to_string());
        let mut text = format!("exit {code}\n");
        for (name, part) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if !part.is_empty() {
                text.push_str(&format!("--- {name}\n{part}"));
            }
        }
        text
    }
}

/// A project in a folder of its own, removed at the end.
pub struct Project {
    folder: tempfile::TempDir,
    name: String,
    env: Vec<(String, String)>,
}

impl Project {
    /// A stack called `name` with one script.
    pub fn new(name: &str, script: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let project = Self { folder, name: name.to_owned(), env: Vec::new() };
        std::fs::create_dir(project.folder()).expect("the stack's folder");
        project.write("stack.rhai", script);
        project
    }

    /// A copy of a stack under `scripts/`, under another name.
    pub fn copy_of(stack: &str, name: &str) -> Self {
        let script = root().join("scripts").join(stack).join("stack.rhai");
        let script = std::fs::read_to_string(&script).expect("a stack of the repository");
        Self::new(name, &script)
    }

    /// A copy of a stack under `scripts/` with all its files, under another name.
    pub fn copy_all(stack: &str, name: &str) -> Self {
        let project = Self::copy_of(stack, name);
        let from = root().join("scripts").join(stack);
        let mut folders = vec![from.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).expect("a folder of the stack") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    // What somebody's own runs left there.
                    if path.file_name() != Some(".dollop".as_ref()) {
                        folders.push(path);
                    }
                    continue;
                }
                let to = project.folder().join(path.strip_prefix(&from).expect("inside"));
                std::fs::create_dir_all(to.parent().expect("a folder")).expect("its folder");
                _ = std::fs::copy(&path, to).expect("a copy");
            }
        }
        project
    }

    /// The stack's folder.
    pub fn folder(&self) -> PathBuf {
        self.folder.path().join(&self.name)
    }

    /// Writes a file of the stack.
    pub fn write(&self, path: &str, text: &str) {
        let path = self.folder().join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("its folder");
        std::fs::write(path, text).expect("a file of the stack");
    }

    /// Reads a file of the stack.
    pub fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.folder().join(path)).expect("a file of the stack")
    }

    /// Sets an environment variable for every run.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Runs the binary in the stack's folder.
    pub fn run(&self, arguments: &[&str]) -> Run {
        self.run_with(binary(), arguments, &[])
    }

    /// Destroys everything, in agreement with every loss.
    pub fn destroy(&self, arguments: &[&str]) -> Run {
        let consents = self.consents(arguments);
        let mut all = vec!["destroy", "--auto-approve"];
        all.extend_from_slice(arguments);
        all.extend(consents.iter().map(String::as_str));
        self.run(&all)
    }

    /// The flags that agree with every loss there may be when everything goes.
    pub fn consents(&self, arguments: &[&str]) -> Vec<String> {
        let mut all = vec!["plan", "--destroy", "--format", "json"];
        all.extend_from_slice(arguments);
        let run = self.run(&all).expect(0);
        let plan: serde_json::Value = serde_json::from_str(&run.stdout).expect("JSON");
        let of = |list: &str| plan[list].as_array().cloned().unwrap_or_default();
        let address = |entry: &serde_json::Value| {
            entry["address"].as_str().expect("an address").to_owned()
        };
        let mut found: Vec<_> = of("losses").iter().map(address).collect();
        // What could not be looked into while planning is not among the losses.
        found.extend(
            of("changes").iter().map(address).filter(|a| a.contains("docker::volume.")),
        );
        found.sort();
        found.dedup();
        found.into_iter().flat_map(|one| ["--allow-data-loss".to_owned(), one]).collect()
    }

    /// Runs the binary that is killed (SIGKILL) at a point of a step: `before_call@local::file.a`.
    pub fn run_until(&self, fault: &str, arguments: &[&str]) -> Run {
        self.run_with(faulty(), arguments, &[("DOLLOP_FAULT", fault)])
    }

    /// Starts the binary and leaves it running, its streams in pipes.
    pub fn start(&self, arguments: &[&str]) -> Running {
        let mut command = self.command(binary(), arguments);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        Running { child: Some(child.expect("the binary starts")) }
    }

    /// Runs the binary as in a terminal, where somebody types `answer`.
    pub fn run_in_terminal(&self, arguments: &[&str], answer: &str) -> Run {
        // What is typed before the terminal is set up is kept for its first reader.
        self.run_and_answer(arguments, "", || answer.to_owned())
    }

    /// The same, where somebody waits for a question before they do something and answer.
    pub fn run_and_answer(
        &self,
        arguments: &[&str],
        question: &str,
        answer: impl FnOnce() -> String,
    ) -> Run {
        use std::io::Write as _;
        let line = format!("{} {}", binary().display(), arguments.join(" "));
        let mut command = self.command(Path::new("script"), &["-qec", &line, "/dev/null"]);
        let child = command.env("TERM", "xterm").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = child.stderr(Stdio::piped()).spawn().expect("`script` of util-linux");
        let mut typed = child.stdin.take().expect("a pipe");
        let mut screen = child.stdout.take().expect("a pipe");
        let mut shown = Vec::new();
        while !String::from_utf8_lossy(&shown).contains(question) {
            let mut part = [0; 4096];
            let many = screen.read(&mut part).expect("it is shown");
            assert!(many > 0, "never asked: {}", String::from_utf8_lossy(&shown));
            shown.extend(&part[..many]);
        }
        writeln!(typed, "{}", answer()).expect("somebody types");
        screen.read_to_end(&mut shown).expect("it is shown");
        let mut output = child.wait_with_output().expect("it ends");
        drop(typed);
        output.stdout = shown;
        Run::of(&output)
    }

    /// Every file below the stack's folder with its content; a folder has none.
    pub fn files(&self) -> BTreeMap<String, Option<Vec<u8>>> {
        let mut files = BTreeMap::new();
        let mut folders = vec![self.folder()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                let name = path.strip_prefix(self.folder()).expect("inside").to_owned();
                let name = name.to_string_lossy().into_owned();
                if path.is_dir() {
                    folders.push(path);
                    files.insert(name, None);
                } else {
                    files.insert(name, Some(std::fs::read(&path).expect("a file")));
                }
            }
        }
        files
    }

    fn run_with(&self, binary: &Path, arguments: &[&str], env: &[(&str, &str)]) -> Run {
        let mut command = self.command(binary, arguments);
        command.envs(env.iter().copied());
        Run::of(&command.output().expect("the binary runs"))
    }

    fn command(&self, binary: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary);
        command
            .args(arguments)
            .current_dir(self.folder())
            .stdin(Stdio::null())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.folder.path())
            .env("COLUMNS", "100");
        if let Some(host) = std::env::var_os("DOCKER_HOST") {
            command.env("DOCKER_HOST", host);
        }
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }
}

/// The binary at work; killed when it is forgotten.
pub struct Running {
    child: Option<Child>,
}

impl Running {
    /// The process.
    pub fn child(&mut self) -> &mut Child {
        self.child.as_mut().expect("it runs")
    }

    /// Its process number.
    pub fn id(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    /// What it says on stdout from now on, line by line.
    pub fn prints(&mut self) -> Lines {
        Lines::of(self.child().stdout.take().expect("a pipe"))
    }

    /// What it says on stderr from now on, line by line.
    pub fn says(&mut self) -> Lines {
        Lines::of(self.child().stderr.take().expect("a pipe"))
    }

    /// What Ctrl-C does.
    pub fn interrupt(&self) {
        let sent = Command::new("kill").args(["-INT", &self.id().to_string()]).status();
        assert!(sent.expect("kill runs").success(), "it runs no more");
    }

    /// Waits for its end.
    pub fn end(mut self) -> Run {
        let child = self.child.take().expect("it runs");
        Run::of(&child.wait_with_output().expect("it ends"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// The lines of a process that runs.
pub struct Lines {
    come: mpsc::Receiver<String>,
    heard: Vec<String>,
}

impl Lines {
    fn of(pipe: impl Read + Send + 'static) -> Self {
        let (told, come) = mpsc::channel();
        std::thread::spawn(move || {
            let lines = BufReader::new(pipe).lines();
            lines.map_while(Result::ok).try_for_each(|line| told.send(line))
        });
        Self { come, heard: Vec::new() }
    }

    /// Waits for a line with these words.
    ///
    /// # Panics
    /// It does not come, with all that came: a test that waits for ever says nothing.
    pub fn until(&mut self, words: &str) -> &str {
        loop {
            let Ok(line) = self.come.recv_timeout(Duration::from_mins(3)) else {
                panic!("no `{words}` in\n{}", self.heard.join("\n"));
            };
            let found = line.contains(words);
            self.heard.push(line);
            if found {
                return &self.heard[self.heard.len() - 1];
            }
        }
    }
}

/// The repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a parent folder").to_owned()
}

/// The real binary, built once per test run.
pub fn binary() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| build(&["--bin", "dollop"], "dollop"))
}

/// The binary that is killed where `DOLLOP_FAULT` says.
pub fn faulty() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        build(&["--features", "dollop/faults", "--bin", "dollop-faults"], "dollop-faults")
    })
}

fn build(arguments: &[&str], name: &str) -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        // The whole workspace's features, as in `make test`: else most crates would be
        // compiled a second time.
        .args(["build", "--quiet", "--workspace"])
        .args(arguments)
        .current_dir(root())
        .status()
        .expect("cargo runs");
    assert!(built.success(), "the binary must build");
    // This test's own path is target/<profile>/deps/<name>.
    let here = std::env::current_exe().expect("the test's path");
    here.ancestors().nth(2).expect("the profile's folder").join(name)
}
