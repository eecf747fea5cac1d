//! What sends and takes changes.

use dollop_tests::conformance::{Sample, conform_with_drift};
use serde_json::json;

use super::{gone, with_database};

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
        // PostgreSQL 17; see `options_of_newer_servers`.
        fixed: &["failover"],
    };
    conform_with_drift(&world.registry, &world.connection, &sample, &[]).await;
    sample.name = "conform_slot_2".to_owned();
    sample.base = json!({});
    sample.changes = vec![];
    sample.fixed = &["database", "plugin", "two_phase", "failover"];
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
        let password =
            super::super::container::PASSWORD.replace('\\', "\\\\").replace('\'', "\\'");
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
            // What it is when nobody says depends on the version.
            "streaming": "off",
            // Not looked at when nobody says.
            "two_phase": false,
        }),
        changes: vec![
            ("connection", json!(to(" application_name=other"))),
            ("publications", json!(["p2", "p1"])),
            ("slot", json!("conform_sub_slot2")),
            ("binary", json!(true)),
            ("streaming", json!(true)),
            ("synchronous_commit", json!("local")),
            ("disable_on_error", json!(true)),
            ("two_phase", json!(true)),
            ("copy_data", json!(false)),
            ("owner", json!("conform_subscription_owner")),
            ("comment", json!("what it's for")),
        ],
        // The last four need PostgreSQL 16 and 17; see `options_of_newer_servers`.
        fixed: &[
            "database",
            "enabled",
            "create_slot",
            "origin",
            "run_as_owner",
            "password_required",
            "failover",
        ],
    };
    let unseen = ["owner", "copy_data"];
    conform_with_drift(&world.registry, &world.connection, &sample, &unseen).await;

    // Without a slot the name may be one that no slot can have.
    let spec = json!({
        "database": name, "connection": to(""), "publications": ["p1"], "slot": "NONE",
        "create_slot": false, "enabled": false,
    });
    let idle = world.make("postgres::subscription", "No Slot ü", spec).await;
    world.expect_same(&idle).await;
    world.delete(&idle).await;

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
