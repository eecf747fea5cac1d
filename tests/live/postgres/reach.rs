//! The ways to a server: a Unix socket, several hosts of which one leads, a pooler.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use dollop_engine::error::Failure;
use serde_json::{Value as Json, json};

use super::container::{self, Container, PASSWORD};
use super::world::{World, open};

/// The server, reached in some way.
async fn world(container: &std::sync::Arc<Container>, spec: Json) -> World {
    let registry = dollop_stdlib::registry();
    let connection = open(&registry, spec).await.unwrap_or_else(|error| panic!("{error:?}"));
    World { registry, connection, container: container.clone() }
}

#[tokio::test]
async fn a_unix_socket() {
    let folder = tempfile::tempdir().unwrap();
    let everybody = std::fs::Permissions::from_mode(0o777);
    std::fs::set_permissions(folder.path(), everybody).unwrap();
    let at = folder.path().to_str().unwrap();
    let container = Container::start_with(&["-v", &format!("{at}:/var/run/postgresql")]);
    let container = std::sync::Arc::new(container);
    let start = Instant::now();
    while !folder.path().join(".s.PGSQL.5432").exists() {
        assert!(start.elapsed() < Duration::from_mins(1), "the server makes no socket");
        std::thread::sleep(Duration::from_millis(50));
    }
    let spec = json!({ "host": at, "password": PASSWORD, "sslmode": "require" });
    let world = world(&container, spec).await;
    let role = world.make("postgres::role", "dt_socket", json!({ "password": "x" })).await;
    world.expect_same(&role).await;
    let registry = dollop_stdlib::registry();
    let nobody = json!({ "host": "/nowhere", "password": PASSWORD });
    let error = open(&registry, nobody).await.expect_err("nobody is there");
    assert_eq!(error.failure, Failure::Unreachable, "{error:?}");
    assert!(error.message.contains("/nowhere/.s.PGSQL.5432"), "{error:?}");
}

#[tokio::test]
async fn the_one_that_leads() {
    let primary = std::sync::Arc::new(Container::start());
    let standby = primary.standby();
    let hosts = format!("{},{}", standby.address(), primary.address());
    let spec = |target: &str| {
        json!({ "host": hosts, "password": PASSWORD, "target_session_attrs": target,
                "connect_timeout": 60 })
    };
    // The first that answers is the standby, which says what to do.
    let any = world(&primary, spec("any")).await;
    let role = any.declare("postgres::role", "dt_leader", json!({}));
    let error = any.try_create(&role).await.unwrap_err();
    let hint = "set `target_session_attrs: \"read-write\"`";
    assert!(error.hints.iter().any(|said| said.contains(hint)), "{error:?}");

    let leader = world(&primary, spec("read-write")).await;
    leader.make("postgres::role", "dt_leader", json!({})).await;
    // A fail-over in the middle of a run: nobody leads for a while, and the write waits.
    primary.kill();
    let waiting = leader.declare("postgres::role", "dt_leader_2", json!({}));
    let promote = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        standby.psql("postgres", "select pg_promote()")
    };
    let (made, promoted) = tokio::join!(leader.try_create(&waiting), promote);
    assert_eq!(promoted, "t");
    made.unwrap_or_else(|error| panic!("{error:?}"));
    let there = "select count(*) from pg_roles where rolname like 'dt_leader%'";
    assert_eq!(standby.psql("postgres", there), "2");
}

/// A pooler in front of the server; ends with this value.
struct Pooler {
    child: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Pooler {
    fn start(server: &Container, mode: &str) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755))
            .unwrap();
        let config = folder.path().join("pgbouncer.ini");
        let text = format!(
            "[databases]\n* = host=127.0.0.1 port={} user=postgres password='{}'\n[pgbouncer]\n\
             listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n\
             pool_mode = {mode}\ndefault_pool_size = 2\n",
            server.port,
            PASSWORD.replace('\'', "''"),
        );
        std::fs::write(&config, text).unwrap();
        let child = Command::new("pgbouncer").args(["-q", "-u", "nobody"]).arg(&config).spawn();
        let child = child.expect("the lab installs pgbouncer");
        let pooler = Self { child, port, _folder: folder };
        let start = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(start.elapsed() < Duration::from_mins(1), "pgbouncer does not start");
            std::thread::sleep(Duration::from_millis(50));
        }
        pooler
    }

    /// What a client of the pooler is told.
    fn ask(&self, database: &str, sql: &str) -> String {
        let output = Command::new("psql")
            .args(["-X", "-At", "-h", "127.0.0.1", "-U", "postgres", "-d", database, "-c", sql])
            .args(["-p", &self.port.to_string()])
            .output()
            .expect("psql runs");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}

#[tokio::test]
async fn a_pooler_in_every_mode() {
    let container = container::shared();
    for mode in ["session", "transaction"] {
        let pooler = Pooler::start(&container, mode);
        let spec = json!({ "host": "127.0.0.1", "port": pooler.port, "sslmode": "prefer" });
        let world = world(&container, spec).await;
        let name = format!("dt_pooler_{mode}");
        let role = world.make("postgres::role", &name, json!({ "password": "x" })).await;
        let database =
            world.make("postgres::database", &name, json!({ "force_drop": true })).await;
        let schema = world.make("postgres::schema", "s", json!({ "database": name })).await;
        let columns = json!([{ "name": "id", "type": "int" }]);
        let table = json!({ "database": name, "schema": "s", "columns": columns });
        let table = world.make("postgres::table", "t", table).await;
        let grant = json!({
            "database": name, "role": name, "on": "tables", "schema": "s", "objects": ["t"],
            "privileges": ["SELECT"],
        });
        let grant = world.make("postgres::grant", "g", grant).await;
        // What dollop sets for itself is not left behind for the next one in that session.
        assert_eq!(pooler.ask(&name, "show lock_timeout"), "0", "{mode}");
        let files =
            json!({ "database": name, "files": { "1.sql": "insert into s.t values (1);" } });
        let files = world.make("postgres::migrations", "m", files).await;
        for what in [&role, &database, &schema, &table, &grant, &files] {
            world.expect_same(what).await;
        }
        for what in [&grant, &table, &schema, &database, &role] {
            world.delete(what).await;
        }
        assert!(Path::new("/proc").join(pooler.child.id().to_string()).exists());
    }
}

/// What names a server in `after_healthy` is made only when that answers SQL.
#[test]
fn what_comes_after_a_server_asks_it_first() {
    let container = container::shared();
    let script = |password: &str| {
        format!(
            r#"let pg = postgres::server("pg", #{{ host: "127.0.0.1", port: {},
                password: "{password}" }});
            local::file("after", #{{ path: "after", content: "x", after_healthy: pg }});"#,
            container.port
        )
    };
    let project = dollop_tests::cli::Project::new("pg-gate", &script("wrong"));
    let refused = project.run(&["apply", "--auto-approve"]).expect(1);
    assert!(refused.stderr.contains("does not accept the password"), "{}", refused.text());
    assert!(!project.folder().join("after").exists(), "it does not wait");
    project.write("stack.rhai", &script(PASSWORD));
    drop(project.run(&["apply", "--auto-approve"]).expect(0));
    assert_eq!(project.read("after"), "x");
}
