//! Tables and what columns are made of.

use dollop_tests::conformance::{Sample, conform_with_drift};
use serde_json::json;

use super::{gone, with_database};

#[tokio::test]
async fn table() {
    let name = "conform_table";
    let world = with_database(
        name,
        &[
            "create table users (id bigint primary key)",
            "create collation \"S 1\".\"Deutsch\" from \"C\"",
            "create sequence counter",
            "create sequence \"other counter\"",
            "create sequence \"S 1\".counter",
            "create access method \"other rows\" type table handler heap_tableam_handler",
        ],
    )
    .await;
    let columns = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut columns = json!([
            { "name": "id", "type": "int8", "identity": "always" },
            {
                "name": "Größe \"x\"", "type": "varchar(9)", "default": "'it''s'",
                "storage": "extended", "compression": "pglz", "statistics": 50,
            },
            { "name": "user_id", "type": "bigint", "sequence": "counter" },
            { "name": "at", "type": "timestamptz", "not_null": true, "default": "now()" },
            { "name": "total", "type": "numeric(10, 2)", "comment": "in euros" },
            { "name": "double", "type": "bigint", "generated": "id * 2" },
        ]);
        change(&mut columns);
        columns
    };
    let base = columns(&|_| {});
    let sample = Sample {
        kind: "postgres::table",
        name: "Conform \"Table\" ü".to_owned(),
        base: json!({
            "database": name, "columns": base, "primary_key": ["id"],
            "constraints": {
                "positive": "CHECK (total > 0)",
                "by user": "foreign key (user_id) references users(id) on delete cascade",
                "one_each": "UNIQUE (\"Größe \"\"x\"\"\", at)",
            },
        }),
        changes: vec![
            ("schema", json!("S 1")),
            ("columns", columns(&|all| all[1]["type"] = json!("text"))),
            ("columns", columns(&|all| all[1]["default"] = json!("'other'"))),
            ("columns", columns(&|all| all[1]["default"] = json!(null))),
            ("columns", columns(&|all| all[1]["comment"] = json!("what it's for"))),
            ("columns", columns(&|all| all[1]["storage"] = json!("external"))),
            ("columns", columns(&|all| all[1]["storage"] = json!("main"))),
            ("columns", columns(&|all| all[1]["statistics"] = json!(1000))),
            ("columns", columns(&|all| all[1]["not_null"] = json!(true))),
            ("columns", columns(&|all| all[1]["collation"] = json!("C"))),
            ("columns", columns(&|all| all[1]["collation"] = json!("S 1.Deutsch"))),
            ("columns", columns(&|all| all[0]["identity"] = json!("by_default"))),
            ("columns", columns(&|all| all[0]["identity"] = json!(null))),
            ("columns", columns(&|all| all[4]["type"] = json!("numeric(12,2)"))),
            ("columns", columns(&|all| all[3]["not_null"] = json!(false))),
            ("columns", columns(&|all| all[5]["generated"] = json!(null))),
            (
                "columns",
                columns(&|all| {
                    let new = json!({ "name": "new one", "type": "text[]", "default": "'{}'" });
                    all.as_array_mut().unwrap().insert(1, new);
                }),
            ),
            ("primary_key", json!(["id", "at"])),
            ("primary_key", json!([])),
            ("constraints", json!({ "positive": "CHECK (total > 1)" })),
            ("constraints", json!({})),
            ("constraints_apart", json!(["elsewhere"])),
            ("columns", columns(&|all| all[2]["sequence"] = json!("other counter"))),
            ("unlogged", json!(true)),
            ("row_security", json!(true)),
            ("force_row_security", json!(true)),
            ("parameters", json!({ "fillfactor": 70, "autovacuum_enabled": false })),
            ("replica_identity", json!("nothing")),
            ("replica_identity", json!("index Conform \"Table\" ü_pkey")),
            ("replica_identity", json!("full")),
            ("tablespace", json!("pg_default")),
            ("access_method", json!("other rows")),
            ("owner", json!("conform_table_owner")),
            ("comment", json!("what it's for")),
            ("drop_columns", json!(["new one"])),
        ],
        // Partitions, and what inherits, are below.
        fixed: &["database", "partition_by", "partition_of", "bounds", "inherits"],
    };
    let mut sample = sample;
    for (attribute, value) in &mut sample.changes {
        // Taking a computed column's expression away cannot be undone in place.
        if *attribute == "columns" && value[5]["generated"].is_null() {
            *value = columns(&|all| all[5]["comment"] = json!("computed"));
        }
    }
    // What a change adds is dropped on the way back, with the consent that needs.
    sample.base["drop_columns"] = json!(["new one", "old"]);
    // What is left out is not looked at.
    sample.base["replica_identity"] = json!("default");
    conform_with_drift(
        &world.registry,
        &world.connection,
        &sample,
        &["drop_columns", "tablespace", "access_method", "owner", "constraints_apart"],
    )
    .await;

    let sample = Sample {
        kind: "postgres::table",
        name: "events".to_owned(),
        base: json!({
            "database": name, "columns": [{ "name": "at", "type": "date", "not_null": true }],
            "partition_by": "RANGE (at)",
        }),
        changes: vec![("partition_by", json!("list (at)")), ("comment", json!("partitioned"))],
        fixed: &[
            "database",
            "schema",
            "columns",
            "drop_columns",
            "primary_key",
            "constraints",
            "constraints_apart",
            "replica_identity",
            "partition_of",
            "bounds",
            "unlogged",
            "row_security",
            "force_row_security",
            "parameters",
            "tablespace",
            "access_method",
            "inherits",
            "owner",
        ],
    };
    conform_with_drift(&world.registry, &world.connection, &sample, &[]).await;
    world.psql(name, "create table parent (at date) partition by range (at)");
    world.psql(name, "create table \"S 1\".other (at date) partition by range (at)");
    let sample = Sample {
        kind: "postgres::table",
        name: "part".to_owned(),
        base: json!({
            "database": name, "partition_of": "parent",
            "bounds": "for values from ('2026-01-01') to ('2026-02-01')",
        }),
        changes: vec![
            ("partition_of", json!("S 1.other")),
            ("bounds", json!("DEFAULT")),
            ("row_security", json!(true)),
        ],
        fixed: &[
            "database",
            "schema",
            "columns",
            "drop_columns",
            "primary_key",
            "constraints",
            "constraints_apart",
            "replica_identity",
            "partition_by",
            "unlogged",
            "force_row_security",
            "parameters",
            "tablespace",
            "access_method",
            "inherits",
            "owner",
            "comment",
        ],
    };
    conform_with_drift(&world.registry, &world.connection, &sample, &[]).await;

    // What inherits has the columns of the others, and says its own.
    world.psql(name, "create table base (id int not null, name text)");
    world.psql(name, "create table \"S 1\".\"Base 2\" (id int not null, at date)");
    let own = json!([
        { "name": "id", "type": "int", "not_null": true }, { "name": "name", "type": "text" },
        { "name": "at", "type": "date" }, { "name": "own", "type": "int" },
    ]);
    let sample = Sample {
        kind: "postgres::table",
        name: "derived".to_owned(),
        base: json!({
            "database": name, "inherits": ["base"], "columns": own, "primary_key": ["id"],
        }),
        changes: vec![
            ("inherits", json!([])),
            ("inherits", json!(["S 1.Base 2", "base"])),
            ("comment", json!("derived")),
        ],
        fixed: &[
            "database",
            "schema",
            "columns",
            "drop_columns",
            "primary_key",
            "constraints",
            "constraints_apart",
            "replica_identity",
            "partition_by",
            "partition_of",
            "bounds",
            "unlogged",
            "row_security",
            "force_row_security",
            "parameters",
            "tablespace",
            "access_method",
            "owner",
        ],
    };
    conform_with_drift(&world.registry, &world.connection, &sample, &[]).await;
    let spec = json!({
        "database": name, "inherits": ["base", "S 1.Base 2"],
        "columns": [{ "name": "own", "type": "int" }],
    });
    let both = world.make("postgres::table", "both", spec).await;
    world.expect_same(&both).await;
    world.psql(name, "alter table base add column later int");
    world.expect_same(&both).await;
    let columns = "select string_agg(attname, ' ' order by attnum) from pg_attribute
        where attrelid = 'both'::regclass and attnum > 0";
    assert_eq!(world.psql(name, columns), "id at name own later");
    // A column that is merged with an inherited one says only what is other about it, and the
    // schema `public` has one form.
    world.psql(
        name,
        "create table full_base (id int not null default 7, at date default now())",
    );
    let spec = json!({
        "database": name, "inherits": ["public.full_base"],
        "columns": [{ "name": "id", "type": "int" }, { "name": "at", "type": "date", "default": "'2026-01-01'" }],
    });
    let merged = world.make("postgres::table", "merged", spec).await;
    world.expect_same(&merged).await;
    world.psql(name, "alter table merged alter at drop default");
    world.repair(&merged).await;
    // It leaves with columns that must be named then.
    let spec = json!({ "database": name, "columns": [{ "name": "own", "type": "int" }] });
    let left = world.declare("postgres::table", "both", spec);
    let seen = world.read(&left).await.expect("it exists");
    let calls = &world.registry.kind("postgres::table").unwrap().calls;
    let problems = calls.check_update(&seen.spec, &left.spec);
    let messages: Vec<_> = problems.iter().map(|problem| problem.message.as_str()).collect();
    let lost = ["id", "at", "name", "later"]
        .map(|column| format!("column `{column}` would be dropped with what is in it"));
    assert_eq!(messages, lost);
    gone(&world, name);
}

