//! What runs, guards and describes: triggers, policies, functions, comments.

use dollop_tests::conformance::{Sample, conform_with_drift};
use serde_json::json;

use super::{gone, with_database};

#[tokio::test]
async fn trigger() {
    let name = "conform_trigger";
    let function = "returns trigger language plpgsql as 'begin return new; end'";
    let world = with_database(
        name,
        &[
            "create table t (a int, \"b c\" text)",
            "create table \"S 1\".t (a int, \"b c\" text)",
            "create table \"T 2\" (a int, \"b c\" text)",
            &format!("create function note() {function}"),
            &format!("create function \"S 1\".\"note It\"() {function}"),
        ],
    )
    .await;
    let mut sample = Sample {
        kind: "postgres::trigger",
        name: "Conform \"Trigger\" ü".to_owned(),
        base: json!({
            "database": name, "table": "t", "timing": "before",
            "events": ["update", "insert"], "function": "note", "when": "new.a>1",
        }),
        changes: vec![
            ("schema", json!("S 1")),
            ("table", json!("T 2")),
            ("timing", json!("after")),
            ("events", json!(["update of \"b c\",a"])),
            ("when", json!("new.a = 2")),
            ("when", json!(null)),
            ("function", json!("S 1.note It")),
            ("arguments", json!(["it's", "", "ü"])),
            ("enabled", json!("always")),
            ("enabled", json!("replica")),
            ("enabled", json!("disabled")),
            ("comment", json!("what it's for")),
        ],
        // Only what runs after the change has these; see below.
        fixed: &["database", "level", "old_table", "new_table", "constraint"],
    };
    conform_with_drift(&world.registry, &world.connection, &sample, &[]).await;
    sample.name = "statement".to_owned();
    sample.base["when"] = json!(null);
    sample.changes =
        vec![("level", json!("statement")), ("events", json!(["delete", "insert"]))];
    sample.fixed = &[
        "old_table",
        "new_table",
        "constraint",
        "database",
        "schema",
        "table",
        "timing",
        "when",
        "function",
        "arguments",
        "enabled",
        "comment",
    ];
    conform_with_drift(&world.registry, &world.connection, &sample, &[]).await;
    sample.name = "after".to_owned();
    sample.base["timing"] = json!("after");
    sample.base["events"] = json!(["update"]);
    sample.changes = vec![
        ("old_table", json!("Rows \"before\"")),
        ("new_table", json!("after")),
        ("constraint", json!("not_deferrable")),
        ("constraint", json!("immediate")),
        ("constraint", json!("deferred")),
    ];
    sample.fixed = &[
        "database",
        "schema",
        "table",
        "timing",
        "events",
        "level",
        "when",
        "function",
        "arguments",
        "enabled",
        "comment",
    ];
    conform_with_drift(&world.registry, &world.connection, &sample, &[]).await;
    gone(&world, name);
}

#[tokio::test]
async fn event_trigger() {
    let name = "conform_event";
    let function = "returns event_trigger language plpgsql as 'begin end'";
    let world = with_database(
        name,
        &[
            &format!("create function note() {function}"),
            &format!("create function \"S 1\".\"note It\"() {function}"),
        ],
    )
    .await;
    world.psql("postgres", "alter role conform_event_owner superuser");
    let sample = Sample {
        kind: "postgres::event_trigger",
        name: "Conform \"Event\" ü".to_owned(),
        base: json!({ "database": name, "event": "ddl_command_end", "function": "note" }),
        changes: vec![
            ("event", json!("ddl_command_start")),
            ("event", json!("sql_drop")),
            ("event", json!("table_rewrite")),
            ("tags", json!(["create  table", "DROP TABLE"])),
            ("function", json!("S 1.note It")),
            ("enabled", json!("always")),
            ("enabled", json!("replica")),
            ("enabled", json!("disabled")),
            ("owner", json!("conform_event_owner")),
            ("comment", json!("what it's for")),
        ],
        fixed: &["database"],
    };
    conform_with_drift(&world.registry, &world.connection, &sample, &["owner"]).await;
    // Made anew, it is whose it was, though nobody says whose.
    let of = |event: &str| {
        let spec = json!({ "database": name, "event": event, "function": "public.note" });
        world.declare("postgres::event_trigger", "o'wned", spec)
    };
    world.try_create(&of("sql_drop")).await.unwrap();
    world.psql(name, "alter event trigger \"o'wned\" owner to conform_event_owner");
    world.repair(&of("ddl_command_end")).await;
    let owner = "select evtowner::regrole from pg_event_trigger where evtname = 'o''wned'";
    assert_eq!(world.psql(name, owner), "conform_event_owner");
    world.delete(&of("ddl_command_end")).await;
    let spec = json!({ "database": name, "event": "login", "function": "note" });
    let login = world.declare("postgres::event_trigger", "login", spec);
    let read = world.try_read(&login).await;
    if world.psql(name, "select current_setting('server_version_num')::int >= 170000") == "t" {
        assert!(read.unwrap().is_none());
    } else {
        let said = "the event `login` of an event trigger needs PostgreSQL 17; the server at";
        let error = read.unwrap_err();
        assert!(error.message.starts_with(said), "{error}");
    }
    gone(&world, name);
}

