//! Grants are exact.

use serde_json::json;

use super::world::World;

#[tokio::test]
async fn what_others_granted_and_took_is_seen_and_undone() {
    let world = World::open().await;
    let database = world.make("postgres::database", "exact_db", json!({})).await;
    let role = world.make("postgres::role", "exact", json!({})).await;
    world.psql("exact_db", "create table public.a (id int); create table public.b (id int)");
    let spec = json!({
        "database": "exact_db", "role": "exact", "on": "tables", "schema": "public",
        "privileges": ["SELECT", "INSERT"],
    });
    let grant = world.make("postgres::grant", "exact grant", spec).await;
    world.psql("exact_db", "grant delete on public.a to exact");
    let seen = world.attribute(&grant, "privileges").await;
    assert_eq!(seen, json!(["DELETE", "INSERT", "SELECT"]));
    world.repair(&grant).await;
    world.psql("exact_db", "revoke insert on public.b from exact");
    assert_eq!(world.attribute(&grant, "privileges").await, json!(["SELECT"]));
    world.repair(&grant).await;
    world.psql("exact_db", "create table public.c (id int)");
    assert_eq!(world.attribute(&grant, "privileges").await, json!([]));
    world.repair(&grant).await;
    world.psql("exact_db", "grant select on public.c to exact with grant option");
    assert_eq!(world.attribute(&grant, "with_grant_option").await, json!(true));
    world.repair(&grant).await;
    let acl = "select has_table_privilege('exact', 'public.c', 'insert')";
    assert_eq!(world.psql("exact_db", acl), "t");

    world.delete(&grant).await;
    assert!(world.read(&grant).await.is_none());
    // Only grants were in the way of the role.
    world.delete(&role).await;
    assert!(world.read(&grant).await.is_none(), "a grant to nobody is gone");
    world.delete(&grant).await;
    world.delete(&database).await;
    assert!(world.read(&grant).await.is_none());
}

#[tokio::test]
async fn everybody_can_lose_the_defaults() {
    let world = World::open().await;
    let database = world.make("postgres::database", "closed_db", json!({})).await;
    let spec = json!({
        "database": "closed_db", "role": "PUBLIC", "on": "database", "privileges": [],
    });
    let grant = world.declare("postgres::grant", "nobody", spec);
    assert_eq!(world.attribute(&grant, "privileges").await, json!(["CONNECT", "TEMPORARY"]));
    world.try_create(&grant).await.unwrap();
    let acl = "select datacl::text from pg_database where datname = 'closed_db'";
    assert_eq!(world.psql("postgres", acl), "{postgres=CTc/postgres}");
    world.delete(&database).await;
}

#[tokio::test]
async fn an_empty_schema_misses_nothing_and_a_missing_table_is_an_error() {
    let world = World::open().await;
    let database = world.make("postgres::database", "empty_db", json!({})).await;
    let role = world.make("postgres::role", "empty_user", json!({})).await;
    let mut spec = json!({
        "database": "empty_db", "role": "empty_user", "on": "tables", "schema": "public",
        "privileges": ["SELECT"],
    });
    let grant = world.make("postgres::grant", "all tables", spec.clone()).await;
    let id = world.try_create(&grant).await.unwrap();
    let wanted = dollop_engine::resource::Wanted {
        facts: None,
        id: Some(id),
        name: grant.name.clone(),
        spec: grant.spec.clone(),
    };
    let calls = &world.registry.kind("postgres::grant").unwrap().calls;
    let found = calls.read(&world.connection, vec![wanted]).await.remove(0).unwrap();
    assert!(found.unwrap().spec.same(&grant.spec));

    spec["objects"] = json!(["nothing"]);
    let grant = world.declare("postgres::grant", "no table", spec.clone());
    let error = world.try_create(&grant).await.unwrap_err();
    let said = "there is no table `nothing` in schema `public` in database `empty_db` at";
    assert!(error.message.starts_with(said), "{error}");
    spec["schema"] = json!("nowhere");
    let grant = world.declare("postgres::grant", "no schema", spec);
    let error = world.try_create(&grant).await.unwrap_err();
    let said = "there is no schema `nowhere` in database `empty_db` at";
    assert!(error.message.starts_with(said), "{error}");
    world.delete(&database).await;
    world.delete(&role).await;
}

#[tokio::test]
async fn sanity_is_checked_without_a_server() {
    let registry = dollop_stdlib::registry();
    let calls = &registry.kind("postgres::grant").unwrap().calls;
    let check = |spec: serde_json::Value| -> Vec<String> {
        let spec = calls.normalize(&dollop_engine::value::Value::from(spec)).unwrap();
        calls.check(&spec).into_iter().map(|problem| problem.message).collect()
    };
    let base =
        json!({ "database": "d", "role": "r", "on": "schema", "privileges": ["SELECT"] });
    assert_eq!(
        check(base),
        ["a grant on schema needs to know the schema", "`SELECT` is no privilege on schema",]
    );
    let odd = json!({
        "database": "d", "role": "public", "on": "database", "schema": "s", "objects": ["x"],
        "privileges": ["temp"], "with_grant_option": true,
    });
    assert_eq!(
        check(odd),
        [
            "a grant on the database has no schema",
            "a grant on the database has no objects",
            "everybody cannot be allowed to pass privileges on",
        ]
    );
}
