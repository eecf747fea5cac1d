//! Tables that become parts of others, with what is in them.

use dollop_tests::cli::Project;

use super::plans::Stack;

/// What a plan says, in one line.
fn plan(project: &Project, code: i32) -> String {
    let said = project.run(&["plan", "--detailed-exitcode"]).expect(code).text();
    said.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn expect(said: &str, words: &[&str]) {
    for words in words {
        assert!(said.contains(words), "no `{words}` in\n{said}");
    }
}

#[test]
fn what_a_table_lacks_to_inherit_is_told_by_the_plan() {
    let stack = Stack::new("dt_heirs");
    let base = "let base = db.table(\"base\", #{ columns: [#{ name: \"id\", type: \"bigint\", \
                not_null: true }, #{ name: \"at\", type: \"date\" }], \
                constraints: #{ late: \"CHECK (at > '2000-01-01')\" } });\n";
    let heir = |rest: &str| {
        stack.script(&format!("{base}db.table(\"heir\", #{{ parameters: #{{ }}, {rest} }});\n"))
    };
    let project = heir("columns: [#{ name: \"id\", type: \"integer\" }]");
    drop(project.run(&["apply", "--auto-approve"]).expect(0));
    stack.server.psql("dt_heirs", "insert into heir values (1)");
    let project = heir("columns: [#{ name: \"id\", type: \"integer\" }], inherits: [base]");
    expect(
        &plan(project, 1),
        &[
            "`postgres::table.main/dt_heirs/heir`: column `id` is integer here and bigint in `base`",
            "column `id` may be NULL here, and not in `base`",
            "`base` has a column `at` that this table lacks",
            "add `#{ name: \"at\", type: \"date\" }` to `columns`",
            "`base` has a constraint `late` that this table lacks: CHECK ((at > '2000-01-01'::date))",
        ],
    );
    let project = heir(
        "columns: [#{ name: \"id\", type: \"bigint\", not_null: true }, \
         #{ name: \"at\", type: \"date\" }], inherits: [base], \
         constraints: #{ late: \"CHECK (at > '2000-01-01')\" }",
    );
    expect(
        &plan(project, 2),
        &["begins to inherit from `base` under an ACCESS EXCLUSIVE lock, which reads no rows"],
    );
    drop(project.run(&["apply", "--auto-approve"]).expect(0));
    let _ = plan(project, 0);
    assert_eq!(stack.server.psql("dt_heirs", "select id from base"), "1");
    // What the same plan adds to the other table counts, too.
    let more =
        base.replace("], constraints", ", #{ name: \"note\", type: \"text\" }], constraints");
    let project = stack.script(&format!(
        "{more}db.table(\"second\", #{{ columns: [#{{ name: \"id\", type: \"bigint\", not_null: true }}, \
         #{{ name: \"at\", type: \"date\" }}] }});\n"
    ));
    drop(
        project
            .run(&["apply", "--auto-approve", "--only", "postgres::table.main/dt_heirs/second"])
            .expect(0),
    );
    let project = stack.script(&format!(
        "{more}db.table(\"second\", #{{ inherits: [base], columns: [#{{ name: \"id\", type: \"bigint\", \
         not_null: true }}, #{{ name: \"at\", type: \"date\" }}] }});\n"
    ));
    expect(&plan(project, 1), &["`base` has a column `note` that this table lacks"]);
}

#[test]
fn a_table_becomes_a_partition_with_its_rows() {
    let stack = Stack::new("dt_parts");
    let events = "let events = db.table(\"events\", #{ columns: [#{ name: \"id\", type: \"bigint\" }, \
                  #{ name: \"kind\", type: \"text\" }], primary_key: [\"id\", \"kind\"], \
                  partition_by: \"LIST (kind)\", constraints: #{ positive: \"CHECK (id > 0)\" } });\n";
    let old =
        |rest: &str| stack.script(&format!("{events}db.table(\"old\", #{{ {rest} }});\n"));
    let columns = "#{ name: \"id\", type: \"bigint\" }, #{ name: \"kind\", type: \"text\" }";
    let constraints =
        "constraints: #{ positive: \"CHECK (id > 0)\", small: \"CHECK (id < 9)\" }";
    let key = "primary_key: [\"id\", \"kind\"]";
    let project = old(&format!(
        "columns: [{columns}, #{{ name: \"more\", type: \"int\" }}], {key}, {constraints}"
    ));
    drop(project.run(&["apply", "--auto-approve"]).expect(0));
    stack.server.psql("dt_parts", "insert into old values (1, 'a'), (2, 'b')");

    let part = |bounds: &str| format!("partition_of: events, bounds: \"{bounds}\"");
    let both = part("FOR VALUES IN ('a', 'b')");
    expect(
        &plan(old(&both), 1),
        &["column `more` is not in `events`, and a partition has no others"],
    );
    let project =
        old(&format!("columns: [{columns}], drop_columns: [\"more\"], {key}, {constraints}"));
    drop(project.run(&["apply", "--auto-approve"]).expect(0));

    // Rows that `bounds` have no place for stop it, and nothing is half done.
    let project = old(&part("FOR VALUES IN ('a')"));
    let said = project.run(&["apply", "--auto-approve"]).expect(1).text();
    expect(&said, &["is violated by some row", "mend them"]);
    let kept =
        "select conname from pg_constraint where conrelid = 'old'::regclass and contype = 'c'
        order by 1";
    assert_eq!(stack.server.psql("dt_parts", kept), "positive\nsmall");

    let project = old(&both);
    let said = plan(project, 2);
    expect(
        &said,
        &[
            "1 to update, 0 to replace, 0 to delete",
            "becomes a partition with its columns and rows; reads these, and those of a DEFAULT \
             partition of `events`, under an ACCESS EXCLUSIVE lock on both",
        ],
    );
    let sql = project.run(&["plan", "--sql"]).expect(0).text();
    expect(
        &sql,
        &[
            "ALTER TABLE \"public\".\"events\" ATTACH PARTITION \"public\".\"old\" FOR VALUES IN ('a', 'b')",
        ],
    );
    drop(project.run(&["apply", "--auto-approve"]).expect(0));
    let _ = plan(project, 0);
    assert_eq!(stack.server.psql("dt_parts", "select count(*) from events"), "2");
    // What both had is the other's now, and what only it had is gone.
    assert_eq!(stack.server.psql("dt_parts", kept), "positive");

    // Other bounds, and then another table, take it along with what is in it.
    let wide = part("FOR VALUES IN ('a', 'b', 'c')");
    let project = old(&wide);
    expect(
        &plan(project, 2),
        &["leaves `events` under an ACCESS EXCLUSIVE lock on that as well"],
    );
    drop(project.run(&["apply", "--auto-approve"]).expect(0));
    let _ = plan(project, 0);
    assert_eq!(stack.server.psql("dt_parts", "select count(*) from events"), "2");

    let project = old(&format!("columns: [{columns}], {key}, {constraints}"));
    expect(
        &plan(project, 2),
        &["1 to replace", "DATA LOSS postgres::table.main/dt_parts/old holds about 2 rows"],
    );
    drop(project.run(&["apply", "--auto-approve"]).expect(1));
    // One whose table is made anew goes with it, and says so.
    let other = events.replace("LIST (kind)", "RANGE (kind)");
    let anew = stack.script(&format!("{other}db.table(\"old\", #{{ {wide} }});\n"));
    expect(
        &plan(anew, 2),
        &["2 to replace", "DATA LOSS postgres::table.main/dt_parts/old holds about 2 rows"],
    );
    let project = old(&format!("columns: [{columns}], {key}, {constraints}"));
    stack.server.psql("dt_parts", "alter table events detach partition old");
    drop(project.run(&["apply", "--auto-approve"]).expect(0));
    let _ = plan(project, 0);
    assert_eq!(stack.server.psql("dt_parts", "select count(*) from old"), "2");
}
