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
    let unlike = json!({
        "database": "d", "role": "r", "on": "parameters", "privileges": ["alter  system"],
    });
    assert_eq!(
        check(unlike),
        ["a grant on parameters names them", "`ALTER  SYSTEM` is no privilege on parameters"]
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

#[tokio::test]
async fn what_others_granted_is_named_when_it_stays() {
    let world = World::open().await;
    let database = world.make("postgres::database", "chain_db", json!({})).await;
    for made in [
        "create role chain_boss login",
        "create role chain_user",
        "create table t (id int)",
        "grant select on t to chain_boss with grant option",
        "set role chain_boss; grant select on t to chain_user",
    ] {
        world.psql("chain_db", made);
    }
    let spec = json!({
        "database": "chain_db", "role": "chain_user", "on": "tables", "schema": "public",
        "privileges": [],
    });
    let grant = world.declare("postgres::grant", "chain", spec);
    let error = world.try_create(&grant).await.unwrap_err();
    assert_eq!(error.notes, ["`chain_boss` granted SELECT on table `t`"]);
    assert!(error.hints[0].starts_with("who granted a privilege takes it back"), "{error:?}");
    world.delete(&database).await;
    world.psql("postgres", "drop role chain_boss, chain_user");
}

#[tokio::test]
async fn owners_and_defaults_are_exact_too() {
    let world = World::open().await;
    let database = world.make("postgres::database", "owner_db", json!({})).await;
    world.psql("postgres", "create role owner_of_t");
    world.psql("owner_db", "create table t (id int); alter table t owner to owner_of_t");
    let spec = |privileges: serde_json::Value, option: bool| {
        json!({
            "database": "owner_db", "role": "owner_of_t", "on": "tables", "schema": "public",
            "privileges": privileges, "with_grant_option": option,
        })
    };
    for (privileges, option, acl) in [
        (json!(["SELECT"]), false, "{owner_of_t=r/owner_of_t}"),
        (json!(["SELECT"]), true, "{owner_of_t=r*/owner_of_t}"),
        (json!(["ALL"]), false, "{owner_of_t=arwdDxt/owner_of_t}"),
        (json!([]), false, "{}"),
    ] {
        let grant = world.make("postgres::grant", "owner", spec(privileges, option)).await;
        let there = "select relacl::text from pg_class where relname = 't'";
        assert_eq!(world.psql("owner_db", there), acl);
        drop(grant);
    }
    world.delete(&database).await;
    world.psql("postgres", "drop role owner_of_t");
}

#[tokio::test]
async fn tables_made_later_have_the_default_privileges() {
    let world = World::open().await;
    let database = world.make("postgres::database", "later_db", json!({})).await;
    world.psql("postgres", "create role later_owner login");
    world.psql("postgres", "create role later_user");
    world.psql("later_db", "create schema s authorization later_owner");
    let spec = json!({
        "database": "later_db", "owner": "later_owner", "role": "later_user", "schema": "s",
        "on": "tables", "privileges": ["SELECT"],
    });
    let defaults = world.make("postgres::default_privileges", "later", spec).await;
    let spec = json!({
        "database": "later_db", "owner": "later_owner", "role": "PUBLIC", "on": "functions",
        "privileges": [],
    });
    let nobody = world.declare("postgres::default_privileges", "nobody", spec);
    assert_eq!(world.attribute(&nobody, "privileges").await, json!(["EXECUTE"]));
    world.repair_from_nothing(&nobody).await;
    world.psql(
        "later_db",
        "set role later_owner; create table s.t (id int);
            create function s.f() returns int language sql as 'select 1'",
    );
    let said = "select has_table_privilege('later_user', 's.t', 'select'),
        has_table_privilege('later_user', 's.t', 'insert'),
        has_function_privilege('later_user', 's.f()', 'execute')";
    assert_eq!(world.psql("later_db", said), "t|f|f");
    world.psql(
        "later_db",
        "alter default privileges for role later_owner in schema s
        grant insert on tables to later_user",
    );
    assert_eq!(
        world.attribute(&defaults, "privileges").await,
        json!(["INSERT", "SELECT"]),
        "drift is seen"
    );
    world.repair(&defaults).await;
    world.delete(&database).await;
    world.psql("postgres", "drop role later_owner, later_user");
}

#[tokio::test]
async fn of_grants_made_at_once_only_those_fail_that_must() {
    let world = World::open().await;
    let database = world.make("postgres::database", "many_db", json!({})).await;
    for made in [
        "create role many_owner login password 'a p@ss'",
        "create role many_user",
        "create schema mine authorization many_owner",
        "create schema other",
        "create table mine.t (id int, name text)",
        "alter table mine.t owner to many_owner",
        "grant select on mine.t to many_user",
    ] {
        world.psql("many_db", made);
    }
    let owner = world.open_as("many_owner", "a p@ss").await;
    let grant = |name: &str, mut spec: serde_json::Value| {
        spec["database"] = json!("many_db");
        spec["role"] = json!("many_user");
        owner.declare("postgres::grant", name, spec)
    };
    let table = json!({"on": "tables", "schema": "mine", "objects": ["t"], "privileges": []});
    let columns = json!({
        "on": "tables", "schema": "mine", "objects": ["t"], "columns": ["id"],
        "privileges": ["SELECT"],
    });
    let all = [
        grant("mine", json!({"on": "schema", "schema": "mine", "privileges": ["USAGE"]})),
        grant("other", json!({"on": "schema", "schema": "other", "privileges": ["USAGE"]})),
        grant("nowhere", json!({"on": "schema", "schema": "nowhere", "privileges": ["USAGE"]})),
        // To revoke something on the table revokes it on its columns: these come after it.
        grant("columns", columns),
        grant("table", table),
    ];
    world.psql("many_db", "grant select (id) on mine.t to many_user");
    let done = futures::future::join_all(all.iter().map(|grant| owner.try_create(grant))).await;
    let messages: Vec<_> = done
        .iter()
        .map(|done| done.as_ref().err().map(|error| error.message.as_str()))
        .collect();
    let [None, Some(denied), Some(missing), None, None] = messages.as_slice() else {
        panic!("{messages:?}");
    };
    assert!(denied.contains("schema") && denied.contains("many_user"), "{denied}");
    assert!(missing.starts_with("there is no schema `nowhere`"), "{missing}");
    for grant in [&all[0], &all[3]] {
        owner.expect_same(grant).await;
    }
    let can = "select has_table_privilege('many_user', 'mine.t', 'select')";
    assert_eq!(world.psql("many_db", can), "f");

    // Where nothing is wrong they are one transaction between two questions.
    world.psql(
        "many_db",
        "drop table mine.t; drop schema mine; create schema mine authorization many_owner",
    );
    for name in ["a", "b", "c", "d"] {
        world.psql("many_db", &format!("create table mine.{name} ()"));
        world.psql("many_db", &format!("alter table mine.{name} owner to many_owner"));
    }
    let on = |name| json!({"on": "tables", "schema": "mine", "objects": [name], "privileges": ["SELECT"]});
    let all = ["a", "b", "c", "d"].map(|name| grant(name, on(name)));
    let before = owner.server().statements();
    let done = futures::future::join_all(all.iter().map(|grant| owner.try_create(grant))).await;
    assert!(done.iter().all(Result::is_ok), "{done:?}");
    assert!(owner.server().statements() - before <= 4, "at most one to see whether it lives");
    for grant in &all {
        owner.expect_same(grant).await;
    }
    drop(owner);
    world.delete(&database).await;
    world.psql("postgres", "drop role many_owner, many_user");
}

/// Of everybody: those who are listed, and nobody else.
#[tokio::test]
async fn nobody_else_keeps_anything_on_what_is_exclusive() {
    let world = World::open().await;
    let database = world.make("postgres::database", "only_db", json!({})).await;
    for made in [
        "create role only_app",
        "create role \"Only ü\"",
        "create role only_stranger",
        "create table \"T 1\" (id int); create table t2 (id int); create view v as select 1 a",
        "grant all on \"T 1\" to only_stranger with grant option",
        "grant select on \"T 1\" to public",
        "grant select (id) on t2 to only_stranger",
    ] {
        world.psql("only_db", made);
    }
    let mut sample = dollop_tests::conformance::Sample {
        kind: "postgres::privileges",
        name: "label".to_owned(),
        base: json!({
            "database": "only_db", "on": "tables", "schema": "public", "objects": ["T 1"],
            "grants": [
                { "role": "Only ü", "privileges": ["insert", "SELECT"] },
                { "role": "only_app", "privileges": ["ALL"], "with_grant_option": true },
            ],
        }),
        changes: vec![
            ("objects", json!(["v", "T 1"])),
            ("objects", json!(["t2"])),
            ("grants", json!([{ "role": "only_app", "privileges": ["SELECT"] }])),
            ("grants", json!([{ "role": "public", "privileges": ["SELECT"] }])),
        ],
        fixed: &["database", "on", "schema"],
    };
    dollop_tests::conformance::conform(&world.registry, &world.connection, &sample).await;
    sample.base = json!({
        "database": "only_db", "on": "database",
        "grants": [{ "role": "only_app", "privileges": ["CONNECT"] }],
    });
    sample.changes = vec![("grants", json!([{ "role": "PUBLIC", "privileges": ["TEMP"] }]))];
    sample.fixed = &["database", "on", "schema", "objects"];
    dollop_tests::conformance::conform(&world.registry, &world.connection, &sample).await;

    // A stranger is seen by name, and loses what somebody gave.
    let spec = json!({
        "database": "only_db", "on": "tables", "schema": "public", "objects": ["T 1"],
        "grants": [{ "role": "only_app", "privileges": ["SELECT"] }],
    });
    let only = world.make("postgres::privileges", "only", spec).await;
    world.expect_same(&only).await;
    world.psql("only_db", "grant update, delete on \"T 1\" to only_stranger");
    let wanted = dollop_engine::resource::Wanted {
        facts: None,
        id: Some("known".to_owned()),
        name: only.name.clone(),
        spec: only.spec.clone(),
    };
    let calls = &world.registry.kind("postgres::privileges").unwrap().calls;
    let seen = calls.read(&world.connection, vec![wanted]).await.remove(0).unwrap().unwrap();
    let stranger = json!({
        "role": "only_stranger", "privileges": ["DELETE", "UPDATE"], "with_grant_option": false,
    });
    assert_eq!(seen.spec.to_json()["grants"][1], stranger);
    let name = &only.name;
    let done = calls.update(&world.connection, name, "known", &seen.spec, &only.spec).await;
    done.unwrap();
    let acl = "select relacl::text from pg_class where relname = 'T 1'";
    assert_eq!(
        world.psql("only_db", acl),
        "{postgres=arwdDxt/postgres,only_app=r/postgres}",
        "the owner has what owners have"
    );
    world.delete(&only).await;

    // What somebody owns is nobody's gift, and comes back to whoever is not listed any more.
    for made in [
        "create table own1 (id int); alter table own1 owner to only_app",
        "create table own2 (id int); grant select on own2 to only_app",
    ] {
        world.psql("only_db", made);
    }
    let owned = |grants: serde_json::Value| {
        let spec = json!({
            "database": "only_db", "on": "tables", "schema": "public",
            "objects": ["own1", "own2"], "grants": grants,
        });
        world.declare("postgres::privileges", "owned", spec)
    };
    let can = "select concat(relname, ': ', relacl) from pg_class where relname like 'own_'
        order by 1";
    let (nobody, less) =
        (owned(json!([])), owned(json!([{ "role": "only_app", "privileges": ["SELECT"] }])));
    world.try_create(&nobody).await.unwrap();
    let whole = "own1: \nown2: {postgres=arwdDxt/postgres}";
    assert_eq!(world.psql("only_db", can), whole);
    world.expect_same(&nobody).await;
    let update = async |from: &super::world::Declared, to: &super::world::Declared| {
        let done = calls.update(&world.connection, &to.name, "known", &from.spec, &to.spec);
        done.await.unwrap_or_else(|error| panic!("{error:?}"));
    };
    update(&nobody, &less).await;
    let little = "own1: {only_app=r/only_app}\n\
        own2: {postgres=arwdDxt/postgres,only_app=r/postgres}";
    assert_eq!(world.psql("only_db", can), little);
    let again = "own1: {only_app=arwdDxt/only_app}\nown2: {postgres=arwdDxt/postgres}";
    update(&less, &nobody).await;
    assert_eq!(world.psql("only_db", can), again);
    update(&nobody, &less).await;
    calls.delete(&world.connection, &less.name, "known", &less.spec).await.unwrap();
    assert_eq!(world.psql("only_db", can), again);

    // Nothing to grant is no reason to say nothing of what is missing.
    let spec = json!({
        "database": "only_db", "on": "tables", "schema": "public",
        "objects": ["own1", "nowhere"], "grants": [],
    });
    let missing = world.declare("postgres::privileges", "missing", spec);
    let error = world.try_create(&missing).await.unwrap_err();
    assert!(error.message.starts_with("there is no table `nowhere` in schema"), "{error}");
    world.psql("only_db", "drop table own1, own2");
    world.delete(&database).await;
    world.psql("postgres", "drop role only_app, \"Only ü\", only_stranger");
}
