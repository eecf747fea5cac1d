//! The quickstart as a user runs it, checked from outside: `docker`, `psql`, the broker's API.

use std::process::Command;

use dollop_tests::cli::Project;
use serde_json::Value as Json;

use crate::crash::{addresses, die_everywhere};

/// A stack on the real engine; everything labelled with it is removed at the end, however
/// the test ends.
pub(crate) struct Stack {
    pub(crate) project: Project,
    name: String,
}

impl Stack {
    fn quickstart(name: &str) -> Self {
        Self::of(Project::copy_of("quickstart", name), name)
    }

    /// A stack of its own; `name` is that of the project.
    pub(crate) fn of(project: Project, name: &str) -> Self {
        sweep(name);
        Self { project, name: name.to_owned() }
    }

    pub(crate) fn apply(&self) {
        drop(self.project.run(&["apply", "--auto-approve"]).expect(0));
    }

    pub(crate) fn expect_no_changes(&self) {
        let run = self.project.run(&["plan", "--detailed-exitcode"]);
        assert_eq!(run.code, Some(0), "the second plan is empty\n{}", run.text());
    }

    pub(crate) fn output(&self, name: &str) -> String {
        let run = self.project.run(&["output", name, "--raw"]).expect(0);
        run.stdout.trim_end().to_owned()
    }

    pub(crate) fn container(&self, name: &str) -> String {
        format!("{}-{name}", self.name)
    }

    /// Runs SQL as the superuser inside the container, without any password of dollop's.
    pub(crate) fn sql(&self, database: &str, sql: &str) -> String {
        let container = self.container("postgres");
        let arguments =
            ["exec", "-u", "postgres", &container, "psql", "-XAtq", "-d", database, "-c", sql];
        docker(&arguments)
    }

    /// Asks the broker itself, without dollop's user.
    fn rabbit(&self, arguments: &[&str]) -> Json {
        let container = self.container("rabbitmq");
        let mut all = vec!["exec", container.as_str(), "rabbitmqctl", "-q"];
        all.extend_from_slice(arguments);
        all.extend_from_slice(&["--formatter", "json"]);
        serde_json::from_str(&docker(&all)).expect("JSON from rabbitmqctl")
    }

    pub(crate) fn labelled(&self, what: &str) -> Vec<String> {
        let filter = format!("label=dollop.stack={}", self.name);
        let names = match what {
            "container" => docker(&["ps", "-aq", "--filter", &filter]),
            _ => docker(&[what, "ls", "-q", "--filter", &filter]),
        };
        names.lines().map(str::to_owned).collect()
    }

