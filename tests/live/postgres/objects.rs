//! Databases, schemas and extensions.

use dollop_engine::error::Failure;
use serde_json::json;

use super::world::World;

#[tokio::test]
async fn what_is_in_a_missing_database_is_gone() {
    let world = World::open().await;
    let database = world.make("postgres::database", "short lived", json!({})).await;
    let inside = json!({ "database": "short lived" });
    let schema = world.make("postgres::schema", "in it", inside.clone()).await;
    let extension = world.make("postgres::extension", "uuid-ossp", inside).await;
    world.psql("short lived", "drop schema \"in it\"");
    assert!(world.read(&schema).await.is_none());
    world.expect_same(&extension).await;
    // dollop's own client to it must not be in the way.
    world.delete(&database).await;
    assert!(world.read(&database).await.is_none());
    assert!(world.read(&schema).await.is_none());
    assert!(world.read(&extension).await.is_none());
    world.delete(&schema).await;
}

#[tokio::test]
async fn a_database_in_use_is_not_dropped_unless_forced() {
    let world = World::open().await;
    let database = world.make("postgres::database", "in_use", json!({})).await;
    let other = world.open_as("postgres", super::container::PASSWORD).await;
    let elsewhere = other.declare("postgres::schema", "x", json!({ "database": "in_use" }));
    assert!(other.read(&elsewhere).await.is_none());
    let error = world.try_delete(&database).await.unwrap_err();
    assert_eq!(error.failure, Failure::Refused);
    assert!(error.message.ends_with("is being accessed by other users"), "{error}");
    assert_eq!(error.notes[0], "There is 1 other session using the database.");
    assert!(error.notes[1].contains(" of `postgres` with dollop from "), "{:?}", error.notes);
    assert!(error.hints[0].contains("force_drop"), "{error:?}");
    let forced = world.declare("postgres::database", "in_use", json!({ "force_drop": true }));
    world.delete(&forced).await;
    // The other's client is dead now; it notices.
    assert!(other.read(&elsewhere).await.is_none());
}

#[tokio::test]
async fn a_schema_with_tables_stays_unless_cascaded() {
    let world = World::open().await;
    let database = world.make("postgres::database", "full_db", json!({})).await;
    let spec = json!({ "database": "full_db" });
    let schema = world.make("postgres::schema", "full", spec).await;
    world.psql("full_db", "create table \"full\".t (id int)");
    let error = world.try_delete(&schema).await.unwrap_err();
    assert_eq!(error.failure, Failure::Refused);
    assert_eq!(error.notes, ["table \"full\".t depends on schema full"]);
    assert!(error.hints[0].contains("cascade: true"), "{error:?}");
    let spec = json!({ "database": "full_db", "cascade": true });
    world.delete(&world.declare("postgres::schema", "full", spec)).await;
    assert!(world.read(&schema).await.is_none());
    world.delete(&database).await;
}

#[tokio::test]
async fn a_failed_database_leaves_nothing_behind() {
    let world = World::open().await;
    let spec = json!({ "settings": { "no_such_setting": 1 } });
    let database = world.declare("postgres::database", "half made", spec);
    let error = world.try_create(&database).await.unwrap_err();
    assert!(error.message.contains("unrecognized configuration parameter"), "{error}");
    assert!(world.read(&database).await.is_none());
}

#[tokio::test]
async fn extensions_update_and_say_what_is_missing() {
    let world = World::open().await;
    let database = world.make("postgres::database", "ext_db", json!({})).await;
    let old = json!({ "database": "ext_db", "version": "1.5" });
    world.make("postgres::extension", "pg_trgm", old).await;
    let new = json!({ "database": "ext_db", "version": "1.6" });
    let new = world.declare("postgres::extension", "pg_trgm", new);
    assert_eq!(world.attribute(&new, "version").await, json!("1.5"));
    world.repair(&new).await;

    for (name, hint) in [
        ("pgvector", "it is called `vector`, and an image that has it is `pgvector/pgvector`"),
        ("uuid", "it is called `uuid-ossp`"),
        ("trgm", "did you mean `pg_trgm`?"),
        ("xyz", "use an image that has it; `pg_available_extensions` lists what there is"),
    ] {
        let spec = json!({ "database": "ext_db" });
        let missing = world.declare("postgres::extension", name, spec);
        let error = world.try_create(&missing).await.unwrap_err();
        assert_eq!(error.failure, Failure::Impossible);
        assert!(error.message.ends_with(&format!("has no extension `{name}`")), "{error}");
        let seen = world.try_read(&missing).await.unwrap_err();
        assert_eq!(seen.message, error.message, "seen while planning");
        assert_eq!(error.hints, [hint]);
    }
    let spec = json!({ "database": "ext_db" });
    let needs = world.declare("postgres::extension", "earthdistance", spec);
    let error = world.try_create(&needs).await.unwrap_err();
    assert!(error.hints[0].contains("cascade: true"), "{error:?}");
    let spec = json!({ "database": "ext_db", "cascade": true });
    world.make("postgres::extension", "earthdistance", spec).await;
    let cube = world.declare("postgres::extension", "cube", json!({ "database": "ext_db" }));
    let error = world.try_delete(&cube).await.unwrap_err();
    assert_eq!(error.notes, ["extension earthdistance depends on extension cube"]);
    world.delete(&database).await;
}

