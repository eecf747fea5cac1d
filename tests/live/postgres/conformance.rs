//! Every kind through the shared conformance run. What a change behind dollop's back is not
//! seen of is what the server does not keep, or what is not looked at when it is left out; the
//! latter is looked at in roles.rs and objects.rs. Grants have grants.rs.

use dollop_tests::conformance::{Sample, conform, conform_with_drift};
use serde_json::json;

use super::world::World;

#[tokio::test]
async fn role() {
    let world = World::open().await;
    world.psql("postgres", "create role conform_group");
    world.psql("postgres", "create role \"Conform Größe\"");
    let sample = Sample {
        kind: "postgres::role",
        name: "conform \"Rolle\" ü".to_owned(),
        base: json!({}),
        changes: vec![
            ("login", json!(false)),
            ("superuser", json!(true)),
            ("createdb", json!(true)),
            ("createrole", json!(true)),
            ("inherit", json!(false)),
            ("replication", json!(true)),
            ("bypassrls", json!(true)),
            ("connection_limit", json!(7)),
            ("password", json!("hunter2 \"'\\ ü")),
            ("valid_until", json!("2031-05-06T07:08:09.5+02:00")),
            ("valid_until", json!("2031-05-06")),
            ("member_of", json!(["conform_group", "Conform Größe", "conform_group"])),
            (
                "settings",
                json!({
                    "search_path": "\"$user\", App, \"Größe \"\"x\"\"\", select",
                    "work_mem": "64MB",
                    "TimeZone": "Europe/Paris",
                    "app.tenant": "it's \\ = x",
                    "statement_timeout": 5000,
                    "jit": false,
                }),
            ),
            ("comment", json!("what it's for")),
            ("reassign_owned_to", json!("conform_group")),
            ("drop_owned", json!(true)),
        ],
        fixed: &[],
    };
    conform_with_drift(
        &world.registry,
        &world.connection,
        &sample,
        &["password", "member_of", "reassign_owned_to", "drop_owned"],
    )
    .await;
    world.psql("postgres", "drop role conform_group");
    world.psql("postgres", "drop role \"Conform Größe\"");
}

#[tokio::test]
async fn database() {
    let world = World::open().await;
    world.psql("postgres", "create role conform_db_owner");
    // In one message it would be a transaction, where tablespaces cannot be made.
    world.psql("postgres", "alter role postgres set allow_in_place_tablespaces = on");
    world.psql("postgres", "create tablespace \"Conform Space\" location ''");
    let like_base = "template template0 lc_collate 'C' lc_ctype 'C'";
    let template = "\"conform \"\"Template\"\"\"";
    world.psql("postgres", &format!("create database {template} {like_base}"));
    let mut sample = Sample {
        kind: "postgres::database",
        name: "Conform \"Db\" ü".to_owned(),
        // An encoding other than the locale's needs a locale that has none.
        base: json!({ "lc_collate": "C", "lc_ctype": "C" }),
        changes: vec![
            ("owner", json!("conform_db_owner")),
            ("encoding", json!("sql-ascii")),
            ("lc_collate", json!("en_US.utf8")),
            ("lc_ctype", json!("en_US.utf8")),
            ("template", json!("conform \"Template\"")),
            ("strategy", json!("file_copy")),
            ("connection_limit", json!(9)),
            ("allow_connections", json!(false)),
            ("icu_locale", json!("de-DE")),
            ("locale_provider", json!("libc")),
            ("is_template", json!(true)),
            ("tablespace", json!("Conform Space")),
            ("settings", json!({ "search_path": "a, B", "work_mem": "8MB" })),
            ("comment", json!("catalogue")),
            ("force_drop", json!(true)),
        ],
        // PostgreSQL 17 and 16; see `options_of_newer_servers`.
        fixed: &["builtin_locale", "icu_rules"],
    };
    // Not every server was built with that library.
    let icu = "select count(*) > 0 from pg_collation where collname like '%-x-icu'";
    if world.psql("postgres", icu) == "f" {
        sample.changes.retain(|(attribute, _)| *attribute != "icu_locale");
        sample.fixed = &["icu_locale", "builtin_locale", "icu_rules"];
    }
    conform_with_drift(
        &world.registry,
        &world.connection,
        &sample,
        &["owner", "strategy", "tablespace", "force_drop"],
    )
    .await;
    world.psql("postgres", &format!("drop database {template}"));
    world.psql("postgres", "drop role conform_db_owner");
    world.psql("postgres", "drop tablespace \"Conform Space\"");
    world.psql("postgres", "alter role postgres reset allow_in_place_tablespaces");
}

