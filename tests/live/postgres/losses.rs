//! What people stored goes only by consent, and a plan says how much it is and who uses it.

use super::plans::Stack;

const TABLES: &str = "let s = db.schema(\"s\", #{ cascade: true });\n\
    let id = #{ name: \"id\", type: \"int\" };\n\
    let full = s.table(\"full\", #{ columns: [id], primary_key: [\"id\"] });\n\
    s.table(\"by_month\", #{ columns: [id], partition_by: \"RANGE (id)\" });\n\
    s.table(\"empty\", #{ columns: [id] });\n";

#[test]
fn what_is_stored_goes_only_by_consent() {
    let stack = Stack::new("dt_losses");
    let project = stack.script(TABLES);
    drop(project.run(&["apply", "--auto-approve"]).expect(0));
    for sql in [
        "insert into s.full select generate_series(1, 1204)",
        "analyze s.full",
        "create view s.reads_it as select id from s.full",
        "create table s.refers (id int references s.full)",
        "create table s.part partition of s.by_month for values from (0) to (10)",
        "insert into s.by_month values (1)",
    ] {
        drop(stack.server.psql("dt_losses", sql));
    }

    // Tables alone: each by its own name, what is empty by none.
    let alone = "db.schema(\"s\", #{ cascade: true });\n";
    let project = stack.script(alone);
    let plan = project.run(&["plan"]).expect(0).text();
    for words in [
        "holds about 1,204 rows (",
        "constraint refers_id_fkey on table s.refers, view s.reads_it",
    ] {
        assert!(plan.contains(words), "no `{words}` in\n{plan}");
    }
    let refused = project.run(&["apply", "--auto-approve"]).expect(1).stderr;
    for words in [
        "would lose what 2 objects hold",
        "`postgres::table.main/dt_losses/s/full` holds about 1,204 rows (",
        "`postgres::table.main/dt_losses/s/by_month` holds ",
        "--allow-data-loss postgres::table.main/dt_losses/s/full",
    ] {
        assert!(refused.contains(words), "no `{words}` in\n{refused}");
    }
    assert!(!refused.contains("s/empty"), "{refused}");
    let by_month = "postgres::table.main/dt_losses/s/by_month";
    let one = ["apply", "--auto-approve", "--allow-data-loss", by_month];
    assert!(project.run(&one).expect(1).stderr.contains("would lose about 1,204 rows ("));

    // The schema with all of it.
    let project = stack.script("");
    let refused = project.run(&["apply", "--auto-approve"]).expect(1).stderr;
    for words in ["2 tables with about 1,20", "1 view", "postgres::schema.main/dt_losses/s"] {
        assert!(refused.contains(words), "no `{words}` in\n{refused}");
    }
    drop(stack.server.psql("dt_losses", "create schema other"));
    drop(stack.server.psql("dt_losses", "create view other.far as select id from s.full"));
    let plan = project.run(&["plan"]).expect(0).text();
    assert!(plan.contains("other.far"), "{plan}");
    let consent =
        ["apply", "--auto-approve", "--allow-data-loss", "postgres::schema.main/dt_losses/s"];
    drop(project.run(&consent).expect(0));
    assert_eq!(stack.server.psql("dt_losses", "select to_regclass('s.full') is null"), "t");

    // The database: what is in it counts, whoever made it; who is connected is named.
    drop(stack.server.psql("dt_losses", "create table elsewhere as select 1 a"));
    let session = stack.server.session("dt_losses", "select 1");
    let refused = project.run(&["destroy", "--auto-approve"]).expect(1).stderr;
    assert!(refused.contains("would lose 1 table with "), "{refused}");
    assert!(refused.contains("1 session"), "{refused}");
    drop(session);
    drop(stack.server.psql("dt_losses", "drop table elsewhere"));
    drop(project.run(&["destroy", "--auto-approve"]).expect(0));
}

#[test]
fn what_came_after_the_plan_is_kept_too() {
    let stack = Stack::new("dt_losses_late");
    let project =
        stack.script("db.table(\"late\", #{ columns: [#{ name: \"id\", type: \"int\" }] });\n");
    drop(project.run(&["apply", "--auto-approve"]).expect(0));
    let project = stack.script("");
    drop(project.run(&["plan", "--out", "late.plan"]).expect(0));
    drop(stack.server.psql("dt_losses_late", "insert into late values (1)"));
    let said =
        project.run(&["apply", "--auto-approve", "--plan", "late.plan"]).expect(1).text();
    assert!(said.contains("which nobody agreed to lose"), "{said}");
    assert_eq!(stack.server.psql("dt_losses_late", "select count(*) from late"), "1");
}

#[test]
fn a_stored_view_holds_rows_and_a_plain_one_none() {
    let stack = Stack::new("dt_losses_view");
    let views = "db.view(\"plain\", #{ query: \"SELECT 1 AS a\" });\n\
                 db.view(\"stored\", #{ query: \"SELECT 1 AS a\", materialized: true });\n";
    drop(stack.script(views).run(&["apply", "--auto-approve"]).expect(0));
    let project = stack.script("");
    let refused = project.run(&["apply", "--auto-approve"]).expect(1).stderr;
    let stored = "postgres::view.main/dt_losses_view/stored";
    assert!(refused.contains(stored) && !refused.contains("plain"), "{refused}");
    let consent = ["apply", "--auto-approve", "--allow-data-loss", stored];
    drop(project.run(&consent).expect(0));
    drop(project.run(&["destroy", "--auto-approve"]).expect(0));
}

#[test]
fn a_schema_that_takes_nothing_along_goes_last() {
    let stack = Stack::new("dt_losses_order");
    let tables = "let s = db.schema(\"s\");\n\
        let t = s.table(\"t\", #{ columns: [#{ name: \"id\", type: \"int\" }] });\n\
        t.index(\"i\", #{ columns: [\"id\"] });\n";
    drop(stack.script(tables).run(&["apply", "--auto-approve"]).expect(0));
    let project = stack.script("");
    let plan = project.run(&["plan"]).expect(0).text();
    // The schema and the table one by one, the index along with its table.
    assert!(plan.contains("2 to delete and 1 along with them"), "{plan}");
    drop(project.run(&["apply", "--auto-approve"]).expect(0));
    drop(project.run(&["destroy", "--auto-approve"]).expect(0));
}

#[test]
fn what_a_role_owns_goes_only_by_consent() {
    let stack = Stack::new("dt_losses_role");
    let role = "pg.role(\"dt_losses_owner\", #{ drop_owned: true });\n";
    drop(stack.script(role).run(&["apply", "--auto-approve"]).expect(0));
    for sql in
        ["create table owned as select 1 a", "alter table owned owner to dt_losses_owner"]
    {
        drop(stack.server.psql("dt_losses_role", sql));
    }
    let project = stack.script("");
    let refused = project.run(&["apply", "--auto-approve"]).expect(1).stderr;
    assert!(refused.contains("in database `dt_losses_role`"), "{refused}");
    let consent =
        ["apply", "--auto-approve", "--allow-data-loss", "postgres::role.main/dt_losses_owner"];
    drop(project.run(&consent).expect(0));
    drop(project.run(&["destroy", "--auto-approve"]).expect(0));
}
