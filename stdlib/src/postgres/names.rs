//! Names: what the server would cut off, refuse or keep for itself, told without asking it.
//!
//! The one home of these rules: every kind comes here, with its own name and with those its
//! attributes give.

use dollop_engine::error::CallError;
use dollop_engine::resource::Problem;
use serde::Serialize;
use serde_json::Value as Json;

/// The longest name PostgreSQL keeps, in bytes (`NAMEDATALEN - 1`); it cuts off the rest.
const LONGEST: usize = 63;

/// How the names begin that the server keeps for itself.
const RESERVED: &str = "pg_";

/// Attributes that are names of other things, or lists of such names, in whatever kind has
/// them.
const ATTRIBUTES: [&str; 15] = [
    "database",
    "member",
    "member_of",
    "owner",
    "publications",
    "reassign_owned_to",
    "role",
    "roles",
    "schema",
    "schemas",
    "server",
    "table",
    "tablespace",
    "template",
    "wrapper",
];

/// Attributes that are such names, or lists of them, with the name of a schema in front of a
/// dot where that is not `public`.
const IN_A_SCHEMA: [&str; 3] = ["function", "inherits", "partition_of"];

/// Columns that every table has, and that no other may be called like.
const COLUMNS_OF_ALL: [&str; 6] = ["cmax", "cmin", "ctid", "tableoid", "xmax", "xmin"];

/// Refuses names that PostgreSQL would silently change.
pub(super) fn expect(name: &str) -> Result<(), CallError> {
    match problem(name, "name") {
        None => Ok(()),
        Some(Problem { message, hint, .. }) => {
            let error = CallError::refused(message);
            Err(hint.into_iter().fold(error, CallError::hint))
        }
    }
}

/// What is wrong with a name that PostgreSQL would silently change.
pub(super) fn problem(name: &str, attribute: &str) -> Option<Problem> {
    if name.is_empty() {
        let message = "a name in PostgreSQL cannot be empty".to_owned();
        Some(because(attribute, message, "give it a name"))
    } else if name.len() > LONGEST {
        let bytes = name.len();
        let message =
            format!("the name `{name}` has {bytes} bytes, PostgreSQL keeps {LONGEST}");
        Some(because(attribute, message, "choose a shorter name"))
    } else if name.contains('\0') {
        let message = "a name in PostgreSQL cannot contain a zero byte".to_owned();
        Some(because(attribute, message, "leave it out"))
    } else {
        None
    }
}

/// What is wrong with the name of something that is to be the user's own.
pub(super) fn problem_of_own(what: &str, name: &str) -> Option<Problem> {
    let reserved = name.starts_with(RESERVED).then(|| {
        let message =
            format!("{what} `{name}` would be one of the server's own, which begin so");
        because("name", message, "choose a name that does not begin with `pg_`")
    });
    problem(name, "name").or(reserved)
}

/// What is wrong with the name of a column.
pub(super) fn problem_of_column(name: &str) -> Option<Problem> {
    let taken = COLUMNS_OF_ALL.contains(&name).then(|| {
        let message = format!("every table has a column `{name}` of the server's own");
        because("columns", message, "give it another name")
    });
    problem(name, "columns").or(taken)
}

/// What is wrong with the name of a replication slot, which is that of a folder as well.
pub(super) fn problem_of_slot(name: &str, attribute: &str) -> Option<Problem> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let odd = (!name.chars().all(plain)).then(|| {
        let message = format!("`{name}` cannot be the name of a replication slot");
        because(attribute, message, "use lower-case letters of ASCII, digits and `_`")
    });
    problem(name, attribute).or(odd)
}

/// What is wrong with the names of other things that a spec has in its attributes.
pub(super) fn problems_in(spec: &impl Serialize) -> Vec<Problem> {
    let Ok(Json::Object(spec)) = serde_json::to_value(spec) else { return Vec::new() };
    let mut problems = Vec::new();
    let names = |attribute: &str| -> Vec<&str> {
        match spec.get(attribute) {
            Some(Json::String(name)) => vec![name.as_str()],
            Some(Json::Array(names)) => names.iter().filter_map(Json::as_str).collect(),
            _ => Vec::new(),
        }
    };
    for attribute in ATTRIBUTES {
        let found = names(attribute).into_iter().filter_map(|name| problem(name, attribute));
        problems.extend(found);
    }
    for attribute in IN_A_SCHEMA {
        let parts = names(attribute).into_iter().flat_map(|name| name.splitn(2, '.'));
        problems.extend(parts.filter_map(|part| problem(part, attribute)));
    }
    problems
}

