//! A platform as it is planned, applied, looked at from outside and destroyed.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use dollop_tests::cli::{Project, Run};
use serde_json::Value as Json;

use crate::live::quickstart::{Stack, docker};

/// One after the other: together they are two hundred containers.
pub(super) fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A platform with all its profiles, and where to look for what it made.
pub(super) struct Platform {
    pub(super) name: &'static str,
    pub(super) stack: Stack,
    arguments: Vec<&'static str>,
}

impl Platform {
    pub(super) fn new(name: &'static str, more: &[&'static str]) -> Self {
        let called = format!("dt-{name}");
        let stack = Stack::of(Project::copy_all(name, &called), &called);
        let mut arguments = vec!["--param", "free_ports=true"];
        // The engine may be in a container itself, which raises no limits.
        if name != "bi-agent" {
            arguments.extend(["--param", "restricted=true"]);
        }
        // Where the engine takes no network of its own accord.
        match name {
            "taylordash" => arguments.extend(["--param", "subnet=10.201.1.0/24"]),
            "hy-home" => arguments.extend(["--param", "subnet=10.201.2.0/24"]),
            _ => {}
        }
        arguments.extend_from_slice(more);
        Self { name, stack, arguments }
    }

    fn with(&self, command: &[&str], profiles: &[&str]) -> Vec<String> {
        let mut all: Vec<_> =
            command.iter().chain(&self.arguments).map(ToString::to_string).collect();
        for profile in profiles {
            all.extend(["--profile".to_owned(), (*profile).to_owned()]);
        }
        all
    }

    pub(super) fn run(&self, command: &[&str], profiles: &[&str]) -> Run {
        let all = self.with(command, profiles);
        self.stack.project.run(&all.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Clean, and planned as a whole where there is no engine, each set of profiles for itself.
    fn plans(&self, sets: &[&[&str]]) {
        let project = Project::copy_all(self.name, &format!("dt-{}", self.name));
        let project = project.env("DOCKER_HOST", "unix:///nowhere/docker.sock");
        for profiles in sets.iter().copied().chain([&[][..], &["*"][..]]) {
            let run = |command: &[&str]| {
                let all = self.with(command, profiles);
                project.run(&all.iter().map(String::as_str).collect::<Vec<_>>()).expect(0)
            };
            drop(run(&["check", "--deny-warnings"]));
            let plan = run(&["plan", "--no-refresh"]);
            let all_new = "0 to update, 0 to replace, 0 to delete";
            assert!(plan.stdout.contains(all_new), "{profiles:?}\n{}", plan.stdout);
        }
    }

    /// Planned without an engine, applied without profiles, then with each set for itself (one
    /// goes off as the next goes on), then with all of them.
    pub(super) fn stands(&self, sets: &[&[&str]]) {
        self.plans(sets);
        self.applies(&[]);
        for profiles in sets {
            self.applies(profiles);
        }
        if !sets.is_empty() {
            self.applies(&["*"]);
        }
        self.everybody_is_reached();
    }

    /// Applied, healthy, as declared and no more, and planned again without a change.
    pub(super) fn applies(&self, profiles: &[&str]) {
        let begun = Instant::now();
        let mut command = vec!["apply".to_owned(), "--auto-approve".to_owned()];
        command.extend(self.consent());
        let command: Vec<_> = command.iter().map(String::as_str).collect();
        drop(self.run(&command, profiles).expect(0));
        self.wait_until_healthy();
        drop(self.stack.project.run(&["health", "--wait", "1m"]).expect(0));
        let again = self.run(&["plan", "--detailed-exitcode"], profiles);
        assert_eq!(
            again.code,
            Some(0),
            "the second plan with {profiles:?} is empty\n{}",
            again.text()
        );
        let declared = self.addresses();
        let declared = declared.iter().filter(|a| a.starts_with("docker::container.")).count();
        assert_eq!(self.stack.labelled("container").len(), declared, "{profiles:?}");
        let took = begun.elapsed().as_secs();
        println!("{} {profiles:?}: {declared} containers, {took} s", self.name);
    }

    /// What is there, by address.
    pub(super) fn addresses(&self) -> Vec<String> {
        let listed = self.stack.project.run(&["state", "list"]).expect(0).stdout;
        let first = |line: &str| line.split_whitespace().next().unwrap_or_default().to_owned();
        listed.lines().map(first).collect()
    }

    /// Consent to losing what the stack holds: tests put nothing there.
    pub(super) fn consent(&self) -> Vec<String> {
        let holds = [
            "docker::volume.",
            "postgres::database.",
            "rabbitmq::queue.",
            "postgres::migrations.",
        ];
        let holds = |address: &String| holds.iter().any(|kind| address.starts_with(kind));
        let all = self.addresses().into_iter().filter(holds);
        all.flat_map(|address| ["--allow-data-loss".to_owned(), address]).collect()
    }

    pub(super) fn goes(&self) {
        let mut command = vec!["destroy".to_owned(), "--auto-approve".to_owned()];
        command.extend(self.consent());
        let command: Vec<_> = command.iter().map(String::as_str).collect();
        let run = self.run(&command, &["*"]);
        let errors: Vec<_> =
            run.stderr.lines().filter(|line| line.starts_with("error[")).collect();
        let miscounts = "the engine counts a container in it that has left";
        let miscounted = errors.iter().filter(|error| error.contains(miscounts)).count();
        if miscounted == 0 {
            drop(run.expect(0));
        } else {
            // <https://github.com/moby/moby/issues/42119>, which only a restart of the engine
            // mends, and everybody here uses it. Nothing else may have stayed.
            assert_eq!(errors.len(), miscounted, "{}", run.stderr);
            println!("{}: the engine lost count of {miscounted} networks", self.name);
        }
        for what in ["container", "volume"] {
            assert!(self.stack.labelled(what).is_empty(), "{what} left behind");
        }
        let networks = self.stack.labelled("network");
        for network in &networks {
            let inside = docker(&["network", "inspect", network, "-f", "{{len .Containers}}"]);
            assert_eq!(inside.trim(), "0", "{network} has containers");
        }
        let recorded = self.stack.project.run(&["state", "list"]).expect(0).stdout;
        let recorded: Vec<_> = recorded.lines().collect();
        assert!(recorded.iter().all(|one| one.starts_with("docker::network.")), "{recorded:?}");
        assert_eq!((networks.len(), recorded.len()), (miscounted, miscounted), "{recorded:?}");
    }

    pub(super) fn inspect(&self) -> Vec<Json> {
        let ids = self.stack.labelled("container");
        let mut arguments = vec!["inspect"];
        arguments.extend(ids.iter().map(String::as_str));
        let all: Vec<Json> = serde_json::from_str(&docker(&arguments)).expect("JSON");
        all
    }

    /// Clusters are not waited for node by node; here they are.
    pub(super) fn wait_until_healthy(&self) {
        let end = Instant::now() + Duration::from_mins(5);
        loop {
            let mut waiting = Vec::new();
            for container in self.inspect() {
                let health = container["State"]["Health"]["Status"].as_str();
                let runs =
                    container["State"]["Running"] == true && container["RestartCount"] == 0;
                if !runs || health.is_some_and(|health| health != "healthy") {
                    waiting.push(format!("{} {}", container["Name"], container["State"]));
                }
            }
            if waiting.is_empty() {
                return;
            }
            assert!(Instant::now() < end, "not healthy: {waiting:#?}");
            std::thread::sleep(Duration::from_secs(1));
        }
    }

    /// Whoever is told the URL of another container reaches it, as seen from inside.
    fn everybody_is_reached(&self) {
        let url = regex::Regex::new(r"[a-z0-9+]+://(?:[^\s/@,]*@)?([A-Za-z0-9_-]+):([0-9]+)")
            .expect("a pattern");
        for container in self.inspect() {
            let name = container["Name"].as_str().unwrap_or_default().trim_start_matches('/');
            let mut places = BTreeSet::new();
            for variable in container["Config"]["Env"].as_array().into_iter().flatten() {
                let value = variable.as_str().and_then(|text| text.split_once('='));
                for found in url.captures_iter(value.map_or("", |(_, value)| value)) {
                    let (host, port) = (&found[1], &found[2]);
                    // Where somebody listens, and this machine as browsers see it.
                    if !host.starts_with(|c: char| c.is_ascii_digit()) && host != "localhost" {
                        places.insert(format!("{host} {port}"));
                    }
                }
            }
            for place in places {
                let (host, port) = place.split_once(' ').expect("a place");
                let ask = format!(
                    "if command -v bash >/dev/null; then timeout 5 bash -c '</dev/tcp/{host}/{port}'; \
                     else nc -w 5 {host} {port} -e /bin/true; fi"
                );
                let asked =
                    Command::new("docker").args(["exec", name, "sh", "-c", &ask]).output();
                let asked = asked.expect("docker");
                assert!(asked.status.success(), "{name} does not reach {place}: {asked:?}");
            }
        }
    }

    pub(super) fn container(&self, name: &str) -> String {
        self.stack.container(name)
    }

    /// What a server inside answers its superuser, without any password of dollop's.
    pub(super) fn sql(&self, server: &str, database: &str, sql: &str) -> String {
        let container = self.container(server);
        docker(&[
            "exec", "-u", "postgres", &container, "psql", "-XAtq", "-d", database, "-c", sql,
        ])
    }

    /// A user of an MQTT broker logs in with the password it was given, and with no other, and
    /// has topics.
    pub(super) fn mqtt_login(&self, broker: &str, user: &str) {
        const LOGIN: &str = "set -e; p=$(sed -n \"s/^$0://p\" /run/secrets/passwords)
            mosquitto_pub -u \"$0\" -P \"$p\" -t login -m 1
            if mosquitto_pub -u \"$0\" -P \"other$p\" -t login -m 1; then exit 9; fi
            grep -A1 -x \"user $0\" /mosquitto/users/topics | grep -q '^topic '";
        drop(docker(&["exec", &self.container(broker), "sh", "-c", LOGIN, user]));
    }

    pub(super) fn rabbit(&self, arguments: &[&str]) -> BTreeSet<String> {
        let container = self.container("rabbitmq");
        let mut all = vec!["exec", &container, "rabbitmqctl", "-q", "--no-table-headers"];
        all.extend_from_slice(arguments);
        docker(&all).lines().map(str::to_owned).collect()
    }
}
