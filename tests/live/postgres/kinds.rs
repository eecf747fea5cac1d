//! What lives in a database and around it, through the shared conformance run, with a change
//! behind dollop's back for every attribute.

use dollop_tests::conformance::{Sample, conform_with_drift};
use serde_json::json;

use super::world::World;

/// A database with a role that may own things in it, gone at the end of the test.
async fn with_database(name: &str, made: &[&str]) -> World {
    let world = World::open().await;
    world.psql("postgres", &format!("create database {name}"));
    world.psql("postgres", &format!("create role {name}_owner"));
    world.psql("postgres", &format!("grant create on database {name} to {name}_owner"));
    world.psql(
        name,
        &format!(
            "create schema \"S 1\"; grant create on schema public, \"S 1\" to {name}_owner"
        ),
    );
    for statement in made {
        world.psql(name, statement);
    }
    world
}

fn gone(world: &World, name: &str) {
    world.psql("postgres", &format!("drop database {name} with (force)"));
    world.psql("postgres", &format!("drop role {name}_owner"));
}

#[tokio::test]
async fn table() {
    let name = "conform_table";
    let world = with_database(
        name,
        &[
            "create table users (id bigint primary key)",
            "create collation \"S 1\".\"Deutsch\" (provider = icu, locale = 'de-DE')",
        ],
    )
    .await;
    let columns = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut columns = json!([
            { "name": "id", "type": "int8", "identity": "always" },
            { "name": "Größe \"x\"", "type": "varchar(9)", "default": "'it''s'" },
            { "name": "user_id", "type": "bigint" },
            { "name": "at", "type": "timestamptz", "not_null": true, "default": "now()" },
            { "name": "total", "type": "numeric(10, 2)", "comment": "in euros" },
            { "name": "double", "type": "bigint", "generated": "id * 2" },
        ]);
        change(&mut columns);
        columns
    };
    let base = columns(&|_| {});
    let sample = Sample {
        kind: "postgres::table",
        name: "Conform \"Table\" ü".to_owned(),
        base: json!({
            "database": name, "columns": base, "primary_key": ["id"],
            "constraints": {
                "positive": "CHECK (total > 0)",
                "by user": "foreign key (user_id) references users(id) on delete cascade",
                "one_each": "UNIQUE (\"Größe \"\"x\"\"\", at)",
            },
        }),
        changes: vec![
            ("schema", json!("S 1")),
            ("columns", columns(&|all| all[1]["type"] = json!("text"))),
            ("columns", columns(&|all| all[1]["default"] = json!("'other'"))),
            ("columns", columns(&|all| all[1]["default"] = json!(null))),
            ("columns", columns(&|all| all[1]["comment"] = json!("what it's for"))),
            ("columns", columns(&|all| all[1]["not_null"] = json!(true))),
            ("columns", columns(&|all| all[1]["collation"] = json!("C"))),
            ("columns", columns(&|all| all[1]["collation"] = json!("S 1.Deutsch"))),
            ("columns", columns(&|all| all[0]["identity"] = json!("by_default"))),
            ("columns", columns(&|all| all[0]["identity"] = json!(null))),
            ("columns", columns(&|all| all[4]["type"] = json!("numeric(12,2)"))),
            ("columns", columns(&|all| all[3]["not_null"] = json!(false))),
            ("columns", columns(&|all| all[5]["generated"] = json!(null))),
            (
                "columns",
                columns(&|all| {
                    let new = json!({ "name": "new one", "type": "text[]", "default": "'{}'" });
                    all.as_array_mut().unwrap().insert(1, new);
                }),
            ),
            ("primary_key", json!(["id", "at"])),
            ("primary_key", json!([])),
            ("constraints", json!({ "positive": "CHECK (total > 1)" })),
            ("constraints", json!({})),
            ("unlogged", json!(true)),
            ("row_security", json!(true)),
            ("force_row_security", json!(true)),
            ("parameters", json!({ "fillfactor": 70, "autovacuum_enabled": false })),
            ("tablespace", json!("pg_default")),
            ("owner", json!("conform_table_owner")),
            ("comment", json!("what it's for")),
            ("drop_columns", json!(["new one"])),
        ],
        // Partitions are below.
        fixed: &["database", "partition_by", "partition_of", "bounds"],
    };
    let mut sample = sample;
    for (attribute, value) in &mut sample.changes {
        // Taking a computed column's expression away cannot be undone in place.
        if *attribute == "columns" && value[5]["generated"].is_null() {
            *value = columns(&|all| all[5]["comment"] = json!("computed"));
        }
    }
    // What a change adds is dropped on the way back, with the consent that needs.
    sample.base["drop_columns"] = json!(["new one", "old"]);
    conform_with_drift(
        &world.registry,
        &world.connection,
        &sample,
        &["drop_columns", "tablespace", "owner"],
    )
    .await;

    let sample = Sample {
        kind: "postgres::table",
        name: "events".to_owned(),
        base: json!({
            "database": name, "columns": [{ "name": "at", "type": "date", "not_null": true }],
            "partition_by": "RANGE (at)",
        }),
        changes: vec![("partition_by", json!("list (at)")), ("comment", json!("partitioned"))],
        fixed: &[
            "database",
            "schema",
            "columns",
            "drop_columns",
            "primary_key",
            "constraints",
            "partition_of",
            "bounds",
            "unlogged",
            "row_security",
            "force_row_security",
            "parameters",
            "tablespace",
            "owner",
        ],
    };
    conform_with_drift(&world.registry, &world.connection, &sample, &[]).await;
    world.psql(name, "create table parent (at date) partition by range (at)");
    world.psql(name, "create table \"S 1\".other (at date) partition by range (at)");
    let sample = Sample {
        kind: "postgres::table",
        name: "part".to_owned(),
        base: json!({
            "database": name, "partition_of": "parent",
            "bounds": "for values from ('2026-01-01') to ('2026-02-01')",
        }),
        changes: vec![
            ("partition_of", json!("S 1.other")),
            ("bounds", json!("DEFAULT")),
            ("row_security", json!(true)),
        ],
        fixed: &[
            "database",
            "schema",
            "columns",
            "drop_columns",
            "primary_key",
            "constraints",
            "partition_by",
            "unlogged",
            "force_row_security",
            "parameters",
            "tablespace",
            "owner",
            "comment",
        ],
    };
    conform_with_drift(&world.registry, &world.connection, &sample, &[]).await;
    gone(&world, name);
}

