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

const IMPORT: [&str; 7] = [
    "import",
    "postgres::server.pg",
    "--out",
    "everything.rhai",
    "--append",
    "--secrets",
    "default.params.toml",
];

/// The databases that can be declared to the last detail.
const DATABASES: [&str; 3] = ["shop", "Saas ü", "tracker"];

/// Somebody's server, made without dollop.
fn furnish(server: &Container, change: fn(&str) -> String) {
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
        "alter role web in database shop set search_path = 'App', public",
        "grant create on tablespace pg_default to web",
        "grant set on parameter log_min_messages, app.tenant to web",
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
        server.psql(database, &change(made));
    }
}

/// What a dump of a database says, in no order.
fn dumped(server: &Container, database: &str) -> Vec<String> {
    let mut lines: Vec<_> = server
        .dump(database)
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
    made_again(Container::start, str::to_owned);
}

#[test]
fn a_newer_server_is_imported_and_made_again() {
    // Its programs come without pgcrypto and tablefunc.
    made_again(Container::newer, |sql| {
        sql.replace("EXTENSION pgcrypto", "EXTENSION citext")
            .replace("CREATE EXTENSION tablefunc;", "")
            .replace("extensions.gen_random_bytes(8)", "decode(md5('salt'), 'hex')")
            // Constraints of a table that is renamed keep their names, NOT NULL among them.
            .replace("ALTER TABLE store RENAME TO shop_store;", "")
            .replace("TABLE store (", "TABLE shop_store (")
            .replace("REFERENCES store", "REFERENCES shop_store")
    });
}

fn made_again(start: fn() -> Container, change: fn(&str) -> String) {
    let server = start();
    furnish(&server, change);
    let before: Vec<_> = DATABASES.map(|database| dumped(&server, database)).into();
    let project = Project::new("import-pg", &script(&server));
    let run = project.run(&IMPORT).expect(0);
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
        "in database `odd`: range type `public.floats`: such types have no kind",
        "in database `odd`: statistics object `public.known`: such objects have no kind",
        "in database `odd`: table `public.base`: how column `name` is stored",
        "in database `odd`: table `public.fine`: how column `id` counts",
        "view `names`: it needs aggregate `public.all_of`, which is not",
        "view `more_names`: it needs view `public.names`, which is not",
        "function `pairs`: it needs composite type `public.pair`, which is not",
        "view `gaps`: it needs range type `public.floats`, which is not",
        "table `measured`: it needs range type `public.floats`, which is not",
    ] {
        assert!(run.stderr.contains(&format!("not imported: {odd}")), "{odd}: {}", run.text());
        assert!(written.contains(&format!("// - {odd}")), "{odd}: {written}");
    }
    for said in [
        "replica_identity: \"full\"",
        "constraint: \"immediate\"",
        "new_table: \"made\"",
        "inherits: [base]",
        "on: \"parameters\"",
        "on: \"tablespaces\"",
    ] {
        assert!(written.contains(said), "no `{said}` in {written}");
    }
    assert!(
        run.stderr.contains(" of pg_hba.conf: dollop did not write them"),
        "{}",
        run.text()
    );
    // From PostgreSQL 18 on these have names, which follow no other name.
    let is_new = |line: &&str| !line.contains(": what the NOT NULL constraint of column ");
    for database in DATABASES {
        let whose = format!("in database `{database}`");
        let left_out = run.stderr.lines().filter(is_new).any(|line| line.contains(&whose));
        assert!(!left_out, "{}", run.text());
    }

    // The next plan is empty, and so is a second import.
    let _ = project.run(&["plan", "--detailed-exitcode"]).expect(0);
    let again = project.run(&["import", "postgres::server.pg"]).expect(0);
    assert!(again.stderr.contains("nothing that is not declared"), "{}", again.text());
    let after: Vec<_> = DATABASES.map(|database| dumped(&server, database)).into();
    assert_eq!(after, before, "an import changes nothing");

    // What was written makes an empty server the same.
    let empty = start();
    elsewhere(&project, &server, &empty);
    for (database, before) in DATABASES.iter().zip(&before) {
        let differ = differences(before, &dumped(&empty, database));
        assert!(differ.is_empty(), "{database}: {differ:#?}");
    }
    assert_eq!(empty.psql("postgres", "show work_mem"), "5MB");
    let settings =
        "select string_agg(concat_ws(' ', datname, setconfig::text), ', ' order by datname)
        from pg_db_role_setting join pg_database d on d.oid = setdatabase
        where setrole = 'web'::regrole";
    assert_eq!(
        empty.psql("postgres", settings),
        "odd {work_mem=6MB}, shop {\"search_path=\\\"App\\\", public\"}"
    );
    assert!(
        empty.psql_as("web", "w3b", "Saas ü", "select 1").is_ok(),
        "its password is the same"
    );
}