#[tokio::test]
async fn schema() {
    let world = World::open().await;
    world.psql("postgres", "create role conform_schema_owner");
    world.psql("postgres", "create database conform_schema");
    let sample = Sample {
        kind: "postgres::schema",
        name: "Conform/\"Schema\" ü".to_owned(),
        base: json!({ "database": "conform_schema" }),
        changes: vec![
            ("owner", json!("conform_schema_owner")),
            ("comment", json!("tables")),
            ("cascade", json!(true)),
        ],
        fixed: &["database"],
    };
    conform_with_drift(&world.registry, &world.connection, &sample, &["owner", "cascade"])
        .await;
    world.psql("postgres", "drop database conform_schema with (force)");
    world.psql("postgres", "drop role conform_schema_owner");
}

#[tokio::test]
async fn extension() {
    let world = World::open().await;
    world.psql("postgres", "create database conform_extension");
    world.psql("conform_extension", "create schema \"Other\"");
    let newest = "select default_version from pg_available_extensions where name = 'pg_trgm'";
    let newest = world.psql("conform_extension", newest);
    let sample = Sample {
        kind: "postgres::extension",
        name: "pg_trgm".to_owned(),
        base: json!({ "database": "conform_extension" }),
        changes: vec![
            ("schema", json!("Other")),
            ("version", json!(newest)),
            ("cascade", json!(true)),
        ],
        fixed: &["database"],
    };
    conform_with_drift(
        &world.registry,
        &world.connection,
        &sample,
        &["schema", "version", "cascade"],
    )
    .await;
    world.psql("postgres", "drop database conform_extension with (force)");
}

#[tokio::test]
async fn grant() {
    let world = World::open().await;
    world.psql("postgres", "create role \"Conform Grant\"");
    world.psql("postgres", "create role conform_grant_other");
    world.psql("postgres", "create database conform_grant");
    for schema in ["\"S 1\"", "s2"] {
        world.psql("conform_grant", &format!("create schema {schema}"));
        world.psql("conform_grant", &format!("create table {schema}.\"T 1\" (id serial)"));
        world.psql("conform_grant", &format!("create table {schema}.t2 (id serial)"));
        let function = "f(a int, variadic b text[]) returns int language sql as 'select 1'";
        world.psql("conform_grant", &format!("create function {schema}.{function}"));
        let function = "f(a text) returns int language sql as 'select 1'";
        world.psql("conform_grant", &format!("create function {schema}.{function}"));
    }
    let mut sample = Sample {
        kind: "postgres::grant",
        name: "label".to_owned(),
        base: json!({
            "database": "conform_grant",
            "role": "Conform Grant",
            "on": "tables",
            "schema": "S 1",
            "privileges": ["select"],
        }),
        changes: vec![
            ("role", json!("conform_grant_other")),
            ("role", json!("public")),
            ("on", json!("sequences")),
            ("schema", json!("s2")),
            ("objects", json!(["t2", "T 1"])),
            ("objects", json!(["T 1"])),
            ("privileges", json!(["ALL"])),
            ("privileges", json!(["insert", "UPDATE"])),
            ("with_grant_option", json!(true)),
        ],
        fixed: &["database", "columns"],
    };
    conform(&world.registry, &world.connection, &sample).await;

    for (on, schema, privilege, more) in
        [("database", None, "temp", "ALL"), ("schema", Some("S 1"), "usage", "all privileges")]
    {
        sample.base["on"] = json!(on);
        sample.base["schema"] = json!(schema);
        sample.base["privileges"] = json!([privilege]);
        sample.changes =
            vec![("privileges", json!([more])), ("with_grant_option", json!(true))];
        sample.fixed = &["database", "role", "on", "schema", "objects", "columns"];
        conform(&world.registry, &world.connection, &sample).await;
    }
    // What everybody may do already would look like a grant.
    world.psql("conform_grant", "revoke execute on all functions in schema s2 from public");
    sample.base["on"] = json!("functions");
    sample.base["schema"] = json!("s2");
    sample.base["privileges"] = json!(["EXECUTE"]);
    sample.changes = vec![
        ("role", json!("PUBLIC")),
        ("objects", json!(["f"])),
        ("with_grant_option", json!(true)),
    ];
    sample.fixed = &["database", "on", "schema", "privileges", "columns"];
    conform(&world.registry, &world.connection, &sample).await;

    world.psql("postgres", "drop database conform_grant with (force)");
    world.psql("postgres", "drop role \"Conform Grant\"");
    world.psql("postgres", "drop role conform_grant_other");
}