#[tokio::test]
async fn index() {
    let name = "conform_index";
    let world = with_database(
        name,
        &[
            "create table t (a int, b text, c text[])",
            "create table \"S 1\".t (a int, b text, c text[])",
            "create table \"T 2\" (a int, b text, c text[])",
        ],
    )
    .await;
    for concurrently in [false, true] {
        let sample = Sample {
            kind: "postgres::index",
            name: "Conform \"Index\" ü".to_owned(),
            base: json!({
                "database": name, "table": "t", "columns": ["a", "lower(b) desc", "a + 1"],
                "where": "b in ('x','y')", "concurrently": concurrently,
            }),
            changes: vec![
                ("schema", json!("S 1")),
                ("table", json!("T 2")),
                (
                    "columns",
                    json!(["b text_pattern_ops", "a DESC NULLS LAST", "c nulls first"]),
                ),
                ("include", json!(["b", "c"])),
                ("unique", json!(true)),
                ("where", json!("a > 0")),
                ("concurrently", json!(!concurrently)),
                ("parameters", json!({ "fillfactor": 70 })),
                ("tablespace", json!("pg_default")),
                ("comment", json!("what it's for")),
            ],
            fixed: &["database", "valid", "method"],
        };
        let unseen = ["concurrently", "tablespace"];
        conform_with_drift(&world.registry, &world.connection, &sample, &unseen).await;
    }
    let sample = Sample {
        kind: "postgres::index",
        name: "by method".to_owned(),
        base: json!({ "database": name, "table": "t", "columns": ["a"] }),
        changes: vec![("method", json!("Hash")), ("method", json!("brin"))],
        fixed: &[
            "database",
            "schema",
            "table",
            "columns",
            "include",
            "unique",
            "where",
            "concurrently",
            "parameters",
            "tablespace",
            "valid",
            "comment",
        ],
    };
    conform_with_drift(&world.registry, &world.connection, &sample, &[]).await;

    // What broke off is of no use, and made anew.
    world.psql(name, "insert into t values (1), (1)");
    let spec = json!({
        "database": name, "table": "t", "columns": ["a"], "unique": true, "concurrently": true,
    });
    let broken = world.declare("postgres::index", "one_each", spec);
    let error = world.try_create(&broken).await.unwrap_err();
    assert!(error.message.contains("could not create unique index"), "{error}");
    assert_eq!(world.attribute(&broken, "valid").await, json!(false));
    world.psql(name, "truncate t");
    world.repair(&broken).await;
    gone(&world, name);
}

