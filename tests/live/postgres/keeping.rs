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

