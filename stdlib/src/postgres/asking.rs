//! Asking a server about itself so that nobody who owns a database can answer in its place.
//!
//! Whoever may create in a schema of a session's `search_path` can put a function or an operator
//! there that fits a call better than the server's own (CVE-2018-1058), and dollop often is a
//! superuser. So what reads catalogs looks for names in `pg_catalog` alone, as `pg_dump` does;
//! what users wrote keeps the path of its session.

use super::sql;

/// What stands in front of a query, in one message and so in one transaction with it: a pooler
/// may refuse to be told when a session begins. Notes where the session would have looked.
const ONLY_THE_SERVERS_OWN: &str = "select pg_catalog.set_config('dollop.schemas',
    pg_catalog.to_json(pg_catalog.current_schemas(false))::pg_catalog.text, true);
set local search_path = pg_catalog;\n";

/// What stands in front of statements that name types as a script does: where the session finds
/// one of them nowhere, it looks in `public` last, whose name scripts need not write. Otherwise
/// the path stays, as somebody may have left `public` out because others may create there.
pub(super) fn find_types(types: &[String]) -> Option<String> {
    let missing: Vec<_> = types
        .iter()
        .map(|one| format!("pg_catalog.to_regtype({}) IS NULL", sql::text(one).trim_start()))
        .collect();
    (!missing.is_empty()).then(|| {
        format!(
            "SELECT CASE WHEN {} THEN pg_catalog.set_config('search_path', pg_catalog.btrim(
        pg_catalog.concat(pg_catalog.current_setting('search_path'), ', public'), ', '), true) END",
            missing.join(" OR ")
        )
    })
}

/// The message that asks a query whose rows come as JSON. Its answer is
/// [the schemas](schemas) and then the rows.
pub(super) fn message(query: &str, parameters: &[Vec<String>]) -> String {
    format!("{ONLY_THE_SERVERS_OWN}{}", as_json(&bound(query, parameters)))
}

/// A query that comes behind statements of the same message.
pub(super) fn behind(query: &str) -> String {
    format!("{ONLY_THE_SERVERS_OWN}{}", as_json(query))
}

/// Where a session looks for names without a schema, from the first row of an answer.
pub(super) fn schemas(row: &str) -> Vec<String> {
    serde_json::from_str(row).unwrap_or_default()
}

/// The expression for the type that the text `name` means to the session and its scripts.
pub(super) fn type_of(name: &str) -> String {
    meant("to_regtype", name)
}

/// The same for a table or another relation.
pub(super) fn relation_of(name: &str) -> String {
    meant("to_regclass", name)
}

fn meant(found: &str, name: &str) -> String {
    // A name that has a schema already would be taken for one in another database.
    format!(
        r#"coalesce({found}({name}), case when {name} !~ '^("([^"]|"")*"|[^".]+)\.' then (
            select {found}(format('%I.%s', p.place, {name})) from (
                select place, at from json_array_elements_text(
                    current_setting('dollop.schemas')::json) with ordinality s(place, at)
                union all select 'public', 10000
            ) p where {found}(format('%I.%s', p.place, {name})) is not null
            order by p.at limit 1) end)"#
    )
}

/// A query whose rows come as JSON.
fn as_json(query: &str) -> String {
    format!("select row_to_json(found)::text from ({query}) found")
}

/// A query with the lists in it that its parameters `$1`, `$2` stand for.
fn bound(query: &str, parameters: &[Vec<String>]) -> String {
    let mut parts = query.split('$');
    let mut bound = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
        let number = part[..digits].parse::<usize>().ok();
        match number.and_then(|number| parameters.get(number.checked_sub(1)?)) {
            Some(list) => bound.extend([list_of(list).as_str(), &part[digits..]]),
            None => bound.extend(["$", part]),
        }
    }
    bound
}

/// A list of texts in a statement.
fn list_of(texts: &[String]) -> String {
    let quoted =
        |text: &String| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    let all: Vec<_> = texts.iter().map(quoted).collect();
    format!("{}::text[]", sql::text(&format!("{{{}}}", all.join(","))).trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_stand_in_their_places() {
        let lists = [vec!["a".to_owned(), "b\"c\\".to_owned()], vec!["$1".to_owned()]];
        assert_eq!(
            bound("x = any($1) and y ~ '^a$' and z = any($2) or $3", &lists),
            "x = any(E'{\"a\",\"b\\\\\"c\\\\\\\\\"}'::text[]) and y ~ '^a$' and \
             z = any('{\"$1\"}'::text[]) or $3"
        );
        assert_eq!(bound("any($1)", &[Vec::new()]), "any('{}'::text[])");
    }

    #[test]
    fn schemas_are_read() {
        assert_eq!(schemas(r#"["app", "A b"]"#), ["app", "A b"]);
        assert_eq!(schemas(""), Vec::<String>::new());
    }
}
