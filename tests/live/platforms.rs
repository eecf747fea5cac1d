//! The five platforms of `scripts/`, on the images of the lab: real software where there is
//! some, else stand-ins. What is said of them in `docs/platforms.md` is written from here:
//! `DOLLOP_BLESS=1` does it anew.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use dollop_tests::cli::{Project, root};
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
        arguments.extend_from_slice(more);
        Self { name, stack, arguments }
    }

    fn run(&self, command: &[&str], profiles: &[&str]) -> dollop_tests::cli::Run {
        let mut all = command.to_vec();
        all.extend_from_slice(&self.arguments);
        for profile in profiles {
            all.extend(["--profile", profile]);
        }
        self.stack.project.run(&all)
    }

    /// Clean, and planned as a whole without any engine, each set of profiles for itself.
    fn plans(&self, sets: &[&[&str]]) {
        for profiles in sets.iter().copied().chain([&[][..], &["*"][..]]) {
            drop(self.run(&["check", "--deny-warnings"], profiles).expect(0));
            let plan = self.run(&["plan", "--no-refresh"], profiles).expect(0);
            assert!(
                plan.stdout.contains("0 to update, 0 to replace, 0 to delete"),
                "{profiles:?}"
            );
        }
    }

    fn applies(&self) {
        drop(self.run(&["apply", "--auto-approve"], &["*"]).expect(0));
        self.wait_until_healthy();
        let again = self.run(&["plan", "--detailed-exitcode"], &["*"]);
        assert_eq!(again.code, Some(0), "the second plan is empty\n{}", again.text());
        self.tell(&self.rows());
    }

    fn goes(&self) {
        let mut arguments = self.arguments.clone();
        arguments.extend(["--profile", "*"]);
        drop(self.stack.project.destroy(&arguments).expect(0));
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
        let end = Instant::now() + Duration::from_mins(3);
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

    /// A row for each container: what it is called, made from, and really is in the lab.
    fn rows(&self) -> Vec<String> {
        let jobs = self.stack.project.run(&["state", "list"]).expect(0).stdout;
        let mut rows = Vec::new();
        for container in self.inspect() {
            let name = container["Name"].as_str().unwrap_or_default();
            let name =
                name.trim_start_matches('/').trim_start_matches(&format!("dt-{}-", self.name));
            let image = container["Config"]["Image"].as_str().unwrap_or_default();
            let labels = &container["Config"]["Labels"];
            let software = labels["dollop.lab.software"].as_str().unwrap_or_default();
            // Without its version, which is Debian's.
            let software = software
                .rsplit_once(' ')
                .filter(|(_, last)| last.starts_with(|c: char| c.is_ascii_digit()))
                .map_or(software, |(software, _)| software);
            let (image, what) = if image.starts_with("sha256:") {
                (
                    "built from the stack".to_owned(),
                    "a stand-in for the platform's own".to_owned(),
                )
            } else {
                let what = match labels["dollop.lab"].as_str() {
                    Some("stand-in") => "stand-in".to_owned(),
                    Some(_) => software.to_owned(),
                    None => "official".to_owned(),
                };
                (format!("`{image}`"), what)
            };
            let health = if container["State"]["Health"].is_object() {
                "healthy"
            } else if jobs
                .lines()
                .any(|job| job.ends_with(&format!("docker::job.{name}-ready")))
            {
                "answers, asked from outside"
            } else {
                "runs; its image has nothing to ask with"
            };
            rows.push(format!("| {name} | {image} | {health} | {what} |"));
        }
        rows.sort();
        rows
    }

    /// Compares the platform's section of the page with what is there, or writes it.
    fn tell(&self, rows: &[String]) {
        let page = root().join("docs/platforms.md");
        let text = std::fs::read_to_string(&page).expect("the page");
        let begin = format!("<!-- {} -->\n", self.name);
        let (before, rest) = text.split_once(&begin).expect("the platform's section");
        let (there, after) = rest.split_once("<!-- end -->").expect("its end");
        let mut section =
            "| container | image | health | in the lab |\n|---|---|---|---|\n".to_owned();
        for row in rows {
            section.push_str(row);
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

fn set(words: &str) -> BTreeSet<String> {
    words.split_whitespace().map(str::to_owned).collect()
}

const APPLICATION_DATABASES: &str = "select datname || '=' || pg_get_userbyid(datdba) \
     from pg_database where not datistemplate and datname <> 'postgres' order by 1";

#[test]
fn taylordash_runs() {
    let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let platform = Platform::new("taylordash", &[]);
    platform.plans(&[&["timescale"]]);
    platform.applies();

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
    platform.plans(&[
        &["dapr"],
        &["django"],
        &["fastapi"],
        &["workers"],
        &["mcp"],
        &["frontend"],
        &["elk"],
        &["proxy"],
        &["llm"],
    ]);
    platform.applies();

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
    platform.applies();

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
    platform.plans(&[&["sentry"]]);
    platform.applies();

    let tables = "select count(*) from pg_tables where tablename like 'dictamesh\\_%'";
    assert_eq!(platform.sql("postgres", "dictamesh", tables), "6");
    let rows = "select count(*) from dictamesh_entity_catalog";
    assert_eq!(platform.sql("postgres", "dictamesh", rows), "2");
    let memory = platform.sql("postgres", "dictamesh", "show shared_buffers");
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
    platform.plans(&[
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
    ]);
    platform.applies();

    let databases = platform.sql("mng-pg", "postgres", APPLICATION_DATABASES);
    assert_eq!(
        databases,
        "airflow=airflow\nkeycloak=keycloak\nn8n=n8n\nsonarqube=sonarqube\nterrakube=terrakube"
    );
    let node = platform.container("valkey-node-3");
    let state = docker(&["exec", &node, "valkey-cli", "cluster", "info"]);
    assert!(state.contains("cluster_state:ok"), "{state}");
    assert!(state.contains("cluster_size:3"), "{state}");
    // The leader has what was made through the router, wherever it is.
    let made = ["pg-0", "pg-1", "pg-2"].map(|node| {
        platform.sql(
            node,
            "postgres",
            "select count(*) from pg_roles where rolname = 'cluster_app'",
        )
    });
    assert!(made.iter().any(|count| count == "1"), "{made:?}");
    assert_eq!(platform.rabbit(&["list_vhosts"]), set("/ home"));
    let members = ["exec", &platform.container("etcd-2"), "etcdctl", "member", "list"];
    assert_eq!(docker(&members).lines().count(), 3);
    platform.goes();
}