#[tokio::test]
async fn sequence() {
    let name = "conform_sequence";
    let world = with_database(name, &["create table \"T 1\" (\"a b\" int)"]).await;
    let sample = Sample {
        kind: "postgres::sequence",
        name: "Conform \"Seq\" ü".to_owned(),
        base: json!({ "database": name }),
        changes: vec![
            ("schema", json!("S 1")),
            ("type", json!("integer")),
            ("increment", json!(10)),
            ("start", json!(5)),
            ("min", json!(-7)),
            ("max", json!(900)),
            ("cache", json!(4)),
            ("cycle", json!(true)),
            ("owned_by", json!("T 1.a b")),
            ("owner", json!("conform_sequence_owner")),
            ("comment", json!("what it's for")),
        ],
        fixed: &["database"],
    };
    // What is not asked for is not looked at.
    let unseen = ["owner", "start", "min", "max"];
    conform_with_drift(&world.registry, &world.connection, &sample, &unseen).await;
    gone(&world, name);
}

#[tokio::test]
async fn enumeration() {
    let name = "conform_enum";
    let world = with_database(name, &[]).await;
    let mut sample = Sample {
        kind: "postgres::enum",
        name: "Conform \"Enum\" ü".to_owned(),
        base: json!({ "database": name, "values": ["rot", "it's grün"] }),
        changes: vec![
            ("schema", json!("S 1")),
            ("owner", json!("conform_enum_owner")),
            ("comment", json!("what it's for")),
        ],
        fixed: &["database", "values"],
    };
    conform_with_drift(&world.registry, &world.connection, &sample, &["owner"]).await;
    sample.name = "colour".to_owned();
    let spec = json!({ "database": name, "values": ["b", "d"] });
    let first = world.make("postgres::enum", "colour", spec).await;
    let spec = json!({ "database": name, "values": ["a", "b", "c", "d", "e", "f"] });
    let more = world.declare("postgres::enum", "colour", spec);
    world.repair(&more).await;
    let calls = &world.registry.kind("postgres::enum").unwrap().calls;
    let refused = |to: serde_json::Value| {
        let spec = json!({ "database": name, "values": to });
        let to = world.declare("postgres::enum", "colour", spec);
        calls.check_update(&more.spec, &to.spec).remove(0).message
    };
    assert_eq!(
        refused(json!(["a", "b", "c", "d", "e"])),
        "PostgreSQL cannot take the value `f` out of a type"
    );
    assert_eq!(
        refused(json!(["b", "a", "c", "d", "e", "f"])),
        "PostgreSQL cannot change the order of a type's values"
    );
    world.delete(&first).await;
    gone(&world, name);
}

