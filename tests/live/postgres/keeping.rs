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

