//! What only newer servers have, on one.

use std::sync::Arc;

use dollop_engine::value::Value;
use dollop_tests::conformance::{Sample, conform_with_drift};
use serde_json::json;

use super::container::{Container, PASSWORD};
use super::world::{World, open};

#[tokio::test]
async fn options_of_newer_servers() {
    let container = Arc::new(Container::newer());
    let registry = dollop_stdlib::registry();
    let spec = json!({ "host": "127.0.0.1", "port": container.port, "password": PASSWORD });
    let connection = open(&registry, spec).await.unwrap_or_else(|error| panic!("{error:?}"));
    let world = World { registry, connection, container };
    for role in ["team", "\"Mate ü\"", "other"] {
        world.psql("postgres", &format!("create role {role}"));
    }
    let sample = Sample {
        kind: "postgres::membership",
        name: "label".to_owned(),
        base: json!({ "role": "team", "member": "Mate ü", "inherit": true, "set": true }),
        changes: vec![
            ("role", json!("other")),
            ("member", json!("other")),
            ("admin", json!(true)),
            ("inherit", json!(false)),
            ("set", json!(false)),
        ],
        fixed: &[],
    };
    conform_with_drift(&world.registry, &world.connection, &sample, &[]).await;
    // Left out, the options are as the server has them, and are not looked at.
    let plain =
        world.make("postgres::membership", "l", json!({ "role": "team", "member": "other" }));
    let plain = plain.await;
    world.psql("postgres", "grant team to other with inherit false, set false");
    world.expect_same(&plain).await;

    // And the privilege that ALL leaves out.
    world.psql("postgres", "create table kept (id int)");
    let sample = Sample {
        kind: "postgres::grant",
        name: "keep".to_owned(),
        base: json!({
            "database": "postgres", "role": "team", "on": "tables", "schema": "public",
            "objects": ["kept"], "privileges": ["SELECT"],
        }),
        changes: vec![("privileges", json!(["SELECT", "maintain"]))],
        fixed: &["database", "role", "on", "schema", "objects", "columns", "with_grant_option"],
    };
    conform_with_drift(&world.registry, &world.connection, &sample, &[]).await;
    let sample = Sample {
        kind: "postgres::default_privileges",
        name: "later".to_owned(),
        base: json!({
            "database": "postgres", "owner": "other", "role": "team", "on": "tables",
            "privileges": ["SELECT"],
        }),
        changes: vec![("privileges", json!(["SELECT", "MAINTAIN"]))],
        fixed: &["database", "owner", "role", "on", "schema", "with_grant_option"],
    };
    conform_with_drift(&world.registry, &world.connection, &sample, &[]).await;

    // What is computed when it is read.
    let column = |name: &str, more: serde_json::Value| {
        let mut column = json!({ "name": name, "type": "bigint" });
        column.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        column
    };
    let columns = json!([
        column("n", json!({})),
        column("twice", json!({ "generated": "n * 2", "stored": false })),
        column("thrice", json!({ "generated": "n * 3" })),
    ]);
    let spec = json!({ "database": "postgres", "columns": columns });
    let table = world.make("postgres::table", "computed", spec).await;
    world.expect_same(&table).await;
    let kinds = "select string_agg(attgenerated, '' order by attnum) from pg_attribute
        where attrelid = 'computed'::regclass and attgenerated <> ''";
    assert_eq!(world.psql("postgres", kinds), "vs");

    // Slots that outlive their server, and who a subscription works as.
    let sample = Sample {
        kind: "postgres::replication_slot",
        name: "kept".to_owned(),
        base: json!({ "database": "postgres", "plugin": "pgoutput", "failover": false }),
        changes: vec![("failover", json!(true))],
        fixed: &["database", "plugin", "two_phase"],
    };
    conform_with_drift(&world.registry, &world.connection, &sample, &[]).await;
    world.psql("postgres", "create publication p");
    world.psql("postgres", "create database reads");
    let make = "select pg_create_logical_replication_slot('reads', 'pgoutput')";
    world.psql("postgres", make);
    let password = PASSWORD.replace('\\', "\\\\").replace('\'', "\\'");
    let to = format!("host=127.0.0.1 dbname=postgres user=postgres password='{password}'");
    let sample = Sample {
        kind: "postgres::subscription",
        name: "reads".to_owned(),
        base: json!({
            "database": "reads", "connection": to, "publications": ["p"], "slot": "reads",
            "create_slot": false, "enabled": false, "streaming": false, "origin": "any",
            "run_as_owner": false, "password_required": true, "failover": false,
        }),
        changes: vec![
            ("failover", json!(true)),
            ("streaming", json!("parallel")),
            ("origin", json!("none")),
            ("run_as_owner", json!(true)),
            ("password_required", json!(false)),
        ],
        fixed: &[
            "database",
            "connection",
            "publications",
            "slot",
            "create_slot",
            "enabled",
            "copy_data",
            "binary",
            "two_phase",
            "synchronous_commit",
            "disable_on_error",
            "owner",
            "comment",
        ],
    };
    conform_with_drift(&world.registry, &world.connection, &sample, &[]).await;

    // A slot that is there already is kept as it was made, or as the subscription says; one that
    // is on is off for a moment.
    world.psql("postgres", "select pg_drop_replication_slot('reads')");
    world.psql(
        "postgres",
        "select pg_create_logical_replication_slot('reads', 'pgoutput', false, false, true)",
    );
    let kept = "select failover from pg_replication_slots where slot_name = 'reads'";
    let takes = |failover: serde_json::Value| {
        let spec = json!({
            "database": "reads", "connection": to, "publications": ["p"], "slot": "reads",
            "create_slot": false, "failover": failover,
        });
        world.declare("postgres::subscription", "takes", spec)
    };
    for (failover, expected) in [(json!(null), "t"), (json!(false), "f"), (json!(true), "t")] {
        world.try_create(&takes(failover.clone())).await.unwrap();
        world.expect_same(&takes(failover.clone())).await;
        assert_eq!(world.psql("postgres", kept), expected, "made with {failover}");
        world.repair(&takes(json!(true))).await;
        assert_eq!(world.psql("postgres", kept), "t");
        world.delete(&takes(json!(true))).await;
    }

    // What runs when somebody logs in.
    world.psql(
        "reads",
        "create function greet() returns event_trigger language plpgsql as 'begin end'",
    );
    let login = json!({ "database": "reads", "event": "login", "function": "greet" });
    let login = world.make("postgres::event_trigger", "greeting", login).await;
    world.expect_same(&login).await;
    world.delete(&login).await;

    // A locale of the server's own.
    let sample = Sample {
        kind: "postgres::database",
        name: "own".to_owned(),
        base: json!({ "builtin_locale": "C.UTF-8" }),
        changes: vec![("builtin_locale", json!("C")), ("locale_provider", json!("builtin"))],
        fixed: &[
            "owner",
            "encoding",
            "lc_collate",
            "lc_ctype",
            "icu_locale",
            "icu_rules",
            "template",
            "strategy",
            "connection_limit",
            "allow_connections",
            "is_template",
            "tablespace",
            "settings",
            "comment",
            "force_drop",
        ],
    };
    conform_with_drift(&world.registry, &world.connection, &sample, &[]).await;
    let icu = "select count(*) > 0 from pg_collation where collname like '%-x-icu'";
    if world.psql("postgres", icu) == "t" {
        let spec = json!({ "icu_locale": "en", "icu_rules": "&V << w <<< W" });
        let sorted = world.make("postgres::database", "sorted", spec).await;
        world.expect_same(&sorted).await;
        world.delete(&sorted).await;
    }
    world.psql(
        "postgres",
        "create database plain template template0 locale_provider builtin builtin_locale 'C.UTF-8'",
    );
    let databases = &world.registry.kind("postgres::database").unwrap().calls;
    let listed = databases.list(&world.connection).await.unwrap();
    let name = |spec: &Value| spec.get("name").and_then(Value::as_str).map(str::to_owned);
    let mut objects = listed.objects.iter().map(|one| &one.found.spec);
    let plain = objects.find(|spec| name(spec).as_deref() == Some("plain")).unwrap();
    assert_eq!(plain.get("icu_locale"), Some(&Value::Null));
    assert_eq!(plain.get("builtin_locale").and_then(Value::as_str), Some("C.UTF-8"));
}