#[tokio::test]
async fn domain() {
    let name = "conform_domain";
    let world = with_database(name, &[]).await;
    let sample = Sample {
        kind: "postgres::domain",
        name: "Conform \"Domain\" ü".to_owned(),
        base: json!({
            "database": name, "type": "varchar(9)", "default": "'it''s'",
            "constraints": { "long": "CHECK (length(value) > 2)" },
        }),
        changes: vec![
            ("schema", json!("S 1")),
            ("type", json!("text")),
            ("default", json!("'b'")),
            ("default", json!(null)),
            ("not_null", json!(true)),
            (
                "constraints",
                json!({ "long": "CHECK (length(value) > 3)", "b": "check (value > 'a')" }),
            ),
            ("constraints", json!({})),
            ("owner", json!("conform_domain_owner")),
            ("comment", json!("what it's for")),
        ],
        fixed: &["database"],
    };
    conform_with_drift(&world.registry, &world.connection, &sample, &["owner"]).await;
    gone(&world, name);
}

#[tokio::test]
async fn trigger() {
    let name = "conform_trigger";
    let function = "returns trigger language plpgsql as 'begin return new; end'";
    let world = with_database(
        name,
        &[
            "create table t (a int, \"b c\" text)",
            "create table \"S 1\".t (a int, \"b c\" text)",
            "create table \"T 2\" (a int, \"b c\" text)",
            &format!("create function note() {function}"),
            &format!("create function \"S 1\".\"note It\"() {function}"),
        ],
    )
    .await;
    let mut sample = Sample {
        kind: "postgres::trigger",
        name: "Conform \"Trigger\" ü".to_owned(),
        base: json!({
            "database": name, "table": "t", "timing": "before",
            "events": ["update", "insert"], "function": "note", "when": "new.a>1",
        }),
        changes: vec![
            ("schema", json!("S 1")),
            ("table", json!("T 2")),
            ("timing", json!("after")),
            ("events", json!(["update of \"b c\",a"])),
            ("when", json!("new.a = 2")),
            ("when", json!(null)),
            ("function", json!("S 1.note It")),
            ("arguments", json!(["it's", "", "ü"])),
            ("enabled", json!("always")),
            ("enabled", json!("replica")),
            ("enabled", json!("disabled")),
            ("comment", json!("what it's for")),
        ],
        fixed: &["database", "level"],
    };
    conform_with_drift(&world.registry, &world.connection, &sample, &[]).await;
    sample.name = "statement".to_owned();
    sample.base["when"] = json!(null);
    sample.changes =
        vec![("level", json!("statement")), ("events", json!(["delete", "insert"]))];
    sample.fixed = &[
        "database",
        "schema",
        "table",
        "timing",
        "when",
        "function",
        "arguments",
        "enabled",
        "comment",
    ];
    conform_with_drift(&world.registry, &world.connection, &sample, &[]).await;
    gone(&world, name);
}

#[tokio::test]
async fn policy() {
    let name = "conform_policy";
    let world = with_database(
        name,
        &[
            "create table t (a int, b text)",
            "create table \"S 1\".t (a int, b text)",
            "create table \"T 2\" (a int, b text)",
        ],
    )
    .await;
    let mut sample = Sample {
        kind: "postgres::policy",
        name: "Conform \"Policy\" ü".to_owned(),
        base: json!({ "database": name, "table": "t", "using": "b=current_user", "check": "a>1" }),
        changes: vec![
            ("schema", json!("S 1")),
            ("table", json!("T 2")),
            ("command", json!("UPDATE")),
            ("permissive", json!(false)),
            ("roles", json!(["conform_policy_owner", "pg_monitor"])),
            ("using", json!("true")),
            ("using", json!(null)),
            ("check", json!("a > 2")),
            ("check", json!(null)),
            ("comment", json!("what it's for")),
        ],
        fixed: &["database"],
    };
    conform_with_drift(&world.registry, &world.connection, &sample, &[]).await;
    sample.name = "for insert".to_owned();
    sample.base = json!({ "database": name, "table": "t", "command": "INSERT" });
    sample.changes = vec![("check", json!("true"))];
    sample.fixed =
        &["database", "schema", "table", "command", "permissive", "roles", "using", "comment"];
    conform_with_drift(&world.registry, &world.connection, &sample, &[]).await;
    gone(&world, name);
}

