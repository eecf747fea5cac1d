//! The script of a plan, run by hand.

use std::process::{Command, Output};

use dollop_tests::cli::Project;
use serde_json::Value as Json;

use super::container::{Container, PASSWORD};

/// Runs a script as a database administrator would.
fn psql(server: &Container, project: &Project, variables: &[(&str, &str)]) -> Output {
    let port = server.port.to_string();
    let mut command = Command::new("psql");
    command.args([
        "-X",
        "-q",
        "-h",
        "127.0.0.1",
        "-p",
        &port,
        "-U",
        "postgres",
        "-d",
        "postgres",
    ]);
    for (name, value) in variables {
        command.arg("-v").arg(format!("{name}={value}"));
    }
    let script = project.folder().join("plan.sql");
    command.arg("-f").arg(script).env("PGPASSWORD", PASSWORD);
    command.output().expect("psql runs")
}

/// A server of its own, so that nothing is there.
#[test]
fn who_runs_the_script_has_what_the_plan_wants() {
    let server = Container::start();
    let project = Project::new("byhand", "");
    let port = server.port;
    project.write(
        "stack.rhai",
        &format!(
            r#"
let pg = postgres::server("main", #{{ host: "127.0.0.1", port: {port}, password: "{PASSWORD}" }});
let secret = param("far", #{{ secret: true, default: "far 'away'" }});
let app = pg.role("app", #{{
    password: "hunter2 'x'", settings: #{{ search_path: "app, public" }}, adopt: true,
}});
let db = pg.database("shop", #{{ comment: "it's", adopt: true }});
let s = db.schema("app", #{{ owner: app, comment: "tables", adopt: true }});
s.table("t", #{{
    columns: [#{{ name: "a", type: "int", comment: "x" }}], row_security: true, adopt: true,
}});
s.function("f", #{{
    returns: "integer", language: "SQL", body: "select count(*)::int from later", check_body: false,
    adopt: true,
}});
db.grant("nobody", #{{ role: "PUBLIC", on: "database", privileges: [] }});
db.default_privileges("later", #{{
    owner: app, role: "PUBLIC", on: "functions", privileges: [], adopt: true,
}});
let fdw = db.extension("postgres_fdw", #{{ adopt: true }});
let far = db.fdw_server("far", #{{ wrapper: "postgres_fdw", depends_on: [fdw], adopt: true }});
far.user_mapping("um", #{{ role: app, options: #{{ user: "u", password: secret }}, adopt: true }});
pg.setting("work_mem", #{{ value: "5MB", adopt: true }});
let m = db.migrations("m", #{{ files: folder("migrations"), depends_on: [s] }});
let x = db.sql("x", #{{
    unless: "select exists (select from pg_class where relname = 'by_sql')",
    run: "create table by_sql (a int); -- one\nselect 1 -- two",
}});
db.grant("reads", #{{
    role: app, on: "tables", schema: "public", objects: [], privileges: ["SELECT"],
    depends_on: [m, x], adopt: true,
}});
"#
        ),
    );
    let first =
        "set search_path = app;\ncreate table \"T 1\" (id int, n text default 'it''s \\\t');\n";
    project.write("migrations/1_first.sql", first);
    let second = "create index concurrently i on app.\"T 1\" (id);\ninsert into app.\"T 1\" values (1);\n";
    project.write("migrations/2_second.sql", second);
    project.write("migrations/3_third.sql", "-- ü\ncreate table unqualified (id int);\n");
    let sql = project.run(&["plan", "--sql"]).expect(0).stdout;
    assert!(!sql.contains("hunter2") && !sql.contains("away"), "{sql}");
    // Where other words could come to the same, a digest is added.
    let of = |option: &str| {
        let begin = format!("main_shop_far_um_options_{option}_");
        let at = sql.find(&begin).unwrap_or_else(|| panic!("no `{begin}` in\n{sql}"));
        sql[at..at + begin.len() + 6].to_owned()
    };
    for words in [
        "\\if :{?main_app_password}\n",
        "LOGIN PASSWORD :'main_app_password';",
        "REVOKE CONNECT, TEMPORARY ON DATABASE \"shop\" FROM PUBLIC;",
        "REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;",
        &format!("OPTIONS (\"password\" :'{}', \"user\" :'{}');", of("password"), of("user")),
    ] {
        assert!(sql.contains(words), "no `{words}` in\n{sql}");
    }
    project.write("plan.sql", &sql);
    let plan = project.run(&["plan", "--format", "json"]).expect(0).stdout;
    let plan: Json = serde_json::from_str(&plan).expect("JSON");
    let all = plan["sql"].as_array().expect("a list");
    let role = all.iter().find(|one| one["address"] == "postgres::role.main/app").unwrap();
    assert_eq!(role["operation"], "create");
    assert_eq!(role["variables"], serde_json::json!(["main_app_password"]));
    assert!(role["statements"].to_string().contains("CREATE ROLE"), "{role}");

    // Nothing is half done where a secret was not given.
    let stopped = psql(&server, &project, &[("main_app_password", "hunter2 'x'")]);
    assert_eq!(stopped.status.code(), Some(3), "{stopped:?}");
    let said = String::from_utf8_lossy(&stopped.stderr).into_owned();
    assert!(said.contains("set the psql variable main_shop_far_um_options_"), "{said}");
    assert_eq!(
        server.psql("postgres", "select count(*) from pg_roles where rolname = 'app'"),
        "0"
    );

    let (user, password) = (of("user"), of("password"));
    let variables = [
        ("main_app_password", "hunter2 'x'"),
        (user.as_str(), "u"),
        (password.as_str(), "far 'away'"),
    ];
    let done = psql(&server, &project, &variables);
    assert!(done.status.success(), "{}\n{sql}", String::from_utf8_lossy(&done.stderr));
    let places = "select string_agg(schemaname || '.' || tablename, ' ' order by tablename)
        from pg_tables where tablename in ('T 1', 'unqualified')";
    assert_eq!(server.psql("shop", places), "app.T 1 public.unqualified");

    let plan = project.run(&["plan", "--format", "json"]).expect(0).stdout;
    let plan: Json = serde_json::from_str(&plan).expect("JSON");
    for change in plan["changes"].as_array().expect("a list") {
        let differences = change["differences"].as_array().expect("a list");
        let same = differences.iter().all(|one| one["drift"] == false);
        assert!(change["action"] == "adopt" && same, "{change:#}");
    }
    drop(project.run(&["apply", "--auto-approve"]).expect(0));
    let again = project.run(&["plan", "--detailed-exitcode"]);
    assert_eq!(again.code, Some(0), "{}", again.text());
    assert_eq!(server.psql("shop", "select count(*) from app.\"T 1\""), "1", "run once");
}
