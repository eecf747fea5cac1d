//! A whole server becomes a script that plans to nothing, and makes the same server again.

use dollop_tests::cli::Project;

use super::container::{Container, PASSWORD};

/// The stack that knows nothing but where the server is.
fn script(server: &Container) -> String {
    format!(
        "// A server.\nlet pg = postgres::server(\"pg\", #{{ host: \"127.0.0.1\", port: {}, \
         password: \"{PASSWORD}\" }});\n",
        server.port
    )
}

/// The databases that can be declared to the last detail.
const DATABASES: [&str; 3] = ["shop", "Saas ü", "tracker"];

/// Somebody's server, made without dollop.
fn furnish(server: &Container) {
    let whole = [
        "create role web login password 'w3b' connection limit 5",
        "create role \"Read Only\" nologin",
        "create role \"App Owner\" login createdb valid until '2031-01-01'",
        "alter role web set statement_timeout = '5s'",
        "comment on role web is 'The web''s'",
        "grant \"Read Only\" to web with admin option",
        "grant pg_read_all_stats to \"Read Only\"",
        "create database shop",
        "create database \"Saas ü\" owner \"App Owner\" lc_collate 'C' template template0",
        "create database tracker connection limit 9",
        "create database odd",
        "comment on database tracker is 'Issues'",
        "alter database tracker set search_path = tracker, public",
        "alter system set work_mem = '5MB'",
        "alter system set shared_preload_libraries = 'auto_explain', 'pg_stat_statements'",
        "select pg_create_physical_replication_slot('standby')",
        "alter role web in database odd set work_mem = '6MB'",
    ];
    for statement in whole {
        server.psql("postgres", statement);
    }
    server.psql(
        "Saas ü",
        "create schema extensions; create schema auth; create schema app authorization \"App Owner\"",
    );
    for (database, made) in [
        ("shop", include_str!("import/shop.sql")),
        ("Saas ü", include_str!("import/saas.sql")),
        ("tracker", include_str!("import/tracker.sql")),
        ("odd", include_str!("import/odd.sql")),
    ] {
        server.psql(database, made);
    }
}

/// What a dump of a database says, in no order.
fn dumped(server: &Container, database: &str) -> Vec<String> {
    let dump = server.inside(&format!("pg_dump -s -d '{database}'"), "");
    let mut lines: Vec<_> = dump
        .lines()
        // Tables list their constraints with commas between; dumps have secrets of their own.
        .map(|line| line.trim_end_matches(',').to_owned())
        .filter(|line| !line.starts_with("--") && !line.starts_with('\\') && !line.is_empty())
        .collect();
    lines.sort();
    lines
}

#[test]
fn a_whole_server_is_imported_and_made_again() {
    let server = Container::start();
    furnish(&server);
    let before: Vec<_> = DATABASES.map(|database| dumped(&server, database)).into();
    let project = Project::new("import-pg", &script(&server));
    let import = [
        "import",
        "postgres::server.pg",
        "--out",
        "everything.rhai",
        "--append",
        "--secrets",
        "default.params.toml",
    ];
    let run = project.run(&import).expect(0);
    let written = project.read("everything.rhai");
    println!("{}\n{written}", run.text());

    // No secret in clear, but in the file that was asked for.
    for secret in ["SCRAM-SHA-256", "h0st"] {
        assert!(!written.contains(secret) && !run.text().contains(secret), "{secret}");
        assert!(project.read("default.params.toml").contains(secret), "{secret} is kept");
    }

    // What cannot be declared is said, and so is what needs it.
    for odd in [
        "in database `odd`: aggregate `public.all_of`: such functions have no kind",
        "in database `odd`: composite type `public.pair`: such types have no kind",
        "in database `odd`: table `public.derived`: it inherits from another table",
        "in database `odd`: statistics object `public.known`: such objects have no kind",
        "in database `odd`: trigger `public.base.late`: it is a constraint trigger",
        "in database `odd`: trigger `public.base.all_new`: its function is given transition tables",
        "in database `odd`: table `public.base`: its replica identity",
        "in database `odd`: table `public.base`: how column `name` is stored",
        "in database `odd`: table `public.fine`: how column `id` counts",
        "view `names`: it needs aggregate `public.all_of`, which is not",
        "view `more_names`: it needs view `public.names`, which is not",
        "function `pairs`: it needs composite type `public.pair`, which is not",
        "settings of role `web` in database `odd`",
    ] {
        assert!(run.stderr.contains(&format!("not imported: {odd}")), "{odd}: {}", run.text());
        assert!(written.contains(&format!("// - {odd}")), "{odd}: {written}");
    }
    for database in DATABASES {
        assert!(!run.stderr.contains(&format!("in database `{database}`")), "{}", run.text());
    }

    // The next plan is empty, and so is a second import.
    let _ = project.run(&["plan", "--detailed-exitcode"]).expect(0);
    let again = project.run(&["import", "postgres::server.pg"]).expect(0);
    assert!(again.stderr.contains("nothing that is not declared"), "{}", again.text());
    let after: Vec<_> = DATABASES.map(|database| dumped(&server, database)).into();
    assert_eq!(after, before, "an import changes nothing");

    // What was written makes an empty server the same.
    let empty = Container::start();
    let other = Project::new("import-pg", "");
    for file in ["everything.rhai", "default.params.toml"] {
        other.write(file, &project.read(file));
    }
    let called = project.read("stack.rhai").replace(&script(&server), &script(&empty));
    other.write("stack.rhai", &called);
    let _ = other.run(&["apply", "--auto-approve"]).expect(0);
    let _ = other.run(&["plan", "--detailed-exitcode"]).expect(0);
    for (database, before) in DATABASES.iter().zip(&before) {
        let made = dumped(&empty, database);
        let missing: Vec<_> = before.iter().filter(|line| !made.contains(line)).collect();
        let more: Vec<_> = made.iter().filter(|line| !before.contains(line)).collect();
        assert!(missing.is_empty() && more.is_empty(), "{database}: {missing:#?} {more:#?}");
    }
    assert_eq!(empty.psql("postgres", "show work_mem"), "5MB");
    assert!(
        empty.psql_as("web", "w3b", "Saas ü", "select 1").is_ok(),
        "its password is the same"
    );
}
