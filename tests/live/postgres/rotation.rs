//! A new password for a role that a container logs in with.

use std::process::Command;

use dollop_tests::cli::Project;

use super::container::docker;

/// Containers of a stack that go with it.
struct Stack {
    project: Project,
    name: &'static str,
}

impl Drop for Stack {
    fn drop(&mut self) {
        let found = docker(&["ps", "-aq", "--filter", &format!("name={}-", self.name)]);
        for id in found.lines() {
            let _ = Command::new("docker").args(["rm", "-fv", id]).output();
        }
        let _ = Command::new("docker").args(["network", "rm", self.name]).output();
    }
}

fn script(name: &str, password: &str) -> String {
    format!(
        r#"
let net = docker::network("{name}");
let db = docker::container("db", #{{
    image: "postgres:15", name: "{name}-db", networks: [net], ports: ["127.0.0.1::5432"],
    env: #{{ POSTGRES_PASSWORD: secret("root") }},
}});
let pg = postgres::server("main", #{{
    host: "127.0.0.1", port: db.host_ports["5432/tcp"], password: secret("root"),
}});
let pw = secret("{password}");
let app = pg.role("app", #{{ password: pw }});
docker::container("app", #{{
    image: "postgres:15", name: "{name}-app", networks: [net],
    entrypoint: ["sh", "-c", "while psql -h {name}-db -d postgres -Atc 'select 1' >/dev/null || touch /tmp/refused; do sleep 0.2; done"],
    env: #{{ PGUSER: app.name, PGPASSWORD: pw }},
    healthcheck: #{{ test: ["CMD-SHELL", "psql -h {name}-db -d postgres -c 'select 1'"], interval: "1s" }},
    wait: "healthy",
}});
"#
    )
}

#[test]
fn the_role_comes_first_and_the_container_follows() {
    let name = "dt-rotate";
    let stack = Stack { project: Project::new(name, &script(name, "one")), name };
    drop(stack.project.run(&["apply", "--auto-approve"]).expect(0));

    stack.project.write("stack.rhai", &script(name, "two"));
    let plan = stack.project.run(&["plan"]).expect(0).text();
    for words in [
        "who uses `app` cannot log in from here on until they have the new password",
        "make a second role with `member_of` this one",
    ] {
        assert!(plan.contains(words), "no `{words}` in\n{plan}");
    }
    let said = stack.project.run(&["apply", "--auto-approve"]).expect(0).text();
    let at =
        |words: &str| said.find(words).unwrap_or_else(|| panic!("no `{words}` in\n{said}"));
    assert!(at("postgres::role.main/app") < at("docker::container.app"), "{said}");
    let again = stack.project.run(&["plan", "--detailed-exitcode"]);
    assert_eq!(again.code, Some(0), "{}", again.text());
    let logs_in = [
        "exec",
        "dt-rotate-app",
        "psql",
        "-h",
        "dt-rotate-db",
        "-d",
        "postgres",
        "-Atc",
        "select current_user",
    ];
    assert_eq!(docker(&logs_in), "app");
    let refused = docker(&["exec", "dt-rotate-app", "sh", "-c", "ls /tmp/refused || true"]);
    assert_eq!(refused, "", "the new container was never refused");
    drop(stack.project.run(&["destroy", "--auto-approve"]).expect(0));
}

#[test]
fn a_second_role_leaves_no_gap() {
    let name = "dt-rotate2";
    let project = Project::new(name, &script(name, "one"));
    let stack = Stack { project, name };
    drop(stack.project.run(&["apply", "--auto-approve"]).expect(0));
    // The application moves to a role of its own with what the first may do; the old one
    // logs in until the new container works.
    let moved = script(name, "one").replace(
        "docker::container(\"app\"",
        "let pw = secret(\"two\");\nlet next = pg.role(\"app_b\", #{ password: pw, member_of: [app], \
         settings: #{ role: \"app\" } });\ndocker::container(\"app\"",
    );
    let moved = moved.replace("PGUSER: app.name", "PGUSER: next.name");
    stack.project.write("stack.rhai", &moved);
    let plan = stack.project.run(&["plan"]).expect(0).text();
    assert!(!plan.contains("cannot log in"), "{plan}");
    drop(stack.project.run(&["apply", "--auto-approve"]).expect(0));
    let who = [
        "exec",
        "dt-rotate2-app",
        "psql",
        "-h",
        "dt-rotate2-db",
        "-d",
        "postgres",
        "-Atc",
        "select session_user, current_user",
    ];
    assert_eq!(docker(&who), "app_b|app");
    drop(stack.project.run(&["destroy", "--auto-approve"]).expect(0));
}
