//! Backup and restore on real services, checked from outside.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use dollop_tests::cli::{Project, Run};
use lapin::options::{BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Confirmation, Connection, ConnectionProperties};
use serde_json::{Value as Json, json};
use tokio::runtime::Runtime;

use super::quickstart::{Stack, docker};

const STACK: &str = r#"// A little of everything that holds data.
import "std/postgres" as pg;
import "std/rabbitmq" as mq;
import "std/redis" as redis;

let main = pg::server("main");
let app = main.server.role("app", #{ password: local::random("app").result });
let shop = main.server.database("shop", #{ owner: app, comment: "it's; a shop", settings: #{ timezone: "UTC" } });
shop.extension("pg_trgm");
shop.grant("private", #{ role: "PUBLIC", on: "database", privileges: [] });
let broker = mq::server("broker", #{ plugins: ["rabbitmq_shovel"] });
broker.server.plugin("rabbitmq_shovel");
let vhost = broker.server.vhost("shop");
let worker = broker.server.user("worker", #{ password: local::random("worker").result });
vhost.permission(worker, #{ read: ".*", write: "^amq\\.default$" });
let orders = vhost.queue("orders", #{ "type": "quorum" });
vhost.queue("careful", #{ "type": "quorum", delivery_limit: 5 });
vhost.exchange("events", #{ "type": "topic" });
vhost.binding("orders", #{ source: "events", destination: orders, routing_key: "order.#" });
vhost.policy("limits", #{ pattern: ".*", apply_to: "queues", definition: #{ "max-length": 1000 } });
redis::server("cache", #{});
output("app", pg::url(main, app, shop));
output("amqp", mq::url(broker, worker, vhost));
output("broker", `http://${broker.user}:${broker.password}@${broker.host}:${broker.management_port}`);
"#;

/// What a run said, without the line breaks of a narrow terminal.
fn said(run: &Run) -> String {
    run.stderr.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The definitions of a broker, without what is new in every broker.
pub(super) fn settled(mut all: Json) -> Json {
    for user in all["users"].as_array_mut().expect("users") {
        user["password_hash"] = Json::Null;
    }
    all["global_parameters"] = Json::Null;
    for section in all.as_object_mut().expect("sections").values_mut() {
        if let Some(rows) = section.as_array_mut() {
            rows.sort_by_key(ToString::to_string);
        }
    }
    all
}

struct World {
    stack: Stack,
}

impl World {
    fn new(name: &str, script: &str) -> Self {
        let stack = Stack::of(Project::new(name, script), name);
        stack.apply();
        Self { stack }
    }

    fn run(&self, arguments: &[&str]) -> Run {
        self.stack.project.run(arguments)
    }

    fn sql(&self, database: &str, sql: &str) -> String {
        let container = self.stack.container("main");
        docker(&[
            "exec",
            "-u",
            "postgres",
            &container,
            "psql",
            "-XAtq",
            "-v",
            "ON_ERROR_STOP=1",
            "-d",
            database,
            "-c",
            sql,
        ])
    }

    fn redis(&self, words: &[&str]) -> String {
        let cache = self.stack.container("cache");
        let mut all = vec!["exec", cache.as_str(), "redis-cli", "--no-auth-warning"];
        all.extend_from_slice(words);
        docker(&all)
    }

    fn broker(&self, method: &str, path: &str, body: &Json) -> Json {
        let url = format!("{}/api/{path}", self.stack.output("broker"));
        let output = Command::new("curl")
            .args(["--silent", "--fail", "--noproxy", "*", "-X", method, &url])
            .args(["--header", "content-type: application/json", "--data", &body.to_string()])
            .output()
            .expect("curl runs");
        assert!(output.status.success(), "{method} {path}");
        serde_json::from_slice(&output.stdout).unwrap_or_default()
    }

    /// Everything the broker defines.
    fn topology(&self) -> Json {
        settled(self.broker("GET", "definitions", &Json::Null))
    }

    fn seed(&self) {
        self.sql("shop", "create table goods (id serial primary key, name text, at timestamptz);
            insert into goods (name, at) select 'thing ' || n, '2026-01-01'::timestamptz + n * interval '1 min'
                from generate_series(1, 5000) n;
            create index goods_name on goods using gin (name gin_trgm_ops);
            create table \"Odd \"\"Näme\" (v jsonb, b bytea, f float8);
            insert into \"Odd \"\"Näme\" select jsonb_build_object('n', n), decode(md5(n::text), 'hex'), n / 3.0
                from generate_series(1, 100) n;
            create sequence numbers; select setval('numbers', 4711);
            alter table goods owner to app; grant select on goods to public;
            select lo_from_bytea(4242, decode(repeat('ab', 100000), 'hex'));");
        self.sql(
            "postgres",
            "create role byhand login password 'by-hand-secret-1'; grant app to byhand",
        );
        self.sql("postgres", "create database undeclared owner byhand");
        self.sql("undeclared", "create table t (n int); insert into t values (1), (2)");
        self.broker("PUT", "queues/shop/byhand", &json!({ "durable": true, "arguments": {} }));
        drop(self.redis(&["set", "greeting", "hello"]));
    }

    /// What must come back, as seen from outside.
    fn sums(&self) -> Vec<String> {
        let goods = "select count(*), md5(string_agg(g::text, ',' order by id)) from goods g";
        let odd = "select count(*), md5(string_agg(o::text, ',' order by v->>'n')) from \"Odd \"\"Näme\" o";
        let large = "select md5(lo_get(4242))";
        let owner = "select tableowner from pg_tables where tablename = 'goods'";
        let may = "select has_table_privilege('byhand', 'goods', 'select'), pg_has_role('byhand', 'app', 'member')";
        let next = "select last_value from numbers";
        let about = "select pg_get_userbyid(datdba), datacl::text, shobj_description(oid, 'pg_database'),
            (select setconfig::text from pg_db_role_setting where setdatabase = d.oid)
            from pg_database d where datname = 'shop'";
        let mut sums: Vec<_> = [goods, odd, large, owner, may, next, about]
            .iter()
            .map(|sql| self.sql("shop", sql))
            .collect();
        sums.push(self.sql("undeclared", "select sum(n) from t"));
        sums.push(
            self.sql("postgres", "select rolpassword from pg_authid where rolname = 'byhand'"),
        );
        sums.push(self.redis(&["get", "greeting"]));
        sums
    }

    /// The broker's queues, tools and API, by the name of its connection.
    fn look_into_the_broker(&self) {
        let queues = self.run(&["rabbit", "--vhost", "shop", "--format", "json"]).expect(0);
        let queues: Json = serde_json::from_str(&queues.stdout).expect("JSON");
        let names: Vec<_> = queues["queues"]
            .as_array()
            .expect("queues")
            .iter()
            .map(|queue| (queue["name"].as_str().unwrap(), queue["type"].as_str().unwrap()))
            .collect();
        assert!(names.contains(&("orders", "quorum")), "{names:?}");
        let shown = self.run(&["rabbit"]).expect(0).stdout;
        assert!(shown.contains("VHOST") && shown.contains("orders"), "{shown}");
        let listed = self.run(&["rabbit", "broker", "--", "-q", "list_vhosts", "name"]);
        assert!(listed.expect(0).stdout.lines().any(|line| line == "shop"));
        let plugins = ["rabbit", "--tool", "plugins", "--", "list", "-e", "-m", "-q"];
        assert!(self.run(&plugins).expect(0).stdout.contains("rabbitmq_shovel"));
        let wrong = self.run(&["rabbit", "--", "lsit_vhosts"]);
        assert!(wrong.code.is_some_and(|code| code > 1), "{}", wrong.text());
        let answer = self.run(&["rabbit", "--api", "vhosts/shop"]).expect(0).stdout;
        let answer: Json = serde_json::from_str(&answer).expect("JSON");
        assert_eq!(answer["name"], "shop");
        let nothing = self.run(&["rabbit", "--api", "vhosts/nothing"]).expect(1);
        assert!(nothing.stderr.contains("lists its paths at"), "{}", nothing.text());
    }

    fn backup(&self, more: &[&str]) -> PathBuf {
        let mut arguments = vec!["backup"];
        arguments.extend_from_slice(more);
        let run = self.run(&arguments).expect(0);
        PathBuf::from(run.stdout.trim_end())
    }
}

/// A client of the broker, as a program would be one.
struct Client {
    runtime: Runtime,
    connection: Connection,
}

impl Client {
    fn of(world: &World) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let url = world.stack.output("amqp");
        let connection = Connection::connect(&url, ConnectionProperties::default());
        let connection = runtime.block_on(connection).expect("the broker");
        Self { runtime, connection }
    }

    /// Messages of bytes that are no text, every third without any properties.
    fn publish(&self, queue: &str, many: u8) {
        self.runtime.block_on(async {
            let channel = self.connection.create_channel().await.unwrap();
            channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
            let must = BasicPublishOptions { mandatory: true, ..Default::default() };
            for number in 0..many {
                let mut headers = FieldTable::default();
                let text = AMQPValue::LongString(format!("h{number}").into());
                headers.insert("n".into(), text);
                let full = BasicProperties::default()
                    .with_delivery_mode(2)
                    .with_content_type("application/json".into())
                    .with_message_id(format!("{queue}-{number}").into())
                    .with_correlation_id("of all".into())
                    .with_timestamp(1_700_000_000)
                    // The broker checks that it is the sender's own name.
                    .with_user_id("worker".into())
                    .with_headers(headers);
                let properties =
                    if number % 3 == 0 { BasicProperties::default() } else { full };
                let payload = [0xff, 0, number];
                let sent =
                    channel.basic_publish("".into(), queue.into(), must, &payload, properties);
                let taken = sent.await.unwrap().await.unwrap();
                assert!(matches!(taken, Confirmation::Ack(None)), "not routed");
            }
        });
    }

    /// What waits in a queue, in words; it goes back when the channel closes, or is `taken`.
    fn read(&self, queue: &str, taken: bool) -> Vec<String> {
        self.runtime.block_on(async {
            let channel = self.connection.create_channel().await.unwrap();
            let mut found = Vec::new();
            let options = BasicGetOptions { no_ack: taken };
            while let Some(got) = channel.basic_get(queue.into(), options).await.unwrap() {
                let about = &got.delivery.properties;
                let headers = about.headers().clone().unwrap_or_default();
                found.push(format!(
                    "{:?} {:?} {:?} {:?} {:?} {:?} {:?}",
                    got.delivery.data,
                    headers.inner().get("n"),
                    about.content_type(),
                    about.message_id(),
                    about.correlation_id(),
                    about.delivery_mode(),
                    about.timestamp(),
                ));
            }
            channel.close(200, "read".into()).await.unwrap();
            found
        })
    }
}

#[test]
fn what_was_saved_comes_back() {
    let world = World::new("dt-backup", STACK);
    world.seed();
    let (sums, topology) = (world.sums(), world.topology());
    let client = Client::of(&world);
    for queue in ["orders", "byhand", "careful"] {
        client.publish(queue, 20);
    }
    let (orders, byhand) = (client.read("orders", false), client.read("byhand", false));
    assert_eq!((orders.len(), byhand.len()), (20, 20));
    world.look_into_the_broker();
    let then =
        "test -f \"$DOLLOP_BACKUP/manifest.json\" && echo \"$DOLLOP_BACKUP_NAME\" > copied";
    let run = world.run(&["backup", "--stop", "--messages", "--then", then]).expect(0);
    let folder = PathBuf::from(run.stdout.trim_end());
    assert!(
        said(&run).contains("its data is saved by `postgres::server.main`"),
        "{}",
        run.stderr
    );
    let copied = world.stack.project.read("copied");
    assert_eq!(Some(copied.trim()), folder.file_name().and_then(|name| name.to_str()));
    let limited = "not saved 1 queue with a limit on deliveries";
    assert!(said(&run).contains(limited), "{}", run.stderr);
    // Handing back changes the order in a quorum queue.
    let sorted = |mut messages: Vec<String>| {
        messages.sort();
        messages
    };
    assert_eq!(sorted(client.read("orders", false)), sorted(orders.clone()), "they stay");

    // Private, whole by everybody's tools, and nothing unfinished beside it.
    let mut files = vec![folder.clone(), folder.join("parts")];
    files.extend(std::fs::read_dir(folder.join("parts")).unwrap().map(|f| f.unwrap().path()));
    files.push(folder.join("manifest.json"));
    for file in &files {
        let mode = std::fs::metadata(file).unwrap().permissions().mode() & 0o077;
        assert_eq!(mode, 0, "{} is for its owner alone", file.display());
    }
    let sums_hold = Command::new("sha256sum")
        .args(["--check", "--quiet", "SHA256SUMS"])
        .current_dir(&folder)
        .status()
        .unwrap();
    assert!(sums_hold.success());
    let manifest = std::fs::read_to_string(folder.join("manifest.json")).unwrap();
    for secret in ["by-hand-secret-1", "SCRAM-SHA-256", &world.stack.output("app")] {
        assert!(!manifest.contains(secret) && !run.text().contains(secret));
    }
    drop(world.run(&["backup", "verify"]).expect(0));

    let tried = world.run(&["restore", "latest", "--verify"]).expect(0);
    assert!(said(&tried).contains("comes back as it was saved"), "{}", tried.stderr);
    assert!(said(&tried).contains("each queue by its sum"), "{}", tried.stderr);
    assert!(!docker(&["ps", "-a", "--format", "{{.Names}}"]).contains("dt-backup-main-verify"));
    assert_eq!(world.sums(), sums, "a trial changes nothing");

    // What holds something is overwritten with consent only.
    let refused = world.run(&["restore", "latest", "--auto-approve"]).expect(1);
    assert!(said(&refused).contains("error[E0517]"), "{}", refused.stderr);
    assert!(said(&refused).contains("postgres::database.main/shop"));

    drop(world.stack.project.destroy(&[]).expect(0));
    assert!(world.stack.labelled("volume").is_empty());
    world.stack.apply();
    // A new Redis has written files of its own.
    let consent = ["--allow-data-loss", "docker::volume.cache"];
    let restore = ["restore", "latest", "--auto-approve", consent[0], consent[1]];
    let restored = world.run(&restore).expect(0);
    let signed = "lost `user_id`: others had sent them";
    assert!(said(&restored).contains(signed), "{}", restored.stderr);
    assert_eq!(world.sums(), sums);
    assert_eq!(world.topology(), topology);
    let client = Client::of(&world);
    assert_eq!(sorted(client.read("orders", true)), sorted(orders));
    assert_eq!(client.read("byhand", true), byhand, "in order");
    assert_eq!(client.read("careful", true), [""; 0]);
    world.stack.expect_no_changes();
    // The passwords are those of the new stack, and work.
    let container = world.stack.container("main");
    let url = world.stack.output("app");
    let login = url.split('@').next().expect("a login");
    let inside = format!("{login}@127.0.0.1:5432/shop");
    let who = docker(&["exec", &container, "psql", &inside, "-XAtqc", "select current_user"]);
    assert_eq!(who, "app");
    drop(world.stack.project.destroy(&[]).expect(0));
}

/// A program that writes a volume, and no server.
const FILES: &str = r#"// A volume with files.
let data = docker::volume("data");
docker::container("app", #{
    image: "busybox:1.35", init: true, command: ["sleep", "100000"], volumes: [`${data}:/data`],
});
"#;

impl World {
    fn files(name: &str) -> Self {
        let world = Self::new(name, FILES);
        world.inside(
            "mkdir -p /data/a/.b && head -c 40000000 /dev/urandom > /data/a/big && \
            echo hello > /data/a/.b/c && ln -s big /data/a/link && chown 7:8 /data/a/.b/c && \
            chmod 640 /data/a/.b/c && chown 5:6 /data && chmod 2750 /data && mkfifo /data/pipe",
        );
        world
    }

    fn inside(&self, command: &str) -> String {
        docker(&["exec", &self.stack.container("app"), "sh", "-c", command])
    }

    fn tree(&self) -> String {
        self.inside("cd /data && find . ! -type f -exec ls -ldn {} + | awk '{print $1,$3,$4,$NF}' | sort \
            && find . -type f -exec ls -ln {} + | sort -k9 && find . -type f | sort | xargs sha256sum")
    }

    fn runs(&self) -> bool {
        let container = self.stack.container("app");
        docker(&["inspect", "-f", "{{.State.Running}}", &container]) == "true"
    }

    /// Starts a command and kills it (-9) once its container is stopped.
    fn killed(&self, arguments: &[&str]) {
        let mut running = self.stack.project.start(arguments);
        while self.runs() {
            assert!(running.child().try_wait().unwrap().is_none(), "it ended before");
        }
        running.child().kill().expect("it runs");
        drop(running.end());
        assert!(!self.runs(), "it was killed while its container was stopped");
    }
}

#[test]
fn a_volume_comes_back_with_owners_and_permissions() {
    let world = World::files("dt-backup-files");
    let tree = world.tree();
    let folder = world.backup(&["--pause"]);
    drop(world.run(&["restore", folder.to_str().unwrap(), "--verify"]).expect(0));
    world.inside("rm -rf /data/a && echo other > /data/other && echo hidden > /data/.hidden && chmod 777 /data");
    let refused = world.run(&["restore", "latest", "--auto-approve"]).expect(1);
    assert!(said(&refused).contains("would lose files (volume"), "{}", refused.stderr);
    drop(
        world
            .run(&[
                "restore",
                "latest",
                "--auto-approve",
                "--allow-data-loss",
                "docker::volume.data",
            ])
            .expect(0),
    );
    assert_eq!(world.tree(), tree);
    world.stack.expect_no_changes();
}

#[test]
fn what_dies_in_the_middle_can_be_run_again() {
    let world = World::files("dt-backup-dies");
    let tree = world.tree();
    world.killed(&["backup", "--stop"]);
    let again = world.run(&["backup", "--stop"]).expect(0);
    assert!(
        said(&again).contains("goes on: a run that died had stopped it"),
        "{}",
        again.stderr
    );
    assert!(world.runs());
    let folder = world.stack.project.folder().join(".dollop/backups");
    let names: Vec<_> = std::fs::read_dir(folder).unwrap().collect();
    assert_eq!(names.len(), 1, "what was unfinished is gone: {names:?}");

    world.inside("echo other > /data/other");
    let consent = ["--allow-data-loss", "docker::volume.data"];
    world.killed(&["restore", "latest", "--auto-approve", consent[0], consent[1]]);
    drop(world.run(&["restore", "latest", "--auto-approve"]).expect(0));
    assert_eq!(world.tree(), tree);
    let left = docker(&["ps", "-aq", "--filter", "label=dollop.backup=dt-backup-dies"]);
    assert_eq!(left, "", "no helper is left behind");
}

#[test]
fn what_is_damaged_is_refused() {
    let world = World::files("dt-backup-broken");
    let folder = world.backup(&["--stop"]);
    let part = std::fs::read_dir(folder.join("parts")).unwrap().next().unwrap().unwrap().path();
    let whole = std::fs::read(&part).unwrap();
    let mut flipped = whole.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    std::fs::write(&part, &flipped).unwrap();
    for command in [&["backup", "verify"][..], &["restore", "latest", "--auto-approve"]] {
        let refused = world.run(command).expect(1);
        assert!(said(&refused).contains("has another checksum"), "{}", refused.stderr);
    }
    std::fs::write(&part, &whole[..middle]).unwrap();
    let refused = world.run(&["backup", "verify"]).expect(1);
    assert!(said(&refused).contains("bytes, not"), "{}", refused.stderr);
    std::fs::remove_file(&part).unwrap();
    drop(world.run(&["restore", "latest", "--verify"]).expect(1));
    std::fs::write(&part, &whole).unwrap();

    // A manifest that was altered, and one of a dollop to come.
    let manifest = folder.join("manifest.json");
    let text = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, text.replace("\"dollop_backup\": 1", "\"dollop_backup\": 99"))
        .unwrap();
    let refused = world.run(&["restore", folder.to_str().unwrap()]).expect(1);
    assert!(said(&refused).contains("its checksum is another"), "{}", refused.stderr);
    let sums = Command::new("sh")
        .args(["-c", "sha256sum manifest.json parts/* > SHA256SUMS"])
        .current_dir(&folder)
        .status()
        .unwrap();
    assert!(sums.success());
    let refused = world.run(&["restore", folder.to_str().unwrap()]).expect(1);
    assert!(
        said(&refused).contains("its format is 99, this dollop knows 1"),
        "{}",
        refused.stderr
    );

    // Nowhere to write.
    let refused = world.run(&["backup", "--out", "stack.rhai/backups"]).expect(1);
    assert!(
        said(&refused).contains("cannot create `stack.rhai/backups`"),
        "{}",
        refused.stderr
    );
    assert!(world.runs());
    // Nothing of that name.
    let refused = world.run(&["backup", "docker::volume.dat"]).expect(1);
    assert!(said(&refused).contains("the stack has nothing for `docker::volume.dat`"));
}

#[test]
fn an_encrypted_backup_needs_its_key() {
    let name = "dt-backup-age";
    let key = age::x25519::Identity::generate();
    let recipient = key.to_public().to_string();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key.txt");
    let secret = age::secrecy::ExposeSecret::expose_secret(&key.to_string()).to_owned();
    std::fs::write(&file, secret).unwrap();
    let world = World::files(name);
    let tree = world.tree();
    let saved = world.backup(&["--stop", "--encrypt-to", &recipient]);
    let parts = std::fs::read_dir(saved.join("parts")).unwrap();
    for part in parts {
        assert!(
            std::fs::read(part.unwrap().path()).unwrap().starts_with(b"age-encryption.org/")
        );
    }
    let refused = world.run(&["restore", "latest", "--auto-approve"]).expect(1);
    assert!(
        said(&refused).contains("`DOLLOP_AGE_IDENTITY` names no file"),
        "{}",
        refused.stderr
    );
    world.inside("echo other > /data/other");
    let restored = Command::new(dollop_tests::cli::binary())
        .args([
            "restore",
            "latest",
            "--auto-approve",
            "--allow-data-loss",
            "docker::volume.data",
        ])
        .current_dir(world.stack.project.folder())
        .env("DOLLOP_AGE_IDENTITY", &file)
        .output()
        .unwrap();
    assert!(restored.status.success(), "{}", String::from_utf8_lossy(&restored.stderr));
    assert_eq!(world.tree(), tree);
}