#[tokio::test]
async fn a_definition_changed_by_hand_is_seen() {
    let world = World::open().await;
    let database = world.make("postgres::database", "by_hand_db", json!({})).await;
    let spec = json!({
        "database": "by_hand_db", "returns": "int", "language": "sql", "body": "select 1",
    });
    let function = world.make("postgres::function", "f", spec).await;
    let view = json!({ "database": "by_hand_db", "query": "select 1 as a" });
    let view = world.make("postgres::view", "v", view).await;
    world.psql(
        "by_hand_db",
        "create or replace function f() returns int language sql as 'select 2'",
    );
    world.psql("by_hand_db", "create or replace view v as select 2 as a");
    assert_eq!(world.attribute(&function, "body").await, json!("select 2"));
    assert_eq!(world.attribute(&view, "query").await, json!("SELECT 2 AS a"));
    // Somebody else's of that name is not overwritten.
    let error = world.try_create(&function).await.unwrap_err();
    assert!(error.message.contains("already exists with same argument types"), "{error}");
    let error = world.try_create(&view).await.unwrap_err();
    assert_eq!(error.failure, Failure::Exists, "{error:?}");
    world.delete(&database).await;
}

/// The server has words of its own for it (`= ANY (ARRAY[..])` for `IN (..)`), which must not look
/// like a change when something else is changed.
#[tokio::test]
async fn what_no_plan_showed_is_not_done() {
    let world = World::open().await;
    let database = world.make("postgres::database", "planned_db", json!({})).await;
    let table = |comment: &str| {
        let spec = json!({
            "database": "planned_db", "comment": comment,
            "columns": [{ "name": "a", "type": "int", "default": "length('ü' || 'x')" }],
            "constraints": { "few": "CHECK (a IN (1, 2))" },
        });
        world.declare("postgres::table", "t", spec)
    };
    let view = |comment: &str| {
        let spec = json!({
            "database": "planned_db", "comment": comment, "materialized": true,
            "query": "select a from t where a in (1, 2)",
        });
        world.declare("postgres::view", "m", spec)
    };
    world.try_create(&table("one")).await.unwrap();
    world.try_create(&view("one")).await.unwrap();
    world.psql("planned_db", "create view needs_it as select * from m");
    let made = "select string_agg(oid::text, ' ') from (
        select oid from pg_constraint where conname = 'few' union all
        select oid from pg_class where relname = 'm' union all
        select oid from pg_attrdef where adrelid = 't'::regclass) made(oid)";
    let before = world.psql("planned_db", made);
    for (from, to) in [(table("one"), table("two")), (view("one"), view("two"))] {
        let id = world.read(&from).await.expect("it exists").id;
        let calls = &world.registry.kind(from.kind).unwrap().calls;
        let done = calls.update(&world.connection, &to.name, &id, &from.spec, &to.spec).await;
        done.unwrap_or_else(|error| panic!("{error:?}"));
    }
    assert_eq!(world.psql("planned_db", made), before);
    let said = "select obj_description('t'::regclass) || obj_description('m'::regclass)";
    assert_eq!(world.psql("planned_db", said), "twotwo");

    // What somebody changes between the plan and its apply is not taken for what the plan saw: it
    // is as declared afterwards.
    let plain = |comment: &str| {
        let spec = json!({
            "database": "planned_db", "comment": comment, "query": "select 1 as one",
        });
        world.declare("postgres::view", "p", spec)
    };
    world.try_create(&plain("one")).await.unwrap();
    let seen = world.read(&plain("two")).await.expect("it exists");
    world.psql("planned_db", "create or replace view p as select 2 as one");
    let (to, calls) = (plain("two"), &world.registry.kind("postgres::view").unwrap().calls);
    let done = calls.update(&world.connection, &to.name, &seen.id, &seen.spec, &to.spec).await;
    let facts = done.unwrap_or_else(|error| panic!("{error:?}")).to_json();
    assert_eq!(world.psql("planned_db", "select one from p"), "1");
    assert!(facts["words"]["query"].as_str().unwrap().contains('1'), "{facts}");
    world.delete(&database).await;
}

#[tokio::test]
async fn a_question_writes_nothing_and_a_statement_must_help() {
    let world = World::open().await;
    let database = world.make("postgres::database", "question_db", json!({})).await;
    world.psql("question_db", "create table t (id int)");
    let declare = |unless: &str, run: &str| {
        let spec = json!({ "database": "question_db", "unless": unless, "run": run });
        world.declare("postgres::sql", "s", spec)
    };
    let writes = declare("insert into t values (1) returning true", "select 1");
    let error = world.try_read(&writes).await.unwrap_err();
    assert!(error.message.contains("in a read-only transaction"), "{error}");
    // The next question is not hurt by the one before.
    assert!(world.read(&declare("select true", "select 1")).await.is_some());
    let error = world.try_create(&declare("select false", "select 1")).await.unwrap_err();
    assert!(error.message.ends_with("its `unless` does not hold still"), "{error}");
    let fails = declare("select false", "insert into t values (1); select 1/0");
    let error = world.try_create(&fails).await.unwrap_err();
    assert!(error.message.contains("division by zero"), "{error}");
    assert_eq!(world.psql("question_db", "select count(*) from t"), "0", "all or nothing");
    world.delete(&database).await;
}
