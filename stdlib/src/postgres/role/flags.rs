//! The options of `CREATE ROLE` and `ALTER ROLE`.

use super::Spec;

/// The options that are on or off, and the limit.
pub(super) struct Flags {
    words: [(&'static str, bool); 7],
    connection_limit: i32,
}

/// What `CREATE ROLE` makes when nothing is said.
pub(super) const SERVER_DEFAULTS: Flags = Flags {
    words: [
        ("LOGIN", false),
        ("SUPERUSER", false),
        ("CREATEDB", false),
        ("CREATEROLE", false),
        ("INHERIT", true),
        ("REPLICATION", false),
        ("BYPASSRLS", false),
    ],
    connection_limit: -1,
};

impl Flags {
    pub(super) fn of(spec: &Spec) -> Self {
        Self {
            words: [
                ("LOGIN", spec.login),
                ("SUPERUSER", spec.superuser),
                ("CREATEDB", spec.createdb),
                ("CREATEROLE", spec.createrole),
                ("INHERIT", spec.inherit),
                ("REPLICATION", spec.replication),
                ("BYPASSRLS", spec.bypassrls),
            ],
            connection_limit: spec.connection_limit,
        }
    }
}

/// The options that differ: saying others needs rights that are not needed otherwise.
pub(super) fn flags(from: &Flags, to: &Spec) -> Vec<String> {
    let to = Flags::of(to);
    let mut options: Vec<_> = from
        .words
        .iter()
        .zip(&to.words)
        .filter(|(from, to)| from != to)
        .map(|(_, (word, on))| format!("{}{word}", if *on { "" } else { "NO" }))
        .collect();
    if from.connection_limit != to.connection_limit {
        options.push(format!("CONNECTION LIMIT {}", to.connection_limit));
    }
    options
}
