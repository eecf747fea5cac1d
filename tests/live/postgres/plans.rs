//! What a plan refuses and shows, through the real binary.

use std::sync::Arc;

use dollop_tests::cli::Project;

use super::container::{self, Container, PASSWORD};

/// A stack with a server and a database.
pub(super) struct Stack {
    pub(super) project: Project,
    pub(super) server: Arc<Container>,
    database: &'static str,
}

impl Stack {
    pub(super) fn new(database: &'static str) -> Self {
        Self { project: Project::new(database, ""), server: container::shared(), database }
    }

    /// The stack's script: a server, a database, and what follows.
    pub(super) fn script(&self, rest: &str) -> &Project {
        let (port, database) = (self.server.port, self.database);
        self.project.write(
            "stack.rhai",
            &format!(
                "let pg = postgres::server(\"main\", #{{ host: \"127.0.0.1\", port: {port}, \
                 password: \"{PASSWORD}\" }});\nlet db = pg.database(\"{database}\");\n{rest}"
            ),
        );
        &self.project
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        let drop_it = format!("drop database if exists {} with (force)", self.database);
        drop(self.server.psql("postgres", &drop_it));
    }
}

/// Also of what is there already, where only a change is too new.
#[test]
fn what_the_server_is_too_old_for_is_refused() {
    let stack = Stack::new("dt_old");
    let script = |option: &str, privilege: &str, on: &str| {
        let text = format!(
            "let a = pg.role(\"dt_old_a\");\n\
             pg.membership(\"m\", #{{ role: \"pg_monitor\", member: a{option} }});\n\
             db.grant(\"g\", #{{ role: a, on: \"tables\", schema: \"public\", privileges: [\"{privilege}\"] }});\n\
             db.default_privileges(\"d\", #{{ owner: a, role: \"pg_monitor\", on: \"tables\", privileges: [\"{on}\"] }});\n"
        );
        stack.script(&text)
    };
    drop(script("", "SELECT", "SELECT").run(&["apply", "--auto-approve"]).expect(0));
    let project = script(", inherit: false", "MAINTAIN", "MAINTAIN");
    let said = project.run(&["plan"]).expect(1).stderr;
    let flat = said.split_whitespace().collect::<Vec<_>>().join(" ");
    for words in [
        "`postgres::membership.main/m`: the option `inherit` or `set` of a membership needs \
         PostgreSQL 16; the server at",
        "`postgres::grant.main/dt_old/g`: the privilege MAINTAIN needs PostgreSQL 17",
        "`postgres::default_privileges.main/dt_old/d`: the privilege MAINTAIN needs PostgreSQL 17",
    ] {
        assert!(flat.contains(words), "no `{words}` in\n{said}");
    }
    let columns = "[#{ name: \"n\", type: \"bigint\" }, #{ name: \"twice\", type: \"bigint\", \
                   generated: \"n * 2\", stored: false }]";
    let project = stack.script(&format!("db.table(\"t\", #{{ columns: {columns} }});"));
    let said = project.run(&["plan"]).expect(1).stderr;
    let flat = said.split_whitespace().collect::<Vec<_>>().join(" ");
    let words = "`postgres::table.main/dt_old/t`: a computed column that is not stored \
                 needs PostgreSQL 18";
    assert!(flat.contains(words), "{said}");
    let project = script("", "SELECT", "SELECT");
    drop(project.run(&["plan", "--detailed-exitcode"]).expect(0));
    drop(project.run(&["destroy", "--auto-approve"]).expect(0));
}

