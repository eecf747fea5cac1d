//! What can go wrong with what is declared, each with the words it ends in, and nothing left
//! half done.

use dollop_engine::error::{CallError, Failure};
use serde_json::{Value as Json, json};

use super::world::World;

/// One thing that fails: what is made before, what is declared, and how the answer ends.
struct Case {
    kind: &'static str,
    name: &'static str,
    spec: Json,
    message: &'static str,
    hint: &'static str,
}

fn case(
    kind: &'static str,
    name: &'static str,
    spec: Json,
    message: &'static str,
    hint: &'static str,
) -> Case {
    Case { kind, name, spec, message, hint }
}

fn check(case: &Case, error: &CallError) {
    let Case { kind, name, message, hint, .. } = case;
    assert!(error.message.ends_with(message), "{kind} {name}: {error:?}");
    assert!(
        hint.is_empty() || error.hints.iter().any(|said| said.contains(hint)),
        "{kind} {name}: {error:?}"
    );
}

#[tokio::test]
async fn each_in_its_words() {
    let world = World::open().await;
    let db = "dt_failures";
    world.psql("postgres", &format!("create database {db}"));
    for made in [
        "create table t (id int primary key, note text)",
        "insert into t values (1, null), (2, 'x')",
        "create view v as select id from t",
        "create type colour as enum ('red')",
        "create table uses (c colour)",
        "create function note() returns trigger language plpgsql as 'begin return new; end'",
        "create table \"Case\" (id int)",
    ] {
        world.psql(db, made);
    }
    let cases = [
        case(
            "postgres::role",
            "dt_fail_member",
            json!({ "member_of": ["dt_nobody"] }),
            "role `dt_nobody` does not exist",
            "",
        ),
        case(
            "postgres::role",
            "dt_fail_setting",
            json!({ "settings": { "work_mem": "lots" } }),
            "invalid value for parameter `work_mem`: `lots`",
            "",
        ),
        case(
            "postgres::database",
            "dt_fail_locale",
            json!({ "lc_collate": "xx_XX" }),
            "invalid locale name: `xx_XX`",
            "",
        ),
        case(
            "postgres::database",
            "dt_fail_owner",
            json!({ "owner": "dt_nobody" }),
            "role `dt_nobody` does not exist",
            "",
        ),
        case(
            "postgres::database",
            "dt_fail_space",
            json!({ "tablespace": "nowhere" }),
            "tablespace `nowhere` does not exist",
            "",
        ),
        case(
            "postgres::table",
            "t",
            json!({ "database": db, "columns": [] }),
            "relation `t` already exists",
            "",
        ),
        case(
            "postgres::table",
            "a",
            json!({ "database": db,
            "columns": [{ "name": "a", "type": "no_type" }] }),
            "type `no_type` does not exist",
            "",
        ),
        case(
            "postgres::table",
            "a",
            json!({ "database": "dt_no_db", "columns": [] }),
            "there is no database `dt_no_db` at",
            "",
        ),
        case(
            "postgres::table",
            "a",
            json!({ "database": db, "schema": "no_schema", "columns": [] }),
            "schema `no_schema` does not exist",
            "",
        ),
        case(
            "postgres::table",
            "a",
            json!({ "database": db,
            "columns": [{ "name": "a", "type": "int", "default": "1 +" }] }),
            "syntax error at or near `)`",
            "",
        ),
        case(
            "postgres::table",
            "a",
            json!({ "database": db,
            "columns": [{ "name": "a", "type": "int" }],
            "constraints": { "f": "FOREIGN KEY (a) REFERENCES \"T\" (id)" } }),
            "relation `T` does not exist",
            "",
        ),
        case(
            "postgres::index",
            "i",
            json!({ "database": db, "table": "case", "columns": ["id"] }),
            "relation `public.case` does not exist",
            "",
        ),
        case(
            "postgres::index",
            "i",
            json!({ "database": db, "table": "t", "columns": ["nope"] }),
            "column `nope` does not exist",
            "",
        ),
        case(
            "postgres::index",
            "i",
            json!({ "database": db, "table": "t", "columns": ["note"],
            "method": "gin" }),
            "data type text has no default operator class for access method `gin`",
            "You must specify an operator class",
        ),
        case(
            "postgres::index",
            "i",
            json!({ "database": db, "table": "v", "columns": ["id"] }),
            "cannot create index on relation `v`",
            "",
        ),
        case(
            "postgres::view",
            "w",
            json!({ "database": db, "query": "select nope from t" }),
            "column `nope` does not exist",
            "",
        ),
        case(
            "postgres::function",
            "f",
            json!({ "database": db, "returns": "int",
            "language": "cobol", "body": "x" }),
            "language `cobol` does not exist",
            "",
        ),
        case(
            "postgres::trigger",
            "g",
            json!({ "database": db, "table": "t", "timing": "before",
            "events": ["insert"], "function": "no_function" }),
            "function public.no_function() does not exist",
            "",
        ),
        case(
            "postgres::trigger",
            "g",
            json!({ "database": db, "table": "t", "timing": "instead_of",
            "events": ["insert"], "function": "note" }),
            "`t` is a table",
            "",
        ),
        case(
            "postgres::policy",
            "p",
            json!({ "database": db, "table": "t", "using": "nope" }),
            "column `nope` does not exist",
            "",
        ),
        case(
            "postgres::domain",
            "d",
            json!({ "database": db, "type": "int",
            "constraints": { "c": "CHECK (value > 'x')" } }),
            "invalid input syntax for type integer: `x`",
            "",
        ),
        case(
            "postgres::sequence",
            "s",
            json!({ "database": db, "min": 5, "max": 1 }),
            "MINVALUE (5) must be less than MAXVALUE (1)",
            "",
        ),
        case(
            "postgres::enum",
            "colour",
            json!({ "database": db, "values": ["a"] }),
            "type `colour` already exists",
            "",
        ),
        case(
            "postgres::publication",
            "p",
            json!({ "database": db, "tables": [{ "table": "v" }] }),
            "cannot add relation `v` to publication",
            "",
        ),
        case(
            "postgres::subscription",
            "s",
            json!({ "database": db, "publications": ["p"],
            "connection": "host=127.0.0.1 port=1 dbname=x" }),
            "Connection refused\n\tIs the server running on that host and accepting TCP/IP connections?",
            "this server must reach the other",
        ),
        case(
            "postgres::event_trigger",
            "e",
            json!({ "database": db, "event": "sql_drop", "function": "note" }),
            "function public.note must return type event_trigger",
            "return `event_trigger`",
        ),
        case(
            "postgres::event_trigger",
            "e",
            json!({ "database": db, "event": "sql_drop", "tags": ["BAKE"], "function": "note" }),
            "filter value `BAKE` not recognized for filter variable `tag`",
            "",
        ),
        case(
            "postgres::role_settings",
            "s",
            json!({ "database": db, "role": "dt_nobody", "settings": { "jit": false } }),
            "role `dt_nobody` does not exist",
            "",
        ),
        case(
            "postgres::role_settings",
            "s",
            json!({ "database": db, "role": "postgres", "settings": { "work_mem": "lots" } }),
            "invalid value for parameter `work_mem`: `lots`",
            "",
        ),
        case(
            "postgres::table",
            "a",
            json!({ "database": db, "inherits": ["nobody"] }),
            "relation `public.nobody` does not exist",
            "",
        ),
        case(
            "postgres::table",
            "a",
            json!({ "database": db, "access_method": "columnar",
            "columns": [{ "name": "a", "type": "int" }] }),
            "access method `columnar` does not exist",
            "",
        ),
        case(
            "postgres::view",
            "w",
            json!({ "database": db, "query": "select id from t", "columns": ["a", "b"] }),
            "CREATE VIEW specifies more column names than columns",
            "",
        ),
        case(
            "postgres::grant",
            "g",
            json!({ "database": db, "role": "PUBLIC", "on": "tablespaces",
            "objects": ["nowhere"], "privileges": ["CREATE"] }),
            "there is no tablespace `nowhere` in database `dt_failures` at",
            "create it first",
        ),
        case(
            "postgres::fdw_server",
            "f",
            json!({ "database": db, "wrapper": "postgres_fdw" }),
            "foreign-data wrapper `postgres_fdw` does not exist",
            "comes with an extension",
        ),
        case(
            "postgres::user_mapping",
            "m",
            json!({ "database": db, "server": "nope",
            "role": "PUBLIC" }),
            "server `nope` does not exist",
            "",
        ),
        case(
            "postgres::tablespace",
            "ts",
            json!({ "location": "/no/such/folder" }),
            "directory `/no/such/folder` does not exist",
            "mount a volume",
        ),
        case(
            "postgres::setting",
            "maintenance_work_mem",
            json!({ "value": "lots" }),
            "invalid value for parameter `maintenance_work_mem`: `lots`",
            "",
        ),
        case(
            "postgres::comment",
            "c",
            json!({ "database": db, "on": "column",
            "object": ["public", "t", "nope"], "text": "x" }),
            "column `nope` of relation `public.t` does not exist",
            "",
        ),
    ];
    for case in &cases {
        let declared = world.declare(case.kind, case.name, case.spec.clone());
        let Err(error) = world.try_create(&declared).await else {
            panic!("{} {}: it was made", case.kind, case.name)
        };
        if case.message.ends_with(" at") {
            assert!(error.message.contains(case.message), "{error:?}");
        } else {
            check(case, &error);
        }
        let exists = ["already exists"].iter().any(|word| case.message.ends_with(word));
        if !exists {
            let left = world.try_read(&declared).await;
            assert!(
                matches!(left, Ok(None)),
                "{} {}: half made: {left:?}",
                case.kind,
                case.name
            );
        }
    }
    println!("{} failures, each in its words", cases.len());

    // What is there cannot go while something needs it, and rows are never lost on the way.
    let table = world.declare("postgres::table", "t", json!({ "database": db, "columns": [] }));
    let error = world.try_delete(&table).await.unwrap_err();
    assert_eq!(error.notes, ["view v depends on table t"]);
    assert!(error.hints[0].contains("remove what uses it first"), "{error:?}");
    let colour =
        world.declare("postgres::enum", "colour", json!({ "database": db, "values": ["red"] }));
    let error = world.try_delete(&colour).await.unwrap_err();
    assert_eq!(error.notes, ["column c of table uses depends on type colour"]);
    let stricter = json!({
        "database": db, "primary_key": ["id"],
        "columns": [
            { "name": "id", "type": "int" }, { "name": "note", "type": "text", "not_null": true },
        ],
    });
    let stricter = world.declare("postgres::table", "t", stricter);
    let found = world.read(&stricter).await.unwrap();
    let calls = &world.registry.kind("postgres::table").unwrap().calls;
    let error = calls
        .update(&world.connection, &stricter.name, &found.id, &found.spec, &stricter.spec)
        .await
        .unwrap_err();
    assert!(
        error.message.ends_with("column `note` of relation `t` contains null values"),
        "{error}"
    );
    assert!(error.hints[0].contains("give the column a `default`"), "{error:?}");
    let refused = |columns: Json, more: Json| {
        let mut spec = json!({ "database": db, "primary_key": ["id"], "columns": columns });
        for (key, value) in more.as_object().unwrap() {
            spec[key] = value.clone();
        }
        let to = world.declare("postgres::table", "t", spec);
        let problems = calls.check_update(&found.spec, &to.spec);
        problems.first().map(|problem| problem.message.clone())
    };
    let id = json!({ "name": "id", "type": "int" });
    assert_eq!(
        refused(json!([id]), json!({})),
        Some("column `note` would be dropped with what is in it".to_owned())
    );
    assert_eq!(refused(json!([id]), json!({ "drop_columns": ["note"] })), None);
    let renamed = json!({ "name": "text", "type": "text", "renamed_from": "note" });
    assert_eq!(refused(json!([id, renamed]), json!({})), None);
    let smaller = json!({ "name": "note", "type": "varchar(1)" });
    assert_eq!(
        refused(json!([id, smaller]), json!({})),
        Some(
            "column `note` from text to character varying(1) may lose what it holds".to_owned()
        )
    );
    let smaller = json!({ "name": "note", "type": "varchar(1)", "using": "left(note, 1)" });
    assert_eq!(refused(json!([id, smaller]), json!({})), None);
    world.psql(db, "drop view v");
    let spec = json!({ "database": db, "columns": [id, renamed], "primary_key": ["id"] });
    world.repair(&world.declare("postgres::table", "t", spec)).await;
    assert_eq!(
        world.psql(db, "select text from t where id = 2"),
        "x",
        "renamed, with its rows"
    );
    world.psql("postgres", &format!("drop database {db} with (force)"));
}