#[tokio::test]
async fn grant_on_parts_and_rarer_things() {
    let world = World::open().await;
    let database = "conform_grant_rare";
    world.psql("postgres", "create role \"Conform Rare\"");
    world.psql("postgres", &format!("create database {database}"));
    for made in [
        "create table \"T 1\" (\"a b\" int, c int, d int)",
        "create view v as select c, d, 1 \"a b\" from \"T 1\"",
        "create procedure p(inout x int) language sql as 'select 1'",
        "create type colour as enum ('red')",
        "create domain small as int check (value < 10)",
        "revoke all on procedure p from public",
        "revoke all on type colour, small from public",
        "create foreign data wrapper \"W 1\"",
        "create server \"S 1\" foreign data wrapper \"W 1\"",
    ] {
        world.psql(database, made);
    }
    let mut sample = Sample {
        kind: "postgres::grant",
        name: "columns".to_owned(),
        base: json!({
            "database": database, "role": "Conform Rare", "on": "tables", "schema": "public",
            "objects": ["T 1"], "columns": ["a b"], "privileges": ["select"],
        }),
        changes: vec![
            ("objects", json!(["T 1", "v"])),
            ("columns", json!(["c", "a b", "d"])),
            ("columns", json!(["d"])),
            ("privileges", json!(["ALL"])),
            ("with_grant_option", json!(true)),
        ],
        fixed: &["database", "role", "on", "schema"],
    };
    conform(&world.registry, &world.connection, &sample).await;

    for (on, schema, objects, privilege) in [
        ("procedures", Some("public"), json!([]), "EXECUTE"),
        ("types", Some("public"), json!(["small", "colour"]), "USAGE"),
        ("languages", None, json!(["sql"]), "USAGE"),
        ("foreign_data_wrappers", None, json!(["W 1"]), "USAGE"),
        ("foreign_servers", None, json!(["S 1"]), "USAGE"),
        ("routines", Some("public"), json!([]), "EXECUTE"),
        ("tablespaces", None, json!(["pg_default"]), "CREATE"),
        ("parameters", None, json!(["Log_Min_Messages", "app.tenant"]), "set"),
        ("parameters", None, json!(["log_min_messages"]), "ALL"),
    ] {
        sample.name = format!("on {on}");
        sample.base = json!({
            "database": database, "role": "Conform Rare", "on": on, "schema": schema,
            "objects": objects, "privileges": [privilege],
        });
        sample.changes = vec![("with_grant_option", json!(true))];
        sample.fixed =
            &["database", "role", "on", "schema", "objects", "columns", "privileges"];
        conform(&world.registry, &world.connection, &sample).await;
    }
    // What no server has, no plan can make.
    let spec = json!({
        "database": database, "role": "Conform Rare", "on": "parameters",
        "objects": ["work_memory"], "privileges": ["SET"],
    });
    let unknown = world.declare("postgres::grant", "unknown", spec);
    let error = world.try_read(&unknown).await.unwrap_err();
    assert!(error.message.starts_with("there is no setting `work_memory` at"), "{error}");
    world.psql("postgres", &format!("drop database {database} with (force)"));
    world.psql("postgres", "drop role \"Conform Rare\"");
}

