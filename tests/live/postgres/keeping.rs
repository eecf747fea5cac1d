//! What must not get lost along with a change.

use std::sync::Arc;

use serde_json::json;

use super::container::{Container, PASSWORD};
use super::plans::Stack;
use super::world::{World, open};

#[test]
fn an_identity_counts_on_behind_what_is_there() {
    let stack = Stack::new("dt_identity");
    let table = |how: &str| {
        format!(
            "let q = db.sequence(\"old\");\n\
             db.table(\"t\", #{{ columns: [#{{ name: \"id\", type: \"int\", not_null: true, {how} }}, \
             #{{ name: \"n\", type: \"int\" }}], depends_on: [q] }});\n"
        )
    };
    let project = stack.script(&table("default: \"nextval('old')\""));
    drop(project.run(&["apply", "--auto-approve"]).expect(0));
    let psql = |sql: &str| stack.server.psql("dt_identity", sql);
    drop(psql("insert into t (n) select 1 from generate_series(1, 40)"));
    drop(psql("delete from t where id > 30; alter sequence old owned by t.id"));
    let project = stack.script(&table("identity: \"by_default\""));
    let plan = project.run(&["plan"]).expect(0).text();
    assert!(plan.contains("behind the largest value it has"), "{plan}");
    drop(project.run(&["apply", "--auto-approve"]).expect(0));
    // Not 31: the old sequence gave out 40.
    assert_eq!(psql("insert into t (n) values (2) returning id").lines().next(), Some("41"));
    let project = stack.script(&table("default: \"nextval('old')\""));
    let plan = project.run(&["plan"]).expect(0).text();
    assert!(plan.contains("how far it had counted"), "{plan}");
    drop(stack.server.psql("postgres", "drop database dt_identity with (force)"));
}

#[tokio::test]
async fn a_membership_of_another_grantor_is_taken_back() {
    let container = Arc::new(Container::newer());
    let registry = dollop_stdlib::registry();
    let spec = json!({ "host": "127.0.0.1", "port": container.port, "password": PASSWORD });
    let connection = open(&registry, spec).await.unwrap_or_else(|error| panic!("{error:?}"));
    let world = World { registry, connection, container };
    for sql in [
        "create role boss",
        "create role crew",
        "create role mate",
        "grant crew to boss with admin option",
        "grant crew to mate with admin option granted by boss",
        "grant crew to mate",
    ] {
        world.psql("postgres", sql);
    }
    let left = "select count(*) from pg_auth_members where member = 'mate'::regrole";
    let admin = json!({ "role": "crew", "member": "mate", "admin": true });
    let plain =
        world.declare("postgres::membership", "m", json!({ "role": "crew", "member": "mate" }));
    world.repair(&plain).await;
    let all = world.declare("postgres::membership", "m", admin);
    world.repair(&all).await;
    world.delete(&all).await;
    assert_eq!(world.psql("postgres", left), "0");

    world.psql("postgres", "grant crew to mate granted by boss");
    let role = world.declare("postgres::role", "mate", json!({ "member_of": [] }));
    world.repair(&role).await;
    assert_eq!(world.psql("postgres", left), "0");
    // Who may not speak for whoever granted it is told their name.
    for sql in [
        "create role little login createrole password 'x'",
        "grant crew to little with admin option",
        "grant crew to mate granted by boss",
    ] {
        world.psql("postgres", sql);
    }
    let little = world.open_as("little", "x").await;
    let error = little.try_delete(&plain).await.unwrap_err();
    assert!(format!("{error:?}").contains("boss"), "{error:?}");
    assert_eq!(world.psql("postgres", left), "1");
}

