//! What goes wrong between dollop and a server, and work side by side.

use dollop_engine::error::{CallError, Failure};
use serde_json::json;

use super::container;
use super::world::{World, open};

async fn refused(spec: serde_json::Value) -> CallError {
    match open(&dollop_stdlib::registry(), spec).await {
        Ok(_) => panic!("it connected"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn a_wrong_password_says_who_and_where() {
    let container = container::shared();
    let port = container.port;
    let error =
        refused(json!({ "host": "127.0.0.1", "port": port, "password": "wr0ng-one" })).await;
    assert_eq!(error.failure, Failure::Denied);
    assert_eq!(
        error.message,
        format!(
            "PostgreSQL at 127.0.0.1:{port} does not accept the password of user `postgres`"
        )
    );
    assert_eq!(
        error.hints,
        [
            "an existing data folder keeps the password it was first started with: changing \
             `POSTGRES_PASSWORD` does not reach it",
            "a server in a container of the official image lets `dollop psql` in without it: \
             `ALTER ROLE \"postgres\" PASSWORD '..'` there makes the two agree"
        ]
    );
    assert!(!format!("{error:?}").contains("wr0ng-one"));

    let error = refused(json!({ "host": "127.0.0.1", "port": port })).await;
    assert_eq!(error.failure, Failure::Denied);
    assert_eq!(
        error.message,
        format!("PostgreSQL at 127.0.0.1:{port} wants a password for user `postgres`")
    );
    let error = refused(json!({
        "host": "127.0.0.1", "port": port, "password": container::PASSWORD, "database": "nope",
    }))
    .await;
    assert_eq!(error.failure, Failure::Refused);
    assert_eq!(error.message, format!("there is no database `nope` at 127.0.0.1:{port}"));
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unreachable() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    // It accepts and says nothing.
    let spec = json!({ "host": "127.0.0.1", "port": port, "connect_timeout": 1 });
    let error = refused(spec.clone()).await;
    assert_eq!(error.failure, Failure::Unreachable);
    assert_eq!(
        error.message,
        format!("PostgreSQL at 127.0.0.1:{port} did not answer in time (database `postgres`)")
    );
    // It accepts and hangs up.
    let hangs_up = std::thread::spawn(move || {
        // The first one is from above.
        for _ in 0..2 {
            drop(free.accept().unwrap());
        }
    });
    let error = refused(spec.clone()).await;
    hangs_up.join().unwrap();
    assert_eq!(error.failure, Failure::Unreachable, "{error:?}");
    // Nobody listens.
    let error = refused(spec).await;
    assert_eq!(error.failure, Failure::Unreachable);
    assert_eq!(
        error.message,
        format!("cannot reach PostgreSQL at 127.0.0.1:{port}: connection refused")
    );
}

#[tokio::test]
async fn dead_clients_are_opened_again() {
    let world = World::open().await;
    let database = world.make("postgres::database", "cut_db", json!({})).await;
    let spec = json!({ "database": "cut_db" });
    let schema = world.make("postgres::schema", "cut", spec.clone()).await;
    let cut = "select count(pg_terminate_backend(pid)) from pg_stat_activity
        where application_name = 'dollop' and datname = 'cut_db'";
    for round in 0..3 {
        assert_eq!(world.psql("postgres", cut), "1");
        world.expect_same(&schema).await;
        assert_eq!(world.psql("postgres", cut), "1");
        world.make("postgres::schema", &format!("cut {round}"), spec.clone()).await;
    }
    world.delete(&database).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_side_by_side_does_not_collide() {
    let world = std::sync::Arc::new(World::open().await);
    let other = std::sync::Arc::new(world.open_as("postgres", container::PASSWORD).await);
    world.psql("postgres", "create database side_db");
    let mut tasks = Vec::new();
    for index in 0..12 {
        // Two connections, as two runs of dollop would be.
        let world = if index % 2 == 0 { world.clone() } else { other.clone() };
        tasks.push(tokio::spawn(async move {
            let user = format!("side {index}");
            let name = user.as_str();
            let role = world.make("postgres::role", name, json!({})).await;
            let spec = json!({ "template": "template1", "owner": name });
            let database = world.make("postgres::database", name, spec).await;
            // All of them write the same row of pg_namespace and of pg_database.
            let mut grants = Vec::new();
            for (on, schema) in [("schema", Some("public")), ("database", None)] {
                let spec = json!({
                    "database": "side_db", "role": name, "on": on, "schema": schema,
                    "privileges": ["CREATE"],
                });
                let label = format!("{name} {on}");
                grants.push(world.make("postgres::grant", &label, spec).await);
            }
            for grant in &grants {
                world.expect_same(grant).await;
                world.delete(grant).await;
            }
            world.delete(&database).await;
            world.delete(&role).await;
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let clients = "select count(*) from pg_stat_activity where application_name = 'dollop'
        and datname = 'side_db'";
    assert_eq!(world.psql("postgres", clients), "2", "one client a connection and database");
    world.psql("postgres", "drop database side_db with (force)");
}