#[test]
fn grants_that_overlap_are_refused() {
    let stack = Stack::new("dt_overlap");
    let project = stack.script(
        "let app = pg.role(\"dt_overlap_app\");\n\
         db.grant(\"all\", #{ role: app, on: \"tables\", schema: \"public\", privileges: [\"SELECT\"] });\n\
         db.grant(\"one\", #{ role: app, on: \"tables\", schema: \"public\", objects: [\"t\"], privileges: [\"INSERT\"] });\n\
         pg.membership(\"m\", #{ role: \"pg_monitor\", member: app });\n\
         pg.role(\"dt_overlap_b\", #{ member_of: [\"pg_monitor\"] });\n\
         pg.membership(\"n\", #{ role: \"pg_signal_backend\", member: \"dt_overlap_b\" });\n\
         db.grant(\"routines\", #{ role: app, on: \"routines\", schema: \"public\", privileges: [] });\n\
         db.grant(\"functions\", #{ role: app, on: \"functions\", schema: \"public\", privileges: [] });\n\
         db.grant(\"here\", #{ role: app, on: \"parameters\", objects: [\"work_mem\"], privileges: [\"SET\"] });\n\
         pg.database(\"postgres\").grant(\"there\", #{ role: app, on: \"parameters\", objects: [\"WORK_MEM\"], privileges: [\"ALTER SYSTEM\"] });\n\
         db.grant(\"other\", #{ role: \"pg_monitor\", on: \"tables\", schema: \"public\", objects: [\"t\"], privileges: [\"SELECT\"] });\n\
         db.privileges(\"only\", #{ on: \"tables\", schema: \"public\", objects: [\"t\"], grants: [] });\n\
         db.grant(\"use\", #{ role: app, on: \"schema\", schema: \"public\", privileges: [\"USAGE\"] });\n\
         db.privileges(\"uses\", #{ on: \"schema\", schema: \"public\", grants: [#{ role: app, privileges: [\"USAGE\"] }] });\n\
         db.role_settings(\"s\", #{ role: app, settings: #{ jit: false } });\n\
         db.role_settings(\"t\", #{ role: app, settings: #{ jit: true } });\n\
         db.extension(\"pgvector\");\n",
    );
    let said = project.run(&["plan"]).expect(1).stderr;
    for words in [
        "`postgres::grant.main/dt_overlap/one` and `postgres::grant.main/dt_overlap/all` both \
         decide about the privileges of `dt_overlap_app` on table `t` in schema `public`",
        "declared here first",
        "both decide about whether `dt_overlap_b` is a member of `pg_signal_backend`",
        "both decide about the privileges of `dt_overlap_app` on functions in schema `public`",
        "both decide about the privileges of `dt_overlap_app` on parameter `work_mem`",
        "both decide about who may do something with table `t` in schema `public`",
        "both decide about the privileges of `dt_overlap_app` on schema `public`",
        "both decide about the settings of `dt_overlap_app` in database `dt_overlap`",
    ] {
        assert!(said.contains(words), "no `{words}` in\n{said}");
    }
    assert!(!said.contains("membership.main/m`"), "no conflict there\n{said}");
}

#[test]
fn a_missing_extension_is_said_while_planning() {
    let stack = Stack::new("dt_noext");
    drop(stack.script("").run(&["apply", "--auto-approve"]).expect(0));
    let said = stack.script("db.extension(\"pgvector\");\n").run(&["plan"]).expect(1).stderr;
    let words = "`postgres::extension.main/dt_noext/pgvector`: the server at 127.0.0.1:";
    assert!(said.contains(words), "{said}");
    assert!(said.contains("it is called `vector`"), "{said}");
}