#[tokio::test]
async fn policy() {
    let name = "conform_policy";
    let world = with_database(
        name,
        &[
            "create table t (a int, b text)",
            "create table \"S 1\".t (a int, b text)",
            "create table \"T 2\" (a int, b text)",
        ],
    )
    .await;
    let mut sample = Sample {
        kind: "postgres::policy",
        name: "Conform \"Policy\" ü".to_owned(),
        base: json!({ "database": name, "table": "t", "using": "b=current_user", "check": "a>1" }),
        changes: vec![
            ("schema", json!("S 1")),
            ("table", json!("T 2")),
            ("command", json!("UPDATE")),
            ("permissive", json!(false)),
            ("roles", json!(["conform_policy_owner", "pg_monitor"])),
            ("using", json!("true")),
            ("using", json!(null)),
            ("check", json!("a > 2")),
            ("check", json!(null)),
            ("comment", json!("what it's for")),
        ],
        fixed: &["database"],
    };
    conform_with_drift(&world.registry, &world.connection, &sample, &[]).await;
    sample.name = "for insert".to_owned();
    sample.base = json!({ "database": name, "table": "t", "command": "INSERT" });
    sample.changes = vec![("check", json!("true"))];
    sample.fixed =
        &["database", "schema", "table", "command", "permissive", "roles", "using", "comment"];
    conform_with_drift(&world.registry, &world.connection, &sample, &[]).await;
    gone(&world, name);
}

#[tokio::test]
async fn functions_of_one_name() {
    let name = "conform_overloads";
    let world = with_database(name, &["create type \"S 1\".\"My Type\" as enum ('a')"]).await;
    let declare = |label: &str, arguments: &str, body: &str| {
        let mut declared = world.declare(
            "postgres::function",
            "f",
            json!({
                "database": name, "arguments": arguments, "returns": "text", "language": "sql",
                "body": body,
            }),
        );
        declared.name.address = dollop_engine::address::Address::new(
            Vec::new(),
            "postgres::function",
            vec![label.to_owned()],
        );
        declared
    };
    let all = [
        declare("none", "", "select 'none'"),
        declare("int", "a int", "select 'int'"),
        declare("two", "a varchar(9), out b text", "select 'two'"),
        declare(
            "mine",
            "x \"S 1\".\"My Type\" default 'a', variadic y int[] = '{}'",
            "select 'm'",
        ),
        declare("time", "timestamptz, double precision", "select 'time'"),
    ];
    for function in &all {
        world.try_create(function).await.unwrap_or_else(|error| panic!("{error:?}"));
    }
    for (found, declared) in world.read_all(&all).await.into_iter().zip(&all) {
        let found = found.unwrap().expect("it exists");
        assert_eq!(found.spec.to_json()["body"], declared.spec.to_json()["body"]);
    }
    world.delete(&all[1]).await;
    assert!(world.read(&all[1]).await.is_none());
    assert!(world.read(&all[0]).await.is_some());
    assert_eq!(world.psql(name, "select count(*) from pg_proc where proname = 'f'"), "4");
    gone(&world, name);
}