#[tokio::test]
async fn without_the_right_to() {
    let world = World::open().await;
    let db = "dt_denied";
    world.psql("postgres", &format!("create database {db}"));
    world.psql(db, "create table t (id int)");
    world.psql("postgres", "create role dt_denied login password 'a p@ss'");
    let weak = world.open_as("dt_denied", "a p@ss").await;
    let cases = [
        case(
            "postgres::role",
            "dt_x",
            json!({}),
            "permission denied to create role",
            "CREATEROLE",
        ),
        case(
            "postgres::database",
            "dt_x",
            json!({}),
            "permission denied to create database",
            "CREATEDB",
        ),
        case(
            "postgres::schema",
            "s",
            json!({ "database": db }),
            "permission denied for database dt_denied",
            "CREATE",
        ),
        case(
            "postgres::table",
            "x",
            json!({ "database": db, "columns": [] }),
            "permission denied for schema public",
            "CREATE on the schema",
        ),
        case(
            "postgres::index",
            "x",
            json!({ "database": db, "table": "t", "columns": ["id"] }),
            "must be owner of table t",
            "ownership of the table",
        ),
        case(
            "postgres::setting",
            "work_mem",
            json!({ "value": "5MB" }),
            "permission denied to set parameter `work_mem`",
            "a superuser",
        ),
        case(
            "postgres::hba_rule",
            "x",
            json!({ "rule": "local all all trust" }),
            "must be superuser or have privileges of pg_read_all_settings to examine `hba_file`",
            "a superuser",
        ),
        case(
            "postgres::publication",
            "p",
            json!({ "database": db, "all_tables": true }),
            "permission denied for database dt_denied",
            "CREATE on the database",
        ),
        case(
            "postgres::replication_slot",
            "dt_slot",
            json!({}),
            "must be superuser or replication role to use replication slots",
            "REPLICATION",
        ),
    ];
    for case in &cases {
        let declared = weak.declare(case.kind, case.name, case.spec.clone());
        let error = weak.try_create(&declared).await.map(|_| ()).unwrap_err();
        assert_eq!(error.failure, Failure::Denied, "{error:?}");
        check(case, &error);
    }
    world.psql("postgres", &format!("drop database {db} with (force)"));
    world.psql("postgres", "drop role dt_denied");
}

