//! The five platforms of `scripts/`, on the images of the lab: real software where there is
//! some, else stand-ins. What is said of them in `docs/platforms.md` is written from here:
//! `DOLLOP_BLESS=1` does it anew.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use dollop_tests::cli::{Project, Run, root};
use serde_json::Value as Json;

use super::quickstart::{Stack, docker};

/// One after the other: together they are two hundred containers.
static TURN: Mutex<()> = Mutex::new(());

/// A platform with all its profiles, and where to look for what it made.
struct Platform {
    name: &'static str,
    stack: Stack,
    arguments: Vec<&'static str>,
}

impl Platform {
    fn new(name: &'static str, more: &[&'static str]) -> Self {
        let called = format!("dt-{name}");
        let stack = Stack::of(Project::copy_all(name, &called), &called);
        let mut arguments = vec!["--param", "free_ports=true"];
        // The engine may be in a container itself, which raises no limits.
        if !matches!(name, "taylordash" | "bi-agent") {
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

    fn run(&self, command: &[&str], profiles: &[&str]) -> Run {
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

    /// Without profiles, then each set for itself: one goes off as the next goes on.
    fn applies_alone(&self, sets: &[&[&str]]) {
        for profiles in [&[][..]].iter().chain(sets) {
            self.applies(profiles);
        }
    }

    /// Applied, healthy, as declared and no more, and planned again without a change.
    fn applies(&self, profiles: &[&str]) {
        let mut command = vec!["apply".to_owned(), "--auto-approve".to_owned()];
        command.extend(self.consent());
        let command: Vec<_> = command.iter().map(String::as_str).collect();
        drop(self.run(&command, profiles).expect(0));
        self.wait_until_healthy();
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
    }

    /// What is there, by address.
    fn addresses(&self) -> Vec<String> {
        let listed = self.stack.project.run(&["state", "list"]).expect(0).stdout;
        let first = |line: &str| line.split_whitespace().next().unwrap_or_default().to_owned();
        listed.lines().map(first).collect()
    }

    /// Consent to losing what the stack holds: tests put nothing there.
    fn consent(&self) -> Vec<String> {
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

    fn goes(&self) {
        let mut command = vec!["destroy".to_owned(), "--auto-approve".to_owned()];
        command.extend(self.consent());
        let command: Vec<_> = command.iter().map(String::as_str).collect();
        drop(self.run(&command, &["*"]).expect(0));
        for what in ["container", "network", "volume"] {
            assert!(self.stack.labelled(what).is_empty(), "{what} left behind");
        }
        assert_eq!(self.stack.project.run(&["state", "list"]).expect(0).stdout, "");
    }

    fn inspect(&self) -> Vec<Json> {
        let ids = self.stack.labelled("container");
        let mut arguments = vec!["inspect"];
        arguments.extend(ids.iter().map(String::as_str));
        let all: Vec<Json> = serde_json::from_str(&docker(&arguments)).expect("JSON");
        all
    }

    /// Clusters are not waited for node by node; here they are.
    fn wait_until_healthy(&self) {
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

    /// A row for every system of the document (`tests/platforms`): what declares it, and what
    /// became of that.
    fn rows(&self) -> Vec<String> {
        let file = root().join("tests/platforms").join(format!("{}.txt", self.name));
        let systems = std::fs::read_to_string(file).expect("the systems of the document");
        let there = self.addresses();
        let containers: BTreeMap<String, Json> = self
            .inspect()
            .into_iter()
            .map(|container| {
                let address = container["Config"]["Labels"]["dollop.address"].as_str();
                (address.unwrap_or_default().to_owned(), container)
            })
            .collect();
        let mut seen = BTreeSet::new();
        let mut rows = Vec::new();
        for line in systems.lines() {
            let (system, patterns) = line.split_once(" | ").expect("system | addresses");
            let mut found = Vec::new();
            for pattern in patterns.split(", ") {
                let matching: Vec<_> =
                    there.iter().filter(|address| matches(pattern, address)).collect();
                assert!(!matching.is_empty(), "{}: nothing is `{pattern}`", self.name);
                found.extend(matching.into_iter().cloned());
            }
            let (mut health, mut what) = (BTreeSet::new(), BTreeSet::new());
            for address in &found {
                let container = containers.get(address);
                health.extend(self.health(address, container, &there));
                what.extend(container.map(software));
            }
            seen.extend(found);
            let list =
                |words: BTreeSet<String>| words.into_iter().collect::<Vec<_>>().join("; ");
            let declared: Vec<_> =
                patterns.split(", ").map(|pattern| format!("`{pattern}`")).collect();
            rows.push(format!(
                "| {system} | {} | yes | {} | {} |",
                declared.join(", "),
                list(health),
                list(what)
            ));
        }
        let missing: Vec<_> =
            containers.keys().filter(|address| !seen.contains(*address)).collect();
        assert!(missing.is_empty(), "{}: no row for {missing:?}", self.name);
        rows
    }

    /// What is known of how something is, and from whom.
    fn health(
        &self,
        address: &str,
        container: Option<&Json>,
        there: &[String],
    ) -> Option<String> {
        let (kind, path) = address.split_once('.').expect("an address");
        let words: Vec<_> = path.split('/').collect();
        let sql = |database: &str, sql: &str| {
            let found = self.sql(self.server(words[0]), database, sql);
            assert_eq!(found, "1", "{address} in psql");
            Some("found by psql".to_owned())
        };
        let last = words.last().expect("a name").replace("%20", " ");
        match kind {
            "docker::container" => {
                let container = container.expect("its container");
                Some(if container["State"]["Health"].is_object() {
                    "healthy".to_owned()
                } else if there.contains(&format!("docker::job.{path}-ready")) {
                    "answers, asked from outside".to_owned()
                } else {
                    "runs; its image has nothing to ask with".to_owned()
                })
            }
            "docker::job" => Some("job done".to_owned()),
            "docker::volume" | "docker::network" | "docker::image" | "local::random" => None,
            "postgres::database" => sql(
                "postgres",
                &format!("select count(*) from pg_database where datname = '{last}'"),
            ),
            "postgres::role" => sql(
                "postgres",
                &format!("select count(*) from pg_roles where rolname = '{last}'"),
            ),
            "postgres::schema" => sql(
                words[1],
                &format!("select count(*) from pg_namespace where nspname = '{last}'"),
            ),
            "postgres::extension" => sql(
                words[1],
                &format!("select count(*) from pg_extension where extname = '{last}'"),
            ),
            "postgres::migrations" => Some("migrated".to_owned()),
            "rabbitmq::vhost" => {
                assert!(self.rabbit(&["list_vhosts", "name"]).contains(&last), "{address}");
                Some("found by rabbitmqctl".to_owned())
            }
            "rabbitmq::user" => {
                let users = self.rabbit(&["list_users"]);
                assert!(users.iter().any(|user| user.starts_with(&last)), "{address}");
                Some("found by rabbitmqctl".to_owned())
            }
            "rabbitmq::queue" | "rabbitmq::exchange" => {
                let command =
                    if kind.ends_with("queue") { "list_queues" } else { "list_exchanges" };
                assert!(
                    self.rabbit(&[command, "-p", words[1], "name"]).contains(&last),
                    "{address}"
                );
                Some("found by rabbitmqctl".to_owned())
            }
            _ => panic!("{address}: say how it is seen from outside"),
        }
    }

    /// The container in which a declared server is asked.
    fn server<'n>(&self, connection: &'n str) -> &'n str {
        // Of the cluster, the one that leads.
        if connection != "pg" {
            return connection;
        }
        let leads = |node: &&str| {
            let roles = "select count(*) from pg_roles where rolname = 'cluster_app'";
            self.sql(node, "postgres", roles) == "1"
        };
        ["pg-0", "pg-1", "pg-2"].into_iter().find(leads).expect("a leader")
    }

    /// Compares the platform's section of the page with what is there, or writes it.
    fn tell(&self) {
        let page = root().join("docs/platforms.md");
        let text = std::fs::read_to_string(&page).expect("the page");
        let begin = format!("<!-- {} -->\n", self.name);
        let (before, rest) = text.split_once(&begin).expect("the platform's section");
        let (there, after) = rest.split_once("<!-- end -->").expect("its end");
        let mut section =
            "| system | declared | applied | seen | in the lab |\n|---|---|---|---|---|\n"
                .to_owned();
        for row in self.rows() {
            section.push_str(&row);
            section.push('\n');
        }
        if std::env::var_os("DOLLOP_BLESS").is_some() {
            std::fs::write(&page, format!("{before}{begin}{section}<!-- end -->{after}"))
                .expect("the page is written");
        } else {
            assert_eq!(there, section, "docs/platforms.md is not what is there");
        }
    }

    fn container(&self, name: &str) -> String {
        self.stack.container(name)
    }

    /// What a server inside answers its superuser, without any password of dollop's.
    fn sql(&self, server: &str, database: &str, sql: &str) -> String {
        let container = self.container(server);
        docker(&[
            "exec", "-u", "postgres", &container, "psql", "-XAtq", "-d", database, "-c", sql,
        ])
    }

    fn rabbit(&self, arguments: &[&str]) -> BTreeSet<String> {
        let container = self.container("rabbitmq");
        let mut all = vec!["exec", &container, "rabbitmqctl", "-q", "--no-table-headers"];
        all.extend_from_slice(arguments);
        docker(&all).lines().map(str::to_owned).collect()
    }
}

/// Whether an address is meant by a pattern, in which `*` is anything but a slash.
fn matches(pattern: &str, address: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == address,
        Some((before, after)) => {
            let Some(rest) = address.strip_prefix(before) else { return false };
            rest.strip_suffix(after).is_some_and(|middle| !middle.contains('/'))
        }
    }
}

/// What runs in a container under the image's name.
fn software(container: &Json) -> String {
    let labels = &container["Config"]["Labels"];
    let software = labels["dollop.lab.software"].as_str().unwrap_or_default();
    // Without its version, which is Debian's.
    let plain = software
        .rsplit_once(' ')
        .filter(|(_, last)| last.starts_with(|c: char| c.is_ascii_digit()))
        .map_or(software, |(software, _)| software);
    match labels["dollop.lab"].as_str() {
        Some("stand-in") => "stand-in".to_owned(),
        // Built from the stack over BusyBox, where the platform's own program is to be.
        Some(_) if plain == "busybox" => "stand-in for the platform's own".to_owned(),
        Some(_) => format!("real: {plain}"),
        None => "official".to_owned(),
    }
}

fn set(words: &str) -> BTreeSet<String> {
    words.split_whitespace().map(str::to_owned).collect()
}

const APPLICATION_DATABASES: &str = "select datname || '=' || pg_get_userbyid(datdba) \
     from pg_database where not datistemplate and datname <> 'postgres' order by 1";

#[test]
fn taylordash_runs() {
    let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let platform = Platform::new("taylordash", &[]);
    let sets: &[&[&str]] = &[&["timescale"]];
    platform.plans(sets);
    platform.applies_alone(sets);
    platform.applies(&["*"]);
    platform.everybody_is_reached();
    platform.tell();

    let databases = platform.sql("postgres", "postgres", APPLICATION_DATABASES);
    assert_eq!(databases, "keycloak=keycloak\ntaylordash=taylordash");
    let owners = "select string_agg(relname || '=' || pg_get_userbyid(relowner), ' ' \
                  order by relname) from pg_class where relname in ('projects', 'events')";
    let owners = platform.sql("postgres", "taylordash", owners);
    assert_eq!(owners, "events=taylordash projects=taylordash");

    // Messages: who may, may; who has no password does not get in.
    let broker = platform.container("mosquitto");
    let device = platform.stack.output("device");
    let password = device.split([':', '@']).nth(2).expect("a password");
    let publish = |login: &[&str]| {
        let mut words = vec!["exec", &broker, "mosquitto_pub"];
        words.extend_from_slice(login);
        words.extend(["-t", "taylordash/devices/lamp", "-m", "on", "-r", "-q", "1"]);
        std::process::Command::new("docker").args(words).output().expect("docker").status
    };
    assert!(publish(&["-u", "device", "-P", password]).success());
    assert!(!publish(&[]).success(), "anonymous");
    let topic = "taylordash/devices/lamp";
    let login = ["-u", "device", "-P", password];
    let heard = docker(&[
        "exec",
        &broker,
        "mosquitto_sub",
        login[0],
        login[1],
        login[2],
        login[3],
        "-t",
        topic,
        "-C",
        "1",
        "-W",
        "10",
    ]);
    assert_eq!(heard, "on");
    platform.goes();
}

#[test]
fn expert_dollop_runs() {
    let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let platform = Platform::new("expert-dollop", &["--param", "helk=full"]);
    let sets: &[&[&str]] = &[
        &["dapr"],
        &["django"],
        &["fastapi"],
        &["workers"],
        &["mcp"],
        &["frontend"],
        &["elk"],
        &["proxy"],
        &["llm"],
        &["embeddings"],
        &["firecrawl"],
        &["goose"],
        &["workflow"],
        &["chat"],
        &["analytics"],
    ];
    platform.plans(sets);
    platform.applies_alone(sets);
    platform.applies(&["*"]);
    platform.everybody_is_reached();
    platform.tell();

    let schemas = "select string_agg(nspname || '=' || pg_get_userbyid(nspowner), ' ' order by nspname) \
                   from pg_namespace where nspname !~ '^pg_|^information_schema$|^public$'";
    let schemas = platform.sql("postgres", "expert_dollop", schemas);
    let expected = [
        "dispatch",
        "firecrawl",
        "ghostwriter",
        "goose",
        "hexstrike",
        "integration",
        "main",
        "mealie",
        "nemesis",
        "nemsis",
        "tcg",
    ];
    let expected: Vec<_> = expected.iter().map(|name| format!("{name}={name}")).collect();
    assert_eq!(schemas.split(' ').collect::<BTreeSet<_>>().len(), 11, "{schemas}");
    for one in expected {
        assert!(schemas.split(' ').any(|found| found == one), "{one} in {schemas}");
    }
    let tables = "select count(*) from pg_tables where schemaname = tableowner";
    assert_eq!(platform.sql("postgres", "expert_dollop", tables), "11");
    let reads = "select bool_and(has_table_privilege('reporting', schemaname || '.' || tablename, 'SELECT')) \
                 from pg_tables where schemaname = tableowner";
    assert_eq!(platform.sql("postgres", "expert_dollop", reads), "t");
    let worker = platform.container("celery-worker");
    let ask = "from tasks import add; print(add.delay(2, 3).get(timeout=60))";
    assert_eq!(docker(&["exec", &worker, "python3", "-c", ask]), "5");

    assert_eq!(platform.rabbit(&["list_vhosts"]), set("/ celery dapr"));
    let users = platform.rabbit(&["list_users"]);
    assert_eq!(users.len(), 4, "{users:?}");
    let permissions = platform.rabbit(&["list_permissions", "-p", "dapr"]);
    assert!(permissions.contains("bullmq\t\t^bullmq$\t"), "{permissions:?}");
    assert_eq!(platform.rabbit(&["list_queues", "-p", "dapr", "name"]), set("dead"));

    let sidecar = platform.container("fastapi-core-dapr");
    let components = docker(&["exec", &sidecar, "ls", "/components"]);
    let stores = components.lines().filter(|name| name.starts_with("statestore-")).count();
    let pubsubs = components.lines().filter(|name| name.starts_with("pubsub")).count();
    assert_eq!((stores, pubsubs), (11, 5), "{components}");
    platform.goes();
}

#[test]
fn bi_agent_runs() {
    let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let platform = Platform::new("bi-agent", &[]);
    platform.plans(&[]);
    platform.applies(&[]);
    platform.everybody_is_reached();
    platform.tell();
    // Celery is real: what is put into its queue comes back done.
    let worker = platform.container("celery-worker");
    let ask = "from tasks import update_ml_models as task; \
               print(task.apply_async(queue='ml').get(timeout=60))";
    assert_eq!(docker(&["exec", &worker, "python3", "-c", ask]), "updated");

    let extensions = "select string_agg(extname, ' ' order by extname) from pg_extension";
    let extensions = platform.sql("postgres", "analytics_db", extensions);
    assert_eq!(extensions, "plpgsql uuid-ossp vector");
    let owner =
        "select pg_get_userbyid(nspowner) from pg_namespace where nspname = 'analytics'";
    assert_eq!(platform.sql("postgres", "analytics_db", owner), "analytics");
    let may = "select has_table_privilege('analyst', 'analytics.kpis', 'SELECT')::text || \
               has_table_privilege('analyst', 'analytics.kpis', 'INSERT')::text";
    assert_eq!(platform.sql("postgres", "analytics_db", may), "truefalse");
    platform.goes();
}

#[test]
fn dictamesh_runs() {
    let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let platform = Platform::new("dictamesh", &["--param", "broker_memory=512m"]);
    let sets: &[&[&str]] = &[&["sentry"]];
    platform.plans(sets);
    platform.applies_alone(sets);
    platform.applies(&["*"]);
    platform.everybody_is_reached();
    platform.tell();

    let tables = "select count(*) from pg_tables where tablename like 'dictamesh\\_%'";
    assert_eq!(platform.sql("postgres", "dictamesh_catalog", tables), "6");
    let rows = "select count(*) from dictamesh_entity_catalog";
    assert_eq!(platform.sql("postgres", "dictamesh_catalog", rows), "2");
    let memory = platform.sql("postgres", "dictamesh_catalog", "show shared_buffers");
    assert_eq!(memory, "256MB");
    let url = platform.stack.output("cache");
    let password = url.split([':', '@']).nth(2).expect("a password");
    let cache = platform.container("redis");
    let ask = ["exec", "-e", &format!("REDISCLI_AUTH={password}"), &cache, "redis-cli"];
    let setting = |name: &str| docker(&[&ask[..], &["config", "get", name]].concat());
    assert_eq!(setting("maxmemory-policy"), "maxmemory-policy\nallkeys-lru");
    assert_eq!(setting("appendonly"), "appendonly\nno");
    platform.goes();
}

#[test]
fn hy_home_runs() {
    let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let platform = Platform::new("hy-home", &[]);
    let sets: &[&[&str]] = &[
        &["nginx"],
        &["vault"],
        &["influxdb"],
        &["couchdb"],
        &["rabbitmq"],
        &["ksql"],
        &["airflow"],
        &["airflow", "flower"],
        &["airflow", "debug"],
        &["ollama"],
        &["sonarqube"],
        &["terrakube"],
        &["terraform"],
        &["mail"],
    ];
    platform.plans(sets);
    platform.applies_alone(sets);
    platform.applies(&["*"]);
    platform.everybody_is_reached();
    platform.tell();

    let databases = platform.sql("mng-pg", "postgres", APPLICATION_DATABASES);
    assert_eq!(
        databases,
        "airflow=airflow\nkeycloak=keycloak\nn8n=n8n\nsonarqube=sonarqube\nterrakube=terrakube"
    );
    let node = platform.container("valkey-node-3");
    let state = docker(&["exec", &node, "valkey-cli", "cluster", "info"]);
    assert!(state.contains("cluster_state:ok"), "{state}");
    assert!(state.contains("cluster_size:3"), "{state}");
    assert_eq!(platform.rabbit(&["list_vhosts"]), set("/ home"));
    let members = ["exec", &platform.container("pg-etcd-2"), "etcdctl", "member", "list"];
    assert_eq!(docker(&members).lines().count(), 3);
    platform.goes();
}

#[test]
fn all_five_stand_side_by_side() {
    let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let all = [
        Platform::new("taylordash", &[]),
        Platform::new("expert-dollop", &[]),
        Platform::new("bi-agent", &[]),
        Platform::new("dictamesh", &["--param", "broker_memory=512m"]),
        Platform::new("hy-home", &[]),
    ];
    for platform in &all {
        platform.applies(&[]);
    }
    // What came later took nothing from what was there.
    for platform in &all {
        platform.wait_until_healthy();
        let again = platform.run(&["plan", "--detailed-exitcode"], &[]);
        assert_eq!(again.code, Some(0), "{}\n{}", platform.name, again.text());
    }
    for platform in &all {
        platform.goes();
    }
}
