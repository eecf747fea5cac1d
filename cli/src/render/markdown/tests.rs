use dollop_engine::diagnostic::{Code, Diagnostic};
use dollop_engine::value::Value;

use super::*;
use crate::render::fixture::{self, change, differs, empty, now};

#[test]
fn a_small_plan_reads_well() {
    insta::assert_snapshot!(plan(&fixture::small(), &Lines::new()), @r#"
    <!-- dollop:plan:shop -->
    ### Plan for <code>shop</code>

    **Plan: 1 to create, 1 to update, 0 to replace, 0 to delete; 1 unchanged.**

    #### Changed outside dollop since the last run

    - <code>docker::container.web</code> <code>env.LOG</code>

    #### Changes

    <details>
    <summary><b>update</b> <code>docker::container.web</code> <b>[restart]</b></summary>

    - declared at <code>stack.rhai:7:1</code>

    ```diff
    - env.LOG = "info"
    + env.LOG = "debug"  (changed outside dollop)  stack.rhai:9:14
    - env.PASSWORD = (sensitive)
    + env.PASSWORD = (sensitive)
    - env.DB = "10.0.0.7"
    + env.DB = (known after apply)
    ```

    </details>

    <details>
    <summary><b>create</b> <code>docker::network.app</code></summary>

    - declared at <code>stack.rhai:3:1</code>

    ```diff
    + driver = "bridge"
    ```

    </details>

    #### Outputs

    ```diff
    + url = "http://localhost:8080"
    ```
    "#);
}

#[test]
fn no_secret_is_in_any_plan() {
    let text = plan(&fixture::everything(), &Lines::new());
    assert!(!text.contains(fixture::SECRET), "{text}");
}

const EVIL: &str =
    "`````\n</details>\n```\n<script>alert(1)</script> @octocat #1 [x](http://x) --> ~~~";

/// The text outside fences.
fn outside(text: &str) -> String {
    let mut fence: Option<String> = None;
    let mut out = String::new();
    for line in text.lines() {
        let ticks: String = line.chars().take_while(|c| *c == '`').collect();
        match &fence {
            None if ticks.len() >= 3 => fence = Some(ticks),
            Some(open) if ticks.len() >= open.len() && line == ticks => fence = None,
            Some(_) => {}
            None => {
                out.push_str(line);
                out.push('\n');
            }
        }
    }
    assert!(fence.is_none(), "a fence is left open");
    out
}

#[test]
fn nothing_breaks_out_of_its_place() {
    let mut plan = empty();
    plan.stack = EVIL.to_owned();
    let mut first = change("docker::container.web", Action::Update);
    first.address = dollop_engine::address::Address::new(
        vec![EVIL.to_owned()],
        "docker::container",
        vec![EVIL.to_owned()],
    );
    first.differences = vec![
        differs("text", Some("a\nb".into()), now(EVIL)),
        differs(EVIL, Some(EVIL.into()), now("short")),
    ];
    first.reasons = vec![dollop_engine::plan::Reason::CannotUpdate(vec![
        dollop_engine::path::Path::attribute(EVIL),
    ])];
    first.disruption = dollop_engine::schema::Disruption::DataLoss;
    first.span = Some(fixture::at(1, 2));
    plan.changes = vec![first];
    plan.warnings = vec![Diagnostic::new(Code::StateNote, EVIL).hint(EVIL)];
    let address = plan.changes[0].address.clone();
    plan.notes.insert(address.clone(), vec![EVIL.to_owned()]);
    let sent = EVIL.lines().map(str::to_owned).collect();
    let text = super::plan(&plan, &Lines::from([(address, sent)]));
    let outside = outside(&text);
    for bad in ["@", "<script", "](", "```", "~~~", "#1"] {
        let found = outside.replace("&#", "");
        assert!(!found.contains(bad), "{bad} in\n{outside}");
    }
    assert_eq!(outside.matches("</details>").count(), 1);
    assert_eq!(outside.matches("-->").count(), 1);
}

#[test]
fn a_fence_is_longer_than_any_run_inside() {
    assert!(fence("diff", &["+ a ````` b".to_owned()], LARGEST).starts_with("``````diff\n"));
    assert!(fence("diff", &["+ a".to_owned()], LARGEST).starts_with("```diff\n"));
}

#[test]
fn a_huge_plan_stays_below_the_limit_and_says_what_is_missing() {
    let mut plan = empty();
    plan.changes = (0..5000)
        .map(|number| {
            let action = if number % 7 == 0 { Action::Replace } else { Action::Create };
            let mut change = change(&format!("docker::container.web-{number}"), action);
            change.differences = vec![differs("env.TEXT", None, now(&"ü".repeat(100)))];
            change
        })
        .collect();
    let text = super::plan(&plan, &Lines::new());
    assert!(text.chars().count() < LIMIT);
    let shown = text.matches("<details>").count();
    assert!(text.contains(&format!("**{} more changes not shown.**", 5000 - shown)), "{shown}");
    assert!(shown > 100);
}

#[test]
fn one_huge_change_does_not_push_out_the_others() {
    let mut plan = empty();
    let lines: Vec<_> = (0..20_000).map(|line| format!("line {line}")).collect();
    let texts = [lines.join("\n"), "x".repeat(300_000), "`".repeat(300_000)];
    plan.changes = texts
        .iter()
        .enumerate()
        .map(|(index, text)| {
            let mut change = change(&format!("docker::container.c{index}"), Action::Update);
            change.differences = vec![differs("text", Some("a\nb".into()), now(text))];
            change
        })
        .collect();
    plan.outputs = vec![dollop_engine::plan::OutputChange {
        name: "o".repeat(100_000),
        before: None,
        after: Some(Value::string("x").into()),
    }];
    plan.warnings = vec![Diagnostic::new(Code::StateNote, "w".repeat(100_000))];
    let text = super::plan(&plan, &Lines::new());
    assert!(text.chars().count() < LIMIT, "{}", text.chars().count());
    assert!(text.contains("docker::container.c0"));
    assert!(text.contains("docker::container.c1"));
}

#[test]
fn statements_stand_with_their_change_as_far_as_there_is_room() {
    let mut plan = empty();
    plan.changes = vec![
        change("postgres::schema.main/shop/app", Action::Create),
        change("postgres::schema.main/shop/b", Action::Create),
    ];
    let first = plan.changes[0].address.clone();
    let sent = vec!["\\connect \"shop\"".to_owned(), "CREATE SCHEMA \"app\";".to_owned()];
    let text = super::plan(&plan, &Lines::from([(first, sent)]));
    let shown = "```sql\n\\connect \"shop\"\nCREATE SCHEMA \"app\";\n```\n\n</details>";
    assert!(text.contains(shown), "{text}");
    assert_eq!(text.matches("```sql").count(), 1);

    let many = (0..1000).map(|at| change(&format!("postgres::table.t{at}"), Action::Create));
    plan.changes = many.collect();
    let long = vec!["SELECT 'x';".repeat(40); 200];
    let all = plan.changes.iter().map(|change| (change.address.clone(), long.clone()));
    let text = super::plan(&plan, &all.collect());
    assert!(text.chars().count() < LIMIT, "{}", text.chars().count());
    let with_sql = text.matches("```sql").count();
    let shown = text.matches("<details>").count();
    assert!(with_sql > 5 && shown > with_sql, "{with_sql} of {shown}");
    let untold = shown - with_sql;
    assert!(text.contains(&format!("**The SQL of {untold} changes is not shown")), "{untold}");
}