#[tokio::test]
async fn a_role_that_owns_things() {
    let world = World::open().await;
    for db in ["dt_owned_1", "dt_owned_2"] {
        world.psql("postgres", &format!("create database {db}"));
    }
    let make = |more: Json| world.make("postgres::role", "dt_owner", more);
    let role = make(json!({})).await;
    world.psql("postgres", "create role dt_heir");
    let own = || {
        for db in ["dt_owned_1", "dt_owned_2"] {
            world.psql(db, "create schema owned authorization dt_owner");
            world.psql(
                db,
                "create table owned.t (id int); alter table owned.t owner to dt_owner",
            );
            world.psql(db, "grant create on schema public to dt_owner");
        }
    };
    own();
    world.psql("postgres", "alter database dt_owned_1 owner to dt_owner");
    let error = world.try_delete(&role).await.unwrap_err();
    assert!(error.notes[0].contains("objects in database dt_owned_1"), "{error:?}");
    assert!(error.hints[0].contains("reassign_owned_to"), "{error:?}");
    let spec = json!({ "reassign_owned_to": "dt_heir" });
    world.delete(&world.declare("postgres::role", "dt_owner", spec)).await;
    assert!(world.read(&role).await.is_none());
    let owner = "select tableowner from pg_tables where tablename = 't'";
    assert_eq!(world.psql("dt_owned_1", owner), "dt_heir");
    assert_eq!(world.psql("dt_owned_2", owner), "dt_heir");
    for db in ["dt_owned_1", "dt_owned_2"] {
        world.psql(db, "drop schema owned cascade");
    }
    let role = make(json!({ "drop_owned": true })).await;
    own();
    world.delete(&role).await;
    assert_eq!(
        world.psql("dt_owned_2", "select count(*) from pg_tables where tablename = 't'"),
        "0"
    );
    for db in ["dt_owned_1", "dt_owned_2"] {
        world.psql("postgres", &format!("drop database {db} with (force)"));
    }
    world.psql("postgres", "drop role dt_heir");
}