#[tokio::test]
async fn default_privileges() {
    let world = World::open().await;
    let database = "conform_defaults";
    for role in ["\"Conform Maker\"", "conform_user", "conform_maker2"] {
        world.psql("postgres", &format!("create role {role}"));
    }
    world.psql("postgres", &format!("create database {database}"));
    world.psql(database, "create schema \"S 1\"");
    let mut sample = Sample {
        kind: "postgres::default_privileges",
        name: "label".to_owned(),
        base: json!({
            "database": database, "owner": "Conform Maker", "role": "conform_user",
            "on": "tables", "privileges": ["select"],
        }),
        changes: vec![
            ("owner", json!("conform_maker2")),
            ("role", json!("public")),
            ("schema", json!("S 1")),
            ("privileges", json!(["insert", "UPDATE"])),
            ("privileges", json!(["all"])),
            ("with_grant_option", json!(true)),
        ],
        fixed: &["database", "on"],
    };
    conform_with_drift(&world.registry, &world.connection, &sample, &[]).await;
    for (on, privilege) in [
        ("sequences", "usage"),
        ("functions", "execute"),
        ("types", "usage"),
        ("schemas", "usage"),
    ] {
        sample.name = format!("on {on}");
        sample.base["on"] = json!(on);
        sample.base["privileges"] = json!([privilege]);
        sample.changes = vec![("with_grant_option", json!(true))];
        sample.fixed = &["database", "on", "owner", "role", "schema", "privileges"];
        conform_with_drift(&world.registry, &world.connection, &sample, &[]).await;
    }
    world.psql("postgres", &format!("drop database {database} with (force)"));
    for role in ["\"Conform Maker\"", "conform_user", "conform_maker2"] {
        world.psql("postgres", &format!("drop role {role}"));
    }
}

#[tokio::test]
async fn membership() {
    let world = World::open().await;
    for role in ["\"Conform Team\"", "conform_team2", "\"Conform Mate ü\"", "conform_mate2"] {
        world.psql("postgres", &format!("create role {role}"));
    }
    let sample = Sample {
        kind: "postgres::membership",
        name: "label".to_owned(),
        base: json!({ "role": "Conform Team", "member": "Conform Mate ü" }),
        changes: vec![
            ("role", json!("conform_team2")),
            ("member", json!("conform_mate2")),
            ("admin", json!(true)),
        ],
        // PostgreSQL 16; see `options_of_newer_servers_are_refused`.
        fixed: &["inherit", "set"],
    };
    conform_with_drift(&world.registry, &world.connection, &sample, &[]).await;
    for role in ["\"Conform Team\"", "conform_team2", "\"Conform Mate ü\"", "conform_mate2"] {
        world.psql("postgres", &format!("drop role {role}"));
    }
}