#[tokio::test]
async fn constraint() {
    let name = "conform_constraint";
    let world = with_database(
        name,
        &[
            "create table t (a int, b int unique)",
            "create table \"S 1\".t (a int, b int unique)",
            "create table \"T 2\" (a int, b int unique)",
        ],
    )
    .await;
    let sample = Sample {
        kind: "postgres::constraint",
        name: "Conform \"Constraint\" ü".to_owned(),
        base: json!({
            "database": name, "table": "t",
            "definition": "foreign key (a) references t(b) deferrable initially deferred",
        }),
        changes: vec![
            ("schema", json!("S 1")),
            ("table", json!("T 2")),
            ("definition", json!("CHECK (a > 0)")),
        ],
        fixed: &["database"],
    };
    conform_with_drift(&world.registry, &world.connection, &sample, &[]).await;

    // Two tables that need each other; the table leaves alone what is declared apart from it.
    let table = world
        .make(
            "postgres::table",
            "first",
            json!({
                "database": name, "columns": [{ "name": "id", "type": "int" }],
                "primary_key": ["id"], "constraints_apart": ["circle"],
            }),
        )
        .await;
    let other = json!({
        "database": name, "columns": [{ "name": "id", "type": "int" }], "primary_key": ["id"],
        "constraints": { "there": "FOREIGN KEY (id) REFERENCES first(id)" },
    });
    let _ = world.make("postgres::table", "second", other).await;
    let circle = json!({
        "database": name, "table": "first",
        "definition": "FOREIGN KEY (id) REFERENCES second(id)",
    });
    let circle = world.make("postgres::constraint", "circle", circle).await;
    world.expect_same(&table).await;
    world.expect_same(&circle).await;
    world.repair(&table).await;
    world.expect_same(&circle).await;
    gone(&world, name);
}