#[test]
fn migrations_from_a_folder() {
    let stack = Stack::new("dt_migrate");
    let rest = "db.migrations(\"app\", #{ files: folder(\"migrations\") });\n";
    let project = stack.script(rest);
    project.write("migrations/0001_orders.sql", "CREATE TABLE orders (id int);\n");
    project.write("migrations/0002_index.sql", "CREATE INDEX CONCURRENTLY i ON orders (id);\n");
    project.write("migrations/README.md", "not a migration");

    let plan = project.run(&["plan"]).expect(0);
    assert!(plan.stdout.contains("CREATE TABLE orders"), "{}", plan.text());
    let sql = project.run(&["plan", "--sql"]).expect(0).stdout;
    let words = "\\connect \"dt_migrate\"\n\n-- create \
                 postgres::migrations.main/dt_migrate/app\nCREATE TABLE IF NOT EXISTS \
                 \"public\".\"dollop_migrations\" (";
    assert!(sql.contains(words), "{sql}");
    // What it writes down is what `byhand.rs` looks at.
    let lines = [
        "-- 0001_orders.sql",
        "BEGIN;",
        "CREATE TABLE orders (id int);",
        "COMMIT;",
        "-- 0002_index.sql",
        "CREATE INDEX CONCURRENTLY i ON orders (id);",
    ];
    let mut rest = sql.lines();
    for line in lines {
        assert!(rest.any(|found| found == line), "no `{line}` in its place in\n{sql}");
    }
    drop(project.run(&["apply", "--auto-approve"]).expect(0));
    let again = project.run(&["plan", "--detailed-exitcode"]);
    assert_eq!(again.code, Some(0), "{}", again.text());

    project.write("migrations/0001_orders.sql", "CREATE TABLE orders (id bigint);\n");
    let said = project.run(&["plan"]).expect(1).stderr;
    for words in [
        "`0001_orders.sql` was run and is different now",
        "-CREATE TABLE orders (id int);",
        "+CREATE TABLE orders (id bigint);",
        "undo the edit, and write what should change as a new file",
    ] {
        assert!(said.contains(words), "no `{words}` in\n{said}");
    }
    project.write("migrations/0001_orders.sql", "CREATE TABLE orders (id int);\n");

    let rewrite = "ALTER TABLE orders\n  ALTER COLUMN id TYPE bigint;\nDROP INDEX i;\n";
    project.write("migrations/0003_wider.sql", rewrite);
    let plan = project.run(&["plan"]).expect(0);
    let warning = "`0003_wider.sql`, line 1: may rewrite orders under an ACCESS EXCLUSIVE lock";
    assert!(plan.stderr.contains(warning) || plan.stdout.contains(warning), "{}", plan.text());
    drop(project.run(&["apply", "--auto-approve"]).expect(0));
    let again = project.run(&["plan", "--detailed-exitcode"]);
    assert_eq!(again.code, Some(0), "{}", again.text());

    // Killed between the call and the record: the next run finds it done.
    project.write("migrations/0004_rows.sql", "INSERT INTO orders VALUES (1);\n");
    let died = project.run_until(
        "after_call@postgres::migrations.main/dt_migrate/app",
        &["apply", "--auto-approve"],
    );
    assert_ne!(died.code, Some(0), "{}", died.text());
    drop(project.run(&["apply", "--auto-approve"]).expect(0));
    assert_eq!(stack.server.psql("dt_migrate", "select count(*) from orders"), "1");

    // What a file is about to lose is counted.
    drop(stack.server.psql("dt_migrate", "analyze orders"));
    project.write("migrations/0005_gone.sql", "ALTER TABLE public.orders DROP COLUMN id;\n");
    let said = project.run(&["plan"]).expect(0).text();
    for words in [
        "`0005_gone.sql`, line 1: drops column id of public.orders with its data",
        "`0005_gone.sql`, line 1: public.orders holds about 1 row (",
    ] {
        assert!(said.contains(words), "no `{words}` in\n{said}");
    }
    // And goes only with consent.
    let refused = project.run(&["apply", "--auto-approve"]).expect(1).stderr;
    assert!(refused.contains("would lose about 1 row ("), "{refused}");
    assert!(refused.contains("in public.orders"), "{refused}");
    assert_eq!(stack.server.psql("dt_migrate", "select count(id) from orders"), "1");
    let set = "postgres::migrations.main/dt_migrate/app";
    drop(project.run(&["apply", "--auto-approve", "--allow-data-loss", set]).expect(0));
    let again = project.run(&["plan", "--detailed-exitcode"]);
    assert_eq!(again.code, Some(0), "{}", again.text());
    let refused = project.run(&["destroy", "--auto-approve"]).expect(1).stderr;
    assert!(refused.contains("would lose 1 table with about 1 row ("), "{refused}");
    let database = "postgres::database.main/dt_migrate";
    let consent = ["destroy", "--auto-approve", "--allow-data-loss", database];
    drop(project.run(&consent).expect(0));
}

#[test]
fn the_script_masks_secrets() {
    let stack = Stack::new("dt_script");
    let project = stack.script(
        "let app = pg.role(\"dt_script_app\", #{ password: \"hunter2\", settings: #{ work_mem: \"8MB\" } });\n\
         let s = db.schema(\"s\", #{ owner: app });\n\
         db.grant(\"g\", #{ role: app, on: \"schema\", schema: s, privileges: [\"USAGE\"] });\n\
         db.default_privileges(\"d\", #{ owner: app, role: \"PUBLIC\", on: \"functions\", privileges: [] });\n",
    );
    let sql = project.run(&["plan", "--sql"]).expect(0).stdout;
    assert!(!sql.contains("hunter2"), "{sql}");
    for words in [
        "CREATE ROLE \"dt_script_app\" LOGIN PASSWORD :'main_dt_script_app_password';",
        "ALTER ROLE \"dt_script_app\" SET \"work_mem\" = '8MB';",
        "CREATE SCHEMA \"s\";\nALTER SCHEMA \"s\" OWNER TO \"dt_script_app\";",
        "GRANT USAGE ON SCHEMA \"s\" TO \"dt_script_app\";",
    ] {
        assert!(sql.contains(words), "no `{words}` in\n{sql}");
    }
    drop(project.run(&["apply", "--auto-approve"]).expect(0));
    let again = project.run(&["plan", "--detailed-exitcode"]);
    assert_eq!(again.code, Some(0), "{}", again.text());
    drop(project.run(&["destroy", "--auto-approve"]).expect(0));
}

