//! The modules that come with dollop, on real services; environments side by side.

use dollop_tests::cli::Project;

use super::quickstart::{Stack, docker, sweep};

const ALL: &str = r#"// Every module once.
import "std/postgres" as pg;
import "std/rabbitmq" as mq;
import "std/redis" as redis;

let net = docker::network("net");
let main = pg::server("main", #{ networks: [net], settings: #{ max_connections: 37 } });
let app = main.server.role("app", #{ password: local::random("app").result });
let shop = main.server.database("shop", #{ owner: app });
let broker = mq::server("broker", #{ networks: [net] });
let vhost = broker.server.vhost("shop");
let worker = broker.server.user("worker", #{ password: local::random("worker").result });
vhost.permission(worker, #{ read: ".*" });
let cache = redis::server("cache", #{ networks: [net], settings: #{ maxmemory: "32mb" } });
output("database", pg::inner_url(main, app, shop));
output("database_here", pg::url(main, app, shop));
output("worker", worker.password);
output("broker", mq::url(broker, worker, vhost));
output("cache", redis::inner_url(cache));
"#;

#[test]
fn the_modules_make_servers_that_can_be_used() {
    let stack = Stack::of(Project::new("dt-modules", ALL), "dt-modules");
    stack.apply();
    stack.expect_no_changes();

    // As a container of the network sees them.
    let database = stack.container("main");
    let sql = "select current_user || current_setting('max_connections')";
    let answer =
        docker(&["exec", &database, "psql", "-XAtq", &stack.output("database"), "-c", sql]);
    assert_eq!(answer, "app37");
    let cache = stack.container("cache");
    let url = stack.output("cache");
    let ask = |words: &[&str]| {
        // Without the password in the environment: the URL must do.
        let mut all = vec!["exec", &cache, "env", "-u", "REDISCLI_AUTH", "redis-cli"];
        all.extend_from_slice(&["--no-auth-warning", "-u", &url]);
        all.extend_from_slice(words);
        docker(&all)
    };
    assert_eq!(ask(&["ping"]), "PONG");
    assert!(ask(&["config", "get", "maxmemory"]).contains("33554432"));
    let broker = stack.container("broker");
    let password = stack.output("worker");
    drop(docker(&[
        "exec",
        &broker,
        "rabbitmqctl",
        "-q",
        "authenticate_user",
        "worker",
        &password,
    ]));
    let url = stack.output("broker");
    assert!(url.starts_with("amqp://worker:") && url.ends_with("/shop"), "{url}");
    assert!(stack.output("database_here").contains("@127.0.0.1:"));

    drop(stack.project.destroy(&[]).expect(0));
    for what in ["container", "network", "volume"] {
        assert!(stack.labelled(what).is_empty(), "{what} left behind");
    }
}

#[test]
fn two_environments_share_one_engine() {
    let script = "// A cache.\nimport \"std/redis\" as redis;\n\
                  let cache = redis::server(\"cache\", #{ persistent: false });\n\
                  output(\"port\", cache.port);\n";
    sweep("dt-beside_prod");
    let stack = Stack::of(Project::new("dt-beside", script), "dt-beside");
    stack.apply();
    let prod = ["apply", "--auto-approve", "--env", "prod"];
    drop(stack.project.run(&prod).expect(0));
    let names = docker(&["ps", "--filter", "name=dt-beside", "--format", "{{.Names}}"]);
    let mut names: Vec<_> = names.lines().collect();
    names.sort_unstable();
    assert_eq!(names, ["dt-beside-cache", "dt-beside_prod-cache"]);
    let port = |environment: &str| {
        stack.project.run(&["output", "port", "--raw", "--env", environment]).expect(0).stdout
    };
    assert_ne!(port("default"), port("prod"));
    drop(stack.project.destroy(&[]).expect(0));
    let left = docker(&["ps", "--filter", "name=dt-beside", "--format", "{{.Names}}"]);
    assert_eq!(left, "dt-beside_prod-cache");
    drop(stack.project.destroy(&["--env", "prod"]).expect(0));
}