/// What is wrong with the schema of a new relation: only the server makes such in a schema of
/// its own.
pub(super) fn problem_of_place(schema: &str) -> Option<Problem> {
    schema.starts_with(RESERVED).then(|| {
        let message = format!("nothing can be made in `{schema}`, which is the server's own");
        because("schema", message, "choose a schema that does not begin with `pg_`")
    })
}

/// What works and is most likely not meant: signs of SQL that became a part of the name.
/// `in_schema` says that it is something in a schema.
pub(super) fn caution(name: &str, in_schema: bool) -> Option<Problem> {
    let inner = name.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    if let Some(inner) = inner.filter(|inner| !inner.is_empty()) {
        let message = format!("the quotation marks of `{name}` become a part of its name");
        let hint = format!("write `{inner}`: names are quoted where they have to be");
        return Some(because("name", message, &hint));
    }
    let (schema, rest) = name.split_once('.').filter(|_| in_schema)?;
    if schema.is_empty() || rest.is_empty() {
        return None;
    }
    let message = format!("the dot in `{name}` becomes a part of its name");
    let hint = format!("call it `{rest}` and set `schema: \"{schema}\"`, if that is meant");
    Some(because("name", message, &hint))
}

fn because(attribute: &str, message: String, hint: &str) -> Problem {
    Problem { attribute: attribute.to_owned(), message, hint: Some(hint.to_owned()) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn messages(problems: Vec<Problem>) -> Vec<String> {
        problems
            .into_iter()
            .map(|found| format!("{}: {}", found.attribute, found.message))
            .collect()
    }

    #[test]
    fn names_in_attributes_are_looked_at() {
        let long = "x".repeat(64);
        let spec = json!({
            "database": "shop", "schema": "", "owner": long, "member_of": ["a", "b\0"],
            "inherits": ["app.", "b"], "comment": long, "columns": [{ "name": long }], "tablespace": null,
        });
        assert_eq!(
            messages(problems_in(&spec)),
            [
                "member_of: a name in PostgreSQL cannot contain a zero byte".to_owned(),
                format!("owner: the name `{long}` has 64 bytes, PostgreSQL keeps 63"),
                "schema: a name in PostgreSQL cannot be empty".to_owned(),
                "inherits: a name in PostgreSQL cannot be empty".to_owned(),
            ]
        );
    }

    #[test]
    fn sorts_of_names_have_rules_of_their_own() {
        let said = |found: Option<Problem>| found.map(|found| found.message);
        assert_eq!(said(problem_of_own("schema", "app")), None);
        assert!(said(problem_of_own("schema", "pg_app")).unwrap().contains("server's own"));
        assert_eq!(said(problem_of_slot("a_1", "slot")), None);
        assert!(said(problem_of_slot("A 1", "slot")).unwrap().contains("`A 1` cannot be"));
        assert!(said(problem_of_column("xmin")).unwrap().contains("every table has"));
        assert_eq!(said(problem_of_column("oid")), None);
        assert_eq!(said(problem_of_place("public")), None);
        assert!(said(problem_of_place("pg_catalog")).unwrap().contains("the server's own"));
    }

    #[test]
    fn signs_of_sql_in_a_name_are_told() {
        let said = |name: &str, in_schema| {
            let found = caution(name, in_schema)?;
            Some((found.message, found.hint.unwrap()))
        };
        assert!(said("\"App\"", false).unwrap().1.starts_with("write `App`"));
        assert!(said("app.users", true).unwrap().1.contains("set `schema: \"app\"`"));
        for (name, in_schema) in
            [("app.users", false), ("\"", true), ("a\"b\"", true), (".", true)]
        {
            assert_eq!(said(name, in_schema), None, "{name}");
        }
    }
}