/// Without a server: nothing answers where it would be.
#[test]
fn names_that_a_server_refuses_are_refused_by_check() {
    let long = "ü23456789012345678901234567890123456789012345678901234567890123";
    let head = "let pg = postgres::server(\"main\", #{ host: \"127.0.0.1\", port: 1, \
                password: \"x\" });\n";
    let on_the_server = format!(
        "pg.database(\"{long}\");\n\
         pg.role(\"pg_foo\");\n\
         pg.role(\"public\");\n\
         pg.role(\"r\", #{{ member_of: [\"r\"] }});\n\
         pg.membership(\"m\", #{{ role: \"a\", member: \"a\" }});\n\
         pg.tablespace(\"pg_space\", #{{ location: \"/x\" }});\n\
         pg.role(\"\");\n\
         pg.replication_slot(\"Bad Slot\");\n"
    );
    // What stands on something that is to be made is looked at once that is in order.
    let in_a_database = format!(
        "let db = pg.database(\"db\");\n\
         db.schema(\"pg_app\");\n\
         db.table(\"t\", #{{ schema: \"pg_catalog\", owner: \"{long}\",\n\
             columns: [#{{ name: \"xmin\", type: \"int\" }}] }});\n\
         db.view(\"v\", #{{ schema: \"\", query: \"select 1\" }});\n\
         db.grant(\"g\", #{{ role: \"r\", on: \"tables\", schema: \"public\", objects: [\"{long}\"],\n\
             privileges: [\"SELECT\"] }});\n\
         db.subscription(\"Sub\", #{{ connection: \"host=x\", publications: [\"p\"] }});\n\
         db.event_trigger(\"{long}\", #{{ event: \"sql_drop\", function: \"f\" }});\n\
         db.comment(\"c\", #{{ on: \"operator\", object: [\"public\", \"x;\"], arguments: [\"int\"], text: \"t\" }});\n\
         db.security_label(\"l\", #{{ provider: \"p\", on: \"index\", object: [\"public\", \"i\"], label: \"x\" }});\n"
    );
    let checked = |script: &str| {
        Project::new("names", &format!("{head}{script}")).run(&["check"]).expect(1).stderr
    };
    let said = [checked(&on_the_server), checked(&in_a_database)].join("\n");
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    for words in [
        "has 64 bytes, PostgreSQL keeps 63",
        "role `pg_foo` would be one of the server's own",
        "`public` is a word of SQL and no name of a role",
        "role `r` would be a member of itself",
        "role `a` would be a member of itself",
        "tablespace `pg_space` would be one of the server's own",
        "a name in PostgreSQL cannot be empty",
        "schema `pg_app` would be one of the server's own",
        "nothing can be made in `pg_catalog`",
        "every table has a column `xmin` of the server's own",
        "`postgres::view.main/db/%-/v`: a name in PostgreSQL cannot be empty",
        "`Bad Slot` cannot be the name of a replication slot",
        "`Sub` cannot be the name of a replication slot",
        "give a `slot` that is called otherwise",
        "`x;` is no name of an operator",
        "the server takes no security labels on a sort such as index",
    ] {
        assert!(said.contains(words), "no `{words}` in\n{said}");
    }
    // Its own name, an owner, one of a grant, an event trigger.
    assert_eq!(said.matches("has 64 bytes, PostgreSQL keeps 63").count(), 4, "{said}");
}

/// Signs of SQL that become parts of names.
#[test]
fn names_that_are_hardly_meant_are_warned_of() {
    let stack = Stack::new("dt_signs");
    let project = stack.script(
        "pg.role(\"\\\"DtApp\\\"\");\n\
         db.table(\"app.users\", #{ columns: [] });\n\
         db.table(\"Users\", #{ columns: [] });\n",
    );
    let said = project.run(&["plan"]).expect(0).text();
    for words in [
        "the quotation marks of `\"DtApp\"` become a part of its name",
        "write `DtApp`: names are quoted where they have to be",
        "the dot in `app.users` becomes a part of its name",
        "call it `users` and set `schema: \"app\"`",
    ] {
        assert!(said.contains(words), "no `{words}` in\n{said}");
    }
    assert!(!said.contains("`Users`"), "{said}");
}

