//! What exists already: looked up in real servers, waited for, and seen to be in the way.

use dollop_tests::cli::Project;

use super::postgres::container;
use super::quickstart::{Stack, docker};
use super::rabbitmq::broker::Broker;

#[test]
fn roles_databases_and_extensions_are_looked_up() {
    let server = container::shared();
    server.psql("postgres", "create role dt_found login connection limit 7");
    server.psql("postgres", "create database dt_found owner dt_found");
    let script = format!(
        r#"
        let db = postgres::server("main", #{{ host: "127.0.0.1", port: {}, password: secret({:?}) }});
        let found = db.role_lookup("dt_found");
        let base = db.database_lookup("dt_found");
        let none = db.role_lookup("dt_nobody", #{{ optional: true }});
        let inside = base.schema("dt_inside", #{{ owner: found }});
        output("limit", found.connection_limit);
        output("nobody", eq(none.connection_limit, ()));
        check("its limit", eq(found.connection_limit, 7), `the limit is ${{found.connection_limit}}`);
        "#,
        server.port,
        container::PASSWORD
    );
    let stack = Stack::of(Project::new("dt-look-pg", &script), "dt-look-pg");
    stack.apply();
    stack.expect_no_changes();
    assert_eq!(stack.output("limit"), "7");
    assert_eq!(stack.output("nobody"), "true");
    let owner =
        "select pg_get_userbyid(nspowner) from pg_namespace where nspname = 'dt_inside'";
    assert_eq!(server.psql("dt_found", owner), "dt_found");
    // It is read anew, and what it decides is seen.
    server.psql("postgres", "alter role dt_found connection limit 8");
    let said = stack.project.run(&["plan"]).expect(1).stderr;
    assert!(said.contains("E0511") && said.contains("the limit is 8"), "{said}");
    server.psql("postgres", "alter role dt_found connection limit 7");
    // It is never removed, and one that is gone is an error.
    drop(stack.project.destroy(&[]).expect(0));
    assert_eq!(
        server.psql("postgres", "select count(*) from pg_roles where rolname = 'dt_found'"),
        "1"
    );
    server.psql("postgres", "drop database dt_found");
    let said = stack.project.run(&["plan"]).expect(1).stderr;
    assert!(said.contains("E0512") && said.contains("dt_found"), "{said}");
    server.psql("postgres", "drop role dt_found");
}

#[test]
fn vhosts_users_and_queues_are_looked_up() {
    let broker = Broker::shared();
    broker.put("vhosts/dt-look", &serde_json::json!({}));
    broker.put("queues/dt-look/orders", &serde_json::json!({ "durable": true }));
    let script = format!(
        r#"
        let mq = rabbitmq::server("broker", #{{ host: "127.0.0.1", port: {}, user: "guest", password: secret("guest") }});
        let vhost = mq.vhost_lookup("dt-look");
        let orders = vhost.queue_lookup("orders");
        let none = vhost.queue_lookup("none", #{{ optional: true }});
        let events = vhost.exchange("events", #{{ "type": "topic" }});
        vhost.binding("orders", #{{ source: events, destination: orders, routing_key: "order.*" }});
        output("durable", orders.durable);
        output("none", eq(none.durable, ()));
        "#,
        broker.port
    );
    let stack = Stack::of(Project::new("dt-look-mq", &script), "dt-look-mq");
    stack.apply();
    stack.expect_no_changes();
    assert_eq!(stack.output("durable"), "true");
    assert_eq!(stack.output("none"), "true");
    let bindings = broker.get("bindings/dt-look/e/events/q/orders");
    assert_eq!(bindings[0]["routing_key"], "order.*", "{bindings}");
    drop(stack.project.destroy(&[]).expect(0));
    assert_eq!(broker.get("queues/dt-look/orders")["name"], "orders", "it is still there");
    broker.delete("vhosts/dt-look");
    let said = stack.project.run(&["plan"]).expect(1).stderr;
    assert!(said.contains("E0512") && said.contains("dt-look"), "{said}");
}

#[test]
fn what_comes_after_something_healthy_waits_for_it() {
    // Healthy after the file is there, which takes it a while; the second one sees the file
    // or fails, and needs nothing else of the first.
    let script = r#"
        let shared = docker::volume("shared");
        let slow = docker::container("slow", #{
            image: "busybox:1.35",
            command: ["sh", "-c", "sleep 2; touch /shared/ready; sleep 600"],
            volumes: [`${shared}:/shared`],
            healthcheck: #{ test: "test -e /shared/ready", interval: "300ms", retries: 30 },
            stop_signal: "SIGKILL",
        });
        docker::container("next", #{
            image: "busybox:1.35",
            command: ["test", "-e", "/shared/ready"],
            volumes: [`${shared}:/shared:ro`],
            wait: "exited",
            after_healthy: slow,
        });
    "#;
    let stack = Stack::of(Project::new("dt-healthy", script), "dt-healthy");
    stack.apply();
    stack.expect_no_changes();
    let state =
        docker(&["inspect", "--format", "{{.State.Health.Status}}", &stack.container("slow")]);
    assert_eq!(state, "healthy");
    let code =
        docker(&["inspect", "--format", "{{.State.ExitCode}}", &stack.container("next")]);
    assert_eq!(code, "0");

    // One that does not get healthy keeps what comes after it from being made.
    let sick = script
        .replace("touch /shared/ready; sleep 600", "exit 3")
        .replace("\"next\"", "\"other\"")
        .replace("dt-healthy", "dt-sick");
    let stack = Stack::of(Project::new("dt-sick", &sick), "dt-sick");
    let said = stack.project.run(&["apply", "--auto-approve"]).expect(1).stderr;
    assert!(said.contains("docker::container.slow"), "{said}");
    let made = stack.labelled("container");
    assert_eq!(made.len(), 1, "{said}");
}

#[test]
fn ranges_and_ports_of_others_are_seen_while_planning() {
    let name = format!("dt-others-{}", std::process::id());
    let _removed = Removed(&name);
    docker(&["network", "create", "--subnet", "10.231.0.0/16", &name]);
    docker(&[
        "run",
        "-d",
        "--name",
        &name,
        "-p",
        "127.0.0.1:18931:80",
        "busybox:1.35",
        "sleep",
        "600",
    ]);
    let script = r#"
        let net = docker::network("net", #{ subnet: "10.231.7.0/24" });
        docker::container("web", #{ image: "busybox:1.35", networks: [net], ports: ["18931:80"] });
        docker::container("fine", #{ image: "busybox:1.35", ports: ["18931:80/udp"] });
    "#;
    let stack = Stack::of(Project::new("dt-in-the-way", script), "dt-in-the-way");
    let said = stack.project.run(&["plan"]).expect(1).stderr;
    for part in ["10.231.7.0/24 overlaps", "10.231.0.0/16", &name, "E0516"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    stack.project.write("stack.rhai", &script.replace("10.231.7", "10.232.7"));
    let said = stack.project.run(&["plan"]).expect(1).stderr;
    for part in ["host port 18931 is taken by container", &name, "E0611"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(!said.contains("docker::container.fine"), "{said}");
    // The stack's own are no obstacle: neither what is there already nor what takes its place.
    docker(&["rm", "-f", &name]);
    docker(&["network", "rm", &name]);
    let own = r#"
        let net = docker::network("NET", #{ subnet: "10.231.7.0/24" });
        docker::container("WEB", #{
            image: "busybox:1.35", command: ["sleep", "600"], stop_signal: "SIGKILL",
            networks: [net], ports: ["127.0.0.1:18931:80"],
        });
    "#;
    stack.project.write("stack.rhai", own);
    stack.apply();
    stack.expect_no_changes();
    stack.project.write("stack.rhai", &own.replace("NET", "net2").replace("WEB", "web2"));
    stack.apply();
    stack.expect_no_changes();
}

/// Removes a container and a network of one name.
struct Removed<'a>(&'a str);

impl Drop for Removed<'_> {
    fn drop(&mut self) {
        for what in [["rm", "-f"], ["network", "rm"]] {
            let _ = std::process::Command::new("docker").args(what).arg(self.0).output();
        }
    }
}

#[test]
fn names_are_discovered_and_what_follows_from_them_is_planned() {
    let server = container::shared();
    server.psql("postgres", "create database dt_tenant_a");
    let script = format!(
        r#"
        let db = postgres::server("main", #{{ host: "127.0.0.1", port: {}, password: secret({:?}) }});
        for name in discover("tenants", db, "database") {{
            if name.starts_with("dt_tenant_") {{
                db.database_lookup(name).schema("dt_audit");
            }}
        }}
        "#,
        server.port,
        container::PASSWORD
    );
    let stack = Stack::of(Project::new("dt-discover", &script), "dt-discover");
    let said = stack.project.run(&["plan"]).expect(1).stderr;
    assert!(said.contains("E0414") && said.contains("dollop discover"), "{said}");
    let said = stack.project.run(&["discover"]).expect(0).stdout;
    assert!(said.contains("+ dt_tenant_a"), "{said}");
    // What the server has by itself is no tenant of anybody.
    assert!(!said.contains("template1"), "{said}");
    stack.apply();
    stack.expect_no_changes();
    // The world goes on; the plan stays what was reviewed until somebody asks again.
    server.psql("postgres", "create database dt_tenant_b");
    stack.expect_no_changes();
    let said = stack.project.run(&["discover", "--check"]).expect(2).stdout;
    assert!(said.contains("+ dt_tenant_b"), "{said}");
    drop(stack.project.run(&["discover"]).expect(0));
    let plan = stack.project.run(&["plan"]).expect(0).stdout;
    assert!(plan.contains("1 to create") && plan.contains("dt_tenant_b"), "{plan}");
    stack.apply();
    // A server that does not answer leaves the answers as they are.
    let answers = stack.project.read("default.discovered.json");
    let gone = script.replace(&format!("port: {}", server.port), "port: 1");
    stack.project.write("stack.rhai", &gone);
    let said = stack.project.run(&["discover"]).expect(1).stderr;
    assert!(said.contains("E0506"), "{said}");
    assert_eq!(stack.project.read("default.discovered.json"), answers);
    stack.project.write("stack.rhai", &script);
    drop(stack.project.destroy(&[]).expect(0));
    server.psql("postgres", "drop database dt_tenant_a");
    server.psql("postgres", "drop database dt_tenant_b");
}

#[test]
fn what_a_profile_left_is_stopped_and_started_again() {
    let script = r#"
        docker::container("stays", #{ image: "redis:7" });
        profile("tools", || {
            let queue = docker::container("queue", #{ image: "redis:7" });
            docker::container("ui", #{ image: "redis:7", depends_on: queue });
        });
    "#;
    let stack = Stack::of(Project::new("dt-dormant", script), "dt-dormant");
    let on = ["apply", "--auto-approve", "--profile", "tools"];
    drop(stack.project.run(&on).expect(0));
    let run = stack.project.run(&["apply", "--auto-approve", "--dormant", "stop"]).expect(0);
    let done = |name: &str| run.stderr.find(&format!("updated docker::container.{name}"));
    assert!(done("ui").is_some() && done("ui") < done("queue"), "{}", run.stderr);
    let state = |name: &str| docker(&["inspect", "-f", "{{.State.Running}}", name]);
    assert_eq!(state("dt-dormant-ui"), "false");
    assert_eq!(state("dt-dormant-queue"), "false");
    assert_eq!(state("dt-dormant-stays"), "true");
    let plan = stack.project.run(&["plan", "--dormant", "stop"]).expect(0).stdout;
    assert!(plan.contains("No changes") && plan.contains("2 objects"), "{plan}");
    drop(stack.project.run(&on).expect(0));
    assert_eq!(state("dt-dormant-ui"), "true");
    drop(stack.project.destroy(&["--profile", "tools"]).expect(0));
}
