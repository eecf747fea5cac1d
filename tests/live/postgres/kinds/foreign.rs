//! What is on other servers.

use dollop_tests::conformance::{Sample, conform_with_drift};
use serde_json::json;

use super::{gone, with_database};

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
async fn foreign_schema() {
    let name = "conform_imported";
    let world = with_database(
        name,
        &[
            "create extension postgres_fdw",
            "create schema far",
            "create schema \"Far \"\"2\"\" ü\"",
            "create table far.a (id int not null, b text default 'x')",
            "create table far.\"B 'ü\" (id int)",
            "create table far.c (id int)",
            "create table \"Far \"\"2\"\" ü\".a (id int)",
            "create table mine (id int)",
            // The same server, seen as another one.
            "do $$ begin for i in 1..2 loop
                execute format('create server %I foreign data wrapper postgres_fdw
                    options (dbname %L, host %L)', (array['other', 'again'])[i],
                    current_database(), current_setting('unix_socket_directories'));
                execute format('create user mapping for postgres server %I options (user %L,
                    password %L)', (array['other', 'again'])[i], 'postgres',
                    'the superuser''s p@ss');
            end loop; end $$",
        ],
    )
    .await;
    let sample = Sample {
        kind: "postgres::foreign_schema",
        name: "label".to_owned(),
        base: json!({
            "database": name, "server": "other", "remote_schema": "far", "tables": ["a", "c"],
        }),
        changes: vec![
            ("tables", json!(["B 'ü", "a"])),
            ("schema", json!("S 1")),
            ("server", json!("again")),
        ],
        fixed: &["database", "remote_schema", "options"],
    };
    conform_with_drift(&world.registry, &world.connection, &sample, &[]).await;
    let all = json!({
        "database": name, "server": "other", "remote_schema": "Far \"2\" ü",
        "options": { "import_default": true },
    });
    let all = world.make("postgres::foreign_schema", "all", all).await;
    world.expect_same(&all).await;
    assert_eq!(world.psql(name, "select count(*) from pg_foreign_table"), "1");
    world.delete(&all).await;
    assert!(world.read(&all).await.is_none());
    assert_eq!(world.psql(name, "select count(*) from mine"), "0", "nobody else's table goes");
    gone(&world, name);
}