#[tokio::test]
async fn remarks() {
    let name = "conform_remarks";
    let world = with_database(name, &[
        "create table \"S 1\".\"T 1\" (\"a b\" int constraint \"c 1\" check (\"a b\" > 0), c text)",
        "create function \"S 1\".f(a int, b text) returns int language sql as 'select 1'",
        "create statistics \"S 1\".st on \"a b\", c from \"S 1\".\"T 1\"",
        "create rule \"r 1\" as on delete to \"S 1\".\"T 1\" do instead nothing",
        "create type \"S 1\".colour as enum ('red')",
        "create function \"S 1\".eq(\"S 1\".colour, int) returns bool language sql as 'select true'",
        "create function \"S 1\".num(\"S 1\".colour) returns int language sql as 'select 1'",
        "create operator \"S 1\".=== (function = \"S 1\".eq, leftarg = \"S 1\".colour, rightarg = int)",
        "create operator \"S 1\".!! (function = \"S 1\".num, rightarg = \"S 1\".colour)",
        "create cast (\"S 1\".colour as int) with function \"S 1\".num(\"S 1\".colour)",
        "create operator family \"S 1\".\"F 1\" using btree",
        "create domain \"S 1\".\"D 1\" as int constraint \"c 1\" check (value > 0)",
        "create policy \"p 1\" on \"S 1\".\"T 1\"",
        "create publication \"p 1\"",
        "create access method \"A 1\" type table handler heap_tableam_handler",
        "create text search template \"S 1\".\"t 1\" (lexize = dsimple_lexize)",
    ])
    .await;
    for (on, object, arguments, other) in [
        ("table", json!(["S 1", "T 1"]), json!([]), None),
        ("column", json!(["S 1", "T 1", "a b"]), json!([]), Some(json!(["S 1", "T 1", "c"]))),
        ("function", json!(["S 1", "f"]), json!(["integer", "text"]), None),
        ("table_constraint", json!(["S 1", "T 1", "c 1"]), json!([]), None),
        ("statistics", json!(["S 1", "st"]), json!([]), None),
        ("rule", json!(["S 1", "T 1", "r 1"]), json!([]), None),
        ("schema", json!(["S 1"]), json!([]), Some(json!(["public"]))),
        ("operator", json!(["S 1", "==="]), json!(["\"S 1\".colour", "int"]), None),
        ("operator", json!(["S 1", "!!"]), json!(["\"S 1\".colour"]), None),
        ("cast", json!(["\"S 1\".colour"]), json!(["int4"]), None),
        ("operator_family", json!(["btree", "S 1", "F 1"]), json!([]), None),
        ("domain_constraint", json!(["S 1", "D 1", "c 1"]), json!([]), None),
        ("policy", json!(["S 1", "T 1", "p 1"]), json!([]), None),
        ("publication", json!(["p 1"]), json!([]), None),
        ("access_method", json!(["A 1"]), json!([]), None),
        ("text_search_template", json!(["S 1", "t 1"]), json!([]), None),
        ("database", json!([name]), json!([]), None),
        ("role", json!(["conform_remarks_owner"]), json!([]), None),
        ("tablespace", json!(["pg_global"]), json!([]), None),
        // What the server brings along.
        ("text_search_parser", json!(["pg_catalog", "default"]), json!([]), None),
        ("operator", json!(["pg_catalog", "@@"]), json!(["tsvector", "tsquery"]), None),
    ] {
        if on == "schema" {
            world.psql(name, "comment on schema public is null");
        }
        if object[0] == "pg_catalog" {
            world.psql(name, "comment on text search parser pg_catalog.\"default\" is null");
            world.psql(name, "comment on operator pg_catalog.@@ (tsvector, tsquery) is null");
        }
        let mut changes = vec![("text", json!("other"))];
        changes.extend(other.map(|other| ("object", other)));
        let sample = Sample {
            kind: "postgres::comment",
            name: format!("on {on}"),
            base: json!({
                "database": name, "on": on, "object": object, "arguments": arguments,
                "text": "what it's for",
            }),
            changes,
            fixed: &["database", "on", "object", "arguments"],
        };
        conform_with_drift(&world.registry, &world.connection, &sample, &[]).await;
    }
    world.psql(name, "drop access method \"A 1\"");
    for (on, object) in [
        ("table", json!(["S 1", "T 1"])),
        ("role", json!(["conform_remarks_owner"])),
        ("database", json!([name])),
    ] {
        let spec = json!({
            "database": name, "provider": "selinux", "on": on, "object": object,
            "label": "system_u:object_r:sepgsql_table_t:s0",
        });
        let label = world.declare("postgres::security_label", "label", spec);
        let error = world.try_read(&label).await.unwrap_err();
        let said = "the server has loaded no library that knows security labels, so none is for `selinux`";
        assert_eq!(error.message, said);
    }
    gone(&world, name);
}
