//! One database: dumped from a snapshot whose rows are summed up, and made anew beside the
//! one that is there, whose place it takes once it is whole.

use dollop_engine::backup::{Sink, Source};
use dollop_engine::error::CallError;
use dollop_engine::resource::Held;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::super::error::{Fault, Task};
use super::super::migrations::split;
use super::super::server::{Lane, Server};
use super::super::sql;
use super::fingerprint::Fingerprint;
use super::tools::{Tools, connect_to};

/// What is kept beside a dump.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Saved {
    /// The statements that make the empty database with its owner, settings and privileges.
    create: Vec<String>,
    /// Its rows.
    pub(super) fingerprint: Fingerprint,
}

/// Dumps it.
pub(super) async fn save(
    server: &Server,
    tools: &Tools,
    name: &str,
    sink: Sink<'_>,
) -> Result<Saved, CallError> {
    let what = format!("save database `{name}`");
    let task = Task::new(what.clone());
    // The snapshot lives as long as the transaction that exported it.
    let client = server.session(name, Lane::Long, &task).await?;
    let begin = "begin isolation level repeatable read, read only";
    let explain = |error| server.explain(Fault::Run(error), &task);
    client.batch_execute(begin).await.map_err(explain)?;
    let exported = client.query_typed("select pg_catalog.pg_export_snapshot()", &[]).await;
    let exported = exported.map_err(explain)?;
    let snapshot: &str = match exported.first().map(|row| row.try_get(0)) {
        Some(Ok(snapshot)) => snapshot,
        _ => return Err(CallError::refused(format!("cannot {what}: no snapshot of it"))),
    };
    let with = format!("--snapshot={snapshot}");
    let database = connect_to(name);
    // Without any schema, what is left is the database itself.
    let mut made = Vec::new();
    let words = ["pg_dump", "--create", "--schema-only", "--exclude-schema=*", "-d", &database];
    tools.run(&what, &words, None, &mut made).await?;
    let create = about_the_database(&String::from_utf8_lossy(&made), name)?;
    let words = ["pg_dump", "--format=custom", &with, "-d", &database];
    tools.run(&what, &words, None, sink).await?;
    let fingerprint = Fingerprint::by_client(server, &client, &task).await?;
    Ok(Saved { create, fingerprint })
}

/// Of a script that makes a database, the statements about the database itself.
fn about_the_database(script: &str, name: &str) -> Result<Vec<String>, CallError> {
    let lines = script.lines().filter(|line| !line.starts_with('\\'));
    let script: String = lines.flat_map(|line| [line, "\n"]).collect();
    let statements = split(&script).map_err(|message| {
        CallError::refused(format!("cannot read how database `{name}` is made: {message}"))
    })?;
    let mark = mark(&statements, name)?;
    let about = statements.into_iter().filter(|statement| {
        let asks = ["SELECT ", "SET "].iter().any(|begin| statement.starts_with(begin));
        statement.contains(&mark) && !asks
    });
    Ok(about.collect())
}

/// The words by which the statements that make a database name it: `DATABASE shop`, quoted
/// where `pg_dump` saw need.
fn mark(statements: &[String], name: &str) -> Result<String, CallError> {
    let create = "CREATE DATABASE ";
    let made = statements.iter().find_map(|statement| statement.strip_prefix(create));
    let quoted = sql::name(name);
    let called = made.and_then(|made| {
        [quoted.as_str(), name].into_iter().find(|called| {
            made.strip_prefix(called)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
        })
    });
    called.map(|called| format!("DATABASE {called}")).ok_or_else(|| {
        CallError::refused(format!("nothing says how database `{name}` is made"))
    })
}

/// The names it has while it is made, and while it goes.
fn aside(name: &str, ending: &str) -> String {
    let whole = format!("{name}.dollop-{ending}");
    // The longest name PostgreSQL has.
    if whole.len() <= 63 {
        return whole;
    }
    let digest = hex::encode(Sha256::digest(name));
    format!("{digest:.32}.dollop-{ending}")
}

/// What is in it now.
pub(super) async fn held(server: &Server, name: &str) -> Result<Held, CallError> {
    #[derive(Deserialize)]
    struct Table {
        statement: String,
    }
    let task = Task::new(format!("see what is in database `{name}`"));
    // What dollop itself wrote of migrations is none of the user's data.
    let sql = "select format('select exists (select from only %I.%I)', n.nspname, c.relname)
            statement
        from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where c.relkind = 'r' and c.relpersistence <> 't' and n.nspname !~ '^pg_'
            and n.nspname <> 'information_schema' and c.relname <> 'dollop_migrations'
            and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass
                and d.objid = c.oid and d.deptype = 'e')
        union all
        select 'select exists (select from pg_largeobject_metadata)'
        order by 1";
    let tables: Vec<Table> = server.rows(name, sql, &[], &task).await?;
    let mut filled = 0;
    for Table { statement } in tables {
        if server.holds(name, &statement, &task).await? {
            filled += 1;
        }
    }
    Ok(match filled {
        0 => Held::Nothing("no rows".to_owned()),
        1 => Held::Content("rows in a table".to_owned()),
        many => Held::Content(format!("rows in {many} tables")),
    })
}

