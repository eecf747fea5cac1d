//! The five platforms of `scripts/`, on the images of the lab: real software where there is
//! some, else stand-ins. What is said of them in `docs/platforms.md` is written from here:
//! `DOLLOP_BLESS=1` does it anew.

mod backup;
mod platform;
mod table;

use std::collections::BTreeSet;
use std::process::Command;

use platform::{Platform, turn};

use super::quickstart::docker;

fn set(words: &str) -> BTreeSet<String> {
    words.split_whitespace().map(str::to_owned).collect()
}

const APPLICATION_DATABASES: &str = "select datname || '=' || pg_get_userbyid(datdba) \
     from pg_database where not datistemplate and datname <> 'postgres' order by 1";

#[test]
fn taylordash_runs() {
    let _turn = turn();
    let platform = Platform::new("taylordash", &[]);
    let sets: &[&[&str]] = &[&["timescale"]];
    platform.stands(sets);

    let databases = platform.sql("postgres", "postgres", APPLICATION_DATABASES);
    assert_eq!(databases, "keycloak=keycloak\ntaylordash=taylordash");
    let owners = "select string_agg(relname || '=' || pg_get_userbyid(relowner), ' ' \
                  order by relname) from pg_class where relname in ('projects', 'events')";
    let owners = platform.sql("postgres", "taylordash", owners);
    assert_eq!(owners, "events=taylordash projects=taylordash");

    let device = device(&platform);
    assert!(publishes(&platform, &["-u", "device", "-P", &device]));
    assert!(!publishes(&platform, &[]), "anonymous");
    assert_eq!(hears(&platform, &device), "on");
    platform.tell();

    let rows = "insert into projects (name) select 'project ' || n from generate_series(1, 20) n; \
                insert into events (project, topic, payload) \
                select 1 + n % 20, 'topic/' || n, jsonb_build_object('n', n) \
                from generate_series(1, 5000) n";
    platform.sql("postgres", "taylordash", rows);
    platform.goes_back();
    platform.comes_back(&["*"]);
    // What devices left there came back with the volume; their passwords are new.
    assert_eq!(hears(&platform, &self::device(&platform)), "on");
    platform.goes();
}

/// The password of the devices.
fn device(platform: &Platform) -> String {
    let url = platform.stack.output("device");
    url.split([':', '@']).nth(2).expect("a password").to_owned()
}

/// Whether somebody may leave a message.
fn publishes(platform: &Platform, login: &[&str]) -> bool {
    let broker = platform.container("mosquitto");
    let mut words = vec!["exec", &broker, "mosquitto_pub"];
    words.extend_from_slice(login);
    words.extend(["-t", "taylordash/devices/lamp", "-m", "on", "-r", "-q", "1"]);
    Command::new("docker").args(words).output().expect("docker").status.success()
}

/// What was left last.
fn hears(platform: &Platform, password: &str) -> String {
    let broker = platform.container("mosquitto");
    let topic = ["-t", "taylordash/devices/lamp", "-C", "1", "-W", "10"];
    let login = ["-u", "device", "-P", password];
    docker(&[&["exec", &broker, "mosquitto_sub"], &login[..], &topic].concat())
}

#[test]
fn expert_dollop_runs() {
    let _turn = turn();
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
    platform.stands(sets);

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
    platform.tell();
    platform.goes();

    // The part that keeps something: PostgreSQL, Redis and RabbitMQ.
    platform.applies(&[]);
    let rows = "do $$ declare t record; begin \
                for t in select * from pg_tables where schemaname = tableowner loop \
                execute format('insert into %I.%I (data) select jsonb_build_object(''n'', n) \
                from generate_series(1, 500) n', t.schemaname, t.tablename); end loop; end $$";
    platform.sql("postgres", "expert_dollop", rows);
    let redis = |words: &[&str]| {
        let command = [&["run", "redis-cli"], words].concat();
        platform.stack.project.run(&command).expect(0).stdout
    };
    assert_eq!(redis(&["set", "greeting", "hello"]), "OK\n");
    platform.comes_back(&[]);
    assert_eq!(redis(&["get", "greeting"]), "hello\n");
    platform.goes();
}

#[test]
fn bi_agent_runs() {
    let _turn = turn();
    let platform = Platform::new("bi-agent", &[]);
    platform.stands(&[]);
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
    platform.tell();
    platform.goes();
}

#[test]
fn dictamesh_runs() {
    let _turn = turn();
    let platform = Platform::new("dictamesh", &["--param", "broker_memory=512m"]);
    let sets: &[&[&str]] = &[&["sentry"]];
    platform.stands(sets);

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
    platform.tell();
    platform.goes();
}

#[test]
fn hy_home_runs() {
    let _turn = turn();
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
    platform.stands(sets);

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
    for command in [
        &["patroni"][..],
        &["valkey", "cluster", "info"],
        &["kafka-topics", "--list"],
        &["vault", "status"],
        &["terraform", "version"],
    ] {
        drop(platform.stack.project.run(&[&["run"], command].concat()).expect(0));
    }
    platform.tell();
    platform.goes();
}

#[test]
fn all_five_stand_side_by_side() {
    let _turn = turn();
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
