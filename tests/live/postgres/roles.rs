//! Passwords, drift and bulk reading of roles.

use dollop_engine::error::Failure;
use futures::StreamExt as _;
use serde_json::{Value as Json, json};

use super::world::World;

#[tokio::test]
async fn a_password_is_stored_as_a_verifier_and_lets_in() {
    let world = World::open().await;
    let role =
        world.make("postgres::role", "pw user", json!({ "password": "s3cr3t 'ü'" })).await;
    let stored =
        world.psql("postgres", "select rolpassword from pg_authid where rolname = 'pw user'");
    assert!(stored.starts_with("SCRAM-SHA-256$4096:"), "{stored}");
    let said =
        world.container.psql_as("pw user", "s3cr3t 'ü'", "postgres", "select current_user");
    assert_eq!(said.unwrap(), "pw user");
    world.expect_same(&role).await;
    world.delete(&role).await;
}

#[tokio::test]
async fn a_password_changed_by_hand_is_seen_and_repaired() {
    let world = World::open().await;
    let role = world.make("postgres::role", "pw_drift", json!({ "password": "right" })).await;
    for by_hand in [
        "alter role pw_drift password 'wrong'",
        "alter role pw_drift password null",
        "set password_encryption = md5; alter role pw_drift password 'right'",
    ] {
        world.psql("postgres", by_hand);
        assert_eq!(world.attribute(&role, "password").await, Json::Null, "{by_hand}");
        world.repair(&role).await;
        let said = world.container.psql_as("pw_drift", "right", "postgres", "select 1");
        assert_eq!(said.unwrap(), "1", "{by_hand}");
    }
    let before =
        world.psql("postgres", "select rolpassword from pg_authid where rolname = 'pw_drift'");
    world.repair(&role).await;
    let after =
        world.psql("postgres", "select rolpassword from pg_authid where rolname = 'pw_drift'");
    assert_eq!(before, after, "a right password is not written again");
    world.delete(&role).await;
}

#[tokio::test]
async fn attributes_changed_by_hand_are_seen_and_repaired() {
    let world = World::open().await;
    world.psql("postgres", "create role drift_group");
    let spec = json!({ "settings": { "work_mem": "8MB" }, "comment": "mine", "member_of": [] });
    let role = world.make("postgres::role", "drift", spec).await;
    world.psql("postgres", "alter role drift createdb nologin connection limit 3");
    world.psql("postgres", "alter role drift set jit = off");
    world.psql("postgres", "alter role drift set work_mem = '9MB'");
    world.psql("postgres", "grant drift_group to drift");
    world.psql("postgres", "comment on role drift is 'theirs'");
    let found = world.read(&role).await.unwrap().spec.to_json();
    assert_eq!(
        (&found["createdb"], &found["login"], &found["connection_limit"]),
        (&json!(true), &json!(false), &json!(3))
    );
    assert_eq!(found["settings"], json!({ "jit": "off", "work_mem": "9MB" }));
    assert_eq!(found["member_of"], json!(["drift_group"]));
    world.repair(&role).await;
    world.delete(&role).await;
    assert!(world.read(&role).await.is_none());
    world.psql("postgres", "drop role drift_group");
}

#[tokio::test]
async fn without_superuser_reading_works() {
    let world = World::open().await;
    world.psql("postgres", "create role plain_reader login password 'reader'");
    let role = world.make("postgres::role", "seen", json!({ "password": "x" })).await;
    let database = world.make("postgres::database", "seen_db", json!({})).await;
    let spec = json!({ "database": "seen_db", "owner": "seen" });
    let schema = world.make("postgres::schema", "seen_schema", spec).await;
    let spec = json!({
        "database": "seen_db", "role": "seen", "on": "schema", "schema": "seen_schema",
        "privileges": ["ALL"],
    });
    let grant = world.declare("postgres::grant", "seen grant", spec);
    let reader = world.open_as("plain_reader", "reader").await;
    for what in [&role, &database, &schema, &grant] {
        reader.expect_same(what).await;
    }
    let other = reader.declare("postgres::role", "not allowed", json!({ "superuser": true }));
    let error = reader.try_create(&other).await.unwrap_err();
    assert_eq!(error.failure, Failure::Denied);
    assert!(error.message.contains("as `plain_reader`"), "{error}");
    assert!(error.hints[0].starts_with("this needs CREATEROLE"), "{error:?}");
    drop(reader);
    world.delete(&database).await;
    world.delete(&role).await;
    world.psql("postgres", "drop role plain_reader");
}

#[tokio::test]
async fn a_role_that_is_used_says_where() {
    let world = World::open().await;
    let role = world.make("postgres::role", "busy", json!({})).await;
    let database =
        world.make("postgres::database", "busy_db", json!({ "owner": "busy" })).await;
    let error = world.try_delete(&role).await.unwrap_err();
    assert_eq!(error.failure, Failure::Refused);
    assert_eq!(error.notes, ["owner of database busy_db"]);
    assert!(error.hints[0].contains("reassign_owned_to"), "{error:?}");
    let again = world.try_create(&role).await.unwrap_err();
    assert_eq!(again.failure, Failure::Exists);
    world.delete(&database).await;
    world.delete(&role).await;
}