#[test]
fn a_stored_view_of_another_query_keeps_what_is_on_it() {
    let stack = Stack::new("dt_view_anew");
    let psql = |sql: &str| stack.server.psql("dt_view_anew", sql);
    let view = |query: &str| {
        format!(
            "let r = pg.role(\"dt_view_reader\");\n\
             let v = db.view(\"v\", #{{ query: \"{query}\", materialized: true }});\n\
             v.index(\"i\", #{{ columns: [\"a\"], unique: true, comment: \"quick\" }});\n\
             db.grant(\"g\", #{{ role: r, on: \"tables\", schema: \"public\", objects: [v], \
             privileges: [\"SELECT\"] }});\n"
        )
    };
    drop(stack.script(&view("SELECT 1 AS a")).run(&["apply", "--auto-approve"]).expect(0));
    for sql in [
        "create role dt_view_owner",
        "alter materialized view v owner to dt_view_owner",
        "create index by_hand on v (a)",
        "comment on column v.a is 'one'",
        "grant select on v to pg_signal_backend with grant option",
        "grant select (a) on v to pg_monitor",
        "alter default privileges grant delete on tables to pg_monitor",
    ] {
        drop(psql(sql));
    }
    let seen = "select c.relacl, (select attacl from pg_attribute where attrelid = c.oid and attname = 'a'),
        pg_get_userbyid(relowner), col_description(c.oid, 1), (select string_agg(concat(
            indexrelid::regclass, obj_description(indexrelid, 'pg_class')), ' ' order by 1)
            from pg_index where indrelid = c.oid) from pg_class c where relname = 'v'";
    let before = psql(seen);
    let project = stack.script(&view("SELECT 2 AS a, 3 AS b"));
    drop(project.run(&["apply", "--auto-approve"]).expect(0));
    assert_eq!(psql(seen), before);
    assert!(before.contains("by_hand") && before.contains("dt_view_owner"), "{before}");
    assert_eq!(psql("select a, b from v"), "2|3");
    drop(project.run(&["plan", "--detailed-exitcode"]).expect(0));
    drop(
        project
            .run(&[
                "destroy",
                "--auto-approve",
                "--allow-data-loss",
                "postgres::database.main/dt_view_anew",
            ])
            .expect(0),
    );
    drop(stack.server.psql("postgres", "drop role dt_view_owner"));
}

#[test]
fn how_far_something_has_come_goes_only_by_consent() {
    let stack = Stack::new("dt_counted");
    let script = "db.sequence(\"q\");\npg.replication_slot(\"dt_counted_slot\");\n";
    drop(stack.script(script).run(&["apply", "--auto-approve"]).expect(0));
    drop(
        stack.server.psql("dt_counted", "select nextval('q'), nextval('q'); create table x ()"),
    );
    let project = stack.script("");
    let refused = project.run(&["apply", "--auto-approve"]).expect(1).stderr;
    for words in ["a count that has come to 2", "the place of its reader, which is "] {
        assert!(refused.contains(words), "no `{words}` in\n{refused}");
    }
    let consent = [
        "apply",
        "--auto-approve",
        "--allow-data-loss",
        "postgres::sequence.main/dt_counted/q",
        "--allow-data-loss",
        "postgres::replication_slot.main/dt_counted_slot",
    ];
    drop(project.run(&consent).expect(0));
}

#[test]
fn grants_on_columns_stay_when_one_on_the_table_goes() {
    let stack = Stack::new("dt_columns");
    let script = |table: &str| {
        format!(
            "let r = pg.role(\"dt_columns_r\");\n\
             let t = db.table(\"t\", #{{ columns: [#{{ name: \"a\", type: \"int\" }}, #{{ name: \"b\", type: \"int\" }}] }});\n\
             db.grant(\"some\", #{{ role: r, on: \"tables\", schema: \"public\", objects: [t], \
             columns: [\"a\"], privileges: [\"SELECT\", \"UPDATE\"] }});\n{table}"
        )
    };
    let project = stack.script(&script(""));
    drop(project.run(&["apply", "--auto-approve"]).expect(0));
    let has = "select has_column_privilege('dt_columns_r', 't', 'a', 'SELECT'),
        has_column_privilege('dt_columns_r', 't', 'b', 'SELECT'),
        has_table_privilege('dt_columns_r', 't', 'INSERT')";
    let psql = |sql: &str| stack.server.psql("dt_columns", sql);
    let whole = "db.grant(\"whole\", #{ role: r, on: \"tables\", schema: \"public\", objects: [t], \
                 privileges: [\"SELECT\", \"INSERT\"] });\n";
    drop(stack.script(&script(whole)).run(&["apply", "--auto-approve"]).expect(0));
    assert_eq!(psql(has), "t|t|t");
    let fewer = whole.replace("\"SELECT\", ", "");
    drop(stack.script(&script(&fewer)).run(&["apply", "--auto-approve"]).expect(0));
    assert_eq!(psql(has), "t|f|t");
    let project = stack.script(&script(""));
    drop(project.run(&["apply", "--auto-approve"]).expect(0));
    assert_eq!(psql(has), "t|f|f");
    drop(project.run(&["plan", "--detailed-exitcode"]).expect(0));
    drop(project.run(&["destroy", "--auto-approve"]).expect(0));
}

