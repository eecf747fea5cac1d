//! Migrations: once, in order, whole or not at all.

use std::time::Duration;

use dollop_engine::error::Failure;
use dollop_engine::kind::FoundObject;
use dollop_engine::resource::Wanted;
use dollop_tests::conformance::{Sample, conform};
use serde_json::{Value as Json, json};

use super::world::{Declared, World};

fn set(world: &World, database: &str, files: &[(&str, &str)]) -> Declared {
    let files: serde_json::Map<String, Json> =
        files.iter().map(|(name, text)| ((*name).to_owned(), json!(text))).collect();
    world.declare(
        "postgres::migrations",
        "app",
        json!({ "database": database, "files": files }),
    )
}

async fn run(world: &World, what: &Declared) -> Result<(), dollop_engine::error::CallError> {
    let calls = &world.registry.kind(what.kind).unwrap().calls;
    match world.try_read(what).await? {
        None => calls.create(&world.connection, &what.name, &what.spec).await.map(drop),
        Some(FoundObject { id, spec, .. }) => {
            calls.update(&world.connection, &what.name, &id, &spec, &what.spec).await.map(drop)
        }
    }
}

#[tokio::test]
async fn every_attribute() {
    let world = World::open().await;
    world.psql("postgres", "create database conform_migrations");
    world.psql("conform_migrations", "create schema \"The record\"");
    let first = "-- ü\r\nbegin; create table \"T 1\" (id int); insert into \"T 1\" values (1);\ncommit;";
    let sample = Sample {
        kind: "postgres::migrations",
        name: "the \"app\" ü".to_owned(),
        base: json!({
            "database": "conform_migrations", "files": { "1_first.sql": first },
            "schema": "The record",
        }),
        changes: Vec::new(),
        // Files are only ever added, and the record stays where it is: see below.
        fixed: &["database", "files", "baseline", "schema"],
    };
    conform(&world.registry, &world.connection, &sample).await;
    // Released and declared again: it was run once.
    conform(&world.registry, &world.connection, &sample).await;
    let rows = world.psql("conform_migrations", "select count(*) from \"T 1\"");
    assert_eq!(rows, "1");
    let record = "select string_agg(schemaname, ',') from pg_tables
        where tablename = 'dollop_migrations'";
    assert_eq!(world.psql("conform_migrations", record), "The record");
    world.psql("postgres", "drop database conform_migrations with (force)");
}

/// From one form to another, in place: read back each time.
#[tokio::test]
async fn files_and_baseline_change() {
    let world = World::open().await;
    let database = world.make("postgres::database", "mig_change", json!({})).await;
    let declare = |files: Json, baseline: Json| {
        let spec = json!({ "database": "mig_change", "files": files, "baseline": baseline });
        world.declare("postgres::migrations", "app", spec)
    };
    let (one, two) = ("create table a (id int)", "create table b (id int)");
    let all = [
        declare(json!({ "1.sql": one }), json!(null)),
        declare(json!({ "1.sql": one, "2.sql": two }), json!(null)),
        // Both are part of what the third has, which a newer database begins with.
        declare(json!({ "2.sql": format!("{one};\n{two}") }), json!("2.sql")),
        declare(
            json!({ "2_all.sql": format!("{one};\n{two}"), "3.sql": "create table c (id int)" }),
            json!("2_all.sql"),
        ),
    ];
    for declared in &all[..2] {
        run(&world, declared).await.unwrap();
        world.expect_same(declared).await;
    }
    let error = run(&world, &all[2]).await.unwrap_err();
    assert_eq!(error.message, "`2.sql` was run and is different now");
    run(&world, &all[3]).await.unwrap();
    world.expect_same(&all[3]).await;
    let tables = "select string_agg(tablename, ',' order by tablename) from pg_tables
        where schemaname = 'public'";
    assert_eq!(world.psql("mig_change", tables), "a,b,c,dollop_migrations");
    // The record has its place from the beginning.
    let calls = &world.registry.kind("postgres::migrations").unwrap().calls;
    let mut moved = all[3].spec.to_json();
    moved["schema"] = json!("elsewhere");
    let problems = calls.check_update(&all[3].spec, &dollop_engine::value::Value::from(moved));
    assert_eq!(problems[0].message, "the record of what was run cannot be moved");
    world.delete(&database).await;
}

