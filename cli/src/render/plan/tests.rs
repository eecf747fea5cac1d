use anstream::adapter::strip_str;
use dollop_engine::plan::OutputChange;

use super::*;
use crate::render::fixture::{self, change, differs, empty, now};

fn show(of: &Plan, width: usize) -> String {
    strip_str(&plan(of, &Screen::wide(width))).to_string()
}

#[test]
fn a_small_plan_reads_well() {
    insta::assert_snapshot!(show(&fixture::small(), 80), @r#"
    Plan for stack `shop`

    Changed outside dollop since the last run:
      docker::container.web: env.LOG

      +  create
      ~  update in place

      + docker::network.app  stack.rhai:3:1
          + driver  "bridge"

      ~ docker::container.web  [restart]  stack.rhai:7:1
          ~ env.LOG       "info" → "debug"
              (changed outside dollop)  stack.rhai:9:14
          ~ env.PASSWORD  (sensitive) → (sensitive)
          ~ env.DB        "10.0.0.7" → (known after apply)

    Outputs
        + url  "http://localhost:8080"

    Plan: 1 to create, 1 to update, 0 to replace, 0 to delete; 1 unchanged.
    "#);
}

#[test]
fn everything_reads_well_at_120_columns() {
    insta::assert_snapshot!(show(&fixture::everything(), 120), @r#"
    Plan for stack `shop`
      `postgres::server.main` is deferred: `docker::container.pg` is replaced first; what lives in it is planned from the
        declaration
      `rabbitmq::broker.events` is deferred: its `port` is known only during apply; what lives in it is planned from the
        declaration

    Changed outside dollop since the last run:
      docker::network.app: internal
      docker::container.web: env.LOG_LEVEL
      docker::container.cache: is gone

      +  create
      ~  update in place
    -/+  replace: delete, then create
      -  delete
      =  adopt: take into the state as it is
      /  forget: leave it, but no longer manage it
      ?  verify during apply, create or correct if needed

    -/+ docker::volume.data  [DATA LOSS]  stack.rhai:5:12
          `driver` cannot be changed in place
          ~ driver  "local" → "nfs"  # forces replacement  stack.rhai:6:3

    -/+ docker::network.app  [reconnect]
          `internal` cannot be changed in place
          ~ internal  true → false  (changed outside dollop)  # forces replacement  stack.rhai:2:3

    -/+ docker::container.pg  [recreate]  stack.rhai:12:10
          `networks[0]` stands for `docker::network.app`, which is replaced because its `internal` cannot be changed in
            place
          its data is lost with `docker::volume.data`, which is replaced because its `driver` cannot be changed in place
          ~ networks[0]            "4f1a9c" → (known after apply)  # forces replacement  stack.rhai:14:5
          ~ env.POSTGRES_PASSWORD  (sensitive) → (sensitive)  stack.rhai:15:5
          ~ command                (sensitive) → (sensitive)  stack.rhai:16:5

      ~ docker::container.web  [restart]  stack.rhai:20:11
          ~ image          "nginx:1.27-alpine" → "nginx:1.28-alpine"  stack.rhai:21:5
          ~ env.LOG_LEVEL  "info" → "debug"  (changed outside dollop)  stack.rhai:22:12
          ~ env.URL        "amqp://10.0.0.2/" → "amqp://<docker::container.mq:ip>/" (known after apply)  stack.rhai:23:12
          ~ files.nginx    stack.rhai:24:5
                server {
              -   listen 80;
              +   listen 8080;
                  root /srv;

              … 4 lines unchanged
          ~ motto            "早起きは三文の徳"
                           → "a long text that goes on a long text that goes on a long text that goes on a long text that g…
              stack.rhai:34:5
          ~ ports          stack.rhai:35:5
                "127.0.0.1:8080:80"
              - "127.0.0.1:8443:443"
              + "127.0.0.1:9443:443"
                "9000"
          + mounts[0].at   "/srv"  stack.rhai:36:5
          + mounts[0].ro   true  stack.rhai:36:5
          - labels["a.b"]  "1"

      + postgres::database.main/catalog  (deferred)  stack.rhai:40:1
          + owner             "app"
          + password          (sensitive)
          + connection_limit  -1

      ? postgres::role.main/app
          can only be looked at during apply, through `postgres::server.main`
          + owner             "app"
          + password          (sensitive)
          + connection_limit  -1

      = docker::image.tools  stack.rhai:40:1
          exists already and is taken over

      + docker::container.cache  stack.rhai:40:1
          was removed outside dollop

      + docker::container.half  stack.rhai:40:1
          was interrupted; what is there is finished

      - docker::volume.old  [DATA LOSS]  not declared any more
      - postgres::database.old/orders  goes along with `docker::volume.old`
      / docker::network.legacy  not declared any more

    Outputs
        ~ dsn   (sensitive) → (sensitive)
        ~ port  5432 → (known after apply)
        - gone  1

    warning[W0105]: `docker::image.tools` has no digest
      hint: pin it

    Risks
      DATA LOSS  docker::volume.data is replaced: `driver` cannot be changed in place
      DATA LOSS  docker::volume.old is deleted: not declared any more
      replace    docker::network.app is replaced: `internal` cannot be changed in place
      replace    docker::container.pg is replaced: `networks[0]` stands for `docker::network.app`, which is replaced because
                 its `internal` cannot be changed in place

    Plan: 3 to create, 1 to update, 3 to replace, 2 to delete, 1 to adopt, 1 to forget, 1 to verify; 30 unchanged.
    "#);
}

#[test]
fn everything_reads_well_at_80_columns() {
    insta::assert_snapshot!(show(&fixture::everything(), 80), @r#"
    Plan for stack `shop`
      `postgres::server.main` is deferred: `docker::container.pg` is replaced first;
        what lives in it is planned from the declaration
      `rabbitmq::broker.events` is deferred: its `port` is known only during apply;
        what lives in it is planned from the declaration

    Changed outside dollop since the last run:
      docker::network.app: internal
      docker::container.web: env.LOG_LEVEL
      docker::container.cache: is gone

      +  create
      ~  update in place
    -/+  replace: delete, then create
      -  delete
      =  adopt: take into the state as it is
      /  forget: leave it, but no longer manage it
      ?  verify during apply, create or correct if needed

    -/+ docker::volume.data  [DATA LOSS]  stack.rhai:5:12
          `driver` cannot be changed in place
          ~ driver  "local" → "nfs"  # forces replacement  stack.rhai:6:3

    -/+ docker::network.app  [reconnect]
          `internal` cannot be changed in place
          ~ internal  true → false
              (changed outside dollop)  # forces replacement  stack.rhai:2:3

    -/+ docker::container.pg  [recreate]  stack.rhai:12:10
          `networks[0]` stands for `docker::network.app`, which is replaced because
            its `internal` cannot be changed in place
          its data is lost with `docker::volume.data`, which is replaced because its
            `driver` cannot be changed in place
          ~ networks[0]            "4f1a9c" → (known after apply)
              # forces replacement  stack.rhai:14:5
          ~ env.POSTGRES_PASSWORD  (sensitive) → (sensitive)  stack.rhai:15:5
          ~ command                (sensitive) → (sensitive)  stack.rhai:16:5

      ~ docker::container.web  [restart]  stack.rhai:20:11
          ~ image          "nginx:1.27-alpine" → "nginx:1.28-alpine"
              stack.rhai:21:5
          ~ env.LOG_LEVEL  "info" → "debug"
              (changed outside dollop)  stack.rhai:22:12
          ~ env.URL          "amqp://10.0.0.2/"
                           → "amqp://<docker::container.mq:ip>/" (known after apply)
              stack.rhai:23:12
          ~ files.nginx    stack.rhai:24:5
                server {
              -   listen 80;
              +   listen 8080;
                  root /srv;

              … 4 lines unchanged
          ~ motto            "早起きは三文の徳"
                           → "a long text that goes on a long text that goes on a l…
              stack.rhai:34:5
          ~ ports          stack.rhai:35:5
                "127.0.0.1:8080:80"
              - "127.0.0.1:8443:443"
              + "127.0.0.1:9443:443"
                "9000"
          + mounts[0].at   "/srv"  stack.rhai:36:5
          + mounts[0].ro   true  stack.rhai:36:5
          - labels["a.b"]  "1"

      + postgres::database.main/catalog  (deferred)  stack.rhai:40:1
          + owner             "app"
          + password          (sensitive)
          + connection_limit  -1

      ? postgres::role.main/app
          can only be looked at during apply, through `postgres::server.main`
          + owner             "app"
          + password          (sensitive)
          + connection_limit  -1

      = docker::image.tools  stack.rhai:40:1
          exists already and is taken over

      + docker::container.cache  stack.rhai:40:1
          was removed outside dollop

      + docker::container.half  stack.rhai:40:1
          was interrupted; what is there is finished

      - docker::volume.old  [DATA LOSS]  not declared any more
      - postgres::database.old/orders  goes along with `docker::volume.old`
      / docker::network.legacy  not declared any more

    Outputs
        ~ dsn   (sensitive) → (sensitive)
        ~ port  5432 → (known after apply)
        - gone  1

    warning[W0105]: `docker::image.tools` has no digest
      hint: pin it

    Risks
      DATA LOSS  docker::volume.data is replaced: `driver` cannot be changed in
                 place
      DATA LOSS  docker::volume.old is deleted: not declared any more
      replace    docker::network.app is replaced: `internal` cannot be changed in
                 place
      replace    docker::container.pg is replaced: `networks[0]` stands for
                 `docker::network.app`, which is replaced because its `internal`
                 cannot be changed in place

    Plan: 3 to create, 1 to update, 3 to replace, 2 to delete, 1 to adopt,
      1 to forget, 1 to verify; 30 unchanged.
    "#);
}

#[test]
fn no_line_is_wider_than_the_screen() {
    for width in [80, 100, 120] {
        let text = show(&fixture::everything(), width);
        for line in text.lines() {
            assert!(crate::render::text::width(line) <= width, "{width}: {line}");
        }
    }
}

#[test]
fn no_secret_is_ever_shown() {
    let mut screen = Screen::wide(120);
    for verbose in [false, true] {
        screen.verbose = verbose;
        let text = plan(&fixture::everything(), &screen);
        assert!(!text.contains(fixture::SECRET));
    }
}

#[test]
fn no_change_is_one_line() {
    let mut same = empty();
    same.kept = 34;
    insta::assert_snapshot!(show(&same, 80), @r"
    Plan for stack `shop`

    No changes. 34 resources are as declared.
    ");
    // One whose record is written anew is one of them, not one more.
    same.changes = vec![change("docker::container.web", Action::Keep)];
    assert!(show(&same, 80).ends_with("34 resources are as declared.\n"));
    same.changes.clear();
    same.kept = 0;
    same.destroy = true;
    insta::assert_snapshot!(show(&same, 80), @r"
    Plan to destroy stack `shop`

    No changes. There is nothing to destroy.
    ");
}

#[test]
fn an_output_alone_is_a_change() {
    let mut plan = empty();
    plan.kept = 2;
    plan.unrefreshed = true;
    plan.outputs =
        vec![OutputChange { name: "url".to_owned(), before: None, after: now("http://x") }];
    insta::assert_snapshot!(show(&plan, 80), @r#"
    Plan for stack `shop`
      nothing was read: compared with the last known state (`--no-refresh`)

    Outputs
        + url  "http://x"

    Plan: 1 output to change. 2 resources are as declared.
    "#);
}

#[test]
fn data_loss_is_never_folded_away() {
    let mut many = empty();
    many.changes = (0..50)
        .map(|number| {
            let mut lost = change(&format!("docker::volume.v{number}"), Action::Delete);
            lost.disruption = dollop_engine::schema::Disruption::DataLoss;
            lost
        })
        .chain(
            (0..50)
                .map(|number| change(&format!("docker::container.c{number}"), Action::Replace)),
        )
        .collect();
    let text = show(&many, 80);
    assert_eq!(text.matches("DATA LOSS  docker::volume").count(), 50);
    assert!(text.contains("50 more lines not shown"), "{text}");
}

#[test]
fn nothing_in_a_plan_acts_on_the_terminal() {
    let evil = "\u{1b}[2J\u{202e}\u{9b}31m\n\u{7}";
    let mut plan = empty();
    plan.stack = evil.to_owned();
    let mut web = change("docker::container.web", Action::Update);
    web.differences = vec![
        differs(evil, Some(evil.into()), now("x")),
        differs(
            "list",
            None,
            Some(
                dollop_engine::value::Value::List(vec![dollop_engine::value::Value::string(
                    evil,
                )])
                .into(),
            ),
        ),
    ];
    plan.changes = vec![web];
    let text = show(&plan, 80);
    assert!(!text.contains(['\u{1b}', '\u{202e}', '\u{9b}', '\u{7}']), "{text:?}");
}

#[test]
fn the_place_where_long_texts_differ_is_on_the_screen() {
    let mut plan = empty();
    let mut web = change("docker::container.web", Action::Update);
    let long = "x".repeat(300);
    let before = format!("{long}before");
    web.differences = vec![
        differs("env.LONG", Some(before.as_str().into()), now(&format!("{long}after"))),
        differs("env.SHORT", Some("a".into()), now(&long)),
    ];
    plan.changes = vec![web];
    insta::assert_snapshot!(show(&plan, 60), @r#"
    Plan for stack `shop`

      ~  update in place

      ~ docker::container.web
          ~ env.LONG     …xxxxxxxxxbefore"
                       → …xxxxxxxxxafter"
          ~ env.SHORT    "a"
                       → "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…

    Plan: 0 to create, 1 to update, 0 to replace, 0 to delete; 0
      unchanged.
    "#);
}

/// Writes the plans as text, with and without colour, into the folder `DOLLOP_PREVIEW`
/// names, for a look at them.
#[test]
fn preview() {
    let Some(folder) = std::env::var_os("DOLLOP_PREVIEW") else { return };
    for width in [80, 120] {
        let text = plan(&fixture::everything(), &Screen::wide(width));
        let file =
            |end: &str| std::path::Path::new(&folder).join(format!("plan-{width}.{end}"));
        std::fs::write(file("txt"), strip_str(&text).to_string()).unwrap();
        std::fs::write(file("ansi"), text).unwrap();
    }
}
