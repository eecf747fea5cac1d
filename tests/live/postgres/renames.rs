//! Other names for what is there: nothing is made anew, and nothing that is named after it.

use std::sync::Arc;

use dollop_tests::cli::Project;

use super::container::{self, Container, PASSWORD};

/// An apply that works.
fn apply(project: &Project) {
    drop(project.run(&APPLY).expect(0));
}

/// A plan that changes nothing.
fn same(project: &Project) {
    drop(project.run(&["plan", "--detailed-exitcode"]).expect(0));
}

/// An apply that is killed at that point.
fn killed(project: &Project, fault: &str) {
    let died = project.run_until(fault, &APPLY);
    assert_ne!(died.code, Some(0), "{fault}: {}", died.text());
}

const APPLY: [&str; 2] = ["apply", "--auto-approve"];

/// What the stack is called: the database, the schema in it, the role that uses them.
struct Names {
    database: &'static str,
    schema: &'static str,
    role: &'static str,
}

const BEFORE: Names = Names { database: "dt_ren", schema: "app", role: "dt_ren_app" };
const AFTER: Names =
    Names { database: "dt_ren \"2\" ü", schema: "the shop", role: "dt_ren_web" };

/// A stack in which everything is named after something.
fn script(server: &Container, names: &Names) -> String {
    let Names { database, schema, role } = names;
    let database = database.replace('"', "\\\"");
    format!(
        r#"let pg = postgres::server("main", #{{ host: "127.0.0.1", port: {port}, password: "{PASSWORD}" }});
let owner = pg.role("dt_ren_owner", #{{ login: false }});
let app = pg.role("{role}", #{{ password: "s3cret", member_of: [] }});
pg.membership("audit", #{{ role: "pg_monitor", member: owner }});
pg.membership("app", #{{ role: app, member: owner }});
let db = pg.database("db", #{{ name: "{database}", owner: owner, settings: #{{ timezone: "UTC" }} }});
db.extension("pg_trgm");
let s = db.schema("s", #{{ name: "{schema}", owner: owner }});
let users = s.table("users", #{{ columns: [#{{ name: "id", type: "bigint" }}], primary_key: ["id"] }});
let t = s.table("t", #{{
    columns: [#{{ name: "id", type: "bigint" }}, #{{ name: "who", type: "text" }}],
    constraints: #{{ by_user: `FOREIGN KEY (id) REFERENCES "${{s.name}}".${{users.name}} (id)` }},
    row_security: true,
}});
t.index("t_who", #{{ columns: ["who"] }});
t.policy("own", #{{ roles: [app], using: "who = current_user" }});
s.view("v", #{{ query: `SELECT id FROM "${{s.name}}".${{t.name}}` }});
db.grant("use", #{{ role: app, on: "schema", schema: s, privileges: ["USAGE"] }});
db.grant("read", #{{ role: app, on: "tables", schema: s, objects: [users, t], privileges: ["SELECT"] }});
db.default_privileges("later", #{{ owner: owner, role: app, schema: s, on: "tables", privileges: ["SELECT"] }});
db.sql("seen", #{{ unless: "select true", run: "select 1" }});
db.migrations("m", #{{ files: #{{ "1_a.sql": "create table public.made (id int)" }} }});
moved("postgres::role.main/{old}", "postgres::role.main/{role}");
"#,
        port = server.port,
        old = if *role == BEFORE.role { AFTER.role } else { BEFORE.role },
    )
}

/// A stack on the shared server, and the end of all it made there.
struct Stack {
    server: Arc<Container>,
    project: Project,
}

impl Stack {
    fn new() -> Self {
        Self { server: container::shared(), project: Project::new("renames", "") }
    }

    fn declare(&self, names: &Names) -> &Project {
        let text = script(&self.server, names);
        let moves = "moved(";
        // Nothing is recorded yet that could move.
        let text = match self
            .server
            .psql("postgres", "select 1 from pg_roles where rolname like 'dt_ren%' limit 1")
            .as_str()
        {
            "" => text.split(moves).next().unwrap_or_default().to_owned(),
            _ => text,
        };
        self.project.write("stack.rhai", &text);
        &self.project
    }

    /// The server's numbers for all that has a name here.
    fn numbers(&self, names: &Names) -> String {
        let whole = "select string_agg(concat(n, ' ', oid), E'\\n' order by n) from (
            select 'role' n, oid from pg_roles where rolname like 'dt_ren%' and rolname <> 'dt_ren_owner'
            union all select 'database', oid from pg_database where datname like 'dt_ren%') x";
        let inner = format!(
            "select string_agg(concat(c.relname, ' ', c.oid), E'\\n' order by c.relname)
             from pg_class c join pg_namespace n on n.oid = c.relnamespace
             where n.nspname = '{}'",
            names.schema
        );
        let whole = self.server.psql("postgres", whole);
        format!("{whole}\n{}", self.server.psql(names.database, &inner))
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        for database in [BEFORE.database, AFTER.database, "dt_ren_last"] {
            let database = database.replace('"', "\"\"");
            let gone = format!("drop database if exists \"{database}\" with (force)");
            drop(self.server.psql("postgres", &gone));
        }
        for role in [BEFORE.role, AFTER.role, "dt_ren_owner"] {
            drop(self.server.psql("postgres", &format!("drop role if exists {role}")));
        }
    }
}

#[test]
fn a_role_a_database_and_a_schema_are_renamed_in_place() {
    let stack = Stack::new();
    apply(stack.declare(&BEFORE));
    let insert = "insert into app.users values (7); insert into app.t values (7, 'a')";
    stack.server.psql(BEFORE.database, insert);
    let before = stack.numbers(&BEFORE);

    let project = stack.declare(&AFTER);
    let said = project.run(&["plan"]).expect(0).text();
    for words in ["renamed in place, with all that is in it; ", "named after it go along"] {
        assert!(said.contains(words), "no `{words}` in\n{said}");
    }
    // The constraint and the view have the name in their texts.
    let sums = "Plan: 0 to create, 5 to update, 0 to replace, 0 to delete, 1 to forget";
    assert!(said.contains(sums), "{said}");
    let sql = project.run(&["plan", "--sql"]).expect(0).stdout;
    for words in [
        "ALTER ROLE \"dt_ren_app\" RENAME TO \"dt_ren_web\"",
        "ALTER DATABASE \"dt_ren\" RENAME TO \"dt_ren \"\"2\"\" ü\"",
        "ALTER SCHEMA \"app\" RENAME TO \"the shop\"",
    ] {
        assert!(sql.contains(words), "no `{words}` in\n{sql}");
    }
    apply(project);
    same(project);
    assert_eq!(stack.numbers(&AFTER), before, "what is there is what was there");
    let count = stack.server.psql_as(
        AFTER.role,
        "s3cret",
        AFTER.database,
        "select count(*) from \"the shop\".users",
    );
    assert_eq!(count.as_deref(), Ok("1"), "it logs in, and may do what it could");

    // Killed right after a name was changed, before that was written down, three times.
    let project = stack.declare(&BEFORE);
    for address in ["role.main/dt_ren_app", "database.main/db", "schema.main/db/s"] {
        killed(project, &format!("after_call@postgres::{address}"));
    }
    apply(project);
    same(project);
    assert_eq!(stack.numbers(&BEFORE), before, "and back again");

    // What goes while its database gets another name goes under the old one.
    let text = project
        .read("stack.rhai")
        .replace("s.view(", "//")
        .replace("name: \"dt_ren\"", "name: \"dt_ren_last\"");
    project.write("stack.rhai", &text);
    apply(project);
    let views = "select count(*) from pg_views where schemaname = 'app'";
    assert_eq!(stack.server.psql("dt_ren_last", views), "0");
    same(project);

    // Who is connected is named, and nothing is half done.
    let text = text.replace("name: \"dt_ren_last\"", "name: \"dt_ren\"");
    project.write("stack.rhai", &text);
    let open = stack.server.session("dt_ren_last", "select 1");
    let said = project.run(&APPLY).expect(1).text();
    for words in ["while nobody is connected to it", "of `postgres` with psql"] {
        assert!(said.contains(words), "no `{words}` in\n{said}");
    }
    drop(open);
    apply(project);
    same(project);
    drop(
        project
            .run(&[
                "destroy",
                "--auto-approve",
                "--allow-data-loss",
                "postgres::database.main/db",
            ])
            .expect(0),
    );
}

/// Databases or roles on the shared server, which go with it.
struct Named {
    server: Arc<Container>,
    project: Project,
    kind: Kind,
    names: &'static [&'static str],
}

enum Kind {
    Database,
    Role,
}

impl Named {
    fn new(project: &str, kind: Kind, names: &'static [&'static str]) -> Self {
        let (server, project) = (container::shared(), Project::new(project, ""));
        let found = Self { server, project, kind, names };
        found.drop_all();
        found
    }

    fn declare(&self, inner: &str) {
        let port = self.server.port;
        let text = format!(
            "let pg = postgres::server(\"main\", #{{ host: \"127.0.0.1\", port: {port}, \
             password: \"{PASSWORD}\" }});\n{inner}"
        );
        self.project.write("stack.rhai", &text);
    }

    /// What each is called, and the server's number for it.
    fn numbers(&self) -> String {
        let names: Vec<String> = self.names.iter().map(|name| format!("'{name}'")).collect();
        let sql = format!(
            "select string_agg(concat(datname, ' ', oid), ', ' order by datname)
             from pg_database where datname in ({})",
            names.join(", ")
        );
        self.server.psql("postgres", &sql)
    }

    fn drop_all(&self) {
        for name in self.names {
            let gone = match self.kind {
                Kind::Database => format!("drop database if exists {name} with (force)"),
                Kind::Role => format!("drop role if exists {name}"),
            };
            drop(self.server.psql("postgres", &gone));
        }
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        self.drop_all();
    }
}

#[test]
fn a_name_that_is_left_is_taken_in_the_same_run() {
    let names = &["dt_chain", "dt_chain_new", "dt_chain_old"];
    let stack = Named::new("renames_chain", Kind::Database, names);
    // The one that takes the name comes first.
    let declare = |new: &str, old: &str| {
        stack.declare(&format!(
            "let new = pg.database(\"new\", #{{ name: \"{new}\" }});
             let old = pg.database(\"old\", #{{ name: \"{old}\" }});
             new.schema(\"app\");
             old.schema(\"app\");"
        ));
    };
    declare("dt_chain_new", "dt_chain");
    apply(&stack.project);
    for name in ["dt_chain_new", "dt_chain"] {
        let sql = format!("create table app.kept as select '{name}' was");
        stack.server.psql(name, &sql);
    }
    let was = |name: &str| stack.server.psql(name, "select was from app.kept");

    declare("dt_chain", "dt_chain_old");
    let said = stack.project.run(&["plan"]).expect(0).text();
    let sums = "Plan: 0 to create, 2 to update, 0 to replace, 0 to delete";
    assert!(said.contains(sums), "{said}");
    apply(&stack.project);
    assert_eq!(was("dt_chain"), "dt_chain_new");
    assert_eq!(was("dt_chain_old"), "dt_chain");
    same(&stack.project);

    // Two swap: one of them has a third name while the other takes its own.
    declare("dt_chain_old", "dt_chain");
    let said = stack.project.run(&["plan"]).expect(0).text();
    assert!(said.contains("over a name of its own until the old one is taken"), "{said}");
    let sql = stack.project.run(&["plan", "--sql"]).expect(0).stdout;
    let renames: Vec<_> = sql.lines().filter(|line| line.contains("RENAME")).collect();
    assert_eq!(
        renames,
        [
            "ALTER DATABASE \"dt_chain\" RENAME TO \"dt_chain.c50d686d.dollop-aside\";",
            "ALTER DATABASE \"dt_chain_old\" RENAME TO \"dt_chain\";",
            "ALTER DATABASE \"dt_chain.c50d686d.dollop-aside\" RENAME TO \"dt_chain_old\";",
        ]
    );
    // Killed at each point of it, and gone on with by the next run.
    killed(&stack.project, "after_call@postgres::database.main/new");
    killed(&stack.project, "after_call@postgres::database.main/old");
    apply(&stack.project);
    assert_eq!(was("dt_chain"), "dt_chain");
    assert_eq!(was("dt_chain_old"), "dt_chain_new");
    same(&stack.project);
    declare("dt_chain", "dt_chain_old");
    killed(&stack.project, "after_done@postgres::database.main/new");
    apply(&stack.project);
    assert_eq!(was("dt_chain"), "dt_chain_new");
    same(&stack.project);
}

#[test]
fn a_name_that_a_killed_run_gave_is_known_whatever_the_script_says_then() {
    let names = &["dt_third_1", "dt_third_2", "dt_third_3", "dt_third_4"];
    let stack = Named::new("renames_third", Kind::Database, names);
    let declare = |name: &str| {
        stack.declare(&format!(
            "let db = pg.database(\"db\", #{{ name: \"{name}\" }});
             let s = db.schema(\"app\");
             s.table(\"t\", #{{ columns: [#{{ name: \"id\", type: \"bigint\" }}] }});"
        ));
    };
    let killed = || killed(&stack.project, "after_call@postgres::database.main/db");
    let number = || stack.numbers().rsplit(' ').next().unwrap_or_default().to_owned();
    declare("dt_third_1");
    apply(&stack.project);
    let first = number();

    // Killed with the second name given and not written down, and killed again with the third.
    declare("dt_third_2");
    killed();
    declare("dt_third_3");
    let said = stack.project.run(&["plan"]).expect(0).text();
    let sums = "Plan: 0 to create, 1 to update, 0 to replace, 0 to delete";
    assert!(said.contains(sums) && said.contains("renamed in place"), "{said}");
    killed();
    assert_eq!(stack.numbers(), format!("dt_third_3 {first}"));
    declare("dt_third_4");
    apply(&stack.project);
    assert_eq!(stack.numbers(), format!("dt_third_4 {first}"));
    same(&stack.project);

    // Back to the name that is written down.
    declare("dt_third_2");
    killed();
    declare("dt_third_4");
    apply(&stack.project);
    assert_eq!(stack.numbers(), format!("dt_third_4 {first}"));
    same(&stack.project);

    // What the script does not have any more goes, whatever it is called.
    declare("dt_third_2");
    killed();
    stack.declare("");
    let gone = ["--allow-data-loss", "postgres::database.main/db"];
    drop(stack.project.run(&[&APPLY[..], &gone].concat()).expect(0));
    assert_eq!(stack.numbers(), "");
    same(&stack.project);
}

#[test]
fn what_says_the_new_name_as_a_text_brings_the_renaming_along() {
    let stack = Named::new("renames_part", Kind::Role, &["dt_part", "dt_part_2"]);
    let declare = |name: &str, member: &str| {
        stack.declare(&format!(
            "let role = pg.role(\"part\", #{{ name: \"{name}\", login: false }});
             pg.membership(\"m\", #{{ role: \"pg_monitor\", member: {member} }});"
        ));
    };
    // At first a reference, so that it is made after the role.
    declare("dt_part", "role");
    apply(&stack.project);
    declare("dt_part_2", "\"dt_part_2\"");
    let part = ["--only", "postgres::membership.main/m"];
    drop(stack.project.run(&[&APPLY[..], &part].concat()).expect(0));
    let members = "select string_agg(member::regrole::text, ' ') from pg_auth_members
        where member::regrole::text like 'dt_part%'";
    assert_eq!(stack.server.psql("postgres", members), "dt_part_2");
    same(&stack.project);
}

#[test]
fn a_password_with_the_name_in_it_goes_with_the_name_and_the_plan_says_so() {
    let stack = Named::new("renames_md5", Kind::Role, &["dt_md5", "dt_md5_2", "dt_md5_told"]);
    let declare = |name: &str, more: &str| {
        stack.declare(&format!("pg.role(\"r\", #{{ name: \"{name}\"{more} }});"));
    };
    let by_hand = |name: &str| {
        let sql = format!("set password_encryption = md5; alter role {name} password 'pw'");
        stack.server.psql("postgres", &sql);
    };
    let words = "kept as an MD5 hash, which the server forgets with the name";
    declare("dt_md5", "");
    apply(&stack.project);
    by_hand("dt_md5");
    declare("dt_md5_2", "");
    let said = stack.project.run(&["plan"]).expect(0).text();
    assert!(said.contains(words), "{said}");
    apply(&stack.project);
    let stored =
        "select coalesce(rolpassword, 'none') from pg_authid where rolname = 'dt_md5_2'";
    assert_eq!(stack.server.psql("postgres", stored), "none");

    // One that the script says is set again.
    by_hand("dt_md5_2");
    declare("dt_md5_told", ", password: \"pw\"");
    let said = stack.project.run(&["plan"]).expect(0).text();
    assert!(!said.contains(words), "{said}");
    apply(&stack.project);
    let in_by = stack.server.psql_as("dt_md5_told", "pw", "postgres", "select 1");
    assert_eq!(in_by.as_deref(), Ok("1"));
}
