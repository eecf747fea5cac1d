//! What a role cannot be, told without the server.

use dollop_engine::resource::Problem;

use super::{Spec, moment};
use crate::postgres::names;

/// Words that stand for roles and are none.
const NO_NAMES: [&str; 2] = ["public", "none"];

/// What is wrong with the attributes.
pub(super) fn attributes(spec: &Spec) -> Vec<Problem> {
    let mut problems = names::problems_in(spec);
    let mut problem = |attribute: &str, message: String, hint: &str| {
        problems.push(Problem {
            attribute: attribute.to_owned(),
            message,
            hint: Some(hint.to_owned()),
        });
    };
    if let Some(text) = &spec.valid_until
        && moment(text).is_none()
    {
        let message = format!("`{text}` is no date or moment");
        problem("valid_until", message, "write `2027-01-31` or `2027-01-31T12:00:00Z`");
    }
    if spec.password.as_deref() == Some("") {
        let message = "an empty password never lets anybody in".to_owned();
        problem("password", message, "leave `password` out for a role without one");
    }
    if spec.connection_limit < -1 {
        let message = format!("`{}` is no number of connections", spec.connection_limit);
        problem("connection_limit", message, "-1 means no limit");
    }
    problems
}

/// What is wrong with the name, and with what depends on it.
pub(super) fn name(natural: &str, spec: &Spec) -> Vec<Problem> {
    let mut problems: Vec<_> = names::problem_of_own("role", natural).into_iter().collect();
    if NO_NAMES.contains(&natural) {
        problems.push(Problem {
            attribute: "name".to_owned(),
            message: format!("`{natural}` is a word of SQL and no name of a role"),
            hint: Some("choose another name".to_owned()),
        });
    }
    if spec.member_of.iter().flatten().any(|group| group == natural) {
        problems.push(Problem {
            attribute: "member_of".to_owned(),
            message: format!("role `{natural}` would be a member of itself"),
            hint: Some("name other roles".to_owned()),
        });
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_the_server_refuses_are_told() {
        let said = |natural: &str, member_of: &[&str]| {
            let spec = serde_json::json!({ "member_of": member_of });
            let problems = name(natural, &serde_json::from_value(spec).unwrap());
            problems.into_iter().map(|problem| problem.message).collect::<Vec<_>>()
        };
        assert_eq!(said("app", &["team"]), Vec::<String>::new());
        assert_eq!(said("app", &["app"]), ["role `app` would be a member of itself"]);
        assert_eq!(said("", &[]), ["a name in PostgreSQL cannot be empty"]);
        assert_eq!(said("none", &[]), ["`none` is a word of SQL and no name of a role"]);
        let longest = "ü".repeat(31);
        assert_eq!(said(&longest, &[]), Vec::<String>::new());
        let [long] = said(&format!("{longest}ab"), &[]).try_into().unwrap();
        assert!(long.ends_with("has 64 bytes, PostgreSQL keeps 63"), "{long}");
        let [own] = said("pg_foo", &[]).try_into().unwrap();
        assert!(own.starts_with("role `pg_foo` would be one of the server's own"), "{own}");
    }
}