/// Applies what was imported from one server to another one.
fn elsewhere(project: &Project, from: &Container, to: &Container) {
    let other = Project::new("import-pg", "");
    for file in ["everything.rhai", "default.params.toml"] {
        other.write(file, &project.read(file));
    }
    let called = project.read("stack.rhai").replace(&script(from), &script(to));
    other.write("stack.rhai", &called);
    let _ = other.run(&["apply", "--auto-approve"]).expect(0);
    let _ = other.run(&["plan", "--detailed-exitcode"]).expect(0);
}

/// The lines that one dump has and the other has not.
fn differences(before: &[String], made: &[String]) -> Vec<String> {
    let missing = before.iter().filter(|line| !made.contains(line));
    let more = made.iter().filter(|line| !before.contains(line));
    let missing = missing.map(|line| format!("- {line}"));
    missing.chain(more.map(|line| format!("+ {line}"))).collect()
}

/// Schemas that were not written for dollop, one file of SQL each, from the folder that
/// `DOLLOP_PUBLIC_SCHEMAS` names; their licences do not let all of them be kept here. What a
/// file asks for that the server does not have (PostGIS) is left out, as `psql` does.
/// `make test` passes this by.
#[test]
fn schemas_of_others_are_imported_and_made_again() {
    let folder = std::env::var_os("DOLLOP_PUBLIC_SCHEMAS");
    let folder = folder.expect("DOLLOP_PUBLIC_SCHEMAS names the folder: `make schemas`");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .expect("the folder")
        .map(|file| file.expect("a file").path())
        .filter(|file| file.extension().is_some_and(|extension| extension == "sql"))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no schemas there");
    println!(
        "| schema | views | triggers | policies | partitions | declarations | not imported |"
    );
    for file in files {
        let name = file.file_stem().and_then(|name| name.to_str()).expect("a name");
        let server = Container::start();
        server.psql("postgres", &format!("create database \"{name}\""));
        let sql = std::fs::read_to_string(&file).expect("SQL");
        server.inside(&format!("psql -X -q -d '{name}' > /dev/null 2>&1 || true"), &sql);
        let before = dumped(&server, name);
        let project = Project::new("import-pg", &script(&server));
        let run = project.run(&IMPORT).expect(0);
        let _ = project.run(&["plan", "--detailed-exitcode"]).expect(0);
        let empty = Container::start();
        elsewhere(&project, &server, &empty);
        let left_out: Vec<_> =
            run.stderr.lines().filter(|line| line.contains("not imported: ")).collect();
        // What nobody has looked at yet is valid without being looked at.
        let differ = differences(&before, &dumped(&empty, name));
        let differ: Vec<_> = differ.iter().filter(|line| !line.contains("NOT VALID")).collect();
        assert!(
            differ.is_empty() || !left_out.is_empty(),
            "{name}: not named, and not the same: {differ:#?}"
        );
        let count = "select concat_ws(' | ',
            (select count(*) from pg_class where relkind in ('v', 'm') and oid >= 16384),
            (select count(*) from pg_trigger where not tgisinternal and oid >= 16384),
            (select count(*) from pg_policy),
            (select count(*) from pg_class where relispartition and relkind = 'r'))";
        let found = run.stderr.lines().find_map(|line| line.split("declares: ").nth(1));
        let counts = found.unwrap_or_default().split(", ");
        let counts = counts.filter_map(|one| one.rsplit(' ').next()?.parse::<u32>().ok());
        println!(
            "| {name} | {} | {} | {} |",
            server.psql(name, count),
            counts.sum::<u32>(),
            left_out.len()
        );
        for line in left_out {
            println!("  {line}");
        }
        println!("  {} lines of the dumps differ: {differ:#?}", differ.len());
    }
}