#[tokio::test]
async fn view() {
    let world = World::open().await;
    let database = "conform_view";
    world.psql("postgres", "create role conform_view_owner");
    world.psql("postgres", &format!("create database {database}"));
    world.psql(database, "create schema \"S 1\"; create table t (a int, b text)");
    world.psql(database, "grant create on schema public, \"S 1\" to conform_view_owner");
    for materialized in [false, true] {
        let mut sample = Sample {
            kind: "postgres::view",
            name: "Conform \"View\" ü".to_owned(),
            base: json!({
                "database": database, "query": "  select a from t where b in ('x','y');\n",
                "materialized": materialized, "columns": ["a"],
            }),
            changes: vec![
                ("columns", json!(["Größe \"x\""])),
                ("schema", json!("S 1")),
                ("query", json!("select a from t where b in ('x','z')")),
                ("materialized", json!(!materialized)),
                (
                    "parameters",
                    if materialized {
                        json!({ "fillfactor": 70 })
                    } else {
                        json!({ "security_barrier": true, "check_option": "local" })
                    },
                ),
                ("owner", json!("conform_view_owner")),
                ("comment", json!("what it's for")),
            ],
            fixed: if materialized {
                &["database"]
            } else {
                &["database", "with_data", "tablespace"]
            },
        };
        if materialized {
            sample.changes.push(("with_data", json!(false)));
            sample.changes.push(("tablespace", json!("pg_default")));
        }
        // With another name of a column the query is another one to the server.
        let unseen = ["owner", "columns", "with_data", "tablespace"];
        conform_with_drift(&world.registry, &world.connection, &sample, &unseen).await;
    }
    let later = |with_data: bool| {
        let spec = json!({
            "database": database, "query": "SELECT 1 AS a", "materialized": true,
            "with_data": with_data,
        });
        world.declare("postgres::view", "later", spec)
    };
    world.try_create(&later(false)).await.unwrap();
    world.expect_same(&later(false)).await;
    let filled = "select relispopulated from pg_class where relname = 'later'";
    assert_eq!(world.psql(database, filled), "f");
    world.repair(&later(true)).await;
    assert_eq!(world.psql(database, filled), "t");
    // Who fills it does what it is for.
    world.expect_same(&later(false)).await;
    world.psql("postgres", &format!("drop database {database} with (force)"));
    world.psql("postgres", "drop role conform_view_owner");
}

#[tokio::test]
async fn function() {
    let world = World::open().await;
    let database = "conform_function";
    world.psql("postgres", "create role conform_function_owner");
    world.psql("postgres", &format!("create database {database}"));
    world.psql(database, "create schema \"S 1\"");
    world.psql(database, "grant create on schema public to conform_function_owner");
    let mut sample = Sample {
        kind: "postgres::function",
        name: "Conform \"Function\" ü".to_owned(),
        base: json!({
            "database": database, "arguments": "a int, b text default 'it''s \\'",
            "returns": "int", "body": "begin\r\n  return a; -- 'ü' \\ $$\nend",
        }),
        changes: vec![
            ("schema", json!("S 1")),
            ("arguments", json!("a int")),
            ("returns", json!("bigint")),
            ("body", json!("begin return a + 1; end")),
            ("check_body", json!(false)),
            ("volatility", json!("immutable")),
            ("volatility", json!("stable")),
            ("strict", json!(true)),
            ("parallel", json!("safe")),
            ("parallel", json!("restricted")),
            ("leakproof", json!(true)),
            ("cost", json!(7)),
            ("support", json!("generate_series_int4_support")),
            ("security_definer", json!(true)),
            ("settings", json!({ "search_path": "App, public", "work_mem": "8MB" })),
            ("owner", json!("conform_function_owner")),
            ("comment", json!("what it's for")),
        ],
        // A body is of one language, and only a set has rows; see below.
        fixed: &["database", "language", "rows", "window"],
    };
    conform_with_drift(
        &world.registry,
        &world.connection,
        &sample,
        &["owner", "cost", "support", "check_body"],
    )
    .await;
    sample.name = "set".to_owned();
    sample.base = json!({
        "database": database, "language": "SQL", "returns": "setof int", "rows": 10,
        "body": "select 1",
    });
    sample.changes = vec![("rows", json!(20)), ("body", json!("select 2"))];
    sample.fixed = &[
        "database",
        "schema",
        "arguments",
        "returns",
        "language",
        "check_body",
        "volatility",
        "strict",
        "parallel",
        "leakproof",
        "cost",
        "support",
        "security_definer",
        "settings",
        "owner",
        "comment",
        "window",
    ];
    conform_with_drift(&world.registry, &world.connection, &sample, &[]).await;
    sample.name = "procedure".to_owned();
    sample.base = json!({ "database": database, "language": "sql", "body": "select 1" });
    sample.changes = vec![("arguments", json!("inout a int")), ("body", json!("select 2"))];
    sample.fixed = &[
        "database",
        "schema",
        "returns",
        "language",
        "check_body",
        "volatility",
        "strict",
        "parallel",
        "leakproof",
        "cost",
        "rows",
        "support",
        "security_definer",
        "settings",
        "owner",
        "comment",
        "window",
    ];
    conform_with_drift(&world.registry, &world.connection, &sample, &["owner", "cost"]).await;
    sample.name = "window".to_owned();
    sample.base = json!({
        "database": database, "language": "internal", "returns": "bigint",
        "body": "window_row_number",
    });
    sample.changes = vec![("window", json!(true)), ("body", json!("window_rank"))];
    sample.fixed = &[
        "database",
        "schema",
        "arguments",
        "returns",
        "language",
        "check_body",
        "volatility",
        "strict",
        "parallel",
        "leakproof",
        "cost",
        "rows",
        "support",
        "security_definer",
        "settings",
        "owner",
        "comment",
    ];
    conform_with_drift(&world.registry, &world.connection, &sample, &["cost"]).await;
    world.psql("postgres", &format!("drop database {database} with (force)"));
    world.psql("postgres", "drop role conform_function_owner");
}

