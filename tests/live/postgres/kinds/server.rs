//! What belongs to the whole server.

use dollop_tests::conformance::{Sample, conform_with_drift};
use serde_json::json;

use super::super::world::World;

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
    // In their order, and before all others: the first that fits decides.
    let spec = json!({ "rule": "local all conform_first reject", "order": 4 });
    let first = world.make("postgres::hba_rule", "zuerst", spec).await;
    let order =
        "select string_agg(coalesce(substring(user_name::text, 'conform_[a-z]+'), '.'), '')
        from (select * from pg_hba_file_rules order by line_number) r";
    let order = world.psql("postgres", order);
    assert!(order.starts_with("conform_firstconform_other."), "{order}");
    world.delete(&first).await;
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
