//! Whole processes against a PostgreSQL server in a container: 11 schemas, 20 roles, 50 grants
//! and 3 extensions in a database that is there, made for the first time and planned again,
//! beside `psql` with the same statements and with one bare query, and beside Ansible's
//! community.postgresql where `ansible-playbook` is on the PATH.

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
             password: \"{PASSWORD}\" }});\nlet db = pg.database_lookup(\"bench\");\n",
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

/// The same for Ansible, as its manual has it: one task for each sort of thing, a loop over
/// the names.
fn playbook(port: u16) -> String {
    let login = format!(
        "login_host: 127.0.0.1, login_port: {port}, login_user: postgres, \
         login_password: {PASSWORD}"
    );
    let names = |count: usize, prefix: &str| {
        (0..count).map(|number| format!("{prefix}{number}")).collect::<Vec<_>>().join(", ")
    };
    let grants: Vec<_> = (0..50)
        .map(|grant| format!("{{role: bench_r{}, schema: s{}}}", grant % 20, schema_of(grant)))
        .collect();
    format!(
        "- hosts: localhost\n  connection: local\n  gather_facts: false\n  tasks:\n\
         \x20   - community.postgresql.postgresql_user: {{name: \"{{{{ item }}}}\", {login}}}\n\
         \x20     loop: [{}]\n\
         \x20   - community.postgresql.postgresql_schema: {{name: \"{{{{ item }}}}\", \
         login_db: bench, {login}}}\n\
         \x20     loop: [{}]\n\
         \x20   - community.postgresql.postgresql_ext: {{name: \"{{{{ item }}}}\", \
         login_db: bench, {login}}}\n\
         \x20     loop: [pg_trgm, hstore, citext]\n\
         \x20   - community.postgresql.postgresql_privs: {{type: schema, privs: USAGE, \
         role: \"{{{{ item.role }}}}\", objs: \"{{{{ item.schema }}}}\", login_db: bench, \
         {login}}}\n\
         \x20     loop: [{}]\n",
        names(20, "bench_r"),
        names(11, "s"),
        grants.join(", ")
    )
}

/// The schema that a grant is on.
fn schema_of(grant: usize) -> usize {
    (grant / 20) * 4 + grant % 3
}

/// The same by hand.
fn statements() -> String {
    let mut text = String::new();
    for role in 0..20 {
        let _ = writeln!(text, "create role bench_r{role} login;");
    }
    for schema in 0..11 {
        let _ = writeln!(text, "create schema s{schema};");
    }
    for grant in 0..50 {
        let schema = schema_of(grant);
        let _ = writeln!(text, "grant usage on schema s{schema} to bench_r{};", grant % 20);
    }
    text.push_str(
        "create extension pg_trgm; create extension hstore; create extension citext;\n",
    );
    text
}

/// Takes everything away again, and leaves an empty database.
fn clear(server: &Server) {
    let mut text = String::from("drop database if exists bench with (force);");
    for role in 0..20 {
        let _ = write!(text, "drop role if exists bench_r{role};");
    }
    text.push_str("create database bench template template0;");
    for statement in text.split_terminator(';') {
        super::spent(&mut server.psql(&["-c", statement]));
    }
}

/// Everything the stack declares, asked for in one query: what a plan cannot do without.
const QUERY: &str = "select 'schema', nspname::text, nspacl::text from pg_namespace
    union all select 'role', rolname::text, null from pg_roles
    union all select 'extension', extname::text, extversion from pg_extension";

/// The most that a first apply may take, as a whole process, of what the server needs for it.
const WORST_APPLY: f64 = 5.0;

