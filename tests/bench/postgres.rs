//! Whole processes against a PostgreSQL server in a container: 11 schemas, 20 roles, 50 grants
//! and 3 extensions, made for the first time and planned again, beside `psql` with the same
//! statements and with one bare query.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const PASSWORD: &str = "bench";
const ROUNDS: usize = 7;

/// A server that goes with this value.
struct Server {
    name: String,
    port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = Command::new("docker").args(["rm", "-fv", &self.name]).output();
    }
}

impl Server {
    fn start() -> Option<Self> {
        let name = format!("dollop-bench-postgres-{}", std::process::id());
        let made = Command::new("docker")
            .args(["run", "-d", "--name", &name, "-e", "POSTGRES_PASSWORD=bench"])
            .args(["-p", "127.0.0.1::5432", "postgres:15"])
            .output();
        let mut server = Self { name, port: 0 };
        made.ok().filter(|output| output.status.success())?;
        let port =
            Command::new("docker").args(["port", &server.name, "5432/tcp"]).output().ok()?;
        let port = String::from_utf8(port.stdout).ok()?;
        server.port = port.trim().rsplit(':').next()?.parse().ok()?;
        let start = Instant::now();
        while !server.psql(&["-c", "select 1"]).output().is_ok_and(|done| done.status.success())
        {
            assert!(start.elapsed() < Duration::from_mins(1), "the server does not start");
            std::thread::sleep(Duration::from_millis(200));
        }
        Some(server)
    }

    fn psql(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("psql");
        command
            .args([
                "-X",
                "-q",
                "-At",
                "-v",
                "ON_ERROR_STOP=1",
                "-h",
                "127.0.0.1",
                "-U",
                "postgres",
            ])
            .args(["-p", &self.port.to_string()])
            .args(arguments)
            .env("PGPASSWORD", PASSWORD);
        command
    }

    fn script(&self) -> String {
        let mut text = format!(
            "let pg = postgres::server(\"main\", #{{ host: \"127.0.0.1\", port: {}, \
             password: \"{PASSWORD}\" }});\nlet db = pg.database(\"bench\");\n",
            self.port
        );
        text.push_str(
            "let roles = [];\nfor i in 0..20 { roles.push(pg.role(`bench_r${i}`)); }\n\
             let schemas = [];\nfor i in 0..11 { schemas.push(db.schema(`s${i}`)); }\n\
             for i in 0..50 {\n    db.grant(`g${i}`, #{ role: roles[i % 20], on: \"schema\", \
             schema: schemas[(i / 20) * 4 + i % 3], privileges: [\"USAGE\"] });\n}\n\
             for name in [\"pg_trgm\", \"hstore\", \"citext\"] { db.extension(name); }\n",
        );
        text
    }
}

/// The same by hand.
fn statements() -> String {
    let mut text = String::from("create database bench template template0;\n\\connect bench\n");
    for role in 0..20 {
        let _ = writeln!(text, "create role bench_r{role} login;");
    }
    for schema in 0..11 {
        let _ = writeln!(text, "create schema s{schema};");
    }
    for grant in 0..50 {
        let schema = (grant / 20) * 4 + grant % 3;
        let _ = writeln!(text, "grant usage on schema s{schema} to bench_r{};", grant % 20);
    }
    text.push_str(
        "create extension pg_trgm; create extension hstore; create extension citext;\n",
    );
    text
}

/// What takes everything away again.
fn clear(server: &Server) {
    let mut text = String::from("drop database if exists bench with (force);");
    for role in 0..20 {
        let _ = write!(text, "drop role if exists bench_r{role};");
    }
    for statement in text.split_terminator(';') {
        super::spent(&mut server.psql(&["-c", statement]));
    }
}

/// Prints the ratios.
pub(super) fn section(dollop: &Path) {
    let Some(server) = Server::start() else {
        println!("\nno Docker engine with the image `postgres:15`: no figures for PostgreSQL");
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("stack.rhai"), server.script()).expect("the script");
    let by_hand = folder.path().join("by_hand.sql");
    std::fs::write(&by_hand, statements()).expect("the statements");
    let run = |arguments: &[&str]| {
        super::spent(Command::new(dollop).args(arguments).current_dir(folder.path()))
    };
    let mut first = Vec::new();
    let mut hand = Vec::new();
    for _ in 0..ROUNDS {
        clear(&server);
        hand.push(super::spent(&mut server.psql(&["-f", &by_hand.to_string_lossy()])));
        clear(&server);
        let _ = std::fs::remove_dir_all(folder.path().join(".dollop"));
        first.push(run(&["apply", "--auto-approve"]));
    }
    let query = "select nspname, nspacl from pg_namespace";
    let mut again = Vec::new();
    let mut bare = Vec::new();
    for _ in 0..ROUNDS {
        bare.push(super::spent(&mut server.psql(&["-d", "bench", "-c", query])));
        again.push(run(&["plan", "--detailed-exitcode"]));
    }
    println!(
        "\nPostgreSQL, 84 objects and their database, whole processes, median milliseconds"
    );
    for (what, own, other, rival) in [
        ("first apply", first, hand, "psql with the same statements"),
        ("empty plan", again, bare, "psql with one bare query"),
    ] {
        let (own, other) = (median(own), median(other));
        println!("{what:<12} {own:>8.1} / {other:>8.1} = {:.2}   ({rival})", own / other);
    }
    clear(&server);
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2] * 1000.0
}