    /// Everything the quickstart promises, seen from outside.
    pub(crate) fn check_from_outside(&self) {
        assert_eq!(self.labelled("container").len(), 2, "two containers, none twice");
        assert_eq!(self.labelled("network").len(), 1);
        assert_eq!(self.labelled("volume").len(), 1);
        let inspect = docker(&["inspect", &self.container("postgres")]);
        let inspect: Json = serde_json::from_str(&inspect).expect("JSON from docker");
        assert_eq!(inspect[0]["State"]["Health"]["Status"], "healthy");
        let network = format!("{}-backend", self.name);
        let aliases = &inspect[0]["NetworkSettings"]["Networks"][&network]["Aliases"];
        let short = aliases.as_array().is_some_and(|all| all.iter().any(|a| a == "postgres"));
        assert!(short, "the short name is an alias: {aliases}");

        let databases = "select string_agg(datname, ',' order by datname) from pg_database \
                         where datname in ('shop', 'reports')";
        assert_eq!(self.sql("postgres", databases), "reports,shop");
        let roles = "select string_agg(rolname || ':' || rolcanlogin::text, ',' order by 1) \
                     from pg_roles where rolname in ('shop_owner', 'shop_app', 'analyst')";
        assert_eq!(
            self.sql("postgres", roles).split(',').count(),
            3,
            "three roles: {}",
            self.sql("postgres", roles)
        );
        let verifiers = "select count(*) from pg_authid where rolname in \
                         ('shop_app', 'analyst') and rolpassword like 'SCRAM-SHA-256$%'";
        assert_eq!(self.sql("postgres", verifiers), "2");
        let schemas = "select string_agg(nspname || '=' || pg_get_userbyid(nspowner), ',' \
                       order by nspname) from pg_namespace \
                       where nspname in ('catalog', 'orders', 'billing', 'facts')";
        assert_eq!(
            self.sql("shop", schemas),
            "billing=shop_owner,catalog=shop_owner,orders=shop_owner"
        );
        assert_eq!(self.sql("reports", schemas), "facts=shop_owner");
        let extensions = "select string_agg(extname, ',' order by extname) from pg_extension \
                          where extname in ('uuid-ossp', 'pg_trgm')";
        assert_eq!(self.sql("shop", extensions), "pg_trgm,uuid-ossp");
        let granted = "select has_schema_privilege('shop_app', 'orders', 'USAGE')::text || \
                       has_database_privilege('shop_app', 'shop', 'CONNECT')::text || \
                       has_schema_privilege('analyst', 'orders', 'USAGE')::text";
        assert_eq!(self.sql("shop", granted), "truetruefalse");

        assert_eq!(names(&self.rabbit(&["list_vhosts", "name"])), ["/", "shop"]);
        let users = self.rabbit(&["list_users"]);
        let users: Vec<_> = users.as_array().expect("a list").iter().collect();
        assert_eq!(users.len(), 3, "admin and two of ours: {users:?}");
        let permissions = self.rabbit(&["list_permissions", "-p", "shop"]);
        let mut permissions: Vec<String> = permissions
            .as_array()
            .expect("a list")
            .iter()
            .map(|p| format!("{} {} {} {}", p["user"], p["configure"], p["write"], p["read"]))
            .filter(|line| !line.starts_with("\"admin\""))
            .collect();
        permissions.sort();
        assert_eq!(
            permissions,
            [r#""publisher" "" "^orders$" """#, r#""worker" "" "" "^orders\\.""#]
        );
        let queues = self.rabbit(&["list_queues", "-p", "shop", "name", "type"]);
        let mut queues: Vec<String> = queues
            .as_array()
            .expect("a list")
            .iter()
            .map(|q| {
                let ty = q["type"].as_str().unwrap_or_default().to_lowercase();
                let ty = ["quorum", "stream", "classic"].into_iter().find(|t| ty.contains(t));
                format!("{} {}", q["name"].as_str().unwrap_or("?"), ty.unwrap_or("?"))
            })
            .collect();
        queues.sort();
        assert_eq!(
            queues,
            [
                "orders.audit stream",
                "orders.buried classic",
                "orders.invoices quorum",
                "orders.mails classic"
            ]
        );
        let bindings = self.rabbit(&["list_bindings", "-p", "shop", "source_name"]);
        let bindings = bindings.as_array().expect("a list");
        let ours = bindings.iter().filter(|b| b["source_name"] != "").count();
        assert_eq!(ours, 4, "{bindings:?}");
        let exchanges = names(&self.rabbit(&["list_exchanges", "-p", "shop", "name"]));
        assert!(exchanges.contains(&"orders".to_owned()), "{exchanges:?}");
        assert!(exchanges.contains(&"orders.dead".to_owned()), "{exchanges:?}");
        assert_eq!(names(&self.rabbit(&["list_policies", "-p", "shop"])), ["limits"]);
    }

    /// Repairs what was done by hand, after the plan has named it.
    fn expect_repair(&self, by_hand: &str, words: &[&str]) {
        let plan = self.project.run(&["plan", "--detailed-exitcode"]);
        assert_eq!(plan.code, Some(2), "{by_hand} is seen\n{}", plan.text());
        for word in words {
            assert!(plan.stdout.contains(word), "{by_hand}: no `{word}` in\n{}", plan.stdout);
        }
        self.apply();
        self.expect_no_changes();
        self.check_from_outside();
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        sweep(&self.name);
    }
}

fn names(list: &Json) -> Vec<String> {
    let mut names: Vec<String> = list
        .as_array()
        .expect("a list")
        .iter()
        .map(|item| item["name"].as_str().unwrap_or("?").to_owned())
        .collect();
    names.sort();
    names
}

/// Runs `docker` and returns what it printed.
pub(crate) fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker").args(arguments).output().expect("docker runs");
    assert!(
        output.status.success(),
        "docker {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

/// Removes everything labelled with a stack.
pub(crate) fn sweep(stack: &str) {
    let filter = format!("label=dollop.stack={stack}");
    for (list, remove) in [
        (vec!["ps", "-aq"], vec!["rm", "-fv"]),
        (vec!["network", "ls", "-q"], vec!["network", "rm"]),
        (vec!["volume", "ls", "-q"], vec!["volume", "rm"]),
    ] {
        let output = Command::new("docker").args(&list).args(["--filter", &filter]).output();
        let Ok(output) = output else { continue };
        for id in String::from_utf8_lossy(&output.stdout).lines() {
            drop(Command::new("docker").args(&remove).arg(id).output());
        }
    }
}

#[test]
fn one_apply_makes_all_three_systems_and_repairs_them() {
    let stack = Stack::quickstart("dt-quick");

    // The plan lists everything before anything exists, and makes nothing.
    let plan = stack.project.run(&["plan", "--detailed-exitcode"]);
    assert_eq!(plan.code, Some(2), "{}", plan.text());
    for address in [
        "docker::network.backend",
        "docker::volume.pgdata",
        "docker::container.postgres",
        "docker::container.rabbitmq",
        "postgres::role.main/shop_app",
        "postgres::database.main/shop",
        "postgres::schema.main/shop/catalog",
        "postgres::extension.main/shop/uuid-ossp",
        "postgres::grant.main/reports/analyst-facts",
        "rabbitmq::vhost.broker/shop",
        "rabbitmq::queue.broker/shop/orders.audit",
        "rabbitmq::binding.broker/shop/orders-to-mails",
        "rabbitmq::policy.broker/shop/limits",
    ] {
        assert!(plan.stdout.contains(address), "no `{address}` in\n{}", plan.stdout);
    }
    assert!(stack.labelled("container").is_empty() && stack.labelled("network").is_empty());

    stack.apply();
    stack.check_from_outside();
    stack.expect_no_changes();
    let url = stack.output("database_url");
    assert!(url.starts_with("postgres://shop_app:"), "{url}");

    drop(stack.sql("shop", "drop schema billing"));
    stack.expect_repair(
        "a dropped schema",
        &["postgres::schema.main/shop/billing", "outside dollop"],
    );
    drop(stack.sql("postgres", "alter role analyst connection limit 9 createdb"));
    stack.expect_repair(
        "a changed role",
        &["postgres::role.main/analyst", "connection_limit", "createdb", "outside dollop"],
    );
    let container = stack.container("rabbitmq");
    drop(docker(&[
        "exec",
        &container,
        "rabbitmqctl",
        "-q",
        "delete_queue",
        "-p",
        "shop",
        "orders.mails",
    ]));
    stack.expect_repair(
        "a deleted queue",
        &["rabbitmq::queue.broker/shop/orders.mails", "outside dollop"],
    );
    drop(docker(&["stop", &stack.container("postgres")]));
    stack.expect_repair("a stopped container", &["docker::container.postgres", "running"]);
    drop(docker(&["rm", "-f", &stack.container("postgres")]));
    stack.expect_repair(
        "a removed container",
        &["docker::container.postgres", "outside dollop"],
    );

    // Another image: only that container is replaced, and what lives inside survives.
    drop(
        stack.sql(
            "shop",
            "create table orders.kept (id int); insert into orders.kept values (7)",
        ),
    );
    let rabbit_before = docker(&["inspect", "-f", "{{.Id}}", &stack.container("rabbitmq")]);
    let image = ["--param", "postgres_image=postgres:15-alt"];
    let plan = stack.project.run(&["plan", "--format", "json", image[0], image[1]]).expect(0);
    let plan: Json = serde_json::from_str(&plan.stdout).expect("the plan as JSON");
    let replaced: Vec<&str> = plan["changes"]
        .as_array()
        .expect("changes")
        .iter()
        .filter(|change| change["action"] == "replace")
        .filter_map(|change| change["address"].as_str())
        .collect();
    assert_eq!(replaced, ["docker::container.postgres"]);
    let said = stack.project.run(&["plan", image[0], image[1]]).expect(0).stdout;
    assert!(said.contains("image") && said.contains("postgres:15-alt"), "{said}");
    drop(stack.project.run(&["apply", "--auto-approve", image[0], image[1]]).expect(0));
    let again = stack.project.run(&["plan", "--detailed-exitcode", image[0], image[1]]);
    assert_eq!(again.code, Some(0), "{}", again.text());
    assert_eq!(stack.sql("shop", "select id from orders.kept"), "7");
    let rabbit_after = docker(&["inspect", "-f", "{{.Id}}", &stack.container("rabbitmq")]);
    assert_eq!(rabbit_before, rabbit_after, "the other container is left alone");

    // The rows in the volume go only with consent to that.
    let run = stack.project.run(&["destroy", "--auto-approve"]).expect(1);
    assert!(run.stderr.contains("E0517"), "{}", run.stderr);
    assert!(run.stderr.contains("--allow-data-loss docker::volume.pgdata"), "{}", run.stderr);
    assert_eq!(stack.sql("shop", "select id from orders.kept"), "7");
    let consent = ["--allow-data-loss", "docker::volume.pgdata"];
    drop(stack.project.run(&["destroy", "--auto-approve", consent[0], consent[1]]).expect(0));
    for what in ["container", "network", "volume"] {
        assert!(stack.labelled(what).is_empty(), "{what} left behind");
    }
    assert_eq!(stack.project.run(&["state", "list"]).expect(0).stdout, "");
}

#[test]
fn an_apply_killed_anywhere_converges() {
    let stack = Stack::quickstart("dt-crash");
    let steps = addresses(&stack.project, &[]);
    assert!(steps.len() > 30, "{steps:?}");
    let deaths = die_everywhere(&stack.project, "apply", &steps);
    println!("killed {deaths} times over {} steps", steps.len());
    stack.apply();
    stack.expect_no_changes();
    stack.check_from_outside();
}
