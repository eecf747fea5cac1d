//! The statements of a grant, told without the server.

use super::acl::Verb;
use super::on::On;
use super::{PUBLIC, Spec};
use crate::postgres::sql;

/// What a change of a grant comes to, told from the specs alone: for review. What runs is
/// computed from the server's own lists.
pub(super) fn outline(from: Option<&Spec>, to: Option<&Spec>) -> Vec<String> {
    let mut statements = Vec::new();
    let mut say = |verb: Verb, privileges: &[&str], spec: &Spec| {
        if privileges.is_empty() {
            return;
        }
        let schema = spec.schema.as_deref().unwrap_or_default();
        let (keyword, targets) = match spec.on {
            On::Database => (spec.on.keyword().to_owned(), sql::name(&spec.database)),
            On::Schema => (spec.on.keyword().to_owned(), sql::name(schema)),
            On::Types if spec.objects.is_empty() => {
                statements.push(format!(
                    "-- {} on every type in schema {}, one by one: no statement is for all",
                    verb.word(),
                    sql::name(schema)
                ));
                return;
            }
            on if spec.objects.is_empty() => {
                (format!("ALL {}S IN SCHEMA", on.keyword()), sql::name(schema))
            }
            on => {
                let place = if on.is_in_schema() {
                    format!("{}.", sql::name(schema))
                } else {
                    String::new()
                };
                let names: Vec<_> = spec
                    .objects
                    .iter()
                    .map(|object| format!("{place}{}", on.name(object)))
                    .collect();
                (on.keyword().to_owned(), names.join(", "))
            }
        };
        let columns: Vec<_> = spec.columns.iter().map(|column| sql::name(column)).collect();
        let listed: Vec<_> = privileges
            .iter()
            .map(|word| match columns.as_slice() {
                [] => (*word).to_owned(),
                columns => format!("{word} ({})", columns.join(", ")),
            })
            .collect();
        statements.push(verb.statement(&listed.join(", "), &keyword, &targets, &spec.role));
    };
    let words = |spec: Option<&Spec>, other: Option<&Spec>| -> Vec<String> {
        let known = |word: &&String| {
            other.is_some_and(|other| {
                other.privileges.contains(word)
                    && spec.is_some_and(|spec| {
                        spec.with_grant_option == other.with_grant_option
                            && spec.objects == other.objects
                            && spec.columns == other.columns
                    })
            })
        };
        let words = spec.map_or(&[][..], |spec| &spec.privileges);
        words.iter().filter(|word| !known(word)).cloned().collect()
    };
    if let Some(from) = from {
        let gone = words(Some(from), to);
        say(Verb::Revoke, &gone.iter().map(String::as_str).collect::<Vec<_>>(), from);
    }
    if let Some(to) = to.filter(|to| from.is_none() && to.role == PUBLIC) {
        let built_in = to.on.of_everybody(to.schema.as_deref()).iter().copied();
        let asked = |word: &&str| to.privileges.iter().any(|other| other == word);
        let extra: Vec<_> =
            built_in.filter(|word| to.columns.is_empty() && !asked(word)).collect();
        say(Verb::Revoke, &extra, to);
    }
    if let Some(to) = to {
        let new = words(Some(to), from);
        let verb = if to.with_grant_option { Verb::GrantWithOption } else { Verb::Grant };
        say(verb, &new.iter().map(String::as_str).collect::<Vec<_>>(), to);
    }
    statements
}