#[tokio::test]
async fn a_file_that_fails_leaves_nothing_and_says_where() {
    let world = World::open().await;
    let database = world.make("postgres::database", "mig_fail", json!({})).await;
    let good = [("1.sql", "create table a (id int);"), ("2.sql", "create table b (id int);")];
    let bad =
        ("3.sql", "-- ü: a comment\ncreate table c (id int);\ncreate table ü (id nonsense);\n");
    let last = [("4.sql", "create table d (id int);"), ("5.sql", "create table e (id int);")];
    let with = |third| [&good[..], &[third], &last].concat();
    let broken = set(&world, "mig_fail", &with(bad));
    let error = run(&world, &broken).await.unwrap_err();
    assert_eq!(error.failure, Failure::Refused);
    assert!(error.message.starts_with("cannot run `3.sql` in database `mig_fail`"), "{error}");
    assert!(error.message.ends_with("type `nonsense` does not exist"), "{error}");
    assert_eq!(
        error.notes,
        [
            "`3.sql`, line 3: create table ü (id nonsense);",
            "run before it, and done: `1.sql`, `2.sql`",
        ]
    );
    let tables = "select string_agg(tablename, ',' order by tablename) from pg_tables
        where schemaname = 'public'";
    assert_eq!(world.psql("mig_fail", tables), "a,b,dollop_migrations");
    let repaired = set(&world, "mig_fail", &with(("3.sql", "create table c (id int);")));
    run(&world, &repaired).await.unwrap();
    world.expect_same(&repaired).await;
    assert_eq!(world.psql("mig_fail", tables), "a,b,c,d,dollop_migrations,e");
    world.delete(&database).await;
}

/// What cannot be told from its words says so.
#[tokio::test]
async fn a_procedure_that_commits_needs_a_file_that_is_no_transaction() {
    let world = World::open().await;
    let database = world.make("postgres::database", "mig_commits", json!({})).await;
    world.psql("mig_commits", "create table t (id int)");
    world.psql(
        "mig_commits",
        "create procedure p() language plpgsql as
            'begin insert into t values (1); commit; insert into t values (2); end'",
    );
    let whole = set(&world, "mig_commits", &[("1.sql", "call p();\nselect 1;")]);
    let error = run(&world, &whole).await.unwrap_err();
    assert!(error.message.contains("invalid transaction termination"), "{error}");
    assert!(
        error.hints.iter().any(|hint| hint.contains("-- dollop: no transaction")),
        "{error:?}"
    );
    assert_eq!(world.psql("mig_commits", "select count(*) from t"), "0");
    let apart = ("1.sql", "-- dollop: no transaction\ncall p();\nselect 1;");
    let apart = set(&world, "mig_commits", &[apart]);
    run(&world, &apart).await.unwrap();
    world.expect_same(&apart).await;
    assert_eq!(world.psql("mig_commits", "select count(*) from t"), "2");

    // The ninth word counts.
    world.psql("mig_commits", "create table e (id int) partition by list (id)");
    world.psql("mig_commits", "create table p1 partition of e for values in (1)");
    let detach = ("2.sql", "alter table only public.e detach partition public.p1 concurrently");
    let apart = ("1.sql", "-- dollop: no transaction\ncall p();\nselect 1;");
    let both = set(&world, "mig_commits", &[apart, detach]);
    run(&world, &both).await.unwrap();
    let parts = "select count(*) from pg_inherits where inhparent = 'e'::regclass";
    assert_eq!(world.psql("mig_commits", parts), "0");
    world.delete(&database).await;
}