#[tokio::test]
async fn publication() {
    let name = "conform_publication";
    let world = with_database(
        name,
        &[
            "create table t (a int primary key, b text)",
            "create table \"S 1\".\"T 2\" (a int primary key, \"b c\" text)",
        ],
    )
    .await;
    let sample = Sample {
        kind: "postgres::publication",
        name: "Conform \"Pub\" ü".to_owned(),
        base: json!({ "database": name, "tables": [{ "table": "t" }] }),
        changes: vec![
            ("tables", json!([{ "schema": "S 1", "table": "T 2" }, { "table": "t" }])),
            ("tables", json!([{ "table": "t", "columns": ["a"], "where": "(a > 1)" }])),
            ("tables", json!([])),
            ("schemas", json!(["S 1"])),
            ("operations", json!(["delete", "insert"])),
            ("via_root", json!(true)),
            ("owner", json!("conform_publication_owner")),
            ("comment", json!("what it's for")),
        ],
        fixed: &["database", "all_tables"],
    };
    conform_with_drift(&world.registry, &world.connection, &sample, &["owner"]).await;
    let sample = Sample {
        kind: "postgres::publication",
        name: "all".to_owned(),
        base: json!({ "database": name }),
        changes: vec![("all_tables", json!(true))],
        fixed: &["database", "tables", "schemas", "operations", "via_root", "owner", "comment"],
    };
    conform_with_drift(&world.registry, &world.connection, &sample, &[]).await;
    gone(&world, name);
}

#[tokio::test]
async fn replication_slot() {
    let name = "conform_slot";
    let world = with_database(name, &[]).await;
    let mut sample = Sample {
        kind: "postgres::replication_slot",
        name: "conform_slot_1".to_owned(),
        base: json!({ "database": name, "plugin": "pgoutput" }),
        changes: vec![
            ("database", json!("postgres")),
            ("plugin", json!("test_decoding")),
            ("two_phase", json!(true)),
        ],
        fixed: &[],
    };
    conform_with_drift(&world.registry, &world.connection, &sample, &[]).await;
    sample.name = "conform_slot_2".to_owned();
    sample.base = json!({});
    sample.changes = vec![];
    sample.fixed = &["database", "plugin", "two_phase"];
    conform_with_drift(&world.registry, &world.connection, &sample, &[]).await;
    gone(&world, name);
}

