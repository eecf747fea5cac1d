//! Where names are looked for: what reads catalogs asks the server alone, and what a script
//! names is what it was, whatever the path of the session is.

use serde_json::json;

use super::plans::Stack;
use super::world::World;

/// Functions and operators that fit calls in introspection queries better than the server's own,
/// or, with `public` in front, as well: each fails, so that nobody can call one unseen.
const TRAPS: &str = "
    create function public.round(real) returns float8 language plpgsql as $$ begin raise exception 'trapped in round'; end $$;
    create function public.quote_ident(name) returns text language plpgsql as $$ begin raise exception 'trapped in quote_ident'; end $$;
    create function public.format_type(oid, int) returns text language plpgsql as $$ begin raise exception 'trapped in format_type'; end $$;
    create function public.pg_get_expr(pg_node_tree, oid) returns text language plpgsql as $$ begin raise exception 'trapped in pg_get_expr'; end $$;
    create function public.pg_get_userbyid(oid) returns name language plpgsql as $$ begin raise exception 'trapped in pg_get_userbyid'; end $$;
    create function public.current_setting(text) returns text language plpgsql as $$ begin raise exception 'trapped in current_setting'; end $$;
    create function public.set_config(text, text, bool) returns text language plpgsql as $$ begin raise exception 'trapped in set_config'; end $$;
    create function public.trap(name, text) returns text language plpgsql as $$ begin raise exception 'trapped in name || text'; end $$;
    create function public.trap(text, name) returns text language plpgsql as $$ begin raise exception 'trapped in text || name'; end $$;
    create function public.trap(oid, oid) returns bool language plpgsql as $$ begin raise exception 'trapped in oid = oid'; end $$;
    create function public.trap(name, name) returns bool language plpgsql as $$ begin raise exception 'trapped in name = name'; end $$;
    create operator public.|| (function = public.trap, leftarg = name, rightarg = text);
    create operator public.|| (function = public.trap, leftarg = text, rightarg = name);
    create operator public.= (function = public.trap, leftarg = oid, rightarg = oid);
    create operator public.= (function = public.trap, leftarg = name, rightarg = name);
";

#[test]
fn nobody_answers_in_the_servers_place() {
    let stack = Stack::new("dt_trap");
    let script = |comment: &str| {
        format!(
            "let s = db.schema(\"app\");\n\
             let e = db.enum(\"status\", #{{ values: [\"a\"] }});\n\
             let id = #{{ name: \"id\", type: \"bigint\", identity: \"always\" }};\n\
             let t = s.table(\"t\", #{{ columns: [id, #{{ name: \"n\", type: \"text\", default: \"'x'\" }}], \
             primary_key: [\"id\"], comment: \"{comment}\" }});\n\
             t.index(\"i\", #{{ columns: [\"n\"], where: \"id > 0\" }});\n\
             let f = s.function(\"f\", #{{ returns: \"trigger\", body: \"begin return new; end\", cost: 7 }});\n\
             t.trigger(\"g\", #{{ timing: \"before\", events: [\"UPDATE OF n\"], function: \"app.f\", \
             depends_on: [f] }});\n\
             s.view(\"v\", #{{ query: \"SELECT id FROM app.t\", depends_on: [t] }});\n\
             s.sequence(\"q\");\n\
             db.grant(\"g\", #{{ role: \"pg_monitor\", on: \"tables\", schema: s, privileges: [\"SELECT\"] }});\n"
        )
    };
    drop(stack.script(&script("a")).run(&["apply", "--auto-approve"]).expect(0));
    for (path, trapped) in [("public, app", false), ("public, pg_catalog", true)] {
        let set = format!("alter role postgres in database dt_trap set search_path = {path}");
        drop(stack.server.psql("postgres", &set));
        if !trapped {
            drop(stack.server.psql("dt_trap", TRAPS));
        }
        let project = stack.script(&script(path));
        let plan = project.run(&["plan"]).expect(0).text();
        assert!(plan.contains("1 to update"), "{plan}");
        drop(project.run(&["apply", "--auto-approve"]).expect(0));
        drop(project.run(&["plan", "--detailed-exitcode"]).expect(0));
    }
    drop(stack.script("").run(&["apply", "--auto-approve"]).expect(0));
}

/// Whoever reads with a path of their own sees what was declared without schemas.
#[tokio::test]
async fn what_a_script_leaves_out_the_server_may_say() {
    let world = World::open().await;
    world.psql("postgres", "create database dt_path");
    for sql in [
        "create schema app",
        "alter database dt_path set search_path = app, public",
        "create type public.colour as enum ('red')",
    ] {
        world.psql("dt_path", sql);
    }
    let of = |schema: &str, rest: serde_json::Value| {
        let mut all = json!({ "database": "dt_path", "schema": schema });
        all.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        all
    };
    let mut made = Vec::new();
    for (kind, name, spec) in [
        ("postgres::enum", "status", of("app", json!({ "values": ["new", "done"] }))),
        ("postgres::sequence", "counter", of("app", json!({}))),
        (
            "postgres::table",
            "users",
            of(
                "app",
                json!({
                    "columns": [
                        { "name": "id", "type": "bigint", "default": "nextval('counter')" },
                        { "name": "state", "type": "status", "default": "'new'::status" },
                        { "name": "states", "type": "app.status[]" },
                        { "name": "paint", "type": "colour" },
                        { "name": "other", "type": "public.colour" },
                    ],
                    "primary_key": ["id"],
                    "constraints": { "told": "CHECK (state <> 'done'::status OR id > 0)" },
                }),
            ),
        ),
        (
            "postgres::table",
            "orders",
            of(
                "public",
                json!({
                    "columns": [{ "name": "by", "type": "bigint" }],
                    "constraints": { "k": "FOREIGN KEY (by) REFERENCES users (id)" },
                }),
            ),
        ),
        ("postgres::domain", "mood", of("app", json!({ "type": "status" }))),
        (
            "postgres::function",
            "f",
            of(
                "public",
                json!({
                    "arguments": "s status, c colour", "returns": "status", "language": "sql",
                    "body": "select s",
                }),
            ),
        ),
    ] {
        made.push(world.make(kind, name, spec).await);
    }
    let view = of("public", json!({ "query": "SELECT users.id FROM users" }));
    made.push(world.make("postgres::view", "v", view).await);
    for what in &made[..6] {
        world.expect_same(what).await;
    }
    let view = world.attribute(&made[6], "query").await;
    assert!(view.as_str().unwrap().contains("app.users"), "with its schema: {view}");

    // Without `public` in the path.
    world.psql("postgres", "alter database dt_path set search_path = app");
    let other = World::open().await;
    let columns = json!({ "columns": [{ "name": "c", "type": "public.colour" }] });
    let table = other.make("postgres::table", "apart", of("app", columns)).await;
    other.expect_same(&table).await;
    // Somebody may have left it out because others create there.
    let trap = "create function public.round(real) returns float8 language sql immutable
        as 'select 1.0::float8'";
    world.psql("dt_path", trap);
    let column = json!({ "name": "n", "type": "float8", "default": "round(1.5::real)" });
    other.make("postgres::table", "safe", of("app", json!({ "columns": [column] }))).await;
    let default = "select pg_get_expr(adbin, adrelid) from pg_attrdef
        where adrelid = 'app.safe'::regclass";
    let said = world.psql("dt_path", default);
    assert!(!said.contains("public"), "{said}");
    world.psql("postgres", "drop database dt_path with (force)");
}