#[tokio::test]
async fn index() {
    let name = "conform_index";
    let world = with_database(
        name,
        &[
            "create table t (a int, b text, c text[])",
            "create table \"S 1\".t (a int, b text, c text[])",
            "create table \"T 2\" (a int, b text, c text[])",
        ],
    )
    .await;
    for concurrently in [false, true] {
        let sample = Sample {
            kind: "postgres::index",
            name: "Conform \"Index\" ü".to_owned(),
            base: json!({
                "database": name, "table": "t", "columns": ["a", "lower(b) desc", "a + 1"],
                "where": "b in ('x','y')", "concurrently": concurrently,
            }),
            changes: vec![
                ("schema", json!("S 1")),
                ("table", json!("T 2")),
                (
                    "columns",
                    json!(["b text_pattern_ops", "a DESC NULLS LAST", "c nulls first"]),
                ),
                ("include", json!(["b", "c"])),
                ("unique", json!(true)),
                ("where", json!("a > 0")),
                ("concurrently", json!(!concurrently)),
                ("parameters", json!({ "fillfactor": 70 })),
                ("tablespace", json!("pg_default")),
                ("comment", json!("what it's for")),
            ],
            fixed: &["database", "valid", "method", "nulls_not_distinct"],
        };
        let unseen = ["concurrently", "tablespace"];
        conform_with_drift(&world.registry, &world.connection, &sample, &unseen).await;
    }
    let sample = Sample {
        kind: "postgres::index",
        name: "by method".to_owned(),
        base: json!({ "database": name, "table": "t", "columns": ["a"] }),
        changes: vec![("method", json!("Hash")), ("method", json!("brin"))],
        fixed: &[
            "database",
            "schema",
            "table",
            "columns",
            "include",
            "unique",
            "nulls_not_distinct",
            "where",
            "concurrently",
            "parameters",
            "tablespace",
            "valid",
            "comment",
        ],
    };
    conform_with_drift(&world.registry, &world.connection, &sample, &[]).await;
    let sample = Sample {
        kind: "postgres::index",
        name: "one without".to_owned(),
        base: json!({ "database": name, "table": "t", "columns": ["a"], "unique": true }),
        changes: vec![("nulls_not_distinct", json!(true))],
        fixed: &[
            "database",
            "schema",
            "table",
            "columns",
            "include",
            "unique",
            "method",
            "where",
            "concurrently",
            "parameters",
            "tablespace",
            "valid",
            "comment",
        ],
    };
    conform_with_drift(&world.registry, &world.connection, &sample, &[]).await;

    // What broke off is of no use, and made anew.
    world.psql(name, "insert into t values (1), (1)");
    let spec = json!({
        "database": name, "table": "t", "columns": ["a"], "unique": true, "concurrently": true,
    });
    let broken = world.declare("postgres::index", "one_each", spec);
    let error = world.try_create(&broken).await.unwrap_err();
    assert!(error.message.contains("could not create unique index"), "{error}");
    assert_eq!(world.attribute(&broken, "valid").await, json!(false));
    world.psql(name, "truncate t");
    world.repair(&broken).await;
    gone(&world, name);
}