#[tokio::test]
async fn subscription() {
    let name = "conform_subscription";
    let world = with_database(name, &["create table t (a int primary key)"]).await;
    let from = format!("{name}_from");
    world.psql("postgres", &format!("create database {from}"));
    world.psql(&from, "create table t (a int primary key)");
    world.psql(&from, "create publication p1 for table t");
    world.psql(&from, "create publication p2");
    world.psql("postgres", "alter role conform_subscription_owner superuser");
    // A slot made by the subscription itself would wait for this very transaction: one server
    // is both sides.
    for slot in ["conform_sub_slot", "conform_sub_slot2"] {
        let make = format!("select pg_create_logical_replication_slot('{slot}', 'pgoutput')");
        world.psql(&from, &make);
    }
    let to = |more: &str| {
        let password = super::container::PASSWORD.replace('\\', "\\\\").replace('\'', "\\'");
        format!(
            "host=127.0.0.1 port=5432 dbname={from} user=postgres password='{password}'{more}"
        )
    };
    let sample = Sample {
        kind: "postgres::subscription",
        name: "Conform \"Sub\" ü".to_owned(),
        base: json!({
            "database": name, "connection": to(""), "publications": ["p1"],
            "slot": "conform_sub_slot", "create_slot": false, "enabled": false,
        }),
        changes: vec![
            ("connection", json!(to(" application_name=other"))),
            ("publications", json!(["p2", "p1"])),
            ("slot", json!("conform_sub_slot2")),
            ("binary", json!(true)),
            ("streaming", json!(true)),
            ("synchronous_commit", json!("local")),
            ("disable_on_error", json!(true)),
            ("copy_data", json!(false)),
            ("owner", json!("conform_subscription_owner")),
            ("comment", json!("what it's for")),
        ],
        fixed: &["database", "enabled", "create_slot"],
    };
    let unseen = ["owner", "copy_data"];
    conform_with_drift(&world.registry, &world.connection, &sample, &unseen).await;

    // Rows arrive.
    let spec = json!({
        "database": name, "connection": to(""), "publications": ["p1"],
        "slot": "conform_sub_slot", "create_slot": false,
    });
    let running = world.make("postgres::subscription", "running", spec).await;
    world.psql(&from, "insert into t values (1), (2)");
    let mut rows = String::new();
    for _ in 0..200 {
        rows = world.psql(name, "select count(*) from t");
        if rows == "2" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(rows, "2");
    world.delete(&running).await;
    let left = "select count(*) from pg_replication_slots where slot_name = 'conform_sub_slot'";
    assert_eq!(world.psql(&from, left), "1", "a slot that is not its own stays");
    for slot in ["conform_sub_slot", "conform_sub_slot2"] {
        let drop = format!("select pg_drop_replication_slot('{slot}')");
        for _ in 0..100 {
            // Its last reader takes a moment to go.
            let active =
                format!("select active from pg_replication_slots where slot_name = '{slot}'");
            if world.psql("postgres", &active) == "f" {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        world.psql(&from, &drop);
    }
    world.psql("postgres", &format!("drop database {from} with (force)"));
    gone(&world, name);
}

#[tokio::test]
async fn foreign() {
    let name = "conform_foreign";
    let world = with_database(
        name,
        &[
            "create extension postgres_fdw",
            "create extension file_fdw",
            "create server other foreign data wrapper postgres_fdw",
            "create server \"third ü\" foreign data wrapper postgres_fdw",
            "grant usage on foreign data wrapper postgres_fdw to conform_foreign_owner",
            "grant usage on foreign server other, \"third ü\" to conform_foreign_owner",
        ],
    )
    .await;
    let sample = Sample {
        kind: "postgres::fdw_server",
        name: "Conform \"Server\" ü".to_owned(),
        base: json!({
            "database": name, "wrapper": "postgres_fdw",
            "options": { "host": "it's", "port": 5433 },
        }),
        changes: vec![
            ("wrapper", json!("file_fdw")),
            ("type", json!("a 'type'")),
            ("version", json!("15")),
            ("options", json!({ "host": "b", "dbname": "shop" })),
            ("options", json!({})),
            ("owner", json!("conform_foreign_owner")),
            ("comment", json!("what it's for")),
        ],
        fixed: &["database"],
    };
    let mut sample = sample;
    // `file_fdw` knows no such options.
    sample.changes.remove(0);
    sample.fixed = &["database", "wrapper"];
    conform_with_drift(&world.registry, &world.connection, &sample, &["owner"]).await;
    let sample = Sample {
        kind: "postgres::fdw_server",
        name: "plain".to_owned(),
        base: json!({ "database": name, "wrapper": "postgres_fdw" }),
        changes: vec![("wrapper", json!("file_fdw"))],
        fixed: &["database", "type", "version", "options", "owner", "comment"],
    };
    conform_with_drift(&world.registry, &world.connection, &sample, &[]).await;

    let sample = Sample {
        kind: "postgres::user_mapping",
        name: "label".to_owned(),
        base: json!({
            "database": name, "server": "other", "role": "conform_foreign_owner",
            "options": { "user": "reader", "password": "hunter2 'ü" },
        }),
        changes: vec![
            ("server", json!("third ü")),
            ("role", json!("public")),
            ("options", json!({ "password": "other" })),
            ("options", json!({})),
        ],
        fixed: &["database"],
    };
    conform_with_drift(&world.registry, &world.connection, &sample, &[]).await;

    let sample = Sample {
        kind: "postgres::foreign_table",
        name: "Conform \"Foreign\" ü".to_owned(),
        base: json!({
            "database": name, "server": "other",
            "columns": [{ "name": "id", "type": "int8", "not_null": true }],
            "options": { "schema_name": "app", "table_name": "it's" },
        }),
        changes: vec![
            ("schema", json!("S 1")),
            ("server", json!("third ü")),
            (
                "columns",
                json!([
                    { "name": "id", "type": "int" },
                    { "name": "b c", "type": "text[]", "options": { "column_name": "it's" } },
                ]),
            ),
            ("options", json!({ "table_name": "other", "fetch_size": 50 })),
            ("owner", json!("conform_foreign_owner")),
            ("comment", json!("what it's for")),
        ],
        fixed: &["database"],
    };
    conform_with_drift(&world.registry, &world.connection, &sample, &["owner"]).await;
    gone(&world, name);
}

#[tokio::test]
async fn setting() {
    let world = World::open().await;
    for (name, one, other) in [
        ("work_mem", json!("5MB"), json!("6MB")),
        ("Log_Min_Duration_Statement", json!(7000), json!("8s")),
        ("search_path", json!("\"$user\", public, \"It's\""), json!("public")),
        ("log_line_prefix", json!("it's "), json!("")),
        ("track_io_timing", json!(true), json!(false)),
    ] {
        let sample = Sample {
            kind: "postgres::setting",
            name: name.to_owned(),
            base: json!({ "value": one }),
            changes: vec![("value", other)],
            fixed: &[],
        };
        conform_with_drift(&world.registry, &world.connection, &sample, &[]).await;
    }
    for (name, message) in [
        ("work_memory", "the server has no setting `work_memory`"),
        (
            "block_size",
            "`block_size` tells how the server was built or set up, and cannot be set",
        ),
        ("wal_level", "`wal_level` is given on the server's command line, which wins"),
    ] {
        let setting = world.declare("postgres::setting", name, json!({ "value": "1" }));
        let error = world.try_read(&setting).await.unwrap_err();
        assert_eq!(error.message, message);
    }
}

#[tokio::test]
async fn tablespace() {
    let world = World::open().await;
    world.psql("postgres", "create role conform_space_owner");
    let folders =
        "copy (select 1) to program 'mkdir -p /var/lib/postgresql/s1 /var/lib/postgresql/s2'";
    world.psql("postgres", folders);
    let sample = Sample {
        kind: "postgres::tablespace",
        name: "Conform \"Tablespace\" ü".to_owned(),
        base: json!({ "location": "/var/lib/postgresql/s1" }),
        changes: vec![
            ("location", json!("/var/lib/postgresql/s2")),
            ("parameters", json!({ "random_page_cost": 1.5 })),
            ("owner", json!("conform_space_owner")),
            ("comment", json!("what it's for")),
        ],
        fixed: &[],
    };
    conform_with_drift(&world.registry, &world.connection, &sample, &["owner"]).await;
    world.psql("postgres", "drop role conform_space_owner");
}

#[tokio::test]
async fn hba_rule() {
    let world = World::open().await;
    let before = world.psql("postgres", "select pg_read_file(current_setting('hba_file'))");
    let spec = json!({ "rule": "local all conform_other trust", "order": 5 });
    let other = world.make("postgres::hba_rule", "other", spec).await;
    let sample = Sample {
        kind: "postgres::hba_rule",
        name: "Conform's \"rule\" $dollop$ ü".to_owned(),
        base: json!({ "rule": "host  shop \"a b\"  10.0.0.0/8   scram-sha-256" }),
        changes: vec![
            ("rule", json!("host all conform_nobody samenet reject")),
            ("order", json!(10)),
        ],
        fixed: &[],
    };
    conform_with_drift(&world.registry, &world.connection, &sample, &[]).await;
    world.expect_same(&other).await;
    // A file that the server would not understand does not stay.
    let spec = json!({ "rule": "host all all 10.0.0.0/99 scram-sha-256" });
    let bad = world.declare("postgres::hba_rule", "bad", spec);
    let error = world.try_create(&bad).await.unwrap_err();
    assert!(error.message.contains("pg_hba.conf would not be understood: line"), "{error}");
    assert!(world.read(&bad).await.is_none());
    world.delete(&other).await;
    let after = world.psql("postgres", "select pg_read_file(current_setting('hba_file'))");
    assert_eq!(after, before);
}

#[tokio::test]
async fn remarks() {
    let name = "conform_remarks";
    let world = with_database(name, &[
        "create table \"S 1\".\"T 1\" (\"a b\" int constraint \"c 1\" check (\"a b\" > 0), c text)",
        "create function \"S 1\".f(a int, b text) returns int language sql as 'select 1'",
        "create statistics \"S 1\".st on \"a b\", c from \"S 1\".\"T 1\"",
    ])
    .await;
    for (on, object, arguments, other) in [
        ("table", json!(["S 1", "T 1"]), json!([]), None),
        ("column", json!(["S 1", "T 1", "a b"]), json!([]), Some(json!(["S 1", "T 1", "c"]))),
        ("function", json!(["S 1", "f"]), json!(["integer", "text"]), None),
        ("table_constraint", json!(["S 1", "T 1", "c 1"]), json!([]), None),
        ("statistics", json!(["S 1", "st"]), json!([]), None),
        ("schema", json!(["S 1"]), json!([]), Some(json!(["public"]))),
    ] {
        if on == "schema" {
            world.psql(name, "comment on schema public is null");
        }
        let mut changes = vec![("text", json!("other"))];
        changes.extend(other.map(|other| ("object", other)));
        let sample = Sample {
            kind: "postgres::comment",
            name: format!("on {on}"),
            base: json!({
                "database": name, "on": on, "object": object, "arguments": arguments,
                "text": "what it's for",
            }),
            changes,
            fixed: &["database", "on", "object", "arguments"],
        };
        conform_with_drift(&world.registry, &world.connection, &sample, &[]).await;
    }
    let spec = json!({
        "database": name, "provider": "selinux", "on": "table", "object": ["S 1", "T 1"],
        "label": "system_u:object_r:sepgsql_table_t:s0",
    });
    let label = world.declare("postgres::security_label", "label", spec);
    let error = world.try_read(&label).await.unwrap_err();
    assert_eq!(
        error.message,
        "the server has loaded no library that knows security labels, so none is for `selinux`"
    );
    gone(&world, name);
}

#[tokio::test]
async fn functions_of_one_name() {
    let name = "conform_overloads";
    let world = with_database(name, &["create type \"S 1\".\"My Type\" as enum ('a')"]).await;
    let declare = |label: &str, arguments: &str, body: &str| {
        let mut declared = world.declare(
            "postgres::function",
            "f",
            json!({
                "database": name, "arguments": arguments, "returns": "text", "language": "sql",
                "body": body,
            }),
        );
        declared.name.address = dollop_engine::address::Address::new(
            Vec::new(),
            "postgres::function",
            vec![label.to_owned()],
        );
        declared
    };
    let all = [
        declare("none", "", "select 'none'"),
        declare("int", "a int", "select 'int'"),
        declare("two", "a varchar(9), out b text", "select 'two'"),
        declare(
            "mine",
            "x \"S 1\".\"My Type\" default 'a', variadic y int[] = '{}'",
            "select 'm'",
        ),
        declare("time", "timestamptz, double precision", "select 'time'"),
    ];
    for function in &all {
        world.try_create(function).await.unwrap_or_else(|error| panic!("{error:?}"));
    }
    for (found, declared) in world.read_all(&all).await.into_iter().zip(&all) {
        let found = found.unwrap().expect("it exists");
        assert_eq!(found.spec.to_json()["body"], declared.spec.to_json()["body"]);
    }
    world.delete(&all[1]).await;
    assert!(world.read(&all[1]).await.is_none());
    assert!(world.read(&all[0]).await.is_some());
    assert_eq!(world.psql(name, "select count(*) from pg_proc where proname = 'f'"), "4");
    gone(&world, name);
}
