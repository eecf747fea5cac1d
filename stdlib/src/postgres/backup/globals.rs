//! Roles and tablespaces of a server.
//!
//! Those that exist stay as they are: what made the server anew gave them passwords that
//! applications know.

use std::collections::BTreeSet;

use dollop_engine::backup::Source;
use dollop_engine::error::CallError;
use tokio::io::AsyncReadExt as _;

use super::super::migrations::split;
use super::tools::Tools;

/// The longest file of roles that is taken, in bytes.
const LONGEST: u64 = 64 << 20;

/// Makes what does not exist.
pub(super) async fn load(tools: &Tools, source: Source<'_>) -> Result<Vec<String>, CallError> {
    let mut sql = String::new();
    let read = source.take(LONGEST).read_to_string(&mut sql).await;
    read.map_err(|error| CallError::refused(format!("cannot read the roles: {error}")))?;
    let known = "select quote_ident(rolname) from pg_roles
        union select quote_ident(spcname) from pg_tablespace";
    let known: BTreeSet<String> =
        tools.ask("postgres", known).await?.lines().map(str::to_owned).collect();
    let wanted = missing(&sql, &known)?;
    tools.ask("postgres", &wanted.join(";\n")).await?;
    Ok(Vec::new())
}

/// The statements about what is not known, and those that do no harm when repeated.
fn missing(sql: &str, known: &BTreeSet<String>) -> Result<Vec<String>, CallError> {
    // Newer programs put their text between commands of `psql`.
    let lines = sql
        .lines()
        .filter(|line| !line.starts_with("\\restrict ") && !line.starts_with("\\unrestrict "));
    let sql: String = lines.flat_map(|line| [line, "\n"]).collect();
    let statements = split(&sql)
        .map_err(|message| CallError::refused(format!("cannot read the roles: {message}")))?;
    let about_known = |statement: &str| {
        known.iter().any(|name| {
            let made = ["CREATE ROLE ", "CREATE USER ", "CREATE TABLESPACE ", "ALTER ROLE "];
            made.iter().any(|begin| {
                let rest =
                    statement.strip_prefix(begin).and_then(|s| s.strip_prefix(name.as_str()));
                // `ALTER ROLE app SET ..` says nothing about passwords, and is kept too: how it
                // is declared is how it was made.
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
            })
        })
    };
    Ok(statements.into_iter().filter(|statement| !about_known(statement)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_exists_is_left_alone() {
        let sql = "--\n-- dump\n--\n\\restrict abc\nSET client_encoding = 'UTF8';\n\
                   CREATE ROLE app;\nALTER ROLE app WITH LOGIN PASSWORD 'a;b';\n\
                   CREATE ROLE app2;\nALTER ROLE app2 WITH LOGIN;\n\
                   CREATE ROLE \"odd ; one\";\nGRANT app TO app2;\n\\unrestrict abc\n";
        let known = ["app", "\"odd ; one\""].map(str::to_owned).into();
        assert_eq!(
            missing(sql, &known).unwrap(),
            [
                "SET client_encoding = 'UTF8'",
                "CREATE ROLE app2",
                "ALTER ROLE app2 WITH LOGIN",
                "GRANT app TO app2",
            ]
        );
    }
}
