//! What only newer servers have, on one.

use std::sync::Arc;

use dollop_tests::conformance::{Sample, conform_with_drift};
use serde_json::json;

use super::container::{Container, PASSWORD};
use super::world::{World, open};

#[tokio::test]
async fn options_of_memberships() {
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
}