#[tokio::test]
async fn a_lock_of_somebody_else_is_waited_for() {
    let world = World::open().await;
    world.psql("postgres", "create database dt_locked");
    world.psql("dt_locked", "create table t (id int)");
    let spec =
        json!({ "database": "dt_locked", "columns": [{ "name": "id", "type": "bigint" }] });
    let table = world.declare("postgres::table", "t", spec);
    let container = world.container.clone();
    let holder = std::thread::spawn(move || {
        container.psql(
            "dt_locked",
            "begin; lock table t in access share mode; select pg_sleep(5); commit",
        )
    });
    let held = "select count(*) from pg_locks l join pg_class c on c.oid = l.relation
        where c.relname = 't' and l.mode = 'AccessShareLock'";
    while world.psql("dt_locked", held) == "0" {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    // Longer than the lock is waited for at a time.
    world.repair(&table).await;
    holder.join().unwrap();
    world.psql("postgres", "drop database dt_locked with (force)");
}

#[tokio::test]
async fn a_server_that_crashes_is_waited_for() {
    let container = std::sync::Arc::new(super::container::Container::start());
    let registry = dollop_stdlib::registry();
    let spec = json!({
        "host": "127.0.0.1", "port": container.port, "password": super::container::PASSWORD,
        "connect_timeout": 60,
    });
    let connection = super::world::open(&registry, spec).await.unwrap();
    let world = World { registry, connection, container: container.clone() };
    let mut made = vec![world.make("postgres::role", "dt_before", json!({})).await];
    for round in 0..3 {
        // Every session ends with it (57P02), and nobody gets in while it recovers (57P03).
        let pid = "select pid from pg_stat_activity where backend_type = 'checkpointer'";
        let pid = loop {
            let said =
                container.psql_as("postgres", super::container::PASSWORD, "postgres", pid);
            match said {
                Ok(pid) if !pid.is_empty() => break pid,
                _ => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
            }
        };
        let kill = format!("copy (select 1) to program 'kill -9 {pid}'");
        let _ = container.psql_as("postgres", super::container::PASSWORD, "postgres", &kill);
        let role = world.declare("postgres::role", &format!("dt_after {round}"), json!({}));
        if let Err(error) = world.try_create(&role).await {
            // Without a farewell nobody knows whether it was made: the next run looks.
            assert!(error.message.contains("connection closed"), "{error:?}");
            if world.try_read(&role).await.unwrap().is_none() {
                world.try_create(&role).await.unwrap();
            }
        }
        made.push(role);
    }
    for found in world.read_all(&made).await {
        assert!(found.unwrap().is_some());
    }

    // In the middle of migrations: what was run stays run, and the next run does the rest once.
    let files = json!({
        "1.sql": "create table one (id int); insert into one values (1);",
        "2.sql": "create table two (id int); select pg_sleep(1.5); insert into two values (2);",
        "3.sql": "insert into one values (3);",
    });
    let spec = json!({ "database": "postgres", "files": files });
    let set = world.declare("postgres::migrations", "through a crash", spec);
    let killer = {
        let container = container.clone();
        std::thread::spawn(move || {
            let begun = "select pid from pg_stat_activity where query like '%pg_sleep(1.5)%'
                and pid <> pg_backend_pid()";
            while container.psql("postgres", begun).is_empty() {
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            let kill = "copy (select pid from pg_stat_activity
                where backend_type = 'checkpointer') to program 'xargs kill -9'";
            let _ = container.psql_as("postgres", super::container::PASSWORD, "postgres", kill);
        })
    };
    let error = world.try_create(&set).await.unwrap_err();
    assert!(error.message.contains("connection closed"), "{error:?}");
    assert_eq!(error.notes, ["run before it, and done: `1.sql`"]);
    world.try_create(&set).await.unwrap();
    killer.join().unwrap();
    world.expect_same(&set).await;
    let rows = "select (select string_agg(id::text, ' ' order by id) from one),
        (select string_agg(id::text, ' ') from two), count(*) from dollop_migrations
        where file <> '' and finished_at is not null";
    assert_eq!(world.psql("postgres", rows), "1 3|2|3");
}