#[tokio::test]
async fn reading_many_is_one_query_each() {
    let world = World::open().await;
    let database = world.make("postgres::database", "bulk_db", json!({})).await;
    let mut roles = Vec::new();
    let mut schemas = Vec::new();
    for index in 0..50 {
        let name = format!("bulk {index}");
        roles.push(world.make("postgres::role", &name, json!({ "password": "x" })).await);
        let spec = json!({ "database": "bulk_db" });
        schemas.push(world.make("postgres::schema", &name, spec).await);
    }
    let before = world.server().statements();
    let found = world.read_all(&roles).await;
    assert_eq!(world.server().statements() - before, 1);
    assert!(found.iter().all(|found| matches!(found, Ok(Some(_)))));
    let found = world.read_all(&schemas).await;
    assert_eq!(world.server().statements() - before, 2);
    assert!(found.iter().all(|found| matches!(found, Ok(Some(_)))));
    world.delete(&database).await;
    for role in &roles {
        world.delete(role).await;
    }
}

#[tokio::test]
async fn memberships_that_are_not_declared_stay() {
    let world = World::open().await;
    for role in ["stay_a", "stay_b", "stay_c"] {
        world.psql("postgres", &format!("create role {role}"));
    }
    let spec = json!({ "member_of": ["stay_a"] });
    let declared = world.make("postgres::role", "stayer", spec).await;
    world.psql("postgres", "grant stay_b to stayer");
    assert_eq!(world.attribute(&declared, "member_of").await, json!(["stay_a", "stay_b"]));
    // Left out from now on: what was declared goes, what others did stays.
    let silent = world.declare("postgres::role", "stayer", json!({}));
    let calls = &world.registry.kind("postgres::role").unwrap().calls;
    let (name, connection) = (&silent.name, &world.connection);
    calls.update(connection, name, "stayer", &declared.spec, &silent.spec).await.unwrap();
    world.expect_same(&silent).await;
    let groups = "select string_agg(g.rolname, ',') from pg_auth_members m
        join pg_roles g on g.oid = m.roleid where m.member = 'stayer'::regrole";
    assert_eq!(world.psql("postgres", groups), "stay_b");
    world.psql("postgres", "drop role stayer, stay_a, stay_b, stay_c");
}

#[tokio::test]
async fn options_of_newer_servers_are_refused() {
    let world = World::open().await;
    world.psql("postgres", "create role newer_team");
    world.psql("postgres", "create role newer_mate");
    let spec = json!({ "role": "newer_team", "member": "newer_mate", "inherit": false });
    let newer = world.declare("postgres::membership", "m", spec);
    let error = world.try_read(&newer).await.unwrap_err();
    assert_eq!(error.failure, Failure::Impossible);
    assert!(error.message.contains("needs PostgreSQL 16; the server at"), "{error}");
    let created = world.try_create(&newer).await.unwrap_err();
    assert_eq!(created.message, error.message);
    world.psql("postgres", "drop role newer_team, newer_mate");
}

/// What a plan without changes costs: 11 schemas, 20 roles, 50 grants and 3 extensions; and
/// what making them does.
#[tokio::test]
async fn reading_84_objects_takes_one_query_for_each_kind() {
    let world = World::open().await;
    let database = world.make("postgres::database", "plan_84", json!({})).await;
    let (mut roles, mut schemas, mut grants, mut extensions) = (vec![], vec![], vec![], vec![]);
    let begun = world.server().statements();
    for index in 0..20 {
        let name = format!("plan_84_role_{index}");
        roles.push(world.make("postgres::role", &name, json!({ "password": "x" })).await);
    }
    for index in 0..11 {
        let spec = json!({ "database": "plan_84" });
        schemas.push(world.make("postgres::schema", &format!("s{index}"), spec).await);
    }
    // A message for each, in which it is asked for what came of it, and a few to see whether
    // the clients are still there.
    let made = world.server().statements() - begun;
    assert!(made <= 31 + 5, "{made} statements for 31 objects");
    for index in 0..50 {
        let spec = json!({
            "database": "plan_84", "role": format!("plan_84_role_{}", index % 20),
            "on": "schema", "schema": format!("s{}", index / 20), "privileges": ["USAGE"],
        });
        grants.push(world.declare("postgres::grant", &format!("g{index}"), spec));
    }
    // As many at once as an apply makes.
    let begun = world.server().statements();
    let creates = futures::stream::iter(&grants).map(|grant| world.try_create(grant));
    for made in creates.buffer_unordered(8).collect::<Vec<_>>().await {
        made.unwrap_or_else(|error| panic!("{error:?}"));
    }
    let made = world.server().statements() - begun;
    println!("50 grants cost {made} statements");
    assert!(made <= 100, "{made} statements for 50 grants");
    for name in ["pg_trgm", "uuid-ossp", "hstore"] {
        let spec = json!({ "database": "plan_84" });
        extensions.push(world.make("postgres::extension", name, spec).await);
    }
    let before = world.server().statements();
    for all in [&roles, &schemas, &grants, &extensions] {
        for found in world.read_all(all).await {
            assert!(matches!(found, Ok(Some(_))), "{found:?}");
        }
    }
    let queries = world.server().statements() - before;
    assert_eq!(queries, 4);
    world.delete(&database).await;
    for role in &roles {
        world.delete(role).await;
    }
}