#[tokio::test]
async fn sql() {
    let world = World::open().await;
    let database = "conform_sql";
    world.psql("postgres", &format!("create database {database}"));
    let there = "select exists (select from pg_class where relname = 'made \"it\"')";
    let made = "create table \"made \"\"it\"\"\" (id int); select 1;";
    let gone = "drop table \"made \"\"it\"\"\"";
    let sample = Sample {
        kind: "postgres::sql",
        name: "label ü".to_owned(),
        base: json!({ "database": database, "unless": there, "run": made, "undo": gone }),
        changes: vec![
            ("run", json!(format!("{made} select 2"))),
            ("undo", json!(format!("{gone} cascade"))),
        ],
        // What is asked for tells one from another, where no record does.
        fixed: &["database", "unless"],
    };
    conform(&world.registry, &world.connection, &sample).await;
    world.psql("postgres", &format!("drop database {database} with (force)"));
}

#[tokio::test]
async fn role_settings() {
    let world = World::open().await;
    let database = "conform \"Settings\"";
    let quoted = "\"conform \"\"Settings\"\"\"";
    world.psql("postgres", &format!("create database {quoted}"));
    for role in ["\"Set ü\"", "conform_set"] {
        world.psql("postgres", &format!("create role {role}"));
    }
    let sample = Sample {
        kind: "postgres::role_settings",
        name: "label".to_owned(),
        base: json!({
            "database": database, "role": "Set ü", "settings": { "work_mem": "8MB" },
        }),
        changes: vec![
            ("role", json!("conform_set")),
            (
                "settings",
                json!({ "Search_Path": "App, \"$user\"", "app.tenant": "it's", "jit": false }),
            ),
        ],
        fixed: &["database"],
    };
    conform_with_drift(&world.registry, &world.connection, &sample, &[]).await;
    // Those of the role itself, and those of others, are not its business.
    let spec = json!({
        "database": database, "role": "conform_set", "settings": { "work_mem": "9MB" },
    });
    world.psql("postgres", "alter role conform_set set jit = off");
    world.psql("postgres", "alter role conform_set in database postgres set jit = on");
    let made = world.make("postgres::role_settings", "label", spec).await;
    world.expect_same(&made).await;
    world.delete(&made).await;
    let left =
        "select string_agg(setconfig::text, ' ' order by setdatabase) from pg_db_role_setting
        where setrole = 'conform_set'::regrole";
    assert_eq!(world.psql("postgres", left), "{jit=off} {jit=on}");
    world.psql("postgres", &format!("drop database {quoted} with (force)"));
    for role in ["\"Set ü\"", "conform_set"] {
        world.psql("postgres", &format!("drop role {role}"));
    }
}