/// Rows count wherever they are: in a child that inherits, elsewhere, or in a large object.
#[test]
fn what_is_stored_elsewhere_counts() {
    let stack = Stack::new("dt_elsewhere");
    let script = "pg.role(\"dt_elsewhere_r\", #{ drop_owned: true });\n\
         db.table(\"t\", #{ columns: [#{ name: \"id\", type: \"int\" }] });\n\
         let s = db.schema(\"s\", #{ cascade: true });\n";
    drop(stack.script(script).run(&["apply", "--auto-approve"]).expect(0));
    for sql in [
        "create schema chunks; create table chunks.one () inherits (t); insert into chunks.one values (1)",
        "create table s.p (id int) partition by range (id)",
        "create table chunks.two partition of s.p for values from (0) to (9); insert into s.p values (1)",
        "select lo_create(4711); alter large object 4711 owner to dt_elsewhere_r",
    ] {
        drop(stack.server.psql("dt_elsewhere", sql));
    }
    let refused = stack.script("").run(&["apply", "--auto-approve"]).expect(1).stderr;
    for words in [
        "postgres::table.main/dt_elsewhere/t",
        "postgres::schema.main/dt_elsewhere/s",
        "1 large object in database `dt_elsewhere`",
    ] {
        assert!(refused.contains(words), "no `{words}` in\n{refused}");
    }
    drop(stack.server.psql("dt_elsewhere", "select lo_unlink(4711)"));
    drop(stack.server.psql("postgres", "drop database dt_elsewhere with (force)"));
    drop(stack.server.psql("postgres", "drop role dt_elsewhere_r"));
}

#[test]
fn a_migration_loses_nothing_without_consent_whatever_it_calls_a_table() {
    let stack = Stack::new("dt_lost_files");
    let psql = |sql: &str| stack.server.psql("dt_lost_files", sql);
    drop(stack.script("").run(&["apply", "--auto-approve"]).expect(0));
    drop(psql("create schema mealie; create table mealie.recipes as select 1 a;
        create table old as select 1 a; create table mine (id int); create type t as enum ('a')"));
    let rest = "db.migrations(\"app\", #{ files: folder(\"migrations\") });\n";
    let project = stack.script(rest);
    for (text, lost) in [
        ("set search_path = mealie; drop table recipes;", Some("in recipes")),
        ("SET LOCAL search_path TO \"mealie\", public;\ntruncate recipes;", Some("in recipes")),
        (
            "select set_config('search_path', 'mealie', false); drop table recipes;",
            Some("in recipes"),
        ),
        (
            "create table recipes (); set search_path = mealie; drop table recipes;",
            Some("in recipes"),
        ),
        ("alter table old rename to older; drop table older;", Some("in older")),
        (
            "alter table mealie.recipes set schema public; drop table recipes;",
            Some("in recipes"),
        ),
        ("drop owned by pg_monitor;", Some("all that pg_monitor owns")),
        ("drop type t cascade;", Some("all that uses t")),
        ("drop table nowhere;", Some("an unknown number of rows in nowhere")),
        ("drop table if exists nowhere;", None),
        ("set search_path = mealie; drop table if exists old;", None),
        ("create table if not exists fresh (); drop table fresh;", None),
        ("alter table mine rename to theirs; create table mine (); drop table mine;", None),
        ("set search_path = mealie; create table x (); drop table mealie.x;", None),
    ] {
        project.write("migrations/1.sql", text);
        let said = project.run(&["apply", "--auto-approve"]);
        if let Some(words) = lost {
            let said = said.expect(1).stderr;
            assert!(said.contains("--allow-data-loss"), "{text}\n{said}");
            assert!(said.contains(words), "{text}: no `{words}` in\n{said}");
        } else {
            let said = said.text();
            assert!(!said.contains("--allow-data-loss"), "{text}\n{said}");
            drop(psql("drop table if exists dollop_migrations, fresh"));
            drop(psql("create table if not exists mine (id int); drop table if exists theirs"));
        }
    }
    // Renamed by a file that comes before.
    project.write("migrations/1.sql", "alter table old rename to older;");
    project.write("migrations/2.sql", "drop table older;");
    let said = project.run(&["apply", "--auto-approve"]).expect(1).stderr;
    assert!(said.contains("in older"), "{said}");
    assert_eq!(psql("select count(*) from old"), "1");
}

/// A run that was killed in between leaves a file that the server has not read.
#[tokio::test]
async fn a_setting_that_was_written_is_read() {
    let world = World::open().await;
    let setting = json!({ "value": "77s" });
    let setting = world.declare("postgres::setting", "deadlock_timeout", setting);
    world.psql("postgres", "alter system set deadlock_timeout = '77s'");
    world.repair(&setting).await;
    let mut now = String::new();
    for _ in 0..50 {
        now = world.psql("postgres", "show deadlock_timeout");
        if now == "77s" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert_eq!(now, "77s");
    world.delete(&setting).await;
}