#[test]
fn a_grant_on_a_schema_covers_what_the_same_apply_makes() {
    let stack = Stack::new("dt_covered");
    let script = |tables: u32, rest: &str| {
        let text = format!(
            "let ro = pg.role(\"dt_covered_ro\");\nlet s = db.schema(\"s\");\n\
             db.grant(\"ro\", #{{ role: ro, on: \"tables\", schema: s, privileges: [\"SELECT\"] }});\n\
             db.grant(\"seq\", #{{ role: ro, on: \"sequences\", schema: s, privileges: [\"USAGE\"] }});\n\
             db.privileges(\"fn\", #{{ on: \"functions\", schema: s, \
             grants: [#{{ role: ro, privileges: [\"EXECUTE\"] }}] }});\n\
             for i in 0..{tables} {{\n    db.table(`t${{i}}`, #{{ schema: s, columns: \
             [#{{ name: \"id\", type: \"bigint\", identity: \"always\" }}] }});\n}}\n{rest}"
        );
        stack.script(&text)
    };
    let clean = |project: &Project| {
        let run = project.run(&["plan", "--detailed-exitcode"]);
        assert_eq!(run.code, Some(0), "the plan after is empty\n{}", run.text());
    };
    let project = script(5, "");
    drop(project.run(&["apply", "--auto-approve"]).expect(0));
    clean(project);

    let rest = "db.function(\"one\", #{ schema: s, returns: \"int\", language: \"sql\", body: \"select 1\" });\n\
                db.view(\"v\", #{ schema: s, query: \"select 1 as n\" });\n";
    let project = script(8, rest);
    let plan = project.run(&["plan"]).expect(0).stdout;
    assert!(plan.contains("postgres::grant.main/dt_covered/ro"), "{plan}");
    let flat = plan.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(flat.contains("and 3 more, which are made"), "{plan}");
    drop(project.run(&["apply", "--auto-approve"]).expect(0));
    clean(project);
    // One that is made anew loses what was granted on it.
    drop(stack.server.psql("dt_covered", "drop view s.v"));
    drop(project.run(&["apply", "--auto-approve"]).expect(0));
    clean(project);
    drop(project.run(&["destroy", "--auto-approve"]).expect(0));
}

/// The schema holds nothing else, so that nothing is left of the grant while it is made anew.
#[test]
fn a_grant_on_all_of_one_table_survives_its_replacement() {
    let stack = Stack::new("dt_only_one");
    let script = |view: &str| {
        let text = format!(
            "let ro = pg.role(\"dt_only_one_ro\");\nlet s = db.schema(\"s\");\n\
             db.grant(\"ro\", #{{ role: ro, on: \"tables\", schema: s, privileges: [\"SELECT\"] }});\n\
             db.view(\"v\", #{{ schema: s, query: \"select 1 as n\"{view} }});\n"
        );
        stack.script(&text)
    };
    drop(script("").run(&["apply", "--auto-approve"]).expect(0));
    let project = script(", materialized: true");
    drop(project.run(&["apply", "--auto-approve"]).expect(0));
    drop(project.run(&["plan", "--detailed-exitcode"]).expect(0));
    let loses = [
        "destroy",
        "--auto-approve",
        "--allow-data-loss",
        "postgres::database.main/dt_only_one",
    ];
    drop(project.run(&loses).expect(0));
}

#[test]
fn a_column_in_between_is_shown_by_its_name() {
    let stack = Stack::new("dt_between");
    let script = |columns: &[&str]| {
        let columns: Vec<_> = columns
            .iter()
            .map(|name| format!("#{{ name: \"{name}\", type: \"text\" }}"))
            .collect();
        stack.script(&format!("db.table(\"t\", #{{ columns: [{}] }});", columns.join(", ")))
    };
    drop(script(&["id", "note"]).run(&["apply", "--auto-approve"]).expect(0));
    let project = script(&["id", "age", "note"]);
    let plan = project.run(&["plan"]).expect(0).stdout;
    assert!(plan.contains("columns.age.type"), "{plan}");
    assert!(!plan.contains("columns[") && !plan.contains("note"), "{plan}");
    let markdown = project.run(&["plan", "--format", "markdown"]).expect(0).stdout;
    assert!(markdown.contains("columns.age.type"), "{markdown}");
    let json = project.run(&["plan", "--format", "json"]).expect(0).stdout;
    assert!(json.contains("columns[1].type"), "{json}");
    drop(project.run(&["destroy", "--auto-approve"]).expect(0));
}