/// How many times faster than Ansible an empty plan must be.
const LEAST_PLAN: f64 = 300.0;

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
    let by_hand = by_hand.to_string_lossy().into_owned();
    let run = |arguments: &[&str]| {
        super::spent(Command::new(dollop).args(arguments).current_dir(folder.path()))
    };
    let (mut first, mut one, mut each, mut nothing) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        clear(&server);
        nothing.push(super::spent(&mut server.psql(&["-d", "bench", "-c", "select 1"])));
        one.push(super::spent(&mut server.psql(&["-d", "bench", "-1", "-f", &by_hand])));
        clear(&server);
        each.push(super::spent(&mut server.psql(&["-d", "bench", "-f", &by_hand])));
        clear(&server);
        let _ = std::fs::remove_dir_all(folder.path().join(".dollop"));
        first.push(run(&["apply", "--auto-approve"]));
    }
    let (mut again, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        bare.push(super::spent(&mut server.psql(&["-d", "bench", "-c", QUERY])));
        again.push(run(&["plan", "--detailed-exitcode"]));
    }
    let (first, again, bare) = (median(first), median(again), median(bare));
    let (one, each, nothing) = (median(one), median(each), median(nothing));
    println!("\nPostgreSQL, 84 objects, whole processes, median milliseconds of {ROUNDS}");
    let row = |what: &str, own: f64, other: f64, rival: &str| {
        println!("{what:<12} {own:>8.1} / {other:>8.1} = {:>8.4}   ({rival})", own / other);
    };
    row("first apply", first, one, "psql, the same statements in one transaction");
    row("first apply", first, each, "psql, the same statements one by one");
    // What is left of psql without its start and the connecting is the server's own work.
    let floor = (one - nothing).max(f64::EPSILON);
    row("first apply", first, floor, "that in one transaction on an open connection");
    row("first apply", first, each - nothing, "that one by one on an open connection");
    verdict("first apply", first / floor, WORST_APPLY, first <= WORST_APPLY * floor);
    row("empty plan", again, bare, "psql with one query for all of it");
    row("empty plan", again, bare - nothing, "that query on an open connection");
    let book = folder.path().join("play.yml");
    std::fs::write(&book, playbook(server.port)).expect("the playbook");
    if Command::new("ansible-playbook").arg("--version").output().is_err() {
        println!("no `ansible-playbook` on the PATH: no figures beside it");
    } else {
        // What is there already is what dollop made: nothing to do for Ansible either.
        let nothing_to_do = (0..ANSIBLE_ROUNDS).map(|_| ansible(&book, 0)).collect();
        let rival = median(nothing_to_do);
        row("empty plan", again, rival, "ansible-playbook, nothing to do");
        verdict("empty plan", rival / again, LEAST_PLAN, rival >= LEAST_PLAN * again);
        let made = |_| {
            clear(&server);
            ansible(&book, 84)
        };
        row(
            "first apply",
            first,
            median((0..ANSIBLE_ROUNDS).map(made).collect()),
            "ansible-playbook",
        );
    }
    clear(&server);
    super::spent(&mut server.psql(&["-c", "drop database bench"]));
}

/// Ansible takes half a minute each time.
const ANSIBLE_ROUNDS: usize = 3;

/// How long Ansible takes, once it is certain that it changed as many things as it should:
/// it says so for every item of a loop.
fn ansible(book: &Path, changes: usize) -> f64 {
    let mut command = Command::new("ansible-playbook");
    command.args(["-i", "localhost,"]);
    command.args(["-e", "ansible_python_interpreter={{ ansible_playbook_python }}"]);
    let start = Instant::now();
    let output = command.arg(book).env("ANSIBLE_NOCOWS", "1").output().expect("it runs");
    let spent = start.elapsed().as_secs_f64();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let done = said.lines().filter(|line| line.starts_with("changed: [")).count();
    assert_eq!(done, changes, "what Ansible changed: {said}");
    spent
}

/// Whether a bound of the issue holds.
fn verdict(what: &str, is: f64, bound: f64, holds: bool) {
    let word = if holds { "holds" } else { "DOES NOT HOLD" };
    println!("{what:<12} {is:>8.1}× with a bound of {bound}×: {word}");
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2] * 1000.0
}