#[tokio::test]
async fn what_stands_alone_goes_on_where_it_stopped() {
    let world = World::open().await;
    let database = world.make("postgres::database", "mig_alone", json!({})).await;
    let file = (
        "1.sql",
        "create table t (id int);\ninsert into t values (1), (1);\n\
        create unique index concurrently i on t (id);\ninsert into t values (3)",
    );
    let declared = set(&world, "mig_alone", &[file]);
    let error = run(&world, &declared).await.unwrap_err();
    assert!(error.message.contains("could not create unique index"), "{error}");
    let done =
        "select done, begun, finished_at is null from dollop_migrations where file <> ''";
    assert_eq!(world.psql("mig_alone", done), "2|t|t");
    // What a person does about it: the rows, and the index that is not valid.
    world.psql("mig_alone", "drop index i; delete from t where ctid = '(0,1)'");
    run(&world, &declared).await.unwrap();
    world.expect_same(&declared).await;
    assert_eq!(world.psql("mig_alone", "select string_agg(id::text, ',') from t"), "1,3");
    world.delete(&database).await;
}

#[tokio::test]
async fn a_baseline_is_not_run() {
    let world = World::open().await;
    let database = world.make("postgres::database", "mig_base", json!({})).await;
    world.psql("mig_base", "create table a (id int)");
    let files =
        json!({ "1.sql": "create table a (id int)", "2.sql": "create table b (id int)" });
    let spec = json!({ "database": "mig_base", "files": files, "baseline": "1.sql" });
    let declared = world.make("postgres::migrations", "app", spec).await;
    world.expect_same(&declared).await;
    let tables = "select string_agg(tablename, ',' order by tablename) from pg_tables
        where schemaname = 'public'";
    assert_eq!(world.psql("mig_base", tables), "a,b,dollop_migrations");
    world.delete(&database).await;
}

#[tokio::test]
async fn settings_of_a_file_end_with_it() {
    let world = World::open().await;
    let database = world.make("postgres::database", "mig_session", json!({})).await;
    world.psql("mig_session", "create schema other");
    let first = ("1.sql", "set search_path = other; create table a (id int);");
    let second = ("2.sql", "create table b (id int);");
    run(&world, &set(&world, "mig_session", &[first, second])).await.unwrap();
    let places = "select string_agg(schemaname || '.' || tablename, ',' order by tablename)
        from pg_tables where tablename in ('a', 'b')";
    assert_eq!(world.psql("mig_session", places), "other.a,public.b");
    world.delete(&database).await;
}