/// Makes it anew beside the one that is there, and puts it in its place.
pub(super) async fn load(
    tools: &Tools,
    name: &str,
    saved: &Saved,
    source: Source<'_>,
) -> Result<Vec<String>, CallError> {
    let (new, old) = (aside(name, "new"), aside(name, "old"));
    // A database cannot be renamed by who is connected to it.
    let from = if name == "postgres" { "template1" } else { "postgres" };
    // What a run left that was killed: the old one goes only when its successor is there.
    let clean = format!(
        "select format(case when current_setting('server_version_num')::int >= 130000
                then 'drop database %I with (force)' else 'drop database %I' end, datname)
            from pg_database where datname = {new}
                or datname = {old} and exists (select from pg_database where datname = {name})
        \\gexec\n\
        select format('alter database %I rename to %I', datname, {name}) from pg_database
            where datname = {old}
        \\gexec\n\
        select format('alter database %I allow_connections true', datname) from pg_database
            where datname = {name} and not datallowconn
        \\gexec\n",
        new = sql::text(&new),
        old = sql::text(&old),
        name = sql::text(name),
    );
    tools.ask(from, &clean).await?;
    let mark = mark(&saved.create, name)?;
    let instead = format!("DATABASE {}", sql::name(&new));
    let create: Vec<_> =
        saved.create.iter().map(|statement| statement.replacen(&mark, &instead, 1)).collect();
    let restored = async {
        tools.ask(from, &create.join(";\n")).await?;
        let words = ["pg_restore", "--exit-on-error", "-d", &connect_to(&new)];
        let what = format!("restore database `{name}`");
        tools.run(&what, &words, Some(source), &mut tokio::io::sink()).await
    };
    if let Err(error) = restored.await {
        let undo = format!("drop database if exists {};\n", sql::name(&new));
        let undone = tools.ask(from, &undo).await;
        return Err(match undone {
            Ok(_) => error.note(format!("database `{name}` is as it was")),
            Err(_) => error.note(format!(
                "database `{name}` is as it was; the unfinished `{new}` was left beside it"
            )),
        });
    }
    // In one go: `psql` has it all before the first statement runs, so that nobody who dies
    // leaves a database closed. Its statements are one transaction from `begin` on.
    let swap = format!(
        "select format('alter database %I allow_connections false', datname) from pg_database \
            where datname = {name_text}\n\\gexec\n\
        select pg_terminate_backend(pid) from pg_stat_activity where datname = {name_text}\n\
            \\g /dev/null\n\
        begin;\n\
        select format('alter database %I rename to %I', datname, {old_text}) from pg_database \
            where datname = {name_text}\n\\gexec\n\
        alter database {new} rename to {name};\n\
        commit;\n",
        name_text = sql::text(name),
        old_text = sql::text(&old),
        new = sql::name(&new),
        name = sql::name(name),
    );
    let swapped = tools.ask(from, &swap).await;
    if let Err(error) = swapped {
        // Whoever comes back at once may have been quicker.
        let open = format!(
            "select format('alter database %I allow_connections true', datname) from pg_database \
             where datname = {}\n\\gexec\n",
            sql::text(name)
        );
        let _ = tools.ask(from, &open).await;
        return Err(error.hint("run it again; what was there is untouched"));
    }
    let drop_old = format!("drop database if exists {};\n", sql::name(&old));
    tools.ask(from, &drop_old).await.map_err(|error| {
        error
            .note(format!(
                "database `{name}` is restored and in use; what it was before is left beside it, \
                 as `{old}`"
            ))
            .hint(format!(
                "remove what keeps it (a subscription in it, say), then `DROP DATABASE {}`",
                sql::name(&old)
            ))
    })?;
    Ok(Vec::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_a_database_is_told_from_what_is_in_it() {
        let script = "\\restrict x\nSET statement_timeout = 0;\n\
            CREATE DATABASE \"my-shop\" WITH TEMPLATE = template0 ENCODING = 'UTF8';\n\
            ALTER DATABASE \"my-shop\" OWNER TO app;\n\\connect my-shop\n\
            COMMENT ON DATABASE \"my-shop\" IS 'it''s; mine';\n\
            ALTER DATABASE \"my-shop\" SET timezone TO 'UTC';\n\
            CREATE EXTENSION IF NOT EXISTS pg_trgm WITH SCHEMA public;\n\
            REVOKE CONNECT,TEMPORARY ON DATABASE \"my-shop\" FROM PUBLIC;\n";
        let about = about_the_database(script, "my-shop").unwrap();
        assert_eq!(about.len(), 5, "{about:#?}");
        assert_eq!(mark(&about, "my-shop").unwrap(), "DATABASE \"my-shop\"");
        assert!(mark(&about, "shop").is_err());
    }

    #[test]
    fn names_aside_are_never_too_long() {
        assert_eq!(aside("shop", "new"), "shop.dollop-new");
        let long = "x".repeat(63);
        assert!(aside(&long, "new").len() <= 63);
        assert_ne!(aside(&long, "new"), aside(&"y".repeat(63), "new"));
    }
}