#[tokio::test]
async fn sequence() {
    let name = "conform_sequence";
    let world = with_database(
        name,
        &[
            "create table \"T 1\" (\"a b\" int)",
            "alter table \"T 1\" owner to conform_sequence_owner",
        ],
    )
    .await;
    let sample = Sample {
        kind: "postgres::sequence",
        name: "Conform \"Seq\" ü".to_owned(),
        base: json!({ "database": name }),
        changes: vec![
            ("schema", json!("S 1")),
            ("type", json!("integer")),
            ("increment", json!(10)),
            ("start", json!(5)),
            ("min", json!(-7)),
            ("max", json!(900)),
            ("cache", json!(4)),
            ("cycle", json!(true)),
            ("owner", json!("conform_sequence_owner")),
            ("comment", json!("what it's for")),
            // It stays so, and with the owner of its table.
            ("owned_by", json!("T 1.a b")),
        ],
        fixed: &["database"],
    };
    // What is not asked for is not looked at.
    let unseen = ["owner", "start", "min", "max", "owned_by"];
    conform_with_drift(&world.registry, &world.connection, &sample, &unseen).await;
    gone(&world, name);
}

#[tokio::test]
async fn enumeration() {
    let name = "conform_enum";
    let world = with_database(name, &[]).await;
    let mut sample = Sample {
        kind: "postgres::enum",
        name: "Conform \"Enum\" ü".to_owned(),
        base: json!({ "database": name, "values": ["rot", "it's grün"] }),
        changes: vec![
            ("schema", json!("S 1")),
            ("owner", json!("conform_enum_owner")),
            ("comment", json!("what it's for")),
        ],
        fixed: &["database", "values"],
    };
    conform_with_drift(&world.registry, &world.connection, &sample, &["owner"]).await;
    sample.name = "colour".to_owned();
    let spec = json!({ "database": name, "values": ["b", "d"] });
    let first = world.make("postgres::enum", "colour", spec).await;
    let spec = json!({ "database": name, "values": ["a", "b", "c", "d", "e", "f"] });
    let more = world.declare("postgres::enum", "colour", spec);
    world.repair(&more).await;
    let calls = &world.registry.kind("postgres::enum").unwrap().calls;
    let refused = |to: serde_json::Value| {
        let spec = json!({ "database": name, "values": to });
        let to = world.declare("postgres::enum", "colour", spec);
        calls.check_update(&more.spec, &to.spec).remove(0).message
    };
    assert_eq!(
        refused(json!(["a", "b", "c", "d", "e"])),
        "PostgreSQL cannot take the value `f` out of a type"
    );
    assert_eq!(
        refused(json!(["b", "a", "c", "d", "e", "f"])),
        "PostgreSQL cannot change the order of a type's values"
    );
    world.delete(&first).await;
    gone(&world, name);
}

#[tokio::test]
async fn domain() {
    let name = "conform_domain";
    let world = with_database(name, &[]).await;
    let sample = Sample {
        kind: "postgres::domain",
        name: "Conform \"Domain\" ü".to_owned(),
        base: json!({
            "database": name, "type": "varchar(9)", "default": "'it''s'",
            "constraints": { "long": "CHECK (length(value) > 2)" },
        }),
        changes: vec![
            ("schema", json!("S 1")),
            ("type", json!("text")),
            ("default", json!("'b'")),
            ("default", json!(null)),
            ("not_null", json!(true)),
            (
                "constraints",
                json!({ "long": "CHECK (length(value) > 3)", "b": "check (value > 'a')" }),
            ),
            ("constraints", json!({})),
            ("owner", json!("conform_domain_owner")),
            ("comment", json!("what it's for")),
        ],
        fixed: &["database"],
    };
    conform_with_drift(&world.registry, &world.connection, &sample, &["owner"]).await;
    gone(&world, name);
}