#[tokio::test]
async fn two_runs_at_once_run_a_file_once() {
    let world = World::open().await;
    let database = world.make("postgres::database", "mig_twice", json!({})).await;
    run(&world, &set(&world, "mig_twice", &[])).await.unwrap();
    let file = (
        "1.sql",
        "select pg_advisory_xact_lock(4711); create table if not exists t (id int);
        insert into t values (1);",
    );
    let one = set(&world, "mig_twice", &[file]);
    let other = World::open().await;
    // Whoever comes first waits at the gate in the file, the other for what the first holds.
    let gate = world.container.session("mig_twice", "select pg_advisory_lock(4711)");
    let keeper = async {
        let waiting = "select count(*) from pg_stat_activity
            where datname = 'mig_twice' and wait_event_type = 'Lock'";
        // Bounded, so that runs that do not meet fail the test below.
        for _ in 0..400 {
            if world.psql("postgres", waiting) == "2" {
                break;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        drop(gate);
    };
    let (a, b, ()) = tokio::join!(run(&world, &one), run(&other, &one), keeper);
    let (done, late) = if a.is_ok() { (a, b) } else { (b, a) };
    done.unwrap();
    assert_eq!(late.unwrap_err().failure, Failure::Exists, "somebody else was faster");
    assert_eq!(world.psql("mig_twice", "select count(*) from t"), "1");
    run(&other, &one).await.unwrap();
    drop(other);
    world.delete(&database).await;
}

#[tokio::test]
async fn a_client_that_dies_in_a_file_leaves_it_undone() {
    let world = World::open().await;
    let database = world.make("postgres::database", "mig_killed", json!({})).await;
    let file =
        ("1.sql", "create table t (id int); insert into t values (1); select pg_sleep(2);");
    let declared = set(&world, "mig_killed", &[file]);
    let killer = async {
        // Bounded, so that a file that ends without being killed fails the test below.
        for _ in 0..100 {
            let killed = world.psql(
                "postgres",
                "select count(pg_terminate_backend(pid)) from pg_stat_activity
                where datname = 'mig_killed' and query like '%pg_sleep%'",
            );
            if killed != "0" {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let (died, ()) = tokio::join!(run(&world, &declared), killer);
    assert_eq!(died.unwrap_err().failure, Failure::Unreachable);
    assert_eq!(world.psql("mig_killed", "select to_regclass('t') is null"), "t");
    run(&world, &declared).await.unwrap();
    assert_eq!(world.psql("mig_killed", "select count(*) from t"), "1");
    let wanted = Wanted {
        id: None,
        name: declared.name.clone(),
        facts: None,
        spec: declared.spec.clone(),
    };
    let calls = &world.registry.kind(declared.kind).unwrap().calls;
    let found = calls.read(&world.connection, vec![wanted]).await.remove(0).unwrap().unwrap();
    assert_eq!(found.facts.to_json(), json!({ "applied": 1, "latest": "1.sql" }));
    world.delete(&database).await;
}

#[tokio::test]
async fn a_file_may_work_as_somebody_else() {
    let world = World::open().await;
    let database = "dt_migrate_as";
    for sql in ["create role dt_migrate_owner", "create database dt_migrate_as"] {
        world.psql("postgres", sql);
    }
    world.psql(database, "grant create on schema public to dt_migrate_owner");
    let whole = "set role dt_migrate_owner; create table whole (id int);";
    let steps = "set session authorization dt_migrate_owner; create table steps (id int);\n\
                 create index concurrently i on steps (id); create table more (id int);";
    let files = set(&world, database, &[("1.sql", whole), ("2.sql", steps)]);
    run(&world, &files).await.unwrap_or_else(|error| panic!("{error:?}"));
    let owners = "select string_agg(tableowner, ',') from pg_tables
        where tablename in ('whole', 'steps', 'more')";
    let owner = "dt_migrate_owner";
    assert_eq!(world.psql(database, owners), format!("{owner},{owner},{owner}"));
    let by = "select string_agg(distinct applied_by, ',') from dollop_migrations";
    assert_eq!(world.psql(database, by), "postgres");
    world.psql("postgres", &format!("drop database {database} with (force)"));
    world.psql("postgres", "drop role dt_migrate_owner");
}

/// What a file sets is for the statements behind it: without the session there is nothing to go
/// on in.
#[tokio::test]
async fn a_file_does_not_go_on_in_another_session() {
    let world = World::open().await;
    world.psql("postgres", "create database dt_migrate_session");
    world.psql("dt_migrate_session", "create schema other");
    let text = "-- dollop: no transaction\nset search_path = other;\n\
                set idle_session_timeout = '1ms';\nselect pg_sleep(0.1);\ncreate table t ();";
    let files = set(&world, "dt_migrate_session", &[("1.sql", text)]);
    let error = run(&world, &files).await.unwrap_err();
    assert_eq!(error.failure, Failure::Unreachable, "{error:?}");
    let there =
        "select count(*) from pg_tables where tablename = 't' and schemaname <> 'other'";
    assert_eq!(world.psql("dt_migrate_session", there), "0");
    world.psql("postgres", "drop database dt_migrate_session with (force)");
}
