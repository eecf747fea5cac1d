//! Pending files as a script for `psql`, with all that dollop writes down beside them: who runs
//! it has run them for dollop, too.

use std::collections::BTreeMap;

use super::super::sql::Place;
use super::script::{self, Statement};
use super::{Spec, ledger};

/// What rids a session of all that a file left in it.
const FORGET_ALL: &str = "DISCARD ALL";

/// The statements of the files that are not `known`, in order. `prepared` says that the record
/// knows the set already.
pub(super) fn statements(
    place: &Place,
    known: &BTreeMap<String, String>,
    prepared: bool,
    to: &Spec,
) -> Vec<String> {
    let mut all = Vec::new();
    if !prepared {
        all.extend(ledger::prepare(&to.schema, &place.name));
    }
    for (name, text) in to.in_order() {
        if known.contains_key(name) {
            continue;
        }
        let by_hand = ByHand { place, schema: &to.schema, name, text };
        if to.is_in_baseline(name) {
            all.push(format!("-- {name}: counts as run"));
            all.push(by_hand.enter(true));
        } else {
            all.push(format!("-- {name}"));
            all.extend(by_hand.run());
        }
    }
    all
}

struct ByHand<'a> {
    place: &'a Place,
    schema: &'a str,
    name: &'a str,
    text: &'a str,
}

impl ByHand<'_> {
    fn enter(&self, finished: bool) -> String {
        ledger::enter(self.schema, &self.place.name, self.name, self.text, finished)
    }

    fn change(&self, what: &str) -> String {
        ledger::change(self.schema, &self.place.name, self.name, what)
    }

    fn run(&self) -> Vec<String> {
        let found = script::statements(self.text).unwrap_or_default();
        let mut all = if found.iter().any(Statement::stands_alone) {
            self.in_steps(&found)
        } else {
            self.whole(&found)
        };
        all.push(FORGET_ALL.to_owned());
        all
    }

    fn whole(&self, found: &[Statement]) -> Vec<String> {
        let mut all = vec!["BEGIN".to_owned(), self.enter(false)];
        all.extend(found.iter().map(|statement| statement.text.clone()));
        all.extend(as_ourselves(found));
        all.push(self.change("finished_at = clock_timestamp()"));
        all.push("COMMIT".to_owned());
        all
    }

    /// After each statement it is written down how far the file is, so that dollop goes on from
    /// there when one fails; and that one begins which no transaction protects, so that dollop
    /// says what may have become of it.
    fn in_steps(&self, found: &[Statement]) -> Vec<String> {
        let changes = found.iter().any(Statement::changes_user);
        let note = |what: &str| noted(self.change(what), changes);
        let mut all = vec![self.enter(false)];
        for (index, statement) in found.iter().enumerate() {
            let counted = note(&format!("done = {}, begun = false", index + 1));
            let text = statement.text.clone();
            if statement.stands_alone() {
                all.extend(note("begun = true"));
                all.push(text);
                all.extend(counted);
            } else {
                all.extend(["BEGIN".to_owned(), text]);
                all.extend(counted);
                all.push("COMMIT".to_owned());
            }
        }
        all.extend(as_ourselves(found));
        all.push(self.change("finished_at = clock_timestamp()"));
        all
    }
}

/// An entry between two statements: by who runs the script, whoever a file that `changes` that
/// works as.
fn noted(entry: String, changes: bool) -> Vec<String> {
    if !changes {
        return vec![entry];
    }
    let [leave, to_user, to_role] = ledger::THERE_AND_BACK.map(str::to_owned);
    let [user, role] = ledger::AS_OURSELVES.map(str::to_owned);
    vec![leave, user, role, entry, to_user, to_role]
}

/// What makes the session that of who runs the script again, where a file changes that.
fn as_ourselves(found: &[Statement]) -> Vec<String> {
    if found.iter().any(Statement::changes_user) {
        ledger::AS_OURSELVES.map(str::to_owned).to_vec()
    } else {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(files: &[(&str, &str)], baseline: Option<&str>, prepared: bool) -> Vec<String> {
        let files =
            files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        let spec = Spec {
            database: "d".to_owned(),
            files,
            baseline: baseline.map(str::to_owned),
            schema: "s".to_owned(),
        };
        let place = Place { database: "d".to_owned(), name: "app".to_owned() };
        let first = |text: String| text.lines().next().unwrap_or_default().trim().to_owned();
        statements(&place, &BTreeMap::new(), prepared, &spec).into_iter().map(first).collect()
    }

    const INSERT: &str =
        r#"INSERT INTO "s"."dollop_migrations" ("set", file, "sql", finished_at)"#;
    const FINISHED: &str = r#"UPDATE "s"."dollop_migrations" SET finished_at = clock_timestamp() WHERE "set" = 'app' AND file = '1.sql'"#;

    #[test]
    fn a_file_is_run_and_written_down_in_one_transaction() {
        let all = of(&[("1.sql", "create table t (a int); set role x")], None, true);
        let role = ["RESET SESSION AUTHORIZATION", "RESET ROLE"];
        let file = ["-- 1.sql", "BEGIN", INSERT, "create table t (a int)", "set role x"];
        let end = [FINISHED, "COMMIT", "DISCARD ALL"];
        assert_eq!(all, [&file[..], &role, &end].concat());
    }

    #[test]
    fn what_stands_alone_is_counted() {
        let all = of(&[("1.sql", "vacuum t; select 1")], None, true);
        let step = |done: u32| {
            format!(
                r#"UPDATE "s"."dollop_migrations" SET done = {done}, begun = false WHERE "set" = 'app' AND file = '1.sql'"#
            )
        };
        let (one, two) = (step(1), step(2));
        let begun = one.replace("done = 1, begun = false", "begun = true");
        let expected = [
            "-- 1.sql",
            INSERT,
            &begun,
            "vacuum t",
            &one,
            "BEGIN",
            "select 1",
            &two,
            "COMMIT",
            FINISHED,
            "DISCARD ALL",
        ];
        assert_eq!(all, expected);
    }

    #[test]
    fn a_baseline_is_only_written_down() {
        let all = of(&[("1.sql", "create table t (a int)")], Some("1.sql"), false);
        assert_eq!(
            all,
            [
                r#"CREATE TABLE IF NOT EXISTS "s"."dollop_migrations" ("#,
                r#"INSERT INTO "s"."dollop_migrations" ("set", file, "sql", finished_at) VALUES ('app', '', '', now())"#,
                "-- 1.sql: counts as run",
                INSERT,
            ]
        );
    }
}
